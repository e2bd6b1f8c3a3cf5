//! Plain arrays: the reference for the other implementations, and what runs on targets without one of their own.

use super::{Kernel, MAX_LANES, Simd};
use std::array::from_fn;

macro_rules! portable {
    ($name:ident, $lanes:literal, $words:literal) => {
        /// Token of the plain-array implementation.
        #[derive(Clone, Copy)]
        pub(super) struct $name;

        // SAFETY: arrays have no padding, and every bit pattern of their elements is a value.
        unsafe impl Simd for $name {
            const LANES: usize = $lanes;
            type F64 = [f64; $lanes];
            type U32 = [u32; $words];

            fn enable<K: Kernel>(self, kernel: K) -> K::Output {
                kernel.run(self)
            }

            #[inline(always)]
            fn splat(self, x: f64) -> Self::F64 {
                [x; $lanes]
            }
            #[inline(always)]
            fn add(self, a: Self::F64, b: Self::F64) -> Self::F64 {
                from_fn(|i| a[i] + b[i])
            }
            #[inline(always)]
            fn sub(self, a: Self::F64, b: Self::F64) -> Self::F64 {
                from_fn(|i| a[i] - b[i])
            }
            #[inline(always)]
            fn mul(self, a: Self::F64, b: Self::F64) -> Self::F64 {
                from_fn(|i| a[i] * b[i])
            }
            // Not `f64::mul_add`: without the instruction it is a library call.
            #[inline(always)]
            fn mul_add(self, a: Self::F64, b: Self::F64, c: Self::F64) -> Self::F64 {
                from_fn(|i| a[i] * b[i] + c[i])
            }
            #[inline(always)]
            fn neg_mul_add(self, a: Self::F64, b: Self::F64, c: Self::F64) -> Self::F64 {
                from_fn(|i| c[i] - a[i] * b[i])
            }
            #[inline(always)]
            fn round(self, a: Self::F64) -> Self::F64 {
                // Adding and removing 1.5 * 2^52 rounds below 2^51 without a library call; above,
                // the argument is an integer up to the precision that the kernels rely on.
                const MAGIC: f64 = 6_755_399_441_055_744.0;
                from_fn(|i| (a[i] + MAGIC) - MAGIC)
            }
            #[inline(always)]
            fn transpose(self, rows: &mut [Self::F64; MAX_LANES]) {
                for i in 0..$lanes {
                    for j in 0..i {
                        let upper = rows[j][i];
                        rows[j][i] = rows[i][j];
                        rows[i][j] = upper;
                    }
                }
            }

            #[inline(always)]
            fn load_words(self, from: &[u32]) -> Self::U32 {
                let from = &from[..$words];
                from_fn(|i| from[i])
            }
            #[inline(always)]
            fn store_words(self, to: &mut [u32], x: Self::U32) {
                to[..$words].copy_from_slice(&x);
            }
            #[inline(always)]
            fn splat_words(self, x: u32) -> Self::U32 {
                [x; $words]
            }
            #[inline(always)]
            fn add_words(self, a: Self::U32, b: Self::U32) -> Self::U32 {
                from_fn(|i| a[i].wrapping_add(b[i]))
            }
            #[inline(always)]
            fn sub_words(self, a: Self::U32, b: Self::U32) -> Self::U32 {
                from_fn(|i| a[i].wrapping_sub(b[i]))
            }
            #[inline(always)]
            fn mul_words(self, a: Self::U32, b: Self::U32) -> Self::U32 {
                from_fn(|i| a[i].wrapping_mul(b[i]))
            }
            #[inline(always)]
            fn add_pairs(self, sum: Self::U32, a: Self::U32, b: Self::U32) -> Self::U32 {
                let low = |x: u32| i32::from(x as i16);
                let high = |x: u32| x.cast_signed() >> 16;
                from_fn(|i| {
                    let pair = low(a[i]) * low(b[i]) + high(a[i]) * high(b[i]);
                    sum[i].wrapping_add(pair.cast_unsigned())
                })
            }
            #[inline(always)]
            fn shift_right(self, a: Self::U32, count: u32) -> Self::U32 {
                from_fn(|i| (a[i].cast_signed() >> count).cast_unsigned())
            }
            #[inline(always)]
            fn with_sign(self, a: Self::U32, sign: Self::U32) -> Self::U32 {
                from_fn(|i| {
                    // All ones where the sign is negative: the complement, plus one.
                    let spread = (sign[i].cast_signed() >> 31).cast_unsigned();
                    (a[i] ^ spread).wrapping_sub(spread)
                })
            }

            #[inline(always)]
            fn low_to_f64(self, a: Self::U32) -> Self::F64 {
                from_fn(|i| f64::from(a[i].cast_signed()))
            }
            #[inline(always)]
            fn high_to_f64(self, a: Self::U32) -> Self::F64 {
                from_fn(|i| f64::from(a[$lanes + i].cast_signed()))
            }
            #[inline(always)]
            #[allow(clippy::cast_possible_truncation)] // the low half is what is asked for
            fn low_words(self, a: [Self::F64; 2]) -> Self::U32 {
                from_fn(|i| a[i / $lanes][i % $lanes].to_bits() as u32)
            }

            #[inline(always)]
            fn prefetch<T>(self, _at: &T) {}
        }
    };
}

#[cfg(not(target_arch = "x86_64"))]
portable!(Portable4, 4, 8);
portable!(Portable8, 8, 16);
