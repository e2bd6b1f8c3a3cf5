//! Whether benchmarks have become slower over the nights.
//!
//! One night proves nothing: machines differ within their class, and a neighbour may have been busy. So the last two runs
//! must both be slower than the runs before, by more than those differ among themselves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Run;

/// The group that is judged.
pub const GROUP: &str = "standard";
/// The last two runs are compared with so many before them: what has stayed for longer is how it is now.
const EARLIER: usize = 14;
/// Fewer say nothing of how much runs differ.
const NEEDED: usize = 5;
/// The smallest change that counts.
const LIMIT: f64 = 0.05;
/// Standard deviations of the earlier runs that a change has to exceed.
const DEVIATIONS: f64 = 3.0;
/// The standard deviation of normal values with a median absolute deviation of one.
const OF_MEDIAN_DEVIATION: f64 = 1.4826;

/// What the runs say of a benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// There are not enough earlier runs.
    TooFew,
    /// Within the limit.
    Steady,
    /// Slower in the last run only.
    Suspect,
    /// Slower in the last two runs.
    Slower,
    /// Faster in the last two runs.
    Faster,
}

/// The last run of a benchmark beside the earlier ones, whose median is 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    pub verdict: Verdict,
    /// Change of the time, 0.1 for a tenth more.
    pub change: f64,
    /// Change that counts.
    pub limit: f64,
}

/// The trends of the last run's benchmarks, over runs sorted by time.
pub fn trends(runs: &[Run]) -> BTreeMap<String, Trend> {
    let Some(last) = runs.last() else { return BTreeMap::new() };
    let followed = last.benchmarks.keys().filter(|name| name.split('/').next() == Some(GROUP));
    followed
        .map(|name| {
            let times: Vec<_> = runs.iter().filter_map(|run| Some(run.benchmarks.get(name)?.median)).collect();
            (name.clone(), trend(&times))
        })
        .collect()
}

/// The trend of a benchmark with these times.
fn trend(times: &[f64]) -> Trend {
    let few = Trend { verdict: Verdict::TooFew, change: 0.0, limit: LIMIT };
    let Some((earlier, &[before, last])) = times.split_last_chunk::<2>() else { return few };
    if earlier.len() < NEEDED {
        return few;
    }
    let earlier = &earlier[earlier.len().saturating_sub(EARLIER)..];
    let usual = median(earlier);
    let deviations: Vec<_> = earlier.iter().map(|time| (time / usual - 1.0).abs()).collect();
    let limit = LIMIT.max(DEVIATIONS * OF_MEDIAN_DEVIATION * median(&deviations));
    let [before, change] = [before, last].map(|time| time / usual - 1.0);
    let verdict = match change {
        _ if change.min(before) > limit => Verdict::Slower,
        _ if change.max(before) < -limit => Verdict::Faster,
        _ if change > limit => Verdict::Suspect,
        _ => Verdict::Steady,
    };
    Trend { verdict, change, limit }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { values[middle - 1].midpoint(values[middle]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nights around a time, within so much of it.
    fn nights(count: u32, noise: f64) -> Vec<f64> {
        (0..count).map(|night| 100.0 * (1.0 + noise * (f64::from(night * 7919 % 11) / 5.0 - 1.0))).collect()
    }

    fn verdict(mut times: Vec<f64>, last: &[f64]) -> Verdict {
        times.extend(last);
        trend(&times).verdict
    }

    #[test]
    fn a_planted_slowdown_fails_in_its_second_night() {
        assert_eq!(verdict(nights(10, 0.01), &[107.0]), Verdict::Suspect);
        assert_eq!(verdict(nights(10, 0.01), &[107.0, 107.0]), Verdict::Slower);
        assert_eq!(verdict(nights(10, 0.01), &[107.0, 100.0]), Verdict::Steady);
    }

    #[test]
    fn unchanged_and_faster_nights_pass() {
        for count in 7..40 {
            assert_eq!(verdict(nights(count, 0.02), &[]), Verdict::Steady, "{count} nights");
        }
        assert_eq!(verdict(nights(10, 0.01), &[90.0, 90.0]), Verdict::Faster);
    }

    #[test]
    fn noise_raises_the_limit() {
        assert_eq!(verdict(nights(14, 0.06), &[110.0, 110.0]), Verdict::Steady);
        assert_eq!(verdict(nights(14, 0.06), &[140.0, 140.0]), Verdict::Slower);
    }

    #[test]
    fn too_few_nights_say_nothing_and_a_slowdown_becomes_usual() {
        for count in 0..7 {
            assert_eq!(verdict(Vec::new(), &vec![100.0; count]), Verdict::TooFew, "{count} nights");
        }
        let mut times = nights(20, 0.01);
        times.extend(vec![120.0; 5]);
        assert_eq!(trend(&times).verdict, Verdict::Slower);
        times.extend(vec![120.0; 10]);
        assert_eq!(trend(&times).verdict, Verdict::Steady);
    }
}
