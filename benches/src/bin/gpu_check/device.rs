//! Section 1: the card, its driver, and what the kernels are.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};
use cudarc::driver::sys::CUdevice_attribute as Attribute;
use cudarc::driver::{CudaContext, sys};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::arguments::Kernel;
use crate::worker::Context;

/// What the driver says about a card.
#[derive(Serialize)]
struct Report {
    ordinal: usize,
    name: String,
    compute_capability: String,
    multiprocessors: i32,
    memory_bytes: usize,
    memory_free_bytes: usize,
    clock_khz: i32,
    memory_clock_khz: i32,
    memory_bus_bits: i32,
    l2_cache_bytes: i32,
    shared_memory_per_multiprocessor_bytes: i32,
    ecc: bool,
    /// Newest CUDA version that the driver knows, 1000·major + 10·minor.
    driver_cuda_version: i32,
    /// From nvidia-smi.
    driver_version: Option<String>,
    /// Opening a backend: the first time the driver compiles the kernels, unless its cache has them.
    first_open_s: f64,
    second_open_s: f64,
    parallelism: usize,
    batch: usize,
    kernels: Vec<String>,
    compiled: Vec<Compiled>,
}

/// What the driver's compiler made of a kernel; `local_bytes_per_thread` above 0 means that registers did not suffice.
#[derive(Serialize)]
struct Compiled {
    name: &'static str,
    threads_per_block: u32,
    registers_per_thread: u32,
    local_bytes_per_thread: u32,
    dynamic_shared_bytes: u32,
}

/// A module of the kernels.
#[derive(Serialize)]
struct ModuleDigest {
    name: &'static str,
    compute: u32,
    ptx_blake3: String,
    /// Whether this card runs it.
    chosen: bool,
}

/// Reports card, driver, clocks and kernels.
pub fn run(context: &mut Context) -> Result<()> {
    let automatic = Kernel::ALL[0];
    let mut open_s = [0.0; 2];
    for seconds in &mut open_s {
        let started = Instant::now();
        context.open(automatic)?;
        *seconds = started.elapsed().as_secs_f64();
    }
    let backend = context.open(automatic)?;
    let (device, properties) = (backend.device().clone(), fhe_core::Backend::properties(&backend));
    let kernels = Kernel::ALL.into_iter().filter(|kernel| context.open(*kernel).is_ok()).map(Kernel::name).collect();
    let card = CudaContext::new(device.ordinal).context("cuDevicePrimaryCtxRetain")?;
    // What one driver does not know is no reason to stop.
    let attribute = |name| card.attribute(name).unwrap_or(-1);
    let (major, minor) = device.compute_capability;
    let report = Report {
        ordinal: device.ordinal,
        name: device.name.clone(),
        compute_capability: format!("{major}.{minor}"),
        multiprocessors: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
        memory_bytes: device.memory,
        memory_free_bytes: card.mem_get_info().map_or(0, |(free, _)| free),
        clock_khz: attribute(Attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
        memory_clock_khz: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE),
        memory_bus_bits: attribute(Attribute::CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH),
        l2_cache_bytes: attribute(Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE),
        shared_memory_per_multiprocessor_bytes: attribute(
            Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR,
        ),
        ecc: attribute(Attribute::CU_DEVICE_ATTRIBUTE_ECC_ENABLED) == 1,
        driver_cuda_version: driver_cuda_version(),
        driver_version: smi(device.ordinal, &["driver_version"]).and_then(|fields| {
            match fields.get("driver_version") {
                Some(Value::String(version)) => Some(version.clone()),
                _ => None,
            }
        }),
        first_open_s: open_s[0],
        second_open_s: open_s[1],
        parallelism: properties.parallelism,
        batch: properties.batch,
        kernels,
        compiled: backend
            .kernels()
            .map(|kernel| Compiled {
                name: kernel.name,
                threads_per_block: kernel.threads,
                registers_per_thread: kernel.registers,
                local_bytes_per_thread: kernel.local_bytes,
                dynamic_shared_bytes: kernel.shared_bytes,
            })
            .collect(),
    };
    println!("  {device}, {} multiprocessors", report.multiprocessors);
    let version = report.driver_version.as_deref().unwrap_or("of unknown version (no nvidia-smi)");
    println!(
        "  driver {version}, CUDA {}.{}",
        report.driver_cuda_version / 1000,
        report.driver_cuda_version % 1000 / 10
    );
    println!("  kernels compiled in {:.2} s, from the cache in {:.2} s", open_s[0], open_s[1]);
    println!("  kernels of this card: {}", report.kernels.join(", "));
    for kernel in report.compiled.iter().filter(|kernel| kernel.local_bytes_per_thread > 0) {
        println!("  {} keeps {} bytes a thread in local memory", kernel.name, kernel.local_bytes_per_thread);
    }
    context.journal.record("device", report)?;
    record_clocks(context, "start")?;
    for module in fhe_kernels::MODULES {
        let chosen = fhe_kernels::module(module.name, 10 * major + minor) == Some(module);
        let ptx_blake3 = blake3::hash(module.ptx.as_bytes()).to_hex().to_string();
        let digest = ModuleDigest { name: module.name, compute: module.compute, ptx_blake3, chosen };
        if chosen {
            println!("  {:<20} compute {}  {}", digest.name, digest.compute, &digest.ptx_blake3[..16]);
        }
        context.journal.record("kernels", digest)?;
    }
    Ok(())
}

