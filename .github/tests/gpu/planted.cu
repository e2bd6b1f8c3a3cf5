// One mistake for each tool of compute-sanitizer, and a twin without any: `planted memcheck|racecheck|synccheck|initcheck|none`.
#include <cstdio>
#include <cstdlib>
#include <cstring>

constexpr int THREADS = 128;
/// So far behind the buffer that no other allocation begins there.
constexpr int FAR = 1 << 24;

/// memcheck: writes behind the buffer.
__global__ void out_of_bounds(int *buffer, int by) { buffer[threadIdx.x + by] = threadIdx.x; }

/// racecheck: a warp reads what another wrote, without a barrier in between.
__global__ void race(int *buffer, bool barrier) {
    __shared__ int shared[THREADS];
    shared[threadIdx.x] = threadIdx.x;
    if (barrier) __syncthreads();
    buffer[threadIdx.x] = shared[THREADS - 1 - threadIdx.x];
}

/// synccheck: half of a warp waits at a barrier that the other half never reaches.
__global__ void divergent(int *buffer, int reach) {
    if (threadIdx.x < reach) __syncthreads();
    buffer[threadIdx.x] = 1;
}

/// initcheck: reads memory that nobody has written.
__global__ void uninitialised(int *buffer, const int *source) { buffer[threadIdx.x] = source[threadIdx.x]; }

static void check(cudaError_t error, const char *what) {
    if (error != cudaSuccess) {
        fprintf(stderr, "planted: %s: %s\n", what, cudaGetErrorString(error));
        // The tool has its own exit code for what it finds; this one says that the program could not even run.
        exit(3);
    }
}

int main(int count, char **words) {
    const char *bug = count == 2 ? words[1] : "";
    auto planted = [&](const char *name) { return strcmp(bug, name) == 0; };
    if (!planted("memcheck") && !planted("racecheck") && !planted("synccheck") && !planted("initcheck") && !planted("none")) {
        fprintf(stderr, "planted: memcheck, racecheck, synccheck, initcheck or none\n");
        return 64;
    }
    int *buffer = nullptr, *source = nullptr;
    const size_t bytes = THREADS * sizeof(int);
    check(cudaMalloc(&buffer, bytes), "memory");
    check(cudaMalloc(&source, bytes), "memory");
    check(cudaMemset(buffer, 0, bytes), "zeros");
    if (!planted("initcheck")) check(cudaMemset(source, 0, bytes), "zeros");

    out_of_bounds<<<1, THREADS>>>(buffer, planted("memcheck") ? FAR : 0);
    race<<<1, THREADS>>>(buffer, !planted("racecheck"));
    divergent<<<1, THREADS>>>(buffer, planted("synccheck") ? THREADS - 16 : THREADS);
    uninitialised<<<1, THREADS>>>(buffer, source);
    check(cudaGetLastError(), "launch");
    // The tool ends the program here where it found something.
    const cudaError_t end = cudaDeviceSynchronize();
    if (bug[0] == 'n') check(end, "run");
    cudaFree(source);
    cudaFree(buffer);
    puts("planted: ran");
    return 0;
}
