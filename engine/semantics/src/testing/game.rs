//! Liars, and a whole dispute between a worker and a challenger, every message encoded and decoded on the way.

use super::{
	nodes::{Kind, Size},
	tensor, Rng,
};
use crate::{
	evaluate_node,
	judge::{
		check_answer, check_demand, check_proof, check_publication, Answer, Demand, Fault, Opening, ProofKind,
		Publication, Verdict, MAX_MESSAGE_BYTES, MAX_PROOF_BYTES,
	},
	ops::{Cast, Reshape, Slice, State},
	prover::{Investigation, Next, Trace},
	Hash, Model, Names, Node, Op, Tensor, TensorType,
};
use alloc::{string::String, vec, vec::Vec};
use codec::{Decode, Encode};

/// How a dispute ends.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
	/// The challenger finds nothing wrong.
	Agreed,
	/// The worker cannot publish or answer: it loses by time.
	Silent(Fault),
	/// The worker is proven wrong.
	Convicted {
		/// By what.
		kind: ProofKind,
		/// Demands that it took.
		demands: usize,
		/// Length of the proof.
		bytes: usize,
		/// The verdict.
		verdict: Verdict,
	},
}

/// Plays a dispute. The challenger's trace is right; the worker's values are its own business, and `states` may change
/// the partial states that it opens.
pub fn play(
	own: Trace<&Model>,
	worker: &Trace<&Model>,
	output_root: &Hash,
	states: &dyn Fn(&mut Vec<State>),
) -> Outcome {
	let model = own.model().id();
	let publication = worker.publication().encode();
	assert!(publication.len() <= MAX_MESSAGE_BYTES);
	let root = match check_publication(&model, &own.input_root(), output_root, &publication) {
		Ok(root) => root,
		Err(fault) => return Outcome::Silent(fault),
	};
	assert_eq!(root, worker.root());
	let publication = Publication::decode(&mut &publication[..]).unwrap();
	let mut investigation = Investigation::new(own, output_root, &publication).unwrap();
	let (mut demands, mut states_root) = (0, None);
	loop {
		match investigation.next() {
			Next::Agree => return Outcome::Agreed,
			Next::Prove(proof) => {
				let kind = proof.kind();
				let proof = proof.encode();
				assert!(proof.len() <= MAX_PROOF_BYTES, "{} bytes", proof.len());
				let verdict = check_proof(&model, &root, states_root.as_ref(), &proof).unwrap();
				assert_eq!(Verdict::decode(&mut &verdict.encode()[..]).unwrap(), verdict);
				return Outcome::Convicted { kind, demands, bytes: proof.len(), verdict };
			}
			Next::Demand(demand, evidence) => {
				demands += 1;
				assert!(demands <= 6, "too many demands");
				let bytes = demand.encode();
				let info = check_demand(&model, &bytes, &evidence.encode()).unwrap();
				let Some(mut answer) = worker.open(&demand) else { return Outcome::Silent(Fault::Answer) };
				if let Opening::States { states: list, .. } = &mut answer.opening {
					states(list);
				}
				let answer = answer.encode();
				states_root = match check_answer(&model, &root, &bytes, &answer) {
					Ok(root) => root,
					Err(fault) => return Outcome::Silent(fault),
				};
				assert_eq!(states_root.is_some(), demand.needs_signature());
				assert!(answer.len() <= MAX_MESSAGE_BYTES);
				match demand {
					Demand::Node { .. } => assert!(answer.len() <= info.answer_bytes as usize),
					_ => assert_eq!(answer.len(), info.answer_bytes as usize, "{demand:?}"),
				}
				let answer = Answer::decode(&mut &answer[..]).unwrap();
				investigation.learn(&demand, &answer.opening).unwrap();
			}
		}
	}
}

/// A proof, and what it is to be judged against.
#[derive(Clone, PartialEq, Debug)]
pub struct Case {
	/// The model.
	pub model: Hash,
	/// The worker's trace root.
	pub trace_root: Hash,
	/// The demand for states that the proof is about, encoded, and the root over these.
	pub states: Option<(Vec<u8>, Hash)>,
	/// The encoded proof.
	pub proof: Vec<u8>,
}

/// A proof against a consistent liar about one element of a node of this kind. None if there is nothing to lie about.
pub fn convicting(rng: &mut Rng, kind: Kind) -> Option<Case> {
	let (model, inputs, node) = around(rng, kind);
	let values = crate::trace(&model, &inputs).ok()?;
	if values[node].bytes.is_empty() {
		return None;
	}
	let mut wrong = values.clone();
	lie(&model, &mut wrong, node, true, |value| flip(rng, value));
	let (own, worker) = (Trace::new(&model, values), Trace::new(&model, wrong));
	let (trace_root, output_root) = (worker.root(), worker.output_root());
	let mut investigation = Investigation::new(own, &output_root, &worker.publication()).unwrap();
	let mut states = None;
	loop {
		match investigation.next() {
			Next::Agree => return None,
			Next::Prove(proof) => return Some(Case { model: model.id(), trace_root, states, proof: proof.encode() }),
			Next::Demand(demand, _) => {
				let answer = worker.open(&demand).unwrap();
				states = answer.opening.states_root(&demand).map(|root| (demand.encode(), root));
				investigation.learn(&demand, &answer.opening).unwrap();
			}
		}
	}
}

/// Changes one value, and computes everything after it anew if `consistent`.
pub fn lie(model: &Model, values: &mut [Tensor], value: usize, consistent: bool, change: impl FnOnce(&mut Tensor)) {
	change(&mut values[value]);
	if !consistent {
		return;
	}
	for at in value + 1..values.len() {
		let node = &model.nodes()[at];
		if matches!(node.op, Op::Input(_) | Op::Weight(_)) {
			continue;
		}
		let ins: Vec<&Tensor> = node.inputs.iter().map(|v| &values[*v as usize]).collect();
		values[at] = evaluate_node(&node.op, &ins).unwrap();
	}
}

