//! Tracing: Rust code over [`Encrypted`] values, recorded as a graph.

// Operands are taken by value so that expressions need no borrow signs; they are handles.
#![allow(clippy::needless_pass_by_value)]

mod arrays;
mod integers;
mod operators;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use crate::error::{Error, Result};
use crate::program::graph::{Graph, Node, NodeId, Op};
use crate::types::{Clear, ClearUnsigned, Type};

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
    ///
    /// ```
    /// let program = fhe_core::Program::trace(|t| t.output("double", &(t.input::<u8>("x") * 2)))?;
    /// assert_eq!(program.graph().inputs()[0].name, "x");
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn input<T: Clear>(&self, name: &str) -> Encrypted<T> {
        let mut recorder = self.recorder.borrow_mut();
        let node = recorder.graph.push_input(name, T::TYPE).unwrap_or_else(|error| recorder.fail(error));
        drop(recorder);
        self.value(node)
    }

    /// `length` inputs, named `name[0]`, `name[1]` and so on.
    ///
    /// ```
    /// let program = fhe_core::Program::trace(|t| t.output("sum", &t.sum(&t.input_array::<u8>("x", 3))))?;
    /// assert_eq!(program.graph().inputs()[2].name, "x[2]");
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn input_array<T: Clear>(&self, name: &str, length: usize) -> Vec<Encrypted<T>> {
        (0..length).map(|index| self.input(&format!("{name}[{index}]"))).collect()
    }

    /// A value in the clear.
    ///
    /// ```
    /// use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate(3u8, |x| x.trace().constant(10u8) - x)?, 7);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn constant<T: Clear>(&self, value: T) -> Encrypted<T> {
        self.node(Op::Constant(value.to_bits()))
    }

    /// Names `value` as an output.
    ///
    /// ```
    /// let program = fhe_core::Program::trace(|t| t.output("same", &t.input::<bool>("x")))?;
    /// assert_eq!(program.graph().outputs()[0].name, "same");
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
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
    ///
    /// ```
    /// let program = fhe_core::Program::trace(|t| t.output_array("y", &t.sort(&t.input_array::<u8>("x", 2))))?;
    /// assert_eq!(program.graph().outputs()[1].name, "y[1]");
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    pub fn output_array<T: Clear>(&self, name: &str, values: &[Encrypted<T>]) {
        for (index, value) in values.iter().enumerate() {
            self.output(&format!("{name}[{index}]"), value);
        }
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
/// Arithmetic wraps, like the `wrapping_*` functions of the clear type `T`. A shift by an encrypted amount of the width
/// or more leaves nothing (the sign, where `T` is signed and shifts right), as in the `tfhe` crate; by a clear one it is
/// an error. Either operand of an operator may be clear, and of a method the argument; operators take references or
/// values.
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

impl<T> Encrypted<T> {
    /// The trace that this is a value of.
    ///
    /// ```
    /// use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate([1u8, 2, 3], |values| values[0].trace().sum(values))?, 6);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }
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

/// Where something is done in a value or an array: at a clear `u32`, or at an encrypted unsigned integer.
pub trait Amount {
    /// The amount, as a node of `trace` if it is encrypted.
    #[doc(hidden)]
    fn place(&self, operation: &'static str, trace: &Trace) -> Place;
}

/// An [`Amount`] in a trace.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// Known.
    Clear(u32),
    /// A node.
    Encrypted(NodeId),
}

impl Amount for u32 {
    fn place(&self, _operation: &'static str, _trace: &Trace) -> Place {
        Place::Clear(*self)
    }
}

impl<U: ClearUnsigned> Amount for Encrypted<U> {
    fn place(&self, operation: &'static str, trace: &Trace) -> Place {
        Place::Encrypted(trace.operand(operation, self))
    }
}

impl<U: ClearUnsigned> Amount for &Encrypted<U> {
    fn place(&self, operation: &'static str, trace: &Trace) -> Place {
        Amount::place(*self, operation, trace)
    }
}
