//! Elements as numbers: one path for every element type.
//!
//! f16 and bf16 are storage: they are widened to f32, computed with, and rounded once. bf16's subnormals are f32's and become
//! +0; those of f16 are ordinary f32 numbers and stay. Integers are computed modulo their size.

use crate::{
	double, float,
	ops::Bits,
	DType::{self, *},
};

/// Widens a float of `exponent` and `mantissa` bits, given without its sign, exactly.
#[inline]
fn widen(magnitude: u64, exponent: u32, mantissa: u32) -> f64 {
	let field = magnitude >> mantissa;
	let fraction = magnitude & ((1 << mantissa) - 1);
	let bias = (1i64 << (exponent - 1)) - 1;
	let power = |n: i64| f64::from_bits((n.clamp(-1022, 1023).saturating_add(1023) as u64) << 52);
	if field == (1 << exponent) - 1 {
		return if fraction == 0 { f64::INFINITY } else { f64::NAN };
	}
	if field == 0 {
		return fraction as f64 * power(1 - bias - i64::from(mantissa));
	}
	((1 << mantissa) | fraction) as f64 * power((field as i64).saturating_sub(bias).saturating_sub(i64::from(mantissa)))
}

/// Rounds to a float of `exponent` and `mantissa` bits, ties to even, subnormals kept. NaN is canonical.
#[inline]
fn narrow(x: f64, exponent: u32, mantissa: u32) -> u64 {
	let infinity = ((1u64 << exponent) - 1) << mantissa;
	if x.is_nan() {
		return infinity | (1 << (mantissa - 1));
	}
	let bits = x.to_bits();
	let sign = (bits >> 63) << (exponent + mantissa);
	let bias = (1i64 << (exponent - 1)) - 1;
	let e = (((bits >> 52) & 0x7ff) as i64).saturating_sub(1023);
	if e > bias {
		return sign | infinity;
	}
	let full = (bits & 0x000f_ffff_ffff_ffff) | 0x0010_0000_0000_0000;
	// How far below the smallest normal number.
	let below = (1 - bias).saturating_sub(e).max(0);
	let shift = i64::from(52 - mantissa).saturating_add(below);
	if shift > 54 {
		return sign;
	}
	let kept = full >> shift;
	let rest = full & ((1 << shift) - 1);
	let half = 1u64 << (shift - 1);
	let up = rest > half || (rest == half && kept & 1 == 1);
	// A carry out of the mantissa steps into the exponent, up to infinity.
	let field = if below > 0 { 0 } else { (e.saturating_add(bias) as u64).saturating_sub(1) << mantissa };
	sign | field.wrapping_add(kept).wrapping_add(u64::from(up))
}

impl DType {
	/// f32, f16, bf16: computed with as f32.
	pub const fn is_single(self) -> bool {
		matches!(self, F32 | F16 | BF16)
	}

	/// Any float.
	pub const fn is_float(self) -> bool {
		matches!(self, F32 | F16 | BF16 | F64)
	}

	/// Any integer; not bool.
	pub const fn is_integer(self) -> bool {
		matches!(self, I8 | U8 | I16 | U16 | I32 | U32 | I64 | U64)
	}
}

/// Canonical bits from the raw bits of an element, as they are in a tensor: one NaN, no subnormals but f16's, bools 0 or 1.
#[inline]
pub fn canonical(dtype: DType, raw: u64) -> Bits {
	match dtype {
		F32 => u64::from(float::store(f32::from_bits(raw as u32))),
		I8 | U8 => raw & 0xff,
		I16 | U16 => raw & 0xffff,
		I32 | U32 => raw & 0xffff_ffff,
		I64 | U64 => raw,
		Bool => u64::from(raw & 0xff != 0),
		F64 => double::store(f64::from_bits(raw)),
		F16 if raw & 0x7fff > 0x7c00 => 0x7e00,
		F16 => raw & 0xffff,
		BF16 => u64::from(float::store(f32::from_bits((raw as u32) << 16)) >> 16),
	}
}

/// The number that the bits of an f32, f16 or bf16 stand for.
#[inline]
pub(crate) fn to_f32(dtype: DType, bits: Bits) -> f32 {
	match dtype {
		F16 => {
			let x = widen(bits & 0x7fff, 5, 10) as f32;
			if bits & 0x8000 == 0 {
				x
			} else {
				-x
			}
		}
		BF16 => f32::from_bits((bits as u32) << 16),
		_ => f32::from_bits(bits as u32),
	}
}

