//! Races in shared memory: two accesses to a word, one of them a write, that no barrier puts in an order.
//!
//! Every thread has a vector clock: for each thread, up to which of its steps everything is known to have happened. A
//! barrier joins the clocks of those who meet; a step ends whenever a thread tells others of it. A word remembers its
//! last write and the reads since, and an access must know them all. Bulk copies are threads of their own, one for each
//! copy barrier: they know what the thread knew that started them, and who waits for them learns it. A shuffle
//! exchanges values and orders nothing, as on a device.
//!
//! Source: Flanagan, Freund, "`FastTrack`: efficient and precise dynamic race detection" (2009).

use std::collections::HashMap;

use crate::abi::{Block, COPIES, Fault, Gate, Thread, WORD};

/// Kinds of accesses, numbered as in host.h.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
    Atomic,
}

/// The reads of a word since its last write that no later one is known to follow: thread and step.
#[derive(Clone, Copy)]
enum Reads {
    Few(u32, [(u32, u32); FEW]),
    /// The last read of every thread: a vector of `Races::vectors`.
    Many(u32),
}

const FEW: usize = 3;

#[derive(Clone, Copy)]
struct Word {
    writer: u32,
    written: u32,
    atomic: bool,
    reads: Reads,
}

const UNTOUCHED: Word = Word { writer: 0, written: 0, atomic: false, reads: Reads::Few(0, [(0, 0); FEW]) };

/// The check for the blocks of one cluster.
#[derive(Default)]
pub struct Races {
    /// Threads of a block, of the cluster.
    block_threads: usize,
    threads: usize,
    /// Entries of a clock: threads, and copy barriers.
    length: usize,
    /// Clocks of threads and of copies that are on their way.
    clocks: Vec<u32>,
    /// Clocks of copies that have arrived.
    arrived: Vec<u32>,
    gates: HashMap<usize, [Vec<u32>; 2]>,
    counters: HashMap<usize, Vec<u32>>,
    /// Words of each block's shared memory.
    words: Vec<Vec<Word>>,
    vectors: Vec<Vec<u32>>,
    spare: Vec<u32>,
}

fn join(clock: &mut [u32], other: &[u32]) {
    for (own, other) in clock.iter_mut().zip(other) {
        *own = (*own).max(*other);
    }
}

/// Another access that is not ordered: who, and whether it was a write.
type Conflict = (usize, bool);

impl Races {
    /// Forgets everything, for blocks with that many threads and bytes.
    pub fn begin(&mut self, blocks: usize, threads: usize, shared_bytes: u32) {
        self.block_threads = threads;
        self.threads = blocks * threads;
        self.length = self.threads + blocks * COPIES;
        self.clocks.clear();
        self.clocks.resize(self.length * self.length, 0);
        for i in 0..self.length {
            self.clocks[i * self.length + i] = 1;
        }
        self.arrived.clear();
        self.arrived.resize(blocks * COPIES * self.length, 0);
        self.gates.clear();
        self.counters.clear();
        self.words.resize(blocks, Vec::new());
        for words in &mut self.words {
            words.clear();
            words.resize(shared_bytes.div_ceil(WORD) as usize, UNTOUCHED);
        }
        self.vectors.clear();
        self.spare.clear();
    }

    fn clock(&mut self, thread: usize) -> &mut [u32] {
        &mut self.clocks[thread * self.length..][..self.length]
    }

    /// The thread's next step begins.
    fn step(&mut self, thread: usize) {
        self.clock(thread)[thread] += 1;
    }

    fn number(&self, thread: &Thread) -> usize {
        // SAFETY: the block lives as long as its threads.
        let rank = unsafe { (*thread.block).rank } as usize;
        rank * self.block_threads + thread.linear as usize
    }

    fn copy_number(&self, rank: u32, copy: u32) -> usize {
        self.threads + rank as usize * COPIES + copy as usize
    }

    /// A thread comes to a gate.
    fn arrive(&mut self, thread: usize, address: usize, gate: Gate) {
        let length = self.length;
        let joined = &mut self.gates.entry(address).or_default()[gate.generation as usize % 2];
        if gate.arrived == 0 {
            joined.clear();
            joined.resize(length, 0);
        }
        join(joined, &self.clocks[thread * length..][..length]);
        self.step(thread);
    }

    /// A thread goes on after a gate.
    fn leave(&mut self, thread: usize, address: usize, generation: u32) {
        let length = self.length;
        if let Some(joined) = self.gates.get(&address) {
            join(&mut self.clocks[thread * length..][..length], &joined[generation as usize % 2]);
        }
    }

    /// A counter that orders those who count.
    fn count(&mut self, thread: usize, address: usize) {
        let length = self.length;
        let counter = self.counters.entry(address).or_insert_with(|| vec![0; length]);
        let clock = &mut self.clocks[thread * length..][..length];
        join(clock, counter);
        join(counter, clock);
        self.step(thread);
    }

