//! Emulated devices and what they say of themselves.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use crate::driver::codes;
use crate::memory::Memory;
use crate::settings::{Fail, Settings};

/// A device.
pub struct Device {
    pub number: usize,
    pub compute: u32,
    pub multiprocessors: u32,
    pub memory: Memory,
    /// References to the primary context, and its handle.
    pub primary: Mutex<(usize, usize)>,
    /// Pool that allocations come from, a handle.
    pub pool: AtomicUsize,
    fail: Mutex<Vec<Fail>>,
    lost: AtomicI32,
}

/// Shared memory in bytes: without being asked for, at most for a block, of a multiprocessor.
pub struct SharedLimits {
    pub default: u32,
    pub block: u32,
    pub multiprocessor: u32,
}

impl Device {
    /// Device number `number`.
    pub fn new(number: usize, settings: &Settings) -> Self {
        Self {
            number,
            compute: settings.compute,
            multiprocessors: settings.multiprocessors,
            memory: Memory::new(number, settings.memory),
            primary: Mutex::default(),
            pool: AtomicUsize::new(0),
            fail: Mutex::new(settings.fail.iter().filter(|fail| fail.device == number).cloned().collect()),
            lost: AtomicI32::new(codes::SUCCESS),
        }
    }

    /// Name, as the driver gives it.
    pub fn name(&self) -> String {
        format!("Emulated GPU, compute {}.{}", self.compute / 10, self.compute % 10)
    }

    /// A number that tells devices apart.
    pub fn uuid(&self) -> [u8; 16] {
        let mut uuid = *b"fhe-emulator\0\0\0\0";
        uuid[12..].copy_from_slice(&(self.number as u32).to_be_bytes());
        uuid
    }

    /// NVIDIA, CUDA C++ programming guide, table "Technical specifications per compute capability".
    pub fn shared(&self) -> SharedLimits {
        let kibibytes = match self.compute {
            90.. => 228,
            80 | 87 => 164,
            81..90 => 100,
            75..80 => 64,
            _ => 96,
        };
        // From compute 8.0 on the system keeps 1 KiB of each block's shared memory.
        let reserved = self.reserved_shared();
        let block = if self.compute >= 80 { kibibytes * 1024 - reserved } else { kibibytes * 1024 };
        SharedLimits { default: 48 << 10, block, multiprocessor: kibibytes << 10 }
    }

    /// Bytes of shared memory that each block needs beyond its own.
    pub fn reserved_shared(&self) -> u32 {
        if self.compute >= 80 { 1024 } else { 0 }
    }

    /// Threads that a multiprocessor holds.
    pub fn resident_threads(&self) -> u32 {
        match self.compute {
            75 => 1024,
            86 | 87 | 89 => 1536,
            _ => 2048,
        }
    }

    /// Blocks that a multiprocessor holds.
    pub fn resident_blocks(&self) -> u32 {
        match self.compute {
            75 | 86 | 87 => 16,
            89 => 24,
            _ => 32,
        }
    }

    /// Blocks of that shape that a multiprocessor holds, by threads and shared memory. Registers are not known here.
    pub fn occupancy(&self, threads: u32, shared_bytes: u32) -> u32 {
        let warps = threads.div_ceil(32).max(1);
        let by_threads = self.resident_threads() / 32 / warps;
        let shared = shared_bytes + self.reserved_shared();
        let by_shared = self.shared().multiprocessor.checked_div(shared.next_multiple_of(128)).unwrap_or(u32::MAX);
        by_threads.min(by_shared).min(self.resident_blocks())
    }

    /// Whether this call is one that is to fail, or the device is lost.
    pub fn check(&self, call: &str) -> Result<(), i32> {
        match self.lost.load(Ordering::Relaxed) {
            codes::SUCCESS => {}
            lost => return Err(lost),
        }
        let mut fail = self.fail.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut outcome = Ok(());
        fail.retain_mut(|fail| {
            if fail.call == call {
                fail.nth = fail.nth.saturating_sub(1);
                if fail.nth == 0 {
                    eprintln!("emulator: device {}: {call} fails as it was told to", self.number);
                    if codes::is_sticky(fail.code) {
                        self.lost.store(fail.code, Ordering::Relaxed);
                    }
                    outcome = Err(fail.code);
                    return false;
                }
            }
            true
        });
        outcome
    }

    /// A call that is to fail from now on.
    pub fn fail(&self, fail: Fail) {
        self.fail.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(fail);
    }

