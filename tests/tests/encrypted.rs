//! Encrypted data on the CPU backend, at the real parameters: against plain integers, and against the `tfhe` crate on
//! the same keys and the same ciphertexts.

use std::sync::LazyLock;

use fhe_core::program::graph::{BinaryOp, Graph, Op};
use fhe_core::program::{OutputNoise, ProgramOptions};
use fhe_core::{
    Batch, Bits, ClientKey, Column, CpuBackend, Engine, Error, EvaluationKey, Form, ParameterSet, Program, RunOptions,
    Type,
};
use fhe_tests::catalogue::OPERATIONS;
use fhe_tests::clear;
use fhe_tests::columns::{batch, results, rows};
use fhe_tests::random_programs::graphs;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tfhe::integer::IntegerCiphertext;
use tfhe::prelude::*;
use tfhe::{FheBool, FheInt16, FheUint8, FheUint16, set_server_key};

struct Side {
    client: ClientKey,
    key: EvaluationKey,
    engine: Engine<CpuBackend>,
}

static SIDE: LazyLock<Side> = LazyLock::new(|| {
    let client = ClientKey::generate(ParameterSet::default()).unwrap();
    let key = client.evaluation_key().unwrap();
    let engine = Engine::new(CpuBackend::new().unwrap(), &key).unwrap();
    Side { client, key, engine }
});

fn run(graph: &Graph, noise: OutputNoise, form: Form, inputs: &[Vec<Bits>]) -> Vec<Vec<Bits>> {
    let side = &*SIDE;
    let program = Program::from_graph(graph.clone(), ProgramOptions { output_noise: noise }).unwrap();
    let batch = batch(&side.client, graph, inputs);
    let (outputs, _) = side.engine.run_with(&program, &batch, RunOptions::new().form(form)).unwrap();
    results(&side.client, graph, &outputs)
}

fn expect_clear(graph: &Graph, noise: OutputNoise, form: Form, inputs: &[Vec<Bits>]) {
    let expected: Vec<Vec<Bits>> = inputs.iter().map(|row| clear::evaluate(graph, row)).collect();
    assert_eq!(run(graph, noise, form, inputs), expected, "{form:?}, inputs {inputs:x?}\n{graph}");
}

/// Every operation of the catalogue, on bytes of both kinds and in both forms.
#[test]
fn every_operation_on_encrypted_bytes() {
    for (ty, form) in [(Type::Uint(8), Form::Throughput), (Type::Int(8), Form::Latency)] {
        for (index, operation) in OPERATIONS.iter().enumerate() {
            let Ok(graph) = operation.graph(ty) else { continue };
            expect_clear(&graph, OutputNoise::AsComputed, form, &rows(&graph, index as u64, 1));
        }
    }
}

#[test]
fn wide_integers_on_encrypted_data() {
    let mut graph = Graph::default();
    let ty = Type::Uint(64);
    let (a, b) = (graph.push_input("a", ty).unwrap(), graph.push_input("b", ty).unwrap());
    for (index, op) in [Op::Binary(BinaryOp::Add, a, b), Op::Binary(BinaryOp::Max, a, b)].into_iter().enumerate() {
        let node = graph.push(op, ty).unwrap();
        graph.push_output(&format!("out{index}"), node).unwrap();
    }
    let inputs =
        [[u64::MAX, 1], [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]].map(|row| row.map(Bits::from).to_vec());
    for form in [Form::Throughput, Form::Latency] {
        expect_clear(&graph, OutputNoise::Nominal, form, &inputs);
    }
}

/// A handful of random programs; the wide search is on the simulation backend.
#[test]
fn random_programs_on_encrypted_data() {
    const SAMPLES: usize = 6;
    const MOST_BOOTSTRAPS: usize = 400;
    let mut runner = TestRunner::deterministic();
    let types = &[Type::Bool, Type::Uint(8), Type::Int(8), Type::Uint(16)];
    let strategy = graphs(types, 12);
    let mut tested = 0;
    for seed in 0..1000 {
        let graph = strategy.new_tree(&mut runner).unwrap().current();
        let program = Program::from_graph(graph.clone(), ProgramOptions::default()).unwrap();
        if !(20..=MOST_BOOTSTRAPS).contains(&program.statistics(Form::Throughput).unwrap().bootstraps) {
            continue;
        }
        let inputs = rows(&graph, seed, 2);
        expect_clear(&graph, OutputNoise::Nominal, Form::Throughput, &inputs);
        tested += 1;
        if tested == SAMPLES {
            return;
        }
    }
    panic!("only {tested} random programs were small enough");
}

