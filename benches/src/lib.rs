//! What the benchmarks share: the catalogue of operations, and measurements of one side and of two sides in turn.

pub mod catalogue;
pub mod paired;
pub mod sampling;
