//! Interpreter and counts of circuits, for the tests of this layer.

use crate::circuit::{Block, Builder, Source};
use crate::integer::Word;
use crate::torus::BOXES;

/// A circuit that gives the value of its outputs, over plain integers.
pub(crate) struct Circuit {
    leaves: Vec<Step>,
    forms: Vec<Linear>,
    outputs: Vec<(Linear, i64, i64)>,
    values: Vec<i64>,
}

enum Step {
    Unused,
    Input { input: usize, shift: u32, mask: u64 },
    Lookup { form: usize, values: Vec<i64> },
}

struct Linear {
    terms: Vec<(usize, i64)>,
    constant: i64,
}

impl Linear {
    fn new(terms: &[(u32, i32)], constant: i64) -> Self {
        Self { terms: terms.iter().map(|&(leaf, c)| (leaf as usize, i64::from(c))).collect(), constant }
    }

    fn value(&self, leaves: &[i64]) -> i64 {
        self.constant + self.terms.iter().map(|&(leaf, c)| c * leaves[leaf]).sum::<i64>()
    }
}

impl Circuit {
    /// The circuit that leads to `outputs`.
    pub(crate) fn new(b: &Builder, outputs: &[&Word]) -> Self {
        let reachable = reachable(b, outputs);
        let step = |leaf: usize| match &b.leaves[leaf].source {
            _ if !reachable[leaf] => Step::Unused,
            Source::Input { input, block } => Step::Input { input: *input as usize, shift: 2 * block, mask: 3 },
            Source::Lookup { form, values } => Step::Lookup { form: *form as usize, values: values.clone() },
        };
        let output = |block: &Block| (Linear::new(block.terms(), block.offset()), block.low(), block.high());
        Self {
            leaves: (0..b.leaves.len()).map(step).collect(),
            forms: b.forms.iter().map(|form| Linear::new(&form.terms, form.constant)).collect(),
            outputs: outputs.iter().flat_map(|word| &word.blocks).map(output).collect(),
            values: vec![0; b.leaves.len()],
        }
    }

    /// The bits of all output digits, first digit lowest, for the bits of the inputs.
    ///
    /// Panics if a value leaves the range of its form.
    pub(crate) fn run(&mut self, inputs: &[u64]) -> u64 {
        for leaf in 0..self.leaves.len() {
            self.values[leaf] = match &self.leaves[leaf] {
                Step::Unused => continue,
                Step::Input { input, shift, mask } => (inputs[*input] >> shift & mask) as i64,
                Step::Lookup { form, values } => {
                    let x = self.forms[*form].value(&self.values);
                    let value = usize::try_from(x).ok().and_then(|x| values.get(x));
                    *value.unwrap_or_else(|| panic!("{x} is not in 0..{} on {inputs:?}", values.len()))
                }
            };
        }
        let mut bits = 0;
        for (i, (form, low, high)) in self.outputs.iter().enumerate() {
            let value = form.value(&self.values);
            assert!((*low..=*high).contains(&value), "output digit {value} is not in {low}..={high} on {inputs:?}");
            bits |= (value as u64) << (2 * i);
        }
        bits
    }
}

/// Bootstraps, with the lookups on one form packed, and levels of the circuit that leads to `outputs`.
pub(crate) fn cost(b: &Builder, outputs: &[&Word]) -> (usize, usize) {
    let reachable = reachable(b, outputs);
    let mut levels = vec![0; b.leaves.len()];
    for (leaf, source) in b.leaves.iter().map(|leaf| &leaf.source).enumerate() {
        if let Source::Lookup { form, .. } = source {
            let terms = &b.forms[*form as usize].terms;
            levels[leaf] = 1 + terms.iter().map(|&(leaf, _)| levels[leaf as usize]).max().unwrap_or(0);
        }
    }
    let bootstraps = b.forms.iter().map(|form| {
        let lookups = form.lookups.iter().filter(|&&leaf| reachable[leaf as usize]).count();
        let room = BOXES / (form.span as usize + 1);
        let functions = if room == 0 { 1 } else { 1 << room.ilog2() };
        lookups.div_ceil(functions)
    });
    let used = (0..levels.len()).filter(|&leaf| reachable[leaf]).map(|leaf| levels[leaf]);
    (bootstraps.sum(), used.max().unwrap_or(0))
}

fn reachable(b: &Builder, outputs: &[&Word]) -> Vec<bool> {
    let mut reachable = vec![false; b.leaves.len()];
    for block in outputs.iter().flat_map(|word| &word.blocks) {
        block.terms().iter().for_each(|&(leaf, _)| reachable[leaf as usize] = true);
    }
    for leaf in (0..b.leaves.len()).rev() {
        if !reachable[leaf] {
            continue;
        }
        if let Source::Lookup { form, .. } = &b.leaves[leaf].source {
            b.forms[*form as usize].terms.iter().for_each(|&(leaf, _)| reachable[leaf as usize] = true);
        }
    }
    reachable
}
