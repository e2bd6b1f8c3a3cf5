//! The traced program: a graph of typed operations on whole values, before it is lowered to blocks.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
pub use crate::integer::ShiftOp;
use crate::types::Type;

/// Index of a node.
pub type NodeId = u32;

/// Operation with two operands of the same type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BinaryOp {
    /// Sum, wrapping.
    Add,
    /// Difference, wrapping.
    Sub,
    /// Product, wrapping.
    Mul,
    /// Bitwise and; conjunction of truth values.
    And,
    /// Bitwise or; disjunction of truth values.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// The smaller value.
    Min,
    /// The larger value.
    Max,
}

/// Comparison of two values of the same type, giving a truth value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CompareOp {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less than.
    Lt,
    /// Less than or equal.
    Le,
    /// Greater than.
    Gt,
    /// Greater than or equal.
    Ge,
}

/// One operation of a program.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    /// The input of that index.
    Input(u32),
    /// A clear value, as the bits of its type.
    Constant(u64),
    /// Two's complement negation, wrapping.
    Neg(NodeId),
    /// Bitwise complement; negation of a truth value.
    Not(NodeId),
    /// Two operands of the same type.
    Binary(BinaryOp, NodeId, NodeId),
    /// Comparison of two operands of the same type.
    Compare(CompareOp, NodeId, NodeId),
    /// `if condition { then } else { otherwise }`.
    Select {
        /// Truth value.
        condition: NodeId,
        /// Value if true.
        then: NodeId,
        /// Value if false.
        otherwise: NodeId,
    },
    /// Shift or rotation by a clear amount.
    ShiftClear(ShiftOp, NodeId, u32),
    /// Shift or rotation by an encrypted unsigned amount.
    Shift(ShiftOp, NodeId, NodeId),
    /// The value in the node's type: truncated, or extended by its own sign.
    Cast(NodeId),
    /// Wrapping sum of one or more values of the same type.
    Sum(Vec<NodeId>),
    /// Number of true values among one or more truth values, in the node's unsigned type, wrapping.
    Count(Vec<NodeId>),
    /// Whether all of one or more truth values are true.
    All(Vec<NodeId>),
    /// Whether any of one or more truth values is true.
    Any(Vec<NodeId>),
}

impl Op {
    /// The nodes this operation reads.
    #[must_use]
    pub fn operands(&self) -> Vec<NodeId> {
        match self {
            Self::Input(_) | Self::Constant(_) => Vec::new(),
            Self::Neg(a) | Self::Not(a) | Self::Cast(a) | Self::ShiftClear(_, a, _) => vec![*a],
            Self::Binary(_, a, b) | Self::Compare(_, a, b) | Self::Shift(_, a, b) => vec![*a, *b],
            Self::Select { condition, then, otherwise } => vec![*condition, *then, *otherwise],
            Self::Sum(all) | Self::Count(all) | Self::All(all) | Self::Any(all) => all.clone(),
        }
    }

    /// The operation's name in listings and errors.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input(_) => "input",
            Self::Constant(_) => "constant",
            Self::Neg(_) => "neg",
            Self::Not(_) => "not",
            Self::Binary(op, ..) => match op {
                BinaryOp::Add => "add",
                BinaryOp::Sub => "sub",
                BinaryOp::Mul => "mul",
                BinaryOp::And => "and",
                BinaryOp::Or => "or",
                BinaryOp::Xor => "xor",
                BinaryOp::Min => "min",
                BinaryOp::Max => "max",
            },
            Self::Compare(op, ..) => match op {
                CompareOp::Eq => "eq",
                CompareOp::Ne => "ne",
                CompareOp::Lt => "lt",
                CompareOp::Le => "le",
                CompareOp::Gt => "gt",
                CompareOp::Ge => "ge",
            },
            Self::Select { .. } => "select",
            Self::ShiftClear(op, ..) | Self::Shift(op, ..) => match op {
                ShiftOp::Left => "shl",
                ShiftOp::Right => "shr",
                ShiftOp::RotateLeft => "rotl",
                ShiftOp::RotateRight => "rotr",
            },
            Self::Cast(_) => "cast",
            Self::Sum(_) => "sum",
            Self::Count(_) => "count",
            Self::All(_) => "all",
            Self::Any(_) => "any",
        }
    }
}

