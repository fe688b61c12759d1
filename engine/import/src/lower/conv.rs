//! Convolution and pooling: channels last, explicit geometry.

use super::{Lowering, Outputs};
use crate::{
	builder::Value,
	error::Reason,
	layout::{channels_last, identity},
};
use assay_semantics::{
	ops::{Binary, Conv, PoolKind, ReduceKind, Window},
	Op,
};

/// How a window that does not fill the input is treated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rounding {
	/// The rest is left out.
	Floor,
	/// A last, partial window reaches beyond the border.
	Ceil,
}

impl Lowering<'_> {
	/// The window that the attributes describe over these spatial dimensions.
	fn window(&self, spatial: &[u32], kernel: &[u32], rounding: Rounding) -> Result<Window, Reason> {
		let n = spatial.len();
		let attributes = self.attributes();
		let strides = attributes.sizes("strides", n, 1)?;
		let dilations = attributes.sizes("dilations", n, 1)?;
		if strides.contains(&0) || dilations.contains(&0) || kernel.contains(&0) || kernel.len() != n {
			return Err("kernel sizes, strides and dilations must be positive, one for each spatial dimension".into());
		}
		let auto_pad = attributes.string("auto_pad", "NOTSET")?;
		let pads = attributes.sizes("pads", 2 * n, 0)?;
		let (mut before, mut after) = (pads[..n].to_vec(), pads[n..].to_vec());
		for axis in 0..n {
			let (stride, dilation) = (u64::from(strides[axis]), u64::from(dilations[axis]));
			let extent = dilation.saturating_mul(u64::from(kernel[axis]) - 1).saturating_add(1);
			let input = u64::from(spatial[axis]);
			match auto_pad.as_str() {
				"" | "NOTSET" => {}
				"VALID" => (before[axis], after[axis]) = (0, 0),
				"SAME_UPPER" | "SAME_LOWER" => {
					let covered =
						input.div_ceil(stride).saturating_sub(1).saturating_mul(stride).saturating_add(extent);
					let total = u32::try_from(covered.saturating_sub(input))?;
					let (small, large) = (total / 2, total.div_ceil(2));
					let upper = auto_pad == "SAME_UPPER";
					(before[axis], after[axis]) = if upper { (small, large) } else { (large, small) };
				}
				other => return Err(format!("auto_pad `{other}` is not known").into()),
			}
			if rounding == Rounding::Ceil {
				let padded = input + u64::from(before[axis]) + u64::from(after[axis]);
				let room = padded.checked_sub(extent).ok_or("the window is larger than the padded input")?;
				let mut windows = room.div_ceil(stride) + 1;
				// A window that would start beyond the input and its border before is left out.
				if windows > 1 && (windows - 1) * stride >= input + u64::from(before[axis]) {
					windows -= 1;
				}
				let needed = (windows - 1).saturating_mul(stride).saturating_add(extent);
				let extra = u32::try_from(needed.saturating_sub(padded))?;
				after[axis] = after[axis].checked_add(extra).ok_or("the border is too large")?;
			}
		}
		Ok(Window { strides, dilations, before, after })
	}

	/// The window of a convolution.
	pub(super) fn conv_window(&self, spatial: &[u32], kernel: &[u32]) -> Result<Window, Reason> {
		self.window(spatial, kernel, Rounding::Floor)
	}

	pub(super) fn conv(&mut self) -> Result<Value, Reason> {
		let (x, w) = (self.input(0)?, self.input(1)?);
		let (dims, kernel) = (self.context.builder.dims(&x), self.context.builder.dims(&w));
		if dims.len() < 3 || kernel.len() != dims.len() {
			return Err("input and weights need the same number of dimensions, at least three".into());
		}
		let stated = self.attributes().sizes("kernel_shape", dims.len() - 2, 0)?;
		if stated != kernel[2..] && self.attributes().raw("kernel_shape").is_some() {
			return Err("`kernel_shape` is not that of the weights".into());
		}
		let window = self.window(&dims[2..], &kernel[2..], Rounding::Floor)?;
		let groups = u32::try_from(self.attributes().int("group", 1)?)?;
		let perm = channels_last(dims.len());
		let bias = self.optional(2)?;
		let builder = &mut self.context.builder;
		let x = builder.fetch(&x, &perm)?;
		let w = builder.fetch(&w, &perm)?;
		let mut id = builder.push(Op::Conv(Conv { window, groups }), &[x, w])?;
		if let Some(bias) = bias {
			if builder.dims(&bias) != [kernel[0]] {
				return Err("the bias needs one value for each output channel".into());
			}
			// Channels are last, so [C] broadcasts as it is.
			id = builder.push(Op::Binary(Binary::Add), &[id, bias.id])?;
		}
		Ok(Value { id, perm })
	}

	/// The kernel and the window of a pool of `x`.
	pub(super) fn pool_geometry(&self, x: &Value) -> Result<(Vec<u32>, Window), Reason> {
		let rounding = self.rounding()?;
		self.pool_geometry_with(x, rounding)
	}

	fn pool_geometry_with(&self, x: &Value, rounding: Rounding) -> Result<(Vec<u32>, Window), Reason> {
		let dims = self.context.builder.dims(x);
		let spatial = dims.get(2..).filter(|s| !s.is_empty()).ok_or("the operand needs at least three dimensions")?;
		if self.attributes().raw("kernel_shape").is_none() {
			return Err("`kernel_shape` is missing".into());
		}
		let kernel = self.attributes().sizes("kernel_shape", spatial.len(), 0)?;
		let window = self.window(spatial, &kernel, rounding)?;
		Ok((kernel, window))
	}

	fn rounding(&self) -> Result<Rounding, Reason> {
		Ok(if self.attributes().flag("ceil_mode")? { Rounding::Ceil } else { Rounding::Floor })
	}

	/// The maximum, and where it is, if that is asked for.
	pub(super) fn max_pool(&mut self) -> Result<Outputs, Reason> {
		let x = self.input(0)?;
		let (kernel, window) = self.pool_geometry(&x)?;
		let y = self.pooled(&x, PoolKind::Max, &kernel, &window)?;
		let asked = self.node.output.get(1).is_some_and(|name| !name.is_empty());
		let places = if asked { Some(self.places_of_maxima(&x, &kernel, &window)?) } else { None };
		Ok(vec![Some(y), places])
	}

	pub(super) fn average_pool(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let count_border = self.attributes().flag("count_include_pad")?;
		let (kernel, window) = self.pool_geometry(&x)?;
		let (_, floor) = self.pool_geometry_with(&x, Rounding::Floor)?;
		let y = if count_border && floor != window {
			self.average_with_border(&x, &kernel, &window, &floor)?
		} else {
			self.pooled(&x, PoolKind::Average { count_border }, &kernel, &window)?
		};
		Ok(vec![Some(self.cast_to(&y, dtype)?)])
	}

	/// A reduction over the spatial axes, which stay as 1.
	pub(super) fn global_pool(&mut self, kind: ReduceKind) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let rank = x.perm.len();
		if rank < 3 {
			return Err("the operand needs at least three dimensions".into());
		}
		let perm = channels_last(rank);
		let x = self.context.builder.fetch(&x, &perm)?;
		let axes = identity(rank)[1..rank - 1].to_vec();
		let id = self.context.builder.reduce(kind, &axes, x)?;
		Ok(Value { id, perm })
	}
}
