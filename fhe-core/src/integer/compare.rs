//! Comparisons, on the differences of the digits.

use crate::circuit::{Block, Builder, MAX_NORM2};
use crate::integer::boolean::any_nonzero;
use crate::integer::word::agree;
use crate::integer::{Form, Word};

/// x = y. See [`ne`].
#[must_use]
pub fn eq(b: &mut Builder, x: &Word, y: &Word) -> Word {
    let different = ne(b, x, y);
    Word::truth(&-&different.blocks[0] + 1)
}

/// x ≠ y: whether any of a few linear forms of the digit differences is not 0, two for every three digits.
///
/// Bootstraps for n digits: 2n/3 forms and one table for every 16 of them or so (64 bits: 24), in three levels. With a
/// clear operand n/2 forms; digits compared with 0 or 3 need none (64 bits against 0: 4 bootstraps).
#[must_use]
pub fn ne(b: &mut Builder, x: &Word, y: &Word) -> Word {
    if !agree(b, "eq", &[x, y]) {
        return Word::truth(Block::constant(0));
    }
    let differences = differences(b, x, y);
    let items = zero_tests(b, differences);
    Word::truth(any_nonzero(b, items))
}

/// x < y: whether x - y borrows. For n digits 2n/3 bootstraps in throughput form (see `borrow_chain`), one more for
/// signed values; n/2 with a clear operand. About n bootstraps in log₄ n + 2 levels in latency form.
#[must_use]
pub fn lt(b: &mut Builder, x: &Word, y: &Word, form: Form) -> Word {
    if !agree(b, "lt", &[x, y]) {
        return Word::truth(Block::constant(0));
    }
    let mut differences = differences(b, x, y);
    let top = if x.ty.is_signed() { differences.pop() } else { None };
    let mut differences = without_lowest_run(b, differences);
    if top.is_some() {
        if differences.is_empty() {
            return Word::truth(signed_difference(b, &x.top(), &y.top(), |d| i64::from(d < 0)));
        }
        differences.push(signed_difference(b, &x.top(), &y.top(), |d| d));
    }
    Word::truth(match form {
        Form::Throughput => borrow_chain(b, &differences),
        Form::Latency => borrow_tree(b, &differences),
    })
}

/// x > y, as y < x.
#[must_use]
pub fn gt(b: &mut Builder, x: &Word, y: &Word, form: Form) -> Word {
    lt(b, y, x, form)
}

/// x ≤ y, as not y < x.
#[must_use]
pub fn le(b: &mut Builder, x: &Word, y: &Word, form: Form) -> Word {
    let less = lt(b, y, x, form);
    Word::truth(&-&less.blocks[0] + 1)
}

/// x ≥ y, as not x < y.
#[must_use]
pub fn ge(b: &mut Builder, x: &Word, y: &Word, form: Form) -> Word {
    let less = lt(b, x, y, form);
    Word::truth(&-&less.blocks[0] + 1)
}

/// The digits of x minus those of y; very stale digits are refreshed, so that a difference fits a lookup.
fn differences(b: &mut Builder, x: &Word, y: &Word) -> Vec<Block> {
    let subtract = |(x, y): (&Block, &Block)| {
        let (mut x, mut y) = (x.clone(), y.clone());
        while (&x - &y).norm2() > MAX_NORM2 / 2 && x.norm2().max(y.norm2()) > 1 {
            let noisy = if x.norm2() > y.norm2() { &mut x } else { &mut y };
            *noisy = b.refresh(&noisy.clone());
        }
        &x - &y
    };
    x.blocks.iter().zip(&y.blocks).map(subtract).collect()
}

/// f of the difference of two top digits in two's complement, by one lookup on 4x + y.
fn signed_difference(b: &mut Builder, x: &Block, y: &Block, f: impl Fn(i64) -> i64) -> Block {
    let signed = |digit: i64| if digit >= 2 { digit - 4 } else { digit };
    if x.norm2() > y.norm2() {
        b.lookup_sum(&[(y, 4), (x, 1)], 0, |form| f(signed(form % 4) - signed(form / 4)))
    } else {
        b.lookup_sum(&[(x, 4), (y, 1)], 0, |form| f(signed(form / 4) - signed(form % 4)))
    }
}

