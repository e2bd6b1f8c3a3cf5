// The twin of `device.cuh` for the host's compiler: what a kernel uses of the machine, with checks.
//
// One coroutine per CUDA thread; `emulator::current` is the one that runs. Where threads meet, a thread counts itself in
// at a `Gate` and switches to the next thread that can run; the scheduler (`src/scheduler.rs`) starts that and is asked
// when there is none. What is shared with Rust is mirrored in `src/abi.rs`; a test compares the layouts.
//
// To add a primitive: write it here over `emulator::meet` if threads wait in it, over `emulator::fault` if it can be
// misused.
#pragma once

#define DEVICE static inline __attribute__((always_inline))
#define DEVICE_METHOD inline
#define UNROLL

// Threads switch to each other by a dozen instructions. Elsewhere, and under the sanitizer, which wants to be told,
// the crate `corosensei` switches between them and the scheduler.
#if !defined(EMULATOR_RACES)
#define EMULATOR_RACES 0
#endif
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define EMULATOR_DIRECT 1
#else
#define EMULATOR_DIRECT 0
#endif

namespace emulator {

enum Wait : u32 {
    WAIT_NONE,
    WAIT_WARP,
    WAIT_SHUFFLE,
    WAIT_BLOCK,
    WAIT_GROUP,
    WAIT_CLUSTER,
    WAIT_COPY,
};

enum FaultKind : u32 {
    FAULT_GLOBAL_ACCESS = 1,
    FAULT_SHARED_ACCESS,
    FAULT_SHARED_ARRAY,
    FAULT_DIVERGENT,
    FAULT_SHUFFLE_LANE,
    FAULT_GROUP_ID,
    FAULT_GROUP_THREADS,
    FAULT_GROUP_COUNT,
    FAULT_GROUP_WARPS,
    FAULT_COPY_BARRIER,
    FAULT_COPY_BARRIERS,
    FAULT_COPY_BUSY,
    FAULT_COPY_ALIGNMENT,
    FAULT_COPY_RANGE,
    FAULT_COPY_PARITY,
    FAULT_CLUSTER_RANK,
    FAULT_CAPABILITY,
};

/// A line of a kernel; of the helper that calls the primitive, if there is one.
struct Site {
    const char *file;
    u32 line;
};

/// A place where threads meet. It opens by counting the generation up.
struct Gate {
    u32 generation, arrived;
};

/// What all lanes of a warp must agree on when they come to a gate.
struct Agreement {
    u32 arrived, wait, detail, line;
    const char *file;
};

struct Warp {
    Gate gate;
    Agreement agreement;
    u32 lanes, number;
    /// Two sets, used in turn: a fast lane may be one exchange ahead.
    double slots[2][32];
};

/// A named barrier of a block.
struct Group {
    Gate gate;
    u32 threads;
    /// The warps that have arrived, and those that were there the last time.
    u32 warps, last_warps;
};

/// A barrier for bulk copies.
struct Copy {
    u32 offset;
    /// Phases that have ended.
    u32 phase;
    /// The copy on its way, if `bytes` is not zero.
    u32 bytes;
    unsigned char *to;
    const unsigned char *from;
};

constexpr u32 GROUPS = 16, COPIES = 16, CLUSTER = 16;
/// In the word of a copy barrier, with its number: whether it was set up, and whether it was overwritten.
constexpr u64 COPY_MARK = 0x6d626172'00000000;

struct Block;
struct Cluster {
    Gate gate;
    u32 blocks, threads;
    /// Stack pointer of the scheduler.
    void *scheduler;
    Block *block[CLUSTER];
};

struct Block {
    u32 index[3], grid[3];
    u32 threads, live;
    u32 rank, compute;
    unsigned char *shared;
    u32 shared_bytes, copies;
    Cluster *cluster;
    /// The scheduler's.
    void *run;
    Gate gate;
    Group groups[GROUPS];
    Copy copy[COPIES];
};

struct alignas(64) Thread {
    /// The thread can run when the word there is not `seen`.
    const u32 *gate;
    u32 seen, index;
    /// The next one in turn; null if the scheduler chooses.
    Thread *next;
    /// Its stack pointer; with `corosensei`, its yielder.
    void *stack;
    Warp *warp;
    Block *block;
    u32 lane, linear;
    /// Where it waits, for messages.
    u32 wait, detail, line;
    const char *file;
};

struct Fault {
    u32 kind, width;
    u64 address, base, bytes;
    u64 detail[3];
    Site site;
};

/// An argument of a launch: a pointer, looked up among the allocations of the device, or the bytes at `at`.
struct Argument {
    u64 at, base, bytes;
};

struct Parameter {
    u32 size, pointer;
};

struct Kernel {
    const char *name;
    u32 threads, cluster, parameter_count;
    const Parameter *parameters;
    void (*call)(const Argument *);
    const Kernel *next;
};

extern "C" {
/// Switches to the scheduler.
void fhe_emulator_suspend(Thread *thread);
[[noreturn]] void fhe_emulator_fault(Thread *thread, const Fault *fault);
/// Returns where the access is allowed after all: to the shared memory of another block of the cluster.
void fhe_emulator_shared_access(Thread *thread, const Fault *fault);
}

/// The thread that runs on this thread of the host. `initial-exec`: one instruction, in a library that is loaded late too.
extern __thread Thread *current __attribute__((tls_model("initial-exec")));

[[noreturn]] __attribute__((noinline, cold)) inline void fault(u32 kind, Site site, u64 a = 0, u64 b = 0, u64 c = 0) {
    const Fault record = {kind, 0, 0, 0, 0, {a, b, c}, site};
    fhe_emulator_fault(current, &record);
}

[[noreturn]] __attribute__((noinline, cold)) inline void global_fault(u64 address, u64 base, u64 bytes, u32 width,
                                                                       u32 alignment) {
    const Fault record = {FAULT_GLOBAL_ACCESS, width, address, base, bytes, {alignment, 0, 0}, {nullptr, 0}};
    fhe_emulator_fault(current, &record);
}

__attribute__((noinline, cold)) inline void shared_access(u64 address, u64 base, u64 bytes, u32 width, u32 alignment) {
    const Fault record = {FAULT_SHARED_ACCESS, width, address, base, bytes, {alignment, 0, 0}, {nullptr, 0}};
    fhe_emulator_shared_access(current, &record);
}

#if EMULATOR_RACES
enum Access : u32 { READ, WRITE, ATOMIC, COUNT };
extern "C" {
void fhe_emulator_race_access(Thread *thread, u64 address, u32 width, u32 access);
void fhe_emulator_race_arrive(Thread *thread, const Gate *gate);
void fhe_emulator_race_leave(Thread *thread, const Gate *gate, u32 generation);
void fhe_emulator_race_copy(Thread *thread, u32 copy, u64 to, u32 bytes);
void fhe_emulator_race_waited(Thread *thread, u32 copy);
}
#define EMULATOR_RACE(call) call
#else
#define EMULATOR_RACE(call)
#endif

/// In a `base`: the access needs a closer look. No address of the host has this bit. Alone, in a pointer to shared
/// memory: there is no value of this type.
constexpr u64 CLOSER = 1ull << 63;

template <class T> constexpr bool is_const = false;
template <class T> constexpr bool is_const<const T> = true;
template <class T> struct Bare { using Type = T; };
template <class T> struct Bare<const T> { using Type = T; };

/// A checked pointer into device memory.
template <class T> struct Global {
    u64 at, base, bytes;

    Global() = default;
    Global(u64 at, u64 base, u64 bytes) : at(at), base(base), bytes(bytes) {
        if (at % alignof(T) != 0 || bytes < sizeof(T)) this->base |= CLOSER;
        if (bytes < sizeof(T)) this->bytes = sizeof(T);  // the check of an access subtracts that
    }
    operator Global<const T>() const {
        Global<const T> result;
        result.at = at;
        result.base = base;
        result.bytes = bytes;
        return result;
    }
    T &operator*() const {
        if (__builtin_expect(at - base > bytes - sizeof(T), 0)) {
            global_fault(at, base, bytes, sizeof(T), alignof(T));
        }
        return *reinterpret_cast<T *>(at);
    }
    T *operator->() const { return &**this; }
    template <class I> T &operator[](I index) const { return *(*this + index); }
    template <class I> Global operator+(I index) const {
        Global result = *this;
        result.at += static_cast<u64>(static_cast<i64>(index)) * sizeof(T);
        return result;
    }
    template <class I> Global operator-(I index) const { return *this + -static_cast<i64>(index); }
    template <class I> Global &operator+=(I index) { return *this = *this + index; }
    Global &operator++() { return *this = *this + 1; }
};

#if EMULATOR_RACES
/// A value in shared memory that tells of every access. Members cannot be reached through it: copy the value first.
template <class T> struct Reference {
    using Type = typename Bare<T>::Type;
    T &value;

    void touch(Access access) const {
        fhe_emulator_race_access(current, reinterpret_cast<u64>(&value), sizeof(T), access);
    }
    operator Type() const {
        touch(READ);
        return value;
    }
    const Reference &operator=(const Type &other) const {
        touch(WRITE);
        value = other;
        return *this;
    }
    const Reference &operator=(const Reference &other) const { return *this = static_cast<Type>(other); }
    template <class V> const Reference &operator+=(V other) const { return *this = static_cast<Type>(*this) + other; }
    template <class V> const Reference &operator-=(V other) const { return *this = static_cast<Type>(*this) - other; }
    template <class V> const Reference &operator^=(V other) const { return *this = static_cast<Type>(*this) ^ other; }
    template <class V> const Reference &operator|=(V other) const { return *this = static_cast<Type>(*this) | other; }
    template <class V> const Reference &operator&=(V other) const { return *this = static_cast<Type>(*this) & other; }
};
template <class T> using SharedValue = Reference<T>;
#else
template <class T> using SharedValue = T &;
#endif

/// A checked pointer into shared memory, of this block or another one of its cluster.
template <class T> struct Shared {
    u64 at, base;
    u32 bytes;

    operator Shared<const T>() const { return {at, base, bytes}; }
    /// Checked for everything but races.
    T &value() const {
        if (__builtin_expect(at - base > static_cast<u64>(bytes) - sizeof(T), 0)) {
            shared_access(at, base, bytes, sizeof(T), alignof(T));
        }
        return *reinterpret_cast<T *>(at);
    }
    SharedValue<T> operator*() const { return {value()}; }
    template <class I> SharedValue<T> operator[](I index) const { return {(*this + index).value()}; }
    template <class I> Shared operator+(I index) const {
        Shared result = *this;
        result.at += static_cast<u64>(static_cast<i64>(index)) * sizeof(T);
        return result;
    }
    template <class I> Shared operator-(I index) const { return *this + -static_cast<i64>(index); }
    template <class I> Shared &operator+=(I index) { return *this = *this + index; }
    Shared &operator++() { return *this = *this + 1; }
};

/// Lanes of a warp come to a gate together, at the same line of the kernel.
inline void agree(Thread &self, u32 wait, u32 detail, Site site) {
    Agreement &warp = self.warp->agreement;
    if (warp.arrived == 0) {
        warp.wait = wait;
        warp.detail = detail;
        warp.line = site.line;
        warp.file = site.file;
    } else if (__builtin_expect(
                   warp.wait != wait || warp.detail != detail || warp.line != site.line || warp.file != site.file, 0)) {
        fault(FAULT_DIVERGENT, site, wait, detail);
    }
    if (++warp.arrived == self.warp->lanes) warp.arrived = 0;
}

#if EMULATOR_DIRECT
/// Stores the stack pointer and goes on where another one was stored.
inline void switch_stacks(void **from, void *to) {
    asm volatile(
        "push %%rbp\n\t"
        "lea 1f(%%rip), %%rax\n\t"
        "push %%rax\n\t"
        "mov %%rsp, (%[from])\n\t"
        "mov %[to], %%rsp\n\t"
        "pop %%rax\n\t"
        "jmp *%%rax\n"
        "1:\n\t"
        "pop %%rbp\n\t"
        : [from] "+D"(from), [to] "+S"(to)
        :
        : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc", "xmm0",
          "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
          "xmm14", "xmm15");
}

/// Switches to the next thread that can run, or to the scheduler.
inline void go_on(Thread &self) {
    Thread *next = self.next;
    if (__builtin_expect(next != nullptr, 1)) {
        while (*next->gate == next->seen && next != &self) next = next->next;
        if (__builtin_expect(next != &self, 1)) {
            current = next;
            __builtin_prefetch(next->next->stack);
            switch_stacks(&self.stack, next->stack);
            return;
        }
    }
    fhe_emulator_suspend(&self);
}
#else
inline void go_on(Thread &self) { fhe_emulator_suspend(&self); }
#endif

/// Lets other threads run until the word changes.
inline void wait_for(Thread &self, const u32 *word, u32 wait, u32 detail, Site site) {
    self.gate = word;
    self.seen = *word;
    self.wait = wait;
    self.detail = detail;
    self.line = site.line;
    self.file = site.file;
    go_on(self);
}

/// Returns when `expected` threads have come to the gate.
inline void meet(Thread &self, Gate &gate, u32 expected, u32 wait, u32 detail, Site site) {
    agree(self, wait, detail, site);
#if EMULATOR_RACES
    const u32 generation = gate.generation;
    if (wait != WAIT_SHUFFLE) {
        self.line = site.line;
        self.file = site.file;
        fhe_emulator_race_arrive(&self, &gate);
    }
#endif
    if (++gate.arrived == expected) {
        gate.arrived = 0;
        ++gate.generation;
    } else {
        wait_for(self, &gate.generation, wait, detail, site);
    }
#if EMULATOR_RACES
    if (wait != WAIT_SHUFFLE) fhe_emulator_race_leave(&self, &gate, generation);
#endif
}

/// The word of `type` in a launch's arguments.
template <class T> struct Bound {
    static constexpr Parameter parameter = {sizeof(T), 0};
    static T bind(const Argument &argument) {
        T value;
        __builtin_memcpy(&value, reinterpret_cast<const void *>(argument.at), sizeof(T));
        return value;
    }
};
template <class T> struct Bound<Global<T>> {
    static constexpr Parameter parameter = {8, 1};
    static Global<T> bind(const Argument &argument) { return {argument.at, argument.base, argument.bytes}; }
};

template <int... I> struct Indices {};
template <int N, int... I> struct Count : Count<N - 1, N - 1, I...> {};
template <int... I> struct Count<0, I...> { using Type = Indices<I...>; };

/// The kernels of this source file, the last one first.
static const Kernel *kernels = nullptr;

/// Enters a kernel into the list.
template <auto F> struct Entry;
template <class... P, void (*F)(P...)> struct Entry<F> {
    static constexpr Parameter parameters[sizeof...(P) + 1] = {Bound<P>::parameter..., {0, 0}};

    template <int... I> static void call_with(const Argument *arguments, Indices<I...>) {
        F(Bound<P>::bind(arguments[I])...);
    }
    static void call(const Argument *arguments) {
        (void)arguments;
        call_with(arguments, typename Count<sizeof...(P)>::Type{});
    }

    Kernel kernel;
    Entry(const char *name, u32 threads, u32 cluster)
        : kernel{name, threads, cluster, sizeof...(P), parameters, call, kernels} {
        kernels = &kernel;
    }
};

}  // namespace emulator

