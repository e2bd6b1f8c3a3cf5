//! The file that a run leaves behind.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::arguments::{Arguments, Kernel};
use crate::journal::{Event, Outcome};
use crate::parts::Part;

/// Version of the fields below.
const SCHEMA: u32 = 1;

/// All that a run found. Units are in the names of the fields.
#[derive(Serialize)]
pub struct Evidence {
    schema_version: u32,
    /// Not a card: no figure of this file says anything about one.
    emulated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
    tool: &'static str,
    crate_version: &'static str,
    started_utc: String,
    ended_utc: String,
    verdict: &'static str,
    /// Whether nothing was deselected, left out for lack of time, or skipped but for kernels that the card lacks.
    complete: bool,
    quick: bool,
    selected_sections: Vec<String>,
    selected_kernels: Vec<String>,
    timing: &'static str,
    parameters: &'static str,
    parts: Vec<PartReport>,
    /// By section: `device`, `clocks`, `kernels`, `answers`, `conformance`, `noise`, `curve`, `integers`, `transfers`,
    /// `peer`.
    results: Map<String, Value>,
}

/// How a part ended.
#[derive(Serialize)]
pub struct PartReport {
    name: String,
    outcome: Outcome,
    reason: Option<String>,
    elapsed_s: f64,
}

impl Evidence {
    /// Nothing found yet.
    pub fn new(arguments: &Arguments, emulated: bool) -> Self {
        Self {
            schema_version: SCHEMA,
            emulated,
            warning: emulated
                .then_some("run on the emulated driver: results are checked, times say nothing about a card"),
            tool: "fhe-gpu-check",
            crate_version: env!("CARGO_PKG_VERSION"),
            started_utc: utc(SystemTime::now()),
            ended_utc: String::new(),
            verdict: "failed",
            complete: arguments.only.is_empty() && arguments.kernel.is_empty() && arguments.case.is_none(),
            quick: arguments.quick,
            selected_sections: arguments.only.iter().map(|section| section.name()).collect(),
            selected_kernels: arguments.kernel.iter().copied().map(Kernel::name).collect(),
            timing: "clock of the host around regions of calls that are queued on the device and waited for at their end; \
                     a region lasts at least 50 ms unless emulated; after a warm-up; random data, decrypted and compared",
            parameters: fhe_core::ParameterSet::default().name(),
            parts: Vec::new(),
            results: Map::new(),
        }
    }

    /// Takes over what the workers noted.
    pub fn take(&mut self, parts: &[Part], events: &[Event]) {
        for event in events {
            match event {
                Event::Record { section, value } => {
                    let list = self.results.entry(section).or_insert_with(|| Value::Array(Vec::new()));
                    if let Value::Array(list) = list {
                        list.push(value.clone());
                    }
                }
                Event::End { part, outcome, reason, seconds } => self.parts.push(PartReport {
                    name: parts.get(*part).map(Part::name).unwrap_or_default(),
                    outcome: *outcome,
                    reason: reason.clone(),
                    elapsed_s: *seconds,
                }),
                Event::Start { .. } | Event::Alive => {}
            }
        }
        self.ended_utc = utc(SystemTime::now());
        self.complete &= !self.parts.is_empty() && !self.results.values().any(has_gap);
        self.verdict = if self.is_good() { "passed" } else { "failed" };
    }

    /// Whether all that was done went well, and something was.
    pub fn is_good(&self) -> bool {
        let good = |part: &PartReport| matches!(part.outcome, Outcome::Passed | Outcome::Skipped);
        !self.parts.is_empty() && self.parts.iter().all(good)
    }

    /// The records of a section.
    pub fn records(&self, section: &str) -> &[Value] {
        self.results.get(section).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Names of the parts that failed, with the reasons.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &str)> {
        let failed = self.parts.iter().filter(|part| matches!(part.outcome, Outcome::Failed | Outcome::Unusable));
        failed.map(|part| (part.name.as_str(), part.reason.as_deref().unwrap_or_default()))
    }

    /// Whether all that there is was done.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether times say nothing.
    pub fn is_emulated(&self) -> bool {
        self.emulated
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Whether a section left something out.
fn has_gap(records: &Value) -> bool {
    let gap = |record: &Value| record.get("left_out").is_some() || record["skipped"].as_u64().is_some_and(|n| n > 0);
    records.as_array().is_some_and(|records| records.iter().any(gap))
}

/// Date and time as `2026-01-31T12:00:00Z`.
fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut day) = (1970, days);
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for days in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    let (hours, minutes, seconds) = (rest / 3600, rest % 3600 / 60, rest % 60);
    format!("{year}-{month:02}-{:02}T{hours:02}:{minutes:02}:{seconds:02}Z", day + 1)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |seconds| utc(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_767_225_599), "2025-12-31T23:59:59Z");
        assert_eq!(at(1_767_225_600), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn a_failure_anywhere_is_a_failure() {
        let arguments = Arguments::try_parse_from(["check"]).unwrap();
        let parts = crate::parts::parts(&arguments);
        let end = |part, outcome| Event::End { part, outcome, reason: None, seconds: 0.0 };
        let verdict = |events: &[Event]| {
            let mut evidence = Evidence::new(&arguments, true);
            evidence.take(&parts, events);
            evidence.verdict
        };
        assert_eq!(verdict(&[]), "failed");
        assert_eq!(verdict(&[end(0, Outcome::Passed), end(1, Outcome::Skipped)]), "passed");
        assert_eq!(verdict(&[end(0, Outcome::Passed), end(1, Outcome::Failed)]), "failed");
    }

    #[test]
    fn what_was_left_out_makes_a_run_incomplete() {
        let complete = |words: &[&str], value: Value| {
            let arguments = Arguments::try_parse_from([&["check"], words].concat()).unwrap();
            let mut evidence = Evidence::new(&arguments, false);
            let end = Event::End { part: 0, outcome: Outcome::Passed, reason: None, seconds: 0.0 };
            evidence.take(&crate::parts::parts(&arguments), &[Event::Record { section: "x".into(), value }, end]);
            evidence.is_complete()
        };
        assert!(complete(&[], serde_json::json!({ "skipped": 0 })));
        assert!(!complete(&[], serde_json::json!({ "skipped": 1 })));
        assert!(!complete(&[], serde_json::json!({ "left_out": "no time" })));
        assert!(!complete(&["--only", "noise"], serde_json::json!({})));
    }

    #[test]
    fn emulated_runs_say_so_first() {
        let arguments = Arguments::try_parse_from(["check"]).unwrap();
        let text = serde_json::to_string(&Evidence::new(&arguments, true)).unwrap();
        assert!(text.starts_with("{\"schema_version\":1,\"emulated\":true,\"warning\":"), "{text}");
    }
}
