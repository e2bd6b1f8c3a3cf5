//! Negacyclic Fourier transform of real polynomials with N coefficients.
//!
//! A real polynomial P modulo X^N + 1 is folded into M = N/2 complex coefficients
//! `z_j = p_j + i p_{j+M}`, which is P modulo X^M - i. Splitting that modulus over and over,
//!
//! ```text
//! X^L - e^{i pi t}  =  prod_{k<r} ( X^{L/r} - e^{i pi (t + 2k)/r} ),      t = 1/2 at the root,
//! ```
//!
//! ends at linear factors, that is at the values of P. The first factor of a butterfly is therefore
//! a *twiddle of the node*, the same for all coefficients of the node, and no separate twist by
//! roots of order 2N is needed (the same device as in number theoretic transforms). The values come
//! out in the order of the tree; the product is pointwise, so nobody ever sorts them.
//!
//! Data: complex vectors `[re; W], [im; W]` side by side (64 bytes for W = 4), coefficient
//! `j = W v + lane` at first. Passes of one forward transform for N = 2048, W = 4:
//!
//! ```text
//! pass      splits node length    reads                      writes
//! first     1024 -> 4 x 256       accumulator (words)        buffer
//! outer     256 -> 4 x 64         buffer                     buffer
//! outer     64 -> 4 x 16          buffer                     buffer
//! block     16 -> 4 x 4 -> 1      buffer, 4 vectors          registers (goes on to the product)
//! ```
//!
//! The block of W x W coefficients is a matrix: split across its W vectors, transpose, split across
//! the vectors again. The inverse runs the same steps backwards with conjugate twiddles and without
//! the factor 1/M, which the caller folds into one of the operands.
//!
//! Source: D. Bernstein, "The tangent FFT" (2007), section 2, for the tree; E. Nussbaumer (1980)
//! for the fold; own arrangement.

use super::aligned::{AlignedVec, as_vectors};
use super::simd::{MAX_LANES, Simd};
use std::f64::consts::PI;

/// A complex vector: real parts, imaginary parts.
pub(crate) type Complex<S> = [<S as Simd>::F64; 2];

/// Twiddles of one pass over nodes of equal length, `radix - 1` complex numbers per node.
#[derive(Clone)]
pub(crate) struct Pass {
    radix: usize,
    twiddles: Vec<f64>,
}

/// Twiddles of the transforms of one polynomial size, in the order in which they are read.
#[derive(Clone)]
pub struct FourierPlan {
    polynomial_size: usize,
    first: [f64; 6],
    outer: Vec<Pass>,
    /// Per block: `lanes - 1` complex numbers.
    columns: Vec<f64>,
    /// Per block: `lanes - 1` complex vectors.
    rows: AlignedVec<f64>,
    /// `[block][vector][lane]`: the value there is at e^{i pi (4k + 1) / N}.
    frequencies: Vec<usize>,
}

/// `e^{i pi turns}` as `[re, im]`.
fn root(half_turns: f64) -> [f64; 2] {
    let angle = PI * half_turns;
    [angle.cos(), angle.sin()]
}

/// Splits every node by `radix`, appending the powers of its twiddle to `twiddles`.
fn split(nodes: &mut Vec<f64>, radix: usize, twiddles: &mut Vec<f64>) {
    let count = f64::from(u32::try_from(radix).expect("2 or 4"));
    let mut children = Vec::with_capacity(nodes.len() * radix);
    for &t in &*nodes {
        for power in (1..radix).map(|k| f64::from(u32::try_from(k).expect("small"))) {
            twiddles.extend(root(t / count * power));
        }
        children.extend((0..radix).map(|k| (t + 2.0 * f64::from(u32::try_from(k).expect("small"))) / count));
    }
    *nodes = children;
}

