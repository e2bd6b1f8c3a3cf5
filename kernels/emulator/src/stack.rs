//! Stacks of coroutines: parts of one mapping, reused from launch to launch.

use std::io;
use std::num::NonZeroUsize;
use std::ptr;
use std::sync::Arc;

use corosensei::stack::{Stack, StackPointer};

/// Of one stack. Kernels with unrolled register arrays need a few KB, with the address sanitizer a hundred.
const BYTES: usize = if cfg!(asan) { 2 << 20 } else { 256 << 10 };
const PAGE: usize = 4096;
/// Stacks of equal distance would all use the same few sets of the caches.
const COLOURS: usize = 29;
const COLOUR: usize = 576;

/// Memory for `count` stacks, each above a page that cannot be touched.
struct Mapping {
    start: *mut libc::c_void,
    bytes: usize,
}

// SAFETY: the mapping is only an address range; who uses which part is the stacks' matter.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the whole mapping, and no stack is left: each holds a reference.
        unsafe { libc::munmap(self.start, self.bytes) };
    }
}

/// One stack.
pub struct Part {
    _mapping: Arc<Mapping>,
    base: NonZeroUsize,
    limit: NonZeroUsize,
}

// SAFETY: the range is mapped as long as the part lives, no other part overlaps it, and its lowest page is a guard.
unsafe impl Stack for Part {
    fn base(&self) -> StackPointer {
        self.base
    }
    fn limit(&self) -> StackPointer {
        self.limit
    }
}

/// Maps `count` more stacks.
pub fn stacks(count: usize) -> io::Result<Vec<Part>> {
    let bytes = BYTES * count;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new anonymous mapping at an address that the system chooses.
    let start = unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let mapping = Arc::new(Mapping { start, bytes });
    (0..count)
        .map(|i| {
            let limit = start as usize + i * BYTES;
            // SAFETY: one page inside the mapping that nothing uses yet.
            if unsafe { libc::mprotect(limit as *mut libc::c_void, PAGE, libc::PROT_NONE) } != 0 {
                return Err(io::Error::last_os_error());
            }
            let base = limit + BYTES - i % COLOURS * COLOUR;
            let address = |value| NonZeroUsize::new(value).expect("no mapping starts at 0");
            Ok(Part { _mapping: Arc::clone(&mapping), base: address(base), limit: address(limit) })
        })
        .collect()
}