/// Non-negative blocks that are all 0 exactly if all `differences` are.
///
/// * A difference of constant sign is its own test.
/// * Two of norm 1: 4d₁ + d₀, whose values are all different.
/// * Three of squared norm 2: 3d₂ + d₁ and d₂ + 3d₀. Both vanish on the multiples of (3, -9, -1) only, and
///   digit differences are in -3..=3. (A detecting matrix, as in coin weighing.)
/// * Any other: by itself.
///
/// [x ≠ 0] is negacyclic up to a constant on -15..=15.
fn zero_tests(b: &mut Builder, differences: Vec<Block>) -> Vec<Block> {
    let mut tests = Vec::new();
    let (mut clear, mut fresh) = (Vec::new(), Vec::new());
    for d in differences {
        if d.low() >= 0 && d.norm2() <= 5 {
            tests.push(d);
        } else if d.high() <= 0 && d.norm2() <= 5 {
            tests.push(-&d);
        } else if d.norm2() <= 1 {
            clear.push(d);
        } else if d.norm2() <= 2 {
            fresh.push(d);
        } else {
            tests.push(nonzero(b, &[(&d, 1)]));
        }
    }
    for pair in clear.chunks(2) {
        tests.push(match pair {
            [low, high] => nonzero(b, &[(high, 4), (low, 1)]),
            rest => nonzero(b, &[(&rest[0], 1)]),
        });
    }
    for group in fresh.chunks(3) {
        if let [low, middle, high] = group {
            tests.push(nonzero(b, &[(high, 3), (middle, 1)]));
            tests.push(nonzero(b, &[(high, 1), (low, 3)]));
        } else {
            tests.extend(group.iter().map(|d| nonzero(b, &[(d, 1)])));
        }
    }
    tests
}

fn nonzero(b: &mut Builder, parts: &[(&Block, i64)]) -> Block {
    b.lookup_sum(parts, 0, |x| i64::from(x != 0))
}

fn negative(b: &mut Builder, parts: &[(&Block, i64)]) -> Block {
    let sum = Block::sum(parts.iter().copied(), 0);
    if sum.low() >= -1 && sum.high() <= 0 && sum.norm2() <= 1 {
        return -&sum;
    }
    b.lookup_sum(parts, 0, |x| i64::from(x < 0))
}

/// Fewer differences whose sum Σ d\[k\]·4^k has the same sign or is 0 or more with it: the lowest ones are left out if
/// they cannot borrow, and become one if they borrow unless they are 0.
fn without_lowest_run(b: &mut Builder, mut d: Vec<Block>) -> Vec<Block> {
    let positive = d.iter().take_while(|d| d.low() >= 0).count();
    d.drain(..positive);
    let run = d.iter().take_while(|d| d.high() <= 0 && d.norm2() <= 5).count();
    if run >= 2 {
        let items = d.drain(..run).map(|d| -&d).collect();
        d.insert(0, -&any_nonzero(b, items));
    }
    d
}

/// Whether Σ d\[k\]·4^k is negative: borrows ripple up from the lowest digit, up to five digits at a time.
fn borrow_chain(b: &mut Builder, d: &[Block]) -> Block {
    let mut borrow = Block::constant(0);
    let mut rest = d;
    while !rest.is_empty() {
        let (next, digits) = borrow_step(b, rest, &borrow);
        borrow = next;
        rest = &rest[digits..];
    }
    borrow
}

/// One step of the chain, with borrow s: the new borrow and the number of digits it covers.
///
/// * Digits of one sign (compared with 0 or with 3): Σd - s < 0, as many as have Σ|d| ≤ 15.
/// * Two of norm 1: 4d₁ + d₀ - s < 0.
/// * Three, by two bootstraps: t = (2d₁ - d₀ + s ≥ 1), then 3d₂ + d₁ - t < 0. For d₁ = 0, t is the borrow of d₀ - s;
///   for other d₁, the sign of d₁ - t is that of d₁. The term 2d₁ sets t for d₁ = 3 and clears it for d₁ = -3, so
///   d₁ - t is in -3..=2 and never outweighs 3d₂.
/// * One: d - s < 0.
fn borrow_step(b: &mut Builder, d: &[Block], borrow: &Block) -> (Block, usize) {
    let (run, sum) = one_sided(d);
    if run >= 2 {
        return (negative(b, &[(&sum, 1), (borrow, -1)]), run);
    }
    if let [d0, d1, ..] = d
        && clear_pair(d1, d0)
    {
        return (negative(b, &[(d1, 4), (d0, 1), (borrow, -1)]), 2);
    }
    if let [d0, d1, d2, ..] = d
        && norm2(&[(d2, 3), (d1, 1)]) < MAX_NORM2
        && norm2(&[(d1, 2), (d0, -1)]) < MAX_NORM2
    {
        let lower = b.lookup_sum(&[(d1, 2), (d0, -1), (borrow, 1)], 0, |x| i64::from(x >= 1));
        let upper = (d1 - &lower).within(-3..=2);
        return (negative(b, &[(d2, 3), (&upper, 1)]), 3);
    }
    (negative(b, &[(&d[0], 1), (borrow, -1)]), 1)
}

