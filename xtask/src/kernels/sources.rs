//! The CUDA sources: which files there are, and which architectures each wants.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// Compute capabilities that PTX is made for, as `10·major + minor`: Turing, Ampere, Hopper.
pub const ARCHITECTURES: [u32; 3] = [75, 80, 90];

/// How many lines may hold the architectures comment.
const COMMENT_LINES: usize = 10;

/// A file that the compiler reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// File name, as `#include` names it.
    pub file: String,
    /// What it holds.
    pub text: String,
}

/// A file that becomes one module for each of its architectures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The file.
    pub source: Source,
    /// Its architectures, ascending.
    pub architectures: Vec<u32>,
}

impl Unit {
    /// File name without its ending: the module's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.source.file.strip_suffix(".cu").unwrap_or(&self.source.file)
    }
}

/// Everything in `kernels/cuda`, sorted by file name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The `.cu` files.
    pub units: Vec<Unit>,
    /// The `.cuh` and `.h` files. Each can be included by every other file.
    pub headers: Vec<Source>,
}

impl Sources {
    /// Reads a folder; one that is not there holds nothing.
    ///
    /// # Errors
    /// If a file cannot be read, has a name that no module can have, or an architectures comment that makes no sense.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut sources = Self::default();
        if !folder.exists() {
            return Ok(sources);
        }
        let mut paths = fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<Vec<_>>>()
            .with_context(|| format!("cannot list {}", folder.display()))?;
        paths.sort();
        for path in paths {
            let Some((file, ending)) = path.file_name().and_then(|name| name.to_str()).and_then(|name| {
                let (_, ending) = name.rsplit_once('.')?;
                Some((name.to_owned(), ending))
            }) else {
                continue;
            };
            if !matches!(ending, "cu" | "cuh" | "h") {
                continue;
            }
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            if ending == "cu" {
                let architectures = architectures(&text).with_context(|| file.clone())?;
                let unit = Unit { source: Source { file, text }, architectures };
                let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                ensure!(
                    !unit.name().is_empty() && unit.name().chars().all(valid),
                    "{}: names of modules are made of a-z, 0-9 and _",
                    unit.source.file
                );
                sources.units.push(unit);
            } else {
                sources.headers.push(Source { file, text });
            }
        }
        Ok(sources)
    }

    /// Every file, headers included.
    pub fn files(&self) -> impl Iterator<Item = &Source> {
        self.units.iter().map(|unit| &unit.source).chain(&self.headers)
    }
}

/// Reads `// architectures: 80, 90` from the first lines; without it, all architectures.
fn architectures(text: &str) -> Result<Vec<u32>> {
    let mut lines = text.lines().take(COMMENT_LINES);
    let Some(list) = lines.find_map(|line| line.trim().strip_prefix("//")?.trim_start().strip_prefix("architectures:"))
    else {
        return Ok(ARCHITECTURES.to_vec());
    };
    let mut found = Vec::new();
    for word in list.split(',').map(str::trim) {
        match word.parse() {
            Ok(architecture) if ARCHITECTURES.contains(&architecture) => found.push(architecture),
            _ => bail!("architectures are a comma-separated list of {ARCHITECTURES:?}, not {word:?}"),
        }
    }
    ensure!(found.is_sorted_by(|a, b| a < b), "architectures are listed in ascending order, once each");
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::scratch::Scratch;

    #[test]
    fn architectures_come_from_the_first_lines() -> Result<()> {
        assert_eq!(architectures("__global__ void f() {}")?, [75, 80, 90]);
        assert_eq!(architectures("// A kernel.\n// architectures: 90\n")?, [90]);
        assert_eq!(architectures("//architectures: 80,90")?, [80, 90]);
        let late = format!("{}// architectures: 90", "\n".repeat(COMMENT_LINES));
        assert_eq!(architectures(&late)?, [75, 80, 90]);
        for wrong in ["", "86", "90 80", "90, 80", "80, 80", "hopper"] {
            assert!(architectures(&format!("// architectures: {wrong}")).is_err(), "{wrong:?}");
        }
        Ok(())
    }

    #[test]
    fn a_folder_is_read_in_order() -> Result<()> {
        let folder = Scratch::new()?;
        assert_eq!(Sources::read(&folder.path().join("absent"))?, Sources::default());
        for (file, text) in [("b.cu", "// architectures: 90"), ("a.cu", ""), ("x.cuh", "x"), ("notes.md", "")] {
            fs::write(folder.path().join(file), text)?;
        }
        let sources = Sources::read(folder.path())?;
        assert_eq!(sources.units.iter().map(Unit::name).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(sources.units[1].architectures, [90]);
        assert_eq!(sources.files().map(|source| source.file.as_str()).collect::<Vec<_>>(), ["a.cu", "b.cu", "x.cuh"]);
        fs::write(folder.path().join("Bad-Name.cu"), "")?;
        assert!(Sources::read(folder.path()).is_err());
        Ok(())
    }
}
