//! Sixteen lanes: AVX-512 F, DQ, BW and VL.

use super::Simd;
use core::arch::x86_64::*;

/// Sixteen lanes.
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

#[inline(always)]
fn mask(n: usize) -> __mmask16 {
	if n >= 16 {
		0xffff
	} else {
		(1u16 << n) - 1
	}
}

// SAFETY, for every block here: the intrinsics need the instructions, which `Simd`'s callers vouch for, as for pointers.
impl Simd for Avx512 {
	const LANES: usize = 16;
	type F = __m512;

	#[inline(always)]
	unsafe fn splat(x: f32) -> Self::F {
		unsafe { _mm512_set1_ps(x) }
	}
	#[inline(always)]
	unsafe fn load(p: *const f32) -> Self::F {
		unsafe { _mm512_loadu_ps(p) }
	}
	#[inline(always)]
	unsafe fn store(p: *mut f32, x: Self::F) {
		unsafe { _mm512_storeu_ps(p, x) }
	}
	#[inline(always)]
	unsafe fn load_n(p: *const f32, n: usize) -> Self::F {
		unsafe { _mm512_maskz_loadu_ps(mask(n), p) }
	}
	#[inline(always)]
	unsafe fn store_n(p: *mut f32, n: usize, x: Self::F) {
		unsafe { _mm512_mask_storeu_ps(p, mask(n), x) }
	}
	#[inline(always)]
	unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
		unsafe { _mm512_add_ps(a, b) }
	}
	#[inline(always)]
	unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
		unsafe { _mm512_sub_ps(a, b) }
	}
	#[inline(always)]
	unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
		unsafe { _mm512_mul_ps(a, b) }
	}
	#[inline(always)]
	unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
		unsafe { _mm512_div_ps(a, b) }
	}
	#[inline(always)]
	unsafe fn sqrt(a: Self::F) -> Self::F {
		unsafe { _mm512_sqrt_ps(a) }
	}
	#[inline(always)]
	unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
		unsafe { _mm512_fmadd_ps(a, b, c) }
	}
	#[inline(always)]
	unsafe fn neg(a: Self::F) -> Self::F {
		unsafe { _mm512_xor_ps(a, _mm512_set1_ps(-0.0)) }
	}
	#[inline(always)]
	unsafe fn abs(a: Self::F) -> Self::F {
		unsafe { _mm512_andnot_ps(_mm512_set1_ps(-0.0), a) }
	}
	#[inline(always)]
	unsafe fn flush(a: Self::F) -> Self::F {
		// Class 0x20: subnormals of either sign.
		unsafe { _mm512_mask_mov_ps(a, _mm512_fpclass_ps_mask::<0x20>(a), _mm512_setzero_ps()) }
	}
	#[inline(always)]
	unsafe fn relu(a: Self::F) -> Self::F {
		// The instruction gives its second operand where one is NaN or both are zeros.
		unsafe { _mm512_max_ps(_mm512_setzero_ps(), a) }
	}
	#[inline(always)]
	unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
		unsafe {
			let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a);
			_mm512_add_ps(_mm512_mask_mov_ps(_mm512_max_ps(a, b), nan, a), _mm512_setzero_ps())
		}
	}
	#[inline(always)]
	unsafe fn larger(a: Self::F, b: Self::F) -> Self::F {
		// The instruction gives its second operand where one is NaN; where the new one is NaN, that is taken.
		unsafe { _mm512_mask_max_ps(b, _mm512_cmp_ps_mask::<_CMP_ORD_Q>(b, b), b, a) }
	}
	#[inline(always)]
	unsafe fn min(a: Self::F, b: Self::F) -> Self::F {
		unsafe {
			let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a);
			_mm512_add_ps(_mm512_mask_mov_ps(_mm512_min_ps(a, b), nan, a), _mm512_setzero_ps())
		}
	}
	#[inline(always)]
	unsafe fn if_less(a: Self::F, b: Self::F, x: Self::F, y: Self::F) -> Self::F {
		unsafe { _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), x) }
	}
	#[inline(always)]
	unsafe fn if_nan(a: Self::F, y: Self::F) -> Self::F {
		unsafe { _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a), a) }
	}
	#[inline(always)]
	unsafe fn with_sign(a: Self::F, s: Self::F) -> Self::F {
		unsafe { _mm512_or_ps(a, _mm512_and_ps(s, _mm512_set1_ps(-0.0))) }
	}
	#[inline(always)]
	unsafe fn scale(y: Self::F, n: Self::F) -> Self::F {
		unsafe {
			let n = _mm512_cvtps_epi32(n);
			let half = _mm512_srai_epi32::<1>(n);
			let bias = _mm512_set1_epi32(127);
			let first = _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_add_epi32(half, bias)));
			let rest = _mm512_add_epi32(_mm512_sub_epi32(n, half), bias);
			_mm512_mul_ps(_mm512_mul_ps(y, first), _mm512_castsi512_ps(_mm512_slli_epi32::<23>(rest)))
		}
	}
	#[inline(always)]
	unsafe fn prefetch(p: *const f32) {
		unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
	}
	#[inline(always)]
	unsafe fn add_lanes(lanes: &mut [Self::F; 4], p: *const f32, n: usize) {
		unsafe { lanes[0] = _mm512_add_ps(lanes[0], Self::load_n(p, n)) }
	}
	#[inline(always)]
	unsafe fn sum_lanes(lanes: &[Self::F; 4]) -> f32 {
		unsafe {
			let x = lanes[0];
			let low = _mm512_castps512_ps256(x);
			let high = _mm512_extractf32x8_ps::<1>(x);
			super::avx2::sum8(_mm256_add_ps(low, high))
		}
	}
	#[inline(always)]
	unsafe fn largest(x: Self::F) -> f32 {
		unsafe {
			let x = Self::larger(x, _mm512_shuffle_f32x4::<0b0100_1110>(x, x));
			let x = Self::larger(x, _mm512_shuffle_f32x4::<0b1011_0001>(x, x));
			let x = Self::larger(x, _mm512_shuffle_ps::<0b0100_1110>(x, x));
			_mm512_cvtss_f32(Self::larger(x, _mm512_shuffle_ps::<0b1011_0001>(x, x)))
		}
	}
	#[inline(always)]
	unsafe fn transpose(rows: &mut [Self::F; 16]) {
		unsafe {
			let mut a = *rows;
			// Pairs of rows, then of pairs: each 128 bits then have four rows' elements of one column.
			for i in (0..16).step_by(2) {
				a[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
				a[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
			}
			let pair = |x, y| (_mm512_castps_pd(x), _mm512_castps_pd(y));
			let mut b = a;
			for i in (0..16).step_by(4) {
				for j in 0..2 {
					let (x, y) = pair(a[i + j], a[i + j + 2]);
					b[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y));
					b[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
				}
			}
			// The 128 bits themselves, four by four.
			for i in 0..4 {
				let (x, y) = (b[i], b[i + 4]);
				let (z, w) = (b[i + 8], b[i + 12]);
				let (even, odd) = (_mm512_shuffle_f32x4::<0x88>(x, y), _mm512_shuffle_f32x4::<0xdd>(x, y));
				let (even2, odd2) = (_mm512_shuffle_f32x4::<0x88>(z, w), _mm512_shuffle_f32x4::<0xdd>(z, w));
				rows[i] = _mm512_shuffle_f32x4::<0x88>(even, even2);
				rows[i + 4] = _mm512_shuffle_f32x4::<0x88>(odd, odd2);
				rows[i + 8] = _mm512_shuffle_f32x4::<0xdd>(even, even2);
				rows[i + 12] = _mm512_shuffle_f32x4::<0xdd>(odd, odd2);
			}
		}
	}
	#[inline(always)]
	unsafe fn canonical(a: Self::F) -> Self::F {
		let nan = f32::from_bits(assay_semantics::float::NAN_BITS);
		unsafe { _mm512_mask_mov_ps(a, _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a), _mm512_set1_ps(nan)) }
	}
	#[inline(always)]
	unsafe fn any_subnormal(a: Self::F) -> bool {
		unsafe { _mm512_fpclass_ps_mask::<0x20>(a) != 0 }
	}
}
