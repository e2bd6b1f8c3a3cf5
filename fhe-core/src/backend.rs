//! The trait that a machine implements to run programs: batched linear forms, keyswitches and bootstraps.
//!
//! # Shapes
//! Ciphertexts live in buffers that belong to the backend. A buffer of `slots × rows` ciphertexts keeps slot s of
//! row r at index `s·rows + r`: one slot is the same block of every row, and all rows go through each step together.
//! A block at rest is an LWE ciphertext under the big key, [`Scheme::ciphertext_words`] torus words: kN mask words, then
//! the body b = <a, s> + m·Δ + e. A switched ciphertext is the same message under the small key of dimension n, already
//! reduced modulo 2N; its form in memory is the backend's own.
//!
//! # Contract
//! * Results are visible to later calls in call order, from whatever thread they are made.
//! * Only [`download`](Backend::download), [`download_switched`](Backend::download_switched) and
//!   [`synchronize`](Backend::synchronize) block until the device is done; an error that a device reports late comes
//!   back from one of these or from the next call.
//! * [`linear`](Backend::linear) is exact modulo 2^64, bit for bit the same on every backend.
//! * [`bootstrap`](Backend::bootstrap) after [`keyswitch`](Backend::keyswitch) is exact after decryption, for an input
//!   whose noise has an l2 norm of at most [`ParameterSet::max_norm`](crate::ParameterSet::max_norm); the noise of an
//!   output has at most the variance that the parameter set was chosen for (measured against the `tfhe` crate's own).
//! * Arguments that do not fit are an [`Error::Shape`](crate::Error::Shape) before anything is written.
//! * A backend has no state outside its own value: any number of them, with any number of keys, work side by side.
//!
//! # What is not here
//! Whatever can be written with these methods: integers, programs, levels and memory plans exist once, above. An
//! operation is added only if it needs the machine.
//!
//! [`Scheme::ciphertext_words`]: crate::Scheme::ciphertext_words

pub mod check;

use std::fmt::Debug;
use std::ops::Range;

use crate::error::Result;
use crate::keys::EvaluationKey;
use crate::lookup::{LinearForms, Lookup, LookupTable};

/// What an engine needs to know of a backend to plan a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Properties {
    /// Short name for reports: `cpu`, `simulate`, `cuda`.
    pub name: &'static str,
    /// What it runs on, for people: instruction set and threads, or the card.
    pub device: String,
    /// Bootstraps that run side by side: with fewer at once, part of the machine idles.
    pub parallelism: usize,
    /// What a level costs beside its bootstraps, however few they are, in percent of the time of one bootstrap. An
    /// engine weighs fewer levels against fewer bootstraps by it.
    pub level_overhead: usize,
    /// Bootstraps in one call beyond which throughput hardly rises: what an engine aims for when it cuts a batch into
    /// chunks of rows.
    pub batch: usize,
    /// Bytes of ciphertext buffers that a run may take unless the caller says otherwise.
    pub memory: usize,
}

/// A machine that evaluates batches. See the [module documentation](self) for shapes and contract.
pub trait Backend: Debug + Send + Sync + 'static {
    /// An evaluation key in the form that this backend reads.
    type Key: Debug + Send + Sync + 'static;
    /// A list of linear forms, resident.
    type Forms: Send + Sync + 'static;
    /// A list of tables, resident.
    type Tables: Send + Sync + 'static;
    /// A list of lookups, resident.
    type Lookups: Send + Sync + 'static;
    /// A buffer of ciphertexts under the big key.
    type Ciphertexts: Send + 'static;
    /// A buffer of keyswitched ciphertexts.
    type Switched: Send + 'static;

    /// Name, device and size of this machine.
    fn properties(&self) -> Properties;

    /// Converts an evaluation key once, for use by any number of runs.
    ///
    /// # Errors
    /// A key of the other [`Scheme`](crate::Scheme) kind, or too little memory.
    fn load_key(&self, key: &EvaluationKey) -> Result<Self::Key>;

    /// Makes linear forms resident.
    ///
    /// # Errors
    /// Too little memory.
    fn load_forms(&self, forms: &LinearForms) -> Result<Self::Forms>;

    /// Makes tables resident, as accumulator polynomials of the key's parameters.
    ///
    /// # Errors
    /// Too little memory.
    fn load_tables(&self, key: &Self::Key, tables: &[LookupTable]) -> Result<Self::Tables>;

    /// Makes lookups resident, after checking that they name tables that exist and extract inside a polynomial.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) for a table or box out of range.
    fn load_lookups(&self, tables: &Self::Tables, lookups: &[Lookup]) -> Result<Self::Lookups>;

    /// A buffer of `count` ciphertexts with unspecified contents.
    ///
    /// # Errors
    /// Too little memory.
    fn allocate(&self, key: &Self::Key, count: usize) -> Result<Self::Ciphertexts>;

    /// A buffer of `count` switched ciphertexts with unspecified contents.
    ///
    /// # Errors
    /// Too little memory.
    fn allocate_switched(&self, key: &Self::Key, count: usize) -> Result<Self::Switched>;

    /// Copies whole ciphertexts from the host to `target`, from index `at` on.
    ///
    /// # Errors
    /// `words` is no whole number of ciphertexts, or they do not fit.
    fn upload(&self, words: &[u64], target: &mut Self::Ciphertexts, at: usize) -> Result<()>;

    /// Copies the ciphertexts of `range` to the host, and waits for them.
    ///
    /// # Errors
    /// `range` or the length of `words` do not fit; or a device error of an earlier call.
    fn download(&self, source: &Self::Ciphertexts, range: Range<usize>, words: &mut [u64]) -> Result<()>;

    /// Copies switched ciphertexts to the host, `modulus 2N` words: n mask words, then the body, each in `0..2N`
    /// (only the body in a simulation). For tests and noise measurements.
    ///
    /// # Errors
    /// `range` does not fit; or a device error of an earlier call.
    fn download_switched(&self, source: &Self::Switched, range: Range<usize>) -> Result<Vec<u16>>;

    /// For every form i and row r: `target[i·rows + r] = Σ coefficient·source[slot·rows + r] + constant`, exactly.
    ///
    /// # Errors
    /// A slot or form lies outside its buffer.
    fn linear(
        &self,
        forms: &Self::Forms,
        rows: usize,
        source: &Self::Ciphertexts,
        target: &mut Self::Ciphertexts,
    ) -> Result<()>;

    /// Keyswitches the first `count` ciphertexts of `source` to the small key and switches them to the modulus 2N with
    /// the centred-mean correction of the body.
    ///
    /// # Errors
    /// `count` exceeds one of the buffers.
    fn keyswitch(
        &self,
        key: &Self::Key,
        count: usize,
        source: &Self::Ciphertexts,
        target: &mut Self::Switched,
    ) -> Result<()>;

    /// For every lookup l and row r: blindly rotates the table of l by `source[l.input·rows + r]` and writes, for each
    /// output o of l, coefficient `o.at·N/16` of the result to `target[o.slot·rows + r]`.
    ///
    /// # Errors
    /// An input or slot lies outside its buffer.
    fn bootstrap(
        &self,
        key: &Self::Key,
        tables: &Self::Tables,
        lookups: &Self::Lookups,
        rows: usize,
        source: &Self::Switched,
        target: &mut Self::Ciphertexts,
    ) -> Result<()>;

    /// Waits until all earlier calls are done.
    ///
    /// # Errors
    /// A device error of an earlier call.
    fn synchronize(&self) -> Result<()>;
}
