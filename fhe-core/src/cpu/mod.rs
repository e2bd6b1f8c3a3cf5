//! CPU kernels of TFHE bootstrapping: keyswitch, modulus switch, blind rotation, sample extraction.
//!
//! | letter | meaning |
//! |---|---|
//! | n | LWE dimension of the small key |
//! | N | polynomial size; the GLWE dimension k is 1, so the big LWE key has dimension N |
//! | M | N/2, the number of complex points of the Fourier domain |
//! | W | `f64` lanes of a vector; a vector of words holds 2W lanes |
//! | T | ciphertexts in a tile |
//!
//! Layers: `simd` <- `fft` <- `bootstrapping_key` <- `blind_rotate` <- `batch` <- `backend`, and `simd` <- `keyswitch`
//! <- `batch`. Nothing below `batch` knows about threads (except the one-off conversions of keys), nothing below
//! `backend` about programs.

// Vector code that is not inlined becomes calls of single instructions, thirty times slower.
#![allow(clippy::inline_always)]

mod aligned;
mod backend;
mod batch;
mod blind_rotate;
mod bootstrapping_key;
mod cache;
mod fft;
mod geometry;
mod key_transform;
mod keyswitch;
mod probe;
mod simd;

pub use backend::{CpuBackend, CpuCiphertexts, CpuKey, CpuLookups, CpuSwitched, CpuTables};
pub use probe::StageTimes;
pub use simd::SimdLevel;

#[cfg(test)]
mod tests;
