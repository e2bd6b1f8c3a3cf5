//! Which operation, width, form and values each unit of work has.

use fhe_core::{Form, Type};
use fhe_tests::catalogue::{OPERATIONS, Operation};
use fhe_tests::columns::Numbers;

/// Rows of a unit: enough to share the planning of its program, few enough to see many widths.
const ROWS_SIMULATED: usize = 48;
const ROWS_ENCRYPTED: usize = 4;

/// Of encrypted units, which are of 2 to 32 bits, one in so many is of 64 to 256 and has one row: no divisor of the number
/// of operations, so that all of them have their turn.
const WIDE_EVERY: u64 = 25;

/// One operation on a few rows.
pub struct Unit {
    pub number: u64,
    pub operation: &'static Operation,
    pub ty: Type,
    pub form: Form,
    pub rows: usize,
    /// For the values.
    pub seed: u64,
}

/// The same units for the same seed: operations take turns, and each draws its type and form.
pub struct Schedule {
    seed: u64,
    simulated: bool,
}

impl Schedule {
    pub fn new(seed: u64, simulated: bool) -> Self {
        Self { seed, simulated }
    }

    pub fn unit(&self, number: u64) -> Unit {
        let operations = OPERATIONS.len() as u64;
        let operation = &OPERATIONS[(number % operations) as usize];
        let mut numbers = Numbers(self.seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        let wide = !self.simulated && number % WIDE_EVERY == WIDE_EVERY - 1;
        let ty = loop {
            let bits = match (self.simulated, wide) {
                (true, _) => any_width(&mut numbers),
                (false, true) => [64, 64, 64, 128, 128, 256][numbers.below(6)],
                (false, false) => [2, 6, 8, 8, 8, 10, 16, 16, 24, 32][numbers.below(10)],
            };
            let ty = if numbers.below(2) == 0 { Type::Uint(bits) } else { Type::Int(bits) };
            // A few operations take narrow types only.
            if operation.graph(ty).is_ok() {
                break ty;
            }
            if wide && numbers.below(20) == 0 {
                break Type::Uint(8);
            }
        };
        let form = if numbers.below(2) == 0 { Form::Throughput } else { Form::Latency };
        let rows = match (self.simulated, wide) {
            (true, _) => ROWS_SIMULATED,
            (false, true) => 1,
            (false, false) => ROWS_ENCRYPTED,
        };
        Unit { number, operation, ty, form, rows, seed: numbers.word() }
    }
}

/// Every even width; half of the time the narrow ones, which programs take less time to plan for.
fn any_width(numbers: &mut Numbers) -> u32 {
    match numbers.below(10) {
        0..5 => 2 + 2 * numbers.below(16) as u32,
        5..9 => 2 + 2 * numbers.below(64) as u32,
        _ => 2 + 2 * numbers.below(128) as u32,
    }
}
