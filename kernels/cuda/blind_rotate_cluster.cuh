// Blind rotation of one ciphertext by a cluster of four blocks, for batches that do not fill the card.
//
// Block 2 h + p has polynomial p and half h of its values: the subtree under node h of level 1. Both halves keep the
// whole accumulator polynomial, so the first level of the transform, a + w b or a - w b, needs nothing from the other
// block; the way back needs its half of the sums. In a step the cluster meets twice:
//
//     digits, level 0, 9 levels of 512 points | values to block p^1, barrier | product, 9 levels back
//     | sums to block h^1, barrier | level 0 back, accumulate
//
// Of the 512 points a thread t of 128 (warp w, lane l) holds four. The levels of the subtree go two at a time:
//
// | levels | register k holds | of |
// |---|---|---|
// | 0, 1 | t + 128 k | the subtree |
// | 2, 3 | l + 32 k | node w of level 2 |
// | 4, 5 | l % 8 + 8 k | node l / 8 of level 4 of warp w |
// | 6, 7 | l % 2 + 2 k | node l / 2 of level 6 of warp w |
// | 8 | value 4 t + k | |
//
// Dynamic shared memory: accumulator 8192, exchange 8192, twiddles 8192, inbox of values 8192, inbox of sums 8192 bytes.
#pragma once
#include "blind_rotate.cuh"

constexpr u32 HALF_POINTS = 512, CLUSTER_THREADS = 128;

/// Two levels: registers 0, 1 with 2, 3 by `w`, then the two children by `v` and i v.
DEVICE void two_levels(double (&re)[4], double (&im)[4], const Complex &w, const Complex &v) {
    butterfly(re[0], im[0], re[2], im[2], w.re, w.im);
    butterfly(re[1], im[1], re[3], im[3], w.re, w.im);
    butterfly(re[0], im[0], re[1], im[1], v.re, v.im);
    butterfly(re[2], im[2], re[3], im[3], -v.im, v.re);
}

DEVICE void two_levels_back(double (&re)[4], double (&im)[4], const Complex &w, const Complex &v) {
    inverse_butterfly(re[0], im[0], re[1], im[1], v.re, v.im);
    inverse_butterfly(re[2], im[2], re[3], im[3], -v.im, v.re);
    inverse_butterfly(re[0], im[0], re[2], im[2], w.re, w.im);
    inverse_butterfly(re[1], im[1], re[3], im[3], w.re, w.im);
}

DEVICE void put(Shared<Complex> buffer, u32 start, u32 stride, const double (&re)[4], const double (&im)[4]) {
    UNROLL for (u32 k = 0; k < 4; ++k) buffer[start + k * stride] = Complex{re[k], im[k]};
}

DEVICE void take(Shared<const Complex> buffer, u32 start, u32 stride, double (&re)[4], double (&im)[4]) {
    UNROLL for (u32 k = 0; k < 4; ++k) {
        const Complex value = buffer[start + k * stride];
        re[k] = value.re;
        im[k] = value.im;
    }
}

/// The transform of a half: twiddles, the exchange buffer and a thread's place in both.
struct HalfTransform {
    Shared<const Complex> twiddles;  // [2^level - 1 + node] of the subtree
    Shared<Complex> buffer;          // [HALF_POINTS]
    u32 thread, lane, warp;

    DEVICE_METHOD Complex twiddle(u32 level, u32 node) const { return twiddles[(1u << level) - 1 + node]; }

    // Eight points of a node of level 6 are stored with their places exchanged by the node's last two bits, or the lanes
    // that read two points of each of four nodes would meet in two banks.
    DEVICE_METHOD u32 eights(u32 k) const { return warp * 128 + lane / 8 * 32 + k * 8 + (lane % 8 ^ 2 * k); }
    DEVICE_METHOD u32 twos(u32 k) const {
        return warp * 128 + lane / 2 * 8 + ((lane % 2 + 2 * k) ^ (2 * (lane / 2 % 4)));
    }

    DEVICE_METHOD void forward(double (&re)[4], double (&im)[4]) const {
        two_levels(re, im, twiddle(0, 0), twiddle(1, 0));
        put(buffer, thread, 128, re, im);
        block_barrier();
        take(buffer, warp * 128 + lane, 32, re, im);
        two_levels(re, im, twiddle(2, warp), twiddle(3, 2 * warp));
        warp_barrier();
        put(buffer, warp * 128 + lane, 32, re, im);
        warp_barrier();
        take(buffer, warp * 128 + lane / 8 * 32 + lane % 8, 8, re, im);
        const u32 node4 = 4 * warp + lane / 8;
        two_levels(re, im, twiddle(4, node4), twiddle(5, 2 * node4));
        warp_barrier();
        UNROLL for (u32 k = 0; k < 4; ++k) buffer[eights(k)] = Complex{re[k], im[k]};
        warp_barrier();
        UNROLL for (u32 k = 0; k < 4; ++k) {
            const Complex value = buffer[twos(k)];
            re[k] = value.re;
            im[k] = value.im;
        }
        const u32 node6 = 16 * warp + lane / 2;
        two_levels(re, im, twiddle(6, node6), twiddle(7, 2 * node6));
        exchange(re, im);
        const Complex w = twiddle(8, 2 * thread);
        butterfly(re[0], im[0], re[1], im[1], w.re, w.im);
        butterfly(re[2], im[2], re[3], im[3], -w.im, w.re);
    }

