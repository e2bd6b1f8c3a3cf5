//! Evaluation keys and twiddles in the forms that the kernels read.

use std::fmt;
use std::sync::Arc;

use fhe_core::keys::{EvaluationKey, StandardKeys};
use fhe_core::{ParameterSet, Result, Scheme, fourier};

use super::buffer::Buffer;
use super::device::{Argument, Card, Grid};
use super::options::BlindRotation;
use super::plan::KEYSWITCH_COLUMNS;

/// Polynomial size N that the kernels are written for.
pub(crate) const N: usize = 2048;

/// Complex values of one polynomial in the Fourier domain.
const POINTS: usize = N / 2;

/// Polynomials of one GGSW ciphertext: two rows of two.
const POLYNOMIALS: usize = 4;

/// Bytes of digits and sums of one row in the keyswitch, at most.
pub(crate) const KEYSWITCH_ROW_BYTES: usize = 14 << 10;

/// A complex number as the kernels read it.
type Complex = [f64; 2];

/// An evaluation key on a card: the keyswitching key as 32-bit words, the bootstrapping key in the Fourier domain.
pub struct CudaKey {
    pub(super) shape: KeyShape,
    /// `[N inputs][levels][columns]`, least significant level first: n mask words, the body, zeros.
    pub(super) keyswitching_key: Buffer<u32>,
    /// `[n inputs][32 values][own, other][64 lanes]`
    pub(super) bootstrapping_key: Buffer<Complex>,
}

impl fmt::Debug for CudaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CudaKey")
            .field("params", &self.shape.params)
            .field("card", &self.keyswitching_key.card().name())
            .finish_non_exhaustive()
    }
}

/// The sizes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyShape {
    params: ParameterSet,
    /// Small LWE dimension n.
    pub(super) n: usize,
    /// log2 of the keyswitch's base.
    pub(super) base_log: u32,
    /// Levels of the keyswitch.
    pub(super) levels: usize,
    /// Columns of the keyswitching key: n + 1, rounded up to whole tiles.
    pub(super) columns: usize,
}

impl KeyShape {
    fn new(params: ParameterSet) -> Self {
        let n = params.lwe_dimension();
        Self {
            params,
            n,
            base_log: params.ks_base_log() as u32,
            levels: params.ks_level_count(),
            columns: (n + 1).next_multiple_of(KEYSWITCH_COLUMNS as usize),
        }
    }

    /// Words of a ciphertext under the big key.
    pub(super) fn big_size(&self) -> usize {
        self.params.ciphertext_words()
    }

    /// Words of a switched ciphertext.
    pub(super) fn small_size(&self) -> usize {
        self.n + 1
    }

    /// Digits of a ciphertext.
    pub(super) fn depth(&self) -> usize {
        N * self.levels
    }

    /// Bytes of the key, and more while it is converted.
    fn bytes(&self) -> (usize, usize) {
        let fourier = self.n * POLYNOMIALS * POINTS * size_of::<Complex>();
        (self.depth() * self.columns * size_of::<u32>() + fourier, self.n * POLYNOMIALS * N * size_of::<u64>())
    }
}

impl CudaKey {
    /// Converts `key`, and waits until that is done.
    pub(super) fn load(card: &Arc<Card>, twiddles: &Twiddles, key: &EvaluationKey) -> Result<Self> {
        let params = key.scheme().parameters();
        Scheme::Encrypted(params).expect("the CUDA backend", key.scheme(), || "the evaluation key".to_owned())?;
        let shape = KeyShape::new(params);
        let (resident, converting) = shape.bytes();
        card.require("the evaluation key", resident + converting)?;
        let StandardKeys { keyswitching_key, bootstrapping_key } = key.expand()?;
        let loaded = Self {
            keyswitching_key: Buffer::copy(card, &upper_words(&keyswitching_key, shape.small_size(), shape.columns))?,
            bootstrapping_key: transformed(card, twiddles, &bootstrapping_key, shape.n)?,
            shape,
        };
        // The words in the standard domain were given back to the pool, where nothing else is of their size.
        card.trim()?;
        Ok(loaded)
    }
}

/// The upper halves of torus words, rounded; rows of `size` words are padded with zeros to `columns`.
fn upper_words(words: &[u64], size: usize, columns: usize) -> Vec<u32> {
    let mut upper = Vec::with_capacity(words.len() / size * columns);
    for row in words.chunks_exact(size) {
        upper.extend(row.iter().map(|&word| upper_word(word)));
        upper.resize(upper.len() + columns - size, 0);
    }
    upper
}

/// The 32-bit torus word nearest to a 64-bit one.
pub(super) fn upper_word(word: u64) -> u32 {
    (word.wrapping_add(1 << 31) >> 32) as u32
}

