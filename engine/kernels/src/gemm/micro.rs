//! The innermost loop: a tile of a few rows by a few vectors of outputs, through one block of the reduction.
//!
//! Every output is a lane of a register, and its chain of fma goes through the block in ascending order. At the block's
//! end the chain is added to the running total, which lives in the output; after the last block the total is stored, and
//! the operators that were fused follow, each storing in turn, as the semantics has it.

use super::inner::Inner;
use crate::{isa::Kind, simd::Simd, Isa};

/// Elements that lie together: a run of the reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Run {
	/// Elements from the tile's first row to the first element.
	pub(crate) offset: usize,
	/// Elements.
	pub(crate) len: usize,
}

/// An operator that follows a contraction, on the same element.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
	/// Adds an element for each column.
	AddColumn(*const f32),
	/// Multiplies by an element for each column.
	MulColumn(*const f32),
	/// Adds the element at the same place of another tensor.
	AddTensor(*const f32),
	/// `x < 0 ? +0 : x`
	Relu,
}

/// One call of the innermost loop.
pub(crate) struct Tile<'a> {
	/// The first row's elements of the left operand; rows are `lda` elements apart.
	pub(crate) a: *const f32,
	pub(crate) lda: usize,
	/// The runs of this block, at most 256 elements together.
	pub(crate) runs: &'a [Run],
	/// The panel of the right operand, at this block; panels are `panel` elements apart.
	pub(crate) b: *const f32,
	pub(crate) panel: usize,
	/// What is read soon: with every element of the reduction the line at `next` is asked for, and `next` goes on by `ahead`
	/// elements. Never read, so it may be anything.
	pub(crate) next: *const f32,
	pub(crate) ahead: usize,
	/// The outputs of the next tile, its rows, and the distance to the same elements of a tensor that is added to them: asked
	/// for meanwhile, as `next` is.
	pub(crate) next_c: *const f32,
	pub(crate) next_rows: usize,
	pub(crate) next_tensor: isize,
	/// The outputs; rows are `ldc` elements apart.
	pub(crate) c: *mut f32,
	pub(crate) ldc: usize,
	/// Columns of the output that there are, from `c` on.
	pub(crate) columns: usize,
	/// Whether this is the first block.
	pub(crate) first: bool,
	/// What follows, after the last block.
	pub(crate) then: Option<&'a [Then]>,
	/// Column of `c` in the operands of `then`.
	pub(crate) column: usize,
	/// Element of `c` in the tensors of `then`, whose rows are `ldt` elements apart.
	pub(crate) element: usize,
	pub(crate) ldt: usize,
}

#[inline(always)]
unsafe fn get<S: Simd>(p: *const f32, n: usize) -> S::F {
	unsafe {
		if n >= S::LANES {
			S::load(p)
		} else {
			S::load_n(p, n)
		}
	}
}

