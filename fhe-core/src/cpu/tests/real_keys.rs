//! Keys, encryption and decryption by the `tfhe` crate, evaluation by the kernels.

use super::levels;
use crate::cpu::batch::{Workspace, bootstrap_batch, keyswitch_batch};
use crate::cpu::blind_rotate::{BlindRotateScratch, BootstrapJob, bootstrap_tile};
use crate::cpu::bootstrapping_key::FourierBootstrappingKey;
use crate::cpu::geometry::Geometry;
use crate::cpu::keyswitch::PackedKeyswitchingKey;
use crate::cpu::simd::SimdLevel;
use rayon::ThreadPool;
use rayon::prelude::*;
use tfhe::core_crypto::prelude::{
    CiphertextModulusLog, LweCiphertext, LweKeyswitchKeyOwned, ModulusSwitchedLweCiphertext, keyswitch_lwe_ciphertext,
    lwe_ciphertext_centered_binary_modulus_switch,
};
use tfhe::shortint::atomic_pattern::expanded::ExpandedAtomicPatternServerKey;
use tfhe::shortint::client_key::atomic_pattern::AtomicPatternClientKey;
use tfhe::shortint::parameters::{
    ClassicPBSParameters, PARAM_MESSAGE_2_CARRY_2_KS_PBS_GAUSSIAN_2M128, PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128,
};
use tfhe::shortint::server_key::expanded::ShortintExpandedBootstrappingKey;
use tfhe::shortint::{Ciphertext, ClientKey, CompressedServerKey, ServerKey};

struct Fixture {
    client: ClientKey,
    server: ServerKey,
    geometry: Geometry,
    bsk: Vec<u64>,
    ksk: LweKeyswitchKeyOwned<u64>,
    pool: ThreadPool,
}

