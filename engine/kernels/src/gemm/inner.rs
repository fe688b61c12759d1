//! The loop over one run of a reduction: every element of a row times the elements of the panels, into registers.
//!
//! For AVX-512 the loop is written in assembly. The compiler's own has all sums in registers too, but so much address
//! arithmetic between the products that they wait for it: a tenth of the time.

use super::micro::Tile;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Portable, Simd};

/// An instruction set that has tiles of this size.
pub(super) trait Inner<const MR: usize, const NV: usize>: Simd {
	/// Takes the runs of a tile into the sums.
	///
	/// # Safety
	///
	/// The instructions are there, and the operands of the tile are valid.
	unsafe fn sum(acc: &mut [[Self::F; NV]; MR], t: &Tile);
}

/// The loop as the compiler makes it.
///
/// # Safety
///
/// As [`Inner::sum`].
#[inline(always)]
unsafe fn plain<S: Simd, const MR: usize, const NV: usize>(acc: &mut [[S::F; NV]; MR], t: &Tile) {
	let (mut b, mut next) = (t.b, t.next);
	// SAFETY: the caller's.
	unsafe {
		for run in t.runs {
			let mut a = t.a.add(run.offset);
			for _ in 0..run.len {
				S::prefetch(next);
				next = next.wrapping_add(t.ahead);
				let mut vectors = [S::splat(0.0); NV];
				for (j, vector) in vectors.iter_mut().enumerate() {
					*vector = S::load(b.add((j / 2) * t.panel + (j % 2) * S::LANES));
				}
				for (i, row) in acc.iter_mut().enumerate() {
					let x = S::splat(*a.add(i * t.lda));
					for (acc, vector) in row.iter_mut().zip(&vectors) {
						*acc = S::fma(x, *vector, *acc);
					}
				}
				a = a.add(1);
				b = b.add(2 * S::LANES);
			}
		}
	}
}

macro_rules! plain {
	($simd:ty: $($nv:literal)*) => {$(
		impl<const MR: usize> Inner<MR, $nv> for $simd {
			#[inline(always)]
			unsafe fn sum(acc: &mut [[Self::F; $nv]; MR], t: &Tile) {
				// SAFETY: the caller's.
				unsafe { plain::<$simd, MR, $nv>(acc, t) }
			}
		}
	)*};
}

plain!(Portable: 1 2 4 8);
#[cfg(target_arch = "x86_64")]
plain!(Avx2: 1 2 4 8);
#[cfg(target_arch = "x86_64")]
plain!(Avx512: 1 8);

/// The products of one element: the panels' vectors, then each row's element in all lanes times these. With two panels
/// there is no register for the last vector, which is read again for each row.
#[cfg(target_arch = "x86_64")]
macro_rules! element {
	(2, $a:literal, $b:literal, $(($i:tt $address:tt $x:tt 0 $y:tt 1))*) => {
		concat!(
			"vmovups zmm30, zmmword ptr [{b} + ", $b, "]\n",
			"vmovups zmm31, zmmword ptr [{b} + ", $b, " + 64]\n",
			$(
				"vbroadcastss zmm28, dword ptr [", $address, " + ", $a, "]\n",
				"vfmadd231ps ", $x, ", zmm28, zmm30\n",
				"vfmadd231ps ", $y, ", zmm28, zmm31\n",
			)*
		)
	};
	(4, $a:literal, $b:literal, $(($i:tt $address:tt $x:tt 0 $y:tt 1 $z:tt 2 $w:tt 3))*) => {
		concat!(
			"vmovups zmm28, zmmword ptr [{b} + ", $b, "]\n",
			"vmovups zmm29, zmmword ptr [{b} + ", $b, " + 64]\n",
			"vmovups zmm30, zmmword ptr [{b} + {panel} + ", $b, "]\n",
			$(
				"vbroadcastss zmm31, dword ptr [", $address, " + ", $a, "]\n",
				"vfmadd231ps ", $x, ", zmm31, zmm28\n",
				"vfmadd231ps ", $y, ", zmm31, zmm29\n",
				"vfmadd231ps ", $z, ", zmm31, zmm30\n",
				"vfmadd231ps ", $w, ", zmm31, zmmword ptr [{b} + {panel} + ", $b, " + 64]\n",
			)*
		)
	};
}

