//! Arrays: reading, writing, searching, sorting; and the table of their costs.

use super::*;
use crate::circuit::{Block, Plan};

fn inputs(b: &mut Builder, ty: Type, number: usize) -> Vec<Word> {
    (0..number).map(|i| Word::input(b, i as u32, ty)).collect()
}

/// Arrays of `number` words of which some are stale and some known, with their values for a row of inputs.
///
/// Input 0 is a flag; with `kind` 1 words are choices between neighbours by the flag, with kind 2 every third word is
/// known, with kind 3 all are.
fn words(b: &mut Builder, ty: Type, number: usize, kind: usize) -> Vec<Word> {
    let flag = Word::input(b, 0, Type::Bool);
    let fresh: Vec<Word> = (0..number).map(|i| Word::input(b, i as u32 + 1, ty)).collect();
    let word = |i: usize| match kind {
        1 => {
            let mut word = fresh[i].clone();
            for step in 1..=i % 4 {
                word = ops::select(b, &flag, &fresh[(i + step) % number], &word);
            }
            word
        }
        2 if i % 3 == 1 => Word::constant(ty, known(ty, i)),
        3 => Word::constant(ty, known(ty, i)),
        _ => fresh[i].clone(),
    };
    (0..number).map(word).collect()
}

fn known(ty: Type, i: usize) -> u64 {
    cut(ty, (i as u64 + 3).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7)
}

fn values(ty: Type, row: &[u64], number: usize, kind: usize) -> Vec<u64> {
    let value = |i: usize| match kind {
        1 if row[0] == 1 => row[1 + (i + i % 4) % number],
        2 if i % 3 == 1 => known(ty, i),
        3 => known(ty, i),
        _ => row[1 + i],
    };
    (0..number).map(value).collect()
}

/// A row: the flag, then values of `ty`, some of them equal.
fn row(ty: Type, number: usize, numbers: &mut Numbers) -> Vec<u64> {
    let mut row = vec![numbers.next() & 1];
    for i in 0..number {
        let value = match numbers.next() % 4 {
            0 => row[1 + numbers.next() as usize % (i + 1).max(1) % number.max(1)..].first().copied().unwrap_or(0),
            1 => numbers.next() % 3,
            _ => numbers.next(),
        };
        row.push(cut(ty, value));
    }
    row
}

/// Circuits with several outputs, whose digits fill up to 32 places each of a vector.
fn outputs(b: &Builder, words: &[Word]) -> Vec<Circuit> {
    for word in words {
        assert_eq!(word.blocks.len(), word.ty.blocks());
        for block in &word.blocks {
            assert!(block.low() >= 0 && block.high() <= word.ty.block_max(), "a digit in {:?}", block.range());
            assert!(block.norm2() <= 12, "a digit of squared norm {}", block.norm2());
        }
    }
    words.iter().map(|word| Circuit::new(b, &[word])).collect()
}

fn build(f: impl FnOnce(&mut Builder) -> Vec<Word>) -> Vec<Circuit> {
    let mut b = Builder::new();
    b.begin("array");
    let words = f(&mut b);
    b.check().unwrap();
    outputs(&b, &words)
}

fn run(circuits: &mut [Circuit], row: &[u64]) -> Vec<u64> {
    circuits.iter_mut().map(|circuit| circuit.run(row)).collect()
}

const WIDTHS: [u32; 8] = [2, 4, 6, 10, 12, 16, 32, 64];

fn cases() -> impl Iterator<Item = (Type, Form, usize)> {
    let types = WIDTHS.into_iter().flat_map(|bits| [Type::Uint(bits), Type::Int(bits)]);
    types.flat_map(|ty| FORMS.into_iter().flat_map(move |form| (0..4).map(move |kind| (ty, form, kind))))
}

/// Comparisons that are known leave few ranks to some words, and none of the higher ones.
#[test]
fn known_words_are_sorted_in_place() {
    let ty = Type::Uint(4);
    for (form, at) in FORMS.into_iter().flat_map(|form| (0..4).map(move |at| (form, at))) {
        for known in [[0, 0], [15, 0], [7, 7]] {
            let build = |b: &mut Builder| {
                let mut words = vec![Word::input(b, 0, ty), Word::constant(ty, known[0])];
                words.extend([Word::input(b, 1, ty), Word::constant(ty, known[1])]);
                ops::sort(b, &words, form).swap_remove(at)
            };
            let mut circuit = circuit(build, "sort");
            for (x, y) in (0..16).flat_map(|x| (0..16).map(move |y| (x, y))) {
                let mut expected = [x, known[0], y, known[1]];
                expected.sort_unstable();
                assert_eq!(circuit.run(&[x, y]), expected[at], "{form:?} {x} {y} {known:?} {at}");
            }
        }
    }
}

