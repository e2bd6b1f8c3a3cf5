use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tfhe::integer::{BooleanBlock, IntegerRadixCiphertext, RadixCiphertext, SignedRadixCiphertext};
use tfhe::named::Named;
use tfhe::prelude::{FheDecrypt, FheTryEncrypt};
use tfhe::safe_serialization::{safe_deserialize, safe_serialize};
use tfhe::shortint::ciphertext::{Degree, NoiseLevel};
use tfhe::{
    CompressedFheBool, CompressedFheInt16, CompressedFheUint32, FheBool, FheInt6, FheInt8, FheInt16, FheInt32,
    FheInt64, FheInt128, FheUint8, FheUint16, FheUint32, FheUint64, FheUint128, FheUint256,
};
use tfhe::{Unversionize, Versionize};

use super::*;
use crate::error::Error;
use crate::keys::ClientKey;
use crate::keys::fixture::{CLIENT, GAUSSIAN, SERVER, TFHE_1_1, tfhe_client};
use crate::params::{ParameterSet, Scheme};
use crate::types::{Bits, Clear, Int, Type, U256, Uint};

const LIMIT: u64 = 1 << 30;

fn params() -> ParameterSet {
    ParameterSet::default()
}

fn simulated() -> ClientKey {
    ClientKey::simulated(params())
}

/// Encryption, both conversions and both byte forms, in both directions, of one type.
fn survives_everything<T, V>(values: &[T])
where
    T: Clear,
    V: TfheValue + FheTryEncrypt<T, tfhe::ClientKey> + FheDecrypt<T> + Serialize + DeserializeOwned,
    V: Versionize + Unversionize + Named,
    <V as FheTryEncrypt<T, tfhe::ClientKey>>::Error: Debug,
{
    let column = simulated().encrypt(values).unwrap();
    assert_eq!((column.rows(), column.ty()), (values.len(), T::TYPE));
    assert_eq!(simulated().decrypt::<T>(&column).unwrap(), values);

    let ours = CLIENT.encrypt(values).unwrap();
    assert_eq!(CLIENT.decrypt::<T>(&ours).unwrap(), values);
    let converted = ours.to_tfhe::<V>().unwrap();
    let clear = converted.iter().map(|value| value.decrypt(tfhe_client())).collect::<Vec<T>>();
    assert_eq!(clear, values);
    assert_eq!(Column::from_tfhe(converted, params()).unwrap(), ours);

    let mut bytes = Vec::new();
    ours.write_tfhe(&mut bytes).unwrap();
    let mut rest = &bytes[..];
    for expected in values {
        let value: V = safe_deserialize(&mut rest, LIMIT).unwrap();
        assert_eq!(value.decrypt(tfhe_client()), *expected);
    }
    assert!(rest.is_empty());
    assert_eq!(Column::read_tfhe::<V>(&bytes[..], params()).unwrap(), ours);

    let mut bytes = Vec::new();
    for value in values {
        let theirs = V::try_encrypt(*value, tfhe_client()).unwrap();
        safe_serialize(&theirs, &mut bytes, LIMIT).unwrap();
    }
    let theirs = Column::read_tfhe::<V>(&bytes[..], params()).unwrap();
    assert_eq!(CLIENT.decrypt::<T>(&theirs).unwrap(), values);
    assert_eq!(theirs.infos(), vec![BlockInfo::clean(T::TYPE); T::TYPE.blocks()]);

    let empty = CLIENT.encrypt::<T>(&[]).unwrap();
    assert_eq!((empty.rows(), empty.to_tfhe::<V>().unwrap().len()), (0, 0));
    assert_eq!(Column::from_tfhe(Vec::<V>::new(), params()).unwrap(), empty);
    assert_eq!(Column::read_tfhe::<V>(&[][..], params()).unwrap(), empty);
    assert!(CLIENT.decrypt::<T>(&empty).unwrap().is_empty());
}

#[test]
fn every_type_survives_everything() {
    survives_everything::<bool, FheBool>(&[true, false]);
    survives_everything::<u8, FheUint8>(&[0, 1, 0xb7, u8::MAX]);
    survives_everything::<u16, FheUint16>(&[0, 0x1234, u16::MAX]);
    survives_everything::<u32, FheUint32>(&[0, 0xfeed_beef, u32::MAX]);
    survives_everything::<u64, FheUint64>(&[0x0123_4567_89ab_cdef, u64::MAX]);
    survives_everything::<i8, FheInt8>(&[0, -1, i8::MIN, i8::MAX]);
    survives_everything::<i16, FheInt16>(&[-300, i16::MIN, i16::MAX]);
    survives_everything::<i32, FheInt32>(&[-1, i32::MIN, i32::MAX]);
    survives_everything::<i64, FheInt64>(&[i64::MIN, i64::MAX]);
    survives_everything::<u128, FheUint128>(&[u128::MAX, 1 << 90]);
    survives_everything::<i128, FheInt128>(&[i128::MIN, -1]);
}

