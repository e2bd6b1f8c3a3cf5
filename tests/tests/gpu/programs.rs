//! Whole programs on the CUDA backend: against plain integers, the CPU backend and the `tfhe` crate.

use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use fhe_core::program::{OutputNoise, ProgramOptions};
use fhe_core::{
    Backend, Batch, ClientKey, Column, CpuBackend, Engine, Error, EvaluationKey, Form, ParameterSet, Program,
    RunOptions, Type,
};
use fhe_gpu::{CudaBackend, CudaOptions};
use fhe_tests::columns;
use fhe_tests::random_programs::graphs;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use tfhe::prelude::*;
use tfhe::{FheBool, FheUint8, set_server_key};

use crate::{is_emulated, open, open_with};

pub static KEYS: LazyLock<(ClientKey, EvaluationKey)> = LazyLock::new(|| {
    let client = ClientKey::generate(ParameterSet::default()).unwrap();
    let key = client.evaluation_key().unwrap();
    (client, key)
});

static ENGINE: LazyLock<Option<Engine<CudaBackend>>> =
    LazyLock::new(|| open().map(|backend| Engine::new(backend, &KEYS.1).unwrap()));

pub fn increment() -> Program {
    Program::trace(|t| t.output("next", &(t.input::<u8>("a") + 1))).unwrap()
}

pub fn bytes(values: &[u8]) -> Batch {
    Batch::new().with("a", KEYS.0.encrypt(values).unwrap()).unwrap()
}

pub fn values(batch: &Batch) -> Vec<u8> {
    KEYS.0.decrypt(batch.column("next").unwrap()).unwrap()
}

#[test]
fn bytes_agree_with_plain_integers() {
    let Some(engine) = ENGINE.as_ref() else { return };
    let (client, _) = &*KEYS;
    let program = Program::trace(|t| {
        let (a, b) = (t.input::<u8>("a"), t.input::<u8>("b"));
        t.output("add", &(&a + &b));
        t.output("mul", &(&a * &b));
        t.output("gt", &a.gt(&b));
        t.output("select", &a.lt(&b).select(&a, &b));
    })
    .unwrap();
    let (a, b) = ([200u8, 7, 0x80], [100u8, 7, 0xff]);
    let batch = Batch::new().with("a", client.encrypt(&a).unwrap()).unwrap();
    let batch = batch.with("b", client.encrypt(&b).unwrap()).unwrap();
    for form in [Form::Throughput, Form::Latency] {
        let (result, report) = engine.run_with(&program, &batch, RunOptions::new().form(form)).unwrap();
        let column = |name: &str| client.decrypt::<u8>(result.column(name).unwrap()).unwrap();
        let each = |f: fn(u8, u8) -> u8| a.iter().zip(b).map(|(&a, b)| f(a, b)).collect::<Vec<u8>>();
        assert_eq!(column("add"), each(u8::wrapping_add), "{form:?}");
        assert_eq!(column("mul"), each(u8::wrapping_mul), "{form:?}");
        assert_eq!(column("select"), each(u8::min), "{form:?}");
        let gt = client.decrypt::<bool>(result.column("gt").unwrap()).unwrap();
        assert_eq!(gt, a.iter().zip(b).map(|(&a, b)| a > b).collect::<Vec<bool>>(), "{form:?}");
        println!("{form:?}: {} bootstraps in {:?}", report.bootstraps, report.elapsed);
    }
}

/// The same program on the same ciphertexts gives the same plaintexts, and the same claims about them.
#[test]
fn random_programs_agree_with_the_cpu() {
    let Some(engine) = ENGINE.as_ref() else { return };
    let (client, key) = &*KEYS;
    let cpu = Engine::new(CpuBackend::new().unwrap(), key).unwrap();
    let (samples, most) = if is_emulated(engine.backend()) { (3, 40) } else { (12, 400) };
    let mut runner = TestRunner::deterministic();
    let strategy = graphs(&[Type::Bool, Type::Uint(8), Type::Int(8), Type::Uint(16)], 10);
    let mut tested = 0;
    for seed in 0..10_000 {
        let graph = strategy.new_tree(&mut runner).unwrap().current();
        let program =
            Program::from_graph(graph.clone(), ProgramOptions { output_noise: OutputNoise::Nominal }).unwrap();
        if !(10..=most).contains(&program.statistics(Form::Throughput).unwrap().bootstraps) {
            continue;
        }
        let inputs = columns::rows(&graph, seed, 2);
        let batch = columns::batch(client, &graph, &inputs);
        let (ours, theirs) = (engine.run(&program, &batch).unwrap(), cpu.run(&program, &batch).unwrap());
        for ((name, ours), (_, theirs)) in ours.columns().zip(theirs.columns()) {
            assert_eq!(columns::decrypt(client, ours), columns::decrypt(client, theirs), "{name} of\n{graph}");
            assert_eq!(ours.infos(), theirs.infos(), "{name} of\n{graph}");
        }
        tested += 1;
        if tested == samples {
            return;
        }
    }
    panic!("only {tested} random programs were small enough");
}

