//! Operators that change extents: slices, borders, copies, parts; and constants that come from shapes.

use super::{places::elements, Lowering};
use crate::{attributes::axis, builder::Value, error::Reason, weights};
use assay_semantics::{DType, Tensor, TensorType};

impl Lowering<'_> {
	/// Bounds are inputs since operator set 10, attributes before. As numpy's `x[start:end:step]` for each axis.
	pub(super) fn slice(&mut self) -> Result<Value, Reason> {
		let mut x = self.input(0)?;
		let rank = x.perm.len();
		let (starts, ends, axes, steps) = if self.context.opset < 10 {
			let list = |name| Ok::<_, Reason>(self.attributes().ints(name)?.map(<[i64]>::to_vec));
			(list("starts")?, list("ends")?, list("axes")?, None)
		} else {
			(self.constant_ints(1)?, self.constant_ints(2)?, self.constant_ints(3)?, self.constant_ints(4)?)
		};
		let (starts, ends) = (starts.ok_or("the starts are missing")?, ends.ok_or("the ends are missing")?);
		let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
		let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
		if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
			return Err("starts, ends, axes and steps differ in number".into());
		}
		for (((start, end), at), step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
			let at = axis(*at, rank)?;
			let dim = i64::from(self.dims(&x)[at]);
			if *step == 0 {
				return Err("a step is 0".into());
			}
			// Going down, -1 stands for before the first element.
			let (low, high) = if *step > 0 { (0, dim) } else { (-1, dim - 1) };
			let bound = |b: i64| (if b < 0 { b.saturating_add(dim) } else { b }).clamp(low, high);
			let (start, end) = (bound(*start), bound(*end));
			let span = if *step > 0 { end - start } else { start - end };
			let size = u64::try_from(span).unwrap_or(0).div_ceil(step.unsigned_abs());
			// Steps beyond the dimension take one element.
			let step = i32::try_from((*step).clamp(-dim.max(1), dim.max(1)))?;
			let start = if size == 0 { 0 } else { u32::try_from(start)? };
			x = self.strided(&x, at, start, u32::try_from(size)?, step)?;
		}
		Ok(x)
	}

	/// Borders are inputs since operator set 11, attributes before; negative ones cut off.
	pub(super) fn pad(&mut self) -> Result<Value, Reason> {
		let mut x = self.input(0)?;
		let rank = x.perm.len();
		let mode = self.attributes().string("mode", "constant")?;
		let dtype = self.dtype(&x);
		let mut value = 0;
		let (pads, axes) = if self.context.opset < 11 {
			let name = if self.context.opset < 2 { "paddings" } else { "pads" };
			let number = self.attributes().float("value")?.unwrap_or(0.0);
			value = assay_semantics::number::convert(DType::F32, dtype, u64::from(number.to_bits()));
			(self.attributes().ints(name)?.map(<[i64]>::to_vec), None)
		} else {
			if let Some(constant) = self.constant_tensor(2)? {
				value = elements(&constant).first().copied().ok_or("the border's value is empty")?;
			}
			(self.constant_ints(1)?, self.constant_ints(3)?)
		};
		let pads = pads.ok_or("the borders are missing")?;
		let axes = match axes {
			None => (0..rank).collect(),
			Some(list) => list.iter().map(|a| axis(*a, rank)).collect::<Result<Vec<_>, _>>()?,
		};
		if pads.len() != 2 * axes.len() {
			return Err("two borders are needed for each axis".into());
		}
		for (i, at) in axes.iter().enumerate() {
			let (before, after) = (pads[i], pads[i + axes.len()]);
			let cut = |p: i64| p.min(0).unsigned_abs();
			let dim = u64::from(self.dims(&x)[*at]);
			let left = dim.checked_sub(cut(before)).and_then(|d| d.checked_sub(cut(after)));
			let left = left.ok_or("a negative border cuts off more than there is")?;
			x = self.part(&x, *at, cut(before).min(dim.saturating_sub(1)) as u32, left as u32)?;
			let (before, after) = (u32::try_from(before.max(0))?, u32::try_from(after.max(0))?);
			x = self.bordered(&x, *at, before, after, &mode, value)?;
		}
		Ok(x)
	}

	fn bordered(
		&mut self,
		x: &Value,
		at: usize,
		before: u32,
		after: u32,
		mode: &str,
		value: u64,
	) -> Result<Value, Reason> {
		if before == 0 && after == 0 {
			return Ok(x.clone());
		}
		let dim = i64::from(self.dims(x)[at]);
		if mode == "constant" {
			let (mut low, mut high) = (vec![0; x.perm.len()], vec![0; x.perm.len()]);
			(low[at], high[at]) = (before, after);
			return self.padded(x, &low, &high, value);
		}
		let total = i64::from(before) + dim + i64::from(after);
		if dim == 0 || total > 1 << 24 {
			return Err("a border of nothing, or one that is too large".into());
		}
		let period = 2 * (dim - 1).max(1);
		let place = |i: i64| match mode {
			"edge" => Ok(i.clamp(0, dim - 1)),
			"wrap" => Ok(i.rem_euclid(dim)),
			"reflect" if dim == 1 => Ok(0),
			"reflect" => {
				let r = i.rem_euclid(period);
				Ok(r.min(period - r))
			}
			other => Err(Reason::from(format!("mode `{other}` is not known"))),
		};
		let places = (0..total).map(|i| place(i - i64::from(before))).collect::<Result<Vec<_>, _>>()?;
		self.taken(x, at, &places)
	}

	/// Copies along each axis, by broadcasting.
	pub(super) fn tile(&mut self) -> Result<Value, Reason> {
		let mut x = self.input(0)?;
		let repeats = self.constant_ints(1)?.ok_or("the repeats are missing")?;
		if repeats.len() != x.perm.len() {
			return Err("one number of repeats is needed for each axis".into());
		}
		for (at, repeat) in repeats.iter().enumerate() {
			let repeat = u32::try_from(*repeat)?;
			if repeat == 1 {
				continue;
			}
			let dims = self.dims(&x);
			let product = |dims: &[u32]| dims.iter().try_fold(1u32, |n, d| n.checked_mul(*d)).ok_or("too large");
			let (outer, inner) = (product(&dims[..at])?, product(&dims[at..])?);
			let mut whole = dims.clone();
			whole[at] = whole[at].checked_mul(repeat).ok_or("too large")?;
			x = self.reshape_to(&x, [outer, 1, inner])?;
			x = self.expanded(&x, &[outer, repeat, inner])?;
			x = self.reshape_to(&x, whole)?;
		}
		Ok(x)
	}

	pub(super) fn expand(&mut self) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let shape = self.constant_ints(1)?.ok_or("the shape is missing")?;
		let shape = weights::dims(&shape)?;
		let dims = self.dims(&x);
		let rank = dims.len().max(shape.len());
		let at = |dims: &[u32], i: usize| (i + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
		let whole = (0..rank).map(|i| if at(&shape, i) == 1 { at(&dims, i) } else { at(&shape, i) });
		self.expanded(&x, &whole.collect::<Vec<_>>())
	}

	/// Sizes are an input since operator set 13, an attribute before; else parts of one size, the last one smaller.
	pub(super) fn split(&mut self) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let dims = self.dims(&x);
		let at = self.axis_attribute("axis", 0, dims.len())?;
		let sizes = match self.attributes().ints("split")? {
			Some(list) => Some(list.to_vec()),
			None => self.constant_ints(1)?,
		};
		let sizes = match sizes {
			Some(list) => list.iter().map(|s| u32::try_from(*s)).collect::<Result<Vec<_>, _>>()?,
			None => {
				let parts = self.attributes().int("num_outputs", self.node.output.len() as i64)?;
				// Parts that have no name are not made.
				let parts = u32::try_from(parts)?.max(1);
				if parts as usize > self.node.output.len() {
					return Err("there are more parts than outputs".into());
				}
				let size = dims[at].div_ceil(parts);
				(0..parts).map(|i| size.min(dims[at].saturating_sub(size.saturating_mul(i)))).collect()
			}
		};
		if sizes.iter().map(|s| u64::from(*s)).sum::<u64>() != u64::from(dims[at]) {
			return Err("the parts are not the whole".into());
		}
		if sizes.len() > self.node.output.len().max(1) {
			return Err("there are more parts than outputs".into());
		}
		let mut first = None;
		let mut start = 0;
		for (i, size) in sizes.iter().enumerate() {
			// An empty part may begin at the end.
			let value = self.part(&x, at, start.min(dims[at].saturating_sub(1)), *size)?;
			start += size;
			match i {
				0 => first = Some(value),
				_ => self.give(i, value),
			}
		}
		Ok(first.ok_or("there are no parts")?)
	}

	pub(super) fn depth_to_space(&mut self) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let block = u32::try_from(self.attributes().int("blocksize", 0)?)?;
		let [n, c, h, w] = self.dims(&x)[..] else { return Err("the operand needs four dimensions".into()) };
		if block == 0 || c % block.checked_mul(block).ok_or("the block is too large")?.max(1) != 0 {
			return Err("the block does not divide the channels".into());
		}
		let depth = c / block / block;
		let columns_first = self.attributes().string("mode", "DCR")? == "CRD";
		let (split, perm) = match columns_first {
			true => ([n, depth, block, block, h, w], [0, 1, 4, 2, 5, 3]),
			false => ([n, block, block, depth, h, w], [0, 3, 4, 1, 5, 2]),
		};
		let x = self.reshape_to(&x, split)?;
		let x = self.permuted(&x, &perm)?;
		let size = |d: u32| d.checked_mul(block).ok_or("too large");
		let whole = [n, depth, size(h)?, size(w)?];
		self.reshape_to(&x, whole)
	}

	pub(super) fn space_to_depth(&mut self) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let block = u32::try_from(self.attributes().int("blocksize", 0)?)?;
		let [n, c, h, w] = self.dims(&x)[..] else { return Err("the operand needs four dimensions".into()) };
		if block == 0 || h % block != 0 || w % block != 0 {
			return Err("the block does not divide the image".into());
		}
		let x = self.reshape_to(&x, [n, c, h / block, block, w / block, block])?;
		let columns_first = self.attributes().string("mode", "DCR")? == "CRD";
		let x = self.permuted(&x, if columns_first { &[0, 1, 3, 5, 2, 4] } else { &[0, 3, 5, 1, 2, 4] })?;
		let depth = block.checked_mul(block).and_then(|b| b.checked_mul(c)).ok_or("too large")?;
		self.reshape_to(&x, [n, depth, h / block, w / block])
	}

	/// Bools over the last two dimensions of an ONNX tensor, as a constant.
	fn matrix_mask(&mut self, rows: u32, columns: u32, keep: impl Fn(i64, i64) -> bool) -> Result<Value, Reason> {
		let ty = TensorType::new(DType::Bool, [rows, columns]);
		self.context.builder.afford(ty.byte_len().unwrap_or(u64::MAX))?;
		let cells = (0..i64::from(rows)).flat_map(|i| (0..i64::from(columns)).map(move |j| (i, j)));
		let bytes = cells.map(|(i, j)| u8::from(keep(i, j))).collect();
		let mask = Tensor::new(ty, bytes)?;
		self.weight(mask)
	}

	/// The upper or lower triangle; zeros elsewhere.
	pub(super) fn triangle(&mut self) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let upper = self.attributes().int("upper", 1)? != 0;
		let k = self.constant_ints(1)?.and_then(|k| k.first().copied()).unwrap_or(0);
		let [.., rows, columns] = self.dims(&x)[..] else { return Err("a matrix needs two dimensions".into()) };
		let keep = |i: i64, j: i64| {
			let diagonal = i.saturating_add(k);
			if upper {
				j >= diagonal
			} else {
				j <= diagonal
			}
		};
		let mask = self.matrix_mask(rows, columns, keep)?;
		let zero = self.number_of(self.dtype(&x), 0.0)?;
		self.select(&mask, &x, &zero)
	}

	pub(super) fn eye_like(&mut self) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let k = self.attributes().int("k", 0)?;
		let [rows, columns] = self.dims(&x)[..] else { return Err("a matrix needs two dimensions".into()) };
		let to = match self.attributes().int("dtype", 0)? {
			0 => self.dtype(&x),
			n => weights::dtype(i32::try_from(n)?)?,
		};
		let mask = self.matrix_mask(rows, columns, |i, j| j == i.saturating_add(k))?;
		self.cast_to(&mask, to)
	}

	/// `start + i delta` below `limit`, of constants.
	pub(super) fn range(&mut self) -> Result<Value, Reason> {
		let [start, _, delta] = [self.input(0)?, self.input(1)?, self.input(2)?];
		let dtype = self.dtype(&start);
		let mut bounds = [0.0; 3];
		for (i, bound) in bounds.iter_mut().enumerate() {
			let tensor = self.constant_tensor(i)?.ok_or("a bound is missing")?;
			let bits = *elements(&tensor).first().ok_or("a bound is empty")?;
			*bound = f64::from_bits(assay_semantics::number::convert(dtype, DType::F64, bits));
		}
		let [from, to, step] = bounds;
		let count = ((to - from) / step).ceil();
		if count.is_nan() || count > f64::from(1 << 24) {
			return Err("the range is too long, or its step is 0".into());
		}
		let count = count.max(0.0) as u32;
		let places = self.iota(&[count], 0)?;
		let places = self.cast_to(&places, dtype)?;
		let [start, delta] = [self.reshape_to(&start, [])?, self.reshape_to(&delta, [])?];
		let steps = self.mul(&places, &delta)?;
		self.add(&steps, &start)
	}

	pub(super) fn constant_of_shape(&mut self) -> Result<Value, Reason> {
		let shape = self.listed(0)?.ok_or("the shape is missing")?;
		let dims = weights::dims(&shape)?;
		let value = match self.attributes().raw("value").and_then(|a| a.t.clone()) {
			Some(proto) => weights::weight(proto)?,
			None => Tensor::from_f32([1], &[0.0])?,
		};
		if value.ty.elements() != Some(1) {
			return Err("`value` must be one number".into());
		}
		let id = self.context.builder.splat(TensorType::new(value.ty.dtype, dims), &value.bytes)?;
		Ok(self.context.builder.value(id))
	}

	pub(super) fn shape(&mut self) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let dims = self.dims(&x);
		let rank = dims.len() as i64;
		let bound = |name: &str, default: i64| {
			let b = self.attributes().int(name, default)?;
			Ok::<_, Reason>((if b < 0 { b.saturating_add(rank) } else { b }).clamp(0, rank) as usize)
		};
		let (start, end) = (bound("start", 0)?, bound("end", rank)?);
		let list: Vec<i64> = dims.get(start..end).unwrap_or_default().iter().map(|d| i64::from(*d)).collect();
		self.integers(&[list.len() as u32], &list)
	}

	pub(super) fn size(&mut self) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let elements = self.context.builder.ty(x.id).elements().unwrap_or(0);
		self.integers(&[], &[i64::try_from(elements)?])
	}
}
