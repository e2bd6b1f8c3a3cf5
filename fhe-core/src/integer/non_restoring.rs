//! Division bit by bit without restoring the remainder: for long values the cheapest way that is known here.
//!
//! Let R be what is left of the dividend, s its sign and D the divisor moved to the bit that is at hand. Schoolbook division
//! without restoring subtracts D from R if that is not negative and else adds it, and the new sign is a bit of the
//! quotient. Instead of R we keep u, which is R or, if it is negative, its one's complement -R - 1. Then the step is always
//! the same:
//!
//! ```text
//! v = u - D      t = [v < 0]      u := v or, if t, -v - 1      s := s xor t      bit of the quotient: not s
//! ```
//!
//! (Of a negative R: -(R + D) - 1 = u - D.) u is kept in groups of three bits. For each, x = group - group of D - borrow
//! is one of 16 values, of which one table finds the borrow, [x < 0]; another one, on x + 16·t, gives the new group,
//! x mod 8 or 7 - x mod 8, whose sum is 7, so that it is negacyclic up to a constant. Two bootstraps for each group and bit.
//!
//! Nothing moves but D, whose groups are needed at three offsets. Bits of the dividend below D's lowest are complemented
//! with the group that they are in, or when that is reached.

use crate::circuit::{Block, Builder};
use crate::types::{MESSAGE_BITS, MESSAGE_MODULUS};

/// Bits in a group.
const GROUP: usize = 3;
/// Values of a group.
const VALUES: i64 = 1 << GROUP;

/// Bootstraps, about, for a dividend of `n` digits and the divisor y.
pub(super) fn cost(n: usize, y: &[Block]) -> usize {
    let (bits, (least, most)) = (digits_to_bits(n), bit_length(y));
    let groups = (bits + 1).div_ceil(GROUP);
    let of_bit = |i: usize| 2 * ((i + 1 + most).div_ceil(GROUP).min(groups) - i / GROUP) + 1;
    let of_divisor = if least == most { 0 } else { 5 * y.len() };
    (0..=bits - least).map(of_bit).sum::<usize>() + 2 * n + of_divisor
}

/// Least and largest length in bits of a divisor that is not 0, as its highest digit is known or not.
fn bit_length(y: &[Block]) -> (usize, usize) {
    let most = digits_to_bits(y.len());
    match y.last().and_then(Block::as_constant) {
        Some(top @ 1..) => {
            let length = most - usize::from(top == 1);
            (length, length)
        }
        _ => (1, most),
    }
}

/// Quotient and remainder of the digits x and y. By zero the quotient has all bits set, and the remainder is x.
pub(super) fn div_rem(b: &mut Builder, x: &[Block], y: &[Block]) -> (Vec<Block>, Vec<Block>) {
    let (bits, (least, most)) = (digits_to_bits(x.len()), bit_length(y));
    // One bit more than the dividend has: see below.
    let groups = (bits + 1).div_ceil(GROUP);
    let room = GROUP * groups;
    let (dividend, divisor) = (Digits::new(b, x), Digits::new(b, y));
    let above = nonzero_from(b, &divisor.whole);
    let mut u: Vec<Block> = (0..groups).map(|g| dividend.group((GROUP * g) as isize)).collect();
    let mut sign = Block::constant(0);
    let mut wide_sign = Block::constant(0);
    // Where even the shortest divisor is too long, the quotient has no bits.
    let mut signs = vec![Block::constant(1); bits];
    for i in (0..=bits - least).rev() {
        let low = i / GROUP;
        if i % GROUP == GROUP - 1 && i + least < bits {
            u[low] =
                b.lookup_sum(&[(&u[low], 1), (&wide_sign, 1)], 0, |x| if x < VALUES { x } else { 2 * VALUES - 1 - x });
        }
        let high = (i + 1 + most).div_ceil(GROUP).min(groups);
        let subtrahend: Vec<Block> = (low..high).map(|g| divisor.group((GROUP * g) as isize - i as isize)).collect();
        let (differences, borrow) = subtract(b, &u[low..high], &subtrahend);
        // A divisor of half of the room or more is more than the dividend, but does not fit if it is twice that. So the
        // first step finds R < 0 whatever the borrow says; as long as it goes on R is the dividend minus D, to which half
        // of D is added, and that stays negative. A smaller divisor finds a u below twice itself, which fits.
        let over = above.get(room - 1 - i).cloned().unwrap_or_else(|| Block::constant(0));
        let flips = |state: i64| if i + least == bits { state & 3 != 0 } else { state & 3 == 1 };
        let sign_of = |state: i64| i64::from(flips(state)) ^ state >> 2;
        let state = [(&borrow, 1), (&over, 2), (&sign, 4)];
        let flip = b.lookup_sum(&state, 0, |state| 2 * VALUES * i64::from(flips(state)));
        if i % GROUP == 0 {
            wide_sign = b.lookup_sum(&state, 0, |state| VALUES * sign_of(state));
        }
        sign = b.lookup_sum(&state, 0, sign_of);
        for (u, difference) in u[low..high].iter_mut().zip(&differences) {
            *u = b.lookup_sum(&[(difference, 1), (&flip, 1)], 0, group_of);
        }
        signs[i] = sign.clone();
    }
    let quotient = signs.chunks(MESSAGE_BITS as usize).map(|bits| {
        let weighted = bits.iter().enumerate().map(|(at, sign)| (sign, -(1 << at)));
        Block::sum(weighted, MESSAGE_MODULUS - 1).within(0..=MESSAGE_MODULUS - 1)
    });
    let quotient = quotient.collect();
    // u is below D, or all of x if that is 0. Of a negative R the remainder is R + D, that is -(u - D) - 1.
    let length = if least == most { most } else { bits };
    let masked: Vec<Block> = (0..length.div_ceil(GROUP))
        .map(|g| {
            let group = divisor.group((GROUP * g) as isize);
            match group.as_constant() {
                Some(value) => b.lookup(&sign, |sign| sign * value),
                None => b.lookup_sum(&[(&group, 1), (&wide_sign, 1)], 0, |x| if x < VALUES { 0 } else { x - VALUES }),
            }
        })
        .collect();
    let (differences, _) = subtract(b, &u[..masked.len()], &masked);
    let flip = b.lookup(&sign, |sign| 2 * VALUES * sign);
    let bits_of = |b: &mut Builder, from: usize, count: usize, weight: i64| {
        let (g, at) = (from / GROUP, from % GROUP);
        match differences.get(g) {
            Some(x) => b.lookup_sum(&[(x, 1), (&flip, 1)], 0, |x| weight * (group_of(x) >> at & ((1 << count) - 1))),
            None => Block::constant(0),
        }
    };
    let remainder = (0..x.len()).map(|digit| {
        let from = digits_to_bits(digit);
        if from % GROUP == GROUP - 1 {
            (&bits_of(b, from, 1, 1) + &bits_of(b, from + 1, 1, 2)).within(0..=MESSAGE_MODULUS - 1)
        } else {
            bits_of(b, from, 2, 1)
        }
    });
    (quotient, remainder.collect())
}

