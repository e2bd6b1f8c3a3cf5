//! Engines: backends with a key loaded, that run programs over batches.

mod evaluator;
mod fleet;
mod options;
mod run;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

pub use self::evaluator::Evaluator;
pub use self::fleet::Fleet;
pub use self::options::{DeviceReport, Progress, RunOptions, RunReport};
use self::run::{Job, Run, Watch};
use crate::backend::{Backend, Properties};
use crate::ciphertext::Batch;
use crate::circuit::{Level, Plan};
use crate::error::Result;
use crate::keys::EvaluationKey;
use crate::params::Scheme;
use crate::program::{Form, Program};

/// A backend with an evaluation key loaded. Runs programs from any number of threads; holds no state outside itself.
///
/// ```
/// use fhe_core::keys::ClientKey;
/// use fhe_core::{Batch, Engine, ParameterSet, Program, SimulationBackend};
///
/// let client = ClientKey::simulated(ParameterSet::default()); // `ClientKey::generate` for real encryption
/// let engine = Engine::new(SimulationBackend::new(), &client.evaluation_key()?)?;
/// let double = Program::trace(|t| {
///     let x = t.input::<u32>("x");
///     t.output("y", &(&x + &x));
/// })?;
/// let batch = Batch::new().with("x", client.encrypt(&[1u32, 20, 300])?)?;
/// let result = engine.run(&double, &batch)?;
/// assert_eq!(client.decrypt::<u32>(result.column("y")?)?, [2, 40, 600]);
/// # Ok::<(), fhe_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Engine<B: Backend> {
    backend: Arc<B>,
    key: B::Key,
    scheme: Scheme,
    loaded: Mutex<LoadedPrograms<B>>,
}

/// A plan whose forms, tables and lookups are resident.
struct Loaded<B: Backend> {
    plan: Arc<Plan>,
    tables: B::Tables,
    levels: Vec<(B::Forms, B::Lookups)>,
    outputs: B::Forms,
}

impl<B: Backend> std::fmt::Debug for Loaded<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("levels", &self.levels.len()).finish_non_exhaustive()
    }
}

type LoadedPrograms<B> = HashMap<([u8; 32], Form), Arc<Loaded<B>>>;

/// Programs kept loaded; beyond that, all are dropped and loaded again when they are next run.
const LOADED_PROGRAMS: usize = 64;

impl<B: Backend> Engine<B> {
    /// Loads `key` into `backend`.
    ///
    /// # Errors
    /// A key that this backend cannot use, or too little memory for it.
    pub fn new(backend: B, key: &EvaluationKey) -> Result<Self> {
        Self::shared(Arc::new(backend), key)
    }

