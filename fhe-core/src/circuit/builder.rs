//! Building the graph of bootstraps: the operations of integers are written against [`Builder`], once for all backends.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use crate::circuit::block::{Block, LeafId};
use crate::error::{Error, Result};
use crate::torus::BOXES;

pub(crate) type FormId = u32;

/// Largest l2 norm in front of a bootstrap, squared: the `max_noise_level` 5 of every supported parameter set.
pub(crate) const MAX_NORM2: u64 = 25;

/// Where the values of a leaf come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// One block of an input.
    Input { input: u32, block: u32 },
    /// A table applied to a form: entry x is the value at x above the form's low end.
    Lookup { form: FormId, values: Vec<i64> },
}

#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) source: Source,
}

/// A distinct linear form in front of a bootstrap, shifted so that its smallest value is 0.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) terms: Vec<(LeafId, i32)>,
    pub(crate) constant: i64,
    /// Largest value; the smallest is 0.
    pub(crate) span: i64,
    /// The lookups on this form.
    pub(crate) lookups: Vec<LeafId>,
    /// The operation that first asked for it, for error messages and listings.
    pub(crate) operation: u32,
}

/// Terms, constant and span of a form.
pub(crate) type FormKey = (Vec<(LeafId, i32)>, i64, i64);

/// Builds blocks out of inputs, constants, linear arithmetic and lookups.
///
/// * Lookups on known values fold; the same lookup on the same form is made once.
/// * A form that would be too noisy or too wide is made of refreshed parts instead ([`Builder::lookup_sum`]).
/// * Errors are kept until [`Builder::check`], so that the integer operations read as formulas.
#[derive(Debug, Default)]
pub struct Builder {
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) forms: Vec<Form>,
    pub(crate) operations: Vec<String>,
    form_ids: HashMap<FormKey, FormId>,
    lookup_ids: HashMap<(FormId, Vec<i64>), LeafId>,
    error: Option<Error>,
}

impl Builder {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the operation that the following lookups belong to, in error messages and listings.
    pub fn begin(&mut self, operation: impl Into<String>) {
        self.operations.push(operation.into());
    }

    /// Block `block` of input `input`, clean, with values in `range`.
    pub fn input(&mut self, input: u32, block: u32, range: RangeInclusive<i64>) -> Block {
        let leaf = self.push_leaf(Source::Input { input, block });
        Block::leaf(leaf, *range.start(), *range.end())
    }

    /// `f(x)`, by one bootstrap (or none, if `x` is known or the same lookup exists).
    ///
    /// `f` is evaluated over the range of `x`: at most 16 values, or up to 32 if it is negacyclic up to a constant,
    /// f(x) + f(x + 16) = s for all x.
    pub fn lookup(&mut self, x: &Block, f: impl Fn(i64) -> i64) -> Block {
        self.lookup_sum(&[(x, 1)], 0, f)
    }

    /// `f(Σ factor·part + constant)`, by one bootstrap. Where the sum is too noisy or has too many values, parts that
    /// are not fresh are refreshed first, the largest contribution first; then fresh ones that share a leaf with another,
    /// so that they no longer do.
    pub fn lookup_sum(&mut self, parts: &[(&Block, i64)], constant: i64, f: impl Fn(i64) -> i64) -> Block {
        let mut parts: Vec<(Block, i64)> = parts.iter().map(|&(block, factor)| (block.clone(), factor)).collect();
        loop {
            let sum = Block::sum(parts.iter().map(|(block, factor)| (block, *factor)), constant);
            if let Some(value) = sum.as_constant() {
                return Block::constant(f(value));
            }
            let (x, scale, offset) = sum.reduced();
            let values: Vec<i64> = x.range().take(2 * BOXES + 1).map(|x| f(scale * x + offset)).collect();
            let fits = fits_table(&values);
            if fits && x.norm2() <= MAX_NORM2 {
                return self.push_lookup(&x, &values);
            }
            let Some(part) = stalest(&parts) else {
                self.fail_at(&x, fits);
                return Block::constant(0);
            };
            parts[part].0 = self.refresh(&parts[part].0.clone());
        }
    }

    /// The same value with the noise of one bootstrap output.
    pub fn refresh(&mut self, x: &Block) -> Block {
        self.lookup_sum(&[(x, 1)], 0, |value| value)
    }

