//! Every operation against plain integers, and the table of its costs.

mod array;
mod costs;
mod exhaustive;
mod many;
mod table;
mod wide;

use crate::circuit::Builder;
use crate::integer::testing::{Circuit, cost};
use crate::integer::{self as ops, Form, ShiftOp, Word};
use crate::types::{Bits, Type};

const FORMS: [Form; 2] = [Form::Throughput, Form::Latency];

/// An operation on two words, with its meaning on bits.
struct Binary {
    name: &'static str,
    build: fn(&mut Builder, &Word, &Word, Form) -> Word,
    clear: fn(Type, u64, u64) -> u64,
}

/// The value of `bits` as a number, so that comparisons are those of the type.
fn number(ty: Type, bits: u64) -> i128 {
    if ty.is_signed() && bits >> (ty.bits() - 1) & 1 == 1 {
        i128::from(bits) - (1 << ty.bits())
    } else {
        i128::from(bits)
    }
}

/// Shifts by the width or more leave nothing, or the sign; rotations take the amount modulo the width.
fn clear_shift(op: ShiftOp, ty: Type, x: u64, amount: u64) -> u64 {
    let width = ty.bits();
    let over = amount >= u64::from(width);
    let amount = (amount % u64::from(width)) as u32;
    let bits = match op {
        ShiftOp::Left if over => 0,
        ShiftOp::Right if over => (number(ty, x) >> width) as u128,
        ShiftOp::Left => u128::from(x) << amount,
        ShiftOp::Right => (number(ty, x) >> amount) as u128,
        ShiftOp::RotateLeft => u128::from(x) << amount | u128::from(x) >> (width - amount),
        ShiftOp::RotateRight => u128::from(x) >> amount | u128::from(x) << (width - amount),
    };
    cut(ty, bits as u64)
}

/// Truncated; by zero the quotient has all bits set, or is 1 for a negative dividend, and the remainder is the dividend.
fn div_rem(ty: Type, x: u64, y: u64) -> (u64, u64) {
    let (dividend, divisor) = (number(ty, x), number(ty, y));
    if divisor == 0 {
        return (if dividend < 0 { 1 } else { cut(ty, u64::MAX) }, x);
    }
    (cut(ty, (dividend / divisor) as u64), cut(ty, (dividend % divisor) as u64))
}

/// The exact product of 64-bit values does not always fit 128 bits with a sign, so large ones are cut to the largest.
fn product(ty: Type, x: u64, y: u64) -> i128 {
    number(ty, x).checked_mul(number(ty, y)).unwrap_or(i128::MAX)
}

/// The nearest value of the type.
fn saturated(ty: Type, exact: i128) -> u64 {
    let magnitude = 1i128 << (ty.bits() - u32::from(ty.is_signed()));
    let lowest = if ty.is_signed() { -magnitude } else { 0 };
    cut(ty, exact.clamp(lowest, magnitude - 1) as u64)
}

fn overflows(ty: Type, exact: i128) -> u64 {
    u64::from(exact != number(ty, saturated(ty, exact)))
}

macro_rules! binary {
    ($name:expr, $build:expr, $clear:expr) => {
        Binary { name: $name, build: $build, clear: $clear }
    };
}

/// All operations on two operands of one type.
fn binaries() -> Vec<Binary> {
    vec![
        binary!("add", ops::add, |ty, x, y| cut(ty, x.wrapping_add(y))),
        binary!("sub", ops::sub, |ty, x, y| cut(ty, x.wrapping_sub(y))),
        binary!("mul", ops::mul, |ty, x, y| cut(ty, x.wrapping_mul(y))),
        binary!("and", |b, x, y, _| ops::and(b, x, y), |_, x, y| x & y),
        binary!("or", |b, x, y, _| ops::or(b, x, y), |_, x, y| x | y),
        binary!("xor", |b, x, y, _| ops::xor(b, x, y), |_, x, y| x ^ y),
        binary!("div", |b, x, y, form| ops::div_rem(b, x, y, form).0, |ty, x, y| div_rem(ty, x, y).0),
        binary!("rem", |b, x, y, form| ops::div_rem(b, x, y, form).1, |ty, x, y| div_rem(ty, x, y).1),
        binary!("saturating_add", ops::saturating_add, |ty, x, y| saturated(ty, number(ty, x) + number(ty, y))),
        binary!("saturating_sub", ops::saturating_sub, |ty, x, y| saturated(ty, number(ty, x) - number(ty, y))),
        binary!("saturating_mul", ops::saturating_mul, |ty, x, y| saturated(ty, product(ty, x, y))),
        binary!("add_overflows", |b, x, y, form| ops::overflowing_add(b, x, y, form).1, |ty, x, y| {
            overflows(ty, number(ty, x) + number(ty, y))
        }),
        binary!("sub_overflows", |b, x, y, form| ops::overflowing_sub(b, x, y, form).1, |ty, x, y| {
            overflows(ty, number(ty, x) - number(ty, y))
        }),
        binary!("mul_overflows", |b, x, y, form| ops::overflowing_mul(b, x, y, form).1, |ty, x, y| {
            overflows(ty, product(ty, x, y))
        }),
        binary!("overflowing_add", |b, x, y, form| ops::overflowing_add(b, x, y, form).0, |ty, x, y| {
            cut(ty, x.wrapping_add(y))
        }),
        binary!("overflowing_sub", |b, x, y, form| ops::overflowing_sub(b, x, y, form).0, |ty, x, y| {
            cut(ty, x.wrapping_sub(y))
        }),
        binary!("overflowing_mul", |b, x, y, form| ops::overflowing_mul(b, x, y, form).0, |ty, x, y| {
            cut(ty, x.wrapping_mul(y))
        }),
        binary!("min", ops::min, |ty, x, y| if number(ty, x) < number(ty, y) { x } else { y }),
        binary!("max", ops::max, |ty, x, y| if number(ty, x) > number(ty, y) { x } else { y }),
        binary!("eq", |b, x, y, _| ops::eq(b, x, y), |_, x, y| u64::from(x == y)),
        binary!("ne", |b, x, y, _| ops::ne(b, x, y), |_, x, y| u64::from(x != y)),
        binary!("lt", ops::lt, |ty, x, y| u64::from(number(ty, x) < number(ty, y))),
        binary!("le", ops::le, |ty, x, y| u64::from(number(ty, x) <= number(ty, y))),
        binary!("gt", ops::gt, |ty, x, y| u64::from(number(ty, x) > number(ty, y))),
        binary!("ge", ops::ge, |ty, x, y| u64::from(number(ty, x) >= number(ty, y))),
    ]
}

