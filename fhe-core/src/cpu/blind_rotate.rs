//! Blind rotation of a tile of ciphertexts, and sample extraction.
//!
//! ```text
//! acc_t = (0, table_t) * X^{-b_t}                                   for t < T
//! for i in 0..n:                      GGSW_i is read once per tile, from the second-level cache
//!     for t in 0..T, a = a_{t,i} != 0:
//!         d   = round((acc_t * X^a - acc_t) / (q/B))                digits, two polynomials
//!         acc_t += GGSW_i^T . d                                     external product
//! ```
//!
//! Accumulators are 32-bit torus words. Rounding them adds about 2^-24 of the torus after n = 918
//! steps, against 2^-15 in all; `tests::real_keys::noise_is_that_of_tfhe` checks the sum.
//!
//! One step is four loops over memory per polynomial, each fused with its neighbours: rotate,
//! subtract, decompose and first pass; outer passes; **block pass, product, inverse block pass** of
//! both polynomials in registers; outer passes back; last pass, conversion and accumulation.
//!
//! Source: Chillotti, Gama, Georgieva, Izabachene, "TFHE" (2020), algorithms 3 and 9.

use super::aligned::{AlignedVec, as_vectors, as_vectors_mut};
use super::bootstrapping_key::{FourierBootstrappingKey, KEY_VECTORS};
use super::fft::{
    Block, Complex, FourierPlan, block_twiddles, first_twiddles, forward_block, forward_outer, forward4, inverse_block,
    inverse_outer, inverse4, quarters,
};
use super::geometry::Geometry;
use super::simd::{Kernel, MAX_LANES, Simd};

/// Words after an accumulator polynomial that continue it negacyclically (`acc[N + j] = -acc[j]`),
/// so that a vector may start at any coefficient.
pub(crate) const PAD: usize = 2 * MAX_LANES;

/// Most ciphertexts in one tile.
pub const MAX_TILE: usize = 16;

/// One bootstrap of a batch: which table, and which coefficients of the result to extract.
#[derive(Clone, Copy, Debug)]
pub struct BootstrapJob<'a> {
    /// Index of the table polynomial.
    pub table: usize,
    /// Coefficients to extract, each in `0..N`; `&[0]` for a plain bootstrap. Each yields one LWE
    /// ciphertext, in this order.
    pub coefficients: &'a [usize],
}

/// Working memory of one thread: [`MAX_TILE`] accumulators and one pair of Fourier buffers.
pub struct BlindRotateScratch {
    accumulators: AlignedVec<u32>,
    fourier: AlignedVec<f64>,
}

impl BlindRotateScratch {
    /// Memory for the given sizes.
    #[must_use]
    pub fn new(geometry: &Geometry) -> Self {
        let size = geometry.polynomial_size;
        Self { accumulators: AlignedVec::zeroed(MAX_TILE * 2 * (size + PAD)), fourier: AlignedVec::zeroed(2 * size) }
    }
}

