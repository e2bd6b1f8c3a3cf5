//! Shifts and rotations by clear and by encrypted amounts, taken modulo the width.

use serde::{Deserialize, Serialize};

use crate::circuit::{Block, Builder};
use crate::integer::word::agree;
use crate::integer::{Form, Word};
use crate::types::{MESSAGE_BITS, MESSAGE_MODULUS};

/// Shift or rotation; the amount is taken modulo the width, as `wrapping_shl` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ShiftOp {
    /// Towards the most significant bit, filling with zeros.
    Left,
    /// Towards the least significant bit, filling with zeros, or with the sign where the type is signed.
    Right,
    /// Rotation towards the most significant bit.
    RotateLeft,
    /// Rotation towards the least significant bit.
    RotateRight,
}

impl ShiftOp {
    fn is_left(self) -> bool {
        matches!(self, Self::Left | Self::RotateLeft)
    }

    /// The digit of n that comes to position `i` when digits move by `distance` ≤ n; none where the shift fills.
    fn source(self, n: usize, i: usize, distance: usize) -> Option<usize> {
        match self {
            Self::Left => i.checked_sub(distance),
            Self::Right => Some(i + distance).filter(|&source| source < n),
            Self::RotateLeft => Some((i + n - distance) % n),
            Self::RotateRight => Some((i + distance) % n),
        }
    }
}

/// `x` shifted by a clear `amount`, modulo the width.
///
/// By an even amount no bootstraps (one for the sign); else one per digit, since a digit has bits of two.
#[must_use]
pub fn shift_clear(b: &mut Builder, op: ShiftOp, x: &Word, amount: u32) -> Word {
    if !agree(b, "shift", &[x]) {
        return Word::constant(x.ty, 0);
    }
    let n = x.blocks.len();
    let amount = amount % x.ty.bits();
    let distance = (amount / MESSAGE_BITS) as usize;
    let extends = op == ShiftOp::Right && x.ty.is_signed();
    let even = amount.is_multiple_of(MESSAGE_BITS);
    let fill = if extends && distance > 0 { sign_fill(b, &x.top()) } else { Block::constant(0) };
    let blocks = (0..n).map(|i| {
        let Some(near) = op.source(n, i, distance).map(|source| &x.blocks[source]) else { return fill.clone() };
        if even {
            return near.clone();
        }
        match op.source(n, i, distance + 1).map(|source| &x.blocks[source]) {
            Some(far) if op.is_left() => join(b, near, far),
            Some(far) => join(b, far, near),
            None if extends => b.lookup(near, |top| top >> 1 | top & 2),
            None if op.is_left() => b.lookup(near, |low| (low & 1) << 1),
            None => b.lookup(near, |top| top >> 1),
        }
    });
    Word { ty: x.ty, blocks: blocks.collect() }
}

/// 3 for a negative value with this top digit, else 0.
fn sign_fill(b: &mut Builder, top: &Block) -> Block {
    b.lookup(top, |digit| if digit >= 2 { 3 } else { 0 })
}

/// The middle bits of two digits: the low bit of `upper`, then the high bit of `lower`.
fn join(b: &mut Builder, upper: &Block, lower: &Block) -> Block {
    let middle = |upper: i64, lower: i64| (upper & 1) << 1 | lower >> 1;
    if upper.norm2() > lower.norm2() {
        b.lookup_sum(&[(lower, 4), (upper, 1)], 0, |form| middle(form & 3, form >> 2))
    } else {
        b.lookup_sum(&[(upper, 4), (lower, 1)], 0, |form| middle(form >> 2, form & 3))
    }
}

/// `x` shifted by an encrypted unsigned `amount`, modulo the width 2^w.
///
/// * Throughput form: a stage of n bootstraps for each of the w bits of the amount, and w/2 bootstraps for the bits:
///   64 bits 195.
/// * Latency form: a stage of one level for each digit of the amount: 64 bits in 3 levels.
#[must_use]
pub fn shift(b: &mut Builder, op: ShiftOp, x: &Word, amount: &Word, form: Form) -> Word {
    if !agree(b, "shift", &[x]) || !agree(b, "shift", &[amount]) {
        return Word::constant(x.ty, 0);
    }
    let width_log = x.ty.bits().ilog2();
    let mut value = x.clone();
    for (j, digit) in amount.blocks.iter().enumerate() {
        let weight_log = j as u32 * MESSAGE_BITS;
        let Some(bits) = width_log.checked_sub(weight_log).filter(|&bits| bits > 0) else { break };
        let mask = if bits == 1 { 1 } else { MESSAGE_MODULUS - 1 };
        if let Some(digit) = digit.as_constant() {
            value = shift_clear(b, op, &value, ((digit & mask) as u32) << weight_log);
            continue;
        }
        value.blocks = match form {
            Form::Throughput => {
                let low = b.lookup(digit, |digit| digit & 1);
                let shifted = bit_stage(b, op, &value, &low, 1 << weight_log);
                if bits == 1 {
                    shifted
                } else {
                    let high = b.lookup(digit, |digit| digit >> 1);
                    bit_stage(b, op, &Word { ty: x.ty, blocks: shifted }, &high, 2 << weight_log)
                }
            }
            Form::Latency => {
                let digit = if digit.norm2() > 1 { b.refresh(digit) } else { digit.clone() };
                digit_stage(b, op, &value, &digit, mask, 1 << weight_log)
            }
        };
    }
    value
}

