//! How a model's answers are verified.

use crate::BlockNumber;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use sp_core::ConstU32;
use sp_runtime::BoundedVec;

/// A kind of evidence for an answer. Indices 1 to 3 are kept for attestation, proof and audit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Evidence {
	/// Anyone can recompute the answer bit for bit and challenge it while the window is open.
	#[codec(index = 0)]
	Recomputation,
}

/// A verification policy, versioned. Index 0 is never used.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Policy {
	/// Version 1.
	#[codec(index = 1)]
	V1(PolicyV1),
}

/// A set of required evidence and the challenge window that goes with it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct PolicyV1 {
	/// The evidence that an answer must have; sorted, no duplicates, not empty.
	pub required: BoundedVec<Evidence, ConstU32<4>>,
	/// The blocks in which an answer can be challenged.
	pub window: BlockNumber,
	/// The blocks that a watchtower needs to recompute one inference.
	pub recompute_blocks: BlockNumber,
	/// The blocks that a worker needs to build the trace of one inference.
	pub trace_blocks: BlockNumber,
}

impl Policy {
	/// The policy of a model whose answers are recomputed by whoever doubts them.
	pub fn optimistic(window: BlockNumber, recompute_blocks: BlockNumber, trace_blocks: BlockNumber) -> Self {
		let mut required = BoundedVec::new();
		// The bound is four and the vector is empty, so this cannot fail.
		let _ = required.try_push(Evidence::Recomputation);
		Self::V1(PolicyV1 { required, window, recompute_blocks, trace_blocks })
	}

	/// The blocks that a worker needs to build the trace of one inference.
	pub fn trace_blocks(&self) -> BlockNumber {
		let Self::V1(policy) = self;
		policy.trace_blocks
	}

	/// The challenge window, in blocks.
	pub fn window(&self) -> BlockNumber {
		let Self::V1(policy) = self;
		policy.window
	}
}
