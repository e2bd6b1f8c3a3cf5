//! Machines other than the one at hand: several cards, small ones, old ones, ones that fail. The emulator is what its
//! environment says when a process starts, so each case is a process: this executable once more, for one ignored test.

use std::process::Command;

use fhe_core::{Engine, Error, Evaluator, Fleet, RunOptions};
use fhe_gpu::{BlindRotation, CudaBackend, CudaOptions};

use crate::programs::{KEYS, bytes, increment, values};
use crate::{is_emulated, open};

/// Set for the process of a case.
const CASE: &str = "FHE_TEST_CASE";

/// Runs one of the ignored tests below on an emulated machine; skips where the driver is not the emulator.
fn on_machine(case: &str, machine: &[(&str, &str)]) {
    let Some(backend) = open() else { return };
    if !is_emulated(&backend) {
        println!("skipped: {case} needs the emulator");
        return;
    }
    drop(backend);
    let executable = std::env::current_exe().expect("this executable");
    let name = format!("machines::{case}");
    let mut command = Command::new(executable);
    command.args(["--exact", &name, "--ignored", "--nocapture", "--test-threads=1"]).env(CASE, "1");
    for (variable, value) in machine {
        command.env(format!("FHE_EMULATOR_{variable}"), value);
    }
    let output = command.output().expect("this executable runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{case} on {machine:?}:\n{text}\n{errors}");
}

/// Whether this process was started for a case, and not by `--ignored` on the whole suite.
fn is_case() -> bool {
    let started = std::env::var_os(CASE).is_some();
    if !started {
        println!("skipped: only meant to be started by another test");
    }
    started
}

/// The increment of a few bytes, which takes 4 bootstraps each.
fn assert_usable(evaluator: &dyn Evaluator) {
    assert_eq!(values(&evaluator.run(&increment(), &bytes(&[41, 255, 0])).unwrap()), [42, 0, 1]);
}

#[test]
fn several_cards_share_the_rows() {
    on_machine("case_several_cards", &[("DEVICES", "3"), ("SMS", "2")]);
}

#[test]
#[ignore = "a case"]
fn case_several_cards() {
    if !is_case() {
        return;
    }
    let fleet = Fleet::new(CudaBackend::all().unwrap(), &KEYS.1).unwrap();
    assert_eq!(fleet.engines().len(), 3);
    let (result, report) = fleet.run_with(&increment(), &bytes(&[1, 2, 3, 4, 5]), RunOptions::new()).unwrap();
    assert_eq!(values(&result), [2, 3, 4, 5, 6]);
    assert_eq!(report.devices.len(), 3);
    assert!(report.devices[2].device.starts_with("cuda:2 "), "{report:?}");
    // What `auto` makes of them.
    let auto = fhe_gpu::auto(&KEYS.1).unwrap();
    assert!(auto.choice().contains("cuda:0 ") && auto.choice().contains("; cuda:2 "), "{}", auto.choice());
    assert_usable(&*auto);
}

#[test]
fn one_card_is_chosen_by_auto() {
    on_machine("case_one_card", &[("DEVICES", "1")]);
}

#[test]
#[ignore = "a case"]
fn case_one_card() {
    if !is_case() {
        return;
    }
    let auto = fhe_gpu::auto(&KEYS.1).unwrap();
    assert!(auto.choice().starts_with("cuda:0 ") && auto.choice().contains("compute 9.0"), "{}", auto.choice());
    assert_eq!(auto.properties().name, "cuda");
    assert_usable(&*auto);
}

#[test]
fn a_card_that_fails_in_a_fleet_is_named() {
    on_machine("case_failing_card", &[("DEVICES", "2"), ("SMS", "2"), ("FAIL", "1:cuLaunchKernel:9")]);
}

#[test]
#[ignore = "a case"]
fn case_failing_card() {
    if !is_case() {
        return;
    }
    let fleet = Fleet::new(CudaBackend::all().unwrap(), &KEYS.1).unwrap();
    let error = fleet.run(&increment(), &bytes(&[1, 2, 3, 4])).unwrap_err();
    assert!(matches!(&error, Error::Device { device, .. } if device.starts_with("cuda:1 ")), "{error}");
    assert!(error.to_string().contains("CUDA_ERROR_LAUNCH_FAILED"), "{error}");
    // A card that was lost stays lost, without a panic; the other one still works.
    assert!(matches!(fleet.engines()[1].run(&increment(), &bytes(&[1])), Err(Error::Device { .. })));
    assert_usable(&fleet.engines()[0]);
}

