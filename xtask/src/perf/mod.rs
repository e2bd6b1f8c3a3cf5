//! `cargo xtask perf`: a baseline and a candidate, measured in turn on one machine.
//!
//! A benchmark is an executable that prints one JSON line `{"name": ..., "seconds": ...}` per measurement. Baseline and
//! candidate are built into one target directory: packages from a registry are the same for both, so the `tfhe` crate is
//! compiled once for the two, and not at all where it is there already. It is compiled twice only if its version or its
//! features differ between the two.

mod stats;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::shell::{Call, Machine, Shell};
use stats::{Comparison, Round, Verdict};

/// Options of the command.
#[derive(Args)]
pub struct Options {
    /// The commit to compare with.
    #[arg(long, value_name = "REV", required_unless_present = "baseline")]
    base: Option<String>,
    /// With the feature gpu.
    #[arg(long)]
    gpu: bool,
    /// Rounds of baseline, candidate, candidate, baseline.
    #[arg(long, value_name = "N", default_value_t = 10)]
    rounds: usize,
    /// Only the benchmarks whose names contain this.
    #[arg(long, value_name = "PART", default_value = "")]
    only: String,
    /// An executable to use as the baseline; nothing is built.
    #[arg(long, value_name = "FILE", requires = "candidate")]
    baseline: Option<PathBuf>,
    /// An executable to use as the candidate.
    #[arg(long, value_name = "FILE", requires = "baseline")]
    candidate: Option<PathBuf>,
}

/// One benchmark of the report.
#[derive(Clone, Debug, Serialize)]
struct Line {
    name: String,
    verdict: Verdict,
    /// The measurement, and its repetition if there was one.
    comparisons: Vec<Comparison>,
}

/// Runs the command: JSON and Markdown go to `target/ci`.
///
/// # Errors
/// If a benchmark has become slower, or cannot be built or run.
pub fn run(options: &Options) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    let shell = Machine::new(root, &[])?;
    let [baseline, candidate] = match (&options.baseline, &options.candidate, &options.base) {
        (Some(baseline), Some(candidate), _) => [std::path::absolute(baseline)?, std::path::absolute(candidate)?],
        (_, _, Some(base)) => build(&shell, root, base, options.gpu)?,
        _ => bail!("nothing to compare with"),
    };
    let lines = compare(&shell, &baseline, &candidate, options)?;
    let folder = root.join("target/ci");
    fs::create_dir_all(&folder)?;
    let report = serde_json::json!({ "schema_version": 1, "rounds": options.rounds, "benchmarks": &lines });
    fs::write(folder.join("perf.json"), serde_json::to_string_pretty(&report)? + "\n")?;
    let table = markdown(&lines);
    fs::write(folder.join("perf.md"), &table)?;
    print!("{table}");
    judge(&lines)
}

fn judge(lines: &[Line]) -> Result<()> {
    let count = |verdict| lines.iter().filter(|line| line.verdict == verdict).count();
    let (failed, skipped) = (count(Verdict::Regressed), count(Verdict::Inconclusive));
    println!("\n{} passed, {failed} failed, {skipped} skipped", lines.len() - failed - skipped);
    ensure!(failed == 0, "{failed} of {} benchmarks have become slower", lines.len());
    Ok(())
}

fn markdown(lines: &[Line]) -> String {
    let percent = |log: f64| format!("{:+.1}%", log.exp_m1() * 100.0);
    let mut text =
        "| benchmark | time | 95% interval | limit | A/A | verdict |\n|---|---|---|---|---|---|\n".to_owned();
    for line in lines {
        for (index, found) in line.comparisons.iter().enumerate() {
            let last = index + 1 == line.comparisons.len();
            let verdict = format!("{:?}", if last { line.verdict } else { found.verdict }).to_lowercase();
            let (name, ratio) = (&line.name, found.candidate);
            let _ = writeln!(
                text,
                "| {name}{} | {} | {} to {} | {} | {} | {verdict} |",
                if index > 0 { " (again)" } else { "" },
                percent(ratio.mean),
                percent(ratio.low),
                percent(ratio.high),
                percent(found.limit),
                percent(found.same.mean),
            );
        }
    }
    text
}

