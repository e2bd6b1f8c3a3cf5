//! Keyswitches and bootstraps: exact after decryption, with the noise that the parameters promise.

use fhe_core::Backend;
use fhe_core::lookup::{LinearForms, Lookup, LookupOutput, LookupTable};
use fhe_core::simulate::NoiseModel;
use fhe_core::torus::{decode, encode};

use super::fixture::{expected, lookup, negacyclic, random_table, term};
use super::{Fixture, Random};

/// All 16 inputs through the identity and three random tables, each output with little noise.
///
/// 64 bootstraps. The sum of 64 squares exceeds 2.5 times its mean with a probability of 10^-9, and no right backend
/// comes near 7 standard deviations.
pub fn every_input_through_every_table<B: Backend>(f: &Fixture<B>) {
    let tables = [LookupTable::from_fn(|x| x), random_table(1), random_table(2), random_table(3)];
    let values = (0..16).collect::<Vec<i64>>();
    let lookups = (0..4).map(|table| lookup(0, table, table)).collect::<Vec<_>>();
    let results = f.bootstrap(&tables, &lookups, 16, &f.switch_values(&values), 4);
    let phases = f.keys.phases(&f.read(&results, 0..64));
    let wanted = tables.iter().flat_map(|table| (0..16).map(|x| expected(table, x))).collect::<Vec<_>>();
    assert_eq!(phases.iter().map(|&phase| decode(phase)).collect::<Vec<_>>(), wanted);
    let errors = phases.iter().zip(&wanted).map(|(phase, &value)| {
        let distance = phase.wrapping_sub(encode(value)) as i64;
        distance as f64 / 64f64.exp2()
    });
    let errors = errors.collect::<Vec<_>>();
    let variance = errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64;
    let model = NoiseModel::of(f.keys.scheme().parameters()).bootstrap;
    let largest = errors.iter().fold(0.0f64, |largest, error| largest.max(error.abs()));
    assert!(variance < 2.5 * model, "variance {variance:e}, the parameters promise {model:e}");
    assert!(largest < 7.0 * model.sqrt(), "error {largest:e}, standard deviation {:e}", model.sqrt());
}

/// All 32 inputs: the upper half gives the negated lower half. 32 bootstraps.
pub fn negacyclic_tables<B: Backend>(f: &Fixture<B>) {
    let table = negacyclic(|x| (3 * x + 1) % 16);
    let values = (0..32).collect::<Vec<i64>>();
    let results = f.bootstrap(std::slice::from_ref(&table), &[lookup(0, 0, 0)], 32, &f.switch_values(&values), 1);
    let wanted = (0..32i64).map(|x| (if x < 16 { 1 } else { -1 } * ((3 * (x % 16) + 1) % 16)).rem_euclid(32));
    assert_eq!(f.decrypt(&results, 0..32), wanted.collect::<Vec<_>>());
}

/// 2, 4 and 8 functions of one input from one bootstrap, all or some of them extracted, to slots in any order.
/// 24 bootstraps.
pub fn several_functions_in_one_table<B: Backend>(f: &Fixture<B>) {
    let (rows, functions) = (8, [2usize, 4, 8]);
    let table = |count: usize| {
        let mut random = Random::new(count as u64);
        let boxes = std::array::from_fn(|_| encode(random.below(16) as i64));
        LookupTable::new(boxes, 16 / count).unwrap()
    };
    let tables = functions.map(table);
    // Slots of the outputs, in the order of the functions; the last table gives only some.
    let slots = [vec![4, 1], vec![0, 7, 3, 2], vec![5, 8, 6]];
    let picks = [vec![0, 1], vec![0, 1, 2, 3], vec![7, 0, 4]];
    let values = functions.iter().flat_map(|&count| (0..rows).map(move |row| row % (16 / count as i64)));
    let values = values.collect::<Vec<_>>();
    let lookups = (0..3).map(|index| {
        let at = |function: usize| (function * 16 / functions[index]) as u32;
        let outputs = picks[index].iter().zip(&slots[index]);
        let outputs = outputs.map(|(&function, &slot)| LookupOutput { at: at(function), slot }).collect();
        Lookup { input: index as u32, table: index as u32, outputs }
    });
    let lookups = lookups.collect::<Vec<_>>();
    let results = f.bootstrap(&tables, &lookups, rows as usize, &f.switch_values(&values), 9);
    for lookup in &lookups {
        for output in &lookup.outputs {
            let inputs = &values[lookup.input as usize * rows as usize..][..rows as usize];
            let table = &tables[lookup.table as usize];
            let wanted = inputs.iter().map(|&x| expected(table, x + i64::from(output.at))).collect::<Vec<_>>();
            let start = output.slot as usize * rows as usize;
            assert_eq!(f.decrypt(&results, start..start + rows as usize), wanted, "{output:?} of {lookup:?}");
        }
    }
}

