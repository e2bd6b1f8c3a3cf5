//! The noise model of the simulation: closed formulas for the variances, and a reproducible source of normal values.

use std::f64::consts::TAU;

use tfhe::core_crypto::commons::noise_formulas::{
    centered_mean_shifted_modulus_switch as centered_mean, lwe_keyswitch, lwe_programmable_bootstrap as pbs,
};
use tfhe::core_crypto::prelude::{
    DecompositionBaseLog, DecompositionLevelCount, DynamicDistribution, GlweDimension, LweDimension, PolynomialSize,
    Variance,
};

use crate::params::ParameterSet;

/// 2^64, the number of torus words.
const MODULUS: f64 = 18_446_744_073_709_551_616.0;

/// Bits of the mantissa that the Fourier transforms of a bootstrap compute with.
const MANTISSA_BITS: f64 = 53.0;

/// Variances that the three noisy steps of a parameter set add, each in units of the whole torus squared (a standard
/// deviation of 2^64 words is 1).
///
/// The formulas are the `tfhe` crate's own, which it selects its parameters with (`core_crypto::commons::
/// noise_formulas`); they assume that the keys carry the least noise that is secure at 132 bits, as the keys of all
/// supported sets do. In letters, with σ² the variance of the key's noise, B the base and l the levels:
///
/// * bootstrap: n·\[l·(k+1)·N·σ²·(B² + 2)/12 + (kN/2 + 1)·B^(-2l)/24 + an empirical term for the 53-bit Fourier
///   transforms\], Chillotti, Ligier, Orfila, Tap, "Improved Programmable Bootstrapping with Larger Precision and
///   Efficient Arithmetic Circuits for TFHE" (ASIACRYPT 2021), for binary keys;
/// * keyswitch: kN·l·σ²·(B² + 2)/12 + kN·B^(-2l)/24, the same source;
/// * modulus switch: n/48·(2N)^-2. Every rounding error of a mask word is uniform over 1/2N and meets a key bit; the
///   centred mean takes half of it away, so that ±1/2 remains of the bit, and 1/12·1/4 = 1/48.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseModel {
    /// Of a bootstrap's output: it replaces the noise of the input.
    pub bootstrap: f64,
    /// What a keyswitch adds.
    pub keyswitch: f64,
    /// The part of [`bootstrap`](Self::bootstrap) that lies in the masks of the accumulators, and that outputs of one
    /// bootstrap have in common: see [`shared`](Self::shared).
    pub bootstrap_mask: f64,
    /// What the modulus switch adds, without the final rounding of the body, which the simulation does itself.
    pub modulus_switch: f64,
}

impl NoiseModel {
    /// The variances of a parameter set.
    #[must_use]
    pub fn of(params: ParameterSet) -> Self {
        let literal = params.to_tfhe();
        let (n, k, polynomial) = (literal.lwe_dimension, literal.glwe_dimension, literal.polynomial_size);
        let big = k.to_equivalent_lwe_dimension(polynomial);
        let (pbs_variance, keyswitch_variance): (PbsVariance, KeyswitchVariance) = match literal.glwe_noise_distribution
        {
            DynamicDistribution::TUniform(_) => (
                pbs::pbs_variance_132_bits_security_tuniform_fft_mul,
                lwe_keyswitch::keyswitch_additive_variance_132_bits_security_tuniform,
            ),
            DynamicDistribution::Gaussian(_) => (
                pbs::pbs_variance_132_bits_security_gaussian_fft_mul,
                lwe_keyswitch::keyswitch_additive_variance_132_bits_security_gaussian,
            ),
        };
        let switched = 2.0 * params.polynomial_size() as f64;
        let bootstrap = |mantissa: f64| {
            pbs_variance(n, k, polynomial, literal.pbs_base_log, literal.pbs_level, mantissa, MODULUS).0
        };
        let transforms = bootstrap(MANTISSA_BITS) - bootstrap(MODULUS.log2());
        let digits = (-2.0 * (params.pbs_base_log() * params.pbs_level_count()) as f64).exp2();
        let rounding = (n.0 * big.0) as f64 / 48.0 * digits;
        Self {
            bootstrap: bootstrap(MANTISSA_BITS),
            bootstrap_mask: rounding + transforms,
            keyswitch: keyswitch_variance(big, n, literal.ks_base_log, literal.ks_level, MODULUS, MODULUS).0,
            modulus_switch: centered_mean::centered_binary_shifted_modulus_switch_additive_variance(
                n, MODULUS, switched,
            )
            .0,
        }
    }

