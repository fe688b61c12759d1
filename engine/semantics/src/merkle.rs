//! Binary Merkle trees in the shape of RFC 6962.
//!
//! Node `(level, i)` covers the leaves `i * 2^level .. min((i + 1) * 2^level, n)`. A node without a right neighbour is
//! promoted unchanged. The number of leaves is always known from outside (computed from a type or a header, never
//! claimed), so a path's length and directions are computed too. Leaves and inner nodes are hashed under different tags;
//! a leaf can never be read as a node.

use crate::{commit::hash, Hash};
use alloc::vec::Vec;

/// The hash of a leaf's bytes.
pub fn leaf(bytes: &[u8]) -> Hash {
	hash(b"assay/leaf", &[bytes])
}

/// The hash of an inner node.
pub fn node(left: &Hash, right: &Hash) -> Hash {
	hash(b"assay/node", &[left, right])
}

/// The root of a tree without leaves.
pub fn empty_root() -> Hash {
	hash(b"assay/empty", &[])
}

/// Computes a root leaf by leaf, in memory logarithmic in the number of leaves.
#[derive(Default)]
pub struct Accumulator {
	/// Roots of complete subtrees, largest first; one for each bit set in `count`.
	peaks: Vec<Hash>,
	count: u64,
}

impl Accumulator {
	/// Appends a leaf hash.
	pub fn push(&mut self, leaf: Hash) {
		let mut hash = leaf;
		for _ in 0..self.count.trailing_ones() {
			if let Some(left) = self.peaks.pop() {
				hash = node(&left, &hash);
			}
		}
		self.peaks.push(hash);
		self.count = self.count.saturating_add(1);
	}

	/// The root over all leaves appended so far.
	pub fn root(mut self) -> Hash {
		let Some(mut root) = self.peaks.pop() else { return empty_root() };
		while let Some(left) = self.peaks.pop() {
			root = node(&left, &root);
		}
		root
	}
}

/// The root over these leaf hashes.
pub fn root(leaves: &[Hash]) -> Hash {
	let mut tree = Accumulator::default();
	leaves.iter().for_each(|l| tree.push(*l));
	tree.root()
}

/// The siblings of leaf `index`, lowest first; `None` when there is no such leaf.
pub fn path(leaves: &[Hash], index: u64) -> Option<Vec<Hash>> {
	let mut at = usize::try_from(index).ok().filter(|i| *i < leaves.len())?;
	let mut level = leaves.to_vec();
	let mut path = Vec::new();
	while level.len() > 1 {
		path.extend(level.get(at ^ 1).copied());
		level = level
			.chunks(2)
			.filter_map(|pair| match pair {
				[left, right] => Some(node(left, right)),
				[lone] => Some(*lone),
				_ => None,
			})
			.collect();
		at /= 2;
	}
	Some(path)
}

/// Whether `leaf` is leaf number `index` of the tree of `leaves` leaves with this root. The path must be used up exactly.
pub fn verify(root: &Hash, leaves: u64, index: u64, leaf: &Hash, path: &[Hash]) -> bool {
	if index >= leaves {
		return false;
	}
	let (mut width, mut at, mut hash, mut path) = (leaves, index, *leaf, path.iter());
	while width > 1 {
		if at ^ 1 < width {
			let Some(sibling) = path.next() else { return false };
			hash = if at & 1 == 1 { node(sibling, &hash) } else { node(&hash, sibling) };
		}
		at /= 2;
		width = width.div_ceil(2);
	}
	path.next().is_none() && hash == *root
}

#[cfg(test)]
mod tests {
	use super::*;
	use proptest::prelude::*;

	fn leaves(n: usize) -> Vec<Hash> {
		(0..n).map(|i| leaf(&i.to_le_bytes())).collect()
	}

	/// RFC 6962's own recursive definition.
	fn rfc6962(leaves: &[Hash]) -> Hash {
		match leaves {
			[] => empty_root(),
			[one] => *one,
			_ => {
				let split = leaves.len().next_power_of_two() / 2;
				node(&rfc6962(&leaves[..split]), &rfc6962(&leaves[split..]))
			}
		}
	}

	#[test]
	fn root_should_have_the_rfc_6962_shape() {
		for n in 0..70 {
			assert_eq!(root(&leaves(n)), rfc6962(&leaves(n)), "{n} leaves");
		}
	}

	proptest! {
		#[test]
		fn path_should_verify_only_for_its_leaf_index_and_count(n in 1usize..70, at in any::<prop::sample::Index>(), bit in 0usize..256) {
			let all = leaves(n);
			let i = at.index(n);
			let (r, p) = (root(&all), path(&all, i as u64).unwrap());
			prop_assert!(verify(&r, n as u64, i as u64, &all[i], &p));
			let mut other = all[i];
			other[bit / 8] ^= 1 << (bit % 8);
			prop_assert!(!verify(&r, n as u64, i as u64, &other, &p));
			for j in (0..n + 2).filter(|j| *j != i) {
				prop_assert!(!verify(&r, n as u64, j as u64, &all[i], &p));
			}
			let mut longer = p.clone();
			longer.push(other);
			prop_assert!(!verify(&r, n as u64, i as u64, &all[i], &longer));
			if let Some((_, shorter)) = p.split_last() {
				prop_assert!(!verify(&r, n as u64, i as u64, &all[i], shorter));
			}
		}
	}
}
