//! Normalisations.

use super::Lowering;
use crate::{builder::Value, error::Reason};
use assay_semantics::{
	ops::{Binary, Unary},
	Op, ValueId,
};

impl Lowering<'_> {
	/// `x * a + b` with `a = scale / sqrt(variance + epsilon)` and `b = bias - mean * a`. When `x` comes from a
	/// convolution with constant weights that nothing else reads, `a` and `b` go into its weights and bias.
	pub(super) fn batch_normalization(&mut self) -> Result<Value, Reason> {
		let epsilon = self.attributes().float("epsilon")?.unwrap_or(1e-5);
		let x = self.input(0)?;
		let [scale, bias, mean, variance] = [self.input(1)?, self.input(2)?, self.input(3)?, self.input(4)?];
		let sole = self.is_sole_reader(0);
		let builder = &mut self.context.builder;
		let dims = builder.dims(&x);
		let channels = *dims.get(1).ok_or("the operand needs a channel dimension")?;
		if [&scale, &bias, &mean, &variance].iter().any(|v| builder.dims(v) != [channels]) {
			return Err("scale, bias, mean and variance need one value for each channel".into());
		}
		let epsilon = builder.scalar(epsilon)?;
		let epsilon = builder.value(epsilon);
		let shifted = builder.binary(Binary::Add, &variance, &epsilon)?;
		let root = builder.push(Op::Unary(Unary::Sqrt), &[shifted.id])?;
		let root = builder.value(root);
		let a = builder.binary(Binary::Div, &scale, &root)?;
		let scaled_mean = builder.binary(Binary::Mul, &mean, &a)?;
		let b = builder.binary(Binary::Sub, &bias, &scaled_mean)?;
		if sole {
			if let Some(folded) = self.fold_into_conv(&x, &a, &b)? {
				return Ok(folded);
			}
		}
		let builder = &mut self.context.builder;
		let mut full = vec![1; dims.len()];
		full[1] = channels;
		let a = builder.reshape(&a, full.clone())?;
		let b = builder.reshape(&b, full)?;
		let product = builder.binary(Binary::Mul, &x, &a)?;
		builder.binary(Binary::Add, &product, &b)
	}

	/// The convolution behind `x` with `a` and `b` (`[C]`) folded in; `None` when there is none, or not with constants.
	fn fold_into_conv(&mut self, x: &Value, a: &Value, b: &Value) -> Result<Option<Value>, Reason> {
		let builder = &mut self.context.builder;
		let is_constant = |id: ValueId| builder.constant(id).is_some();
		let node = builder.node(x.id);
		let (conv, bias) = match (&node.op, node.inputs.as_slice()) {
			(Op::Conv(_), _) => (x.id, None),
			(Op::Binary(Binary::Add), [conv, bias]) => (*conv, Some(*bias)),
			_ => return Ok(None),
		};
		let node = builder.node(conv).clone();
		let (Op::Conv(_), [input, weights]) = (&node.op, node.inputs.as_slice()) else { return Ok(None) };
		let constant = is_constant(*weights) && is_constant(a.id) && is_constant(b.id);
		// A bias of the convolution's own is [C]; another sum is no bias.
		let bias_fits = bias.is_none_or(|id| is_constant(id) && builder.ty(id) == builder.ty(a.id));
		if !constant || !bias_fits {
			return Ok(None);
		}
		let mut column = vec![1; builder.ty(*weights).dims.len()];
		column[0] = builder.ty(a.id).dims.first().copied().unwrap_or(1);
		let factor = builder.reshape(a, column)?;
		let weights = builder.push(Op::Binary(Binary::Mul), &[*weights, factor.id])?;
		let mut shift = b.id;
		if let Some(bias) = bias {
			let scaled = builder.push(Op::Binary(Binary::Mul), &[bias, a.id])?;
			shift = builder.push(Op::Binary(Binary::Add), &[scaled, shift])?;
		}
		let id = builder.push(node.op.clone(), &[*input, weights])?;
		let id = builder.push(Op::Binary(Binary::Add), &[id, shift])?;
		Ok(Some(Value { id, perm: x.perm.clone() }))
	}
}
