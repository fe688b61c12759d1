//! Reductions over axes and over windows.
//!
//! A block is 256 elements where the reduction runs over trailing axes, 32 elsewhere. A sum takes each block in 16 lanes
//! (element `i` of the block goes to lane `i mod 16`, each lane a chain from +0), adds the lanes as a tree (8, 4, 2, 1
//! apart) and adds block sums left to right from +0.

use super::{
	from_f32, from_i64,
	index::{ravel, unravel},
	one, to_i64, Bits, Operator, Read, Site, State, TypeError, Window, BLOCK, STRIDED_BLOCK,
};
use crate::{
	float::{self, state_bits},
	DType, TensorType, MAX_RANK,
};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::ops::Range;
use scale_info::TypeInfo;

/// The 16 lanes of one block of a sum.
#[derive(Default)]
struct Lanes([f32; 16]);

impl Lanes {
	#[inline]
	fn add(&mut self, i: u64, x: f32) {
		self.0[(i % 16) as usize] += x;
	}

	fn sum(mut self) -> f32 {
		for width in [8, 4, 2, 1] {
			for i in 0..width {
				self.0[i] += self.0[i + width];
			}
		}
		self.0[0]
	}
}

/// The value that a maximum or minimum starts from, as state bits.
fn extreme(dtype: DType, largest: bool) -> u64 {
	match (dtype, largest) {
		(DType::F32, true) => u64::from(f32::INFINITY.to_bits()),
		(DType::F32, false) => u64::from(f32::NEG_INFINITY.to_bits()),
		(DType::I8, true) => from_i64(dtype, i8::MAX.into()),
		(DType::I8, false) => from_i64(dtype, i8::MIN.into()),
		(DType::U8, true) => u8::MAX.into(),
		(DType::I32, true) => from_i64(dtype, i32::MAX.into()),
		(DType::I32, false) => from_i64(dtype, i32::MIN.into()),
		(DType::I64, true) => from_i64(dtype, i64::MAX),
		(DType::I64, false) => from_i64(dtype, i64::MIN),
		(DType::Bool, true) => 1,
		(DType::U8 | DType::Bool, false) => 0,
	}
}

/// The larger or smaller of two elements.
#[inline]
fn pick(dtype: DType, larger: bool, a: u64, b: u64) -> u64 {
	if dtype == DType::F32 {
		let (a, b) = (f32::from_bits(a as u32), f32::from_bits(b as u32));
		return u64::from(state_bits(if larger { float::max(a, b) } else { float::min(a, b) }));
	}
	let (x, y) = (to_i64(dtype, a), to_i64(dtype, b));
	from_i64(dtype, if larger { x.max(y) } else { x.min(y) })
}

/// Whether `a` is a larger element than `b`; NaN is larger than all but NaN.
#[inline]
fn is_greater(dtype: DType, a: u64, b: u64) -> bool {
	if dtype == DType::F32 {
		let (a, b) = (f32::from_bits(a as u32), f32::from_bits(b as u32));
		return (a.is_nan() && !b.is_nan()) || a > b;
	}
	to_i64(dtype, a) > to_i64(dtype, b)
}

/// What [`Reduce`] computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum ReduceKind {
	/// Sum; integers wrap.
	#[codec(index = 0)]
	Sum,
	/// Sum, divided by the number of elements as f32. f32 only.
	#[codec(index = 1)]
	Mean,
	/// Maximum; any NaN gives NaN; never -0. Of nothing: -infinity or the smallest integer.
	#[codec(index = 2)]
	Max,
	/// Minimum; any NaN gives NaN; never -0. Of nothing: infinity or the largest integer.
	#[codec(index = 3)]
	Min,
}

/// A reduction over axes, in row-major order of the reduced elements.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Reduce {
	/// What is computed.
	pub kind: ReduceKind,
	/// The reduced axes, strictly ascending.
	pub axes: Vec<u8>,
	/// Whether reduced axes stay, with dimension 1.
	pub keep_dims: bool,
}

impl Reduce {
	fn is_reduced(&self, axis: usize) -> bool {
		self.axes.iter().any(|a| usize::from(*a) == axis)
	}

	/// Whether the reduced elements lie together: no other axis follows a reduced one. Axes of dimension 1 do not count.
	fn is_trailing(&self, dims: &[u32]) -> bool {
		let mut axes = dims.iter().enumerate().filter(|(_, d)| **d != 1);
		axes.by_ref().any(|(axis, _)| self.is_reduced(axis));
		axes.all(|(axis, _)| self.is_reduced(axis))
	}

