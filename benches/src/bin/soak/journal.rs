//! The log of a soak: one JSON object per line, a header first, then a line per unit, in order.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::Kind;

/// What a log belongs to: another seed, backend or catalogue has other units.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    version: String,
    seed: u64,
    backend: String,
    /// The operations, in order.
    catalogue: Vec<String>,
}

impl Header {
    pub fn new(seed: u64, backend: Kind) -> Self {
        let catalogue = fhe_tests::catalogue::OPERATIONS.iter().map(|operation| operation.name.to_owned());
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seed,
            backend: format!("{backend:?}").to_lowercase(),
            catalogue: catalogue.collect(),
        }
    }
}

/// What one unit did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    pub unit: u64,
    pub operation: String,
    pub ty: String,
    pub bits: u32,
    pub form: String,
    pub rows: u64,
    pub bootstraps: u64,
    pub wrong: u64,
}

/// An open log with the sums of its lines.
pub struct Journal {
    file: File,
    units: u64,
    operations: u64,
    wrong: u64,
    bootstraps: u64,
    widest: u32,
    by_operation: HashMap<String, u64>,
}

impl Journal {
    /// Opens a log, or begins one. A last line that was cut off when its writer was stopped is dropped.
    pub fn open(path: &Path, header: &Header) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).context("cannot make its folder")?;
        }
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        let text = std::io::read_to_string(&file)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut lines = text[..whole].lines();
        let mut journal = Self {
            file: file.try_clone()?,
            units: 0,
            operations: 0,
            wrong: 0,
            bootstraps: 0,
            widest: 0,
            by_operation: HashMap::new(),
        };
        match lines.next() {
            Some(line) => {
                let found: Header = serde_json::from_str(line).context("its first line is no header of a soak")?;
                ensure!(found == *header, "it belongs to another seed, backend or version; name another file");
            }
            None => journal.line(&serde_json::to_string(header)?)?,
        }
        for (at, line) in lines.enumerate() {
            let record: Record = serde_json::from_str(line).with_context(|| format!("line {} is damaged", at + 2))?;
            if record.unit != journal.units {
                bail!("line {} is of unit {}, expected {}", at + 2, record.unit, journal.units);
            }
            journal.add(&record);
        }
        if whole < text.len() {
            file.set_len(whole as u64)?;
        }
        file.seek(SeekFrom::End(0))?;
        journal.file = file;
        Ok(journal)
    }

    /// Appends the next unit.
    pub fn write(&mut self, record: &Record) -> Result<()> {
        self.line(&serde_json::to_string(record)?)?;
        self.add(record);
        Ok(())
    }

    fn line(&mut self, text: &str) -> Result<()> {
        self.file.write_all(format!("{text}\n").as_bytes()).context("cannot write the log")
    }

    fn add(&mut self, record: &Record) {
        self.units += 1;
        self.operations += record.rows;
        self.wrong += record.wrong;
        self.bootstraps += record.bootstraps;
        self.widest = self.widest.max(record.bits);
        *self.by_operation.entry(record.operation.clone()).or_default() += record.rows;
    }

    /// Number of the next unit.
    pub fn units(&self) -> u64 {
        self.units
    }

    pub fn operations(&self) -> u64 {
        self.operations
    }

    pub fn wrong(&self) -> u64 {
        self.wrong
    }

    pub fn bootstraps(&self) -> u64 {
        self.bootstraps
    }

    pub fn widest(&self) -> u32 {
        self.widest
    }

    /// Fewest times that one of these operations was done.
    pub fn least(&self, names: impl Iterator<Item = &'static str>) -> u64 {
        names.map(|name| self.by_operation.get(name).copied().unwrap_or(0)).min().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(unit: u64) -> Record {
        let text = |text: &str| text.to_owned();
        Record {
            unit,
            operation: text("add"),
            ty: text("u8"),
            bits: 8,
            form: text("latency"),
            rows: 4,
            bootstraps: 16,
            wrong: unit % 2,
        }
    }

    #[test]
    fn a_log_goes_on_after_a_line_that_was_cut_off() {
        let path = std::env::temp_dir().join(format!("soak-test-{}.jsonl", std::process::id()));
        let header = Header::new(1, Kind::Cpu);
        let mut journal = Journal::open(&path, &header).unwrap();
        (0..3).for_each(|unit| journal.write(&record(unit)).unwrap());
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let mut journal = Journal::open(&path, &header).unwrap();
        assert_eq!((journal.units(), journal.operations(), journal.wrong()), (2, 8, 1));
        journal.write(&record(2)).unwrap();
        drop(journal);
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        assert!(Journal::open(&path, &Header::new(2, Kind::Cpu)).is_err(), "another seed");
        std::fs::write(&path, [&whole[..], b"{}\n"].concat()).unwrap();
        assert!(Journal::open(&path, &header).is_err(), "a damaged line");
        std::fs::remove_file(&path).unwrap();
    }
}
