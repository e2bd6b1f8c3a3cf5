//! The CUDA side of [`fhe-core`](https://docs.rs/fhe-core): programs, keys and ciphertexts are the same, only the
//! machine differs.
//!
//! [`auto`] takes the best machine there is; `CudaBackend` is one card. Nothing of CUDA is needed to build: with the
//! feature `gpu` the NVIDIA driver is looked up when the program runs, and its absence is a value ([`NoDevice`]), never a
//! panic. The kernels are part of the crate; the driver compiles them for the card at hand.
//!
//! ```
//! match fhe_gpu::devices() {
//!     Ok(devices) => devices.iter().for_each(|device| println!("{device}")),
//!     Err(reason) => println!("no GPU: {reason}"),
//! }
//! ```

mod auto;
#[cfg(feature = "gpu")]
mod cuda;
#[cfg(feature = "gpu")]
mod driver;

use std::fmt;

pub use auto::{AutoEngine, auto};
#[cfg(feature = "gpu")]
pub use cuda::{
    BlindRotation, CudaBackend, CudaCiphertexts, CudaForms, CudaKey, CudaLookups, CudaOptions, CudaSwitched,
    CudaTables, KernelFacts,
};

/// Lowest compute capability that the kernels are made for.
pub const MIN_COMPUTE_CAPABILITY: (u32, u32) = (7, 5);

/// Why there is no CUDA device to evaluate on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoDevice {
    /// The crate was built without its feature `gpu`.
    #[error("built without the feature `gpu`; enable it with `--features gpu`")]
    FeatureDisabled,
    /// There is no `libcuda` on this machine.
    #[error("the NVIDIA driver's library (libcuda) was not found; install the NVIDIA driver")]
    NoDriver,
    /// The driver answered with an error.
    #[error("the NVIDIA driver failed in {call}: {reason}")]
    Driver {
        /// The driver call.
        call: &'static str,
        /// The driver's text.
        reason: String,
    },
    /// The driver is there, but no card.
    #[error("the NVIDIA driver reports no device")]
    NoneFound,
}

/// A CUDA device of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The driver's number, from 0.
    pub ordinal: usize,
    /// The card's name.
    pub name: String,
    /// Compute capability, major and minor.
    pub compute_capability: (u32, u32),
    /// Bytes of device memory.
    pub memory: usize,
}

impl Device {
    /// Whether the card is new enough for the kernels: see [`MIN_COMPUTE_CAPABILITY`].
    #[must_use]
    pub fn is_supported(&self) -> bool {
        self.compute_capability >= MIN_COMPUTE_CAPABILITY
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.compute_capability;
        let gib = self.memory as f64 / f64::from(1 << 30);
        write!(f, "{}: {}, compute {major}.{minor}, {gib:.1} GiB", self.ordinal, self.name)
    }
}

/// The CUDA devices of this machine, at least one.
///
/// # Errors
/// [`NoDevice`], saying why there is none.
#[cfg(not(feature = "gpu"))]
pub fn devices() -> Result<Vec<Device>, NoDevice> {
    Err(NoDevice::FeatureDisabled)
}

/// The CUDA devices of this machine, at least one.
///
/// # Errors
/// [`NoDevice`], saying why there is none.
#[cfg(feature = "gpu")]
pub fn devices() -> Result<Vec<Device>, NoDevice> {
    driver::devices()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_never_panics_and_says_why_there_is_none() {
        match devices() {
            Ok(devices) => assert!(!devices.is_empty()),
            Err(reason) => assert!(!reason.to_string().is_empty()),
        }
        #[cfg(not(feature = "gpu"))]
        assert_eq!(devices(), Err(NoDevice::FeatureDisabled));
    }

    #[test]
    fn cards_below_turing_are_not_supported() {
        let device = |compute_capability| Device { ordinal: 0, name: "card".into(), compute_capability, memory: 1 };
        assert!(!device((7, 0)).is_supported());
        assert!(device((7, 5)).is_supported() && device((9, 0)).is_supported());
    }
}
