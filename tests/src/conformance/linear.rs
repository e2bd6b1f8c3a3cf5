//! Linear forms: exact modulo 2^64, against the same sums on the host.

use fhe_core::Backend;
use fhe_core::lookup::LinearForms;
use fhe_core::torus::encode;

use super::fixture::term;
use super::{Fixture, Random};

/// The definition, word by word.
fn on_host(forms: &LinearForms, rows: usize, size: usize, source: &[u64]) -> Vec<u64> {
    let mut result = Vec::with_capacity(forms.len() * rows * size);
    for (terms, constant) in forms.iter() {
        for row in 0..rows {
            for word in 0..size {
                // The constant belongs to the body, the last word.
                let mut sum = if word + 1 == size { constant } else { 0 };
                for term in terms {
                    let value = source[(term.slot as usize * rows + row) * size + word];
                    sum = sum.wrapping_add(value.wrapping_mul(i64::from(term.coefficient) as u64));
                }
                result.push(sum);
            }
        }
    }
    result
}

/// Runs `forms` over random words and compares every bit.
fn check<B: Backend>(f: &Fixture<B>, forms: &LinearForms, rows: usize) {
    let words = f.noise(forms.slots() * rows, rows as u64);
    let (source, count) = (f.load(&words), forms.len() * rows);
    let mut target = f.load(&f.noise(count, 99));
    f.backend.linear(&f.forms(forms), rows, &source, &mut target).unwrap();
    assert_eq!(f.read(&target, 0..count), on_host(forms, rows, f.block_words(), &words), "{rows} rows");
    assert_eq!(f.read(&source, 0..forms.slots() * rows), words, "the source is only read");
}

/// Negative coefficients, constants, slots in any order and named twice, forms of no and of many terms; 1, 3, 17 rows.
pub fn forms_match_the_host<B: Backend>(f: &Fixture<B>) {
    let mut forms = LinearForms::new();
    forms.push([term(0, 1)], 0);
    forms.push([term(3, 2), term(0, -1), term(2, 5)], encode(-3));
    forms.push([], encode(9));
    forms.push([term(1, 4), term(1, -7), term(1, 1)], 0x0123_4567_89ab_cdef);
    forms.push([term(2, 0)], 1);
    forms.push([term(4, -1), term(3, -2), term(2, -3), term(1, -4), term(0, -5)], u64::MAX);
    for rows in [1, 3, 17] {
        check(f, &forms, rows);
    }
}

/// Coefficients are signed 32-bit numbers multiplied modulo 2^64.
pub fn extreme_coefficients_wrap<B: Backend>(f: &Fixture<B>) {
    let mut forms = LinearForms::new();
    forms.push([term(0, i32::MIN), term(1, i32::MAX)], 1 << 63);
    forms.push([term(1, i32::MIN), term(1, i32::MIN)], 0);
    check(f, &forms, 2);
}

/// More forms than a machine has lanes, and one of more terms than fit any tile.
pub fn many_forms_and_long_forms<B: Backend>(f: &Fixture<B>) {
    let mut random = Random::new(5);
    let mut forms = LinearForms::new();
    for index in 0..70 {
        let length = if index == 33 { 300 } else { index % 4 };
        let terms = (0..length).map(|_| term(random.below(9) as u32, random.below(63) as i32 - 31)).collect::<Vec<_>>();
        forms.push(terms, random.word());
    }
    check(f, &forms, 2);
}

/// A form without terms is a trivial ciphertext: no mask, and the constant for a body, with no source at all.
pub fn empty_forms_are_trivial<B: Backend>(f: &Fixture<B>) {
    let mut forms = LinearForms::new();
    forms.push([], encode(5));
    forms.push([], 3);
    let mut target = f.load(&f.noise(4, 1));
    f.backend.linear(&f.forms(&forms), 2, &f.allocate(0), &mut target).unwrap();
    assert_eq!(f.read(&target, 0..2), f.keys.trivial(&[5, 5]));
    assert_eq!(f.decrypt(&target, 0..4), [5, 5, 0, 0]);
    assert_eq!(f.keys.phases(&f.read(&target, 2..4)), [3, 3]);
}

/// No forms, or forms over no rows, write nothing.
pub fn zero_forms_and_zero_rows<B: Backend>(f: &Fixture<B>) {
    let mut forms = LinearForms::new();
    forms.push([term(0, 1), term(1, 1)], encode(1));
    let words = f.noise(3, 3);
    let (source, mut target) = (f.load(&words), f.load(&words));
    f.backend.linear(&f.forms(&forms), 0, &source, &mut target).unwrap();
    f.backend.linear(&f.forms(&LinearForms::new()), 3, &source, &mut target).unwrap();
    f.backend.linear(&f.forms(&LinearForms::new()), 0, &f.allocate(0), &mut f.allocate(0)).unwrap();
    assert_eq!(f.read(&target, 0..3), words);
}
