//! Every backend does what the trait promises.

use fhe_core::simulate::SimulationBackend;
use fhe_tests::conformance;

conformance!(simulation: SimulationBackend, Simulated, Ok(SimulationBackend::new()));
conformance!(simulation_with_noise: SimulationBackend, Simulated, Ok(SimulationBackend::with_noise(1)));
