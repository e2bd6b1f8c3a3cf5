//! The naive oracle: programs over plain integers, one value at a time.
//!
//! It computes with whole numbers of the `ruint` crate, signed ones as a sign and a magnitude, and knows nothing of
//! digits.

use fhe_core::program::graph::{
    BinaryOp, BitCountOp, CompareOp, ExtremumOp, FindOp, Graph, NodeId, Op, OverflowOp, ShiftOp, TestOp, UnaryOp,
};
use fhe_core::{Bits, Type};
use ruint::aliases::{U256, U512};

/// A whole number of more bits than any product of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number {
    negative: bool,
    magnitude: U512,
}

impl Number {
    /// The value of these bits.
    fn of(ty: Type, bits: Bits) -> Self {
        let negative = ty.is_signed() && bits.bit(ty.bits() - 1);
        let value = U512::from(U256::from_limbs(bits.limbs()));
        let magnitude = if negative { (U512::from(1) << ty.bits()) - value } else { value };
        Self { negative, magnitude }
    }

    fn new(negative: bool, magnitude: U512) -> Self {
        Self { negative: negative && !magnitude.is_zero(), magnitude }
    }

    fn small(value: u32) -> Self {
        Self::new(false, U512::from(value))
    }

    /// Two's complement, cut to the width of `ty`.
    fn wrap(self, ty: Type) -> Bits {
        let value = if self.negative { self.magnitude.wrapping_neg() } else { self.magnitude };
        let [a, b, c, d, ..] = value.into_limbs();
        ty.truncate(Bits::from_limbs([a, b, c, d]))
    }

    fn neg(self) -> Self {
        Self::new(!self.negative, self.magnitude)
    }

    fn add(self, other: Self) -> Self {
        if self.negative == other.negative {
            Self::new(self.negative, self.magnitude + other.magnitude)
        } else if self.magnitude >= other.magnitude {
            Self::new(self.negative, self.magnitude - other.magnitude)
        } else {
            Self::new(other.negative, other.magnitude - self.magnitude)
        }
    }

    fn mul(self, other: Self) -> Self {
        Self::new(self.negative != other.negative, self.magnitude * other.magnitude)
    }

    fn less(self, other: Self) -> bool {
        match (self.negative, other.negative) {
            (true, true) => other.magnitude < self.magnitude,
            (false, false) => self.magnitude < other.magnitude,
            (negative, _) => negative,
        }
    }

    /// The nearest value of `ty`.
    fn saturate(self, ty: Type) -> Bits {
        let magnitude_bits = ty.bits() - u32::from(ty.is_signed());
        let limit = U512::from(1) << magnitude_bits;
        let (lowest, highest) = (if ty.is_signed() { limit } else { U512::ZERO }, limit - U512::from(1));
        let bound = if self.negative { lowest } else { highest };
        Self::new(self.negative, self.magnitude.min(bound)).wrap(ty)
    }
}

/// The outputs of `graph` for these inputs, all as the bits of their types.
#[must_use]
pub fn evaluate(graph: &Graph, inputs: &[Bits]) -> Vec<Bits> {
    let mut values: Vec<Bits> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let result = operation(graph, &values, inputs, &node.op, node.ty);
        values.push(node.ty.truncate(result));
    }
    graph.outputs().iter().map(|port| values[port.node as usize]).collect()
}

