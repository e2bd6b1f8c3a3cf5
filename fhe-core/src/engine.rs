//! The engine: a backend with a key loaded, that runs programs over batches.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::backend::{Backend, Properties};
use crate::ciphertext::{Batch, BlockInfo, Column};
use crate::circuit::{Level, Plan};
use crate::error::{Error, Result};
use crate::keys::EvaluationKey;
use crate::params::Scheme;
use crate::program::{Form, Program};

/// How far a run has come; given to the observer after every level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bootstraps done, over all rows.
    pub bootstraps: u64,
    /// Bootstraps of the whole run.
    pub total: u64,
    /// Rows whose outputs are complete.
    pub rows: usize,
}

/// What a run did and how long it took.
#[derive(Clone, Debug, PartialEq)]
pub struct RunReport {
    /// The form that was run.
    pub form: Form,
    /// Rows.
    pub rows: usize,
    /// Rows that went through the levels together.
    pub rows_per_chunk: usize,
    /// Bytes of ciphertext buffers that were taken.
    pub buffer_bytes: usize,
    /// Bootstraps over all rows.
    pub bootstraps: u64,
    /// Keyswitches over all rows.
    pub keyswitches: u64,
    /// Levels.
    pub levels: usize,
    /// The whole run.
    pub elapsed: Duration,
    /// Loading the program, the first time that this engine sees it.
    pub prepare: Duration,
    /// Copies to and from the backend.
    pub transfer: Duration,
    /// Linear forms. On a device that works asynchronously this and the next two are only meaningful with
    /// [`RunOptions::profile`].
    pub linear: Duration,
    /// Keyswitches.
    pub keyswitch: Duration,
    /// Blind rotations.
    pub bootstrap: Duration,
}

impl RunReport {
    /// Bootstraps per second of the whole run.
    #[must_use]
    pub fn bootstraps_per_second(&self) -> f64 {
        self.bootstraps as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

type Observer<'a> = Box<dyn FnMut(Progress) -> ControlFlow<()> + 'a>;

/// Choices for one run; the default lets the engine choose.
#[derive(Default)]
pub struct RunOptions<'a> {
    form: Option<Form>,
    memory: Option<usize>,
    profile: bool,
    observer: Option<Observer<'a>>,
}

impl<'a> RunOptions<'a> {
    /// The engine's choice of everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs that form, instead of the one that takes fewer rounds on this backend.
    #[must_use]
    pub fn form(mut self, form: Form) -> Self {
        self.form = Some(form);
        self
    }

    /// Limits the backend's ciphertext buffers to that many bytes: rows are cut into chunks that fit.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Waits for the backend after every step, so that the times by kind are exact on asynchronous devices.
    #[must_use]
    pub fn profile(mut self, profile: bool) -> Self {
        self.profile = profile;
        self
    }

    /// Calls `observer` after every level; [`ControlFlow::Break`] cancels the run.
    #[must_use]
    pub fn observe(mut self, observer: impl FnMut(Progress) -> ControlFlow<()> + 'a) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }
}

impl std::fmt::Debug for RunOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunOptions")
            .field("form", &self.form)
            .field("memory", &self.memory)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

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
    /// [`Error::MissingInput`], [`Error::UnknownInput`], [`Error::TypeMismatch`], [`Error::ParameterMismatch`],
    /// [`Error::UncleanCiphertext`], [`Error::MemoryLimit`], or a device error. Nothing partial is returned.
    pub fn run(&self, program: &Program, batch: &Batch) -> Result<Batch> {
        self.run_with(program, batch, RunOptions::new()).map(|(outputs, _)| outputs)
    }

    /// [`Engine::run`] with options, and a report of what it did.
    ///
    /// # Errors
    /// As [`Engine::run`]; [`Error::Cancelled`] if the observer said so.
    pub fn run_with(&self, program: &Program, batch: &Batch, options: RunOptions<'_>) -> Result<(Batch, RunReport)> {
        let started = Instant::now();
        let inputs = self.inputs(program, batch)?;
        let rows = batch.rows();
        let properties = self.backend.properties();
        let form = match options.form {
            Some(form) => form,
            None => choose_form(program, rows, &properties)?,
        };
        let prepare = Instant::now();
        let loaded = self.load(program, form)?;
        let prepare = prepare.elapsed();
        let rows_per_chunk = rows_per_chunk(&loaded.plan, rows, self.scheme, options.memory, &properties)?;
        let mut run = Run::new(self, &loaded, program, inputs, rows, rows_per_chunk, options)?;
        let mut first = 0;
        while first < rows {
            first += run.chunk(first)?;
        }
        let mut report = run.report;
        report.form = form;
        report.prepare = prepare;
        report.elapsed = started.elapsed();
        let outputs = self.outputs(program, &loaded.plan, run.outputs)?;
        tracing::debug!(?report, "run finished");
        Ok((outputs, report))
    }

