//! The pinned compiler, assembler and disassembler, from Python packages.
//!
//! Nobody needs a CUDA toolkit to change a kernel: pip checks every download against the digests of
//! `kernels/tools.txt`, and the tools land in a folder named after that file's own digest.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// What pip installs, with digests.
const REQUIREMENTS: &str = include_str!("../../../kernels/tools.txt");

/// The compiler as `MANIFEST` names it; a test compares it with the requirements.
pub const COMPILER: &str = "nvidia-cuda-nvrtc-cu12==12.4.127";

/// An installation.
#[derive(Clone, Debug)]
pub struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// The tools in `cache`, installed with `python` if they are not there yet.
    ///
    /// # Errors
    /// On machines that the packages are not made for, where Python or pip is missing, and if pip fails.
    pub fn install(python: &OsStr, cache: &Path) -> Result<Self> {
        ensure!(
            cfg!(all(target_os = "linux", target_arch = "x86_64")),
            "the pinned CUDA tools are made for Linux on x86-64; the committed PTX needs none of them"
        );
        let digest = blake3::hash(REQUIREMENTS.as_bytes()).to_hex();
        let tools = Self { folder: std::path::absolute(cache)?.join(&digest[..16]) };
        if !tools.folder.exists() {
            tools.download(python)?;
        }
        for file in [tools.nvrtc(), tools.ptxas(), tools.nvdisasm()] {
            ensure!(file.is_file(), "{} is missing: remove {} and try again", file.display(), tools.folder.display());
        }
        Ok(tools)
    }

    /// The compiler's library.
    #[must_use]
    pub fn nvrtc(&self) -> PathBuf {
        self.folder.join("nvidia/cuda_nvrtc/lib/libnvrtc.so.12")
    }

    /// The assembler.
    #[must_use]
    pub fn ptxas(&self) -> PathBuf {
        self.folder.join("nvidia/cuda_nvcc/bin/ptxas")
    }

    /// The disassembler.
    #[must_use]
    pub fn nvdisasm(&self) -> PathBuf {
        self.folder.join("nvidia/cu13/bin/nvdisasm")
    }

    /// Installs beside the final folder and renames, so that an interrupted download leaves nothing half done.
    fn download(&self, python: &OsStr) -> Result<()> {
        check_pip(python)?;
        let unfinished = self.folder.with_extension(std::process::id().to_string());
        fs::create_dir_all(&unfinished).with_context(|| format!("cannot create {}", unfinished.display()))?;
        let requirements = unfinished.join("tools.txt");
        fs::write(&requirements, REQUIREMENTS)?;
        eprintln!("installing the CUDA tools into {}", self.folder.display());
        let status = Command::new(python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--root-user-action=ignore",
                "--no-input",
                "--disable-pip-version-check",
            ])
            .args(["--require-hashes", "--no-deps", "--only-binary=:all:", "--target"])
            .arg(&unfinished)
            .arg("--requirement")
            .arg(&requirements)
            .status()?;
        if !status.success() {
            fs::remove_dir_all(&unfinished)?;
            bail!("pip could not install the tools of kernels/tools.txt ({status})");
        }
        if let Err(error) = fs::rename(&unfinished, &self.folder) {
            // Another process may have been faster.
            fs::remove_dir_all(&unfinished)?;
            ensure!(self.folder.exists(), "cannot create {}: {error}", self.folder.display());
        }
        Ok(())
    }
}

/// Says what is missing before pip is asked for anything.
fn check_pip(python: &OsStr) -> Result<()> {
    let name = python.display();
    let status = Command::new(python)
        .args(["-m", "pip", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {name}: the CUDA tools are installed with python3 and its pip"))?;
    ensure!(status.success(), "{name} has no pip: the CUDA tools are installed with python3 and its pip");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    use crate::kernels::scratch::Scratch;

    #[test]
    fn every_tool_is_pinned() {
        assert!(REQUIREMENTS.lines().any(|line| line.starts_with(COMPILER)));
        let packages = REQUIREMENTS.lines().filter(|line| line.contains("==")).count();
        assert_eq!(packages, 3);
        assert_eq!(REQUIREMENTS.lines().filter(|line| line.contains("--hash=sha256:")).count(), packages);
    }

    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn missing_python_is_named() -> Result<()> {
        let cache = Scratch::new()?;
        let error = Tools::install(OsStr::new("no-such-python"), cache.path()).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("cannot start no-such-python") && text.contains("python3 and its pip"), "{text}");
        Ok(())
    }

    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn missing_pip_is_named() -> Result<()> {
        // `false` is a program that exists and cannot run pip.
        let cache = Scratch::new()?;
        let error = Tools::install(OsStr::new("false"), cache.path()).unwrap_err();
        assert!(format!("{error:#}").contains("false has no pip"));
        assert_eq!(fs::read_dir(cache.path())?.count(), 0);
        Ok(())
    }
}
