//! Section 6: operations on integers, through the engine: a batch that fills the card, and one row.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use fhe_benches::sampling::{Effort, Spread, sample};
use fhe_core::{Backend, Batch, Bits, ClientKey, Engine, Form, Program, RunOptions, RunReport, Type};
use fhe_gpu::CudaBackend;
use fhe_tests::catalogue::Operation;
use fhe_tests::clear;
use fhe_tests::columns::Numbers;
use serde::Serialize;

use crate::arguments::Kernel;
use crate::worker::Context;

/// Operations, with the width of their operands.
pub const MEASURED: [(&str, u32); 6] =
    [("add", 8), ("add", 64), ("and", 8), ("and", 64), ("mul", 32), ("transfer", 64)];

/// One operation at one number of rows; the time includes copies to and from the card.
#[derive(Serialize)]
struct Operations {
    operation: &'static str,
    bits: u32,
    rows: usize,
    form: &'static str,
    median_operations_per_s: f64,
    bootstraps_per_operation: u64,
    bootstraps_per_s: f64,
    levels: usize,
    rows_per_chunk: usize,
    /// Of one more run that waits after every step.
    copies_ms: f64,
    linear_ms: f64,
    keyswitch_ms: f64,
    bootstrap_ms: f64,
    #[serde(flatten)]
    spread: Spread,
}

/// Measures all operations; the short times of single rows first.
pub fn run(context: &mut Context) -> Result<()> {
    let engine = Engine::new(context.open(Kernel::ALL[0])?, &context.keys()?.1)?;
    let started = Instant::now();
    for form in [Form::Latency, Form::Throughput] {
        for (name, bits) in MEASURED.into_iter().filter(|(_, bits)| *bits <= context.sizes.widest) {
            if started.elapsed() > context.sizes.integers {
                println!("  {name} {bits} left out: no time");
                let left_out = serde_json::json!({ "operation": name, "bits": bits, "left_out": "no time" });
                context.journal.record("integers", left_out)?;
                continue;
            }
            let operation = Operation::find(name).context("an operation of the catalogue")?;
            let program = operation.program(Type::Uint(bits))?;
            let rows = match form {
                Form::Latency => 1,
                Form::Throughput => context.sizes.rows.map_or_else(|| rows(&engine, &program), Ok)?,
            };
            let client = &context.keys()?.0;
            let measured = measure(context.sizes.effort, &engine, client, operation, bits, &program, form, rows)?;
            println!(
                "  {name:<9} {bits:>2} bits {rows:>6} rows {:>11.1} operations/s  {:>9.3} ms ({:.3} to {:.3})  {} bootstraps in \
                 {} levels",
                measured.median_operations_per_s,
                measured.spread.median_ms,
                measured.spread.min_ms,
                measured.spread.max_ms,
                measured.bootstraps_per_operation,
                measured.levels
            );
            context.journal.record("integers", measured)?;
        }
    }
    Ok(())
}

/// Rows that fill the card at the mean width of the program's levels.
pub fn rows<B: Backend>(engine: &Engine<B>, program: &Program) -> Result<usize> {
    let counts = program.statistics(Form::Throughput)?;
    let width = counts.bootstraps.div_ceil(counts.levels.max(1)).max(1);
    Ok(engine.backend().properties().batch.div_ceil(width))
}

/// Random inputs in the clear, row by row, and encrypted.
pub fn inputs(client: &ClientKey, program: &Program, rows: usize, seed: u64) -> Result<(Vec<Vec<Bits>>, Batch)> {
    let (graph, mut numbers) = (program.graph(), Numbers(seed));
    let types: Vec<Type> = graph.inputs().iter().map(|port| graph.ty(port.node)).collect();
    let clear: Vec<Vec<Bits>> = (0..rows).map(|_| types.iter().map(|&ty| numbers.uniform(ty)).collect()).collect();
    let mut batch = Batch::new();
    for (index, (port, ty)) in graph.inputs().iter().zip(&types).enumerate() {
        let bits: Vec<Bits> = clear.iter().map(|row| row[index]).collect();
        batch.insert(&port.name, client.encrypt_bits(*ty, &bits)?)?;
    }
    Ok((clear, batch))
}

/// Compares every output of every row with plain integers.
fn check(client: &ClientKey, program: &Program, clear: &[Vec<Bits>], outputs: &Batch) -> Result<()> {
    for (index, port) in program.graph().outputs().iter().enumerate() {
        let found = client.decrypt_bits(outputs.column(&port.name)?)?;
        let wanted = clear.iter().map(|row| clear::evaluate(program.graph(), row)[index]);
        let wrong = found.iter().zip(wanted).filter(|(found, wanted)| **found != *wanted).count();
        ensure!(wrong == 0, "{wrong} of {} results `{}` are wrong", clear.len(), port.name);
    }
    Ok(())
}

#[allow(clippy::too_many_arguments, reason = "a measurement names what it measures")]
fn measure(
    effort: Effort,
    engine: &Engine<CudaBackend>,
    client: &ClientKey,
    operation: &Operation,
    bits: u32,
    program: &Program,
    form: Form,
    rows: usize,
) -> Result<Operations> {
    let (clear, batch) = inputs(client, program, rows, u64::from(bits))?;
    let run = |profile| engine.run_with(program, &batch, RunOptions::new().form(form).profile(profile));
    let (outputs, _) = run(false)?;
    check(client, program, &clear, &outputs).with_context(|| format!("{} at {bits} bits", operation.name))?;
    // A run downloads its results, so it ends when the card is done.
    let spread = sample(effort, |calls| (0..calls).try_for_each(|_| run(false).map(|_| ())))?;
    let (_, report): (Batch, RunReport) = run(true)?;
    let millis = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let bootstraps = report.bootstraps / rows as u64;
    Ok(Operations {
        operation: operation.name,
        bits,
        rows,
        form: if form == Form::Latency { "latency" } else { "throughput" },
        median_operations_per_s: spread.per_second(rows),
        bootstraps_per_operation: bootstraps,
        bootstraps_per_s: spread.per_second(rows) * bootstraps as f64,
        levels: report.levels,
        rows_per_chunk: report.rows_per_chunk,
        copies_ms: millis(report.transfer),
        linear_ms: millis(report.linear),
        keyswitch_ms: millis(report.keyswitch),
        bootstrap_ms: millis(report.bootstrap),
        spread,
    })
}
