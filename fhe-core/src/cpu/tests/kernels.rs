//! Each kernel against a definition written as plainly as possible, on every level.

use super::{Random, levels};
use crate::cpu::batch::{Workspace, keyswitch_batch};
use crate::cpu::blind_rotate::{BlindRotateScratch, BootstrapJob, bootstrap_tile, step_for_tests, to_word};
use crate::cpu::bootstrapping_key::FourierBootstrappingKey;
use crate::cpu::geometry::Geometry;
use crate::cpu::keyswitch::{PackedKeyswitchingKey, decompose, modulus_switch};

const SIZES: [usize; 4] = [512, 1024, 2048, 4096];

fn geometry(lwe_dimension: usize, polynomial_size: usize, pbs_base_log: u32) -> Geometry {
    Geometry { lwe_dimension, polynomial_size, pbs_base_log, ks_base_log: 4, ks_level_count: 4 }
}

/// Coefficient j of `p * X^exponent` modulo X^N + 1.
fn rotated(p: &[u32], exponent: usize, j: usize) -> u32 {
    let size = p.len();
    let from = (j + 2 * size - exponent) % (2 * size);
    if from < size { p[from] } else { p[from - size].wrapping_neg() }
}

/// The digit of one level: `x / 2^(32 - base_log)` to the nearest integer, ties upwards, modulo B into
/// `-B/2..B/2`.
fn digit(x: u32, base_log: u32) -> i64 {
    let (step, base) = (1i64 << (32 - base_log), 1i64 << base_log);
    let nearest = (i64::from(x.cast_signed()) + step / 2).div_euclid(step);
    if nearest == base / 2 { -nearest } else { nearest }
}

/// Product modulo X^N + 1 of digits and 64-bit torus words.
fn negacyclic(digits: &[i64], words: &[u64]) -> Vec<u64> {
    let size = digits.len();
    let mut out = vec![0u64; size];
    for (i, &digit) in digits.iter().enumerate() {
        let digit = digit.cast_unsigned();
        for (j, &word) in words.iter().enumerate() {
            let product = digit.wrapping_mul(word);
            if i + j < size {
                out[i + j] = out[i + j].wrapping_add(product);
            } else {
                out[i + j - size] = out[i + j - size].wrapping_sub(product);
            }
        }
    }
    out
}

/// One step of blind rotation on random accumulators and a random "key", against integers.
#[test]
fn a_step_of_blind_rotation_is_the_external_product() {
    let mut random = Random(1);
    for size in SIZES {
        for base_log in [23, 8] {
            let geometry = geometry(1, size, base_log);
            let words: Vec<u64> = (0..4 * size).map(|_| random.next()).collect();
            let acc: [Vec<u32>; 2] = std::array::from_fn(|_| (0..size).map(|_| random.word()).collect());
            for exponent in [1, 3, size / 8, size - 1, size, size + 5, 2 * size - 1, random.below(2 * size)] {
                let mut expected = acc.clone();
                for (row, acc) in acc.iter().enumerate() {
                    let digits: Vec<i64> =
                        (0..size).map(|j| digit(rotated(acc, exponent, j).wrapping_sub(acc[j]), base_log)).collect();
                    for (column, expected) in expected.iter_mut().enumerate() {
                        let product = negacyclic(&digits, &words[(2 * row + column) * size..][..size]);
                        for (expected, product) in expected.iter_mut().zip(product) {
                            *expected = expected.wrapping_add(to_word(product));
                        }
                    }
                }
                for level in levels() {
                    let key = FourierBootstrappingKey::new(level, geometry, &words);
                    let computed = step_for_tests(&key, &acc, u16::try_from(exponent).unwrap());
                    let error = computed
                        .iter()
                        .flatten()
                        .zip(expected.iter().flatten())
                        .map(|(&a, &b)| a.wrapping_sub(b).cast_signed().unsigned_abs())
                        .max()
                        .unwrap();
                    // Doubles carry 53 of about 22 + 63 + 6 bits: an error of some 2^-26 of the torus.
                    assert!(error < 1 << 10, "{level:?} {size} {base_log} {exponent}: {error}");
                    assert!(base_log > 8 || error < 4, "{level:?} {size} {base_log} {exponent}: {error}");
                }
            }
        }
    }
}

