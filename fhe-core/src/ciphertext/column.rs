//! One encrypted value per row.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::params::Scheme;
use crate::torus::BOXES;
use crate::types::Type;

/// What is known of a block without decrypting it, the same for every row of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlockInfo {
    /// Largest value that the block may hold, at most 15.
    pub degree: u8,
    /// Bound on the variance of its noise, in units of the variance of one bootstrap output. A fresh encryption counts
    /// as 1, a trivial ciphertext as 0.
    pub noise_norm2: u32,
}

impl BlockInfo {
    /// A clean block of a value of type `ty`: its message alone, with the noise of one bootstrap output.
    #[must_use]
    pub fn clean(ty: Type) -> Self {
        Self { degree: ty.block_max() as u8, noise_norm2: 1 }
    }

    /// The noise level of the `tfhe` crate, which counts standard deviations of a bootstrap output: ⌈√norm²⌉.
    #[must_use]
    pub fn noise_level(self) -> u64 {
        let floor = self.noise_norm2.isqrt();
        u64::from(floor) + u64::from(floor * floor < self.noise_norm2)
    }

    /// The bound that holds for both blocks.
    pub(super) fn max(self, other: Self) -> Self {
        Self { degree: self.degree.max(other.degree), noise_norm2: self.noise_norm2.max(other.noise_norm2) }
    }
}

/// The ciphertexts of one name in all rows: one encrypted value of the same type per row.
///
/// Torus words are laid out `[row][block][word]`, blocks least significant first, each of
/// [`Scheme::ciphertext_words`] words: mask, then body. See [`Type::blocks`] for the number of blocks.
#[derive(Clone, PartialEq, Eq)]
pub struct Column {
    ty: Type,
    scheme: Scheme,
    /// A whole number of rows.
    words: Vec<u64>,
    /// One per block of a value.
    infos: Vec<BlockInfo>,
}

impl Column {
    /// A column of the given words, `[row][block][word]`, with a bound for each block of a value.
    ///
    /// # Errors
    /// [`Error::InvalidOperand`] for a type without an encrypted form; [`Error::Shape`] if the words are no whole
    /// number of rows, if there is not one bound per block, or if a degree exceeds 15.
    pub fn from_words(ty: Type, scheme: Scheme, words: Vec<u64>, infos: Vec<BlockInfo>) -> Result<Self> {
        if !ty.is_supported() {
            let reason = format!("there is no encrypted type {ty}");
            return Err(Error::InvalidOperand { operation: "column".to_owned(), reason });
        }
        let blocks = ty.blocks();
        if infos.len() != blocks {
            return Err(Error::Shape { what: "block bounds of a column", found: infos.len(), expected: blocks });
        }
        if let Some(info) = infos.iter().find(|info| usize::from(info.degree) >= BOXES) {
            let found = usize::from(info.degree);
            return Err(Error::Shape { what: "degree of a block", found, expected: BOXES - 1 });
        }
        let words_per_row = blocks * scheme.ciphertext_words();
        if !words.len().is_multiple_of(words_per_row) {
            let expected = words.len().next_multiple_of(words_per_row);
            return Err(Error::Shape { what: "words of a column", found: words.len(), expected });
        }
        Ok(Self { ty, scheme, words, infos })
    }

    /// A column without rows.
    ///
    /// # Errors
    /// [`Error::InvalidOperand`] for a type without an encrypted form.
    pub fn empty(ty: Type, scheme: Scheme) -> Result<Self> {
        // Blocks without number, for a type that is refused.
        let blocks = if ty.is_supported() { ty.blocks() } else { 0 };
        Self::from_words(ty, scheme, Vec::new(), vec![BlockInfo::clean(ty); blocks])
    }

    /// Type of every value.
    #[must_use]
    pub fn ty(&self) -> Type {
        self.ty
    }

