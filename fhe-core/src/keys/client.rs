//! The client key: encrypts, decrypts and makes evaluation keys.

use std::fmt;
use std::io::{Read, Write};
use std::mem;

use rayon::prelude::*;
use tfhe::core_crypto::prelude::{CiphertextModulus, LweCiphertextView, decrypt_lwe_ciphertext};
use tfhe::shortint::client_key::atomic_pattern::AtomicPatternClientKey;
use tfhe::shortint::oprf::{AtomicPatternOprfPrivateKey, OprfPrivateKey};
use tfhe::{CompressedServerKey, ConfigBuilder};
use zeroize::{Zeroize, Zeroizing};

use super::{EvaluationKey, KeyHeader};
use crate::ciphertext::{BlockInfo, Column};
use crate::error::{Error, Result};
use crate::file::{self, Kind};
use crate::params::{ParameterSet, Scheme};
use crate::torus;
use crate::types::{Bits, Clear, Type};

/// Longest client key that is read: the secret keys of every optional feature together stay far below.
const MAX_BYTES: u64 = 1 << 20;

/// The secret key. It never leaves the client.
///
/// On drop the secret words are overwritten: those of the LWE and GLWE keys and of the optional keys for compression,
/// noise squashing, compact public keys, pseudo-random generation and transciphering. Out of reach are the copies that
/// the `tfhe` crate makes while it generates or encrypts, the key for compressing noise-squashed ciphertexts, and the
/// state of its random generators.
///
/// ```
/// use fhe_core::{ClientKey, ParameterSet};
///
/// let client = ClientKey::simulated(ParameterSet::default()); // `generate` for real encryption
/// let column = client.encrypt(&[1u32, 20, 300])?;
/// assert_eq!(client.decrypt::<u32>(&column)?, [1, 20, 300]);
/// # Ok::<(), fhe_core::Error>(())
/// ```
pub struct ClientKey {
    params: ParameterSet,
    /// `None` in a simulation.
    key: Option<Box<tfhe::ClientKey>>,
}

impl ClientKey {
    /// Generates a key with the `tfhe` crate's generators, seeded by the operating system.
    ///
    /// The key has no dedicated secret for pseudo-random generation, so that its evaluation keys are complete.
    ///
    /// # Errors
    /// None today.
    pub fn generate(params: ParameterSet) -> Result<Self> {
        let config = ConfigBuilder::with_custom_parameters(params.to_tfhe()).use_dedicated_oprf_key(false);
        Self::from_tfhe(tfhe::ClientKey::generate(config))
    }

    /// A key without cryptography: its ciphertexts are plain values, one word per block.
    #[must_use]
    pub fn simulated(params: ParameterSet) -> Self {
        Self { params, key: None }
    }

    /// Takes over a key of the `tfhe` crate, with all that it holds.
    ///
    /// # Errors
    /// [`Error::UnsupportedParameters`]; [`Error::Malformed`] for secret keys of another size than their parameters.
    pub fn from_tfhe(key: tfhe::ClientKey) -> Result<Self> {
        match check(&key) {
            Ok(params) => Ok(Self { params, key: Some(Box::new(key)) }),
            Err(error) => {
                wipe(key);
                Err(error)
            }
        }
    }

    /// The key as the `tfhe` crate's own; `None` in a simulation. Copies of it are not overwritten on drop.
    #[must_use]
    pub fn to_tfhe(&self) -> Option<&tfhe::ClientKey> {
        self.key.as_deref()
    }

