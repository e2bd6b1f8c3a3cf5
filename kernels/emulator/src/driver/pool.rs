//! `cuMemPool*`: pools are names for the device's memory; nothing is kept in them.

use std::ffi::{c_int, c_void};
use std::sync::atomic::Ordering;

use super::device::{check_device, default_pool, device};
use super::mem::allocate;
use super::{Status, codes, put, with_machine};
use crate::context::new_handle;

unsafe fn get_pool(call: &str, to: *mut usize, number: c_int) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    with_machine(call, |machine| unsafe { put(to, default_pool(device(machine, number)?)) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetDefaultMemPool(to: *mut usize, number: c_int) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    unsafe { get_pool("cuDeviceGetDefaultMemPool", to, number) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetMemPool(to: *mut usize, number: c_int) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    unsafe { get_pool("cuDeviceGetMemPool", to, number) }
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceSetMemPool(number: c_int, pool: usize) -> Status {
    with_machine("cuDeviceSetMemPool", |machine| {
        device(machine, number)?.pool.store(pool, Ordering::Relaxed);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemPoolCreate(to: *mut usize, properties: *const c_void) -> Status {
    with_machine("cuMemPoolCreate", |machine| {
        check_device(machine, 0)?;
        if properties.is_null() {
            return Err(codes::INVALID_VALUE);
        }
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, new_handle()) }
    })
}

fn with_pool(call: &str, pool: usize) -> Status {
    with_machine(call, |_| if pool == 0 { Err(codes::INVALID_VALUE) } else { Ok(()) })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemPoolDestroy(pool: usize) -> Status {
    with_pool("cuMemPoolDestroy", pool)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemPoolTrimTo(pool: usize, _keep: usize) -> Status {
    with_pool("cuMemPoolTrimTo", pool)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemPoolSetAttribute(pool: usize, _attribute: c_int, _value: *mut c_void) -> Status {
    with_pool("cuMemPoolSetAttribute", pool)
}

/// Attributes 1 to 3 are flags, 4 a threshold, 5 to 8 the reserved and the used bytes, now and at most.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemPoolGetAttribute(_pool: usize, attribute: c_int, value: *mut c_void) -> Status {
    with_machine("cuMemPoolGetAttribute", |_| {
        let (free, total) = super::mem::current_device()?.memory.info();
        // SAFETY: the caller passes a pointer to a value of the attribute's type.
        unsafe {
            match attribute {
                1..=3 => put(value.cast(), 1 as c_int),
                4 => put(value.cast(), 0u64),
                5..=8 => put(value.cast(), (total - free) as u64),
                _ => Err(codes::INVALID_VALUE),
            }
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAllocFromPoolAsync(to: *mut u64, bytes: usize, pool: usize, stream: usize) -> Status {
    if pool == 0 {
        return codes::INVALID_VALUE;
    }
    // SAFETY: the caller passes a pointer that can be written.
    unsafe { allocate("cuMemAllocFromPoolAsync", to, bytes, stream) }
}
