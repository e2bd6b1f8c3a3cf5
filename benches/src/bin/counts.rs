//! Bootstraps and levels of every operation and width, in both forms: `cargo xtask counts`.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use fhe_benches::catalogue::{OPERATIONS, WIDTHS};
use fhe_core::{Form, Type};
use serde::Serialize;

#[derive(Parser)]
#[command(about = "Bootstraps and levels of every operation and width, in both forms")]
struct Arguments {
    /// Writes the table as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One row of the table.
#[derive(Serialize)]
struct Count {
    op: &'static str,
    bits: u32,
    signed: bool,
    form: &'static str,
    bootstraps: usize,
    levels: usize,
    lookups: usize,
    keyswitches: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut counts = Vec::new();
    println!("bootstraps/levels, throughput form; latency form");
    println!("{:<14} {:>22} {:>22} {:>22} {:>22}", "operation", "8 bits", "16 bits", "32 bits", "64 bits");
    for signed in [false, true] {
        for operation in OPERATIONS {
            let mut line = format!("{:<14}", format!("{}{}", if signed { "i " } else { "u " }, operation.name));
            for bits in WIDTHS {
                let ty = if signed { Type::Int(bits) } else { Type::Uint(bits) };
                let program = operation.program(ty)?;
                let mut cell = Vec::new();
                for (form, name) in [(Form::Throughput, "throughput"), (Form::Latency, "latency")] {
                    let counted = program.statistics(form)?;
                    cell.push(format!("{}/{}", counted.bootstraps, counted.levels));
                    counts.push(Count {
                        op: operation.name,
                        bits,
                        signed,
                        form: name,
                        bootstraps: counted.bootstraps,
                        levels: counted.levels,
                        lookups: counted.lookups,
                        keyswitches: counted.keyswitches,
                    });
                }
                write!(line, " {:>22}", cell.join("; "))?;
            }
            println!("{line}");
        }
    }
    if let Some(path) = arguments.json {
        let text = serde_json::to_string_pretty(&counts)?;
        std::fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
