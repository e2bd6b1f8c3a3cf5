//! Every operation against plain integers, and the table of its costs.

mod costs;
mod exhaustive;
mod many;
mod wide;

use crate::circuit::Builder;
use crate::integer::testing::{Circuit, cost};
use crate::integer::{self as ops, Form, ShiftOp, Word};
use crate::types::Type;

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
    ty.truncate(bits as u64)
}

macro_rules! binary {
    ($name:expr, $build:expr, $clear:expr) => {
        Binary { name: $name, build: $build, clear: $clear }
    };
}

/// All operations on two operands of one type.
fn binaries() -> Vec<Binary> {
    vec![
        binary!("add", ops::add, |ty, x, y| ty.truncate(x.wrapping_add(y))),
        binary!("sub", ops::sub, |ty, x, y| ty.truncate(x.wrapping_sub(y))),
        binary!("mul", ops::mul, |ty, x, y| ty.truncate(x.wrapping_mul(y))),
        binary!("and", |b, x, y, _| ops::and(b, x, y), |_, x, y| x & y),
        binary!("or", |b, x, y, _| ops::or(b, x, y), |_, x, y| x | y),
        binary!("xor", |b, x, y, _| ops::xor(b, x, y), |_, x, y| x ^ y),
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
    let mut values: Vec<u64> = values.into_iter().map(|value| ty.truncate(value)).collect();
    values.sort_unstable();
    values.dedup();
    values
}
