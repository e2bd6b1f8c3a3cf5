//! Passes over a circuit before it is planned: dead code, and tables of tables.

use std::collections::{BTreeMap, HashMap};

use crate::circuit::block::{Block, LeafId};
use crate::circuit::builder::{Builder, Form, FormId, FormKey, Leaf, Source, paired_sum};
use crate::circuit::noise::quieten;
use crate::torus::BOXES;

/// How many functions one bootstrap evaluates on inputs `0..=span`: F with F·(span + 1) <= 16, a power of two.
pub(crate) fn functions_per_bootstrap(span: i64) -> usize {
    let domain = (span as usize + 1).next_power_of_two();
    (BOXES / domain).max(1)
}

/// Leaves and forms with what is still used of them.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) forms: Vec<Form>,
    pub(crate) operations: Vec<String>,
    /// Per leaf: how many live forms and outputs read it.
    pub(crate) uses: Vec<u32>,
}

impl Net {
    /// Takes the circuit, drops what no output needs, composes tables of tables, and keeps the noise within its bound.
    pub(crate) fn optimise(builder: Builder, outputs: &mut [Block]) -> Self {
        let Builder { leaves, forms, operations, .. } = builder;
        let mut net = Self { uses: vec![0; leaves.len()], leaves, forms, operations };
        net.count_uses(outputs);
        for form in 0..net.forms.len() {
            net.try_compose(form as FormId);
        }
        net.number(outputs);
        quieten(&mut net, outputs);
        net
    }

    /// Makes lookups that have become equal one, and forms over them.
    fn number(&mut self, outputs: &mut [Block]) {
        let mut names: Vec<LeafId> = (0..self.leaves.len() as LeafId).collect();
        let mut forms: HashMap<FormKey, FormId> = HashMap::new();
        let mut lookups: HashMap<(FormId, Vec<i64>), LeafId> = HashMap::new();
        // A form only reads leaves of forms before it.
        for id in 0..self.forms.len() {
            let form = &mut self.forms[id];
            let moved = std::mem::take(&mut form.lookups);
            form.terms = renamed(&form.terms, &names);
            let key = (form.terms.clone(), form.constant, form.span);
            let target = *forms.entry(key).or_insert(id as FormId);
            for leaf in moved {
                let values = self.values(leaf).to_vec();
                let known = *lookups.entry((target, values.clone())).or_insert(leaf);
                names[leaf as usize] = known;
                if known == leaf {
                    self.leaves[leaf as usize].source = Source::Lookup { form: target, values };
                    self.forms[target as usize].lookups.push(leaf);
                }
            }
        }
        for block in outputs.iter_mut() {
            *block = block.with_terms(renamed(block.terms(), &names));
        }
        self.count_uses(outputs);
    }

    /// Recounts the uses from the outputs backwards and drops dead lookups.
    ///
    /// A form only reads leaves that existed before it, so one pass over the forms in reverse suffices.
    pub(crate) fn count_uses(&mut self, outputs: &[Block]) {
        self.uses.fill(0);
        for &(leaf, _) in outputs.iter().flat_map(Block::terms) {
            self.uses[leaf as usize] += 1;
        }
        for form in self.forms.iter_mut().rev() {
            let uses = &mut self.uses;
            form.lookups.retain(|&leaf| uses[leaf as usize] > 0);
            if !form.lookups.is_empty() {
                form.terms.iter().for_each(|&(leaf, _)| uses[leaf as usize] += 1);
            }
        }
    }

    /// The form that a leaf is a lookup on.
    pub(crate) fn form_of(&self, leaf: LeafId) -> Option<FormId> {
        match self.leaves[leaf as usize].source {
            Source::Lookup { form, .. } => Some(form),
            Source::Input { .. } => None,
        }
    }

    pub(crate) fn values(&self, leaf: LeafId) -> &[i64] {
        match &self.leaves[leaf as usize].source {
            Source::Lookup { values, .. } => values,
            Source::Input { .. } => &[],
        }
    }

