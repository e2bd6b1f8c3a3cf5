//! Bootstraps and levels of every operation and width, in both forms: `cargo xtask counts`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;
use fhe_tests::catalogue::WIDTHS;
use fhe_tests::counts::{self, Count};

#[derive(Parser)]
#[command(about = "Bootstraps and levels of every operation and width, in both forms")]
struct Arguments {
    /// Writes all rows as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes the table of the crate documentation.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Only the operations whose names contain this.
    #[arg(long, value_name = "PART")]
    only: Option<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let counts = counts::measure()?;
    println!("bootstraps/levels, throughput form; latency form");
    print!("{:<26}", "operation");
    for bits in WIDTHS {
        print!(" {:>22}", format!("{bits} bits"));
    }
    println!();
    for signed in [false, true] {
        let mut names: Vec<&str> = counts.iter().map(|row| row.op.as_str()).collect();
        names.dedup();
        for name in names.into_iter().filter(|name| arguments.only.as_ref().is_none_or(|part| name.contains(part))) {
            let rows: Vec<&Count> = counts.iter().filter(|row| row.op == name && row.signed == signed).collect();
            if !rows.is_empty() {
                println!("{:<26}{}", format!("{}{name}", if signed { "i " } else { "u " }), cells(&rows));
            }
        }
    }
    if let Some(path) = arguments.json {
        write(&path, &counts::json(&counts))?;
    }
    if let Some(path) = arguments.markdown {
        write(&path, &counts::markdown(&counts))?;
    }
    Ok(())
}

fn cells(rows: &[&Count]) -> String {
    let cell = |bits: &u32| {
        let pair: Vec<String> = rows
            .iter()
            .filter(|row| row.bits == *bits)
            .map(|row| format!("{}/{}", row.bootstraps, row.levels))
            .collect();
        format!(" {:>22}", pair.join("; "))
    };
    WIDTHS.iter().map(cell).collect()
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
