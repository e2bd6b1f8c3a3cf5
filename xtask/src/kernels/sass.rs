//! Machine code as the disassembler prints it: instructions, their mix, and loops.
//!
//! Loops are the natural loops of the control flow graph: an edge back to an instruction that every way to the edge
//! passes through, and everything that reaches the edge without passing there again. Text order would not do: the
//! assembler moves rare code behind the kernel's end, from where it jumps back into the middle.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Serialize;

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Offset in the kernel, in bytes.
    pub offset: u32,
    /// Mnemonic with its modifiers, such as `LDS.128`.
    pub opcode: String,
    /// Whether a predicate decides about it.
    pub conditional: bool,
    /// Instructions that it may jump to.
    pub targets: Vec<usize>,
}

impl Instruction {
    /// Mnemonic without modifiers.
    fn base(&self) -> &str {
        self.opcode.split('.').next().unwrap_or_default()
    }

    /// Bytes that one thread moves with a load or store.
    fn width(&self) -> u32 {
        let modifier = |name: &str| self.opcode.split('.').any(|part| part == name);
        match () {
            () if modifier("128") => 16,
            () if modifier("64") => 8,
            () if modifier("U16") || modifier("S16") => 2,
            () if modifier("U8") || modifier("S8") => 1,
            () => 4,
        }
    }
}

/// How many instructions of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mix {
    /// All, without padding.
    pub instructions: u32,
    /// DFMA, DADD and DMUL.
    pub fp64: u32,
    /// Between integers and floats, and between floats: I2F, F2I, F2F.
    pub conversions: u32,
    /// Loads from shared memory.
    pub lds: u32,
    /// Stores to shared memory.
    pub sts: u32,
    /// Loads from global memory.
    pub ldg: u32,
    /// Stores to global memory.
    pub stg: u32,
    /// Loads from local memory: spills and arrays indexed at run time.
    pub ldl: u32,
    /// Stores to local memory.
    pub stl: u32,
    /// Exchanges within a warp.
    pub shfl: u32,
    /// Barriers of a block.
    pub bar: u32,
    /// Bytes that one thread moves with LDS and STS, if each runs once.
    pub shared_bytes: u32,
    /// Every mnemonic, without modifiers.
    pub opcodes: BTreeMap<String, u32>,
}

impl Mix {
    fn of<'a>(instructions: impl Iterator<Item = &'a Instruction>) -> Self {
        let mut mix = Self::default();
        for instruction in instructions {
            let base = instruction.base();
            mix.instructions += 1;
            *mix.opcodes.entry(base.to_owned()).or_default() += 1;
            let kind = match base {
                "DFMA" | "DADD" | "DMUL" => &mut mix.fp64,
                "I2F" | "F2I" | "F2F" => &mut mix.conversions,
                "LDS" => &mut mix.lds,
                "STS" => &mut mix.sts,
                "LDG" => &mut mix.ldg,
                "STG" => &mut mix.stg,
                "LDL" => &mut mix.ldl,
                "STL" => &mut mix.stl,
                "SHFL" => &mut mix.shfl,
                "BAR" => &mut mix.bar,
                _ => continue,
            };
            *kind += 1;
            if matches!(base, "LDS" | "STS") {
                mix.shared_bytes += instruction.width();
            }
        }
        mix
    }
}

/// A loop of a kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loop {
    /// Offset of its first instruction in the kernel, in bytes.
    pub offset: u32,
    /// How many loops it lies in.
    pub depth: u32,
    /// Whether it is the hottest: see [`Code::new`].
    pub hottest: bool,
    /// What it is made of, loops inside included.
    pub mix: Mix,
}

/// Mix of a kernel and of its loops.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Code {
    /// The whole kernel.
    pub mix: Mix,
    /// Loops, by offset.
    pub loops: Vec<Loop>,
}

impl Code {
    /// Counts instructions and finds loops.
    ///
    /// The hottest loop is the one with the most FP64 instructions, or the most instructions where no loop has any;
    /// while one loop inside it has more than half of them, that one. So neither the loop over the rows of a batch
    /// around everything hides the loop over the mask elements, nor a small loop inside stands for it.
    #[must_use]
    pub fn new(instructions: &[Instruction]) -> Self {
        let counted = |i: &usize| {
            let instruction = &instructions[*i];
            // Behind the last instruction the assembler puts a jump to itself and fills up.
            instruction.base() != "NOP" && !(!instruction.conditional && instruction.targets == [*i])
        };
        let bodies = loops(instructions);
        let mix = |body: &[usize]| Mix::of(body.iter().filter(|i| counted(i)).map(|&i| &instructions[i]));
        let inside = |outer: &[usize], inner: &[usize]| {
            outer.len() > inner.len() && inner.iter().all(|i| outer.binary_search(i).is_ok())
        };
        let mut found: Vec<_> = bodies
            .iter()
            .map(|(&header, body)| Loop {
                offset: instructions[header].offset,
                depth: bodies.values().filter(|outer| inside(outer, body)).count() as u32,
                hottest: false,
                mix: mix(body),
            })
            .collect();
        let any_fp64 = found.iter().any(|candidate| candidate.mix.fp64 > 0);
        let weight = |i: usize| if any_fp64 { found[i].mix.fp64 } else { found[i].mix.instructions };
        let bodies: Vec<_> = bodies.into_values().collect();
        let heaviest = |candidates: &mut dyn Iterator<Item = usize>| {
            candidates.max_by_key(|&i| (weight(i), std::cmp::Reverse(bodies[i].len())))
        };
        let mut hottest = heaviest(&mut (0..found.len()));
        while let Some(outer) = hottest {
            match heaviest(&mut (0..found.len()).filter(|&i| inside(&bodies[outer], &bodies[i]))) {
                Some(inner) if 2 * weight(inner) > weight(outer) => hottest = Some(inner),
                _ => break,
            }
        }
        if let Some(hottest) = hottest {
            found[hottest].hottest = true;
        }
        Self { mix: mix(&(0..instructions.len()).collect::<Vec<_>>()), loops: found }
    }