    /// Records `error`, unless there is an earlier one.
    pub fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }

    /// The first error met.
    ///
    /// # Errors
    /// [`Error::NoiseTooHigh`] or [`Error::DegreeTooHigh`], naming the operation.
    pub fn check(&mut self) -> Result<()> {
        self.error.take().map_or(Ok(()), Err)
    }

    fn fail_at(&mut self, x: &Block, fits: bool) {
        let operation = self.operations.last().cloned().unwrap_or_default();
        self.fail(if fits {
            Error::NoiseTooHigh { operation, norm: (x.norm2() as f64).sqrt(), max: (MAX_NORM2 as f64).sqrt() }
        } else {
            Error::DegreeTooHigh { operation, low: x.low(), high: x.high(), boxes: BOXES }
        });
    }

    fn push_leaf(&mut self, source: Source) -> LeafId {
        self.leaves.push(Leaf { source });
        (self.leaves.len() - 1) as LeafId
    }

    fn push_lookup(&mut self, x: &Block, values: &[i64]) -> Block {
        // Tables that differ by a constant or a sign are made of one bootstrap, and so are one leaf.
        let (values, sign, offset) = canonical(values);
        let high = values.iter().copied().max().unwrap_or(0);
        if high == 0 {
            return Block::constant(offset);
        }
        let (constant, span) = (x.offset() - x.low(), x.high() - x.low());
        let form = *self.form_ids.entry((x.terms().to_vec(), constant, span)).or_insert_with(|| {
            self.forms.push(Form {
                terms: x.terms().to_vec(),
                constant,
                span,
                lookups: Vec::new(),
                operation: self.operations.len().saturating_sub(1) as u32,
            });
            (self.forms.len() - 1) as FormId
        });
        let leaf = if let Some(&leaf) = self.lookup_ids.get(&(form, values.clone())) {
            leaf
        } else {
            let leaf = self.push_leaf(Source::Lookup { form, values: values.clone() });
            self.forms[form as usize].lookups.push(leaf);
            self.lookup_ids.insert((form, values), leaf);
            leaf
        };
        &(&Block::leaf(leaf, 0, high) * sign) + offset
    }
}

/// A table as sign·values + constant, with a smallest value of 0, the same values for all tables of which that is true.
pub(crate) fn canonical(values: &[i64]) -> (Vec<i64>, i64, i64) {
    let (low, high) = values.iter().fold((i64::MAX, i64::MIN), |(low, high), &v| (low.min(v), high.max(v)));
    let rising = values.iter().map(|v| v - low);
    let falling = values.iter().map(|v| high - v);
    if rising.clone().le(falling.clone()) { (rising.collect(), 1, low) } else { (falling.collect(), -1, high) }
}

/// The part whose refreshment does most for a sum: the noisiest one that is not fresh, else one that shares a leaf with
/// another. None if that does not help, or cannot be looked up itself.
fn stalest(parts: &[(Block, i64)]) -> Option<usize> {
    let contribution = |&at: &usize| parts[at].0.norm2() * parts[at].1.unsigned_abs().pow(2);
    let stale = (0..parts.len()).filter(|&at| parts[at].0.norm2() > 1).max_by_key(contribution);
    let reads = |at: usize, leaf: LeafId| parts[at].0.terms().iter().any(|term| term.0 == leaf);
    let shares = |at: usize| parts[at].0.terms().iter().any(|term| (0..at).any(|other| reads(other, term.0)));
    let part = stale.or_else(|| (1..parts.len()).find(|&at| shares(at)))?;
    // As it will be looked up: a multiple is as noisy as what it is a multiple of.
    let block = parts[part].0.reduced().0;
    (block.norm2() <= MAX_NORM2 && block.high() - block.low() < BOXES as i64).then_some(part)
}

/// Whether one table can hold these values of consecutive inputs.
pub(crate) fn fits_table(values: &[i64]) -> bool {
    values.len() <= BOXES || paired_sum(values).is_some()
}

