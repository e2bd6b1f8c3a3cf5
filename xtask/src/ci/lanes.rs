//! The lanes: which commands each runs.
//!
//! Cargo is called from the workspace root, without `-p`, in the release profile: so all lanes, and whoever has built
//! here before, share one compilation of the `tfhe` crate. Exceptions are packages that do not depend on it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::context::{Context, REQUIRE_GPU, REQUIRE_TOOLS};
use super::shards::{self, Shard};
use crate::shell::{Call, Shell};

/// Every lane that has no options of its own, and those that have.
pub const NAMES: [&str; 18] = [
    "plan",
    "fmt",
    "lint",
    "test",
    "archive",
    "doctest",
    "fuzz",
    "features",
    "docs",
    "coverage",
    "kernels",
    "emulate",
    "icount",
    "deps",
    "workflows",
    "gpu",
    "bench",
    "release",
];

/// What `cargo xtask ci` runs: no GPU and no outside service, apart from the package registries.
pub const LOCAL: [&str; 9] = ["fmt", "lint", "docs", "workflows", "deps", "kernels", "test", "doctest", "emulate"];

/// A processor without the instruction sets of x86-64.
const OTHER_PROCESSOR: &str = "aarch64-unknown-linux-gnu";

/// The tools of `.ci/tools.toml` that a lane uses.
#[must_use]
pub fn tools(lane: &str) -> &'static [&'static str] {
    match lane {
        "fmt" => &["taplo", "typos"],
        "lint" => &["shellcheck"],
        "test" | "archive" => &["cargo-nextest"],
        "features" => &["cargo-hack"],
        "docs" => &["lychee"],
        "coverage" => &["cargo-llvm-cov", "cargo-nextest"],
        "deps" => &["cargo-deny", "cargo-machete", "gitleaks"],
        "workflows" => &["actionlint", "zizmor", "check-jsonschema", "shellcheck", "act"],
        "release" => &["git-cliff", "cargo-semver-checks", "cargo-cyclonedx"],
        _ => &[],
    }
}

/// What a lane is for.
#[must_use]
pub fn about(lane: &str) -> &'static str {
    match lane {
        "plan" => "which lanes and tests a change needs",
        "fmt" => "formatting of Rust and TOML, spelling",
        "lint" => "clippy without and with the feature gpu, a compilation for aarch64, shell scripts",
        "test" => "all tests, or one shard of them",
        "archive" => "the tests built into one file, for shards on other machines",
        "doctest" => "the programs in the documentation and in the readme",
        "fuzz" => "each fuzz target for a minute (long: an instrumented compilation of the tfhe crate)",
        "features" => "every feature of every package alone (long: several compilations of the tfhe crate)",
        "docs" => "documentation without warnings, links that lead somewhere",
        "coverage" => "lines that tests reach (long: an instrumented compilation of the tfhe crate)",
        "kernels" => "PTX is up to date and machine code within its budget; planted faults are found",
        "emulate" => "the CUDA backend on an emulated GPU",
        "icount" => "instructions of the kernels of the CPU and of the compiler, within 1% of the baseline",
        "deps" => "licences, sources, advisories, unused dependencies, secrets",
        "workflows" => "workflows, actions and their configuration, and the tests of the harness",
        "gpu" => "all tests on this machine's GPU, its check, and the sanitizers",
        "bench" => "criterion benchmarks, as JSON and as a page",
        "release" => "everything of a release up to publishing it",
        _ => "",
    }
}

/// Formatting and spelling.
pub fn fmt(context: &mut Context) {
    context.command("rustfmt", &Call::cargo("fmt --all --check"));
    // A workspace of its own.
    context.command("rustfmt of fuzz", &Call::cargo("fmt --check --manifest-path fuzz/Cargo.toml"));
    if context.has("taplo") {
        with_files(context, "taplo", &["*.toml"], &Call::new("taplo", "fmt --check --colors never"));
    }
    context.tool("typos", &Call::new("typos", "--color never"));
}

