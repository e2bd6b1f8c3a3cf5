//! Arrays of words: reading and writing at an encrypted index.

use crate::circuit::{Block, Builder};
use crate::error::Error;
use crate::integer::boolean::any_nonzero;
use crate::integer::select::{choose, pick_by_digit};
use crate::integer::table::{MAX_DIGITS, tabulate};
use crate::integer::word::agree;
use crate::integer::{Form, Word, compare};
use crate::torus::BOXES;
use crate::types::{MESSAGE_BITS, MESSAGE_MODULUS, Type};

/// `words[index]` for an unsigned index; 0 where the index is past the end.
///
/// * A tree of choices by the digits of the index: m - 1 bootstraps per digit of m words and one per digit of the
///   index. If the index can be past the end, one more per digit and a comparison, after which the result is fresh.
/// * Up to 256 words in the clear: a [`table`](crate::integer::table()).
#[must_use]
pub fn index(b: &mut Builder, words: &[Word], index: &Word, form: Form) -> Word {
    let Some(ty) = words.first().map(|word| word.ty) else {
        b.fail(Error::InvalidOperand { operation: "index".to_owned(), reason: "no elements".to_owned() });
        return Word::constant(Type::Bool, 0);
    };
    if !agree(b, "index", &words.iter().collect::<Vec<_>>()) || !agree_index(b, "index", index) {
        return Word::constant(ty, 0);
    }
    let (low, above) = index.blocks.split_at(index.blocks.len().min(MAX_DIGITS));
    let is_known = words.iter().all(|word| word.blocks.iter().all(|digit| digit.as_constant().is_some()));
    let (blocks, over) = if is_known && words.len() <= 1 << (MESSAGE_BITS as usize * MAX_DIGITS) {
        let digit =
            |place: usize, k: usize| words.get(place).and_then(|word| word.blocks[k].as_constant()).unwrap_or(0);
        (tabulate(b, low, ty, &digit, form), any_nonzero(b, above.to_vec()))
    } else {
        let over = if reaches(index, words.len()) {
            compare::ge(b, index, &Word::constant(index.ty, words.len() as u64), form).blocks.swap_remove(0)
        } else {
            Block::constant(0)
        };
        (read_by_digits(b, words, index, form), over)
    };
    Word { ty, blocks: blocks.iter().map(|digit| unless(b, &over, digit)).collect() }
}

/// `words[index]` for an index that is not past the end.
fn read_by_digits(b: &mut Builder, words: &[Word], index: &Word, form: Form) -> Vec<Block> {
    let mut items: Vec<Vec<Block>> = words.iter().map(|word| word.blocks.clone()).collect();
    // The flags of the higher digits are there before they are needed.
    let mut stage = form;
    for digit in &index.blocks {
        if items.len() == 1 {
            break;
        }
        items = items.chunks(MESSAGE_MODULUS as usize).map(|group| pick_digits(b, digit, group, stage)).collect();
        stage = Form::Throughput;
    }
    items.swap_remove(0)
}

/// The item, one digit list of several, that `digit` names.
pub(super) fn pick_digits(b: &mut Builder, digit: &Block, items: &[Vec<Block>], form: Form) -> Vec<Block> {
    let length = items.first().map_or(0, Vec::len);
    (0..length)
        .map(|k| {
            let column: Vec<&Block> = items.iter().map(|item| &item[k]).collect();
            pick_by_digit(b, digit, &column, form)
        })
        .collect()
}

/// The array with `words[index]` replaced by `value`, for an unsigned index; the same array where it is past the end.
///
/// One bootstrap per digit of every word, and the flags of the index: two for every three words, in as many levels as
/// the index has digits; in latency form one for every word, in two levels.
#[must_use]
pub fn write(b: &mut Builder, words: &[Word], index: &Word, value: &Word, form: Form) -> Vec<Word> {
    let operands: Vec<&Word> = words.iter().chain([value]).collect();
    if !agree(b, "write", &operands) || !agree_index(b, "write", index) {
        return words.to_vec();
    }
    let flags = one_hot(b, &index.blocks, words.len(), form);
    let replace = |(word, flag): (&Word, &Block)| {
        let digits = value.blocks.iter().zip(&word.blocks).map(|(new, old)| choose(b, flag, new, old));
        Word { ty: word.ty, blocks: digits.collect() }
    };
    words.iter().zip(&flags).map(replace).collect()
}

