//! Statistical tests with a stated probability of a false alarm.
//!
//! Every test turns what was measured into a standard normal deviate, by an approximation that holds far into the
//! tails for the hundreds of samples that are measured here:
//!
//! * the variance of normal samples against a given one: the cube root of Wilson and Hilferty, "The distribution of
//!   chi-square" (PNAS 17, 1931);
//! * the quotient of two variances: Paulson, "An approximate normalization of the analysis of variance distribution"
//!   (Ann. Math. Stat. 13, 1942), the same cube root on both;
//! * a mean against 0: Wallace, "Bounds on normal approximations to Student's and the chi-square distributions"
//!   (Ann. Math. Stat. 30, 1959);
//! * a correlation against 0: Fisher's inverse hyperbolic tangent.

use std::f64::consts::{LOG2_E, PI};

/// The probability that a run of the suite fails although all hypotheses hold.
pub const FALSE_ALARM: f64 = 1e-6;

/// Most tests in one run; each may fail by chance with probability [`FALSE_ALARM`] divided by this (Bonferroni, so
/// that the tests may depend on each other).
pub const MAX_TESTS: usize = 1000;

/// Count, mean and variance of a sample.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    /// Number of values.
    pub count: usize,
    /// Mean.
    pub mean: f64,
    /// Variance around the mean, the unbiased estimate.
    pub variance: f64,
}

impl Moments {
    /// Of these values, at least two.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        Self { count, mean, variance: squares / (count - 1) as f64 }
    }

    /// The same for values that come in groups of all outputs of a bootstrap, which tell less than independent ones.
    ///
    /// The estimate of a variance varies 1 + Σ ρ² times as much as that of as many independent values, over the correlations
    /// ρ of one with all others of its group: for outputs at all 16 boxes that is below 2.
    #[must_use]
    pub fn of_shared(self) -> Self {
        Self { count: self.count / 2, ..self }
    }

    fn degrees(&self) -> f64 {
        (self.count - 1) as f64
    }

    /// Deviate of the variance, if the values are normal with variance `expected`.
    #[must_use]
    pub fn against(&self, expected: f64) -> f64 {
        let spread = 2.0 / (9.0 * self.degrees());
        ((self.variance / expected).cbrt() - (1.0 - spread)) / spread.sqrt()
    }

    /// Deviate of the quotient of the variances, if both are of normal values with the same variance.
    #[must_use]
    pub fn beside(&self, other: &Self) -> f64 {
        let root = (self.variance / other.variance).cbrt();
        let (ours, theirs) = (2.0 / (9.0 * self.degrees()), 2.0 / (9.0 * other.degrees()));
        ((1.0 - theirs) * root - (1.0 - ours)) / (theirs * root * root + ours).sqrt()
    }

    /// Deviate of the mean, if the values are normal with mean 0.
    #[must_use]
    pub fn off_centre(&self) -> f64 {
        let degrees = self.degrees();
        let t = self.mean / (self.variance / self.count as f64).sqrt();
        let factor = (8.0 * degrees + 1.0) / (8.0 * degrees + 3.0);
        t.signum() * factor * (degrees * (t * t / degrees).ln_1p()).sqrt()
    }
}

/// Correlation of pairs. For independent normal values its inverse hyperbolic tangent has the variance 1/(n - 3) around that
/// of the true correlation.
#[must_use]
pub fn correlation(left: &[f64], right: &[f64]) -> f64 {
    let (a, b) = (Moments::of(left), Moments::of(right));
    let products = left.iter().zip(right).map(|(x, y)| (x - a.mean) * (y - b.mean)).sum::<f64>();
    products / a.degrees() / (a.variance * b.variance).sqrt()
}

/// log2 of the probability that a normal value with standard deviation 1 is at least `z` from 0 on either side:
/// log2 erfc(z/√2), for any z of at least 1.
///
/// Laplace's continued fraction of Mills' ratio, 1/(z + 1/(z + 2/(z + 3/(z + ...)))), in logarithms: the
/// probability itself is no `f64` beyond z = 38.
#[must_use]
pub fn log2_tails(z: f64) -> f64 {
    let mills = (1..=400).rev().fold(z, |rest, index| z + f64::from(index) / rest).recip();
    1.0 + (mills / (2.0 * PI).sqrt()).log2() - z * z / 2.0 * LOG2_E
}

/// The deviation that a normal value exceeds on either side with probability 2^`log2`.
#[must_use]
pub fn deviation(log2: f64) -> f64 {
    let (mut low, mut high) = (1.0, 200.0);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if log2_tails(middle) > log2 { low = middle } else { high = middle }
    }
    low
}

/// What a deviate may not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Too large: what is measured must not be above what is promised.
    Above,
    /// Too far from 0.
    Both,
}

/// The tests of one run.
#[derive(Debug, Default)]
pub struct Tests {
    done: Vec<(String, f64, Side)>,
}

impl Tests {
    /// Adds a test.
    pub fn push(&mut self, name: impl Into<String>, deviate: f64, side: Side) {
        self.done.push((name.into(), deviate, side));
    }

