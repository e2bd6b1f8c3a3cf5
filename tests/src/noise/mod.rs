//! The noise of a backend with real keys: measured, against the formulas, and against the `tfhe` crate on the same key.
//!
//! [`assert_noise`] is the whole suite, for any backend that encrypts. What is tested, with a probability of
//! [`FALSE_ALARM`](statistics::FALSE_ALARM) that a run fails by chance:
//!
//! * bootstrap outputs, of a classical table and at every box at which a many-LUT table can have an output: not more
//!   variance than the formula says, the variance of the `tfhe` crate's own outputs, mean 0, and no more
//!   correlation between outputs of one bootstrap than follows from this key;
//! * the keyswitch: the variance that follows from the errors of this very key, which in turn is what the formula
//!   averages over;
//! * the modulus switch: the formula's variance, the `tfhe` crate's, mean 0;
//! * the heaviest linear form of every operation, and what is in front of the blind rotation: formula and `tfhe` crate;
//! * the probability that such a bootstrap fails: at most 2^-128;
//! * the rounding of key words and accumulators to 32 bits, by itself: the variance of rounding.

pub mod forms;
pub mod measure;
pub mod statistics;
pub mod words;

use std::collections::BTreeMap;

use fhe_core::simulate::NoiseModel;
use fhe_core::torus::BOXES;
use fhe_core::{Backend, Type};

use crate::conformance::{Fixture, Keys};
use crate::reference::ReferenceBackend;
use forms::{FormTerm, Heaviest};
use measure::{Errors, Options, Sides, measure};
use statistics::{Moments, Side, Tests, correlation, deviation, log2_tails};
use words::KeyswitchErrors;

/// log2 of the failure probability that the parameter sets were chosen for.
const LOG2_P_FAIL: f64 = -128.0;

/// Measures the noise of `f` and tests all of it; prints a table of what was measured.
pub fn assert_noise<B: Backend>(
    f: &Fixture<B>,
    reference: &Fixture<ReferenceBackend>,
    types: &[Type],
    options: &Options,
) {
    let params = f.keys.scheme().parameters();
    let operations = forms::heaviest(types, params).expect("every operation has a plan");
    let mut of_form: BTreeMap<(u32, Vec<FormTerm>), Vec<&Heaviest>> = BTreeMap::new();
    for operation in &operations {
        of_form.entry((operation.nominal(), operation.terms.clone())).or_default().push(operation);
    }
    let terms: Vec<Vec<FormTerm>> = of_form.keys().map(|(_, terms)| terms.clone()).collect();
    let errors = measure(f, reference, &terms, options);
    let key = KeyswitchErrors::new(f.keys, &reference.key);
    let step = 1.0 / (2 * params.polynomial_size()) as f64;
    let mut report = Report {
        model: NoiseModel::of(params),
        key,
        body: step * step / 12.0,
        tests: Tests::default(),
        backend: f.backend.properties().device,
    };
    println!("\n{params}, {}\n", report.backend);
    println!("| variance of | formula | measured | by tfhe | samples |\n|---|---|---|---|---|");
    report.bootstraps(&errors, f.keys);
    report.switches(&errors);
    report.roundings(&errors, f, params.lwe_dimension());
    for (form, operations) in errors.forms.iter().zip(of_form.values()) {
        report.form(form, operations);
    }
    report.failures(&errors, &operations, step);
    report.tests.assert();
}

struct Report {
    model: NoiseModel,
    key: KeyswitchErrors,
    /// Variance of the rounding of a body to 2N.
    body: f64,
    tests: Tests,
    backend: String,
}

impl Report {
    fn row(name: &str, formula: f64, ours: Option<Moments>, theirs: Option<Moments>) {
        let cell =
            |moments: Option<Moments>| moments.map_or("-".to_owned(), |moments| format!("{:.4e}", moments.variance));
        let count = |moments: Option<Moments>| moments.map_or("-".to_owned(), |moments| moments.count.to_string());
        let samples = if theirs.is_none() { count(ours) } else { format!("{}, {}", count(ours), count(theirs)) };
        println!("| {name} | {formula:.4e} | {} | {} | {samples} |", cell(ours), cell(theirs));
    }

    /// Both sides have mean 0 and the same variance.
    fn beside(&mut self, name: &str, ours: Moments, theirs: Moments) {
        self.tests.push(format!("{name}: mean"), ours.off_centre(), Side::Both);
        self.tests.push(format!("{name}: mean by tfhe"), theirs.off_centre(), Side::Both);
        self.tests.push(format!("{name}: variance beside tfhe"), ours.beside(&theirs), Side::Both);
    }

