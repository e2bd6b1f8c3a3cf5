//! Keyswitch of a batch from the big to the small LWE key, and the modulus switch to 2N.
//!
//! ```text
//! digits  R x K        K = N * levels, balanced signed digits, negated, 16 bits
//! key     K x (n + 1)  32-bit torus words as 2^16 high + low, both signed, 16 bits
//! sums    R x (n + 1)  = digits * key, plus b in the last column, modulo 2^32
//! ```
//!
//! One instruction multiplies and adds *pairs* of 16-bit numbers, for which two digits of a row stand side by side, and
//! two words of a column: `d_k low_k + d_{k+1} low_{k+1}`, and the same for the high halves, whose sum is shifted once
//! at the end. Everything is exact modulo 2^32.
//!
//! The product is blocked. K is cut into *blocks* of [`BLOCK_INPUTS`] inputs, whose digits of all rows stay in the
//! first-level cache (17 KiB for 64 rows) while a *slab* of [`SLAB_PANELS`] panels of 2W columns passes by, a panel's
//! part of the block (4 KiB) meeting all rows, [`row_tile`] at a time, with all sums of the tile in registers. Slabs are
//! independent: a thread takes whole slabs, so the key is read from memory once per batch, whatever the number of
//! threads, and from its first to its last byte.
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

/// Inputs in a block.
const BLOCK_INPUTS: usize = 32;
/// Inputs between the two of a pair.
const PAIR_DISTANCE: usize = BLOCK_INPUTS / 2;
/// Panels in a slab.
const SLAB_PANELS: usize = 8;
/// Words of 32 bits in a cache line.
const WORDS_OF_LINE: usize = 16;
/// Most rows in a tile.
const MAX_ROW_TILE: usize = 6;

/// Rows whose sums are held in registers at a time: 2 vectors of sums for each, and 4 more vectors.
pub(crate) fn row_tile(level: SimdLevel) -> usize {
    match level {
        // A vector of words takes two or four registers.
        SimdLevel::Portable | SimdLevel::PortableWide => 2,
        SimdLevel::Avx2 | SimdLevel::Avx512 | SimdLevel::Avx512Vnni => MAX_ROW_TILE,
    }
}

/// Keyswitching key from dimension N to n, packed for the product.
///
/// ```text
/// [slab][block][panel of the slab][pair of digits][low, high][column < 2W][first, second digit]   16 bits
/// ```
///
/// Pairs of a block are in the order `[level, least significant first][input]`, the inputs of a pair
/// [`PAIR_DISTANCE`] apart; columns are the n mask words, then the body, then
/// zeros up to a whole number of panels.
pub struct PackedKeyswitchingKey {
    geometry: Geometry,
    level: SimdLevel,
    /// A pair of 16-bit numbers in each word, the first in its low half.
    pairs: AlignedVec<u32>,
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
        let levels = geometry.ks_level_count as usize;
        let depth = geometry.polynomial_size * levels;
        assert_eq!(words.len(), depth * small);
        let columns = 2 * level.lanes();
        let slab_columns = SLAB_PANELS * columns;
        let block = block_depth(&geometry);
        let mut pairs = AlignedVec::zeroed_huge(small.next_multiple_of(columns) * depth);
        let slabs = pairs.as_mut_slice().par_chunks_mut(slab_columns * depth).enumerate();
        slabs.for_each(|(slab, out)| {
            let panels = out.len() / (depth * columns);
            for (index, out) in out.chunks_exact_mut(block * columns).enumerate() {
                let (input, panel) = (index / panels * BLOCK_INPUTS, index % panels);
                let from = slab * slab_columns + panel * columns;
                let count = columns.min(small - from);
                for (pair_index, out) in out.chunks_exact_mut(2 * columns).enumerate() {
                    let (level, input) = (pair_index / PAIR_DISTANCE, input + pair_index % PAIR_DISTANCE);
                    let row = |input| &words[(input * levels + level) * small + from..][..count];
                    let (low, high) = out.split_at_mut(columns);
                    for (c, (&first, &second)) in row(input).iter().zip(row(input + PAIR_DISTANCE)).enumerate() {
                        let (first, second) = (halves(first), halves(second));
                        (low[c], high[c]) = (pair(first[0], second[0]), pair(first[1], second[1]));
                    }
                }
            }
        });
        Self { geometry, level, pairs }
    }

    /// The sizes that the key was made for.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Number of columns with those that fill the last panel.
    pub(crate) fn padded_columns(&self) -> usize {
        self.geometry.small_lwe_size().next_multiple_of(self.columns())
    }

    /// Columns of a slab; the last one may have fewer.
    pub(crate) fn slab_columns(&self) -> usize {
        SLAB_PANELS * self.columns()
    }

    /// Pairs of digits of one row in one block.
    pub(crate) fn block_pairs(&self) -> usize {
        block_depth(&self.geometry) / 2
    }

    /// Number of blocks.
    pub(crate) fn block_count(&self) -> usize {
        self.geometry.polynomial_size / BLOCK_INPUTS
    }

    /// Columns of a panel.
    fn columns(&self) -> usize {
        2 * self.level.lanes()
    }

    /// Digits of block `block` of the masks of all rows, `[tile][pair][row of the tile]`; a word holds a pair.
    ///
    /// `inputs`: `[row][N + 1]` torus words.
    pub(crate) fn decompose_block(&self, block: usize, inputs: &[u64], out: &mut [u32]) {
        self.level.run(Decompose { geometry: &self.geometry, row_tile: row_tile(self.level), block, inputs, out });
    }

    /// `sums[panel of the slab][row][column < 2W] = sum_k digits[row][k] * key[k][column]` for one slab.
    ///
    /// `digits`: all blocks, each as [`decompose_block`](Self::decompose_block) writes it.
    pub(crate) fn multiply_slab(&self, slab: usize, digits: &[u32], sums: &mut [u32]) {
        let size = self.slab_columns() * self.block_count() * 2 * self.block_pairs();
        let pairs = &self.pairs.as_slice()[slab * size..];
        let pairs = &pairs[..size.min(pairs.len())];
        sums.fill(0);
        let (block_pairs, row_tile) = (self.block_pairs(), row_tile(self.level));
        self.level.run(Product { pairs, digits, block_pairs, block_count: self.block_count(), row_tile, sums });
    }

    /// Collects row `row` of the sums of all panels, adds `body`, and switches to modulus 2N.
    ///
    /// `sums`: `[panel][row < rows][column < 2W]`; `words`: scratch of n + 1 words.
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

