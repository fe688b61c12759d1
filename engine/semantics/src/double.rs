//! Pinned binary64 functions, of `+ - * /`, comparisons and integers alone.
//!
//! f64 models use them as they are. The rarer functions of f32 are computed here and rounded once, so their error is
//! hardly over half a unit in the last place.

/// The one NaN.
pub const NAN_BITS: u64 = 0x7ff8_0000_0000_0000;

const LN2_HI: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN2_LO: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
const LOG2_E: f64 = core::f64::consts::LOG2_E;
const HALF_PI: f64 = core::f64::consts::FRAC_PI_2;

/// The bits under which `x` is stored: canonical NaN, subnormals flushed to +0.
#[inline]
pub fn store(x: f64) -> u64 {
	if x.is_nan() {
		NAN_BITS
	} else if x.abs() >= f64::MIN_POSITIVE || x == 0.0 {
		x.to_bits()
	} else {
		0
	}
}

/// Correctly rounded square root.
#[inline]
pub fn sqrt(x: f64) -> f64 {
	#[cfg(feature = "std")]
	return x.sqrt();
	#[cfg(not(feature = "std"))]
	return libm::sqrt(x);
}

/// `2^n` for `-1022 <= n <= 1023`, other `n` clamped.
#[inline]
fn power_of_two(n: i64) -> f64 {
	f64::from_bits((n.clamp(-1022, 1023).saturating_add(1023) as u64) << 52)
}

/// `c[0] + z (c[1] + z (…))`
#[inline]
fn horner(z: f64, c: &[f64]) -> f64 {
	c.iter().rev().fold(0.0, |sum, c| sum * z + c)
}

/// `1 / k!` for k = 0 to 19.
const INVERSE_FACTORIALS: [f64; 20] = {
	let mut list = [1.0; 20];
	let mut k = 1;
	let mut factorial = 1.0;
	while k < 20 {
		// Exact: 19! has fewer than 53 significant bits.
		factorial *= k as f64;
		list[k] = 1.0 / factorial;
		k += 1;
	}
	list
};

/// e^x: `n = rne(x log2 e)`, the Taylor polynomial of degree 13 in `x - n ln 2`, two scalings by powers of two.
pub fn exp(x: f64) -> f64 {
	const ROUND: f64 = 6_755_399_441_055_744.0;
	if x.is_nan() {
		return f64::from_bits(NAN_BITS);
	}
	let x = x.clamp(-746.0, 711.0);
	let n = (x * LOG2_E + ROUND) - ROUND;
	let r = (x - n * LN2_HI) - n * LN2_LO;
	let y = horner(r, INVERSE_FACTORIALS.get(..14).unwrap_or_default());
	let n = n as i64;
	let half = n >> 1;
	y * power_of_two(half) * power_of_two(n.saturating_sub(half))
}

/// e^x as softmax uses it: +0 where the result is below 2^-64, as in f32.
pub fn exp_softmax(x: f64) -> f64 {
	let y = exp(x);
	if y < power_of_two(-64) {
		0.0
	} else {
		y
	}
}

/// Natural logarithm: `x = m 2^e` with `m` between the roots of 1/2 and 2, `2 artanh((m - 1) / (m + 1)) + e ln 2`. Of 0:
/// -infinity; of negative numbers: NaN.
pub fn log(x: f64) -> f64 {
	/// `2 / (2 k + 1)`
	const ARTANH: [f64; 11] = {
		let mut list = [0.0; 11];
		let mut k = 0;
		while k < 11 {
			list[k] = 2.0 / (2 * k + 1) as f64;
			k += 1;
		}
		list
	};
	if x.is_nan() || x < 0.0 {
		return f64::from_bits(NAN_BITS);
	}
	if x == 0.0 {
		return f64::NEG_INFINITY;
	}
	if x == f64::INFINITY {
		return x;
	}
	let (x, lift) = if x < f64::MIN_POSITIVE { (x * 18_014_398_509_481_984.0, 54) } else { (x, 0) };
	let bits = x.to_bits();
	let mut e = ((bits >> 52) as i64).saturating_sub(1023 + lift);
	let mut m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
	if m > core::f64::consts::SQRT_2 {
		m *= 0.5;
		e = e.saturating_add(1);
	}
	let s = (m - 1.0) / (m + 1.0);
	let series = s * horner(s * s, &ARTANH);
	let e = e as f64;
	e * LN2_HI + (series + e * LN2_LO)
}

