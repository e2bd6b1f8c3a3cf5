//! Bytes become programs, which run on the simulation backend and on plain integers.

use fhe_core::program::graph::Graph;
use fhe_core::{ClientKey, Engine, Form, ParameterSet, Program, ProgramOptions, RunOptions, SimulationBackend};
use fhe_tests::random_programs::{Step, TYPES, from_steps};
use fhe_tests::{clear, columns};

/// Larger programs find nothing more, and take seconds each.
const MAX_STEPS: usize = 20;
const ROWS: usize = 13;

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    /// The next bytes; zeros when there are no more.
    fn next<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_at(N.min(self.0.len()));
        self.0 = rest;
        std::array::from_fn(|at| taken.get(at).copied().unwrap_or(0))
    }

    fn step(&mut self) -> Step {
        let [kind] = self.next();
        let [a, b, c] = [(); 3].map(|()| u16::from_le_bytes(self.next()));
        // One byte on all places is enough for constants that differ in every digit.
        let [constant] = self.next::<1>();
        (kind, a, b, c, u64::from(constant).wrapping_mul(0x0101_0101_0101_0101))
    }
}

fn graph(bytes: &mut Bytes) -> Graph {
    let inputs = bytes.next::<2>().map(|byte| TYPES[usize::from(byte) % TYPES.len()]);
    let mut steps = vec![bytes.step()];
    while !bytes.0.is_empty() && steps.len() < MAX_STEPS {
        steps.push(bytes.step());
    }
    from_steps(&TYPES, &inputs, &steps).expect("every step is a well typed operation")
}

/// Runs a program in both forms and compares every row with plain integers.
pub fn run_programs(data: &[u8]) {
    let mut bytes = Bytes(data);
    let [seed] = bytes.next().map(u64::from);
    let graph = graph(&mut bytes);
    let program = match Program::from_graph(graph.clone(), ProgramOptions::default()) {
        Ok(program) => program,
        Err(error) => panic!("a graph that was checked node by node does not compile: {error}"),
    };
    let rows = columns::rows(&graph, seed, ROWS);
    let client = ClientKey::simulated(ParameterSet::default());
    let key = client.evaluation_key().expect("a simulated key");
    let batch = columns::batch(&client, &graph, &rows);
    let engine = Engine::new(SimulationBackend::with_noise(seed), &key).expect("an engine");
    let expected: Vec<_> = rows.iter().map(|row| clear::evaluate(&graph, row)).collect();
    for form in [Form::Throughput, Form::Latency] {
        let (result, _) =
            engine.run_with(&program, &batch, RunOptions::new().form(form)).expect("a program that compiles runs");
        assert_eq!(columns::results(&client, &graph, &result), expected, "{form:?} {program}");
    }
}
