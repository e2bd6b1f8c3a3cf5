//! Section 8: the tfhe crate's own GPU backend, in the same run on the same card.
//!
//! Twice: at the parameters of this library, on the same key, and at its own default, multi-bit keys of groups of 4. Its
//! keyswitch is taken in both of its forms and the better one counts; operations on integers run on several threads with a
//! stream each, and the best number of threads counts. Its inputs and results stay on the card, ours are copied.

mod bootstraps;
mod integers;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tfhe::core_crypto::gpu::CudaStreams;
use tfhe::core_crypto::gpu::vec::GpuIndex;
use tfhe::integer::gpu::CudaServerKey;
use tfhe::integer::{ClientKey, CompressedServerKey};
use tfhe::shortint::parameters::PARAM_GPU_MULTI_BIT_GROUP_4_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128 as MULTI_BIT;

use crate::worker::Context;

/// One line of the table: both sides, one thing.
#[derive(Serialize)]
struct Row {
    /// What was measured.
    measured: String,
    /// Parameters of the peer; ours are classical.
    parameters: &'static str,
    /// Ciphertexts in a call, or operations at a time.
    ours_batch: usize,
    peer_batch: usize,
    ours_per_s: f64,
    peer_per_s: f64,
    /// Ours over the peer's.
    ratio: f64,
    /// Form of the peer's keyswitch, or its number of threads.
    peer_choice: String,
}

/// The peer with one set of parameters.
struct Peer {
    parameters: &'static str,
    client: ClientKey,
    server: CudaServerKey,
    /// Dimension of a keyswitched ciphertext.
    small_dimension: usize,
    device: GpuIndex,
}

impl Peer {
    fn streams(&self) -> CudaStreams {
        CudaStreams::new_single_gpu(self.device)
    }

    fn classical(context: &Context, device: GpuIndex) -> Result<Self> {
        let (client, key) = context.keys()?;
        let small_dimension = client.parameters().lwe_dimension();
        let client = client.to_tfhe().context("a key for encrypted data")?.clone().into_raw_parts().0;
        let key = key.to_tfhe().context("a key for encrypted data")?.into_raw_parts().0;
        let server = CudaServerKey::decompress_from_cpu(&key, &CudaStreams::new_single_gpu(device));
        Ok(Self { parameters: "classical", client, server, small_dimension, device })
    }

    fn multi_bit(device: GpuIndex) -> Self {
        let client = ClientKey::new(MULTI_BIT);
        let key = CompressedServerKey::new_radix_compressed_server_key(&client);
        let server = CudaServerKey::decompress_from_cpu(&key, &CudaStreams::new_single_gpu(device));
        let small_dimension = MULTI_BIT.lwe_dimension.0;
        Self { parameters: "multi-bit, groups of 4", client, server, small_dimension, device }
    }
}

/// Measures both sides, at both sets of the peer.
pub fn run(context: &mut Context) -> Result<()> {
    let ordinal = u32::try_from(context.arguments.device)?;
    let device = GpuIndex::try_new(ordinal).context("the CUDA runtime does not see the card")?;
    println!(
        "  {:<24} {:<24} {:>11} {:>11} {:>7}  batches, the peer's choice",
        "per second", "the peer's parameters", "ours", "peer", "ratio"
    );
    let ours = bootstraps::ours(context)?;
    let our_integers = integers::ours(context)?;
    // One after the other: the keys are large.
    for multi_bit in [false, true] {
        let peer = if multi_bit { Peer::multi_bit(device) } else { Peer::classical(context, device)? };
        bootstraps::compare(context, &peer, &ours)?;
        integers::compare(context, &peer, &our_integers)?;
    }
    Ok(())
}

fn push(context: &mut Context, row: Row) -> Result<()> {
    println!(
        "  {:<24} {:<24} {:>11.1} {:>11.1} {:>7.2}  {} and {}, {}",
        row.measured,
        row.parameters,
        row.ours_per_s,
        row.peer_per_s,
        row.ratio,
        row.ours_batch,
        row.peer_batch,
        row.peer_choice
    );
    context.journal.record("peer", row)
}
