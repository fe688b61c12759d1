//! The graph while it grows.

use crate::{
	error::{ImportError, Reason},
	layout::{compose, identity, inverse, Perm},
	shared::Shared,
	weights::is_canonical,
};
use assay_semantics::{
	evaluate_node,
	ir::MAX_OPERANDS,
	model::MAX_NODES,
	ops::{out_type, steps, Binary, Reduce, ReduceKind, Reshape, Site, Transpose, BLOCK},
	DType, Model, Names, Node, Op, Tensor, TensorType, ValueId,
};
use std::{collections::HashMap, sync::Arc};

/// An ONNX tensor: a value of the IR, and the permutation between them (see [`crate::layout`]).
#[derive(Clone, Debug)]
pub(crate) struct Value {
	/// The value.
	pub(crate) id: ValueId,
	/// Dimension `i` of the ONNX tensor is dimension `perm[i]` of the value.
	pub(crate) perm: Perm,
}

/// Bytes that constant folding may add beyond what the file brought, so that a small file cannot make a large model.
const FOLD_ALLOWANCE: u64 = 1 << 28;

/// Bytes of constants of one value, which generators of test models write as a shape: as many as a file may have.
const SPLAT_ALLOWANCE: u64 = 1 << 31;

/// Elements that may be read to compute constants whose values import needs.
const FOLD_WORK: u64 = 1 << 30;

/// Nodes and weights so far. Sources first; nodes that nothing needs are dropped at the end.
pub(crate) struct Builder {
	nodes: Vec<Node>,
	weights: Vec<Tensor>,
	/// Names of the inputs, in order.
	inputs: Vec<String>,
	transposed: HashMap<(ValueId, Perm), ValueId>,
	/// Weights all of whose elements have these bits, made from a shape.
	splats: HashMap<ValueId, Vec<u8>>,
	/// Bytes of weights that may still be added.
	fold_budget: u64,
	splat_budget: u64,
	work_budget: u64,
	shared: Arc<Shared>,
}

impl Builder {
	/// An empty graph for a file of this many bytes.
	pub(crate) fn new(file: usize, shared: &Arc<Shared>) -> Self {
		Self {
			nodes: Vec::new(),
			weights: Vec::new(),
			inputs: Vec::new(),
			transposed: HashMap::new(),
			work_budget: FOLD_WORK,
			splats: HashMap::new(),
			splat_budget: SPLAT_ALLOWANCE,
			fold_budget: (file as u64).saturating_mul(3).saturating_add(FOLD_ALLOWANCE),
			shared: shared.clone(),
		}
	}

	fn add(&mut self, node: Node) -> Result<ValueId, Reason> {
		if self.nodes.len() >= MAX_NODES / 2 {
			return Err("the model has too many nodes".into());
		}
		self.nodes.push(node);
		Ok((self.nodes.len() - 1) as ValueId)
	}

	/// The next input.
	pub(crate) fn input(&mut self, ty: TensorType, name: &str) -> Result<ValueId, Reason> {
		let number = self.nodes.len() as u32;
		self.inputs.push(name.into());
		self.add(Node { op: Op::Input(number), inputs: vec![], ty })
	}

	/// An error when weights of this many bytes would make the model too large for its file.
	pub(crate) fn afford(&self, bytes: u64) -> Result<(), Reason> {
		match bytes <= self.fold_budget {
			true => Ok(()),
			false => Err("the model's constants become much larger than its file".into()),
		}
	}

	/// Allows for weights of this many bytes that are not from the file.
	pub(crate) fn allow(&mut self, bytes: u64) {
		self.fold_budget = self.fold_budget.saturating_add(bytes);
	}

	/// A weight.
	pub(crate) fn weight(&mut self, tensor: Tensor) -> Result<ValueId, Reason> {
		self.afford(tensor.bytes.len() as u64)?;
		self.fold_budget -= tensor.bytes.len() as u64;
		self.keep(tensor)
	}