#define KERNEL(name, threads, blocks, cluster, parameters)                              \
    static void name parameters;                                                        \
    static emulator::Entry<&name> emulator_entry_##name(#name, threads, cluster);       \
    static_assert((threads) > 0 && (blocks) > 0, "threads and blocks of a kernel");     \
    static void name parameters

#define EMULATOR_SITE const char *file = __builtin_FILE(), u32 line = __builtin_LINE()

using emulator::Global;
using emulator::Shared;

/// `count` values of the block's dynamic shared memory, from byte `offset` on.
template <class T> DEVICE Shared<T> shared_array(u32 offset, u32 count, EMULATOR_SITE) {
    emulator::Block &block = *emulator::current->block;
    const u64 bytes = static_cast<u64>(count) * sizeof(T);
    if (offset + bytes > block.shared_bytes || offset % alignof(T) != 0) {
        const emulator::Fault record = {
            emulator::FAULT_SHARED_ARRAY, sizeof(T), offset, 0, bytes, {alignof(T), count, block.shared_bytes}, {file, line}};
        fhe_emulator_fault(emulator::current, &record);
    }
    const u64 base = reinterpret_cast<u64>(block.shared) + offset;
    if (count == 0) return {base, emulator::CLOSER, sizeof(T)};
    return {base, base, static_cast<u32>(bytes)};
}

