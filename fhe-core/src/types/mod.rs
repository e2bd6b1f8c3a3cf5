//! Types of encrypted values and the clear Rust types that stand for them.

mod bits;
mod wide;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use bits::{Bits, MAX_BITS};
pub use wide::{
    I2, I4, I6, I10, I12, I14, I24, I40, I48, I56, I96, I160, I192, I224, I256, Int, OutOfRange, U2, U4, U6, U10, U12,
    U14, U24, U40, U48, U56, U96, U160, U192, U224, U256, Uint,
};

/// Bits of the message in one block: blocks are digits in base 4.
pub const MESSAGE_BITS: u32 = 2;

/// Base of a digit, 4.
pub const MESSAGE_MODULUS: i64 = 1 << MESSAGE_BITS;

/// Type of an encrypted value: what it means, not where it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Type {
    /// One truth value, in one block.
    Bool,
    /// Unsigned integer of that many bits (an even number from 2 to 256), least significant block first.
    Uint(u32),
    /// Signed integer in two's complement of that many bits (an even number from 2 to 256).
    Int(u32),
}

impl Type {
    /// Number of ciphertexts that hold one value: one per two bits, one for a truth value.
    #[must_use]
    pub fn blocks(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Uint(bits) | Self::Int(bits) => (bits / MESSAGE_BITS) as usize,
        }
    }

    /// Number of bits of the clear value.
    #[must_use]
    pub fn bits(self) -> u32 {
        match self {
            Self::Bool => 1,
            Self::Uint(bits) | Self::Int(bits) => bits,
        }
    }

    /// Whether values are read in two's complement.
    #[must_use]
    pub fn is_signed(self) -> bool {
        matches!(self, Self::Int(_))
    }

    /// Whether this is one of the types that can be traced and encrypted.
    #[must_use]
    pub fn is_supported(self) -> bool {
        match self {
            Self::Bool => true,
            Self::Uint(bits) | Self::Int(bits) => (MESSAGE_BITS..=MAX_BITS).contains(&bits) && bits % MESSAGE_BITS == 0,
        }
    }

    /// The largest value that one clean block of this type may hold: 1 or 3.
    #[must_use]
    pub fn block_max(self) -> i64 {
        match self {
            Self::Bool => 1,
            _ => MESSAGE_MODULUS - 1,
        }
    }

    /// Keeps the low bits of `value` that this type has.
    #[must_use]
    pub fn truncate(self, value: impl Into<Bits>) -> Bits {
        value.into().truncate(self.bits())
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Uint(bits) => write!(f, "u{bits}"),
            Self::Int(bits) => write!(f, "i{bits}"),
        }
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A clear Rust value that can be encrypted: `bool`, `u8` to `u128`, `i8` to `i128`, and [`Uint`] and [`Int`] of any
/// even number of bits up to 256.
pub trait Clear: sealed::Sealed + Copy + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// The encrypted type that stands for it.
    const TYPE: Type;

    /// The value's bits, two's complement, zero above [`Type::bits`].
    fn to_bits(self) -> Bits;

    /// The value of those bits; bits above [`Type::bits`] are ignored.
    fn from_bits(bits: Bits) -> Self;
}

/// A clear integer: [`Clear`] without `bool`.
pub trait ClearInteger: Clear {}

/// A clear unsigned integer: what an encrypted shift amount and a count may be.
pub trait ClearUnsigned: ClearInteger {}

impl ClearUnsigned for u8 {}
impl ClearUnsigned for u16 {}
impl ClearUnsigned for u32 {}
impl ClearUnsigned for u64 {}
impl ClearUnsigned for u128 {}

impl sealed::Sealed for bool {}

impl Clear for bool {
    const TYPE: Type = Type::Bool;

    fn to_bits(self) -> Bits {
        Bits::from(self)
    }

    fn from_bits(bits: Bits) -> Self {
        bits.bit(0)
    }
}

macro_rules! clear_integers {
    ($($int:ident as $unsigned:ident => $ty:ident),*) => {$(
        impl sealed::Sealed for $int {}

        impl Clear for $int {
            const TYPE: Type = Type::$ty($int::BITS);

            fn to_bits(self) -> Bits {
                Bits::from(self as $unsigned)
            }

            fn from_bits(bits: Bits) -> Self {
                let [low, high, ..] = bits.limbs();
                (u128::from(high) << 64 | u128::from(low)) as $unsigned as Self
            }
        }

        impl ClearInteger for $int {}
    )*};
}

clear_integers!(
    u8 as u8 => Uint, u16 as u16 => Uint, u32 as u32 => Uint, u64 as u64 => Uint, u128 as u128 => Uint,
    i8 as u8 => Int, i16 as u16 => Int, i32 as u32 => Int, i64 as u64 => Int, i128 as u128 => Int
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_values_survive_their_bits() {
        assert_eq!(i8::from_bits((-3i8).to_bits()), -3);
        assert_eq!((-1i16).to_bits(), Bits::from(0xffffu16));
        assert_eq!(i64::from_bits(i64::MIN.to_bits()), i64::MIN);
        assert_eq!(i128::from_bits((i128::MIN + 1).to_bits()), i128::MIN + 1);
    }

    #[test]
    fn types_count_their_blocks() {
        assert_eq!(u64::TYPE.blocks(), 32);
        assert_eq!(bool::TYPE.blocks(), 1);
        assert_eq!(Type::Int(8).truncate(0x1ffu64), Bits::from(0xffu8));
        assert_eq!(
            [0, 1, 2, 7, 254, 256, 258].map(|bits| Type::Uint(bits).is_supported()),
            [false, false, true, false, true, true, false]
        );
    }
}