    /// The hottest loop; none if the kernel has no loop.
    #[must_use]
    pub fn hottest(&self) -> Option<&Loop> {
        self.loops.iter().find(|candidate| candidate.hottest)
    }
}

/// Disassembles a file: kernels by name.
///
/// # Errors
/// With the disassembler's messages, if it refuses.
pub fn disassemble(nvdisasm: &Path, cubin: &Path) -> Result<BTreeMap<String, Code>> {
    let output = Command::new(nvdisasm)
        .arg("--no-dataflow")
        .arg(cubin)
        .output()
        .with_context(|| format!("cannot start {}", nvdisasm.display()))?;
    if !output.status.success() {
        bail!("nvdisasm refuses {}:\n{}", cubin.display(), String::from_utf8_lossy(&output.stderr));
    }
    let functions = parse(&String::from_utf8_lossy(&output.stdout))?;
    Ok(functions.iter().map(|(name, instructions)| (name.clone(), Code::new(instructions))).collect())
}

/// Reads the disassembler's text: one list of instructions per code section.
fn parse(text: &str) -> Result<BTreeMap<String, Vec<Instruction>>> {
    let sections = || text.split("\t.section\t").skip(1);
    let name = |section: &'_ str, prefix| {
        let rest = section.strip_prefix(prefix)?;
        Some(rest.split([',', '\n']).next()?.to_owned())
    };
    let mut tables = BTreeMap::new();
    for section in sections().filter(|section| section.starts_with(".nv.info.")) {
        tables.append(&mut jump_tables(section)?);
    }
    let mut functions = BTreeMap::new();
    for section in sections() {
        if let Some(name) = name(section, ".text.") {
            let code = instructions(section, &tables).with_context(|| format!("code of {name}"))?;
            functions.insert(name, code);
        }
    }
    Ok(functions)
}

/// Where indirect jumps lead, by the label of the jump. The section says, for each jump: its label, two half words, the
/// number of targets, and their labels.
fn jump_tables(section: &str) -> Result<BTreeMap<&str, Vec<&str>>> {
    let mut tables = BTreeMap::new();
    for attribute in section.split("nvinfo : ").filter(|part| part.starts_with("EIATTR_INDIRECT_BRANCH_TARGETS")) {
        let mut words = attribute.lines().filter_map(|line| line.split_once(".word\t")).map(|(_, word)| word.trim());
        while let Some(jump) = words.next() {
            let count = words.next().and_then(|word| usize::from_str_radix(word.strip_prefix("0x")?, 16).ok());
            let targets: Vec<_> = words.by_ref().take(count.context("a jump table without its length")?).collect();
            let label = |word: &'_ str| word.split('@').next().unwrap_or_default().len();
            tables.insert(&jump[..label(jump)], targets.into_iter().map(|word| &word[..label(word)]).collect());
        }
    }
    Ok(tables)
}

fn instructions(section: &str, tables: &BTreeMap<&str, Vec<&str>>) -> Result<Vec<Instruction>> {
    let mut labels = BTreeMap::new();
    let mut found: Vec<(Instruction, Vec<&str>)> = Vec::new();
    // The table of the next instruction, if it is an indirect jump.
    let mut table: Option<&Vec<&str>> = None;
    for line in section.lines().map(str::trim) {
        if let Some(label) = line.strip_suffix(':') {
            labels.insert(label, found.len());
            table = tables.get(label).or(table);
            continue;
        }
        let Some((offset, rest)) = line.strip_prefix("/*").and_then(|rest| rest.split_once("*/")) else { continue };
        let offset = u32::from_str_radix(offset, 16).with_context(|| line.to_owned())?;
        let (guarded, rest) = match rest.trim().strip_prefix('@') {
            Some(rest) => (true, rest.split_once(' ').with_context(|| line.to_owned())?.1.trim_start()),
            None => (false, rest.trim()),
        };
        let end = rest.find([' ', ';']).unwrap_or(rest.len());
        let (opcode, operands) = rest.split_at(end);
        let opcode = opcode.to_owned();
        let operands = operands.trim_start();
        let mut instruction = Instruction { offset, opcode, conditional: guarded, targets: Vec::new() };
        let mut targets = Vec::new();
        match instruction.base() {
            "BRA" | "JMP" | "CALL" => targets.extend(names_of_labels(operands)),
            // Not following an indirect jump would lose the loops around it.
            "BRX" | "JMX" => targets.extend(table.with_context(|| format!("a jump without a table: {line}"))?),
            _ => {}
        }
        // `BRA P1, label` has a second predicate as an operand.
        instruction.conditional |= instruction.base() == "BRA" && !operands.starts_with('`');
        table = None;
        found.push((instruction, targets));
    }
    found
        .into_iter()
        .map(|(mut instruction, targets)| {
            for target in targets {
                instruction.targets.push(*labels.get(target).with_context(|| format!("no label {target}"))?);
            }
            Ok(instruction)
        })
        .collect()
}

