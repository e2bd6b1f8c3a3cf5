//! Values as digits in base 4.

use crate::circuit::{Block, Builder};
use crate::error::Error;
use crate::types::{Bits, Type};

/// A value of type `ty` as `ty.blocks()` digits in base 4, least significant first.
///
/// Digits are in `0..=3`, or in `0..=1` for a truth value; signed values are in two's complement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// What the digits mean.
    pub ty: Type,
    /// The digits.
    pub blocks: Vec<Block>,
}

impl Word {
    /// A value with these digits.
    #[cfg(test)]
    #[must_use]
    pub fn new(ty: Type, blocks: Vec<Block>) -> Self {
        Self { ty, blocks }
    }

    /// The clear value whose bits are the low bits of `bits`.
    #[must_use]
    pub fn constant(ty: Type, bits: impl Into<Bits>) -> Self {
        let bits = ty.truncate(bits);
        Self { ty, blocks: (0..ty.blocks()).map(|i| Block::constant(bits.digit(i))).collect() }
    }

    /// Input `input` of a circuit: clean digits.
    #[must_use]
    pub fn input(b: &mut Builder, input: u32, ty: Type) -> Self {
        let blocks = (0..ty.blocks()).map(|block| b.input(input, block as u32, 0..=ty.block_max())).collect();
        Self { ty, blocks }
    }

    /// The truth value of a block in `0..=1`.
    #[must_use]
    pub fn truth(block: Block) -> Self {
        Self { ty: Type::Bool, blocks: vec![block] }
    }

    /// The bits of the value, if all digits are known.
    #[must_use]
    pub fn as_constant(&self) -> Option<Bits> {
        let digits: Vec<i64> = self.blocks.iter().map(Block::as_constant).collect::<Option<_>>()?;
        Some(Bits::from_digits(digits.into_iter()))
    }

    /// The most significant digit; 0 for a word without digits, which no type has.
    pub(crate) fn top(&self) -> Block {
        self.blocks.last().cloned().unwrap_or_else(|| Block::constant(0))
    }
}

/// Whether the operands have types and lengths that go together; records an error if they do not.
///
/// Programs are checked when they are traced, so this only meets callers that build circuits by hand.
pub(crate) fn agree(b: &mut Builder, operation: &str, words: &[&Word]) -> bool {
    let reason = words.iter().find_map(|word| {
        let first = words[0].ty;
        if word.ty != first {
            Some(format!("operands of types {first} and {}", word.ty))
        } else if word.blocks.len() != first.blocks() {
            Some(format!("{} blocks in a value of type {first}", word.blocks.len()))
        } else {
            None
        }
    });
    let fits = reason.is_none();
    if let Some(reason) = reason {
        b.fail(Error::InvalidOperand { operation: operation.to_owned(), reason });
    }
    fits
}