/// Changes bits of one element.
pub fn flip(rng: &mut Rng, tensor: &mut Tensor) {
	let size = tensor.ty.dtype.size();
	let at = rng.below((tensor.bytes.len() / size) as u64) as usize * size;
	let byte = at + rng.below(size as u64) as usize;
	tensor.bytes[byte] ^= 1 << rng.below(8);
}

/// A graph while it grows.
#[derive(Default)]
pub struct Graph {
	/// The nodes so far.
	pub nodes: Vec<Node>,
	/// The weights so far.
	pub weights: Vec<Tensor>,
	/// Values for the inputs.
	pub inputs: Vec<Tensor>,
}

impl Graph {
	/// A node; its type is what its operator gives.
	pub fn push(&mut self, op: Op, inputs: &[u32]) -> u32 {
		let types: Vec<&TensorType> = inputs.iter().map(|v| &self.nodes[*v as usize].ty).collect();
		let ty = crate::ops::out_type(&op, &types).unwrap();
		self.add(Node { op, inputs: inputs.to_vec(), ty })
	}

	fn add(&mut self, node: Node) -> u32 {
		self.nodes.push(node);
		(self.nodes.len() - 1) as u32
	}

	/// The next input, which must come before anything else.
	pub fn input(&mut self, value: Tensor) -> u32 {
		let (op, ty) = (Op::Input(self.inputs.len() as u32), value.ty.clone());
		self.inputs.push(value);
		self.add(Node { op, inputs: vec![], ty })
	}

	/// A weight.
	pub fn weight(&mut self, value: Tensor) -> u32 {
		let (op, ty) = (Op::Weight(self.weights.len() as u32), value.ty.clone());
		self.weights.push(value);
		self.add(Node { op, inputs: vec![], ty })
	}

	/// The finished model with its inputs.
	pub fn finish(self, outputs: u32) -> (Model, Vec<Tensor>) {
		let names = |n: usize| vec![String::new(); n];
		let names = Names { model: String::new(), inputs: names(self.inputs.len()), outputs: names(outputs as usize) };
		(Model::new(self.nodes, self.weights, outputs, names).unwrap(), self.inputs)
	}

	/// A value of this type made from an earlier one, if one is large enough; else a weight.
	fn fetch(&mut self, rng: &mut Rng, ty: &TensorType) -> u32 {
		let n = ty.elements().unwrap();
		let from = rng.below(self.nodes.len() as u64) as u32;
		let have = self.nodes[from as usize].ty.elements().unwrap();
		if have < n || have == 0 {
			return self.weight(tensor(rng, ty));
		}
		let mut id = self.push(Op::Reshape(Reshape { dims: vec![have as u32] }), &[from]);
		if have > n && n > 0 {
			let starts = vec![rng.below(have - n + 1) as u32];
			id = self.push(Op::Slice(Slice { starts, sizes: vec![n as u32], steps: vec![1] }), &[id]);
		} else if n == 0 {
			return self.weight(tensor(rng, ty));
		}
		if self.nodes[id as usize].ty.dtype != ty.dtype {
			id = self.push(Op::Cast(Cast { to: ty.dtype }), &[id]);
		}
		self.push(Op::Reshape(Reshape { dims: ty.dims.clone() }), &[id])
	}
}

/// A model around one node of this kind: operands are inputs or weights, and sometimes something follows it. Also the
/// number of the node.
pub fn around(rng: &mut Rng, kind: Kind) -> (Model, Vec<Tensor>, usize) {
	let (op, types, _) = kind.random(rng, Size::Small);
	let mut graph = Graph::default();
	let split = rng.below(types.len() as u64 + 1) as usize;
	let mut operands = Vec::new();
	for (i, ty) in types.iter().enumerate() {
		let twin = types[..i].iter().position(|t| t == ty).filter(|_| rng.one_in(4));
		operands.push(match twin {
			Some(twin) => operands[twin],
			None if i < split => graph.input(tensor(rng, ty)),
			None => graph.weight(tensor(rng, ty)),
		});
	}
	let mut last = graph.push(op, &operands);
	let node = last as usize;
	if rng.one_in(2) {
		let dims = graph.nodes[node].ty.dims.clone();
		last = graph.push(Op::Reshape(Reshape { dims }), &[last]);
		graph.push(Op::Cast(Cast { to: crate::DType::I32 }), &[last]);
	}
	let (model, inputs) = graph.finish(1);
	(model, inputs, node)
}

/// A model of several operators, each fed from earlier values.
pub fn random_model(rng: &mut Rng, operators: usize) -> (Model, Vec<Tensor>) {
	let mut graph = Graph::default();
	for _ in 0..rng.between(1, 3) {
		let ty = TensorType::new(rng.pick(&crate::DType::ALL), vec![rng.between(1, 40), rng.between(1, 40)]);
		let value = tensor(rng, &ty);
		graph.input(value);
	}
	for _ in 0..operators {
		let (op, types, _) = rng.pick(Kind::ALL).random(rng, Size::Small);
		let operands: Vec<u32> = types.iter().map(|ty| graph.fetch(rng, ty)).collect();
		graph.push(op, &operands);
	}
	// Outputs must be computed.
	let last = (graph.nodes.len() - 1) as u32;
	let dims = graph.nodes[last as usize].ty.dims.clone();
	graph.push(Op::Reshape(Reshape { dims }), &[last]);
	graph.finish(1)
}
