use super::*;
use crate::{
	evaluate, evaluate_node,
	ops::{Binary, MatMul, Unary},
	trace, DType, EvalError,
};
use alloc::{string::ToString, vec};

fn names(inputs: usize, outputs: usize) -> Names {
	let list = |n: usize| (0..n).map(|i| i.to_string()).collect();
	Names { model: "m".into(), inputs: list(inputs), outputs: list(outputs) }
}

fn node(op: Op, inputs: &[u32], dims: &[u32]) -> Node {
	Node { op, inputs: inputs.to_vec(), ty: TensorType::new(DType::F32, dims) }
}

/// relu(x * w), and that plus x.
fn nodes() -> Vec<Node> {
	vec![
		node(Op::Input(0), &[], &[1, 2]),
		node(Op::Weight(0), &[], &[2, 2]),
		node(Op::MatMul(MatMul), &[0, 1], &[1, 2]),
		node(Op::Unary(Unary::Relu), &[2], &[1, 2]),
		node(Op::Binary(Binary::Add), &[3, 0], &[1, 2]),
	]
}

fn weight() -> Tensor {
	Tensor::from_f32([2, 2], &[1.0, 2.0, -3.0, 1.0]).unwrap()
}

#[test]
fn evaluate_should_give_the_last_values() {
	let model = Model::new(nodes(), vec![weight()], 2, names(1, 2)).unwrap();
	let x = Tensor::from_f32([1, 2], &[1.0, 1.0]).unwrap();
	let out = evaluate(&model, core::slice::from_ref(&x)).unwrap();
	assert_eq!(out[0].to_f32().unwrap(), [3.0, 0.0]);
	assert_eq!(out[1].to_f32().unwrap(), [4.0, 1.0]);
	let all = trace(&model, core::slice::from_ref(&x)).unwrap();
	assert_eq!(all.len(), 5);
	assert_eq!(all[3..], out);
	assert_eq!((&all[0], &all[1]), (&x, &weight()));
	assert_eq!(all[2], evaluate_node(&Op::MatMul(MatMul), &[&x, &weight()]).unwrap());
	assert_eq!(evaluate(&model, &[]), Err(EvalError::Inputs { expected: 1, got: 0 }));
	assert_eq!(evaluate(&model, &[weight()]), Err(EvalError::Input { input: 0 }));
}

#[test]
fn id_should_change_when_anything_but_a_name_changes() {
	let id = |nodes, weights, outputs| Model::new(nodes, weights, outputs, names(1, outputs as usize)).unwrap().id();
	let base = id(nodes(), vec![weight()], 2);
	assert_eq!(base, id(nodes(), vec![weight()], 2));
	assert_ne!(base, id(nodes(), vec![weight()], 1));
	let mut other = weight();
	other.bytes[3] ^= 1;
	assert_ne!(base, id(nodes(), vec![other], 2));
	let mut changed = nodes();
	changed[3].op = Op::Unary(Unary::Abs);
	assert_ne!(base, id(changed, vec![weight()], 2));
	assert_ne!(base, id(nodes(), vec![weight(), weight()], 2));
	let mut renamed = names(1, 2);
	renamed.outputs[0] = "other".into();
	assert_eq!(base, Model::new(nodes(), vec![weight()], 2, renamed).unwrap().id());
	let header = Model::new(nodes(), vec![weight()], 2, names(1, 2)).unwrap().header();
	assert_eq!(ModelHeader::decode(&mut &header.encode()[..]).unwrap().id(), base);
}

#[test]
fn new_should_refuse_when_a_node_is_not_valid() {
	let refuse = |change: fn(&mut Vec<Node>), reason| {
		let mut changed = nodes();
		change(&mut changed);
		match Model::new(changed, vec![weight()], 1, names(1, 1)) {
			Err(ModelError::Node { reason: got, .. }) => assert_eq!(got, reason),
			other => panic!("{other:?}"),
		}
	};
	refuse(|n| n[3].inputs = vec![3], NodeError::Order);
	refuse(|n| n[3].inputs = vec![u32::MAX], NodeError::Order);
	refuse(|n| n[1].op = Op::Weight(1), NodeError::Weight);
	refuse(|n| n[1].ty.dims = vec![4], NodeError::Weight);
	refuse(|n| (n[3].op, n[3].inputs) = (Op::Input(0), vec![]), NodeError::Input);
	refuse(|n| n[3].ty.dims = vec![2, 1], NodeError::Result);
	refuse(|n| n[0].ty.dims = vec![u32::MAX; 3], NodeError::Tensor(TensorError::TooLarge));
	refuse(|n| n[0].ty.dims = vec![1; 9], NodeError::Tensor(TensorError::Rank));
}

#[test]
fn new_should_refuse_when_the_signature_is_not_valid() {
	for outputs in [0, 4, 5, 6, u32::MAX] {
		let result = Model::new(nodes(), vec![weight()], outputs, names(1, outputs.min(6) as usize));
		assert_eq!(result, Err(ModelError::Signature), "{outputs}");
	}
	assert_eq!(Model::new(nodes(), vec![weight()], 1, names(2, 1)), Err(ModelError::Names));
	let mut short = weight();
	short.bytes.to_mut().pop();
	assert_eq!(Model::new(nodes(), vec![short], 1, names(1, 1)), Err(ModelError::Weight { weight: 0 }));
}
