//! The plan of a circuit: levels of independent bootstraps, tables, and the slots that blocks live in.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;

use crate::circuit::block::{Block, LeafId};
use crate::circuit::builder::{Builder, FormId, Source, paired_sum};
use crate::circuit::noise::Noise;
use crate::circuit::optimise::Net;
use crate::circuit::packing::{Bootstrap, bootstraps, output_bias};
use crate::error::{Error, Result};
use crate::lookup::{LinearForms, Lookup, LookupOutput, LookupTable, Term};
use crate::params::Scheme;
use crate::torus::{BOXES, DELTA, encode};

/// Bounds of one output block, the same in every row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputBlock {
    /// Largest value.
    pub degree: u8,
    /// Noise, in variances of one bootstrap output.
    pub norm2: u32,
}

/// One level: linear forms of what is there, keyswitched and bootstrapped together.
#[derive(Clone, Debug)]
pub struct Level {
    /// The distinct inputs of the level's bootstraps.
    pub forms: LinearForms,
    /// The bootstraps.
    pub lookups: Vec<Lookup>,
    /// For each form, the operation that asked for it, as an index into [`Plan::operations`].
    pub origins: Vec<u32>,
}

/// A circuit made ready to run: what a backend is given, level by level. Shared by all runs and all backends.
#[derive(Debug)]
pub struct Plan {
    /// Per input block in order of inputs and blocks: the slot that it is uploaded to, `None` if nothing reads it.
    pub inputs: Vec<Vec<Option<u32>>>,
    /// The distinct tables.
    pub tables: Vec<LookupTable>,
    /// The levels, in order.
    pub levels: Vec<Level>,
    /// The output blocks as forms of slots, all outputs one after the other.
    pub outputs: LinearForms,
    /// Bounds of the output blocks, in the same order.
    pub output_blocks: Vec<OutputBlock>,
    /// Number of slots.
    pub slots: usize,
    /// Names of the operations that forms come from.
    pub operations: Vec<String>,
}

/// Size of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Bootstraps per row.
    pub bootstraps: usize,
    /// Tables evaluated per row; more than bootstraps where several share one.
    pub lookups: usize,
    /// Keyswitches per row: distinct linear forms.
    pub keyswitches: usize,
    /// Bootstraps one after the other.
    pub levels: usize,
    /// Most bootstraps in one level, per row.
    pub width: usize,
    /// Most blocks held at once, per row.
    pub blocks: usize,
}

impl Plan {
    /// Plans `builder`'s circuit for these outputs.
    ///
    /// `inputs` gives the number of blocks of each input. Where `nominal` is set, output blocks whose noise or range
    /// is more than that of one fresh bootstrap output are refreshed.
    ///
    /// # Errors
    /// The builder's first error; [`Error::NoiseTooHigh`] or [`Error::DegreeTooHigh`] if a form breaks its bound.
    pub fn compile(mut builder: Builder, inputs: &[usize], mut outputs: Vec<Block>, nominal: bool) -> Result<Self> {
        builder.begin("output");
        for block in &mut outputs {
            let clean = block.low() >= 0 && block.high() <= 3 && block.norm2() <= 1;
            if nominal && !clean {
                *block = builder.refresh(block);
            }
        }
        builder.check()?;
        let net = Net::optimise(builder, &mut outputs);
        verify(&net)?;
        Ok(Planner::new(net).plan(inputs, &outputs))
    }

    /// Counts of the plan.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics {
            bootstraps: self.levels.iter().map(|level| level.lookups.len()).sum(),
            lookups: self.levels.iter().flat_map(|level| &level.lookups).map(|lookup| lookup.outputs.len()).sum(),
            keyswitches: self.levels.iter().map(|level| level.forms.len()).sum(),
            levels: self.levels.len(),
            width: self.levels.iter().map(|level| level.lookups.len()).max().unwrap_or(0),
            blocks: self.slots,
        }
    }

    /// Bytes of buffers that one row needs while it runs: slots, and the larger of the forms of one level (with their
    /// switched ciphertexts) and the outputs.
    #[must_use]
    pub fn bytes_per_row(&self, scheme: Scheme) -> usize {
        let ciphertext = 8 * scheme.ciphertext_words();
        let forms = self.levels.iter().map(|level| level.forms.len()).max().unwrap_or(0);
        let switched = forms * 2 * (scheme.parameters().lwe_dimension() + 1);
        (self.slots + forms.max(self.outputs.len())) * ciphertext + switched
    }

    /// Rounds in which a machine that does `parallelism` bootstraps at once gets through `rows` rows: the measure by
    /// which an engine chooses between the two forms of a program.
    #[must_use]
    pub fn rounds(&self, rows: usize, parallelism: usize) -> usize {
        let parallelism = parallelism.max(1);
        self.levels.iter().map(|level| (level.lookups.len() * rows).div_ceil(parallelism)).sum()
    }
}