	/// The dimensions of the operand with 1 for every axis that is not reduced.
	fn reduced_dims(&self, dims: &[u32]) -> [u32; MAX_RANK] {
		let mut out = [1; MAX_RANK];
		for (axis, (o, d)) in out.iter_mut().zip(dims).enumerate() {
			if self.is_reduced(axis) {
				*o = *d;
			}
		}
		out
	}
}

impl Operator for Reduce {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let a = one(ins)?;
		if a.dtype == DType::Bool || (self.kind == ReduceKind::Mean && a.dtype != DType::F32) {
			return Err(TypeError("Reduce: not defined for this element type"));
		}
		if !self.axes.windows(2).all(|w| w[0] < w[1]) || self.axes.iter().any(|x| usize::from(*x) >= a.dims.len()) {
			return Err(TypeError("Reduce: the axes must ascend and be inside"));
		}
		let mut dims = Vec::with_capacity(a.dims.len());
		for (axis, d) in a.dims.iter().enumerate() {
			match (self.is_reduced(axis), self.keep_dims) {
				(false, _) => dims.push(*d),
				(true, true) => dims.push(1),
				(true, false) => {}
			}
		}
		Ok(TensorType::new(a.dtype, dims))
	}

	fn reduction(&self, site: &Site) -> u64 {
		let dims = site.dims(0);
		self.reduced_dims(dims).iter().take(dims.len()).fold(1, |n: u64, d| n.saturating_mul(u64::from(*d)))
	}

	fn block(&self, site: &Site) -> u64 {
		if self.is_trailing(site.dims(0)) {
			BLOCK
		} else {
			STRIDED_BLOCK
		}
	}

	fn init(&self, site: &Site) -> State {
		match self.kind {
			ReduceKind::Sum | ReduceKind::Mean => State::default(),
			ReduceKind::Max => State([extreme(site.dtype(0), false), 0]),
			ReduceKind::Min => State([extreme(site.dtype(0), true), 0]),
		}
	}

	fn step<R: Read + ?Sized>(&self, site: &Site, index: u64, range: Range<u64>, state: State, read: &R) -> State {
		let (dims, dtype) = (site.dims(0), site.dtype(0));
		let rank = dims.len().min(MAX_RANK);
		let reduced = self.reduced_dims(dims);
		// Where the reduction's first element is: the value's coordinates, with 0 along the reduced axes.
		let out = unravel(index, &site.out.dims);
		let mut kept = out.iter().enumerate().filter(|(axis, _)| !(self.keep_dims && self.is_reduced(*axis)));
		let mut base = [0u64; MAX_RANK];
		for (axis, c) in base.iter_mut().enumerate().take(rank) {
			if !self.is_reduced(axis) {
				*c = kept.next().map_or(0, |(_, c)| *c);
			}
		}
		let at = |r: u64| {
			let mut coords = unravel(r, reduced.get(..rank).unwrap_or_default());
			coords.iter_mut().zip(&base).for_each(|(c, b)| *c = c.wrapping_add(*b));
			read.read(0, ravel(&coords, dims))
		};
		let start = range.start;
		match (self.kind, dtype) {
			(ReduceKind::Sum | ReduceKind::Mean, DType::F32) => {
				let mut lanes = Lanes::default();
				for r in range {
					lanes.add(r - start, f32::from_bits(at(r) as u32));
				}
				let total = f32::from_bits(state.0[0] as u32) + lanes.sum();
				State([u64::from(state_bits(total)), 0])
			}
			(ReduceKind::Sum | ReduceKind::Mean, _) => {
				let sum = range.fold(to_i64(dtype, state.0[0]), |s, r| s.wrapping_add(to_i64(dtype, at(r))));
				State([from_i64(dtype, sum), 0])
			}
			(kind, _) => State([range.fold(state.0[0], |s, r| pick(dtype, kind == ReduceKind::Max, s, at(r))), 0]),
		}
	}

	fn finish<R: Read + ?Sized>(&self, site: &Site, _index: u64, state: State, _read: &R) -> Bits {
		if site.dtype(0) != DType::F32 {
			return state.0[0];
		}
		let x = f32::from_bits(state.0[0] as u32);
		from_f32(if self.kind == ReduceKind::Mean { x / self.reduction(site) as f32 } else { x })
	}
}

