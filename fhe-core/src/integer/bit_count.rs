//! Numbers of bits.

use crate::circuit::{Block, Builder, MAX_NORM2};
use crate::error::Error;
use crate::integer::boolean::any_nonzero;
use crate::integer::columns::reduce;
use crate::integer::word::agree;
use crate::integer::{Form, Word, bitwise};
use crate::torus::BOXES;
use crate::types::{MESSAGE_BITS, MESSAGE_MODULUS, Type};

/// Zeros above the highest one, in the unsigned type `ty`, wrapping. One bootstrap per digit (see `run`), and their sum.
#[must_use]
pub fn leading_zeros(b: &mut Builder, x: &Word, ty: Type, form: Form) -> Word {
    count(b, "leading_zeros", x, ty, form, |b| run(b, x, true, form).0)
}

/// Ones above the highest zero, in the unsigned type `ty`, wrapping: the leading zeros of the complement.
#[must_use]
pub fn leading_ones(b: &mut Builder, x: &Word, ty: Type, form: Form) -> Word {
    leading_zeros(b, &bitwise::not(x), ty, form)
}

/// Zeros below the lowest one, in the unsigned type `ty`, wrapping. As [`leading_zeros`], from the other end.
#[must_use]
pub fn trailing_zeros(b: &mut Builder, x: &Word, ty: Type, form: Form) -> Word {
    count(b, "trailing_zeros", x, ty, form, |b| run(b, x, false, form).0)
}

/// Ones below the lowest zero, in the unsigned type `ty`, wrapping: the trailing zeros of the complement.
#[must_use]
pub fn trailing_ones(b: &mut Builder, x: &Word, ty: Type, form: Form) -> Word {
    trailing_zeros(b, &bitwise::not(x), ty, form)
}

/// The number of ones, in the unsigned type `ty`, wrapping: one bootstrap for every two digits, and the sum.
#[must_use]
pub fn count_ones(b: &mut Builder, x: &Word, ty: Type, form: Form) -> Word {
    count(b, "count_ones", x, ty, form, |b| pairs(b, &x.blocks, |bits| i64::from(bits.count_ones())))
}

/// The number of zeros, in the unsigned type `ty`, wrapping: the ones of the complement.
#[must_use]
pub fn count_zeros(b: &mut Builder, x: &Word, ty: Type, form: Form) -> Word {
    count_ones(b, &bitwise::not(x), ty, form)
}

/// The position of the highest one, in the unsigned type `ty`, wrapping; all bits set for 0. As [`leading_zeros`].
///
/// That is the number of bits from the highest one down, less 1. The digits that only a borrow of 0 - 1 reaches are 3 if
/// x is 0, which the search for the highest one has found.
#[must_use]
pub fn ilog2(b: &mut Builder, x: &Word, ty: Type, form: Form) -> Word {
    if !takes(b, "ilog2", x, ty) {
        return Word::constant(ty, 0);
    }
    let (zeros, nonzero) = run(b, x, true, form);
    let digits = (x.ty.bits().ilog2() / MESSAGE_BITS + 1) as usize;
    let mut items: Vec<Block> = zeros.iter().map(|zeros| &-zeros + i64::from(MESSAGE_BITS)).collect();
    items.push(Block::constant(-1));
    let mut columns = vec![Vec::new(); digits.min(ty.blocks())];
    if let Some(lowest) = columns.first_mut() {
        *lowest = items;
    }
    let mut blocks = reduce(b, columns, form);
    blocks.resize(ty.blocks(), &(&-&nonzero + 1) * (MESSAGE_MODULUS - 1));
    Word { ty, blocks }
}

