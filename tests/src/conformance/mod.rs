//! One suite of tests for every [`Backend`], at real parameters.
//!
//! A backend gets the whole suite by one line of [`conformance!`](macro@crate::conformance). Each case is a function over a
//! [`Fixture`]; it states what the trait promises, against a naive computation on the host. Slow backends run it too,
//! so cases bootstrap sparingly: about 200 times altogether.

mod fixture;
mod keys;
mod random;

pub mod linear;
pub mod order;
pub mod shapes;
pub mod tables;
pub mod transfer;

pub use fixture::Fixture;
pub(crate) use keys::phase;
pub use keys::{Keys, Kind};
pub use random::Random;

use fhe_core::Backend;

/// One case of the suite.
#[derive(Debug)]
pub struct Case<B: Backend> {
    /// The module and the function, for reports.
    pub name: &'static str,
    /// Panics if the backend does not do what the case asks for.
    pub run: fn(&Fixture<B>),
}

/// All cases, for programs that are no tests; in the order of the trait's documentation.
#[must_use]
pub fn cases<B: Backend>() -> Vec<Case<B>> {
    macro_rules! list {
        ($($module:ident: $($case:ident),+;)+) => {
            vec![$($(Case { name: concat!(stringify!($module), "::", stringify!($case)), run: $module::$case::<B> }),+),+]
        };
    }
    crate::conformance_cases!([list])
}

/// The list of all cases, handed to another macro: the only one there is.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ([$($callback:tt)+] $($before:tt)*) => {
        $($callback)+ ! { $($before)*
            transfer: uploads_come_back, offsets_and_empty_ranges, downloads_leave_the_rest;
            linear: forms_match_the_host, extreme_coefficients_wrap, many_forms_and_long_forms,
                empty_forms_are_trivial, zero_forms_and_zero_rows;
            tables: every_input_through_every_table, negacyclic_tables, several_functions_in_one_table,
                lookups_in_any_order, constant_tables, trivial_inputs, sums_at_the_largest_norm,
                switched_phases_are_centred, no_lookups_and_no_rows;
            order: calls_follow_one_another, bootstraps_leave_the_rest, forms_and_keyswitches_leave_the_rest,
                two_parameter_sets, two_threads, keys_of_the_other_kind;
            shapes: transfers_that_do_not_fit, forms_that_do_not_fit, keyswitches_that_do_not_fit,
                lookups_that_do_not_fit, bootstraps_that_do_not_fit;
        }
    };
}

/// Makes a module of tests, all cases for one backend: a name, the backend's type, the [`Kind`] of its keys, and an
/// expression that opens it.
///
/// The expression is a `fhe_core::Result`; [`Unavailable`](fhe_core::Error::Unavailable) skips the cases, with a line
/// of notice. The backend, with its key, is shared by all cases, which run side by side.
///
/// ```text
/// conformance!(simulation: SimulationBackend, Simulated, Ok(SimulationBackend::new()));
/// ```
#[macro_export]
macro_rules! conformance {
    ($name:ident: $backend:ty, $kind:ident, $open:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "for the names in the expression")]
            use super::*;

            static FIXTURE: std::sync::LazyLock<Option<$crate::conformance::Fixture<$backend>>> =
                std::sync::LazyLock::new(|| {
                    $crate::conformance::Fixture::open($crate::conformance::Kind::$kind, $open)
                });

            $crate::conformance_cases!([$crate::conformance] @cases);
        }
    };
    (@cases $($module:ident: $($case:ident),+;)+) => {$($(
        #[test]
        fn $case() {
            if let Some(fixture) = FIXTURE.as_ref() {
                $crate::conformance::$module::$case(fixture);
            }
        }
    )+)+};
}
