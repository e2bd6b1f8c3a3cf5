//! Methods of encrypted values.

use super::{Amount, Encrypted, Operand, Place};
use crate::program::graph::{BinaryOp, BitCountOp, CompareOp, Op, OverflowOp, ShiftOp, TestOp, UnaryOp};
use crate::types::{Bits, Clear, ClearInteger};

impl<T: Clear> Encrypted<T> {
    pub(super) fn unary(&self, op: UnaryOp) -> Self {
        self.trace.node(Op::Unary(op, self.node))
    }

    pub(super) fn binary(&self, op: BinaryOp, other: impl Operand<T>) -> Self {
        let other = other.node(op.name(), &self.trace);
        self.trace.node(Op::Binary(op, self.node, other))
    }

    fn compare(&self, op: CompareOp, other: impl Operand<T>) -> Encrypted<bool> {
        let other = other.node(op.name(), &self.trace);
        self.trace.node(Op::Compare(op, self.node, other))
    }

    /// `self == other`.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert!(!evaluate((7u8, 8u8), |(a, b)| a.eq(b))?);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn eq(&self, other: impl Operand<T>) -> Encrypted<bool> {
        self.compare(CompareOp::Eq, other)
    }

    /// `self != other`.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert!(evaluate(7u8, |a| a.ne(8))?);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn ne(&self, other: impl Operand<T>) -> Encrypted<bool> {
        self.compare(CompareOp::Ne, other)
    }
}

