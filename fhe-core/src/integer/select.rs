//! Choices: select, min, max.

use crate::circuit::{Block, Builder, MAX_NORM2};
use crate::error::Error;
use crate::integer::word::agree;
use crate::integer::{Form, Word, compare};
use crate::types::Type;

/// Largest squared norm of the digit that a choice is added to: selected digits stay usable in most lookups.
const MAX_BASE: u64 = 3;

/// `if condition { then } else { otherwise }`. One bootstrap per digit.
#[must_use]
pub fn select(b: &mut Builder, condition: &Word, then: &Word, otherwise: &Word) -> Word {
    let (Type::Bool, [flag]) = (condition.ty, &condition.blocks[..]) else {
        let reason = format!("the condition has type {}, expected bool", condition.ty);
        b.fail(Error::InvalidOperand { operation: "select".to_owned(), reason });
        return Word::constant(then.ty, 0);
    };
    if !agree(b, "select", &[then, otherwise]) {
        return Word::constant(then.ty, 0);
    }
    let blocks = then.blocks.iter().zip(&otherwise.blocks).map(|(x, y)| choose(b, flag, x, y)).collect();
    Word { ty: then.ty, blocks }
}

/// The smaller value: a comparison and a choice.
#[must_use]
pub fn min(b: &mut Builder, x: &Word, y: &Word, form: Form) -> Word {
    let less = compare::lt(b, x, y, form);
    select(b, &less, x, y)
}

/// The larger value: a comparison and a choice.
#[must_use]
pub fn max(b: &mut Builder, x: &Word, y: &Word, form: Form) -> Word {
    let less = compare::lt(b, x, y, form);
    select(b, &less, y, x)
}

/// c·(x - y) + y for a truth value c and digits x, y.
///
/// One table on 2(x - y) + c, in -6..=7, squared norm 9 for fresh operands; y is added after it, so the result has
/// squared norm 2. x and y change places where x is the less noisy one. Nothing is looked up if x - y is known. Truth
/// values are looked up whole, on 4c + 2x + y.
pub(super) fn choose(b: &mut Builder, c: &Block, x: &Block, y: &Block) -> Block {
    if let Some(c) = c.as_constant() {
        return if c == 1 { x.clone() } else { y.clone() };
    }
    let range = x.low().min(y.low())..=x.high().max(y.high());
    if let Some(difference) = (x - y).as_constant() {
        return (&(c * difference) + y).within(range);
    }
    if range == (0..=1)
        && let Some(choice) = choose_truth(b, c, x, y)
    {
        return choice;
    }
    let (mut c, mut x, mut y) = (c.clone(), x.clone(), y.clone());
    if x.norm2() < y.norm2() {
        c = &-&c + 1;
        std::mem::swap(&mut x, &mut y);
    }
    while y.norm2() > MAX_BASE || Block::sum([(&x, 2), (&y, -2), (&c, 1)], 0).norm2() > MAX_NORM2 {
        let noisy = if c.norm2() > 4 * x.norm2() { &mut c } else { &mut x };
        *noisy = b.refresh(&noisy.clone());
        if x.norm2() < y.norm2() {
            c = &-&c + 1;
            std::mem::swap(&mut x, &mut y);
        }
    }
    let choice = b.lookup_sum(&[(&x, 2), (&y, -2), (&c, 1)], 0, |form| if form & 1 == 1 { form >> 1 } else { 0 });
    (&choice + &y).within(range)
}

/// The choice between truth values: one table with the weights 4, 2, 1, the largest for the least noisy part. `None`
/// if that is too noisy, as where they share leaves.
fn choose_truth(b: &mut Builder, c: &Block, x: &Block, y: &Block) -> Option<Block> {
    let parts = [c, x, y];
    let mut order = [0, 1, 2];
    order.sort_by_key(|&part| std::cmp::Reverse(parts[part].norm2()));
    let shift = |part: usize| order.iter().position(|&at| at == part).unwrap_or(0);
    let (at_c, at_x, at_y) = (shift(0), shift(1), shift(2));
    let form = Block::sum([(c, 1 << at_c), (x, 1 << at_x), (y, 1 << at_y)], 0);
    (form.norm2() <= MAX_NORM2)
        .then(|| b.lookup(&form, |form| if form >> at_c & 1 == 1 { form >> at_x & 1 } else { form >> at_y & 1 }))
}