/// `log(1 + x)`, accurate near 0.
pub fn log1p(x: f64) -> f64 {
	let u = 1.0 + x;
	if u == 1.0 || u == f64::INFINITY {
		return x;
	}
	// The rounding of `1 + x` cancels in the quotient.
	let y = log(u);
	if u <= 0.0 || u.is_nan() {
		return y;
	}
	y * (x / (u - 1.0))
}

/// The bits of 2 / pi after the point.
const TWO_OVER_PI: [u64; 21] = [
	0xa2f9_836e_4e44_1529,
	0xfc27_57d1_f534_ddc0,
	0xdb62_9599_3c43_9041,
	0xfe51_63ab_debb_c561,
	0xb724_6e3a_424d_d2e0,
	0x0649_2eea_09d1_921c,
	0xfe1d_eb1c_b129_a73e,
	0xe882_35f5_2ebb_4484,
	0xe99c_7026_b45f_7e41,
	0x3991_d639_8353_39f4,
	0x9c84_5f8b_bdf9_283b,
	0x1ff8_97ff_de05_980f,
	0xef2f_118b_5a0a_6d1f,
	0x6d36_7ecf_27cb_09b7,
	0x4f46_3f66_9e5f_ea2d,
	0x7527_bac7_ebe5_f17b,
	0x3d07_39f7_8a52_92ea,
	0x6bfb_5fb1_1f8d_5d08,
	0x5603_3046_fc7b_6bab,
	0xf0cf_bc20_9af4_361d,
	0xa9e3_9161_5ee6_1b08,
];

/// A finite `x` as `q pi / 2 + r` with `|r| <= pi / 4`: `q` modulo 4, and `r`. The product with 2 / pi is taken in integers,
/// over those bits that matter, so nothing is lost however large `x` is.
fn reduce(x: f64) -> (u64, f64) {
	if x.abs() <= core::f64::consts::FRAC_PI_4 {
		return (0, x);
	}
	// |x| = m 2^e
	let bits = x.abs().to_bits();
	let m = (bits & 0x000f_ffff_ffff_ffff) | 0x0010_0000_0000_0000;
	let e = ((bits >> 52) as i64).saturating_sub(1075);
	// Bits of 2 / pi before this one give multiples of 4.
	let first = e.saturating_sub(2).max(0) as u64;
	let scale = first.saturating_add(192).saturating_sub_signed(e);
	// 192 bits from there.
	let (word, shift) = ((first / 64) as usize, first % 64);
	let word_at = |i: usize| TWO_OVER_PI.get(word.saturating_add(i)).copied().unwrap_or(0);
	let window = |i: usize| match shift {
		0 => word_at(i),
		s => (word_at(i) << s) | (word_at(i.saturating_add(1)) >> (64 - s)),
	};
	// m times the window: 256 bits, most significant word first.
	let mut product = [0u64; 4];
	let mut carry = 0u128;
	for (i, out) in [(2, 3), (1, 2), (0, 1)] {
		let sum = u128::from(m).wrapping_mul(u128::from(window(i))).wrapping_add(carry);
		product[out] = sum as u64;
		carry = sum >> 64;
	}
	product[0] = carry as u64;
	// The point stands `scale` bits from the right; two bits before it are the quadrant, 128 after it the fraction.
	let left = 254u64.saturating_sub(scale);
	let (words, shift) = ((left / 64) as usize, left % 64);
	let at = |i: usize| product.get(i.saturating_add(words)).copied().unwrap_or(0);
	let moved = |i: usize| match shift {
		0 => at(i),
		s => (at(i) << s) | (at(i.saturating_add(1)) >> (64 - s)),
	};
	let (a, b, c) = (moved(0), moved(1), moved(2));
	let fraction = (u128::from(a) << 66) | (u128::from(b) << 2) | u128::from(c >> 62);
	let mut q = a >> 62;
	// To the nearest quadrant.
	let negative = fraction >> 127 == 1;
	let size = if negative { fraction.wrapping_neg() } else { fraction };
	if negative {
		q = q.wrapping_add(1);
	}
	// Rounded once; 2^-128 exactly.
	let mut r = size as f64 * power_of_two(-128) * HALF_PI;
	if negative {
		r = -r;
	}
	if x < 0.0 {
		(q.wrapping_neg() & 3, -r)
	} else {
		(q & 3, r)
	}
}

/// Sine on `|r| <= pi / 4`: the Taylor polynomial of degree 17.
fn sin_small(r: f64) -> f64 {
	const C: [f64; 9] = {
		let mut list = [0.0; 9];
		let mut k = 0;
		while k < 9 {
			let c = INVERSE_FACTORIALS[2 * k + 1];
			list[k] = if k % 2 == 0 { c } else { -c };
			k += 1;
		}
		list
	};
	r * horner(r * r, &C)
}

