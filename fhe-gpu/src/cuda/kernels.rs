//! The kernels of one card, compiled by its driver from the PTX of `fhe-kernels`.

use std::ffi::{CStr, CString, c_void};
use std::sync::Arc;

use cudarc::driver::sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
use cudarc::driver::sys::CUfunction_attribute::{
    CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, CU_FUNC_ATTRIBUTE_NUM_REGS,
};
use cudarc::driver::sys::{self, CUjit_option, CUresult};
use cudarc::driver::{CudaContext, DriverError, result};
use fhe_core::{Error, Result};

use super::options::BlindRotation;
use super::plan::Candidate;
use crate::driver;

/// Oldest driver that reads the PTX version the kernels are compiled to.
const DRIVER: &str = "550";

/// Dynamic shared memory that every kernel may use without asking.
const SHARED_WITHOUT_ASKING: u32 = 48 << 10;

/// Bytes of the driver's compilation log that an error quotes.
const LOG: usize = 4096;

/// A module, loaded in a context.
struct Module {
    context: Arc<CudaContext>,
    handle: sys::CUmodule,
}

// SAFETY: a module handle may be used from any thread in which its context is bound.
unsafe impl Send for Module {}
// SAFETY: as above; nothing here changes a module after it was loaded.
unsafe impl Sync for Module {}

impl Drop for Module {
    fn drop(&mut self) {
        if self.context.bind_to_thread().is_ok() {
            // SAFETY: the handle was loaded in this context, and is unloaded once. An error has nowhere to go.
            let _ = unsafe { result::module::unload(self.handle) };
        }
    }
}

/// One kernel with the shape of its blocks.
pub(crate) struct Kernel {
    pub(crate) name: &'static str,
    /// Threads of a block.
    pub(crate) threads: u32,
    /// Bytes of dynamic shared memory of a block.
    pub(crate) shared_bytes: u32,
    /// Kinds of its arguments: `p` a pointer, `n` a 32-bit number.
    pub(crate) arguments: &'static str,
    /// Registers of a thread, as the driver's compiler assigned them.
    registers: u32,
    /// Bytes of local memory of a thread: what did not fit the registers.
    local_bytes: u32,
    function: sys::CUfunction,
    /// Keeps the function loaded.
    _module: Arc<Module>,
}

// SAFETY: a function handle may be used from any thread in which its context is bound.
unsafe impl Send for Kernel {}
// SAFETY: as above; its attributes are set before it is shared.
unsafe impl Sync for Kernel {}

impl Kernel {
    /// The driver's handle, valid as long as the kernel lives.
    pub(crate) fn function(&self) -> sys::CUfunction {
        self.function
    }
}

/// What the driver's compiler made of a kernel on this card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KernelFacts {
    /// Name in `kernels/cuda`.
    pub name: &'static str,
    /// Threads of a block.
    pub threads: u32,
    /// Registers of a thread.
    pub registers: u32,
    /// Bytes of local memory of a thread; a kernel that spills registers is slower than it should be.
    pub local_bytes: u32,
    /// Bytes of dynamic shared memory of a block.
    pub shared_bytes: u32,
}

/// All kernels; names, arguments and shapes are those of `kernels/cuda`.
pub(crate) struct Kernels {
    pub(crate) linear: Kernel,
    pub(crate) decompose: Kernel,
    pub(crate) product_16: Kernel,
    pub(crate) product_128: Kernel,
    pub(crate) modulus_switch: Kernel,
    pub(crate) key_transform: Kernel,
    /// What the card can run, in order of ciphertexts to a block.
    pub(crate) candidates: Vec<Candidate>,
    /// One per candidate.
    blind_rotations: Vec<Kernel>,
}

/// Name, kinds of arguments, threads and dynamic shared memory of a kernel.
struct Shape(&'static str, &'static str, u32, u32);

const LINEAR: Shape = Shape("linear", "pppppnn", 256, 0);
const DECOMPOSE: Shape = Shape("keyswitch_decompose", "ppnnn", 256, 0);
const PRODUCT_16: Shape = Shape("keyswitch_product_16", "pppnnnn", 128, product_bytes(16));
const PRODUCT_128: Shape = Shape("keyswitch_product_128", "pppnnnn", 128, product_bytes(128));
/// The sum of rounding errors.
const MODULUS_SWITCH: Shape = Shape("modulus_switch", "pppnnn", 256, 4);
/// Points of a polynomial as pairs of 128-bit integers.
const KEY_TRANSFORM: Shape = Shape("key_transform", "pppn", 256, 1024 * 32);