    /// The largest deviates of both sorts.
    #[must_use]
    pub fn largest(&self) -> f64 {
        self.done.iter().map(violation).fold(0.0, f64::max)
    }

    /// Panics with all tests that failed.
    pub fn assert(&self) {
        let bound = Self::bound();
        assert!(self.done.len() <= MAX_TESTS, "{} tests share the false alarms of {MAX_TESTS}", self.done.len());
        println!("{} tests, the largest deviate {:.2} of {bound:.2} allowed", self.done.len(), self.largest());
        // Not a number is a failure too.
        let failed = self.done.iter().filter(|&test| !matches!(violation(test), deviate if deviate <= bound));
        let failed: Vec<_> =
            failed.map(|(name, deviate, _)| format!("{name}: {deviate:.1} standard deviations")).collect();
        assert!(failed.is_empty(), "more than {bound:.2} standard deviations off:\n{}", failed.join("\n"));
    }

    /// Deviates beyond this fail: a two-sided level, so tests on one side have half of it.
    #[must_use]
    pub fn bound() -> f64 {
        deviation((FALSE_ALARM / MAX_TESTS as f64).log2())
    }
}

fn violation((_, deviate, side): &(String, f64, Side)) -> f64 {
    match side {
        Side::Above => *deviate,
        Side::Both => deviate.abs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Random;

    fn with_variance(count: usize, variance: f64) -> Moments {
        Moments { count, mean: 0.0, variance }
    }

    /// Tail probabilities of the normal distribution, from tables.
    #[test]
    fn tails_of_the_normal_distribution() {
        for (z, tails) in [(1.0, 0.317_310_508), (2.0, 0.045_500_264), (6.0, 1.973_175_29e-9), (10.0, 1.523_970_6e-23)]
        {
            assert!((log2_tails(z) - f64::log2(tails)).abs() < 1e-6, "{z}");
        }
        // The leading terms of the asymptotic series, φ(z)/z·(1 - 1/z² + 3/z⁴), far beyond the range of `f64`.
        let z = 60.0f64;
        let series = (1.0 - z.powi(-2) + 3.0 * z.powi(-4)).log2() - z.log2() - (2.0 * PI).sqrt().log2();
        assert!((log2_tails(z) - (1.0 + series - z * z / 2.0 * LOG2_E)).abs() < 1e-6);
        assert!((deviation(-128.0) - 13.1).abs() < 0.1, "{}", deviation(-128.0));
        assert!((log2_tails(deviation(-128.0)) + 128.0).abs() < 1e-9);
    }

    /// Quantiles of χ²(999)/999 and F(999, 999) at 5·10^-10 on one side, from scipy.stats: the deviate of the quantile is
    /// the deviation of the level.
    #[test]
    fn quantiles_of_variances() {
        let level = deviation(1e-9f64.log2());
        for (quantile, sign) in [(1.298_038_39, 1.0), (0.750_399_51, -1.0)] {
            let found = with_variance(1000, quantile).against(1.0);
            assert!((found - sign * level).abs() < 0.02, "{quantile}: {found}");
        }
        let found = with_variance(1000, 1.473_865_42).beside(&with_variance(1000, 1.0));
        assert!((found - level).abs() < 0.02, "{found}");
    }

    /// Deviates of normal values have the moments of a normal value, and see a variance that is a third too large.
    #[test]
    fn deviates_are_standard_normal() {
        let mut random = Random::new(3);
        let mut uniform = || (random.word() >> 11) as f64 / (1u64 << 53) as f64;
        let mut normal = || (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
        let mut sample = || (0..400).map(|_| normal()).collect::<Vec<f64>>();
        let mut deviates: [Vec<f64>; 4] = Default::default();
        for _ in 0..400 {
            let (a, b) = (sample(), sample());
            let (left, right) = (Moments::of(&a), Moments::of(&b));
            let found = [
                left.against(1.0),
                left.beside(&right),
                left.off_centre(),
                correlation(&a, &b).atanh() * 397f64.sqrt(),
            ];
            deviates.iter_mut().zip(found).for_each(|(all, one)| all.push(one));
        }
        for all in &deviates {
            let moments = Moments::of(all);
            // Twelve uniform values have a kurtosis of 2.9, so that their variances vary 5% less.
            assert!(moments.off_centre().abs() < 4.5 && (moments.variance - 0.97).abs() < 0.3, "{moments:?}");
        }
        let wide: Vec<f64> = (0..1000).map(|_| normal() * 1.35).collect();
        assert!(Moments::of(&wide).against(1.0) > Tests::bound());
    }

    #[test]
    fn failures_are_told() {
        let mut tests = Tests::default();
        tests.push("fine", -100.0, Side::Above);
        tests.push("fine", 5.9, Side::Both);
        tests.assert();
        assert!((tests.largest() - 5.9).abs() < 1e-9);
        for deviate in [-7.0, f64::NAN] {
            let mut tests = Tests::default();
            tests.push("bad", deviate, Side::Both);
            assert!(std::panic::catch_unwind(|| tests.assert()).is_err());
        }
    }
}
