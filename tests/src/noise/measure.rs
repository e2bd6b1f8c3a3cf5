//! Errors of every noisy step, measured with the secret key, on a backend and by the `tfhe` crate on the same key.
//!
//! Samples come in rounds, so that memory does not grow with their number. In every round:
//!
//! ```text
//! x, y        fresh encryptions, keyswitched and switched to 2N by the backend; x also by the tfhe crate
//! slot 0      x through a table, one output             the same blind rotations by the tfhe crate
//! slots 1-16  y through a table, an output at each box  a sixteenth of the blind rotations by the tfhe crate
//! forms       over these 17 fresh outputs, linear       word for word the tfhe crate's linear operations
//! fronts      the forms in front of a blind rotation    some of the same forms by the tfhe crate
//! ```
//!
//! A form takes terms of different bootstraps from different rows, and terms of one bootstrap from one. As many samples as
//! possible have no bootstrap in common with another one; the others mix bootstraps anew, which tells little more of the
//! form but all of the switches that follow.
//!
//! Errors are in units of the torus. An error modulo 2N is taken from half a step below the message, where the centred
//! modulus switch has its mean.

use std::ops::Range;

use fhe_core::Backend;
use fhe_core::lookup::{LinearForms, Lookup, LookupOutput, LookupTable, Term};
use fhe_core::torus::{BOXES, encode};
use rayon::prelude::*;
use tfhe::core_crypto::prelude::{
    CiphertextModulus, Cleartext, LweCiphertext, lwe_ciphertext_add_assign, lwe_ciphertext_cleartext_mul,
};

use super::forms::FormTerm;
use super::words::{KeyswitchErrors, bootstrap_in_32_bits, keyswitch, keyswitch_in_32_bits};
use crate::conformance::{Fixture, Random, phase};
use crate::reference::{Blocks, ReferenceBackend};

/// Rows of a round.
const ROWS: usize = 200;

/// Fresh outputs of a row: one of a classical bootstrap, and one at each box of another.
const FRESH: usize = 1 + BOXES;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Samples of each quantity.
    pub samples: usize,
    /// One of so many rows of the forms is switched by the `tfhe` crate too.
    pub share: usize,
    /// Whether the backend rounds the words of the keyswitching key to 32 bits; its keyswitch is then compared word for
    /// word.
    pub key_words_of_32_bits: bool,
}

/// Errors on the backend and by the `tfhe` crate.
#[derive(Clone, Debug, Default)]
pub struct Sides {
    /// On the backend.
    pub ours: Vec<f64>,
    /// By the `tfhe` crate.
    pub theirs: Vec<f64>,
}

/// Errors of one linear form over fresh bootstrap outputs.
#[derive(Clone, Debug, Default)]
pub struct FormErrors {
    /// Its terms.
    pub terms: Vec<FormTerm>,
    /// Of the form, in samples without a common bootstrap.
    pub independent: Vec<f64>,
    /// Of the form, in all samples.
    pub linear: Vec<f64>,
    /// Of the keyswitched and switched form, in front of a blind rotation, in all samples.
    pub front: Sides,
}

/// All errors, in units of the torus.
#[derive(Clone, Debug, Default)]
pub struct Errors {
    /// Of outputs of tables with one function.
    pub classical: Sides,
    /// Of outputs of many-LUT tables, by the box that is extracted; all together by the `tfhe` crate.
    pub many: [Vec<f64>; BOXES],
    /// The `tfhe` crate's of the same.
    pub many_theirs: Vec<f64>,
    /// What the keyswitch of the `tfhe` crate adds. A backend only shows what it is after the modulus switch.
    pub keyswitch: Vec<f64>,
    /// What the modulus switch adds: from the exact phase under the small key to the phase modulo 2N.
    pub modulus_switch: Sides,
    /// What the rounding of key words to 32 bits adds to a keyswitch.
    pub key_rounding: Vec<f64>,
    /// What one rounding of an accumulator to 32 bits adds.
    pub accumulator_rounding: Vec<f64>,
    /// Of bootstraps by the `tfhe` crate with accumulators of 32 bits, and of the same ones with 64.
    pub accumulators: [Vec<f64>; 2],
    /// Of the forms.
    pub forms: Vec<FormErrors>,
}