/// With mask zero blind rotation is a rotation, and extraction a choice of coefficients.
#[test]
fn rotation_by_the_body_and_extraction() {
    let mut random = Random(2);
    for size in [512, 2048] {
        let geometry = geometry(3, size, 23);
        let tables: Vec<u64> = (0..2 * size).map(|_| random.next()).collect();
        let key_words: Vec<u64> = (0..3 * 4 * size).map(|_| random.next()).collect();
        for level in levels() {
            let key = FourierBootstrappingKey::new(level, geometry, &key_words);
            let mut scratch = BlindRotateScratch::new(&geometry);
            for body in [0, 1, size - 1, size, 2 * size - 1] {
                let switched = [0, 0, 0, u16::try_from(body).unwrap()];
                let job = BootstrapJob { table: 1, coefficients: &[0, 7, size - 1] };
                let mut out = vec![1; 3 * (size + 1)];
                bootstrap_tile(&key, &mut scratch, &switched, &[job], &tables, &mut out);
                for (&h, lwe) in job.coefficients.iter().zip(out.chunks_exact(size + 1)) {
                    let table: Vec<u32> = tables[size..].iter().map(|&word| to_word(word)).collect();
                    assert!(lwe[..size].iter().all(|&word| word == 0));
                    let expected = rotated(&table, (2 * size - body) % (2 * size), h);
                    assert_eq!(lwe[size], u64::from(expected) << 32);
                }
            }
        }
    }
}

/// The extracted mask, against the definition of the phase: coefficient h of B - A * S.
#[test]
fn extraction_keeps_the_phase() {
    let mut random = Random(3);
    let size = 512;
    let [mask, body, key]: [Vec<u32>; 3] = std::array::from_fn(|_| (0..size).map(|_| random.word()).collect());
    let digits: Vec<i64> = mask.iter().map(|&word| i64::from(word)).collect();
    let key: Vec<u64> = key.iter().map(|&word| u64::from(word % 2)).collect();
    let product = negacyclic(&digits, &key);
    for h in [0, 1, 100, size - 1] {
        let mut lwe = vec![0; size + 1];
        crate::cpu::blind_rotate::sample_extract(&mask, &body, h, &mut lwe);
        let dot = lwe.iter().zip(&key).fold(0u64, |sum, (a, s)| sum.wrapping_add(a.wrapping_mul(*s)));
        assert_eq!(lwe[size].wrapping_sub(dot), (u64::from(body[h]) << 32).wrapping_sub(product[h] << 32));
    }
}

/// The recursion of the `tfhe` crate, on 64-bit words.
fn naive_digits(word: u64, base_log: u32, levels: u32) -> Vec<i64> {
    let dropped = 64 - base_log * levels;
    // The multiple of 2^dropped nearest to the signed word, ties upwards. Half the torus is its own
    // negative; the `tfhe` crate gives it the sign opposite to that of the word.
    let mut state = (i128::from(word.cast_signed()) + (1i128 << (dropped - 1))) >> dropped;
    if state.unsigned_abs() == 1 << (63 - dropped) {
        state = -state;
    }
    let mut state = i64::try_from(state).unwrap();
    let base = 1i64 << base_log;
    (0..levels)
        .map(|_| {
            let low = state.rem_euclid(base);
            state = state.div_euclid(base);
            let up = low > base / 2 || (low == base / 2 && state.rem_euclid(base) >= base / 2);
            state += i64::from(up);
            low - i64::from(up) * base
        })
        .collect()
}

#[test]
fn keyswitch_digits_follow_the_definition() {
    let mut random = Random(4);
    let mut words: Vec<u64> = (0..2000).map(|_| random.next()).collect();
    words.extend([0, 1, u64::MAX, 1 << 47, (1 << 47) - 1, 0x8888_8000_0000_0000, 0x7fff_8000_0000_0000]);
    words.extend((0..16).map(|i| (i << 60) | (8 << 56) | (8 << 52)));
    words.resize(words.len().next_multiple_of(32), 0);
    for (ks_base_log, ks_level_count) in [(4, 4), (3, 5), (6, 3), (2, 8), (15, 2)] {
        let geometry = Geometry { ks_base_log, ks_level_count, ..geometry(1, 2048, 23) };
        let (blocks, _) = words.as_chunks();
        let mut digits = vec![0; 32 * ks_level_count as usize];
        for (block, &word) in blocks.iter().flat_map(|block| std::iter::repeat(block).zip(block)) {
            decompose(&geometry, block, &mut digits);
            let at = block.iter().position(|other| *other == word).unwrap();
            let levels = digits.chunks_exact(32).map(|level| -i64::from(level[at].cast_signed()));
            let digits: Vec<i64> = levels.collect();
            assert_eq!(digits, naive_digits(word, ks_base_log, ks_level_count), "{word:#x}");
            let sum = digits.iter().zip(0..).fold(0u64, |sum, (&digit, i)| {
                let weight = 64 - ks_base_log * (ks_level_count - i);
                sum.wrapping_add(digit.cast_unsigned() << weight)
            });
            let error = word.wrapping_sub(sum).cast_signed().unsigned_abs();
            assert!(error <= 1 << (63 - ks_base_log * ks_level_count));
        }
    }
}

