//! Random typed programs, for property tests.

use fhe_core::program::graph::{
    BinaryOp, BitCountOp, CompareOp, ExtremumOp, FindOp, Graph, NodeId, Op, OverflowOp, ShiftOp, TestOp, UnaryOp,
};
use fhe_core::{Bits, Result, Type};
use proptest::prelude::*;

/// Types of all kinds: truth values, widths with a native type, others, the narrowest and the widest.
pub const TYPES: [Type; 15] = [
    Type::Bool,
    Type::Uint(8),
    Type::Uint(16),
    Type::Uint(32),
    Type::Uint(64),
    Type::Int(8),
    Type::Int(16),
    Type::Int(32),
    Type::Int(64),
    Type::Uint(2),
    Type::Int(2),
    Type::Uint(6),
    Type::Int(12),
    Type::Uint(22),
    Type::Int(128),
];

/// One step of a program, to be read against the nodes that exist by then: any values give a well typed operation.
pub type Step = (u8, u16, u16, u16, u64);

/// Programs of two inputs of each of some types and up to `operations` operations; the last values of each type are
/// its outputs.
pub fn graphs(types: &'static [Type], operations: usize) -> impl Strategy<Value = Graph> {
    let inputs = prop::collection::vec(prop::sample::select(types), 1..4);
    let steps = prop::collection::vec(any::<Step>(), 1..=operations);
    // Every step is well typed by construction, so building cannot fail; a failure would be a bug worth a panic here.
    (inputs, steps).prop_map(|(inputs, steps)| from_steps(types, &inputs, &steps).expect("a well typed program"))
}

/// The program of two inputs of each type in `inputs` and of these steps; casts lead to `types`. What nothing reads is
/// an output.
///
/// # Errors
/// None for supported types: every step is read as a well typed operation.
pub fn from_steps(types: &[Type], inputs: &[Type], steps: &[Step]) -> Result<Graph> {
    let mut graph = Graph::default();
    for (index, &ty) in inputs.iter().enumerate() {
        graph.push_input(&format!("a{index}"), ty)?;
        graph.push_input(&format!("b{index}"), ty)?;
    }
    let mut read = std::collections::HashSet::new();
    for step in steps {
        let (op, ty) = step_operation(&graph, types, *step);
        read.extend(op.operands());
        graph.push(op, ty)?;
    }
    let unread: Vec<NodeId> = (0..graph.nodes().len() as NodeId).filter(|id| !read.contains(id)).collect();
    for (index, node) in unread.into_iter().enumerate() {
        graph.push_output(&format!("out{index}"), node)?;
    }
    Ok(graph)
}

/// What a step chooses from: the values so far, and its own random numbers.
struct Choice<'a> {
    graph: &'a Graph,
    /// The first operand and its type.
    x: NodeId,
    ty: Type,
    b: u16,
    c: u16,
    constant: u64,
}