	fn keep(&mut self, tensor: Tensor) -> Result<ValueId, Reason> {
		let number = self.weights.len() as u32;
		let ty = tensor.ty.clone();
		self.weights.push(tensor);
		self.add(Node { op: Op::Weight(number), inputs: vec![], ty })
	}

	/// A weight of one element many times.
	pub(crate) fn splat(&mut self, ty: TensorType, element: &[u8]) -> Result<ValueId, Reason> {
		ty.check()?;
		let size = ty.byte_len().filter(|size| *size <= self.splat_budget);
		let size = size.ok_or("the model's constants become too large")?;
		self.splat_budget -= size;
		let bytes = element.repeat(size as usize / element.len().max(1));
		let id = self.keep(Tensor::new(ty, bytes)?)?;
		self.splats.insert(id, element.to_vec());
		Ok(id)
	}

	/// A scalar f32 weight.
	pub(crate) fn scalar(&mut self, value: f32) -> Result<ValueId, Reason> {
		self.weight(Tensor::from_f32([], &[value])?)
	}

	/// The type of a value.
	pub(crate) fn ty(&self, id: ValueId) -> &TensorType {
		&self.nodes[id as usize].ty
	}

	/// The node of a value.
	pub(crate) fn node(&self, id: ValueId) -> &Node {
		&self.nodes[id as usize]
	}

	/// The tensor of a value that is a weight.
	pub(crate) fn constant(&self, id: ValueId) -> Option<&Tensor> {
		match self.nodes[id as usize].op {
			Op::Weight(i) => self.weights.get(i as usize),
			_ => None,
		}
	}

	/// The tensor of a value that import needs to know. What it is computed from is folded if it is constant; else the
	/// reason names the inputs that it hangs on.
	pub(crate) fn demand(&mut self, id: ValueId) -> Result<Tensor, Reason> {
		if let Some(tensor) = self.constant(id) {
			return Ok(tensor.clone());
		}
		// Looking for it is work, too.
		self.work_budget = self.work_budget.checked_sub(id.into()).ok_or("computing constants takes too long")?;
		let mut cone = vec![false; id as usize + 1];
		cone[id as usize] = true;
		let mut needs = Vec::new();
		for at in (0..=id as usize).rev() {
			if cone[at] {
				if let Op::Input(i) = self.nodes[at].op {
					needs.extend(self.inputs.get(i as usize).cloned());
				}
				self.nodes[at].inputs.iter().for_each(|v| cone[*v as usize] = true);
			}
		}
		if !needs.is_empty() {
			return Err(Reason { text: "its value is not known at import".into(), needs });
		}
		for at in (0..=id).filter(|at| cone[*at as usize]) {
			if self.constant(at).is_some() {
				continue;
			}
			let node = &self.nodes[at as usize];
			let types: Vec<&TensorType> = node.inputs.iter().map(|i| self.ty(*i)).collect();
			let site = Site { ins: &types, out: &node.ty };
			let work = node.ty.elements().unwrap_or(u64::MAX).saturating_mul(steps(&node.op, &site).max(1) * BLOCK);
			self.work_budget = self.work_budget.checked_sub(work).ok_or("computing it at import takes too long")?;
			let constants: Vec<&Tensor> = node.inputs.iter().filter_map(|i| self.constant(*i)).collect();
			let tensor = evaluate_node(&node.op, &constants)?;
			self.afford(tensor.bytes.len() as u64)?;
			self.fold_budget -= tensor.bytes.len() as u64;
			self.nodes[at as usize] =
				Node { op: Op::Weight(self.weights.len() as u32), inputs: vec![], ty: tensor.ty.clone() };
			self.weights.push(tensor);
		}
		Ok(self.constant(id).cloned().ok_or("its value is not known at import")?)
	}

