//! The run-time compiler of CUDA, loaded from a file.
//!
//! Six of its functions are enough: kernels are `extern "C"`, so no name has to be asked for.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;

use anyhow::{Context, Result, bail, ensure};
use libloading::Library;

use super::sources::{Sources, Unit};

/// Options of every compilation; `--gpu-architecture` comes on top.
///
/// `--device-as-default-execution-space`: lambdas and constexpr functions need no `__device__`; nothing here runs on the
/// host. `--device-int128`: `__int128` in device code, which is off by default.
///
/// `--no-source-include`: headers come from memory only, so what happens to lie in the working directory has no say.
/// Nothing here makes the compiler write a path or a line number, so the text depends on the sources alone.
pub const OPTIONS: [&str; 5] =
    ["--std=c++17", "--device-as-default-execution-space", "--device-int128", "--fmad=true", "--no-source-include"];

/// How much of the compiler's messages an error repeats: one mistake in a template is said thousands of times.
const LOG_LINES: usize = 60;

type Program = *mut c_void;
type Status = c_int;
type Strings = *const *const c_char;

/// The loaded compiler. It may be used from several threads at once.
pub struct Nvrtc {
    create: unsafe extern "C" fn(*mut Program, *const c_char, *const c_char, c_int, Strings, Strings) -> Status,
    compile: unsafe extern "C" fn(Program, c_int, Strings) -> Status,
    destroy: unsafe extern "C" fn(*mut Program) -> Status,
    log_size: unsafe extern "C" fn(Program, *mut usize) -> Status,
    log: unsafe extern "C" fn(Program, *mut c_char) -> Status,
    ptx_size: unsafe extern "C" fn(Program, *mut usize) -> Status,
    ptx: unsafe extern "C" fn(Program, *mut c_char) -> Status,
    error_string: unsafe extern "C" fn(Status) -> *const c_char,
    /// Keeps the functions above alive.
    _library: Library,
}

/// What a compilation gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// The PTX.
    pub ptx: String,
    /// Warnings; empty if there are none.
    pub log: String,
}

impl Nvrtc {
    /// Loads the library.
    ///
    /// # Errors
    /// If the file is not an NVRTC library that this machine can load.
    pub fn load(file: &Path) -> Result<Self> {
        let context = || format!("cannot load {}", file.display());
        // SAFETY: the file is NVIDIA's library, checked by digest when it was installed; its initialisers need nothing
        // of the process.
        let library = unsafe { Library::new(file) }.with_context(context)?;
        // SAFETY: the types are those of the functions in `nvrtc.h`, which have not changed since they were introduced;
        // `nvrtcResult` is a C enumeration, hence an int. The pointers live no longer than the library, which is
        // stored with them.
        unsafe {
            Ok(Self {
                create: *library.get(b"nvrtcCreateProgram\0").with_context(context)?,
                compile: *library.get(b"nvrtcCompileProgram\0").with_context(context)?,
                destroy: *library.get(b"nvrtcDestroyProgram\0").with_context(context)?,
                log_size: *library.get(b"nvrtcGetProgramLogSize\0").with_context(context)?,
                log: *library.get(b"nvrtcGetProgramLog\0").with_context(context)?,
                ptx_size: *library.get(b"nvrtcGetPTXSize\0").with_context(context)?,
                ptx: *library.get(b"nvrtcGetPTX\0").with_context(context)?,
                error_string: *library.get(b"nvrtcGetErrorString\0").with_context(context)?,
                _library: library,
            })
        }
    }

    /// Compiles one file for one architecture, with every header of `sources` within reach of `#include`.
    ///
    /// # Errors
    /// With the compiler's messages, if the source does not compile.
    pub fn compile(&self, unit: &Unit, sources: &Sources, architecture: u32) -> Result<Compiled> {
        let file = &unit.source.file;
        let text = c_string(&unit.source.text, file)?;
        let name = c_string(file, file)?;
        let headers = strings(sources.headers.iter().map(|header| (header.text.as_str(), header.file.as_str())))?;
        let names = strings(sources.headers.iter().map(|header| (header.file.as_str(), header.file.as_str())))?;
        let options = architecture_option(&architecture.to_string());
        let options = strings(OPTIONS.into_iter().chain([options.as_str()]).map(|option| (option, option)))?;
        let (header_pointers, name_pointers, option_pointers) =
            (pointers(&headers), pointers(&names), pointers(&options));

        let mut program = OwnedProgram { nvrtc: self, program: ptr::null_mut() };
        // SAFETY: every string ends with NUL and outlives the call; both arrays have as many entries as the count says.
        self.check(unsafe {
            (self.create)(
                &raw mut program.program,
                text.as_ptr(),
                name.as_ptr(),
                headers.len() as c_int,
                header_pointers.as_ptr(),
                name_pointers.as_ptr(),
            )
        })?;
        // SAFETY: the program was created above; the options are as many as the count says.
        let status = unsafe { (self.compile)(program.program, options.len() as c_int, option_pointers.as_ptr()) };
        let log = program.text(self.log_size, self.log)?;
        if let Err(error) = self.check(status) {
            let log: Vec<_> = log.lines().take(LOG_LINES).collect();
            bail!("{file} for compute_{architecture}: {error}\n{}", log.join("\n"));
        }
        Ok(Compiled { ptx: program.text(self.ptx_size, self.ptx)?, log })
    }

    fn check(&self, status: Status) -> Result<()> {
        if status != 0 {
            // SAFETY: the function answers every number with a string that is never freed.
            let text = unsafe { CStr::from_ptr((self.error_string)(status)) };
            bail!("NVRTC says {}", text.to_string_lossy());
        }
        Ok(())
    }
}

/// The option that names an architecture.
#[must_use]
pub fn architecture_option(architecture: &str) -> String {
    format!("--gpu-architecture=compute_{architecture}")
}

/// Destroyed when dropped.
struct OwnedProgram<'a> {
    nvrtc: &'a Nvrtc,
    program: Program,
}

impl OwnedProgram<'_> {
    /// Reads one of the program's texts: its size with the closing NUL, then the bytes.
    fn text(
        &self,
        size: unsafe extern "C" fn(Program, *mut usize) -> Status,
        read: unsafe extern "C" fn(Program, *mut c_char) -> Status,
    ) -> Result<String> {
        let mut length = 0;
        // SAFETY: the program exists as long as `self`.
        self.nvrtc.check(unsafe { size(self.program, &raw mut length) })?;
        let mut bytes = vec![0_u8; length];
        // SAFETY: the buffer has the size that the library just asked for.
        self.nvrtc.check(unsafe { read(self.program, bytes.as_mut_ptr().cast()) })?;
        ensure!(bytes.pop().is_none_or(|last| last == 0), "NVRTC gave a text without its closing NUL");
        String::from_utf8(bytes).context("NVRTC gave a text that is not UTF-8")
    }
}

impl Drop for OwnedProgram<'_> {
    fn drop(&mut self) {
        if !self.program.is_null() {
            // SAFETY: created by this library and destroyed once. A failure leaks memory of a short-lived process.
            unsafe { (self.nvrtc.destroy)(&raw mut self.program) };
        }
    }
}

fn c_string(text: &str, file: &str) -> Result<CString> {
    CString::new(text).with_context(|| format!("{file} holds a NUL"))
}

fn strings<'a>(texts: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Vec<CString>> {
    texts.map(|(text, file)| c_string(text, file)).collect()
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).collect()
}
