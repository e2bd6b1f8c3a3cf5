//! The transform of key polynomials, in fixed point with 62-bit twiddles.
//!
//! Keys are transformed once, digits and products 3 672 times per bootstrap. Doing the key in doubles
//! would make it the source of a third of all rounding noise of the transforms, so it is done almost
//! exactly here, and rounded once, to the doubles of the key. Scalar integers: the same key comes out
//! on every machine.
//!
//! The tree is that of [`super::fft`], split by two at every level; its twiddles are [`crate::fourier`]'s.

use super::fft::FourierPlan;
use crate::fourier::{Wide, half_turns, times, twiddles};

/// Twiddles and the order of the values for one [`FourierPlan`].
pub(crate) struct KeyTransform {
    half: usize,
    /// Node i of level d at 2^d - 1 + i.
    twiddles: Vec<[i64; 2]>,
    /// Leaf of this tree that is the value at each position of the plan.
    leaf_of_position: Vec<usize>,
}

impl KeyTransform {
    pub(crate) fn new(plan: &FourierPlan) -> Self {
        let size = plan.polynomial_size();
        // The leaves are the half turns (4k + 1) / N.
        let mut leaf_of_frequency = vec![0; size / 2];
        for (leaf, t) in half_turns(size, size.trailing_zeros() - 1).into_iter().enumerate() {
            leaf_of_frequency[t / 4] = leaf;
        }
        let leaf_of_position = plan.frequencies().iter().map(|&k| leaf_of_frequency[k]).collect();
        Self { half: size / 2, twiddles: twiddles(size), leaf_of_position }
    }

    /// Values of the polynomial with torus words `words`, times 2^-64 / M, in the plan's order.
    pub(crate) fn transform(&self, words: &[u64]) -> impl Iterator<Item = [f64; 2]> {
        let (low, high) = words.split_at(self.half);
        let signed = |&word: &u64| i128::from(word.cast_signed());
        let mut values: Vec<Wide> = low.iter().zip(high).map(|(re, im)| [signed(re), signed(im)]).collect();
        let mut first = 0;
        while first < self.twiddles.len() {
            // As many nodes in a level as in all levels before it, and one.
            let level = &self.twiddles[first..=2 * first];
            first += level.len();
            let length = values.len() / level.len();
            for (node, &w) in values.chunks_exact_mut(length).zip(level) {
                let (a, b) = node.split_at_mut(length / 2);
                for (a, b) in a.iter_mut().zip(b) {
                    let turned = times(*b, w);
                    *b = [a[0] - turned[0], a[1] - turned[1]];
                    *a = [a[0] + turned[0], a[1] + turned[1]];
                }
            }
        }
        #[allow(clippy::cast_precision_loss)] // the one rounding; powers of two are exact
        let scale = 2f64.powi(-64) / self.half as f64;
        #[allow(clippy::cast_precision_loss)]
        self.leaf_of_position.iter().map(move |&leaf| values[leaf].map(|x| x as f64 * scale))
    }
}
