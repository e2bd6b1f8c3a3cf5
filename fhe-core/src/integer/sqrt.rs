//! Integer square roots.

use crate::circuit::{Block, Builder};
use crate::error::Error;
use crate::integer::columns::subtract;
use crate::integer::divide::choose_all;
use crate::integer::word::agree;
use crate::integer::{Form, Word};
use crate::types::MESSAGE_BITS;

/// The largest integer whose square is at most x, for an unsigned x.
///
/// Each digit of x, from the top, gives a bit of the root: with the root q so far and the remainder r = x - q² of the
/// digits so far, the next bit is 1 if 4r + digit ≥ 4q + 1, which is then the new remainder's due. Since r ≤ 2q, r grows
/// by one bit each time: n²/2 + 4n bootstraps in throughput form.
#[must_use]
pub fn sqrt(b: &mut Builder, x: &Word, form: Form) -> Word {
    if !agree(b, "isqrt", &[x]) {
        return Word::constant(x.ty, 0);
    }
    if x.ty.is_signed() {
        let reason = format!("the operand has type {}, expected unsigned", x.ty);
        b.fail(Error::InvalidOperand { operation: "isqrt".to_owned(), reason });
        return Word::constant(x.ty, 0);
    }
    // Highest bit first.
    let mut root: Vec<Block> = Vec::new();
    let mut remainder: Vec<Block> = Vec::new();
    for digit in x.blocks.iter().rev() {
        remainder.insert(0, digit.clone());
        let mut due = vec![Block::constant(1)];
        due.extend(digits(&root));
        let length = (root.len() + 3).div_ceil(MESSAGE_BITS as usize).max(due.len());
        due.resize(length, Block::constant(0));
        remainder.resize(length, Block::constant(0));
        let (rest, negative) = subtract(b, &remainder, &due, form);
        let bit = &-&negative + 1;
        remainder = choose_all(b, &bit, &rest, &remainder);
        root.push(bit);
        remainder.truncate((root.len() + 1).div_ceil(MESSAGE_BITS as usize));
    }
    let mut blocks = digits(&root);
    blocks.resize(x.blocks.len(), Block::constant(0));
    Word { ty: x.ty, blocks }
}

/// Bits, the highest first, as digits, the lowest first.
fn digits(bits: &[Block]) -> Vec<Block> {
    bits.rchunks(MESSAGE_BITS as usize)
        .map(|bits| bits.iter().fold(Block::constant(0), |digit, bit| &(&digit * 2) + bit))
        .collect()
}
