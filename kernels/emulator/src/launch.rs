//! Launches: checks of their shape, arguments, and blocks in parallel.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::abi::Argument;
use crate::context::{Context, Function, Machine};
use crate::driver::codes;
use crate::fault::Failure;
use crate::memory::Allocation;
use crate::random::Random;
use crate::scheduler::{Job, Worker};

/// Shape of a launch.
#[derive(Clone, Copy)]
pub struct Shape {
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub shared_bytes: u32,
    /// Blocks of a cluster, where the launch says so.
    pub cluster: Option<[u32; 3]>,
    pub cooperative: bool,
}

/// An error code, and a message if there is more to say.
pub type Refusal = (i32, String);

/// Workers that are not at work.
static WORKERS: Mutex<Vec<Worker>> = Mutex::new(Vec::new());

fn workers() -> std::sync::MutexGuard<'static, Vec<Worker>> {
    WORKERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a kernel to its end. `Err((code, message, true))` is an error of the kernel, not of the launch.
///
/// # Safety
///
/// `parameters` must be the address of as many pointers as the kernel has parameters, each to a value of its size.
pub unsafe fn launch(
    machine: &Machine,
    context: &Context,
    function: &Function,
    shape: &Shape,
    parameters: *const *const c_void,
) -> Result<(), (i32, String, bool)> {
    let name = function.kernel.name();
    let refuse = |(code, text): Refusal| (code, format!("{name}: {text}"), false);
    let cluster = check(context, function, shape).map_err(refuse)?;
    // SAFETY: the caller's promise.
    let (values, bound) = unsafe { bind(context, function, parameters) }.map_err(refuse)?;
    let arguments = values.iter().map(|value| value.argument).collect();
    let job = Job {
        kernel: function.kernel.entry(),
        arguments,
        grid: shape.grid,
        block: shape.block,
        cluster,
        shared_bytes: shape.shared_bytes,
        compute: context.device.compute.min(function.target),
        seed: machine.settings.shuffle,
    };
    // SAFETY: the arguments are bound to memory that `bound` and `values` keep alive.
    let outcome = unsafe { run(&job, machine.settings.threads) };
    let memory = &context.device.memory;
    if let Err(failure) = outcome {
        let (code, text) = failure.explain(name, &bound, memory);
        return Err((code, text, true));
    }
    if let Some(freed) = bound.iter().find(|allocation| !memory.is_live(allocation)) {
        let text = format!("{name}: the allocation at {:#x} was freed while the kernel ran", freed.address());
        return Err((codes::ILLEGAL_ADDRESS, text, true));
    }
    Ok(())
}

/// What the driver refuses. The number of blocks of a cluster.
fn check(context: &Context, function: &Function, shape: &Shape) -> Result<u32, Refusal> {
    let invalid = |text: String| Err((codes::INVALID_VALUE, text));
    let Shape { grid, block, shared_bytes, .. } = *shape;
    if grid.contains(&0) || block.contains(&0) {
        return invalid(format!("grid {grid:?} and block {block:?} must not have a zero"));
    }
    if grid[0] > i32::MAX as u32 || grid[1] > 65535 || grid[2] > 65535 {
        return invalid(format!("the grid {grid:?} is too large"));
    }
    if block[0] > 1024 || block[1] > 1024 || block[2] > 64 {
        return invalid(format!("the block {block:?} is too large"));
    }
    let threads: u32 = block.iter().product();
    if threads > 1024 || threads > function.kernel.threads() {
        return invalid(format!(
            "{threads} threads, but the kernel is compiled for at most {}",
            function.kernel.threads()
        ));
    }
    let limit = function.shared_limit.load(Ordering::Relaxed);
    if shared_bytes > limit {
        return invalid(format!("{shared_bytes} bytes of shared memory, but {limit} are allowed (cuFuncSetAttribute)"));
    }
    let compiled = function.kernel.cluster();
    let wanted = shape.cluster.unwrap_or([compiled, 1, 1]);
    let blocks: u32 = wanted.iter().product();
    let cluster_error = |text: String| Err((codes::INVALID_CLUSTER_SIZE, text));
    if blocks == 0 || blocks > 8 || compiled > 1 && blocks != compiled {
        return cluster_error(format!("clusters of {wanted:?} blocks, the kernel is compiled for {compiled}"));
    }
    if blocks > 1 && context.device.compute < 90 {
        return cluster_error("the device has no clusters".into());
    }
    if wanted[1] != 1 || wanted[2] != 1 || !grid[0].is_multiple_of(wanted[0]) {
        return cluster_error(format!("the grid {grid:?} does not consist of clusters of {wanted:?} blocks"));
    }
    let occupancy = context.device.occupancy(threads, shared_bytes);
    let total: u64 = grid.iter().map(|&count| u64::from(count)).product();
    if shape.cooperative && total > u64::from(occupancy * context.device.multiprocessors) {
        return Err((codes::COOPERATIVE_LAUNCH_TOO_LARGE, format!("{total} blocks cannot all be resident")));
    }
    Ok(blocks)
}