/// A node: an operation and the type of its result.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// The type of the result.
    pub ty: Type,
}

/// A named input or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its name, unique among the inputs or among the outputs.
    pub name: String,
    /// The node that it is.
    pub node: NodeId,
}

/// A program as a list of nodes, each reading earlier ones only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    nodes: Vec<Node>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl Graph {
    /// All nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The inputs; `Op::Input(i)` is the node of the i-th.
    #[must_use]
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// The outputs.
    #[must_use]
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// The type of a port or node.
    ///
    /// # Panics
    /// If `node` is none of this graph's; the ports of a graph always are.
    #[must_use]
    pub fn ty(&self, node: NodeId) -> Type {
        self.nodes[node as usize].ty
    }

    /// Appends a node after checking its operands and type.
    ///
    /// # Errors
    /// [`Error::InvalidOperand`] naming the operation and what does not fit.
    pub fn push(&mut self, op: Op, ty: Type) -> Result<NodeId> {
        self.check_node(&op, ty)?;
        self.nodes.push(Node { op, ty });
        Ok((self.nodes.len() - 1) as NodeId)
    }

    /// Adds an input.
    ///
    /// # Errors
    /// [`Error::BadName`] for a name that is empty or used.
    pub fn push_input(&mut self, name: &str, ty: Type) -> Result<NodeId> {
        check_name(name, &self.inputs)?;
        let index = self.inputs.len() as u32;
        self.inputs.push(Port { name: name.to_owned(), node: self.nodes.len() as NodeId });
        self.push(Op::Input(index), ty)
    }

    /// Adds an output.
    ///
    /// # Errors
    /// [`Error::BadName`] for a name that is empty or used.
    pub fn push_output(&mut self, name: &str, node: NodeId) -> Result<()> {
        check_name(name, &self.outputs)?;
        if node as usize >= self.nodes.len() {
            return Err(invalid("output", format!("no node {node}")));
        }
        self.outputs.push(Port { name: name.to_owned(), node });
        Ok(())
    }

    /// Checks a graph that came from outside: every rule that [`Graph::push`] keeps.
    ///
    /// # Errors
    /// As the functions that build a graph; [`Error::NoOutputs`].
    pub fn validate(self) -> Result<Self> {
        let mut rebuilt = Self::default();
        let mut inputs = self.inputs.iter();
        for node in self.nodes {
            match node.op {
                Op::Input(index) => {
                    let here = rebuilt.nodes.len() as NodeId;
                    let port = inputs.next().filter(|port| port.node == here && index as usize == rebuilt.inputs.len());
                    let port = port.ok_or_else(|| invalid("input", format!("node {here} is not input {index}")))?;
                    rebuilt.push_input(&port.name, node.ty)?;
                }
                op => {
                    rebuilt.push(op, node.ty)?;
                }
            }
        }
        if inputs.next().is_some() {
            return Err(invalid("input", "an input without a node".to_owned()));
        }
        for port in &self.outputs {
            rebuilt.push_output(&port.name, port.node)?;
        }
        if rebuilt.outputs.is_empty() {
            return Err(Error::NoOutputs);
        }
        Ok(rebuilt)
    }

    fn check_node(&self, op: &Op, ty: Type) -> Result<()> {
        let name = op.name();
        let operands = op.operands();
        if let Some(missing) = operands.iter().find(|&&id| id as usize >= self.nodes.len()) {
            return Err(invalid(name, format!("no node {missing} before this one")));
        }
        let ty_of = |id: NodeId| self.nodes[id as usize].ty;
        let is = |place: &str, id: NodeId, expected: Type| {
            let found = ty_of(id);
            if found == expected {
                return Ok(());
            }
            Err(invalid(name, format!("{place} has type {found}, expected {expected}")))
        };
        let integer = |place: &str, found: Type| {
            if found == Type::Bool {
                return Err(invalid(name, format!("{place} is a bool, expected an integer")));
            }
            Ok(())
        };
        if !ty.is_supported() {
            return Err(invalid(name, format!("{ty} is no supported type (bool, u8 to u64, i8 to i64)")));
        }
        match op {
            Op::Input(index) => {
                if *index as usize >= self.inputs.len() {
                    return Err(invalid(name, format!("there is no input {index}")));
                }
            }
            Op::Constant(bits) => {
                if ty.truncate(*bits) != *bits {
                    return Err(invalid(name, format!("{bits:#x} does not fit {ty}")));
                }
            }
            Op::Neg(a) | Op::ShiftClear(_, a, _) => {
                integer("the operand", ty)?;
                is("the operand", *a, ty)?;
            }
            Op::Not(a) => is("the operand", *a, ty)?,
            Op::Binary(op, a, b) => {
                if !matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Xor) {
                    integer("the result", ty)?;
                }
                is("the left operand", *a, ty)?;
                is("the right operand", *b, ty)?;
            }
            Op::Compare(_, a, b) => {
                bool_result(name, ty)?;
                is("the right operand", *b, ty_of(*a))?;
            }
            Op::Select { condition, then, otherwise } => {
                is("the condition", *condition, Type::Bool)?;
                is("the first choice", *then, ty)?;
                is("the second choice", *otherwise, ty)?;
            }
            Op::Shift(_, a, amount) => {
                integer("the operand", ty)?;
                is("the operand", *a, ty)?;
                if !matches!(ty_of(*amount), Type::Uint(_)) {
                    return Err(invalid(name, format!("the amount has type {}, expected unsigned", ty_of(*amount))));
                }
            }
            Op::Cast(_) => {}
            Op::Sum(all) => {
                integer("the result", ty)?;
                not_empty(name, all)?;
                all.iter().try_for_each(|&id| is("an element", id, ty))?;
            }
            Op::Count(all) => {
                if !matches!(ty, Type::Uint(_)) {
                    return Err(invalid(name, format!("the result has type {ty}, expected unsigned")));
                }
                not_empty(name, all)?;
                all.iter().try_for_each(|&id| is("an element", id, Type::Bool))?;
            }
            Op::All(all) | Op::Any(all) => {
                bool_result(name, ty)?;
                not_empty(name, all)?;
                all.iter().try_for_each(|&id| is("an element", id, Type::Bool))?;
            }
        }
        Ok(())
    }
}

