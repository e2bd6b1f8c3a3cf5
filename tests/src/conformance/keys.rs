//! Keys of the suite, made once per process, with encryption and decryption of single blocks.

use std::sync::LazyLock;

use fhe_core::keys::{ClientKey, EvaluationKey};
use fhe_core::torus::encode;
use fhe_core::{ParameterSet, Scheme};
use tfhe::core_crypto::prelude::{
    CiphertextModulus, DefaultRandomGenerator, DynamicDistribution, EncryptionRandomGenerator, LweSecretKeyOwned,
    Plaintext, allocate_and_encrypt_new_lwe_ciphertext, new_seeder,
};
use tfhe::shortint::client_key::atomic_pattern::AtomicPatternClientKey;

/// What the blocks of a backend are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Plain torus words.
    Simulated,
    /// LWE ciphertexts.
    Encrypted,
}

impl Kind {
    /// Keys of the default parameter set.
    #[must_use]
    pub fn keys(self) -> &'static Keys {
        static SIMULATED: LazyLock<Keys> = LazyLock::new(|| Keys::simulated(first()));
        static ENCRYPTED: LazyLock<Keys> = LazyLock::new(|| Keys::encrypted(first()));
        match self {
            Self::Simulated => &SIMULATED,
            Self::Encrypted => &ENCRYPTED,
        }
    }

    /// Keys of the other supported parameter set.
    #[must_use]
    pub fn other_keys(self) -> &'static Keys {
        static SIMULATED: LazyLock<Keys> = LazyLock::new(|| Keys::simulated(second()));
        static ENCRYPTED: LazyLock<Keys> = LazyLock::new(|| Keys::encrypted(second()));
        match self {
            Self::Simulated => &SIMULATED,
            Self::Encrypted => &ENCRYPTED,
        }
    }

    /// The other kind.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Simulated => Self::Encrypted,
            Self::Encrypted => Self::Simulated,
        }
    }
}

fn first() -> ParameterSet {
    ParameterSet::default()
}

fn second() -> ParameterSet {
    let name = ParameterSet::supported().nth(1).expect("there are two supported sets");
    ParameterSet::by_name(name).expect("supported")
}

/// A key pair that encrypts any torus word, not only what a typed value may hold.
#[derive(Debug)]
pub struct Keys {
    evaluation: EvaluationKey,
    secret: Option<Secret>,
}

#[derive(Debug)]
struct Secret {
    big: LweSecretKeyOwned<u64>,
    small: Vec<u64>,
    noise: DynamicDistribution<u64>,
}

impl Keys {
    fn simulated(params: ParameterSet) -> Self {
        let client = ClientKey::simulated(params);
        Self { evaluation: client.evaluation_key().expect("evaluation key"), secret: None }
    }

    fn encrypted(params: ParameterSet) -> Self {
        let client = ClientKey::generate(params).expect("client key");
        let tfhe = client.to_tfhe().expect("a client key that is not simulated").clone();
        let shortint = tfhe.into_raw_parts().0.into_raw_parts();
        let (big, noise) = shortint.encryption_key_and_noise();
        let AtomicPatternClientKey::Standard(standard) = &shortint.atomic_pattern else {
            unreachable!("supported sets have the standard pattern")
        };
        let secret = Secret {
            big: LweSecretKeyOwned::from_container(big.into_container().to_vec()),
            small: standard.small_lwe_secret_key().into_container().to_vec(),
            noise,
        };
        Self { evaluation: client.evaluation_key().expect("evaluation key"), secret: Some(secret) }
    }

    /// The evaluation key.
    #[must_use]
    pub fn evaluation(&self) -> &EvaluationKey {
        &self.evaluation
    }

    /// What blocks under these keys are.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.evaluation.scheme()
    }

    /// Encrypts integers modulo 32, one block each.
    #[must_use]
    pub fn encrypt(&self, values: &[i64]) -> Vec<u64> {
        let Some(secret) = &self.secret else {
            return self.trivial(values);
        };
        let mut seeder = new_seeder();
        let mut generator = EncryptionRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed(), seeder.as_mut());
        let mut block = |&value: &i64| {
            let modulus = CiphertextModulus::new_native();
            let phase = Plaintext(encode(value));
            allocate_and_encrypt_new_lwe_ciphertext(&secret.big, phase, secret.noise, modulus, &mut generator)
                .into_container()
        };
        values.iter().flat_map(&mut block).collect()
    }

    /// The bits of the big key, which ciphertexts at rest are under; none in a simulation.
    #[must_use]
    pub fn big_key(&self) -> &[u64] {
        self.secret.as_ref().map_or(&[], |secret| secret.big.as_ref())
    }

    /// The bits of the small key, which keyswitched ciphertexts are under; none in a simulation.
    #[must_use]
    pub fn small_key(&self) -> &[u64] {
        self.secret.as_ref().map_or(&[], |secret| &secret.small)
    }

    /// Blocks with an empty mask and no noise.
    #[must_use]
    pub fn trivial(&self, values: &[i64]) -> Vec<u64> {
        let mask = self.scheme().ciphertext_words() - 1;
        values.iter().flat_map(|&value| std::iter::repeat_n(0, mask).chain([encode(value)])).collect()
    }

    /// The phase b - <a, s> of every block.
    #[must_use]
    pub fn phases(&self, words: &[u64]) -> Vec<u64> {
        let key = self.big_key();
        words.chunks_exact(key.len() + 1).map(|block| phase(key, block)).collect()
    }

    /// The phase modulo 2N of every switched block.
    #[must_use]
    pub fn switched_phases(&self, words: &[u16]) -> Vec<u64> {
        let key = self.small_key();
        let modulus = 2 * self.scheme().parameters().polynomial_size() as u64;
        let widened = words.iter().map(|&word| u64::from(word)).collect::<Vec<_>>();
        widened.chunks_exact(key.len() + 1).map(|block| phase(key, block) % modulus).collect()
    }
}

/// Modulo 2^64, and so modulo every power of two.
pub(crate) fn phase(key: &[u64], block: &[u64]) -> u64 {
    let (body, mask) = block.split_last().expect("a block has a body");
    mask.iter().zip(key).fold(*body, |phase, (a, s)| phase.wrapping_sub(a.wrapping_mul(*s)))
}
