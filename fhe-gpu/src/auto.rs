//! The best machine there is.

use std::fmt;
use std::ops::Deref;

use fhe_core::{CpuBackend, Engine, EvaluationKey, Evaluator, Result};

/// An evaluator on the best machine that was found, and why it was chosen.
pub struct AutoEngine {
    evaluator: Box<dyn Evaluator>,
    choice: String,
}

impl AutoEngine {
    /// What was chosen, and why if it is no GPU: for example
    /// `cpu, 8 threads, Avx2: no GPU: the NVIDIA driver's library (libcuda) was not found; install the NVIDIA driver`.
    #[must_use]
    pub fn choice(&self) -> &str {
        &self.choice
    }
}

impl Deref for AutoEngine {
    type Target = dyn Evaluator;

    fn deref(&self) -> &Self::Target {
        &*self.evaluator
    }
}

impl fmt::Debug for AutoEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AutoEngine").field("choice", &self.choice).finish_non_exhaustive()
    }
}

/// Loads `key` on all GPUs that the kernels run on, leaving out those that do not open; where there are none, or one of
/// them cannot take the key, on the processor. What was chosen and what was left out is logged.
///
/// ```no_run
/// # let key = fhe_core::EvaluationKey::simulated(fhe_core::ParameterSet::default());
/// # let (program, batch): (fhe_core::Program, fhe_core::Batch) = unimplemented!();
/// let engine = fhe_gpu::auto(&key)?;
/// println!("running on {}", engine.choice());
/// let result = engine.run(&program, &batch)?;
/// # Ok::<(), fhe_core::Error>(())
/// ```
///
/// # Errors
/// Those of [`Engine::new`] on a [`CpuBackend`]; what GPUs say is part of [`AutoEngine::choice`].
pub fn auto(key: &EvaluationKey) -> Result<AutoEngine> {
    let engine = match gpus(key) {
        Ok(evaluator) => AutoEngine { choice: evaluator.properties().device, evaluator },
        Err(reason) => {
            let engine = Engine::new(CpuBackend::new()?, key)?;
            let choice = format!("cpu, {}: no GPU: {reason}", Evaluator::properties(&engine).device);
            AutoEngine { evaluator: Box::new(engine), choice }
        }
    };
    tracing::info!(choice = engine.choice, "machine chosen");
    Ok(engine)
}

/// An evaluator on all GPUs, or the reason why there is none.
#[cfg(not(feature = "gpu"))]
fn gpus(_: &EvaluationKey) -> std::result::Result<Box<dyn Evaluator>, String> {
    Err(crate::NoDevice::FeatureDisabled.to_string())
}

/// An evaluator on all GPUs that open, or the reason why there is none.
#[cfg(feature = "gpu")]
fn gpus(key: &EvaluationKey) -> std::result::Result<Box<dyn Evaluator>, String> {
    use fhe_core::Fleet;

    use crate::CudaBackend;

    let (mut backends, mut refused) = (Vec::new(), Vec::new());
    for device in crate::devices().map_err(|reason| reason.to_string())? {
        match CudaBackend::new(device.ordinal) {
            Ok(backend) => backends.push(backend),
            Err(error) => {
                tracing::warn!(%device, %error, "a card is left out");
                refused.push(error.to_string());
            }
        }
    }
    let failed = |error: fhe_core::Error| error.to_string();
    if backends.len() > 1 {
        return Ok(Box::new(Fleet::new(backends, key).map_err(failed)?));
    }
    let backend = backends.pop().ok_or_else(|| refused.join("; "))?;
    Ok(Box::new(Engine::new(backend, key).map_err(failed)?))
}
