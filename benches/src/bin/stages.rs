//! Where the time of the CPU backend goes, from the stages of a blind rotation to a whole run:
//! `cargo run --release --bin fhe-stages`. A section at a time with `--only`.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use fhe_benches::paired::measure;
use fhe_core::backend::Backend;
use fhe_core::cpu::SimdLevel;
use fhe_core::lookup::{Lookup, LookupOutput, LookupTable};
use fhe_core::{
    Batch, ClientKey, CpuBackend, Encrypted, Engine, EvaluationKey, Form, ParameterSet, Program, RunOptions,
};

#[derive(Parser)]
#[command(about = "Where the time of the CPU backend goes")]
struct Arguments {
    /// Only this section.
    #[arg(long)]
    only: Option<Section>,
    /// Rows of the programs in `forms`.
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "1,2,4,16,64")]
    rows: Vec<usize>,
    /// Repetitions, of which the fastest or the median counts.
    #[arg(long, value_name = "N", default_value_t = 3)]
    repetitions: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// The stages of a step of blind rotation, on one thread.
    Stages,
    /// Keyswitch and bootstrap by number of rows, on one thread and on all.
    Rows,
    /// Both forms of two programs by number of rows, and the engine's choice.
    Forms,
    /// The parts of a run of additions.
    Layers,
    /// Tracing and planning of a program of ten thousand bootstraps.
    Planning,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let wanted = |section| arguments.only.is_none_or(|only| only == section);
    if wanted(Section::Planning) {
        planning(arguments.repetitions)?;
    }
    if arguments.only == Some(Section::Planning) {
        return Ok(());
    }
    let client = ClientKey::generate(ParameterSet::default())?;
    let key = client.evaluation_key()?;
    if wanted(Section::Stages) {
        stages(&key)?;
    }
    if wanted(Section::Rows) {
        rows(&client, &key, arguments.repetitions)?;
    }
    let engine = Engine::new(CpuBackend::new()?, &key)?;
    if wanted(Section::Layers) {
        layers(&engine, &client)?;
    }
    if wanted(Section::Forms) {
        forms(&engine, &client, &arguments)?;
    }
    Ok(())
}

fn stages(key: &EvaluationKey) -> Result<()> {
    let steps = ParameterSet::default().lwe_dimension();
    println!("\nns per step and ciphertext; {steps} steps make a bootstrap");
    println!(
        "{:<14} {:>5} {:>9} {:>9} {:>9} {:>9} {:>14}",
        "instructions", "tile", "forward", "of it", "product", "inverse", "ms/bootstrap"
    );
    for simd in SimdLevel::available() {
        let loaded = CpuBackend::with_simd(1, simd)?.load_key(key)?;
        for tile in [1, 8, 16] {
            let times = loaded.stage_times(tile);
            let sum = times.forward + times.multiply + times.inverse;
            println!(
                "{:<14} {tile:>5} {:>9.0} {:>9.0} {:>9.0} {:>9.0} {:>14.2}",
                format!("{simd:?}"),
                times.forward,
                times.forward_outer,
                times.multiply,
                times.inverse,
                sum * steps as f64 / 1e6
            );
        }
    }
    Ok(())
}

fn rows(client: &ClientKey, key: &EvaluationKey, repetitions: usize) -> Result<()> {
    println!("\nms per row, the fastest of {repetitions}");
    println!("{:<14} {:>7} {:>5} {:>10} {:>10}", "instructions", "threads", "rows", "keyswitch", "bootstrap");
    let all = std::thread::available_parallelism()?.get();
    let machines = SimdLevel::available().into_iter().map(|simd| (1, simd)).chain([(all, SimdLevel::detect())]);
    for (threads, simd) in machines {
        let backend = CpuBackend::with_simd(threads, simd)?;
        let key = backend.load_key(key)?;
        let tables = backend.load_tables(&key, &[LookupTable::from_fn(|x| x)])?;
        let job = Lookup { input: 0, table: 0, outputs: vec![LookupOutput { at: 0, slot: 0 }] };
        let lookups = backend.load_lookups(&tables, &[job])?;
        for rows in [1, 2, 4, 16, 64] {
            let column = client.encrypt(&vec![true; rows])?;
            let mut buffer = backend.allocate(&key, rows)?;
            let mut result = backend.allocate(&key, rows)?;
            let mut switched = backend.allocate_switched(&key, rows)?;
            backend.upload(column.words(), &mut buffer, 0)?;
            let (mut keyswitch, mut bootstrap) = (Duration::MAX, Duration::MAX);
            for _ in 0..repetitions {
                let started = Instant::now();
                backend.keyswitch(&key, rows, &buffer, &mut switched)?;
                let switched_at = Instant::now();
                backend.bootstrap(&key, &tables, &lookups, rows, &switched, &mut result)?;
                keyswitch = keyswitch.min(switched_at - started);
                bootstrap = bootstrap.min(switched_at.elapsed());
            }
            let per_row = |time: Duration| time.as_secs_f64() * 1e3 / rows as f64;
            println!(
                "{:<14} {threads:>7} {rows:>5} {:>10.3} {:>10.3}",
                format!("{simd:?}"),
                per_row(keyswitch),
                per_row(bootstrap)
            );
        }
    }
    Ok(())
}

