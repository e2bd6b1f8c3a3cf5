//! Section 4: the noise of bootstraps, beside that of the processor on the same key.

use anyhow::{Result, ensure};
use fhe_core::Backend;
use fhe_core::lookup::LookupTable;
use fhe_core::simulate::NoiseModel;
use fhe_core::torus::encode;
use fhe_tests::conformance::{Fixture, Random};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::answers::one_lookup;
use crate::arguments::Kernel;
use crate::journal::Event;
use crate::worker::Context;

/// Standard deviations of the logarithm of the quotient that are allowed.
const DEVIATIONS: f64 = 5.0;

/// Bootstraps of one call: a sign of life between them.
const CHUNK: usize = 512;

/// The F test: for the same distribution, the logarithm of the quotient of two variances of N samples each is normal
/// with mean 0 and standard deviation 2/√N.
#[derive(Serialize)]
struct Noise {
    kernel: String,
    samples: usize,
    /// In units of the torus squared.
    variance: f64,
    cpu_variance: f64,
    /// What the parameters promise.
    model_variance: f64,
    ratio_to_cpu: f64,
    deviations: f64,
    allowed_deviations: f64,
    /// The mean error in its own standard deviations.
    mean_deviations: f64,
}

/// Measures, and compares.
pub fn run(context: &mut Context, kernel: Kernel) -> Result<()> {
    let card = context.card(kernel)?;
    let samples = context.sizes.samples;
    let (variance, mean) = measure(context, &card, samples, 1)?;
    let cpu_variance = match context.cpu_variance {
        Some(variance) => variance,
        None => cpu(context, samples)?,
    };
    context.cpu_variance = Some(cpu_variance);
    let deviations = (variance / cpu_variance).ln() / (2.0 / (samples as f64).sqrt());
    let noise = Noise {
        kernel: kernel.name(),
        samples,
        variance,
        cpu_variance,
        model_variance: NoiseModel::of(card.keys.scheme().parameters()).bootstrap,
        ratio_to_cpu: variance / cpu_variance,
        deviations,
        allowed_deviations: DEVIATIONS,
        mean_deviations: mean / (variance / samples as f64).sqrt(),
    };
    println!(
        "  {:<14} {samples} bootstraps: variance {:.3} of the processor's ({deviations:+.1} of {DEVIATIONS} standard \
         deviations), {:.3} of the model's",
        noise.kernel,
        noise.ratio_to_cpu,
        variance / noise.model_variance
    );
    context.journal.record("noise", noise)?;
    ensure!(deviations.abs() < DEVIATIONS, "variance {variance:e}, on the processor {cpu_variance:e}");
    Ok(())
}

fn cpu(context: &mut Context, samples: usize) -> Result<f64> {
    // Borrowed from the context, which is also written to: measured on a fixture of its own.
    let cpu =
        Fixture::load_keys(std::sync::Arc::clone(&context.cpu()?.backend), fhe_tests::conformance::Kind::Encrypted)?;
    measure(context, &cpu, samples, 2).map(|(variance, _)| variance)
}

/// Mean squared error and mean error of bootstraps, in units of the torus.
fn measure<B: Backend>(context: &mut Context, f: &Fixture<B>, samples: usize, seed: u64) -> Result<(f64, f64)> {
    let mut random = Random::new(seed);
    let (mut squares, mut sum, mut done) = (0.0, 0.0, 0);
    let bar = ProgressBar::new(samples as u64);
    while done < samples {
        let count = CHUNK.min(samples - done);
        let values: Vec<i64> = (0..count).map(|_| random.below(16) as i64).collect();
        let table = LookupTable::from_fn(|x| x);
        let results = f.bootstrap(&[table], &[one_lookup()], count, &f.switch_values(&values), 1);
        let phases = f.keys.phases(&f.read(&results, 0..count));
        for (phase, &value) in phases.iter().zip(&values) {
            let error = phase.wrapping_sub(encode(value)) as i64 as f64 / 64f64.exp2();
            squares += error * error;
            sum += error;
        }
        done += count;
        bar.inc(count as u64);
        context.journal.write(&Event::Alive)?;
    }
    bar.finish_and_clear();
    Ok((squares / samples as f64, sum / samples as f64))
}
