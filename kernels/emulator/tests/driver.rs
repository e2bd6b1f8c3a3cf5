//! What the driver refuses, counts and reports.

mod support;

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use support::{Gpu, Shape, Value, control, last_error, ptx, release, retain, try_control};

const ONE: Shape = Shape { grid: 1, threads: 32, shared: 0 };

fn optional(gpu: &Gpu) -> (usize, [Value; 2]) {
    let values = [Value::Pointer(0), Value::Pointer(gpu.allocate(4096))];
    (gpu.kernel("test_optional", 75, &values), values)
}

#[test]
fn every_function_that_cudarc_looks_up_is_there() {
    for name in include_str!("cudarc-symbols.txt").split_whitespace() {
        // SAFETY: the address is not called.
        let _ = unsafe { support::symbol::<*const c_void>(name) };
    }
}

#[test]
fn shapes_that_no_device_takes() {
    let gpu = Gpu::new("");
    let (function, values) = optional(&gpu);
    let launch = |grid, threads, shared| gpu.launch_grid(function, grid, threads, shared, &values);
    assert_eq!(launch([1, 1, 1], 32, 0), support::SUCCESS);
    for grid in [[0, 1, 1], [1, 0, 1], [1, 1, 0], [1 << 31, 1, 1], [1, 65536, 1], [1, 1, 65536]] {
        assert_eq!(launch(grid, 32, 0), support::INVALID_VALUE, "{grid:?}");
    }
    // More than the kernel is compiled for.
    assert_eq!(launch([1, 1, 1], 33, 0), support::INVALID_VALUE);
    assert!(last_error().contains("33 threads"), "{}", last_error());
    assert_eq!(launch([1, 1, 1], 1025, 0), support::INVALID_VALUE);
    assert_eq!(launch([1, 1, 1], 0, 0), support::INVALID_VALUE);
    // None of these ends the context.
    assert_eq!(gpu.synchronize(), support::SUCCESS);
}

#[test]
fn shared_memory_must_be_asked_for() {
    for (compute, most) in [("7.5", 65_536), ("8.0", 166_912), ("9.0", 232_448)] {
        let gpu = Gpu::new(&format!("compute={compute}"));
        let (function, values) = optional(&gpu);
        let launch = |shared| gpu.launch(function, Shape { shared, ..ONE }, &values);
        assert_eq!(launch(48 << 10), support::SUCCESS);
        assert_eq!(launch((48 << 10) + 1), support::INVALID_VALUE);
        assert!(last_error().contains("cuFuncSetAttribute"), "{}", last_error());
        assert_eq!(gpu.allow_shared(function, most + 1), support::INVALID_VALUE);
        assert_eq!(gpu.allow_shared(function, most), support::SUCCESS);
        assert_eq!(launch(most), support::SUCCESS);
        assert_eq!(launch(most + 1), support::INVALID_VALUE);
    }
}

#[test]
fn clusters_must_fill_the_grid() {
    let gpu = Gpu::new("");
    let values = [Value::Pointer(gpu.allocate(4096))];
    let function = gpu.kernel("test_cluster_exchange", 90, &values);
    assert_eq!(
        gpu.launch(function, Shape { grid: 6, threads: 64, shared: 256 }, &values),
        support::INVALID_CLUSTER_SIZE
    );
    assert_eq!(gpu.launch(function, Shape { grid: 8, threads: 64, shared: 256 }, &values), support::SUCCESS);
    assert_eq!(gpu.synchronize(), support::SUCCESS, "{}", last_error());
}

#[test]
fn missing_arguments() {
    let gpu = Gpu::new("");
    let (function, values) = optional(&gpu);
    // An array that ends in a null pointer, as zeroed memory after it would.
    let address = values[1];
    let Value::Pointer(address) = address else { unreachable!() };
    let mut pointers = [std::ptr::from_ref(&address).cast::<c_void>(), std::ptr::null()];
    let status = cu!(cuLaunchKernel(
        function => usize, 1 => u32, 1 => u32, 1 => u32, 32 => u32, 1 => u32, 1 => u32, 0 => u32, 0 => usize,
        pointers.as_mut_ptr() => *mut *const c_void, std::ptr::null_mut() => *mut *const c_void,
    ));
    assert_eq!(status, support::INVALID_VALUE);
    assert!(last_error().contains("parameter 1 of 2 is missing"), "{}", last_error());
    let status = cu!(cuLaunchKernel(
        function => usize, 1 => u32, 1 => u32, 1 => u32, 32 => u32, 1 => u32, 1 => u32, 0 => u32, 0 => usize,
        std::ptr::null_mut() => *mut *const c_void, std::ptr::null_mut() => *mut *const c_void,
    ));
    assert_eq!(status, support::INVALID_VALUE);
}

