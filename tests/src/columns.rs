//! Columns from and to plain bits, whatever their type.

use fhe_core::program::graph::Graph;
use fhe_core::{ClientKey, Column, Type};

/// A column of these values, given as the bits of their type.
///
/// # Panics
/// If encryption fails, which fails the test.
#[must_use]
pub fn encrypt(client: &ClientKey, ty: Type, bits: &[u64]) -> Column {
    fn column<T: fhe_core::Clear>(client: &ClientKey, bits: &[u64]) -> Column {
        client.encrypt(&bits.iter().map(|&bits| T::from_bits(bits)).collect::<Vec<T>>()).unwrap()
    }
    match ty {
        Type::Bool => column::<bool>(client, bits),
        Type::Uint(8) => column::<u8>(client, bits),
        Type::Uint(16) => column::<u16>(client, bits),
        Type::Uint(32) => column::<u32>(client, bits),
        Type::Uint(_) => column::<u64>(client, bits),
        Type::Int(8) => column::<i8>(client, bits),
        Type::Int(16) => column::<i16>(client, bits),
        Type::Int(32) => column::<i32>(client, bits),
        Type::Int(_) => column::<i64>(client, bits),
    }
}

/// The values of a column as the bits of their type.
///
/// # Panics
/// If decryption fails, which fails the test.
#[must_use]
pub fn decrypt(client: &ClientKey, column: &Column) -> Vec<u64> {
    fn values<T: fhe_core::Clear>(client: &ClientKey, column: &Column) -> Vec<u64> {
        client.decrypt::<T>(column).unwrap().into_iter().map(T::to_bits).collect()
    }
    match column.ty() {
        Type::Bool => values::<bool>(client, column),
        Type::Uint(8) => values::<u8>(client, column),
        Type::Uint(16) => values::<u16>(client, column),
        Type::Uint(32) => values::<u32>(client, column),
        Type::Uint(_) => values::<u64>(client, column),
        Type::Int(8) => values::<i8>(client, column),
        Type::Int(16) => values::<i16>(client, column),
        Type::Int(32) => values::<i32>(client, column),
        Type::Int(_) => values::<i64>(client, column),
    }
}

/// Rows of inputs: edge values first, then random ones.
#[must_use]
pub fn rows(graph: &Graph, seed: u64, count: usize) -> Vec<Vec<u64>> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let edges = [0, u64::MAX, 1, 1 << 63, (1 << 63) - 1, 0x80, 0x7f, 0x8000, 0x7fff, 0x8000_0000, 0x7fff_ffff];
    let value = |row: usize, port: usize, random: u64| match row {
        0..11 => edges[(row + port * (random as usize % 3)) % 11],
        _ => random,
    };
    (0..count)
        .map(|row| {
            let ports = graph.inputs().iter().enumerate();
            ports.map(|(index, port)| graph.ty(port.node).truncate(value(row, index, next()))).collect()
        })
        .collect()
}
