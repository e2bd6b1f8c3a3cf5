//! The linear forms in front of bootstraps that carry the most noise, one for every operation.

use std::collections::{BTreeMap, HashMap};

use fhe_core::circuit::Plan;
use fhe_core::lookup::{LinearForms, LookupTable};
use fhe_core::simulate::NoiseModel;
use fhe_core::torus::{BOXES, DELTA};
use fhe_core::{Form, ParameterSet, Result, Type};
use rayon::prelude::*;

use crate::catalogue::{OPERATIONS, Operation};

/// The noisiest form of an operation.
#[derive(Clone, Debug)]
pub struct Heaviest {
    /// Name in the catalogue.
    pub operation: &'static str,
    /// Type of the operands.
    pub ty: Type,
    /// Which form of the program.
    pub form: Form,
    /// The terms.
    pub terms: Vec<FormTerm>,
    /// Its variance, in variances of one bootstrap output.
    pub norm2: f64,
    /// Steps of the modulus 2N between a noiseless input and the nearest wrong box, the least of all lookups.
    pub distance: usize,
}

impl Heaviest {
    /// Σ c² of the coefficients: the norm if all terms were independent.
    #[must_use]
    pub fn nominal(&self) -> u32 {
        self.terms.iter().map(|term| term.coefficient.unsigned_abs().pow(2)).sum()
    }
}

/// A term of a form: an output of one of its bootstraps (or an input, which is as good as one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FormTerm {
    /// Number of the bootstrap within the form.
    pub bootstrap: usize,
    /// Half boxes from the first output of that bootstrap in the form to this one, below 64; beyond 32 come the
    /// negatives.
    pub at: usize,
    /// Coefficient.
    pub coefficient: i32,
}

/// For every operation of the catalogue its noisiest form, over all these types and both forms of its program.
///
/// # Errors
/// An operation that takes a type and cannot be lowered for it.
pub fn heaviest(types: &[Type], params: ParameterSet) -> Result<Vec<Heaviest>> {
    let model = NoiseModel::of(params);
    let of = |operation: &Operation| -> Result<Option<Heaviest>> {
        let mut heaviest: Option<Heaviest> = None;
        for &ty in types.iter().filter(|&&ty| operation.graph(ty).is_ok()) {
            let program = operation.program(ty)?;
            for form in [Form::Throughput, Form::Latency] {
                let plan = program.plan(form)?;
                let Some((norm2, parts)) = noisiest(&plan, &model) else { continue };
                let known = heaviest.as_ref().map_or(usize::MAX, |known| known.distance);
                let distance = known.min(distance(&plan, params.polynomial_size()));
                match &mut heaviest {
                    // The same norm in another order of summation is no more noise.
                    Some(known) if known.norm2 + 1e-9 >= norm2 => known.distance = distance,
                    _ => {
                        let (operation, terms) = (operation.name, numbered(&parts));
                        heaviest = Some(Heaviest { operation, ty, form, terms, norm2, distance });
                    }
                }
            }
        }
        Ok(heaviest)
    };
    let all: Vec<_> = OPERATIONS.par_iter().map(of).collect::<Result<_>>()?;
    Ok(all.into_iter().flatten().collect())
}

/// The parts of a form, bootstraps with the largest coefficients first.
fn numbered(parts: &[Part]) -> Vec<FormTerm> {
    let mut bootstraps: BTreeMap<usize, Vec<(usize, i32)>> = BTreeMap::new();
    for &(bootstrap, at, coefficient) in parts {
        bootstraps.entry(bootstrap).or_default().push((at, coefficient as i32));
    }
    let mut bootstraps: Vec<Vec<(usize, i32)>> = bootstraps.into_values().collect();
    for outputs in &mut bootstraps {
        let first = outputs[0].0;
        for output in outputs {
            output.0 -= first;
        }
    }
    let order = |outputs: &Vec<(usize, i32)>| outputs.iter().map(|&(at, c)| (-c.abs(), -c, at)).collect::<Vec<_>>();
    bootstraps.sort_by_key(order);
    let numbered = bootstraps.into_iter().enumerate();
    numbered
        .flat_map(|(bootstrap, outputs)| {
            outputs.into_iter().map(move |(at, coefficient)| FormTerm { bootstrap, at, coefficient })
        })
        .collect()
}

