//! The values this pallet stores and shows.

use crate::{traits::Verdict, Config};
use assay_primitives::{ClaimHash, JobId, ModelId};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
	traits::{fungible::Inspect, Get},
	CloneNoBound, DebugNoBound, EqNoBound, PartialEqNoBound,
};
use frame_system::pallet_prelude::BlockNumberFor;
use scale_info::TypeInfo;
use sp_core::H256;
use sp_runtime::{
	traits::{AtLeast32BitUnsigned, One},
	BoundedVec,
};

/// An amount of the currency.
pub type BalanceOf<T> = <<T as Config>::Currency as Inspect<<T as frame_system::Config>::AccountId>>::Balance;
/// A [`Dispute`] of this runtime.
pub type DisputeOf<T> = Dispute<<T as frame_system::Config>::AccountId, BalanceOf<T>, BlockNumberFor<T>>;
/// A [`Challenge`] of this runtime.
pub type ChallengeOf<T> = Challenge<BalanceOf<T>, BlockNumberFor<T>>;
/// A [`Seal`] of this runtime.
pub type SealOf<T> = Seal<BalanceOf<T>, BlockNumberFor<T>>;
/// A [`Clock`] of this runtime.
pub type ClockOf<T> = Clock<BlockNumberFor<T>>;
/// A [`Node`] of this runtime.
pub type NodeOf<T> = Node<BlockNumberFor<T>, <T as Config>::MaxDemand>;
/// An encoded publication, opening, proof or piece of evidence.
pub type Message<T> = BoundedVec<u8, <T as Config>::MaxMessage>;
/// An encoded demand.
pub type Demand<T> = BoundedVec<u8, <T as Config>::MaxDemand>;
/// The hash of an encoded demand: names a node of the trace.
pub type NodeId = H256;
/// A place in the queue for the challenger's share. Big-endian, so that the trie keeps the queue in order.
pub type Place = [u8; 8];

/// Somebody's time to act. Blocks without room for a dispute message do not count, until the time has doubled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Clock<BlockNumber> {
	/// When it started.
	pub start: BlockNumber,
	/// How many blocks it runs.
	pub length: BlockNumber,
	/// The number of full blocks on the chain when it started.
	pub full: u32,
}

impl<BlockNumber: AtLeast32BitUnsigned + Copy> Clock<BlockNumber> {
	/// The last block in which a message counts, as known when the chain has had `full` full blocks.
	pub fn last(&self, full: u32) -> BlockNumber {
		let skipped = BlockNumber::from(full.saturating_sub(self.full)).min(self.length);
		self.start.saturating_add(self.length).saturating_add(skipped)
	}

	/// Whether the time is over in block `now`.
	pub fn is_over(&self, now: BlockNumber, full: u32) -> bool {
		now > self.last(full)
	}

	/// The first block in which the time can be over.
	pub fn over_at(&self, full: u32) -> BlockNumber {
		self.last(full).saturating_add(One::one())
	}
}

/// A promise to challenge a claim that the hash does not tell.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Seal<Balance, BlockNumber> {
	/// When it was made.
	pub at: BlockNumber,
	/// Its place among all seals and challenges.
	pub number: u64,
	/// What is on hold for it.
	pub deposit: Balance,
}

/// One claim under challenge.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Dispute<AccountId, Balance, BlockNumber> {
	/// The job whose claim it is.
	pub job: JobId,
	/// The model that ran.
	pub model: ModelId,
	/// Commits to the input.
	pub input_root: H256,
	/// Commits to the output.
	pub output_root: H256,
	/// Who made the claim.
	pub worker: AccountId,
	/// The end of the claim's window, when last looked at.
	pub settles_at: BlockNumber,
	/// The blocks that the trace takes to build, as the model declares.
	pub trace_blocks: u32,
	/// How far it is.
	pub phase: Phase<Balance, BlockNumber>,
	/// The number of challenges that are not lost.
	pub live: u32,
	/// What those have on hold for demands.
	pub fees: Balance,
	/// The bytes that the worker owes.
	pub outstanding: u32,
}

/// How far a dispute is.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Phase<Balance, BlockNumber> {
	/// The worker must publish its trace root.
	#[codec(index = 0)]
	Unpublished(Clock<BlockNumber>),
	/// The trace root is known. Without a live challenge, the claim is free to settle.
	#[codec(index = 1)]
	Published {
		/// Commits to all values of the worker's trace.
		trace_root: H256,
		/// When it was published.
		at: BlockNumber,
		/// The number of full blocks on the chain then.
		full: u32,
	},
	/// The worker was convicted. Bonds and fees go back to the challengers.
	#[codec(index = 2)]
	Convicted {
		/// When.
		at: BlockNumber,
		/// What of the worker's bond was burned. Not more than that is given back of the demand fees.
		burned: Balance,
		/// The sum of the demand fees on hold then.
		fees: Balance,
	},
	/// The claim stood, and the window is over.
	#[codec(index = 3)]
	Defended,
}