/// Bootstraps a tile: blind rotation of each ciphertext, then the extractions its job asks for.
///
/// - `switched`: `[t < T][n mask, body]`, exponents in `0..2N`;
/// - `tables`: `[table][N]`, torus words modulo 2^64, as the body of a trivial GLWE ciphertext;
/// - `out`: for each job, for each coefficient, an LWE ciphertext of N + 1 torus words under the big
///   key; the low 32 bits of each word are zero.
///
/// # Panics
/// If a length disagrees with the key's geometry, T is not in `1..=MAX_TILE`, or a job names a table
/// or a coefficient that does not exist.
pub fn bootstrap_tile(
    key: &FourierBootstrappingKey,
    scratch: &mut BlindRotateScratch,
    switched: &[u16],
    jobs: &[BootstrapJob<'_>],
    tables: &[u64],
    out: &mut [u64],
) {
    let geometry = key.geometry();
    let (size, small) = (geometry.polynomial_size, geometry.small_lwe_size());
    assert!((1..=MAX_TILE).contains(&jobs.len()));
    assert_eq!(switched.len(), jobs.len() * small);
    assert!(switched.iter().all(|&a| usize::from(a) < 2 * size));
    assert_eq!(scratch.fourier.as_slice().len(), 2 * size, "scratch of another geometry");

    let stride = 2 * (size + PAD);
    let accumulators = &mut scratch.accumulators.as_mut_slice()[..jobs.len() * stride];
    let rows = switched.chunks_exact(small);
    for ((accumulator, job), row) in accumulators.chunks_exact_mut(stride).zip(jobs).zip(rows) {
        let table = &tables[job.table * size..][..size];
        let (mask, body) = accumulator.split_at_mut(size + PAD);
        mask.fill(0);
        start(table, usize::from(row[small - 1]), body);
    }
    let fourier = scratch.fourier.as_mut_slice();
    key.level().run(Rotate { key, accumulators, fourier, switched });

    let ciphertexts = jobs.iter().map(|job| job.coefficients.len()).sum::<usize>();
    assert_eq!(out.len(), ciphertexts * geometry.big_lwe_size());
    let mut out = out.chunks_exact_mut(geometry.big_lwe_size());
    for (accumulator, job) in accumulators.chunks_exact(stride).zip(jobs) {
        let (mask, body) = accumulator.split_at(size + PAD);
        for (&coefficient, out) in job.coefficients.iter().zip(&mut out) {
            sample_extract(&mask[..size], &body[..size], coefficient, out);
        }
    }
}

/// The 32-bit torus word nearest to a 64-bit one.
#[allow(clippy::cast_possible_truncation)] // the shift leaves 32 bits
pub(crate) fn to_word(torus: u64) -> u32 {
    (torus.wrapping_add(1 << 31) >> 32) as u32
}

/// `body = table * X^{-exponent}`, with its pad.
fn start(table: &[u64], exponent: usize, body: &mut [u32]) {
    let size = table.len();
    for (j, word) in body.iter_mut().enumerate() {
        // X^-b moves coefficient j + b to j; past N the sign changes, past 2N it is back.
        let from = (j + exponent) % (2 * size);
        *word = if from < size { to_word(table[from]) } else { to_word(table[from - size]).wrapping_neg() };
    }
}

/// Coefficient `h` of a GLWE ciphertext as an LWE ciphertext under the flattened key.
///
/// `out = [A_h, A_{h-1}, .., A_0, -A_{N-1}, .., -A_{h+1}, B_h]`, words shifted to 64 bits.
///
/// # Panics
/// If `h >= N` or `out` is not N + 1 long.
pub(crate) fn sample_extract(mask: &[u32], body: &[u32], h: usize, out: &mut [u64]) {
    let size = mask.len();
    assert!(h < size && out.len() == size + 1);
    let torus = |word: u32| u64::from(word) << 32;
    let (positive, negative) = out[..size].split_at_mut(h + 1);
    for (out, &word) in positive.iter_mut().zip(mask[..=h].iter().rev()) {
        *out = torus(word);
    }
    for (out, &word) in negative.iter_mut().zip(mask[h + 1..].iter().rev()) {
        *out = torus(word.wrapping_neg());
    }
    out[size] = torus(body[h]);
}

/// One step of blind rotation with the only input of `key`, on a mask and a body.
#[cfg(test)]
pub(crate) fn step_for_tests(key: &FourierBootstrappingKey, acc: &[Vec<u32>; 2], exponent: u16) -> [Vec<u32>; 2] {
    let size = key.geometry().polynomial_size;
    let mut accumulators = Vec::new();
    for acc in acc {
        accumulators.extend(acc);
        accumulators.extend(acc[..PAD].iter().map(|word| word.wrapping_neg()));
    }
    let mut scratch = BlindRotateScratch::new(key.geometry());
    let fourier = scratch.fourier.as_mut_slice();
    let switched = &[exponent, 0];
    key.level().run(Rotate { key, accumulators: &mut accumulators, fourier, switched });
    for acc in accumulators.chunks_exact(size + PAD) {
        assert!(acc[size..].iter().zip(acc).all(|(pad, word)| *pad == word.wrapping_neg()));
    }
    [0, size + PAD].map(|from| accumulators[from..from + size].to_vec())
}

/// The loop over the n inputs for one tile.
struct Rotate<'a> {
    key: &'a FourierBootstrappingKey,
    accumulators: &'a mut [u32],
    fourier: &'a mut [f64],
    switched: &'a [u16],
}

