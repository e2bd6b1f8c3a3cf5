//! What the fuzz targets do with their bytes. Reading must end with a value or an error: no panic, no endless loop, no
//! memory that the bytes do not pay for. What was read must survive being written and read again.

#[allow(dead_code, reason = "the example's own reader, of which the fuzzer needs one function")]
#[path = "../../fhe-core/examples/screening/data.rs"]
mod data;
mod program;

use fhe_core::{Batch, ClientKey, Column, EvaluationKey, Form, ParameterSet, Program};

pub use program::run_programs;

/// Kinds of the file form, as fhe-core numbers them.
const CLIENT_KEY: u8 = 1;
const EVALUATION_KEY: u8 = 2;
const BATCH: u8 = 3;
const PROGRAM: u8 = 4;
const PREFIX_BYTES: usize = 24;

/// A file whose digest is right: without that, no byte behind the prefix would ever be looked at. The first two bytes
/// of `data` say how much of it is the header.
fn sealed(kind: u8, data: &[u8]) -> Vec<u8> {
    let (header, content) = match data {
        [low, high, rest @ ..] => (usize::from(u16::from_le_bytes([*low, *high])).min(rest.len()), rest),
        short => (short.len(), short),
    };
    let mut file = b"FHEBATCH".to_vec();
    file.extend(1u16.to_le_bytes());
    file.extend([kind, 0]);
    file.extend((header as u32).to_le_bytes());
    file.extend(((content.len() - header) as u64).to_le_bytes());
    debug_assert_eq!(file.len(), PREFIX_BYTES);
    file.extend(content);
    file.extend(blake3::hash(&file).as_bytes());
    file
}

/// Client and evaluation keys, in the file form and in the tfhe crate's.
pub fn keys(data: &[u8]) {
    let _ = ClientKey::read(data);
    let _ = ClientKey::read_tfhe(data);
    let _ = EvaluationKey::read(data);
    let _ = EvaluationKey::read_tfhe(data);
    if let Ok(key) = ClientKey::read(&sealed(CLIENT_KEY, data)[..]) {
        let mut again = Vec::new();
        key.write(&mut again).expect("a key that was read can be written");
        assert_eq!(ClientKey::read(&again[..]).expect("and read again").scheme(), key.scheme());
    }
    if let Ok(key) = EvaluationKey::read(&sealed(EVALUATION_KEY, data)[..]) {
        let mut again = Vec::new();
        key.write(&mut again).expect("a key that was read can be written");
        assert_eq!(EvaluationKey::read(&again[..]).expect("and read again").scheme(), key.scheme());
    }
}

/// Batches of ciphertexts, in the file form and in the tfhe crate's.
pub fn batches(data: &[u8]) {
    let _ = Batch::read(data);
    let params = ParameterSet::default();
    let _ = Column::read_tfhe::<tfhe::FheBool>(data, params);
    let _ = Column::read_tfhe::<tfhe::FheUint32>(data, params);
    let _ = Column::read_tfhe::<tfhe::CompressedFheUint8>(data, params);
    if let Ok(batch) = Batch::read(&sealed(BATCH, data)[..]) {
        let mut again = Vec::new();
        batch.write(&mut again).expect("a batch that was read can be written");
        assert_eq!(Batch::read(&again[..]).expect("and read again").rows(), batch.rows());
    }
}

/// Programs. One that is read was checked, so it can be listed, and compiles in both forms or says why not.
pub fn programs(data: &[u8]) {
    let _ = Program::from_bytes(data);
    if let Ok(program) = Program::from_bytes(&sealed(PROGRAM, data)) {
        let bytes = program.to_bytes().expect("a program that was read can be written");
        assert_eq!(Program::from_bytes(&bytes).expect("and read again").id(), program.id());
        let _ = program.statistics(Form::Latency);
        let _ = program.to_string();
    }
}

/// The reader of the example's records.
pub fn csv(data: &[u8]) {
    if let Ok(data) = data::Dataset::read(data) {
        assert!(data.records.iter().all(|record| record.features.len() == data.features.len()));
        assert!(data.records.iter().flat_map(|record| &record.features).all(|value| value.is_finite()));
        let quantiser = data::Quantiser::fit(&data.records);
        for record in &data.records {
            assert_eq!(quantiser.apply(&record.features).len(), data.features.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Valid files, to start from.
    fn seeds() -> Vec<Vec<u8>> {
        let client = ClientKey::simulated(ParameterSet::default());
        let mut seeds = vec![Vec::new(), b"2,3,bad,good\n1,2.5,-3e2,0\n4,5,6,1\n".to_vec()];
        let mut file = Vec::new();
        client.write(&mut file).unwrap();
        seeds.push(std::mem::take(&mut file));
        client.evaluation_key().unwrap().write(&mut file).unwrap();
        seeds.push(std::mem::take(&mut file));
        let batch = Batch::new().with("a", client.encrypt(&[1u8, 2]).unwrap()).unwrap();
        batch.write(&mut file).unwrap();
        seeds.push(std::mem::take(&mut file));
        let program = Program::trace(|t| {
            let (a, b) = (t.input::<u8>("a"), t.input::<u8>("b"));
            t.output("c", &a.lt(&b).select(&(&a + &b), &(&a * 3)));
        });
        seeds.push(program.unwrap().to_bytes().unwrap());
        seeds
    }

    /// The bytes that `sealed` would make this file of.
    fn opened(file: &[u8]) -> Option<Vec<u8>> {
        let content = file.get(PREFIX_BYTES..file.len().checked_sub(32)?)?;
        let header = u32::from_le_bytes(file[12..16].try_into().unwrap());
        let mut data = u16::try_from(header).ok()?.to_le_bytes().to_vec();
        data.extend(content);
        Some(data)
    }

    fn all(data: &[u8]) {
        for target in [keys, batches, programs, csv] {
            target(data);
        }
    }

    #[test]
    fn files_are_opened_and_sealed_again() {
        let mut found = 0;
        for file in seeds() {
            if let Some(data) = opened(&file).filter(|_| file.starts_with(b"FHEBATCH")) {
                assert_eq!(sealed(file[10], &data), file);
                found += 1;
            }
        }
        assert_eq!(found, 4);
    }

    #[test]
    fn valid_files_and_each_of_their_damages() {
        for file in seeds() {
            let opened = opened(&file).unwrap_or_default();
            for data in [&file, &opened] {
                all(data);
                for at in 0..data.len().min(200) {
                    all(&data[..at]);
                    for bit in [0, 3, 7] {
                        let mut damaged = data.clone();
                        damaged[at] ^= 1 << bit;
                        all(&damaged);
                    }
                }
            }
        }
    }

    #[test]
    fn random_programs_agree_with_plain_integers() {
        let mut state = 1u64;
        for length in 0..300 {
            let mut byte = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            };
            let data: Vec<u8> = (0..length % 60).map(|_| byte()).collect();
            run_programs(&data);
        }
    }
}