/// Digits of one row in a block.
fn block_depth(geometry: &Geometry) -> usize {
    BLOCK_INPUTS * geometry.ks_level_count as usize
}

/// `[low, high]` as two's complement of 16 bits each, with `low + 2^16 high` the upper 32 bits of a torus word.
fn halves(torus: u64) -> [u32; 2] {
    let word = to_word(torus);
    [word & 0xffff, word.wrapping_add(0x8000) >> 16]
}

/// Two numbers of 16 bits in one word.
fn pair(first: u32, second: u32) -> u32 {
    first & 0xffff | second << 16
}

/// Negated balanced digits of the inputs of one block.
///
/// `mask`: torus words. `digits`: `[level, least significant first][input]`, two's complement, each
/// in `-B/2..=B/2`, such that `mask_j + sum_l digits_{l,j} q / B^l` is within half of the last
/// level's step. A digit of B/2 stays or becomes -B/2 as the next higher digit is below or above
/// B/2 (the top digit: as the word is positive or negative), which keeps the digits' mean at zero.
/// These are the digits of the `tfhe` crate, `core_crypto/commons/math/decomposition`.
///
/// Without branches and in loops of fixed length, so that the compiler turns them into vectors.
#[inline(always)]
pub(crate) fn decompose(geometry: &Geometry, mask: &[u64; BLOCK_INPUTS], digits: &mut [u32]) {
    let base_log = geometry.ks_base_log;
    let bits = base_log * geometry.ks_level_count;
    let (base, limit) = (1i32 << base_log, 1i32 << (bits - 1));
    let mut rest = [0i32; BLOCK_INPUTS];
    for (rest, &word) in rest.iter_mut().zip(mask) {
        // Rounded to the digits' bits, as a signed number: the sign decides the ties of the top
        // digit, the rounding bit the tie of the whole. At most 31 bits, and the rounding bit.
        let shifted = (word >> (63 - bits)) as u32;
        let half_way = (shifted & 1).cast_signed();
        let rounded = ((shifted >> 1).cast_signed().wrapping_add(half_way)) & limit.wrapping_mul(2).wrapping_sub(1);
        let negative = i32::from(rounded > limit) | (i32::from(rounded == limit) & half_way);
        *rest = rounded.wrapping_sub(negative << bits);
    }
    for digits in digits.chunks_exact_mut(BLOCK_INPUTS) {
        for (digit, rest) in digits.iter_mut().zip(&mut rest) {
            let low = *rest & (base - 1);
            *rest >>= base_log;
            let tie = i32::from(low == base / 2) & i32::from(*rest & (base / 2) != 0);
            let carry = i32::from(low > base / 2) | tie;
            *rest += carry;
            *digit = ((carry << base_log) - low).cast_unsigned();
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

/// The digits of one block of all rows.
struct Decompose<'a> {
    geometry: &'a Geometry,
    row_tile: usize,
    block: usize,
    inputs: &'a [u64],
    out: &'a mut [u32],
}

impl Kernel for Decompose<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { geometry, row_tile, block, inputs, out } = self;
        let (big, depth) = (geometry.big_lwe_size(), block_depth(geometry));
        // As many levels as a supported geometry can have.
        let mut digits = [0; 31 * BLOCK_INPUTS];
        let digits = &mut digits[..depth];
        for (rows, out) in inputs.chunks(row_tile * big).zip(out.chunks_mut(row_tile * depth / 2)) {
            let count = rows.len() / big;
            for (r, row) in rows.chunks_exact(big).enumerate() {
                let (blocks, _) = row.as_chunks::<BLOCK_INPUTS>();
                decompose(geometry, &blocks[block], digits);
                let mut out = out.chunks_exact_mut(count);
                for digits in digits.chunks_exact(BLOCK_INPUTS) {
                    let (first, second) = digits.split_at(BLOCK_INPUTS / 2);
                    for ((&first, &second), out) in first.iter().zip(second).zip(&mut out) {
                        out[r] = pair(first, second);
                    }
                }
            }
        }
    }
}

