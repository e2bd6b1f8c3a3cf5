//! Tables and cases, and their costs.

use super::array::planned;
use super::*;

fn case_bits(cases: &[(u64, u64)]) -> Vec<(Bits, Bits)> {
    cases.iter().map(|&(input, output)| (Bits::from(input), Bits::from(output))).collect()
}

/// The multiplicative inverse in GF(2⁸), or 0, and the affine map of FIPS 197, section 5.1.1.
fn s_box(x: u64) -> u64 {
    let multiply = |mut x: u64, mut y: u64| {
        let mut product = 0;
        while y > 0 {
            product ^= if y & 1 == 1 { x } else { 0 };
            x = x << 1 ^ if x >> 7 == 1 { 0x11b } else { 0 };
            y >>= 1;
        }
        product
    };
    let inverse = (0..256).find(|&y| multiply(x, y) == 1).unwrap_or(0);
    (0..5).fold(0x63, |sum, i| sum ^ (inverse << i | inverse >> (8 - i)) & 255)
}

#[test]
fn the_s_box_is_that_of_the_standard() {
    assert_eq!([0x00, 0x01, 0x53, 0xff].map(s_box), [0x63, 0x7c, 0xed, 0x16]);
}

fn random(bits: u32, seed: u64) -> Vec<u64> {
    let mut numbers = Numbers(seed);
    (0..1 << bits).map(|_| numbers.next()).collect()
}

/// Tables of `bits` bits, with names.
fn tables(bits: u32) -> Vec<(&'static str, Vec<u64>)> {
    let of = |f: &dyn Fn(u64) -> u64| (0..1u64 << bits).map(f).collect::<Vec<u64>>();
    let mut sparse = vec![0; 1 << bits];
    *sparse.last_mut().unwrap() = 0x1b;
    vec![
        ("random", random(bits, 30)),
        ("s-box", of(&s_box)),
        ("square", of(&|x| x * x)),
        ("bits", of(&|x| u64::from(x.count_ones()))),
        ("identity", of(&|x| x)),
        ("complement", of(&|x| !x)),
        ("plus 1", of(&|x| x + 1)),
        ("constant", vec![0xb1; 1 << bits]),
        ("one entry", sparse),
        ("at least 100", of(&|x| u64::from(x >= 100))),
        ("by 7", of(&|x| x / 7)),
        ("swapped", of(&|x| x >> 4 & 15 | x << 4)),
    ]
}

#[test]
fn every_entry_of_every_table() {
    for (bits, form) in [2, 4, 6, 8].into_iter().flat_map(|bits| FORMS.map(|form| (bits, form))) {
        for (name, entries) in tables(bits) {
            for ty in [Type::Bool, Type::Uint(2), Type::Uint(6), Type::Int(8), Type::Uint(64)] {
                for place in [Type::Uint(bits), Type::Int(bits)] {
                    let build = |b: &mut Builder| {
                        let x = Word::input(b, 0, place);
                        ops::table(b, &x, &bits_of(&entries), ty, form)
                    };
                    let mut circuit = circuit(build, name);
                    for (x, &entry) in (0..).zip(&entries) {
                        assert_eq!(circuit.run(&[x]), cut(ty, entry), "{name} {ty} {form:?} {x}");
                    }
                }
            }
        }
    }
}

