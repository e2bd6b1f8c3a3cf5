//! What a caller may choose about a run, and what is reported of it.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::program::Form;

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
    /// What each device did, where there are several: see [`Fleet`](super::Fleet). Empty for a single engine.
    pub devices: Vec<DeviceReport>,
}

/// The part of one device in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceReport {
    /// The device, as its [`Properties`](crate::backend::Properties) name it.
    pub device: String,
    /// What it did.
    pub report: RunReport,
}

impl RunReport {
    /// A report of nothing done yet.
    pub(super) fn new(form: Form, rows: usize) -> Self {
        Self {
            form,
            rows,
            rows_per_chunk: 0,
            buffer_bytes: 0,
            bootstraps: 0,
            keyswitches: 0,
            levels: 0,
            elapsed: Duration::ZERO,
            prepare: Duration::ZERO,
            transfer: Duration::ZERO,
            linear: Duration::ZERO,
            keyswitch: Duration::ZERO,
            bootstrap: Duration::ZERO,
            devices: Vec::new(),
        }
    }

    /// Bootstraps per second of the whole run.
    #[must_use]
    pub fn bootstraps_per_second(&self) -> f64 {
        self.bootstraps as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// Is told after every level how far a run has come, and says whether it goes on.
pub(super) type Observer<'a> = Box<dyn FnMut(Progress) -> ControlFlow<()> + 'a>;

/// Choices for one run; the default lets the engine choose.
#[derive(Default)]
pub struct RunOptions<'a> {
    pub(super) form: Option<Form>,
    pub(super) memory: Option<usize>,
    pub(super) profile: bool,
    pub(super) observer: Option<Observer<'a>>,
}

impl<'a> RunOptions<'a> {
    /// The engine's choice of everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs that form, instead of the one that takes less time on this backend by the counts of its plan.
    #[must_use]
    pub fn form(mut self, form: Form) -> Self {
        self.form = Some(form);
        self
    }

    /// Limits the ciphertext buffers of each backend to that many bytes: rows are cut into chunks that fit.
    ///
    /// Beside them a backend holds keys and tables, and what it works with: a CPU backend up to 64 MiB of results of
    /// bootstraps (more where bootstraps have several outputs).
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

    /// Calls `observer` after every level, on the thread that runs the program; [`ControlFlow::Break`] cancels the run.
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
