//! Eight lanes in an array, for machines without the instructions of the others.

use super::{Simd, TINY};
use assay_semantics::float;

/// Eight lanes in an array.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

const N: usize = 8;

#[inline(always)]
fn map(a: [f32; N], f: impl Fn(f32) -> f32) -> [f32; N] {
	let mut out = a;
	for x in &mut out {
		*x = f(*x);
	}
	out
}

#[inline(always)]
fn zip(a: [f32; N], b: [f32; N], f: impl Fn(f32, f32) -> f32) -> [f32; N] {
	let mut out = a;
	for (x, y) in out.iter_mut().zip(b) {
		*x = f(*x, y);
	}
	out
}

impl Simd for Portable {
	const LANES: usize = N;
	type F = [f32; N];

	#[inline(always)]
	unsafe fn splat(x: f32) -> Self::F {
		[x; N]
	}
	#[inline(always)]
	unsafe fn load(p: *const f32) -> Self::F {
		unsafe { p.cast::<[f32; N]>().read() }
	}
	#[inline(always)]
	unsafe fn store(p: *mut f32, x: Self::F) {
		unsafe { p.cast::<[f32; N]>().write(x) }
	}
	#[inline(always)]
	unsafe fn load_n(p: *const f32, n: usize) -> Self::F {
		let mut out = [0.0; N];
		for (i, x) in out.iter_mut().enumerate().take(n) {
			*x = unsafe { *p.add(i) };
		}
		out
	}
	#[inline(always)]
	unsafe fn store_n(p: *mut f32, n: usize, x: Self::F) {
		for (i, x) in x.iter().enumerate().take(n) {
			unsafe { *p.add(i) = *x };
		}
	}
	#[inline(always)]
	unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
		zip(a, b, |a, b| a + b)
	}
	#[inline(always)]
	unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
		zip(a, b, |a, b| a - b)
	}
	#[inline(always)]
	unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
		zip(a, b, |a, b| a * b)
	}
	#[inline(always)]
	unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
		zip(a, b, |a, b| a / b)
	}
	#[inline(always)]
	unsafe fn sqrt(a: Self::F) -> Self::F {
		map(a, f32::sqrt)
	}
	#[inline(always)]
	unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
		let mut out = c;
		for i in 0..N {
			out[i] = float::fma(a[i], b[i], c[i]);
		}
		out
	}
	#[inline(always)]
	unsafe fn neg(a: Self::F) -> Self::F {
		map(a, |a| -a)
	}
	#[inline(always)]
	unsafe fn abs(a: Self::F) -> Self::F {
		map(a, f32::abs)
	}
	#[inline(always)]
	unsafe fn flush(a: Self::F) -> Self::F {
		map(a, |a| if a.abs() < TINY && a != 0.0 { 0.0 } else { a })
	}
	#[inline(always)]
	unsafe fn relu(a: Self::F) -> Self::F {
		map(a, float::relu)
	}
	#[inline(always)]
	unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
		zip(a, b, float::max)
	}
	#[inline(always)]
	unsafe fn larger(a: Self::F, b: Self::F) -> Self::F {
		zip(a, b, float::max)
	}
	#[inline(always)]
	unsafe fn min(a: Self::F, b: Self::F) -> Self::F {
		zip(a, b, float::min)
	}
	#[inline(always)]
	unsafe fn if_less(a: Self::F, b: Self::F, x: Self::F, y: Self::F) -> Self::F {
		let mut out = y;
		for i in 0..N {
			if a[i] < b[i] {
				out[i] = x[i];
			}
		}
		out
	}
	#[inline(always)]
	unsafe fn if_nan(a: Self::F, y: Self::F) -> Self::F {
		zip(a, y, |a, y| if a.is_nan() { a } else { y })
	}
	#[inline(always)]
	unsafe fn with_sign(a: Self::F, s: Self::F) -> Self::F {
		zip(a, s, f32::copysign)
	}
	#[inline(always)]
	unsafe fn scale(y: Self::F, n: Self::F) -> Self::F {
		let power = |n: i32| f32::from_bits(((n + 127) as u32) << 23);
		zip(y, n, |y, n| {
			// NaN becomes 0; its lane is replaced by the caller.
			let n = n as i32;
			y * power(n >> 1) * power(n - (n >> 1))
		})
	}
	#[inline(always)]
	unsafe fn prefetch(_p: *const f32) {}
	#[inline(always)]
	unsafe fn add_lanes(lanes: &mut [Self::F; 4], p: *const f32, n: usize) {
		unsafe {
			lanes[0] = Self::add(lanes[0], Self::load_n(p, n.min(N)));
			lanes[1] = Self::add(lanes[1], Self::load_n(p.wrapping_add(N), n.saturating_sub(N)));
		}
	}
	#[inline(always)]
	unsafe fn sum_lanes(lanes: &[Self::F; 4]) -> f32 {
		let s = zip(lanes[0], lanes[1], |a, b| a + b);
		let s = [s[0] + s[4], s[1] + s[5], s[2] + s[6], s[3] + s[7]];
		(s[0] + s[2]) + (s[1] + s[3])
	}
	#[inline(always)]
	unsafe fn largest(x: Self::F) -> f32 {
		x.into_iter().fold(f32::NEG_INFINITY, float::max)
	}
	#[inline(always)]
	unsafe fn transpose(rows: &mut [Self::F; 16]) {
		let from = *rows;
		for (i, row) in rows.iter_mut().enumerate().take(N) {
			*row = std::array::from_fn(|j| from[j][i]);
		}
	}
	#[inline(always)]
	unsafe fn canonical(a: Self::F) -> Self::F {
		map(a, |a| if a.is_nan() { f32::from_bits(float::NAN_BITS) } else { a })
	}
	#[inline(always)]
	unsafe fn any_subnormal(a: Self::F) -> bool {
		a.iter().any(|a| a.is_subnormal())
	}
}
