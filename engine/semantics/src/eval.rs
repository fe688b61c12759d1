//! The reference evaluation: every element of every value by its operator's element function.

use crate::{
	ops::{self, canonical, dispatch, element_of, Bits, Operator, Read, Site},
	Model, Op, Tensor, TensorType, TypeError,
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
	Ok(Tensor { ty: out, bytes })
}

/// The outputs of `model` on these inputs. A value is dropped as soon as nothing needs it.
pub fn evaluate(model: &Model, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
	let mut last_use: Vec<usize> = (0..model.nodes().len()).collect();
	for (at, node) in model.nodes().iter().enumerate() {
		for value in &node.inputs {
			last_use[*value as usize] = at;
		}
	}
	last_use[model.first_output()..].fill(usize::MAX);
	let values = run(model, inputs, &last_use)?;
	Ok(values.into_iter().skip(model.first_output()).flatten().collect())
}

/// All values of `model` on these inputs, in order. Inputs and weights are given as they were committed to, raw.
pub fn trace(model: &Model, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
	let keep = alloc::vec![usize::MAX; model.nodes().len()];
	let values = run(model, inputs, &keep)?;
	let whole = values.into_iter().zip(model.nodes()).map(|(value, node)| match (&node.op, value) {
		(Op::Input(i), _) => Ok(inputs[*i as usize].clone()),
		(Op::Weight(i), _) => Ok(model.weights()[*i as usize].clone()),
		(_, value) => value.ok_or(EvalError::Memory),
	});
	whole.collect()
}

/// Runs every node and keeps value `i` until node `last_use[i]` is done. Sources stay where they are and are `None`.
///
/// Indexing is safe here: a `Model` is checked when it is made, so operands precede their node and weights exist.
fn run(model: &Model, inputs: &[Tensor], last_use: &[usize]) -> Result<Vec<Option<Tensor>>, EvalError> {
	let types = &model.header().inputs;
	if inputs.len() != types.len() {
		return Err(EvalError::Inputs { expected: types.len(), got: inputs.len() });
	}
	for (input, (tensor, ty)) in inputs.iter().zip(types).enumerate() {
		if tensor.ty != *ty || ty.byte_len() != Some(tensor.bytes.len() as u64) {
			return Err(EvalError::Input { input });
		}
	}
	let mut values: Vec<Option<Tensor>> = Vec::new();
	for (at, node) in model.nodes().iter().enumerate() {
		if matches!(node.op, Op::Input(_) | Op::Weight(_)) {
			values.push(None);
			continue;
		}
		let operand = |value: u32| match &model.nodes()[value as usize].op {
			Op::Input(i) => inputs.get(*i as usize),
			Op::Weight(i) => model.weights().get(*i as usize),
			_ => values[value as usize].as_ref(),
		};
		let ins: Option<Vec<&Tensor>> = node.inputs.iter().map(|v| operand(*v)).collect();
		let value = evaluate_node(&node.op, &ins.ok_or(EvalError::Memory)?)?;
		values.push(Some(value));
		for v in node.inputs.iter().chain([&(at as u32)]) {
			if last_use[*v as usize] <= at {
				values[*v as usize] = None;
			}
		}
	}
	Ok(values)
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
