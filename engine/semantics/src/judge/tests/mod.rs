//! Disputes from the publication to the verdict.

use super::*;
use crate::{
	commit,
	merkle::Tree,
	ops::{self, Binary, Site, Unary},
	prover::{prove_invalid, Investigation, Trace},
	testing::{
		game::{around, flip, lie, play, random_model, Graph, Outcome},
		nodes::Kind,
		tensor, Rng,
	},
	trace, DType, Model, ModelHeader, Node, Op, Tensor, TensorType,
};
use alloc::{vec, vec::Vec};
use std::println;

mod games;
mod hostile;
mod messages;

/// Cases per operator: 1,000 in release builds.
const CASES: usize = if cfg!(debug_assertions) { 15 } else { 1_000 };

fn honest(_: &mut Vec<State>) {}

/// The claim of a trace's own element.
fn claim(values: &[Tensor], value: usize, element: u64) -> Claim {
	let (tensor, tree) = (&values[value], Tree::of_tiles(&values[value].bytes));
	let (tile, _) = proof::place(&tensor.ty, element);
	Claim {
		tiles_root: tree.root(),
		tile: tensor.bytes.chunks(1024).nth(tile as usize).unwrap().to_vec(),
		path: tree.path(&[tile]).unwrap(),
	}
}

fn steps_of(model: &Model, value: usize) -> u64 {
	let node = &model.nodes()[value];
	let types: Vec<&TensorType> = node.inputs.iter().map(|v| &model.nodes()[*v as usize].ty).collect();
	ops::steps(&node.op, &Site { ins: &types, out: &node.ty })
}

/// Every kind of proof about one element of an honest trace, each right in form. With the root of the states.
fn accusations(model: &Model, values: &[Tensor], rng: &mut Rng, value: usize) -> Option<(Hash, Hash, Vec<Proof>)> {
	let element = rng.below(values[value].ty.elements().filter(|n| *n > 0)?);
	let own = Trace::new(model, values.to_vec());
	let (output_root, publication) = (own.output_root(), own.publication());
	let demand = Demand::States { at: Coordinate::of(value as u32), element };
	let states = match own.open(&demand).unwrap().opening {
		Opening::States { states, .. } => states,
		other => panic!("{other:?}"),
	};
	let root = states_root(Coordinate::of(value as u32), element, &states);
	let view = Investigation::new(own, &output_root, &publication).unwrap();
	let claim = || claim(values, value, element);
	let mut proofs = Vec::new();
	proofs.extend(view.prove_element(value as u32, element, claim()));
	if !states.is_empty() {
		let step = rng.below(states.len() as u64) as usize;
		proofs.push(view.prove_state(value as u32, element, &states, claim(), Some(step)).unwrap());
		proofs.push(view.prove_state(value as u32, element, &states, claim(), None).unwrap());
	}
	Some((view.trace_root(), root, proofs))
}

/// relu(x * w + b) and an empty value.
fn small(rng: &mut Rng) -> (Model, Vec<Tensor>) {
	let mut graph = Graph::default();
	let mut random = |dims: &[u32]| tensor(rng, &TensorType::new(DType::F32, dims));
	let x = graph.input(random(&[2, 40]));
	let w = graph.weight(random(&[3, 40]));
	let b = graph.weight(random(&[3]));
	let product = graph.push(Op::MatMul(ops::MatMul), &[x, w]);
	let sum = graph.push(Op::Binary(Binary::Add), &[product, b]);
	let none = graph.push(Op::Slice(ops::Slice { starts: vec![0, 0], sizes: vec![0, 3], steps: vec![1, 1] }), &[sum]);
	let joined = graph.push(Op::Concat(ops::Concat { axis: 0 }), &[none, sum]);
	graph.push(Op::Unary(Unary::Relu), &[joined]);
	graph.finish(1)
}

/// A model from parts that are not checked.
fn unchecked(nodes: &[Node], weights: &[(TensorType, Hash)], inputs: usize, outputs: usize) -> ModelHeader {
	let roots: Vec<Hash> = weights.iter().map(|(ty, root)| commit::value_root(ty, root)).collect();
	ModelHeader {
		semantics_version: crate::SEMANTICS_VERSION,
		ir_root: commit::ir_root(nodes),
		values: nodes.len() as u32,
		weight_root: commit::weight_root(&roots),
		inputs: nodes[..inputs].iter().map(|n| n.ty.clone()).collect(),
		outputs: nodes[nodes.len() - outputs..].iter().map(|n| n.ty.clone()).collect(),
		max_iterations: 1,
	}
}