/// Measures the noise of `f`, with these forms over fresh bootstrap outputs.
#[must_use]
pub fn measure<B: Backend>(
    f: &Fixture<B>,
    reference: &Fixture<ReferenceBackend>,
    forms: &[Vec<FormTerm>],
    options: &Options,
) -> Errors {
    let forms = forms.iter().map(|terms| FormErrors { terms: terms.clone(), ..FormErrors::default() }).collect();
    let keyswitch_errors = KeyswitchErrors::new(f.keys, &reference.key);
    let random = Random::new(0x6e6f_6973);
    let mut round =
        Round { f, reference, options, keyswitch_errors, random, errors: Errors { forms, ..Errors::default() } };
    let mut left = options.samples;
    while left > 0 {
        round.run(ROWS.min(left.next_multiple_of(2)));
        left = left.saturating_sub(ROWS);
    }
    round.errors
}

struct Round<'a, B: Backend> {
    f: &'a Fixture<B>,
    reference: &'a Fixture<ReferenceBackend>,
    options: &'a Options,
    keyswitch_errors: KeyswitchErrors,
    random: Random,
    errors: Errors,
}

impl<B: Backend> Round<'_, B> {
    fn run(&mut self, rows: usize) {
        let f = self.f;
        let values: Vec<i64> = (0..2 * rows).map(|_| self.random.below(BOXES as u64) as i64).collect();
        let words = f.keys.encrypt(&values);
        let switched = f.switch(&f.load(&words), 2 * rows);
        let switched_words = f.backend.download_switched(&switched, 0..2 * rows).expect("download_switched");
        self.inputs(&words[..rows * f.block_words()], &switched_words);
        let mut table = || {
            let boxes = std::array::from_fn(|_| encode(self.random.below(32) as i64));
            LookupTable::new(boxes, BOXES).expect("16 is a domain")
        };
        let tables = [table(), table()];
        let outputs = |slot: usize, boxes: Range<usize>| {
            boxes.map(|at| LookupOutput { at: at as u32, slot: (slot + at) as u32 }).collect()
        };
        let lookups = [
            Lookup { input: 0, table: 0, outputs: outputs(0, 0..1) },
            Lookup { input: 1, table: 1, outputs: outputs(1, 0..BOXES) },
        ];
        let fresh = f.bootstrap(&tables, &lookups, rows, &switched, FRESH);
        let place = |table: usize, at: usize, row: usize| tables[table].value(values[table * rows + row] as usize + at);
        let messages: Vec<u64> = (0..FRESH)
            .flat_map(|slot| (0..rows).map(move |row| (slot.min(1), slot.saturating_sub(1), row)))
            .map(|(table, at, row)| place(table, at, row))
            .collect();
        let fresh_words = f.read(&fresh, 0..FRESH * rows);
        let errors = self.phase_errors(&fresh_words, &messages);
        self.errors.classical.ours.extend(&errors[..rows]);
        for (all, new) in self.errors.many.iter_mut().zip(errors[rows..].chunks_exact(rows)) {
            all.extend(new);
        }
        let (first, second) = switched_words.split_at(rows * self.small_words());
        let theirs = self.bootstrap_by_tfhe(&tables[0], 1, first);
        let theirs = self.phase_errors(&theirs, &messages[..rows]);
        self.accumulators(&tables[0], &first[..rows.div_ceil(16) * self.small_words()], &messages, &theirs);
        self.errors.classical.theirs.extend(theirs);
        let some = rows.div_ceil(BOXES);
        let theirs = self.bootstrap_by_tfhe(&tables[1], BOXES, &second[..some * self.small_words()]);
        let of_some: Vec<u64> =
            (0..some).flat_map(|row| (0..BOXES).map(move |at| (at, row))).map(|(at, row)| place(1, at, row)).collect();
        let theirs = self.phase_errors(&theirs, &of_some);
        self.errors.many_theirs.extend(theirs);
        for index in 0..self.errors.forms.len() {
            self.form(index, &Pool { words: &fresh_words, messages: &messages, rows });
        }
    }

    fn small_words(&self) -> usize {
        self.f.keys.scheme().parameters().lwe_dimension() + 1
    }

    /// Errors of blocks of these messages.
    fn phase_errors(&self, words: &[u64], messages: &[u64]) -> Vec<f64> {
        let blocks = words.par_chunks_exact(self.f.block_words()).zip(messages.par_iter());
        blocks.map(|(block, &message)| torus(phase(self.f.keys.big_key(), block).wrapping_sub(message))).collect()
    }

    /// Errors of switched blocks of these torus values, from half a step below.
    fn switched_errors(&self, words: &[u16], messages: &[u64]) -> Vec<f64> {
        let modulus = 2 * self.f.keys.scheme().parameters().polynomial_size() as u64;
        let half = 1 << (63 - modulus.ilog2());
        let blocks = words.par_chunks_exact(self.small_words()).zip(messages.par_iter());
        blocks
            .map(|(block, &message)| {
                let phase = self.f.keys.switched_phases(block)[0] << (64 - modulus.ilog2());
                torus(phase.wrapping_add(half).wrapping_sub(message))
            })
            .collect()
    }

    /// Keyswitch and modulus switch of fresh encryptions, step by step.
    fn inputs(&mut self, words: &[u64], switched: &[u16]) {
        let (f, reference) = (self.f, self.reference);
        let steps: Vec<(Vec<u64>, Vec<u16>)> =
            words.par_chunks_exact(f.block_words()).map(|block| keyswitch(&reference.key, block)).collect();
        // A small key's phases are torus values in the middle of the two steps.
        let small: Vec<u64> = steps.iter().map(|(small, _)| phase(f.keys.small_key(), small)).collect();
        let phases = f.keys.phases(words);
        let added = small.iter().zip(&phases).map(|(small, phase)| torus(small.wrapping_sub(*phase)));
        self.errors.keyswitch.extend(added);
        let theirs: Vec<u16> = steps.iter().flat_map(|(_, switched)| switched.iter().copied()).collect();
        let (ours, theirs) = (self.switched_errors(switched, &small), self.switched_errors(&theirs, &small));
        self.errors.modulus_switch.ours.extend(ours);
        self.errors.modulus_switch.theirs.extend(theirs);
        let rounding = words.par_chunks_exact(f.block_words()).map(|block| self.keyswitch_errors.rounding(block));
        self.errors.key_rounding.par_extend(rounding);
        if self.options.key_words_of_32_bits {
            let blocks = words.chunks_exact(f.block_words()).zip(switched.chunks_exact(self.small_words()));
            for (block, ours) in blocks.take(4) {
                assert_eq!(ours, keyswitch_in_32_bits(&reference.key, block), "key words are not of 32 bits");
            }
        }
    }

    /// Outputs at the first `outputs` boxes of every row, one row after the other.
    fn bootstrap_by_tfhe(&self, table: &LookupTable, outputs: usize, switched: &[u16]) -> Vec<u64> {
        let (reference, size) = (self.reference, self.small_words());
        let one = |input: &[u16]| {
            let input = Blocks::from_words(input.to_vec(), size);
            let outputs: Vec<_> = (0..outputs as u32).map(|at| LookupOutput { at, slot: at }).collect();
            let count = outputs.len();
            let lookups = [Lookup { input: 0, table: 0, outputs }];
            let result = reference.bootstrap(std::slice::from_ref(table), &lookups, 1, &input, count);
            reference.read(&result, 0..count)
        };
        switched.par_chunks_exact(size).flat_map_iter(one).collect()
    }

    /// Accumulators of 32 bits beside those of 64, by the `tfhe` crate's own steps.
    fn accumulators(&mut self, table: &LookupTable, switched: &[u16], messages: &[u64], wide: &[f64]) {
        let (keys, reference) = (self.f.keys, self.reference);
        let polynomial = table.polynomial(keys.scheme().parameters().polynomial_size());
        let inputs: Vec<_> =
            switched.chunks_exact(self.small_words()).map(|input| (input, Random::new(self.random.word()))).collect();
        let results: Vec<(Vec<u64>, Vec<f64>)> = inputs
            .into_par_iter()
            .map(|(input, mut random)| bootstrap_in_32_bits(keys, &reference.key, input, &polynomial, &mut random))
            .collect();
        let words: Vec<u64> = results.iter().flat_map(|(block, _)| block.iter().copied()).collect();
        let narrow = self.phase_errors(&words, messages);
        self.errors.accumulators[1].extend(&wide[..narrow.len()]);
        self.errors.accumulators[0].extend(narrow);
        self.errors.accumulator_rounding.extend(results.into_iter().flat_map(|(_, roundings)| roundings));
    }

    /// One form over fresh outputs, and what follows.
    fn form(&mut self, index: usize, pool: &Pool<'_>) {
        let (f, reference, rows, size) = (self.f, self.reference, pool.rows, self.f.block_words());
        let terms = self.errors.forms[index].terms.clone();
        let bootstraps = terms.iter().map(|term| term.bootstrap + 1).max().unwrap_or(0);
        // A bootstrap with one output may also be one with a table for one.
        let single = terms.len() == bootstraps;
        let units = if single { 2 * rows } else { rows };
        let independent = rows.min(units / bootstraps.max(1));
        let picked: Vec<Vec<usize>> = (0..rows)
            .map(|row| {
                let disjoint = row * bootstraps..(row + 1) * bootstraps;
                if row < independent { disjoint.collect() } else { self.distinct(bootstraps, units) }
            })
            .collect();
        let base = self.random.below(BOXES as u64) as usize;
        // Slots of the pool are those of the outputs; the half boxes beyond the last are the negated first.
        let source = |term: &FormTerm, row: usize| {
            let unit = picked[row][term.bootstrap];
            let at = (base + 3 * term.bootstrap + term.at / 2) % (2 * BOXES);
            if unit < rows { (1 + at % BOXES) * rows + unit } else { unit - rows }
        };
        let coefficient = |term: &FormTerm| {
            let at = (base + 3 * term.bootstrap) % (2 * BOXES) + term.at / 2;
            // The negative of an output has the sign of the box that it is in.
            if !single && at % (2 * BOXES) >= BOXES { -term.coefficient } else { term.coefficient }
        };
        let mut forms = LinearForms::new();
        let slots = terms.iter().enumerate();
        forms.push(slots.map(|(slot, term)| Term { slot: slot as u32, coefficient: coefficient(term) }), 0);
        let mut buffer = Vec::with_capacity(terms.len() * rows * size);
        let (mut messages, mut phases) = (vec![0u64; rows], vec![0u64; rows]);
        let pool_phases = |block: &[u64]| phase(f.keys.big_key(), block);
        for term in &terms {
            for row in 0..rows {
                let at = source(term, row);
                let (block, factor) = (&pool.words[at * size..][..size], i64::from(coefficient(term)) as u64);
                messages[row] = messages[row].wrapping_add(pool.messages[at].wrapping_mul(factor));
                phases[row] = phases[row].wrapping_add(pool_phases(block).wrapping_mul(factor));
                buffer.extend(block);
            }
        }
        let mut sums = f.allocate(rows);
        f.backend.linear(&f.forms(&forms), rows, &f.load(&buffer), &mut sums).expect("linear");
        let sum_words = f.read(&sums, 0..rows);
        let found: Vec<u64> = sum_words.par_chunks_exact(size).map(pool_phases).collect();
        assert_eq!(found, phases, "linear forms are exact");
        let by_tfhe = sum_by_tfhe(
            terms
                .iter()
                .zip(buffer.chunks_exact(rows * size))
                .map(|(term, blocks)| (&blocks[..size], coefficient(term))),
        );
        assert_eq!(&sum_words[..size], by_tfhe, "linear forms are those of the tfhe crate");
        let linear: Vec<f64> =
            phases.iter().zip(&messages).map(|(phase, message)| torus(phase.wrapping_sub(*message))).collect();
        let switched = f.backend.download_switched(&f.switch(&sums, rows), 0..rows).expect("download_switched");
        let ours = self.switched_errors(&switched, &messages);
        let some = sum_words[..rows.div_ceil(self.options.share) * size].par_chunks_exact(size);
        let some: Vec<u16> = some.flat_map_iter(|block| keyswitch(&reference.key, block).1).collect();
        let theirs = self.switched_errors(&some, &messages);
        let form = &mut self.errors.forms[index];
        form.independent.extend(&linear[..independent]);
        form.linear.extend(linear);
        form.front.ours.extend(ours);
        form.front.theirs.extend(theirs);
    }

    /// So many different numbers below `bound`.
    fn distinct(&mut self, count: usize, bound: usize) -> Vec<usize> {
        let mut picked = Vec::with_capacity(count);
        while picked.len() < count {
            let next = self.random.below(bound as u64) as usize;
            if !picked.contains(&next) {
                picked.push(next);
            }
        }
        picked
    }
}

/// Fresh outputs of a round, `[slot][row]`.
struct Pool<'a> {
    words: &'a [u64],
    messages: &'a [u64],
    rows: usize,
}

/// A word as a fraction of the torus, in [-1/2, 1/2).
fn torus(word: u64) -> f64 {
    word as i64 as f64 / 64f64.exp2()
}

/// Σ c·block by the `tfhe` crate's own operations.
fn sum_by_tfhe<'a>(terms: impl Iterator<Item = (&'a [u64], i32)>) -> Vec<u64> {
    let modulus = CiphertextModulus::new_native();
    let mut sum: Option<LweCiphertext<Vec<u64>>> = None;
    for (block, coefficient) in terms {
        let mut product = LweCiphertext::from_container(vec![0; block.len()], modulus);
        let factor = Cleartext(i64::from(coefficient) as u64);
        lwe_ciphertext_cleartext_mul(&mut product, &LweCiphertext::from_container(block, modulus), factor);
        match &mut sum {
            None => sum = Some(product),
            Some(sum) => lwe_ciphertext_add_assign(sum, &product),
        }
    }
    sum.map_or_else(Vec::new, LweCiphertext::into_container)
}