/// The same memory as values of another type.
template <class T, class S> DEVICE Global<T> reinterpret_global(Global<S> pointer) {
    return Global<T>(pointer.at, pointer.base, pointer.bytes);
}
template <class T, class S> DEVICE Shared<T> reinterpret_shared(Shared<S> pointer) {
    if (pointer.at % alignof(T) != 0 || pointer.bytes < sizeof(T)) return {pointer.at, emulator::CLOSER, sizeof(T)};
    return {pointer.at, pointer.base, pointer.bytes};
}

DEVICE u32 thread_index() { return emulator::current->index; }
DEVICE u32 block_index() { return emulator::current->block->index[0]; }
DEVICE u32 block_index_y() { return emulator::current->block->index[1]; }
DEVICE u32 block_index_z() { return emulator::current->block->index[2]; }
DEVICE u32 grid_size() { return emulator::current->block->grid[0]; }

DEVICE void block_barrier(EMULATOR_SITE) {
    emulator::Thread &self = *emulator::current;
    emulator::meet(self, self.block->gate, self.block->threads, emulator::WAIT_BLOCK, 0, {file, line});
}
DEVICE void warp_barrier(EMULATOR_SITE) {
    emulator::Thread &self = *emulator::current;
    emulator::meet(self, self.warp->gate, self.warp->lanes, emulator::WAIT_WARP, 0, {file, line});
}
DEVICE void group_barrier(u32 id, u32 threads, EMULATOR_SITE) {
    using namespace emulator;
    Thread &self = *current;
    const Site site = {file, line};
    if (id == 0 || id >= GROUPS) fault(FAULT_GROUP_ID, site, id);
    if (threads == 0 || threads % 32 != 0 || threads > self.block->threads) {
        fault(FAULT_GROUP_THREADS, site, id, threads, self.block->threads);
    }
    Group &group = self.block->groups[id];
    if (group.gate.arrived == 0) {
        group.threads = threads;
        group.warps = 0;
    } else if (group.threads != threads) {
        fault(FAULT_GROUP_COUNT, site, id, threads, group.threads);
    }
    group.warps |= 1u << self.warp->number;
    if (group.gate.arrived + 1 == threads) {
        // A count that is too small lets every part of the group through by itself: another set of warps each time.
        if (group.last_warps != 0 && group.last_warps != group.warps) {
            fault(FAULT_GROUP_WARPS, site, id, group.warps, group.last_warps);
        }
        group.last_warps = group.warps;
    }
    meet(self, group.gate, threads, WAIT_GROUP, id, site);
}

