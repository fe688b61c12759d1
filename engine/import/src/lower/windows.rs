//! Sliding windows beyond Conv, MaxPool and AveragePool: transposed convolutions, columns to images, Lp norms, places.

use super::{emit::int, norms::single, Lowering, Outputs};
use crate::{builder::Value, error::Reason, layout::channels_last};
use assay_semantics::{
	ops::{Binary, Conv, Pool, PoolKind, ReduceKind, Unary, Window},
	DType, Op,
};

/// The most numbers in a table that is made at import.
const MAX_TABLE: u64 = 1 << 24;

/// How a transposed window slides, for each spatial axis.
struct Spread {
	kernel: Vec<u32>,
	strides: Vec<u32>,
	dilations: Vec<u32>,
	/// Elements cut off before.
	before: Vec<i64>,
	/// Elements of the result.
	output: Vec<u32>,
}

impl Lowering<'_> {
	/// A pool of `[N, C, spatial..]`.
	pub(super) fn pooled(
		&mut self,
		x: &Value,
		kind: PoolKind,
		kernel: &[u32],
		window: &Window,
	) -> Result<Value, Reason> {
		let perm = channels_last(x.perm.len());
		let x = self.context.builder.fetch(x, &perm)?;
		let op = Op::Pool(Pool { kind, kernel: kernel.to_vec(), window: window.clone() });
		Ok(Value { id: self.context.builder.push(op, &[x])?, perm })
	}

	/// An average that counts the border, but not what a last, partial window covers beyond it.
	pub(super) fn average_with_border(
		&mut self,
		x: &Value,
		kernel: &[u32],
		window: &Window,
		floor: &Window,
	) -> Result<Value, Reason> {
		let sum = self.pooled(x, PoolKind::Sum, kernel, window)?;
		let (dims, out) = (self.dims(x), self.dims(&sum));
		let mut divisor = self.number(1.0)?;
		for (i, k) in kernel.iter().enumerate() {
			let border = i64::from(dims[i + 2]) + i64::from(floor.before[i]) + i64::from(floor.after[i]);
			// Elements of the window that start before the border's end.
			let dilation = i64::from(window.dilations[i]).max(1);
			let counts: Vec<f32> = (0..out[i + 2])
				.map(|o| {
					let room = border - i64::from(o) * i64::from(window.strides[i]);
					((room + dilation - 1) / dilation).clamp(1, i64::from(*k).max(1)) as f32
				})
				.collect();
			let mut shape = vec![1; dims.len()];
			shape[i + 2] = out[i + 2];
			let counts = self.numbers(&shape, &counts)?;
			divisor = self.mul(&divisor, &counts)?;
		}
		self.div(&sum, &divisor)
	}

	/// `(sum of |x|^p over the window) ^ (1 / p)`
	pub(super) fn lp_pool(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let p = self.attributes().int("p", 2)? as f32;
		let (kernel, window) = self.pool_geometry(&x)?;
		let powers = self.absolute_power(&x, p)?;
		let sum = self.pooled(&powers, PoolKind::Sum, &kernel, &window)?;
		let y = self.power(&sum, 1.0 / p)?;
		single(self.cast_to(&y, dtype)?)
	}

	/// The same over all spatial axes.
	pub(super) fn global_lp_pool(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let p = self.attributes().int("p", 2)? as f32;
		let axes: Vec<usize> = (2..x.perm.len()).collect();
		let powers = self.absolute_power(&x, p)?;
		let sum = self.reduced(ReduceKind::Sum, &powers, &axes)?;
		let y = self.power(&sum, 1.0 / p)?;
		single(self.cast_to(&y, dtype)?)
	}

	/// `|x|^p`
	fn absolute_power(&mut self, x: &Value, p: f32) -> Result<Value, Reason> {
		let positive = if p == 2.0 { x.clone() } else { self.map(Unary::Abs, x)? };
		self.power(&positive, p)
	}

	/// Where the maxima of windows are, as indices into the flattened operand.
	pub(super) fn places_of_maxima(&mut self, x: &Value, kernel: &[u32], window: &Window) -> Result<Value, Reason> {
		let dims = self.dims(x);
		let mut place = self.pooled(x, PoolKind::ArgMax, kernel, window)?;
		let spatial = &dims[2..];
		let size = spatial.iter().try_fold(1u32, |n, d| n.checked_mul(*d)).ok_or("too large")?;
		if u64::from(dims[0]) * u64::from(dims[1]) > MAX_TABLE || u64::from(size) > MAX_TABLE {
			return Err("the operand is too large for places".into());
		}
		if self.attributes().flag("storage_order")? {
			// The first spatial axis runs fastest.
			let mut table = Vec::new();
			for at in 0..size {
				let (mut rest, mut coordinates) = (at, Vec::new());
				for d in spatial.iter().rev() {
					coordinates.push(rest % d);
					rest /= d;
				}
				let index = coordinates
					.iter()
					.zip(spatial.iter().rev())
					.fold(0u64, |index, (c, d)| index * u64::from(*d) + u64::from(*c));
				table.push(i64::try_from(index)?);
			}
			let table = self.integers(&[size], &table)?;
			let lying = Value { id: place.id, perm: crate::layout::identity(place.perm.len()) };
			let gathered = self.call("Gather", &[&table, &lying], &[int("axis", 0)])?;
			place = Value { id: self.context.builder.plain(&gathered)?, perm: place.perm };
		}
		let mut offsets = Vec::new();
		for i in 0..u64::from(dims[0]) * u64::from(dims[1]) {
			offsets.push(i64::try_from(i * u64::from(size))?);
		}
		let mut shape = vec![1; dims.len()];
		shape[..2].copy_from_slice(&dims[..2]);
		let offsets = self.integers(&shape, &offsets)?;
		self.add(&place, &offsets)
	}

	/// Elements at given places of a tensor of zeros.
	pub(super) fn max_unpool(&mut self) -> Result<Outputs, Reason> {
		let (x, places) = (self.input(0)?, self.input(1)?);
		let dims = self.dims(&x);
		let n = dims.len().checked_sub(2).filter(|n| *n > 0).ok_or("the operand needs a spatial axis")?;
		let attributes = self.attributes();
		let kernel = attributes.sizes("kernel_shape", n, 0)?;
		let strides = attributes.sizes("strides", n, 1)?;
		let pads = attributes.sizes("pads", 2 * n, 0)?;
		let mut shape = dims[..2].to_vec();
		for i in 0..n {
			let size = (i64::from(dims[i + 2]) - 1) * i64::from(strides[i]) + i64::from(kernel[i])
				- i64::from(pads[i])
				- i64::from(pads[i + n]);
			shape.push(u32::try_from(size)?);
		}
		let count = shape.iter().try_fold(1u32, |n, d| n.checked_mul(*d)).ok_or("too large")?;
		let zeros = self.filled(self.dtype(&x), &[count], 0.0)?;
		let flat = dims.iter().try_fold(1u32, |n, d| n.checked_mul(*d)).ok_or("too large")?;
		let (x, places) = (self.reshape_to(&x, [flat])?, self.reshape_to(&places, [flat])?);
		let y = self.call("ScatterElements", &[&zeros, &places, &x], &[int("axis", 0)])?;
		let mut y = self.reshape_to(&y, shape.clone())?;
		if let Some(wanted) = self.constant_integers(2)? {
			let mut after = vec![0; shape.len()];
			for (i, (want, have)) in wanted.iter().zip(&shape).enumerate() {
				after[i] = u32::try_from(want - i64::from(*have)).map_err(|_| "the output shape is too small")?;
			}
			y = self.padded(&y, &vec![0; shape.len()], &after, 0)?;
		}
		single(y)
	}

	/// `x` (`[N, C, spatial..]`) spread by weights `[C, O / groups, kernel..]`: a convolution of the operand with zeros between
	/// its elements, by the mirrored kernel.
	fn spread(&mut self, x: &Value, w: &Value, groups: u32, spread: &Spread) -> Result<Value, Reason> {
		let (dims, kernel) = (self.dims(x), self.dims(w));
		let n = spread.kernel.len();
		let (c, o) = (kernel[0], kernel[1]);
		if groups == 0 || c % groups != 0 || dims[1] != c {
			return Err("channels and groups do not fit together".into());
		}
		// [groups, C / groups, O / groups, kernel..] to [O, C / groups, kernel..], mirrored.
		let mut split = vec![groups, c / groups, o];
		split.extend_from_slice(&kernel[2..]);
		let w = self.reshape_to(w, split)?;
		let mut perm: Vec<u8> = (0..(n + 3) as u8).collect();
		perm.swap(1, 2);
		let mut w = self.permuted(&w, &perm)?;
		for (i, k) in spread.kernel.iter().enumerate() {
			w = self.strided(&w, i + 3, k - 1, *k, -1)?;
		}
		let mut merged = vec![groups.checked_mul(o).ok_or("too large")?, c / groups];
		merged.extend_from_slice(&kernel[2..]);
		let w = self.reshape_to(&w, merged)?;

		let order = channels_last(n + 2);
		let mut id = self.context.builder.fetch(x, &order)?;
		let (mut before, mut after, mut cut) = (Vec::new(), Vec::new(), Vec::new());
		let mut apart = vec![dims[0]];
		let mut together = vec![dims[0]];
		let mut gaps = vec![0];
		for i in 0..n {
			let (size, stride) = (dims[i + 2], spread.strides[i]);
			let wide = size.checked_mul(stride).ok_or("too large")?;
			apart.extend([size, 1]);
			gaps.extend([0, stride - 1]);
			together.push(wide);
			let extent = i64::from(spread.dilations[i]) * (i64::from(spread.kernel[i]) - 1) + 1;
			let first = extent - 1 - spread.before[i];
			before.push(u32::try_from(first.max(0))?);
			cut.push(u32::try_from((-first).max(0))?);
			// Windows up to the last element of the result.
			let needed = i64::from(cut[i]) + i64::from(spread.output[i]) + extent - 1;
			after.push(needed - i64::from(before[i]) - i64::from(wide));
		}
		if spread.strides.iter().any(|s| *s > 1) {
			apart.push(c);
			gaps.push(0);
			together.push(c);
			if apart.len() > assay_semantics::MAX_RANK {
				return Err("more than three spatial axes".into());
			}
			let value = self.context.builder.value(id);
			let value = self.reshape_to(&value, apart.clone())?;
			let value = self.padded(&value, &vec![0; apart.len()], &gaps, 0)?;
			id = self.reshape_to(&value, together.clone())?.id;
		}
		// A border of less than nothing: the elements there are cut off before the window slides.
		let mut value = self.context.builder.value(id);
		for (i, a) in after.iter_mut().enumerate() {
			if *a < 0 {
				let size = self.dims(&value)[i + 1];
				let keep = u32::try_from((i64::from(size) + *a).max(0))?;
				value = self.part(&value, i + 1, 0, keep)?;
				*a = 0;
			}
		}
		let w = self.context.builder.fetch(&w, &order)?;
		let after = after.iter().map(|a| u32::try_from(*a)).collect::<Result<Vec<_>, _>>()?;
		let window = Window { strides: vec![1; n], dilations: spread.dilations.clone(), before, after };
		let conv = self.context.builder.push(Op::Conv(Conv { window, groups }), &[value.id, w])?;
		let mut y = Value { id: conv, perm: order };
		for (i, c) in cut.iter().enumerate() {
			let size = self.dims(&y)[i + 2];
			y = self.part(&y, i + 2, *c, size - c)?;
		}
		Ok(y)
	}

	/// Each element spreads its weighted kernel over the result.
	pub(super) fn conv_transpose(&mut self) -> Result<Outputs, Reason> {
		let ((x, dtype), (w, _)) = (self.widened(0)?, self.widened(1)?);
		let (dims, kernel) = (self.dims(&x), self.dims(&w));
		let n = dims.len().checked_sub(2).filter(|n| *n > 0 && kernel.len() == dims.len());
		let n = n.ok_or("input and weights need the same number of dimensions, at least three")?;
		let attributes = self.attributes();
		let (strides, dilations) = (attributes.sizes("strides", n, 1)?, attributes.sizes("dilations", n, 1)?);
		if strides.contains(&0) || dilations.contains(&0) || kernel.contains(&0) || dims.contains(&0) {
			return Err("kernel sizes, strides and dilations must be positive, and nothing empty".into());
		}
		let extra = attributes.sizes("output_padding", n, 0)?;
		let pads = attributes.sizes("pads", 2 * n, 0)?;
		let auto_pad = attributes.string("auto_pad", "NOTSET")?;
		let same = matches!(auto_pad.as_str(), "SAME_UPPER" | "SAME_LOWER");
		let stated = match attributes.ints("output_shape")? {
			Some(list) if list.len() >= n => Some(list[list.len() - n..].to_vec()),
			Some(_) => return Err("`output_shape` is too short".into()),
			None if same => Some((0..n).map(|i| i64::from(dims[i + 2]) * i64::from(strides[i])).collect()),
			None => None,
		};
		let (mut before, mut output) = (Vec::new(), Vec::new());
		for i in 0..n {
			let extent = i64::from(dilations[i]) * (i64::from(kernel[i + 2]) - 1) + 1;
			let full = i64::from(strides[i]) * (i64::from(dims[i + 2]) - 1) + i64::from(extra[i]) + extent;
			let (first, size) = match &stated {
				None => (i64::from(pads[i]), full - i64::from(pads[i]) - i64::from(pads[i + n])),
				Some(_) if attributes.raw("pads").is_some() && !same => {
					(i64::from(pads[i]), stated.as_ref().map_or(0, |s| s[i]))
				}
				Some(stated) => {
					let total = full - stated[i];
					let half = total.div_euclid(2);
					(if auto_pad == "SAME_UPPER" { half } else { total - half }, stated[i])
				}
			};
			before.push(first);
			output.push(u32::try_from(size)?);
		}
		let groups = u32::try_from(attributes.int("group", 1)?)?;
		let spread = Spread { kernel: kernel[2..].to_vec(), strides, dilations, before, output };
		let mut y = self.spread(&x, &w, groups, &spread)?;
		if let Some(bias) = self.optional(2)? {
			let bias = self.wide(&bias)?;
			let mut shape = vec![1; dims.len()];
			shape[1] = *self.dims(&bias).first().ok_or("the bias needs a dimension")?;
			let bias = self.reshape_to(&bias, shape)?;
			y = self.add(&y, &bias)?;
		}
		single(self.cast_to(&y, dtype)?)
	}

	/// Columns added up to an image: each spreads over a kernel of its own.
	pub(super) fn col2im(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let image = self.constant_integers(1)?.ok_or("the image's shape is missing")?;
		let block = self.constant_integers(2)?.ok_or("the block's shape is missing")?;
		let sizes = |list: &[i64]| list.iter().map(|d| u32::try_from(*d)).collect::<Result<Vec<_>, _>>();
		let (image, kernel) = (sizes(&image)?, sizes(&block)?);
		let n = image.len();
		let attributes = self.attributes();
		let (strides, dilations) = (attributes.sizes("strides", n, 1)?, attributes.sizes("dilations", n, 1)?);
		let pads = attributes.sizes("pads", 2 * n, 0)?;
		let taps = kernel.iter().try_fold(1u32, |n, d| n.checked_mul(*d)).ok_or("too large")?;
		let &[batch, rows, _] = self.dims(&x).as_slice() else { return Err("three dimensions are needed".into()) };
		if kernel.len() != n || taps == 0 || taps > 1 << 12 || rows % taps != 0 || strides.contains(&0) {
			return Err("the shapes do not fit together".into());
		}
		let mut spatial = vec![batch, rows];
		for i in 0..n {
			let extent = i64::from(dilations[i]) * (i64::from(kernel[i]) - 1) + 1;
			let room = i64::from(image[i]) + i64::from(pads[i]) + i64::from(pads[i + n]) - extent;
			spatial.push(u32::try_from(room.div_euclid(strides[i].into()) + 1)?);
		}
		let x = self.reshape_to(&x, spatial)?;
		let channels = rows / taps;
		// One weight of 1 for each row.
		let identity: Vec<f32> = (0..taps * taps).map(|i| f32::from(u8::from(i / taps == i % taps))).collect();
		let w = self.numbers(&[1, taps, taps], &identity)?;
		let w = self.expanded(&w, &[channels, taps, taps])?;
		let mut shape = vec![rows, 1];
		shape.extend_from_slice(&kernel);
		let w = self.reshape_to(&w, shape)?;
		let before = pads[..n].iter().map(|p| i64::from(*p)).collect();
		let spread = Spread { kernel, strides, dilations, before, output: image };
		let y = self.spread(&x, &w, channels, &spread)?;
		single(self.cast_to(&y, dtype)?)
	}

	/// Axes cropped or padded with zeros, evenly, the odd element at the end.
	pub(super) fn center_crop_pad(&mut self) -> Result<Outputs, Reason> {
		let mut x = self.input(0)?;
		let rank = x.perm.len();
		let shape = self.constant_integers(1)?.ok_or("the shape is missing")?;
		let axes = match self.attributes().ints("axes")? {
			Some(list) => list.iter().map(|a| crate::attributes::axis(*a, rank)).collect::<Result<Vec<_>, _>>()?,
			None => (0..rank).collect(),
		};
		for (at, want) in axes.iter().zip(&shape) {
			let (have, want) = (self.dims(&x)[*at], u32::try_from(*want)?);
			if want <= have {
				x = self.part(&x, *at, (have - want) / 2, want)?;
			} else {
				let (mut before, mut after) = (vec![0; rank], vec![0; rank]);
				before[*at] = (want - have) / 2;
				after[*at] = want - have - before[*at];
				x = self.padded(&x, &before, &after, 0)?;
			}
		}
		single(x)
	}

	/// A batch of updates written into a cache at each sample's own place.
	pub(super) fn tensor_scatter(&mut self) -> Result<Outputs, Reason> {
		let (cache, update) = (self.input(0)?, self.input(1)?);
		let dims = self.dims(&cache);
		let rank = dims.len();
		if self.dims(&update).len() != rank || dims.contains(&0) || self.dims(&update).contains(&0) {
			return Err("cache and update need the same number of dimensions, and elements".into());
		}
		let at = self.axis_attribute("axis", -2, rank)?;
		if at == 0 {
			return Err("the batch axis cannot be the axis".into());
		}
		let (size, count) = (dims[at], self.dims(&update)[at]);
		let circular = match self.attributes().string("mode", "linear")?.as_str() {
			"linear" => false,
			"circular" => true,
			other => return Err(format!("mode `{other}` is not known").into()),
		};
		let mut shape = vec![1; rank];
		shape[at] = size;
		let numbers: Vec<i64> = (0..i64::from(size)).collect();
		let mut source = self.integers(&shape, &numbers)?;
		if let Some(first) = self.optional(2)? {
			let first = self.cast_to(&first, DType::I64)?;
			let mut column = vec![1; rank];
			column[0] = dims[0];
			let first = self.reshape_to(&first, column)?;
			source = self.sub(&source, &first)?;
		}
		if circular {
			// Places before the first are those after the last.
			let size = self.integers(&[], &[i64::from(size)])?;
			let shifted = self.call("Mod", &[&source, &size], &[])?;
			source = shifted;
		}
		// Which element of the update, if any, each element of the cache becomes.
		let (zero, last) = (self.integers(&[], &[0])?, self.integers(&[], &[i64::from(count)])?);
		let low = self.call("GreaterOrEqual", &[&source, &zero], &[])?;
		let high = self.call("Less", &[&source, &last], &[])?;
		let written = self.call("And", &[&low, &high], &[])?;
		let index = self.context.builder.binary(Binary::Max, &source, &zero)?;
		let most = self.integers(&[], &[i64::from(count) - 1])?;
		let index = self.context.builder.binary(Binary::Min, &index, &most)?;
		let index = self.expanded(&index, &dims)?;
		let moved = self.call("GatherElements", &[&update, &index], &[int("axis", at as i64)])?;
		single(self.select(&written, &moved, &cache)?)
	}
}
