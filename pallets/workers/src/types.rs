//! What is stored about workers and what they offer.

use alloc::vec::Vec;
use assay_primitives::{Balance, BlockNumber, ModelId, ServiceKey, SlashReason};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
	traits::{fungible::Credit, Get},
	BoundedVec, CloneNoBound, DebugNoBound, EqNoBound, PartialEqNoBound,
};
use frame_system::pallet_prelude::BlockNumberFor;
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};
use sp_runtime::{traits::Zero, Perbill};

use crate::{
	pool::{Delegation, DelegationStatus, Pool},
	Config,
};

/// The terms on which a worker serves a model.
#[derive(
	Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
pub struct Terms {
	/// The most jobs that the worker computes at once. At least 1.
	pub capacity: u32,
	/// The least fee for one inference, in planck.
	pub min_price: Balance,
	/// The price of coverage: the share of it that is paid for each block in which it stands.
	pub coverage_price: Perbill,
	/// The shortest deadline that the worker accepts, in blocks from the assignment.
	pub min_deadline: BlockNumber,
}

/// A model that a worker serves.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Service {
	/// On which terms.
	pub terms: Terms,
	/// Jobs assigned and not yet answered.
	pub in_flight: u32,
}

/// Stake on its way out.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Unbonding<BlockNumber> {
	/// How much, in planck.
	pub amount: Balance,
	/// The first block in which it can be withdrawn.
	pub withdrawable_at: BlockNumber,
}

/// A worker.
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
#[scale_info(skip_type_params(MaxUnbonding))]
pub struct Worker<BlockNumber, MaxUnbonding>
where
	BlockNumber: Clone + PartialEq + Eq + core::fmt::Debug,
	MaxUnbonding: Get<u32>,
{
	/// The worker's own stake that can cover jobs, in planck.
	pub bonded: Balance,
	/// The stake of its delegators that can cover jobs, in planck: what its pool has bonded, kept here for the draw.
	pub delegated: Balance,
	/// Its own stake on its way out, soonest first. It can be slashed until it is withdrawn.
	pub unbonding: BoundedVec<Unbonding<BlockNumber>, MaxUnbonding>,
	/// What is set aside for open claims, in planck.
	pub covered: Balance,
	/// Jobs assigned whose bond is not yet released.
	pub open_claims: u32,
	/// The most of those at once. Each can be challenged, and all of them at the same time.
	pub max_claims: u32,
	/// Whether the worker takes no new jobs for now.
	pub paused: bool,
	/// The key with which the worker's node signs.
	pub service_key: Option<ServiceKey>,
	/// The block in which the worker bonded first.
	pub bonded_at: BlockNumber,
}

impl<BlockNumber, MaxUnbonding> Worker<BlockNumber, MaxUnbonding>
where
	BlockNumber: Clone + PartialEq + Eq + core::fmt::Debug,
	MaxUnbonding: Get<u32>,
{
	/// A worker that has just bonded, and has delegators if they were still there when it came back.
	pub fn new(bonded: Balance, delegated: Balance, bonded_at: BlockNumber) -> Self {
		Self {
			bonded,
			delegated,
			unbonding: BoundedVec::new(),
			covered: Zero::zero(),
			open_claims: 0,
			max_claims: u32::MAX,
			paused: false,
			service_key: None,
			bonded_at,
		}
	}

	/// The stake that weighs in draws and for emission: its own, and what its delegators have bonded up to `max_leverage` times its own.
	pub fn backing(&self, max_leverage: u32) -> Balance {
		let most = self.bonded.saturating_mul(max_leverage.into());
		self.bonded.saturating_add(self.delegated.min(most))
	}

	/// The part of its own bonded stake that no job has set aside.
	pub fn free(&self) -> Balance {
		self.bonded.saturating_sub(self.covered)
	}

	/// All of its own stake on its way out.
	pub fn total_unbonding(&self) -> Balance {
		self.unbonding.iter().fold(0, |sum, part| sum.saturating_add(part.amount))
	}

	/// Take `amount` of its own stake, of which there must be as much: first what is bonded and covers nothing, then what is
	/// unbonding, latest first, then the rest of what is bonded.
	pub fn take(&mut self, amount: Balance) {
		let from_free = amount.min(self.free());
		self.bonded = self.bonded.saturating_sub(from_free);
		let mut missing = amount.saturating_sub(from_free);
		for part in self.unbonding.iter_mut().rev() {
			let from_part = missing.min(part.amount);
			part.amount = part.amount.saturating_sub(from_part);
			missing = missing.saturating_sub(from_part);
		}
		self.unbonding.retain(|part| part.amount > 0);
		self.bonded = self.bonded.saturating_sub(missing);
	}
}

