//! Row-major index arithmetic, total on any input.

use crate::MAX_RANK;

/// Coordinates of a tensor element; entries beyond the rank are 0.
pub(crate) type Coords = [u64; MAX_RANK];

/// The coordinates of element `index`. A dimension of 0 counts as 1.
#[inline]
pub(crate) fn unravel(mut index: u64, dims: &[u32]) -> Coords {
	let mut coords = [0; MAX_RANK];
	for (axis, d) in dims.iter().enumerate().take(MAX_RANK).rev() {
		let d = u64::from(*d).max(1);
		coords[axis] = index % d;
		index /= d;
	}
	coords
}

/// The index of the element at these coordinates, each clamped into its dimension.
#[inline]
pub(crate) fn ravel(coords: &[u64], dims: &[u32]) -> u64 {
	let mut index = 0u64;
	for (c, d) in coords.iter().zip(dims) {
		let d = u64::from(*d);
		index = index.wrapping_mul(d).wrapping_add((*c).min(d.saturating_sub(1)));
	}
	index
}

/// The index of the element of a broadcast operand of these dimensions behind element `index` of `out`.
#[inline]
pub(crate) fn broadcast(index: u64, out: &[u32], dims: &[u32]) -> u64 {
	if out == dims {
		return index;
	}
	let coords = unravel(index, out);
	let skip = out.len().min(MAX_RANK).saturating_sub(dims.len());
	// Clamping sends every coordinate along a dimension of 1 to 0.
	ravel(coords.get(skip..).unwrap_or_default(), dims)
}

/// numpy's broadcast of two shapes; `None` when they do not fit together.
pub(crate) fn broadcast_dims(a: &[u32], b: &[u32]) -> Option<alloc::vec::Vec<u32>> {
	let rank = a.len().max(b.len());
	let dim = |dims: &[u32], axis: usize| {
		(axis + dims.len()).checked_sub(rank).and_then(|i| dims.get(i)).copied().unwrap_or(1)
	};
	(0..rank)
		.map(|axis| match (dim(a, axis), dim(b, axis)) {
			(x, y) if x == y => Some(x),
			(1, y) => Some(y),
			(x, 1) => Some(x),
			_ => None,
		})
		.collect()
}
