//! Tracing: Rust code over [`Encrypted`] values, recorded as a graph.

// Operands are taken by value so that expressions need no borrow signs; they are handles.
#![allow(clippy::needless_pass_by_value)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Add, BitAnd, BitOr, BitXor, Mul, Neg, Not, Shl, Shr, Sub};
use std::rc::Rc;

use crate::error::{Error, Result};
use crate::program::graph::{BinaryOp, CompareOp, Graph, Node, NodeId, Op, ShiftOp};
use crate::types::{Clear, ClearInteger, ClearUnsigned, Type};

/// What a trace records into: the graph, and the nodes by their operation, so that equal ones are recorded once.
#[derive(Debug, Default)]
struct Recorder {
    graph: Graph,
    known: HashMap<Node, NodeId>,
    error: Option<Error>,
}

impl Recorder {
    fn record(&mut self, op: Op, ty: Type) -> NodeId {
        let node = Node { op, ty };
        if let Some(&id) = self.known.get(&node) {
            return id;
        }
        match self.graph.push(node.op.clone(), ty) {
            Ok(id) => {
                self.known.insert(node, id);
                id
            }
            Err(error) => self.fail(error),
        }
    }

    /// Keeps the first error; node 0 stands in for the value that could not be made.
    fn fail(&mut self, error: Error) -> NodeId {
        self.error.get_or_insert(error);
        0
    }
}

/// Where a program's inputs, constants and outputs are declared while it is traced.
///
/// Errors are kept until the trace ends, so that traced code reads like plain arithmetic.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    recorder: Rc<RefCell<Recorder>>,
}

impl Trace {
    /// An encrypted input of that name: a column of the batch that the program will run over.
    #[must_use]
    pub fn input<T: Clear>(&self, name: &str) -> Encrypted<T> {
        let mut recorder = self.recorder.borrow_mut();
        let node = recorder.graph.push_input(name, T::TYPE).unwrap_or_else(|error| recorder.fail(error));
        drop(recorder);
        self.value(node)
    }

    /// `length` inputs, named `name[0]`, `name[1]` and so on.
    #[must_use]
    pub fn input_array<T: Clear>(&self, name: &str, length: usize) -> Vec<Encrypted<T>> {
        (0..length).map(|index| self.input(&format!("{name}[{index}]"))).collect()
    }

    /// A value in the clear.
    #[must_use]
    pub fn constant<T: Clear>(&self, value: T) -> Encrypted<T> {
        self.node(Op::Constant(value.to_bits()))
    }

    /// Names `value` as an output.
    pub fn output<T: Clear>(&self, name: &str, value: &Encrypted<T>) {
        let foreign = !Rc::ptr_eq(&self.recorder, &value.trace.recorder);
        let mut recorder = self.recorder.borrow_mut();
        let pushed = if foreign {
            Err(Error::ForeignValue { operation: "output" })
        } else {
            recorder.graph.push_output(name, value.node)
        };
        if let Err(error) = pushed {
            recorder.fail(error);
        }
    }

    /// Names the elements as outputs `name[0]`, `name[1]` and so on.
    pub fn output_array<T: Clear>(&self, name: &str, values: &[Encrypted<T>]) {
        for (index, value) in values.iter().enumerate() {
            self.output(&format!("{name}[{index}]"), value);
        }
    }

    /// Wrapping sum of all `values`: cheaper than adding them one by one.
    #[must_use]
    pub fn sum<T: ClearInteger>(&self, values: &[Encrypted<T>]) -> Encrypted<T> {
        let nodes = self.nodes("sum", values);
        self.node(Op::Sum(nodes))
    }

    /// How many of `values` are true, wrapping.
    #[must_use]
    pub fn count<T: ClearUnsigned>(&self, values: &[Encrypted<bool>]) -> Encrypted<T> {
        let nodes = self.nodes("count", values);
        self.node(Op::Count(nodes))
    }

    /// Whether all of `values` are true: one bootstrap for up to 15 of them.
    #[must_use]
    pub fn all(&self, values: &[Encrypted<bool>]) -> Encrypted<bool> {
        let nodes = self.nodes("all", values);
        self.node(Op::All(nodes))
    }

    /// Whether any of `values` is true: one bootstrap for up to 15 of them.
    #[must_use]
    pub fn any(&self, values: &[Encrypted<bool>]) -> Encrypted<bool> {
        let nodes = self.nodes("any", values);
        self.node(Op::Any(nodes))
    }

    /// The graph traced so far, or the first error.
    pub(crate) fn finish(&self) -> Result<Graph> {
        let mut recorder = self.recorder.borrow_mut();
        match recorder.error.take() {
            Some(error) => Err(error),
            None => std::mem::take(&mut recorder.graph).validate(),
        }
    }

    fn value<T>(&self, node: NodeId) -> Encrypted<T> {
        Encrypted { trace: self.clone(), node, clear: PhantomData }
    }

