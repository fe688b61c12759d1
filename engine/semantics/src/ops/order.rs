//! Operators along one axis that look at the elements' order.

use super::{
	index::{ravel, unravel, Coords},
	one,
	pointwise::{combine, is_before},
	Binary, Bits, Operator, Read, Site, State, TypeError, STRIDED_BLOCK,
};
use crate::{number::from_i64, DType, TensorType};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::ops::Range;
use scale_info::TypeInfo;

/// The dimension along an axis, or an error.
fn along(ty: &TensorType, axis: u8) -> Result<u32, TypeError> {
	ty.dims.get(usize::from(axis)).copied().ok_or(TypeError("the axis is outside"))
}

/// The index of the element at these coordinates, but `r` along the axis.
#[inline]
fn at(coords: &Coords, axis: u8, r: u64, dims: &[u32]) -> u64 {
	let mut coords = *coords;
	if let Some(c) = coords.get_mut(usize::from(axis)) {
		*c = r;
	}
	ravel(&coords, dims)
}

/// For each element, as i64, how many along the axis come before it when they are sorted. Equal elements keep their order;
/// NaN is larger than all others, -0 and +0 are equal. So the values along the axis are a permutation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Rank {
	/// The axis.
	pub axis: u8,
	/// Whether the largest comes first.
	pub descending: bool,
}

impl Operator for Rank {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let a = one(ins)?;
		along(a, self.axis)?;
		Ok(TensorType::new(DType::I64, a.dims.clone()))
	}

	fn reduction(&self, site: &Site) -> u64 {
		site.dims(0).get(usize::from(self.axis)).map_or(0, |d| u64::from(*d))
	}

	fn block(&self, _site: &Site) -> u64 {
		STRIDED_BLOCK
	}

	fn step<R: Read + ?Sized>(&self, site: &Site, index: u64, range: Range<u64>, state: State, read: &R) -> State {
		let (dims, dtype) = (site.dims(0), site.dtype(0));
		let coords = unravel(index, dims);
		let here = coords.get(usize::from(self.axis)).copied().unwrap_or(0);
		let x = read.read(0, index);
		let mut count = state.0[0];
		for r in range {
			let y = read.read(0, at(&coords, self.axis, r, dims));
			let (first, second) = if self.descending { (x, y) } else { (y, x) };
			let before = is_before(dtype, first, second);
			let equal = !before && !is_before(dtype, second, first);
			count = count.saturating_add(u64::from(before || (equal && r < here)));
		}
		State([count, 0])
	}

	fn finish<R: Read + ?Sized>(&self, _site: &Site, _index: u64, state: State, _read: &R) -> Bits {
		state.0[0]
	}
}

/// What [`Prefix`] computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum PrefixKind {
	/// Sums, from +0; [`Binary::Add`].
	#[codec(index = 0)]
	Sum,
	/// Products, from 1; [`Binary::Mul`].
	#[codec(index = 1)]
	Product,
}

/// For each element, the sum or product of the elements along the axis up to it, one after the other in the order of the
/// axis (reversed: from the end), each partial result as if stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Prefix {
	/// What is computed.
	pub kind: PrefixKind,
	/// The axis.
	pub axis: u8,
	/// Whether the element itself is left out.
	pub exclusive: bool,
	/// Whether the elements from it to the end are taken, from the end on.
	pub reverse: bool,
}

impl Operator for Prefix {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let a = one(ins)?;
		along(a, self.axis)?;
		if a.dtype == DType::Bool {
			return Err(TypeError("Prefix: not defined for bool"));
		}
		Ok(a.clone())
	}

	fn reduction(&self, site: &Site) -> u64 {
		site.dims(0).get(usize::from(self.axis)).map_or(0, |d| u64::from(*d))
	}

	fn block(&self, _site: &Site) -> u64 {
		STRIDED_BLOCK
	}

	fn init(&self, site: &Site) -> State {
		match self.kind {
			PrefixKind::Sum => State::default(),
			PrefixKind::Product => State([crate::number::convert(DType::I64, site.out.dtype, 1), 0]),
		}
	}

	fn step<R: Read + ?Sized>(&self, site: &Site, index: u64, range: Range<u64>, state: State, read: &R) -> State {
		let (dims, dtype) = (site.dims(0), site.dtype(0));
		let coords = unravel(index, dims);
		let size = self.reduction(site);
		let here = coords.get(usize::from(self.axis)).copied().unwrap_or(0);
		// Counted from where the chain begins.
		let here = if self.reverse { size.saturating_sub(here).saturating_sub(1) } else { here };
		let end = here.saturating_add(u64::from(!self.exclusive));
		let mut sum = state.0[0];
		for r in range.start..range.end.min(end) {
			let place = if self.reverse { size.saturating_sub(r).saturating_sub(1) } else { r };
			let x = read.read(0, at(&coords, self.axis, place, dims));
			let op = if self.kind == PrefixKind::Sum { Binary::Add } else { Binary::Mul };
			sum = combine(op, dtype, sum, x);
		}
		State([sum, 0])
	}

	fn finish<R: Read + ?Sized>(&self, site: &Site, _index: u64, state: State, _read: &R) -> Bits {
		// A state that a stranger gives may not be canonical.
		if site.out.dtype.is_integer() {
			from_i64(site.out.dtype, state.0[0] as i64)
		} else {
			super::canonical(site.out.dtype, state.0[0])
		}
	}
}
