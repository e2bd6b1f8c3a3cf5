//! Every operation as a one-operation program, for counting and measuring.

use fhe_core::program::graph::{BinaryOp, CompareOp, Graph, NodeId, Op, ShiftOp};
use fhe_core::program::{OutputNoise, ProgramOptions};
use fhe_core::{Program, Result, Type};

/// The widths that operations are counted at.
pub const WIDTHS: [u32; 4] = [8, 16, 32, 64];

/// One operation of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Name in reports.
    pub name: &'static str,
    /// Adds the operation and its inputs for one type; returns the results.
    build: fn(&mut Graph, Type) -> Result<Vec<NodeId>>,
}

impl Operation {
    /// The operation alone as a program, on operands of that many bits.
    ///
    /// Outputs are left as computed: what is counted is the operation inside a program, without refreshing its results
    /// for the world outside.
    ///
    /// # Errors
    /// An unsupported width, or a broken bound: neither for the widths of [`WIDTHS`].
    pub fn program(&self, ty: Type) -> Result<Program> {
        let mut graph = Graph::default();
        for (index, node) in (self.build)(&mut graph, ty)?.into_iter().enumerate() {
            graph.push_output(&format!("result{index}"), node)?;
        }
        Program::from_graph(graph, ProgramOptions { output_noise: OutputNoise::AsComputed })
    }
}

fn binary(graph: &mut Graph, ty: Type, op: BinaryOp) -> Result<Vec<NodeId>> {
    let (a, b) = (graph.push_input("a", ty)?, graph.push_input("b", ty)?);
    Ok(vec![graph.push(Op::Binary(op, a, b), ty)?])
}

fn binary_clear(graph: &mut Graph, ty: Type, op: BinaryOp, value: u64) -> Result<Vec<NodeId>> {
    let a = graph.push_input("a", ty)?;
    let b = graph.push(Op::Constant(ty.truncate(value)), ty)?;
    Ok(vec![graph.push(Op::Binary(op, a, b), ty)?])
}

fn compare(graph: &mut Graph, ty: Type, op: CompareOp) -> Result<Vec<NodeId>> {
    let (a, b) = (graph.push_input("a", ty)?, graph.push_input("b", ty)?);
    Ok(vec![graph.push(Op::Compare(op, a, b), Type::Bool)?])
}

fn compare_clear(graph: &mut Graph, ty: Type, op: CompareOp) -> Result<Vec<NodeId>> {
    let a = graph.push_input("a", ty)?;
    let b = graph.push(Op::Constant(ty.truncate(MIXED_DIGITS)), ty)?;
    Ok(vec![graph.push(Op::Compare(op, a, b), Type::Bool)?])
}

/// A constant without digits 0, so that nothing of a scalar operation folds away by luck.
const MIXED_DIGITS: u64 = 0x5b6d_a79e_6d9b_5e79;

fn shift(graph: &mut Graph, ty: Type, op: ShiftOp) -> Result<Vec<NodeId>> {
    let (a, amount) = (graph.push_input("a", ty)?, graph.push_input("amount", Type::Uint(8))?);
    Ok(vec![graph.push(Op::Shift(op, a, amount), ty)?])
}

fn unary(graph: &mut Graph, ty: Type, op: fn(NodeId) -> Op) -> Result<Vec<NodeId>> {
    let a = graph.push_input("a", ty)?;
    Ok(vec![graph.push(op(a), ty)?])
}

