//! Clear values as bits, of any width up to 256.

use std::fmt;

use ruint::aliases::U256;
use serde::{Deserialize, Serialize};

use crate::types::MESSAGE_BITS;

/// Number of bits that [`Bits`] holds, and the largest width of a type.
pub const MAX_BITS: u32 = 256;

/// The bits of one clear value: what programs hold as constants, whatever their type.
///
/// Signed values are in two's complement, cut to the width of their type; bits above the width are zero. Ordered as
/// unsigned numbers.
///
/// ```
/// use fhe_core::Bits;
/// assert_eq!(Bits::from(0x1_23u16).truncate(8), Bits::from(0x23u8));
/// assert_eq!(u64::try_from(Bits::from(7u8)), Ok(7));
/// assert!(u64::try_from(Bits::from(u128::MAX)).is_err());
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bits(pub(super) U256);

impl Bits {
    /// No bit set.
    pub const ZERO: Self = Self(U256::ZERO);

    /// All 256 bits set.
    pub const MAX: Self = Self(U256::MAX);

    /// The bits of these 64-bit limbs, least significant first.
    #[must_use]
    pub const fn from_limbs(limbs: [u64; 4]) -> Self {
        Self(U256::from_limbs(limbs))
    }

    /// The bits as 64-bit limbs, least significant first.
    #[must_use]
    pub const fn limbs(self) -> [u64; 4] {
        self.0.into_limbs()
    }

    /// The low `width` bits.
    #[must_use]
    pub fn truncate(self, width: u32) -> Self {
        if width >= MAX_BITS { self } else { Self(self.0 & ((U256::from(1) << width) - U256::from(1))) }
    }

    /// The bit at `index`, counted from the least significant one; false from 256 on.
    #[must_use]
    pub fn bit(self, index: u32) -> bool {
        self.0.bit(index as usize)
    }

    /// The two's complement of `width` bits continued to 256.
    #[must_use]
    pub fn sign_extend(self, width: u32) -> Self {
        let low = self.truncate(width);
        if width > 0 && width < MAX_BITS && low.bit(width - 1) { Self(low.0 | (U256::MAX << width)) } else { low }
    }

    /// The digit in base 4 at `index`, counted from the least significant one.
    pub(crate) fn digit(self, index: usize) -> i64 {
        let at = index * MESSAGE_BITS as usize;
        i64::from(self.0.bit(at)) + 2 * i64::from(self.0.bit(at + 1))
    }

    /// Σ `digits`\[k\]·4^k modulo 2^256, for digits that may be larger than 3 or negative.
    pub(crate) fn from_digits(digits: impl DoubleEndedIterator<Item = i64>) -> Self {
        Self(digits.rev().fold(U256::ZERO, |bits, digit| (bits << MESSAGE_BITS).wrapping_add(Self::from(digit).0)))
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(self, f)
    }
}

impl fmt::LowerHex for Bits {
    /// Always with the prefix `0x`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl From<bool> for Bits {
    fn from(value: bool) -> Self {
        Self(U256::from(u64::from(value)))
    }
}

macro_rules! unsigned {
    ($($int:ident),*) => {$(
        impl From<$int> for Bits {
            fn from(value: $int) -> Self {
                Self(U256::from(value))
            }
        }

        impl TryFrom<Bits> for $int {
            type Error = std::num::TryFromIntError;

            fn try_from(bits: Bits) -> Result<Self, Self::Error> {
                // Too large for 128 bits is too large for any of these.
                let wide = u128::try_from(bits.0).or_else(|_| u128::try_from(-1i128))?;
                Self::try_from(wide).map_err(Into::into)
            }
        }
    )*};
}

unsigned!(u8, u16, u32, u64, u128);

macro_rules! signed {
    ($($int:ident),*) => {$(
        impl From<$int> for Bits {
            /// In two's complement of 256 bits; the width of a type cuts it.
            fn from(value: $int) -> Self {
                Self(U256::from(i128::from(value) as u128)).sign_extend(128)
            }
        }
    )*};
}

signed!(i8, i16, i32, i64, i128);

impl Serialize for Bits {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.limbs().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <[u64; 4]>::deserialize(deserializer).map(Self::from_limbs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_cut_and_extended() {
        let bits = Bits::from(0b1010_0110u8);
        assert_eq!(bits.truncate(4), Bits::from(0b0110u8));
        assert_eq!(bits.sign_extend(8).limbs(), [!0x59, u64::MAX, u64::MAX, u64::MAX]);
        assert_eq!(bits.sign_extend(10), bits);
        assert_eq!(Bits::MAX.truncate(256), Bits::MAX);
        assert_eq!(Bits::MAX.sign_extend(256), Bits::MAX);
        assert_eq!((bits.bit(1), bits.bit(3), bits.bit(300)), (true, false, false));
    }

    #[test]
    fn digits_add_up_with_carries_and_signs() {
        let bits = Bits::from_limbs([0x0123_4567_89ab_cdef, 3, 0, 1 << 63]);
        assert_eq!(Bits::from_digits((0..128).map(|k| bits.digit(k))), bits);
        assert_eq!(Bits::from_digits([5, -1].into_iter()), Bits::from(1u8));
        assert_eq!(Bits::from_digits([-1].into_iter()), Bits::MAX);
        assert_eq!((Bits::from(-1i8), Bits::from(i128::MIN).truncate(128)), (Bits::MAX, Bits::from(1u128 << 127)));
    }

    #[test]
    fn narrow_integers_come_out_if_they_fit() {
        assert_eq!(u8::try_from(Bits::from(255u64)), Ok(255));
        assert!(u8::try_from(Bits::from(256u64)).is_err());
        assert!(u128::try_from(Bits::MAX).is_err());
        assert_eq!(u128::try_from(Bits::from(u128::MAX)), Ok(u128::MAX));
    }
}