#[test]
fn modules_must_be_ptx_for_the_device() {
    let gpu = Gpu::new("compute=8.0");
    let text = |target| ptx("test_optional", target, &[Value::Pointer(0), Value::Pointer(0)]);
    for bad in ["", "not PTX", "\x7fELF", ".version 8.4\n.target sm_80\n"] {
        assert_eq!(gpu.load(bad), Err(support::INVALID_PTX), "{bad:?}");
    }
    assert_eq!(gpu.load(&text(90)), Err(support::NO_BINARY_FOR_GPU));
    assert!(last_error().contains("PTX for sm_90"), "{}", last_error());
    assert_eq!(gpu.load(&text(80).replace("sm_80", "sm_75a")), Err(support::NO_BINARY_FOR_GPU));
    assert_eq!(gpu.load(&text(80).replace("8.4", "8.5")), Err(support::UNSUPPORTED_PTX_VERSION));
    let module = gpu.load(&text(75)).expect("is PTX");
    assert_eq!(gpu.find(module, "test_atomic"), Err(support::NOT_FOUND));
    assert!(last_error().contains("the PTX has no kernel `test_atomic`"), "{}", last_error());
    let module = gpu.load(&ptx("no_such_kernel", 75, &[])).expect("is PTX");
    assert_eq!(gpu.find(module, "no_such_kernel"), Err(support::NOT_FOUND));
    assert!(last_error().contains("built without a kernel `no_such_kernel`"), "{}", last_error());
}

#[test]
fn stale_ptx_is_found() {
    let gpu = Gpu::new("");
    let pointer = Value::Pointer(0);
    for values in [&[pointer][..], &[pointer, Value::U32(0)], &[pointer, pointer, pointer]] {
        assert_eq!(gpu.load(&ptx("test_optional", 75, values)), Err(support::INVALID_PTX));
        assert!(last_error().contains("is the PTX stale?"), "{}", last_error());
    }
    let bounds = ptx("test_optional", 75, &[pointer, pointer]).replace("\n)\n", "\n)\n.maxntid 64, 1, 1\n");
    assert_eq!(gpu.load(&bounds), Err(support::INVALID_PTX));
    assert!(last_error().contains("64 and 32 threads"), "{}", last_error());
    let cluster = ptx("test_cluster_exchange", 90, &[pointer]).replace("\n)\n", "\n)\n.reqnctapercluster 2, 1, 1\n");
    assert_eq!(gpu.load(&cluster), Err(support::INVALID_PTX));
}

#[test]
fn functions_end_with_their_module() {
    let gpu = Gpu::new("");
    let values = [Value::Pointer(0), Value::Pointer(gpu.allocate(128))];
    let module = gpu.load(&ptx("test_optional", 75, &values)).expect("is PTX");
    let function = gpu.find(module, "test_optional").expect("is there");
    assert_eq!(cu!(cuModuleUnload(module => usize)), support::SUCCESS);
    assert_eq!(gpu.launch(function, ONE, &values), support::INVALID_HANDLE);
    assert_eq!(cu!(cuModuleUnload(module => usize)), support::INVALID_HANDLE);
}

