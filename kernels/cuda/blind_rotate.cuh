// Blind rotation of T ciphertexts by one block, and sample extraction.
//
//     acc = (0, table) · X^{-b}
//     for i in 0..n:
//         d    = round((acc · X^{a_i} - acc) / (q/B))      digits, two polynomials
//         acc += GGSW_i^T · d                              external product, through the transform of fourier.cuh
//
// A pair of warps holds one ciphertext. Where registers hold coefficients, warp p has polynomial p (0 the mask, 1 the
// body), lane l the coefficients j = 32 q + l. Where they hold values, lane l of warp w has node 16 w + l % 16 of
// polynomial l / 16, so that the two polynomials of one node lie in the same warp, 16 lanes apart, and meet in a
// shuffle.
//
// Accumulators are 32-bit torus words in shared memory. Rounding them adds about 2^-24 of the torus after n steps,
// against 2^-15 in all.
//
// Dynamic shared memory, in this order, for T ciphertexts:
//
// | bytes | |
// |---|---|
// | T · 16384 | accumulators, [t][polynomial][N] words |
// | T · 16896 | transposes, [t][polynomial][node][33], real and imaginary parts in turn |
// | 8192 | twiddles, [entry < 16][node < 32] |
// | 65536 + 128 | if staged: one GGSW ciphertext, its copy barrier, a counter |
//
// Source: Chillotti, Gama, Georgieva, Izabachene, "TFHE" (2020), algorithms 3 and 9.
#pragma once
#include "fourier.cuh"

constexpr u32 N = 2048;
constexpr u32 DIGIT_SHIFT = 32 - 23;  // of a 32-bit word; the base is 2^23
constexpr u32 ROW = 33;               // doubles of a row of a transpose: no two lanes meet in a bank
constexpr u32 GGSW = 4 * N / 2;       // complex values of a GGSW ciphertext

/// One bootstrap of every row.
struct Lookup {
    u32 input, table, first_output, output_count;
};
/// One value extracted from a rotated table.
struct Output {
    u32 coefficient, slot;
};

/// The arguments of all blind rotation kernels.
struct Batch {
    Global<const u32> tables;      // [table][N] words
    Global<const Lookup> lookups;  // [lookup]
    Global<const Output> outputs;
    Global<const u16> source;  // [input][row][n + 1]
    Global<u64> target;        // [slot][row][N + 1]
    u32 n, rows, jobs;         // jobs = lookups x rows
};

/// A signed integer below 2^31 as a double: the words of 2^52 + 2^31 + x, less the constant.
DEVICE double to_double(i32 x) {
    return from_words(0x43300000u, static_cast<u32>(x) ^ 0x80000000u) - 4503601774854144.0;
}

/// The 32-bit torus word nearest to `scale · x` modulo 1. Adding 1.5 · 2^52 leaves the integer in the low bits; what
/// remains after the integer part is at most 1/2 and exact.
DEVICE u32 to_torus(double x, double scale) {
    const double magic = 6755399441055744.0;
    const double integer = fused(x, scale, magic) - magic;
    return low_word(fused(fused(x, scale, -integer), 4294967296.0, magic));
}

/// Coefficient `j` of `acc · X^exponent`.
DEVICE u32 rotated(Shared<const u32> acc, u32 exponent, u32 j) {
    // X^a moves coefficient j - a to j; below 0 the sign changes, below -N it is back.
    const u32 from = j - exponent;
    const u32 word = acc[from & (N - 1)];
    return from & N ? 0u - word : word;
}

/// Coefficient `j` of the digits of `acc · X^exponent - acc`.
DEVICE i32 digit(Shared<const u32> acc, u32 exponent, u32 j) {
    // Modulo 2^32 the sum may wrap: then -B/2 stands for B/2, which is as good.
    const u32 difference = rotated(acc, exponent, j) - acc[j] + (1u << (DIGIT_SHIFT - 1));
    return static_cast<i32>(difference) >> DIGIT_SHIFT;
}

