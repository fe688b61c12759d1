//! Eight lanes: AVX2 and FMA.

use super::Simd;
use core::arch::x86_64::*;

/// Eight lanes.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// All bits of the first `n` lanes, from a window into ones and zeros.
#[inline(always)]
unsafe fn mask(n: usize) -> __m256i {
	const ONES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
	// SAFETY: at most 8 is subtracted from 8, so the window is inside.
	unsafe { _mm256_loadu_si256(ONES.as_ptr().add(8 - n.min(8)).cast()) }
}

/// The tree over eight lanes: 4, 2, 1 apart.
#[inline(always)]
pub(super) unsafe fn sum8(x: __m256) -> f32 {
	unsafe {
		let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
		let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
		_mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps::<1>(x, x)))
	}
}

// SAFETY, for every block here: the intrinsics need the instructions, which `Simd`'s callers vouch for, as for pointers.
impl Simd for Avx2 {
	const LANES: usize = 8;
	type F = __m256;

	#[inline(always)]
	unsafe fn splat(x: f32) -> Self::F {
		unsafe { _mm256_set1_ps(x) }
	}
	#[inline(always)]
	unsafe fn load(p: *const f32) -> Self::F {
		unsafe { _mm256_loadu_ps(p) }
	}
	#[inline(always)]
	unsafe fn store(p: *mut f32, x: Self::F) {
		unsafe { _mm256_storeu_ps(p, x) }
	}
	#[inline(always)]
	unsafe fn load_n(p: *const f32, n: usize) -> Self::F {
		unsafe { _mm256_maskload_ps(p, mask(n)) }
	}
	#[inline(always)]
	unsafe fn store_n(p: *mut f32, n: usize, x: Self::F) {
		unsafe { _mm256_maskstore_ps(p, mask(n), x) }
	}
	#[inline(always)]
	unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
		unsafe { _mm256_add_ps(a, b) }
	}
	#[inline(always)]
	unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
		unsafe { _mm256_sub_ps(a, b) }
	}
	#[inline(always)]
	unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
		unsafe { _mm256_mul_ps(a, b) }
	}
	#[inline(always)]
	unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
		unsafe { _mm256_div_ps(a, b) }
	}
	#[inline(always)]
	unsafe fn sqrt(a: Self::F) -> Self::F {
		unsafe { _mm256_sqrt_ps(a) }
	}
	#[inline(always)]
	unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
		unsafe { _mm256_fmadd_ps(a, b, c) }
	}
	#[inline(always)]
	unsafe fn neg(a: Self::F) -> Self::F {
		unsafe { _mm256_xor_ps(a, _mm256_set1_ps(-0.0)) }
	}
	#[inline(always)]
	unsafe fn abs(a: Self::F) -> Self::F {
		unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), a) }
	}
	#[inline(always)]
	unsafe fn flush(a: Self::F) -> Self::F {
		unsafe {
			// By bits: without the sign, subnormals are the integers from 1 to 2^23 - 1.
			let bits = _mm256_and_si256(_mm256_castps_si256(a), _mm256_set1_epi32(0x7fff_ffff));
			let below = _mm256_cmpgt_epi32(_mm256_set1_epi32(0x0080_0000), bits);
			let above = _mm256_cmpgt_epi32(bits, _mm256_setzero_si256());
			_mm256_andnot_ps(_mm256_castsi256_ps(_mm256_and_si256(below, above)), a)
		}
	}
	#[inline(always)]
	unsafe fn relu(a: Self::F) -> Self::F {
		// The instruction gives its second operand where one is NaN or both are zeros.
		unsafe { _mm256_max_ps(_mm256_setzero_ps(), a) }
	}
	#[inline(always)]
	unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
		unsafe {
			let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a);
			_mm256_add_ps(_mm256_blendv_ps(_mm256_max_ps(a, b), a, nan), _mm256_setzero_ps())
		}
	}
	#[inline(always)]
	unsafe fn larger(a: Self::F, b: Self::F) -> Self::F {
		// The instruction gives its second operand where one is NaN; where the new one is NaN, that is taken.
		unsafe { _mm256_blendv_ps(_mm256_max_ps(b, a), b, _mm256_cmp_ps::<_CMP_UNORD_Q>(b, b)) }
	}
	#[inline(always)]
	unsafe fn min(a: Self::F, b: Self::F) -> Self::F {
		unsafe {
			let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a);
			_mm256_add_ps(_mm256_blendv_ps(_mm256_min_ps(a, b), a, nan), _mm256_setzero_ps())
		}
	}
	#[inline(always)]
	unsafe fn if_less(a: Self::F, b: Self::F, x: Self::F, y: Self::F) -> Self::F {
		unsafe { _mm256_blendv_ps(y, x, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b)) }
	}
	#[inline(always)]
	unsafe fn if_nan(a: Self::F, y: Self::F) -> Self::F {
		unsafe { _mm256_blendv_ps(y, a, _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a)) }
	}
	#[inline(always)]
	unsafe fn with_sign(a: Self::F, s: Self::F) -> Self::F {
		unsafe { _mm256_or_ps(a, _mm256_and_ps(s, _mm256_set1_ps(-0.0))) }
	}
	#[inline(always)]
	unsafe fn scale(y: Self::F, n: Self::F) -> Self::F {
		unsafe {
			let n = _mm256_cvtps_epi32(n);
			let half = _mm256_srai_epi32::<1>(n);
			let bias = _mm256_set1_epi32(127);
			let first = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(half, bias)));
			let rest = _mm256_add_epi32(_mm256_sub_epi32(n, half), bias);
			_mm256_mul_ps(_mm256_mul_ps(y, first), _mm256_castsi256_ps(_mm256_slli_epi32::<23>(rest)))
		}
	}
	#[inline(always)]
	unsafe fn prefetch(p: *const f32) {
		unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
	}
	#[inline(always)]
	unsafe fn add_lanes(lanes: &mut [Self::F; 4], p: *const f32, n: usize) {
		unsafe {
			lanes[0] = _mm256_add_ps(lanes[0], Self::load_n(p, n));
			lanes[1] = _mm256_add_ps(lanes[1], Self::load_n(p.wrapping_add(8), n.saturating_sub(8)));
		}
	}
	#[inline(always)]
	unsafe fn sum_lanes(lanes: &[Self::F; 4]) -> f32 {
		unsafe { sum8(_mm256_add_ps(lanes[0], lanes[1])) }
	}
	#[inline(always)]
	unsafe fn largest(x: Self::F) -> f32 {
		unsafe {
			let x = Self::larger(x, _mm256_permute2f128_ps::<1>(x, x));
			let x = Self::larger(x, _mm256_shuffle_ps::<0b0100_1110>(x, x));
			_mm256_cvtss_f32(Self::larger(x, _mm256_shuffle_ps::<0b1011_0001>(x, x)))
		}
	}
	#[inline(always)]
	unsafe fn transpose(rows: &mut [Self::F; 16]) {
		unsafe {
			let mut a = *rows;
			for i in (0..8).step_by(2) {
				a[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
				a[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
			}
			let mut b = a;
			for i in (0..8).step_by(4) {
				for j in 0..2 {
					b[i + 2 * j] = _mm256_shuffle_ps::<0x44>(a[i + j], a[i + j + 2]);
					b[i + 2 * j + 1] = _mm256_shuffle_ps::<0xee>(a[i + j], a[i + j + 2]);
				}
			}
			for i in 0..4 {
				rows[i] = _mm256_permute2f128_ps::<0x20>(b[i], b[i + 4]);
				rows[i + 4] = _mm256_permute2f128_ps::<0x31>(b[i], b[i + 4]);
			}
		}
	}
	#[inline(always)]
	unsafe fn canonical(a: Self::F) -> Self::F {
		let nan = f32::from_bits(assay_semantics::float::NAN_BITS);
		unsafe { _mm256_blendv_ps(a, _mm256_set1_ps(nan), _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a)) }
	}
	#[inline(always)]
	unsafe fn any_subnormal(a: Self::F) -> bool {
		unsafe {
			let bits = _mm256_and_si256(_mm256_castps_si256(a), _mm256_set1_epi32(0x7fff_ffff));
			let below = _mm256_cmpgt_epi32(_mm256_set1_epi32(0x0080_0000), bits);
			let above = _mm256_cmpgt_epi32(bits, _mm256_setzero_si256());
			_mm256_testz_si256(below, above) == 0
		}
	}
}
