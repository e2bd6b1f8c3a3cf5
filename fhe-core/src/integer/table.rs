//! Clear tables of up to 256 entries at an encrypted place.

use crate::circuit::{Block, Builder};
use crate::error::Error;
use crate::integer::word::agree;
use crate::integer::{Form, Word};
use crate::torus::BOXES;
use crate::types::{Bits, MESSAGE_BITS, MESSAGE_MODULUS, Type};

/// Largest number of digits of the place.
pub(super) const MAX_DIGITS: usize = 4;

/// `entries[x]` in type `ty`, for x of up to 8 bits and an entry for each of its values.
///
/// Digits of the result that depend on two digits of x or fewer take one lookup, or none where they are a digit of x or
/// its complement. The others are looked up by rows: see `Rows`. A random function of 8 bits takes 15 flags and, for
/// every two digits of the result, 19 bootstraps in four levels; in latency form 17 for every digit, in three levels.
/// One of 6 bits takes 1 and 7.
#[must_use]
pub fn table(b: &mut Builder, x: &Word, entries: &[Bits], ty: Type, form: Form) -> Word {
    if !agree(b, "table", &[x]) {
        return Word::constant(ty, 0);
    }
    let bits = x.ty.bits();
    if x.blocks.len() > MAX_DIGITS || entries.len() != 1 << bits {
        let reason = format!("{} entries for {bits} bits, expected 2^{bits} and 8 bits or fewer", entries.len());
        b.fail(Error::InvalidOperand { operation: "table".to_owned(), reason });
        return Word::constant(ty, 0);
    }
    let digit = |place: usize, k: usize| entries.get(place).map_or(0, |entry| entry.digit(k)) & ty.block_max();
    Word { ty, blocks: tabulate(b, &x.blocks, ty, &digit, form) }
}

/// The digits of type `ty` whose k-th is `entry(value, k)`, for the value that the digits `x` make.
pub(super) fn tabulate(
    b: &mut Builder,
    x: &[Block],
    ty: Type,
    entry: &dyn Fn(usize, usize) -> i64,
    form: Form,
) -> Vec<Block> {
    let columns: Vec<Column> = (0..ty.blocks()).map(|k| Column::new(x, |value| entry(value, k))).collect();
    let mut blocks: Vec<Option<Block>> = columns.iter().map(|column| column.narrow(b, x)).collect();
    let mut wide: Vec<&Column> = Vec::new();
    for (column, _) in columns.iter().zip(&blocks).filter(|(_, block)| block.is_none()) {
        if !wide.contains(&column) {
            wide.push(column);
        }
    }
    for group in wide.chunks(2).flat_map(|pair| pair.chunks(if pays_together(x, pair, form) { 2 } else { 1 })) {
        let digits = lookup_by_rows(b, x, group);
        for (column, digit) in group.iter().zip(digits) {
            let places = columns.iter().zip(&mut blocks).filter(|(other, _)| other == column);
            places.for_each(|(_, place)| *place = Some(digit.clone()));
        }
    }
    blocks.into_iter().map(|block| block.unwrap_or_else(|| Block::constant(0))).collect()
}

/// One digit of the result for every value of x, as a function of the digits of x.
///
/// Digits outside their range count as the nearest one in it, and digits that are equal as the lowest of them, so that a
/// function does not depend on what is known.
#[derive(PartialEq, Eq)]
struct Column(Vec<i64>);

impl Column {
    fn new(x: &[Block], entry: impl Fn(usize) -> i64) -> Self {
        let lowest: Vec<usize> = (0..x.len()).map(|i| x.iter().position(|digit| *digit == x[i]).unwrap_or(i)).collect();
        let reached = |value: usize| {
            let digits = x.iter().zip(&lowest).map(|(digit, &i)| digit_of(value, i).clamp(digit.low(), digit.high()));
            digits.rev().fold(0, |at, digit| at * MESSAGE_MODULUS + digit) as usize
        };
        Self((0..1 << (MESSAGE_BITS as usize * x.len())).map(|value| entry(reached(value))).collect())
    }

    fn at(&self, value: usize) -> i64 {
        self.0.get(value).copied().unwrap_or(0)
    }

    fn depends_on(&self, i: usize) -> bool {
        (0..self.0.len()).any(|value| self.at(value) != self.at(with_digit(value, i, 0)))
    }

    /// The digits of x that the column depends on.
    fn support(&self, digits: usize) -> Vec<usize> {
        (0..digits).filter(|&i| self.depends_on(i)).collect()
    }