    /// The columns of the program's inputs, in order, after checking that they fit.
    fn inputs<'b>(&self, program: &Program, batch: &'b Batch) -> Result<Vec<&'b Column>> {
        let graph = program.graph();
        let names = || graph.inputs().iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", ");
        if let Some(name) = batch.names().find(|name| graph.inputs().iter().all(|port| port.name != *name)) {
            return Err(Error::UnknownInput { name: name.to_owned(), inputs: names() });
        }
        let column = |port: &crate::program::graph::Port| {
            let (name, ty) = (&port.name, graph.ty(port.node));
            let missing = |_| Error::MissingInput { name: name.clone(), ty };
            let column = batch.column(name).map_err(missing)?;
            if column.ty() != ty {
                return Err(Error::TypeMismatch { name: name.clone(), found: column.ty(), expected: ty });
            }
            self.scheme.expect("the evaluation key", column.scheme(), || format!("input `{name}`"))?;
            column.expect_clean(name)?;
            Ok(column)
        };
        graph.inputs().iter().map(column).collect()
    }

    fn outputs(&self, program: &Program, plan: &Plan, words: Vec<Vec<u64>>) -> Result<Batch> {
        let graph = program.graph();
        let mut blocks = plan.output_blocks.iter();
        let mut outputs = Batch::new();
        for (port, words) in graph.outputs().iter().zip(words) {
            let ty = graph.ty(port.node);
            let infos = blocks.by_ref().take(ty.blocks());
            let infos = infos.map(|block| BlockInfo { degree: block.degree, noise_norm2: block.norm2 }).collect();
            outputs.insert(&port.name, Column::from_words(ty, self.scheme, words, infos)?)?;
        }
        Ok(outputs)
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

/// The form that takes fewer rounds for that many rows; the one with fewer bootstraps if they are equal.
fn choose_form(program: &Program, rows: usize, properties: &Properties) -> Result<Form> {
    let rounds = |form| Ok::<_, Error>(program.plan(form)?.rounds(rows, properties.parallelism));
    Ok(if rounds(Form::Latency)? < rounds(Form::Throughput)? { Form::Latency } else { Form::Throughput })
}

/// As many rows as keep the machine busy at the program's mean width, and as the memory limit allows.
fn rows_per_chunk(
    plan: &Plan,
    rows: usize,
    scheme: Scheme,
    memory: Option<usize>,
    properties: &Properties,
) -> Result<usize> {
    let (limit, needed) = (memory.unwrap_or(properties.memory), plan.bytes_per_row(scheme));
    if needed > limit {
        return Err(Error::MemoryLimit { needed, limit });
    }
    let counts = plan.statistics();
    let mean_width = counts.bootstraps.div_ceil(counts.levels.max(1)).max(1);
    let busy = properties.batch.div_ceil(mean_width);
    Ok(busy.min(limit / needed.max(1)).clamp(1, rows.max(1)))
}

/// The state of one run: buffers for one chunk of rows, and the outputs of the rows that are done.
struct Run<'a, B: Backend> {
    engine: &'a Engine<B>,
    loaded: &'a Loaded<B>,
    inputs: Vec<&'a Column>,
    options: RunOptions<'a>,
    slots: B::Ciphertexts,
    forms: B::Ciphertexts,
    switched: B::Switched,
    staging: Vec<u64>,
    /// Per output: words of all rows, `[row][block][word]`.
    outputs: Vec<Vec<u64>>,
    output_blocks: Vec<usize>,
    rows: usize,
    rows_per_chunk: usize,
    total: u64,
    report: RunReport,
}