    /// What the blocks under this key are.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        if self.key.is_some() { Scheme::Encrypted(self.params) } else { Scheme::Simulated(self.params) }
    }

    /// The parameter set.
    #[must_use]
    pub fn parameters(&self) -> ParameterSet {
        self.params
    }

    /// The key with which programs are evaluated on this key's ciphertexts; about a second of work.
    ///
    /// # Errors
    /// None for a key that was made by this type.
    pub fn evaluation_key(&self) -> Result<EvaluationKey> {
        let Some(key) = self.to_tfhe() else {
            return Ok(EvaluationKey::simulated(self.params));
        };
        let integer_key = tfhe::integer::CompressedServerKey::new_radix_compressed_server_key(key.as_ref());
        let tag = tfhe::prelude::Tagged::tag(key).clone();
        EvaluationKey::from_tfhe(CompressedServerKey::from_raw_parts(
            integer_key,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            tag,
        ))
    }

    /// Encrypts one value per row, in parallel on the current rayon pool.
    ///
    /// # Errors
    /// None today.
    pub fn encrypt<T: Clear>(&self, values: &[T]) -> Result<Column> {
        self.encrypt_rows(T::TYPE, values, |&value| value.to_bits())
    }

    /// [`encrypt`](Self::encrypt) for a type that is only known when the program runs; bits above its width are
    /// ignored.
    ///
    /// # Errors
    /// [`Error::InvalidOperand`] for a type that is not [supported](Type::is_supported).
    pub fn encrypt_bits(&self, ty: Type, values: &[Bits]) -> Result<Column> {
        self.encrypt_rows(ty, values, |&value| value)
    }

    fn encrypt_rows<V: Sync>(&self, ty: Type, values: &[V], bits: impl Fn(&V) -> Bits + Sync) -> Result<Column> {
        let words_per_block = self.scheme().ciphertext_words();
        if values.is_empty() || !ty.is_supported() {
            return Column::empty(ty, self.scheme());
        }
        let words_per_row = ty.blocks() * words_per_block;
        let mut words = vec![0; values.len() * words_per_row];
        words.par_chunks_exact_mut(words_per_row).zip(values).for_each(|(row, value)| {
            let bits = ty.truncate(bits(value));
            for (index, block) in row.chunks_exact_mut(words_per_block).enumerate() {
                self.encrypt_block(ty, bits.digit(index) as u64, block);
            }
        });
        // The noise of a fresh encryption is no more than that of a bootstrap output: `NoiseLevel::NOMINAL`.
        Column::from_words(ty, self.scheme(), words, vec![BlockInfo::clean(ty); ty.blocks()])
    }

    fn encrypt_block(&self, ty: Type, digit: u64, block: &mut [u64]) {
        let Some(key) = self.to_tfhe() else {
            block.fill(torus::encode(digit as i64));
            return;
        };
        let key: &tfhe::integer::ClientKey = key.as_ref();
        let key: &tfhe::shortint::ClientKey = key.as_ref();
        let encrypted = if ty == Type::Bool { key.encrypt_bool(digit == 1) } else { key.encrypt(digit) };
        // Sizes agree: both follow from the parameter set that `check` recognised.
        block.copy_from_slice(encrypted.ct.as_ref());
    }

    /// Decrypts every row, in parallel on the current rayon pool.
    ///
    /// Carries are added up, modulo the size of the type; of a truth value only the lowest bit counts.
    ///
    /// # Errors
    /// [`Error::TypeMismatch`] and [`Error::ParameterMismatch`] for a column of another type or scheme. A column under
    /// another key of the same scheme cannot be told apart: it decrypts to nonsense.
    pub fn decrypt<T: Clear>(&self, column: &Column) -> Result<Vec<T>> {
        if column.ty() != T::TYPE {
            return Err(Error::TypeMismatch { name: "column".to_owned(), found: column.ty(), expected: T::TYPE });
        }
        self.decrypt_rows(column, T::from_bits)
    }

    /// [`decrypt`](Self::decrypt) for a column whose type is only known when the program runs.
    ///
    /// # Errors
    /// [`Error::ParameterMismatch`] for a column of another scheme.
    pub fn decrypt_bits(&self, column: &Column) -> Result<Vec<Bits>> {
        let ty = column.ty();
        self.decrypt_rows(column, |bits| ty.truncate(bits))
    }

    fn decrypt_rows<V: Send>(&self, column: &Column, value: impl Fn(Bits) -> V + Sync) -> Result<Vec<V>> {
        self.scheme().expect("the client key", column.scheme(), || "the column".to_owned())?;
        let words_per_block = self.scheme().ciphertext_words();
        let rows = column.words().par_chunks_exact(column.ty().blocks() * words_per_block);
        let decrypt = |row: &[u64]| {
            let digits: Vec<i64> = row.chunks_exact(words_per_block).map(|block| self.decrypt_block(block)).collect();
            value(Bits::from_digits(digits.into_iter()))
        };
        Ok(rows.map(decrypt).collect())
    }

    fn decrypt_block(&self, block: &[u64]) -> i64 {
        let Some(key) = self.to_tfhe() else {
            return torus::decode(block.first().copied().unwrap_or_default());
        };
        let key: &tfhe::integer::ClientKey = key.as_ref();
        let key: &tfhe::shortint::ClientKey = key.as_ref();
        let block = LweCiphertextView::from_container(block, CiphertextModulus::new_native());
        torus::decode(decrypt_lwe_ciphertext(&key.encryption_key(), &block).0)
    }

    /// Writes the key, in the clear, to a file: version, kind, parameters, the key, and a digest that finds damage.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, writer: impl Write) -> Result<()> {
        let header = KeyHeader { scheme: self.scheme().into() };
        let body = self.to_tfhe().map(serialize).transpose()?.unwrap_or_default();
        file::write(writer, Kind::ClientKey, &header, body.len() as u64, |out| out.write_all(&body))
    }

    /// Reads what [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// [`Error::Malformed`] for bytes that are truncated, damaged or something else, [`Error::UnsupportedParameters`],
    /// [`Error::Io`].
    pub fn read(reader: impl Read) -> Result<Self> {
        file::read(reader, Kind::ClientKey, |header: KeyHeader, body| {
            let params = match header.scheme.try_into()? {
                Scheme::Simulated(params) => return Ok(Self::simulated(params)),
                Scheme::Encrypted(params) => params,
            };
            // In one piece, so that no reallocation leaves a copy behind. The length is capped for this kind.
            let mut bytes = Zeroizing::new(vec![0; body.remaining() as usize]);
            body.read_exact(&mut bytes).map_err(|error| Kind::ClientKey.read_error(error))?;
            let key = file::parse_tfhe(&bytes, Kind::ClientKey.name(), Self::from_tfhe)?;
            Scheme::Encrypted(params).expect("its header", key.scheme(), || "the client key".to_owned())?;
            Ok(key)
        })
    }

    /// Writes the key, in the clear, in the `tfhe` crate's form.
    ///
    /// # Errors
    /// [`Error::Unavailable`] in a simulation; [`Error::Io`].
    pub fn write_tfhe(&self, mut writer: impl Write) -> Result<()> {
        let key = self.to_tfhe().ok_or_else(|| Error::Unavailable {
            what: "the tfhe crate's form of the client key".to_owned(),
            reason: "the key is simulated".to_owned(),
        })?;
        writer.write_all(&serialize(key)?).map_err(Error::io("write a client key"))
    }

    /// Reads a `ClientKey` that any client of the `tfhe` crate has safely serialised, and nothing after it.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::UnsupportedParameters`], [`Error::Io`].
    pub fn read_tfhe(reader: impl Read) -> Result<Self> {
        // As much as may arrive, so that no reallocation leaves a copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize + 1));
        file::read_all(reader, MAX_BYTES, Kind::ClientKey, &mut bytes)?;
        file::parse_tfhe(&bytes, Kind::ClientKey.name(), Self::from_tfhe)
    }
}

