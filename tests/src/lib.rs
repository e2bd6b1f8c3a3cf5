//! What the tests of all backends share.

pub mod clear;
pub mod conformance;
pub mod random_programs;
