//! Single bits, and orders of bits.

use crate::circuit::{Block, Builder};
use crate::error::Error;
use crate::integer::word::agree;
use crate::integer::{Form, ShiftOp, Word, shift};
use crate::types::{MESSAGE_BITS, MESSAGE_MODULUS, Type};

/// The bits in reverse order. One bootstrap per digit, to exchange its bits.
#[must_use]
pub fn reverse_bits(b: &mut Builder, x: &Word) -> Word {
    if !agree(b, "reverse_bits", &[x]) {
        return Word::constant(x.ty, 0);
    }
    let exchange = |digit: i64| digit >> 1 | (digit & 1) << 1;
    Word { ty: x.ty, blocks: x.blocks.iter().rev().map(|digit| b.lookup(digit, exchange)).collect() }
}

/// The bytes in reverse order, for a width of whole bytes. No bootstraps.
#[must_use]
pub fn swap_bytes(b: &mut Builder, x: &Word) -> Word {
    if !agree(b, "swap_bytes", &[x]) {
        return Word::constant(x.ty, 0);
    }
    let digits_per_byte = (u8::BITS / MESSAGE_BITS) as usize;
    if !x.blocks.len().is_multiple_of(digits_per_byte) {
        let reason = format!("the operand has type {}, which is no whole number of bytes", x.ty);
        b.fail(Error::InvalidOperand { operation: "swap_bytes".to_owned(), reason });
        return Word::constant(x.ty, 0);
    }
    Word { ty: x.ty, blocks: x.blocks.chunks(digits_per_byte).rev().flatten().cloned().collect() }
}

/// The bit at a clear index, counted from the lowest; an error where there is none. One bootstrap.
#[must_use]
pub fn bit_clear(b: &mut Builder, x: &Word, index: u32) -> Word {
    if !agree(b, "bit", &[x]) || !is_inside(b, "bit", x, index) {
        return Word::truth(Block::constant(0));
    }
    let place = index % MESSAGE_BITS;
    Word::truth(b.lookup(&x.blocks[(index / MESSAGE_BITS) as usize], |digit| digit >> place & 1))
}

/// The bit at an encrypted unsigned index, counted from the lowest; false where there is none.
///
/// The lowest bit of x shifted to the right: of every stage only what comes to that place is computed, some 2n bootstraps
/// for n digits.
#[must_use]
pub fn bit(b: &mut Builder, x: &Word, index: &Word, form: Form) -> Word {
    if !agree(b, "bit", &[x]) || !agree(b, "bit", &[index]) {
        return Word::truth(Block::constant(0));
    }
    let unsigned = Word { ty: Type::Uint(x.ty.bits()), blocks: x.blocks.clone() };
    let shifted = shift(b, ShiftOp::Right, &unsigned, index, form);
    bit_clear(b, &shifted, 0)
}

/// x with the bit at a clear index replaced by the truth value `bit`; an error where there is none. One bootstrap.
#[must_use]
pub fn set_bit_clear(b: &mut Builder, x: &Word, index: u32, bit: &Word) -> Word {
    if !agree(b, "set_bit", &[x]) || !is_truth(b, bit) || !is_inside(b, "set_bit", x, index) {
        return Word::constant(x.ty, 0);
    }
    let mut blocks = x.blocks.clone();
    let digit = &mut blocks[(index / MESSAGE_BITS) as usize];
    let place = index % MESSAGE_BITS;
    *digit =
        b.lookup_sum(&[(digit, 2), (&bit.blocks[0], 1)], 0, |form| form >> 1 & !(1 << place) | (form & 1) << place);
    Word { ty: x.ty, blocks }
}

/// x with the bit at an encrypted unsigned index replaced by the truth value `bit`; x where there is none.
///
/// The mask of the bit is 1 shifted to the left. Each digit loses the bit that its mask has, and gets it back if `bit` is
/// set: two bootstraps per digit, and those of the mask.
#[must_use]
pub fn set_bit(b: &mut Builder, x: &Word, index: &Word, bit: &Word, form: Form) -> Word {
    if !agree(b, "set_bit", &[x]) || !agree(b, "set_bit", &[index]) || !is_truth(b, bit) {
        return Word::constant(x.ty, 0);
    }
    let mask = shift(b, ShiftOp::Left, &Word::constant(Type::Uint(x.ty.bits()), 1), index, form);
    let replaced = x.blocks.iter().zip(&mask.blocks).map(|(digit, mask)| {
        let mask = mask.clone().within(0..=2);
        let cleared = b.lookup_sum(&[(digit, 3), (&mask, 1)], 0, |form| (form / 3) & !(form % 3));
        let set = b.lookup_sum(&[(&bit.blocks[0], 3), (&mask, 1)], 0, |form| if form >= 3 { form - 3 } else { 0 });
        (&cleared + &set).within(0..=MESSAGE_MODULUS - 1)
    });
    Word { ty: x.ty, blocks: replaced.collect() }
}

fn is_inside(b: &mut Builder, operation: &str, x: &Word, index: u32) -> bool {
    let fits = index < x.ty.bits();
    if !fits {
        let reason = format!("the index is {index}, but there are {} bits", x.ty.bits());
        b.fail(Error::InvalidOperand { operation: operation.to_owned(), reason });
    }
    fits
}

fn is_truth(b: &mut Builder, bit: &Word) -> bool {
    let fits = bit.ty == Type::Bool && bit.blocks.len() == 1;
    if !fits {
        let reason = format!("the bit has type {}, expected bool", bit.ty);
        b.fail(Error::InvalidOperand { operation: "set_bit".to_owned(), reason });
    }
    fits
}
