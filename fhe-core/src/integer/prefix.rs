//! Carries of the sum of two numbers, by a prefix tree of fan-in 4.

use crate::circuit::{Block, Builder};
use crate::types::MESSAGE_MODULUS;

/// log2 of the fan-in.
const FAN_LOG: u32 = 2;

/// The digits of Σ `sums[k]`·4^k modulo 4^n, for sums in 0..=6 (0..=7 for k = 0).
///
/// A digit position has one of three states: 1, it makes a carry (sum ≥ 4); 0, it passes one on (sum = 3); -1, it
/// absorbs one. The state of positions i..j is that of the highest one that is not 0, so it is the sign of Σ 2^k·state
/// over up to four neighbours (range -15..=15, an odd and so negacyclic table). Tables hold the states times the power
/// of two that they are used with, so that the norm stays at 2.
///
/// The carry into position i is (local + below ≥ 1), for the state `local` of m..i and the carry `below` into m. The
/// last lookup takes both: on 4·(sum mod 4) + local + below + 1. With states over 4^k positions that covers 2·4^k
/// positions in k + 2 levels: 8 bits in 3, 16 in 3, 32 and 64 in 4.
pub(crate) fn propagate(b: &mut Builder, sums: &[Block]) -> Vec<Block> {
    let mut digits = Vec::with_capacity(sums.len());
    let mut rest = sums;
    while !rest.is_empty() {
        let length = segment(rest);
        let (head, tail) = rest.split_at(length);
        propagate_segment(b, head, &mut digits);
        rest = tail;
    }
    digits
}

/// Number of positions until one that provably receives no carry.
fn segment(sums: &[Block]) -> usize {
    let mut carry = 0;
    for (i, sum) in sums.iter().enumerate() {
        carry = (sum.high() + carry) / MESSAGE_MODULUS;
        if carry == 0 {
            return i + 1;
        }
    }
    sums.len()
}

fn propagate_segment(b: &mut Builder, sums: &[Block], digits: &mut Vec<Block>) {
    let mut class = 0;
    while (2usize << (FAN_LOG * class)) < sums.len() - 1 {
        class += 1;
    }
    let reach = 1 << (FAN_LOG * class);
    for (i, sum) in sums.iter().enumerate() {
        let digit = if i == 0 {
            if sum.high() < MESSAGE_MODULUS { sum.clone() } else { b.lookup(sum, |x| x % MESSAGE_MODULUS) }
        } else if i <= reach {
            let below = carry(b, sums, i, class);
            if sum.as_constant() == Some(0) {
                below
            } else {
                b.lookup_sum(&[(sum, 1), (&below, 1)], 0, |x| x % MESSAGE_MODULUS)
            }
        } else {
            let below = carry(b, sums, reach, class);
            let local = state(b, sums, reach..i, class, 1);
            let digit = b.lookup(sum, |x| x % MESSAGE_MODULUS * MESSAGE_MODULUS);
            b.lookup_sum(&[(&digit, 1), (&local, 1), (&below, 1)], 1, |x| {
                (x / MESSAGE_MODULUS + i64::from(x % MESSAGE_MODULUS >= 2)) % MESSAGE_MODULUS
            })
        };
        digits.push(digit);
    }
}

/// The carry (0 or 1) into position `end`, at most 4^`class`.
fn carry(b: &mut Builder, sums: &[Block], end: usize, class: u32) -> Block {
    if end == 1 {
        return b.lookup(&sums[0], |x| i64::from(x >= MESSAGE_MODULUS));
    }
    combine(b, sums, 0..end, class, |x| i64::from(x > 0))
}

/// `scale` times the state of `range`, which starts at a multiple of 4^`class` and has at most that length.
fn state(b: &mut Builder, sums: &[Block], range: std::ops::Range<usize>, class: u32, scale: i64) -> Block {
    if range.len() == 1 {
        return b.lookup(&sums[range.start], |x| scale * (x - (MESSAGE_MODULUS - 1)).signum());
    }
    combine(b, sums, range, class, |x| scale * x.signum())
}

/// `f` of Σ 2^j·state of the j-th part of 4^(`class` - 1) positions.
fn combine(
    b: &mut Builder,
    sums: &[Block],
    range: std::ops::Range<usize>,
    class: u32,
    f: impl Fn(i64) -> i64,
) -> Block {
    let mut class = class;
    while class > 0 && range.len() <= 1 << (FAN_LOG * (class - 1)) {
        class -= 1;
    }
    let step = 1usize << (FAN_LOG * class.saturating_sub(1));
    let starts = range.clone().step_by(step);
    let states: Vec<Block> = starts
        .enumerate()
        .map(|(j, start)| state(b, sums, start..(start + step).min(range.end), class.saturating_sub(1), 1 << j))
        .collect();
    let parts: Vec<(&Block, i64)> = states.iter().map(|state| (state, 1)).collect();
    b.lookup_sum(&parts, 0, f)
}
