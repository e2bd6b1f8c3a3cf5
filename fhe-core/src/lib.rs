//! Batched evaluation of TFHE programs over the keys and ciphertexts of the `tfhe` crate.
//!
//! A [`Program`] is traced once from Rust code over [`Encrypted`] values. An [`Engine`] (a [`Backend`] with an
//! [`EvaluationKey`]) runs it over a [`Batch`]: named columns of encrypted values, any number of rows. A [`ClientKey`]
//! makes the columns and reads the results; the `tfhe` crate's own types convert from and to [`Column`].
//!
//! ```
//! use fhe_core::{Batch, ClientKey, Engine, ParameterSet, Program, SimulationBackend};
//!
//! let program = Program::trace(|t| {
//!     let (price, count) = (t.input::<u32>("price"), t.input::<u32>("count"));
//!     let total = &price * &count;
//!     t.output("total", &total.gt(1000).select(&total - 50, &total));
//! })?;
//!
//! // `ClientKey::generate` and `CpuBackend::new()?` compute on encrypted data.
//! let client = ClientKey::simulated(ParameterSet::default());
//! let engine = Engine::new(SimulationBackend::new(), &client.evaluation_key()?)?;
//! let batch = Batch::new()
//!     .with("price", client.encrypt(&[300u32, 20])?)?
//!     .with("count", client.encrypt(&[4u32, 5])?)?;
//! let totals = engine.run(&program, &batch)?;
//! assert_eq!(client.decrypt::<u32>(totals.column("total")?)?, [1150, 100]);
//! # Ok::<(), fhe_core::Error>(())
//! ```
//!
//! Nothing here has been audited; see SECURITY.md in the repository.

pub mod backend;
pub mod ciphertext;
pub mod circuit;
pub mod cpu;
pub mod engine;
pub mod error;
mod file;
pub mod fourier;
mod integer;
pub mod keys;
pub mod lookup;
pub mod operations;
pub mod params;
pub mod program;
pub mod simulate;
pub mod torus;
pub mod types;

pub use backend::Backend;
pub use ciphertext::{Batch, Column};
pub use cpu::CpuBackend;
pub use engine::{DeviceReport, Engine, Evaluator, Fleet, Progress, RunOptions, RunReport};
pub use error::{Error, Result};
pub use keys::{ClientKey, EvaluationKey, RandomSource};
pub use params::{ParameterSet, Scheme};
pub use program::{Encrypted, Form, OutputNoise, Program, ProgramOptions, Trace};
pub use simulate::SimulationBackend;
pub use types::{Bits, Clear, ClearInteger, ClearUnsigned, Int, Type, U256, Uint};