/// The shifts; the amount has the unsigned type of the same width.
fn shifts() -> Vec<Binary> {
    vec![
        binary!("shl", |b, x, y, form| ops::shift(b, ShiftOp::Left, x, y, form), |ty, x, y| {
            clear_shift(ShiftOp::Left, ty, x, y)
        }),
        binary!("shr", |b, x, y, form| ops::shift(b, ShiftOp::Right, x, y, form), |ty, x, y| {
            clear_shift(ShiftOp::Right, ty, x, y)
        }),
        binary!("rotl", |b, x, y, form| ops::shift(b, ShiftOp::RotateLeft, x, y, form), |ty, x, y| {
            clear_shift(ShiftOp::RotateLeft, ty, x, y)
        }),
        binary!("rotr", |b, x, y, form| ops::shift(b, ShiftOp::RotateRight, x, y, form), |ty, x, y| {
            clear_shift(ShiftOp::RotateRight, ty, x, y)
        }),
    ]
}

/// All operations with the type of their second operand.
fn all_binaries(ty: Type) -> impl Iterator<Item = (Binary, Type)> {
    let amount = Type::Uint(ty.bits());
    binaries().into_iter().map(move |op| (op, ty)).chain(shifts().into_iter().map(move |op| (op, amount)))
}

/// A circuit that is known to have no errors.
fn circuit(build: impl FnOnce(&mut Builder) -> Word, name: &str) -> Circuit {
    let mut b = Builder::new();
    b.begin(name);
    let output = build(&mut b);
    b.check().unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(output.blocks.len(), output.ty.blocks(), "{name}");
    for block in &output.blocks {
        assert!(block.low() >= 0 && block.high() <= output.ty.block_max(), "{name}: a digit in {:?}", block.range());
        assert!(block.norm2() <= 12, "{name}: a digit of squared norm {}", block.norm2());
    }
    Circuit::new(&b, &[&output])
}

fn cost_of(build: impl FnOnce(&mut Builder) -> Vec<Word>) -> (usize, usize) {
    let mut b = Builder::new();
    let outputs = build(&mut b);
    b.check().unwrap();
    cost(&b, &outputs.iter().collect::<Vec<_>>())
}

/// Clear values as their bits.
fn bits_of(values: &[u64]) -> Vec<Bits> {
    values.iter().map(|&value| Bits::from(value)).collect()
}

/// The low bits of `value` that `ty` has; the interpreter takes 64 bits at most.
fn cut(ty: Type, value: u64) -> u64 {
    if ty.bits() >= 64 { value } else { value & ((1 << ty.bits()) - 1) }
}

/// `SplitMix64`: reproducible numbers without a dependency.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// Values of `ty` where carries and signs turn: 0, 1, extremes, powers of two and their neighbours, digit patterns.
fn edges(ty: Type) -> Vec<u64> {
    let mut values: Vec<u64> = (0..ty.bits()).flat_map(|i| [1u64 << i, (1 << i) - 1, !(1 << i)]).collect();
    values.extend([
        0,
        2,
        3,
        u64::MAX,
        u64::MAX - 1,
        0x5555_5555_5555_5555,
        0xaaaa_aaaa_aaaa_aaaa,
        0x9c9c_3c3c_1b1b_e4e4,
    ]);
    let mut values: Vec<u64> = values.into_iter().map(|value| cut(ty, value)).collect();
    values.sort_unstable();
    values.dedup();
    values
}
