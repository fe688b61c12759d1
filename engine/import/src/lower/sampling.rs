//! Interpolation at computed places: grids, regions, and convolutions whose kernel's elements wander.

use super::{norms::single, Lowering, Outputs};
use crate::{builder::Value, error::Reason, layout::channels_last};
use assay_semantics::{
	ops::{Binary, ReduceKind, Sample, SampleBorder, SampleMode},
	DType, Op,
};

/// The most samples of a region along one axis.
const MAX_SIDE: u32 = 1 << 16;

/// The most places of a grid that is made at import.
const MAX_PLACES: u32 = 1 << 24;

impl Lowering<'_> {
	/// The samples of `x` (`[N, C, spatial..]`) at `at` (`[M, places.., D]`), as `[M, places.., C]`.
	fn samples(&mut self, x: &Value, at: &Value, sample: Option<&Value>, op: Sample) -> Result<Value, Reason> {
		let perm = channels_last(x.perm.len());
		let builder = &mut self.context.builder;
		let mut operands = vec![builder.fetch(x, &perm)?, builder.plain(at)?];
		if let Some(sample) = sample {
			operands.push(builder.plain(sample)?);
		}
		let id = builder.push(Op::Sample(op), &operands)?;
		Ok(builder.value(id))
	}

	/// Coordinates from -1 to 1, fastest axis first, become coordinates in elements, slowest axis first.
	pub(super) fn grid_sample(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let (grid, _) = self.widened(1)?;
		let attributes = self.attributes();
		let mode = match attributes.string("mode", "linear")?.as_str() {
			"linear" | "bilinear" => SampleMode::Linear,
			"cubic" | "bicubic" => SampleMode::Cubic,
			"nearest" => SampleMode::Nearest,
			other => return Err(format!("mode `{other}` is not known").into()),
		};
		let aligned = attributes.flag("align_corners")?;
		let border = match attributes.string("padding_mode", "zeros")?.as_str() {
			"zeros" => SampleBorder::Zeros,
			"border" => SampleBorder::Clamp,
			"reflection" if aligned => SampleBorder::MirrorCentres,
			"reflection" => SampleBorder::MirrorEdges,
			other => return Err(format!("padding_mode `{other}` is not known").into()),
		};
		let dims = self.dims(&x);
		let spatial = dims.get(2..).filter(|s| !s.is_empty()).ok_or("the operand needs a spatial axis")?;
		let last = grid.perm.len().checked_sub(1).ok_or("the grid needs a dimension")?;
		let axes = u32::try_from(spatial.len())?;
		if self.dims(&grid)[last] != axes {
			return Err("the grid needs one coordinate for each spatial axis".into());
		}
		let grid = self.strided(&grid, last, axes - 1, axes, -1)?;
		let shifted = self.plus(&grid, 1.0)?;
		let at = if aligned {
			let spans: Vec<f32> = spatial.iter().map(|d| *d as f32 - 1.0).collect();
			let spans = self.numbers(&[axes], &spans)?;
			let halves = self.times(&shifted, 0.5)?;
			self.mul(&halves, &spans)?
		} else {
			let spans: Vec<f32> = spatial.iter().map(|d| *d as f32).collect();
			let spans = self.numbers(&[axes], &spans)?;
			let scaled = self.mul(&shifted, &spans)?;
			let scaled = self.plus(&scaled, -1.0)?;
			self.times(&scaled, 0.5)?
		};
		let y = self.samples(&x, &at, None, Sample { mode, border })?;
		let y = Value { perm: channels_last(y.perm.len()), id: y.id };
		single(self.cast_to(&y, dtype)?)
	}

	/// A grid of coordinates from -1 to 1, transformed.
	pub(super) fn affine_grid(&mut self) -> Result<Outputs, Reason> {
		let (theta, dtype) = self.widened(0)?;
		let aligned = self.attributes().flag("align_corners")?;
		let size = self.constant_integers(1)?.ok_or("the size is missing")?;
		let dims: Vec<u32> =
			size.iter().map(|d| u32::try_from(*d)).collect::<Result<_, _>>().map_err(|_| "the size is out of range")?;
		let spatial = dims.get(2..).filter(|s| (1..=3).contains(&s.len())).ok_or("two or three spatial axes")?;
		let count = spatial.iter().try_fold(1u32, |n, d| n.checked_mul(*d)).ok_or("too large")?;
		if count > MAX_PLACES {
			return Err("the grid is too large".into());
		}
		let columns = spatial.len() + 1;
		assay_semantics::TensorType::new(DType::F32, [count, u32::try_from(columns)?]).check()?;
		let mut base = Vec::new();
		for place in 0..count {
			let mut rest = place;
			let mut row = Vec::new();
			// Fastest axis first, and 1 at the end.
			for d in spatial.iter().rev() {
				let (i, n) = (f64::from(rest % d), f64::from(*d));
				rest /= d;
				row.push(match aligned {
					true if *d == 1 => -1.0,
					true => -1.0 + i * (2.0 / (n - 1.0)),
					false => -1.0 + 1.0 / n + i * (2.0 / n),
				} as f32);
			}
			row.push(1.0);
			base.extend(row);
		}
		let base = self.numbers(&[1, count, u32::try_from(columns)?], &base)?;
		let grid = self.product(&base, &theta)?;
		let mut out = vec![self.dims(&grid)[0]];
		out.extend_from_slice(spatial);
		out.push(u32::try_from(spatial.len())?);
		let grid = self.reshape_to(&grid, out)?;
		single(self.cast_to(&grid, dtype)?)
	}

	/// The larger, element by element.
	fn larger(&mut self, a: &Value, b: &Value) -> Result<Value, Reason> {
		self.context.builder.binary(Binary::Max, a, b)
	}

	/// Not above, element by element.
	fn at_most(&mut self, a: &Value, bound: f32) -> Result<Value, Reason> {
		let bound = self.number(bound)?;
		self.context.builder.binary(Binary::Min, a, &bound)
	}

	/// Where the bins of regions are sampled along one axis: `[R, bins * per bin]` coordinates.
	fn bin_coordinates(
		&mut self,
		rois: &Value,
		column: u32,
		bins: u32,
		per_bin: u32,
		half_pixel: bool,
	) -> Result<Value, Reason> {
		let start = self.part(rois, 1, column, 1)?;
		let bin = self.bin_size(rois, column, bins, half_pixel)?;
		let mut steps = Vec::new();
		for b in 0..bins {
			for i in 0..per_bin {
				steps.push((f64::from(b) + (f64::from(i) + 0.5) / f64::from(per_bin)) as f32);
			}
		}
		let steps = self.numbers(&[1, u32::try_from(steps.len())?], &steps)?;
		let offsets = self.mul(&bin, &steps)?;
		self.add(&start, &offsets)
	}

	/// The size of the regions' bins along one axis, `[R, 1]`.
	fn bin_size(&mut self, rois: &Value, column: u32, bins: u32, half_pixel: bool) -> Result<Value, Reason> {
		let start = self.part(rois, 1, column, 1)?;
		let end = self.part(rois, 1, column + 2, 1)?;
		let mut size = self.sub(&end, &start)?;
		if !half_pixel {
			let one = self.number(1.0)?;
			size = self.larger(&size, &one)?;
		}
		let bins = self.number(bins as f32)?;
		self.div(&size, &bins)
	}

	/// Average or maximum over samples in the bins of regions. In `max` mode, of the four weighted neighbours each.
	///
	/// Without a sampling ratio the number of samples hangs on the regions, which must be known then.
	pub(super) fn roi_align(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let (rois, _) = self.widened(1)?;
		let sample = self.input(2)?;
		let attributes = self.attributes();
		let default = if self.context.opset < 16 { "output_half_pixel" } else { "half_pixel" };
		let half_pixel = attributes.string("coordinate_transformation_mode", default)? == "half_pixel";
		let ratio = u32::try_from(attributes.int("sampling_ratio", 0)?)?;
		let bins =
			[u32::try_from(attributes.int("output_height", 1)?)?, u32::try_from(attributes.int("output_width", 1)?)?];
		let scaled = self.times(&rois, attributes.float("spatial_scale")?.unwrap_or(1.0))?;
		let rois = if half_pixel { self.plus(&scaled, -0.5)? } else { scaled };
		let count = self.dims(&rois)[0];
		let y = if ratio > 0 {
			self.rois_sampled(&x, &rois, &sample, bins, [ratio; 2], half_pixel)?
		} else {
			let mut per_bin = Vec::new();
			for (column, bins) in [(1, bins[0]), (0, bins[1])] {
				let size = self.bin_size(&rois, column, bins, half_pixel)?;
				per_bin.push(self.demanded(&size)?.to_f32().unwrap_or_default());
			}
			let mut parts = Vec::new();
			for r in 0..count {
				let number = |list: &[f32]| list.get(r as usize).map_or(0.0, |s| s.ceil()).clamp(0.0, 1024.0) as u32;
				let sizes = [number(&per_bin[0]), number(&per_bin[1])];
				let (roi, sample) = (self.part(&rois, 0, r, 1)?, self.part(&sample, 0, r, 1)?);
				parts.push(self.rois_sampled(&x, &roi, &sample, bins, sizes, half_pixel)?);
			}
			self.joined(&parts, 0)?
		};
		let y = Value { perm: channels_last(4), id: self.context.builder.plain(&y)? };
		single(self.cast_to(&y, dtype)?)
	}

	/// `[R, bins.., C]`
	fn rois_sampled(
		&mut self,
		x: &Value,
		rois: &Value,
		sample: &Value,
		bins: [u32; 2],
		per_bin: [u32; 2],
		half_pixel: bool,
	) -> Result<Value, Reason> {
		let (dims, count) = (self.dims(x), self.dims(rois)[0]);
		let &[_, c, h, w] = dims.as_slice() else { return Err("four dimensions are needed".into()) };
		if per_bin.contains(&0) {
			return self.filled(DType::F32, &[count, bins[0], bins[1], c], 0.0);
		}
		let max = self.attributes().string("mode", "avg")? == "max";
		let side = |axis: usize| bins[axis].checked_mul(per_bin[axis]).filter(|n| *n <= MAX_SIDE);
		let (Some(rows), Some(columns)) = (side(0), side(1)) else {
			return Err("a region has too many samples".into());
		};
		let mut inside: Option<Value> = None;
		let (mut coordinates, mut fractions) = (Vec::new(), Vec::new());
		for (axis, (column, size)) in [(1, h), (0, w)].into_iter().enumerate() {
			let at = self.bin_coordinates(rois, column, bins[axis], per_bin[axis], half_pixel)?;
			let shape = if axis == 0 { [count, rows, 1, 1] } else { [count, 1, columns, 1] };
			let at = self.reshape_to(&at, shape)?;
			let (low, high) = (self.number(-1.0)?, self.number(size as f32)?);
			for (op, bound) in [("GreaterOrEqual", &low), ("LessOrEqual", &high)] {
				let fits = self.call(op, &[&at, bound], &[])?;
				inside = Some(match inside {
					None => fits,
					Some(before) => self.call("And", &[&before, &fits], &[])?,
				});
			}
			let zero = self.number(0.0)?;
			let at = self.larger(&at, &zero)?;
			let at = self.at_most(&at, size as f32 - 1.0)?;
			if max {
				let floor = self.call("Floor", &[&at], &[])?;
				fractions.push(self.sub(&at, &floor)?);
				coordinates.push(floor);
			} else {
				coordinates.push(at);
			}
		}
		let inside = inside.ok_or("no axes")?;
		let full = [count, rows, columns, 1];
		let grid = |l: &mut Self, offsets: [f32; 2]| -> Result<Value, Reason> {
			let mut parts = Vec::new();
			for (at, offset) in coordinates.iter().zip(offsets) {
				let at = l.plus(at, offset)?;
				parts.push(l.expanded(&at, &full)?);
			}
			l.joined(&parts, 3)
		};
		let value = if max {
			let mut largest: Option<Value> = None;
			for offsets in [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]] {
				let at = grid(self, offsets)?;
				let op = Sample { mode: SampleMode::Nearest, border: SampleBorder::Clamp };
				let mut corner = self.samples(x, &at, Some(sample), op)?;
				for (fraction, offset) in fractions.iter().zip(offsets) {
					let weight = if offset == 0.0 {
						let one = self.number(1.0)?;
						self.sub(&one, fraction)?
					} else {
						fraction.clone()
					};
					corner = self.mul(&corner, &weight)?;
				}
				largest = Some(match largest {
					None => corner,
					Some(before) => self.larger(&before, &corner)?,
				});
			}
			largest.ok_or("no corners")?
		} else {
			let at = grid(self, [0.0, 0.0])?;
			self.samples(x, &at, Some(sample), Sample { mode: SampleMode::Linear, border: SampleBorder::Clamp })?
		};
		let zero = self.number(0.0)?;
		let value = self.select(&inside, &value, &zero)?;
		let binned = self.reshape_to(&value, [count, bins[0], per_bin[0], bins[1], per_bin[1], c])?;
		let kind = if max { ReduceKind::Max } else { ReduceKind::Mean };
		let y = self.reduced(kind, &binned, &[2, 4])?;
		self.reshape_to(&y, [count, bins[0], bins[1], c])
	}

	/// Samples at the kernel's places moved by offsets, times the mask, then a product with the weights.
	pub(super) fn deform_conv(&mut self) -> Result<Outputs, Reason> {
		let ((x, dtype), (w, _), (offset, _)) = (self.widened(0)?, self.widened(1)?, self.widened(2)?);
		let attributes = self.attributes();
		let (dims, kernel, moved) = (self.dims(&x), self.dims(&w), self.dims(&offset));
		let (&[n, c, _, _], &[o, depth, kh, kw], &[_, _, oh, ow]) =
			(dims.as_slice(), kernel.as_slice(), moved.as_slice())
		else {
			return Err("only two spatial axes are supported".into());
		};
		let groups = u32::try_from(attributes.int("group", 1)?)?;
		let offset_groups = u32::try_from(attributes.int("offset_group", 1)?)?;
		let taps = kh.checked_mul(kw).ok_or("too large")?;
		if groups == 0
			|| offset_groups == 0
			|| c % offset_groups != 0
			|| o % groups != 0
			|| depth.checked_mul(groups) != Some(c)
		{
			return Err("channels and groups do not fit together".into());
		}
		let strides = attributes.sizes("strides", 2, 1)?;
		let dilations = attributes.sizes("dilations", 2, 1)?;
		let pads = attributes.sizes("pads", 4, 0)?;
		let places = u64::from(oh).saturating_mul(ow.into()).saturating_mul(taps.into());
		if places > u64::from(MAX_PLACES) {
			return Err("the kernel has too many places".into());
		}
		let mut base = Vec::new();
		for i in 0..oh {
			for j in 0..ow {
				for t in 0..taps {
					for (a, (out, k)) in [(i, t / kw), (j, t % kw)].into_iter().enumerate() {
						let at = i64::from(out) * i64::from(strides[a]) + i64::from(k) * i64::from(dilations[a]);
						base.push((at - i64::from(pads[a])) as f32);
					}
				}
			}
		}
		let base = self.numbers(&[1, oh, ow, taps, 2], &base)?;
		let offset = self.reshape_to(&offset, [n, offset_groups, taps, 2, oh, ow])?;
		let mask = match self.optional(4)? {
			Some(mask) => {
				let mask = self.wide(&mask)?;
				Some(self.reshape_to(&mask, [n, offset_groups, taps, oh, ow])?)
			}
			None => None,
		};
		let share = c / offset_groups;
		let mut parts = Vec::new();
		for g in 0..offset_groups {
			let own = self.part(&offset, 1, g, 1)?;
			let own = self.reshape_to(&own, [n, taps, 2, oh, ow])?;
			let own = self.permuted(&own, &[0, 3, 4, 1, 2])?;
			let at = self.add(&base, &own)?;
			let channels = self.part(&x, 1, g * share, share)?;
			let op = Sample { mode: SampleMode::Linear, border: SampleBorder::Zeros };
			let mut value = self.samples(&channels, &at, None, op)?;
			if let Some(mask) = &mask {
				let own = self.part(mask, 1, g, 1)?;
				let own = self.reshape_to(&own, [n, taps, oh, ow, 1])?;
				let own = self.permuted(&own, &[0, 2, 3, 1, 4])?;
				value = self.mul(&value, &own)?;
			}
			parts.push(value);
		}
		let value = self.joined(&parts, 4)?;
		let w = self.permuted(&w, &[0, 2, 3, 1])?;
		let rows = taps.checked_mul(depth).ok_or("too large")?;
		let mut outputs = Vec::new();
		for g in 0..groups {
			let own = self.part(&value, 4, g * depth, depth)?;
			let own = self.reshape_to(&own, [n, oh, ow, rows])?;
			let weights = self.part(&w, 0, g * (o / groups), o / groups)?;
			let weights = self.reshape_to(&weights, [1, 1, o / groups, rows])?;
			outputs.push(self.product(&own, &weights)?);
		}
		let mut y = self.joined(&outputs, 3)?;
		if let Some(bias) = self.optional(3)? {
			let bias = self.wide(&bias)?;
			y = self.add(&y, &bias)?;
		}
		let y = Value { perm: channels_last(4), id: self.context.builder.plain(&y)? };
		single(self.cast_to(&y, dtype)?)
	}
}