/// The centered modulus switch from its definition, exact in 128 bits on 64-bit words.
fn naive_modulus_switch(words: &[u64], log_modulus: u32) -> Vec<u16> {
    let step = 1i128 << (64 - log_modulus);
    let nearest = |x: i128| (x + step / 2).div_euclid(step);
    let switch = |x: i128| u16::try_from(nearest(x).rem_euclid(1 << log_modulus)).unwrap();
    let (&body, mask) = words.split_last().unwrap();
    let errors: i128 = mask.iter().map(|&a| nearest(i128::from(a)) * step - i128::from(a)).sum();
    let body = i128::from(body) + errors / 2 - step / 2;
    mask.iter().map(|&a| switch(i128::from(a))).chain([switch(body)]).collect()
}

#[test]
fn modulus_switch_follows_the_definition() {
    let mut random = Random(5);
    for log_modulus in [10, 11, 12, 13] {
        for len in [1, 2, 919] {
            for _ in 0..50 {
                let words: Vec<u32> = (0..len).map(|_| random.word()).collect();
                let wide: Vec<u64> = words.iter().map(|&word| u64::from(word) << 32).collect();
                let mut out = vec![0; len];
                modulus_switch(&words, log_modulus, &mut out);
                assert_eq!(out, naive_modulus_switch(&wide, log_modulus));
            }
        }
    }
}

/// Batches of all shapes against a scalar product of the same 32-bit words, exactly, and against the
/// 64-bit definition, within the rounding of the key.
#[test]
fn keyswitch_is_the_scalar_one() {
    let mut random = Random(6);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    for (lwe_dimension, size, ks_base_log, ks_level_count) in [(70, 512, 4, 4), (47, 1024, 3, 5)] {
        let geometry = Geometry { ks_base_log, ks_level_count, ..geometry(lwe_dimension, size, 23) };
        let levels_count = ks_level_count as usize;
        let small = lwe_dimension + 1;
        let words: Vec<u64> = (0..size * levels_count * small).map(|_| random.next()).collect();
        let inputs: Vec<u64> = (0..131 * (size + 1)).map(|_| random.next()).collect();
        let (mut expected, mut worst) = (Vec::new(), 0);
        for row in inputs.chunks_exact(size + 1) {
            let mut narrow = vec![0u32; small];
            let mut wide = vec![0u64; small];
            (narrow[small - 1], wide[small - 1]) = (to_word(row[size]), row[size]);
            for (j, &word) in row[..size].iter().enumerate() {
                for (l, digit) in naive_digits(word, ks_base_log, ks_level_count).into_iter().enumerate() {
                    let key = &words[(j * levels_count + l) * small..][..small];
                    for (c, &key) in key.iter().enumerate() {
                        let digit = digit.cast_unsigned();
                        wide[c] = wide[c].wrapping_sub(digit.wrapping_mul(key));
                        #[allow(clippy::cast_possible_truncation)]
                        let product = (digit as u32).wrapping_mul(to_word(key));
                        narrow[c] = narrow[c].wrapping_sub(product);
                    }
                }
            }
            for (&narrow, &wide) in narrow.iter().zip(&wide) {
                worst = worst.max(narrow.wrapping_sub(to_word(wide)).cast_signed().unsigned_abs());
            }
            let narrow: Vec<u64> = narrow.into_iter().map(|word| u64::from(word) << 32).collect();
            expected.extend(naive_modulus_switch(&narrow, geometry.log_exponent_modulus()));
        }
        // Some 4096 rounding errors of at most 1/2, times digits of about 2.3 or 4.6.
        assert!(worst < 1 << 10, "{worst}");
        for level in levels() {
            let key = PackedKeyswitchingKey::new(level, geometry, &words);
            let mut workspace = Workspace::new(&pool, &geometry);
            for batch in [0, 1, 2, 3, 4, 7, 64, 131] {
                let mut out = vec![0; batch * small];
                keyswitch_batch(&pool, &key, &mut workspace, &inputs[..batch * (size + 1)], &mut out);
                assert!(out == expected[..batch * small], "{level:?} {batch}");
            }
        }
    }
}