impl<'a, B: Backend> Run<'a, B> {
    fn new(
        engine: &'a Engine<B>,
        loaded: &'a Loaded<B>,
        program: &Program,
        inputs: Vec<&'a Column>,
        rows: usize,
        rows_per_chunk: usize,
        options: RunOptions<'a>,
    ) -> Result<Self> {
        let plan = &loaded.plan;
        let counts = plan.statistics();
        let widest = plan.levels.iter().map(|level| level.forms.len()).max().unwrap_or(0);
        let words = engine.scheme.ciphertext_words();
        let chunk = rows_per_chunk.min(rows);
        let ports = program.graph().outputs();
        let output_blocks: Vec<usize> = ports.iter().map(|port| program.graph().ty(port.node).blocks()).collect();
        Ok(Self {
            slots: engine.backend.allocate(&engine.key, plan.slots * chunk)?,
            forms: engine.backend.allocate(&engine.key, widest.max(plan.outputs.len()) * chunk)?,
            switched: engine.backend.allocate_switched(&engine.key, widest * chunk)?,
            staging: vec![0; words * chunk],
            outputs: output_blocks.iter().map(|blocks| vec![0; blocks * words * rows]).collect(),
            output_blocks,
            engine,
            loaded,
            inputs,
            options,
            rows,
            rows_per_chunk,
            total: (counts.bootstraps * rows) as u64,
            report: RunReport {
                form: Form::Throughput,
                rows,
                rows_per_chunk,
                buffer_bytes: plan.bytes_per_row(engine.scheme) * chunk,
                bootstraps: 0,
                keyswitches: 0,
                levels: counts.levels,
                elapsed: Duration::ZERO,
                prepare: Duration::ZERO,
                transfer: Duration::ZERO,
                linear: Duration::ZERO,
                keyswitch: Duration::ZERO,
                bootstrap: Duration::ZERO,
            },
        })
    }

    /// Runs one chunk of rows from `first` on; returns how many.
    fn chunk(&mut self, first: usize) -> Result<usize> {
        let rows = self.rows_per_chunk.min(self.rows - first);
        let (engine, loaded) = (self.engine, self.loaded);
        let backend = &*engine.backend;
        let started = Instant::now();
        self.upload(first, rows)?;
        self.report.transfer += self.settle(started)?;
        for (level, (forms, lookups)) in loaded.plan.levels.iter().zip(&loaded.levels) {
            let started = Instant::now();
            backend.linear(forms, rows, &self.slots, &mut self.forms)?;
            self.report.linear += self.settle(started)?;

            let started = Instant::now();
            backend.keyswitch(&engine.key, level.forms.len() * rows, &self.forms, &mut self.switched)?;
            self.report.keyswitch += self.settle(started)?;

            let started = Instant::now();
            backend.bootstrap(&engine.key, &loaded.tables, lookups, rows, &self.switched, &mut self.slots)?;
            self.report.bootstrap += self.settle(started)?;

            self.report.keyswitches += (level.forms.len() * rows) as u64;
            self.report.bootstraps += (level.lookups.len() * rows) as u64;
            self.observe(first)?;
        }
        let started = Instant::now();
        backend.linear(&loaded.outputs, rows, &self.slots, &mut self.forms)?;
        self.download(first, rows)?;
        self.report.transfer += self.settle(started)?;
        self.observe(first + rows)?;
        Ok(rows)
    }

    fn settle(&self, started: Instant) -> Result<Duration> {
        if self.options.profile {
            self.engine.backend.synchronize()?;
        }
        Ok(started.elapsed())
    }

    fn observe(&mut self, rows: usize) -> Result<()> {
        let (bootstraps, total) = (self.report.bootstraps, self.total);
        let Some(observer) = &mut self.options.observer else { return Ok(()) };
        match observer(Progress { bootstraps, total, rows }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Cancelled { bootstraps, total }),
        }
    }

    /// Columns are stored row by row, slots block by block: gathers each block of the chunk's rows.
    fn upload(&mut self, first: usize, rows: usize) -> Result<()> {
        let words = self.engine.scheme.ciphertext_words();
        for (column, slots) in self.inputs.iter().zip(&self.loaded.plan.inputs) {
            for (block, slot) in slots.iter().enumerate() {
                let Some(slot) = slot else { continue };
                for (row, staged) in self.staging.chunks_exact_mut(words).take(rows).enumerate() {
                    staged.copy_from_slice(column.block(first + row, block));
                }
                let staged = &self.staging[..rows * words];
                self.engine.backend.upload(staged, &mut self.slots, *slot as usize * rows)?;
            }
        }
        Ok(())
    }

    fn download(&mut self, first: usize, rows: usize) -> Result<()> {
        let words = self.engine.scheme.ciphertext_words();
        let mut form = 0;
        for (output, &blocks) in self.outputs.iter_mut().zip(&self.output_blocks) {
            for block in 0..blocks {
                let staged = &mut self.staging[..rows * words];
                self.engine.backend.download(&self.forms, form * rows..(form + 1) * rows, staged)?;
                for (row, staged) in staged.chunks_exact(words).enumerate() {
                    let at = ((first + row) * blocks + block) * words;
                    output[at..at + words].copy_from_slice(staged);
                }
                form += 1;
            }
        }
        Ok(())
    }
}