/// A tile whose loop is assembly: a number of rows (the length of the list), each with its address and its sums.
///
/// Two elements a round. In the first rounds the next tile's outputs are asked for, row by row, in the others what is to
/// come next. What the rounds do not need lies in memory: the registers are used up.
#[cfg(target_arch = "x86_64")]
macro_rules! tile {
	($nv:tt $(($i:tt $address:tt $($reg:tt $j:tt)*))*) => {
		impl Inner<{ [$($i),*].len() }, $nv> for Avx512 {
			#[inline]
			#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
			unsafe fn sum(acc: &mut [[Self::F; $nv]; { [$($i),*].len() }], t: &Tile) {
				let runs = t.runs.as_ptr_range();
				let mut memory = [
					runs.start as usize,
					runs.end as usize,
					t.a as usize,
					// Three rows share a pointer, from which the addressing modes reach them.
					12 * t.lda,
					t.next_rows,
					4 * t.ldc,
					// The run's elements, and its rounds of the second kind.
					0,
					0,
					t.next_c as usize,
					t.next_c.wrapping_offset(t.next_tensor) as usize,
					t.next as usize,
					4 * t.ahead,
				];
				// SAFETY: reads the operands of the tile, which the caller vouches for; writes registers and `memory`.
				// Prefetches may have any address.
				unsafe {
					core::arch::asm!(
						"2:",
						"mov {n}, qword ptr [{m}]",
						"cmp {n}, qword ptr [{m} + 8]",
						"je 9f",
						"mov {p0}, qword ptr [{n}]",
						"mov {y}, qword ptr [{n} + 8]",
						"add {n}, 16",
						"mov qword ptr [{m}], {n}",
						"mov {x}, qword ptr [{m} + 16]",
						"lea {p0}, [{x} + 4*{p0}]",
						"mov {x}, qword ptr [{m} + 24]",
						"lea {p1}, [{p0} + {x}]",
						"lea {p2}, [{p1} + {x}]",
						"lea {p3}, [{p2} + {x}]",
						"lea {p4}, [{p3} + {x}]",
						"mov qword ptr [{m} + 48], {y}",
						"shr {y}, 1",
						"mov {n}, qword ptr [{m} + 32]",
						"cmp {n}, {y}",
						"cmova {n}, {y}",
						"sub qword ptr [{m} + 32], {n}",
						"sub {y}, {n}",
						"mov qword ptr [{m} + 56], {y}",
						"test {n}, {n}",
						"jz 4f",
						"mov {x}, qword ptr [{m} + 64]",
						"mov {y}, qword ptr [{m} + 72]",
						"3:",
						"prefetcht0 [{x}]",
						"prefetcht0 [{x} + 64]",
						"prefetcht0 [{y}]",
						"prefetcht0 [{y} + 64]",
						"add {x}, qword ptr [{m} + 40]",
						"add {y}, qword ptr [{m} + 40]",
						element!($nv, "0", "0", $(($i $address $($reg $j)*))*),
						element!($nv, "4", "128", $(($i $address $($reg $j)*))*),
						"add {p0}, 8",
						"add {p1}, 8",
						"add {p2}, 8",
						"add {p3}, 8",
						"add {p4}, 8",
						"add {b}, 256",
						"dec {n}",
						"jnz 3b",
						"mov qword ptr [{m} + 64], {x}",
						"mov qword ptr [{m} + 72], {y}",
						"4:",
						"mov {n}, qword ptr [{m} + 56]",
						"test {n}, {n}",
						"jz 6f",
						"mov {x}, qword ptr [{m} + 80]",
						"mov {y}, qword ptr [{m} + 88]",
						"5:",
						"prefetcht1 [{x}]",
						"prefetcht1 [{x} + {y}]",
						"lea {x}, [{x} + 2*{y}]",
						element!($nv, "0", "0", $(($i $address $($reg $j)*))*),
						element!($nv, "4", "128", $(($i $address $($reg $j)*))*),
						"add {p0}, 8",
						"add {p1}, 8",
						"add {p2}, 8",
						"add {p3}, 8",
						"add {p4}, 8",
						"add {b}, 256",
						"dec {n}",
						"jnz 5b",
						"mov qword ptr [{m} + 80], {x}",
						"6:",
						"test byte ptr [{m} + 48], 1",
						"jz 2b",
						element!($nv, "0", "0", $(($i $address $($reg $j)*))*),
						"add {b}, 128",
						"jmp 2b",
						"9:",
						"/* {lda} {panel} */",
						p0 = out(reg) _,
						p1 = out(reg) _,
						p2 = out(reg) _,
						p3 = out(reg) _,
						p4 = out(reg) _,
						x = out(reg) _,
						y = out(reg) _,
						n = out(reg) _,
						m = in(reg) memory.as_mut_ptr(),
						b = inout(reg) t.b => _,
						lda = in(reg) 4 * t.lda,
						panel = in(reg) 4 * t.panel,
						$($(inout($reg) acc[$i][$j],)*)*
						out("zmm28") _, out("zmm29") _, out("zmm30") _, out("zmm31") _,
						options(nostack),
					);
				}
			}
		}
	};
}