/// A parameter's bytes, kept for the time of the launch.
struct Value {
    argument: Argument,
    _bytes: Box<[u8]>,
}

/// Copies the parameters and looks pointers up.
///
/// # Safety
///
/// As for `launch`.
unsafe fn bind(
    context: &Context,
    function: &Function,
    parameters: *const *const c_void,
) -> Result<(Vec<Value>, Vec<Arc<Allocation>>), Refusal> {
    let wanted = function.kernel.parameters();
    let invalid = |text: String| Err((codes::INVALID_VALUE, text));
    if wanted.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    if parameters.is_null() {
        return invalid(format!("no parameters, the kernel has {}", wanted.len()));
    }
    let mut values = Vec::with_capacity(wanted.len());
    let mut bound: Vec<Arc<Allocation>> = Vec::new();
    for (i, parameter) in wanted.iter().enumerate() {
        let size = parameter.size as usize;
        let mut pointer = [0; 8];
        // The array has no length. Where it is too short, what follows is most often no address.
        let mut bytes = vec![0; size].into_boxed_slice();
        let readable =
            read(parameters.wrapping_add(i) as usize, &mut pointer) && read(usize::from_ne_bytes(pointer), &mut bytes);
        if !readable {
            return invalid(format!("parameter {i} of {} is missing: there is no value at its address", wanted.len()));
        }
        let mut argument = Argument { at: bytes.as_ptr() as u64, base: 0, bytes: parameter.size.into() };
        if parameter.pointer != 0 {
            let address = u64::from_ne_bytes(bytes[..8].try_into().expect("pointers have 8 bytes"));
            argument = match context.device.memory.find(address) {
                Some(allocation) => {
                    let base = allocation.host() as u64;
                    let at = base + (address - allocation.address());
                    let argument = Argument { at, base, bytes: allocation.bytes() as u64 };
                    if !bound.iter().any(|other| other.address() == allocation.address()) {
                        bound.push(allocation);
                    }
                    argument
                }
                // An error only if the kernel uses it.
                None => Argument { at: address, base: 0, bytes: 0 },
            };
        }
        values.push(Value { argument, _bytes: bytes });
    }
    Ok((values, bound))
}

/// Reads this process's memory; false where there is none.
fn read(address: usize, to: &mut [u8]) -> bool {
    let local = libc::iovec { iov_base: to.as_mut_ptr().cast(), iov_len: to.len() };
    let remote = libc::iovec { iov_base: address as *mut c_void, iov_len: to.len() };
    // SAFETY: the local range is ours; the system checks the remote one.
    let count = unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) };
    count == to.len() as isize
}

/// Runs all clusters.
///
/// # Safety
///
/// As for `Worker::run`.
unsafe fn run(job: &Job, threads: usize) -> Result<(), Box<Failure>> {
    let clusters = job.clusters();
    let order = job.seed.map(|seed| {
        let mut order: Vec<u64> = (0..clusters).collect();
        Random::new(seed).shuffle(&mut order);
        order
    });
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let failure = Mutex::new(None);
    let work = || {
        let mut worker = workers().pop().unwrap_or_default();
        while !stop.load(Ordering::Relaxed) {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            if turn >= clusters {
                break;
            }
            let number = order.as_ref().map_or(turn, |order| order[turn as usize]);
            // SAFETY: the caller's promise.
            if let Err(new) = unsafe { worker.run(job, number) } {
                stop.store(true, Ordering::Relaxed);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(new);
            }
        }
        workers().push(worker);
    };
    let helpers = clusters.min(threads as u64).saturating_sub(1);
    std::thread::scope(|scope| {
        for _ in 0..helpers {
            scope.spawn(work);
        }
        work();
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

// SAFETY: the kernel is a constant, and the arguments' memory lives as long as the launch.
unsafe impl Sync for Job {}
