//! Every operation as a program of its own, for counting, testing and measuring.

use std::sync::LazyLock;

use fhe_core::program::graph::{
    BinaryOp, BitCountOp, CompareOp, ExtremumOp, FindOp, Graph, NodeId, Op, OverflowOp, ShiftOp, TestOp, UnaryOp,
};
use fhe_core::program::{OutputNoise, ProgramOptions};
use fhe_core::{Bits, Program, Result, Type};

/// The widths that operations are counted at.
pub const WIDTHS: [u32; 6] = [8, 16, 32, 64, 128, 256];

/// One operation of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Name in reports.
    pub name: &'static str,
    /// What the documentation lists it under.
    pub family: &'static str,
    /// Adds the operation and its inputs for one type; returns the results.
    build: fn(&mut Graph, Type) -> Result<Vec<NodeId>>,
}

impl Operation {
    /// The operation of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        OPERATIONS.iter().find(|operation| operation.name == name)
    }

    /// The operation and its inputs, on operands of type `ty`.
    ///
    /// # Errors
    /// The operation does not take that type.
    pub fn graph(&self, ty: Type) -> Result<Graph> {
        let mut graph = Graph::default();
        for (index, node) in (self.build)(&mut graph, ty)?.into_iter().enumerate() {
            graph.push_output(&format!("result{index}"), node)?;
        }
        Ok(graph)
    }

    /// The operation alone as a program, on operands of type `ty`.
    ///
    /// Outputs are left as computed: what is counted is the operation inside a program, without refreshing its results
    /// for the world outside.
    ///
    /// # Errors
    /// The operation does not take that type.
    pub fn program(&self, ty: Type) -> Result<Program> {
        Program::from_graph(self.graph(ty)?, ProgramOptions { output_noise: OutputNoise::AsComputed })
    }
}

/// A clear value without digits 0 of width `ty`, so that nothing of a scalar operation folds away by luck.
fn mixed_digits(ty: Type) -> Bits {
    const LIMB: u64 = 0x5b6d_a79e_6d9b_5e79;
    ty.truncate(Bits::from_limbs([LIMB; 4]))
}

fn two(g: &mut Graph, ty: Type) -> Result<(NodeId, NodeId)> {
    Ok((g.push_input("a", ty)?, g.push_input("b", ty)?))
}

fn array(g: &mut Graph, ty: Type, length: usize) -> Result<Vec<NodeId>> {
    (0..length).map(|index| g.push_input(&format!("x[{index}]"), ty)).collect()
}

fn unary(g: &mut Graph, ty: Type, op: UnaryOp) -> Result<Vec<NodeId>> {
    let a = g.push_input("a", ty)?;
    Ok(vec![g.push(Op::Unary(op, a), ty)?])
}

fn test(g: &mut Graph, ty: Type, op: TestOp) -> Result<Vec<NodeId>> {
    let a = g.push_input("a", ty)?;
    Ok(vec![g.push(Op::Test(op, a), Type::Bool)?])
}

fn bit_count(g: &mut Graph, ty: Type, op: BitCountOp) -> Result<Vec<NodeId>> {
    let a = g.push_input("a", ty)?;
    Ok(vec![g.push(Op::BitCount(op, a), Type::Uint(32))?])
}

fn binary(g: &mut Graph, ty: Type, ops: &[BinaryOp]) -> Result<Vec<NodeId>> {
    let (a, b) = two(g, ty)?;
    ops.iter().map(|&op| g.push(Op::Binary(op, a, b), ty)).collect()
}

fn binary_clear(g: &mut Graph, ty: Type, ops: &[BinaryOp], value: Bits) -> Result<Vec<NodeId>> {
    let a = g.push_input("a", ty)?;
    let b = g.push(Op::Constant(ty.truncate(value)), ty)?;
    ops.iter().map(|&op| g.push(Op::Binary(op, a, b), ty)).collect()
}

fn scalar(g: &mut Graph, ty: Type, op: BinaryOp) -> Result<Vec<NodeId>> {
    binary_clear(g, ty, &[op], mixed_digits(ty))
}

fn compare(g: &mut Graph, ty: Type, op: CompareOp) -> Result<Vec<NodeId>> {
    let (a, b) = two(g, ty)?;
    Ok(vec![g.push(Op::Compare(op, a, b), Type::Bool)?])
}

fn compare_clear(g: &mut Graph, ty: Type, op: CompareOp) -> Result<Vec<NodeId>> {
    let a = g.push_input("a", ty)?;
    let b = g.push(Op::Constant(mixed_digits(ty)), ty)?;
    Ok(vec![g.push(Op::Compare(op, a, b), Type::Bool)?])
}

