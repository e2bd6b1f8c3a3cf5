//! `cargo xtask bench-report`: what criterion has measured, as one JSON and as one page with plots.
//!
//! The page is self-contained: no script, no style sheet, no font from anywhere. With the history of earlier runs, the
//! command fails if benchmarks have become slower over the nights.

mod page;
mod trend;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use trend::{Trend, Verdict};

/// Options of the command.
#[derive(Args)]
pub struct Options {
    /// Folder of criterion's results.
    #[arg(long, value_name = "FOLDER")]
    criterion: Option<PathBuf>,
    /// Folder with JSON files of earlier runs, whose trend is plotted.
    #[arg(long, value_name = "FOLDER")]
    history: Option<PathBuf>,
    /// Class of the machine; runs of other classes are left out of the trend.
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    machine: String,
    /// Where bench.json and bench.html are written; target/ci if absent.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// One run of all benchmarks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Run {
    schema_version: u32,
    machine: String,
    commit: String,
    /// Seconds since 1970.
    time: u64,
    benchmarks: BTreeMap<String, Measured>,
    /// Beside the runs before this one.
    #[serde(default)]
    trends: BTreeMap<String, Trend>,
}

/// One benchmark, in nanoseconds for the whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Measured {
    median: f64,
    low: f64,
    high: f64,
    /// Rows in the batch.
    batch: u64,
}

/// Runs the command.
///
/// # Errors
/// If there are no results, files cannot be read or written, or, once both are written, a trend is upwards.
pub fn run(options: &Options) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    let criterion = options.criterion.clone().unwrap_or_else(|| root.join("target/criterion"));
    let out = options.out.clone().unwrap_or_else(|| root.join("target/ci"));
    let mut benchmarks = BTreeMap::new();
    collect(&criterion, &mut benchmarks)?;
    ensure!(!benchmarks.is_empty(), "{} has no results: cargo bench first", criterion.display());
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let machine = options.machine.clone();
    let mut runs = match &options.history {
        Some(folder) => history(folder, &machine)?,
        None => Vec::new(),
    };
    runs.sort_by_key(|run| run.time);
    let trends = BTreeMap::new();
    runs.push(Run { schema_version: 1, machine, commit: commit(root), time, benchmarks, trends });
    let trends = trend::trends(&runs);
    let count = runs.len();
    let last = &mut runs[count - 1];
    last.trends = trends;
    fs::create_dir_all(&out)?;
    fs::write(out.join("bench.json"), serde_json::to_string_pretty(last)? + "\n")?;
    println!("{} benchmarks, {count} runs: {}", last.benchmarks.len(), out.join("bench.html").display());
    fs::write(out.join("bench.html"), page::html(&runs))?;
    judge(&runs[count - 1].trends)
}

fn judge(trends: &BTreeMap<String, Trend>) -> Result<()> {
    let mut slower = 0;
    for (name, trend) in trends {
        if matches!(trend.verdict, Verdict::Slower | Verdict::Suspect) {
            println!("{name}: {}", page::trend(trend));
        }
        slower += usize::from(trend.verdict == Verdict::Slower);
    }
    ensure!(slower == 0, "{slower} of {} benchmarks have become slower over the last runs", trends.len());
    Ok(())
}

fn commit(root: &Path) -> String {
    let output = std::process::Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).current_dir(root).output();
    let text =
        output.ok().filter(|output| output.status.success()).and_then(|output| String::from_utf8(output.stdout).ok());
    text.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// Every `new/estimates.json` below a folder, under the name that `new/benchmark.json` gives it.
fn collect(folder: &Path, found: &mut BTreeMap<String, Measured>) -> Result<()> {
    let read = |file: PathBuf| -> Result<Value> { Ok(serde_json::from_slice(&fs::read(file)?)?) };
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name == "new") && path.join("estimates.json").is_file() {
            let (name, estimates) = (read(path.join("benchmark.json"))?, read(path.join("estimates.json"))?);
            let name = name["full_id"].as_str().context("criterion names a benchmark")?;
            let median = &estimates["median"];
            let bound = |bound: &str| median["confidence_interval"][bound].as_f64().context("criterion has bounds");
            found.insert(
                name.to_owned(),
                Measured {
                    median: median["point_estimate"].as_f64().context("criterion has a median")?,
                    low: bound("lower_bound")?,
                    high: bound("upper_bound")?,
                    batch: batch(name)?,
                },
            );
        } else if path.is_dir() {
            collect(&path, found)?;
        }
    }
    Ok(())
}

