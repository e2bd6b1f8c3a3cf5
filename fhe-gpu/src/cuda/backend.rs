//! The CUDA backend: [`Backend`] over the kernels of one card.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use fhe_core::backend::Properties;
use fhe_core::backend::check::{same_size, sub_range};
use fhe_core::keys::EvaluationKey;
use fhe_core::lookup::{LinearForms, Lookup, LookupTable};
use fhe_core::{Backend, Error, Result};

use super::buffer::Buffer;
use super::device::{Argument, Card, Grid};
use super::kernels::KernelFacts;
use super::key::{CudaKey, KEYSWITCH_ROW_BYTES, N, Twiddles};
use super::options::{BlindRotation, CudaOptions};
use super::plan::{parallelism, plan_launch, plan_product};
use super::resident::{CudaForms, CudaLookups, CudaTables};
use crate::driver;

/// Full waves of a card in one call, beyond which a partly filled last wave costs little.
const WAVES: usize = 4;

/// Evaluates on one NVIDIA card; any number of backends may share it, from any number of threads.
///
/// Order, memory and kernels are described at the head of `fhe-gpu/src/cuda/mod.rs`.
pub struct CudaBackend {
    card: Arc<Card>,
    twiddles: Twiddles,
    options: CudaOptions,
}

impl CudaBackend {
    /// On the card of that number, with the default options.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if there is no driver or no such card, if the card is too old for the kernels or the
    /// driver for their PTX; [`Error::Device`] if the driver fails.
    pub fn new(ordinal: usize) -> Result<Self> {
        Self::with_options(ordinal, CudaOptions::default())
    }

    /// On the card of that number.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::Unavailable`] for a kernel that the card cannot run.
    pub fn with_options(ordinal: usize, options: CudaOptions) -> Result<Self> {
        let card = Arc::new(Card::open(ordinal, &options)?);
        let backend = Self { twiddles: Twiddles::new(&card)?, card, options };
        if backend.launch(1).is_none() {
            let ((major, minor), wanted) = (backend.card.info.compute_capability, backend.options.blind_rotation);
            return Err(Error::Unavailable {
                what: format!("blind rotation ({wanted}) on {}", backend.card.name()),
                reason: format!("compute capability {major}.{minor} lacks the instructions or the shared memory"),
            });
        }
        let kernels: Vec<String> = backend.card.kernels.candidates.iter().map(|c| c.kind.to_string()).collect();
        tracing::debug!(card = backend.card.name(), limit = backend.card.available(), ?kernels, "card opened");
        Ok(backend)
    }

    /// On every card that is new enough, at least one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if there is none, with the reason; otherwise as [`new`](Self::new), for the first card
    /// that fails.
    pub fn all() -> Result<Vec<Self>> {
        let none = |reason: String| Error::Unavailable { what: "a CUDA device".to_owned(), reason };
        let devices = driver::devices().map_err(|reason| none(reason.to_string()))?;
        let supported: Vec<_> = devices.iter().filter(|device| device.is_supported()).collect();
        if supported.is_empty() {
            let found: Vec<String> = devices.iter().map(ToString::to_string).collect();
            let (major, minor) = crate::MIN_COMPUTE_CAPABILITY;
            let reason = format!("the kernels need compute capability {major}.{minor}, found {}", found.join("; "));
            return Err(none(reason));
        }
        supported.into_iter().map(|device| Self::new(device.ordinal)).collect()
    }

    /// The card.
    #[must_use]
    pub fn device(&self) -> &crate::Device {
        &self.card.info
    }

    /// What the driver's compiler made of the kernels that this card runs.
    pub fn kernels(&self) -> impl Iterator<Item = KernelFacts> {
        self.card.kernels.facts()
    }

    /// The kernel that rotates `ciphertexts` ciphertexts in one call.
    #[must_use]
    pub fn blind_rotation(&self, ciphertexts: usize) -> BlindRotation {
        // `with_options` made sure that there is a launch.
        self.launch(ciphertexts.clamp(1, u32::MAX as usize) as u32).map_or(BlindRotation::Auto, |launch| launch.kind)
    }

    fn launch(&self, jobs: u32) -> Option<super::plan::Launch> {
        let candidates = &self.card.kernels.candidates;
        plan_launch(self.card.multiprocessors, candidates, self.options.blind_rotation, jobs)
    }