DEVICE double shuffle_xor(double value, u32 mask, EMULATOR_SITE) {
    using namespace emulator;
    Thread &self = *current;
    Warp &warp = *self.warp;
    const u32 partner = self.lane ^ mask;
    if (__builtin_expect(partner >= warp.lanes, 0)) fault(FAULT_SHUFFLE_LANE, {file, line}, partner, warp.lanes);
    double *slots = warp.slots[warp.gate.generation & 1];
    slots[self.lane] = value;
    meet(self, warp.gate, warp.lanes, WAIT_SHUFFLE, 0, {file, line});
    return slots[partner];
}

DEVICE void atomic_add(Global<u32> array, u64 index, u32 value) {
    __atomic_fetch_add(&array[index], value, __ATOMIC_RELAXED);
}
// Blocks of a cluster run on one thread of the host.
DEVICE void atomic_add(Shared<i32> pointer, i32 increment) {
    i32 &value = pointer.value();
    EMULATOR_RACE(emulator::fhe_emulator_race_access(emulator::current, pointer.at, 4, emulator::ATOMIC));
    value = static_cast<i32>(static_cast<u32>(value) + static_cast<u32>(increment));
}
DEVICE u32 count_up(Shared<u32> counter) {
    u32 &value = counter.value();
    EMULATOR_RACE(emulator::fhe_emulator_race_access(emulator::current, counter.at, 4, emulator::COUNT));
    return value++;
}

