//! Confidential transfers: moves encrypted amounts between encrypted balances where the payer can afford it, without
//! anyone seeing balances, amounts, or which of the transfers went through.
//!
//! `cargo run --release --example 02_transfers -- data/transfers.csv [--backend simulate]`

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use fhe_core::engine::{RunOptions, RunReport};
use fhe_core::{Backend, Batch, ClientKey, CpuBackend, Engine, ParameterSet, Program, SimulationBackend};

/// Moves encrypted amounts between encrypted balances.
#[derive(Parser)]
#[command(name = "02_transfers")]
struct Args {
    /// A table with the columns from, to and amount: two balances, and what shall move from the first to the second.
    file: PathBuf,
    /// Where to compute: `simulate` encrypts nothing.
    #[arg(long, value_enum, default_value = "cpu")]
    backend: BackendName,
    /// Threads of the CPU backend [default: all cores].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BackendName {
    Cpu,
    Simulate,
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Transfer {
    from: u64,
    to: u64,
    amount: u64,
}

impl Transfer {
    /// The balances afterwards, in the clear.
    fn balances(&self) -> (u64, u64) {
        let moved = if self.from >= self.amount { self.amount } else { 0 };
        (self.from.wrapping_sub(moved), self.to.wrapping_add(moved))
    }
}

/// The same on encrypted values: nothing branches, an amount that cannot be afforded becomes 0.
fn program() -> fhe_core::Result<Program> {
    Program::trace(|t| {
        let (from, to, amount) = (t.input::<u64>("from"), t.input::<u64>("to"), t.input::<u64>("amount"));
        let affordable = from.ge(&amount);
        let moved = affordable.select(&amount, 0);
        t.output("from", &(&from - &moved));
        t.output("to", &(&to + &moved));
    })
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

/// Whether every transfer came out as in the clear.
fn run(args: &Args, out: &mut impl Write) -> Result<bool> {
    let named = || format!("cannot read {}", args.file.display());
    let file = std::fs::File::open(&args.file).with_context(named)?;
    let transfers = parse(file).with_context(named)?;
    let parameters = ParameterSet::default();
    match args.backend {
        BackendName::Simulate => check(&transfers, &ClientKey::simulated(parameters), SimulationBackend::new(), out),
        BackendName::Cpu => {
            let backend = args.threads.map_or_else(CpuBackend::new, |n| CpuBackend::with_threads(n.into()))?;
            check(&transfers, &ClientKey::generate(parameters)?, backend, out)
        }
    }
}

fn check<B: Backend>(transfers: &[Transfer], client: &ClientKey, backend: B, out: &mut impl Write) -> Result<bool> {
    let encrypt = |field: fn(&Transfer) -> u64| client.encrypt(&transfers.iter().map(field).collect::<Vec<_>>());
    let batch = Batch::new()
        .with("from", encrypt(|transfer| transfer.from)?)?
        .with("to", encrypt(|transfer| transfer.to)?)?
        .with("amount", encrypt(|transfer| transfer.amount)?)?;

    let engine = Engine::new(backend, &client.evaluation_key()?)?;
    let (results, report) = engine.run_with(&program()?, &batch, RunOptions::new())?;

    let from = client.decrypt::<u64>(results.column("from")?)?;
    let to = client.decrypt::<u64>(results.column("to")?)?;
    let balances: Vec<(u64, u64)> = from.into_iter().zip(to).collect();
    let wrong = table(transfers, &balances, out)?;
    summary(&report, engine.backend().properties().device.as_str(), out)?;
    let right = transfers.len() - wrong;
    writeln!(out, "{} transfers={right}/{}", if wrong == 0 { "OK" } else { "FAILED" }, transfers.len())?;
    Ok(wrong == 0)
}

/// Prints all transfers with the decrypted balances; how many differ from clear arithmetic.
fn table(transfers: &[Transfer], balances: &[(u64, u64)], out: &mut impl Write) -> Result<usize> {
    writeln!(out, "{:>20} {:>20} {:>20}    {:>20} {:>20}", "from", "to", "amount", "from after", "to after")?;
    let mut wrong = 0;
    for (transfer, &(from, to)) in transfers.iter().zip(balances) {
        let expected = transfer.balances();
        let note = if expected != (from, to) {
            wrong += 1;
            format!("WRONG, expected {expected:?}")
        } else if transfer.from < transfer.amount {
            "refused".to_owned()
        } else {
            "moved".to_owned()
        };
        let Transfer { from: before, to: before_to, amount } = transfer;
        writeln!(out, "{before:>20} {before_to:>20} {amount:>20} -> {from:>20} {to:>20} {note}")?;
    }
    Ok(wrong)
}

fn summary(report: &RunReport, device: &str, out: &mut impl Write) -> Result<()> {
    let seconds = report.elapsed.as_secs_f64();
    writeln!(
        out,
        "{} bootstraps per transfer, {} in all, {} form of {} levels, on {device}",
        report.bootstraps / report.rows as u64,
        report.bootstraps,
        format!("{:?}", report.form).to_lowercase(),
        report.levels,
    )?;
    writeln!(
        out,
        "{seconds:.2} s: {:.2} transfers/s, {:.0} bootstraps/s",
        report.rows as f64 / seconds,
        report.bootstraps_per_second(),
    )?;
    Ok(())
}

/// Reads the table; what is wrong with it comes with its line.
fn parse(source: impl Read) -> Result<Vec<Transfer>> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(source);
    let mut lines = reader.records();
    let Some(header) = lines.next() else { bail!("the file is empty") };
    let header = header?;
    ensure!(
        header.iter().eq(["from", "to", "amount"]),
        "line 1: expected the column names `from,to,amount`, found `{}`",
        header.iter().collect::<Vec<_>>().join(",")
    );
    let mut transfers = Vec::new();
    for record in lines {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        ensure!(record.len() == 3, "line {line}: {} fields, expected 3", record.len());
        let field = |index: usize| {
            let text = &record[index];
            text.parse::<u64>().with_context(|| {
                format!("line {line}, column `{}`: `{text}` is no number from 0 to 2^64 - 1", &header[index])
            })
        };
        transfers.push(Transfer { from: field(0)?, to: field(1)?, amount: field(2)? });
    }
    ensure!(!transfers.is_empty(), "no transfers after the first line");
    Ok(transfers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        format!("{:#}", parse(text.as_bytes()).unwrap_err())
    }

    #[test]
    fn malformed_lines_are_named() {
        assert_eq!(refusal(""), "the file is empty");
        assert_eq!(refusal("from,to,amount\n"), "no transfers after the first line");
        assert!(refusal("a,b\n1,2\n").starts_with("line 1: expected the column names"));
        assert_eq!(refusal("from,to,amount\n1,2,3\n1,2\n"), "line 3: 2 fields, expected 3");
        assert!(refusal("from,to,amount\n1,-2,3\n").starts_with("line 2, column `to`: `-2` is no number"));
        assert!(refusal("from,to,amount\n1,2,18446744073709551616\n").contains("column `amount`"));
    }

    #[test]
    fn every_kind_of_transfer_comes_out_as_in_the_clear() {
        let table = "from,to,amount\n5,1,5\n4,1,5\n18446744073709551615,0,18446744073709551615\n0,0,0\n9,18446744073709551615,1\n";
        let transfers = parse(table.as_bytes()).unwrap();
        let mut out = Vec::new();
        let client = ClientKey::simulated(ParameterSet::default());
        assert!(check(&transfers, &client, SimulationBackend::new(), &mut out).unwrap());
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("refused") && out.ends_with("OK transfers=5/5\n"), "{out}");
    }
}
