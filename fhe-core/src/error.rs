//! The one error type of the library: every variant carries the fields that its message names.

use std::fmt;

use crate::types::Type;

/// Result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong, with the values a caller needs to mend it.
///
/// What depends on the caller is one of these: no public function panics on bad arguments, but for the few that say so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The parameter set is none of those that the backends evaluate.
    #[error("unsupported parameter set ({found}): supported are {supported}")]
    UnsupportedParameters {
        /// What was offered, in short.
        found: String,
        /// The names of the supported sets, comma separated.
        supported: String,
    },

    /// A key, a ciphertext or a backend buffer belong to different parameter sets.
    #[error("{what} uses the parameters {found}, but {expected_by} uses {expected}")]
    ParameterMismatch {
        /// The offending object, for example "input `amount`".
        what: String,
        /// Its parameter set.
        found: String,
        /// The object it has to agree with.
        expected_by: &'static str,
        /// The parameter set of that object.
        expected: String,
    },

    /// Bytes that are not a complete, undamaged object of the expected kind.
    #[error("cannot read {what}: {reason}")]
    Malformed {
        /// The kind of object that was expected.
        what: &'static str,
        /// Why the bytes are refused.
        reason: String,
    },

    /// Reading or writing failed.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was being done, for example "write a batch".
        action: &'static str,
        /// The operating system's answer.
        #[source]
        source: std::io::Error,
    },

    /// A program was asked to run without one of its inputs.
    #[error("input `{name}` of type {ty} is missing from the batch")]
    MissingInput {
        /// Name of the input.
        name: String,
        /// Its type in the program.
        ty: Type,
    },

    /// A batch holds a column that the program does not read.
    #[error("the batch has a column `{name}`, which is no input of the program (inputs: {inputs})")]
    UnknownInput {
        /// Name of the column.
        name: String,
        /// The names of the program's inputs, comma separated.
        inputs: String,
    },

    /// A value has another type than its place asks for.
    #[error("`{name}` has type {found}, expected {expected}")]
    TypeMismatch {
        /// Name of the input, output or column.
        name: String,
        /// Type it has.
        found: Type,
        /// Type that is expected.
        expected: Type,
    },

    /// The columns of a batch differ in their number of rows.
    #[error("column `{name}` has {found} rows, the batch has {expected}")]
    RowCount {
        /// Name of the column.
        name: String,
        /// Rows in the column.
        found: usize,
        /// Rows in the batch.
        expected: usize,
    },

    /// A name is empty or used twice.
    #[error("the name `{name}` is {problem}")]
    BadName {
        /// The name.
        name: String,
        /// "empty" or "used twice".
        problem: &'static str,
    },

    /// A batch has no column of that name.
    #[error("no column `{name}` in the batch (columns: {columns})")]
    NoSuchColumn {
        /// The name asked for.
        name: String,
        /// The names there are, comma separated.
        columns: String,
    },

    /// An incoming block is not clean: it carries more than its message or more than nominal noise.
    #[error(
        "`{name}`, row {row}, block {block}: degree {degree} and noise level {noise_level}, but inputs must be \
         clean (degree at most {max_degree}, noise level at most 1); clean it on the side that made it"
    )]
    UncleanCiphertext {
        /// Name or description of the ciphertext.
        name: String,
        /// Row, from 0.
        row: usize,
        /// Block, least significant first, from 0.
        block: usize,
        /// Degree found: the largest value that the block may hold.
        degree: u64,
        /// Noise level found, in the `tfhe` crate's unit.
        noise_level: u64,
        /// Largest degree allowed.
        max_degree: u64,
    },

    /// The linear form in front of a bootstrap is noisier than the parameters allow.
    #[error("noise of `{operation}`: l2 norm {norm:.2} exceeds {max:.2} and cannot be refreshed")]
    NoiseTooHigh {
        /// The operation of the program that asked for the bootstrap.
        operation: String,
        /// Its l2 norm, in standard deviations of one bootstrap output.
        norm: f64,
        /// The largest norm of the parameter set.
        max: f64,
    },

    /// The values that reach a lookup table do not fit into it.
    #[error(
        "degree of `{operation}`: values {low}..={high} do not fit a table of {boxes} entries \
         (nor twice as many with a negacyclic function)"
    )]
    DegreeTooHigh {
        /// The operation of the program that asked for the table.
        operation: String,
        /// Smallest value.
        low: i64,
        /// Largest value.
        high: i64,
        /// Number of boxes of a table.
        boxes: usize,
    },

    /// A value of one trace was used in another.
    #[error("a value of another trace was used in `{operation}`")]
    ForeignValue {
        /// The operation that used it.
        operation: &'static str,
    },

    /// Operands that do not go together, found while tracing.
    #[error("`{operation}`: {reason}")]
    InvalidOperand {
        /// The operation that was traced.
        operation: String,
        /// What is wrong with which operand.
        reason: String,
    },

    /// A program without outputs computes nothing.
    #[error("the program has no outputs")]
    NoOutputs,

    /// Not even one row fits the memory limit.
    #[error("one row of this program needs {needed} bytes, the memory limit is {limit}")]
    MemoryLimit {
        /// Bytes for one row.
        needed: usize,
        /// The limit.
        limit: usize,
    },

    /// A backend method was called with a buffer, index list or slice that does not fit.
    #[error("{what}: {found} given, {expected} needed")]
    Shape {
        /// What has the wrong size or refers out of range.
        what: &'static str,
        /// Size or index found.
        found: usize,
        /// Size or bound expected.
        expected: usize,
    },

    /// In a simulation, a value left the domain that the compiler had computed for a table.
    #[error("simulated value {value} is outside the {domain} entries of its table (row {row}, lookup {lookup})")]
    OutsideDomain {
        /// The value, in units of the message.
        value: i64,
        /// Number of valid entries.
        domain: usize,
        /// Row, from 0.
        row: usize,
        /// Index of the lookup in its list.
        lookup: usize,
    },

    /// The caller cancelled the run.
    #[error("the run was cancelled after {bootstraps} of {total} bootstraps")]
    Cancelled {
        /// Bootstraps that were done.
        bootstraps: u64,
        /// Bootstraps of the whole run.
        total: u64,
    },

    /// The backend needs something that this machine does not have.
    #[error("{what} is not available: {reason}")]
    Unavailable {
        /// What was asked for, for example "AVX-512".
        what: String,
        /// Why it cannot be had.
        reason: String,
    },

    /// A backend's device reported an error.
    #[error("{device}: {call} failed: {reason}")]
    Device {
        /// The device.
        device: String,
        /// The call that failed.
        call: &'static str,
        /// The driver's text.
        reason: String,
    },

    /// One of several devices failed.
    #[error("{device}: {source}")]
    OnDevice {
        /// The device.
        device: String,
        /// What failed there.
        source: Box<Error>,
    },
}

impl Error {
    pub(crate) fn malformed(what: &'static str, reason: impl fmt::Display) -> Self {
        Self::Malformed { what, reason: reason.to_string() }
    }

    pub(crate) fn io(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}