    fn node<T: Clear>(&self, op: Op) -> Encrypted<T> {
        let node = self.recorder.borrow_mut().record(op, T::TYPE);
        self.value(node)
    }

    fn nodes<T>(&self, operation: &'static str, values: &[Encrypted<T>]) -> Vec<NodeId> {
        values.iter().map(|value| self.operand(operation, value)).collect()
    }

    fn operand<T>(&self, operation: &'static str, value: &Encrypted<T>) -> NodeId {
        if Rc::ptr_eq(&self.recorder, &value.trace.recorder) {
            value.node
        } else {
            self.recorder.borrow_mut().fail(Error::ForeignValue { operation })
        }
    }
}

/// An encrypted value of a program being traced: operators and methods record what to compute, nothing is computed.
///
/// Arithmetic wraps, like the `wrapping_*` functions of the clear type `T`; a shift by the width or more leaves nothing
/// (the sign, where `T` is signed and shifts right), as in the `tfhe` crate. Both operands may be encrypted, or the
/// right one clear; operators take references or values.
///
/// ```
/// use fhe_core::Program;
/// let program = Program::trace(|t| {
///     let (a, b) = (t.input::<u16>("a"), t.input::<u16>("b"));
///     let larger = a.gt(&b).select(&a, &b);
///     t.output("sum", &(&a + &b * 3 + &larger));
/// })?;
/// println!("{program}");
/// # Ok::<(), fhe_core::Error>(())
/// ```
pub struct Encrypted<T> {
    trace: Trace,
    node: NodeId,
    clear: PhantomData<fn() -> T>,
}

impl<T> Clone for Encrypted<T> {
    fn clone(&self) -> Self {
        self.trace.value(self.node)
    }
}

impl<T: Clear> fmt::Debug for Encrypted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}: {}", self.node, T::TYPE)
    }
}

/// What a binary operation accepts on its right: an encrypted value, or a clear one of the same type.
pub trait Operand<T> {
    /// The node of this operand in `trace`.
    #[doc(hidden)]
    fn node(&self, operation: &'static str, trace: &Trace) -> NodeId;
}

impl<T: Clear> Operand<T> for Encrypted<T> {
    fn node(&self, operation: &'static str, trace: &Trace) -> NodeId {
        trace.operand(operation, self)
    }
}

impl<T: Clear> Operand<T> for &Encrypted<T> {
    fn node(&self, operation: &'static str, trace: &Trace) -> NodeId {
        trace.operand(operation, self)
    }
}

impl<T: Clear> Operand<T> for T {
    fn node(&self, _operation: &'static str, trace: &Trace) -> NodeId {
        trace.recorder.borrow_mut().record(Op::Constant(self.to_bits()), T::TYPE)
    }
}

impl<T: Clear> Encrypted<T> {
    fn binary(&self, op: BinaryOp, name: &'static str, other: impl Operand<T>) -> Self {
        let other = other.node(name, &self.trace);
        self.trace.node(Op::Binary(op, self.node, other))
    }

    fn compare(&self, op: CompareOp, name: &'static str, other: impl Operand<T>) -> Encrypted<bool> {
        let other = other.node(name, &self.trace);
        self.trace.node(Op::Compare(op, self.node, other))
    }

    /// `self == other`.
    #[must_use]
    pub fn eq(&self, other: impl Operand<T>) -> Encrypted<bool> {
        self.compare(CompareOp::Eq, "eq", other)
    }

    /// `self != other`.
    #[must_use]
    pub fn ne(&self, other: impl Operand<T>) -> Encrypted<bool> {
        self.compare(CompareOp::Ne, "ne", other)
    }
}

impl<T: ClearInteger> Encrypted<T> {
    /// `self < other`.
    #[must_use]
    pub fn lt(&self, other: impl Operand<T>) -> Encrypted<bool> {
        self.compare(CompareOp::Lt, "lt", other)
    }

    /// `self <= other`.
    #[must_use]
    pub fn le(&self, other: impl Operand<T>) -> Encrypted<bool> {
        self.compare(CompareOp::Le, "le", other)
    }

    /// `self > other`.
    #[must_use]
    pub fn gt(&self, other: impl Operand<T>) -> Encrypted<bool> {
        self.compare(CompareOp::Gt, "gt", other)
    }

    /// `self >= other`.
    #[must_use]
    pub fn ge(&self, other: impl Operand<T>) -> Encrypted<bool> {
        self.compare(CompareOp::Ge, "ge", other)
    }

    /// The smaller of the two.
    #[must_use]
    pub fn min(&self, other: impl Operand<T>) -> Self {
        self.binary(BinaryOp::Min, "min", other)
    }

    /// The larger of the two.
    #[must_use]
    pub fn max(&self, other: impl Operand<T>) -> Self {
        self.binary(BinaryOp::Max, "max", other)
    }

    /// The value as a `U`, like `as` between the clear types: truncated, or extended by the sign of `T`.
    #[must_use]
    pub fn cast<U: ClearInteger>(&self) -> Encrypted<U> {
        self.trace.node(Op::Cast(self.node))
    }