    /// Bootstraps for these lookups on a form of that span; equal tables count once.
    fn cost<'a>(span: i64, tables: impl Iterator<Item = &'a [i64]>) -> usize {
        let mut distinct: Vec<&[i64]> = tables.collect();
        distinct.sort_unstable();
        distinct.dedup();
        distinct.len().div_ceil(functions_per_bootstrap(span))
    }

    /// If all that `outer` reads comes from lookups on one other form, its tables can be applied to that form
    /// directly: `g(Σ c·f_i(x))` is one function of x. Done where it takes no more bootstraps; it saves a level and
    /// often the inner lookups.
    fn try_compose(&mut self, outer: FormId) {
        let form = &self.forms[outer as usize];
        if form.lookups.is_empty() {
            return;
        }
        let mut sources = form.terms.iter().map(|&(leaf, _)| self.form_of(leaf));
        let Some(Some(inner)) = sources.next() else { return };
        if !sources.all(|source| source == Some(inner)) {
            return;
        }
        let Some(tables) = self.composed(outer, inner) else { return };
        let inner_form = &self.forms[inner as usize];
        let is_freed =
            |leaf: &LeafId| self.uses[*leaf as usize] == 1 && form.terms.iter().any(|(read, _)| read == leaf);
        let before = Self::cost(inner_form.span, inner_form.lookups.iter().map(|&leaf| self.values(leaf)))
            + Self::cost(form.span, form.lookups.iter().map(|&leaf| self.values(leaf)));
        let kept = inner_form.lookups.iter().filter(|leaf| !is_freed(leaf)).map(|&leaf| self.values(leaf));
        let after = Self::cost(inner_form.span, kept.chain(tables.iter().map(Vec::as_slice)));
        if after > before {
            return;
        }
        let freed: Vec<LeafId> = inner_form.lookups.iter().copied().filter(is_freed).collect();
        let moved = std::mem::take(&mut self.forms[outer as usize].lookups);
        for &(leaf, _) in &self.forms[outer as usize].terms {
            self.uses[leaf as usize] -= 1;
        }
        for (&leaf, values) in moved.iter().zip(tables) {
            self.leaves[leaf as usize].source = Source::Lookup { form: inner, values };
        }
        let lookups = &mut self.forms[inner as usize].lookups;
        lookups.retain(|leaf| !freed.contains(leaf));
        lookups.extend(moved);
    }

    /// A new lookup on a form, or the one that is there.
    pub(crate) fn push_lookup(&mut self, form: FormId, values: Vec<i64>) -> LeafId {
        let known = self.forms[form as usize].lookups.iter().find(|&&leaf| self.values(leaf) == values);
        if let Some(&leaf) = known {
            return leaf;
        }
        let leaf = self.leaves.len() as LeafId;
        self.leaves.push(Leaf { source: Source::Lookup { form, values } });
        self.uses.push(0);
        self.forms[form as usize].lookups.push(leaf);
        leaf
    }

    /// The tables of `outer` as functions of the value of `inner`; `None` if one of them does not fit there.
    fn composed(&self, outer: FormId, inner: FormId) -> Option<Vec<Vec<i64>>> {
        let form = &self.forms[outer as usize];
        let arguments: Vec<i64> = (0..=self.forms[inner as usize].span)
            .map(|x| {
                let terms = form.terms.iter().map(|&(leaf, c)| i64::from(c) * self.values(leaf)[x as usize]);
                form.constant + terms.sum::<i64>()
            })
            .collect();
        form.lookups
            .iter()
            .map(|&leaf| {
                let table = self.values(leaf);
                // An argument outside the table belongs to a value of `inner` that never occurs.
                let entry = |&x: &i64| usize::try_from(x).ok().and_then(|x| table.get(x)).copied();
                let reachable = arguments.iter().all(|x| (0..=form.span).contains(x));
                let values: Vec<i64> = arguments.iter().map(|x| entry(x).unwrap_or(0)).collect();
                let fits = values.len() <= BOXES || (reachable && paired_sum(&values).is_some());
                fits.then_some(values)
            })
            .collect()
    }
}