fn fixture(parameters: ClassicPBSParameters) -> Fixture {
    let client = ClientKey::new(parameters);
    let compressed = CompressedServerKey::new(&client);
    let server = compressed.decompress();
    let ExpandedAtomicPatternServerKey::Standard(keys) = compressed.into_raw_parts().0.expand() else {
        panic!("classical parameters give the standard pattern");
    };
    let ShortintExpandedBootstrappingKey::Classic { bsk, .. } = keys.bootstrapping_key else {
        panic!("classical parameters give the classical key");
    };
    let ksk = keys.key_switching_key;
    assert_eq!((bsk.glwe_size().0, bsk.decomposition_level_count().0), (2, 1));
    let log = |x: usize| u32::try_from(x).unwrap();
    let geometry = Geometry {
        lwe_dimension: bsk.input_lwe_dimension().0,
        polynomial_size: bsk.polynomial_size().0,
        pbs_base_log: log(bsk.decomposition_base_log().0),
        ks_base_log: log(ksk.decomposition_base_log().0),
        ks_level_count: log(ksk.decomposition_level_count().0),
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    Fixture { client, server, geometry, bsk: bsk.into_container(), ksk, pool }
}

impl Fixture {
    fn keys(&self, level: SimdLevel) -> (PackedKeyswitchingKey, FourierBootstrappingKey) {
        (
            PackedKeyswitchingKey::new(level, self.geometry, self.ksk.as_ref()),
            FourierBootstrappingKey::new(level, self.geometry, &self.bsk),
        )
    }

    fn table(&self, f: impl Fn(u64) -> u64) -> Vec<u64> {
        let table = self.server.generate_lookup_table(f);
        table.acc.get_body().as_ref().to_vec()
    }

    fn encrypt(&self, values: impl IntoIterator<Item = u64>) -> Vec<Ciphertext> {
        values.into_iter().map(|value| self.client.unchecked_encrypt(value)).collect()
    }

    fn words(ciphertexts: &[Ciphertext]) -> Vec<u64> {
        ciphertexts.iter().flat_map(|c| c.ct.as_ref().iter().copied()).collect()
    }

    fn decrypt(&self, words: &[u64], like: &Ciphertext) -> u64 {
        let mut ciphertext = like.clone();
        ciphertext.ct.as_mut().copy_from_slice(words);
        self.client.decrypt_message_and_carry(&ciphertext)
    }

    /// Error of the phase of a ciphertext of `value` (4 bits), as a fraction of the torus.
    #[allow(clippy::cast_precision_loss)]
    fn error(&self, words: &[u64], value: u64) -> f64 {
        let AtomicPatternClientKey::Standard(client) = &self.client.atomic_pattern else {
            panic!("as in `fixture`");
        };
        let (&body, mask) = words.split_last().unwrap();
        let key = client.large_lwe_secret_key();
        let dot = mask.iter().zip(key.as_ref()).fold(0u64, |sum, (a, s)| sum.wrapping_add(a.wrapping_mul(*s)));
        body.wrapping_sub(dot).wrapping_sub(value << 59).cast_signed() as f64 / 2f64.powi(64)
    }
}

#[test]
fn all_inputs_several_tables_all_levels_and_tiles() {
    for parameters in [PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128, PARAM_MESSAGE_2_CARRY_2_KS_PBS_GAUSSIAN_2M128] {
        let f = fixture(parameters);
        println!("{:?}", f.geometry);
        let functions: [fn(u64) -> u64; 3] = [|x| x, |x| (x * x + 3) % 16, |x| 15 - x];
        let tables: Vec<u64> = functions.iter().flat_map(|g| f.table(g)).collect();
        let inputs = f.encrypt((0..48).map(|i| i % 16));
        let small = f.geometry.small_lwe_size();
        let big = f.geometry.big_lwe_size();
        for level in levels() {
            let (ksk, bsk) = f.keys(level);
            let mut workspace = Workspace::new(&f.pool, &f.geometry);
            let mut switched = vec![0; 48 * small];
            keyswitch_batch(&f.pool, &ksk, &mut workspace, &Fixture::words(&inputs), &mut switched);
            let jobs: Vec<_> = (0..48).map(|i| BootstrapJob { table: i / 16, coefficients: &[0] }).collect();
            let check = |out: &[u64], first: usize| {
                for (i, words) in (first..).zip(out.chunks_exact(big)) {
                    let value = functions[i / 16](i as u64 % 16);
                    assert_eq!(f.decrypt(words, &inputs[i]), value, "{level:?} input {i}");
                }
            };
            let mut scratch = BlindRotateScratch::new(&f.geometry);
            for tile in [1, 3, 8, 16] {
                for first in if tile == 16 { vec![0, 16, 32] } else { vec![20] } {
                    let range = first..first + tile;
                    let mut out = vec![0; tile * big];
                    let rows = &switched[first * small..(first + tile) * small];
                    bootstrap_tile(&bsk, &mut scratch, rows, &jobs[range], &tables, &mut out);
                    check(&out, first);
                }
            }
            let mut out = vec![0; 48 * big];
            bootstrap_batch(&f.pool, &bsk, &mut workspace, &switched, &jobs, &tables, &mut out);
            check(&out, 0);
            bootstrap_batch(&f.pool, &bsk, &mut workspace, &[], &[], &tables, &mut []);
        }
    }
}

#[test]
fn several_coefficients_are_several_functions() {
    let f = fixture(PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128);
    let (ksk, bsk) = f.keys(SimdLevel::detect());
    let (g, h) = (|x: u64| x + 1, |x: u64| 7 - x);
    let many = f.server.generate_many_lookup_table(&[&g, &h]);
    let table = many.acc.get_body().as_ref().to_vec();
    let inputs = f.encrypt(0..8);
    let mut workspace = Workspace::new(&f.pool, &f.geometry);
    let mut switched = vec![0; 8 * f.geometry.small_lwe_size()];
    keyswitch_batch(&f.pool, &ksk, &mut workspace, &Fixture::words(&inputs), &mut switched);
    let coefficients = [0, many.sample_extraction_stride];
    let jobs: Vec<_> = (0..8).map(|i| BootstrapJob { table: 0, coefficients: &coefficients[..=i % 2] }).collect();
    let big = f.geometry.big_lwe_size();
    let mut out = vec![0; 12 * big];
    bootstrap_batch(&f.pool, &bsk, &mut workspace, &switched, &jobs, &table, &mut out);
    let mut out = out.chunks_exact(big);
    for (x, job) in (0..).zip(&jobs) {
        for (expected, _) in [g(x), h(x)].into_iter().zip(job.coefficients) {
            assert_eq!(f.decrypt(out.next().unwrap(), &inputs[0]), expected);
        }
    }
}

/// The exponents are those of the `tfhe` crate's own keyswitch and modulus switch, but for the rare
/// ones that the rounding of the key to 32 bits moves by one.
#[test]
fn keyswitch_and_modulus_switch_agree_with_tfhe() {
    let f = fixture(PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128);
    let inputs = f.encrypt((0..40).map(|i| i % 16));
    let (ksk, _) = f.keys(SimdLevel::detect());
    let small = f.geometry.small_lwe_size();
    let mut switched = vec![0; 40 * small];
    let mut workspace = Workspace::new(&f.pool, &f.geometry);
    keyswitch_batch(&f.pool, &ksk, &mut workspace, &Fixture::words(&inputs), &mut switched);
    let mut different = 0;
    for (input, ours) in inputs.iter().zip(switched.chunks_exact(small)) {
        let mut theirs = LweCiphertext::new(0u64, f.ksk.output_lwe_size(), input.ct.ciphertext_modulus());
        keyswitch_lwe_ciphertext(&f.ksk, &input.ct, &mut theirs);
        let log_modulus = f.geometry.log_exponent_modulus();
        let theirs = lwe_ciphertext_centered_binary_modulus_switch::<u64, u64, _>(
            theirs,
            CiphertextModulusLog(log_modulus as usize),
        );
        for (theirs, &ours) in theirs.mask().chain([theirs.body()]).zip(ours) {
            let distance = (theirs.wrapping_sub(u64::from(ours)) as u32) << (32 - log_modulus);

            assert!(distance.cast_signed().unsigned_abs() <= 1 << (32 - log_modulus));
            different += u32::from(distance != 0);
        }
    }
    println!("{different} of {} exponents differ", switched.len());
    assert!((different as usize) < switched.len() / 500);
}

/// Variance of the output error against the `tfhe` crate's own bootstrap: the F test at 99.9%.
#[test]
fn noise_is_that_of_tfhe() {
    const SAMPLES: usize = 480;
    let f = fixture(PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128);
    let inputs = f.encrypt((0..SAMPLES as u64).map(|i| i % 16));
    let table = f.table(|x| x);
    let lookup = f.server.generate_lookup_table(|x| x);
    let (small, big) = (f.geometry.small_lwe_size(), f.geometry.big_lwe_size());
    let theirs: Vec<f64> = inputs
        .par_iter()
        .enumerate()
        .map(|(i, input)| f.error(f.server.apply_lookup_table(input, &lookup).ct.as_ref(), i as u64 % 16))
        .collect();
    let (mean, variance) = moments(&theirs);
    println!("tfhe: mean {mean:e}, log2 of the standard deviation {:.3}", variance.log2() / 2.0);
    for level in levels() {
        let (ksk, bsk) = f.keys(level);
        let mut workspace = Workspace::new(&f.pool, &f.geometry);
        let mut switched = vec![0; SAMPLES * small];
        keyswitch_batch(&f.pool, &ksk, &mut workspace, &Fixture::words(&inputs), &mut switched);
        let jobs = vec![BootstrapJob { table: 0, coefficients: &[0] }; SAMPLES];
        let mut out = vec![0; SAMPLES * big];
        bootstrap_batch(&f.pool, &bsk, &mut workspace, &switched, &jobs, &table, &mut out);
        let ours: Vec<f64> =
            out.chunks_exact(big).enumerate().map(|(i, words)| f.error(words, i as u64 % 16)).collect();
        let (our_mean, our_variance) = moments(&ours);
        let ratio = our_variance / variance;
        println!(
            "{level:?}: mean {our_mean:e}, log2 of the standard deviation {:.3}, ratio of variances {ratio:.3}",
            our_variance.log2() / 2.0
        );
        // log F is about normal with variance 4 / (SAMPLES - 1); 3.29 deviations are 99.9%.
        let bound = (3.29 * (4.0 / (SAMPLES - 1) as f64).sqrt()).exp();
        assert!(ratio < bound && ratio > 1.0 / bound, "{level:?}: {ratio} against {bound}");
        let deviation = ((variance + our_variance) / SAMPLES as f64).sqrt();
        assert!((our_mean - mean).abs() < 4.0 * deviation, "{level:?}: mean {our_mean} against {mean}");
    }
}

fn moments(errors: &[f64]) -> (f64, f64) {
    let count = errors.len() as f64;
    let mean = errors.iter().sum::<f64>() / count;
    (mean, errors.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0))
}
