//! Every mistake that the emulator is there to find is made once here, and found.

mod support;

use support::{Gpu, Shape, Value, last_error};

/// Device memory of 64 words, and as many for results.
struct Words {
    gpu: Gpu,
    input: u64,
    out: u64,
}

impl Words {
    fn new() -> Self {
        Self::with("")
    }

    fn with(settings: &str) -> Self {
        let gpu = Gpu::new(settings);
        let input = gpu.upload(&(0..64).collect::<Vec<u32>>());
        let out = gpu.allocate(256);
        Self { gpu, input, out }
    }

    #[track_caller]
    fn expect(self, result: Result<(), (i32, String)>, code: i32, parts: &[&str]) {
        let (found, text) = result.expect_err("the mistake is found");
        println!("{text}");
        assert_eq!(found, code, "{text}");
        for part in parts {
            assert!(text.contains(part), "`{part}` is not in: {text}");
        }
        // The context is of no use any more.
        assert_eq!(self.gpu.synchronize(), code);
        assert_eq!(self.gpu.try_allocate(16), Err(code));
        assert_eq!(self.gpu.read(self.out, &mut [0u32]), code);
    }
}

const ONE: Shape = Shape { grid: 1, threads: 32, shared: 0 };

fn move_words(from: i32, to: i32, threads: u32) -> (Words, Result<(), (i32, String)>) {
    let words = Words::new();
    let values = [
        Value::Pointer(words.input),
        Value::Pointer(words.out),
        Value::U32(from.cast_unsigned()),
        Value::U32(to.cast_unsigned()),
    ];
    let result = words.gpu.run("test_move", Shape { threads, ..ONE }, &values);
    (words, result)
}

#[test]
fn accesses_inside_are_fine() {
    let (words, result) = move_words(0, 0, 64);
    result.expect("is right");
    assert_eq!(words.gpu.download::<u32>(words.out, 64), (0..64).collect::<Vec<_>>());
}

#[test]
fn read_past_the_end() {
    let (words, result) = move_words(1, 0, 64);
    words.expect(
        result,
        support::ILLEGAL_ADDRESS,
        &["test_move", "thread 63", "256..260", "256 bytes", "out of bounds"],
    );
}

#[test]
fn read_before_the_start() {
    let (words, result) = move_words(-1, 0, 64);
    words.expect(result, support::ILLEGAL_ADDRESS, &["thread 0", "-4..0"]);
}

#[test]
fn write_past_the_end() {
    let (words, result) = move_words(0, 1, 64);
    words.expect(result, support::ILLEGAL_ADDRESS, &["thread 63", "256..260"]);
}

#[test]
fn write_before_the_start() {
    let (words, result) = move_words(0, -1, 64);
    words.expect(result, support::ILLEGAL_ADDRESS, &["thread 0", "-4..0"]);
}

#[test]
fn read_far_away() {
    let (words, result) = move_words(i32::MAX, 0, 64);
    words.expect(result, support::ILLEGAL_ADDRESS, &["thread 0"]);
}

#[test]
fn block_and_thread_are_named() {
    let words = Words::new();
    let values = [Value::Pointer(words.input), Value::Pointer(words.out), Value::U32(40), Value::U32(0)];
    let result = words.gpu.run("test_move", Shape { grid: 7, ..ONE }, &values);
    words.expect(result, support::ILLEGAL_ADDRESS, &["block (", ", 0, 0), thread 24"]);
}

#[test]
fn use_after_free() {
    let words = Words::new();
    assert_eq!(words.gpu.free(words.input), support::SUCCESS);
    let values = [Value::Pointer(words.input), Value::Pointer(words.out), Value::U32(0), Value::U32(0)];
    let result = words.gpu.run("test_move", ONE, &values);
    words.expect(result, support::ILLEGAL_ADDRESS, &["use after free"]);
}

#[test]
fn null_and_host_pointers() {
    let words = Words::new();
    let values = [Value::Pointer(0), Value::Pointer(words.out), Value::U32(0), Value::U32(0)];
    let result = words.gpu.run("test_move", ONE, &values);
    words.expect(result, support::ILLEGAL_ADDRESS, &["null pointer"]);
    let words = Words::new();
    let host = [0u32; 64];
    let values = [Value::Pointer(host.as_ptr() as u64), Value::Pointer(words.out), Value::U32(0), Value::U32(0)];
    let result = words.gpu.run("test_move", ONE, &values);
    words.expect(result, support::ILLEGAL_ADDRESS, &["not device memory"]);
}

