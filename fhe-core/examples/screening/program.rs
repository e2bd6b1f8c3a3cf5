//! The forest as a program over encrypted values.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use fhe_core::program::{OutputNoise, ProgramOptions};
use fhe_core::{Encrypted, Program, Trace};

use crate::model::{Condition, Forest};

/// How many trees find the record benign, as `u8`.
pub const VOTES: &str = "votes";
/// Whether that is the majority, as `bool`.
pub const BENIGN: &str = "benign";

type Inputs = BTreeMap<usize, Encrypted<u8>>;

/// Traces `forest`. The inputs are the features that it looks at, called by their `names`; the outputs are [`VOTES`]
/// and [`BENIGN`].
pub fn trace(forest: &Forest, names: &[String]) -> Result<Program> {
    ensure!(!forest.features().is_empty(), "no tree looks at any feature: there is nothing to compute");
    // Both outputs are decrypted next, so they need not be as good as fresh ciphertexts.
    let options = ProgramOptions { output_noise: OutputNoise::AsComputed };
    let program = Program::trace_with(options, |t| {
        let inputs: Inputs = forest.features().into_iter().map(|feature| (feature, t.input(&names[feature]))).collect();
        let votes: Vec<_> = forest.trees.iter().map(|tree| vote(t, &tree.benign_paths(), &inputs)).collect();
        let count = t.count::<u8>(&votes);
        t.output(VOTES, &count);
        t.output(BENIGN, &count.gt(forest.majority() as u8));
    })?;
    Ok(program)
}

/// One tree: an encrypted record cannot choose a branch, so every condition of the tree is evaluated, then which of the
/// benign leaves has all of its conditions met. Conditions that appear more than once are computed once.
fn vote(t: &Trace, benign_paths: &[Vec<Condition>], inputs: &Inputs) -> Encrypted<bool> {
    let leaf = |path: &Vec<Condition>| {
        let conditions: Vec<_> = path.iter().map(|&condition| met(condition, inputs)).collect();
        any_or_all(t, &conditions, true)
    };
    let leaves: Vec<_> = benign_paths.iter().map(leaf).collect();
    any_or_all(t, &leaves, false)
}

fn met((feature, threshold, above): Condition, inputs: &Inputs) -> Encrypted<bool> {
    let value = &inputs[&feature];
    if above { value.gt(threshold) } else { !value.gt(threshold) }
}

/// Whether all, or any, of `values` are true; no values are a tree that is a single leaf.
fn any_or_all(t: &Trace, values: &[Encrypted<bool>], all: bool) -> Encrypted<bool> {
    match values {
        [] => t.constant(all),
        [one] => one.clone(),
        more if all => t.all(more),
        more => t.any(more),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tree;
    use crate::{client, server};
    use fhe_core::SimulationBackend;
    use std::ops::ControlFlow;

    fn split(feature: usize, threshold: u8, below: Tree, above: Tree) -> Tree {
        Tree::Split { feature, threshold, below: Box::new(below), above: Box::new(above) }
    }

    /// The answers of the program, by the way of client and server, beside those of the clear forest.
    fn agree(forest: &Forest, rows: &[Vec<u8>]) {
        let names: Vec<String> = (0..3).map(|feature| format!("feature {feature}")).collect();
        let program = trace(forest, &names).unwrap();
        let columns: Vec<_> = forest
            .features()
            .into_iter()
            .map(|feature| (names[feature].as_str(), rows.iter().map(|row| row[feature]).collect()))
            .collect();
        let client = client::Client::new(true).unwrap();
        let request = client.request(&columns).unwrap();
        let bytes = program.to_bytes().unwrap();
        let observer = |_| ControlFlow::Continue(());
        let response = server::answer(SimulationBackend::new(), &bytes, &request, observer).unwrap();
        let answers = client.open(&response.outputs).unwrap();
        for (row, answer) in rows.iter().zip(answers) {
            assert_eq!((usize::from(answer.votes), answer.benign), (forest.votes(row), forest.benign(row)), "{row:?}");
        }
    }

    #[test]
    fn leaves_without_conditions_count_as_constant_votes() {
        let stump = split(1, 128, Tree::Leaf(true), Tree::Leaf(false));
        let rows: Vec<Vec<u8>> = [0, 127, 128, 129, 255].iter().map(|&value| vec![9, value, 9]).collect();
        agree(&Forest { trees: vec![stump.clone()] }, &rows);
        agree(&Forest { trees: vec![Tree::Leaf(true), stump.clone(), Tree::Leaf(false)] }, &rows);
        agree(&Forest { trees: vec![Tree::Leaf(true), Tree::Leaf(true), stump] }, &rows);
        assert!(trace(&Forest { trees: vec![Tree::Leaf(true)] }, &[]).is_err());
    }

    #[test]
    fn thresholds_at_both_ends_of_the_range_hold() {
        let tree = split(0, 254, split(2, 0, Tree::Leaf(false), Tree::Leaf(true)), Tree::Leaf(true));
        let rows: Vec<Vec<u8>> = [0, 1, 254, 255].iter().flat_map(|&a| [0, 1, 255].map(|b| vec![a, 0, b])).collect();
        agree(&Forest { trees: vec![tree] }, &rows);
    }

    #[test]
    fn a_deep_tree_agrees_on_all_of_its_leaves() {
        let mut tree = Tree::Leaf(true);
        for step in 0..6u8 {
            let other = split(usize::from(step % 3), 40 * step + 9, Tree::Leaf(step % 2 == 0), tree.clone());
            tree = split(usize::from((step + 1) % 3), 200 - 30 * step, tree, other);
        }
        let rows: Vec<Vec<u8>> = (0..60u8).map(|n| [37, 101, 211].map(|k: u8| n.wrapping_mul(k)).to_vec()).collect();
        agree(&Forest { trees: vec![tree] }, &rows);
    }
}