/// What [`Pool`] computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum PoolKind {
	/// Maximum of the elements inside; the border does not count. Of nothing: -infinity or the smallest integer.
	#[codec(index = 0)]
	Max,
	/// Sum (the border adds +0) divided by a number as f32. f32 only.
	#[codec(index = 1)]
	Average {
		/// Whether to divide by the size of the kernel or by the number of elements inside.
		count_border: bool,
	},
	/// Sum; the border adds +0. f32 only.
	#[codec(index = 2)]
	Sum,
	/// Where in its `[spatial..]`, in row-major order, the maximum is, as i64: the first NaN, or else the first of the
	/// largest, with -0 and +0 equal. Where nothing is inside: 0.
	#[codec(index = 3)]
	ArgMax,
}

/// Maximum or average over windows of `[N, spatial.., C]`, channel by channel, in row-major order of the kernel.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Pool {
	/// What is computed.
	pub kind: PoolKind,
	/// Size of the window along each spatial axis.
	pub kernel: Vec<u32>,
	/// How the window slides.
	pub window: Window,
}

impl Operator for Pool {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let a = one(ins)?;
		let any = matches!(self.kind, PoolKind::Max | PoolKind::ArgMax);
		if a.dtype == DType::Bool || (!any && a.dtype != DType::F32) {
			return Err(TypeError("Pool: not defined for this element type"));
		}
		let [n, spatial @ .., c] = a.dims.as_slice() else {
			return Err(TypeError("Pool: the operand needs at least two dimensions"));
		};
		let mut dims = Vec::with_capacity(a.dims.len());
		dims.push(*n);
		dims.extend(self.window.out_dims(spatial, &self.kernel)?);
		dims.push(*c);
		Ok(TensorType::new(if self.kind == PoolKind::ArgMax { DType::I64 } else { a.dtype }, dims))
	}

	fn reduction(&self, _site: &Site) -> u64 {
		self.kernel.iter().fold(1, |n: u64, d| n.saturating_mul(u64::from(*d)))
	}

	fn block(&self, _site: &Site) -> u64 {
		STRIDED_BLOCK
	}

	fn init(&self, site: &Site) -> State {
		match self.kind {
			PoolKind::Max => State([extreme(site.dtype(0), false), 0]),
			// No place yet.
			PoolKind::ArgMax => State([extreme(site.dtype(0), false), u64::MAX]),
			PoolKind::Average { .. } | PoolKind::Sum => State::default(),
		}
	}

	/// The second word of the state counts the elements inside; for an [`PoolKind::ArgMax`], it is the place of the first.
	fn step<R: Read + ?Sized>(&self, site: &Site, index: u64, range: Range<u64>, state: State, read: &R) -> State {
		let (dims, dtype) = (site.dims(0), site.dtype(0));
		let out = unravel(index, &site.out.dims);
		let channels = dims.last().map_or(1, |c| u64::from(*c).max(1));
		let channel = index % channels;
		let places = dims.iter().skip(1).rev().skip(1).fold(1, |n: u64, d| n.saturating_mul(u64::from(*d))).max(1);
		let [mut acc, mut count] = state.0;
		let mut lanes = Lanes::default();
		let start = range.start;
		for r in range {
			// The border adds +0 to a sum, which is what a lane that is left alone adds: only -0 could tell, and a chain that
			// starts from +0 never holds it.
			let Some(base) = self.window.at(&out, r, &self.kernel, dims) else { continue };
			let bits = read.read(0, base.saturating_add(channel));
			match self.kind {
				PoolKind::ArgMax => {
					if count == u64::MAX || is_greater(dtype, bits, acc) {
						// The base is (sample, place, channel 0).
						(acc, count) = (bits, base / channels % places);
					}
					continue;
				}
				PoolKind::Max => acc = pick(dtype, true, acc, bits),
				PoolKind::Average { .. } | PoolKind::Sum => lanes.add(r - start, f32::from_bits(bits as u32)),
			}
			count = count.saturating_add(1);
		}
		if matches!(self.kind, PoolKind::Average { .. } | PoolKind::Sum) {
			acc = u64::from(state_bits(f32::from_bits(acc as u32) + lanes.sum()));
		}
		State([acc, count])
	}

	fn finish<R: Read + ?Sized>(&self, site: &Site, _index: u64, state: State, _read: &R) -> Bits {
		let [acc, count] = state.0;
		let x = f32::from_bits(acc as u32);
		match self.kind {
			PoolKind::Max if site.dtype(0) != DType::F32 => acc,
			PoolKind::ArgMax if count == u64::MAX => 0,
			PoolKind::ArgMax => count,
			PoolKind::Max | PoolKind::Sum => from_f32(x),
			PoolKind::Average { count_border: true } => from_f32(x / self.reduction(site) as f32),
			PoolKind::Average { count_border: false } => from_f32(x / count.max(1) as f32),
		}
	}
}