/// The product of all digits with one slab.
struct Product<'a> {
    pairs: &'a [u32],
    digits: &'a [u32],
    block_pairs: usize,
    block_count: usize,
    row_tile: usize,
    sums: &'a mut [u32],
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { pairs, digits, block_pairs, block_count, row_tile, sums } = self;
        let rows = digits.len() / (block_pairs * block_count);
        let panel = block_pairs * 2 * S::WORDS;
        let mut key = pairs.chunks_exact(panel).peekable();
        for digits in digits.chunks_exact(rows * block_pairs) {
            for sums in sums.chunks_exact_mut(rows * S::WORDS) {
                let Some(panel) = key.next() else { return };
                // Each tile of rows asks for its share of the panel that comes next.
                let mut ahead = key.peek().map_or(&[][..], |next| next).chunks(WORDS_OF_LINE);
                let share = (panel.len() / WORDS_OF_LINE).div_ceil(rows.div_ceil(row_tile));
                let tiles = digits.chunks(row_tile * block_pairs);
                for (digits, sums) in tiles.zip(sums.chunks_mut(row_tile * S::WORDS)) {
                    for line in ahead.by_ref().take(share) {
                        s.prefetch(&line[0]);
                    }
                    match sums.len() / S::WORDS {
                        6 => tile::<S, 6>(s, panel, digits, sums),
                        5 => tile::<S, 5>(s, panel, digits, sums),
                        4 => tile::<S, 4>(s, panel, digits, sums),
                        3 => tile::<S, 3>(s, panel, digits, sums),
                        2 => tile::<S, 2>(s, panel, digits, sums),
                        _ => tile::<S, 1>(s, panel, digits, sums),
                    }
                }
            }
        }
    }
}

/// `sums[r] += sum_k digits[r][k] * panel[k]` for R rows, over the digits of one block.
#[inline(always)]
fn tile<S: Simd, const R: usize>(s: S, panel: &[u32], digits: &[u32], sums: &mut [u32]) {
    let mut low = [s.splat_words(0); R];
    let mut high = [s.splat_words(0); R];
    for (key, digits) in panel.chunks_exact(2 * S::WORDS).zip(digits.chunks_exact(R)) {
        let (key_low, key_high) = (s.load_words(key), s.load_words(&key[S::WORDS..]));
        for r in 0..R {
            let digit = s.splat_words(digits[r]);
            low[r] = s.add_pairs(low[r], key_low, digit);
            high[r] = s.add_pairs(high[r], key_high, digit);
        }
    }
    let weight = s.splat_words(1 << 16);
    for (r, sums) in sums.chunks_exact_mut(S::WORDS).enumerate() {
        let sum = s.add_words(low[r], s.mul_words(high[r], weight));
        let sum = s.add_words(sum, s.load_words(sums));
        s.store_words(sums, sum);
    }
}
