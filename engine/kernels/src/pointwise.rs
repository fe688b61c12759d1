//! Operators on single elements, over elements that lie together.

use crate::{
	kernel,
	simd::{self, Simd},
	Isa,
};
use assay_semantics::{
	float,
	ops::{Binary, Unary},
};

/// Whether there is a kernel.
pub(crate) fn has_unary(op: Unary) -> bool {
	use Unary::*;
	matches!(op, Relu | Neg | Abs | Exp | ExpSoftmax | Sigmoid | Tanh | Reciprocal | Sqrt | Erf)
}

/// Whether there is a kernel.
pub(crate) fn has_binary(op: Binary) -> bool {
	use Binary::*;
	matches!(op, Add | Sub | Mul | Div | Max | Min)
}

/// The other side of a binary operator over rows.
#[derive(Clone, Copy)]
pub(crate) enum Other {
	/// As many elements.
	Run(*const f32),
	/// One element.
	One(f32),
	/// One element for each row.
	Each(*const f32),
	/// The same row for each.
	Row(*const f32),
}

macro_rules! each {
	($S:ident, $x:expr, $y:expr, $n:expr, |$v:ident| $value:expr) => {{
		let (x, y, n): (*const f32, *mut f32, usize) = ($x, $y, $n);
		let mut i = 0;
		while i + $S::LANES <= n {
			let $v = $S::load(x.add(i));
			$S::store(y.add(i), $value);
			i += $S::LANES;
		}
		if i < n {
			let $v = $S::load_n(x.add(i), n - i);
			$S::store_n(y.add(i), n - i, $value);
		}
	}};
	($S:ident, $x:expr, $other:expr, $y:expr, $n:expr, |$v:ident, $w:ident| $value:expr) => {{
		let (x, other, y, n): (*const f32, *const f32, *mut f32, usize) = ($x, $other, $y, $n);
		let mut i = 0;
		while i + $S::LANES <= n {
			let ($v, $w) = ($S::load(x.add(i)), $S::load(other.add(i)));
			$S::store(y.add(i), $value);
			i += $S::LANES;
		}
		if i < n {
			let ($v, $w) = ($S::load_n(x.add(i), n - i), $S::load_n(other.add(i), n - i));
			$S::store_n(y.add(i), n - i, $value);
		}
	}};
}

macro_rules! both {
	($S:ident, $on:ident, |$v:ident, $w:ident| $value:expr) => {{
		let &Two { x, other, y, rows, n } = $on;
		match other {
			Other::Run(other) => each!($S, x, other, y, rows * n, |$v, $w| $value),
			Other::One(other) => {
				let $w = $S::splat(other);
				each!($S, x, y, rows * n, |$v| $value)
			}
			Other::Each(other) => {
				for r in 0..rows {
					let $w = $S::splat(*other.add(r));
					each!($S, x.add(r * n), y.add(r * n), n, |$v| $value)
				}
			}
			Other::Row(other) => {
				for r in 0..rows {
					each!($S, x.add(r * n), other, y.add(r * n), n, |$v, $w| $value)
				}
			}
		}
	}};
}

kernel!(
	/// A function of `n` elements. `x` may be `y`.
	pub(crate) fn unary(op: Unary, x: *const f32, y: *mut f32, n: usize) = unary_body
);

#[inline(always)]
unsafe fn unary_body<S: Simd>(op: Unary, x: *const f32, y: *mut f32, n: usize) {
	// SAFETY: the caller's: `n` elements.
	#[allow(unreachable_patterns)]
	unsafe {
		match op {
			Unary::Relu => each!(S, x, y, n, |v| S::relu(v)),
			Unary::Neg => each!(S, x, y, n, |v| S::neg(v)),
			Unary::Abs => each!(S, x, y, n, |v| S::abs(v)),
			Unary::Exp => each!(S, x, y, n, |v| S::flush(simd::exp::<S>(v))),
			Unary::ExpSoftmax => each!(S, x, y, n, |v| simd::exp_softmax::<S>(v)),
			Unary::Sigmoid => each!(S, x, y, n, |v| S::flush(simd::sigmoid::<S>(v))),
			Unary::Tanh => each!(S, x, y, n, |v| S::flush(simd::tanh::<S>(v))),
			Unary::Reciprocal => each!(S, x, y, n, |v| S::flush(S::div(S::splat(1.0), v))),
			Unary::Erf => each!(S, x, y, n, |v| S::flush(simd::erf::<S>(v))),
			Unary::Sqrt => each!(S, x, y, n, |v| S::sqrt(v)),
			_ => unreachable!("no kernel"),
		}
	}
}

