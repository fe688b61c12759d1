//! The hash, and every root and identity that is made with it.
//!
//! - A tensor is cut into tiles of [`TILE_BYTES`] bytes (the last may be shorter); its *value root* is
//!   `hash("assay/value", [SCALE(type), Merkle root of the tiles])`.
//! - A side of a job (all inputs, or all outputs) is `hash("assay/side", [side, count, Merkle root of the value roots])`.
//! - A model is its [`ModelHeader`]; a job's claim is a [`statement`].
//!
//! Positions bind, names do not. Counts and types are bound, so that the form of every tree is known before it is read.

use crate::{merkle, Hash, TensorError, TensorType};
use alloc::vec::Vec;
use blake2b_simd::Params;
use codec::{Decode, DecodeWithMemTracking, Encode};
use core::fmt;
use scale_info::TypeInfo;

/// Bytes of one tile. Bytes, not elements, so that 8-bit models do not pay four times the hashes.
pub const TILE_BYTES: usize = 1024;

/// The version of [`statement`]'s format.
pub const STATEMENT_VERSION: u16 = 1;

/// The one hash of Assay: BLAKE2b-256 over `tag` and `parts`, each preceded by its length as a little-endian `u64`.
/// The preimage can be read in one way only, and different tags never collide.
pub fn hash(tag: &[u8], parts: &[&[u8]]) -> Hash {
	let mut state = Params::new().hash_length(32).to_state();
	for part in core::iter::once(&tag).chain(parts) {
		state.update(&(part.len() as u64).to_le_bytes());
		state.update(part);
	}
	let mut out = [0; 32];
	out.copy_from_slice(state.finalize().as_bytes());
	out
}

/// The Merkle root over the tiles of these bytes.
pub fn tiles_root(bytes: &[u8]) -> Hash {
	let mut tree = merkle::Accumulator::default();
	#[cfg(any(test, feature = "std"))]
	let bytes = four_at_once(bytes, &mut tree);
	bytes.chunks(TILE_BYTES).for_each(|tile| tree.push(merkle::leaf(tile)));
	tree.root()
}

/// Pushes the leaves of whole tiles, four of which a processor with wide vectors hashes at once. Gives what is left.
#[cfg(any(test, feature = "std"))]
fn four_at_once<'a>(bytes: &'a [u8], tree: &mut merkle::Accumulator) -> &'a [u8] {
	use blake2b_simd::many::{hash_many, HashManyJob};
	let mut params = Params::new();
	params.hash_length(32);
	// What comes before a tile in the preimage of its leaf.
	let mut before = Vec::new();
	before.extend((merkle::LEAF_TAG.len() as u64).to_le_bytes());
	before.extend(merkle::LEAF_TAG);
	before.extend((TILE_BYTES as u64).to_le_bytes());
	let mut preimages = [(); 4].map(|()| before.clone());
	let groups = bytes.chunks_exact(4 * TILE_BYTES);
	let rest = groups.remainder();
	for group in groups {
		for (preimage, tile) in preimages.iter_mut().zip(group.chunks_exact(TILE_BYTES)) {
			preimage.truncate(before.len());
			preimage.extend_from_slice(tile);
		}
		let mut jobs = preimages.each_ref().map(|preimage| HashManyJob::new(&params, preimage));
		hash_many(&mut jobs);
		for job in jobs {
			let mut leaf = [0; 32];
			leaf.copy_from_slice(job.to_hash().as_bytes());
			tree.push(leaf);
		}
	}
	rest
}

/// The value root of a type over a tiles root.
pub fn value_root(ty: &TensorType, tiles_root: &Hash) -> Hash {
	hash(b"assay/value", &[&ty.encode(), tiles_root])
}

/// The value root of a tensor whose bytes fit its type.
pub fn root_of(tensor: &crate::Tensor) -> Hash {
	value_root(&tensor.ty, &tiles_root(&tensor.bytes))
}

/// The value root of a tensor: type and bytes.
pub fn tensor_root(ty: &TensorType, bytes: &[u8]) -> Result<Hash, CommitError> {
	ty.check().map_err(CommitError::Type)?;
	let expected = ty.byte_len().ok_or(CommitError::Type(TensorError::TooLarge))?;
	let got = bytes.len() as u64;
	if expected != got {
		return Err(CommitError::Length { expected, got });
	}
	Ok(value_root(ty, &tiles_root(bytes)))
}

