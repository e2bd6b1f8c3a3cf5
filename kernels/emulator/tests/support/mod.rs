//! The driver interface, called as `cudarc` calls it: looked up by name in the library.
//!
//! Good for trying a kernel too: [`Gpu::run`] uploads, launches and downloads in a few lines.

#![allow(dead_code, reason = "each test uses a part")]

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::path::PathBuf;
use std::ptr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use libloading::{Library, Symbol};

pub const SUCCESS: i32 = 0;
pub const INVALID_VALUE: i32 = 1;
pub const OUT_OF_MEMORY: i32 = 2;
pub const NO_BINARY_FOR_GPU: i32 = 209;
pub const INVALID_PTX: i32 = 218;
pub const UNSUPPORTED_PTX_VERSION: i32 = 222;
pub const INVALID_HANDLE: i32 = 400;
pub const NOT_FOUND: i32 = 500;
pub const ILLEGAL_ADDRESS: i32 = 700;
pub const CONTEXT_IS_DESTROYED: i32 = 709;
pub const ILLEGAL_INSTRUCTION: i32 = 715;
pub const MISALIGNED_ADDRESS: i32 = 716;
pub const LAUNCH_FAILED: i32 = 719;
pub const COOPERATIVE_LAUNCH_TOO_LARGE: i32 = 720;
pub const NOT_SUPPORTED: i32 = 801;
pub const INVALID_CLUSTER_SIZE: i32 = 912;

/// The library that `FHE_EMULATOR_LIBRARY` names, or the one that cargo has just built, next to the test.
fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let deps = std::env::current_exe().expect("a test has a path").parent().expect("in a folder").to_path_buf();
        let named = std::env::var_os("FHE_EMULATOR_LIBRARY").map(PathBuf::from);
        let path = named.unwrap_or_else(|| deps.join("libfhe_emulator.so"));
        // SAFETY: the library's initialisers only list kernels.
        unsafe { Library::new(path) }.expect("the library can be loaded")
    })
}

/// The function of that name.
///
/// # Safety
///
/// `F` must be its type.
pub unsafe fn symbol<F>(name: &str) -> Symbol<'static, F> {
    // SAFETY: the caller's promise.
    unsafe { library().get(name) }.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Calls an exported function, with the types of the arguments as given.
#[macro_export]
macro_rules! cu {
    ($name:ident($($value:expr => $type:ty),* $(,)?)) => {{
        #[allow(clippy::macro_metavars_in_unsafe, reason = "tests pass references and numbers")]
        // SAFETY: the types are those of cuda.h, the pointers come from references.
        unsafe { (support::symbol::<unsafe extern "C" fn($($type),*) -> i32>(stringify!($name)))($($value),*) }
    }};
}

/// A value for a kernel.
#[derive(Clone, Copy)]
pub enum Value {
    Pointer(u64),
    U32(u32),
}

/// `cuLaunchKernel`.
type Launch = unsafe extern "C" fn(
    usize,
    u32,
    u32,
    u32,
    u32,
    u32,
    u32,
    u32,
    usize,
    *mut *const c_void,
    *mut *const c_void,
) -> i32;

/// Shape of a launch.
#[derive(Clone, Copy)]
pub struct Shape {
    pub grid: u32,
    pub threads: u32,
    pub shared: u32,
}

/// A device with a context. There is one machine in a process: tests take turns.
pub struct Gpu {
    pub context: usize,
    _turn: MutexGuard<'static, ()>,
}