    fn bootstraps(&mut self, errors: &Errors, keys: &Keys) {
        let formula = self.model.bootstrap;
        let (ours, theirs) = moments(&errors.classical);
        Self::row("bootstrap output, one function", formula, Some(ours), Some(theirs));
        self.beside("bootstrap", ours, theirs);
        self.tests.push("bootstrap: variance", ours.against(formula), Side::Above);
        self.tests.push("bootstrap: variance by tfhe", theirs.against(formula), Side::Above);
        let theirs = Moments::of(&errors.many_theirs).of_shared();
        let mut by_distance: [Vec<f64>; BOXES] = Default::default();
        for (at, many) in errors.many.iter().enumerate() {
            let ours = Moments::of(many);
            Self::row(&format!("bootstrap output, many-LUT, box {at}"), formula, Some(ours), Some(theirs));
            self.beside(&format!("bootstrap at box {at}"), ours, theirs);
            self.tests.push(format!("bootstrap at box {at}: variance"), ours.against(formula), Side::Above);
            for (other, left) in errors.many[..at].iter().enumerate() {
                let expected = self.model.bootstrap_mask / formula * words::overlap(keys, at - other);
                let found = correlation(left, many);
                // The formulas are bounds: less in common, on either side of 0, is as good. At 0 there is only one side.
                let side = if expected == 0.0 { Side::Both } else { Side::Above };
                let sign = expected.signum();
                let deviate = ((sign * found).atanh() - expected.abs().atanh()) * (many.len() as f64 - 3.0).sqrt();
                let name = format!("outputs at boxes {other} and {at} of one bootstrap: correlation");
                self.tests.push(name, deviate, side);
                by_distance[at - other].push(found);
            }
        }
        for (distance, found) in by_distance.iter().enumerate().skip(1) {
            let (mean, pairs) = (found.iter().sum::<f64>() / found.len() as f64, found.len());
            let by_key = self.model.bootstrap_mask / formula * words::overlap(keys, distance);
            let formula = self.model.shared(distance as f64 / BOXES as f64) / formula;
            println!(
                "| correlation of outputs {distance} boxes apart | {formula:.3}, by this key {by_key:.3} | {mean:.3} | - | {pairs} pairs |"
            );
        }
    }

    fn switches(&mut self, errors: &Errors) {
        let keyswitch = Moments::of(&errors.keyswitch);
        Self::row("keyswitch, on average over keys", self.model.keyswitch, None, Some(keyswitch));
        Self::row("keyswitch, by this key", self.key.variance(), None, Some(keyswitch));
        self.tests.push("keyswitch by tfhe: mean", keyswitch.off_centre(), Side::Both);
        self.tests.push("keyswitch by tfhe: variance", keyswitch.against(self.key.variance()), Side::Both);
        // The squared errors of the rows vary at most as much as those of normal values.
        let of_key = (self.key.variance() / self.model.keyswitch).ln() / (2.0 / self.key.rows() as f64).sqrt();
        self.tests.push("keyswitch: variance by this key", of_key, Side::Both);
        let (ours, theirs) = moments(&errors.modulus_switch);
        let formula = self.model.modulus_switch + self.body;
        Self::row("modulus switch, with the rounding of the body", formula, Some(ours), Some(theirs));
        self.beside("modulus switch", ours, theirs);
        self.tests.push("modulus switch: variance", ours.against(formula), Side::Both);
        self.tests.push("modulus switch: variance by tfhe", theirs.against(formula), Side::Both);
    }

    fn roundings<B: Backend>(&mut self, errors: &Errors, f: &Fixture<B>, steps: usize) {
        let found = Moments::of(&errors.key_rounding);
        let formula = self.key.rounding_variance();
        Self::row(
            "rounding of key words to 32 bits, on average over keys",
            self.key.rounding_formula(),
            Some(found),
            None,
        );
        Self::row("rounding of key words to 32 bits, by this key", formula, Some(found), None);
        self.tests.push("rounding of key words: mean", found.off_centre(), Side::Both);
        self.tests.push("rounding of key words: variance", found.against(formula), Side::Both);
        assert!(found.variance < self.model.keyswitch / 1024.0, "key words are too coarse: {found:?}");
        let found = Moments::of(&errors.accumulator_rounding);
        let formula = words::accumulator_rounding(f.keys);
        Self::row("one rounding of an accumulator to 32 bits, at most", formula, Some(found), None);
        self.tests.push("rounding of accumulators: mean", found.off_centre(), Side::Both);
        // Below the bound: a Fourier transform of doubles leaves few bits beyond the 32nd to round.
        self.tests.push("rounding of accumulators: variance", found.against(formula), Side::Above);
        let added = formula * steps as f64;
        assert!(added < self.model.bootstrap / 1024.0, "accumulators are too coarse: {added:e}");
        let [narrow, wide] = &errors.accumulators;
        let (narrow, wide) = (Moments::of(narrow), Moments::of(wide));
        Self::row(
            "bootstrap by tfhe, accumulators of 32 bits, of 64",
            self.model.bootstrap + added,
            Some(narrow),
            Some(wide),
        );
        self.beside("accumulators of 32 bits", narrow, wide);
    }

