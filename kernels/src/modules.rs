// Written by `cargo xtask kernels`, not by hand.

use crate::Module;

/// All modules, sorted by name and compute capability.
pub const MODULES: &[Module] = &[];
