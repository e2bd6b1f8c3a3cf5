//! `cargo xtask plan`: which lanes and tests a change needs.
//!
//! Fails open: whatever is not understood plans everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::shell::{Call, Shell};

/// Lanes of a plan for everything, in the order in which a job list shows them. Coverage, features and benchmarks are
/// for the night: they compile the `tfhe` crate anew.
pub const EVERYTHING: [&str; 12] =
    ["fmt", "lint", "docs", "test", "doctest", "fuzz", "kernels", "emulate", "icount", "deps", "workflows", "gpu"];

/// Crates whose code runs on a GPU or for it. Their tests in the other packages are in the test program `gpu`.
const GPU_CRATES: [&str; 2] = ["fhe-gpu", "fhe-kernels"];

/// Not among the workspace's default members, so neither are its tests among those of the lane `test`: the lane
/// `emulate` runs them.
const EMULATOR: &str = "fhe-emulator";

/// What to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Whether everything is run.
    pub all: bool,
    /// The lanes.
    pub lanes: Vec<&'static str>,
    /// nextest's expression for the lane `test`.
    pub filter: String,
    /// One line per cause.
    pub reasons: Vec<String>,
}

impl Plan {
    /// Everything, and why.
    #[must_use]
    pub fn everything(reason: impl Into<String>) -> Self {
        Self { all: true, lanes: EVERYTHING.to_vec(), filter: "all()".to_owned(), reasons: vec![reason.into()] }
    }

    /// Lines for a person.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.reasons.iter().fold(String::new(), |text, reason| text + "because " + reason + "\n");
        let _ = write!(text, "lanes: {}\ntests: {}", self.lanes.join(" "), self.filter);
        text
    }

    /// Lines `name=value` for a workflow's outputs.
    ///
    /// # Errors
    /// Never; the lanes are plain words.
    pub fn outputs(&self) -> Result<String> {
        let lanes = serde_json::to_string(&self.lanes)?;
        let has = |lane: &str| self.lanes.contains(&lane);
        let mut text = format!("all={}\nlanes={lanes}\nfilter={}\n", self.all, self.filter);
        for lane in EVERYTHING {
            let _ = writeln!(text, "{lane}={}", has(lane));
        }
        Ok(text)
    }
}

/// The packages of a workspace, and who depends on whom.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    /// Folder of each package.
    folders: BTreeMap<String, String>,
    /// The packages that a package depends on.
    dependencies: BTreeMap<String, BTreeSet<String>>,
}

impl Workspace {
    /// Reads what `cargo metadata --no-deps` prints.
    ///
    /// # Errors
    /// If it is something else.
    pub fn parse(json: &str) -> Result<Self> {
        let metadata: Value = serde_json::from_str(json)?;
        let root = metadata["workspace_root"].as_str().context("a workspace has a root")?;
        let mut workspace = Self::default();
        for package in metadata["packages"].as_array().context("a workspace has packages")? {
            let name = package["name"].as_str().context("a package has a name")?;
            let manifest = package["manifest_path"].as_str().context("a package has a manifest")?;
            let folder = Path::new(manifest).parent().context("a manifest is in a folder")?;
            let folder = folder.strip_prefix(root).context("members are inside the workspace")?;
            let folder = folder.to_str().context("a folder's name is text")?.to_owned();
            let of = package["dependencies"].as_array().into_iter().flatten();
            // Only dependencies by path are of this workspace.
            let names = of.filter(|one| one["path"].is_string()).filter_map(|one| one["name"].as_str());
            workspace.dependencies.insert(name.to_owned(), names.map(str::to_owned).collect());
            workspace.folders.insert(name.to_owned(), folder);
        }
        Ok(workspace)
    }

    /// The package that a file belongs to: that of the innermost folder.
    fn owner(&self, file: &str) -> Option<&str> {
        let inside = |folder: &str| file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let owners = self.folders.iter().filter(|(_, folder)| inside(folder));
        owners.max_by_key(|(_, folder)| folder.len()).map(|(name, _)| &**name)
    }

    /// A package and all that depend on it, directly or not.
    fn dependents(&self, name: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::from([name.to_owned()]);
        loop {
            let more = self.dependencies.iter().filter(|(_, on)| !on.is_disjoint(&found));
            let more: BTreeSet<_> = more.map(|(name, _)| name.clone()).collect();
            let before = found.len();
            found.extend(more);
            if found.len() == before {
                return found;
            }
        }
    }
}

