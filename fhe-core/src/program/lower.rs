//! From typed operations to blocks: picks the integer operation of every node, for one form.

use std::collections::{HashMap, HashSet};

use crate::circuit::{Builder, Plan};
use crate::error::Result;
use crate::integer::{self, Form, Word};
use crate::program::graph::{
    BinaryOp, BitCountOp, CompareOp, ExtremumOp, FindOp, Graph, Node, NodeId, Op, OverflowOp, TestOp, UnaryOp,
};
use crate::program::{OutputNoise, ProgramOptions};
use crate::types::Type;

/// Lowers and plans `graph`, whose types have been checked.
pub(super) fn compile(graph: &Graph, options: ProgramOptions, form: Form) -> Result<Plan> {
    let mut lowering =
        Lowering { b: Builder::new(), form, words: Vec::new(), shared: HashMap::new(), overflows: overflows_of(graph) };
    let uses = uses(graph);
    for (id, node) in graph.nodes().iter().enumerate() {
        lowering.b.begin(format!("%{id} = {}", node.op.name()));
        let moved = (form == Form::Throughput).then(|| conditional_step(graph, &uses, &node.op)).flatten();
        let word = match moved {
            Some(step) => step.lower(&mut lowering),
            None => lowering.node(node),
        };
        lowering.words.push(word);
    }
    let Lowering { b, words, .. } = lowering;
    let inputs: Vec<usize> = graph.inputs().iter().map(|port| graph.ty(port.node).blocks()).collect();
    let outputs = graph.outputs().iter().flat_map(|port| words[port.node as usize].blocks.clone()).collect();
    Plan::compile(b, &inputs, outputs, options.output_noise == OutputNoise::Nominal)
}

struct Lowering {
    b: Builder,
    form: Form,
    /// The words of the nodes so far.
    words: Vec<Word>,
    /// All results of the operations that have several, by the operation with its first result.
    shared: HashMap<Op, Vec<Word>>,
    /// Sums, differences and products of which it is asked whether they overflow: these come with the answer.
    overflows: HashSet<(OverflowOp, NodeId, NodeId)>,
}

impl Lowering {
    fn node(&mut self, node: &Node) -> Word {
        let Self { b, form, words, overflows: asked, .. } = self;
        let form = *form;
        let word = |id: &NodeId| &words[*id as usize];
        match &node.op {
            Op::Input(index) => Word::input(b, *index, node.ty),
            Op::Constant(bits) => Word::constant(node.ty, *bits),
            Op::Unary(op, x) => unary(b, *op, word(x), form),
            Op::Test(op, x) => test(b, *op, word(x), form),
            Op::BitCount(op, x) => bit_count(b, *op, word(x), node.ty, form),
            Op::Binary(op, x, y) => match op.overflow().filter(|&overflow| asked.contains(&(overflow, *x, *y))) {
                Some(overflow) => overflowing(b, overflow, word(x), word(y), form).0,
                None => binary(b, *op, word(x), word(y), form),
            },
            Op::Compare(op, x, y) => compare(b, *op, word(x), word(y), form),
            Op::Overflows(op, x, y) => overflowing(b, *op, word(x), word(y), form).1,
            Op::Select { condition, then, otherwise } => {
                integer::select(b, word(condition), word(then), word(otherwise))
            }
            Op::ShiftClear(op, x, amount) => integer::shift_clear(b, *op, word(x), *amount),
            Op::Shift(op, x, amount) => integer::shift(b, *op, word(x), word(amount), form),
            Op::Cast(x) => integer::cast(b, word(x), node.ty),
            Op::BitClear(x, index) => integer::bit_clear(b, word(x), *index),
            Op::Bit(x, index) => integer::bit(b, word(x), word(index), form),
            Op::SetBitClear { value, index, bit } => integer::set_bit_clear(b, word(value), *index, word(bit)),
            Op::SetBit { value, index, bit } => integer::set_bit(b, word(value), word(index), word(bit), form),
            Op::Table { value, entries } => integer::table(b, word(value), entries, node.ty, form),
            Op::Match { value, cases, default } => integer::match_or(b, word(value), cases, *default, node.ty, form),
            Op::Matches { value, cases } => integer::match_value(b, word(value), cases, node.ty, form).1,
            _ => self.many(node),
        }
    }