#[test]
fn arrays_are_read_at_every_index() {
    let mut numbers = Numbers(20);
    for (ty, form, kind) in cases().filter(|(ty, ..)| !ty.is_signed()) {
        for number in [1, 2, 3, 4, 5, 7, 15, 16, 17, 40] {
            for index_bits in [2, 8, 10] {
                let place = number as u32 + 1;
                let mut circuits = build(|b| {
                    let words = words(b, ty, number, kind);
                    let index = Word::input(b, place, Type::Uint(index_bits));
                    vec![ops::index(b, &words, &index, form)]
                });
                let mut row = row(ty, number, &mut numbers);
                let values = values(ty, &row, number, kind);
                row.push(0);
                for index in (0..number as u64 + 3).chain([255, 256, 1023]).filter(|index| index >> index_bits == 0) {
                    row[number + 1] = index;
                    let expected = values.get(index as usize).copied().unwrap_or(0);
                    assert_eq!(run(&mut circuits, &row), [expected], "{ty} {form:?} {kind} {number} {index}");
                }
            }
        }
    }
}

#[test]
fn arrays_of_many_words_are_read() {
    let ty = Type::Uint(4);
    for (form, number) in FORMS.into_iter().flat_map(|form| [64, 200, 256, 300].map(|number| (form, number))) {
        for kind in [0, 1] {
            let mut circuits = build(|b| {
                let words = words(b, ty, number, kind);
                let index = Word::input(b, number as u32 + 1, Type::Uint(10));
                vec![ops::index(b, &words, &index, form)]
            });
            let mut row = row(ty, number, &mut Numbers(21));
            let values = values(ty, &row, number, kind);
            row.push(0);
            for index in 0..1024 {
                row[number + 1] = index;
                let expected = values.get(index as usize).copied().unwrap_or(0);
                assert_eq!(run(&mut circuits, &row), [expected], "{form:?} {kind} {number} {index}");
            }
        }
    }
}

#[test]
fn arrays_are_written_at_every_index() {
    let mut numbers = Numbers(22);
    for (ty, form, kind) in cases().filter(|(ty, ..)| !ty.is_signed() && ty.bits() != 64) {
        for number in [1, 2, 4, 5, 16, 18, 70] {
            for index_bits in [2, 8, 10] {
                let mut circuits = build(|b| {
                    let words = words(b, ty, number, kind);
                    let value = Word::input(b, number as u32 + 1, ty);
                    let index = Word::input(b, number as u32 + 2, Type::Uint(index_bits));
                    ops::write(b, &words, &index, &value, form)
                });
                let mut row = row(ty, number, &mut numbers);
                let values = values(ty, &row, number, kind);
                let value = cut(ty, numbers.next());
                row.extend([value, 0]);
                for index in (0..number as u64 + 3).chain([255, 256, 1023]).filter(|index| index >> index_bits == 0) {
                    row[number + 2] = index;
                    let mut expected = values.clone();
                    if let Some(place) = expected.get_mut(index as usize) {
                        *place = value;
                    }
                    assert_eq!(run(&mut circuits, &row), expected, "{ty} {form:?} {kind} {number} {index}");
                }
            }
        }
    }
}

#[test]
fn a_known_index_costs_nothing() {
    let ty = Type::Uint(8);
    for (form, index) in FORMS.into_iter().flat_map(|form| (0..12).map(move |index| (form, index))) {
        let operands = |b: &mut Builder| (inputs(b, ty, 9), Word::input(b, 9, ty), Word::constant(ty, index));
        let read = cost_of(|b| {
            let (words, _, index) = operands(b);
            vec![ops::index(b, &words, &index, form)]
        });
        let written = cost_of(|b| {
            let (words, value, index) = operands(b);
            ops::write(b, &words, &index, &value, form)
        });
        assert_eq!((read, written), ((0, 0), (0, 0)));
        let mut circuits = build(|b| {
            let (words, value, index) = operands(b);
            let mut all = ops::write(b, &words, &index, &value, form);
            all.push(ops::index(b, &words, &index, form));
            all
        });
        let row: Vec<u64> = (0..10).map(|i| 7 * i + 3).collect();
        let mut expected = row[..9].to_vec();
        expected.push(expected.get(index as usize).copied().unwrap_or(0));
        if index < 9 {
            expected[index as usize] = row[9];
        }
        assert_eq!(run(&mut circuits, &row), expected);
    }
}

