//! Operators that read or write at computed places.

use super::{integers, Lowering};
use crate::{attributes::axis, builder::Value, error::Reason};
use assay_semantics::{
	number,
	ops::{Binary, Gather, Scatter, ScatterKind, ScatterUpdate},
	DType, Op, Tensor, TensorType,
};

/// The raw bits of each element.
pub(super) fn elements(tensor: &Tensor) -> Vec<u64> {
	let raw = |chunk: &[u8]| chunk.iter().rev().fold(0, |bits, byte| (bits << 8) | u64::from(*byte));
	let dtype = tensor.ty.dtype;
	tensor.bytes.chunks_exact(dtype.size()).map(|chunk| number::canonical(dtype, raw(chunk))).collect()
}

/// A tensor of these bits.
pub(super) fn tensor_of(dtype: DType, dims: &[u32], bits: &[u64]) -> Result<Tensor, Reason> {
	let bytes = bits.iter().flat_map(|b| b.to_le_bytes().into_iter().take(dtype.size())).collect();
	Ok(Tensor::new(TensorType::new(dtype, dims), bytes)?)
}

impl Lowering<'_> {
	/// Two operands through an operator that has no order of dimensions of its own.
	fn gathered(&mut self, op: Gather, data: &Value, indices: &Value) -> Result<Value, Reason> {
		let builder = &mut self.context.builder;
		let (data, indices) = (builder.plain(data)?, builder.plain(indices)?);
		let id = builder.push(Op::Gather(op), &[data, indices])?;
		Ok(builder.value(id))
	}

	/// Elements at constant places along one axis.
	pub(super) fn taken(&mut self, x: &Value, at: usize, places: &[i64]) -> Result<Value, Reason> {
		let indices = self.integers(&[u32::try_from(places.len())?], places)?;
		self.gathered(Gather::Axis(at as u8), x, &indices)
	}

	pub(super) fn gather(&mut self) -> Result<Value, Reason> {
		let (data, indices) = (self.input(0)?, self.input(1)?);
		let at = self.axis_attribute("axis", 0, data.perm.len())?;
		self.gathered(Gather::Axis(at as u8), &data, &indices)
	}

	pub(super) fn gather_elements(&mut self) -> Result<Value, Reason> {
		let (data, indices) = (self.input(0)?, self.input(1)?);
		let at = self.axis_attribute("axis", 0, data.perm.len())?;
		self.gathered(Gather::Elements(at as u8), &data, &indices)
	}

	pub(super) fn gather_tuples(&mut self) -> Result<Value, Reason> {
		let (data, indices) = (self.input(0)?, self.input(1)?);
		let batch = u8::try_from(self.attributes().int("batch_dims", 0)?)?;
		self.gathered(Gather::Tuples(batch), &data, &indices)
	}

	fn scattered(&mut self, kind: ScatterKind) -> Result<Value, Reason> {
		let update = match self.attributes().string("reduction", "none")?.as_str() {
			"none" => ScatterUpdate::Replace,
			"add" => ScatterUpdate::Add,
			"mul" => ScatterUpdate::Mul,
			"max" => ScatterUpdate::Max,
			"min" => ScatterUpdate::Min,
			other => return Err(format!("reduction `{other}` is not known").into()),
		};
		let operands = [self.input(0)?, self.input(1)?, self.input(2)?];
		let builder = &mut self.context.builder;
		let ids = operands.iter().map(|v| builder.plain(v)).collect::<Result<Vec<_>, _>>()?;
		let id = builder.push(Op::Scatter(Scatter { kind, update }), &ids)?;
		Ok(builder.value(id))
	}

	pub(super) fn scatter_elements(&mut self) -> Result<Value, Reason> {
		let rank = self.input(0)?.perm.len();
		let at = self.axis_attribute("axis", 0, rank)?;
		self.scattered(ScatterKind::Elements(at as u8))
	}

	pub(super) fn scatter_tuples(&mut self) -> Result<Value, Reason> {
		self.scattered(ScatterKind::Tuples)
	}

	/// Element `i` along time comes from `length - 1 - i` where `i < length`, else from `i`.
	pub(super) fn reverse_sequence(&mut self) -> Result<Value, Reason> {
		let (x, lengths) = (self.input(0)?, self.input(1)?);
		let dims = self.dims(&x);
		let batch = self.axis_attribute("batch_axis", 1, dims.len())?;
		let time = self.axis_attribute("time_axis", 0, dims.len())?;
		let mut line = vec![1; dims.len()];
		line[batch] = dims[batch];
		let lengths = self.cast_to(&lengths, DType::I64)?;
		let lengths = self.reshape_to(&lengths, line)?;
		let mut line = vec![1; dims.len()];
		line[time] = dims[time];
		let places = self.iota(&line, time)?;
		let one = self.integers(&[], &[1])?;
		let end = self.sub(&lengths, &one)?;
		let mirrored = self.sub(&end, &places)?;
		let inside = self.context.builder.binary(Binary::Less, &places, &lengths)?;
		let from = self.select(&inside, &mirrored, &places)?;
		let from = self.expanded(&from, &dims)?;
		self.gathered(Gather::Elements(time as u8), &x, &from)
	}

	/// Whether the index is the place along a new axis, as on or off.
	pub(super) fn one_hot(&mut self) -> Result<Value, Reason> {
		let (indices, values) = (self.input(0)?, self.input(2)?);
		let depth = self.constant_integers(1)?.and_then(|d| d.first().copied()).ok_or("the depth is missing")?;
		let depth = u32::try_from(depth)?;
		let mut dims = self.dims(&indices);
		let at = self.axis_attribute("axis", -1, dims.len() + 1)?;
		let indices = self.cast_to(&indices, DType::I64)?;
		dims.insert(at, 1);
		let indices = self.reshape_to(&indices, dims.clone())?;
		let mut line = vec![1; dims.len()];
		line[at] = depth;
		let places = self.iota(&line, at)?;
		let size = self.integers(&[], &[i64::from(depth)])?;
		let zero = self.integers(&[], &[0])?;
		let wrapped = self.add(&indices, &size)?;
		let negative = self.context.builder.binary(Binary::Less, &indices, &zero)?;
		let indices = self.select(&negative, &wrapped, &indices)?;
		let hot = self.context.builder.binary(Binary::Equal, &indices, &places)?;
		let off = self.part(&values, 0, 0, 1)?;
		let on = self.part(&values, 0, 1, 1)?;
		self.select(&hot, &on, &off)
	}

	/// The places that a constant condition chooses.
	pub(super) fn compress(&mut self) -> Result<Value, Reason> {
		let mut x = self.input(0)?;
		let condition = self.constant_tensor(1)?.ok_or("the condition is missing")?;
		let dims = self.dims(&x);
		let at = match self.attributes().raw("axis") {
			Some(a) => axis(a.i, dims.len())?,
			None => {
				let elements = self.context.builder.ty(x.id).elements().unwrap_or(0);
				x = self.reshape_to(&x, [u32::try_from(elements)?])?;
				0
			}
		};
		let size = self.dims(&x)[at] as usize;
		let chosen = elements(&condition).into_iter().take(size).enumerate().filter(|(_, c)| *c != 0);
		let places: Vec<i64> = chosen.map(|(i, _)| i as i64).collect();
		self.taken(&x, at, &places)
	}

	/// The coordinates of what is not zero in a constant, one column each.
	pub(super) fn non_zero(&mut self) -> Result<Value, Reason> {
		let x = self.constant_tensor(0)?.ok_or("input 0 is missing")?;
		let is_set = |bits: u64| number::convert(x.ty.dtype, DType::Bool, bits) != 0;
		let places: Vec<usize> =
			elements(&x).into_iter().enumerate().filter(|(_, bits)| is_set(*bits)).map(|(i, _)| i).collect();
		let mut out = Vec::new();
		let mut stride = x.ty.elements().unwrap_or(0) as usize;
		for d in &x.ty.dims {
			stride /= (*d as usize).max(1);
			out.extend(places.iter().map(|p| (p / stride.max(1) % (*d as usize).max(1)) as i64));
		}
		self.integers(&[u32::try_from(x.ty.dims.len())?, u32::try_from(places.len())?], &out)
	}

	/// The distinct slices of a constant along an axis, or its distinct elements.
	pub(super) fn unique(&mut self) -> Result<Value, Reason> {
		let x = self.constant_tensor(0)?.ok_or("input 0 is missing")?;
		let sorted = self.attributes().int("sorted", 1)? != 0;
		let flat = self.attributes().raw("axis").is_none();
		let dims = if flat { vec![u32::try_from(x.ty.elements().unwrap_or(0))?] } else { x.ty.dims.clone() };
		let at = if flat { 0 } else { self.axis_attribute("axis", 0, dims.len())? };
		let dtype = x.ty.dtype;
		let bits = elements(&x);
		let size = dims[at] as usize;
		let inner: usize = dims[at + 1..].iter().map(|d| *d as usize).product();
		let outer: usize = dims[..at].iter().map(|d| *d as usize).product();
		let slice = |i: usize| -> Vec<u64> {
			(0..outer).flat_map(|o| bits[(o * size + i) * inner..][..inner].iter().copied()).collect()
		};
		let slices: Vec<Vec<u64>> = (0..size).map(slice).collect();
		let compare =
			|a: &[u64], b: &[u64]| a.iter().zip(b).map(|(a, b)| number::total_order(dtype, *a, *b)).find(|o| o.is_ne());
		// First places in order, and for each slice the number of its class.
		let mut order: Vec<usize> = (0..size).collect();
		order.sort_by(|a, b| compare(&slices[*a], &slices[*b]).unwrap_or(a.cmp(b)));
		let mut classes: Vec<(usize, i64)> = Vec::new();
		let mut class_of = vec![0usize; size];
		for (k, i) in order.iter().enumerate() {
			if k == 0 || compare(&slices[order[k - 1]], &slices[*i]).is_some() {
				classes.push((*i, 0));
			}
			let last = classes.len() - 1;
			classes[last].1 += 1;
			class_of[*i] = last;
		}
		let mut rank: Vec<usize> = (0..classes.len()).collect();
		if !sorted {
			rank.sort_by_key(|c| classes[*c].0);
		}
		let mut place = vec![0i64; rank.len()];
		rank.iter().enumerate().for_each(|(new, old)| place[*old] = new as i64);
		let first: Vec<i64> = rank.iter().map(|c| classes[*c].0 as i64).collect();
		let counts: Vec<i64> = rank.iter().map(|c| classes[*c].1).collect();
		let inverse: Vec<i64> = class_of.iter().map(|c| place[*c]).collect();
		let n = u32::try_from(rank.len())?;
		let source = tensor_of(dtype, &dims, &bits)?;
		let source = self.weight(source)?;
		let value = self.taken(&source, at, &first)?;
		for (i, list) in [(1, &first), (2, &inverse), (3, &counts)] {
			let output = self.integers(&[if i == 2 { dims[at] } else { n }], list)?;
			self.give(i, output);
		}
		Ok(value)
	}

	/// The elements of a constant operand as i64.
	pub(super) fn listed(&mut self, i: usize) -> Result<Option<Vec<i64>>, Reason> {
		Ok(self.constant_tensor(i)?.and_then(|t| integers(&t)))
	}
}
