//! The engine on the simulation backend: errors that say what to mend, chunks, progress, cancellation, many engines.

use std::ops::ControlFlow;

use fhe_core::{Batch, ClientKey, Engine, Error, Form, ParameterSet, Program, RunOptions, SimulationBackend, Type};

fn client() -> ClientKey {
    ClientKey::simulated(ParameterSet::default())
}

fn engine(client: &ClientKey) -> Engine<SimulationBackend> {
    Engine::new(SimulationBackend::new(), &client.evaluation_key().unwrap()).unwrap()
}

fn sum() -> Program {
    Program::trace(|t| {
        let (a, b) = (t.input::<u16>("a"), t.input::<u16>("b"));
        t.output("sum", &(&a + &b));
    })
    .unwrap()
}

fn batch(client: &ClientKey, a: &[u16], b: &[u16]) -> Batch {
    Batch::new().with("a", client.encrypt(a).unwrap()).unwrap().with("b", client.encrypt(b).unwrap()).unwrap()
}

#[test]
fn a_batch_must_have_the_inputs_of_the_program() {
    let client = client();
    let engine = engine(&client);
    let whole = batch(&client, &[1], &[2]);

    let missing = Batch::new().with("a", client.encrypt(&[1u16]).unwrap()).unwrap();
    let error = engine.run(&sum(), &missing).unwrap_err();
    assert!(matches!(&error, Error::MissingInput { name, ty: Type::Uint(16) } if name == "b"), "{error}");

    let extra = whole.clone().with("c", client.encrypt(&[1u8]).unwrap()).unwrap();
    let error = engine.run(&sum(), &extra).unwrap_err();
    assert!(matches!(&error, Error::UnknownInput { name, inputs } if name == "c" && inputs == "a, b"), "{error}");

    let mistyped = missing.with("b", client.encrypt(&[1i16]).unwrap()).unwrap();
    let error = engine.run(&sum(), &mistyped).unwrap_err();
    assert!(
        matches!(&error, Error::TypeMismatch { name, found: Type::Int(16), expected: Type::Uint(16) } if name == "b"),
        "{error}"
    );
    assert!(engine.run(&sum(), &whole).is_ok(), "the engine is usable after errors");
}

#[test]
fn ciphertexts_of_other_parameters_are_refused_naming_both() {
    let gaussian = ParameterSet::by_name("PARAM_MESSAGE_2_CARRY_2_KS_PBS_GAUSSIAN_2M128").unwrap();
    let other = ClientKey::simulated(gaussian);
    let error = engine(&client()).run(&sum(), &batch(&other, &[1], &[2])).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("GAUSSIAN") && text.contains("TUNIFORM") && text.contains("input `a`"), "{text}");
}

#[test]
fn no_rows_and_one_row() {
    let client = client();
    let engine = engine(&client);
    for rows in [0usize, 1] {
        let values = vec![65535u16; rows];
        let result = engine.run(&sum(), &batch(&client, &values, &values)).unwrap();
        assert_eq!(client.decrypt::<u16>(result.column("sum").unwrap()).unwrap(), vec![65534; rows]);
    }
}

#[test]
fn a_million_rows_go_through_in_chunks() {
    let client = client();
    let engine = engine(&client);
    let a: Vec<u16> = (0..1_000_000u32).map(|x| x as u16).collect();
    let b: Vec<u16> = a.iter().map(|x| x.wrapping_mul(31)).collect();
    let (result, report) = engine.run_with(&sum(), &batch(&client, &a, &b), RunOptions::new()).unwrap();
    let expected: Vec<u16> = a.iter().zip(&b).map(|(a, b)| a.wrapping_add(*b)).collect();
    assert_eq!(client.decrypt::<u16>(result.column("sum").unwrap()).unwrap(), expected);
    assert!(report.rows_per_chunk < 1_000_000 && report.bootstraps == 8_000_000, "{report:?}");
}

