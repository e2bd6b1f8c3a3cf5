//! Device code of the CUDA backend, as constants: the PTX of each kernel, for each minimum architecture.
//!
//! The crate has no dependencies and runs nothing; `fhe-gpu` hands the text to the NVIDIA driver, which compiles it
//! for the card at hand. The text is compiled from `cuda/` by `cargo xtask kernels`; `MANIFEST` says with what.

// Generated: see `cargo xtask kernels`.
#[rustfmt::skip]
mod modules;

pub use modules::MODULES;

/// PTX of one module for cards from one compute capability on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module {
    /// Name of the source file, without its ending.
    pub name: &'static str,
    /// Lowest compute capability that can load it, as `10·major + minor`.
    pub compute: u32,
    /// The PTX text.
    pub ptx: &'static str,
}

/// The module of that name for a card of that compute capability: the one with the highest capability that the card
/// can load.
#[must_use]
pub fn module(name: &str, compute: u32) -> Option<&'static Module> {
    best(MODULES, name, compute)
}

fn best<'a>(modules: &'a [Module], name: &str, compute: u32) -> Option<&'a Module> {
    modules.iter().filter(|module| module.name == name && module.compute <= compute).max_by_key(|module| module.compute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_loadable_module_is_chosen() {
        let at = |compute| Module { name: "m", compute, ptx: "" };
        let modules = [at(75), at(90), at(80)];
        assert_eq!(best(&modules, "m", 86).map(|module| module.compute), Some(80));
        assert_eq!(best(&modules, "m", 70), None);
        assert_eq!(best(&modules, "other", 90), None);
        assert_eq!(module("no such module", 90), None);
    }

    #[test]
    fn modules_are_sorted_and_hold_their_ptx() {
        assert!(MODULES.is_sorted_by_key(|module| (module.name, module.compute)));
        for module in MODULES {
            let target = format!("\n.target sm_{}\n", module.compute);
            assert!(module.ptx.contains(&target), "{} {}", module.name, module.compute);
            assert_eq!(super::module(module.name, module.compute), Some(module));
        }
    }
}
