//! Reductions over axes and over windows.
//!
//! A block is 256 elements where the reduction runs over trailing axes, 32 elsewhere. A sum takes each block in 16 lanes
//! (element `i` of the block goes to lane `i mod 16`, each lane a chain from +0), adds the lanes as a tree (8, 4, 2, 1
//! apart) and adds block sums left to right from +0.

use super::{
	canonical,
	index::{ravel, unravel},
	one,
	pointwise::{combine, is_before},
	Binary, Bits, Operator, Read, Site, State, TypeError, Window, BLOCK, STRIDED_BLOCK,
};
use crate::{
	number::{convert, from_f64, from_i64, to_f64, to_i64, Real},
	DType, TensorType, MAX_RANK,
};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::ops::Range;
use scale_info::TypeInfo;

/// The 16 lanes of one block of a sum.
#[derive(Default)]
struct Lanes<T>([T; 16]);

impl<T: Real> Lanes<T> {
	#[inline]
	fn add(&mut self, i: u64, x: T) {
		let lane = &mut self.0[(i % 16) as usize];
		*lane = *lane + x;
	}

	fn sum(mut self) -> T {
		for width in [8, 4, 2, 1] {
			for i in 0..width {
				self.0[i] = self.0[i] + self.0[i + width];
			}
		}
		self.0[0]
	}
}

/// The value that a maximum or minimum starts from.
fn extreme(dtype: DType, largest: bool) -> Bits {
	let bits = (dtype.size() as u32).saturating_mul(8);
	match (dtype, largest) {
		(DType::Bool, largest) => u64::from(largest),
		(_, largest) if dtype.is_float() => from_f64(dtype, if largest { f64::INFINITY } else { f64::NEG_INFINITY }),
		(DType::U8 | DType::U16 | DType::U32 | DType::U64, false) => 0,
		(DType::U8 | DType::U16 | DType::U32 | DType::U64, true) => canonical(dtype, u64::MAX),
		(_, true) => (u64::MAX >> 1).wrapping_shr(64u32.saturating_sub(bits)),
		(_, false) => canonical(dtype, (i64::MIN >> 64u32.saturating_sub(bits)) as u64),
	}
}

/// Whether an element beats the best so far in a search for the largest (or smallest): any NaN beats all but NaN; -0 and +0
/// are equal; of equal ones, the first stays, or the last.
#[inline]
fn beats(dtype: DType, larger: bool, last: bool, x: Bits, best: Bits) -> bool {
	let is_nan = |x| dtype.is_float() && to_f64(dtype, x).is_nan();
	match (is_nan(x), is_nan(best)) {
		(true, true) => last,
		(true, false) => true,
		(false, true) => false,
		(false, false) => {
			let (first, second) = if larger { (best, x) } else { (x, best) };
			is_before(dtype, first, second) || (last && !is_before(dtype, second, first))
		}
	}
}

/// What [`Reduce`] computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum ReduceKind {
	/// Sum; integers wrap.
	#[codec(index = 0)]
	Sum,
	/// Sum, divided by the number of elements in the precision of the sum. Floats.
	#[codec(index = 1)]
	Mean,
	/// Maximum; any NaN gives NaN; never -0. Of nothing: -infinity or the smallest integer. Bools too.
	#[codec(index = 2)]
	Max,
	/// Minimum; any NaN gives NaN; never -0. Of nothing: infinity or the largest integer. Bools too.
	#[codec(index = 3)]
	Min,
	/// Product, one after the other from 1; integers wrap.
	#[codec(index = 4)]
	Product,
	/// The place of the maximum among the reduced elements, as i64: of a NaN if there is one; -0 and +0 are equal. Of
	/// nothing: 0.
	#[codec(index = 5)]
	ArgMax {
		/// Whether the last of equal elements is meant, or the first.
		last: bool,
	},
	/// The place of the minimum, likewise.
	#[codec(index = 6)]
	ArgMin {
		/// Whether the last of equal elements is meant, or the first.
		last: bool,
	},
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
		let fits = match self.kind {
			ReduceKind::Sum | ReduceKind::Product => a.dtype != DType::Bool,
			ReduceKind::Mean => a.dtype.is_float(),
			_ => true,
		};
		if !fits {
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
		let place = matches!(self.kind, ReduceKind::ArgMax { .. } | ReduceKind::ArgMin { .. });
		Ok(TensorType::new(if place { DType::I64 } else { a.dtype }, dims))
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
			ReduceKind::Sum | ReduceKind::Mean | ReduceKind::ArgMax { .. } | ReduceKind::ArgMin { .. } => {
				State::default()
			}
			ReduceKind::Product if site.dtype(0).is_single() => State([1f32.to_state(), 0]),
			ReduceKind::Product => State([convert(DType::I64, site.dtype(0), 1), 0]),
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
		let [word, place] = state.0;
		match self.kind {
			ReduceKind::Sum | ReduceKind::Mean if dtype.is_single() => sum::<f32>(dtype, word, range, at),
			ReduceKind::Sum | ReduceKind::Mean if dtype == DType::F64 => sum::<f64>(dtype, word, range, at),
			ReduceKind::Sum | ReduceKind::Mean => {
				let sum = range.fold(to_i64(dtype, word), |s, r| s.wrapping_add(to_i64(dtype, at(r))));
				State([from_i64(dtype, sum), 0])
			}
			ReduceKind::Product if dtype.is_single() => product::<f32>(dtype, word, range, at),
			ReduceKind::Product if dtype == DType::F64 => product::<f64>(dtype, word, range, at),
			ReduceKind::Product => {
				let product = range.fold(to_i64(dtype, word), |s, r| s.wrapping_mul(to_i64(dtype, at(r))));
				State([from_i64(dtype, product), 0])
			}
			ReduceKind::Max => State([range.fold(word, |s, r| combine(Binary::Max, dtype, s, at(r))), 0]),
			ReduceKind::Min => State([range.fold(word, |s, r| combine(Binary::Min, dtype, s, at(r))), 0]),
			ReduceKind::ArgMax { last } | ReduceKind::ArgMin { last } => {
				let larger = matches!(self.kind, ReduceKind::ArgMax { .. });
				// The place is counted from 1; 0 while there is none.
				let better = |(best, place), r| {
					let x = at(r);
					if place == 0 || beats(dtype, larger, last, x, best) {
						(x, r.saturating_add(1))
					} else {
						(best, place)
					}
				};
				let (best, place) = range.fold((word, place), better);
				State([best, place])
			}
		}
	}

	fn finish<R: Read + ?Sized>(&self, site: &Site, _index: u64, state: State, _read: &R) -> Bits {
		let dtype = site.dtype(0);
		let [word, place] = state.0;
		match self.kind {
			ReduceKind::ArgMax { .. } | ReduceKind::ArgMin { .. } => place.saturating_sub(1),
			ReduceKind::Max | ReduceKind::Min => canonical(dtype, word),
			_ if dtype.is_single() => average::<f32>(dtype, word, self.divisor(site)),
			_ if dtype == DType::F64 => average::<f64>(dtype, word, self.divisor(site)),
			_ => canonical(dtype, word),
		}
	}
}

