//! The values this pallet stores and shows.

use crate::{traits::TraceSize, Config};
use assay_primitives::{ClaimHash, Holds, JobId, ModelId};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
	traits::{fungible::Inspect, Get},
	CloneNoBound, DebugNoBound, EqNoBound, PartialEqNoBound,
};
use frame_system::pallet_prelude::BlockNumberFor;
use scale_info::TypeInfo;
use sp_core::{ConstU32, H256};
use sp_runtime::BoundedVec;

/// An amount of the currency.
pub type BalanceOf<T> = <<T as Config>::Currency as Inspect<<T as frame_system::Config>::AccountId>>::Balance;
/// A [`Job`] of this runtime.
pub type JobOf<T> = Job<<T as frame_system::Config>::AccountId, BalanceOf<T>, BlockNumberFor<T>>;
/// An [`Assignment`] of this runtime.
pub type AssignmentOf<T> = Assignment<<T as frame_system::Config>::AccountId, BalanceOf<T>, BlockNumberFor<T>>;
/// A [`JobResult`] of this runtime.
pub type JobResultOf<T> =
	JobResult<<T as frame_system::Config>::AccountId, BalanceOf<T>, BlockNumberFor<T>, <T as Config>::MaxOutput>;

/// A [`ResultView`] of this runtime.
pub type ResultViewOf<T> = ResultView<JobResultOf<T>, BlockNumberFor<T>>;

/// The most workers that one job is given to, one after the other: the first, and two retries.
pub const MAX_ATTEMPTS: u32 = 3;

/// The input of a job: the input tensors' raw little-endian bytes, one after the other in the order of the model's signature.
/// Index 1 is kept for a root with a location.
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
#[scale_info(skip_type_params(Max))]
pub enum Input<Max: Get<u32>> {
	/// The bytes themselves.
	#[codec(index = 0)]
	Inline(BoundedVec<u8, Max>),
}

/// The output of a job, laid out like [`Input`]. The chain computes the root; no claimed root stands beside it.
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
#[scale_info(skip_type_params(Max))]
pub enum Output<Max: Get<u32>> {
	/// The bytes themselves.
	#[codec(index = 0)]
	Inline(BoundedVec<u8, Max>),
}

/// A request on its way to an answer. It is removed when it settles, expires or is cancelled.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Job<AccountId, Balance, BlockNumber> {
	/// Who pays.
	pub requester: AccountId,
	/// The requester's nonce when it made the request.
	pub nonce: u32,
	/// The model to run.
	pub model: ModelId,
	/// Commits to the input.
	pub input_root: H256,
	/// The most the requester pays.
	pub max_fee: Balance,
	/// What is on hold until the job ends: the fee where the worker was named and took the job at once, else the most that
	/// the requester pays, so that another worker can take over.
	pub escrow: Balance,
	/// What the requester stands to lose by a wrong answer.
	pub coverage: Balance,
	/// The longest output it takes, in bytes.
	pub max_output: u32,
	/// The last block in which an answer counts.
	pub deadline: BlockNumber,
	/// The length of the challenge window, in blocks.
	pub window: BlockNumber,
	/// The worker that the requester wants, if any.
	pub named: Option<AccountId>,
	/// Workers that had the job and did not answer.
	pub tried: BoundedVec<AccountId, ConstU32<MAX_ATTEMPTS>>,
	/// How far the job is.
	pub stage: Stage<AccountId, Balance, BlockNumber>,
}

/// How far a job is.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Stage<AccountId, Balance, BlockNumber> {
	/// No worker has it yet.
	#[codec(index = 0)]
	Waiting {
		/// How often a draw found nobody free.
		draws: u32,
	},
	/// A worker has it.
	#[codec(index = 1)]
	Assigned(Assignment<AccountId, Balance, BlockNumber>),
	/// A worker has answered, and the answer can be challenged.
	#[codec(index = 2)]
	Committed {
		/// Who answered, and on which terms.
		assignment: Assignment<AccountId, Balance, BlockNumber>,
		/// What the worker's service key signed.
		claim: ClaimHash,
		/// Commits to the output.
		output_root: H256,
		/// When it answered. Audits are drawn with randomness of later blocks.
		committed_at: BlockNumber,
		/// When the challenge window ends.
		settles_at: BlockNumber,
		/// What keeps the answer from settling.
		holds: Holds,
	},
}

/// A job in a worker's hands.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Assignment<AccountId, Balance, BlockNumber> {
	/// Who has it.
	pub worker: AccountId,
	/// What it is paid in all, before the split.
	pub fee: Balance,
	/// The stake set aside for it.
	pub bond: Balance,
	/// When it was assigned.
	pub assigned_at: BlockNumber,
	/// The last block in which this worker's answer counts.
	pub answer_by: BlockNumber,
	/// Whether others serve the model too, so that the input and weights do not hang on this worker alone.
	pub independent: bool,
}

