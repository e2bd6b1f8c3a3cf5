//! Command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Parser, ValueEnum};
use fhe_gpu::BlindRotation;

/// Checks and measures an NVIDIA card with the kernels of this version.
///
/// Needs the NVIDIA driver (550 or later) and nothing else. Exit status: 0 if all is well, 1 if a check failed, 2 if
/// there is no usable device, 64 for a wrong command line.
#[derive(Clone, Debug, Parser)]
#[command(name = "fhe-gpu-check", version)]
pub struct Arguments {
    /// Smaller sizes and budgets: three minutes on an H100.
    #[arg(long)]
    pub quick: bool,
    /// Number of the card, from 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub device: usize,
    /// Only these sections.
    #[arg(long, value_name = "SECTION", value_delimiter = ',')]
    pub only: Vec<Section>,
    /// Only these kernels of blind rotation: auto, throughput-1, -2, -4, staged-1, -2, -4, cluster.
    #[arg(long, value_name = "KERNEL", value_delimiter = ',')]
    pub kernel: Vec<Kernel>,
    /// Only the conformance cases whose names contain this.
    #[arg(long, value_name = "PART")]
    pub case: Option<String>,
    /// Batch sizes of the curve.
    #[arg(long, value_name = "SIZES", value_delimiter = ',')]
    pub batch: Vec<usize>,
    /// Bootstraps of each noise measurement.
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    /// Rows of the batches of integers; as many as fill the card if absent.
    #[arg(long, value_name = "N")]
    pub rows: Option<usize>,
    /// Writes the evidence to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Lists the devices and the sections, and ends.
    #[arg(long)]
    pub list: bool,
    /// Does the work of a run, and notes it in this file: how the program starts itself.
    #[arg(long, hide = true, value_name = "FILE")]
    pub worker: Option<PathBuf>,
    /// The first part of the run that a worker does.
    #[arg(long, hide = true, default_value_t = 0)]
    pub from: usize,
}

/// Sections of a run, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Section {
    /// Card, driver, clocks, digests of the kernels.
    Device,
    /// Bootstraps against plain values; keyswitch and linear forms against the processor, bit by bit.
    Answers,
    /// The suite of all backends, for every kernel.
    Conformance,
    /// Variance of bootstraps beside the processor's.
    Noise,
    /// Bootstraps per second over batch sizes, for every kernel.
    Curve,
    /// Operations on integers per second, and the time of one.
    Integers,
    /// Keys, memory, copies.
    Transfers,
    /// The tfhe crate's GPU backend on the same card.
    #[cfg(feature = "peer-gpu")]
    Peer,
}

impl Section {
    /// The name on the command line and in the evidence.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether it has a part for every kernel.
    pub fn is_per_kernel(self) -> bool {
        matches!(self, Self::Answers | Self::Conformance | Self::Noise | Self::Curve)
    }
}

/// A kernel of blind rotation, with a name for command lines and evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(pub BlindRotation);

impl Kernel {
    /// The automatic choice, then all others.
    pub const ALL: [Self; 8] = [
        Self(BlindRotation::Auto),
        Self(BlindRotation::Throughput(1)),
        Self(BlindRotation::Throughput(2)),
        Self(BlindRotation::Throughput(4)),
        Self(BlindRotation::Staged(1)),
        Self(BlindRotation::Staged(2)),
        Self(BlindRotation::Staged(4)),
        Self(BlindRotation::Cluster),
    ];

    /// The name on the command line and in the evidence.
    pub fn name(self) -> String {
        match self.0 {
            BlindRotation::Auto => "auto".to_owned(),
            BlindRotation::Throughput(ciphertexts) => format!("throughput-{ciphertexts}"),
            BlindRotation::Staged(ciphertexts) => format!("staged-{ciphertexts}"),
            BlindRotation::Cluster => "cluster".to_owned(),
            // The enumeration may grow; `ALL` has what this version knows.
            other => format!("{other:?}").to_lowercase(),
        }
    }
}

impl FromStr for Kernel {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|kernel| kernel.name() == name).ok_or_else(|| format!("none of {}", names()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_found_by_their_names() {
        for kernel in Kernel::ALL {
            assert_eq!(kernel.name().parse(), Ok(kernel));
        }
        assert!("staged-3".parse::<Kernel>().unwrap_err().contains("staged-4"));
    }

    #[test]
    fn lists_are_separated_by_commas() {
        let arguments = Arguments::try_parse_from(["check", "--only", "noise,curve", "--batch", "1,8"]).unwrap();
        assert_eq!(arguments.only, [Section::Noise, Section::Curve]);
        assert_eq!(arguments.batch, [1, 8]);
    }
}
