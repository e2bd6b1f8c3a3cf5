//! Random typed programs, for property tests.

use fhe_core::program::graph::{BinaryOp, CompareOp, Graph, NodeId, Op, ShiftOp};
use fhe_core::{Result, Type};
use proptest::prelude::*;

/// All types that values may have.
pub const TYPES: [Type; 9] = [
    Type::Bool,
    Type::Uint(8),
    Type::Uint(16),
    Type::Uint(32),
    Type::Uint(64),
    Type::Int(8),
    Type::Int(16),
    Type::Int(32),
    Type::Int(64),
];

/// One step of a program, to be read against the nodes that exist by then.
type Step = (u8, u16, u16, u16, u64);

/// Programs of two inputs of each of some types and up to `operations` operations; the last values of each type are
/// its outputs.
pub fn graphs(types: &'static [Type], operations: usize) -> impl Strategy<Value = Graph> {
    let inputs = prop::collection::vec(prop::sample::select(types), 1..4);
    let steps = prop::collection::vec(any::<Step>(), 1..=operations);
    // Every step is well typed by construction, so building cannot fail; a failure would be a bug worth a panic here.
    (inputs, steps).prop_map(|(inputs, steps)| build(&inputs, &steps).expect("a well typed program"))
}

fn build(inputs: &[Type], steps: &[Step]) -> Result<Graph> {
    let mut graph = Graph::default();
    for (index, &ty) in inputs.iter().enumerate() {
        graph.push_input(&format!("a{index}"), ty)?;
        graph.push_input(&format!("b{index}"), ty)?;
    }
    let mut read = std::collections::HashSet::new();
    for step in steps {
        let (op, ty) = step_operation(&graph, *step);
        read.extend(op.operands());
        graph.push(op, ty)?;
    }
    let unread: Vec<NodeId> = (0..graph.nodes().len() as NodeId).filter(|id| !read.contains(id)).collect();
    for (index, node) in unread.into_iter().enumerate() {
        graph.push_output(&format!("out{index}"), node)?;
    }
    Ok(graph)
}

/// Reads a step as an operation on existing values: always well typed.
fn step_operation(graph: &Graph, (kind, a, b, c, constant): Step) -> (Op, Type) {
    let any = |choice: u16| (usize::from(choice) % graph.nodes().len()) as NodeId;
    // A value of that type; the choice moves on from a random place, so that new values are taken as often as old.
    let of = |ty: Type, choice: u16| {
        let fitting: Vec<NodeId> = (0..graph.nodes().len() as NodeId).filter(|&id| graph.ty(id) == ty).collect();
        (!fitting.is_empty()).then(|| fitting[usize::from(choice) % fitting.len()])
    };
    let x = any(a);
    let ty = graph.ty(x);
    let y = of(ty, b).unwrap_or(x);
    let z = of(ty, c).unwrap_or(x);
    let integer = ty != Type::Bool;
    let condition = of(Type::Bool, c);
    let amount = (0..4).find_map(|index| of(Type::Uint(8 << ((usize::from(c) + index) % 4)), b));
    let shifts = [ShiftOp::Left, ShiftOp::Right, ShiftOp::RotateLeft, ShiftOp::RotateRight];
    let shift = shifts[usize::from(b) % 4];
    match kind % 24 {
        0 | 1 if integer => (Op::Binary(BinaryOp::Add, x, y), ty),
        2 | 3 if integer => (Op::Binary(BinaryOp::Sub, x, y), ty),
        4 if integer => (Op::Binary(BinaryOp::Mul, x, y), ty),
        5 if integer => (Op::Binary(BinaryOp::Min, x, y), ty),
        6 if integer => (Op::Binary(BinaryOp::Max, x, y), ty),
        7 => (Op::Binary(BinaryOp::And, x, y), ty),
        8 => (Op::Binary(BinaryOp::Or, x, y), ty),
        9 => (Op::Binary(BinaryOp::Xor, x, y), ty),
        10 => (Op::Not(x), ty),
        11 if integer => (Op::Neg(x), ty),
        12 => (Op::Compare(CompareOp::Eq, x, y), Type::Bool),
        13 => (Op::Compare(CompareOp::Ne, x, y), Type::Bool),
        14 => (Op::Compare(CompareOp::Lt, x, y), Type::Bool),
        15 => (Op::Compare([CompareOp::Le, CompareOp::Gt, CompareOp::Ge][usize::from(c) % 3], x, y), Type::Bool),
        16 if integer => (Op::ShiftClear(shift, x, u32::from(c) % 70), ty),
        17 if integer && amount.is_some() => (Op::Shift(shift, x, amount.unwrap_or(x)), ty),
        18 if integer => (Op::Sum(vec![x, y, z, x, y]), ty),
        19 if !integer => (Op::Count(vec![x, y, z, x]), Type::Uint(8)),
        20 if !integer => (Op::All(vec![x, y, z]), Type::Bool),
        21 if !integer => (Op::Any(vec![x, y, z]), Type::Bool),
        22 => {
            let target = TYPES[1 + usize::from(b) % (TYPES.len() - 1)];
            (Op::Cast(x), target)
        }
        23 => (Op::Constant(ty.truncate(constant)), ty),
        _ => match condition {
            Some(condition) => (Op::Select { condition, then: x, otherwise: y }, ty),
            None => (Op::Compare(CompareOp::Gt, x, y), Type::Bool),
        },
    }
}
