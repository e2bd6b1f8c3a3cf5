//! Criterion benchmarks, named `group/backend/parameters/batch=N`. The `standard` group is the one that trends follow.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fhe_benches::catalogue::OPERATIONS;
use fhe_core::backend::Backend;
use fhe_core::lookup::{LinearForms, Lookup, LookupOutput, LookupTable, Term};
use fhe_core::{Batch, ClientKey, CpuBackend, Engine, ParameterSet, SimulationBackend, Type};

/// Keyswitch, bootstrap and linear forms of whole batches.
fn stages<B: Backend>(criterion: &mut Criterion, engine: &Engine<B>, client: &ClientKey) {
    let (backend, key) = (&**engine.backend(), engine.key());
    let name = backend.properties().name;
    let params = client.parameters().name();
    for count in [1usize, 8, 64] {
        let column = client.encrypt(&vec![true; count]).expect("encryption");
        let mut buffer = backend.allocate(key, count).expect("memory");
        let mut result = backend.allocate(key, count).expect("memory");
        let mut switched = backend.allocate_switched(key, count).expect("memory");
        backend.upload(column.words(), &mut buffer, 0).expect("upload");
        let tables = backend.load_tables(key, &[LookupTable::from_fn(|x| x)]).expect("tables");
        let job = Lookup { input: 0, table: 0, outputs: vec![LookupOutput { at: 0, slot: 0 }] };
        let lookups = backend.load_lookups(&tables, &[job]).expect("lookups");
        let mut forms = LinearForms::new();
        forms.push([Term { slot: 0, coefficient: 4 }], 1 << 59);
        let forms = backend.load_forms(&forms).expect("forms");
        let mut group = criterion.benchmark_group("standard");
        group.throughput(Throughput::Elements(count as u64)).sample_size(10);
        let id = |stage: &str| BenchmarkId::new(format!("{stage}/{name}/{params}"), format!("batch={count}"));
        group.bench_function(id("linear"), |bench| {
            bench.iter(|| backend.linear(&forms, count, &buffer, &mut result).expect("linear"));
        });
        group.bench_function(id("keyswitch"), |bench| {
            bench.iter(|| backend.keyswitch(key, count, &buffer, &mut switched).expect("keyswitch"));
        });
        group.bench_function(id("bootstrap"), |bench| {
            bench.iter(|| backend.bootstrap(key, &tables, &lookups, count, &switched, &mut result).expect("bootstrap"));
        });
        group.finish();
    }
}

/// Whole operations through the engine.
fn operations<B: Backend>(criterion: &mut Criterion, engine: &Engine<B>, client: &ClientKey) {
    let name = engine.backend().properties().name;
    let params = client.parameters().name();
    for (operation, rows) in [("add", 1usize), ("add", 16), ("ge", 16), ("select", 16)] {
        let found = OPERATIONS.iter().find(|known| known.name == operation).expect("an operation of the catalogue");
        let program = found.program(Type::Uint(8)).expect("a program");
        let mut batch = Batch::new();
        for port in program.graph().inputs() {
            let column = match program.graph().ty(port.node) {
                Type::Bool => client.encrypt(&vec![true; rows]),
                _ => client.encrypt(&vec![0x5au8; rows]),
            };
            batch.insert(&port.name, column.expect("encryption")).expect("a new name");
        }
        let mut group = criterion.benchmark_group("standard");
        group.throughput(Throughput::Elements(rows as u64)).sample_size(10);
        let id = BenchmarkId::new(format!("{operation}_u8/{name}/{params}"), format!("batch={rows}"));
        group.bench_function(id, |bench| bench.iter(|| engine.run(&program, &batch).expect("a run")));
        group.finish();
    }
}

fn cpu(criterion: &mut Criterion) {
    let client = ClientKey::generate(ParameterSet::default()).expect("keys");
    let key = client.evaluation_key().expect("keys");
    let engine = Engine::new(CpuBackend::new().expect("threads"), &key).expect("memory");
    stages(criterion, &engine, &client);
    operations(criterion, &engine, &client);
}

fn simulation(criterion: &mut Criterion) {
    let client = ClientKey::simulated(ParameterSet::default());
    let key = client.evaluation_key().expect("keys");
    let engine = Engine::new(SimulationBackend::new(), &key).expect("memory");
    operations(criterion, &engine, &client);
}

criterion_group!(benches, cpu, simulation);
criterion_main!(benches);
