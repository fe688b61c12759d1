//! A model: a checked graph with its weights.

use crate::{
	commit, ir::MAX_OPERANDS, ops, Hash, ModelHeader, Node, Op, Tensor, TensorError, TensorType, TypeError, ValueId,
	SEMANTICS_VERSION,
};
use alloc::{string::String, vec::Vec};
use codec::{Decode, DecodeWithMemTracking, Encode};
use core::fmt;

/// The largest number of nodes of a graph.
pub const MAX_NODES: usize = 1 << 20;

/// The largest number of inputs, and of outputs.
pub const MAX_SIGNATURE: usize = 256;

/// The most bytes of an encoded header. It travels in every message of a dispute.
pub const MAX_HEADER_BYTES: usize = 4096;

/// The most bytes of an encoded node. Nodes that are valid have fewer.
pub const MAX_NODE_BYTES: usize = 1024;

/// What people call things. Positions bind, names do not: they are outside the `ModelId`.
#[derive(Clone, PartialEq, Eq, Default, Debug, Encode, Decode, DecodeWithMemTracking)]
pub struct Names {
	/// The model.
	pub model: String,
	/// The inputs, in order.
	pub inputs: Vec<String>,
	/// The outputs, in order.
	pub outputs: Vec<String>,
}

/// A graph and its weights. There is no unchecked `Model`: [`Model::new`] runs [`Model::check`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Model {
	nodes: Vec<Node>,
	weights: Vec<Tensor>,
	weight_roots: Vec<Hash>,
	outputs: u32,
	names: Names,
	header: ModelHeader,
}

/// Bytes of a header without its types.
const HEADER_BASE: usize = 4 + 32 + 4 + 32 + 4 + 4 + 4;

/// Whether a header can be that of a valid model. Everything else that a model must be shows in single nodes.
pub fn check_header(header: &ModelHeader) -> Result<(), ModelError> {
	let (inputs, outputs) = (header.inputs.len(), header.outputs.len());
	if header.values as usize > MAX_NODES {
		return Err(ModelError::Nodes);
	}
	let fits = outputs > 0
		&& inputs.max(outputs) <= MAX_SIGNATURE
		&& inputs.saturating_add(outputs) <= header.values as usize
		&& header.semantics_version == SEMANTICS_VERSION
		&& header.max_iterations == 1
		&& header.encoded_size() <= MAX_HEADER_BYTES
		&& header.inputs.iter().chain(&header.outputs).all(|ty| ty.check().is_ok());
	fits.then_some(()).ok_or(ModelError::Signature)
}

/// Whether node number `id` is what a model with this header has at this place: inputs are the first nodes, outputs are
/// the last and are computed, both of the header's types.
pub fn check_place(id: ValueId, node: &Node, header: &ModelHeader) -> Result<(), NodeError> {
	let at = id as usize;
	match (&node.op, header.inputs.get(at)) {
		(Op::Input(i), Some(ty)) if *i == id && *ty == node.ty => {}
		(Op::Input(_), _) | (_, Some(_)) => return Err(NodeError::Input),
		_ => {}
	}
	let first = (header.values as usize).saturating_sub(header.outputs.len());
	match at.checked_sub(first) {
		None => Ok(()),
		Some(i) => match header.outputs.get(i) {
			Some(ty) if *ty == node.ty && !matches!(node.op, Op::Input(_) | Op::Weight(_)) => Ok(()),
			_ => Err(NodeError::Output),
		},
	}
}

impl Model {
	/// A model from its parts: the last `outputs` nodes are the outputs. Hashes the weights, which takes time in
	/// proportion to their size.
	pub fn new(nodes: Vec<Node>, weights: Vec<Tensor>, outputs: u32, names: Names) -> Result<Self, ModelError> {
		Self::with(nodes, weights, outputs, names, &commit::root_of)
	}

	/// The same, for one of several models over the same weights: those in shared memory are hashed once.
	#[cfg(any(test, feature = "std"))]
	pub fn sharing(
		nodes: Vec<Node>,
		weights: Vec<Tensor>,
		outputs: u32,
		names: Names,
		roots: &crate::Roots,
	) -> Result<Self, ModelError> {
		Self::with(nodes, weights, outputs, names, &|weight| roots.root_of(weight))
	}

