//! The sizes that the kernels need, with GLWE dimension 1 and one level of the bootstrapping key.

/// Sizes of one parameter set, as far as the CPU kernels depend on them.
///
/// Fixed, and therefore absent: GLWE dimension k = 1, bootstrapping level count 1, binary secret
/// keys, ciphertext modulus 2^64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// n, the dimension of the small LWE key.
    pub lwe_dimension: usize,
    /// N, a power of two in 512..=4096.
    pub polynomial_size: usize,
    /// Base logarithm of the only level of the bootstrapping key, in 1..=31.
    pub pbs_base_log: u32,
    /// Base logarithm of the keyswitching key.
    pub ks_base_log: u32,
    /// Level count of the keyswitching key; `ks_base_log * ks_level_count` is in 1..=31.
    pub ks_level_count: u32,
}

impl Geometry {
    /// Whether the kernels support these sizes. Every constructor of a key asserts it.
    #[must_use]
    pub fn is_supported(&self) -> bool {
        let representable_bits = self.ks_base_log.saturating_mul(self.ks_level_count);
        self.lwe_dimension >= 1
            && self.polynomial_size.is_power_of_two()
            && (512..=4096).contains(&self.polynomial_size)
            && (1..=31).contains(&self.pbs_base_log)
            && (1..=15).contains(&self.ks_base_log)
            && (1..=31).contains(&representable_bits)
    }

    /// Words of an LWE ciphertext under the big key: N + 1.
    #[must_use]
    pub fn big_lwe_size(&self) -> usize {
        self.polynomial_size + 1
    }

    /// Words of an LWE ciphertext under the small key: n + 1.
    #[must_use]
    pub fn small_lwe_size(&self) -> usize {
        self.lwe_dimension + 1
    }

    /// log2 of 2N, the modulus of the exponents of blind rotation.
    #[must_use]
    pub fn log_exponent_modulus(&self) -> u32 {
        self.polynomial_size.trailing_zeros() + 1
    }
}