impl Kernel for Rotate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let geometry = self.key.geometry();
        let size = geometry.polynomial_size;
        let small = geometry.small_lwe_size();
        let tile = self.switched.len() / small;
        let shift = 32 - geometry.pbs_base_log;
        let (data0, data1) = self.fourier.split_at_mut(size);
        let (data0, data1) = (as_vectors_mut::<S, 2>(data0), as_vectors_mut::<S, 2>(data1));
        for i in 0..geometry.lwe_dimension {
            let ggsw = self.key.ggsw(i);
            // Each ciphertext of the tile asks for its share of the next GGSW ciphertext.
            let next = self.key.ggsw((i + 1).min(geometry.lwe_dimension - 1));
            for (t, accumulator) in self.accumulators.chunks_exact_mut(2 * (size + PAD)).enumerate() {
                let exponent = usize::from(self.switched[t * small + i]);
                if exponent == 0 {
                    continue;
                }
                let plan = self.key.plan();
                let share = next.len() / tile;
                let (mask, body) = accumulator.split_at_mut(size + PAD);
                forward(s, plan, mask, exponent, shift, data0);
                forward(s, plan, body, exponent, shift, data1);
                multiply(s, plan, ggsw, data0, data1, &next[t * share..][..share]);
                inverse(s, plan, data0, mask);
                inverse(s, plan, data1, body);
            }
        }
    }
}

/// The vector of words that starts at `acc[at]`.
#[inline(always)]
fn vector_at<S: Simd>(s: S, acc: &[u32], at: usize) -> S::U32 {
    debug_assert!(at + S::WORDS <= acc.len());
    // SAFETY: the callers below assert that `acc` is a padded polynomial, N + PAD words, and pass
    // positions below N; a vector has at most PAD words.
    s.load_words(unsafe { acc.get_unchecked(at..at + S::WORDS) })
}

/// `data` = the digits of `acc * X^exponent - acc`, transformed up to the block pass.
#[inline(always)]
pub(crate) fn forward<S: Simd>(
    s: S,
    plan: &FourierPlan,
    acc: &[u32],
    exponent: usize,
    shift: u32,
    data: &mut [Complex<S>],
) {
    let size = plan.polynomial_size();
    assert!(acc.len() == size + PAD && data.len() * 2 * S::LANES == size && exponent < 2 * size);
    // The polynomial is read as 8 streams of `eighth` coefficients: stream k is the real part of
    // quarter k of the folded polynomial, stream k + 4 its imaginary part. A rotation shifts every
    // stream by the same amount, so all of them wrap into the preceding eighth below `offset`.
    let eighth = size / 8;
    let (eighths, offset) = (exponent / eighth, exponent % eighth);
    let wrapped_end = offset.next_multiple_of(S::WORDS);
    let source = |stream: usize, wrapped: bool| {
        let from = (stream + 32 - eighths - usize::from(wrapped)) % 16;
        let sign = if from < 8 { 1 } else { u32::MAX };
        // Position of the coefficient that lands at position 0 of the stream; negative positions
        // cannot occur for the vectors that use it.
        ((from % 8) * eighth + usize::from(wrapped) * eighth, sign)
    };
    let w = first_twiddles(s, plan);
    let half = s.splat_words(1 << (shift - 1));
    let [a, b, c, d] = quarters(data);
    for (wrapped, range) in [(true, 0..wrapped_end), (false, wrapped_end..eighth)] {
        let sources: [_; 8] = std::array::from_fn(|stream| source(stream, wrapped));
        let signs: [_; 8] = std::array::from_fn(|stream| s.splat_words(sources[stream].1));
        for u in range.step_by(S::WORDS) {
            let mut digits = [half; 8];
            for stream in 0..8 {
                let rotated = vector_at(s, acc, sources[stream].0 + u - offset);
                let rotated = s.with_sign(rotated, signs[stream]);
                let difference = s.sub_words(rotated, vector_at(s, acc, stream * eighth + u));
                // Modulo 2^32 the sum may wrap: then -B/2 stands for B/2, which is as good.
                digits[stream] = s.shift_right(s.add_words(difference, half), shift);
            }
            let v = u / S::LANES;
            let x = std::array::from_fn(|k| [s.low_to_f64(digits[k]), s.low_to_f64(digits[k + 4])]);
            [a[v], b[v], c[v], d[v]] = forward4(s, x, w);
            let x = std::array::from_fn(|k| [s.high_to_f64(digits[k]), s.high_to_f64(digits[k + 4])]);
            [a[v + 1], b[v + 1], c[v + 1], d[v + 1]] = forward4(s, x, w);
        }
    }
    forward_outer(s, plan, data);
}

