//! What every operation costs, against the committed table: an operation that takes more, or less, has to say so there.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use fhe_tests::counts::{self, Count};

static FOUND: LazyLock<Vec<Count>> = LazyLock::new(|| counts::measure().unwrap());

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

const UPDATE: &str =
    "if that is meant: cargo xtask counts --json benches/counts.json --markdown fhe-core/docs/operations.md";

#[test]
fn no_operation_costs_more_or_less_than_the_table_says() {
    let found = &*FOUND;
    let committed = std::fs::read_to_string(repository("benches/counts.json")).unwrap();
    let committed: Vec<Count> = serde_json::from_str(&committed).unwrap();
    let key = |row: &Count| (row.op.clone(), row.bits, row.signed, row.form.clone());
    let changed: Vec<String> = found
        .iter()
        .filter(|row| !committed.contains(row))
        .map(|row| match committed.iter().find(|known| key(known) == key(row)) {
            Some(known) => format!(
                "{} {} {} {}: {} bootstraps in {} levels, before {} in {}",
                row.op, row.bits, row.signed, row.form, row.bootstraps, row.levels, known.bootstraps, known.levels
            ),
            None => format!("{} {} {} {}: not in the table", row.op, row.bits, row.signed, row.form),
        })
        .collect();
    assert!(changed.is_empty() && found.len() == committed.len(), "{}\n{UPDATE}", changed.join("\n"));
    let documented = std::fs::read_to_string(repository("fhe-core/docs/operations.md")).unwrap();
    assert!(documented == counts::markdown(found), "the table of the crate documentation is stale; {UPDATE}");
}

/// Bootstraps of the throughput form at 64 bits, of which more would be a broken promise. The first number is that of
/// the `tfhe` crate 1.8.2 (`pbs-stats`, default `2_2` parameters, clean inputs).
const TARGETS: &[(&str, usize, usize)] = &[
    ("add", 64, 32),
    ("sub", 64, 32),
    ("add_scalar", 63, 32),
    ("and", 32, 32),
    ("or", 32, 32),
    ("xor", 32, 32),
    ("eq", 42, 36),
    ("gt", 47, 32),
    ("ge", 47, 32),
    ("lt", 47, 32),
    ("le", 47, 32),
    ("gt_scalar", 23, 18),
    ("min", 143, 64),
    ("max", 143, 64),
    ("select", 96, 32),
    ("shl", 265, 200),
    ("shr", 265, 200),
    ("rotl", 258, 195),
    ("rotr", 258, 195),
    ("mul", 1737, 1200),
    ("mul_scalar_17", 64, 32),
    ("leading_zeros", 70, 60),
    ("div_rem", 8500, 4250),
    ("sum_of_8", 188, 160),
    ("transfer", 367, 128),
];

/// Levels of the latency form of unsigned and of signed values: those of the `tfhe` crate's parallel algorithms with
/// enough threads. For the division they are read from its source (1.8.2, `radix_parallel/div_mod.rs` and what it calls),
/// where every `join` waits for its slower half.
const LEVELS: &[(&str, u32, usize, usize)] = &[
    ("add", 64, 5, 5),
    ("mul", 64, 11, 11),
    ("gt", 64, 5, 5),
    ("div_rem", 8, 24, 34),
    ("div_rem", 16, 50, 60),
    ("div_rem", 32, 106, 117),
    ("div_rem", 64, 234, 247),
];

/// Bootstraps of narrower operations whose targets are stated for their width.
const NARROW: &[(&str, u32, usize)] = &[
    ("div_rem", 8, 82),
    ("div_rem", 16, 259),
    ("div_rem", 32, 1125),
    ("div_scalar_17", 8, 14),
    ("div_scalar_17", 16, 50),
];

#[test]
fn targets_are_met() {
    let of = |op: &str, bits: u32, signed: bool, form: &str| {
        let row = FOUND.iter().find(|row| (&*row.op, row.bits, row.signed, &*row.form) == (op, bits, signed, form));
        row.unwrap_or_else(|| panic!("{op} is not counted"))
    };
    let row = |op: &str, bits: u32, form: &str| of(op, bits, false, form);
    let mut missed = Vec::new();
    for &(op, peer, target) in TARGETS {
        let bootstraps = row(op, 64, "throughput").bootstraps;
        if bootstraps > target {
            missed.push(format!("{op}: {bootstraps}, target {target}, peer {peer}"));
        }
    }
    for &(op, bits, target) in NARROW {
        let bootstraps = row(op, bits, "throughput").bootstraps;
        if bootstraps > target {
            missed.push(format!("{op} {bits}: {bootstraps}, target {target}"));
        }
    }
    for &(op, bits, unsigned, signed) in LEVELS {
        for (signed, target) in [(false, unsigned), (true, signed)] {
            let levels = of(op, bits, signed, "latency").levels;
            if levels > target {
                missed.push(format!("{op} {bits}, signed {signed}: {levels} levels, target {target}"));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
