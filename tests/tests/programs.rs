//! Random programs on the simulation backend against plain integers, in both forms.

use fhe_core::program::graph::{BinaryOp, Graph, Op};
use fhe_core::program::{OutputNoise, ProgramOptions};
use fhe_core::{Bits, ClientKey, Engine, Error, Form, ParameterSet, Program, RunOptions, SimulationBackend, Type};
use fhe_tests::clear;
use fhe_tests::columns::{batch, results, rows};
use fhe_tests::random_programs::{TYPES, graphs};
use proptest::prelude::*;

fn check(graph: &Graph, seed: u64, noise: OutputNoise, forms: &[Form]) -> Result<(), TestCaseError> {
    let client = ClientKey::simulated(ParameterSet::default());
    let engine = Engine::new(SimulationBackend::new(), &client.evaluation_key().unwrap()).unwrap();
    let program = Program::from_graph(graph.clone(), ProgramOptions { output_noise: noise }).unwrap();
    let rows = rows(graph, seed, 24);
    let batch = batch(&client, graph, &rows);
    let expected: Vec<Vec<Bits>> = rows.iter().map(|row| clear::evaluate(graph, row)).collect();
    for &form in forms {
        let (outputs, _) = engine.run_with(&program, &batch, RunOptions::new().form(form)).unwrap();
        prop_assert_eq!(results(&client, graph, &outputs), expected.clone(), "{:?}, seed {}\n{}", form, seed, graph);
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

/// Elements whose digits are never 0, and an index past the last of a group.
#[test]
fn an_index_in_a_group_without_that_item() {
    let mut graph = Graph::default();
    let u8s = Type::Uint(8);
    let mask = graph.push(Op::Constant(Bits::from(0x55u8)), u8s).unwrap();
    let mut elements = Vec::new();
    for at in 0..7 {
        let input = graph.push_input(&format!("a{at}"), u8s).unwrap();
        elements.push(graph.push(Op::Binary(BinaryOp::Or, input, mask), u8s).unwrap());
    }
    let index = graph.push_input("i", u8s).unwrap();
    for count in 2..=7 {
        let read = graph.push(Op::Index { elements: elements[..count].to_vec(), index }, u8s).unwrap();
        graph.push_output(&format!("of{count}"), read).unwrap();
    }
    let client = ClientKey::simulated(ParameterSet::default());
    let engine = Engine::new(SimulationBackend::new(), &client.evaluation_key().unwrap()).unwrap();
    let program = Program::from_graph(graph.clone(), ProgramOptions::default()).unwrap();
    let rows: Vec<Vec<Bits>> = (0..9u8)
        .flat_map(|index| [255, 0].map(|value| [&[value; 7][..], &[index]].concat()))
        .map(|row| row.into_iter().map(Bits::from).collect())
        .collect();
    let expected: Vec<_> = rows.iter().map(|row| clear::evaluate(&graph, row)).collect();
    for form in BOTH {
        let input = batch(&client, &graph, &rows);
        let (outputs, _) = engine.run_with(&program, &input, RunOptions::new().form(form)).unwrap();
        assert_eq!(results(&client, &graph, &outputs), expected, "{form:?}");
    }
}

/// A choice between known digits of three choices deep: a multiple that is noisier than any sum that is looked up.
#[test]
fn multiples_of_noisy_truth_values_compile() {
    let program = Program::trace(|t| {
        let [b1, a1, b2, a2, c] = ["b1", "a1", "b2", "a2", "c"].map(|name| t.input::<bool>(name));
        let v = t.input::<u8>("v");
        let (z1, z2) = (a1.select(&a1, &b1), a2.select(&a2, &b2));
        let z3 = c.select(&z1, &z2);
        t.output("out", &(z3.select(3u8, 0u8) & v));
    });
    program.unwrap().statistics(Form::Latency).unwrap();
}

/// Before anything is allocated for them; and nothing is left behind in a graph.
#[test]
fn types_without_an_encrypted_form_are_refused() {
    let client = ClientKey::simulated(ParameterSet::default());
    for values in [&[][..], &[Bits::ZERO]] {
        let refused = client.encrypt_bits(Type::Uint(u32::MAX), values);
        assert!(matches!(refused, Err(Error::InvalidOperand { .. })));
    }
    let mut graph = Graph::default();
    assert!(matches!(graph.push_input("a", Type::Uint(3)), Err(Error::InvalidOperand { .. })));
    let input = graph.push_input("a", Type::Uint(8)).unwrap();
    graph.push_output("b", input).unwrap();
    graph.validate().unwrap();
}
