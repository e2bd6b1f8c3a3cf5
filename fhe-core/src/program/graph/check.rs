//! What the operands and the result of every operation have to be.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::integer::ShiftOp;
use crate::program::graph::{FindOp, Node, NodeId, Op, TestOp, UnaryOp};
use crate::types::{Bits, Type};

/// Largest width of the values that tables are looked up at: 256 entries.
const TABLE_BITS: u32 = 8;

/// Checks an operation whose result is to have type `ty`, against the nodes and the number of inputs before it.
pub(super) fn check(nodes: &[Node], inputs: usize, op: &Op, ty: Type) -> Result<()> {
    let check = Check { name: op.name(), nodes, ty };
    if let Some(missing) = op.operands().iter().find(|&&id| id as usize >= nodes.len()) {
        return check.fail(format!("no node {missing} before this one"));
    }
    if !ty.is_supported() {
        return check
            .fail(format!("{ty} is no supported type: bool, or an integer of an even number of bits from 2 to 256"));
    }
    check.operation(inputs, op)
}

pub(super) fn invalid(operation: &str, reason: String) -> Error {
    Error::InvalidOperand { operation: operation.to_owned(), reason }
}

struct Check<'a> {
    name: &'static str,
    nodes: &'a [Node],
    /// The type of the result.
    ty: Type,
}

