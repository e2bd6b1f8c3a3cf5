//! Several backends as one evaluator: order of rows, progress, cancellation, faults, and shares that follow the speed.

use std::ops::ControlFlow;
use std::time::Duration;

use fhe_core::{
    Batch, ClientKey, Engine, Error, Evaluator, Fleet, Form, ParameterSet, Program, RunOptions, SimulationBackend,
};
use fhe_tests::faulty::FaultyBackend;

fn client() -> ClientKey {
    ClientKey::simulated(ParameterSet::default())
}

fn program() -> Program {
    Program::trace(|t| {
        let (a, b) = (t.input::<u16>("a"), t.input::<u16>("b"));
        t.output("sum", &(&a + &b));
        t.output("less", &a.lt(&b));
    })
    .unwrap()
}

fn batch(client: &ClientKey, rows: usize) -> Batch {
    let a: Vec<u16> = (0..rows).map(|row| (row * 7919) as u16).collect();
    let b: Vec<u16> = (0..rows).map(|row| (row * 104_729 + 5) as u16).collect();
    Batch::new().with("a", client.encrypt(&a).unwrap()).unwrap().with("b", client.encrypt(&b).unwrap()).unwrap()
}

fn fleet(client: &ClientKey, backends: Vec<FaultyBackend>) -> Fleet<FaultyBackend> {
    Fleet::new(backends, &client.evaluation_key().unwrap()).unwrap()
}

#[test]
fn outputs_are_those_of_one_engine_in_the_same_order() {
    let client = client();
    let key = client.evaluation_key().unwrap();
    let single = Engine::new(SimulationBackend::new(), &key).unwrap();
    for devices in 1..=4 {
        let fleet = Fleet::new((0..devices).map(|_| SimulationBackend::new()), &key).unwrap();
        for rows in [0, 1, 2, 3, 5, 64, 1001] {
            let inputs = batch(&client, rows);
            for form in [Form::Throughput, Form::Latency] {
                let options = || RunOptions::new().form(form);
                let (ours, report) = fleet.run_with(&program(), &inputs, options()).unwrap();
                let (expected, of_one) = single.run_with(&program(), &inputs, options()).unwrap();
                assert_eq!(ours, expected, "{devices} devices, {rows} rows");
                assert_eq!((report.form, report.rows, report.bootstraps), (form, rows, of_one.bootstraps));
                assert_eq!((report.levels, report.keyswitches), (of_one.levels, of_one.keyswitches));
                assert_eq!(report.devices.iter().map(|device| device.report.rows).sum::<usize>(), rows);
                assert!((1..=devices).contains(&report.devices.len()), "{report:?}");
            }
        }
    }
}

#[test]
fn a_fleet_needs_backends_and_checks_inputs_once() {
    let client = client();
    let nobody = Fleet::<SimulationBackend>::new([], &client.evaluation_key().unwrap()).unwrap_err();
    assert!(matches!(nobody, Error::Unavailable { .. }), "{nobody}");
    let fleet = fleet(&client, vec![FaultyBackend::new("one"), FaultyBackend::new("two")]);
    let missing = fleet.run(&program(), &Batch::new()).unwrap_err();
    assert!(matches!(missing, Error::MissingInput { .. }), "{missing}");
    // Not even one row fits: every device says so, the first of them by name.
    let small = fleet.run_with(&program(), &batch(&client, 4), RunOptions::new().memory(10)).unwrap_err();
    let Error::OnDevice { device, source } = small else { panic!("{small}") };
    assert!(["one", "two"].contains(&&*device) && matches!(*source, Error::MemoryLimit { limit: 10, .. }));
    let properties = fleet.properties();
    assert_eq!((properties.device.as_str(), properties.parallelism), ("one; two", 128));
}

#[test]
fn progress_is_that_of_all_devices_together() {
    let client = client();
    let fleet = fleet(&client, vec![FaultyBackend::new("one"), FaultyBackend::new("two"), FaultyBackend::new("three")]);
    let mut seen = Vec::new();
    let watch = RunOptions::new().observe(|progress| {
        seen.push(progress);
        ControlFlow::Continue(())
    });
    let (_, report) = fleet.run_with(&program(), &batch(&client, 10), watch).unwrap();
    assert!(seen.is_sorted_by_key(|progress| (progress.bootstraps, progress.rows)));
    let last = seen.last().unwrap();
    assert_eq!((last.bootstraps, last.total, last.rows), (report.bootstraps, report.bootstraps, 10));
}

