//! The operations of programs.

use serde::{Deserialize, Serialize};

pub use crate::integer::ShiftOp;
use crate::program::graph::NodeId;
use crate::types::Bits;

/// Defines an enum of operations and the names they have in listings and errors.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in listings and errors.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

named! {
    /// Operation with one operand, of the type of the result.
    UnaryOp {
        /// Two's complement negation, wrapping.
        Neg = "neg",
        /// Negation, at the largest value where it would overflow; 0 for unsigned values.
        SaturatingNeg = "saturating_neg",
        /// Bitwise complement; negation of a truth value.
        Not = "not",
        /// Absolute value; the smallest signed value stays as it is.
        Abs = "abs",
        /// -1, 0 or 1; signed values only.
        Signum = "signum",
        /// The bits in reverse order.
        ReverseBits = "reverse_bits",
        /// The bytes in reverse order; widths that are whole bytes only.
        SwapBytes = "swap_bytes",
        /// The largest integer whose square is at most the value; unsigned values only.
        Sqrt = "isqrt",
    }
}

named! {
    /// Question about one integer, answered by a truth value.
    TestOp {
        /// Whether the lowest bit is 0.
        IsEven = "is_even",
        /// Whether the lowest bit is 1.
        IsOdd = "is_odd",
        /// Whether the number of bits that are 1 is odd.
        Parity = "parity",
        /// Whether the value is less than 0; signed values only.
        IsNegative = "is_negative",
        /// Whether negation overflows.
        NegOverflows = "neg_overflows",
    }
}

named! {
    /// Number of bits of one integer, in an unsigned type, wrapping.
    BitCountOp {
        /// Zeros above the highest one.
        LeadingZeros = "leading_zeros",
        /// Ones above the highest zero.
        LeadingOnes = "leading_ones",
        /// Zeros below the lowest one.
        TrailingZeros = "trailing_zeros",
        /// Ones below the lowest zero.
        TrailingOnes = "trailing_ones",
        /// All ones.
        CountOnes = "count_ones",
        /// All zeros.
        CountZeros = "count_zeros",
        /// The position of the highest one, ⌊log2⌋.
        Ilog2 = "ilog2",
    }
}

named! {
    /// Operation with two operands of the same type, which is that of the result.
    BinaryOp {
        /// Sum, wrapping.
        Add = "add",
        /// Difference, wrapping.
        Sub = "sub",
        /// Product, wrapping.
        Mul = "mul",
        /// Quotient, truncated, wrapping.
        Div = "div",
        /// Remainder of the truncated quotient; it has the sign of the dividend.
        Rem = "rem",
        /// Sum, at the nearest value of the type where it overflows.
        SaturatingAdd = "saturating_add",
        /// Difference, at the nearest value of the type where it overflows.
        SaturatingSub = "saturating_sub",
        /// Product, at the nearest value of the type where it overflows.
        SaturatingMul = "saturating_mul",
        /// Bitwise and; conjunction of truth values.
        And = "and",
        /// Bitwise or; disjunction of truth values.
        Or = "or",
        /// Bitwise exclusive or.
        Xor = "xor",
        /// The smaller value.
        Min = "min",
        /// The larger value.
        Max = "max",
    }
}

impl BinaryOp {
    /// Whether truth values may be operands.
    #[must_use]
    pub fn takes_truth(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Xor)
    }

    /// The question whether it overflows, for a wrapping sum, difference or product.
    #[must_use]
    pub fn overflow(self) -> Option<OverflowOp> {
        match self {
            Self::Add => Some(OverflowOp::Add),
            Self::Sub => Some(OverflowOp::Sub),
            Self::Mul => Some(OverflowOp::Mul),
            _ => None,
        }
    }
}

named! {
    /// Comparison of two values of the same type, giving a truth value.
    CompareOp {
        /// Equal.
        Eq = "eq",
        /// Not equal.
        Ne = "ne",
        /// Less than.
        Lt = "lt",
        /// Less than or equal.
        Le = "le",
        /// Greater than.
        Gt = "gt",
        /// Greater than or equal.
        Ge = "ge",
    }
}

