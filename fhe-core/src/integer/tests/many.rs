//! Operations on many operands: sum, count, all, any.

use super::*;
use crate::types::Bits;

fn inputs(b: &mut Builder, ty: Type, number: usize) -> Vec<Word> {
    (0..number).map(|i| Word::input(b, i as u32, ty)).collect()
}

#[test]
fn sums_of_many_values() {
    let mut numbers = Numbers(6);
    for (ty, form) in [2, 8, 22, 32, 64].into_iter().flat_map(|bits| FORMS.map(|form| (Type::Uint(bits), form))) {
        for number in [1, 2, 3, 4, 5, 6, 7, 8, 13, 40] {
            let build = |b: &mut Builder| {
                let words = inputs(b, ty, number);
                ops::sum(b, &words, form)
            };
            let mut circuit = circuit(build, "sum");
            for round in 0..50 {
                let values: Vec<u64> =
                    (0..number).map(|_| if round == 0 { cut(ty, u64::MAX) } else { cut(ty, numbers.next()) }).collect();
                let expected = cut(ty, values.iter().fold(0, |sum, x| sum.wrapping_add(*x)));
                assert_eq!(circuit.run(&values), expected, "{ty} {form:?} {values:?}");
            }
        }
    }
}

#[test]
fn sums_of_one_value_taken_many_times() {
    for form in FORMS {
        for times in 1..40u64 {
            let build = |b: &mut Builder| {
                let x = Word::input(b, 0, Type::Uint(16));
                ops::sum(b, &vec![x; times as usize], form)
            };
            let mut circuit = circuit(build, "sum");
            for x in edges(Type::Uint(16)) {
                assert_eq!(circuit.run(&[x]), (x * times) & 0xffff, "{form:?} {times} {x}");
            }
        }
    }
}

#[test]
fn truth_values_of_many() {
    let mut numbers = Numbers(7);
    for number in (1..=45).chain([60, 100, 300, 1000]) {
        let build = |f: fn(&mut Builder, &[Word]) -> Word| {
            move |b: &mut Builder| {
                let words = inputs(b, Type::Bool, number);
                f(b, &words)
            }
        };
        let mut all = circuit(build(ops::all), "all");
        let mut any = circuit(build(ops::any), "any");
        let mut counts: Vec<(Type, Circuit)> = FORMS
            .into_iter()
            .flat_map(|form| [(Type::Uint(8), form), (Type::Uint(32), form)])
            .map(|(ty, form)| {
                let build = |b: &mut Builder| {
                    let words = inputs(b, Type::Bool, number);
                    ops::count(b, &words, ty, form)
                };
                (ty, circuit(build, "count"))
            })
            .collect();
        let one = |value: u64| (0..number).map(|i| value ^ u64::from(i == number / 2)).collect::<Vec<u64>>();
        let mut rows = vec![vec![0; number], vec![1; number], one(0), one(1)];
        rows.extend((0..20).map(|_| (0..number).map(|_| numbers.next() & 1).collect::<Vec<u64>>()));
        for row in rows {
            let count: u64 = row.iter().sum();
            assert_eq!(all.run(&row), u64::from(count == number as u64), "all of {number}");
            assert_eq!(any.run(&row), u64::from(count > 0), "any of {number}");
            for (ty, circuit) in &mut counts {
                assert_eq!(circuit.run(&row), cut(*ty, count), "{ty}: count of {number}");
            }
        }
    }
}

#[test]
fn flags_taken_twice_and_flags_known() {
    let build = |f: fn(&mut Builder, &[Word]) -> Word, known: u64| {
        move |b: &mut Builder| {
            let (x, y) = (Word::input(b, 0, Type::Bool), Word::input(b, 1, Type::Bool));
            let known = Word::constant(Type::Bool, known);
            let not = ops::not(&x);
            let mut flags = vec![x; 9];
            flags.extend([not, y, known]);
            f(b, &flags)
        }
    };
    for (x, y, known) in (0..8).map(|i| (i & 1, i >> 1 & 1, i >> 2)) {
        assert_eq!(circuit(build(ops::all, known), "all").run(&[x, y]), 0);
        assert_eq!(circuit(build(ops::any, known), "any").run(&[x, y]), 1);
        for form in FORMS {
            let count = |b: &mut Builder| {
                let (x, y) = (Word::input(b, 0, Type::Bool), Word::input(b, 1, Type::Bool));
                let mut flags = vec![x; 30];
                flags.push(y);
                ops::count(b, &flags, Type::Uint(8), form)
            };
            assert_eq!(circuit(count, "count").run(&[x, y]), 30 * x + y);
        }
    }
}

#[test]
fn operands_that_do_not_go_together_are_errors() {
    let mut b = Builder::new();
    let (x, y) = (Word::input(&mut b, 0, Type::Uint(8)), Word::input(&mut b, 1, Type::Uint(16)));
    let sum = ops::add(&mut b, &x, &y, Form::Throughput);
    assert_eq!(sum.as_constant(), Some(Bits::ZERO));
    assert!(b.check().is_err());
    let _ = ops::select(&mut b, &x, &y, &y);
    assert!(b.check().is_err());
    let _ = ops::sum(&mut b, &[], Form::Throughput);
    assert!(b.check().is_err());
    let short = Word { ty: Type::Uint(16), blocks: x.blocks.clone() };
    for form in FORMS {
        let _ = ops::shift(&mut b, ShiftOp::Left, &short, &x, form);
        assert!(b.check().is_err());
        let _ = ops::mul(&mut b, &y, &short, form);
        assert!(b.check().is_err());
    }
}