/// All operations, in the order of the reports.
pub const OPERATIONS: &[Operation] = &[
    Operation { name: "add", build: |g, ty| binary(g, ty, BinaryOp::Add) },
    Operation { name: "add_scalar", build: |g, ty| binary_clear(g, ty, BinaryOp::Add, MIXED_DIGITS) },
    Operation { name: "sub", build: |g, ty| binary(g, ty, BinaryOp::Sub) },
    Operation { name: "sub_scalar", build: |g, ty| binary_clear(g, ty, BinaryOp::Sub, MIXED_DIGITS) },
    Operation { name: "neg", build: |g, ty| unary(g, ty, Op::Neg) },
    Operation { name: "mul", build: |g, ty| binary(g, ty, BinaryOp::Mul) },
    Operation { name: "mul_scalar_17", build: |g, ty| binary_clear(g, ty, BinaryOp::Mul, 17) },
    Operation { name: "and", build: |g, ty| binary(g, ty, BinaryOp::And) },
    Operation { name: "or", build: |g, ty| binary(g, ty, BinaryOp::Or) },
    Operation { name: "xor", build: |g, ty| binary(g, ty, BinaryOp::Xor) },
    Operation { name: "and_scalar", build: |g, ty| binary_clear(g, ty, BinaryOp::And, MIXED_DIGITS) },
    Operation { name: "or_scalar", build: |g, ty| binary_clear(g, ty, BinaryOp::Or, MIXED_DIGITS) },
    Operation { name: "xor_scalar", build: |g, ty| binary_clear(g, ty, BinaryOp::Xor, MIXED_DIGITS) },
    Operation { name: "not", build: |g, ty| unary(g, ty, Op::Not) },
    Operation { name: "eq", build: |g, ty| compare(g, ty, CompareOp::Eq) },
    Operation { name: "ne", build: |g, ty| compare(g, ty, CompareOp::Ne) },
    Operation { name: "lt", build: |g, ty| compare(g, ty, CompareOp::Lt) },
    Operation { name: "le", build: |g, ty| compare(g, ty, CompareOp::Le) },
    Operation { name: "gt", build: |g, ty| compare(g, ty, CompareOp::Gt) },
    Operation { name: "ge", build: |g, ty| compare(g, ty, CompareOp::Ge) },
    Operation { name: "eq_scalar", build: |g, ty| compare_clear(g, ty, CompareOp::Eq) },
    Operation { name: "ne_scalar", build: |g, ty| compare_clear(g, ty, CompareOp::Ne) },
    Operation { name: "lt_scalar", build: |g, ty| compare_clear(g, ty, CompareOp::Lt) },
    Operation { name: "le_scalar", build: |g, ty| compare_clear(g, ty, CompareOp::Le) },
    Operation { name: "gt_scalar", build: |g, ty| compare_clear(g, ty, CompareOp::Gt) },
    Operation { name: "ge_scalar", build: |g, ty| compare_clear(g, ty, CompareOp::Ge) },
    Operation { name: "min", build: |g, ty| binary(g, ty, BinaryOp::Min) },
    Operation { name: "max", build: |g, ty| binary(g, ty, BinaryOp::Max) },
    Operation { name: "min_scalar", build: |g, ty| binary_clear(g, ty, BinaryOp::Min, MIXED_DIGITS) },
    Operation { name: "max_scalar", build: |g, ty| binary_clear(g, ty, BinaryOp::Max, MIXED_DIGITS) },
    Operation {
        name: "select",
        build: |g, ty| {
            let condition = g.push_input("condition", Type::Bool)?;
            let (then, otherwise) = (g.push_input("a", ty)?, g.push_input("b", ty)?);
            Ok(vec![g.push(Op::Select { condition, then, otherwise }, ty)?])
        },
    },
    Operation { name: "shl_clear_3", build: |g, ty| unary(g, ty, |a| Op::ShiftClear(ShiftOp::Left, a, 3)) },
    Operation { name: "shr_clear_3", build: |g, ty| unary(g, ty, |a| Op::ShiftClear(ShiftOp::Right, a, 3)) },
    Operation { name: "rotl_clear_3", build: |g, ty| unary(g, ty, |a| Op::ShiftClear(ShiftOp::RotateLeft, a, 3)) },
    Operation { name: "rotr_clear_3", build: |g, ty| unary(g, ty, |a| Op::ShiftClear(ShiftOp::RotateRight, a, 3)) },
    Operation { name: "shl", build: |g, ty| shift(g, ty, ShiftOp::Left) },
    Operation { name: "shr", build: |g, ty| shift(g, ty, ShiftOp::Right) },
    Operation { name: "rotl", build: |g, ty| shift(g, ty, ShiftOp::RotateLeft) },
    Operation { name: "rotr", build: |g, ty| shift(g, ty, ShiftOp::RotateRight) },
    Operation {
        name: "cast_u64",
        build: |g, ty| {
            let a = g.push_input("a", ty)?;
            Ok(vec![g.push(Op::Cast(a), Type::Uint(64))?])
        },
    },
    Operation {
        name: "sum_of_8",
        build: |g, ty| {
            let all: Vec<NodeId> =
                (0..8).map(|index| g.push_input(&format!("x[{index}]"), ty)).collect::<Result<_>>()?;
            Ok(vec![g.push(Op::Sum(all), ty)?])
        },
    },
    Operation {
        name: "count_of_30",
        build: |g, ty| {
            let all: Vec<NodeId> =
                (0..30).map(|index| g.push_input(&format!("x[{index}]"), Type::Bool)).collect::<Result<_>>()?;
            Ok(vec![g.push(Op::Count(all), Type::Uint(ty.bits()))?])
        },
    },
    Operation {
        name: "transfer",
        build: |g, ty| {
            let (from, to) = (g.push_input("from", ty)?, g.push_input("to", ty)?);
            let amount = g.push_input("amount", ty)?;
            let condition = g.push(Op::Compare(CompareOp::Ge, from, amount), Type::Bool)?;
            let otherwise = g.push(Op::Constant(0), ty)?;
            let moved = g.push(Op::Select { condition, then: amount, otherwise }, ty)?;
            let sent = g.push(Op::Binary(BinaryOp::Sub, from, moved), ty)?;
            let received = g.push(Op::Binary(BinaryOp::Add, to, moved), ty)?;
            Ok(vec![sent, received])
        },
    },
    Operation {
        name: "transfer_2_selects",
        build: |g, ty| {
            let (from, to) = (g.push_input("from", ty)?, g.push_input("to", ty)?);
            let amount = g.push_input("amount", ty)?;
            let condition = g.push(Op::Compare(CompareOp::Ge, from, amount), Type::Bool)?;
            let sent = g.push(Op::Binary(BinaryOp::Sub, from, amount), ty)?;
            let received = g.push(Op::Binary(BinaryOp::Add, to, amount), ty)?;
            let from = g.push(Op::Select { condition, then: sent, otherwise: from }, ty)?;
            let to = g.push(Op::Select { condition, then: received, otherwise: to }, ty)?;
            Ok(vec![from, to])
        },
    },
];
