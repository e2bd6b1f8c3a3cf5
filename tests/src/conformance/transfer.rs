//! Uploads and downloads.

use fhe_core::Backend;

use super::Fixture;

/// What was uploaded is downloaded, bit for bit, from buffers of several sizes.
pub fn uploads_come_back<B: Backend>(f: &Fixture<B>) {
    for count in [1, 3, 17] {
        let words = f.noise(count, count as u64);
        assert_eq!(f.read(&f.load(&words), 0..count), words);
    }
}

/// Blocks land at their offset and leave the others alone; nothing may be uploaded or downloaded anywhere.
pub fn offsets_and_empty_ranges<B: Backend>(f: &Fixture<B>) {
    let (mut expected, size) = (f.noise(7, 1), f.block_words());
    let mut buffer = f.load(&expected);
    for (at, count) in [(2, 3), (6, 1), (0, 2)] {
        let words = f.noise(count, 10 + at as u64);
        f.backend.upload(&words, &mut buffer, at).unwrap();
        expected[at * size..][..count * size].copy_from_slice(&words);
    }
    assert_eq!(f.read(&buffer, 0..7), expected);
    assert_eq!(f.read(&buffer, 3..6), expected[3 * size..6 * size]);
    for at in [0, 4, 7] {
        f.backend.upload(&[], &mut buffer, at).unwrap();
        assert!(f.read(&buffer, at..at).is_empty());
    }
    assert_eq!(f.read(&buffer, 0..7), expected);
    assert!(f.read(&f.allocate(0), 0..0).is_empty());
    f.backend.synchronize().unwrap();
}

/// A download writes its own words only, and changes nothing in the buffer.
pub fn downloads_leave_the_rest<B: Backend>(f: &Fixture<B>) {
    let (words, size) = (f.noise(4, 2), f.block_words());
    let buffer = f.load(&words);
    let mut room = vec![7; 4 * size];
    f.backend.download(&buffer, 1..3, &mut room[size..3 * size]).unwrap();
    assert!(room[..size].iter().chain(&room[3 * size..]).all(|&word| word == 7));
    assert_eq!(room[size..3 * size], words[size..3 * size]);
    assert_eq!(f.read(&buffer, 0..4), words);
}
