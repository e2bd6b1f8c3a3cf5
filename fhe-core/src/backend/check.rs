//! Checks of arguments that every backend makes before it writes anything.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::lookup::Lookup;
use crate::torus::BOXES;

/// Refuses an index at or past `bound`.
///
/// # Errors
/// [`Error::Shape`] with `what`.
pub fn in_bounds(what: &'static str, index: usize, bound: usize) -> Result<()> {
    if index < bound { Ok(()) } else { Err(Error::Shape { what, found: index, expected: bound }) }
}

/// Refuses a buffer that was made for a key of other dimensions.
///
/// # Errors
/// [`Error::Shape`] with `what`.
pub fn same_size(what: &'static str, found: usize, expected: usize) -> Result<()> {
    if found == expected { Ok(()) } else { Err(Error::Shape { what, found, expected }) }
}

/// `range`, if it is one and ends within `length`.
///
/// # Errors
/// [`Error::Shape`] with `what`.
pub fn sub_range(what: &'static str, range: Range<usize>, length: usize) -> Result<Range<usize>> {
    if range.start <= range.end && range.end <= length {
        return Ok(range);
    }
    Err(Error::Shape { what, found: range.end.max(range.start), expected: length })
}

/// What a list of lookups refers to: each number is one more than the largest index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LookupBounds {
    /// Tables.
    pub tables: usize,
    /// Inputs.
    pub inputs: usize,
    /// Slots written.
    pub slots: usize,
}

impl LookupBounds {
    /// The bounds of `lookups`, after checking that they name one of `tables` tables and boxes that exist.
    ///
    /// # Errors
    /// [`Error::Shape`] for a table or box out of range.
    pub fn new(lookups: &[Lookup], tables: usize) -> Result<Self> {
        let mut bounds = Self::default();
        for lookup in lookups {
            in_bounds("table of a lookup", lookup.table as usize, tables)?;
            bounds.tables = bounds.tables.max(lookup.table as usize + 1);
            bounds.inputs = bounds.inputs.max(lookup.input as usize + 1);
            for output in &lookup.outputs {
                in_bounds("box of a lookup", output.at as usize, BOXES)?;
                bounds.slots = bounds.slots.max(output.slot as usize + 1);
            }
        }
        Ok(bounds)
    }

    /// Checks that a call over `rows` rows finds `tables` tables, `inputs` ciphertexts to read and `slots` to write.
    ///
    /// # Errors
    /// [`Error::Shape`] naming what there is too little of.
    pub fn fit(&self, rows: usize, tables: usize, inputs: usize, slots: usize) -> Result<()> {
        sub_range("tables of lookups", 0..self.tables, tables)?;
        sub_range("inputs of lookups", 0..self.inputs.saturating_mul(rows), inputs)?;
        sub_range("slots written by lookups", 0..self.slots.saturating_mul(rows), slots)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::LookupOutput;

    #[test]
    fn bounds_are_one_more_than_the_largest_index() {
        let outputs = vec![LookupOutput { at: 15, slot: 9 }, LookupOutput { at: 0, slot: 2 }];
        let lookups = [Lookup { input: 3, table: 1, outputs }, Lookup { input: 5, table: 0, outputs: Vec::new() }];
        let bounds = LookupBounds::new(&lookups, 2).unwrap();
        assert_eq!(bounds, LookupBounds { tables: 2, inputs: 6, slots: 10 });
        assert!(bounds.fit(4, 2, 24, 40).is_ok());
        assert!(bounds.fit(4, 1, 24, 40).is_err() && bounds.fit(4, 2, 23, 40).is_err());
        assert!(bounds.fit(4, 2, 24, 39).is_err() && bounds.fit(usize::MAX, 2, 24, 40).is_err());
        assert!(LookupBounds::new(&lookups, 1).is_err());
    }
}
