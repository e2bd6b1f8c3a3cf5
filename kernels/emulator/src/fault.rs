//! What can go wrong in a kernel, and how it is told.

use std::ffi::{CStr, c_char};
use std::fmt::Write as _;
use std::sync::Arc;

use crate::abi::{CLOSER, Copy, Fault, Thread, wait};
use crate::driver::codes;
use crate::memory::{Allocation, Memory};

/// Kinds of faults, numbered as `FaultKind` of host.h.
mod kind {
    pub const GLOBAL_ACCESS: u32 = 1;
    pub const SHARED_ACCESS: u32 = 2;
    pub const SHARED_ARRAY: u32 = 3;
    pub const DIVERGENT: u32 = 4;
    pub const SHUFFLE_LANE: u32 = 5;
    pub const GROUP_ID: u32 = 6;
    pub const GROUP_THREADS: u32 = 7;
    pub const GROUP_COUNT: u32 = 8;
    pub const GROUP_WARPS: u32 = 9;
    pub const COPY_BARRIER: u32 = 10;
    pub const COPY_BARRIERS: u32 = 11;
    pub const COPY_BUSY: u32 = 12;
    pub const COPY_ALIGNMENT: u32 = 13;
    pub const COPY_RANGE: u32 = 14;
    pub const COPY_PARITY: u32 = 15;
    pub const CLUSTER_RANK: u32 = 16;
    pub const CAPABILITY: u32 = 17;
    /// Only here: a block ended while a copy was on its way.
    pub const COPY_PENDING: u32 = 100;
}

/// Kind of a fault of the check for races.
pub const RACE: u32 = 101;

/// Why a launch was stopped.
pub enum Failure {
    /// A thread did something wrong.
    Thread {
        /// What.
        fault: Fault,
        /// Its block.
        block: [u32; 3],
        /// Its number in the block.
        thread: u32,
        /// Where its warp's first lane stood, if lanes differ.
        agreement: (u32, u32, Site),
        /// Device addresses of its shared memory, for offsets.
        shared: (u64, u64),
    },
    /// No thread can go on.
    Stuck(Stuck),
}

/// A line of a kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Site {
    file: *const c_char,
    line: u32,
}

impl Site {
    fn text(self) -> String {
        if self.file.is_null() {
            return String::new();
        }
        // SAFETY: the compiler's `__builtin_FILE`, a string constant.
        let file = unsafe { CStr::from_ptr(self.file) }.to_string_lossy();
        let name = file.rsplit('/').next().unwrap_or_default();
        format!(" at {name}:{}", self.line)
    }
}

/// Who waits where, and who has returned.
pub struct Stuck {
    places: Vec<Place>,
}

struct Place {
    block: [u32; 3],
    wait: u32,
    detail: u32,
    site: Site,
    threads: Vec<u32>,
}

impl Stuck {
    /// Of threads that do not run.
    pub fn of(threads: &[Thread]) -> Self {
        let mut places: Vec<Place> = Vec::new();
        for thread in threads {
            let site = Site { file: thread.file, line: thread.line };
            // SAFETY: the block lives as long as its threads.
            let block = unsafe { (*thread.block).index };
            let same = |place: &&mut Place| {
                place.block == block
                    && place.wait == thread.wait
                    && (thread.wait == 0 || place.detail == thread.detail && place.site == site)
            };
            match places.iter_mut().find(same) {
                Some(place) => place.threads.push(thread.linear),
                None => places.push(Place {
                    block,
                    wait: thread.wait,
                    detail: thread.detail,
                    site,
                    threads: vec![thread.linear],
                }),
            }
        }
        Self { places }
    }

    fn text(&self) -> String {
        let copies = self.places.iter().any(|place| place.wait == wait::COPY);
        let mut text = String::from(if copies {
            "deadlock: a phase of a copy barrier never ends, or a barrier is not reached by all:"
        } else {
            "deadlock: barrier not reached by all:"
        });
        for place in &self.places {
            let what = match place.wait {
                0 => String::from("returned"),
                _ => format!("at {}{}", operation(place.wait, place.detail), place.site.text()),
            };
            let [x, y, z] = place.block;
            let _ = write!(text, "\n    block ({x}, {y}, {z}): {} {what}", ranges(&place.threads));
        }
        text
    }
}

fn operation(wait: u32, detail: u32) -> String {
    match wait {
        wait::WARP => "warp_barrier".into(),
        wait::SHUFFLE => "shuffle_xor".into(),
        wait::BLOCK => "block_barrier".into(),
        wait::GROUP => format!("group_barrier {detail}"),
        wait::CLUSTER => "cluster_barrier".into(),
        wait::COPY => format!("copy_wait on the barrier at shared byte {detail}"),
        _ => "?".into(),
    }
}