impl fmt::Display for Plan {
    /// One line per bootstrap: its level, its linear form over slots, its table and where its outputs go.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, level) in self.levels.iter().enumerate() {
            writeln!(f, "level {index}: {} keyswitches, {} bootstraps", level.forms.len(), level.lookups.len())?;
            for lookup in &level.lookups {
                let (terms, constant) = level.forms.get(lookup.input as usize).unwrap_or_default();
                let outputs: Vec<String> = lookup.outputs.iter().map(|output| format!("${}", output.slot)).collect();
                write!(f, "  {} = table {} (", outputs.join(", "), lookup.table)?;
                fmt_form(f, terms, constant)?;
                let origin = level.origins.get(lookup.input as usize).map_or(0, |&origin| origin as usize);
                writeln!(f, ")  ; {}", self.operations.get(origin).map_or("", String::as_str))?;
            }
        }
        Ok(())
    }
}

fn fmt_form(f: &mut fmt::Formatter<'_>, terms: &[Term], constant: u64) -> fmt::Result {
    for (position, term) in terms.iter().enumerate() {
        let sign = if term.coefficient < 0 { "-" } else { "+" };
        match (position, term.coefficient) {
            (0, 1..) => {}
            (0, _) => write!(f, "-")?,
            _ => write!(f, " {sign} ")?,
        }
        match term.coefficient.unsigned_abs() {
            1 => write!(f, "${}", term.slot)?,
            factor => write!(f, "{factor}·${}", term.slot)?,
        }
    }
    match constant as i64 as f64 / DELTA as f64 {
        0.0 => Ok(()),
        value if value < 0.0 => write!(f, " - {}", -value),
        value => write!(f, " + {value}"),
    }
}

/// Checks degree and noise of every form once more, independently of how it was built.
fn verify(net: &Net) -> Result<()> {
    for form in net.forms.iter().filter(|form| !form.lookups.is_empty()) {
        let operation = || net.operations.get(form.operation as usize).cloned().unwrap_or_default();
        let fits =
            |&leaf: &LeafId| net.values(leaf).len() as i64 == form.span + 1 && paired_sum(net.values(leaf)).is_some();
        if !form.lookups.iter().all(fits) {
            return Err(Error::DegreeTooHigh { operation: operation(), low: 0, high: form.span, boxes: BOXES });
        }
    }
    Noise::new(net).verify()
}

struct Planner {
    net: Net,
    /// Per leaf: the level from which it can be read.
    ready: Vec<u32>,
    /// Per leaf: the last level that reads it; `u32::MAX` for outputs.
    last_use: Vec<u32>,
    slot: Vec<Option<u32>>,
    free: BinaryHeap<Reverse<u32>>,
    slots: u32,
    tables: Vec<LookupTable>,
    table_ids: HashMap<LookupTable, u32>,
}

impl Planner {
    fn new(net: Net) -> Self {
        let leaves = net.leaves.len();
        Self {
            net,
            ready: vec![0; leaves],
            last_use: vec![0; leaves],
            slot: vec![None; leaves],
            free: BinaryHeap::new(),
            slots: 0,
            tables: Vec::new(),
            table_ids: HashMap::new(),
        }
    }

    fn plan(mut self, inputs: &[usize], outputs: &[Block]) -> Plan {
        let schedule = self.schedule(outputs);
        let mut input_slots: Vec<Vec<Option<u32>>> = inputs.iter().map(|&blocks| vec![None; blocks]).collect();
        for leaf in 0..self.net.leaves.len() {
            if let Source::Input { input, block } = self.net.leaves[leaf].source
                && self.net.uses[leaf] > 0
            {
                input_slots[input as usize][block as usize] = Some(self.take_slot(leaf as LeafId));
            }
        }
        let mut expiring: Vec<Vec<LeafId>> = vec![Vec::new(); schedule.len()];
        for leaf in 0..self.net.leaves.len() {
            if let Some(level) = expiring.get_mut(self.last_use[leaf] as usize)
                && self.net.uses[leaf] > 0
            {
                level.push(leaf as LeafId);
            }
        }
        let levels = schedule.iter().zip(expiring).map(|(forms, expiring)| self.level(forms, &expiring)).collect();
        let mut output_forms = LinearForms::new();
        for block in outputs {
            self.push_form(&mut output_forms, block.terms(), block.offset());
        }
        let mut noise = Noise::new(&self.net);
        let bounds =
            |block: &Block| OutputBlock { degree: block.high() as u8, norm2: noise.norm2(block.terms()) as u32 };
        let output_blocks = outputs.iter().map(bounds).collect();
        Plan {
            inputs: input_slots,
            tables: self.tables,
            levels,
            outputs: output_forms,
            output_blocks,
            slots: self.slots as usize,
            operations: self.net.operations,
        }
    }