/// Digits of one polynomial, folded, with level 0 of the transform, whose twiddle is cos(pi/4) (1 + i): the sums with
/// 1 + i are integers.
DEVICE void read_digits(Shared<const u32> acc, u32 exponent, u32 lane, double (&re)[POINTS], double (&im)[POINTS]) {
    const double c = cosine(16);
    UNROLL for (int q = 0; q < POINTS / 2; ++q) {
        const u32 j = 32 * q + lane;
        const double ar = to_double(digit(acc, exponent, j)), ai = to_double(digit(acc, exponent, j + N / 2));
        const i32 br = digit(acc, exponent, j + N / 4), bi = digit(acc, exponent, j + 3 * N / 4);
        const double difference = to_double(br - bi), sum = to_double(br + bi);
        re[q] = fused(c, difference, ar);
        im[q] = fused(c, sum, ai);
        re[q + 16] = fused(-c, difference, ar);
        im[q + 16] = fused(-c, sum, ai);
    }
}

/// `acc += ` the torus words of the coefficients.
DEVICE void accumulate(Shared<u32> acc, u32 lane, const double (&re)[POINTS], const double (&im)[POINTS]) {
    repeat<0, POINTS>([&](auto q) {
        constexpr double SCALE = pending(-1, q.value);
        const u32 j = 32 * q.value + lane;
        acc[j] += to_torus(re[q.value], SCALE);
        acc[j + N / 2] += to_torus(im[q.value], SCALE);
    });
}

/// Where a thread stands.
struct Place {
    u32 lane, warp, pair;  // warp of the pair; pair of the block
    u32 node, half;        // node of level 5, polynomial, where registers hold values
    u32 column;            // 32 warp + lane
};

DEVICE Place place() {
    Place at;
    const u32 thread = thread_index();
    at.lane = thread % 32;
    at.warp = thread / 32 % 2;
    at.pair = thread / 64;
    at.node = 16 * at.warp + at.lane % 16;
    at.half = at.lane / 16;
    at.column = thread % 64;
    return at;
}

DEVICE void pair_barrier(const Place &at) { group_barrier(1 + at.pair, 64); }

/// Column l of all nodes of polynomial `warp` to node `node` of polynomial `half`, one part of the complex numbers.
DEVICE void to_nodes(Shared<double> buffer, const Place &at, double (&x)[POINTS]) {
    const u32 column = at.warp * 32 * ROW + at.lane, row = (at.half * 32 + at.node) * ROW;
    UNROLL for (int m = 0; m < POINTS; ++m) buffer[column + m * ROW] = x[m];
    pair_barrier(at);
    UNROLL for (int e = 0; e < POINTS; ++e) x[e] = buffer[row + e];
    pair_barrier(at);
}

/// The way back.
DEVICE void to_columns(Shared<double> buffer, const Place &at, double (&x)[POINTS]) {
    const u32 column = at.warp * 32 * ROW + at.lane, row = (at.half * 32 + at.node) * ROW;
    UNROLL for (int e = 0; e < POINTS; ++e) buffer[row + e] = x[e];
    pair_barrier(at);
    UNROLL for (int m = 0; m < POINTS; ++m) x[m] = buffer[column + m * ROW];
    pair_barrier(at);
}

/// The external product at every value of a node: `own · key_own + other · key_other`; `key`: [value][own, other][64].
template <class Key>
DEVICE void multiply(const Key &key, u32 column, double (&re)[POINTS], double (&im)[POINTS]) {
    UNROLL for (int r = 0; r < POINTS; ++r) {
        const double other_re = shuffle_xor(re[r], 16), other_im = shuffle_xor(im[r], 16);
        const Complex own = key[(2 * r) * 64 + column], other = key[(2 * r + 1) * 64 + column];
        const double sum_re = fused(-im[r], own.im, re[r] * own.re), sum_im = fused(re[r], own.im, im[r] * own.re);
        re[r] = fused(-other_im, other.im, fused(other_re, other.re, sum_re));
        im[r] = fused(other_re, other.im, fused(other_im, other.re, sum_im));
    }
}

/// The GGSW ciphertexts of the key, read from device memory.
struct Direct {
    Global<const Complex> key;  // [n][value < 32][own, other][64]

    DEVICE_METHOD void begin(u32) {}
    DEVICE_METHOD void multiply_by(u32 i, const Place &at, double (&re)[POINTS], double (&im)[POINTS]) {
        // Loads must not move into the transform, where they would take registers that hold its values.
        warp_barrier();
        multiply(key + static_cast<u64>(i) * GGSW, at.column, re, im);
    }
};

/// Coefficient j of the start of a rotation, `(0, table) · X^{-exponent}`, of the body.
DEVICE u32 rotated_table(Global<const u32> table, u32 exponent, u32 j) {
    const u32 from = j + exponent;
    const u32 word = table[from & (N - 1)];
    return from & N ? 0u - word : word;
}

