//! `cuEvent*`: an event is a point in time.

use std::ffi::c_uint;
use std::time::Instant;

use super::{Status, codes, in_context, in_stream, put};
use crate::context::{Event, new_handle};

/// `CU_EVENT_DISABLE_TIMING`.
const DISABLE_TIMING: c_uint = 2;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventCreate(to: *mut usize, flags: c_uint) -> Status {
    in_context("cuEventCreate", |_, context| {
        if to.is_null() {
            return Err(codes::INVALID_VALUE);
        }
        let handle = new_handle();
        let event = Event { timed: flags & DISABLE_TIMING == 0, recorded: None };
        context.objects().events.insert(handle, event);
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, handle) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventDestroy_v2(event: usize) -> Status {
    in_context("cuEventDestroy", |_, context| {
        context.objects().events.remove(&event).map(|_| ()).ok_or(codes::INVALID_HANDLE)
    })
}

fn record(call: &str, event: usize, stream: usize) -> Status {
    in_stream(call, stream, |_, context| {
        let mut objects = context.objects();
        objects.events.get_mut(&event).ok_or(codes::INVALID_HANDLE)?.recorded = Some(Instant::now());
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventRecord(event: usize, stream: usize) -> Status {
    record("cuEventRecord", event, stream)
}

#[unsafe(no_mangle)]
extern "C" fn cuEventRecordWithFlags(event: usize, stream: usize, _flags: c_uint) -> Status {
    record("cuEventRecordWithFlags", event, stream)
}

fn check(call: &str, event: usize) -> Status {
    in_context(call, |machine, _| if machine.has_event(event) { Ok(()) } else { Err(codes::INVALID_HANDLE) })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventSynchronize(event: usize) -> Status {
    check("cuEventSynchronize", event)
}

#[unsafe(no_mangle)]
extern "C" fn cuEventQuery(event: usize) -> Status {
    check("cuEventQuery", event)
}

unsafe fn elapsed(to: *mut f32, start: usize, end: usize) -> Status {
    in_context("cuEventElapsedTime", |_, context| {
        let objects = context.objects();
        let time = |event| {
            let event = objects.events.get(&event).ok_or(codes::INVALID_HANDLE)?;
            event.recorded.filter(|_| event.timed).ok_or(codes::INVALID_HANDLE)
        };
        let (start, end) = (time(start)?, time(end)?);
        let seconds = if end >= start { (end - start).as_secs_f32() } else { -(start - end).as_secs_f32() };
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, seconds * 1e3) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventElapsedTime(to: *mut f32, start: usize, end: usize) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    unsafe { elapsed(to, start, end) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventElapsedTime_v2(to: *mut f32, start: usize, end: usize) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    unsafe { elapsed(to, start, end) }
}