    /// What the words are.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.words.len() / self.row_words()
    }

    /// All words, `[row][block][word]`.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Takes the words out.
    #[must_use]
    pub fn into_words(self) -> Vec<u64> {
        self.words
    }

    /// The bounds of each block of a value, least significant first.
    #[must_use]
    pub fn infos(&self) -> &[BlockInfo] {
        &self.infos
    }

    /// Words of one row.
    pub(super) fn row_words(&self) -> usize {
        self.ty.blocks() * self.scheme.ciphertext_words()
    }

    /// The words of one row, `[block][word]`; empty if there is no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[u64] {
        self.get(row, self.row_words())
    }

    /// The words of one block; empty if there is no such row or block.
    #[must_use]
    pub fn block(&self, row: usize, block: usize) -> &[u64] {
        let words = self.scheme.ciphertext_words();
        let start = block.saturating_mul(words);
        self.row(row).get(start..start.saturating_add(words)).unwrap_or_default()
    }

    fn get(&self, index: usize, words: usize) -> &[u64] {
        let start = index.saturating_mul(words);
        self.words.get(start..start.saturating_add(words)).unwrap_or_default()
    }

    /// A copy of the rows in `range`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the range ends after the last row or before its start.
    pub fn slice(&self, range: Range<usize>) -> Result<Self> {
        let (rows, words) = (self.rows(), self.row_words());
        if range.start > range.end || range.end > rows {
            let found = range.end.max(range.start);
            return Err(Error::Shape { what: "end of a range of rows", found, expected: rows.min(range.end) });
        }
        let words = self.words[range.start * words..range.end * words].to_vec();
        Ok(Self { ty: self.ty, scheme: self.scheme, words, infos: self.infos.clone() })
    }

    /// The rows of all columns, one after the other.
    ///
    /// # Errors
    /// [`Error::TypeMismatch`] and [`Error::ParameterMismatch`] if the columns differ in type or scheme;
    /// [`Error::Shape`] if there are none.
    pub fn concat<'a>(columns: impl IntoIterator<Item = &'a Self>) -> Result<Self> {
        let mut columns = columns.into_iter();
        let Some(first) = columns.next() else {
            return Err(Error::Shape { what: "columns to concatenate", found: 0, expected: 1 });
        };
        let mut all = first.clone();
        for (index, column) in columns.enumerate() {
            all.append(column, || format!("column {}", index + 1))?;
        }
        Ok(all)
    }

    /// Adds the rows of `other`, which errors call `name`.
    pub(super) fn append(&mut self, other: &Self, name: impl Fn() -> String) -> Result<()> {
        if other.ty != self.ty {
            return Err(Error::TypeMismatch { name: name(), found: other.ty, expected: self.ty });
        }
        self.scheme.expect("the first column", other.scheme, name)?;
        self.words.extend_from_slice(&other.words);
        for (info, other) in self.infos.iter_mut().zip(&other.infos) {
            *info = info.max(*other);
        }
        Ok(())
    }

    /// Refuses blocks that hold more than their message, or more noise than one bootstrap output: what the inputs of a
    /// program have to be.
    ///
    /// # Errors
    /// [`Error::UncleanCiphertext`], calling the column `name`; the bounds hold for all rows, so row 0 is named.
    pub fn expect_clean(&self, name: &str) -> Result<()> {
        let max_degree = self.ty.block_max() as u64;
        let unclean = |info: &BlockInfo| u64::from(info.degree) > max_degree || info.noise_norm2 > 1;
        self.infos.iter().position(unclean).map_or(Ok(()), |block| {
            Err(Error::UncleanCiphertext {
                name: name.to_owned(),
                row: 0,
                block,
                degree: u64::from(self.infos[block].degree),
                noise_level: self.infos[block].noise_level(),
                max_degree,
            })
        })
    }
}

impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Column")
            .field("ty", &self.ty)
            .field("rows", &self.rows())
            .field("scheme", &self.scheme)
            .field("infos", &self.infos)
            .finish_non_exhaustive()
    }
}
