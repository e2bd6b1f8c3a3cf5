//! `cuModule*`, `cuFunc*`: PTX text names kernels, the emulator has their compiled twins.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Answer, Status, codes, error, in_context, put};
use crate::context::{Context, Function, Module, new_handle};
use crate::kernels::{self, Compiled};
use crate::ptx::{self, Entry, Ptx};

/// PTX ISA of the CUDA version that `cuDriverGetVersion` names.
const PTX_VERSION: u32 = 84;

fn load(call: &str, context: &Context, image: &[u8]) -> Result<usize, i32> {
    let text = match std::str::from_utf8(image).map_err(|error| error.to_string()).map(ptx::parse) {
        Ok(Ok(ptx)) => ptx,
        Ok(Err(text)) | Err(text) => return error(call, codes::INVALID_PTX, &format!("not PTX: {text}")),
    };
    check_target(call, context, &text)?;
    for entry in &text.entries {
        if let Some(kernel) = kernels::find(&entry.name)
            && let Err(text) = compare(entry, kernel)
        {
            let text = format!("{}: PTX and source differ, is the PTX stale? {text}", entry.name);
            return error(call, codes::INVALID_PTX, &text);
        }
    }
    let handle = new_handle();
    context.objects().modules.insert(handle, Module { ptx: text, functions: HashMap::new() });
    Ok(handle)
}

fn check_target(call: &str, context: &Context, ptx: &Ptx) -> Answer {
    if ptx.version > PTX_VERSION {
        let text = format!("PTX version {}, the driver knows {PTX_VERSION}", ptx.version);
        return error(call, codes::UNSUPPORTED_PTX_VERSION, &text);
    }
    let compute = context.device.compute;
    if ptx.target > compute || ptx.exact && ptx.target != compute {
        let text = format!("PTX for sm_{}, the device has compute capability {compute}", ptx.target);
        return error(call, codes::NO_BINARY_FOR_GPU, &text);
    }
    Ok(())
}

/// Whether both sides have the same parameters and bounds.
fn compare(entry: &Entry, kernel: Compiled) -> Result<(), String> {
    let sizes: Vec<u32> = kernel.parameters().iter().map(|parameter| parameter.size).collect();
    if entry.parameters != sizes {
        return Err(format!("parameter sizes {:?} and {sizes:?}", entry.parameters));
    }
    match entry.threads {
        Some(threads) if threads != kernel.threads() => {
            return Err(format!("{threads} and {} threads", kernel.threads()));
        }
        _ => {}
    }
    match entry.cluster {
        Some(blocks) if blocks != kernel.cluster() => {
            Err(format!("clusters of {blocks} and {} blocks", kernel.cluster()))
        }
        _ => Ok(()),
    }
}

