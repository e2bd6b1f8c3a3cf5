//! The exported functions, as `cuda.h` declares them, by group. What they share is here.
//!
//! Work is done at once and in the order of the calls, so streams and events have nothing to wait for. An error of a
//! kernel is returned by the next call on its context, as from a device that works on its own.

#![allow(non_snake_case, reason = "the names are those of cuda.h")]

pub mod codes;
mod control;
mod ctx;
mod device;
mod event;
mod exec;
mod mem;
mod module;
mod pool;
mod stream;
mod unsupported;

use std::cell::RefCell;
use std::ffi::CString;
use std::sync::{Arc, PoisonError};

use crate::context::{Context, Machine, Stream, current, machine};

/// `CUresult`.
type Status = i32;
/// What a function does: nothing more to say, or an error code.
type Answer = Result<(), i32>;

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// Tells what went wrong, on the standard error stream and for `fheEmulatorLastError`.
fn report(call: &str, code: i32, text: &str) {
    let message = format!("{call}: {}: {text}", codes::name(code).unwrap_or("?"));
    eprintln!("emulator: {message}");
    LAST.set(CString::new(message).unwrap_or_default());
}

/// An error code, reported.
fn error<T>(call: &str, code: i32, text: &str) -> Result<T, i32> {
    report(call, code, text);
    Err(code)
}

/// A function that needs `cuInit` only.
fn with_machine(call: &str, body: impl FnOnce(&Arc<Machine>) -> Answer) -> Status {
    let Some(machine) = machine() else { return codes::NOT_INITIALIZED };
    if machine.settings.trace {
        eprintln!("emulator: {call}");
    }
    status(body(&machine))
}

/// A function that works on the calling thread's context.
fn in_context(call: &str, body: impl FnOnce(&Machine, &Arc<Context>) -> Answer) -> Status {
    with_machine(call, |machine| {
        let context = current().ok_or(codes::INVALID_CONTEXT)?;
        context.check()?;
        if let Err(code) = context.device.check(call) {
            if codes::is_sticky(code) {
                context.fail(code);
            }
            return Err(code);
        }
        body(machine, &context)
    })
}

fn status(answer: Answer) -> Status {
    answer.err().unwrap_or(codes::SUCCESS)
}

/// Stores a result.
///
/// # Safety
///
/// `to` must be null or valid for writes.
unsafe fn put<T>(to: *mut T, value: T) -> Answer {
    if to.is_null() {
        return Err(codes::INVALID_VALUE);
    }
    // SAFETY: the caller's promise.
    unsafe { to.write(value) };
    Ok(())
}

/// A stream of the context; 0 to 2 are default streams.
fn find_stream(context: &Context, stream: usize) -> Result<Stream, i32> {
    let objects = context.objects();
    match objects.streams.get(&stream) {
        Some(stream) => Ok(stream.clone()),
        None if stream <= 2 => Ok(Stream { flags: 0, priority: 0, order: Arc::clone(&objects.order) }),
        None => Err(codes::INVALID_HANDLE),
    }
}

/// A function that works on a stream of the calling thread's context, after what other threads have under way there.
fn in_stream(call: &str, stream: usize, body: impl FnOnce(&Machine, &Arc<Context>) -> Answer) -> Status {
    in_context(call, |machine, context| {
        let order = find_stream(context, stream)?.order;
        let _turn = order.lock().unwrap_or_else(PoisonError::into_inner);
        // What was under way may have ended the context.
        context.check()?;
        body(machine, context)
    })
}