fn overflowing(g: &mut Graph, ty: Type, op: BinaryOp, overflow: OverflowOp) -> Result<Vec<NodeId>> {
    let (a, b) = two(g, ty)?;
    Ok(vec![g.push(Op::Binary(op, a, b), ty)?, g.push(Op::Overflows(overflow, a, b), Type::Bool)?])
}

fn overflowing_clear(g: &mut Graph, ty: Type, op: BinaryOp, overflow: OverflowOp) -> Result<Vec<NodeId>> {
    let a = g.push_input("a", ty)?;
    let b = g.push(Op::Constant(mixed_digits(ty)), ty)?;
    Ok(vec![g.push(Op::Binary(op, a, b), ty)?, g.push(Op::Overflows(overflow, a, b), Type::Bool)?])
}

fn shift(g: &mut Graph, ty: Type, op: ShiftOp) -> Result<Vec<NodeId>> {
    let (a, amount) = (g.push_input("a", ty)?, g.push_input("amount", Type::Uint(8))?);
    Ok(vec![g.push(Op::Shift(op, a, amount), ty)?])
}

fn shift_clear(g: &mut Graph, ty: Type, op: ShiftOp) -> Result<Vec<NodeId>> {
    let a = g.push_input("a", ty)?;
    Ok(vec![g.push(Op::ShiftClear(op, a, 3), ty)?])
}

fn extremum(g: &mut Graph, ty: Type, op: ExtremumOp) -> Result<Vec<NodeId>> {
    let elements = array(g, ty, 8)?;
    let result = if op.is_index() { Type::Uint(8) } else { ty };
    Ok(vec![g.push(Op::Extremum(op, elements), result)?])
}

fn find(g: &mut Graph, ty: Type, op: FindOp) -> Result<Vec<NodeId>> {
    let (elements, value) = (array(g, ty, 8)?, g.push_input("value", ty)?);
    let result = if op == FindOp::Contains { Type::Bool } else { Type::Uint(8) };
    Ok(vec![g.push(Op::Find(op, elements, value), result)?])
}

fn cast(g: &mut Graph, ty: Type, target: Type) -> Result<Vec<NodeId>> {
    let a = g.push_input("a", ty)?;
    Ok(vec![g.push(Op::Cast(a), target)?])
}

/// Entries without a pattern.
fn entries(count: usize, ty: Type) -> Vec<Bits> {
    (0..count as u64).map(|x| ty.truncate(Bits::from(x.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7))).collect()
}

/// Cases for values of `ty`: ten, or as many as there are.
fn cases(ty: Type, output: Type) -> Vec<(Bits, Bits)> {
    let count = if ty.bits() < 4 { 1 << ty.bits() } else { 10 };
    let inputs = (0..count as u64).map(|x| ty.truncate(Bits::from(if ty.bits() < 8 { x } else { x * x * 3 })));
    inputs.zip(entries(count, output)).collect()
}

macro_rules! operations {
    ($($family:literal { $($name:literal => $build:expr;)* })*) => {
        vec![$($(Operation { name: $name, family: $family, build: $build },)*)*]
    };
}