	fn with(
		nodes: Vec<Node>,
		weights: Vec<Tensor>,
		outputs: u32,
		names: Names,
		root_of: &dyn Fn(&Tensor) -> Hash,
	) -> Result<Self, ModelError> {
		let header = ModelHeader {
			semantics_version: SEMANTICS_VERSION,
			ir_root: Hash::default(),
			values: u32::try_from(nodes.len()).map_err(|_| ModelError::Nodes)?,
			weight_root: Hash::default(),
			inputs: Vec::new(),
			outputs: Vec::new(),
			max_iterations: 1,
		};
		let mut model = Self { nodes, weights, weight_roots: Vec::new(), outputs, names, header };
		model.check()?;
		let root = |weight: &Tensor| {
			let root = root_of(weight);
			weight.bytes.release();
			root
		};
		model.weight_roots = model.weights.iter().map(root).collect();
		model.header.weight_root = commit::weight_root(&model.weight_roots);
		model.header.ir_root = commit::ir_root(&model.nodes);
		model.header.inputs = model.input_nodes().map(|n| n.ty.clone()).collect();
		model.header.outputs = model.output_nodes().iter().map(|n| n.ty.clone()).collect();
		Ok(model)
	}

	/// Everything that the `ModelId` commits to.
	pub fn header(&self) -> ModelHeader {
		self.header.clone()
	}

	/// The `ModelId`.
	pub fn id(&self) -> Hash {
		self.header.id()
	}

	/// The nodes, in topological order.
	pub fn nodes(&self) -> &[Node] {
		&self.nodes
	}

	/// The weights.
	pub fn weights(&self) -> &[Tensor] {
		&self.weights
	}

	/// The value roots of the weights.
	pub fn weight_roots(&self) -> &[Hash] {
		&self.weight_roots
	}

	/// The names.
	pub fn names(&self) -> &Names {
		&self.names
	}

	/// The number of the first output value.
	pub fn first_output(&self) -> usize {
		self.nodes.len().saturating_sub(self.outputs as usize)
	}

	/// Bytes of all values together: the size of a trace.
	pub fn trace_bytes(&self) -> u64 {
		self.nodes.iter().filter_map(|n| n.ty.byte_len()).fold(0, u64::saturating_add)
	}

	fn input_nodes(&self) -> impl Iterator<Item = &Node> {
		self.nodes.iter().take_while(|n| matches!(n.op, Op::Input(_)))
	}

	fn output_nodes(&self) -> &[Node] {
		self.nodes.get(self.first_output()..).unwrap_or_default()
	}

	/// Checks every node on its own (see [`check_node`]) and how nodes, weights, inputs, outputs and names fit together.
	pub fn check(&self) -> Result<(), ModelError> {
		if self.nodes.len() > MAX_NODES {
			return Err(ModelError::Nodes);
		}
		let inputs = self.input_nodes().count();
		let outputs = self.output_nodes();
		let signature = self.nodes.iter().take(inputs).chain(outputs);
		if signature.map(|n| n.ty.encoded_size()).sum::<usize>() > MAX_HEADER_BYTES - HEADER_BASE {
			return Err(ModelError::Signature);
		}
		if outputs.is_empty() || outputs.len() != self.outputs as usize || outputs.len().max(inputs) > MAX_SIGNATURE {
			return Err(ModelError::Signature);
		}
		if outputs.iter().any(|n| matches!(n.op, Op::Input(_) | Op::Weight(_))) {
			return Err(ModelError::Signature);
		}
		if self.names.inputs.len() != inputs || self.names.outputs.len() != outputs.len() {
			return Err(ModelError::Names);
		}
		for (weight, tensor) in self.weights.iter().enumerate() {
			let fits = tensor.ty.check().is_ok() && tensor.ty.byte_len() == Some(tensor.bytes.len() as u64);
			if !fits {
				return Err(ModelError::Weight { weight });
			}
		}
		for (at, node) in self.nodes.iter().enumerate() {
			let error = |reason| ModelError::Node { node: at, reason };
			let id = ValueId::try_from(at).map_err(|_| ModelError::Nodes)?;
			let mut ins = Vec::with_capacity(node.inputs.len().min(MAX_OPERANDS));
			for value in &node.inputs {
				let operand = self.nodes.get(*value as usize).filter(|_| *value < id);
				ins.push(&operand.ok_or(error(NodeError::Order))?.ty);
			}
			check_node(id, node, &ins).map_err(error)?;
			match node.op {
				Op::Input(_) if at >= inputs => return Err(error(NodeError::Input)),
				Op::Weight(i) if self.weights.get(i as usize).map(|w| &w.ty) != Some(&node.ty) => {
					return Err(error(NodeError::Weight));
				}
				_ => {}
			}
		}
		Ok(())
	}
}