/// Shared memory of the keyswitch's product with tiles of so many rows: 32 digits of each row, widened to words, and of
/// 64 columns of the key.
const fn product_bytes(rows: u32) -> u32 {
    32 * 4 * (rows + 64)
}

/// Accumulators, transposes and twiddles.
const fn rotation_bytes(ciphertexts: u32) -> u32 {
    ciphertexts * (2 * 8448 + 16384) + 8192
}

/// One GGSW ciphertext, its copy barrier and a counter besides.
const fn staged_bytes(ciphertexts: u32) -> u32 {
    rotation_bytes(ciphertexts) + 65_536 + 128
}

/// Accumulator, exchange, twiddles and two inboxes.
const CLUSTER_BYTES: u32 = 5 * 8192;

/// Arguments of all kernels of blind rotation.
const BATCH: &str = "pppppppnnn";

/// Kernels of blind rotation: module, kind, shape.
const BLIND_ROTATIONS: [(&str, BlindRotation, Shape); 7] = [
    ("blind_rotate", BlindRotation::Throughput(1), Shape("blind_rotate_1", BATCH, 64, rotation_bytes(1))),
    ("blind_rotate", BlindRotation::Throughput(2), Shape("blind_rotate_2", BATCH, 128, rotation_bytes(2))),
    ("blind_rotate", BlindRotation::Throughput(4), Shape("blind_rotate_4", BATCH, 256, rotation_bytes(4))),
    ("blind_rotate_hopper", BlindRotation::Staged(1), Shape("blind_rotate_staged_1", BATCH, 64, staged_bytes(1))),
    ("blind_rotate_hopper", BlindRotation::Staged(2), Shape("blind_rotate_staged_2", BATCH, 128, staged_bytes(2))),
    ("blind_rotate_hopper", BlindRotation::Staged(4), Shape("blind_rotate_staged_4", BATCH, 256, staged_bytes(4))),
    ("blind_rotate_hopper", BlindRotation::Cluster, Shape("blind_rotate_cluster", BATCH, 128, CLUSTER_BYTES)),
];

/// Loads modules and kernels, with errors that name the card.
struct Loader<'a> {
    context: &'a Arc<CudaContext>,
    device: &'a str,
    compute: u32,
    /// Dynamic shared memory that a block may have.
    shared_limit: u32,
}

impl Kernels {
    /// Compiles all modules for the card.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the driver does not accept them; [`Error::Device`].
    pub(crate) fn load(context: &Arc<CudaContext>, device: &str, (major, minor): (u32, u32)) -> Result<Self> {
        let limit = context.attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
        let limit = limit.map_err(|error| Error::Device {
            device: device.to_owned(),
            call: "cuDeviceGetAttribute",
            reason: driver::text(error),
        })?;
        let loader = Loader { context, device, compute: 10 * major + minor, shared_limit: limit.max(0) as u32 };
        let keyswitch = loader.module("keyswitch")?;
        let mut kernels = Self {
            linear: loader.kernel(&loader.module("linear")?, &LINEAR)?,
            decompose: loader.kernel(&keyswitch, &DECOMPOSE)?,
            product_16: loader.kernel(&keyswitch, &PRODUCT_16)?,
            product_128: loader.kernel(&keyswitch, &PRODUCT_128)?,
            modulus_switch: loader.kernel(&keyswitch, &MODULUS_SWITCH)?,
            key_transform: loader.kernel(&loader.module("key_transform")?, &KEY_TRANSFORM)?,
            candidates: Vec::new(),
            blind_rotations: Vec::new(),
        };
        loader.blind_rotations(&mut kernels)?;
        Ok(kernels)
    }