/// Steps of the modulus 2N by which the input of any lookup may be off on either side, before the modulus switch rounds
/// it, so that every output still is the value in the middle of the input's box; at most half a box.
///
/// Looked up in the polynomials themselves: a box is N/16 coefficients wide for all of them. Functions that share a
/// polynomial start at boxes of their own and have as many fewer inputs; tables over the padding bit go on with the
/// negated boxes.
fn distance(plan: &Plan, polynomial_size: usize) -> usize {
    let box_size = polynomial_size / BOXES;
    let of = |table: &LookupTable, at: u32| {
        let polynomial = table.polynomial(polynomial_size);
        let value = |place: i64| {
            let place = place.rem_euclid(2 * polynomial_size as i64) as usize;
            let word = polynomial[place % polynomial_size];
            if place < polynomial_size { word } else { word.wrapping_neg() }
        };
        let around = |input: usize| {
            let centre = ((input + at as usize) * box_size) as i64;
            let wanted = table.value(input + at as usize);
            // The modulus switch rounds down: an error in -d..d comes out as one of -d, ..., d - 1.
            let same = |d: &i64| value(centre - d - 1) == wanted && value(centre + d) == wanted;
            (0..box_size as i64 / 2).take_while(same).count()
        };
        (0..table.domain()).map(around).min().unwrap_or(0)
    };
    let mut known: HashMap<(u32, u32), usize> = HashMap::new();
    for output in plan.levels.iter().flat_map(|level| &level.lookups) {
        for at in output.outputs.iter().map(|output| output.at) {
            let table = &plan.tables[output.table as usize];
            known.entry((output.table, at)).or_insert_with(|| of(table, at));
        }
    }
    known.into_values().min().unwrap_or(box_size / 2)
}

/// Half boxes of a table and of its negative.
const HALF_BOXES: usize = 4 * BOXES;

/// A term of a form: the bootstrap, the half box of its table at which it is extracted, and the coefficient.
type Part = (usize, usize, i64);

/// What two bootstraps have in common that give the same accumulator up to a power of X and a sign: the input, and the
/// half boxes of the table, rotated so that they come first in order.
type Origin = (Vec<Part>, Vec<u64>);

/// The noisiest form in front of a bootstrap.
///
/// Outputs of different bootstraps have independent noise, unless their tables only differ by a power of X or a sign:
/// rotating commutes with both, so the two are one bootstrap. Outputs of one bootstrap share noise: see
/// [`NoiseModel::shared`].
fn noisiest(plan: &Plan, model: &NoiseModel) -> Option<(f64, Vec<Part>)> {
    let mut bootstraps: HashMap<Origin, usize> = HashMap::new();
    let mut count = plan.slots;
    let mut slots: Vec<(usize, usize)> = (0..plan.slots).map(|slot| (slot, 0)).collect();
    let mut heaviest: Option<(f64, Vec<Part>)> = None;
    for level in &plan.levels {
        let forms: Vec<_> = (0..level.forms.len()).map(|form| parts(&level.forms, form, &slots)).collect();
        for (parts, _) in &forms {
            let norm2 = norm2(parts, model);
            if heaviest.as_ref().is_none_or(|known| known.0 < norm2) {
                heaviest = Some((norm2, parts.clone()));
            }
        }
        for lookup in &level.lookups {
            let (parts, constant) = &forms[lookup.input as usize];
            let (first, from) = rotated(&plan.tables[lookup.table as usize]);
            let bootstrap = *bootstraps.entry((parts.clone(), first)).or_insert_with(|| {
                count += 1;
                count - 1
            });
            for output in &lookup.outputs {
                // Constants are multiples of half a unit: see `Plan`.
                let shift = from + 2 * output.at as usize + (constant / (DELTA / 2)) as usize;
                slots[output.slot as usize] = (bootstrap, shift % HALF_BOXES);
            }
        }
    }
    heaviest
}

/// Variance of a form in variances of one bootstrap output.
fn norm2(parts: &[Part], model: &NoiseModel) -> f64 {
    let pairs = parts.iter().flat_map(|left| parts.iter().map(move |right| (left, right)));
    let of = |(left, right): (&Part, &Part)| {
        let distance = (HALF_BOXES + right.1 - left.1) % HALF_BOXES;
        let correlation = if left.0 == right.0 { correlation(model, distance) } else { 0.0 };
        (left.2 * right.2) as f64 * correlation
    };
    pairs.map(of).sum()
}

/// Of two outputs of one bootstrap that are so many half boxes apart.
fn correlation(model: &NoiseModel, distance: usize) -> f64 {
    let (sign, distance) = if distance < HALF_BOXES / 2 { (1.0, distance) } else { (-1.0, distance - HALF_BOXES / 2) };
    let share = distance as f64 / (HALF_BOXES / 2) as f64;
    sign * if distance == 0 { 1.0 } else { model.shared(share) / model.bootstrap }
}

/// The parts of a form and its constant.
fn parts(forms: &LinearForms, index: usize, slots: &[(usize, usize)]) -> (Vec<Part>, u64) {
    let (terms, constant) = forms.get(index).unwrap_or_default();
    let mut sums: BTreeMap<(usize, usize), i64> = BTreeMap::new();
    for term in terms {
        *sums.entry(slots[term.slot as usize]).or_default() += i64::from(term.coefficient);
    }
    let parts = sums.into_iter().filter(|&(_, coefficient)| coefficient != 0);
    (parts.map(|((bootstrap, at), coefficient)| (bootstrap, at, coefficient)).collect(), constant)
}