/// The bootstrapping key in the Fourier domain.
fn transformed(card: &Arc<Card>, twiddles: &Twiddles, words: &[u64], n: usize) -> Result<Buffer<Complex>> {
    let count = n * POLYNOMIALS;
    assert_eq!(words.len(), count * N, "words of a bootstrapping key");
    let words = Buffer::copy(card, words)?;
    let out = Buffer::new(card, count * POINTS)?;
    let arguments = [words.at(0), twiddles.fixed.at(0), out.at(0), Argument::Number(count as u32)];
    // SAFETY: arguments as `key_transform` defines them. It reads `count` polynomials of N words and the N/2 - 1
    // twiddles, and writes N/2 values for each polynomial.
    unsafe { card.launch(&card.kernels.key_transform, Grid(count as u32, 1, 1), &arguments)? };
    Ok(out)
}

/// Twiddles of the transforms, resident.
#[derive(Debug)]
pub(super) struct Twiddles {
    /// Of all inner nodes, level by level, in fixed point.
    fixed: Buffer<[i64; 2]>,
    /// The same in doubles, for a ciphertext on a cluster.
    all: Buffer<Complex>,
    /// Of the subtrees below level 5, `[entry < 16][node < 32]`, for a ciphertext on a pair of warps.
    local: Buffer<Complex>,
}

impl Twiddles {
    pub(super) fn new(card: &Arc<Card>) -> Result<Self> {
        let fixed = fourier::twiddles(N);
        let all = doubles(&fixed);
        Ok(Self {
            local: Buffer::copy(card, &local(&all))?,
            all: Buffer::copy(card, &all)?,
            fixed: Buffer::copy(card, &fixed)?,
        })
    }

    /// Those that a kernel of blind rotation reads.
    pub(super) fn of(&self, kind: BlindRotation) -> Argument {
        match kind {
            BlindRotation::Cluster => self.all.at(0),
            _ => self.local.at(0),
        }
    }
}

fn doubles(fixed: &[[i64; 2]]) -> Vec<Complex> {
    let scale = f64::from(fourier::FRACTION_BITS).exp2();
    fixed.iter().map(|w| w.map(|part| part as f64 / scale)).collect()
}

/// The subtree of node m of level 5 has the levels 5 to 9. Twiddles of odd nodes are i times those of their even
/// siblings, so even nodes suffice: one of level 5, one of level 6, then 2, 4 and 8.
fn local(all: &[Complex]) -> Vec<Complex> {
    const NODES: usize = 32;
    let entries = [(0, 0), (1, 0)]
        .into_iter()
        .chain((2..5).flat_map(|level| (0..1usize << level).step_by(2).map(move |node| (level, node))));
    entries
        .flat_map(|(level, node)| {
            (0..NODES).map(move |m| {
                let width = 1 << level;
                all[(NODES << level) - 1 + m * width + node]
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    #[test]
    fn rows_are_rounded_and_padded() {
        let words = [0x7fff_ffff, 0x8000_0000, u64::MAX, 5 << 32, 0x1_7fff_ffff, 0xffff_ffff_8000_0000];
        assert_eq!(upper_words(&words, 3, 4), [0, 1, 0, 0, 5, 1, 0, 0]);
    }

    #[test]
    fn local_twiddles_are_those_of_the_subtrees() {
        let all = doubles(&fourier::twiddles(N));
        assert_eq!(all.len(), N / 2 - 1);
        let local = local(&all);
        assert_eq!(local.len(), 16 * 32);
        for m in 0..32 {
            // The half-turn of node m of level 5, from the root 1/2.
            let mut t = 0.5;
            for bit in (0..5).rev() {
                t = t / 2.0 + f64::from(m >> bit & 1);
            }
            // The leftmost nodes of the subtree have entries 0, 1, 2, 4 and 8.
            for entry in [0, 1, 2, 4, 8] {
                let [re, im] = local[entry * 32 + m as usize];
                let angle = PI * t / 2.0;
                assert!((re - angle.cos()).abs() < 1e-15 && (im - angle.sin()).abs() < 1e-15, "{entry} {m}");
                t /= 2.0;
            }
        }
    }

    #[test]
    fn keys_of_both_sets_have_the_shape_of_the_kernels() {
        for (name, columns) in ParameterSet::supported().zip([960, 896]) {
            let shape = KeyShape::new(ParameterSet::by_name(name).unwrap());
            assert_eq!(shape.columns, columns);
            assert!(shape.big_size() == N + 1 && shape.depth().is_multiple_of(32));
            assert!(shape.depth() + shape.columns * size_of::<u32>() <= KEYSWITCH_ROW_BYTES);
        }
    }
}