DEVICE double fused(double a, double b, double c) { return __builtin_fma(a, b, c); }
DEVICE u32 low_word(double x) {
    u64 bits;
    __builtin_memcpy(&bits, &x, 8);
    return static_cast<u32>(bits);
}
DEVICE double from_words(u32 high, u32 low) {
    const u64 bits = static_cast<u64>(high) << 32 | low;
    double x;
    __builtin_memcpy(&x, &bits, 8);
    return x;
}

namespace emulator {

inline void need_compute(u32 compute, Site site) {
    if (__builtin_expect(current->block->compute < compute, 0)) fault(FAULT_CAPABILITY, site, compute, current->block->compute);
}

/// The state of a copy barrier, found through its word.
inline Copy &copy_state(Shared<u64> barrier, Site site) {
    Block &block = *current->block;
    const u64 word = barrier.value(), number = word - COPY_MARK;
    const u64 offset = barrier.at - reinterpret_cast<u64>(block.shared);
    if (number >= block.copies || block.copy[number].offset != offset) fault(FAULT_COPY_BARRIER, site, offset, word);
    return block.copy[number];
}

}  // namespace emulator

DEVICE void copy_barrier(Shared<u64> barrier, EMULATOR_SITE) {
    using namespace emulator;
    need_compute(90, {file, line});
    Block &block = *current->block;
    u64 &word = barrier.value();
    const u32 offset = static_cast<u32>(barrier.at - reinterpret_cast<u64>(block.shared));
    u32 number = 0;
    while (number < block.copies && block.copy[number].offset != offset) ++number;
    if (number == COPIES) fault(FAULT_COPY_BARRIERS, {file, line}, COPIES);
    if (number == block.copies) ++block.copies;
    if (block.copy[number].bytes != 0) fault(FAULT_COPY_BUSY, {file, line}, offset);
    block.copy[number] = {offset, 0, 0, nullptr, nullptr};
    word = COPY_MARK + number;
}

