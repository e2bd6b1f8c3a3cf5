//! Searching in arrays: whether a value is there, how often, and where first.

use crate::circuit::{Block, Builder, MAX_NORM2};
use crate::integer::array::{is_index_type, pick_digits, unless};
use crate::integer::boolean::{any, any_nonzero};
use crate::integer::{Form, Word, arithmetic, compare};
use crate::types::{MESSAGE_MODULUS, Type};

/// Whether any of the words equals `value`: a comparison for each and one table for every 25 of them or so.
#[must_use]
pub fn contains(b: &mut Builder, words: &[Word], value: &Word) -> Word {
    let flags = matches(b, words, value);
    any(b, &flags)
}

/// How many of the words equal `value`, in the unsigned type `ty`, wrapping: a comparison for each, and
/// [`count`](arithmetic::count).
#[must_use]
pub fn count_equal(b: &mut Builder, words: &[Word], value: &Word, ty: Type, form: Form) -> Word {
    let flags = matches(b, words, value);
    arithmetic::count(b, &flags, ty, form)
}

/// The index of the first word that equals `value`, in the unsigned type `ty` and wrapping, and whether there is one;
/// the index is 0 if there is none, as in the `tfhe` crate.
///
/// A comparison for each word and about one bootstrap for each in a tree of groups of four: whether any flag of the
/// group is set, its first set one, and the digits of the index below that, chosen by it.
#[must_use]
pub fn position(b: &mut Builder, words: &[Word], value: &Word, ty: Type, form: Form) -> (Word, Word) {
    if !is_index_type(b, "position", ty) {
        return (Word::constant(ty, 0), Word::truth(Block::constant(0)));
    }
    let flags = matches(b, words, value).into_iter().flat_map(|flag| flag.blocks).collect();
    let (place, found) = first_set(b, flags, form);
    let missing = &-&found + 1;
    let mut blocks: Vec<Block> = place.iter().take(ty.blocks()).map(|digit| unless(b, &missing, digit)).collect();
    blocks.resize(ty.blocks(), Block::constant(0));
    (Word { ty, blocks }, Word::truth(found))
}

fn matches(b: &mut Builder, words: &[Word], value: &Word) -> Vec<Word> {
    words.iter().map(|word| compare::eq(b, word, value)).collect()
}

/// The digits of the index of the first flag that is 1, any digits if there is none, and whether there is one.
fn first_set(b: &mut Builder, mut flags: Vec<Block>, form: Form) -> (Vec<Block>, Block) {
    let mut places: Vec<Vec<Block>> = vec![Vec::new(); flags.len()];
    while flags.len() > 1 {
        let fan_in = MESSAGE_MODULUS as usize;
        let firsts: Vec<Block> = flags.chunks(fan_in).map(|group| first_of_four(b, group)).collect();
        let pick = |(first, group): (&Block, &[Vec<Block>])| {
            let mut place = pick_digits(b, first, group, form);
            place.push(first.clone());
            place
        };
        places = firsts.iter().zip(places.chunks(fan_in)).map(pick).collect();
        flags = flags.chunks(fan_in).map(|group| any_nonzero(b, group.to_vec())).collect();
    }
    let found = flags.pop().unwrap_or_else(|| Block::constant(0));
    (places.pop().unwrap_or_default(), found)
}

/// The index of the first of up to four flags that is 1, by one lookup on 4f₀ + 2f₁ + f₂; the last index if there is
/// none before it. Where flags share leaves, they get their weights from tables.
fn first_of_four(b: &mut Builder, flags: &[Block]) -> Block {
    let Some((_, before)) = flags.split_last() else { return Block::constant(0) };
    if let [only] = before {
        return &-only + 1;
    }
    let last = before.len().saturating_sub(1);
    let weight = |i: usize| 1 << (last - i);
    let sum = Block::sum(before.iter().enumerate().map(|(i, flag)| (flag, weight(i))), 0);
    let sum = if sum.norm2() <= MAX_NORM2 {
        sum
    } else {
        let weighted: Vec<Block> =
            before.iter().enumerate().map(|(i, flag)| b.lookup(flag, |flag| flag * weight(i))).collect();
        Block::sum(weighted.iter().map(|flag| (flag, 1)), 0)
    };
    b.lookup(&sum, |form| (0..before.len()).take_while(|&i| form & weight(i) == 0).count() as i64)
}
