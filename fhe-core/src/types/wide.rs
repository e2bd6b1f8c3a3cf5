//! Clear integers of any even width.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use ruint::aliases::U256 as Number;

use super::sealed::Sealed;
use crate::types::{Bits, Clear, ClearInteger, ClearUnsigned, MAX_BITS, Type};

/// A clear unsigned integer of `BITS` bits, any even number from 2 to 256: what `u8` to `u128` are for their widths.
///
/// Equal to the native types where both exist: `Uint<64>` and `u64` have the same encrypted type.
///
/// ```
/// use fhe_core::{Clear, U256, Uint};
/// let price: Uint<12> = "4095".parse()?;
/// assert_eq!(price, Uint::MAX);
/// assert!("4096".parse::<Uint<12>>().is_err());
/// assert_eq!(Uint::<12>::try_from(7u128)?.to_string(), "7");
/// assert_eq!(U256::MAX.to_bits().limbs(), [u64::MAX; 4]);
/// # Ok::<(), fhe_core::types::OutOfRange>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uint<const BITS: u32>(Bits);

/// A clear signed integer of `BITS` bits in two's complement, any even number from 2 to 256: what `i8` to `i128` are
/// for their widths.
///
/// ```
/// use fhe_core::Int;
/// let delta: Int<6> = "-32".parse()?;
/// assert_eq!(delta, Int::MIN);
/// assert!(Int::<6>::try_from(32i128).is_err());
/// assert_eq!(i128::try_from(delta)?, -32);
/// # Ok::<(), fhe_core::types::OutOfRange>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Int<const BITS: u32>(Bits);

/// A number that the type it is meant for cannot hold, or no number at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a number of {0}")]
pub struct OutOfRange(pub Type);

/// Refuses other widths when the program is compiled.
const fn checked(bits: u32) -> u32 {
    assert!(bits >= 2 && bits <= MAX_BITS && bits.is_multiple_of(2), "an encrypted integer has 2, 4, ... or 256 bits");
    bits
}

impl<const BITS: u32> Uint<BITS> {
    /// The smallest value, 0.
    pub const MIN: Self = Self(Bits::ZERO);

    /// The largest value, 2^BITS - 1.
    pub const MAX: Self = Self(ones(checked(BITS)));
}

impl<const BITS: u32> Int<BITS> {
    /// The smallest value, -2^(BITS - 1).
    pub const MIN: Self = Self(one_at(checked(BITS) - 1));

    /// The largest value, 2^(BITS - 1) - 1.
    pub const MAX: Self = Self(ones(checked(BITS) - 1));

    /// The absolute value and whether the value is negative.
    fn magnitude(self) -> (Number, bool) {
        let negative = self.0.bit(BITS - 1);
        let extended = self.0.sign_extend(BITS).0;
        (if negative { extended.wrapping_neg() } else { extended }, negative)
    }

    /// The value of that magnitude and sign, if it fits.
    fn from_magnitude(magnitude: Number, negative: bool) -> Result<Self, OutOfRange> {
        let largest = if negative { Self::MIN.0.0 } else { Self::MAX.0.0 };
        if magnitude > largest {
            return Err(OutOfRange(Self::TYPE));
        }
        let value = if negative { magnitude.wrapping_neg() } else { magnitude };
        Ok(Self(Bits(value).truncate(BITS)))
    }
}

/// `width` bits set, the lowest ones.
const fn ones(width: u32) -> Bits {
    let mut limbs = [0; 4];
    let mut bit = 0;
    while bit < width {
        limbs[(bit / 64) as usize] |= 1 << (bit % 64);
        bit += 1;
    }
    Bits::from_limbs(limbs)
}

const fn one_at(bit: u32) -> Bits {
    let mut limbs = [0; 4];
    limbs[(bit / 64) as usize] = 1 << (bit % 64);
    Bits::from_limbs(limbs)
}

macro_rules! clear {
    ($($int:ident => $ty:ident),*) => {$(
        impl<const BITS: u32> Sealed for $int<BITS> {}

        impl<const BITS: u32> Clear for $int<BITS> {
            const TYPE: Type = Type::$ty(checked(BITS));

            fn to_bits(self) -> Bits {
                self.0
            }

            fn from_bits(bits: Bits) -> Self {
                Self(bits.truncate(BITS))
            }
        }

        impl<const BITS: u32> ClearInteger for $int<BITS> {}

        impl<const BITS: u32> fmt::Debug for $int<BITS> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

clear!(Uint => Uint, Int => Int);

impl<const BITS: u32> ClearUnsigned for Uint<BITS> {}

impl<const BITS: u32> fmt::Display for Uint<BITS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad_integral(true, "", &self.0.0.to_string())
    }
}

impl<const BITS: u32> fmt::Display for Int<BITS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (magnitude, negative) = self.magnitude();
        f.pad_integral(!negative, "", &magnitude.to_string())
    }
}

impl<const BITS: u32> FromStr for Uint<BITS> {
    type Err = OutOfRange;

    /// Reads decimal digits.
    fn from_str(text: &str) -> Result<Self, OutOfRange> {
        let bits = Bits(decimal(text).ok_or(OutOfRange(Self::TYPE))?);
        if bits > Self::MAX.0 { Err(OutOfRange(Self::TYPE)) } else { Ok(Self(bits)) }
    }
}

