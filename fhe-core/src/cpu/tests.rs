//! Kernels against naive oracles, then bootstraps with real keys of the `tfhe` crate.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]

mod kernels;
mod real_keys;

use super::simd::SimdLevel;

/// A small generator of reproducible words (`SplitMix64`).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn word(&mut self) -> u32 {
        self.next() as u32
    }

    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.next() as usize % bound
    }
}

/// All levels that this machine runs; says so when the widest hardware one is not among them.
///
/// `FHE_TEST_SIMD`, names of levels with commas, asks for those alone, on machines that are too slow for all (an
/// emulator); there it is an error if one is absent.
pub(super) fn levels() -> Vec<SimdLevel> {
    let levels = SimdLevel::available();
    if let Ok(names) = std::env::var("FHE_TEST_SIMD") {
        let named = |name: &str| {
            let level = levels.iter().find(|level| format!("{level:?}") == name);
            *level.unwrap_or_else(|| panic!("{name} of FHE_TEST_SIMD is not available"))
        };
        return names.split(',').map(named).collect();
    }
    for level in [SimdLevel::Avx512, SimdLevel::Avx512Vnni] {
        if !level.is_available() {
            println!("skipped: {level:?} is absent; PortableWide covers its data layout");
        }
    }
    levels
}
