//! Columns from and to plain bits, whatever their type.

use fhe_core::program::graph::Graph;
use fhe_core::{Batch, Bits, ClientKey, Column, Type};

/// A column of these values, given as the bits of their type.
///
/// # Panics
/// If encryption fails, which fails the test.
#[must_use]
pub fn encrypt(client: &ClientKey, ty: Type, bits: &[Bits]) -> Column {
    client.encrypt_bits(ty, bits).unwrap()
}

/// The values of a column as the bits of their type.
///
/// # Panics
/// If decryption fails, which fails the test.
#[must_use]
pub fn decrypt(client: &ClientKey, column: &Column) -> Vec<Bits> {
    client.decrypt_bits(column).unwrap()
}

/// The inputs of a program, from rows of plain values.
///
/// # Panics
/// If encryption fails, which fails the test.
#[must_use]
pub fn batch(client: &ClientKey, graph: &Graph, rows: &[Vec<Bits>]) -> Batch {
    let mut batch = Batch::new();
    for (index, port) in graph.inputs().iter().enumerate() {
        let bits: Vec<Bits> = rows.iter().map(|row| row[index]).collect();
        batch.insert(&port.name, encrypt(client, graph.ty(port.node), &bits)).unwrap();
    }
    batch
}

/// The outputs of a program as rows of plain values.
///
/// # Panics
/// If decryption fails or an output is missing, which fails the test.
#[must_use]
pub fn results(client: &ClientKey, graph: &Graph, outputs: &Batch) -> Vec<Vec<Bits>> {
    let columns: Vec<Vec<Bits>> =
        graph.outputs().iter().map(|port| decrypt(client, outputs.column(&port.name).unwrap())).collect();
    (0..outputs.rows()).map(|row| columns.iter().map(|column| column[row]).collect()).collect()
}

/// `SplitMix64`: reproducible numbers, the same on every machine.
#[derive(Clone, Debug)]
pub struct Numbers(pub u64);

impl Numbers {
    /// The next number.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.word() % limit.max(1) as u64) as usize
    }

    /// Uniform bits of a type.
    pub fn uniform(&mut self, ty: Type) -> Bits {
        let limbs = std::array::from_fn(|_| self.word());
        ty.truncate(Bits::from_limbs(limbs))
    }

    /// Random bits of a type: all of them random, or a small number, or one bit, a power of two and its neighbours,
    /// or an extreme.
    pub fn value(&mut self, ty: Type) -> Bits {
        let limbs = std::array::from_fn(|_| self.word());
        let random = Bits::from_limbs(limbs);
        let at = self.below(ty.bits() as usize) as u32;
        let ones = Bits::MAX.truncate(at);
        ty.truncate(match self.below(12) {
            0 => Bits::ZERO,
            1 => Bits::MAX,
            2 => Bits::MAX.truncate(ty.bits() - 1),
            3 => power_of_two(ty.bits() - 1),
            4 => power_of_two(at),
            5 => ones,
            6 => Bits::from_limbs(ones.limbs().map(|limb| !limb)),
            7 => Bits::from(limbs[0] % 20),
            8 => random.truncate(at),
            _ => random,
        })
    }
}

fn power_of_two(at: u32) -> Bits {
    let mut limbs = [0; 4];
    limbs[(at / 64) as usize] = 1 << (at % 64);
    Bits::from_limbs(limbs)
}

/// Rows of inputs: among them extremes, small numbers, powers of two, and equal operands.
#[must_use]
pub fn rows(graph: &Graph, seed: u64, count: usize) -> Vec<Vec<Bits>> {
    let mut numbers = Numbers(seed);
    (0..count)
        .map(|_| {
            let mut row: Vec<Bits> = Vec::new();
            for port in graph.inputs() {
                let ty = graph.ty(port.node);
                let same = row.last().filter(|_| numbers.below(8) == 0).copied();
                row.push(ty.truncate(same.unwrap_or_else(|| numbers.value(ty))));
            }
            row
        })
        .collect()
}
