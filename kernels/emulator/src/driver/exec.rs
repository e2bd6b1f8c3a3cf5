//! `cuLaunch*`, `cuOccupancy*`.

use std::ffi::{c_int, c_uint, c_void};

use super::module::function;
use super::{Answer, Status, codes, error, in_context, in_stream, put, report};
use crate::context::{Context, Machine};
use crate::launch::{self, Shape};

/// `CUlaunchConfig`.
#[repr(C)]
pub(super) struct LaunchConfig {
    grid: [c_uint; 3],
    block: [c_uint; 3],
    shared_bytes: c_uint,
    stream: usize,
    attributes: *const LaunchAttribute,
    attribute_count: c_uint,
}

/// `CUlaunchAttribute`.
#[repr(C)]
struct LaunchAttribute {
    id: c_int,
    _pad: [u8; 4],
    value: [c_uint; 16],
}

/// `CU_LAUNCH_ATTRIBUTE_*`.
mod attribute {
    pub const COOPERATIVE: i32 = 2;
    pub const CLUSTER_DIMENSION: i32 = 4;
}

unsafe fn submit(
    call: &str,
    machine: &Machine,
    context: &Context,
    handle: usize,
    shape: &Shape,
    parameters: *const *const c_void,
) -> Answer {
    let function = function(context, handle)?;
    // SAFETY: the caller of the exported function passes one pointer for every parameter; what can be checked is.
    match unsafe { launch::launch(machine, context, &function, shape, parameters) } {
        Ok(()) => Ok(()),
        Err((code, text, false)) => error(call, code, &text),
        Err((code, text, true)) => {
            report(call, code, &text);
            context.fail(code);
            if machine.settings.blocking { Err(code) } else { Ok(()) }
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchKernel(
    handle: usize,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    shared_bytes: c_uint,
    stream: usize,
    parameters: *const *const c_void,
    extra: *const *const c_void,
) -> Status {
    const CALL: &str = "cuLaunchKernel";
    let grid = [grid_x, grid_y, grid_z];
    let block = [block_x, block_y, block_z];
    in_stream(CALL, stream, |machine, context| {
        if !extra.is_null() {
            return error(CALL, codes::NOT_SUPPORTED, "parameters in a buffer (`extra`)");
        }
        let shape = Shape { grid, block, shared_bytes, cluster: None, cooperative: false };
        // SAFETY: the caller's promise.
        unsafe { submit(CALL, machine, context, handle, &shape, parameters) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchCooperativeKernel(
    handle: usize,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    shared_bytes: c_uint,
    stream: usize,
    parameters: *const *const c_void,
) -> Status {
    const CALL: &str = "cuLaunchCooperativeKernel";
    let grid = [grid_x, grid_y, grid_z];
    let block = [block_x, block_y, block_z];
    in_stream(CALL, stream, |machine, context| {
        let shape = Shape { grid, block, shared_bytes, cluster: None, cooperative: true };
        // SAFETY: the caller's promise.
        unsafe { submit(CALL, machine, context, handle, &shape, parameters) }
    })
}

impl LaunchConfig {
    /// # Safety
    ///
    /// The attributes must be as many as the structure says.
    unsafe fn shape(&self) -> Result<Shape, i32> {
        let count = self.attribute_count as usize;
        let attributes = if count == 0 || self.attributes.is_null() {
            &[]
        } else {
            // SAFETY: the caller's promise.
            unsafe { std::slice::from_raw_parts(self.attributes, count) }
        };
        let mut shape = Shape {
            grid: self.grid,
            block: self.block,
            shared_bytes: self.shared_bytes,
            cluster: None,
            cooperative: false,
        };
        for attribute in attributes {
            match attribute.id {
                attribute::CLUSTER_DIMENSION => shape.cluster = attribute.value[..3].try_into().ok(),
                attribute::COOPERATIVE => shape.cooperative = attribute.value[0] != 0,
                // The others are hints, or order launches that are in order anyway.
                0..=17 => {}
                _ => return Err(codes::INVALID_VALUE),
            }
        }
        Ok(shape)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchKernelEx(
    config: *const LaunchConfig,
    handle: usize,
    parameters: *const *const c_void,
    extra: *const *const c_void,
) -> Status {
    const CALL: &str = "cuLaunchKernelEx";
    // SAFETY: the caller passes a configuration or null.
    let Some(config) = (unsafe { config.as_ref() }) else { return codes::INVALID_VALUE };
    in_stream(CALL, config.stream, |machine, context| {
        if !extra.is_null() {
            return error(CALL, codes::NOT_SUPPORTED, "parameters in a buffer (`extra`)");
        }
        // SAFETY: the caller's promise.
        let shape = unsafe { config.shape() }?;
        // SAFETY: the caller's promise.
        unsafe { submit(CALL, machine, context, handle, &shape, parameters) }
    })
}

unsafe fn active_blocks(to: *mut c_int, handle: usize, threads: c_int, shared_bytes: usize) -> Status {
    in_context("cuOccupancyMaxActiveBlocksPerMultiprocessor", |_, context| {
        let function = function(context, handle)?;
        if threads <= 0 {
            return Err(codes::INVALID_VALUE);
        }
        let fits =
            threads as u32 <= function.kernel.threads() && shared_bytes <= context.device.shared().block as usize;
        let blocks = if fits { context.device.occupancy(threads as u32, shared_bytes as u32) } else { 0 };
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, blocks as c_int) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
    to: *mut c_int,
    handle: usize,
    threads: c_int,
    shared_bytes: usize,
) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    unsafe { active_blocks(to, handle, threads, shared_bytes) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    to: *mut c_int,
    handle: usize,
    threads: c_int,
    shared_bytes: usize,
    _flags: c_uint,
) -> Status {
    // SAFETY: the caller passes a pointer that can be written.
    unsafe { active_blocks(to, handle, threads, shared_bytes) }
}

type SharedOfThreads = Option<unsafe extern "C" fn(c_int) -> usize>;

unsafe fn potential_block(
    grid: *mut c_int,
    block: *mut c_int,
    handle: usize,
    shared_of: SharedOfThreads,
    shared_bytes: usize,
    limit: c_int,
) -> Status {
    in_context("cuOccupancyMaxPotentialBlockSize", |_, context| {
        let function = function(context, handle)?;
        let device = &context.device;
        let largest = if limit > 0 { function.kernel.threads().min(limit as u32) } else { function.kernel.threads() };
        let best = (1..=largest.div_ceil(32))
            .map(|warps| (32 * warps).min(largest))
            .map(|threads| {
                // SAFETY: the caller passes a function or null.
                let shared = shared_of.map_or(shared_bytes, |shared| unsafe { shared(threads as c_int) });
                (device.occupancy(threads, shared as u32) * threads, threads)
            })
            .max()
            .unwrap_or((largest, largest));
        // SAFETY: the caller passes pointers that can be written.
        unsafe {
            put(grid, (best.0 / best.1 * device.multiprocessors) as c_int)?;
            put(block, best.1 as c_int)
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyMaxPotentialBlockSize(
    grid: *mut c_int,
    block: *mut c_int,
    handle: usize,
    shared_of: SharedOfThreads,
    shared_bytes: usize,
    limit: c_int,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { potential_block(grid, block, handle, shared_of, shared_bytes, limit) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyMaxPotentialBlockSizeWithFlags(
    grid: *mut c_int,
    block: *mut c_int,
    handle: usize,
    shared_of: SharedOfThreads,
    shared_bytes: usize,
    limit: c_int,
    _flags: c_uint,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { potential_block(grid, block, handle, shared_of, shared_bytes, limit) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyAvailableDynamicSMemPerBlock(
    to: *mut usize,
    handle: usize,
    blocks: c_int,
    threads: c_int,
) -> Status {
    in_context("cuOccupancyAvailableDynamicSMemPerBlock", |_, context| {
        function(context, handle)?;
        if blocks <= 0 || threads <= 0 {
            return Err(codes::INVALID_VALUE);
        }
        let limits = context.device.shared();
        let each = limits.multiprocessor / blocks as u32;
        let bytes = each.saturating_sub(context.device.reserved_shared()).min(limits.block);
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, bytes as usize) }
    })
}

unsafe fn with_config(
    call: &str,
    to: *mut c_int,
    handle: usize,
    config: *const LaunchConfig,
    value: impl FnOnce(&Context, &Shape, u32) -> c_int,
) -> Status {
    in_context(call, |_, context| {
        let function = function(context, handle)?;
        // SAFETY: the caller passes a configuration or null.
        let config = unsafe { config.as_ref() }.ok_or(codes::INVALID_VALUE)?;
        // SAFETY: the caller's promise.
        let shape = unsafe { config.shape() }?;
        let cluster = shape.cluster.map_or(function.kernel.cluster(), |cluster| cluster.iter().product());
        // SAFETY: the caller passes a pointer that can be written.
        unsafe { put(to, value(context, &shape, cluster)) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyMaxActiveClusters(
    to: *mut c_int,
    handle: usize,
    config: *const LaunchConfig,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe {
        with_config("cuOccupancyMaxActiveClusters", to, handle, config, |context, shape, cluster| {
            let device = &context.device;
            let blocks = device.occupancy(shape.block.iter().product(), shape.shared_bytes) * device.multiprocessors;
            if device.compute < 90 { 0 } else { (blocks / cluster.max(1)) as c_int }
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyMaxPotentialClusterSize(
    to: *mut c_int,
    handle: usize,
    config: *const LaunchConfig,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe {
        with_config("cuOccupancyMaxPotentialClusterSize", to, handle, config, |context, _, _| {
            if context.device.compute < 90 { 1 } else { 8 }
        })
    }
}
