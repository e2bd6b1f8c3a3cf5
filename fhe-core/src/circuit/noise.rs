//! Noise in front of bootstraps, with what the outputs of bootstraps on one input have in common.
//!
//! Outputs of bootstraps on different inputs have independent noise. Those on one input do not if they come out of one
//! accumulator: because they share a bootstrap, or because their tables only differ by a rotation, which commutes with
//! blind rotation. At the same place they are the same ciphertext, up to the sign. Two that are d of 16 boxes apart have
//! rounding errors of masks in common: their correlation is at most 1/2 - d/16, see
//! [`NoiseModel::shared`](crate::simulate::NoiseModel::shared), with all noise counted as that of masks.

use std::collections::HashMap;

use crate::circuit::Block;
use crate::circuit::block::LeafId;
use crate::circuit::builder::{Form, FormId, MAX_NORM2, canonical};
use crate::circuit::optimise::Net;
use crate::circuit::packing::bootstraps;
use crate::error::{Error, Result};
use crate::torus::BOXES;

/// Variances are counted in eighths of that of a bootstrap output, so that correlations keep them whole.
const UNIT: i64 = BOXES as i64 / 2;

/// Boxes of a table and their negatives.
const CYCLE: usize = 2 * BOXES;

/// Where an output comes out: an accumulator, up to rotation, and a box of the cycle.
type Place = ([u64; CYCLE], usize);

/// Brings all forms within the noise bound: outputs of bootstraps on one input that are too noisy together become one
/// output, the table of their sum.
pub(crate) fn quieten(net: &mut Net, outputs: &[Block]) {
    loop {
        let mut noise = Noise::new(net);
        let live = (0..net.forms.len() as FormId).filter(|&id| !net.forms[id as usize].lookups.is_empty());
        let noisy: Vec<FormId> = live.filter(|&id| !noise.is_quiet(id)).collect();
        let mut merged = false;
        for id in noisy {
            merged |= merge(net, id);
        }
        // Each round leaves fewer terms, so there is a last one.
        if !merged {
            return;
        }
        net.count_uses(outputs);
    }
}

/// The noise of forms over the outputs of a net.
pub(crate) struct Noise<'a> {
    net: &'a Net,
    /// For each form the first one with the same terms: the same input, but for a constant.
    inputs: Vec<FormId>,
    places: HashMap<FormId, HashMap<LeafId, Place>>,
}

impl<'a> Noise<'a> {
    pub(crate) fn new(net: &'a Net) -> Self {
        let mut first = HashMap::new();
        let forms = net.forms.iter().enumerate();
        let inputs = forms.map(|(id, form)| *first.entry(&form.terms).or_insert(id as FormId)).collect();
        Self { net, inputs, places: HashMap::new() }
    }

    /// Checks the noise of every form once more.
    pub(crate) fn verify(mut self) -> Result<()> {
        for (id, form) in self.net.forms.iter().enumerate().filter(|(_, form)| !form.lookups.is_empty()) {
            if !self.is_quiet(id as FormId) {
                let norm = (self.eighths(&form.terms) as f64 / UNIT as f64).sqrt();
                let operation = self.net.operations.get(form.operation as usize).cloned().unwrap_or_default();
                return Err(Error::NoiseTooHigh { operation, norm, max: (MAX_NORM2 as f64).sqrt() });
            }
        }
        Ok(())
    }

    /// Variance of a sum, rounded up, in variances of one bootstrap output.
    pub(crate) fn norm2(&mut self, terms: &[(LeafId, i32)]) -> u64 {
        (self.eighths(terms) as u64).div_ceil(UNIT as u64)
    }

    fn is_quiet(&mut self, id: FormId) -> bool {
        // Whatever the outputs have in common, the norm is at most the sum of the coefficients: true of most forms.
        let sum: u64 = self.net.forms[id as usize].terms.iter().map(|term| u64::from(term.1.unsigned_abs())).sum();
        sum.pow(2) <= MAX_NORM2 || self.eighths(&self.net.forms[id as usize].terms) <= UNIT * MAX_NORM2 as i64
    }

    /// Variance of a sum, at most.
    fn eighths(&mut self, terms: &[(LeafId, i32)]) -> i64 {
        let independent = terms.iter().map(|&(_, coefficient)| UNIT * i64::from(coefficient).pow(2)).sum::<i64>();
        let together: i64 = self.by_input(terms).iter().map(|terms| self.shared(terms)).sum();
        independent + together
    }

