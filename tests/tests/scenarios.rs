//! Scenarios that the `tfhe` crate's documentation and benchmarks name: chains on operands that are not fresh, long
//! random sequences, and the confidential token in its variants.

use std::sync::LazyLock;

use fhe_core::program::graph::{BinaryOp, Graph, NodeId, Op};
use fhe_core::{
    Backend, Batch, Bits, ClientKey, CpuBackend, Encrypted, Engine, Form, OutputNoise, ParameterSet, Program,
    ProgramOptions, RunOptions, SimulationBackend, Trace, Type,
};
use fhe_tests::columns::Numbers;
use fhe_tests::random_programs::{Step, from_steps};
use fhe_tests::{clear, columns};

const FORMS: [Form; 2] = [Form::Throughput, Form::Latency];

static SIMULATED: LazyLock<(ClientKey, Engine<SimulationBackend>)> = LazyLock::new(|| {
    let client = ClientKey::simulated(ParameterSet::default());
    let engine = Engine::new(SimulationBackend::with_noise(11), &client.evaluation_key().unwrap()).unwrap();
    (client, engine)
});

static ENCRYPTED: LazyLock<(ClientKey, Engine<CpuBackend>)> = LazyLock::new(|| {
    let client = ClientKey::generate(ParameterSet::default()).unwrap();
    let engine = Engine::new(CpuBackend::new().unwrap(), &client.evaluation_key().unwrap()).unwrap();
    (client, engine)
});

fn expect<B: Backend>((client, engine): &(ClientKey, Engine<B>), graph: &Graph, rows: usize, seed: u64, form: Form) {
    let program = Program::from_graph(graph.clone(), ProgramOptions { output_noise: OutputNoise::AsComputed }).unwrap();
    let inputs = columns::rows(graph, seed, rows);
    let batch = columns::batch(client, graph, &inputs);
    let (outputs, _) = engine.run_with(&program, &batch, RunOptions::new().form(form)).unwrap();
    let expected: Vec<Vec<Bits>> = inputs.iter().map(|row| clear::evaluate(graph, row)).collect();
    assert_eq!(columns::results(client, graph, &outputs), expected, "{form:?}, seed {seed} of\n{graph}");
}

/// Each operation reads the result of the one before, so that no operand but the first is a fresh encryption.
fn chain(ty: Type, seed: u64, length: usize) -> Graph {
    let mut numbers = Numbers(seed);
    let mut graph = Graph::default();
    let inputs: Vec<NodeId> = (0..3).map(|index| graph.push_input(&format!("x{index}"), ty).unwrap()).collect();
    let flag = graph.push_input("flag", Type::Bool).unwrap();
    let mut last = inputs[0];
    for _ in 0..length {
        let other = inputs[numbers.below(3)];
        let op = match numbers.below(BinaryOp::ALL.len() + 2) {
            0 => Op::Select { condition: flag, then: last, otherwise: other },
            1 => Op::Sum(vec![last, other, last]),
            at => Op::Binary(BinaryOp::ALL[at - 2], last, other),
        };
        last = graph.push(op, ty).unwrap();
    }
    graph.push_output("last", last).unwrap();
    graph
}

#[test]
fn chains_on_operands_that_are_not_fresh() {
    for seed in 0..40 {
        for ty in [Type::Uint(8), Type::Int(10), Type::Uint(32), Type::Int(64)] {
            for form in FORMS {
                expect(&SIMULATED, &chain(ty, seed, 12), 12, seed, form);
            }
        }
    }
    for seed in 0..2 {
        expect(&ENCRYPTED, &chain(Type::Uint(8), seed, 6), 2, seed, Form::Throughput);
    }
}

