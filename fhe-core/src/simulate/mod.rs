//! A backend without cryptography: programs run over the plain torus values that ciphertexts would hide.
//!
//! It is millions of times faster than encrypted evaluation and follows the same rules, so it serves for dry runs, for
//! tests over many inputs and for measuring programs. One word stands for a ciphertext: the phase b - <a, s>, that is
//! m·Δ + e.
//!
//! * Tables have the semantics of a blind rotation: the phase is switched to the modulus 2N = 4096, boxes are centred,
//!   the negacyclic rule holds, and outputs are extracted at their box.
//! * Each input of a table is held against the domain that the compiler proved: a value outside is
//!   [`Error::OutsideDomain`], where a ciphertext would silently decrypt to something else.
//! * [`SimulationBackend::new`] computes without noise, [`SimulationBackend::with_noise`] with normal noise of the
//!   variances that the parameter set was chosen for ([`NoiseModel`]). Inputs of a program are taken as they come.
//! * [`SimulationBackend::report`] counts the work and keeps the largest deviation from the centre of a box.
//!
//! Nothing here protects data.

mod evaluate;
mod noise;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use self::evaluate::{Inputs, Outputs, evaluate};
pub use self::noise::NoiseModel;
use self::noise::Normal;
use crate::backend::{Backend, Properties};
use crate::error::{Error, Result};
use crate::keys::EvaluationKey;
use crate::lookup::{LinearForms, Lookup, LookupTable};
use crate::params::{ParameterSet, Scheme};
use crate::torus::{BOXES, DELTA};

/// Boxes around the whole torus.
const RING: usize = 2 * BOXES;

/// Evaluates programs over plain values. See the [module documentation](self).
///
/// ```
/// use fhe_core::Backend;
/// use fhe_core::simulate::SimulationBackend;
/// assert_eq!(SimulationBackend::new().properties().name, "simulate");
/// ```
#[derive(Debug, Default)]
pub struct SimulationBackend {
    seed: Option<u64>,
    calls: AtomicU64,
    bootstraps: AtomicU64,
    extractions: AtomicU64,
    keyswitches: AtomicU64,
    linear_terms: AtomicU64,
    /// In torus words, at most half a box.
    largest_deviation: AtomicU64,
}

/// What a simulation has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SimulationReport {
    /// Blind rotations: lookups times rows.
    pub bootstraps: u64,
    /// Ciphertexts extracted from them; more than `bootstraps` where tables hold several functions.
    pub extractions: u64,
    /// Keyswitched ciphertexts.
    pub keyswitches: u64,
    /// Multiplied and added terms of linear forms, times rows.
    pub linear_terms: u64,
    /// The largest distance of a keyswitched value from the centre of its box, in fractions of half a box, the noise
    /// of keyswitch and modulus switch included: 0 without noise, and an input is misread once it passes 1.
    pub largest_deviation: f64,
}

/// An evaluation key of a simulation: nothing but its parameters.
#[derive(Clone, Debug)]
pub struct SimulatedKey {
    /// log2 of 2N.
    log_modulus: u32,
    noise: NoiseModel,
}

/// Tables, spread over all 32 boxes of the torus by the negacyclic rule.
#[derive(Debug)]
pub struct SimulatedTables(Vec<SimulatedTable>);

#[derive(Debug)]
struct SimulatedTable {
    values: [u64; RING],
    domain: usize,
}

/// Checked lookups, with the bounds that buffers have to meet.
#[derive(Debug)]
pub struct SimulatedLookups {
    lookups: Vec<Lookup>,
    tables: usize,
    inputs: usize,
    slots: usize,
    outputs: usize,
}

/// Checked linear forms.
#[derive(Debug)]
pub struct SimulatedForms {
    forms: LinearForms,
    terms: usize,
}

/// A buffer of phases.
#[derive(Debug)]
pub struct SimulatedCiphertexts(Vec<u64>);

/// A buffer of phases modulo 2N.
#[derive(Debug)]
pub struct SimulatedSwitched {
    phases: Vec<u16>,
    /// log2 of the coefficients in a box, N/16.
    log_box: u32,
}

impl SimulationBackend {
    /// A simulation without noise.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A simulation with the noise of [`NoiseModel`].
    ///
    /// The noise depends on the seed, on how many calls came before on this backend, and on the place in the call: the
    /// same calls give the same results. Threads that share a backend get noise in the order of their calls. The
    /// outputs of one many-LUT bootstrap have independent noise here, which is correlated in a real one.
    #[must_use]
    pub fn with_noise(seed: u64) -> Self {
        Self { seed: Some(seed), ..Self::default() }
    }

