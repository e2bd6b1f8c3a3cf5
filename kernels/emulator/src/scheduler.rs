//! Runs the blocks of one cluster: a coroutine per CUDA thread, in turn until all have returned.
//!
//! A thread that waits names a word and the value that it saw there (`Thread::gate`, `Thread::seen`); it can run as soon
//! as the word differs. The C++ side counts such words up; nothing is queued. If a whole turn finds no thread that can
//! run, the block is stuck, and the message says who waits where.
//!
//! Threads form a ring (`Thread::next`) and switch to each other where the machine has fast switches. In a random order
//! there is no ring: every thread comes back to `turns`, which chooses.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ffi::c_void;
use std::ptr;

use crate::abi::{Argument, Block, CLUSTER, Cluster, Fault, Gate, Kernel, LANES, Thread, Warp};
use crate::fault::{Failure, Stuck};
use crate::random::Random;
use crate::routine::{Routines, suspend};

/// A word that no waiting thread has seen, and one that all have: the gates of threads that can run, and that never will.
static OPEN: u32 = 1;
static NEVER: u32 = 0;
/// In fresh shared memory: not a number as a double, far outside of everything as an integer.
const POISON: u32 = 0xfffb_f5f3;

/// A launch, checked.
pub struct Job {
    pub kernel: &'static Kernel,
    pub arguments: Vec<Argument>,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    /// Blocks of a cluster.
    pub cluster: u32,
    pub shared_bytes: u32,
    pub compute: u32,
    pub seed: Option<u64>,
}

impl Job {
    /// Threads of a block.
    pub fn threads(&self) -> usize {
        self.block.iter().product::<u32>() as usize
    }

    /// Clusters of the grid.
    pub fn clusters(&self) -> u64 {
        self.grid.iter().map(|&count| u64::from(count)).product::<u64>() / u64::from(self.cluster)
    }
}

/// What the callbacks of running threads change.
struct Run {
    kernel: *const Kernel,
    arguments: *const Argument,
    /// Threads of the cluster that have not returned.
    live: u32,
    failure: Option<Box<Failure>>,
    #[cfg(feature = "races")]
    races: *mut crate::races::Races,
}

/// Memory of blocks, kept from launch to launch.
#[derive(Default)]
pub struct Worker {
    routines: Routines,
    threads: Vec<Thread>,
    warps: Vec<Warp>,
    blocks: Vec<Block>,
    order: Vec<u32>,
    shared: Vec<SharedMemory>,
    #[cfg(feature = "races")]
    races: crate::races::Races,
}

// SAFETY: the pointers in it point into it, and no coroutine is in a kernel while a worker is not running.
unsafe impl Send for Worker {}