    /// All kernels of this card.
    pub(crate) fn facts(&self) -> impl Iterator<Item = KernelFacts> {
        let others = [&self.linear, &self.decompose, &self.product_16, &self.product_128, &self.modulus_switch];
        others.into_iter().chain([&self.key_transform]).chain(&self.blind_rotations).map(|kernel| KernelFacts {
            name: kernel.name,
            threads: kernel.threads,
            registers: kernel.registers,
            local_bytes: kernel.local_bytes,
            shared_bytes: kernel.shared_bytes,
        })
    }

    /// The kernel of that kind, if the card can run it.
    pub(crate) fn blind_rotation(&self, kind: BlindRotation) -> Option<&Kernel> {
        self.candidates.iter().position(|candidate| candidate.kind == kind).map(|index| &self.blind_rotations[index])
    }
}

impl Loader<'_> {
    fn failed(&self, call: &'static str, error: DriverError) -> Error {
        Error::Device { device: self.device.to_owned(), call, reason: driver::text(error) }
    }

    fn bind(&self) -> Result<()> {
        self.context.bind_to_thread().map_err(|error| self.failed("cuCtxSetCurrent", error))
    }

    fn module(&self, name: &str) -> Result<Arc<Module>> {
        let unavailable = |reason| Error::Unavailable { what: format!("kernels `{name}` on {}", self.device), reason };
        let Some(module) = fhe_kernels::module(name, self.compute) else {
            return Err(unavailable(format!("there are none for compute capability {}", self.compute)));
        };
        self.bind()?;
        load(self.context, module.ptx).map_err(|(error, log)| match error.0 {
            CUresult::CUDA_ERROR_INVALID_PTX
            | CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION
            | CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU
            | CUresult::CUDA_ERROR_INVALID_IMAGE
            | CUresult::CUDA_ERROR_INVALID_SOURCE
            | CUresult::CUDA_ERROR_JIT_COMPILER_NOT_FOUND => unavailable(format!(
                "the driver does not accept their PTX ({}); update the NVIDIA driver to {DRIVER} or later{log}",
                driver::text(error)
            )),
            _ => self.failed("cuModuleLoadDataEx", error),
        })
    }

    fn kernel(&self, module: &Arc<Module>, &Shape(name, arguments, threads, shared_bytes): &Shape) -> Result<Kernel> {
        self.bind()?;
        // Names of kernels hold no zero byte.
        let text = CString::new(name).unwrap_or_default();
        // SAFETY: the module is loaded.
        let function = unsafe { result::module::get_function(module.handle, text) }
            .map_err(|error| self.failed("cuModuleGetFunction", error))?;
        if shared_bytes > SHARED_WITHOUT_ASKING {
            let attribute = CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            // SAFETY: the function was just found in a loaded module.
            unsafe { result::function::set_function_attribute(function, attribute, shared_bytes as i32) }
                .map_err(|error| self.failed("cuFuncSetAttribute", error))?;
        }
        let attribute = |attribute| {
            // SAFETY: the function was just found in a loaded module.
            let value = unsafe { result::function::get_function_attribute(function, attribute) };
            value.map(|value| value.max(0) as u32).map_err(|error| self.failed("cuFuncGetAttribute", error))
        };
        let registers = attribute(CU_FUNC_ATTRIBUTE_NUM_REGS)?;
        let local_bytes = attribute(CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES)?;
        let module = Arc::clone(module);
        Ok(Kernel { name, threads, shared_bytes, arguments, registers, local_bytes, function, _module: module })
    }

    /// The kernels of blind rotation for which the card has the instructions, the shared memory and the registers.
    fn blind_rotations(&self, kernels: &mut Kernels) -> Result<()> {
        let mut loaded: Option<(&str, Arc<Module>)> = None;
        for (name, kind, shape) in &BLIND_ROTATIONS {
            if fhe_kernels::module(name, self.compute).is_none() || shape.3 > self.shared_limit {
                continue;
            }
            let module = match &loaded {
                Some((known, module)) if known == name => Arc::clone(module),
                _ => self.module(name)?,
            };
            loaded = Some((name, Arc::clone(&module)));
            let kernel = self.kernel(&module, shape)?;
            let (threads, shared) = (kernel.threads as i32, kernel.shared_bytes as usize);
            // SAFETY: the function was just found in a loaded module.
            let blocks =
                unsafe { result::occupancy::max_active_block_per_multiprocessor(kernel.function, threads, shared) }
                    .map_err(|error| self.failed("cuOccupancyMaxActiveBlocksPerMultiprocessor", error))?;
            if blocks > 0 {
                kernels.candidates.push(Candidate { kind: *kind, blocks_per_multiprocessor: blocks as u32 });
                kernels.blind_rotations.push(kernel);
            }
        }
        Ok(())
    }
}