    /// The digit of the result, if it depends on two digits of x at most.
    fn narrow(&self, b: &mut Builder, x: &[Block]) -> Option<Block> {
        let support = self.support(x.len());
        if support.len() > 2 {
            return None;
        }
        let place = Place::new(x, &support);
        Some(match support[..] {
            [i] if x[i].range().all(|digit| self.at(place.value(digit)) == digit) => x[i].clone(),
            [i] if x[i].range().all(|digit| self.at(place.value(digit)) == MESSAGE_MODULUS - 1 - digit) => {
                &-&x[i] + (MESSAGE_MODULUS - 1)
            }
            _ => place.lookup(b, |value| self.at(value)),
        })
    }
}

/// Digit `i` of `value`.
fn digit_of(value: usize, i: usize) -> i64 {
    (value >> (MESSAGE_BITS as usize * i)) as i64 % MESSAGE_MODULUS
}

/// `value` with another digit `i`.
fn with_digit(value: usize, i: usize, digit: i64) -> usize {
    let shift = MESSAGE_BITS as usize * i;
    value & !((MESSAGE_MODULUS as usize - 1) << shift) | (digit as usize) << shift
}

/// Up to two digits of x as one form of up to 16 values: 4·high + low, where low is the noisier one.
struct Place<'a> {
    /// Positions in x, the low one first.
    digits: Vec<usize>,
    parts: Vec<(&'a Block, i64)>,
}

impl<'a> Place<'a> {
    fn new(x: &'a [Block], digits: &[usize]) -> Self {
        let mut digits = digits.to_vec();
        digits.sort_by_key(|&i| std::cmp::Reverse(x[i].norm2()));
        let parts = digits.iter().zip([1, MESSAGE_MODULUS]).map(|(&i, weight)| (&x[i], weight)).collect();
        Self { digits, parts }
    }

    fn values(&self) -> usize {
        1 << (MESSAGE_BITS as usize * self.digits.len())
    }

    /// The value of x with these digits and zeros elsewhere.
    fn value(&self, form: i64) -> usize {
        let digit = |position: usize| digit_of(form as usize, position);
        self.digits.iter().enumerate().fold(0, |value, (position, &i)| with_digit(value, i, digit(position)))
    }

    fn lookup(&self, b: &mut Builder, f: impl Fn(usize) -> i64) -> Block {
        b.lookup_sum(&self.parts, 0, |form| f(self.value(form)))
    }
}

/// A function g of two places u and w as k(u) + shape(w), where the shape depends on u: `classes[u]` is its index.
///
/// With a flag h for each shape s but the first, s₀, and for t = s - s₀:
///
/// 2g = 2k(u) + (2s₀ + Σ t)(w) + Σ (2h - 1)·t(w)
///
/// Each product is one table on w + 16h, of 32 values and odd in h, and so negacyclic. So R shapes take R - 1 flags,
/// R - 1 products and a table on w, and one on u where k is not 0.
struct Rows<'a> {
    u: Place<'a>,
    w: Place<'a>,
    k: Vec<i64>,
    classes: Vec<usize>,
    shapes: Vec<Vec<i64>>,
}

impl<'a> Rows<'a> {
    /// With k(u) = g(u, 0) if `shifted`, else with k = 0.
    fn new(x: &'a [Block], split: (&[usize], &[usize]), g: &dyn Fn(usize) -> i64, shifted: bool) -> Self {
        let (u, w) = (Place::new(x, split.0), Place::new(x, split.1));
        let (mut k, mut classes, mut shapes) = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..u.values() as i64 {
            let row: Vec<i64> = (0..w.values() as i64).map(|form| g(u.value(at) | w.value(form))).collect();
            let offset = if shifted { row[0] } else { 0 };
            let shape: Vec<i64> = row.iter().map(|value| value - offset).collect();
            let class = shapes.iter().position(|known| *known == shape).unwrap_or(shapes.len());
            if class == shapes.len() {
                shapes.push(shape);
            }
            k.push(offset);
            classes.push(class);
        }
        Self { u, w, k, classes, shapes }
    }