/// Lints.
pub fn lint(context: &mut Context) {
    // The release profile, so that lints and tests share what build scripts and macros compile.
    for features in ["", " --features gpu"] {
        let line = format!("clippy --release --workspace --all-targets{features} -- -D warnings");
        context.command(&format!("clippy{features}"), &Call::cargo(&line));
    }
    other_processor(context);
    if context.has("shellcheck") {
        with_files(context, "shellcheck", &["*.sh", ".ci/run"], &Call::new("shellcheck", "--color=never"));
    }
}

/// Code without the instruction sets of x86-64 compiles, for a processor that has none of them.
fn other_processor(context: &mut Context) {
    let folder = Call::new("rustc", "--print target-libdir --target").arg(OTHER_PROCESSOR).quietly();
    let folder = context.shell.run(&folder).ok().filter(|output| output.success);
    let library = folder.is_some_and(|output| context.shell.exists(Path::new(output.stdout.trim())));
    // For the C parts of dependencies.
    let compiler = context.shell.finds("aarch64-linux-gnu-gcc");
    if library && compiler {
        context
            .command(OTHER_PROCESSOR, &Call::cargo("check --release --package fhe-core --target").arg(OTHER_PROCESSOR));
        return;
    }
    let reason = if library {
        "its C compiler is not installed: gcc-aarch64-linux-gnu of the system's packages".to_owned()
    } else {
        format!("its standard library is not installed: rustup target add {OTHER_PROCESSOR}")
    };
    context.skip(OTHER_PROCESSOR, &reason, Some(REQUIRE_TOOLS));
}

/// Which tests to run, and from where.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct TestOptions {
    /// Only this part of the tests: k/n.
    #[arg(long, value_name = "K/N")]
    pub shard: Option<Shard>,
    /// Only the tests of this nextest expression, as `plan` gives it.
    #[arg(long, value_name = "EXPRESSION")]
    pub filter: Option<String>,
    /// Runs what `ci archive` has built, and builds nothing.
    #[arg(long, value_name = "FILE")]
    pub archive: Option<String>,
    /// Runs nothing: checks that N shards are the whole list.
    #[arg(long, value_name = "N", conflicts_with = "shard")]
    pub verify_shards: Option<usize>,
    /// Checks what the shards have run, by the files that each has left in target/ci; otherwise what they would run.
    #[arg(long, value_name = "FOLDER", requires = "verify_shards")]
    pub lists: Option<PathBuf>,
    /// With the feature gpu.
    #[arg(long)]
    pub gpu: bool,
}

impl TestOptions {
    fn nextest(&self, verb: &str) -> Call {
        let mut call = Call::cargo(&format!("nextest {verb} --color never"));
        call = match &self.archive {
            Some(file) => call.arg("--archive-file").arg(file).args(["--workspace-remap", "."]),
            None if self.gpu => call.args(["--release", "--features", "gpu"]),
            None => call.arg("--release"),
        };
        if let Some(filter) = &self.filter {
            call = call.arg("-E").arg(filter);
        }
        call
    }

    /// The tests of a shard, or all.
    fn list(&self, shell: &dyn Shell, partition: Option<Shard>) -> Result<BTreeSet<String>> {
        let mut call = self.nextest("list").args(["--message-format", "json"]).quietly();
        if let Some(shard) = partition {
            call = call.arg("--partition").arg(format!("slice:{shard}"));
        }
        let output = shell.run(&call)?;
        ensure!(output.success, "{call}: {}", output.tail());
        shards::listed(&output.stdout).with_context(|| call.to_string())
    }
}

