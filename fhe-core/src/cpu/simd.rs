//! Vectors of `f64` and of `u32`, for the instruction sets that the kernels run on.
//!
//! A value that implements [`Simd`] is a *token*: outside this module it can only be obtained by
//! [`SimdLevel::run`], which checks the machine first. That is what makes the methods safe.
//! Kernels are `#[inline(always)]` functions over the trait; [`Simd::enable`] is the only function
//! compiled with the instruction set enabled, so a kernel is dispatched once, not per vector.
//!
//! A vector of words has twice as many lanes as a vector of doubles, so that one load of words
//! feeds two vectors of doubles; all orders are natural (lane i of the first vector is word i).

mod portable;
#[cfg(target_arch = "x86_64")]
mod sse2;
#[cfg(target_arch = "x86_64")]
mod x86;

/// Most lanes of doubles that any instruction set here has.
pub(crate) const MAX_LANES: usize = 8;

/// Operations on vectors of [`Simd::LANES`] doubles and of `2 * LANES` words.
///
/// # Safety
/// `F64` must be exactly `LANES` doubles and `U32` exactly `2 * LANES` words, without padding, and
/// valid for every bit pattern.
pub(crate) unsafe trait Simd: Copy + Send + Sync + 'static {
    /// Lanes of a vector of doubles: 4 or 8.
    const LANES: usize;
    /// Lanes of a vector of words.
    const WORDS: usize = 2 * Self::LANES;
    /// `LANES` doubles.
    type F64: Copy + 'static;
    /// `2 * LANES` words, arithmetic modulo 2^32.
    type U32: Copy + 'static;

    /// Runs a kernel with the instruction set enabled.
    fn enable<K: Kernel>(self, kernel: K) -> K::Output;

    /// `x` in every lane.
    fn splat(self, x: f64) -> Self::F64;
    /// `a + b`
    fn add(self, a: Self::F64, b: Self::F64) -> Self::F64;
    /// `a - b`
    fn sub(self, a: Self::F64, b: Self::F64) -> Self::F64;
    /// `a * b`
    fn mul(self, a: Self::F64, b: Self::F64) -> Self::F64;
    /// `a * b + c`, fused where the machine can.
    fn mul_add(self, a: Self::F64, b: Self::F64, c: Self::F64) -> Self::F64;
    /// `c - a * b`, fused where the machine can.
    fn neg_mul_add(self, a: Self::F64, b: Self::F64, c: Self::F64) -> Self::F64;
    /// Nearest integer.
    fn round(self, a: Self::F64) -> Self::F64;
    /// Transposes the square matrix in the first `LANES` rows; further rows are left alone.
    fn transpose(self, rows: &mut [Self::F64; MAX_LANES]);

    /// The first `2 * LANES` words of `from`, which may be unaligned.
    fn load_words(self, from: &[u32]) -> Self::U32;
    /// Writes the first `2 * LANES` words of `to`.
    fn store_words(self, to: &mut [u32], x: Self::U32);
    /// `x` in every lane.
    fn splat_words(self, x: u32) -> Self::U32;
    /// `a + b`
    fn add_words(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// `a - b`
    fn sub_words(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// Low 32 bits of `a * b`.
    fn mul_words(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// `sum + a0 b0 + a1 b1` modulo 2^32, for words that are pairs of signed 16-bit numbers; not both numbers of a pair
    /// may be -2^15 in `a` and in `b`.
    fn add_pairs(self, sum: Self::U32, a: Self::U32, b: Self::U32) -> Self::U32;
    /// `a >> count` of signed words; `count` in 1..=31.
    fn shift_right(self, a: Self::U32, count: u32) -> Self::U32;
    /// `a` where the lane of `sign` is 1, `-a` where it is -1; other values are not allowed.
    fn with_sign(self, a: Self::U32, sign: Self::U32) -> Self::U32;

    /// Each of the first `LANES` words as a signed integer.
    fn low_to_f64(self, a: Self::U32) -> Self::F64;
    /// Each of the last `LANES` words as a signed integer.
    fn high_to_f64(self, a: Self::U32) -> Self::F64;
    /// The low 32 bits of the bit pattern of each double.
    fn low_words(self, a: [Self::F64; 2]) -> Self::U32;

    /// Hints that the cache line of `at` will be read soon.
    fn prefetch<T>(self, at: &T);
}

/// A computation that [`SimdLevel::run`] instantiates for the chosen instruction set.
pub(crate) trait Kernel {
    /// What the computation returns.
    type Output;
    /// The computation; implementations are `#[inline(always)]`, with all they call.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// An instruction set, chosen at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SimdLevel {
    /// 4 lanes; runs anywhere: on x86-64 with SSE2, which is part of the target, elsewhere on plain arrays.
    Portable,
    /// Plain arrays of 8 lanes: the data layout of [`SimdLevel::Avx512`], so that it is tested on
    /// machines without it, and the plain arrays with it. Slower than [`SimdLevel::Portable`].
    PortableWide,
    /// AVX2 and FMA, 4 lanes.
    Avx2,
    /// AVX-512 F, DQ and BW, 8 lanes.
    Avx512,
    /// The same with VNNI, which multiplies and adds the pairs of a keyswitch in one instruction instead of two.
    Avx512Vnni,
}

impl SimdLevel {
    /// The fastest level of this machine.
    #[must_use]
    pub fn detect() -> Self {
        let fast = [Self::Avx512Vnni, Self::Avx512, Self::Avx2];
        fast.into_iter().find(|level| level.is_available()).unwrap_or(Self::Portable)
    }

    /// All levels that run on this machine, the slowest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        [Self::PortableWide, Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Vnni]
            .into_iter()
            .filter(|level| level.is_available())
            .collect()
    }

    /// Whether this machine has the instructions.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable | Self::PortableWide => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => x86::Avx2::new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => x86::Avx512::<false>::new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => x86::Avx512::<true>::new().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 | Self::Avx512Vnni => false,
        }
    }

    /// W, the doubles per vector. Data laid out for one level may be used by another of equal W.
    #[must_use]
    pub fn lanes(self) -> usize {
        match self {
            Self::Portable | Self::Avx2 => 4,
            Self::PortableWide | Self::Avx512 | Self::Avx512Vnni => 8,
        }
    }

    /// Runs a kernel at this level. Panics if the machine lacks it (constructors of keys reject
    /// such a level first).
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        const ABSENT: &str = "a level is checked when a key is made for it";
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Portable => sse2::Sse2.enable(kernel),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Portable => portable::Portable4.enable(kernel),
            Self::PortableWide => portable::Portable8.enable(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => x86::Avx2::new().expect(ABSENT).enable(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => x86::Avx512::<false>::new().expect(ABSENT).enable(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => x86::Avx512::<true>::new().expect(ABSENT).enable(kernel),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 | Self::Avx512Vnni => panic!("{ABSENT}"),
        }
    }
}
