//! Operators on single elements.

use super::Lowering;
use crate::{builder::Value, error::Reason, weights};
use assay_semantics::{
	ops::{Binary, Cast, Unary},
	DType, Op,
};

impl Lowering<'_> {
	pub(super) fn unary(&mut self, op: Unary) -> Result<Value, Reason> {
		let x = self.input(0)?;
		Ok(Value { id: self.context.builder.push(Op::Unary(op), &[x.id])?, perm: x.perm })
	}

	pub(super) fn binary(&mut self, op: Binary) -> Result<Value, Reason> {
		let (a, b) = (self.input(0)?, self.input(1)?);
		self.context.builder.binary(op, &a, &b)
	}

	/// Bounds are inputs since operator set 11, attributes before.
	pub(super) fn clip(&mut self) -> Result<Value, Reason> {
		let mut x = self.input(0)?;
		for (i, name, op) in [(1, "min", Binary::Max), (2, "max", Binary::Min)] {
			let mut bound = self.optional(i)?;
			if let (true, Some(f)) = (self.context.opset < 11, self.attributes().float(name)?) {
				let id = self.context.builder.scalar(f)?;
				bound = Some(self.context.builder.value(id));
			}
			if let Some(bound) = bound {
				x = self.context.builder.binary(op, &x, &bound)?;
			}
		}
		Ok(x)
	}

	pub(super) fn cast(&mut self) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let to: DType = weights::dtype(i32::try_from(self.attributes().int("to", 0)?)?)?;
		if self.context.builder.ty(x.id).dtype == to {
			return Ok(x);
		}
		Ok(Value { id: self.context.builder.push(Op::Cast(Cast { to }), &[x.id])?, perm: x.perm })
	}
}
