//! Resize and Upsample: axis by axis, with places and weights that are fixed at import.
//!
//! Places and weights are computed in f64 by `+ - * /`, floor and ceil alone, which are the same everywhere.

use super::{emit::int, norms::single, Lowering, Outputs};
use crate::{attributes::axis, builder::Value, error::Reason};
use assay_semantics::{ops::Resample, DType, Op, Tensor, TensorType};

/// The most terms of one element along one axis.
const MAX_TERMS: usize = 4096;

/// The most terms of all elements along one axis.
const MAX_TABLE: usize = 1 << 24;

/// What the attributes say.
struct Method {
	mode: String,
	coordinates: String,
	nearest: String,
	cubic_a: f64,
	exclude_outside: bool,
	antialias: bool,
	extrapolation: f32,
}

/// How one axis changes.
struct Axis {
	input: u32,
	output: u32,
	scale: f64,
	region: (f64, f64),
}

/// For each element of the result: where the terms are, their weights, and whether it lies outside of everything.
struct Table {
	indices: Vec<i64>,
	weights: Vec<f32>,
	terms: usize,
	outside: Vec<bool>,
}

/// Keys' cubic.
fn cubic(x: f64, a: f64) -> f64 {
	let x = x.abs();
	if x <= 1.0 {
		((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
	} else if x < 2.0 {
		((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
	} else {
		0.0
	}
}

impl Method {
	/// Where element `i` of the result lies in the operand.
	fn position(&self, i: u32, axis: &Axis) -> Result<f64, Reason> {
		let (i, input) = (f64::from(i), f64::from(axis.input));
		let output = axis.scale * input;
		let (from, to) = axis.region;
		Ok(match self.coordinates.as_str() {
			"align_corners" if output == 1.0 => 0.0,
			"align_corners" => i * (input - 1.0) / (output - 1.0),
			"asymmetric" => i / axis.scale,
			"tf_crop_and_resize" if output == 1.0 => (to - from) * (input - 1.0) / 2.0 + from * (input - 1.0),
			"tf_crop_and_resize" => i * (to - from) * (input - 1.0) / (output - 1.0) + from * (input - 1.0),
			"pytorch_half_pixel" if output == 1.0 => -0.5,
			"half_pixel" | "pytorch_half_pixel" => (i + 0.5) / axis.scale - 0.5,
			"half_pixel_symmetric" => {
				let offset = input / 2.0 * (1.0 - f64::from(axis.output) / output);
				offset + (i + 0.5) / axis.scale - 0.5
			}
			"tf_half_pixel_for_nn" => (i + 0.5) / axis.scale,
			other => return Err(format!("coordinate_transformation_mode `{other}` is not known").into()),
		})
	}

	/// The nearest element.
	fn nearest(&self, x: f64) -> Result<i64, Reason> {
		Ok(match self.nearest.as_str() {
			"round_prefer_floor" => (x - 0.5).ceil(),
			"round_prefer_ceil" => (x + 0.5).floor(),
			"floor" => x.floor(),
			"ceil" => x.ceil(),
			other => return Err(format!("nearest_mode `{other}` is not known").into()),
		} as i64)
	}

	/// The terms around a position.
	fn terms(&self, x: f64, scale: f64) -> Result<Vec<(i64, f64)>, Reason> {
		let radius = match self.mode.as_str() {
			"linear" => 1.0,
			"cubic" => 2.0,
			other => return Err(format!("mode `{other}` is not known").into()),
		};
		let scale = if self.antialias { scale.min(1.0) } else { 1.0 };
		let (first, last) = ((x - radius / scale).ceil(), (x + radius / scale).floor());
		if (last - first).is_nan() || last - first >= MAX_TERMS as f64 {
			return Err(format!("an element has more than {MAX_TERMS} terms").into());
		}
		let weight = |i: i64| {
			let distance = (i as f64 - x) * scale;
			match radius == 1.0 {
				true => (1.0 - distance.abs()).max(0.0),
				false => cubic(distance, self.cubic_a),
			}
		};
		Ok((first as i64..=last as i64).map(|i| (i, weight(i))).collect())
	}

	fn table(&self, axis: &Axis) -> Result<Table, Reason> {
		let (mut rows, mut outside) = (Vec::new(), Vec::new());
		let last = i64::from(axis.input) - 1;
		let mut count = 0;
		for i in 0..axis.output {
			let x = self.position(i, axis)?;
			if self.mode == "nearest" {
				rows.push(vec![(self.nearest(x)?, 1.0)]);
			} else {
				let mut terms = self.terms(x, axis.scale)?;
				if self.exclude_outside {
					terms.iter_mut().filter(|(at, _)| !(0..=last).contains(at)).for_each(|(_, w)| *w = 0.0);
				}
				if self.exclude_outside || self.antialias {
					let sum: f64 = terms.iter().map(|(_, w)| w).sum();
					terms.iter_mut().for_each(|(_, w)| *w /= if sum == 0.0 { 1.0 } else { sum });
				}
				// What changes nothing is not read.
				terms.retain(|(_, w)| *w != 0.0);
				rows.push(terms);
			}
			count += rows.last().map_or(0, Vec::len) + 1;
			if count > MAX_TABLE {
				return Err(format!("an axis has more than {MAX_TABLE} terms").into());
			}
			outside.push(self.coordinates == "tf_crop_and_resize" && !(0.0..=last as f64).contains(&x));
		}
		let terms = rows.iter().map(Vec::len).max().unwrap_or(0);
		let (mut indices, mut weights) = (Vec::new(), Vec::new());
		for row in &rows {
			let near = row.first().map_or(0, |(at, _)| (*at).clamp(0, last));
			for k in 0..terms {
				let (at, weight) = row.get(k).copied().unwrap_or((near, 0.0));
				indices.push(at.clamp(0, last));
				weights.push(weight as f32);
			}
		}
		Ok(Table { indices, weights, terms, outside })
	}
}

impl Lowering<'_> {
	/// Sizes or scales of the axes, and the regions for `tf_crop_and_resize`.
	fn axes_to_resize(&mut self, dims: &[u32]) -> Result<Vec<Option<Axis>>, Reason> {
		let attributes = self.attributes();
		let axes = match attributes.ints("axes")? {
			Some(list) => list.iter().map(|a| axis(*a, dims.len())).collect::<Result<Vec<_>, _>>()?,
			None => (0..dims.len()).collect(),
		};
		let old = self.context.opset < 11;
		let region = if old { None } else { self.constant_floats(1)?.filter(|r| !r.is_empty()) };
		let scales = self.constant_floats(if old { 1 } else { 2 })?.filter(|s| !s.is_empty());
		let sizes = if old { None } else { self.constant_integers(3)?.filter(|s| !s.is_empty()) };
		let mut scale_of: Vec<f64> = Vec::new();
		let mut outputs: Vec<f64> = Vec::new();
		match (scales, sizes) {
			(_, Some(sizes)) if sizes.len() == axes.len() => {
				for (at, size) in axes.iter().zip(&sizes) {
					scale_of.push(*size as f64 / f64::from(dims[*at]));
					outputs.push(*size as f64);
				}
				let policy = attributes.string("keep_aspect_ratio_policy", "stretch")?;
				let one = match policy.as_str() {
					"stretch" => None,
					"not_larger" => scale_of.iter().copied().reduce(f64::min),
					"not_smaller" => scale_of.iter().copied().reduce(f64::max),
					other => return Err(format!("keep_aspect_ratio_policy `{other}` is not known").into()),
				};
				if let Some(one) = one {
					scale_of.fill(one);
					outputs = axes.iter().map(|at| (one * f64::from(dims[*at]) + 0.5).floor()).collect();
				}
			}
			(Some(scales), None) if scales.len() == axes.len() => {
				for (at, scale) in axes.iter().zip(&scales) {
					scale_of.push(f64::from(*scale));
					outputs.push((f64::from(*scale) * f64::from(dims[*at])).floor());
				}
			}
			_ => return Err("it needs one scale or one size for each axis".into()),
		}
		let mut result: Vec<Option<Axis>> = dims.iter().map(|_| None).collect();
		for (i, at) in axes.iter().enumerate() {
			let (scale, output) = (scale_of[i], outputs[i]);
			if !(scale > 0.0 && scale.is_finite() && (0.0..=f64::from(u32::MAX)).contains(&output)) {
				return Err(format!("scale {scale} of axis {at} is out of range").into());
			}
			let number = |i: usize| region.as_ref().and_then(|r| r.get(i)).map(|r| f64::from(*r));
			let region = (number(i).unwrap_or(0.0), number(i + axes.len()).unwrap_or(1.0));
			result[*at] = Some(Axis { input: dims[*at], output: output as u32, scale, region });
		}
		Ok(result)
	}

	/// Axis by axis. A nearest element is gathered; what is interpolated is computed in f32.
	pub(super) fn resize(&mut self) -> Result<Outputs, Reason> {
		let x = self.input(0)?;
		let dims = self.dims(&x);
		let attributes = self.attributes();
		let old = self.context.opset < 11;
		let asymmetric = if old { "asymmetric" } else { "half_pixel" };
		let method = Method {
			mode: attributes.string("mode", "nearest")?,
			coordinates: attributes.string("coordinate_transformation_mode", asymmetric)?,
			nearest: attributes.string("nearest_mode", if old { "floor" } else { "round_prefer_floor" })?,
			cubic_a: attributes.float("cubic_coeff_a")?.unwrap_or(-0.75).into(),
			exclude_outside: attributes.flag("exclude_outside")?,
			antialias: attributes.flag("antialias")?,
			extrapolation: attributes.float("extrapolation_value")?.unwrap_or(0.0),
		};
		let axes = self.axes_to_resize(&dims)?;
		self.resized(x, &axes, &method)
	}

	/// Upsample: scales are an attribute before operator set 9.
	pub(super) fn upsample(&mut self) -> Result<Outputs, Reason> {
		let x = self.input(0)?;
		let dims = self.dims(&x);
		let scales = match self.attributes().floats("scales")? {
			Some(scales) => scales.to_vec(),
			None => self.constant_floats(1)?.ok_or("the scales are missing")?,
		};
		if scales.len() != dims.len() {
			return Err("it needs one scale for each axis".into());
		}
		let method = Method {
			mode: self.attributes().string("mode", "nearest")?,
			coordinates: "asymmetric".into(),
			nearest: "floor".into(),
			cubic_a: -0.75,
			exclude_outside: false,
			antialias: false,
			extrapolation: 0.0,
		};
		let mut axes = Vec::new();
		for (input, scale) in dims.iter().zip(scales) {
			let output = (f64::from(scale) * f64::from(*input)).floor();
			if !(scale > 0.0 && output <= f64::from(u32::MAX)) {
				return Err(format!("scale {scale} is out of range").into());
			}
			axes.push(Some(Axis { input: *input, output: output as u32, scale: scale.into(), region: (0.0, 1.0) }));
		}
		self.resized(x, &axes, &method)
	}

	fn resized(&mut self, x: Value, axes: &[Option<Axis>], method: &Method) -> Result<Outputs, Reason> {
		let dtype = self.dtype(&x);
		let nearest = method.mode == "nearest";
		let mut y = if nearest { x } else { self.cast_to(&x, DType::F32)? };
		for (at, axis) in axes.iter().enumerate() {
			let Some(axis) = axis else { continue };
			if axis.scale == 1.0 && axis.input == axis.output && axis.region == (0.0, 1.0) {
				continue;
			}
			if axis.input == 0 {
				return Err("an axis that is resized is empty".into());
			}
			let table = method.table(axis)?;
			let inner = *y.perm.get(at).ok_or("an axis is outside")?;
			if nearest {
				let indices = self.integers(&[axis.output], &table.indices)?;
				// Along the axis as it lies, so that the order of the dimensions stays.
				let lying = Value { id: y.id, perm: crate::layout::identity(y.perm.len()) };
				let gathered = self.call("Gather", &[&lying, &indices], &[int("axis", inner.into())])?;
				y = Value { id: self.context.builder.plain(&gathered)?, perm: y.perm };
			} else {
				let size = [axis.output, u32::try_from(table.terms)?];
				let indices = self.integers(&size, &table.indices)?;
				let weights = self.numbers(&size, &table.weights)?;
				let op = Op::Resample(Resample { axis: inner });
				y = Value { id: self.context.builder.push(op, &[y.id, indices.id, weights.id])?, perm: y.perm };
			}
			if table.outside.contains(&true) {
				let mut shape = vec![1; y.perm.len()];
				shape[at] = axis.output;
				let bytes = table.outside.iter().map(|o| u8::from(*o)).collect();
				let outside = self.weight(Tensor::new(TensorType::new(DType::Bool, shape), bytes)?)?;
				let value = self.number(method.extrapolation)?;
				let value = self.cast_to(&value, self.dtype(&y))?;
				y = self.select(&outside, &value, &y)?;
			}
		}
		single(self.cast_to(&y, dtype)?)
	}
}