#[test]
fn integer_ciphertexts_convert() {
    let key: &tfhe::integer::ClientKey = tfhe_client().as_ref();
    let unsigned = [7u64, 0xffff].map(|value| key.encrypt_radix(value, 8));
    let column = Column::from_tfhe(unsigned.clone(), params()).unwrap();
    assert_eq!(CLIENT.decrypt::<u16>(&column).unwrap(), [7, 0xffff]);
    assert_eq!(column.to_tfhe::<RadixCiphertext>().unwrap(), unsigned);
    assert_eq!(key.decrypt_radix::<u64>(&column.radix(1).unwrap()), 0xffff);
    assert!(matches!(column.radix(2), Err(Error::Shape { .. })));

    let column = Column::from_tfhe([key.encrypt_signed_radix(-5i64, 32)], params()).unwrap();
    assert_eq!(CLIENT.decrypt::<i64>(&column).unwrap(), [-5]);
    assert_eq!(key.decrypt_signed_radix::<i64>(&column.to_tfhe::<SignedRadixCiphertext>().unwrap()[0]), -5);
    assert!(matches!(column.to_tfhe::<RadixCiphertext>(), Err(Error::TypeMismatch { .. })));

    let column = Column::from_tfhe([key.encrypt_bool(true)], params()).unwrap();
    assert_eq!(CLIENT.decrypt::<bool>(&column).unwrap(), [true]);
    assert!(key.decrypt_bool(&column.to_tfhe::<BooleanBlock>().unwrap()[0]));

    assert!(matches!(Column::from_tfhe::<RadixCiphertext>([], params()), Err(Error::Shape { .. })));
    let ten_bits = Column::from_tfhe([key.encrypt_radix(1000u64, 5)], params()).unwrap();
    assert_eq!(CLIENT.decrypt::<Uint<10>>(&ten_bits).unwrap()[0].to_string(), "1000");
    let too_wide = Column::from_tfhe([key.encrypt_radix(1u64, 129)], params());
    assert!(matches!(too_wide, Err(Error::InvalidOperand { .. })));
    let ragged = Column::from_tfhe([key.encrypt_radix(1u64, 4), key.encrypt_radix(1u64, 8)], params());
    assert!(matches!(ragged, Err(Error::Shape { found: 8, expected: 4, .. })));
}

#[test]
fn integers_without_a_native_type_convert() {
    let widest: Vec<U256> =
        ["0", "12345678901234567890123456789012345678901234567890123456789"].map(|text| text.parse().unwrap()).into();
    let column = CLIENT.encrypt(&widest).unwrap();
    let converted = column.to_tfhe::<FheUint256>().unwrap();
    let clear: Vec<tfhe::integer::U256> = converted.iter().map(|value| value.decrypt(tfhe_client())).collect();
    for (ours, peers) in widest.iter().zip(clear) {
        let (low, high) = peers.to_low_high_u128();
        let limbs = [low as u64, (low >> 64) as u64, high as u64, (high >> 64) as u64];
        assert_eq!(ours.to_bits(), Bits::from_limbs(limbs));
    }
    assert_eq!(CLIENT.decrypt::<U256>(&Column::from_tfhe(converted, params()).unwrap()).unwrap(), widest);
    assert_eq!(CLIENT.decrypt_bits(&column).unwrap()[1], widest[1].to_bits());

    let mut bytes = Vec::new();
    column.write_tfhe(&mut bytes).unwrap();
    assert_eq!(Column::read_tfhe::<FheUint256>(&bytes[..], params()).unwrap(), column);

    let odd = CLIENT.encrypt(&[Uint::<22>::MAX]).unwrap();
    assert!(matches!(odd.write_tfhe(Vec::new()), Err(Error::Unavailable { .. })), "the tfhe crate has no such width");
    assert_eq!(Column::from_tfhe(odd.to_tfhe::<RadixCiphertext>().unwrap(), params()).unwrap(), odd);

    let narrow = [FheInt6::try_encrypt(-32i8, tfhe_client()).unwrap()];
    let column = Column::from_tfhe(narrow, params()).unwrap();
    assert_eq!((column.ty(), CLIENT.decrypt::<Int<6>>(&column).unwrap()[0]), (Type::Int(6), Int::MIN));
    for ty in [Type::Uint(0), Type::Uint(7), Type::Int(258)] {
        assert!(matches!(simulated().encrypt_bits(ty, &[Bits::ZERO]), Err(Error::InvalidOperand { .. })), "{ty}");
    }
}