/// One-line methods with an example each; `$run` is a value, what is done with it, and the result.
macro_rules! methods {
    ($($(#[doc = $doc:literal])* $name:ident($self:ident $(, $arg:ident: $arg_ty:ty)?) -> $out:ty, $body:expr,
        ($input:literal, $call:literal, $expected:literal);)*) => {$(
        $(#[doc = $doc])*
        ///
        /// ```
        /// # use fhe_core::simulate::evaluate;
        #[doc = concat!("assert_eq!(evaluate(", $input, ", ", $call, ")?, ", $expected, ");")]
        /// # Ok::<(), fhe_core::Error>(())
        /// ```
        #[must_use]
        pub fn $name(&$self $(, $arg: $arg_ty)?) -> $out {
            $body
        }
    )*};
}

impl<T: ClearInteger> Encrypted<T> {
    methods! {
        /// `self < other`.
        lt(self, other: impl Operand<T>) -> Encrypted<bool>, self.compare(CompareOp::Lt, other),
            ("(-1i8, 1i8)", "|(a, b)| a.lt(b)", "true");
        /// `self <= other`.
        le(self, other: impl Operand<T>) -> Encrypted<bool>, self.compare(CompareOp::Le, other),
            ("7u8", "|a| a.le(7)", "true");
        /// `self > other`.
        gt(self, other: impl Operand<T>) -> Encrypted<bool>, self.compare(CompareOp::Gt, other),
            ("(200u8, 100u8)", "|(a, b)| a.gt(b)", "true");
        /// `self >= other`.
        ge(self, other: impl Operand<T>) -> Encrypted<bool>, self.compare(CompareOp::Ge, other),
            ("(200u8, 201u8)", "|(a, b)| a.ge(b)", "false");
        /// The smaller of the two.
        min(self, other: impl Operand<T>) -> Self, self.binary(BinaryOp::Min, other),
            ("(-5i8, 3i8)", "|(a, b)| a.min(b)", "-5");
        /// The larger of the two.
        max(self, other: impl Operand<T>) -> Self, self.binary(BinaryOp::Max, other),
            ("5u8", "|a| a.max(9)", "9");
        /// Quotient and remainder, truncated and wrapping: together they cost what each does alone.
        ///
        /// By zero the quotient of unsigned values is the largest value and the remainder the dividend. For signed
        /// values the remainder is the dividend, and the quotient is -1 for dividends of 0 and more and 1 for negative
        /// ones. So it is in the `tfhe` crate, and here also by a clear zero.
        div_rem(self, other: impl Operand<T>) -> (Self, Self), self.pair(BinaryOp::Div, BinaryOp::Rem, other),
            ("(-7i8, 2i8)", "|(a, b)| a.div_rem(b)", "(-3, -1)");
        /// The wrapped sum, and whether it overflowed.
        overflowing_add(self, other: impl Operand<T>) -> (Self, Encrypted<bool>),
            self.overflowing(BinaryOp::Add, OverflowOp::Add, other),
            ("(200u8, 100u8)", "|(a, b)| a.overflowing_add(b)", "(44, true)");
        /// The wrapped difference, and whether it overflowed.
        overflowing_sub(self, other: impl Operand<T>) -> (Self, Encrypted<bool>),
            self.overflowing(BinaryOp::Sub, OverflowOp::Sub, other),
            ("(100u8, 200u8)", "|(a, b)| a.overflowing_sub(b)", "(156, true)");
        /// The wrapped product, and whether it overflowed.
        overflowing_mul(self, other: impl Operand<T>) -> (Self, Encrypted<bool>),
            self.overflowing(BinaryOp::Mul, OverflowOp::Mul, other),
            ("(-16i8, 8i8)", "|(a, b)| a.overflowing_mul(b)", "(-128, false)");
        /// The wrapped negation, and whether it overflowed.
        overflowing_neg(self) -> (Self, Encrypted<bool>),
            (self.unary(UnaryOp::Neg), self.trace.node(Op::Test(TestOp::NegOverflows, self.node))),
            ("-128i8", "|a| a.overflowing_neg()", "(-128, true)");
        /// The sum, and whether it is right: whether it did not overflow.
        checked_add(self, other: impl Operand<T>) -> (Self, Encrypted<bool>), valid(self.overflowing_add(other)),
            ("(100u8, 100u8)", "|(a, b)| a.checked_add(b)", "(200, true)");
        /// The difference, and whether it is right: whether it did not overflow.
        checked_sub(self, other: impl Operand<T>) -> (Self, Encrypted<bool>), valid(self.overflowing_sub(other)),
            ("100u8", "|a| a.checked_sub(101)", "(255, false)");
        /// The product, and whether it is right: whether it did not overflow.
        checked_mul(self, other: impl Operand<T>) -> (Self, Encrypted<bool>), valid(self.overflowing_mul(other)),
            ("(20u8, 20u8)", "|(a, b)| a.checked_mul(b)", "(144, false)");
        /// The negation, and whether it is right: whether it did not overflow.
        checked_neg(self) -> (Self, Encrypted<bool>), valid(self.overflowing_neg()),
            ("5i8", "|a| a.checked_neg()", "(-5, true)");
        /// The sum, or the nearest value of the type where it overflows.
        saturating_add(self, other: impl Operand<T>) -> Self, self.binary(BinaryOp::SaturatingAdd, other),
            ("(200u8, 100u8)", "|(a, b)| a.saturating_add(b)", "255");
        /// The difference, or the nearest value of the type where it overflows.
        saturating_sub(self, other: impl Operand<T>) -> Self, self.binary(BinaryOp::SaturatingSub, other),
            ("(100u8, 200u8)", "|(a, b)| a.saturating_sub(b)", "0");
        /// The product, or the nearest value of the type where it overflows.
        saturating_mul(self, other: impl Operand<T>) -> Self, self.binary(BinaryOp::SaturatingMul, other),
            ("(-100i8, 100i8)", "|(a, b)| a.saturating_mul(b)", "-128");
        /// The negation, or the largest value where it overflows; 0 for unsigned values.
        saturating_neg(self) -> Self, self.unary(UnaryOp::SaturatingNeg),
            ("-128i8", "|a| a.saturating_neg()", "127");
        /// The absolute value, wrapping: the smallest value stays as it is. Unsigned values stay as they are.
        abs(self) -> Self, self.unary(UnaryOp::Abs), ("-7i8", "|a| a.abs()", "7");
        /// -1, 0 or 1, as the value is less than, equal to or more than 0; an error for unsigned values.
        signum(self) -> Self, self.unary(UnaryOp::Signum), ("-7i8", "|a| a.signum()", "-1");
        /// Whether the value is less than 0; an error for unsigned values.
        is_negative(self) -> Encrypted<bool>, self.test(TestOp::IsNegative), ("-7i8", "|a| a.is_negative()", "true");
        /// Whether the lowest bit is 0.
        is_even(self) -> Encrypted<bool>, self.test(TestOp::IsEven), ("6u8", "|a| a.is_even()", "true");
        /// Whether the lowest bit is 1.
        is_odd(self) -> Encrypted<bool>, self.test(TestOp::IsOdd), ("6u8", "|a| a.is_odd()", "false");
        /// Whether the number of ones is odd.
        parity(self) -> Encrypted<bool>, self.test(TestOp::Parity), ("0b0111u8", "|a| a.parity()", "true");
        /// The number of zeros above the highest one.
        leading_zeros(self) -> Encrypted<u32>, self.count(BitCountOp::LeadingZeros),
            ("0b0001_0100u8", "|a| a.leading_zeros()", "3");
        /// The number of ones above the highest zero.
        leading_ones(self) -> Encrypted<u32>, self.count(BitCountOp::LeadingOnes),
            ("-1i8", "|a| a.leading_ones()", "8");
        /// The number of zeros below the lowest one.
        trailing_zeros(self) -> Encrypted<u32>, self.count(BitCountOp::TrailingZeros),
            ("0b0001_0100u8", "|a| a.trailing_zeros()", "2");
        /// The number of ones below the lowest zero.
        trailing_ones(self) -> Encrypted<u32>, self.count(BitCountOp::TrailingOnes),
            ("0b0001_0111u8", "|a| a.trailing_ones()", "3");
        /// The number of ones.
        count_ones(self) -> Encrypted<u32>, self.count(BitCountOp::CountOnes),
            ("0b0001_0111u8", "|a| a.count_ones()", "4");
        /// The number of zeros.
        count_zeros(self) -> Encrypted<u32>, self.count(BitCountOp::CountZeros),
            ("0b0001_0111u8", "|a| a.count_zeros()", "4");
        /// The position of the highest one, ⌊log2⌋; `u32::MAX` for 0. See [`checked_ilog2`](Self::checked_ilog2).
        ilog2(self) -> Encrypted<u32>, self.count(BitCountOp::Ilog2), ("100u8", "|a| a.ilog2()", "6");
        /// The position of the highest one, ⌊log2⌋, and whether there is one.
        checked_ilog2(self) -> (Encrypted<u32>, Encrypted<bool>), (self.ilog2(), self.is_positive_bits()),
            ("100u8", "|a| a.checked_ilog2()", "(6, true)");
        /// The largest integer whose square is at most the value; an error for signed values.
        isqrt(self) -> Self, self.unary(UnaryOp::Sqrt), ("99u8", "|a| a.isqrt()", "9");
        /// The bits in reverse order.
        reverse_bits(self) -> Self, self.unary(UnaryOp::ReverseBits),
            ("0b0001_0111u8", "|a| a.reverse_bits()", "0b1110_1000");
        /// The bytes in reverse order; an error for widths that are no whole number of bytes.
        swap_bytes(self) -> Self, self.unary(UnaryOp::SwapBytes), ("0x1234u16", "|a| a.swap_bytes()", "0x3412");
    }

    /// The value as a `U`, like `as` between the clear types: truncated, or extended by the sign of `T`.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate(-2i8, |a| a.cast::<u16>())?, 0xfffe);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn cast<U: ClearInteger>(&self) -> Encrypted<U> {
        self.trace.node(Op::Cast(self.node))
    }

    /// Rotates towards the most significant bit by a clear or an encrypted amount, taken modulo the width.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate((0xa1u8, 4u8), |(a, n)| a.rotate_left(n))?, 0x1a);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn rotate_left(&self, amount: impl Amount) -> Self {
        self.shift(ShiftOp::RotateLeft, &amount)
    }

    /// Rotates towards the least significant bit by a clear or an encrypted amount, taken modulo the width.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate(0xa1u8, |a| a.rotate_right(1))?, 0xd0);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn rotate_right(&self, amount: impl Amount) -> Self {
        self.shift(ShiftOp::RotateRight, &amount)
    }

    /// The bit at a clear or an encrypted index, counted from the lowest. Where there is no such bit, an encrypted
    /// index gives false; a clear one is an error.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert!(evaluate((0b100u8, 2u8), |(a, index)| a.bit(index))?);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn bit(&self, index: impl Amount) -> Encrypted<bool> {
        self.trace.node(match index.place("bit", &self.trace) {
            Place::Clear(index) => Op::BitClear(self.node, index),
            Place::Encrypted(index) => Op::Bit(self.node, index),
        })
    }

    /// The value with the bit at a clear or an encrypted index replaced. Where there is no such bit, an encrypted
    /// index changes nothing; a clear one is an error.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate((0b100u8, false), |(a, bit)| a.set_bit(2, bit))?, 0);
    /// assert_eq!(evaluate((0b100u8, 0u8), |(a, index)| a.set_bit(index, true))?, 0b101);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn set_bit(&self, index: impl Amount, bit: impl Operand<bool>) -> Self {
        let (value, bit) = (self.node, bit.node("set_bit", &self.trace));
        self.trace.node(match index.place("set_bit", &self.trace) {
            Place::Clear(index) => Op::SetBitClear { value, index, bit },
            Place::Encrypted(index) => Op::SetBit { value, index, bit },
        })
    }

    /// The entry of a clear table at this value, its bits read as unsigned: an integer of up to 8 bits, and as many
    /// entries as it has values.
    ///
    /// ```
    /// # use fhe_core::{simulate::evaluate, types::U4};
    /// let squares: Vec<u8> = (0..16).map(|x| x * x).collect();
    /// assert_eq!(evaluate(U4::MAX, |a| a.table(&squares))?, 225);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn table<U: Clear>(&self, entries: &[U]) -> Encrypted<U> {
        let entries = entries.iter().map(|entry| entry.to_bits()).collect();
        self.trace.node(Op::Table { value: self.node, entries })
    }

    /// The output of the case whose input is this value, or 0 (false) if there is none; and whether there is one. The
    /// inputs are all different.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// let prices = [(1u16, 250u8), (500, 90)];
    /// assert_eq!(evaluate(500u16, |article| article.match_value(&prices))?, (90, true));
    /// assert_eq!(evaluate(501u16, |article| article.match_value(&prices))?, (0, false));
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn match_value<U: Clear>(&self, cases: &[(T, U)]) -> (Encrypted<U>, Encrypted<bool>) {
        let matches = Op::Matches { value: self.node, cases: bits_of(cases) };
        (self.match_bits(cases, Bits::ZERO), self.trace.node(matches))
    }

    /// The output of the case whose input is this value, or `default` if there is none. The inputs are all different.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate(3u8, |a| a.match_or(&[(3, true)], false))?, true);
    /// assert_eq!(evaluate(4u8, |a| a.match_or(&[(3, 30u8)], 255))?, 255);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn match_or<U: Clear>(&self, cases: &[(T, U)], default: U) -> Encrypted<U> {
        self.match_bits(cases, default.to_bits())
    }

    fn match_bits<U: Clear>(&self, cases: &[(T, U)], default: Bits) -> Encrypted<U> {
        self.trace.node(Op::Match { value: self.node, cases: bits_of(cases), default })
    }

    pub(super) fn shift(&self, op: ShiftOp, amount: &impl Amount) -> Self {
        self.trace.node(match amount.place(op.name(), &self.trace) {
            Place::Clear(amount) => Op::ShiftClear(op, self.node, amount),
            Place::Encrypted(amount) => Op::Shift(op, self.node, amount),
        })
    }

    fn test(&self, op: TestOp) -> Encrypted<bool> {
        self.trace.node(Op::Test(op, self.node))
    }

    fn count(&self, op: BitCountOp) -> Encrypted<u32> {
        self.trace.node(Op::BitCount(op, self.node))
    }

    /// Whether any bit is 1.
    fn is_positive_bits(&self) -> Encrypted<bool> {
        self.ne(T::from_bits(Bits::ZERO))
    }

    fn pair(&self, first: BinaryOp, second: BinaryOp, other: impl Operand<T>) -> (Self, Self) {
        let other = other.node(first.name(), &self.trace);
        let node = |op| self.trace.node(Op::Binary(op, self.node, other));
        (node(first), node(second))
    }

    fn overflowing(&self, op: BinaryOp, overflow: OverflowOp, other: impl Operand<T>) -> (Self, Encrypted<bool>) {
        let other = other.node(op.name(), &self.trace);
        let value = self.trace.node(Op::Binary(op, self.node, other));
        (value, self.trace.node(Op::Overflows(overflow, self.node, other)))
    }
}

