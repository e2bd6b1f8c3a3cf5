// The one variable of the emulator's C++ side, and the layouts that `src/abi.rs` is compared with.
#include "device.cuh"

namespace emulator {
thread_local Thread *current __attribute__((tls_model("initial-exec"))) = nullptr;
}

extern "C" emulator::Thread **fhe_emulator_current() { return &emulator::current; }

extern "C" u32 fhe_emulator_layout(u32 type) {
    const u32 sizes[] = {
        sizeof(emulator::Thread), sizeof(emulator::Warp),     sizeof(emulator::Block),  sizeof(emulator::Cluster),
        sizeof(emulator::Fault),  sizeof(emulator::Argument), sizeof(emulator::Kernel), sizeof(emulator::Copy),
    };
    return type < sizeof(sizes) / sizeof(sizes[0]) ? sizes[type] : 0;
}
