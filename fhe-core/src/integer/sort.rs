//! Order among many words: sorting, smallest and largest, and where they are.

use crate::circuit::{Block, Builder, MAX_NORM2};
use crate::error::Error;
use crate::integer::array::is_index_type;
use crate::integer::select::{pick, step};
use crate::integer::word::agree;
use crate::integer::{Form, Word, compare};
use crate::types::{MESSAGE_BITS, Type};

/// Largest squared norm of a digit that is exchanged: it grows by one, to what operations accept.
const MAX_EXCHANGED: u64 = 11;

/// Most words that are sorted by their ranks.
const MAX_RANKED: usize = 8;

/// The words in ascending order.
///
/// In latency form up to 8 words by their ranks: see `sort_by_rank`. Otherwise Batcher's merge exchange: about m·log₂²m/4 comparisons and exchanges for m words (5 for 4, 19 for 8, 63 for 16), in
/// log₂m·(log₂m + 1)/2 rounds. A comparison and exchange of n digits takes n bootstraps for the exchange, and for the
/// comparison 2n/3 in the first round and n in the others, where digits are sums of several leaves.
#[must_use]
pub fn sort(b: &mut Builder, words: &[Word], form: Form) -> Vec<Word> {
    let mut words = words.to_vec();
    if !agree(b, "sort", &words.iter().collect::<Vec<_>>()) {
        return words;
    }
    if form == Form::Latency && words.len() <= MAX_RANKED {
        return sort_by_rank(b, &words, form);
    }
    for (i, j) in merge_exchange(words.len()) {
        let (small, large) = exchange(b, &words[i], &words[j], form);
        (words[i], words[j]) = (small, large);
    }
    words
}

/// Every word at the place that is the number of words before it: comparisons of all pairs, a flag for each word and
/// place, and a choice among m words for each of m places, in two levels more than a comparison. About n·m(3m - 3)/2
/// bootstraps for m words of n digits.
fn sort_by_rank(b: &mut Builder, words: &[Word], form: Form) -> Vec<Word> {
    let ranks = ranks(b, &words.iter().collect::<Vec<_>>(), Order::Least, form);
    let items: Vec<&[Block]> = words.iter().map(|word| &word.blocks[..]).collect();
    let place = |(word, rank): (&Word, i64)| {
        let flags = at_rank(b, &ranks, rank);
        Word { ty: word.ty, blocks: pick_all(b, &flags, &items) }
    };
    words.iter().zip(0..).map(place).collect()
}

/// The comparisons (i, j), i < j, that sort `m` values: Knuth, The Art of Computer Programming 3, algorithm 5.2.2 M.
fn merge_exchange(m: usize) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    let top = m.next_power_of_two() / 2;
    let mut p = top;
    while p > 0 {
        let (mut q, mut r, mut d) = (top, 0, p);
        loop {
            pairs.extend((0..m.saturating_sub(d)).filter(|i| i & p == r).map(|i| (i, i + d)));
            if q == p {
                break;
            }
            (d, r) = (q - p, p);
            q /= 2;
        }
        p /= 2;
    }
    pairs
}

/// The smaller and the larger of two words: for c = (y < x), x - c(x - y) and y + c(x - y).
fn exchange(b: &mut Builder, x: &Word, y: &Word, form: Form) -> (Word, Word) {
    let (mut x, mut y) = (x.clone(), y.clone());
    for (x, y) in x.blocks.iter_mut().zip(&mut y.blocks) {
        while (&*x - &*y).norm2() > MAX_NORM2 / 2 || x.norm2().max(y.norm2()) > MAX_EXCHANGED {
            let noisy = if x.norm2() > y.norm2() { &mut *x } else { &mut *y };
            *noisy = b.refresh(&noisy.clone());
        }
    }
    let swapped = compare::lt(b, &y, &x, form);
    let digits = x.blocks.iter().zip(&y.blocks).map(|(x, y)| {
        let range = x.low().min(y.low())..=x.high().max(y.high());
        let difference = step(b, &swapped.blocks[0], x, y);
        ((x - &difference).within(range.clone()), (y + &difference).within(range))
    });
    let (small, large) = digits.unzip();
    (Word { ty: x.ty, blocks: small }, Word { ty: y.ty, blocks: large })
}

/// The smallest of the words: m - 1 comparisons and choices, in rounds of pairs, or of fours in latency form.
#[must_use]
pub fn minimum(b: &mut Builder, words: &[Word], form: Form) -> Word {
    extreme(b, "minimum", words, Order::Least, form).value
}

/// The largest of the words, as [`minimum`].
#[must_use]
pub fn maximum(b: &mut Builder, words: &[Word], form: Form) -> Word {
    extreme(b, "maximum", words, Order::Greatest, form).value
}

