// The bootstrapping key in the Fourier domain, in fixed point with 62-bit twiddles.
//
// Keys are transformed once, digits and products 3 672 times per bootstrap. Doing the key in doubles would make it the
// source of a third of all rounding noise of the transforms, so it is done almost exactly here, and rounded once.
//
// The tree: a polynomial modulo x^L - e^{i pi t}, folded to complex coefficients, splits into the residues modulo
// x^{L/2} - w and x^{L/2} + w, where w = e^{i pi t / 2}: a + w b and a - w b of its halves. The root is x^{N/2} = i, the
// leaves are values. Everything stays in place.
#include "device.cuh"

constexpr u32 N = 2048, M = N / 2, LEVELS = 10;

struct alignas(16) Wide {
    i128 re, im;
};
struct alignas(16) Fixed {
    i64 re, im;
};

/// `v w / 2^62`, rounded down, for |v| < 2^90; in two parts, as the product may need more than 128 bits.
DEVICE i128 scaled(i128 v, i64 w) {
    const i128 high = v >> 32, low = v & 0xffffffff;
    return ((high * w) >> 30) + ((low * w) >> 62);
}

DEVICE double to_double(i128 v) {
    // Both parts convert exactly or nearly; the sum is rounded once more, 2^-53 of the result.
    const double high = static_cast<double>(static_cast<i64>(v >> 64));
    return fused(high, 18446744073709551616.0, static_cast<double>(static_cast<u64>(v)));
}

/// One block per polynomial. Values are multiplied by 2^-64 / M: a product with integer digits followed by the unscaled
/// inverse transform is a fraction of the torus.
KERNEL(key_transform, 256, 1, 1,
       (Global<const u64> words,       // [input i < n][row][polynomial][N]
        Global<const Fixed> twiddles,  // [2^level - 1 + node], in units of 2^-62
        Global<Complex> out,           // [input i < n][leaf % 32][own, other][lane of 64]
        u32 count)) {
    const Shared<Wide> values = shared_array<Wide>(0, M);
    const u32 polynomial = block_index(), thread = thread_index();
    if (polynomial >= count) return;
    for (u32 j = thread; j < M; j += 256) {
        const u64 base = static_cast<u64>(polynomial) * N;
        values[j] = Wide{static_cast<i64>(words[base + j]), static_cast<i64>(words[base + M + j])};
    }
    for (u32 level = 0; level < LEVELS; ++level) {
        block_barrier();
        const u32 half = M >> (level + 1);
        for (u32 butterfly = thread; butterfly < M / 2; butterfly += 256) {
            const u32 node = butterfly / half, at = node * 2 * half + butterfly % half;
            const Fixed w = twiddles[(1u << level) - 1 + node];
            const Wide a = values[at], b = values[at + half];
            const i128 re = scaled(b.re, w.re) - scaled(b.im, w.im);
            const i128 im = scaled(b.re, w.im) + scaled(b.im, w.re);
            values[at] = Wide{a.re + re, a.im + im};
            values[at + half] = Wide{a.re - re, a.im - im};
        }
    }
    block_barrier();
    // Where blind rotation reads it: leaf 32 m + r is register r of node m. A lane of 64 holds node m of one
    // accumulator polynomial; it multiplies its own digits by row = polynomial, the other's by the other row.
    const u32 input = polynomial / 4, row = polynomial / 2 % 2, column = polynomial % 2;
    const double scale = 0x1p-74;
    for (u32 leaf = thread; leaf < M; leaf += 256) {
        const u32 node = leaf / 32, r = leaf % 32;
        const u32 lane = node / 16 * 32 + column * 16 + node % 16, other = row == column ? 0 : 1;
        const Wide value = values[leaf];
        out[((static_cast<u64>(input) * 32 + r) * 2 + other) * 64 + lane] =
            Complex{to_double(value.re) * scale, to_double(value.im) * scale};
    }
}