/// Terms under other names, equal ones added up.
fn renamed(terms: &[(LeafId, i32)], names: &[LeafId]) -> Vec<(LeafId, i32)> {
    let mut sums = BTreeMap::new();
    for &(leaf, coefficient) in terms {
        *sums.entry(names[leaf as usize]).or_insert(0) += coefficient;
    }
    sums.into_iter().filter(|&(_, coefficient)| coefficient != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bootstraps(net: &Net) -> usize {
        let per_form = |form: &Form| Net::cost(form.span, form.lookups.iter().map(|&leaf| net.values(leaf)));
        net.forms.iter().map(per_form).sum()
    }

    #[test]
    fn many_functions_share_a_bootstrap() {
        assert_eq!([0, 1, 2, 3, 4, 7, 8, 15, 30].map(functions_per_bootstrap), [16, 8, 4, 4, 2, 2, 1, 1, 1]);
    }

    #[test]
    fn dead_lookups_are_dropped() {
        let mut b = Builder::new();
        let x = b.input(0, 0, 0..=3);
        let dead = b.lookup(&x, |v| v / 2);
        b.lookup(&(&dead + &x), |v| v & 1);
        let live = b.lookup(&x, |v| v & 1);
        let net = Net::optimise(b, &mut [live]);
        assert_eq!(bootstraps(&net), 1);
    }

    #[test]
    fn a_table_of_tables_on_one_form_becomes_one_table() {
        let mut b = Builder::new();
        let x = b.input(0, 0, 0..=15);
        let (low, high) = (b.lookup(&x, |v| v & 3), b.lookup(&x, |v| v >> 2));
        let at_least_8 = b.lookup_sum(&[(&high, 4), (&low, 1)], 0, |v| i64::from(v >= 8));
        let mut outputs = [at_least_8];
        let net = Net::optimise(b, &mut outputs);
        assert_eq!(bootstraps(&net), 1);
        let (leaf, _) = outputs[0].terms()[0];
        assert_eq!(net.values(leaf), (0..16).map(|v| i64::from(v >= 8)).collect::<Vec<_>>());
    }

    /// 3·x and 3·y have the norm 6 if x and y are one output, √18 if they are two.
    #[test]
    fn outputs_that_become_the_same_are_one() {
        let mut b = Builder::new();
        let (x, y) = (b.input(0, 0, 0..=15), b.input(0, 1, 0..=1));
        let bit = b.lookup(&x, |v| v >> 3);
        let complement = b.lookup(&x, |v| 1 - (v >> 3));
        assert_eq!(complement.terms()[0].0, bit.terms()[0].0, "a table and its complement are one leaf");
        let same = b.lookup(&bit, |v| 1 - v);
        let sum = b.lookup_sum(&[(&bit, 3), (&same, -3), (&y, 1)], 0, |v| v & 1);
        let net = Net::optimise(b, &mut [sum]);
        let norm2 = |form: &Form| form.terms.iter().map(|term| term.1.pow(2)).sum::<i32>();
        let live = net.forms.iter().filter(|form| !form.lookups.is_empty());
        assert_eq!(live.map(norm2).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn tables_of_a_narrow_value_are_not_moved_to_a_wide_form() {
        let mut b = Builder::new();
        let x = b.input(0, 0, 0..=15);
        let bit = b.lookup(&x, |v| i64::from(v > 4));
        let mut outputs: Vec<Block> = (1..=8).map(|k| b.lookup(&bit, |v| k * v * v)).collect();
        let net = Net::optimise(b, &mut outputs);
        assert_eq!(bootstraps(&net), 2, "eight functions of one bit share a bootstrap");
    }
}