fn operation(graph: &Graph, values: &[Bits], inputs: &[Bits], op: &Op, ty: Type) -> Bits {
    let value = |id: &NodeId| values[*id as usize];
    let ty_of = |id: &NodeId| graph.ty(*id);
    let number = |id: &NodeId| Number::of(ty_of(id), value(id));
    let is_true = |id: &NodeId| value(id).bit(0);
    let all = |ids: &[NodeId]| ids.iter().map(value).collect::<Vec<Bits>>();
    match op {
        Op::Input(index) => inputs[*index as usize],
        Op::Constant(bits) => *bits,
        Op::Unary(op, a) => unary(*op, ty, value(a)),
        Op::Test(op, a) => test(*op, ty_of(a), value(a)).into(),
        Op::BitCount(op, a) => bit_count(*op, ty_of(a), value(a)),
        Op::Binary(op, a, b) => binary(*op, ty, value(a), value(b)),
        Op::Compare(op, a, b) => compare(*op, ty_of(a), value(a), value(b)).into(),
        Op::Overflows(op, a, b) => overflows(*op, ty_of(a), number(a), number(b)).into(),
        Op::Select { condition, then, otherwise } => value(if is_true(condition) { then } else { otherwise }),
        Op::ShiftClear(op, a, amount) => shift(*op, ty, value(a), Bits::from(*amount)),
        Op::Shift(op, a, amount) => shift(*op, ty, value(a), value(amount)),
        Op::Cast(a) => number(a).wrap(ty),
        Op::BitClear(a, index) => value(a).bit(*index).into(),
        Op::Bit(a, index) => u32::try_from(value(index)).is_ok_and(|index| value(a).bit(index)).into(),
        Op::SetBitClear { value: a, index, bit } => set_bit(ty, value(a), Bits::from(*index), is_true(bit)),
        Op::SetBit { value: a, index, bit } => set_bit(ty, value(a), value(index), is_true(bit)),
        Op::Sum(ids) => ids.iter().map(number).fold(Number::small(0), Number::add).wrap(ty),
        Op::Dot { values: ids, weights } => {
            let products = ids.iter().zip(weights).map(|(id, weight)| number(id).mul(Number::of(ty, *weight)));
            products.fold(Number::small(0), |sum, product| Number::of(ty, sum.add(product).wrap(ty))).wrap(ty)
        }
        Op::Count(ids) => Bits::from(ids.iter().filter(|id| is_true(id)).count() as u64),
        Op::All(ids) => ids.iter().all(is_true).into(),
        Op::Any(ids) => ids.iter().any(is_true).into(),
        Op::Extremum(op, ids) => extremum(*op, ty_of(&ids[0]), &all(ids)),
        Op::Sorted { elements, rank } => {
            let mut sorted = all(elements);
            sorted.sort_by(|&a, &b| compare(CompareOp::Lt, ty, b, a).cmp(&compare(CompareOp::Lt, ty, a, b)));
            sorted[*rank as usize]
        }
        Op::Index { elements, index } => {
            usize::try_from(number(index).magnitude).ok().and_then(|at| elements.get(at)).map_or(Bits::ZERO, value)
        }
        Op::Written { elements, index, value: new, at } => {
            if value(index) == Bits::from(*at) {
                value(new)
            } else {
                value(&elements[*at as usize])
            }
        }
        Op::Find(op, elements, wanted) => {
            let mut equal = elements.iter().map(|id| value(id) == value(wanted));
            match op {
                FindOp::Contains => equal.any(|equal| equal).into(),
                FindOp::CountEqual => Bits::from(equal.filter(|&equal| equal).count() as u64),
                FindOp::Position => Bits::from(equal.position(|equal| equal).unwrap_or(0) as u64),
            }
        }
        Op::Table { value: a, entries } => entries[usize::try_from(U256::from_limbs(value(a).limbs())).unwrap_or(0)],
        Op::Match { value: a, cases, default } => {
            cases.iter().find(|case| case.0 == value(a)).map_or(*default, |case| case.1)
        }
        Op::Matches { value: a, cases } => cases.iter().any(|case| case.0 == value(a)).into(),
    }
}

fn unary(op: UnaryOp, ty: Type, bits: Bits) -> Bits {
    let x = Number::of(ty, bits);
    let width = ty.bits();
    let bit_list = |order: &dyn Fn(u32) -> u32| {
        let ones = (0..width).filter(|&at| bits.bit(order(at)));
        ones.fold(Bits::ZERO, |result, at| set_bit(ty, result, Bits::from(at), true))
    };
    match op {
        UnaryOp::Neg => x.neg().wrap(ty),
        UnaryOp::SaturatingNeg => x.neg().saturate(ty),
        UnaryOp::Not => bit_list(&|at| at).complement(ty),
        UnaryOp::Abs => Number::new(false, x.magnitude).wrap(ty),
        UnaryOp::Signum => Number::new(x.negative, x.magnitude.min(U512::from(1))).wrap(ty),
        UnaryOp::ReverseBits => bit_list(&|at| width - 1 - at),
        UnaryOp::SwapBytes => bit_list(&|at| width - 8 - at / 8 * 8 + at % 8),
        UnaryOp::Sqrt => Number::new(false, sqrt(x.magnitude)).wrap(ty),
    }
}

/// The largest number whose square is at most `x`, bit by bit.
fn sqrt(x: U512) -> U512 {
    (0..128).rev().fold(U512::ZERO, |root, bit| {
        let more = root | U512::from(1) << bit;
        if more * more <= x { more } else { root }
    })
}

trait Complement {
    fn complement(self, ty: Type) -> Bits;
}

impl Complement for Bits {
    fn complement(self, ty: Type) -> Bits {
        ty.truncate(Bits::from_limbs(self.limbs().map(|limb| !limb)))
    }
}

fn test(op: TestOp, ty: Type, bits: Bits) -> bool {
    let x = Number::of(ty, bits);
    match op {
        TestOp::IsEven => !bits.bit(0),
        TestOp::IsOdd => bits.bit(0),
        TestOp::Parity => (0..ty.bits()).filter(|&at| bits.bit(at)).count() % 2 == 1,
        TestOp::IsNegative => x.negative,
        TestOp::NegOverflows => x.neg() != Number::of(ty, x.neg().wrap(ty)),
    }
}

