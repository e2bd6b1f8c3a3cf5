//! The evaluation key: what a server needs to compute, and nothing that decrypts.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

use tfhe::CompressedServerKey;
use tfhe::conformance::ParameterSetConformant;
use tfhe::shortint::AtomicPatternParameters;
use tfhe::shortint::atomic_pattern::compressed::CompressedAtomicPatternServerKey;
use tfhe::shortint::atomic_pattern::expanded::ExpandedAtomicPatternServerKey;
use tfhe::shortint::server_key::ShortintCompressedBootstrappingKey;
use tfhe::shortint::server_key::expanded::ShortintExpandedBootstrappingKey;

use super::KeyHeader;
use crate::error::{Error, Result};
use crate::file::{self, Kind};
use crate::params::{self, ParameterSet, Scheme};

/// Longest key that [`EvaluationKey::read_tfhe`] reads: a key of the `tfhe` crate may carry further keys, for
/// compression and noise squashing, that are several times larger than what evaluation needs.
const MAX_TFHE_BYTES: u64 = 1 << 32;

/// The public key material that evaluates programs: keyswitching key and bootstrapping key.
///
/// It is kept as the `tfhe` crate's `CompressedServerKey`, in which uniformly random masks are replaced by a seed:
/// 30 MB instead of the 120 MB of [`StandardKeys`]. Keys for other purposes (compression, noise squashing,
/// re-randomisation, pseudo-random generation, compact public keys) are dropped on the way in. Clones share the key.
///
/// ```
/// use fhe_core::{ClientKey, EvaluationKey, ParameterSet};
///
/// let key = ClientKey::simulated(ParameterSet::default()).evaluation_key()?;
/// let mut file = Vec::new();
/// key.write(&mut file)?;
/// assert_eq!(EvaluationKey::read(&file[..])?.scheme(), key.scheme());
/// # Ok::<(), fhe_core::Error>(())
/// ```
#[derive(Clone)]
pub struct EvaluationKey {
    params: ParameterSet,
    /// `None` in a simulation.
    key: Option<Arc<CompressedServerKey>>,
}

/// An evaluation key in the standard domain, 64-bit torus words, with every mask expanded.
///
/// Letters: n small LWE dimension, k GLWE dimension, N polynomial size, B = 2^β the base and L the number of levels of
/// the respective decomposition, s the small and S the big secret key. Levels are stored from L, the least significant,
/// to 1. Layout of `LweKeyswitchKey` and `LweBootstrapKey` in the `tfhe` crate's `core_crypto::entities`.
pub struct StandardKeys {
    /// `[kN inputs][L levels][n mask words, body]`: row (i, l) is an LWE encryption of `S_i·2^64/B^l` under s.
    pub keyswitching_key: Vec<u64>,
    /// `[n inputs][L levels][k + 1 rows][k + 1 polynomials][N coefficients]`: one GGSW ciphertext of each `s_i` under
    /// S. Row r < k of level l is a GLWE encryption of `-s_i·S_r·2^64/B^l`, row k one of `s_i·2^64/B^l`; the last
    /// polynomial of a row is its body.
    pub bootstrapping_key: Vec<u64>,
}

impl fmt::Debug for StandardKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandardKeys")
            .field("keyswitching_key_words", &self.keyswitching_key.len())
            .field("bootstrapping_key_words", &self.bootstrapping_key.len())
            .finish()
    }
}

impl EvaluationKey {
    /// Takes what evaluation needs out of a key of the `tfhe` crate.
    ///
    /// The parameter set is recognised by the key's own dimensions, moduli, decompositions, modulus switch and noise
    /// bound, so a key that lies about one of them is refused as well.
    ///
    /// # Errors
    /// [`Error::UnsupportedParameters`], naming what the key is and which sets are supported; [`Error::Malformed`] for
    /// a seed that cannot be expanded.
    pub fn from_tfhe(key: CompressedServerKey) -> Result<Self> {
        let (integer_key, .., tag) = key.into_raw_parts();
        let matches =
            |params: &ParameterSet| integer_key.is_conformant(&AtomicPatternParameters::from(params.to_tfhe()));
        let known = ParameterSet::supported().filter_map(|name| ParameterSet::by_name(name).ok()).find(matches);
        let Some(params) = known else {
            let key = integer_key.into_raw_parts();
            let moduli = format!("message {}, carry {}", key.message_modulus.0, key.carry_modulus.0);
            return Err(params::unsupported(format!("{}, {moduli}", describe(&key.compressed_ap_server_key))));
        };
        let key = integer_key.into_raw_parts();
        if !seeds_are_sound(&key.compressed_ap_server_key) {
            return Err(Error::malformed(Kind::EvaluationKey.name(), "it has an invalid seed"));
        }
        let integer_key = tfhe::integer::CompressedServerKey::from_raw_parts(key);
        let key = CompressedServerKey::from_raw_parts(integer_key, None, None, None, None, None, None, None, None, tag);
        Ok(Self { params, key: Some(Arc::new(key)) })
    }

    /// The key as the `tfhe` crate's own, a copy of 30 MB; `None` in a simulation.
    ///
    /// It evaluates whatever the `tfhe` crate can evaluate without the keys that [`from_tfhe`](Self::from_tfhe) drops.
    #[must_use]
    pub fn to_tfhe(&self) -> Option<CompressedServerKey> {
        self.key.as_deref().cloned()
    }

