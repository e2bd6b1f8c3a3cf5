//! One run on one backend: buffers for a chunk of rows, chunk after chunk through the levels of a plan.

use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use super::options::{Progress, RunReport};
use super::{Engine, Loaded};
use crate::backend::{Backend, Properties};
use crate::ciphertext::{Batch, BlockInfo, Column};
use crate::circuit::Plan;
use crate::error::{Error, Result};
use crate::params::Scheme;
use crate::program::graph::Port;
use crate::program::{Form, Program};

/// What is to be run: a program over some rows of its input columns.
#[derive(Clone)]
pub(super) struct Job<'a> {
    pub(super) program: &'a Program,
    /// The columns of the program's inputs, in order.
    pub(super) inputs: &'a [&'a Column],
    pub(super) rows: Range<usize>,
    pub(super) form: Form,
    /// Bytes of ciphertext buffers; the backend's own limit if absent.
    pub(super) memory: Option<usize>,
    pub(super) profile: bool,
}

/// Is told how far the run has come; `None` where nobody asked.
pub(super) type Watch<'a> = Option<&'a mut dyn FnMut(Progress) -> ControlFlow<()>>;

/// The columns of the program's inputs, in order, after checking that they fit a key of that scheme.
pub(super) fn inputs<'b>(scheme: Scheme, program: &Program, batch: &'b Batch) -> Result<Vec<&'b Column>> {
    let graph = program.graph();
    let names = || graph.inputs().iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(name) = batch.names().find(|name| graph.inputs().iter().all(|port| port.name != *name)) {
        return Err(Error::UnknownInput { name: name.to_owned(), inputs: names() });
    }
    let column = |port: &Port| {
        let (name, ty) = (&port.name, graph.ty(port.node));
        let missing = |_| Error::MissingInput { name: name.clone(), ty };
        let column = batch.column(name).map_err(missing)?;
        if column.ty() != ty {
            return Err(Error::TypeMismatch { name: name.clone(), found: column.ty(), expected: ty });
        }
        scheme.expect("the evaluation key", column.scheme(), || format!("input `{name}`"))?;
        column.expect_clean(name)?;
        Ok(column)
    };
    graph.inputs().iter().map(column).collect()
}

/// Words of each output in one row.
fn output_words(scheme: Scheme, program: &Program) -> impl Iterator<Item = usize> {
    let graph = program.graph();
    graph.outputs().iter().map(move |port| graph.ty(port.node).blocks() * scheme.ciphertext_words())
}

/// Room for the outputs of `rows` rows, `[output][row][block][word]`.
pub(super) fn room(scheme: Scheme, program: &Program, rows: usize) -> Vec<Vec<u64>> {
    output_words(scheme, program).map(|words| vec![0; words * rows]).collect()
}

/// Cuts the room for outputs into parts of so many rows.
pub(super) fn cut<'a>(
    scheme: Scheme,
    program: &Program,
    room: &'a mut [Vec<u64>],
    rows: &[usize],
) -> Vec<Vec<&'a mut [u64]>> {
    let mut parts: Vec<Vec<&mut [u64]>> = rows.iter().map(|_| Vec::new()).collect();
    for (words, output) in output_words(scheme, program).zip(room) {
        let mut rest = output.as_mut_slice();
        for (part, rows) in parts.iter_mut().zip(rows) {
            let (first, others) = rest.split_at_mut(words * rows);
            part.push(first);
            rest = others;
        }
    }
    parts
}

/// The output columns of a run.
pub(super) fn outputs(scheme: Scheme, program: &Program, plan: &Plan, words: Vec<Vec<u64>>) -> Result<Batch> {
    let graph = program.graph();
    let mut blocks = plan.output_blocks.iter();
    let mut outputs = Batch::new();
    for (port, words) in graph.outputs().iter().zip(words) {
        let ty = graph.ty(port.node);
        let infos = blocks.by_ref().take(ty.blocks());
        let infos = infos.map(|block| BlockInfo { degree: block.degree, noise_norm2: block.norm2 }).collect();
        outputs.insert(&port.name, Column::from_words(ty, scheme, words, infos)?)?;
    }
    Ok(outputs)
}

/// The form that takes less time for that many rows: rounds, and what levels cost beside them. The one with fewer
/// bootstraps if they are equal.
pub(super) fn choose_form(program: &Program, rows: usize, properties: &Properties) -> Result<Form> {
    let time = |form| {
        let plan = program.plan(form)?;
        let rounds = plan.rounds(rows, properties.parallelism);
        Ok::<_, Error>(rounds.saturating_mul(100).saturating_add(plan.levels.len() * properties.level_overhead))
    };
    Ok(if time(Form::Latency)? < time(Form::Throughput)? { Form::Latency } else { Form::Throughput })
}

