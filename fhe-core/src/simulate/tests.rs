use super::*;
use crate::lookup::{LookupOutput, Term};
use crate::torus::{decode, encode};

fn key() -> SimulatedKey {
    SimulatedKey::new(ParameterSet::default())
}

fn lookup(input: u32, table: u32, slot: u32) -> Lookup {
    Lookup { input, table, outputs: vec![LookupOutput { at: 0, slot }] }
}

/// Looks `phases` up in one table, one row each.
fn look_up(backend: &SimulationBackend, table: LookupTable, phases: &[u64]) -> Result<Vec<u64>> {
    let key = key();
    let tables = backend.load_tables(&key, &[table])?;
    let lookups = backend.load_lookups(&tables, &[lookup(0, 0, 0)])?;
    let mut blocks = backend.allocate(&key, phases.len())?;
    let mut switched = backend.allocate_switched(&key, phases.len())?;
    backend.upload(phases, &mut blocks, 0)?;
    backend.keyswitch(&key, phases.len(), &blocks, &mut switched)?;
    backend.bootstrap(&key, &tables, &lookups, phases.len(), &switched, &mut blocks)?;
    let mut words = vec![0; phases.len()];
    backend.download(&blocks, 0..phases.len(), &mut words)?;
    Ok(words)
}

fn everywhere(f: impl Fn(i64) -> i64) -> LookupTable {
    LookupTable::new(*LookupTable::from_fn(f).boxes(), RING).unwrap()
}

/// Against the definition: coefficient 0 of the accumulator polynomial rotated by the switched phase.
#[test]
fn every_switched_phase_selects_what_a_blind_rotation_would() {
    let (table, size) = (everywhere(|x| x * x + 3), 2048);
    let polynomial = table.polynomial(size);
    let phases = (0..2 * size as u64).map(|phase| phase << 52).collect::<Vec<_>>();
    let words = look_up(&SimulationBackend::new(), table, &phases).unwrap();
    for (phase, word) in words.into_iter().enumerate() {
        let coefficient = polynomial[phase % size];
        let expected = if phase < size { coefficient } else { coefficient.wrapping_neg() };
        assert_eq!(word, expected, "phase {phase}");
    }
}

#[test]
fn boxes_end_half_way_between_two_values() {
    let backend = SimulationBackend::new();
    let phases = [encode(3) + DELTA / 2 - 1, encode(3) + DELTA / 2, encode(0).wrapping_sub(DELTA / 2)];
    let words = look_up(&backend, everywhere(|x| x), &phases).unwrap();
    assert_eq!(words, [encode(3), encode(4), encode(0)]);
    assert!((backend.report().largest_deviation - 1.0).abs() < 1e-9);
}

#[test]
fn values_outside_the_proved_domain_are_refused() {
    let table = LookupTable::new(*LookupTable::from_fn(|x| x).boxes(), 4).unwrap();
    let error = look_up(&SimulationBackend::new(), table, &[encode(3), encode(1), encode(4)]).unwrap_err();
    assert!(matches!(error, Error::OutsideDomain { value: 4, domain: 4, row: 2, lookup: 0 }), "{error}");
    let error = look_up(&SimulationBackend::new(), LookupTable::from_fn(|x| x), &[encode(-1)]).unwrap_err();
    assert!(matches!(error, Error::OutsideDomain { value: 31, domain: 16, row: 0, lookup: 0 }), "{error}");
}

#[test]
fn noise_has_the_variance_of_the_model_and_is_reproducible() {
    let phases = vec![encode(5); 100_000];
    let run = |seed| {
        let backend = SimulationBackend::with_noise(seed);
        (look_up(&backend, everywhere(|x| x + 1), &phases).unwrap(), backend.report())
    };
    let (words, report) = run(7);
    assert_eq!((words.clone(), report), run(7));
    assert_ne!(words, run(8).0);
    let deviations = words.iter().map(|word| word.wrapping_sub(encode(6)) as i64 as f64 / (64.0f64).exp2());
    let variance = deviations.map(|deviation| deviation * deviation).sum::<f64>() / words.len() as f64;
    assert!((variance / key().noise.bootstrap - 1.0).abs() < 0.03, "{variance}");
    assert!(words.iter().all(|&word| decode(word) == 6));
    // Noiseless inputs: keyswitch and modulus switch alone, 100 000 times, reach 4 to 6 standard deviations.
    let sigma = key().noise.at_norm(0.0).sqrt() * 64.0;
    assert!((4.0 * sigma..6.0 * sigma).contains(&report.largest_deviation), "{report:?}, sigma {sigma}");
}

#[test]
fn work_is_counted() {
    let (backend, key) = (SimulationBackend::new(), key());
    look_up(&backend, everywhere(|x| x), &[0, encode(1), encode(2)]).unwrap();
    let mut forms = LinearForms::new();
    forms.push([Term { slot: 0, coefficient: 2 }, Term { slot: 1, coefficient: -1 }], 0);
    let forms = backend.load_forms(&forms).unwrap();
    let (source, mut target) = (backend.allocate(&key, 4).unwrap(), backend.allocate(&key, 2).unwrap());
    backend.linear(&forms, 2, &source, &mut target).unwrap();
    let expected =
        SimulationReport { bootstraps: 3, extractions: 3, keyswitches: 3, linear_terms: 4, largest_deviation: 0.0 };
    assert_eq!(backend.report(), expected);
}

/// Run with `--ignored --nocapture`: bootstraps per second on this thread.
#[test]
#[ignore = "measures speed"]
fn speed() {
    let (key, rows, lookups) = (key(), 256, 512);
    for backend in [SimulationBackend::new(), SimulationBackend::with_noise(1)] {
        let tables = [LookupTable::from_fn(|x| x), LookupTable::from_fn(|x| 15 - x)];
        let tables = backend.load_tables(&key, &tables).unwrap();
        let list = (0..lookups).map(|i| lookup(i, i % 2, i)).collect::<Vec<_>>();
        let list = backend.load_lookups(&tables, &list).unwrap();
        let count = lookups as usize * rows;
        let mut blocks = backend.allocate(&key, count).unwrap();
        let mut switched = backend.allocate_switched(&key, count).unwrap();
        let words = (0..count as i64).map(|i| encode(i % 16)).collect::<Vec<_>>();
        backend.upload(&words, &mut blocks, 0).unwrap();
        let start = std::time::Instant::now();
        for _ in 0..20 {
            backend.keyswitch(&key, count, &blocks, &mut switched).unwrap();
            backend.bootstrap(&key, &tables, &list, rows, &switched, &mut blocks).unwrap();
        }
        let rate = (20 * count) as f64 / start.elapsed().as_secs_f64();
        println!("{}: {:.1} million bootstraps/s", backend.properties().device, rate / 1e6);
    }
}
