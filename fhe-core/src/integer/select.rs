//! Choices: select, min, max; one digit among several.

use std::cmp::Ordering;
use std::ops::RangeInclusive;

use crate::circuit::{Block, Builder, MAX_NORM2};
use crate::error::Error;
use crate::integer::word::agree;
use crate::integer::{Form, Word, compare};
use crate::types::{MESSAGE_MODULUS, Type};

/// Largest squared norm of the digit that a choice is added to: selected digits stay usable in most lookups.
const MAX_BASE: u64 = 3;

/// Largest squared norm of a digit picked among several.
const MAX_PICKED: u64 = 12;

/// Number of values of a difference of digits.
const DIFFERENCES: i64 = 2 * MESSAGE_MODULUS - 1;

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

/// The smaller value: a comparison and a choice, which [`max`] of the same values shares.
#[must_use]
pub fn min(b: &mut Builder, x: &Word, y: &Word, form: Form) -> Word {
    let less = compare::lt(b, x, y, form);
    select(b, &less, x, y)
}

/// The larger value: a comparison and a choice, which [`min`] of the same values shares.
#[must_use]
pub fn max(b: &mut Builder, x: &Word, y: &Word, form: Form) -> Word {
    let less = compare::lt(b, x, y, form);
    select(b, &less, y, x)
}

/// c·(x - y) + y for a truth value c and digits x, y.
///
/// y is added after the lookup, so the result has squared norm 2 for fresh operands. x and y change places where x is
/// the less noisy one; if both are too noisy, one is refreshed. Nothing is looked up if x - y is known. Truth values
/// are looked up whole, on 4c + 2x + y.
pub(super) fn choose(b: &mut Builder, c: &Block, x: &Block, y: &Block) -> Block {
    if let Some(c) = c.as_constant() {
        return if c == 1 { x.clone() } else { y.clone() };
    }
    let range = hull(&[x, y]);
    if let Some(difference) = (x - y).as_constant() {
        return (&(c * difference) + y).within(range);
    }
    if range == (0..=1)
        && let Some(choice) = choose_truth(b, c, x, y)
    {
        return choice;
    }
    let otherwise = &-c + 1;
    let (c, other, base) = if x.norm2() < y.norm2() { (&otherwise, y, x) } else { (c, x, y) };
    if base.norm2() <= MAX_BASE {
        return (&step(b, c, other, base) + base).within(range);
    }
    let fresh = b.refresh(other);
    let opposite = &-c + 1;
    (&step(b, &opposite, base, &fresh) + &fresh).within(range)
}

/// c·(x - y) for a truth value c and digits x, y. One bootstrap.
///
/// On 2(x - y) + c, in -6..=7, where that is not too noisy (squared norm 9 for fresh operands), else on x - y + 7c
/// with 7c from a table of its own, which all digits of a word share. The order of x and y does not matter but for the
/// sign, so that `select(c, x, y)` and `select(c, y, x)` share their lookups.
pub(super) fn step(b: &mut Builder, c: &Block, x: &Block, y: &Block) -> Block {
    if let Some(c) = c.as_constant() {
        return &(x - y) * c;
    }
    if let Some(difference) = (x - y).as_constant() {
        return c * difference;
    }
    if order(x, y) == Ordering::Greater {
        return -&step(b, c, y, x);
    }
    let form = Block::sum([(x, 2), (y, -2), (c, 1)], 0);
    if form.norm2() <= MAX_NORM2 {
        return b.lookup(&form, |form| if form & 1 == 1 { form >> 1 } else { 0 });
    }
    let flag = b.lookup(c, |c| c * DIFFERENCES);
    let parts = [(x, 1), (y, -1), (&flag, 1)];
    b.lookup_sum(&parts, 0, |form| if form >= MESSAGE_MODULUS { form - DIFFERENCES } else { 0 })
}

/// Any fixed order of blocks.
fn order(x: &Block, y: &Block) -> Ordering {
    x.terms().cmp(y.terms()).then(x.offset().cmp(&y.offset()))
}

