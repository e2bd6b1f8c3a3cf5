//! Work whose instructions `cargo xtask ci icount` counts under valgrind: small, on one thread, and the same every time.
//!
//! Callgrind counts only between two requests that this program makes, so keys are made at the speed of a plain run.
//! Outside valgrind the requests do nothing and the program only shows that the work can be done.

use anyhow::Result;
use fhe_core::backend::Backend;
use fhe_core::cpu::SimdLevel;
use fhe_core::lookup::{Lookup, LookupOutput, LookupTable};
use fhe_core::{
    Batch, ClientKey, CpuBackend, Encrypted, Engine, Form, ParameterSet, Program, SimulationBackend, Trace,
};

fn main() -> Result<()> {
    compiler()?;
    simulation()?;
    let client = ClientKey::generate(ParameterSet::default())?;
    let key = client.evaluation_key()?;
    // Valgrind does not know AVX-512.
    for simd in [SimdLevel::Portable, SimdLevel::Avx2] {
        if SimdLevel::available().contains(&simd) {
            cpu(&Engine::new(CpuBackend::with_simd(1, simd)?, &key)?, &client, &format!("{simd:?}").to_lowercase())?;
        }
    }
    Ok(())
}

fn product() -> fhe_core::Result<Program> {
    Program::trace(|t: &Trace| {
        let (a, b): (Encrypted<u16>, Encrypted<u16>) = (t.input("a"), t.input("b"));
        t.output("c", &(&a * &b));
    })
}

/// Tracing, lowering, optimising and planning.
fn compiler() -> Result<()> {
    let compile = || product()?.statistics(Form::Throughput).map(drop);
    // The first call also pays for what happens once in a process.
    compile()?;
    count("plan_product_u16/compiler/none/batch=1", compile)
}

/// The engine around a machine that costs next to nothing.
fn simulation() -> Result<()> {
    let client = ClientKey::simulated(ParameterSet::default());
    let engine = Engine::new(SimulationBackend::new(), &client.evaluation_key()?)?;
    let (a, b) = (client.encrypt(&[1234u16; 16])?, client.encrypt(&[567u16; 16])?);
    let (program, batch) = (product()?, Batch::new().with("a", a)?.with("b", b)?);
    let run = || engine.run(&program, &batch).map(drop);
    run()?;
    count("product_u16/simulation/default/batch=16", run)
}

/// The two kernels of the CPU that matter. Linear forms are so few instructions that waking the thread is most of them.
fn cpu(engine: &Engine<CpuBackend>, client: &ClientKey, simd: &str) -> Result<()> {
    let (backend, key, rows) = (&**engine.backend(), engine.key(), 2);
    let column = client.encrypt(&vec![true; rows])?;
    let mut buffer = backend.allocate(key, rows)?;
    let mut result = backend.allocate(key, rows)?;
    let mut switched = backend.allocate_switched(key, rows)?;
    backend.upload(column.words(), &mut buffer, 0)?;
    let tables = backend.load_tables(key, &[LookupTable::from_fn(|x| x)])?;
    let job = Lookup { input: 0, table: 0, outputs: vec![LookupOutput { at: 0, slot: 0 }] };
    let lookups = backend.load_lookups(&tables, &[job])?;
    // Threads start and memory is fetched from the system before anything is counted.
    backend.keyswitch(key, rows, &buffer, &mut switched)?;
    let name = |kernel: &str| format!("{kernel}/cpu-{simd}/{}/batch={rows}", client.parameters().name());
    count(&name("keyswitch"), || backend.keyswitch(key, rows, &buffer, &mut switched))?;
    count(&name("bootstrap"), || backend.bootstrap(key, &tables, &lookups, rows, &switched, &mut result))
}

/// Does the work with callgrind counting, and has the count written under a name.
fn count(name: &str, work: impl FnOnce() -> fhe_core::Result<()>) -> Result<()> {
    let label = std::ffi::CString::new(name)?;
    valgrind::request(valgrind::START, 0);
    valgrind::request(valgrind::ZERO, 0);
    let result = work();
    valgrind::request(valgrind::DUMP_AT, label.as_ptr() as u64);
    valgrind::request(valgrind::STOP, 0);
    println!("{name}");
    Ok(result?)
}

mod valgrind {
    //! Requests to callgrind, as `callgrind.h` and `valgrind.h` define them.

    /// `VG_USERREQ_TOOL_BASE('C', 'T')`.
    const BASE: u64 = 0x4354_0000;
    /// Sets all counts to zero.
    pub const ZERO: u64 = BASE + 1;
    /// Writes the counts; the argument is a C string.
    pub const DUMP_AT: u64 = BASE + 3;
    /// Starts to watch the program.
    pub const START: u64 = BASE + 4;
    /// Stops.
    pub const STOP: u64 = BASE + 5;

    /// Makes a request, which outside valgrind does nothing.
    #[cfg(target_arch = "x86_64")]
    pub fn request(code: u64, argument: u64) {
        let arguments = [code, argument, 0, 0, 0, 0];
        // SAFETY: the rotations add up to 128 bits, so rdi keeps its value, and the exchange of a register with itself
        // does nothing. Valgrind reads the six words behind rax, which live until the end of this function, and the
        // string that DUMP_AT points to, which its caller keeps; it writes rdx only.
        unsafe {
            core::arch::asm!(
                "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
                in("rax") arguments.as_ptr(), inout("rdx") 0u64 => _, options(nostack),
            );
        }
    }

    /// Counts are kept for one architecture only.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn request(_code: u64, _argument: u64) {}
}