	/// The value of `op` over these operands: a new node, or a weight when all operands are weights. Folding calls
	/// `assay-semantics`, so that a folded weight has the bits that the node would have had.
	pub(crate) fn push(&mut self, op: Op, inputs: &[ValueId]) -> Result<ValueId, Reason> {
		if inputs.len() > MAX_OPERANDS {
			return Err(format!("more than {MAX_OPERANDS} operands").into());
		}
		let types: Vec<&TensorType> = inputs.iter().map(|i| self.ty(*i)).collect();
		let ty = out_type(&op, &types)?;
		// Wherever its elements go, they are equal.
		let moves = matches!(op, Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Expand(_));
		if let (true, [from]) = (moves, inputs) {
			if let Some(element) = self.splats.get(from).cloned() {
				return self.splat(ty, &element);
			}
		}
		// Contractions and reductions of constants are left alone: their work is not bounded by their size.
		let cheap = !matches!(op, Op::MatMul(_) | Op::Conv(_) | Op::Reduce(_) | Op::Pool(_));
		let constants: Option<Vec<&Tensor>> = inputs.iter().map(|i| self.constant(*i)).collect();
		if let (true, Some(constants), Some(size)) = (cheap, constants, ty.byte_len()) {
			if size <= self.fold_budget {
				let folded = self.fold(&op, &constants, &ty)?;
				constants.iter().for_each(|c| c.bytes.release());
				return self.weight(folded);
			}
		}
		self.add(Node { op, inputs: inputs.to_vec(), ty })
	}

	/// A reduction over `axes` that keeps them as 1; axis by axis where all at once would take too many steps.
	pub(crate) fn reduce(&mut self, kind: ReduceKind, axes: &[u8], id: ValueId) -> Result<ValueId, Reason> {
		let reduce = |axes: &[u8]| Op::Reduce(Reduce { kind, axes: axes.to_vec(), keep_dims: true });
		match self.push(reduce(axes), &[id]) {
			// Along an axis of 1 there is nothing to do that the others do not do.
			Err(_) if axes.len() > 1 => {
				let dims = self.ty(id).dims.clone();
				let long = axes.iter().filter(|axis| dims.get(usize::from(**axis)) != Some(&1));
				long.into_iter().try_fold(id, |id, axis| self.push(reduce(&[*axis]), &[id]))
			}
			result => result,
		}
	}

	/// The value in the order in which the ONNX tensor is `want` of it.
	pub(crate) fn fetch(&mut self, value: &Value, want: &[u8]) -> Result<ValueId, Reason> {
		if want.len() != value.perm.len() {
			return Err(format!("{} dimensions are needed, there are {}", want.len(), value.perm.len()).into());
		}
		let perm = compose(&value.perm, &inverse(want));
		if perm == identity(perm.len()) {
			return Ok(value.id);
		}
		if let Some(id) = self.transposed.get(&(value.id, perm.clone())) {
			return Ok(*id);
		}
		let from = &self.ty(value.id).dims;
		let moved: Vec<u8> = perm.iter().copied().filter(|p| from[usize::from(*p)] != 1).collect();
		let op = if moved.is_sorted() {
			// Only dimensions of 1 move: the bytes stay as they are.
			Op::Reshape(Reshape { dims: perm.iter().map(|p| from[usize::from(*p)]).collect() })
		} else {
			Op::Transpose(Transpose { perm: perm.clone() })
		};
		let id = self.push(op, &[value.id])?;
		self.transposed.insert((value.id, perm), id);
		Ok(id)
	}

	/// The value in the ONNX tensor's own order.
	pub(crate) fn plain(&mut self, value: &Value) -> Result<ValueId, Reason> {
		self.fetch(value, &identity(value.perm.len()))
	}

	/// A value in its own order.
	pub(crate) fn value(&self, id: ValueId) -> Value {
		Value { id, perm: identity(self.ty(id).dims.len()) }
	}

	/// The dimensions of the ONNX tensor.
	pub(crate) fn dims(&self, value: &Value) -> Vec<u32> {
		let dims = &self.ty(value.id).dims;
		value.perm.iter().map(|p| dims[usize::from(*p)]).collect()
	}

	/// The same elements under other dimensions, in the ONNX tensor's own order.
	pub(crate) fn reshape(&mut self, value: &Value, dims: Vec<u32>) -> Result<Value, Reason> {
		let id = self.plain(value)?;
		if self.ty(id).dims == dims {
			return Ok(self.value(id));
		}
		let id = self.push(Op::Reshape(Reshape { dims }), &[id])?;
		Ok(self.value(id))
	}

