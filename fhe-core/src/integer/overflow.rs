//! Operations that tell whether they overflow, and operations that do not.

use crate::circuit::{Block, Builder};
use crate::integer::boolean::any_nonzero;
use crate::integer::columns::{reduce, reduce_with_carry};
use crate::integer::multiply::products;
use crate::integer::sign::{apply_sign, magnitude, sign};
use crate::integer::word::agree;
use crate::integer::{Form, Word, arithmetic};
use crate::types::MESSAGE_MODULUS;

/// x + y, wrapping, and whether it overflows. Bootstraps for n digits: n, or n + 1 for signed values.
#[must_use]
pub fn overflowing_add(b: &mut Builder, x: &Word, y: &Word, form: Form) -> (Word, Word) {
    combine(b, "overflowing_add", x, y, 1, form)
}

/// x - y, wrapping, and whether it overflows. Bootstraps as [`overflowing_add`].
#[must_use]
pub fn overflowing_sub(b: &mut Builder, x: &Word, y: &Word, form: Form) -> (Word, Word) {
    combine(b, "overflowing_sub", x, y, -1, form)
}

/// -x, wrapping, and whether it overflows: whether x is the smallest signed value, or an unsigned one that is not 0.
#[must_use]
pub fn overflowing_neg(b: &mut Builder, x: &Word, form: Form) -> (Word, Word) {
    if !agree(b, "overflowing_neg", &[x]) {
        return failed(x);
    }
    let negated = arithmetic::neg(b, x, form);
    if !x.ty.is_signed() {
        return (negated, Word::truth(any_nonzero(b, x.blocks.clone())));
    }
    let mut nonzero = x.blocks.clone();
    if let Some(top) = nonzero.last_mut() {
        *top = b.lookup(top, |top| i64::from(top != 2));
    }
    (negated, Word::truth(&-&any_nonzero(b, nonzero) + 1))
}

fn failed(x: &Word) -> (Word, Word) {
    (Word::constant(x.ty, 0), Word::truth(Block::constant(0)))
}

/// x + y or x - y, and whether it overflows.
///
/// Unsigned: what is carried out of the highest digit. Signed: the highest digits count from -2 to 1; their sum or
/// difference takes one lookup on both, since it is no linear form, and with what is carried into it is in -4..=3, which
/// gives digit and overflow by one bootstrap.
fn combine(b: &mut Builder, operation: &str, x: &Word, y: &Word, factor: i64, form: Form) -> (Word, Word) {
    if !agree(b, operation, &[x, y]) {
        return failed(x);
    }
    let mut columns: Vec<Vec<Block>> =
        x.blocks.iter().zip(&y.blocks).map(|(x, y)| vec![x.clone(), y * factor]).collect();
    if !x.ty.is_signed() {
        let (digits, carry) = reduce_with_carry(b, columns, form);
        return (Word { ty: x.ty, blocks: digits }, Word::truth((&carry * factor).within(0..=1)));
    }
    columns.pop();
    let (mut digits, carry) = reduce_with_carry(b, columns, form);
    let signed = |digit: i64| if digit >= 2 { digit - MESSAGE_MODULUS } else { digit };
    let (top, below) = (x.top(), y.top());
    let both = if top.norm2() > below.norm2() {
        b.lookup_sum(&[(&below, 4), (&top, 1)], 0, |form| signed(form & 3) + factor * signed(form >> 2))
    } else {
        b.lookup_sum(&[(&top, 4), (&below, 1)], 0, |form| signed(form >> 2) + factor * signed(form & 3))
    };
    let sum = [(&both, 1), (&carry, 1)];
    digits.push(b.lookup_sum(&sum, 0, |sum| sum.rem_euclid(MESSAGE_MODULUS)));
    let overflow = b.lookup_sum(&sum, 0, |sum| i64::from(!(-2..2).contains(&sum)));
    (Word { ty: x.ty, blocks: digits }, Word::truth(overflow))
}

/// x · y, wrapping, and whether it overflows.
///
/// Unsigned: if digits that are not 0 meet at position n or above, or if the sum of the products below is carried beyond
/// it. Such a sum is below 3n·4^n, so that a few columns take all of it. The digits stay in 0..=3, since recoded ones
/// would add up modulo 4^n only: about a quarter more bootstraps than the product alone, and 2n for the digits that meet.
///
/// Signed: of the magnitudes, with the sign applied afterwards (6n more).
#[must_use]
pub fn overflowing_mul(b: &mut Builder, x: &Word, y: &Word, form: Form) -> (Word, Word) {
    if !agree(b, "overflowing_mul", &[x, y]) {
        return failed(x);
    }
    let (x_sign, y_sign) = (sign(b, x), sign(b, y));
    let (x_digits, y_digits) = (magnitude(b, x, &x_sign, form), magnitude(b, y, &y_sign, form));
    let (product, mut over) = unsigned_product(b, &x_digits, &y_digits, form);
    if !x.ty.is_signed() {
        return (Word { ty: x.ty, blocks: product }, Word::truth(over));
    }
    let negative = b.lookup_sum(&[(&x_sign, 1), (&y_sign, 1)], 0, |signs| signs & 1);
    let top = product.last().cloned().unwrap_or_else(|| Block::constant(0));
    let blocks = apply_sign(b, product, &negative, form);
    // The sign of the result is that of the product, unless the product is 0 or overflows.
    let result_top = blocks.last().cloned().unwrap_or_else(|| Block::constant(0));
    let result_sign = b.lookup(&result_top, |top| i64::from(top >= 2));
    // A magnitude of half the range or more is too large; only the smallest value, whose sign is kept, is not.
    let large = b.lookup(&top, |top| i64::from(top >= 2));
    let wrong = b.lookup_sum(&[(&large, 4), (&negative, 2), (&result_sign, 1)], 0, |form| {
        i64::from(form >> 2 == 1 && (form >> 1 & 1 == 0 || form & 1 == 0))
    });
    over = any_nonzero(b, vec![over, wrong]);
    (Word { ty: x.ty, blocks }, Word::truth(over))
}

