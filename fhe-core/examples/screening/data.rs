//! The records: read from a CSV file, shuffled, split, and mapped to the 8-bit integers that are encrypted.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use csv::{ReaderBuilder, StringRecord, Trim};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// What the 30 columns of the data set are called, in its documentation; the file itself has no names.
const MEASUREMENTS: [&str; 10] = [
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave points",
    "symmetry",
    "fractal dimension",
];
const STATISTICS: [&str; 3] = ["mean", "error", "worst"];

/// One patient.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Line of the file, from 1.
    pub line: u64,
    /// The measurements.
    pub features: Vec<f64>,
    /// The diagnosis: class 1 of the file.
    pub benign: bool,
}

/// All records of a file.
#[derive(Debug)]
pub struct Dataset {
    /// One name for each feature.
    pub features: Vec<String>,
    /// The names of class 0 and class 1.
    pub classes: [String; 2],
    /// In the order of the file.
    pub records: Vec<Record>,
}

impl Dataset {
    /// Reads a file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        Self::read(BufReader::new(file)).with_context(|| format!("cannot use {}", path.display()))
    }

    /// Reads records of comma-separated features and a class. The first line holds the number of records, the number
    /// of features and the names of class 0 and 1.
    pub fn read(source: impl Read) -> Result<Self> {
        let mut lines = ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(source);
        let mut lines = lines.records();
        let Some(first) = lines.next() else { bail!("the file is empty") };
        let first = first.context("line 1")?;
        ensure!(
            first.len() == 4,
            "line 1: {} fields, expected 4 (records, features, name of class 0, name of class 1)",
            first.len()
        );
        let expected = count(&first, 0, "records")?;
        let features = count(&first, 1, "features")?;
        let mut records = Vec::with_capacity(expected.min(1 << 20));
        for line in lines {
            records.push(record(&line?, features)?);
        }
        ensure!(
            records.len() == expected,
            "line 1 announces {expected} records, but {} follow: is the file cut short?",
            records.len()
        );
        Ok(Self { features: names(features), classes: [first[2].to_owned(), first[3].to_owned()], records })
    }

    /// A shuffled copy of the records, cut into those to learn from and the unseen rest.
    pub fn split(&self, training: f64, seed: u64) -> Result<(Vec<Record>, Vec<Record>)> {
        let mut records = self.records.clone();
        records.shuffle(&mut StdRng::seed_from_u64(seed));
        let cut = (records.len() as f64 * training).round() as usize;
        let unseen = records.split_off(cut.min(records.len()));
        for (class, name) in [false, true].into_iter().zip(&self.classes) {
            ensure!(
                records.iter().any(|record| record.benign == class),
                "none of the {} records to learn from is {name}: the file is too small",
                records.len()
            );
        }
        ensure!(!unseen.is_empty(), "no record is left to test with: the file is too small");
        Ok((records, unseen))
    }
}

/// A positive number of the first line.
fn count(line: &StringRecord, field: usize, what: &str) -> Result<usize> {
    let text = &line[field];
    let number = text.parse().ok().filter(|&number| number > 0);
    number.with_context(|| format!("line 1, column {}: `{text}` is no number of {what}", field + 1))
}

fn record(fields: &StringRecord, features: usize) -> Result<Record> {
    let line = fields.position().map_or(0, csv::Position::line);
    ensure!(
        fields.len() == features + 1,
        "line {line}: {} fields, expected {} ({features} features and the class)",
        fields.len(),
        features + 1
    );
    let feature = |(index, text): (usize, &str)| {
        let column = index + 1;
        let Ok(value) = text.parse::<f64>() else { bail!("line {line}, column {column}: `{text}` is not a number") };
        ensure!(value.is_finite(), "line {line}, column {column}: `{text}` is not finite");
        Ok(value)
    };
    let values = fields.iter().take(features).enumerate().map(feature).collect::<Result<_>>()?;
    let benign = match &fields[features] {
        "0" => false,
        "1" => true,
        other => bail!("line {line}, column {}: class `{other}`, expected 0 or 1", features + 1),
    };
    Ok(Record { line, features: values, benign })
}

fn names(features: usize) -> Vec<String> {
    if features == MEASUREMENTS.len() * STATISTICS.len() {
        let of = |statistic| MEASUREMENTS.iter().map(move |measurement| format!("{statistic} {measurement}"));
        STATISTICS.iter().flat_map(of).collect()
    } else {
        (1..=features).map(|column| format!("column {column}")).collect()
    }
}

/// Maps each feature to 0..=255 over the range that it has in the training records.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantiser {
    /// Smallest and largest value of each feature.
    ranges: Vec<(f64, f64)>,
}

