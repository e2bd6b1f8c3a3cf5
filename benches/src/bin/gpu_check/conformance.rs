//! Section 3: the suite of all backends, case by case, for one kernel.

use std::time::Instant;

use anyhow::{Result, ensure};
use fhe_core::Backend;
use fhe_gpu::CudaBackend;
use fhe_tests::conformance::cases;
use indicatif::ProgressBar;
use serde::Serialize;

use crate::arguments::Kernel;
use crate::journal::Event;
use crate::worker::{Context, caught};

/// What became of the cases.
#[derive(Serialize)]
struct Counts {
    kernel: String,
    passed: usize,
    failed: usize,
    /// Left out for lack of time, by their name, or after the device was lost.
    skipped: usize,
    failures: Vec<Failure>,
    elapsed_s: f64,
}

/// A case that failed.
#[derive(Serialize)]
struct Failure {
    case: &'static str,
    message: String,
}

/// Runs the cases.
pub fn run(context: &mut Context, kernel: Kernel) -> Result<()> {
    let card = context.card(kernel)?;
    let started = Instant::now();
    let all = cases::<CudaBackend>();
    let bar = ProgressBar::new(all.len() as u64);
    let mut counts =
        Counts { kernel: kernel.name(), passed: 0, failed: 0, skipped: 0, failures: Vec::new(), elapsed_s: 0.0 };
    let mut lost = None;
    for case in all {
        bar.inc(1);
        let unwanted = context.arguments.case.as_ref().is_some_and(|part| !case.name.contains(part.as_str()));
        if unwanted || lost.is_some() || started.elapsed() > context.sizes.conformance {
            counts.skipped += 1;
            continue;
        }
        match caught(|| (case.run)(&card)) {
            Ok(()) => counts.passed += 1,
            Err(error) => {
                let message = format!("{error:#}");
                bar.suspend(|| println!("  {:<14} {}: FAILED: {message}", counts.kernel, case.name));
                counts.failed += 1;
                counts.failures.push(Failure { case: case.name, message });
                lost = card.backend.synchronize().err();
            }
        }
        context.journal.write(&Event::Alive)?;
    }
    bar.finish_and_clear();
    counts.elapsed_s = started.elapsed().as_secs_f64();
    let Counts { passed, failed, skipped, elapsed_s, .. } = counts;
    println!("  {:<14} {passed} passed, {failed} failed, {skipped} skipped, {elapsed_s:.1} s", counts.kernel);
    context.journal.record("conformance", counts)?;
    if let Some(error) = lost {
        return Err(error.into());
    }
    ensure!(failed == 0, "{failed} cases failed");
    Ok(())
}
