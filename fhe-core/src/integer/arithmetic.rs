//! Sums and differences, wrapping.

use crate::circuit::{Block, Builder};
use crate::error::Error;
use crate::integer::columns::reduce;
use crate::integer::word::agree;
use crate::integer::{Form, Word};
use crate::types::Type;

/// x + y. One bootstrap per digit: x + y + carry ≤ 7 gives digit and carry.
#[must_use]
pub fn add(b: &mut Builder, x: &Word, y: &Word, form: Form) -> Word {
    combine(b, "add", &[(x, 1), (y, 1)], form)
}

/// x - y, as x + (3 - y) + 1 in every digit. One bootstrap per digit.
#[must_use]
pub fn sub(b: &mut Builder, x: &Word, y: &Word, form: Form) -> Word {
    combine(b, "sub", &[(x, 1), (y, -1)], form)
}

/// -x, in two's complement. One bootstrap per digit.
#[must_use]
pub fn neg(b: &mut Builder, x: &Word, form: Form) -> Word {
    combine(b, "neg", &[(x, -1)], form)
}

/// Σ words: all operands in one carry-save sum. For m operands of n digits about (3m - 3)·n/6 bootstraps.
#[must_use]
pub fn sum(b: &mut Builder, words: &[Word], form: Form) -> Word {
    let parts: Vec<(&Word, i64)> = words.iter().map(|word| (word, 1)).collect();
    combine(b, "sum", &parts, form)
}

fn combine(b: &mut Builder, operation: &str, parts: &[(&Word, i64)], form: Form) -> Word {
    let words: Vec<&Word> = parts.iter().map(|&(word, _)| word).collect();
    let Some(ty) = words.first().map(|word| word.ty) else {
        b.fail(Error::InvalidOperand { operation: operation.to_owned(), reason: "no elements".to_owned() });
        return Word::constant(Type::Bool, 0);
    };
    if !agree(b, operation, &words) {
        return Word::constant(ty, 0);
    }
    let column = |k: usize| parts.iter().map(|&(word, factor)| &word.blocks[k] * factor).collect();
    let columns: Vec<Vec<Block>> = (0..ty.blocks()).map(column).collect();
    Word { ty, blocks: reduce(b, columns, form) }
}

/// The number of true values among `flags`, in the unsigned type `ty`, wrapping.
///
/// The flags are summands of the lowest column: 15 of them cost two bootstraps, for a digit and a carry.
#[must_use]
pub fn count(b: &mut Builder, flags: &[Word], ty: Type, form: Form) -> Word {
    if !agree(b, "count", &flags.iter().collect::<Vec<_>>()) {
        return Word::constant(ty, 0);
    }
    let mut columns = vec![Vec::new(); ty.blocks()];
    if let Some(lowest) = columns.first_mut() {
        *lowest = flags.iter().flat_map(|flag| flag.blocks.iter().cloned()).collect();
    }
    Word { ty, blocks: reduce(b, columns, form) }
}
