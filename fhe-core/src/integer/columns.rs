//! Sums of many blocks per digit, brought to digits: the carries of every arithmetic operation.

use crate::circuit::{Block, Builder, MAX_NORM2};
use crate::integer::{Form, prefix};
use crate::types::MESSAGE_MODULUS;

/// Largest value of a sum in front of a lookup that is not negacyclic.
const MAX_SUM: i64 = 15;

/// Largest value whose digit and carry come from one bootstrap: 8 values leave room for two functions.
const MAX_PACKED: i64 = 7;

/// Largest squared norm of a sum x whose digit is left as x - 4·carry: three fresh digits still fit beside it.
const MAX_IMPLICIT: u64 = 6;

/// A digit of this squared norm or less is passed on as it is.
const MAX_STALE: u64 = 4;

/// The digits of Σ `columns[k]`·4^k modulo 4^n, for n columns of blocks with any ranges.
///
/// Every summand is shifted to start at 0 and the offsets are added up in the clear, so a column is a sum of
/// non-negative blocks and a digit in the clear. The height of a column is the largest value of its sum.
pub(crate) fn reduce(b: &mut Builder, columns: Vec<Vec<Block>>, form: Form) -> Vec<Block> {
    let (columns, _) = normalise(columns);
    to_digits(b, columns, form)
}

/// As [`reduce`], and what is carried out of the highest column, ⌊Σ `columns[k]`·4^k / 4^n⌋, for the sum or the difference
/// of two numbers: 0 or 1, -1 or 0. No more bootstraps than the digits alone in throughput form.
pub(crate) fn reduce_with_carry(b: &mut Builder, columns: Vec<Vec<Block>>, form: Form) -> (Vec<Block>, Block) {
    let (mut columns, offset) = normalise(columns);
    columns.push(Vec::new());
    let mut digits = to_digits(b, columns, form);
    let carry = digits.pop().unwrap_or_else(|| Block::constant(0));
    (digits, &carry + offset)
}

/// The digits of x - y modulo 4^n, for n digits of each, and whether it is negative.
pub(crate) fn subtract(b: &mut Builder, x: &[Block], y: &[Block], form: Form) -> (Vec<Block>, Block) {
    let columns = x.iter().zip(y).map(|(x, y)| vec![x.clone(), -y]).collect();
    let (digits, carry) = reduce_with_carry(b, columns, form);
    (digits, (-&carry).within(0..=1))
}

fn to_digits(b: &mut Builder, columns: Vec<Vec<Block>>, form: Form) -> Vec<Block> {
    match form {
        Form::Throughput => ripple(b, columns),
        Form::Latency => {
            let sums = compress(b, columns);
            prefix::propagate(b, &sums)
        }
    }
}

/// The columns with all summands from 0 on, and what the clear offsets carry out of the highest column.
fn normalise(columns: Vec<Vec<Block>>) -> (Vec<Vec<Block>>, i64) {
    let mut offset = 0;
    let columns = columns
        .into_iter()
        .map(|column| {
            offset += column.iter().map(Block::low).sum::<i64>();
            let mut items: Vec<Block> = column.iter().filter(|x| x.low() < x.high()).map(|x| x + -x.low()).collect();
            let digit = offset.rem_euclid(MESSAGE_MODULUS);
            offset = offset.div_euclid(MESSAGE_MODULUS);
            if digit > 0 {
                items.push(Block::constant(digit));
            }
            items
        })
        .collect();
    (columns, offset)
}

fn height(items: &[Block]) -> i64 {
    items.iter().map(Block::high).sum()
}

fn total(items: &[Block]) -> Block {
    Block::sum(items.iter().map(|item| (item, 1)), 0)
}

/// The squared norm of the sum: more than the sum of the norms where a leaf is met twice.
fn norm2(items: &[Block]) -> u64 {
    total(items).norm2()
}

fn digit(b: &mut Builder, items: &[Block]) -> Block {
    lookup(b, items, |x| x % MESSAGE_MODULUS)
}

fn carry(b: &mut Builder, items: &[Block]) -> Block {
    lookup(b, items, |x| x / MESSAGE_MODULUS)
}

fn lookup(b: &mut Builder, items: &[Block], f: impl Fn(i64) -> i64) -> Block {
    let parts: Vec<(&Block, i64)> = items.iter().map(|item| (item, 1)).collect();
    b.lookup_sum(&parts, 0, f)
}

