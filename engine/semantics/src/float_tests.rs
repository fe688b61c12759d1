use super::*;
use proptest::prelude::*;

/// Distance from the exact value in units of the last place of the exact value's f32.
fn ulps(got: f32, exact: f64) -> f64 {
	let magnitude = (exact.abs() as f32).max(f32::MIN_POSITIVE);
	let ulp = f64::from(f32::from_bits(magnitude.to_bits() + 1)) - f64::from(magnitude);
	(f64::from(got) - exact).abs() / ulp
}

/// Every `stride`-th f32 whose exp is normal and finite.
fn worst(stride: usize, f: fn(f32) -> f32, exact: fn(f64) -> f64, low: f32, high: f32) -> (f64, f32) {
	let mut worst = (0.0, 0.0);
	for bits in (0..=u32::MAX).step_by(stride) {
		let x = f32::from_bits(bits);
		if x > low && x < high {
			let error = ulps(f(x), exact(f64::from(x)));
			if error > worst.0 {
				worst = (error, x);
			}
		}
	}
	worst
}

#[test]
fn exp_should_be_within_0_892_ulp() {
	let (error, x) = worst(257, exp, f64::exp, -87.3, 88.7);
	assert!(error <= 0.892, "{error} ulp at {x}");
}

/// All of them; about a minute.
#[test]
#[ignore = "exhaustive"]
fn exp_should_be_within_0_892_ulp_everywhere() {
	let (error, x) = worst(1, exp, f64::exp, -87.33, 88.722);
	std::println!("exp: {error} ulp at {x}");
	assert!(error <= 0.892, "{error} ulp at {x}");
}

#[test]
fn tanh_and_sigmoid_should_be_within_the_stated_bounds() {
	let (error, x) = worst(257, tanh, f64::tanh, -20.0, 20.0);
	assert!(error <= 1.37, "tanh: {error} ulp at {x}");
	let (error, x) = worst(257, sigmoid, |x| 1.0 / (1.0 + (-x).exp()), -87.0, 80.0);
	assert!(error <= 2.49, "sigmoid: {error} ulp at {x}");
}

#[test]
fn functions_should_have_their_limits() {
	assert_eq!(exp(0.0), 1.0);
	assert_eq!(exp(f32::INFINITY), f32::INFINITY);
	assert_eq!(exp(f32::MAX), f32::INFINITY);
	assert_eq!(exp(88.73), f32::INFINITY);
	assert_eq!(store(exp(-87.4)), 0);
	assert_eq!(exp(f32::NEG_INFINITY), 0.0);
	assert_eq!(exp_softmax(-44.0), exp(-44.0));
	assert_eq!(exp_softmax(-44.4).to_bits(), 0);
	assert_eq!(tanh(f32::INFINITY), 1.0);
	assert_eq!(tanh(f32::NEG_INFINITY), -1.0);
	assert_eq!(sigmoid(f32::INFINITY), 1.0);
	assert_eq!(sigmoid(f32::NEG_INFINITY), 0.0);
	for f in [exp, exp_softmax, tanh, sigmoid, sqrt, relu] {
		assert_eq!(store(f(f32::from_bits(0xffc0_1234))), NAN_BITS);
	}
}

#[test]
fn store_should_canonicalise() {
	for (bits, expected) in [
		(0xffc0_0001, NAN_BITS),
		(0x7f80_0001, NAN_BITS),
		(0x0000_0001, 0),
		(0x807f_ffff, 0),
		(0x0080_0000, 0x0080_0000),
		(0x8080_0000, 0x8080_0000),
		(0x8000_0000, 0x8000_0000),
		(0xff80_0000, 0xff80_0000),
	] {
		assert_eq!(store(f32::from_bits(bits)), expected, "{bits:08x}");
		assert_eq!(store(load(expected)), expected);
	}
}

