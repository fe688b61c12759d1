//! Vectors of f32, one type for each instruction set, with the operations that the kernels are made of.
//!
//! Kernels are written once over [`Simd`] and compiled for each instruction set by [`kernel!`](crate::kernel). Every
//! operation is a correctly rounded one of IEEE 754, a comparison or a movement, so each lane has the bits that the scalar
//! semantics has; NaN may have any payload inside, and becomes canonical where bits can be observed.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use portable::Portable;

/// The smallest normal f32.
pub(crate) const TINY: f32 = f32::MIN_POSITIVE;

/// A vector instruction set.
///
/// All functions are unsafe for one reason: the machine must have the instructions, which the caller knows because
/// [`crate::Isa`] is only made after asking. Those that take pointers need [`Simd::LANES`] elements (or the `n` given)
/// behind them; no alignment is needed.
pub(crate) trait Simd: Copy + 'static {
	/// Lanes of a vector.
	const LANES: usize;
	/// A vector.
	type F: Copy;

	unsafe fn splat(x: f32) -> Self::F;
	unsafe fn load(p: *const f32) -> Self::F;
	unsafe fn store(p: *mut f32, x: Self::F);
	/// The first `n` lanes, at most all; the others are +0.
	unsafe fn load_n(p: *const f32, n: usize) -> Self::F;
	unsafe fn store_n(p: *mut f32, n: usize, x: Self::F);
	unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
	unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
	unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
	unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
	unsafe fn sqrt(a: Self::F) -> Self::F;
	/// `a * b + c`, rounded once.
	unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
	unsafe fn neg(a: Self::F) -> Self::F;
	unsafe fn abs(a: Self::F) -> Self::F;
	/// Subnormals as +0; all else as it is.
	unsafe fn flush(a: Self::F) -> Self::F;
	/// `x < 0 ? +0 : x`; keeps NaN and -0.
	unsafe fn relu(a: Self::F) -> Self::F;
	/// The larger; any NaN gives NaN; +0 added once.
	unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
	/// The larger; any NaN gives NaN; of two zeros either one.
	unsafe fn larger(a: Self::F, b: Self::F) -> Self::F;
	/// The smaller; any NaN gives NaN; +0 added once.
	unsafe fn min(a: Self::F, b: Self::F) -> Self::F;
	/// `a < b ? x : y`, lane by lane; `y` where one is NaN.
	unsafe fn if_less(a: Self::F, b: Self::F, x: Self::F, y: Self::F) -> Self::F;
	/// `a` where it is NaN, else `y`.
	unsafe fn if_nan(a: Self::F, y: Self::F) -> Self::F;
	/// `a` with the sign of `s`; `a` is not negative.
	unsafe fn with_sign(a: Self::F, s: Self::F) -> Self::F;
	/// `y * 2^(n >> 1) * 2^(n - (n >> 1))` for integers `n` from -150 to 129.
	unsafe fn scale(y: Self::F, n: Self::F) -> Self::F;
	/// Asks for a line of the cache. Reads nothing: any pointer will do.
	unsafe fn prefetch(p: *const f32);
	/// The lanes as 16 of which each chain of a sum takes every sixteenth element: adds `16 / LANES` vectors from `p`.
	unsafe fn add_lanes(lanes: &mut [Self::F; 4], p: *const f32, n: usize);
	/// The tree over the 16 lanes: 8, 4, 2, 1 apart.
	unsafe fn sum_lanes(lanes: &[Self::F; 4]) -> f32;
	/// The largest lane; any NaN gives NaN; of two zeros either one.
	unsafe fn largest(x: Self::F) -> f32;
	/// Swaps rows and columns of the first [`Simd::LANES`] vectors.
	unsafe fn transpose(rows: &mut [Self::F; 16]);
	/// Whether any lane is subnormal.
	unsafe fn any_subnormal(a: Self::F) -> bool;
	/// The canonical NaN for NaN, else as it is.
	unsafe fn canonical(a: Self::F) -> Self::F;
}

/// [`assay_semantics::float::exp`] in every lane.
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd>(x: S::F) -> S::F {
	// SAFETY: the caller vouches for the instructions.
	unsafe {
		const LOG2_E: f32 = f32::from_bits(0x3fb8_aa3b);
		const LN2_HI: f32 = f32::from_bits(0x3f31_7218);
		const LN2_LO: f32 = f32::from_bits(0xb102_e308);
		const ROUND: f32 = 12_582_912.0;
		const Q: [u32; 5] = [0x3eff_fffe, 0x3e2a_aa49, 0x3d2a_ac59, 0x3c09_1cc7, 0x3ab5_259b];
		let (low, high) = (S::splat(-104.0), S::splat(89.0));
		let z = S::if_less(x, low, low, x);
		let z = S::if_less(high, z, high, z);
		let round = S::splat(ROUND);
		let n = S::sub(S::add(S::mul(z, S::splat(LOG2_E)), round), round);
		let r = S::fma(n, S::splat(-LN2_LO), S::fma(n, S::splat(-LN2_HI), z));
		let mut y = S::splat(f32::from_bits(Q[4]));
		y = S::fma(y, r, S::splat(f32::from_bits(Q[3])));
		y = S::fma(y, r, S::splat(f32::from_bits(Q[2])));
		y = S::fma(y, r, S::splat(f32::from_bits(Q[1])));
		y = S::fma(y, r, S::splat(f32::from_bits(Q[0])));
		y = S::fma(y, r, S::splat(1.0));
		y = S::fma(y, r, S::splat(1.0));
		S::if_nan(x, S::scale(y, n))
	}
}

