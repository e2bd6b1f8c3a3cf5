//! What a caller may choose about a CUDA backend.

use std::fmt;

/// Which kernel rotates blindly. All compute the same; they differ in what they are fast at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlindRotation {
    /// Chosen for every call by the number of ciphertexts and the card.
    #[default]
    Auto,
    /// So many ciphertexts to a block (1, 2 or 4), the key through the caches; for all cards.
    Throughput(u32),
    /// The same with the key copied to shared memory, for compute capability 9.0 and later.
    Staged(u32),
    /// Four blocks for one ciphertext: the shortest time for few, for compute capability 9.0 and later.
    Cluster,
}

impl fmt::Display for BlindRotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("automatic"),
            Self::Throughput(ciphertexts) => write!(f, "{ciphertexts} to a block"),
            Self::Staged(ciphertexts) => write!(f, "{ciphertexts} to a block, staged"),
            Self::Cluster => f.write_str("a cluster each"),
        }
    }
}

/// Choices for one [`CudaBackend`](super::CudaBackend); the default lets it choose.
#[derive(Clone, Debug)]
pub struct CudaOptions {
    pub(super) memory_limit: Option<usize>,
    pub(super) blind_rotation: BlindRotation,
    pub(super) keyswitch_rows: usize,
}

/// Rows that go through the keyswitch together: their digits and sums take 14 kB each, and 2048 of them fill 240 blocks
/// of the widest kernel, about two on every multiprocessor of the largest card.
const KEYSWITCH_ROWS: usize = 2048;

impl Default for CudaOptions {
    fn default() -> Self {
        Self { memory_limit: None, blind_rotation: BlindRotation::Auto, keyswitch_rows: KEYSWITCH_ROWS }
    }
}

impl CudaOptions {
    /// The backend's choice of everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Never takes more than that many bytes of device memory, for keys, tables and ciphertexts together. Without it, a
    /// backend may take nine tenths of what is free when it is made, less 512 MiB for the driver; a process with several
    /// backends on one card should set it.
    #[must_use]
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// Uses that kernel for every call. A card that cannot run it is [`Unavailable`](fhe_core::Error::Unavailable).
    #[must_use]
    pub fn blind_rotation(mut self, kernel: BlindRotation) -> Self {
        self.blind_rotation = kernel;
        self
    }

    /// Keyswitches so many rows at a time, at least one: bounds the working memory of a call.
    #[must_use]
    pub fn keyswitch_rows(mut self, rows: usize) -> Self {
        self.keyswitch_rows = rows.clamp(1, KEYSWITCH_ROWS);
        self
    }
}
