//! Normalisations over axes, and what else is a few reductions and pointwise operators.

use super::{emit::int, Lowering, Outputs};
use crate::{attributes::axis, builder::Value, error::Reason};
use assay_semantics::{
	ops::{PoolKind, ReduceKind, Unary},
	DType, Op,
};

/// One output.
pub(super) fn single(value: Value) -> Result<Outputs, Reason> {
	Ok(vec![Some(value)])
}

impl Lowering<'_> {
	/// Mean over axes, difference to it, and mean of its square (two passes).
	pub(super) fn moments(&mut self, x: &Value, axes: &[usize]) -> Result<(Value, Value, Value), Reason> {
		let mean = self.reduced(ReduceKind::Mean, x, axes)?;
		let difference = self.sub(x, &mean)?;
		let square = self.mul(&difference, &difference)?;
		let variance = self.reduced(ReduceKind::Mean, &square, axes)?;
		Ok((mean, difference, variance))
	}

	/// `1 / sqrt(variance + epsilon)`
	pub(super) fn inverse_deviation(&mut self, variance: &Value, epsilon: f32) -> Result<Value, Reason> {
		let shifted = self.plus(variance, epsilon)?;
		let root = self.map(Unary::Sqrt, &shifted)?;
		self.map(Unary::Reciprocal, &root)
	}

	fn epsilon(&self) -> Result<f32, Reason> {
		Ok(self.attributes().float("epsilon")?.unwrap_or(1e-5))
	}

	/// `(x - mean) * (1 / sqrt(variance + epsilon)) * scale + bias`, in f32; also the mean and the reciprocal.
	pub(super) fn layer_normalization(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let rank = x.perm.len();
		let from = self.axis_attribute("axis", -1, rank)?;
		let axes: Vec<usize> = (from..rank).collect();
		let epsilon = self.epsilon()?;
		let (mean, difference, variance) = self.moments(&x, &axes)?;
		let inverse = self.inverse_deviation(&variance, epsilon)?;
		let normal = self.mul(&difference, &inverse)?;
		let y = self.affine(normal, dtype, 1, 2)?;
		Ok(vec![Some(y), Some(mean), Some(inverse)])
	}

	/// A normalised value times operand `scale`, plus operand `bias` if there is one, in the operands' element type.
	fn affine(&mut self, x: Value, dtype: DType, scale: usize, bias: usize) -> Result<Value, Reason> {
		let scale = self.input(scale)?;
		let scale = self.wide(&scale)?;
		let mut y = self.mul(&x, &scale)?;
		if let Some(bias) = self.optional(bias)? {
			let bias = self.wide(&bias)?;
			y = self.add(&y, &bias)?;
		}
		self.cast_to(&y, dtype)
	}

	/// `x * (1 / sqrt(mean of x^2 + epsilon)) * scale`
	pub(super) fn rms_normalization(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let rank = x.perm.len();
		let from = self.axis_attribute("axis", -1, rank)?;
		let axes: Vec<usize> = (from..rank).collect();
		let square = self.mul(&x, &x)?;
		let mean = self.reduced(ReduceKind::Mean, &square, &axes)?;
		let epsilon = self.epsilon()?;
		let inverse = self.inverse_deviation(&mean, epsilon)?;
		let normal = self.mul(&x, &inverse)?;
		single(self.affine(normal, dtype, 1, usize::MAX)?)
	}

	/// One value for each channel (dimension 1), as seen from a tensor of this rank.
	fn per_channel(&mut self, i: usize, channels: u32, rank: usize) -> Result<Value, Reason> {
		let value = self.input(i)?;
		let value = self.wide(&value)?;
		if self.dims(&value) != [channels] {
			return Err(format!("input {i} needs one value for each of {channels} channels").into());
		}
		let mut dims = vec![1; rank];
		dims[1] = channels;
		self.reshape_to(&value, dims)
	}

	/// `(x - mean) * (1 / sqrt(variance + epsilon)) * scale + bias` over the spatial axes of each sample and channel.
	pub(super) fn instance_normalization(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let dims = self.dims(&x);
		if dims.len() < 3 {
			return Err("the operand needs at least three dimensions".into());
		}
		let axes: Vec<usize> = (2..dims.len()).collect();
		let (_, difference, variance) = self.moments(&x, &axes)?;
		let epsilon = self.epsilon()?;
		let inverse = self.inverse_deviation(&variance, epsilon)?;
		let normal = self.mul(&difference, &inverse)?;
		let scale = self.per_channel(1, dims[1], dims.len())?;
		let bias = self.per_channel(2, dims[1], dims.len())?;
		let y = self.mul(&normal, &scale)?;
		let y = self.add(&y, &bias)?;
		single(self.cast_to(&y, dtype)?)
	}

	/// The same over groups of channels. Scale and bias are per channel since operator set 21, per group before.
	pub(super) fn group_normalization(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let dims = self.dims(&x);
		let groups = u32::try_from(self.attributes().int("num_groups", 0)?)?;
		let [n, c, ..] = *dims.as_slice() else { return Err("the operand needs a channel dimension".into()) };
		if groups == 0 || c % groups != 0 {
			return Err("`num_groups` does not divide the channels".into());
		}
		let rest = dims[2..].iter().try_fold(1u32, |n, d| n.checked_mul(*d)).ok_or("too large")?;
		let depth = (c / groups).checked_mul(rest).ok_or("too large")?;
		let grouped = self.reshape_to(&x, [n, groups, depth])?;
		let (_, difference, variance) = self.moments(&grouped, &[2])?;
		let epsilon = self.epsilon()?;
		let inverse = self.inverse_deviation(&variance, epsilon)?;
		let mut y = self.mul(&difference, &inverse)?;
		if self.context.opset < 21 {
			let scale = self.per_channel(1, groups, 3)?;
			let bias = self.per_channel(2, groups, 3)?;
			y = self.mul(&y, &scale)?;
			y = self.add(&y, &bias)?;
			y = self.reshape_to(&y, dims)?;
		} else {
			y = self.reshape_to(&y, dims.clone())?;
			let scale = self.per_channel(1, c, dims.len())?;
			let bias = self.per_channel(2, c, dims.len())?;
			y = self.mul(&y, &scale)?;
			y = self.add(&y, &bias)?;
		}
		single(self.cast_to(&y, dtype)?)
	}

	/// Normalised by the batch's own statistics, and the running ones moved on.
	pub(super) fn batch_normalization_in_training(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let dims = self.dims(&x);
		let channels = *dims.get(1).ok_or("the operand needs a channel dimension")?;
		let axes: Vec<usize> = (0..dims.len()).filter(|a| *a != 1).collect();
		let (mean, difference, variance) = self.moments(&x, &axes)?;
		let epsilon = self.epsilon()?;
		let inverse = self.inverse_deviation(&variance, epsilon)?;
		let scale = self.per_channel(1, channels, dims.len())?;
		let bias = self.per_channel(2, channels, dims.len())?;
		let y = self.mul(&difference, &inverse)?;
		let y = self.mul(&y, &scale)?;
		let y = self.add(&y, &bias)?;
		let momentum = self.attributes().float("momentum")?.unwrap_or(0.9);
		let mut outputs = vec![Some(self.cast_to(&y, dtype)?)];
		for (i, statistic) in [(3, &mean), (4, &variance)] {
			let running = self.input(i)?;
			let stored = self.dtype(&running);
			let running = self.wide(&running)?;
			let old = self.times(&running, momentum)?;
			let statistic = self.reshape_to(statistic, [channels])?;
			let new = self.times(&statistic, 1.0 - momentum)?;
			let moved = self.add(&old, &new)?;
			outputs.push(Some(self.cast_to(&moved, stored)?));
		}
		Ok(outputs)
	}

	/// `x / (bias + alpha / size * sum of squares over neighbouring channels) ^ beta`
	pub(super) fn lrn(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let rank = x.perm.len();
		if rank < 2 {
			return Err("the operand needs a channel dimension".into());
		}
		let attributes = self.attributes();
		let size = u32::try_from(attributes.int("size", 0)?)?;
		if size == 0 {
			return Err("`size` must be positive".into());
		}
		let alpha = attributes.float("alpha")?.unwrap_or(1e-4);
		let beta = attributes.float("beta")?.unwrap_or(0.75);
		let bias = attributes.float("bias")?.unwrap_or(1.0);
		let square = self.mul(&x, &x)?;
		// Channels as the one spatial axis of a window, everything else beside it, as the value lies.
		let inner = self.context.builder.ty(square.id).dims.clone();
		let at = usize::from(square.perm[1]);
		let product = |d: &[u32]| d.iter().try_fold(1u32, |n, d| n.checked_mul(*d)).ok_or("too large");
		let lying = self.context.builder.value(square.id);
		let flat = self.reshape_to(&lying, [product(&inner[..at])?, inner[at], product(&inner[at + 1..])?])?;
		let before = (size - 1) / 2;
		let window = assay_semantics::ops::Window {
			strides: vec![1],
			dilations: vec![1],
			before: vec![before],
			after: vec![size - 1 - before],
		};
		let op = Op::Pool(assay_semantics::ops::Pool { kind: PoolKind::Sum, kernel: vec![size], window });
		let id = self.context.builder.push(op, &[flat.id])?;
		let sum = self.context.builder.value(id);
		let sum = Value { id: self.reshape_to(&sum, inner)?.id, perm: x.perm.clone() };
		let scaled = self.times(&sum, alpha / size as f32)?;
		let base = self.plus(&scaled, bias)?;
		let power = self.power(&base, beta)?;
		let y = self.div(&x, &power)?;
		single(self.cast_to(&y, dtype)?)
	}

	/// `x ^ p`, with square roots and products where they do.
	pub(super) fn power(&mut self, x: &Value, p: f32) -> Result<Value, Reason> {
		if p == 1.0 {
			return Ok(x.clone());
		}
		if p == 2.0 {
			return self.mul(x, x);
		}
		if p == 0.5 {
			return self.map(Unary::Sqrt, x);
		}
		if p == 0.75 {
			let root = self.map(Unary::Sqrt, x)?;
			let quarter = self.map(Unary::Sqrt, &root)?;
			return self.mul(&root, &quarter);
		}
		let p = self.number_like(x, p)?;
		self.call("Pow", &[x, &p], &[])
	}

	/// `(x - mean) / (standard deviation + 1e-9)` over axes
	pub(super) fn mean_variance_normalization(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let rank = x.perm.len();
		let list = self.attributes().ints("axes")?.unwrap_or(&[0, 2, 3]);
		let axes = list.iter().map(|a| axis(*a, rank)).collect::<Result<Vec<_>, _>>()?;
		let (_, difference, variance) = self.moments(&x, &axes)?;
		let deviation = self.map(Unary::Sqrt, &variance)?;
		let divisor = self.plus(&deviation, 1e-9)?;
		let y = self.div(&difference, &divisor)?;
		single(self.cast_to(&y, dtype)?)
	}

	/// `x / norm` along an axis, and 0 where the norm is 0.
	pub(super) fn lp_normalization(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let at = self.axis_attribute("axis", -1, x.perm.len())?;
		let norm = match self.attributes().int("p", 2)? {
			1 => {
				let absolute = self.map(Unary::Abs, &x)?;
				self.reduced(ReduceKind::Sum, &absolute, &[at])?
			}
			2 => {
				let square = self.mul(&x, &x)?;
				let sum = self.reduced(ReduceKind::Sum, &square, &[at])?;
				self.map(Unary::Sqrt, &sum)?
			}
			p => return Err(format!("p = {p} is not defined").into()),
		};
		let zero = self.number_like(&norm, 0.0)?;
		let is_zero = self.call("Equal", &[&norm, &zero], &[])?;
		let quotient = self.div(&x, &norm)?;
		let y = self.select(&is_zero, &zero, &quotient)?;
		single(self.cast_to(&y, dtype)?)
	}

	/// The axes of Softmax and its kin: one since operator set 13, all from `axis` on before.
	fn softmax_axes(&self, rank: usize) -> Result<Vec<usize>, Reason> {
		let one = self.context.opset >= 13;
		let at = self.attributes().int("axis", if one { -1 } else { 1 })?;
		if !one && at == rank as i64 {
			return Ok(vec![]);
		}
		let from = axis(at, rank)?;
		Ok((from..if one { from + 1 } else { rank }).collect())
	}

	/// Maximum, difference, exp, sum, reciprocal, product; the first two also for [`Lowering::log_softmax`].
	pub(super) fn softmax_over(&mut self, x: &Value, axes: &[usize]) -> Result<Value, Reason> {
		let largest = self.reduced(ReduceKind::Max, x, axes)?;
		let difference = self.sub(x, &largest)?;
		let exp = self.map(Unary::ExpSoftmax, &difference)?;
		let sum = self.reduced(ReduceKind::Sum, &exp, axes)?;
		let reciprocal = self.map(Unary::Reciprocal, &sum)?;
		self.mul(&exp, &reciprocal)
	}

	/// The same, with each step rounded to the element type where that is narrower than f32, as ONNX's own function does;
	/// there, the sum divides.
	pub(super) fn softmax_in(&mut self, x: &Value, axes: &[usize], dtype: DType) -> Result<Value, Reason> {
		if matches!(dtype, DType::F32 | DType::F64) {
			return self.softmax_over(x, axes);
		}
		let largest = self.reduced(ReduceKind::Max, x, axes)?;
		let difference = self.sub(x, &largest)?;
		let difference = self.rounded(&difference, dtype)?;
		let exp = self.map(Unary::ExpSoftmax, &difference)?;
		let exp = self.rounded(&exp, dtype)?;
		let sum = self.reduced(ReduceKind::Sum, &exp, axes)?;
		let sum = self.rounded(&sum, dtype)?;
		let p = self.div(&exp, &sum)?;
		self.rounded(&p, dtype)
	}

	pub(super) fn softmax(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let axes = self.softmax_axes(x.perm.len())?;
		let y = self.softmax_in(&x, &axes, dtype)?;
		single(self.cast_to(&y, dtype)?)
	}

	/// `(x - max) - log(sum of exp(x - max))`
	pub(super) fn log_softmax_over(&mut self, x: &Value, axes: &[usize]) -> Result<Value, Reason> {
		let largest = self.reduced(ReduceKind::Max, x, axes)?;
		let difference = self.sub(x, &largest)?;
		let exp = self.map(Unary::ExpSoftmax, &difference)?;
		let sum = self.reduced(ReduceKind::Sum, &exp, axes)?;
		let log = self.call("Log", &[&sum], &[])?;
		self.sub(&difference, &log)
	}

	pub(super) fn log_softmax(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let axes = self.softmax_axes(x.perm.len())?;
		let y = self.log_softmax_over(&x, &axes)?;
		single(self.cast_to(&y, dtype)?)
	}

	/// 1 at the first of the largest along an axis, 0 elsewhere.
	pub(super) fn hardmax(&mut self) -> Result<Outputs, Reason> {
		let x = self.input(0)?;
		let dtype = self.dtype(&x);
		let axes = self.softmax_axes(x.perm.len())?;
		let dims = self.dims(&x);
		// All axes as one, last.
		let outer = dims[..axes.first().copied().unwrap_or(dims.len())].to_vec();
		let single_axis = axes.len() == 1;
		let (x, at, n) = if single_axis {
			(x.clone(), axes[0], dims[axes[0]])
		} else {
			let n = dims[outer.len()..].iter().try_fold(1u32, |n, d| n.checked_mul(*d)).ok_or("too large")?;
			let mut flat = outer;
			flat.push(n);
			let at = flat.len() - 1;
			(self.reshape_to(&x, flat)?, at, n)
		};
		let place = self.call("ArgMax", &[&x], &[int("axis", at as i64), int("keepdims", 1)])?;
		let mut shape = vec![1; x.perm.len()];
		shape[at] = n;
		let numbers: Vec<i64> = (0..i64::from(n)).collect();
		let numbers = self.integers(&shape, &numbers)?;
		let hit = self.call("Equal", &[&place, &numbers], &[])?;
		let y = self.cast_to(&hit, dtype)?;
		single(self.reshape_to(&y, dims)?)
	}

	/// `x * 0.5 * (1 + erf(x / sqrt 2))`, or with the tanh approximation.
	pub(super) fn gelu(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let inner = match self.attributes().string("approximate", "none")?.as_str() {
			"none" => {
				let scaled = self.times(&x, core::f32::consts::FRAC_1_SQRT_2)?;
				self.call("Erf", &[&scaled], &[])?
			}
			"tanh" => {
				let square = self.mul(&x, &x)?;
				let cube = self.mul(&square, &x)?;
				let term = self.times(&cube, 0.044_715)?;
				let sum = self.add(&x, &term)?;
				let scaled = self.times(&sum, 0.797_884_6)?;
				self.map(Unary::Tanh, &scaled)?
			}
			other => return Err(format!("`approximate` = {other} is not known").into()),
		};
		let shifted = self.plus(&inner, 1.0)?;
		let half = self.times(&x, 0.5)?;
		let y = self.mul(&half, &shifted)?;
		single(self.cast_to(&y, dtype)?)
	}

	/// `a * sigmoid(alpha * a) * b`
	pub(super) fn swiglu(&mut self) -> Result<Outputs, Reason> {
		let (a, dtype) = self.widened(0)?;
		let (b, _) = self.widened(1)?;
		let alpha = self.attributes().float("alpha")?.unwrap_or(1.0);
		let gate = self.times(&a, alpha)?;
		let gate = self.map(Unary::Sigmoid, &gate)?;
		// Each product is rounded to the operands' element type.
		let gate = self.rounded(&gate, dtype)?;
		let swish = self.mul(&a, &gate)?;
		let swish = self.rounded(&swish, dtype)?;
		let y = self.mul(&swish, &b)?;
		single(self.cast_to(&y, dtype)?)
	}

	/// Rounded to a narrower element type and back.
	pub(super) fn rounded(&mut self, x: &Value, dtype: DType) -> Result<Value, Reason> {
		let narrow = self.cast_to(x, dtype)?;
		self.wide(&narrow)
	}

	/// Minus the weighted elements at the targets' classes, all of them, their sum or their weighted mean.
	///
	/// `x` is `[N, C, d..]`, the target `[N, d..]`. A target that is `ignore_index` has weight 0.
	pub(super) fn negative_log_likelihood(
		&mut self,
		x: &Value,
		target: &Value,
		weight: Option<Value>,
	) -> Result<Value, Reason> {
		let dims = self.dims(x);
		let [n, c, rest @ ..] = dims.as_slice() else { return Err("the operand needs a class dimension".into()) };
		if *c == 0 {
			return Err("there are no classes".into());
		}
		let target = self.cast_to(target, DType::I64)?;
		let mut shape = vec![*n];
		shape.extend_from_slice(rest);
		let mut mask = None;
		let mut class = target.clone();
		if self.attributes().raw("ignore_index").is_some() {
			let ignored = self.attributes().int("ignore_index", 0)?;
			let ignored = self.integers(&[], &[ignored])?;
			let hit = self.call("Equal", &[&target, &ignored], &[])?;
			let zero = self.integers(&[], &[0])?;
			class = self.select(&hit, &zero, &target)?;
			mask = Some(hit);
		}
		let mut one_class = shape.clone();
		one_class.insert(1, 1);
		let index = self.reshape_to(&class, one_class)?;
		let picked = self.call("GatherElements", &[x, &index], &[int("axis", 1)])?;
		let picked = self.reshape_to(&picked, shape.clone())?;
		let mut loss = self.map(Unary::Neg, &picked)?;
		let mut weights = match weight {
			Some(w) => {
				let w = self.wide(&w)?;
				Some(self.call("Gather", &[&w, &class], &[int("axis", 0)])?)
			}
			None => None,
		};
		if let Some(hit) = mask {
			let one = self.number_like(&loss, 1.0)?;
			let zero = self.number_like(&loss, 0.0)?;
			let w = weights.unwrap_or(one);
			let w = self.select(&hit, &zero, &w)?;
			weights = Some(self.expanded(&w, &shape)?);
		}
		if let Some(w) = &weights {
			loss = self.mul(&loss, w)?;
		}
		let axes: Vec<usize> = (0..shape.len()).collect();
		let total = |l: &mut Self, v: &Value, kind| -> Result<Value, Reason> {
			let sum = l.reduced(kind, v, &axes)?;
			l.reshape_to(&sum, [])
		};
		match (self.attributes().string("reduction", "mean")?.as_str(), weights) {
			("none", _) => Ok(loss),
			("sum", _) => total(self, &loss, ReduceKind::Sum),
			("mean", None) => total(self, &loss, ReduceKind::Mean),
			("mean", Some(w)) => {
				let sum = total(self, &loss, ReduceKind::Sum)?;
				let weight = total(self, &w, ReduceKind::Sum)?;
				self.div(&sum, &weight)
			}
			(other, _) => Err(format!("reduction `{other}` is not known").into()),
		}
	}

	pub(super) fn nll_loss(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let (target, weight) = (self.input(1)?, self.optional(2)?);
		let loss = self.negative_log_likelihood(&x, &target, weight)?;
		single(self.cast_to(&loss, dtype)?)
	}

	/// The same of the LogSoftmax over the classes, which is the second output.
	pub(super) fn softmax_cross_entropy_loss(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let (target, weight) = (self.input(1)?, self.optional(2)?);
		if x.perm.len() < 2 {
			return Err("the operand needs a class dimension".into());
		}
		let log = self.log_softmax_over(&x, &[1])?;
		let loss = self.negative_log_likelihood(&log, &target, weight)?;
		Ok(vec![Some(self.cast_to(&loss, dtype)?), Some(self.cast_to(&log, dtype)?)])
	}
}
