//! The reference evaluation: every element of every value by its operator's element function.

use crate::{
	ops::{self, canonical, dispatch, element_of, Bits, Operator, Read, Site},
	Model, Op, Tensor, TensorType, TypeError, ValueId,
};
use alloc::{collections::TryReserveError, vec::Vec};
use core::fmt;

/// Whole tensors as operands.
pub struct Tensors<'a>(pub &'a [&'a Tensor]);

impl Read for Tensors<'_> {
	#[inline]
	fn read(&self, operand: usize, index: u64) -> Bits {
		let Some(tensor) = self.0.get(operand) else { return 0 };
		let (dtype, size) = (tensor.ty.dtype, tensor.ty.dtype.size());
		let last = (tensor.bytes.len() / size).saturating_sub(1);
		let start = usize::try_from(index).unwrap_or(last).min(last) * size;
		canonical(dtype, tensor.bytes.get(start..start + size).map_or(0, raw))
	}
}

/// The raw bits of an element's bytes.
#[inline]
pub(crate) fn raw(bytes: &[u8]) -> u64 {
	match *bytes {
		[a] => u64::from(a),
		[a, b] => u64::from(u16::from_le_bytes([a, b])),
		[a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
		[a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
		_ => 0,
	}
}

/// Bytes for a tensor of this type, or an error instead of an abort.
fn reserve(ty: &TensorType) -> Result<Vec<u8>, EvalError> {
	let len = ty.byte_len().and_then(|n| usize::try_from(n).ok()).ok_or(EvalError::Memory)?;
	let mut bytes = Vec::new();
	bytes.try_reserve_exact(len)?;
	Ok(bytes)
}

fn fill<O: Operator>(op: &O, site: &Site, read: &Tensors) -> Result<Vec<u8>, EvalError> {
	let mut bytes = reserve(site.out)?;
	let size = site.out.dtype.size();
	for index in 0..site.out.elements().unwrap_or(0) {
		let bits = element_of(op, site, index, read);
		bytes.extend_from_slice(bits.to_le_bytes().get(..size).unwrap_or_default());
	}
	Ok(bytes)
}

/// The value of one operator over whole tensors. Inputs and weights are no computation and are refused.
pub fn evaluate_node(op: &Op, ins: &[&Tensor]) -> Result<Tensor, EvalError> {
	let types: Vec<&TensorType> = ins.iter().map(|t| &t.ty).collect();
	let out = ops::out_type(op, &types).map_err(EvalError::Type)?;
	let site = Site { ins: &types, out: &out };
	let read = Tensors(ins);
	let bytes = dispatch!(op, o => fill(o, &site, &read)?, Vec::new());
	Ok(Tensor { ty: out, bytes: bytes.into() })
}

/// The outputs of `model` on these inputs. A value is dropped as soon as nothing needs it.
pub fn evaluate(model: &Model, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
	let outputs: Vec<ValueId> = (0u32..).take(model.nodes().len()).skip(model.first_output()).collect();
	let mut walk = Walk::to(model, inputs, &outputs)?;
	while walk.step()?.is_some() {}
	outputs.iter().map(|v| walk.take(*v).ok_or(EvalError::Memory)).collect()
}

/// All values of `model` on these inputs, in order. Inputs and weights are given as they were committed to, raw.
pub fn trace(model: &Model, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
	let mut walk = Walk::all(model, inputs)?;
	let mut values = Vec::new();
	while let Some(value) = walk.step()? {
		values.push(walk.value(value).cloned().ok_or(EvalError::Memory)?);
	}
	Ok(values)
}

/// An evaluation, one value at a time. What is computed is dropped as soon as nothing needs it, so memory is bounded by the
/// largest values that live together, not by the trace.
///
/// Indexing is safe here: a `Model` is checked when it is made, so operands precede their node and weights exist.
pub struct Walk<'a> {
	model: &'a Model,
	inputs: &'a [Tensor],
	/// The last node that reads a value, or the value itself; none for values that nobody asks for.
	last_use: Vec<Option<usize>>,
	/// Values that are computed. Sources stay where they are.
	values: Vec<Option<Tensor>>,
	/// The next node.
	at: usize,
	/// The last value that was computed.
	last: Option<usize>,
	live: usize,
}

impl<'a> Walk<'a> {
	/// A walk through all values, of which none is kept longer than it is needed.
	pub fn all(model: &'a Model, inputs: &'a [Tensor]) -> Result<Self, EvalError> {
		Self::new(model, inputs, (0..model.nodes().len()).map(Some).collect())
	}

	/// A walk through these values and what they are computed from. These are kept to the end.
	pub fn to(model: &'a Model, inputs: &'a [Tensor], values: &[ValueId]) -> Result<Self, EvalError> {
		let mut last_use = alloc::vec![None; model.nodes().len()];
		for value in values {
			if let Some(last) = last_use.get_mut(*value as usize) {
				*last = Some(usize::MAX);
			}
		}
		Self::new(model, inputs, last_use)
	}

	fn new(model: &'a Model, inputs: &'a [Tensor], mut last_use: Vec<Option<usize>>) -> Result<Self, EvalError> {
		let types = &model.header().inputs;
		if inputs.len() != types.len() {
			return Err(EvalError::Inputs { expected: types.len(), got: inputs.len() });
		}
		for (input, (tensor, ty)) in inputs.iter().zip(types).enumerate() {
			if tensor.ty != *ty || ty.byte_len() != Some(tensor.bytes.len() as u64) {
				return Err(EvalError::Input { input });
			}
		}
		for (at, node) in model.nodes().iter().enumerate().rev() {
			if last_use[at].is_some() {
				node.inputs.iter().for_each(|v| last_use[*v as usize] = last_use[*v as usize].max(Some(at)));
			}
		}
		let values = model.nodes().iter().map(|_| None).collect();
		Ok(Self { model, inputs, last_use, values, at: 0, last: None, live: 0 })
	}

	/// Goes on to the next value that is asked for; none at the end. Drops what only the value before needed.
	pub fn step(&mut self) -> Result<Option<ValueId>, EvalError> {
		if let Some(last) = self.last.take() {
			for v in self.model.nodes()[last].inputs.iter().map(|v| *v as usize).chain([last]) {
				if self.last_use[v] <= Some(last) {
					self.live -= usize::from(self.values[v].take().is_some());
				}
			}
		}
		while self.last_use.get(self.at).is_some_and(Option::is_none) {
			self.at += 1;
		}
		let at = self.at;
		let Some(node) = self.model.nodes().get(at) else { return Ok(None) };
		if !matches!(node.op, Op::Input(_) | Op::Weight(_)) {
			let ins: Option<Vec<&Tensor>> = node.inputs.iter().map(|v| self.value(*v)).collect();
			let value = evaluate_node(&node.op, &ins.ok_or(EvalError::Memory)?)?;
			self.values[at] = Some(value);
			self.live += 1;
		}
		self.last = Some(at);
		self.at += 1;
		Ok(Some(at as ValueId))
	}

	/// The model.
	pub fn model(&self) -> &'a Model {
		self.model
	}

	/// A source, or a value that was computed and is still needed.
	pub fn value(&self, value: ValueId) -> Option<&Tensor> {
		let there = self.values.get(value as usize)?;
		there.as_ref().or_else(|| match self.model.nodes().get(value as usize)?.op {
			Op::Input(i) => self.inputs.get(i as usize),
			Op::Weight(i) => self.model.weights().get(i as usize),
			_ => None,
		})
	}

	/// Takes a value out: one that the walk is to, at its end.
	pub fn take(&mut self, value: ValueId) -> Option<Tensor> {
		let taken = self.values.get_mut(value as usize)?.take()?;
		self.live -= 1;
		Some(taken)
	}

	/// Goes on with another tensor in place of the value of the last step. For tests of what happens to liars.
	pub fn replace(&mut self, tensor: Tensor) {
		if let Some(value) = self.last.and_then(|last| self.values.get_mut(last)) {
			self.live += usize::from(value.replace(tensor).is_none());
		}
	}

	/// The number of computed values in memory.
	pub fn live(&self) -> usize {
		self.live
	}
}

/// Why there is no result. None of them depends on the values of the inputs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EvalError {
	/// The model takes another number of inputs.
	Inputs {
		/// Inputs that the model takes.
		expected: usize,
		/// Inputs given.
		got: usize,
	},
	/// An input has another type than the model's, or the wrong number of bytes.
	Input {
		/// Its number.
		input: usize,
	},
	/// An operator does not accept its operands.
	Type(TypeError),
	/// This machine has too little memory.
	Memory,
}

impl From<TryReserveError> for EvalError {
	fn from(_: TryReserveError) -> Self {
		EvalError::Memory
	}
}

impl fmt::Display for EvalError {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		match self {
			EvalError::Inputs { expected, got } => write!(f, "the model takes {expected} inputs, got {got}"),
			EvalError::Input { input } => write!(f, "input {input} has another type than the model's"),
			EvalError::Type(e) => e.fmt(f),
			EvalError::Memory => f.write_str("not enough memory"),
		}
	}
}

impl core::error::Error for EvalError {}