impl<const BITS: u32> FromStr for Int<BITS> {
    type Err = OutOfRange;

    /// Reads decimal digits, after a minus sign for negative values.
    fn from_str(text: &str) -> Result<Self, OutOfRange> {
        let (digits, negative) = text.strip_prefix('-').map_or((text, false), |digits| (digits, true));
        Self::from_magnitude(decimal(digits).ok_or(OutOfRange(Self::TYPE))?, negative)
    }
}

/// The number of these decimal digits, at least one, if it has 256 bits at most.
fn decimal(digits: &str) -> Option<Number> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| Number::from_str_radix(digits, 10).ok()).flatten()
}

impl<const BITS: u32> TryFrom<u128> for Uint<BITS> {
    type Error = OutOfRange;

    fn try_from(value: u128) -> Result<Self, OutOfRange> {
        let bits = Bits::from(value);
        if bits > Self::MAX.0 { Err(OutOfRange(Self::TYPE)) } else { Ok(Self(bits)) }
    }
}

impl<const BITS: u32> TryFrom<Uint<BITS>> for u128 {
    type Error = OutOfRange;

    fn try_from(value: Uint<BITS>) -> Result<Self, OutOfRange> {
        Self::try_from(value.0).map_err(|_| OutOfRange(Self::TYPE))
    }
}

impl<const BITS: u32> TryFrom<i128> for Int<BITS> {
    type Error = OutOfRange;

    fn try_from(value: i128) -> Result<Self, OutOfRange> {
        Self::from_magnitude(Number::from(value.unsigned_abs()), value < 0)
    }
}

impl<const BITS: u32> TryFrom<Int<BITS>> for i128 {
    type Error = OutOfRange;

    fn try_from(value: Int<BITS>) -> Result<Self, OutOfRange> {
        let (magnitude, negative) = value.magnitude();
        let magnitude = u128::try_from(magnitude).map_err(|_| OutOfRange(Self::TYPE))?;
        let signed =
            if negative { 0i128.checked_sub_unsigned(magnitude) } else { 0i128.checked_add_unsigned(magnitude) };
        signed.ok_or(OutOfRange(Self::TYPE))
    }
}

impl<const BITS: u32> PartialOrd for Int<BITS> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const BITS: u32> Ord for Int<BITS> {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |value: &Self| (!value.0.bit(BITS - 1), value.0);
        key(self).cmp(&key(other))
    }
}

macro_rules! aliases {
    ($($unsigned:ident, $signed:ident = $bits:literal;)*) => {$(
        #[doc = concat!("A clear unsigned integer of ", stringify!($bits), " bits.")]
        pub type $unsigned = Uint<$bits>;

        #[doc = concat!("A clear signed integer of ", stringify!($bits), " bits.")]
        pub type $signed = Int<$bits>;
    )*};
}

aliases! {
    U2, I2 = 2;
    U4, I4 = 4;
    U6, I6 = 6;
    U10, I10 = 10;
    U12, I12 = 12;
    U14, I14 = 14;
    U24, I24 = 24;
    U40, I40 = 40;
    U48, I48 = 48;
    U56, I56 = 56;
    U96, I96 = 96;
    U160, I160 = 160;
    U192, I192 = 192;
    U224, I224 = 224;
    U256, I256 = 256;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_read_and_print() {
        assert_eq!(U256::MAX.to_string().len(), 78);
        assert_eq!(U256::MAX.to_string().parse(), Ok(U256::MAX));
        for text in ["-8", "-1", "0", "7"] {
            assert_eq!(text.parse::<I4>().unwrap().to_string(), text);
        }
        for text in ["8", "-9", "", "-", "--1", "+1", "1_0", " 1"] {
            assert!(text.parse::<I4>().is_err(), "{text:?}");
        }
        assert_eq!(I256::MIN.to_string().parse::<I256>(), Ok(I256::MIN));
        assert!(format!("{}0", U256::MAX).parse::<U256>().is_err());
        assert_eq!(format!("{:>4}{:<4}|", I4::MIN, U4::MAX), "  -815  |");
    }

    #[test]
    fn order_is_that_of_the_numbers() {
        let all: Vec<I4> = (-8..8).map(|value| I4::try_from(value).unwrap()).collect();
        assert!(all.is_sorted() && all[0] == I4::MIN && all[15] == I4::MAX);
        assert_eq!(
            all.iter().map(|&value| i128::try_from(value).unwrap()).collect::<Vec<_>>(),
            (-8..8).collect::<Vec<_>>()
        );
        assert!(i128::try_from(I256::MIN).is_err() && i128::try_from(Int::<128>::MIN) == Ok(i128::MIN));
    }

    #[test]
    fn native_types_stand_for_the_same_bits() {
        assert_eq!(Uint::<64>::TYPE, u64::TYPE);
        assert_eq!(Int::<16>::from_bits((-3i16).to_bits()).to_string(), "-3");
        assert_eq!(Uint::<12>::from_bits(Bits::from(0xffffu16)), Uint::MAX);
    }
}