/// The text up to its zero byte.
unsafe fn load_text(call: &str, to: *mut usize, image: *const c_void) -> Status {
    in_context(call, |_, context| {
        if image.is_null() || to.is_null() {
            return Err(codes::INVALID_VALUE);
        }
        // SAFETY: the caller passes text with a zero byte at its end, or a binary image, which the header tells.
        let first = unsafe { std::slice::from_raw_parts(image.cast::<u8>(), 4) };
        if first.starts_with(b"\x7fELF") || first == [0x50, 0xed, 0x55, 0xba] {
            return error(call, codes::INVALID_PTX, "a binary image: the emulator needs PTX");
        }
        // SAFETY: as above, and it is not binary.
        let text = unsafe { CStr::from_ptr(image.cast()) };
        let handle = load(call, context, text.to_bytes())?;
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, handle) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoadData(to: *mut usize, image: *const c_void) -> Status {
    // SAFETY: the caller's promise.
    unsafe { load_text("cuModuleLoadData", to, image) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoadDataEx(
    to: *mut usize,
    image: *const c_void,
    _count: c_uint,
    _options: *mut c_int,
    _values: *mut *mut c_void,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { load_text("cuModuleLoadDataEx", to, image) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoad(to: *mut usize, path: *const c_char) -> Status {
    in_context("cuModuleLoad", |_, context| {
        if path.is_null() {
            return Err(codes::INVALID_VALUE);
        }
        // SAFETY: the caller passes a string.
        let path = unsafe { CStr::from_ptr(path) }.to_string_lossy();
        let text = std::fs::read(path.as_ref()).map_err(|_| codes::FILE_NOT_FOUND)?;
        let handle = load("cuModuleLoad", context, &text)?;
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, handle) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleUnload(module: usize) -> Status {
    in_context("cuModuleUnload", |_, context| {
        let mut objects = context.objects();
        let module = objects.modules.remove(&module).ok_or(codes::INVALID_HANDLE)?;
        for function in module.functions.values() {
            objects.functions.remove(function);
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleGetFunction(to: *mut usize, module: usize, name: *const c_char) -> Status {
    const CALL: &str = "cuModuleGetFunction";
    in_context(CALL, |_, context| {
        if name.is_null() {
            return Err(codes::INVALID_VALUE);
        }
        // SAFETY: the caller passes a string.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
        let mut objects = context.objects();
        let module = objects.modules.get_mut(&module).ok_or(codes::INVALID_HANDLE)?;
        let handle = if let Some(&handle) = module.functions.get(&name) {
            handle
        } else {
            if !module.ptx.entries.iter().any(|entry| entry.name == name) {
                return error(CALL, codes::NOT_FOUND, &format!("the PTX has no kernel `{name}`"));
            }
            let Some(kernel) = kernels::find(&name) else {
                return error(CALL, codes::NOT_FOUND, &format!("the emulator was built without a kernel `{name}`"));
            };
            let handle = new_handle();
            module.functions.insert(name, handle);
            let function = Function {
                kernel,
                target: module.ptx.target,
                shared_limit: AtomicU32::new(context.device.shared().default),
            };
            objects.functions.insert(handle, Arc::new(function));
            handle
        };
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, handle) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleGetGlobal_v2(
    _address: *mut u64,
    _bytes: *mut usize,
    _module: usize,
    _name: *const c_char,
) -> Status {
    in_context("cuModuleGetGlobal", |_, _| Err(codes::NOT_FOUND))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleGetFunctionCount(to: *mut c_uint, module: usize) -> Status {
    in_context("cuModuleGetFunctionCount", |_, context| {
        let count = context.objects().modules.get(&module).ok_or(codes::INVALID_HANDLE)?.ptx.entries.len();
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, count as c_uint) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleGetLoadingMode(to: *mut c_int) -> Status {
    // SAFETY: the caller passes a pointer that can be written. 1: eager.
    super::with_machine("cuModuleGetLoadingMode", |_| unsafe { put(to, 1) })
}

/// The kernel of a handle.
pub(super) fn function(context: &Context, handle: usize) -> Result<Arc<Function>, i32> {
    context.objects().functions.get(&handle).cloned().ok_or(codes::INVALID_HANDLE)
}

/// `CU_FUNC_ATTRIBUTE_*`.
mod attribute {
    pub const MAX_THREADS_PER_BLOCK: i32 = 0;
    pub const SHARED_SIZE_BYTES: i32 = 1;
    pub const NUM_REGS: i32 = 4;
    pub const PTX_VERSION: i32 = 5;
    pub const BINARY_VERSION: i32 = 6;
    pub const MAX_DYNAMIC_SHARED_SIZE_BYTES: i32 = 8;
    pub const PREFERRED_SHARED_MEMORY_CARVEOUT: i32 = 9;
    pub const REQUIRED_CLUSTER_WIDTH: i32 = 11;
    pub const REQUIRED_CLUSTER_HEIGHT: i32 = 12;
    pub const REQUIRED_CLUSTER_DEPTH: i32 = 13;
    pub const NON_PORTABLE_CLUSTER_SIZE_ALLOWED: i32 = 14;
    pub const CLUSTER_SCHEDULING_POLICY_PREFERENCE: i32 = 15;
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuFuncGetAttribute(to: *mut c_int, which: c_int, handle: usize) -> Status {
    in_context("cuFuncGetAttribute", |_, context| {
        let function = function(context, handle)?;
        let cluster = function.kernel.cluster() as c_int;
        let value = match which {
            attribute::MAX_THREADS_PER_BLOCK => function.kernel.threads() as c_int,
            // The compiler's for the device: not known here.
            attribute::NUM_REGS => 1,
            attribute::PTX_VERSION => function.target as c_int,
            attribute::BINARY_VERSION => context.device.compute as c_int,
            attribute::MAX_DYNAMIC_SHARED_SIZE_BYTES => function.shared_limit.load(Ordering::Relaxed) as c_int,
            attribute::PREFERRED_SHARED_MEMORY_CARVEOUT => -1,
            attribute::REQUIRED_CLUSTER_WIDTH if cluster > 1 => cluster,
            attribute::REQUIRED_CLUSTER_HEIGHT | attribute::REQUIRED_CLUSTER_DEPTH if cluster > 1 => 1,
            attribute::SHARED_SIZE_BYTES..=attribute::CLUSTER_SCHEDULING_POLICY_PREFERENCE => 0,
            _ => return Err(codes::INVALID_VALUE),
        };
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, value) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuFuncSetAttribute(handle: usize, which: c_int, value: c_int) -> Status {
    const CALL: &str = "cuFuncSetAttribute";
    in_context(CALL, |_, context| {
        let function = function(context, handle)?;
        match which {
            attribute::MAX_DYNAMIC_SHARED_SIZE_BYTES => {
                let limit = context.device.shared().block;
                if value < 0 || value as u32 > limit {
                    let text =
                        format!("{}: {value} bytes of shared memory, a block has {limit}", function.kernel.name());
                    return error(CALL, codes::INVALID_VALUE, &text);
                }
                function.shared_limit.store(value as u32, Ordering::Relaxed);
                Ok(())
            }
            attribute::PREFERRED_SHARED_MEMORY_CARVEOUT if (-1..=100).contains(&value) => Ok(()),
            attribute::NON_PORTABLE_CLUSTER_SIZE_ALLOWED | attribute::CLUSTER_SCHEDULING_POLICY_PREFERENCE => Ok(()),
            _ => Err(codes::INVALID_VALUE),
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuFuncSetCacheConfig(handle: usize, _config: c_int) -> Status {
    in_context("cuFuncSetCacheConfig", |_, context| function(context, handle).map(|_| ()))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuFuncGetName(to: *mut *const c_char, handle: usize) -> Status {
    in_context("cuFuncGetName", |_, context| {
        let name = function(context, handle)?.kernel.entry().name;
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, name) }
    })
}

/// Offsets are those of naturally aligned parameters.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuFuncGetParamInfo(handle: usize, index: usize, offset: *mut usize, size: *mut usize) -> Status {
    in_context("cuFuncGetParamInfo", |_, context| {
        let function = function(context, handle)?;
        let parameters = function.kernel.parameters();
        let wanted = parameters.get(index).ok_or(codes::INVALID_VALUE)?.size as usize;
        let align = |at: usize, size: usize| at.next_multiple_of(size.next_power_of_two().min(16));
        let end = parameters[..index].iter().fold(0, |at, before| {
            let size = before.size as usize;
            align(at, size) + size
        });
        // SAFETY: the caller passes pointers that can be written, or null for the size.
        unsafe {
            put(offset, align(end, wanted))?;
            if !size.is_null() {
                size.write(wanted);
            }
        }
        Ok(())
    })
}
