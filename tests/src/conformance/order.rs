//! Buffers, calls, threads and keys side by side.

use std::thread;

use fhe_core::lookup::{LinearForms, LookupTable};
use fhe_core::{Backend, Error, Result};

use super::Fixture;
use super::fixture::{expected, lookup, random_table, term};

/// Makes a call on another thread and waits for its return, which is not the end of its work on a device.
fn elsewhere(call: impl FnOnce() -> Result<()> + Send) {
    thread::scope(|s| s.spawn(call).join()).expect("the thread ends").expect("the call succeeds");
}

/// A chain of steps through the same two buffers, each call made by another thread, without waiting in between.
/// 6 bootstraps.
pub fn calls_follow_one_another<B: Backend>(f: &Fixture<B>) {
    let tables = f.tables(&[LookupTable::from_fn(|x| (x + 1) % 16)]);
    let (tables, lookups) = (&tables, &f.lookups(&tables, &[lookup(0, 0, 0)]));
    let mut forms = LinearForms::new();
    forms.push([term(0, 2)], 0);
    let forms = &f.forms(&forms);
    let (mut blocks, mut doubled) = (f.encrypt(&[0, 1]), f.allocate(2));
    let mut switched = f.backend.allocate_switched(&f.key, 2).unwrap();
    for _ in 0..3 {
        // Buffers are `Send` but need not be `Sync`: each thread gets them by unique reference.
        let (source, target) = (&mut blocks, &mut doubled);
        elsewhere(move || f.backend.linear(forms, 2, source, target));
        let (source, target) = (&mut doubled, &mut switched);
        elsewhere(move || f.backend.keyswitch(&f.key, 2, source, target));
        let (source, target) = (&mut switched, &mut blocks);
        elsewhere(move || f.backend.bootstrap(&f.key, tables, lookups, 2, source, target));
    }
    // x -> 2x + 1, three times.
    assert_eq!(f.decrypt(&blocks, 0..2), [7, 15]);
}

/// Slots that no output names, and everything behind the last row, stay as they were; inputs too. 2 bootstraps.
pub fn bootstraps_leave_the_rest<B: Backend>(f: &Fixture<B>) {
    let (words, size) = (f.noise(9, 21), f.block_words());
    let mut target = f.load(&words);
    let source = f.switch_values(&[1, 2, 3, 4, 5, 6, 7]);
    let before = f.backend.download_switched(&source, 0..7).unwrap();
    let table = random_table(22);
    let tables = f.tables(std::slice::from_ref(&table));
    let lookups = f.lookups(&tables, &[lookup(1, 0, 2)]);
    f.backend.bootstrap(&f.key, &tables, &lookups, 2, &source, &mut target).unwrap();
    let after = f.read(&target, 0..9);
    assert_eq!(after[..4 * size], words[..4 * size]);
    assert_eq!(after[6 * size..], words[6 * size..]);
    let values = f.decrypt(&target, 4..6);
    assert_eq!(values, [3, 4].map(|x| expected(&table, x)));
    assert_eq!(f.backend.download_switched(&source, 0..7).unwrap(), before);
}

/// Linear forms and keyswitches write what they name and read what they need, in buffers that are larger.
pub fn forms_and_keyswitches_leave_the_rest<B: Backend>(f: &Fixture<B>) {
    let mut forms = LinearForms::new();
    forms.push([term(1, 1)], 0);
    let (words, old) = (f.noise(5, 31), f.noise(4, 32));
    let (source, mut target, size) = (f.load(&words), f.load(&old), f.block_words());
    f.backend.linear(&f.forms(&forms), 2, &source, &mut target).unwrap();
    let after = f.read(&target, 0..4);
    assert_eq!(after[..2 * size], words[2 * size..4 * size]);
    assert_eq!(after[2 * size..], old[2 * size..]);

    let blocks = f.encrypt(&[4, 5, 6]);
    let mut switched = f.switch(&f.encrypt(&[1, 2, 3]), 3);
    let before = f.backend.download_switched(&switched, 0..3).unwrap();
    f.backend.keyswitch(&f.key, 2, &blocks, &mut switched).unwrap();
    let after = f.backend.download_switched(&switched, 0..3).unwrap();
    let size = before.len() / 3;
    assert_eq!(after[2 * size..], before[2 * size..]);
    assert_ne!(after[..size], before[..size]);
    assert_ne!(after[size..2 * size], before[size..2 * size]);
    f.backend.keyswitch(&f.key, 0, &blocks, &mut switched).unwrap();
    assert_eq!(f.backend.download_switched(&switched, 0..3).unwrap(), after);
}

/// Keys of two parameter sets on one backend, in turns. 4 bootstraps.
pub fn two_parameter_sets<B: Backend>(f: &Fixture<B>) {
    let other = f.with_other_keys();
    assert_ne!(f.keys.scheme(), other.keys.scheme());
    let run = |f: &Fixture<B>, value: i64, seed: u64| {
        let table = random_table(seed);
        let result = f.bootstrap(std::slice::from_ref(&table), &[lookup(0, 0, 0)], 1, &f.switch_values(&[value]), 1);
        assert_eq!(f.decrypt(&result, 0..1), [expected(&table, value)]);
    };
    for (value, seed) in [(3, 41), (12, 42)] {
        run(f, value, seed);
        run(&other, value, seed + 10);
    }
}

/// Two threads, each with buffers, tables and lookups of its own, on one backend and key. 8 bootstraps.
pub fn two_threads<B: Backend>(f: &Fixture<B>) {
    let work = |seed: u64| {
        for turn in 0..2 {
            let table = random_table(seed + turn);
            let values = [seed as i64 % 16, 15 - turn as i64];
            let source = f.switch_values(&values);
            let result = f.bootstrap(std::slice::from_ref(&table), &[lookup(0, 0, 0)], 2, &source, 1);
            assert_eq!(f.decrypt(&result, 0..2), values.map(|x| expected(&table, x)));
        }
    };
    thread::scope(|s| {
        s.spawn(|| work(51));
        s.spawn(|| work(61));
    });
}

/// A simulation refuses real keys, and a real backend those of a simulation.
pub fn keys_of_the_other_kind<B: Backend>(f: &Fixture<B>) {
    let error = f.backend.load_key(f.kind.opposite().keys().evaluation()).unwrap_err();
    assert!(matches!(error, Error::ParameterMismatch { .. }), "{error}");
}