fn digits_to_bits(digits: usize) -> usize {
    digits * MESSAGE_BITS as usize
}

/// Each group minus its subtrahend and the borrow from below, in -8..=7, and the last borrow.
fn subtract(b: &mut Builder, u: &[Block], subtrahend: &[Block]) -> (Vec<Block>, Block) {
    let mut borrow = Block::constant(0);
    let mut differences = Vec::with_capacity(u.len());
    for (u, subtrahend) in u.iter().zip(subtrahend) {
        let difference = &(u - subtrahend) - &borrow;
        borrow = b.lookup(&difference, |x| i64::from(x < 0));
        differences.push(difference);
    }
    (differences, borrow)
}

/// The group of a difference in -8..=7, or, if 16 was added to it, the complement of that.
fn group_of(x: i64) -> i64 {
    let group = x.rem_euclid(VALUES);
    if x < VALUES { group } else { VALUES - 1 - group }
}

/// Whether any bit from bit k on is not 0, for all k.
fn nonzero_from(b: &mut Builder, digits: &[Block]) -> Vec<Block> {
    let mut flags = vec![Block::constant(0); digits_to_bits(digits.len()) + 1];
    for (k, digit) in digits.iter().enumerate().rev() {
        let at = digits_to_bits(k);
        let parts = [(digit, 1), (&flags[at + 2].clone(), MESSAGE_MODULUS)];
        flags[at + 1] = b.lookup_sum(&parts, 0, |x| i64::from(x >= 2));
        flags[at] = b.lookup_sum(&parts, 0, |x| i64::from(x >= 1));
    }
    flags
}

/// Digits of which any three neighbouring bits are a form.
struct Digits {
    /// In base 4, fresh.
    whole: Vec<Block>,
    /// Four times the lower bit of each.
    low: Vec<Block>,
    /// The upper bit of each.
    high: Vec<Block>,
}

impl Digits {
    fn new(b: &mut Builder, digits: &[Block]) -> Self {
        // Two groups of squared norm 1 + 4·norm², a borrow and a flip: 22 if all are fresh, and 38 if digits have norm √2.
        let digits: Vec<Block> =
            digits.iter().map(|digit| if digit.norm2() > 1 { b.refresh(digit) } else { digit.clone() }).collect();
        let low = digits.iter().map(|digit| b.lookup(digit, |x| 4 * (x & 1))).collect();
        let high = digits.iter().map(|digit| b.lookup(digit, |x| x >> 1)).collect();
        Self { whole: digits, low, high }
    }

    /// The three bits from this one on; bits below the lowest and above the highest are 0.
    fn group(&self, from: isize) -> Block {
        let of = |blocks: &[Block], at: isize| {
            let at = usize::try_from(at).ok();
            at.and_then(|at| blocks.get(at)).cloned().unwrap_or_else(|| Block::constant(0))
        };
        let at = from.div_euclid(MESSAGE_BITS as isize);
        if from.rem_euclid(MESSAGE_BITS as isize) == 0 {
            &of(&self.whole, at) + &of(&self.low, at + 1)
        } else {
            &of(&self.high, at) + &(&of(&self.whole, at + 1) * 2)
        }
    }
}
