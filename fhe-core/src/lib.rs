//! Batched evaluation of TFHE programs over the keys and ciphertexts of the `tfhe` crate.

pub mod backend;
pub mod ciphertext;
pub mod circuit;
pub mod cpu;
pub mod engine;
pub mod error;
mod file;
pub mod integer;
pub mod keys;
pub mod lookup;
pub mod params;
pub mod program;
pub mod simulate;
pub mod torus;
pub mod types;

pub use backend::Backend;
pub use ciphertext::{Batch, Column};
pub use cpu::CpuBackend;
pub use engine::{Engine, Progress, RunOptions, RunReport};
pub use error::{Error, Result};
pub use keys::{ClientKey, EvaluationKey};
pub use params::{ParameterSet, Scheme};
pub use program::{Encrypted, Form, OutputNoise, Program, ProgramOptions, Trace};
pub use simulate::SimulationBackend;
pub use types::{Clear, ClearInteger, ClearUnsigned, Type};
