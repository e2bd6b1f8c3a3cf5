//! The tree of the Fourier transform modulo x^N + 1 and its twiddles, in fixed point.
//!
//! A polynomial modulo x^L - e^{iπt} splits into its residues modulo x^{L/2} - w and x^{L/2} + w with w = e^{iπt/2},
//! whose half-turns are t/2 and t/2 + 1. The root is x^{N/2} = i, that is t = 1/2; the leaves are the N/2 values. Every
//! backend transforms keys with these integers, so that the key is rounded only once, to the doubles it is kept in.

/// 1 in fixed point is 2 to this power.
pub const FRACTION_BITS: u32 = 62;

/// 1 in fixed point.
const ONE: i64 = 1 << FRACTION_BITS;

/// A complex number of any magnitude below 2^90, as integers.
pub(crate) type Wide = [i128; 2];

/// `v * w / 2^62`, rounded down; `|v| < 2^90`.
fn scaled(v: i128, w: i64) -> i128 {
    // In two parts, as the full product may need more than 128 bits.
    let (high, low) = (v >> 32, v & 0xffff_ffff);
    ((high * i128::from(w)) >> 30) + ((low * i128::from(w)) >> 62)
}

/// The product of a number and a twiddle.
pub(crate) fn times([a, b]: Wide, [c, d]: [i64; 2]) -> Wide {
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

/// Half-turns of the nodes of level `level`, in order, as multiples of 1/N.
pub(crate) fn half_turns(polynomial_size: usize, level: u32) -> Vec<usize> {
    let split = |nodes: Vec<usize>| nodes.iter().flat_map(|t| [t / 2, t / 2 + polynomial_size]).collect();
    (0..level).fold(vec![polynomial_size / 2], |nodes, _| split(nodes))
}

/// The twiddles e^{iπt/2} of all N/2 - 1 inner nodes, real and imaginary part in units of 2^-62, to within 2^-58: node i
/// of level d is entry 2^d - 1 + i.
///
/// ```
/// let twiddles = fhe_core::fourier::twiddles(2048);
/// assert_eq!(twiddles.len(), 1023);
/// // The root splits x^1024 = i by its square root.
/// let half = twiddles[0].map(|part| part as f64 / 62f64.exp2());
/// assert!((half[0] - 0.5f64.sqrt()).abs() < 1e-15 && half[0] == half[1]);
/// ```
///
/// # Panics
/// If `polynomial_size` is no power of two, or below 2.
#[must_use]
pub fn twiddles(polynomial_size: usize) -> Vec<[i64; 2]> {
    assert!(polynomial_size.is_power_of_two() && polynomial_size >= 2, "{polynomial_size} is no size of a polynomial");
    let roots = roots(polynomial_size);
    let levels = polynomial_size.trailing_zeros() - 1;
    let level = |d| half_turns(polynomial_size, d).into_iter().map(|t| roots[t / 2]);
    (0..levels).flat_map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twiddles_are_roots_of_unity_in_tree_order() {
        let twiddles = twiddles(64);
        assert_eq!(twiddles.len(), 31);
        for level in 0..5 {
            for (node, t) in half_turns(64, level).into_iter().enumerate() {
                let angle = std::f64::consts::PI * t as f64 / 64.0 / 2.0;
                let [re, im] = twiddles[(1 << level) - 1 + node].map(|part| part as f64 / 62f64.exp2());
                assert!((re - angle.cos()).abs() < 1e-15 && (im - angle.sin()).abs() < 1e-15, "{level} {node}");
            }
        }
    }
}