/// Cosine on `|r| <= pi / 4`: the Taylor polynomial of degree 18.
fn cos_small(r: f64) -> f64 {
	const C: [f64; 10] = {
		let mut list = [0.0; 10];
		let mut k = 0;
		while k < 10 {
			let c = INVERSE_FACTORIALS[2 * k];
			list[k] = if k % 2 == 0 { c } else { -c };
			k += 1;
		}
		list
	};
	horner(r * r, &C)
}

/// Sine and cosine; of infinities: NaN.
fn sin_cos(x: f64) -> (f64, f64) {
	if !x.is_finite() {
		return (f64::from_bits(NAN_BITS), f64::from_bits(NAN_BITS));
	}
	let (q, r) = reduce(x);
	let (s, c) = (sin_small(r), cos_small(r));
	match q {
		0 => (s, c),
		1 => (c, -s),
		2 => (-s, -c),
		_ => (-c, s),
	}
}

/// Sine; of infinities: NaN.
pub fn sin(x: f64) -> f64 {
	sin_cos(x).0
}

/// Cosine; of infinities: NaN.
pub fn cos(x: f64) -> f64 {
	sin_cos(x).1
}

/// Tangent: sine over cosine; of infinities: NaN.
pub fn tan(x: f64) -> f64 {
	let (s, c) = sin_cos(x);
	s / c
}

/// Arc tangent: of `1 / x` beyond 1; the nearest eighth `c` is split off, `atan x = atan c + atan((x - c) / (1 + x c))`.
pub fn atan(x: f64) -> f64 {
	/// `atan(k / 8)`
	const EIGHTHS: [f64; 9] = [
		0.0,
		f64::from_bits(0x3fbf_d5ba_9aac_2f6e),
		f64::from_bits(0x3fcf_5b75_f92c_80dd),
		f64::from_bits(0x3fd6_f619_41e4_def1),
		f64::from_bits(0x3fdd_ac67_0561_bb4f),
		f64::from_bits(0x3fe1_e00b_abde_feb4),
		f64::from_bits(0x3fe4_978f_a326_9ee1),
		f64::from_bits(0x3fe7_00a7_c578_4634),
		f64::from_bits(0x3fe9_21fb_5444_2d18),
	];
	/// `(-1)^k / (2 k + 1)`
	const C: [f64; 8] = [1.0, -1.0 / 3.0, 0.2, -1.0 / 7.0, 1.0 / 9.0, -1.0 / 11.0, 1.0 / 13.0, -1.0 / 15.0];
	if x.is_nan() {
		return f64::from_bits(NAN_BITS);
	}
	let a = x.abs();
	let t = if a > 1.0 { 1.0 / a } else { a };
	let k = (t * 8.0 + 0.5) as usize;
	let c = k as f64 * 0.125;
	let u = (t - c) / (1.0 + t * c);
	let mut y = EIGHTHS.get(k).copied().unwrap_or(0.0) + u * horner(u * u, &C);
	if a > 1.0 {
		y = HALF_PI - y;
	}
	if x.is_sign_negative() {
		-y
	} else {
		y
	}
}

/// Hyperbolic tangent: `t / (t + 2)` with `t = e^(2 |x|) - 1`, a Taylor polynomial of degree 17 below 0.25.
pub fn tanh(x: f64) -> f64 {
	if x.is_nan() {
		return f64::from_bits(NAN_BITS);
	}
	let a = x.abs();
	let t = 2.0 * a;
	let y = if a < 0.25 {
		let t = t * horner(t, INVERSE_FACTORIALS.get(1..18).unwrap_or_default());
		t / (t + 2.0)
	} else {
		1.0 - 2.0 / (exp(t) + 1.0)
	};
	if x.is_sign_negative() {
		-y
	} else {
		y
	}
}

/// `1 / (1 + e^-x)`
pub fn sigmoid(x: f64) -> f64 {
	1.0 / (1.0 + exp(-x))
}

/// The largest integer exponent that [`pow`] multiplies out.
const MAX_PRODUCTS: f64 = 64.0;

/// `a^n` by squaring: bit by bit from the lowest, the result times the square where it is set.
fn power(a: f64, mut n: u64) -> f64 {
	let (mut result, mut square) = (1.0, a);
	while n > 0 {
		if n & 1 == 1 {
			result *= square;
		}
		square *= square;
		n >>= 1;
	}
	result
}

