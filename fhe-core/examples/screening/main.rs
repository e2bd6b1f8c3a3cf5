//! Screening of encrypted patient records with a decision forest.
//!
//! ```text
//! cargo run --release --example screening -- data/breast_cancer.csv
//! ```
//!
//! A forest is learnt in the clear from part of the records. The rest plays the patients that it has never seen: a
//! client encrypts their measurements, a server evaluates the forest on the ciphertexts, the client decrypts the votes.
//! Every answer is compared with the same forest evaluated in the clear.
//!
//! Read on in this order: `data` and `model` (the clear half), `program` (the forest as a traced program), `client` and
//! `server` (which share nothing but bytes), `report`.

mod client;
mod data;
mod model;
mod program;
mod progress;
mod report;
mod server;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use fhe_core::{CpuBackend, SimulationBackend};

use crate::client::{Client, Request};
use crate::data::{Dataset, Quantiser, Record};
use crate::model::{Forest, Training};
use crate::progress::ProgressLine;
use crate::report::{Patient, Report};
use crate::server::Response;

/// Share of the records to learn from.
const TRAINING_SHARE: f64 = 0.7;
/// Share of the features that each tree may use.
const FEATURE_SHARE: f64 = 0.4;

/// Screens encrypted patient records with a decision forest.
#[derive(Debug, Parser)]
#[command(name = "screening")]
struct Args {
    /// The records: comma-separated features and a class, under a first line of counts and class names.
    file: PathBuf,
    /// How many of the unseen records to screen; all of them if there are fewer.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u32).range(1..))]
    rows: u32,
    /// Trees of the forest, an odd number from 1 to 255.
    #[arg(long, default_value = "11", value_parser = odd)]
    trees: u8,
    /// Most conditions on the way to a leaf.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=8))]
    depth: u8,
    /// Seed of the split and of the forest.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to compute: `simulate` runs the same program without encryption.
    #[arg(long, value_enum, default_value = "cpu")]
    backend: BackendName,
    /// Threads of the CPU backend [default: all cores].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Also writes the report to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BackendName {
    Cpu,
    Simulate,
}

/// An odd number of voters never ties.
fn odd(text: &str) -> Result<u8, String> {
    let number = text.parse::<u8>().ok().filter(|number| number % 2 == 1);
    number.ok_or_else(|| "expected an odd number from 1 to 255".to_owned())
}

