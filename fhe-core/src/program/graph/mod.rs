//! The traced program: a graph of typed operations on whole values, before it is lowered to blocks.

mod check;
mod op;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::types::Type;
use check::invalid;
pub use op::{BinaryOp, BitCountOp, CompareOp, ExtremumOp, FindOp, Op, OverflowOp, ShiftOp, TestOp, UnaryOp};

/// Index of a node.
pub type NodeId = u32;

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
        check::check(&self.nodes, self.inputs.len(), &op, ty)?;
        self.nodes.push(Node { op, ty });
        Ok((self.nodes.len() - 1) as NodeId)
    }

    /// Adds an input.
    ///
    /// # Errors
    /// [`Error::BadName`] for a name that is empty or used; [`Error::InvalidOperand`] for a type that is not
    /// [supported](Type::is_supported).
    pub fn push_input(&mut self, name: &str, ty: Type) -> Result<NodeId> {
        check_name(name, &self.inputs)?;
        let index = self.inputs.len() as u32;
        self.inputs.push(Port { name: name.to_owned(), node: self.nodes.len() as NodeId });
        let node = self.push(Op::Input(index), ty);
        if node.is_err() {
            self.inputs.pop();
        }
        node
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
                Op::Constant(bits) => write!(f, " {bits:x}")?,
                op => op.operands().iter().try_for_each(|operand| write!(f, " %{operand}"))?,
            }
            match &node.op {
                Op::ShiftClear(_, _, amount) => write!(f, " by {amount}")?,
                Op::BitClear(_, index) | Op::SetBitClear { index, .. } => write!(f, " at {index}")?,
                Op::Sorted { rank, .. } => write!(f, " rank {rank}")?,
                Op::Written { at, .. } => write!(f, " element {at}")?,
                Op::Dot { weights, .. } => write!(f, " by {weights:x?}")?,
                Op::Table { entries, .. } => write!(f, " of {} entries", entries.len())?,
                Op::Match { cases, .. } | Op::Matches { cases, .. } => write!(f, " of {} cases", cases.len())?,
                _ => {}
            }
            writeln!(f)?;
        }
        for port in &self.outputs {
            writeln!(f, "output \"{}\" = %{}", port.name, port.node)?;
        }
        Ok(())
    }
}
