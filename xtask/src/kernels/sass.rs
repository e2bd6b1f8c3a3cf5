//! Machine code as the disassembler prints it: instructions, their mix, and the mix of loops.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::loops::natural_loops;

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
    #[must_use]
    pub fn base(&self) -> &str {
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
            instruction.base() != "NOP" && (instruction.conditional || instruction.targets != [*i])
        };
        let bodies = natural_loops(instructions);
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
    let mut tables = BTreeMap::new();
    for section in sections().filter(|section| section.starts_with(".nv.info.")) {
        jump_tables(section, &mut tables)?;
    }
    let mut functions = BTreeMap::new();
    for section in sections() {
        if let Some((name, _)) = section.strip_prefix(".text.").and_then(|rest| rest.split_once(',')) {
            let code = instructions(section, &tables).with_context(|| format!("code of {name}"))?;
            functions.insert(name.to_owned(), code);
        }
    }
    Ok(functions)
}

/// Targets of indirect jumps, by the label of the jump.
type Tables<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// Adds a section's tables: each is the label of the jump, two half words, the number of targets, and their labels.
fn jump_tables<'a>(section: &'a str, tables: &mut Tables<'a>) -> Result<()> {
    for attribute in section.split("nvinfo : ").filter(|part| part.starts_with("EIATTR_INDIRECT_BRANCH_TARGETS")) {
        let words = attribute.lines().filter_map(|line| line.split_once(".word\t"));
        // A label is followed by the kind of reference to it.
        let mut words = words.map(|(_, word)| word.trim().split('@').next().unwrap_or_default());
        while let Some(jump) = words.next() {
            let count = words.next().and_then(|word| usize::from_str_radix(word.strip_prefix("0x")?, 16).ok());
            let count = count.context("a jump table without its length")?;
            tables.insert(jump, words.by_ref().take(count).collect());
        }
    }
    Ok(())
}

fn instructions(section: &str, tables: &Tables) -> Result<Vec<Instruction>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A loop over rows around a loop with a switch, for `sm_80`.
    const SWITCH: &str = include_str!("samples/switch.sass");

    #[test]
    fn mix_and_loops_of_a_kernel_with_a_switch() -> Result<()> {
        let functions = parse(SWITCH)?;
        assert_eq!(functions.keys().collect::<Vec<_>>(), ["sample"]);
        let code = Code::new(&functions["sample"]);
        // 0x0 to 0x490: the closing jump and the padding do not count.
        assert_eq!(code.mix.instructions, 0x4a0 / 16);
        assert_eq!((code.mix.fp64, code.mix.ldg, code.mix.stg), (7, 3, 4));
        assert_eq!((code.mix.lds, code.mix.sts, code.mix.bar, code.mix.shared_bytes), (1, 1, 2, 16));
        assert_eq!((code.mix.opcodes["DFMA"], code.mix.opcodes["BRX"]), (1, 2));

        let [rows, steps] = &code.loops[..] else { panic!("{} loops", code.loops.len()) };
        assert_eq!((rows.offset, rows.depth, rows.hottest, rows.mix.instructions), (0x80, 0, false, 65));
        assert_eq!((steps.offset, steps.depth, steps.hottest, steps.mix.instructions), (0x160, 1, true, 48));
        assert_eq!((steps.mix.fp64, steps.mix.ldg, steps.mix.stg), (5, 2, 3));
        assert_eq!(code.hottest(), Some(steps));
        Ok(())
    }

    /// A section of one kernel; each line is a label or an instruction.
    fn kernel(lines: &str) -> Result<Vec<Instruction>> {
        let mut offset = 0;
        let mut line = |line: &str| {
            if line.ends_with(':') {
                return format!("{line}\n");
            }
            offset += 16;
            format!("        /*{:04x}*/                   {line} ;\n", offset - 16)
        };
        let lines: String = lines.lines().map(|text| line(text.trim())).collect();
        let text = format!("\t.section\t.text.k,\"ax\",@progbits\n{lines}");
        parse(&text)?.remove("k").context("one kernel")
    }

    #[test]
    fn spills_conversions_and_exchanges_are_counted() -> Result<()> {
        let code = Code::new(&kernel(
            "LDL.LU.64 R2, [R1+0x8]
            @P0 LDL R4, [R1]
            STL.128 [R1+0x10], R4
            I2F.F64.U32 R6, R2
            @!P1 F2I.S64.F64.TRUNC R2, R34
            F2F.F32.F64 R2, R34
            SHFL.BFLY PT, R43, R31, 0x1, 0x1f
            LDS.128 R4, [R9]
            LDS.U16 R4, [R9]
            STS [R9], R4
            BAR.SYNC.DEFER_BLOCKING 0x0
            @!UPT UIADD3 URZ, URZ, URZ, URZ
            EXIT
            NOP",
        )?);
        let mix = &code.mix;
        assert_eq!((mix.instructions, mix.ldl, mix.stl, mix.conversions), (13, 2, 1, 3));
        assert_eq!((mix.shfl, mix.lds, mix.sts, mix.bar, mix.shared_bytes), (1, 2, 1, 1, 16 + 2 + 4));
        assert_eq!((code.loops.len(), code.hottest()), (0, None));
        Ok(())
    }

    #[test]
    fn forms_of_jumps() -> Result<()> {
        let code = kernel(
            ".L_x_1:
            @P0 BRA P1, `(.L_x_2)
            BRA P1, `(.L_x_2)
            BRA `(.L_x_2)
            CALL.REL.NOINC `($__internal_0_$__cuda_sm20_div_rn_f64_full)
            @P0 CALL.REL.NOINC `(.L_x_2)
            BSSY B1, `(.L_x_1)
            .L_x_2:
            EXIT",
        )?;
        let jumps: Vec<_> = code.iter().map(|jump| (jump.conditional, jump.targets.clone())).collect();
        let (to_the_end, nowhere) = (vec![6], vec![]);
        assert_eq!(jumps[..3], [(true, to_the_end.clone()), (true, to_the_end.clone()), (false, to_the_end.clone())]);
        assert_eq!(jumps[3..6], [(false, nowhere.clone()), (true, to_the_end), (false, nowhere)]);
        assert!(kernel("BRX R2 -0x10").is_err(), "an indirect jump without a table");
        assert!(kernel("BRA `(.L_x_9)").is_err(), "a jump to nowhere");
        Ok(())
    }

    #[test]
    fn the_hottest_loop() -> Result<()> {
        let hottest =
            |lines: &str| -> Result<Option<u32>> { Ok(Code::new(&kernel(lines)?).hottest().map(|l| l.offset)) };
        let inner_has =
            |inner: &str| format!(".L_a:\nDADD\nDADD\n.L_b:\n{inner}\n@P0 BRA `(.L_b)\nDADD\n@P0 BRA `(.L_a)\nEXIT");
        // Most of the work inside: the inner loop. Little of it: the outer one.
        assert_eq!(hottest(&inner_has("DADD\nDADD\nDADD\nDADD"))?, Some(0x20));
        assert_eq!(hottest(&inner_has("DADD"))?, Some(0x0));
        // FP64 decides over length; without any, the length decides.
        let two = |first: &str| format!(".L_a:\n{first}\n@P0 BRA `(.L_a)\n.L_b:\nMOV\nMOV\n@P0 BRA `(.L_b)\nEXIT");
        assert_eq!(hottest(&two("DMUL"))?, Some(0x0));
        assert_eq!(hottest(&two("MOV"))?, Some(0x20));
        Ok(())
    }
}