#[allow(clippy::unused_self, reason = "a `Gpu` is the turn at the machine, which its methods need")]
impl Gpu {
    /// The first device of a machine with these settings.
    pub fn new(settings: &str) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        control(&format!("reset {settings}"));
        assert_eq!(Self::call("cuInit", 0), SUCCESS);
        Self { context: retain(0), _turn: turn }
    }

    fn call(name: &str, value: c_uint) -> i32 {
        // SAFETY: used for functions with one integer argument.
        unsafe { symbol::<unsafe extern "C" fn(c_uint) -> i32>(name)(value) }
    }

    pub fn synchronize(&self) -> i32 {
        // SAFETY: the function has no arguments.
        unsafe { symbol::<unsafe extern "C" fn() -> i32>("cuCtxSynchronize")() }
    }

    pub fn try_allocate(&self, bytes: usize) -> Result<u64, i32> {
        let mut address = 0;
        // SAFETY: as declared in cuda.h.
        let status = unsafe {
            symbol::<unsafe extern "C" fn(*mut u64, usize, usize) -> i32>("cuMemAllocAsync")(&raw mut address, bytes, 0)
        };
        if status == SUCCESS { Ok(address) } else { Err(status) }
    }

    pub fn allocate(&self, bytes: usize) -> u64 {
        self.try_allocate(bytes).expect("enough memory")
    }

    pub fn free(&self, address: u64) -> i32 {
        // SAFETY: as declared in cuda.h.
        unsafe { symbol::<unsafe extern "C" fn(u64, usize) -> i32>("cuMemFreeAsync")(address, 0) }
    }

    pub fn upload<T: Copy + 'static>(&self, values: &[T]) -> u64 {
        let address = self.allocate(size_of_val(values));
        assert_eq!(self.write(address, values), SUCCESS);
        address
    }

    pub fn write<T: Copy + 'static>(&self, address: u64, values: &[T]) -> i32 {
        // SAFETY: as declared in cuda.h; the slice has that size.
        unsafe {
            symbol::<unsafe extern "C" fn(u64, *const T, usize, usize) -> i32>("cuMemcpyHtoDAsync_v2")(
                address,
                values.as_ptr(),
                size_of_val(values),
                0,
            )
        }
    }

    pub fn read<T: Copy + 'static>(&self, address: u64, values: &mut [T]) -> i32 {
        // SAFETY: as declared in cuda.h; the slice has that size.
        unsafe {
            symbol::<unsafe extern "C" fn(*mut T, u64, usize, usize) -> i32>("cuMemcpyDtoHAsync_v2")(
                values.as_mut_ptr(),
                address,
                size_of_val(values),
                0,
            )
        }
    }

    pub fn download<T: Copy + Default + 'static>(&self, address: u64, count: usize) -> Vec<T> {
        let mut values = vec![T::default(); count];
        assert_eq!(self.read(address, &mut values), SUCCESS, "{}", last_error());
        values
    }

    pub fn load(&self, text: &str) -> Result<usize, i32> {
        let text = CString::new(text).expect("no zero byte");
        let mut module = 0;
        // SAFETY: as declared in cuda.h.
        let status = unsafe {
            symbol::<unsafe extern "C" fn(*mut usize, *const c_char) -> i32>("cuModuleLoadData")(
                &raw mut module,
                text.as_ptr(),
            )
        };
        if status == SUCCESS { Ok(module) } else { Err(status) }
    }

    pub fn find(&self, module: usize, name: &str) -> Result<usize, i32> {
        let name = CString::new(name).expect("no zero byte");
        let mut function = 0;
        // SAFETY: as declared in cuda.h.
        let status = unsafe {
            symbol::<unsafe extern "C" fn(*mut usize, usize, *const c_char) -> i32>("cuModuleGetFunction")(
                &raw mut function,
                module,
                name.as_ptr(),
            )
        };
        if status == SUCCESS { Ok(function) } else { Err(status) }
    }

    /// A kernel, from PTX text made up for parameters like these.
    pub fn kernel(&self, name: &str, target: u32, values: &[Value]) -> usize {
        let module = self.load(&ptx(name, target, values)).unwrap_or_else(|_| panic!("{}", last_error()));
        self.find(module, name).unwrap_or_else(|_| panic!("{}", last_error()))
    }

    pub fn allow_shared(&self, function: usize, bytes: u32) -> i32 {
        // SAFETY: as declared in cuda.h; 8 is the largest dynamic shared memory.
        unsafe {
            symbol::<unsafe extern "C" fn(usize, c_int, c_int) -> i32>("cuFuncSetAttribute")(
                function,
                8,
                bytes as c_int,
            )
        }
    }

    pub fn launch_grid(&self, function: usize, grid: [u32; 3], threads: u32, shared: u32, values: &[Value]) -> i32 {
        let mut pointers: Vec<*const c_void> = values
            .iter()
            .map(|value| match value {
                Value::Pointer(value) => ptr::from_ref(value).cast(),
                Value::U32(value) => ptr::from_ref(value).cast(),
            })
            .collect();
        // SAFETY: as declared in cuda.h; the pointers are to values that live.
        unsafe {
            symbol::<Launch>("cuLaunchKernel")(
                function,
                grid[0],
                grid[1],
                grid[2],
                threads,
                1,
                1,
                shared,
                0,
                pointers.as_mut_ptr(),
                ptr::null_mut(),
            )
        }
    }

    pub fn launch(&self, function: usize, shape: Shape, values: &[Value]) -> i32 {
        self.launch_grid(function, [shape.grid, 1, 1], shape.threads, shape.shared, values)
    }

    /// Loads, launches and waits. The error code and message, if there is one.
    pub fn run(&self, name: &str, shape: Shape, values: &[Value]) -> Result<(), (i32, String)> {
        let function = self.kernel(name, 90, values);
        if shape.shared > 48 << 10 {
            assert_eq!(self.allow_shared(function, shape.shared), SUCCESS);
        }
        let mut status = self.launch(function, shape, values);
        if status == SUCCESS {
            status = self.synchronize();
        }
        if status == SUCCESS { Ok(()) } else { Err((status, last_error())) }
    }
}

