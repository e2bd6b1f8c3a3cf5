//! What the tests of all backends share.
#![allow(clippy::missing_panics_doc, reason = "a failed assertion is how a test reports")]

pub mod catalogue;
pub mod clear;
pub mod columns;
pub mod conformance;
pub mod counts;
pub mod faulty;
pub mod noise;
pub mod random_programs;
pub mod reference;

/// The README's program, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