    /// Digits, product and modulus switch of `rows` rows from row `first` on.
    fn keyswitch_rows(
        &self,
        key: &CudaKey,
        first: usize,
        rows: usize,
        source: &CudaCiphertexts,
        target: &CudaSwitched,
    ) -> Result<()> {
        let (card, shape) = (&self.card, &key.shape);
        let (depth, columns) = (shape.depth() as u32, shape.columns as u32);
        let digits = Buffer::<i8>::new(card, rows * shape.depth())?;
        let mut sums = Buffer::<u32>::new(card, rows * shape.columns)?;
        let (from, to) = (source.words.at(first * source.size), target.words.at(first * target.size));
        let count = rows as u32;
        sums.zero(rows * shape.columns)?;

        let blocks = (rows * N).div_ceil(card.kernels.decompose.threads as usize) as u32;
        let arguments = [from, digits.at(0), number(count), number(shape.base_log), number(shape.levels as u32)];
        // SAFETY: arguments as `keyswitch_decompose` defines them. `source` has `rows` rows of N + 1 words from `first`
        // on, which the caller checked, and `digits` has room for all.
        unsafe { card.launch(&card.kernels.decompose, Grid(blocks, 1, 1), &arguments)? };

        let product = plan_product(card.multiprocessors, count, depth, columns);
        let kernel = if product.tile == 16 { &card.kernels.product_16 } else { &card.kernels.product_128 };
        let (across, down, slices) = product.grid;
        let arguments = [
            digits.at(0),
            key.keyswitching_key.at(0),
            sums.at(0),
            number(count),
            number(depth),
            number(columns),
            number(product.slice),
        ];
        // SAFETY: arguments as `keyswitch_product` defines them, with the sizes that `digits`, key and `sums` have.
        unsafe { card.launch(kernel, Grid(across, down, slices), &arguments)? };

        let arguments = [sums.at(0), from, to, number(count), number(shape.n as u32), number(columns)];
        // SAFETY: arguments as `modulus_switch` defines them; `target` has `rows` rows of n + 1 words from `first` on,
        // which the caller checked, and shares no memory with the others.
        unsafe { card.launch(&card.kernels.modulus_switch, Grid(count, 1, 1), &arguments) }
    }
}

fn number(number: u32) -> Argument {
    Argument::Number(number)
}

/// A count as a kernel's argument.
fn count(what: &'static str, count: usize) -> Result<u32> {
    // Kernels number blocks with 31 bits.
    let largest = i32::MAX as usize;
    if count <= largest { Ok(count as u32) } else { Err(Error::Shape { what, found: count, expected: largest }) }
}

impl fmt::Debug for CudaBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CudaBackend")
            .field("card", &self.card.name())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Ciphertexts under the big key, `[ciphertext][N + 1]` torus words on the card.
pub struct CudaCiphertexts {
    words: Buffer<u64>,
    size: usize,
}

impl CudaCiphertexts {
    fn len(&self) -> usize {
        self.words.len() / self.size
    }
}

/// Keyswitched ciphertexts, `[ciphertext][n + 1]` words modulo 2N on the card.
pub struct CudaSwitched {
    words: Buffer<u16>,
    size: usize,
}

impl CudaSwitched {
    fn len(&self) -> usize {
        self.words.len() / self.size
    }
}

impl Backend for CudaBackend {
    type Key = CudaKey;
    type Forms = CudaForms;
    type Tables = CudaTables;
    type Lookups = CudaLookups;
    type Ciphertexts = CudaCiphertexts;
    type Switched = CudaSwitched;

    fn properties(&self) -> Properties {
        let (card, (major, minor)) = (&self.card, self.card.info.compute_capability);
        let parallelism = parallelism(card.multiprocessors, &card.kernels.candidates) as usize;
        Properties {
            name: "cuda",
            device: format!("{}, {} SMs, compute {major}.{minor}", card.name(), card.multiprocessors),
            parallelism,
            level_overhead: 0,
            batch: WAVES * parallelism,
            // Blocks are up to an eighth larger than what is asked for, and the keyswitch needs room to work.
            memory: (card.available() / 9 * 8).saturating_sub(self.options.keyswitch_rows * KEYSWITCH_ROW_BYTES),
        }
    }

    fn load_key(&self, key: &EvaluationKey) -> Result<CudaKey> {
        CudaKey::load(&self.card, &self.twiddles, key)
    }

    fn load_forms(&self, forms: &LinearForms) -> Result<CudaForms> {
        CudaForms::load(&self.card, forms)
    }

    fn load_tables(&self, key: &CudaKey, tables: &[LookupTable]) -> Result<CudaTables> {
        self.card.expect(key.keyswitching_key.card())?;
        CudaTables::load(&self.card, tables)
    }

    fn load_lookups(&self, tables: &CudaTables, lookups: &[Lookup]) -> Result<CudaLookups> {
        CudaLookups::load(&self.card, tables.count, lookups)
    }

    fn allocate(&self, key: &CudaKey, count: usize) -> Result<CudaCiphertexts> {
        let size = key.shape.big_size();
        Ok(CudaCiphertexts { words: Buffer::new(&self.card, count.saturating_mul(size))?, size })
    }

    fn allocate_switched(&self, key: &CudaKey, count: usize) -> Result<CudaSwitched> {
        let size = key.shape.small_size();
        Ok(CudaSwitched { words: Buffer::new(&self.card, count.saturating_mul(size))?, size })
    }

    fn upload(&self, words: &[u64], target: &mut CudaCiphertexts, at: usize) -> Result<()> {
        self.card.expect(target.words.card())?;
        if !words.len().is_multiple_of(target.size) {
            return Err(Error::Shape { what: "words uploaded", found: words.len(), expected: target.size });
        }
        let range = sub_range("upload", at..at.saturating_add(words.len() / target.size), target.len())?;
        target.words.write(range.start * target.size, words)
    }

