//! Parameter sets: literals of the `tfhe` crate, checked once, then trusted everywhere.

use std::fmt;

use tfhe::shortint::parameters::{
    PARAM_MESSAGE_2_CARRY_2_KS_PBS_GAUSSIAN_2M128, PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128,
};
use tfhe::shortint::{AtomicPatternParameters, ClassicPBSParameters, PBSParameters};

use crate::error::{Error, Result};

/// The sets that every backend evaluates: both have 2 message and 2 carry bits, k = 1, N = 2048, one bootstrap
/// level of base 2^23, centered-mean modulus switch and a failure probability under 2^-128 per bootstrap.
const SUPPORTED: [(&str, ClassicPBSParameters); 2] = [
    ("PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128", PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128),
    ("PARAM_MESSAGE_2_CARRY_2_KS_PBS_GAUSSIAN_2M128", PARAM_MESSAGE_2_CARRY_2_KS_PBS_GAUSSIAN_2M128),
];

/// A checked parameter set: one of the `tfhe` crate's own, that all backends evaluate.
///
/// The numbers are never changed here; a set is recognised by its values, so keys made by any version of the `tfhe`
/// crate that used the same numbers are accepted.
///
/// ```
/// use fhe_core::ParameterSet;
/// let params = ParameterSet::default();
/// assert_eq!((params.lwe_dimension(), params.polynomial_size()), (918, 2048));
/// assert!(ParameterSet::by_name("PARAM_MESSAGE_1_CARRY_1").is_err());
/// ```
#[derive(Clone, Copy)]
pub struct ParameterSet {
    name: &'static str,
    literal: ClassicPBSParameters,
}

impl ParameterSet {
    /// The names of the supported sets, the default first.
    pub fn supported() -> impl Iterator<Item = &'static str> {
        SUPPORTED.iter().map(|(name, _)| *name)
    }

    /// The supported set of that name, without the version prefix of the `tfhe` crate.
    ///
    /// # Errors
    /// [`Error::UnsupportedParameters`], listing the supported names.
    pub fn by_name(name: &str) -> Result<Self> {
        let known = SUPPORTED.iter().find(|(known, _)| *known == name);
        known.map(|&(name, literal)| Self { name, literal }).ok_or_else(|| unsupported(name.to_owned()))
    }

    /// Recognises a parameter set of the `tfhe` crate.
    ///
    /// # Errors
    /// [`Error::UnsupportedParameters`] for multi-bit sets, other message sizes, other dimensions.
    pub fn from_tfhe(params: impl Into<AtomicPatternParameters>) -> Result<Self> {
        match params.into() {
            AtomicPatternParameters::Standard(PBSParameters::PBS(literal)) => {
                let known = SUPPORTED.iter().find(|(_, known)| known == &literal);
                known.map(|&(name, literal)| Self { name, literal }).ok_or_else(|| {
                    unsupported(format!(
                        "classical, message {}, carry {}, n {}, k {}, N {}, base 2^{} level {}",
                        literal.message_modulus.0,
                        literal.carry_modulus.0,
                        literal.lwe_dimension.0,
                        literal.glwe_dimension.0,
                        literal.polynomial_size.0,
                        literal.pbs_base_log.0,
                        literal.pbs_level.0,
                    ))
                })
            }
            AtomicPatternParameters::Standard(PBSParameters::MultiBitPBS(multi_bit)) => Err(unsupported(format!(
                "multi-bit, group {}, message {}",
                multi_bit.grouping_factor.0, multi_bit.message_modulus.0
            ))),
            AtomicPatternParameters::KeySwitch32(_) => Err(unsupported("32-bit keyswitch".to_owned())),
        }
    }

    /// The same set as the `tfhe` crate's own type.
    #[must_use]
    pub fn to_tfhe(&self) -> ClassicPBSParameters {
        self.literal
    }

    /// Name in the `tfhe` crate, without its version prefix.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Small LWE dimension n.
    #[must_use]
    pub fn lwe_dimension(&self) -> usize {
        self.literal.lwe_dimension.0
    }

    /// GLWE dimension k, always 1 in the supported sets.
    #[must_use]
    pub fn glwe_dimension(&self) -> usize {
        self.literal.glwe_dimension.0
    }

    /// Polynomial size N.
    #[must_use]
    pub fn polynomial_size(&self) -> usize {
        self.literal.polynomial_size.0
    }

    /// Dimension kN of the key that ciphertexts at rest are under.
    #[must_use]
    pub fn big_lwe_dimension(&self) -> usize {
        self.glwe_dimension() * self.polynomial_size()
    }

    /// 64-bit words of one ciphertext at rest: kN mask words and the body.
    #[must_use]
    pub fn ciphertext_words(&self) -> usize {
        self.big_lwe_dimension() + 1
    }

    /// log2 of the bootstrap's decomposition base.
    #[must_use]
    pub fn pbs_base_log(&self) -> usize {
        self.literal.pbs_base_log.0
    }

    /// Levels of the bootstrap's decomposition, always 1 in the supported sets.
    #[must_use]
    pub fn pbs_level_count(&self) -> usize {
        self.literal.pbs_level.0
    }

    /// log2 of the keyswitch's decomposition base.
    #[must_use]
    pub fn ks_base_log(&self) -> usize {
        self.literal.ks_base_log.0
    }

    /// Levels of the keyswitch's decomposition.
    #[must_use]
    pub fn ks_level_count(&self) -> usize {
        self.literal.ks_level.0
    }

    /// Largest l2 norm that a linear form in front of a bootstrap may have, in standard deviations of one bootstrap
    /// output; at this norm the failure probability is [`Self::log2_p_fail`].
    #[must_use]
    pub fn max_norm(&self) -> f64 {
        self.literal.max_noise_level.get() as f64
    }

    /// log2 of the failure probability of one bootstrap at [`Self::max_norm`].
    #[must_use]
    pub fn log2_p_fail(&self) -> f64 {
        self.literal.log2_p_fail
    }
}

