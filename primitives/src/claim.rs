//! What a worker claims, and what can be done about it.

use crate::{JobId, ModelId};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use sp_core::H256;

/// The hash of a [`Claim`]. Service keys sign it; disputes name it.
pub type ClaimHash = H256;

/// What was computed, on no particular chain: a model, an input, an output, parameters (none for now).
/// An enclave signs it, a proof has it as public input.
pub fn statement(model: &ModelId, input_root: &H256, output_root: &H256) -> H256 {
	H256(assay_semantics::statement(&model.0, &input_root.0, &output_root.0, &[]))
}

/// A worker's claim that it answered one job of one chain with one statement. The genesis hash and the hash of the block of
/// assignment tie it to one fork, so that a signature cannot be replayed on another, where the same job number is
/// another job.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Claim<AccountId, Balance, BlockNumber> {
	/// The hash of the chain's first block.
	pub genesis: H256,
	/// Who pays.
	pub requester: AccountId,
	/// The requester's nonce when it made the request.
	pub nonce: u32,
	/// The job, which tells two requests of one batch apart.
	pub job: JobId,
	/// Who answers.
	pub worker: AccountId,
	/// The hash of the block in which the job was assigned to the worker.
	pub assigned_in: H256,
	/// What was computed, see [`statement`].
	pub statement: H256,
	/// What the requester stands to lose by a wrong answer.
	pub coverage: Balance,
	/// The block after which an answer is too late.
	pub deadline: BlockNumber,
}

impl<AccountId: Encode, Balance: Encode, BlockNumber: Encode> Claim<AccountId, Balance, BlockNumber> {
	/// The hash that identifies this claim.
	pub fn hash(&self) -> ClaimHash {
		H256(assay_semantics::hash(b"assay/claim/v1", &[&self.encode()]))
	}
}

/// What a service key signs to commit to a claim.
pub fn commit_payload(claim: &ClaimHash) -> H256 {
	H256(assay_semantics::hash(b"assay/commit/v1", &[&claim.0]))
}

/// What a service key signs to decline a job: the job as assigned in one block of one fork, and the reason.
pub fn decline_payload<A: Encode>(
	genesis: &H256,
	worker: &A,
	job: JobId,
	assigned_in: &H256,
	reason: &impl Encode,
) -> H256 {
	let parts = (genesis, worker, job, assigned_in, reason).encode();
	H256(assay_semantics::hash(b"assay/decline/v1", &[&parts]))
}

/// What a service key signs to say that its worker is there: the hash of a recent block, so that nobody can say it in advance.
pub fn heartbeat_payload<A: Encode>(genesis: &H256, worker: &A, block: &H256) -> H256 {
	H256(assay_semantics::hash(b"assay/heartbeat/v1", &[&(genesis, worker, block).encode()]))
}

/// Where a claim stands in a commitment. A commitment holds one claim for now: index 0, empty path. A batch is later a
/// Merkle root of claims.
#[derive(Clone, Default, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct CommitmentLocation {
	/// The job whose commitment it is.
	pub job: JobId,
	/// The index of the claim among the commitment's claims.
	pub leaf: u32,
}

/// Reasons for which a commitment may not settle yet. Settlement waits until none is left.
#[derive(
	Clone, Copy, Default, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Holds(u8);

impl Holds {
	/// A dispute is live.
	pub const DISPUTE: Self = Self(1);
	/// Data was demanded and not yet given.
	pub const DATA: Self = Self(1 << 1);
	/// An audit is under way.
	pub const AUDIT: Self = Self(1 << 2);

	/// Whether nothing holds the commitment.
	pub fn is_empty(self) -> bool {
		self.0 == 0
	}

	/// Whether all of `other` are among these.
	pub fn contains(self, other: Self) -> bool {
		self.0 & other.0 == other.0
	}

	/// These holds and `other`.
	#[must_use]
	pub fn with(self, other: Self) -> Self {
		Self(self.0 | other.0)
	}

	/// These holds without `other`.
	#[must_use]
	pub fn without(self, other: Self) -> Self {
		Self(self.0 & !other.0)
	}
}

/// Why stake was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum SlashReason {
	/// The worker did not answer a job in time.
	#[codec(index = 0)]
	MissedDeadline,
	/// The worker's answer was proven wrong, or it did not defend it.
	#[codec(index = 1)]
	WrongAnswer,
}
