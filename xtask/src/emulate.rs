//! `cargo xtask emulate`: builds the emulated driver and runs a command that finds it in place of NVIDIA's.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, Result, bail};

/// Settings of the emulated machine, and what is run on it.
#[derive(clap::Args)]
pub struct Options {
    /// Compiles the kernels with the address sanitizer.
    #[arg(long)]
    asan: bool,
    /// Compiles the kernels with a check for races in shared memory; about ten times slower.
    #[arg(long)]
    races: bool,
    /// Runs threads and blocks in random orders.
    #[arg(long, value_name = "SEED")]
    shuffle: Option<u64>,
    /// Number of devices.
    #[arg(long, value_name = "N")]
    devices: Option<usize>,
    /// Compute capability.
    #[arg(long, value_name = "X.Y")]
    compute: Option<String>,
    /// Bytes of memory of each device.
    #[arg(long, value_name = "BYTES")]
    memory: Option<u64>,
    /// Threads of this machine that run blocks; all cores if absent.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// The command; the tests of the workspace if absent.
    #[arg(last = true)]
    command: Vec<OsString>,
}

/// Runs the command and ends with its exit code.
pub fn run(options: &Options) -> Result<()> {
    let library = build(options)?;
    let folder = install(&library, options)?;
    let mut words = options.command.clone();
    if words.is_empty() {
        words = ["cargo", "test", "--release", "--features", "gpu"].map(OsString::from).to_vec();
    }
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    // For the emulator's own tests.
    command.env("FHE_EMULATOR_LIBRARY", folder.join("libcuda.so.1"));
    let mut paths = vec![folder];
    if let Some(old) = env::var_os("LD_LIBRARY_PATH") {
        paths.extend(env::split_paths(&old));
    }
    command.env("LD_LIBRARY_PATH", env::join_paths(paths)?);
    let settings = [
        ("FHE_EMULATOR_SHUFFLE", options.shuffle.map(|seed| seed.to_string())),
        ("FHE_EMULATOR_DEVICES", options.devices.map(|count| count.to_string())),
        ("FHE_EMULATOR_COMPUTE", options.compute.clone()),
        ("FHE_EMULATOR_MEMORY", options.memory.map(|bytes| bytes.to_string())),
        ("FHE_EMULATOR_THREADS", options.threads.map(|count| count.to_string())),
    ];
    for (name, value) in settings {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    if options.asan {
        preload_sanitizer(&mut command, words[0] == "cargo")?;
    }
    let status = command.status().with_context(|| format!("cannot start {}", words[0].display()))?;
    std::process::exit(status.code().unwrap_or(1));
}

fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")
}

/// Builds the emulator; the library's path.
fn build(options: &Options) -> Result<PathBuf> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(["build", "--release", "--package", "fhe-emulator", "--message-format", "json-render-diagnostics"]);
    command.current_dir(root()?).stderr(Stdio::inherit());
    for (feature, wanted) in [("asan", options.asan), ("races", options.races)] {
        if wanted {
            command.args(["--features", feature]);
        }
    }
    let output = command.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the emulator could not be built: it needs a C++ compiler");
    }
    String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == "fhe_emulator")
        .find_map(|message| message["filenames"][0].as_str().map(PathBuf::from))
        .context("cargo names the library that it has built")
}

/// Copies the library to a folder under the names of the driver.
fn install(library: &Path, options: &Options) -> Result<PathBuf> {
    let name = match (options.asan, options.races) {
        (false, false) => "emulator",
        (true, false) => "emulator-asan",
        (false, true) => "emulator-races",
        (true, true) => "emulator-asan-races",
    };
    let folder = library.parent().context("the library is in a folder")?.join(name);
    fs::create_dir_all(&folder)?;
    // A running program may have the old file mapped: it is replaced, not written to.
    for name in ["libcuda.so.1", "libcuda.so"] {
        let new = folder.join(format!("{name}.new"));
        fs::copy(library, &new)?;
        fs::rename(&new, folder.join(name))?;
    }
    Ok(folder)
}

/// The sanitizer's library must come first in the program, but need not slow cargo and the compiler down.
fn preload_sanitizer(command: &mut Command, is_cargo: bool) -> Result<()> {
    let output = Command::new("g++").arg("-print-file-name=libasan.so").output().context("cannot start g++")?;
    let library = String::from_utf8(output.stdout)?.trim().to_owned();
    command.env("ASAN_OPTIONS", "detect_leaks=0:detect_stack_use_after_return=0:use_sigaltstack=0");
    if is_cargo {
        let output = Command::new("rustc").arg("-vV").output().context("cannot start rustc")?;
        let text = String::from_utf8(output.stdout)?;
        let host = text.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names its host")?;
        let name = format!("CARGO_TARGET_{}_RUNNER", host.to_uppercase().replace(['-', '.'], "_"));
        command.env(name, format!("env LD_PRELOAD={library}"));
    } else {
        command.env("LD_PRELOAD", library);
    }
    Ok(())
}
