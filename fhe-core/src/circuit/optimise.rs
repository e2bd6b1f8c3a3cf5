//! Passes over a circuit before it is planned: dead code, and tables of tables.

use crate::circuit::block::{Block, LeafId};
use crate::circuit::builder::{Builder, Form, FormId, Leaf, Source, paired_sum};
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
    /// Takes the circuit, drops what no output needs, and composes tables of tables.
    pub(crate) fn optimise(builder: Builder, outputs: &[Block]) -> Self {
        let Builder { leaves, forms, operations, .. } = builder;
        let mut net = Self { uses: vec![0; leaves.len()], leaves, forms, operations };
        net.count_uses(outputs);
        for form in 0..net.forms.len() {
            net.try_compose(form as FormId);
        }
        net.count_uses(outputs);
        net
    }

    /// Recounts the uses from the outputs backwards and drops dead lookups.
    ///
    /// A form only reads leaves that existed before it, so one pass over the forms in reverse suffices.
    fn count_uses(&mut self, outputs: &[Block]) {
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
        let mut sources = form.terms.iter().map(|&(leaf, _)| match &self.leaves[leaf as usize].source {
            Source::Lookup { form, .. } => Some(*form),
            Source::Input { .. } => None,
        });
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
        let net = Net::optimise(b, &[live]);
        assert_eq!(bootstraps(&net), 1);
    }

    #[test]
    fn a_table_of_tables_on_one_form_becomes_one_table() {
        let mut b = Builder::new();
        let x = b.input(0, 0, 0..=15);
        let (low, high) = (b.lookup(&x, |v| v & 3), b.lookup(&x, |v| v >> 2));
        let at_least_8 = b.lookup_sum(&[(&high, 4), (&low, 1)], 0, |v| i64::from(v >= 8));
        let net = Net::optimise(b, std::slice::from_ref(&at_least_8));
        assert_eq!(bootstraps(&net), 1);
        let (leaf, _) = at_least_8.terms()[0];
        assert_eq!(net.values(leaf), (0..16).map(|v| i64::from(v >= 8)).collect::<Vec<_>>());
    }

    #[test]
    fn tables_of_a_narrow_value_are_not_moved_to_a_wide_form() {
        let mut b = Builder::new();
        let x = b.input(0, 0, 0..=15);
        let bit = b.lookup(&x, |v| i64::from(v > 4));
        let outputs: Vec<Block> = (1..=8).map(|k| b.lookup(&bit, |v| k * v)).collect();
        let net = Net::optimise(b, &outputs);
        assert_eq!(bootstraps(&net), 2, "eight functions of one bit share a bootstrap");
    }
}