/// "threads 0..=31, 40".
fn ranges(threads: &[u32]) -> String {
    let mut text = String::from(if threads.len() == 1 { "thread" } else { "threads" });
    let mut i = 0;
    while i < threads.len() {
        let mut end = i;
        while end + 1 < threads.len() && threads[end + 1] == threads[end] + 1 {
            end += 1;
        }
        let separator = if i == 0 { " " } else { ", " };
        let _ = if end > i {
            write!(text, "{separator}{}..={}", threads[i], threads[end])
        } else {
            write!(text, "{separator}{}", threads[i])
        };
        i = end + 1;
    }
    text
}

impl Failure {
    /// Of a thread that is in a block.
    ///
    /// # Safety
    ///
    /// The thread, its warp and its block must live.
    pub unsafe fn of_thread(thread: *const Thread, fault: Fault) -> Box<Self> {
        // SAFETY: the caller's promise.
        unsafe {
            let block = &*(*thread).block;
            let agreement = &(*(*thread).warp).agreement;
            let site = Site { file: agreement.file, line: agreement.line };
            Box::new(Self::Thread {
                fault,
                block: block.index,
                thread: (*thread).linear,
                agreement: (agreement.wait, agreement.detail, site),
                shared: (block.shared as u64, u64::from(block.shared_bytes)),
            })
        }
    }

    /// A copy that nobody waited for.
    pub fn copy_pending(copy: &Copy) -> Fault {
        Fault {
            kind: kind::COPY_PENDING,
            width: 0,
            address: 0,
            base: 0,
            bytes: u64::from(copy.bytes),
            detail: [u64::from(copy.offset), 0, 0],
            file: std::ptr::null(),
            line: 0,
        }
    }

    /// The driver's error code and the message.
    pub fn explain(&self, kernel: &str, bound: &[Arc<Allocation>], memory: &Memory) -> (i32, String) {
        match self {
            Self::Stuck(stuck) => (codes::LAUNCH_FAILED, format!("{kernel}: {}", stuck.text())),
            Self::Thread { fault, block: [x, y, z], thread, agreement, shared } => {
                let (code, what) = match fault.kind {
                    kind::GLOBAL_ACCESS => global_access(fault, bound, memory),
                    kind::SHARED_ACCESS => shared_access(fault, *shared),
                    kind::DIVERGENT => (codes::LAUNCH_FAILED, divergence(fault, agreement)),
                    kind::CAPABILITY => (
                        codes::ILLEGAL_INSTRUCTION,
                        format!("needs compute capability {}, the device has {}", fault.detail[0], fault.detail[1]),
                    ),
                    _ => synchronisation(fault),
                };
                let site = Site { file: fault.file, line: fault.line }.text();
                (code, format!("{kernel}: block ({x}, {y}, {z}), thread {thread}{site}: {what}"))
            }
        }
    }
}

fn global_access(fault: &Fault, bound: &[Arc<Allocation>], memory: &Memory) -> (i32, String) {
    let base = fault.base & !CLOSER;
    let width = fault.width;
    if base == 0 {
        let what = memory.describe(fault.address);
        return (codes::ILLEGAL_ADDRESS, format!("access of {width} bytes at address {:#x}: {what}", fault.address));
    }
    let offset = fault.address.wrapping_sub(base).cast_signed();
    let end = offset.wrapping_add(i64::from(width));
    let found = bound.iter().find(|allocation| allocation.host() as u64 == base);
    let (start, bytes) = found.map_or((0, fault.bytes), |found| (found.address(), found.bytes() as u64));
    let inside = offset >= 0 && end >= 0 && end as u64 <= bytes;
    let place = format!(
        "bytes {offset}..{end} of the allocation of {bytes} bytes at {start:#x} (address {:#x})",
        start.wrapping_add_signed(offset)
    );
    if inside && !fault.address.is_multiple_of(fault.detail[0]) {
        return (codes::MISALIGNED_ADDRESS, format!("misaligned access, {} needed: {place}", fault.detail[0]));
    }
    (codes::ILLEGAL_ADDRESS, format!("access out of bounds: {place}"))
}

