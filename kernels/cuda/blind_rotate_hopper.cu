// architectures: 90
// Blind rotation on compute 9.0: the copy engine brings each GGSW ciphertext to shared memory once for T ciphertexts.
#include "blind_rotate_cluster.cuh"

/// One GGSW ciphertext in shared memory. The copy of the next one starts as soon as the last warp has read this one, and
/// has the rest of the step to arrive.
template <u32 T> struct Staged {
    Global<const Complex> key;  // [n][value < 32][own, other][64]
    u32 n;
    u32 step, steps;

    DEVICE_METHOD Shared<Complex> stage() { return shared_array<Complex>(T * 33280 + 8192, GGSW); }
    DEVICE_METHOD Shared<u64> barrier() { return shared_array<u64>(T * 33280 + 8192 + 65536, 1); }
    DEVICE_METHOD Shared<u32> counter() { return shared_array<u32>(T * 33280 + 8192 + 65536 + 8, 1); }

    DEVICE_METHOD void copy(u32 i) { copy_start<Complex>(stage(), key + static_cast<u64>(i) * GGSW, GGSW, barrier()); }

    /// Before a `block_barrier`: starts the first of `all` steps.
    DEVICE_METHOD void begin(u32 all) {
        step = 0;
        steps = all;
        if (thread_index() == 0) {
            counter()[0] = 0;
            copy_barrier(barrier());
            if (steps > 0) copy(0);
        }
    }

    DEVICE_METHOD void multiply_by(u32 i, const Place &at, double (&re)[POINTS], double (&im)[POINTS]) {
        copy_wait(barrier(), step % 2);
        multiply(stage(), at.column, re, im);
        ++step;
        warp_barrier();
        if (at.lane == 0 && (count_up(counter()) + 1) % (2 * T) == 0 && step < steps) copy(i + 1 == n ? 0 : i + 1);
    }
};

#define BLIND_ROTATE_STAGED(T)                                        \
    KERNEL(blind_rotate_staged_##T, 64 * T, 1, 1, BATCH_PARAMETERS) { \
        Staged<T> staged{key, n, 0, 0};                               \
        blind_rotate<T>(staged, twiddles, BATCH);                     \
    }

BLIND_ROTATE_STAGED(1)
BLIND_ROTATE_STAGED(2)
BLIND_ROTATE_STAGED(4)
