//! The process that does the work, part by part. After a part that failed it ends, and the supervisor starts another:
//! a device error stays with a process until its end.

use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use fhe_core::{ClientKey, CpuBackend, Error, EvaluationKey, ParameterSet};
use fhe_gpu::{BlindRotation, CudaBackend, CudaOptions};
use fhe_tests::conformance::{Fixture, Kind};

use crate::arguments::{Arguments, Kernel, Section};
use crate::journal::{Event, Journal, Outcome};
use crate::parts::{Part, Sizes, parts};
use crate::{FAILED, GOOD, answers, conformance, curve, device, integers, noise, transfers};

/// A backend with a key on one kernel.
pub type Card = Arc<Fixture<CudaBackend>>;

/// What the parts share.
pub struct Context {
    /// The command line.
    pub arguments: Arguments,
    /// Sizes and budgets.
    pub sizes: Sizes,
    /// Where results go.
    pub journal: Journal,
    cards: Vec<(Kernel, Card)>,
    cpu: OnceCell<Fixture<CpuBackend>>,
    keys: OnceCell<(ClientKey, EvaluationKey)>,
    /// Variance of the processor's bootstraps, once it is measured.
    pub cpu_variance: Option<f64>,
}

impl Context {
    /// A backend on that kernel.
    pub fn open(&self, kernel: Kernel) -> fhe_core::Result<CudaBackend> {
        CudaBackend::with_options(self.arguments.device, CudaOptions::new().blind_rotation(kernel.0))
    }

    /// A backend with a key on that kernel, opened once.
    pub fn card(&mut self, kernel: Kernel) -> fhe_core::Result<Card> {
        if let Some((_, card)) = self.cards.iter().find(|(known, _)| *known == kernel) {
            return Ok(Arc::clone(card));
        }
        let card = Arc::new(Fixture::load_keys(Arc::new(self.open(kernel)?), Kind::Encrypted)?);
        self.cards.push((kernel, Arc::clone(&card)));
        Ok(card)
    }

    /// The processor, with the same key.
    pub fn cpu(&self) -> Result<&Fixture<CpuBackend>> {
        if self.cpu.get().is_none() {
            let fixture = Fixture::load_keys(Arc::new(CpuBackend::new()?), Kind::Encrypted)?;
            // It was empty a line above.
            let _ = self.cpu.set(fixture);
        }
        self.cpu.get().context("the processor's backend")
    }

    /// Keys for typed columns.
    pub fn keys(&self) -> Result<&(ClientKey, EvaluationKey)> {
        if self.keys.get().is_none() {
            let client = ClientKey::generate(ParameterSet::default())?;
            let key = client.evaluation_key()?;
            // It was empty a line above.
            let _ = self.keys.set((client, key));
        }
        self.keys.get().context("keys")
    }
}

/// Does all parts from the first one that is asked for, until one fails.
pub fn run(arguments: &Arguments, journal: &Path) -> Result<u8> {
    let device = crate::find(arguments).map_err(|reason| anyhow!(reason))?;
    let emulated = crate::is_emulated(&device);
    let parts = parts(arguments);
    let mut context = Context {
        arguments: arguments.clone(),
        sizes: Sizes::new(arguments, emulated),
        journal: Journal::open(journal)?,
        cards: Vec::new(),
        cpu: OnceCell::new(),
        keys: OnceCell::new(),
        cpu_variance: None,
    };
    quiet_panics();
    end_with_parent();
    let mut section = None;
    for (number, part) in parts.iter().enumerate().skip(arguments.from) {
        if section.replace(part.section) != Some(part.section) {
            println!("\n{}", part.section.name());
        }
        context.journal.write(&Event::Start { part: number })?;
        let started = Instant::now();
        let (outcome, reason) = settle(*part, caught(|| run_part(&mut context, *part)).and_then(|done| done));
        match (outcome, &reason) {
            (Outcome::Passed, _) | (_, None) => {}
            (Outcome::Skipped, Some(reason)) => println!("  {}: skipped: {reason}", part.name()),
            (Outcome::Failed | Outcome::Unusable, Some(reason)) => println!("  {}: FAILED: {reason}", part.name()),
        }
        let seconds = started.elapsed().as_secs_f64();
        context.journal.write(&Event::End { part: number, outcome, reason, seconds })?;
        if matches!(outcome, Outcome::Failed | Outcome::Unusable) {
            return Ok(FAILED);
        }
    }
    Ok(GOOD)
}