#[test]
fn indices_may_be_partly_known_or_stale() {
    let ty = Type::Uint(6);
    for form in FORMS {
        for fixed in 0..16 {
            let mut circuits = build(|b| {
                let words = inputs(b, ty, 13);
                let (low, flag) = (Word::input(b, 13, Type::Uint(4)), Word::input(b, 14, Type::Bool));
                let known = Word::constant(Type::Uint(4), fixed);
                let mixed = Word::new(low.ty, vec![known.blocks[0].clone(), low.blocks[1].clone()]);
                let narrow = Word::new(low.ty, vec![low.blocks[0].clone(), flag.blocks[0].clone()]);
                let mut all = Vec::new();
                for index in [mixed, narrow, ops::select(b, &flag, &low, &known)] {
                    all.push(ops::index(b, &words, &index, form));
                    all.extend(ops::write(b, &words, &index, &words[0], form));
                }
                all
            });
            let mut row: Vec<u64> = (0..13).map(|i| 4 * i + 5).collect();
            row.extend([0, 0]);
            for (low, flag) in (0..16).flat_map(|low| [(low, 0), (low, 1)]) {
                (row[13], row[14]) = (low, flag);
                let found = run(&mut circuits, &row);
                let indices = [fixed & 0x3 | low & 0xc, low & 0x3 | flag << 2, if flag == 1 { low } else { fixed }];
                for (found, index) in found.chunks(14).zip(indices) {
                    let mut expected = vec![row[..13].get(index as usize).copied().unwrap_or(0)];
                    expected.extend(&row[..13]);
                    if index < 13 {
                        expected[1 + index as usize] = row[0];
                    }
                    assert_eq!(found, expected, "{form:?} {fixed} {low} {flag} {index}");
                }
            }
        }
    }
}

#[test]
fn values_are_found() {
    let mut numbers = Numbers(23);
    for (ty, form, kind) in cases().filter(|(ty, ..)| !ty.is_signed()) {
        for number in [1, 2, 3, 4, 5, 6, 16, 21] {
            for place_ty in [Type::Uint(2), Type::Uint(8), Type::Uint(64)] {
                let mut circuits = build(|b| {
                    let words = words(b, ty, number, kind);
                    let value = Word::input(b, number as u32 + 1, ty);
                    let (place, found) = ops::position(b, &words, &value, place_ty, form);
                    let count = ops::count_equal(b, &words, &value, place_ty, form);
                    vec![place, found, count, ops::contains(b, &words, &value)]
                });
                for _ in 0..8 {
                    let row = row(ty, number, &mut numbers);
                    let values = values(ty, &row, number, kind);
                    let mut row = [row, vec![0]].concat();
                    for value in values.iter().copied().chain([0, 1, cut(ty, numbers.next())]) {
                        row[number + 1] = value;
                        let place = values.iter().position(|&other| other == value);
                        let count = values.iter().filter(|&&other| other == value).count() as u64;
                        let expected = [
                            cut(place_ty, place.unwrap_or(0) as u64),
                            u64::from(place.is_some()),
                            cut(place_ty, count),
                            u64::from(place.is_some()),
                        ];
                        assert_eq!(run(&mut circuits, &row), expected, "{ty} {form:?} {kind} {values:?} {value}");
                    }
                }
            }
        }
    }
}

#[test]
fn nothing_is_found_in_no_words() {
    let mut circuits = build(|b| {
        let value = Word::input(b, 0, Type::Uint(8));
        let (place, found) = ops::position(b, &[], &value, Type::Uint(8), Form::Throughput);
        let count = ops::count_equal(b, &[], &value, Type::Uint(8), Form::Throughput);
        vec![place, found, count, ops::contains(b, &[], &value)]
    });
    assert_eq!(run(&mut circuits, &[7]), [0; 4]);
    assert!(ops::sort(&mut Builder::new(), &[], Form::Latency).is_empty());
}