/// What one file asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect<'a> {
    All(&'static str),
    Lanes(&'static [&'static str]),
    Package(&'a str),
}

/// The rules by path; the first that fits counts.
fn effect<'a>(file: &str, workspace: &'a Workspace) -> Effect<'a> {
    let under = |folders: &[&str]| folders.iter().any(|folder| file.starts_with(folder));
    let extension = Path::new(file).extension().and_then(|extension| extension.to_str());
    if under(&["fuzz/"]) {
        // A workspace of its own, which no package of this one depends on; its dependencies are looked at with the others.
        return Effect::Lanes(&["fmt", "fuzz", "deps"]);
    }
    if file.ends_with("Cargo.toml") || file == "Cargo.lock" || file.starts_with("rust-toolchain") {
        return Effect::All("what is compiled, and by what, may have changed");
    }
    if under(&[".cargo/", ".ci/", ".config/", "xtask/"]) {
        return Effect::All("it is part of the harness itself");
    }
    if file == ".github/scripts/fuzz" {
        return Effect::Lanes(&["fmt", "fuzz", "workflows"]);
    }
    if under(&[".github/"]) {
        return Effect::Lanes(&["workflows"]);
    }
    let name = file.rsplit('/').next().unwrap_or(file);
    if extension == Some("md") || under(&["docs/"]) || name.starts_with("LICENSE") || name == "NOTICE" {
        return Effect::Lanes(&["fmt", "docs"]);
    }
    match name {
        "deny.toml" | ".gitleaks.toml" => return Effect::Lanes(&["fmt", "deps"]),
        "rustfmt.toml" | ".rustfmt.toml" | "taplo.toml" | ".taplo.toml" | "typos.toml" | "_typos.toml" => {
            return Effect::Lanes(&["fmt"]);
        }
        "cliff.toml" | ".gitignore" | ".gitattributes" => return Effect::Lanes(&["fmt"]),
        "lychee.toml" => return Effect::Lanes(&["docs"]),
        _ => {}
    }
    if under(&["data/"]) {
        // The examples and their tests read these tables.
        return Effect::Package("fhe-core");
    }
    match workspace.owner(file) {
        Some(package) => Effect::Package(package),
        None => Effect::All("nobody has said what it is"),
    }
}

/// Plans for changed files.
#[must_use]
pub fn plan(files: &[String], workspace: &Workspace) -> Plan {
    if files.is_empty() {
        return Plan::everything("there is no change, so it is not clear what is asked for");
    }
    let (mut lanes, mut terms) = (BTreeSet::new(), BTreeSet::new());
    let mut reasons = Vec::new();
    for file in files {
        match effect(file, workspace) {
            Effect::All(why) => return Plan::everything(format!("{file} has changed: {why}")),
            Effect::Lanes(some) => {
                reasons.push(format!("{file} has changed"));
                lanes.extend(some);
            }
            Effect::Package("fhe-core") => {
                return Plan::everything(format!("{file} has changed: everything is built on fhe-core"));
            }
            Effect::Package(package) => {
                reasons.push(format!("{file} of {package} has changed"));
                let gpu = GPU_CRATES.contains(&package);
                lanes.extend(["fmt", "lint", "docs"]);
                if package == EMULATOR {
                    // Nothing of it goes to a card or into PTX, and its tests are no part of the lane `test`.
                    lanes.insert("emulate");
                    continue;
                }
                lanes.insert("test");
                match package {
                    _ if gpu => lanes.extend(["kernels", "emulate", "gpu", "doctest"]),
                    // Fuzz targets compare with its plain integers.
                    "fhe-tests" => lanes.extend(["fuzz", "emulate", "gpu"]),
                    "fhe-benches" => lanes.extend(["icount"]),
                    _ => lanes.extend(EVERYTHING),
                }
                for one in workspace.dependents(package).into_iter().filter(|one| one != EMULATOR) {
                    // A change for GPUs cannot change what the other test programs of a dependent do.
                    let only_gpu = gpu && one == "fhe-tests";
                    let binary = if only_gpu { " & binary(=gpu)" } else { "" };
                    terms.insert(format!("(package(={one}){binary})"));
                }
            }
        }
    }
    let filter = if terms.is_empty() { "none()".to_owned() } else { Vec::from_iter(terms).join(" | ") };
    let lanes = EVERYTHING.into_iter().filter(|lane| lanes.contains(lane)).collect();
    Plan { all: false, lanes, filter, reasons }
}

