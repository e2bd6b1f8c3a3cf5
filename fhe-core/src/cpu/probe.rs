//! Times of the stages of blind rotation, for the benchmark's breakdown; not part of the engine.

use super::aligned::{AlignedVec, as_vectors_mut};
use super::blind_rotate::{PAD, forward, inverse, multiply};
use super::bootstrapping_key::FourierBootstrappingKey;
use super::fft::forward_outer;
use super::simd::{Kernel, Simd};
use std::time::Instant;

/// Nanoseconds of each stage in one step of blind rotation of one ciphertext (both polynomials).
#[derive(Clone, Copy, Debug, Default)]
pub struct StageTimes {
    /// Rotate, subtract, decompose, and all forward passes up to the block pass.
    pub forward: f64,
    /// Of which the outer passes.
    pub forward_outer: f64,
    /// Block pass, product, inverse block pass.
    pub multiply: f64,
    /// Inverse passes, conversion, accumulation.
    pub inverse: f64,
}

struct Probe<'a> {
    key: &'a FourierBootstrappingKey,
    tile: usize,
}

impl Kernel for Probe<'_> {
    type Output = StageTimes;

    #[inline(always)]
    #[allow(clippy::cast_precision_loss)]
    fn run<S: Simd>(self, s: S) -> StageTimes {
        let Self { key, tile } = self;
        let (plan, size) = (key.plan(), key.geometry().polynomial_size);
        let mut words = AlignedVec::<u32>::zeroed(tile * 2 * (size + PAD));
        for (j, word) in words.as_mut_slice().iter_mut().enumerate() {
            *word = u32::try_from(j).unwrap_or(0).wrapping_mul(0x9e37_79b9);
        }
        let mut buffer = AlignedVec::<f64>::zeroed(2 * size);
        let (data0, data1) = buffer.as_mut_slice().split_at_mut(size);
        let (data0, data1) = (as_vectors_mut::<S, 2>(data0), as_vectors_mut::<S, 2>(data1));
        let steps = key.geometry().lwe_dimension;
        let shift = 32 - key.geometry().pbs_base_log;
        let accumulators = words.as_mut_slice();
        let mut samples: [Vec<u128>; 4] = Default::default();
        for i in 0..steps {
            let (ggsw, next) = (key.ggsw(i), key.ggsw((i + 1) % steps));
            let exponent = (i * 1237 + 1) % (2 * size);
            let start = Instant::now();
            for acc in accumulators.chunks_exact(2 * (size + PAD)) {
                forward(s, plan, &acc[..size + PAD], exponent, shift, data0);
                forward(s, plan, &acc[size + PAD..], exponent, shift, data1);
            }
            samples[0].push(start.elapsed().as_nanos());
            let start = Instant::now();
            for t in 0..tile {
                let share = next.len() / tile;
                multiply(s, plan, ggsw, data0, data1, &next[t * share..][..share]);
            }
            samples[1].push(start.elapsed().as_nanos());
            // Values grow by each product; a step of blind rotation starts from digits.
            data0.fill([s.splat(0.1); 2]);
            data1.fill([s.splat(0.1); 2]);
            let start = Instant::now();
            for acc in accumulators.chunks_exact_mut(2 * (size + PAD)) {
                let (mask, body) = acc.split_at_mut(size + PAD);
                inverse(s, plan, data0, mask);
                inverse(s, plan, data1, body);
            }
            samples[2].push(start.elapsed().as_nanos());
            data0.fill([s.splat(0.1); 2]);
            data1.fill([s.splat(0.1); 2]);
            let start = Instant::now();
            for _ in 0..tile {
                forward_outer(s, plan, data0);
                forward_outer(s, plan, data1);
            }
            samples[3].push(start.elapsed().as_nanos());
        }
        // The lower quartile: a shared machine interrupts many of the steps.
        let [forward, multiply, inverse, forward_outer] = samples.map(|mut x| {
            x.sort_unstable();
            x[x.len() / 4] as f64 / tile as f64
        });
        StageTimes { forward, forward_outer, multiply, inverse }
    }
}

/// Times each stage alone on the calling thread, over all n inputs of the key and `tile`
/// ciphertexts.
#[must_use]
pub fn stage_times(key: &FourierBootstrappingKey, tile: usize) -> StageTimes {
    key.level().run(Probe { key, tile })
}
