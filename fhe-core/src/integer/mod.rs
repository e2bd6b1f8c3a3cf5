//! Integers over blocks: each operation once, for every backend.

/// Which shape of carries an operation is lowered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Fewest bootstraps: carries ripple from block to block.
    Throughput,
    /// Fewest levels: carries by prefix trees, comparisons and sums by trees.
    Latency,
}