    /// The key of a simulation, which holds nothing.
    #[must_use]
    pub fn simulated(params: ParameterSet) -> Self {
        Self { params, key: None }
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

    /// Expands the seeds and returns both keys in the standard domain, 120 MB. In parallel on the current rayon pool.
    ///
    /// # Errors
    /// [`Error::Unavailable`] in a simulation, which has no such keys.
    pub fn expand(&self) -> Result<StandardKeys> {
        let unavailable = |reason: &str| Error::Unavailable {
            what: "the expanded evaluation key".to_owned(),
            reason: reason.to_owned(),
        };
        let key = self.to_tfhe().ok_or_else(|| unavailable("the key is simulated"))?;
        let key = key.into_raw_parts().0.into_raw_parts().compressed_ap_server_key;
        // Other patterns and multi-bit keys are refused by `from_tfhe`.
        let ExpandedAtomicPatternServerKey::Standard(key) = key.expand() else {
            return Err(unavailable("it has no standard atomic pattern"));
        };
        let ShortintExpandedBootstrappingKey::Classic { bsk, .. } = key.bootstrapping_key else {
            return Err(unavailable("its bootstrapping key is multi-bit"));
        };
        Ok(StandardKeys {
            keyswitching_key: key.key_switching_key.into_container(),
            bootstrapping_key: bsk.into_container(),
        })
    }

    /// Writes the key to a file: version, kind, parameters, the key, and a digest that finds damage.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, writer: impl Write) -> Result<()> {
        let header = KeyHeader { scheme: self.scheme().into() };
        let mut body = Vec::new();
        if let Some(key) = self.key.as_deref() {
            file::write_tfhe(&mut body, key).map_err(Error::io("write an evaluation key"))?;
        }
        file::write(writer, Kind::EvaluationKey, &header, body.len() as u64, |out| out.write_all(&body))
    }

    /// Reads what [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// [`Error::Malformed`] for bytes that are truncated, damaged or something else, [`Error::UnsupportedParameters`],
    /// [`Error::Io`].
    pub fn read(reader: impl Read) -> Result<Self> {
        file::read(reader, Kind::EvaluationKey, |header: KeyHeader, body| {
            let params = match header.scheme.try_into()? {
                Scheme::Simulated(params) => return Ok(Self::simulated(params)),
                Scheme::Encrypted(params) => params,
            };
            let mut bytes = Vec::new();
            file::read_all(body, MAX_TFHE_BYTES, Kind::EvaluationKey, &mut bytes)?;
            let key = file::parse_tfhe(&bytes, Kind::EvaluationKey.name(), Self::from_tfhe)?;
            Scheme::Encrypted(params).expect("its header", key.scheme(), || "the evaluation key".to_owned())?;
            Ok(key)
        })
    }

    /// Writes the key in the `tfhe` crate's form, for its clients and servers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] in a simulation; [`Error::Io`].
    pub fn write_tfhe(&self, writer: impl Write) -> Result<()> {
        let key = self.key.as_deref().ok_or_else(|| Error::Unavailable {
            what: "the tfhe crate's form of the evaluation key".to_owned(),
            reason: "the key is simulated".to_owned(),
        })?;
        file::write_tfhe(writer, key).map_err(Error::io("write an evaluation key"))
    }

    /// Reads a `CompressedServerKey` that any client of the `tfhe` crate has safely serialised, and nothing after it.
    ///
    /// There is no digest in this form: a damaged key whose shape is right is accepted and computes nonsense.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::UnsupportedParameters`], [`Error::Io`].
    pub fn read_tfhe(reader: impl Read) -> Result<Self> {
        let mut bytes = Vec::new();
        file::read_all(reader, MAX_TFHE_BYTES, Kind::EvaluationKey, &mut bytes)?;
        file::parse_tfhe(&bytes, Kind::EvaluationKey.name(), Self::from_tfhe)
    }
}

fn seeds_are_sound(key: &CompressedAtomicPatternServerKey) -> bool {
    let CompressedAtomicPatternServerKey::Standard(key) = key else { return false };
    let ShortintCompressedBootstrappingKey::Classic { bsk, .. } = key.bootstrapping_key() else { return false };
    file::seed_is_sound(&key.key_switching_key().compression_seed()) && file::seed_is_sound(&bsk.compression_seed())
}

/// What an unsupported key is, from fields only: the `tfhe` crate's derived dimensions divide by what may be zero.
fn describe(key: &CompressedAtomicPatternServerKey) -> String {
    let key = match key {
        CompressedAtomicPatternServerKey::Standard(key) => key,
        CompressedAtomicPatternServerKey::KeySwitch32(_) => return "32-bit keyswitch".to_owned(),
    };
    let ksk = key.key_switching_key();
    let (pattern, glwe_size, polynomial_size, base_log, levels) = match key.bootstrapping_key() {
        ShortintCompressedBootstrappingKey::Classic { bsk, .. } => (
            "classical".to_owned(),
            bsk.glwe_size(),
            bsk.polynomial_size(),
            bsk.decomposition_base_log(),
            bsk.decomposition_level_count(),
        ),
        ShortintCompressedBootstrappingKey::MultiBit { seeded_bsk: bsk, .. } => (
            format!("multi-bit, group {}", bsk.grouping_factor().0),
            bsk.glwe_size(),
            bsk.polynomial_size(),
            bsk.decomposition_base_log(),
            bsk.decomposition_level_count(),
        ),
    };
    format!(
        "{pattern}, n {}, k {}, N {}, base 2^{} level {}, keyswitch base 2^{} level {}",
        ksk.output_lwe_size().0.saturating_sub(1),
        glwe_size.0.saturating_sub(1),
        polynomial_size.0,
        base_log.0,
        levels.0,
        ksk.decomposition_base_log().0,
        ksk.decomposition_level_count().0,
    )
}

impl fmt::Debug for EvaluationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EvaluationKey({})", self.scheme())
    }
}
