//! Every operation that the `tfhe` crate has too, on its own keys and ciphertexts: both sides decrypt to the same.

use std::sync::LazyLock;

use fhe_core::{
    Batch, Clear, ClientKey, Column, CpuBackend, Encrypted, Engine, EvaluationKey, Form, ParameterSet, Program,
    RunOptions, Trace,
};
use tfhe::prelude::*;
use tfhe::{FheBool, FheInt8, FheUint8, FheUint32, MatchValues, set_server_key};

struct Side {
    client: ClientKey,
    key: EvaluationKey,
    engine: Engine<CpuBackend>,
}

static SIDE: LazyLock<Side> = LazyLock::new(|| {
    let client = ClientKey::generate(ParameterSet::default()).unwrap();
    let key = client.evaluation_key().unwrap();
    let engine = Engine::new(CpuBackend::new().unwrap(), &key).unwrap();
    Side { client, key, engine }
});

/// What the peer gave, by the name of our output.
#[derive(Default)]
struct Answers(Vec<(String, i128)>);

impl Answers {
    fn push<V: FheDecrypt<T>, T: Into<i128>>(&mut self, name: &str, value: &V) {
        let secret = SIDE.client.to_tfhe().unwrap();
        let clear: T = value.decrypt(secret);
        self.0.push((name.to_owned(), clear.into()));
    }

    fn byte(&mut self, name: &str, value: &FheUint8) {
        self.push::<_, u8>(name, value);
    }

    fn signed(&mut self, name: &str, value: &FheInt8) {
        self.push::<_, i8>(name, value);
    }

    fn flag(&mut self, name: &str, value: &FheBool) {
        let secret = SIDE.client.to_tfhe().unwrap();
        self.0.push((name.to_owned(), i128::from(value.decrypt(secret))));
    }

    fn count(&mut self, name: &str, value: &FheUint32) {
        self.push::<_, u32>(name, value);
    }
}

fn output<T: Clear>(t: &Trace, name: &str, value: &Encrypted<T>) {
    t.output(name, value);
}

/// Our answers for the same ciphertexts, in both forms.
fn ours(program: &Program, a: Column, b: Column) -> Vec<Vec<(String, i128)>> {
    let batch = Batch::new().with("a", a).unwrap().with("b", b).unwrap();
    let run = |form| {
        let (result, _) = SIDE.engine.run_with(program, &batch, RunOptions::new().form(form)).unwrap();
        let value = |(name, column): (&str, &Column)| {
            let bits = SIDE.client.decrypt_bits(column).unwrap()[0];
            let signed = column.ty().is_signed() && bits.bit(column.ty().bits() - 1);
            let value = i128::try_from(u128::try_from(bits).unwrap()).unwrap();
            (name.to_owned(), if signed { value - (1 << column.ty().bits()) } else { value })
        };
        result.columns().map(value).collect()
    };
    [Form::Throughput, Form::Latency].map(run).into()
}

fn agree(what: &str, ours: Vec<Vec<(String, i128)>>, peers: &Answers) {
    for answers in ours {
        for (name, expected) in &peers.0 {
            let found = answers.iter().find(|answer| answer.0 == *name).unwrap_or_else(|| panic!("no output {name}"));
            assert_eq!(found.1, *expected, "{name} of {what}");
        }
        assert_eq!(answers.len(), peers.0.len(), "every output has an answer of the peer");
    }
}

