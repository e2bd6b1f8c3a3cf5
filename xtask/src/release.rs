//! `cargo xtask release --dry-run VERSION`: everything of a release up to publishing it.
//!
//! Works on a clone of the last commit, and writes `target/release-vVERSION`. Nothing is published, tagged or committed:
//! that is the release workflow's, which starts from the files made here.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use toml_edit::{DocumentMut, Item, value};

use crate::ci::context::Context;
use crate::shell::Call;

/// What is published, each after what it depends on.
const PACKAGES: [(&str, &str); 3] = [("fhe-kernels", "kernels"), ("fhe-core", "fhe-core"), ("fhe-gpu", "fhe-gpu")];

/// Options of the command.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Publishes nothing. There is no other way to call this: publishing is the release workflow's.
    #[arg(long, required = true)]
    dry_run: bool,
    /// The new version, such as 0.2.0.
    version: String,
    /// Compiles the packaged crates without running their tests, apart from those of fhe-kernels. The whole takes another
    /// compilation of the tfhe crate, whose features are fewer outside the workspace.
    #[arg(long)]
    quick: bool,
}

/// The lane.
pub fn release(context: &mut Context, root: &Path, options: &Options) {
    if let Err(error) = steps(context, root, options) {
        context.check("release", || Err(error));
    }
}

fn steps(context: &mut Context, root: &Path, options: &Options) -> Result<()> {
    let version = &*options.version;
    let output = root.join(format!("target/release-v{version}"));
    let scratch = root.join("target/release-scratch");
    for folder in [&output, &scratch] {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder)?;
    }
    let tree = scratch.join("tree");
    must(context, "clone", &Call::new("git", "clone --quiet --no-hardlinks .").arg(text(&tree)?))?;

    let tagged = tags(context, &tree, "--points-at HEAD")?.contains(&format!("v{version}"));
    let manifest = fs::read_to_string(tree.join("Cargo.toml"))?;
    let bumped = bump(&manifest, version)?;
    context.check("version", || {
        // What is published is the commit, not this clone of it.
        ensure!(
            !tagged || bumped == manifest,
            "v{version} is tagged, but Cargo.toml does not have that version everywhere"
        );
        Ok(fs::write(tree.join("Cargo.toml"), bumped)?)
    });
    must(context, "lock file", &Call::cargo("update --workspace --offline").within(&tree))?;
    notes(context, &tree, &output, version, tagged)?;
    semver(context, &tree, version)?;

    let target = scratch.join("target");
    let names = PACKAGES.iter().flat_map(|(name, _)| ["--package", name]);
    // Verified below, all three together: cargo alone would look for the others in the registry.
    let call = Call::cargo("package --locked --no-verify --allow-dirty").args(names).within(&tree);
    must(context, "packages", &call.var("CARGO_TARGET_DIR", text(&target)?))?;
    let mut crates = Vec::new();
    for (name, _) in PACKAGES {
        let file = format!("{name}-{version}.crate");
        fs::copy(target.join("package").join(&file), output.join(&file)).with_context(|| format!("no {file}"))?;
        crates.push(file);
    }
    outside(context, root, &scratch, &output, options)?;
    sbom(context, &tree, &output)?;
    let mut files: Vec<_> = fs::read_dir(&output)?.map(|file| Ok(file?.file_name())).collect::<Result<_>>()?;
    files.sort();
    let files = files.iter().map(|file| file.to_string_lossy().into_owned());
    let sums = must(context, "checksums", &Call::new("sha256sum", "--").args(files).within(&output).quietly())?;
    fs::write(output.join("SHA256SUMS"), sums)?;
    println!("{}", output.display());
    Ok(())
}

/// A step that the following ones need; its standard output.
fn must(context: &mut Context, name: &str, call: &Call) -> Result<String> {
    match context.command(name, call) {
        Some(output) if output.success => Ok(output.stdout),
        _ => bail!("what comes after the step \"{name}\" needs it"),
    }
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not text", path.display()))
}

/// The workspace's manifest with another version, of the workspace and of its own packages where they are required.
fn bump(manifest: &str, version: &str) -> Result<String> {
    let mut manifest: DocumentMut = manifest.parse()?;
    let package = manifest["workspace"]["package"].as_table_mut().context("[workspace.package]")?;
    let old = package.get("version").and_then(Item::as_str).context("a version")?.to_owned();
    ensure!(numbers(version)? >= numbers(&old)?, "{version} comes before {old}");
    package["version"] = value(version);
    let dependencies = manifest["workspace"]["dependencies"].as_table_mut().context("[workspace.dependencies]")?;
    for (_, dependency) in dependencies.iter_mut() {
        let Some(dependency) = dependency.as_inline_table_mut() else { continue };
        if dependency.contains_key("path") && dependency.contains_key("version") {
            dependency.insert("version", version.into());
        }
    }
    Ok(manifest.to_string())
}