/// The operands and the value of a binary operator: `rows` rows of `n` elements. `x` and what runs along may be `y`.
#[derive(Clone, Copy)]
pub(crate) struct Two {
	pub(crate) x: *const f32,
	pub(crate) other: Other,
	pub(crate) y: *mut f32,
	pub(crate) rows: usize,
	pub(crate) n: usize,
}

/// A function of two elements; with `swap`, `x` is the second operand.
///
/// # Safety
///
/// The operands are there.
pub(crate) unsafe fn binary(isa: Isa, op: Binary, on: &Two, swap: bool) {
	// Times the reciprocal of a power of two is the same number before rounding.
	if let (Binary::Div, Other::One(y), false) = (op, on.other, swap) {
		if y.to_bits() & 0x007f_ffff == 0 && y.is_normal() && (1.0 / y).is_normal() {
			// SAFETY: the caller's.
			return unsafe { two(isa, Binary::Mul, &Two { other: Other::One(1.0 / y), ..*on }, false) };
		}
	}
	// SAFETY: the caller's.
	unsafe { two(isa, op, on, swap) }
}

kernel!(fn two(op: Binary, on: &Two, swap: bool) = two_body);

#[inline(always)]
unsafe fn two_body<S: Simd>(op: Binary, on: &Two, swap: bool) {
	// SAFETY: the caller's.
	#[allow(unreachable_patterns)]
	unsafe {
		match (op, swap) {
			(Binary::Add, _) => both!(S, on, |v, w| S::flush(S::add(v, w))),
			(Binary::Sub, false) => both!(S, on, |v, w| S::flush(S::sub(v, w))),
			(Binary::Sub, true) => both!(S, on, |v, w| S::flush(S::sub(w, v))),
			(Binary::Mul, _) => both!(S, on, |v, w| S::flush(S::mul(v, w))),
			(Binary::Div, false) => both!(S, on, |v, w| S::flush(S::div(v, w))),
			(Binary::Div, true) => both!(S, on, |v, w| S::flush(S::div(w, v))),
			(Binary::Max, _) => both!(S, on, |v, w| S::max(v, w)),
			(Binary::Min, _) => both!(S, on, |v, w| S::min(v, w)),
			_ => unreachable!("no kernel"),
		}
	}
}

kernel!(
	/// `c ? a : b` of `n` elements. What runs along may be `y`.
	pub(crate) fn select(c: *const u8, a: Other, b: Other, y: *mut f32, n: usize) = select_body
);

#[inline(always)]
unsafe fn select_body<S: Simd>(c: *const u8, a: Other, b: Other, y: *mut f32, n: usize) {
	let _ = S::LANES;
	// Bits are moved, so the compiler's own vectors will do.
	macro_rules! pick {
		($i:ident, $a:expr, $b:expr) => {
			for $i in 0..n {
				let (a, b): (f32, f32) = ($a, $b);
				*y.add($i) = if *c.add($i) != 0 { a } else { b };
			}
		};
	}
	// SAFETY: the caller's: `n` elements.
	unsafe {
		match (a, b) {
			(Other::Run(a), Other::Run(b)) => pick!(i, *a.add(i), *b.add(i)),
			(Other::Run(a), Other::One(b)) => pick!(i, *a.add(i), b),
			(Other::One(a), Other::Run(b)) => pick!(i, a, *b.add(i)),
			(Other::One(a), Other::One(b)) => pick!(i, a, b),
			_ => unreachable!("operands run along or stay"),
		}
	}
}

kernel!(
	/// Flushes subnormals in place.
	fn flush_in_place(x: *mut f32, n: usize) = flush_body
);

