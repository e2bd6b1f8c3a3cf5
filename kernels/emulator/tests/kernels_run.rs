//! Kernels that are right give the right results, in any order of threads and blocks.

mod support;

use support::{Gpu, Shape, Value};

const ORDERS: [&str; 4] = ["threads=1", "threads=2", "threads=1 shuffle=1", "threads=2 shuffle=7"];

#[test]
fn linear_is_the_plain_loop() {
    #[derive(Clone, Copy)]
    #[repr(C)]
    struct Term {
        slot: u32,
        coefficient: i32,
    }
    const SIZE: usize = 2049;
    const ROWS: usize = 3;
    let slots = 5;
    let source: Vec<u64> =
        (0..slots * ROWS * SIZE).map(|i| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17)).collect();
    let terms =
        [(0, 1), (3, -2), (4, 5), (2, 1), (1, -1), (1, 7)].map(|(slot, coefficient)| Term { slot, coefficient });
    let ends = [2u32, 3, 3, 6];
    let constants = [5u64, 0, 1 << 60, u64::MAX];
    let mut expected = vec![0u64; ends.len() * ROWS * SIZE];
    for form in 0..ends.len() {
        let begin = if form == 0 { 0 } else { ends[form - 1] as usize };
        for row in 0..ROWS {
            for word in 0..SIZE {
                let constant = if word + 1 == SIZE { constants[form] } else { 0 };
                expected[(form * ROWS + row) * SIZE + word] =
                    terms[begin..ends[form] as usize].iter().fold(constant, |sum, term| {
                        let value = source[(term.slot as usize * ROWS + row) * SIZE + word];
                        sum.wrapping_add(value.wrapping_mul(i64::from(term.coefficient) as u64))
                    });
            }
        }
    }
    for order in ORDERS {
        let gpu = Gpu::new(order);
        let target = gpu.allocate(expected.len() * 8);
        let values = [
            Value::Pointer(gpu.upload(&terms)),
            Value::Pointer(gpu.upload(&ends)),
            Value::Pointer(gpu.upload(&constants)),
            Value::Pointer(gpu.upload(&source)),
            Value::Pointer(target),
            Value::U32(SIZE as u32),
            Value::U32(ROWS as u32),
        ];
        let function = gpu.kernel("linear", 75, &values);
        let grid = [(ends.len() * ROWS) as u32, SIZE.div_ceil(256) as u32, 1];
        assert_eq!(gpu.launch_grid(function, grid, 256, 0, &values), support::SUCCESS, "{}", support::last_error());
        assert_eq!(gpu.download::<u64>(target, expected.len()), expected, "{order}");
    }
}

#[test]
fn shuffles_and_barriers_add_up() {
    let input: Vec<f64> = (0..256 * 5).map(f64::from).collect();
    for order in ORDERS {
        for threads in [32, 128, 256] {
            let gpu = Gpu::new(order);
            let sums = gpu.allocate(5 * 8);
            let values = [Value::Pointer(gpu.upload(&input)), Value::Pointer(sums), Value::U32(threads)];
            gpu.run("test_block_sum", Shape { grid: 5, threads, shared: 64 }, &values).expect("is right");
            let expected: Vec<f64> =
                (0..5).map(|block| input[block * threads as usize..][..threads as usize].iter().sum()).collect();
            assert_eq!(gpu.download::<f64>(sums, 5), expected, "{order}, {threads} threads");
        }
    }
}

#[test]
fn atomics_of_all_blocks_are_counted() {
    for order in ORDERS {
        let gpu = Gpu::new(order);
        let counter = gpu.upload(&[0u32]);
        let values = [Value::Pointer(counter), Value::U32(50)];
        gpu.run("test_atomic", Shape { grid: 200, threads: 128, shared: 0 }, &values).expect("is right");
        assert_eq!(gpu.download::<u32>(counter, 1), [200 * 50 * (127 * 128 / 2)], "{order}");
    }
}

#[test]
fn blocks_of_a_cluster_exchange() {
    for order in ORDERS {
        let gpu = Gpu::new(order);
        let out = gpu.allocate(12 * 64 * 4);
        gpu.run("test_cluster_exchange", Shape { grid: 12, threads: 64, shared: 256 }, &[Value::Pointer(out)])
            .expect("is right");
        let expected: Vec<u32> = (0..12 * 64).map(|i| 100 * (i / 256 * 4 + (i / 64 % 4 + 3) % 4) + i % 64).collect();
        assert_eq!(gpu.download::<u32>(out, 12 * 64), expected, "{order}");
    }
}

#[test]
fn copies_arrive() {
    let input: Vec<f64> = (0..9 * 128).map(f64::from).collect();
    for order in ORDERS {
        let gpu = Gpu::new(order);
        let out = gpu.allocate(9 * 1024);
        let values = [Value::Pointer(gpu.upload(&input)), Value::Pointer(out), Value::U32(9)];
        gpu.run("test_copy", Shape { grid: 1, threads: 64, shared: 2064 }, &values).expect("is right");
        assert_eq!(gpu.download::<f64>(out, 9 * 128), input, "{order}");
    }
}

#[test]
fn switches_are_fast() {
    let gpu = Gpu::new("threads=1");
    let out = gpu.allocate(128 * 8);
    let steps = 918;
    let values = [Value::Pointer(out), Value::U32(steps)];
    let start = support::work_seconds();
    gpu.run("test_switches", Shape { grid: 1, threads: 128, shared: 0 }, &values).expect("is right");
    let seconds = support::work_seconds() - start;
    let switches = f64::from(steps * 128 * 65);
    println!("{:.1} million switches a second, {:.1} ns each", switches / seconds / 1e6, seconds / switches * 1e9);
    assert_eq!(gpu.download::<f64>(out, 128)[..2], [0.0, 1.0]);
}