/// The lowest n digits of the product of two n-digit numbers, and whether it has more.
fn unsigned_product(b: &mut Builder, x: &[Block], y: &[Block], form: Form) -> (Vec<Block>, Block) {
    let n = x.len();
    let mut columns = products(b, x, y, form);
    // 9·Σ (k + 1)·4^k < 4^n·3n + 4^n
    let beyond = (3 * n + 1).ilog(MESSAGE_MODULUS as usize) as usize + 1;
    columns.resize(n + beyond, Vec::new());
    let mut digits = reduce(b, columns, form);
    let mut high = digits.split_off(n);
    // Whether a digit of y from position k on is not 0.
    let mut above = vec![Block::constant(0); n + 1];
    for k in (1..n).rev() {
        let items = match form {
            Form::Throughput => vec![y[k].clone(), above[k + 1].clone()],
            Form::Latency => y[k..].to_vec(),
        };
        above[k] = any_nonzero(b, items);
    }
    for i in 1..n {
        let meets = |form: i64| i64::from(form & 1 == 1 && form > 1);
        high.push(b.lookup_sum(&[(&x[i], 2), (&above[n - i], 1)], 0, meets));
    }
    (digits, any_nonzero(b, high))
}

/// x + y, or the nearest value of the type if that overflows: one bootstrap per digit more than [`overflowing_add`].
#[must_use]
pub fn saturating_add(b: &mut Builder, x: &Word, y: &Word, form: Form) -> Word {
    let (sum, overflow) = overflowing_add(b, x, y, form);
    let negative = sign(b, x);
    saturate(b, &sum, &overflow, &negative, MESSAGE_MODULUS - 1)
}

/// x - y, or the nearest value of the type if that overflows: one bootstrap per digit more than [`overflowing_sub`].
#[must_use]
pub fn saturating_sub(b: &mut Builder, x: &Word, y: &Word, form: Form) -> Word {
    let (difference, overflow) = overflowing_sub(b, x, y, form);
    let negative = sign(b, x);
    saturate(b, &difference, &overflow, &negative, 0)
}

/// x · y, or the nearest value of the type if that overflows: one bootstrap per digit more than [`overflowing_mul`].
#[must_use]
pub fn saturating_mul(b: &mut Builder, x: &Word, y: &Word, form: Form) -> Word {
    let (product, overflow) = overflowing_mul(b, x, y, form);
    let (x_sign, y_sign) = (sign(b, x), sign(b, y));
    let negative = b.lookup_sum(&[(&x_sign, 1), (&y_sign, 1)], 0, |signs| signs & 1);
    saturate(b, &product, &overflow, &negative, MESSAGE_MODULUS - 1)
}

/// -x, or the largest value for the smallest one; 0 for unsigned values. The smallest value is its own negation, with
/// the digits 2, 0, 0, ...; its neighbour has 1, 3, 3, ..., so that saturation is linear.
#[must_use]
pub fn saturating_neg(b: &mut Builder, x: &Word, form: Form) -> Word {
    let (negated, overflow) = overflowing_neg(b, x, form);
    if !x.ty.is_signed() {
        return Word::constant(x.ty, 0);
    }
    let overflow = b.refresh(&overflow.blocks[0]);
    let top = x.blocks.len().saturating_sub(1);
    let digit = |(k, digit): (usize, &Block)| {
        let saturated = if k == top { digit - &overflow } else { digit + &(&overflow * (MESSAGE_MODULUS - 1)) };
        saturated.within(0..=MESSAGE_MODULUS - 1)
    };
    Word { ty: x.ty, blocks: negated.blocks.iter().enumerate().map(digit).collect() }
}

/// `result`, or where it overflowed: `digit` in all places if it is unsigned; if it is signed, the smallest value if
/// `negative` is set, else the largest.
fn saturate(b: &mut Builder, result: &Word, overflow: &Word, negative: &Block, digit: i64) -> Word {
    let overflow = &overflow.blocks[0];
    if !result.ty.is_signed() {
        let choose = |result: i64, to: i64| if to == 1 { digit } else { result };
        let blocks =
            result.blocks.iter().map(|x| b.lookup_sum(&[(x, 2), (overflow, 1)], 0, |form| choose(form >> 1, form & 1)));
        return Word { ty: result.ty, blocks: blocks.collect() };
    }
    // 0: the result; 1: the largest value; 2: the smallest.
    let to = b.lookup_sum(&[(overflow, 2), (negative, 1)], 0, |form| match form {
        2 => 1,
        3 => 2,
        _ => 0,
    });
    let top = result.blocks.len().saturating_sub(1);
    let blocks = result.blocks.iter().enumerate().map(|(k, x)| {
        let saturated = if k == top { [1, 2] } else { [3, 0] };
        b.lookup_sum(&[(x, 3), (&to, 1)], 0, |form| match form % 3 {
            0 => form / 3,
            bound => saturated[bound as usize - 1],
        })
    });
    Word { ty: result.ty, blocks: blocks.collect() }
}
