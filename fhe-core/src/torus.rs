//! The torus modulo 2^64 and how small integers are placed on it.
//!
//! A block holds an integer m in units of [`DELTA`] = 2^59: bit 63 is the padding bit, carry and message fill bits 62
//! to 59. A lookup table has [`BOXES`] = 16 entries; the padding bit turns a table negacyclic, f(x + 16) = -f(x).

/// Torus value of the integer 1: 2^59.
pub const DELTA: u64 = 1 << DELTA_LOG;

/// log2 of [`DELTA`].
pub const DELTA_LOG: u32 = 59;

/// Entries of a lookup table: message times carry modulus.
pub const BOXES: usize = 16;

/// Places `value` on the torus, modulo 32 units of [`DELTA`].
#[must_use]
pub fn encode(value: i64) -> u64 {
    (value as u64) << DELTA_LOG
}

/// The integer in `0..32` whose place on the torus is nearest to `phase`.
#[must_use]
pub fn decode(phase: u64) -> i64 {
    (phase.wrapping_add(DELTA / 2) >> DELTA_LOG) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_inverts_encoding_and_absorbs_noise() {
        for value in 0..32 {
            assert_eq!(decode(encode(value)), value);
            assert_eq!(decode(encode(value).wrapping_add(DELTA / 2 - 1)), value);
            assert_eq!(decode(encode(value).wrapping_sub(DELTA / 2)), value);
        }
        assert_eq!(encode(-1), encode(31));
    }
}
