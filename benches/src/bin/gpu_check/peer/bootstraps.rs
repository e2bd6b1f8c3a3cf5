//! Keyswitch and bootstrap of batches on both sides.

use anyhow::{Result, ensure};
use fhe_benches::sampling::sample;
use tfhe::core_crypto::gpu::glwe_ciphertext_list::CudaGlweCiphertextList;
use tfhe::core_crypto::gpu::lwe_ciphertext_list::CudaLweCiphertextList;
use tfhe::core_crypto::gpu::vec::CudaVec;
use tfhe::core_crypto::gpu::{
    CudaStreams, cuda_keyswitch_lwe_ciphertext, cuda_multi_bit_programmable_bootstrap_lwe_ciphertext,
    cuda_programmable_bootstrap_lwe_ciphertext,
};
use tfhe::core_crypto::prelude::{
    CiphertextModulus, GlweDimension, LweCiphertextCount, LweCiphertextList, LweCiphertextOwned, LweDimension, LweSize,
    PolynomialSize, generate_programmable_bootstrap_glwe_lut,
};
use tfhe::integer::gpu::server_key::{CudaBootstrappingKey, CudaDynamicKeyswitchingKey};
use tfhe::shortint::Ciphertext;

use super::{Peer, Row, push};
use crate::arguments::Kernel;
use crate::curve;
use crate::worker::Context;

/// Values of a message with its carry, under the padding bit.
const BOXES: usize = 16;

/// Polynomial size and GLWE dimension of both sets.
const POLYNOMIAL: (usize, usize) = (2048, 1);

/// The function that is looked up.
fn function(x: u64) -> u64 {
    (3 * x + 1) % BOXES as u64
}

/// Batch sizes with our bootstraps per second, keyswitch included.
pub fn ours(context: &mut Context) -> Result<Vec<(usize, f64)>> {
    let card = context.card(Kernel::ALL[0])?;
    let batches = context.sizes.batches.clone();
    batches.into_iter().map(|batch| Ok((batch, curve::both_per_second(context.sizes.effort, &card, batch)?))).collect()
}

/// The peer at the same sizes, and the best of each side.
pub fn compare(context: &mut Context, peer: &Peer, ours: &[(usize, f64)]) -> Result<()> {
    let mut best: Option<(usize, f64, bool)> = None;
    for &(batch, ours_per_s) in ours {
        let (peer_per_s, gemm) = measure(context, peer, batch)?;
        if best.is_none_or(|best| peer_per_s > best.1) {
            best = Some((batch, peer_per_s, gemm));
        }
        push(context, row("bootstraps", peer, (batch, ours_per_s), (batch, peer_per_s, gemm)))?;
    }
    let most = ours.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    match (most, best) {
        (Some(most), Some(best)) => push(context, row("bootstraps, best batches", peer, most, best)),
        _ => Ok(()),
    }
}

fn row(measured: &str, peer: &Peer, ours: (usize, f64), theirs: (usize, f64, bool)) -> Row {
    Row {
        measured: measured.to_owned(),
        parameters: peer.parameters,
        ours_batch: ours.0,
        peer_batch: theirs.0,
        ours_per_s: ours.1,
        peer_per_s: theirs.1,
        ratio: ours.1 / theirs.1,
        peer_choice: if theirs.2 { "keyswitch as product of matrices" } else { "keyswitch by ciphertext" }.to_owned(),
    }
}

/// A batch on the card, in the peer's types.
struct Work<'a> {
    peer: &'a Peer,
    streams: CudaStreams,
    source: CudaLweCiphertextList<u64>,
    switched: CudaLweCiphertextList<u64>,
    target: CudaLweCiphertextList<u64>,
    table: CudaGlweCiphertextList<u64>,
    /// Of every ciphertext: itself.
    indices: CudaVec<u64>,
    /// Of every ciphertext: table 0.
    tables: CudaVec<u64>,
}