#[test]
fn memory_is_counted() {
    let gpu = Gpu::new("memory=1048576");
    let info = || {
        let (mut free, mut total) = (0usize, 0usize);
        assert_eq!(cu!(cuMemGetInfo_v2(&raw mut free => *mut usize, &raw mut total => *mut usize)), support::SUCCESS);
        (free, total)
    };
    assert_eq!(info(), (1 << 20, 1 << 20));
    let first = gpu.allocate(1000);
    assert_eq!(info().0, (1 << 20) - 1024);
    assert_eq!(gpu.try_allocate(1 << 20), Err(support::OUT_OF_MEMORY));
    assert_eq!(gpu.try_allocate(usize::MAX), Err(support::OUT_OF_MEMORY));
    let rest = gpu.allocate((1 << 20) - 1024);
    assert_eq!(gpu.try_allocate(1), Err(support::OUT_OF_MEMORY));
    assert_eq!(gpu.free(first), support::SUCCESS);
    assert_eq!(gpu.free(rest), support::SUCCESS);
    assert_eq!(info().0, 1 << 20);
    assert_eq!(gpu.try_allocate(0), Err(support::INVALID_VALUE));
    // Out of memory is no reason to stop.
    assert_eq!(gpu.synchronize(), support::SUCCESS);
}

#[test]
fn double_free_and_wrong_addresses() {
    let gpu = Gpu::new("");
    let address = gpu.allocate(64);
    assert_eq!(gpu.free(address + 16), support::INVALID_VALUE);
    assert_eq!(gpu.free(address), support::SUCCESS);
    assert_eq!(gpu.free(address), support::INVALID_VALUE);
    assert!(last_error().contains("was freed before"), "{}", last_error());
    assert_eq!(gpu.free(0), support::SUCCESS);
}

#[test]
fn copies_stay_inside() {
    let gpu = Gpu::new("");
    let address = gpu.allocate(64);
    assert_eq!(gpu.write(address, &[1u8; 64]), support::SUCCESS);
    assert_eq!(gpu.write(address, &[1u8; 65]), support::INVALID_VALUE);
    assert_eq!(gpu.write(address + 1, &[1u8; 64]), support::INVALID_VALUE);
    assert_eq!(gpu.read(address + 60, &mut [0u64]), support::INVALID_VALUE);
    assert!(last_error().contains("bytes 60..68"), "{}", last_error());
    let fill = |count: usize| cu!(cuMemsetD32Async(address => u64, 7 => u32, count => usize, 0 => usize));
    assert_eq!(fill(16), support::SUCCESS);
    assert_eq!(gpu.download::<u32>(address, 16), [7; 16]);
    assert_eq!(fill(17), support::INVALID_VALUE);
    assert_eq!(cu!(cuMemsetD32Async(address + 2 => u64, 7 => u32, 1 => usize, 0 => usize)), support::INVALID_VALUE);
    let second = gpu.upload(&[9u32; 8]);
    let copy = |bytes: usize| cu!(cuMemcpyDtoDAsync_v2(address => u64, second => u64, bytes => usize, 0 => usize));
    assert_eq!(copy(32), support::SUCCESS);
    assert_eq!(copy(33), support::INVALID_VALUE);
    assert_eq!(gpu.download::<u32>(address, 9), [9, 9, 9, 9, 9, 9, 9, 9, 7]);
    assert_eq!(gpu.free(address), support::SUCCESS);
    assert_eq!(gpu.write(address, &[1u8]), support::INVALID_VALUE);
    assert!(last_error().contains("use after free"), "{}", last_error());
}

#[test]
fn memory_that_outlives_its_context_is_reported() {
    let leaks = || cu!(fheEmulatorLeaks());
    let gpu = Gpu::new("");
    let before = leaks();
    gpu.allocate(100);
    gpu.allocate(200);
    assert_eq!(release(0), support::SUCCESS);
    assert_eq!(leaks() - before, 2);
    assert_eq!(gpu.synchronize(), support::CONTEXT_IS_DESTROYED);
    // A new context starts with all memory.
    retain(0);
    assert_eq!(gpu.synchronize(), support::SUCCESS);
}

#[test]
fn a_broken_context_is_replaced_by_a_new_one() {
    let gpu = Gpu::new("");
    let values = [Value::Pointer(0), Value::Pointer(0), Value::U32(0), Value::U32(0)];
    assert_eq!(gpu.run("test_move", ONE, &values).map_err(|error| error.0), Err(support::ILLEGAL_ADDRESS));
    assert_eq!(release(0), support::SUCCESS);
    retain(0);
    let address = gpu.upload(&[1u32; 64]);
    let values = [Value::Pointer(address), Value::Pointer(address), Value::U32(0), Value::U32(0)];
    gpu.run("test_move", ONE, &values).expect("works again");
}