#[test]
fn the_same_ciphertexts_give_the_same_answers_in_the_tfhe_crate() {
    let Some(engine) = ENGINE.as_ref() else { return };
    let (client, key) = &*KEYS;
    let secret = client.to_tfhe().unwrap();
    set_server_key(key.to_tfhe().unwrap().decompress());
    let encrypt = |x: u8| FheUint8::encrypt(x, secret);
    let pairs = [(encrypt(200), encrypt(100)), (encrypt(0), encrypt(255))];
    let program = Program::trace(|t| {
        let (a, b) = (t.input::<u8>("a"), t.input::<u8>("b"));
        t.output("add", &(&a + &b));
        t.output("gt", &a.gt(&b));
    })
    .unwrap();
    let params = client.parameters();
    let column = |of: fn(&(FheUint8, FheUint8)) -> FheUint8| Column::from_tfhe(pairs.iter().map(of), params).unwrap();
    let batch = Batch::new().with("a", column(|p| p.0.clone())).unwrap().with("b", column(|p| p.1.clone())).unwrap();
    let result = engine.run(&program, &batch).unwrap();
    let sums = result.column("add").unwrap().to_tfhe::<FheUint8>().unwrap();
    let flags = result.column("gt").unwrap().to_tfhe::<FheBool>().unwrap();
    let same = |ours: &FheUint8, peers: &FheUint8| {
        let (ours, peers): (u8, u8) = (ours.decrypt(secret), peers.decrypt(secret));
        assert_eq!(ours, peers);
    };
    for ((a, b), (sum, gt)) in pairs.iter().zip(sums.iter().zip(&flags)) {
        same(sum, &(a + b));
        assert_eq!(gt.decrypt(secret), a.gt(b).decrypt(secret));
        // The peer goes on with our results as with its own.
        same(&(sum + b), &(&(a + b) + b));
    }
}

/// Two engines with keys of their own share a card, from two threads; and one engine is used by two threads.
#[test]
fn two_engines_share_a_card() {
    let Some(backend) = open() else { return };
    let (backend, program) = (Arc::new(backend), increment());
    let (client, key) = &*KEYS;
    let gaussian = ParameterSet::by_name("PARAM_MESSAGE_2_CARRY_2_KS_PBS_GAUSSIAN_2M128").unwrap();
    let other = ClientKey::generate(gaussian).unwrap();
    let first = Engine::shared(Arc::clone(&backend), key).unwrap();
    let second = Engine::shared(backend, &other.evaluation_key().unwrap()).unwrap();
    let run = |engine: &Engine<CudaBackend>, client: &ClientKey, value: u8| {
        let batch = Batch::new().with("a", client.encrypt(&[value, 255]).unwrap()).unwrap();
        let result = engine.run(&program, &batch).unwrap();
        assert_eq!(client.decrypt::<u8>(result.column("next").unwrap()).unwrap(), [value + 1, 0]);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| run(&first, client, 7));
        scope.spawn(|| run(&first, client, 63));
        scope.spawn(|| run(&second, &other, 30));
    });
}

#[test]
fn buffers_of_another_backend_are_refused() {
    let (Some(one), Some(two)) = (open(), open()) else { return };
    let (key, foreign) = (one.load_key(&KEYS.1).unwrap(), two.load_key(&KEYS.1).unwrap());
    let mut theirs = two.allocate(&foreign, 2).unwrap();
    let words = vec![0; 2 * 2049];
    assert!(matches!(one.upload(&words, &mut theirs, 0), Err(Error::Shape { .. })));
    let mut switched = one.allocate_switched(&key, 2).unwrap();
    assert!(matches!(one.keyswitch(&key, 2, &theirs, &mut switched), Err(Error::Shape { .. })));
    let ours = one.allocate(&key, 2).unwrap();
    assert!(matches!(one.keyswitch(&foreign, 2, &ours, &mut switched), Err(Error::Shape { .. })));
    // Whatever is dropped first.
    drop((one, foreign, ours, key, two, switched, theirs));
}

#[test]
fn a_run_that_is_dropped_half_way_leaves_the_engine_usable() {
    let Some(engine) = ENGINE.as_ref() else { return };
    let stop = RunOptions::new().observe(|_| ControlFlow::Break(()));
    let error = engine.run_with(&increment(), &bytes(&[1, 2]), stop).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    assert_eq!(values(&engine.run(&increment(), &bytes(&[3])).unwrap()), [4]);
}

/// Too little memory, for the key and for a run, is an error that says how much is needed; afterwards all is as before.
#[test]
fn too_little_memory_is_an_error_and_the_engine_goes_on() {
    const MEBI: usize = 1 << 20;
    let Some(backend) = open_with(CudaOptions::new().memory_limit(100 * MEBI)) else { return };
    let error = Engine::new(backend, &KEYS.1).unwrap_err().to_string();
    assert!(error.contains("evaluation key on cuda:0") && error.contains("bytes are needed"), "{error}");

    // The key fits, and 100 MiB more; 10,000 ciphertexts are 164 MB.
    let Some(backend) = open_with(CudaOptions::new().memory_limit(200 * MEBI)) else { return };
    let engine = Engine::new(backend, &KEYS.1).unwrap();
    for count in [10_000, usize::MAX] {
        let Err(error) = engine.backend().allocate(engine.key(), count) else { panic!("{count} ciphertexts fit") };
        let text = error.to_string();
        assert!(matches!(error, Error::Unavailable { .. }) && text.contains("limit of 209715200"), "{text}");
    }
    let properties = engine.backend().properties();
    assert!(properties.memory < 110 * MEBI, "{properties:?}");
    assert_eq!(values(&engine.run(&increment(), &bytes(&[9])).unwrap()), [10]);
    let small = engine.run_with(&increment(), &bytes(&[9]), RunOptions::new().memory(10)).unwrap_err();
    assert!(matches!(small, Error::MemoryLimit { limit: 10, .. }), "{small}");
}
