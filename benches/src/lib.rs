//! What the benchmarks share: measurements of one side and of two sides in turn.

pub mod paired;
pub mod sampling;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    /// Times of the emulated driver say nothing about a card, so no such file may pass for evidence.
    #[test]
    fn evidence_comes_from_cards() {
        // Seen from the package, where tests run: an archive of them may have been built in another folder.
        for file in std::fs::read_dir("evidence").unwrap().map(|file| file.unwrap().path()) {
            if file.extension().is_some_and(|extension| extension == "json") {
                let evidence: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
                assert_eq!(evidence["emulated"], false, "{}", file.display());
                assert_eq!(evidence["schema_version"], 1, "{}", file.display());
            }
        }
    }
}
