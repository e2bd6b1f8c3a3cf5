//! What every operation costs: bootstraps, levels, and the sums in front of the bootstraps.

use std::fmt::Write;

use fhe_core::circuit::Plan;
use fhe_core::lookup::{LinearForms, Term};
use fhe_core::{Form, Result, Type};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::catalogue::{OPERATIONS, Operation, WIDTHS};

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Name in the catalogue.
    pub op: String,
    /// Width of the operands.
    pub bits: u32,
    /// Whether they are signed.
    pub signed: bool,
    /// `throughput` or `latency`.
    pub form: String,
    /// Bootstraps.
    pub bootstraps: usize,
    /// Bootstraps one after the other.
    pub levels: usize,
    /// Tables evaluated.
    pub lookups: usize,
    /// Keyswitches.
    pub keyswitches: usize,
    /// Largest squared l2 norm in front of a bootstrap, in variances of one bootstrap output; at most 25.
    pub norm2_in: u32,
    /// Largest squared l2 norm of a block of the results, which are left as computed.
    pub norm2_out: u32,
    /// Largest degree of a block of the results.
    pub degree_out: u8,
}

const FORMS: [(Form, &str); 2] = [(Form::Throughput, "throughput"), (Form::Latency, "latency")];

/// All rows, in the order of the catalogue; operations that do not take a type have none for it.
///
/// # Errors
/// An operation that takes a type and cannot be lowered for it.
pub fn measure() -> Result<Vec<Count>> {
    let types = WIDTHS.into_iter().flat_map(|bits| [Type::Uint(bits), Type::Int(bits)]);
    let pairs: Vec<(&Operation, Type)> =
        OPERATIONS.iter().flat_map(|operation| types.clone().map(move |ty| (operation, ty))).collect();
    let rows: Vec<Result<Vec<Count>>> = pairs.into_par_iter().map(|(operation, ty)| count(operation, ty)).collect();
    Ok(rows.into_iter().collect::<Result<Vec<_>>>()?.concat())
}

fn count(operation: &Operation, ty: Type) -> Result<Vec<Count>> {
    if operation.graph(ty).is_err() {
        return Ok(Vec::new());
    }
    let program = operation.program(ty)?;
    FORMS.iter().map(|&(form, name)| Ok(row(operation.name, ty, name, &*program.plan(form)?))).collect()
}

fn row(op: &str, ty: Type, form: &str, plan: &Plan) -> Count {
    let counts = plan.statistics();
    Count {
        op: op.to_owned(),
        bits: ty.bits(),
        signed: ty.is_signed(),
        form: form.to_owned(),
        bootstraps: counts.bootstraps,
        levels: counts.levels,
        lookups: counts.lookups,
        keyswitches: counts.keyswitches,
        norm2_in: plan.levels.iter().map(|level| largest_norm2(&level.forms)).max().unwrap_or(0),
        norm2_out: plan.output_blocks.iter().map(|block| block.norm2).max().unwrap_or(0),
        degree_out: plan.output_blocks.iter().map(|block| block.degree).max().unwrap_or(0),
    }
}

fn largest_norm2(forms: &LinearForms) -> u32 {
    let norm2 = |terms: &[Term]| terms.iter().map(|term| term.coefficient.unsigned_abs().pow(2)).sum();
    (0..forms.len()).filter_map(|form| forms.get(form)).map(|(terms, _)| norm2(terms)).max().unwrap_or(0)
}

/// The rows as JSON, one row per line.
#[must_use]
pub fn json(counts: &[Count]) -> String {
    let lines: Vec<String> = counts.iter().map(|row| serde_json::to_string(row).unwrap_or_default()).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

/// The table of the crate documentation: 8 and 64 bits, unsigned, or signed where there is no other.
#[must_use]
pub fn markdown(counts: &[Count]) -> String {
    let mut text = String::new();
    let mut family = "";
    for operation in OPERATIONS.iter() {
        if operation.family != family {
            family = operation.family;
            let _ = write!(
                text,
                "\n### {}{}\n\n\
                 | operation | 8 bits | 64 bits | 8 bits, latency | 64 bits, latency | norm in | norm out | degree out |\n\
                 |---|---|---|---|---|---|---|---|\n",
                family[..1].to_uppercase(),
                &family[1..]
            );
        }
        let rows: Vec<&Count> = counts.iter().filter(|row| row.op == operation.name).collect();
        let Some(signed) = rows.iter().map(|row| row.signed).min() else { continue };
        let of = |bits: u32, form: &str| {
            rows.iter().find(|row| row.bits == bits && row.form == form && row.signed == signed)
        };
        let cost =
            |bits, form| of(bits, form).map_or("-".to_owned(), |row| format!("{} / {}", row.bootstraps, row.levels));
        let widest = of(64, "throughput").or(of(8, "throughput"));
        let (norm2_in, norm2_out, degree) =
            widest.map_or((0, 0, 0), |row| (row.norm2_in, row.norm2_out, row.degree_out));
        let norm = |norm2: u32| format!("{:.1}", f64::from(norm2).sqrt());
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} | {} | {degree} |",
            operation.name,
            cost(8, "throughput"),
            cost(64, "throughput"),
            cost(8, "latency"),
            cost(64, "latency"),
            norm(norm2_in),
            norm(norm2_out),
        );
    }
    text
}
