//! Vectors of i32 beside those of f32.

#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Portable, Simd};

/// An instruction set with vectors of i32. Unsafe as [`Simd`] is.
pub(super) trait Ints: Simd {
	/// A vector of [`Simd::LANES`] integers.
	type I: Copy;

	unsafe fn splat_i(x: i32) -> Self::I;
	unsafe fn load_i(p: *const i32) -> Self::I;
	/// The first `n` lanes, at most all.
	unsafe fn store_i(p: *mut i32, n: usize, x: Self::I);
	unsafe fn add_i(a: Self::I, b: Self::I) -> Self::I;
	unsafe fn sub_i(a: Self::I, b: Self::I) -> Self::I;
	unsafe fn mul_i(a: Self::I, b: Self::I) -> Self::I;
	/// `acc` and the products of pairs of 16 bits, summed.
	unsafe fn pairs(acc: Self::I, a: Self::I, b: Self::I) -> Self::I;
	/// Rounded to nearest even.
	unsafe fn to_f(a: Self::I) -> Self::F;
	/// Rounded to nearest even. The numbers fit.
	unsafe fn to_i(a: Self::F) -> Self::I;
	/// Toward zero; the nearest i32 where that does not fit, 0 for NaN.
	unsafe fn truncate(a: Self::F) -> Self::I;
	/// Not below `low`, which NaN becomes, nor above `high`.
	unsafe fn clamp(a: Self::F, low: Self::F, high: Self::F) -> Self::F;
	/// Whether a lane is larger than this, with either sign.
	unsafe fn exceeds(a: Self::F, limit: f32) -> bool;
	/// The first `n` bytes, at most one for each lane.
	unsafe fn load_bytes(p: *const u8, n: usize, signed: bool) -> Self::I;
	/// The lowest bytes of the first `n` lanes.
	unsafe fn store_bytes(p: *mut u8, n: usize, x: Self::I);
	/// The first `n` lanes as bytes, clamped.
	unsafe fn store_clamped(p: *mut u8, n: usize, x: Self::I, signed: bool);
}

impl Ints for Portable {
	type I = [i32; 8];

	#[inline(always)]
	unsafe fn splat_i(x: i32) -> Self::I {
		[x; 8]
	}
	#[inline(always)]
	unsafe fn load_i(p: *const i32) -> Self::I {
		// SAFETY: the caller's, as in every block of this implementation.
		unsafe { p.cast::<Self::I>().read() }
	}
	#[inline(always)]
	unsafe fn store_i(p: *mut i32, n: usize, x: Self::I) {
		for (i, x) in x.into_iter().enumerate().take(n) {
			unsafe { *p.add(i) = x };
		}
	}
	#[inline(always)]
	unsafe fn add_i(a: Self::I, b: Self::I) -> Self::I {
		std::array::from_fn(|i| a[i].wrapping_add(b[i]))
	}
	#[inline(always)]
	unsafe fn sub_i(a: Self::I, b: Self::I) -> Self::I {
		std::array::from_fn(|i| a[i].wrapping_sub(b[i]))
	}
	#[inline(always)]
	unsafe fn mul_i(a: Self::I, b: Self::I) -> Self::I {
		std::array::from_fn(|i| a[i].wrapping_mul(b[i]))
	}
	#[inline(always)]
	unsafe fn pairs(acc: Self::I, a: Self::I, b: Self::I) -> Self::I {
		let product = |a: i32, b: i32| {
			let low = i32::from(a as i16) * i32::from(b as i16);
			low.wrapping_add((a >> 16) * (b >> 16))
		};
		std::array::from_fn(|i| acc[i].wrapping_add(product(a[i], b[i])))
	}
	#[inline(always)]
	unsafe fn to_f(a: Self::I) -> Self::F {
		a.map(|x| x as f32)
	}
	#[inline(always)]
	unsafe fn to_i(a: Self::F) -> Self::I {
		a.map(|x| x.round_ties_even() as i32)
	}
	#[inline(always)]
	unsafe fn truncate(a: Self::F) -> Self::I {
		a.map(|x| x as i32)
	}
	#[inline(always)]
	unsafe fn clamp(a: Self::F, low: Self::F, high: Self::F) -> Self::F {
		std::array::from_fn(|i| {
			let x = if a[i] > low[i] { a[i] } else { low[i] };
			if x < high[i] {
				x
			} else {
				high[i]
			}
		})
	}
	#[inline(always)]
	unsafe fn exceeds(a: Self::F, limit: f32) -> bool {
		a.into_iter().any(|x| x.abs() > limit)
	}
	#[inline(always)]
	unsafe fn load_bytes(p: *const u8, n: usize, signed: bool) -> Self::I {
		let mut out = [0; 8];
		for (i, x) in out.iter_mut().enumerate().take(n) {
			let byte = unsafe { *p.add(i) };
			*x = if signed { i32::from(byte as i8) } else { i32::from(byte) };
		}
		out
	}
	#[inline(always)]
	unsafe fn store_bytes(p: *mut u8, n: usize, x: Self::I) {
		for (i, x) in x.into_iter().enumerate().take(n) {
			unsafe { *p.add(i) = x as u8 };
		}
	}
	#[inline(always)]
	unsafe fn store_clamped(p: *mut u8, n: usize, x: Self::I, signed: bool) {
		let (low, high) = if signed { (-128, 127) } else { (0, 255) };
		// SAFETY: the caller's.
		unsafe { Self::store_bytes(p, n, x.map(|x| x.clamp(low, high))) }
	}
}