/// A table per lookup, several lookups of one input, inputs and slots in any order, the same lists over 1, 2 and
/// 9 rows. 36 bootstraps.
pub fn lookups_in_any_order<B: Backend>(f: &Fixture<B>) {
    let tables = [random_table(11), random_table(12), random_table(13)];
    let loaded = f.tables(&tables);
    let list = [lookup(2, 1, 0), lookup(0, 2, 2), lookup(2, 0, 1)];
    let lookups = f.lookups(&loaded, &list);
    let mut random = Random::new(14);
    for rows in [1, 2, 9] {
        let values = (0..3 * rows).map(|_| random.below(16) as i64).collect::<Vec<_>>();
        let mut target = f.allocate(3 * rows);
        let source = f.switch_values(&values);
        f.backend.bootstrap(&f.key, &loaded, &lookups, rows, &source, &mut target).unwrap();
        let mut wanted = vec![0; 3 * rows];
        for lookup in &list {
            for row in 0..rows {
                let input = values[lookup.input as usize * rows + row];
                wanted[lookup.outputs[0].slot as usize * rows + row] = expected(&tables[lookup.table as usize], input);
            }
        }
        assert_eq!(f.decrypt(&target, 0..3 * rows), wanted, "{rows} rows");
    }
}

/// Sixteen equal boxes: the value, or its negative under a set padding bit. 3 bootstraps.
pub fn constant_tables<B: Backend>(f: &Fixture<B>) {
    let results = f.bootstrap(&[negacyclic(|_| 11)], &[lookup(0, 0, 0)], 3, &f.switch_values(&[0, 15, 20]), 1);
    assert_eq!(f.decrypt(&results, 0..3), [11, 11, 21]);
}

/// Ciphertexts without mask and noise are inputs like any other. 5 bootstraps.
pub fn trivial_inputs<B: Backend>(f: &Fixture<B>) {
    let values = [0, 1, 15, 16, 31];
    let blocks = f.load(&f.keys.trivial(&values));
    let table = negacyclic(|x| (x * x + 2) % 16);
    let results = f.bootstrap(std::slice::from_ref(&table), &[lookup(0, 0, 0)], 5, &f.switch(&blocks, 5), 1);
    assert_eq!(f.decrypt(&results, 0..5), values.map(|x| expected(&table, x)));
}

/// Forms over bootstrap outputs with the largest allowed l2 norm, 5, still select the right box: 3x + 4y, 5x and
/// 4y - 3x. 20 bootstraps.
pub fn sums_at_the_largest_norm<B: Backend>(f: &Fixture<B>) {
    assert!(f.keys.scheme().parameters().max_norm() >= 5.0);
    let (xs, ys, rows) = ([0, 1, 3, 2], [3, 1, 0, 2], 4);
    let both = [xs, ys].concat();
    let identity = [LookupTable::from_fn(|x| x)];
    let fresh = f.bootstrap(&identity, &[lookup(0, 0, 0), lookup(1, 0, 1)], rows, &f.switch_values(&both), 2);
    let mut forms = LinearForms::new();
    forms.push([term(0, 3), term(1, 4)], 0);
    forms.push([term(0, 5)], 0);
    forms.push([term(1, 4), term(0, -3)], 0);
    let mut sums = f.allocate(3 * rows);
    f.backend.linear(&f.forms(&forms), rows, &fresh, &mut sums).unwrap();
    let table = negacyclic(|x| (7 * x + 3) % 16);
    let lookups = [lookup(0, 0, 0), lookup(1, 0, 1), lookup(2, 0, 2)];
    let results = f.bootstrap(std::slice::from_ref(&table), &lookups, rows, &f.switch(&sums, 3 * rows), 3);
    let wanted = |form: fn(i64, i64) -> i64| {
        (0..rows).map(|row| expected(&table, form(xs[row], ys[row]).rem_euclid(32))).collect::<Vec<_>>()
    };
    let wanted = [wanted(|x, y| 3 * x + 4 * y), wanted(|x, _| 5 * x), wanted(|x, y| 4 * y - 3 * x)].concat();
    assert_eq!(f.decrypt(&results, 0..3 * rows), wanted);
}