    /// The work done so far, and how close to failure it came.
    #[must_use]
    pub fn report(&self) -> SimulationReport {
        SimulationReport {
            bootstraps: self.bootstraps.load(Relaxed),
            extractions: self.extractions.load(Relaxed),
            keyswitches: self.keyswitches.load(Relaxed),
            linear_terms: self.linear_terms.load(Relaxed),
            largest_deviation: self.largest_deviation.load(Relaxed) as f64 / (DELTA / 2) as f64,
        }
    }

    /// The noise of the next call, if there is any.
    fn normal(&self, variance: f64) -> Option<Normal> {
        self.seed.map(|seed| Normal::new(seed, self.calls.fetch_add(1, Relaxed), variance))
    }
}

impl SimulatedKey {
    fn new(params: ParameterSet) -> Self {
        Self { log_modulus: params.polynomial_size().ilog2() + 1, noise: NoiseModel::of(params) }
    }
}

impl SimulatedSwitched {
    /// The box out of 32 that a phase falls into; boxes are centred on the multiples of their size.
    fn box_of(&self, phase: u16) -> usize {
        (usize::from(phase) + (1 << self.log_box >> 1)) >> self.log_box
    }
}

/// `given` is at least `needed`; a size that does not even fit a machine word counts as the largest one.
fn enough(what: &'static str, given: usize, needed: usize) -> Result<()> {
    if given >= needed { Ok(()) } else { Err(Error::Shape { what, found: given, expected: needed }) }
}

fn within(what: &'static str, range: &Range<usize>, len: usize) -> Result<()> {
    enough(what, len, range.end)?;
    enough(what, range.end, range.start)
}

impl Backend for SimulationBackend {
    type Key = SimulatedKey;
    type Forms = SimulatedForms;
    type Tables = SimulatedTables;
    type Lookups = SimulatedLookups;
    type Ciphertexts = SimulatedCiphertexts;
    type Switched = SimulatedSwitched;

    fn properties(&self) -> Properties {
        let device = match self.seed {
            None => "plain values".to_owned(),
            Some(seed) => format!("plain values with noise, seed {seed}"),
        };
        Properties { name: "simulate", device, parallelism: 1, level_overhead: 0, batch: 1 << 16, memory: 1 << 30 }
    }

    fn load_key(&self, key: &EvaluationKey) -> Result<Self::Key> {
        let params = key.scheme().parameters();
        Scheme::Simulated(params).expect("the simulation", key.scheme(), || "evaluation key".to_owned())?;
        Ok(SimulatedKey::new(params))
    }

    fn load_forms(&self, forms: &LinearForms) -> Result<Self::Forms> {
        Ok(SimulatedForms { terms: forms.iter().map(|(terms, _)| terms.len()).sum(), forms: forms.clone() })
    }

    fn load_tables(&self, _: &Self::Key, tables: &[LookupTable]) -> Result<Self::Tables> {
        let spread = |table: &LookupTable| SimulatedTable {
            values: std::array::from_fn(|index| table.value(index)),
            domain: table.domain(),
        };
        Ok(SimulatedTables(tables.iter().map(spread).collect()))
    }

    fn load_lookups(&self, tables: &Self::Tables, lookups: &[Lookup]) -> Result<Self::Lookups> {
        let mut loaded = SimulatedLookups { lookups: lookups.to_vec(), tables: 0, inputs: 0, slots: 0, outputs: 0 };
        for lookup in lookups {
            let table = lookup.table as usize;
            if table >= tables.0.len() {
                return Err(Error::Shape { what: "table of a lookup", found: table, expected: tables.0.len() });
            }
            loaded.tables = loaded.tables.max(table + 1);
            loaded.inputs = loaded.inputs.max(lookup.input as usize + 1);
            loaded.outputs += lookup.outputs.len();
            for output in &lookup.outputs {
                let at = output.at as usize;
                if at >= BOXES {
                    return Err(Error::Shape { what: "box of an output", found: at, expected: BOXES });
                }
                loaded.slots = loaded.slots.max(output.slot as usize + 1);
            }
        }
        Ok(loaded)
    }

    fn allocate(&self, _: &Self::Key, count: usize) -> Result<Self::Ciphertexts> {
        Ok(SimulatedCiphertexts(vec![0; count]))
    }

    fn allocate_switched(&self, key: &Self::Key, count: usize) -> Result<Self::Switched> {
        Ok(SimulatedSwitched { phases: vec![0; count], log_box: key.log_modulus - RING.ilog2() })
    }

    fn upload(&self, words: &[u64], target: &mut Self::Ciphertexts, at: usize) -> Result<()> {
        enough("buffer to upload to", target.0.len(), at.saturating_add(words.len()))?;
        target.0[at..at + words.len()].copy_from_slice(words);
        Ok(())
    }

    fn download(&self, source: &Self::Ciphertexts, range: Range<usize>, words: &mut [u64]) -> Result<()> {
        within("buffer to download from", &range, source.0.len())?;
        if words.len() != range.len() {
            return Err(Error::Shape { what: "words to download to", found: words.len(), expected: range.len() });
        }
        words.copy_from_slice(&source.0[range]);
        Ok(())
    }

