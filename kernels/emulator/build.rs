//! Compiles the kernels for the host, each source file in a namespace of its own, and lists them for `src/kernels.rs`.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets this"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets this"));
    let sources = root.parent().expect("kernels/emulator has a parent").join("cuda");
    let host = root.join("host");
    let tests = root.join("tests/kernels");
    for path in [&sources, &host, &tests] {
        println!("cargo:rerun-if-changed={}", path.display());
    }
    let asan = env::var_os("CARGO_FEATURE_ASAN").is_some();
    let x86 = env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86_64");
    println!("cargo:rustc-check-cfg=cfg(direct)");
    // As in host.h.
    if x86 && !asan {
        println!("cargo:rustc-cfg=direct");
    }

    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").include(&host).include(&sources).warnings(false);
    for flag in ["-fno-exceptions", "-fno-rtti", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra"] {
        build.flag(flag);
    }
    // Register arrays of unrolled kernels are one function of many thousand statements.
    build.flag_if_supported("-fno-var-tracking");
    if x86 {
        // `fused` is one instruction, as on the device. The switch of stacks pushes below the stack pointer.
        build.flag("-march=x86-64-v3").flag("-mno-red-zone");
    }
    build.opt_level(if asan { 1 } else { 3 }).debug(asan);
    if asan {
        build.flag("-fsanitize=address").flag("-fno-omit-frame-pointer");
    }
    if env::var_os("CARGO_FEATURE_RACES").is_some() {
        build.define("EMULATOR_RACES", "1");
    }
    build.file(host.join("current.cpp"));

    let mut list = String::new();
    let mut names = String::new();
    for (folder, prefix) in [(&sources, "module"), (&tests, "test")] {
        for path in cuda_files(folder) {
            let stem = path.file_stem().expect("a file").to_string_lossy().into_owned();
            let function = format!("fhe_emulator_{prefix}_{stem}");
            let wrapper = out.join(format!("{function}.cpp"));
            let text = format!(
                "#include \"device.cuh\"\nnamespace {{\n#include \"{}\"\n}}\n\
                 extern \"C\" const emulator::Kernel *{function}() {{ return emulator::kernels; }}\n",
                path.display()
            );
            write_if_changed(&wrapper, &text);
            build.file(wrapper);
            writeln!(list, "    fn {function}() -> *const Kernel;").expect("a string takes everything");
            writeln!(names, "    {function},").expect("a string takes everything");
        }
    }
    build.compile("fhe_emulator_kernels");
    let text = format!(
        "unsafe extern \"C\" {{\n{list}}}\n\
         static MODULES: &[unsafe extern \"C\" fn() -> *const Kernel] = &[\n{names}];\n"
    );
    write_if_changed(&out.join("modules.rs"), &text);
}

fn cuda_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "cu"))
        .collect();
    files.sort();
    files
}

fn write_if_changed(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return;
    }
    fs::write(path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}
