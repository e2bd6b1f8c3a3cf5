//! Contexts, what belongs to them, and the handles of all that.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use crate::device::Device;
use crate::driver::codes;
use crate::kernels::Compiled;
use crate::ptx::Ptx;
use crate::settings::Settings;

/// A number that looks like a pointer, for every object that the caller gets. None is used twice.
pub fn new_handle() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    0x1000 + 16 * NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A loaded module.
pub struct Module {
    pub ptx: Ptx,
    /// Kernels that the caller has asked for.
    pub functions: HashMap<String, usize>,
}

/// A kernel of a loaded module.
pub struct Function {
    pub kernel: Compiled,
    /// The PTX target of its module.
    pub target: u32,
    /// Dynamic shared memory that a launch may ask for.
    pub shared_limit: AtomicU32,
}

/// An event.
#[derive(Clone, Copy)]
pub struct Event {
    pub timed: bool,
    pub recorded: Option<Instant>,
}

/// A stream.
#[derive(Clone)]
pub struct Stream {
    pub flags: u32,
    pub priority: i32,
    /// Held by the work that is under way: threads of the host may share a stream.
    pub order: Arc<Mutex<()>>,
}

/// What belongs to a context.
#[derive(Default)]
pub struct Objects {
    pub streams: HashMap<usize, Stream>,
    /// The order of the default stream, and of those that wait for it.
    pub order: Arc<Mutex<()>>,
    pub events: HashMap<usize, Event>,
    pub modules: HashMap<usize, Module>,
    pub functions: HashMap<usize, Arc<Function>>,
    pub limits: HashMap<i32, usize>,
}

/// A context.
pub struct Context {
    pub handle: usize,
    pub device: Arc<Device>,
    pub primary: bool,
    pub flags: AtomicU32,
    /// The error that ended it.
    error: AtomicI32,
    destroyed: AtomicBool,
    objects: Mutex<Objects>,
}

impl Context {
    fn new(device: Arc<Device>, primary: bool, flags: u32) -> Self {
        Self {
            handle: new_handle(),
            device,
            primary,
            flags: AtomicU32::new(flags),
            error: AtomicI32::new(codes::SUCCESS),
            destroyed: AtomicBool::new(false),
            objects: Mutex::default(),
        }
    }

    /// What belongs to it.
    pub fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The context is of no use any more.
    pub fn fail(&self, code: i32) {
        let _ = self.error.compare_exchange(codes::SUCCESS, code, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether it can be used.
    pub fn check(&self) -> Result<(), i32> {
        if self.destroyed.load(Ordering::Relaxed) {
            return Err(codes::CONTEXT_IS_DESTROYED);
        }
        match self.error.load(Ordering::Relaxed) {
            codes::SUCCESS => Ok(()),
            code => Err(code),
        }
    }
}

/// The emulated machine.
pub struct Machine {
    pub settings: Settings,
    pub devices: Vec<Arc<Device>>,
    contexts: Mutex<HashMap<usize, Arc<Context>>>,
}

impl Machine {
    fn new(settings: Settings) -> Self {
        let devices = (0..settings.devices).map(|number| Arc::new(Device::new(number, &settings))).collect();
        Self { settings, devices, contexts: Mutex::default() }
    }

    fn contexts(&self) -> MutexGuard<'_, HashMap<usize, Arc<Context>>> {
        self.contexts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new context.
    pub fn create(&self, device: &Arc<Device>, primary: bool, flags: u32) -> Arc<Context> {
        let context = Arc::new(Context::new(Arc::clone(device), primary, flags));
        self.contexts().insert(context.handle, Arc::clone(&context));
        context
    }

    /// The context of that handle.
    pub fn context(&self, handle: usize) -> Option<Arc<Context>> {
        self.contexts().get(&handle).cloned()
    }

    /// Whether some context has that event.
    pub fn has_event(&self, event: usize) -> bool {
        self.contexts().values().any(|context| context.objects().events.contains_key(&event))
    }

    /// Ends a context, and reports the memory that it leaves behind.
    pub fn destroy(&self, handle: usize) -> bool {
        let Some(context) = self.contexts().remove(&handle) else { return false };
        let usable = context.check().is_ok() && context.device.check("").is_ok();
        context.destroyed.store(true, Ordering::Relaxed);
        let leaks = context.device.memory.leaks(handle);
        if !usable {
            // Nothing can be freed after an error that ends the context.
            return true;
        }
        LEAKS.fetch_add(leaks.len(), Ordering::Relaxed);
        for (address, bytes) in leaks {
            eprintln!(
                "emulator: device {}: {bytes} bytes at {address:#x} were never freed before their context ended",
                context.device.number
            );
        }
        true
    }
}

/// Allocations that outlived their context.
pub static LEAKS: AtomicUsize = AtomicUsize::new(0);

fn slot() -> &'static RwLock<Option<Arc<Machine>>> {
    static MACHINE: OnceLock<RwLock<Option<Arc<Machine>>>> = OnceLock::new();
    MACHINE.get_or_init(RwLock::default)
}

/// The machine, if `cuInit` was called.
pub fn machine() -> Option<Arc<Machine>> {
    slot().read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The machine, made from the environment the first time.
pub fn initialise() -> Arc<Machine> {
    let mut slot = slot().write().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(slot.get_or_insert_with(|| Arc::new(Machine::new(Settings::from_environment()))))
}

/// Replaces the machine by another one. All handles of the old one are worthless.
pub fn replace(settings: Settings) {
    *slot().write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(Machine::new(settings)));
}

thread_local! {
    static CURRENT: RefCell<Vec<Arc<Context>>> = const { RefCell::new(Vec::new()) };
}

/// The calling thread's context.
pub fn current() -> Option<Arc<Context>> {
    CURRENT.with_borrow(|stack| stack.last().cloned())
}

/// Replaces the calling thread's context.
pub fn set_current(context: Option<Arc<Context>>) {
    CURRENT.with_borrow_mut(|stack| {
        stack.pop();
        stack.extend(context);
    });
}

/// Puts a context above the calling thread's.
pub fn push_current(context: Arc<Context>) {
    CURRENT.with_borrow_mut(|stack| stack.push(context));
}

/// Takes the calling thread's context away.
pub fn pop_current() -> Option<Arc<Context>> {
    CURRENT.with_borrow_mut(Vec::pop)
}