#[test]
fn words_are_sorted_and_extremes_found() {
    let mut numbers = Numbers(24);
    for (ty, form, kind) in cases() {
        for number in [1, 2, 3, 4, 5, 8, 11, 16] {
            let mut circuits = build(|b| {
                let words = words(b, ty, number, kind);
                let mut all = ops::sort(b, &words, form);
                all.extend([ops::minimum(b, &words, form), ops::maximum(b, &words, form)]);
                for place_ty in [Type::Uint(2), Type::Uint(8)] {
                    all.push(ops::arg_min(b, &words, place_ty, form));
                    all.push(ops::arg_max(b, &words, place_ty, form));
                }
                all
            });
            for _ in 0..12 {
                let row = row(ty, number, &mut numbers);
                let values = values(ty, &row, number, kind);
                let mut expected = values.clone();
                expected.sort_by_key(|&bits| super::number(ty, bits));
                let (least, most) = (expected[0], expected[number - 1]);
                let at = |extreme: u64| values.iter().position(|&value| value == extreme).unwrap_or(0) as u64;
                expected.extend([least, most, at(least) & 3, at(most) & 3, at(least), at(most)]);
                assert_eq!(run(&mut circuits, &row), expected, "{ty} {form:?} {kind} {values:?}");
            }
        }
    }
}

#[test]
fn networks_sort_all_truth_values() {
    for number in 1..=10 {
        let mut circuits = build(|b| {
            let words = inputs(b, Type::Bool, number);
            ops::sort(b, &words, Form::Throughput)
        });
        for bits in 0..1u64 << number {
            let row: Vec<u64> = (0..number).map(|i| bits >> i & 1).collect();
            let mut expected = row.clone();
            expected.sort_unstable();
            assert_eq!(run(&mut circuits, &row), expected);
        }
    }
}

#[test]
fn pairs_of_8_bits_are_sorted_exhaustively() {
    for (ty, form) in [Type::Uint(8), Type::Int(8)].into_iter().flat_map(|ty| FORMS.map(|form| (ty, form))) {
        let mut circuits = build(|b| {
            let words = inputs(b, ty, 2);
            let mut all = ops::sort(b, &words, form);
            all.push(ops::arg_min(b, &words, Type::Uint(2), form));
            all.push(ops::arg_max(b, &words, Type::Uint(2), form));
            all
        });
        for (x, y) in (0..256).flat_map(|x| (0..256).map(move |y| (x, y))) {
            let (a, b) = (number(ty, x), number(ty, y));
            let sorted = if b < a { [y, x] } else { [x, y] };
            let expected = [sorted[0], sorted[1], u64::from(b < a), u64::from(b > a)];
            assert_eq!(run(&mut circuits, &[x, y]), expected);
        }
    }
}

#[test]
fn weighted_sums() {
    let mut numbers = Numbers(25);
    for (ty, form, kind) in cases() {
        for number in [1, 2, 3, 10] {
            for _ in 0..4 {
                let mut weights: Vec<u64> = (0..number).map(|_| cut(ty, numbers.next())).collect();
                weights[0] = cut(ty, [0, 1, 3, u64::MAX][numbers.next() as usize % 4]);
                let mut circuits = build(|b| {
                    let words = words(b, ty, number, kind);
                    vec![ops::dot(b, &words, &bits_of(&weights), form)]
                });
                for _ in 0..20 {
                    let row = row(ty, number, &mut numbers);
                    let products =
                        values(ty, &row, number, kind).into_iter().zip(&weights).map(|(x, &w)| x.wrapping_mul(w));
                    let expected = cut(ty, products.fold(0, u64::wrapping_add));
                    assert_eq!(run(&mut circuits, &row), [expected], "{ty} {form:?} {kind} {weights:?}");
                }
            }
        }
    }
}