/// The index of the first smallest word, in the unsigned type `ty`, wrapping. As [`minimum`], and one bootstrap for each
/// digit of the index and each choice but the first.
#[must_use]
pub fn arg_min(b: &mut Builder, words: &[Word], ty: Type, form: Form) -> Word {
    arg_extreme(b, "arg_min", words, Order::Least, ty, form)
}

/// The index of the first largest word, as [`arg_min`].
#[must_use]
pub fn arg_max(b: &mut Builder, words: &[Word], ty: Type, form: Form) -> Word {
    arg_extreme(b, "arg_max", words, Order::Greatest, ty, form)
}

#[derive(Clone, Copy)]
enum Order {
    Least,
    Greatest,
}

impl Order {
    /// Whether `later` goes before `earlier`: not if they are equal.
    fn overtakes(self, b: &mut Builder, later: &Word, earlier: &Word, form: Form) -> Block {
        let truth = match self {
            Self::Least => compare::lt(b, later, earlier, form),
            Self::Greatest => compare::lt(b, earlier, later, form),
        };
        truth.blocks[0].clone()
    }
}

/// A word and its index, in as many digits as all indices need.
#[derive(Clone)]
struct Contender {
    value: Word,
    place: Vec<Block>,
}

fn arg_extreme(b: &mut Builder, operation: &str, words: &[Word], order: Order, ty: Type, form: Form) -> Word {
    if !is_index_type(b, operation, ty) {
        return Word::constant(ty, 0);
    }
    let mut blocks = extreme(b, operation, words, order, form).place;
    blocks.resize(ty.blocks(), Block::constant(0));
    Word { ty, blocks }
}

fn extreme(b: &mut Builder, operation: &str, words: &[Word], order: Order, form: Form) -> Contender {
    if words.is_empty() {
        b.fail(Error::InvalidOperand { operation: operation.to_owned(), reason: "no elements".to_owned() });
    }
    let nothing = Contender {
        value: words.first().map_or_else(|| Word::constant(Type::Bool, 0), Word::clone),
        place: Vec::new(),
    };
    if words.is_empty() || !agree(b, operation, &words.iter().collect::<Vec<_>>()) {
        return nothing;
    }
    let places = Type::Uint(words.len().next_power_of_two().ilog2().next_multiple_of(MESSAGE_BITS));
    let numbered =
        |(i, word): (usize, &Word)| Contender { value: word.clone(), place: Word::constant(places, i as u64).blocks };
    let mut contenders: Vec<Contender> = words.iter().enumerate().map(numbered).collect();
    let fan_in = if form == Form::Latency { 4 } else { 2 };
    while contenders.len() > 1 {
        contenders = contenders.chunks(fan_in).map(|group| first_of(b, group, order, form)).collect();
    }
    contenders.into_iter().next().unwrap_or(nothing)
}

/// The contender that no other goes before: comparisons of all pairs, a flag for each contender, and one choice.
fn first_of(b: &mut Builder, group: &[Contender], order: Order, form: Form) -> Contender {
    let values: Vec<&Word> = group.iter().map(|contender| &contender.value).collect();
    let ranks = ranks(b, &values, order, form);
    let flags = at_rank(b, &ranks, 0);
    let places: Vec<&[Block]> = group.iter().map(|contender| &contender.place[..]).collect();
    let values: Vec<&[Block]> = group.iter().map(|contender| &contender.value.blocks[..]).collect();
    let ty = group.first().map_or(Type::Bool, |contender| contender.value.ty);
    Contender { value: Word { ty, blocks: pick_all(b, &flags, &values) }, place: pick_all(b, &flags, &places) }
}

/// For each word, how many go before it, equal ones in the order they are given in: a comparison of every pair.
fn ranks(b: &mut Builder, words: &[&Word], order: Order, form: Form) -> Vec<Block> {
    let mut ranks = vec![Block::constant(0); words.len()];
    for (i, j) in (0..words.len()).flat_map(|j| (0..j).map(move |i| (i, j))) {
        let overtaken = order.overtakes(b, words[j], words[i], form);
        ranks[i] = &ranks[i] + &overtaken;
        ranks[j] = &(&ranks[j] - &overtaken) + 1;
    }
    ranks
}

/// For each rank, whether it is `rank`.
fn at_rank(b: &mut Builder, ranks: &[Block], rank: i64) -> Vec<Block> {
    let flag = |at: &Block| match (at.low(), at.high(), rank) {
        (0, 1, 0) => &-at + 1,
        (0, 1, 1) => at.clone(),
        _ => b.lookup(at, |at| i64::from(at == rank)),
    };
    ranks.iter().map(flag).collect()
}

/// The digits of the item whose flag is 1.
fn pick_all(b: &mut Builder, flags: &[Block], items: &[&[Block]]) -> Vec<Block> {
    let length = items.first().map_or(0, |item| item.len());
    (0..length).map(|k| pick(b, flags, &items.iter().map(|item| &item[k]).collect::<Vec<_>>())).collect()
}
