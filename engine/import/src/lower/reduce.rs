//! Reductions, and other operators along axes.

use super::Lowering;
use crate::{attributes::axis, builder::Value, error::Reason};
use assay_semantics::{
	ops::{Binary, Gather, Prefix, PrefixKind, Rank, Reduce, ReduceKind, Scatter, ScatterKind, ScatterUpdate, Unary},
	DType, Op,
};

impl Lowering<'_> {
	/// The reduced axes of the ONNX tensor, ascending. They are an input since operator set 18 (13 for ReduceSum), an
	/// attribute before; none, or an empty list, is all of them, or with `noop_with_empty_axes` none.
	fn reduced_axes(&mut self, rank: usize) -> Result<Vec<usize>, Reason> {
		let listed = match self.attributes().ints("axes")? {
			Some(list) => Some(list.to_vec()),
			None => self.constant_ints(1)?,
		};
		match listed.filter(|list| !list.is_empty()) {
			None if self.attributes().flag("noop_with_empty_axes")? => Ok(vec![]),
			None => Ok((0..rank).collect()),
			Some(list) => {
				let mut axes = list.iter().map(|a| axis(*a, rank)).collect::<Result<Vec<_>, _>>()?;
				axes.sort_unstable();
				axes.dedup();
				Ok(axes)
			}
		}
	}

	/// Reduced axes dropped unless `keepdims`.
	fn dropped(&mut self, value: Value, axes: &[usize]) -> Result<Value, Reason> {
		if axes.is_empty() || self.attributes().int("keepdims", 1)? != 0 {
			return Ok(value);
		}
		let dims = self.dims(&value);
		let kept: Vec<u32> = dims.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, d)| *d).collect();
		self.reshape_to(&value, kept)
	}

	pub(super) fn reduction(&mut self, op: &str) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let axes = self.reduced_axes(x.perm.len())?;
		let sum = |l: &mut Self, x: &Value| l.reduced_all(ReduceKind::Sum, x, &axes);
		let value = match op {
			"ReduceSum" => sum(self, &x)?,
			"ReduceMean" => self.reduced_all(ReduceKind::Mean, &x, &axes)?,
			"ReduceMax" => self.reduced_all(ReduceKind::Max, &x, &axes)?,
			"ReduceMin" => self.reduced_all(ReduceKind::Min, &x, &axes)?,
			"ReduceProd" => self.reduced_all(ReduceKind::Product, &x, &axes)?,
			"ReduceL1" => {
				let x = self.map(Unary::Abs, &x)?;
				sum(self, &x)?
			}
			"ReduceSumSquare" | "ReduceL2" => {
				let x = self.mul(&x, &x)?;
				let total = sum(self, &x)?;
				if op == "ReduceL2" {
					self.root(&total)?
				} else {
					total
				}
			}
			"ReduceLogSum" => {
				let total = sum(self, &x)?;
				self.map(Unary::Log, &total)?
			}
			_ => {
				// The largest is taken out, bounded so that infinities do not cancel.
				let largest = self.reduced_all(ReduceKind::Max, &x, &axes)?;
				let bound =
					self.number_of(self.dtype(&x), if self.dtype(&x) == DType::F16 { 65504.0 } else { 3e38 })?;
				let low = self.map(Unary::Neg, &bound)?;
				let largest = self.context.builder.binary(Binary::Max, &largest, &low)?;
				let largest = self.context.builder.binary(Binary::Min, &largest, &bound)?;
				let difference = self.sub(&x, &largest)?;
				let exp = self.map(Unary::Exp, &difference)?;
				let total = sum(self, &exp)?;
				let log = self.map(Unary::Log, &total)?;
				self.add(&log, &largest)?
			}
		};
		self.dropped(value, &axes)
	}

	/// A square root; of integers through f32, truncated.
	fn root(&mut self, x: &Value) -> Result<Value, Reason> {
		let dtype = self.dtype(x);
		if dtype.is_float() {
			return self.map(Unary::Sqrt, x);
		}
		let x = self.cast_to(x, DType::F32)?;
		let x = self.map(Unary::Sqrt, &x)?;
		self.cast_to(&x, dtype)
	}

	/// A reduction over axes; over none the value as it is. Integers have no mean of their own: their sum is divided.
	fn reduced_all(&mut self, kind: ReduceKind, x: &Value, axes: &[usize]) -> Result<Value, Reason> {
		if axes.is_empty() {
			return Ok(x.clone());
		}
		if kind == ReduceKind::Mean && self.dtype(x).is_integer() {
			let dims = self.dims(x);
			let count: f32 = axes.iter().map(|a| dims[*a] as f32).product();
			let total = self.reduced(ReduceKind::Sum, x, axes)?;
			let count = self.number_of(self.dtype(x), count)?;
			return self.div(&total, &count);
		}
		self.reduced(kind, x, axes)
	}

	/// ArgMax and ArgMin.
	pub(super) fn arg(&mut self, largest: bool) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let at = self.axis_attribute("axis", 0, x.perm.len())?;
		let last = self.attributes().flag("select_last_index")?;
		let kind = if largest { ReduceKind::ArgMax { last } } else { ReduceKind::ArgMin { last } };
		// One axis at a time: the place along it.
		let op = Op::Reduce(Reduce { kind, axes: vec![x.perm[at]], keep_dims: true });
		let id = self.context.builder.push(op, &[x.id])?;
		self.dropped(Value { id, perm: x.perm }, &[at])
	}

	/// CumSum and CumProd.
	pub(super) fn prefix(&mut self, kind: PrefixKind) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let at = self.constant_ints(1)?.and_then(|list| list.first().copied()).ok_or("the axis is missing")?;
		let axis = x.perm[axis(at, x.perm.len())?];
		let (exclusive, reverse) = (self.attributes().flag("exclusive")?, self.attributes().flag("reverse")?);
		let op = Op::Prefix(Prefix { kind, axis, exclusive, reverse });
		Ok(Value { id: self.context.builder.push(op, &[x.id])?, perm: x.perm })
	}

	/// Ranks, the places in the order of ranks by scattering, and the elements there.
	pub(super) fn top_k(&mut self) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let k = match self.context.opset < 10 {
			true => self.attributes().int("k", 0)?,
			false => *self.constant_ints(1)?.as_deref().and_then(<[_]>::first).ok_or("k is missing")?,
		};
		let at = self.axis_attribute("axis", -1, x.perm.len())?;
		let descending = self.attributes().int("largest", 1)? != 0;
		let dims = self.dims(&x);
		let k = u32::try_from(k).ok().filter(|k| *k <= dims[at]).ok_or("k is outside the axis")?;
		let inner = x.perm[at];
		let places = self.context.builder.push(Op::Rank(Rank { axis: inner, descending }), &[x.id])?;
		let shape = self.context.builder.ty(x.id).dims.clone();
		let iota = self.iota(&shape, usize::from(inner))?;
		let zeros = self.filled(DType::I64, &shape, 0.0)?;
		let scatter = Scatter { kind: ScatterKind::Elements(inner), update: ScatterUpdate::Replace };
		let order = self.context.builder.push(Op::Scatter(scatter), &[zeros.id, places, iota.id])?;
		let order = Value { id: order, perm: x.perm.clone() };
		let order = self.part(&order, at, 0, k)?;
		let values = self.context.builder.push(Op::Gather(Gather::Elements(inner)), &[x.id, order.id])?;
		self.give(1, order);
		Ok(Value { id: values, perm: x.perm })
	}

	/// `0, 1, 2, …` along one axis, as i64, of these dimensions.
	pub(super) fn iota(&mut self, dims: &[u32], along: usize) -> Result<Value, Reason> {
		let size = *dims.get(along).ok_or("an axis is outside")?;
		self.context.builder.afford(u64::from(size) * 8)?;
		let mut line = vec![1; dims.len()];
		line[along] = size;
		let line = self.integers(&line, &(0..i64::from(size)).collect::<Vec<_>>())?;
		self.expanded(&line, dims)
	}
}