/// Measures every benchmark, and those that seem to have become slower once more.
fn compare(shell: &dyn Shell, baseline: &Path, candidate: &Path, options: &Options) -> Result<Vec<Line>> {
    let first = measure(shell, baseline, candidate, options)?;
    let mut lines: Vec<_> = first
        .iter()
        .map(|(name, rounds)| {
            let found = stats::compare(rounds);
            Line { name: name.clone(), verdict: found.verdict, comparisons: vec![found] }
        })
        .collect();
    if lines.iter().any(|line| line.verdict == Verdict::Regressed) {
        println!("something seems slower: once more");
        let second = measure(shell, baseline, candidate, options)?;
        for line in lines.iter_mut().filter(|line| line.verdict == Verdict::Regressed) {
            let again = stats::compare(second.get(&line.name).context("a benchmark that runs twice")?);
            line.verdict = stats::confirm(line.verdict, again.verdict);
            line.comparisons.push(again);
        }
    }
    Ok(lines)
}

/// A B B A, as often as asked for. Benchmarks that one side does not have are left out.
fn measure(
    shell: &dyn Shell,
    baseline: &Path,
    candidate: &Path,
    options: &Options,
) -> Result<BTreeMap<String, Vec<Round>>> {
    ensure!(options.rounds >= 5, "an interval needs at least five rounds");
    let mut rounds: BTreeMap<String, Vec<Round>> = BTreeMap::new();
    for round in 1..=options.rounds {
        println!("round {round} of {}", options.rounds);
        let (first, second) = (times(shell, baseline, options)?, times(shell, candidate, options)?);
        let (third, fourth) = (times(shell, candidate, options)?, times(shell, baseline, options)?);
        for (name, &time) in &first {
            let others = (second.get(name), third.get(name), fourth.get(name));
            if let (Some(&second), Some(&third), Some(&fourth)) = others {
                let round = Round { baseline: [time, fourth], candidate: [second, third] };
                rounds.entry(name.clone()).or_default().push(round);
            }
        }
    }
    ensure!(!rounds.is_empty(), "the two have no benchmark in common");
    rounds.retain(|_, found| found.len() == options.rounds);
    Ok(rounds)
}

/// One run of a side.
fn times(shell: &dyn Shell, program: &Path, options: &Options) -> Result<BTreeMap<String, f64>> {
    let program = program.to_str().context("a path that is text")?;
    let mut call = Call::new(program, "").quietly();
    if !options.only.is_empty() {
        call = call.arg("--only").arg(&options.only);
    }
    if options.gpu {
        call = call.arg("--gpu");
    }
    let output = shell.run(&call)?;
    ensure!(output.success, "{call}: {}", output.tail());
    let mut times = BTreeMap::new();
    for line in output.stdout.lines().filter(|line| line.starts_with('{')) {
        let measured: Value = serde_json::from_str(line)?;
        let name = measured["name"].as_str().context("a measurement has a name")?;
        let seconds = measured["seconds"].as_f64().filter(|&seconds| seconds > 0.0).context("a time is positive")?;
        if name.contains(&options.only) {
            times.insert(name.to_owned(), seconds);
        }
    }
    Ok(times)
}

