//! What a run consists of, and how large its pieces are.

use std::time::Duration;

use clap::ValueEnum;
use fhe_benches::sampling::Effort;

use crate::arguments::{Arguments, Kernel, Section};

/// A piece of a run: what starts anew after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it does.
    pub section: Section,
    /// With which kernel; automatic where the section has one part.
    pub kernel: Kernel,
}

impl Part {
    /// For people and for the evidence.
    pub fn name(&self) -> String {
        if self.section.is_per_kernel() {
            format!("{} {}", self.section.name(), self.kernel.name())
        } else {
            self.section.name()
        }
    }
}

/// The parts that were asked for, in order. The device report is always the first.
pub fn parts(arguments: &Arguments) -> Vec<Part> {
    let automatic = Kernel::ALL[0];
    let kernels =
        Kernel::ALL.into_iter().filter(|kernel| arguments.kernel.is_empty() || arguments.kernel.contains(kernel));
    let kernels: Vec<Kernel> = kernels.collect();
    let sections = Section::value_variants().iter().copied();
    let wanted = |section: &Section| {
        *section == Section::Device || arguments.only.is_empty() || arguments.only.contains(section)
    };
    let expand = |section: Section| {
        let kernels = if section.is_per_kernel() { kernels.clone() } else { vec![automatic] };
        kernels.into_iter().map(move |kernel| Part { section, kernel })
    };
    sections.filter(wanted).flat_map(expand).collect()
}

/// Sizes and budgets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Batch sizes of the curve.
    pub batches: Vec<usize>,
    /// Whether kernels are also measured at whole multiples of the card's multiprocessors.
    pub multiples: bool,
    /// Bootstraps of each noise measurement.
    pub samples: usize,
    /// Rows of the batches of integers; `None` for as many as fill the card.
    pub rows: Option<usize>,
    /// Integers of at most so many bits.
    pub widest: u32,
    /// Bootstraps of each kernel's known answers.
    pub answers: usize,
    /// Time of one measurement.
    pub effort: Effort,
    /// Time of the conformance cases of one kernel.
    pub conformance: Duration,
    /// Time of one stage of one kernel's curve.
    pub curve: Duration,
    /// Time of all operations on integers.
    pub integers: Duration,
    /// After so long without a sign of life a part has failed.
    pub silence: Duration,
}

impl Sizes {
    /// What the command line asks for. An emulated card does little: its times mean nothing.
    pub fn new(arguments: &Arguments, emulated: bool) -> Self {
        let seconds = Duration::from_secs;
        let effort = |region, budget, regions| Effort {
            region: Duration::from_millis(region),
            budget: Duration::from_millis(budget),
            regions,
        };
        let mut sizes = Self {
            batches: vec![1, 8, 64, 264, 1056, 8448],
            multiples: true,
            samples: 4096,
            rows: None,
            widest: 64,
            answers: 264,
            effort: effort(50, 1_500, 15),
            conformance: seconds(600),
            curve: seconds(60),
            integers: seconds(180),
            silence: seconds(300),
        };
        if arguments.quick {
            sizes.multiples = false;
            sizes.samples = 500;
            sizes.effort = effort(50, 400, 7);
            sizes.conformance = seconds(7);
            sizes.curve = seconds(6);
            sizes.integers = seconds(30);
            sizes.silence = seconds(90);
        }
        if emulated {
            sizes.batches = vec![1, 8];
            sizes.multiples = false;
            sizes.samples = 50;
            sizes.rows = Some(1);
            sizes.widest = 8;
            sizes.answers = 3;
            sizes.effort = effort(0, 0, 1);
            sizes.conformance = sizes.conformance.min(seconds(20));
            sizes.curve = seconds(60);
            sizes.integers = seconds(180);
            sizes.silence = seconds(3600);
        }
        if !arguments.batch.is_empty() {
            sizes.batches.clone_from(&arguments.batch);
        }
        sizes.batches.retain(|&batch| batch > 0);
        sizes.batches.sort_unstable();
        sizes.batches.dedup();
        sizes.samples = arguments.samples.unwrap_or(sizes.samples).max(2);
        sizes.rows = arguments.rows.map(|rows| rows.max(1)).or(sizes.rows);
        sizes
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn arguments(words: &[&str]) -> Arguments {
        Arguments::try_parse_from([&["check"], words].concat()).unwrap()
    }

    #[test]
    fn parts_are_in_order_and_begin_with_the_device() {
        let all = parts(&arguments(&[]));
        assert!(all[0].section == Section::Device && all.len() >= 3 + 4 * Kernel::ALL.len());
        let some = parts(&arguments(&["--only", "curve", "--kernel", "auto,cluster"]));
        assert_eq!(some.iter().map(Part::name).collect::<Vec<_>>(), ["device", "curve auto", "curve cluster"]);
    }

    #[test]
    fn emulated_cards_do_little_unless_they_are_told_to() {
        let small = Sizes::new(&arguments(&[]), true);
        assert_eq!((small.batches.as_slice(), small.samples, small.rows), (&[1, 8][..], 50, Some(1)));
        let told = Sizes::new(&arguments(&["--batch", "8,2,8,0", "--samples", "9", "--rows", "3"]), true);
        assert_eq!((told.batches.as_slice(), told.samples, told.rows), (&[2, 8][..], 9, Some(3)));
    }

    #[test]
    fn a_quick_run_ends_in_three_minutes() {
        let sizes = Sizes::new(&arguments(&["--quick"]), false);
        let kernels = Kernel::ALL.len() as u32;
        // The automatic choice is measured in three stages, the others in one.
        let budgets = sizes.conformance * kernels + sizes.curve * (kernels + 2) + sizes.integers;
        // What is left is for keys, compilation, known answers, noise and transfers.
        assert!(budgets <= Duration::from_secs(150), "{budgets:?}");
    }
}
