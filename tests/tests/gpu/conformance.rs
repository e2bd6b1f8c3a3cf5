//! The suite of all backends, for every kernel of blind rotation.

use fhe_core::{Error, Result};
use fhe_gpu::{BlindRotation, CudaBackend, CudaOptions};
use fhe_tests::conformance;

use crate::{card, is_emulated};

fn with(kernel: BlindRotation) -> Result<CudaBackend> {
    card(CudaOptions::new().blind_rotation(kernel))
}

/// A kernel between two others of the same source. The suite takes minutes for every kernel on an emulated card, so
/// there these are left out, unless `FHE_EVERY_KERNEL=1`.
fn between(kernel: BlindRotation) -> Result<CudaBackend> {
    let backend = with(kernel)?;
    if is_emulated(&backend) && std::env::var("FHE_EVERY_KERNEL").is_err() {
        let reason = "the card is emulated, and FHE_EVERY_KERNEL is not set".to_owned();
        return Err(Error::Unavailable { what: format!("blind rotation, {kernel}"), reason });
    }
    Ok(backend)
}

conformance!(automatic: CudaBackend, Encrypted, card(CudaOptions::new()));
// Keyswitches of three rows at a time: chunks that end in the middle of everything.
conformance!(one_to_a_block: CudaBackend, Encrypted,
    card(CudaOptions::new().blind_rotation(BlindRotation::Throughput(1)).keyswitch_rows(3)));
conformance!(two_to_a_block: CudaBackend, Encrypted, between(BlindRotation::Throughput(2)));
conformance!(four_to_a_block: CudaBackend, Encrypted, with(BlindRotation::Throughput(4)));
conformance!(staged_one: CudaBackend, Encrypted, between(BlindRotation::Staged(1)));
conformance!(staged_two: CudaBackend, Encrypted, between(BlindRotation::Staged(2)));
conformance!(staged_four: CudaBackend, Encrypted, with(BlindRotation::Staged(4)));
conformance!(cluster: CudaBackend, Encrypted, with(BlindRotation::Cluster));
