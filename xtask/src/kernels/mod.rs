//! `cargo xtask kernels`: PTX from the CUDA sources, and what the machine code made from it costs.
//!
//! No GPU and no CUDA toolkit: compiler, assembler and disassembler are pinned Python packages.

mod figures;
mod manifest;
mod nvrtc;
mod parallel;
mod ptxas;
mod sass;
mod scratch;
mod sources;
mod tools;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use figures::Figures;
use manifest::{Module, Outputs};
use nvrtc::Nvrtc;
use parallel::parallel;
use sources::{ARCHITECTURES, Sources};
use tools::Tools;

/// Options of the command.
#[derive(Args, Debug)]
pub struct Options {
    /// Writes nothing: fails if PTX or MANIFEST are stale or a figure is over kernels/BUDGET.toml.
    #[arg(long, conflicts_with_all = ["figures", "update_budget"])]
    check: bool,
    /// Writes nothing and compares nothing: prints the figures of the sources as they are.
    #[arg(long)]
    figures: bool,
    /// With --figures, only the sources whose names contain this.
    #[arg(long, value_name = "PART", requires = "figures")]
    only: Option<String>,
    /// One more architecture to assemble for, such as 86 or 89; may be repeated. No budget applies to it.
    #[arg(long = "arch", value_name = "N")]
    architectures: Vec<u32>,
    /// Writes the figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes the present figures into kernels/BUDGET.toml, keeping its comments and other fields.
    #[arg(long, conflicts_with = "figures")]
    update_budget: bool,
    /// Another folder with `cuda`, `ptx`, `src`, MANIFEST and BUDGET.toml in place of the workspace's `kernels`.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// If a tool is missing or refuses, and for everything that `--check` finds.
pub fn run(options: &Options) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    let kernels = options.folder.clone().unwrap_or_else(|| root.join("kernels"));
    let cache = env::var_os("FHE_KERNELS_CACHE").map_or_else(|| root.join("target/cuda-tools"), PathBuf::from);
    let mut sources = Sources::read(&kernels.join("cuda"))?;
    if let Some(part) = &options.only {
        sources.units.retain(|unit| unit.name().contains(part));
    }
    let tools = Tools::install(OsStr::new("python3"), &cache)?;
    let modules = compile(&tools, &sources, root)?;
    let outputs = Outputs::new(&sources, &modules);

    let mut problems = Vec::new();
    if options.check {
        problems.extend(outputs.stale(&kernels)?.into_iter().map(|file| format!("stale: {file}")));
    } else if !options.figures {
        for file in outputs.write(&kernels)? {
            println!("wrote {file}");
        }
    }
    if options.check || options.figures || options.update_budget || options.json.is_some() {
        let mut architectures = [&ARCHITECTURES[..], &options.architectures].concat();
        architectures.sort_unstable();
        architectures.dedup();
        let figures = figures::measure(&tools, &modules, &architectures)?;
        print!("{}", figures::table(&figures));
        if let Some(file) = &options.json {
            write_json(file, &figures)?;
        }
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}

/// PTX of every source, sorted by name and architecture. Prints the compiler's warnings.
fn compile(tools: &Tools, sources: &Sources, root: &Path) -> Result<Vec<Module>> {
    let nvrtc = Nvrtc::load(&tools.nvrtc())?;
    let jobs: Vec<_> = sources
        .units
        .iter()
        .flat_map(|unit| unit.architectures.iter().map(move |&architecture| (unit, architecture)))
        .collect();
    let root = root.to_string_lossy();
    parallel(&jobs, |&(unit, compute)| {
        let compiled = nvrtc.compile(unit, sources, compute)?;
        if !compiled.log.trim().is_empty() {
            eprintln!("{} for compute_{compute}:\n{}", unit.source.file, compiled.log.trim_end());
        }
        // The compiler is not told of any path; should it find one out, the PTX would differ between machines.
        ensure!(!compiled.ptx.contains(&*root), "the PTX of {} names a folder of this machine", unit.source.file);
        Ok(Module { name: unit.name().to_owned(), compute, ptx: compiled.ptx })
    })
}

fn write_json(file: &Path, figures: &[Figures]) -> Result<()> {
    let text = serde_json::to_string_pretty(figures)? + "\n";
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
