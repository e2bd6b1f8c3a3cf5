//! Parts of the test list, and the proof that they are the whole of it.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// Part `index` of `count`, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which.
    pub index: usize,
    /// Of how many.
    pub count: usize,
}

impl FromStr for Shard {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => bail!("a shard is k/n with k in 1..=n, not {text}"),
        }
    }
}

impl Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// Writes what a shard ran, for [`ran`] on another machine.
///
/// # Errors
/// If the file cannot be written.
pub fn write(folder: &Path, shard: Shard, names: &BTreeSet<String>) -> Result<()> {
    fs::create_dir_all(folder)?;
    Ok(fs::write(file(folder, shard), serde_json::to_string_pretty(names)? + "\n")?)
}

/// What a shard ran.
///
/// # Errors
/// If it has left no list.
pub fn ran(folder: &Path, shard: Shard) -> Result<BTreeSet<String>> {
    let file = file(folder, shard);
    let text = fs::read(&file).with_context(|| format!("shard {shard} has left no {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is no list", file.display()))
}

fn file(folder: &Path, shard: Shard) -> PathBuf {
    folder.join(format!("shard-{}-of-{}.json", shard.index, shard.count))
}

/// The tests that `cargo nextest list --message-format json` names and that its filters let through.
///
/// # Errors
/// If the text is not such a list.
pub fn listed(json: &str) -> Result<BTreeSet<String>> {
    // Cargo's messages may stand before it.
    let line = json.lines().find(|line| line.starts_with('{')).context("nextest lists no tests")?;
    let list: Value = serde_json::from_str(line)?;
    let suites = list["rust-suites"].as_object().context("nextest lists suites")?;
    let mut names = BTreeSet::new();
    for (suite, content) in suites {
        // A suite that a filter leaves out as a whole has no tests in the list.
        let Some(cases) = content["testcases"].as_object() else { continue };
        let chosen = cases.iter().filter(|(_, case)| case["filter-match"]["status"] == "matches");
        names.extend(chosen.map(|(case, _)| format!("{suite} {case}")));
    }
    Ok(names)
}

/// Checks that every test of the whole is in exactly one shard.
///
/// # Errors
/// If tests are missing, run twice or come from nowhere; the message names some.
pub fn verify(whole: &BTreeSet<String>, shards: &[BTreeSet<String>]) -> Result<()> {
    ensure!(!whole.is_empty(), "there are no tests");
    let mut seen = BTreeSet::new();
    for (index, shard) in shards.iter().enumerate() {
        for test in shard {
            ensure!(whole.contains(test), "shard {} has {test}, which is not in the whole list", index + 1);
            ensure!(seen.insert(test), "{test} is in two shards, the second is {}", index + 1);
        }
    }
    if let Some(lost) = whole.iter().find(|test| !seen.contains(test)) {
        bail!("{} of {} tests are in no shard, the first is {lost}", whole.len() - seen.len(), whole.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::scratch::Scratch;

    #[test]
    fn lists_are_found_by_their_shard() {
        let folder = Scratch::new().unwrap();
        let shard = |index| Shard { index, count: 2 };
        write(folder.path(), shard(1), &set(&["a", "b"])).unwrap();
        assert_eq!(ran(folder.path(), shard(1)).unwrap(), set(&["a", "b"]));
        let error = ran(folder.path(), shard(2)).unwrap_err().to_string();
        assert!(error.starts_with("shard 2/2 has left no "), "{error}");
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn shards_are_parsed() {
        assert_eq!("2/4".parse::<Shard>().unwrap(), Shard { index: 2, count: 4 });
        assert!(["0/4", "5/4", "1", "a/b", "1/0"].iter().all(|text| text.parse::<Shard>().is_err()));
    }

    #[test]
    fn only_tests_that_match_are_listed() {
        let json = r#"warning: noise
{"rust-suites":{"a::b":{"testcases":{"x":{"filter-match":{"status":"matches"}},
"y":{"filter-match":{"status":"mismatch","reason":"partition"}}}},"c":{"testcases":{}}}}"#
            .replace(",\n\"y\"", ",\"y\"");
        assert_eq!(listed(&json).unwrap(), set(&["a::b x"]));
        assert!(listed("nothing").is_err());
    }

    #[test]
    fn lost_and_doubled_tests_are_found() {
        let whole = set(&["a", "b", "c"]);
        verify(&whole, &[set(&["a", "c"]), set(&["b"])]).unwrap();
        for (shards, expected) in [
            (vec![set(&["a"]), set(&["b"])], "1 of 3 tests are in no shard, the first is c"),
            (vec![set(&["a", "b"]), set(&["b", "c"])], "b is in two shards"),
            (vec![set(&["a", "b", "c", "d"])], "d, which is not in the whole list"),
        ] {
            let error = verify(&whole, &shards).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(verify(&BTreeSet::new(), &[]).is_err());
    }
}
