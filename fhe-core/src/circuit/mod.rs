//! Circuits of bootstraps: blocks as linear forms, lookups, and the plan that a backend runs.

mod block;
mod builder;
mod optimise;
mod plan;

pub use block::Block;
pub use builder::Builder;
pub use plan::{Level, OutputBlock, Plan, Statistics};