/// The half boxes of a table and their negatives, rotated so that they come first in order, and the place among them
/// at which the table begins.
fn rotated(table: &LookupTable) -> (Vec<u64>, usize) {
    let half_box = |index: usize| {
        let index = index % HALF_BOXES;
        let word = table.value((index % (2 * BOXES)).div_ceil(2));
        if index < 2 * BOXES { word } else { word.wrapping_neg() }
    };
    let rotation = |by: usize| (0..HALF_BOXES).map(|index| half_box(index + by)).collect::<Vec<u64>>();
    let (first, by) = (0..HALF_BOXES).map(|by| (rotation(by), by)).min().unwrap_or_default();
    (first, (HALF_BOXES - by) % HALF_BOXES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhe_core::circuit::Builder;
    use fhe_core::{Program, ProgramOptions};

    use crate::conformance::Random;
    use crate::random_programs::{Step, from_steps};

    fn model() -> NoiseModel {
        NoiseModel::of(ParameterSet::default())
    }

    /// f and -f of one form are one ciphertext and its negative: their difference has four variances, not two.
    #[test]
    fn rotated_and_negated_tables_are_one_bootstrap() {
        let table = |f: fn(i64) -> i64| LookupTable::from_fn(f);
        let (first, from) = rotated(&table(|x| x % 7));
        let (negated, to) = rotated(&table(|x| -(x % 7)));
        assert_eq!((&first, (to + 32) % 64), (&negated, from));
        // The negacyclic table that is moved on by three boxes.
        let moved = table(|x| if x < 13 { (x + 3) % 7 } else { -((x - 13) % 7) });
        assert_eq!(rotated(&moved), (first.clone(), (from + 6) % 64));
        assert_ne!(rotated(&table(|x| x % 5)).0, first);
        assert!((norm2(&[(0, 5, 1), (0, 37, -1)], &model()) - 4.0).abs() < 1e-9);
        assert!((norm2(&[(0, 5, 1), (1, 37, -1)], &model()) - 2.0).abs() < 1e-9);
    }

    /// Outputs of one bootstrap are not independent, unless they are half a table apart.
    #[test]
    fn outputs_of_one_bootstrap_share_noise() {
        let sum_of = |functions: &[fn(i64) -> i64]| {
            let mut b = Builder::new();
            // Without y, all tables would become one of x.
            let (x, y) = (b.input(0, 0, 0..=3), b.input(1, 0, 0..=3));
            let outputs = functions.iter().map(|f| b.lookup(&x, f)).collect::<Vec<_>>();
            let sum = outputs.iter().fold(y, |sum, output| &sum + output);
            let sum = b.lookup(&sum, |x| x / 2);
            let plan = Plan::compile(b, &[1, 1], vec![sum], false).unwrap();
            let (norm2, parts) = noisiest(&plan, &model()).unwrap();
            let outputs = plan.levels[0].lookups[0].outputs.iter();
            (outputs.map(|output| output.at).collect::<Vec<_>>(), parts.len(), norm2)
        };
        let (at, parts, norm2) = sum_of(&[|x| x & 1, |x| x >> 1]);
        assert_eq!((at, parts), (vec![0, 8], 3));
        assert!((norm2 - 3.0).abs() < 1e-9, "{norm2}");
        let (at, parts, norm2) = sum_of(&[|x| x & 1, |x| x >> 1, |x| x / 3]);
        assert_eq!((at, parts), (vec![0, 4, 8], 4));
        assert!(norm2 > 4.01, "{norm2}");
    }

    /// Operations that follow each other combine outputs of common bootstraps; the bound holds with what they share.
    #[test]
    fn programs_keep_the_bound_with_shared_noise() {
        const TYPES: [Type; 5] = [Type::Bool, Type::Uint(2), Type::Uint(8), Type::Int(12), Type::Uint(16)];
        let mut random = Random::new(11);
        let mut noisiest_of_all = 0f64;
        for index in 0..1000 {
            let inputs: Vec<Type> = (0..2).map(|_| TYPES[random.below(TYPES.len() as u64) as usize]).collect();
            let step = |random: &mut Random| {
                let word = random.word();
                (word as u8, (word >> 8) as u16, (word >> 24) as u16, (word >> 40) as u16, random.word())
            };
            let steps: Vec<Step> = (0..random.below(60)).map(|_| step(&mut random)).collect();
            let graph = from_steps(&TYPES, &inputs, &steps).unwrap();
            let program = Program::from_graph(graph, ProgramOptions::default()).unwrap();
            for form in [Form::Throughput, Form::Latency] {
                let plan = program.plan(form).unwrap();
                if let Some((norm2, parts)) = noisiest(&plan, &model()) {
                    noisiest_of_all = noisiest_of_all.max(norm2);
                    assert!(norm2 <= 25.0 + 1e-9, "program {index}, {form:?}: {norm2} of {parts:?}");
                }
            }
        }
        assert!(noisiest_of_all > 20.0, "{noisiest_of_all}: these programs show nothing");
    }
}
