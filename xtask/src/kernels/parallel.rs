//! A few jobs on all cores.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, bail};

/// Stack of a worker: the compiler recurses deeply on unrolled kernels.
const STACK: usize = 64 << 20;

/// Runs `work` on every job and answers in the jobs' order.
///
/// # Errors
/// The first failed job's, in the jobs' order.
pub fn parallel<Job: Sync, Answer: Send>(
    jobs: &[Job],
    work: impl Fn(&Job) -> Result<Answer> + Sync,
) -> Result<Vec<Answer>> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
    let next = AtomicUsize::new(0);
    let answers: Mutex<Vec<_>> = Mutex::new(jobs.iter().map(|_| None).collect());
    thread::scope(|scope| -> Result<()> {
        for _ in 0..workers {
            thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || {
                while let Some((at, job)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    jobs.get(at).map(|job| (at, job))
                } {
                    let answer = work(job);
                    // A worker that panics ends the scope with its panic; nobody reads the answers then.
                    if let Ok(mut answers) = answers.lock() {
                        answers[at] = Some(answer);
                    }
                }
            })?;
        }
        Ok(())
    })?;
    let Ok(answers) = answers.into_inner() else { bail!("a worker panicked") };
    answers.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_keep_their_order() -> Result<()> {
        let jobs: Vec<u32> = (0..100).collect();
        assert_eq!(parallel(&jobs, |job| Ok(2 * job))?, jobs.iter().map(|job| 2 * job).collect::<Vec<_>>());
        assert!(parallel(&[] as &[u32], |_| Ok(()))?.is_empty());
        let error = parallel(&jobs, |job| if *job % 40 == 39 { bail!("job {job}") } else { Ok(()) }).unwrap_err();
        assert_eq!(error.to_string(), "job 39");
        Ok(())
    }
}
