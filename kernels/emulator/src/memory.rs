//! Device memory: allocations at addresses that are never used twice.

use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Of every allocation, as the driver promises.
const ALIGNMENT: usize = 256;
/// Between two allocations.
const GAP: u64 = 4096;
/// Device addresses. No pointer of the host has such a value: code of the host that uses one stops at once.
const ADDRESSES: u64 = 0x0d00_0000_0000_0000;
/// In fresh and in freed memory: not a number as a double, far outside of everything as an integer.
const FRESH: u32 = 0xfffa_fbfc;
const FREED: u32 = 0xfffd_fefd;
/// Freed ranges that are remembered for messages.
const REMEMBERED: usize = 1 << 16;

/// A piece of device memory.
pub struct Allocation {
    address: u64,
    bytes: usize,
    host: *mut u8,
    /// The context that allocated it.
    pub context: usize,
}

// SAFETY: the memory is accessed by kernels and copies only, which take care of each other as on a device.
unsafe impl Send for Allocation {}
// SAFETY: as above.
unsafe impl Sync for Allocation {}

impl Allocation {
    /// First device address.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where it lies in the host's memory.
    pub fn host(&self) -> *mut u8 {
        self.host
    }

    fn layout(bytes: usize) -> Option<Layout> {
        Layout::from_size_align(bytes.next_multiple_of(ALIGNMENT), ALIGNMENT).ok()
    }

    #[expect(clippy::cast_ptr_alignment, reason = "allocated with an alignment of 256")]
    fn fill(&self, word: u32) {
        // SAFETY: the allocation's size is a multiple of 256.
        let words = unsafe {
            std::slice::from_raw_parts_mut(self.host.cast::<u32>(), self.bytes.next_multiple_of(ALIGNMENT) / 4)
        };
        words.fill(word);
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        let layout = Self::layout(self.bytes).expect("was allocated with it");
        // SAFETY: allocated by `Memory::allocate` with this layout.
        unsafe { dealloc(self.host, layout) };
    }
}

struct Table {
    live: BTreeMap<u64, Arc<Allocation>>,
    freed: BTreeMap<u64, usize>,
    used: usize,
    next: u64,
}

/// The memory of one device.
pub struct Memory {
    device: usize,
    total: usize,
    table: Mutex<Table>,
}

/// Why memory cannot be freed.
pub enum NotFreed {
    /// It was freed before.
    Twice,
    /// No allocation begins there.
    Unknown,
}

impl Memory {
    /// `total` bytes of device number `device`.
    pub fn new(device: usize, total: usize) -> Self {
        let next = ADDRESSES | (device as u64) << 48 | 0x1000_0000;
        Self {
            device,
            total,
            table: Mutex::new(Table { live: BTreeMap::new(), freed: BTreeMap::new(), used: 0, next }),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Free bytes and all bytes.
    pub fn info(&self) -> (usize, usize) {
        (self.total - self.table().used, self.total)
    }

    /// New memory; `None` if there is not enough.
    pub fn allocate(&self, bytes: usize, context: usize) -> Option<u64> {
        let charged = bytes.checked_next_multiple_of(ALIGNMENT)?;
        let mut table = self.table();
        if bytes == 0 || charged > self.total - table.used {
            return None;
        }
        // SAFETY: the size is not zero.
        let host = unsafe { alloc(Allocation::layout(bytes)?) };
        if host.is_null() {
            return None;
        }
        let address = table.next;
        table.next += charged as u64 + GAP;
        table.used += charged;
        let allocation = Allocation { address, bytes, host, context };
        allocation.fill(FRESH);
        table.live.insert(address, Arc::new(allocation));
        Some(address)
    }

    /// Frees what begins at `address`; the size.
    pub fn free(&self, address: u64) -> Result<usize, NotFreed> {
        let mut table = self.table();
        let Some(allocation) = table.live.remove(&address) else {
            return Err(if table.freed.contains_key(&address) { NotFreed::Twice } else { NotFreed::Unknown });
        };
        let bytes = allocation.bytes;
        table.used -= bytes.next_multiple_of(ALIGNMENT);
        table.freed.insert(address, bytes);
        if table.freed.len() > REMEMBERED {
            table.freed.pop_first();
        }
        allocation.fill(FREED);
        Ok(bytes)
    }

    /// The live allocation in which `address` lies.
    pub fn find(&self, address: u64) -> Option<Arc<Allocation>> {
        let table = self.table();
        let (_, allocation) = table.live.range(..=address).next_back()?;
        (address - allocation.address <= allocation.bytes as u64).then(|| Arc::clone(allocation))
    }

    /// Whether the allocation is still there.
    pub fn is_live(&self, allocation: &Allocation) -> bool {
        self.table().live.contains_key(&allocation.address)
    }

    /// The host's memory for `bytes` bytes at `address`, with the allocation that they lie in.
    pub fn range(&self, address: u64, bytes: usize) -> Result<(Arc<Allocation>, *mut u8), String> {
        let Some(allocation) = self.find(address) else {
            return Err(self.describe(address));
        };
        let offset = (address - allocation.address) as usize;
        if bytes > allocation.bytes - offset {
            return Err(format!(
                "bytes {offset}..{} are not inside the allocation of {} bytes at {:#x}",
                offset.saturating_add(bytes),
                allocation.bytes,
                allocation.address
            ));
        }
        // SAFETY: the offset lies inside the allocation.
        let host = unsafe { allocation.host.add(offset) };
        Ok((allocation, host))
    }

    /// What an address is that no live allocation holds.
    pub fn describe(&self, address: u64) -> String {
        if address == 0 {
            return "a null pointer".into();
        }
        if address & 0xff00_0000_0000_0000 != ADDRESSES {
            return "not device memory".into();
        }
        let device = (address >> 48 & 0xff) as usize;
        if device != self.device {
            return format!("memory of device {device}, not of device {}", self.device);
        }
        let table = self.table();
        match table.freed.range(..=address).next_back() {
            Some((&start, &bytes)) if address - start <= bytes as u64 => {
                format!("use after free, byte {} of the {bytes} bytes at {start:#x}", address - start)
            }
            _ => "outside of every allocation".into(),
        }
    }

    /// Takes away what a context left behind: address and size of each.
    pub fn leaks(&self, context: usize) -> Vec<(u64, usize)> {
        let leaks: Vec<(u64, usize)> = {
            let table = self.table();
            let of_context = table.live.values().filter(|allocation| allocation.context == context);
            of_context.map(|allocation| (allocation.address, allocation.bytes)).collect()
        };
        for &(address, _) in &leaks {
            let _ = self.free(address);
        }
        leaks
    }
}
