//! Permutations.
//!
//! ONNX convolves `[N, C, spatial..]`, the IR `[N, spatial.., C]`. The importer keeps each ONNX tensor as a value of the IR
//! together with the permutation that leads from one to the other, and makes a Transpose only where an operator needs
//! another order than the one at hand. So the transposes around convolutions cancel before they exist.

/// `perm` such that dimension `i` of the ONNX tensor is dimension `perm[i]` of the value.
pub(crate) type Perm = Vec<u8>;

/// The same order.
pub(crate) fn identity(rank: usize) -> Perm {
	(0..rank).map(|i| i as u8).collect()
}

/// `[N, C, spatial..]` as seen from a value that is `[N, spatial.., C]`.
pub(crate) fn channels_last(rank: usize) -> Perm {
	let mut perm = identity(rank);
	if rank > 2 {
		perm[1] = (rank - 1) as u8;
		(2..rank).for_each(|i| perm[i] = (i - 1) as u8);
	}
	perm
}

/// Transposing by `first`, then by `second`.
pub(crate) fn compose(first: &[u8], second: &[u8]) -> Perm {
	second.iter().map(|i| first[usize::from(*i)]).collect()
}

/// The permutation that undoes `perm`.
pub(crate) fn inverse(perm: &[u8]) -> Perm {
	let mut out = vec![0; perm.len()];
	perm.iter().enumerate().for_each(|(i, p)| out[usize::from(*p)] = i as u8);
	out
}
