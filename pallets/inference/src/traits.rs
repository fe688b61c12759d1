//! What this pallet needs from the others. The runtime wires it.

use alloc::vec::Vec;
use assay_primitives::{ModelId, ServiceKey, SlashReason, TensorType};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::dispatch::DispatchResult;
use scale_info::TypeInfo;
use sp_runtime::{DispatchError, Perbill, Permill};

/// What a request has to know about a model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ModelTerms<Balance> {
	/// The input tensors.
	pub inputs: Vec<TensorType>,
	/// The output tensors.
	pub outputs: Vec<TensorType>,
	/// The least fee for one inference.
	pub price: Balance,
	/// The challenge window, in blocks.
	pub window: u32,
}

/// What the trace of an inference takes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct TraceSize {
	/// The blocks that a worker needs to build it.
	pub blocks: u32,
	/// The most bytes that its publication has.
	pub publication_bytes: u32,
}

/// The registry of models. It keeps a model's record for as long as a job on it can be open.
pub trait Models<AccountId, Balance> {
	/// The terms of an active model.
	fn terms(model: &ModelId) -> Option<ModelTerms<Balance>>;
	/// The output tensors of a model in use, active or not.
	fn outputs(model: &ModelId) -> Option<Vec<TensorType>>;
	/// What the trace of one inference of a model in use takes.
	fn trace(model: &ModelId) -> TraceSize;
	/// Marks a model as one that cannot be judged: it takes no new jobs, and whoever answered one is convicted.
	fn invalidate(model: &ModelId);
	/// Whether a model was marked.
	fn is_invalid(model: &ModelId) -> bool;
	/// Who earns the royalty of a model in use, and which share of the fee it is.
	fn royalty(model: &ModelId) -> Option<(AccountId, Permill)>;
	/// Registers a model with the given input and output lengths in bytes.
	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_model(input: u32, output: u32) -> ModelId;
	/// The storage key of a model's record.
	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_key(model: &ModelId) -> Vec<u8>;
}

/// What a worker asks for one inference.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Ask<Balance> {
	/// The least fee.
	pub min_price: Balance,
	/// The share of the coverage it asks for, per block.
	pub coverage_price: Perbill,
	/// The least number of blocks it wants for an answer.
	pub min_deadline: u32,
}

/// Staked workers. A *bond* is the part of a worker's stake that is set aside for one job.
pub trait Workers<AccountId, Balance> {
	/// Draws one of the workers that serve `model`, by stake, with randomness `seed`. `accept` says which bond a worker needs
	/// for its ask, or `None` if the ask is too high. Returns the worker, its ask, and the bond.
	fn draw(
		model: &ModelId,
		exclude: &[AccountId],
		seed: [u8; 32],
		accept: &mut dyn FnMut(&Ask<Balance>) -> Option<Balance>,
	) -> Option<(AccountId, Ask<Balance>, Balance)>;
	/// Whether `worker` could take a job on `model` now; like [`Workers::draw`] for a worker that the requester named.
	fn candidate(
		worker: &AccountId,
		model: &ModelId,
		accept: &mut dyn FnMut(&Ask<Balance>) -> Option<Balance>,
	) -> Result<(Ask<Balance>, Balance), DispatchError>;
	/// Whether `worker` serves `model`, busy or not.
	fn serves(worker: &AccountId, model: &ModelId) -> bool;
	/// How many workers serve `model`.
	fn server_count(model: &ModelId) -> u32;
	/// Sets the bond aside and takes one unit of the worker's capacity.
	fn assign(worker: &AccountId, model: &ModelId, bond: Balance) -> DispatchResult;
	/// Gives the unit of capacity back.
	fn answered(worker: &AccountId, model: &ModelId);
	/// Gives the bond back.
	fn release(worker: &AccountId, bond: Balance);
	/// Takes `amount` of the worker's stake, gives it to `shares` in their order as far as it goes, and burns the rest. Returns
	/// what was taken, and what each of `shares` got.
	fn slash(
		worker: &AccountId,
		amount: Balance,
		reason: SlashReason,
		shares: &[(&AccountId, Balance)],
	) -> (Balance, Vec<Balance>);
	/// Gives the worker no new jobs until its operator says otherwise.
	fn suspend(worker: &AccountId);
	/// The key that signs for the worker.
	fn service_key(worker: &AccountId) -> Option<ServiceKey>;
	/// The worker that a key signs for.
	fn worker_of(key: &ServiceKey) -> Option<AccountId>;
	/// The sum of the bonds set aside.
	fn covered(worker: &AccountId) -> Balance;
	/// The number of bonds set aside.
	fn open_claims(worker: &AccountId) -> u32;
	/// Makes `count` workers that serve `model`, the last one with the given service key. Returns the last one.
	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_workers(model: &ModelId, count: u32, key: ServiceKey) -> AccountId;
}

/// A failing of a worker that costs it availability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
	/// It did not answer in time.
	MissedDeadline,
	/// It gave the job back.
	Declined,
}

/// How a fee was split. The parts add up to the fee.
#[derive(Clone, Default, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Shares<Balance> {
	/// Destroyed.
	pub burned: Balance,
	/// To the treasury.
	pub treasury: Balance,
	/// To the model's owner.
	pub royalty: Balance,
	/// To the worker.
	pub worker: Balance,
}

/// Where fees go.
pub trait Rewards<AccountId, Balance, Reason> {
	/// Splits `fee`, which is on hold for `reason` on `payer`, between the burn, the treasury, the owner and the worker.
	fn pay_out(
		payer: &AccountId,
		reason: &Reason,
		fee: Balance,
		owner: &AccountId,
		royalty: Permill,
		worker: &AccountId,
	) -> Result<Shares<Balance>, DispatchError>;
	/// Notes a failing of a worker.
	fn note_fault(worker: &AccountId, fault: Fault);
	/// Whether it is time for a worker to say that it is there. It must not be for more than [`crate::HEARTBEAT_FRESH`] blocks
	/// after it was noted.
	fn heartbeat_due(worker: &AccountId) -> bool;
	/// Notes that a worker is there.
	fn note_heartbeat(worker: &AccountId);
	/// Makes the heartbeat of a worker due, and as costly as it can be.
	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_heartbeat(worker: &AccountId);
}