/// Mask word i of coefficient h of an accumulator as an LWE ciphertext under the big key:
/// `[A_h, A_{h-1}, .., A_0, -A_{N-1}, .., -A_{h+1}, B_h]`, shifted to 64 bits.
DEVICE u64 extracted(Shared<const u32> mask, u32 h, u32 i) {
    const u32 word = i <= h ? mask[h - i] : 0u - mask[N + h - i];
    return static_cast<u64>(word) << 32;
}

/// One job of a batch.
struct Job {
    u32 row;
    Lookup lookup;
};

DEVICE Job job_at(const Batch &batch, u32 index) {
    return Job{index % batch.rows, batch.lookups[index / batch.rows]};
}

DEVICE Global<const u16> exponents_of(const Batch &batch, const Job &job) {
    return batch.source + (static_cast<u64>(job.lookup.input) * batch.rows + job.row) * (batch.n + 1);
}

DEVICE Global<u64> target_of(const Batch &batch, const Job &job, const Output &output) {
    return batch.target + (static_cast<u64>(output.slot) * batch.rows + job.row) * (N + 1);
}

/// All jobs of a batch, T at a time; the blocks of a grid take turns.
template <u32 T, class Key>
DEVICE void blind_rotate(Key &key, Global<const Complex> twiddles, const Batch &batch) {
    const Place at = place();
    const Shared<u32> acc = shared_array<u32>(at.pair * 16384, 2 * N);
    const Shared<u32> own = acc + at.warp * N;
    const Shared<double> buffer = shared_array<double>(T * 16384 + at.pair * 16896, 2 * 32 * ROW);
    const Shared<Complex> local = shared_array<Complex>(T * 33280, 16 * 32);
    for (u32 i = thread_index(); i < 16 * 32; i += 64 * T) local[i] = twiddles[i];

    const u32 groups = (batch.jobs + T - 1) / T;
    const u32 turns = block_index() < groups ? (groups - 1 - block_index()) / grid_size() + 1 : 0;
    key.begin(turns * batch.n);
    block_barrier();
    for (u32 group = block_index(); group < groups; group += grid_size()) {
        // Pairs past the end repeat the last job and write nothing: all must take part in the steps.
        const u32 wanted = group * T + at.pair;
        const Job job = job_at(batch, wanted < batch.jobs ? wanted : batch.jobs - 1);
        const Global<const u16> exponents = exponents_of(batch, job);
        const Global<const u32> table = batch.tables + static_cast<u64>(job.lookup.table) * N;
        for (u32 j = at.lane; j < N; j += 32) own[j] = at.warp == 0 ? 0u : rotated_table(table, exponents[batch.n], j);
        u32 exponent = exponents[0];
        warp_barrier();
        for (u32 i = 0; i < batch.n; ++i) {
            const u32 next = exponents[i + 1];
            double re[POINTS], im[POINTS];
            read_digits(own, exponent, at.lane, re, im);
            forward_constant(re, im);
            to_nodes(buffer, at, re);
            to_nodes(buffer, at, im);
            forward_local(re, im, local, at.node);
            key.multiply_by(i, at, re, im);
            inverse_local(re, im, local, at.node);
            to_columns(buffer, at, re);
            to_columns(buffer, at, im);
            inverse_constant(re, im);
            accumulate(own, at.lane, re, im);
            warp_barrier();
            exponent = next;
        }
        pair_barrier(at);
        if (wanted < batch.jobs) {
            for (u32 o = 0; o < job.lookup.output_count; ++o) {
                const Output output = batch.outputs[job.lookup.first_output + o];
                const Global<u64> out = target_of(batch, job, output);
                for (u32 i = at.column; i < N; i += 64) out[i] = extracted(acc, output.coefficient, i);
                if (at.column == 0) out[N] = static_cast<u64>(acc[N + output.coefficient]) << 32;
            }
        }
        pair_barrier(at);
    }
}

/// The parameters of all blind rotation kernels, and the batch made of them.
#define BATCH_PARAMETERS                                                                                      \
    (Global<const Complex> key, Global<const Complex> twiddles, Global<const u32> tables,                     \
     Global<const Lookup> lookups, Global<const Output> outputs, Global<const u16> source, Global<u64> target, \
     u32 n, u32 rows, u32 jobs)
#define BATCH Batch{tables, lookups, outputs, source, target, n, rows, jobs}
