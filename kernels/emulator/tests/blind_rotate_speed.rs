//! How long blind rotations take at real size, on one thread: `cargo test --release -p fhe-emulator -- --ignored speed`.

mod support;

use std::time::Instant;

use support::{Gpu, Shape, Value};

#[test]
#[ignore = "a measurement"]
fn speed_of_blind_rotations() {
    const N: u32 = 918;
    let gpu = Gpu::new("threads=1");
    let key: Vec<f64> = (0..N * 4096 * 2).map(|i| f64::from(i.wrapping_mul(2_654_435_761) >> 8) * 1e-10).collect();
    let key = gpu.upload(&key);
    let twiddles: Vec<f64> = (0..1024).map(|i| f64::from(i).cos()).collect();
    let twiddles = gpu.upload(&twiddles);
    let tables: Vec<u32> = (0..2048).collect();
    let tables = gpu.upload(&tables);
    for (name, per_block, shared) in [
        ("blind_rotate_1", 1u32, 41_472),
        ("blind_rotate_2", 2, 74_752),
        ("blind_rotate_4", 4, 141_312),
        ("blind_rotate_staged_4", 4, 141_312 + 65_536 + 128),
    ] {
        let jobs = per_block;
        let source: Vec<u16> = (0..jobs * (N + 1)).map(|i| (i.wrapping_mul(40503) >> 3) as u16 % 4096).collect();
        let target = gpu.allocate(jobs as usize * 2049 * 8);
        let values = [
            Value::Pointer(key),
            Value::Pointer(twiddles),
            Value::Pointer(tables),
            Value::Pointer(gpu.upload(&[0u32, 0, 0, 1])),
            Value::Pointer(gpu.upload(&[0u32, 0])),
            Value::Pointer(gpu.upload(&source)),
            Value::Pointer(target),
            Value::U32(N),
            Value::U32(jobs),
            Value::U32(jobs),
        ];
        let start = Instant::now();
        gpu.run(name, Shape { grid: 1, threads: 64 * per_block, shared }, &values).expect("is right");
        let time = start.elapsed();
        println!("{name}: {:.1} ms for each of {jobs}", time.as_secs_f64() * 1e3 / f64::from(jobs));
    }
}
