//! Arguments that do not fit: an error before anything is written, after which the backend works on.

use fhe_core::Backend;
use fhe_core::lookup::{LinearForms, Lookup, LookupOutput, LookupTable};
use fhe_core::torus::encode;

use super::Fixture;
use super::fixture::{assert_shape, lookup, term};

/// A number of rows whose product with an even number of slots wraps to 0, which must not count as fitting.
const WRAPPING: usize = 1 << (usize::BITS - 1);

/// Uploads and downloads past the end, of broken ciphertexts, and from reversed ranges.
pub fn transfers_that_do_not_fit<B: Backend>(f: &Fixture<B>) {
    let (words, size) = (f.noise(3, 71), f.block_words());
    let mut buffer = f.load(&words);
    let new = f.noise(4, 72);
    assert_shape(f.backend.upload(&new, &mut buffer, 0));
    assert_shape(f.backend.upload(&new[..2 * size], &mut buffer, 2));
    assert_shape(f.backend.upload(&new[..size], &mut buffer, usize::MAX));
    assert_shape(f.backend.upload(&[], &mut buffer, 4));
    if size > 1 {
        assert_shape(f.backend.upload(&new[..size - 1], &mut buffer, 0));
        assert_shape(f.backend.upload(&new[..=size], &mut buffer, 0));
    }
    assert_eq!(f.read(&buffer, 0..3), words);

    let mut room = vec![7; 4 * size];
    assert_shape(f.backend.download(&buffer, 0..4, &mut room));
    assert_shape(f.backend.download(&buffer, 3..5, &mut room[..2 * size]));
    assert_shape(f.backend.download(&buffer, 0..2, &mut room[..3 * size]));
    assert_shape(f.backend.download(&buffer, 0..2, &mut room[..size]));
    #[allow(clippy::reversed_empty_ranges, reason = "what the case is about")]
    let reversed = 2..1;
    assert_shape(f.backend.download(&buffer, reversed.clone(), &mut []));
    assert!(room.iter().all(|&word| word == 7));

    let switched = f.switch_values(&[1, 2]);
    assert_shape(f.backend.download_switched(&switched, 1..3));
    assert_shape(f.backend.download_switched(&switched, reversed));
    f.assert_usable();
}

/// Linear forms that read past the source or write past the target.
pub fn forms_that_do_not_fit<B: Backend>(f: &Fixture<B>) {
    let mut forms = LinearForms::new();
    forms.push([], encode(1));
    forms.push([term(3, 1)], 0);
    let forms = f.forms(&forms);
    let words = f.noise(8, 73);
    let (short, source) = (f.load(&words[..7 * f.block_words()]), f.load(&words));
    let mut target = f.load(&words);
    assert_shape(f.backend.linear(&forms, 2, &short, &mut target));
    assert_shape(f.backend.linear(&forms, 3, &source, &mut target));
    assert_shape(f.backend.linear(&forms, WRAPPING, &source, &mut target));
    assert_eq!(f.read(&target, 0..8), words);
    let few = &words[..3 * f.block_words()];
    let mut target = f.load(few);
    assert_shape(f.backend.linear(&forms, 2, &source, &mut target));
    assert_eq!(f.read(&target, 0..3), few);
    f.assert_usable();
}

/// Keyswitches of more than the source holds or the target takes.
pub fn keyswitches_that_do_not_fit<B: Backend>(f: &Fixture<B>) {
    let blocks = f.encrypt(&[1, 2]);
    let mut target = f.switch_values(&[3, 4, 5]);
    let before = f.backend.download_switched(&target, 0..3).unwrap();
    assert_shape(f.backend.keyswitch(&f.key, 3, &blocks, &mut target));
    assert_shape(f.backend.keyswitch(&f.key, usize::MAX, &blocks, &mut target));
    assert_eq!(f.backend.download_switched(&target, 0..3).unwrap(), before);
    let mut target = f.switch_values(&[3]);
    let before = f.backend.download_switched(&target, 0..1).unwrap();
    assert_shape(f.backend.keyswitch(&f.key, 2, &blocks, &mut target));
    assert_eq!(f.backend.download_switched(&target, 0..1).unwrap(), before);
    f.assert_usable();
}

/// Lookups that name a table or a box that does not exist, in any place of the list.
pub fn lookups_that_do_not_fit<B: Backend>(f: &Fixture<B>) {
    let tables = f.tables(&[LookupTable::from_fn(|x| x), LookupTable::from_fn(|x| x)]);
    let at = |at: u32| Lookup { input: 0, table: 1, outputs: vec![LookupOutput { at, slot: 0 }] };
    assert_shape(f.backend.load_lookups(&tables, &[lookup(0, 2, 0)]));
    assert_shape(f.backend.load_lookups(&tables, &[lookup(0, 0, 0), lookup(0, u32::MAX, 0)]));
    assert_shape(f.backend.load_lookups(&tables, &[at(0), at(16)]));
    assert_shape(f.backend.load_lookups(&tables, &[at(u32::MAX), at(0)]));
    assert_shape(f.backend.load_lookups(&f.tables(&[]), &[lookup(0, 0, 0)]));
    f.backend.load_lookups(&tables, &[at(15), lookup(7, 1, 7)]).expect("box 15 and table 1 exist");
    f.assert_usable();
}

/// Bootstraps that read past the source or write past the target, or whose lookups name tables of a longer list.
pub fn bootstraps_that_do_not_fit<B: Backend>(f: &Fixture<B>) {
    let identity = LookupTable::from_fn(|x| x);
    let (tables, fewer) = (f.tables(&[identity.clone(), identity.clone()]), f.tables(&[identity]));
    let lookups = f.lookups(&tables, &[lookup(0, 0, 0), lookup(1, 1, 3)]);
    let (source, short) = (f.switch_values(&[1, 2, 3, 4]), f.switch_values(&[1, 2, 3]));
    let words = f.noise(8, 74);
    let mut target = f.load(&words);
    assert_shape(f.backend.bootstrap(&f.key, &tables, &lookups, 2, &short, &mut target));
    assert_shape(f.backend.bootstrap(&f.key, &tables, &lookups, 3, &source, &mut target));
    assert_shape(f.backend.bootstrap(&f.key, &tables, &lookups, WRAPPING, &source, &mut target));
    assert_shape(f.backend.bootstrap(&f.key, &fewer, &lookups, 2, &source, &mut target));
    assert_eq!(f.read(&target, 0..8), words);
    let few = &words[..7 * f.block_words()];
    let mut target = f.load(few);
    assert_shape(f.backend.bootstrap(&f.key, &tables, &lookups, 2, &source, &mut target));
    assert_eq!(f.read(&target, 0..7), few);
    f.assert_usable();
}