/// From the lowest column up: groups of up to 15 are replaced by their digit and a carry into the next column, until
/// the column fits one lookup.
///
/// A group x costs one bootstrap for its carry c; every second digit is x - 4c for free (squared norm + 16). So a
/// group of height 15 takes away 15 - 3 - 3 = 9 for 1.5 bootstraps on average, and n-digit sums of two or of three
/// operands cost n and 2n. The last group costs one bootstrap if its height is at most 7, else two.
fn ripple(b: &mut Builder, columns: Vec<Vec<Block>>) -> Vec<Block> {
    let n = columns.len();
    let mut carries = Vec::new();
    let mut digits = Vec::with_capacity(n);
    for (k, mut items) in columns.into_iter().enumerate() {
        let last = k + 1 == n;
        items.append(&mut carries);
        while height(&items) > MAX_SUM || norm2(&items) > MAX_NORM2 {
            let Some(group) = take_group(b, &mut items) else { continue };
            if last {
                items.push(digit(b, &group));
                continue;
            }
            let up = carry(b, &group);
            let sum = total(&group);
            if sum.norm2() <= MAX_IMPLICIT && sum.high() > MAX_PACKED {
                items.push((&sum - &(&up * MESSAGE_MODULUS)).within(0..=MESSAGE_MODULUS - 1));
            } else {
                items.push(digit(b, &group));
            }
            carries.push(up);
        }
        if height(&items) < MESSAGE_MODULUS && norm2(&items) <= MAX_STALE {
            digits.push(total(&items).within(0..=MESSAGE_MODULUS - 1));
            continue;
        }
        digits.push(digit(b, &items));
        if !last {
            let up = carry(b, &items);
            if up.high() > 0 {
                carries.push(up);
            }
        }
    }
    digits
}

/// Takes a group of height 4 to 15 that fits the noise, the noisiest and then the highest summands first. If there
/// is none, refreshes the noisiest summand instead.
fn take_group(b: &mut Builder, items: &mut Vec<Block>) -> Option<Vec<Block>> {
    items.sort_by_key(|item| std::cmp::Reverse((item.norm2() > MAX_IMPLICIT, item.high())));
    let mut group = Vec::new();
    let mut sum = Block::constant(0);
    for item in items.iter() {
        let more = &sum + item;
        if more.high() <= MAX_SUM && more.norm2() <= MAX_NORM2 {
            sum = more;
            group.push(item.clone());
        }
    }
    if sum.high() < MESSAGE_MODULUS {
        if let Some(noisy) = items.iter_mut().max_by_key(|item| item.norm2()) {
            *noisy = b.refresh(&noisy.clone());
        }
        return None;
    }
    for used in &group {
        let at = items.iter().position(|item| item == used)?;
        items.swap_remove(at);
    }
    Some(group)
}

/// In rounds of one level: every column is cut into groups of up to 15, each replaced by its digit and its carry,
/// until all columns have height 6 at most (7 for the lowest), as the sum of two numbers has.
///
/// A round takes a height of h to about 2h/5, so the products of two 32-digit numbers take four rounds.
fn compress(b: &mut Builder, mut columns: Vec<Vec<Block>>) -> Vec<Block> {
    let fits = |k: usize, height: i64| height <= MAX_PACKED - i64::from(k > 0);
    while columns.iter().enumerate().any(|(k, items)| !fits(k, height(items)) || norm2(items) >= MAX_NORM2) {
        let mut carries: Vec<Block> = Vec::new();
        for (k, items) in columns.iter_mut().enumerate() {
            let mut incoming = std::mem::take(&mut carries);
            if !fits(k, height(items) + height(&incoming)) || norm2(items) >= MAX_NORM2 {
                let mut rest = std::mem::take(items);
                while height(&rest) >= MESSAGE_MODULUS || norm2(&rest) >= MAX_NORM2 {
                    let Some(group) = take_group(b, &mut rest) else { continue };
                    items.push(digit(b, &group));
                    carries.push(carry(b, &group));
                }
                items.append(&mut rest);
            }
            items.append(&mut incoming);
        }
    }
    columns.iter().map(|items| total(items)).collect()
}