    /// Puts every live form into the first level in which all that it reads is there.
    fn schedule(&mut self, outputs: &[Block]) -> Vec<Vec<FormId>> {
        let mut levels: Vec<Vec<FormId>> = Vec::new();
        for (id, form) in self.net.forms.iter().enumerate().filter(|(_, form)| !form.lookups.is_empty()) {
            let level = form.terms.iter().map(|&(leaf, _)| self.ready[leaf as usize]).max().unwrap_or(0);
            for &(leaf, _) in &form.terms {
                self.last_use[leaf as usize] = self.last_use[leaf as usize].max(level);
            }
            for &leaf in &form.lookups {
                self.ready[leaf as usize] = level + 1;
            }
            if levels.len() <= level as usize {
                levels.resize(level as usize + 1, Vec::new());
            }
            levels[level as usize].push(id as FormId);
        }
        for &(leaf, _) in outputs.iter().flat_map(Block::terms) {
            self.last_use[leaf as usize] = u32::MAX;
        }
        levels
    }

    /// All forms of a level are evaluated before its first output is written, so outputs may take the slots of
    /// leaves that this level reads for the last time.
    fn level(&mut self, ids: &[FormId], expiring: &[LeafId]) -> Level {
        let mut level = Level { forms: LinearForms::new(), lookups: Vec::new(), origins: Vec::new() };
        for &id in ids {
            let form = self.net.forms[id as usize].clone();
            self.push_form(&mut level.forms, &form.terms, form.constant);
            level.origins.push(form.operation);
        }
        for &leaf in expiring {
            self.free.extend(self.slot[leaf as usize].map(Reverse));
        }
        for (index, &id) in ids.iter().enumerate() {
            self.push_lookups(&mut level.lookups, index as u32, id);
        }
        level
    }

    /// The bootstraps of all tables on one form.
    fn push_lookups(&mut self, lookups: &mut Vec<Lookup>, input: u32, id: FormId) {
        let form = &self.net.forms[id as usize];
        let domain = form.span as usize + 1;
        for Bootstrap { boxes, outputs } in bootstraps(&self.net, form) {
            let outputs =
                outputs.into_iter().map(|(at, leaf)| LookupOutput { at: at as u32, slot: self.take_slot(leaf) });
            let outputs = outputs.collect();
            let table = self.table(boxes, domain);
            lookups.push(Lookup { input, table, outputs });
        }
    }

    fn table(&mut self, boxes: [u64; BOXES], domain: usize) -> u32 {
        // `verify` bounds the span of every form, so a domain is never outside 1..=32.
        let table = LookupTable::new(boxes, domain).expect("the domain of a verified form");
        *self.table_ids.entry(table.clone()).or_insert_with(|| {
            self.tables.push(table);
            (self.tables.len() - 1) as u32
        })
    }

    /// Translates a form over leaves to slots, adding back the bias of negacyclic tables.
    fn push_form(&self, forms: &mut LinearForms, terms: &[(LeafId, i32)], constant: i64) {
        let mut torus = encode(constant);
        let terms: Vec<Term> = terms
            .iter()
            .filter_map(|&(leaf, coefficient)| {
                let bias = output_bias(self.net.values(leaf));
                torus = torus.wrapping_add(bias.wrapping_mul(i64::from(coefficient) as u64));
                // A live leaf has a slot by the time that a form reads it.
                self.slot[leaf as usize].map(|slot| Term { slot, coefficient })
            })
            .collect();
        forms.push(terms, torus);
    }

    fn take_slot(&mut self, leaf: LeafId) -> u32 {
        let slot = self.free.pop().map_or_else(
            || {
                self.slots += 1;
                self.slots - 1
            },
            |Reverse(slot)| slot,
        );
        self.slot[leaf as usize] = Some(slot);
        slot
    }
}
