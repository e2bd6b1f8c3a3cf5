//! Programs: traced once, compiled to levels of independent bootstraps, run over any number of rows.

pub mod graph;
mod lower;
mod trace;

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::circuit::{Plan, Statistics};
use crate::error::{Error, Result};
use crate::file::{self, Kind};
pub use crate::integer::Form;
pub use graph::Graph;
pub use trace::{Amount, Encrypted, Operand, Trace};

/// How noisy the outputs of a program may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OutputNoise {
    /// Outputs have no more noise than fresh ciphertexts: other programs and the `tfhe` crate's own operations can go on
    /// with them. Costs one bootstrap for every block that the last operation left with more noise, after `select` for
    /// example. Blocks may be one and the same ciphertext, as the upper ones of a value whose sign was extended, or have
    /// noise in common: what that means for the next program stands in `docs/noise.md`.
    #[default]
    Nominal,
    /// Outputs keep the noise that the last operation left, which is always in the bounds for decryption and is stated
    /// truthfully in the ciphertexts. For outputs that are decrypted next.
    AsComputed,
}

/// What can be chosen when a program is traced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProgramOptions {
    /// How noisy the outputs may be.
    pub output_noise: OutputNoise,
}

/// A traced program: immutable, cheap to clone, independent of keys, backends and batch sizes.
///
/// Both of its forms are compiled at most once, then shared by all engines. Printing a program lists its operations
/// and the size of each form.
///
/// ```
/// use fhe_core::{Form, Program};
/// let program = Program::trace(|t| {
///     let (a, b) = (t.input::<u64>("a"), t.input::<u64>("b"));
///     t.output("sum", &(&a + &b));
/// })?;
/// assert_eq!(program.statistics(Form::Throughput)?.bootstraps, 32);
/// # Ok::<(), fhe_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Program {
    inner: Arc<Inner>,
}

struct Inner {
    graph: Graph,
    options: ProgramOptions,
    id: [u8; 32],
    plans: [OnceLock<Arc<Plan>>; 2],
}

/// What is written to a program's file.
#[derive(Serialize, Deserialize)]
struct Stored {
    graph: Graph,
    options: ProgramOptions,
}

impl Program {
    /// Traces `code`: everything that it declares on the [`Trace`] becomes the program.
    ///
    /// # Errors
    /// The first error of the trace (a name used twice, a value of another trace, ...), [`Error::NoOutputs`], or a
    /// broken noise or degree bound, naming the operation.
    pub fn trace(code: impl FnOnce(&Trace)) -> Result<Self> {
        Self::trace_with(ProgramOptions::default(), code)
    }

    /// [`Program::trace`] with options.
    ///
    /// # Errors
    /// As [`Program::trace`].
    pub fn trace_with(options: ProgramOptions, code: impl FnOnce(&Trace)) -> Result<Self> {
        let trace = Trace::default();
        code(&trace);
        Self::from_graph(trace.finish()?, options)
    }

    /// A program from a graph that was built by hand.
    ///
    /// # Errors
    /// As [`Graph::validate`]; a broken noise or degree bound.
    pub fn from_graph(graph: Graph, options: ProgramOptions) -> Result<Self> {
        let stored = Stored { graph: graph.validate()?, options };
        let bytes = encode(&stored)?;
        let Stored { graph, options } = stored;
        let id = *blake3::hash(&bytes).as_bytes();
        let program = Self { inner: Arc::new(Inner { graph, options, id, plans: Default::default() }) };
        program.plan(Form::Throughput)?;
        Ok(program)
    }

    /// The traced operations.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.inner.graph
    }

    /// The options it was traced with.
    #[must_use]
    pub fn options(&self) -> ProgramOptions {
        self.inner.options
    }

    /// A digest of operations and options: equal for equal programs.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        self.inner.id
    }

    /// The compiled form.
    ///
    /// # Errors
    /// A broken noise or degree bound, naming the operation.
    pub fn plan(&self, form: Form) -> Result<Arc<Plan>> {
        let cell = &self.inner.plans[form as usize];
        if let Some(plan) = cell.get() {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(lower::compile(&self.inner.graph, self.inner.options, form)?);
        Ok(Arc::clone(cell.get_or_init(|| plan)))
    }

    /// Size of the compiled form.
    ///
    /// # Errors
    /// As [`Program::plan`].
    pub fn statistics(&self, form: Form) -> Result<Statistics> {
        Ok(self.plan(form)?.statistics())
    }

    /// The program as bytes, for [`Program::from_bytes`] on any machine and backend.
    ///
    /// # Errors
    /// [`Error::Io`] if that is more than 16 MiB, which [`Program::from_bytes`] would refuse: every element of a sorted
    /// or written array names all of its elements.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let stored = Stored { graph: self.inner.graph.clone(), options: self.inner.options };
        let mut bytes = Vec::new();
        file::write(&mut bytes, Kind::Program, &stored, 0, |_| Ok(()))?;
        Ok(bytes)
    }

    /// Reads a program and checks it as if it had been traced.
    ///
    /// # Errors
    /// [`Error::Malformed`] for anything but the bytes of a program; errors as [`Program::trace`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let stored = file::read(bytes, Kind::Program, |stored: Stored, _| Ok(stored))?;
        Self::from_graph(stored.graph, stored.options)
    }
}

fn encode(stored: &Stored) -> Result<Vec<u8>> {
    postcard::to_allocvec(stored).map_err(|error| Error::malformed("program", error))
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("inputs", &self.inner.graph.inputs())
            .field("outputs", &self.inner.graph.outputs())
            .field("nodes", &self.inner.graph.nodes().len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Program {
    /// The listing of operations, then one line per form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner.graph)?;
        for form in [Form::Throughput, Form::Latency] {
            let Ok(plan) = self.plan(form) else { continue };
            let counts = plan.statistics();
            let scheme = crate::Scheme::Encrypted(crate::ParameterSet::default());
            writeln!(
                f,
                "{:<10} {} bootstraps ({} tables, {} keyswitches) in {} levels of at most {}, {:.1} MB per row",
                format!("{form:?}:").to_lowercase(),
                counts.bootstraps,
                counts.lookups,
                counts.keyswitches,
                counts.levels,
                counts.width,
                plan.bytes_per_row(scheme) as f64 / 1e6,
            )?;
        }
        Ok(())
    }
}