/// Tests, whole or in part.
pub fn test(context: &mut Context, root: &Path, options: &TestOptions) {
    if let Some(count) = options.verify_shards {
        if context.has("cargo-nextest") {
            verify_shards(context, options, count);
        }
        return;
    }
    let part = options.shard.is_some() || options.filter.is_some() || options.archive.is_some();
    if !context.shell.finds("cargo-nextest") && !part {
        // The whole list needs no more than cargo; documentation is the lane doctest.
        let features = if options.gpu { " --features gpu" } else { "" };
        let targets = "--lib --bins --examples --tests";
        context.tests("cargo test", &Call::cargo(&format!("test --release {targets}{features}")));
        return;
    }
    if !context.has("cargo-nextest") {
        return;
    }
    let mut call = options.nextest("run").args(["--profile", "ci", "--no-fail-fast", "--no-tests"]);
    call = call.arg(if part { "pass" } else { "fail" });
    match options.shard {
        Some(shard) => {
            let call = call.arg("--partition").arg(format!("slice:{shard}"));
            context.some_tests(&format!("shard {shard}"), &call);
            let names = options.list(context.shell, Some(shard));
            if let Err(error) = names.and_then(|names| shards::write(&root.join("target/ci"), shard, &names)) {
                context.check("list of the shard", || Err(error));
            }
        }
        None if part => drop(context.some_tests("nextest", &call)),
        None => drop(context.tests("nextest", &call)),
    }
}

fn verify_shards(context: &mut Context, options: &TestOptions, count: usize) {
    let shell = context.shell;
    context.check(&format!("{count} shards are the whole list"), || {
        let whole = options.list(shell, None)?;
        let parts = (1..=count).map(|index| Shard { index, count }).map(|shard| match &options.lists {
            Some(folder) => shards::ran(folder, shard),
            None => options.list(shell, Some(shard)),
        });
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let sizes: Vec<_> = parts.iter().map(|part| part.len().to_string()).collect();
        println!("{} tests in shards of {}", whole.len(), sizes.join(", "));
        shards::verify(&whole, &parts)
    });
}

/// Builds the tests once, for the shards on other machines.
pub fn archive(context: &mut Context, file: &str, gpu: bool) {
    if context.has("cargo-nextest") {
        let options = TestOptions { gpu, ..TestOptions::default() };
        context.command("archive", &options.nextest("archive").arg("--archive-file").arg(file));
    }
}

/// Programs in the documentation.
pub fn doctest(context: &mut Context) {
    context.tests("doctest", &Call::cargo("test --release --doc"));
}

/// Fuzz targets, all if none is named, for so many seconds each.
pub fn fuzz(context: &mut Context, seconds: u32, targets: &[String]) {
    let call = Call::new(".github/scripts/fuzz", &seconds.to_string());
    context.command("targets", &call.args(targets.iter().cloned()));
}

/// Features.
pub fn features(context: &mut Context) {
    if context.has("cargo-hack") {
        // `peer-gpu` needs the CUDA toolkit; `asan` changes how a program is started.
        let line = "hack check --release --workspace --each-feature --no-dev-deps --exclude-features peer-gpu,asan";
        context.command("each feature", &Call::cargo(line));
    }
}

/// Documentation.
pub fn docs(context: &mut Context) {
    let call = Call::cargo("doc --release --workspace --no-deps --features gpu");
    context.command("rustdoc", &call.var("RUSTDOCFLAGS", "-D warnings"));
    if context.has("lychee") {
        with_files(context, "lychee", &["*.md"], &Call::new("lychee", "--offline --no-progress --include-fragments"));
    }
}

/// Coverage.
pub fn coverage(context: &mut Context) {
    if context.has("cargo-llvm-cov") && context.has("cargo-nextest") {
        let call = Call::cargo("llvm-cov nextest --release --no-fail-fast --color never --lcov");
        context.tests("tests", &call.args(["--output-path", "target/ci/coverage.lcov"]));
        context.command("report", &Call::cargo("llvm-cov report --release --summary-only"));
    }
}

