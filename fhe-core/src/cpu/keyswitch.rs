//! Keyswitch of a batch from the big to the small LWE key, and the modulus switch to 2N.
//!
//! ```text
//! digits  R x K        K = N * levels, balanced signed digits, negated
//! key     K x (n + 1)  32-bit torus words, packed in panels of C = 3 * 2W columns
//! sums    R x (n + 1)  = digits * key, plus b in the last column, modulo 2^32
//! ```
//!
//! The product is blocked: a block of [`K_BLOCK`] rows of a panel (24 KiB) stays in the first-level
//! cache while all ciphertexts pass over it, [`ROW_TILE`] at a time, with all sums of the tile
//! (4 x 3 vectors) in registers. Panels are independent: a thread takes whole panels, so the key is
//! read from memory once per batch, whatever the number of threads.
//!
//! Words are the upper 32 bits of the key's: rounding them adds about 2^-25 of the torus, against
//! 2^-11 of keyswitch noise; `tests::real_keys` checks the sum.
//!
//! Source: Chillotti, Gama, Georgieva, Izabachene, "TFHE" (2020), algorithm 2, with digits;
//! modulus switch: the `tfhe` crate, `core_crypto/algorithms/modulus_switch.rs` (definition only).

use super::aligned::AlignedVec;
use super::blind_rotate::to_word;
use super::geometry::Geometry;
use super::simd::{Kernel, Simd, SimdLevel};
use rayon::prelude::*;

/// Ciphertexts whose sums are held in registers at a time.
const ROW_TILE: usize = 4;
/// Vectors of columns in a panel.
const COLUMN_VECTORS: usize = 3;
/// Rows of a panel that stay in the first-level cache.
const K_BLOCK: usize = 256;

/// Keyswitching key from dimension N to n, packed for the product.
///
/// ```text
/// [panel][input j < N][level, least significant first][column < C]   u32 torus words
/// ```
///
/// Columns are the n mask words, then the body, then zeros up to a whole number of panels.
pub struct PackedKeyswitchingKey {
    geometry: Geometry,
    level: SimdLevel,
    panels: AlignedVec<u32>,
}

impl PackedKeyswitchingKey {
    /// Packs a standard-domain key, in parallel on the current rayon pool.
    ///
    /// `words`: `[input j < N][level, least significant first][n mask words, body]`, torus words
    /// modulo 2^64: the layout of `LweKeyswitchKey` of the `tfhe` crate.
    ///
    /// # Panics
    /// If the geometry is unsupported, the level is not available, or the length is not
    /// `N * ks_level_count * (n + 1)`.
    #[must_use]
    pub fn new(level: SimdLevel, geometry: Geometry, words: &[u64]) -> Self {
        assert!(geometry.is_supported() && level.is_available());
        let small = geometry.small_lwe_size();
        let depth = depth(&geometry);
        assert_eq!(words.len(), depth * small);
        let columns = panel_columns(level);
        let mut panels = AlignedVec::zeroed(small.div_ceil(columns) * depth * columns);
        let chunks = panels.as_mut_slice().par_chunks_exact_mut(depth * columns).enumerate();
        chunks.for_each(|(panel, out)| {
            let from = panel * columns;
            let count = columns.min(small - from);
            for (out, row) in out.chunks_exact_mut(columns).zip(words.chunks_exact(small)) {
                for (out, &word) in out.iter_mut().zip(&row[from..from + count]) {
                    *out = to_word(word);
                }
            }
        });
        Self { geometry, level, panels }
    }

    /// The sizes that the key was made for.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Number of panels, the units of parallel work.
    pub(crate) fn panel_count(&self) -> usize {
        self.panels.as_slice().len() / (self.depth() * self.columns())
    }

    /// K, the digits of one ciphertext.
    pub(crate) fn depth(&self) -> usize {
        depth(&self.geometry)
    }