#[test]
fn places_may_be_truth_values_known_narrow_or_stale() {
    let ty = Type::Uint(8);
    let entries = random(8, 31);
    for form in FORMS {
        let mut truth = circuit(
            |b| {
                let x = Word::input(b, 0, Type::Bool);
                ops::table(b, &x, &bits_of(&[77, 200]), ty, form)
            },
            "truth",
        );
        assert_eq!([truth.run(&[0]), truth.run(&[1])], [77, 200]);
        for known in 0..16 {
            for value in [0, 0x1b, 0xe4, 0xff] {
                let clear = Word::constant(ty, value);
                let build = |b: &mut Builder| {
                    let x = Word::input(b, 0, ty);
                    let mix =
                        |k: usize| if known >> k & 1 == 1 { clear.blocks[k].clone() } else { x.blocks[k].clone() };
                    let x = Word::new(ty, (0..4).map(mix).collect());
                    ops::table(b, &x, &bits_of(&entries), ty, form)
                };
                let mut circuit = circuit(build, "partly known");
                let mask = (0..4).filter(|k| known >> k & 1 == 1).fold(0, |mask, k| mask | 3 << (2 * k));
                for x in 0..256u64 {
                    let place = x & !mask | value & mask;
                    assert_eq!(circuit.run(&[x]), entries[place as usize] & 255, "{form:?} {known} {value} {x}");
                }
            }
        }
        for kind in 0..4 {
            let build = |b: &mut Builder| {
                let (x, y, flag) = (Word::input(b, 0, ty), Word::input(b, 1, ty), Word::input(b, 2, Type::Bool));
                let x = match kind {
                    0 => ops::select(b, &flag, &x, &y),
                    1 => (0..4).fold(x, |x, _| ops::select(b, &flag, &y, &x)),
                    2 => Word::new(
                        ty,
                        vec![flag.blocks[0].clone(), x.blocks[1].clone(), flag.blocks[0].clone(), x.blocks[3].clone()],
                    ),
                    _ => Word::new(
                        ty,
                        vec![x.blocks[0].clone(), y.blocks[0].clone(), x.blocks[0].clone(), y.blocks[1].clone()],
                    ),
                };
                ops::table(b, &x, &bits_of(&entries), ty, form)
            };
            let mut circuit = circuit(build, "stale");
            for (x, y) in (0..256u64).map(|x| (x, (x * 77) & 255)) {
                for flag in 0..2 {
                    let place = match kind {
                        0 => {
                            if flag == 1 {
                                x
                            } else {
                                y
                            }
                        }
                        1 => {
                            if flag == 1 {
                                y
                            } else {
                                x
                            }
                        }
                        2 => flag | x & 0x0c | flag << 4 | x & 0xc0,
                        _ => x & 0x03 | (y & 0x03) << 2 | (x & 0x03) << 4 | (y & 0x0c) << 4,
                    };
                    assert_eq!(circuit.run(&[x, y, flag]), entries[place as usize] & 255, "{form:?} {kind} {x} {flag}");
                }
            }
        }
    }
}

