//! Developer commands: `cargo xtask --help`.
//!
//! Heavy work lives in binaries of the other packages. They are started from the workspace root without `-p`, so that
//! cargo resolves the same features as every other build here and compiles the `tfhe` crate only once.

mod bench_report;
mod ci;
mod emulate;
mod kernels;
mod perf;
mod plan;
mod release;
mod shell;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer commands of this workspace")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measures the CPU backend and the tfhe crate side by side, on the same keys and inputs, in one run.
    Peers {
        /// Fewer repetitions, for a first look.
        #[arg(long)]
        quick: bool,
        /// Writes the table as JSON.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Only the measurements whose names contain this.
        #[arg(long, value_name = "PART")]
        only: Option<String>,
        /// Threads for both sides; all cores if absent.
        #[arg(long, value_name = "N")]
        threads: Option<usize>,
    },
    /// Bootstraps and levels of every operation and width, in both forms.
    Counts {
        /// Writes all rows as JSON.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Writes the table of the crate documentation.
        #[arg(long, value_name = "FILE")]
        markdown: Option<PathBuf>,
        /// Only the operations whose names contain this.
        #[arg(long, value_name = "PART")]
        only: Option<String>,
    },
    /// Every operation on random and edge values against plain integers, as long as is asked for; see --help after it.
    Soak {
        /// Number of operations; `--ops` of `fhe-soak`.
        #[arg(long, value_name = "N")]
        ops: u64,
        /// Chooses operations, widths and values.
        #[arg(long, value_name = "S")]
        seed: Option<u64>,
        /// simulate, cpu or gpu.
        #[arg(long, value_name = "BACKEND")]
        backend: Option<String>,
        /// The log, from which a run that was stopped goes on.
        #[arg(long, value_name = "FILE")]
        log: Option<PathBuf>,
        /// Prints the summary as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Where the time of a blind rotation goes, stage by stage, for each instruction set of this machine.
    Stages,
    /// Compiles kernels/cuda to PTX and counts what the machine code costs, without a GPU or a CUDA toolkit.
    Kernels(kernels::Options),
    /// Runs a command on an emulated GPU: the kernels of kernels/cuda, compiled for this machine, with checks.
    Emulate(emulate::Options),
    /// One lane of the continuous integration, or all that need no GPU and no outside service.
    Ci(ci::Options),
    /// Measures this tree and another commit in turn, and says whether a benchmark has become slower.
    Perf(perf::Options),
    /// Everything of a release up to publishing it, in target/release-vVERSION.
    Release(release::Options),
    /// What criterion has measured, as one JSON and as one page with plots.
    BenchReport(bench_report::Options),
    /// Which lanes and tests a change needs; everything, wherever that is not clear.
    Plan {
        /// The commit to compare with.
        #[arg(long, value_name = "REV")]
        base: Option<String>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    let mut arguments: Vec<OsString> = Vec::new();
    let mut option = |name: &str, value: Option<OsString>| {
        if let Some(value) = value {
            arguments.extend([name.into(), value]);
        }
    };
    match task {
        Task::Peers { quick, json, only, threads } => {
            option("--json", json.map(absolute).transpose()?);
            option("--only", only.map(Into::into));
            option("--threads", threads.map(|threads| threads.to_string().into()));
            if quick {
                arguments.push("--quick".into());
            }
            binary("fhe-peers", &arguments)
        }
        Task::Counts { json, markdown, only } => {
            option("--json", json.map(absolute).transpose()?);
            option("--markdown", markdown.map(absolute).transpose()?);
            option("--only", only.map(Into::into));
            binary("fhe-counts", &arguments)
        }
        Task::Soak { ops, seed, backend, log, json } => {
            let gpu = backend.as_deref() == Some("gpu");
            option("--ops", Some(ops.to_string().into()));
            option("--seed", seed.map(|seed| seed.to_string().into()));
            option("--backend", backend.map(Into::into));
            option("--log", log.map(absolute).transpose()?);
            if json {
                arguments.push("--json".into());
            }
            binary_with("fhe-soak", if gpu { &["--features", "gpu"] } else { &[] }, &arguments)
        }
        Task::Stages => binary("fhe-stages", &[]),
        Task::Kernels(options) => kernels::run(&options),
        Task::Emulate(options) => emulate::run(&options),
        Task::Ci(options) => ci::run(&options),
        Task::Perf(options) => perf::run(&options),
        Task::Release(options) => ci::run(&ci::Options::release(options)),
        Task::BenchReport(options) => bench_report::run(&options),
        Task::Plan { base, json } => {
            let plan = plan::since(base.as_deref(), &shell::Machine::new(root()?, &[])?);
            println!("{}", if json { serde_json::to_string_pretty(&plan)? } else { plan.text() });
            Ok(())
        }
    }
}

fn words(line: &str) -> Vec<OsString> {
    line.split(' ').map(Into::into).collect()
}

/// The command runs in the workspace root, so paths are made absolute first.
fn absolute(path: PathBuf) -> Result<OsString> {
    Ok(std::path::absolute(path)?.into_os_string())
}

fn binary(name: &str, arguments: &[OsString]) -> Result<()> {
    binary_with(name, &[], arguments)
}

fn binary_with(name: &str, features: &[&str], arguments: &[OsString]) -> Result<()> {
    let mut line = words("run --release --quiet --bin");
    line.push(name.into());
    line.extend(features.iter().map(Into::into));
    line.push("--".into());
    line.extend_from_slice(arguments);
    cargo(&line)
}

fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")
}

fn cargo(arguments: &[OsString]) -> Result<()> {
    let root = root()?;
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(program).args(arguments).current_dir(root).status().context("cannot start cargo")?;
    if !status.success() {
        bail!("cargo {} ended with {status}", arguments[0].display());
    }
    Ok(())
}
