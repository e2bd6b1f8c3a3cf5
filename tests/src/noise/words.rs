//! The rounding of key words and accumulators to 32 bits, by itself.
//!
//! A keyswitch and a bootstrap add up so much other noise that a coarser rounding would hide in it for long. Here both
//! are computed with and without, on the same key and the same ciphertexts, and the difference is what is measured.

use fhe_core::ParameterSet;
use fhe_core::torus::BOXES;
use tfhe::core_crypto::algorithms::polynomial_algorithms::{
    polynomial_wrapping_monic_monomial_div_assign, polynomial_wrapping_monic_monomial_mul_assign,
};
use tfhe::core_crypto::commons::math::decomposition::SignedDecomposer;
use tfhe::core_crypto::prelude::{
    CiphertextModulus, ContiguousEntityContainerMut, GlweCiphertextOwned, LweCiphertext, LweCiphertextOwned,
    ModulusSwitchedLweCiphertext, MonomialDegree, PolynomialSize, cmux_assign, keyswitch_lwe_ciphertext,
    lwe_ciphertext_centered_binary_modulus_switch,
};

use crate::conformance::{Keys, Random, phase};
use crate::reference::ReferenceKey;

/// 2^64, the number of torus words.
const MODULUS: f64 = 18_446_744_073_709_551_616.0;

/// Variance of an error that is uniform over a unit of 32-bit words, 2^-32 of the torus.
const ROUNDING: f64 = 1.0 / 12.0 / MODULUS;

/// The multiple of 2^32 nearest to a word.
fn rounded(word: u64) -> u64 {
    word.wrapping_add(1 << 31) >> 32 << 32
}

/// The same, and the even one of two. Ties are no rarity in accumulators, since a transform of doubles leaves few bits beyond
/// the 32nd. Doubles round them to even, too; upwards they would all have one sign.
fn rounded_to_even(word: u64) -> u64 {
    let even = word >> 32 & 1;
    word.wrapping_add((1 << 31) - 1 + even) >> 32 << 32
}

/// What a keyswitch adds, as a function of the digits of its input, with all secrets known.
#[derive(Debug)]
pub struct KeyswitchErrors {
    decomposer: SignedDecomposer<u64>,
    /// `[kN inputs][L levels]`: errors of the rows of the key, torus words.
    rows: Vec<i64>,
    /// The same layout: what rounding the words of a row to 32 bits adds to its phase.
    roundings: Vec<i64>,
    /// Set bits of the big key.
    weight: usize,
    params: ParameterSet,
}

impl KeyswitchErrors {
    /// Of a real key.
    #[must_use]
    pub fn new(keys: &Keys, key: &ReferenceKey) -> Self {
        let params = key.parameters();
        let literal = params.to_tfhe();
        let (base_log, levels, size) = (params.ks_base_log(), params.ks_level_count(), params.lwe_dimension() + 1);
        let words: &[u64] = key.keyswitching().as_ref();
        let (small, big) = (keys.small_key(), keys.big_key());
        let error = |(index, row): (usize, &[u64])| {
            // From level L, the least significant, to 1.
            let level = levels - index % levels;
            let message = big[index / levels] << (64 - level * base_log);
            phase(small, row).wrapping_sub(message) as i64
        };
        let rounding = |row: &[u64]| {
            let differences: Vec<u64> = row.iter().map(|&word| rounded(word).wrapping_sub(word)).collect();
            phase(small, &differences) as i64
        };
        Self {
            decomposer: SignedDecomposer::new(literal.ks_base_log, literal.ks_level),
            rows: words.chunks_exact(size).enumerate().map(error).collect(),
            roundings: words.chunks_exact(size).map(rounding).collect(),
            weight: big.iter().sum::<u64>() as usize,
            params,
        }
    }

    /// Number of rows of the key, one for every digit.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Variance of a balanced digit.
    fn digit(&self) -> f64 {
        ((2.0 * self.params.ks_base_log() as f64).exp2() + 2.0) / 12.0
    }

