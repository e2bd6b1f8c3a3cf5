//! A backend with a key, and short forms of the calls that most cases make.

use std::ops::Range;
use std::sync::Arc;

use fhe_core::lookup::{LinearForms, Lookup, LookupOutput, LookupTable, Term};
use fhe_core::torus::decode;
use fhe_core::{Backend, Error, Result};

use super::{Keys, Kind, Random};

/// A backend and one key pair of its kind.
///
/// The short forms panic on errors; cases about errors call the backend itself.
#[derive(Debug)]
pub struct Fixture<B: Backend> {
    /// The backend under test.
    pub backend: Arc<B>,
    /// What its blocks are.
    pub kind: Kind,
    /// The key pair.
    pub keys: &'static Keys,
    /// The evaluation key, loaded.
    pub key: B::Key,
}

impl<B: Backend> Fixture<B> {
    /// Loads the default keys; `None` for a backend that this machine cannot have.
    pub fn open(kind: Kind, backend: Result<B>) -> Option<Self> {
        match backend {
            Ok(backend) => Some(Self::with(Arc::new(backend), kind, kind.keys()).expect("load_key")),
            Err(error @ Error::Unavailable { .. }) => {
                eprintln!("skipped: {error}");
                None
            }
            Err(error) => panic!("the backend does not open: {error}"),
        }
    }

    /// Loads the default keys.
    ///
    /// # Errors
    /// Those of [`Backend::load_key`].
    pub fn load_keys(backend: Arc<B>, kind: Kind) -> Result<Self> {
        Self::with(backend, kind, kind.keys())
    }

    /// The same backend with the keys of the other parameter set.
    #[must_use]
    pub fn with_other_keys(&self) -> Self {
        Self::with(Arc::clone(&self.backend), self.kind, self.kind.other_keys()).expect("load_key")
    }

    fn with(backend: Arc<B>, kind: Kind, keys: &'static Keys) -> Result<Self> {
        let key = backend.load_key(keys.evaluation())?;
        Ok(Self { backend, kind, keys, key })
    }

    /// Words of one block.
    #[must_use]
    pub fn block_words(&self) -> usize {
        self.keys.scheme().ciphertext_words()
    }

    /// `count` blocks of random words: no valid ciphertexts, but every bit counts.
    #[must_use]
    pub fn noise(&self, count: usize, seed: u64) -> Vec<u64> {
        Random::new(seed).words(count * self.block_words())
    }

    /// A buffer of just these blocks.
    #[must_use]
    pub fn load(&self, words: &[u64]) -> B::Ciphertexts {
        let mut buffer = self.allocate(words.len() / self.block_words());
        self.backend.upload(words, &mut buffer, 0).expect("upload");
        buffer
    }

    /// A buffer of encrypted integers.
    #[must_use]
    pub fn encrypt(&self, values: &[i64]) -> B::Ciphertexts {
        self.load(&self.keys.encrypt(values))
    }

    /// A buffer of blocks with unspecified contents.
    #[must_use]
    pub fn allocate(&self, count: usize) -> B::Ciphertexts {
        self.backend.allocate(&self.key, count).expect("allocate")
    }

    /// The words of some blocks.
    #[must_use]
    pub fn read(&self, buffer: &B::Ciphertexts, range: Range<usize>) -> Vec<u64> {
        let mut words = vec![0x5555; range.len() * self.block_words()];
        self.backend.download(buffer, range, &mut words).expect("download");
        words
    }

    /// The integers in some blocks, each in `0..32`.
    #[must_use]
    pub fn decrypt(&self, buffer: &B::Ciphertexts, range: Range<usize>) -> Vec<i64> {
        self.keys.phases(&self.read(buffer, range)).into_iter().map(decode).collect()
    }

    /// The first `count` blocks keyswitched, in a buffer of just that size.
    #[must_use]
    pub fn switch(&self, blocks: &B::Ciphertexts, count: usize) -> B::Switched {
        let mut switched = self.backend.allocate_switched(&self.key, count).expect("allocate_switched");
        self.backend.keyswitch(&self.key, count, blocks, &mut switched).expect("keyswitch");
        switched
    }

    /// Encrypted integers, keyswitched.
    #[must_use]
    pub fn switch_values(&self, values: &[i64]) -> B::Switched {
        self.switch(&self.encrypt(values), values.len())
    }

    /// Resident tables.
    #[must_use]
    pub fn tables(&self, tables: &[LookupTable]) -> B::Tables {
        self.backend.load_tables(&self.key, tables).expect("load_tables")
    }

    /// Resident lookups.
    #[must_use]
    pub fn lookups(&self, tables: &B::Tables, lookups: &[Lookup]) -> B::Lookups {
        self.backend.load_lookups(tables, lookups).expect("load_lookups")
    }

    /// Resident linear forms.
    #[must_use]
    pub fn forms(&self, forms: &LinearForms) -> B::Forms {
        self.backend.load_forms(forms).expect("load_forms")
    }

    /// Bootstraps the switched inputs into a new buffer of `slots` slots.
    #[must_use]
    pub fn bootstrap(
        &self,
        tables: &[LookupTable],
        lookups: &[Lookup],
        rows: usize,
        source: &B::Switched,
        slots: usize,
    ) -> B::Ciphertexts {
        let tables = self.tables(tables);
        let lookups = self.lookups(&tables, lookups);
        let mut target = self.allocate(slots * rows);
        self.backend.bootstrap(&self.key, &tables, &lookups, rows, source, &mut target).expect("bootstrap");
        target
    }

    /// The backend still works: one bootstrap, from upload to download.
    pub fn assert_usable(&self) {
        let table = LookupTable::from_fn(|x| (x + 3) % 16);
        let result = self.bootstrap(&[table], &[lookup(0, 0, 0)], 1, &self.switch_values(&[7]), 1);
        assert_eq!(self.decrypt(&result, 0..1), [10], "after an error");
    }
}

/// A lookup with one output, at box 0.
#[must_use]
pub(crate) fn lookup(input: u32, table: u32, slot: u32) -> Lookup {
    Lookup { input, table, outputs: vec![LookupOutput { at: 0, slot }] }
}

/// A term of a linear form.
#[must_use]
pub(crate) fn term(slot: u32, coefficient: i32) -> Term {
    Term { slot, coefficient }
}

/// A table for all 32 inputs, of which the upper half follows from the negacyclic rule.
#[must_use]
pub(crate) fn negacyclic(f: impl Fn(i64) -> i64) -> LookupTable {
    LookupTable::new(*LookupTable::from_fn(f).boxes(), 32).expect("32 is a domain")
}

/// A table of random integers for the inputs `0..16`.
#[must_use]
pub(crate) fn random_table(seed: u64) -> LookupTable {
    let mut random = Random::new(seed);
    let values = [(); 16].map(|()| random.below(32) as i64);
    LookupTable::from_fn(|x| values[x as usize])
}

/// What a table gives for an input in `0..32`.
#[must_use]
pub(crate) fn expected(table: &LookupTable, input: i64) -> i64 {
    decode(table.value(input as usize))
}

/// Refuses anything but [`Error::Shape`].
#[track_caller]
pub(crate) fn assert_shape<T>(result: Result<T>) {
    match result {
        Err(Error::Shape { .. }) => {}
        Err(error) => panic!("not a shape error: {error}"),
        Ok(_) => panic!("arguments that do not fit were accepted"),
    }
}