    /// Operations on many values.
    fn many(&mut self, node: &Node) -> Word {
        let Self { b, form, words, shared, .. } = self;
        let form = *form;
        let word = |id: &NodeId| &words[*id as usize];
        let all = |ids: &[NodeId]| ids.iter().map(|id| word(id).clone()).collect::<Vec<Word>>();
        match &node.op {
            Op::Sum(ids) => integer::sum(b, &all(ids), form),
            Op::Dot { values, weights } => integer::dot(b, &all(values), weights, form),
            Op::Count(ids) => integer::count(b, &all(ids), node.ty, form),
            Op::All(ids) => integer::all(b, &all(ids)),
            Op::Any(ids) => integer::any(b, &all(ids)),
            Op::Extremum(op, ids) => match op {
                ExtremumOp::Minimum => integer::minimum(b, &all(ids), form),
                ExtremumOp::Maximum => integer::maximum(b, &all(ids), form),
                ExtremumOp::ArgMinimum => integer::arg_min(b, &all(ids), node.ty, form),
                ExtremumOp::ArgMaximum => integer::arg_max(b, &all(ids), node.ty, form),
            },
            Op::Sorted { elements, rank } => {
                let key = Op::Sorted { elements: elements.clone(), rank: 0 };
                let sorted = shared.entry(key).or_insert_with(|| integer::sort(b, &all(elements), form));
                sorted[*rank as usize].clone()
            }
            Op::Index { elements, index } => integer::index(b, &all(elements), word(index), form),
            Op::Written { elements, index, value, at } => {
                let key = Op::Written { elements: elements.clone(), index: *index, value: *value, at: 0 };
                let write = || integer::write(b, &all(elements), word(index), word(value), form);
                shared.entry(key).or_insert_with(write)[*at as usize].clone()
            }
            Op::Find(op, elements, value) => match op {
                FindOp::Contains => integer::contains(b, &all(elements), word(value)),
                FindOp::CountEqual => integer::count_equal(b, &all(elements), word(value), node.ty, form),
                FindOp::Position => integer::position(b, &all(elements), word(value), node.ty, form).0,
            },
            // `node` has all others.
            _ => Word::constant(node.ty, 0),
        }
    }
}

fn unary(b: &mut Builder, op: UnaryOp, x: &Word, form: Form) -> Word {
    match op {
        UnaryOp::Neg => integer::neg(b, x, form),
        UnaryOp::SaturatingNeg => integer::saturating_neg(b, x, form),
        UnaryOp::Not => integer::not(x),
        UnaryOp::Abs => integer::abs(b, x, form),
        UnaryOp::Signum => integer::signum(b, x),
        UnaryOp::ReverseBits => integer::reverse_bits(b, x),
        UnaryOp::SwapBytes => integer::swap_bytes(b, x),
        UnaryOp::Sqrt => integer::sqrt(b, x, form),
    }
}

fn test(b: &mut Builder, op: TestOp, x: &Word, form: Form) -> Word {
    match op {
        TestOp::IsEven => integer::is_even(b, x),
        TestOp::IsOdd => integer::is_odd(b, x),
        TestOp::Parity => integer::parity(b, x),
        TestOp::IsNegative => integer::is_negative(b, x),
        TestOp::NegOverflows => integer::overflowing_neg(b, x, form).1,
    }
}

fn bit_count(b: &mut Builder, op: BitCountOp, x: &Word, ty: Type, form: Form) -> Word {
    match op {
        BitCountOp::LeadingZeros => integer::leading_zeros(b, x, ty, form),
        BitCountOp::LeadingOnes => integer::leading_ones(b, x, ty, form),
        BitCountOp::TrailingZeros => integer::trailing_zeros(b, x, ty, form),
        BitCountOp::TrailingOnes => integer::trailing_ones(b, x, ty, form),
        BitCountOp::CountOnes => integer::count_ones(b, x, ty, form),
        BitCountOp::CountZeros => integer::count_zeros(b, x, ty, form),
        BitCountOp::Ilog2 => integer::ilog2(b, x, ty, form),
    }
}

fn binary(b: &mut Builder, op: BinaryOp, x: &Word, y: &Word, form: Form) -> Word {
    match op {
        BinaryOp::Add => integer::add(b, x, y, form),
        BinaryOp::Sub => integer::sub(b, x, y, form),
        BinaryOp::Mul => integer::mul(b, x, y, form),
        BinaryOp::Div => integer::div_rem(b, x, y, form).0,
        BinaryOp::Rem => integer::div_rem(b, x, y, form).1,
        BinaryOp::SaturatingAdd => integer::saturating_add(b, x, y, form),
        BinaryOp::SaturatingSub => integer::saturating_sub(b, x, y, form),
        BinaryOp::SaturatingMul => integer::saturating_mul(b, x, y, form),
        BinaryOp::And => integer::and(b, x, y),
        BinaryOp::Or => integer::or(b, x, y),
        BinaryOp::Xor => integer::xor(b, x, y),
        BinaryOp::Min => integer::min(b, x, y, form),
        BinaryOp::Max => integer::max(b, x, y, form),
    }
}

fn compare(b: &mut Builder, op: CompareOp, x: &Word, y: &Word, form: Form) -> Word {
    match op {
        CompareOp::Eq => integer::eq(b, x, y),
        CompareOp::Ne => integer::ne(b, x, y),
        CompareOp::Lt => integer::lt(b, x, y, form),
        CompareOp::Le => integer::le(b, x, y, form),
        CompareOp::Gt => integer::gt(b, x, y, form),
        CompareOp::Ge => integer::ge(b, x, y, form),
    }
}