    /// [`Engine::new`] on a backend that other engines, with other keys, use as well.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn shared(backend: Arc<B>, key: &EvaluationKey) -> Result<Self> {
        let started = Instant::now();
        let loaded_key = backend.load_key(key)?;
        let properties = backend.properties();
        tracing::info!(
            backend = properties.name,
            device = properties.device,
            seconds = started.elapsed().as_secs_f64(),
            "key loaded"
        );
        Ok(Self { backend, key: loaded_key, scheme: key.scheme(), loaded: Mutex::default() })
    }

    /// The backend.
    #[must_use]
    pub fn backend(&self) -> &Arc<B> {
        &self.backend
    }

    /// The key as the backend keeps it.
    #[must_use]
    pub fn key(&self) -> &B::Key {
        &self.key
    }

    /// The scheme of key and ciphertexts.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Runs `program` over all rows of `batch`; the result has one column per output.
    ///
    /// # Errors
    /// [`MissingInput`], [`UnknownInput`], [`TypeMismatch`], [`ParameterMismatch`],
    /// [`UncleanCiphertext`], [`MemoryLimit`], or a device error. Nothing partial is returned.
    ///
    /// [`MissingInput`]: crate::Error::MissingInput
    /// [`UnknownInput`]: crate::Error::UnknownInput
    /// [`TypeMismatch`]: crate::Error::TypeMismatch
    /// [`ParameterMismatch`]: crate::Error::ParameterMismatch
    /// [`UncleanCiphertext`]: crate::Error::UncleanCiphertext
    /// [`MemoryLimit`]: crate::Error::MemoryLimit
    pub fn run(&self, program: &Program, batch: &Batch) -> Result<Batch> {
        self.run_with(program, batch, RunOptions::new()).map(|(outputs, _)| outputs)
    }

    /// The form that a run of `program` over `rows` rows takes, unless [`RunOptions::form`] says otherwise.
    ///
    /// # Errors
    /// As [`Program::plan`].
    pub fn choose_form(&self, program: &Program, rows: usize) -> Result<Form> {
        run::choose_form(program, rows, &self.backend.properties())
    }

    /// [`Engine::run`] with options, and a report of what it did.
    ///
    /// # Errors
    /// As [`Engine::run`]; [`Error::Cancelled`](crate::Error::Cancelled) if the observer said so.
    pub fn run_with(&self, program: &Program, batch: &Batch, options: RunOptions<'_>) -> Result<(Batch, RunReport)> {
        let started = Instant::now();
        let rows = batch.rows();
        let inputs = run::inputs(self.scheme, program, batch)?;
        let RunOptions { form, memory, profile, mut observer } = options;
        let form = match form {
            Some(form) => form,
            None => self.choose_form(program, rows)?,
        };
        let job = Job { program, inputs: &inputs, rows: 0..rows, form, memory, profile };
        let mut words = run::room(self.scheme, program, rows);
        let room = words.iter_mut().map(Vec::as_mut_slice).collect();
        let watch = observer.as_mut().map(|observer| &mut **observer as &mut dyn FnMut(Progress) -> _);
        let mut report = self.run_job(&job, room, watch)?;
        let plan = program.plan(form)?;
        let outputs = run::outputs(self.scheme, program, &plan, words)?;
        report.elapsed = started.elapsed();
        tracing::debug!(?report, "run finished");
        Ok((outputs, report))
    }

    /// Runs some rows of a program; `outputs` has room for them.
    fn run_job(&self, job: &Job<'_>, outputs: Vec<&mut [u64]>, watch: Watch<'_>) -> Result<RunReport> {
        let started = Instant::now();
        let loaded = self.load(job.program, job.form)?;
        let prepare = started.elapsed();
        let mut report = Run::new(self, &loaded, job, outputs)?.finish(watch)?;
        report.prepare = prepare;
        report.elapsed = started.elapsed();
        Ok(report)
    }

    fn load(&self, program: &Program, form: Form) -> Result<Arc<Loaded<B>>> {
        let id = (program.id(), form);
        // A poisoned lock only means that another thread panicked between two complete states of the map.
        let known = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(loaded) = known {
            return Ok(loaded);
        }
        let plan = program.plan(form)?;
        let tables = self.backend.load_tables(&self.key, &plan.tables)?;
        let load = |level: &Level| {
            Ok((self.backend.load_forms(&level.forms)?, self.backend.load_lookups(&tables, &level.lookups)?))
        };
        let levels = plan.levels.iter().map(load).collect::<Result<Vec<_>>>()?;
        let outputs = self.backend.load_forms(&plan.outputs)?;
        let loaded = Arc::new(Loaded { plan, tables, levels, outputs });
        let mut all = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= LOADED_PROGRAMS {
            all.clear();
        }
        all.insert(id, Arc::clone(&loaded));
        Ok(loaded)
    }
}

impl<B: Backend> Evaluator for Engine<B> {
    fn scheme(&self) -> Scheme {
        self.scheme
    }

    fn properties(&self) -> Properties {
        self.backend.properties()
    }

    fn run_with(&self, program: &Program, batch: &Batch, options: RunOptions<'_>) -> Result<(Batch, RunReport)> {
        Engine::run_with(self, program, batch, options)
    }
}