fn shared_access(fault: &Fault, (start, total): (u64, u64)) -> (i32, String) {
    let base = fault.base & !CLOSER;
    let width = u64::from(fault.width);
    if base == 0 {
        let text = "access through a pointer to shared memory that is misaligned, or to an array that is too short";
        return (codes::ILLEGAL_ADDRESS, text.into());
    }
    let offset = fault.address.wrapping_sub(base).cast_signed();
    let inside = offset >= 0 && offset as u64 + width <= fault.bytes;
    if inside && !fault.address.is_multiple_of(fault.detail[0]) {
        let text = format!("misaligned access of {width} bytes to shared memory, {} needed", fault.detail[0]);
        return (codes::MISALIGNED_ADDRESS, text);
    }
    if inside && !(base >= start && base < start + total) {
        return (codes::ILLEGAL_ADDRESS, "access to the shared memory of a block of the cluster that has ended".into());
    }
    let array = base.wrapping_sub(start);
    let text = format!(
        "access out of bounds: bytes {offset}..{} of the shared array of {} bytes at shared byte {array}",
        offset.wrapping_add_unsigned(width),
        fault.bytes
    );
    (codes::ILLEGAL_ADDRESS, text)
}

fn race(fault: &Fault) -> String {
    let [other, write, _] = fault.detail;
    let this = if fault.width == 1 { "read" } else { "write" };
    let other = match (fault.base == 1, write == 1) {
        (true, _) => format!("the copy on barrier {other}, which this thread has not waited for"),
        (false, true) => format!("the write of thread {other}"),
        (false, false) => format!("the read of thread {other}"),
    };
    let since = if fault.file.is_null() { "" } else { " after that barrier" };
    format!("race on shared byte {}: a {this}{since} is not ordered with {other}", fault.address)
}

fn divergence(fault: &Fault, agreement: &(u32, u32, Site)) -> String {
    let (wait, detail, site) = *agreement;
    format!(
        "divergent warp: this lane comes to {}, another one is at {}{}",
        operation(fault.detail[0] as u32, fault.detail[1] as u32),
        operation(wait, detail),
        site.text()
    )
}

fn synchronisation(fault: &Fault) -> (i32, String) {
    let [a, b, c] = fault.detail;
    let code = match fault.kind {
        kind::SHARED_ARRAY => codes::ILLEGAL_ADDRESS,
        kind::COPY_ALIGNMENT => codes::MISALIGNED_ADDRESS,
        _ => codes::LAUNCH_FAILED,
    };
    let text = match fault.kind {
        kind::SHARED_ARRAY if fault.address.is_multiple_of(a) => format!(
            "shared_array of {b} values of {} bytes at byte {} ends after the block's {c} bytes of shared memory",
            fault.width, fault.address
        ),
        kind::SHARED_ARRAY => {
            return (
                codes::MISALIGNED_ADDRESS,
                format!("shared_array at byte {}: values of this type must be aligned to {a}", fault.address),
            );
        }
        kind::SHUFFLE_LANE => format!("shuffle_xor with lane {a}, but the warp has {b} lanes"),
        kind::GROUP_ID => format!("group_barrier: there is no barrier {a}, only 1 to 15"),
        kind::GROUP_THREADS => format!("group_barrier {a} with {b} threads: whole warps, of the block's {c}"),
        kind::GROUP_COUNT => format!("group_barrier {a} with {b} threads, but others wait there for {c}"),
        kind::GROUP_WARPS => {
            format!("group_barrier {a}: opened for warps {b:#b} (a bit each), the time before for {c:#b}: wrong count?")
        }
        kind::COPY_BARRIER => format!("the word at shared byte {a} is not a copy barrier: it holds {b:#x}"),
        kind::COPY_BARRIERS => format!("more than {a} copy barriers in a block"),
        kind::COPY_BUSY => format!("the copy barrier at shared byte {a} has a copy on its way that nobody waited for"),
        kind::COPY_ALIGNMENT => format!(
            "copy_start of {a} bytes, to an address that is {b} modulo 16, from one that is {c}: all must be multiples of 16"
        ),
        kind::COPY_RANGE => format!("copy_start of {a} bytes: a barrier counts less than 1 MiB"),
        kind::COPY_PARITY => format!("copy_wait for parity {a}, which is neither 0 nor 1"),
        kind::CLUSTER_RANK => format!("cluster_shared of block {a}, but the cluster has {b} blocks"),
        kind::COPY_PENDING => {
            format!("the block ended with a copy of {} bytes on its way (barrier at shared byte {a})", fault.bytes)
        }
        RACE => race(fault),
        other => format!("fault {other}"),
    };
    (code, text)
}

// SAFETY: the pointers in it are to string constants.
unsafe impl Send for Failure {}