    /// C, the columns of a panel.
    pub(crate) fn columns(&self) -> usize {
        panel_columns(self.level)
    }

    /// `sums[row][column < C] = sum_k digits[row][k] * key[k][column]` for one panel.
    pub(crate) fn multiply_panel(&self, panel: usize, digits: &[u32], sums: &mut [u32]) {
        let size = self.depth() * self.columns();
        let panel = &self.panels.as_slice()[panel * size..][..size];
        sums.fill(0);
        self.level.run(Product { panel, digits, depth: self.depth(), sums });
    }

    /// Collects row `row` of the sums of all panels, adds `body`, and switches to modulus 2N.
    ///
    /// `sums`: `[panel][row < rows][column < C]`; `words`: scratch of n + 1 words.
    pub(crate) fn finish_row(
        &self,
        sums: &[u32],
        rows: usize,
        row: usize,
        body: u64,
        words: &mut [u32],
        out: &mut [u16],
    ) {
        let columns = self.columns();
        let rows_of_panels = sums.chunks_exact(rows * columns).map(|panel| &panel[row * columns..]);
        for (words, sums) in words.chunks_mut(columns).zip(rows_of_panels) {
            words.copy_from_slice(&sums[..words.len()]);
        }
        let last = &mut words[self.geometry.lwe_dimension];
        *last = last.wrapping_add(to_word(body));
        modulus_switch(words, self.geometry.log_exponent_modulus(), out);
    }
}

fn depth(geometry: &Geometry) -> usize {
    geometry.polynomial_size * geometry.ks_level_count as usize
}

fn panel_columns(level: SimdLevel) -> usize {
    COLUMN_VECTORS * 2 * level.lanes()
}

/// Negated balanced digits of the mask of one ciphertext.
///
/// `mask`: N torus words. `digits`: `[input][level, least significant first]`, two's complement, each
/// in `-B/2..=B/2`, such that `mask_j + sum_l digits_{j,l} q / B^l` is within half of the last
/// level's step. A digit of B/2 stays or becomes -B/2 as the next higher digit is below or above
/// B/2 (the top digit: as the word is positive or negative), which keeps the digits' mean at zero.
/// These are the digits of the `tfhe` crate, `core_crypto/commons/math/decomposition`.
pub(crate) fn decompose(geometry: &Geometry, mask: &[u64], digits: &mut [u32]) {
    let (base_log, levels) = (geometry.ks_base_log, geometry.ks_level_count as usize);
    let bits = base_log * geometry.ks_level_count;
    let dropped = 64 - bits;
    let base = 1u32 << base_log;
    for (&word, digits) in mask.iter().zip(digits.chunks_exact_mut(levels)) {
        // Rounded to the digits' bits, as a signed number: the sign decides the ties of the top
        // digit, the rounding bit the tie of the whole.
        let half_way = word >> (dropped - 1) & 1;
        #[allow(clippy::cast_possible_truncation)] // at most 31 bits are left
        let rounded = (((word >> (dropped - 1)) + 1) >> 1 & ((1 << bits) - 1)) as u32;
        let limit = 1u32 << (bits - 1);
        let negative = rounded > limit || (rounded == limit && half_way == 1);
        let mut rest = rounded.wrapping_sub(u32::from(negative) << bits).cast_signed();
        for digit in digits {
            let low = rest.cast_unsigned() & (base - 1);
            rest >>= base_log;
            let above_half = low > base / 2 || (low == base / 2 && rest.cast_unsigned() & (base / 2) != 0);
            let carry = u32::from(above_half);
            rest += carry.cast_signed();
            *digit = (carry << base_log).wrapping_sub(low);
        }
    }
}