#[test]
fn cancelling_stops_all_devices() {
    let client = client();
    let slow = |name| FaultyBackend::new(name).pace(Duration::from_millis(2));
    let fleet = fleet(&client, vec![slow("one"), slow("two")]);
    let mut calls = 0;
    let stop = RunOptions::new().form(Form::Throughput).observe(|_| {
        calls += 1;
        if calls == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let error = fleet.run_with(&program(), &batch(&client, 8), stop).unwrap_err();
    let Error::Cancelled { bootstraps, total } = error else { panic!("{error}") };
    assert!(0 < bootstraps && bootstraps < total, "{bootstraps} of {total}");
    assert_eq!(calls, 3, "nobody is asked again");
    fleet.run(&program(), &batch(&client, 8)).expect("the fleet is usable after that");
}

#[test]
fn cancelling_at_the_last_moment_still_cancels() {
    let client = client();
    let fleet = fleet(&client, vec![FaultyBackend::new("one"), FaultyBackend::new("two")]);
    let stop = RunOptions::new()
        .observe(|progress| if progress.rows == 6 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
    let error = fleet.run_with(&program(), &batch(&client, 6), stop).unwrap_err();
    assert!(matches!(error, Error::Cancelled { bootstraps, total } if bootstraps == total), "{error}");
}

#[test]
fn a_device_that_fails_stops_the_others_and_is_named() {
    let client = client();
    let slow = |name| FaultyBackend::new(name).pace(Duration::from_millis(1));
    let devices = vec![slow("one"), FaultyBackend::new("broken").failing_after(2), slow("three")];
    let fleet = fleet(&client, devices);
    let mut last = None;
    let watch = RunOptions::new().form(Form::Throughput).observe(|progress| {
        last = Some(progress);
        ControlFlow::Continue(())
    });
    let error = fleet.run_with(&program(), &batch(&client, 90), watch).unwrap_err();
    assert!(matches!(&error, Error::Device { device, .. } if device == "broken"), "{error}");
    assert!(last.is_none_or(|progress| progress.rows < 60), "the others went on to their end");
}

#[test]
fn shares_start_as_the_devices_claim_and_follow_what_is_measured() {
    let client = client();
    let devices = vec![
        FaultyBackend::new("slow").parallelism(6).pace(Duration::from_micros(600)),
        FaultyBackend::new("fast").parallelism(2).pace(Duration::from_micros(100)),
    ];
    let fleet = fleet(&client, devices);
    assert_eq!(fleet.shares(), [0.75, 0.25]);
    // A handful of rows keeps no device busy, and says nothing.
    fleet.run(&program(), &batch(&client, 3)).unwrap();
    assert_eq!(fleet.shares(), [0.75, 0.25]);
    let options = || RunOptions::new().form(Form::Throughput);
    for _ in 0..6 {
        fleet.run_with(&program(), &batch(&client, 80), options()).unwrap();
    }
    let shares = fleet.shares();
    // One to six if nothing but the pace took time.
    assert!(shares[0] < 0.3, "{shares:?}");
    let (_, report) = fleet.run_with(&program(), &batch(&client, 80), options()).unwrap();
    assert_eq!(report.devices.iter().map(|part| part.device.as_str()).collect::<Vec<_>>(), ["slow", "fast"]);
    assert!(report.devices[0].report.rows < report.devices[1].report.rows, "{report:?}");
}

#[test]
fn evaluators_of_all_kinds_are_used_alike() {
    let client = client();
    let key = client.evaluation_key().unwrap();
    let both: [Box<dyn Evaluator>; 2] = [
        Box::new(Engine::new(SimulationBackend::new(), &key).unwrap()),
        Box::new(Fleet::new([SimulationBackend::new(), SimulationBackend::new()], &key).unwrap()),
    ];
    let inputs = batch(&client, 9);
    let [one, two] = both.map(|evaluator| {
        assert_eq!(evaluator.scheme(), key.scheme());
        evaluator.run(&program(), &inputs).unwrap()
    });
    assert_eq!(one, two);
}