/// The error that lists the supported sets beside `found`.
pub(crate) fn unsupported(found: String) -> Error {
    Error::UnsupportedParameters { found, supported: ParameterSet::supported().collect::<Vec<_>>().join(", ") }
}

impl Default for ParameterSet {
    /// `PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128`.
    fn default() -> Self {
        let (name, literal) = SUPPORTED[0];
        Self { name, literal }
    }
}

impl PartialEq for ParameterSet {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ParameterSet {}

impl fmt::Display for ParameterSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for ParameterSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What the words of a ciphertext are: TFHE ciphertexts, or the plain values of a simulation.
///
/// Keys, columns and buffers carry their scheme, so that the two never meet unnoticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// LWE ciphertexts under the big key of that parameter set.
    Encrypted(ParameterSet),
    /// One torus word per block, without any cryptography, with the tables and noise model of that parameter set.
    Simulated(ParameterSet),
}

impl Scheme {
    /// The parameter set.
    #[must_use]
    pub fn parameters(&self) -> ParameterSet {
        match *self {
            Self::Encrypted(params) | Self::Simulated(params) => params,
        }
    }

    /// 64-bit words of one block: kN + 1 encrypted (mask, then body), 1 simulated (body).
    #[must_use]
    pub fn ciphertext_words(&self) -> usize {
        match self {
            Self::Encrypted(params) => params.ciphertext_words(),
            Self::Simulated(_) => 1,
        }
    }

    /// Refuses `found` unless it is this scheme.
    ///
    /// # Errors
    /// [`Error::ParameterMismatch`] naming both.
    pub fn expect(&self, expected_by: &'static str, found: Self, what: impl FnOnce() -> String) -> Result<()> {
        if *self == found {
            return Ok(());
        }
        Err(Error::ParameterMismatch {
            what: what(),
            found: found.to_string(),
            expected_by,
            expected: self.to_string(),
        })
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encrypted(params) => write!(f, "{params}"),
            Self::Simulated(params) => write!(f, "{params} (simulated)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use tfhe::shortint::parameters::PARAM_GPU_MULTI_BIT_GROUP_4_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128;
    use tfhe::shortint::parameters::v1_4::V1_4_PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128;
    use tfhe::shortint::parameters::v1_8::V1_8_PARAM_MESSAGE_1_CARRY_1_KS_PBS_TUNIFORM_2M128;

    use super::*;

    #[test]
    fn the_same_numbers_of_an_older_version_are_recognised() {
        let params = ParameterSet::from_tfhe(V1_4_PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128);
        assert_eq!(params.unwrap(), ParameterSet::default());
    }

    #[test]
    fn unsupported_sets_are_named_beside_the_supported_ones() {
        let classical = ParameterSet::from_tfhe(V1_8_PARAM_MESSAGE_1_CARRY_1_KS_PBS_TUNIFORM_2M128).unwrap_err();
        assert!(classical.to_string().contains("message 2, carry 2,"), "{classical}");
        assert!(classical.to_string().contains("PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128"));
        let multi_bit =
            ParameterSet::from_tfhe(PARAM_GPU_MULTI_BIT_GROUP_4_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128).unwrap_err();
        assert!(multi_bit.to_string().contains("multi-bit, group 4"), "{multi_bit}");
    }

    #[test]
    fn every_supported_set_has_the_shape_the_kernels_are_built_for() {
        for name in ParameterSet::supported() {
            let params = ParameterSet::by_name(name).unwrap();
            assert_eq!((params.glwe_dimension(), params.polynomial_size(), params.pbs_level_count()), (1, 2048, 1));
            assert!(params.log2_p_fail() <= -128.0);
        }
    }
}