/// Splits every node by W; the twiddles of a node are those of [`butterflies`].
fn split_lanes(nodes: &mut Vec<f64>, lanes: usize, twiddles: &mut Vec<f64>) {
    let mut all = Vec::new();
    for &t in &*nodes {
        let mut children = vec![t];
        if lanes == 8 {
            split(&mut children, 2, twiddles);
        }
        split(&mut children, 4, twiddles);
        all.extend(children);
    }
    *nodes = all;
}

impl FourierPlan {
    /// Plan for real polynomials of `polynomial_size` coefficients on vectors of `lanes` doubles.
    ///
    /// # Panics
    /// Unless `lanes` is 4 or 8 and `polynomial_size` is a power of two in 512..=4096.
    #[must_use]
    pub fn new(polynomial_size: usize, lanes: usize) -> Self {
        assert!(lanes == 4 || lanes == 8);
        assert!(polynomial_size.is_power_of_two() && (512..=4096).contains(&polynomial_size));
        let mut nodes = vec![0.5];
        let mut first = Vec::new();
        split(&mut nodes, 4, &mut first);
        let mut outer = Vec::new();
        let mut length = polynomial_size / 8;
        while length > lanes * lanes {
            let radix = if length == 2 * lanes * lanes { 2 } else { 4 };
            let mut twiddles = Vec::new();
            split(&mut nodes, radix, &mut twiddles);
            outer.push(Pass { radix, twiddles });
            length /= radix;
        }
        let mut columns = Vec::new();
        split_lanes(&mut nodes, lanes, &mut columns);
        // Lane l of a row twiddle belongs to node l of the block.
        let numbers = 2 * (lanes - 1);
        let mut rows = AlignedVec::zeroed(nodes.len() * numbers);
        for (block, vectors) in nodes.chunks(lanes).zip(rows.as_mut_slice().chunks_mut(numbers * lanes)) {
            for (lane, &node) in block.iter().enumerate() {
                let mut twiddles = Vec::new();
                split_lanes(&mut vec![node], lanes, &mut twiddles);
                for (number, twiddle) in twiddles.into_iter().enumerate() {
                    vectors[number * lanes + lane] = twiddle;
                }
            }
        }
        let children: Vec<_> = nodes
            .iter()
            .map(|&node| {
                let mut children = vec![node];
                split_lanes(&mut children, lanes, &mut Vec::new());
                children
            })
            .collect();
        let frequencies = children
            .chunks_exact(lanes)
            .flat_map(|block| (0..lanes * lanes).map(|at| block[at % lanes][at / lanes]))
            .map(|half_turns| frequency(polynomial_size, half_turns))
            .collect();
        let first = first.try_into().expect("three complex numbers");
        Self { polynomial_size, first, outer, columns, rows, frequencies }
    }

    /// N.
    #[must_use]
    pub fn polynomial_size(&self) -> usize {
        self.polynomial_size
    }

    /// Which value is at which position; see the field.
    pub(crate) fn frequencies(&self) -> &[usize] {
        &self.frequencies
    }
}

/// k, for the half turns (4k + 1) / N modulo 2.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn frequency(polynomial_size: usize, half_turns: f64) -> usize {
    // A dyadic fraction with a small denominator: exact.
    (half_turns * polynomial_size as f64) as usize % (2 * polynomial_size) / 4
}

/// `a * (wr + i wi)`
#[inline(always)]
fn times<S: Simd>(s: S, a: Complex<S>, [wr, wi]: Complex<S>) -> Complex<S> {
    [s.neg_mul_add(a[1], wi, s.mul(a[0], wr)), s.mul_add(a[0], wi, s.mul(a[1], wr))]
}

/// `a * (wr - i wi)`
#[inline(always)]
fn times_conjugate<S: Simd>(s: S, a: Complex<S>, [wr, wi]: Complex<S>) -> Complex<S> {
    [s.mul_add(a[1], wi, s.mul(a[0], wr)), s.neg_mul_add(a[0], wi, s.mul(a[1], wr))]
}