/// Switches an LWE ciphertext of 32-bit torus words to modulus `2^log_modulus`, centered.
///
/// With `r(x)` the multiple of `2^(32 - log_modulus)` nearest to `x`,
///
/// ```text
/// out_i = r(a_i) / 2^(32 - log_modulus)                                          for the mask
/// out_n = r(b + sum_i (r(a_i) - a_i) / 2 - half) / 2^(32 - log_modulus)          for the body
/// ```
///
/// where half is half a step. The sum removes the mean of the rounding error under a binary key of
/// which half the bits are set, which lowers its variance by half; `half` centers the result on the
/// boxes of a table. Differs from the definition on 64-bit words by at most one unit in the last
/// place of the sum (2^-32 of the torus).
///
/// # Panics
/// If `words` is empty, the lengths differ, or `log_modulus` is not in `1..=16`.
pub fn modulus_switch(words: &[u32], log_modulus: u32, out: &mut [u16]) {
    assert!(words.len() == out.len() && (1..=16).contains(&log_modulus));
    let shift = 32 - log_modulus;
    let half = 1u32 << (shift - 1);
    // Modulo the modulus: rounding up from the top wraps to zero in the addition.
    #[allow(clippy::cast_possible_truncation)] // at most 16 bits are left
    let switch = |x: u32| (x.wrapping_add(half) >> shift) as u16;
    let (&body, mask) = words.split_last().expect("a ciphertext has a body");
    let (out_body, out_mask) = out.split_last_mut().expect("of the same length");
    let mut errors = 0i64;
    for (&a, out) in mask.iter().zip(out_mask) {
        *out = switch(a);
        errors += i64::from((u32::from(*out) << shift).wrapping_sub(a).cast_signed());
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // modulo 2^32
    let correction = (errors / 2) as u32;
    *out_body = switch(body.wrapping_add(correction).wrapping_sub(half));
}

/// The product of all digits with one panel.
struct Product<'a> {
    panel: &'a [u32],
    digits: &'a [u32],
    depth: usize,
    sums: &'a mut [u32],
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let columns = COLUMN_VECTORS * S::WORDS;
        for (block, panel) in self.panel.chunks(K_BLOCK * columns).enumerate() {
            let from = block * K_BLOCK;
            let tiles = self.digits.chunks(ROW_TILE * self.depth);
            for (digits, sums) in tiles.zip(self.sums.chunks_mut(ROW_TILE * columns)) {
                match sums.len() / columns {
                    4 => tile::<S, 4>(s, panel, digits, self.depth, from, sums),
                    3 => tile::<S, 3>(s, panel, digits, self.depth, from, sums),
                    2 => tile::<S, 2>(s, panel, digits, self.depth, from, sums),
                    _ => tile::<S, 1>(s, panel, digits, self.depth, from, sums),
                }
            }
        }
    }
}

/// `sums[r] += sum_k digits[r][from + k] * panel[k]` for R ciphertexts.
#[inline(always)]
fn tile<S: Simd, const R: usize>(s: S, panel: &[u32], digits: &[u32], depth: usize, from: usize, sums: &mut [u32]) {
    let columns = COLUMN_VECTORS * S::WORDS;
    let count = panel.len() / columns;
    let digits: [&[u32]; R] = std::array::from_fn(|r| &digits[r * depth + from..][..count]);
    let mut acc = [[s.splat_words(0); COLUMN_VECTORS]; R];
    for r in 0..R {
        for c in 0..COLUMN_VECTORS {
            acc[r][c] = s.load_words(&sums[r * columns + c * S::WORDS..]);
        }
    }
    for (k, row) in panel.chunks_exact(columns).enumerate() {
        for r in 0..R {
            let digit = s.splat_words(digits[r][k]);
            for c in 0..COLUMN_VECTORS {
                let key = s.load_words(&row[c * S::WORDS..]);
                acc[r][c] = s.add_words(acc[r][c], s.mul_words(key, digit));
            }
        }
    }
    for r in 0..R {
        for c in 0..COLUMN_VECTORS {
            s.store_words(&mut sums[r * columns + c * S::WORDS..], acc[r][c]);
        }
    }
}
