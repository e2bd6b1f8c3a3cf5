//! The CPU backend and the `tfhe` crate side by side, in one run: `cargo xtask peers`.
//!
//! Same keys, same ciphertexts, all cores on both sides. The peer runs a batch in its best known way: rows spread over
//! rayon, each operation in its parallel form. Results of both sides are decrypted and checked.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use fhe_benches::paired::{Pair, measure};
use fhe_core::backend::Backend;
use fhe_core::lookup::{Lookup, LookupOutput, LookupTable};
use fhe_core::{
    Batch, Bits, ClientKey, Column, CpuBackend, Engine, EvaluationKey, ParameterSet, Program, RunOptions, Type,
};
use fhe_tests::catalogue::Operation;
use fhe_tests::columns::Numbers;
use rayon::prelude::*;
use serde::Serialize;
use tfhe::core_crypto::prelude::{LweCiphertext, keyswitch_lwe_ciphertext};
use tfhe::integer::prelude::ServerKeyDefaultCMux;
use tfhe::integer::{BooleanBlock, IntegerCiphertext, RadixCiphertext, ServerKey};
use tfhe::shortint::Ciphertext;
use tfhe::shortint::atomic_pattern::expanded::ExpandedAtomicPatternServerKey;

#[derive(Parser)]
#[command(about = "The CPU backend and the tfhe crate side by side, in one run")]
struct Arguments {
    /// One repetition instead of three.
    #[arg(long)]
    quick: bool,
    /// Writes the table as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only the measurements whose names contain this.
    #[arg(long, value_name = "PART")]
    only: Option<String>,
    /// Threads for both sides; all cores if absent.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// One row of the table; times are for the whole batch.
#[derive(Serialize)]
struct Comparison {
    name: &'static str,
    ours_ms: f64,
    peer_ms: f64,
    ratio: f64,
    bootstraps_ours: u64,
    bootstraps_peer: u64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let threads = match arguments.threads {
        Some(threads) => threads,
        None => std::thread::available_parallelism()?.get(),
    };
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let mut peers = Peers::new(arguments, threads)?;
    peers.bootstraps("bootstrap_single", 1)?;
    peers.bootstraps("bootstrap_batch64", 64)?;
    peers.keyswitches("keyswitch_batch64", 64)?;
    let u64s = Type::Uint(64);
    peers.operation("add_u64_single", "add", u64s, 1, |key, x| vec![key.add_parallelized(&x[0], &x[1])])?;
    peers.operation("add_u64_batch16", "add", u64s, 16, |key, x| vec![key.add_parallelized(&x[0], &x[1])])?;
    peers.operation("mul_u32_single", "mul", Type::Uint(32), 1, |key, x| vec![key.mul_parallelized(&x[0], &x[1])])?;
    peers.operation("gt_u64_single", "gt", u64s, 1, |key, x| vec![boolean(key.gt_parallelized(&x[0], &x[1]))])?;
    peers.operation("select_u64_batch16", "select", u64s, 16, |key, x| {
        let condition = BooleanBlock::new_unchecked(x[0].blocks()[0].clone());
        vec![key.if_then_else_parallelized(&condition, &x[1], &x[2])]
    })?;
    peers.operation("transfer_u64_batch8", "transfer", u64s, 8, |key, x| {
        let (from, to, amount) = (&x[0], &x[1], &x[2]);
        let enough = key.ge_parallelized(from, amount);
        let nothing = key.create_trivial_zero_radix(32);
        let moved = key.if_then_else_parallelized(&enough, amount, &nothing);
        vec![key.sub_parallelized(from, &moved), key.add_parallelized(to, &moved)]
    })?;
    peers.finish()
}

fn boolean(block: BooleanBlock) -> RadixCiphertext {
    RadixCiphertext::from(vec![block.into_raw_parts()])
}

/// One row of a column as the peer's integer; a truth value is an integer of one block.
fn radix(column: &Column, row: usize) -> fhe_core::Result<RadixCiphertext> {
    if column.ty() != Type::Bool {
        return column.radix(row);
    }
    let blocks = column.slice(row..row + 1)?.to_tfhe::<BooleanBlock>()?;
    Ok(RadixCiphertext::from(blocks.into_iter().map(BooleanBlock::into_raw_parts).collect::<Vec<_>>()))
}

struct Peers {
    arguments: Arguments,
    client: ClientKey,
    evaluation_key: EvaluationKey,
    engine: Engine<CpuBackend>,
    server: ServerKey,
    rows: Vec<Comparison>,
}

impl Peers {
    fn new(arguments: Arguments, threads: usize) -> Result<Self> {
        let client = ClientKey::generate(ParameterSet::default())?;
        let evaluation_key = client.evaluation_key()?;
        let backend = CpuBackend::with_threads(threads)?;
        println!("tfhe crate against {}", backend.properties().device);
        let engine = Engine::new(backend, &evaluation_key)?;
        let compressed = evaluation_key.to_tfhe().context("a key for encrypted data")?;
        let server = compressed.decompress().into_raw_parts().0;
        println!(
            "{:<22} {:>10} {:>10} {:>7} {:>12} {:>12}",
            "name", "ours ms", "peer ms", "ratio", "bootstraps", "peer's"
        );
        Ok(Self { arguments, client, evaluation_key, engine, server, rows: Vec::new() })
    }

