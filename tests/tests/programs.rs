//! Random programs on the simulation backend against plain integers, in both forms.

use fhe_core::program::graph::Graph;
use fhe_core::program::{OutputNoise, ProgramOptions};
use fhe_core::{Batch, ClientKey, Column, Engine, Form, ParameterSet, Program, RunOptions, SimulationBackend, Type};
use fhe_tests::clear;
use fhe_tests::random_programs::{TYPES, graphs};
use proptest::prelude::*;

fn encrypt(client: &ClientKey, ty: Type, bits: &[u64]) -> Column {
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

fn decrypt(client: &ClientKey, column: &Column) -> Vec<u64> {
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
fn rows(graph: &Graph, seed: u64, count: usize) -> Vec<Vec<u64>> {
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

fn check(graph: &Graph, seed: u64, noise: OutputNoise, forms: &[Form]) -> Result<(), TestCaseError> {
    let client = ClientKey::simulated(ParameterSet::default());
    let engine = Engine::new(SimulationBackend::new(), &client.evaluation_key().unwrap()).unwrap();
    let program = Program::from_graph(graph.clone(), ProgramOptions { output_noise: noise }).unwrap();
    let rows = rows(graph, seed, 24);
    let mut batch = Batch::new();
    for (index, port) in graph.inputs().iter().enumerate() {
        let bits: Vec<u64> = rows.iter().map(|row| row[index]).collect();
        batch.insert(&port.name, encrypt(&client, graph.ty(port.node), &bits)).unwrap();
    }
    let expected: Vec<Vec<u64>> = rows.iter().map(|row| clear::evaluate(graph, row)).collect();
    for &form in forms {
        let (outputs, _) = engine.run_with(&program, &batch, RunOptions::new().form(form)).unwrap();
        for (index, port) in graph.outputs().iter().enumerate() {
            let found = decrypt(&client, outputs.column(&port.name).unwrap());
            let expected: Vec<u64> = expected.iter().map(|row| row[index]).collect();
            prop_assert_eq!(found, expected, "{:?}, output {} of\n{}", form, port.name, graph);
        }
    }
    Ok(())
}

const BOTH: [Form; 2] = [Form::Throughput, Form::Latency];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 400, ..ProptestConfig::default() })]

    /// Short programs shrink to readable counterexamples.
    #[test]
    fn short_programs_agree_with_plain_integers(graph in graphs(&TYPES, 4), seed in any::<u64>()) {
        check(&graph, seed, OutputNoise::Nominal, &BOTH)?;
    }

    /// Long chains meet operands that are not fresh.
    #[test]
    fn long_programs_agree_with_plain_integers(
        graph in graphs(&[Type::Bool, Type::Uint(8), Type::Int(8), Type::Uint(16), Type::Int(16)], 40),
        seed in any::<u64>(),
    ) {
        check(&graph, seed, OutputNoise::AsComputed, &BOTH)?;
    }

    #[test]
    fn programs_survive_their_bytes(graph in graphs(&TYPES, 12)) {
        let program = Program::from_graph(graph, ProgramOptions::default()).unwrap();
        let bytes = program.to_bytes().unwrap();
        let back = Program::from_bytes(&bytes).unwrap();
        prop_assert_eq!(back.graph(), program.graph());
        prop_assert_eq!(back.id(), program.id());
    }
}

#[test]
fn damaged_programs_are_refused() {
    let program = Program::trace(|t| {
        let (a, b) = (t.input::<u8>("a"), t.input::<u8>("b"));
        t.output("sum", &(&a + &b));
    })
    .unwrap();
    let bytes = program.to_bytes().unwrap();
    for length in 0..bytes.len() {
        assert!(Program::from_bytes(&bytes[..length]).is_err(), "truncated to {length}");
    }
    for bit in 0..8 * bytes.len() {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(Program::from_bytes(&damaged).is_err(), "bit {bit} flipped");
    }
}
