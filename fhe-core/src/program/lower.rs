//! From typed operations to blocks: picks the integer operation of every node, for one form.

use crate::circuit::{Block, Builder, Plan};
use crate::error::Result;
use crate::integer::{self, Form, Word};
use crate::program::graph::{BinaryOp, CompareOp, Graph, Node, NodeId, Op};
use crate::program::{OutputNoise, ProgramOptions};

/// Lowers and plans `graph`, whose types have been checked.
pub(super) fn compile(graph: &Graph, options: ProgramOptions, form: Form) -> Result<Plan> {
    let mut builder = Builder::new();
    let mut words: Vec<Word> = Vec::with_capacity(graph.nodes().len());
    let uses = uses(graph);
    for (id, node) in graph.nodes().iter().enumerate() {
        builder.begin(format!("%{id} = {}", node.op.name()));
        let moved = (form == Form::Throughput).then(|| conditional_step(graph, &uses, &node.op)).flatten();
        let word = match moved {
            Some(step) => step.lower(&mut builder, &words, form),
            None => lower(&mut builder, &words, node, form),
        };
        words.push(word);
    }
    let inputs: Vec<usize> = graph.inputs().iter().map(|port| graph.ty(port.node).blocks()).collect();
    let outputs = graph.outputs().iter().flat_map(|port| words[port.node as usize].blocks.clone()).collect();
    Plan::compile(builder, &inputs, outputs, options.output_noise == OutputNoise::Nominal)
}

fn lower(b: &mut Builder, words: &[Word], node: &Node, form: Form) -> Word {
    let word = |id: &NodeId| &words[*id as usize];
    let all = |ids: &[NodeId]| ids.iter().map(|id| word(id).clone()).collect::<Vec<Word>>();
    match &node.op {
        Op::Input(index) => {
            let block = |block| b.input(*index, block as u32, 0..=node.ty.block_max());
            Word::new(node.ty, (0..node.ty.blocks()).map(block).collect::<Vec<Block>>())
        }
        Op::Constant(bits) => Word::constant(node.ty, *bits),
        Op::Neg(a) => integer::neg(b, word(a), form),
        Op::Not(a) => integer::not(word(a)),
        Op::Binary(op, x, y) => {
            let (x, y) = (word(x), word(y));
            match op {
                BinaryOp::Add => integer::add(b, x, y, form),
                BinaryOp::Sub => integer::sub(b, x, y, form),
                BinaryOp::Mul => integer::mul(b, x, y, form),
                BinaryOp::And => integer::and(b, x, y),
                BinaryOp::Or => integer::or(b, x, y),
                BinaryOp::Xor => integer::xor(b, x, y),
                BinaryOp::Min => integer::min(b, x, y, form),
                BinaryOp::Max => integer::max(b, x, y, form),
            }
        }
        Op::Compare(op, x, y) => {
            let (x, y) = (word(x), word(y));
            match op {
                CompareOp::Eq => integer::eq(b, x, y),
                CompareOp::Ne => integer::ne(b, x, y),
                CompareOp::Lt => integer::lt(b, x, y, form),
                CompareOp::Le => integer::le(b, x, y, form),
                CompareOp::Gt => integer::gt(b, x, y, form),
                CompareOp::Ge => integer::ge(b, x, y, form),
            }
        }
        Op::Select { condition, then, otherwise } => integer::select(b, word(condition), word(then), word(otherwise)),
        Op::ShiftClear(op, x, amount) => integer::shift_clear(b, *op, word(x), *amount),
        Op::Shift(op, x, amount) => integer::shift(b, *op, word(x), word(amount), form),
        Op::Cast(x) => integer::cast(b, word(x), node.ty),
        Op::Sum(ids) => integer::sum(b, &all(ids), form),
        Op::Count(ids) => integer::count(b, &all(ids), node.ty, form),
        Op::All(ids) => integer::all(b, &all(ids)),
        Op::Any(ids) => integer::any(b, &all(ids)),
    }
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
    fn lower(&self, b: &mut Builder, words: &[Word], form: Form) -> Word {
        let word = |id: NodeId| &words[id as usize];
        let (condition, base) = (word(self.condition), word(self.base));
        let zero = Word::constant(base.ty, 0);
        let (then, otherwise) = if self.negated { (&zero, word(self.step)) } else { (word(self.step), &zero) };
        let step = integer::select(b, condition, then, otherwise);
        match self.op {
            BinaryOp::Sub => integer::sub(b, base, &step, form),
            _ => integer::add(b, base, &step, form),
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
