//! Section 7: keys, memory, copies, and the shortest way of one ciphertext.

use std::time::Instant;

use anyhow::{Context as _, Result};
use cudarc::driver::CudaContext;
use fhe_benches::sampling::{Spread, sample};
use fhe_core::Backend;
use fhe_core::lookup::LookupTable;
use serde::Serialize;

use crate::answers::one_lookup;
use crate::arguments::Kernel;
use crate::device;
use crate::worker::Context;

/// Ciphertexts that are copied at a time.
const COPIED: usize = 2048;

/// What a key costs.
#[derive(Serialize)]
struct Key {
    measured: &'static str,
    /// Expanding the key's seeds on the processor.
    expand_s: f64,
    /// All of it: expanding, copying, transforming.
    load_s: f64,
    /// Less free memory on the card after a key was loaded.
    device_bytes: usize,
}

/// Copies between processor and card.
#[derive(Serialize)]
struct Copy {
    measured: &'static str,
    ciphertexts: usize,
    bytes: usize,
    gigabytes_per_s: f64,
    #[serde(flatten)]
    spread: Spread,
}

/// One bootstrap with keyswitch, from a call to the end of its wait.
#[derive(Serialize)]
struct Latency {
    measured: &'static str,
    kernel: String,
    #[serde(flatten)]
    spread: Spread,
}

/// Measures all of it.
pub fn run(context: &mut Context) -> Result<()> {
    let automatic = Kernel::ALL[0];
    let card = context.card(automatic)?;
    let driver = CudaContext::new(context.arguments.device).context("cuDevicePrimaryCtxRetain")?;
    let free = || driver.mem_get_info().map(|(free, _)| free).context("cuMemGetInfo");

    let started = Instant::now();
    card.keys.evaluation().expand()?;
    let expand_s = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let first = card.backend.load_key(card.keys.evaluation())?;
    card.backend.synchronize()?;
    let load_s = started.elapsed().as_secs_f64();
    // Loading gives unused memory back to the driver, so a second key changes what is free by its own size.
    let before = free()?;
    let second = card.backend.load_key(card.keys.evaluation())?;
    let device_bytes = before.saturating_sub(free()?);
    drop((first, second));
    println!(
        "  key: {load_s:.2} s, of which {expand_s:.2} s on the processor; {} MB on the card",
        device_bytes / 1_000_000
    );
    context.journal.record("transfers", Key { measured: "key", expand_s, load_s, device_bytes })?;

    let words = card.noise(COPIED, 1);
    let bytes = std::mem::size_of_val(words.as_slice());
    let mut buffer = card.backend.allocate(&card.key, COPIED)?;
    let up = sample(context.sizes.effort, |calls| {
        (0..calls).try_for_each(|_| card.backend.upload(&words, &mut buffer, 0))?;
        card.backend.synchronize()
    })?;
    copied(context, "upload", bytes, up)?;
    let mut room = vec![0; words.len()];
    let down = sample(context.sizes.effort, |calls| {
        (0..calls).try_for_each(|_| card.backend.download(&buffer, 0..COPIED, &mut room))
    })?;
    anyhow::ensure!(room == words, "what was uploaded does not come back");
    copied(context, "download", bytes, down)?;

    let tables = card.backend.load_tables(&card.key, &[LookupTable::from_fn(|x| x)])?;
    let lookups = card.backend.load_lookups(&tables, &[one_lookup()])?;
    let source = card.encrypt(&[5]);
    let mut switched = card.backend.allocate_switched(&card.key, 1)?;
    let mut target = card.allocate(1);
    let spread = sample(context.sizes.effort, |calls| {
        (0..calls).try_for_each(|_| {
            card.backend.keyswitch(&card.key, 1, &source, &mut switched)?;
            card.backend.bootstrap(&card.key, &tables, &lookups, 1, &switched, &mut target)?;
            card.backend.synchronize()
        })
    })?;
    let kernel = Kernel(card.backend.blind_rotation(1)).name();
    println!("  one bootstrap, with keyswitch and wait: {:.3} ms ({kernel})", spread.median_ms);
    context.journal.record("transfers", Latency { measured: "one bootstrap", kernel, spread })?;
    device::record_clocks(context, "end")
}

fn copied(context: &mut Context, measured: &'static str, bytes: usize, spread: Spread) -> Result<()> {
    let gigabytes_per_s = spread.per_second(bytes) / 1e9;
    println!("  {measured} of {COPIED} ciphertexts: {gigabytes_per_s:.2} GB/s");
    context.journal.record("transfers", Copy { measured, ciphertexts: COPIED, bytes, gigabytes_per_s, spread })
}