#[test]
fn operands_that_do_not_go_together_are_errors() {
    let mut b = Builder::new();
    let (x, y) = (Word::input(&mut b, 0, Type::Uint(8)), Word::input(&mut b, 1, Type::Uint(16)));
    let signed = Word::new(Type::Int(8), x.blocks.clone());
    let (both, form) = ([x.clone(), y.clone()], Form::Throughput);
    let refused = |b: &mut Builder, word: Word| {
        assert!(word.blocks.iter().all(|block| block.as_constant().is_some() || block.norm2() == 1));
        assert!(b.check().is_err());
    };
    for (words, index) in [(&both[..], &x), (&both[..1], &signed), (&[], &x)] {
        let word = ops::index(&mut b, words, index, form);
        refused(&mut b, word);
    }
    let mut written = ops::write(&mut b, &both[..1], &x, &y, form);
    refused(&mut b, written.remove(0));
    for (words, ty) in [(&both[..], Type::Uint(8)), (&both[..1], Type::Int(8)), (&[], Type::Uint(8))] {
        let word = ops::arg_min(&mut b, words, ty, form);
        refused(&mut b, word);
    }
    let (place, _) = ops::position(&mut b, &both[..1], &x, Type::Bool, form);
    refused(&mut b, place);
    for weights in [&[1, 2][..], &[1][..], &[]] {
        let word = ops::dot(&mut b, &both[..weights.len().max(1)], &bits_of(weights), form);
        if weights.len() != 1 {
            refused(&mut b, word);
        }
    }
    let _ = ops::sort(&mut b, &both, form);
    assert!(b.check().is_err());
}

/// Bootstraps and levels as planned, without what is not an output.
pub(super) fn planned(f: impl FnOnce(&mut Builder) -> Vec<Word>) -> (usize, usize) {
    let mut b = Builder::new();
    let outputs: Vec<Block> = f(&mut b).into_iter().flat_map(|word| word.blocks).collect();
    let statistics = Plan::compile(b, &[128; 300], outputs, false).unwrap().statistics();
    (statistics.bootstraps, statistics.levels)
}

type Build = fn(&mut Builder, Type, Form) -> Vec<Word>;

/// Bootstraps and levels at 8, 16, 32 and 64 bits.
type Costs = [(usize, usize); 4];

fn operations() -> Vec<(&'static str, Build)> {
    fn read(b: &mut Builder, ty: Type, form: Form, number: usize, bits: u32) -> Vec<Word> {
        let (words, index) = (inputs(b, ty, number), Word::input(b, 299, Type::Uint(bits)));
        vec![ops::index(b, &words, &index, form)]
    }
    fn write(b: &mut Builder, ty: Type, form: Form, number: usize) -> Vec<Word> {
        let (words, value, index) =
            (inputs(b, ty, number), Word::input(b, 298, ty), Word::input(b, 299, Type::Uint(8)));
        ops::write(b, &words, &index, &value, form)
    }
    vec![
        ("min and max", |b, ty, form| {
            let words = inputs(b, ty, 2);
            vec![ops::min(b, &words[0], &words[1], form), ops::max(b, &words[0], &words[1], form)]
        }),
        ("sort 4", |b, ty, form| {
            let words = inputs(b, ty, 4);
            ops::sort(b, &words, form)
        }),
        ("sort 16", |b, ty, form| {
            let words = inputs(b, ty, 16);
            ops::sort(b, &words, form)
        }),
        ("minimum of 16", |b, ty, form| {
            let words = inputs(b, ty, 16);
            vec![ops::minimum(b, &words, form)]
        }),
        ("arg_min of 16", |b, ty, form| {
            let words = inputs(b, ty, 16);
            vec![ops::arg_min(b, &words, Type::Uint(8), form)]
        }),
        ("4 at u2", |b, ty, form| read(b, ty, form, 4, 2)),
        ("10 at u8", |b, ty, form| read(b, ty, form, 10, 8)),
        ("16 at u4", |b, ty, form| read(b, ty, form, 16, 4)),
        ("64 at u8", |b, ty, form| read(b, ty, form, 64, 8)),
        ("256 at u8", |b, ty, form| read(b, ty, form, 256, 8)),
        ("write 16", |b, ty, form| write(b, ty, form, 16)),
        ("write 64", |b, ty, form| write(b, ty, form, 64)),
        ("contains 16", |b, ty, _| {
            let (words, value) = (inputs(b, ty, 16), Word::input(b, 299, ty));
            vec![ops::contains(b, &words, &value)]
        }),
        ("contains 16 known", |b, ty, _| {
            let words: Vec<Word> = (0..16).map(|i| Word::constant(ty, known(ty, i))).collect();
            let value = Word::input(b, 299, ty);
            vec![ops::contains(b, &words, &value)]
        }),
        ("count equal 16", |b, ty, form| {
            let (words, value) = (inputs(b, ty, 16), Word::input(b, 299, ty));
            vec![ops::count_equal(b, &words, &value, Type::Uint(8), form)]
        }),
        ("position in 16", |b, ty, form| {
            let (words, value) = (inputs(b, ty, 16), Word::input(b, 299, ty));
            let (place, found) = ops::position(b, &words, &value, Type::Uint(8), form);
            vec![place, found]
        }),
        ("dot of 4 weights", |b, ty, form| {
            let words = inputs(b, ty, 4);
            vec![ops::dot(b, &words, &bits_of(&[1, 3, 17, 100]), form)]
        }),
    ]
}