fn bool_result(name: &str, ty: Type) -> Result<()> {
    if ty == Type::Bool { Ok(()) } else { Err(invalid(name, format!("the result has type {ty}, expected bool"))) }
}

fn not_empty(name: &str, elements: &[NodeId]) -> Result<()> {
    if elements.is_empty() { Err(invalid(name, "no elements".to_owned())) } else { Ok(()) }
}

fn invalid(operation: &str, reason: String) -> Error {
    Error::InvalidOperand { operation: operation.to_owned(), reason }
}

fn check_name(name: &str, ports: &[Port]) -> Result<()> {
    let problem = if name.is_empty() {
        "empty"
    } else if ports.iter().any(|port| port.name == name) {
        "used twice"
    } else {
        return Ok(());
    };
    Err(Error::BadName { name: name.to_owned(), problem })
}

impl fmt::Display for Graph {
    /// One line per node: `%4: u64 = add %1 %2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, node) in self.nodes.iter().enumerate() {
            write!(f, "%{id}: {} = {}", node.ty, node.op.name())?;
            match &node.op {
                Op::Input(index) => write!(f, " \"{}\"", self.inputs[*index as usize].name)?,
                Op::Constant(bits) => write!(f, " {bits:#x}")?,
                op => op.operands().iter().try_for_each(|operand| write!(f, " %{operand}"))?,
            }
            if let Op::ShiftClear(_, _, amount) = node.op {
                write!(f, " by {amount}")?;
            }
            writeln!(f)?;
        }
        for port in &self.outputs {
            writeln!(f, "output \"{}\" = %{}", port.name, port.node)?;
        }
        Ok(())
    }
}
