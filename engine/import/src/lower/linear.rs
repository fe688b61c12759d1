//! Matrix products.

use super::Lowering;
use crate::{builder::Value, error::Reason, layout::identity};
use assay_semantics::{
	ops::{Binary, MatMul},
	Op, ValueId,
};

impl Lowering<'_> {
	/// `[.., K, N]` as `[.., N, K]`.
	fn swapped(&mut self, value: &Value) -> Result<ValueId, Reason> {
		let mut perm = identity(value.perm.len());
		let rank = perm.len();
		if rank < 2 {
			return Err("a matrix needs two dimensions".into());
		}
		perm.swap(rank - 2, rank - 1);
		self.context.builder.fetch(value, &perm)
	}

	/// numpy's `matmul`: a vector counts as a row on the left, as a column on the right.
	pub(super) fn mat_mul(&mut self) -> Result<Value, Reason> {
		let (a, b) = (self.input(0)?, self.input(1)?);
		let builder = &mut self.context.builder;
		let (dims_a, dims_b) = (builder.dims(&a), builder.dims(&b));
		if dims_a.is_empty() || dims_b.is_empty() {
			return Err("a scalar has no matrix product".into());
		}
		let a = if let [k] = *dims_a { builder.reshape(&a, vec![1, k])? } else { a };
		let b = if let [k] = *dims_b { builder.reshape(&b, vec![k, 1])? } else { b };
		let (a, b) = (builder.plain(&a)?, self.swapped(&b)?);
		let builder = &mut self.context.builder;
		let id = builder.push(Op::MatMul(MatMul), &[a, b])?;
		let product = builder.value(id);
		let mut dims = builder.dims(&product);
		if dims_b.len() == 1 {
			dims.pop();
		}
		if dims_a.len() == 1 {
			// The row's dimension stands before the columns', if there are columns.
			dims.remove(dims.len() - if dims_b.len() == 1 { 1 } else { 2 });
		}
		builder.reshape(&product, dims)
	}

	/// `alpha * A * B + beta * C`
	pub(super) fn gemm(&mut self) -> Result<Value, Reason> {
		let attributes = self.attributes();
		let (trans_a, trans_b) = (attributes.flag("transA")?, attributes.flag("transB")?);
		let (a, b) = (self.input(0)?, self.input(1)?);
		if a.perm.len() != 2 || b.perm.len() != 2 {
			return Err("both operands need two dimensions".into());
		}
		let a = if trans_a { self.swapped(&a)? } else { self.context.builder.plain(&a)? };
		let b = if trans_b { self.context.builder.plain(&b)? } else { self.swapped(&b)? };
		let id = self.context.builder.push(Op::MatMul(MatMul), &[a, b])?;
		let product = self.context.builder.value(id);
		let product = self.scaled(product, "alpha")?;
		match self.optional(2)? {
			None => Ok(product),
			Some(c) => {
				let dims = self.context.builder.dims(&product);
				let c = self.scaled(c, "beta")?;
				let sum = self.context.builder.binary(Binary::Add, &product, &c)?;
				if self.context.builder.dims(&sum) != dims {
					return Err("C does not broadcast to the product".into());
				}
				Ok(sum)
			}
		}
	}

	/// A value times an attribute; left alone when that is 1.
	fn scaled(&mut self, value: Value, attribute: &str) -> Result<Value, Reason> {
		match self.attributes().float(attribute)? {
			None | Some(1.0) => Ok(value),
			Some(factor) => {
				let id = self.context.builder.scalar(factor)?;
				let factor = self.context.builder.value(id);
				self.context.builder.binary(Binary::Mul, &value, &factor)
			}
		}
	}
}