/// Switched words are residues modulo 2N whose phase under the small key is the message, with the mean and the variance
/// of a centred modulus switch. 320 keyswitches, no bootstraps.
///
/// The centred mean rounds phases down, half a step on average. Without it the variance of the switch would be twice as
/// large. The sum of 320 squares exceeds 1.4 times its mean with a probability of 10^-6.
pub fn switched_phases_are_centred<B: Backend>(f: &Fixture<B>) {
    let params = f.keys.scheme().parameters();
    let (modulus, count) = (2 * params.polynomial_size() as u64, 320);
    let values = (0..count as i64).map(|index| index % 32).collect::<Vec<_>>();
    let switched = f.switch_values(&values);
    let words = f.backend.download_switched(&switched, 0..count).unwrap();
    assert!(words.iter().all(|&word| u64::from(word) < modulus));
    let phases = f.keys.switched_phases(&words);
    assert_eq!(phases.len(), count);
    // From the left edge of the message's box, which is modulus/32 wide; in a simulation without noise all are 0.
    let distances = phases.iter().zip(&values).map(|(phase, &value)| {
        let place = (phase + modulus + modulus / 64 - value as u64 * modulus / 32) % modulus;
        place as f64 - (modulus / 64) as f64
    });
    let distances = distances.collect::<Vec<_>>();
    let mean = distances.iter().sum::<f64>() / count as f64;
    let variance = distances.iter().map(|distance| (distance + 0.5).powi(2)).sum::<f64>() / count as f64;
    // The last term is the rounding of the body.
    let model = NoiseModel::of(params).at_norm(0.0) * (modulus * modulus) as f64 + 1.0 / 12.0;
    assert!((mean + 0.5).abs() < 0.5 + 5.0 * (model / count as f64).sqrt(), "mean {mean} steps");
    assert!(variance < 1.4 * model, "variance {variance} steps², the parameters promise {model}");
    let largest = distances.iter().fold(0.0f64, |largest, distance| largest.max(distance.abs()));
    assert!(largest < 7.0 * model.sqrt(), "{largest} steps off, standard deviation {}", model.sqrt());
    let (part, size) = (f.backend.download_switched(&switched, 5..7).unwrap(), words.len() / count);
    assert_eq!(part, words[5 * size..7 * size]);
    assert!(f.backend.download_switched(&switched, count..count).unwrap().is_empty());
}

/// No lookups, or lookups over no rows, write nothing.
pub fn no_lookups_and_no_rows<B: Backend>(f: &Fixture<B>) {
    let words = f.noise(2, 8);
    let (tables, mut target) = (f.tables(&[LookupTable::from_fn(|x| x)]), f.load(&words));
    let (none, one) = (f.lookups(&tables, &[]), f.lookups(&tables, &[lookup(0, 0, 0)]));
    let source = f.switch_values(&[1, 2]);
    f.backend.bootstrap(&f.key, &tables, &none, 2, &source, &mut target).unwrap();
    f.backend.bootstrap(&f.key, &tables, &one, 0, &source, &mut target).unwrap();
    let empty = f.tables(&[]);
    let nothing = f.lookups(&empty, &[]);
    f.backend.bootstrap(&f.key, &empty, &nothing, 1, &f.switch_values(&[]), &mut target).unwrap();
    assert_eq!(f.read(&target, 0..2), words);
}