#[inline(always)]
fn plus<S: Simd>(s: S, a: Complex<S>, b: Complex<S>) -> Complex<S> {
    [s.add(a[0], b[0]), s.add(a[1], b[1])]
}

#[inline(always)]
fn minus<S: Simd>(s: S, a: Complex<S>, b: Complex<S>) -> Complex<S> {
    [s.sub(a[0], b[0]), s.sub(a[1], b[1])]
}

/// `a + i b`
#[inline(always)]
fn plus_i<S: Simd>(s: S, a: Complex<S>, b: Complex<S>) -> Complex<S> {
    [s.sub(a[0], b[1]), s.add(a[1], b[0])]
}

/// `a - i b`
#[inline(always)]
fn minus_i<S: Simd>(s: S, a: Complex<S>, b: Complex<S>) -> Complex<S> {
    [s.add(a[0], b[1]), s.sub(a[1], b[0])]
}

/// Splits a node into four: coefficient quarters `x` to residues, w = e^{i pi t / 4}.
///
/// `y_k = x_0 + w i^k x_1 + w^2 (-1)^k x_2 + w^3 (-i)^k x_3`
#[inline(always)]
pub(crate) fn forward4<S: Simd>(s: S, x: [Complex<S>; 4], w: [Complex<S>; 3]) -> [Complex<S>; 4] {
    let (b, c, d) = (times(s, x[1], w[0]), times(s, x[2], w[1]), times(s, x[3], w[2]));
    let (sum_ac, diff_ac) = (plus(s, x[0], c), minus(s, x[0], c));
    let (sum_bd, diff_bd) = (plus(s, b, d), minus(s, b, d));
    [plus(s, sum_ac, sum_bd), plus_i(s, diff_ac, diff_bd), minus(s, sum_ac, sum_bd), minus_i(s, diff_ac, diff_bd)]
}

/// Four times the inverse of [`forward4`].
#[inline(always)]
pub(crate) fn inverse4<S: Simd>(s: S, y: [Complex<S>; 4], w: [Complex<S>; 3]) -> [Complex<S>; 4] {
    let (sum_even, diff_even) = (plus(s, y[0], y[2]), minus(s, y[0], y[2]));
    let (sum_odd, diff_odd) = (plus(s, y[1], y[3]), minus(s, y[1], y[3]));
    [
        plus(s, sum_even, sum_odd),
        times_conjugate(s, minus_i(s, diff_even, diff_odd), w[0]),
        times_conjugate(s, minus(s, sum_even, sum_odd), w[1]),
        times_conjugate(s, plus_i(s, diff_even, diff_odd), w[2]),
    ]
}

#[inline(always)]
fn splat3<S: Simd>(s: S, w: &[f64]) -> [Complex<S>; 3] {
    let w: &[f64; 6] = w.try_into().expect("three complex numbers");
    [[s.splat(w[0]), s.splat(w[1])], [s.splat(w[2]), s.splat(w[3])], [s.splat(w[4]), s.splat(w[5])]]
}

/// One forward pass between the first and the block pass.
#[inline(always)]
fn forward_pass<S: Simd>(s: S, pass: &Pass, data: &mut [Complex<S>]) {
    let numbers = 2 * (pass.radix - 1);
    let nodes = pass.twiddles.len() / numbers;
    let length = data.len() / nodes;
    let twiddles = pass.twiddles.chunks_exact(numbers);
    if pass.radix == 4 {
        for (node, w) in data.chunks_exact_mut(length).zip(twiddles) {
            let w = splat3(s, w);
            let [a, b, c, d] = quarters(node);
            for j in 0..a.len() {
                [a[j], b[j], c[j], d[j]] = forward4(s, [a[j], b[j], c[j], d[j]], w);
            }
        }
    } else {
        for (node, w) in data.chunks_exact_mut(length).zip(twiddles) {
            let w = [s.splat(w[0]), s.splat(w[1])];
            let (a, b) = node.split_at_mut(length / 2);
            for (a, b) in a.iter_mut().zip(b) {
                let turned = times(s, *b, w);
                (*a, *b) = (plus(s, *a, turned), minus(s, *a, turned));
            }
        }
    }
}

