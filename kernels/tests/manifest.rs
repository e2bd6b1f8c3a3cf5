//! `MANIFEST` against the files: a changed source or PTX without a run of `cargo xtask kernels` fails here, on every
//! machine, without the compiler.

use std::collections::BTreeMap;
use std::fs;

use fhe_kernels::MODULES;

/// Digests by file, from the lines `source DIGEST FILE` and `ptx DIGEST FILE`.
fn listed() -> BTreeMap<&'static str, &'static str> {
    let lines = include_str!("../MANIFEST").lines().map(str::split_whitespace);
    lines
        .filter_map(|mut words| {
            let kind = words.next()?;
            let (digest, file) = (words.next()?, words.next()?);
            matches!(kind, "source" | "ptx").then_some((file, digest))
        })
        .collect()
}

/// Files of a folder with one of these endings. A folder that is not there holds none. Names are seen from the package,
/// where tests run: an archive of them may have been built in another folder.
fn present(folder: &str, endings: &[&str]) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending)))
        .map(|name| format!("{folder}/{name}"))
        .collect()
}

#[test]
fn sources_and_ptx_are_those_of_the_manifest() {
    let listed = listed();
    for (file, digest) in &listed {
        let content = fs::read(file).unwrap_or_else(|error| panic!("{file} of MANIFEST: {error}"));
        let found = blake3::hash(&content).to_string();
        assert_eq!(found, **digest, "{file} is not what MANIFEST says: run `cargo xtask kernels`");
    }
    for file in present("cuda", &["cu", "cuh", "h"]).iter().chain(&present("ptx", &["ptx"])) {
        assert!(listed.contains_key(file.as_str()), "{file} is not in MANIFEST: run `cargo xtask kernels`");
    }
}

#[test]
fn constants_are_the_ptx_of_the_manifest() {
    let constants: BTreeMap<_, _> = MODULES
        .iter()
        .map(|module| {
            let file = format!("ptx/{}.compute_{}.ptx", module.name, module.compute);
            (file, blake3::hash(module.ptx.as_bytes()).to_string())
        })
        .collect();
    let listed: BTreeMap<_, _> = listed()
        .into_iter()
        .filter(|(file, _)| file.starts_with("ptx/"))
        .map(|(file, digest)| (file.to_owned(), digest.to_owned()))
        .collect();
    assert_eq!(constants, listed);
}
