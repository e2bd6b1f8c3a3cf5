//! Operations on integers on both sides: many at a time, and one.

use anyhow::{Context as _, Result, ensure};
use fhe_benches::sampling::sample;
use fhe_core::{Bits, Engine, Form, Program, RunOptions, Type};
use fhe_tests::catalogue::Operation;
use fhe_tests::clear;
use fhe_tests::conformance::Random;
use tfhe::core_crypto::gpu::CudaStreams;
use tfhe::integer::gpu::ciphertext::CudaUnsignedRadixCiphertext;

use super::{Peer, Row, push};
use crate::arguments::Kernel;
use crate::integers::{MEASURED, inputs, rows};
use crate::worker::Context;

/// Threads that the peer is tried with, each with a stream and operations of its own.
const THREADS: [usize; 5] = [1, 4, 8, 16, 32];

/// Our side of one operation.
pub struct Ours {
    name: &'static str,
    bits: u32,
    program: Program,
    rows: usize,
    throughput_per_s: f64,
    latency_per_s: f64,
}

impl Ours {
    /// Digits of an operand.
    fn blocks(&self) -> usize {
        self.bits as usize / 2
    }
}

/// Our operations per second, in a batch that fills the card and one at a time; copies are part of the time.
pub fn ours(context: &mut Context) -> Result<Vec<Ours>> {
    let (client, key) = context.keys()?;
    let engine = Engine::new(context.open(Kernel::ALL[0])?, key)?;
    let measure = |(name, bits): (&'static str, u32)| {
        let operation = Operation::find(name).context("an operation of the catalogue")?;
        let program = operation.program(Type::Uint(bits))?;
        let rows = context.sizes.rows.map_or_else(|| rows(&engine, &program), Ok)?;
        let per_second = |rows, form| {
            let (_, batch) = inputs(client, &program, rows, 1)?;
            let run = || engine.run_with(&program, &batch, RunOptions::new().form(form)).map(|_| ());
            let spread = sample(context.sizes.effort, |calls| (0..calls).try_for_each(|_| run()))?;
            anyhow::Ok(spread.per_second(rows))
        };
        let (throughput_per_s, latency_per_s) = (per_second(rows, Form::Throughput)?, per_second(1, Form::Latency)?);
        anyhow::Ok(Ours { name, bits, program, rows, throughput_per_s, latency_per_s })
    };
    MEASURED.into_iter().map(measure).collect()
}

/// The peer beside it.
pub fn compare(context: &mut Context, peer: &Peer, ours: &[Ours]) -> Result<()> {
    for ours in ours {
        let mut best = (0, 0.0);
        let mut single = 0.0;
        for threads in THREADS {
            let per_second = measure(context, peer, ours, threads)?;
            if threads == 1 {
                single = per_second;
            }
            if per_second > best.1 {
                best = (threads, per_second);
            }
        }
        let name = format!("{} {} bits", ours.name, ours.bits);
        let (throughput, latency) = (ours.throughput_per_s, ours.latency_per_s);
        push(context, row(name.clone(), peer, (ours.rows, throughput), best))?;
        push(context, row(format!("{name}, one"), peer, (1, latency), (1, single)))?;
    }
    Ok(())
}

fn row(measured: String, peer: &Peer, ours: (usize, f64), theirs: (usize, f64)) -> Row {
    Row {
        measured,
        parameters: peer.parameters,
        ours_batch: ours.0,
        peer_batch: theirs.0,
        ours_per_s: ours.1,
        peer_per_s: theirs.1,
        ratio: ours.1 / theirs.1,
        peer_choice: format!("{} threads", theirs.0),
    }
}

type Integer = CudaUnsignedRadixCiphertext;

/// The operation in the peer's words.
fn apply(peer: &Peer, ours: &Ours, x: &[Integer], streams: &CudaStreams) -> Result<Vec<Integer>> {
    let key = &peer.server;
    Ok(match ours.name {
        "add" => vec![key.add(&x[0], &x[1], streams)],
        "and" => vec![key.bitand(&x[0], &x[1], streams)],
        "mul" => vec![key.mul(&x[0], &x[1], streams)],
        "transfer" => {
            let (from, to, amount) = (&x[0], &x[1], &x[2]);
            let enough = key.ge(from, amount, streams);
            let nothing: Integer = key.create_trivial_zero_radix(ours.blocks(), streams);
            let moved = key.if_then_else(&enough, amount, &nothing, streams);
            vec![key.sub(from, &moved, streams), key.add(to, &moved, streams)]
        }
        name => anyhow::bail!("the peer is not taught `{name}`"),
    })
}

/// A thread's part: a stream and inputs on the card.
struct Part {
    streams: CudaStreams,
    inputs: Vec<Integer>,
}

/// Operations per second with so many threads, after each has given the right result once.
fn measure(context: &Context, peer: &Peer, ours: &Ours, threads: usize) -> Result<f64> {
    let graph = ours.program.graph();
    let mut random = Random::new(u64::from(ours.bits));
    let mut parts = Vec::new();
    for _ in 0..threads {
        let streams = peer.streams();
        let types = graph.inputs().iter().map(|port| graph.ty(port.node));
        let values: Vec<u64> = types.map(|ty| random.word() & (u64::MAX >> (64 - ty.bits().min(64)))).collect();
        let encrypt = |&value: &u64| {
            let radix = peer.client.encrypt_radix(value, ours.blocks());
            Integer::from_radix_ciphertext(&radix, &streams)
        };
        let inputs = values.iter().map(encrypt).collect::<Vec<_>>();
        let results = apply(peer, ours, &inputs, &streams)?;
        let found: Vec<u64> =
            results.iter().map(|result| peer.client.decrypt_radix(&result.to_radix_ciphertext(&streams))).collect();
        let bits: Vec<Bits> = values.iter().map(|&value| Bits::from(value)).collect();
        let wanted = clear::evaluate(graph, &bits);
        let found: Vec<Bits> = found.into_iter().map(Bits::from).collect();
        ensure!(found == wanted, "{} of {values:?}: the peer's {found:?} instead of {wanted:?}", ours.name);
        parts.push(Part { streams, inputs });
    }
    let spread = sample(context.sizes.effort, |calls| {
        std::thread::scope(|scope| {
            let run = |part: &Part| {
                (0..calls).try_for_each(|_| apply(peer, ours, &part.inputs, &part.streams).map(|_| ()))?;
                part.streams.synchronize();
                anyhow::Ok(())
            };
            let running: Vec<_> = parts.iter().map(|part| scope.spawn(move || run(part))).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, Result<()>>| {
                thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the peer panicked")))
            };
            running.into_iter().map(join).collect::<Result<Vec<()>>>()
        })
        .map(|_| ())
    })?;
    Ok(spread.per_second(threads))
}