fn overflowing(b: &mut Builder, op: OverflowOp, x: &Word, y: &Word, form: Form) -> (Word, Word) {
    match op {
        OverflowOp::Add => integer::overflowing_add(b, x, y, form),
        OverflowOp::Sub => integer::overflowing_sub(b, x, y, form),
        OverflowOp::Mul => integer::overflowing_mul(b, x, y, form),
    }
}

fn overflows_of(graph: &Graph) -> HashSet<(OverflowOp, NodeId, NodeId)> {
    let asked = graph.nodes().iter().filter_map(|node| match node.op {
        Op::Overflows(op, x, y) => Some((op, x, y)),
        _ => None,
    });
    asked.collect()
}

/// How many operations and outputs read each node.
fn uses(graph: &Graph) -> Vec<u32> {
    let mut uses = vec![0; graph.nodes().len()];
    let operands = graph.nodes().iter().flat_map(|node| node.op.operands());
    for id in operands.chain(graph.outputs().iter().map(|port| port.node)) {
        uses[id as usize] += 1;
    }
    uses
}

/// `if condition { base ± step } else { base }`, written as base ± (if condition { step } else { 0 }).
///
/// It takes as many bootstraps, but its result is fresh, and several values that move by one step share the selection:
/// both balances of a transfer, for example. It takes more levels, so it is for the throughput form.
struct ConditionalStep {
    condition: NodeId,
    /// Whether the step is taken where the condition is false.
    negated: bool,
    op: BinaryOp,
    base: NodeId,
    step: NodeId,
}

/// Recognises a selection between a value and its sum or difference that nothing else reads.
fn conditional_step(graph: &Graph, uses: &[u32], op: &Op) -> Option<ConditionalStep> {
    let Op::Select { condition, then, otherwise } = *op else { return None };
    let moved_from = |moved: NodeId, base: NodeId| match graph.nodes()[moved as usize].op {
        _ if uses[moved as usize] != 1 => None,
        Op::Binary(op @ (BinaryOp::Add | BinaryOp::Sub), a, step) if a == base => Some((op, step)),
        Op::Binary(op @ BinaryOp::Add, step, b) if b == base => Some((op, step)),
        _ => None,
    };
    let found = |negated, base| move |(op, step)| ConditionalStep { condition, negated, op, base, step };
    let then_moved = moved_from(then, otherwise).map(found(false, otherwise));
    then_moved.or_else(|| moved_from(otherwise, then).map(found(true, then)))
}

impl ConditionalStep {
    fn lower(&self, lowering: &mut Lowering) -> Word {
        let Lowering { b, form, words, .. } = lowering;
        let word = |id: NodeId| &words[id as usize];
        let (condition, base) = (word(self.condition), word(self.base));
        let zero = Word::constant(base.ty, 0);
        let (then, otherwise) = if self.negated { (&zero, word(self.step)) } else { (word(self.step), &zero) };
        let step = integer::select(b, condition, then, otherwise);
        match self.op {
            BinaryOp::Sub => integer::sub(b, base, &step, *form),
            _ => integer::add(b, base, &step, *form),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Batch, ClientKey, Engine, Form, ParameterSet, Program, RunOptions, SimulationBackend};

    #[test]
    fn balances_that_move_by_one_step_share_its_selection() {
        let program = Program::trace(|t| {
            let (from, to, amount) = (t.input::<u64>("from"), t.input::<u64>("to"), t.input::<u64>("amount"));
            let enough = from.ge(&amount);
            t.output("from", &enough.select(&from - &amount, &from));
            t.output("to", &(!&enough).select(&to, &amount + &to));
        })
        .unwrap();
        assert_eq!(program.statistics(Form::Throughput).unwrap().bootstraps, 118);

        let client = ClientKey::simulated(ParameterSet::default());
        let engine = Engine::new(SimulationBackend::new(), &client.evaluation_key().unwrap()).unwrap();
        let (from, to, amount) = ([500u64, 7, 9], [1u64, u64::MAX, 3], [499u64, 8, 9]);
        let batch = Batch::new().with("from", client.encrypt(&from).unwrap()).unwrap();
        let batch = batch.with("to", client.encrypt(&to).unwrap()).unwrap();
        let batch = batch.with("amount", client.encrypt(&amount).unwrap()).unwrap();
        for form in [Form::Throughput, Form::Latency] {
            let (result, _) = engine.run_with(&program, &batch, RunOptions::new().form(form)).unwrap();
            assert_eq!(client.decrypt::<u64>(result.column("from").unwrap()).unwrap(), [1, 7, 0]);
            assert_eq!(client.decrypt::<u64>(result.column("to").unwrap()).unwrap(), [500, u64::MAX, 12]);
        }
    }
}
