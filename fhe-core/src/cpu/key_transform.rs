//! The transform of key polynomials, in fixed point with 62-bit twiddles.
//!
//! Keys are transformed once, digits and products 3 672 times per bootstrap. Doing the key in doubles
//! would make it the source of a third of all rounding noise of the transforms, so it is done almost
//! exactly here, and rounded once, to the doubles of the key. Scalar integers: the same key comes out
//! on every machine.
//!
//! The tree is that of [`super::fft`], split by two at every level.

use super::fft::FourierPlan;

/// 1 in fixed point.
const ONE: i64 = 1 << 62;

/// A complex number of any magnitude below 2^90, as integers.
type Complex = [i128; 2];

/// Twiddles and the order of the values for one [`FourierPlan`].
pub(crate) struct KeyTransform {
    half: usize,
    /// Per level, per node: e^{i pi t / 2} in fixed point.
    twiddles: Vec<Vec<[i64; 2]>>,
    /// Leaf of this tree that is the value at each position of the plan.
    leaf_of_position: Vec<usize>,
}

/// `v * w / 2^62`, rounded down; `|v| < 2^90`.
fn scaled(v: i128, w: i64) -> i128 {
    // In two parts, as the full product may need more than 128 bits.
    let (high, low) = (v >> 32, v & 0xffff_ffff);
    ((high * i128::from(w)) >> 30) + ((low * i128::from(w)) >> 62)
}

fn times([a, b]: Complex, [c, d]: [i64; 2]) -> Complex {
    [scaled(a, c) - scaled(b, d), scaled(a, d) + scaled(b, c)]
}

/// e^{i pi m / N} for m in 0..2N, in fixed point to within 2^-58.
fn roots(size: usize) -> Vec<[i64; 2]> {
    let narrow = |x: i128| i64::try_from(x).expect("cosines and sines are at most 1");
    // e^{i pi / 2^b} by half angles: cos' = sqrt((1 + cos) / 2), sin' = sin / (2 cos').
    let mut powers = vec![[-ONE, 0], [0, ONE]];
    for _ in 1..size.trailing_zeros() {
        let [cos, sin] = powers[powers.len() - 1];
        let square = (i128::from(ONE) + i128::from(cos)).cast_unsigned() << 61;
        let half_cos = narrow(square.isqrt().cast_signed());
        powers.push([half_cos, narrow((i128::from(sin) << 61) / i128::from(half_cos))]);
    }
    let mut roots = vec![[ONE, 0]];
    // powers[b] = e^{i pi / 2^b}; from the smallest angle, each doubles the table.
    for &power in powers.iter().rev() {
        for m in 0..roots.len() {
            let [re, im] = times(roots[m].map(i128::from), power);
            roots.push([narrow(re), narrow(im)]);
        }
    }
    roots
}

impl KeyTransform {
    pub(crate) fn new(plan: &FourierPlan) -> Self {
        let size = plan.polynomial_size();
        let roots = roots(size);
        // Half turns are kept as multiples of 1/N: the root of the tree is 1/2.
        let mut nodes = vec![size / 2];
        let mut twiddles = Vec::new();
        for _ in 1..size.trailing_zeros() {
            twiddles.push(nodes.iter().map(|t| roots[t / 2]).collect());
            nodes = nodes.iter().flat_map(|t| [t / 2, t / 2 + size]).collect();
        }
        // The leaves are the half turns (4k + 1) / N.
        let mut leaf_of_frequency = vec![0; size / 2];
        for (leaf, t) in nodes.into_iter().enumerate() {
            leaf_of_frequency[t / 4] = leaf;
        }
        let leaf_of_position = plan.frequencies().iter().map(|&k| leaf_of_frequency[k]).collect();
        Self { half: size / 2, twiddles, leaf_of_position }
    }

    /// Values of the polynomial with torus words `words`, times 2^-64 / M, in the plan's order.
    pub(crate) fn transform(&self, words: &[u64]) -> impl Iterator<Item = [f64; 2]> {
        let (low, high) = words.split_at(self.half);
        let signed = |&word: &u64| i128::from(word.cast_signed());
        let mut values: Vec<Complex> = low.iter().zip(high).map(|(re, im)| [signed(re), signed(im)]).collect();
        for level in &self.twiddles {
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
