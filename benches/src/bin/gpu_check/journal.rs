//! What a worker tells the process that started it: lines of JSON in a file, each written at once, so that nothing is
//! lost when the worker ends early.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a part ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All is well.
    Passed,
    /// A check failed, or the device did.
    Failed,
    /// There is nothing to do on this card.
    Skipped,
    /// The device cannot be used at all.
    Unusable,
}

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A part begins.
    Start {
        /// Its number.
        part: usize,
    },
    /// A measurement or the result of a check.
    Record {
        /// Name of the section.
        section: String,
        /// Its fields.
        value: Value,
    },
    /// Nothing to tell, but still at work.
    Alive,
    /// A part ends.
    End {
        /// Its number.
        part: usize,
        /// How it ended.
        outcome: Outcome,
        /// Why, unless all is well.
        reason: Option<String>,
        /// How long it took.
        seconds: f64,
    },
}

/// The writing end.
pub struct Journal(File);

impl Journal {
    /// Appends to the file, which need not exist.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self(file.with_context(|| format!("cannot write {}", path.display()))?))
    }

    /// Adds a line.
    pub fn write(&mut self, event: &Event) -> Result<()> {
        let mut line = serde_json::to_string(event)?;
        line.push('\n');
        self.0.write_all(line.as_bytes()).context("cannot write the journal")
    }

    /// Adds a record.
    pub fn record(&mut self, section: &str, value: impl Serialize) -> Result<()> {
        let value = serde_json::to_value(value)?;
        self.write(&Event::Record { section: section.to_owned(), value })
    }
}

/// All whole lines of a journal; one that was cut off is left out.
pub fn read(path: &Path) -> Vec<Event> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_survive_a_worker_that_does_not() {
        let path = std::env::temp_dir().join(format!("fhe-gpu-check-test-{}", std::process::id()));
        let mut journal = Journal::open(&path).unwrap();
        let start = Event::Start { part: 3 };
        journal.write(&start).unwrap();
        journal.record("curve", serde_json::json!({ "batch": 8 })).unwrap();
        journal.0.write_all(b"{\"event\":\"al").unwrap();
        let events = read(&path);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0], start);
        assert!(matches!(&events[1], Event::Record { section, value } if section == "curve" && value["batch"] == 8));
    }
}
