//! Edge values and random values of all widths; stale, shared and partly known operands.

use super::*;

fn types() -> impl Iterator<Item = Type> {
    [2, 4, 6, 8, 10, 12, 14, 16, 22, 24, 32, 40, 50, 62, 64]
        .into_iter()
        .flat_map(|bits| [Type::Uint(bits), Type::Int(bits)])
}

/// Pairs of edge values, equal values and random values.
fn pairs(ty: Type, numbers: &mut Numbers) -> Vec<(u64, u64)> {
    let edges = edges(ty);
    let mut pairs: Vec<(u64, u64)> = edges.iter().map(|&x| (x, x)).collect();
    for _ in 0..600 {
        let mut pick = |values: &[u64]| values[(numbers.next() % values.len() as u64) as usize];
        pairs.push((pick(&edges), pick(&edges)));
        let (x, y) = (cut(ty, numbers.next()), cut(ty, numbers.next()));
        pairs.extend([(x, y), (x, cut(ty, x ^ 1 << (y % 64))), (x, cut(ty, x.wrapping_add(y % 7)))]);
    }
    pairs
}

#[test]
fn every_operation_on_edges_and_random_values() {
    let mut numbers = Numbers(1);
    for ty in types() {
        let pairs = pairs(ty, &mut numbers);
        for form in FORMS {
            for (op, second) in all_binaries(ty) {
                let build = |b: &mut Builder| {
                    let (x, y) = (Word::input(b, 0, ty), Word::input(b, 1, second));
                    (op.build)(b, &x, &y, form)
                };
                let mut circuit = circuit(build, op.name);
                for &(x, y) in &pairs {
                    assert_eq!(circuit.run(&[x, y]), (op.clear)(ty, x, y), "{ty} {form:?}: {} {x:#x} {y:#x}", op.name);
                }
            }
        }
    }
}

#[test]
fn every_operation_on_one_operand_taken_twice() {
    for ty in types() {
        for form in FORMS {
            for op in binaries() {
                let build = |b: &mut Builder| {
                    let x = Word::input(b, 0, ty);
                    (op.build)(b, &x, &x, form)
                };
                let mut circuit = circuit(build, op.name);
                for x in edges(ty) {
                    assert_eq!(circuit.run(&[x]), (op.clear)(ty, x, x), "{ty} {form:?}: {} {x:#x}", op.name);
                }
            }
        }
    }
}

/// Operands that are `depth` choices deep, so that their digits are sums of several leaves.
fn stale(b: &mut Builder, input: u32, ty: Type, depth: u32) -> Word {
    let (flag, other) = (Word::input(b, 2, Type::Bool), Word::input(b, 3, ty));
    (0..depth).fold(Word::input(b, input, ty), |x, _| ops::select(b, &flag, &other, &x))
}