    /// The split of the digits with the fewest bootstraps.
    fn best(x: &'a [Block], support: &[usize], g: &dyn Fn(usize) -> i64) -> Option<Self> {
        let mut best: Option<Self> = None;
        for (i, j) in (0..support.len()).flat_map(|i| (i + 1..support.len()).map(move |j| (i, j))) {
            let w = [support[i], support[j]];
            let u: Vec<usize> = support.iter().copied().filter(|i| !w.contains(i)).collect();
            for shifted in [false, true] {
                let rows = Self::new(x, (&u, &w), g, shifted);
                if best.as_ref().is_none_or(|best| rows.cost() < best.cost()) {
                    best = Some(rows);
                }
            }
        }
        best
    }

    /// Bootstraps of the sum, with those of flags.
    fn cost(&self) -> usize {
        2 * self.shapes.len() - 1 + usize::from(self.k.iter().any(|&k| k != self.k[0]))
    }

    /// g, or 2g if there are several shapes: the factor is given beside it.
    fn sum(&self, b: &mut Builder) -> (Block, i64) {
        let factor = if self.shapes.len() > 1 { 2 } else { 1 };
        let at = |row: &[i64], form: i64| row.get(form as usize).copied().unwrap_or(0);
        let shapes = &self.shapes;
        let excess = |class: usize, form: i64| at(&shapes[class], form) - at(&shapes[0], form);
        let of_u = b.lookup_sum(&self.u.parts, 0, |form| factor * at(&self.k, form));
        let of_w = b.lookup_sum(&self.w.parts, 0, |form| {
            factor * at(&shapes[0], form) + (1..shapes.len()).map(|class| excess(class, form)).sum::<i64>()
        });
        let mut sum = &of_u + &of_w;
        let boxes = BOXES as i64;
        for class in 1..shapes.len() {
            let is_class = |form: i64| self.classes.get(form as usize) == Some(&class);
            let flag = b.lookup_sum(&self.u.parts, 0, |form| if is_class(form) { boxes } else { 0 });
            let mut parts = self.w.parts.clone();
            parts.push((&flag, 1));
            let product = |form: i64| if form >= boxes { excess(class, form - boxes) } else { -excess(class, form) };
            sum = &sum + &b.lookup_sum(&parts, 0, product);
        }
        (sum, factor)
    }
}

/// Whether digits of the result should be looked up from one sum: if it takes no more bootstraps, or no more levels in
/// latency form.
fn pays_together(x: &[Block], columns: &[&Column], form: Form) -> bool {
    let rows = |columns: &[&Column]| Rows::best(x, &supports(x, columns), &|value| joined(columns, value));
    let Some(together) = rows(columns) else { return false };
    if form == Form::Latency {
        return together.shapes.len() == 1;
    }
    let apart = |column: &[&Column]| rows(column).map_or(0, |rows| rows.cost() + 1);
    together.cost() + 3 <= columns.chunks(1).map(apart).sum()
}

/// The digits of x that any of the columns depends on.
fn supports(x: &[Block], columns: &[&Column]) -> Vec<usize> {
    (0..x.len()).filter(|&i| columns.iter().any(|column| column.depends_on(i))).collect()
}

/// The number that the digits of the result make.
fn joined(columns: &[&Column], value: usize) -> i64 {
    columns.iter().rev().fold(0, |g, column| g * MESSAGE_MODULUS + column.at(value))
}

/// One or two digits of the result that depend on three or four digits of x, from one sum v = g or 2g.
///
/// Two digits make g up to 15 and v = 2g up to 30, even. L = 15·\[v ≥ 16\] is negacyclic, and v - L has 16 values that
/// keep all of g, with its highest bit in the lowest place.
fn lookup_by_rows(b: &mut Builder, x: &[Block], columns: &[&Column]) -> Vec<Block> {
    let boxes = BOXES as i64;
    let Some(rows) = Rows::best(x, &supports(x, columns), &|value| joined(columns, value)) else { return Vec::new() };
    let (sum, factor) = rows.sum(b);
    let max = (0..1 << (MESSAGE_BITS as usize * x.len())).map(|value| joined(columns, value)).max().unwrap_or(0);
    let v = sum.within(0..=factor * max);
    let digit = |g: i64, k: usize| digit_of(g as usize, k);
    if v.high() < boxes {
        return (0..columns.len()).map(|k| b.lookup(&v, |v| digit(v / factor, k))).collect();
    }
    let upper = b.lookup(&v, |v| if v >= boxes { boxes - 1 } else { 0 });
    let folded = (&v - &upper).within(0..=boxes - 1);
    let unfold = |v: i64| v / 2 + v % 2 * boxes / 2;
    (0..columns.len()).map(|k| b.lookup(&folded, |v| digit(unfold(v), k))).collect()
}
