//! Ciphertexts at rest: columns of one type, and batches of named columns.
//!
//! A [`Column`] holds one encrypted value per row, all of one type; a [`Batch`] holds columns with the same rows under
//! names, which are the names of a program's inputs and outputs. Both convert losslessly from and to the `tfhe`
//! crate's ciphertexts, see [`TfheInput`] and [`TfheValue`].

mod batch;
mod column;
mod convert;
mod file;
#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use column::{BlockInfo, Column};
pub use convert::{TfheInput, TfheValue};
