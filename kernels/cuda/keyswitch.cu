// Keyswitch to the small key, and switch to the modulus 2N.
//
//     c'  = (0, .., 0, b) - sum_j sum_l digit_{j,l}(a_j) · key_{j,l}         a product of matrices modulo 2^32
//     out = round((2N / 2^32) · c'), the body corrected by the mean of the mask's rounding errors
//
// | letter | meaning |
// |---|---|
// | n, N | dimensions of the small and of the big key |
// | K | digits of a ciphertext, N · levels |
// | C | columns of the key: n mask words, the body, zeros up to a multiple of 64 |
//
// Key words and sums have 32 bits: rounding adds about 2^-25 of the torus, against 2^-11 of keyswitch noise. The sums
// are integers, so adding the slices of K in any order gives the same words.
#include "device.cuh"

constexpr u32 N = 2048;
constexpr u32 LOG_MODULUS = 12;

/// Four words; one 16-byte access.
struct alignas(16) Words {
    u32 at[4];
};
/// Four digits; one 4-byte access.
struct alignas(4) Digits {
    i8 at[4];
};
/// Sixteen digits; one 16-byte access.
struct alignas(16) Digits16 {
    i8 at[16];
};

/// Negated balanced digits of the masks, least significant level first: `digits[row][j·levels + l]`, each at most half
/// of the base. A digit of half the base stays or becomes its negative as the next higher digit is below or above half
/// the base (the top digit: as the word is positive or negative), which keeps the digits' mean at zero: the digits of
/// the `tfhe` crate.
KERNEL(keyswitch_decompose, 256, 1, 1,
       (Global<const u64> source,  // [row][N + 1]
        Global<i8> digits,         // [row][j < N][level]
        u32 count, u32 base_log, u32 levels)) {
    const u64 index = static_cast<u64>(block_index()) * 256 + thread_index();
    const u64 row = index / N, j = index % N;
    if (row >= count) return;
    const u64 word = source[row * (N + 1) + j];
    const u32 bits = base_log * levels, base = 1u << base_log;
    const u32 dropped = 64 - bits;
    // Rounded to the digits' bits, as a signed number: the sign decides the ties of the top digit, the rounding bit
    // the tie of the whole.
    const u32 half_way = static_cast<u32>(word >> (dropped - 1)) & 1;
    const u32 rounded = static_cast<u32>(((word >> (dropped - 1)) + 1) >> 1) & ((1u << bits) - 1);
    const u32 limit = 1u << (bits - 1);
    const bool negative = rounded > limit || (rounded == limit && half_way == 1);
    i32 rest = static_cast<i32>(rounded - (static_cast<u32>(negative) << bits));
    for (u32 level = 0; level < levels; ++level) {
        const u32 low = static_cast<u32>(rest) & (base - 1);
        rest >>= base_log;
        const bool above_half = low > base / 2 || (low == base / 2 && (static_cast<u32>(rest) & (base / 2)) != 0);
        rest += above_half;
        digits[index * levels + level] = static_cast<i8>((static_cast<u32>(above_half) << base_log) - low);
    }
}

constexpr u32 COLUMNS = 64;  // of a tile
constexpr u32 DEPTH = 32;    // digits of a step

