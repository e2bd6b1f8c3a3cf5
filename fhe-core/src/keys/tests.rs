use tfhe::core_crypto::commons::math::random::CompressionSeed;
use tfhe::core_crypto::prelude::{
    CiphertextModulus, LweCiphertextView, SeededLweBootstrapKey, SeededLweKeyswitchKey, decrypt_lwe_ciphertext,
};
use tfhe::prelude::{FheDecrypt, FheTryEncrypt};
use tfhe::safe_serialization::{safe_deserialize, safe_serialize};
use tfhe::shortint::atomic_pattern::compressed::{
    CompressedAtomicPatternServerKey, CompressedStandardAtomicPatternServerKey,
};
use tfhe::shortint::client_key::atomic_pattern::AtomicPatternClientKey;
use tfhe::shortint::server_key::ShortintCompressedBootstrappingKey;
use tfhe::{CompressedServerKey, ConfigBuilder, FheUint8};

use super::fixture::{CLIENT, EVALUATION, GAUSSIAN, TFHE_1_1, tfhe_client};
use super::*;
use crate::error::Error;
use crate::params::{ParameterSet, Scheme};

const LIMIT: u64 = 1 << 30;

fn shortint(key: &tfhe::ClientKey) -> &tfhe::shortint::ClientKey {
    let key: &tfhe::integer::ClientKey = key.as_ref();
    key.as_ref()
}

fn client_file(key: &ClientKey) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.write(&mut bytes).unwrap();
    bytes
}

fn evaluation_file(key: &EvaluationKey) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.write(&mut bytes).unwrap();
    bytes
}

/// Prefixes of many lengths and single flipped bits at many positions: all are refused as malformed.
fn refuses_damage<T>(file: &[u8], positions: impl Iterator<Item = usize>, read: impl Fn(&[u8]) -> crate::Result<T>) {
    let mut damaged = file.to_vec();
    for position in positions.filter(|position| *position < file.len()) {
        let truncated = read(&file[..position]).err();
        assert!(matches!(truncated, Some(Error::Malformed { .. })), "truncated at {position}: {truncated:?}");
        let bit = 1 << (position % 8);
        damaged[position] ^= bit;
        let flipped = read(&damaged).err();
        assert!(matches!(flipped, Some(Error::Malformed { .. })), "bit {bit} of byte {position}: {flipped:?}");
        damaged[position] ^= bit;
    }
}

#[test]
fn a_client_key_survives_its_file() {
    let column = CLIENT.encrypt(&[0u16, 1, 0xfedc]).unwrap();
    let read = ClientKey::read(&client_file(&CLIENT)[..]).unwrap();
    assert_eq!(read.decrypt::<u16>(&column).unwrap(), [0, 1, 0xfedc]);
    let simulated = ClientKey::simulated(GAUSSIAN.parameters());
    let read = ClientKey::read(&client_file(&simulated)[..]).unwrap();
    assert_eq!(read.scheme(), Scheme::Simulated(GAUSSIAN.parameters()));
}

#[test]
fn an_evaluation_key_survives_its_file() {
    let read = EvaluationKey::read(&evaluation_file(&EVALUATION)[..]).unwrap();
    assert_eq!(read.scheme(), EVALUATION.scheme());
    let (read, original) = (read.expand().unwrap(), EVALUATION.expand().unwrap());
    assert!(read.bootstrapping_key == original.bootstrapping_key);
    assert!(read.keyswitching_key == original.keyswitching_key);
    let simulated = ClientKey::simulated(GAUSSIAN.parameters()).evaluation_key().unwrap();
    let read = EvaluationKey::read(&evaluation_file(&simulated)[..]).unwrap();
    assert_eq!(read.scheme(), Scheme::Simulated(GAUSSIAN.parameters()));
}

#[test]
fn damaged_files_are_malformed() {
    let file = client_file(&CLIENT);
    let sparse = (0..file.len()).step_by(997);
    refuses_damage(&file, (0..300).chain(sparse).chain(file.len() - 40..file.len()), |bytes| ClientKey::read(bytes));
    let file = client_file(&ClientKey::simulated(ParameterSet::default()));
    refuses_damage(&file, 0..file.len(), |bytes| ClientKey::read(bytes));
    let file = evaluation_file(&EVALUATION);
    let sparse = (0..file.len()).step_by(file.len() / 13);
    refuses_damage(&file, (0..80).step_by(3).chain(sparse).chain([file.len() - 1]), |bytes| EvaluationKey::read(bytes));
}

