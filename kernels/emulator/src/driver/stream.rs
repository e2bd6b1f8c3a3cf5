//! `cuStream*`: work is done when it is submitted.

use std::ffi::{c_int, c_uint, c_void};
use std::sync::Arc;

use super::{Status, codes, find_stream, in_context, in_stream, put};
use crate::context::{Stream, new_handle};

unsafe fn create(call: &str, to: *mut usize, flags: c_uint, priority: c_int) -> Status {
    in_context(call, |_, context| {
        if to.is_null() || flags > 1 {
            return Err(codes::INVALID_VALUE);
        }
        let handle = new_handle();
        // Blocking streams wait for the default stream: they share its order.
        let mut objects = context.objects();
        let order = if flags == 0 { Arc::clone(&objects.order) } else { Arc::default() };
        objects.streams.insert(handle, Stream { flags, priority, order });
        drop(objects);
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, handle) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamCreate(to: *mut usize, flags: c_uint) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    unsafe { create("cuStreamCreate", to, flags, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamCreateWithPriority(to: *mut usize, flags: c_uint, priority: c_int) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    unsafe { create("cuStreamCreateWithPriority", to, flags, priority.clamp(-5, 0)) }
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamDestroy_v2(stream: usize) -> Status {
    in_context("cuStreamDestroy", |_, context| {
        context.objects().streams.remove(&stream).map(|_| ()).ok_or(codes::INVALID_HANDLE)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamSynchronize(stream: usize) -> Status {
    in_stream("cuStreamSynchronize", stream, |_, _| Ok(()))
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamQuery(stream: usize) -> Status {
    in_context("cuStreamQuery", |_, context| find_stream(context, stream).map(|_| ()))
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamWaitEvent(stream: usize, event: usize, _flags: c_uint) -> Status {
    in_stream("cuStreamWaitEvent", stream, |machine, _| {
        // The event may be one of another context.
        if machine.has_event(event) { Ok(()) } else { Err(codes::INVALID_HANDLE) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamGetFlags(stream: usize, to: *mut c_uint) -> Status {
    in_context("cuStreamGetFlags", |_, context| {
        let flags = find_stream(context, stream)?.flags;
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, flags) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamGetPriority(stream: usize, to: *mut c_int) -> Status {
    in_context("cuStreamGetPriority", |_, context| {
        let priority = find_stream(context, stream)?.priority;
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, priority) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamGetCtx(stream: usize, to: *mut usize) -> Status {
    in_context("cuStreamGetCtx", |_, context| {
        find_stream(context, stream)?;
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, context.handle) }
    })
}

/// Nothing is captured: 0.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamIsCapturing(stream: usize, to: *mut c_int) -> Status {
    in_context("cuStreamIsCapturing", |_, context| {
        find_stream(context, stream)?;
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, 0) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchHostFunc(
    stream: usize,
    function: Option<unsafe extern "C" fn(*mut c_void)>,
    data: *mut c_void,
) -> Status {
    in_stream("cuLaunchHostFunc", stream, |_, _| {
        let function = function.ok_or(codes::INVALID_VALUE)?;
        // SAFETY: the caller passes a function for this data.
        unsafe { function(data) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamAddCallback(
    stream: usize,
    function: Option<unsafe extern "C" fn(usize, Status, *mut c_void)>,
    data: *mut c_void,
    _flags: c_uint,
) -> Status {
    in_stream("cuStreamAddCallback", stream, |_, _| {
        let function = function.ok_or(codes::INVALID_VALUE)?;
        // SAFETY: the caller passes a function for this data.
        unsafe { function(stream, codes::SUCCESS, data) };
        Ok(())
    })
}