/// The bits of an f32, f16 or bf16, rounded once, as stored.
#[inline]
pub(crate) fn from_single(dtype: DType, x: f32) -> Bits {
	match dtype {
		F32 => u64::from(float::store(x)),
		_ => from_f64(dtype, f64::from(x)),
	}
}

/// The number that a float's bits stand for.
#[inline]
pub(crate) fn to_f64(dtype: DType, bits: Bits) -> f64 {
	match dtype {
		F64 => f64::from_bits(bits),
		_ => f64::from(to_f32(dtype, bits)),
	}
}

/// The bits of a float, rounded once, as stored.
#[inline]
pub(crate) fn from_f64(dtype: DType, x: f64) -> Bits {
	match dtype {
		F64 => double::store(x),
		F16 => narrow(x, 5, 10),
		BF16 => canonical(BF16, narrow(x, 8, 7)),
		_ => u64::from(float::store(x as f32)),
	}
}

/// The number that integer (or bool) bits stand for; that of a u64 modulo 2^64.
#[inline]
pub(crate) fn to_i64(dtype: DType, bits: Bits) -> i64 {
	match dtype {
		I8 => i64::from(bits as u8 as i8),
		I16 => i64::from(bits as u16 as i16),
		I32 | F32 => i64::from(bits as u32 as i32),
		U8 | Bool => i64::from(bits as u8),
		U16 | F16 | BF16 => i64::from(bits as u16),
		U32 => i64::from(bits as u32),
		I64 | U64 | F64 => bits as i64,
	}
}

/// The bits of an integer, modulo the size of its type; of a bool, whether it is not 0.
#[inline]
pub(crate) fn from_i64(dtype: DType, value: i64) -> Bits {
	match dtype {
		Bool => u64::from(value != 0),
		// Two's complement: the low bytes of the i64 are the wrapped number.
		_ => canonical(dtype, value as u64),
	}
}

/// The order of two integers (or bools).
#[inline]
pub(crate) fn compare(dtype: DType, a: Bits, b: Bits) -> core::cmp::Ordering {
	match dtype {
		U64 => a.cmp(&b),
		_ => to_i64(dtype, a).cmp(&to_i64(dtype, b)),
	}
}

