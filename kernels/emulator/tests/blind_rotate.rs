//! The blind rotation kernels themselves: the same words in every order of threads, and their speed.
//!
//! Whether the words are right is for the tests of the backend to say; here the key is noise.

mod support;

use support::{Gpu, Shape, Value, last_error};

struct Kernel {
    name: &'static str,
    /// Ciphertexts of a block, or of a cluster.
    ciphertexts: u32,
    threads: u32,
    cluster: u32,
    shared: u32,
}

const fn batch(name: &'static str, ciphertexts: u32, extra: u32) -> Kernel {
    let shared = ciphertexts * (2 * 8448 + 16384) + 8192 + extra;
    Kernel { name, ciphertexts, threads: 64 * ciphertexts, cluster: 1, shared }
}

const STAGED: u32 = 65_536 + 128;
const KERNELS: [Kernel; 7] = [
    batch("blind_rotate_1", 1, 0),
    batch("blind_rotate_2", 2, 0),
    batch("blind_rotate_4", 4, 0),
    batch("blind_rotate_staged_1", 1, STAGED),
    batch("blind_rotate_staged_2", 2, STAGED),
    batch("blind_rotate_staged_4", 4, STAGED),
    Kernel { name: "blind_rotate_cluster", ciphertexts: 1, threads: 128, cluster: 4, shared: 5 * 8192 },
];

/// Rotates `jobs` ciphertexts of dimension `n`; the extracted words, and the seconds.
fn rotate(gpu: &Gpu, kernel: &Kernel, n: u32, jobs: u32, blocks: u32) -> (Vec<u64>, f64) {
    let key: Vec<f64> = (0..n * 4096 * 2).map(|i| f64::from(i.wrapping_mul(2_654_435_761) >> 8) * 1e-10).collect();
    let twiddles: Vec<f64> = (0..2046).map(|i| f64::from(i).cos()).collect();
    let tables: Vec<u32> = (0..2048u32).map(|i| i.wrapping_mul(0x9e37_79b9)).collect();
    let source: Vec<u16> = (0..jobs * (n + 1)).map(|i| (i.wrapping_mul(40_503) >> 3) as u16 % 4096).collect();
    let target = gpu.upload(&vec![0u64; jobs as usize * 2049]);
    let values = [
        Value::Pointer(gpu.upload(&key)),
        Value::Pointer(gpu.upload(&twiddles)),
        Value::Pointer(gpu.upload(&tables)),
        Value::Pointer(gpu.upload(&[0u32, 0, 0, 1])),
        Value::Pointer(gpu.upload(&[0u32, 0])),
        Value::Pointer(gpu.upload(&source)),
        Value::Pointer(target),
        Value::U32(n),
        Value::U32(jobs),
        Value::U32(jobs),
    ];
    let shape = Shape { grid: blocks * kernel.cluster, threads: kernel.threads, shared: kernel.shared };
    let start = support::work_seconds();
    gpu.run(kernel.name, shape, &values).unwrap_or_else(|_| panic!("{}", last_error()));
    let seconds = support::work_seconds() - start;
    let words = gpu.download(target, jobs as usize * 2049);
    for value in values {
        if let Value::Pointer(address) = value {
            assert_eq!(gpu.free(address), support::SUCCESS);
        }
    }
    (words, seconds)
}

#[test]
fn the_order_of_threads_does_not_matter() {
    for kernel in &KERNELS {
        // One pair of a block has nothing to do, and blocks take several turns.
        let jobs = 3 * kernel.ciphertexts + 1;
        let expected = rotate(&Gpu::new("threads=1"), kernel, 5, jobs, 2).0;
        assert!(expected.iter().any(|&word| word != 0));
        for order in ["threads=2", "threads=1 shuffle=1", "threads=2 shuffle=2"] {
            let found = rotate(&Gpu::new(order), kernel, 5, jobs, 2).0;
            assert!(found == expected, "{}, {order}", kernel.name);
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn speed() {
    let gpu = Gpu::new("threads=1");
    for kernel in &KERNELS {
        let seconds = rotate(&gpu, kernel, 918, kernel.ciphertexts, 1).1;
        println!("{}: {:.0} ms for each ciphertext", kernel.name, 1e3 * seconds / f64::from(kernel.ciphertexts));
    }
}
