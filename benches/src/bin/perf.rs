//! The benchmarks of `cargo xtask perf`: one JSON line `{"name": ..., "seconds": ...}` for each, named
//! `group/backend/parameters/batch=N`. A run is short, because a comparison takes dozens of them.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use fhe_benches::sampling::{Effort, sample};
use fhe_core::backend::Backend;
use fhe_core::lookup::{Lookup, LookupOutput, LookupTable};
use fhe_core::{Batch, ClientKey, CpuBackend, Encrypted, Engine, Form, ParameterSet, Program};

#[derive(Parser)]
#[command(about = "The benchmarks of `cargo xtask perf`, as JSON lines")]
struct Arguments {
    /// Only the benchmarks whose names contain this.
    #[arg(long, value_name = "PART", default_value = "")]
    only: String,
    /// On the first GPU as well.
    #[arg(long)]
    gpu: bool,
}

const EFFORT: Effort = Effort { region: Duration::from_millis(50), budget: Duration::from_millis(600), regions: 7 };

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let measure = |name: &str, run: &mut dyn FnMut() -> fhe_core::Result<()>| -> Result<()> {
        if name.contains(&arguments.only) {
            let spread = sample(EFFORT, |calls| (0..calls).try_for_each(|_| run()))?;
            println!("{}", serde_json::json!({ "name": name, "seconds": spread.median_ms / 1e3 }));
        }
        Ok(())
    };
    measure("plan_product_u32/compiler/none/batch=1", &mut || {
        let product = |t: &fhe_core::Trace| {
            let (a, b): (Encrypted<u32>, Encrypted<u32>) = (t.input("a"), t.input("b"));
            t.output("c", &(&a * &b));
        };
        Program::trace(product)?.statistics(Form::Throughput).map(drop)
    })?;

    let client = ClientKey::generate(ParameterSet::default())?;
    let key = client.evaluation_key()?;
    backend(&Engine::new(CpuBackend::new()?, &key)?, &client, &measure)?;
    if arguments.gpu {
        gpu(&client, &key, &measure)?;
    }
    Ok(())
}

type Measure<'a> = dyn Fn(&str, &mut dyn FnMut() -> fhe_core::Result<()>) -> Result<()> + 'a;

#[cfg(feature = "gpu")]
fn gpu(client: &ClientKey, key: &fhe_core::EvaluationKey, measure: &Measure) -> Result<()> {
    backend(&Engine::new(fhe_gpu::CudaBackend::new(0)?, key)?, client, measure)
}

#[cfg(not(feature = "gpu"))]
fn gpu(_: &ClientKey, _: &fhe_core::EvaluationKey, _: &Measure) -> Result<()> {
    anyhow::bail!("built without the feature gpu")
}

/// One keyswitch and one bootstrap per row, and a whole addition.
fn backend<B: Backend>(engine: &Engine<B>, client: &ClientKey, measure: &Measure) -> Result<()> {
    let (backend, key) = (&**engine.backend(), engine.key());
    let suffix = |rows: usize| format!("{}/{}/batch={rows}", backend.properties().name, client.parameters().name());
    let rows = 8;
    let column = client.encrypt(&vec![true; rows])?;
    let mut buffer = backend.allocate(key, rows)?;
    let mut result = backend.allocate(key, rows)?;
    let mut switched = backend.allocate_switched(key, rows)?;
    backend.upload(column.words(), &mut buffer, 0)?;
    let tables = backend.load_tables(key, &[LookupTable::from_fn(|x| x)])?;
    let job = Lookup { input: 0, table: 0, outputs: vec![LookupOutput { at: 0, slot: 0 }] };
    let lookups = backend.load_lookups(&tables, &[job])?;
    backend.keyswitch(key, rows, &buffer, &mut switched)?;
    measure(&format!("keyswitch/{}", suffix(rows)), &mut || {
        backend.keyswitch(key, rows, &buffer, &mut switched)?;
        backend.synchronize()
    })?;
    measure(&format!("bootstrap/{}", suffix(rows)), &mut || {
        backend.bootstrap(key, &tables, &lookups, rows, &switched, &mut result)?;
        backend.synchronize()
    })?;

    let sum = Program::trace(|t| {
        let (a, b) = (t.input::<u8>("a"), t.input::<u8>("b"));
        t.output("c", &(&a + &b));
    })?;
    let batch = Batch::new().with("a", client.encrypt(&[200u8, 3])?)?.with("b", client.encrypt(&[100u8, 4])?)?;
    let answer = client.decrypt::<u8>(engine.run(&sum, &batch)?.column("c")?)?;
    ensure!(answer == [44, 7], "a wrong answer is not worth measuring: {answer:?}");
    measure(&format!("add_u8/{}", suffix(2)), &mut || engine.run(&sum, &batch).map(drop))
}