/// Which tensors of a job a root is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum Side {
	/// What the requester gave.
	#[codec(index = 0)]
	Input,
	/// What the worker answered.
	#[codec(index = 1)]
	Output,
}

/// Number of bytes of one side's tensors together; `None` when a type is invalid or the sum does not fit.
pub fn side_byte_len(types: &[TensorType]) -> Option<u64> {
	types.iter().try_fold(0u64, |sum, ty| {
		ty.check().ok()?;
		sum.checked_add(ty.byte_len()?)
	})
}

/// The root over the tensors of one side. `bytes` are the tensors' raw bytes, one after the other in the order of the
/// signature; their number must match exactly.
pub fn side_root(side: Side, types: &[TensorType], bytes: &[u8]) -> Result<Hash, CommitError> {
	let expected = side_byte_len(types).ok_or(CommitError::Type(TensorError::TooLarge))?;
	let got = bytes.len() as u64;
	if expected != got {
		return Err(CommitError::Length { expected, got });
	}
	let mut rest = bytes;
	let mut roots = Vec::with_capacity(types.len());
	for ty in types {
		// The lengths were summed above, so the split is always inside.
		let len = ty.byte_len().and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX).min(rest.len());
		let (tensor, after) = rest.split_at(len);
		roots.push(tensor_root(ty, tensor)?);
		rest = after;
	}
	Ok(side_root_of(side, &roots))
}

/// The root of one side over the value roots of its tensors.
pub fn side_root_of(side: Side, roots: &[Hash]) -> Hash {
	hash(b"assay/side", &[&side.encode(), &list_root(roots)])
}

/// The root over the nodes of a graph, from their SCALE encodings.
pub fn ir_root<'a>(nodes: impl IntoIterator<Item = &'a crate::Node>) -> Hash {
	let leaves: Vec<Hash> = nodes.into_iter().map(|n| merkle::leaf(&n.encode())).collect();
	hash(b"assay/ir", &[&list_root(&leaves)])
}

/// [`ir_root`] from the Merkle root over [`ir_leaf`]s.
pub(crate) fn ir_root_of(values: u32, tree: &Hash) -> Hash {
	hash(b"assay/ir", &[&list_root_of(values.into(), tree)])
}

/// The leaf of a node in the tree behind [`ir_root`].
pub(crate) fn ir_leaf(node: &crate::Node) -> Hash {
	merkle::leaf(&merkle::leaf(&node.encode()))
}

/// The root over the value roots of a model's weights.
pub fn weight_root(roots: &[Hash]) -> Hash {
	hash(b"assay/weights", &[&list_root(roots)])
}

/// [`weight_root`] from the Merkle root over the leaves of the weights' value roots.
pub(crate) fn weight_root_of(weights: u32, tree: &Hash) -> Hash {
	hash(b"assay/weights", &[&list_root_of(weights.into(), tree)])
}

/// A Merkle root with the number of its leaves bound in; leaves are hashed once more, so that no inner node of a
/// leaf's own tree can pass for a leaf here.
pub(crate) fn list_root(items: &[Hash]) -> Hash {
	let leaves: Vec<Hash> = items.iter().map(|i| merkle::leaf(i)).collect();
	list_root_of(items.len() as u64, &merkle::root(&leaves))
}

/// [`list_root`] from the Merkle root over its leaves.
pub(crate) fn list_root_of(items: u64, tree: &Hash) -> Hash {
	hash(b"assay/list", &[&items.to_le_bytes(), tree])
}

/// Everything that a `ModelId` commits to. It travels in proofs, so that the judge reads no model storage.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct ModelHeader {
	/// The semantics under which the model has its meaning.
	pub semantics_version: u32,
	/// Root over the SCALE-encoded nodes, [`ir_root`].
	pub ir_root: Hash,
	/// Number of values, which is the number of nodes.
	pub values: u32,
	/// Root over the weights' value roots, [`weight_root`].
	pub weight_root: Hash,
	/// Types of the inputs, in order.
	pub inputs: Vec<TensorType>,
	/// Types of the outputs, in order. They are the last values of the graph.
	pub outputs: Vec<TensorType>,
	/// Always 1 in semantics version 1; later the bound of autoregressive generation.
	pub max_iterations: u32,
}

impl ModelHeader {
	/// The `ModelId`.
	pub fn id(&self) -> Hash {
		hash(b"assay/model", &[&self.encode()])
	}
}