/// The copy arrives when no thread can go on without it: who does not wait reads the poison.
template <class T>
DEVICE void copy_start(Shared<T> to, Global<const T> from, u32 count, Shared<u64> barrier, EMULATOR_SITE) {
    using namespace emulator;
    const Site site = {file, line};
    need_compute(90, site);
    Copy &copy = copy_state(barrier, site);
    const u64 bytes = static_cast<u64>(count) * sizeof(T);
    if (copy.bytes != 0) fault(FAULT_COPY_BUSY, site, copy.offset);
    if (bytes == 0 || bytes % 16 != 0 || to.at % 16 != 0 || from.at % 16 != 0) {
        fault(FAULT_COPY_ALIGNMENT, site, bytes, to.at % 16, from.at % 16);
    }
    if (bytes >= 1u << 20) fault(FAULT_COPY_RANGE, site, bytes);
    // Both ends are checked as accesses are.
    (void)to.value(), (void)(to + (count - 1)).value(), (void)from[0], (void)from[count - 1];
    copy.to = reinterpret_cast<unsigned char *>(to.at);
    copy.from = reinterpret_cast<const unsigned char *>(from.at);
    copy.bytes = static_cast<u32>(bytes);
    EMULATOR_RACE(fhe_emulator_race_copy(current, static_cast<u32>(&copy - current->block->copy), to.at, copy.bytes));
    const u32 poison = 0xfff9f8f7;
    for (u64 i = 0; i < bytes; i += 4) __builtin_memcpy(copy.to + i, &poison, 4);
}

DEVICE void copy_wait(Shared<u64> barrier, u32 parity, EMULATOR_SITE) {
    using namespace emulator;
    const Site site = {file, line};
    need_compute(90, site);
    Copy &copy = copy_state(barrier, site);
    if (parity > 1) fault(FAULT_COPY_PARITY, site, parity);
    // The phase of that parity has ended if the one that is under way has the other parity.
    while ((copy.phase & 1) == parity) wait_for(*current, &copy.phase, WAIT_COPY, copy.offset, site);
    EMULATOR_RACE(fhe_emulator_race_waited(current, static_cast<u32>(&copy - current->block->copy)));
}

DEVICE u32 cluster_rank(EMULATOR_SITE) {
    emulator::need_compute(90, {file, line});
    return emulator::current->block->rank;
}
DEVICE void cluster_barrier(EMULATOR_SITE) {
    using namespace emulator;
    need_compute(90, {file, line});
    Thread &self = *current;
    Cluster &cluster = *self.block->cluster;
    meet(self, cluster.gate, cluster.threads, WAIT_CLUSTER, 0, {file, line});
}
/// Every access through the result is looked at more closely: the block must not have ended.
template <class T> DEVICE Shared<T> cluster_shared(Shared<T> pointer, u32 rank, EMULATOR_SITE) {
    using namespace emulator;
    need_compute(90, {file, line});
    Block &block = *current->block;
    Cluster &cluster = *block.cluster;
    if (rank >= cluster.blocks) fault(FAULT_CLUSTER_RANK, {file, line}, rank, cluster.blocks);
    if (rank == block.rank) return pointer;
    const u64 other = reinterpret_cast<u64>(cluster.block[rank]->shared) - reinterpret_cast<u64>(block.shared);
    return {pointer.at + other, (pointer.base + other) | CLOSER, pointer.bytes};
}
