//! Stacks of coroutines: parts of one mapping, reused from launch to launch.

use std::sync::Arc;
use std::{io, ptr};

/// Of one stack. Kernels with unrolled register arrays need a few KB, with the address sanitizer a hundred.
const BYTES: usize = if cfg!(feature = "asan") { 2 << 20 } else { 256 << 10 };
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
    top: *mut u8,
    #[cfg(not(direct))]
    bottom: *mut u8,
}

impl Part {
    /// End of the stack, a multiple of 16: it grows down from there.
    pub fn top(&self) -> *mut u8 {
        self.top
    }

    /// Its lowest byte, in the guard page.
    #[cfg(not(direct))]
    pub fn bottom(&self) -> *mut u8 {
        self.bottom
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
            let bottom = start.cast::<u8>().wrapping_add(i * BYTES);
            // SAFETY: one page inside the mapping that nothing uses yet.
            if unsafe { libc::mprotect(bottom.cast(), PAGE, libc::PROT_NONE) } != 0 {
                return Err(io::Error::last_os_error());
            }
            let top = bottom.wrapping_add(BYTES - i % COLOURS * COLOUR);
            Ok(Part {
                _mapping: Arc::clone(&mapping),
                top,
                #[cfg(not(direct))]
                bottom,
            })
        })
        .collect()
}
