//! Keys: the `tfhe` crate's own, checked against the supported parameters.
//!
//! Key generation, encryption and decryption are the `tfhe` crate's; nothing here samples randomness. Both kinds of key
//! also exist for the simulation, where they hold nothing but the parameter set.

mod client;
mod evaluation;
#[cfg(test)]
pub(crate) mod fixture;
mod random;
#[cfg(test)]
mod tests;

pub use client::ClientKey;
pub use evaluation::{EvaluationKey, StandardKeys};
pub use random::RandomSource;

use serde::{Deserialize, Serialize};

use crate::file::SchemeRecord;

/// Header of a key's file; the body is the key as the `tfhe` crate writes it, empty for a simulated key.
#[derive(Serialize, Deserialize)]
struct KeyHeader {
    scheme: SchemeRecord,
}