    /// The terms that are outputs of bootstraps, those on one input together.
    fn by_input(&self, terms: &[(LeafId, i32)]) -> Vec<Vec<(LeafId, i64)>> {
        let mut inputs: Vec<(FormId, Vec<(LeafId, i64)>)> = Vec::new();
        for &(leaf, coefficient) in terms {
            if let Some(form) = self.net.form_of(leaf) {
                let (input, term) = (self.inputs[form as usize], (leaf, i64::from(coefficient)));
                match inputs.iter_mut().find(|(known, _)| *known == input) {
                    Some((_, terms)) => terms.push(term),
                    None => inputs.push((input, vec![term])),
                }
            }
        }
        inputs.into_iter().map(|(_, terms)| terms).collect()
    }

    /// Twice the covariances of outputs of bootstraps on one input. What partial correlations take away is not relied on.
    fn shared(&mut self, terms: &[(LeafId, i64)]) -> i64 {
        if terms.len() < 2 {
            return 0;
        }
        let places: Vec<Option<Place>> = terms.iter().map(|&(leaf, _)| self.place(leaf)).collect();
        let mut sum = 0;
        for (left, &(_, factor)) in terms.iter().enumerate() {
            for (right, &(_, other)) in terms[..left].iter().enumerate() {
                let (Some((accumulator, at)), Some((another, to))) = (&places[left], &places[right]) else { continue };
                if accumulator != another {
                    continue;
                }
                let distance = (CYCLE + at - to) % CYCLE;
                let (distance, product) =
                    if distance < BOXES { (distance, factor * other) } else { (distance - BOXES, -factor * other) };
                sum += match distance {
                    0 => 2 * UNIT * product,
                    // 2·8·(1/2 - d/16)
                    _ => (product * (UNIT - distance as i64)).max(0),
                };
            }
        }
        sum
    }

    fn place(&mut self, leaf: LeafId) -> Option<Place> {
        let id = self.net.form_of(leaf)?;
        let places = self.places.entry(id).or_insert_with(|| places(self.net, &self.net.forms[id as usize]));
        places.get(&leaf).copied()
    }
}

fn places(net: &Net, form: &Form) -> HashMap<LeafId, Place> {
    let mut places = HashMap::new();
    for bootstrap in bootstraps(net, form) {
        let cycle: [u64; CYCLE] = std::array::from_fn(|index| {
            let word = bootstrap.boxes[index % BOXES];
            if index < BOXES { word } else { word.wrapping_neg() }
        });
        let rotation = |by: usize| std::array::from_fn::<u64, CYCLE, _>(|index| cycle[(index + by) % CYCLE]);
        let (first, by) = (0..CYCLE).map(|by| (rotation(by), by)).min().unwrap_or((cycle, 0));
        // The constant of a form turns the table by as many boxes.
        let turned = form.constant - by as i64;
        let at = |at: usize| (turned + at as i64).rem_euclid(CYCLE as i64) as usize;
        places.extend(bootstrap.outputs.iter().map(|&(function, leaf)| (leaf, (first, at(function)))));
    }
    places
}

/// Merges outputs on one input into one in this form, the noisiest first, until the form is within the bound. Whether there
/// were any.
fn merge(net: &mut Net, id: FormId) -> bool {
    let mut merged = false;
    loop {
        let mut noise = Noise::new(net);
        if noise.is_quiet(id) {
            return merged;
        }
        let terms = net.forms[id as usize].terms.clone();
        let groups = noise.by_input(&terms).into_iter().filter(|terms| terms.len() > 1 || terms[0].1.abs() > 1);
        let variance = |terms: &Vec<(LeafId, i64)>| {
            let independent: i64 = terms.iter().map(|(_, factor)| UNIT * factor.pow(2)).sum();
            independent + noise.shared(terms)
        };
        let Some(noisiest) = groups.max_by_key(variance) else { return merged };
        merge_terms(net, id, &noisiest);
        merged = true;
    }
}

