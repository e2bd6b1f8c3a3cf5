//! Which tables on a form share a bootstrap.

use crate::circuit::block::LeafId;
use crate::circuit::builder::{Form, paired_sum};
use crate::circuit::optimise::{Net, functions_per_bootstrap};
use crate::torus::{BOXES, DELTA, encode};

/// Tables on one form that are evaluated together.
pub(crate) struct Bootstrap {
    /// The whole table: torus words of the boxes.
    pub(crate) boxes: [u64; BOXES],
    /// The box at which each output is extracted.
    pub(crate) outputs: Vec<(usize, LeafId)>,
}

/// The tables on a form in as few bootstraps as its range allows; equal tables are one.
pub(crate) fn bootstraps(net: &Net, form: &Form) -> Vec<Bootstrap> {
    let mut distinct: Vec<(&[i64], Vec<LeafId>)> = Vec::new();
    for &leaf in &form.lookups {
        let values = net.values(leaf);
        match distinct.iter_mut().find(|(known, _)| *known == values) {
            Some((_, leaves)) => leaves.push(leaf),
            None => distinct.push((values, vec![leaf])),
        }
    }
    let groups = distinct.chunks(functions_per_bootstrap(form.span));
    let bootstrap = |group: &[(&[i64], Vec<LeafId>)]| {
        // As many boxes per function as the group leaves room for.
        let stride = BOXES / group.len().next_power_of_two();
        let mut bootstrap = Bootstrap { boxes: [0; BOXES], outputs: Vec::new() };
        for (function, (values, leaves)) in group.iter().enumerate() {
            let (at, bias) = (function * stride, output_bias(values));
            for (entry, &value) in bootstrap.boxes[at..].iter_mut().zip(*values) {
                *entry = encode(value).wrapping_sub(bias);
            }
            bootstrap.outputs.extend(leaves.iter().map(|&leaf| (at, leaf)));
        }
        bootstrap
    };
    groups.map(bootstrap).collect()
}

/// Half the paired sum of a negacyclic table: what its torus values lack.
pub(crate) fn output_bias(values: &[i64]) -> u64 {
    let sum = paired_sum(values).unwrap_or(0);
    (DELTA / 2).wrapping_mul(sum as u64)
}