fn layers(engine: &Engine<CpuBackend>, client: &ClientKey) -> Result<()> {
    let started = Instant::now();
    let sum = Program::trace(|t| {
        let (a, b) = (t.input::<u8>("a"), t.input::<u8>("b"));
        t.output("c", &(&a + &b));
    })?;
    sum.statistics(Form::Latency)?;
    let planned = started.elapsed();
    let (a, b): (Vec<u8>, Vec<u8>) = (0..64).map(|row| (row * 5, 200 - row)).unzip();
    let batch = Batch::new().with("a", client.encrypt(&a)?)?.with("b", client.encrypt(&b)?)?;
    let (result, report) = engine.run_with(&sum, &batch, RunOptions::new().profile(true))?;
    let expected: Vec<u8> = a.iter().zip(&b).map(|(a, b)| a.wrapping_add(*b)).collect();
    ensure!(client.decrypt::<u8>(result.column("c")?)? == expected, "a wrong answer is not worth measuring");
    let (whole, kernels) = (report.elapsed + planned, report.keyswitch + report.bootstrap);
    println!("\n64 rows of an 8-bit addition, {} bootstraps, from tracing to the result", report.bootstraps);
    let rest = report.elapsed.saturating_sub(report.prepare + report.transfer + report.linear + kernels);
    for (part, time) in [
        ("tracing and planning both forms", planned),
        ("loading the program", report.prepare),
        ("copies", report.transfer),
        ("linear forms", report.linear),
        ("keyswitch", report.keyswitch),
        ("blind rotation", report.bootstrap),
        ("buffers and the rest", rest),
    ] {
        let percent = 100.0 * time.as_secs_f64() / whole.as_secs_f64();
        println!("{part:<34} {:>10.3} ms {percent:>7.2} %", time.as_secs_f64() * 1e3);
    }
    println!(
        "{:<34} {:>10.3} ms {:>7.2} %",
        "keyswitch and blind rotation",
        kernels.as_secs_f64() * 1e3,
        100.0 * kernels.as_secs_f64() / whole.as_secs_f64()
    );
    Ok(())
}

fn forms(engine: &Engine<CpuBackend>, client: &ClientKey, arguments: &Arguments) -> Result<()> {
    let add = Program::trace(|t| {
        let (a, b) = (t.input::<u64>("a"), t.input::<u64>("b"));
        t.output("c", &(&a + &b));
    })?;
    let multiply = Program::trace(|t| {
        let (a, b): (Encrypted<u32>, Encrypted<u32>) = (t.input("a"), t.input("b"));
        t.output("c", &(&a * &b));
    })?;
    println!("\nms for all rows in both forms; what the engine takes, and its time over that of the better one");
    println!("{:<8} {:>5} {:>12} {:>12} {:<12} {:>6}", "program", "rows", "throughput", "latency", "choice", "over");
    for (name, program) in [("add_u64", &add), ("mul_u32", &multiply)] {
        for &rows in &arguments.rows {
            let values = (0..rows as u64).map(|row| row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7);
            let batch = if name == "add_u64" {
                let values: Vec<u64> = values.collect();
                Batch::new().with("a", client.encrypt(&values)?)?.with("b", client.encrypt(&values)?)?
            } else {
                let values: Vec<u32> = values.map(|value| value as u32).collect();
                Batch::new().with("a", client.encrypt(&values)?)?.with("b", client.encrypt(&values)?)?
            };
            let run = |form| engine.run_with(program, &batch, RunOptions::new().form(form)).map(drop);
            let failed = RefCell::new(None);
            let timed = |form| {
                if let Err(error) = run(form) {
                    failed.borrow_mut().get_or_insert(error);
                }
            };
            let pair = measure(arguments.repetitions, || timed(Form::Throughput), || timed(Form::Latency));
            failed.into_inner().map_or(Ok(()), Err)?;
            let choice = engine.choose_form(program, rows)?;
            let chosen_over_other = if choice == Form::Throughput { 1.0 / pair.ratio } else { pair.ratio };
            println!(
                "{name:<8} {rows:>5} {:>12.1} {:>12.1} {:<12} {:>4.0} %",
                pair.ours.as_secs_f64() * 1e3,
                pair.peer.as_secs_f64() * 1e3,
                format!("{choice:?}"),
                100.0 * (chosen_over_other.max(1.0) - 1.0)
            );
        }
    }
    Ok(())
}

fn planning(repetitions: usize) -> Result<()> {
    const PRODUCTS: usize = 9;
    let mut times = [Duration::MAX; 3];
    let mut bootstraps = [0; 2];
    for _ in 0..repetitions {
        let started = Instant::now();
        let mut traced = None;
        let program = Program::trace(|t| {
            for index in 0..PRODUCTS {
                let (a, b) = (t.input::<u64>(&format!("a{index}")), t.input::<u64>(&format!("b{index}")));
                t.output(&format!("c{index}"), &(&a * &b));
            }
            traced = Some(started.elapsed());
        })?;
        let both = started.elapsed();
        let traced = traced.context("the trace ran")?;
        let started = Instant::now();
        bootstraps[1] = program.statistics(Form::Latency)?.bootstraps;
        let latency = started.elapsed();
        bootstraps[0] = program.statistics(Form::Throughput)?.bootstraps;
        for (best, time) in times.iter_mut().zip([traced, both.saturating_sub(traced), latency]) {
            *best = (*best).min(time);
        }
    }
    let [traced, throughput, latency] = times.map(|time| time.as_secs_f64() * 1e3);
    println!("\n{PRODUCTS} products of 64 bits");
    println!("{:<34} {traced:>10.3} ms", "tracing");
    println!("{:<34} {throughput:>10.3} ms, {} bootstraps", "planning for throughput", bootstraps[0]);
    println!("{:<34} {latency:>10.3} ms, {} bootstraps", "planning for latency", bootstraps[1]);
    Ok(())
}