/// Inverse of [`forward_pass`], times the radix.
#[inline(always)]
fn inverse_pass<S: Simd>(s: S, pass: &Pass, data: &mut [Complex<S>]) {
    let numbers = 2 * (pass.radix - 1);
    let nodes = pass.twiddles.len() / numbers;
    let length = data.len() / nodes;
    let twiddles = pass.twiddles.chunks_exact(numbers);
    if pass.radix == 4 {
        for (node, w) in data.chunks_exact_mut(length).zip(twiddles) {
            let w = splat3(s, w);
            let [a, b, c, d] = quarters(node);
            for j in 0..a.len() {
                [a[j], b[j], c[j], d[j]] = inverse4(s, [a[j], b[j], c[j], d[j]], w);
            }
        }
    } else {
        for (node, w) in data.chunks_exact_mut(length).zip(twiddles) {
            let w = [s.splat(w[0]), s.splat(w[1])];
            let (a, b) = node.split_at_mut(length / 2);
            for (a, b) in a.iter_mut().zip(b) {
                (*a, *b) = (plus(s, *a, *b), times_conjugate(s, minus(s, *a, *b), w));
            }
        }
    }
}

/// Four quarters of equal, visible length, so that the loops over them carry no bounds checks.
#[inline(always)]
pub(crate) fn quarters<T>(node: &mut [T]) -> [&mut [T]; 4] {
    let quarter = node.len() / 4;
    let (low, high) = node.split_at_mut(2 * quarter);
    let (a, b) = low.split_at_mut(quarter);
    let (c, d) = high.split_at_mut(quarter);
    [a, &mut b[..quarter], &mut c[..quarter], &mut d[..quarter]]
}

/// All forward passes between the first and the block pass, in place.
#[inline(always)]
pub(crate) fn forward_outer<S: Simd>(s: S, plan: &FourierPlan, data: &mut [Complex<S>]) {
    for pass in &plan.outer {
        forward_pass(s, pass, data);
    }
}

/// All inverse passes between the block and the last pass, in place.
#[inline(always)]
pub(crate) fn inverse_outer<S: Simd>(s: S, plan: &FourierPlan, data: &mut [Complex<S>]) {
    for pass in plan.outer.iter().rev() {
        inverse_pass(s, pass, data);
    }
}

/// Twiddles of the first forward and the last inverse pass.
#[inline(always)]
pub(crate) fn first_twiddles<S: Simd>(s: S, plan: &FourierPlan) -> [Complex<S>; 3] {
    splat3(s, &plan.first)
}

/// W x W coefficients in registers: real and imaginary parts of W vectors.
pub(crate) type Block<S> = [[<S as Simd>::F64; MAX_LANES]; 2];

#[inline(always)]
fn pick<S: Simd>(x: &Block<S>, at: usize) -> [Complex<S>; 4] {
    std::array::from_fn(|k| [x[0][at + k], x[1][at + k]])
}

#[inline(always)]
fn place<S: Simd>(x: &mut Block<S>, at: usize, y: [Complex<S>; 4]) {
    for (k, [re, im]) in y.into_iter().enumerate() {
        x[0][at + k] = re;
        x[1][at + k] = im;
    }
}

/// Splits W nodes (or one, across W vectors) into W parts each; `w(k)` is twiddle k of the node.
#[inline(always)]
fn butterflies<S: Simd>(s: S, x: &mut Block<S>, w: impl Fn(usize) -> Complex<S>) {
    if S::LANES == 4 {
        let y = forward4(s, pick::<S>(x, 0), [w(0), w(1), w(2)]);
        place::<S>(x, 0, y);
    } else {
        for k in 0..4 {
            let (low, high) = ([x[0][k], x[1][k]], times(s, [x[0][k + 4], x[1][k + 4]], w(0)));
            [x[0][k], x[1][k]] = plus(s, low, high);
            [x[0][k + 4], x[1][k + 4]] = minus(s, low, high);
        }
        for half in 0..2 {
            let w = [w(3 * half + 1), w(3 * half + 2), w(3 * half + 3)];
            let y = forward4(s, pick::<S>(x, 4 * half), w);
            place::<S>(x, 4 * half, y);
        }
    }
}

