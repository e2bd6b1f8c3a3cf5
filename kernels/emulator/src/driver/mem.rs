//! `cuMem*` but for pools: allocations, copies, fills, pinned memory.

use std::alloc::{Layout, alloc, dealloc};
use std::collections::HashMap;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Answer, Status, codes, error, in_context, in_stream, put, with_machine};
use crate::context::{Context, current};
use crate::memory::{Allocation, NotFreed};

/// Pinned memory: address and size.
static PINNED: Mutex<Option<HashMap<usize, usize>>> = Mutex::new(None);

fn pinned() -> MutexGuard<'static, Option<HashMap<usize, usize>>> {
    PINNED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> Status {
    in_context("cuMemGetInfo", |_, context| {
        let info = context.device.memory.info();
        // SAFETY: the caller passes pointers that can be written.
        unsafe {
            put(free, info.0)?;
            put(total, info.1)
        }
    })
}

pub(super) unsafe fn allocate(call: &str, to: *mut u64, bytes: usize, stream: usize) -> Status {
    in_stream(call, stream, |_, context| {
        if bytes == 0 || to.is_null() {
            return Err(codes::INVALID_VALUE);
        }
        let address = context.device.memory.allocate(bytes, context.handle).ok_or(codes::OUT_OF_MEMORY)?;
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, address) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAlloc_v2(to: *mut u64, bytes: usize) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    unsafe { allocate("cuMemAlloc", to, bytes, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAllocAsync(to: *mut u64, bytes: usize, stream: usize) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    unsafe { allocate("cuMemAllocAsync", to, bytes, stream) }
}

fn free(call: &str, context: &Context, address: u64) -> Answer {
    if address == 0 {
        return Ok(());
    }
    let text = match context.device.memory.free(address) {
        Ok(_) => return Ok(()),
        Err(NotFreed::Twice) => format!("{address:#x} was freed before"),
        Err(NotFreed::Unknown) => {
            format!("no allocation begins at {address:#x}: {}", context.device.memory.describe(address))
        }
    };
    error(call, codes::INVALID_VALUE, &text)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFree_v2(address: u64) -> Status {
    in_stream("cuMemFree", 0, |_, context| free("cuMemFree", context, address))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFreeAsync(address: u64, stream: usize) -> Status {
    in_stream("cuMemFreeAsync", stream, |_, context| free("cuMemFreeAsync", context, address))
}

/// A range of device memory, or an error of the call.
fn range(call: &str, context: &Context, address: u64, bytes: usize) -> Result<(Arc<Allocation>, *mut u8), i32> {
    context
        .device
        .memory
        .range(address, bytes)
        .or_else(|text| error(call, codes::INVALID_VALUE, &format!("{bytes} bytes at {address:#x}: {text}")))
}

unsafe fn to_device(call: &str, to: u64, from: *const u8, bytes: usize, stream: usize) -> Status {
    in_stream(call, stream, |_, context| {
        if bytes == 0 {
            return Ok(());
        }
        if from.is_null() {
            return Err(codes::INVALID_VALUE);
        }
        let (_allocation, to) = range(call, context, to, bytes)?;
        // SAFETY: the caller passes `bytes` bytes to read; the range was checked and its allocation is held.
        unsafe { to.copy_from(from, bytes) };
        Ok(())
    })
}

unsafe fn to_host(call: &str, to: *mut u8, from: u64, bytes: usize, stream: usize) -> Status {
    in_stream(call, stream, |_, context| {
        if bytes == 0 {
            return Ok(());
        }
        if to.is_null() {
            return Err(codes::INVALID_VALUE);
        }
        let (_allocation, from) = range(call, context, from, bytes)?;
        // SAFETY: the caller passes `bytes` bytes to write; the range was checked and its allocation is held.
        unsafe { to.copy_from(from, bytes) };
        Ok(())
    })
}

fn on_device(call: &str, to: u64, from: u64, bytes: usize, stream: usize) -> Status {
    in_stream(call, stream, |_, context| {
        if bytes == 0 {
            return Ok(());
        }
        let (_target, to) = range(call, context, to, bytes)?;
        let (_source, from) = range(call, context, from, bytes)?;
        // SAFETY: both ranges were checked and their allocations are held.
        unsafe { to.copy_from(from, bytes) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoD_v2(to: u64, from: *const u8, bytes: usize) -> Status {
    // SAFETY: the caller passes `bytes` bytes to read.
    unsafe { to_device("cuMemcpyHtoD", to, from, bytes, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoDAsync_v2(to: u64, from: *const u8, bytes: usize, stream: usize) -> Status {
    // SAFETY: the caller passes `bytes` bytes to read.
    unsafe { to_device("cuMemcpyHtoDAsync", to, from, bytes, stream) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoH_v2(to: *mut u8, from: u64, bytes: usize) -> Status {
    // SAFETY: the caller passes `bytes` bytes to write.
    unsafe { to_host("cuMemcpyDtoH", to, from, bytes, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoHAsync_v2(to: *mut u8, from: u64, bytes: usize, stream: usize) -> Status {
    // SAFETY: the caller passes `bytes` bytes to write.
    unsafe { to_host("cuMemcpyDtoHAsync", to, from, bytes, stream) }
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoD_v2(to: u64, from: u64, bytes: usize) -> Status {
    on_device("cuMemcpyDtoD", to, from, bytes, 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: usize) -> Status {
    on_device("cuMemcpyDtoDAsync", to, from, bytes, stream)
}

fn between(call: &str, to: u64, to_context: usize, from: u64, from_context: usize, bytes: usize) -> Status {
    with_machine(call, |machine| {
        let target = machine.context(to_context).ok_or(codes::INVALID_CONTEXT)?;
        let source = machine.context(from_context).ok_or(codes::INVALID_CONTEXT)?;
        for context in [&target, &source] {
            context.check()?;
            context.device.check(call)?;
        }
        if bytes == 0 {
            return Ok(());
        }
        let (_target, to) = range(call, &target, to, bytes)?;
        let (_source, from) = range(call, &source, from, bytes)?;
        // SAFETY: both ranges were checked and their allocations are held.
        unsafe { to.copy_from(from, bytes) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyPeer(to: u64, to_context: usize, from: u64, from_context: usize, bytes: usize) -> Status {
    between("cuMemcpyPeer", to, to_context, from, from_context, bytes)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyPeerAsync(
    to: u64,
    to_context: usize,
    from: u64,
    from_context: usize,
    bytes: usize,
    _stream: usize,
) -> Status {
    between("cuMemcpyPeerAsync", to, to_context, from, from_context, bytes)
}

/// Copies wherever the addresses point to: device memory by its addresses, everything else is the host's.
unsafe fn anywhere(call: &str, to: u64, from: u64, bytes: usize, stream: usize) -> Status {
    let on_host = |address: u64| address < 1 << 47;
    // SAFETY: the caller passes ranges of the host or of the device.
    unsafe {
        match (on_host(to), on_host(from)) {
            (false, false) => on_device(call, to, from, bytes, stream),
            (false, true) => to_device(call, to, from as *const u8, bytes, stream),
            (true, false) => to_host(call, to as *mut u8, from, bytes, stream),
            (true, true) => {
                (to as *mut u8).copy_from(from as *const u8, bytes);
                codes::SUCCESS
            }
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpy(to: u64, from: u64, bytes: usize) -> Status {
    // SAFETY: as for `anywhere`.
    unsafe { anywhere("cuMemcpy", to, from, bytes, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyAsync(to: u64, from: u64, bytes: usize, stream: usize) -> Status {
    // SAFETY: as for `anywhere`.
    unsafe { anywhere("cuMemcpyAsync", to, from, bytes, stream) }
}

fn fill<T: Copy>(call: &str, to: u64, value: T, count: usize, stream: usize) -> Status {
    in_stream(call, stream, |_, context| {
        if count == 0 {
            return Ok(());
        }
        if !to.is_multiple_of(size_of::<T>() as u64) {
            return error(call, codes::INVALID_VALUE, &format!("{to:#x} is not a multiple of {}", size_of::<T>()));
        }
        let bytes = count.checked_mul(size_of::<T>()).ok_or(codes::INVALID_VALUE)?;
        let (_allocation, to) = range(call, context, to, bytes)?;
        // SAFETY: the range was checked, is aligned, and its allocation is held.
        unsafe { std::slice::from_raw_parts_mut(to.cast::<T>(), count) }.fill(value);
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD8_v2(to: u64, value: u8, count: usize) -> Status {
    fill("cuMemsetD8", to, value, count, 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD8Async(to: u64, value: u8, count: usize, stream: usize) -> Status {
    fill("cuMemsetD8Async", to, value, count, stream)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD16_v2(to: u64, value: u16, count: usize) -> Status {
    fill("cuMemsetD16", to, value, count, 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD16Async(to: u64, value: u16, count: usize, stream: usize) -> Status {
    fill("cuMemsetD16Async", to, value, count, stream)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD32_v2(to: u64, value: u32, count: usize) -> Status {
    fill("cuMemsetD32", to, value, count, 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD32Async(to: u64, value: u32, count: usize, stream: usize) -> Status {
    fill("cuMemsetD32Async", to, value, count, stream)
}

fn pinned_layout(bytes: usize) -> Result<Layout, i32> {
    Layout::from_size_align(bytes.max(1), 4096).map_err(|_| codes::OUT_OF_MEMORY)
}

unsafe fn allocate_pinned(call: &str, to: *mut *mut c_void, bytes: usize) -> Status {
    in_context(call, |_, _| {
        if bytes == 0 || to.is_null() {
            return Err(codes::INVALID_VALUE);
        }
        // SAFETY: the size is not zero.
        let memory = unsafe { alloc(pinned_layout(bytes)?) };
        if memory.is_null() {
            return Err(codes::OUT_OF_MEMORY);
        }
        // SAFETY: just allocated with this size. Whoever reads before writing shall notice.
        unsafe { memory.write_bytes(0xfb, bytes) };
        pinned().get_or_insert_default().insert(memory as usize, bytes);
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, memory.cast()) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemHostAlloc(to: *mut *mut c_void, bytes: usize, _flags: c_uint) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    unsafe { allocate_pinned("cuMemHostAlloc", to, bytes) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAllocHost_v2(to: *mut *mut c_void, bytes: usize) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    unsafe { allocate_pinned("cuMemAllocHost", to, bytes) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemFreeHost(memory: *mut c_void) -> Status {
    with_machine("cuMemFreeHost", |_| {
        let removed = pinned().as_mut().and_then(|table| table.remove(&(memory as usize)));
        let Some(bytes) = removed else {
            return error("cuMemFreeHost", codes::INVALID_VALUE, "not pinned memory, or freed before");
        };
        // SAFETY: the table held it, so it was allocated with this layout and not freed.
        unsafe { dealloc(memory.cast(), pinned_layout(bytes)?) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemHostGetFlags(to: *mut c_uint, memory: *mut c_void) -> Status {
    with_machine("cuMemHostGetFlags", |_| {
        if !pinned().as_ref().is_some_and(|table| table.contains_key(&(memory as usize))) {
            return Err(codes::INVALID_VALUE);
        }
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, 0) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemHostRegister_v2(memory: *mut c_void, bytes: usize, _flags: c_uint) -> Status {
    in_context(
        "cuMemHostRegister",
        |_, _| {
            if memory.is_null() || bytes == 0 { Err(codes::INVALID_VALUE) } else { Ok(()) }
        },
    )
}

#[unsafe(no_mangle)]
extern "C" fn cuMemHostUnregister(_memory: *mut c_void) -> Status {
    in_context("cuMemHostUnregister", |_, _| Ok(()))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemGetAddressRange_v2(base: *mut u64, bytes: *mut usize, address: u64) -> Status {
    in_context("cuMemGetAddressRange", |_, context| {
        let allocation = context.device.memory.find(address).ok_or(codes::NOT_FOUND)?;
        // SAFETY: the caller passes pointers that can be written, or null.
        unsafe {
            if !base.is_null() {
                base.write(allocation.address());
            }
            if !bytes.is_null() {
                bytes.write(allocation.bytes());
            }
        }
        Ok(())
    })
}

/// `CU_POINTER_ATTRIBUTE_*`: context 1, memory type 2, device pointer 3, device ordinal 9.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuPointerGetAttribute(to: *mut c_void, attribute: c_int, address: u64) -> Status {
    with_machine("cuPointerGetAttribute", |machine| {
        let found = machine
            .devices
            .iter()
            .find_map(|device| device.memory.find(address).map(|allocation| (device.number, allocation.context)));
        let (device, context) = found.ok_or(codes::INVALID_VALUE)?;
        // SAFETY: the caller passes a pointer to a value of the attribute's type.
        unsafe {
            match attribute {
                1 => put(to.cast(), context),
                2 => put(to.cast(), 2 as c_uint),
                3 => put(to.cast(), address),
                9 => put(to.cast(), device as c_int),
                _ => Err(codes::NOT_SUPPORTED),
            }
        }
    })
}

/// The calling thread's device, for pools.
pub(super) fn current_device() -> Result<Arc<crate::device::Device>, i32> {
    current().map(|context| Arc::clone(&context.device)).ok_or(codes::INVALID_CONTEXT)
}
