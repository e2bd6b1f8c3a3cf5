//! How many ciphertexts share one reading of a GGSW ciphertext, by the size of the second-level cache.

use super::blind_rotate::{MAX_TILE, PAD};
use super::geometry::Geometry;

/// The second-level cache of a processor that does not say: that of Zen 2 to Zen 4.
const USUAL_BYTES: usize = 512 << 10;
/// Fewer do not pay for the reading, whatever else has to go (`benches/README.md`).
const MIN_TILE: usize = 4;

/// The tile for keys of this geometry on this machine.
pub(crate) fn tile(geometry: &Geometry) -> usize {
    tile_for(geometry, second_level_bytes().unwrap_or(USUAL_BYTES))
}

/// The largest power of two so that a step of blind rotation stays in `cache` bytes: the GGSW ciphertext that it reads and
/// the one that it asks for, the Fourier buffers of two polynomials, and the accumulators of the tile.
///
/// | cache | N = 1024 | N = 2048 | N = 4096 |
/// |---|---|---|---|
/// | 256 KiB | 16 | 4 | 4 |
/// | 512 KiB | 16 | 16 | 4 |
/// | 1 MiB and more | 16 | 16 | 16 |
fn tile_for(geometry: &Geometry, cache: usize) -> usize {
    let size = geometry.polynomial_size;
    let (ggsw, buffers, accumulator) = (32 * size, 16 * size, 8 * (size + PAD));
    let room = cache.saturating_sub(2 * ggsw + buffers) / accumulator;
    room.checked_ilog2().map_or(MIN_TILE, |log| 1 << log).clamp(MIN_TILE, MAX_TILE)
}

/// Bytes of the second-level cache of the first core, where the system tells.
fn second_level_bytes() -> Option<usize> {
    let size = std::fs::read_to_string("/sys/devices/system/cpu/cpu0/cache/index2/size").ok()?;
    let kibibytes: usize = size.trim().strip_suffix('K')?.parse().ok()?;
    kibibytes.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_those_of_the_table() {
        let tile = |polynomial_size, kibibytes: usize| {
            let geometry =
                Geometry { lwe_dimension: 918, polynomial_size, pbs_base_log: 23, ks_base_log: 4, ks_level_count: 4 };
            tile_for(&geometry, kibibytes << 10)
        };
        let row = |kibibytes| [1024, 2048, 4096].map(|size| tile(size, kibibytes));
        assert_eq!(
            [0, 256, 512, 1024, 4096].map(row),
            [[4, 4, 4], [16, 4, 4], [16, 16, 4], [16, 16, 16], [16, 16, 16]]
        );
    }
}
