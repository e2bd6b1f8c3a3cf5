//! What the benchmarks share: the catalogue of operations and the measurement of two sides in turn.

pub mod catalogue;
pub mod paired;
