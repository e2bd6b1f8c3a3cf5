//! Bits and noise of the CUDA backend beside the CPU's, on the same key.

use fhe_core::lookup::{Lookup, LookupOutput, LookupTable};
use fhe_core::simulate::NoiseModel;
use fhe_core::torus::encode;
use fhe_core::{Backend, CpuBackend};
use fhe_tests::conformance::{Fixture, Kind, Random};

use crate::{is_emulated, open};

fn cpu() -> Fixture<CpuBackend> {
    Fixture::open(Kind::Encrypted, CpuBackend::new()).expect("every machine has a CPU")
}

/// Keyswitch and modulus switch are integer arithmetic, on the same rounded key: the words are the same, for real
/// ciphertexts and for random words.
#[test]
fn switched_words_are_those_of_the_cpu() {
    let Some(backend) = open() else { return };
    let gpu = Fixture::open(Kind::Encrypted, Ok(backend)).expect("it opened");
    for (gpu, cpu) in [(&gpu.with_other_keys(), &cpu().with_other_keys()), (&gpu, &cpu())] {
        let mut words = gpu.keys.encrypt(&[0, 5, 15, 31]);
        words.extend(gpu.noise(67, 7));
        words.extend(gpu.keys.trivial(&[3]));
        let count = words.len() / gpu.block_words();
        let ours = gpu.backend.download_switched(&gpu.switch(&gpu.load(&words), count), 0..count).unwrap();
        let theirs = cpu.backend.download_switched(&cpu.switch(&cpu.load(&words), count), 0..count).unwrap();
        let different = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).count();
        assert_eq!(different, 0, "of {} words", ours.len());
    }
}

/// Squared errors of `count` bootstraps, in units of the torus, and their mean error.
fn variance<B: Backend>(f: &Fixture<B>, count: usize, seed: u64) -> f64 {
    let mut random = Random::new(seed);
    let values: Vec<i64> = (0..count).map(|_| random.below(16) as i64).collect();
    let lookup = Lookup { input: 0, table: 0, outputs: vec![LookupOutput { at: 0, slot: 0 }] };
    let table = LookupTable::from_fn(|x| x);
    let results = f.bootstrap(&[table], &[lookup], count, &f.switch_values(&values), 1);
    let phases = f.keys.phases(&f.read(&results, 0..count));
    let square = |(phase, &value): (&u64, &i64)| {
        let error = phase.wrapping_sub(encode(value)) as i64 as f64 / 64f64.exp2();
        error * error
    };
    phases.iter().zip(&values).map(square).sum::<f64>() / count as f64
}

/// The F test: the quotient of two variances of `count` samples each is e^{±2/√count} from 1 in one standard deviation;
/// five are allowed. An emulated card does fewer samples, which tells less.
#[test]
fn noise_is_that_of_the_cpu() {
    let Some(backend) = open() else { return };
    let emulated = is_emulated(&backend);
    let wanted = std::env::var("FHE_NOISE_SAMPLES").ok().and_then(|count| count.parse().ok());
    let count = wanted.unwrap_or(if emulated { 96 } else { 4096 });
    if count < 2000 {
        println!("only {count} samples, as the card is emulated or FHE_NOISE_SAMPLES says so");
    }
    let gpu = Fixture::open(Kind::Encrypted, Ok(backend)).expect("it opened");
    let (ours, theirs) = (variance(&gpu, count, 1), variance(&cpu(), count, 2));
    let model = NoiseModel::of(gpu.keys.scheme().parameters()).bootstrap;
    let deviations = (ours / theirs).ln() / (2.0 / (count as f64).sqrt());
    println!(
        "{count} samples: variance {ours:e} here, {theirs:e} on the CPU ({deviations:.2} deviations), {model:e} promised"
    );
    assert!(deviations.abs() < 5.0, "variance {ours:e}, on the CPU {theirs:e}");
}