/// As many rows as keep the machine busy at the program's mean width, and as the memory limit allows.
fn rows_per_chunk(
    plan: &Plan,
    rows: usize,
    scheme: Scheme,
    memory: Option<usize>,
    properties: &Properties,
) -> Result<usize> {
    let (limit, needed) = (memory.unwrap_or(properties.memory), plan.bytes_per_row(scheme));
    if needed > limit {
        return Err(Error::MemoryLimit { needed, limit });
    }
    let counts = plan.statistics();
    let mean_width = counts.bootstraps.div_ceil(counts.levels.max(1)).max(1);
    let busy = properties.batch.div_ceil(mean_width);
    Ok(busy.min(limit / needed.max(1)).clamp(1, rows.max(1)))
}

/// The state of one run: buffers for one chunk of rows, and the outputs of the rows that are done.
pub(super) struct Run<'a, B: Backend> {
    engine: &'a Engine<B>,
    loaded: &'a Loaded<B>,
    job: &'a Job<'a>,
    slots: B::Ciphertexts,
    forms: B::Ciphertexts,
    switched: B::Switched,
    staging: Vec<u64>,
    /// Per output: words of all rows of the job, `[row][block][word]`.
    outputs: Vec<&'a mut [u64]>,
    output_blocks: Vec<usize>,
    rows_per_chunk: usize,
    total: u64,
    report: RunReport,
}

impl<'a, B: Backend> Run<'a, B> {
    /// Takes the buffers of a run; `outputs` has room for the rows of the job.
    pub(super) fn new(
        engine: &'a Engine<B>,
        loaded: &'a Loaded<B>,
        job: &'a Job<'a>,
        outputs: Vec<&'a mut [u64]>,
    ) -> Result<Self> {
        let (plan, backend, rows) = (&loaded.plan, &*engine.backend, job.rows.len());
        let rows_per_chunk = rows_per_chunk(plan, rows, engine.scheme, job.memory, &backend.properties())?;
        let counts = plan.statistics();
        let widest = plan.levels.iter().map(|level| level.forms.len()).max().unwrap_or(0);
        let words = engine.scheme.ciphertext_words();
        let chunk = rows_per_chunk.min(rows);
        let graph = job.program.graph();
        let mut report = RunReport::new(job.form, rows);
        report.rows_per_chunk = rows_per_chunk;
        report.buffer_bytes = plan.bytes_per_row(engine.scheme) * chunk;
        report.levels = counts.levels;
        Ok(Self {
            slots: backend.allocate(&engine.key, plan.slots * chunk)?,
            forms: backend.allocate(&engine.key, widest.max(plan.outputs.len()) * chunk)?,
            switched: backend.allocate_switched(&engine.key, widest * chunk)?,
            staging: vec![0; words * chunk],
            outputs,
            output_blocks: graph.outputs().iter().map(|port| graph.ty(port.node).blocks()).collect(),
            engine,
            loaded,
            job,
            rows_per_chunk,
            total: (counts.bootstraps * rows) as u64,
            report,
        })
    }

    /// Runs all rows.
    pub(super) fn finish(mut self, mut watch: Watch<'_>) -> Result<RunReport> {
        let mut first = 0;
        while first < self.job.rows.len() {
            first += self.chunk(first, &mut watch)?;
        }
        Ok(self.report)
    }

    /// Runs one chunk of rows from row `first` of the job on; returns how many.
    fn chunk(&mut self, first: usize, watch: &mut Watch<'_>) -> Result<usize> {
        let rows = self.rows_per_chunk.min(self.job.rows.len() - first);
        let (engine, loaded) = (self.engine, self.loaded);
        let backend = &*engine.backend;
        let started = Instant::now();
        self.upload(first, rows)?;
        self.report.transfer += self.settle(started)?;
        for (level, (forms, lookups)) in loaded.plan.levels.iter().zip(&loaded.levels) {
            let started = Instant::now();
            backend.linear(forms, rows, &self.slots, &mut self.forms)?;
            self.report.linear += self.settle(started)?;

            let started = Instant::now();
            backend.keyswitch(&engine.key, level.forms.len() * rows, &self.forms, &mut self.switched)?;
            self.report.keyswitch += self.settle(started)?;

            let started = Instant::now();
            backend.bootstrap(&engine.key, &loaded.tables, lookups, rows, &self.switched, &mut self.slots)?;
            self.report.bootstrap += self.settle(started)?;

            self.report.keyswitches += (level.forms.len() * rows) as u64;
            self.report.bootstraps += (level.lookups.len() * rows) as u64;
            self.observe(first, watch)?;
        }
        let started = Instant::now();
        backend.linear(&loaded.outputs, rows, &self.slots, &mut self.forms)?;
        self.download(first, rows)?;
        self.report.transfer += self.settle(started)?;
        self.observe(first + rows, watch)?;
        Ok(rows)
    }