/// `number` cases with different inputs; `outputs` bounds the number of different outputs.
fn cases(ty: Type, number: usize, outputs: u64, numbers: &mut Numbers) -> Vec<(u64, u64)> {
    let mut cases: Vec<(u64, u64)> = Vec::new();
    let mut near = cut(ty, numbers.next());
    while cases.len() < number {
        near = cut(ty, if numbers.next().is_multiple_of(3) { near.wrapping_add(1) } else { numbers.next() });
        if cases.iter().all(|&(input, _)| input != near) {
            cases.push((near, (numbers.next() % outputs).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        }
    }
    cases
}

#[test]
fn cases_give_their_outputs() {
    let mut numbers = Numbers(32);
    for (bits, form) in [2, 4, 6, 8, 10, 16, 64].into_iter().flat_map(|bits| FORMS.map(|form| (bits, form))) {
        let ty = Type::Uint(bits);
        for (number, outputs) in [(0, 1), (1, 9), (3, 2), (6, 9), (16, 100), (30, 3), (40, 100), (130, 90), (800, 700)]
        {
            if bits < 12 && number > 1 << bits {
                continue;
            }
            let cases = cases(ty, number, outputs, &mut numbers);
            for to in [Type::Bool, Type::Uint(4), Type::Int(32)] {
                let default = numbers.next();
                let build = |b: &mut Builder, which: usize| {
                    let x = Word::input(b, 0, ty);
                    let (value, found) = ops::match_value(b, &x, &case_bits(&cases), to, form);
                    [value, found, ops::match_or(b, &x, &case_bits(&cases), Bits::from(default), to, form)][which]
                        .clone()
                };
                let mut circuits = [0, 1, 2].map(|which| circuit(|b| build(b, which), "match"));
                let all: Vec<u64> = if bits <= 10 { (0..1 << bits).collect() } else { edges(ty) };
                let near = cases.iter().flat_map(|&(input, _)| [input, input ^ 1, input ^ 1 << (bits - 1)]).take(400);
                for x in all.into_iter().chain(near) {
                    let output = cases.iter().find(|&&(input, _)| input == x).map(|&(_, output)| output);
                    let expected =
                        [cut(to, output.unwrap_or(0)), u64::from(output.is_some()), cut(to, output.unwrap_or(default))];
                    let found = [0, 1, 2].map(|which: usize| circuits[which].run(&[x]));
                    assert_eq!(found, expected, "{ty} {to} {form:?} {number} {x:#x}");
                }
            }
        }
    }
}

#[test]
fn cases_of_known_stale_and_partly_known_values() {
    let (ty, to) = (Type::Uint(16), Type::Uint(8));
    let cases = [(0x1234, 7), (0x12ff, 200), (0x0034, 7), (0xffff, 255)];
    for form in FORMS {
        for x in [0x1234, 0x12ff, 0x34, 0xffff, 0, 0x1235] {
            let expected = cases.iter().find(|case| case.0 == x).map_or(9, |case| case.1);
            let known = circuit(
                |b| ops::match_or(b, &Word::constant(ty, x), &case_bits(&cases), Bits::from(9), to, form),
                "known",
            )
            .run(&[]);
            assert_eq!(known, expected);
            let build = |b: &mut Builder| {
                let (x, flag) = (Word::input(b, 0, ty), Word::input(b, 1, Type::Bool));
                let chosen = (0..3).fold(x, |x, _| ops::select(b, &flag, &Word::constant(ty, 0x12ff), &x));
                ops::match_or(b, &chosen, &case_bits(&cases), Bits::from(9), to, form)
            };
            let mut stale = circuit(build, "stale");
            assert_eq!([stale.run(&[x, 0]), stale.run(&[x, 1])], [expected, 200]);
            let build = |b: &mut Builder| {
                let mut blocks = Word::input(b, 0, Type::Uint(8)).blocks;
                blocks.extend(Word::constant(Type::Uint(8), x >> 8).blocks);
                ops::match_or(b, &Word::new(ty, blocks), &case_bits(&cases), Bits::from(9), to, form)
            };
            assert_eq!(circuit(build, "partly known").run(&[x & 255]), expected);
        }
    }
}

#[test]
fn tables_and_cases_that_do_not_fit_are_errors() {
    let mut b = Builder::new();
    let (x, wide) = (Word::input(&mut b, 0, Type::Uint(8)), Word::input(&mut b, 1, Type::Uint(16)));
    let (ty, form) = (Type::Uint(8), Form::Throughput);
    for (x, length) in [(&x, 255), (&x, 16), (&wide, 1 << 16)] {
        let _ = ops::table(&mut b, x, &vec![Bits::ZERO; length], ty, form);
        assert!(b.check().is_err());
    }
    for cases in [[(1, 2), (1, 3)], [(256, 1), (0, 1)]] {
        let _ = ops::match_value(&mut b, &x, &case_bits(&cases), ty, form);
        assert!(b.check().is_err());
    }
}

/// Bootstraps and levels for tables of 2, 4, 6 and 8 bits.
type Row = [(usize, usize); 4];

#[rustfmt::skip]
const EXPECTED: &[(&str, Row, Row)] = &[
    ("random"      , [(1, 1), (2, 1), (13, 4), (53, 4)], [(1, 1), (2, 1), (16, 3), (83, 3)]),
    ("s-box"       , [(1, 1), (2, 1), (13, 4), (53, 4)], [(1, 1), (2, 1), (16, 3), (83, 3)]),
    ("square"      , [(1, 1), (2, 1), (6, 3), (16, 4)], [(1, 1), (2, 1), (6, 3), (18, 3)]),
    ("bits"        , [(1, 1), (2, 1), (3, 2), (4, 2)], [(1, 1), (2, 1), (3, 2), (4, 2)]),
    ("identity"    , [(0, 0), (0, 0), (0, 0), (0, 0)], [(0, 0), (0, 0), (0, 0), (0, 0)]),
    ("complement"  , [(0, 0), (0, 0), (0, 0), (0, 0)], [(0, 0), (0, 0), (0, 0), (0, 0)]),
    ("plus 1"      , [(1, 1), (2, 1), (6, 3), (8, 4)], [(1, 1), (2, 1), (6, 3), (10, 3)]),
    ("constant"    , [(0, 0), (0, 0), (0, 0), (0, 0)], [(0, 0), (0, 0), (0, 0), (0, 0)]),
    ("one entry"   , [(1, 1), (2, 1), (9, 4), (9, 4)], [(1, 1), (2, 1), (10, 3), (10, 3)]),
    ("at least 100", [(0, 0), (0, 0), (0, 0), (4, 3)], [(0, 0), (0, 0), (0, 0), (4, 3)]),
    ("by 7"        , [(0, 0), (1, 1), (7, 3), (17, 4)], [(0, 0), (1, 1), (7, 3), (21, 3)]),
    ("swapped"     , [(0, 0), (0, 0), (0, 0), (0, 0)], [(0, 0), (0, 0), (0, 0), (0, 0)]),
    ("1 case"      , [(3, 2), (4, 3), (7, 3), (12, 4)], [(3, 2), (4, 3), (7, 3), (12, 4)]),
    ("10 cases"    , [(24, 3), (33, 3), (52, 3), (94, 4)], [(24, 3), (33, 3), (52, 3), (94, 4)]),
    ("27 cases"    , [(54, 3), (87, 3), (143, 3), (245, 4)], [(54, 3), (87, 3), (143, 3), (245, 4)]),
    ("100 cases"   , [(70, 4), (225, 4), (387, 4), (653, 5)], [(100, 3), (225, 4), (387, 4), (653, 5)]),
];

/// Tables of 2, 4, 6 and 8 bits to as many bits; cases of 8, 16, 32 and 64 bits to 8 bits.
#[test]
fn bootstraps_and_levels_of_tables() {
    let mut found = Vec::new();
    for (at, (name, _)) in tables(2).into_iter().enumerate() {
        let measure = |form| {
            [2, 4, 6, 8].map(|bits| {
                planned(|b| {
                    let x = Word::input(b, 0, Type::Uint(bits));
                    vec![ops::table(b, &x, &bits_of(&tables(bits)[at].1), Type::Uint(bits), form)]
                })
            })
        };
        found.push((name, measure(Form::Throughput), measure(Form::Latency)));
    }
    for (name, number) in [("1 case", 1), ("10 cases", 10), ("27 cases", 27), ("100 cases", 100)] {
        let measure = |form| {
            [8, 16, 32, 64].map(|bits| {
                planned(|b| {
                    let x = Word::input(b, 0, Type::Uint(bits));
                    let cases = cases(x.ty, number, 200, &mut Numbers(33));
                    let (value, matched) = ops::match_value(b, &x, &case_bits(&cases), Type::Uint(8), form);
                    vec![value, matched]
                })
            })
        };
        found.push((name, measure(Form::Throughput), measure(Form::Latency)));
    }
    let table = found.iter().map(|(name, fewest, fastest)| format!("    ({name:?}, {fewest:?}, {fastest:?}),\n"));
    assert!(found == EXPECTED, "the costs are now\n{}", table.collect::<String>());
}