/// One tile of 16 R rows and 64 columns, over one slice of K: `sums += digits · key`. A thread holds R x 8 sums.
template <int R>
DEVICE void multiply_tile(Global<const i8> digits, Global<const u32> key, Global<u32> sums, u32 count, u32 depth,
                          u32 columns, u32 slice) {
    constexpr u32 ROWS = 16 * R;
    // [digit of the step][row], widened to words; [digit of the step][column]
    const Shared<i32> tile_digits = shared_array<i32>(0, DEPTH * ROWS);
    const Shared<Words> tile_key = shared_array<Words>(DEPTH * ROWS * 4, DEPTH * COLUMNS / 4);
    const u32 thread = thread_index(), tx = thread % 8, ty = thread / 8;
    const u32 column = block_index() * COLUMNS, row = block_index_y() * ROWS;
    const u32 begin = block_index_z() * slice, end = begin + slice < depth ? begin + slice : depth;

    u32 sum[R][8];
    UNROLL for (int r = 0; r < R; ++r) {
        UNROLL for (int c = 0; c < 8; ++c) sum[r][c] = 0;
    }
    const Global<const Words> key_words = reinterpret_global<const Words>(key);
    const Global<const Digits> digits4 = reinterpret_global<const Digits>(digits);
    const Global<const Digits16> digits16 = reinterpret_global<const Digits16>(digits);
    for (u32 k0 = begin; k0 < end; k0 += DEPTH) {
        UNROLL for (u32 i = 0; i < DEPTH * COLUMNS / 4 / 128; ++i) {
            const u32 at = thread + 128 * i, k = at / (COLUMNS / 4), c = at % (COLUMNS / 4);
            tile_key[at] = key_words[(static_cast<u64>(k0 + k) * columns + column) / 4 + c];
        }
        if (R == 8) {
            // A thread per row.
            const bool inside = row + thread < count;
            UNROLL for (u32 part = 0; part < 2; ++part) {
                Digits16 loaded = {};
                if (inside) loaded = digits16[(static_cast<u64>(row + thread) * depth + k0) / 16 + part];
                UNROLL for (u32 i = 0; i < 16; ++i) tile_digits[(16 * part + i) * ROWS + thread] = loaded.at[i];
            }
        } else {
            UNROLL for (u32 i = 0; i < ROWS * DEPTH / 4 / 128; ++i) {
                const u32 at = thread + 128 * i, r = at % ROWS, part = at / ROWS;
                Digits loaded = {};
                if (row + r < count) loaded = digits4[(static_cast<u64>(row + r) * depth + k0) / 4 + part];
                UNROLL for (u32 d = 0; d < 4; ++d) tile_digits[(4 * part + d) * ROWS + r] = loaded.at[d];
            }
        }
        block_barrier();
        UNROLL for (u32 k = 0; k < DEPTH; ++k) {
            const Words low = tile_key[k * (COLUMNS / 4) + tx], high = tile_key[k * (COLUMNS / 4) + 8 + tx];
            UNROLL for (int r = 0; r < R; ++r) {
                const u32 digit = static_cast<u32>(tile_digits[k * ROWS + ty * R + r]);
                UNROLL for (int c = 0; c < 4; ++c) {
                    sum[r][c] += digit * low.at[c];
                    sum[r][4 + c] += digit * high.at[c];
                }
            }
        }
        block_barrier();
    }
    UNROLL for (int r = 0; r < R; ++r) {
        const u32 at = row + ty * R + r;
        if (at >= count) continue;
        UNROLL for (int c = 0; c < 8; ++c) {
            atomic_add(sums, static_cast<u64>(at) * columns + column + (c / 4) * 32 + tx * 4 + c % 4, sum[r][c]);
        }
    }
}

#define PRODUCT(rows)                                                                                       \
    KERNEL(keyswitch_product_##rows, 128, 1, 1,                                                             \
           (Global<const i8> digits, /* [row][K] */                                                         \
            Global<const u32> key,   /* [K][C] */                                                           \
            Global<u32> sums,        /* [row][C], added to */                                               \
            u32 count, u32 depth, u32 columns, u32 slice)) {                                                \
        multiply_tile<rows / 16>(digits, key, sums, count, depth, columns, slice);                          \
    }

PRODUCT(16)
PRODUCT(128)

/// Adds the bodies and switches to the modulus 2N, one block per row. Rounding a mask word a_i to r_i leaves the error
/// r_i - a_i; half of their sum is its mean under a binary key of which half the bits are set, and is taken from the
/// body. Half a step is taken off as well, so that a phase lies in the middle of its box.
KERNEL(modulus_switch, 256, 1, 1,
       (Global<const u32> sums,    // [row][C]
        Global<const u64> source,  // [row][N + 1], for the bodies
        Global<u16> target,        // [row][n + 1]
        u32 count, u32 n, u32 columns)) {
    constexpr u32 SHIFT = 32 - LOG_MODULUS, HALF = 1u << (SHIFT - 1);
    const Shared<i32> error = shared_array<i32>(0, 1);
    const u64 row = block_index();
    if (row >= count) return;
    if (thread_index() == 0) error[0] = 0;
    block_barrier();
    i32 own = 0;
    for (u32 i = thread_index(); i < n; i += 256) {
        const u32 word = sums[row * columns + i], switched = (word + HALF) >> SHIFT;
        target[row * (n + 1) + i] = static_cast<u16>(switched);
        // At most n · 2^19 < 2^31 in all.
        own += static_cast<i32>((switched << SHIFT) - word);
    }
    atomic_add(error, own);
    block_barrier();
    if (thread_index() == 0) {
        const u32 body = static_cast<u32>((source[row * (N + 1) + N] + (1ull << 31)) >> 32);
        const u32 corrected = sums[row * columns + n] + body + static_cast<u32>(error[0] / 2) - HALF;
        target[row * (n + 1) + n] = static_cast<u16>((corrected + HALF) >> SHIFT);
    }
}
