//! Quantisation.

use super::{
	from_i64,
	index::{broadcast, broadcast_dims},
	to_i64, Bits, Operator, Read, Site, State, TypeError,
};
use crate::{float, DType, TensorType};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// `clamp(rne(x / scale) + zero)` as an integer, with numpy broadcasting of three operands.
///
/// Operands: `x` (f32, or i32, which becomes f32, rounded to nearest even), `scale` (f32), `zero` (i8, u8, i16 or u16,
/// the value's type). The quotient or product is one f32 operation; it is rounded half to even; the zero point is added in f32; the sum
/// is clamped to the type's range before it is converted. NaN gives the type's minimum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Quantize {
	/// Whether to multiply by the scale, as requantisation does, and not to divide.
	pub multiply: bool,
}

/// The smallest and the largest number of a type that is quantised to.
fn range(dtype: DType) -> Option<(f32, f32)> {
	match dtype {
		DType::I8 => Some((-128.0, 127.0)),
		DType::U8 => Some((0.0, 255.0)),
		DType::I16 => Some((-32_768.0, 32_767.0)),
		DType::U16 => Some((0.0, 65_535.0)),
		_ => None,
	}
}

impl Operator for Quantize {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let [x, scale, zero] = ins else { return Err(TypeError("Quantize: the operator takes three operands")) };
		let known = matches!(x.dtype, DType::F32 | DType::I32) && scale.dtype == DType::F32;
		if !known || range(zero.dtype).is_none() {
			return Err(TypeError("Quantize: not defined for these element types"));
		}
		let dims = broadcast_dims(&x.dims, &scale.dims).and_then(|d| broadcast_dims(&d, &zero.dims));
		Ok(TensorType::new(zero.dtype, dims.ok_or(TypeError("Quantize: the shapes do not broadcast"))?))
	}

	#[inline]
	fn finish<R: Read + ?Sized>(&self, site: &Site, index: u64, _state: State, read: &R) -> Bits {
		let at = |operand: usize| read.read(operand, broadcast(index, &site.out.dims, site.dims(operand)));
		let x = match site.dtype(0) {
			DType::F32 => f32::from_bits(at(0) as u32),
			dtype => to_i64(dtype, at(0)) as f32,
		};
		let scale = f32::from_bits(at(1) as u32);
		let zero = to_i64(site.out.dtype, at(2)) as f32;
		let (low, high) = range(site.out.dtype).unwrap_or_default();
		let sum = float::round_half_even(if self.multiply { x * scale } else { x / scale }) + zero;
		let clamped = if sum > low { sum.min(high) } else { low };
		from_i64(site.out.dtype, clamped as i64)
	}
}