/// For each i < `count`, whether the digits make i, as a block in 0..=1.
///
/// The digits above those that i < `count` needs have to be 0, which is one flag.
fn one_hot(b: &mut Builder, digits: &[Block], count: usize, form: Form) -> Vec<Block> {
    let mut needed = 0;
    while needed < digits.len() && count.saturating_sub(1) >> (MESSAGE_BITS as usize * needed) > 0 {
        needed += 1;
    }
    let (low, above) = digits.split_at(needed);
    let within = &-&any_nonzero(b, above.to_vec()) + 1;
    let reached = 1usize.checked_shl(MESSAGE_BITS * needed as u32).map_or(count, |reached| reached.min(count));
    let mut flags = match form {
        Form::Throughput => one_hot_tree(b, low, reached, within),
        Form::Latency => (0..reached).map(|i| equals(b, low, i, &within)).collect(),
    };
    flags.resize(count, Block::constant(0));
    flags
}

/// From the highest digit down, the flags of all numbers with the digits so far: each gives four, by two bootstraps on
/// 4·flag + digit.
fn one_hot_tree(b: &mut Builder, digits: &[Block], count: usize, within: Block) -> Vec<Block> {
    let mut flags = vec![within];
    for (k, digit) in digits.iter().enumerate().rev() {
        let numbers = count.div_ceil(1 << (MESSAGE_BITS as usize * k));
        flags = (0..numbers as i64)
            .map(|i| {
                let parent = &flags[(i / MESSAGE_MODULUS) as usize];
                let expected = MESSAGE_MODULUS + i % MESSAGE_MODULUS;
                b.lookup_sum(&[(parent, MESSAGE_MODULUS), (digit, 1)], 0, |form| i64::from(form == expected))
            })
            .collect();
    }
    flags.truncate(count);
    flags
}

/// Whether the digits make `number` and `within` is 1: one table for every two digits, which all numbers share, and one
/// on their sum.
fn equals(b: &mut Builder, digits: &[Block], number: usize, within: &Block) -> Block {
    let mut sum = within.clone();
    for (k, pair) in digits.chunks(2).enumerate() {
        let expected = (number >> (2 * MESSAGE_BITS as usize * k)) as i64 % BOXES as i64;
        let is_equal = |form: i64| i64::from(form == expected);
        sum = &sum
            + &match pair {
                [low, high] if high.norm2() > low.norm2() => {
                    let swapped =
                        |form: i64| is_equal(form / MESSAGE_MODULUS + form % MESSAGE_MODULUS * MESSAGE_MODULUS);
                    b.lookup_sum(&[(low, MESSAGE_MODULUS), (high, 1)], 0, swapped)
                }
                [low, high] => b.lookup_sum(&[(high, MESSAGE_MODULUS), (low, 1)], 0, is_equal),
                rest => b.lookup(&rest[0], is_equal),
            };
    }
    let all = 1 + digits.len().div_ceil(2) as i64;
    if sum.high() < all {
        return Block::constant(0);
    }
    let needed = all - sum.low();
    if needed == 1 && sum.high() == all { &sum + (1 - all) } else { b.lookup(&sum, |sum| i64::from(sum == all)) }
}

/// `digit`, or 0 where `flag` is 1: one lookup on digit + 4·flag (2·flag for a truth value), for which the multiple gets a
/// table of its own.
pub(super) fn unless(b: &mut Builder, flag: &Block, digit: &Block) -> Block {
    if let Some(flag) = flag.as_constant() {
        return if flag == 1 { Block::constant(0) } else { digit.clone() };
    }
    let values = digit.high() + 1;
    let flag = b.lookup(flag, |flag| flag * values);
    b.lookup_sum(&[(digit, 1), (&flag, 1)], 0, |form| if form >= values { 0 } else { form })
}

/// Whether `index` can be `count` or more.
fn reaches(index: &Word, count: usize) -> bool {
    let value = index
        .blocks
        .iter()
        .rev()
        .try_fold(0u64, |value, digit| value.checked_mul(MESSAGE_MODULUS as u64)?.checked_add(digit.high() as u64));
    value.is_none_or(|value| value >= count as u64)
}

fn agree_index(b: &mut Builder, operation: &str, index: &Word) -> bool {
    is_index_type(b, operation, index.ty) && agree(b, operation, &[index])
}

/// Whether `ty` is an unsigned integer; records an error if it is not.
pub(super) fn is_index_type(b: &mut Builder, operation: &str, ty: Type) -> bool {
    let fits = matches!(ty, Type::Uint(_));
    if !fits {
        let reason = format!("the index has type {ty}, expected an unsigned integer");
        b.fail(Error::InvalidOperand { operation: operation.to_owned(), reason });
    }
    fits
}
