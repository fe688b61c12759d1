//! The innermost loop: a tile of a few rows by one or two vectors of sums, through the whole reduction.
//!
//! Both operands are words of 32 bits: four bytes, of which the left ones are unsigned and the right ones signed, or two
//! integers of 16 bits. Sums wrap, so their order is free.

#[cfg(target_arch = "x86_64")]
use super::amx;
use super::{
	finish::{store, Columns, To},
	ints::Ints,
};
#[cfg(target_arch = "x86_64")]
use crate::{
	isa::{Bytes, Kind},
	simd::{Avx2, Avx512},
};
use crate::{
	simd::{Portable, Simd},
	Isa,
};

/// Words of a row that lie together.
pub(super) const BLOCK: usize = 64;

/// One call of the innermost loop.
pub(super) struct Tile {
	/// The left operand: for each block of words the rows' parts, one after the other.
	pub(super) a: *const i32,
	#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
	pub(super) rows: usize,
	/// Words of the reduction.
	pub(super) words: usize,
	/// The panel of the right operand: two vectors for each word.
	pub(super) b: *const i32,
	/// What is read next: a line is asked for with every word. Never read, so it may be anything.
	pub(super) next: *const i32,
	/// The outputs; rows are `ldc` bytes apart.
	pub(super) c: *mut u8,
	pub(super) ldc: usize,
	/// Columns that there are.
	pub(super) columns: usize,
	pub(super) operands: Columns,
	pub(super) to: To,
}

/// How words are multiplied.
trait Family {
	type S: Ints;
	/// `acc` and the products of the words' parts, summed.
	unsafe fn dot(acc: <Self::S as Ints>::I, a: <Self::S as Ints>::I, b: <Self::S as Ints>::I) -> <Self::S as Ints>::I;
}

/// Two integers of 16 bits.
struct Pairs<S>(std::marker::PhantomData<S>);

impl<S: Ints> Family for Pairs<S> {
	type S = S;
	#[inline(always)]
	unsafe fn dot(acc: S::I, a: S::I, b: S::I) -> S::I {
		// SAFETY: the caller's.
		unsafe { S::pairs(acc, a, b) }
	}
}

/// Four bytes.
#[cfg(target_arch = "x86_64")]
struct Quads;

#[cfg(target_arch = "x86_64")]
impl Family for Quads {
	type S = Avx512;
	#[inline(always)]
	unsafe fn dot(acc: <Avx512 as Ints>::I, a: <Avx512 as Ints>::I, b: <Avx512 as Ints>::I) -> <Avx512 as Ints>::I {
		// SAFETY: the caller's.
		unsafe { core::arch::x86_64::_mm512_dpbusd_epi32(acc, a, b) }
	}
}

/// `MR` rows by `NV` vectors.
///
/// # Safety
///
/// The pointers are valid for what the tile says.
#[inline(always)]
unsafe fn micro<F: Family, const MR: usize, const NV: usize>(t: &Tile) {
	let lanes = <F::S as Simd>::LANES;
	// SAFETY: the caller's.
	unsafe {
		let mut start = [F::S::splat_i(0); NV];
		for (j, start) in start.iter_mut().enumerate() {
			*start = F::S::load_i(t.operands.bias.add(j * lanes));
		}
		let mut acc = [start; MR];
		let (mut a, mut b, mut next, mut words) = (t.a, t.b, t.next, t.words);
		while words > 0 {
			let n = words.min(BLOCK);
			for q in 0..n {
				F::S::prefetch(next.cast());
				next = next.wrapping_add(16);
				let mut vectors = [F::S::splat_i(0); NV];
				for (j, vector) in vectors.iter_mut().enumerate() {
					*vector = F::S::load_i(b.add(j * lanes));
				}
				for (i, row) in acc.iter_mut().enumerate() {
					let x = F::S::splat_i(*a.add(i * BLOCK + q));
					for (acc, vector) in row.iter_mut().zip(&vectors) {
						*acc = F::dot(*acc, x, *vector);
					}
				}
				b = b.add(2 * lanes);
			}
			a = a.add(MR * BLOCK);
			words -= n;
		}
		// Sums stay in registers above only if nobody takes their address: what follows reads a copy.
		let mut copy = [[F::S::splat_i(0); NV]; MR];
		let from = std::hint::black_box(copy.as_mut_ptr());
		for (i, row) in acc.iter().enumerate() {
			from.add(i).write(*row);
		}
		for j in 0..NV {
			let (at, n) = (j * lanes, t.columns.saturating_sub(j * lanes).min(lanes));
			let columns = Columns { scale: t.operands.scale.wrapping_add(at), ..t.operands };
			let c = t.c.wrapping_add(at * t.to.size());
			store::<F::S>(from.cast::<<F::S as Ints>::I>().add(j), NV, MR, columns, t.to, c, t.ldc, n);
		}
	}
}

