//! Types of encrypted values and the clear Rust types that stand for them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bits of the message in one block: blocks are digits in base 4.
pub const MESSAGE_BITS: u32 = 2;

/// Base of a digit, 4.
pub const MESSAGE_MODULUS: i64 = 1 << MESSAGE_BITS;

/// Type of an encrypted value: what it means, not where it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Type {
    /// One truth value, in one block.
    Bool,
    /// Unsigned integer of that many bits (8, 16, 32 or 64), least significant block first.
    Uint(u32),
    /// Signed integer in two's complement of that many bits (8, 16, 32 or 64).
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
            Self::Uint(bits) | Self::Int(bits) => matches!(bits, 8 | 16 | 32 | 64),
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
    pub fn truncate(self, value: u64) -> u64 {
        if self.bits() == 64 { value } else { value & ((1 << self.bits()) - 1) }
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

/// A clear Rust value that can be encrypted: `bool`, `u8` to `u64`, `i8` to `i64`.
pub trait Clear: sealed::Sealed + Copy + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// The encrypted type that stands for it.
    const TYPE: Type;

    /// The value's bits, two's complement, zero above [`Type::bits`].
    fn to_bits(self) -> u64;

    /// The value of those bits; bits above [`Type::bits`] are ignored.
    fn from_bits(bits: u64) -> Self;
}

/// A clear integer: [`Clear`] without `bool`.
pub trait ClearInteger: Clear {}

/// A clear unsigned integer: what an encrypted shift amount and a count may be.
pub trait ClearUnsigned: ClearInteger {}

impl ClearUnsigned for u8 {}
impl ClearUnsigned for u16 {}
impl ClearUnsigned for u32 {}
impl ClearUnsigned for u64 {}

impl sealed::Sealed for bool {}

impl Clear for bool {
    const TYPE: Type = Type::Bool;

    fn to_bits(self) -> u64 {
        u64::from(self)
    }

    fn from_bits(bits: u64) -> Self {
        bits & 1 == 1
    }
}

macro_rules! clear_integers {
    ($($int:ident as $unsigned:ident => $ty:ident),*) => {$(
        impl sealed::Sealed for $int {}

        impl Clear for $int {
            const TYPE: Type = Type::$ty($int::BITS);

            fn to_bits(self) -> u64 {
                u64::from(self as $unsigned)
            }

            fn from_bits(bits: u64) -> Self {
                bits as $unsigned as Self
            }
        }

        impl ClearInteger for $int {}
    )*};
}

clear_integers!(
    u8 as u8 => Uint, u16 as u16 => Uint, u32 as u32 => Uint, u64 as u64 => Uint,
    i8 as u8 => Int, i16 as u16 => Int, i32 as u32 => Int, i64 as u64 => Int
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_values_survive_their_bits() {
        assert_eq!(i8::from_bits((-3i8).to_bits()), -3);
        assert_eq!((-1i16).to_bits(), 0xffff);
        assert_eq!(i64::from_bits(i64::MIN.to_bits()), i64::MIN);
    }

    #[test]
    fn types_count_their_blocks() {
        assert_eq!(u64::TYPE.blocks(), 32);
        assert_eq!(bool::TYPE.blocks(), 1);
        assert_eq!(Type::Int(8).truncate(0x1ff), 0xff);
    }
}
