//! Zeroed buffers aligned to a cache line, viewed as scalars or as vectors.

use super::simd::Simd;

/// One cache line; the widest vector (512 bits) fills it exactly.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([u64; 8]);

/// A scalar for which every bit pattern is a value and whose alignment divides 64.
///
/// # Safety
/// Implementors must have no padding, no invalid bit pattern, and a size that divides 64.
pub(crate) unsafe trait Scalar: Copy {}
// SAFETY: plain 4-byte integer.
unsafe impl Scalar for u32 {}
// SAFETY: plain 4-byte integer.
unsafe impl Scalar for i32 {}
// SAFETY: plain 8-byte float; every bit pattern is a value.
unsafe impl Scalar for f64 {}

/// A buffer of `len` scalars, zero at first, aligned to 64 bytes.
#[derive(Clone)]
pub(crate) struct AlignedVec<T> {
    lines: Vec<Line>,
    len: usize,
    scalar: std::marker::PhantomData<T>,
}

impl<T: Scalar> AlignedVec<T> {
    pub(crate) fn zeroed(len: usize) -> Self {
        let lines = (len * size_of::<T>()).div_ceil(size_of::<Line>());
        Self { lines: vec![Line([0; 8]); lines], len, scalar: std::marker::PhantomData }
    }

    /// [`zeroed`](Self::zeroed) in huge pages, where the system gives them: for keys, which are so large that the
    /// processor's table of pages has forgotten each of them by the time it is read again.
    pub(crate) fn zeroed_huge(len: usize) -> Self {
        let count = (len * size_of::<T>()).div_ceil(size_of::<Line>());
        let mut lines = Vec::with_capacity(count);
        // Before the first access: pages get their size then.
        advise_huge(lines.spare_capacity_mut());
        lines.resize(count, Line([0; 8]));
        Self { lines, len, scalar: std::marker::PhantomData }
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        // SAFETY: `lines` owns at least `len` scalars (rounded up in `zeroed`), 64-byte alignment
        // suffices for `T`, and every bit pattern is a value of `T` (contract of `Scalar`).
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as in `as_slice`, and `&mut self` makes the access unique.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// Asks for huge pages in the part of the buffer that consists of whole ones; a refusal changes nothing.
#[cfg(target_os = "linux")]
fn advise_huge(lines: &mut [std::mem::MaybeUninit<Line>]) {
    const PAGE: usize = 2 << 20;
    let start = lines.as_mut_ptr().cast::<u8>();
    let skipped = start.align_offset(PAGE);
    let length = size_of_val(lines).saturating_sub(skipped) / PAGE * PAGE;
    if length > 0 {
        // SAFETY: `skipped + length` bytes lie in the buffer, which is borrowed exclusively; the advice is about the size
        // of pages and leaves contents alone.
        unsafe { libc::madvise(start.add(skipped).cast(), length, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise_huge(_lines: &mut [std::mem::MaybeUninit<Line>]) {}

/// Views scalars as groups of `G` vectors of doubles. Panics unless the slice is aligned for the
/// vector and holds a whole number of groups.
#[inline(always)]
pub(crate) fn as_vectors<S: Simd, const G: usize>(scalars: &[f64]) -> &[[S::F64; G]] {
    let group = G * S::LANES;
    assert!(scalars.as_ptr().cast::<[S::F64; G]>().is_aligned() && scalars.len().is_multiple_of(group));
    // SAFETY: alignment and length were just checked; `Simd` promises that `F64` is exactly
    // `LANES` doubles without padding, so the groups cover the same bytes.
    unsafe { std::slice::from_raw_parts(scalars.as_ptr().cast(), scalars.len() / group) }
}

/// Mutable form of [`as_vectors`].
#[inline(always)]
pub(crate) fn as_vectors_mut<S: Simd, const G: usize>(scalars: &mut [f64]) -> &mut [[S::F64; G]] {
    let group = G * S::LANES;
    assert!(scalars.as_ptr().cast::<[S::F64; G]>().is_aligned() && scalars.len().is_multiple_of(group));
    // SAFETY: as in `as_vectors`, and the exclusive borrow is passed on.
    unsafe { std::slice::from_raw_parts_mut(scalars.as_mut_ptr().cast(), scalars.len() / group) }
}