    fn form(&mut self, form: &measure::FormErrors, operations: &[&Heaviest]) {
        let norm2 = operations[0].norm2;
        let names: Vec<&str> = operations.iter().map(|operation| operation.operation).collect();
        let term = |term: &FormTerm| format!("{}·b{}.{}", term.coefficient, term.bootstrap, term.at / 2);
        let outputs = form.terms.iter().map(|term| term.bootstrap + 1).max() < Some(form.terms.len());
        let name: Vec<String> =
            form.terms.iter().map(|one| if outputs { term(one) } else { one.coefficient.to_string() }).collect();
        let name = name.join(" ");
        let (linear, formula) = (Moments::of(&form.independent), norm2 * self.model.bootstrap);
        println!("form of norm² {norm2}, {name}: {}", names.join(", "));
        Self::row("form", formula, Some(linear), None);
        self.tests.push(format!("form {name}: mean"), linear.off_centre(), Side::Both);
        self.tests.push(format!("form {name}: variance"), linear.against(formula), Side::Above);
        let (ours, theirs) = moments(&form.front);
        let formula = self.model.at_norm(norm2.sqrt()) + self.body;
        Self::row("form in front of a blind rotation", formula, Some(ours), Some(theirs));
        self.beside(&format!("front of {name}"), ours, theirs);
        self.tests.push(format!("front of {name}: variance"), ours.against(formula), Side::Above);
        self.tests.push(format!("front of {name}: variance by tfhe"), theirs.against(formula), Side::Above);
        let added: Vec<f64> = form.front.ours.iter().zip(&form.linear).map(|(front, linear)| front - linear).collect();
        let added = Moments::of(&added);
        self.tests.push(format!("switching {name}: variance"), added.against(self.added()), Side::Both);
    }

    /// What keyswitch and modulus switch add to a form, by this key.
    fn added(&self) -> f64 {
        self.key.variance() + self.model.modulus_switch + self.body
    }

    /// The probability that a bootstrap in front of which an operation has its heaviest form gives a wrong value.
    ///
    /// The variance is put together from all fresh outputs and all switches of the run, as Σ c²·bootstrap + switches: the
    /// forms themselves have been tested to have it. It is a failure if the true variance must be above the one at which
    /// the probability is 2^-128.
    fn failures(&mut self, errors: &Errors, operations: &[Heaviest], step: f64) {
        let fresh: Vec<f64> = [&errors.classical.ours].into_iter().chain(&errors.many).flatten().copied().collect();
        let fresh = Moments::of(&fresh).of_shared();
        let fronts = errors.forms.iter().flat_map(|form| form.front.ours.iter().zip(&form.linear));
        let switches: Vec<f64> = fronts.map(|(front, linear)| front - linear).collect();
        let switches = Moments::of(&switches);
        Self::row("all bootstrap outputs", self.model.bootstrap, Some(fresh), None);
        Self::row("all keyswitches and modulus switches", self.added(), Some(switches), None);
        self.tests.push("all switches: mean", switches.off_centre(), Side::Both);
        self.tests.push("all switches: variance", switches.against(self.added()), Side::Both);
        println!(
            "\n| operation | norm² | type, form | log2 of the failure probability | formula |\n|---|---|---|---|---|"
        );
        for operation in operations {
            let (norm2, half_box) = (operation.norm2, operation.distance as f64 * step);
            // The body's rounding moves no input over the edge of a box that it is not beyond already.
            let variance = norm2 * fresh.variance + switches.variance - self.body;
            let spread = |moments: &Moments| moments.variance.powi(2) * 2.0 / (moments.count - 1) as f64;
            let spread = (norm2 * norm2 * spread(&fresh) + spread(&switches)).sqrt();
            let log2 = |variance: f64| log2_tails(half_box / variance.sqrt());
            println!(
                "| `{}` | {norm2} | {}, {:?} | {:.1} ({:.1} to {:.1}) | {:.1} |",
                operation.operation,
                operation.ty,
                operation.form,
                log2(variance),
                log2(variance - 2.0 * spread),
                log2(variance + 2.0 * spread),
                log2(self.model.at_norm(norm2.sqrt()))
            );
            let bound = (half_box / deviation(LOG2_P_FAIL)).powi(2);
            self.tests.push(format!("{}: failures", operation.operation), (variance - bound) / spread, Side::Above);
            let formula = log2(self.model.at_norm(norm2.sqrt()));
            assert!(formula <= LOG2_P_FAIL, "{operation:?} fails with probability 2^{formula}");
        }
    }
}

fn moments(sides: &Sides) -> (Moments, Moments) {
    (Moments::of(&sides.ours), Moments::of(&sides.theirs))
}