#[test]
fn errors_of_kernels_come_with_the_next_call_or_at_once() {
    for (setting, at_once) in [("blocking=0", false), ("blocking=1", true)] {
        let gpu = Gpu::new(setting);
        let values = [Value::Pointer(0), Value::Pointer(0), Value::U32(0), Value::U32(0)];
        let function = gpu.kernel("test_move", 75, &values);
        let expected = if at_once { support::ILLEGAL_ADDRESS } else { support::SUCCESS };
        assert_eq!(gpu.launch(function, ONE, &values), expected);
        assert_eq!(gpu.synchronize(), support::ILLEGAL_ADDRESS);
    }
}

#[test]
fn calls_fail_when_they_are_told_to() {
    let gpu = Gpu::new("devices=2 fail=0:cuLaunchKernel:3");
    let (function, values) = optional(&gpu);
    let launch = || gpu.launch(function, ONE, &values);
    assert_eq!([launch(), launch()], [support::SUCCESS; 2]);
    assert_eq!(launch(), support::SUCCESS);
    control("fail=0:cuLaunchKernel:2,1:cuMemAllocAsync:1:2");
    assert_eq!(launch(), support::SUCCESS);
    assert_eq!(launch(), support::LAUNCH_FAILED);
    // The device is lost, the other one is not.
    assert_eq!(gpu.synchronize(), support::LAUNCH_FAILED);
    retain(1);
    assert_eq!(gpu.try_allocate(16), Err(support::OUT_OF_MEMORY));
    assert!(gpu.try_allocate(16).is_ok());
    let mut lost = 0;
    let status = cu!(cuDevicePrimaryCtxRetain(&raw mut lost => *mut usize, 0 => c_int));
    assert_eq!(status, support::LAUNCH_FAILED);
    control("revive=0");
    assert_eq!(release(0), support::SUCCESS);
    retain(0);
    assert!(gpu.try_allocate(16).is_ok());
    assert_eq!(try_control("fail=5:cuLaunchKernel:1"), support::INVALID_VALUE);
    assert_eq!(try_control("nonsense"), support::INVALID_VALUE);
}

#[test]
fn the_machine_is_as_it_was_ordered() {
    let gpu = Gpu::new("devices=3 compute=8.0 sms=7 memory=12345678");
    let attribute = |which: c_int| {
        let mut value = -1;
        assert_eq!(
            cu!(cuDeviceGetAttribute(&raw mut value => *mut c_int, which => c_int, 2 => c_int)),
            support::SUCCESS
        );
        value
    };
    assert_eq!((attribute(75), attribute(76), attribute(16), attribute(97)), (8, 0, 7, 166_912));
    assert_eq!((attribute(115), attribute(120)), (1, 0));
    let mut count = 0;
    assert_eq!(cu!(cuDeviceGetCount(&raw mut count => *mut c_int)), support::SUCCESS);
    assert_eq!(count, 3);
    let mut name = [0 as c_char; 64];
    assert_eq!(cu!(cuDeviceGetName(name.as_mut_ptr() => *mut c_char, 64 => c_int, 1 => c_int)), support::SUCCESS);
    // SAFETY: the function has written a string.
    let name = unsafe { CStr::from_ptr(name.as_ptr()) };
    assert_eq!(name, CString::new("Emulated GPU, compute 8.0").unwrap().as_c_str());
    let mut total = 0;
    assert_eq!(cu!(cuDeviceTotalMem_v2(&raw mut total => *mut usize, 0 => c_int)), support::SUCCESS);
    assert_eq!(total, 12_345_678);
    let mut device = 0;
    assert_eq!(cu!(cuDeviceGet(&raw mut device => *mut c_int, 3 => c_int)), 101);
    assert_eq!(gpu.synchronize(), support::SUCCESS);
}

