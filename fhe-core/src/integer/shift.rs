//! Shifts and rotations by clear and by encrypted amounts.

use serde::{Deserialize, Serialize};

use crate::circuit::{Block, Builder, MAX_NORM2};
use crate::integer::boolean::{any_nonzero, nonzero_sum};
use crate::integer::select::choose;
use crate::integer::word::agree;
use crate::integer::{Form, Word, div_rem};
use crate::torus::BOXES;
use crate::types::{MESSAGE_BITS, MESSAGE_MODULUS, Type};

/// Shift or rotation.
///
/// A shift by the width or more leaves only what it fills with. Rotations take the amount modulo the width.
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
    /// All of them, in the order of their declaration.
    pub const ALL: &'static [Self] = &[Self::Left, Self::Right, Self::RotateLeft, Self::RotateRight];

    /// The name in listings and errors.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Left => "shl",
            Self::Right => "shr",
            Self::RotateLeft => "rotl",
            Self::RotateRight => "rotr",
        }
    }

    fn is_left(self) -> bool {
        matches!(self, Self::Left | Self::RotateLeft)
    }

    fn rotates(self) -> bool {
        matches!(self, Self::RotateLeft | Self::RotateRight)
    }

    /// Whether values of type `ty` are filled with their sign.
    fn extends(self, ty: Type) -> bool {
        self == Self::Right && ty.is_signed()
    }

    /// The digit of n that comes to position `i` when digits move by `distance`; none where the shift fills.
    fn source(self, n: usize, i: usize, distance: usize) -> Option<usize> {
        match self {
            Self::Left => i.checked_sub(distance),
            Self::Right => Some(i + distance).filter(|&source| source < n),
            Self::RotateLeft => Some((i + n - distance % n) % n),
            Self::RotateRight => Some((i + distance) % n),
        }
    }
}

