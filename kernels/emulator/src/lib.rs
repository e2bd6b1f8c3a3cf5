//! A stand-in for the NVIDIA driver library `libcuda.so.1`: the part of its interface that the CUDA backend uses, on the
//! processor. It runs the same kernel sources, compiled for the host, and stops at what a device would not forgive. See
//! the README for what it checks and for its settings.
//!
//! | file | |
//! |---|---|
//! | `host/host.h` | twin of `device.cuh`: checked pointers, barriers, shuffles, copies |
//! | `abi`, `kernels` | structures shared with it; the kernels that were compiled in |
//! | `stack`, `routine`, `scheduler` | one coroutine per CUDA thread |
//! | `launch` | checks of a launch; blocks in parallel |
//! | `races` | an optional check for races in shared memory |
//! | `fault` | what went wrong, in words |
//! | `memory`, `device`, `context`, `ptx` | what the driver keeps |
//! | `settings` | environment and control at run time |
//! | `driver` | the exported functions |

mod abi;
mod context;
mod device;
mod driver;
mod fault;
mod kernels;
mod launch;
mod memory;
mod ptx;
#[cfg(feature = "races")]
mod races;
mod random;
mod routine;
mod scheduler;
mod settings;
mod stack;
