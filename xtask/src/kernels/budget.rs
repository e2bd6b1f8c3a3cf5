//! `BUDGET.toml`: what each kernel may cost, and whether it does.
//!
//! One table per module, kernel and architecture, `[module.kernel.sm_90]`. Five entries are maxima that are measured. An
//! entry `dynamic_shared_bytes` states what the host asks for at launch, which no tool can see; it is compared with what
//! the architecture has. All other entries, and comments, are for people.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

use super::figures::Figures;
use super::sources::ARCHITECTURES;

/// Entry for the shared memory that the host asks for.
const DYNAMIC: &str = "dynamic_shared_bytes";

/// What a new file says first.
const HEADING: &str = "\
# What each kernel may cost at most, by module, kernel and architecture; `cargo xtask kernels --check` compares.
# `cargo xtask kernels --update-budget` writes the present figures and keeps comments and other entries.
#
# registers            of a thread
# spill_bytes          that a thread's spills store and load
# loop_fp64            DFMA, DADD and DMUL in the hottest loop
# loop_local           LDL and STL in the hottest loop
# static_shared_bytes  declared in the source
#
# By hand, where it applies: dynamic_shared_bytes, which the host asks for at launch; with the static bytes it must fit
# the architecture.

";

/// An entry that is measured.
struct Limit {
    name: &'static str,
    of: fn(&Figures) -> u32,
}

const LIMITS: [Limit; 5] = [
    Limit { name: "registers", of: |figures| figures.registers },
    Limit { name: "spill_bytes", of: Figures::spill_bytes },
    Limit { name: "loop_fp64", of: Figures::loop_fp64 },
    Limit { name: "loop_local", of: Figures::loop_local },
    Limit { name: "static_shared_bytes", of: |figures| figures.static_shared_bytes },
];

/// Shared memory that a block may have, in bytes, static and dynamic together. Source: CUDA C++ Programming Guide,
/// technical specifications per compute capability.
fn shared_limit(architecture: u32) -> Option<u32> {
    let kibibytes = match architecture {
        75 => 64,
        80 | 87 => 163,
        86 | 89 => 99,
        90 => 227,
        _ => return None,
    };
    Some(kibibytes * 1024)
}

/// The file.
#[derive(Clone, Debug, Default)]
pub struct Budget(DocumentMut);

/// What a comparison finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What must not be.
    pub problems: Vec<String>,
    /// Figures that are lower than the budget: it could follow.
    pub notes: Vec<String>,
}