/// How many of the lowest differences are of one sign and together fit a lookup beside a borrow, and their sum. Equal
/// neighbours, as sign extension makes them, count once in it: only whether all are 0 matters.
fn one_sided(d: &[Block]) -> (usize, Block) {
    let run = |fits: &dyn Fn(&Block) -> bool| {
        let mut sum = Block::constant(0);
        for (i, next) in d.iter().enumerate() {
            let more = if i > 0 && d[i - 1] == *next { sum.clone() } else { &sum + next };
            if !fits(next) || more.high() - more.low() > 15 || more.norm2() >= MAX_NORM2 {
                return (i, sum);
            }
            sum = more;
        }
        (d.len(), sum)
    };
    let (positive, negative) = (run(&|d| d.low() >= 0), run(&|d| d.high() <= 0));
    if positive.0 > negative.0 { positive } else { negative }
}

/// Whether 4·high + low has 16 values at most and fits the noise beside a borrow.
fn clear_pair(high: &Block, low: &Block) -> bool {
    let span = |d: &Block| d.high() - d.low();
    norm2(&[(high, 4), (low, 1)]) < MAX_NORM2 && 4 * span(high) + span(low) <= 15
}

fn norm2(parts: &[(&Block, i64)]) -> u64 {
    Block::sum(parts.iter().copied(), 0).norm2()
}

/// Whether Σ d\[k\]·4^k is negative: a tree of signs with fan-in 4.
///
/// The sign of a number is that of its highest digit that is not 0, so that of 8s₃ + 4s₂ + 2s₁ + s₀ (in -15..=15, an
/// odd and so negacyclic table) for four signs. Tables hold the signs times those weights, so the norm stays low.
/// In the lowest level a sign is that of one digit, of two of norm 1 (4d₁ + d₀) or of several of one sign (their sum);
/// and two digits take the lowest place of a group by one lookup: d₁ + u for u = sign(3d₁ + d₀)
/// where |3d₁ + d₀| ≤ 3 and 0 elsewhere is in -3..=3 and has the sign of 4d₁ + d₀.
fn borrow_tree(b: &mut Builder, d: &[Block]) -> Block {
    if let [d] = d {
        return negative(b, &[(d, 1)]);
    }
    let mut groups = Vec::new();
    let mut rest = d;
    while !rest.is_empty() {
        let (group, digits) = sign_group(b, rest);
        groups.push(group);
        rest = &rest[digits..];
    }
    while groups.len() > 1 {
        let group = |four: &[Block]| {
            let signs: Vec<Block> =
                four.iter().enumerate().map(|(j, form)| b.lookup(form, |x| x.signum() << j)).collect();
            Block::sum(signs.iter().map(|sign| (sign, 1)), 0)
        };
        groups = groups.chunks(4).map(group).collect();
    }
    groups.first().map_or_else(|| Block::constant(0), |form| negative(b, &[(form, 1)]))
}

/// A form in -15..=15 with the sign of as many of the lowest digits as it takes, and their number.
fn sign_group(b: &mut Builder, d: &[Block]) -> (Block, usize) {
    let mut weight = 1;
    let mut digits = 0;
    let mut form = Block::constant(0);
    if let [d0, d1, ..] = d
        && !clear_pair(d1, d0)
        && norm2(&[(d1, 3), (d0, 1)]) <= MAX_NORM2
    {
        let lower = b.lookup_sum(&[(d1, 3), (d0, 1)], 0, |x| if x.abs() <= 3 { x.signum() } else { 0 });
        form = (d1 + &lower).within(-3..=3);
        (weight, digits) = (4, 2);
    }
    while weight <= 8 && digits < d.len() {
        let rest = &d[digits..];
        let (run, sum) = one_sided(rest);
        let (x, length) = match rest {
            [d0, d1, ..] if run <= 2 && clear_pair(d1, d0) => (Block::sum([(d1, 4), (d0, 1)], 0), 2),
            _ if run >= 2 => (sum, run),
            _ => (rest[0].clone(), 1),
        };
        digits += length;
        form = &form + &b.lookup(&x, |x| x.signum() * weight);
        weight *= 2;
    }
    (form, digits)
}
