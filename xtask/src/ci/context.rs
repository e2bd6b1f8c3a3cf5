//! What a lane is written with: steps that are run, judged and recorded.

use std::time::Instant;

use anyhow::{Context as _, Result};

use super::report::{Check, Counts, Status};
use crate::shell::{Call, Output, Shell};

/// A lane while it runs.
pub struct Context<'a> {
    /// The machine.
    pub shell: &'a dyn Shell,
    checks: Vec<Check>,
}

impl<'a> Context<'a> {
    /// A lane that has not found anything yet.
    #[must_use]
    pub fn new(shell: &'a dyn Shell) -> Self {
        Self { shell, checks: Vec::new() }
    }

    /// What was found.
    #[must_use]
    pub fn finish(self) -> Vec<Check> {
        self.checks
    }

    /// Runs a command; it passes if its exit code is 0.
    pub fn command(&mut self, name: &str, call: &Call) -> Option<Output> {
        self.judge(name, call, |_| None)
    }

    /// Runs a command and counts the tests that it reports. No test at all is a failure: a filter or a name was wrong.
    pub fn tests(&mut self, name: &str, call: &Call) -> Option<Output> {
        self.judge(name, call, |output| Some(Counts::parse(&output.text()).unwrap_or_default()))
    }

    /// Like [`Self::tests`], of a part of the tests: those left out are somebody else's, and a part may be empty.
    pub fn some_tests(&mut self, name: &str, call: &Call) -> Option<Output> {
        self.judge(name, call, |output| {
            let found = Counts::parse(&output.text());
            found.filter(|counts| counts.passed + counts.failed > 0).map(|counts| Counts { skipped: 0, ..counts })
        })
    }

    fn judge(&mut self, name: &str, call: &Call, count: impl Fn(&Output) -> Option<Counts>) -> Option<Output> {
        let started = Instant::now();
        let result = self.shell.run(call);
        let seconds = started.elapsed().as_secs_f64();
        let mut check = Check {
            name: name.to_owned(),
            status: Status::Failed,
            counts: Counts { failed: 1, ..Counts::default() },
            seconds,
            reason: None,
        };
        match &result {
            Err(error) => check.reason = Some(format!("{error:#}")),
            Ok(output) => {
                let counts = count(output);
                check.counts = counts.unwrap_or(Counts { passed: 1, ..Counts::default() });
                if !output.success {
                    check.counts.failed = check.counts.failed.max(1);
                    check.counts.passed = counts.map_or(0, |counts| counts.passed);
                    check.reason = Some(format!("{call}\n{}", output.tail()));
                } else if check.counts.failed > 0 || check.counts.passed + check.counts.skipped == 0 {
                    check.counts.failed = check.counts.failed.max(1);
                    check.reason = Some(format!("{call}: failed tests, or none"));
                } else {
                    check.status = Status::Passed;
                }
            }
        }
        self.checks.push(check);
        result.ok()
    }

    /// Records the outcome of a check that is not a command.
    pub fn check(&mut self, name: &str, run: impl FnOnce() -> Result<()>) {
        let started = Instant::now();
        let result = run();
        let (status, passed) = if result.is_ok() { (Status::Passed, 1) } else { (Status::Failed, 0) };
        self.checks.push(Check {
            name: name.to_owned(),
            status,
            counts: Counts { passed, failed: 1 - passed, skipped: 0 },
            seconds: started.elapsed().as_secs_f64(),
            reason: result.err().map(|error| format!("{error:#}")),
        });
    }

    /// Records that something did not run. It is a failure if `required` names a variable that is set to 1.
    pub fn skip(&mut self, name: &str, reason: &str, required: Option<&str>) {
        let demanded = required.filter(|variable| self.shell.variable(variable).as_deref() == Some("1"));
        let (status, failed) = if demanded.is_some() { (Status::Failed, 1) } else { (Status::Skipped, 0) };
        self.checks.push(Check {
            name: name.to_owned(),
            status,
            counts: Counts { passed: 0, failed, skipped: 1 - failed },
            seconds: 0.0,
            reason: Some(demanded.map_or_else(|| reason.to_owned(), |variable| format!("{reason}, and {variable}=1"))),
        });
    }

    /// Whether a tool is there; if not, the check named after it is skipped.
    pub fn has(&mut self, tool: &str) -> bool {
        let found = self.shell.finds(tool);
        if !found {
            self.skip(tool, &format!("{tool} is not installed: cargo xtask ci tools {tool}"), Some(REQUIRE_TOOLS));
        }
        found
    }

    /// Runs a tool that may be missing.
    pub fn tool(&mut self, tool: &str, call: &Call) -> Option<Output> {
        if self.has(tool) { self.command(tool, call) } else { None }
    }

