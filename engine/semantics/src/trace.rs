//! The trace of one inference: all values, as one root.
//!
//! The trace root is `hash("assay/trace", [iterations, list of the value roots])`, with value `i` that of node `i`, sources
//! included. There is one iteration for now; coordinates name it all the same.
//!
//! Trees of a dispute are opened in at most two pieces. With `n` leaves and `L` the least level that has at most
//! [`GROUP`] nodes, the *top nodes* are the nodes of level `L`, and *group* `g` is the leaves under top node `g`. Up to
//! [`GROUP`] leaves, the top nodes are the leaves.

use crate::{commit, merkle, Hash};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// The most top nodes of a tree.
pub const GROUP: u64 = 1024;

/// Iterations of a trace; 1 in semantics version 1.
pub const ITERATIONS: u32 = 1;

/// Where a value is in a trace.
#[derive(
	Clone,
	Copy,
	PartialEq,
	Eq,
	PartialOrd,
	Ord,
	Default,
	Debug,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
)]
pub struct Coordinate {
	/// The iteration; 0 for now.
	pub iteration: u32,
	/// The value, which is the number of its node.
	pub value: u32,
}

impl Coordinate {
	/// A value of the one iteration that there is.
	pub const fn of(value: u32) -> Self {
		Self { iteration: 0, value }
	}
}

/// The root of a trace with these value roots.
pub fn trace_root(roots: &[Hash]) -> Hash {
	let leaves: alloc::vec::Vec<Hash> = roots.iter().map(leaf).collect();
	trace_root_of(roots.len() as u64, &merkle::root(&leaves))
}

/// [`trace_root`] from the Merkle root over the [`leaf`]s of the value roots.
pub(crate) fn trace_root_of(values: u64, tree: &Hash) -> Hash {
	commit::hash(b"assay/trace", &[&ITERATIONS.to_le_bytes(), &commit::list_root_of(values, tree)])
}

/// The leaf of a value root.
pub(crate) fn leaf(root: &Hash) -> Hash {
	merkle::leaf(root)
}

/// The level of the top nodes of a tree of `leaves` leaves.
pub fn top_level(leaves: u64) -> u32 {
	merkle::height(leaves.div_ceil(GROUP))
}

/// The number of top nodes of a tree of `leaves` leaves.
pub fn top_width(leaves: u64) -> u64 {
	merkle::width(leaves, top_level(leaves))
}

/// First leaf and number of leaves of a group; `None` when there is no such group, or the top nodes are the leaves.
pub fn group(leaves: u64, group: u32) -> Option<(u64, u64)> {
	let level = top_level(leaves);
	let first = u64::from(group).checked_shl(level)?;
	(level > 0 && first < leaves).then(|| (first, (leaves - first).min(1 << level)))
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn groups_should_cover_every_leaf_when_there_are_more_than_1024() {
		for n in [0, 1, 1023, 1024] {
			assert_eq!((top_level(n), top_width(n), group(n, 0)), (0, n, None));
		}
		for n in [1025, 2048, 2049, 3000, 1 << 20, (1 << 20) + 1, 1 << 21] {
			let level = top_level(n);
			assert!(top_width(n) <= GROUP && merkle::width(n, level - 1) > GROUP, "{n}");
			let mut next = 0;
			for g in 0..top_width(n) {
				let (first, len) = group(n, g as u32).unwrap();
				assert_eq!(first, next);
				assert!(len >= 1 && len <= 1 << level);
				next += len;
			}
			assert_eq!(next, n);
			assert_eq!(group(n, top_width(n) as u32), None);
			assert_eq!(group(n, u32::MAX), None);
		}
	}
}
