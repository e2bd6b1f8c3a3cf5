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
//! | `multiply` | mul, dot |
//! | `bitwise` | and, or, xor, not |
//! | `boolean` | all, any |
//! | `compare` | eq, ne, lt, le, gt, ge |
//! | `select` | select, min, max |
//! | `array` | reading and writing at an encrypted index |
//! | `find` | contains, count of equal ones, position |
//! | `sort` | sort, minimum, maximum and where they are |
//! | `table` | clear tables at an encrypted place |
//! | `matching` | outputs by encrypted cases |
//! | `shift` | shifts and rotations by clear and encrypted amounts |
//! | `cast` | truncation and extension |

mod arithmetic;
mod array;
mod bit_count;
mod bits;
mod bitwise;
mod boolean;
mod cast;
mod columns;
mod compare;
mod divide;
mod find;
mod matching;
mod multiply;
mod non_restoring;
mod overflow;
mod prefix;
mod select;
mod shift;
mod sign;
mod sort;
mod sqrt;
mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod word;

pub use arithmetic::{add, count, neg, sub, sum};
pub use array::{index, write};
pub use bit_count::{
    count_ones, count_zeros, ilog2, is_even, is_odd, leading_ones, leading_zeros, parity, trailing_ones, trailing_zeros,
};
pub use bits::{bit, bit_clear, reverse_bits, set_bit, set_bit_clear, swap_bytes};
pub use bitwise::{and, not, or, xor};
pub use boolean::{all, any};
pub use cast::cast;
pub use compare::{eq, ge, gt, le, lt, ne};
pub use divide::div_rem;
pub use find::{contains, count_equal, position};
pub use matching::{match_or, match_value};
pub use multiply::{dot, mul};
pub use overflow::{
    overflowing_add, overflowing_mul, overflowing_neg, overflowing_sub, saturating_add, saturating_mul, saturating_neg,
    saturating_sub,
};
pub use select::{max, min, select};
pub use shift::{ShiftOp, shift, shift_clear};
pub use sign::{abs, is_negative, signum};
pub use sort::{arg_max, arg_min, maximum, minimum, sort};
pub use sqrt::sqrt;
pub use table::table;
pub use word::Word;

/// Which shape of carries an operation is lowered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Fewest bootstraps: carries ripple from block to block.
    Throughput,
    /// Fewest levels: carries by prefix trees, comparisons and sums by trees.
    Latency,
}