fn driver_cuda_version() -> i32 {
    let mut version = 0;
    // SAFETY: the driver writes one number.
    unsafe { sys::cuDriverGetVersion(&raw mut version) }.result().map_or(-1, |()| version)
}

/// Clocks, temperature, power and the reasons for lower clocks, now; `null` where nvidia-smi does not tell.
pub fn record_clocks(context: &mut Context, when: &str) -> Result<()> {
    let fields = clocks(context.arguments.device);
    context.journal.record("clocks", serde_json::json!({ "when": when, "nvidia_smi": fields }))
}

/// Clocks, temperature, power and the reasons for lower clocks of a card.
pub fn clocks(ordinal: usize) -> Option<Map<String, Value>> {
    const COMMON: [&str; 8] = [
        "clocks.sm",
        "clocks.mem",
        "clocks.max.sm",
        "temperature.gpu",
        "power.draw",
        "power.limit",
        "utilization.gpu",
        "pstate",
    ];
    // The name of the reasons changed with driver 535.
    ["clocks_event_reasons.active", "clocks_throttle_reasons.active"]
        .iter()
        .find_map(|reasons| smi(ordinal, &[&COMMON[..], &[reasons]].concat()))
}

/// Asks nvidia-smi about a card; `None` where there is no such program, or it does not know one of the fields.
fn smi(ordinal: usize, fields: &[&str]) -> Option<Map<String, Value>> {
    let output = Command::new("nvidia-smi")
        .arg(format!("--id={}", bus_id(ordinal)?))
        .arg(format!("--query-gpu={}", fields.join(",")))
        .arg("--format=csv,noheader,nounits")
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    parse(fields, &String::from_utf8_lossy(&output.stdout))
}

/// The number by which nvidia-smi knows a card, whatever the order of the driver's own numbers.
fn bus_id(ordinal: usize) -> Option<String> {
    let device = cudarc::driver::result::device::get(ordinal as i32).ok()?;
    let mut text = [0u8; 32];
    // SAFETY: the driver writes at most as many bytes as it is told, the last one zero.
    let found = unsafe { sys::cuDeviceGetPCIBusId(text.as_mut_ptr().cast(), text.len() as i32, device) };
    found.result().ok()?;
    Some(std::ffi::CStr::from_bytes_until_nul(&text).ok()?.to_string_lossy().into_owned())
}

/// One line of values, each a number where it reads like one.
fn parse(fields: &[&str], text: &str) -> Option<Map<String, Value>> {
    let values: Vec<&str> = text.lines().next()?.split(',').map(str::trim).collect();
    let named = |(field, text): (&&str, &&str)| {
        // A version such as 550.54 is no number.
        let number = text.parse::<f64>().ok().filter(|_| *field != "driver_version");
        (unit(field), number.map_or_else(|| Value::from(*text), Value::from))
    };
    (values.len() == fields.len()).then(|| fields.iter().zip(&values).map(named).collect())
}

/// The name of a field with its unit.
fn unit(field: &str) -> String {
    let name = field.replace('.', "_");
    match field {
        "clocks.sm" | "clocks.mem" | "clocks.max.sm" => format!("{name}_mhz"),
        "temperature.gpu" => format!("{name}_celsius"),
        "power.draw" | "power.limit" => format!("{name}_w"),
        "utilization.gpu" => format!("{name}_percent"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_nvidia_smi_become_fields_with_units() {
        let fields = ["clocks.sm", "driver_version", "power.draw", "clocks_event_reasons.active"];
        let parsed = parse(&fields, "1980, 550.54, [N/A], 0x0000000000000001\n").unwrap();
        assert_eq!(parsed["clocks_sm_mhz"], 1980.0);
        assert_eq!(parsed["driver_version"], "550.54");
        assert_eq!(parsed["power_draw_w"], "[N/A]");
        assert_eq!(parsed["clocks_event_reasons_active"], "0x0000000000000001");
        assert!(parse(&fields, "1, 2\n").is_none() && parse(&fields, "").is_none());
    }
}
