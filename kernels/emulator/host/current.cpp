// The one variable of the emulator's C++ side, and the layouts that `src/abi.rs` is compared with.
#include "device.cuh"

namespace emulator {
__thread Thread *current __attribute__((tls_model("initial-exec"))) = nullptr;
}

extern "C" emulator::Thread **fhe_emulator_current() { return &emulator::current; }

#if EMULATOR_DIRECT
extern "C" {
/// Runs the kernel for a thread and notes that it has returned.
void fhe_emulator_body(emulator::Thread *thread);

/// Lets threads run, beginning with this one, until none can.
void fhe_emulator_resume(emulator::Thread *thread) {
    emulator::current = thread;
    emulator::switch_stacks(&thread->block->cluster->scheduler, thread->stack);
}

void fhe_emulator_suspend(emulator::Thread *thread) {
    emulator::switch_stacks(&thread->stack, thread->block->cluster->scheduler);
}

/// Where a stack begins.
void fhe_emulator_start() {
    emulator::Thread &self = *emulator::current;
    fhe_emulator_body(&self);
    emulator::go_on(self);
    __builtin_trap();
}
}
#endif

extern "C" u32 fhe_emulator_layout(u32 type) {
    const u32 sizes[] = {
        sizeof(emulator::Thread), sizeof(emulator::Warp),     sizeof(emulator::Block),  sizeof(emulator::Cluster),
        sizeof(emulator::Fault),  sizeof(emulator::Argument), sizeof(emulator::Kernel), sizeof(emulator::Copy),
    };
    return type < sizeof(sizes) / sizeof(sizes[0]) ? sizes[type] : 0;
}
