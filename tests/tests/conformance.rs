//! Every backend does what the trait promises.

use fhe_core::CpuBackend;
use fhe_core::cpu::SimdLevel;
use fhe_core::simulate::SimulationBackend;
use fhe_tests::conformance;
use fhe_tests::reference::ReferenceBackend;

conformance!(simulation: SimulationBackend, Simulated, Ok(SimulationBackend::new()));
conformance!(simulation_with_noise: SimulationBackend, Simulated, Ok(SimulationBackend::with_noise(1)));
// The oracle passes its own suite.
conformance!(reference: ReferenceBackend, Encrypted, Ok(ReferenceBackend));
// Every instruction set; one that the processor lacks is skipped with a notice, and eight lanes of portable code cover
// the layout of AVX-512 on any machine.
conformance!(cpu_portable: CpuBackend, Encrypted, CpuBackend::with_simd(2, SimdLevel::Portable));
conformance!(cpu_portable_wide: CpuBackend, Encrypted, CpuBackend::with_simd(2, SimdLevel::PortableWide));
conformance!(cpu_avx2: CpuBackend, Encrypted, CpuBackend::with_simd(2, SimdLevel::Avx2));
conformance!(cpu_avx512: CpuBackend, Encrypted, CpuBackend::with_simd(2, SimdLevel::Avx512));
conformance!(cpu_avx512_vnni: CpuBackend, Encrypted, CpuBackend::with_simd(2, SimdLevel::Avx512Vnni));
