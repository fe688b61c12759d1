//! Operators of ONNX Runtime's own domain that its quantiser writes into models.

use super::{Lowering, Outputs};
use crate::{attributes::axis, builder::Value, error::Reason, layout::channels_last};
use assay_semantics::{
	ops::{Binary, ReduceKind},
	DType,
};

impl Lowering<'_> {
	/// The node's outputs; `None` when the operator is not one of these.
	pub(super) fn contributed(&mut self, op: &str) -> Result<Option<Outputs>, Reason> {
		let value = match op {
			"QLinearAdd" => self.qlinear_binary(Binary::Add),
			"QLinearMul" => self.qlinear_binary(Binary::Mul),
			"QLinearGlobalAveragePool" => self.qlinear_global_average_pool(),
			"QLinearConcat" => self.qlinear_concat(),
			"QGemm" => self.qgemm(),
			_ => return Ok(None),
		}?;
		Ok(Some(vec![Some(value)]))
	}

	/// A scale or zero point of the whole tensor.
	fn scalar_input(&mut self, i: usize) -> Result<Option<Value>, Reason> {
		let Some(v) = self.optional(i)? else { return Ok(None) };
		Ok(Some(self.reshape_to(&v, [])?))
	}

	/// Operand `i`, less its zero point, times its scale, which follow it.
	fn dequantized_input(&mut self, i: usize) -> Result<Value, Reason> {
		let x = self.input(i)?;
		let mut y = self.cast_to(&x, DType::I32)?;
		if let Some(zero) = self.scalar_input(i + 2)? {
			let zero = self.cast_to(&zero, DType::I32)?;
			y = self.sub(&y, &zero)?;
		}
		let y = self.cast_to(&y, DType::F32)?;
		let scale = self.scalar_input(i + 1)?.ok_or("a scale is missing")?;
		self.mul(&y, &scale)
	}

	/// A value quantised by the scale and the zero point that are operands `i` and `i + 1`; without the latter as operand 0 is.
	fn quantized_output(&mut self, y: &Value, i: usize) -> Result<Value, Reason> {
		let scale = self.scalar_input(i)?.ok_or("a scale is missing")?;
		let zero = match self.scalar_input(i + 1)? {
			Some(zero) => zero,
			None => {
				let x = self.input(0)?;
				self.number_like(&x, 0.0)?
			}
		};
		self.quantized(y, &scale, &zero, false)
	}

	fn qlinear_binary(&mut self, op: Binary) -> Result<Value, Reason> {
		let (a, b) = (self.dequantized_input(0)?, self.dequantized_input(3)?);
		let y = self.context.builder.binary(op, &a, &b)?;
		self.quantized_output(&y, 6)
	}

	fn qlinear_global_average_pool(&mut self) -> Result<Value, Reason> {
		let mut x = self.dequantized_input(0)?;
		let rank = x.perm.len();
		if rank < 3 {
			return Err("the operand needs at least three dimensions".into());
		}
		let last = self.attributes().flag("channels_last")?;
		if !last {
			let perm = channels_last(rank);
			x = Value { id: self.context.builder.fetch(&x, &perm)?, perm };
		}
		let axes: Vec<usize> = if last { (1..rank - 1).collect() } else { (2..rank).collect() };
		let y = self.reduced(ReduceKind::Mean, &x, &axes)?;
		self.quantized_output(&y, 3)
	}

	/// Tensors, each with its scale and zero point, which follow it, quantised as the first two operands say and joined.
	fn qlinear_concat(&mut self) -> Result<Value, Reason> {
		let mut parts = Vec::new();
		for i in (2..self.node.input.len()).step_by(3) {
			let y = self.dequantized_input(i)?;
			parts.push(self.quantized_output(&y, 0)?);
		}
		let rank = parts.first().ok_or("there is nothing to join")?.perm.len();
		let at = axis(self.attributes().int("axis", 0)?, rank)?;
		self.joined(&parts, at)
	}

	/// `alpha * A * B + C` of integers; quantised, or f32 where no scale is given for the result.
	fn qgemm(&mut self) -> Result<Value, Reason> {
		let (a, b) = (self.input(0)?, self.input(3)?);
		if a.perm.len() != 2 || b.perm.len() != 2 {
			return Err("both operands need two dimensions".into());
		}
		let attributes = self.attributes();
		let (trans_a, trans_b) = (attributes.flag("transA")?, attributes.flag("transB")?);
		let alpha = attributes.float("alpha")?.unwrap_or(1.0);
		let a = if trans_a { self.flipped(&a)? } else { a };
		let b = if trans_b { self.flipped(&b)? } else { b };
		let zeros = [self.zero_point(2)?, self.zero_point(5)?];
		let mut y = self.integer_product(&a, &b, zeros)?;
		if let Some(c) = self.optional(6)? {
			let dims = self.dims(&y);
			y = self.add(&y, &c)?;
			if self.dims(&y) != dims {
				return Err("C does not broadcast to the product".into());
			}
		}
		let mut factor = None;
		for i in [1, 4] {
			let (scale, _) = self.widened(i)?;
			let scale = self.along(&scale, false)?;
			factor = Some(match factor {
				None => scale,
				Some(factor) => self.mul(&factor, &scale)?,
			});
		}
		let mut factor = factor.ok_or("a scale is missing")?;
		if alpha != 1.0 {
			let alpha = self.number(alpha)?;
			factor = self.mul(&factor, &alpha)?;
		}
		let Some(scale) = self.scalar_input(7)? else {
			let y = self.cast_to(&y, DType::F32)?;
			return self.mul(&y, &factor);
		};
		let factor = self.div(&factor, &scale)?;
		let zero = match self.scalar_input(8)? {
			Some(zero) => zero,
			None => self.number_like(&a, 0.0)?,
		};
		self.quantized(&y, &factor, &zero, true)
	}
}
