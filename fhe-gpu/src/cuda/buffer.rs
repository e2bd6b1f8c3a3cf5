//! Arrays in device memory.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use bytemuck::Pod;
use fhe_core::Result;

use super::device::{Argument, Block, Card};

/// `len` values of type `T` in the memory of one card.
#[derive(Debug)]
pub(crate) struct Buffer<T> {
    block: Block,
    len: usize,
    values: PhantomData<T>,
}

impl<T: Pod> Buffer<T> {
    /// `len` values, unspecified.
    pub(crate) fn new(card: &Arc<Card>, len: usize) -> Result<Self> {
        Ok(Self { block: card.take(len.saturating_mul(size_of::<T>()))?, len, values: PhantomData })
    }

    /// A copy of `data`.
    pub(crate) fn copy(card: &Arc<Card>, data: &[T]) -> Result<Self> {
        let mut buffer = Self::new(card, data.len())?;
        buffer.write(0, data)?;
        Ok(buffer)
    }

    /// The card it lies on.
    pub(crate) fn card(&self) -> &Arc<Card> {
        self.block.card()
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The address of value `index`, for a kernel.
    ///
    /// # Panics
    /// If there is no such value, nor its end.
    pub(crate) fn at(&self, index: usize) -> Argument {
        Argument::Pointer(self.address(index..index))
    }

    fn address(&self, range: Range<usize>) -> u64 {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {} values", self.len);
        self.block.address() + (range.start * size_of::<T>()) as u64
    }

    /// Queues a copy of `data` to the values from `at` on.
    ///
    /// # Panics
    /// If they do not fit.
    pub(crate) fn write(&mut self, at: usize, data: &[T]) -> Result<()> {
        let address = self.address(at..at + data.len());
        // SAFETY: the range was checked to lie in the block.
        unsafe { self.card().copy_in(data, address) }
    }

    /// Copies the values from `at` on to `data`, and waits for them.
    ///
    /// # Panics
    /// If there are too few.
    pub(crate) fn read(&self, at: usize, data: &mut [T]) -> Result<()> {
        let address = self.address(at..at + data.len());
        // SAFETY: the range was checked to lie in the block.
        unsafe { self.card().copy_out(address, data) }
    }

    /// Queues zeros for the first `len` values, of a multiple of four bytes.
    ///
    /// # Panics
    /// If there are too few.
    pub(crate) fn zero(&mut self, len: usize) -> Result<()> {
        let address = self.address(0..len);
        // SAFETY: the range was checked to lie in the block.
        unsafe { self.card().zero(address, len * size_of::<T>()) }
    }
}