/// `x^y`: of `|x|` by products where `y` is an integer up to +-64 (the reciprocal for a negative one), so powers that f64
/// holds are exact; else `e^(y log |x|)`, whose error grows with the result's logarithm, up to some 700 units. The sign is
/// that of an odd integer power. As IEEE 754 has it: `x^0 = 1^y = (-1)^inf = 1`, NaN for a negative number to a fractional
/// power.
pub fn pow(x: f64, y: f64) -> f64 {
	if y == 0.0 || x == 1.0 {
		return 1.0;
	}
	if x.is_nan() || y.is_nan() {
		return f64::from_bits(NAN_BITS);
	}
	let a = x.abs();
	// Every number from 2^53 on is an even integer.
	let integer = y.abs() >= 9_007_199_254_740_992.0 || (y as i64) as f64 == y;
	let odd = integer && y.abs() < 9_007_199_254_740_992.0 && (y as i64) & 1 == 1;
	if x < 0.0 && x.is_finite() && !integer {
		return f64::from_bits(NAN_BITS);
	}
	let size = if a == 1.0 {
		1.0
	} else if integer && y.abs() <= MAX_PRODUCTS {
		let product = power(a, y.abs() as u64);
		if y < 0.0 {
			1.0 / product
		} else {
			product
		}
	} else {
		exp(y * log(a))
	};
	if odd && x.is_sign_negative() {
		-size
	} else {
		size
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	/// Units in the last place of f64 between a result and the standard library's.
	fn ulps(got: f64, expected: f64) -> f64 {
		if got == expected || (got.is_nan() && expected.is_nan()) {
			return 0.0;
		}
		(got - expected).abs() / (f64::from_bits(expected.abs().to_bits() + 1) - expected.abs())
	}

	fn worst(f: fn(f64) -> f64, reference: fn(f64) -> f64, low: f64, high: f64) -> f64 {
		(0..200_001)
			.map(|i| low + (high - low) * f64::from(i) / 200_000.0)
			.map(|x| ulps(f(x), reference(x)))
			.fold(0.0, f64::max)
	}

	#[test]
	fn functions_should_be_within_6_ulp() {
		for (name, error) in [
			("exp", worst(exp, f64::exp, -700.0, 700.0)),
			("exp", worst(exp, f64::exp, -1.0, 1.0)),
			("log", worst(log, f64::ln, 1e-3, 10.0)),
			("log", worst(log, f64::ln, 1.0, 1e300)),
			("log1p", worst(log1p, f64::ln_1p, -0.9, 1.0)),
			("log1p", worst(log1p, f64::ln_1p, -1e-9, 1e-9)),
			("sin", worst(sin, f64::sin, -50.0, 50.0)),
			("cos", worst(cos, f64::cos, -50.0, 50.0)),
			("sin", worst(sin, f64::sin, 1e9, 1e300)),
			("cos", worst(cos, f64::cos, -1e20, 1e5)),
			("tan", worst(tan, f64::tan, -50.0, 50.0)),
			("atan", worst(atan, f64::atan, -20.0, 20.0)),
			("tanh", worst(tanh, f64::tanh, -3.0, 3.0)),
		] {
			std::println!("{name}: {error:.2} ulp");
			assert!(error <= 6.0, "{name}: {error}");
		}
		assert!(worst(|x| pow(x, 3.7), |x| x.powf(3.7), 1e-3, 30.0) <= 64.0);
	}

	#[test]
	fn pow_should_be_exact_when_f64_holds_the_integer() {
		for x in -300i64..=300 {
			for (y, n) in (0..=53).filter_map(|y| Some((y, x.checked_pow(y)?))) {
				if n.unsigned_abs() <= 1 << 53 {
					assert_eq!(pow(x as f64, f64::from(y)), n as f64, "{x}^{y}");
				}
			}
			assert_eq!(pow(x as f64, -1.0), 1.0 / x as f64);
		}
		assert!(worst(|x| pow(x, 64.0), |x| x.powi(64), 0.5, 2.0) <= 64.0);
	}

	#[test]
	fn pow_should_follow_ieee_at_the_edges() {
		for x in [f64::NEG_INFINITY, -2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, f64::INFINITY, f64::NAN] {
			for y in [f64::NEG_INFINITY, -3.0, -2.5, -0.0, 0.0, 0.5, 1.0, 2.0, 3.0, f64::INFINITY, f64::NAN] {
				let (got, expected) = (pow(x, y), x.powf(y));
				assert!(ulps(got, expected) <= 2.0, "{x}^{y}: {got}, expected {expected}");
				assert!(got.is_nan() || got.is_sign_negative() == expected.is_sign_negative(), "{x}^{y}: {got}");
			}
		}
	}
}