impl Quantiser {
    /// Takes the ranges from `records`.
    pub fn fit(records: &[Record]) -> Self {
        let features = records.first().map_or(0, |record| record.features.len());
        let range = |feature: usize| {
            let values = records.iter().map(|record| record.features[feature]);
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
        };
        Self { ranges: (0..features).map(range).collect() }
    }

    /// Values outside the training range become 0 or 255.
    pub fn apply(&self, features: &[f64]) -> Vec<u8> {
        // `as` saturates, and makes 0 of the 0/0 of a feature that is constant.
        let step = |(&value, &(low, high)): (&f64, &(f64, f64))| ((value - low) / (high - low) * 255.0).round() as u8;
        features.iter().zip(&self.ranges).map(step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        format!("{:#}", Dataset::read(text.as_bytes()).unwrap_err())
    }

    #[test]
    fn a_small_file_is_read() {
        let data = Dataset::read("2,3,bad,good\n1, 2.5,-3e2,0\n4,5,6,1\n".as_bytes()).unwrap();
        assert_eq!(data.classes, ["bad", "good"]);
        assert_eq!(data.features, ["column 1", "column 2", "column 3"]);
        assert_eq!(data.records[0], Record { line: 2, features: vec![1.0, 2.5, -300.0], benign: false });
        assert_eq!(data.records[1], Record { line: 3, features: vec![4.0, 5.0, 6.0], benign: true });
    }

    #[test]
    fn every_malformed_line_is_named() {
        assert_eq!(refusal(""), "the file is empty");
        assert!(refusal("1,2\n").starts_with("line 1: 2 fields, expected 4"));
        assert_eq!(refusal("many,2,bad,good\n"), "line 1, column 1: `many` is no number of records");
        assert_eq!(refusal("1,0,bad,good\n"), "line 1, column 2: `0` is no number of features");
        assert!(refusal("2,2,bad,good\n1,2,0\n1,2\n").starts_with("line 3: 2 fields, expected 3"));
        assert_eq!(refusal("1,2,bad,good\n1,x,0\n"), "line 2, column 2: `x` is not a number");
        assert_eq!(refusal("1,2,bad,good\n1,,0\n"), "line 2, column 2: `` is not a number");
        assert_eq!(refusal("1,2,bad,good\nNaN,1,0\n"), "line 2, column 1: `NaN` is not finite");
        assert_eq!(refusal("1,2,bad,good\n1,1e999,0\n"), "line 2, column 2: `1e999` is not finite");
        assert_eq!(refusal("1,2,bad,good\n1,2,2\n"), "line 2, column 3: class `2`, expected 0 or 1");
        assert!(refusal("3,2,bad,good\n1,2,0\n").starts_with("line 1 announces 3 records, but 1 follow"));
    }

    #[test]
    fn splitting_is_repeatable_and_loses_nothing() {
        let lines: String = (0..40).map(|index| format!("{index},{}\n", index % 2)).collect();
        let data = Dataset::read(format!("40,1,bad,good\n{lines}").as_bytes()).unwrap();
        let (training, unseen) = data.split(0.7, 5).unwrap();
        assert_eq!((training.len(), unseen.len()), (28, 12));
        assert_eq!(data.split(0.7, 5).unwrap(), (training.clone(), unseen.clone()));
        assert_ne!(data.split(0.7, 6).unwrap().1, unseen);
        let mut all: Vec<u64> = training.iter().chain(&unseen).map(|record| record.line).collect();
        all.sort_unstable();
        assert_eq!(all, (2..42).collect::<Vec<_>>());
    }

    #[test]
    fn a_file_with_one_class_or_one_record_is_too_small() {
        let same = Dataset::read("3,1,bad,good\n1,1\n2,1\n3,1\n".as_bytes()).unwrap();
        assert!(same.split(0.7, 1).unwrap_err().to_string().contains("is bad"));
        let one = Dataset::read("1,1,bad,good\n1,1\n".as_bytes()).unwrap();
        assert!(one.split(0.7, 1).is_err());
    }

    #[test]
    fn quantising_clamps_to_the_training_range() {
        let record = |features: [f64; 2]| Record { line: 0, features: features.to_vec(), benign: true };
        let quantiser = Quantiser::fit(&[record([10.0, 7.0]), record([20.0, 7.0])]);
        assert_eq!(quantiser.apply(&[10.0, 7.0]), [0, 0]);
        assert_eq!(quantiser.apply(&[20.0, 7.0]), [255, 0]);
        assert_eq!(quantiser.apply(&[15.0, 7.0]), [128, 0]);
        assert_eq!(quantiser.apply(&[-1e300, 6.0]), [0, 0]);
        assert_eq!(quantiser.apply(&[1e300, 8.0]), [255, 255]);
    }
}
