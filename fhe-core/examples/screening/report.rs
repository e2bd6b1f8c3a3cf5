//! What happened, for people and as JSON.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use fhe_core::Program;
use fhe_core::program::Form;
use serde::Serialize;

use crate::client::Request;
use crate::server::Response;

/// One screened record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Patient {
    /// Line of the file.
    pub line: u64,
    /// The diagnosis in the file.
    pub benign: bool,
    /// Votes for benign of the clear model.
    pub clear_votes: usize,
    /// Verdict of the clear model.
    pub clear_benign: bool,
    /// Decrypted votes for benign.
    pub votes: u8,
    /// Decrypted verdict.
    pub decrypted_benign: bool,
}

impl Patient {
    /// Whether the decrypted answer is the one of the clear model, in votes and verdict.
    pub fn agrees(&self) -> bool {
        usize::from(self.votes) == self.clear_votes && self.decrypted_benign == self.clear_benign
    }
}

/// The result of a screening.
#[derive(Debug, Serialize)]
pub struct Report {
    backend: &'static str,
    device: String,
    rows: usize,
    /// Rows in which the decrypted answer is the one of the clear model.
    agreement: usize,
    /// Rows in which the decrypted verdict is the diagnosis.
    right: usize,
    trees: usize,
    bootstraps: u64,
    keyswitches: u64,
    levels: usize,
    /// Keys and encryption.
    client_seconds: f64,
    /// The evaluation, without loading the key.
    seconds: f64,
    bootstraps_per_second: f64,
    patients: Vec<Patient>,
}

impl Report {
    /// Counts up what came back.
    pub fn new(patients: Vec<Patient>, trees: usize, client_seconds: f64, response: &Response) -> Self {
        let run = &response.report;
        Self {
            backend: response.backend,
            device: response.device.clone(),
            rows: patients.len(),
            agreement: patients.iter().filter(|patient| patient.agrees()).count(),
            right: patients.iter().filter(|patient| patient.decrypted_benign == patient.benign).count(),
            trees,
            bootstraps: run.bootstraps,
            keyswitches: run.keyswitches,
            levels: run.levels,
            client_seconds,
            seconds: run.elapsed.as_secs_f64(),
            bootstraps_per_second: run.bootstraps_per_second(),
            patients,
        }
    }

    /// Whether every row agrees with the clear model.
    pub fn agrees(&self) -> bool {
        self.agreement == self.rows
    }

    /// The table and the figures.
    pub fn print(&self, classes: &[String; 2], response: &Response, out: &mut impl Write) -> Result<()> {
        self.print_table(classes, out)?;
        let megabytes = |bytes: usize| bytes as f64 / 1e6;
        writeln!(
            out,
            "\nThe client decrypted {:.2} MB of results: {} of {} right ({:.1} %), {} of {} as in the clear model.",
            megabytes(response.outputs.len()),
            self.right,
            self.rows,
            percent(self.right, self.rows),
            self.agreement,
            self.rows
        )?;
        let run = &response.report;
        writeln!(out, "Server: {} bootstraps in {:.1} s on {}", self.bootstraps, self.seconds, self.device)?;
        writeln!(
            out,
            "  bootstrap {:.1} s, keyswitch {:.1} s, linear {:.1} s, copies {:.1} s; before that, loading {:.1} s",
            run.bootstrap.as_secs_f64(),
            run.keyswitch.as_secs_f64(),
            run.linear.as_secs_f64(),
            run.transfer.as_secs_f64(),
            response.loading.as_secs_f64()
        )?;
        writeln!(
            out,
            "  {:.0} bootstraps/s, {:.2} s per record, {} records at a time, {:.0} MB of buffers",
            self.bootstraps_per_second,
            self.seconds / self.rows as f64,
            run.rows_per_chunk,
            megabytes(run.buffer_bytes)
        )?;
        Ok(())
    }