/// Builds both sides; the executables are copied away, since both have one name in the shared target directory.
fn build(shell: &dyn Shell, root: &Path, base: &str, gpu: bool) -> Result<[PathBuf; 2]> {
    let git = |line: &str, arguments: &[&str]| -> Result<String> {
        let call = Call::new("git", line).args(arguments.iter().copied()).quietly();
        let output = shell.run(&call)?;
        ensure!(output.success, "{call}: {}", output.tail());
        Ok(output.stdout.trim().to_owned())
    };
    let commit = git("rev-parse --verify --end-of-options", &[&format!("{base}^{{commit}}")])?;
    let folder = root.join("target/perf");
    fs::create_dir_all(&folder)?;
    let tree = folder.join("baseline");
    let tree_name = tree.to_str().context("a path that is text")?;
    // What an interrupted run has left.
    if tree.exists() {
        git("worktree remove --force", &[tree_name])?;
    }
    git("worktree add --detach", &[tree_name, &commit])?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let target = std::path::absolute(target)?;
    let one = |side: &str, source: &Path| -> Result<PathBuf> {
        let features = if gpu { " --features gpu" } else { "" };
        let call = Call::cargo(&format!("build --release --bin fhe-perf{features}")).within(source);
        let call = call.var("CARGO_TARGET_DIR", target.to_str().context("a path that is text")?);
        let output = shell.run(&call)?;
        ensure!(output.success, "the {side} cannot be built: {}", output.tail());
        let copy = folder.join(format!("fhe-perf-{side}"));
        fs::copy(target.join("release/fhe-perf"), &copy).context("cargo builds fhe-perf")?;
        Ok(copy)
    };
    let built = one("baseline", &tree);
    git("worktree remove --force", &[tree_name])?;
    Ok([built?, one("candidate", root)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::scratch::Scratch;

    /// A benchmark whose time is that of its file, with up to 1% of noise from a counter.
    fn program(folder: &Path, name: &str, milliseconds: u32) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt as _;
        let file = folder.join(name);
        let script = format!(
            "#!/bin/sh\ncount=$(cat '{0}/count' 2>/dev/null || echo 0)\necho $((count + 1)) > '{0}/count'\n\
             noise=$((count * 7919 % 11))\nnanos=$(({milliseconds} * 1000000 + {milliseconds} * 1000 * noise))\n\
             printf 'a line for people\\n{{\"name\": \"spin/cpu\", \"seconds\": %d.%09d}}\\n' 0 $nanos\n",
            folder.display()
        );
        fs::write(&file, script)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        Ok(file)
    }

    fn compared(baseline: u32, candidate: u32) -> Result<Vec<Line>> {
        let folder = Scratch::new()?;
        let (a, b) = (program(folder.path(), "a", baseline)?, program(folder.path(), "b", candidate)?);
        let options =
            Options { base: None, gpu: false, rounds: 8, only: String::new(), baseline: None, candidate: None };
        compare(&Machine::new(folder.path(), &[])?, &a, &b, &options)
    }

    #[test]
    fn a_planted_slowdown_fails_from_end_to_end() -> Result<()> {
        let lines = compared(100, 105)?;
        assert_eq!((lines[0].verdict, lines[0].comparisons.len()), (Verdict::Regressed, 2));
        assert!(judge(&lines).unwrap_err().to_string().contains("1 of 1 benchmarks have become slower"));
        let table = markdown(&lines);
        assert!(table.contains("| spin/cpu (again) | +5.") && table.ends_with("| regressed |\n"), "{table}");
        Ok(())
    }

    #[test]
    fn an_unchanged_and_a_faster_program_pass_from_end_to_end() -> Result<()> {
        let lines = compared(100, 100)?;
        assert_eq!((lines[0].verdict, lines[0].comparisons.len()), (Verdict::Passed, 1));
        judge(&lines)?;
        let lines = compared(100, 90)?;
        assert_eq!(lines[0].verdict, Verdict::Improved);
        judge(&lines)
    }

    #[test]
    fn a_program_that_fails_is_an_error() -> Result<()> {
        let folder = Scratch::new()?;
        let options =
            Options { base: None, gpu: false, rounds: 5, only: String::new(), baseline: None, candidate: None };
        let machine = Machine::new(folder.path(), &[])?;
        assert!(compare(&machine, Path::new("/bin/false"), Path::new("/bin/false"), &options).is_err());
        let error = compare(&machine, Path::new("/bin/true"), Path::new("/bin/true"), &options).unwrap_err();
        assert!(error.to_string().contains("no benchmark in common"), "{error}");
        Ok(())
    }
}
