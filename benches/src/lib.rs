//! What the benchmarks share: the catalogue of operations, and measurements of one side and of two sides in turn.

pub mod catalogue;
pub mod paired;
pub mod sampling;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    /// Times of the emulated driver say nothing about a card, so no such file may pass for evidence.
    #[test]
    fn evidence_comes_from_cards() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("evidence");
        for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
            if file.extension().is_some_and(|extension| extension == "json") {
                let evidence: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
                assert_eq!(evidence["emulated"], false, "{}", file.display());
                assert_eq!(evidence["schema_version"], 1, "{}", file.display());
            }
        }
    }
}