fn run_part(context: &mut Context, part: Part) -> Result<()> {
    match part.section {
        Section::Device => device::run(context),
        Section::Answers => answers::run(context, part.kernel),
        Section::Conformance => conformance::run(context, part.kernel),
        Section::Noise => noise::run(context, part.kernel),
        Section::Curve => curve::run(context, part.kernel),
        Section::Integers => integers::run(context),
        Section::Transfers => transfers::run(context),
        #[cfg(feature = "peer-gpu")]
        Section::Peer => crate::peer::run(context),
    }
}

/// What a part's result says. A kernel that the card lacks is no failure; a card that cannot even open is unusable.
fn settle(part: Part, result: Result<()>) -> (Outcome, Option<String>) {
    let Err(error) = result else { return (Outcome::Passed, None) };
    let unavailable = matches!(error.downcast_ref(), Some(Error::Unavailable { .. }));
    let outcome = match (unavailable, part.section, part.kernel.0) {
        (true, Section::Device, _) => Outcome::Unusable,
        (true, _, kernel) if kernel != BlindRotation::Auto => Outcome::Skipped,
        _ => Outcome::Failed,
    };
    (outcome, Some(format!("{error:#}")))
}

/// Ends this process soon after the one that started it, however that ended: nothing stays on the card.
fn end_with_parent() {
    #[cfg(unix)]
    {
        use std::os::unix::process::parent_id;

        let parent = parent_id();
        std::thread::spawn(move || {
            while parent_id() == parent {
                std::thread::sleep(std::time::Duration::from_millis(500));
            }
            std::process::exit(i32::from(FAILED));
        });
    }
}

/// Message and place of the last panic of any thread.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Panics are results here: they are noted instead of printed.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("a panic without a message");
        let place = panic.location().map(|place| format!(" ({}:{})", place.file(), place.line()));
        let mut last = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
        // The first of several is the cause: a scope that joins a panicked thread panics itself.
        last.get_or_insert_with(|| format!("{text}{}", place.unwrap_or_default()));
    }));
}

/// Runs `work`; a panic becomes an error with its message.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T> {
    let take = || PANIC.lock().unwrap_or_else(PoisonError::into_inner).take();
    take();
    // Nothing that a panic may leave half done is used afterwards, but for the backend, which the suite asserts to be
    // usable after errors.
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| anyhow!(take().unwrap_or_else(|| "a panic".to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_card_lacks_is_skipped_and_what_it_gets_wrong_fails() {
        let part = |section, kernel| Part { section, kernel: Kernel(kernel) };
        let lacking = || Err(Error::Unavailable { what: "x".into(), reason: "y".into() }.into());
        let outcome = |part, result| settle(part, result).0;
        assert_eq!(outcome(part(Section::Noise, BlindRotation::Cluster), lacking()), Outcome::Skipped);
        assert_eq!(outcome(part(Section::Noise, BlindRotation::Auto), lacking()), Outcome::Failed);
        assert_eq!(outcome(part(Section::Device, BlindRotation::Auto), lacking()), Outcome::Unusable);
        assert_eq!(outcome(part(Section::Noise, BlindRotation::Cluster), Err(anyhow!("wrong"))), Outcome::Failed);
    }

    #[test]
    fn panics_become_errors() {
        quiet_panics();
        let error = caught(|| assert_eq!(1, 2, "one is two")).unwrap_err().to_string();
        assert!(error.contains("one is two") && error.contains("worker.rs"), "{error}");
        assert_eq!(caught(|| 7).unwrap(), 7);
    }
}