    fn download(&self, source: &CudaCiphertexts, range: Range<usize>, words: &mut [u64]) -> Result<()> {
        self.card.expect(source.words.card())?;
        let range = sub_range("download", range, source.len())?;
        same_size("words downloaded", words.len(), range.len() * source.size)?;
        source.words.read(range.start * source.size, words)
    }

    fn download_switched(&self, source: &CudaSwitched, range: Range<usize>) -> Result<Vec<u16>> {
        self.card.expect(source.words.card())?;
        let range = sub_range("download of switched ciphertexts", range, source.len())?;
        let mut words = vec![0; range.len() * source.size];
        source.words.read(range.start * source.size, &mut words)?;
        Ok(words)
    }

    fn linear(
        &self,
        forms: &CudaForms,
        rows: usize,
        source: &CudaCiphertexts,
        target: &mut CudaCiphertexts,
    ) -> Result<()> {
        let card = &self.card;
        [forms.ends.card(), source.words.card(), target.words.card()]
            .iter()
            .try_for_each(|other| card.expect(other))?;
        same_size("words of a ciphertext", source.size, target.size)?;
        sub_range("slots read by linear forms", 0..forms.slots.saturating_mul(rows), source.len())?;
        let written = sub_range("results of linear forms", 0..forms.len().saturating_mul(rows), target.len())?;
        let results = count("results of linear forms", written.len())?;
        if results == 0 {
            return Ok(());
        }
        let arguments = [
            forms.terms.at(0),
            forms.ends.at(0),
            forms.constants.at(0),
            source.words.at(0),
            target.words.at(0),
            number(target.size as u32),
            number(rows as u32),
        ];
        let words = (target.size as u32).div_ceil(card.kernels.linear.threads);
        // SAFETY: arguments as `linear` defines them. It reads slots and writes forms times `rows` ciphertexts of `size`
        // words, which was checked; source and target are different buffers.
        unsafe { card.launch(&card.kernels.linear, Grid(results, words, 1), &arguments) }
    }

    fn keyswitch(
        &self,
        key: &CudaKey,
        count: usize,
        source: &CudaCiphertexts,
        target: &mut CudaSwitched,
    ) -> Result<()> {
        let card = &self.card;
        let cards = [key.keyswitching_key.card(), source.words.card(), target.words.card()];
        cards.iter().try_for_each(|other| card.expect(other))?;
        same_size("words of a ciphertext to keyswitch", source.size, key.shape.big_size())?;
        same_size("words of a keyswitched ciphertext", target.size, key.shape.small_size())?;
        sub_range("ciphertexts to keyswitch", 0..count, source.len())?;
        sub_range("keyswitched ciphertexts", 0..count, target.len())?;
        for first in (0..count).step_by(self.options.keyswitch_rows) {
            let rows = self.options.keyswitch_rows.min(count - first);
            self.keyswitch_rows(key, first, rows, source, target)?;
        }
        Ok(())
    }

    fn bootstrap(
        &self,
        key: &CudaKey,
        tables: &CudaTables,
        lookups: &CudaLookups,
        rows: usize,
        source: &CudaSwitched,
        target: &mut CudaCiphertexts,
    ) -> Result<()> {
        let card = &self.card;
        let cards = [
            key.bootstrapping_key.card(),
            tables.words.card(),
            lookups.lookups.card(),
            source.words.card(),
            target.words.card(),
        ];
        cards.iter().try_for_each(|other| card.expect(other))?;
        same_size("words of a keyswitched ciphertext", source.size, key.shape.small_size())?;
        same_size("words of a bootstrapped ciphertext", target.size, key.shape.big_size())?;
        lookups.bounds.fit(rows, tables.count, source.len(), target.len())?;
        let jobs = count("bootstraps of a call", lookups.lookups.len().saturating_mul(rows))?;
        if jobs == 0 {
            return Ok(());
        }
        // `with_options` made sure that there is a launch, and a kernel for it.
        let launch = self.launch(jobs).and_then(|launch| Some((launch, card.kernels.blind_rotation(launch.kind)?)));
        let Some((launch, kernel)) = launch else { unreachable!("a backend without blind rotation") };
        let arguments = [
            key.bootstrapping_key.at(0),
            self.twiddles.of(launch.kind),
            tables.words.at(0),
            lookups.lookups.at(0),
            lookups.outputs.at(0),
            source.words.at(0),
            target.words.at(0),
            number(key.shape.n as u32),
            number(rows as u32),
            number(jobs),
        ];
        // SAFETY: arguments as the kernels of blind rotation define them, all alike. Tables, inputs and slots of all
        // lookups times `rows` were checked to lie in their buffers, boxes when the lookups were loaded; switched words
        // of any value are taken modulo 2N.
        unsafe { card.launch(kernel, Grid(launch.grid, 1, 1), &arguments) }
    }

    fn synchronize(&self) -> Result<()> {
        self.card.synchronize()
    }
}
