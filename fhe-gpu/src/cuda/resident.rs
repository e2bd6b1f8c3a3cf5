//! Tables, lookups and linear forms as flat arrays on the card.

use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use fhe_core::Result;
use fhe_core::backend::check::LookupBounds;
use fhe_core::lookup::{LinearForms, Lookup, LookupTable};
use fhe_core::torus::BOXES;

use super::buffer::Buffer;
use super::device::Card;
use super::key::{N, upper_word};

/// Accumulator polynomials, `[table][N]` torus words of 32 bits.
pub struct CudaTables {
    pub(super) words: Buffer<u32>,
    pub(super) count: usize,
}

impl CudaTables {
    pub(super) fn load(card: &Arc<Card>, tables: &[LookupTable]) -> Result<Self> {
        let words: Vec<u32> = tables.iter().flat_map(|table| table.polynomial(N)).map(upper_word).collect();
        Ok(Self { words: Buffer::copy(card, &words)?, count: tables.len() })
    }
}

/// A lookup as the kernels read it: its outputs are `outputs[first_output..first_output + output_count]`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct FlatLookup {
    input: u32,
    table: u32,
    first_output: u32,
    output_count: u32,
}

/// An output as the kernels read it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct FlatOutput {
    coefficient: u32,
    slot: u32,
}

/// Lookups, with their outputs in a list of their own.
pub struct CudaLookups {
    pub(super) lookups: Buffer<FlatLookup>,
    pub(super) outputs: Buffer<FlatOutput>,
    pub(super) bounds: LookupBounds,
}

impl CudaLookups {
    pub(super) fn load(card: &Arc<Card>, tables: usize, lookups: &[Lookup]) -> Result<Self> {
        let bounds = LookupBounds::new(lookups, tables)?;
        let (lookups, outputs) = flatten_lookups(lookups);
        Ok(Self { lookups: Buffer::copy(card, &lookups)?, outputs: Buffer::copy(card, &outputs)?, bounds })
    }
}

fn flatten_lookups(lookups: &[Lookup]) -> (Vec<FlatLookup>, Vec<FlatOutput>) {
    let (mut flat, mut outputs) = (Vec::with_capacity(lookups.len()), Vec::new());
    for lookup in lookups {
        flat.push(FlatLookup {
            input: lookup.input,
            table: lookup.table,
            first_output: outputs.len() as u32,
            output_count: lookup.outputs.len() as u32,
        });
        let box_size = (N / BOXES) as u32;
        outputs.extend(
            lookup.outputs.iter().map(|output| FlatOutput { coefficient: output.at * box_size, slot: output.slot }),
        );
    }
    (flat, outputs)
}

/// A term as the kernel reads it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct FlatTerm {
    slot: u32,
    coefficient: i32,
}

/// Linear forms in compressed rows: the terms of form i end before `ends[i]`.
pub struct CudaForms {
    pub(super) terms: Buffer<FlatTerm>,
    pub(super) ends: Buffer<u32>,
    pub(super) constants: Buffer<u64>,
    /// One more than the largest slot that is read.
    pub(super) slots: usize,
}

impl CudaForms {
    pub(super) fn load(card: &Arc<Card>, forms: &LinearForms) -> Result<Self> {
        let (terms, ends, constants) = flatten_forms(forms);
        Ok(Self {
            terms: Buffer::copy(card, &terms)?,
            ends: Buffer::copy(card, &ends)?,
            constants: Buffer::copy(card, &constants)?,
            slots: forms.slots(),
        })
    }

    /// Number of forms.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}

fn flatten_forms(forms: &LinearForms) -> (Vec<FlatTerm>, Vec<u32>, Vec<u64>) {
    let (mut terms, mut ends, mut constants) = (Vec::new(), Vec::new(), Vec::new());
    for (form, constant) in forms.iter() {
        terms.extend(form.iter().map(|term| FlatTerm { slot: term.slot, coefficient: term.coefficient }));
        ends.push(terms.len() as u32);
        constants.push(constant);
    }
    (terms, ends, constants)
}

#[cfg(test)]
mod tests {
    use fhe_core::lookup::{LookupOutput, Term};

    use super::*;

    #[test]
    fn lookups_name_their_part_of_the_outputs() {
        let output = |at, slot| LookupOutput { at, slot };
        let lookups = [
            Lookup { input: 3, table: 1, outputs: vec![output(0, 7), output(8, 2)] },
            Lookup { input: 0, table: 0, outputs: Vec::new() },
            Lookup { input: 1, table: 2, outputs: vec![output(15, 4)] },
        ];
        let (flat, outputs) = flatten_lookups(&lookups);
        let words: Vec<[u32; 4]> = flat.iter().map(|&lookup| bytemuck::cast(lookup)).collect();
        assert_eq!(words, [[3, 1, 0, 2], [0, 0, 2, 0], [1, 2, 2, 1]]);
        let words: Vec<[u32; 2]> = outputs.iter().map(|&output| bytemuck::cast(output)).collect();
        assert_eq!(words, [[0, 7], [1024, 2], [1920, 4]]);
    }

    #[test]
    fn forms_keep_their_order_and_empty_ones_their_constants() {
        let mut forms = LinearForms::new();
        forms.push([Term { slot: 4, coefficient: -2 }, Term { slot: 0, coefficient: 1 }], 7);
        forms.push([], 9);
        forms.push([Term { slot: 1, coefficient: i32::MIN }], 0);
        let (terms, ends, constants) = flatten_forms(&forms);
        let words: Vec<[u32; 2]> = terms.iter().map(|&term| bytemuck::cast(term)).collect();
        assert_eq!(words, [[4, u32::MAX - 1], [0, 1], [1, 1 << 31]]);
        assert_eq!((ends, constants), (vec![2, 2, 3], vec![7, 9, 0]));
    }
}