#[test]
fn a_pointer_that_is_not_used_may_be_null() {
    let words = Words::new();
    words.gpu.run("test_optional", ONE, &[Value::Pointer(0), Value::Pointer(words.out)]).expect("is right");
    assert_eq!(words.gpu.download::<u32>(words.out, 32), (0..32).collect::<Vec<_>>());
}

#[test]
fn pointers_into_an_allocation() {
    let words = Words::new();
    let values = [Value::Pointer(words.input + 128), Value::Pointer(words.out), Value::U32(0), Value::U32(0)];
    words.gpu.run("test_move", ONE, &values).expect("is right");
    assert_eq!(words.gpu.download::<u32>(words.out, 32), (32..64).collect::<Vec<_>>());
    let values = [Value::Pointer(words.input + 128), Value::Pointer(words.out), Value::U32(1), Value::U32(0)];
    let result = words.gpu.run("test_move", ONE, &values);
    words.expect(result, support::ILLEGAL_ADDRESS, &["thread 31", "256..260"]);
}

#[test]
fn memory_of_another_device() {
    let words = Words::with("devices=2");
    let context = support::retain(1);
    let other = words.gpu.upload(&[0u32; 64]);
    assert_ne!(context, words.gpu.context);
    support::retain(0);
    let values = [Value::Pointer(other), Value::Pointer(words.out), Value::U32(0), Value::U32(0)];
    let (code, text) = words.gpu.run("test_move", ONE, &values).expect_err("the mistake is found");
    assert_eq!(code, support::ILLEGAL_ADDRESS);
    assert!(text.contains("memory of device 1, not of device 0"), "{text}");
    // The other device works on.
    support::retain(1);
    assert_eq!(words.gpu.download::<u32>(other, 64), [0; 64]);
    assert_eq!(words.gpu.read(words.input, &mut [0u32]), support::INVALID_VALUE);
}

#[test]
fn misaligned_complex_numbers() {
    for offset in [1, 2] {
        let words = Words::new();
        let input = words.gpu.upload(&[0u32; 256]);
        let values = [Value::Pointer(input), Value::Pointer(words.out), Value::U32(offset)];
        let result = words.gpu.run("test_complex", ONE, &values);
        words.expect(result, support::MISALIGNED_ADDRESS, &["misaligned", "16 needed"]);
    }
    let words = Words::new();
    let input = words.gpu.upload(&[0u32; 256]);
    let values = [Value::Pointer(input), Value::Pointer(words.out), Value::U32(4)];
    words.gpu.run("test_complex", ONE, &values).expect("is right");
    // A suballocation that is not aligned.
    let values = [Value::Pointer(input + 8), Value::Pointer(words.out), Value::U32(0)];
    let result = words.gpu.run("test_complex", ONE, &values);
    words.expect(result, support::MISALIGNED_ADDRESS, &["misaligned"]);
}

fn shared(index: i32, count: u32) -> (Words, Result<(), (i32, String)>) {
    let words = Words::new();
    let values = [Value::Pointer(words.out), Value::U32(index.cast_unsigned()), Value::U32(count)];
    let result = words.gpu.run("test_shared", Shape { grid: 1, threads: 64, shared: 256 }, &values);
    (words, result)
}

#[test]
fn shared_memory_out_of_bounds() {
    shared(31, 32).1.expect("is right");
    // Inside the block's memory, but after the array.
    let (words, result) = shared(32, 32);
    words.expect(result, support::ILLEGAL_ADDRESS, &["bytes 128..132", "128 bytes"]);
    let (words, result) = shared(-1, 32);
    words.expect(result, support::ILLEGAL_ADDRESS, &["bytes -4..0"]);
    let (words, result) = shared(0, 65);
    words.expect(result, support::ILLEGAL_ADDRESS, &["ends after the block's 256 bytes"]);
    let (words, result) = shared(0, 0);
    words.expect(result, support::ILLEGAL_ADDRESS, &["array that is too short"]);
}

#[test]
fn fresh_memory_is_poisoned() {
    let words = Words::new();
    assert!(words.gpu.download::<f64>(words.out, 32).iter().all(|value| value.is_nan()), "device memory");
    words.gpu.run("test_uninitialised", Shape { shared: 256, ..ONE }, &[Value::Pointer(words.out)]).expect("runs");
    assert!(words.gpu.download::<f64>(words.out, 32).iter().all(|value| value.is_nan()), "shared memory");
}

fn barrier(mode: u32) -> (Words, Result<(), (i32, String)>) {
    let words = Words::new();
    let out = words.gpu.allocate(512);
    let result = words.gpu.run(
        "test_barrier",
        Shape { grid: 1, threads: 128, shared: 0 },
        &[Value::Pointer(out), Value::U32(mode)],
    );
    (words, result)
}