impl<'a> Work<'a> {
    fn new(peer: &'a Peer, blocks: &[Ciphertext]) -> Self {
        let (streams, modulus) = (peer.streams(), CiphertextModulus::new_native());
        let size = LweSize(blocks[0].ct.as_ref().len());
        let words: Vec<u64> = blocks.iter().flat_map(|block| block.ct.as_ref().iter().copied()).collect();
        let list = LweCiphertextList::from_container(words, size, modulus);
        let count = LweCiphertextCount(blocks.len());
        let (polynomial, dimension) = (PolynomialSize(POLYNOMIAL.0), GlweDimension(POLYNOMIAL.1));
        let delta = (1u64 << 63) / BOXES as u64;
        let table = generate_programmable_bootstrap_glwe_lut(
            polynomial,
            dimension.to_glwe_size(),
            BOXES,
            modulus,
            delta,
            function,
        );
        let vector = |words: &[u64]| {
            // SAFETY: `words` lives until the streams are idle below.
            let vector = unsafe { CudaVec::from_cpu_async(words, &streams, 0) };
            streams.synchronize();
            vector
        };
        let numbers: Vec<u64> = (0..blocks.len() as u64).collect();
        Self {
            peer,
            source: CudaLweCiphertextList::from_lwe_ciphertext_list(&list, &streams),
            switched: CudaLweCiphertextList::new(LweDimension(peer.small_dimension), count, modulus, &streams),
            target: CudaLweCiphertextList::new(size.to_lwe_dimension(), count, modulus, &streams),
            table: CudaGlweCiphertextList::from_glwe_ciphertext(&table, &streams),
            indices: vector(&numbers),
            tables: vector(&vec![0; blocks.len()]),
            streams,
        }
    }

    /// Both steps; each waits for the device.
    fn run(&mut self, gemm: bool) -> Result<()> {
        let CudaDynamicKeyswitchingKey::Standard(key) = &self.peer.server.key_switching_key else {
            anyhow::bail!("the peer's keyswitching key is of another kind");
        };
        cuda_keyswitch_lwe_ciphertext(
            key,
            &self.source,
            &mut self.switched,
            &self.indices,
            &self.indices,
            true,
            &self.streams,
            gemm,
        );
        match &self.peer.server.bootstrapping_key {
            CudaBootstrappingKey::Classic(key) => cuda_programmable_bootstrap_lwe_ciphertext(
                &self.switched,
                &mut self.target,
                &self.table,
                &self.tables,
                &self.indices,
                &self.indices,
                key,
                &self.streams,
            ),
            CudaBootstrappingKey::MultiBit(key) => cuda_multi_bit_programmable_bootstrap_lwe_ciphertext(
                &self.switched,
                &mut self.target,
                &self.table,
                &self.tables,
                &self.indices,
                &self.indices,
                key,
                &self.streams,
            ),
        }
        self.streams.synchronize();
        Ok(())
    }
}

/// Bootstraps per second with the better form of the keyswitch, after results were decrypted and compared.
fn measure(context: &Context, peer: &Peer, batch: usize) -> Result<(f64, bool)> {
    let secret: &tfhe::shortint::ClientKey = peer.client.as_ref();
    let values: Vec<u64> = (0..batch as u64).map(|index| (index * 7 + 1) % 4).collect();
    let blocks: Vec<Ciphertext> = values.iter().map(|&value| secret.encrypt(value)).collect();
    let mut work = Work::new(peer, &blocks);
    let mut best = (0.0, false);
    for gemm in [false, true] {
        work.run(gemm)?;
        let words = work.target.to_lwe_ciphertext_list(&work.streams).into_container();
        let size = words.len() / batch;
        for (index, (words, &value)) in words.chunks_exact(size).zip(&values).enumerate() {
            let mut block = blocks[index].clone();
            block.ct = LweCiphertextOwned::from_container(words.to_vec(), CiphertextModulus::new_native());
            let found = secret.decrypt_message_and_carry(&block);
            ensure!(found == function(value), "the peer's result {index} of {batch} is wrong");
        }
        let spread = sample(context.sizes.effort, |calls| (0..calls).try_for_each(|_| work.run(gemm)))?;
        let per_second = spread.per_second(batch);
        if per_second > best.0 {
            best = (per_second, gemm);
        }
    }
    Ok(best)
}
