//! Encrypted random values: the oblivious pseudo-random function of the `tfhe` crate.

use std::fmt;

use rayon::prelude::*;
use tfhe::integer::{BooleanBlock, RadixCiphertext, SignedRadixCiphertext};
use tfhe::shortint::{Ciphertext, ServerKey};

use super::EvaluationKey;
use crate::ciphertext::Column;
use crate::error::{Error, Result};
use crate::params::{ParameterSet, Scheme};
use crate::types::{Clear, Type};

/// Makes encrypted values that whoever makes them does not know, from a seed.
///
/// A block is a bootstrap of a ciphertext whose mask comes from the seed: its value is a pseudo-random function of the
/// secret key and the seed. Who knows the secret key can make the same values again; who sees a seed used twice sees the
/// same ciphertexts. Everything is the `tfhe` crate's, and so runs on the processor. It holds the bootstrapping key in
/// the Fourier domain, about 100 MB.
pub struct RandomSource {
    params: ParameterSet,
    server: ServerKey,
}

impl EvaluationKey {
    /// The source of encrypted random values under this key, by its bootstrapping key.
    ///
    /// A key of the `tfhe` crate may have another bootstrapping key for this purpose, which
    /// [`from_tfhe`](Self::from_tfhe) drops; with it the `tfhe` crate makes other values of the same seed.
    ///
    /// ```
    /// use fhe_core::{ClientKey, Error, ParameterSet};
    /// let simulated = ClientKey::simulated(ParameterSet::default()).evaluation_key()?;
    /// assert!(matches!(simulated.random_source(), Err(Error::Unavailable { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Unavailable`] in a simulation, which has no key that values could depend on.
    pub fn random_source(&self) -> Result<RandomSource> {
        let key = self.to_tfhe().ok_or_else(|| Error::Unavailable {
            what: "a source of encrypted random values".to_owned(),
            reason: "the key is simulated".to_owned(),
        })?;
        let server = key.into_raw_parts().0.into_raw_parts().decompress();
        Ok(RandomSource { params: self.parameters(), server })
    }
}

impl RandomSource {
    /// A column of `rows` values, each uniform in the full range of its type, by one bootstrap per block; in parallel on
    /// the current rayon pool.
    ///
    /// Row i is what `generate_oblivious_pseudo_random` of the `tfhe` crate's type gives for the seed followed by i in
    /// eight bytes, the least significant first. So values do not depend on the number of rows. Values of different
    /// types are unrelated.
    ///
    /// ```
    /// use fhe_core::{ClientKey, ParameterSet};
    /// let client = ClientKey::generate(ParameterSet::default())?;
    /// let random = client.evaluation_key()?.random_source()?;
    /// let (dice, again) = (random.column::<u8>(2, b"a seed")?, random.column::<u8>(2, b"a seed")?);
    /// assert_eq!(client.decrypt::<u8>(&dice)?, client.decrypt::<u8>(&again)?);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Column::from_tfhe`], which the ciphertexts are converted by.
    pub fn column<T: Clear>(&self, rows: usize, seed: &[u8]) -> Result<Column> {
        let (ty, params) = (T::TYPE, self.params);
        if rows == 0 {
            return Column::empty(ty, Scheme::Encrypted(params));
        }
        let values = (0..rows as u64).into_par_iter().map(|row| self.value(ty, row, seed)).collect::<Vec<_>>();
        match ty {
            Type::Bool => Column::from_tfhe(values.into_iter().flatten().map(BooleanBlock::new_unchecked), params),
            Type::Uint(_) => Column::from_tfhe(values.into_iter().map(RadixCiphertext::from), params),
            Type::Int(_) => Column::from_tfhe(values.into_iter().map(SignedRadixCiphertext::from), params),
        }
    }

    /// The blocks of one row.
    fn value(&self, ty: Type, row: u64, seed: &[u8]) -> Vec<Ciphertext> {
        let seed = [seed, &row.to_le_bytes()].concat();
        let bits = [u64::from(ty.bits())];
        let key = self.server.as_oprf_key_view();
        key.generate_oblivious_pseudo_random_bits_chunks(seed, &bits, &self.server).into_iter().flatten().collect()
    }
}

impl fmt::Debug for RandomSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RandomSource({})", self.params)
    }
}

#[cfg(test)]
mod tests {
    use tfhe::prelude::FheDecrypt;
    use tfhe::{FheBool, FheInt16, FheUint8};

    use super::*;
    use crate::keys::ClientKey;
    use crate::keys::fixture::{CLIENT, EVALUATION, SERVER, tfhe_client};

    /// The seed of row `row` in the `tfhe` crate.
    fn row_seed(seed: &[u8], row: u64) -> Vec<u8> {
        [seed, &row.to_le_bytes()].concat()
    }

    #[test]
    fn random_values_are_those_of_the_tfhe_crate() {
        let source = EVALUATION.random_source().unwrap();
        tfhe::set_server_key(SERVER.clone());
        let column = source.column::<u8>(3, b"seed").unwrap();
        column.expect_clean("random").unwrap();
        let theirs: Vec<FheUint8> =
            (0..3).map(|row| FheUint8::generate_oblivious_pseudo_random(row_seed(b"seed", row))).collect();
        let values: Vec<u8> = theirs.iter().map(|value| value.decrypt(tfhe_client())).collect();
        assert_eq!(CLIENT.decrypt::<u8>(&column).unwrap(), values);
        assert_eq!(Column::from_tfhe(theirs, CLIENT.parameters()).unwrap(), column);

        let theirs: i16 = FheInt16::generate_oblivious_pseudo_random(row_seed(b"", 0)).decrypt(tfhe_client());
        assert_eq!(CLIENT.decrypt::<i16>(&source.column::<i16>(1, b"").unwrap()).unwrap(), [theirs]);
        let theirs = [0, 1].map(|row| FheBool::generate_oblivious_pseudo_random(row_seed(b"x", row)));
        let column = source.column::<bool>(2, b"x").unwrap();
        column.expect_clean("random").unwrap();
        assert_eq!(CLIENT.decrypt::<bool>(&column).unwrap(), theirs.map(|value| value.decrypt(tfhe_client())));
    }

    #[test]
    fn random_values_depend_on_the_seed_and_on_nothing_else() {
        let source = EVALUATION.random_source().unwrap();
        let first = source.column::<u64>(2, &[1]).unwrap();
        let values = CLIENT.decrypt::<u64>(&first).unwrap();
        assert_ne!(values[0], values[1]);
        let again = EVALUATION.random_source().unwrap().column::<u64>(1, &[1]).unwrap();
        assert_eq!(again, first.slice(0..1).unwrap());
        assert_ne!(CLIENT.decrypt::<u64>(&source.column::<u64>(1, &[2]).unwrap()).unwrap()[0], values[0]);
        assert_eq!(source.column::<u8>(0, &[1]).unwrap().rows(), 0);
    }

    #[test]
    fn a_simulated_key_has_no_random_values() {
        let key = ClientKey::simulated(ParameterSet::default()).evaluation_key().unwrap();
        assert!(matches!(key.random_source(), Err(Error::Unavailable { .. })));
    }
}