/// Whether node number `id` is valid over operands of these types: its operands come before it, its operator accepts them,
/// its type is what the operator gives, and every element can be judged. Needs nothing but its arguments, so a judge can
/// run it on what a proof opens.
pub fn check_node(id: ValueId, node: &Node, ins: &[&TensorType]) -> Result<(), NodeError> {
	if node.inputs.len() != ins.len() || node.inputs.len() > MAX_OPERANDS || node.inputs.iter().any(|v| *v >= id) {
		return Err(NodeError::Order);
	}
	node.ty.check().map_err(NodeError::Tensor)?;
	match node.op {
		Op::Input(i) if i != id || !ins.is_empty() => Err(NodeError::Input),
		Op::Weight(_) if !ins.is_empty() => Err(NodeError::Weight),
		Op::Input(_) | Op::Weight(_) => Ok(()),
		_ if ops::out_type(&node.op, ins).map_err(NodeError::Type)? != node.ty => Err(NodeError::Result),
		_ => Ok(()),
	}
}

/// What is wrong with one node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeError {
	/// An operand does not come before the node.
	Order,
	/// An input is not at its place: input `i` is node `i`, without operands.
	Input,
	/// There is no such weight, or not of this type.
	Weight,
	/// An output has another type than the model's, or is not computed.
	Output,
	/// The node's own type is not valid.
	Tensor(TensorError),
	/// The operator does not accept its operands.
	Type(TypeError),
	/// The node's type is not what its operator gives.
	Result,
}

impl fmt::Display for NodeError {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		match self {
			NodeError::Order => f.write_str("an operand does not come before the node"),
			NodeError::Input => f.write_str("input i must be node i, without operands"),
			NodeError::Weight => f.write_str("there is no such weight of this type"),
			NodeError::Output => f.write_str("an output has another type than the model's, or is not computed"),
			NodeError::Tensor(e) => e.fmt(f),
			NodeError::Type(e) => e.fmt(f),
			NodeError::Result => f.write_str("the stated type is not what the operator gives"),
		}
	}
}

/// Why a model is not valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ModelError {
	/// More than [`MAX_NODES`] nodes.
	Nodes,
	/// No output, too many inputs or outputs, types that take too many bytes, or an output that is an input or a weight.
	Signature,
	/// Not one name for each input and output.
	Names,
	/// A weight's bytes do not fit its type.
	Weight {
		/// Its number.
		weight: usize,
	},
	/// A node is not valid.
	Node {
		/// Its number.
		node: usize,
		/// What is wrong.
		reason: NodeError,
	},
}

impl fmt::Display for ModelError {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		match self {
			ModelError::Nodes => write!(f, "a model has at most {MAX_NODES} nodes"),
			ModelError::Signature => {
				write!(
					f,
					"a model has 1 to {MAX_SIGNATURE} outputs, at most as many inputs, computes its outputs, and its types fit \
					 into {MAX_HEADER_BYTES} bytes"
				)
			}
			ModelError::Names => f.write_str("one name for each input and output is needed"),
			ModelError::Weight { weight } => write!(f, "weight {weight}: the bytes do not fit the type"),
			ModelError::Node { node, reason } => write!(f, "node {node}: {reason}"),
		}
	}
}

impl core::error::Error for ModelError {}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
