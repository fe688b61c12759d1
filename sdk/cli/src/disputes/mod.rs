//! Disputes as the chain has them: names, records, events, hashes. The rules are the chain's; see its pallet `Disputes`.
//!
//! | module | what it does |
//! |---|---|
//! | this | storage records, constants, what is hashed |
//! | [`events`] | what blocks say about disputes |
//! | [`read`] | storage, and the messages themselves out of blocks |
//! | [`words`] | demands, grounds and verdicts in words |

// The derive writes an import that the lint does not know as its own, seen through the macro.
#[allow(unused_imports)]
pub mod events;
pub mod read;
pub mod words;

use crate::types::Bytes32;
use subxt::{ext::scale_decode::DecodeAsType, utils::AccountId32};

/// The pallet.
pub const PALLET: &str = "Disputes";

/// `Disputes.Clock`: somebody's time to act.
#[derive(DecodeAsType, Clone, Copy, PartialEq, Eq, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct Clock {
	pub start: u32,
	pub length: u32,
	pub full: u32,
}

impl Clock {
	/// The last block in which a message counts, as known when the chain has had `full` full blocks.
	pub fn last(&self, full: u32) -> u64 {
		let skipped = full.saturating_sub(self.full).min(self.length);
		u64::from(self.start) + u64::from(self.length) + u64::from(skipped)
	}
}

/// A seal that is neither revealed nor lapsed.
#[derive(DecodeAsType, Clone, PartialEq, Eq, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct Seal {
	pub at: u32,
	pub number: u64,
	pub deposit: u128,
}

/// A claim under challenge.
#[derive(DecodeAsType, Clone, PartialEq, Eq, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct Dispute {
	pub job: u64,
	pub model: Bytes32,
	pub worker: AccountId32,
	pub settles_at: u32,
	pub phase: Phase,
	pub live: u32,
}

/// How far a dispute is.
#[derive(DecodeAsType, Clone, PartialEq, Eq, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub enum Phase {
	Unpublished(Clock),
	Published { trace_root: Bytes32, at: u32 },
	Convicted { at: u32 },
	Defended,
}

/// A live challenge.
#[derive(DecodeAsType, Clone, PartialEq, Eq, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct Challenge {
	pub number: u64,
	pub started: u32,
	pub bond: u128,
	pub fees: u128,
	pub demands: u32,
	pub stage: Stage,
}

/// Whose move it is in a challenge.
#[derive(DecodeAsType, Clone, PartialEq, Eq, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub enum Stage {
	Publication,
	Move(Clock),
	Answer(Bytes32),
}

/// A node of a trace that was demanded.
#[derive(DecodeAsType, Clone, PartialEq, Eq, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub enum Node {
	Outstanding { demand: Vec<u8>, bytes: u32, clock: Clock },
	Opened { at: u32 },
}

/// Why a worker was convicted.
#[derive(DecodeAsType, Clone, PartialEq, Eq, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub enum Grounds {
	Proof(Verdict),
	NoPublication,
	NoAnswer(Bytes32),
}

/// What a proof showed.
#[derive(DecodeAsType, Clone, Copy, PartialEq, Eq, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub enum VerdictKind {
	Wrong,
	InvalidModel,
}

/// What a proof showed, in detail. The bits are little-endian.
#[derive(DecodeAsType, Clone, PartialEq, Eq, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct Verdict {
	pub kind: VerdictKind,
	pub value: u32,
	pub element: Option<u64>,
	pub expected: Vec<u8>,
	pub claimed: Vec<u8>,
	pub operator: Vec<u8>,
}

/// Where the bond of a convicted worker went.
#[derive(DecodeAsType, Clone, Copy, Default, PartialEq, Eq, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct Outcome {
	pub slashed: u128,
	pub reward: u128,
	pub burned: u128,
	pub compensation: u128,
}

/// What the view function `challenges` says of each.
#[derive(DecodeAsType, Clone, PartialEq, Eq, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct ChallengeInfo {
	pub challenger: AccountId32,
	pub challenge: Challenge,
	pub to_move: bool,
	pub move_by: u32,
}

/// What the view function `demands` says of each.
#[derive(DecodeAsType, Clone, PartialEq, Eq, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct DemandInfo {
	pub demand: Vec<u8>,
	pub bytes: u32,
	pub answer_by: u32,
}

/// The hash that seals a challenge of a claim.
pub fn seal_hash(claim: &Bytes32, challenger: &AccountId32, salt: &Bytes32) -> Bytes32 {
	assay_semantics::hash(b"assay/seal/v1", &[claim, &challenger.0, salt])
}

/// The name of a node of a trace: the hash of the encoded demand for it.
pub fn node_id(demand: &[u8]) -> Bytes32 {
	let mut id = Bytes32::default();
	id.copy_from_slice(blake2b_simd::Params::new().hash_length(32).hash(demand).as_bytes());
	id
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn seal_hash_should_be_the_chains() {
		let hash = seal_hash(&[1; 32], &AccountId32([2; 32]), &[3; 32]);
		assert_eq!(hex::encode(hash), "e2aed7b5b3dcd92fea3813968a3a3958e022ecc68f32fc5d51148d9e8d7c57bf");
	}

	#[test]
	fn node_id_should_be_the_chains() {
		// blake2b-256 of no bytes, as sp-io's hashing has it.
		assert_eq!(hex::encode(node_id(&[])), "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
	}

	#[test]
	fn clock_should_at_most_double() {
		let clock = Clock { start: 100, length: 10, full: 5 };
		assert_eq!(clock.last(5), 110);
		assert_eq!(clock.last(8), 113);
		assert_eq!(clock.last(1_000), 120);
	}
}