impl Budget {
    /// Reads a file; one that is not there has no entries.
    ///
    /// # Errors
    /// If it is no TOML.
    pub fn read(file: &Path) -> Result<Self> {
        if !file.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(&text).with_context(|| file.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        Ok(Self(text.parse()?))
    }

    /// Compares every figure of the architectures that PTX is made for, and names every entry without figures.
    #[must_use]
    pub fn compare(&self, figures: &[Figures]) -> Comparison {
        let mut found = Comparison::default();
        let mut entries = entries(&self.0);
        for figures in figures.iter().filter(|figures| ARCHITECTURES.contains(&figures.architecture)) {
            let name = key(figures).join(".");
            match entries.remove(&key(figures)) {
                Some(entry) => compare(&name, entry, figures, &mut found),
                None => found.problems.push(format!("{name}: no entry in BUDGET.toml")),
            }
        }
        let unknown =
            entries.keys().map(|key| format!("{}: in BUDGET.toml, but there is no such kernel", key.join(".")));
        found.problems.extend(unknown);
        found
    }

    /// Makes the present figures the maxima and drops entries without figures. Comments and other entries stay.
    pub fn update(&mut self, figures: &[Figures]) {
        if self.0.is_empty() {
            self.0.decor_mut().set_prefix(HEADING);
        }
        let figures: BTreeMap<_, _> = figures
            .iter()
            .filter(|figures| ARCHITECTURES.contains(&figures.architecture))
            .map(|figures| (key(figures), figures))
            .collect();
        let unknown: Vec<_> = entries(&self.0).into_keys().filter(|key| !figures.contains_key(key)).collect();
        for [module, kernel, architecture] in &unknown {
            remove(self.0.as_table_mut(), &[module, kernel, architecture]);
        }
        for (path, figures) in figures {
            let mut table = self.0.as_table_mut() as &mut dyn TableLike;
            for name in path {
                let item = table.entry(&name).or_insert_with(|| {
                    let mut table = Table::new();
                    // Only the innermost table, which has entries, gets a heading.
                    table.set_implicit(true);
                    Item::Table(table)
                });
                if !item.is_table_like() {
                    *item = Item::Table(Table::new());
                }
                let Some(next) = item.as_table_like_mut() else { unreachable!("it was made a table") };
                table = next;
            }
            for limit in &LIMITS {
                let mut value = Value::from(i64::from((limit.of)(figures)));
                match table.get_mut(limit.name).and_then(Item::as_value_mut) {
                    Some(old) => {
                        *value.decor_mut() = old.decor().clone();
                        *old = value;
                    }
                    None => drop(table.insert(limit.name, Item::Value(value))),
                }
            }
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn key(figures: &Figures) -> [String; 3] {
    [figures.module.clone(), figures.kernel.clone(), format!("sm_{}", figures.architecture)]
}

/// All entries, whatever is in them. What lies at the wrong depth counts as an entry too, under the names it has.
fn entries(document: &DocumentMut) -> BTreeMap<[String; 3], &Item> {
    fn children(item: &Item) -> Vec<(String, &Item)> {
        match item.as_table_like() {
            Some(table) => table.iter().map(|(name, item)| (name.to_owned(), item)).collect(),
            None => vec![(String::new(), item)],
        }
    }
    let mut found = BTreeMap::new();
    for (module, item) in children(document.as_item()) {
        for (kernel, item) in children(item) {
            for (architecture, item) in children(item) {
                found.insert([module.clone(), kernel.clone(), architecture], item);
            }
        }
    }
    found
}

/// Removes an entry and the tables that are empty without it.
fn remove(table: &mut dyn TableLike, path: &[&str]) {
    let Some((name, rest)) = path.split_first() else { return };
    let inner = table.get_mut(name).and_then(Item::as_table_like_mut);
    let emptied = match inner {
        Some(inner) if !rest.is_empty() => {
            remove(inner, rest);
            inner.is_empty()
        }
        _ => true,
    };
    if emptied {
        table.remove(name);
    }
}

fn compare(name: &str, entry: &Item, figures: &Figures, found: &mut Comparison) {
    let number = |key: &str| -> Result<Option<u32>, String> {
        let Some(item) = entry.get(key) else { return Ok(None) };
        let number = item.as_integer().and_then(|number| number.try_into().ok());
        number.map(Some).ok_or_else(|| format!("{name}: {key} in BUDGET.toml is no number of the right size"))
    };
    for limit in &LIMITS {
        let figure = (limit.of)(figures);
        match number(limit.name) {
            Ok(Some(budget)) if figure > budget => {
                found.problems.push(format!("{name}: {} is {figure}, the budget allows {budget}", limit.name));
            }
            Ok(Some(budget)) if figure < budget => {
                found.notes.push(format!("{name}: {} is {figure}, below its budget of {budget}", limit.name));
            }
            Ok(Some(_)) => {}
            Ok(None) => found.problems.push(format!("{name}: no {} in BUDGET.toml", limit.name)),
            Err(problem) => found.problems.push(problem),
        }
    }
    match number(DYNAMIC) {
        Ok(Some(dynamic)) => {
            let (fixed, limit) = (figures.static_shared_bytes, shared_limit(figures.architecture));
            if limit.is_some_and(|limit| u64::from(dynamic) + u64::from(fixed) > u64::from(limit)) {
                found.problems.push(format!(
                    "{name}: {DYNAMIC} {dynamic} and {fixed} static ones are more than the {} of sm_{}",
                    limit.unwrap_or_default(),
                    figures.architecture
                ));
            }
        }
        Ok(None) => {}
        Err(problem) => found.problems.push(problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::sass::{Code, Loop, Mix};

    /// A kernel that costs something of everything.
    fn figures(kernel: &str, architecture: u32) -> Figures {
        let mix = Mix { fp64: 2624, ldl: 3, stl: 4, ..Mix::default() };
        let hottest = Loop { offset: 0, depth: 1, hottest: true, mix };
        Figures {
            module: "rotate".into(),
            kernel: kernel.into(),
            architecture,
            compute: architecture,
            registers: 128,
            stack_bytes: 0,
            spill_store_bytes: 8,
            spill_load_bytes: 12,
            static_shared_bytes: 1024,
            code: Code { mix: Mix::default(), loops: vec![hottest] },
        }
    }

    fn budget(figures: &[Figures]) -> Budget {
        let mut budget = Budget::default();
        budget.update(figures);
        // As the next run sees it.
        Budget::parse(&budget.to_string()).unwrap()
    }

    #[test]
    fn unchanged_figures_pass() {
        let figures = [figures("k", 80), figures("k", 90), figures("l", 90)];
        let budget = budget(&figures);
        assert!(budget.to_string().starts_with(HEADING));
        assert!(budget.to_string().contains("[rotate.k.sm_80]\nregisters = 128\nspill_bytes = 20\nloop_fp64 = 2624\n"));
        assert_eq!(budget.compare(&figures), Comparison::default());
    }

    #[test]
    fn a_regression_of_each_figure_fails_by_name() {
        let good = figures("k", 90);
        let budget = budget(std::slice::from_ref(&good));
        let planted = |plant: fn(&mut Figures)| {
            let mut bad = good.clone();
            plant(&mut bad);
            budget.compare(&[bad]).problems
        };
        let says = |figure: &str| [format!("rotate.k.sm_90: {figure}")];
        assert_eq!(planted(|bad| bad.registers += 1), says("registers is 129, the budget allows 128"));
        assert_eq!(planted(|bad| bad.spill_store_bytes += 4), says("spill_bytes is 24, the budget allows 20"));
        assert_eq!(planted(|bad| bad.spill_load_bytes += 4), says("spill_bytes is 24, the budget allows 20"));
        assert_eq!(planted(|bad| bad.code.loops[0].mix.fp64 += 1), says("loop_fp64 is 2625, the budget allows 2624"));
        assert_eq!(planted(|bad| bad.code.loops[0].mix.ldl += 1), says("loop_local is 8, the budget allows 7"));
        assert_eq!(planted(|bad| bad.code.loops[0].mix.stl += 1), says("loop_local is 8, the budget allows 7"));
        assert_eq!(
            planted(|bad| bad.static_shared_bytes += 1),
            says("static_shared_bytes is 1025, the budget allows 1024")
        );
        assert_eq!(planted(|bad| (bad.registers, bad.static_shared_bytes) = (200, 2000)).len(), 2);
    }

    #[test]
    fn an_improvement_is_a_note() {
        let mut better = figures("k", 90);
        let budget = budget(std::slice::from_ref(&better));
        better.registers = 120;
        let comparison = budget.compare(&[better]);
        assert!(comparison.problems.is_empty());
        assert_eq!(comparison.notes, ["rotate.k.sm_90: registers is 120, below its budget of 128"]);
    }

    #[test]
    fn missing_and_unknown_entries_fail() -> Result<()> {
        let known = figures("k", 90);
        let budget = budget(&[known.clone(), figures("gone", 80)]);
        let problems = budget.compare(&[known.clone(), figures("new", 90)]).problems;
        let expected = [
            "rotate.new.sm_90: no entry in BUDGET.toml",
            "rotate.gone.sm_80: in BUDGET.toml, but there is no such kernel",
        ];
        assert_eq!(problems, expected);
        // An architecture that somebody only looks at needs no entry.
        let looked_at = figures("k", 89);
        assert_eq!(budget.compare(&[known.clone(), looked_at]).problems, expected[1..]);

        let partial = Budget::parse(&budget.to_string().replace("loop_fp64 = 2624\n", ""))?;
        assert!(partial.compare(&[known]).problems.contains(&"rotate.k.sm_90: no loop_fp64 in BUDGET.toml".to_owned()));
        Ok(())
    }

    #[test]
    fn shared_memory_over_the_architecture_fails() -> Result<()> {
        for (architecture, kibibytes) in [(75, 64), (80, 163), (90, 227)] {
            let figures = figures("k", architecture);
            let with = |dynamic: u32| {
                Budget::parse(&format!("{}dynamic_shared_bytes = {dynamic}\n", budget(std::slice::from_ref(&figures))))
            };
            let fits = kibibytes * 1024 - figures.static_shared_bytes;
            assert_eq!(with(fits)?.compare(std::slice::from_ref(&figures)), Comparison::default());
            let problems = with(fits + 1)?.compare(std::slice::from_ref(&figures)).problems;
            assert_eq!(problems.len(), 1);
            assert!(problems[0].contains("dynamic_shared_bytes"), "{problems:?}");
        }
        Ok(())
    }

    #[test]
    fn nonsense_is_named() -> Result<()> {
        let known = figures("k", 90);
        let text = budget(std::slice::from_ref(&known)).to_string();
        for (from, to) in [("registers = 128", "registers = \"many\""), ("registers = 128", "registers = -1")] {
            let problems = Budget::parse(&text.replace(from, to))?.compare(std::slice::from_ref(&known)).problems;
            assert_eq!(problems, ["rotate.k.sm_90: registers in BUDGET.toml is no number of the right size"]);
        }
        let stray = Budget::parse(&format!("stray = 1\n{text}"))?.compare(std::slice::from_ref(&known)).problems;
        assert_eq!(stray, ["stray..: in BUDGET.toml, but there is no such kernel"]);
        assert!(Budget::parse("registers =").is_err());
        Ok(())
    }

    #[test]
    fn an_update_keeps_what_people_wrote() -> Result<()> {
        let text = "# ours\n[rotate.k.sm_90]\nregisters = 1 # the file's size\n# two exchanges\nshared_bytes_per_step = 320\n\
                    \n[rotate.gone.sm_90]\nregisters = 1\n";
        let mut budget = Budget::parse(text)?;
        budget.update(&[figures("k", 90)]);
        let updated = budget.to_string();
        assert!(updated.starts_with("# ours\n[rotate.k.sm_90]\nregisters = 128 # the file's size\n# two exchanges\n"));
        assert!(updated.contains("shared_bytes_per_step = 320\n") && updated.contains("loop_local = 7\n"), "{updated}");
        assert!(!updated.contains("gone"));
        assert_eq!(Budget::parse(&updated)?.compare(&[figures("k", 90)]), Comparison::default());
        Ok(())
    }
}
