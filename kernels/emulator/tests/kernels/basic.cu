// Kernels that are right.

/// The sum over a warp through shuffles, of whole blocks through shared memory.
KERNEL(test_block_sum, 256, 1, 1, (Global<const double> values, Global<double> sums, u32 threads)) {
    const Shared<double> parts = shared_array<double>(0, 8);
    double sum = values[block_index() * threads + thread_index()];
    for (u32 mask = 16; mask > 0; mask /= 2) sum += shuffle_xor(sum, mask);
    if (thread_index() % 32 == 0) parts[thread_index() / 32] = sum;
    block_barrier();
    if (thread_index() == 0) {
        double total = 0;
        for (u32 w = 0; w < threads / 32; ++w) total += parts[w];
        sums[block_index()] = total;
    }
}

KERNEL(test_atomic, 128, 1, 1, (Global<u32> counter, u32 times)) {
    for (u32 i = 0; i < times; ++i) atomic_add(counter, 0, thread_index());
}

/// Every block writes its number to the shared memory of the next one.
KERNEL(test_cluster_exchange, 64, 1, 4, (Global<u32> out)) {
    const Shared<u32> values = shared_array<u32>(0, 64);
    const u32 thread = thread_index();
    values[thread] = 0;
    cluster_barrier();
    cluster_shared(values, (cluster_rank() + 1) % 4)[thread] = 100 * block_index() + thread;
    cluster_barrier();
    out[block_index() * 64 + thread] = values[thread];
}

/// Copies `count` tiles through shared memory, two stages in turn.
KERNEL(test_copy, 64, 1, 1, (Global<const Complex> in, Global<Complex> out, u32 count)) {
    const Shared<Complex> stage = shared_array<Complex>(0, 128);
    const Shared<u64> barriers = shared_array<u64>(2048, 2);
    const u32 thread = thread_index();
    if (thread == 0) {
        copy_barrier(barriers);
        copy_barrier(barriers + 1);
        copy_start(stage, in, 64, barriers);
    }
    block_barrier();
    for (u32 i = 0; i < count; ++i) {
        const u32 s = i % 2;
        if (thread == 0 && i + 1 < count) copy_start(stage + 64 * (1 - s), in + 64 * (i + 1), 64, barriers + (1 - s));
        copy_wait(barriers + s, i / 2 % 2);
        out[64 * i + thread] = stage[64 * s + thread];
        block_barrier();
    }
}

/// `steps` rounds of 64 shuffles by every thread.
KERNEL(test_switches, 128, 1, 1, (Global<double> out, u32 steps)) {
    double value = thread_index();
    for (u32 i = 0; i < steps; ++i) {
        for (u32 k = 0; k < 64; ++k) value = shuffle_xor(value, 16);
        group_barrier(1 + thread_index() / 64, 64);
    }
    out[block_index() * 128 + thread_index()] = value;
}