    /// Variance that a keyswitch by this key adds to a ciphertext with a uniformly random mask: what the formula averages
    /// over all keys, kN·l·σ²·(B² + 2)/12 + kN·B^(-2l)/24, with this key's errors in place of σ² and its bits in place of
    /// the halves.
    #[must_use]
    pub fn variance(&self) -> f64 {
        let step = (-2.0 * (self.params.ks_base_log() * self.params.ks_level_count()) as f64).exp2();
        self.digit() * squares(&self.rows) + self.weight as f64 * step / 12.0
    }

    /// Variance that the rounding of the key's words, and of the body, adds to it.
    #[must_use]
    pub fn rounding_variance(&self) -> f64 {
        self.digit() * squares(&self.roundings) + ROUNDING
    }

    /// The same averaged over keys: K·(B² + 2)/12 products of a digit with the rounding of a body and of n/2 mask words,
    /// each uniform over 2^-32 of the torus.
    #[must_use]
    pub fn rounding_formula(&self) -> f64 {
        let (depth, n) = (self.rows.len() as f64, self.params.lwe_dimension() as f64);
        (depth * self.digit() * (1.0 + n / 2.0) + 1.0) * ROUNDING
    }

    /// What the rounding of key and body adds to the phase of a block, in units of the torus.
    #[must_use]
    pub fn rounding(&self, block: &[u64]) -> f64 {
        let (&body, mask) = block.split_last().expect("a block has a body");
        let digits = mask.iter().flat_map(|&word| self.decomposer.decompose(word).map(|term| term.value() as i64));
        let sum = digits.zip(&self.roundings).map(|(digit, rounding)| digit.wrapping_mul(*rounding));
        let body = rounded(body).wrapping_sub(body) as i64;
        (body.wrapping_sub(sum.fold(0, i64::wrapping_add))) as f64 / MODULUS
    }
}

fn squares(errors: &[i64]) -> f64 {
    errors.iter().map(|&error| (error as f64 / MODULUS).powi(2)).sum()
}

/// Both halves of the `tfhe` crate's own keyswitch: the block under the small key, and its words modulo 2N.
#[must_use]
pub fn keyswitch(key: &ReferenceKey, block: &[u64]) -> (Vec<u64>, Vec<u16>) {
    let modulus = CiphertextModulus::new_native();
    let mut small = LweCiphertext::new(0, key.keyswitching().output_lwe_size(), modulus);
    keyswitch_lwe_ciphertext(key.keyswitching(), &LweCiphertext::from_container(block, modulus), &mut small);
    let switched = modulus_switch(key, &small);
    (small.into_container(), switched)
}

/// The same with the words of the key and the body rounded to 32 bits.
#[must_use]
pub fn keyswitch_in_32_bits(key: &ReferenceKey, block: &[u64]) -> Vec<u16> {
    let (&body, mask) = block.split_last().expect("a block has a body");
    let keyswitching = key.keyswitching();
    let size = keyswitching.output_lwe_size().0;
    let decomposer =
        SignedDecomposer::<u64>::new(keyswitching.decomposition_base_log(), keyswitching.decomposition_level_count());
    let mut sums = vec![0u64; size];
    sums[size - 1] = rounded(body);
    let digits = mask.iter().flat_map(|&word| decomposer.decompose(word).map(|term| term.value()));
    for (digit, row) in digits.zip(keyswitching.as_ref().chunks_exact(size)) {
        for (sum, &word) in sums.iter_mut().zip(row) {
            *sum = sum.wrapping_sub(digit.wrapping_mul(rounded(word)));
        }
    }
    modulus_switch(key, &LweCiphertext::from_container(sums, CiphertextModulus::new_native()))
}

