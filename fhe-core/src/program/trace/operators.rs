//! Operators, with a clear value on either side.

use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Rem, Shl, Shr, Sub};

use super::{Amount, Encrypted, Operand};
use crate::program::graph::{BinaryOp, ShiftOp, UnaryOp};
use crate::types::{Clear, ClearInteger, Int, Uint};

macro_rules! binary_operators {
    ($($trait:ident::$method:ident, $bound:ident, $op:ident;)*) => {$(
        impl<T: $bound, R: Operand<T>> $trait<R> for &Encrypted<T> {
            type Output = Encrypted<T>;

            fn $method(self, other: R) -> Encrypted<T> {
                self.binary(BinaryOp::$op, other)
            }
        }

        impl<T: $bound, R: Operand<T>> $trait<R> for Encrypted<T> {
            type Output = Encrypted<T>;

            fn $method(self, other: R) -> Encrypted<T> {
                self.binary(BinaryOp::$op, other)
            }
        }
    )*};
}

binary_operators! {
    Add::add, ClearInteger, Add;
    Sub::sub, ClearInteger, Sub;
    Mul::mul, ClearInteger, Mul;
    Div::div, ClearInteger, Div;
    Rem::rem, ClearInteger, Rem;
    BitAnd::bitand, Clear, And;
    BitOr::bitor, Clear, Or;
    BitXor::bitxor, Clear, Xor;
}

/// `clear op encrypted` for one clear type, since a foreign trait cannot be implemented for all of them at once.
macro_rules! clear_left {
    ([$($generics:tt)*] $ty:ty: $($trait:ident::$method:ident),*) => {
        clear_left!(@each [$($generics)*] $ty, $($trait::$method)*);
    };
    (@each $generics:tt $ty:ty, $($trait:ident::$method:ident)*) => {
        $(clear_left!(@one $generics $ty, $trait, $method);)*
    };
    (@one [$($generics:tt)*] $ty:ty, $trait:ident, $method:ident) => {
        impl<$($generics)*> $trait<&Encrypted<$ty>> for $ty {
            type Output = Encrypted<$ty>;

            fn $method(self, other: &Encrypted<$ty>) -> Encrypted<$ty> {
                other.trace.constant(self).$method(other)
            }
        }

        impl<$($generics)*> $trait<Encrypted<$ty>> for $ty {
            type Output = Encrypted<$ty>;

            fn $method(self, other: Encrypted<$ty>) -> Encrypted<$ty> {
                self.$method(&other)
            }
        }
    };
}

macro_rules! clear_integers_left {
    ($([$($generics:tt)*] $ty:ty;)*) => {$(
        clear_left!([$($generics)*] $ty: Add::add, Sub::sub, Mul::mul, Div::div, Rem::rem, BitAnd::bitand, BitOr::bitor,
            BitXor::bitxor);
    )*};
}

clear_integers_left! {
    [] u8; [] u16; [] u32; [] u64; [] u128; [] i8; [] i16; [] i32; [] i64; [] i128;
    [const BITS: u32] Uint<BITS>;
    [const BITS: u32] Int<BITS>;
}

clear_left!([] bool: BitAnd::bitand, BitOr::bitor, BitXor::bitxor);

macro_rules! shift_operators {
    ($($trait:ident::$method:ident, $op:ident;)*) => {$(
        impl<T: ClearInteger, A: Amount> $trait<A> for &Encrypted<T> {
            type Output = Encrypted<T>;

            fn $method(self, amount: A) -> Encrypted<T> {
                self.shift(ShiftOp::$op, &amount)
            }
        }

        impl<T: ClearInteger, A: Amount> $trait<A> for Encrypted<T> {
            type Output = Encrypted<T>;

            fn $method(self, amount: A) -> Encrypted<T> {
                self.shift(ShiftOp::$op, &amount)
            }
        }
    )*};
}

shift_operators! {
    Shl::shl, Left;
    Shr::shr, Right;
}

macro_rules! unary_operators {
    ($($trait:ident::$method:ident, $bound:ident, $op:ident;)*) => {$(
        impl<T: $bound> $trait for &Encrypted<T> {
            type Output = Encrypted<T>;

            fn $method(self) -> Encrypted<T> {
                self.unary(UnaryOp::$op)
            }
        }

        impl<T: $bound> $trait for Encrypted<T> {
            type Output = Encrypted<T>;

            fn $method(self) -> Encrypted<T> {
                $trait::$method(&self)
            }
        }
    )*};
}

unary_operators! {
    Neg::neg, ClearInteger, Neg;
    Not::not, Clear, Not;
}
