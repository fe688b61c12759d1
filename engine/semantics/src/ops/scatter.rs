//! Elements put, or taken in, at computed places.

use super::{
	gather::{holds_indices, place},
	index::{ravel, unravel},
	pointwise::combine,
	to_i64, Binary, Bits, Operator, Read, Site, State, TypeError,
};
use crate::{TensorType, MAX_RANK};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::ops::Range;
use scale_info::TypeInfo;

/// Which places are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum ScatterKind {
	/// Indices and updates have the same dimensions, data's rank, and at most its dimensions but along the axis:
	/// `updates[a, i, b]` goes to `[a, indices[a, i, b], b]`. For each element the reduction runs over `i`.
	#[codec(index = 0)]
	Elements(u8),
	/// The last dimension of the indices is a tuple of places: `updates[i.., b..]` goes to
	/// `[indices[i.., 0], indices[i.., 1].., b..]`. For each element the reduction runs over `i..`, in row-major order.
	#[codec(index = 1)]
	Tuples,
}

/// What an update does to the element.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum ScatterUpdate {
	/// Replaces it; the last one stays.
	#[codec(index = 0)]
	Replace,
	/// [`Binary::Add`]
	#[codec(index = 1)]
	Add,
	/// [`Binary::Mul`]
	#[codec(index = 2)]
	Mul,
	/// [`Binary::Max`]
	#[codec(index = 3)]
	Max,
	/// [`Binary::Min`]
	#[codec(index = 4)]
	Min,
}

/// Data with updates taken in; the operands are data, indices (i32 or i64) and updates (of data's type). The updates of an
/// element are taken in one after the other, each result as if stored. A negative index counts from the end; one that is
/// outside is clamped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Scatter {
	/// Which places are meant.
	pub kind: ScatterKind,
	/// What an update does.
	pub update: ScatterUpdate,
}

impl Scatter {
	/// The element of data that the updates start from.
	#[inline]
	fn start<R: Read + ?Sized>(&self, index: u64, state: State, read: &R) -> Bits {
		if state.0[1] == 0 {
			read.read(0, index)
		} else {
			state.0[0]
		}
	}
}

impl Operator for Scatter {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let [data, indices, updates] = ins else { return Err(TypeError("Scatter: takes data, indices and updates")) };
		if !holds_indices(indices) || data.dtype != updates.dtype {
			return Err(TypeError("Scatter: indices are i32 or i64, updates of the type of data"));
		}
		if data.dtype == crate::DType::Bool && matches!(self.update, ScatterUpdate::Add | ScatterUpdate::Mul) {
			return Err(TypeError("Scatter: not defined for this element type"));
		}
		let (a, b, c) = (&data.dims, &indices.dims, &updates.dims);
		let fits = match self.kind {
			ScatterKind::Elements(axis) => {
				let axis = usize::from(axis);
				let inside = a.iter().zip(b).enumerate().all(|(i, (a, b))| i == axis || b <= a);
				axis < a.len() && a.len() == b.len() && b == c && inside
			}
			ScatterKind::Tuples => match b.split_last() {
				Some((tuple, outer)) => match a.get(*tuple as usize..) {
					Some(rest) => [outer, rest].concat() == *c,
					None => false,
				},
				None => false,
			},
		};
		fits.then(|| (*data).clone()).ok_or(TypeError("Scatter: data, indices and updates do not fit together"))
	}

	fn reduction(&self, site: &Site) -> u64 {
		let indices = site.dims(1);
		match self.kind {
			ScatterKind::Elements(axis) => indices.get(usize::from(axis)).map_or(0, |d| u64::from(*d)),
			ScatterKind::Tuples => {
				let outer = indices.split_last().map(|(_, outer)| outer).unwrap_or_default();
				outer.iter().fold(1, |n: u64, d| n.saturating_mul(u64::from(*d)))
			}
		}
	}

	/// Each update, and with [`ScatterKind::Elements`] each index, may lie in a tile of its own.
	fn block(&self, _site: &Site) -> u64 {
		16
	}

	/// The second word of the state tells whether the first holds the element yet.
	fn step<R: Read + ?Sized>(&self, site: &Site, index: u64, range: Range<u64>, state: State, read: &R) -> State {
		let (data, indices) = (site.dims(0), site.dims(1));
		let at = unravel(index, data);
		let mut element = self.start(index, state, read);
		for r in range {
			let update = match self.kind {
				ScatterKind::Elements(axis) => {
					let axis = usize::from(axis);
					// Positions that the indices do not have receive nothing.
					let outside = |(i, (c, d)): (usize, (&u64, &u32))| i != axis && *c >= u64::from(*d);
					if at.iter().zip(indices).enumerate().any(outside) {
						break;
					}
					let (Some(size), Some(here)) = (data.get(axis), at.get(axis)) else { break };
					let mut from = at;
					if let Some(c) = from.get_mut(axis) {
						*c = r;
					}
					let i = ravel(&from, indices);
					if place(to_i64(site.dtype(1), read.read(1, i)), *size) != *here {
						continue;
					}
					i
				}
				ScatterKind::Tuples => {
					let tuple = indices.last().map_or(0, |t| *t as usize).min(MAX_RANK);
					let first = r.saturating_mul(tuple as u64);
					let hit = |(k, (size, here)): (usize, (&u32, &u64))| {
						let index = read.read(1, first.saturating_add(k as u64));
						place(to_i64(site.dtype(1), index), *size) == *here
					};
					if !data.iter().zip(&at).enumerate().take(tuple).all(hit) {
						continue;
					}
					let rest = data.get(tuple..).unwrap_or_default();
					let slice = rest.iter().fold(1, |n: u64, d| n.saturating_mul(u64::from(*d)));
					r.saturating_mul(slice).saturating_add(ravel(at.get(tuple..).unwrap_or_default(), rest))
				}
			};
			let update = read.read(2, update);
			let dtype = site.out.dtype;
			element = match self.update {
				ScatterUpdate::Replace => update,
				ScatterUpdate::Add => combine(Binary::Add, dtype, element, update),
				ScatterUpdate::Mul => combine(Binary::Mul, dtype, element, update),
				ScatterUpdate::Max => combine(Binary::Max, dtype, element, update),
				ScatterUpdate::Min => combine(Binary::Min, dtype, element, update),
			};
		}
		State([element, 1])
	}

	fn finish<R: Read + ?Sized>(&self, _site: &Site, index: u64, state: State, read: &R) -> Bits {
		self.start(index, state, read)
	}
}
