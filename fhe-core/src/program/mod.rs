//! Programs: traced once, compiled to levels of independent bootstraps, run over any number of rows.

pub mod graph;

pub use graph::Graph;
