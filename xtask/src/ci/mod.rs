//! `cargo xtask ci <lane>`: the lanes that workflows, `.ci/run` and people call.
//!
//! A lane writes `target/ci/<lane>.json` and ends with `N passed, N failed, N skipped`. It fails if and only if
//! something in it failed: what cannot run here is skipped with its reason. `FHE_REQUIRE_TOOLS=1` and
//! `FHE_REQUIRE_GPU=1` turn those skips into failures, for machines that are meant to have everything.

pub mod context;
pub mod icount;
pub mod lanes;
pub mod report;
pub mod shards;
pub mod tools;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Subcommand};

use crate::shell::{Machine, Shell};
use crate::{plan, release};
use context::Context;
use lanes::TestOptions;
use report::{Report, Status};

/// Options of the command.
#[derive(Args)]
pub struct Options {
    /// The lane; without one, those that need no GPU and no outside service.
    #[command(subcommand)]
    lane: Option<Lane>,
}

#[derive(Subcommand)]
enum Lane {
    /// Lists the lanes and the tools that they use.
    List,
    /// Installs tools at the versions of .ci/tools.toml into target/ci/tools.
    Tools {
        /// Names of programs; all if absent.
        names: Vec<String>,
        /// The tools of a lane; may be repeated.
        #[arg(long = "lane", value_name = "LANE", conflicts_with = "names")]
        lanes: Vec<String>,
    },
    /// Which lanes and tests a change needs; also writes the outputs of a workflow's step.
    Plan {
        /// The commit to compare with; everything is planned without one.
        #[arg(long, value_name = "REV")]
        base: Option<String>,
    },
    /// Formatting of Rust and TOML, spelling.
    Fmt,
    /// Clippy without and with the feature gpu, shell scripts.
    Lint,
    /// All tests, or a part of them.
    Test(TestOptions),
    /// Builds the tests into one file for `test --archive`.
    Archive {
        /// The file, which ends in .tar.zst.
        file: String,
        /// With the feature gpu.
        #[arg(long)]
        gpu: bool,
    },
    /// The programs in the documentation and in the readme.
    Doctest,
    /// Fuzz targets, with the address sanitizer where the toolchain has it.
    Fuzz {
        /// How long each runs.
        #[arg(long, value_name = "N", default_value_t = 60)]
        seconds: u32,
        /// Names of targets; all if absent.
        targets: Vec<String>,
    },
    /// Every feature of every package alone.
    Features,
    /// Documentation and its links.
    Docs,
    /// Lines that tests reach.
    Coverage,
    /// PTX and the static budget of the kernels.
    Kernels,
    /// The CUDA backend on an emulated GPU.
    Emulate,
    /// Instructions of the CPU's kernels and of the compiler, within 1% of benches/icount.json.
    Icount {
        /// Writes the counts as the new baseline.
        #[arg(long)]
        update: bool,
    },
    /// Licences, sources, advisories, unused dependencies, secrets.
    Deps,
    /// Workflows, actions and their configuration.
    Workflows,
    /// Tests, check and sanitizers on this machine's GPU.
    Gpu,
    /// Criterion benchmarks, as JSON and as a page.
    Bench {
        /// With the feature gpu.
        #[arg(long)]
        gpu: bool,
    },
    /// Everything of a release up to publishing it.
    Release(release::Options),
}

impl Options {
    /// The lane of a release.
    #[must_use]
    pub fn release(options: release::Options) -> Self {
        Self { lane: Some(Lane::Release(options)) }
    }
}

impl Lane {
    fn name(&self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Tools { .. } => "tools",
            Self::Plan { .. } => "plan",
            Self::Fmt => "fmt",
            Self::Lint => "lint",
            Self::Test(_) => "test",
            Self::Archive { .. } => "archive",
            Self::Doctest => "doctest",
            Self::Fuzz { .. } => "fuzz",
            Self::Features => "features",
            Self::Docs => "docs",
            Self::Coverage => "coverage",
            Self::Kernels => "kernels",
            Self::Emulate => "emulate",
            Self::Icount { .. } => "icount",
            Self::Deps => "deps",
            Self::Workflows => "workflows",
            Self::Gpu => "gpu",
            Self::Bench { .. } => "bench",
            Self::Release(_) => "release",
        }
    }

    fn local(name: &str) -> Result<Self> {
        Ok(match name {
            "fmt" => Self::Fmt,
            "lint" => Self::Lint,
            "docs" => Self::Docs,
            "workflows" => Self::Workflows,
            "deps" => Self::Deps,
            "kernels" => Self::Kernels,
            "test" => Self::Test(TestOptions::default()),
            "doctest" => Self::Doctest,
            "emulate" => Self::Emulate,
            _ => bail!("{name} has to be called by its name"),
        })
    }
}

/// Runs the command.
///
/// # Errors
/// If something in a lane failed.
pub fn run(options: &Options) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    let machine = Machine::new(root, &tools::programs(root))?;
    match &options.lane {
        Some(Lane::List) => {
            for lane in lanes::NAMES {
                let used = lanes::tools(lane);
                let used = if used.is_empty() { String::new() } else { format!(" [{}]", used.join(", ")) };
                println!("{lane:<10} {}{used}", lanes::about(lane));
            }
            println!("\nwithout a lane: {}", lanes::LOCAL.join(" "));
            Ok(())
        }
        Some(lane) => verdict(&[one(lane, &machine, root)?]),
        None => {
            let lanes = lanes::LOCAL.iter().map(|name| one(&Lane::local(name)?, &machine, root));
            let reports = lanes.collect::<Result<Vec<_>>>()?;
            let checks = reports.iter().flat_map(|report| report.checks.clone());
            let checks = checks.collect();
            let all = Report::new("ci", checks);
            finish(&all, root)?;
            verdict(&reports)
        }
    }
}