impl Choice<'_> {
    /// A value whose type is accepted; recent ones are taken as often as old.
    fn value(&self, choice: u16, accepted: impl Fn(Type) -> bool) -> Option<NodeId> {
        let fitting: Vec<NodeId> =
            (0..self.graph.nodes().len() as NodeId).filter(|&id| accepted(self.graph.ty(id))).collect();
        (!fitting.is_empty()).then(|| fitting[usize::from(choice) % fitting.len()])
    }

    /// A value of the type of x.
    fn same(&self, choice: u16) -> NodeId {
        self.value(choice, |ty| ty == self.ty).unwrap_or(self.x)
    }

    fn unsigned(&self) -> Option<NodeId> {
        self.value(self.c, |ty| matches!(ty, Type::Uint(_)))
    }

    fn truth(&self) -> Option<NodeId> {
        self.value(self.c, |ty| ty == Type::Bool)
    }

    fn elements(&self) -> Vec<NodeId> {
        (0..2 + self.c % 4).map(|at| self.same(self.b.wrapping_mul(at + 1))).collect()
    }

    fn of<T: Copy>(&self, all: &[T]) -> T {
        all[usize::from(self.b) % all.len()]
    }

    /// Clear bits of a type, different for each `at`.
    fn bits(&self, ty: Type, at: u64) -> Bits {
        let limb = |k: u64| self.constant.wrapping_add(at).rotate_left(7 * k as u32).wrapping_mul(2 * k + 1);
        ty.truncate(Bits::from_limbs([limb(0), limb(1), limb(2), limb(3)]))
    }

    /// An operation on any type.
    fn any(&self, kind: u8) -> (Op, Type) {
        let (x, ty) = (self.x, self.ty);
        match kind % 8 {
            0 => (Op::Binary(self.of(&[BinaryOp::And, BinaryOp::Or, BinaryOp::Xor]), x, self.same(self.c)), ty),
            1 => (Op::Unary(UnaryOp::Not, x), ty),
            2 => (Op::Compare(self.of(CompareOp::ALL), x, self.same(self.c)), Type::Bool),
            3 => (Op::Constant(self.bits(ty, 0)), ty),
            4 | 5 => match self.truth() {
                Some(condition) => (Op::Select { condition, then: x, otherwise: self.same(self.b) }, ty),
                None => (Op::Compare(CompareOp::Gt, x, self.same(self.b)), Type::Bool),
            },
            6 => (Op::Find(FindOp::Contains, self.elements(), x), Type::Bool),
            _ => match self.unsigned() {
                Some(index) => (Op::Index { elements: self.elements(), index }, ty),
                None => (Op::Unary(UnaryOp::Not, x), ty),
            },
        }
    }

    /// An operation on truth values.
    fn of_truth(&self, kind: u8) -> (Op, Type) {
        let elements = self.elements();
        match kind % 4 {
            0 => (Op::Count(elements), Type::Uint(8)),
            1 => (Op::All(elements), Type::Bool),
            2 => (Op::Any(elements), Type::Bool),
            _ => (Op::Cast(self.x), Type::Uint(8)),
        }
    }

    /// An operation on integers.
    fn of_integers(&self, kind: u8, types: &[Type]) -> (Op, Type) {
        let (x, ty, y) = (self.x, self.ty, self.same(self.c));
        let target = types[usize::from(self.b) % types.len()];
        let unsigned_target = Type::Uint(target.bits().max(2));
        match kind % 24 {
            0..=3 => (Op::Binary(self.of(&[BinaryOp::Add, BinaryOp::Sub]), x, y), ty),
            4..=6 => (Op::Binary(self.of(BinaryOp::ALL), x, y), ty),
            7 => match self.of(UnaryOp::ALL) {
                UnaryOp::Signum if !ty.is_signed() => (Op::Unary(UnaryOp::Abs, x), ty),
                UnaryOp::Sqrt if ty.is_signed() => (Op::Unary(UnaryOp::Neg, x), ty),
                UnaryOp::SwapBytes if ty.bits() % 8 != 0 => (Op::Unary(UnaryOp::ReverseBits, x), ty),
                op => (Op::Unary(op, x), ty),
            },
            8 => match self.of(TestOp::ALL) {
                TestOp::IsNegative if !ty.is_signed() => (Op::Test(TestOp::IsOdd, x), Type::Bool),
                op => (Op::Test(op, x), Type::Bool),
            },
            9 => (Op::BitCount(self.of(BitCountOp::ALL), x), unsigned_target),
            10 => (Op::Overflows(self.of(OverflowOp::ALL), x, y), Type::Bool),
            11 => (Op::ShiftClear(self.of(ShiftOp::ALL), x, u32::from(self.c) % ty.bits()), ty),
            12 => match self.unsigned() {
                Some(amount) => (Op::Shift(self.of(ShiftOp::ALL), x, amount), ty),
                None => (Op::Unary(UnaryOp::Neg, x), ty),
            },
            13 => (Op::Cast(x), target),
            14 => (Op::BitClear(x, u32::from(self.c) % ty.bits()), Type::Bool),
            15 => match (self.unsigned(), self.truth()) {
                (Some(index), Some(bit)) => (Op::SetBit { value: x, index, bit }, ty),
                (Some(index), None) => (Op::Bit(x, index), Type::Bool),
                (None, Some(bit)) => (Op::SetBitClear { value: x, index: u32::from(self.c) % ty.bits(), bit }, ty),
                (None, None) => (Op::Unary(UnaryOp::Abs, x), ty),
            },
            16 => (Op::Sum(self.elements()), ty),
            17 => {
                let values = self.elements();
                let weights = (0..values.len() as u64).map(|at| self.bits(ty, at)).collect();
                (Op::Dot { values, weights }, ty)
            }
            18 => {
                let op = self.of(ExtremumOp::ALL);
                (Op::Extremum(op, self.elements()), if op.is_index() { unsigned_target } else { ty })
            }
            19 => {
                let elements = self.elements();
                let rank = u32::from(self.b) % elements.len() as u32;
                (Op::Sorted { elements, rank }, ty)
            }
            20 => match self.unsigned() {
                Some(index) => {
                    let elements = self.elements();
                    let at = u32::from(self.b) % elements.len() as u32;
                    (Op::Written { elements, index, value: x, at }, ty)
                }
                None => (Op::Find(FindOp::CountEqual, self.elements(), x), unsigned_target),
            },
            21 => (Op::Find(FindOp::Position, self.elements(), x), unsigned_target),
            22 if ty.bits() <= 8 => {
                let entries = (0..1 << ty.bits()).map(|at| self.bits(target, at)).collect();
                (Op::Table { value: x, entries }, target)
            }
            _ => {
                let inputs = [self.bits(ty, 0), self.bits(ty, 1), self.bits(ty, 2)];
                let cases = inputs.iter().map(|&input| (input, self.bits(target, 7))).collect();
                (Op::Match { value: x, cases, default: self.bits(target, 3) }, target)
            }
        }
    }
}

/// Reads a step as an operation on existing values: always well typed.
fn step_operation(graph: &Graph, types: &[Type], (kind, a, b, c, constant): Step) -> (Op, Type) {
    let x = (usize::from(a) % graph.nodes().len()) as NodeId;
    let choice = Choice { graph, x, ty: graph.ty(x), b, c, constant };
    match (kind % 4, choice.ty) {
        (0, _) => choice.any(kind / 4),
        (_, Type::Bool) => choice.of_truth(kind / 4),
        _ => choice.of_integers(kind / 4, types),
    }
}