/// A tile of fixed size. Unsafe as [`micro`] is, and for want of the instructions.
pub(super) type Micro = unsafe fn(&Tile);

/// The tiles of a family.
#[derive(Clone, Copy)]
pub(super) struct Micros {
	/// The most rows.
	pub(super) rows: usize,
	/// Lanes of a vector.
	pub(super) lanes: usize,
	/// Bytes of an element of the reduction: 1 or 2.
	pub(super) element: usize,
	/// Words of which a reduction has a multiple, the rest 0.
	pub(super) step: usize,
	/// By rows and vectors.
	pub(super) get: fn(usize, usize) -> Micro,
}

macro_rules! table {
	($name:ident, $family:ty, $(#[$feature:meta])? { $($mr:literal)* }) => {
		fn $name(rows: usize, vectors: usize) -> Micro {
			$(#[$feature])?
			unsafe fn at<const MR: usize, const NV: usize>(t: &Tile) {
				// SAFETY: the caller's.
				unsafe { micro::<$family, MR, NV>(t) }
			}
			match (vectors, rows) {
				$((1, $mr) => at::<$mr, 1>, (2, $mr) => at::<$mr, 2>,)*
				_ => unreachable!("no tile of {rows} rows by {vectors} vectors"),
			}
		}
	};
}

#[cfg(target_arch = "x86_64")]
table!(vnni, Quads, #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni,avx2,fma")] {
	1 2 3 4 5 6 7 8 9 10 11 12 13 14
});
#[cfg(target_arch = "x86_64")]
table!(avx512, Pairs<Avx512>, #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")] {
	1 2 3 4 5 6 7 8 9 10 11 12
});
#[cfg(target_arch = "x86_64")]
table!(avx2, Pairs<Avx2>, #[target_feature(enable = "avx2,fma")] { 1 2 3 4 5 6 });
table!(portable, Pairs<Portable>, { 1 2 3 4 });

/// The tiles for a right operand that is signed or not.
#[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables, clippy::match_single_binding))]
pub(super) fn micros(isa: Isa, signed: bool) -> Micros {
	match isa.get() {
		#[cfg(target_arch = "x86_64")]
		Kind::Avx512 if isa.bytes() == Bytes::Amx && signed => {
			Micros { rows: 32, lanes: 16, element: 1, step: amx::WORDS, get: |_, _| amx::tile }
		}
		#[cfg(target_arch = "x86_64")]
		Kind::Avx512 if isa.bytes() != Bytes::Words && signed => {
			Micros { rows: 14, lanes: 16, element: 1, step: 1, get: vnni }
		}
		#[cfg(target_arch = "x86_64")]
		Kind::Avx512 => Micros { rows: 12, lanes: 16, element: 2, step: 1, get: avx512 },
		#[cfg(target_arch = "x86_64")]
		Kind::Avx2 => Micros { rows: 6, lanes: 8, element: 2, step: 1, get: avx2 },
		_ => Micros { rows: 4, lanes: 8, element: 2, step: 1, get: portable },
	}
}