    fn wanted(&self, name: &str) -> bool {
        self.arguments.only.as_ref().is_none_or(|part| name.contains(part.as_str()))
    }

    fn repetitions(&self, cheap: bool) -> usize {
        match (self.arguments.quick, cheap) {
            (true, false) => 1,
            (true, true) => 5,
            (false, false) => 3,
            (false, true) => 21,
        }
    }

    fn push(&mut self, name: &'static str, pair: Pair, bootstraps_ours: u64, bootstraps_peer: u64) {
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let (ours_ms, peer_ms, ratio) = (millis(pair.ours), millis(pair.peer), pair.ratio);
        println!("{name:<22} {ours_ms:>10.2} {peer_ms:>10.2} {ratio:>7.2} {bootstraps_ours:>12} {bootstraps_peer:>12}");
        self.rows.push(Comparison { name, ours_ms, peer_ms, ratio, bootstraps_ours, bootstraps_peer });
    }

    /// `count` blocks with known values, in our form and in the peer's.
    fn blocks(&self, count: usize) -> Result<(Vec<bool>, Column, Vec<Ciphertext>)> {
        let values: Vec<bool> = (0..count).map(|index| index % 3 == 0).collect();
        let column = self.client.encrypt(&values)?;
        let peers = column.to_tfhe::<BooleanBlock>()?.into_iter().map(BooleanBlock::into_raw_parts).collect();
        Ok((values, column, peers))
    }

    /// Keyswitch and bootstrap of `count` ciphertexts through one table.
    fn bootstraps(&mut self, name: &'static str, count: usize) -> Result<()> {
        if !self.wanted(name) {
            return Ok(());
        }
        let (values, column, blocks) = self.blocks(count)?;
        let (backend, key) = (&**self.engine.backend(), self.engine.key());
        let tables = backend.load_tables(key, &[LookupTable::from_fn(|x| 1 - (x & 1))])?;
        let job = Lookup { input: 0, table: 0, outputs: vec![LookupOutput { at: 0, slot: 0 }] };
        let lookups = backend.load_lookups(&tables, &[job])?;
        let mut buffer = backend.allocate(key, count)?;
        let mut result = backend.allocate(key, count)?;
        let mut switched = backend.allocate_switched(key, count)?;
        backend.upload(column.words(), &mut buffer, 0)?;
        let table = self.server.as_ref().generate_lookup_table(|x| 1 - (x & 1));
        let mut outputs = Vec::new();
        let mut failed = None;
        tfhe::reset_pbs_count();
        let repetitions = self.repetitions(true);
        let pair = measure(
            repetitions,
            || {
                let done = backend
                    .keyswitch(key, count, &buffer, &mut switched)
                    .and_then(|()| backend.bootstrap(key, &tables, &lookups, count, &switched, &mut result));
                failed = done.err();
            },
            || {
                outputs =
                    blocks.par_iter().map(|block| self.server.as_ref().apply_lookup_table(block, &table)).collect();
            },
        );
        failed.map_or(Ok(()), Err)?;
        let bootstraps_peer = tfhe::get_pbs_count() / repetitions as u64;
        let expected: Vec<bool> = values.iter().map(|value| !value).collect();
        let mut words = vec![0; column.words().len()];
        backend.download(&result, 0..count, &mut words)?;
        let ours = Column::from_words(Type::Bool, column.scheme(), words, column.infos().to_vec())?;
        ensure!(self.client.decrypt::<bool>(&ours)? == expected, "{name}: our result is wrong");
        let peers = outputs.into_iter().map(BooleanBlock::new_unchecked);
        let peers = Column::from_tfhe(peers, self.client.parameters())?;
        ensure!(self.client.decrypt::<bool>(&peers)? == expected, "{name}: the peer's result is wrong");
        self.push(name, pair, count as u64, bootstraps_peer);
        Ok(())
    }

