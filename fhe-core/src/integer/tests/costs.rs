//! The table of bootstraps and levels: a change that costs more, or less, has to say so here.

use super::*;

type Build = fn(&mut Builder, u32, Form) -> Vec<Word>;

/// Bootstraps and levels at 8, 16, 32 and 64 bits.
type Row = [(usize, usize); 4];

fn two(b: &mut Builder, ty: Type) -> (Word, Word) {
    (Word::input(b, 0, ty), Word::input(b, 1, ty))
}

fn unsigned(b: &mut Builder, bits: u32) -> (Word, Word) {
    two(b, Type::Uint(bits))
}

fn clear(b: &mut Builder, bits: u32, value: u64) -> (Word, Word) {
    let ty = Type::Uint(bits);
    (Word::input(b, 0, ty), Word::constant(ty, cut(ty, value)))
}

/// A clear value whose digits are of all kinds, without runs.
const MIXED: u64 = 0x9c9c_3c3c_1b1b_e4e4;

macro_rules! row {
    ($name:literal, |$b:ident, $bits:ident, $form:pat_param| $operands:expr => |$x:ident, $y:ident| $build:expr) => {
        ($name, |$b: &mut Builder, $bits: u32, $form: Form| {
            let ($x, $y) = $operands;
            vec![$build]
        })
    };
}

fn operations() -> Vec<(&'static str, Build)> {
    vec![
        row!("add", |b, bits, form| unsigned(b, bits) => |x, y| ops::add(b, &x, &y, form)),
        row!("add 0x..e4", |b, bits, form| clear(b, bits, MIXED) => |x, y| ops::add(b, &x, &y, form)),
        row!("sub", |b, bits, form| unsigned(b, bits) => |x, y| ops::sub(b, &x, &y, form)),
        row!("neg", |b, bits, form| unsigned(b, bits) => |x, _y| ops::neg(b, &x, form)),
        row!("and", |b, bits, _| unsigned(b, bits) => |x, y| ops::and(b, &x, &y)),
        row!("eq", |b, bits, _| unsigned(b, bits) => |x, y| ops::eq(b, &x, &y)),
        row!("eq 0x..e4", |b, bits, _| clear(b, bits, MIXED) => |x, y| ops::eq(b, &x, &y)),
        row!("eq 0", |b, bits, _| clear(b, bits, 0) => |x, y| ops::eq(b, &x, &y)),
        row!("lt", |b, bits, form| unsigned(b, bits) => |x, y| ops::lt(b, &x, &y, form)),
        row!("lt signed", |b, bits, form| two(b, Type::Int(bits)) => |x, y| ops::lt(b, &x, &y, form)),
        row!("ge 0x..e4", |b, bits, form| clear(b, bits, MIXED) => |x, y| ops::ge(b, &x, &y, form)),
        row!("gt 100", |b, bits, form| clear(b, bits, 100) => |x, y| ops::gt(b, &x, &y, form)),
        row!("lt 0 signed", |b, bits, form| two(b, Type::Int(bits)) => |x, y| {
            let _ = y;
            ops::lt(b, &x, &Word::constant(Type::Int(bits), 0), form)
        }),
        row!("max", |b, bits, form| unsigned(b, bits) => |x, y| ops::max(b, &x, &y, form)),
        row!("select", |b, bits, _| unsigned(b, bits) => |x, y| {
            let condition = Word::input(b, 2, Type::Bool);
            ops::select(b, &condition, &x, &y)
        }),
        row!("shl", |b, bits, form| unsigned(b, bits) => |x, y| ops::shift(b, ShiftOp::Left, &x, &y, form)),
        row!("shr signed", |b, bits, form| unsigned(b, bits) => |x, y| {
            let x = Word { ty: Type::Int(bits), blocks: x.blocks };
            ops::shift(b, ShiftOp::Right, &x, &y, form)
        }),
        row!("rotl", |b, bits, form| unsigned(b, bits) => |x, y| ops::shift(b, ShiftOp::RotateLeft, &x, &y, form)),
        row!("shl 3", |b, bits, _| unsigned(b, bits) => |x, _y| ops::shift_clear(b, ShiftOp::Left, &x, 3)),
        row!("mul", |b, bits, form| unsigned(b, bits) => |x, y| ops::mul(b, &x, &y, form)),
        row!("square", |b, bits, form| unsigned(b, bits) => |x, _y| ops::mul(b, &x, &x, form)),
        row!("mul 17", |b, bits, form| clear(b, bits, 17) => |x, y| ops::mul(b, &x, &y, form)),
        row!("mul 0x..e4", |b, bits, form| clear(b, bits, MIXED) => |x, y| ops::mul(b, &x, &y, form)),
        ("sum of 8", |b, bits, form| {
            let words: Vec<Word> = (0..8).map(|i| Word::input(b, i, Type::Uint(bits))).collect();
            vec![ops::sum(b, &words, form)]
        }),
        ("count of bits", |b, bits, form| {
            let flags: Vec<Word> = (0..bits).map(|i| Word::input(b, i, Type::Bool)).collect();
            vec![ops::count(b, &flags, Type::Uint(8), form)]
        }),
        ("all of bits", |b, bits, _| {
            let flags: Vec<Word> = (0..bits).map(|i| Word::input(b, i, Type::Bool)).collect();
            vec![ops::all(b, &flags)]
        }),
        ("transfer", |b, bits, form| {
            let (from, amount) = unsigned(b, bits);
            let to = Word::input(b, 2, Type::Uint(bits));
            let enough = ops::ge(b, &from, &amount, form);
            let moved = ops::select(b, &enough, &amount, &Word::constant(Type::Uint(bits), 0));
            vec![ops::sub(b, &from, &moved, form), ops::add(b, &to, &moved, form)]
        }),
    ]
}