#[test]
fn compressed_ciphertexts_of_a_client_are_read() {
    let values = [1u32, 2_000_000_000];
    let compressed = values.map(|value| CompressedFheUint32::try_encrypt(value, tfhe_client()).unwrap());
    let mut bytes = Vec::new();
    for value in &compressed {
        safe_serialize(value, &mut bytes, LIMIT).unwrap();
    }
    let column = Column::read_tfhe::<CompressedFheUint32>(&bytes[..], params()).unwrap();
    assert_eq!(CLIENT.decrypt::<u32>(&column).unwrap(), values);
    let compressed = [CompressedFheInt16::try_encrypt(-9i16, tfhe_client()).unwrap()];
    assert_eq!(CLIENT.decrypt::<i16>(&Column::from_tfhe(compressed, params()).unwrap()).unwrap(), [-9]);
    let compressed = [CompressedFheBool::try_encrypt(true, tfhe_client()).unwrap()];
    assert_eq!(CLIENT.decrypt::<bool>(&Column::from_tfhe(compressed, params()).unwrap()).unwrap(), [true]);

    let wrong = [CompressedFheUint32::try_encrypt(1u32, &*TFHE_1_1).unwrap()];
    assert!(matches!(Column::from_tfhe(wrong, params()), Err(Error::ParameterMismatch { .. })));
}

#[test]
fn ciphertexts_compressed_on_a_server_are_refused() {
    tfhe::set_server_key(SERVER.clone());
    let value = FheUint32::try_encrypt(5u32, tfhe_client()).unwrap().compress();
    let error = Column::from_tfhe([value], params()).unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("row 0 of a u32 column"), "{error}");
    let value = FheBool::try_encrypt(true, tfhe_client()).unwrap().compress();
    assert!(matches!(Column::from_tfhe([value], params()), Err(Error::Unavailable { .. })));
}

#[test]
fn trivial_ciphertexts_are_read() {
    let key: &tfhe::integer::ServerKey = &SERVER.clone().into_raw_parts().0;
    let trivial: RadixCiphertext = key.create_trivial_radix(0b11_10_00_01u64, 4);
    let column = Column::from_tfhe([trivial], params()).unwrap();
    assert_eq!(CLIENT.decrypt::<u8>(&column).unwrap(), [0b11_10_00_01]);
    let degrees = [1, 0, 2, 3].map(|degree| BlockInfo { degree, noise_norm2: 0 });
    assert_eq!(column.infos(), degrees);
    let back = column.radix(0).unwrap();
    assert!(back.is_trivial());
    // Beside an encrypted row the bounds of both rows hold.
    let column = Column::concat([&column, &CLIENT.encrypt(&[9u8]).unwrap()]).unwrap();
    assert_eq!(column.infos(), vec![BlockInfo::clean(Type::Uint(8)); 4]);
    assert_eq!(CLIENT.decrypt::<u8>(&column).unwrap(), [0b11_10_00_01, 9]);
}

#[test]
fn unclean_blocks_are_named() {
    let server: &tfhe::shortint::ServerKey = &SERVER.clone().into_raw_parts().0.into_raw_parts();
    let key: &tfhe::integer::ClientKey = tfhe_client().as_ref();
    let clean = key.encrypt_radix(0u64, 4);
    let mut blocks = key.encrypt_radix(0b0101_0101u64, 4).into_blocks();
    blocks[2] = server.unchecked_add(&blocks[2], &blocks[1]);
    let error = Column::from_tfhe([clean, RadixCiphertext::from(blocks.clone())], params()).unwrap_err();
    let Error::UncleanCiphertext { row: 1, block: 2, degree: 6, noise_level: 2, max_degree: 3, name } = error else {
        panic!("{error}")
    };
    assert_eq!(name, "u8 ciphertext");

    // Too much noise alone, and a truth value that may be 3.
    blocks[2].degree = Degree::new(3);
    let error = Column::from_tfhe([RadixCiphertext::from(blocks)], params()).unwrap_err();
    assert!(matches!(error, Error::UncleanCiphertext { degree: 3, noise_level: 2, .. }), "{error}");
    let boolean = BooleanBlock::new_unchecked(key.encrypt_radix(1u64, 1).into_blocks().remove(0));
    let error = Column::from_tfhe([boolean], params()).unwrap_err();
    assert!(matches!(error, Error::UncleanCiphertext { degree: 3, max_degree: 1, .. }), "{error}");
    let mut blocks = key.encrypt_radix(1u64, 4).into_blocks();
    blocks[3].set_noise_level(NoiseLevel::UNKNOWN, server.max_noise_level);
    let error = Column::from_tfhe([RadixCiphertext::from(blocks)], params()).unwrap_err();
    assert!(matches!(error, Error::UncleanCiphertext { block: 3, noise_level: u64::MAX, .. }), "{error}");
}