#[rustfmt::skip]
const EXPECTED: &[(&str, Costs, Costs)] = &[
    ("min and max"      , [(7, 4), (14, 7), (27, 12), (54, 23)], [(8, 3), (17, 4), (33, 4), (67, 5)]),
    ("sort 4"           , [(38, 14), (76, 25), (150, 46), (300, 89)], [(75, 4), (153, 5), (297, 5), (597, 6)]),
    ("sort 16"          , [(536, 51), (1072, 90), (2136, 167), (4272, 322)], [(599, 32), (1261, 42), (2459, 42), (4981, 52)]),
    ("minimum of 16"    , [(112, 19), (224, 34), (440, 63), (880, 122)], [(201, 8), (417, 10), (789, 10), (1593, 12)]),
    ("arg_min of 16"    , [(116, 19), (224, 34), (432, 63), (856, 122)], [(192, 8), (396, 10), (744, 10), (1500, 12)]),
    ("4 at u2"          , [(13, 2), (25, 2), (49, 2), (97, 2)], [(16, 1), (32, 1), (64, 1), (128, 1)]),
    ("10 at u8"         , [(44, 4), (84, 4), (164, 4), (324, 4)], [(56, 3), (108, 3), (212, 3), (420, 3)]),
    ("16 at u4"         , [(62, 3), (122, 3), (242, 3), (482, 3)], [(77, 2), (153, 2), (305, 2), (609, 2)]),
    ("64 at u8"         , [(260, 5), (516, 5), (1028, 5), (2052, 5)], [(323, 4), (643, 4), (1283, 4), (2563, 4)]),
    ("256 at u8"        , [(1028, 6), (2052, 6), (4100, 6), (8196, 6)], [(1283, 5), (2563, 5), (5123, 5), (10243, 5)]),
    ("write 16"         , [(75, 4), (139, 4), (267, 4), (523, 4)], [(97, 3), (161, 3), (289, 3), (545, 3)]),
    ("write 64"         , [(299, 5), (555, 5), (1067, 5), (2091, 5)], [(338, 3), (594, 3), (1106, 3), (2130, 3)]),
    ("contains 16"      , [(65, 3), (113, 3), (193, 3), (385, 4)], [(65, 3), (113, 3), (193, 3), (385, 4)]),
    ("contains 16 known", [(31, 3), (52, 3), (92, 3), (155, 4)], [(31, 3), (52, 3), (92, 3), (155, 4)]),
    ("count equal 16"   , [(68, 5), (116, 5), (196, 5), (388, 6)], [(70, 5), (118, 5), (198, 5), (390, 6)]),
    ("position in 16"   , [(80, 6), (128, 6), (208, 6), (400, 7)], [(80, 6), (128, 6), (208, 6), (400, 7)]),
    ("dot of 4 weights" , [(11, 4), (31, 8), (71, 16), (151, 32)], [(18, 4), (55, 5), (135, 6), (291, 6)]),
];

#[test]
fn bootstraps_and_levels_of_arrays() {
    let measure = |build: Build, form| [8, 16, 32, 64].map(|bits| planned(|b| build(b, Type::Uint(bits), form)));
    let found: Vec<(&str, Costs, Costs)> = operations()
        .into_iter()
        .map(|(name, build)| (name, measure(build, Form::Throughput), measure(build, Form::Latency)))
        .collect();
    let table = found.iter().map(|(name, fewest, fastest)| format!("    ({name:?}, {fewest:?}, {fastest:?}),\n"));
    assert!(found == EXPECTED, "the costs are now\n{}", table.collect::<String>());
}