impl Reduce {
	/// What the sum is divided by, if it is.
	fn divisor(&self, site: &Site) -> Option<u64> {
		(self.kind == ReduceKind::Mean).then(|| self.reduction(site))
	}
}

/// The state of a sum after a block.
#[inline]
fn sum<T: Real>(dtype: DType, word: u64, range: Range<u64>, at: impl Fn(u64) -> Bits) -> State {
	let start = range.start;
	let mut lanes = Lanes::<T>::default();
	for r in range {
		lanes.add(r.wrapping_sub(start), T::element(dtype, at(r)));
	}
	State([(T::from_state(word) + lanes.sum()).to_state(), 0])
}

/// The state of a product after a block.
#[inline]
fn product<T: Real>(dtype: DType, word: u64, range: Range<u64>, at: impl Fn(u64) -> Bits) -> State {
	State([range.fold(T::from_state(word), |p, r| p * T::element(dtype, at(r))).to_state(), 0])
}

/// A sum in a state, divided or not, as stored.
fn average<T: Real>(dtype: DType, word: u64, divisor: Option<u64>) -> Bits {
	let sum = T::from_state(word);
	divisor.map_or(sum, |n| sum.over(n)).stored(dtype)
}

/// What [`Pool`] computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum PoolKind {
	/// Maximum of the elements inside; the border does not count. Of nothing: -infinity or the smallest integer.
	#[codec(index = 0)]
	Max,
	/// Sum (the border adds +0) divided by a number in the precision of the sum. Floats.
	#[codec(index = 1)]
	Average {
		/// Whether to divide by the size of the kernel or by the number of elements inside.
		count_border: bool,
	},
	/// Sum; the border adds +0. Floats.
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
		if a.dtype == DType::Bool || (!any && !a.dtype.is_float()) {
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
		let start = range.start;
		let inside = range.filter_map(|r| Some((r.wrapping_sub(start), self.window.at(&out, r, &self.kernel, dims)?)));
		match self.kind {
			PoolKind::ArgMax => {
				for (_, base) in inside {
					let bits = read.read(0, base.saturating_add(channel));
					if count == u64::MAX || beats(dtype, true, false, bits, acc) {
						// The base is (sample, place, channel 0).
						(acc, count) = (bits, base / channels % places);
					}
				}
			}
			PoolKind::Max => {
				for (_, base) in inside {
					acc = combine(Binary::Max, dtype, acc, read.read(0, base.saturating_add(channel)));
					count = count.saturating_add(1);
				}
			}
			// The border adds +0 to a sum, which is what a lane that is left alone adds: only -0 could tell, and a chain that
			// starts from +0 never holds it.
			PoolKind::Average { .. } | PoolKind::Sum => {
				let elements = inside.map(|(i, base)| {
					count = count.saturating_add(1);
					(i, read.read(0, base.saturating_add(channel)))
				});
				acc = match dtype {
					DType::F64 => sum_inside::<f64>(dtype, acc, elements),
					_ => sum_inside::<f32>(dtype, acc, elements),
				};
			}
		}
		State([acc, count])
	}

	fn finish<R: Read + ?Sized>(&self, site: &Site, _index: u64, state: State, _read: &R) -> Bits {
		let [acc, count] = state.0;
		let dtype = site.dtype(0);
		let divisor = match self.kind {
			PoolKind::ArgMax if count == u64::MAX => return 0,
			PoolKind::ArgMax => return count,
			PoolKind::Max => return canonical(dtype, acc),
			PoolKind::Sum => None,
			PoolKind::Average { count_border: true } => Some(self.reduction(site)),
			PoolKind::Average { count_border: false } => Some(count.max(1)),
		};
		match dtype {
			DType::F64 => average::<f64>(dtype, acc, divisor),
			_ => average::<f32>(dtype, acc, divisor),
		}
	}
}

/// The state of a sum after the elements of a block that are inside, each with its place in the block.
#[inline]
fn sum_inside<T: Real>(dtype: DType, word: u64, elements: impl Iterator<Item = (u64, Bits)>) -> u64 {
	let mut lanes = Lanes::<T>::default();
	elements.for_each(|(i, bits)| lanes.add(i, T::element(dtype, bits)));
	(T::from_state(word) + lanes.sum()).to_state()
}
