//! Binary Merkle trees in the shape of RFC 6962.
//!
//! Node `(level, i)` covers the leaves `i * 2^level .. min((i + 1) * 2^level, n)`. A node without a right neighbour is
//! promoted unchanged. The number of leaves is always known from outside (computed from a type or a header, never
//! claimed), so a path's length and directions are computed too. Leaves and inner nodes are hashed under different tags;
//! a leaf can never be read as a node.

use crate::{commit::hash, Hash};
use alloc::vec::Vec;

/// The tag of a leaf.
pub(crate) const LEAF_TAG: &[u8] = b"assay/leaf";

/// The hash of a leaf's bytes.
pub fn leaf(bytes: &[u8]) -> Hash {
	hash(LEAF_TAG, &[bytes])
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

/// The number of nodes on `level` of a tree of `leaves` leaves; level 0 is the leaves.
pub fn width(leaves: u64, level: u32) -> u64 {
	match 1u64.checked_shl(level) {
		Some(span) => leaves.div_ceil(span),
		None => leaves.min(1),
	}
}

/// The level of the root of a tree of `leaves` leaves.
pub fn height(leaves: u64) -> u32 {
	u64::BITS.saturating_sub(leaves.saturating_sub(1).leading_zeros())
}

/// Climbs `levels` levels from a row of `width` nodes, of which `nodes` are known, with strictly ascending numbers. `path`
/// gives the siblings that are not known, level by level, left to right, and must be used up exactly. The nodes above
/// those known, or `None`. Work and memory are in proportion to `nodes` and `path`.
pub fn climb(width: u64, nodes: &[(u64, Hash)], path: &[Hash], levels: u32) -> Option<Vec<(u64, Hash)>> {
	let ascend = nodes.windows(2).all(|w| matches!(w, [(a, _), (b, _)] if a < b));
	if !ascend || nodes.last().is_some_and(|(i, _)| *i >= width) {
		return None;
	}
	let (mut row, mut width, mut path) = (nodes.to_vec(), width, path.iter());
	for _ in 0..levels.min(height(width)) {
		let mut above = Vec::with_capacity(row.len());
		let mut known = row.iter().peekable();
		while let Some((at, hash)) = known.next() {
			let sibling = at ^ 1;
			let hash = if sibling >= width {
				*hash
			} else if at & 1 == 1 {
				// A known left sibling would have taken this one along.
				node(path.next()?, hash)
			} else if let Some((_, right)) = known.next_if(|(i, _)| *i == sibling) {
				node(hash, right)
			} else {
				node(hash, path.next()?)
			};
			above.push((at / 2, hash));
		}
		row = above;
		width = width.div_ceil(2);
	}
	path.next().is_none().then_some(row)
}

/// Level (from the row) and number of each node that [`climb`] takes from its path, in order. `nodes` ascend strictly.
pub fn siblings(width: u64, nodes: &[u64], levels: u32) -> Vec<(u32, u64)> {
	let (mut row, mut width, mut path) = (nodes.to_vec(), width, Vec::new());
	for level in 0..levels.min(height(width)) {
		let mut above = Vec::with_capacity(row.len());
		let mut known = row.iter().peekable();
		while let Some(at) = known.next() {
			let sibling = at ^ 1;
			if sibling < width && (at & 1 == 1 || known.next_if(|i| **i == sibling).is_none()) {
				path.push((level, sibling));
			}
			above.push(at / 2);
		}
		row = above;
		width = width.div_ceil(2);
	}
	path
}

/// The root of the tree of `leaves` leaves with these leaf hashes and this path; `None` when they do not fit together.
/// There must be at least one leaf hash.
pub fn root_over(leaves: u64, nodes: &[(u64, Hash)], path: &[Hash]) -> Option<Hash> {
	match climb(leaves, nodes, path, height(leaves))?.as_slice() {
		[(_, root)] => Some(*root),
		_ => None,
	}
}

/// A tree with all its nodes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tree {
	/// The levels from the leaves up; never empty.
	levels: Vec<Vec<Hash>>,
}

impl Tree {
	/// The tree over these leaf hashes.
	pub fn new(leaves: Vec<Hash>) -> Self {
		let mut levels = Vec::new();
		let mut row = leaves;
		while row.len() > 1 {
			let above = row.chunks(2).filter_map(|pair| match pair {
				[left, right] => Some(node(left, right)),
				[lone] => Some(*lone),
				_ => None,
			});
			let above = above.collect();
			levels.push(core::mem::replace(&mut row, above));
		}
		levels.push(row);
		Self { levels }
	}

