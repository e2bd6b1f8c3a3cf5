//! Section 2: known answers. Every kernel bootstraps random values; keyswitch and linear forms, which are integer
//! arithmetic, give the processor's words.

use anyhow::{Result, ensure};
use fhe_core::Backend;
use fhe_core::lookup::{LinearForms, Lookup, LookupOutput, LookupTable, Term};
use fhe_gpu::BlindRotation;
use fhe_tests::conformance::{Fixture, Random};
use serde::Serialize;

use crate::arguments::Kernel;
use crate::worker::Context;

/// Rows of the keyswitch: both of its tiles, whole and cut off.
const KEYSWITCHES: [usize; 2] = [17, 131];

/// What was compared.
#[derive(Serialize)]
struct Answers {
    kernel: String,
    /// What was compared with what.
    check: &'static str,
    compared: usize,
    wrong: usize,
}

/// Compares; anything wrong is an error, after all was recorded.
pub fn run(context: &mut Context, kernel: Kernel) -> Result<()> {
    let card = context.card(kernel)?;
    let mut wrong = bootstraps(context, kernel, &card)?;
    if kernel.0 == BlindRotation::Auto {
        wrong += keyswitches(context, kernel, &card)?;
        wrong += linear_forms(context, kernel, &card)?;
    }
    ensure!(wrong == 0, "{wrong} answers are wrong");
    Ok(())
}

fn report(context: &mut Context, kernel: Kernel, check: &'static str, compared: usize, wrong: usize) -> Result<usize> {
    println!("  {:<14} {check}: {compared} compared, {wrong} wrong", kernel.name());
    context.journal.record("answers", Answers { kernel: kernel.name(), check, compared, wrong })?;
    Ok(wrong)
}

/// One lookup of table 0 at input and slot 0.
pub fn one_lookup() -> Lookup {
    Lookup { input: 0, table: 0, outputs: vec![LookupOutput { at: 0, slot: 0 }] }
}

/// A table of random integers, and what it gives for `0..16`.
pub fn random_table(random: &mut Random) -> (LookupTable, [i64; 16]) {
    let values = [(); 16].map(|()| random.below(16) as i64);
    (LookupTable::from_fn(|x| values[x as usize]), values)
}

fn bootstraps<B: Backend>(context: &mut Context, kernel: Kernel, card: &Fixture<B>) -> Result<usize> {
    let (mut random, count) = (Random::new(1), context.sizes.answers);
    let (table, answers) = random_table(&mut random);
    let values: Vec<i64> = (0..count).map(|_| random.below(16) as i64).collect();
    let results = card.bootstrap(&[table], &[one_lookup()], count, &card.switch_values(&values), 1);
    let found = card.decrypt(&results, 0..count);
    let wrong = found.iter().zip(&values).filter(|(found, value)| **found != answers[**value as usize]).count();
    report(context, kernel, "bootstraps decrypted", count, wrong)
}

fn keyswitches<B: Backend>(context: &mut Context, kernel: Kernel, card: &Fixture<B>) -> Result<usize> {
    let mut wrong = 0;
    for rows in KEYSWITCHES {
        // Real ciphertexts, then random words: every digit occurs.
        let mut words = card.keys.encrypt(&[0, 5, 15, 31]);
        words.extend(card.noise(rows - 4, rows as u64));
        let ours = card.backend.download_switched(&card.switch(&card.load(&words), rows), 0..rows)?;
        let cpu = context.cpu()?;
        let theirs = cpu.backend.download_switched(&cpu.switch(&cpu.load(&words), rows), 0..rows)?;
        let different = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).count();
        let check = "words after keyswitch and modulus switch, beside the processor's";
        wrong += report(context, kernel, check, ours.len(), different)?;
    }
    Ok(wrong)
}

fn linear_forms<B: Backend>(context: &mut Context, kernel: Kernel, card: &Fixture<B>) -> Result<usize> {
    const SLOTS: u32 = 5;
    const ROWS: usize = 3;
    let mut random = Random::new(2);
    let mut forms = LinearForms::new();
    for terms in [0, 1, 2, 5] {
        let term = |slot: u32, random: &mut Random| Term { slot: slot % SLOTS, coefficient: random.word() as i32 };
        let terms: Vec<Term> = (0..terms).map(|slot| term(slot + 2, &mut random)).collect();
        forms.push(terms, random.word());
    }
    let (words, results) = (card.noise(SLOTS as usize * ROWS, 3), 4 * ROWS);
    let mut target = card.allocate(results);
    card.backend.linear(&card.forms(&forms), ROWS, &card.load(&words), &mut target)?;
    let ours = card.read(&target, 0..results);
    let cpu = context.cpu()?;
    let mut target = cpu.allocate(results);
    cpu.backend.linear(&cpu.forms(&forms), ROWS, &cpu.load(&words), &mut target)?;
    let theirs = cpu.read(&target, 0..results);
    let different = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).count();
    report(context, kernel, "words of linear forms, beside the processor's", ours.len(), different)
}
