//! Every operation of the catalogue on the simulation backend against plain integers.

use fhe_core::program::graph::Graph;
use fhe_core::{
    Bits, ClientKey, Engine, Form, ParameterSet, Program, ProgramOptions, RunOptions, SimulationBackend, Type,
};
use fhe_tests::catalogue::OPERATIONS;
use fhe_tests::{clear, columns};
use rayon::prelude::*;

const FORMS: [Form; 2] = [Form::Throughput, Form::Latency];

/// Both forms of a program on these rows.
fn expect(name: &str, graph: &Graph, rows: &[Vec<Bits>], seed: u64) {
    let client = ClientKey::simulated(ParameterSet::default());
    let engine = Engine::new(SimulationBackend::with_noise(seed), &client.evaluation_key().unwrap()).unwrap();
    let program = Program::from_graph(graph.clone(), ProgramOptions::default())
        .unwrap_or_else(|error| panic!("{name} cannot be planned: {error}\n{graph}"));
    let batch = columns::batch(&client, graph, rows);
    for form in FORMS {
        let (outputs, _) = engine
            .run_with(&program, &batch, RunOptions::new().form(form))
            .unwrap_or_else(|error| panic!("{name}, {form:?}: {error}\n{graph}"));
        for (inputs, found) in rows.iter().zip(columns::results(&client, graph, &outputs)) {
            let expected = clear::evaluate(graph, inputs);
            assert_eq!(found, expected, "{name}, {form:?}, seed {seed}, inputs {inputs:x?} of\n{graph}");
        }
    }
}

/// All values of one or two bytes of inputs, where an operation has no more.
#[test]
fn all_bytes() {
    let pairs = OPERATIONS.iter().flat_map(|operation| [Type::Uint(8), Type::Int(8)].map(|ty| (operation, ty)));
    pairs.collect::<Vec<_>>().into_par_iter().for_each(|(operation, ty)| {
        let Ok(graph) = operation.graph(ty) else { return };
        let widths: Vec<u32> = graph.inputs().iter().map(|port| graph.ty(port.node).bits()).collect();
        if widths.iter().sum::<u32>() > 17 {
            return;
        }
        let row = |mut number: u64| -> Vec<Bits> {
            let take = |&width: &u32| {
                let bits = Bits::from(number).truncate(width);
                number >>= width;
                bits
            };
            widths.iter().map(take).collect()
        };
        let rows: Vec<Vec<Bits>> = (0..1 << widths.iter().sum::<u32>()).map(row).collect();
        expect(&format!("{} {ty}", operation.name), &graph, &rows, 8);
    });
}

/// Edges and random values at every width up to 66 bits and at some up to 256.
#[test]
fn all_widths() {
    let widths = (2..=66).step_by(2).chain([72, 96, 120, 128, 130, 160, 200, 254, 256]);
    let types = widths.flat_map(|bits| [Type::Uint(bits), Type::Int(bits)]);
    let all = types.flat_map(|ty| OPERATIONS.iter().map(move |operation| (operation, ty)));
    all.collect::<Vec<_>>().into_par_iter().for_each(|(operation, ty)| {
        let Ok(graph) = operation.graph(ty) else { return };
        let rows = columns::rows(&graph, u64::from(ty.bits()), if ty.bits() > 66 { 12 } else { 40 });
        expect(&format!("{} {ty}", operation.name), &graph, &rows, u64::from(ty.bits()));
    });
}