named! {
    /// Whether an operation on two integers of one type overflows.
    OverflowOp {
        /// The sum does.
        Add = "add_overflows",
        /// The difference does.
        Sub = "sub_overflows",
        /// The product does.
        Mul = "mul_overflows",
    }
}

named! {
    /// What is taken of one or more integers of one type.
    ExtremumOp {
        /// The smallest value.
        Minimum = "minimum",
        /// The largest value.
        Maximum = "maximum",
        /// The index of the first smallest value.
        ArgMinimum = "arg_minimum",
        /// The index of the first largest value.
        ArgMaximum = "arg_maximum",
    }
}

impl ExtremumOp {
    /// Whether the result is an index, in an unsigned type, and not one of the values.
    #[must_use]
    pub fn is_index(self) -> bool {
        matches!(self, Self::ArgMinimum | Self::ArgMaximum)
    }
}

named! {
    /// What is asked about a value among elements of its type.
    FindOp {
        /// Whether an element is equal to it.
        Contains = "contains",
        /// The number of elements equal to it, in an unsigned type, wrapping.
        CountEqual = "count_equal",
        /// The index of the first element equal to it, in an unsigned type; 0 if there is none.
        Position = "position",
    }
}

/// One operation of a program.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    /// The input of that index.
    Input(u32),
    /// A clear value, as the bits of its type.
    Constant(Bits),
    /// One operand.
    Unary(UnaryOp, NodeId),
    /// A question about one integer.
    Test(TestOp, NodeId),
    /// Number of bits of one integer.
    BitCount(BitCountOp, NodeId),
    /// Two operands of the same type.
    Binary(BinaryOp, NodeId, NodeId),
    /// Comparison of two operands of the same type.
    Compare(CompareOp, NodeId, NodeId),
    /// Whether an operation on two operands of the same type overflows.
    Overflows(OverflowOp, NodeId, NodeId),
    /// `if condition { then } else { otherwise }`.
    Select {
        /// Truth value.
        condition: NodeId,
        /// Value if true.
        then: NodeId,
        /// Value if false.
        otherwise: NodeId,
    },
    /// Shift or rotation by a clear amount; a shift is by less than the width.
    ShiftClear(ShiftOp, NodeId, u32),
    /// Shift or rotation by an encrypted unsigned amount.
    Shift(ShiftOp, NodeId, NodeId),
    /// The value in the node's type: truncated, or extended by its own sign.
    Cast(NodeId),
    /// The bit at a clear index, counted from the lowest, as a truth value.
    BitClear(NodeId, u32),
    /// The bit at an encrypted unsigned index, as a truth value; false where there is no such bit.
    Bit(NodeId, NodeId),
    /// The value with one bit replaced, at a clear index.
    SetBitClear {
        /// The value.
        value: NodeId,
        /// The index, counted from the lowest bit.
        index: u32,
        /// The truth value that the bit becomes.
        bit: NodeId,
    },
    /// The value with one bit replaced, at an encrypted unsigned index; the value where there is no such bit.
    SetBit {
        /// The value.
        value: NodeId,
        /// The index, counted from the lowest bit.
        index: NodeId,
        /// The truth value that the bit becomes.
        bit: NodeId,
    },
    /// Wrapping sum of one or more values of the same type.
    Sum(Vec<NodeId>),
    /// Wrapping sum of one or more values of the same type, each times a clear weight.
    Dot {
        /// The values.
        values: Vec<NodeId>,
        /// One weight per value.
        weights: Vec<Bits>,
    },
    /// Number of true values among one or more truth values, in the node's unsigned type, wrapping.
    Count(Vec<NodeId>),
    /// Whether all of one or more truth values are true.
    All(Vec<NodeId>),
    /// Whether any of one or more truth values is true.
    Any(Vec<NodeId>),
    /// The extremum of one or more values of the same type, or its index.
    Extremum(ExtremumOp, Vec<NodeId>),
    /// The value of that rank among one or more values of the same type, 0 for the smallest.
    Sorted {
        /// The values in any order.
        elements: Vec<NodeId>,
        /// The place among them once they are sorted.
        rank: u32,
    },
    /// The element at an encrypted unsigned index; 0 where there is none.
    Index {
        /// One or more values of the same type.
        elements: Vec<NodeId>,
        /// Which of them.
        index: NodeId,
    },
    /// The element at the clear place `at`, after `value` was written to the encrypted unsigned `index`.
    Written {
        /// One or more values of the same type, before.
        elements: Vec<NodeId>,
        /// Where `value` is written; nothing changes if there is no such element.
        index: NodeId,
        /// What is written.
        value: NodeId,
        /// The place of the result.
        at: u32,
    },
    /// A question about a value among one or more elements of its type.
    Find(FindOp, Vec<NodeId>, NodeId),
    /// The entry of a clear table at an encrypted integer of up to 8 bits, read as unsigned.
    Table {
        /// The integer.
        value: NodeId,
        /// 2^bits values of the node's type.
        entries: Vec<Bits>,
    },
    /// The output of the case whose input is the value; the default if there is none.
    Match {
        /// The integer.
        value: NodeId,
        /// Inputs, all different, and outputs.
        cases: Vec<(Bits, Bits)>,
        /// The result for all other values.
        default: Bits,
    },
    /// Whether there is a case whose input is the value.
    Matches {
        /// The integer.
        value: NodeId,
        /// Inputs, all different, and outputs: those of the `Match` beside it, with which it shares its bootstraps.
        cases: Vec<(Bits, Bits)>,
    },
}

