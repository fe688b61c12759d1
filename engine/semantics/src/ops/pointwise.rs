//! Operators on single elements.

use super::{
	canonical, from_f32,
	index::{broadcast, broadcast_dims},
	one, two, Bits, Operator, Read, Site, State, TypeError,
};
use crate::{
	double, float,
	number::{compare, convert, from_f64, from_i64, from_single, to_f32, to_f64, to_i64},
	DType, TensorType,
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// A function of one element.
///
/// Floats: f32 as the functions of [`float`] and [`double`] are, the latter rounded to f32; f16 and bf16 widened to f32, and
/// the f32 result rounded to the type; f64 by the functions of [`double`].
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
	/// [`float::exp`]. Floats.
	#[codec(index = 3)]
	Exp,
	/// [`float::exp_softmax`]. Floats.
	#[codec(index = 4)]
	ExpSoftmax,
	/// [`float::sigmoid`]. Floats.
	#[codec(index = 5)]
	Sigmoid,
	/// [`float::tanh`]. Floats.
	#[codec(index = 6)]
	Tanh,
	/// `1 / x`. Floats.
	#[codec(index = 7)]
	Reciprocal,
	/// Square root. Floats.
	#[codec(index = 8)]
	Sqrt,
	/// [`double::log`]. Floats.
	#[codec(index = 9)]
	Log,
	/// [`double::log1p`]. Floats.
	#[codec(index = 10)]
	Log1p,
	/// [`float::erf`]. Floats but f64.
	#[codec(index = 11)]
	Erf,
	/// [`double::sin`]. Floats.
	#[codec(index = 12)]
	Sin,
	/// [`double::cos`]. Floats.
	#[codec(index = 13)]
	Cos,
	/// [`double::tan`]. Floats.
	#[codec(index = 14)]
	Tan,
	/// [`double::atan`]. Floats.
	#[codec(index = 15)]
	Atan,
	/// The largest integer that is not larger. Floats.
	#[codec(index = 16)]
	Floor,
	/// The smallest integer that is not smaller. Floats.
	#[codec(index = 17)]
	Ceil,
	/// The nearest integer, ties to even. Floats.
	#[codec(index = 18)]
	Round,
	/// -1, 0 or 1; NaN stays, -0 becomes +0. Any type but bool.
	#[codec(index = 19)]
	Sign,
	/// All bits inverted; of a bool, its opposite. Integers and bool.
	#[codec(index = 20)]
	Not,
	/// Whether it is NaN, as bool. Floats.
	#[codec(index = 21)]
	IsNan,
	/// Whether it is +infinity, as bool. Floats.
	#[codec(index = 22)]
	IsInf,
}

impl Unary {
	/// Whether the value is a bool.
	const fn is_question(self) -> bool {
		matches!(self, Unary::IsNan | Unary::IsInf)
	}

	#[inline]
	fn single(self, x: f32) -> f32 {
		match self {
			Unary::Relu => float::relu(x),
			Unary::Neg => -x,
			Unary::Abs => x.abs(),
			Unary::Exp => float::exp(x),
			Unary::ExpSoftmax => float::exp_softmax(x),
			Unary::Sigmoid => float::sigmoid(x),
			Unary::Tanh => float::tanh(x),
			Unary::Reciprocal => 1.0 / x,
			Unary::Sqrt => float::sqrt(x),
			Unary::Erf => float::erf(x),
			_ => self.double(f64::from(x)) as f32,
		}
	}

	fn double(self, x: f64) -> f64 {
		match self {
			Unary::Relu if x < 0.0 => 0.0,
			Unary::ExpSoftmax => double::exp_softmax(x),
			Unary::Relu | Unary::Erf | Unary::Not | Unary::IsNan | Unary::IsInf => x,
			Unary::Neg => -x,
			Unary::Abs => x.abs(),
			Unary::Exp => double::exp(x),
			Unary::Sigmoid => double::sigmoid(x),
			Unary::Tanh => double::tanh(x),
			Unary::Reciprocal => 1.0 / x,
			Unary::Sqrt => double::sqrt(x),
			Unary::Log => double::log(x),
			Unary::Log1p => double::log1p(x),
			Unary::Sin => double::sin(x),
			Unary::Cos => double::cos(x),
			Unary::Tan => double::tan(x),
			Unary::Atan => double::atan(x),
			Unary::Floor => libm::floor(x),
			Unary::Ceil => libm::ceil(x),
			Unary::Round => libm::rint(x),
			Unary::Sign if x > 0.0 => 1.0,
			Unary::Sign if x < 0.0 => -1.0,
			Unary::Sign if x == 0.0 => 0.0,
			Unary::Sign => x,
		}
	}

