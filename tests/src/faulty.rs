//! A simulation that is slow, or fails, when it is told to: for what has to hold when devices differ.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fhe_core::backend::Properties;
use fhe_core::keys::EvaluationKey;
use fhe_core::lookup::{LinearForms, Lookup, LookupTable};
use fhe_core::simulate::SimulationBackend;
use fhe_core::{Backend, Error, Result};

/// A [`SimulationBackend`] with a name, a pace and a last call.
#[derive(Debug)]
pub struct FaultyBackend {
    inner: SimulationBackend,
    name: &'static str,
    pace: Duration,
    /// Bootstrap calls that succeed.
    left: AtomicUsize,
    parallelism: usize,
}

impl FaultyBackend {
    /// A backend without faults.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        let inner = SimulationBackend::new();
        Self { inner, name, pace: Duration::ZERO, left: AtomicUsize::new(usize::MAX), parallelism: 64 }
    }

    /// Takes so long for every row of a bootstrap call.
    #[must_use]
    pub fn pace(mut self, pace: Duration) -> Self {
        self.pace = pace;
        self
    }

    /// Fails at the bootstrap call after so many.
    #[must_use]
    pub fn failing_after(mut self, calls: usize) -> Self {
        self.left = AtomicUsize::new(calls);
        self
    }

    /// Claims to do so many bootstraps at once.
    #[must_use]
    pub fn parallelism(mut self, parallelism: usize) -> Self {
        self.parallelism = parallelism;
        self
    }
}

impl Backend for FaultyBackend {
    type Key = <SimulationBackend as Backend>::Key;
    type Forms = <SimulationBackend as Backend>::Forms;
    type Tables = <SimulationBackend as Backend>::Tables;
    type Lookups = <SimulationBackend as Backend>::Lookups;
    type Ciphertexts = <SimulationBackend as Backend>::Ciphertexts;
    type Switched = <SimulationBackend as Backend>::Switched;

    fn properties(&self) -> Properties {
        Properties { device: self.name.to_owned(), parallelism: self.parallelism, ..self.inner.properties() }
    }

    fn load_key(&self, key: &EvaluationKey) -> Result<Self::Key> {
        self.inner.load_key(key)
    }

    fn load_forms(&self, forms: &LinearForms) -> Result<Self::Forms> {
        self.inner.load_forms(forms)
    }

    fn load_tables(&self, key: &Self::Key, tables: &[LookupTable]) -> Result<Self::Tables> {
        self.inner.load_tables(key, tables)
    }

    fn load_lookups(&self, tables: &Self::Tables, lookups: &[Lookup]) -> Result<Self::Lookups> {
        self.inner.load_lookups(tables, lookups)
    }

    fn allocate(&self, key: &Self::Key, count: usize) -> Result<Self::Ciphertexts> {
        self.inner.allocate(key, count)
    }

    fn allocate_switched(&self, key: &Self::Key, count: usize) -> Result<Self::Switched> {
        self.inner.allocate_switched(key, count)
    }

    fn upload(&self, words: &[u64], target: &mut Self::Ciphertexts, at: usize) -> Result<()> {
        self.inner.upload(words, target, at)
    }

    fn download(&self, source: &Self::Ciphertexts, range: Range<usize>, words: &mut [u64]) -> Result<()> {
        self.inner.download(source, range, words)
    }

    fn download_switched(&self, source: &Self::Switched, range: Range<usize>) -> Result<Vec<u16>> {
        self.inner.download_switched(source, range)
    }

    fn linear(
        &self,
        forms: &Self::Forms,
        rows: usize,
        source: &Self::Ciphertexts,
        target: &mut Self::Ciphertexts,
    ) -> Result<()> {
        self.inner.linear(forms, rows, source, target)
    }

    fn keyswitch(
        &self,
        key: &Self::Key,
        count: usize,
        source: &Self::Ciphertexts,
        target: &mut Self::Switched,
    ) -> Result<()> {
        self.inner.keyswitch(key, count, source, target)
    }

    fn bootstrap(
        &self,
        key: &Self::Key,
        tables: &Self::Tables,
        lookups: &Self::Lookups,
        rows: usize,
        source: &Self::Switched,
        target: &mut Self::Ciphertexts,
    ) -> Result<()> {
        let spend = |left: usize| left.checked_sub(1);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_err() {
            let (device, reason) = (self.name.to_owned(), "as it was told to".to_owned());
            return Err(Error::Device { device, call: "bootstrap", reason });
        }
        std::thread::sleep(self.pace * rows as u32);
        self.inner.bootstrap(key, tables, lookups, rows, source, target)
    }

    fn synchronize(&self) -> Result<()> {
        self.inner.synchronize()
    }
}
