//! What only the emulator has: `fheEmulator*`.

use std::ffi::{CStr, c_char, c_int};
use std::sync::atomic::Ordering;

use super::{LAST, Status, codes};
use crate::context::{LEAKS, initialise, replace};
use crate::settings::Settings;

/// 1: this is no NVIDIA driver.
#[unsafe(no_mangle)]
extern "C" fn fheEmulatorIsEmulator() -> c_int {
    1
}

/// Allocations that outlived their context, so far.
#[unsafe(no_mangle)]
extern "C" fn fheEmulatorLeaks() -> usize {
    LEAKS.load(Ordering::Relaxed)
}

/// The calling thread's last message; valid until its next call.
#[unsafe(no_mangle)]
extern "C" fn fheEmulatorLastError() -> *const c_char {
    LAST.with_borrow(|text| text.as_ptr())
}

/// Changes settings: words of the form `name=value`, with the names of the environment variables in small letters and
/// without prefix, or `reset` for the settings of the environment. The machine is replaced: no handle of the old one
/// must be used any more. Two words leave it as it is: `fail=<device>:<call>:<nth>[:<code>]` adds a call that is to
/// fail, `revive=<device>` brings a lost device back.
#[unsafe(no_mangle)]
unsafe extern "C" fn fheEmulatorControl(text: *const c_char) -> Status {
    if text.is_null() {
        return codes::INVALID_VALUE;
    }
    // SAFETY: the caller passes a string.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    match control(&text) {
        Ok(()) => codes::SUCCESS,
        Err(message) => {
            super::report("fheEmulatorControl", codes::INVALID_VALUE, &message);
            codes::INVALID_VALUE
        }
    }
}

fn control(text: &str) -> Result<(), String> {
    let machine = initialise();
    let mut settings = machine.settings.clone();
    let mut changed = false;
    for word in text.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name {
            "reset" => {
                settings = Settings::from_environment();
                changed = true;
            }
            "fail" => {
                let mut parsed = Settings::default();
                parsed.set("fail", value)?;
                for fail in parsed.fail {
                    machine.devices.get(fail.device).ok_or("no such device")?.fail(fail);
                }
            }
            "revive" => {
                let device: usize = value.parse().map_err(|_| "no such device")?;
                machine.devices.get(device).ok_or("no such device")?.revive();
            }
            _ => {
                settings.set(name, value)?;
                changed = true;
            }
        }
    }
    if changed {
        replace(settings);
    }
    Ok(())
}
