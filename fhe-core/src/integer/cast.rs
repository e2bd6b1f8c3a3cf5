//! Casts between types.

use crate::circuit::{Block, Builder};
use crate::integer::Word;
use crate::types::Type;

/// The value in type `ty`: truncated to its low bits (the lowest for a truth value), or extended by zeros, or by the
/// sign of a signed value.
///
/// No bootstraps, but one for the sign of a signed value that is extended and one for the lowest bit.
#[must_use]
pub fn cast(b: &mut Builder, x: &Word, ty: Type) -> Word {
    if ty == Type::Bool && x.ty != Type::Bool {
        let low = x.blocks.first().cloned().unwrap_or_else(|| Block::constant(0));
        return Word::truth(b.lookup(&low, |digit| digit & 1));
    }
    let fill = if x.ty.is_signed() && ty.blocks() > x.blocks.len() {
        b.lookup(&x.top(), |digit| if digit >= 2 { 3 } else { 0 })
    } else {
        Block::constant(0)
    };
    let mut blocks = x.blocks.clone();
    blocks.resize(ty.blocks(), fill);
    Word { ty, blocks }
}
