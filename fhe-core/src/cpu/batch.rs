//! Batches over the threads of a rayon pool.
//!
//! Nothing here spawns threads or knows of keys' contents: it cuts a batch into tiles and panels.

use super::blind_rotate::{BlindRotateScratch, BootstrapJob, bootstrap_tile};
use super::bootstrapping_key::FourierBootstrappingKey;
use super::cache;
use super::geometry::Geometry;
use super::keyswitch::PackedKeyswitchingKey;
use rayon::ThreadPool;
use rayon::prelude::*;
use std::sync::Mutex;

/// Ciphertexts that share one reading of the keyswitching key; bounds the memory for digits.
const KEYSWITCH_ROWS: usize = 128;

/// Working memory of the batch functions, reused from call to call.
///
/// Holds one [`BlindRotateScratch`] per thread of the pool, and the digits and sums of one keyswitch
/// (at most 3 MiB for N = 2048 and 4 levels). One call uses it at a time.
pub struct Workspace {
    geometry: Geometry,
    /// Most ciphertexts that share one reading of a GGSW ciphertext.
    tile: usize,
    slots: Vec<BlindRotateScratch>,
    digits: Vec<u32>,
    sums: Vec<u32>,
    words: Vec<u32>,
}

impl Workspace {
    /// Memory for batches of the given sizes on `pool`.
    #[must_use]
    pub fn new(pool: &ThreadPool, geometry: &Geometry) -> Self {
        let slots = (0..pool.current_num_threads()).map(|_| BlindRotateScratch::new(geometry));
        Self {
            geometry: *geometry,
            tile: cache::tile(geometry),
            slots: slots.collect(),
            digits: Vec::new(),
            sums: Vec::new(),
            words: Vec::new(),
        }
    }
}

/// Keyswitches a batch to the small key and switches it to modulus 2N.
///
/// `inputs`: `[row][N + 1]` LWE ciphertexts under the big key, torus words modulo 2^64. `out`:
/// `[row][n + 1]` exponents in `0..2N`, mask then body, the input of [`bootstrap_batch`].
///
/// # Panics
/// If the workspace was made for another geometry, or the lengths name different numbers of rows.
pub fn keyswitch_batch(
    pool: &ThreadPool,
    key: &PackedKeyswitchingKey,
    workspace: &mut Workspace,
    inputs: &[u64],
    out: &mut [u16],
) {
    let geometry = *key.geometry();
    assert_eq!(workspace.geometry, geometry);
    let (big, small) = (geometry.big_lwe_size(), geometry.small_lwe_size());
    assert!(inputs.len().is_multiple_of(big));
    assert_eq!(inputs.len() / big * small, out.len());
    let Workspace { digits, sums, words, .. } = workspace;
    let chunks = inputs.chunks(KEYSWITCH_ROWS * big);
    for (inputs, out) in chunks.zip(out.chunks_mut(KEYSWITCH_ROWS * small)) {
        let rows = inputs.len() / big;
        let block = rows * key.block_pairs();
        digits.resize(block * key.block_count(), 0);
        sums.resize(rows * key.padded_columns(), 0);
        words.resize(rows * small, 0);
        pool.install(|| {
            let blocks = digits.par_chunks_exact_mut(block).enumerate();
            blocks.for_each(|(block, digits)| key.decompose_block(block, inputs, digits));
            let slabs = sums.par_chunks_mut(rows * key.slab_columns()).enumerate();
            slabs.for_each(|(slab, sums)| key.multiply_slab(slab, digits, sums));
            out.par_chunks_exact_mut(small)
                .zip(words.par_chunks_exact_mut(small))
                .zip(inputs.par_chunks_exact(big))
                .enumerate()
                .for_each(|(row, ((out, words), input))| {
                    key.finish_row(sums, rows, row, input[big - 1], words, out);
                });
        });
    }
}

/// Bootstraps a batch; see [`bootstrap_tile`] for the shapes.
///
/// # Panics
/// As [`bootstrap_tile`], for a batch of any size; and if the workspace was made for another
/// geometry.
pub fn bootstrap_batch(
    pool: &ThreadPool,
    key: &FourierBootstrappingKey,
    workspace: &mut Workspace,
    switched: &[u16],
    jobs: &[BootstrapJob<'_>],
    tables: &[u64],
    out: &mut [u64],
) {
    let geometry = *key.geometry();
    assert_eq!(workspace.geometry, geometry);
    assert_eq!(switched.len(), jobs.len() * geometry.small_lwe_size());
    let Workspace { tile, slots, .. } = workspace;
    let mut sizes = tile_sizes(jobs.len(), slots.len(), *tile);
    // The queue hands out the tiles in order, to whichever thread is free.
    let (mut switched, mut jobs, mut out) = (switched, jobs, out);
    let tiles = std::iter::from_fn(|| {
        let size = sizes.next()?;
        let (tile, rest) = jobs.split_at(size);
        jobs = rest;
        let (rows, rest) = switched.split_at(size * geometry.small_lwe_size());
        switched = rest;
        let ciphertexts = tile.iter().map(|job| job.coefficients.len()).sum::<usize>();
        let (results, rest) = std::mem::take(&mut out).split_at_mut(ciphertexts * geometry.big_lwe_size());
        out = rest;
        Some((rows, tile, results))
    });
    let queue = Mutex::new(tiles);
    pool.install(|| {
        slots.par_iter_mut().with_max_len(1).for_each(|scratch| {
            // A poisoned lock means that another thread panicked; rayon passes that on.
            let next = || queue.lock().ok().and_then(|mut tiles| tiles.next());
            while let Some((rows, tile, results)) = next() {
                bootstrap_tile(key, scratch, rows, tile, tables, results);
            }
        });
    });
}

/// Sizes of the tiles of a batch: as many as there are threads, or a multiple, so that none is
/// larger than `limit` and they differ by at most one.
fn tile_sizes(batch: usize, threads: usize, limit: usize) -> impl Iterator<Item = usize> {
    let rounds = batch.div_ceil(threads * limit);
    let tiles = (rounds * threads).min(batch);
    (0..tiles).map(move |tile| batch / tiles + usize::from(tile < batch % tiles))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_batch_evenly() {
        for threads in 1..=9 {
            for batch in 0..200 {
                let sizes: Vec<_> = tile_sizes(batch, threads, 8).collect();
                assert_eq!(sizes.iter().sum::<usize>(), batch);
                assert!(sizes.iter().all(|&size| (1..=8).contains(&size)));
                let (low, high) = (sizes.iter().min(), sizes.iter().max());
                assert!(sizes.is_empty() || high.unwrap() - low.unwrap() <= 1);
                assert!(sizes.len() % threads == 0 || sizes.len() == batch);
            }
        }
    }
}