/// Runs one lane and writes its report.
fn one(lane: &Lane, shell: &dyn Shell, root: &Path) -> Result<Report> {
    fs::create_dir_all(root.join("target/ci"))?;
    let mut context = Context::new(shell);
    match lane {
        Lane::List => {}
        Lane::Tools { names, lanes } => {
            let mut names = names.clone();
            for lane in lanes {
                ensure!(lanes::NAMES.contains(&&**lane), "there is no lane {lane}");
                names.extend(lanes::tools(lane).iter().map(|&tool| tool.to_owned()));
            }
            // A lane without tools asks for none, not for all.
            if lanes.is_empty() || !names.is_empty() {
                tools::install(&mut context, &tools::read(root)?, &names, root)?;
            }
        }
        Lane::Plan { base } => {
            let plan = plan::since(base.as_deref(), shell);
            println!("{}", plan.text());
            context.check("plan", || {
                fs::write(root.join("target/ci/planned.json"), serde_json::to_string_pretty(&plan)? + "\n")?;
                match shell.variable("GITHUB_OUTPUT") {
                    Some(file) => append(&file, &plan.outputs()?),
                    None => Ok(()),
                }
            });
        }
        Lane::Fmt => lanes::fmt(&mut context),
        Lane::Lint => lanes::lint(&mut context),
        Lane::Test(options) => lanes::test(&mut context, root, options),
        Lane::Archive { file, gpu } => lanes::archive(&mut context, file, *gpu),
        Lane::Doctest => lanes::doctest(&mut context),
        Lane::Fuzz { seconds, targets } => lanes::fuzz(&mut context, *seconds, targets),
        Lane::Features => lanes::features(&mut context),
        Lane::Docs => lanes::docs(&mut context),
        Lane::Coverage => lanes::coverage(&mut context),
        Lane::Kernels => lanes::kernels(&mut context),
        Lane::Emulate => lanes::emulate(&mut context),
        Lane::Icount { update } => icount::icount(&mut context, root, *update),
        Lane::Deps => lanes::deps(&mut context),
        Lane::Workflows => lanes::workflows(&mut context),
        Lane::Gpu => lanes::gpu(&mut context),
        Lane::Release(options) => release::release(&mut context, root, options),
        Lane::Bench { gpu } => lanes::bench(&mut context, *gpu),
    }
    let report = Report::new(lane.name(), context.finish());
    finish(&report, root)?;
    Ok(report)
}

fn append(file: &str, text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().append(true).create(true).open(file)?;
    Ok(file.write_all(text.as_bytes())?)
}

fn finish(report: &Report, root: &Path) -> Result<()> {
    let file = root.join(format!("target/ci/{}.json", report.lane));
    fs::write(&file, serde_json::to_string_pretty(report)? + "\n")
        .with_context(|| format!("cannot write {}", file.display()))?;
    println!("\n{}: {:.0} s\n{}", report.lane, report.seconds, report.closing());
    Ok(())
}

/// The exit code: an error without a message of its own, since the report has said everything.
fn verdict(reports: &[Report]) -> Result<()> {
    let failed = reports.iter().filter(|report| report.status == Status::Failed);
    let failed: Vec<_> = failed.map(|report| &*report.lane).collect();
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::scratch::Scratch;
    use crate::shell::fake::Fake;

    #[test]
    fn a_lane_leaves_its_report_and_a_failure_is_an_error() -> Result<()> {
        let folder = Scratch::new()?;
        let report = one(&Lane::Features, &Fake::default(), folder.path())?;
        verdict(&[report])?;
        let json: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.path().join("target/ci/features.json"))?)?;
        assert_eq!((&json["status"], &json["passed"], &json["failed"]), (&"passed".into(), &1.into(), &0.into()));
        let report = one(&Lane::Features, &Fake::fails("hack"), folder.path())?;
        assert_eq!(verdict(&[report]).unwrap_err().to_string(), "failed: features");
        let missing = Fake { missing: vec!["cargo-hack"], ..Fake::default() };
        let report = one(&Lane::Features, &missing, folder.path())?;
        assert_eq!(report.status, Status::Skipped);
        verdict(&[report])
    }

    #[test]
    fn a_plan_is_written_for_workflows() -> Result<()> {
        let folder = Scratch::new()?;
        one(&Lane::Plan { base: None }, &Fake::default(), folder.path())?;
        let json: serde_json::Value = serde_json::from_slice(&fs::read(folder.path().join("target/ci/planned.json"))?)?;
        assert_eq!(json["all"], true);
        // Outputs that nobody would read are a failure: jobs would be left out.
        let shell = Fake { variables: [("GITHUB_OUTPUT", "/nowhere/output")].into(), ..Fake::default() };
        assert_eq!(one(&Lane::Plan { base: None }, &shell, folder.path())?.status, Status::Failed);
        Ok(())
    }

    #[test]
    fn local_lanes_can_all_be_started() {
        assert!(lanes::LOCAL.iter().all(|name| Lane::local(name).is_ok_and(|lane| lane.name() == *name)));
    }
}
