//! Repeated measurements of one region of work, under a budget of time.

use std::time::{Duration, Instant};

use serde::Serialize;

/// How much time a measurement may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// A region lasts at least that long, by as many calls as that takes: the clock is read only around regions.
    pub region: Duration,
    /// All regions together; the last one may end later.
    pub budget: Duration,
    /// Regions at most.
    pub regions: usize,
}

/// Times of one call, over the regions of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Median over regions.
    pub median_ms: f64,
    /// The fastest region.
    pub min_ms: f64,
    /// The slowest region.
    pub max_ms: f64,
    /// Number of regions.
    pub regions: usize,
    /// Calls in each of them.
    pub calls_per_region: usize,
}

impl Spread {
    /// So many things per call, per second, by the median.
    #[must_use]
    pub fn per_second(&self, things: usize) -> f64 {
        things as f64 * 1e3 / self.median_ms.max(1e-9)
    }
}

/// Warms up, then measures: `run` makes so many calls and waits until they are done.
///
/// # Errors
/// Those of `run`.
pub fn sample<E>(effort: Effort, mut run: impl FnMut(usize) -> Result<(), E>) -> Result<Spread, E> {
    let started = Instant::now();
    let mut time = |calls: usize| {
        let started = Instant::now();
        run(calls).map(|()| started.elapsed())
    };
    let cold = time(1)?;
    // The first call pays for what happens once; a second is the better guess, where there is time for it.
    let guess = if cold > effort.budget { cold } else { time(1)? };
    let calls = effort.region.as_secs_f64() / guess.as_secs_f64().max(1e-9);
    let calls = (calls.ceil() as usize).clamp(1, 100_000);
    let mut times = Vec::new();
    while times.is_empty() || (times.len() < effort.regions && started.elapsed() < effort.budget) {
        times.push(time(calls)?.as_secs_f64() * 1e3 / calls as f64);
    }
    times.sort_by(f64::total_cmp);
    Ok(Spread {
        median_ms: times[times.len() / 2],
        min_ms: times[0],
        max_ms: times[times.len() - 1],
        regions: times.len(),
        calls_per_region: calls,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effort(region: u64, budget: u64) -> Effort {
        Effort { region: Duration::from_millis(region), budget: Duration::from_millis(budget), regions: 5 }
    }

    fn sleep(calls: usize) {
        std::thread::sleep(Duration::from_millis(2 * calls as u64));
    }

    #[test]
    fn short_calls_are_measured_in_long_regions() {
        let spread = sample(effort(10, 10_000), |calls| {
            sleep(calls);
            Ok::<(), ()>(())
        });
        let spread = spread.unwrap();
        assert!((2..=5).contains(&spread.calls_per_region) && spread.regions == 5, "{spread:?}");
        assert!(spread.min_ms >= 2.0 && spread.min_ms <= spread.median_ms && spread.median_ms <= spread.max_ms);
        assert!((spread.per_second(10) * spread.median_ms - 10_000.0).abs() < 1e-6);
    }

    #[test]
    fn a_spent_budget_still_gives_one_region() {
        let mut calls = 0;
        let spread = sample(effort(0, 0), |count| {
            calls += count;
            sleep(count);
            Ok::<(), ()>(())
        });
        assert_eq!((spread.unwrap().regions, calls), (1, 2));
    }

    #[test]
    fn errors_end_a_measurement() {
        assert_eq!(sample(effort(1, 1), |_| Err("broken")), Err("broken"));
    }
}
