//! The suite of all backends, for every kernel of blind rotation.

use fhe_gpu::{BlindRotation, CudaBackend, CudaOptions};
use fhe_tests::conformance;

use crate::card;

fn with(kernel: BlindRotation) -> fhe_core::Result<CudaBackend> {
    card(CudaOptions::new().blind_rotation(kernel))
}

conformance!(automatic: CudaBackend, Encrypted, card(CudaOptions::new()));
// Keyswitches of three rows at a time: chunks that end in the middle of everything.
conformance!(one_to_a_block: CudaBackend, Encrypted,
    card(CudaOptions::new().blind_rotation(BlindRotation::Throughput(1)).keyswitch_rows(3)));
conformance!(two_to_a_block: CudaBackend, Encrypted, with(BlindRotation::Throughput(2)));
conformance!(four_to_a_block: CudaBackend, Encrypted, with(BlindRotation::Throughput(4)));
conformance!(staged_one: CudaBackend, Encrypted, with(BlindRotation::Staged(1)));
conformance!(staged_two: CudaBackend, Encrypted, with(BlindRotation::Staged(2)));
conformance!(staged_four: CudaBackend, Encrypted, with(BlindRotation::Staged(4)));
conformance!(cluster: CudaBackend, Encrypted, with(BlindRotation::Cluster));