/// The item whose flag is 1, for digits `items` and as many flags of which one is 1; any digit if none is.
///
/// The least noisy item, plus flag·(item - that one) for the others: one bootstrap each, in one level, after which the
/// squared norm has grown by their number.
pub(super) fn pick(b: &mut Builder, flags: &[Block], items: &[&Block]) -> Block {
    let Some((at, &base)) = items.iter().enumerate().min_by_key(|(_, item)| item.norm2()) else {
        return Block::constant(0);
    };
    let others = items.len() as u64 - 1;
    let base = if base.norm2() + others > MAX_PICKED { b.refresh(base) } else { base.clone() };
    let mut sum = base.clone();
    let others = flags.iter().zip(items).enumerate().filter(|&(i, _)| i != at).map(|(_, other)| other);
    for (flag, item) in others {
        let step = match (*item - &base).as_constant() {
            Some(difference) if difference.abs() > 1 => b.lookup(flag, |flag| flag * difference),
            _ => step(b, flag, item, &base),
        };
        sum = &sum + &step;
    }
    sum.within(hull(items))
}

/// Item `digit` of up to four digits; past the end any digit of an item, or 0.
///
/// * Throughput form: [`pick`], with the flags from one bootstrap.
/// * Latency form: the sum of [digit = i]·item on 4·digit + item: one bootstrap more, one level less.
/// * Items in the clear: one lookup.
pub(super) fn pick_by_digit(b: &mut Builder, digit: &Block, items: &[&Block], form: Form) -> Block {
    let reached = usize::try_from(digit.high() + 1).unwrap_or(0).min(items.len());
    let items = &items[..reached];
    let first = items.first().map_or_else(|| Block::constant(0), |&item| item.clone());
    if let Some(at) = digit.as_constant() {
        return usize::try_from(at).ok().and_then(|at| items.get(at)).map_or(first, |&item| item.clone());
    }
    if items.iter().all(|item| **item == first) {
        return first;
    }
    if let Some(known) = items.iter().map(|item| item.as_constant()).collect::<Option<Vec<i64>>>() {
        return b.lookup(digit, |at| usize::try_from(at).ok().and_then(|at| known.get(at)).map_or(0, |&item| item));
    }
    if form == Form::Latency {
        let products: Vec<Block> = items.iter().zip(0..).map(|(item, i)| product_at(b, digit, item, i)).collect();
        let range = hull(items);
        // Past the end all products are 0, which may be the digit of no item.
        let is_item = digit.high() < items.len() as i64;
        let range = if is_item { range } else { (*range.start()).min(0)..=(*range.end()).max(0) };
        return Block::sum(products.iter().map(|product| (product, 1)), 0).within(range);
    }
    let flags: Vec<Block> = (0..items.len() as i64).map(|i| b.lookup(digit, |at| i64::from(at == i))).collect();
    pick(b, &flags, items)
}

/// \[digit = at\]·item, by one lookup on 4·digit + item.
fn product_at(b: &mut Builder, digit: &Block, item: &Block, at: i64) -> Block {
    let product = |form: i64| if form / MESSAGE_MODULUS == at { form % MESSAGE_MODULUS } else { 0 };
    b.lookup_sum(&[(digit, MESSAGE_MODULUS), (item, 1)], 0, product)
}

/// From the smallest to the largest value of any of the blocks; 0 if there are none.
fn hull(blocks: &[&Block]) -> RangeInclusive<i64> {
    let low = blocks.iter().map(|block| block.low()).min();
    let high = blocks.iter().map(|block| block.high()).max();
    low.unwrap_or(0)..=high.unwrap_or(0)
}

/// The choice between truth values: one table with the weights 4, 2, 1, the largest for the least noisy part, in an
/// order that does not depend on which of x and y is chosen. `None` if that is too noisy, as where they share leaves.
fn choose_truth(b: &mut Builder, c: &Block, x: &Block, y: &Block) -> Option<Block> {
    let parts = [c, x, y];
    let mut noisiest_first = [0, 1, 2];
    noisiest_first.sort_by(|&i, &j| parts[j].norm2().cmp(&parts[i].norm2()).then(order(parts[i], parts[j])));
    let shift = |part: usize| noisiest_first.iter().position(|&at| at == part).unwrap_or(0);
    let (at_c, at_x, at_y) = (shift(0), shift(1), shift(2));
    let form = Block::sum([(c, 1 << at_c), (x, 1 << at_x), (y, 1 << at_y)], 0);
    (form.norm2() <= MAX_NORM2)
        .then(|| b.lookup(&form, |form| if form >> at_c & 1 == 1 { form >> at_x & 1 } else { form >> at_y & 1 }))
}