fn numbers(version: &str) -> Result<[u64; 3]> {
    let parts: Vec<_> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    let three = <[u64; 3]>::try_from(parts).ok();
    three.filter(|[a, b, c]| format!("{a}.{b}.{c}") == version).with_context(|| format!("{version} is not x.y.z"))
}

/// Tags of versions, the newest first.
fn tags(context: &Context, tree: &Path, which: &str) -> Result<Vec<String>> {
    let call =
        Call::new("git", "tag --list v* --sort=-v:refname").args(which.split_whitespace()).within(tree).quietly();
    let output = context.shell.run(&call)?;
    ensure!(output.success, "{call}: {}", output.tail());
    Ok(output.stdout.lines().map(str::to_owned).collect())
}

/// Notes of this release, and the changelog with them on top.
fn notes(context: &mut Context, tree: &Path, output: &Path, version: &str, tagged: bool) -> Result<()> {
    if !context.has("git-cliff") {
        return Ok(());
    }
    let call = Call::new("git-cliff", "--config cliff.toml");
    let call =
        if tagged { call.arg("--current") } else { call.args(["--unreleased", "--tag"]).arg(format!("v{version}")) };
    let text = must(context, "release notes", &call.within(tree).quietly())?;
    let sections = text.lines().filter(|line| line.starts_with("### ")).count();
    context.check("notes", || {
        ensure!(sections > 0, "the release has nothing that a user would notice: {text}");
        Ok(fs::write(output.join("NOTES.md"), &text)?)
    });
    let old = fs::read_to_string(tree.join("CHANGELOG.md")).unwrap_or_default();
    fs::write(output.join("CHANGELOG.md"), changelog(&old, &text))?;
    Ok(())
}

/// The notes go in front of the first release; what stood under "Unreleased" by hand is kept, in front of them.
fn changelog(old: &str, notes: &str) -> String {
    let hand_written = old.find("\n## Unreleased").or_else(|| old.find("\n## [Unreleased]"));
    let from = hand_written.map_or(0, |at| at + 4);
    let at = old[from..].find("\n## ").map_or(old.len(), |at| from + at + 1);
    let (head, tail) = old.split_at(at);
    format!("{}\n\n{}\n\n{tail}", head.trim_end(), notes.trim()).trim().to_owned() + "\n"
}

/// Compares the public interface with the last release, which is not the one whose tag is there already.
fn semver(context: &mut Context, tree: &Path, version: &str) -> Result<()> {
    let tags = tags(context, tree, "")?;
    let Some(last) = tags.iter().find(|&tag| *tag != format!("v{version}")) else {
        context.skip("semver", "a first release has nothing to be compared with", None);
        return Ok(());
    };
    if context.has("cargo-semver-checks") {
        let names = PACKAGES.iter().flat_map(|(name, _)| ["--package", name]);
        let call = Call::cargo("semver-checks --baseline-rev").arg(last).args(names).within(tree);
        context.command("semver", &call);
    }
    Ok(())
}