impl Op {
    /// The nodes this operation reads.
    #[must_use]
    pub fn operands(&self) -> Vec<NodeId> {
        let and = |all: &[NodeId], more: &[NodeId]| [all, more].concat();
        match self {
            Self::Input(_) | Self::Constant(_) => Vec::new(),
            Self::Unary(_, a)
            | Self::Test(_, a)
            | Self::BitCount(_, a)
            | Self::Cast(a)
            | Self::ShiftClear(_, a, _)
            | Self::BitClear(a, _)
            | Self::Table { value: a, .. }
            | Self::Match { value: a, .. }
            | Self::Matches { value: a, .. } => vec![*a],
            Self::Binary(_, a, b)
            | Self::Compare(_, a, b)
            | Self::Overflows(_, a, b)
            | Self::Shift(_, a, b)
            | Self::Bit(a, b)
            | Self::SetBitClear { value: a, bit: b, .. } => vec![*a, *b],
            Self::Select { condition, then, otherwise } => vec![*condition, *then, *otherwise],
            Self::SetBit { value, index, bit } => vec![*value, *index, *bit],
            Self::Sum(all)
            | Self::Dot { values: all, .. }
            | Self::Count(all)
            | Self::All(all)
            | Self::Any(all)
            | Self::Extremum(_, all)
            | Self::Sorted { elements: all, .. } => all.clone(),
            Self::Index { elements, index } => and(elements, &[*index]),
            Self::Written { elements, index, value, .. } => and(elements, &[*index, *value]),
            Self::Find(_, elements, value) => and(elements, &[*value]),
        }
    }

    /// The operation's name in listings and errors.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input(_) => "input",
            Self::Constant(_) => "constant",
            Self::Unary(op, _) => op.name(),
            Self::Test(op, _) => op.name(),
            Self::BitCount(op, _) => op.name(),
            Self::Binary(op, ..) => op.name(),
            Self::Compare(op, ..) => op.name(),
            Self::Overflows(op, ..) => op.name(),
            Self::Select { .. } => "select",
            Self::ShiftClear(op, ..) | Self::Shift(op, ..) => op.name(),
            Self::Cast(_) => "cast",
            Self::Bit(..) | Self::BitClear(..) => "bit",
            Self::SetBit { .. } | Self::SetBitClear { .. } => "set_bit",
            Self::Sum(_) => "sum",
            Self::Dot { .. } => "dot",
            Self::Count(_) => "count",
            Self::All(_) => "all",
            Self::Any(_) => "any",
            Self::Extremum(op, _) => op.name(),
            Self::Sorted { .. } => "sort",
            Self::Index { .. } => "index",
            Self::Written { .. } => "write",
            Self::Find(op, ..) => op.name(),
            Self::Table { .. } => "table",
            Self::Match { .. } => "match",
            Self::Matches { .. } => "matches",
        }
    }
}
