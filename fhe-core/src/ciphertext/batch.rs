//! Rows of named columns.

use std::ops::Range;

use super::Column;
use crate::error::{Error, Result};
use crate::params::Scheme;

/// Rows of named columns, in the order in which they were inserted: the inputs or the outputs of a program.
///
/// ```
/// use fhe_core::{Batch, ClientKey, ParameterSet};
///
/// let client = ClientKey::simulated(ParameterSet::default());
/// let batch = Batch::new().with("age", client.encrypt(&[31u8, 64])?)?.with("member", client.encrypt(&[true, false])?)?;
/// assert_eq!((batch.rows(), batch.names().collect::<Vec<_>>()), (2, vec!["age", "member"]));
/// assert_eq!(client.decrypt::<u8>(batch.column("age")?)?, [31, 64]);
/// # Ok::<(), fhe_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    columns: Vec<(String, Column)>,
}

impl Batch {
    /// A batch without columns.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column.
    ///
    /// Noise is counted as if different columns, and the blocks of each, were encrypted independently. To use a value
    /// twice, read one input twice in the program instead of adding its ciphertexts under two names.
    ///
    /// # Errors
    /// [`Error::BadName`] for a name that is empty or used twice; [`Error::RowCount`] and
    /// [`Error::ParameterMismatch`] if the column differs from those before it in rows or scheme.
    pub fn insert(&mut self, name: &str, column: Column) -> Result<()> {
        let bad = |problem| Err(Error::BadName { name: name.to_owned(), problem });
        if name.is_empty() {
            return bad("empty");
        }
        if self.names().any(|known| known == name) {
            return bad("used twice");
        }
        if let Some((_, first)) = self.columns.first() {
            if column.rows() != first.rows() {
                let name = name.to_owned();
                return Err(Error::RowCount { name, found: column.rows(), expected: first.rows() });
            }
            first.scheme().expect("the batch", column.scheme(), || format!("column `{name}`"))?;
        }
        self.columns.push((name.to_owned(), column));
        Ok(())
    }

    /// The batch with one more column.
    ///
    /// # Errors
    /// Those of [`insert`](Self::insert).
    pub fn with(mut self, name: &str, column: Column) -> Result<Self> {
        self.insert(name, column)?;
        Ok(self)
    }

    /// The column of that name.
    ///
    /// # Errors
    /// [`Error::NoSuchColumn`], listing the names there are.
    pub fn column(&self, name: &str) -> Result<&Column> {
        let column = self.columns.iter().find(|(known, _)| known == name);
        column.map(|(_, column)| column).ok_or_else(|| self.no_such_column(name))
    }

    /// Removes the column of that name and returns it.
    ///
    /// # Errors
    /// [`Error::NoSuchColumn`], listing the names there are.
    pub fn take(&mut self, name: &str) -> Result<Column> {
        let index = self.columns.iter().position(|(known, _)| known == name);
        index.map(|index| self.columns.remove(index).1).ok_or_else(|| self.no_such_column(name))
    }

    fn no_such_column(&self, name: &str) -> Error {
        Error::NoSuchColumn { name: name.to_owned(), columns: self.names().collect::<Vec<_>>().join(", ") }
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// Names and columns, in order.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &Column)> {
        self.columns.iter().map(|(name, column)| (name.as_str(), column))
    }

    /// Number of rows; 0 without columns.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, column)| column.rows())
    }

    /// What the words of all columns are; `None` without columns.
    #[must_use]
    pub fn scheme(&self) -> Option<Scheme> {
        self.columns.first().map(|(_, column)| column.scheme())
    }

    /// A copy of the rows in `range`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the range ends after the last row or before its start.
    pub fn slice(&self, range: Range<usize>) -> Result<Self> {
        if self.columns.is_empty() && range != (0..0) {
            return Err(Error::Shape { what: "end of a range of rows", found: range.end, expected: 0 });
        }
        let slice = |(name, column): &(String, Column)| Ok((name.clone(), column.slice(range.clone())?));
        Ok(Self { columns: self.columns.iter().map(slice).collect::<Result<_>>()? })
    }
}