    DEVICE_METHOD void inverse(double (&re)[4], double (&im)[4]) const {
        const Complex w = twiddle(8, 2 * thread);
        inverse_butterfly(re[0], im[0], re[1], im[1], w.re, w.im);
        inverse_butterfly(re[2], im[2], re[3], im[3], -w.im, w.re);
        exchange_back(re, im);
        const u32 node6 = 16 * warp + lane / 2;
        two_levels_back(re, im, twiddle(6, node6), twiddle(7, 2 * node6));
        warp_barrier();
        UNROLL for (u32 k = 0; k < 4; ++k) buffer[twos(k)] = Complex{re[k], im[k]};
        warp_barrier();
        UNROLL for (u32 k = 0; k < 4; ++k) {
            const Complex value = buffer[eights(k)];
            re[k] = value.re;
            im[k] = value.im;
        }
        const u32 node4 = 4 * warp + lane / 8;
        two_levels_back(re, im, twiddle(4, node4), twiddle(5, 2 * node4));
        warp_barrier();
        put(buffer, warp * 128 + lane / 8 * 32 + lane % 8, 8, re, im);
        warp_barrier();
        take(buffer, warp * 128 + lane, 32, re, im);
        two_levels_back(re, im, twiddle(2, warp), twiddle(3, 2 * warp));
        warp_barrier();
        put(buffer, warp * 128 + lane, 32, re, im);
        block_barrier();
        take(buffer, thread, 128, re, im);
        two_levels_back(re, im, twiddle(0, 0), twiddle(1, 0));
    }

   private:
    /// Registers k hold point lane % 2 of four nodes of two points; afterwards both points of two nodes: an even lane
    /// has nodes 0 and 1, an odd one 2 and 3.
    DEVICE_METHOD void exchange(double (&re)[4], double (&im)[4]) const {
        const bool odd = lane % 2 == 1;
        double other_re[2], other_im[2];
        UNROLL for (int k = 0; k < 2; ++k) {
            other_re[k] = shuffle_xor(odd ? re[k] : re[2 + k], 1);
            other_im[k] = shuffle_xor(odd ? im[k] : im[2 + k], 1);
        }
        const double first_re = odd ? re[2] : re[0], first_im = odd ? im[2] : im[0];
        const double second_re = odd ? re[3] : re[1], second_im = odd ? im[3] : im[1];
        re[0] = odd ? other_re[0] : first_re, im[0] = odd ? other_im[0] : first_im;
        re[1] = odd ? first_re : other_re[0], im[1] = odd ? first_im : other_im[0];
        re[2] = odd ? other_re[1] : second_re, im[2] = odd ? other_im[1] : second_im;
        re[3] = odd ? second_re : other_re[1], im[3] = odd ? second_im : other_im[1];
    }

    DEVICE_METHOD void exchange_back(double (&re)[4], double (&im)[4]) const {
        const bool odd = lane % 2 == 1;
        double other_re[2], other_im[2];
        UNROLL for (int k = 0; k < 2; ++k) {
            other_re[k] = shuffle_xor(odd ? re[2 * k] : re[2 * k + 1], 1);
            other_im[k] = shuffle_xor(odd ? im[2 * k] : im[2 * k + 1], 1);
        }
        const double first_re = odd ? re[1] : re[0], first_im = odd ? im[1] : im[0];
        const double second_re = odd ? re[3] : re[2], second_im = odd ? im[3] : im[2];
        re[0] = odd ? other_re[0] : first_re, im[0] = odd ? other_im[0] : first_im;
        re[1] = odd ? other_re[1] : second_re, im[1] = odd ? other_im[1] : second_im;
        re[2] = odd ? first_re : other_re[0], im[2] = odd ? first_im : other_im[0];
        re[3] = odd ? second_re : other_re[1], im[3] = odd ? second_im : other_im[1];
    }
};

