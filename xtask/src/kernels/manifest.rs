//! The files that the command writes, and whether those on disk are the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::nvrtc::{OPTIONS, architecture_option};
use super::sources::Sources;
use super::tools::COMPILER;

/// Folder of the PTX, inside `kernels`.
const PTX: &str = "ptx";

/// PTX of one source for one architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Name of the source without its ending.
    pub name: String,
    /// Lowest compute capability that can load it.
    pub compute: u32,
    /// The text.
    pub ptx: String,
}

impl Module {
    /// Its file, seen from `kernels`.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{PTX}/{}.compute_{}.ptx", self.name, self.compute)
    }
}

/// Texts by path, seen from `kernels`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs(BTreeMap<String, String>);

impl Outputs {
    /// PTX, `MANIFEST` and the constants of the crate. `modules` are sorted by name and architecture.
    #[must_use]
    pub fn new(sources: &Sources, modules: &[Module]) -> Self {
        let mut files: BTreeMap<_, _> = modules.iter().map(|module| (module.file(), module.ptx.clone())).collect();
        files.insert("MANIFEST".into(), manifest(sources, modules));
        files.insert("src/modules.rs".into(), constants(modules));
        Self(files)
    }

    /// Writes what differs and removes PTX that no source makes any more. Answers what it touched.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn write(&self, kernels: &Path) -> Result<Vec<String>> {
        let stale = self.stale(kernels)?;
        for file in &stale {
            let path = kernels.join(file);
            if let Some(text) = self.0.get(file) {
                fs::create_dir_all(path.parent().context("every output has a folder")?)?;
                fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            } else {
                fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        Ok(stale)
    }

    /// Files on disk that are missing, differ, or are PTX without a source.
    ///
    /// # Errors
    /// If the folder of the PTX cannot be listed.
    pub fn stale(&self, kernels: &Path) -> Result<Vec<String>> {
        let same = |(file, text): &(&String, &String)| {
            fs::read(kernels.join(file)).is_ok_and(|found| found == text.as_bytes())
        };
        let mut stale: Vec<_> = self.0.iter().filter(|output| !same(output)).map(|(file, _)| file.clone()).collect();
        let folder = kernels.join(PTX);
        if folder.exists() {
            for entry in fs::read_dir(folder)? {
                let file = format!("{PTX}/{}", entry?.file_name().to_string_lossy());
                if Path::new(&file).extension().is_some_and(|ending| ending == "ptx") && !self.0.contains_key(&file) {
                    stale.push(file);
                }
            }
        }
        stale.sort();
        Ok(stale)
    }
}

/// One line per fact; the test of the `fhe-kernels` crate reads the digests.
fn manifest(sources: &Sources, modules: &[Module]) -> String {
    let mut text = String::from(
        "# Written by `cargo xtask kernels`, not by hand. How the PTX was made, and BLAKE3 digests of what it was made\n\
         # from and of what was made.\n",
    );
    let options = OPTIONS.join(" ");
    let mut line = |kind: &str, rest: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{kind:<9}{rest}");
    };
    line("compiler", COMPILER);
    line("options", &format!("{options} {}", architecture_option("<architecture>")));
    let mut digest =
        |kind: &str, file: &str, content: &str| line(kind, &format!("{} {file}", blake3::hash(content.as_bytes())));
    let mut files: Vec<_> = sources.files().collect();
    files.sort_by_key(|source| &source.file);
    for source in files {
        digest("source", &format!("cuda/{}", source.file), &source.text);
    }
    for module in modules {
        digest("ptx", &module.file(), &module.ptx);
    }
    text
}

/// `src/modules.rs` of the `fhe-kernels` crate.
fn constants(modules: &[Module]) -> String {
    let mut text = String::from(
        "// Written by `cargo xtask kernels`, not by hand.\n\n\
         use crate::Module;\n\n\
         /// All modules, sorted by name and compute capability.\n\
         pub const MODULES: &[Module] = &[",
    );
    for module in modules {
        let Module { name, compute, .. } = module;
        let file = module.file();
        let _ =
            write!(text, "\n    Module {{ name: \"{name}\", compute: {compute}, ptx: include_str!(\"../{file}\") }},");
    }
    text.push_str(if modules.is_empty() { "];\n" } else { "\n];\n" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::scratch::Scratch;
    use crate::kernels::sources::{Source, Unit};

    fn outputs() -> Outputs {
        let source = Source { file: "m.cu".into(), text: "source".into() };
        let header = Source { file: "h.cuh".into(), text: "header".into() };
        let sources = Sources { units: vec![Unit { source, architectures: vec![80, 90] }], headers: vec![header] };
        let module = |compute| Module { name: "m".into(), compute, ptx: format!("ptx {compute}") };
        Outputs::new(&sources, &[module(80), module(90)])
    }

    #[test]
    fn the_manifest_names_compiler_options_and_digests() {
        let outputs = outputs();
        let manifest = &outputs.0["MANIFEST"];
        let lines: Vec<_> = manifest.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines[0], format!("compiler {COMPILER}"));
        assert!(lines[1].starts_with("options  --std=c++17") && lines[1].ends_with("compute_<architecture>"));
        assert_eq!(lines[2], format!("source   {} cuda/h.cuh", blake3::hash(b"header")));
        assert_eq!(lines[3], format!("source   {} cuda/m.cu", blake3::hash(b"source")));
        assert_eq!(lines[5], format!("ptx      {} ptx/m.compute_90.ptx", blake3::hash(b"ptx 90")));
        assert!(outputs.0["src/modules.rs"].contains("compute: 90, ptx: include_str!(\"../ptx/m.compute_90.ptx\")"));
    }

    #[test]
    fn stale_missing_and_left_over_files_are_found() -> Result<()> {
        let folder = Scratch::new()?;
        let outputs = outputs();
        let all = ["MANIFEST", "ptx/m.compute_80.ptx", "ptx/m.compute_90.ptx", "src/modules.rs"];
        assert_eq!(outputs.stale(folder.path())?, all);
        assert_eq!(outputs.write(folder.path())?, all);
        assert!(outputs.stale(folder.path())?.is_empty());

        fs::write(folder.path().join("ptx/m.compute_80.ptx"), "older")?;
        fs::write(folder.path().join("ptx/gone.compute_90.ptx"), "")?;
        fs::remove_file(folder.path().join("MANIFEST"))?;
        let wrong = ["MANIFEST", "ptx/gone.compute_90.ptx", "ptx/m.compute_80.ptx"];
        assert_eq!(outputs.stale(folder.path())?, wrong);
        assert_eq!(outputs.write(folder.path())?, wrong);
        assert!(outputs.stale(folder.path())?.is_empty());
        Ok(())
    }

    #[test]
    fn no_source_makes_an_empty_list() {
        let outputs = Outputs::new(&Sources::default(), &[]);
        assert!(outputs.0["src/modules.rs"].ends_with("pub const MODULES: &[Module] = &[];\n"));
        assert_eq!(outputs.0.len(), 2);
    }
}