impl Worker {
    /// Runs cluster `number` of the grid.
    ///
    /// # Safety
    ///
    /// The arguments of the job must be those of its kernel, and the memory they are bound to must live.
    pub unsafe fn run(&mut self, job: &Job, number: u64) -> Result<(), Box<Failure>> {
        let mut cluster = Cluster {
            gate: Gate::default(),
            blocks: 0,
            threads: 0,
            scheduler: ptr::null_mut(),
            block: [ptr::null_mut(); CLUSTER],
        };
        let mut run = Run {
            kernel: job.kernel,
            arguments: job.arguments.as_ptr(),
            live: 0,
            failure: None,
            #[cfg(feature = "races")]
            races: &raw mut self.races,
        };
        #[cfg(feature = "races")]
        self.races.begin(job.cluster as usize, job.threads(), job.shared_bytes);
        self.prepare(job, number, &raw mut cluster, &raw mut run);
        let mut random = job.seed.map(|seed| Random::new(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let outcome = self.turns(&raw mut run, random.as_mut());
        if outcome.is_err() {
            self.routines.abandon();
        }
        outcome
    }

    fn prepare(&mut self, job: &Job, number: u64, cluster: *mut Cluster, run: *mut Run) {
        let threads = job.threads();
        let count = job.cluster as usize;
        let warps = threads.div_ceil(LANES);
        while self.shared.len() < count {
            self.shared.push(SharedMemory::default());
        }
        self.threads.clear();
        self.threads.reserve(threads * count);
        self.warps.clear();
        self.warps.reserve(warps * count);
        self.blocks.clear();
        self.blocks.reserve(count);
        for rank in 0..count {
            let linear = number * u64::from(job.cluster) + rank as u64;
            let x = u64::from(job.grid[0]);
            let y = u64::from(job.grid[1]);
            let index = [(linear % x) as u32, (linear / x % y) as u32, (linear / x / y) as u32];
            // SAFETY: the structure holds integers and raw pointers, for which zero is a value.
            let mut block: Block = unsafe { std::mem::zeroed() };
            block.index = index;
            block.grid = job.grid;
            block.threads = threads as u32;
            block.live = threads as u32;
            block.rank = rank as u32;
            block.compute = job.compute;
            block.shared = self.shared[rank].poisoned(job.shared_bytes);
            block.shared_bytes = job.shared_bytes;
            block.cluster = cluster;
            block.run = run.cast();
            self.blocks.push(block);
        }
        for rank in 0..count {
            let block = &raw mut self.blocks[rank];
            // SAFETY: the cluster is the caller's local variable, and `CLUSTER` bounds the cluster size of a launch.
            unsafe { (&mut (*cluster).block)[rank] = block };
            for number in 0..warps {
                // SAFETY: as above.
                let mut warp: Warp = unsafe { std::mem::zeroed() };
                warp.lanes = (threads - number * LANES).min(LANES) as u32;
                warp.number = number as u32;
                self.warps.push(warp);
            }
            for linear in 0..threads {
                let warp = &raw mut self.warps[rank * warps + linear / LANES];
                // SAFETY: as above.
                let mut thread: Thread = unsafe { std::mem::zeroed() };
                thread.gate = &raw const OPEN;
                thread.index = linear as u32 % job.block[0];
                thread.linear = linear as u32;
                thread.lane = (linear % LANES) as u32;
                thread.warp = warp;
                thread.block = block;
                self.threads.push(thread);
            }
        }
        // SAFETY: both are the caller's local variables.
        unsafe {
            (*cluster).blocks = count as u32;
            (*cluster).threads = (threads * count) as u32;
            (*run).live = (threads * count) as u32;
        }
        self.order.clear();
        self.order.extend(0..(threads * count) as u32);
        if job.seed.is_none() {
            let first = self.threads.as_mut_ptr();
            let last = self.threads.len() - 1;
            for (i, thread) in self.threads.iter_mut().enumerate() {
                thread.next = first.wrapping_add(if i == last { 0 } else { i + 1 });
            }
        }
        self.routines.prepare(&mut self.threads);
    }

    /// Lets every thread run that can, again and again.
    fn turns(&mut self, run: *mut Run, mut random: Option<&mut Random>) -> Result<(), Box<Failure>> {
        let threads = self.threads.as_mut_ptr();
        loop {
            let mut can_run = false;
            if let Some(random) = random.as_deref_mut() {
                random.shuffle(&mut self.order);
            }
            for &i in &self.order {
                // SAFETY: `order` holds indices of `threads`, which does not move while its coroutines run. They and the
                // C++ side change it, so there is no reference to it here.
                unsafe {
                    let thread = threads.add(i as usize);
                    if *(*thread).gate == (*thread).seen {
                        continue;
                    }
                    can_run = true;
                    // Some threads fall behind.
                    if random.as_deref_mut().is_some_and(|random| random.below(4) == 0) {
                        continue;
                    }
                    self.routines.resume(i as usize, thread);
                    if (*run).failure.is_some() {
                        return Err((*run).failure.take().expect("was just there"));
                    }
                }
            }
            // SAFETY: the run is a local variable of the caller; no thread runs now.
            if unsafe { (*run).live } == 0 {
                return Ok(());
            }
            // In a random order, copies may arrive at any time.
            let early = random.as_deref_mut().is_some_and(|random| random.below(8) == 0);
            let arrived = (early || !can_run) && self.finish_copies();
            if !can_run && !arrived {
                return Err(Box::new(Failure::Stuck(Stuck::of(&self.threads))));
            }
        }
    }
}

impl Worker {
    /// Makes the bulk copies that threads wait for; false if there was none.
    fn finish_copies(&mut self) -> bool {
        let mut any = false;
        for block in &mut self.blocks {
            for number in 0..block.copies {
                let copy = &mut block.copy[number as usize];
                let awaited = |thread: &Thread| thread.gate == &raw const copy.phase && thread.seen == copy.phase;
                if copy.bytes > 0 && self.threads.iter().any(awaited) {
                    // SAFETY: `copy_start` has checked both ranges, which cannot overlap: one is shared memory.
                    unsafe { copy.to.copy_from_nonoverlapping(copy.from, copy.bytes as usize) };
                    copy.bytes = 0;
                    copy.phase += 1;
                    any = true;
                    #[cfg(feature = "races")]
                    self.races.copy_arrives(block.rank, number);
                }
            }
        }
        any
    }
}

/// Runs the kernel for a thread and notes that it has returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fhe_emulator_body(thread: *mut Thread) {
    // SAFETY: the scheduler starts a thread whose block and run live until all threads have returned; the caller of
    // `Worker::run` vouches for the arguments.
    unsafe {
        let block = (*thread).block;
        let run: *mut Run = (*block).run.cast();
        ((*(*run).kernel).call)((*run).arguments);
        (*thread).gate = &raw const NEVER;
        (*thread).seen = NEVER;
        (*thread).wait = 0;
        (*run).live -= 1;
        (*block).live -= 1;
        if (*block).live == 0 {
            let copies = (*block).copies as usize;
            if let Some(copy) = (&(*block).copy)[..copies].iter().find(|copy| copy.bytes != 0) {
                (*run).failure.get_or_insert(Failure::of_thread(thread, Failure::copy_pending(copy)));
            }
        }
    }
}

/// The check for races of a block's cluster.
///
/// # Safety
///
/// The block must be running.
#[cfg(feature = "races")]
pub unsafe fn races(block: *const Block) -> *mut crate::races::Races {
    // SAFETY: the run lives as long as its blocks run.
    unsafe { (*(*block).run.cast::<Run>()).races }
}

/// Reports what went wrong in the thread, which never runs again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fhe_emulator_fault(thread: *mut Thread, fault: *const Fault) -> ! {
    // SAFETY: the C++ side passes the current thread and a record on its stack; block and run live.
    unsafe {
        let run: *mut Run = (*(*thread).block).run.cast();
        (*run).failure.get_or_insert(Failure::of_thread(thread, *fault));
        suspend(thread);
    }
    // The scheduler does not resume a thread of a launch that failed.
    std::process::abort()
}

