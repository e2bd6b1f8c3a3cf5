//! Whatever runs programs, whichever backend is behind it.

use std::fmt::Debug;

use super::options::{RunOptions, RunReport};
use crate::backend::Properties;
use crate::ciphertext::Batch;
use crate::error::Result;
use crate::params::Scheme;
use crate::program::Program;

/// Runs programs over batches: an [`Engine`](super::Engine) of any backend, or a [`Fleet`](super::Fleet) of several.
///
/// The trait is object-safe, for applications that choose their machine when they start.
///
/// ```
/// use fhe_core::{Batch, ClientKey, Engine, Evaluator, ParameterSet, Program, SimulationBackend};
///
/// let client = ClientKey::simulated(ParameterSet::default());
/// let engine: Box<dyn Evaluator> = Box::new(Engine::new(SimulationBackend::new(), &client.evaluation_key()?)?);
/// let next = Program::trace(|t| t.output("y", &(t.input::<u8>("x") + 1)))?;
/// let result = engine.run(&next, &Batch::new().with("x", client.encrypt(&[6u8])?)?)?;
/// assert_eq!(client.decrypt::<u8>(result.column("y")?)?, [7]);
/// # Ok::<(), fhe_core::Error>(())
/// ```
pub trait Evaluator: Debug + Send + Sync {
    /// The scheme of key and ciphertexts.
    fn scheme(&self) -> Scheme;

    /// The machine or machines, as one.
    fn properties(&self) -> Properties;

    /// Runs `program` over all rows of `batch`, with options; the result has one column per output, beside a report of
    /// what was done.
    ///
    /// # Errors
    /// As [`Engine::run_with`](super::Engine::run_with). Nothing partial is returned.
    fn run_with(&self, program: &Program, batch: &Batch, options: RunOptions<'_>) -> Result<(Batch, RunReport)>;

    /// [`run_with`](Self::run_with) the default options, without the report.
    ///
    /// # Errors
    /// As [`run_with`](Self::run_with).
    fn run(&self, program: &Program, batch: &Batch) -> Result<Batch> {
        self.run_with(program, batch, RunOptions::new()).map(|(outputs, _)| outputs)
    }
}