#[test]
fn rows_are_cut_to_the_memory_limit_and_one_row_must_fit() {
    let client = client();
    let engine = engine(&client);
    let program = sum();
    let per_row = program.plan(Form::Throughput).unwrap().bytes_per_row(client.scheme());
    let inputs = batch(&client, &[1, 2, 3, 4, 5, 6, 7], &[9; 7]);
    let run = |memory| engine.run_with(&program, &inputs, RunOptions::new().form(Form::Throughput).memory(memory));
    let (result, report) = run(3 * per_row + 1).unwrap();
    assert_eq!((report.rows_per_chunk, report.buffer_bytes), (3, 3 * per_row));
    assert_eq!(client.decrypt::<u16>(result.column("sum").unwrap()).unwrap(), [10, 11, 12, 13, 14, 15, 16]);
    let error = run(per_row - 1).unwrap_err();
    assert!(matches!(error, Error::MemoryLimit { needed, limit } if needed == per_row && limit == per_row - 1));
}

#[test]
fn progress_is_reported_and_a_run_can_be_cancelled() {
    let client = client();
    let engine = engine(&client);
    let inputs = batch(&client, &[1, 2, 3], &[4, 5, 6]);
    let mut seen = Vec::new();
    let watch = RunOptions::new().form(Form::Throughput).observe(|progress| {
        seen.push(progress);
        ControlFlow::Continue(())
    });
    engine.run_with(&sum(), &inputs, watch).unwrap();
    assert!(seen.windows(2).all(|pair| pair[0].bootstraps <= pair[1].bootstraps));
    let last = seen.last().unwrap();
    assert_eq!((last.bootstraps, last.total, last.rows), (24, 24, 3));

    let stop = RunOptions::new()
        .form(Form::Throughput)
        .observe(|progress| if progress.bootstraps >= 9 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
    let error = engine.run_with(&sum(), &inputs, stop).unwrap_err();
    assert!(matches!(error, Error::Cancelled { bootstraps: 9, total: 24 }), "{error}");
}

#[test]
fn many_engines_and_threads_share_a_backend_and_a_program() {
    let backend = std::sync::Arc::new(SimulationBackend::new());
    let program = sum();
    std::thread::scope(|scope| {
        for thread in 0..4u16 {
            let (backend, program) = (backend.clone(), program.clone());
            scope.spawn(move || {
                let client = client();
                let engine = Engine::shared(backend, &client.evaluation_key().unwrap()).unwrap();
                for round in 0..50 {
                    let result = engine.run(&program, &batch(&client, &[thread, round], &[1, 2])).unwrap();
                    let sums = client.decrypt::<u16>(result.column("sum").unwrap()).unwrap();
                    assert_eq!(sums, [thread + 1, round + 2]);
                }
            });
        }
    });
}

#[test]
fn tracing_errors_name_what_is_wrong() {
    let twice = Program::trace(|t| {
        let a = t.input::<u8>("a");
        let _ = t.input::<u8>("a");
        t.output("out", &a);
    });
    assert!(matches!(twice.unwrap_err(), Error::BadName { name, problem: "used twice" } if name == "a"));

    let unnamed = Program::trace(|t| t.output("", &t.input::<u8>("a")));
    assert!(matches!(unnamed.unwrap_err(), Error::BadName { problem: "empty", .. }));

    assert!(matches!(Program::trace(|_| {}).unwrap_err(), Error::NoOutputs));

    let mut kept = None;
    Program::trace(|t| {
        let a = t.input::<u8>("a");
        t.output("out", &a);
        kept = Some(a);
    })
    .unwrap();
    let foreign = Program::trace(|t| {
        let a = t.input::<u8>("a");
        if let Some(kept) = &kept {
            t.output("out", &(&a + kept));
        }
    });
    assert!(matches!(foreign.unwrap_err(), Error::ForeignValue { operation: "add" }));

    let empty = Program::trace(|t| t.output("out", &t.all(&[])));
    assert!(matches!(empty.unwrap_err(), Error::InvalidOperand { operation, .. } if operation == "all"));
}

#[test]
fn programs_describe_themselves() {
    let text = sum().to_string();
    assert!(text.contains("%2: u16 = add %0 %1") && text.contains("throughput: 8 bootstraps"), "{text}");
    let listing = sum().plan(Form::Throughput).unwrap().to_string();
    assert!(listing.contains("; %2 = add") && listing.contains("level 7"), "{listing}");
}