/// Compiles PTX in the bound context; on failure the driver's log, ready to be appended to a sentence.
fn load(context: &Arc<CudaContext>, ptx: &str) -> Result<Arc<Module>, (DriverError, String)> {
    // PTX is text without zero bytes; the driver reads up to the one that is appended.
    let image = CString::new(ptx).unwrap_or_default();
    let mut log = vec![0u8; LOG];
    let mut options = [CUjit_option::CU_JIT_ERROR_LOG_BUFFER, CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES];
    let mut values = [log.as_mut_ptr().cast::<c_void>(), std::ptr::without_provenance_mut(LOG - 1)];
    let mut handle = std::ptr::null_mut();
    // SAFETY: the image ends in a zero byte; each option has its value, a buffer and its size, and all live through the
    // call.
    let loaded = unsafe {
        sys::cuModuleLoadDataEx(
            &raw mut handle,
            image.as_ptr().cast(),
            options.len() as u32,
            options.as_mut_ptr(),
            values.as_mut_ptr(),
        )
    };
    match loaded.result() {
        Ok(()) => Ok(Arc::new(Module { context: Arc::clone(context), handle })),
        Err(error) => {
            let log = CStr::from_bytes_until_nul(&log).map(|log| log.to_string_lossy().trim().to_owned());
            let log = log.ok().filter(|log| !log.is_empty()).map(|log| format!("; its log: {log}"));
            Err((error, log.unwrap_or_default()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = (&'static str, &'static Shape)> {
        let keyswitch = [&DECOMPOSE, &PRODUCT_16, &PRODUCT_128, &MODULUS_SWITCH].map(|shape| ("keyswitch", shape));
        let others = [("linear", &LINEAR), ("key_transform", &KEY_TRANSFORM)];
        let rotations = BLIND_ROTATIONS.iter().map(|(module, _, shape)| (*module, shape));
        keyswitch.into_iter().chain(others).chain(rotations)
    }

    /// The PTX declares each kernel with the arguments and threads that it is launched with.
    #[test]
    fn shapes_are_those_of_the_ptx() {
        for (module, Shape(name, arguments, threads, _)) in all() {
            for version in fhe_kernels::MODULES.iter().filter(|known| known.name == module) {
                let head = version.ptx.split_once(&format!(".entry {name}(")).expect(name).1;
                let (parameters, directives) = head.split_once(')').expect(name);
                let kind = |line: &str| match line.split_whitespace().nth(1) {
                    Some(".u64") => 'p',
                    Some(".u32") => 'n',
                    other => panic!("{name}: {other:?}"),
                };
                let found: String = parameters.split(',').map(kind).collect();
                assert_eq!(found, *arguments, "{name} for compute {}", version.compute);
                assert!(directives.trim_start().starts_with(&format!(".maxntid {threads}, 1, 1")), "{name}");
            }
        }
    }

    #[test]
    fn every_module_is_there_for_the_least_card() {
        let (major, minor) = crate::MIN_COMPUTE_CAPABILITY;
        for (module, Shape(name, ..)) in all() {
            let needed = if module == "blind_rotate_hopper" { 90 } else { 10 * major + minor };
            assert!(fhe_kernels::module(module, needed).is_some(), "{name}");
        }
        assert!(fhe_kernels::module("blind_rotate_hopper", 89).is_none());
    }

    #[test]
    fn shapes_fit_the_cards_they_are_for() {
        // Compute 8.0 has 163 KiB of shared memory for a block, 9.0 has 227.
        for (_, Shape(name, _, _, shared_bytes)) in all() {
            let limit = match *name {
                "blind_rotate_2" | "blind_rotate_4" => 163 << 10,
                name if name.starts_with("blind_rotate_staged") => 227 << 10,
                _ => SHARED_WITHOUT_ASKING,
            };
            assert!(*shared_bytes <= limit, "{name}");
        }
    }
}