/// One account's challenge of one claim.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Challenge<Balance, BlockNumber> {
	/// Its place among all seals and challenges; the earliest live one earns the challenger's share.
	pub number: u64,
	/// When it was made.
	pub started: BlockNumber,
	/// What is on hold as a bond.
	pub bond: Balance,
	/// What is on hold for demands.
	pub fees: Balance,
	/// The demands made so far.
	pub demands: u32,
	/// Whose move it is.
	pub stage: Stage<BlockNumber>,
}

/// Whose move it is in a challenge.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Stage<BlockNumber> {
	/// The worker's until it publishes; then the challenger's, from that block on.
	#[codec(index = 0)]
	Publication,
	/// The challenger's.
	#[codec(index = 1)]
	Move(Clock<BlockNumber>),
	/// The worker's until the node is opened; then the challenger's, from that block on.
	#[codec(index = 2)]
	Answer(NodeId),
}

/// A node of the worker's trace that somebody demanded.
#[derive(
	CloneNoBound,
	PartialEqNoBound,
	EqNoBound,
	DebugNoBound,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
)]
#[scale_info(skip_type_params(MaxDemand))]
pub enum Node<BlockNumber, MaxDemand>
where
	BlockNumber: Clone + PartialEq + Eq + core::fmt::Debug,
	MaxDemand: Get<u32>,
{
	/// The worker must open it.
	#[codec(index = 0)]
	Outstanding {
		/// What was asked.
		demand: BoundedVec<u8, MaxDemand>,
		/// The length of the answer.
		bytes: u32,
		/// The worker's time.
		clock: Clock<BlockNumber>,
	},
	/// It is open, for all challengers. What it holds is in the block in which it was opened.
	#[codec(index = 1)]
	Opened {
		/// When.
		at: BlockNumber,
		/// The number of full blocks on the chain then.
		full: u32,
		/// The root over the partial states, if it was a demand for those.
		states_root: Option<H256>,
	},
}

/// Why a worker was convicted.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Grounds {
	/// A proof.
	#[codec(index = 0)]
	Proof(Verdict),
	/// It did not publish its trace in time.
	#[codec(index = 1)]
	NoPublication,
	/// It did not open a node in time.
	#[codec(index = 2)]
	NoAnswer(NodeId),
}

/// A dispute, as shown to users.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, TypeInfo)]
pub struct DisputeInfo<AccountId, Balance, BlockNumber> {
	/// The claim.
	pub claim: ClaimHash,
	/// The dispute.
	pub dispute: Dispute<AccountId, Balance, BlockNumber>,
	/// Who would earn the challenger's share.
	pub first: Option<AccountId>,
}

/// A challenge, as shown to users.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, TypeInfo)]
pub struct ChallengeInfo<AccountId, Balance, BlockNumber> {
	/// The challenger.
	pub challenger: AccountId,
	/// The challenge.
	pub challenge: Challenge<Balance, BlockNumber>,
	/// Whether it is the challenger's move; else it is the worker's.
	pub to_move: bool,
	/// The last block for that move, as far as known.
	pub move_by: BlockNumber,
}

/// A demand that the worker must answer, as shown to users.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, TypeInfo)]
pub struct DemandInfo<BlockNumber, Demand> {
	/// What was asked.
	pub demand: Demand,
	/// The length of the answer.
	pub bytes: u32,
	/// The last block for the answer, as far as known.
	pub answer_by: BlockNumber,
}

/// Something to do in a later block. A task that has become moot does nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub enum Task<AccountId> {
	/// Burn the deposit of a seal that was not revealed.
	#[codec(index = 0)]
	Lapse(AccountId, H256),
	/// See whether the worker has published.
	#[codec(index = 1)]
	Publication(ClaimHash),
	/// See whether the worker has opened a node.
	#[codec(index = 2)]
	Answer(ClaimHash, NodeId),
	/// See whether the challenge at this place has moved.
	#[codec(index = 3)]
	Move(ClaimHash, u64),
	/// Forget a trace that nobody can challenge any more.
	#[codec(index = 4)]
	WindowEnd(ClaimHash),
	/// Give back and forget, a bounded number of things at once.
	#[codec(index = 5)]
	CleanUp(ClaimHash),
}