#[test]
fn the_same_ciphertexts_give_the_same_answers_in_the_tfhe_crate() {
    let side = &*SIDE;
    let secret = side.client.to_tfhe().unwrap();
    set_server_key(side.key.to_tfhe().unwrap().decompress());
    let values = [(200u8, 100u8), (7, 7), (0, 255)];
    let encrypt = |x: u8| FheUint8::encrypt(x, secret);
    let pairs: Vec<(FheUint8, FheUint8)> = values.iter().map(|&(a, b)| (encrypt(a), encrypt(b))).collect();

    let program = Program::trace(|t| {
        let (a, b) = (t.input::<u8>("a"), t.input::<u8>("b"));
        t.output("add", &(&a + &b));
        t.output("mul", &(&a * &b));
        t.output("xor", &(&a ^ &b));
        t.output("gt", &a.gt(&b));
        t.output("eq", &a.eq(&b));
        t.output("select", &a.lt(&b).select(&a, &b));
        t.output("shl", &(&a << &b));
    })
    .unwrap();
    let params = side.client.parameters();
    let column = |of: fn(&(FheUint8, FheUint8)) -> FheUint8| Column::from_tfhe(pairs.iter().map(of), params).unwrap();
    let batch = Batch::new().with("a", column(|p| p.0.clone())).unwrap().with("b", column(|p| p.1.clone())).unwrap();
    let ours = side.engine.run(&program, &batch).unwrap();
    let words = |name: &str| ours.column(name).unwrap().to_tfhe::<FheUint8>().unwrap();
    let flags = |name: &str| ours.column(name).unwrap().to_tfhe::<FheBool>().unwrap();
    let (add, mul, xor, select, shl) = (words("add"), words("mul"), words("xor"), words("select"), words("shl"));
    let (gt, eq) = (flags("gt"), flags("eq"));

    let same = |ours: &FheUint8, peers: &FheUint8| {
        let (ours, peers): (u8, u8) = (ours.decrypt(secret), peers.decrypt(secret));
        assert_eq!(ours, peers);
    };
    for (row, (a, b)) in pairs.iter().enumerate() {
        same(&add[row], &(a + b));
        same(&mul[row], &(a * b));
        same(&xor[row], &(a ^ b));
        same(&select[row], &a.lt(b).if_then_else(a, b));
        same(&shl[row], &(a << b));
        assert_eq!(gt[row].decrypt(secret), a.gt(b).decrypt(secret));
        assert_eq!(eq[row].decrypt(secret), a.eq(b).decrypt(secret));
        // The peer goes on with our results as with its own.
        same(&(&add[row] + &mul[row]), &(&(a + b) + &(a * b)));
        same(&gt[row].if_then_else(&xor[row], &add[row]), &a.gt(b).if_then_else(&(a ^ b), &(a + b)));
    }
}

#[test]
fn results_of_the_tfhe_crate_are_inputs_here() {
    let side = &*SIDE;
    let secret = side.client.to_tfhe().unwrap();
    set_server_key(side.key.to_tfhe().unwrap().decompress());
    let (a, b) = (FheInt16::encrypt(-1234i16, secret), FheInt16::encrypt(77i16, secret));
    let (sum, trivial) = (&a + &b, FheInt16::encrypt_trivial(1000i16));
    let program = Program::trace(|t| {
        let (x, y) = (t.input::<i16>("x"), t.input::<i16>("y"));
        t.output("larger", &x.max(&y));
        t.output("wide", &x.cast::<i32>());
        t.output("both", &(x - y));
    })
    .unwrap();
    let params = side.client.parameters();
    let batch = Batch::new().with("x", Column::from_tfhe([sum], params).unwrap()).unwrap();
    let batch = batch.with("y", Column::from_tfhe([trivial], params).unwrap()).unwrap();
    let result = side.engine.run(&program, &batch).unwrap();
    assert_eq!(side.client.decrypt::<i16>(result.column("larger").unwrap()).unwrap(), [1000]);
    assert_eq!(side.client.decrypt::<i32>(result.column("wide").unwrap()).unwrap(), [-1157]);
    assert_eq!(side.client.decrypt::<i16>(result.column("both").unwrap()).unwrap(), [-2157]);
}

