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
    for (id, node) in graph.nodes().iter().enumerate() {
        builder.begin(format!("%{id} = {}", node.op.name()));
        let word = lower(&mut builder, &words, node, form);
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