fn main() -> ExitCode {
    match run(&Args::parse(), &mut std::io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The clear half: what was learnt, and from how many records.
struct Model {
    forest: Forest,
    quantiser: Quantiser,
    trained_on: usize,
    unseen: Vec<Record>,
}

/// Returns whether every decrypted answer is the one of the clear model.
fn run(args: &Args, out: &mut impl Write) -> Result<bool> {
    let data = Dataset::open(&args.file)?;
    let model = learn(&data, args)?;
    describe_model(&data, &model, args, out)?;
    let program = program::trace(&model.forest, &data.features)?;
    report::describe_program(&program, out)?;

    let patients = &model.unseen[..model.unseen.len().min(args.rows as usize)];
    if patients.len() < args.rows as usize {
        writeln!(out, "\nOnly {} records are unseen: all of them are screened.", patients.len())?;
    }
    let values: Vec<Vec<u8>> = patients.iter().map(|patient| model.quantiser.apply(&patient.features)).collect();

    let started = Instant::now();
    let client = Client::new(args.backend == BackendName::Simulate)?;
    let columns = columns(&data, &model.forest, &values);
    let request = client.request(&columns)?;
    let client_seconds = started.elapsed().as_secs_f64();
    if args.backend == BackendName::Simulate {
        writeln!(out, "\nSIMULATION: what is called key and ciphertext below protects nothing.")?;
    }
    let bytes = program.to_bytes()?;
    report::describe_request(&request, &bytes, columns.len(), patients.len(), client_seconds, out)?;
    out.flush()?;

    let response = serve(args, &bytes, &request)?;
    let answers = client.open(&response.outputs)?;
    if answers.len() != patients.len() {
        bail!("the server answered for {} records, not {}", answers.len(), patients.len());
    }

    let screened = patients.iter().zip(&values).zip(answers).map(|((patient, values), answer)| Patient {
        line: patient.line,
        benign: patient.benign,
        clear_votes: model.forest.votes(values),
        clear_benign: model.forest.benign(values),
        votes: answer.votes,
        decrypted_benign: answer.benign,
    });
    let report = Report::new(screened.collect(), model.forest.trees.len(), client_seconds, &response);
    report.print(&data.classes, &response, out)?;
    if let Some(path) = &args.json {
        report.write_json(path).with_context(|| format!("cannot write {}", path.display()))?;
    }
    report.last_line(out)?;
    Ok(report.agrees())
}

fn learn(data: &Dataset, args: &Args) -> Result<Model> {
    let (known, unseen) = data.split(TRAINING_SHARE, args.seed)?;
    let quantiser = Quantiser::fit(&known);
    let values: Vec<Vec<u8>> = known.iter().map(|record| quantiser.apply(&record.features)).collect();
    let benign: Vec<bool> = known.iter().map(|record| record.benign).collect();
    let features = (data.features.len() as f64 * FEATURE_SHARE).ceil() as usize;
    let training = Training { trees: args.trees.into(), depth: args.depth.into(), features, seed: args.seed };
    let forest = Forest::train(&values, &benign, training)?;
    Ok(Model { forest, quantiser, trained_on: known.len(), unseen })
}

fn describe_model(data: &Dataset, model: &Model, args: &Args, out: &mut impl Write) -> Result<()> {
    let Model { forest, quantiser, trained_on, unseen } = model;
    let right = unseen.iter().filter(|record| forest.benign(&quantiser.apply(&record.features)) == record.benign);
    let right = right.count();
    writeln!(out, "Model, learnt in the clear (seed {})", args.seed)?;
    writeln!(out, "  {} of {} records, quantised to 8 bits", trained_on, data.records.len())?;
    writeln!(
        out,
        "  {} trees of depth {} or less: {} comparisons, on {} of {} features",
        forest.trees.len(),
        args.depth,
        forest.splits().len(),
        forest.features().len(),
        data.features.len()
    )?;
    writeln!(
        out,
        "  right about {right} of the {} unseen records ({:.1} %)",
        unseen.len(),
        report::percent(right, unseen.len())
    )?;
    Ok(())
}

/// The features that the program asks for, by name, one value for each patient.
fn columns<'a>(data: &'a Dataset, forest: &Forest, values: &[Vec<u8>]) -> Vec<(&'a str, Vec<u8>)> {
    let column = |feature: usize| values.iter().map(|values| values[feature]).collect();
    forest.features().into_iter().map(|feature| (data.features[feature].as_str(), column(feature))).collect()
}

/// Hands the request to a server on the chosen backend.
fn serve(args: &Args, program: &[u8], request: &Request) -> Result<Response> {
    let mut progress = ProgressLine::new()?;
    let observer = |done| progress.observe(done);
    let response = match args.backend {
        BackendName::Simulate => server::answer(SimulationBackend::new(), program, request, observer),
        BackendName::Cpu => {
            let backend = args.threads.map_or_else(CpuBackend::new, |n| CpuBackend::with_threads(n.into()))?;
            server::answer(backend, program, request, observer)
        }
    };
    progress.finish();
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(options: &[&str]) -> (Result<bool>, String) {
        // Seen from the package, where tests run: an archive of them may have been built in another folder.
        let fixed = ["screening", "../data/breast_cancer.csv", "--backend", "simulate"];
        let args = Args::try_parse_from(fixed.iter().chain(options)).unwrap();
        let mut out = Vec::new();
        let result = run(&args, &mut out);
        (result, String::from_utf8(out).unwrap())
    }

    #[test]
    fn every_unseen_record_agrees_in_a_simulation() {
        let (result, out) = example(&["--rows", "1000"]);
        assert!(result.unwrap(), "{out}");
        assert!(out.contains("Only 171 records are unseen"), "{out}");
        let last = out.lines().last().unwrap();
        assert!(last.starts_with("OK rows=171 agreement=171/171 bootstraps="), "{last}");
        assert!(last.ends_with(" backend=simulate"), "{last}");
    }

    #[test]
    fn other_forests_agree_too() {
        for (trees, depth, seed) in [("1", "1", "2"), ("5", "6", "3"), ("31", "2", "4")] {
            let (result, out) = example(&["--trees", trees, "--depth", depth, "--seed", seed, "--rows", "40"]);
            assert!(result.unwrap(), "{out}");
        }
    }

    #[test]
    fn options_out_of_range_are_refused() {
        let refused = |options: &[&str]| Args::try_parse_from(["screening", "x"].iter().chain(options)).is_err();
        assert!(refused(&["--rows", "0"]));
        assert!(refused(&["--threads", "0"]));
        assert!(refused(&["--trees", "10"]));
        assert!(refused(&["--trees", "257"]));
        assert!(refused(&["--depth", "0"]));
        assert!(!refused(&["--rows", "1", "--threads", "1", "--trees", "255"]));
    }

    #[test]
    fn a_missing_file_is_named() {
        let args = Args::try_parse_from(["screening", "/no/such/file.csv"]).unwrap();
        let error = run(&args, &mut Vec::new()).unwrap_err();
        assert!(format!("{error:#}").starts_with("cannot open /no/such/file.csv: "), "{error:#}");
    }
}
