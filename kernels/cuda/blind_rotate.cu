// Blind rotation for every card: T ciphertexts a block, the key read through the caches.
#include "blind_rotate.cuh"

#define BLIND_ROTATE(T)                                          \
    KERNEL(blind_rotate_##T, 64 * T, 1, 1, BATCH_PARAMETERS) {   \
        Direct direct{key};                                      \
        blind_rotate<T>(direct, twiddles, BATCH);                \
    }

BLIND_ROTATE(1)
BLIND_ROTATE(2)
BLIND_ROTATE(4)
