//! The NVIDIA driver: whether it is there, which cards it has, what it says when a call fails.

use cudarc::driver::sys::CUdevice_attribute::{
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
};
use cudarc::driver::{DriverError, result, sys};

use crate::{Device, NoDevice};

/// Name and text of an error, as the driver gives them.
pub(crate) fn text(error: DriverError) -> String {
    match (error.error_name(), error.error_string()) {
        (Ok(name), Ok(text)) => format!("{}: {}", name.to_string_lossy(), text.to_string_lossy()),
        _ => format!("{:?}", error.0),
    }
}

fn failed(call: &'static str) -> impl FnOnce(DriverError) -> NoDevice {
    move |error| NoDevice::Driver { call, reason: text(error) }
}

/// All cards.
pub(crate) fn devices() -> Result<Vec<Device>, NoDevice> {
    // SAFETY: only tries to open the library; every other call of the driver requires that it is there.
    if !unsafe { sys::is_culib_present() } {
        return Err(NoDevice::NoDriver);
    }
    result::init().map_err(failed("cuInit"))?;
    let count = result::device::get_count().map_err(failed("cuDeviceGetCount"))?;
    if count < 1 {
        return Err(NoDevice::NoneFound);
    }
    (0..count).map(device).collect()
}

fn device(ordinal: i32) -> Result<Device, NoDevice> {
    let device = result::device::get(ordinal).map_err(failed("cuDeviceGet"))?;
    let attribute = |name| {
        // SAFETY: `device` was returned by the driver for a valid ordinal.
        unsafe { result::device::get_attribute(device, name) }.map_err(failed("cuDeviceGetAttribute"))
    };
    let major = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let minor = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    Ok(Device {
        ordinal: ordinal as usize,
        name: result::device::get_name(device).map_err(failed("cuDeviceGetName"))?,
        compute_capability: (major as u32, minor as u32),
        // SAFETY: as above.
        memory: unsafe { result::device::total_mem(device) }.map_err(failed("cuDeviceTotalMem"))?,
    })
}
