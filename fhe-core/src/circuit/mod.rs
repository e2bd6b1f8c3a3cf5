//! Circuits of bootstraps: blocks as linear forms, lookups, and the plan that a backend runs.

mod block;
mod builder;

pub use block::Block;
pub use builder::Builder;