#[cfg(target_arch = "x86_64")]
mod x86 {
	use super::*;
	use core::arch::x86_64::*;

	/// Up to eight bytes, the others 0.
	#[inline(always)]
	unsafe fn bytes8(p: *const u8, n: usize) -> u64 {
		// SAFETY: the caller's: `n` bytes.
		unsafe {
			if n >= 8 {
				return p.cast::<u64>().read_unaligned();
			}
			let mut bytes = [0; 8];
			std::ptr::copy_nonoverlapping(p, bytes.as_mut_ptr(), n);
			u64::from_le_bytes(bytes)
		}
	}

	// SAFETY, for every block here: the intrinsics need the instructions, which the callers vouch for, as for pointers.
	impl Ints for Avx2 {
		type I = __m256i;

		#[inline(always)]
		unsafe fn splat_i(x: i32) -> Self::I {
			unsafe { _mm256_set1_epi32(x) }
		}
		#[inline(always)]
		unsafe fn load_i(p: *const i32) -> Self::I {
			unsafe { _mm256_loadu_si256(p.cast()) }
		}
		#[inline(always)]
		unsafe fn store_i(p: *mut i32, n: usize, x: Self::I) {
			unsafe {
				if n >= 8 {
					_mm256_storeu_si256(p.cast(), x);
				} else {
					Self::store_n(p.cast(), n, _mm256_castsi256_ps(x));
				}
			}
		}
		#[inline(always)]
		unsafe fn add_i(a: Self::I, b: Self::I) -> Self::I {
			unsafe { _mm256_add_epi32(a, b) }
		}
		#[inline(always)]
		unsafe fn sub_i(a: Self::I, b: Self::I) -> Self::I {
			unsafe { _mm256_sub_epi32(a, b) }
		}
		#[inline(always)]
		unsafe fn mul_i(a: Self::I, b: Self::I) -> Self::I {
			unsafe { _mm256_mullo_epi32(a, b) }
		}
		#[inline(always)]
		unsafe fn pairs(acc: Self::I, a: Self::I, b: Self::I) -> Self::I {
			unsafe { _mm256_add_epi32(acc, _mm256_madd_epi16(a, b)) }
		}
		#[inline(always)]
		unsafe fn to_f(a: Self::I) -> Self::F {
			unsafe { _mm256_cvtepi32_ps(a) }
		}
		#[inline(always)]
		unsafe fn to_i(a: Self::F) -> Self::I {
			unsafe { _mm256_cvtps_epi32(a) }
		}
		#[inline(always)]
		unsafe fn truncate(a: Self::F) -> Self::I {
			unsafe {
				// What does not fit is the smallest number, which is right for numbers below.
				let x = _mm256_cvttps_epi32(a);
				let over = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_GE_OQ>(a, _mm256_set1_ps(2_147_483_648.0)));
				let x = _mm256_blendv_epi8(x, _mm256_set1_epi32(i32::MAX), over);
				_mm256_and_si256(x, _mm256_castps_si256(_mm256_cmp_ps::<_CMP_ORD_Q>(a, a)))
			}
		}
		#[inline(always)]
		unsafe fn clamp(a: Self::F, low: Self::F, high: Self::F) -> Self::F {
			// The instructions give their second operand where one is NaN.
			unsafe { _mm256_min_ps(_mm256_max_ps(a, low), high) }
		}
		#[inline(always)]
		unsafe fn exceeds(a: Self::F, limit: f32) -> bool {
			unsafe {
				let over = _mm256_cmp_ps::<_CMP_GT_OQ>(Self::abs(a), _mm256_set1_ps(limit));
				_mm256_movemask_ps(over) != 0
			}
		}
		#[inline(always)]
		unsafe fn load_bytes(p: *const u8, n: usize, signed: bool) -> Self::I {
			unsafe {
				let x = _mm_cvtsi64_si128(bytes8(p, n) as i64);
				if signed {
					_mm256_cvtepi8_epi32(x)
				} else {
					_mm256_cvtepu8_epi32(x)
				}
			}
		}
		#[inline(always)]
		unsafe fn store_bytes(p: *mut u8, n: usize, x: Self::I) {
			unsafe {
				let low = _mm256_set1_epi32(0x0c08_0400);
				let x = _mm256_shuffle_epi8(x, low);
				let (a, b) = (_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
				let bytes = _mm_cvtsi128_si64(_mm_unpacklo_epi32(a, b)).to_le_bytes();
				std::ptr::copy_nonoverlapping(bytes.as_ptr(), p, n.min(8));
			}
		}
		#[inline(always)]
		unsafe fn store_clamped(p: *mut u8, n: usize, x: Self::I, signed: bool) {
			unsafe {
				let (low, high) = if signed { (-128, 127) } else { (0, 255) };
				let x = _mm256_max_epi32(x, _mm256_set1_epi32(low));
				Self::store_bytes(p, n, _mm256_min_epi32(x, _mm256_set1_epi32(high)));
			}
		}
	}