fn merge_terms(net: &mut Net, id: FormId, terms: &[(LeafId, i64)]) {
    // The input keeps to the bounds of all forms with it; the narrowest leaves the most room.
    let sources = terms.iter().filter_map(|&(leaf, _)| net.form_of(leaf));
    let Some(source) = sources.min_by_key(|&source| net.forms[source as usize].span) else { return };
    let (constant, span) = (net.forms[source as usize].constant, net.forms[source as usize].span);
    let sum = |x: i64| {
        let of = |&(leaf, factor): &(LeafId, i64)| {
            let at = net.form_of(leaf).map(|form| x - constant + net.forms[form as usize].constant);
            let value = at.and_then(|at| usize::try_from(at).ok()).and_then(|at| net.values(leaf).get(at));
            // A value outside one form's bounds is never met.
            factor * value.copied().unwrap_or(0)
        };
        terms.iter().map(of).sum::<i64>()
    };
    let (values, sign, offset) = canonical(&(0..=span).map(sum).collect::<Vec<i64>>());
    let leaf = values.iter().any(|&value| value != 0).then(|| net.push_lookup(source, values));
    let form = &mut net.forms[id as usize];
    form.constant += offset;
    form.terms.retain(|term| terms.iter().all(|(leaf, _)| *leaf != term.0));
    form.terms.extend(leaf.map(|leaf| (leaf, sign as i32)));
    form.terms.sort_unstable();
}

#[cfg(test)]
mod tests {
    use crate::circuit::{Block, Builder, Plan};

    type Table = fn(i64) -> i64;

    /// Lookups of one form in the first level, for a sum of tables on x with these weights, and y.
    fn first_level(domain: i64, tables: &[(Table, i64)]) -> usize {
        let mut b = Builder::new();
        let (x, y) = (b.input(0, 0, 0..=domain - 1), b.input(1, 0, 0..=1));
        let outputs: Vec<Block> = tables.iter().map(|(table, _)| b.lookup(&x, table)).collect();
        let parts: Vec<(&Block, i64)> =
            outputs.iter().zip(tables).map(|(output, (_, weight))| (output, *weight)).chain([(&y, 1)]).collect();
        let sum = b.lookup_sum(&parts, 0, |sum| sum & 1);
        let plan = Plan::compile(b, &[1, 1], vec![sum], false).unwrap();
        plan.levels[0].lookups.iter().map(|lookup| lookup.outputs.len()).sum()
    }

    #[test]
    fn outputs_that_are_too_noisy_together_become_one() {
        let weighted = |weights: [i64; 3]| {
            let tables: [Table; 3] = [|x| i64::from(x == 1), |x| i64::from(x == 2), |x| i64::from(x == 3)];
            first_level(4, &[(tables[0], weights[0]), (tables[1], weights[1]), (tables[2], weights[2])])
        };
        assert_eq!(weighted([2, 1, 1]), 3);
        // 16 + 4 + 1 and 1 for y, and 2·(8 + 2)/4 that neighbours have in common.
        assert_eq!(weighted([4, 2, 1]), 1);
        // A negative covariance is no reason.
        assert_eq!(weighted([4, -2, 1]), 3);
    }

    /// One bootstrap each, but of one accumulator: one box apart, 2·9·7/16 in common.
    /// The same table of the same sum within other bounds is another form, but the same ciphertext.
    #[test]
    fn forms_with_other_bounds_are_the_same_input() {
        let norm2 = |narrow: i64| {
            let mut b = Builder::new();
            let (x, y) = (b.input(0, 0, 0..=3), b.input(1, 0, 0..=1));
            let one = b.lookup(&x, |v| i64::from(v == 1));
            let other = b.lookup(&x.clone().within(0..=narrow), |v| i64::from(v == 1));
            let sum = &(&(&one * 3) + &(&other * 2)) + &y;
            Plan::compile(b, &[1, 1], vec![sum], false).unwrap().output_blocks[0].norm2
        };
        assert_eq!((norm2(3), norm2(1)), (26, 26));
    }

    #[test]
    fn rotated_tables_have_noise_in_common() {
        assert_eq!(first_level(16, &[(|x| i64::from(x == 4), 3), (|x| i64::from(x == 5), 2)]), 2);
        assert_eq!(first_level(16, &[(|x| i64::from(x == 4), 3), (|x| i64::from(x == 5), 3)]), 1);
        assert_eq!(first_level(16, &[(|x| i64::from(x == 4), 3), (|x| i64::from(x & 5 == 5), 3)]), 2);
    }
}