	/// A binary operator with broadcasting, in an order that one of the operands already has.
	pub(crate) fn binary(&mut self, op: Binary, a: &Value, b: &Value) -> Result<Value, Reason> {
		let rank = a.perm.len().max(b.perm.len());
		let order = [a, b].into_iter().map(|v| &v.perm).filter(|p| p.len() == rank);
		let plain = identity(rank);
		let perm = order.clone().find(|p| **p != plain).unwrap_or(&plain).clone();
		let mut ids = [a.id, b.id];
		if perm != plain {
			for (id, v) in ids.iter_mut().zip([a, b]) {
				let dims = self.dims(v);
				// A scalar broadcasts in any order.
				if dims.is_empty() {
					continue;
				}
				let mut full = vec![1; rank - dims.len()];
				full.extend(dims);
				let v = if full.len() == v.perm.len() { v.clone() } else { self.reshape(v, full)? };
				*id = self.fetch(&v, &perm)?;
			}
		} else {
			ids = [self.plain(a)?, self.plain(b)?];
		}
		Ok(Value { id: self.push(Op::Binary(op), &ids)?, perm })
	}

	/// The finished model: unused nodes and weights dropped, outputs moved to the end.
	pub(crate) fn finish(mut self, outputs: &[ValueId], names: Names) -> Result<Model, ImportError> {
		let mut outputs = outputs.to_vec();
		let copy = |builder: &mut Self, id: ValueId| -> ValueId {
			let ty = builder.ty(id).clone();
			let op = Op::Reshape(Reshape { dims: ty.dims.clone() });
			builder.nodes.push(Node { op, inputs: vec![id], ty });
			(builder.nodes.len() - 1) as ValueId
		};
		// An output that is a source, appears twice or is read by another node gets a node of its own. Reading by nodes
		// that are dropped later counts too: a needless copy at worst.
		let mut read = vec![false; self.nodes.len()];
		for node in &self.nodes {
			node.inputs.iter().for_each(|v| read[*v as usize] = true);
		}
		for i in 0..outputs.len() {
			let id = outputs[i];
			let source = matches!(self.node(id).op, Op::Input(_) | Op::Weight(_));
			if source || outputs[..i].contains(&id) || read[id as usize] {
				outputs[i] = copy(&mut self, id);
			}
		}
		// What the outputs need, from the end to the front; inputs stay whether or not they are needed.
		let mut needed = vec![false; self.nodes.len()];
		outputs.iter().for_each(|v| needed[*v as usize] = true);
		for (at, node) in self.nodes.iter().enumerate().rev() {
			if matches!(node.op, Op::Input(_)) {
				needed[at] = true;
			} else if needed[at] {
				node.inputs.iter().for_each(|v| needed[*v as usize] = true);
			}
		}
		let is_output = |id: &ValueId| outputs.contains(id);
		let body = (0..self.nodes.len() as ValueId).filter(|id| needed[*id as usize] && !is_output(id));
		let order: Vec<ValueId> = body.chain(outputs.iter().copied()).collect();
		let mut number: HashMap<ValueId, ValueId> = HashMap::new();
		let (mut nodes, mut weights) = (Vec::new(), Vec::new());
		for id in order {
			let mut node = self.nodes[id as usize].clone();
			if let Op::Weight(i) = &mut node.op {
				let empty = Tensor { ty: node.ty.clone(), bytes: Vec::new().into() };
				// Each weight has one node, so its tensor can be moved out.
				weights.push(std::mem::replace(&mut self.weights[*i as usize], empty));
				*i = (weights.len() - 1) as u32;
			}
			node.inputs.iter_mut().for_each(|v| *v = number[v]);
			number.insert(id, nodes.len() as ValueId);
			nodes.push(node);
		}
		Ok(Model::sharing(nodes, weights, outputs.len() as u32, names, self.shared.roots())?)
	}
}