	#[inline(always)]
	fn mask(n: usize) -> __mmask16 {
		if n >= 16 {
			0xffff
		} else {
			(1u16 << n) - 1
		}
	}

	// SAFETY: as above.
	impl Ints for Avx512 {
		type I = __m512i;

		#[inline(always)]
		unsafe fn splat_i(x: i32) -> Self::I {
			unsafe { _mm512_set1_epi32(x) }
		}
		#[inline(always)]
		unsafe fn load_i(p: *const i32) -> Self::I {
			unsafe { _mm512_loadu_si512(p.cast()) }
		}
		#[inline(always)]
		unsafe fn store_i(p: *mut i32, n: usize, x: Self::I) {
			unsafe {
				if n >= 16 {
					_mm512_storeu_si512(p.cast(), x);
				} else {
					_mm512_mask_storeu_epi32(p, mask(n), x);
				}
			}
		}
		#[inline(always)]
		unsafe fn add_i(a: Self::I, b: Self::I) -> Self::I {
			unsafe { _mm512_add_epi32(a, b) }
		}
		#[inline(always)]
		unsafe fn sub_i(a: Self::I, b: Self::I) -> Self::I {
			unsafe { _mm512_sub_epi32(a, b) }
		}
		#[inline(always)]
		unsafe fn mul_i(a: Self::I, b: Self::I) -> Self::I {
			unsafe { _mm512_mullo_epi32(a, b) }
		}
		#[inline(always)]
		unsafe fn pairs(acc: Self::I, a: Self::I, b: Self::I) -> Self::I {
			unsafe { _mm512_add_epi32(acc, _mm512_madd_epi16(a, b)) }
		}
		#[inline(always)]
		unsafe fn to_f(a: Self::I) -> Self::F {
			unsafe { _mm512_cvtepi32_ps(a) }
		}
		#[inline(always)]
		unsafe fn to_i(a: Self::F) -> Self::I {
			unsafe { _mm512_cvtps_epi32(a) }
		}
		#[inline(always)]
		unsafe fn truncate(a: Self::F) -> Self::I {
			unsafe {
				// What does not fit is the smallest number, which is right for numbers below.
				let x = _mm512_cvttps_epi32(a);
				let over = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(a, _mm512_set1_ps(2_147_483_648.0));
				let x = _mm512_mask_mov_epi32(x, over, _mm512_set1_epi32(i32::MAX));
				_mm512_maskz_mov_epi32(_mm512_cmp_ps_mask::<_CMP_ORD_Q>(a, a), x)
			}
		}
		#[inline(always)]
		unsafe fn clamp(a: Self::F, low: Self::F, high: Self::F) -> Self::F {
			// The instructions give their second operand where one is NaN.
			unsafe { _mm512_min_ps(_mm512_max_ps(a, low), high) }
		}
		#[inline(always)]
		unsafe fn exceeds(a: Self::F, limit: f32) -> bool {
			unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(Self::abs(a), _mm512_set1_ps(limit)) != 0 }
		}
		#[inline(always)]
		unsafe fn load_bytes(p: *const u8, n: usize, signed: bool) -> Self::I {
			unsafe {
				let x = if n >= 16 { _mm_loadu_si128(p.cast()) } else { _mm_maskz_loadu_epi8(mask(n), p.cast()) };
				if signed {
					_mm512_cvtepi8_epi32(x)
				} else {
					_mm512_cvtepu8_epi32(x)
				}
			}
		}
		#[inline(always)]
		unsafe fn store_bytes(p: *mut u8, n: usize, x: Self::I) {
			unsafe {
				let x = _mm512_cvtepi32_epi8(x);
				if n >= 16 {
					_mm_storeu_si128(p.cast(), x);
				} else {
					_mm_mask_storeu_epi8(p.cast(), mask(n), x);
				}
			}
		}
		#[inline(always)]
		unsafe fn store_clamped(p: *mut u8, n: usize, x: Self::I, signed: bool) {
			unsafe {
				let x = match signed {
					true => _mm512_cvtsepi32_epi8(x),
					false => _mm512_cvtusepi32_epi8(_mm512_max_epi32(x, _mm512_setzero_si512())),
				};
				if n >= 16 {
					_mm_storeu_si128(p.cast(), x);
				} else {
					_mm_mask_storeu_epi8(p.cast(), mask(n), x);
				}
			}
		}
	}
}