#[test]
fn barriers_that_not_all_reach() {
    barrier(3).1.expect("is right");
    let (words, result) = barrier(0);
    words.expect(result, support::LAUNCH_FAILED, &["not reached by all", "thread 77 returned", "faults.cu:"]);
    let (words, result) = barrier(1);
    words.expect(result, support::LAUNCH_FAILED, &["threads 0..=63 returned", "threads 64..=127 at block_barrier"]);
    let (words, result) = barrier(2);
    words.expect(result, support::LAUNCH_FAILED, &["at group_barrier 1", "at block_barrier"]);
    let (words, result) = barrier(4);
    words.expect(result, support::LAUNCH_FAILED, &["threads 0..=31 at group_barrier 3"]);
    let (words, result) = barrier(5);
    words.expect(result, support::LAUNCH_FAILED, &["divergent warp"]);
}

fn shuffle(mode: u32) -> (Words, Result<(), (i32, String)>) {
    let words = Words::new();
    let out = words.gpu.allocate(512);
    let values = [Value::Pointer(out), Value::U32(mode)];
    let result = words.gpu.run("test_shuffle", Shape { grid: 1, threads: 64, shared: 0 }, &values);
    (words, result)
}

#[test]
fn shuffles_that_not_all_lanes_reach() {
    shuffle(3).1.expect("is right");
    let (words, result) = shuffle(0);
    words.expect(result, support::LAUNCH_FAILED, &["threads 5, 32..=63 returned", "at shuffle_xor"]);
    let (words, result) = shuffle(1);
    words.expect(result, support::LAUNCH_FAILED, &["threads 0..=31, 40 returned"]);
    let (words, result) = shuffle(2);
    words.expect(result, support::LAUNCH_FAILED, &["divergent warp", "warp_barrier", "shuffle_xor"]);
    let (words, result) = shuffle(4);
    words.expect(result, support::LAUNCH_FAILED, &["lane 32", "32 lanes"]);
}

fn group(id: u32, count: u32, other: u32) -> (Words, Result<(), (i32, String)>) {
    let words = Words::new();
    let out = words.gpu.allocate(512);
    let values = [Value::Pointer(out), Value::U32(id), Value::U32(count), Value::U32(other)];
    let result = words.gpu.run("test_group", Shape { grid: 1, threads: 128, shared: 0 }, &values);
    (words, result)
}

#[test]
fn group_barriers_with_wrong_counts() {
    group(1, 64, 64).1.expect("is right");
    let (words, result) = group(1, 64, 96);
    words.expect(result, support::LAUNCH_FAILED, &["group_barrier 1 with", "others wait there for"]);
    let (words, result) = group(1, 32, 32);
    words.expect(result, support::LAUNCH_FAILED, &["wrong count"]);
    let (words, result) = group(1, 96, 96);
    words.expect(result, support::LAUNCH_FAILED, &["not reached by all", "group_barrier 1"]);
    let (words, result) = group(1, 48, 48);
    words.expect(result, support::LAUNCH_FAILED, &["whole warps"]);
    let (words, result) = group(1, 160, 160);
    words.expect(result, support::LAUNCH_FAILED, &["whole warps, of the block's 128"]);
    let (words, result) = group(0, 64, 64);
    words.expect(result, support::LAUNCH_FAILED, &["no barrier 0"]);
    let (words, result) = group(15, 64, 64);
    words.expect(result, support::LAUNCH_FAILED, &["no barrier 16"]);
}

#[test]
fn a_missing_barrier_shows_in_another_order() {
    let right: Vec<u32> = (0..64).map(|thread| (thread + 63) % 64).collect();
    let mut wrong = 0;
    for seed in 0..8 {
        let words = Words::with(&format!("shuffle={seed}"));
        for wait in [1, 0] {
            let values = [Value::Pointer(words.out), Value::U32(wait)];
            let result = words.gpu.run("test_race", Shape { grid: 1, threads: 64, shared: 256 }, &values);
            if wait == 0 && result.is_err() {
                // Built with the check for races.
                assert!(last_error().contains("race"), "{}", last_error());
                wrong += 1;
                continue;
            }
            result.expect("is right");
            let found = words.gpu.download::<u32>(words.out, 64);
            if wait == 1 {
                assert_eq!(found, right);
            } else {
                wrong += u32::from(found != right);
            }
        }
    }
    assert_eq!(wrong, 8);
}

fn copies(settings: &str, mode: u32) -> (Words, Result<(), (i32, String)>) {
    let words = Words::with(settings);
    let values = [Value::Pointer(words.input), Value::Pointer(words.out), Value::U32(mode)];
    let result = words.gpu.run("test_copy_faults", Shape { shared: 264, ..ONE }, &values);
    (words, result)
}

