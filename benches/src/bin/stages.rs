//! Where the time of a blind rotation goes, on one thread: `cargo run --release --bin fhe-stages`.

use anyhow::Result;
use fhe_core::backend::Backend;
use fhe_core::cpu::SimdLevel;
use fhe_core::{ClientKey, CpuBackend, ParameterSet};

fn main() -> Result<()> {
    let params = ParameterSet::default();
    let key = ClientKey::generate(params)?.evaluation_key()?;
    println!("ns per step and ciphertext; {} steps make a bootstrap", params.lwe_dimension());
    println!(
        "{:<14} {:>5} {:>9} {:>9} {:>9} {:>14}",
        "instructions", "tile", "forward", "product", "inverse", "ms/bootstrap"
    );
    for simd in SimdLevel::available() {
        let loaded = CpuBackend::with_simd(1, simd)?.load_key(&key)?;
        for tile in [1, 8] {
            let times = loaded.stage_times(tile);
            let sum = times.forward + times.multiply + times.inverse;
            let whole = sum * params.lwe_dimension() as f64 / 1e6;
            println!(
                "{:<14} {tile:>5} {:>9.0} {:>9.0} {:>9.0} {whole:>14.2}",
                format!("{simd:?}"),
                times.forward,
                times.multiply,
                times.inverse
            );
        }
    }
    Ok(())
}