	fn integer(self, dtype: DType, bits: Bits) -> Bits {
		let x = to_i64(dtype, bits);
		// A u64 is never negative.
		let negative = dtype != DType::U64 && x < 0;
		match self {
			Unary::Relu if negative => 0,
			Unary::Relu => bits,
			Unary::Neg => from_i64(dtype, x.wrapping_neg()),
			Unary::Abs if negative => from_i64(dtype, x.wrapping_neg()),
			Unary::Abs => bits,
			Unary::Sign if negative => from_i64(dtype, -1),
			Unary::Sign => u64::from(x != 0),
			Unary::Not if dtype == DType::Bool => u64::from(x == 0),
			Unary::Not => from_i64(dtype, !x),
			_ => 0,
		}
	}
}

impl Operator for Unary {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let a = one(ins)?;
		let fits = match self {
			Unary::Relu | Unary::Neg | Unary::Abs | Unary::Sign => a.dtype != DType::Bool,
			Unary::Not => !a.dtype.is_float(),
			Unary::Erf => a.dtype.is_single(),
			_ => a.dtype.is_float(),
		};
		if !fits {
			return Err(TypeError("Unary: not defined for this element type"));
		}
		let dtype = if self.is_question() { DType::Bool } else { a.dtype };
		Ok(TensorType::new(dtype, a.dims.clone()))
	}

	#[inline]
	fn finish<R: Read + ?Sized>(&self, site: &Site, index: u64, _state: State, read: &R) -> Bits {
		let bits = read.read(0, index);
		let dtype = site.dtype(0);
		if self.is_question() {
			let x = to_f64(dtype, bits);
			return u64::from(if *self == Unary::IsNan { x.is_nan() } else { x == f64::INFINITY });
		}
		match dtype {
			DType::F32 => from_f32(self.single(f32::from_bits(bits as u32))),
			DType::F16 | DType::BF16 => from_single(dtype, self.single(to_f32(dtype, bits))),
			DType::F64 => from_f64(dtype, self.double(f64::from_bits(bits))),
			_ => self.integer(dtype, bits),
		}
	}
}

/// A function of two elements of one type, with numpy broadcasting. Integers wrap. f16 and bf16 are widened to f32, and the
/// result is rounded once.
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
	/// The larger; any NaN gives NaN; never -0. Bools too.
	#[codec(index = 4)]
	Max,
	/// The smaller; any NaN gives NaN; never -0. Bools too.
	#[codec(index = 5)]
	Min,
	/// [`double::pow`]; for integers the exact power modulo the size; of a negative exponent the power's whole part, and 0
	/// where the base is 0.
	#[codec(index = 6)]
	Pow,
	/// The remainder of a division toward minus infinity: of the sign of `b`, but a zero of a float has that of `a`. For
	/// integers 0 where `b` is 0.
	#[codec(index = 7)]
	Mod,
	/// The remainder of a division toward zero: of the sign of `a`. For integers 0 where `b` is 0.
	#[codec(index = 8)]
	Rem,
	/// Bitwise. Integers and bool.
	#[codec(index = 9)]
	And,
	/// Bitwise. Integers and bool.
	#[codec(index = 10)]
	Or,
	/// Bitwise. Integers and bool.
	#[codec(index = 11)]
	Xor,
	/// `a 2^b` modulo the size; 0 where `b` is the number of bits or more, or negative. Integers.
	#[codec(index = 12)]
	ShiftLeft,
	/// `a / 2^b` toward minus infinity; as by the largest shift where `b` is the number of bits or more, or negative.
	/// Integers.
	#[codec(index = 13)]
	ShiftRight,
	/// Whether `a = b`, as bool; NaN equals nothing. Any type.
	#[codec(index = 14)]
	Equal,
	/// Whether `a < b`, as bool; false with NaN. Any type.
	#[codec(index = 15)]
	Less,
	/// Whether `a <= b`, as bool; false with NaN. Any type.
	#[codec(index = 16)]
	LessOrEqual,
}