/// The static budget of the kernels.
pub fn kernels(context: &mut Context) {
    let tools = Call::new("python3", "-m pip --version").quietly();
    if !context.shell.run(&tools).is_ok_and(|output| output.success) {
        let reason = "the pinned CUDA compiler is installed with python3 and its pip, which are missing";
        context.skip("budget", reason, Some(REQUIRE_TOOLS));
        return;
    }
    context.command("budget", &Call::xtask("kernels --check --json target/ci/kernel-figures.json"));
    let line = "test --release --package xtask -- --ignored --exact";
    let name = "kernels::tests::a_check_passes_and_planted_faults_fail";
    context.tests("planted faults", &Call::cargo(line).arg(name));
}

/// The CUDA backend under the emulator.
pub fn emulate(context: &mut Context) {
    if !["c++", "g++"].iter().any(|compiler| context.shell.finds(compiler)) {
        context.skip("emulator", "the emulator is built with a C++ compiler, which is missing", Some(REQUIRE_TOOLS));
        return;
    }
    context.tests("emulator", &Call::cargo("test --release --package fhe-emulator"));
    // Without a package, so that this is the tfhe crate of all other builds.
    for (name, tests) in [("CUDA backend", "--test gpu"), ("its units", "--lib cuda::")] {
        let line = format!("emulate -- cargo test --release --features gpu {tests}");
        context.tests(name, &Call::xtask(&line).var(REQUIRE_GPU, "1"));
    }
}

/// Dependencies and secrets.
pub fn deps(context: &mut Context) {
    let deny = context.has("cargo-deny");
    // Fuzz targets are a workspace of their own.
    for (of, manifest) in [("", "Cargo.toml"), (" of fuzz", "fuzz/Cargo.toml")] {
        let call = Call::cargo("metadata --locked --format-version 1 --manifest-path").arg(manifest).quietly();
        context.command(&format!("lock file{of}"), &call);
        if deny {
            let line = format!("deny --manifest-path {manifest} --all-features check bans licenses sources");
            context.command(&format!("licences and sources{of}"), &Call::cargo(&line));
            advisories(context, &format!("advisories{of}"), manifest);
        }
    }
    if context.has("cargo-machete") {
        // Its own program, since cargo would not find it outside the search path.
        context.command("unused dependencies", &Call::new("cargo-machete", ""));
    }
    context.tool("gitleaks", &Call::new("gitleaks", "git --no-banner --redact ."));
}

/// The database of advisories is an outside service: where it cannot be had, that is a skip.
fn advisories(context: &mut Context, name: &str, manifest: &str) {
    let call = Call::cargo(&format!("deny --manifest-path {manifest} --all-features check advisories"));
    match context.shell.run(&call) {
        Ok(output) if !output.success && output.text().contains("failed to fetch advisory database") => {
            context.skip(name, "the database of advisories cannot be fetched", Some("FHE_REQUIRE_NETWORK"));
        }
        other => context.check(name, || {
            let output = other?;
            ensure!(output.success, "{}", output.tail());
            Ok(())
        }),
    }
}

/// Workflows.
pub fn workflows(context: &mut Context) {
    context.tool("actionlint", &Call::new("actionlint", "-color=false -shellcheck= -pyflakes="));
    context.tool("zizmor", &Call::new("zizmor", "--offline --persona auditor --color never --no-progress .github"));
    if context.has("check-jsonschema") {
        for (schema, files) in [
            ("vendor.github-workflows", &[".github/workflows/*.yml"][..]),
            ("vendor.github-actions", &[".github/actions/*/action.yml"]),
            ("vendor.dependabot", &[".github/dependabot.yml"]),
        ] {
            with_files(context, schema, files, &Call::new("check-jsonschema", "--builtin-schema").arg(schema));
        }
    }
    if context.has("shellcheck") {
        let files = [".ci/run", ".github/tests/run", ".github/scripts/*", ":!*.py"];
        with_files(context, "shellcheck", &files, &Call::new("shellcheck", "--color=never"));
    }
    let tests = Call::new(".github/tests/run", "");
    let scripts = ["test_verdict", "test_preflight", "test_sanitize", "test_toolchain", "test_trend"];
    context.command("scripts", &tests.clone().args(scripts));
    context.tool("act", &tests.arg("test_pipeline"));
}