fn names_of_labels(operands: &str) -> impl Iterator<Item = &str> {
    operands
        .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '$')))
        .filter(|word| word.starts_with(".L"))
}

/// Where execution may go after instruction `i`.
///
/// For sm_80 the assembler also leaves loops with `CALL.REL.NOINC` to a local label; calls that come back name a function
/// instead. BSSY only names the place where BSYNC joins threads, which lies in the text's order.
fn successors(instructions: &[Instruction], i: usize) -> Vec<usize> {
    let instruction = &instructions[i];
    let mut next = instruction.targets.clone();
    let leaves = match instruction.base() {
        "CALL" => !instruction.targets.is_empty(),
        base => matches!(base, "BRA" | "BRX" | "JMP" | "JMX" | "EXIT" | "RET" | "KILL"),
    };
    if instruction.conditional || !leaves {
        next.push(i + 1);
    }
    next.retain(|&i| i < instructions.len());
    next
}

/// Natural loops: sorted bodies by header. Loops with one header are one loop.
fn loops(instructions: &[Instruction]) -> BTreeMap<usize, Vec<usize>> {
    let next: Vec<_> = (0..instructions.len()).map(|i| successors(instructions, i)).collect();
    let mut previous = vec![Vec::new(); instructions.len()];
    for (i, next) in next.iter().enumerate() {
        for &target in next {
            previous[target].push(i);
        }
    }
    let dominators = Dominators::new(&next, &previous);
    let mut bodies: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (tail, next) in next.iter().enumerate() {
        for &header in next {
            if dominators.dominates(header, tail) {
                let body = bodies.entry(header).or_insert_with(|| vec![header]);
                let mut waiting = vec![tail];
                while let Some(i) = waiting.pop() {
                    if dominators.reached(i)
                        && let Err(at) = body.binary_search(&i)
                    {
                        body.insert(at, i);
                        waiting.extend(&previous[i]);
                    }
                }
            }
        }
    }
    bodies
}

/// Dominators by the iterative algorithm of Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm" (2001).
struct Dominators {
    /// Position of each instruction in reverse postorder; none if no way leads there.
    position: Vec<Option<usize>>,
    /// Immediate dominator by position.
    immediate: Vec<usize>,
}

impl Dominators {
    fn new(next: &[Vec<usize>], previous: &[Vec<usize>]) -> Self {
        let order = reverse_postorder(next);
        let mut position = vec![None; next.len()];
        for (at, &i) in order.iter().enumerate() {
            position[i] = Some(at);
        }
        let mut immediate = vec![usize::MAX; order.len()];
        if let Some(first) = immediate.first_mut() {
            *first = 0;
        }
        let mut changed = true;
        while changed {
            changed = false;
            for (at, &i) in order.iter().enumerate().skip(1) {
                let known = previous[i].iter().filter_map(|&p| position[p]).filter(|&p| immediate[p] != usize::MAX);
                let common = known.reduce(|mut a, mut b| {
                    while a != b {
                        while a > b {
                            a = immediate[a];
                        }
                        while b > a {
                            b = immediate[b];
                        }
                    }
                    a
                });
                if let Some(common) = common
                    && immediate[at] != common
                {
                    immediate[at] = common;
                    changed = true;
                }
            }
        }
        Self { position, immediate }
    }

    fn reached(&self, i: usize) -> bool {
        self.position[i].is_some()
    }

    /// Whether every way from the entry to `b` passes through `a`.
    fn dominates(&self, a: usize, b: usize) -> bool {
        let (Some(a), Some(mut b)) = (self.position[a], self.position[b]) else { return false };
        while b > a {
            b = self.immediate[b];
        }
        a == b
    }
}

/// Depth-first order from instruction 0, without recursion: kernels have tens of thousands of instructions.
fn reverse_postorder(next: &[Vec<usize>]) -> Vec<usize> {
    let mut order = Vec::new();
    let mut seen = vec![false; next.len()];
    let mut stack = Vec::new();
    if !next.is_empty() {
        seen[0] = true;
        stack.push((0, 0));
    }
    while let Some((i, branch)) = stack.last_mut() {
        if let Some(&target) = next[*i].get(*branch) {
            *branch += 1;
            if !seen[target] {
                seen[target] = true;
                stack.push((target, 0));
            }
        } else {
            order.push(*i);
            stack.pop();
        }
    }
    order.reverse();
    order
}