impl Binary {
	/// Whether the value is a bool.
	const fn is_question(self) -> bool {
		matches!(self, Binary::Equal | Binary::Less | Binary::LessOrEqual)
	}

	#[inline]
	fn single(self, a: f32, b: f32) -> f32 {
		match self {
			Binary::Add => a + b,
			Binary::Sub => a - b,
			Binary::Mul => a * b,
			Binary::Div => a / b,
			Binary::Max => float::max(a, b),
			Binary::Min => float::min(a, b),
			Binary::Rem => a % b,
			// The remainder is exact in f64 as in f32; its correction is rounded to f64, then to f32.
			_ => self.double(f64::from(a), f64::from(b)) as f32,
		}
	}

	fn double(self, a: f64, b: f64) -> f64 {
		match self {
			Binary::Add => a + b,
			Binary::Sub => a - b,
			Binary::Mul => a * b,
			Binary::Div => a / b,
			Binary::Max => (if a.is_nan() || a > b { a } else { b }) + 0.0,
			Binary::Min => (if a.is_nan() || a < b { a } else { b }) + 0.0,
			Binary::Pow => double::pow(a, b),
			Binary::Rem => a % b,
			Binary::Mod => {
				let r = a % b;
				if r != 0.0 && (r < 0.0) != (b < 0.0) {
					r + b
				} else {
					r
				}
			}
			_ => 0.0,
		}
	}

	fn integer(self, dtype: DType, a: Bits, b: Bits) -> Bits {
		let unsigned = dtype == DType::U64;
		let (x, y) = (to_i64(dtype, a), to_i64(dtype, b));
		let width = (dtype.size() as u64).saturating_mul(8);
		let larger = || compare(dtype, a, b).is_gt();
		let value = match self {
			Binary::Add => x.wrapping_add(y),
			Binary::Sub => x.wrapping_sub(y),
			Binary::Mul => x.wrapping_mul(y),
			Binary::Div | Binary::Mod | Binary::Rem if y == 0 => 0,
			Binary::Div if unsigned => a.wrapping_div(b) as i64,
			Binary::Div => x.wrapping_div(y),
			Binary::Mod | Binary::Rem if unsigned => a.wrapping_rem(b) as i64,
			Binary::Rem => x.wrapping_rem(y),
			Binary::Mod => {
				let r = x.wrapping_rem(y);
				if r != 0 && (r < 0) != (y < 0) {
					r.wrapping_add(y)
				} else {
					r
				}
			}
			Binary::Max => return if larger() { a } else { b },
			Binary::Min => return if larger() { b } else { a },
			Binary::And => x & y,
			Binary::Or => x | y,
			Binary::Xor => x ^ y,
			Binary::ShiftLeft if (y as u64) < width => x.wrapping_shl(y as u32),
			Binary::ShiftLeft => 0,
			Binary::ShiftRight if unsigned => a.checked_shr(u32::try_from(b).unwrap_or(64)).unwrap_or(0) as i64,
			Binary::ShiftRight => x >> (y as u64).min(63),
			Binary::Pow if !unsigned && y < 0 => match x {
				1 => 1,
				-1 => {
					if y & 1 == 0 {
						1
					} else {
						-1
					}
				}
				_ => 0,
			},
			Binary::Pow => power(x, b),
			_ => 0,
		};
		from_i64(dtype, value)
	}
}

/// `x^n` modulo 2^64, by squaring: at most 64 rounds.
fn power(x: i64, n: u64) -> i64 {
	let (mut result, mut square, mut n) = (1i64, x, n);
	while n > 0 {
		if n & 1 == 1 {
			result = result.wrapping_mul(square);
		}
		square = square.wrapping_mul(square);
		n >>= 1;
	}
	result
}