#[test]
fn outputs_state_their_noise_and_noisy_ones_are_refused_as_inputs() {
    let side = &*SIDE;
    let select = |noise| {
        let trace = |t: &fhe_core::Trace| {
            let (c, a, b) = (t.input::<bool>("c"), t.input::<u16>("a"), t.input::<u16>("b"));
            t.output("a", &c.select(&a, &b));
        };
        Program::trace_with(ProgramOptions { output_noise: noise }, trace).unwrap()
    };
    let column = |value: u16| side.client.encrypt(&[value]).unwrap();
    let batch = Batch::new().with("c", side.client.encrypt(&[true]).unwrap()).unwrap();
    let batch = batch.with("a", column(500)).unwrap().with("b", column(9)).unwrap();
    let increment = Program::trace(|t| t.output("next", &(t.input::<u16>("a") + 1))).unwrap();

    let nominal = side.engine.run(&select(OutputNoise::Nominal), &batch).unwrap();
    assert!(nominal.column("a").unwrap().infos().iter().all(|info| info.noise_norm2 == 1));
    let next = side.engine.run(&increment, &nominal).unwrap();
    assert_eq!(side.client.decrypt::<u16>(next.column("next").unwrap()).unwrap(), [501]);

    let computed = side.engine.run(&select(OutputNoise::AsComputed), &batch).unwrap();
    let column = computed.column("a").unwrap();
    assert!(column.infos().iter().all(|info| info.noise_norm2 == 2));
    assert_eq!(side.client.decrypt::<u16>(column).unwrap(), [500]);
    let peers: Vec<FheUint16> = column.to_tfhe().unwrap();
    assert!(peers[0].clone().into_raw_parts().0.blocks().iter().all(|block| block.noise_level().get() == 2));
    let error = side.engine.run(&increment, &computed).unwrap_err();
    assert!(matches!(&error, Error::UncleanCiphertext { name, noise_level: 2, .. } if name == "a"), "{error}");
}

#[test]
fn keys_and_ciphertexts_of_different_parameters_are_refused_naming_both() {
    let side = &*SIDE;
    let gaussian = ParameterSet::by_name("PARAM_MESSAGE_2_CARRY_2_KS_PBS_GAUSSIAN_2M128").unwrap();
    let other = ClientKey::generate(gaussian).unwrap();
    let increment = Program::trace(|t| t.output("next", &(t.input::<u16>("a") + 1))).unwrap();
    let batch = Batch::new().with("a", other.encrypt(&[1u16]).unwrap()).unwrap();
    let error = side.engine.run(&increment, &batch).unwrap_err().to_string();
    assert!(error.contains("GAUSSIAN") && error.contains("TUNIFORM") && error.contains("input `a`"), "{error}");

    // The other set runs too, on an engine of its own beside the first.
    let engine = Engine::new(CpuBackend::with_threads(1).unwrap(), &other.evaluation_key().unwrap()).unwrap();
    let result = engine.run(&increment, &batch).unwrap();
    assert_eq!(other.decrypt::<u16>(result.column("next").unwrap()).unwrap(), [2]);

    let simulated = ClientKey::simulated(ParameterSet::default());
    let batch = Batch::new().with("a", simulated.encrypt(&[1u16]).unwrap()).unwrap();
    assert!(matches!(side.engine.run(&increment, &batch), Err(Error::ParameterMismatch { .. })));
    let refused = Engine::new(CpuBackend::with_threads(1).unwrap(), &simulated.evaluation_key().unwrap());
    assert!(matches!(refused, Err(Error::ParameterMismatch { .. })));
}

#[test]
fn engines_work_side_by_side_from_many_threads() {
    let side = &*SIDE;
    let program = Program::trace(|t| t.output("next", &(t.input::<u8>("a") + 1))).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3u8 {
            let program = &program;
            scope.spawn(move || {
                let batch = Batch::new().with("a", side.client.encrypt(&[thread, 255]).unwrap()).unwrap();
                let result = side.engine.run(program, &batch).unwrap();
                assert_eq!(side.client.decrypt::<u8>(result.column("next").unwrap()).unwrap(), [thread + 1, 0]);
            });
        }
    });
}