#[test]
fn every_operation_on_stale_operands() {
    let mut numbers = Numbers(2);
    for ty in types() {
        for (form, depth) in FORMS.into_iter().flat_map(|form| [1, 2, 5].map(|depth| (form, depth))) {
            for (op, second) in all_binaries(ty) {
                for sides in 1..4 {
                    let build = |b: &mut Builder| {
                        let x = stale(b, 0, ty, if sides & 1 == 1 { depth } else { 0 });
                        let y = stale(b, 1, second, if sides & 2 == 2 { depth } else { 0 });
                        (op.build)(b, &x, &y, form)
                    };
                    let mut circuit = circuit(build, op.name);
                    for _ in 0..20 {
                        let (x, y, other) = (numbers.next(), numbers.next(), numbers.next());
                        let (x, y, other) = (cut(ty, x), cut(ty, y), cut(ty, other));
                        for flag in 0..2 {
                            let chosen = |value, side| if flag == 1 && sides & side == side { other } else { value };
                            let expected = (op.clear)(ty, chosen(x, 1), chosen(y, 2));
                            assert_eq!(circuit.run(&[x, y, flag, other]), expected, "{ty} {form:?} {}", op.name);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn every_operation_on_choices_between_clear_values() {
    let ty = Type::Uint(16);
    for form in FORMS {
        for (op, second) in all_binaries(ty) {
            let build = |b: &mut Builder| {
                let (flag, other) = (Word::input(b, 0, Type::Bool), Word::input(b, 1, Type::Bool));
                let x = ops::select(b, &flag, &Word::constant(ty, 0xe403), &Word::constant(ty, 0x1bfc));
                let y = ops::select(b, &other, &Word::constant(second, 0x001e), &Word::constant(second, 0xffe1));
                (op.build)(b, &x, &y, form)
            };
            let mut circuit = circuit(build, op.name);
            for (flag, other) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let (x, y) = (if flag == 1 { 0xe403 } else { 0x1bfc }, if other == 1 { 0x1e } else { 0xffe1 });
                assert_eq!(circuit.run(&[flag, other]), (op.clear)(ty, x, y), "{form:?} {} {x:#x} {y:#x}", op.name);
            }
        }
    }
}

#[test]
fn every_operation_on_extended_operands() {
    let mut numbers = Numbers(3);
    for (from, to) in [(Type::Uint(8), Type::Uint(32)), (Type::Int(8), Type::Int(32)), (Type::Bool, Type::Uint(16))] {
        for form in FORMS {
            for (op, second) in all_binaries(to) {
                let build = |b: &mut Builder| {
                    let (x, y) = (Word::input(b, 0, from), Word::input(b, 1, second));
                    let x = ops::cast(b, &x, to);
                    (op.build)(b, &x, &y, form)
                };
                let mut circuit = circuit(build, op.name);
                for _ in 0..200 {
                    let (x, y) = (cut(from, numbers.next()), cut(to, numbers.next()));
                    let extended = cut(to, number(from, x) as u64);
                    for y in [y, extended] {
                        let expected = (op.clear)(to, extended, y);
                        assert_eq!(circuit.run(&[x, y]), expected, "{from} {form:?} {} {x:#x} {y:#x}", op.name);
                    }
                }
            }
        }
    }
}

#[test]
fn every_operation_with_clear_operands() {
    let mut numbers = Numbers(4);
    for ty in types() {
        let mut clears = edges(ty);
        clears.extend((0..20).map(|_| cut(ty, numbers.next())));
        for (i, &clear) in clears.iter().enumerate() {
            let form = FORMS[i % 2];
            for (op, second) in all_binaries(ty) {
                let build = |b: &mut Builder| {
                    let x = Word::input(b, 0, ty);
                    (op.build)(b, &x, &Word::constant(second, clear), form)
                };
                let mut circuit = circuit(build, op.name);
                for x in [clear, cut(ty, clear.wrapping_add(1)), cut(ty, clear.wrapping_sub(1)), 0]
                    .into_iter()
                    .chain((0..6).map(|_| cut(ty, numbers.next())))
                {
                    assert_eq!(circuit.run(&[x]), (op.clear)(ty, x, clear), "{ty} {} {x:#x} {clear:#x}", op.name);
                }
            }
        }
    }
}

#[test]
fn casts_truncate_and_extend() {
    let mut numbers = Numbers(5);
    let all = || types().chain([Type::Bool]);
    for (from, to) in all().flat_map(|from| all().map(move |to| (from, to))) {
        let mut circuit = circuit(
            |b| {
                let x = Word::input(b, 0, from);
                ops::cast(b, &x, to)
            },
            "cast",
        );
        for x in edges(from).into_iter().chain((0..20).map(|_| cut(from, numbers.next()))) {
            assert_eq!(circuit.run(&[x]), cut(to, number(from, x) as u64), "{from} to {to}: {x:#x}");
        }
    }
}

#[test]
fn deep_chains_of_choices_stay_within_the_noise() {
    let ty = Type::Uint(8);
    let build = |b: &mut Builder| {
        let (flag, x) = (Word::input(b, 0, Type::Bool), Word::input(b, 1, ty));
        (0..40).fold(Word::input(b, 2, ty), |y, _| ops::select(b, &flag, &x, &y))
    };
    let mut circuit = circuit(build, "select");
    assert_eq!([circuit.run(&[0, 3, 201]), circuit.run(&[1, 3, 201])], [201, 3]);
}

#[test]
fn amounts_of_other_widths_are_taken_modulo_the_width() {
    let mut numbers = Numbers(8);
    for (ty, amount_ty) in
        [(Type::Uint(64), Type::Uint(8)), (Type::Int(8), Type::Uint(64)), (Type::Int(32), Type::Uint(8))]
    {
        for (form, op) in FORMS.into_iter().flat_map(|form| shifts().into_iter().map(move |op| (form, op))) {
            let build = |b: &mut Builder| {
                let (x, amount) = (Word::input(b, 0, ty), Word::input(b, 1, amount_ty));
                (op.build)(b, &x, &amount, form)
            };
            let mut circuit = circuit(build, op.name);
            for amount in 0..256 {
                let (x, amount) = (cut(ty, numbers.next()), cut(amount_ty, amount | numbers.next() << 8));
                assert_eq!(
                    circuit.run(&[x, amount]),
                    (op.clear)(ty, x, amount),
                    "{ty} {form:?} {} {x} {amount}",
                    op.name
                );
            }
        }
    }
}

#[test]
fn every_operation_on_extended_and_clear_operands() {
    let mut numbers = Numbers(9);
    for (from, to) in [(Type::Uint(8), Type::Uint(32)), (Type::Int(8), Type::Int(64)), (Type::Bool, Type::Int(16))] {
        let mut clears = edges(to);
        clears.extend((0..30).map(|_| cut(to, numbers.next())));
        for (i, &clear) in clears.iter().enumerate() {
            let form = FORMS[i % 2];
            for (op, second) in all_binaries(to) {
                let right = |b: &mut Builder| {
                    let x = Word::input(b, 0, from);
                    let x = ops::cast(b, &x, to);
                    (op.build)(b, &x, &Word::constant(second, clear), form)
                };
                let left = |b: &mut Builder| {
                    let x = Word::input(b, 0, from);
                    let x = Word::new(second, ops::cast(b, &x, to).blocks);
                    (op.build)(b, &Word::constant(to, clear), &x, form)
                };
                let (mut right, mut left) = (circuit(right, op.name), circuit(left, op.name));
                for x in edges(from) {
                    let value = cut(to, number(from, x) as u64);
                    assert_eq!(right.run(&[x]), (op.clear)(to, value, clear), "{from} {} {x:#x} {clear:#x}", op.name);
                    assert_eq!(left.run(&[x]), (op.clear)(to, clear, value), "{from} {} {clear:#x} {x:#x}", op.name);
                }
            }
        }
    }
}

#[test]
fn every_operation_on_operands_that_share_leaves() {
    let mut numbers = Numbers(10);
    let relatives: [fn(&mut Builder, &Word, &Word) -> Word; 7] = [
        |b, x, _| ops::shift_clear(b, ShiftOp::RotateLeft, x, 2),
        |b, x, _| ops::shift_clear(b, ShiftOp::Right, x, 6),
        |_, x, _| ops::not(x),
        |_, x, _| Word::new(x.ty, vec![x.blocks[0].clone(); x.blocks.len()]),
        |_, x, flag| Word::new(x.ty, vec![flag.blocks[0].clone(); x.blocks.len()]),
        |b, x, flag| {
            let other = ops::shift_clear(b, ShiftOp::RotateLeft, x, 4);
            ops::select(b, flag, x, &other)
        },
        // Its highest digit is known.
        |b, x, flag| {
            let mut chosen = ops::select(b, flag, x, &ops::not(x));
            chosen.blocks.pop();
            chosen.blocks.push(crate::circuit::Block::constant(2));
            chosen
        },
    ];
    for (ty, form) in
        [Type::Uint(16), Type::Int(16), Type::Uint(24)].into_iter().flat_map(|ty| FORMS.map(|form| (ty, form)))
    {
        for (relative, op, second) in
            relatives.iter().flat_map(|relative| all_binaries(ty).map(move |(op, second)| (relative, op, second)))
        {
            for swapped in [false, true] {
                let related = |b: &mut Builder| {
                    let (x, flag) = (Word::input(b, 0, ty), Word::input(b, 1, Type::Bool));
                    let y = relative(b, &x, &flag);
                    if swapped { (y, x) } else { (x, y) }
                };
                let mut operands = [false, true].map(|right| {
                    let mut b = Builder::new();
                    let (x, y) = related(&mut b);
                    Circuit::new(&b, &[if right { &y } else { &x }])
                });
                let build = |b: &mut Builder| {
                    let (x, y) = related(b);
                    (op.build)(b, &x, &Word::new(second, y.blocks), form)
                };
                let mut circuit = circuit(build, op.name);
                for _ in 0..50 {
                    let row = [cut(ty, numbers.next()), numbers.next() & 1];
                    let [x, y] = [operands[0].run(&row), operands[1].run(&row)];
                    assert_eq!(circuit.run(&row), (op.clear)(ty, x, y), "{ty} {form:?} {} {x:#x} {y:#x}", op.name);
                }
            }
        }
    }
}

#[test]
fn truth_values_that_share_leaves_are_selected() {
    for choice in 0..64 {
        let pick = |value: u64, i: u32| (value >> (choice >> (2 * i) & 3)) & 1;
        let build = |b: &mut Builder| {
            let flags = [0, 1].map(|i| Word::input(b, i, Type::Bool));
            let all = [flags[0].clone(), flags[1].clone(), ops::not(&flags[0]), ops::not(&flags[1])];
            let [c, x, y] = [0, 1, 2].map(|i| all[choice >> (2 * i) & 3].clone());
            ops::select(b, &c, &x, &y)
        };
        let mut circuit = circuit(build, "select");
        for (p, q) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let all = p | q << 1 | (1 - p) << 2 | (1 - q) << 3;
            let expected = if pick(all, 0) == 1 { pick(all, 1) } else { pick(all, 2) };
            assert_eq!(circuit.run(&[p, q]), expected, "{choice} {p} {q}");
        }
    }
}