/// `x` shifted by `amount` if `bit` is 1.
///
/// One bootstrap per digit gives what stays and what moves, on 2x + bit (8 values, two functions); a result is the
/// sum of the two, of squared norm 2. Shifting by one bit splits digits; what moves are bits of the neighbour.
fn bit_stage(b: &mut Builder, op: ShiftOp, x: &Word, bit: &Block, amount: u32) -> Vec<Block> {
    let n = x.blocks.len();
    let extends = op == ShiftOp::Right && x.ty.is_signed();
    let distance = (amount / MESSAGE_BITS).max(1) as usize;
    let stays = move |i: usize, digit: i64| match (amount, op.is_left()) {
        (1, true) => digit << 1 & 3,
        (1, false) if extends && i + 1 == n => digit >> 1 | digit & 2,
        (1, false) => digit >> 1,
        _ => 0,
    };
    let moves = move |digit: i64| match (amount, op.is_left()) {
        (1, true) => digit >> 1,
        (1, false) => digit << 1 & 3,
        _ => digit,
    };
    let mut gate = |digit: &Block, f: &dyn Fn(i64, i64) -> i64| {
        b.lookup_sum(&[(digit, 2), (bit, 1)], 0, |form| f(form >> 1, form & 1))
    };
    let blocks = (0..n).map(|i| {
        let kept = gate(&x.blocks[i], &|digit, bit| if bit == 1 { stays(i, digit) } else { digit });
        let moved = match op.source(n, i, distance) {
            Some(source) => gate(&x.blocks[source], &|digit, bit| if bit == 1 { moves(digit) } else { 0 }),
            None if extends && amount > 1 => gate(&x.top(), &|top, bit| if bit == 1 && top >= 2 { 3 } else { 0 }),
            None => Block::constant(0),
        };
        (&kept + &moved).within(0..=MESSAGE_MODULUS - 1)
    });
    blocks.collect()
}

/// `x` shifted by `weight`·(digit & mask), for a digit of the amount and its weight, a power of 4.
///
/// Each digit of the result is the sum of the digits that may come to it, each looked up on 4·digit + x.
fn digit_stage(b: &mut Builder, op: ShiftOp, x: &Word, digit: &Block, mask: i64, weight: u32) -> Vec<Block> {
    let n = x.blocks.len();
    let extends = op == ShiftOp::Right && x.ty.is_signed();
    let mut gate = |x: &Block, f: &dyn Fn(i64, i64) -> i64| {
        b.lookup_sum(&[(digit, 4), (x, 1)], 0, |form| f(form >> 2 & mask, form & 3))
    };
    let mut result = Vec::with_capacity(n);
    for i in 0..n {
        let mut sum = Block::constant(0);
        if weight == 1 {
            for away in 0..3 {
                let Some(source) = op.source(n, i, away) else { continue };
                let extend = extends && source + 1 == n;
                sum = &sum + &gate(&x.blocks[source], &|s, x| spread(op, x, s, away, extend));
            }
        } else {
            let step = (weight / MESSAGE_BITS) as usize;
            let mut filled = false;
            for s in 0..=mask {
                match op.source(n, i, step * s as usize) {
                    Some(source) => sum = &sum + &gate(&x.blocks[source], &|at, x| if at == s { x } else { 0 }),
                    None if extends && !filled => {
                        filled = true;
                        sum = &sum + &gate(&x.top(), &|at, top| if at >= s && top >= 2 { 3 } else { 0 });
                    }
                    None => {}
                }
            }
        }
        result.push(sum.within(0..=MESSAGE_MODULUS - 1));
    }
    result
}

/// What digit x gives to the position `away` digits from it when shifted by s bits, s in 0..=3.
fn spread(op: ShiftOp, x: i64, s: i64, away: usize, extend: bool) -> i64 {
    let x = if extend && x >= 2 { x - MESSAGE_MODULUS } else { x };
    if op.is_left() { x << s >> (2 * away) & 3 } else { x << 4 >> s >> (4 - 2 * away) & 3 }
}
