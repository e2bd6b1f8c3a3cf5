//! The model: a forest of small decision trees over 8-bit integers, learnt in the clear.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use linfa::dataset::Dataset;
use linfa::traits::Fit;
use linfa_trees::{DecisionTree, TreeNode};
use ndarray::{Array1, Array2};
use rand::rngs::StdRng;
use rand::seq::index;
use rand::{RngExt, SeedableRng};

/// A condition on the way to a leaf: the feature, the threshold, and whether the value is above it.
pub type Condition = (usize, u8, bool);

/// A decision tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    /// The verdict: whether the record is benign.
    Leaf(bool),
    /// Goes on with `above` if the feature is greater than the threshold, with `below` otherwise.
    Split {
        /// Index of the feature.
        feature: usize,
        /// The largest value that goes below.
        threshold: u8,
        /// For values up to the threshold.
        below: Box<Tree>,
        /// For values above the threshold.
        above: Box<Tree>,
    },
}

impl Tree {
    /// The verdict on one record.
    pub fn benign(&self, values: &[u8]) -> bool {
        match self {
            Self::Leaf(benign) => *benign,
            Self::Split { feature, threshold, below, above } => {
                if values[*feature] > *threshold {
                    above.benign(values)
                } else {
                    below.benign(values)
                }
            }
        }
    }

    /// The conditions that lead to each benign leaf. For any record at most one of the lists is met as a whole: exactly
    /// one if the tree says benign.
    pub fn benign_paths(&self) -> Vec<Vec<Condition>> {
        let mut paths = Vec::new();
        self.collect_paths(&mut Vec::new(), &mut paths);
        paths
    }

    fn collect_paths(&self, path: &mut Vec<Condition>, paths: &mut Vec<Vec<Condition>>) {
        match self {
            Self::Leaf(true) => paths.push(path.clone()),
            Self::Leaf(false) => {}
            Self::Split { feature, threshold, below, above } => {
                for (side, is_above) in [(below, false), (above, true)] {
                    path.push((*feature, *threshold, is_above));
                    side.collect_paths(path, paths);
                    path.pop();
                }
            }
        }
    }

    fn collect_splits(&self, splits: &mut BTreeSet<(usize, u8)>) {
        if let Self::Split { feature, threshold, below, above } = self {
            splits.insert((*feature, *threshold));
            below.collect_splits(splits);
            above.collect_splits(splits);
        }
    }

    /// Takes over a tree that was fitted to the features `subset`. It was fitted with `value <= split` on integers,
    /// which is not `value > floor(split)`.
    fn from_fitted(node: &TreeNode<f64, bool>, subset: &[usize]) -> Result<Self> {
        if let Some(benign) = node.prediction() {
            return Ok(Self::Leaf(benign));
        }
        let side = |index: usize| {
            let child = node.children()[index].as_deref().context("a fitted split lacks a side")?;
            Ok::<_, anyhow::Error>(Box::new(Self::from_fitted(child, subset)?))
        };
        let (feature, split, _) = node.split();
        // Splits lie between two values of 0..=255.
        Ok(Self::Split { feature: subset[feature], threshold: split.floor() as u8, below: side(0)?, above: side(1)? })
    }
}

/// How a forest is learnt.
#[derive(Clone, Copy, Debug)]
pub struct Training {
    /// Number of trees.
    pub trees: usize,
    /// Most conditions on the way to a leaf.
    pub depth: usize,
    /// Features that each tree may use, drawn at random.
    pub features: usize,
    /// Seed of all draws.
    pub seed: u64,
}

/// Trees that vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forest {
    /// The trees.
    pub trees: Vec<Tree>,
}

impl Forest {
    /// Learns each tree from records and features of its own random choice.
    pub fn train(records: &[Vec<u8>], benign: &[bool], training: Training) -> Result<Self> {
        let mut rng = StdRng::seed_from_u64(training.seed);
        let all = records.first().context("no records to learn from")?.len();
        let tree = |_| {
            let rows: Vec<usize> = records.iter().map(|_| rng.random_range(0..records.len())).collect();
            let mut subset = index::sample(&mut rng, all, training.features.min(all)).into_vec();
            subset.sort_unstable();
            fit(records, benign, &rows, &subset, training.depth)
        };
        Ok(Self { trees: (0..training.trees).map(tree).collect::<Result<_>>()? })
    }

    /// How many trees find the record benign.
    pub fn votes(&self, values: &[u8]) -> usize {
        self.trees.iter().filter(|tree| tree.benign(values)).count()
    }

    /// The verdict of the majority.
    pub fn benign(&self, values: &[u8]) -> bool {
        self.votes(values) > self.majority()
    }

