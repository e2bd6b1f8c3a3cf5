//! Quotients and remainders.

use ruint::aliases::U1024;

use crate::circuit::{Block, Builder};
use crate::integer::boolean::any_nonzero;
use crate::integer::columns::{reduce, subtract};
use crate::integer::multiply::{recoded, scaled};
use crate::integer::non_restoring;
use crate::integer::select::choose;
use crate::integer::sign::{apply_sign, magnitude, sign};
use crate::integer::word::agree;
use crate::integer::{Form, Word};
use crate::types::{MESSAGE_BITS, MESSAGE_MODULUS};

/// The quotient of x and y, truncated and wrapping, and the remainder, which has the sign of x.
///
/// By zero the remainder is x; the quotient has all bits set, but is 1 for a negative x. (So it comes out of the digits,
/// here as in the `tfhe` crate.)
///
/// * Throughput form: bit by bit without restoring the remainder: 4n²/3 bootstraps and 12n more for n digits, see
///   `non_restoring`; up to eight digits two trial subtractions per digit, see `long_division`.
/// * Latency form: one of three multiples per digit, in some seven levels.
/// * Clear divisor: a product with its reciprocal where that is cheaper, see `Reciprocal`.
/// * Signed values: of the magnitudes; 8n more.
#[must_use]
pub fn div_rem(b: &mut Builder, x: &Word, y: &Word, form: Form) -> (Word, Word) {
    if !agree(b, "div", &[x, y]) {
        return (Word::constant(x.ty, 0), Word::constant(x.ty, 0));
    }
    let (x_sign, y_sign) = (sign(b, x), sign(b, y));
    let (dividend, divisor) = (magnitude(b, x, &x_sign, form), magnitude(b, y, &y_sign, form));
    let (quotient, remainder) = unsigned(b, &dividend, &divisor, form);
    let signs = b.lookup_sum(&[(&x_sign, 1), (&y_sign, 1)], 0, |signs| signs & 1);
    let word = |blocks| Word { ty: x.ty, blocks };
    (word(apply_sign(b, quotient, &signs, form)), word(apply_sign(b, remainder, &x_sign, form)))
}

fn unsigned(b: &mut Builder, x: &[Block], y: &[Block], form: Form) -> (Vec<Block>, Vec<Block>) {
    let length = y.len() - y.iter().rev().take_while(|digit| digit.as_constant() == Some(0)).count();
    if length == 0 {
        return (vec![Block::constant(MESSAGE_MODULUS - 1); x.len()], x.to_vec());
    }
    let shortened = &y[..length];
    let is_known = shortened[length - 1].as_constant().is_some();
    // By zero the remainder has all digits of x, so only a divisor that is not 0 may be shortened here.
    let on_paper = if is_known { shortened } else { y };
    // A known divisor divides nothing that is shorter.
    let given = if is_known { length } else { 1 };
    let of_digit = |given: usize| 4 * (given + usize::from(!is_known)).min(on_paper.len() + 1) + 2;
    let by_digits: usize = (given..=x.len()).map(of_digit).sum();
    let by_bits = non_restoring::cost(x.len(), shortened);
    let clear: Option<Vec<i64>> = shortened.iter().map(Block::as_constant).collect();
    if let Some(divisor) = clear
        && let Some(reciprocal) = Reciprocal::new(&divisor, x.len())
        && (form == Form::Latency || reciprocal.cost(x.len()) < by_digits.min(by_bits))
    {
        reciprocal.divide(b, x, &divisor, form)
    } else if form == Form::Throughput && by_bits < by_digits {
        non_restoring::div_rem(b, x, shortened)
    } else {
        long_division(b, x, on_paper, form)
    }
}

/// Digit by digit from the top, as on paper.
///
/// Before each digit of the quotient the remainder R takes in a digit of x; with it, it has no more digits than x has
/// given so far, and no more than y and one. Of the multiples of y only as many digits count, and whether one above them
/// is not 0.
///
/// * Throughput form: R - 2y, then R - y, each kept if it is not negative: for each digit of R one bootstrap for digit and
///   borrow, and one for the choice.
/// * Latency form: R - y, R - 2y and R - 3y at once, then one of the four.
fn long_division(b: &mut Builder, x: &[Block], y: &[Block], form: Form) -> (Vec<Block>, Vec<Block>) {
    let factors: &[i64] = if form == Form::Throughput { &[2, 1] } else { &[1, 2, 3] };
    let multiples: Vec<Multiple> = factors.iter().map(|&factor| Multiple::new(b, y, factor, form)).collect();
    let mut remainder: Vec<Block> = Vec::new();
    let mut quotient = vec![Block::constant(0); x.len()];
    for (k, digit) in x.iter().enumerate().rev() {
        remainder.insert(0, digit.clone());
        let trial = |b: &mut Builder, multiple: &Multiple, remainder: &[Block]| {
            let (rest, negative) = subtract(b, remainder, &multiple.low(remainder.len()), form);
            let over = any_nonzero(b, vec![negative, multiple.above(remainder.len())]);
            (rest, &-&over + 1)
        };
        if let [twice, once] = &multiples[..] {
            for (multiple, weight) in [(twice, 2), (once, 1)] {
                let (rest, fits) = trial(b, multiple, &remainder);
                remainder = choose_all(b, &fits, &rest, &remainder);
                quotient[k] = &quotient[k] + &(&fits * weight);
            }
        } else {
            let trials: Vec<(Vec<Block>, Block)> =
                multiples.iter().map(|multiple| trial(b, multiple, &remainder)).collect();
            let low = choose_all(b, &trials[0].1, &trials[0].0, &remainder);
            let high = choose_all(b, &trials[2].1, &trials[2].0, &trials[1].0);
            remainder = choose_all(b, &trials[1].1, &high, &low);
            quotient[k] = Block::sum(trials.iter().map(|(_, fits)| (fits, 1)), 0);
        }
        quotient[k] = quotient[k].clone().within(0..=MESSAGE_MODULUS - 1);
        remainder.truncate(y.len());
    }
    remainder.resize(x.len(), Block::constant(0));
    (quotient, remainder)
}