/// Seconds that this thread has worked, whatever else the machine does. With `threads=1` it runs the kernels.
pub fn work_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Makes the primary context of a device the current one.
pub fn retain(device: c_int) -> usize {
    let mut context = 0;
    // SAFETY: as declared in cuda.h.
    unsafe {
        let retain: Symbol<unsafe extern "C" fn(*mut usize, c_int) -> i32> = symbol("cuDevicePrimaryCtxRetain");
        assert_eq!(retain(&raw mut context, device), SUCCESS);
        assert_eq!(symbol::<unsafe extern "C" fn(usize) -> i32>("cuCtxSetCurrent")(context), SUCCESS);
    }
    context
}

pub fn release(device: c_int) -> i32 {
    // SAFETY: as declared in cuda.h.
    unsafe { symbol::<unsafe extern "C" fn(c_int) -> i32>("cuDevicePrimaryCtxRelease_v2")(device) }
}

pub fn try_control(text: &str) -> i32 {
    let text = CString::new(text).expect("no zero byte");
    // SAFETY: the function takes a string.
    unsafe { symbol::<unsafe extern "C" fn(*const c_char) -> i32>("fheEmulatorControl")(text.as_ptr()) }
}

pub fn control(text: &str) {
    assert_eq!(try_control(text), SUCCESS, "{}", last_error());
}

pub fn last_error() -> String {
    // SAFETY: the function returns a string that lives until the thread's next call.
    unsafe {
        let text = symbol::<unsafe extern "C" fn() -> *const c_char>("fheEmulatorLastError")();
        CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}

/// PTX text as the compiler would begin it.
pub fn ptx(name: &str, target: u32, values: &[Value]) -> String {
    let parameters: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(i, value)| match value {
            Value::Pointer(_) => format!("\t.param .u64 {name}_param_{i}"),
            Value::U32(_) => format!("\t.param .u32 {name}_param_{i}"),
        })
        .collect();
    format!(
        "//\n.version 8.4\n.target sm_{target}\n.address_size 64\n\n.visible .entry {name}(\n{}\n)\n{{\n\tret;\n}}\n",
        parameters.join(",\n")
    )
}