fn bit_count(op: BitCountOp, ty: Type, bits: Bits) -> Bits {
    let up = || (0..ty.bits()).map(|at| bits.bit(at));
    let run = |found: &mut dyn Iterator<Item = bool>, of: bool| found.take_while(|&bit| bit == of).count() as i64;
    let count = match op {
        BitCountOp::LeadingZeros => run(&mut up().rev(), false),
        BitCountOp::LeadingOnes => run(&mut up().rev(), true),
        BitCountOp::TrailingZeros => run(&mut up(), false),
        BitCountOp::TrailingOnes => run(&mut up(), true),
        BitCountOp::CountOnes => up().filter(|&bit| bit).count() as i64,
        BitCountOp::CountZeros => up().filter(|&bit| !bit).count() as i64,
        BitCountOp::Ilog2 => i64::from(ty.bits()) - 1 - run(&mut up().rev(), false),
    };
    Bits::from(count)
}

fn binary(op: BinaryOp, ty: Type, a: Bits, b: Bits) -> Bits {
    let (x, y) = (Number::of(ty, a), Number::of(ty, b));
    let bitwise = |f: fn(u64, u64) -> u64| {
        let (a, b) = (a.limbs(), b.limbs());
        Bits::from_limbs(std::array::from_fn(|limb| f(a[limb], b[limb])))
    };
    match op {
        BinaryOp::Add => x.add(y).wrap(ty),
        BinaryOp::Sub => x.add(y.neg()).wrap(ty),
        BinaryOp::Mul => x.mul(y).wrap(ty),
        BinaryOp::Div => div_rem(ty, x, y).0.wrap(ty),
        BinaryOp::Rem => div_rem(ty, x, y).1.wrap(ty),
        BinaryOp::SaturatingAdd => x.add(y).saturate(ty),
        BinaryOp::SaturatingSub => x.add(y.neg()).saturate(ty),
        BinaryOp::SaturatingMul => x.mul(y).saturate(ty),
        BinaryOp::And => bitwise(|a, b| a & b),
        BinaryOp::Or => bitwise(|a, b| a | b),
        BinaryOp::Xor => bitwise(|a, b| a ^ b),
        BinaryOp::Min => {
            if y.less(x) {
                b
            } else {
                a
            }
        }
        BinaryOp::Max => {
            if x.less(y) {
                b
            } else {
                a
            }
        }
    }
}

/// Truncated. By zero the quotient has all bits set, or is 1 for a negative dividend; the remainder is the dividend.
fn div_rem(ty: Type, x: Number, y: Number) -> (Number, Number) {
    if y.magnitude.is_zero() {
        let ones = Number::of(ty, Bits::MAX.truncate(ty.bits()));
        return (if x.negative { Number::small(1) } else { ones }, x);
    }
    let (quotient, remainder) = x.magnitude.div_rem(y.magnitude);
    (Number::new(x.negative != y.negative, quotient), Number::new(x.negative, remainder))
}

fn overflows(op: OverflowOp, ty: Type, x: Number, y: Number) -> bool {
    let exact = match op {
        OverflowOp::Add => x.add(y),
        OverflowOp::Sub => x.add(y.neg()),
        OverflowOp::Mul => x.mul(y),
    };
    exact != Number::of(ty, exact.wrap(ty))
}

fn compare(op: CompareOp, ty: Type, a: Bits, b: Bits) -> bool {
    let (x, y) = (Number::of(ty, a), Number::of(ty, b));
    match op {
        CompareOp::Eq => a == b,
        CompareOp::Ne => a != b,
        CompareOp::Lt => x.less(y),
        CompareOp::Le => !y.less(x),
        CompareOp::Gt => y.less(x),
        CompareOp::Ge => !x.less(y),
    }
}

fn extremum(op: ExtremumOp, ty: Type, values: &[Bits]) -> Bits {
    let largest = matches!(op, ExtremumOp::Maximum | ExtremumOp::ArgMaximum);
    let mut best = 0;
    for at in 1..values.len() {
        let (found, before) = (values[at], values[best]);
        if if largest { compare(CompareOp::Gt, ty, found, before) } else { compare(CompareOp::Lt, ty, found, before) } {
            best = at;
        }
    }
    if op.is_index() { Bits::from(best as u64) } else { values[best] }
}

fn set_bit(ty: Type, bits: Bits, index: Bits, bit: bool) -> Bits {
    let Some(at) = u32::try_from(index).ok().filter(|&at| at < ty.bits()) else { return bits };
    let mut value = U256::from_limbs(bits.limbs());
    value.set_bit(at as usize, bit);
    Bits::from_limbs(value.into_limbs())
}

