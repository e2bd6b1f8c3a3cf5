//! `cargo xtask kernels`: PTX from the CUDA sources, and what the machine code made from it costs.
//!
//! No GPU and no CUDA toolkit: compiler, assembler and disassembler are pinned Python packages.

mod budget;
mod figures;
mod loops;
mod manifest;
mod nvrtc;
mod parallel;
mod ptxas;
mod sass;
pub mod scratch;
mod sources;
mod tools;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use budget::Budget;
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

    let file = kernels.join("BUDGET.toml");
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
        print!("{}", figures::table(&figures, options.figures));
        if let Some(json) = &options.json {
            write_json(json, &figures)?;
        }
        if options.update_budget {
            let mut budget = Budget::read(&file)?;
            budget.update(&figures);
            fs::write(&file, budget.to_string()).with_context(|| format!("cannot write {}", file.display()))?;
        }
        if options.check || options.update_budget {
            let comparison = Budget::read(&file)?.compare(&figures);
            problems.extend(comparison.problems);
            for note in comparison.notes {
                println!("note: {note}");
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use scratch::Scratch;

    /// A loop that keeps 24 doubles in registers; `BOUNDS` leaves it as many registers as the launch bounds allow.
    const KERNEL: &str = r#"
        // architectures: 80, 90
        #include "step.cuh"
        extern "C" __global__ void BOUNDS kernel(double *data, int steps) {
            double values[24];
        #pragma unroll
            for (int i = 0; i < 24; i++) values[i] = data[threadIdx.x + 64 * i];
        #pragma unroll 1
            for (int s = 0; s < steps; s++) {
        #pragma unroll
                for (int i = 0; i < 24; i++) values[i] = step(values[i], values[(i * 7 + 5) % 24]);
            }
        #pragma unroll
            for (int i = 0; i < 24; i++) data[threadIdx.x + 64 * i] = values[i];
        }"#;

    /// From sources to a check that passes, and then one change of each kind that must not.
    #[test]
    #[ignore = "installs the CUDA tools: needs python3, pip and a package registry"]
    fn a_check_passes_and_planted_faults_fail() -> Result<()> {
        let folder = Scratch::new()?;
        let path = |file: &str| folder.path().join(file);
        let command = |check, update_budget| {
            run(&Options {
                check,
                figures: false,
                only: None,
                architectures: vec![86],
                json: check.then(|| path("figures.json")),
                update_budget,
                folder: Some(folder.path().into()),
            })
        };
        let fails = |expected: &[&str]| {
            let text = command(true, false).unwrap_err().to_string();
            assert!(expected.iter().all(|expected| text.contains(expected)), "{text}");
        };
        fs::create_dir(path("cuda"))?;
        fs::write(path("cuda/step.cuh"), "__device__ double step(double a, double b) { return a * b + 1.0; }")?;
        fs::write(path("cuda/m.cu"), KERNEL.replace("BOUNDS", "__launch_bounds__(64)"))?;
        fails(&[
            "stale: MANIFEST",
            "stale: ptx/m.compute_80.ptx",
            "stale: ptx/m.compute_90.ptx",
            "m.kernel.sm_80: no entry",
        ]);
        command(false, true)?;
        command(true, false)?;
        let figures: serde_json::Value = serde_json::from_str(&fs::read_to_string(path("figures.json"))?)?;
        assert_eq!(figures.as_array().map(Vec::len), Some(3));
        assert_eq!(figures[0]["spill_store_bytes"], 0);
        // One multiplication with addition for each of the 24 values.
        let hottest =
            figures[0]["loops"].as_array().and_then(|loops| loops.iter().find(|found| found["hottest"] == true));
        assert_eq!(hottest.map(|found| &found["mix"]["fp64"]), Some(&24.into()));

        // 2048 threads on a multiprocessor with 65,536 registers: 32 for each, and the values alone are 48.
        fs::write(path("cuda/m.cu"), KERNEL.replace("BOUNDS", "__launch_bounds__(1024, 2)"))?;
        command(false, false)?;
        fails(&["m.kernel.sm_80: spill_bytes is", "m.kernel.sm_90: spill_bytes is", "m.kernel.sm_80: loop_local is"]);

        fs::write(path("cuda/m.cu"), KERNEL.replace("BOUNDS", "__launch_bounds__(64)"))?;
        command(false, false)?;
        command(true, false)?;
        fs::write(path("cuda/step.cuh"), "__device__ double step(double a, double b) { return a * b + 2.0; }")?;
        fails(&["stale: MANIFEST", "stale: ptx/m.compute_90.ptx"]);
        fs::write(path("cuda/step.cuh"), "__device__ double step(double a, double b) { return a * b + ; }")?;
        fails(&[
            "m.cu for compute_80: NVRTC says NVRTC_ERROR_COMPILATION",
            "step.cuh(1): error: expected an expression",
        ]);
        Ok(())
    }
}