/// A command over the files that git tracks; no such file is a skip.
fn with_files(context: &mut Context, name: &str, patterns: &[&str], call: &Call) {
    match context.tracked(patterns) {
        Ok(files) if files.is_empty() => context.skip(name, &format!("no file is named {}", patterns.join(" ")), None),
        Ok(files) => drop(context.command(name, &call.clone().args(files))),
        Err(error) => context.check(name, || Err(error)),
    }
}

/// Tests on a card.
pub fn gpu(context: &mut Context) {
    if !context.shell.exists(Path::new("/dev/nvidiactl")) {
        context.skip("GPU", "there is no NVIDIA driver: /dev/nvidiactl is missing", Some(REQUIRE_GPU));
        return;
    }
    let tests = Call::cargo("test --release --features gpu").var(REQUIRE_GPU, "1");
    context.tests("tests", &tests);
    let check = "run --release --features gpu --bin fhe-gpu-check -- --quick --json target/ci/gpu-check.json";
    context.command("fhe-gpu-check", &Call::cargo(check));
    sanitizers(context);
}

/// The conformance tests under each tool of compute-sanitizer, which has to find a planted fault first.
fn sanitizers(context: &mut Context) {
    if let Some(tool) = ["compute-sanitizer", "nvcc"].into_iter().find(|tool| !context.shell.finds(tool)) {
        let reason = format!("{tool} is not installed: it comes with the CUDA toolkit");
        context.skip("compute-sanitizer", &reason, Some(REQUIRE_TOOLS));
        return;
    }
    for tool in ["memcheck", "racecheck", "synccheck", "initcheck"] {
        let line = format!("{tool} --filter conformance --json target/ci/sanitize-{tool}.json");
        context.command(tool, &Call::new("python3", ".github/scripts/gpu_sanitize.py").args(line.split(' ')));
    }
}

/// Benchmarks and their page.
pub fn bench(context: &mut Context, gpu: bool) {
    let line = if gpu { "bench --bench bootstrap --features gpu" } else { "bench --bench bootstrap" };
    context.command("criterion", &Call::cargo(line));
    context.command("report", &Call::xtask("bench-report"));
}

#[cfg(test)]
mod tests {
    use super::super::report::{Report, Status};
    use super::*;
    use crate::kernels::scratch::Scratch;
    use crate::shell::Output;
    use crate::shell::fake::Fake;

    const SUMMARY: &str = "Summary [ 1s] 3 tests run: 3 passed, 9 skipped\ntest result: ok. 2 passed; 0 failed;";

    /// A machine where everything passes, except commands with this text.
    fn machine(planted: Option<&'static str>) -> Fake {
        let mut shell = planted.map_or_else(Fake::default, Fake::fails);
        let answer = |stdout: &str| Output { success: true, stdout: stdout.to_owned(), ..Output::default() };
        shell.rules.push(("git ls-files", answer("a.md\0b.toml\0")));
        shell.rules.push(("test", answer(SUMMARY)));
        shell.rules.push(("nextest", answer(SUMMARY)));
        shell
    }

    fn run(lane: &str, shell: &Fake) -> Report {
        let mut context = Context::new(shell);
        match lane {
            "fmt" => fmt(&mut context),
            "lint" => lint(&mut context),
            "test" => test(&mut context, Path::new("/nowhere"), &TestOptions::default()),
            "doctest" => doctest(&mut context),
            "archive" => archive(&mut context, "tests.tar.zst", false),
            "fuzz" => fuzz(&mut context, 60, &[]),
            "features" => features(&mut context),
            "docs" => docs(&mut context),
            "coverage" => coverage(&mut context),
            "kernels" => kernels(&mut context),
            "emulate" => emulate(&mut context),
            "deps" => deps(&mut context),
            "workflows" => workflows(&mut context),
            "gpu" => gpu(&mut context),
            "bench" => bench(&mut context, false),
            _ => unreachable!("{lane} is tested elsewhere"),
        }
        Report::new(lane, context.finish())
    }