/// Tiles of one row, of two, and so on.
#[cfg(target_arch = "x86_64")]
macro_rules! tiles {
	($nv:tt [$($done:tt)*]) => {};
	($nv:tt [$($done:tt)*] $row:tt $($rest:tt)*) => {
		tile!($nv $($done)* $row);
		tiles!($nv [$($done)* $row] $($rest)*);
	};
}

#[cfg(target_arch = "x86_64")]
tiles!(2 []
	(0 "{p0}" "zmm0" 0 "zmm1" 1)
	(1 "{p0} + {lda}" "zmm2" 0 "zmm3" 1)
	(2 "{p0} + 2*{lda}" "zmm4" 0 "zmm5" 1)
	(3 "{p1}" "zmm6" 0 "zmm7" 1)
	(4 "{p1} + {lda}" "zmm8" 0 "zmm9" 1)
	(5 "{p1} + 2*{lda}" "zmm10" 0 "zmm11" 1)
	(6 "{p2}" "zmm12" 0 "zmm13" 1)
	(7 "{p2} + {lda}" "zmm14" 0 "zmm15" 1)
	(8 "{p2} + 2*{lda}" "zmm16" 0 "zmm17" 1)
	(9 "{p3}" "zmm18" 0 "zmm19" 1)
	(10 "{p3} + {lda}" "zmm20" 0 "zmm21" 1)
	(11 "{p3} + 2*{lda}" "zmm22" 0 "zmm23" 1)
	(12 "{p4}" "zmm24" 0 "zmm25" 1)
	(13 "{p4} + {lda}" "zmm26" 0 "zmm27" 1)
);
#[cfg(target_arch = "x86_64")]
tiles!(4 []
	(0 "{p0}" "zmm0" 0 "zmm1" 1 "zmm2" 2 "zmm3" 3)
	(1 "{p0} + {lda}" "zmm4" 0 "zmm5" 1 "zmm6" 2 "zmm7" 3)
	(2 "{p0} + 2*{lda}" "zmm8" 0 "zmm9" 1 "zmm10" 2 "zmm11" 3)
	(3 "{p1}" "zmm12" 0 "zmm13" 1 "zmm14" 2 "zmm15" 3)
	(4 "{p1} + {lda}" "zmm16" 0 "zmm17" 1 "zmm18" 2 "zmm19" 3)
	(5 "{p1} + 2*{lda}" "zmm20" 0 "zmm21" 1 "zmm22" 2 "zmm23" 3)
	(6 "{p2}" "zmm24" 0 "zmm25" 1 "zmm26" 2 "zmm27" 3)
);
