//! Tables at the end of a run.

use serde_json::Value;

use crate::evidence::Evidence;

/// Prints them.
pub fn print(evidence: &Evidence) {
    let stage = |stage: &str| {
        let points = evidence.records("curve").iter().filter(|point| point["stage"] == *stage);
        points.filter_map(cell).collect::<Vec<_>>()
    };
    println!();
    grid("blind rotations per second, kernel by batch", &stage("blind_rotation"));
    grid("bootstraps with keyswitch per second", &stage("both"));
    let counts = |field: &str| -> u64 {
        evidence.records("conformance").iter().filter_map(|counts| counts[field].as_u64()).sum()
    };
    if !evidence.records("conformance").is_empty() {
        println!(
            "conformance: {} passed, {} failed, {} skipped",
            counts("passed"),
            counts("failed"),
            counts("skipped")
        );
    }
    for (part, reason) in evidence.failures() {
        println!("FAILED {part}: {reason}");
    }
    println!(
        "{}",
        match (evidence.is_good(), evidence.is_complete()) {
            (true, true) => "all is well",
            (true, false) => "all is well, as far as it was run: something was left out",
            (false, _) => "something is wrong: see above",
        }
    );
    if evidence.is_emulated() {
        println!("EMULATED DEVICE: times say nothing about a card.");
    }
}

/// Row, column and value.
type Cell = (String, u64, f64);

fn cell(point: &Value) -> Option<Cell> {
    Some((point["kernel"].as_str()?.to_owned(), point["batch"].as_u64()?, point["median_per_s"].as_f64()?))
}

fn grid(title: &str, cells: &[Cell]) {
    if cells.is_empty() {
        return;
    }
    let mut columns: Vec<u64> = cells.iter().map(|cell| cell.1).collect();
    columns.sort_unstable();
    columns.dedup();
    let mut rows: Vec<&str> = Vec::new();
    for cell in cells {
        if !rows.contains(&cell.0.as_str()) {
            rows.push(&cell.0);
        }
    }
    println!("{title}");
    print!("  {:<14}", "");
    for column in &columns {
        print!(" {column:>8}");
    }
    println!();
    for row in rows {
        print!("  {row:<14}");
        for column in &columns {
            match cells.iter().find(|cell| cell.0 == row && cell.1 == *column) {
                Some(cell) => print!(" {:>8.0}", cell.2),
                None => print!(" {:>8}", "-"),
            }
        }
        println!();
    }
    println!();
}