    /// Every lane with each of its commands, which must make it fail.
    const PLANTED: [(&str, &[&str]); 17] = [
        ("fmt", &["cargo fmt --all", "fuzz/Cargo.toml", "taplo", "git ls-files", "typos"]),
        ("lint", &["clippy --release --workspace --all-targets --", "--features gpu", "cargo check", "shellcheck"]),
        ("test", &["nextest run"]),
        ("archive", &["nextest archive"]),
        ("doctest", &["--doc"]),
        ("fuzz", &["scripts/fuzz 60"]),
        ("features", &["hack"]),
        ("docs", &["cargo doc", "lychee"]),
        ("coverage", &["llvm-cov nextest", "llvm-cov report"]),
        ("kernels", &["kernels --check", "planted_faults"]),
        ("emulate", &["--package fhe-emulator", "--test gpu", "--lib cuda::"]),
        ("deps", &["metadata", "fuzz/Cargo.toml", "bans", "advisories", "machete", "gitleaks"]),
        (
            "workflows",
            &["actionlint", "zizmor", "vendor.github-workflows", "vendor.github-actions", "vendor.dependabot"],
        ),
        ("workflows", &["shellcheck", "test_verdict", "test_pipeline"]),
        ("gpu", &["cargo test --release --features gpu", "fhe-gpu-check"]),
        ("gpu", &["memcheck", "racecheck", "synccheck", "initcheck"]),
        ("bench", &["cargo bench", "bench-report"]),
    ];

    #[test]
    fn every_lane_passes_and_each_of_its_commands_can_fail_it() {
        for (lane, commands) in PLANTED {
            let report = run(lane, &machine(None));
            assert_eq!(report.status, Status::Passed, "{lane}: {}", report.closing());
            for command in commands {
                let report = run(lane, &machine(Some(command)));
                assert_eq!(report.status, Status::Failed, "{lane} with {command}: {}", report.closing());
                assert!(!report.closing().ends_with(" 0 failed, 0 skipped"), "{}", report.closing());
            }
        }
    }

    #[test]
    fn a_gpu_is_skipped_with_its_reason_or_demanded() {
        let mut shell = Fake { absent: vec!["/dev/nvidiactl"], ..machine(None) };
        let report = run("gpu", &shell);
        assert_eq!(report.status, Status::Skipped);
        assert!(report.closing().contains("/dev/nvidiactl is missing") && shell.lines().is_empty());
        shell.variables.insert(REQUIRE_GPU, "1");
        assert_eq!(run("gpu", &shell).status, Status::Failed);
        // A missing sanitizer is not a missing card.
        let shell = Fake { missing: vec!["compute-sanitizer"], ..machine(None) };
        let report = run("gpu", &shell);
        assert_eq!((report.status, report.counts.skipped > 0), (Status::Passed, true));
    }

    #[test]
    fn a_database_that_cannot_be_fetched_is_a_skip() {
        let mut shell = machine(None);
        let stderr = "error: failed to fetch advisory database".to_owned();
        shell.rules.insert(0, ("check advisories", Output { success: false, stderr, ..Output::default() }));
        let report = run("deps", &shell);
        assert_eq!((report.status, report.counts.skipped), (Status::Passed, 2), "{}", report.closing());
    }