KERNEL(blind_rotate_cluster, 128, 1, 4, BATCH_PARAMETERS) {
    const Batch batch = BATCH;
    const u32 thread = thread_index(), rank = cluster_rank(), p = rank % 2, h = rank / 2;
    const Shared<u32> acc = shared_array<u32>(0, N);
    const Shared<Complex> buffer = shared_array<Complex>(8192, HALF_POINTS);
    const Shared<Complex> local = shared_array<Complex>(16384, HALF_POINTS);
    const Shared<Complex> values = shared_array<Complex>(24576, HALF_POINTS);
    const Shared<Complex> sums = shared_array<Complex>(32768, HALF_POINTS);
    const Shared<Complex> other_values = cluster_shared(values, rank ^ 1), other_sums = cluster_shared(sums, rank ^ 2);
    for (u32 level = 0; level < 9; ++level) {
        const u32 nodes = 1u << level;
        for (u32 node = thread; node < nodes; node += CLUSTER_THREADS) {
            local[nodes - 1 + node] = twiddles[2 * nodes - 1 + h * nodes + node];
        }
    }
    const HalfTransform transform{local, buffer, thread, thread % 32, thread / 32};
    const double c = h == 0 ? cosine(16) : -cosine(16);
    // Values 4 t + k of the half: node 16 h + t / 8 of level 5, leaves 4 (t % 8) + k.
    const Global<const Complex> keys = key + (thread % 8 * 4 * 2 * 64 + h * 32 + p * 16 + thread / 8);
    cluster_barrier();

    for (u32 index = block_index() / 4; index < batch.jobs; index += grid_size() / 4) {
        const Job job = job_at(batch, index);
        const Global<const u16> exponents = exponents_of(batch, job);
        const Global<const u32> table = batch.tables + static_cast<u64>(job.lookup.table) * N;
        for (u32 j = thread; j < N; j += CLUSTER_THREADS) {
            acc[j] = p == 0 ? 0u : rotated_table(table, exponents[batch.n], j);
        }
        u32 exponent = exponents[0];
        block_barrier();
        for (u32 i = 0; i < batch.n; ++i) {
            const u32 next = exponents[i + 1];
            Complex ggsw[4][2];
            UNROLL for (u32 k = 0; k < 4; ++k) {
                UNROLL for (u32 r = 0; r < 2; ++r) ggsw[k][r] = keys[static_cast<u64>(i) * GGSW + (2 * k + r) * 64];
            }
            double re[4], im[4];
            UNROLL for (u32 k = 0; k < 4; ++k) {
                const u32 j = thread + 128 * k;
                const i32 br = digit(acc, exponent, j + N / 4), bi = digit(acc, exponent, j + 3 * N / 4);
                re[k] = fused(c, to_double(br - bi), to_double(digit(acc, exponent, j)));
                im[k] = fused(c, to_double(br + bi), to_double(digit(acc, exponent, j + N / 2)));
            }
            transform.forward(re, im);
            put(other_values, thread, 128, re, im);
            cluster_barrier();
            UNROLL for (u32 k = 0; k < 4; ++k) {
                const Complex own = ggsw[k][0], key_other = ggsw[k][1], other = values[thread + 128 * k];
                const double sum_re = fused(-im[k], own.im, re[k] * own.re);
                const double sum_im = fused(re[k], own.im, im[k] * own.re);
                re[k] = fused(-other.im, key_other.im, fused(other.re, key_other.re, sum_re));
                im[k] = fused(other.re, key_other.im, fused(other.im, key_other.re, sum_im));
            }
            transform.inverse(re, im);
            put(other_sums, thread, 128, re, im);
            cluster_barrier();
            UNROLL for (u32 k = 0; k < 4; ++k) {
                const u32 j = thread + 128 * k;
                const Complex there = sums[j];
                // The same operations in the same order on both halves: their accumulators stay equal.
                const double dr = h == 0 ? re[k] - there.re : there.re - re[k];
                const double di = h == 0 ? im[k] - there.im : there.im - im[k];
                acc[j] += to_torus(re[k] + there.re, 1.0);
                acc[j + N / 2] += to_torus(im[k] + there.im, 1.0);
                acc[j + N / 4] += to_torus(dr + di, cosine(16));
                acc[j + 3 * N / 4] += to_torus(di - dr, cosine(16));
            }
            block_barrier();
            exponent = next;
        }
        for (u32 o = 0; o < job.lookup.output_count; ++o) {
            const Output output = batch.outputs[job.lookup.first_output + o];
            const Global<u64> out = target_of(batch, job, output);
            if (p == 0) {
                const u32 begin = h * (N / 2);
                for (u32 i = thread; i < N / 2; i += CLUSTER_THREADS) {
                    out[begin + i] = extracted(acc, output.coefficient, begin + i);
                }
            } else if (h == 0 && thread == 0) {
                out[N] = static_cast<u64>(acc[output.coefficient]) << 32;
            }
        }
        block_barrier();
    }
    // No block leaves while another may still write to it.
    cluster_barrier();
}
