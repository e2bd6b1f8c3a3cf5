//! The bookkeeping of device memory: size classes, a limit, and blocks that wait to be used again.
//!
//! A block that is given back may still be in use by work that was queued earlier. Whoever takes it next queues work
//! behind that, on the same stream, so nothing has to be waited for, and a run takes no memory from the driver once it
//! has been through the same sizes before.

use std::collections::BTreeMap;

/// Smallest block.
const SMALLEST: usize = 512;

/// Size classes between two powers of two: at most an eighth of a block is wasted.
const CLASSES: usize = 8;

/// Where blocks come from and go to.
pub(crate) trait Source {
    /// What may fail, other than there being too little memory.
    type Error;

    /// `bytes` bytes, or `None` where there are no such many.
    fn allocate(&self, bytes: usize) -> Result<Option<u64>, Self::Error>;

    /// Gives blocks back, once all queued work is done.
    fn free(&self, blocks: &[u64]) -> Result<(), Self::Error>;
}

/// Why there is no block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused<E> {
    /// The limit leaves only that many bytes.
    Limit {
        /// Bytes that are left.
        available: usize,
    },
    /// The limit would allow it, but the source has too little.
    Exhausted,
    /// The source failed.
    Source(E),
}

/// Blocks of one source.
#[derive(Debug)]
pub(crate) struct Pool {
    limit: usize,
    /// Bytes taken from the source.
    held: usize,
    /// Bytes of blocks in use.
    used: usize,
    /// Blocks that wait, by size.
    waiting: BTreeMap<usize, Vec<u64>>,
}

/// The size of the block that holds `bytes` bytes; `None` if no number holds it.
pub(crate) fn size_class(bytes: usize) -> Option<usize> {
    let bytes = bytes.max(SMALLEST);
    bytes.checked_next_multiple_of((1 << bytes.ilog2()) / CLASSES)
}

impl Pool {
    /// A pool that never holds more than `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, held: 0, used: 0, waiting: BTreeMap::new() }
    }

    /// The limit in bytes.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes that may still be taken.
    pub(crate) fn available(&self) -> usize {
        self.limit.saturating_sub(self.used)
    }

    /// A block of that [`size_class`].
    pub(crate) fn take<S: Source>(&mut self, class: usize, source: &S) -> Result<u64, Refused<S::Error>> {
        let waiting = self.waiting.get_mut(&class).and_then(Vec::pop);
        if let Some(block) = waiting {
            self.used += class;
            return Ok(block);
        }
        if class > self.available() {
            return Err(Refused::Limit { available: self.available() });
        }
        if class > self.limit - self.held {
            self.trim(source).map_err(Refused::Source)?;
        }
        let mut block = source.allocate(class).map_err(Refused::Source)?;
        if block.is_none() && self.held > self.used {
            self.trim(source).map_err(Refused::Source)?;
            block = source.allocate(class).map_err(Refused::Source)?;
        }
        let block = block.ok_or(Refused::Exhausted)?;
        self.held += class;
        self.used += class;
        Ok(block)
    }

    /// Takes a block back.
    pub(crate) fn give(&mut self, block: u64, class: usize) {
        self.used -= class;
        self.waiting.entry(class).or_default().push(block);
    }

    /// Gives all waiting blocks back to the source.
    pub(crate) fn trim<S: Source>(&mut self, source: &S) -> Result<(), S::Error> {
        let waiting = std::mem::take(&mut self.waiting);
        self.held = self.used;
        let blocks: Vec<u64> = waiting.into_values().flatten().collect();
        if blocks.is_empty() { Ok(()) } else { source.free(&blocks) }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// Hands out numbers, up to so many bytes.
    struct Counted {
        size: usize,
        next: Cell<u64>,
        freed: RefCell<Vec<u64>>,
    }

    fn counted(size: usize) -> Counted {
        Counted { size, next: Cell::new(0), freed: RefCell::default() }
    }

    impl Source for Counted {
        type Error = ();

        fn allocate(&self, bytes: usize) -> Result<Option<u64>, ()> {
            let outstanding = self.next.get() as usize - self.freed.borrow().len();
            if (outstanding + 1) * bytes > self.size {
                return Ok(None);
            }
            self.next.set(self.next.get() + 1);
            Ok(Some(self.next.get()))
        }

        fn free(&self, blocks: &[u64]) -> Result<(), ()> {
            self.freed.borrow_mut().extend_from_slice(blocks);
            Ok(())
        }
    }

    #[test]
    fn classes_waste_at_most_an_eighth() {
        for bytes in (1..5000).chain((1..200).map(|x| x * 1_234_567)) {
            let class = size_class(bytes).unwrap();
            assert!(class >= bytes && size_class(class) == Some(class), "{bytes}");
            assert!(bytes < SMALLEST || (class - bytes) * CLASSES <= bytes, "{bytes} in {class}");
        }
        assert_eq!((size_class(0), size_class(513), size_class(usize::MAX)), (Some(512), Some(576), None));
    }

    #[test]
    fn blocks_are_used_again() {
        let (source, mut pool) = (counted(1 << 20), Pool::new(4096));
        let first = pool.take(1024, &source).unwrap();
        pool.give(first, 1024);
        assert_eq!(pool.take(1024, &source), Ok(first));
        assert_ne!(pool.take(1024, &source), Ok(first));
        assert_eq!(pool.available(), 2048);
    }

    #[test]
    fn the_limit_holds_and_waiting_blocks_make_room() {
        let (source, mut pool) = (counted(1 << 20), Pool::new(4096));
        let blocks = [(); 4].map(|()| pool.take(1024, &source).unwrap());
        assert_eq!(pool.take(512, &source), Err(Refused::Limit { available: 0 }));
        assert!(source.freed.borrow().is_empty());
        for block in &blocks[..3] {
            pool.give(*block, 1024);
        }
        assert_eq!(pool.take(4096, &source), Err(Refused::Limit { available: 3072 }));
        pool.take(2048, &source).unwrap();
        assert_eq!(source.freed.borrow().len(), 3, "what waited was in the way");
        assert_eq!(pool.available(), 1024);
    }

    #[test]
    fn a_source_with_less_than_the_limit_is_tried_again_without_waiting_blocks() {
        let (source, mut pool) = (counted(2048), Pool::new(1 << 20));
        let (first, second) = (pool.take(1024, &source).unwrap(), pool.take(1024, &source).unwrap());
        assert_eq!(pool.take(1152, &source), Err(Refused::Exhausted));
        pool.give(first, 1024);
        pool.give(second, 1024);
        assert!(pool.take(2048, &source).is_ok());
        assert_eq!(source.freed.borrow().len(), 2);
    }
}
