//! Circuits of bootstraps: blocks as linear forms, lookups, and the plan that a backend runs.

mod block;
mod builder;
mod noise;
mod optimise;
mod packing;
mod plan;

pub use block::Block;
pub use builder::Builder;
pub(crate) use builder::MAX_NORM2;
#[cfg(test)]
pub(crate) use builder::Source;
pub use plan::{Level, OutputBlock, Plan, Statistics};
