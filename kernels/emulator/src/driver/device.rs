//! `cuInit`, `cuDevice*`.

use std::ffi::{c_char, c_int, c_uint};
use std::sync::Arc;

use super::{Answer, Status, codes, put, with_machine};
use crate::context::{Machine, initialise, new_handle};
use crate::device::Device;

pub(super) fn device(machine: &Machine, number: c_int) -> Result<&Arc<Device>, i32> {
    usize::try_from(number).ok().and_then(|number| machine.devices.get(number)).ok_or(codes::INVALID_DEVICE)
}

#[unsafe(no_mangle)]
extern "C" fn cuInit(_flags: c_uint) -> Status {
    // What the kernels were compiled for, see build.rs.
    #[cfg(target_arch = "x86_64")]
    if !is_x86_feature_detected!("avx2") || !is_x86_feature_detected!("fma") || !is_x86_feature_detected!("bmi2") {
        return super::status(super::error("cuInit", 100, "the emulator needs a processor with AVX2, FMA and BMI2"));
    }
    if initialise().devices.is_empty() { 100 } else { codes::SUCCESS }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDriverGetVersion(version: *mut c_int) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    super::status(unsafe { put(version, 12040) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetCount(count: *mut c_int) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    with_machine("cuDeviceGetCount", |machine| unsafe { put(count, machine.devices.len() as c_int) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGet(to: *mut c_int, ordinal: c_int) -> Status {
    with_machine("cuDeviceGet", |machine| {
        device(machine, ordinal)?;
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, ordinal) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetName(to: *mut c_char, length: c_int, number: c_int) -> Status {
    with_machine("cuDeviceGetName", |machine| {
        let name = device(machine, number)?.name();
        if to.is_null() || length <= 0 {
            return Err(codes::INVALID_VALUE);
        }
        let count = name.len().min(length as usize - 1);
        // SAFETY: the caller passes `length` bytes that can be written.
        unsafe {
            to.copy_from_nonoverlapping(name.as_ptr().cast(), count);
            to.add(count).write(0);
        }
        Ok(())
    })
}

unsafe fn uuid(to: *mut [u8; 16], number: c_int) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    with_machine("cuDeviceGetUuid", |machine| unsafe { put(to, device(machine, number)?.uuid()) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetUuid(to: *mut [u8; 16], number: c_int) -> Status {
    // SAFETY: as for `uuid`.
    unsafe { uuid(to, number) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetUuid_v2(to: *mut [u8; 16], number: c_int) -> Status {
    // SAFETY: as for `uuid`.
    unsafe { uuid(to, number) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetPCIBusId(to: *mut c_char, length: c_int, number: c_int) -> Status {
    with_machine("cuDeviceGetPCIBusId", |machine| {
        let text = format!("0000:{:02X}:00.0\0", device(machine, number)?.number + 1);
        if to.is_null() || (length as usize) < text.len() {
            return Err(codes::INVALID_VALUE);
        }
        // SAFETY: the caller passes `length` bytes that can be written.
        unsafe { to.copy_from_nonoverlapping(text.as_ptr().cast(), text.len()) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceTotalMem_v2(to: *mut usize, number: c_int) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    with_machine("cuDeviceTotalMem", |machine| unsafe { put(to, device(machine, number)?.memory.info().1) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetAttribute(to: *mut c_int, attribute: c_int, number: c_int) -> Status {
    with_machine("cuDeviceGetAttribute", |machine| {
        let value = device(machine, number)?.attribute(attribute).ok_or(codes::INVALID_VALUE)?;
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, value) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceComputeCapability(major: *mut c_int, minor: *mut c_int, number: c_int) -> Status {
    with_machine("cuDeviceComputeCapability", |machine| {
        let compute = device(machine, number)?.compute as c_int;
        // SAFETY: the caller passes pointers that can be written.
        unsafe {
            put(major, compute / 10)?;
            put(minor, compute % 10)
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceCanAccessPeer(to: *mut c_int, number: c_int, peer: c_int) -> Status {
    with_machine("cuDeviceCanAccessPeer", |machine| {
        device(machine, number)?;
        device(machine, peer)?;
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, 0) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDevicePrimaryCtxRetain(to: *mut usize, number: c_int) -> Status {
    with_machine("cuDevicePrimaryCtxRetain", |machine| {
        let device = device(machine, number)?;
        device.check("cuDevicePrimaryCtxRetain")?;
        let mut primary = device.primary.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if primary.0 == 0 {
            primary.1 = machine.create(device, true, 0).handle;
        }
        primary.0 += 1;
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, primary.1) }
    })
}

fn release(number: c_int) -> Status {
    with_machine("cuDevicePrimaryCtxRelease", |machine| {
        let mut primary = device(machine, number)?.primary.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if primary.0 == 0 {
            return Err(codes::INVALID_CONTEXT);
        }
        primary.0 -= 1;
        if primary.0 == 0 {
            machine.destroy(primary.1);
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxRelease(number: c_int) -> Status {
    release(number)
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxRelease_v2(number: c_int) -> Status {
    release(number)
}

fn reset(number: c_int) -> Status {
    with_machine("cuDevicePrimaryCtxReset", |machine| {
        let mut primary = device(machine, number)?.primary.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if primary.0 > 0 {
            machine.destroy(primary.1);
        }
        *primary = (0, 0);
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxReset(number: c_int) -> Status {
    reset(number)
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxReset_v2(number: c_int) -> Status {
    reset(number)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDevicePrimaryCtxGetState(number: c_int, flags: *mut c_uint, active: *mut c_int) -> Status {
    with_machine("cuDevicePrimaryCtxGetState", |machine| {
        let primary = device(machine, number)?.primary.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // SAFETY: the caller passes pointers that can be written.
        unsafe {
            put(flags, 0)?;
            put(active, c_int::from(primary.0 > 0))
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxSetFlags_v2(number: c_int, _flags: c_uint) -> Status {
    with_machine("cuDevicePrimaryCtxSetFlags", |machine| device(machine, number).map(|_| ()))
}

/// The device's pool, a handle.
pub(super) fn default_pool(device: &Device) -> usize {
    use std::sync::atomic::Ordering::Relaxed;
    let _ = device.pool.compare_exchange(0, new_handle(), Relaxed, Relaxed);
    device.pool.load(Relaxed)
}

pub(super) fn check_device(machine: &Machine, number: c_int) -> Answer {
    device(machine, number).map(|_| ())
}