/// A shift by the width or more leaves only what it fills with; rotations take the amount modulo the width.
fn shift(op: ShiftOp, ty: Type, bits: Bits, amount: Bits) -> Bits {
    let width = ty.bits();
    let modulo = u32::try_from(U256::from_limbs(amount.limbs()) % U256::from(width)).unwrap_or(0);
    let amount = u32::try_from(amount).unwrap_or(width).min(width);
    let fill = op == ShiftOp::Right && Number::of(ty, bits).negative;
    let source = |at: u32| match op {
        ShiftOp::Left => at.checked_sub(amount),
        ShiftOp::Right => Some(at + amount).filter(|&at| at < width),
        ShiftOp::RotateLeft => Some((at + width - modulo) % width),
        ShiftOp::RotateRight => Some((at + modulo) % width),
    };
    let ones = (0..width).filter(|&at| source(at).map_or(fill, |source| bits.bit(source)));
    ones.fold(Bits::ZERO, |result, at| set_bit(ty, result, Bits::from(at), true))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rust's own integers, where they have the operation.
    #[test]
    fn the_oracle_agrees_with_rust() {
        let ty = Type::Int(8);
        let bits = |x: i8| Bits::from(x as u8);
        for x in i8::MIN..=i8::MAX {
            for y in i8::MIN..=i8::MAX {
                let binary = |op| binary(op, ty, bits(x), bits(y));
                assert_eq!(binary(BinaryOp::Add), bits(x.wrapping_add(y)));
                assert_eq!(binary(BinaryOp::Sub), bits(x.wrapping_sub(y)));
                assert_eq!(binary(BinaryOp::Mul), bits(x.wrapping_mul(y)));
                assert_eq!(binary(BinaryOp::SaturatingAdd), bits(x.saturating_add(y)));
                assert_eq!(binary(BinaryOp::SaturatingSub), bits(x.saturating_sub(y)));
                assert_eq!(binary(BinaryOp::SaturatingMul), bits(x.saturating_mul(y)));
                assert_eq!(binary(BinaryOp::Min), bits(x.min(y)));
                assert_eq!(binary(BinaryOp::Xor), bits(x ^ y));
                if y != 0 {
                    assert_eq!(binary(BinaryOp::Div), bits(x.wrapping_div(y)));
                    assert_eq!(binary(BinaryOp::Rem), bits(x.wrapping_rem(y)));
                }
                let numbers = (Number::of(ty, bits(x)), Number::of(ty, bits(y)));
                assert_eq!(overflows(OverflowOp::Add, ty, numbers.0, numbers.1), x.checked_add(y).is_none());
                assert_eq!(overflows(OverflowOp::Mul, ty, numbers.0, numbers.1), x.checked_mul(y).is_none());
                assert_eq!(compare(CompareOp::Lt, ty, bits(x), bits(y)), x < y);
                let by = u32::from(y as u8);
                assert_eq!(shift(ShiftOp::RotateLeft, ty, bits(x), bits(y)), bits(x.rotate_left(by)));
                assert_eq!(shift(ShiftOp::Right, ty, bits(x), bits(y)), bits(x >> by.min(7)));
                assert_eq!(shift(ShiftOp::Left, ty, bits(x), bits(y)), bits(x.checked_shl(by).unwrap_or(0)));
            }
            assert_eq!(unary(UnaryOp::Abs, ty, bits(x)), bits(x.wrapping_abs()));
            assert_eq!(unary(UnaryOp::Signum, ty, bits(x)), bits(x.signum()));
            assert_eq!(unary(UnaryOp::Not, ty, bits(x)), bits(!x));
            assert_eq!(unary(UnaryOp::ReverseBits, ty, bits(x)), bits(x.reverse_bits()));
            assert_eq!(unary(UnaryOp::SaturatingNeg, ty, bits(x)), bits(x.saturating_neg()));
            assert_eq!(bit_count(BitCountOp::LeadingZeros, ty, bits(x)), Bits::from(x.leading_zeros()));
            assert_eq!(bit_count(BitCountOp::TrailingOnes, ty, bits(x)), Bits::from(x.trailing_ones()));
            assert_eq!(test(TestOp::NegOverflows, ty, bits(x)), x.checked_neg().is_none());
        }
        for x in 0..=u16::MAX {
            assert_eq!(unary(UnaryOp::Sqrt, Type::Uint(16), Bits::from(x)), Bits::from(x.isqrt()));
            assert_eq!(unary(UnaryOp::SwapBytes, Type::Uint(16), Bits::from(x)), Bits::from(x.swap_bytes()));
        }
        assert_eq!(extremum(ExtremumOp::ArgMinimum, ty, &[3, -1, -1].map(bits)), Bits::from(1u8));
    }
}