/// Stake that was taken.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct SlashRecord<BlockNumber> {
	/// In which block.
	pub block: BlockNumber,
	/// How much, of the worker's own stake and its delegators', in planck.
	pub amount: Balance,
	/// Why.
	pub reason: SlashReason,
}

/// What a wallet shows of a worker.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct WorkerStatus<BlockNumber> {
	/// The stake behind it, in planck: its own, and its delegators' as far as its own carries it.
	pub bonded: Balance,
	/// Its own bonded stake.
	pub own: Balance,
	/// All bonded stake of its delegators.
	pub delegated: Balance,
	/// How many delegators it has, those on their way out included.
	pub delegators: u32,
	/// The share of the delegators' rewards that it keeps. `None` if it takes no delegations.
	pub commission: Option<Perbill>,
	/// A higher commission, and the first block in which it is taken.
	pub next_commission: Option<(Perbill, BlockNumber)>,
	/// The part of `own` that no job has set aside.
	pub free: Balance,
	/// What open jobs have set aside.
	pub covered: Balance,
	/// Jobs assigned whose bond is not yet released.
	pub open_claims: u32,
	/// The most of those at once.
	pub max_claims: u32,
	/// Its own stake on its way out, soonest first.
	pub unbonding: Vec<Unbonding<BlockNumber>>,
	/// Whether the worker takes no new jobs for now.
	pub paused: bool,
	/// The first block in which it can resume or serve again, if it was suspended for a wrong answer.
	pub suspended_until: Option<BlockNumber>,
	/// The key with which the worker's node signs.
	pub service_key: Option<ServiceKey>,
	/// What the worker serves, on which terms, and how many jobs of it are not yet answered.
	pub services: Vec<(ModelId, Terms, u32)>,
}

/// A worker that stands from the first block on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GenesisWorker<AccountId> {
	/// The worker's account, endowed with the bond at least.
	pub account: AccountId,
	/// Its stake, in planck.
	pub bond: Balance,
	/// The key with which its node signs.
	pub service_key: Option<ServiceKey>,
	/// What it serves, and on which terms. The models are registered at genesis, too.
	pub services: Vec<(ModelId, Terms)>,
}

/// A [`Worker`] of a runtime.
pub type WorkerOf<T> = Worker<BlockNumberFor<T>, <T as Config>::MaxUnbonding>;
/// A [`WorkerStatus`] of a runtime.
pub type WorkerStatusOf<T> = WorkerStatus<BlockNumberFor<T>>;
/// Stake that was taken, on its way to whoever gets it. Dropping it burns it.
pub type CreditOf<T> = Credit<<T as frame_system::Config>::AccountId, <T as Config>::Currency>;
/// The [`Pool`] of a runtime's delegators.
pub type PoolOf<T> = Pool<BlockNumberFor<T>, <T as Config>::MaxUnbonding>;
/// A [`Delegation`] of a runtime.
pub type DelegationOf<T> = Delegation<BlockNumberFor<T>, <T as Config>::MaxUnbonding>;
/// A [`DelegationStatus`] of a runtime.
pub type DelegationStatusOf<T> = DelegationStatus<BlockNumberFor<T>>;
/// A [`SlashRecord`] of a runtime.
pub type SlashRecordOf<T> = SlashRecord<BlockNumberFor<T>>;
