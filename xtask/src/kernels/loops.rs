//! Loops of machine code.
//!
//! They are the natural loops of the control flow graph: an edge back to an instruction that every way to the edge
//! passes through, and everything that reaches the edge without passing there again. Text order would not do: the
//! assembler moves rare code behind the kernel's end, from where it jumps back into the middle.

use std::collections::BTreeMap;

use super::sass::Instruction;

/// Natural loops: sorted bodies by header. Loops with one header are one loop.
pub fn natural_loops(instructions: &[Instruction]) -> BTreeMap<usize, Vec<usize>> {
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

/// Where execution may go after instruction `i`.
///
/// For `sm_80` the assembler also leaves loops with `CALL.REL.NOINC` to a local label; calls that come back name a function
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Code from a list of (mnemonic, conditional, targets).
    fn code(lines: &[(&str, bool, &[usize])]) -> Vec<Instruction> {
        let instruction = |(at, &(opcode, conditional, targets)): (usize, &(&str, bool, &[usize]))| Instruction {
            offset: 16 * at as u32,
            opcode: opcode.into(),
            conditional,
            targets: targets.to_vec(),
        };
        lines.iter().enumerate().map(instruction).collect()
    }

    fn bodies(lines: &[(&str, bool, &[usize])]) -> Vec<(usize, Vec<usize>)> {
        natural_loops(&code(lines)).into_iter().collect()
    }

    #[test]
    fn nested_loops_and_the_jump_to_itself_at_the_end() {
        let found = bodies(&[
            ("MOV", false, &[]),
            ("DADD", false, &[]),
            ("DMUL", false, &[]),
            ("BRA", true, &[2]),
            ("BRA", true, &[1]),
            ("EXIT", false, &[]),
            ("BRA", false, &[6]),
        ]);
        assert_eq!(found, [(1, vec![1, 2, 3, 4]), (2, vec![2, 3])]);
    }

    #[test]
    fn rare_code_behind_the_end_belongs_to_its_loop() {
        // The jump from 7 back to 3 makes no loop of its own.
        let found = bodies(&[
            ("MOV", false, &[]),
            ("DADD", false, &[]),
            ("BRA", true, &[6]),
            ("DMUL", false, &[]),
            ("BRA", true, &[1]),
            ("EXIT", false, &[]),
            ("MUFU", false, &[]),
            ("BRA", false, &[3]),
        ]);
        assert_eq!(found, [(1, vec![1, 2, 3, 4, 6, 7])]);
    }

    #[test]
    fn a_loop_left_by_a_call_to_a_label() {
        let found = bodies(&[
            ("DADD", false, &[]),
            ("CALL.REL.NOINC", true, &[3]),
            ("BRA", false, &[0]),
            ("CALL.REL.NOINC", false, &[]),
            ("CALL.REL.NOINC", true, &[6]),
            ("BRA", false, &[3]),
            ("EXIT", false, &[]),
        ]);
        assert_eq!(found, [(0, vec![0, 1, 2]), (3, vec![3, 4, 5])]);
    }

    #[test]
    fn loops_with_one_header_are_one_and_entries_from_two_sides_are_none() {
        let two_ends = bodies(&[("DADD", false, &[]), ("BRA", true, &[0]), ("BRA", true, &[0]), ("EXIT", false, &[])]);
        assert_eq!(two_ends, [(0, vec![0, 1, 2])]);
        let two_entries = bodies(&[
            ("BRA", true, &[2]),
            ("DADD", false, &[]),
            ("DMUL", false, &[]),
            ("BRA", true, &[1]),
            ("EXIT", false, &[]),
        ]);
        assert!(two_entries.is_empty());
        assert!(bodies(&[]).is_empty());
    }
}