/// W times the inverse of [`butterflies`].
#[inline(always)]
fn inverse_butterflies<S: Simd>(s: S, x: &mut Block<S>, w: impl Fn(usize) -> Complex<S>) {
    if S::LANES == 4 {
        let y = inverse4(s, pick::<S>(x, 0), [w(0), w(1), w(2)]);
        place::<S>(x, 0, y);
    } else {
        for half in 0..2 {
            let w = [w(3 * half + 1), w(3 * half + 2), w(3 * half + 3)];
            let y = inverse4(s, pick::<S>(x, 4 * half), w);
            place::<S>(x, 4 * half, y);
        }
        for k in 0..4 {
            let (low, high) = ([x[0][k], x[1][k]], [x[0][k + 4], x[1][k + 4]]);
            [x[0][k], x[1][k]] = plus(s, low, high);
            [x[0][k + 4], x[1][k + 4]] = times_conjugate(s, minus(s, low, high), w(0));
        }
    }
}

/// Twiddles of one block.
#[derive(Clone, Copy)]
pub(crate) struct BlockTwiddles<'a, S: Simd> {
    columns: &'a [f64],
    rows: &'a [Complex<S>],
}

/// Twiddles of all blocks, in order.
#[inline(always)]
pub(crate) fn block_twiddles<S: Simd>(plan: &FourierPlan) -> impl Iterator<Item = BlockTwiddles<'_, S>> {
    let count = S::LANES - 1;
    plan.columns
        .chunks_exact(2 * count)
        .zip(as_vectors::<S, 2>(plan.rows.as_slice()).chunks_exact(count))
        .map(|(columns, rows)| BlockTwiddles { columns, rows })
}

/// The block pass of the forward transform: W vectors of coefficients to values.
#[inline(always)]
pub(crate) fn forward_block<S: Simd>(s: S, w: BlockTwiddles<'_, S>, data: &[Complex<S>]) -> Block<S> {
    let mut x = [[s.splat(0.0); MAX_LANES]; 2];
    for (v, &[re, im]) in data[..S::LANES].iter().enumerate() {
        x[0][v] = re;
        x[1][v] = im;
    }
    let columns = &w.columns[..2 * (S::LANES - 1)];
    let rows = &w.rows[..S::LANES - 1];
    butterflies(
        s,
        &mut x,
        #[inline(always)]
        |k| [s.splat(columns[2 * k]), s.splat(columns[2 * k + 1])],
    );
    s.transpose(&mut x[0]);
    s.transpose(&mut x[1]);
    butterflies(
        s,
        &mut x,
        #[inline(always)]
        |k| rows[k],
    );
    x
}

/// W^2 times the inverse of [`forward_block`].
#[inline(always)]
pub(crate) fn inverse_block<S: Simd>(s: S, w: BlockTwiddles<'_, S>, mut x: Block<S>, data: &mut [Complex<S>]) {
    let columns = &w.columns[..2 * (S::LANES - 1)];
    let rows = &w.rows[..S::LANES - 1];
    inverse_butterflies(
        s,
        &mut x,
        #[inline(always)]
        |k| rows[k],
    );
    s.transpose(&mut x[0]);
    s.transpose(&mut x[1]);
    inverse_butterflies(
        s,
        &mut x,
        #[inline(always)]
        |k| [s.splat(columns[2 * k]), s.splat(columns[2 * k + 1])],
    );
    for (v, complex) in data[..S::LANES].iter_mut().enumerate() {
        *complex = [x[0][v], x[1][v]];
    }
}