#[test]
fn unsigned_bytes() {
    let program = Program::trace(|t| {
        let (a, b) = (t.input::<u8>("a"), t.input::<u8>("b"));
        let (quotient, remainder) = a.div_rem(&b);
        output(t, "div", &quotient);
        output(t, "rem", &remainder);
        output(t, "div 13", &(&a / 13));
        output(t, "rem 13", &(&a % 13));
        output(t, "mul", &(&a * &b));
        output(t, "neg", &-&a);
        output(t, "or 0x35", &(&a | 0x35));
        for (name, (value, overflowed)) in
            [("add", a.overflowing_add(&b)), ("sub", a.overflowing_sub(&b)), ("product", a.overflowing_mul(&b))]
        {
            output(t, name, &value);
            output(t, &format!("{name} overflows"), &overflowed);
        }
        output(t, "shl", &(&a << &b));
        output(t, "shr", &(&a >> &b));
        output(t, "rotl", &a.rotate_left(&b));
        output(t, "rotr", &a.rotate_right(&b));
        output(t, "min", &a.min(&b));
        output(t, "max", &a.max(&b));
        output(t, "le", &a.le(&b));
        output(t, "gt 100", &a.gt(100));
        output(t, "leading_zeros", &a.leading_zeros());
        output(t, "leading_ones", &a.leading_ones());
        output(t, "trailing_zeros", &a.trailing_zeros());
        output(t, "trailing_ones", &a.trailing_ones());
        output(t, "count_ones", &a.count_ones());
        output(t, "count_zeros", &a.count_zeros());
        output(t, "ilog2", &a.ilog2());
        output(t, "ilog2 is valid", &a.checked_ilog2().1);
        output(t, "is_even", &a.is_even());
        output(t, "is_odd", &a.is_odd());
        output(t, "reverse_bits", &a.reverse_bits());
        let (matched, found) = a.match_value(&[(200, 3u8), (0, 9), (17, 255)]);
        output(t, "match", &matched);
        output(t, "matches", &found);
        output(t, "sum", &t.sum(&[a.clone(), b.clone(), a.clone()]));
    })
    .unwrap();
    let side = &*SIDE;
    let secret = side.client.to_tfhe().unwrap();
    set_server_key(side.key.to_tfhe().unwrap().decompress());
    let cases = MatchValues::new(vec![(200u8, 3u8), (0, 9), (17, 255)]).unwrap();
    for (x, y) in [(200u8, 7u8), (0, 0)] {
        let (a, b) = (FheUint8::encrypt(x, secret), FheUint8::encrypt(y, secret));
        let mut peers = Answers::default();
        let (quotient, remainder) = (&a).div_rem(&b);
        peers.byte("div", &quotient);
        peers.byte("rem", &remainder);
        peers.byte("div 13", &(&a / 13u8));
        peers.byte("rem 13", &(&a % 13u8));
        peers.byte("mul", &(&a * &b));
        peers.byte("neg", &-&a);
        peers.byte("or 0x35", &(&a | 0x35u8));
        for (name, (value, overflowed)) in [
            ("add", (&a).overflowing_add(&b)),
            ("sub", (&a).overflowing_sub(&b)),
            ("product", (&a).overflowing_mul(&b)),
        ] {
            peers.byte(name, &value);
            peers.flag(&format!("{name} overflows"), &overflowed);
        }
        peers.byte("shl", &(&a << &b));
        peers.byte("shr", &(&a >> &b));
        peers.byte("rotl", &(&a).rotate_left(&b));
        peers.byte("rotr", &(&a).rotate_right(&b));
        peers.byte("min", &a.min(&b));
        peers.byte("max", &a.max(&b));
        peers.flag("le", &a.le(&b));
        peers.flag("gt 100", &a.gt(100u8));
        peers.count("leading_zeros", &a.leading_zeros());
        peers.count("leading_ones", &a.leading_ones());
        peers.count("trailing_zeros", &a.trailing_zeros());
        peers.count("trailing_ones", &a.trailing_ones());
        peers.count("count_ones", &a.count_ones());
        peers.count("count_zeros", &a.count_zeros());
        let (ilog2, valid) = a.checked_ilog2();
        if x == 0 {
            // There is none, and what stands for it is not the same: here all bits set.
            peers.0.push(("ilog2".to_owned(), i128::from(u32::MAX)));
        } else {
            peers.count("ilog2", &ilog2);
        }
        peers.flag("ilog2 is valid", &valid);
        peers.flag("is_even", &a.is_even());
        peers.flag("is_odd", &a.is_odd());
        peers.byte("reverse_bits", &a.reverse_bits());
        let (matched, found): (FheUint8, FheBool) = a.match_value(&cases).unwrap();
        peers.byte("match", &matched);
        peers.flag("matches", &found);
        peers.byte("sum", &[&a, &b, &a].into_iter().sum());
        let column = |x: &FheUint8| Column::from_tfhe([x.clone()], side.client.parameters()).unwrap();
        agree(&format!("{x}, {y}"), ours(&program, column(&a), column(&b)), &peers);
    }
}

#[test]
fn signed_bytes() {
    let program = Program::trace(|t| {
        let (a, b) = (t.input::<i8>("a"), t.input::<i8>("b"));
        let (quotient, remainder) = a.div_rem(&b);
        output(t, "div", &quotient);
        output(t, "rem", &remainder);
        output(t, "div -5", &(&a / -5));
        output(t, "rem -5", &(&a % -5));
        output(t, "abs", &a.abs());
        for (name, (value, overflowed)) in
            [("add", a.overflowing_add(&b)), ("sub", a.overflowing_sub(&b)), ("product", a.overflowing_mul(&b))]
        {
            output(t, name, &value);
            output(t, &format!("{name} overflows"), &overflowed);
        }
        output(t, "min", &a.min(&b));
        output(t, "lt", &a.lt(&b));
        output(t, "shr 3", &(&a >> 3));
        output(t, "leading_ones", &a.leading_ones());
        output(t, "trailing_zeros", &a.trailing_zeros());
        output(t, "is_odd", &a.is_odd());
        output(t, "reverse_bits", &a.reverse_bits());
        output(t, "cast", &a.cast::<u8>());
    })
    .unwrap();
    let side = &*SIDE;
    let secret = side.client.to_tfhe().unwrap();
    set_server_key(side.key.to_tfhe().unwrap().decompress());
    for (x, y) in [(-100i8, 7i8), (-128, -1), (-77, 0)] {
        let (a, b) = (FheInt8::encrypt(x, secret), FheInt8::encrypt(y, secret));
        let mut peers = Answers::default();
        let (quotient, remainder) = (&a).div_rem(&b);
        peers.signed("div", &quotient);
        peers.signed("rem", &remainder);
        peers.signed("div -5", &(&a / -5i8));
        peers.signed("rem -5", &(&a % -5i8));
        peers.signed("abs", &a.abs());
        for (name, (value, overflowed)) in [
            ("add", (&a).overflowing_add(&b)),
            ("sub", (&a).overflowing_sub(&b)),
            ("product", (&a).overflowing_mul(&b)),
        ] {
            peers.signed(name, &value);
            peers.flag(&format!("{name} overflows"), &overflowed);
        }
        peers.signed("min", &a.min(&b));
        peers.flag("lt", &a.lt(&b));
        peers.signed("shr 3", &(&a >> 3u8));
        peers.count("leading_ones", &a.leading_ones());
        peers.count("trailing_zeros", &a.trailing_zeros());
        peers.flag("is_odd", &a.is_odd());
        peers.signed("reverse_bits", &a.reverse_bits());
        peers.byte("cast", &a.clone().cast_into());
        let column = |x: &FheInt8| Column::from_tfhe([x.clone()], side.client.parameters()).unwrap();
        agree(&format!("{x}, {y}"), ours(&program, column(&a), column(&b)), &peers);
    }
}