/// Unpacks the crates into a workspace of their own, where nothing of this repository can be reached, and tests them.
fn outside(context: &mut Context, root: &Path, scratch: &Path, output: &Path, options: &Options) -> Result<()> {
    // Not below the workspace, where cargo would find its manifest.
    let folder = std::env::temp_dir().join(format!("fhe-release-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    for (name, _) in PACKAGES {
        let file = output.join(format!("{name}-{}.crate", options.version));
        must(context, &format!("unpack {name}"), &Call::new("tar", "-xzf").arg(text(&file)?).within(&folder))?;
    }
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    fs::write(folder.join("Cargo.toml"), workspace(&manifest, &options.version)?)?;
    // The examples' tables, which are not part of a crate: whoever runs an example has them.
    must(context, "tables", &Call::new("cp", "-r data").arg(text(&folder.join("data"))?).within(scratch.join("tree")))?;
    // The tested versions of all dependencies; cargo drops the packages that are not there.
    fs::copy(scratch.join("tree/Cargo.lock"), folder.join("Cargo.lock"))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let target = text(&std::path::absolute(target)?)?;
    let call = |line: &str| Call::cargo(line).within(&folder).var("CARGO_TARGET_DIR", target.clone());
    context.tests("fhe-kernels outside", &call("test --release --package fhe-kernels"));
    if options.quick {
        context.command("all outside", &call("check --release --all-targets --features fhe-gpu/gpu"));
    } else {
        context.tests("all outside", &call("test --release --features fhe-gpu/gpu"));
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}

/// A workspace of the unpacked crates, with the profiles of this one.
fn workspace(manifest: &str, version: &str) -> Result<String> {
    let manifest: DocumentMut = manifest.parse()?;
    let members = PACKAGES.map(|(name, _)| format!("\"{name}-{version}\"")).join(", ");
    let patches = PACKAGES.map(|(name, _)| format!("{name} = {{ path = \"{name}-{version}\" }}\n")).concat();
    let mut profiles = DocumentMut::new();
    if let Some(profile) = manifest.get("profile") {
        profiles.insert("profile", profile.clone());
    }
    Ok(format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n\n[patch.crates-io]\n{patches}\n{profiles}"))
}

/// What each crate is made of, as a bill of materials in JSON.
fn sbom(context: &mut Context, tree: &Path, output: &Path) -> Result<()> {
    if !context.has("cargo-cyclonedx") {
        return Ok(());
    }
    for (name, folder) in PACKAGES {
        let line = "cyclonedx --format json --spec-version 1.5 --all-features --manifest-path";
        let call = Call::new("cargo-cyclonedx", line).arg(format!("{folder}/Cargo.toml")).within(tree);
        must(context, &format!("parts of {name}"), &call)?;
        let file = format!("{name}.cdx.json");
        fs::copy(tree.join(folder).join(&file), output.join(&file)).with_context(|| format!("no {file}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ci::report::{Report, Status};
    use crate::kernels::scratch::Scratch;
    use crate::shell::fake::Fake;

    const MANIFEST: &str = "[workspace]\nmembers = [\"a\"]\n[workspace.package]\nversion = \"0.1.0\"\n\
        [workspace.dependencies]\nfhe-core = { path = \"fhe-core\", version = \"0.1.0\" }\nserde = \"1.0\"\n\
        fhe-benches = { path = \"benches\" }\n[profile.release]\ndebug = false\n";

    #[test]
    fn a_version_is_raised_wherever_it_stands() {
        let text = bump(MANIFEST, "0.2.0").unwrap();
        assert!(text.contains("[workspace.package]\nversion = \"0.2.0\""), "{text}");
        assert!(text.contains("fhe-core = { path = \"fhe-core\", version = \"0.2.0\" }"), "{text}");
        assert!(text.contains("serde = \"1.0\"") && text.contains("{ path = \"benches\" }"), "{text}");
        for wrong in ["0.0.9", "1", "1.0", "v1.0.0", "1.0.0-rc1", "01.0.0", ""] {
            assert!(bump(MANIFEST, wrong).is_err(), "{wrong}");
        }
        bump(include_str!("../../Cargo.toml"), "99.0.0").unwrap();
    }

    #[test]
    fn notes_go_on_top_of_older_releases() {
        let old = "# Changelog\n\n## Unreleased\n* by hand\n\n## 0.1.0\n* first\n";
        let new = changelog(old, "## 0.2.0\n* new\n");
        assert_eq!(new, "# Changelog\n\n## Unreleased\n* by hand\n\n## 0.2.0\n* new\n\n## 0.1.0\n* first\n");
        assert_eq!(changelog("# Changelog\n", "## 0.1.0\n* n"), "# Changelog\n\n## 0.1.0\n* n\n");
    }

    #[test]
    fn crates_get_a_workspace_of_their_own() {
        let text = workspace(MANIFEST, "0.2.0").unwrap();
        text.parse::<DocumentMut>().unwrap();
        assert!(text.contains("\"fhe-core-0.2.0\"") && text.contains("[profile.release]\ndebug = false"), "{text}");
        assert!(text.contains("fhe-gpu = { path = \"fhe-gpu-0.2.0\" }") && !text.contains("serde"), "{text}");
    }

    #[test]
    fn a_first_release_skips_the_comparison_and_a_later_one_does_not() {
        let status = |shell: &Fake| {
            let mut context = Context::new(shell);
            semver(&mut context, Path::new("/"), "0.2.0").unwrap();
            Report::new("release", context.finish())
        };
        assert!(status(&Fake::default()).closing().contains("a first release has nothing to be compared with"));
        let tags =
            || ("git tag", crate::shell::Output { success: true, stdout: "v0.1.0\n".into(), ..Default::default() });
        let mut shell = Fake { rules: vec![tags()], ..Fake::default() };
        assert_eq!(status(&shell).counts.skipped, 0);
        assert!(shell.lines()[1].contains("--baseline-rev v0.1.0 --package fhe-kernels"));
        // In the workflow that the tag starts, it is there.
        let own = |tags: &str| Fake {
            rules: vec![("git tag", crate::shell::Output { success: true, stdout: tags.into(), ..Default::default() })],
            ..Fake::default()
        };
        assert_eq!(status(&own("v0.2.0\n")).counts.skipped, 1);
        let later = own("v0.2.0\nv0.1.0\n");
        status(&later);
        assert!(later.lines()[1].contains("--baseline-rev v0.1.0"));
        shell = Fake::fails("semver-checks");
        shell.rules.push(tags());
        assert_eq!(status(&shell).status, Status::Failed);
    }

    #[test]
    fn a_step_that_fails_ends_the_release() {
        let folder = Scratch::new().unwrap();
        let shell = Fake::fails("clone");
        let mut context = Context::new(&shell);
        let options = Options { dry_run: true, version: "0.2.0".to_owned(), quick: true };
        release(&mut context, folder.path(), &options);
        let report = Report::new("release", context.finish());
        assert_eq!(report.status, Status::Failed);
        assert!(report.closing().contains("planted") && shell.lines().len() == 1, "{}", report.closing());
    }
}