/// 200 random operations, every result of which may be read by any later one.
#[test]
fn random_sequences_of_200_operations() {
    let types = [Type::Bool, Type::Uint(8), Type::Int(8), Type::Uint(16), Type::Int(16), Type::Uint(10)];
    for seed in 0..30 {
        let mut numbers = Numbers(seed);
        let step = |numbers: &mut Numbers| -> Step {
            let word = numbers.word();
            (word as u8, (word >> 8) as u16, (word >> 24) as u16, (word >> 40) as u16, numbers.word())
        };
        let steps: Vec<Step> = (0..200).map(|_| step(&mut numbers)).collect();
        let graph = from_steps(&types, &types[..3], &steps).unwrap();
        for form in FORMS {
            expect(&SIMULATED, &graph, 6, seed, form);
        }
    }
}

type Balances = (Encrypted<u64>, Encrypted<u64>);

/// If there is not enough, nothing moves: both new balances are selected.
fn with_two_selects(from: &Encrypted<u64>, to: &Encrypted<u64>, amount: &Encrypted<u64>) -> Balances {
    let enough = from.ge(amount);
    (enough.select(from - amount, from), enough.select(to + amount, to))
}

/// If there is not enough, 0 moves: the amount is multiplied by the condition.
fn with_a_product(from: &Encrypted<u64>, to: &Encrypted<u64>, amount: &Encrypted<u64>) -> Balances {
    let moved = from.ge(amount).cast::<u64>() * amount;
    (from - &moved, to + &moved)
}

/// Whether there is enough shows in the overflow of the difference.
fn with_overflow(from: &Encrypted<u64>, to: &Encrypted<u64>, amount: &Encrypted<u64>) -> Balances {
    let (rest, overflowed) = from.overflowing_sub(amount);
    (overflowed.select(from, rest), overflowed.select(to, to + amount))
}

fn token(transfer: fn(&Encrypted<u64>, &Encrypted<u64>, &Encrypted<u64>) -> Balances) -> Program {
    Program::trace(|t: &Trace| {
        let (from, to, amount) = (t.input("from"), t.input("to"), t.input("amount"));
        let (new_from, new_to) = transfer(&from, &to, &amount);
        t.output("from", &new_from);
        t.output("to", &new_to);
    })
    .unwrap()
}

fn transfers<B: Backend>((client, engine): &(ClientKey, Engine<B>), rows: &[[u64; 3]], form: Form) {
    let column = |at: usize| client.encrypt(&rows.iter().map(|row| row[at]).collect::<Vec<u64>>()).unwrap();
    let batch = Batch::new().with("from", column(0)).unwrap().with("to", column(1)).unwrap();
    let batch = batch.with("amount", column(2)).unwrap();
    let after = |&[from, to, amount]: &[u64; 3]| {
        if from >= amount { (from - amount, to.wrapping_add(amount)) } else { (from, to) }
    };
    let expected: Vec<(u64, u64)> = rows.iter().map(after).collect();
    for (variant, transfer) in [
        ("two selects", with_two_selects as fn(&_, &_, &_) -> _),
        ("product", with_a_product),
        ("overflow", with_overflow),
    ] {
        let (outputs, _) = engine.run_with(&token(transfer), &batch, RunOptions::new().form(form)).unwrap();
        let balances = |name: &str| client.decrypt::<u64>(outputs.column(name).unwrap()).unwrap();
        let found: Vec<(u64, u64)> = balances("from").into_iter().zip(balances("to")).collect();
        assert_eq!(found, expected, "{variant}, {form:?}");
    }
}

#[test]
fn confidential_tokens_in_three_variants() {
    let mut numbers = Numbers(3);
    let mut rows = vec![[0, 0, 0], [5, u64::MAX, 5], [4, 1, 5], [u64::MAX, u64::MAX, u64::MAX]];
    rows.extend((0..200).map(|_| [numbers.word() >> (numbers.word() % 64), numbers.word(), numbers.word() >> 32]));
    for form in FORMS {
        transfers(&SIMULATED, &rows, form);
    }
    transfers(&ENCRYPTED, &rows[1..3], Form::Throughput);
}