/// A clear multiple of the divisor.
struct Multiple {
    digits: Vec<Block>,
    /// Whether any digit from here on is not 0.
    above: Vec<Block>,
}

impl Multiple {
    fn new(b: &mut Builder, y: &[Block], factor: i64, form: Form) -> Self {
        let mut columns: Vec<Vec<Block>> = y.iter().map(|digit| vec![digit * factor]).collect();
        columns.push(Vec::new());
        let digits = reduce(b, columns, form);
        let mut above = vec![Block::constant(0); digits.len() + 1];
        for k in (0..digits.len()).rev() {
            let items = match form {
                Form::Throughput => vec![digits[k].clone(), above[k + 1].clone()],
                Form::Latency => digits[k..].to_vec(),
            };
            above[k] = any_nonzero(b, items);
        }
        Self { digits, above }
    }

    fn low(&self, count: usize) -> Vec<Block> {
        let mut digits = self.digits.clone();
        digits.resize(count.max(digits.len()), Block::constant(0));
        digits.truncate(count);
        digits
    }

    fn above(&self, count: usize) -> Block {
        self.above.get(count).cloned().unwrap_or_else(|| Block::constant(0))
    }
}

pub(super) fn choose_all(b: &mut Builder, flag: &Block, then: &[Block], otherwise: &[Block]) -> Vec<Block> {
    then.iter().zip(otherwise).map(|(x, y)| choose(b, flag, x, y)).collect()
}

/// A clear divisor d as a product and a shift: ⌊x / d⌋ = ⌊x·m / 4^s⌋ for all x of n digits.
///
/// That holds for m = ⌊4^s / d⌋ + 1 if (m·d - 4^s)·4^n ≤ 4^s: then x·m / 4^s is at least x / d, by less than 1 / d.
/// (Granlund and Montgomery, "Division by invariant integers using multiplication", 1994, Theorem 4.2.)
struct Reciprocal {
    /// Digits of m in -2..=2.
    digits: Vec<i64>,
    shift: usize,
}

impl Reciprocal {
    /// The one with the fewest digits that are not 0, as each costs a summand in every column.
    fn new(divisor: &[i64], n: usize) -> Option<Self> {
        let four = |power: usize| U1024::from(1) << (MESSAGE_BITS as usize * power);
        let value = |digits: &[i64]| {
            digits.iter().rev().fold(U1024::ZERO, |value, &digit| (value << MESSAGE_BITS) + U1024::from(digit as u64))
        };
        let d = value(divisor);
        let candidates = (0..=2 * n + 1).filter_map(|shift| {
            let m = four(shift) / d + U1024::from(1);
            if (m * d - four(shift)) * four(n) > four(shift) {
                return None;
            }
            let length = m.bit_len().div_ceil(MESSAGE_BITS as usize) + 1;
            let digit = |k: usize| {
                let at = MESSAGE_BITS as usize * k;
                i64::from(m.bit(at)) + 2 * i64::from(m.bit(at + 1))
            };
            Some(Self { digits: recoded(digit, length), shift })
        });
        candidates.min_by_key(|reciprocal| reciprocal.cost(n))
    }

    /// Bootstraps, about: a digit of x takes a height of 3 or 6 of a column, and 6 cost one.
    fn cost(&self, n: usize) -> usize {
        let weight = self.digits.iter().map(|digit| digit.unsigned_abs() as usize).sum::<usize>();
        weight * n / 2 + n + self.shift
    }

    fn divide(&self, b: &mut Builder, x: &[Block], divisor: &[i64], form: Form) -> (Vec<Block>, Vec<Block>) {
        let length = divisor.len();
        let product = reduce(b, scaled(x, &self.digits, x.len() + self.shift), form);
        let quotient = product[self.shift..].to_vec();
        // The remainder is below the divisor, so its digits modulo 4^length are all of it.
        let factor: Vec<i64> = recoded(|k| divisor.get(k).copied().unwrap_or(0), length).iter().map(|d| -d).collect();
        let mut columns = scaled(&quotient, &factor, length);
        columns.iter_mut().zip(x).for_each(|(column, digit)| column.push(digit.clone()));
        let mut remainder = reduce(b, columns, form);
        remainder.resize(x.len(), Block::constant(0));
        (quotient, remainder)
    }
}