#[test]
fn a_copy_that_fails_is_an_error_of_that_call() {
    on_machine("case_failing_copy", &[("FAIL", "0:cuMemcpyDtoHAsync:1:1")]);
}

#[test]
#[ignore = "a case"]
fn case_failing_copy() {
    if !is_case() {
        return;
    }
    let engine = Engine::new(CudaBackend::new(0).unwrap(), &KEYS.1).unwrap();
    let error = engine.run(&increment(), &bytes(&[1])).unwrap_err();
    assert!(matches!(&error, Error::Device { call: "cuMemcpyDtoHAsync", .. }), "{error}");
    // CUDA_ERROR_INVALID_VALUE concerns that call alone.
    assert_usable(&engine);
}

#[test]
fn a_driver_that_does_not_know_the_ptx_is_named() {
    on_machine("case_old_driver", &[("FAIL", "0:cuModuleLoadDataEx:1:222")]);
}

#[test]
#[ignore = "a case"]
fn case_old_driver() {
    if !is_case() {
        return;
    }
    let error = CudaBackend::new(0).unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("update the NVIDIA driver to 550 or later"), "{error}");
    assert_usable(&Engine::new(CudaBackend::new(0).unwrap(), &KEYS.1).unwrap());
}

#[test]
fn a_card_that_does_not_open_is_left_out() {
    on_machine("case_left_out", &[("DEVICES", "2"), ("SMS", "2"), ("FAIL", "0:cuModuleLoadDataEx:1:222")]);
}

#[test]
#[ignore = "a case"]
fn case_left_out() {
    if !is_case() {
        return;
    }
    let auto = fhe_gpu::auto(&KEYS.1).unwrap();
    assert!(auto.choice().starts_with("cuda:1 "), "{}", auto.choice());
    assert_usable(&*auto);
}

#[test]
fn a_card_with_too_little_memory_is_named() {
    on_machine("case_small_card", &[("MEMORY", "120000000")]);
}

#[test]
#[ignore = "a case"]
fn case_small_card() {
    if !is_case() {
        return;
    }
    let error = Engine::new(CudaBackend::new(0).unwrap(), &KEYS.1).unwrap_err().to_string();
    assert!(error.contains("evaluation key on cuda:0"), "{error}");
    // A limit that the card does not have: the driver's refusal is as clear.
    let backend = CudaBackend::with_options(0, CudaOptions::new().memory_limit(1 << 40)).unwrap();
    let error = Engine::new(backend, &KEYS.1).unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("free: other programs"), "{error}");
    // The CPU does it instead, and says why.
    let auto = fhe_gpu::auto(&KEYS.1).unwrap();
    assert!(auto.choice().starts_with("cpu, ") && auto.choice().contains("bytes are needed"), "{}", auto.choice());
    assert_usable(&*auto);
}

#[test]
fn cards_that_are_too_old_are_refused() {
    on_machine("case_old_card", &[("COMPUTE", "7.0")]);
}

#[test]
#[ignore = "a case"]
fn case_old_card() {
    if !is_case() {
        return;
    }
    let error = CudaBackend::new(0).unwrap_err().to_string();
    assert!(error.contains("7.0") && error.contains("7.5") && error.contains("cuda:0"), "{error}");
    assert!(matches!(CudaBackend::all(), Err(Error::Unavailable { .. })));
    assert!(fhe_gpu::auto(&KEYS.1).unwrap().choice().starts_with("cpu, "));
}

#[test]
fn cards_of_every_generation_run_what_they_can() {
    for compute in ["7.5", "8.0", "8.9"] {
        on_machine("case_generation", &[("COMPUTE", compute)]);
    }
}

#[test]
#[ignore = "a case"]
fn case_generation() {
    if !is_case() {
        return;
    }
    let backend = CudaBackend::new(0).unwrap();
    // The widest kernel for which the card has the shared memory; none of compute 9.0.
    let most = match backend.device().compute_capability {
        (7, 5) => 1,
        (8, 0) => 4,
        _ => 2,
    };
    assert!(CudaBackend::with_options(0, CudaOptions::new().blind_rotation(BlindRotation::Throughput(most))).is_ok());
    for kernel in [BlindRotation::Throughput(2 * most), BlindRotation::Staged(1), BlindRotation::Cluster] {
        let refused = CudaBackend::with_options(0, CudaOptions::new().blind_rotation(kernel));
        assert!(matches!(refused, Err(Error::Unavailable { .. })), "{kernel}");
    }
    assert_eq!(backend.blind_rotation(1), BlindRotation::Throughput(1));
    assert_usable(&Engine::new(backend, &KEYS.1).unwrap());
}
