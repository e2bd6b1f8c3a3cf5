//! Which kernel, on how many blocks: pure functions of the card and the size of a call.

use super::options::BlindRotation;

/// Calls of at most this part of a card's multiprocessors go to clusters of four blocks: up to there every cluster has
/// at least two multiprocessors to itself. To be tuned on a card.
const CLUSTER_PART: u32 = 2;

/// Blocks of a cluster.
const CLUSTER_BLOCKS: u32 = 4;

/// Up to so many rows, tiles of 16 rows waste less than tiles of 128. To be tuned on a card.
const FEW_ROWS: u32 = 48;

/// Blocks per multiprocessor that the keyswitch splits its sums for.
const KEYSWITCH_WAVES: u32 = 2;

/// Digits that the keyswitch takes in one step.
const KEYSWITCH_STEP: u32 = 32;

/// Columns of a tile of the keyswitch.
pub(crate) const KEYSWITCH_COLUMNS: u32 = 64;

/// A kernel of blind rotation that the card can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Which; never [`BlindRotation::Auto`].
    pub(crate) kind: BlindRotation,
    /// Blocks that fit a multiprocessor, at least one.
    pub(crate) blocks_per_multiprocessor: u32,
}

impl Candidate {
    /// Ciphertexts that are rotated at the same time.
    fn resident(&self, multiprocessors: u32) -> u32 {
        let blocks = multiprocessors * self.blocks_per_multiprocessor;
        match self.kind {
            BlindRotation::Throughput(ciphertexts) | BlindRotation::Staged(ciphertexts) => blocks * ciphertexts,
            BlindRotation::Cluster => (blocks / CLUSTER_BLOCKS).max(1),
            BlindRotation::Auto => 0,
        }
    }

    /// Blocks for `jobs` ciphertexts: as many as fit the card at once; they take turns.
    fn grid(&self, multiprocessors: u32, jobs: u32) -> u32 {
        let blocks = multiprocessors * self.blocks_per_multiprocessor;
        match self.kind {
            BlindRotation::Throughput(ciphertexts) | BlindRotation::Staged(ciphertexts) => {
                jobs.div_ceil(ciphertexts).min(blocks)
            }
            BlindRotation::Cluster => CLUSTER_BLOCKS * jobs.min(self.resident(multiprocessors)),
            BlindRotation::Auto => 0,
        }
    }
}

/// A launch of blind rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    /// The kernel; never [`BlindRotation::Auto`].
    pub(crate) kind: BlindRotation,
    /// Blocks.
    pub(crate) grid: u32,
}

/// The kernels of the family that full batches use: staged ones if there are any.
fn family(candidates: &[Candidate]) -> impl Iterator<Item = &Candidate> {
    let staged = candidates.iter().any(|candidate| matches!(candidate.kind, BlindRotation::Staged(_)));
    candidates.iter().filter(move |candidate| match candidate.kind {
        BlindRotation::Throughput(_) => !staged,
        BlindRotation::Staged(_) => true,
        BlindRotation::Cluster | BlindRotation::Auto => false,
    })
}

/// Ciphertexts of a full wave: what is rotated at the same time at best.
pub(crate) fn parallelism(multiprocessors: u32, candidates: &[Candidate]) -> u32 {
    family(candidates).map(|candidate| candidate.resident(multiprocessors)).max().unwrap_or(1)
}

/// The launch for `jobs` ciphertexts, at least one; `None` if the card cannot run the kernel that was asked for.
///
/// Few ciphertexts go to clusters. Others go to the kernel with the fewest ciphertexts to a block with which all fit the
/// card at once: that spreads a small batch over all multiprocessors. If they do not fit, to the kernel that has the most
/// on the card at once, and of equals to the one with more ciphertexts to a block, which reads the key less often.
pub(crate) fn plan_launch(
    multiprocessors: u32,
    candidates: &[Candidate],
    wanted: BlindRotation,
    jobs: u32,
) -> Option<Launch> {
    let launch = |candidate: &Candidate| Launch { kind: candidate.kind, grid: candidate.grid(multiprocessors, jobs) };
    let find = |kind| candidates.iter().find(|candidate| candidate.kind == kind);
    if wanted != BlindRotation::Auto {
        return find(wanted).map(launch);
    }
    if let Some(cluster) = find(BlindRotation::Cluster).filter(|_| jobs <= multiprocessors / CLUSTER_PART) {
        return Some(launch(cluster));
    }
    // Candidates are in order of ciphertexts to a block; the last of equals is the maximum.
    let fits = |candidate: &&Candidate| jobs <= candidate.resident(multiprocessors);
    let most = || family(candidates).max_by_key(|candidate| candidate.resident(multiprocessors));
    family(candidates).find(fits).or_else(most).map(launch)
}

/// A launch of the keyswitch's product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    /// Rows of a tile: 16 or 128.
    pub(crate) tile: u32,
    /// Blocks: tiles of columns, tiles of rows, slices.
    pub(crate) grid: (u32, u32, u32),
    /// Digits that one block sums over, a multiple of 32 that divides the depth.
    pub(crate) slice: u32,
}

