//! AVX2 with FMA, and AVX-512.
//!
//! One argument serves every `unsafe` block of the methods below, where it is written as "token":
//! a token exists only if `new` found the instruction set, so executing the instruction is sound.

use super::{Kernel, MAX_LANES, Simd};
#[allow(clippy::wildcard_imports)] // some fifty intrinsics
use core::arch::x86_64::*;

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

/// Token: AVX2 and FMA are present.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

#[target_feature(enable = "avx2,fma")]
fn enable_avx2<K: Kernel>(token: Avx2, kernel: K) -> K::Output {
    kernel.run(token)
}

/// Token: AVX-512 F, DQ and BW, AVX2 and FMA are present, and AVX-512 VNNI where `VNNI` is set.
#[derive(Clone, Copy)]
pub(super) struct Avx512<const VNNI: bool>(());

impl<const VNNI: bool> Avx512<VNNI> {
    pub(super) fn new() -> Option<Self> {
        let wide = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && (!VNNI || is_x86_feature_detected!("avx512vnni"));
        (wide && Avx2::new().is_some()).then_some(Self(()))
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx2,fma")]
fn enable_avx512<K: Kernel>(token: Avx512<false>, kernel: K) -> K::Output {
    kernel.run(token)
}

#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vnni,avx2,fma")]
fn enable_avx512_vnni<K: Kernel>(token: Avx512<true>, kernel: K) -> K::Output {
    kernel.run(token)
}

/// Defines methods whose bodies are single intrinsics.
macro_rules! intrinsics {
    ($($name:ident($($arg:ident: $kind:ident),*) -> $out:ident = $body:expr;)*) => {
        $(#[inline(always)]
        fn $name(self, $($arg: Self::$kind),*) -> Self::$out {
            // SAFETY: token.
            unsafe { $body }
        })*
    };
}

// SAFETY: `__m256d` is 4 doubles and `__m256i` 8 words, without padding.
unsafe impl Simd for Avx2 {
    const LANES: usize = 4;
    type F64 = __m256d;
    type U32 = __m256i;

    fn enable<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: token.
        unsafe { enable_avx2(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, x: f64) -> __m256d {
        // SAFETY: token.
        unsafe { _mm256_set1_pd(x) }
    }
    #[inline(always)]
    fn splat_words(self, x: u32) -> __m256i {
        // SAFETY: token.
        unsafe { _mm256_set1_epi32(x.cast_signed()) }
    }
    intrinsics! {
        add(a: F64, b: F64) -> F64 = _mm256_add_pd(a, b);
        sub(a: F64, b: F64) -> F64 = _mm256_sub_pd(a, b);
        mul(a: F64, b: F64) -> F64 = _mm256_mul_pd(a, b);
        mul_add(a: F64, b: F64, c: F64) -> F64 = _mm256_fmadd_pd(a, b, c);
        neg_mul_add(a: F64, b: F64, c: F64) -> F64 = _mm256_fnmadd_pd(a, b, c);
        low_to_f64(a: U32) -> F64 = _mm256_cvtepi32_pd(_mm256_castsi256_si128(a));
        high_to_f64(a: U32) -> F64 = _mm256_cvtepi32_pd(_mm256_extracti128_si256::<1>(a));
        round(a: F64) -> F64 = _mm256_round_pd::<NEAREST>(a);
        add_words(a: U32, b: U32) -> U32 = _mm256_add_epi32(a, b);
        sub_words(a: U32, b: U32) -> U32 = _mm256_sub_epi32(a, b);
        mul_words(a: U32, b: U32) -> U32 = _mm256_mullo_epi32(a, b);
        add_pairs(sum: U32, a: U32, b: U32) -> U32 = _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
        with_sign(a: U32, sign: U32) -> U32 = _mm256_sign_epi32(a, sign);
    }
    #[inline(always)]
    fn transpose(self, rows: &mut [__m256d; MAX_LANES]) {
        let [a, b, c, d, ..] = *rows;
        // SAFETY: token.
        unsafe {
            let (ab_even, ab_odd) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
            let (cd_even, cd_odd) = (_mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d));
            rows[0] = _mm256_permute2f128_pd::<0x20>(ab_even, cd_even);
            rows[1] = _mm256_permute2f128_pd::<0x20>(ab_odd, cd_odd);
            rows[2] = _mm256_permute2f128_pd::<0x31>(ab_even, cd_even);
            rows[3] = _mm256_permute2f128_pd::<0x31>(ab_odd, cd_odd);
        }
    }
    #[inline(always)]
    fn load_words(self, from: &[u32]) -> __m256i {
        let from = &from[..8];
        // SAFETY: token; the slice holds 8 words, and the load may be unaligned.
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store_words(self, to: &mut [u32], x: __m256i) {
        let to = &mut to[..8];
        // SAFETY: token; the slice holds 8 words, and the store may be unaligned.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), x) }
    }
    #[inline(always)]
    fn shift_right(self, a: __m256i, count: u32) -> __m256i {
        // SAFETY: token.
        unsafe { _mm256_sra_epi32(a, _mm_cvtsi32_si128(count.cast_signed())) }
    }
    #[inline(always)]
    fn low_words(self, [first, second]: [__m256d; 2]) -> __m256i {
        // SAFETY: token.
        unsafe {
            // Pairs of words come out in the order 0 2 1 3 of their pairs.
            let pairs = _mm256_shuffle_ps::<0x88>(_mm256_castpd_ps(first), _mm256_castpd_ps(second));
            _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_castps_si256(pairs))
        }
    }
    #[inline(always)]
    fn prefetch<T>(self, at: &T) {
        // SAFETY: token; a prefetch has no architectural effect, and the address is a reference.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(at).cast()) }
    }
}

// SAFETY: `__m512d` is 8 doubles and `__m512i` 16 words, without padding.
unsafe impl<const VNNI: bool> Simd for Avx512<VNNI> {
    const LANES: usize = 8;
    type F64 = __m512d;
    type U32 = __m512i;

    fn enable<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: token, which is one of both types.
        unsafe { if VNNI { enable_avx512_vnni(Avx512(()), kernel) } else { enable_avx512(Avx512(()), kernel) } }
    }

    #[inline(always)]
    fn splat(self, x: f64) -> __m512d {
        // SAFETY: token.
        unsafe { _mm512_set1_pd(x) }
    }
    #[inline(always)]
    fn splat_words(self, x: u32) -> __m512i {
        // SAFETY: token.
        unsafe { _mm512_set1_epi32(x.cast_signed()) }
    }
    intrinsics! {
        add(a: F64, b: F64) -> F64 = _mm512_add_pd(a, b);
        sub(a: F64, b: F64) -> F64 = _mm512_sub_pd(a, b);
        mul(a: F64, b: F64) -> F64 = _mm512_mul_pd(a, b);
        mul_add(a: F64, b: F64, c: F64) -> F64 = _mm512_fmadd_pd(a, b, c);
        neg_mul_add(a: F64, b: F64, c: F64) -> F64 = _mm512_fnmadd_pd(a, b, c);
        low_to_f64(a: U32) -> F64 = _mm512_cvtepi32_pd(_mm512_castsi512_si256(a));
        high_to_f64(a: U32) -> F64 = _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64::<1>(a));
        round(a: F64) -> F64 = _mm512_roundscale_pd::<NEAREST>(a);
        add_words(a: U32, b: U32) -> U32 = _mm512_add_epi32(a, b);
        sub_words(a: U32, b: U32) -> U32 = _mm512_sub_epi32(a, b);
        mul_words(a: U32, b: U32) -> U32 = _mm512_mullo_epi32(a, b);
        add_pairs(sum: U32, a: U32, b: U32) -> U32 =
            if VNNI { _mm512_dpwssd_epi32(sum, a, b) } else { _mm512_add_epi32(sum, _mm512_madd_epi16(a, b)) };
        // AVX-512 dropped `sign`: (a ^ m) - m with m the sign spread over the word.
        with_sign(a: U32, sign: U32) -> U32 = {
            let spread = _mm512_srai_epi32::<31>(sign);
            _mm512_sub_epi32(_mm512_xor_si512(a, spread), spread)
        };
    }
    #[inline(always)]
    fn transpose(self, rows: &mut [__m512d; MAX_LANES]) {
        // Three rounds: swap single lanes of neighbours, pairs of rows two apart within each
        // half, then halves of rows four apart.
        let [a, b, c, d, e, f, g, h] = *rows;
        // SAFETY: token.
        unsafe {
            let single = |x, y| (_mm512_unpacklo_pd(x, y), _mm512_unpackhi_pd(x, y));
            let ((a, b), (c, d)) = (single(a, b), single(c, d));
            let ((e, f), (g, h)) = (single(e, f), single(g, h));
            // Blocks of 128 bits: even ones of both operands, then odd ones of both.
            let blocks = |x, y| (_mm512_shuffle_f64x2::<0x88>(x, y), _mm512_shuffle_f64x2::<0xdd>(x, y));
            let ((ac0, ac1), (bd0, bd1)) = (blocks(a, c), blocks(b, d));
            let ((eg0, eg1), (fh0, fh1)) = (blocks(e, g), blocks(f, h));
            let ((r0, r4), (r2, r6)) = (blocks(ac0, eg0), blocks(ac1, eg1));
            let ((r1, r5), (r3, r7)) = (blocks(bd0, fh0), blocks(bd1, fh1));
            *rows = [r0, r1, r2, r3, r4, r5, r6, r7];
        }
    }
    #[inline(always)]
    fn load_words(self, from: &[u32]) -> __m512i {
        let from = &from[..16];
        // SAFETY: token; the slice holds 16 words, and the load may be unaligned.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store_words(self, to: &mut [u32], x: __m512i) {
        let to = &mut to[..16];
        // SAFETY: token; the slice holds 16 words, and the store may be unaligned.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), x) }
    }
    #[inline(always)]
    fn shift_right(self, a: __m512i, count: u32) -> __m512i {
        // SAFETY: token.
        unsafe { _mm512_sra_epi32(a, _mm_cvtsi32_si128(count.cast_signed())) }
    }
    #[inline(always)]
    fn low_words(self, [first, second]: [__m512d; 2]) -> __m512i {
        // SAFETY: token.
        unsafe {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            _mm512_permutex2var_epi32(_mm512_castpd_si512(first), even, _mm512_castpd_si512(second))
        }
    }
    #[inline(always)]
    fn prefetch<T>(self, at: &T) {
        // SAFETY: token; a prefetch has no architectural effect, and the address is a reference.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(at).cast()) }
    }
}