    fn settle(&self, started: Instant) -> Result<Duration> {
        if self.job.profile {
            self.engine.backend.synchronize()?;
        }
        Ok(started.elapsed())
    }

    fn observe(&self, rows: usize, watch: &mut Watch<'_>) -> Result<()> {
        let (bootstraps, total) = (self.report.bootstraps, self.total);
        let Some(watch) = watch else { return Ok(()) };
        // What is reported as done is done, and what is cancelled stops: a device may have queued it only.
        self.engine.backend.synchronize()?;
        match watch(Progress { bootstraps, total, rows }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Cancelled { bootstraps, total }),
        }
    }

    /// Columns are stored row by row, slots block by block: gathers each block of the chunk's rows.
    fn upload(&mut self, first: usize, rows: usize) -> Result<()> {
        let words = self.engine.scheme.ciphertext_words();
        let first = self.job.rows.start + first;
        for (column, slots) in self.job.inputs.iter().zip(&self.loaded.plan.inputs) {
            for (block, slot) in slots.iter().enumerate() {
                let Some(slot) = slot else { continue };
                for (row, staged) in self.staging.chunks_exact_mut(words).take(rows).enumerate() {
                    staged.copy_from_slice(column.block(first + row, block));
                }
                let staged = &self.staging[..rows * words];
                self.engine.backend.upload(staged, &mut self.slots, *slot as usize * rows)?;
            }
        }
        Ok(())
    }

    fn download(&mut self, first: usize, rows: usize) -> Result<()> {
        let words = self.engine.scheme.ciphertext_words();
        let mut form = 0;
        for (output, &blocks) in self.outputs.iter_mut().zip(&self.output_blocks) {
            for block in 0..blocks {
                let staged = &mut self.staging[..rows * words];
                self.engine.backend.download(&self.forms, form * rows..(form + 1) * rows, staged)?;
                for (row, staged) in staged.chunks_exact(words).enumerate() {
                    let at = ((first + row) * blocks + block) * words;
                    output[at..at + words].copy_from_slice(staged);
                }
                form += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SimulationBackend;

    #[test]
    fn the_form_follows_rows_cores_and_the_overhead_of_levels() {
        let add = Program::trace(|t| {
            let (a, b) = (t.input::<u64>("a"), t.input::<u64>("b"));
            t.output("c", &(&a + &b));
        })
        .unwrap();
        let choice = |rows, parallelism, level_overhead| {
            let properties = Properties { parallelism, level_overhead, ..SimulationBackend::new().properties() };
            choose_form(&add, rows, &properties).unwrap()
        };
        // 32 bootstraps in as many levels, or 114 in 4.
        assert_eq!(choice(1, 2, 25), Form::Throughput);
        assert_eq!(choice(1, 2, 150), Form::Latency);
        assert_eq!(choice(1, 16, 0), Form::Latency);
        assert_eq!(choice(64, 16, 25), Form::Throughput);
    }

    /// Time that this thread was running, where the system tells.
    fn running() -> Option<Duration> {
        let times = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        times.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    }

    /// The limit is 100 ms (measured: `benches/README.md`); a slow machine gets three times that.
    #[test]
    fn ten_thousand_bootstraps_are_planned_in_a_tenth_of_a_second() {
        let time = || {
            let (started, busy) = (Instant::now(), running());
            let program = Program::trace(|t| {
                for index in 0..10 {
                    let (a, b) = (t.input::<u64>(&format!("a{index}")), t.input::<u64>(&format!("b{index}")));
                    t.output(&format!("c{index}"), &(&a * &b));
                }
            })
            .unwrap();
            let time = running().zip(busy).map_or(started.elapsed(), |(end, start)| end.saturating_sub(start));
            (time, program.statistics(Form::Throughput).unwrap().bootstraps)
        };
        let (fastest, bootstraps) = (0..5).map(|_| time()).min().unwrap();
        assert!(bootstraps >= 10_000, "{bootstraps}");
        println!("{fastest:?}");
        assert!(fastest < Duration::from_millis(300), "{fastest:?}");
    }
}
