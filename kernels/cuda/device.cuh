// What the kernels use of the machine: everything else in this folder is plain C++17 over these names.
//
// Two definitions: this file for NVRTC, `host.h` of the emulator for the host's compiler. A kernel that keeps to these
// names runs unchanged on both. This is the only file with inline PTX.
//
// Pointers: `Global<T>` is device memory, `Shared<T>` the block's shared memory. On the device both are plain pointers;
// the emulator checks every access for bounds, lifetime and alignment.
#pragma once

using i8 = signed char;
using u8 = unsigned char;
using i32 = int;
using u16 = unsigned short;
using u32 = unsigned int;
using i64 = long long;
using u64 = unsigned long long;
using i128 = __int128;

/// A complex number; one 16-byte access.
struct alignas(16) Complex {
    double re, im;
};

/// A number known to the compiler.
template <int I> struct Constant {
    static constexpr int value = I;
};

#if !defined(__CUDACC_RTC__) && !defined(__CUDACC__)
#include "host.h"
#else

#define DEVICE static __device__ __forceinline__
#define DEVICE_METHOD __device__ __forceinline__
#define UNROLL _Pragma("unroll")

/// Defines a kernel: name, threads of a block, blocks that must fit a multiprocessor, blocks of a cluster, parameters in
/// parentheses. The body follows.
#define KERNEL(name, threads, blocks, cluster, parameters) \
    extern "C" __global__ void CLUSTER_##cluster __launch_bounds__(threads, blocks) name parameters
#define CLUSTER_1
#define CLUSTER_4 __cluster_dims__(4, 1, 1)

template <class T> using Global = T *__restrict__;
template <class T> using Shared = T *;

extern __shared__ __align__(128) unsigned char dynamic_shared_memory[];

/// `count` values of the block's dynamic shared memory, from byte `offset` on.
template <class T> DEVICE Shared<T> shared_array(u32 offset, u32 count) {
    (void)count;
    return reinterpret_cast<T *>(dynamic_shared_memory + offset);
}

/// The same memory as values of another type.
template <class T, class S> DEVICE Global<T> reinterpret_global(Global<S> pointer) {
    return reinterpret_cast<T *>(pointer);
}

DEVICE u32 thread_index() { return threadIdx.x; }
DEVICE u32 block_index() { return blockIdx.x; }
DEVICE u32 block_index_y() { return blockIdx.y; }
DEVICE u32 block_index_z() { return blockIdx.z; }
DEVICE u32 grid_size() { return gridDim.x; }

/// All threads of the block.
DEVICE void block_barrier() { __syncthreads(); }
/// The 32 threads of the warp.
DEVICE void warp_barrier() { __syncwarp(); }
/// `threads` threads, whole warps, that all name the same `id` in 1..16.
DEVICE void group_barrier(u32 id, u32 threads) { asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory"); }

/// The value of the lane whose index differs by `mask`.
DEVICE double shuffle_xor(double value, u32 mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }

DEVICE void atomic_add(Global<u32> array, u64 index, u32 value) { atomicAdd(array + index, value); }
DEVICE void atomic_add(Shared<i32> value, i32 increment) { atomicAdd(value, increment); }
/// Adds one to a word of shared memory; the value before. Reads of the calling warp that came before it are done.
DEVICE u32 count_up(Shared<u32> counter) {
    __threadfence_block();
    return atomicAdd(counter, 1u);
}

/// `a b + c`, rounded once.
DEVICE double fused(double a, double b, double c) { return __fma_rn(a, b, c); }
DEVICE u32 low_word(double x) { return static_cast<u32>(__double2loint(x)); }
DEVICE double from_words(u32 high, u32 low) {
    return __hiloint2double(static_cast<i32>(high), static_cast<i32>(low));
}

#if __CUDA_ARCH__ >= 900
DEVICE u32 shared_address(const void *pointer) { return static_cast<u32>(__cvta_generic_to_shared(pointer)); }

/// Prepares a barrier for copies; one thread, before a `block_barrier`.
DEVICE void copy_barrier(Shared<u64> barrier) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(barrier)) : "memory");
    // The copy engine sees it too.
    asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;" ::: "memory");
}
/// Starts copying `count` values by the copy engine; one thread. The next phase of `barrier` ends when they are there.
template <class T> DEVICE void copy_start(Shared<T> to, Global<const T> from, u32 count, Shared<u64> barrier) {
    const u32 bytes = count * static_cast<u32>(sizeof(T));
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
                 : "memory");
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                     shared_address(to)),
                 "l"(from), "r"(bytes), "r"(shared_address(barrier))
                 : "memory");
}
/// Waits for the end of the phase of that parity: 0, 1, 0, ...
DEVICE void copy_wait(Shared<u64> barrier, u32 parity) {
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "WAIT_%=:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@!done bra WAIT_%=;\n"
        "}\n" ::"r"(shared_address(barrier)),
        "r"(parity)
        : "memory");
}

/// Number of this block in its cluster.
DEVICE u32 cluster_rank() {
    u32 rank;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}
/// All threads of all blocks of the cluster; their writes to each other's shared memory become visible.
DEVICE void cluster_barrier() {
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}
/// The same shared memory in block `rank` of the cluster.
template <class T> DEVICE Shared<T> cluster_shared(Shared<T> pointer, u32 rank) {
    T *mapped;
    asm("mapa.u64 %0, %1, %2;" : "=l"(mapped) : "l"(pointer), "r"(rank));
    return mapped;
}
#endif

#endif

/// Calls `f(Constant<i>{})` for i in FROM..TO, unrolled: register arrays may be indexed by `i.value`.
template <int FROM, int TO, class F> DEVICE void repeat(const F &f) {
    if constexpr (FROM < TO) {
        f(Constant<FROM>{});
        repeat<FROM + 1, TO>(f);
    }
}
