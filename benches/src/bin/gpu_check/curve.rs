//! Section 5: bootstraps per second over batch sizes.
//!
//! Keyswitch, blind rotation, and both in turn, on random data that stays on the card; every batch is decrypted and
//! compared before it is measured.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use fhe_benches::sampling::{Effort, Spread, sample};
use fhe_core::Backend;
use fhe_gpu::{BlindRotation, CudaBackend};
use fhe_tests::conformance::{Fixture, Random};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::answers::{one_lookup, random_table};
use crate::arguments::Kernel;
use crate::device;
use crate::worker::Context;

/// One measurement; `per_s` counts ciphertexts.
#[derive(Serialize)]
struct Point {
    kernel: String,
    /// The kernel that the batch size selects.
    chosen: Option<String>,
    batch: usize,
    stage: &'static str,
    median_per_s: f64,
    #[serde(flatten)]
    spread: Spread,
}

/// Measures one kernel.
pub fn run(context: &mut Context, kernel: Kernel) -> Result<()> {
    let card = context.card(kernel)?;
    let started = Instant::now();
    let batches = batches(context, &card.backend, kernel);
    let stages = if kernel.0 == BlindRotation::Auto { 3 } else { 1 };
    let bar = ProgressBar::new((batches.len() * stages) as u64);
    let budget = context.sizes.curve * stages as u32;
    let mut slowest = 0.0f64;
    for &batch in &batches {
        // Of the last size: ciphertexts take no longer in a larger batch.
        let expected = Duration::from_secs_f64(slowest * batch as f64 / 1e3);
        if started.elapsed() + 3 * expected > budget && batch != batches[0] {
            bar.suspend(|| println!("  {:<14} {batch:>6} left out: no time", kernel.name()));
            let left_out = serde_json::json!({ "kernel": kernel.name(), "batch": batch, "left_out": "no time" });
            context.journal.record("curve", left_out)?;
            continue;
        }
        let points = measure(context.sizes.effort, &card, kernel, batch, &bar)?;
        for point in points {
            bar.suspend(|| {
                println!(
                    "  {:<14} {batch:>6} {:<15} {:>10.0}/s  {:>9.3} ms ({:.3} to {:.3})  {}",
                    point.kernel,
                    point.stage,
                    point.median_per_s,
                    point.spread.median_ms,
                    point.spread.min_ms,
                    point.spread.max_ms,
                    point.chosen.as_deref().unwrap_or_default()
                );
            });
            if point.stage == "blind_rotation" {
                slowest = point.spread.median_ms / batch as f64;
            }
            context.journal.record("curve", point)?;
        }
    }
    bar.finish_and_clear();
    if kernel.0 == BlindRotation::Auto
        && let Some(&batch) = batches.last()
    {
        under_load(context, &card, batch, slowest)?;
    }
    Ok(())
}

/// The sizes that were asked for, and some around the limits at which the automatic choice changes.
fn batches(context: &Context, backend: &CudaBackend, kernel: Kernel) -> Vec<usize> {
    let full = backend.properties().parallelism;
    let mut batches = context.sizes.batches.clone();
    if context.sizes.multiples {
        batches.extend([full / 8, full / 4, full / 2, full, 2 * full, 4 * full].into_iter().filter(|&batch| batch > 0));
    }
    // Clusters are for small batches: far beyond a full card nothing new is learnt.
    batches.retain(|&batch| kernel.0 != BlindRotation::Cluster || batch <= 2 * full.max(8));
    batches.sort_unstable();
    batches.dedup();
    batches
}

/// A batch on the card, with all that its stages need.
struct Work<'a, B: Backend> {
    card: &'a Fixture<B>,
    batch: usize,
    tables: B::Tables,
    lookups: B::Lookups,
    source: B::Ciphertexts,
    switched: B::Switched,
    target: B::Ciphertexts,
}

