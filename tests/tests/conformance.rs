//! Every backend does what the trait promises.

use fhe_core::simulate::SimulationBackend;
use fhe_tests::conformance;
use fhe_tests::reference::ReferenceBackend;

conformance!(simulation: SimulationBackend, Simulated, Ok(SimulationBackend::new()));
conformance!(simulation_with_noise: SimulationBackend, Simulated, Ok(SimulationBackend::with_noise(1)));
// The oracle passes its own suite.
conformance!(reference: ReferenceBackend, Encrypted, Ok(ReferenceBackend));
