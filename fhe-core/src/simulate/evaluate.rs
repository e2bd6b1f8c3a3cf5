//! Traced code tried on clear values, without keys.

use crate::ciphertext::Batch;
use crate::engine::{Engine, RunOptions};
use crate::error::Result;
use crate::keys::ClientKey;
use crate::params::ParameterSet;
use crate::program::{Encrypted, Form, Program, Trace};
use crate::simulate::SimulationBackend;
use crate::types::Clear;

/// Clear values that stand for encrypted inputs of the same shape: one value, an array, or a tuple of up to four.
pub trait Inputs {
    /// The encrypted values.
    type Encrypted;

    /// Declares the inputs, named after `name`.
    fn declare(&self, trace: &Trace, name: &str) -> Self::Encrypted;

    /// Adds their columns, of one row.
    ///
    /// # Errors
    /// As [`Batch::with`].
    fn add(&self, client: &ClientKey, batch: Batch, name: &str) -> Result<Batch>;
}

/// Encrypted results and the clear values of the same shape: one value, a vector, or a tuple of up to four.
pub trait Outputs {
    /// The clear values.
    type Clear;

    /// Declares the outputs, named after `name`.
    fn declare(&self, trace: &Trace, name: &str);

    /// Reads the first row.
    ///
    /// # Errors
    /// As [`Batch::column`] and [`ClientKey::decrypt`].
    fn read(&self, client: &ClientKey, batch: &Batch, name: &str) -> Result<Self::Clear>;
}

/// The result of traced code on clear values: what the program gives on encrypted ones.
///
/// Runs on the simulation backend, with simulated noise, in both forms of the program. It is for trying out and for
/// testing programs: tracing takes more time than running them.
///
/// ```
/// use fhe_core::simulate::evaluate;
/// let discount = |price: u32| evaluate(price, |price| price.gt(1000).select(price - 50, price));
/// assert_eq!((discount(1200)?, discount(900)?), (1150, 900));
/// # Ok::<(), fhe_core::Error>(())
/// ```
///
/// # Errors
/// As [`Program::trace`].
///
/// # Panics
/// If the two forms of the program give different results, which would be a bug of this library.
#[allow(clippy::needless_pass_by_value, reason = "arguments read as values")]
pub fn evaluate<I: Inputs, O: Outputs>(inputs: I, code: impl FnOnce(&I::Encrypted) -> O) -> Result<O::Clear>
where
    O::Clear: PartialEq + std::fmt::Debug,
{
    let mut outputs = None;
    let program = Program::trace(|trace| {
        let traced = code(&inputs.declare(trace, "in"));
        traced.declare(trace, "out");
        outputs = Some(traced);
    })?;
    let outputs = outputs.expect("`trace` calls its closure");
    let client = ClientKey::simulated(ParameterSet::default());
    let engine = Engine::new(SimulationBackend::with_noise(0), &client.evaluation_key()?)?;
    let batch = inputs.add(&client, Batch::new(), "in")?;
    let run = |form| {
        let (result, _) = engine.run_with(&program, &batch, RunOptions::new().form(form))?;
        outputs.read(&client, &result, "out")
    };
    let (result, other) = (run(Form::Throughput)?, run(Form::Latency)?);
    assert_eq!(result, other, "the forms of a program disagree");
    Ok(result)
}

impl<T: Clear> Inputs for T {
    type Encrypted = Encrypted<T>;

    fn declare(&self, trace: &Trace, name: &str) -> Encrypted<T> {
        trace.input(name)
    }

    fn add(&self, client: &ClientKey, batch: Batch, name: &str) -> Result<Batch> {
        batch.with(name, client.encrypt(&[*self])?)
    }
}

impl<T: Clear, const N: usize> Inputs for [T; N] {
    type Encrypted = [Encrypted<T>; N];

    fn declare(&self, trace: &Trace, name: &str) -> [Encrypted<T>; N] {
        std::array::from_fn(|at| self[at].declare(trace, &format!("{name}.{at}")))
    }

    fn add(&self, client: &ClientKey, batch: Batch, name: &str) -> Result<Batch> {
        let mut values = self.iter().enumerate();
        values.try_fold(batch, |batch, (at, value)| value.add(client, batch, &format!("{name}.{at}")))
    }
}

impl<T: Clear> Outputs for Encrypted<T> {
    type Clear = T;

    fn declare(&self, trace: &Trace, name: &str) {
        trace.output(name, self);
    }

    fn read(&self, client: &ClientKey, batch: &Batch, name: &str) -> Result<T> {
        // The batch has as many rows as its inputs: one.
        Ok(client.decrypt(batch.column(name)?)?[0])
    }
}

impl<O: Outputs> Outputs for Vec<O> {
    type Clear = Vec<O::Clear>;

    fn declare(&self, trace: &Trace, name: &str) {
        self.iter().enumerate().for_each(|(at, value)| value.declare(trace, &format!("{name}.{at}")));
    }

    fn read(&self, client: &ClientKey, batch: &Batch, name: &str) -> Result<Self::Clear> {
        self.iter().enumerate().map(|(at, value)| value.read(client, batch, &format!("{name}.{at}"))).collect()
    }
}

macro_rules! tuples {
    ($($($name:ident $at:tt),+;)*) => {$(
        impl<$($name: Inputs),+> Inputs for ($($name,)+) {
            type Encrypted = ($($name::Encrypted,)+);

            fn declare(&self, trace: &Trace, name: &str) -> Self::Encrypted {
                ($(self.$at.declare(trace, &format!("{name}.{}", $at)),)+)
            }

            fn add(&self, client: &ClientKey, batch: Batch, name: &str) -> Result<Batch> {
                $(let batch = self.$at.add(client, batch, &format!("{name}.{}", $at))?;)+
                Ok(batch)
            }
        }

        impl<$($name: Outputs),+> Outputs for ($($name,)+) {
            type Clear = ($($name::Clear,)+);

            fn declare(&self, trace: &Trace, name: &str) {
                $(self.$at.declare(trace, &format!("{name}.{}", $at));)+
            }

            fn read(&self, client: &ClientKey, batch: &Batch, name: &str) -> Result<Self::Clear> {
                Ok(($(self.$at.read(client, batch, &format!("{name}.{}", $at))?,)+))
            }
        }
    )*};
}

tuples! {
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
}
