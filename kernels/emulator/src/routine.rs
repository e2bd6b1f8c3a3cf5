//! Coroutines: a stack for every thread of a cluster, and the switch between them and the scheduler.

pub use implementation::{Routines, suspend};

/// The switch of `host/host.h`: threads of a ring go on to each other, and come back when none can run.
#[cfg(direct)]
mod implementation {
    use crate::abi::Thread;
    use crate::stack::{Part, stacks};

    unsafe extern "C" {
        fn fhe_emulator_resume(thread: *mut Thread);
        fn fhe_emulator_suspend(thread: *mut Thread);
        fn fhe_emulator_start();
    }

    #[derive(Default)]
    pub struct Routines {
        stacks: Vec<Part>,
    }

    impl Routines {
        /// Gives every thread a stack on which it begins.
        pub fn prepare(&mut self, threads: &mut [Thread]) {
            let missing = threads.len().saturating_sub(self.stacks.len());
            if missing > 0 {
                self.stacks.extend(stacks(missing).expect("address space for the stacks"));
            }
            for (thread, stack) in threads.iter_mut().zip(&self.stacks) {
                #[expect(clippy::cast_ptr_alignment, reason = "stacks end at multiples of 16")]
                let words = stack.top().cast::<usize>();
                // SAFETY: the stack's uppermost bytes, which nobody uses. The switch takes the address from there;
                // what is left looks like a call that does not return.
                unsafe {
                    words.sub(1).write(0);
                    words.sub(2).write(fhe_emulator_start as *const () as usize);
                    thread.stack = words.sub(2).cast();
                }
            }
        }

        /// Lets the thread run, and others after it.
        ///
        /// # Safety
        ///
        /// The thread must have been prepared, and what it points to must live.
        #[expect(clippy::unused_self, reason = "other switches need it")]
        pub unsafe fn resume(&mut self, _: usize, thread: *mut Thread) {
            // SAFETY: the caller's promise.
            unsafe { fhe_emulator_resume(thread) };
        }

        /// Stacks begin anew with every block: there is nothing to do.
        #[expect(clippy::unused_self, reason = "other switches need it")]
        pub fn abandon(&mut self) {}
    }

    /// Goes back to the scheduler.
    ///
    /// # Safety
    ///
    /// `thread` must be the one that runs.
    pub unsafe fn suspend(thread: *mut Thread) {
        // SAFETY: the caller's promise.
        unsafe { fhe_emulator_suspend(thread) };
    }
}

/// `corosensei`: every switch goes through the scheduler.
#[cfg(not(direct))]
mod implementation {
    use std::ptr;

    use corosensei::stack::{Stack, StackPointer};
    use corosensei::{Coroutine, Yielder};

    use crate::abi::{Thread, fhe_emulator_current};
    use crate::scheduler::fhe_emulator_body;
    use crate::stack::{Part, stacks};

    // SAFETY: the range is mapped as long as the part lives, no other part overlaps it, and its lowest page is a guard.
    unsafe impl Stack for Part {
        fn base(&self) -> StackPointer {
            StackPointer::new(self.top() as usize).expect("no mapping ends at 0")
        }
        fn limit(&self) -> StackPointer {
            StackPointer::new(self.bottom() as usize).expect("no mapping starts at 0")
        }
    }

    type Routine = Coroutine<*mut Thread, (), (), Part>;

    #[derive(Default)]
    pub struct Routines {
        routines: Vec<Routine>,
        spare: Vec<Part>,
    }

    impl Routines {
        /// A coroutine for every thread.
        pub fn prepare(&mut self, threads: &mut [Thread]) {
            let missing = threads.len().saturating_sub(self.routines.len());
            if missing > self.spare.len() {
                self.spare.extend(stacks(missing - self.spare.len()).expect("address space for the stacks"));
            }
            for _ in 0..missing {
                let stack = self.spare.pop().expect("there are enough");
                self.routines.push(Routine::with_stack(stack, body));
            }
        }

        /// Lets the thread run.
        ///
        /// # Safety
        ///
        /// The thread must have been prepared at that index, and what it points to must live.
        pub unsafe fn resume(&mut self, index: usize, thread: *mut Thread) {
            // SAFETY: the address of this thread's variable.
            unsafe { *fhe_emulator_current() = thread };
            self.routines[index].resume(thread);
        }

        /// Forgets all coroutines, wherever they are, and keeps their stacks.
        pub fn abandon(&mut self) {
            for mut routine in self.routines.drain(..) {
                // SAFETY: nothing on the stack has a destructor: kernels are C++ over plain values, `body` holds
                // pointers.
                unsafe { routine.force_reset() };
                self.spare.push(routine.into_stack());
            }
        }
    }

    impl Drop for Routines {
        fn drop(&mut self) {
            self.abandon();
        }
    }

    /// What a coroutine does: one thread of a kernel after the other.
    fn body(yielder: &Yielder<*mut Thread, ()>, mut thread: *mut Thread) {
        loop {
            // SAFETY: the scheduler passes a thread that lives until all threads of its cluster have returned.
            unsafe {
                (*thread).stack = ptr::from_ref(yielder).cast();
                fhe_emulator_body(thread);
            }
            thread = yielder.suspend(());
        }
    }

    /// Goes back to the scheduler; returns when the thread's gate has opened.
    ///
    /// # Safety
    ///
    /// `thread` must be the one that runs.
    pub unsafe fn suspend(thread: *mut Thread) {
        // SAFETY: its coroutine has stored its yielder.
        unsafe { (*(*thread).stack.cast::<Yielder<*mut Thread, ()>>()).suspend(()) };
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn fhe_emulator_suspend(thread: *mut Thread) {
        // SAFETY: the C++ side passes the thread that runs.
        unsafe { suspend(thread) };
    }
}