#[test]
fn a_file_of_another_kind_is_named() {
    let error = EvaluationKey::read(&client_file(&ClientKey::simulated(ParameterSet::default()))[..]).unwrap_err();
    assert_eq!(error.to_string(), "cannot read an evaluation key: the file holds a client key");
    let error = ClientKey::read(&b"-----BEGIN SOMETHING ELSE-----"[..]).unwrap_err();
    assert_eq!(error.to_string(), "cannot read a client key: it is no file of this library");
}

#[test]
fn an_announced_length_is_not_believed() {
    let mut file = client_file(&ClientKey::simulated(ParameterSet::default()));
    file[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(ClientKey::read(&file[..]).unwrap_err().to_string().contains("too long"));
    file[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(ClientKey::read(&file[..]).unwrap_err().to_string().contains("too long"));
}

#[test]
fn the_tfhe_crate_reads_our_client_key_and_we_read_its() {
    let mut bytes = Vec::new();
    CLIENT.write_tfhe(&mut bytes).unwrap();
    let theirs: tfhe::ClientKey = safe_deserialize(&bytes[..], LIMIT).unwrap();
    let value = FheUint8::try_encrypt(201u8, &theirs).unwrap();
    let clear: u8 = value.decrypt(tfhe_client());
    assert_eq!(clear, 201);

    let mut bytes = Vec::new();
    safe_serialize(tfhe_client(), &mut bytes, LIMIT).unwrap();
    let ours = ClientKey::read_tfhe(&bytes[..]).unwrap();
    assert_eq!(ours.decrypt::<u8>(&CLIENT.encrypt(&[77u8]).unwrap()).unwrap(), [77]);
    assert!(ClientKey::read_tfhe(&bytes[..bytes.len() - 1]).is_err());
    bytes.push(0);
    assert!(ClientKey::read_tfhe(&bytes[..]).unwrap_err().to_string().contains("1 bytes too many"));
}

#[test]
fn the_tfhe_crate_evaluates_with_our_evaluation_key() {
    let mut bytes = Vec::new();
    EVALUATION.write_tfhe(&mut bytes).unwrap();
    let theirs: CompressedServerKey = safe_deserialize(&bytes[..], LIMIT).unwrap();
    tfhe::set_server_key(theirs.decompress());
    let [a, b] = [200u8, 100].map(|value| FheUint8::try_encrypt(value, tfhe_client()).unwrap());
    let sum: u8 = (a + b).decrypt(tfhe_client());
    assert_eq!(sum, 44);
}

#[test]
fn keys_for_other_purposes_are_dropped() {
    let config = ConfigBuilder::with_custom_parameters(ParameterSet::default().to_tfhe());
    let client = tfhe::ClientKey::generate(config);
    let theirs = CompressedServerKey::new(&client);
    assert!(theirs.has_oprf_key());
    let mut bytes = Vec::new();
    safe_serialize(&theirs, &mut bytes, LIMIT).unwrap();
    let ours = EvaluationKey::read_tfhe(&bytes[..]).unwrap();
    assert!(!ours.to_tfhe().unwrap().has_oprf_key());
    assert_eq!(ours.scheme(), Scheme::Encrypted(ParameterSet::default()));
}

#[test]
fn damaged_tfhe_bytes_do_not_panic() {
    let mut bytes = Vec::new();
    EVALUATION.write_tfhe(&mut bytes).unwrap();
    for length in [0, 1, 17, 200, 1000, bytes.len() / 2, bytes.len() - 1] {
        assert!(EvaluationKey::read_tfhe(&bytes[..length]).is_err(), "{length}");
    }
    // The describing fields are at both ends and between the keyswitching key's 65536 bytes and the bootstrapping key.
    let fields = (0..320).step_by(19).chain((65_536..66_300).step_by(61));
    let fields = fields.chain((bytes.len() - 300..bytes.len()).step_by(29)).collect::<Vec<_>>();
    let mut refused = 0;
    for &position in &fields {
        let value = if position % 2 == 0 { 0xff } else { bytes[position] ^ 1 };
        let original = std::mem::replace(&mut bytes[position], value);
        refused += usize::from(EvaluationKey::read_tfhe(&bytes[..]).is_err());
        bytes[position] = original;
    }
    assert!(refused > fields.len() / 4, "{refused} of {}", fields.len());

    let mut bytes = Vec::new();
    CLIENT.write_tfhe(&mut bytes).unwrap();
    for position in 0..bytes.len() {
        if (600..bytes.len() - 600).contains(&position) && position % 64 != 0 {
            continue;
        }
        let original = std::mem::replace(&mut bytes[position], 0xff);
        if let Ok(key) = ClientKey::read_tfhe(&bytes[..]) {
            assert_eq!(key.parameters(), CLIENT.parameters());
        }
        bytes[position] = original;
        assert!(position % 61 != 0 || ClientKey::read_tfhe(&bytes[..position]).is_err());
    }
}

#[test]
fn seeds_that_cannot_be_expanded_are_refused() {
    // Neither is a byte of a generator with 16 bytes per block, or leaves as many as a key needs.
    for position in [(0u128, 255u64), (u128::MAX, 0)] {
        let broken = |mut seed: CompressionSeed| {
            seed.inner.first_index = postcard::from_bytes(&postcard::to_allocvec(&position).unwrap()).unwrap();
            seed
        };
        for break_bsk in [false, true] {
            let key = EVALUATION.to_tfhe().unwrap().into_raw_parts().0.into_raw_parts();
            let (pattern, message, carry, degree, noise) = key.into_raw_parts();
            let CompressedAtomicPatternServerKey::Standard(standard) = pattern else { panic!("not standard") };
            let (mut ksk, mut bsk, order) = standard.into_raw_parts();
            if break_bsk {
                let ShortintCompressedBootstrappingKey::Classic { bsk, .. } = &mut bsk else { panic!("multi-bit") };
                *bsk = SeededLweBootstrapKey::from_container(
                    bsk.as_view().into_container().to_vec(),
                    bsk.glwe_size(),
                    bsk.polynomial_size(),
                    bsk.decomposition_base_log(),
                    bsk.decomposition_level_count(),
                    broken(bsk.compression_seed()),
                    bsk.ciphertext_modulus(),
                );
            } else {
                ksk = SeededLweKeyswitchKey::from_container(
                    ksk.as_view().into_container().to_vec(),
                    ksk.decomposition_base_log(),
                    ksk.decomposition_level_count(),
                    ksk.output_lwe_size(),
                    broken(ksk.compression_seed()),
                    ksk.ciphertext_modulus(),
                );
            }
            let standard = CompressedStandardAtomicPatternServerKey::from_raw_parts(ksk, bsk, order);
            let pattern = CompressedAtomicPatternServerKey::Standard(standard);
            let key = tfhe::shortint::CompressedServerKey::from_raw_parts(pattern, message, carry, degree, noise);
            let key = tfhe::integer::CompressedServerKey::from_raw_parts(key);
            let tag = tfhe::Tag::default();
            let key = CompressedServerKey::from_raw_parts(key, None, None, None, None, None, None, None, None, tag);
            let error = EvaluationKey::from_tfhe(key).unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{error}");
        }
    }
}

#[test]
fn other_parameters_are_named_beside_the_supported_ones() {
    let error = ClientKey::from_tfhe(TFHE_1_1.clone()).unwrap_err().to_string();
    assert!(error.contains("message 2, carry 2,"), "{error}");
    assert!(error.contains("PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128"), "{error}");
    let error = EvaluationKey::from_tfhe(CompressedServerKey::new(&TFHE_1_1)).unwrap_err().to_string();
    assert!(error.contains("classical, n ") && error.contains("message 2, carry 2)"), "{error}");
    assert!(error.contains("PARAM_MESSAGE_2_CARRY_2_KS_PBS_GAUSSIAN_2M128"), "{error}");
    let evaluation = GAUSSIAN.evaluation_key().unwrap();
    assert_eq!(evaluation.parameters(), GAUSSIAN.parameters());
}

#[test]
fn a_multi_bit_evaluation_key_is_refused() {
    let params = tfhe::shortint::parameters::PARAM_GPU_MULTI_BIT_GROUP_4_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128;
    let client = tfhe::ClientKey::generate(ConfigBuilder::with_custom_parameters(params).use_dedicated_oprf_key(false));
    let error = EvaluationKey::from_tfhe(CompressedServerKey::new(&client)).unwrap_err().to_string();
    assert!(error.contains("multi-bit, group 4"), "{error}");
}

#[test]
fn secret_keys_that_do_not_fit_their_parameters_are_refused() {
    let (key, ..) = GAUSSIAN.to_tfhe().unwrap().clone().into_raw_parts();
    let mut key = key.into_raw_parts();
    let AtomicPatternClientKey::Standard(standard) = &mut key.atomic_pattern else { panic!("not standard") };
    standard.parameters = ParameterSet::default().to_tfhe().into();
    let key = tfhe::integer::ClientKey::from_raw_parts(key);
    let tag = tfhe::Tag::default();
    let key = tfhe::ClientKey::from_raw_parts(key, None, None, None, None, None, None, None, tag);
    assert!(matches!(ClientKey::from_tfhe(key).unwrap_err(), Error::Malformed { .. }));
}

#[test]
fn expanded_keys_have_the_documented_layout() {
    let params = CLIENT.parameters();
    let (n, big, poly) = (params.lwe_dimension(), params.big_lwe_dimension(), params.polynomial_size());
    let StandardKeys { keyswitching_key, bootstrapping_key } = EVALUATION.expand().unwrap();
    assert_eq!(keyswitching_key.len(), big * params.ks_level_count() * (n + 1));
    assert_eq!(bootstrapping_key.len(), n * params.pbs_level_count() * 2 * 2 * poly);

    let AtomicPatternClientKey::Standard(secret) = &shortint(tfhe_client()).atomic_pattern else {
        panic!("not standard")
    };
    let (small, large) = (secret.small_lwe_secret_key(), secret.large_lwe_secret_key());
    let near = |phase: u64, expected: u64| (phase.wrapping_sub(expected) as i64).unsigned_abs() < 1 << 53;

    let levels = params.ks_level_count();
    for (index, row) in keyswitching_key.chunks_exact(n + 1).enumerate().step_by(701) {
        let (input, level) = (index / levels, levels - index % levels);
        let phase = decrypt_lwe_ciphertext(&small, &LweCiphertextView::from_container(row, native())).0;
        let expected = large.as_ref()[input] << (64 - level * params.ks_base_log());
        assert!(near(phase, expected), "input {input}, level {level}: {phase:x}, {expected:x}");
    }

    for (input, ggsw) in bootstrapping_key.chunks_exact(4 * poly).enumerate().step_by(97) {
        let (mask, body) = ggsw[2 * poly..].split_at(poly);
        // Coefficient 0 of the last row's phase: X^N = -1.
        let key = large.as_ref();
        let product = (1..poly)
            .fold(mask[0].wrapping_mul(key[0]), |sum, j| sum.wrapping_sub(mask[j].wrapping_mul(key[poly - j])));
        let expected = small.as_ref()[input] << (64 - params.pbs_base_log());
        assert!(near(body[0].wrapping_sub(product), expected), "input {input}");
    }
}

fn native() -> CiphertextModulus<u64> {
    CiphertextModulus::new_native()
}

#[test]
fn a_simulated_key_has_no_cryptography() {
    let client = ClientKey::simulated(ParameterSet::default());
    let evaluation = client.evaluation_key().unwrap();
    assert!(client.to_tfhe().is_none() && evaluation.to_tfhe().is_none());
    for error in [
        evaluation.expand().err(),
        evaluation.write_tfhe(&mut Vec::new()).err(),
        client.write_tfhe(&mut Vec::new()).err(),
    ] {
        assert!(matches!(error, Some(Error::Unavailable { .. })), "{error:?}");
    }
}

#[test]
fn debug_output_holds_no_key() {
    let name = ParameterSet::default().name();
    assert_eq!(format!("{:?}", *CLIENT), format!("ClientKey({name}, secret)"));
    assert_eq!(format!("{:?}", *EVALUATION), format!("EvaluationKey({name})"));
    let simulated = ClientKey::simulated(ParameterSet::default());
    assert_eq!(format!("{simulated:?}"), format!("ClientKey({name} (simulated), secret)"));
    let keys = StandardKeys { keyswitching_key: vec![4711], bootstrapping_key: Vec::new() };
    assert!(!format!("{keys:?}").contains("4711"));
}
