//! Instructions of small pieces of work, counted by callgrind and compared with a committed baseline.
//!
//! Callgrind is called directly. A harness such as gungraun would add a dependency to the benchmarks and a runner of
//! exactly its version to every machine, for what are here three flags and one line of output per count.
//!
//! A count belongs to a compiler: another version compiles other instructions, and proves nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::context::{Context, REQUIRE_TOOLS};
use crate::shell::{Call, Shell};

/// A count may be higher than its baseline by so many percent.
const LIMIT: u64 = 1;

/// The committed counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// What compiled the program, as `rustc --version` says.
    rustc: String,
    /// Instructions by name.
    instructions: BTreeMap<String, u64>,
}

/// The lane.
pub fn icount(context: &mut Context, root: &Path, update: bool) {
    if !context.shell.finds("valgrind") {
        context.skip("valgrind", "valgrind is not installed: it comes with the system's packages", Some(REQUIRE_TOOLS));
        return;
    }
    if !cfg!(target_arch = "x86_64") {
        context.skip("counts", "the baseline is of x86-64", None);
        return;
    }
    if !context.command("build", &Call::cargo("build --release --bin fhe-icount")).is_some_and(|output| output.success)
    {
        return;
    }
    let file = root.join("benches/icount.json");
    let counted = match measure(context.shell, root) {
        Ok(counted) => counted,
        Err(error) => return context.check("counts", || Err(error)),
    };
    if update {
        return context.check("baseline", || Ok(fs::write(&file, serde_json::to_string_pretty(&counted)? + "\n")?));
    }
    judge(context, &file, &counted, &has_instructions);
}

