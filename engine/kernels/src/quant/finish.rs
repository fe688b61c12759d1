//! What becomes of a sum: an i32, or a byte.

use super::ints::Ints;

/// What becomes of sums.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum To {
	/// i32.
	Words,
	/// `clamp(rne(x * scale) + zero)`, or `x / scale`.
	Bytes { divide: bool, signed: bool, zero: i32 },
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
	/// What is added first.
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
		if S::has_ties(q) {
			return quantize::<S>(S::div(x, scale), zero, signed);
		}
		S::add_i(S::to_i(q), S::splat_i(zero))
	}
}

/// Stores the first `n` lanes of sums at element `c`.
///
/// # Safety
///
/// A vector of each column operand is there, and `n` elements at `c`.
#[inline(always)]
pub(super) unsafe fn store<S: Ints>(acc: S::I, columns: Columns, to: To, c: *mut u8, n: usize) {
	// SAFETY: the caller's.
	unsafe {
		let x = S::add_i(acc, S::load_i(columns.bias));
		match to {
			To::Words => S::store_i(c.cast(), n, x),
			To::Bytes { divide, signed, zero } => {
				let scale = S::load(columns.scale);
				let x = if divide { S::div(S::to_f(x), scale) } else { S::mul(S::to_f(x), scale) };
				S::store_bytes(c, n, quantize::<S>(x, zero, signed));
			}
		}
	}
}
