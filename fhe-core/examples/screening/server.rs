//! The server: evaluates the forest. Everything it gets comes as bytes; there is no secret key among them.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fhe_core::engine::{Progress, RunOptions, RunReport};
use fhe_core::{Backend, Batch, Engine, EvaluationKey, Program};

use crate::client::Request;

/// What the server sends back, and what it can say about its work.
pub struct Response {
    /// The encrypted outputs.
    pub outputs: Vec<u8>,
    /// Reading the client's bytes and loading its key.
    pub loading: Duration,
    /// Counts and times of the run.
    pub report: RunReport,
    /// Name of the backend.
    pub backend: &'static str,
    /// What the backend runs on.
    pub device: String,
}

/// Runs `program` over the request on any backend.
pub fn answer<B: Backend>(
    backend: B,
    program: &[u8],
    request: &Request,
    observer: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Response> {
    let started = Instant::now();
    let program = Program::from_bytes(program).context("the program")?;
    let key = EvaluationKey::read(request.evaluation_key.as_slice()).context("the client's key")?;
    let batch = Batch::read(request.batch.as_slice()).context("the client's records")?;
    let engine = Engine::new(backend, &key)?;
    let loading = started.elapsed();
    let (results, report) = engine.run_with(&program, &batch, RunOptions::new().profile(true).observe(observer))?;
    let mut outputs = Vec::new();
    results.write(&mut outputs)?;
    let properties = engine.backend().properties();
    Ok(Response { outputs, loading, report, backend: properties.name, device: properties.device })
}