    fn access(&mut self, thread: usize, block: usize, word: usize, access: Access) -> Result<(), Conflict> {
        let clock = &self.clocks[thread * self.length..][..self.length];
        let state = &mut self.words[block][word];
        let both_atomic = access == Access::Atomic && state.atomic;
        if state.written > clock[state.writer as usize] && !both_atomic {
            return Err((state.writer as usize, true));
        }
        let now = clock[thread];
        match (access, &mut state.reads) {
            (Access::Read, Reads::Few(count, reads)) => {
                let mut kept = 0;
                for i in 0..*count as usize {
                    let (reader, read) = reads[i];
                    if read > clock[reader as usize] {
                        reads[kept] = (reader, read);
                        kept += 1;
                    }
                }
                if kept < FEW {
                    reads[kept] = (thread as u32, now);
                    *count = kept as u32 + 1;
                } else {
                    let vector = self.spare.pop().unwrap_or(self.vectors.len() as u32);
                    if vector as usize == self.vectors.len() {
                        self.vectors.push(Vec::new());
                    }
                    let all = &mut self.vectors[vector as usize];
                    all.clear();
                    all.resize(self.length, 0);
                    for &(reader, read) in &*reads {
                        all[reader as usize] = read;
                    }
                    all[thread] = now;
                    state.reads = Reads::Many(vector);
                }
            }
            (Access::Read, Reads::Many(vector)) => self.vectors[*vector as usize][thread] = now,
            (_, Reads::Few(count, reads)) => {
                let unordered = |&&(reader, read): &&(u32, u32)| read > clock[reader as usize];
                if let Some(&(reader, _)) = reads[..*count as usize].iter().find(unordered) {
                    return Err((reader as usize, false));
                }
            }
            (_, Reads::Many(vector)) => {
                let reads = &self.vectors[*vector as usize];
                // Without an early end, so that it becomes vector instructions.
                if reads.iter().zip(clock).filter(|(read, known)| read > known).count() > 0 {
                    let reader = (0..self.length).find(|&reader| reads[reader] > clock[reader]).unwrap_or_default();
                    return Err((reader, false));
                }
                self.spare.push(*vector);
            }
        }
        if access != Access::Read {
            *state = Word { writer: thread as u32, written: now, atomic: access == Access::Atomic, ..UNTOUCHED };
        }
        Ok(())
    }

    /// A copy to shared memory begins.
    fn copy_starts(
        &mut self,
        thread: usize,
        rank: u32,
        copy: u32,
        bytes: std::ops::Range<u32>,
    ) -> Result<(), (u32, Conflict)> {
        let length = self.length;
        let number = self.copy_number(rank, copy);
        let (before, after) = self.clocks.split_at_mut(number * length);
        join(&mut after[..length], &before[thread * length..][..length]);
        self.step(number);
        self.step(thread);
        for word in bytes.start / WORD..bytes.end / WORD {
            self.access(number, rank as usize, word as usize, Access::Write)
                .map_err(|conflict| (word * WORD, conflict))?;
        }
        Ok(())
    }

    /// A copy has arrived.
    pub fn copy_arrives(&mut self, rank: u32, copy: u32) {
        let length = self.length;
        let number = self.copy_number(rank, copy);
        let slot = (number - self.threads) * length;
        self.arrived[slot..][..length].copy_from_slice(&self.clocks[number * length..][..length]);
    }

    /// A thread has waited for a copy.
    fn copy_waited(&mut self, thread: usize, rank: u32, copy: u32) {
        let length = self.length;
        let slot = (self.copy_number(rank, copy) - self.threads) * length;
        join(&mut self.clocks[thread * length..][..length], &self.arrived[slot..][..length]);
    }

    /// Block and byte of an address of the host.
    fn place(thread: &Thread, address: u64) -> Option<(usize, u32)> {
        // SAFETY: block and cluster live as long as their threads.
        unsafe {
            let cluster = &*(*thread.block).cluster;
            cluster.block[..cluster.blocks as usize].iter().enumerate().find_map(|(rank, &block)| {
                let offset = address.wrapping_sub((*block).shared as u64);
                (offset < u64::from((*block).shared_bytes)).then_some((rank, offset as u32))
            })
        }
    }

    fn fault(&self, byte: u32, access: Access, (other, write): Conflict, thread: &Thread) -> Fault {
        let copy = other >= self.threads;
        let other = if copy { (other - self.threads) % COPIES } else { other % self.block_threads };
        Fault {
            kind: crate::fault::RACE,
            width: u32::from(access == Access::Read),
            address: u64::from(byte),
            base: u64::from(copy),
            bytes: 0,
            detail: [other as u64, u64::from(write), 0],
            file: thread.file,
            line: thread.line,
        }
    }
}

/// The check of the cluster that a thread belongs to.
///
/// # Safety
///
/// The thread must be one of a running cluster, and nothing else may use its check.
unsafe fn of<'a>(thread: *const Thread) -> (&'a mut Races, &'a Thread) {
    // SAFETY: the caller's promise; the scheduler stores the address before the threads start.
    unsafe { (&mut *crate::scheduler::races((*thread).block), &*thread) }
}

