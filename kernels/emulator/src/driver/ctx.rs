//! `cuCtx*`.

use std::ffi::{c_int, c_uint, c_void};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::{Answer, Status, codes, device::device, in_context, put, with_machine};
use crate::context::{current, machine, pop_current, push_current, set_current};

unsafe fn create(to: *mut usize, flags: c_uint, number: c_int) -> Status {
    with_machine("cuCtxCreate", |machine| {
        let device = device(machine, number)?;
        device.check("cuCtxCreate")?;
        let context = machine.create(device, false, flags);
        push_current(context.clone());
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, context.handle) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxCreate_v2(to: *mut usize, flags: c_uint, number: c_int) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    unsafe { create(to, flags, number) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxCreate_v3(
    to: *mut usize,
    _affinities: *mut c_void,
    _count: c_int,
    flags: c_uint,
    number: c_int,
) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    unsafe { create(to, flags, number) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxCreate_v4(to: *mut usize, _parameters: *mut c_void, flags: c_uint, number: c_int) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    unsafe { create(to, flags, number) }
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxDestroy_v2(handle: usize) -> Status {
    with_machine("cuCtxDestroy", |machine| {
        let context = machine.context(handle).ok_or(codes::INVALID_CONTEXT)?;
        if context.primary {
            return Err(codes::INVALID_CONTEXT);
        }
        machine.destroy(handle);
        if current().is_some_and(|current| current.handle == handle) {
            pop_current();
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetCurrent(to: *mut usize) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    with_machine("cuCtxGetCurrent", |_| unsafe { put(to, current().map_or(0, |context| context.handle)) })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetCurrent(handle: usize) -> Status {
    with_machine("cuCtxSetCurrent", |machine| {
        let context = match handle {
            0 => None,
            _ => Some(machine.context(handle).ok_or(codes::INVALID_CONTEXT)?),
        };
        set_current(context);
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxPushCurrent_v2(handle: usize) -> Status {
    with_machine("cuCtxPushCurrent", |machine| {
        push_current(machine.context(handle).ok_or(codes::INVALID_CONTEXT)?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxPopCurrent_v2(to: *mut usize) -> Status {
    with_machine("cuCtxPopCurrent", |_| {
        let handle = pop_current().ok_or(codes::INVALID_CONTEXT)?.handle;
        if !to.is_null() {
            // SAFETY: the caller passes a pointer that can be written.
            unsafe { to.write(handle) };
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetDevice(to: *mut c_int) -> Status {
    with_machine("cuCtxGetDevice", |_| {
        let context = current().ok_or(codes::INVALID_CONTEXT)?;
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, context.device.number as c_int) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSynchronize() -> Status {
    in_context("cuCtxSynchronize", |_, context| {
        let objects = context.objects();
        let orders: Vec<_> =
            objects.streams.values().map(|stream| &stream.order).chain([&objects.order]).cloned().collect();
        drop(objects);
        for order in orders {
            drop(order.lock().unwrap_or_else(PoisonError::into_inner));
        }
        context.check()
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetFlags(to: *mut c_uint) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    in_context("cuCtxGetFlags", |_, context| unsafe { put(to, context.flags.load(Ordering::Relaxed)) })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetFlags(flags: c_uint) -> Status {
    in_context("cuCtxSetFlags", |_, context| {
        context.flags.store(flags, Ordering::Relaxed);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetApiVersion(handle: usize, to: *mut c_uint) -> Status {
    with_machine("cuCtxGetApiVersion", |machine| {
        machine.context(handle).ok_or(codes::INVALID_CONTEXT)?;
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, 3020) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetStreamPriorityRange(least: *mut c_int, greatest: *mut c_int) -> Status {
    in_context("cuCtxGetStreamPriorityRange", |_, _| {
        // SAFETY: the caller passes pointers that can be written, or null.
        unsafe {
            if !least.is_null() {
                least.write(0);
            }
            if !greatest.is_null() {
                greatest.write(-5);
            }
        }
        Ok(())
    })
}

fn check_limit(limit: c_int) -> Answer {
    if (0..=8).contains(&limit) { Ok(()) } else { Err(codes::UNSUPPORTED_LIMIT) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetLimit(to: *mut usize, limit: c_int) -> Status {
    in_context("cuCtxGetLimit", |_, context| {
        check_limit(limit)?;
        let value = context.objects().limits.get(&limit).copied().unwrap_or(if limit == 0 { 1024 } else { 8 << 20 });
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, value) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetLimit(limit: c_int, value: usize) -> Status {
    in_context("cuCtxSetLimit", |_, context| {
        check_limit(limit)?;
        context.objects().limits.insert(limit, value);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetCacheConfig(to: *mut c_int) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    in_context("cuCtxGetCacheConfig", |_, _| unsafe { put(to, 0) })
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetCacheConfig(_config: c_int) -> Status {
    in_context("cuCtxSetCacheConfig", |_, _| Ok(()))
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxEnablePeerAccess(peer: usize, _flags: c_uint) -> Status {
    in_context("cuCtxEnablePeerAccess", |_, _| {
        machine().and_then(|machine| machine.context(peer)).ok_or(codes::INVALID_CONTEXT)?;
        // PEER_ACCESS_UNSUPPORTED: each device has its own memory.
        Err(217)
    })
}
