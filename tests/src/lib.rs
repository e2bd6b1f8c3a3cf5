//! What the tests of all backends share.

pub mod conformance;
