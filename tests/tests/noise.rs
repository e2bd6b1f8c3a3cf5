//! The noise of the CPU backend with real keys. `FHE_NOISE_SAMPLES` says how many samples of everything to take.

use fhe_core::{CpuBackend, Type};
use fhe_tests::conformance::{Fixture, Kind};
use fhe_tests::noise::assert_noise;
use fhe_tests::noise::measure::Options;
use fhe_tests::reference::ReferenceBackend;

/// Samples of a run that is to be quick.
const SAMPLES: usize = 1000;

/// From so many samples on, all widths and both parameter sets are measured.
const NIGHTLY: usize = 10_000;

#[test]
fn noise_is_that_of_the_formulas_and_of_tfhe() {
    let samples = std::env::var("FHE_NOISE_SAMPLES").map_or(SAMPLES, |count| count.parse().expect("a number"));
    let f = Fixture::open(Kind::Encrypted, CpuBackend::new()).expect("every machine has a CPU");
    let reference = Fixture::open(Kind::Encrypted, Ok(ReferenceBackend)).expect("it opens");
    let nightly = samples >= NIGHTLY;
    let widths: &[u32] = if nightly { &[2, 8, 16, 32, 64, 128, 256] } else { &[2, 8, 16, 32, 64] };
    let types: Vec<Type> = widths.iter().flat_map(|&bits| [Type::Uint(bits), Type::Int(bits)]).collect();
    let options = Options { samples, share: if nightly { 1 } else { 8 }, key_words_of_32_bits: true };
    assert_noise(&f, &reference, &types, &options);
    if nightly {
        assert_noise(&f.with_other_keys(), &reference.with_other_keys(), &types, &options);
    }
}
