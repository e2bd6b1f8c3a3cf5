//! Four lanes as pairs of 128-bit vectors: the portable level of x86-64, where SSE2 is part of the target.
//!
//! The compiler makes the same instructions of plain arrays, but spends more time on moving them than on arithmetic.
//! One argument serves every `unsafe` block, where it is written as "SSE2": every processor of the target has it.

use super::{Kernel, MAX_LANES, Simd};
#[allow(clippy::wildcard_imports)] // some forty intrinsics
use core::arch::x86_64::*;

/// Token of what the target guarantees.
#[derive(Clone, Copy)]
pub(super) struct Sse2;

/// Defines methods on both halves of their arguments, by an expression for one half.
macro_rules! halves {
    ($($name:ident($($arg:ident: $kind:ident),*) -> $out:ident = $body:expr;)*) => {
        $(#[inline(always)]
        fn $name(self, $($arg: Self::$kind),*) -> Self::$out {
            let half = |$($arg),*| {
                // SAFETY: SSE2.
                unsafe { $body }
            };
            [half($($arg[0]),*), half($($arg[1]),*)]
        })*
    };
}

// SAFETY: two `__m128d` are 4 doubles and two `__m128i` 8 words, without padding.
unsafe impl Simd for Sse2 {
    const LANES: usize = 4;
    type F64 = [__m128d; 2];
    type U32 = [__m128i; 2];

    fn enable<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }

    #[inline(always)]
    fn splat(self, x: f64) -> Self::F64 {
        // SAFETY: SSE2.
        [unsafe { _mm_set1_pd(x) }; 2]
    }
    #[inline(always)]
    fn splat_words(self, x: u32) -> Self::U32 {
        // SAFETY: SSE2.
        [unsafe { _mm_set1_epi32(x.cast_signed()) }; 2]
    }
    halves! {
        add(a: F64, b: F64) -> F64 = _mm_add_pd(a, b);
        sub(a: F64, b: F64) -> F64 = _mm_sub_pd(a, b);
        mul(a: F64, b: F64) -> F64 = _mm_mul_pd(a, b);
        mul_add(a: F64, b: F64, c: F64) -> F64 = _mm_add_pd(_mm_mul_pd(a, b), c);
        neg_mul_add(a: F64, b: F64, c: F64) -> F64 = _mm_sub_pd(c, _mm_mul_pd(a, b));
        // Adding and removing 1.5 * 2^52 rounds below 2^51; above, the argument is an integer up to the precision that
        // the kernels rely on.
        round(a: F64) -> F64 = {
            let magic = _mm_set1_pd(6_755_399_441_055_744.0);
            _mm_sub_pd(_mm_add_pd(a, magic), magic)
        };
        add_words(a: U32, b: U32) -> U32 = _mm_add_epi32(a, b);
        sub_words(a: U32, b: U32) -> U32 = _mm_sub_epi32(a, b);
        add_pairs(sum: U32, a: U32, b: U32) -> U32 = _mm_add_epi32(sum, _mm_madd_epi16(a, b));
        // Products of 64 bits of the even and of the odd words, of which the low halves count.
        mul_words(a: U32, b: U32) -> U32 = {
            let even = _mm_mul_epu32(a, b);
            let odd = _mm_mul_epu32(_mm_srli_epi64::<32>(a), _mm_srli_epi64::<32>(b));
            _mm_unpacklo_epi32(_mm_shuffle_epi32::<0b10_00>(even), _mm_shuffle_epi32::<0b10_00>(odd))
        };
        // The complement, plus one, where the sign is negative.
        with_sign(a: U32, sign: U32) -> U32 = {
            let spread = _mm_srai_epi32::<31>(sign);
            _mm_sub_epi32(_mm_xor_si128(a, spread), spread)
        };
    }
    #[inline(always)]
    fn transpose(self, rows: &mut [Self::F64; MAX_LANES]) {
        let [a, b, c, d, ..] = *rows;
        // SAFETY: SSE2.
        let swap = |x, y| unsafe { (_mm_unpacklo_pd(x, y), _mm_unpackhi_pd(x, y)) };
        let ((ab0, ab1), (cd0, cd1)) = (swap(a[0], b[0]), swap(c[0], d[0]));
        let ((ab2, ab3), (cd2, cd3)) = (swap(a[1], b[1]), swap(c[1], d[1]));
        (rows[0], rows[1], rows[2], rows[3]) = ([ab0, cd0], [ab1, cd1], [ab2, cd2], [ab3, cd3]);
    }
    #[inline(always)]
    fn load_words(self, from: &[u32]) -> Self::U32 {
        let from = &from[..8];
        // SAFETY: SSE2; the slice holds 8 words, and the loads may be unaligned.
        [0, 4].map(|at| unsafe { _mm_loadu_si128(from.as_ptr().add(at).cast()) })
    }
    #[inline(always)]
    fn store_words(self, to: &mut [u32], x: Self::U32) {
        let to = &mut to[..8];
        for (half, x) in x.into_iter().enumerate() {
            // SAFETY: SSE2; the slice holds 8 words, and the stores may be unaligned.
            unsafe { _mm_storeu_si128(to.as_mut_ptr().add(4 * half).cast(), x) }
        }
    }
    #[inline(always)]
    fn shift_right(self, a: Self::U32, count: u32) -> Self::U32 {
        // SAFETY: SSE2.
        a.map(|a| unsafe { _mm_sra_epi32(a, _mm_cvtsi32_si128(count.cast_signed())) })
    }
    #[inline(always)]
    fn low_to_f64(self, a: Self::U32) -> Self::F64 {
        words_to_f64(a[0])
    }
    #[inline(always)]
    fn high_to_f64(self, a: Self::U32) -> Self::F64 {
        words_to_f64(a[1])
    }
    #[inline(always)]
    fn low_words(self, a: [Self::F64; 2]) -> Self::U32 {
        a.map(|[low, high]| {
            // SAFETY: SSE2.
            unsafe { _mm_castps_si128(_mm_shuffle_ps::<0x88>(_mm_castpd_ps(low), _mm_castpd_ps(high))) }
        })
    }
    #[inline(always)]
    fn prefetch<T>(self, at: &T) {
        // SAFETY: SSE2; a prefetch has no architectural effect, and the address is a reference.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(at).cast()) }
    }
}

/// Four signed words as doubles.
#[inline(always)]
fn words_to_f64(words: __m128i) -> [__m128d; 2] {
    // SAFETY: SSE2.
    unsafe { [_mm_cvtepi32_pd(words), _mm_cvtepi32_pd(_mm_shuffle_epi32::<0b11_10>(words))] }
}