impl<'a, B: Backend> Work<'a, B> {
    /// Random data, bootstrapped once and checked by decryption.
    fn new(card: &'a Fixture<B>, batch: usize) -> Result<Self> {
        let mut random = Random::new(batch as u64);
        let (table, answers) = random_table(&mut random);
        let values: Vec<i64> = (0..batch).map(|_| random.below(16) as i64).collect();
        let tables = card.backend.load_tables(&card.key, &[table])?;
        let lookups = card.backend.load_lookups(&tables, &[one_lookup()])?;
        let mut source = card.backend.allocate(&card.key, batch)?;
        card.backend.upload(&card.keys.encrypt(&values), &mut source, 0)?;
        let switched = card.backend.allocate_switched(&card.key, batch)?;
        let target = card.backend.allocate(&card.key, batch)?;
        let mut work = Self { card, batch, tables, lookups, source, switched, target };
        work.keyswitch()?;
        work.rotate()?;
        let found = card.decrypt(&work.target, 0..batch);
        let wrong = found.iter().zip(&values).filter(|(found, value)| **found != answers[**value as usize]).count();
        if wrong > 0 {
            bail!("{wrong} of {batch} bootstraps are wrong");
        }
        Ok(work)
    }

    fn keyswitch(&mut self) -> fhe_core::Result<()> {
        self.card.backend.keyswitch(&self.card.key, self.batch, &self.source, &mut self.switched)
    }

    fn rotate(&mut self) -> fhe_core::Result<()> {
        let Self { card, batch, tables, lookups, switched, target, .. } = self;
        card.backend.bootstrap(&card.key, tables, lookups, *batch, switched, target)
    }

    /// So many calls, queued one behind the other, then waits.
    fn repeat(&mut self, calls: usize, call: impl Fn(&mut Self) -> fhe_core::Result<()>) -> fhe_core::Result<()> {
        (0..calls).try_for_each(|_| call(self))?;
        self.card.backend.synchronize()
    }
}

fn measure(
    effort: Effort,
    card: &Fixture<CudaBackend>,
    kernel: Kernel,
    batch: usize,
    bar: &ProgressBar,
) -> Result<Vec<Point>> {
    let mut work = Work::new(card, batch)?;
    let chosen = Kernel(card.backend.blind_rotation(batch)).name();
    let point = |stage, spread: Spread| {
        bar.inc(1);
        Point {
            kernel: kernel.name(),
            chosen: (stage != "keyswitch").then(|| chosen.clone()),
            batch,
            stage,
            median_per_s: spread.per_second(batch),
            spread,
        }
    };
    let rotation = sample(effort, |calls| work.repeat(calls, Work::rotate))?;
    let mut points = vec![point("blind_rotation", rotation)];
    if kernel.0 == BlindRotation::Auto {
        points.push(point("keyswitch", sample(effort, |calls| work.repeat(calls, Work::keyswitch))?));
        let both = |work: &mut Work<'_, CudaBackend>| work.keyswitch().and_then(|()| work.rotate());
        points.push(point("both", sample(effort, |calls| work.repeat(calls, both))?));
    }
    Ok(points)
}

/// Keyswitches and bootstraps per second in batches of that size.
#[cfg(feature = "peer-gpu")]
pub fn both_per_second(effort: Effort, card: &Fixture<CudaBackend>, batch: usize) -> Result<f64> {
    let mut work = Work::new(card, batch)?;
    let both = |work: &mut Work<'_, CudaBackend>| work.keyswitch().and_then(|()| work.rotate());
    Ok(sample(effort, |calls| work.repeat(calls, both))?.per_second(batch))
}

/// Clocks while about a second of work is queued.
fn under_load(context: &mut Context, card: &Fixture<CudaBackend>, batch: usize, ms: f64) -> Result<()> {
    let mut work = Work::new(card, batch)?;
    let calls = (1000.0 / (ms * batch as f64).max(1e-3)).ceil() as usize;
    for _ in 0..calls.clamp(1, 500) {
        work.rotate()?;
    }
    device::record_clocks(context, "under_load")?;
    Ok(card.backend.synchronize()?)
}