#[test]
fn rounding_should_be_exact_for_every_size() {
	let sizes =
		[0.0, 0.3, 0.5, 0.500_000_06, 1.5, 2.5, 8_388_607.5, 8_388_608.0, 16_777_217.0, f32::MAX, f32::INFINITY];
	let halves = (0..64).map(|i| 4_194_300.0 + 0.5 * i as f32);
	for x in sizes.into_iter().chain(halves).flat_map(|x| [x, -x]) {
		assert_eq!(round_half_even(x).to_bits(), libm::rintf(x).to_bits(), "{x}");
		assert_eq!(floor(x), libm::floorf(x), "{x}");
	}
	assert!(round_half_even(f32::NAN).is_nan() && floor(f32::NAN).is_nan());
}

#[test]
fn max_should_not_depend_on_order() {
	let values = [f32::NAN, -0.0, 0.0, 1.0, -1.0, f32::INFINITY, f32::NEG_INFINITY];
	for a in values {
		for b in values {
			for f in [max, min] {
				assert_eq!(store(f(a, b)), store(f(b, a)), "{a} {b}");
				assert_eq!(f(a, b).is_nan(), a.is_nan() || b.is_nan());
			}
		}
	}
	assert_eq!(max(-0.0, -0.0).to_bits(), 0);
	assert_eq!(relu(-0.0).to_bits(), (-0.0f32).to_bits());
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(20_000))]
	#[test]
	fn fma_and_sqrt_should_equal_libm(a: u32, b: u32, c: u32, near in -2i32..3, e in 0u32..3) {
		let f = f32::from_bits;
		prop_assert_eq!(store(fma(f(a), f(b), f(c))), store(libm::fmaf(f(a), f(b), f(c))));
		// Cancellation: c close to -ab, where a second rounding would show.
		let close = f((-(f(a) * f(b))).to_bits().wrapping_add(near as u32).wrapping_sub(e << 23));
		let (native, soft) = (fma(f(a), f(b), close), libm::fmaf(f(a), f(b), close));
		prop_assert!(native.to_bits() == soft.to_bits() || (native.is_nan() && soft.is_nan()));
		prop_assert_eq!(store(sqrt(f(a))), store(libm::sqrtf(f(a))));
	}
}

/// The largest error in units in the last place, over every `stride`th f32.
fn largest_error(f: impl Fn(f32) -> f32, reference: impl Fn(f64) -> f64, stride: usize) -> f64 {
	(0..=u32::MAX)
		.step_by(stride)
		.map(f32::from_bits)
		.filter(|x| x.is_normal())
		.map(|x| (x, f(x), reference(f64::from(x))))
		.filter(|(_, _, exact)| exact.abs() >= f64::from(f32::MIN_POSITIVE) && exact.abs() <= f64::from(f32::MAX))
		.map(|(_, got, exact)| {
			let rounded = exact as f32;
			let ulp = f64::from(f32::from_bits(rounded.abs().to_bits() + 1)) - f64::from(rounded.abs());
			(f64::from(got) - exact).abs() / ulp
		})
		.fold(0.0, f64::max)
}

#[test]
fn rarer_functions_should_be_within_2_ulp() {
	use crate::double;
	let through = |f: fn(f64) -> f64| move |x: f32| f(f64::from(x)) as f32;
	let stride = if cfg!(debug_assertions) { 99_991 } else { 997 };
	for (name, error) in [
		("log", largest_error(through(double::log), f64::ln, stride)),
		("log1p", largest_error(through(double::log1p), f64::ln_1p, stride)),
		("sin", largest_error(through(double::sin), f64::sin, stride)),
		("cos", largest_error(through(double::cos), f64::cos, stride)),
		("tan", largest_error(through(double::tan), f64::tan, stride)),
		("atan", largest_error(through(double::atan), f64::atan, stride)),
		("pow", largest_error(|x| double::pow(f64::from(x), 1.7) as f32, |x| x.powf(1.7), stride)),
		("erf", largest_error(erf, libm::erf, stride)),
	] {
		std::println!("{name}: {error:.3} ulp");
		assert!(error <= 2.0, "{name}: {error}");
	}
}