    /// The device works again.
    pub fn revive(&self) {
        self.lost.store(codes::SUCCESS, Ordering::Relaxed);
        self.fail.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
    }

    /// `CU_DEVICE_ATTRIBUTE_*`, by number. What is not supported is 0, as the driver says it.
    pub fn attribute(&self, attribute: i32) -> Option<i32> {
        let shared = self.shared();
        let hopper = self.compute >= 90;
        let value = match attribute {
            8 => shared.default as i32,           // MAX_SHARED_MEMORY_PER_BLOCK
            16 => self.multiprocessors as i32,    // MULTIPROCESSOR_COUNT
            33 => self.number as i32 + 1,         // PCI_BUS_ID
            38 if hopper => 50 << 20,             // L2_CACHE_SIZE
            39 => self.resident_threads() as i32, // MAX_THREADS_PER_MULTIPROCESSOR
            75 => (self.compute / 10) as i32,     // COMPUTE_CAPABILITY_MAJOR
            76 => (self.compute % 10) as i32,     // COMPUTE_CAPABILITY_MINOR
            81 => shared.multiprocessor as i32,   // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
            97 => shared.block as i32,            // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
            106 => self.resident_blocks() as i32, // MAX_BLOCKS_PER_MULTIPROCESSOR
            111 => self.reserved_shared() as i32, // RESERVED_SHARED_MEMORY_PER_BLOCK
            120 => i32::from(hopper),             // CLUSTER_LAUNCH
            1..=144 => SAME_FOR_ALL.iter().find(|entry| entry.0 == attribute).map_or(0, |entry| entry.1),
            _ => return None,
        };
        Some(value)
    }
}

/// Attributes that do not depend on the device.
const SAME_FOR_ALL: &[(i32, i32)] = &[
    (1, 1024),       // MAX_THREADS_PER_BLOCK
    (2, 1024),       // MAX_BLOCK_DIM_X
    (3, 1024),       // MAX_BLOCK_DIM_Y
    (4, 64),         // MAX_BLOCK_DIM_Z
    (5, i32::MAX),   // MAX_GRID_DIM_X
    (6, 65535),      // MAX_GRID_DIM_Y
    (7, 65535),      // MAX_GRID_DIM_Z
    (9, 65536),      // TOTAL_CONSTANT_MEMORY
    (10, 32),        // WARP_SIZE
    (11, i32::MAX),  // MAX_PITCH
    (12, 65536),     // MAX_REGISTERS_PER_BLOCK
    (13, 1_000_000), // CLOCK_RATE, kHz
    (14, 512),       // TEXTURE_ALIGNMENT
    (15, 1),         // GPU_OVERLAP
    (19, 1),         // CAN_MAP_HOST_MEMORY
    (31, 1),         // CONCURRENT_KERNELS
    (36, 1_000_000), // MEMORY_CLOCK_RATE, kHz
    (37, 4096),      // GLOBAL_MEMORY_BUS_WIDTH
    (38, 4 << 20),   // L2_CACHE_SIZE
    (40, 2),         // ASYNC_ENGINE_COUNT
    (41, 1),         // UNIFIED_ADDRESSING
    (78, 1),         // STREAM_PRIORITIES_SUPPORTED
    (79, 1),         // GLOBAL_L1_CACHE_SUPPORTED
    (80, 1),         // LOCAL_L1_CACHE_SUPPORTED
    (82, 65536),     // MAX_REGISTERS_PER_MULTIPROCESSOR
    (87, 2),         // SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO
    (90, 1),         // COMPUTE_PREEMPTION_SUPPORTED
    (95, 1),         // COOPERATIVE_LAUNCH
    (115, 1),        // MEMORY_POOLS_SUPPORTED
    (130, -1),       // NUMA_CONFIG
    (131, -1),       // NUMA_ID
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_memory_is_that_of_real_devices() {
        for (compute, block) in [(75, 65536), (80, 166_912), (86, 101_376), (90, 232_448)] {
            let device = Device::new(0, &Settings { compute, ..Settings::default() });
            assert_eq!(device.shared().block, block, "compute {compute}");
        }
    }

    #[test]
    fn occupancy_counts_threads_and_shared_memory() {
        let device = Device::new(0, &Settings::default());
        assert_eq!(device.occupancy(256, 0), 8);
        assert_eq!(device.occupancy(256, 141_312), 1);
        assert_eq!(device.occupancy(32, 0), 32);
        assert_eq!(device.occupancy(1024, 0), 2);
    }
}