fn bits_of<T: Clear, U: Clear>(cases: &[(T, U)]) -> Vec<(Bits, Bits)> {
    cases.iter().map(|case| (case.0.to_bits(), case.1.to_bits())).collect()
}

/// From whether a result overflowed to whether it is valid.
fn valid<T>((value, overflowed): (Encrypted<T>, Encrypted<bool>)) -> (Encrypted<T>, Encrypted<bool>) {
    (value, !overflowed)
}

impl Encrypted<bool> {
    /// `if self { then } else { otherwise }`: one bootstrap per block.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate((true, 7u8), |(c, a)| c.select(a, 0))?, 7);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn select<T: Clear>(&self, then: impl Operand<T>, otherwise: impl Operand<T>) -> Encrypted<T> {
        let then = then.node("select", &self.trace);
        let otherwise = otherwise.node("select", &self.trace);
        self.trace.node(Op::Select { condition: self.node, then, otherwise })
    }

    /// 1 if true, 0 if false.
    ///
    /// ```
    /// # use fhe_core::simulate::evaluate;
    /// assert_eq!(evaluate(true, |a| a.cast::<u32>())?, 1);
    /// # Ok::<(), fhe_core::Error>(())
    /// ```
    #[must_use]
    pub fn cast<U: ClearInteger>(&self) -> Encrypted<U> {
        self.trace.node(Op::Cast(self.node))
    }
}
