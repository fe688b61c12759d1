//! What becomes of a sum: an i32, or a byte.

use super::ints::Ints;

/// What becomes of sums.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum To {
	/// i32.
	Words,
	/// `clamp(rne(x * scale) + zero)`, or `x / scale`. `small`: it multiplies, by scales below 1/2, so that all products
	/// round to an i32.
	Bytes { divide: bool, small: bool, signed: bool, zero: i32 },
}

impl To {
	/// Bytes of an element.
	pub(crate) fn size(self) -> usize {
		match self {
			To::Words => 4,
			To::Bytes { .. } => 1,
		}
	}
}

/// The columns' operands, from the first column of a vector on.
#[derive(Clone, Copy)]
pub(super) struct Columns {
	/// What sums begin with.
	pub(super) bias: *const i32,
	pub(super) scale: *const f32,
}

/// `clamp(rne(x) + zero)`, as integers.
///
/// Clamped before it is rounded, by whole numbers that are the range less the zero point: rounding keeps the order and whole
/// numbers, so the result is that of the semantics, which clamps last. NaN is the minimum.
#[inline(always)]
pub(super) unsafe fn quantize<S: Ints>(x: S::F, zero: i32, signed: bool) -> S::I {
	let (low, high) = if signed { (-128, 127) } else { (0, 255) };
	// SAFETY: no pointers.
	unsafe {
		let (low, high) = (S::splat((low - zero) as f32), S::splat((high - zero) as f32));
		S::add_i(S::to_i(S::clamp(x, low, high)), S::splat_i(zero))
	}
}

/// From an integer to 2^-13 from halfway to the next.
const NEAR: f32 = 0.5 - 1.0 / 8192.0;

/// Whether [`divided`] may take the place of a division by this.
pub(super) fn is_ordinary(scale: f32) -> bool {
	(2f32.powi(-100)..2f32.powi(100)).contains(&scale)
}

/// `clamp(rne(x / scale) + zero)` by a product with the reciprocal of an ordinary scale.
///
/// A reciprocal, a product and a quotient are rounded, so the product is less than 2^-22 of it away from the quotient, and
/// less than 2^-13 where neither is clamped. Both round to the same integer unless that is halfway; only then is divided.
#[inline(always)]
pub(super) unsafe fn divided<S: Ints>(x: S::F, scale: S::F, reciprocal: S::F, zero: i32, signed: bool) -> S::I {
	let (low, high) = if signed { (-128, 127) } else { (0, 255) };
	// SAFETY: no pointers.
	unsafe {
		let q = S::clamp(S::mul(x, reciprocal), S::splat((low - zero) as f32), S::splat((high - zero) as f32));
		let n = S::to_i(q);
		if S::exceeds(S::sub(q, S::to_f(n)), NEAR) {
			return quantize::<S>(S::div(x, scale), zero, signed);
		}
		S::add_i(n, S::splat_i(zero))
	}
}

/// Stores the first `n` lanes of so many rows of sums, which are `step` vectors apart, at `c`, where they are `ldc` bytes apart.
///
/// # Safety
///
/// The sums are there, a vector of each column operand, and `n` elements for each row.
#[inline(always)]
pub(super) unsafe fn store<S: Ints>(
	sums: *const S::I,
	step: usize,
	rows: usize,
	columns: Columns,
	to: To,
	c: *mut u8,
	ldc: usize,
	n: usize,
) {
	// Loops and no closures: these would be compiled without the instructions.
	macro_rules! each {
		(|$x:ident, $c:ident| $body:expr) => {{
			let ($c, mut from) = (c, sums);
			let mut $c = $c;
			for _ in 0..rows {
				let $x = *from;
				$body;
				from = from.wrapping_add(step);
				$c = $c.wrapping_add(ldc);
			}
		}};
	}
	// SAFETY: the caller's.
	unsafe {
		match to {
			To::Words => each!(|x, c| S::store_i(c.cast(), n, x)),
			To::Bytes { small: true, signed, zero, .. } => {
				let (scale, zero) = (S::load(columns.scale), S::splat_i(zero));
				match (n >= S::LANES, signed) {
					(true, false) => each!(|x, c| {
						let x = S::add_i(S::to_i(S::mul(S::to_f(x), scale)), zero);
						S::store_clamped(c, S::LANES, x, false)
					}),
					_ => each!(|x, c| {
						let x = S::add_i(S::to_i(S::mul(S::to_f(x), scale)), zero);
						S::store_clamped(c, n, x, signed)
					}),
				}
			}
			To::Bytes { divide: false, signed, zero, .. } => {
				let scale = S::load(columns.scale);
				each!(|x, c| S::store_bytes(c, n, quantize::<S>(S::mul(S::to_f(x), scale), zero, signed)))
			}
			To::Bytes { divide: true, signed, zero, .. } => {
				let scale = S::load(columns.scale);
				each!(|x, c| S::store_bytes(c, n, quantize::<S>(S::div(S::to_f(x), scale), zero, signed)))
			}
		}
	}
}
