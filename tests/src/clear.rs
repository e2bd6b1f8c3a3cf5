//! The naive oracle: programs over plain integers, one value at a time.

use fhe_core::Type;
use fhe_core::program::graph::{BinaryOp, CompareOp, Graph, NodeId, Op, ShiftOp};

/// The outputs of `graph` for these inputs, all as the bits of their types.
#[must_use]
pub fn evaluate(graph: &Graph, inputs: &[u64]) -> Vec<u64> {
    let mut values: Vec<u64> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let value = |id: &NodeId| values[*id as usize];
        let ty_of = |id: &NodeId| graph.nodes()[*id as usize].ty;
        let result = match &node.op {
            Op::Input(index) => inputs[*index as usize],
            Op::Constant(bits) => *bits,
            Op::Neg(a) => value(a).wrapping_neg(),
            Op::Not(a) => !value(a),
            Op::Binary(op, a, b) => binary(*op, node.ty, value(a), value(b)),
            Op::Compare(op, a, b) => u64::from(compare(*op, ty_of(a), value(a), value(b))),
            Op::Select { condition, then, otherwise } => value(if value(condition) == 1 { then } else { otherwise }),
            Op::ShiftClear(op, a, amount) => shift(*op, node.ty, value(a), u64::from(*amount)),
            Op::Shift(op, a, amount) => shift(*op, node.ty, value(a), value(amount)),
            Op::Cast(a) => signed(ty_of(a), value(a)) as u64,
            Op::Sum(all) => all.iter().fold(0u64, |sum, id| sum.wrapping_add(value(id))),
            Op::Count(all) => all.iter().map(value).sum(),
            Op::All(all) => u64::from(all.iter().all(|id| value(id) == 1)),
            Op::Any(all) => u64::from(all.iter().any(|id| value(id) == 1)),
        };
        values.push(node.ty.truncate(result));
    }
    graph.outputs().iter().map(|port| values[port.node as usize]).collect()
}

/// The mathematical value of `bits`: sign-extended if the type is signed.
fn signed(ty: Type, bits: u64) -> i128 {
    let value = i128::from(bits);
    if ty.is_signed() && bits >> (ty.bits() - 1) & 1 == 1 { value - (1 << ty.bits()) } else { value }
}

fn binary(op: BinaryOp, ty: Type, a: u64, b: u64) -> u64 {
    match op {
        BinaryOp::Add => a.wrapping_add(b),
        BinaryOp::Sub => a.wrapping_sub(b),
        BinaryOp::Mul => a.wrapping_mul(b),
        BinaryOp::And => a & b,
        BinaryOp::Or => a | b,
        BinaryOp::Xor => a ^ b,
        BinaryOp::Min => signed(ty, a).min(signed(ty, b)) as u64,
        BinaryOp::Max => signed(ty, a).max(signed(ty, b)) as u64,
    }
}

fn compare(op: CompareOp, ty: Type, a: u64, b: u64) -> bool {
    let (a, b) = (signed(ty, a), signed(ty, b));
    match op {
        CompareOp::Eq => a == b,
        CompareOp::Ne => a != b,
        CompareOp::Lt => a < b,
        CompareOp::Le => a <= b,
        CompareOp::Gt => a > b,
        CompareOp::Ge => a >= b,
    }
}

fn shift(op: ShiftOp, ty: Type, a: u64, amount: u64) -> u64 {
    let bits = u64::from(ty.bits());
    // A shift by the width or more leaves only what it fills with; rotations take the amount modulo the width.
    let over = amount >= bits;
    let amount = amount % bits;
    let rotate_left = |amount: u64| (u128::from(a) << amount | u128::from(a) >> ((bits - amount) % bits)) as u64;
    match op {
        ShiftOp::Left if over => 0,
        ShiftOp::Right if over => (signed(ty, a) >> bits) as u64,
        ShiftOp::Left => a << amount,
        ShiftOp::Right => (signed(ty, a) >> amount) as u64,
        ShiftOp::RotateLeft => rotate_left(amount),
        ShiftOp::RotateRight => rotate_left((bits - amount) % bits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oracle_agrees_with_rust() {
        let ty = Type::Int(8);
        assert_eq!(shift(ShiftOp::Right, ty, 0x90, 2) as u8, (0x90u8 as i8 >> 2) as u8);
        assert_eq!(shift(ShiftOp::Right, ty, 0x90, 8) as u8, 0xff);
        assert_eq!(shift(ShiftOp::Left, Type::Uint(64), 1, 64), 0);
        assert_eq!(shift(ShiftOp::Right, Type::Uint(64), u64::MAX, 200), 0);
        assert_eq!(shift(ShiftOp::RotateLeft, Type::Uint(16), 0xa001, 3) as u16, 0xa001u16.rotate_left(3));
        assert_eq!(shift(ShiftOp::RotateRight, Type::Uint(64), 0xa001, 64), 0xa001);
        assert_eq!(binary(BinaryOp::Min, ty, 0xff, 1) as u8, 0xff);
        assert!(compare(CompareOp::Lt, ty, 0x80, 0x7f));
        assert!(!compare(CompareOp::Lt, Type::Uint(8), 0x80, 0x7f));
    }
}
