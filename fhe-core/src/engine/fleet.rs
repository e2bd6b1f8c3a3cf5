//! Several machines as one: rows are shared out, results come back in order.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::options::{DeviceReport, Observer, Progress, RunOptions, RunReport};
use super::run::{self, Job};
use super::{Engine, Evaluator};
use crate::backend::{Backend, Properties};
use crate::ciphertext::Batch;
use crate::error::{Error, Result};
use crate::keys::EvaluationKey;
use crate::params::Scheme;
use crate::program::{Form, Program};

/// Several backends with the same key, which share the rows of every batch.
///
/// Each device gets a contiguous part of the rows, as large as its part in the speed of all. The first guess is
/// [`Properties::parallelism`]; every run that keeps all of them busy corrects it by what was measured. Devices work independently, each driven by a
/// thread of its own that lives as long as the run.
///
/// ```
/// use fhe_core::{Batch, ClientKey, Evaluator, Fleet, ParameterSet, Program, SimulationBackend};
///
/// let client = ClientKey::simulated(ParameterSet::default());
/// let fleet = Fleet::new([SimulationBackend::new(), SimulationBackend::new()], &client.evaluation_key()?)?;
/// let next = Program::trace(|t| t.output("y", &(t.input::<u8>("x") + 1)))?;
/// let result = fleet.run(&next, &Batch::new().with("x", client.encrypt(&[1u8, 2, 3])?)?)?;
/// assert_eq!(client.decrypt::<u8>(result.column("y")?)?, [2, 3, 4]);
/// # Ok::<(), fhe_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Fleet<B: Backend> {
    engines: Vec<Engine<B>>,
    scheme: Scheme,
    /// The part of each device in the speed of all; the sum is 1.
    shares: Mutex<Vec<f64>>,
}

/// What a device tells the thread that called.
enum Message {
    Progress(Progress),
    Done(Box<Result<RunReport>>),
}

impl<B: Backend> Fleet<B> {
    /// Loads `key` into every backend, side by side.
    ///
    /// # Errors
    /// [`Error::Unavailable`] for no backends; [`Error::OnDevice`] with what the first of them that fails says.
    pub fn new(backends: impl IntoIterator<Item = B>, key: &EvaluationKey) -> Result<Self> {
        let engines = thread::scope(|scope| {
            let load = |backend: B| {
                scope.spawn(move || {
                    let device = backend.properties().device;
                    Engine::new(backend, key).map_err(|error| named(device, error))
                })
            };
            let threads: Vec<_> = backends.into_iter().map(load).collect();
            threads.into_iter().map(join).collect::<Result<Vec<_>>>()
        })?;
        if engines.is_empty() {
            let what = "a fleet without backends".to_owned();
            return Err(Error::Unavailable { what, reason: "at least one is needed".to_owned() });
        }
        let sizes: Vec<f64> = engines.iter().map(|engine| engine.properties().parallelism.max(1) as f64).collect();
        let shares = normalised(&sizes);
        Ok(Self { engines, scheme: key.scheme(), shares: Mutex::new(shares) })
    }

    /// One engine per device.
    #[must_use]
    pub fn engines(&self) -> &[Engine<B>] {
        &self.engines
    }

    /// The part of the rows that each device gets, as measured so far; the sum is 1.
    #[must_use]
    pub fn shares(&self) -> Vec<f64> {
        // The list is whole between any two calls, so a poisoned lock does no harm.
        self.shares.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, rows: &[usize], reports: &[(usize, RunReport)]) {
        let mut times = vec![Duration::ZERO; rows.len()];
        for (device, report) in reports {
            times[*device] = report.elapsed.saturating_sub(report.prepare);
        }
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        *shares = corrected(&shares, rows, &times);
    }
}

impl<B: Backend> Evaluator for Fleet<B> {
    fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Parallelism, batch and memory are sums over the devices, the overhead of a level is the largest.
    fn properties(&self) -> Properties {
        let mut all = self.engines.iter().map(Evaluator::properties);
        // `new` refuses an empty fleet.
        let first = all.next().unwrap_or_else(|| unreachable!("a fleet has engines"));
        all.fold(first, |sum, next| Properties {
            name: sum.name,
            device: format!("{}; {}", sum.device, next.device),
            parallelism: sum.parallelism + next.parallelism,
            level_overhead: sum.level_overhead.max(next.level_overhead),
            batch: sum.batch + next.batch,
            memory: sum.memory.saturating_add(next.memory),
        })
    }

