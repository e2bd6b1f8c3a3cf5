//! Keys.
use crate::params::Scheme;
/// Evaluation key (placeholder until the keys module lands).
#[derive(Debug)]
pub struct EvaluationKey {
    scheme: Scheme,
}
impl EvaluationKey {
    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }
}
