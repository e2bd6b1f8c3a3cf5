//! Every operation at every width, over and over, against plain integers: `cargo xtask soak`.

mod journal;
mod schedule;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use fhe_core::{Backend, ClientKey, CpuBackend, Engine, ParameterSet, RunOptions, SimulationBackend};
use fhe_tests::catalogue::OPERATIONS;
use fhe_tests::{clear, columns};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::Serialize;

use journal::{Header, Journal, Record};
use schedule::{Schedule, Unit};

/// Units that are computed between two writes to the log, on the simulation backend.
const SIMULATED_AT_ONCE: u64 = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// Plain values with simulated noise: all widths.
    Simulate,
    /// Encrypted, on the processor: mostly 8 to 32 bits.
    Cpu,
    /// Encrypted, on the first NVIDIA card; needs the feature `gpu`.
    Gpu,
}

/// Runs operations of the catalogue on random and edge values and compares all results with plain integers.
///
/// The log has a line for every unit of work; a run that was stopped goes on from there. Exit status: 0 if all results
/// were right, 1 if one was wrong or something failed.
#[derive(Parser)]
#[command(name = "cargo xtask soak")]
struct Arguments {
    /// Number of operations on one row each; at least.
    #[arg(long, value_name = "N")]
    ops: u64,
    /// Chooses operations, widths and values; the same seed does the same work.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// What computes.
    #[arg(long, value_enum, default_value_t = Kind::Simulate)]
    backend: Kind,
    /// The log; target/soak-BACKEND-SEED.jsonl if absent.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Prints the summary as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all results are right.
fn run(arguments: &Arguments) -> Result<bool> {
    ensure!(arguments.ops > 0, "--ops 0 asks for nothing");
    let name = format!("soak-{}-{}.jsonl", format!("{:?}", arguments.backend).to_lowercase(), arguments.seed);
    let path = arguments.log.clone().unwrap_or_else(|| PathBuf::from("target").join(name));
    let header = Header::new(arguments.seed, arguments.backend);
    let mut journal = Journal::open(&path, &header).with_context(|| format!("the log {}", path.display()))?;
    if !arguments.json {
        println!("log: {} ({} operations done before)", path.display(), journal.operations());
    }
    match arguments.backend {
        Kind::Simulate => {
            let client = ClientKey::simulated(ParameterSet::default());
            let engine = Engine::new(SimulationBackend::with_noise(arguments.seed), &client.evaluation_key()?)?;
            soak(arguments, &mut journal, &client, &engine)
        }
        Kind::Cpu => {
            let client = ClientKey::generate(ParameterSet::default())?;
            let engine = Engine::new(CpuBackend::new()?, &client.evaluation_key()?)?;
            soak(arguments, &mut journal, &client, &engine)
        }
        Kind::Gpu => gpu(arguments, &mut journal),
    }
}

#[cfg(feature = "gpu")]
fn gpu(arguments: &Arguments, journal: &mut Journal) -> Result<bool> {
    let client = ClientKey::generate(ParameterSet::default())?;
    let engine = Engine::new(fhe_gpu::CudaBackend::new(0)?, &client.evaluation_key()?)?;
    soak(arguments, journal, &client, &engine)
}

#[cfg(not(feature = "gpu"))]
fn gpu(_: &Arguments, _: &mut Journal) -> Result<bool> {
    anyhow::bail!(
        "built without the feature `gpu`; try: cargo run --release --features gpu --bin fhe-soak -- --backend gpu"
    )
}

/// What has been done, for people and machines.
#[derive(Serialize)]
struct Summary {
    backend: Kind,
    seed: u64,
    operations: u64,
    wrong: u64,
    bootstraps: u64,
    /// Of this run; work of earlier ones is in the log.
    seconds: f64,
    /// Fewest times that an operation of the catalogue was done.
    least_of_an_operation: u64,
    widest_bits: u32,
}

fn soak<B: Backend>(
    arguments: &Arguments,
    journal: &mut Journal,
    client: &ClientKey,
    engine: &Engine<B>,
) -> Result<bool> {
    let schedule = Schedule::new(arguments.seed, arguments.backend == Kind::Simulate);
    let bar = ProgressBar::new(arguments.ops);
    bar.set_style(ProgressStyle::with_template(
        "{bar:30} {human_pos} of {human_len} operations, {per_sec}, {eta} to go {msg}",
    )?);
    bar.set_position(journal.operations());
    bar.reset_eta();
    let started = Instant::now();
    let at_once = if arguments.backend == Kind::Simulate { SIMULATED_AT_ONCE } else { 1 };
    while journal.operations() < arguments.ops {
        let next = journal.units();
        let done: Vec<Result<(Record, Option<String>)>> =
            (next..next + at_once).into_par_iter().map(|unit| check(&schedule.unit(unit), client, engine)).collect();
        for result in done {
            let (record, message) = result?;
            if let Some(message) = message {
                bar.suspend(|| eprintln!("WRONG {message}"));
            }
            bar.inc(record.rows);
            journal.write(&record)?;
        }
        if journal.wrong() > 0 {
            bar.set_message(format!("({} WRONG)", journal.wrong()));
        }
    }
    bar.finish_and_clear();
    let summary = Summary {
        backend: arguments.backend,
        seed: arguments.seed,
        operations: journal.operations(),
        wrong: journal.wrong(),
        bootstraps: journal.bootstraps(),
        seconds: started.elapsed().as_secs_f64(),
        least_of_an_operation: journal.least(OPERATIONS.iter().map(|operation| operation.name)),
        widest_bits: journal.widest(),
    };
    if arguments.json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        println!(
            "{} operations, {} wrong; {} bootstraps; each operation at least {} times, up to {} bits; {:.1} s",
            summary.operations,
            summary.wrong,
            summary.bootstraps,
            summary.least_of_an_operation,
            summary.widest_bits,
            summary.seconds,
        );
    }
    Ok(summary.wrong == 0)
}

/// Runs one unit; a message tells of the first wrong row.
fn check<B: Backend>(unit: &Unit, client: &ClientKey, engine: &Engine<B>) -> Result<(Record, Option<String>)> {
    let what = || format!("unit {}: {} on {} in {:?} form", unit.number, unit.operation.name, unit.ty, unit.form);
    let program = unit.operation.program(unit.ty).with_context(what)?;
    let graph = program.graph();
    let rows = columns::rows(graph, unit.seed, unit.rows);
    let batch = columns::batch(client, graph, &rows);
    let (outputs, report) = engine.run_with(&program, &batch, RunOptions::new().form(unit.form)).with_context(what)?;
    let found = columns::results(client, graph, &outputs);
    let mut wrong = rows
        .iter()
        .zip(&found)
        .map(|(inputs, found)| (inputs, found, clear::evaluate(graph, inputs)))
        .filter(|(_, found, expected)| *found != expected);
    let first = wrong.next();
    let record = Record {
        unit: unit.number,
        operation: unit.operation.name.to_owned(),
        ty: unit.ty.to_string(),
        bits: unit.ty.bits(),
        form: format!("{:?}", unit.form).to_lowercase(),
        rows: unit.rows as u64,
        bootstraps: report.bootstraps,
        wrong: u64::from(first.is_some()) + wrong.count() as u64,
    };
    let tell = |(inputs, found, expected)| format!("{}: {inputs:x?} gave {found:x?} instead of {expected:x?}", what());
    Ok((record, first.map(tell)))
}
