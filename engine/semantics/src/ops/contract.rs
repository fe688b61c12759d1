//! Dot products. The reduction index is contiguous in both operands; blocks of 256, one fma chain from +0 in each, block
//! sums added left to right from +0. A bias is a separate addition.
//!
//! The state is the total and the chain of a block that is not done: a step may be shorter than a block, and the bits are
//! the same.
//!
//! f16 and bf16 are widened to f32 and the sum is rounded once; f64 is multiplied and added, each rounded.
//!
//! Integers are multiplied and added exactly, modulo the size of the value's type, so their order is free. Operands of 8
//! bits, signed or not, each its own, give i32; two of i32, i64, u32 or u64 give the same type. The state is the sum so far.

use super::{
	from_i64,
	index::{broadcast, broadcast_dims, unravel},
	to_i64, two, Bits, Operator, Read, Site, State, TypeError, Window, BLOCK, STRIDED_BLOCK,
};
use crate::{number::Real, DType, TensorType};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::ops::Range;
use scale_info::TypeInfo;

/// The channels that a convolution's run needs for steps of a whole block: 16 runs at most.
const LONG_RUN: u32 = 16;

/// The chain that a step starting at reduction element `start` goes on with.
#[inline]
fn chain<T: Real>(state: State, start: u64) -> T {
	if start.is_multiple_of(BLOCK) {
		T::default()
	} else {
		T::from_state(state.0[1])
	}
}

/// The state after a step that ended before reduction element `end` of `reduction`: a block that is done is added to the
/// total.
#[inline]
fn fold<T: Real>(state: State, chain: T, end: u64, reduction: u64) -> State {
	if !end.is_multiple_of(BLOCK) && end < reduction {
		return State([state.0[0], chain.to_state()]);
	}
	State([(T::from_state(state.0[0]) + chain).to_state(), 0])
}

/// The sum in the state, as stored.
#[inline]
fn stored(site: &Site, state: State) -> Bits {
	match site.out.dtype {
		dtype if dtype.is_single() => f32::from_state(state.0[0]).stored(dtype),
		dtype @ DType::F64 => f64::from_state(state.0[0]).stored(dtype),
		dtype => from_i64(dtype, to_i64(dtype, state.0[0])),
	}
}

/// The element type of a product of operands of these types.
fn product(a: DType, b: DType) -> Option<DType> {
	match (a, b) {
		(DType::I8 | DType::U8, DType::I8 | DType::U8) => Some(DType::I32),
		(DType::I32 | DType::I64 | DType::U32 | DType::U64, _) if a == b => Some(a),
		_ if a.is_float() && a == b => Some(a),
		_ => None,
	}
}

/// The state of an integer dot product after another term.
#[inline]
fn add_product(site: &Site, sum: i64, a: Bits, b: Bits) -> i64 {
	sum.wrapping_add(to_i64(site.dtype(0), a).wrapping_mul(to_i64(site.dtype(1), b)))
}

/// The state of an integer dot product.
#[inline]
fn integer_state(site: &Site, sum: i64) -> State {
	State([from_i64(site.out.dtype, sum), 0])
}

/// A step of a float dot product over contiguous operands.
#[inline]
fn dot<T: Real>(
	dtype: DType,
	range: Range<u64>,
	reduction: u64,
	state: State,
	pair: impl Fn(u64) -> (Bits, Bits),
) -> State {
	let (mut acc, end) = (chain::<T>(state, range.start), range.end);
	for r in range {
		let (a, b) = pair(r);
		acc = acc.plus_product(T::element(dtype, a), T::element(dtype, b));
	}
	fold(state, acc, end, reduction)
}

/// `value[.., m, n] = sum over k of A[.., m, k] * B[.., n, k]`; the leading dimensions broadcast.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct MatMul;

impl Operator for MatMul {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let (a, b) = two(ins)?;
		let dtype = product(a.dtype, b.dtype).ok_or(TypeError("MatMul: not defined for these element types"))?;
		let ([batch_a @ .., m, k], [batch_b @ .., n, l]) = (a.dims.as_slice(), b.dims.as_slice()) else {
			return Err(TypeError("MatMul: both operands need two dimensions"));
		};
		if k != l {
			return Err(TypeError("MatMul: the last dimensions differ"));
		}
		let mut dims = broadcast_dims(batch_a, batch_b).ok_or(TypeError("MatMul: the batches do not broadcast"))?;
		dims.extend([*m, *n]);
		Ok(TensorType::new(dtype, dims))
	}

	fn reduction(&self, site: &Site) -> u64 {
		site.dims(0).last().map_or(0, |k| u64::from(*k))
	}

	fn step<R: Read + ?Sized>(&self, site: &Site, index: u64, range: Range<u64>, state: State, read: &R) -> State {
		let ([batch_a @ .., m, k], [batch_b @ .., n, _], [batch @ .., _, _]) =
			(site.dims(0), site.dims(1), site.out.dims.as_slice())
		else {
			return state;
		};
		let (m, n, k) = (u64::from(*m).max(1), u64::from(*n).max(1), u64::from(*k));
		let (col, row) = (index % n, (index / n) % m);
		let outer = index / n / m;
		let a = broadcast(outer, batch, batch_a).wrapping_mul(m).wrapping_add(row).wrapping_mul(k);
		let b = broadcast(outer, batch, batch_b).wrapping_mul(n).wrapping_add(col).wrapping_mul(k);
		let pair = |r: u64| (read.read(0, a.wrapping_add(r)), read.read(1, b.wrapping_add(r)));
		match site.out.dtype {
			dtype if dtype.is_single() => dot::<f32>(dtype, range, k, state, pair),
			dtype @ DType::F64 => dot::<f64>(dtype, range, k, state, pair),
			dtype => {
				let term = |sum, r| {
					let (a, b) = pair(r);
					add_product(site, sum, a, b)
				};
				integer_state(site, range.fold(to_i64(dtype, state.0[0]), term))
			}
		}
	}

	fn finish<R: Read + ?Sized>(&self, site: &Site, _index: u64, state: State, _read: &R) -> Bits {
		stored(site, state)
	}
}

