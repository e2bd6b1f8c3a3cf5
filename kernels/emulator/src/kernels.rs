//! The kernels that were compiled in.

use std::ffi::CStr;

use crate::abi::{Kernel, Parameter};

include!(concat!(env!("OUT_DIR"), "/modules.rs"));

/// A kernel, by its C++ entry.
#[derive(Clone, Copy)]
pub struct Compiled {
    entry: &'static Kernel,
}

// SAFETY: entries are constants after the library's initialisers have run.
unsafe impl Send for Compiled {}
// SAFETY: as above.
unsafe impl Sync for Compiled {}

impl Compiled {
    /// Name in C++ and in the PTX.
    pub fn name(self) -> &'static str {
        // SAFETY: the macro `KERNEL` makes it a string constant.
        unsafe { CStr::from_ptr(self.entry.name) }.to_str().unwrap_or("?")
    }

    /// Largest number of threads of a block.
    pub fn threads(self) -> u32 {
        self.entry.threads
    }

    /// Blocks of a cluster.
    pub fn cluster(self) -> u32 {
        self.entry.cluster
    }

    /// Parameters, in order.
    pub fn parameters(self) -> &'static [Parameter] {
        // SAFETY: `Entry` of host.h keeps this many parameters in a constant.
        unsafe { std::slice::from_raw_parts(self.entry.parameters, self.entry.parameter_count as usize) }
    }

    /// Runs the kernel's body for the current thread.
    pub fn entry(self) -> &'static Kernel {
        self.entry
    }
}

/// All kernels.
pub fn all() -> impl Iterator<Item = Compiled> {
    MODULES.iter().flat_map(|first| {
        // SAFETY: the function returns the head of a list of constants, or null.
        let first = unsafe { first().as_ref() };
        // SAFETY: `next` is another one of these constants, or null.
        std::iter::successors(first, |kernel: &&Kernel| unsafe { kernel.next.as_ref() }).map(|entry| Compiled { entry })
    })
}

/// The kernel of that name.
pub fn find(name: &str) -> Option<Compiled> {
    all().find(|kernel| kernel.name() == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_kernels_have_the_same_name() {
        let mut names = HashSet::new();
        for kernel in all() {
            assert!(names.insert(kernel.name()), "{}", kernel.name());
        }
        assert!(names.contains("linear"));
    }
}