/// Block pass, external product with one GGSW ciphertext, inverse block pass, in place.
///
/// `y_c = x_0 * key_{0,c} + x_1 * key_{1,c}` at every frequency, `x_0` being the mask.
#[inline(always)]
pub(crate) fn multiply<S: Simd>(
    s: S,
    plan: &FourierPlan,
    ggsw: &[f64],
    data0: &mut [Complex<S>],
    data1: &mut [Complex<S>],
    prefetch: &[f64],
) {
    let keys = as_vectors::<S, KEY_VECTORS>(ggsw).chunks_exact(S::LANES);
    let blocks = data0.chunks_exact_mut(S::LANES).zip(data1.chunks_exact_mut(S::LANES));
    let lines = prefetch.len() / (plan.polynomial_size() / 2 / (S::LANES * S::LANES));
    for (((data0, data1), keys), (w, prefetch)) in
        blocks.zip(keys).zip(block_twiddles::<S>(plan).zip(prefetch.chunks_exact(lines)))
    {
        for line in prefetch.chunks(8) {
            s.prefetch(&line[0]);
        }
        let mut x0 = forward_block(s, w, data0);
        let mut x1 = forward_block(s, w, data1);
        for v in 0..S::LANES {
            let (p, q) = ([x0[0][v], x0[1][v]], [x1[0][v], x1[1][v]]);
            let k = &keys[v];
            set::<S>(&mut x0, v, product(s, p, [k[0], k[1]], q, [k[4], k[5]]));
            set::<S>(&mut x1, v, product(s, p, [k[2], k[3]], q, [k[6], k[7]]));
        }
        inverse_block(s, w, x0, data0);
        inverse_block(s, w, x1, data1);
    }
}

#[inline(always)]
fn set<S: Simd>(x: &mut Block<S>, v: usize, [re, im]: Complex<S>) {
    x[0][v] = re;
    x[1][v] = im;
}

/// `a b + c d`
#[inline(always)]
fn product<S: Simd>(s: S, a: Complex<S>, b: Complex<S>, c: Complex<S>, d: Complex<S>) -> Complex<S> {
    let re = s.neg_mul_add(a[1], b[1], s.mul(a[0], b[0]));
    let im = s.mul_add(a[1], b[0], s.mul(a[0], b[1]));
    [s.neg_mul_add(c[1], d[1], s.mul_add(c[0], d[0], re)), s.mul_add(c[1], d[0], s.mul_add(c[0], d[1], im))]
}

/// `acc += data`, transformed back from before the block pass.
#[inline(always)]
pub(crate) fn inverse<S: Simd>(s: S, plan: &FourierPlan, data: &mut [Complex<S>], acc: &mut [u32]) {
    let size = plan.polynomial_size();
    assert!(acc.len() == size + PAD && data.len() * 2 * S::LANES == size);
    let eighth = size / 8;
    inverse_outer(s, plan, data);
    let w = first_twiddles(s, plan);
    let (scale, magic) = (s.splat(4_294_967_296.0), s.splat(6_755_399_441_055_744.0));
    // A fraction of the torus of any size (up to 2^32 in the worst case): dropping the integer part
    // leaves at most 1/2, and adding 1.5 * 2^52 after scaling puts the integer nearest to
    // f * 2^32 into the low bits, as two's complement.
    let to_torus = |x: S::F64| s.mul_add(s.sub(x, s.round(x)), scale, magic);
    let [a, b, c, d] = quarters(data);
    for u in (0..eighth).step_by(S::WORDS) {
        let v = u / S::LANES;
        let mut torus = [[s.splat(0.0); 2]; 8];
        for h in 0..2 {
            let y = inverse4(s, [a[v + h], b[v + h], c[v + h], d[v + h]], w);
            for k in 0..4 {
                torus[k][h] = to_torus(y[k][0]);
                torus[k + 4][h] = to_torus(y[k][1]);
            }
        }
        for (stream, torus) in torus.into_iter().enumerate() {
            let at = stream * eighth + u;
            let sum = s.add_words(vector_at(s, acc, at), s.low_words(torus));
            // SAFETY: as in `vector_at`.
            s.store_words(unsafe { acc.get_unchecked_mut(at..at + S::WORDS) }, sum);
        }
    }
    let (coefficients, pad) = acc.split_at_mut(size);
    for (pad, word) in pad[..PAD].iter_mut().zip(coefficients) {
        *pad = word.wrapping_neg();
    }
}