/// The batch of `group/backend/parameters/batch=N`.
fn batch(name: &str) -> Result<u64> {
    let parts: Vec<_> = name.split('/').collect();
    let batch = match parts[..] {
        [_, _, _, batch] => batch.strip_prefix("batch=").and_then(|batch| batch.parse().ok()),
        _ => None,
    };
    batch.with_context(|| format!("{name} is not named group/backend/parameters/batch=N"))
}

fn history(folder: &Path, machine: &str) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = fs::read(&path)?;
            let run: Run = serde_json::from_slice(&text).with_context(|| format!("{} is no run", path.display()))?;
            if run.machine == machine {
                runs.push(run);
            }
        }
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::scratch::Scratch;

    fn planted(folder: &Path, id: &str, median: f64) -> Result<()> {
        let new = folder.join(id.replace('/', "_")).join("new");
        fs::create_dir_all(&new)?;
        fs::write(new.join("benchmark.json"), serde_json::json!({ "full_id": id }).to_string())?;
        let interval = serde_json::json!({ "lower_bound": median * 0.9, "upper_bound": median * 1.1 });
        let estimates = serde_json::json!({ "median": { "point_estimate": median, "confidence_interval": interval } });
        Ok(fs::write(new.join("estimates.json"), estimates.to_string())?)
    }

    #[test]
    fn results_become_a_json_and_a_page_with_their_trend() -> Result<()> {
        let folder = Scratch::new()?;
        let (results, past, out) = (folder.path().join("c"), folder.path().join("h"), folder.path().join("o"));
        planted(&results, "standard/cpu/P/batch=1", 2e7)?;
        planted(&results, "standard/cpu/P/batch=8", 9e7)?;
        planted(&results, "add_u8/<cpu>/P/batch=1", 5e7)?;
        let options = |history: Option<PathBuf>| Options {
            criterion: Some(results.clone()),
            history,
            machine: "cpu".to_owned(),
            out: Some(out.clone()),
        };
        run(&options(None))?;
        let first: Run = serde_json::from_slice(&fs::read(out.join("bench.json"))?)?;
        assert_eq!(first.benchmarks["standard/cpu/P/batch=8"].batch, 8);
        fs::create_dir_all(&past)?;
        let other = Run { machine: "another".to_owned(), ..first.clone() };
        for (name, old) in [("1.json", Run { time: first.time - 86_400, ..first.clone() }), ("2.json", other)] {
            fs::write(past.join(name), serde_json::to_string(&old)?)?;
        }
        run(&options(Some(past.clone())))?;
        let page = fs::read_to_string(out.join("bench.html"))?;
        assert!(page.contains("2 runs") && page.contains("<polyline") && page.contains("&lt;cpu&gt;"));
        // Nothing is loaded from anywhere.
        assert!(
            ["http://", "https://", "src=", "href=", "<script", "@import", "url("].iter().all(|x| !page.contains(x))
        );
        // A week ago all was faster, and it was slow the night before.
        for night in 0..8 {
            let mut old = Run { time: first.time - 86_400 * (8 - night), ..first.clone() };
            let before = if night == 7 { 1.0 } else { 0.9 };
            old.benchmarks.values_mut().for_each(|found| found.median *= before);
            fs::write(past.join(format!("{night}.json")), serde_json::to_string(&old)?)?;
        }
        fs::remove_file(past.join("1.json"))?;
        let error = run(&options(Some(past))).unwrap_err().to_string();
        assert_eq!(error, "2 of 2 benchmarks have become slower over the last runs");
        let last: Run = serde_json::from_slice(&fs::read(out.join("bench.json"))?)?;
        assert_eq!(last.trends["standard/cpu/P/batch=1"].verdict, Verdict::Slower);
        assert!(fs::read_to_string(out.join("bench.html"))?.contains("+11.1 %, slower (limit 5.0 %)"));
        Ok(())
    }

    #[test]
    fn other_names_and_empty_folders_are_refused() -> Result<()> {
        assert!(["a/b/batch=1", "a/b/c/1", "a/b/c/d/batch=1", "a/b/c/batch=x"].iter().all(|name| batch(name).is_err()));
        let folder = Scratch::new()?;
        let options =
            Options { criterion: Some(folder.path().into()), history: None, machine: "cpu".into(), out: None };
        assert!(run(&options).unwrap_err().to_string().contains("has no results"));
        Ok(())
    }
}
