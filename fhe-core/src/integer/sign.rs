//! Signs and magnitudes.

use crate::circuit::{Block, Builder};
use crate::error::Error;
use crate::integer::boolean::any_nonzero;
use crate::integer::columns::reduce;
use crate::integer::word::agree;
use crate::integer::{Form, Word};
use crate::types::MESSAGE_MODULUS;

/// |x|, wrapping: the smallest value stays as it is. Unsigned values are returned as they are. See `apply_sign`.
#[must_use]
pub fn abs(b: &mut Builder, x: &Word, form: Form) -> Word {
    if !agree(b, "abs", &[x]) {
        return Word::constant(x.ty, 0);
    }
    let sign = sign(b, x);
    Word { ty: x.ty, blocks: magnitude(b, x, &sign, form) }
}

/// -1, 0 or 1 as the signed x is less than, equal to or more than 0: one bootstrap for the sign and those that tell x
/// from 0. The digits 3, 3, ... of -1 are three times the sign, the lowest one 2·sign + \[x ≠ 0\].
#[must_use]
pub fn signum(b: &mut Builder, x: &Word) -> Word {
    if !is_signed(b, "signum", x) {
        return Word::constant(x.ty, 0);
    }
    let sign = sign(b, x);
    let nonzero = any_nonzero(b, x.blocks.clone());
    let digit = |k: usize| if k == 0 { &(&sign * 2) + &nonzero } else { &sign * (MESSAGE_MODULUS - 1) };
    let blocks = (0..x.blocks.len()).map(|k| digit(k).within(0..=MESSAGE_MODULUS - 1)).collect();
    Word { ty: x.ty, blocks }
}

/// Whether the signed x is less than 0. One bootstrap.
#[must_use]
pub fn is_negative(b: &mut Builder, x: &Word) -> Word {
    if !is_signed(b, "is_negative", x) {
        return Word::truth(Block::constant(0));
    }
    Word::truth(sign(b, x))
}

fn is_signed(b: &mut Builder, operation: &str, x: &Word) -> bool {
    if !agree(b, operation, &[x]) {
        return false;
    }
    if !x.ty.is_signed() {
        let reason = format!("the operand has type {}, expected signed", x.ty);
        b.fail(Error::InvalidOperand { operation: operation.to_owned(), reason });
    }
    x.ty.is_signed()
}

/// 1 for a negative value, else 0.
pub(super) fn sign(b: &mut Builder, x: &Word) -> Block {
    if x.ty.is_signed() { b.lookup(&x.top(), |top| i64::from(top >= 2)) } else { Block::constant(0) }
}

/// The digits of |x|, as an unsigned value, for the sign of x.
pub(super) fn magnitude(b: &mut Builder, x: &Word, sign: &Block, form: Form) -> Vec<Block> {
    apply_sign(b, x.blocks.clone(), sign, form)
}

/// The digits of -x modulo 4^n if `sign` is 1, of x if it is 0: complemented by the sign, then the sign added. Two
/// bootstraps for each digit.
pub(super) fn apply_sign(b: &mut Builder, x: Vec<Block>, sign: &Block, form: Form) -> Vec<Block> {
    if sign.as_constant() == Some(0) {
        return x;
    }
    let complement = |form: i64| if form & 1 == 1 { MESSAGE_MODULUS - 1 - (form >> 1) } else { form >> 1 };
    let mut columns: Vec<Vec<Block>> =
        x.iter().map(|digit| vec![b.lookup_sum(&[(digit, 2), (sign, 1)], 0, complement)]).collect();
    if let Some(lowest) = columns.first_mut() {
        lowest.push(sign.clone());
    }
    reduce(b, columns, form)
}