/// All operations, in the order of the reports.
pub static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    operations! {
        "arithmetic" {
            "add" => |g, ty| binary(g, ty, &[BinaryOp::Add]);
            "add_scalar" => |g, ty| scalar(g, ty, BinaryOp::Add);
            "sub" => |g, ty| binary(g, ty, &[BinaryOp::Sub]);
            "sub_scalar" => |g, ty| scalar(g, ty, BinaryOp::Sub);
            "neg" => |g, ty| unary(g, ty, UnaryOp::Neg);
            "mul" => |g, ty| binary(g, ty, &[BinaryOp::Mul]);
            "mul_scalar" => |g, ty| scalar(g, ty, BinaryOp::Mul);
            "mul_scalar_17" => |g, ty| binary_clear(g, ty, &[BinaryOp::Mul], Bits::from(17));
            "square" => |g, ty| {
                let a = g.push_input("a", ty)?;
                Ok(vec![g.push(Op::Binary(BinaryOp::Mul, a, a), ty)?])
            };
            "abs" => |g, ty| unary(g, ty, UnaryOp::Abs);
            "signum" => |g, ty| unary(g, ty, UnaryOp::Signum);
            "is_negative" => |g, ty| test(g, ty, TestOp::IsNegative);
        }
        "division" {
            "div_rem" => |g, ty| binary(g, ty, &[BinaryOp::Div, BinaryOp::Rem]);
            "div" => |g, ty| binary(g, ty, &[BinaryOp::Div]);
            "rem" => |g, ty| binary(g, ty, &[BinaryOp::Rem]);
            "div_rem_scalar" => |g, ty| binary_clear(g, ty, &[BinaryOp::Div, BinaryOp::Rem], mixed_digits(ty));
            "div_scalar_17" => |g, ty| binary_clear(g, ty, &[BinaryOp::Div], Bits::from(17));
            "rem_scalar_17" => |g, ty| binary_clear(g, ty, &[BinaryOp::Rem], Bits::from(17));
            "isqrt" => |g, ty| unary(g, ty, UnaryOp::Sqrt);
        }
        "overflow" {
            "overflowing_add" => |g, ty| overflowing(g, ty, BinaryOp::Add, OverflowOp::Add);
            "overflowing_sub" => |g, ty| overflowing(g, ty, BinaryOp::Sub, OverflowOp::Sub);
            "overflowing_mul" => |g, ty| overflowing(g, ty, BinaryOp::Mul, OverflowOp::Mul);
            "overflowing_add_scalar" => |g, ty| overflowing_clear(g, ty, BinaryOp::Add, OverflowOp::Add);
            "overflowing_sub_scalar" => |g, ty| overflowing_clear(g, ty, BinaryOp::Sub, OverflowOp::Sub);
            "overflowing_mul_scalar" => |g, ty| overflowing_clear(g, ty, BinaryOp::Mul, OverflowOp::Mul);
            "overflowing_neg" => |g, ty| {
                let a = g.push_input("a", ty)?;
                let value = g.push(Op::Unary(UnaryOp::Neg, a), ty)?;
                Ok(vec![value, g.push(Op::Test(TestOp::NegOverflows, a), Type::Bool)?])
            };
            "saturating_add" => |g, ty| binary(g, ty, &[BinaryOp::SaturatingAdd]);
            "saturating_sub" => |g, ty| binary(g, ty, &[BinaryOp::SaturatingSub]);
            "saturating_mul" => |g, ty| binary(g, ty, &[BinaryOp::SaturatingMul]);
            "saturating_neg" => |g, ty| unary(g, ty, UnaryOp::SaturatingNeg);
            "saturating_add_scalar" => |g, ty| scalar(g, ty, BinaryOp::SaturatingAdd);
            "saturating_sub_scalar" => |g, ty| scalar(g, ty, BinaryOp::SaturatingSub);
        }
        "bitwise" {
            "and" => |g, ty| binary(g, ty, &[BinaryOp::And]);
            "or" => |g, ty| binary(g, ty, &[BinaryOp::Or]);
            "xor" => |g, ty| binary(g, ty, &[BinaryOp::Xor]);
            "and_scalar" => |g, ty| scalar(g, ty, BinaryOp::And);
            "or_scalar" => |g, ty| scalar(g, ty, BinaryOp::Or);
            "xor_scalar" => |g, ty| scalar(g, ty, BinaryOp::Xor);
            "not" => |g, ty| unary(g, ty, UnaryOp::Not);
        }
        "bits" {
            "reverse_bits" => |g, ty| unary(g, ty, UnaryOp::ReverseBits);
            "swap_bytes" => |g, ty| unary(g, ty, UnaryOp::SwapBytes);
            "is_even" => |g, ty| test(g, ty, TestOp::IsEven);
            "is_odd" => |g, ty| test(g, ty, TestOp::IsOdd);
            "parity" => |g, ty| test(g, ty, TestOp::Parity);
            "leading_zeros" => |g, ty| bit_count(g, ty, BitCountOp::LeadingZeros);
            "leading_ones" => |g, ty| bit_count(g, ty, BitCountOp::LeadingOnes);
            "trailing_zeros" => |g, ty| bit_count(g, ty, BitCountOp::TrailingZeros);
            "trailing_ones" => |g, ty| bit_count(g, ty, BitCountOp::TrailingOnes);
            "count_ones" => |g, ty| bit_count(g, ty, BitCountOp::CountOnes);
            "count_zeros" => |g, ty| bit_count(g, ty, BitCountOp::CountZeros);
            "ilog2" => |g, ty| bit_count(g, ty, BitCountOp::Ilog2);
            "bit_clear" => |g, ty| {
                let a = g.push_input("a", ty)?;
                Ok(vec![g.push(Op::BitClear(a, 1), Type::Bool)?])
            };
            "bit" => |g, ty| {
                let (a, index) = (g.push_input("a", ty)?, g.push_input("index", Type::Uint(8))?);
                Ok(vec![g.push(Op::Bit(a, index), Type::Bool)?])
            };
            "set_bit_clear" => |g, ty| {
                let (value, bit) = (g.push_input("a", ty)?, g.push_input("bit", Type::Bool)?);
                Ok(vec![g.push(Op::SetBitClear { value, index: 1, bit }, ty)?])
            };
            "set_bit" => |g, ty| {
                let (value, bit) = (g.push_input("a", ty)?, g.push_input("bit", Type::Bool)?);
                let index = g.push_input("index", Type::Uint(8))?;
                Ok(vec![g.push(Op::SetBit { value, index, bit }, ty)?])
            };
        }
        "shifts" {
            "shl_clear_3" => |g, ty| shift_clear(g, ty, ShiftOp::Left);
            "shr_clear_3" => |g, ty| shift_clear(g, ty, ShiftOp::Right);
            "rotl_clear_3" => |g, ty| shift_clear(g, ty, ShiftOp::RotateLeft);
            "rotr_clear_3" => |g, ty| shift_clear(g, ty, ShiftOp::RotateRight);
            "shl" => |g, ty| shift(g, ty, ShiftOp::Left);
            "shr" => |g, ty| shift(g, ty, ShiftOp::Right);
            "rotl" => |g, ty| shift(g, ty, ShiftOp::RotateLeft);
            "rotr" => |g, ty| shift(g, ty, ShiftOp::RotateRight);
        }
        "comparison" {
            "eq" => |g, ty| compare(g, ty, CompareOp::Eq);
            "ne" => |g, ty| compare(g, ty, CompareOp::Ne);
            "lt" => |g, ty| compare(g, ty, CompareOp::Lt);
            "le" => |g, ty| compare(g, ty, CompareOp::Le);
            "gt" => |g, ty| compare(g, ty, CompareOp::Gt);
            "ge" => |g, ty| compare(g, ty, CompareOp::Ge);
            "eq_scalar" => |g, ty| compare_clear(g, ty, CompareOp::Eq);
            "ne_scalar" => |g, ty| compare_clear(g, ty, CompareOp::Ne);
            "lt_scalar" => |g, ty| compare_clear(g, ty, CompareOp::Lt);
            "le_scalar" => |g, ty| compare_clear(g, ty, CompareOp::Le);
            "gt_scalar" => |g, ty| compare_clear(g, ty, CompareOp::Gt);
            "ge_scalar" => |g, ty| compare_clear(g, ty, CompareOp::Ge);
            "min" => |g, ty| binary(g, ty, &[BinaryOp::Min]);
            "max" => |g, ty| binary(g, ty, &[BinaryOp::Max]);
            "min_scalar" => |g, ty| scalar(g, ty, BinaryOp::Min);
            "max_scalar" => |g, ty| scalar(g, ty, BinaryOp::Max);
        }
        "choice" {
            "select" => |g, ty| {
                let condition = g.push_input("condition", Type::Bool)?;
                let (then, otherwise) = two(g, ty)?;
                Ok(vec![g.push(Op::Select { condition, then, otherwise }, ty)?])
            };
            "match_or" => |g, ty| {
                let value = g.push_input("a", ty)?;
                let output = Type::Uint(8);
                Ok(vec![g.push(Op::Match { value, cases: cases(ty, output), default: Bits::from(7) }, output)?])
            };
            "match_value" => |g, ty| {
                let value = g.push_input("a", ty)?;
                let cases = cases(ty, ty);
                let result = g.push(Op::Match { value, cases: cases.clone(), default: Bits::ZERO }, ty)?;
                Ok(vec![result, g.push(Op::Matches { value, cases }, Type::Bool)?])
            };
            "table" => |g, ty| {
                let value = g.push_input("a", ty)?;
                let count = 1usize.checked_shl(ty.bits()).filter(|&count| count <= 256).unwrap_or(0);
                Ok(vec![g.push(Op::Table { value, entries: entries(count, Type::Uint(8)) }, Type::Uint(8))?])
            };
            "cast_bool" => |g, ty| cast(g, ty, Type::Bool);
            "cast_u8" => |g, ty| cast(g, ty, Type::Uint(8));
            "cast_i24" => |g, ty| cast(g, ty, Type::Int(24));
            "cast_u64" => |g, ty| cast(g, ty, Type::Uint(64));
            "cast_i256" => |g, ty| cast(g, ty, Type::Int(256));
        }
        "arrays" {
            "sum_of_8" => |g, ty| {
                let elements = array(g, ty, 8)?;
                Ok(vec![g.push(Op::Sum(elements), ty)?])
            };
            "dot_of_8" => |g, ty| {
                let values = array(g, ty, 8)?;
                Ok(vec![g.push(Op::Dot { values, weights: entries(8, ty) }, ty)?])
            };
            "count_of_30" => |g, ty| {
                let flags = array(g, Type::Bool, 30)?;
                Ok(vec![g.push(Op::Count(flags), Type::Uint(ty.bits()))?])
            };
            "all_of_30" => |g, ty| {
                let flags = array(g, Type::Bool, 30)?;
                let _ = ty;
                Ok(vec![g.push(Op::All(flags), Type::Bool)?])
            };
            "any_of_30" => |g, ty| {
                let flags = array(g, Type::Bool, 30)?;
                let _ = ty;
                Ok(vec![g.push(Op::Any(flags), Type::Bool)?])
            };
            "minimum_of_8" => |g, ty| extremum(g, ty, ExtremumOp::Minimum);
            "maximum_of_8" => |g, ty| extremum(g, ty, ExtremumOp::Maximum);
            "arg_minimum_of_8" => |g, ty| extremum(g, ty, ExtremumOp::ArgMinimum);
            "arg_maximum_of_8" => |g, ty| extremum(g, ty, ExtremumOp::ArgMaximum);
            "sort_8" => |g, ty| {
                let elements = array(g, ty, 8)?;
                (0..8).map(|rank| g.push(Op::Sorted { elements: elements.clone(), rank }, ty)).collect()
            };
            "index_of_10" => |g, ty| {
                let (elements, index) = (array(g, ty, 10)?, g.push_input("index", Type::Uint(4))?);
                Ok(vec![g.push(Op::Index { elements, index }, ty)?])
            };
            "write_to_10" => |g, ty| {
                let (elements, index) = (array(g, ty, 10)?, g.push_input("index", Type::Uint(4))?);
                let value = g.push_input("value", ty)?;
                let written = |at| Op::Written { elements: elements.clone(), index, value, at };
                (0..10).map(|at| g.push(written(at), ty)).collect()
            };
            "contains_of_8" => |g, ty| find(g, ty, FindOp::Contains);
            "count_equal_of_8" => |g, ty| find(g, ty, FindOp::CountEqual);
            "position_of_8" => |g, ty| find(g, ty, FindOp::Position);
        }
        "programs" {
            "transfer" => |g, ty| {
                let (from, to) = (g.push_input("from", ty)?, g.push_input("to", ty)?);
                let amount = g.push_input("amount", ty)?;
                let condition = g.push(Op::Compare(CompareOp::Ge, from, amount), Type::Bool)?;
                let otherwise = g.push(Op::Constant(Bits::ZERO), ty)?;
                let moved = g.push(Op::Select { condition, then: amount, otherwise }, ty)?;
                let sent = g.push(Op::Binary(BinaryOp::Sub, from, moved), ty)?;
                let received = g.push(Op::Binary(BinaryOp::Add, to, moved), ty)?;
                Ok(vec![sent, received])
            };
            "transfer_2_selects" => |g, ty| {
                let (from, to) = (g.push_input("from", ty)?, g.push_input("to", ty)?);
                let amount = g.push_input("amount", ty)?;
                let condition = g.push(Op::Compare(CompareOp::Ge, from, amount), Type::Bool)?;
                let sent = g.push(Op::Binary(BinaryOp::Sub, from, amount), ty)?;
                let received = g.push(Op::Binary(BinaryOp::Add, to, amount), ty)?;
                let from = g.push(Op::Select { condition, then: sent, otherwise: from }, ty)?;
                let to = g.push(Op::Select { condition, then: received, otherwise: to }, ty)?;
                Ok(vec![from, to])
            };
        }
    }
});

#[cfg(test)]
mod tests {
    use super::*;

    /// A slip in a constructor would otherwise only leave its operation out.
    #[test]
    fn types_without_an_operation_are_known() {
        let signed = ["signum", "is_negative"];
        let unsigned = ["isqrt"];
        for bits in (2..=256).step_by(2) {
            for ty in [Type::Uint(bits), Type::Int(bits)] {
                for operation in OPERATIONS.iter() {
                    let name = operation.name;
                    let refused = (signed.contains(&name) && !ty.is_signed())
                        || (unsigned.contains(&name) && ty.is_signed())
                        || (name == "table" && bits > 8)
                        || (name == "swap_bytes" && bits % 8 != 0)
                        || (["shl_clear_3", "shr_clear_3"].contains(&name) && bits <= 3);
                    assert_eq!(operation.graph(ty).is_err(), refused, "{name} {ty}");
                }
            }
        }
    }
}