    fn download_switched(&self, source: &Self::Switched, range: Range<usize>) -> Result<Vec<u16>> {
        within("buffer to download from", &range, source.phases.len())?;
        Ok(source.phases[range].to_vec())
    }

    fn linear(
        &self,
        forms: &Self::Forms,
        rows: usize,
        source: &Self::Ciphertexts,
        target: &mut Self::Ciphertexts,
    ) -> Result<()> {
        enough("source of linear forms", source.0.len(), forms.forms.slots().saturating_mul(rows))?;
        enough("target of linear forms", target.0.len(), forms.forms.len().saturating_mul(rows))?;
        if rows == 0 {
            return Ok(());
        }
        for ((terms, constant), sums) in forms.forms.iter().zip(target.0.chunks_exact_mut(rows)) {
            sums.fill(constant);
            for term in terms {
                let coefficient = i64::from(term.coefficient) as u64;
                let values = &source.0[term.slot as usize * rows..][..rows];
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = sum.wrapping_add(value.wrapping_mul(coefficient));
                }
            }
        }
        self.linear_terms.fetch_add((forms.terms * rows) as u64, Relaxed);
        Ok(())
    }

    /// The phase after keyswitch and modulus switch, in `0..2N`.
    ///
    /// The centred mean subtracts half a step from the body, so that rounding it becomes rounding down: with every
    /// mask word switched first, the phase modulo 2N is exactly ⌊(phase + noise)·2N/q⌋, where the noise is that of the
    /// mask's rounding alone.
    fn keyswitch(
        &self,
        key: &Self::Key,
        count: usize,
        source: &Self::Ciphertexts,
        target: &mut Self::Switched,
    ) -> Result<()> {
        enough("source of a keyswitch", source.0.len(), count)?;
        enough("target of a keyswitch", target.phases.len(), count)?;
        let shift = u64::BITS - key.log_modulus;
        let mut largest = 0;
        let mut switch = |phase: u64| {
            // Distance from the nearest multiple of a whole box.
            largest = largest.max((phase.wrapping_add(DELTA / 2) % DELTA).abs_diff(DELTA / 2));
            (phase >> shift) as u16
        };
        let pairs = target.phases.iter_mut().zip(&source.0[..count]);
        match self.normal(key.noise.keyswitch + key.noise.modulus_switch) {
            None => pairs.for_each(|(switched, &phase)| *switched = switch(phase)),
            Some(normal) => pairs.zip(0..).for_each(|((switched, &phase), index)| {
                *switched = switch(phase.wrapping_add(normal.at(index)));
            }),
        }
        self.largest_deviation.fetch_max(largest, Relaxed);
        self.keyswitches.fetch_add(count as u64, Relaxed);
        Ok(())
    }

    /// Nothing is written if any input of any lookup is outside its domain.
    fn bootstrap(
        &self,
        key: &Self::Key,
        tables: &Self::Tables,
        lookups: &Self::Lookups,
        rows: usize,
        source: &Self::Switched,
        target: &mut Self::Ciphertexts,
    ) -> Result<()> {
        enough("tables of a bootstrap", tables.0.len(), lookups.tables)?;
        enough("source of a bootstrap", source.phases.len(), lookups.inputs.saturating_mul(rows))?;
        enough("target of a bootstrap", target.0.len(), lookups.slots.saturating_mul(rows))?;
        let inputs = |lookup: &Lookup| &source.phases[lookup.input as usize * rows..][..rows];
        for (index, lookup) in lookups.lookups.iter().enumerate() {
            let domain = tables.0[lookup.table as usize].domain;
            let outside = |&phase: &u16| source.box_of(phase) % RING >= domain;
            if let Some(row) = inputs(lookup).iter().position(outside) {
                let value = (source.box_of(inputs(lookup)[row]) % RING) as i64;
                return Err(Error::OutsideDomain { value, domain, row, lookup: index });
            }
        }
        let normal = self.normal(key.noise.bootstrap);
        let mut drawn = 0..;
        for lookup in &lookups.lookups {
            let values = &tables.0[lookup.table as usize].values;
            for output in &lookup.outputs {
                let outputs = &mut target.0[output.slot as usize * rows..][..rows];
                for (result, &phase) in outputs.iter_mut().zip(inputs(lookup)) {
                    *result = values[(source.box_of(phase) + output.at as usize) % RING];
                }
                if let Some(normal) = normal {
                    for (result, index) in outputs.iter_mut().zip(&mut drawn) {
                        *result = result.wrapping_add(normal.at(index));
                    }
                }
            }
        }
        self.bootstraps.fetch_add((lookups.lookups.len() * rows) as u64, Relaxed);
        self.extractions.fetch_add((lookups.outputs * rows) as u64, Relaxed);
        Ok(())
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
