//! Figures of each kernel on each architecture, as a value, a table and JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;

use super::manifest::Module;
use super::parallel::parallel;
use super::ptxas::{self, Resources};
use super::sass::{self, Code, Mix};
use super::scratch::Scratch;
use super::tools::Tools;

/// Figures of one kernel on one architecture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// The module that holds it.
    pub module: String,
    /// The kernel.
    pub kernel: String,
    /// Real architecture that it was assembled for.
    pub architecture: u32,
    /// Virtual architecture of the PTX.
    pub compute: u32,
    /// Registers of a thread.
    pub registers: u32,
    /// Bytes of a thread's stack frame.
    pub stack_bytes: u32,
    /// Bytes that a thread's spills store.
    pub spill_store_bytes: u32,
    /// Bytes that a thread's spills load.
    pub spill_load_bytes: u32,
    /// Shared memory of fixed size, in bytes.
    pub static_shared_bytes: u32,
    /// Instructions and loops.
    #[serde(flatten)]
    pub code: Code,
}

impl Figures {
    /// Bytes of all spills.
    #[must_use]
    pub fn spill_bytes(&self) -> u32 {
        self.spill_store_bytes + self.spill_load_bytes
    }

    /// FP64 instructions of the hottest loop.
    #[must_use]
    pub fn loop_fp64(&self) -> u32 {
        self.code.hottest().map_or(0, |hottest| hottest.mix.fp64)
    }

    /// Accesses to local memory in the hottest loop.
    #[must_use]
    pub fn loop_local(&self) -> u32 {
        self.code.hottest().map_or(0, |hottest| hottest.mix.ldl + hottest.mix.stl)
    }
}

/// Assembles each module for each architecture, with the PTX that the library would choose there. Sorted by module,
/// kernel and architecture.
///
/// # Errors
/// If a tool refuses.
pub fn measure(tools: &Tools, modules: &[Module], architectures: &[u32]) -> Result<Vec<Figures>> {
    let mut best: BTreeMap<(&str, u32), &Module> = BTreeMap::new();
    for &architecture in architectures {
        for module in modules.iter().filter(|module| module.compute <= architecture) {
            let entry = best.entry((&module.name, architecture)).or_insert(module);
            if entry.compute < module.compute {
                *entry = module;
            }
        }
    }
    let jobs: Vec<_> = best.into_iter().map(|((_, architecture), module)| (module, architecture)).collect();
    let measured = parallel(&jobs, |&(module, architecture)| {
        one(tools, module, architecture).with_context(|| format!("{} on sm_{architecture}", module.file()))
    })?;
    let mut figures: Vec<_> = measured.into_iter().flatten().collect();
    figures.sort_by(|a, b| (&a.module, &a.kernel, a.architecture).cmp(&(&b.module, &b.kernel, b.architecture)));
    Ok(figures)
}

fn one(tools: &Tools, module: &Module, architecture: u32) -> Result<Vec<Figures>> {
    let folder = Scratch::new()?;
    let (ptx, cubin) = (folder.path().join("module.ptx"), folder.path().join("module.cubin"));
    fs::write(&ptx, &module.ptx)?;
    let resources = ptxas::assemble(&tools.ptxas(), architecture, &ptx, &cubin)?;
    let mut codes = sass::disassemble(&tools.nvdisasm(), &cubin)?;
    resources
        .into_iter()
        .map(|resources| {
            let Resources { kernel, registers, stack_bytes, spill_store_bytes, spill_load_bytes, static_shared_bytes } =
                resources;
            let code = codes.remove(&kernel).with_context(|| format!("nvdisasm shows no code of {kernel}"))?;
            Ok(Figures {
                module: module.name.clone(),
                kernel,
                architecture,
                compute: module.compute,
                registers,
                stack_bytes,
                spill_store_bytes,
                spill_load_bytes,
                static_shared_bytes,
                code,
            })
        })
        .collect()
}

/// A table for people: a line for each kernel and architecture, and one for its hottest loop, marked with `*`, or for all
/// of its loops.
#[must_use]
pub fn table(figures: &[Figures], all_loops: bool) -> String {
    let width = figures.iter().map(|figures| name(figures).len()).max().unwrap_or(0).max("  * loop at 0x00000".len());
    let mut text = format!(
        "Bytes of a thread: stack, spill stores (spSt) and loads (spLd), shared memory moved (smB). Of a block: smem.\n\
         {:<width$} {:>5} {:>4} {:>5} {:>5} {:>5} {:>6} | {}\n",
        "kernel",
        "arch",
        "regs",
        "stack",
        "spSt",
        "spLd",
        "smem",
        mix_heading()
    );
    for figures in figures {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<width$} {:>5} {:>4} {:>5} {:>5} {:>5} {:>6} | {}",
            name(figures),
            format!("sm_{}", figures.architecture),
            figures.registers,
            figures.stack_bytes,
            figures.spill_store_bytes,
            figures.spill_load_bytes,
            figures.static_shared_bytes,
            mix_line(&figures.code.mix)
        );
        for found in figures.code.loops.iter().filter(|found| all_loops || found.hottest) {
            let mark = if found.hottest { '*' } else { ' ' };
            let place =
                format!("{:indent$}{mark} loop at {:#x}", "", found.offset, indent = 2 + 2 * found.depth as usize);
            let _ = writeln!(text, "{place:<rest$} | {}", mix_line(&found.mix), rest = width + 36);
        }
    }
    text
}

fn name(figures: &Figures) -> String {
    format!("{}.{}", figures.module, figures.kernel)
}

fn mix_heading() -> String {
    format!(
        "{:>6} {:>5} {:>5} {:>4} {:>4} {:>4} {:>4} {:>4} {:>4} {:>4} {:>4} {:>5}",
        "instr", "fp64", "conv", "LDS", "STS", "LDG", "STG", "LDL", "STL", "SHFL", "BAR", "smB"
    )
}

fn mix_line(mix: &Mix) -> String {
    format!(
        "{:>6} {:>5} {:>5} {:>4} {:>4} {:>4} {:>4} {:>4} {:>4} {:>4} {:>4} {:>5}",
        mix.instructions,
        mix.fp64,
        mix.conversions,
        mix.lds,
        mix.sts,
        mix.ldg,
        mix.stg,
        mix.ldl,
        mix.stl,
        mix.shfl,
        mix.bar,
        mix.shared_bytes
    )
}
