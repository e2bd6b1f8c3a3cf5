//! The CPU backend: [`Backend`] over the kernels of this module and a thread pool of its own.

use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::batch::{Workspace, bootstrap_batch, keyswitch_batch};
use super::blind_rotate::{BootstrapJob, MAX_TILE};
use super::bootstrapping_key::FourierBootstrappingKey;
use super::geometry::Geometry;
use super::keyswitch::PackedKeyswitchingKey;
use super::probe::{StageTimes, stage_times};
use super::simd::SimdLevel;
use crate::backend::check::{LookupBounds, same_size, sub_range};
use crate::backend::{Backend, Properties};
use crate::error::{Error, Result};
use crate::keys::EvaluationKey;
use crate::lookup::{LinearForms, Lookup, LookupTable};
use crate::params::{ParameterSet, Scheme};
use crate::torus::BOXES;

/// Bytes of ciphertext buffers that a run takes unless the caller sets another limit.
const DEFAULT_MEMORY: usize = 512 << 20;

/// Bootstraps whose outputs are computed before they are written to their slots: 64 MiB of ciphertexts, and several tiles
/// for each of a hundred threads.
const PIECE: usize = 4096;

/// Evaluates on the processor, with as many threads as asked for; they are started once, with the backend.
///
/// The instruction set is chosen when the backend is made: AVX-512, AVX2 or portable code, whichever the machine has.
pub struct CpuBackend {
    pool: ThreadPool,
    simd: SimdLevel,
    /// Working memory that is not in use; every call takes one, so that any number of threads may call.
    workspaces: Mutex<Vec<(ParameterSet, Workspace)>>,
}

impl CpuBackend {
    /// On all cores, with the widest instructions of this machine.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the threads cannot be started.
    pub fn new() -> Result<Self> {
        Self::with_threads(std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
    }

    /// On `threads` threads, at least one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] for no threads, or if they cannot be started.
    pub fn with_threads(threads: usize) -> Result<Self> {
        Self::with_simd(threads, SimdLevel::detect())
    }

    /// On `threads` threads with that instruction set.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the machine does not have the instruction set, for no threads, or if they cannot be
    /// started.
    pub fn with_simd(threads: usize, simd: SimdLevel) -> Result<Self> {
        let unavailable = |what: String, reason: String| Err(Error::Unavailable { what, reason });
        if !simd.is_available() {
            return unavailable(format!("{simd:?}"), "this processor does not have it".to_owned());
        }
        if threads == 0 {
            return unavailable("a CPU backend with 0 threads".to_owned(), "at least one is needed".to_owned());
        }
        match ThreadPoolBuilder::new().num_threads(threads).thread_name(|n| format!("fhe-cpu-{n}")).build() {
            Ok(pool) => Ok(Self { pool, simd, workspaces: Mutex::default() }),
            Err(error) => unavailable(format!("a pool of {threads} threads"), error.to_string()),
        }
    }

    /// The instruction set in use.
    #[must_use]
    pub fn simd(&self) -> SimdLevel {
        self.simd
    }

    /// Runs `work` with working memory for `key`.
    fn with_workspace<R>(&self, key: &CpuKey, work: impl FnOnce(&mut Workspace) -> R) -> R {
        // The list is whole between any two calls, so a poisoned lock does no harm.
        let lock = || self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = lock();
        let known = free.iter().position(|(params, _)| *params == key.params).map(|index| free.swap_remove(index));
        drop(free);
        let (params, mut workspace) = known.unwrap_or_else(|| (key.params, Workspace::new(&self.pool, &key.geometry)));
        let result = work(&mut workspace);
        lock().push((params, workspace));
        result
    }
}

/// Measured: reading the keyswitching key takes 1.5 ms, and the first ciphertext of a tile 1 ms more than the others, with
/// 8 ms for a bootstrap.
const LEVEL_OVERHEAD: usize = 25;

impl fmt::Debug for CpuBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CpuBackend")
            .field("threads", &self.pool.current_num_threads())
            .field("simd", &self.simd)
            .finish_non_exhaustive()
    }
}

/// An evaluation key as the CPU kernels read it: the keyswitching key in panels of 32-bit words, the bootstrapping key
/// in the Fourier domain.
pub struct CpuKey {
    params: ParameterSet,
    geometry: Geometry,
    keyswitching_key: PackedKeyswitchingKey,
    bootstrapping_key: FourierBootstrappingKey,
}

impl CpuKey {
    /// Nanoseconds of each stage in one step of blind rotation, on one thread, with `tile` ciphertexts (1 to 16) to a
    /// reading of the key: the breakdown in `benches/README.md`.
    #[must_use]
    pub fn stage_times(&self, tile: usize) -> StageTimes {
        stage_times(&self.bootstrapping_key, tile.clamp(1, MAX_TILE))
    }
}

impl fmt::Debug for CpuKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CpuKey").field("params", &self.params).finish_non_exhaustive()
    }
}