/// [`Binary`] on the canonical bits of two elements of one type.
#[inline]
pub(super) fn combine(op: Binary, dtype: DType, a: Bits, b: Bits) -> Bits {
	if op.is_question() {
		let (less, equal) = match dtype.is_float() {
			true => {
				let (a, b) = (to_f64(dtype, a), to_f64(dtype, b));
				(a < b, a == b)
			}
			false => (compare(dtype, a, b).is_lt(), a == b),
		};
		return u64::from(match op {
			Binary::Equal => equal,
			Binary::Less => less,
			_ => less || equal,
		});
	}
	match dtype {
		DType::F32 => from_f32(op.single(f32::from_bits(a as u32), f32::from_bits(b as u32))),
		DType::F16 | DType::BF16 => from_single(dtype, op.single(to_f32(dtype, a), to_f32(dtype, b))),
		DType::F64 => from_f64(dtype, op.double(f64::from_bits(a), f64::from_bits(b))),
		_ => op.integer(dtype, a, b),
	}
}

/// Whether `a` comes before `b` when elements ascend; NaN comes last, -0 and +0 are equal.
#[inline]
pub(super) fn is_before(dtype: DType, a: Bits, b: Bits) -> bool {
	if !dtype.is_float() {
		return compare(dtype, a, b).is_lt();
	}
	let (a, b) = (to_f64(dtype, a), to_f64(dtype, b));
	a < b || (b.is_nan() && !a.is_nan())
}

impl Operator for Binary {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let (a, b) = two(ins)?;
		let fits = match self {
			Binary::Equal | Binary::Less | Binary::LessOrEqual | Binary::Max | Binary::Min => true,
			Binary::And | Binary::Or | Binary::Xor => !a.dtype.is_float(),
			Binary::ShiftLeft | Binary::ShiftRight => a.dtype.is_integer(),
			_ => a.dtype != DType::Bool,
		};
		if a.dtype != b.dtype || !fits {
			return Err(TypeError("Binary: the operands need one element type, for which the operator is defined"));
		}
		let dims = broadcast_dims(&a.dims, &b.dims).ok_or(TypeError("Binary: the shapes do not broadcast"))?;
		Ok(TensorType::new(if self.is_question() { DType::Bool } else { a.dtype }, dims))
	}

	#[inline]
	fn finish<R: Read + ?Sized>(&self, site: &Site, index: u64, _state: State, read: &R) -> Bits {
		let a = read.read(0, broadcast(index, &site.out.dims, site.dims(0)));
		let b = read.read(1, broadcast(index, &site.out.dims, site.dims(1)));
		combine(*self, site.dtype(0), a, b)
	}
}

/// `condition ? a : b`, with numpy broadcasting of all three; the condition is bool, `a` and `b` of one type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Select;

impl Operator for Select {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let [c, a, b] = ins else { return Err(TypeError("Select: takes a condition and two operands")) };
		if c.dtype != DType::Bool || a.dtype != b.dtype {
			return Err(TypeError("Select: the condition must be bool, the operands of one type"));
		}
		let dims = broadcast_dims(&a.dims, &b.dims).and_then(|dims| broadcast_dims(&dims, &c.dims));
		Ok(TensorType::new(a.dtype, dims.ok_or(TypeError("Select: the shapes do not broadcast"))?))
	}

	#[inline]
	fn finish<R: Read + ?Sized>(&self, site: &Site, index: u64, _state: State, read: &R) -> Bits {
		let at = |operand: usize| read.read(operand, broadcast(index, &site.out.dims, site.dims(operand)));
		at(if at(0) != 0 { 1 } else { 2 })
	}
}

/// Conversion to another element type: floats to integers truncate, saturate and take NaN to 0; integers to integers wrap;
/// anything to floats rounds once, to nearest even; anything but zero (NaN too) is `true`.
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
		convert(site.dtype(0), self.to, read.read(0, index))
	}
}

/// The operand's canonical bits as an element of another type of the same size, made canonical again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct BitCast {
	/// The element type of the value.
	pub to: DType,
}

impl Operator for BitCast {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let a = one(ins)?;
		if a.dtype.size() != self.to.size() {
			return Err(TypeError("BitCast: the element types differ in size"));
		}
		Ok(TensorType::new(self.to, a.dims.clone()))
	}

	fn finish<R: Read + ?Sized>(&self, _site: &Site, index: u64, _state: State, read: &R) -> Bits {
		canonical(self.to, read.read(0, index))
	}
}