    /// A record is benign with more votes than this.
    pub fn majority(&self) -> usize {
        self.trees.len() / 2
    }

    /// The distinct conditions of all trees, as feature and threshold.
    pub fn splits(&self) -> BTreeSet<(usize, u8)> {
        let mut splits = BTreeSet::new();
        self.trees.iter().for_each(|tree| tree.collect_splits(&mut splits));
        splits
    }

    /// The features that any tree looks at, ascending.
    pub fn features(&self) -> BTreeSet<usize> {
        self.splits().into_iter().map(|(feature, _)| feature).collect()
    }
}

/// Fits one tree to the features `subset` of `rows`, which may name a record more than once.
fn fit(records: &[Vec<u8>], benign: &[bool], rows: &[usize], subset: &[usize], depth: usize) -> Result<Tree> {
    let values = Array2::from_shape_fn((rows.len(), subset.len()), |(row, column)| {
        f64::from(records[rows[row]][subset[column]])
    });
    let classes: Array1<bool> = rows.iter().map(|&row| benign[row]).collect();
    // A leaf with as many records of one class as of the other shall say malignant.
    let weights = classes.map(|&benign| if benign { 1.0 } else { 1.0 + 1.0 / 1024.0 });
    let fitted = DecisionTree::params()
        .max_depth(Some(depth))
        .min_weight_leaf(2.0)
        .fit(&Dataset::new(values, classes).with_weights(weights))
        .context("cannot fit a tree")?;
    Tree::from_fitted(fitted.root_node(), subset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(feature: usize, threshold: u8, below: Tree, above: Tree) -> Tree {
        Tree::Split { feature, threshold, below: Box::new(below), above: Box::new(above) }
    }

    #[test]
    fn paths_are_met_exactly_where_the_tree_says_benign() {
        let inner = split(1, 9, Tree::Leaf(false), Tree::Leaf(true));
        let tree = split(0, 100, Tree::Leaf(true), split(0, 200, inner, Tree::Leaf(false)));
        let paths = tree.benign_paths();
        assert_eq!(paths, [vec![(0, 100, false)], vec![(0, 100, true), (0, 200, false), (1, 9, true)]]);
        for values in [[0, 0], [100, 0], [101, 9], [101, 10], [200, 255], [201, 255], [255, 0]] {
            let met = |path: &&Vec<Condition>| path.iter().all(|&(f, t, above)| (values[f] > t) == above);
            assert_eq!(paths.iter().filter(met).count(), usize::from(tree.benign(&values)), "{values:?}");
        }
    }

    #[test]
    fn a_single_leaf_has_one_empty_path_or_none() {
        assert_eq!(Tree::Leaf(true).benign_paths(), [vec![]]);
        assert!(Tree::Leaf(false).benign_paths().is_empty());
    }

    /// Feature 1 decides, features 0 and 2 are constant or noise.
    fn separable() -> (Vec<Vec<u8>>, Vec<bool>) {
        let records: Vec<Vec<u8>> = (0..=200u8).map(|value| vec![7, value, value.wrapping_mul(37)]).collect();
        let benign = records.iter().map(|record| record[1] <= 90).collect();
        (records, benign)
    }

    #[test]
    fn a_forest_learns_a_threshold() {
        let (records, benign) = separable();
        let training = Training { trees: 5, depth: 2, features: 3, seed: 1 };
        let forest = Forest::train(&records, &benign, training).unwrap();
        let right = records.iter().zip(&benign).filter(|(record, benign)| forest.benign(record) == **benign).count();
        assert!(right >= records.len() - 4, "{right} of {}", records.len());
        assert!(forest.features().contains(&1) && !forest.features().contains(&0));
        assert_eq!(forest, Forest::train(&records, &benign, training).unwrap());
    }

    #[test]
    fn trees_agree_with_the_records_that_they_split() {
        // Values on both sides of a split differ by one, where `<=` and `<` at the split would differ.
        let records: Vec<Vec<u8>> = [4, 4, 5, 5, 6, 6].iter().map(|&value| vec![value]).collect();
        let benign = [true, true, true, true, false, false];
        let tree = fit(&records, &benign, &[0, 1, 2, 3, 4, 5], &[0], 3).unwrap();
        assert_eq!(tree, split(0, 5, Tree::Leaf(true), Tree::Leaf(false)));
    }

    #[test]
    fn records_that_cannot_be_told_apart_make_a_leaf_and_ties_are_malignant() {
        let records = vec![vec![3], vec![3], vec![3], vec![3]];
        let tree = fit(&records, &[true, false, true, false], &[0, 1, 2, 3], &[0], 3).unwrap();
        assert_eq!(tree, Tree::Leaf(false));
    }
}
