//! Values to values: the output of the case that equals an encrypted value.

use std::collections::HashSet;

use crate::circuit::{Block, Builder, MAX_NORM2};
use crate::error::Error;
use crate::integer::table::{MAX_DIGITS, table};
use crate::integer::word::agree;
use crate::integer::{Form, Word, compare};
use crate::types::{Bits, Type};

/// From this number of cases on, a table over all values of x takes fewer bootstraps, by the digits of x.
const TABULATED: [usize; MAX_DIGITS + 1] = [0, 0, 0, 7, 28];

/// Most different outputs in one sum of cases.
const MAX_OUTPUTS: i64 = 15;

/// Most sums that one digit of the output is added up from.
const MAX_PARTS: usize = 4;

/// Most cases in one sum.
const MAX_CASES: usize = 24;

/// The output, in type `ty`, of the case (input, output) whose input equals x, or 0; and whether there is one.
///
/// * A comparison with each input, of which those of pairs of digits are shared; then for every 15 different outputs
///   (and up to 24 cases) one bootstrap per digit of the output.
/// * x of up to 8 bits and many cases: [`table`].
#[must_use]
pub fn match_value(b: &mut Builder, x: &Word, cases: &[(Bits, Bits)], ty: Type, form: Form) -> (Word, Word) {
    lower(b, "match_value", x, cases, Bits::ZERO, ty, form)
}

/// The output of the case whose input equals x, or `default`. As [`match_value`].
#[must_use]
pub fn match_or(b: &mut Builder, x: &Word, cases: &[(Bits, Bits)], default: Bits, ty: Type, form: Form) -> Word {
    lower(b, "match_or", x, cases, default, ty, form).0
}

fn lower(
    b: &mut Builder,
    operation: &str,
    x: &Word,
    cases: &[(Bits, Bits)],
    default: Bits,
    ty: Type,
    form: Form,
) -> (Word, Word) {
    if !agree(b, operation, &[x]) || !are_distinct(b, operation, x.ty, cases) {
        return (Word::constant(ty, 0), Word::truth(Block::constant(0)));
    }
    let tabulated = x.blocks.iter().filter(|digit| digit.as_constant().is_none()).count();
    if x.blocks.len() <= MAX_DIGITS && cases.len() >= TABULATED[tabulated] {
        return tabulate(b, x, cases, default, ty, form);
    }
    let groups: Vec<Group> = group_outputs(cases);
    let sums: Vec<Block> = groups.iter().map(|group| group.sum(b, x)).collect();
    let mut total = |f: &dyn Fn(Option<Bits>) -> i64, none: i64| {
        let parts = sums.iter().zip(&groups).map(|(sum, group)| b.lookup(sum, |at| f(group.output(at)) - none));
        let parts = parts.collect();
        &gather(b, parts) + none
    };
    let digit = |value: Bits, k: usize| value.digit(k) & ty.block_max();
    let blocks = (0..ty.blocks()).map(|k| {
        let digit_or_default = |output: Option<Bits>| digit(output.unwrap_or(default), k);
        total(&digit_or_default, digit(default, k)).within(0..=ty.block_max())
    });
    let blocks = blocks.collect();
    let found = total(&|output| i64::from(output.is_some()), 0).within(0..=1);
    (Word { ty, blocks }, Word::truth(found))
}

/// The sum of blocks of which one at most is not 0, refreshed on the way where there are too many.
fn gather(b: &mut Builder, mut parts: Vec<Block>) -> Block {
    let total = |parts: &[Block]| {
        let low = parts.iter().map(Block::low).min().unwrap_or(0);
        let high = parts.iter().map(Block::high).max().unwrap_or(0);
        Block::sum(parts.iter().map(|part| (part, 1)), 0).within(low.min(0)..=high.max(0))
    };
    while parts.len() > MAX_PARTS {
        parts = parts.chunks(MAX_NORM2 as usize).map(|chunk| b.refresh(&total(chunk))).collect();
    }
    total(&parts)
}

/// Whether the inputs are different values of type `ty`; records an error if they are not.
fn are_distinct(b: &mut Builder, operation: &str, ty: Type, cases: &[(Bits, Bits)]) -> bool {
    let mut seen = HashSet::new();
    let reason = cases.iter().find_map(|&(input, _)| {
        if ty.truncate(input) == input {
            (!seen.insert(input)).then(|| format!("there are two cases for {input:x}"))
        } else {
            Some(format!("{input:x} is no value of type {ty}"))
        }
    });
    let fits = reason.is_none();
    if let Some(reason) = reason {
        b.fail(Error::InvalidOperand { operation: operation.to_owned(), reason });
    }
    fits
}

fn tabulate(b: &mut Builder, x: &Word, cases: &[(Bits, Bits)], default: Bits, ty: Type, form: Form) -> (Word, Word) {
    let (mut outputs, mut found) = (vec![default; 1 << x.ty.bits()], vec![Bits::ZERO; 1 << x.ty.bits()]);
    for &(input, output) in cases {
        let place = input.limbs()[0] as usize;
        (outputs[place], found[place]) = (output, Bits::from(true));
    }
    (table(b, x, &outputs, ty, form), table(b, x, &found, Type::Bool, form))
}

/// Cases that share a sum: Σ i·\[x = input\], where i counts their different outputs from 1.
struct Group {
    outputs: Vec<Bits>,
    /// Inputs, with i.
    inputs: Vec<(Bits, i64)>,
}

/// The cases by their outputs, as many to a group as a lookup takes.
fn group_outputs(cases: &[(Bits, Bits)]) -> Vec<Group> {
    let mut cases = cases.to_vec();
    cases.sort_unstable_by_key(|&(input, output)| (output, input));
    let mut groups: Vec<Group> = Vec::new();
    for (input, output) in cases {
        let has_room = |group: &&mut Group| {
            let is_new = group.outputs.last() != Some(&output);
            group.inputs.len() < MAX_CASES && group.outputs.len() as i64 + i64::from(is_new) <= MAX_OUTPUTS
        };
        let Some(group) = groups.last_mut().filter(has_room) else {
            groups.push(Group { outputs: vec![output], inputs: vec![(input, 1)] });
            continue;
        };
        if group.outputs.last() != Some(&output) {
            group.outputs.push(output);
        }
        group.inputs.push((input, group.outputs.len() as i64));
    }
    groups
}

impl Group {
    /// The output with that number; none for 0.
    fn output(&self, number: i64) -> Option<Bits> {
        usize::try_from(number - 1).ok().and_then(|i| self.outputs.get(i)).copied()
    }

    /// The number of the output for x, or 0. One case at most is met, so the sum is no larger than a number.
    fn sum(&self, b: &mut Builder, x: &Word) -> Block {
        let numbers: Vec<Block> = self
            .inputs
            .iter()
            .map(|&(input, number)| {
                let different = compare::ne(b, x, &Word::constant(x.ty, input));
                b.lookup(&different.blocks[0], |different| number * (1 - different))
            })
            .collect();
        Block::sum(numbers.iter().map(|number| (number, 1)), 0).within(0..=self.outputs.len() as i64)
    }
}