    fn print_table(&self, classes: &[String; 2], out: &mut impl Write) -> Result<()> {
        let name = |benign: bool| classes[usize::from(benign)].as_str();
        // "decrypted" is the longest of the headings.
        let width = classes.iter().map(|class| class.chars().count()).max().unwrap_or(0).max("clear model".len());
        let benign = name(true);
        writeln!(
            out,
            "\n{:>6}  {:width$}  {:width$}  {:width$}  votes for {benign}",
            "line", "diagnosis", "clear model", "decrypted"
        )?;
        for patient in &self.patients {
            let note = match (patient.agrees(), patient.decrypted_benign == patient.benign) {
                (false, _) => {
                    format!("  DISAGREES: the clear model has {}/{}", patient.clear_votes, self.trees)
                }
                (true, false) => "  the forest errs".to_owned(),
                (true, true) => String::new(),
            };
            writeln!(
                out,
                "{:>6}  {:width$}  {:width$}  {:width$}  {} {:>2}/{}{note}",
                patient.line,
                name(patient.benign),
                name(patient.clear_benign),
                name(patient.decrypted_benign),
                bar(patient.votes.into(), self.trees),
                patient.votes,
                self.trees
            )?;
        }
        Ok(())
    }

    /// The line for scripts: what was done and whether it came out right.
    pub fn last_line(&self, out: &mut impl Write) -> Result<()> {
        let Self { rows, agreement, bootstraps, seconds, backend, .. } = self;
        let word = if self.agrees() { "OK" } else { "FAILED" };
        writeln!(
            out,
            "{word} rows={rows} agreement={agreement}/{rows} bootstraps={bootstraps} seconds={seconds:.1} \
             backend={backend}"
        )?;
        Ok(())
    }

    /// Writes everything to a file.
    pub fn write_json(&self, path: &Path) -> Result<()> {
        let mut file = File::create(path)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        writeln!(file)?;
        Ok(())
    }
}

/// `part` of `all`, in percent.
pub fn percent(part: usize, all: usize) -> f64 {
    100.0 * part as f64 / all.max(1) as f64
}

/// One high mark for each vote; scaled down where there are many trees.
fn bar(votes: usize, trees: usize) -> String {
    let width = trees.min(15);
    let high = (votes.min(trees) * width + trees / 2) / trees;
    "▇".repeat(high) + &"▁".repeat(width - high)
}

/// The size of the program.
pub fn describe_program(program: &Program, out: &mut impl Write) -> Result<()> {
    let size = program.statistics(Form::Throughput)?;
    writeln!(out, "\nProgram, traced from the model once and run over all records together")?;
    writeln!(
        out,
        "  {} inputs, {} operations: {} bootstraps and {} keyswitches per record, in {} levels",
        program.graph().inputs().len(),
        program.graph().nodes().len(),
        size.bootstraps,
        size.keyswitches,
        size.levels
    )?;
    Ok(())
}

/// What the client sends to the server.
pub fn describe_request(
    request: &Request,
    program: &[u8],
    columns: usize,
    rows: usize,
    seconds: f64,
    out: &mut impl Write,
) -> Result<()> {
    let megabytes = |bytes: usize| bytes as f64 / 1e6;
    writeln!(
        out,
        "\nClient, {seconds:.1} s: draws its keys, encrypts {rows} records of {columns} bytes each, and sends"
    )?;
    writeln!(
        out,
        "  {:8.2} MB evaluation key, which computes but does not decrypt",
        megabytes(request.evaluation_key.len())
    )?;
    writeln!(out, "  {:8.2} MB of ciphertexts", megabytes(request.batch.len()))?;
    writeln!(
        out,
        "The server has these and {:.2} kB of program. The secret key stays with the client.",
        program.len() as f64 / 1e3
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_show_one_mark_for_each_tree_up_to_15() {
        assert_eq!(bar(7, 11), "▇▇▇▇▇▇▇▁▁▁▁");
        assert_eq!(bar(0, 3), "▁▁▁");
        assert_eq!(bar(255, 255), "▇".repeat(15));
        assert_eq!(bar(12, 11), "▇".repeat(11));
    }

    #[test]
    fn a_single_wrong_vote_is_a_disagreement() {
        let right =
            Patient { line: 2, benign: true, clear_votes: 6, clear_benign: true, votes: 6, decrypted_benign: true };
        assert!(right.agrees());
        assert!(!Patient { votes: 7, ..right.clone() }.agrees());
        assert!(!Patient { decrypted_benign: false, ..right }.agrees());
    }
}