/// Whether the number of ones is odd: one bootstrap for every two digits, and one for every 15 of these.
#[must_use]
pub fn parity(b: &mut Builder, x: &Word) -> Word {
    if !agree(b, "parity", &[x]) {
        return Word::truth(Block::constant(0));
    }
    let mut flags = pairs(b, &x.blocks, |bits| i64::from(bits.count_ones() % 2));
    while flags.len() > 1 {
        let odd = |chunk: &[Block]| {
            let parts: Vec<(&Block, i64)> = chunk.iter().map(|flag| (flag, 1)).collect();
            b.lookup_sum(&parts, 0, |sum| sum & 1)
        };
        flags = flags.chunks(BOXES - 1).map(odd).collect();
    }
    Word::truth(flags.pop().unwrap_or_else(|| Block::constant(0)))
}

/// Whether the lowest bit is 0. One bootstrap.
#[must_use]
pub fn is_even(b: &mut Builder, x: &Word) -> Word {
    let odd = is_odd(b, x);
    Word::truth(&-&odd.blocks[0] + 1)
}

/// Whether the lowest bit is 1. One bootstrap.
#[must_use]
pub fn is_odd(b: &mut Builder, x: &Word) -> Word {
    if !agree(b, "is_odd", &[x]) {
        return Word::truth(Block::constant(0));
    }
    Word::truth(b.lookup(&x.blocks[0], |digit| digit & 1))
}

fn takes(b: &mut Builder, operation: &str, x: &Word, ty: Type) -> bool {
    if !matches!(ty, Type::Uint(_)) {
        let reason = format!("the result has type {ty}, expected unsigned");
        b.fail(Error::InvalidOperand { operation: operation.to_owned(), reason });
        return false;
    }
    agree(b, operation, &[x])
}

/// The sum of small numbers; digits that it cannot reach are 0 without a bootstrap.
fn count(
    b: &mut Builder,
    operation: &str,
    x: &Word,
    ty: Type,
    form: Form,
    items: impl FnOnce(&mut Builder) -> Vec<Block>,
) -> Word {
    if !takes(b, operation, x, ty) {
        return Word::constant(ty, 0);
    }
    let mut columns = vec![Vec::new(); ty.blocks()];
    columns[0] = items(b);
    Word { ty, blocks: reduce(b, columns, form) }
}

/// f of the bits of every two digits (of the last one alone), one bootstrap each.
fn pairs(b: &mut Builder, digits: &[Block], f: impl Fn(u64) -> i64) -> Vec<Block> {
    let lookup = |pair: &[Block]| match pair {
        [low, high] if low.norm2() + 16 * high.norm2() <= MAX_NORM2 => {
            b.lookup_sum(&[(high, 4), (low, 1)], 0, |form| f(form as u64))
        }
        [low, high] => b.lookup_sum(&[(low, 4), (high, 1)], 0, |form| f(form as u64)),
        rest => b.lookup(&rest[0], |digit| f(digit as u64)),
    };
    digits.chunks(2).map(lookup).collect()
}

/// How many zeros each digit adds to the run of zeros at one end of x, the highest if `leading`, and whether x is not 0.
///
/// A digit adds to the run if all digits before it are 0. Throughput form: that and its own part from one bootstrap, on
/// 2·digit + \[a digit before is not 0\]. Latency form: all digits before it at once.
fn run(b: &mut Builder, x: &Word, leading: bool, form: Form) -> (Vec<Block>, Block) {
    let mut digits: Vec<&Block> = x.blocks.iter().collect();
    if leading {
        digits.reverse();
    }
    let zeros = move |digit: i64| match digit {
        0 => 2,
        1 => i64::from(leading),
        2 => i64::from(!leading),
        _ => 0,
    };
    let mut broken = Block::constant(0);
    let mut parts = Vec::with_capacity(digits.len());
    for (k, digit) in digits.iter().enumerate() {
        if form == Form::Latency {
            broken = any_nonzero(b, digits[..k].iter().map(|&digit| digit.clone()).collect());
        }
        let sum = [(*digit, 2), (&broken, 1)];
        parts.push(b.lookup_sum(&sum, 0, |form| if form & 1 == 1 { 0 } else { zeros(form >> 1) }));
        broken = b.lookup_sum(&sum, 0, |form| i64::from(form != 0));
    }
    (parts, broken)
}