#[rustfmt::skip]
const EXPECTED: &[(&str, Row, Row)] = &[
    ("add"          , [(4, 4), (8, 8), (16, 16), (32, 32)]          , [(9, 3), (21, 3), (54, 4), (114, 4)]),
    ("add 0x..e4"   , [(3, 3), (7, 7), (15, 15), (31, 31)]          , [(5, 2), (17, 3), (49, 4), (106, 4)]),
    ("sub"          , [(4, 4), (8, 8), (16, 16), (32, 32)]          , [(9, 3), (21, 3), (54, 4), (114, 4)]),
    ("neg"          , [(4, 4), (8, 8), (16, 16), (32, 32)]          , [(8, 3), (20, 3), (53, 4), (110, 4)]),
    ("and"          , [(4, 1), (8, 1), (16, 1), (32, 1)]            , [(4, 1), (8, 1), (16, 1), (32, 1)]),
    ("eq"           , [(4, 2), (7, 2), (12, 2), (24, 3)]            , [(4, 2), (7, 2), (12, 2), (24, 3)]),
    ("eq 0x..e4"    , [(2, 2), (3, 2), (6, 2), (9, 3)]              , [(2, 2), (3, 2), (6, 2), (9, 3)]),
    ("eq 0"         , [(1, 1), (2, 2), (3, 2), (4, 2)]              , [(1, 1), (2, 2), (3, 2), (4, 2)]),
    ("lt"           , [(3, 3), (6, 6), (11, 11), (22, 22)]          , [(4, 2), (9, 3), (17, 3), (35, 4)]),
    ("lt signed"    , [(4, 3), (7, 6), (12, 11), (23, 22)]          , [(5, 3), (10, 4), (18, 4), (36, 5)]),
    ("ge 0x..e4"    , [(2, 2), (4, 4), (8, 8), (16, 16)]            , [(3, 2), (5, 2), (11, 3), (21, 3)]),
    ("gt 100"       , [(2, 2), (3, 3), (5, 5), (8, 8)]              , [(3, 2), (4, 2), (8, 3), (11, 3)]),
    ("lt 0 signed"  , [(1, 1), (1, 1), (1, 1), (1, 1)]              , [(1, 1), (1, 1), (1, 1), (1, 1)]),
    ("max"          , [(7, 4), (14, 7), (27, 12), (54, 23)]         , [(8, 3), (17, 4), (33, 4), (67, 5)]),
    ("select"       , [(4, 1), (8, 1), (16, 1), (32, 1)]            , [(4, 1), (8, 1), (16, 1), (32, 1)]),
    ("shl"          , [(15, 4), (37, 6), (86, 7), (200, 8)]         , [(16, 2), (44, 4), (124, 3), (294, 4)]),
    ("shr signed"   , [(15, 4), (37, 6), (86, 7), (200, 8)]         , [(18, 2), (48, 4), (129, 3), (301, 4)]),
    ("rotl"         , [(14, 4), (34, 5), (83, 6), (195, 7)]         , [(20, 2), (56, 2), (144, 3), (352, 3)]),
    ("shl 3"        , [(3, 1), (7, 1), (15, 1), (31, 1)]            , [(3, 1), (7, 1), (15, 1), (31, 1)]),
    ("mul"          , [(24, 10), (86, 15), (299, 30), (1110, 87)]   , [(25, 4), (112, 6), (444, 8), (1713, 9)]),
    ("square"       , [(20, 10), (60, 14), (217, 34), (816, 90)]    , [(17, 4), (77, 6), (306, 8), (1169, 9)]),
    ("mul 17"       , [(2, 2), (6, 6), (14, 14), (30, 30)]          , [(2, 2), (15, 3), (46, 4), (105, 4)]),
    ("mul 0x..e4"   , [(3, 2), (15, 6), (63, 19), (232, 64)]        , [(4, 2), (28, 5), (113, 7), (384, 7)]),
    ("sum of 8"     , [(14, 6), (30, 10), (62, 18), (126, 34)]      , [(28, 5), (64, 5), (145, 6), (301, 6)]),
    ("count of bits", [(2, 1), (4, 3), (8, 4), (14, 8)]             , [(2, 1), (6, 3), (9, 4), (17, 4)]),
    ("all of bits"  , [(1, 1), (1, 1), (2, 2), (4, 2)]              , [(1, 1), (1, 1), (2, 2), (4, 2)]),
    ("transfer"     , [(15, 8), (30, 15), (59, 28), (118, 55)]      , [(26, 6), (59, 7), (141, 8), (295, 9)]),
];

#[test]
fn bootstraps_and_levels_of_every_operation() {
    let measure = |build: Build, form| [8, 16, 32, 64].map(|bits| cost_of(|b| build(b, bits, form)));
    let found: Vec<(&str, Row, Row)> = operations()
        .into_iter()
        .map(|(name, build)| (name, measure(build, Form::Throughput), measure(build, Form::Latency)))
        .collect();
    let table = found.iter().map(|(name, fewest, fastest)| format!("    ({name:?}, {fewest:?}, {fastest:?}),\n"));
    assert!(found == EXPECTED, "the costs are now\n{}", table.collect::<String>());
}
