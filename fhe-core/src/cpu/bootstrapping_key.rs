//! The bootstrapping key in the Fourier domain, laid out in the order in which it is read.

use super::aligned::AlignedVec;
use super::fft::FourierPlan;
use super::geometry::Geometry;
use super::key_transform::KeyTransform;
use super::simd::SimdLevel;
use rayon::prelude::*;

/// Vectors of doubles per complex vector of frequencies: real and imaginary parts of 2 x 2
/// polynomials.
pub(crate) const KEY_VECTORS: usize = 8;

/// Bootstrapping key: one GGSW ciphertext of each bit of the small secret key, transformed.
///
/// ```text
/// [input i < n][block < M/W^2][vector < W][row r < 2][polynomial c < 2][re, im][lane < W]  f64
/// ```
///
/// so blind rotation reads it from the first to the last byte. Frequencies are in the order of
/// [`super::fft`]. Values are multiplied by 2^-64 / M: a product with integer digits followed by the
/// unscaled inverse transform is a fraction of the torus. 32 N bytes per input (64 KiB for
/// N = 2048).
pub struct FourierBootstrappingKey {
    geometry: Geometry,
    level: SimdLevel,
    plan: FourierPlan,
    values: AlignedVec<f64>,
}

impl FourierBootstrappingKey {
    /// Converts a standard-domain key, in parallel on the current rayon pool.
    ///
    /// `words`: `[input i < n][row r < 2][polynomial c < 2][coefficient < N]`, torus words modulo
    /// 2^64; row r = 0 encrypts `-s_i S q/B`, row 1 `s_i q/B`. This is the layout of
    /// `LweBootstrapKey` of the `tfhe` crate with one level and GLWE dimension 1.
    ///
    /// # Panics
    /// If the geometry is unsupported, the level is not available on this machine, or `words` does
    /// not hold exactly 4 N n words.
    #[must_use]
    pub fn new(level: SimdLevel, geometry: Geometry, words: &[u64]) -> Self {
        assert!(geometry.is_supported() && level.is_available());
        let ggsw = 4 * geometry.polynomial_size;
        assert_eq!(words.len(), ggsw * geometry.lwe_dimension);
        let plan = FourierPlan::new(geometry.polynomial_size, level.lanes());
        let mut values = AlignedVec::zeroed_huge(words.len());
        let transform = KeyTransform::new(&plan);
        let lanes = level.lanes();
        let ciphertexts = values.as_mut_slice().par_chunks_exact_mut(ggsw);
        ciphertexts.zip(words.par_chunks_exact(ggsw)).for_each(|(out, words)| {
            for (polynomial, words) in words.chunks_exact(geometry.polynomial_size).enumerate() {
                for (position, [re, im]) in transform.transform(words).enumerate() {
                    let (vector, lane) = (position / lanes, position % lanes);
                    let at = (vector * KEY_VECTORS + 2 * polynomial) * lanes + lane;
                    out[at] = re;
                    out[at + lanes] = im;
                }
            }
        });
        Self { geometry, level, plan, values }
    }

    /// The sizes that the key was made for.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The instruction set that blind rotation with this key uses.
    #[must_use]
    pub fn level(&self) -> SimdLevel {
        self.level
    }

    pub(crate) fn plan(&self) -> &FourierPlan {
        &self.plan
    }

    /// The transformed GGSW ciphertext of input `i`, 4 N doubles.
    pub(crate) fn ggsw(&self, i: usize) -> &[f64] {
        let size = 4 * self.geometry.polynomial_size;
        &self.values.as_slice()[i * size..][..size]
    }
}