/// An access to shared memory that the quick check refused.
#[unsafe(no_mangle)]
unsafe extern "C" fn fhe_emulator_shared_access(thread: *mut Thread, fault: *const Fault) {
    // SAFETY: as in `fhe_emulator_fault`; the blocks of the cluster live as long as the run.
    unsafe {
        let access = &*fault;
        let base = access.base & !crate::abi::CLOSER;
        let cluster = (*(*thread).block).cluster;
        let inside = base != 0
            && access.address.wrapping_sub(base) <= access.bytes.wrapping_sub(u64::from(access.width))
            && access.bytes >= u64::from(access.width)
            && access.address.is_multiple_of(access.detail[0]);
        for rank in 0..(*cluster).blocks as usize {
            let block = (&(*cluster).block)[rank];
            let start = (*block).shared as u64;
            if inside && base >= start && base < start + u64::from((*block).shared_bytes) && (*block).live > 0 {
                return;
            }
        }
        fhe_emulator_fault(thread, fault)
    }
}

/// The dynamic shared memory of one block.
struct SharedMemory {
    start: *mut u8,
    capacity: usize,
}

impl SharedMemory {
    const ALIGNMENT: usize = 1024;

    fn layout(capacity: usize) -> Layout {
        Layout::from_size_align(capacity, Self::ALIGNMENT).expect("shared memory is small")
    }

    /// The first `bytes` of it, with nothing in it.
    #[expect(clippy::cast_ptr_alignment, reason = "allocated with a large alignment")]
    fn poisoned(&mut self, bytes: u32) -> *mut u8 {
        let bytes = (bytes as usize).next_multiple_of(Self::ALIGNMENT);
        if bytes > self.capacity {
            *self = Self::default();
            let layout = Self::layout(bytes);
            // SAFETY: the size is not zero, because the capacity was smaller.
            self.start = unsafe { alloc(layout) };
            if self.start.is_null() {
                handle_alloc_error(layout);
            }
            self.capacity = bytes;
        }
        if bytes > 0 {
            // SAFETY: `bytes` is a multiple of 4 and at most the capacity.
            unsafe { std::slice::from_raw_parts_mut(self.start.cast::<u32>(), bytes / 4) }.fill(POISON);
        }
        self.start
    }
}

impl Default for SharedMemory {
    fn default() -> Self {
        Self { start: ptr::null_mut(), capacity: 0 }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        if self.capacity > 0 {
            // SAFETY: allocated by `poisoned` with this layout.
            unsafe { dealloc(self.start, Self::layout(self.capacity)) };
        }
    }
}

const _: () = assert!(size_of::<*const c_void>() == 8, "the emulator needs 64-bit addresses");
