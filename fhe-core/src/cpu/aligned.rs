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
