//! Criterion benchmarks, named `group/backend/parameters/batch=N`.
//!
//! Groups are `linear`, `keyswitch`, `bootstrap` and one for each operation. The group `standard` is the one that trends
//! follow: a keyswitch and a bootstrap of every row, at fixed batches. It is not changed, so that a point of last year
//! means the same as one of today.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fhe_core::backend::Backend;
use fhe_core::lookup::{LinearForms, Lookup, LookupOutput, LookupTable, Term};
use fhe_core::{Batch, ClientKey, CpuBackend, Engine, ParameterSet, SimulationBackend, Type};
use fhe_tests::catalogue::Operation;

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
        let mut measure = |group: &str, run: &mut dyn FnMut()| {
            let mut group = criterion.benchmark_group(group);
            group.throughput(Throughput::Elements(count as u64)).sample_size(10);
            let id = BenchmarkId::new(format!("{name}/{params}"), format!("batch={count}"));
            group.bench_function(id, |bench| bench.iter(&mut *run));
            group.finish();
        };
        measure("linear", &mut || {
            backend.linear(&forms, count, &buffer, &mut result).expect("linear");
            backend.synchronize().expect("linear");
        });
        measure("keyswitch", &mut || {
            backend.keyswitch(key, count, &buffer, &mut switched).expect("keyswitch");
            backend.synchronize().expect("keyswitch");
        });
        measure("bootstrap", &mut || {
            backend.bootstrap(key, &tables, &lookups, count, &switched, &mut result).expect("bootstrap");
            backend.synchronize().expect("bootstrap");
        });
        measure("standard", &mut || {
            backend.keyswitch(key, count, &buffer, &mut switched).expect("keyswitch");
            backend.bootstrap(key, &tables, &lookups, count, &switched, &mut result).expect("bootstrap");
            backend.synchronize().expect("bootstrap");
        });
    }
}

/// Whole operations through the engine.
fn operations<B: Backend>(criterion: &mut Criterion, engine: &Engine<B>, client: &ClientKey) {
    let name = engine.backend().properties().name;
    let params = client.parameters().name();
    for (operation, rows) in [("add", 1usize), ("add", 16), ("ge", 16), ("select", 16)] {
        let found = Operation::find(operation).expect("an operation of the catalogue");
        let program = found.program(Type::Uint(8)).expect("a program");
        let mut batch = Batch::new();
        for port in program.graph().inputs() {
            let column = match program.graph().ty(port.node) {
                Type::Bool => client.encrypt(&vec![true; rows]),
                _ => client.encrypt(&vec![0x5au8; rows]),
            };
            batch.insert(&port.name, column.expect("encryption")).expect("a new name");
        }
        let mut group = criterion.benchmark_group(format!("{operation}_u8"));
        group.throughput(Throughput::Elements(rows as u64)).sample_size(10);
        let id = BenchmarkId::new(format!("{name}/{params}"), format!("batch={rows}"));
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

/// The first card, where there is a driver.
#[cfg(feature = "gpu")]
fn gpu(criterion: &mut Criterion) {
    let backend = match fhe_gpu::CudaBackend::new(0) {
        Ok(backend) => backend,
        Err(error) if std::env::var_os("FHE_REQUIRE_GPU").is_none() => {
            println!("skipped: {error}");
            return;
        }
        Err(error) => panic!("FHE_REQUIRE_GPU asks for a device: {error}"),
    };
    let client = ClientKey::generate(ParameterSet::default()).expect("keys");
    let engine = Engine::new(backend, &client.evaluation_key().expect("keys")).expect("memory");
    stages(criterion, &engine, &client);
    operations(criterion, &engine, &client);
}

#[cfg(not(feature = "gpu"))]
fn gpu(_: &mut Criterion) {}

criterion_group!(benches, cpu, gpu, simulation);
criterion_main!(benches);
