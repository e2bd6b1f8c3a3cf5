//! What the assembler says about each kernel.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Resources of one kernel, from `ptxas --verbose`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// The kernel's name.
    pub kernel: String,
    /// Registers of a thread.
    pub registers: u32,
    /// Bytes of a thread's stack frame: spills, and arrays that are indexed at run time.
    pub stack_bytes: u32,
    /// Bytes that a thread's spills store, each place counted once.
    pub spill_store_bytes: u32,
    /// Bytes that a thread's spills load, each place counted once.
    pub spill_load_bytes: u32,
    /// Bytes of shared memory that the source declares with a size.
    pub static_shared_bytes: u32,
}

/// Assembles a PTX file.
///
/// # Errors
/// With the assembler's messages, if it refuses.
pub fn assemble(ptxas: &Path, architecture: u32, ptx: &Path, cubin: &Path) -> Result<Vec<Resources>> {
    let output = Command::new(ptxas)
        .args(["--verbose", "--gpu-name", &format!("sm_{architecture}"), "--output-file"])
        .args([cubin, ptx])
        .output()
        .with_context(|| format!("cannot start {}", ptxas.display()))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("ptxas refuses the PTX for sm_{architecture}:\n{text}{}", String::from_utf8_lossy(&output.stdout));
    }
    parse(&text)
}

/// Reads the messages. Functions that were not inlined have lines of their own, which count for the kernel that they
/// were compiled with.
fn parse(text: &str) -> Result<Vec<Resources>> {
    let mut kernels: Vec<Resources> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.split("Compiling entry function '").nth(1) {
            let kernel = rest.split('\'').next().unwrap_or_default().to_owned();
            kernels.push(Resources { kernel, ..Resources::default() });
            continue;
        }
        let Some(kernel) = kernels.last_mut() else { continue };
        if line.contains(" bytes stack frame") {
            kernel.stack_bytes += before(line, "bytes stack frame").with_context(|| line.to_owned())?;
            kernel.spill_store_bytes += before(line, "bytes spill stores").with_context(|| line.to_owned())?;
            kernel.spill_load_bytes += before(line, "bytes spill loads").with_context(|| line.to_owned())?;
        } else if line.contains(": Used ") {
            kernel.registers = before(line, "registers").with_context(|| line.to_owned())?;
            kernel.static_shared_bytes = before(line, "bytes smem").unwrap_or(0);
        }
    }
    ensure!(
        kernels.iter().all(|kernel| kernel.registers > 0),
        "ptxas does not say how many registers each kernel uses:\n{text}"
    );
    Ok(kernels)
}

/// The number in front of a unit, in a line of numbers with units between commas.
fn before(line: &str, unit: &str) -> Option<u32> {
    line.split([',', ':']).find_map(|part| {
        let number = part.trim().strip_suffix(unit)?;
        number.split_whitespace().last()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_assembler() -> Result<()> {
        let kernels = parse(include_str!("samples/ptxas.txt"))?;
        let plain = Resources { kernel: "plain".into(), registers: 8, ..Resources::default() };
        let rotate = Resources {
            kernel: "rotate".into(),
            registers: 64,
            stack_bytes: 128 + 8,
            spill_store_bytes: 40 + 4,
            spill_load_bytes: 44 + 4,
            static_shared_bytes: 2048,
        };
        assert_eq!(kernels, [plain, rotate]);
        Ok(())
    }

    #[test]
    fn missing_lines_are_an_error() -> Result<()> {
        assert!(parse("ptxas info    : Compiling entry function 'f' for 'sm_90'\n").is_err());
        assert!(parse("")?.is_empty());
        Ok(())
    }
}