    /// Covariance of two outputs of one bootstrap, whose coefficients are that share of the polynomial apart.
    ///
    /// Rounding errors r of a mask, of the decomposition and of the Fourier transforms, reach coefficient h of the phase as
    /// Σ S\[j\]·r\[h - j\], modulo X^N + 1. Key bits S have the mean 1/2, so that outputs which are δ < N apart share N - δ
    /// products with probability 1/4 each, and δ more with the opposite sign, of the N/2 that each has: the correlation
    /// of this part is (1 - 2δ/N)/2. The noise of the key does not correlate: it meets digits with mean 0. (Own
    /// derivation; the noise tests measure it, at every distance of two boxes.)
    #[must_use]
    pub fn shared(&self, distance: f64) -> f64 {
        self.bootstrap_mask * (0.5 - distance)
    }

    /// Variance of what a blind rotation is driven by, for a keyswitched linear form of the given l2 norm over
    /// bootstrap outputs.
    #[must_use]
    pub fn at_norm(&self, norm: f64) -> f64 {
        norm * norm * self.bootstrap + self.keyswitch + self.modulus_switch
    }
}

type PbsVariance = fn(
    LweDimension,
    GlweDimension,
    PolynomialSize,
    DecompositionBaseLog,
    DecompositionLevelCount,
    f64,
    f64,
) -> Variance;

type KeyswitchVariance =
    fn(LweDimension, LweDimension, DecompositionBaseLog, DecompositionLevelCount, f64, f64) -> Variance;

/// Normally distributed torus words, a function of seed, call and index alone.
///
/// The generator is `SplitMix64` (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014)
/// read at an index, so that any order of evaluation gives the same noise; the transform is that of Box and Muller.
/// It serves statistics only: nothing in a simulation is secret.
#[derive(Clone, Copy, Debug)]
pub(super) struct Normal {
    base: u64,
    scale: f64,
}

/// 2^64 divided by the golden ratio, odd: the step of `SplitMix64`.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

impl Normal {
    /// The values of one call, with a variance in units of the torus squared.
    pub(super) fn new(seed: u64, call: u64, variance: f64) -> Self {
        Self { base: mix(mix(seed).wrapping_add(call)), scale: variance.sqrt() * MODULUS }
    }