#[test]
fn streams_and_events() {
    let gpu = Gpu::new("");
    let (mut stream, mut start, mut end) = (0, 0, 0);
    assert_eq!(cu!(cuStreamCreate(&raw mut stream => *mut usize, 1 => u32)), support::SUCCESS);
    assert_eq!(cu!(cuEventCreate(&raw mut start => *mut usize, 0 => u32)), support::SUCCESS);
    assert_eq!(cu!(cuEventCreate(&raw mut end => *mut usize, 0 => u32)), support::SUCCESS);
    assert_eq!(cu!(cuEventRecord(start => usize, stream => usize)), support::SUCCESS);
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(cu!(cuEventRecord(end => usize, stream => usize)), support::SUCCESS);
    let mut milliseconds = 0f32;
    assert_eq!(
        cu!(cuEventElapsedTime(&raw mut milliseconds => *mut f32, start => usize, end => usize)),
        support::SUCCESS
    );
    assert!(milliseconds >= 5.0, "{milliseconds}");
    assert_eq!(cu!(cuStreamWaitEvent(stream => usize, end => usize, 0 => u32)), support::SUCCESS);
    assert_eq!(cu!(cuEventDestroy_v2(end => usize)), support::SUCCESS);
    assert_eq!(cu!(cuEventQuery(end => usize)), support::INVALID_HANDLE);
    assert_eq!(cu!(cuStreamDestroy_v2(stream => usize)), support::SUCCESS);
    assert_eq!(cu!(cuStreamSynchronize(stream => usize)), support::INVALID_HANDLE);
    assert_eq!(cu!(cuStreamSynchronize(0 => usize)), support::SUCCESS);
    assert_eq!(cu!(cuStreamBeginCapture_v2(0 => usize, 0 => c_int)), support::NOT_SUPPORTED);
    assert_eq!(gpu.synchronize(), support::SUCCESS);
}

#[test]
fn occupancy_and_cooperative_launches() {
    let gpu = Gpu::new("sms=4");
    let (function, values) = optional(&gpu);
    let blocks = |shared: usize| {
        let mut count = -1;
        let status = cu!(cuOccupancyMaxActiveBlocksPerMultiprocessor(
            &raw mut count => *mut c_int, function => usize, 32 => c_int, shared => usize,
        ));
        assert_eq!(status, support::SUCCESS);
        count
    };
    assert_eq!((blocks(0), blocks(100_000), blocks(120_000), blocks(300_000)), (32, 2, 1, 0));
    let Value::Pointer(address) = values[1] else { unreachable!() };
    let null = 0u64;
    let mut pointers = [std::ptr::from_ref(&null).cast::<c_void>(), std::ptr::from_ref(&address).cast()];
    let mut launch = |grid: u32| {
        cu!(cuLaunchCooperativeKernel(
            function => usize, grid => u32, 1 => u32, 1 => u32, 32 => u32, 1 => u32, 1 => u32, 0 => u32, 0 => usize,
            pointers.as_mut_ptr() => *mut *const c_void,
        ))
    };
    assert_eq!(launch(128), support::SUCCESS);
    assert_eq!(launch(129), support::COOPERATIVE_LAUNCH_TOO_LARGE);
    assert_eq!(gpu.synchronize(), support::SUCCESS);
}

#[test]
fn threads_of_the_host_share_devices_and_streams() {
    let gpu = Gpu::new("devices=2 threads=2");
    let contexts = [gpu.context, retain(1)];
    std::thread::scope(|scope| {
        for i in 0..4u32 {
            let gpu = &gpu;
            scope.spawn(move || {
                let context = contexts[i as usize % 2];
                assert_eq!(cu!(cuCtxSetCurrent(context => usize)), support::SUCCESS);
                for round in 0..30u32 {
                    let counter = gpu.upload(&[round]);
                    let values = [Value::Pointer(counter), Value::U32(i)];
                    gpu.run("test_atomic", Shape { grid: 8, threads: 128, shared: 0 }, &values).expect("is right");
                    assert_eq!(gpu.download::<u32>(counter, 1), [round + 8 * i * 127 * 64]);
                    assert_eq!(gpu.free(counter), support::SUCCESS);
                }
            });
        }
    });
    // A fault on one device does not reach the other.
    let values = [Value::Pointer(0), Value::U32(1)];
    assert!(gpu.run("test_atomic", ONE, &values).is_err());
    assert_eq!(cu!(cuCtxSetCurrent(gpu.context => usize)), support::SUCCESS);
    assert_eq!(gpu.synchronize(), support::SUCCESS);
}