/// In one piece that is overwritten on drop.
fn serialize(key: &tfhe::ClientKey) -> Result<Zeroizing<Vec<u8>>> {
    let action = "write a client key";
    let length = file::tfhe_bytes(key).map_err(Error::io(action))?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(length as usize));
    file::write_tfhe(&mut *bytes, key).map_err(Error::io(action))?;
    Ok(bytes)
}

/// Recognises the parameters, and compares the secret keys with them: the `tfhe` crate has no such check for client
/// keys, and would panic at the first use.
fn check(key: &tfhe::ClientKey) -> Result<ParameterSet> {
    let key: &tfhe::integer::ClientKey = key.as_ref();
    let key: &tfhe::shortint::ClientKey = key.as_ref();
    let standard = match &key.atomic_pattern {
        AtomicPatternClientKey::Standard(standard) => standard,
        AtomicPatternClientKey::KeySwitch32(other) => return ParameterSet::from_tfhe(other.parameters),
    };
    let params = ParameterSet::from_tfhe(standard.parameters)?;
    // The key's own accessors panic if it is empty; only its parts can be looked at.
    let (mut glwe, mut lwe, ..) = standard.clone().into_raw_parts();
    let fits = lwe.as_ref().len() == params.lwe_dimension()
        && glwe.as_ref().len() == params.big_lwe_dimension()
        && glwe.polynomial_size().0 == params.polynomial_size();
    let binary = lwe.as_ref().iter().chain(glwe.as_ref()).all(|&bit| bit <= 1);
    lwe.as_mut().zeroize();
    glwe.as_mut().zeroize();
    if fits && binary {
        Ok(params)
    } else {
        Err(Error::malformed(Kind::ClientKey.name(), format!("its secret keys do not fit {params}")))
    }
}

/// Overwrites every secret word that the `tfhe` crate hands out.
fn wipe(key: tfhe::ClientKey) {
    let (key, compact, compression, squashing, _, _, oprf, transciphering, _) = key.into_raw_parts();
    match key.into_raw_parts().atomic_pattern {
        AtomicPatternClientKey::Standard(key) => {
            let (mut glwe, mut lwe, ..) = key.into_raw_parts();
            glwe.as_mut().zeroize();
            lwe.as_mut().zeroize();
        }
        AtomicPatternClientKey::KeySwitch32(key) => {
            let (mut glwe, mut lwe, _) = key.into_raw_parts();
            glwe.as_mut().zeroize();
            lwe.as_mut().zeroize();
        }
    }
    if let Some((key, _)) = compact {
        key.into_raw_parts().into_raw_parts().0.as_mut().zeroize();
    }
    if let Some(key) = compression {
        key.into_raw_parts().post_packing_ks_key.as_mut().zeroize();
    }
    if let Some(key) = squashing {
        key.into_raw_parts().into_raw_parts().0.as_mut().zeroize();
    }
    let oprf = oprf.map(tfhe::integer::oprf::OprfPrivateKey::into_raw_parts);
    oprf.into_iter().chain(transciphering.map(|key| key.into_raw_parts().0)).for_each(wipe_oprf);
}

fn wipe_oprf(key: OprfPrivateKey) {
    match key.into_raw_parts() {
        AtomicPatternOprfPrivateKey::Standard(mut key) => key.as_mut().zeroize(),
        AtomicPatternOprfPrivateKey::KeySwitch32(mut key) => key.as_mut().zeroize(),
    }
}

impl Drop for ClientKey {
    fn drop(&mut self) {
        if let Some(key) = mem::take(&mut self.key) {
            wipe(*key);
        }
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientKey({}, secret)", self.scheme())
    }
}