/// The order of two elements, of canonical bits: NaN comes last, -0 and +0 are equal.
pub fn total_order(dtype: DType, a: Bits, b: Bits) -> core::cmp::Ordering {
	if !dtype.is_float() {
		return compare(dtype, a, b);
	}
	let (a, b) = (to_f64(dtype, a), to_f64(dtype, b));
	a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Conversion between element types: floats to integers truncate, saturate and take NaN to 0; integers to integers wrap;
/// anything to floats rounds once, to nearest even; anything but zero (NaN too) is `true`.
pub fn convert(from: DType, to: DType, bits: Bits) -> Bits {
	if from.is_float() {
		let x = to_f64(from, bits);
		// Rust's float-to-integer casts are exactly the pinned conversion, on every target.
		return match to {
			I8 => from_i64(to, i64::from(x as i8)),
			U8 => u64::from(x as u8),
			I16 => from_i64(to, i64::from(x as i16)),
			U16 => u64::from(x as u16),
			I32 => from_i64(to, i64::from(x as i32)),
			U32 => u64::from(x as u32),
			I64 => from_i64(to, x as i64),
			U64 => x as u64,
			Bool => u64::from(x != 0.0),
			F32 | F16 | BF16 | F64 => from_f64(to, x),
		};
	}
	let (negative, size) = match (from, to_i64(from, bits)) {
		(U64, _) => (false, bits),
		(_, x) => (x < 0, x.unsigned_abs()),
	};
	match to {
		F64 | F32 => {
			// From the integer, not through f64: rounded once.
			let sign = u64::from(negative);
			match to {
				F64 => (size as f64).to_bits() | (sign << 63),
				_ => u64::from((size as f32).to_bits()) | (sign << 31),
			}
		}
		F16 | BF16 => {
			// What does not fit f64's 53 bits leaves a sticky bit: halfway cases stay what they are.
			let sticky = u64::from(size & 0xfff != 0) << 12;
			let size = if size >> 53 == 0 { size } else { (size & !0xfff) | sticky };
			let x = size as f64;
			from_f64(to, if negative { -x } else { x })
		}
		_ => from_i64(to, to_i64(from, bits)),
	}
}

/// The precision in which a float type is summed: f32 for f32, f16 and bf16; f64 for f64.
pub(crate) trait Real: Copy + Default + core::ops::Add<Output = Self> + core::ops::Mul<Output = Self> {
	/// An element's number.
	fn element(dtype: DType, bits: Bits) -> Self;
	/// The number in a word of a state.
	fn from_state(word: u64) -> Self;
	/// As a word of a state: one NaN, nothing flushed.
	fn to_state(self) -> u64;
	/// `a b + self`: for f32 rounded once, for f64 after each.
	fn plus_product(self, a: Self, b: Self) -> Self;
	/// Divided by a count, which is rounded first.
	fn over(self, count: u64) -> Self;
	/// The element's bits, rounded once, as stored.
	fn stored(self, dtype: DType) -> Bits;
}

impl Real for f32 {
	#[inline]
	fn element(dtype: DType, bits: Bits) -> Self {
		to_f32(dtype, bits)
	}
	#[inline]
	fn from_state(word: u64) -> Self {
		f32::from_bits(word as u32)
	}
	#[inline]
	fn to_state(self) -> u64 {
		u64::from(float::state_bits(self))
	}
	#[inline]
	fn plus_product(self, a: Self, b: Self) -> Self {
		float::fma(a, b, self)
	}
	fn over(self, count: u64) -> Self {
		self / count as f32
	}
	fn stored(self, dtype: DType) -> Bits {
		from_single(dtype, self)
	}
}

impl Real for f64 {
	#[inline]
	fn element(_dtype: DType, bits: Bits) -> Self {
		f64::from_bits(bits)
	}
	#[inline]
	fn from_state(word: u64) -> Self {
		f64::from_bits(word)
	}
	#[inline]
	fn to_state(self) -> u64 {
		if self.is_nan() {
			double::NAN_BITS
		} else {
			self.to_bits()
		}
	}
	#[inline]
	fn plus_product(self, a: Self, b: Self) -> Self {
		self + a * b
	}
	fn over(self, count: u64) -> Self {
		self / count as f64
	}
	fn stored(self, dtype: DType) -> Bits {
		from_f64(dtype, self)
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn f16_should_survive_widening() {
		for bits in 0..=0xffffu64 {
			let stored = canonical(F16, bits);
			assert_eq!(from_single(F16, to_f32(F16, stored)), stored, "{bits:04x}");
			let stored = canonical(BF16, bits);
			assert_eq!(from_single(BF16, to_f32(BF16, stored)), stored, "{bits:04x}");
		}
	}

	#[test]
	fn narrowing_should_round_to_nearest_even() {
		for (x, bits) in [
			(1.0, 0x3c00),
			(65504.0, 0x7bff),
			(65519.9, 0x7bff),
			(65520.0, 0x7c00),
			(-65520.0, 0xfc00),
			(1.0 + 1.0 / 2048.0, 0x3c00),
			(1.0 + 3.0 / 2048.0, 0x3c02),
			(2f64.powi(-24), 0x0001),
			(2f64.powi(-25), 0x0000),
			(1.5 * 2f64.powi(-25), 0x0001),
			(2f64.powi(-14) * (1.0 - 2f64.powi(-12)), 0x0400),
			(-0.0, 0x8000),
			(1e-300, 0),
			(f64::NAN, 0x7e00),
			(f64::INFINITY, 0x7c00),
		] {
			assert_eq!(from_f64(F16, x), bits, "{x}");
		}
		assert_eq!(from_f64(BF16, 1.0 + 1.0 / 256.0), 0x3f80);
		assert_eq!(from_f64(BF16, 1.0 + 3.0 / 256.0), 0x3f82);
		assert_eq!(from_f64(BF16, f64::from(f32::MAX)), 0x7f80);
		assert_eq!(from_f64(BF16, 1e-39), 0, "flushed");
	}

	#[test]
	fn convert_should_round_once_and_saturate() {
		let f32 = |x: f32| u64::from(x.to_bits());
		assert_eq!(convert(U64, F32, u64::MAX), f32(18_446_744_073_709_551_615.0));
		assert_eq!(convert(I64, F32, i64::MIN as u64), f32(-9_223_372_036_854_775_808.0));
		assert_eq!(convert(F32, U64, f32(-3.0)), 0);
		assert_eq!(convert(F64, U16, 70_000f64.to_bits()), 0xffff);
		assert_eq!(convert(F64, I16, (-70_000f64).to_bits()), 0x8000);
		assert_eq!(convert(F32, I8, f32(f32::NAN)), 0);
		assert_eq!(convert(I32, U8, 0xffff_ffff), 0xff);
		assert_eq!(convert(F16, F64, 0xbc00), (-1f64).to_bits());
		// 2^61 + 2^53 is halfway for bf16 and goes to the even number; one more does not.
		let half = (1u64 << 61) + (1 << 53);
		assert_eq!(convert(U64, BF16, half) + 1, convert(U64, BF16, half + 1));
	}
}
