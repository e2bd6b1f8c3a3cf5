// Kernels with one mistake each, or with one that the arguments choose.

/// Reads `in[from + thread]`, writes `out[to + thread]`.
KERNEL(test_move, 64, 1, 1, (Global<const u32> in, Global<u32> out, u32 from, u32 to)) {
    out[thread_index() + static_cast<i64>(static_cast<i32>(to))] =
        in[thread_index() + static_cast<i64>(static_cast<i32>(from))];
}

/// The pointer is moved before it is used, by whole values or by words.
KERNEL(test_complex, 32, 1, 1, (Global<const u32> words, Global<double> out, u32 offset)) {
    const Global<const Complex> values = reinterpret_global<const Complex>(words + offset);
    out[thread_index()] = values[thread_index()].re;
}

KERNEL(test_optional, 32, 1, 1, (Global<const u32> unused, Global<u32> out)) { out[thread_index()] = thread_index(); }

KERNEL(test_shared, 64, 1, 1, (Global<u32> out, u32 index, u32 count)) {
    const Shared<u32> values = shared_array<u32>(0, count);
    if (thread_index() == 0) values[static_cast<i32>(index)] = 1;
    block_barrier();
    out[thread_index()] = thread_index();
}

/// The shared memory is not written before it is read.
KERNEL(test_uninitialised, 32, 1, 1, (Global<double> out)) {
    out[thread_index()] = shared_array<double>(0, 32)[thread_index()];
}

/// Mode 0: a lane returns early. 1: half of the threads skip the barrier. 2: two barriers, one for each half. 3: right.
/// 4: a warp waits at another kind of barrier. 5: lanes of one warp at the same kind of barrier in two places.
KERNEL(test_barrier, 128, 1, 1, (Global<u32> out, u32 mode)) {
    const u32 thread = thread_index();
    if (mode == 0 && thread == 77) return;
    if (mode == 2) {
        if (thread < 64) {
            block_barrier();
        } else {
            group_barrier(1, 128);
        }
    } else if (mode == 4) {
        if (thread < 32) {
            warp_barrier();
            group_barrier(3, 64);
        } else {
            block_barrier();
        }
    } else if (mode == 5) {
        if (thread % 2 == 0) {
            block_barrier();
        } else {
            block_barrier();
        }
    } else if (mode != 1 || thread >= 64) {
        block_barrier();
    }
    out[thread] = thread;
}

/// Mode 0: a lane has returned. 1: a lane does not take part. 2: some lanes wait at a barrier. 3: right. 4: the partner
/// is beyond the warp.
KERNEL(test_shuffle, 64, 1, 1, (Global<double> out, u32 mode)) {
    const u32 thread = thread_index();
    double value = thread;
    if (mode == 0 && thread == 5) return;
    if (mode == 2 && thread % 2 == 0) {
        warp_barrier();
    } else if (mode != 1 || thread != 40) {
        value = shuffle_xor(value, mode == 4 ? 32 : 1);
    }
    out[thread] = value;
}

KERNEL(test_group, 128, 1, 1, (Global<u32> out, u32 id, u32 count, u32 other_count)) {
    const u32 group = thread_index() / 64;
    group_barrier(id + group, group == 0 && thread_index() % 64 >= 32 ? other_count : count);
    out[thread_index()] = thread_index();
}

/// The barrier between writing and reading is there if `wait` is not 0.
KERNEL(test_race, 64, 1, 1, (Global<u32> out, u32 wait)) {
    const Shared<u32> values = shared_array<u32>(0, 64);
    const u32 thread = thread_index();
    values[thread] = thread;
    if (wait != 0) block_barrier();
    const u32 before = values[(thread + 63) % 64];
    out[thread] = before;
}

/// Mode 0: reads before the copy has arrived. 1: waits for a phase that never ends. 2: no barrier was set up. 3: right.
/// 4: two copies on one barrier. 5: ends without waiting. 6: misaligned. 7: not a multiple of 16 bytes. 8: past the end
/// of the source. 9: the barrier's word is overwritten. 10: waits for the phase before the first.
KERNEL(test_copy_faults, 32, 1, 1, (Global<const u32> in, Global<u32> out, u32 mode)) {
    const Shared<u32> stage = shared_array<u32>(0, 64);
    const Shared<u64> barrier = shared_array<u64>(256, 1);
    const u32 thread = thread_index();
    u32 early = 0;
    if (thread == 0) {
        if (mode != 2) copy_barrier(barrier);
        if (mode == 9) barrier[0] = 0;
        if (mode == 6) {
            copy_start(stage + 1, in, 32, barrier);
        } else if (mode == 7) {
            copy_start(stage, in, 33, barrier);
        } else if (mode == 8) {
            copy_start(stage, in + 36, 32, barrier);
        } else if (mode != 10) {
            copy_start(stage, in, 32, barrier);
        }
        if (mode == 4) copy_start(stage + 32, in, 32, barrier);
    }
    block_barrier();
    if (mode == 0) early = stage[thread];
    if (mode == 10) {
        copy_wait(barrier, 1);
        out[thread] = thread;
        return;
    }
    if (mode != 5) copy_wait(barrier, mode == 1 ? 1 : 0);
    if (mode == 1) copy_wait(barrier, 0), copy_wait(barrier, 1);
    out[thread] = mode == 0 || mode == 5 ? early : stage[thread];
}

/// Mode 0: a block ends while another one uses its memory. 1: a block does not come to the barrier. 2: no such block.
/// 3: right. 4: past the end of the other block's array.
KERNEL(test_cluster_faults, 32, 1, 4, (Global<u32> out, u32 mode)) {
    const Shared<u32> values = shared_array<u32>(0, 32);
    const u32 thread = thread_index(), rank = cluster_rank();
    values[thread] = 100 * rank + thread;
    if (mode == 1 && rank == 2) return;
    cluster_barrier();
    const u32 index = mode == 4 ? thread + 1 : thread;
    out[32 * block_index() + thread] = cluster_shared(values, mode == 2 ? rank + 1 : (rank + 1) % 4)[index];
    if (mode == 0 && rank != 0) return;
    if (mode == 0) {
        // The others have no reason to wait.
        warp_barrier();
        warp_barrier();
        out[32 * block_index() + thread] = cluster_shared(values, 1)[thread];
        return;
    }
    cluster_barrier();
}

/// Reads after the end of an array of its own. Only the address sanitizer sees it.
KERNEL(test_local_array, 32, 1, 1, (Global<u32> out, u32 length)) {
    volatile u32 values[8];
    for (u32 i = 0; i < 8; ++i) values[i] = i;
    block_barrier();
    u32 sum = 0;
    for (u32 i = 0; i < length; ++i) sum += values[i];
    out[thread_index()] = sum;
}