fn modulus_switch(key: &ReferenceKey, small: &LweCiphertextOwned<u64>) -> Vec<u16> {
    let log_modulus = PolynomialSize(key.parameters().polynomial_size()).to_blind_rotation_input_modulus_log();
    let switched = lwe_ciphertext_centered_binary_modulus_switch::<u64, u64, _>(small.as_view(), log_modulus);
    switched.mask().chain([switched.body()]).map(|word| word as u16).collect()
}

/// A blind rotation by the `tfhe` crate's own multiplexers whose accumulator is rounded to 32 bits after every one.
///
/// Returns coefficient 0 as a block, and for every step what its rounding adds to the phase of one coefficient, drawn by
/// `random`, in units of the torus. (Phases of neighbouring coefficients share most of their roundings.)
#[must_use]
pub fn bootstrap_in_32_bits(
    keys: &Keys,
    key: &ReferenceKey,
    switched: &[u16],
    table: &[u64],
    random: &mut Random,
) -> (Vec<u64>, Vec<f64>) {
    let (size, big) = (table.len(), keys.big_key());
    let (&body, mask) = switched.split_last().expect("a block has a body");
    let words = [vec![0; size], table.to_vec()].concat();
    let mut accumulator: GlweCiphertextOwned<u64> =
        GlweCiphertextOwned::from_container(words, PolynomialSize(size), CiphertextModulus::new_native());
    for mut polynomial in accumulator.as_mut_polynomial_list().iter_mut() {
        polynomial_wrapping_monic_monomial_div_assign(&mut polynomial, MonomialDegree(usize::from(body)));
    }
    let mut roundings = Vec::new();
    for (&exponent, ggsw) in mask.iter().zip(key.bootstrapping().as_view().into_ggsw_iter()) {
        if exponent == 0 {
            continue;
        }
        let mut turned = accumulator.clone();
        for mut polynomial in turned.as_mut_polynomial_list().iter_mut() {
            polynomial_wrapping_monic_monomial_mul_assign(&mut polynomial, MonomialDegree(usize::from(exponent)));
        }
        cmux_assign(&mut accumulator, &mut turned, &ggsw);
        let mut differences = Vec::with_capacity(2 * size);
        for word in accumulator.as_mut() {
            let exact = std::mem::replace(word, rounded_to_even(*word));
            differences.push(word.wrapping_sub(exact));
        }
        let at = random.below(size as u64) as usize;
        roundings.push(phase(big, &extracted(&differences, at)) as i64 as f64 / MODULUS);
    }
    (extracted(accumulator.as_ref(), 0), roundings)
}

/// Coefficient `at` of a GLWE ciphertext with one mask polynomial, as a block.
fn extracted(words: &[u64], at: usize) -> Vec<u64> {
    let (mask, body) = words.split_at(words.len() / 2);
    let negated = mask[at + 1..].iter().rev().map(|word| word.wrapping_neg());
    mask[..=at].iter().rev().copied().chain(negated).chain([body[at]]).collect()
}

/// Variance that one rounding of an accumulator adds to a coefficient's phase: a body and as many mask words as the
/// key has bits, each uniform over 2^-32 of the torus.
#[must_use]
pub fn accumulator_rounding(keys: &Keys) -> f64 {
    let weight = keys.big_key().iter().sum::<u64>() as f64;
    (1.0 + weight) * ROUNDING
}

/// Correlation of the phases of two coefficients that are so many boxes apart, of a polynomial with random mask errors:
/// Σ ±S\[j\]·S\[j + δ\] / Σ S\[j\], indices modulo X^N + 1, of about (1 - 2δ/N)/2.
#[must_use]
pub fn overlap(keys: &Keys, boxes: usize) -> f64 {
    let key = keys.big_key();
    let distance = boxes * key.len() / BOXES;
    let both = |from: &[u64], to: &[u64]| from.iter().zip(to).map(|(a, b)| (a * b) as f64).sum::<f64>();
    let straight = both(key, &key[distance..]);
    let around = both(&key[key.len() - distance..], key);
    (straight - around) / key.iter().sum::<u64>() as f64
}
