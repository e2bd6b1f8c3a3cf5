//! All pairs of 8-bit values; all clear 8-bit operands.

use super::*;

#[test]
fn every_operation_on_all_pairs_of_8_bits() {
    for ty in [Type::Uint(8), Type::Int(8)] {
        for form in FORMS {
            for (op, second) in all_binaries(ty) {
                let build = |b: &mut Builder| {
                    let (x, y) = (Word::input(b, 0, ty), Word::input(b, 1, second));
                    (op.build)(b, &x, &y, form)
                };
                let mut circuit = circuit(build, op.name);
                for (x, y) in (0..256).flat_map(|x| (0..256).map(move |y| (x, y))) {
                    let (found, expected) = (circuit.run(&[x, y]), (op.clear)(ty, x, y));
                    assert_eq!(found, expected, "{ty} {form:?}: {} {x} {y}", op.name);
                }
            }
        }
    }
}

#[test]
fn every_operation_with_all_clear_8_bit_operands() {
    for ty in [Type::Uint(8), Type::Int(8)] {
        for form in FORMS {
            for (op, second) in all_binaries(ty) {
                for clear in 0..256 {
                    let right = |b: &mut Builder| {
                        let (x, y) = (Word::input(b, 0, ty), Word::constant(second, clear));
                        (op.build)(b, &x, &y, form)
                    };
                    let left = |b: &mut Builder| {
                        let (x, y) = (Word::constant(ty, clear), Word::input(b, 0, second));
                        (op.build)(b, &x, &y, form)
                    };
                    let (mut right, mut left) = (circuit(right, op.name), circuit(left, op.name));
                    for value in (0..256).step_by(5).chain([clear, 254]) {
                        let name = op.name;
                        assert_eq!(
                            right.run(&[value]),
                            (op.clear)(ty, value, clear),
                            "{form:?} {name} {value} {clear}"
                        );
                        assert_eq!(left.run(&[value]), (op.clear)(ty, clear, value), "{form:?} {name} {clear} {value}");
                    }
                }
            }
        }
    }
}

#[test]
fn shifts_by_all_clear_amounts() {
    for ty in [2, 6, 8, 12, 16, 24, 64].into_iter().flat_map(|bits| [Type::Uint(bits), Type::Int(bits)]) {
        for op in [ShiftOp::Left, ShiftOp::Right, ShiftOp::RotateLeft, ShiftOp::RotateRight] {
            for amount in 0..256 {
                let mut circuit = circuit(
                    |b| {
                        let x = Word::input(b, 0, ty);
                        ops::shift_clear(b, op, &x, amount)
                    },
                    "shift",
                );
                for x in edges(ty) {
                    let expected = clear_shift(op, ty, x, u64::from(amount));
                    assert_eq!(circuit.run(&[x]), expected, "{ty} {op:?} {x} {amount}");
                }
            }
        }
    }
}

#[test]
fn unary_operations_on_all_8_bit_values() {
    for ty in [Type::Uint(8), Type::Int(8)] {
        for form in FORMS {
            let mut neg = circuit(
                |b| {
                    let x = Word::input(b, 0, ty);
                    ops::neg(b, &x, form)
                },
                "neg",
            );
            let mut not = circuit(|b| ops::not(&Word::input(b, 0, ty)), "not");
            for x in 0..256u64 {
                assert_eq!(neg.run(&[x]), x.wrapping_neg() & 255, "{form:?} neg {x}");
                assert_eq!(not.run(&[x]), !x & 255, "not {x}");
            }
        }
    }
}

#[test]
fn truth_values_have_all_operations() {
    let ty = Type::Bool;
    let allowed = ["and", "or", "xor", "eq", "ne", "lt", "le", "gt", "ge"];
    for form in FORMS {
        for op in binaries().into_iter().filter(|op| allowed.contains(&op.name)) {
            let mut circuits = vec![circuit(
                |b| {
                    let (x, y) = (Word::input(b, 0, ty), Word::input(b, 1, ty));
                    (op.build)(b, &x, &y, form)
                },
                op.name,
            )];
            for clear in 0..2 {
                circuits.push(circuit(
                    |b| {
                        let x = Word::input(b, 0, ty);
                        (op.build)(b, &x, &Word::constant(ty, clear), form)
                    },
                    op.name,
                ));
            }
            for (x, y) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                assert_eq!(circuits[0].run(&[x, y]), (op.clear)(ty, x, y), "{} {x} {y}", op.name);
                assert_eq!(circuits[1 + y as usize].run(&[x]), (op.clear)(ty, x, y), "{} {x} {y}", op.name);
            }
        }
    }
    let mut not = circuit(|b| ops::not(&Word::input(b, 0, ty)), "not");
    assert_eq!([not.run(&[0]), not.run(&[1])], [1, 0]);
}

#[test]
fn select_takes_every_mix_of_known_and_encrypted() {
    for ty in [Type::Bool, Type::Uint(8), Type::Int(8)] {
        let values: Vec<u64> = if ty == Type::Bool { vec![0, 1] } else { (0..256).step_by(17).collect() };
        for known in 0..8 {
            for (&x, &y) in values.iter().flat_map(|x| values.iter().map(move |y| (x, y))) {
                for c in 0..2 {
                    let build = |b: &mut Builder| {
                        let mut word = |place: u32, ty: Type, bits: u64| {
                            if known >> place & 1 == 1 { Word::constant(ty, bits) } else { Word::input(b, place, ty) }
                        };
                        let (c, x, y) = (word(0, Type::Bool, c), word(1, ty, x), word(2, ty, y));
                        ops::select(b, &c, &x, &y)
                    };
                    let expected = if c == 1 { x } else { y };
                    assert_eq!(circuit(build, "select").run(&[c, x, y]), expected, "{ty} {known} {c} {x} {y}");
                }
            }
        }
    }
}