    /// The value at `index`, rounded to a torus word.
    pub(super) fn at(&self, index: u64) -> u64 {
        let uniform = |index: u64| {
            let word = mix(self.base.wrapping_add(GOLDEN.wrapping_mul(index)));
            // In (0, 1], so that the logarithm below is finite.
            ((word >> 11) + 1) as f64 / (1u64 << 53) as f64
        };
        let radius = (-2.0 * uniform(2 * index).ln()).sqrt();
        let value = radius * (TAU * uniform(2 * index + 1)).cos();
        (value * self.scale).round() as i64 as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keyswitch and the analytic part of the bootstrap, from the literal's own key noise.
    fn by_hand(params: ParameterSet) -> NoiseModel {
        let literal = params.to_tfhe();
        let variance = |distribution: DynamicDistribution<u64>| match distribution {
            DynamicDistribution::TUniform(uniform) => uniform.variance(MODULUS).0,
            DynamicDistribution::Gaussian(gaussian) => gaussian.std * gaussian.std,
        };
        let (n, big) = (params.lwe_dimension() as f64, params.big_lwe_dimension() as f64);
        let key_noise = |base_log: usize, levels: usize, variance: f64| {
            levels as f64 * variance * ((2.0 * base_log as f64).exp2() + 2.0) / 12.0
        };
        let rounding = |base_log: usize, levels: usize| (-2.0 * (base_log * levels) as f64).exp2() / 24.0;
        let (pbs_base, pbs_levels) = (params.pbs_base_log(), params.pbs_level_count());
        let (ks_base, ks_levels) = (params.ks_base_log(), params.ks_level_count());
        NoiseModel {
            bootstrap: n
                * (2.0 * big * key_noise(pbs_base, pbs_levels, variance(literal.glwe_noise_distribution))
                    + (big / 2.0 + 1.0) * rounding(pbs_base, pbs_levels)),
            bootstrap_mask: n * big / 2.0 * rounding(pbs_base, pbs_levels),
            keyswitch: big
                * (key_noise(ks_base, ks_levels, variance(literal.lwe_noise_distribution))
                    + rounding(ks_base, ks_levels)),
            modulus_switch: n / 48.0 / 4096.0f64.powi(2),
        }
    }

    #[test]
    fn variances_are_those_of_the_published_formulas() {
        for params in ParameterSet::supported().map(|name| ParameterSet::by_name(name).unwrap()) {
            let (model, hand) = (NoiseModel::of(params), by_hand(params));
            assert!((model.keyswitch / hand.keyswitch - 1.0).abs() < 0.02, "{params}: {model:?} {hand:?}");
            assert!((model.modulus_switch / hand.modulus_switch - 1.0).abs() < 1e-6, "{params}: {model:?} {hand:?}");
            // What is missing by hand is the Fourier transforms' part.
            let ratio = model.bootstrap / hand.bootstrap;
            assert!((1.0..1.5).contains(&ratio), "{params}: {model:?} {hand:?}");
            // They are in the masks.
            let (transforms, masks) = (model.bootstrap - hand.bootstrap, model.bootstrap_mask - hand.bootstrap_mask);
            assert!((transforms - masks).abs() < 0.02 * model.bootstrap, "{params}: {model:?} {hand:?}");
        }
    }

    /// The model at the largest norm gives the failure probability that the parameter set states:
    /// P(|noise| > half a box) with the tail bound Q(z) = φ(z)/z·(1 - 1/z²).
    #[test]
    fn failure_probability_is_that_of_the_parameter_set() {
        for params in ParameterSet::supported().map(|name| ParameterSet::by_name(name).unwrap()) {
            let z = (-6.0f64).exp2() / NoiseModel::of(params).at_norm(params.max_norm()).sqrt();
            let log2 = 2.0f64.log2() - z * z / 2.0 * std::f64::consts::LOG2_E - (z * TAU.sqrt()).log2()
                + (1.0 - 1.0 / (z * z)).log2();
            assert!(
                (log2 - params.log2_p_fail()).abs() < 1.0,
                "{params}: model {log2}, stated {}",
                params.log2_p_fail()
            );
        }
    }

    #[test]
    fn normal_values_have_the_moments_they_should() {
        let (count, deviation) = (200_000u64, (2.0f64).powi(-20));
        let normal = Normal::new(1, 2, deviation * deviation);
        let values = (0..count).map(|i| normal.at(i) as i64 as f64 / MODULUS / deviation).collect::<Vec<_>>();
        let moment = |power: i32| values.iter().map(|value| value.powi(power)).sum::<f64>() / count as f64;
        assert!(moment(1).abs() < 0.01, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.02, "{}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.2, "{}", moment(4));
        let neighbours = values.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / count as f64;
        assert!(neighbours.abs() < 0.01, "{neighbours}");
    }

    #[test]
    fn calls_and_seeds_have_noise_of_their_own() {
        let first = Normal::new(1, 1, 1e-9);
        assert_eq!(first.at(5), Normal::new(1, 1, 1e-9).at(5));
        assert_ne!(first.at(5), Normal::new(1, 2, 1e-9).at(5));
        assert_ne!(first.at(5), Normal::new(2, 1, 1e-9).at(5));
    }
}