    #[test]
    fn shards_filters_and_archives_reach_nextest() {
        let mut shell = machine(None);
        let list = r#"{"rust-suites":{"s":{"testcases":{"t":{"filter-match":{"status":"matches"}}}}}}"#;
        let answer = Output { success: true, stdout: list.to_owned(), ..Output::default() };
        shell.rules.insert(0, ("nextest list", answer));
        let folder = Scratch::new().unwrap();
        let options = TestOptions {
            shard: Some(Shard { index: 2, count: 4 }),
            filter: Some("package(=a) | package(=b)".to_owned()),
            archive: Some("t.tar.zst".to_owned()),
            ..TestOptions::default()
        };
        let mut context = Context::new(&shell);
        test(&mut context, folder.path(), &options);
        let line = shell.lines().join("\n");
        for part in ["--archive-file t.tar.zst", "-E package(=a) | package(=b)", "--partition slice:2/4"] {
            assert!(line.contains(part), "{line}");
        }
        assert!(!line.contains("--release"), "{line}");
        assert_eq!(Report::new("test", context.finish()).closing(), "5 passed, 0 failed, 0 skipped");
        let lists = folder.path().join("target/ci");
        assert_eq!(shards::ran(&lists, Shard { index: 2, count: 4 }).unwrap().len(), 1);
        // A shard that did not run has left nothing, and those that did are one of the four.
        for (count, expected) in [(4, Status::Failed), (1, Status::Passed)] {
            shards::write(&lists, Shard { index: 1, count: 1 }, &["s t".to_owned()].into()).unwrap();
            let options =
                TestOptions { verify_shards: Some(count), lists: Some(lists.clone()), ..TestOptions::default() };
            let mut context = Context::new(&shell);
            test(&mut context, folder.path(), &options);
            assert_eq!(Report::new("test", context.finish()).status, expected);
        }
    }

    #[test]
    fn without_nextest_cargo_runs_the_whole_list_but_no_shard() {
        let shell = Fake { missing: vec!["cargo-nextest"], ..machine(None) };
        assert_eq!(run("test", &shell).status, Status::Passed);
        assert!(shell.lines()[0].starts_with("cargo test --release --lib"));
        let mut context = Context::new(&shell);
        let options = TestOptions { shard: Some(Shard { index: 1, count: 2 }), ..TestOptions::default() };
        test(&mut context, Path::new("/nowhere"), &options);
        assert_eq!(Report::new("test", context.finish()).status, Status::Skipped);
    }

    #[test]
    fn shards_are_verified_by_their_lists() {
        let list = |tests: &[&str]| {
            let case = |test: &&str| format!(r#""{test}":{{"filter-match":{{"status":"matches"}}}}"#);
            let cases: Vec<_> = tests.iter().map(case).collect();
            let stdout = format!(r#"{{"rust-suites":{{"s":{{"testcases":{{{}}}}}}}}}"#, cases.join(","));
            Output { success: true, stdout, ..Output::default() }
        };
        for (second, expected) in [(vec!["b", "c"], Status::Passed), (vec!["b"], Status::Failed)] {
            let rules = vec![
                ("slice:1/2", list(&["a"])),
                ("slice:2/2", list(&second)),
                ("nextest list", list(&["a", "b", "c"])),
            ];
            let shell = Fake { rules, ..Fake::default() };
            let mut context = Context::new(&shell);
            let options = TestOptions { verify_shards: Some(2), ..TestOptions::default() };
            test(&mut context, Path::new("/nowhere"), &options);
            assert_eq!(Report::new("test", context.finish()).status, expected);
        }
    }

    #[test]
    fn every_lane_has_a_negative_test() {
        // Those of these three are beside them: in the module of the command, in `icount` and in `release`.
        let elsewhere = ["plan", "icount", "release"];
        for lane in NAMES {
            let here = PLANTED.iter().any(|(planted, _)| *planted == lane);
            assert!(here != elsewhere.contains(&lane), "{lane}");
        }
    }

    #[test]
    fn every_lane_says_what_it_is_for() {
        assert!(NAMES.iter().all(|lane| !about(lane).is_empty()));
        assert!(LOCAL.iter().all(|lane| NAMES.contains(lane)));
    }
}