/// The answer to a job, stored for a bounded time. Whether it can be relied on, [`ResultView`] says.
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
#[scale_info(skip_type_params(MaxOutput))]
pub struct JobResult<AccountId, Balance, BlockNumber, MaxOutput>
where
	AccountId: Clone + PartialEq + Eq + core::fmt::Debug,
	Balance: Clone + PartialEq + Eq + core::fmt::Debug,
	BlockNumber: Clone + PartialEq + Eq + core::fmt::Debug,
	MaxOutput: Get<u32>,
{
	/// The model that ran.
	pub model: ModelId,
	/// Who asked.
	pub requester: AccountId,
	/// Who answered.
	pub worker: AccountId,
	/// The output.
	pub output: Output<MaxOutput>,
	/// Commits to the output.
	pub output_root: H256,
	/// What the worker's service key signed.
	pub claim: ClaimHash,
	/// What is paid out at most if the answer is proven wrong. Zero says: not meant to be relied on for value.
	pub coverage: Balance,
	/// Whether more than one worker served the model, so that others could check the answer.
	pub independent: bool,
	/// When the worker answered.
	pub committed_at: BlockNumber,
	/// When the challenge window ends.
	pub settles_at: BlockNumber,
}

/// The answer to a job, with what is to be thought of it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, TypeInfo)]
pub struct ResultView<Result, BlockNumber> {
	/// Whether it can still be challenged. Rely on it only when settled.
	pub status: ResultStatus<BlockNumber>,
	/// The answer.
	pub result: Result,
}

/// Whether an answer can still be challenged.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum ResultStatus<BlockNumber> {
	/// The challenge window is open, or a dispute is.
	#[codec(index = 0)]
	Pending,
	/// The answer stood, and was paid for.
	#[codec(index = 1)]
	Settled {
		/// The last block in which the result can be read.
		readable_until: BlockNumber,
	},
}

/// An answer that has not settled, as disputes see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenClaim<AccountId, Balance, BlockNumber> {
	/// What the worker's service key signed.
	pub claim: ClaimHash,
	/// The model that ran.
	pub model: ModelId,
	/// Commits to the input.
	pub input_root: H256,
	/// Commits to the output.
	pub output_root: H256,
	/// Who answered, and on which terms.
	pub assignment: Assignment<AccountId, Balance, BlockNumber>,
	/// What the requester stands to lose by a wrong answer.
	pub coverage: Balance,
	/// When the worker answered.
	pub committed_at: BlockNumber,
	/// The first block in which it can no longer be challenged.
	pub settles_at: BlockNumber,
	/// What its trace takes.
	pub trace: TraceSize,
}

/// An [`OpenClaim`] of this runtime.
pub type OpenClaimOf<T> = OpenClaim<<T as frame_system::Config>::AccountId, BalanceOf<T>, BlockNumberFor<T>>;

/// Where the bond of a convicted worker went. The last three add up to the first.
#[derive(Clone, Default, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Verdict<Balance> {
	/// Taken from the worker's stake.
	pub slashed: Balance,
	/// To who proved it wrong.
	pub reward: Balance,
	/// To the requester.
	pub compensation: Balance,
	/// Destroyed.
	pub burned: Balance,
}

/// Why a worker gives a job back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum DeclineReason {
	/// The input or the model cannot be obtained.
	#[codec(index = 0)]
	DataUnavailable,
	/// The engine refuses the input or cannot run the model.
	#[codec(index = 1)]
	CannotRun,
}

/// Something to do in a later block. A task that has become moot does nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub enum Task<BlockNumber> {
	/// Look for a worker.
	#[codec(index = 0)]
	Draw(JobId),
	/// See whether the worker that got the job in the given block has answered.
	#[codec(index = 1)]
	AnswerDue(JobId, BlockNumber),
	/// End a job that nobody answered by its deadline.
	#[codec(index = 2)]
	Expire(JobId),
	/// Pay for an answer that stood. Stays on the agenda until the result is to be forgotten.
	#[codec(index = 3)]
	Settle(JobId),
	/// Convict the worker that answered with a model that turned out to be invalid.
	#[codec(index = 4)]
	Convict(JobId),
}

impl<BlockNumber> Task<BlockNumber> {
	/// The job it is about.
	pub fn job(&self) -> JobId {
		let (Self::Draw(job) | Self::AnswerDue(job, _) | Self::Expire(job) | Self::Settle(job) | Self::Convict(job)) =
			self;
		*job
	}
}

/// How far the agenda is worked off.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Cursor<BlockNumber> {
	/// The first block with tasks that may be undone.
	pub block: BlockNumber,
	/// The last of its tasks, in the order of their keys, that is done.
	pub after: Option<Task<BlockNumber>>,
}
