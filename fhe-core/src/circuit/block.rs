//! Blocks: small integers as linear forms over leaves, with the range that their values keep to.

use std::ops::{Add, Mul, Neg, RangeInclusive, Sub};

/// Index of a leaf: a block of an input, or one output of a bootstrap.
pub(crate) type LeafId = u32;

/// A small encrypted integer as Σ coefficient·leaf + constant, and the range of its values.
///
/// Linear arithmetic on blocks is free: it only builds forms. The range is interval arithmetic, unless the caller
/// knows better ([`Block::within`]). Noise counts in variances of one bootstrap output, so its l2 norm is exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Sorted by leaf, no zero coefficients.
    terms: Vec<(LeafId, i32)>,
    constant: i64,
    low: i64,
    high: i64,
}

impl Block {
    /// The integer `value`, in the clear.
    #[must_use]
    pub fn constant(value: i64) -> Self {
        Self { terms: Vec::new(), constant: value, low: value, high: value }
    }

    pub(crate) fn leaf(leaf: LeafId, low: i64, high: i64) -> Self {
        Self { terms: vec![(leaf, 1)], constant: 0, low, high }
    }

    /// Smallest and largest value.
    #[must_use]
    pub fn range(&self) -> RangeInclusive<i64> {
        self.low..=self.high
    }

    /// Smallest value.
    #[must_use]
    pub fn low(&self) -> i64 {
        self.low
    }

    /// Largest value.
    #[must_use]
    pub fn high(&self) -> i64 {
        self.high
    }

    /// The value, if it is known in the clear.
    #[must_use]
    pub fn as_constant(&self) -> Option<i64> {
        self.terms.is_empty().then_some(self.constant)
    }

    /// Square of the l2 norm: the noise, in variances of one bootstrap output.
    #[must_use]
    pub fn norm2(&self) -> u64 {
        self.terms.iter().map(|&(_, c)| u64::from(c.unsigned_abs()).pow(2)).sum()
    }

    /// Narrows the range to what the caller can prove by other means than interval arithmetic.
    ///
    /// The simulation refuses values outside, so a wrong proof is found by any test that meets it.
    #[must_use]
    pub fn within(mut self, range: RangeInclusive<i64>) -> Self {
        self.low = self.low.max(*range.start());
        self.high = self.high.min(*range.end()).max(self.low);
        self
    }

    /// This block as scale·x + offset, where the coefficients of x have no common divisor, the first is positive, and its
    /// constant is 0: what a lookup needs to see of it, with less noise and fewer values. The scale is not 0.
    pub(crate) fn reduced(&self) -> (Self, i64, i64) {
        let divisor = self.terms.iter().fold(0, |divisor, &(_, c)| gcd(divisor, i64::from(c).abs())).max(1);
        let scale = if self.terms.first().is_some_and(|term| term.1 < 0) { -divisor } else { divisor };
        let terms = self.terms.iter().map(|&(leaf, c)| (leaf, (i64::from(c) / scale) as i32)).collect();
        let (low, high) = (self.low - self.constant, self.high - self.constant);
        let (low, high) = if scale < 0 { (-high, -low) } else { (low, high) };
        // Values between multiples of the divisor are not met, whatever the bounds say.
        let (low, high) = (low.div_euclid(divisor) + i64::from(low % divisor != 0), high.div_euclid(divisor));
        (Self { terms, constant: 0, low, high: high.max(low) }, scale, self.constant)
    }

    /// The same value, written with other leaves.
    pub(crate) fn with_terms(&self, terms: Vec<(LeafId, i32)>) -> Self {
        Self { terms, ..*self }
    }

    pub(crate) fn terms(&self) -> &[(LeafId, i32)] {
        &self.terms
    }

    pub(crate) fn offset(&self) -> i64 {
        self.constant
    }

    /// Σ factor·block + constant.
    #[must_use]
    pub fn sum<'a>(parts: impl IntoIterator<Item = (&'a Self, i64)>, constant: i64) -> Self {
        parts.into_iter().fold(Self::constant(constant), |sum, (block, factor)| sum.plus_scaled(block, factor))
    }

    fn plus_scaled(&self, other: &Self, factor: i64) -> Self {
        let mut terms = Vec::with_capacity(self.terms.len() + other.terms.len());
        let (mut left, mut right) = (self.terms.iter().peekable(), other.terms.iter().peekable());
        loop {
            let next = [left.peek(), right.peek()].into_iter().flatten().map(|(leaf, _)| *leaf).min();
            let Some(leaf) = next else { break };
            let ours = left.next_if(|term| term.0 == leaf).map_or(0, |term| i64::from(term.1));
            let others = right.next_if(|term| term.0 == leaf).map_or(0, |term| i64::from(term.1));
            let coefficient = ours + others * factor;
            if coefficient != 0 {
                terms.push((leaf, coefficient.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32));
            }
        }
        let (low, high) = if factor < 0 { (other.high, other.low) } else { (other.low, other.high) };
        Self {
            terms,
            constant: self.constant + factor * other.constant,
            low: self.low + factor * low,
            high: self.high + factor * high,
        }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Add for &Block {
    type Output = Block;

    fn add(self, other: Self) -> Block {
        self.plus_scaled(other, 1)
    }
}

impl Sub for &Block {
    type Output = Block;

    fn sub(self, other: Self) -> Block {
        self.plus_scaled(other, -1)
    }
}

impl Add<i64> for &Block {
    type Output = Block;

    fn add(self, constant: i64) -> Block {
        self.plus_scaled(&Block::constant(constant), 1)
    }
}

impl Mul<i64> for &Block {
    type Output = Block;

    fn mul(self, factor: i64) -> Block {
        Block::constant(0).plus_scaled(self, factor)
    }
}

impl Neg for &Block {
    type Output = Block;

    fn neg(self) -> Block {
        self * -1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_merge_and_cancel() {
        let (a, b) = (Block::leaf(0, 0, 3), Block::leaf(1, 0, 3));
        let form = &(&(&a * 4) + &b) + 2;
        assert_eq!((form.terms(), form.offset(), form.range()), (&[(0, 4), (1, 1)][..], 2, 2..=17));
        assert_eq!(form.norm2(), 17);
        let rest = &form - &(&a * 4);
        assert_eq!(rest.terms(), &[(1, 1)]);
        assert_eq!((&a - &a).as_constant(), Some(0));
        assert_eq!((&b - &a).range(), -3..=3);
        assert_eq!(Block::sum([(&a, 2), (&b, -1)], 1).terms(), &[(0, 2), (1, -1)]);
        let (reduced, scale, offset) = Block::sum([(&a, 6), (&b, -4)], 3).within(-8..=20).reduced();
        assert_eq!((reduced.terms(), reduced.range(), scale, offset), (&[(0, 3), (1, -2)][..], -5..=8, 2, 3));
    }
}