/// Why the event at hand asks for everything, if it does.
fn event(shell: &dyn Shell) -> Option<String> {
    let variable = |name| shell.variable(name).unwrap_or_default();
    let name = variable("GITHUB_EVENT_NAME");
    match &*name {
        "merge_group" | "schedule" | "workflow_dispatch" => Some(format!("the event is {name}")),
        "push" if variable("GITHUB_REF") == "refs/heads/main" => Some("this is the branch main".to_owned()),
        _ => None,
    }
}

/// Plans for what has changed since the common ancestor with `base`, committed or not.
#[must_use]
pub fn since(base: Option<&str>, shell: &dyn Shell) -> Plan {
    if let Some(why) = event(shell) {
        return Plan::everything(why);
    }
    let Some(base) = base.filter(|base| !base.is_empty()) else { return Plan::everything("no base was given") };
    match changes(base, shell) {
        Ok((files, workspace)) => plan(&files, &workspace),
        Err(error) => Plan::everything(format!("{error:#}")),
    }
}

fn changes(base: &str, shell: &dyn Shell) -> Result<(Vec<String>, Workspace)> {
    // A base that looks like an option is refused by git, since it comes after `--end-of-options`.
    let run = |call: Call| -> Result<String> {
        let output = shell.run(&call.clone().quietly())?;
        ensure!(output.success, "{call} fails: {}", output.tail());
        Ok(output.stdout)
    };
    let ancestor = run(Call::new("git", "merge-base --end-of-options").arg(base).arg("HEAD"))?;
    let ancestor = ancestor.trim();
    // Both names of a renamed file count.
    let mut files = run(Call::new("git", "diff --name-only --no-renames -z").arg(ancestor))?;
    files += &run(Call::new("git", "ls-files --others --exclude-standard -z"))?;
    let files = files.split('\0').filter(|file| !file.is_empty()).map(str::to_owned).collect();
    let metadata = run(Call::cargo("metadata --no-deps --format-version 1"))?;
    Ok((files, Workspace::parse(&metadata)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::fake::Fake;
    use crate::shell::{Machine, Output};

    fn workspace() -> Workspace {
        // Seen from this package, where tests run.
        let machine = Machine::new(Path::new(".."), &[]).unwrap();
        let output = machine.run(&Call::cargo("metadata --no-deps --offline --format-version 1").quietly()).unwrap();
        Workspace::parse(&output.stdout).unwrap()
    }

    fn planned(files: &[&str]) -> Plan {
        plan(&files.iter().map(|&file| file.to_owned()).collect::<Vec<_>>(), &workspace())
    }

    #[test]
    fn one_file_alone() {
        let gpu = "fmt lint docs test doctest kernels emulate gpu";
        let all = EVERYTHING.join(" ");
        for (file, lanes) in [
            ("README.md", "fmt docs"),
            ("kernels/README.md", "fmt docs"),
            ("LICENSE-MIT", "fmt docs"),
            ("fhe-core/src/cpu/fft.rs", &*all),
            ("fhe-core/examples/screening.rs", &*all),
            ("data/transfers.csv", &*all),
            ("fhe-gpu/src/lib.rs", gpu),
            ("kernels/cuda/blind_rotate.cuh", gpu),
            ("kernels/ptx/m.compute_80.ptx", gpu),
            ("kernels/BUDGET.toml", gpu),
            ("kernels/emulator/src/lib.rs", "fmt lint docs emulate"),
            ("tests/tests/gpu/main.rs", "fmt lint docs test fuzz emulate gpu"),
            ("benches/bootstrap.rs", "fmt lint docs test icount"),
            (".github/workflows/ci.yml", "workflows"),
            (".github/actions/run-lane/action.yml", "workflows"),
            (".github/scripts/fuzz", "fmt fuzz workflows"),
            ("fuzz/fuzz_targets/keys.rs", "fmt fuzz deps"),
            ("fuzz/Cargo.toml", "fmt fuzz deps"),
            ("fuzz/Cargo.lock", "fmt fuzz deps"),
            ("fuzz-of-another-kind/Cargo.toml", &*all),
            ("deny.toml", "fmt deps"),
            ("Cargo.lock", &*all),
            ("Cargo.toml", &*all),
            ("fhe-gpu/Cargo.toml", &*all),
            ("rust-toolchain.toml", &*all),
            (".ci/tools.toml", &*all),
            (".cargo/config.toml", &*all),
            ("xtask/src/plan.rs", &*all),
            ("nobody/knows.xyz", &*all),
            ("unknown", &*all),
            ("kernels-of-another-kind", &*all),
        ] {
            let plan = planned(&[file]);
            assert_eq!(plan.lanes.join(" "), lanes, "{file}");
            assert_eq!(plan.all, lanes == all, "{file}");
            assert!(plan.reasons[0].contains(file), "{plan:?}");
            // Those two wait for nothing, and all others for them: jobs after a job that is left out are left out.
            let first = ["fmt", "lint"].iter().any(|lane| plan.lanes.contains(lane));
            assert!(first || plan.lanes == ["workflows"] || plan.lanes == ["docs"], "{file}");
            assert_eq!(plan.lanes.contains(&"test"), plan.filter != "none()", "{file}");
        }
    }

    #[test]
    fn tests_of_one_file_alone() {
        let gpu = "(package(=fhe-benches)) | (package(=fhe-gpu)) | (package(=fhe-tests) & binary(=gpu))";
        for (file, filter) in [
            ("README.md", "none()"),
            ("fuzz/src/lib.rs", "none()"),
            ("kernels/emulator/src/lib.rs", "none()"),
            ("fhe-core/src/lib.rs", "all()"),
            ("fhe-gpu/src/lib.rs", gpu),
            ("benches/src/lib.rs", "(package(=fhe-benches))"),
            ("tests/src/lib.rs", "(package(=fhe-benches)) | (package(=fhe-tests))"),
            ("nobody/knows.xyz", "all()"),
        ] {
            assert_eq!(planned(&[file]).filter, filter, "{file}");
        }
        // The kernels' own tests, and those of whoever is built on them, but no test of the CPU.
        let kernels = planned(&["kernels/cuda/blind_rotate.cuh"]).filter;
        assert!(kernels.contains("fhe-kernels") && kernels.contains("fhe-gpu"), "{kernels}");
        assert!(!kernels.contains("fhe-core") && !kernels.contains("(package(=fhe-tests))"), "{kernels}");
    }

    #[test]
    fn several_files_add_up() {
        let plan = planned(&["README.md", ".github/workflows/ci.yml"]);
        assert_eq!((&*plan.lanes.join(" "), &*plan.filter), ("fmt docs workflows", "none()"));
        let plan = planned(&["fhe-gpu/src/lib.rs", "tests/tests/fleet.rs"]);
        assert!(plan.filter.ends_with("(package(=fhe-tests) & binary(=gpu)) | (package(=fhe-tests))"), "{plan:?}");
        assert!(planned(&["README.md", "fhe-core/src/lib.rs"]).all);
        assert!(planned(&["README.md", "unknown"]).all);
        assert!(planned(&[]).all);
    }

    #[test]
    fn what_cannot_be_compared_plans_everything() {
        let answer = |stdout: &str| Output { success: true, stdout: stdout.to_owned(), ..Output::default() };
        let metadata = r#"{"workspace_root":"/w","packages":[]}"#;
        let readable = || Fake {
            rules: vec![
                ("merge-base", answer("abc\n")),
                ("diff", answer("README.md\0")),
                ("metadata", answer(metadata)),
            ],
            ..Fake::default()
        };
        assert!(!since(Some("main"), &readable()).all);
        assert!(since(None, &readable()).all && since(Some(""), &readable()).all);
        for broken in ["merge-base", "diff", "ls-files", "metadata"] {
            let mut shell = readable();
            shell.rules.insert(0, (broken, Output::default()));
            assert!(since(Some("main"), &shell).all, "{broken}");
        }
        for (event, reference, all) in [
            ("merge_group", "refs/heads/gh-readonly-queue/main/1", true),
            ("schedule", "refs/heads/main", true),
            ("push", "refs/heads/main", true),
            ("push", "refs/heads/pull-request/7", false),
            ("pull_request", "refs/pull/7/merge", false),
        ] {
            let mut shell = readable();
            shell.variables.extend([("GITHUB_EVENT_NAME", event), ("GITHUB_REF", reference)]);
            assert_eq!(since(Some("main"), &shell).all, all, "{event} {reference}");
        }
    }

    #[test]
    fn outputs_are_lines_for_a_workflow() {
        let text = planned(&["README.md"]).outputs().unwrap();
        assert!(
            text.starts_with("all=false\nlanes=[\"fmt\",\"docs\"]\nfilter=none()\nfmt=true\nlint=false\n"),
            "{text}"
        );
    }
}
