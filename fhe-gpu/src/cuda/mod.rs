//! The CUDA backend: [`Backend`](fhe_core::Backend) on NVIDIA cards, with nothing but the driver.
//!
//! # Order
//! A backend has one stream. Every call queues its work there and returns; the stream's order is the order of the calls,
//! from whatever thread they come. Calls need no lock: working memory of a call is a block of its own, and a block that
//! is given back is used again only by work that is queued behind its last use.
//!
//! # Memory
//! Blocks come from a pool with a limit (the `pool` module): after the first pass over a program, a run takes nothing
//! from the driver. Buffers may be dropped in any order, before or after the backend, with work still queued.
//!
//! # Kernels
//! Compiled by the driver from PTX when the backend is made. Which one runs, on how many blocks, is a pure function of
//! the card and the size of the call (the `plan` module); [`BlindRotation`] overrides it.
//!
//! # Why no CUDA graphs
//! A level is 6 launches (linear forms, zeros, digits, product, modulus switch, blind rotation) at about 3 µs each: 18 µs
//! on a thread that runs ahead of the card, against blind rotations of 0.8 ms (one ciphertext on a cluster) to 6 ms (a
//! full wave). A graph would save less than 2 % of a level, and only where the card waits for the thread, which it does
//! after a download alone. These are estimates: none has been measured on a card.

mod backend;
mod buffer;
mod device;
mod kernels;
mod key;
mod options;
mod plan;
mod pool;
mod resident;

pub use self::backend::{CudaBackend, CudaCiphertexts, CudaSwitched};
pub use self::kernels::KernelFacts;
pub use self::key::CudaKey;
pub use self::options::{BlindRotation, CudaOptions};
pub use self::resident::{CudaForms, CudaLookups, CudaTables};