/// Convolution of `[N, spatial.., C]` with weights `[O, kernel.., C / groups]` to `[N, spatial.., O]`.
///
/// The reduction runs over the flattened (kernel.., channel). The border multiplies as +0; it is never skipped.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Conv {
	/// How the kernel slides.
	pub window: Window,
	/// Number of groups that channels and outputs are divided into.
	pub groups: u32,
}

impl Operator for Conv {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let (x, w) = two(ins)?;
		let dtype = product(x.dtype, w.dtype).ok_or(TypeError("Conv: not defined for these element types"))?;
		let ([n, spatial @ .., c], [o, kernel @ .., depth]) = (x.dims.as_slice(), w.dims.as_slice()) else {
			return Err(TypeError("Conv: both operands need at least two dimensions"));
		};
		if self.groups == 0 || o % self.groups != 0 || depth.checked_mul(self.groups) != Some(*c) {
			return Err(TypeError("Conv: channels, outputs and groups do not fit together"));
		}
		let mut dims = Vec::with_capacity(x.dims.len());
		dims.push(*n);
		dims.extend(self.window.out_dims(spatial, kernel)?);
		dims.push(*o);
		Ok(TensorType::new(dtype, dims))
	}

	fn reduction(&self, site: &Site) -> u64 {
		site.dims(1).iter().skip(1).fold(1, |n: u64, d| n.saturating_mul(u64::from(*d)))
	}

	fn block(&self, site: &Site) -> u64 {
		match site.dims(1).last() {
			// A run of elements of 8 bytes would lie in too many tiles.
			Some(depth) if *depth >= LONG_RUN && site.out.dtype.size() < 8 => BLOCK,
			_ => STRIDED_BLOCK,
		}
	}

	fn step<R: Read + ?Sized>(&self, site: &Site, index: u64, range: Range<u64>, state: State, read: &R) -> State {
		let reduction = self.reduction(site);
		let end = range.end;
		match site.out.dtype {
			dtype if dtype.is_single() => {
				let mut acc = chain::<f32>(state, range.start);
				self.terms(site, index, range, read, |a, b| {
					acc = acc.plus_product(f32::element(dtype, a), f32::element(dtype, b));
				});
				fold(state, acc, end, reduction)
			}
			dtype @ DType::F64 => {
				let mut acc = chain::<f64>(state, range.start);
				self.terms(site, index, range, read, |a, b| {
					acc = acc.plus_product(f64::element(dtype, a), f64::element(dtype, b));
				});
				fold(state, acc, end, reduction)
			}
			dtype => {
				let mut sum = to_i64(dtype, state.0[0]);
				self.terms(site, index, range, read, |a, b| sum = add_product(site, sum, a, b));
				integer_state(site, sum)
			}
		}
	}

	fn finish<R: Read + ?Sized>(&self, site: &Site, _index: u64, state: State, _read: &R) -> Bits {
		stored(site, state)
	}
}

impl Conv {
	/// Gives the factors of each term in a range of the reduction, in order; the border's first factor is 0.
	#[inline]
	fn terms<R: Read + ?Sized>(
		&self,
		site: &Site,
		index: u64,
		range: Range<u64>,
		read: &R,
		mut take: impl FnMut(Bits, Bits),
	) {
		let ([o, kernel @ .., depth], x) = (site.dims(1), site.dims(0)) else { return };
		let out = unravel(index, &site.out.dims);
		let (o, depth) = (u64::from(*o).max(1), u64::from(*depth).max(1));
		// The last coordinate of the value is the output channel, which chooses the group.
		let channel = index % o;
		let group = channel / (o / u64::from(self.groups).max(1)).max(1);
		let first = group.saturating_mul(depth);
		let weights = channel.saturating_mul(self.reduction(site));
		let mut r = range.start;
		while r < range.end {
			// The run of channels under one kernel position; never empty, so the loop ends.
			let (kpos, c) = (r / depth, r % depth);
			let run = (depth - c).min(range.end - r);
			let from = self.window.at(&out, kpos, kernel, x);
			for i in 0..run {
				let a = match from {
					Some(base) => read.read(0, base.saturating_add(first).saturating_add(c).saturating_add(i)),
					None => 0,
				};
				take(a, read.read(1, weights.saturating_add(r).saturating_add(i)));
			}
			r += run;
		}
	}
}
