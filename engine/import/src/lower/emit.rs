//! What composite operators are written with: small steps on ONNX tensors, and ONNX operators as if they stood in the graph.

use super::{dispatch, integers, Lowering};
use crate::{
	attributes::axis,
	builder::Value,
	error::Reason,
	layout::{compose, identity},
	proto::{AttributeProto, NodeProto},
};
use assay_semantics::{
	ops::{Binary, Cast, Concat, Expand, MatMul, Pad, ReduceKind, Slice, Unary},
	DType, Op, Tensor, TensorType,
};

/// The operator set in which [`Lowering::call`] means its operators.
const CALL_OPSET: i64 = 24;

/// An attribute of type 2.
pub(super) fn int(name: &str, i: i64) -> AttributeProto {
	AttributeProto { name: name.into(), i, r#type: 2, ..Default::default() }
}

/// An attribute of type 1.
pub(super) fn float(name: &str, f: f32) -> AttributeProto {
	AttributeProto { name: name.into(), f, r#type: 1, ..Default::default() }
}

impl Lowering<'_> {
	/// The first output of an ONNX operator of operator set 24 over these operands.
	pub(super) fn call(&mut self, op: &str, inputs: &[&Value], attribute: &[AttributeProto]) -> Result<Value, Reason> {
		let names: Vec<String> = (0..inputs.len()).map(|i| format!("\0{i}")).collect();
		let before: Vec<Option<Value>> = names
			.iter()
			.zip(inputs)
			.map(|(name, value)| self.context.env.insert(name.clone(), (*value).clone()))
			.collect();
		let node = NodeProto {
			input: names.clone(),
			output: vec!["\0".into()],
			op_type: op.into(),
			attribute: attribute.to_vec(),
			..Default::default()
		};
		let opset = std::mem::replace(&mut self.context.opset, CALL_OPSET);
		let outputs = dispatch(&mut Lowering { context: self.context, node: &node, more: Vec::new() });
		self.context.opset = opset;
		// Operands of an operator that was itself called stand under the same names.
		for (name, value) in names.into_iter().zip(before) {
			match value {
				Some(value) => self.context.env.insert(name, value),
				None => self.context.env.remove(&name),
			};
		}
		let outputs = outputs?.ok_or_else(|| format!("it needs {op}, which is not supported"))?;
		Ok(outputs.into_iter().next().map(|(_, value)| value).ok_or("no output")?)
	}

	/// The dimensions of an ONNX tensor.
	pub(super) fn dims(&self, value: &Value) -> Vec<u32> {
		self.context.builder.dims(value)
	}

	/// The element type of an ONNX tensor.
	pub(super) fn dtype(&self, value: &Value) -> DType {
		self.context.builder.ty(value.id).dtype
	}

	/// A constant.
	pub(super) fn weight(&mut self, tensor: Tensor) -> Result<Value, Reason> {
		let id = self.context.builder.weight(tensor)?;
		Ok(self.context.builder.value(id))
	}

	/// A scalar f32 constant, infinite ones too.
	pub(super) fn number(&mut self, x: f32) -> Result<Value, Reason> {
		self.weight(Tensor::from_f32([], &[x])?)
	}

	/// A scalar constant of an element type that holds the number exactly.
	pub(super) fn number_of(&mut self, dtype: DType, x: f32) -> Result<Value, Reason> {
		let number = self.number(x)?;
		self.cast_to(&number, dtype)
	}

	/// A scalar constant of the element type of `like`.
	pub(super) fn number_like(&mut self, like: &Value, x: f32) -> Result<Value, Reason> {
		self.number_of(self.dtype(like), x)
	}

	/// f32 constants.
	pub(super) fn numbers(&mut self, dims: &[u32], values: &[f32]) -> Result<Value, Reason> {
		self.weight(Tensor::from_f32(dims, values)?)
	}

	/// i64 constants.
	pub(super) fn integers(&mut self, dims: &[u32], values: &[i64]) -> Result<Value, Reason> {
		self.weight(Tensor::from_i64(dims, values)?)
	}

	/// The tensor of a constant, in the ONNX tensor's own order; an error that says what it hangs on when it is none.
	pub(super) fn demanded(&mut self, value: &Value) -> Result<Tensor, Reason> {
		let id = self.context.builder.plain(value)?;
		self.context.builder.demand(id)
	}

	/// The same; `None` where it hangs on inputs.
	pub(super) fn known(&mut self, value: &Value) -> Result<Option<Tensor>, Reason> {
		match self.demanded(value) {
			Ok(tensor) => Ok(Some(tensor)),
			Err(reason) if !reason.needs.is_empty() => Ok(None),
			Err(reason) => Err(reason),
		}
	}

	/// The elements of a constant operand as f32, whatever its type.
	pub(super) fn constant_floats(&mut self, i: usize) -> Result<Option<Vec<f32>>, Reason> {
		let Some(value) = self.optional(i)? else { return Ok(None) };
		let value = self.cast_to(&value, DType::F32)?;
		Ok(self.demanded(&value)?.to_f32())
	}

	/// The elements of a constant operand as i64, whatever its type.
	pub(super) fn constant_integers(&mut self, i: usize) -> Result<Option<Vec<i64>>, Reason> {
		let Some(value) = self.optional(i)? else { return Ok(None) };
		let value = self.cast_to(&value, DType::I64)?;
		Ok(integers(&self.demanded(&value)?))
	}

	/// A function of each element.
	pub(super) fn map(&mut self, op: Unary, x: &Value) -> Result<Value, Reason> {
		Ok(Value { id: self.context.builder.push(Op::Unary(op), &[x.id])?, perm: x.perm.clone() })
	}

	/// `a + b`
	pub(super) fn add(&mut self, a: &Value, b: &Value) -> Result<Value, Reason> {
		self.context.builder.binary(Binary::Add, a, b)
	}

	/// `a - b`
	pub(super) fn sub(&mut self, a: &Value, b: &Value) -> Result<Value, Reason> {
		self.context.builder.binary(Binary::Sub, a, b)
	}

	/// `a * b`
	pub(super) fn mul(&mut self, a: &Value, b: &Value) -> Result<Value, Reason> {
		self.context.builder.binary(Binary::Mul, a, b)
	}

	/// `a / b`
	pub(super) fn div(&mut self, a: &Value, b: &Value) -> Result<Value, Reason> {
		self.context.builder.binary(Binary::Div, a, b)
	}

	/// `a * x` with a number; `a` itself when that is 1.
	pub(super) fn times(&mut self, a: &Value, x: f32) -> Result<Value, Reason> {
		if x == 1.0 {
			return Ok(a.clone());
		}
		let x = self.number_like(a, x)?;
		self.mul(a, &x)
	}

	/// `a + x` with a number.
	pub(super) fn plus(&mut self, a: &Value, x: f32) -> Result<Value, Reason> {
		let x = self.number_like(a, x)?;
		self.add(a, &x)
	}

	/// Converted to an element type; itself when it has it.
	pub(super) fn cast_to(&mut self, x: &Value, to: DType) -> Result<Value, Reason> {
		if self.dtype(x) == to {
			return Ok(x.clone());
		}
		Ok(Value { id: self.context.builder.push(Op::Cast(Cast { to }), &[x.id])?, perm: x.perm.clone() })
	}

	/// `condition ? a : b`
	pub(super) fn select(&mut self, condition: &Value, a: &Value, b: &Value) -> Result<Value, Reason> {
		self.call("Where", &[condition, a, b], &[])
	}

	/// The same elements under other dimensions.
	pub(super) fn reshape_to(&mut self, x: &Value, dims: impl Into<Vec<u32>>) -> Result<Value, Reason> {
		self.context.builder.reshape(x, dims.into())
	}

	/// With further dimensions of 1 in front, up to a rank.
	pub(super) fn raised(&mut self, x: &Value, rank: usize) -> Result<Value, Reason> {
		let dims = self.dims(x);
		if dims.len() >= rank {
			return Ok(x.clone());
		}
		let mut full = vec![1; rank - dims.len()];
		full.extend(dims);
		self.reshape_to(x, full)
	}

	/// Dimension `i` of the result is dimension `perm[i]`. Nothing moves yet.
	pub(super) fn permuted(&self, x: &Value, perm: &[u8]) -> Result<Value, Reason> {
		if perm.len() != x.perm.len() {
			return Err(format!("{} dimensions are needed", perm.len()).into());
		}
		Ok(Value { id: x.id, perm: compose(&x.perm, perm) })
	}

	/// The last two dimensions exchanged. Nothing moves yet.
	pub(super) fn flipped(&self, x: &Value) -> Result<Value, Reason> {
		let mut perm = identity(x.perm.len());
		let rank = perm.len();
		if rank < 2 {
			return Err("a matrix needs two dimensions".into());
		}
		perm.swap(rank - 2, rank - 1);
		self.permuted(x, &perm)
	}

	/// `A[.., M, K] * B[.., N, K]`
	pub(super) fn product(&mut self, a: &Value, b: &Value) -> Result<Value, Reason> {
		let builder = &mut self.context.builder;
		let (a, b) = (builder.plain(a)?, builder.plain(b)?);
		let id = builder.push(Op::MatMul(MatMul), &[a, b])?;
		Ok(builder.value(id))
	}

	/// A reduction over axes of the ONNX tensor, which stay as 1.
	pub(super) fn reduced(&mut self, kind: ReduceKind, x: &Value, axes: &[usize]) -> Result<Value, Reason> {
		let mut inner = Vec::new();
		for a in axes {
			inner.push(*x.perm.get(*a).ok_or("an axis is outside")?);
		}
		inner.sort_unstable();
		inner.dedup();
		Ok(Value { id: self.context.builder.reduce(kind, &inner, x.id)?, perm: x.perm.clone() })
	}

	/// Joined along an axis of the ONNX tensors; empty ones are left out.
	pub(super) fn joined(&mut self, parts: &[Value], at: usize) -> Result<Value, Reason> {
		let first = parts.first().ok_or("there is nothing to join")?.clone();
		if parts.len() == 1 {
			return Ok(first);
		}
		let inner = *first.perm.get(at).ok_or("an axis is outside")?;
		let mut ids = Vec::new();
		for part in parts {
			ids.push(self.context.builder.fetch(part, &first.perm)?);
		}
		let op = Op::Concat(Concat { axis: inner });
		while ids.len() > 1 {
			let chunks = ids.chunks(assay_semantics::ir::MAX_OPERANDS);
			ids = chunks.map(|part| self.context.builder.push(op.clone(), part)).collect::<Result<_, _>>()?;
		}
		Ok(Value { id: ids[0], perm: first.perm })
	}

	/// Along one axis of the ONNX tensor, the elements `start + k * step` for `k < size`.
	pub(super) fn strided(&mut self, x: &Value, at: usize, start: u32, size: u32, step: i32) -> Result<Value, Reason> {
		let inner = usize::from(*x.perm.get(at).ok_or("an axis is outside")?);
		let dims = self.context.builder.ty(x.id).dims.clone();
		if start == 0 && step == 1 && dims[inner] == size {
			return Ok(x.clone());
		}
		let mut op = Slice { starts: vec![0; dims.len()], sizes: dims.clone(), steps: vec![1; dims.len()] };
		(op.starts[inner], op.sizes[inner], op.steps[inner]) = (start, size, step);
		Ok(Value { id: self.context.builder.push(Op::Slice(op), &[x.id])?, perm: x.perm.clone() })
	}

	/// Along one axis of the ONNX tensor, `size` elements from `start` on.
	pub(super) fn part(&mut self, x: &Value, at: usize, start: u32, size: u32) -> Result<Value, Reason> {
		self.strided(x, at, start, size, 1)
	}

	/// Broadcast to these dimensions.
	pub(super) fn expanded(&mut self, x: &Value, dims: &[u32]) -> Result<Value, Reason> {
		if self.dims(x) == dims {
			return Ok(x.clone());
		}
		let id = self.context.builder.plain(x)?;
		let id = self.context.builder.push(Op::Expand(Expand { dims: dims.to_vec() }), &[id])?;
		Ok(self.context.builder.value(id))
	}

	/// A border along each axis of the ONNX tensor, of elements with these bits.
	pub(super) fn padded(&mut self, x: &Value, before: &[u32], after: &[u32], value: u64) -> Result<Value, Reason> {
		if before.iter().chain(after).all(|p| *p == 0) {
			return Ok(x.clone());
		}
		let mut op = Pad { before: vec![0; x.perm.len()], after: vec![0; x.perm.len()], value };
		for (i, p) in x.perm.iter().enumerate() {
			(op.before[usize::from(*p)], op.after[usize::from(*p)]) = (before[i], after[i]);
		}
		Ok(Value { id: self.context.builder.push(Op::Pad(op), &[x.id])?, perm: x.perm.clone() })
	}

	/// A tensor of one number, `[dims]`, as a constant.
	pub(super) fn filled(&mut self, dtype: DType, dims: &[u32], x: f32) -> Result<Value, Reason> {
		let ty = TensorType::new(dtype, dims.to_vec());
		ty.check()?;
		let number = self.number_of(dtype, x)?;
		self.expanded(&number, dims)
	}

	/// An attribute that is an axis of a tensor of this rank.
	pub(super) fn axis_attribute(&self, name: &str, default: i64, rank: usize) -> Result<usize, Reason> {
		axis(self.attributes().int(name, default)?, rank)
	}

	/// Computed in f32 where the element type is narrower: the operand widened, and the type to come back to.
	pub(super) fn widened(&mut self, i: usize) -> Result<(Value, DType), Reason> {
		let x = self.input(i)?;
		let dtype = self.dtype(&x);
		Ok((self.wide(&x)?, dtype))
	}

	/// A float tensor as f32, or f64 as it is.
	pub(super) fn wide(&mut self, x: &Value) -> Result<Value, Reason> {
		match self.dtype(x) {
			DType::F32 | DType::F64 => Ok(x.clone()),
			dtype if is_narrow_float(dtype) => self.cast_to(x, DType::F32),
			dtype => Err(format!("{} is not supported here", dtype.name()).into()),
		}
	}
}

/// Whether f32 holds every number of a float type.
fn is_narrow_float(dtype: DType) -> bool {
	matches!(dtype, DType::F16 | DType::BF16)
}
