//! Adds two columns of encrypted numbers: `cargo run --release --example 01_addition`.

use fhe_core::{Batch, ClientKey, CpuBackend, Engine, ParameterSet, Program, Result};

fn main() -> Result<()> {
    // What to compute, traced once: it knows no keys and no data.
    let program = Program::trace(|t| {
        let (a, b) = (t.input::<u32>("a"), t.input::<u32>("b"));
        t.output("sum", &(&a + &b));
    })?;

    // The client keeps `client`, and sends the evaluation key and the encrypted columns.
    let client = ClientKey::generate(ParameterSet::default())?;
    let (a, b) = ([1u32, 2_000_000_000, 3_000_000_000], [41u32, 147_483_647, 3_000_000_000]);
    let batch = Batch::new().with("a", client.encrypt(&a)?)?.with("b", client.encrypt(&b)?)?;

    // The server computes on all rows at once, and sees none of them.
    let engine = Engine::new(CpuBackend::new()?, &client.evaluation_key()?)?;
    let results = engine.run(&program, &batch)?;

    // The client decrypts.
    let sums = client.decrypt::<u32>(results.column("sum")?)?;
    for ((a, b), sum) in a.into_iter().zip(b).zip(sums) {
        assert_eq!(sum, a.wrapping_add(b));
        println!("{a} + {b} = {sum} (modulo 2^32)");
    }
    Ok(())
}
