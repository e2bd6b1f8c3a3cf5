//! The verdict of a paired comparison. Pure: times in, verdict out.
//!
//! A round is A B B A: the two times of the baseline and the two of the candidate are taken in turn, so a drift of the
//! machine's speed that is linear over a round cancels. What counts is the logarithm of the ratio, in which slower by 5%
//! and faster by 5% are as far from nothing.

use serde::Serialize;

/// A slowdown below this is never a regression, however sure.
pub const LIMIT: f64 = 0.02;

/// Resamples of a bootstrap.
const RESAMPLES: usize = 4000;

/// Times of one round, in any unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Round {
    /// The baseline, first and last.
    pub baseline: [f64; 2],
    /// The candidate, in between.
    pub candidate: [f64; 2],
}

/// An estimate and its 95% interval, as logarithms of a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Lower bound.
    pub low: f64,
    /// The mean.
    pub mean: f64,
    /// Upper bound.
    pub high: f64,
}

/// How a benchmark ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No slowdown beyond the limit is shown.
    Passed,
    /// Faster beyond the limit.
    Improved,
    /// Slower beyond the limit.
    Regressed,
    /// The baseline differs from itself by more than the limit: this machine cannot tell.
    Inconclusive,
}

/// What the rounds of one benchmark say.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Candidate over baseline.
    pub candidate: Interval,
    /// Second run of the baseline over its first, in the same rounds.
    pub same: Interval,
    /// What the candidate's interval is compared with.
    pub limit: f64,
    /// The outcome.
    pub verdict: Verdict,
}

/// Compares the sides over the rounds, of which there must be some.
#[must_use]
pub fn compare(rounds: &[Round]) -> Comparison {
    let log = |[first, second]: [f64; 2]| f64::midpoint(first.ln(), second.ln());
    let ratios: Vec<f64> = rounds.iter().map(|round| log(round.candidate) - log(round.baseline)).collect();
    let same: Vec<f64> = rounds.iter().map(|round| (round.baseline[1] / round.baseline[0]).ln()).collect();
    let (candidate, same) = (interval(&ratios), interval(&same));
    let least = LIMIT.ln_1p();
    let limit = least.max((same.high - same.low) / 2.0);
    let verdict = if same.low > least || same.high < -least {
        Verdict::Inconclusive
    } else if candidate.low > limit {
        Verdict::Regressed
    } else if candidate.high < -limit {
        Verdict::Improved
    } else {
        Verdict::Passed
    };
    Comparison { candidate, same, limit, verdict }
}

/// The verdict of a measurement and of its repetition: only what both find counts.
#[must_use]
pub fn confirm(first: Verdict, second: Verdict) -> Verdict {
    match (first, second) {
        (Verdict::Regressed, Verdict::Regressed) => Verdict::Regressed,
        (Verdict::Regressed, Verdict::Inconclusive) => Verdict::Inconclusive,
        (Verdict::Regressed, _) => Verdict::Passed,
        (first, _) => first,
    }
}

/// The mean and the percentiles of its bootstrap distribution.
fn interval(values: &[f64]) -> Interval {
    let count = values.len();
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / count.max(1) as f64;
    // The same resamples every time: the verdict is a function of the times alone.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        values[(state >> 11) as usize % count.max(1)]
    };
    let mut means: Vec<f64> = (0..RESAMPLES).map(|_| mean(&mut (0..count).map(|_| draw()))).collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[(share * (RESAMPLES - 1) as f64).round() as usize];
    Interval { low: at(0.025), mean: mean(&mut values.iter().copied()), high: at(0.975) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times around 100 with noise of so many percent, the candidate slower by a factor, the machine drifting.
    fn rounds(seed: u64, noise: f64, factor: f64, drift: f64) -> Vec<Round> {
        let mut state = seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1;
        let mut time = |position: usize, factor: f64| {
            // Sum of four uniform numbers: near enough to a normal one.
            let mut sum = -2.0;
            for _ in 0..4 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                sum += (state >> 11) as f64 / (1u64 << 53) as f64;
            }
            100.0 * factor * (1.0 + noise / 100.0 * sum * 3f64.sqrt()) * (1.0 + drift * position as f64)
        };
        (0..10)
            .map(|_| {
                let (a, b, c, d) = (time(0, 1.0), time(1, factor), time(2, factor), time(3, 1.0));
                Round { baseline: [a, d], candidate: [b, c] }
            })
            .collect()
    }

    fn verdicts(noise: f64, factor: f64, drift: f64) -> Vec<Verdict> {
        (1..=200).map(|seed| compare(&rounds(seed, noise, factor, drift)).verdict).collect()
    }

    fn share(verdicts: &[Verdict], of: Verdict) -> f64 {
        verdicts.iter().filter(|&&verdict| verdict == of).count() as f64 / verdicts.len() as f64
    }

    #[test]
    fn a_planted_slowdown_of_five_percent_fails() {
        assert!(share(&verdicts(1.0, 1.05, 0.0), Verdict::Regressed) > 0.99);
        assert!(share(&verdicts(2.0, 1.05, 0.0), Verdict::Regressed) > 0.9);
    }

    #[test]
    fn the_same_program_passes() {
        for noise in [0.1, 1.0, 3.0, 10.0] {
            let found = verdicts(noise, 1.0, 0.0);
            assert!(share(&found, Verdict::Regressed) < 0.005, "{noise}");
        }
        assert!(share(&verdicts(1.0, 1.0, 0.0), Verdict::Passed) > 0.99);
    }

    #[test]
    fn a_slowdown_within_the_limit_passes_and_a_speedup_is_told() {
        assert!(share(&verdicts(0.1, 1.015, 0.0), Verdict::Passed) > 0.99);
        assert!(share(&verdicts(1.0, 0.9, 0.0), Verdict::Improved) > 0.99);
    }

    #[test]
    fn a_machine_that_changes_its_speed_is_inconclusive() {
        // A third slower over one round, every round: the means agree, but A/A does not.
        assert!(share(&verdicts(1.0, 1.0, 0.1), Verdict::Inconclusive) > 0.99);
        assert!(share(&verdicts(1.0, 1.05, 0.1), Verdict::Inconclusive) > 0.99);
        // A small drift cancels.
        assert!(share(&verdicts(0.5, 1.0, 0.003), Verdict::Passed) > 0.99);
    }

    #[test]
    fn noise_raises_the_limit() {
        let quiet = compare(&rounds(7, 0.1, 1.0, 0.0));
        let noisy = compare(&rounds(7, 20.0, 1.0, 0.0));
        assert!((quiet.limit - LIMIT.ln_1p()).abs() < 1e-12 && noisy.limit > 2.0 * quiet.limit, "{noisy:?}");
    }

    #[test]
    fn a_regression_needs_its_repetition() {
        use Verdict::{Inconclusive, Passed, Regressed};
        assert_eq!(confirm(Regressed, Regressed), Regressed);
        assert_eq!(confirm(Regressed, Passed), Passed);
        assert_eq!(confirm(Regressed, Inconclusive), Inconclusive);
        assert_eq!(confirm(Passed, Regressed), Passed);
    }
}
