//! Bytes become programs, which run on the simulation backend and on plain integers.

use fhe_core::program::graph::{BinaryOp, CompareOp, Graph, NodeId, Op, ShiftOp};
use fhe_core::{
    Batch, ClientKey, Engine, Form, ParameterSet, Program, ProgramOptions, RunOptions, SimulationBackend, Type,
};
use fhe_tests::{clear, columns};

/// Larger programs find nothing more, and take seconds each.
const MAX_NODES: usize = 24;
const ROWS: usize = 13;

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    /// The next byte; 0 when there are no more.
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.next()) % all.len()]
    }
}

const TYPES: [Type; 9] = [
    Type::Bool,
    Type::Uint(8),
    Type::Int(8),
    Type::Uint(16),
    Type::Int(16),
    Type::Uint(32),
    Type::Int(32),
    Type::Uint(64),
    Type::Int(64),
];
const BINARY: [BinaryOp; 8] = [
    BinaryOp::Add,
    BinaryOp::Sub,
    BinaryOp::Mul,
    BinaryOp::And,
    BinaryOp::Or,
    BinaryOp::Xor,
    BinaryOp::Min,
    BinaryOp::Max,
];
const COMPARE: [CompareOp; 6] =
    [CompareOp::Eq, CompareOp::Ne, CompareOp::Lt, CompareOp::Le, CompareOp::Gt, CompareOp::Ge];
const SHIFT: [ShiftOp; 4] = [ShiftOp::Left, ShiftOp::Right, ShiftOp::RotateLeft, ShiftOp::RotateRight];

/// A graph from the bytes. Nodes that the graph refuses are left out: refusing is its right, panicking is not.
fn graph(bytes: &mut Bytes) -> Graph {
    let mut graph = Graph::default();
    for name in ["a", "b", "c"] {
        let ty = bytes.pick(&TYPES);
        graph.push_input(name, ty).expect("inputs of every type are allowed");
    }
    while !bytes.0.is_empty() && graph.nodes().len() < MAX_NODES {
        let count = graph.nodes().len();
        let kind = bytes.next() % 13;
        let [a, b, c] = [(); 3].map(|()| (usize::from(bytes.next()) % count) as NodeId);
        let (of_a, word) = (graph.ty(a), u64::from(bytes.next()));
        // Most operands would be of different types, and most nodes refused: they are cast to the first one's.
        let same = |graph: &mut Graph, id: NodeId| {
            if graph.ty(id) == of_a { Some(id) } else { graph.push(Op::Cast(id), of_a).ok() }
        };
        let (op, ty) = match kind {
            0 => (Op::Constant(of_a.truncate(word.wrapping_mul(0x0101_0101_0101_0101))), of_a),
            1 => (Op::Neg(a), of_a),
            2 => (Op::Not(a), of_a),
            3 | 4 => {
                let Some(b) = same(&mut graph, b) else { continue };
                (Op::Binary(BINARY[word as usize % 8], a, b), of_a)
            }
            5 => {
                let Some(b) = same(&mut graph, b) else { continue };
                (Op::Compare(COMPARE[word as usize % 6], a, b), Type::Bool)
            }
            6 => {
                let Some(b) = same(&mut graph, b) else { continue };
                (Op::Select { condition: c, then: a, otherwise: b }, of_a)
            }
            7 => (Op::ShiftClear(SHIFT[word as usize % 4], a, u32::from(bytes.next())), of_a),
            8 => (Op::Shift(SHIFT[word as usize % 4], a, b), of_a),
            9 => (Op::Cast(a), TYPES[word as usize % 9]),
            10 => {
                let (Some(b), Some(c)) = (same(&mut graph, b), same(&mut graph, c)) else { continue };
                (Op::Sum(vec![a, b, c]), of_a)
            }
            11 => (Op::Count(vec![a, b, c]), TYPES[word as usize % 9]),
            _ => (if word % 2 == 0 { Op::All(vec![a, b]) } else { Op::Any(vec![a, b]) }, Type::Bool),
        };
        let _ = graph.push(op, ty);
    }
    let last = graph.nodes().len() - 1;
    for (name, node) in [("x", last), ("y", last / 2)] {
        graph.push_output(name, node as NodeId).expect("every node can be an output");
    }
    graph
}

/// Runs a program in both forms and compares every row with plain integers.
pub fn run_programs(data: &[u8]) {
    let mut bytes = Bytes(data);
    let seed = u64::from(bytes.next());
    let graph = graph(&mut bytes);
    let program = match Program::from_graph(graph.clone(), ProgramOptions::default()) {
        Ok(program) => program,
        Err(error) => panic!("a graph that was checked node by node does not compile: {error}"),
    };
    let rows = columns::rows(&graph, seed, ROWS);
    let client = ClientKey::simulated(ParameterSet::default());
    let key = client.evaluation_key().expect("a simulated key");
    let mut batch = Batch::new();
    for (index, port) in graph.inputs().iter().enumerate() {
        let bits: Vec<u64> = rows.iter().map(|row| row[index]).collect();
        let column = columns::encrypt(&client, graph.ty(port.node), &bits);
        batch = batch.with(&port.name, column).expect("columns of equal length");
    }
    let engine = Engine::new(SimulationBackend::with_noise(seed), &key).expect("an engine");
    for form in [Form::Throughput, Form::Latency] {
        let (result, _) =
            engine.run_with(&program, &batch, RunOptions::new().form(form)).expect("a program that compiles runs");
        for (output, port) in graph.outputs().iter().enumerate() {
            let found = columns::decrypt(&client, result.column(&port.name).expect("an output"));
            let expected: Vec<u64> = rows.iter().map(|row| clear::evaluate(&graph, row)[output]).collect();
            assert_eq!(found, expected, "{form:?} {program}");
        }
    }
}
