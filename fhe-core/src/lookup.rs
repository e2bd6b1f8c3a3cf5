//! Lookup tables of programmable bootstraps.

use serde::{Deserialize, Serialize};

use crate::torus::BOXES;

/// The table of one programmable bootstrap: 16 torus values and the number of inputs it is meant for.
///
/// Input x (in units of [`DELTA`](crate::torus::DELTA), modulo 32) selects `boxes[x]` for x < 16 and `-boxes[x - 16]`
/// above: the negacyclic rule. A many-LUT table packs F functions: function f fills the boxes from f·16/F on, its
/// inputs are below 16/F, and its value is extracted at box f·16/F (see [`LookupOutput::at`]).
///
/// `domain` is what the compiler proved: inputs are in `0..domain`. Backends may ignore it; the simulation refuses
/// inputs outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LookupTable {
    boxes: [u64; BOXES],
    domain: u8,
}

impl LookupTable {
    /// A table of 16 torus values for inputs in `0..domain`, with `domain` between 1 and 32.
    ///
    /// Returns `None` for another domain.
    #[must_use]
    pub fn new(boxes: [u64; BOXES], domain: usize) -> Option<Self> {
        (1..=2 * BOXES).contains(&domain).then_some(Self { boxes, domain: domain as u8 })
    }

    /// The table of `f` over the inputs `0..16`, with outputs placed on the torus by
    /// [`encode`](crate::torus::encode).
    #[must_use]
    pub fn from_fn(f: impl Fn(i64) -> i64) -> Self {
        let boxes = std::array::from_fn(|x| crate::torus::encode(f(x as i64)));
        Self { boxes, domain: BOXES as u8 }
    }

    /// The 16 torus values.
    #[must_use]
    pub fn boxes(&self) -> &[u64; BOXES] {
        &self.boxes
    }

    /// Inputs are below this bound, which is at most 32.
    #[must_use]
    pub fn domain(&self) -> usize {
        usize::from(self.domain)
    }

    /// The value at `index` in `0..32`, by the negacyclic rule.
    #[must_use]
    pub fn value(&self, index: usize) -> u64 {
        let value = self.boxes[index % BOXES];
        if index % (2 * BOXES) < BOXES { value } else { value.wrapping_neg() }
    }

    /// The accumulator polynomial, N torus words: each box fills N/16 coefficients, centred on the coefficient that
    /// a noiseless input selects.
    ///
    /// Coefficient j holds box ⌊(j + N/32) / (N/16)⌋; the last half box wraps around and is negated.
    ///
    /// # Panics
    /// If N is less than 16, so that there is no coefficient for each box.
    #[must_use]
    pub fn polynomial(&self, polynomial_size: usize) -> Vec<u64> {
        let box_size = polynomial_size / BOXES;
        (0..polynomial_size).map(|j| self.value((j + box_size / 2) / box_size)).collect()
    }
}

/// One bootstrap of a batch, the same for every row: which input it reads, through which table, and where its
/// outputs go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// Index of the keyswitched form that is the input.
    pub input: u32,
    /// Index of the table.
    pub table: u32,
    /// The values extracted from the rotated table, at least one.
    pub outputs: Vec<LookupOutput>,
}

/// One value extracted from a bootstrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupOutput {
    /// Box at which to extract: coefficient `at`·N/16 of the rotated table; 0 for a table with one function.
    pub at: u32,
    /// Slot that receives the ciphertext.
    pub slot: u32,
}

/// A list of linear forms over slots, in compressed rows: form i is Σ coefficient·slot + constant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinearForms {
    ends: Vec<u32>,
    terms: Vec<Term>,
    constants: Vec<u64>,
}

/// One term of a linear form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Term {
    /// The slot that is multiplied.
    pub slot: u32,
    /// By which integer.
    pub coefficient: i32,
}

impl LinearForms {
    /// No forms.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a form with a torus constant; a form without terms is a trivial ciphertext.
    pub fn push(&mut self, terms: impl IntoIterator<Item = Term>, constant: u64) {
        self.terms.extend(terms);
        self.ends.push(self.terms.len() as u32);
        self.constants.push(constant);
    }

    /// Number of forms.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Terms and torus constant of form `index`, or `None` past the end.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<(&[Term], u64)> {
        let end = *self.ends.get(index)? as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        Some((&self.terms[start..end], self.constants[index]))
    }

    /// All forms in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[Term], u64)> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// One more than the largest slot that any form reads; 0 if none reads any.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.terms.iter().map(|term| term.slot as usize + 1).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torus::encode;

    #[test]
    fn boxes_are_centred_and_wrap_negated() {
        let table = LookupTable::from_fn(|x| x + 1);
        let polynomial = table.polynomial(2048);
        assert_eq!(polynomial[0], encode(1));
        assert_eq!(polynomial[63], encode(1));
        assert_eq!(polynomial[64], encode(2));
        assert_eq!(polynomial[2047], encode(-1));
        assert_eq!(polynomial[1984 - 1], encode(16));
    }

    #[test]
    fn forms_keep_their_terms() {
        let mut forms = LinearForms::new();
        forms.push([Term { slot: 4, coefficient: -2 }], 7);
        forms.push([], 9);
        assert_eq!(forms.get(0), Some((&[Term { slot: 4, coefficient: -2 }][..], 7)));
        assert_eq!(forms.get(1), Some((&[][..], 9)));
        assert_eq!((forms.get(2), forms.slots()), (None, 5));
    }
}