/// Ciphertexts under the big key, `[ciphertext][N + 1]` torus words.
pub struct CpuCiphertexts {
    words: Vec<u64>,
    size: usize,
}

impl CpuCiphertexts {
    fn len(&self) -> usize {
        self.words.len() / self.size
    }

    fn get(&self, index: usize) -> &[u64] {
        &self.words[index * self.size..(index + 1) * self.size]
    }
}

/// Keyswitched ciphertexts, `[ciphertext][n + 1]` words modulo 2N.
pub struct CpuSwitched {
    words: Vec<u16>,
    size: usize,
}

impl CpuSwitched {
    fn len(&self) -> usize {
        self.words.len() / self.size
    }
}

/// Accumulator polynomials, `[table][N]` torus words.
pub struct CpuTables {
    words: Vec<u64>,
    polynomial_size: usize,
}

/// Lookups with the coefficients at which their outputs are extracted.
pub struct CpuLookups {
    lookups: Vec<Lookup>,
    coefficients: Vec<Vec<usize>>,
    bounds: LookupBounds,
}

impl Backend for CpuBackend {
    type Key = CpuKey;
    type Forms = LinearForms;
    type Tables = CpuTables;
    type Lookups = CpuLookups;
    type Ciphertexts = CpuCiphertexts;
    type Switched = CpuSwitched;

    fn properties(&self) -> Properties {
        let threads = self.pool.current_num_threads();
        Properties {
            name: "cpu",
            device: format!("{threads} threads, {:?}", self.simd),
            parallelism: threads,
            level_overhead: LEVEL_OVERHEAD,
            // Two full tiles for every thread leave little of a level to an uneven end.
            batch: 2 * MAX_TILE * threads,
            memory: DEFAULT_MEMORY,
        }
    }

    fn load_key(&self, key: &EvaluationKey) -> Result<CpuKey> {
        let params = key.scheme().parameters();
        Scheme::Encrypted(params).expect("the CPU backend", key.scheme(), || "the evaluation key".to_owned())?;
        let geometry = Geometry {
            lwe_dimension: params.lwe_dimension(),
            polynomial_size: params.polynomial_size(),
            pbs_base_log: params.pbs_base_log() as u32,
            ks_base_log: params.ks_base_log() as u32,
            ks_level_count: params.ks_level_count() as u32,
        };
        let standard = key.expand()?;
        let (keyswitching_key, bootstrapping_key) = self.pool.install(|| {
            (
                PackedKeyswitchingKey::new(self.simd, geometry, &standard.keyswitching_key),
                FourierBootstrappingKey::new(self.simd, geometry, &standard.bootstrapping_key),
            )
        });
        Ok(CpuKey { params, geometry, keyswitching_key, bootstrapping_key })
    }

    fn load_forms(&self, forms: &LinearForms) -> Result<LinearForms> {
        Ok(forms.clone())
    }

    fn load_tables(&self, key: &CpuKey, tables: &[LookupTable]) -> Result<CpuTables> {
        let polynomial_size = key.geometry.polynomial_size;
        let words = tables.iter().flat_map(|table| table.polynomial(polynomial_size)).collect();
        Ok(CpuTables { words, polynomial_size })
    }

    fn load_lookups(&self, tables: &CpuTables, lookups: &[Lookup]) -> Result<CpuLookups> {
        let count = tables.words.len() / tables.polynomial_size;
        let box_size = tables.polynomial_size / BOXES;
        Ok(CpuLookups {
            bounds: LookupBounds::new(lookups, count)?,
            lookups: lookups.to_vec(),
            coefficients: lookups
                .iter()
                .map(|lookup| lookup.outputs.iter().map(|output| output.at as usize * box_size).collect())
                .collect(),
        })
    }

    fn allocate(&self, key: &CpuKey, count: usize) -> Result<CpuCiphertexts> {
        let size = key.geometry.big_lwe_size();
        Ok(CpuCiphertexts { words: zeroed(count, size)?, size })
    }

    fn allocate_switched(&self, key: &CpuKey, count: usize) -> Result<CpuSwitched> {
        let size = key.geometry.small_lwe_size();
        Ok(CpuSwitched { words: zeroed(count, size)?, size })
    }

    fn upload(&self, words: &[u64], target: &mut CpuCiphertexts, at: usize) -> Result<()> {
        if !words.len().is_multiple_of(target.size) {
            return Err(Error::Shape { what: "words uploaded", found: words.len(), expected: target.size });
        }
        let range = sub_range("upload", at..at.saturating_add(words.len() / target.size), target.len())?;
        target.words[range.start * target.size..range.end * target.size].copy_from_slice(words);
        Ok(())
    }

    fn download(&self, source: &CpuCiphertexts, range: Range<usize>, words: &mut [u64]) -> Result<()> {
        let range = sub_range("download", range, source.len())?;
        let found = &source.words[range.start * source.size..range.end * source.size];
        if words.len() != found.len() {
            return Err(Error::Shape { what: "words downloaded", found: words.len(), expected: found.len() });
        }
        words.copy_from_slice(found);
        Ok(())
    }

