//! Pinned binary32 arithmetic.
//!
//! Round to nearest, ties to even, throughout; `+ - * /` and square root are IEEE 754 and the same everywhere, and Rust
//! never contracts them. What differs between machines is pinned here:
//!
//! - **NaN** is [`NAN_BITS`] wherever bits can be observed.
//! - **Subnormals** become +0 when a value is stored or read, by an explicit comparison; never inside a fold.
//! - **fma** is one function, correctly rounded in every build.
//! - **exp, tanh, sigmoid** are the polynomials below, never a library's.
//! - **Conversions** to integers give 0 for NaN, truncate, and saturate.

/// The one NaN.
pub const NAN_BITS: u32 = 0x7fc0_0000;

/// `round(a * b + c)`, rounded once.
///
/// Natively `f32::mul_add`, which is the machine's instruction or the C library's exact routine; elsewhere `libm`'s
/// exact routine. All are correctly rounded, so there is one result.
#[inline]
pub fn fma(a: f32, b: f32, c: f32) -> f32 {
	#[cfg(feature = "std")]
	return a.mul_add(b, c);
	#[cfg(not(feature = "std"))]
	return libm::fmaf(a, b, c);
}

/// Correctly rounded square root.
#[inline]
pub fn sqrt(x: f32) -> f32 {
	#[cfg(feature = "std")]
	return x.sqrt();
	#[cfg(not(feature = "std"))]
	return libm::sqrtf(x);
}

/// The bits under which `x` is stored: canonical NaN, subnormals flushed to +0.
#[inline]
pub fn store(x: f32) -> u32 {
	if x.abs() >= f32::MIN_POSITIVE {
		x.to_bits()
	} else if x.is_nan() {
		NAN_BITS
	} else if x == 0.0 {
		// Zeros keep their sign; only subnormals lose it.
		x.to_bits()
	} else {
		0
	}
}

/// The value that stored bits are read as: the same canonical form, whatever the source.
#[inline]
pub fn load(bits: u32) -> f32 {
	f32::from_bits(store(f32::from_bits(bits)))
}

/// The bits of a partial state: canonical NaN, nothing flushed.
#[inline]
pub(crate) fn state_bits(x: f32) -> u32 {
	if x.is_nan() {
		NAN_BITS
	} else {
		x.to_bits()
	}
}

/// `x < 0 ? +0 : x`; keeps NaN and -0.
#[inline]
pub fn relu(x: f32) -> f32 {
	if x < 0.0 {
		0.0
	} else {
		x
	}
}

/// The larger; any NaN gives NaN. +0 is added once, so that the order of operands is free.
#[inline]
pub fn max(a: f32, b: f32) -> f32 {
	let m = if a.is_nan() || a > b { a } else { b };
	m + 0.0
}

/// The smaller; any NaN gives NaN. +0 is added once, so that the order of operands is free.
#[inline]
pub fn min(a: f32, b: f32) -> f32 {
	let m = if a.is_nan() || a < b { a } else { b };
	m + 0.0
}

/// Half to even, to an integer of any size; keeps NaN, infinities and the sign of `x`.
#[inline]
pub fn round_half_even(x: f32) -> f32 {
	// From 2^23 on, numbers are integers already; below it, adding and subtracting it rounds.
	const ROUND: f32 = 8_388_608.0;
	if x.abs() < ROUND {
		((x.abs() + ROUND) - ROUND).copysign(x)
	} else {
		x
	}
}

/// The largest integer that is not above `x`; keeps NaN, infinities and the sign of a zero.
#[inline]
pub fn floor(x: f32) -> f32 {
	let near = round_half_even(x);
	if near > x {
		near - 1.0
	} else {
		near
	}
}

/// `2^n` for `-126 <= n <= 127`, other `n` clamped.
#[inline]
fn power_of_two(n: i32) -> f32 {
	f32::from_bits((n.clamp(-126, 127).saturating_add(127) as u32) << 23)
}

