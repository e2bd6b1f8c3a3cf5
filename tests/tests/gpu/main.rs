//! The CUDA backend, on a card or on the emulated driver (`cargo xtask emulate`).
//!
//! Where there is no device the tests say so and pass; with `FHE_REQUIRE_GPU=1` they fail instead.
#![cfg(feature = "gpu")]

mod conformance;
mod machines;
mod noise;
mod programs;

use fhe_core::{Error, Result};
use fhe_gpu::{CudaBackend, CudaOptions};

/// The first card, or why there is none.
fn card(options: CudaOptions) -> Result<CudaBackend> {
    if std::env::var("FHE_REQUIRE_GPU").is_ok_and(|value| value == "1") {
        fhe_gpu::devices().expect("FHE_REQUIRE_GPU asks for a device");
    }
    CudaBackend::with_options(0, options)
}

/// The first card; `None`, with a notice, where there is none.
fn open() -> Option<CudaBackend> {
    open_with(CudaOptions::new())
}

/// The first card with these options; `None`, with a notice, where there is none.
fn open_with(options: CudaOptions) -> Option<CudaBackend> {
    match card(options) {
        Ok(backend) => Some(backend),
        Err(error @ Error::Unavailable { .. }) => {
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("the backend does not open: {error}"),
    }
}

/// Whether the driver is the emulator, where a bootstrap takes tenths of a second.
fn is_emulated(backend: &CudaBackend) -> bool {
    backend.device().name.contains("Emulated")
}
