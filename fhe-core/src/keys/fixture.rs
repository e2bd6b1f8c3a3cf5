//! Keys for the unit tests of this crate, generated once per test binary.

use std::sync::LazyLock;

use super::{ClientKey, EvaluationKey};
use crate::params::ParameterSet;

/// A client key of the default parameters.
pub(crate) static CLIENT: LazyLock<ClientKey> = LazyLock::new(|| ClientKey::generate(ParameterSet::default()).unwrap());

/// A client key of the other set: the same dimension of ciphertexts, other noise.
pub(crate) static GAUSSIAN: LazyLock<ClientKey> = LazyLock::new(|| {
    let params = ParameterSet::by_name("PARAM_MESSAGE_2_CARRY_2_KS_PBS_GAUSSIAN_2M128").unwrap();
    ClientKey::generate(params).unwrap()
});

/// The evaluation key of [`CLIENT`].
pub(crate) static EVALUATION: LazyLock<EvaluationKey> = LazyLock::new(|| CLIENT.evaluation_key().unwrap());

/// [`EVALUATION`] as the `tfhe` crate's server key.
pub(crate) static SERVER: LazyLock<tfhe::ServerKey> = LazyLock::new(|| EVALUATION.to_tfhe().unwrap().decompress());

/// The `tfhe` crate's form of [`CLIENT`].
pub(crate) fn tfhe_client() -> &'static tfhe::ClientKey {
    CLIENT.to_tfhe().unwrap()
}

/// A client key of the `tfhe` crate with 1 message and 1 carry bit.
pub(crate) static TFHE_1_1: LazyLock<tfhe::ClientKey> = LazyLock::new(|| {
    let params = tfhe::shortint::parameters::v1_8::V1_8_PARAM_MESSAGE_1_CARRY_1_KS_PBS_TUNIFORM_2M128;
    tfhe::ClientKey::generate(tfhe::ConfigBuilder::with_custom_parameters(params))
});