impl Builder {
	/// The value of an operator over constants. Moving elements that are canonical changes no bits, so that needs no element
	/// function: weights are large.
	fn fold(&self, op: &Op, constants: &[&Tensor], ty: &TensorType) -> Result<Tensor, Reason> {
		// Initialisers were looked through when they were read; bools never are.
		let is_read = |x: &Tensor| x.ty.dtype != DType::Bool && self.shared.is_initialiser(x);
		let is_canonical = |x: &Tensor| is_read(x) || is_canonical(x);
		let bytes = match (op, constants) {
			(Op::Reshape(_), [x]) if is_canonical(x) => x.bytes.clone(),
			(Op::Transpose(t), [x]) if is_canonical(x) && !x.bytes.is_empty() => {
				self.shared.moved(x, &t.perm, || transposed(x, &t.perm, ty))
			}
			_ => return Ok(evaluate_node(op, constants)?),
		};
		Ok(Tensor { ty: ty.clone(), bytes })
	}
}

/// Dimension `i` of the result, which has type `ty`, is dimension `perm[i]` of `x`.
fn transposed(x: &Tensor, perm: &[u8], ty: &TensorType) -> Vec<u8> {
	let size = ty.dtype.size();
	let mut strides = vec![size; x.ty.dims.len()];
	for i in (1..strides.len()).rev() {
		strides[i - 1] = strides[i] * x.ty.dims[i] as usize;
	}
	// Of the result, slowest first: how many, and how far apart in `x`.
	let mut axes: Vec<(usize, usize)> =
		perm.iter().zip(&ty.dims).map(|(p, d)| (*d as usize, strides[usize::from(*p)])).collect();
	let (count, step) = axes.pop().unwrap_or((1, size));
	let mut out = Vec::with_capacity(x.bytes.len());
	let bytes = x.bytes.as_slice();
	let mut at = vec![0; axes.len()];
	loop {
		let start: usize = at.iter().zip(&axes).map(|(i, (_, step))| i * step).sum();
		match size {
			4 => (0..count).for_each(|i| out.extend_from_slice(&bytes[start + i * step..][..4])),
			_ => (0..count).for_each(|i| out.extend_from_slice(&bytes[start + i * step..][..size])),
		}
		let Some(axis) = (0..axes.len()).rev().find(|a| at[*a] + 1 < axes[*a].0) else { return out };
		at[axis] += 1;
		at[axis + 1..].fill(0);
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use assay_semantics::Bytes;

	#[test]
	fn fold_should_give_what_the_semantics_gives_when_it_moves_elements() {
		let dims = [2, 3, 4, 5];
		let floats: Vec<f32> = (0..120).map(|i| if i == 7 { -0.0 } else { i as f32 - 50.0 }).collect();
		let x = Tensor::from_f32(dims, &floats).unwrap();
		let odd = Tensor::from_f32(dims, &[f32::NAN, 1e-40, -1e-40, 1.0].repeat(30)).unwrap();
		let long = Tensor::from_i64(dims, &(0..120).collect::<Vec<i64>>()).unwrap();
		let file = Bytes::shared(Arc::new(x.bytes.to_vec()));
		let part = Tensor { ty: x.ty.clone(), bytes: file.part(0, file.len()).unwrap() };
		let builder = Builder::new(file.len(), &Arc::new(Shared::new(&file)));
		for tensor in [&x, &odd, &long, &part, &part] {
			for perm in [[0, 1, 2, 3], [3, 2, 1, 0], [0, 2, 3, 1], [1, 0, 3, 2], [2, 3, 0, 1]] {
				let op = Op::Transpose(Transpose { perm: perm.to_vec() });
				let expected = evaluate_node(&op, &[tensor]).unwrap();
				assert_eq!(builder.fold(&op, &[tensor], &expected.ty).unwrap(), expected);
			}
			let op = Op::Reshape(Reshape { dims: vec![6, 20] });
			let expected = evaluate_node(&op, &[tensor]).unwrap();
			assert_eq!(builder.fold(&op, &[tensor], &expected.ty).unwrap(), expected);
		}
	}
}