#[test]
fn copies_that_go_wrong() {
    let (words, result) = copies("", 3);
    result.expect("is right");
    assert_eq!(words.gpu.download::<u32>(words.out, 32), (0..32).collect::<Vec<_>>());
    drop(words);
    copies("", 10).1.expect("the phase before the first has ended");
    let (words, result) = copies("", 1);
    words.expect(result, support::LAUNCH_FAILED, &["a phase of a copy barrier never ends", "copy_wait"]);
    let (words, result) = copies("", 2);
    words.expect(result, support::LAUNCH_FAILED, &["is not a copy barrier"]);
    let (words, result) = copies("", 4);
    words.expect(result, support::LAUNCH_FAILED, &["a copy on its way"]);
    let (words, result) = copies("", 5);
    words.expect(result, support::LAUNCH_FAILED, &["the block ended with a copy of 128 bytes"]);
    let (words, result) = copies("", 6);
    words.expect(result, support::MISALIGNED_ADDRESS, &["4 modulo 16"]);
    let (words, result) = copies("", 7);
    words.expect(result, support::MISALIGNED_ADDRESS, &["132 bytes"]);
    let (words, result) = copies("", 8);
    words.expect(result, support::ILLEGAL_ADDRESS, &["out of bounds", "268..272"]);
    let (words, result) = copies("", 9);
    words.expect(result, support::LAUNCH_FAILED, &["is not a copy barrier: it holds 0x0"]);
}

#[test]
fn who_reads_a_copy_too_early_reads_poison() {
    let (words, result) = copies("", 0);
    if let Err((_, text)) = result {
        // Built with the check for races.
        assert!(text.contains("race"), "{text}");
        return;
    }
    assert!(words.gpu.download::<u32>(words.out, 32).iter().all(|&value| value > 64));
}

#[test]
fn copies_and_clusters_need_a_new_device() {
    let words = Words::with("compute=8.0");
    let values = [Value::Pointer(words.input), Value::Pointer(words.out), Value::U32(3)];
    let function = words.gpu.kernel("test_copy_faults", 80, &values);
    assert_eq!(words.gpu.launch(function, Shape { shared: 264, ..ONE }, &values), support::SUCCESS);
    let result = Err((words.gpu.synchronize(), last_error()));
    words.expect(result, support::ILLEGAL_INSTRUCTION, &["needs compute capability 90", "has 80"]);
    let words = Words::with("compute=8.0");
    let values = [Value::Pointer(words.out), Value::U32(3)];
    let function = words.gpu.kernel("test_cluster_faults", 80, &values);
    let status = words.gpu.launch(function, Shape { grid: 4, threads: 32, shared: 128 }, &values);
    assert_eq!(status, support::INVALID_CLUSTER_SIZE);
}

fn cluster(mode: u32) -> (Words, Result<(), (i32, String)>) {
    let words = Words::new();
    let out = words.gpu.allocate(8 * 128);
    let values = [Value::Pointer(out), Value::U32(mode)];
    let result = words.gpu.run("test_cluster_faults", Shape { grid: 8, threads: 32, shared: 128 }, &values);
    (words, result)
}

#[test]
fn clusters_that_go_wrong() {
    cluster(3).1.expect("is right");
    let (words, result) = cluster(0);
    words.expect(result, support::ILLEGAL_ADDRESS, &["block of the cluster that has ended"]);
    let (words, result) = cluster(1);
    words.expect(result, support::LAUNCH_FAILED, &["cluster_barrier", "threads 0..=31 returned"]);
    let (words, result) = cluster(2);
    words.expect(result, support::LAUNCH_FAILED, &["the cluster has 4 blocks"]);
    let (words, result) = cluster(4);
    words.expect(result, support::ILLEGAL_ADDRESS, &["out of bounds", "128..132"]);
}

fn local_array(length: u32) {
    let words = Words::new();
    words.gpu.run("test_local_array", ONE, &[Value::Pointer(words.out), Value::U32(length)]).expect("runs");
    assert_eq!(words.gpu.download::<u32>(words.out, 1), [28]);
}

#[test]
fn arrays_of_a_thread_under_the_sanitizer() {
    local_array(8);
    // The sanitizer ends the process: another one makes the mistake.
    if std::env::var_os("ASAN_OPTIONS").is_some() {
        let test = std::env::current_exe().expect("a test has a path");
        let child = std::process::Command::new(test).args(["--ignored", "--exact", "past_an_array"]).output();
        let output = child.expect("the test can be started");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("stack-buffer-overflow") && text.contains("test_local_array"), "{text}");
    }
}

#[test]
#[ignore = "a part of the test above"]
fn past_an_array() {
    local_array(9);
}
