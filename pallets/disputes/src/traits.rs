//! What this pallet needs from the others. The runtime wires it.

use alloc::vec::Vec;
use assay_primitives::{ClaimHash, JobId, ModelId, ServiceKey};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::weights::Weight;
use scale_info::TypeInfo;
use sp_core::{ConstU32, H256};
use sp_runtime::BoundedVec;

/// A committed claim that has not settled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimInfo<AccountId, Balance, BlockNumber> {
	/// What the worker's service key signed.
	pub claim: ClaimHash,
	/// The model that ran.
	pub model: ModelId,
	/// Commits to the input.
	pub input_root: H256,
	/// Commits to the output.
	pub output_root: H256,
	/// Who answered.
	pub worker: AccountId,
	/// The stake set aside for the job.
	pub bond: Balance,
	/// What the requester pays.
	pub fee: Balance,
	/// What the requester stands to lose by a wrong answer.
	pub coverage: Balance,
	/// When the worker answered.
	pub committed_at: BlockNumber,
	/// The first block in which it can no longer be challenged.
	pub settles_at: BlockNumber,
	/// The blocks that the worker needs to build the trace, as the model declares.
	pub trace_blocks: u32,
	/// The most bytes that the publication of its trace can have.
	pub publication_bytes: u32,
}

/// Where the bond of a convicted worker went. `reward + burned + compensation == slashed`.
#[derive(Clone, Default, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Convicted<Balance> {
	/// What was taken from the worker's stake.
	pub slashed: Balance,
	/// To the winner.
	pub reward: Balance,
	/// Destroyed.
	pub burned: Balance,
	/// To the requester, at most the coverage.
	pub compensation: Balance,
}

/// The claims that can be disputed.
pub trait Claims<AccountId, Balance, BlockNumber> {
	/// The claim of a job, if it is committed and has not settled.
	fn open_claim(job: JobId) -> Option<ClaimInfo<AccountId, Balance, BlockNumber>>;
	/// The job's input, for whoever builds a trace.
	fn input(job: JobId) -> Option<Vec<u8>>;
	/// Keeps the claim from settling. Until [`Claims::unhold`] or [`Claims::convict`], nothing else may end it.
	fn hold(job: JobId);
	/// Lets the claim settle: when its window ends, or in the next block if that is over.
	fn unhold(job: JobId);
	/// Whether a dispute keeps the claim from settling.
	fn is_held(job: JobId) -> bool;
	/// Slashes the job's whole bond, and no other stake: the challenger's share to `winner` (burned if there is none), the
	/// requester's share to the requester (at most the coverage), the rest burned. Gives the requester's fee back, pauses the
	/// worker, and gives the job to another worker or ends it.
	fn convict(job: JobId, winner: Option<&AccountId>) -> Convicted<Balance>;
	/// Marks a model as invalid: it takes no new jobs, and its open claims are convicted when they would settle.
	fn invalidate_model(model: &ModelId);
	/// The key that signs for a worker.
	fn service_key(worker: &AccountId) -> Option<ServiceKey>;
	/// Makes a committed claim, open to challenge, on the statement of [`Judge::benchmark_case`], by a worker with the given key.
	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_claim(key: ServiceKey, model: ModelId, input_root: H256, output_root: H256) -> JobId;
}

/// What is wrong with a message, in words.
pub type Fault = &'static str;

/// What a proof showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum VerdictKind {
	/// A value of the worker's trace is wrong.
	#[codec(index = 0)]
	Wrong,
	/// A node of the model is invalid, so that no claim on the model can be right.
	#[codec(index = 1)]
	InvalidModel,
}

/// What a proof showed, in detail.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Verdict {
	/// What is wrong.
	pub kind: VerdictKind,
	/// The number of the value, or of the node.
	pub value: u32,
	/// The element of the value, if it is about one.
	pub element: Option<u64>,
	/// The bits that the judge computed.
	pub expected: BoundedVec<u8, ConstU32<16>>,
	/// The bits that the worker claimed.
	pub claimed: BoundedVec<u8, ConstU32<16>>,
	/// The name of the operator.
	pub operator: BoundedVec<u8, ConstU32<32>>,
}

/// The rules of the game, on encoded messages, so that this pallet knows nothing of the semantics. Every function is total, bounded by
/// the length of the message, and refuses bytes that are not the one encoding of a message (trailing bytes included): a demand is
/// known by its bytes.
pub trait Judge {
	/// Checks a publication against the claim's statement. Returns the trace root.
	fn publish(model: &ModelId, input_root: &H256, output_root: &H256, publication: &[u8]) -> Result<H256, Fault>;
	/// Checks that a demand can be answered, by the evidence that the challenger sends along. Returns the length of the answer in
	/// bytes, all that an opening has to carry.
	fn demand(model: &ModelId, demand: &[u8], evidence: &[u8]) -> Result<u32, Fault>;
	/// Checks an answer to a demand. Returns the root over the partial states, if the demand was for those.
	fn open(model: &ModelId, trace_root: &H256, demand: &[u8], opening: &[u8]) -> Result<Option<H256>, Fault>;
	/// Whether the answer to a demand is the worker's word and needs its signature. Every other answer proves itself.
	fn needs_signature(demand: &[u8]) -> bool;
	/// Judges a proof. A proof about a right element is a fault. `states` is a demand for partial states and the root over those that the
	/// worker opened: a proof about states must be about the very element of that demand, else a worker could be convicted by
	/// holding the states of one element against another.
	fn judge(model: &ModelId, trace_root: &H256, states: Option<(&[u8], H256)>, proof: &[u8])
		-> Result<Verdict, Fault>;
	/// What judging a proof takes beyond what its length and the verdict do: the step of its operator. Cheap, for it is asked before
	/// the message is paid for.
	fn step_weight(proof: &[u8]) -> Weight;
	/// The most that [`Judge::step_weight`] says.
	fn most_step_weight() -> Weight;
	/// A wrong claim with all the messages that convict it, each about `n` bytes long.
	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_case(n: u32) -> BenchmarkCase;
}

/// A wrong claim with all the messages that convict it.
#[derive(Clone, Debug, Default)]
pub struct BenchmarkCase {
	/// The model.
	pub model: ModelId,
	/// Commits to the input.
	pub input_root: H256,
	/// Commits to the wrong output.
	pub output_root: H256,
	/// A trace.
	pub publication: Vec<u8>,
	/// A demand that needs a signature, so the dearest kind.
	pub demand: Vec<u8>,
	/// Evidence for it.
	pub evidence: Vec<u8>,
	/// The answer.
	pub opening: Vec<u8>,
	/// A valid proof, with the states of `demand` opened.
	pub proof: Vec<u8>,
}
