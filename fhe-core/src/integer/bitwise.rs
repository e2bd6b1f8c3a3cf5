//! Bitwise operations; conjunction, disjunction and negation of truth values.

use crate::circuit::{Block, Builder};
use crate::integer::Word;
use crate::integer::word::agree;
use crate::types::MESSAGE_MODULUS;

/// x & y. One bootstrap per digit.
#[must_use]
pub fn and(b: &mut Builder, x: &Word, y: &Word) -> Word {
    bitwise(b, "and", x, y, |x, y| x & y)
}

/// x | y. One bootstrap per digit.
#[must_use]
pub fn or(b: &mut Builder, x: &Word, y: &Word) -> Word {
    bitwise(b, "or", x, y, |x, y| x | y)
}

/// x ^ y. One bootstrap per digit.
#[must_use]
pub fn xor(b: &mut Builder, x: &Word, y: &Word) -> Word {
    bitwise(b, "xor", x, y, |x, y| x ^ y)
}

/// The complement of every bit, 3 - digit (1 - digit for a truth value): no bootstraps.
#[must_use]
pub fn not(x: &Word) -> Word {
    Word { ty: x.ty, blocks: x.blocks.iter().map(|digit| &-digit + x.ty.block_max()).collect() }
}

fn bitwise(b: &mut Builder, name: &str, x: &Word, y: &Word, f: impl Fn(i64, i64) -> i64 + Copy) -> Word {
    if !agree(b, name, &[x, y]) {
        return Word::constant(x.ty, 0);
    }
    let blocks = x.blocks.iter().zip(&y.blocks).map(|(x, y)| pairwise(b, x, y, f)).collect();
    Word { ty: x.ty, blocks }
}

/// f(x, y) for a symmetric f of two digits.
///
/// The form is m·x + y for the number m of values of y: 4x + y in general, 2x + y for bits (squared norms 17 and 5);
/// the noisier digit gets the factor 1. With a known digit that leaves f or its complement linear, nothing is looked
/// up.
fn pairwise(b: &mut Builder, x: &Block, y: &Block, f: impl Fn(i64, i64) -> i64) -> Block {
    for (known, other) in [(x, y), (y, x)] {
        if let Some(digit) = known.as_constant() {
            return unary(b, other, |x| f(x, digit));
        }
    }
    let (x, y) = if x.norm2() > y.norm2() { (y, x) } else { (x, y) };
    let values = if y.high() <= 1 { 2 } else { MESSAGE_MODULUS };
    b.lookup_sum(&[(x, values), (y, 1)], 0, |form| f(form / values, form % values))
}

/// f(x), without a bootstrap if f(x) = x or f(x) = c - x on the range of x.
fn unary(b: &mut Builder, x: &Block, f: impl Fn(i64) -> i64) -> Block {
    let sum = x.low() + f(x.low());
    if x.range().all(|value| f(value) == value) {
        x.clone()
    } else if x.range().all(|value| f(value) + value == sum) {
        &-x + sum
    } else {
        b.lookup(x, f)
    }
}