/// `x` shifted by a clear `amount`.
///
/// By an even amount no bootstraps (one for the sign); else one per digit, since a digit has bits of two.
#[must_use]
pub fn shift_clear(b: &mut Builder, op: ShiftOp, x: &Word, amount: u32) -> Word {
    if !agree(b, "shift", &[x]) {
        return Word::constant(x.ty, 0);
    }
    let n = x.blocks.len();
    let width = x.ty.bits();
    let amount = if op.rotates() { amount % width } else { amount.min(width) };
    let distance = (amount / MESSAGE_BITS) as usize;
    let extends = op.extends(x.ty);
    let even = amount.is_multiple_of(MESSAGE_BITS);
    let fill = if distance > 0 { fill(b, op, x) } else { Block::constant(0) };
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

/// The digit that shifts of `x` fill with: 0, or 3 for a negative value that keeps its sign.
fn fill(b: &mut Builder, op: ShiftOp, x: &Word) -> Block {
    if op.extends(x.ty) { b.lookup(&x.top(), sign) } else { Block::constant(0) }
}

/// 3 for the top digit of a negative value, else 0.
fn sign(top: i64) -> i64 {
    if top >= 2 { 3 } else { 0 }
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

/// `x` shifted by an encrypted unsigned `amount`, for a width of 2^w; others see `shift_widened` and
/// `rotate_reduced`.
///
/// * Throughput form: a stage of n bootstraps for each of the w low bits of the amount, w/2 bootstraps for the bits,
///   and one or two to find amounts of 2^w and more: 64 bits by 8 bits 197 (see `shift_by_bits`).
/// * Latency form: a stage of one level for each digit of the amount, into which the test for 2^w and more is folded:
///   64 bits by 8 bits in 3 levels (see `shift_by_digits`).
#[must_use]
pub fn shift(b: &mut Builder, op: ShiftOp, x: &Word, amount: &Word, form: Form) -> Word {
    if !agree(b, "shift", &[x]) || !agree(b, "shift", &[amount]) {
        return Word::constant(x.ty, 0);
    }
    if !x.ty.bits().is_power_of_two() {
        return if op.rotates() {
            rotate_reduced(b, op, x, amount, form)
        } else {
            shift_widened(b, op, x, amount, form)
        };
    }
    shift_stages(b, op, x, amount, form)
}

/// A shift at the next power of two: above the value are zeros or its sign, which is what comes in from there, and what
/// a shift to the left puts there is cut off and not even computed.
fn shift_widened(b: &mut Builder, op: ShiftOp, x: &Word, amount: &Word, form: Form) -> Word {
    let bits = x.ty.bits().next_power_of_two();
    let ty = if x.ty.is_signed() { Type::Int(bits) } else { Type::Uint(bits) };
    let mut blocks = x.blocks.clone();
    blocks.resize(ty.blocks(), fill(b, op, x));
    let mut shifted = shift_stages(b, op, &Word { ty, blocks }, amount, form);
    shifted.blocks.truncate(x.blocks.len());
    Word { ty: x.ty, blocks: shifted.blocks }
}

/// A rotation by the amount modulo the width, in stages for the bits of that.
fn rotate_reduced(b: &mut Builder, op: ShiftOp, x: &Word, amount: &Word, form: Form) -> Word {
    let width = x.ty.bits();
    let reduced =
        if amount.blocks.iter().rev().fold(0u128, |high, digit| (high << 2 | digit.high() as u128).min(1 << 64))
            < u128::from(width)
        {
            amount.clone()
        } else {
            let modulus = Word::constant(amount.ty, width);
            div_rem(b, amount, &modulus, form).1
        };
    shift_stages(b, op, x, &reduced, form)
}

fn shift_stages(b: &mut Builder, op: ShiftOp, x: &Word, amount: &Word, form: Form) -> Word {
    let amount = Amount::new(op, amount, x.ty.bits().next_power_of_two().ilog2());
    if amount.is_surely_over() {
        return shift_clear(b, op, x, x.ty.bits());
    }
    match form {
        Form::Throughput => shift_by_bits(b, op, x, &amount),
        Form::Latency => shift_by_digits(b, op, x, &amount),
    }
}

/// The digits of an amount. There is an overshift if any digit of `above` is not 0, or the top digit of `low` is 2 or
/// more although `half`.
struct Amount {
    /// The digits with the low w bits.
    low: Vec<Block>,
    /// The digits above them; none for a rotation.
    above: Vec<Block>,
    /// Whether w is odd, so that the top digit of `low` has only one of the low w bits.
    half: bool,
    rotates: bool,
}

impl Amount {
    fn new(op: ShiftOp, amount: &Word, width_log: u32) -> Self {
        let digits = width_log.div_ceil(MESSAGE_BITS) as usize;
        let (low, above) = amount.blocks.split_at(digits.min(amount.blocks.len()));
        let above = if op.rotates() { &[] } else { above };
        let half = low.len() as u32 * MESSAGE_BITS > width_log;
        Self { low: low.to_vec(), above: above.to_vec(), half, rotates: op.rotates() }
    }

    fn top(&self) -> Block {
        self.low.last().cloned().unwrap_or_else(|| Block::constant(0))
    }

    fn is_surely_over(&self) -> bool {
        self.above.iter().any(|digit| digit.low() > 0) || (!self.rotates && self.half && self.top().low() >= 2)
    }

    fn is_never_over(&self) -> bool {
        self.above.iter().all(|digit| digit.high() <= 0) && (self.rotates || !self.half || self.top().high() < 2)
    }

    /// The bits of digit `j` that count.
    fn mask(&self, j: usize) -> i64 {
        if self.half && j + 1 == self.low.len() { 1 } else { MESSAGE_MODULUS - 1 }
    }

    /// A block r that is 0 exactly if the digits above are, such that top + 2r fits a lookup. There all of the bits
    /// above the low bit of the top digit are 0 exactly if top + 2r ≤ 1.
    fn rest(&self, b: &mut Builder) -> Block {
        let top = self.top();
        let high = (BOXES as i64 - MESSAGE_MODULUS) / 2;
        nonzero_sum(b, self.above.clone(), high, MAX_NORM2.saturating_sub(top.norm2()).max(4) / 4)
    }

    /// Whether there is an overshift, as a block in 0..=1.
    fn over(&self, b: &mut Builder) -> Block {
        if self.rotates || !self.half {
            return any_nonzero(b, self.above.clone());
        }
        let rest = self.rest(b);
        b.lookup_sum(&[(&self.top(), 1), (&rest, 2)], 0, |form| i64::from(form >= 2))
    }

    /// The low w bits, each of them 1 if there is an overshift, and whether there is one. Bits that are known stay as
    /// they are.
    ///
    /// One bootstrap on 4·over + digit gives two bits. The highest bit is looked up on top + 2r where that makes it
    /// known a level earlier.
    fn saturated_bits(&self, b: &mut Builder) -> (Vec<Block>, Block) {
        let top = self.top();
        let rest = self.rest(b);
        let at_least =
            |b: &mut Builder, bound| b.lookup_sum(&[(&top, 1), (&rest, 2)], 0, |form: i64| i64::from(form >= bound));
        let over = match self.half {
            true if self.rotates => Block::constant(0),
            true => at_least(b, 2),
            false => any_nonzero(b, vec![rest.clone()]),
        };
        let mut bits = Vec::with_capacity(2 * self.low.len());
        for (j, digit) in self.low.iter().enumerate() {
            let is_top = j + 1 == self.low.len();
            for place in 0..if is_top && self.half { 1 } else { 2 } {
                let known = digit.low() >> place == digit.high() >> place;
                bits.push(if known {
                    Block::constant(digit.low() >> place & 1)
                } else if is_top && !self.rotates && self.half {
                    at_least(b, 1)
                } else if is_top && place == 1 && rest != over {
                    at_least(b, 2)
                } else {
                    b.lookup_sum(&[(&over, 4), (digit, 1)], 0, |form| form >> 2 | form >> place & 1)
                });
            }
        }
        (bits, over)
    }
}

/// A stage for each bit of the amount, from the highest to the lowest.
///
/// An overshift sets all bits, which leaves one bit of x, in its last place: for a value that keeps its sign that is
/// what it is filled with, otherwise the last stage clears it. Where bits are known, more is left, and cleared
/// digit by digit after the last stage.
fn shift_by_bits(b: &mut Builder, op: ShiftOp, x: &Word, amount: &Amount) -> Word {
    let n = x.blocks.len();
    let extends = op.extends(x.ty);
    let (bits, over) = amount.saturated_bits(b);
    let distance: u32 = bits.iter().enumerate().map(|(k, bit)| u32::from(bit.high() > 0) << k).sum();
    let left = match over.as_constant() {
        Some(0) => 0,
        // The width is a power of two, since a rotation is never over.
        _ => (x.ty.bits() - distance - u32::from(extends)).div_ceil(MESSAGE_BITS) as usize,
    };
    let in_last_stage = left == 1 && !extends && bits.first().is_some_and(|bit| bit.as_constant().is_none());
    let mut value = x.clone();
    for (k, bit) in bits.iter().enumerate().rev() {
        match bit.as_constant() {
            Some(0) => {}
            Some(_) => value = shift_clear(b, op, &value, 1 << k),
            None => value.blocks = bit_stage(b, op, &value, bit, 1 << k, (k == 0 && in_last_stage).then_some(&over)),
        }
    }
    if left > 0 && !in_last_stage {
        let fill = fill(b, op, x);
        let last = if op.is_left() { n - left..n } else { 0..left };
        value.blocks[last].iter_mut().for_each(|digit| *digit = choose(b, &over, &fill, digit));
    }
    value
}

/// `x` shifted by `amount` if `bit` is 1. With `over`, which is not set unless `bit` is, a stage by 1 clears the digit
/// that moves out.
///
/// One bootstrap per digit gives what stays and what moves, on 2x + bit (8 values, two functions); a result is the
/// sum of the two, of squared norm 2. Shifting by one bit splits digits; what moves are bits of the neighbour.
///
/// * Of the digit that moves out of a stage by 1 only what stays is needed, so there is room for a third value of the
///   control: 3x + bit + over.
/// * A top digit x that keeps the sign becomes y = x or the fill digit, and what moves is m = bit·x, so that the other
///   places are filled with bit·fill = y - x + m, without a third function.
fn bit_stage(b: &mut Builder, op: ShiftOp, x: &Word, bit: &Block, amount: u32, over: Option<&Block>) -> Vec<Block> {
    let n = x.blocks.len();
    let extends = op.extends(x.ty);
    let distance = (amount / MESSAGE_BITS).max(1) as usize;
    let exit = if op.is_left() { n - 1 } else { 0 };
    let stays = move |i: usize, digit: i64| match (amount, op.is_left()) {
        (1, true) => digit << 1 & 3,
        (1, false) if extends && i + 1 == n => digit >> 1 | digit & 2,
        (1, false) => digit >> 1,
        _ if extends && i + 1 == n => sign(digit),
        _ => 0,
    };
    let moves = move |digit: i64| match (amount, op.is_left()) {
        (1, true) => digit >> 1,
        (1, false) => digit << 1 & 3,
        _ => digit,
    };
    let gate = |b: &mut Builder, digit: &Block, f: &dyn Fn(i64, i64) -> i64| {
        b.lookup_sum(&[(digit, 2), (bit, 1)], 0, |form| f(form >> 1, form & 1))
    };
    let kept = |b: &mut Builder, i: usize| match over {
        Some(over) if i == exit => b.lookup_sum(&[(&x.blocks[i], 3), (bit, 1), (over, 1)], 0, |form| match form % 3 {
            0 => form / 3,
            1 => stays(i, form / 3),
            _ => 0,
        }),
        _ => gate(b, &x.blocks[i], &|digit, bit| if bit == 1 { stays(i, digit) } else { digit }),
    };
    let moved = |b: &mut Builder, source: usize| {
        gate(b, &x.blocks[source], &|digit, bit| if bit == 1 { moves(digit) } else { 0 })
    };
    let top = x.top();
    let fill = if !extends || distance < 2 {
        Block::constant(0)
    } else if top.norm2() > 1 {
        gate(b, &top, &|top, bit| if bit == 1 { sign(top) } else { 0 })
    } else {
        (&(&kept(b, n - 1) - &top) + &moved(b, n - 1)).within(0..=MESSAGE_MODULUS - 1)
    };
    let blocks = (0..n).map(|i| {
        let kept = kept(b, i);
        let moved = match op.source(n, i, distance) {
            Some(source) => moved(b, source),
            None if i + 1 == n => return kept,
            None => fill.clone(),
        };
        (&kept + &moved).within(0..=MESSAGE_MODULUS - 1)
    });
    blocks.collect()
}

/// A stage for each digit of the amount, from the lowest to the highest. The last one has the overshift in its
/// control; where only the lowest digit is encrypted, the result is cleared digit by digit instead.
fn shift_by_digits(b: &mut Builder, op: ShiftOp, x: &Word, amount: &Amount) -> Word {
    let may_be_over = !amount.is_never_over();
    let last = amount.low.iter().rposition(|digit| digit.as_constant().is_none()).filter(|&j| j > 0);
    let mut value = x.clone();
    for (j, digit) in amount.low.iter().enumerate() {
        let (mask, weight) = (amount.mask(j), 1 << (j as u32 * MESSAGE_BITS));
        if let Some(digit) = digit.as_constant() {
            value = shift_clear(b, op, &value, (digit & mask) as u32 * weight);
            continue;
        }
        let control = if !may_be_over || Some(j) != last {
            Control::plain(b, digit, mask)
        } else if mask == 1 {
            Control::half_digit(b, amount)
        } else {
            Control::whole_digit(b, digit, amount)
        };
        value.blocks = digit_stage(b, op, &value, &control, weight);
    }
    if may_be_over && last.is_none() {
        let (over, fill) = (amount.over(b), fill(b, op, x));
        value.blocks.iter_mut().for_each(|digit| *digit = choose(b, &over, &fill, digit));
    }
    value
}

/// What the digits of a stage are looked up with.
struct Control {
    /// Decides on what stays in its place.
    stays: Block,
    /// Decides on what moves; as `stays`, but for an overshift.
    moves: Block,
    /// The bits of the two that count.
    mask: i64,
    /// Largest digit of the amount.
    max: i64,
    /// A block, and the value from which on it means an overshift.
    over: Option<(Block, i64)>,
}

impl Control {
    /// A digit of the amount without the overshift.
    fn plain(b: &mut Builder, digit: &Block, mask: i64) -> Self {
        let digit = if digit.norm2() > 1 { b.refresh(digit) } else { digit.clone() };
        Self { stays: digit.clone(), moves: digit, mask, max: mask, over: None }
    }

    /// The low bit of the top digit, or 2 for an overshift: min(top + 2r, 2).
    fn half_digit(b: &mut Builder, amount: &Amount) -> Self {
        let rest = amount.rest(b);
        let control = b.lookup_sum(&[(&amount.top(), 1), (&rest, 2)], 0, |form| form.min(2));
        Self { stays: control.clone(), moves: control.clone(), mask: 3, max: 1, over: Some((control, 2)) }
    }

    /// A digit in 0..=3 leaves no room for a fifth value c = 4 in 4c + x, but for negacyclic tables that are 0 both at
    /// c = 0 and at c = 4: those of what moves. For what stays and for the sign an overshift is a move by 3.
    fn whole_digit(b: &mut Builder, digit: &Block, amount: &Amount) -> Self {
        let over = amount.over(b);
        let mut control =
            |value| b.lookup_sum(&[(&over, 4), (digit, 1)], 0, |form| if form >= 4 { value } else { form });
        Self { stays: control(3), moves: control(4), mask: 7, max: 3, over: Some((over, 1)) }
    }
}

/// `x` shifted by `weight`·digit, for a digit of the amount and its weight, a power of 4; or all of it filled, for an
/// overshift (not with weight 1).
///
/// Each digit of the result is the sum of the digits that may come to it, each looked up on 4·digit + x.
fn digit_stage(b: &mut Builder, op: ShiftOp, x: &Word, control: &Control, weight: u32) -> Vec<Block> {
    let n = x.blocks.len();
    let extends = op.extends(x.ty);
    let Control { stays, moves, mask, max, over } = control;
    let gate = |b: &mut Builder, digit: &Block, x: &Block, f: &dyn Fn(i64, i64) -> i64| {
        b.lookup_sum(&[(digit, 4), (x, 1)], 0, |form| f(form >> 2 & mask, form & 3))
    };
    // The sign, where the digit of the amount is `from` or more.
    let fill = |b: &mut Builder, digit: &Block, from: i64| {
        gate(b, digit, &x.top(), &|at, top| if at >= from { sign(top) } else { 0 })
    };
    let mut result = Vec::with_capacity(n);
    for i in 0..n {
        let mut sum = Block::constant(0);
        if weight == 1 {
            for away in 0..3 {
                let Some(source) = op.source(n, i, away) else { continue };
                let extend = extends && source + 1 == n;
                sum = &sum + &gate(b, stays, &x.blocks[source], &|s, x| spread(op, x, s, away, extend));
            }
        } else {
            let step = (weight / MESSAGE_BITS) as usize;
            let sources = (0..=*max).map_while(|s| Some((s, op.source(n, i, step * s as usize)?)));
            let mut sources_end = 0;
            for (s, source) in sources {
                let digit = if s == 0 { stays } else { moves };
                sum = &sum + &gate(b, digit, &x.blocks[source], &|at, x| if at == s { x } else { 0 });
                sources_end = s + 1;
            }
            if extends && sources_end <= *max {
                sum = &sum + &fill(b, stays, sources_end);
            } else if extends && let Some((over, from)) = over {
                sum = &sum + &fill(b, over, *from);
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
