//! What a lane found, as JSON and as the last line that it prints.

use std::fmt::Write as _;

use serde::Serialize;

/// How a check or a lane ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything that ran passed.
    Passed,
    /// Something failed.
    Failed,
    /// Nothing ran, and a reason says why.
    Skipped,
}

/// Tests, or one where a check is not a suite of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Those that passed.
    pub passed: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that did not run.
    pub skipped: usize,
}

impl Counts {
    /// The counts that a test runner printed: nextest's summary, or the sum of libtest's results.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut found = None;
        for line in text.lines().map(str::trim) {
            let rest = if let Some(rest) = line.strip_prefix("test result: ") {
                rest.split_once('.').map(|(_, rest)| rest)
            } else if line.starts_with("Summary [") {
                line.split_once(" run: ").map(|(_, rest)| rest)
            } else {
                None
            };
            let Some(rest) = rest else { continue };
            let sum: &mut Self = found.get_or_insert_default();
            // "7 passed (1 slow), 2 failed, 1 timed out, 3 skipped"
            for part in rest.split([',', ';']) {
                let mut words = part.split_whitespace();
                let Some(count) = words.next().and_then(|word| word.parse::<usize>().ok()) else { continue };
                match words.next() {
                    Some("passed") => sum.passed += count,
                    Some("failed" | "timed" | "exec") => sum.failed += count,
                    Some("skipped" | "ignored") => sum.skipped += count,
                    _ => {}
                }
            }
        }
        found
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// One step of a lane.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// Tests in it.
    pub counts: Counts,
    /// How long it took.
    pub seconds: f64,
    /// Why it failed or was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A whole lane.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this form.
    pub schema_version: u32,
    /// The lane's name.
    pub lane: String,
    /// How it ended.
    pub status: Status,
    /// Sums over the checks.
    #[serde(flatten)]
    pub counts: Counts,
    /// How long it took.
    pub seconds: f64,
    /// In the order in which they ran.
    pub checks: Vec<Check>,
}

impl Report {
    /// Sums up the checks. A lane without any has skipped everything.
    #[must_use]
    pub fn new(lane: &str, checks: Vec<Check>) -> Self {
        let mut counts = Counts::default();
        for check in &checks {
            counts.add(check.counts);
        }
        let any = |status| checks.iter().any(|check| check.status == status);
        let status = if any(Status::Failed) {
            Status::Failed
        } else if any(Status::Passed) {
            Status::Passed
        } else {
            Status::Skipped
        };
        let seconds = checks.iter().map(|check| check.seconds).sum();
        Self { schema_version: 1, lane: lane.to_owned(), status, counts, seconds, checks }
    }

    /// The closing lines: what failed or was skipped and why, then the counts.
    #[must_use]
    pub fn closing(&self) -> String {
        let mut text = String::new();
        for check in self.checks.iter().filter(|check| check.status != Status::Passed) {
            let status = if check.status == Status::Failed { "FAILED" } else { "skipped" };
            let reason = check.reason.as_deref().unwrap_or("no reason given");
            let _ = writeln!(text, "{status} {}/{}: {reason}", self.lane, check.name);
        }
        let Counts { passed, failed, skipped } = self.counts;
        text + &format!("{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_both_runners_are_read() {
        let nextest = "     Summary [   1.2s] 12 tests run: 7 passed (1 slow), 3 failed, 2 timed out, 4 skipped\n";
        assert_eq!(Counts::parse(nextest), Some(Counts { passed: 7, failed: 5, skipped: 4 }));
        let libtest = "test result: ok. 5 passed; 0 failed; 2 ignored; 0 measured; 9 filtered out; finished in 0.1s\n\
            test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(Counts::parse(libtest), Some(Counts { passed: 6, failed: 1, skipped: 2 }));
        assert_eq!(Counts::parse("error: could not compile"), None);
    }

    #[test]
    fn the_last_line_has_the_sums() {
        let check =
            |status, counts| Check { name: "c".into(), status, counts, seconds: 1.0, reason: Some("why".to_owned()) };
        let passed = check(Status::Passed, Counts { passed: 3, failed: 0, skipped: 1 });
        let failed = check(Status::Failed, Counts { passed: 0, failed: 2, skipped: 0 });
        let report = Report::new("l", vec![passed, failed]);
        assert_eq!(report.closing(), "FAILED l/c: why\n3 passed, 2 failed, 1 skipped");
        assert_eq!(report.status, Status::Failed);
        assert_eq!(Report::new("l", Vec::new()).status, Status::Skipped);
    }
}
