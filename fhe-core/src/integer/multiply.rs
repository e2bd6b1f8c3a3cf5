//! Products, wrapping.

use crate::circuit::{Block, Builder};
use crate::error::Error;
use crate::integer::columns::reduce;
use crate::integer::word::agree;
use crate::integer::{Form, Word};
use crate::types::{Bits, MESSAGE_MODULUS, Type};

/// From this number of digits on, recoding both operands pays.
const RECODED_DIGITS: usize = 8;

/// x · y.
///
/// * Throughput form: n(n + 1)/2 digit products unsplit, one bootstrap each, summed by columns. A column takes away a
///   height of 6 per bootstrap. Products of digits in 0..=3 reach 9; recoded into -2..=1 they are in -2..=4, which
///   costs 2n bootstraps and saves a third of the sum: about n² + 3n in all.
/// * Latency form: every product split into digit and carry, columns compressed in rounds, prefix carries.
/// * Clear operand: sums of multiples of the other operand by the digits -2..=2 of the clear one, which are linear.
#[must_use]
pub fn mul(b: &mut Builder, x: &Word, y: &Word, form: Form) -> Word {
    if !agree(b, "mul", &[x, y]) {
        return Word::constant(x.ty, 0);
    }
    let mut columns = match (x.as_constant(), y.as_constant()) {
        (Some(factor), _) => scaled(&y.blocks, &signed_digits(factor, y.blocks.len()), y.blocks.len()),
        (_, Some(factor)) => scaled(&x.blocks, &signed_digits(factor, x.blocks.len()), x.blocks.len()),
        _ if form == Form::Latency || x.blocks.len() < RECODED_DIGITS => products(b, &x.blocks, &y.blocks, form),
        _ => {
            let (x, y) = (recode(b, &x.blocks), recode(b, &y.blocks));
            products(b, &x, &y, form)
        }
    };
    columns.truncate(x.blocks.len());
    Word { ty: x.ty, blocks: reduce(b, columns, form) }
}

/// Σ weight·word for clear weights of the words' type, wrapping: the scaled digits of all words in one sum, so that only
/// that has carries.
#[must_use]
pub fn dot(b: &mut Builder, words: &[Word], weights: &[Bits], form: Form) -> Word {
    let ty = words.first().map_or(Type::Bool, |word| word.ty);
    if words.is_empty() || words.len() != weights.len() {
        let reason = format!("{} words and {} weights", words.len(), weights.len());
        b.fail(Error::InvalidOperand { operation: "dot".to_owned(), reason });
        return Word::constant(ty, 0);
    }
    if !agree(b, "dot", &words.iter().collect::<Vec<_>>()) {
        return Word::constant(ty, 0);
    }
    let n = ty.blocks();
    let mut columns = vec![Vec::new(); n];
    for (word, &weight) in words.iter().zip(weights) {
        for (column, mut scaled) in columns.iter_mut().zip(scaled(&word.blocks, &signed_digits(weight, n), n)) {
            column.append(&mut scaled);
        }
    }
    Word { ty, blocks: reduce(b, columns, form) }
}

/// The lowest `count` columns of factor·x: digit j of the factor times digit i of x is a linear summand of column i + j.
pub(super) fn scaled(x: &[Block], factor: &[i64], count: usize) -> Vec<Vec<Block>> {
    let mut columns = vec![Vec::new(); count];
    for (j, &digit) in factor.iter().enumerate().take(count).filter(|&(_, digit)| *digit != 0) {
        for (column, x) in columns[j..].iter_mut().zip(x) {
            column.push(x * digit);
        }
    }
    columns
}

/// `n` digits in -2..=2 of `value` modulo 4^n, with a small sum of absolute values.
fn signed_digits(value: Bits, n: usize) -> Vec<i64> {
    recoded(|k| value.digit(k), n)
}

/// As [`signed_digits`], of the value with these base-4 digits.
pub(super) fn recoded(digit: impl Fn(usize) -> i64, n: usize) -> Vec<i64> {
    let mut carry = 0;
    (0..n)
        .map(|k| {
            let sum = digit(k) + carry;
            let (low, up) = (sum % MESSAGE_MODULUS, sum / MESSAGE_MODULUS);
            let next = (digit(k + 1) + up) % MESSAGE_MODULUS;
            let negative = low == 3 || low == 2 && next >= 2;
            carry = up + i64::from(negative);
            if negative { low - MESSAGE_MODULUS } else { low }
        })
        .collect()
}

/// The digits of x modulo 4^n in -2..=1: v = digit + carry in 0..=4 becomes v - 4·(v ≥ 2), and (v ≥ 2) is the next
/// carry. One bootstrap per digit.
fn recode(b: &mut Builder, x: &[Block]) -> Vec<Block> {
    let mut carry = Block::constant(0);
    x.iter()
        .map(|digit| {
            let parts = [(digit, 1), (&carry, 1)];
            let value = digit + &carry;
            if value.high() <= 1 {
                carry = Block::constant(0);
                return value;
            }
            let up = b.lookup_sum(&parts, 0, |v| i64::from(v >= 2));
            let recoded = b.lookup_sum(&parts, 0, |v| if v >= 2 { v - MESSAGE_MODULUS } else { v });
            carry = up;
            recoded
        })
        .collect()
}

/// Columns of the products of digits i and j of two numbers of n digits, for i + j < n, and one more column for what
/// they carry. Throughput form: unsplit, one bootstrap each. Latency form: digits and carries, two each.
pub(super) fn products(b: &mut Builder, x: &[Block], y: &[Block], form: Form) -> Vec<Vec<Block>> {
    let n = x.len();
    let mut columns = vec![Vec::new(); n + 1];
    for (i, j) in pairs(n) {
        let swap = x == y && i > j;
        if form == Form::Throughput {
            columns[i + j].push(product(b, &x[i], &y[j], swap, |p| p));
        } else {
            columns[i + j].push(product(b, &x[i], &y[j], swap, |p| p % MESSAGE_MODULUS));
            columns[i + j + 1].push(product(b, &x[i], &y[j], swap, |p| p / MESSAGE_MODULUS));
        }
    }
    columns
}

/// The digit positions (i, j) whose product is below 4^n.
fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |i| (0..n - i).map(move |j| (i, j)))
}

/// f(x·y), by one table on m·x + y for the number m of values of y; the noisier digit takes the place of y. With
/// `swap` the digits change places, so that a square makes each product once.
fn product(b: &mut Builder, x: &Block, y: &Block, swap: bool, f: impl Fn(i64) -> i64) -> Block {
    let (x, y) = if swap { (y, x) } else { (x, y) };
    let (x, y) = if x.norm2() > y.norm2() { (y, x) } else { (x, y) };
    if let Some(digit) = x.as_constant() {
        return if digit == 0 { Block::constant(f(0)) } else { b.lookup(y, |y| f(digit * y)) };
    }
    let (low, values) = (y.low(), y.high() - y.low() + 1);
    b.lookup_sum(&[(x, values), (y, 1)], -low, |form| f(form.div_euclid(values) * (form.rem_euclid(values) + low)))
}
