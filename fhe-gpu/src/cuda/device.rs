//! One card as a backend holds it: context, stream, kernels and memory, with the driver's errors as ours.

use std::ffi::c_void;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cudarc::driver::sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
use cudarc::driver::{CudaContext, CudaStream, DriverError, result, sys};
use fhe_core::{Error, Result};

use super::kernels::{Kernel, Kernels};
use super::options::CudaOptions;
use super::pool::{Pool, Refused, Source, size_class};
use crate::{Device, MIN_COMPUTE_CAPABILITY, driver};

/// Number of the next backend.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// What the default limit leaves to the driver: registers that kernels spill, a module's code, other programs.
const RESERVE: usize = 512 << 20;

/// A card in use. Everything that lies in its memory holds a reference to it.
pub(crate) struct Card {
    /// Number of the backend in this process.
    id: usize,
    /// `cuda:0 NVIDIA H100`
    name: String,
    pub(crate) info: Device,
    pub(crate) multiprocessors: u32,
    pub(crate) kernels: Kernels,
    driver: Driver,
    memory: Mutex<Pool>,
}

/// An argument of a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Argument {
    /// An address in device memory.
    Pointer(u64),
    /// A 32-bit number.
    Number(u32),
}

/// Blocks of a launch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid(pub(crate) u32, pub(crate) u32, pub(crate) u32);

/// Context and stream; where the pool gets its blocks.
struct Driver {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
}