impl Check<'_> {
    fn operation(&self, inputs: usize, op: &Op) -> Result<()> {
        let ty = self.ty;
        match op {
            Op::Input(index) => {
                if *index as usize >= inputs {
                    return self.fail(format!("there is no input {index}"));
                }
                Ok(())
            }
            Op::Constant(bits) => self.fits("the value", *bits, ty),
            Op::Unary(op, a) => {
                self.is("the operand", *a, ty)?;
                self.unary(*op)
            }
            Op::Test(op, a) => {
                self.truth_result()?;
                self.integer("the operand", self.ty_of(*a))?;
                if *op == TestOp::IsNegative { self.signed(self.ty_of(*a)) } else { Ok(()) }
            }
            Op::BitCount(_, a) => {
                self.unsigned("the result", ty)?;
                self.integer("the operand", self.ty_of(*a))
            }
            Op::Binary(op, a, b) => {
                if !op.takes_truth() {
                    self.integer("the result", ty)?;
                }
                self.is("the left operand", *a, ty)?;
                self.is("the right operand", *b, ty)
            }
            Op::Compare(_, a, b) => {
                self.truth_result()?;
                self.is("the right operand", *b, self.ty_of(*a))
            }
            Op::Overflows(_, a, b) => {
                self.truth_result()?;
                self.integer("the left operand", self.ty_of(*a))?;
                self.is("the right operand", *b, self.ty_of(*a))
            }
            Op::Select { condition, then, otherwise } => {
                self.is("the condition", *condition, Type::Bool)?;
                self.is("the first choice", *then, ty)?;
                self.is("the second choice", *otherwise, ty)
            }
            Op::ShiftClear(op, a, amount) => {
                self.integer("the operand", ty)?;
                self.is("the operand", *a, ty)?;
                let rotates = matches!(op, ShiftOp::RotateLeft | ShiftOp::RotateRight);
                if rotates { Ok(()) } else { self.below("the amount", *amount, ty.bits(), "bits") }
            }
            Op::Shift(_, a, amount) => {
                self.integer("the operand", ty)?;
                self.is("the operand", *a, ty)?;
                self.unsigned("the amount", self.ty_of(*amount))
            }
            Op::Cast(_) => Ok(()),
            Op::BitClear(a, index) => {
                self.truth_result()?;
                self.integer("the operand", self.ty_of(*a))?;
                self.below("the index", *index, self.ty_of(*a).bits(), "bits")
            }
            Op::Bit(a, index) => {
                self.truth_result()?;
                self.integer("the operand", self.ty_of(*a))?;
                self.unsigned("the index", self.ty_of(*index))
            }
            Op::SetBitClear { value, index, bit } => {
                self.integer("the operand", ty)?;
                self.is("the operand", *value, ty)?;
                self.below("the index", *index, ty.bits(), "bits")?;
                self.is("the bit", *bit, Type::Bool)
            }
            Op::SetBit { value, index, bit } => {
                self.integer("the operand", ty)?;
                self.is("the operand", *value, ty)?;
                self.unsigned("the index", self.ty_of(*index))?;
                self.is("the bit", *bit, Type::Bool)
            }
            _ => self.many(op),
        }
    }

    /// Operations on many values, and tables.
    fn many(&self, op: &Op) -> Result<()> {
        let ty = self.ty;
        match op {
            Op::Sum(all) => {
                self.integer("the result", ty)?;
                self.elements(all, ty)
            }
            Op::Dot { values, weights } => {
                self.integer("the result", ty)?;
                self.elements(values, ty)?;
                if weights.len() != values.len() {
                    return self.fail(format!("{} weights for {} values", weights.len(), values.len()));
                }
                weights.iter().try_for_each(|&weight| self.fits("a weight", weight, ty))
            }
            Op::Count(all) => {
                self.unsigned("the result", ty)?;
                self.elements(all, Type::Bool)
            }
            Op::All(all) | Op::Any(all) => {
                self.truth_result()?;
                self.elements(all, Type::Bool)
            }
            Op::Extremum(op, all) => {
                let of = if op.is_index() { self.first(all)? } else { ty };
                self.integer("an element", of)?;
                self.elements(all, of)?;
                if op.is_index() { self.unsigned("the result", ty) } else { Ok(()) }
            }
            Op::Sorted { elements, rank } => {
                self.integer("an element", ty)?;
                self.elements(elements, ty)?;
                self.below("the rank", *rank, elements.len() as u32, "elements")
            }
            Op::Index { elements, index } => {
                self.elements(elements, ty)?;
                self.unsigned("the index", self.ty_of(*index))
            }
            Op::Written { elements, index, value, at } => {
                self.elements(elements, ty)?;
                self.unsigned("the index", self.ty_of(*index))?;
                self.is("the value", *value, ty)?;
                self.below("the place", *at, elements.len() as u32, "elements")
            }
            Op::Find(op, elements, value) => {
                self.elements(elements, self.ty_of(*value))?;
                if *op == FindOp::Contains { self.truth_result() } else { self.unsigned("the result", ty) }
            }
            Op::Table { value, entries } => {
                let of = self.ty_of(*value);
                self.integer("the operand", of)?;
                if of.bits() > TABLE_BITS {
                    return self.fail(format!("the operand has type {of}, tables take {TABLE_BITS} bits at most"));
                }
                if entries.len() != 1 << of.bits() {
                    return self.fail(format!("{} entries, {of} has {} values", entries.len(), 1 << of.bits()));
                }
                entries.iter().try_for_each(|&entry| self.fits("an entry", entry, ty))
            }
            Op::Match { value, cases, default } => {
                self.inputs(self.ty_of(*value), cases.iter().map(|case| case.0))?;
                cases.iter().try_for_each(|case| self.fits("an output", case.1, ty))?;
                self.fits("the default", *default, ty)
            }
            Op::Matches { value, cases } => {
                self.truth_result()?;
                self.inputs(self.ty_of(*value), cases.iter().map(|case| case.0))
            }
            // `operation` has all others.
            _ => Ok(()),
        }
    }

    fn unary(&self, op: UnaryOp) -> Result<()> {
        if op != UnaryOp::Not {
            self.integer("the operand", self.ty)?;
        }
        match op {
            UnaryOp::Signum => self.signed(self.ty),
            UnaryOp::Sqrt => self.unsigned("the operand", self.ty),
            UnaryOp::SwapBytes if !self.ty.bits().is_multiple_of(8) => {
                self.fail(format!("the operand has type {}, which is no whole number of bytes", self.ty))
            }
            _ => Ok(()),
        }
    }

    fn fail(&self, reason: String) -> Result<()> {
        Err(invalid(self.name, reason))
    }

    fn ty_of(&self, id: NodeId) -> Type {
        self.nodes[id as usize].ty
    }

    fn is(&self, place: &str, id: NodeId, expected: Type) -> Result<()> {
        let found = self.ty_of(id);
        if found == expected { Ok(()) } else { self.fail(format!("{place} has type {found}, expected {expected}")) }
    }

    fn integer(&self, place: &str, found: Type) -> Result<()> {
        if found == Type::Bool { self.fail(format!("{place} is a bool, expected an integer")) } else { Ok(()) }
    }

    fn unsigned(&self, place: &str, found: Type) -> Result<()> {
        let fits = matches!(found, Type::Uint(_));
        if fits { Ok(()) } else { self.fail(format!("{place} has type {found}, expected unsigned")) }
    }

    fn signed(&self, found: Type) -> Result<()> {
        if found.is_signed() { Ok(()) } else { self.fail(format!("the operand has type {found}, expected signed")) }
    }

    fn truth_result(&self) -> Result<()> {
        if self.ty == Type::Bool {
            Ok(())
        } else {
            self.fail(format!("the result has type {}, expected bool", self.ty))
        }
    }

    fn fits(&self, place: &str, bits: Bits, ty: Type) -> Result<()> {
        if ty.truncate(bits) == bits { Ok(()) } else { self.fail(format!("{place} {bits:x} does not fit {ty}")) }
    }

    fn below(&self, place: &str, found: u32, limit: u32, of: &str) -> Result<()> {
        if found < limit { Ok(()) } else { self.fail(format!("{place} is {found}, but there are {limit} {of}")) }
    }

    fn first(&self, elements: &[NodeId]) -> Result<Type> {
        let first = elements.first().map(|&id| self.ty_of(id));
        first.ok_or_else(|| invalid(self.name, "no elements".to_owned()))
    }

    fn elements(&self, elements: &[NodeId], ty: Type) -> Result<()> {
        self.first(elements)?;
        elements.iter().enumerate().try_for_each(|(at, &id)| self.is(&format!("element {at}"), id, ty))
    }

    /// The inputs of a match: of the type of the value, at least one, all different.
    fn inputs(&self, of: Type, inputs: impl ExactSizeIterator<Item = Bits> + Clone) -> Result<()> {
        self.integer("the operand", of)?;
        if inputs.len() == 0 {
            return self.fail("no cases".to_owned());
        }
        let mut seen = HashSet::new();
        for input in inputs {
            self.fits("an input", input, of)?;
            if !seen.insert(input) {
                return self.fail(format!("two cases for {input:x}"));
            }
        }
        Ok(())
    }
}
