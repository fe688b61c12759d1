//! Operators on single elements.

use super::{
	from_f32, from_i64,
	index::{broadcast, broadcast_dims},
	one, to_i64, two, Bits, Operator, Read, Site, State, TypeError,
};
use crate::{float, DType, TensorType};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// A function of one element.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Unary {
	/// `x < 0 ? 0 : x`; keeps NaN and -0. Any type.
	#[codec(index = 0)]
	Relu,
	/// `-x`, modulo the size for integers. Any type but bool.
	#[codec(index = 1)]
	Neg,
	/// `|x|`, modulo the size for integers. Any type but bool.
	#[codec(index = 2)]
	Abs,
	/// [`float::exp`]. f32.
	#[codec(index = 3)]
	Exp,
	/// [`float::exp_softmax`]. f32.
	#[codec(index = 4)]
	ExpSoftmax,
	/// [`float::sigmoid`]. f32.
	#[codec(index = 5)]
	Sigmoid,
	/// [`float::tanh`]. f32.
	#[codec(index = 6)]
	Tanh,
	/// `1 / x`. f32.
	#[codec(index = 7)]
	Reciprocal,
	/// Square root. f32.
	#[codec(index = 8)]
	Sqrt,
}

impl Operator for Unary {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let a = one(ins)?;
		let integers = matches!(self, Unary::Relu | Unary::Neg | Unary::Abs);
		match a.dtype {
			DType::F32 => Ok(a.clone()),
			DType::I8 | DType::U8 | DType::I32 | DType::I64 if integers => Ok(a.clone()),
			_ => Err(TypeError("Unary: not defined for this element type")),
		}
	}

	#[inline]
	fn finish<R: Read + ?Sized>(&self, site: &Site, index: u64, _state: State, read: &R) -> Bits {
		let bits = read.read(0, index);
		let dtype = site.dtype(0);
		if dtype != DType::F32 {
			let x = to_i64(dtype, bits);
			return from_i64(
				dtype,
				match self {
					Unary::Relu => x.max(0),
					Unary::Neg => x.wrapping_neg(),
					Unary::Abs => x.wrapping_abs(),
					_ => 0,
				},
			);
		}
		let x = f32::from_bits(bits as u32);
		from_f32(match self {
			Unary::Relu => float::relu(x),
			Unary::Neg => -x,
			Unary::Abs => x.abs(),
			Unary::Exp => float::exp(x),
			Unary::ExpSoftmax => float::exp_softmax(x),
			Unary::Sigmoid => float::sigmoid(x),
			Unary::Tanh => float::tanh(x),
			Unary::Reciprocal => 1.0 / x,
			Unary::Sqrt => float::sqrt(x),
		})
	}
}

/// A function of two elements of one type, with numpy broadcasting. Integers wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Binary {
	/// `a + b`
	#[codec(index = 0)]
	Add,
	/// `a - b`
	#[codec(index = 1)]
	Sub,
	/// `a * b`
	#[codec(index = 2)]
	Mul,
	/// `a / b`; for integers toward zero, and 0 where `b` is 0.
	#[codec(index = 3)]
	Div,
	/// The larger; any NaN gives NaN; never -0.
	#[codec(index = 4)]
	Max,
	/// The smaller; any NaN gives NaN; never -0.
	#[codec(index = 5)]
	Min,
}

impl Operator for Binary {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let (a, b) = two(ins)?;
		if a.dtype != b.dtype || a.dtype == DType::Bool {
			return Err(TypeError("Binary: the operands need one element type, not bool"));
		}
		let dims = broadcast_dims(&a.dims, &b.dims).ok_or(TypeError("Binary: the shapes do not broadcast"))?;
		Ok(TensorType::new(a.dtype, dims))
	}

	#[inline]
	fn finish<R: Read + ?Sized>(&self, site: &Site, index: u64, _state: State, read: &R) -> Bits {
		let a = read.read(0, broadcast(index, &site.out.dims, site.dims(0)));
		let b = read.read(1, broadcast(index, &site.out.dims, site.dims(1)));
		let dtype = site.out.dtype;
		if dtype != DType::F32 {
			let (a, b) = (to_i64(dtype, a), to_i64(dtype, b));
			return from_i64(
				dtype,
				match self {
					Binary::Add => a.wrapping_add(b),
					Binary::Sub => a.wrapping_sub(b),
					Binary::Mul => a.wrapping_mul(b),
					Binary::Div if b == 0 => 0,
					Binary::Div => a.wrapping_div(b),
					Binary::Max => a.max(b),
					Binary::Min => a.min(b),
				},
			);
		}
		let (a, b) = (f32::from_bits(a as u32), f32::from_bits(b as u32));
		from_f32(match self {
			Binary::Add => a + b,
			Binary::Sub => a - b,
			Binary::Mul => a * b,
			Binary::Div => a / b,
			Binary::Max => float::max(a, b),
			Binary::Min => float::min(a, b),
		})
	}
}

/// Conversion to another element type: f32 to integers truncates, saturates and takes NaN to 0; integers to integers
/// wrap; integers to f32 round to nearest even; anything but zero (NaN too) is `true`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Cast {
	/// The element type of the value.
	pub to: DType,
}

impl Operator for Cast {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		Ok(TensorType::new(self.to, one(ins)?.dims.clone()))
	}

	fn finish<R: Read + ?Sized>(&self, site: &Site, index: u64, _state: State, read: &R) -> Bits {
		let bits = read.read(0, index);
		let from = site.dtype(0);
		if from != DType::F32 {
			let x = to_i64(from, bits);
			return if self.to == DType::F32 { from_f32(x as f32) } else { from_i64(self.to, x) };
		}
		let x = f32::from_bits(bits as u32);
		// Rust's float-to-integer casts are exactly the pinned conversion, on every target.
		match self.to {
			DType::F32 => from_f32(x),
			DType::I8 => from_i64(self.to, i64::from(x as i8)),
			DType::U8 => from_i64(self.to, i64::from(x as u8)),
			DType::I32 => from_i64(self.to, i64::from(x as i32)),
			DType::I64 => from_i64(self.to, x as i64),
			DType::Bool => u64::from(x != 0.0),
		}
	}
}