impl Source for Driver {
    type Error = (&'static str, DriverError);

    fn allocate(&self, bytes: usize) -> Result<Option<u64>, Self::Error> {
        self.context.bind_to_thread().map_err(|error| ("cuCtxSetCurrent", error))?;
        // SAFETY: the block is only used as raw device memory, through the pool.
        match unsafe { result::malloc_sync(bytes) } {
            Ok(block) => Ok(Some(block)),
            Err(DriverError(sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY)) => Ok(None),
            Err(error) => Err(("cuMemAlloc", error)),
        }
    }

    fn free(&self, blocks: &[u64]) -> Result<(), Self::Error> {
        self.stream.synchronize().map_err(|error| ("cuStreamSynchronize", error))?;
        for &block in blocks {
            // SAFETY: the pool gives each block back once, and the stream that used it is idle.
            unsafe { result::free_sync(block) }.map_err(|error| ("cuMemFree", error))?;
        }
        Ok(())
    }
}

impl Card {
    /// Opens card `ordinal` and compiles its kernels.
    pub(crate) fn open(ordinal: usize, options: &CudaOptions) -> Result<Self> {
        let unavailable = |what: String, reason: String| Error::Unavailable { what, reason };
        let devices = driver::devices().map_err(|reason| unavailable("a CUDA device".into(), reason.to_string()))?;
        let count = devices.len();
        let Some(info) = devices.into_iter().nth(ordinal) else {
            return Err(unavailable(format!("CUDA device {ordinal}"), format!("this machine has {count}")));
        };
        let name = format!("cuda:{ordinal} {}", info.name);
        if !info.is_supported() {
            let ((major, minor), (least, least_minor)) = (info.compute_capability, MIN_COMPUTE_CAPABILITY);
            let reason = format!("its compute capability is {major}.{minor}, the kernels need {least}.{least_minor}");
            return Err(unavailable(name, reason));
        }
        let failed = |call| {
            let device = name.clone();
            move |error| Error::Device { device, call, reason: driver::text(error) }
        };
        let context = CudaContext::new(ordinal).map_err(failed("cuDevicePrimaryCtxRetain"))?;
        // SAFETY: all work of a backend goes through one stream, whose order is all the tracking that is needed; no
        // memory is allocated through the context's own types.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream().map_err(failed("cuStreamCreate"))?;
        let multiprocessors =
            context.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT).map_err(failed("cuDeviceGetAttribute"))?;
        let kernels = Kernels::load(&context, &name, info.compute_capability)?;
        let limit = match options.memory_limit {
            Some(limit) => limit,
            None => default_limit(context.mem_get_info().map_err(failed("cuMemGetInfo"))?.0),
        };
        Ok(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            multiprocessors: multiprocessors.max(1) as u32,
            name,
            info,
            kernels,
            driver: Driver { context, stream },
            memory: Mutex::new(Pool::new(limit)),
        })
    }

    /// Name for people and for errors.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Refuses what lies in the memory of another backend: its work is not in the order of this one's.
    pub(crate) fn expect(&self, other: &Self) -> Result<()> {
        let what = "number of the backend that made a buffer";
        if self.id == other.id { Ok(()) } else { Err(Error::Shape { what, found: other.id, expected: self.id }) }
    }

    /// The driver's error as ours.
    fn failed(&self, call: &'static str, error: DriverError) -> Error {
        Error::Device { device: self.name.clone(), call, reason: driver::text(error) }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // The pool is whole between any two of its calls, and they do not panic.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that may still be taken.
    pub(crate) fn available(&self) -> usize {
        self.pool().available()
    }

    /// Refuses what needs more than there is, before anything is taken.
    pub(crate) fn require(&self, what: &str, bytes: usize) -> Result<()> {
        let (available, limit) = (self.available(), self.pool().limit());
        if bytes <= available { Ok(()) } else { Err(self.too_little(what, bytes, available, limit)) }
    }

    fn too_little(&self, what: &str, needed: usize, available: usize, limit: usize) -> Error {
        Error::Unavailable {
            what: format!("{what} on {}", self.name),
            reason: format!(
                "{needed} bytes are needed, {available} are free of the limit of {limit}; raise the limit if the card \
                 has more, or run fewer rows at a time (RunOptions::memory)"
            ),
        }
    }

    /// A block of at least `bytes` bytes with unspecified contents.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Result<Block> {
        let mut pool = self.pool();
        let what = "device memory";
        let Some(class) = size_class(bytes) else {
            return Err(self.too_little(what, bytes, pool.available(), pool.limit()));
        };
        let taken = pool.take(class, &self.driver);
        let limit = pool.limit();
        drop(pool);
        match taken {
            Ok(address) => Ok(Block { card: Arc::clone(self), address, class }),
            Err(Refused::Limit { available }) => Err(self.too_little(what, class, available, limit)),
            Err(Refused::Exhausted) => {
                let free = self.driver.context.mem_get_info().map_or(0, |(free, _)| free);
                Err(Error::Unavailable {
                    what: format!("{what} on {}", self.name),
                    reason: format!(
                        "{class} bytes are needed, the card has {free} free: other programs or backends hold the rest"
                    ),
                })
            }
            Err(Refused::Source((call, error))) => Err(self.failed(call, error)),
        }
    }

    /// Waits for all work, and gives unused memory back to the driver.
    pub(crate) fn trim(&self) -> Result<()> {
        self.synchronize()?;
        self.pool().trim(&self.driver).map_err(|(call, error)| self.failed(call, error))
    }

    /// Waits for all work.
    pub(crate) fn synchronize(&self) -> Result<()> {
        self.driver.stream.synchronize().map_err(|error| self.failed("cuStreamSynchronize", error))
    }

    fn bind(&self) -> Result<()> {
        self.driver.context.bind_to_thread().map_err(|error| self.failed("cuCtxSetCurrent", error))
    }

    /// Queues a copy of `data` to device memory.
    ///
    /// # Safety
    /// `size_of_val(data)` bytes from `address` on must lie in one block of this card.
    pub(crate) unsafe fn copy_in<T: bytemuck::Pod>(&self, data: &[T], address: u64) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        self.bind()?;
        // SAFETY: the caller vouches for the target. The driver has read pageable memory when the call returns.
        let copied = unsafe { result::memcpy_htod_async(address, data, self.driver.stream.cu_stream()) };
        copied.map_err(|error| self.failed("cuMemcpyHtoDAsync", error))
    }

    /// Copies device memory to `data`, and waits for it.
    ///
    /// # Safety
    /// `size_of_val(data)` bytes from `address` on must lie in one block of this card.
    pub(crate) unsafe fn copy_out<T: bytemuck::Pod>(&self, address: u64, data: &mut [T]) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        self.bind()?;
        // SAFETY: the caller vouches for the source; `data` is borrowed until the stream is idle below. Any bytes are
        // values of T.
        let copied = unsafe { result::memcpy_dtoh_async(data, address, self.driver.stream.cu_stream()) };
        let done = self.synchronize();
        copied.map_err(|error| self.failed("cuMemcpyDtoHAsync", error))?;
        done
    }

    /// Queues zeros for `bytes` bytes of device memory.
    ///
    /// # Safety
    /// They must lie in one block of this card.
    pub(crate) unsafe fn zero(&self, address: u64, bytes: usize) -> Result<()> {
        self.bind()?;
        // SAFETY: the caller vouches for the target.
        let set = unsafe { sys::cuMemsetD32Async(address, 0, bytes / 4, self.driver.stream.cu_stream()) };
        set.result().map_err(|error| self.failed("cuMemsetD32Async", error))
    }

    /// Queues a kernel.
    ///
    /// # Safety
    /// The arguments must be those of the kernel's definition, every pointer must be to as much memory of this card as
    /// the kernel reads or writes for them, and nothing that it writes may be pointed to twice.
    ///
    /// # Panics
    /// If the arguments differ from the kernel's in number or kind.
    pub(crate) unsafe fn launch(&self, kernel: &Kernel, grid: Grid, arguments: &[Argument]) -> Result<()> {
        let kind = |argument: &Argument| match argument {
            Argument::Pointer(_) => 'p',
            Argument::Number(_) => 'n',
        };
        // Written side by side in this crate; a difference would be read as an address.
        assert!(arguments.iter().map(kind).eq(kernel.arguments.chars()), "arguments of {}", kernel.name);
        self.bind()?;
        let address = |argument: &Argument| match argument {
            Argument::Pointer(pointer) => std::ptr::from_ref(pointer).cast::<c_void>().cast_mut(),
            Argument::Number(number) => std::ptr::from_ref(number).cast::<c_void>().cast_mut(),
        };
        let mut arguments: Vec<*mut c_void> = arguments.iter().map(address).collect();
        // SAFETY: the function belongs to a module that `kernel` keeps loaded in this context; the driver copies the
        // arguments before the call returns, and the caller vouches for them.
        let launched = unsafe {
            result::launch_kernel(
                kernel.function(),
                (grid.0, grid.1, grid.2),
                (kernel.threads, 1, 1),
                kernel.shared_bytes,
                self.driver.stream.cu_stream(),
                &mut arguments,
            )
        };
        launched.map_err(|error| Error::Device {
            device: self.name.clone(),
            call: "cuLaunchKernel",
            reason: format!("{}: {}", kernel.name, driver::text(error)),
        })
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        // All blocks are back, as each holds a reference to the card. An error has nowhere to go: after a fault the
        // driver frees everything with the context.
        let _ = self.trim();
    }
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Card").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The limit where none is given: nine tenths of what is free, less the reserve, but at least half.
fn default_limit(free: usize) -> usize {
    (free / 10 * 9).saturating_sub(RESERVE).max(free / 2)
}

/// A piece of device memory, which goes back to the pool when dropped. Work that uses it may still be queued: whoever
/// takes the block next queues behind it.
#[derive(Debug)]
pub(crate) struct Block {
    card: Arc<Card>,
    address: u64,
    class: usize,
}

impl Block {
    pub(crate) fn card(&self) -> &Arc<Card> {
        &self.card
    }

    pub(crate) fn address(&self) -> u64 {
        self.address
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.card.pool().give(self.address, self.class);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_limit_leaves_room_for_the_driver() {
        assert_eq!(default_limit(80 << 30), (80 << 30) / 10 * 9 - RESERVE);
        assert_eq!(default_limit(100 << 20), 50 << 20);
    }
}
