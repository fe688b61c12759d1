//! Operators that move elements and compute nothing.

use super::{
	canonical,
	index::{broadcast, broadcast_dims, ravel, unravel},
	one, Bits, Operator, Read, Site, State, TypeError,
};
use crate::{TensorType, MAX_RANK};
use alloc::{vec, vec::Vec};
use codec::{Decode, DecodeWithMemTracking, Encode};
use scale_info::TypeInfo;

/// The same elements in the same order under other dimensions.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Reshape {
	/// The new dimensions; the number of elements stays.
	pub dims: Vec<u32>,
}

impl Operator for Reshape {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let a = one(ins)?;
		let out = TensorType::new(a.dtype, self.dims.clone());
		match out.elements() {
			Some(n) if Some(n) == a.elements() => Ok(out),
			_ => Err(TypeError("Reshape: the number of elements changes")),
		}
	}

	fn finish<R: Read + ?Sized>(&self, _site: &Site, index: u64, _state: State, read: &R) -> Bits {
		read.read(0, index)
	}
}

/// Permuted dimensions: dimension `i` of the value is dimension `perm[i]` of the operand.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Transpose {
	/// A permutation of `0 .. rank`.
	pub perm: Vec<u8>,
}

impl Operator for Transpose {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let a = one(ins)?;
		let mut seen = [false; MAX_RANK];
		let mut dims = Vec::with_capacity(a.dims.len());
		for p in &self.perm {
			let axis = usize::from(*p);
			match (a.dims.get(axis), seen.get_mut(axis)) {
				(Some(d), Some(s)) if !*s => {
					*s = true;
					dims.push(*d);
				}
				_ => return Err(TypeError("Transpose: not a permutation")),
			}
		}
		if dims.len() != a.dims.len() {
			return Err(TypeError("Transpose: not a permutation of all dimensions"));
		}
		Ok(TensorType::new(a.dtype, dims))
	}

	fn finish<R: Read + ?Sized>(&self, site: &Site, index: u64, _state: State, read: &R) -> Bits {
		let from = unravel(index, &site.out.dims);
		let mut to = [0; MAX_RANK];
		for (c, p) in from.iter().zip(&self.perm) {
			if let Some(t) = to.get_mut(usize::from(*p)) {
				*t = *c;
			}
		}
		read.read(0, ravel(&to, site.dims(0)))
	}
}

/// A strided box: along axis `i` the elements `starts[i] + k * steps[i]` for `k < sizes[i]`.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Slice {
	/// First element of each axis.
	pub starts: Vec<u32>,
	/// Number of elements of each axis.
	pub sizes: Vec<u32>,
	/// Distance between elements of each axis, not 0.
	pub steps: Vec<i32>,
}

impl Operator for Slice {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let a = one(ins)?;
		let rank = a.dims.len();
		if self.starts.len() != rank || self.sizes.len() != rank || self.steps.len() != rank {
			return Err(TypeError("Slice: one start, size and step for each axis"));
		}
		for (((start, size), step), dim) in self.starts.iter().zip(&self.sizes).zip(&self.steps).zip(&a.dims) {
			let last = i128::from(*start) + i128::from(*size).saturating_sub(1) * i128::from(*step);
			let inside = *start < *dim && (0..i128::from(*dim)).contains(&last);
			if *step == 0 || (*size > 0 && !inside) {
				return Err(TypeError("Slice: a step is 0 or an element is outside"));
			}
		}
		Ok(TensorType::new(a.dtype, self.sizes.clone()))
	}

	fn finish<R: Read + ?Sized>(&self, site: &Site, index: u64, _state: State, read: &R) -> Bits {
		let mut at = unravel(index, &site.out.dims);
		for (c, (start, step)) in at.iter_mut().zip(self.starts.iter().zip(&self.steps)) {
			let offset = i64::try_from(*c).unwrap_or(i64::MAX).saturating_mul(i64::from(*step));
			*c = u64::try_from(i64::from(*start).saturating_add(offset)).unwrap_or(0);
		}
		read.read(0, ravel(&at, site.dims(0)))
	}
}

/// Broadcast to larger dimensions, as numpy does.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Expand {
	/// The dimensions of the value.
	pub dims: Vec<u32>,
}

impl Operator for Expand {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let a = one(ins)?;
		match broadcast_dims(&a.dims, &self.dims) {
			Some(dims) if dims == self.dims => Ok(TensorType::new(a.dtype, dims)),
			_ => Err(TypeError("Expand: the operand does not broadcast to the dimensions")),
		}
	}

	fn finish<R: Read + ?Sized>(&self, site: &Site, index: u64, _state: State, read: &R) -> Bits {
		read.read(0, broadcast(index, &site.out.dims, site.dims(0)))
	}
}

/// Tensors joined along an axis.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Concat {
	/// The axis.
	pub axis: u8,
}

impl Operator for Concat {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let axis = usize::from(self.axis);
		let (first, rest) = ins.split_first().ok_or(TypeError("Concat: no operands"))?;
		let mut out = (*first).clone();
		let sum = out.dims.get_mut(axis).ok_or(TypeError("Concat: the axis is outside"))?;
		for t in rest {
			let fits = t.dtype == first.dtype
				&& t.dims.len() == first.dims.len()
				&& t.dims.iter().zip(&first.dims).enumerate().all(|(i, (a, b))| i == axis || a == b);
			let dim = t.dims.get(axis).filter(|_| fits).ok_or(TypeError("Concat: the operands do not fit together"))?;
			*sum = sum.checked_add(*dim).ok_or(TypeError("Concat: too large"))?;
		}
		Ok(out)
	}

	fn finish<R: Read + ?Sized>(&self, site: &Site, index: u64, _state: State, read: &R) -> Bits {
		let axis = usize::from(self.axis);
		let mut at = unravel(index, &site.out.dims);
		let mut along = at.get(axis).copied().unwrap_or(0);
		for operand in 0..site.ins.len() {
			let dims = site.dims(operand);
			let dim = dims.get(axis).map_or(0, |d| u64::from(*d));
			if along < dim {
				if let Some(c) = at.get_mut(axis) {
					*c = along;
				}
				return read.read(operand, ravel(&at, dims));
			}
			along = along.saturating_sub(dim);
		}
		0
	}
}

/// A constant border.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Pad {
	/// Elements before, for each axis.
	pub before: Vec<u32>,
	/// Elements after, for each axis.
	pub after: Vec<u32>,
	/// The bits of the border.
	pub value: u64,
}

impl Operator for Pad {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let a = one(ins)?;
		if self.before.len() != a.dims.len() || self.after.len() != a.dims.len() {
			return Err(TypeError("Pad: one border before and after for each axis"));
		}
		let mut dims = vec![];
		for ((d, before), after) in a.dims.iter().zip(&self.before).zip(&self.after) {
			let sum = d.checked_add(*before).and_then(|s| s.checked_add(*after));
			dims.push(sum.ok_or(TypeError("Pad: too large"))?);
		}
		Ok(TensorType::new(a.dtype, dims))
	}

	fn finish<R: Read + ?Sized>(&self, site: &Site, index: u64, _state: State, read: &R) -> Bits {
		let mut at = unravel(index, &site.out.dims);
		for (c, (before, dim)) in at.iter_mut().zip(self.before.iter().zip(site.dims(0))) {
			match c.checked_sub(u64::from(*before)) {
				Some(inside) if inside < u64::from(*dim) => *c = inside,
				_ => return canonical(site.out.dtype, self.value),
			}
		}
		read.read(0, ravel(&at, site.dims(0)))
	}
}