/// The constant s with values[x] + values[x + 16] = s, for tables that use the padding bit; 0 for others.
///
/// Such a table holds values[x] - s/2, and every form that reads its output adds s/2 back.
pub(crate) fn paired_sum(values: &[i64]) -> Option<i64> {
    if values.len() <= BOXES {
        return Some(0);
    }
    if values.len() > 2 * BOXES {
        return None;
    }
    let sum = values[0] + values[BOXES];
    values.iter().zip(&values[BOXES..]).all(|(low, high)| low + high == sum).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_fold_and_equal_lookups_are_made_once() {
        let mut b = Builder::new();
        let x = b.input(0, 0, 0..=3);
        assert_eq!(b.lookup(&Block::constant(5), |v| v * v).as_constant(), Some(25));
        let first = b.lookup(&(&x + 1), |v| v & 1);
        assert_eq!(b.lookup(&(&x + 3), |v| v & 1), first);
        assert_eq!(b.forms.len(), 1);
        assert_eq!(b.lookup(&x, |_| 2).as_constant(), Some(2));
    }

    #[test]
    fn noisy_parts_are_refreshed() {
        let mut b = Builder::new();
        let (x, y) = (b.input(0, 0, 0..=3), b.input(0, 1, 0..=3));
        let sum = (&x + &y).within(0..=3);
        let packed = b.lookup_sum(&[(&sum, 4), (&x, 1)], 0, |v| v & 1);
        assert_eq!(b.forms.len(), 2, "16·2 + 9 is more than 25, so the sum is refreshed");
        assert!(packed.norm2() == 1 && b.check().is_ok());
    }

    #[test]
    fn a_multiple_is_refreshed_as_what_it_is_a_multiple_of() {
        let mut b = Builder::new();
        let inputs: Vec<Block> = (0..4).map(|i| b.input(0, i, 0..=1)).collect();
        let one_of_three = Block::sum(inputs[..3].iter().map(|x| (x, 1)), 0).within(0..=1);
        let digit = &one_of_three * 3;
        assert_eq!(digit.norm2(), 27, "more than can be looked up as it is");
        let packed = b.lookup_sum(&[(&digit, 1), (&inputs[3], 4)], 0, |v| v & 5);
        assert!(packed.norm2() == 1 && b.check().is_ok());
    }

    #[test]
    fn a_sum_of_one_leaf_is_looked_up_as_that_leaf() {
        let mut b = Builder::new();
        let x = b.input(0, 0, 0..=3);
        let scaled = b.lookup_sum(&[(&x, 4), (&x, 2)], 1, |v| (v - 1) / 6 * 5 % 4);
        assert_eq!(b.lookup(&x, |v| v * 5 % 4), scaled);
        assert!(b.forms.len() == 1 && b.check().is_ok());
    }

    #[test]
    fn fresh_parts_that_share_a_leaf_are_told_apart() {
        let mut b = Builder::new();
        let (x, y) = (b.input(0, 0, 0..=1), b.input(0, 1, 0..=1));
        let sum = b.lookup_sum(&[(&x, 4), (&y, 1), (&x, 2)], 0, |v| v & 1);
        assert!(sum.norm2() == 1 && b.check().is_ok());
        assert_eq!(b.forms.len(), 2, "36 + 1 is more than 25, 16 + 4 + 1 is not");
    }

    #[test]
    fn what_cannot_be_refreshed_is_an_error_that_names_the_operation() {
        let mut b = Builder::new();
        b.begin("add %1, %2");
        let x = b.input(0, 0, 0..=3);
        let y = b.input(0, 1, 0..=3);
        b.lookup_sum(&[(&x, 5), (&y, 1)], 0, |v| v & 1);
        let error = b.check().unwrap_err();
        assert!(matches!(&error, Error::DegreeTooHigh { operation, high: 18, .. } if operation == "add %1, %2"));
        let (x, y) = (b.input(0, 2, 0..=1), b.input(0, 3, 0..=1));
        b.lookup_sum(&[(&x, 6), (&y, 1)], 0, |v| v);
        assert!(
            matches!(b.check().unwrap_err(), Error::NoiseTooHigh { norm, .. } if (norm - 37f64.sqrt()).abs() < 1e-9)
        );
    }

    #[test]
    fn negacyclic_tables_are_recognised() {
        let over = |f: fn(i64) -> i64| (-15..=15).map(f).collect::<Vec<i64>>();
        assert_eq!(paired_sum(&over(i64::signum)), Some(0));
        assert_eq!(paired_sum(&over(|x| i64::from(x >= 0))), Some(1));
        assert_eq!(paired_sum(&over(|x| x * x)), None);
        assert_eq!(paired_sum(&over(i64::signum)[..16]), Some(0), "up to 16 values fit without a condition");
    }
}
