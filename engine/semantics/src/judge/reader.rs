//! Reading operands from opened tiles.

use crate::{
	commit::TILE_BYTES,
	eval::raw,
	ops::{canonical, Bits, Read},
	TensorType,
};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode};
use core::cell::Cell;
use scale_info::TypeInfo;

/// A tile of a value.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Tile {
	/// Its number.
	pub index: u32,
	/// Its bytes.
	pub bytes: Vec<u8>,
}

/// Operands of which some tiles are known. A read elsewhere gives 0 and is remembered.
pub(super) struct Tiles<'a> {
	/// Type and tiles of each operand, in the node's order; the tiles ascend.
	pub(super) operands: Vec<(&'a TensorType, &'a [Tile])>,
	/// Whether a tile was read that is not known.
	pub(super) missing: Cell<bool>,
}

impl Read for Tiles<'_> {
	fn read(&self, operand: usize, index: u64) -> Bits {
		// The same rules as for whole tensors: clamp, and 0 where there is nothing.
		let Some((ty, tiles)) = self.operands.get(operand) else { return 0 };
		let Some(last) = ty.elements().and_then(|n| n.checked_sub(1)) else { return 0 };
		let size = ty.dtype.size();
		let at = index.min(last).saturating_mul(size as u64);
		let (tile, start) = (at / TILE_BYTES as u64, (at % TILE_BYTES as u64) as usize);
		let found = tiles.binary_search_by_key(&tile, |t| u64::from(t.index)).ok().and_then(|i| tiles.get(i));
		match found.and_then(|t| t.bytes.get(start..start.saturating_add(size))) {
			Some(bytes) => canonical(ty.dtype, raw(bytes)),
			None => {
				self.missing.set(true);
				0
			}
		}
	}
}