    fn download_switched(&self, source: &CpuSwitched, range: Range<usize>) -> Result<Vec<u16>> {
        let range = sub_range("download of switched ciphertexts", range, source.len())?;
        Ok(source.words[range.start * source.size..range.end * source.size].to_vec())
    }

    fn linear(
        &self,
        forms: &LinearForms,
        rows: usize,
        source: &CpuCiphertexts,
        target: &mut CpuCiphertexts,
    ) -> Result<()> {
        same_size("words of a ciphertext", source.size, target.size)?;
        sub_range("slots read by linear forms", 0..forms.slots().saturating_mul(rows), source.len())?;
        let written = sub_range("results of linear forms", 0..forms.len().saturating_mul(rows), target.len())?;
        let size = target.size;
        let target = &mut target.words[..written.end * size];
        self.pool.install(|| {
            target.par_chunks_exact_mut(size).enumerate().for_each(|(index, result)| {
                let (form, row) = (index / rows, index % rows);
                let (terms, constant) = forms.get(form).unwrap_or_default();
                result.fill(0);
                for term in terms {
                    let factor = i64::from(term.coefficient) as u64;
                    let words = source.get(term.slot as usize * rows + row);
                    for (sum, word) in result.iter_mut().zip(words) {
                        *sum = sum.wrapping_add(word.wrapping_mul(factor));
                    }
                }
                result[size - 1] = result[size - 1].wrapping_add(constant);
            });
        });
        Ok(())
    }

    fn keyswitch(&self, key: &CpuKey, count: usize, source: &CpuCiphertexts, target: &mut CpuSwitched) -> Result<()> {
        same_size("words of a ciphertext to keyswitch", source.size, key.geometry.big_lwe_size())?;
        same_size("words of a keyswitched ciphertext", target.size, key.geometry.small_lwe_size())?;
        sub_range("ciphertexts to keyswitch", 0..count, source.len())?;
        sub_range("keyswitched ciphertexts", 0..count, target.len())?;
        let (inputs, outputs) = (&source.words[..count * source.size], &mut target.words[..count * target.size]);
        self.with_workspace(key, |workspace| {
            keyswitch_batch(&self.pool, &key.keyswitching_key, workspace, inputs, outputs);
        });
        Ok(())
    }

    fn bootstrap(
        &self,
        key: &CpuKey,
        tables: &CpuTables,
        lookups: &CpuLookups,
        rows: usize,
        source: &CpuSwitched,
        target: &mut CpuCiphertexts,
    ) -> Result<()> {
        same_size("words of a keyswitched ciphertext", source.size, key.geometry.small_lwe_size())?;
        same_size("words of a bootstrapped ciphertext", target.size, key.geometry.big_lwe_size())?;
        same_size("coefficients of a table", tables.polynomial_size, key.geometry.polynomial_size)?;
        let count = tables.words.len() / tables.polynomial_size;
        lookups.bounds.fit(rows, count, source.len(), target.len())?;
        let (mut switched, mut jobs) = (Vec::new(), Vec::new());
        let (mut slots, mut results) = (Vec::new(), Vec::new());
        let total = lookups.lookups.len() * rows;
        self.with_workspace(key, |workspace| {
            for first in (0..total).step_by(PIECE) {
                switched.clear();
                jobs.clear();
                slots.clear();
                results.clear();
                for job in first..total.min(first + PIECE) {
                    let (lookup, row) = (&lookups.lookups[job / rows], job % rows);
                    let input = lookup.input as usize * rows + row;
                    switched.extend_from_slice(&source.words[input * source.size..(input + 1) * source.size]);
                    let coefficients = &lookups.coefficients[job / rows];
                    jobs.push(BootstrapJob { table: lookup.table as usize, coefficients });
                    slots.extend(lookup.outputs.iter().map(|output| output.slot as usize * rows + row));
                }
                results.resize(slots.len() * target.size, 0);
                let key = &key.bootstrapping_key;
                bootstrap_batch(&self.pool, key, workspace, &switched, &jobs, &tables.words, &mut results);
                for (&slot, result) in slots.iter().zip(results.chunks_exact(target.size)) {
                    target.words[slot * target.size..(slot + 1) * target.size].copy_from_slice(result);
                }
            }
        });
        Ok(())
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }
}

/// `count` times `size` zeros, or an error where memory does not suffice.
fn zeroed<T: bytemuck::Zeroable + Clone>(count: usize, size: usize) -> Result<Vec<T>> {
    let mut words = Vec::new();
    let refused = |_| Error::Unavailable {
        what: format!("memory for {count} ciphertexts"),
        reason: "the allocation was refused".to_owned(),
    };
    let length = count.saturating_mul(size);
    words.try_reserve_exact(length).map_err(refused)?;
    words.resize(length, T::zeroed());
    Ok(words)
}