    /// Rotates towards the most significant bit by a clear or an encrypted amount, taken modulo the width.
    #[must_use]
    pub fn rotate_left(&self, amount: impl Amount) -> Self {
        self.shift(ShiftOp::RotateLeft, "rotl", &amount)
    }

    /// Rotates towards the least significant bit by a clear or an encrypted amount, taken modulo the width.
    #[must_use]
    pub fn rotate_right(&self, amount: impl Amount) -> Self {
        self.shift(ShiftOp::RotateRight, "rotr", &amount)
    }

    fn shift(&self, op: ShiftOp, name: &'static str, amount: &impl Amount) -> Self {
        let op = amount.shift(op, self.node, name, &self.trace);
        self.trace.node(op)
    }
}

impl Encrypted<bool> {
    /// `if self { then } else { otherwise }`: one bootstrap per block.
    #[must_use]
    pub fn select<T: Clear>(&self, then: impl Operand<T>, otherwise: impl Operand<T>) -> Encrypted<T> {
        let then = then.node("select", &self.trace);
        let otherwise = otherwise.node("select", &self.trace);
        self.trace.node(Op::Select { condition: self.node, then, otherwise })
    }

    /// 1 if true, 0 if false.
    #[must_use]
    pub fn cast<U: ClearInteger>(&self) -> Encrypted<U> {
        self.trace.node(Op::Cast(self.node))
    }
}

/// The amount of a shift or rotation: a clear `u32`, or an encrypted unsigned integer.
pub trait Amount {
    /// The operation that shifts `value` by this amount.
    #[doc(hidden)]
    fn shift(&self, op: ShiftOp, value: NodeId, operation: &'static str, trace: &Trace) -> Op;
}

impl Amount for u32 {
    fn shift(&self, op: ShiftOp, value: NodeId, _operation: &'static str, _trace: &Trace) -> Op {
        Op::ShiftClear(op, value, *self)
    }
}

impl<U: ClearUnsigned> Amount for Encrypted<U> {
    fn shift(&self, op: ShiftOp, value: NodeId, operation: &'static str, trace: &Trace) -> Op {
        Op::Shift(op, value, trace.operand(operation, self))
    }
}

impl<U: ClearUnsigned> Amount for &Encrypted<U> {
    fn shift(&self, op: ShiftOp, value: NodeId, operation: &'static str, trace: &Trace) -> Op {
        Amount::shift(*self, op, value, operation, trace)
    }
}

macro_rules! binary_operators {
    ($($trait:ident::$method:ident, $bound:ident, $op:ident, $name:literal;)*) => {$(
        impl<T: $bound, R: Operand<T>> $trait<R> for &Encrypted<T> {
            type Output = Encrypted<T>;

            fn $method(self, other: R) -> Encrypted<T> {
                self.binary(BinaryOp::$op, $name, other)
            }
        }

        impl<T: $bound, R: Operand<T>> $trait<R> for Encrypted<T> {
            type Output = Encrypted<T>;

            fn $method(self, other: R) -> Encrypted<T> {
                self.binary(BinaryOp::$op, $name, other)
            }
        }
    )*};
}

binary_operators! {
    Add::add, ClearInteger, Add, "add";
    Sub::sub, ClearInteger, Sub, "sub";
    Mul::mul, ClearInteger, Mul, "mul";
    BitAnd::bitand, Clear, And, "and";
    BitOr::bitor, Clear, Or, "or";
    BitXor::bitxor, Clear, Xor, "xor";
}

macro_rules! shift_operators {
    ($($trait:ident::$method:ident, $op:ident, $name:literal;)*) => {$(
        impl<T: ClearInteger, A: Amount> $trait<A> for &Encrypted<T> {
            type Output = Encrypted<T>;

            fn $method(self, amount: A) -> Encrypted<T> {
                self.shift(ShiftOp::$op, $name, &amount)
            }
        }

        impl<T: ClearInteger, A: Amount> $trait<A> for Encrypted<T> {
            type Output = Encrypted<T>;

            fn $method(self, amount: A) -> Encrypted<T> {
                self.shift(ShiftOp::$op, $name, &amount)
            }
        }
    )*};
}

shift_operators! {
    Shl::shl, Left, "shl";
    Shr::shr, Right, "shr";
}

macro_rules! unary_operators {
    ($($trait:ident::$method:ident, $bound:ident, $op:ident;)*) => {$(
        impl<T: $bound> $trait for &Encrypted<T> {
            type Output = Encrypted<T>;

            fn $method(self) -> Encrypted<T> {
                self.trace.node(Op::$op(self.node))
            }
        }

        impl<T: $bound> $trait for Encrypted<T> {
            type Output = Encrypted<T>;

            fn $method(self) -> Encrypted<T> {
                $trait::$method(&self)
            }
        }
    )*};
}

unary_operators! {
    Neg::neg, ClearInteger, Neg;
    Not::not, Clear, Not;
}
