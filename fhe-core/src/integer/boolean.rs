//! Conjunction and disjunction of many truth values.

use crate::circuit::{Block, Builder, MAX_NORM2};
use crate::integer::Word;
use crate::integer::bitwise::not;
use crate::integer::word::agree;
use crate::torus::BOXES;

/// Whether all `flags` are true; true if there are none.
#[must_use]
pub fn all(b: &mut Builder, flags: &[Word]) -> Word {
    if !agree(b, "all", &flags.iter().collect::<Vec<_>>()) {
        return Word::truth(Block::constant(0));
    }
    let items = flags.iter().flat_map(|flag| not(flag).blocks).collect();
    Word::truth(&-&any_nonzero(b, items) + 1)
}

/// Whether any of `flags` is true; false if there are none.
#[must_use]
pub fn any(b: &mut Builder, flags: &[Word]) -> Word {
    if !agree(b, "any", &flags.iter().collect::<Vec<_>>()) {
        return Word::truth(Block::constant(0));
    }
    let items = flags.iter().flat_map(|flag| flag.blocks.iter().cloned()).collect();
    Word::truth(any_nonzero(b, items))
}

/// Whether any of the non-negative `items` is not 0, as a block in 0..=1.
///
/// One table on their sum, if that is at most 16: [x ≠ 0] is negacyclic on 0..=16, since only 0 and 16 are a pair and
/// their values add up to 1. One bootstrap for k ≤ 16 fresh truth values, two for k ≤ 39.
pub(crate) fn any_nonzero(b: &mut Builder, items: Vec<Block>) -> Block {
    if let [item] = &items[..]
        && item.range() == (0..=1)
    {
        return item.clone();
    }
    let sum = nonzero_sum(b, items, BOXES as i64, MAX_NORM2);
    if sum.range() == (0..=1) { sum } else { b.lookup(&sum, |x| i64::from(x != 0)) }
}

/// A block in 0..=`high`, of squared norm `norm2` at most, that is 0 exactly if all of the non-negative `items` are.
///
/// Their sum, if that will do. Groups before it may reach 31, with values 0 at 0, 2 at 16 and 1 elsewhere, so that up
/// to 25 fresh truth values share a bootstrap. `high` is 2 or more.
pub(crate) fn nonzero_sum(b: &mut Builder, mut items: Vec<Block>, high: i64, norm2: u64) -> Block {
    items.retain(|item| item.high() > 0);
    items.sort_by(|x, y| x.terms().cmp(y.terms()).then(x.offset().cmp(&y.offset())));
    items.dedup();
    loop {
        let sum = total(&items);
        if sum.high() <= high && sum.norm2() <= norm2 {
            return sum;
        }
        items = merge_round(b, items, high, norm2);
    }
}

/// One level of groups: as many as bring the sum of all items within the limits, or all items if one level is not
/// enough.
fn merge_round(b: &mut Builder, mut items: Vec<Block>, high: i64, norm2: u64) -> Vec<Block> {
    let boxes = BOXES as i64;
    items.sort_by_key(|item| std::cmp::Reverse((item.norm2(), item.high())));
    let mut merged = Vec::new();
    while !items.is_empty() {
        let left = total(items.iter().chain(&merged));
        if left.high() <= high && left.norm2() <= norm2 {
            break;
        }
        let mut group = items.remove(0);
        let mut rest = Vec::new();
        for item in items {
            let more = &group + &item;
            let needed = left.high() - group.high() + 2 > high || left.norm2() > norm2;
            if needed && more.high() < 2 * boxes && more.norm2() <= MAX_NORM2 {
                group = more;
            } else {
                rest.push(item);
            }
        }
        merged.push(b.lookup(&group, |x| if x == boxes { 2 } else { i64::from(x != 0) }));
        items = rest;
    }
    merged.append(&mut items);
    merged
}

fn total<'a>(items: impl IntoIterator<Item = &'a Block>) -> Block {
    Block::sum(items.into_iter().map(|item| (item, 1)), 0)
}