	/// The tree over the tiles of these bytes.
	pub fn of_tiles(bytes: &[u8]) -> Self {
		Self::new(bytes.chunks(crate::commit::TILE_BYTES).map(leaf).collect())
	}

	/// The number of leaves.
	pub fn leaves(&self) -> u64 {
		self.level(0).len() as u64
	}

	/// The root.
	pub fn root(&self) -> Hash {
		self.levels.last().and_then(|l| l.first()).copied().unwrap_or_else(empty_root)
	}

	/// All nodes of a level; above the root, the root.
	pub fn level(&self, level: u32) -> &[Hash] {
		let level = usize::try_from(level).unwrap_or(usize::MAX).min(self.levels.len().saturating_sub(1));
		self.levels.get(level).map(Vec::as_slice).unwrap_or_default()
	}

	/// One node.
	pub fn node(&self, level: u32, index: u64) -> Option<Hash> {
		self.level(level).get(usize::try_from(index).ok()?).copied()
	}

	/// The path that [`climb`] needs from these leaves up to `level`. The numbers ascend strictly.
	pub fn path_to(&self, level: u32, leaves: &[u64]) -> Option<Vec<Hash>> {
		siblings(self.leaves(), leaves, level).into_iter().map(|(l, i)| self.node(l, i)).collect()
	}

	/// The path that [`root_over`] needs for these leaves.
	pub fn path(&self, leaves: &[u64]) -> Option<Vec<Hash>> {
		self.path_to(u32::MAX, leaves)
	}
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

	#[test]
	fn tree_should_have_the_width_and_height_that_are_computed() {
		for n in 0..70u64 {
			let tree = Tree::new(leaves(n as usize));
			assert_eq!(tree.root(), root(&leaves(n as usize)));
			assert_eq!(height(n) as usize, tree.levels.len() - 1, "{n}");
			for (level, row) in tree.levels.iter().enumerate() {
				assert_eq!(width(n, level as u32), row.len() as u64);
				assert_eq!(root(row), tree.root(), "the nodes of a level are leaves of the same root");
			}
		}
		assert_eq!((width(u64::MAX, 64), width(5, 100), height(u64::MAX)), (1, 1, 64));
	}

	proptest! {
		#[test]
		fn climb_should_reach_any_level_only_with_the_right_nodes_and_path(
			n in 1usize..70, pick: u128, levels in 0u32..8, at in any::<prop::sample::Index>(), bit in 0usize..256,
		) {
			let all = leaves(n);
			let tree = Tree::new(all.clone());
			let chosen: Vec<u64> = (0..n as u64).filter(|i| pick >> i & 1 == 1).collect();
			let nodes: Vec<(u64, Hash)> = chosen.iter().map(|i| (*i, all[*i as usize])).collect();
			let path = tree.path_to(levels, &chosen).unwrap();
			let above = climb(n as u64, &nodes, &path, levels).unwrap();
			let top = levels.min(height(n as u64));
			prop_assert!(above.iter().all(|(i, h)| tree.node(top, *i) == Some(*h)));
			let mut parents: Vec<u64> = chosen.iter().map(|i| i >> top).collect();
			parents.dedup();
			prop_assert_eq!(above.iter().map(|(i, _)| *i).collect::<Vec<_>>(), parents);
			if chosen.len() == 1 {
				prop_assert_eq!(&tree.path(&chosen), &super::path(&all, chosen[0]));
			}
			let mut longer = path.clone();
			longer.push(all[0]);
			prop_assert_eq!(climb(n as u64, &nodes, &longer, levels), None);
			if let Some((_, shorter)) = path.split_last() {
				prop_assert_eq!(climb(n as u64, &nodes, shorter, levels), None);
			}
			if nodes.is_empty() {
				return Ok(());
			}
			prop_assert_eq!(root_over(n as u64, &nodes, &tree.path(&chosen).unwrap()), Some(tree.root()));
			let mut wrong = nodes.clone();
			wrong[at.index(nodes.len())].1[bit / 8] ^= 1 << (bit % 8);
			prop_assert_ne!(climb(n as u64, &wrong, &path, levels), Some(above));
			let mut moved = nodes.clone();
			moved[at.index(nodes.len())].0 += 1;
			prop_assert_ne!(root_over(n as u64, &moved, &tree.path(&chosen).unwrap()), Some(tree.root()));
			let mut backwards = nodes;
			backwards.reverse();
			prop_assert!(chosen.len() == 1 || climb(n as u64, &backwards, &path, levels).is_none());
		}

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
