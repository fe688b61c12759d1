//! Elements at computed places.

use super::{
	index::{ravel, unravel},
	to_i64, two, Bits, Operator, Read, Site, State, TypeError,
};
use crate::{DType, TensorType, MAX_RANK};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// Whether a type can hold indices.
pub(super) fn holds_indices(ty: &TensorType) -> bool {
	matches!(ty.dtype, DType::I32 | DType::I64)
}

/// An index along a dimension of this size: a negative one counts from the end, one that is outside is clamped.
#[inline]
pub(super) fn place(index: i64, size: u32) -> u64 {
	let size = i64::from(size);
	let wrapped = if index < 0 { index.saturating_add(size) } else { index };
	u64::try_from(wrapped.clamp(0, size.saturating_sub(1).max(0))).unwrap_or(0)
}

/// `value = data[indices]`; the operands are data (any type) and indices (i32 or i64). A negative index counts from the end,
/// one that is outside is clamped. Where data is empty and the value is not, zeros.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Gather {
	/// The indices are places along one axis: `value[a.., i.., b..] = data[a.., indices[i..], b..]`. The value has the
	/// dimensions of the indices in place of the axis.
	#[codec(index = 0)]
	Axis(u8),
	/// The indices have data's rank, and at most its dimensions but along the axis; the value has their dimensions:
	/// `value[a, i, b] = data[a, indices[a, i, b], b]`.
	#[codec(index = 1)]
	Elements(u8),
	/// The last dimension of the indices is a tuple of places, after so many batch dimensions that both operands share:
	/// `value[n.., i.., b..] = data[n.., indices[n.., i.., 0], indices[n.., i.., 1].., b..]`.
	#[codec(index = 2)]
	Tuples(u8),
}

impl Operator for Gather {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let (data, indices) = two(ins)?;
		if !holds_indices(indices) {
			return Err(TypeError("Gather: indices are i32 or i64"));
		}
		let (a, b) = (&data.dims, &indices.dims);
		let dims = match self {
			Gather::Axis(axis) => {
				let axis = usize::from(*axis);
				let (Some(before), Some(after)) = (a.get(..axis), a.get(axis.saturating_add(1)..)) else {
					return Err(TypeError("Gather: the axis is outside"));
				};
				if axis >= a.len() {
					return Err(TypeError("Gather: the axis is outside"));
				}
				[before, b, after].concat()
			}
			Gather::Elements(axis) => {
				let axis = usize::from(*axis);
				let fits = a.iter().zip(b).enumerate().all(|(i, (a, b))| i == axis || b <= a);
				if axis >= a.len() || a.len() != b.len() || !fits {
					return Err(TypeError("Gather: indices and data do not fit together"));
				}
				b.clone()
			}
			Gather::Tuples(batch) => {
				let batch = usize::from(*batch);
				let (Some((tuple, outer)), Some(shared)) = (b.split_last(), a.get(..batch)) else {
					return Err(TypeError("Gather: indices need a last dimension, and data the batch dimensions"));
				};
				let rest = a.get(batch.saturating_add(*tuple as usize)..);
				let (Some(rest), true) = (rest, outer.get(..batch) == Some(shared)) else {
					return Err(TypeError("Gather: indices and data do not fit together"));
				};
				[outer, rest].concat()
			}
		};
		Ok(TensorType::new(data.dtype, dims))
	}

	fn finish<R: Read + ?Sized>(&self, site: &Site, index: u64, _state: State, read: &R) -> Bits {
		let (data, indices) = (site.dims(0), site.dims(1));
		let at = unravel(index, &site.out.dims);
		let lookup = |i: u64| to_i64(site.dtype(1), read.read(1, i));
		let mut from = [0u64; MAX_RANK];
		match self {
			Gather::Axis(axis) => {
				let axis = usize::from(*axis);
				let inner = axis.saturating_add(indices.len());
				let found = ravel(at.get(axis..inner).unwrap_or_default(), indices);
				for (i, c) in from.iter_mut().enumerate() {
					*c = match i.cmp(&axis) {
						core::cmp::Ordering::Less => at.get(i).copied().unwrap_or(0),
						core::cmp::Ordering::Equal => place(lookup(found), data.get(i).copied().unwrap_or(0)),
						core::cmp::Ordering::Greater => {
							at.get(i.saturating_add(indices.len()).saturating_sub(1)).copied().unwrap_or(0)
						}
					};
				}
			}
			Gather::Elements(axis) => {
				let axis = usize::from(*axis);
				from = at;
				if let (Some(c), Some(size)) = (from.get_mut(axis), data.get(axis)) {
					*c = place(lookup(index), *size);
				}
			}
			Gather::Tuples(batch) => {
				let batch = usize::from(*batch);
				let tuple = indices.last().map_or(0, |t| *t as usize).min(MAX_RANK);
				let outer = indices.len().saturating_sub(1);
				let row = ravel(at.get(..outer).unwrap_or_default(), indices.get(..outer).unwrap_or_default());
				let first = row.saturating_mul(tuple as u64);
				for (i, c) in from.iter_mut().enumerate() {
					*c = match i.checked_sub(batch) {
						None => at.get(i).copied().unwrap_or(0),
						Some(k) if k < tuple => {
							place(lookup(first.saturating_add(k as u64)), data.get(i).copied().unwrap_or(0))
						}
						Some(k) => at.get(outer.saturating_add(k).saturating_sub(tuple)).copied().unwrap_or(0),
					};
				}
			}
		}
		read.read(0, ravel(&from, data))
	}
}
