//! Starts workers, watches over them, and collects what they found.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fhe_gpu::Device;

use crate::arguments::Arguments;
use crate::evidence::Evidence;
use crate::journal::{self, Event, Journal, Outcome};
use crate::parts::{Part, Sizes, parts};
use crate::{FAILED, GOOD, NO_DEVICE, is_emulated, tables};

/// How often a worker is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// Runs all parts, prints tables, writes the evidence. Returns the exit status.
pub fn run(arguments: &Arguments, device: &Device) -> Result<u8> {
    let emulated = is_emulated(device);
    if emulated {
        println!("EMULATED DEVICE: results are checked, times say nothing about a card.");
    }
    let (parts, sizes) = (parts(arguments), Sizes::new(arguments, emulated));
    let mut evidence = Evidence::new(arguments, emulated);
    let file = JournalFile::new()?;
    let mut from = 0;
    while from < parts.len() {
        let status = watch(&mut start(&file.0, from)?, &file.0, &sizes)?;
        from = resume(&file.0, &parts, from, status)?;
        if unusable(&file.0) {
            break;
        }
    }
    let events = journal::read(&file.0);
    evidence.take(&parts, &events);
    tables::print(&evidence);
    if let Some(path) = &arguments.json {
        evidence.write(path)?;
        println!("evidence: {}", path.display());
    }
    Ok(if unusable(&file.0) {
        NO_DEVICE
    } else if evidence.is_good() {
        GOOD
    } else {
        FAILED
    })
}

/// A journal that is removed when the run is over.
struct JournalFile(PathBuf);

impl JournalFile {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("fhe-gpu-check-{}.jsonl", std::process::id()));
        std::fs::write(&path, "").with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for JournalFile {
    fn drop(&mut self) {
        // A file that is left behind in the temporary folder does no harm.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn start(journal: &Path, from: usize) -> Result<Child> {
    let program = std::env::current_exe().context("this program's own file is not known")?;
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).arg("--worker").arg(journal).args(["--from", &from.to_string()]);
    command.spawn().context("cannot start the worker")
}

/// Waits for the end of a worker; stops one that is silent for too long, and returns `None`.
fn watch(worker: &mut Child, journal: &Path, sizes: &Sizes) -> Result<Option<ExitStatus>> {
    let length = || std::fs::metadata(journal).map_or(0, |file| file.len());
    let (mut known, mut since) = (length(), Instant::now());
    loop {
        if let Some(status) = worker.try_wait().context("cannot wait for the worker")? {
            return Ok(Some(status));
        }
        let now = length();
        if now != known {
            (known, since) = (now, Instant::now());
        }
        if since.elapsed() > sizes.silence {
            worker.kill().context("cannot stop the worker")?;
            worker.wait().context("cannot wait for the worker")?;
            return Ok(None);
        }
        std::thread::sleep(INTERVAL);
    }
}

/// The part to go on with after a worker has ended. A part that was begun and not ended has failed.
fn resume(path: &Path, parts: &[Part], from: usize, status: Option<ExitStatus>) -> Result<usize> {
    let events = journal::read(path);
    let next = events.iter().filter_map(|event| match event {
        Event::End { part, .. } => Some(part + 1),
        _ => None,
    });
    let next = next.max().unwrap_or(0).max(from);
    let begun = events.iter().any(|event| matches!(event, Event::Start { part } if *part == next));
    if !begun {
        if next == from {
            bail!("the worker ended before it began ({})", describe(status));
        }
        return Ok(next);
    }
    let reason = describe(status);
    println!("  FAILED: {} {reason}", parts.get(next).map(Part::name).unwrap_or_default());
    Journal::open(path)?.write(&Event::End {
        part: next,
        outcome: Outcome::Failed,
        reason: Some(reason),
        seconds: 0.0,
    })?;
    Ok(next + 1)
}

fn describe(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "hung and was stopped".to_owned(), |status| format!("ended the process: {status}"))
}

fn unusable(path: &Path) -> bool {
    let is_unusable = |event: &Event| matches!(event, Event::End { outcome: Outcome::Unusable, .. });
    journal::read(path).iter().any(is_unusable)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_part_that_took_the_worker_down_is_left_behind() {
        let parts = parts(&Arguments::try_parse_from(["check"]).unwrap());
        let path = std::env::temp_dir().join(format!("fhe-gpu-check-resume-{}", std::process::id()));
        let mut journal = Journal::open(&path).unwrap();
        assert!(resume(&path, &parts, 0, None).is_err());
        journal.write(&Event::Start { part: 0 }).unwrap();
        journal.write(&Event::End { part: 0, outcome: Outcome::Passed, reason: None, seconds: 1.0 }).unwrap();
        assert_eq!(resume(&path, &parts, 0, None).unwrap(), 1);
        journal.write(&Event::Start { part: 1 }).unwrap();
        assert_eq!(resume(&path, &parts, 1, None).unwrap(), 2);
        let events = journal::read(&path);
        std::fs::remove_file(&path).unwrap();
        let last = events.last().unwrap();
        assert!(
            matches!(last, Event::End { part: 1, outcome: Outcome::Failed, reason: Some(why), .. } if why.contains("hung"))
        );
    }
}