/// Whether this processor has the instruction set that a count's name speaks of.
fn has_instructions(name: &str) -> bool {
    #[cfg(target_arch = "x86_64")]
    let known = [
        ("/cpu-avx2/", is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")),
        ("/cpu-avx512", is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let known: [(&str, bool); 0] = [];
    known.iter().all(|(set, has)| *has || !name.contains(set))
}

fn judge(context: &mut Context, file: &Path, counted: &Counts, has_instructions: &dyn Fn(&str) -> bool) {
    let baseline = fs::read(file).map_err(anyhow::Error::from).and_then(|text| Ok(serde_json::from_slice(&text)?));
    let baseline: Counts = match baseline.with_context(|| format!("cannot read {}", file.display())) {
        Ok(baseline) => baseline,
        Err(error) => return context.check("baseline", || Err(error)),
    };
    if baseline.rustc != counted.rustc {
        let reason = format!("the baseline is of {}, and this is {}", baseline.rustc, counted.rustc);
        return context.skip("counts", &reason, Some(REQUIRE_TOOLS));
    }
    for (name, &before) in &baseline.instructions {
        let now = counted.instructions.get(name).copied();
        match now {
            None if !has_instructions(name) => {
                context.skip(name, "this processor does not have the instructions", None);
            }
            _ => context.check(name, || compare(before, now)),
        }
    }
    for name in counted.instructions.keys().filter(|&name| !baseline.instructions.contains_key(name)) {
        context.check(name, || bail!("there is no baseline: cargo xtask ci icount --update"));
    }
}

fn compare(before: u64, now: Option<u64>) -> Result<()> {
    let now = now.context("it is not counted any more: cargo xtask ci icount --update")?;
    let change = now as f64 / before as f64 - 1.0;
    println!("{now:>14} instructions, {:+.2}%", change * 100.0);
    ensure!(
        now * 100 <= before * (100 + LIMIT),
        "{now} instructions, {:+.2}% more than the {before} of the baseline",
        change * 100.0
    );
    if now * 100 < before * (100 - LIMIT) {
        println!("note: that is less; cargo xtask ci icount --update keeps it so");
    }
    Ok(())
}

fn measure(shell: &dyn Shell, root: &Path) -> Result<Counts> {
    let target = shell.variable("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let program = std::path::absolute(target)?.join("release/fhe-icount");
    let dump = root.join("target/ci/callgrind.out");
    let _ = fs::remove_file(&dump);
    let line = "--tool=callgrind --quiet --instr-atstart=no --combine-dumps=yes";
    let call = Call::new("valgrind", line).arg(format!("--callgrind-out-file={}", dump.display()));
    let call = call.arg(program.display().to_string());
    let output = shell.run(&call)?;
    ensure!(output.success, "{call}: {}", output.tail());
    let version = shell.run(&Call::new("rustc", "--version").quietly())?;
    let text = fs::read_to_string(&dump).with_context(|| format!("cannot read {}", dump.display()))?;
    Ok(Counts { rustc: version.stdout.trim().to_owned(), instructions: parse(&text)? })
}

/// The counts of a file of callgrind's: one part for each request, which is named in its description.
fn parse(text: &str) -> Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    let mut name = None;
    for line in text.lines() {
        if let Some(trigger) = line.strip_prefix("desc: Trigger: ") {
            name = trigger.strip_prefix("Client Request: ");
        } else if let Some(total) = line.strip_prefix("totals: ") {
            // What is dumped at the end of the program has no name, and nothing was counted in it.
            if let Some(name) = name.take() {
                counts.insert(name.to_owned(), total.trim().parse().context("a number of instructions")?);
            }
        }
    }
    ensure!(!counts.is_empty(), "callgrind has counted nothing");
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::super::report::{Report, Status};
    use super::*;
    use crate::kernels::scratch::Scratch;
    use crate::shell::fake::Fake;

    const DUMP: &str = "# callgrind format\npart: 1\ndesc: Trigger: Client Request: plan/compiler\n\
        events: Ir\nsummary: 5\nfn=(1)\n1 5\ntotals: 1000\n\npart: 2\ndesc: Trigger: Client Request: b/cpu-avx2\n\
        events: Ir\ntotals: 2000\npart: 3\ndesc: Trigger: Program termination\nevents: Ir\ntotals: 0\n";

    fn judged(baseline: &Counts, counted: &Counts, variables: &[(&'static str, &'static str)]) -> Report {
        judged_on(true, baseline, counted, variables)
    }

    fn judged_on(
        has_instructions: bool,
        baseline: &Counts,
        counted: &Counts,
        variables: &[(&'static str, &'static str)],
    ) -> Report {
        let folder = Scratch::new().unwrap();
        let file = folder.path().join("icount.json");
        fs::write(&file, serde_json::to_string(baseline).unwrap()).unwrap();
        let shell = Fake { variables: variables.iter().copied().collect(), ..Fake::default() };
        let mut context = Context::new(&shell);
        judge(&mut context, &file, counted, &|name| has_instructions || !name.contains("/cpu-"));
        Report::new("icount", context.finish())
    }

    fn counts(rustc: &str, plan: u64, kernel: Option<u64>) -> Counts {
        let kernel = kernel.map(|kernel| ("b/cpu-avx2".to_owned(), kernel));
        let instructions = [("plan/compiler".to_owned(), plan)].into_iter().chain(kernel).collect();
        Counts { rustc: rustc.to_owned(), instructions }
    }

    #[test]
    fn parts_are_read_by_name() {
        assert_eq!(parse(DUMP).unwrap(), counts("", 1000, Some(2000)).instructions);
        assert!(parse("").is_err());
    }

    #[test]
    fn more_than_one_percent_fails() {
        let baseline = counts("1", 1000, Some(2000));
        assert_eq!(judged(&baseline, &baseline, &[]).status, Status::Passed);
        assert_eq!(judged(&baseline, &counts("1", 1010, Some(2000)), &[]).status, Status::Passed);
        let report = judged(&baseline, &counts("1", 1011, Some(2000)), &[]);
        assert_eq!(report.status, Status::Failed);
        assert!(report.closing().contains("1011 instructions, +1.10% more than the 1000"), "{}", report.closing());
        assert_eq!(judged(&baseline, &counts("1", 500, Some(2000)), &[]).status, Status::Passed);
    }

    #[test]
    fn what_is_new_or_gone_fails_but_not_a_lesser_processor() {
        let (whole, part) = (counts("1", 1000, Some(2000)), counts("1", 1000, None));
        assert_eq!(judged(&part, &whole, &[]).status, Status::Failed);
        assert_eq!(judged(&whole, &part, &[]).status, Status::Failed);
        let report = judged_on(false, &whole, &part, &[]);
        assert_eq!((report.status, report.counts.skipped), (Status::Passed, 1));
        let empty = Counts { rustc: "1".to_owned(), ..Counts::default() };
        assert_eq!(judged(&part, &empty, &[]).status, Status::Failed);
    }

    #[test]
    fn another_compiler_is_a_skip_unless_it_is_required() {
        let (old, new) = (counts("1", 1000, None), counts("2", 9000, None));
        assert_eq!(judged(&old, &new, &[]).status, Status::Skipped);
        assert_eq!(judged(&old, &new, &[(REQUIRE_TOOLS, "1")]).status, Status::Failed);
    }

    #[test]
    fn no_valgrind_is_a_skip() {
        let shell = Fake { missing: vec!["valgrind"], ..Fake::default() };
        let mut context = Context::new(&shell);
        icount(&mut context, Path::new("/nowhere"), false);
        assert_eq!(Report::new("icount", context.finish()).status, Status::Skipped);
        let shell = Fake::fails("valgrind");
        let mut context = Context::new(&shell);
        icount(&mut context, Path::new("/nowhere"), false);
        assert_eq!(Report::new("icount", context.finish()).status, Status::Failed);
    }
}
