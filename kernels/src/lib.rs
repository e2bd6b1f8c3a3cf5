//! Device code of the CUDA backend, as constants: the PTX of each kernel, for each minimum architecture.
//!
//! The crate has no dependencies and runs nothing; `fhe-gpu` hands the text to the NVIDIA driver, which compiles it
//! for the card at hand.

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

/// All modules. Empty in this version: no kernel has been released yet.
pub const MODULES: &[Module] = &[];

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
        assert_eq!(module("m", 90), None);
    }
}