    /// The keyswitch alone; ours includes the modulus switch.
    fn keyswitches(&mut self, name: &'static str, count: usize) -> Result<()> {
        if !self.wanted(name) {
            return Ok(());
        }
        let (_, column, blocks) = self.blocks(count)?;
        let compressed = self.evaluation_key.to_tfhe().context("a key for encrypted data")?;
        let shortint = compressed.into_raw_parts().0.into_raw_parts();
        let ExpandedAtomicPatternServerKey::Standard(standard) = shortint.into_raw_parts().0.expand() else {
            anyhow::bail!("the supported parameters have a standard atomic pattern");
        };
        let peer_key = standard.key_switching_key;
        let (backend, key) = (&**self.engine.backend(), self.engine.key());
        let mut buffer = backend.allocate(key, count)?;
        let mut switched = backend.allocate_switched(key, count)?;
        backend.upload(column.words(), &mut buffer, 0)?;
        let mut outputs: Vec<_> = blocks
            .iter()
            .map(|_| LweCiphertext::new(0u64, peer_key.output_lwe_size(), peer_key.ciphertext_modulus()))
            .collect();
        let mut failed = None;
        let pair = measure(
            self.repetitions(true),
            || failed = backend.keyswitch(key, count, &buffer, &mut switched).err(),
            || {
                blocks
                    .par_iter()
                    .zip(&mut outputs)
                    .for_each(|(block, output)| keyswitch_lwe_ciphertext(&peer_key, &block.ct, output));
            },
        );
        failed.map_or(Ok(()), Err)?;
        self.push(name, pair, 0, 0);
        Ok(())
    }

    /// An operation of the catalogue on `count` rows of random values.
    fn operation(
        &mut self,
        name: &'static str,
        operation: &str,
        ty: Type,
        count: usize,
        peer: impl Fn(&ServerKey, &[RadixCiphertext]) -> Vec<RadixCiphertext> + Sync,
    ) -> Result<()> {
        if !self.wanted(name) {
            return Ok(());
        }
        let operation = Operation::find(operation).context("an operation of the catalogue")?;
        let program = operation.program(ty)?;
        let batch = self.random_inputs(&program, count)?;
        let rows: Vec<Vec<RadixCiphertext>> = (0..count)
            .map(|row| batch.names().map(|name| radix(batch.column(name)?, row)).collect::<fhe_core::Result<_>>())
            .collect::<fhe_core::Result<_>>()?;
        let (mut ours, mut peers) = (None, Vec::new());
        tfhe::reset_pbs_count();
        let repetitions = self.repetitions(false);
        let pair = measure(
            repetitions,
            || ours = Some(self.engine.run_with(&program, &batch, RunOptions::new())),
            || peers = rows.par_iter().map(|inputs| peer(&self.server, inputs)).collect(),
        );
        let bootstraps_peer = tfhe::get_pbs_count() / repetitions as u64;
        let (outputs, report) = ours.context("at least one repetition")??;
        let secret = self.client.to_tfhe().context("a key for encrypted data")?.clone().into_raw_parts().0;
        for (index, output) in outputs.names().enumerate() {
            let column = outputs.column(output)?;
            for (row, results) in peers.iter().enumerate() {
                let ours: u64 = secret.decrypt_radix(&radix(column, row)?);
                let peers: u64 = secret.decrypt_radix(&results[index]);
                ensure!(ours == peers, "{name}, row {row}, {output}: ours {ours}, the peer's {peers}");
            }
        }
        self.push(name, pair, report.bootstraps, bootstraps_peer);
        Ok(())
    }

    fn random_inputs(&self, program: &Program, count: usize) -> Result<Batch> {
        let mut numbers = Numbers(0);
        let mut batch = Batch::new();
        for port in program.graph().inputs() {
            let ty = program.graph().ty(port.node);
            let values: Vec<Bits> = (0..count).map(|_| numbers.uniform(ty)).collect();
            batch.insert(&port.name, self.client.encrypt_bits(ty, &values)?)?;
        }
        Ok(batch)
    }

    fn finish(self) -> Result<()> {
        if let Some(path) = &self.arguments.json {
            let text = serde_json::to_string_pretty(&self.rows)?;
            std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}
