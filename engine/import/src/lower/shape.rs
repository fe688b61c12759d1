//! Operators that move elements.

use super::Lowering;
use crate::{attributes::axis, builder::Value, error::Reason, layout::compose, weights};
use assay_semantics::{
	ir::MAX_OPERANDS,
	ops::{Concat, Expand},
	DType, Op, Tensor, TensorType, ValueId,
};

impl Lowering<'_> {
	pub(super) fn reshape(&mut self) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let shape = self.constant_ints(1)?.ok_or("input 1 is missing")?;
		let allow_zero = self.attributes().flag("allowzero")?;
		let old = self.context.builder.dims(&x);
		let elements = self.context.builder.ty(x.id).elements().unwrap_or(0);
		let mut dims = Vec::new();
		let mut free = None;
		for (i, d) in shape.iter().enumerate() {
			dims.push(match *d {
				0 if !allow_zero => *old.get(i).ok_or("a 0 in the shape has no dimension to copy")?,
				-1 if free.is_none() => {
					free = Some(i);
					1
				}
				d => u32::try_from(d).map_err(|_| format!("dimension {d} is out of range"))?,
			});
		}
		if let Some(i) = free {
			let known = dims.iter().try_fold(1u64, |n, d| n.checked_mul(u64::from(*d))).filter(|n| *n > 0);
			let known =
				known.filter(|n| elements.is_multiple_of(*n)).ok_or("the shape does not divide the elements")?;
			dims[i] = u32::try_from(elements / known)?;
		}
		self.context.builder.reshape(&x, dims)
	}

	pub(super) fn flatten(&mut self) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let dims = self.context.builder.dims(&x);
		let at = self.attributes().int("axis", 1)?;
		let at = if at == dims.len() as i64 { dims.len() } else { axis(at, dims.len())? };
		let product = |dims: &[u32]| dims.iter().try_fold(1u32, |n, d| n.checked_mul(*d)).ok_or("too large");
		let flat = vec![product(&dims[..at])?, product(&dims[at..])?];
		self.context.builder.reshape(&x, flat)
	}

	/// Changes nothing but how the value is seen.
	pub(super) fn transpose(&mut self) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let rank = x.perm.len();
		let perm = match self.attributes().ints("perm")? {
			None => (0..rank).rev().collect(),
			Some(list) => list.iter().map(|p| axis(*p, rank)).collect::<Result<Vec<_>, _>>()?,
		};
		let mut sorted = perm.clone();
		sorted.sort_unstable();
		if sorted != (0..rank).collect::<Vec<_>>() {
			return Err("`perm` is no permutation".into());
		}
		let perm: Vec<u8> = perm.into_iter().map(|p| p as u8).collect();
		Ok(Value { id: x.id, perm: compose(&x.perm, &perm) })
	}

	/// Axes are an input since operator set 13, an attribute before.
	fn axes(&mut self) -> Result<Option<Vec<i64>>, Reason> {
		match self.attributes().ints("axes")? {
			Some(list) => Ok(Some(list.to_vec())),
			None => self.constant_ints(1),
		}
	}

	pub(super) fn squeeze(&mut self) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let dims = self.context.builder.dims(&x);
		let gone = match self.axes()? {
			None => (0..dims.len()).filter(|i| dims[*i] == 1).collect(),
			Some(list) => list.iter().map(|a| axis(*a, dims.len())).collect::<Result<Vec<_>, _>>()?,
		};
		if gone.iter().any(|i| dims[*i] != 1) {
			return Err("a squeezed dimension is not 1".into());
		}
		let kept = dims.iter().enumerate().filter(|(i, _)| !gone.contains(i)).map(|(_, d)| *d).collect();
		self.context.builder.reshape(&x, kept)
	}

	pub(super) fn unsqueeze(&mut self) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let list = self.axes()?.ok_or("the axes are missing")?;
		let rank = x.perm.len() + list.len();
		if rank > assay_semantics::MAX_RANK {
			return Err("more than 8 dimensions".into());
		}
		let mut new = list.iter().map(|a| axis(*a, rank)).collect::<Result<Vec<_>, _>>()?;
		new.sort_unstable();
		new.dedup();
		if new.len() != list.len() {
			return Err("an axis appears twice".into());
		}
		let mut dims = self.context.builder.dims(&x);
		new.iter().for_each(|i| dims.insert(*i, 1));
		self.context.builder.reshape(&x, dims)
	}

	/// All operands are brought into the order of the first.
	pub(super) fn concat(&mut self) -> Result<Value, Reason> {
		let first = self.input(0)?;
		let at = axis(self.attributes().int("axis", 1)?, first.perm.len())?;
		let mut ids = Vec::new();
		for i in 0..self.node.input.len() {
			let value = self.input(i)?;
			if value.perm.len() != first.perm.len() {
				return Err("the operands differ in their number of dimensions".into());
			}
			ids.push(self.context.builder.fetch(&value, &first.perm)?);
		}
		let op = Op::Concat(Concat { axis: first.perm[at] });
		// More operands than a node has become a tree.
		while ids.len() > MAX_OPERANDS {
			let join = |part: &[ValueId]| self.context.builder.push(op.clone(), part);
			ids = ids.chunks(MAX_OPERANDS).map(join).collect::<Result<_, _>>()?;
		}
		Ok(Value { id: self.context.builder.push(op, &ids)?, perm: first.perm })
	}

	/// Identity in inference.
	pub(super) fn dropout(&mut self) -> Result<Value, Reason> {
		// `training_mode` is an optional input; only a constant false, or none, is inference.
		if let Some(mode) = self.optional(2)? {
			if self.context.builder.demand(mode.id)?.bytes != [0] {
				return Err("training mode; export the model for inference".into());
			}
		}
		let x = self.input(0)?;
		// The mask of operator sets before 10 means nothing in inference; files name it all the same, and none reads it.
		if self.wants(1) && self.context.opset >= 10 {
			let dims = self.context.builder.dims(&x);
			let one = self.context.builder.weight(Tensor::new(TensorType::new(DType::Bool, []), vec![1])?)?;
			let mask = self.context.builder.push(Op::Expand(Expand { dims }), &[one])?;
			let mask = self.context.builder.value(mask);
			self.give(1, mask);
		}
		Ok(x)
	}

	pub(super) fn constant(&mut self) -> Result<Value, Reason> {
		let attributes = self.attributes();
		let list = |name: &str| attributes.raw(name);
		let tensor = if let Some(a) = list("value") {
			weights::weight(a.t.clone().ok_or("attribute `value` has no tensor")?)?
		} else if let Some(a) = list("value_float") {
			Tensor::from_f32([], &[a.f])?
		} else if let Some(a) = list("value_floats") {
			Tensor::from_f32([u32::try_from(a.floats.len())?], &a.floats)?
		} else if let Some(a) = list("value_int") {
			Tensor::from_i64([], &[a.i])?
		} else if let Some(a) = list("value_ints") {
			Tensor::from_i64([u32::try_from(a.ints.len())?], &a.ints)?
		} else {
			return Err("only dense tensors, numbers and lists of numbers are supported".into());
		};
		if tensor.to_f32().is_some_and(|v| v.iter().any(|x| x.is_nan())) {
			return Err("the constant is not a number".into());
		}
		let id = self.context.builder.weight(tensor)?;
		Ok(self.context.builder.value(id))
	}
}