    /// As [`Engine::run_with`], on all devices: the memory limit holds for each of them; the observer is told of all
    /// together, and may cancel all. If one fails, the others stop after their current level, and its error comes back,
    /// with its name ([`Error::OnDevice`]; an [`Error::Device`] has it already).
    fn run_with(&self, program: &Program, batch: &Batch, options: RunOptions<'_>) -> Result<(Batch, RunReport)> {
        let started = Instant::now();
        let rows = batch.rows();
        let inputs = run::inputs(self.scheme, program, batch)?;
        let RunOptions { form, memory, profile, observer } = options;
        let form = match form {
            Some(form) => form,
            None => run::choose_form(program, rows, &self.properties())?,
        };
        let plan = program.plan(form)?;
        let parts = partition(rows, &self.shares());
        let mut words = run::room(self.scheme, program, rows);
        let rooms = run::cut(self.scheme, program, &mut words, &parts);
        let stop = AtomicBool::new(false);
        let total = (plan.statistics().bootstraps * rows) as u64;

        let reports = thread::scope(|scope| {
            let (sender, receiver) = channel();
            let mut first = 0;
            let mut threads = Vec::new();
            for (device, ((engine, room), &count)) in self.engines.iter().zip(rooms).zip(&parts).enumerate() {
                // Without rows there is nothing to do, except that someone has to say so for an empty batch.
                if count == 0 && (rows > 0 || device > 0) {
                    continue;
                }
                let job = Job { program, inputs: &inputs, rows: first..first + count, form, memory, profile };
                first += count;
                let (sender, stop) = (sender.clone(), &stop);
                threads.push(scope.spawn(move || drive(device, engine, &job, room, stop, &sender)));
            }
            drop(sender);
            let reports = Collector { devices: &self.engines, observer, stop: &stop, total }.collect(&receiver);
            threads.into_iter().for_each(join);
            reports
        })?;

        let counts = plan.statistics();
        let width = counts.bootstraps / counts.levels.max(1);
        // A device with fewer bootstraps at once than it has places for takes the same time with more of them: its
        // speed cannot be told from that.
        let busy = |(engine, &rows): (&Engine<B>, &usize)| rows == 0 || rows * width >= engine.properties().parallelism;
        if self.engines.iter().zip(&parts).all(busy) {
            self.learn(&parts, &reports);
        }
        let outputs = run::outputs(self.scheme, program, &plan, words)?;
        let mut report = combined(form, rows, reports, &self.engines);
        report.elapsed = started.elapsed();
        tracing::debug!(?report, "run finished");
        Ok((outputs, report))
    }
}

/// Runs the part of one device, and tells of it.
fn drive<B: Backend>(
    device: usize,
    engine: &Engine<B>,
    job: &Job<'_>,
    room: Vec<&mut [u64]>,
    stop: &AtomicBool,
    sender: &Sender<(usize, Message)>,
) {
    // The receiver lives until all senders are gone; without it nobody would miss the message.
    let tell = |message| drop(sender.send((device, message)));
    let mut watch = |progress| {
        tell(Message::Progress(progress));
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    tell(Message::Done(Box::new(engine.run_job(job, room, Some(&mut watch)))));
}

/// Listens to all devices, on the thread that called.
struct Collector<'a, B: Backend> {
    devices: &'a [Engine<B>],
    observer: Option<Observer<'a>>,
    stop: &'a AtomicBool,
    total: u64,
}

impl<B: Backend> Collector<'_, B> {
    /// The reports of all devices, or the first error.
    fn collect(mut self, receiver: &Receiver<(usize, Message)>) -> Result<Vec<(usize, RunReport)>> {
        let nothing = Progress { bootstraps: 0, total: 0, rows: 0 };
        let mut progress = vec![nothing; self.devices.len()];
        let (mut reports, mut failure, mut cancelled) = (Vec::new(), None, false);
        let all = |progress: &[Progress]| {
            let add = |sum: (u64, usize), part: &Progress| (sum.0 + part.bootstraps, sum.1 + part.rows);
            progress.iter().fold((0, 0), add)
        };
        for (device, message) in receiver {
            match message {
                Message::Progress(of_device) => {
                    progress[device] = of_device;
                    let (bootstraps, rows) = all(&progress);
                    let Some(observer) = self.observer.as_mut().filter(|_| !cancelled && failure.is_none()) else {
                        continue;
                    };
                    cancelled = observer(Progress { bootstraps, total: self.total, rows }).is_break();
                }
                Message::Done(result) => match *result {
                    Ok(report) => reports.push((device, report)),
                    // The device was told to stop.
                    Err(Error::Cancelled { .. }) => {}
                    Err(error) => failure = failure.or(Some((device, error))),
                },
            }
            self.stop.store(cancelled || failure.is_some(), Ordering::Relaxed);
        }
        if let Some((device, error)) = failure {
            return Err(named(self.devices[device].properties().device, error));
        }
        if cancelled {
            return Err(Error::Cancelled { bootstraps: all(&progress).0, total: self.total });
        }
        Ok(reports)
    }
}