/// e^x, at most 0.892 ulp from the exact value wherever the result is normal (all inputs measured).
///
/// `n = rne(x * log2 e)`, `r = x - n ln 2` by two fma, `1 + r + r^2 q(r)` as a Horner chain of degree 6, then two scalings
/// by powers of two. Not flushed: callers store.
pub fn exp(x: f32) -> f32 {
	const LOG2_E: f32 = f32::from_bits(0x3fb8_aa3b);
	const LN2_HI: f32 = f32::from_bits(0x3f31_7218);
	const LN2_LO: f32 = f32::from_bits(0xb102_e308);
	// Adding and subtracting 1.5 * 2^23 rounds to an integer, ties to even.
	const ROUND: f32 = 12_582_912.0;
	// Minimax for (e^r - 1 - r) / r^2 on |r| <= ln 2 / 2, weighted for the relative error of e^r, rounded one by one.
	const Q: [f32; 5] = [
		f32::from_bits(0x3eff_fffe),
		f32::from_bits(0x3e2a_aa49),
		f32::from_bits(0x3d2a_ac59),
		f32::from_bits(0x3c09_1cc7),
		f32::from_bits(0x3ab5_259b),
	];

	if x.is_nan() {
		return f32::from_bits(NAN_BITS);
	}
	// Beyond these the result is +0 or infinite; inside them n fits two exact powers of two.
	let x = x.clamp(-104.0, 89.0);
	let n = (x * LOG2_E + ROUND) - ROUND;
	let r = fma(n, -LN2_LO, fma(n, -LN2_HI, x));
	let mut y = Q[4];
	for q in [Q[3], Q[2], Q[1], Q[0], 1.0, 1.0] {
		y = fma(y, r, q);
	}
	let n = n as i32;
	let half = n >> 1;
	y * power_of_two(half) * power_of_two(n.saturating_sub(half))
}

/// e^x as softmax uses it: +0 where the result is below 2^-64, so that products with it stay normal.
pub fn exp_softmax(x: f32) -> f32 {
	const TINY: f32 = f32::from_bits((127 - 64) << 23);
	let y = exp(x);
	if y < TINY {
		0.0
	} else {
		y
	}
}

/// `1 / (1 + exp(-x))`, at most 2.49 ulp from the exact value (all inputs measured).
pub fn sigmoid(x: f32) -> f32 {
	1.0 / (1.0 + exp(-x))
}

/// Hyperbolic tangent, at most 1.37 ulp from the exact value (all inputs measured): an odd polynomial (Cephes `tanhf`) below
/// 0.625, `1 - 2 / (exp(2|x|) + 1)` with the sign of `x` above.
pub fn tanh(x: f32) -> f32 {
	const P: [f32; 5] = [-5.704_988_7e-3, 2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1];
	if x.is_nan() {
		return f32::from_bits(NAN_BITS);
	}
	let a = x.abs();
	if a < 0.625 {
		let z = x * x;
		let mut p = P[0];
		for c in [P[1], P[2], P[3], P[4]] {
			p = fma(p, z, c);
		}
		return fma(p * z, x, x);
	}
	let y = 1.0 - 2.0 / (exp(2.0 * a) + 1.0);
	if x < 0.0 {
		-y
	} else {
		y
	}
}

/// The error function, at most 2 ulp from the exact value: `x + x p(x^2)` below 1, `1 - e^-q(|x|)` with the sign of `x` above,
/// where +-1 begins at 4. `p` and `q` are minimax polynomials, rounded one by one.
pub fn erf(x: f32) -> f32 {
	const P: [f32; 8] = [
		f32::from_bits(0x3e03_75d4),
		f32::from_bits(0xbec0_93a3),
		f32::from_bits(0x3de7_1784),
		f32::from_bits(0xbcdc_14d4),
		f32::from_bits(0x3bab_1477),
		f32::from_bits(0xba5e_5f4d),
		f32::from_bits(0x38ec_1348),
		f32::from_bits(0xb721_c200),
	];
	const Q: [f32; 8] = [
		f32::from_bits(0xb945_9f6e),
		f32::from_bits(0x3f90_9616),
		f32::from_bits(0x3f22_1a78),
		f32::from_bits(0x3dde_0c68),
		f32::from_bits(0xbcce_85eb),
		f32::from_bits(0x3b89_cc7f),
		f32::from_bits(0xb9e7_757e),
		f32::from_bits(0x37b6_0353),
	];
	if x.is_nan() {
		return f32::from_bits(NAN_BITS);
	}
	let a = x.abs();
	let horner = |z: f32, c: &[f32]| c.iter().rev().fold(0.0, |y, c| fma(y, z, *c));
	if a < 1.0 {
		return fma(horner(x * x, &P), x, x);
	}
	let y = if a < 4.0 { 1.0 - exp(-horner(a, &Q)) } else { 1.0 };
	if x < 0.0 {
		-y
	} else {
		y
	}
}

#[cfg(test)]
#[path = "float_tests.rs"]
mod tests;