    /// Files that git tracks and whose names match.
    ///
    /// # Errors
    /// If git cannot list them.
    pub fn tracked(&self, patterns: &[&str]) -> Result<Vec<String>> {
        let call = Call::new("git", "ls-files -z --").args(patterns.iter().copied()).quietly();
        let output = self.shell.run(&call).context("git lists the files")?;
        anyhow::ensure!(output.success, "{call}: {}", output.tail());
        let there = |file: &&str| !file.is_empty() && self.shell.exists(file.as_ref());
        Ok(output.stdout.split('\0').filter(there).map(str::to_owned).collect())
    }
}

/// Set to 1, a tool that is missing is a failure and not a skip.
pub const REQUIRE_TOOLS: &str = "FHE_REQUIRE_TOOLS";
/// Set to 1, a GPU that is missing is a failure and not a skip.
pub const REQUIRE_GPU: &str = "FHE_REQUIRE_GPU";

#[cfg(test)]
mod tests {
    use super::super::report::Report;
    use super::*;
    use crate::shell::fake::Fake;

    fn output(success: bool, stdout: &str) -> Output {
        Output { success, stdout: stdout.to_owned(), ..Output::default() }
    }

    fn status(shell: &Fake, run: impl FnOnce(&mut Context)) -> (Status, String) {
        let mut context = Context::new(shell);
        run(&mut context);
        let report = Report::new("lane", context.finish());
        (report.status, report.closing())
    }

    #[test]
    fn commands_pass_by_their_exit_code() {
        let (found, text) = status(&Fake::default(), |c| drop(c.command("a", &Call::cargo("fmt"))));
        assert_eq!((found, &*text), (Status::Passed, "1 passed, 0 failed, 0 skipped"));
        let (found, text) = status(&Fake::fails("fmt"), |c| drop(c.command("a", &Call::cargo("fmt"))));
        assert_eq!(found, Status::Failed);
        assert!(text.contains("planted") && text.ends_with("0 passed, 1 failed, 0 skipped"), "{text}");
    }

    #[test]
    fn tests_are_counted_and_none_is_a_failure() {
        let line = "Summary [ 1s] 3 tests run: 3 passed, 9 skipped";
        let some = Fake { rules: vec![("nextest", output(true, line))], ..Fake::default() };
        let (found, text) = status(&some, |c| drop(c.tests("t", &Call::cargo("nextest run"))));
        assert_eq!((found, &*text), (Status::Passed, "3 passed, 0 failed, 9 skipped"));
        let (found, text) = status(&some, |c| drop(c.some_tests("t", &Call::cargo("nextest run"))));
        assert_eq!((found, &*text), (Status::Passed, "3 passed, 0 failed, 0 skipped"));
        let (found, _) = status(&Fake::default(), |c| drop(c.tests("t", &Call::cargo("nextest run"))));
        assert_eq!(found, Status::Failed);
        // A build that breaks has no counts; a runner that reports a failure but ends with 0 is not believed.
        let (found, text) = status(&Fake::fails("nextest"), |c| drop(c.tests("t", &Call::cargo("nextest run"))));
        assert!(found == Status::Failed && text.ends_with("0 passed, 1 failed, 0 skipped"), "{text}");
        let lies =
            Fake { rules: vec![("test", output(true, "test result: ok. 1 passed; 1 failed;"))], ..Fake::default() };
        assert_eq!(status(&lies, |c| drop(c.tests("t", &Call::cargo("test")))).0, Status::Failed);
    }

    #[test]
    fn a_missing_tool_is_skipped_unless_tools_are_required() {
        let mut shell = Fake { missing: vec!["typos"], ..Fake::default() };
        let (found, text) = status(&shell, |c| drop(c.tool("typos", &Call::new("typos", ""))));
        assert_eq!(found, Status::Skipped);
        assert!(text.contains("typos is not installed") && text.ends_with("0 passed, 0 failed, 1 skipped"), "{text}");
        shell.variables.insert(REQUIRE_TOOLS, "1");
        let (found, text) = status(&shell, |c| drop(c.tool("typos", &Call::new("typos", ""))));
        assert_eq!(found, Status::Failed);
        assert!(text.contains("FHE_REQUIRE_TOOLS=1"), "{text}");
    }

    #[test]
    fn checks_carry_their_error() {
        let (found, text) = status(&Fake::default(), |c| c.check("sum", || anyhow::bail!("planted")));
        assert_eq!(found, Status::Failed);
        assert!(text.starts_with("FAILED lane/sum: planted\n"), "{text}");
    }
}