/// `MR` rows by `NV` vectors. Panels are two vectors wide.
///
/// # Safety
///
/// The pointers are valid for what the tile says: `MR` rows of each run, `NV.div_ceil(2)` panels of the runs' length, `MR`
/// rows of `columns` outputs and of each operand that follows; nothing else writes the outputs meanwhile.
#[inline(always)]
unsafe fn micro<S: Inner<MR, NV>, const MR: usize, const NV: usize>(t: &Tile) {
	unsafe {
		let mut acc = [[S::splat(0.0); NV]; MR];
		S::sum(&mut acc, t);
		for (i, row) in acc.iter_mut().enumerate() {
			for (j, acc) in row.iter_mut().enumerate() {
				let n = t.columns.saturating_sub(j * S::LANES);
				let before =
					if t.first { S::splat(0.0) } else { get::<S>(t.c.wrapping_add(i * t.ldc + j * S::LANES), n) };
				*acc = S::add(before, *acc);
			}
		}
		if let Some(then) = t.then {
			for row in &mut acc {
				for acc in row {
					*acc = S::flush(*acc);
				}
			}
			for then in then {
				match *then {
					Then::AddColumn(p) => {
						for j in 0..NV {
							let n = t.columns.saturating_sub(j * S::LANES);
							let y = get::<S>(p.wrapping_add(t.column + j * S::LANES), n);
							for row in &mut acc {
								row[j] = S::flush(S::add(row[j], y));
							}
						}
					}
					Then::MulColumn(p) => {
						for j in 0..NV {
							let n = t.columns.saturating_sub(j * S::LANES);
							let y = get::<S>(p.wrapping_add(t.column + j * S::LANES), n);
							for row in &mut acc {
								row[j] = S::flush(S::mul(row[j], y));
							}
						}
					}
					Then::AddTensor(p) => {
						for (i, row) in acc.iter_mut().enumerate() {
							for (j, acc) in row.iter_mut().enumerate() {
								let n = t.columns.saturating_sub(j * S::LANES);
								let y = get::<S>(p.wrapping_add(t.element + i * t.ldt + j * S::LANES), n);
								*acc = S::flush(S::add(*acc, y));
							}
						}
					}
					Then::Relu => {
						for row in &mut acc {
							for acc in row {
								*acc = S::relu(*acc);
							}
						}
					}
				}
			}
		}
		for (i, row) in acc.iter().enumerate() {
			for (j, acc) in row.iter().enumerate() {
				let n = t.columns.saturating_sub(j * S::LANES);
				let p = t.c.wrapping_add(i * t.ldc + j * S::LANES);
				if n >= S::LANES {
					S::store(p, *acc);
				} else {
					S::store_n(p, n, *acc);
				}
			}
		}
	}
}

/// A tile of fixed size, for one instruction set. Unsafe as [`micro`] is, and for want of the instructions.
pub(crate) type Micro = unsafe fn(&Tile);

/// The tiles of an instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Micros {
	/// The most rows, with one panel.
	pub(crate) rows: usize,
	/// The most rows with two panels, and with four.
	pub(crate) rows2: usize,
	pub(crate) rows4: usize,
	/// By rows and vectors.
	pub(crate) get: fn(usize, usize) -> Micro,
}

macro_rules! table {
	($name:ident, $simd:ty, $(#[$feature:meta])? { $($nv:literal: $($mr:literal)*;)* }) => {
		fn $name(rows: usize, vectors: usize) -> Micro {
			$(#[$feature])?
			unsafe fn at<const MR: usize, const NV: usize>(t: &Tile)
			where
				$simd: Inner<MR, NV>,
			{
				// SAFETY: the caller's.
				unsafe { micro::<$simd, MR, NV>(t) }
			}
			match (vectors, rows) {
				$($(($nv, $mr) => at::<$mr, $nv>,)*)*
				_ => unreachable!("no tile of {rows} rows by {vectors} vectors"),
			}
		}
	};
}

#[cfg(target_arch = "x86_64")]
table!(avx512, crate::simd::Avx512, #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")] {
	1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
	2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
	4: 1 2 3 4 5 6 7;
	8: 1 2 3;
});
#[cfg(target_arch = "x86_64")]
table!(avx2, crate::simd::Avx2, #[target_feature(enable = "avx2,fma")] {
	1: 1 2 3 4 5 6;
	2: 1 2 3 4 5 6;
	4: 1 2 3;
	8: 1;
});
table!(portable, crate::simd::Portable, {
	1: 1 2 3 4;
	2: 1 2 3 4;
	4: 1 2;
	8: 1;
});

/// The tiles of `isa`.
pub(crate) fn micros(isa: Isa) -> Micros {
	match isa.get() {
		#[cfg(target_arch = "x86_64")]
		Kind::Avx512 => Micros { rows: 14, rows2: 7, rows4: 3, get: avx512 },
		#[cfg(target_arch = "x86_64")]
		Kind::Avx2 => Micros { rows: 6, rows2: 3, rows4: 1, get: avx2 },
		_ => Micros { rows: 4, rows2: 2, rows4: 1, get: portable },
	}
}