/// The launch for `rows` rows of `depth` digits and a key of `columns` columns.
///
/// Few rows leave few tiles: the sums are split until there are two blocks for every multiprocessor.
pub(crate) fn plan_product(multiprocessors: u32, rows: u32, depth: u32, columns: u32) -> Product {
    let tile = if rows <= FEW_ROWS { 16 } else { 128 };
    let (across, down) = (columns.div_ceil(KEYSWITCH_COLUMNS), rows.div_ceil(tile));
    let (tiles, wanted, steps) = (across * down, KEYSWITCH_WAVES * multiprocessors, depth / KEYSWITCH_STEP);
    let divides = |&slices: &u32| steps.is_multiple_of(slices);
    let slices = (1..=steps).filter(divides).find(|slices| tiles * slices >= wanted).unwrap_or(steps);
    Product { tile, grid: (across, down, slices), slice: depth / slices }
}

#[cfg(test)]
mod tests {
    use super::*;

    const H100: u32 = 132;

    /// What an H100 can run, with the occupancy that its registers and shared memory allow.
    fn h100() -> Vec<Candidate> {
        let at = |kind, blocks_per_multiprocessor| Candidate { kind, blocks_per_multiprocessor };
        vec![
            at(BlindRotation::Throughput(1), 4),
            at(BlindRotation::Throughput(2), 2),
            at(BlindRotation::Throughput(4), 1),
            at(BlindRotation::Staged(1), 2),
            at(BlindRotation::Staged(2), 1),
            at(BlindRotation::Staged(4), 1),
            at(BlindRotation::Cluster, 5),
        ]
    }

    fn auto(candidates: &[Candidate], jobs: u32) -> (BlindRotation, u32) {
        let launch = plan_launch(H100, candidates, BlindRotation::Auto, jobs).unwrap();
        (launch.kind, launch.grid)
    }

    #[test]
    fn small_batches_spread_over_the_card_and_large_ones_share_the_key() {
        let card = h100();
        assert_eq!(auto(&card, 1), (BlindRotation::Cluster, 4));
        assert_eq!(auto(&card, 66), (BlindRotation::Cluster, 264));
        assert_eq!(auto(&card, 67), (BlindRotation::Staged(1), 67));
        assert_eq!(auto(&card, 264), (BlindRotation::Staged(1), 264));
        assert_eq!(auto(&card, 265), (BlindRotation::Staged(4), 67));
        assert_eq!(auto(&card, 528), (BlindRotation::Staged(4), 132));
        assert_eq!(auto(&card, 100_000), (BlindRotation::Staged(4), 132));
        assert_eq!(parallelism(H100, &card), 528);
    }

    #[test]
    fn cards_without_staged_kernels_use_the_others() {
        let card: Vec<_> = h100().into_iter().take(3).collect();
        assert_eq!(auto(&card, 1), (BlindRotation::Throughput(1), 1));
        assert_eq!(auto(&card, 528), (BlindRotation::Throughput(1), 528));
        assert_eq!(auto(&card, 529), (BlindRotation::Throughput(4), 132));
        assert_eq!(parallelism(H100, &card), 528);
        // Little shared memory.
        assert_eq!(auto(&card[..1], 5000), (BlindRotation::Throughput(1), 528));
    }

    #[test]
    fn a_kernel_can_be_asked_for_if_it_is_there() {
        let card = h100();
        let wanted = |kind, jobs| plan_launch(H100, &card, kind, jobs).map(|launch| (launch.kind, launch.grid));
        assert_eq!(wanted(BlindRotation::Cluster, 1000), Some((BlindRotation::Cluster, 660)));
        assert_eq!(wanted(BlindRotation::Throughput(2), 3), Some((BlindRotation::Throughput(2), 2)));
        assert_eq!(wanted(BlindRotation::Throughput(3), 3), None);
        assert_eq!(plan_launch(H100, &card[..3], BlindRotation::Staged(4), 3), None);
        assert_eq!(plan_launch(H100, &[], BlindRotation::Auto, 3), None);
    }

    #[test]
    fn products_are_split_until_the_card_is_full() {
        for (depth, columns) in [(8192, 960), (10_240, 896)] {
            for rows in [1, 16, 17, 48, 49, 128, 320, 2048] {
                let product = plan_product(H100, rows, depth, columns);
                let (across, down, slices) = product.grid;
                assert!(across * 64 >= columns && down * product.tile >= rows, "{product:?}");
                assert!(product.slice.is_multiple_of(32) && product.slice * slices == depth, "{product:?}");
                assert!(across * down * slices >= 2 * H100 || product.slice == 32, "{product:?}");
            }
        }
        let few = plan_product(H100, 1, 8192, 960);
        assert_eq!((few.tile, few.grid, few.slice), (16, (15, 1, 32), 256));
        let many = plan_product(H100, 2048, 8192, 960);
        assert_eq!((many.tile, many.grid, many.slice), (128, (15, 16, 2), 4096));
    }
}