/// The result of a thread; its panic, if it panicked.
fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// `error` with the name of the device, unless it has one.
fn named(device: String, error: Error) -> Error {
    match error {
        error @ Error::Device { .. } => error,
        error => Error::OnDevice { device, source: Box::new(error) },
    }
}

/// One report of all: counts, bytes and times by kind are sums over the devices, the time to prepare is the longest.
fn combined<B: Backend>(
    form: Form,
    rows: usize,
    mut reports: Vec<(usize, RunReport)>,
    engines: &[Engine<B>],
) -> RunReport {
    reports.sort_by_key(|(device, _)| *device);
    let mut all = RunReport::new(form, rows);
    for (device, report) in reports {
        all.rows_per_chunk = all.rows_per_chunk.max(report.rows_per_chunk);
        all.buffer_bytes += report.buffer_bytes;
        all.bootstraps += report.bootstraps;
        all.keyswitches += report.keyswitches;
        all.levels = report.levels;
        all.prepare = all.prepare.max(report.prepare);
        all.transfer += report.transfer;
        all.linear += report.linear;
        all.keyswitch += report.keyswitch;
        all.bootstrap += report.bootstrap;
        all.devices.push(DeviceReport { device: engines[device].properties().device, report });
    }
    all
}

fn normalised(weights: &[f64]) -> Vec<f64> {
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// Cuts `rows` into parts proportional to `shares`, to within one row.
fn partition(rows: usize, shares: &[f64]) -> Vec<usize> {
    let mut sum = 0.0;
    let mut before = 0;
    let part = |share: &f64| {
        sum += share;
        // Rounded sums instead of rounded parts: they end at exactly `rows`.
        let end = ((sum * rows as f64).round() as usize).clamp(before, rows);
        std::mem::replace(&mut before, end).abs_diff(end)
    };
    let mut parts: Vec<usize> = shares.iter().map(part).collect();
    if let Some(last) = parts.last_mut() {
        *last += rows - before;
    }
    parts
}

/// Moves the shares half way to what was measured. Devices that had no rows keep theirs: only what the others had
/// together is shared out anew.
fn corrected(shares: &[f64], rows: &[usize], times: &[Duration]) -> Vec<f64> {
    // A device may turn out slow, but not so slow that it is never measured again.
    const SMALLEST: f64 = 1e-3;
    let speed = |(&rows, time): (&usize, &Duration)| rows as f64 / time.as_secs_f64().max(1e-9);
    let speeds: Vec<f64> = rows.iter().zip(times).map(speed).collect();
    let all: f64 = speeds.iter().sum();
    let taking_part: f64 = shares.iter().zip(rows).filter(|(_, rows)| **rows > 0).map(|(share, _)| share).sum();
    let correct = |((share, &rows), speed): ((&f64, &usize), f64)| {
        let measured = if rows > 0 { speed / all * taking_part } else { *share };
        (f64::midpoint(*share, measured)).max(SMALLEST)
    };
    normalised(&shares.iter().zip(rows).zip(speeds).map(correct).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_and_follow_the_shares() {
        assert_eq!(partition(10, &[0.5, 0.5]), [5, 5]);
        assert_eq!(partition(9, &[0.75, 0.25]), [7, 2]);
        assert_eq!(partition(0, &[0.3, 0.7]), [0, 0]);
        assert_eq!(partition(2, &[0.25; 4]).iter().sum::<usize>(), 2);
        for rows in 0..200 {
            let parts = partition(rows, &[0.1, 0.2, 0.3, 0.4]);
            assert_eq!(parts.iter().sum::<usize>(), rows);
            assert!(
                parts
                    .iter()
                    .zip([0.1, 0.2, 0.3, 0.4])
                    .all(|(&part, share)| { (part as f64 - share * rows as f64).abs() <= 1.0 + 1e-9 })
            );
        }
    }

    #[test]
    fn shares_move_to_the_measured_speeds() {
        let second = Duration::from_secs(1);
        let mut shares = vec![0.5, 0.5];
        for _ in 0..20 {
            shares = corrected(&shares, &[30, 10], &[second, second]);
        }
        assert!((shares[0] - 0.75).abs() < 1e-3, "{shares:?}");
        // No rows, no news.
        let kept = corrected(&shares, &[7, 0], &[second, Duration::ZERO]);
        assert!((kept[0] - shares[0]).abs() < 1e-9, "{kept:?}");
        // A device that seems to stand still is tried again.
        for _ in 0..50 {
            shares = corrected(&shares, &[1000, 1], &[Duration::from_nanos(1), 1000 * second]);
        }
        assert!(shares[1] > 0.0005 && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{shares:?}");
    }
}
