//! What Rust and `host/host.h` share: the same structures, field by field, and the calls between the two.

use std::ffi::{c_char, c_void};

/// Named barriers of a block.
pub const GROUPS: usize = 16;
/// Copy barriers of a block.
pub const COPIES: usize = 16;
/// Blocks of a cluster.
pub const CLUSTER: usize = 16;
/// Bytes of what the check for races tells apart.
#[cfg(feature = "races")]
pub const WORD: u32 = 4;
/// Lanes of a warp.
pub const LANES: usize = 32;

/// A place where threads meet.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Gate {
    /// Counted up when the gate opens.
    pub generation: u32,
    /// Threads that have come since.
    pub arrived: u32,
}

/// What the lanes of a warp must agree on.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Agreement {
    pub arrived: u32,
    pub wait: u32,
    pub detail: u32,
    pub line: u32,
    pub file: *const c_char,
}

/// A warp.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Warp {
    pub gate: Gate,
    pub agreement: Agreement,
    pub lanes: u32,
    pub number: u32,
    pub slots: [[f64; LANES]; 2],
}

/// A named barrier.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Group {
    pub gate: Gate,
    pub threads: u32,
    pub warps: u32,
    pub last_warps: u32,
}

/// A barrier for bulk copies.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Copy {
    pub offset: u32,
    pub phase: u32,
    pub bytes: u32,
    pub to: *mut u8,
    pub from: *const u8,
}

/// A cluster; without clusters, of one block.
#[repr(C)]
pub struct Cluster {
    pub gate: Gate,
    pub blocks: u32,
    pub threads: u32,
    pub scheduler: *mut c_void,
    pub block: [*mut Block; CLUSTER],
}

/// A block.
#[repr(C)]
pub struct Block {
    pub index: [u32; 3],
    pub grid: [u32; 3],
    pub threads: u32,
    /// Threads that have not returned.
    pub live: u32,
    pub rank: u32,
    pub compute: u32,
    pub shared: *mut u8,
    pub shared_bytes: u32,
    pub copies: u32,
    pub cluster: *mut Cluster,
    pub run: *mut c_void,
    pub gate: Gate,
    pub groups: [Group; GROUPS],
    pub copy: [Copy; COPIES],
}

/// A CUDA thread.
#[repr(C, align(64))]
pub struct Thread {
    /// The thread can run when the word there is not `seen`.
    pub gate: *const u32,
    pub seen: u32,
    pub index: u32,
    /// The next one in turn; null if the scheduler chooses.
    pub next: *mut Thread,
    /// Its stack pointer; with `corosensei`, its yielder.
    pub stack: *const c_void,
    pub warp: *mut Warp,
    pub block: *mut Block,
    pub lane: u32,
    pub linear: u32,
    pub wait: u32,
    pub detail: u32,
    pub line: u32,
    pub file: *const c_char,
}

/// What went wrong in a kernel.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Fault {
    pub kind: u32,
    pub width: u32,
    pub address: u64,
    pub base: u64,
    pub bytes: u64,
    pub detail: [u64; 3],
    pub file: *const c_char,
    pub line: u32,
}

/// An argument of a launch, bound to its allocation if it is a pointer.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Argument {
    /// Address in the host's memory: of the value, or what a pointer points to.
    pub at: u64,
    /// First byte of the allocation.
    pub base: u64,
    /// Its size.
    pub bytes: u64,
}

/// A parameter of a kernel.
#[repr(C)]
pub struct Parameter {
    pub size: u32,
    pub pointer: u32,
}

/// A kernel that was compiled in.
#[repr(C)]
pub struct Kernel {
    pub name: *const c_char,
    pub threads: u32,
    pub cluster: u32,
    pub parameter_count: u32,
    pub parameters: *const Parameter,
    pub call: unsafe extern "C" fn(*const Argument),
    pub next: *const Kernel,
}

/// In a `base`: the access needs a closer look.
pub const CLOSER: u64 = 1 << 63;

/// Where a thread waits.
pub mod wait {
    pub const WARP: u32 = 1;
    pub const SHUFFLE: u32 = 2;
    pub const BLOCK: u32 = 3;
    pub const GROUP: u32 = 4;
    pub const CLUSTER: u32 = 5;
    pub const COPY: u32 = 6;
}

unsafe extern "C" {
    /// The C++ side's variable for the thread that runs on this thread of the host.
    #[cfg(not(direct))]
    pub fn fhe_emulator_current() -> *mut *mut Thread;
    #[cfg(test)]
    fn fhe_emulator_layout(of: u32) -> u32;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_have_the_same_layout() {
        let here = [
            size_of::<Thread>(),
            size_of::<Warp>(),
            size_of::<Block>(),
            size_of::<Cluster>(),
            size_of::<Fault>(),
            size_of::<Argument>(),
            size_of::<Kernel>(),
            size_of::<Copy>(),
        ];
        for (of, size) in here.into_iter().enumerate() {
            // SAFETY: the function reads a constant.
            assert_eq!(unsafe { fhe_emulator_layout(of as u32) } as usize, size, "structure {of}");
        }
    }
}
