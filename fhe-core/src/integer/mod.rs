//! Integers over blocks: each operation once, for every backend.
//!
//! A [`Word`] is a value as digits in base 4; an operation is a function that takes words and a
//! [`Builder`](crate::circuit::Builder) and returns a word. A clear operand is a word of constant blocks: lookups on
//! it fold, and the operations choose their forms by the ranges and norms they find, so none is written twice.
//!
//! Operands may be stale, that is sums of a few leaves (a selected value has l2 norm √2): what does not fit a lookup
//! is refreshed by the builder.
//!
//! | module | operations |
//! |---|---|
//! | `columns` | columns of summands to digits: carry-save sums, ripple and prefix carries |
//! | `arithmetic` | add, sub, neg, sum, count |
//! | `multiply` | mul |
//! | `bitwise` | and, or, xor, not |
//! | `boolean` | all, any |
//! | `compare` | eq, ne, lt, le, gt, ge |
//! | `select` | select, min, max |
//! | `shift` | shifts and rotations by clear and encrypted amounts |
//! | `cast` | truncation and extension |

mod arithmetic;
mod bitwise;
mod boolean;
mod cast;
mod columns;
mod compare;
mod multiply;
mod prefix;
mod select;
mod shift;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod word;

pub use arithmetic::{add, count, neg, sub, sum};
pub use bitwise::{and, not, or, xor};
pub use boolean::{all, any};
pub use cast::cast;
pub use compare::{eq, ge, gt, le, lt, ne};
pub use multiply::mul;
pub use select::{max, min, select};
pub use shift::{ShiftOp, shift, shift_clear};
pub use word::Word;

/// Which shape of carries an operation is lowered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Fewest bootstraps: carries ripple from block to block.
    Throughput,
    /// Fewest levels: carries by prefix trees, comparisons and sums by trees.
    Latency,
}