/// What was computed, independent of any chain: `output = model(input)` under `params`.
pub fn statement(model: &Hash, input_root: &Hash, output_root: &Hash, params: &[u8]) -> Hash {
	hash(b"assay/statement", &[&STATEMENT_VERSION.to_le_bytes(), model, input_root, output_root, params])
}

/// Why there is no root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommitError {
	/// A type is not valid.
	Type(TensorError),
	/// The number of bytes is not what the types say.
	Length {
		/// Bytes that the types need.
		expected: u64,
		/// Bytes given.
		got: u64,
	},
}

impl fmt::Display for CommitError {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		match self {
			CommitError::Type(e) => e.fmt(f),
			CommitError::Length { expected, got } => write!(f, "the types need {expected} bytes, got {got}"),
		}
	}
}

impl core::error::Error for CommitError {}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::DType;
	use alloc::{vec, vec::Vec};
	use proptest::prelude::*;

	#[test]
	fn hash_should_be_blake2b_256_of_the_length_prefixed_preimage() {
		let mut preimage = Vec::new();
		for part in [&b"tag"[..], b"ab", b""] {
			preimage.extend((part.len() as u64).to_le_bytes());
			preimage.extend(part);
		}
		let plain = Params::new().hash_length(32).hash(&preimage);
		assert_eq!(&hash(b"tag", &[b"ab", b""]), plain.as_bytes());
		assert_ne!(hash(b"tag", &[b"ab"]), hash(b"tag", &[b"a", b"b"]));
		assert_ne!(hash(b"tag", &[b"ab"]), hash(b"taga", &[b"b"]));
		assert_ne!(hash(b"tag", &[]), hash(b"tag", &[b""]));
	}

	#[test]
	fn side_root_should_refuse_when_the_length_differs() {
		let types = [TensorType::new(DType::F32, vec![2, 3]), TensorType::new(DType::I8, vec![5])];
		assert_eq!(side_byte_len(&types), Some(29));
		assert!(side_root(Side::Input, &types, &[0; 29]).is_ok());
		for n in [0, 28, 30] {
			assert_eq!(
				side_root(Side::Input, &types, &vec![0; n]),
				Err(CommitError::Length { expected: 29, got: n as u64 })
			);
		}
		assert_ne!(side_root(Side::Input, &types, &[0; 29]), side_root(Side::Output, &types, &[0; 29]));
		let huge = TensorType::new(DType::I64, vec![u32::MAX; 8]);
		assert!(side_root(Side::Input, core::slice::from_ref(&huge), &[]).is_err());
		assert!(tensor_root(&huge, &[]).is_err());
	}

	#[test]
	fn statement_should_change_when_any_part_changes() {
		let base = statement(&[1; 32], &[2; 32], &[3; 32], b"p");
		assert_ne!(base, statement(&[0; 32], &[2; 32], &[3; 32], b"p"));
		assert_ne!(base, statement(&[1; 32], &[3; 32], &[2; 32], b"p"));
		assert_ne!(base, statement(&[1; 32], &[2; 32], &[3; 32], b""));
	}

	#[test]
	fn tiles_root_should_be_that_of_the_leaves_one_by_one() {
		let bytes: Vec<u8> = (0..20_000u32).map(|i| (i * 7 / 3) as u8).collect();
		for len in [0, 1, 1023, 1024, 4095, 4096, 4097, 8192, 9000, 20_000] {
			let leaves: Vec<Hash> = bytes[..len].chunks(TILE_BYTES).map(merkle::leaf).collect();
			assert_eq!(tiles_root(&bytes[..len]), merkle::root(&leaves), "{len}");
		}
	}

	proptest! {
		#[test]
		fn tensor_root_should_bind_every_byte_dimension_and_type(
			n in 1usize..3000, at in any::<prop::sample::Index>(), bit in 0u8..8,
		) {
			let bytes: Vec<u8> = (0..n).map(|i| (i % 251) as u8).collect();
			let ty = TensorType::new(DType::I8, vec![n as u32]);
			let base = tensor_root(&ty, &bytes).unwrap();
			let mut changed = bytes.clone();
			changed[at.index(n)] ^= 1 << bit;
			prop_assert_ne!(base, tensor_root(&ty, &changed).unwrap());
			for other in [
				TensorType::new(DType::U8, vec![n as u32]),
				TensorType::new(DType::I8, vec![1, n as u32]),
				TensorType::new(DType::I8, vec![n as u32, 1]),
			] {
				prop_assert_ne!(base, tensor_root(&other, &bytes).unwrap());
			}
		}
	}
}
