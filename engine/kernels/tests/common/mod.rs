//! Graphs that grow, and whether all plans give the bits of the reference for them.

// Each test uses a part of it.
#![allow(dead_code)]

use assay_kernels::{Isa, Options, Plan, Threads};
use assay_semantics::{
	evaluate,
	ops::out_type,
	testing::{tensor as hostile, Rng},
	DType, Model, Names, Node, Op, Tensor, TensorType, ValueId,
};

const THREADS: [usize; 4] = [1, 2, 3, 7];

/// Every instruction set with every number of threads.
pub(crate) fn options() -> Vec<Options> {
	let isas = Isa::available();
	let all = THREADS.map(Threads::new);
	isas.into_iter().flat_map(|isa| all.clone().map(|threads| Options { threads, isa })).collect()
}

/// A graph that grows.
#[derive(Default)]
pub(crate) struct Graph {
	pub(crate) nodes: Vec<Node>,
	pub(crate) weights: Vec<Tensor>,
}

impl Graph {
	pub(crate) fn input(&mut self, ty: TensorType) -> ValueId {
		self.nodes.push(Node { op: Op::Input(self.nodes.len() as u32), inputs: vec![], ty });
		self.nodes.len() as ValueId - 1
	}

	pub(crate) fn weight(&mut self, tensor: Tensor) -> ValueId {
		let op = Op::Weight(self.weights.len() as u32);
		self.nodes.push(Node { op, inputs: vec![], ty: tensor.ty.clone() });
		self.weights.push(tensor);
		self.nodes.len() as ValueId - 1
	}

	pub(crate) fn push(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
		let types: Vec<&TensorType> = inputs.iter().map(|v| self.ty(*v)).collect();
		let ty = out_type(&op, &types).unwrap_or_else(|e| panic!("{op:?} {types:?}: {e}"));
		self.nodes.push(Node { op, inputs: inputs.to_vec(), ty });
		self.nodes.len() as ValueId - 1
	}

	pub(crate) fn ty(&self, v: ValueId) -> &TensorType {
		&self.nodes[v as usize].ty
	}

	pub(crate) fn model(self, outputs: u32) -> Model {
		let inputs = self.nodes.iter().filter(|n| matches!(n.op, Op::Input(_))).count();
		let names = Names {
			inputs: vec![String::new(); inputs],
			outputs: vec![String::new(); outputs as usize],
			..Default::default()
		};
		Model::new(self.nodes, self.weights, outputs, names).expect("a valid model")
	}
}

/// Half of the time values of which any may be NaN or infinite; else finite ones with all bits in use, small ones and
/// zeros of both signs among them, so that long sums stay finite and show their order.
pub(crate) fn tensor(rng: &mut Rng, ty: &TensorType) -> Tensor {
	if ty.dtype != DType::F32 || rng.one_in(2) {
		return hostile(rng, ty);
	}
	let small = [0.0, -0.0, 1e-40, -1e-40, f32::MIN_POSITIVE, -1e-30, 1e-20];
	let mut value = |_| match rng.below(20) {
		0 => rng.pick(&small),
		1 => 1000.0 * (rng.bits() as i32) as f32 / 2f32.powi(31),
		_ => (rng.bits() as i32) as f32 / 2f32.powi(30),
	};
	let values: Vec<f32> = (0..ty.elements().unwrap_or(0)).map(&mut value).collect();
	Tensor::from_f32(ty.dims.clone(), &values).expect("a tensor")
}

pub(crate) fn f32s(dims: &[u32]) -> TensorType {
	TensorType::new(DType::F32, dims)
}

pub(crate) fn inputs(model: &Model, rng: &mut Rng) -> Vec<Tensor> {
	model.header().inputs.iter().map(|ty| tensor(rng, ty)).collect()
}

/// All plans for a model give the bits of the reference, twice.
pub(crate) fn assert_same(model: &Model, options: &[Options], rng: &mut Rng) {
	let (first, second) = (inputs(model, rng), inputs(model, rng));
	let expected = [&first, &second].map(|inputs| evaluate(model, inputs).expect("a value"));
	for options in options {
		let plan = Plan::new(model, options).expect("a plan");
		for (inputs, expected) in [&first, &second].into_iter().zip(&expected) {
			let got = plan.run(inputs).expect("a value");
			for (got, expected) in got.iter().zip(expected) {
				if got != expected {
					let at = got.bytes.iter().zip(&expected.bytes).position(|(a, b)| a != b);
					panic!("{options:?}: {:?} differs at byte {at:?}", model.nodes());
				}
			}
		}
	}
}