/// [`assay_semantics::float::exp_softmax`] in every lane.
#[inline(always)]
pub(crate) unsafe fn exp_softmax<S: Simd>(x: S::F) -> S::F {
	// SAFETY: the caller vouches for the instructions.
	unsafe {
		let y = exp::<S>(x);
		S::if_less(y, S::splat(f32::from_bits((127 - 64) << 23)), S::splat(0.0), y)
	}
}

/// [`assay_semantics::float::sigmoid`] in every lane.
#[inline(always)]
pub(crate) unsafe fn sigmoid<S: Simd>(x: S::F) -> S::F {
	// SAFETY: the caller vouches for the instructions.
	unsafe {
		let one = S::splat(1.0);
		S::div(one, S::add(one, exp::<S>(S::neg(x))))
	}
}

/// [`assay_semantics::float::tanh`] in every lane.
#[inline(always)]
pub(crate) unsafe fn tanh<S: Simd>(x: S::F) -> S::F {
	// SAFETY: the caller vouches for the instructions.
	unsafe {
		const P: [f32; 5] = [-5.704_988_7e-3, 2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1];
		let a = S::abs(x);
		let z = S::mul(x, x);
		let mut p = S::splat(P[0]);
		p = S::fma(p, z, S::splat(P[1]));
		p = S::fma(p, z, S::splat(P[2]));
		p = S::fma(p, z, S::splat(P[3]));
		p = S::fma(p, z, S::splat(P[4]));
		let small = S::fma(S::mul(p, z), x, x);
		let one = S::splat(1.0);
		let e = S::add(exp::<S>(S::mul(S::splat(2.0), a)), one);
		let large = S::sub(one, S::div(S::splat(2.0), e));
		let large = S::with_sign(large, x);
		S::if_nan(x, S::if_less(a, S::splat(0.625), small, large))
	}
}

/// [`assay_semantics::float::erf`] in every lane.
#[inline(always)]
pub(crate) unsafe fn erf<S: Simd>(x: S::F) -> S::F {
	// SAFETY: the caller vouches for the instructions.
	unsafe {
		const P: [u32; 8] =
			[0x3e03_75d4, 0xbec0_93a3, 0x3de7_1784, 0xbcdc_14d4, 0x3bab_1477, 0xba5e_5f4d, 0x38ec_1348, 0xb721_c200];
		const Q: [u32; 8] =
			[0xb945_9f6e, 0x3f90_9616, 0x3f22_1a78, 0x3dde_0c68, 0xbcce_85eb, 0x3b89_cc7f, 0xb9e7_757e, 0x37b6_0353];
		let (a, z) = (S::abs(x), S::mul(x, x));
		let (mut p, mut q) = (S::splat(f32::from_bits(P[7])), S::splat(f32::from_bits(Q[7])));
		for i in (0..7).rev() {
			p = S::fma(p, z, S::splat(f32::from_bits(P[i])));
			q = S::fma(q, a, S::splat(f32::from_bits(Q[i])));
		}
		let one = S::splat(1.0);
		let large = S::sub(one, exp::<S>(S::neg(q)));
		let large = S::with_sign(S::if_less(a, S::splat(4.0), large, one), x);
		S::if_nan(x, S::if_less(a, one, S::fma(p, x, x), large))
	}
}

/// Compiles a function over [`Simd`] for each instruction set, and picks one by an [`crate::Isa`].
///
/// `kernel!(fn name(a: A, b: B) -> R = body)` makes `unsafe fn name(isa: Isa, a: A, b: B) -> R` of
/// `unsafe fn body<S: Simd>(a: A, b: B) -> R`.
#[macro_export]
macro_rules! kernel {
	($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident) => {
		$(#[$doc])*
		$vis unsafe fn $name(isa: $crate::Isa, $($arg: $ty),*) $(-> $ret)? {
			#[cfg(target_arch = "x86_64")]
			#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
			unsafe fn avx512($($arg: $ty),*) $(-> $ret)? {
				// SAFETY: the caller's.
				unsafe { $body::<$crate::simd::Avx512>($($arg),*) }
			}
			#[cfg(target_arch = "x86_64")]
			#[target_feature(enable = "avx2,fma")]
			unsafe fn avx2($($arg: $ty),*) $(-> $ret)? {
				// SAFETY: the caller's.
				unsafe { $body::<$crate::simd::Avx2>($($arg),*) }
			}
			// SAFETY: an `Isa` is only made where the machine has its instructions; the rest is the caller's.
			unsafe {
				match isa.get() {
					#[cfg(target_arch = "x86_64")]
					$crate::isa::Kind::Avx512 => avx512($($arg),*),
					#[cfg(target_arch = "x86_64")]
					$crate::isa::Kind::Avx2 => avx2($($arg),*),
					_ => $body::<$crate::simd::Portable>($($arg),*),
				}
			}
		}
	};
}