/// An access of `width` bytes: 0 reads, 1 writes, 2 is atomic, 3 is atomic and orders the threads that do it.
#[unsafe(no_mangle)]
unsafe extern "C" fn fhe_emulator_race_access(thread: *mut Thread, address: u64, width: u32, kind: u32) {
    // SAFETY: the C++ side passes the thread that runs.
    let (races, this) = unsafe { of(thread) };
    let Some((block, byte)) = Races::place(this, address) else { return };
    let number = races.number(this);
    if kind == 3 {
        races.count(number, address as usize);
    }
    let access = [Access::Read, Access::Write, Access::Atomic][kind.min(2) as usize];
    // Parts of words are not told apart.
    for word in byte / WORD..byte / WORD + width / WORD {
        if let Err(conflict) = races.access(number, block, word as usize, access) {
            let fault = races.fault(word * WORD, access, conflict, this);
            // SAFETY: as above.
            unsafe { crate::scheduler::fhe_emulator_fault(thread, &raw const fault) };
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fhe_emulator_race_arrive(thread: *mut Thread, gate: *const Gate) {
    // SAFETY: the C++ side passes the thread that runs and a gate.
    unsafe {
        let (races, this) = of(thread);
        races.arrive(races.number(this), gate as usize, *gate);
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fhe_emulator_race_leave(thread: *mut Thread, gate: *const Gate, generation: u32) {
    // SAFETY: the C++ side passes the thread that runs.
    let (races, this) = unsafe { of(thread) };
    races.leave(races.number(this), gate as usize, generation);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fhe_emulator_race_copy(thread: *mut Thread, copy: u32, to: u64, bytes: u32) {
    // SAFETY: the C++ side passes the thread that runs.
    let (races, this) = unsafe { of(thread) };
    let Some((rank, byte)) = Races::place(this, to) else { return };
    let result = races.copy_starts(races.number(this), rank as u32, copy, byte..byte + bytes);
    if let Err((byte, conflict)) = result {
        let fault = races.fault(byte, Access::Write, conflict, this);
        // SAFETY: as above.
        unsafe { crate::scheduler::fhe_emulator_fault(thread, &raw const fault) };
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fhe_emulator_race_waited(thread: *mut Thread, copy: u32) {
    // SAFETY: the C++ side passes the thread that runs; its block lives.
    unsafe {
        let (races, this) = of(thread);
        let block: *const Block = this.block;
        races.copy_waited(races.number(this), (*block).rank, copy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_threads() -> Races {
        let mut races = Races::default();
        races.begin(1, 2, 64);
        races
    }

    fn meet(races: &mut Races, generation: u32) {
        races.arrive(0, 1, Gate { generation, arrived: 0 });
        races.arrive(1, 1, Gate { generation, arrived: 1 });
        races.leave(0, 1, generation);
        races.leave(1, 1, generation);
    }

    #[test]
    fn a_barrier_orders_a_write_and_a_read() {
        let mut races = two_threads();
        assert_eq!(races.access(0, 0, 3, Access::Write), Ok(()));
        assert_eq!(races.access(1, 0, 3, Access::Read), Err((0, true)));
        meet(&mut races, 0);
        assert_eq!(races.access(1, 0, 3, Access::Read), Ok(()));
        assert_eq!(races.access(0, 0, 3, Access::Read), Ok(()));
        assert_eq!(races.access(1, 0, 3, Access::Write), Err((0, false)));
        meet(&mut races, 1);
        assert_eq!(races.access(1, 0, 3, Access::Write), Ok(()));
        assert_eq!(races.access(0, 0, 3, Access::Write), Err((1, true)));
    }

    #[test]
    fn counters_order_those_who_count() {
        let mut races = two_threads();
        assert_eq!(races.access(0, 0, 0, Access::Read), Ok(()));
        races.count(0, 40);
        assert_eq!(races.access(1, 0, 0, Access::Write), Err((0, false)));
        races.count(1, 40);
        assert_eq!(races.access(1, 0, 0, Access::Write), Ok(()));
    }

    #[test]
    fn who_does_not_wait_races_with_a_copy() {
        let mut races = two_threads();
        assert_eq!(races.copy_starts(0, 0, 0, 0..16), Ok(()));
        assert_eq!(races.access(0, 0, 0, Access::Read), Err((2, true)));
        races.copy_arrives(0, 0);
        races.copy_waited(1, 0, 0);
        assert_eq!(races.access(1, 0, 0, Access::Read), Ok(()));
        assert_eq!(races.access(0, 0, 0, Access::Read), Err((2, true)));
        // The next copy overwrites what thread 1 has read.
        assert_eq!(races.copy_starts(0, 0, 0, 0..16), Err((0, (1, false))));
    }

    #[test]
    fn atomics_do_not_race_with_each_other() {
        let mut races = two_threads();
        assert_eq!(races.access(0, 0, 0, Access::Atomic), Ok(()));
        assert_eq!(races.access(1, 0, 0, Access::Atomic), Ok(()));
        assert_eq!(races.access(0, 0, 0, Access::Read), Err((1, true)));
    }
}
