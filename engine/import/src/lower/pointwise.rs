//! Operators on single elements.

use super::Lowering;
use crate::{builder::Value, error::Reason, weights};
use assay_semantics::{
	ops::{Binary, BitCast, Select, Unary},
	DType, Op,
};

impl Lowering<'_> {
	pub(super) fn unary(&mut self, op: Unary) -> Result<Value, Reason> {
		let x = self.input(0)?;
		self.map(op, &x)
	}

	/// Operand 1 of a binary operator. Before operator set 7 it broadcast only when told, from an axis on.
	fn second(&mut self, a: &Value) -> Result<Value, Reason> {
		let b = self.input(1)?;
		if self.context.opset >= 7 {
			return Ok(b);
		}
		let (dims, rank) = (self.dims(&b), a.perm.len());
		let at = self.attributes().int("axis", rank.saturating_sub(dims.len()) as i64)?;
		let at = usize::try_from(if at < 0 { at + rank as i64 } else { at })?;
		let after = rank.checked_sub(at + dims.len()).ok_or("the operands do not broadcast")?;
		let mut full = dims;
		full.extend(std::iter::repeat_n(1, after));
		self.reshape_to(&b, full)
	}

	pub(super) fn binary(&mut self, op: Binary) -> Result<Value, Reason> {
		let a = self.input(0)?;
		let b = self.second(&a)?;
		self.context.builder.binary(op, &a, &b)
	}

	/// A binary operator with its operands exchanged.
	pub(super) fn flipped_binary(&mut self, op: Binary) -> Result<Value, Reason> {
		let a = self.input(0)?;
		let b = self.second(&a)?;
		self.context.builder.binary(op, &b, &a)
	}

	/// All operands, one after the other.
	pub(super) fn all(&mut self, op: Binary) -> Result<Value, Reason> {
		let mut value = self.input(0)?;
		for i in 1..self.node.input.len() {
			let next = self.input(i)?;
			value = self.context.builder.binary(op, &value, &next)?;
		}
		Ok(value)
	}

	/// The sum over the number of operands.
	pub(super) fn mean(&mut self) -> Result<Value, Reason> {
		let sum = self.all(Binary::Add)?;
		let count = self.number_of(self.dtype(&sum), self.node.input.len() as f32)?;
		self.div(&sum, &count)
	}

	pub(super) fn bit_shift(&mut self) -> Result<Value, Reason> {
		match self.attributes().string("direction", "")?.as_str() {
			"LEFT" => self.binary(Binary::ShiftLeft),
			"RIGHT" => self.binary(Binary::ShiftRight),
			other => Err(format!("direction `{other}` is not known").into()),
		}
	}

	pub(super) fn modulo(&mut self) -> Result<Value, Reason> {
		self.binary(if self.attributes().flag("fmod")? { Binary::Rem } else { Binary::Mod })
	}

	/// The exponent may have another type than the base, which is the value's. An integer to a float's power is computed in
	/// f64 and truncated.
	pub(super) fn pow(&mut self) -> Result<Value, Reason> {
		let a = self.input(0)?;
		let b = self.second(&a)?;
		let (from, to) = (self.dtype(&a), self.dtype(&b));
		if from.is_integer() && to.is_float() {
			let (a, b) = (self.cast_to(&a, DType::F64)?, self.cast_to(&b, DType::F64)?);
			let power = self.context.builder.binary(Binary::Pow, &a, &b)?;
			return self.cast_to(&power, from);
		}
		let b = self.cast_to(&b, from)?;
		// Squares and cubes are what models write; products are many times faster, and as near.
		if from == DType::F32 && self.dims(&b).iter().all(|d| *d == 1) && b.perm.len() <= a.perm.len() {
			match self.known(&b)?.and_then(|b| b.to_f32()).as_deref() {
				Some([2.0]) => return self.mul(&a, &a),
				Some([3.0]) => {
					let square = self.mul(&a, &a)?;
					return self.mul(&square, &a);
				}
				_ => {}
			}
		}
		self.context.builder.binary(Binary::Pow, &a, &b)
	}

	pub(super) fn is_inf(&mut self) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let attributes = self.attributes();
		let (negative, positive) =
			(attributes.int("detect_negative", 1)? != 0, attributes.int("detect_positive", 1)? != 0);
		let x = match (negative, positive) {
			(true, true) => self.map(Unary::Abs, &x)?,
			(true, false) => self.map(Unary::Neg, &x)?,
			(false, true) => x,
			// Nothing is asked for: no absolute value is below 0.
			(false, false) => {
				let (x, zero) = (self.map(Unary::Abs, &x)?, self.number_of(self.dtype(&x), 0.0)?);
				return self.context.builder.binary(Binary::Less, &x, &zero);
			}
		};
		self.map(Unary::IsInf, &x)
	}

	/// `condition ? a : b` in the order of dimensions that one of them has.
	pub(super) fn choose(&mut self) -> Result<Value, Reason> {
		let operands = [self.input(0)?, self.input(1)?, self.input(2)?];
		let rank = operands.iter().map(|v| v.perm.len()).max().unwrap_or(0);
		let same = operands.iter().all(|v| v.perm.is_empty() || v.perm == operands[0].perm);
		let builder = &mut self.context.builder;
		if same && operands[0].perm.len() == rank {
			let ids = operands.each_ref().map(|v| v.id);
			return Ok(Value { id: builder.push(Op::Select(Select), &ids)?, perm: operands[0].perm.clone() });
		}
		let ids = operands.iter().map(|v| builder.plain(v)).collect::<Result<Vec<_>, _>>()?;
		let id = builder.push(Op::Select(Select), &ids)?;
		Ok(builder.value(id))
	}

	/// Bounds are inputs since operator set 11, attributes before.
	pub(super) fn clip(&mut self) -> Result<Value, Reason> {
		let mut x = self.input(0)?;
		for (i, name, op) in [(1, "min", Binary::Max), (2, "max", Binary::Min)] {
			let mut bound = self.optional(i)?;
			if let (true, Some(f)) = (self.context.opset < 11, self.attributes().float(name)?) {
				bound = Some(self.number_of(self.dtype(&x), f)?);
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
		self.cast_to(&x, to)
	}

	pub(super) fn cast_like(&mut self) -> Result<Value, Reason> {
		let (x, like) = (self.input(0)?, self.input(1)?);
		self.cast_to(&x, self.dtype(&like))
	}

	pub(super) fn bit_cast(&mut self) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let to: DType = weights::dtype(i32::try_from(self.attributes().int("to", 0)?)?)?;
		Ok(Value { id: self.context.builder.push(Op::BitCast(BitCast { to }), &[x.id])?, perm: x.perm })
	}

	/// A number attribute as a scalar of an element type.
	fn parameter(&mut self, name: &str, default: f32, dtype: DType) -> Result<Value, Reason> {
		let x = self.attributes().float(name)?.unwrap_or(default);
		self.number_of(dtype, x)
	}

	/// `e^x - 1` for `x <= 0`, accurate near 0: `2 t / (1 - t)` with `t = tanh(x / 2)`.
	fn exp_minus_1(&mut self, x: &Value) -> Result<Value, Reason> {
		let dtype = self.dtype(x);
		let (half, one) = (self.number_of(dtype, 0.5)?, self.number_of(dtype, 1.0)?);
		let t = self.mul(x, &half)?;
		let t = self.map(Unary::Tanh, &t)?;
		let (twice, rest) = (self.add(&t, &t)?, self.sub(&one, &t)?);
		self.div(&twice, &rest)
	}

	/// `max(x, 0) + log(1 + e^-|x|)`
	fn softplus(&mut self, x: &Value) -> Result<Value, Reason> {
		let negative = self.map(Unary::Abs, x)?;
		let negative = self.map(Unary::Neg, &negative)?;
		let exp = self.map(Unary::Exp, &negative)?;
		let log = self.map(Unary::Log1p, &exp)?;
		let positive = self.map(Unary::Relu, x)?;
		self.add(&positive, &log)
	}

	/// `max(0, min(1, alpha x + beta))`
	fn hard_sigmoid(&mut self, x: &Value, alpha: &Value, beta: &Value) -> Result<Value, Reason> {
		let dtype = self.dtype(x);
		let (zero, one) = (self.number_of(dtype, 0.0)?, self.number_of(dtype, 1.0)?);
		let y = self.mul(x, alpha)?;
		let y = self.add(&y, beta)?;
		let y = self.context.builder.binary(Binary::Min, &y, &one)?;
		self.context.builder.binary(Binary::Max, &y, &zero)
	}

	pub(super) fn activation(&mut self, op: &str) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let dtype = self.dtype(&x);
		let zero = self.number_of(dtype, 0.0)?;
		let is_negative = |l: &mut Self, x: &Value| l.context.builder.binary(Binary::Less, x, &zero);
		match op {
			"Softplus" => self.softplus(&x),
			"Softsign" => {
				let (one, size) = (self.number_of(dtype, 1.0)?, self.map(Unary::Abs, &x)?);
				let size = self.add(&size, &one)?;
				self.div(&x, &size)
			}
			"Elu" | "Selu" => {
				let selu = op == "Selu";
				// Operator sets before 6 rounded Selu's constants.
				let (a, g) = match selu {
					true if self.context.opset < 6 => (1.6732, 1.0507),
					true => (1.673_263_2, 1.050_701),
					false => (1.0, 1.0),
				};
				let alpha = self.parameter("alpha", a, dtype)?;
				let low = self.context.builder.binary(Binary::Min, &x, &zero)?;
				let low = self.exp_minus_1(&low)?;
				let low = self.mul(&low, &alpha)?;
				let negative = is_negative(self, &x)?;
				let y = self.select(&negative, &low, &x)?;
				if !selu {
					return Ok(y);
				}
				let gamma = self.parameter("gamma", g, dtype)?;
				self.mul(&y, &gamma)
			}
			"Celu" => {
				let alpha = self.parameter("alpha", 1.0, dtype)?;
				let low = self.context.builder.binary(Binary::Min, &x, &zero)?;
				let low = self.div(&low, &alpha)?;
				let low = self.exp_minus_1(&low)?;
				let low = self.mul(&low, &alpha)?;
				let negative = is_negative(self, &x)?;
				self.select(&negative, &low, &x)
			}
			"LeakyRelu" | "PRelu" => {
				let mut slope = if op == "PRelu" { self.input(1)? } else { self.parameter("alpha", 0.01, dtype)? };
				if let (true, [channels]) = (op == "PRelu" && self.context.opset < 7, &self.dims(&slope)[..]) {
					// One for each channel; later operator sets broadcast.
					let mut line = vec![1; x.perm.len()];
					*line.get_mut(1).ok_or("the operand needs a channel dimension")? = *channels;
					slope = if *channels == 1 { slope } else { self.reshape_to(&slope, line)? };
				}
				let low = self.mul(&x, &slope)?;
				let negative = is_negative(self, &x)?;
				self.select(&negative, &low, &x)
			}
			"ThresholdedRelu" => {
				let alpha = self.parameter("alpha", 1.0, dtype)?;
				let above = self.context.builder.binary(Binary::Less, &alpha, &x)?;
				self.select(&above, &x, &zero)
			}
			"HardSigmoid" => {
				let (alpha, beta) = (self.parameter("alpha", 0.2, dtype)?, self.parameter("beta", 0.5, dtype)?);
				self.hard_sigmoid(&x, &alpha, &beta)
			}
			"HardSwish" => {
				let (alpha, beta) = (self.number_of(dtype, 1.0 / 6.0)?, self.number_of(dtype, 0.5)?);
				let y = self.hard_sigmoid(&x, &alpha, &beta)?;
				self.mul(&x, &y)
			}
			"Mish" => {
				let y = self.softplus(&x)?;
				let y = self.map(Unary::Tanh, &y)?;
				self.mul(&x, &y)
			}
			"Swish" => {
				let alpha = self.parameter("alpha", 1.0, dtype)?;
				let y = self.mul(&x, &alpha)?;
				let y = self.map(Unary::Sigmoid, &y)?;
				self.mul(&x, &y)
			}
			_ => {
				let (bound, bias) = (self.parameter("lambd", 0.5, dtype)?, self.parameter("bias", 0.0, dtype)?);
				let low = self.map(Unary::Neg, &bound)?;
				let (up, down) = (self.add(&x, &bias)?, self.sub(&x, &bias)?);
				let below = self.context.builder.binary(Binary::Less, &x, &low)?;
				let above = self.context.builder.binary(Binary::Less, &bound, &x)?;
				let y = self.select(&above, &down, &zero)?;
				self.select(&below, &up, &y)
			}
		}
	}

	/// Functions that are made of others, so that nothing cancels near 0.
	pub(super) fn inverse_or_hyperbolic(&mut self, op: &str) -> Result<Value, Reason> {
		let x = self.input(0)?;
		let dtype = self.dtype(&x);
		let one = self.number_of(dtype, 1.0)?;
		let (half, two) = (self.number_of(dtype, 0.5)?, self.number_of(dtype, 2.0)?);
		let size = self.map(Unary::Abs, &x)?;
		let signed = |l: &mut Self, y: &Value| {
			let sign = l.map(Unary::Sign, &x)?;
			l.mul(y, &sign)
		};
		match op {
			// 2 atan(x / (1 + sqrt((1 - x)(1 + x))))
			"Asin" => {
				let (low, high) = (self.sub(&one, &x)?, self.add(&one, &x)?);
				let root = self.mul(&low, &high)?;
				let root = self.map(Unary::Sqrt, &root)?;
				let root = self.add(&one, &root)?;
				let y = self.div(&x, &root)?;
				let y = self.map(Unary::Atan, &y)?;
				self.mul(&y, &two)
			}
			// 2 atan(sqrt((1 - x) / (1 + x)))
			"Acos" => {
				let (low, high) = (self.sub(&one, &x)?, self.add(&one, &x)?);
				let y = self.div(&low, &high)?;
				let y = self.map(Unary::Sqrt, &y)?;
				let y = self.map(Unary::Atan, &y)?;
				self.mul(&y, &two)
			}
			// (e^|x| + e^-|x|) / 2; sinh = tanh cosh
			"Cosh" | "Sinh" => {
				let high = self.map(Unary::Exp, &size)?;
				let low = self.map(Unary::Reciprocal, &high)?;
				let (high, low) = (self.mul(&high, &half)?, self.mul(&low, &half)?);
				let cosh = self.add(&high, &low)?;
				if op == "Cosh" {
					return Ok(cosh);
				}
				let tanh = self.map(Unary::Tanh, &x)?;
				self.mul(&tanh, &cosh)
			}
			// log1p(a + a / (1 / a + sqrt(1 + 1 / a^2)))
			"Asinh" => {
				let inverse = self.map(Unary::Reciprocal, &size)?;
				let square = self.mul(&inverse, &inverse)?;
				let root = self.add(&one, &square)?;
				let root = self.map(Unary::Sqrt, &root)?;
				let below = self.add(&inverse, &root)?;
				let y = self.div(&size, &below)?;
				let y = self.add(&size, &y)?;
				let y = self.map(Unary::Log1p, &y)?;
				signed(self, &y)
			}
			// log1p(t + sqrt(t) sqrt(t + 2)), t = x - 1
			"Acosh" => {
				let t = self.sub(&x, &one)?;
				let more = self.add(&t, &two)?;
				let (a, b) = (self.map(Unary::Sqrt, &t)?, self.map(Unary::Sqrt, &more)?);
				let y = self.mul(&a, &b)?;
				let y = self.add(&t, &y)?;
				self.map(Unary::Log1p, &y)
			}
			// log1p(2 a / (1 - a)) / 2
			_ => {
				let (twice, rest) = (self.add(&size, &size)?, self.sub(&one, &size)?);
				let y = self.div(&twice, &rest)?;
				let y = self.map(Unary::Log1p, &y)?;
				let y = self.mul(&y, &half)?;
				signed(self, &y)
			}
		}
	}
}