#[inline(always)]
unsafe fn flush_body<S: Simd>(x: *mut f32, n: usize) {
	// SAFETY: the caller's: `n` elements.
	unsafe { each!(S, x, x, n, |v| S::flush(v)) }
}

/// Flushes subnormals in place.
pub(crate) fn flush(isa: Isa, x: &mut [f32]) {
	// SAFETY: a slice is as long as it says.
	unsafe { flush_in_place(isa, x.as_mut_ptr(), x.len()) }
}

kernel!(
	/// Whether any of `n` elements is subnormal.
	fn any_subnormal(x: *const f32, n: usize) -> bool = any_subnormal_body
);

#[inline(always)]
unsafe fn any_subnormal_body<S: Simd>(x: *const f32, n: usize) -> bool {
	// SAFETY: the caller's: `n` elements.
	unsafe {
		let (mut i, mut any) = (0, false);
		while i + 4 * S::LANES <= n && !any {
			for j in 0..4 {
				any |= S::any_subnormal(S::load(x.add(i + j * S::LANES)));
			}
			i += 4 * S::LANES;
		}
		while i < n && !any {
			any = S::any_subnormal(S::load_n(x.add(i), n - i));
			i += S::LANES;
		}
		any
	}
}

/// Whether any element is subnormal.
pub(crate) fn has_subnormal(isa: Isa, x: &[f32]) -> bool {
	// SAFETY: a slice is as long as it says.
	unsafe { any_subnormal(isa, x.as_ptr(), x.len()) }
}

kernel!(
	/// `n` elements with the canonical NaN.
	fn canonical_to(x: *const f32, y: *mut f32, n: usize) = canonical_body
);

#[inline(always)]
unsafe fn canonical_body<S: Simd>(x: *const f32, y: *mut f32, n: usize) {
	// SAFETY: the caller's: `n` elements.
	unsafe { each!(S, x, y, n, |v| S::canonical(v)) }
}

/// The bytes of f32 with the canonical NaN.
pub(crate) fn canonical(isa: Isa, from: &[u8]) -> Vec<u8> {
	let mut to = Vec::<u8>::with_capacity(from.len());
	let n = from.len() / 4;
	if !from.as_ptr().cast::<f32>().is_aligned() || !to.as_ptr().cast::<f32>().is_aligned() {
		to.extend(from.as_chunks().0.iter().flat_map(|x| {
			let x = u32::from_le_bytes(*x);
			if f32::from_bits(x).is_nan() { float::NAN_BITS } else { x }.to_le_bytes()
		}));
		return to;
	}
	// SAFETY: both sides are aligned and have so many elements; those of the vector are written before it has them.
	unsafe {
		canonical_to(isa, from.as_ptr().cast(), to.as_mut_ptr().cast(), n);
		to.set_len(4 * n);
	}
	to
}

kernel!(
	/// Whether any of `n` elements is NaN.
	fn any_nan(x: *const f32, n: usize) -> bool = any_nan_body
);

#[inline(always)]
unsafe fn any_nan_body<S: Simd>(x: *const f32, n: usize) -> bool {
	// SAFETY: the caller's: `n` elements.
	unsafe {
		// The sum with 0 times itself is NaN where an element is NaN; with infinities it is, too, which costs a second look.
		let (zero, mut i) = (S::splat(0.0), 0);
		let mut acc = [zero; 4];
		while i + 4 * S::LANES <= n {
			for (j, acc) in acc.iter_mut().enumerate() {
				*acc = S::fma(S::load(x.add(i + j * S::LANES)), zero, *acc);
			}
			i += 4 * S::LANES;
		}
		while i < n {
			acc[0] = S::fma(S::load_n(x.add(i), n - i), zero, acc[0]);
			i += S::LANES;
		}
		S::largest(S::larger(S::larger(acc[0], acc[1]), S::larger(acc[2], acc[3]))).is_nan()
	}
}

/// Makes NaN canonical.
pub(crate) fn make_canonical(isa: Isa, x: &mut [f32]) {
	// SAFETY: a slice is as long as it says.
	unsafe {
		if any_nan(isa, x.as_ptr(), x.len()) {
			canonical_to(isa, x.as_ptr(), x.as_mut_ptr(), x.len());
		}
	}
}