#[test]
fn other_parameters_are_named() {
    let value = FheUint8::try_encrypt(1u8, &*TFHE_1_1).unwrap();
    let error = Column::from_tfhe([value], params()).unwrap_err();
    assert!(matches!(error, Error::ParameterMismatch { .. }), "{error}");
    let value = FheBool::try_encrypt(true, &*TFHE_1_1).unwrap();
    let error = Column::from_tfhe([value], params()).unwrap_err();
    assert!(matches!(error, Error::ParameterMismatch { .. }), "{error}");
    let text = error.to_string();
    for part in ["row 0, block 0 of a bool column", "message 2, carry 2", params().name(), "message 4, carry 4"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn types_and_schemes_do_not_mix() {
    let column = CLIENT.encrypt(&[1u8]).unwrap();
    assert!(matches!(
        CLIENT.decrypt::<i8>(&column),
        Err(Error::TypeMismatch { found: Type::Uint(8), expected: Type::Int(8), .. })
    ));
    assert!(matches!(column.to_tfhe::<FheUint16>(), Err(Error::TypeMismatch { .. })));
    assert!(matches!(column.to_tfhe::<FheBool>(), Err(Error::TypeMismatch { .. })));
    let text = GAUSSIAN.decrypt::<u8>(&column).unwrap_err().to_string();
    assert!(text.contains(params().name()) && text.contains(GAUSSIAN.parameters().name()), "{text}");
    assert!(matches!(simulated().decrypt::<u8>(&column), Err(Error::ParameterMismatch { .. })));
    let plain = simulated().encrypt(&[1u8]).unwrap();
    assert!(matches!(plain.to_tfhe::<FheUint8>(), Err(Error::ParameterMismatch { .. })));
    assert!(matches!(plain.write_tfhe(Vec::new()), Err(Error::ParameterMismatch { .. })));
    assert!(matches!(plain.slice(0..0).unwrap().write_tfhe(Vec::new()), Err(Error::ParameterMismatch { .. })));
    assert!(matches!(Column::concat([&plain, &column]), Err(Error::ParameterMismatch { .. })));
}

#[test]
fn words_have_to_fit_their_type() {
    let scheme = Scheme::Simulated(params());
    let infos = |blocks| vec![BlockInfo { degree: 15, noise_norm2: 25 }; blocks];
    let column = Column::from_words(Type::Uint(8), scheme, vec![7; 12], infos(4)).unwrap();
    assert_eq!((column.rows(), column.row(1).len(), column.block(2, 3)), (3, 4, &[7][..]));
    assert!(column.row(3).is_empty() && column.block(0, 4).is_empty() && column.block(usize::MAX, 1).is_empty());
    assert!(matches!(column.expect_clean("x"), Err(Error::UncleanCiphertext { degree: 15, noise_level: 5, .. })));
    let refused = |ty, words, infos| Column::from_words(ty, scheme, vec![0; words], infos).unwrap_err();
    assert!(matches!(refused(Type::Uint(8), 13, infos(4)), Error::Shape { found: 13, expected: 16, .. }));
    assert!(matches!(refused(Type::Uint(8), 12, infos(5)), Error::Shape { found: 5, expected: 4, .. }));
    assert!(matches!(refused(Type::Uint(0), 12, infos(0)), Error::InvalidOperand { .. }));
    let high = vec![BlockInfo { degree: 16, noise_norm2: 1 }];
    assert!(matches!(refused(Type::Bool, 1, high), Error::Shape { found: 16, expected: 15, .. }));
}

#[test]
fn degree_and_noise_are_truthful_on_the_way_out() {
    let column = CLIENT.encrypt(&[0b10u8]).unwrap();
    let infos = [(9, 5), (3, 4), (0, 0), (3, 1)].map(|(degree, noise_norm2)| BlockInfo { degree, noise_norm2 });
    let column = Column::from_words(column.ty(), column.scheme(), column.into_words(), infos.to_vec()).unwrap();
    let blocks = column.radix(0).unwrap().into_blocks();
    let found = blocks.iter().map(|block| (block.degree.get(), block.noise_level().get())).collect::<Vec<_>>();
    assert_eq!(found, [(9, 3), (3, 2), (0, 0), (3, 1)]);
}

#[test]
fn rows_are_sliced_and_joined() {
    let column = simulated().encrypt(&[1i16, -2, 3]).unwrap();
    let slice = |range| simulated().decrypt::<i16>(&column.slice(range).unwrap()).unwrap();
    assert_eq!((slice(1..3), slice(0..0), slice(3..3)), (vec![-2, 3], vec![], vec![]));
    assert!(matches!(column.slice(1..4), Err(Error::Shape { found: 4, expected: 3, .. })));
    #[expect(clippy::reversed_empty_ranges, reason = "that it is refused is the point")]
    let backwards = column.slice(2..1);
    assert!(matches!(backwards, Err(Error::Shape { .. })));
    let joined = Column::concat([&column.slice(2..3).unwrap(), &column.slice(0..2).unwrap()]).unwrap();
    assert_eq!(simulated().decrypt::<i16>(&joined).unwrap(), [3, 1, -2]);
    assert!(matches!(Column::concat([]), Err(Error::Shape { .. })));
    let other = simulated().encrypt(&[1u16]).unwrap();
    assert!(matches!(Column::concat([&column, &other]), Err(Error::TypeMismatch { .. })));
}

fn batch(client: &ClientKey) -> Batch {
    let batch = Batch::new().with("flag", client.encrypt(&[true, false, true]).unwrap()).unwrap();
    batch.with("Betrag €", client.encrypt(&[-1i32, 0, i32::MAX]).unwrap()).unwrap()
}

fn written(batch: &Batch) -> Vec<u8> {
    let mut bytes = Vec::new();
    batch.write(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_batch_checks_its_columns() {
    let mut batch = batch(&simulated());
    let column = |rows: usize| simulated().encrypt(&vec![1u8; rows]).unwrap();
    assert!(matches!(batch.insert("", column(3)), Err(Error::BadName { problem: "empty", .. })));
    assert!(matches!(batch.insert("flag", column(3)), Err(Error::BadName { problem: "used twice", .. })));
    assert!(matches!(batch.insert("x", column(2)), Err(Error::RowCount { found: 2, expected: 3, .. })));
    let encrypted = CLIENT.encrypt(&[1u8; 3]).unwrap();
    assert!(matches!(batch.insert("x", encrypted), Err(Error::ParameterMismatch { .. })));
    let text = batch.column("x").unwrap_err().to_string();
    assert_eq!(text, "no column `x` in the batch (columns: flag, Betrag €)");

    let slice = batch.slice(1..2).unwrap();
    assert_eq!((slice.rows(), slice.names().collect::<Vec<_>>()), (1, vec!["flag", "Betrag €"]));
    assert!(batch.slice(0..4).is_err() && Batch::new().slice(0..1).is_err());
    assert_eq!(Batch::new().slice(0..0).unwrap(), Batch::new());
    let taken = batch.take("flag").unwrap();
    assert_eq!(simulated().decrypt::<bool>(&taken).unwrap(), [true, false, true]);
    assert!(matches!(batch.take("flag"), Err(Error::NoSuchColumn { .. })));
    assert_eq!((batch.scheme(), Batch::new().scheme()), (Some(simulated().scheme()), None));
}

#[test]
fn a_batch_survives_its_file() {
    let empty = Batch::new();
    let no_rows = batch(&CLIENT).slice(0..0).unwrap();
    let batches = [empty, no_rows, batch(&simulated()), batch(&CLIENT), batch(&GAUSSIAN)];
    let mut bytes = Vec::new();
    for batch in &batches {
        batch.write(&mut bytes).unwrap();
    }
    // One file after the other in one stream.
    let mut rest = &bytes[..];
    for batch in &batches {
        assert_eq!(&Batch::read(&mut rest).unwrap(), batch);
    }
    assert!(rest.is_empty());
}

#[test]
fn damaged_batches_are_malformed() {
    for (batch, step) in [(Batch::new(), 1), (batch(&simulated()), 1), (batch(&CLIENT), 4999)] {
        let mut bytes = written(&batch);
        let length = bytes.len();
        for position in (0..length.min(160)).chain((0..length).step_by(step)).chain(length - 33..length) {
            let error = Batch::read(&bytes[..position]).unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "truncated at {position}: {error}");
            for bit in if step == 1 { 0..8 } else { 3..5 } {
                bytes[position] ^= 1 << bit;
                let error = Batch::read(&bytes[..]).unwrap_err();
                assert!(matches!(error, Error::Malformed { .. }), "bit {bit} of byte {position}: {error}");
                bytes[position] ^= 1 << bit;
            }
        }
    }
}

#[test]
fn announced_sizes_are_not_believed() {
    // 2^60 rows in the header, with a digest that is right.
    let bytes = written(&batch(&simulated()));
    let header = usize::from(bytes[12]);
    let rows = bytes[24..24 + header].iter().rposition(|&byte| byte == 3);
    assert!(rows.is_some());
    for replaced in 24..24 + header {
        let mut forged = bytes[..bytes.len() - 32].to_vec();
        forged[replaced] = 0x7f;
        forged.extend(blake3::hash(&forged).as_bytes());
        // Whatever the byte meant: an error or another batch, but no panic.
        let _ = Batch::read(&forged[..]);
    }
    let mut forged = bytes[..24].to_vec();
    forged[16..24].copy_from_slice(&(1u64 << 47).to_le_bytes());
    forged.extend(&bytes[24..]);
    assert!(matches!(Batch::read(&forged[..]), Err(Error::Malformed { .. })));
}

#[test]
fn damaged_tfhe_ciphertexts_do_not_panic() {
    let mut bytes = Vec::new();
    CLIENT.encrypt(&[3u8, 4]).unwrap().write_tfhe(&mut bytes).unwrap();
    for length in (1..bytes.len()).step_by(1501).filter(|&length| length != bytes.len() / 2) {
        assert!(Column::read_tfhe::<FheUint8>(&bytes[..length], params()).is_err(), "{length}");
    }
    let block = 8 * params().ciphertext_words();
    for position in 0..bytes.len() / 2 {
        // All that describes the ciphertext, and few of its words.
        if position > 400 && position % block > 400 && position % 997 != 0 {
            continue;
        }
        let original = std::mem::replace(&mut bytes[position], if position % 2 == 0 { 0xff } else { 0 });
        let _ = Column::read_tfhe::<FheUint8>(&bytes[..], params());
        bytes[position] = original;
    }
    let mut compressed = Vec::new();
    let value = CompressedFheUint32::try_encrypt(5u32, tfhe_client()).unwrap();
    safe_serialize(&value, &mut compressed, LIMIT).unwrap();
    for position in 0..compressed.len() {
        let original = std::mem::replace(&mut compressed[position], 0xff);
        let _ = Column::read_tfhe::<CompressedFheUint32>(&compressed[..], params());
        compressed[position] = original;
    }
    // Another width, another type, another library.
    assert!(Column::read_tfhe::<FheUint16>(&bytes[..], params()).is_err());
    assert!(Column::read_tfhe::<FheInt8>(&bytes[..], params()).is_err());
    assert!(Column::read_tfhe::<FheUint8>(&b"something else altogether"[..], params()).is_err());
}

#[test]
fn many_rows_are_read_in_pieces() {
    let values = (0..600).map(|row| row % 3 == 0).collect::<Vec<_>>();
    let column = CLIENT.encrypt(&values).unwrap();
    let mut bytes = Vec::new();
    column.write_tfhe(&mut bytes).unwrap();
    assert_eq!(Column::read_tfhe::<FheBool>(&bytes[..], params()).unwrap(), column);
    // An unclean row in the third piece is named by its number.
    let mut values = column.to_tfhe::<BooleanBlock>().unwrap();
    let mut block = values[555].clone().into_raw_parts();
    block.degree = Degree::new(2);
    values[555] = BooleanBlock::new_unchecked(block);
    let error = Column::from_tfhe(values, params()).unwrap_err();
    assert!(matches!(error, Error::UncleanCiphertext { row: 555, block: 0, .. }), "{error}");
}

#[test]
fn debug_output_holds_no_words() {
    let column = simulated().encrypt(&[0x55u8]).unwrap();
    let text = format!("{column:?}");
    assert!(text.contains("rows: 1") && !text.contains(&column.words()[0].to_string()), "{text}");
}
