//! # Workers pallet
//!
//! Who stakes to answer inferences, who backs them, what each serves and on which terms, and how much stake stands behind which
//! jobs.
//!
//! ## Terminology
//!
//! - *Worker*: an account that has bonded stake.
//! - *Delegator*: an account that has put stake behind a worker. It shares what the worker earns, and what it loses.
//! - *Service key*: the key with which a worker's node signs for it. It holds no funds and can be rotated.
//! - *Service*: one model that a worker serves, on its [`Terms`].
//! - *Bonded*: stake that can cover jobs. *Unbonding*: stake on its way out. Both are held, and both can be slashed.
//! - *Pool*: the stake of all delegators of one worker. *Share*: a part of it. *Bucket*: what leaves a pool in one block.
//! - *Backing*: what weighs in draws and for emission: a worker's own bonded stake, and its delegators' up to `MaxLeverage` times
//!   that.
//! - *Covered*: the part of its own bonded stake that is set aside for open claims. *Free*: the rest of it.
//! - *In flight*: a job that is assigned and not yet answered. *Open claim*: a job whose bond is not yet released.
//! - *Active stake*: the backing of a worker that is not paused, has a service key, serves a model and has at least `MinBond` of
//!   its own; else zero.
//!
//! ## Scenario: a worker joins
//!
//! 1. Charlie calls `bond` with 1,000 OPG, which are held on his account.
//! 2. His node has made a service key; he calls `set_service_key` with it.
//! 3. He calls `serve_model` for `digits`, with room for four jobs at once. From now on jobs can be assigned to him.
//! 4. A job with a bond of 300 OPG is assigned: 300 OPG are covered, 700 free, one job in flight. He answers; none is in
//!    flight. When the job settles, all 1,000 OPG are free again.
//!
//! ## Scenario: a worker leaves
//!
//! 1. Charlie calls `pause`, so that no new job comes, and waits until his open jobs are settled.
//! 2. He calls `unbond` with all he has. He serves nothing any more; the stake can still be slashed for what he did before.
//! 3. After `UnbondingDelay` blocks he, or anybody, calls `withdraw`. The stake is his again, and nothing of him is left in
//!    storage but what his delegators have not taken out yet.
//!
//! ## Scenario: a delegator
//!
//! 1. Charlie calls `set_commission` with 10 %: he takes delegations. Dora calls `delegate` with 3,000 OPG. Charlie is drawn as
//!    often as one with 4,000 OPG of his own, and earns as much emission; he can cover jobs worth 1,000 OPG, as before.
//! 2. He earns 80 OPG. Three quarters are for Dora's stake, less a tenth: she can claim 54, and he has got 26.
//! 3. Anyone calls `claim` for Dora: the 54 OPG go to her account, or to her stake if she has said so with `set_payee`.
//! 4. Charlie answers wrongly and loses a bond of 100 OPG, a tenth of his stake. Dora loses a tenth of hers, 300 OPG, which are
//!    burned.
//! 5. Dora calls `undelegate`, whatever Charlie does. For what he did before, her stake can be slashed
//!    until it is due. Then anyone calls `withdraw_delegation`, and it is hers again. Charlie may be long gone.
//!
//! ## Delegation
//!
//! What is delegated is held on an account of the pallet, and owned in shares. So a slash, a reward or an assignment costs the
//! same for a thousand delegators as for one. A share costs one planck or less and is never worth more, so nobody can be first
//! and make shares dear for those who follow. Every rounding is against whoever moves.
//!
//! A worker must open its pool by setting a commission: a stranger's stake would take a part of what the worker computes for.
//! A higher commission is announced `UnbondingDelay` blocks ahead, also after the worker has left and come back.
//!
//! What is owed to a worker for eras that are over is paid before a delegator comes or goes, and before its own stake grows, so
//! that nobody gets a share of what was earned without him, or leaves one behind.
//!
//! A worker decides alone what it answers, so what deters it must be its own. Were others' stake in its bonds, a liar that is its
//! own requester and challenger would get back, out of their part, what it loses of its own. So delegated stake covers no job. What
//! exceeds `MaxLeverage` times the worker's own stake is refused, and what comes to exceed it neither weighs nor bears slashes.
//!
//! Stake that leaves is gathered in buckets which are due at blocks `UnbondingDelay / (MaxUnbonding - 2)` apart, so that there
//! are never more than `MaxUnbonding` that can be slashed. Nobody waits longer than the delay and one such distance.
//!
//! ## Slashing
//!
//! A job's bond is released first, and no more than it is slashed. It comes out of the worker's own stake: what is free, then what
//! is unbonding, latest first. It leaves as much as covers other jobs, so it may take less than was asked for. What it took leaves
//! the pallet as a [`Credit`](types::CreditOf); the caller decides who gets it and what is burned. The delegators lose the same part
//! of theirs as the worker of its own, bonded and unbonding alike: to run when a challenge comes saves nothing. That part is
//! burned whole: nobody who could be the worker gains by it.
//!
//! Bonded value covers value at risk, always: what is covered is at most the worker's own bonded stake when a job is assigned,
//! unbonding is refused where it would not be any more, and a slash takes no more than the bond that was released before.
//!
//! A conviction suspends: the worker can neither resume nor serve for `SuspensionBlocks`, and leaving and bonding anew does not
//! end that. While `SlashingArmed` is false a slash takes nothing, and says in an event and in the log what it would have taken.
//!
//! ## Invariants
//!
//! - The balance held on a worker is its own bonded and unbonding stake.
//! - The balance held on the pallet's account is all that delegators have bonded, have on its way out, or can claim.
//! - Covered stake is at most the worker's own bonded stake.
//! - All shares of a pool and of its buckets belong to delegations of it, and none is worth more than a planck.
//! - What the delegations of a pool can claim is at most what the pool has earned and not paid.
//! - A worker knows what is delegated to it. A pool stands while it has a worker or delegators.
//! - The jobs in flight over all services of a worker are at most its open claims.
//! - A service stands if and only if the model lists the worker and the worker lists the model, once each.
//! - Every service key belongs to exactly one worker, and that worker names it.
//! - Unbonding stake is listed soonest first, and no part of it is zero.
//!
//! ## Limitations
//!
//! - A service key needs no proof of possession, so someone can set the key of another's node before its operator does. That
//!   node then works for the other until its operator sees the refusal (`ServiceKeyTaken`) and makes another key.
//! - A worker that goes on serving a removed model is listed until it stops. Such a model takes no jobs.
//! - Who delegates answers for open jobs, too: `worker_status` says how much they cover.
//! - A pool of which all but a millionth was slashed takes nothing in until its last delegator is out.
//! - Who comes during an era shares all of it. It is an hour's emission, and whoever leaves for it earns nothing for a day.
//! - The worker's own rewards go to its account. To compound them it calls `bond_extra`.
//! - Slashes are forgotten when a worker leaves and has no delegators. A suspension is not.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;

mod delegation;
mod jobs;
pub mod migrations;
pub mod pool;
mod services;
mod slashing;
mod stake;
pub mod traits;
#[cfg(any(feature = "std", feature = "try-runtime"))]
mod try_state;
pub mod types;
pub mod weights;

pub use pallet::*;
pub use pool::{Bucket, Commission, Delegation, DelegationStatus, Joint, Leaving, Payee, Pool};
pub use traits::{Models, StakeObserver};
pub use types::{
	CreditOf, DelegationOf, DelegationStatusOf, GenesisWorker, PoolOf, Service, SlashRecord, SlashRecordOf, Terms,
	Unbonding, Worker, WorkerOf, WorkerStatus, WorkerStatusOf,
};
pub use weights::WeightInfo;

#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use alloc::vec::Vec;
	use assay_primitives::{Balance, ModelId, ServiceKey, SlashReason};
	use frame_support::{
		pallet_prelude::*,
		traits::fungible::{BalancedHold, Inspect, Mutate, MutateHold},
		PalletId,
	};
	use frame_system::pallet_prelude::*;
	use sp_runtime::{Perbill, Saturating};

	/// The in-code storage version.
	const STORAGE_VERSION: StorageVersion = StorageVersion::new(2);

	#[pallet::pallet]
	#[pallet::storage_version(STORAGE_VERSION)]
	pub struct Pallet<T>(_);

	#[pallet::config]
	pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
		/// Where stake is held and slashed.
		type Currency: Inspect<Self::AccountId, Balance = Balance>
			+ Mutate<Self::AccountId>
			+ MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason>
			+ BalancedHold<Self::AccountId>;

		/// The runtime's reasons for holds.
		type RuntimeHoldReason: From<HoldReason>;

		/// The registry of models.
		type Models: Models;

		/// Is told whenever the active stake of a worker changes.
		type StakeObserver: StakeObserver<Self::AccountId, Balance>;

		/// The least stake of a worker that jobs are assigned to, in planck.
		#[pallet::constant]
		type MinBond: Get<Balance>;

		/// The blocks between unbonding and withdrawing.
		#[pallet::constant]
		type UnbondingDelay: Get<BlockNumberFor<Self>>;

		/// The most blocks for which a claim can be open: longest deadline, longest window, every extension and dispute, and
		/// the allowance for finality. Stake must not leave sooner.
		#[pallet::constant]
		type LongestClaim: Get<BlockNumberFor<Self>>;

		/// The most workers of one model.
		#[pallet::constant]
		type MaxServers: Get<u32>;

		/// The most models of one worker.
		#[pallet::constant]
		type MaxServed: Get<u32>;

		/// The most parts in which stake of one worker can be on its way out, and as many again for its delegators together.
		#[pallet::constant]
		type MaxUnbonding: Get<u32>;

		/// Whether stake can be slashed. While it cannot, a slash takes nothing and says so.
		type SlashingArmed: Get<bool>;

		/// The blocks for which a worker that was convicted can neither resume nor serve.
		#[pallet::constant]
		type SuspensionBlocks: Get<BlockNumberFor<Self>>;

		/// What the account that keeps delegated stake is derived from.
		#[pallet::constant]
		type DelegationId: Get<PalletId>;

		/// The least stake of a delegation, in planck.
		#[pallet::constant]
		type MinDelegation: Get<Balance>;

		/// How many times its own stake a worker's delegators can put behind its jobs. A worker decides alone what it answers,
		/// so a part of what it risks must be its own.
		#[pallet::constant]
		type MaxLeverage: Get<u32>;

		/// The number of slashes of a worker that are remembered.
		#[pallet::constant]
		type MaxSlashRecords: Get<u32>;

		/// What the calls of this pallet weigh.
		type WeightInfo: WeightInfo;
	}

	/// Why a balance is held.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// Stake of a worker, bonded or unbonding.
		#[codec(index = 0)]
		Stake,
		/// Stake of delegators, bonded or unbonding, and their rewards; on the account of the pallet.
		#[codec(index = 1)]
		Delegation,
	}

	/// The workers.
	#[pallet::storage]
	pub type Workers<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, WorkerOf<T>>;

	/// Whose service key it is.
	#[pallet::storage]
	pub type ServiceKeys<T: Config> = StorageMap<_, Blake2_128Concat, ServiceKey, T::AccountId>;

	/// What is served, by whom, on which terms.
	#[pallet::storage]
	pub type Services<T: Config> = StorageDoubleMap<_, Identity, ModelId, Blake2_128Concat, T::AccountId, Service>;

	/// Who serves a model.
	#[pallet::storage]
	pub type Servers<T: Config> = StorageMap<_, Identity, ModelId, BoundedVec<T::AccountId, T::MaxServers>, ValueQuery>;

	/// What a worker serves.
	#[pallet::storage]
	pub type Served<T: Config> =
		StorageMap<_, Blake2_128Concat, T::AccountId, BoundedVec<ModelId, T::MaxServed>, ValueQuery>;

	/// The stake of each worker's delegators. Stays while there are any, also when the worker has left.
	#[pallet::storage]
	pub type Pools<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, PoolOf<T>, ValueQuery>;

	/// What each delegator has in the pool of a worker.
	#[pallet::storage]
	pub type Delegations<T: Config> =
		StorageDoubleMap<_, Blake2_128Concat, T::AccountId, Blake2_128Concat, T::AccountId, DelegationOf<T>>;

	/// Stake of a worker's delegators that is due, by the block since when. Nothing can happen to it any more.
	#[pallet::storage]
	pub type Matured<T: Config> =
		StorageDoubleMap<_, Blake2_128Concat, T::AccountId, Twox64Concat, BlockNumberFor<T>, Joint>;

	/// The first block in which an account can resume or serve after a conviction. Stays when the worker leaves.
	#[pallet::storage]
	pub type SuspendedUntil<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, BlockNumberFor<T>>;

	/// The last slashes of a worker, oldest first. They go with the worker and its delegators.
	#[pallet::storage]
	pub type Slashes<T: Config> =
		StorageMap<_, Blake2_128Concat, T::AccountId, BoundedVec<SlashRecordOf<T>, T::MaxSlashRecords>, ValueQuery>;

	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	pub enum Event<T: Config> {
		/// A worker added stake.
		Bonded {
			/// The worker.
			worker: T::AccountId,
			/// How much it added, in planck.
			amount: Balance,
		},
		/// A worker set the key with which its node signs.
		ServiceKeySet {
			/// The worker.
			worker: T::AccountId,
			/// The key.
			key: ServiceKey,
		},
		/// A worker serves a model, or does so on other terms.
		ServiceSet {
			/// The worker.
			worker: T::AccountId,
			/// The model.
			model: ModelId,
			/// The terms from now on.
			terms: Terms,
		},
		/// A worker serves a model no more.
		ServiceStopped {
			/// The worker.
			worker: T::AccountId,
			/// The model.
			model: ModelId,
		},
		/// A worker takes no new jobs for now.
		Paused {
			/// The worker.
			worker: T::AccountId,
		},
		/// A worker takes new jobs again.
		Resumed {
			/// The worker.
			worker: T::AccountId,
		},
		/// A worker has set how many jobs it has open at once.
		ClaimsLimited {
			/// The worker.
			worker: T::AccountId,
			/// The most at once.
			max_claims: u32,
		},
		/// Stake is on its way out.
		Unbonding {
			/// The worker.
			worker: T::AccountId,
			/// How much, in planck.
			amount: Balance,
			/// The first block in which it can be withdrawn.
			withdrawable_at: BlockNumberFor<T>,
		},
		/// Stake was given back.
		Withdrawn {
			/// The worker.
			worker: T::AccountId,
			/// How much, in planck.
			amount: Balance,
		},
		/// Stake was taken.
		Slashed {
			/// The worker.
			worker: T::AccountId,
			/// How much was taken, in planck, of its own stake and its delegators'.
			amount: Balance,
			/// Why.
			reason: SlashReason,
		},
		/// Stake would have been taken if slashing were armed.
		SlashingDisarmed {
			/// The worker.
			worker: T::AccountId,
			/// How much should have been taken, in planck.
			amount: Balance,
			/// Why.
			reason: SlashReason,
		},
		/// A worker was convicted and cannot resume or serve for a while.
		Suspended {
			/// The worker.
			worker: T::AccountId,
			/// The first block in which it can.
			until: BlockNumberFor<T>,
		},
		/// A worker takes delegations, or takes them on another commission.
		CommissionSet {
			/// The worker.
			worker: T::AccountId,
			/// The share of its delegators' rewards that it keeps.
			rate: Perbill,
			/// The first block in which it does.
			from: BlockNumberFor<T>,
		},
		/// A delegator added stake.
		Delegated {
			/// The worker.
			worker: T::AccountId,
			/// The delegator.
			delegator: T::AccountId,
			/// How much, in planck.
			amount: Balance,
		},
		/// Stake of a delegator is on its way out.
		Undelegated {
			/// The worker.
			worker: T::AccountId,
			/// The delegator.
			delegator: T::AccountId,
			/// How much, in planck.
			amount: Balance,
			/// The first block in which it can be withdrawn.
			withdrawable_at: BlockNumberFor<T>,
		},
		/// Stake was given back to a delegator, and its last rewards with the last of it.
		DelegationWithdrawn {
			/// The worker.
			worker: T::AccountId,
			/// The delegator.
			delegator: T::AccountId,
			/// How much, in planck.
			amount: Balance,
		},
		/// A reward of a worker was shared with its delegators.
		RewardShared {
			/// The worker.
			worker: T::AccountId,
			/// What it got itself, in planck.
			own: Balance,
			/// What its delegators can claim, in planck.
			delegators: Balance,
		},
		/// The rewards of a delegation were claimed.
		RewardsClaimed {
			/// The worker.
			worker: T::AccountId,
			/// The delegator.
			delegator: T::AccountId,
			/// How much, in planck.
			amount: Balance,
			/// Where they went.
			payee: Payee,
		},
		/// A delegator has said where its rewards go.
		PayeeSet {
			/// The worker.
			worker: T::AccountId,
			/// The delegator.
			delegator: T::AccountId,
			/// Where they go from now on.
			payee: Payee,
		},
	}

	#[pallet::error]
	pub enum Error<T> {
		/// The account is not a worker. Call `bond` first.
		UnknownWorker,
		/// The account is a worker already. Add stake with `bond_extra`.
		AlreadyBonded,
		/// The worker would have or has less than `MinBond` bonded. Bond more.
		BondTooSmall,
		/// The amount is zero. Name how much.
		AmountZero,
		/// The key belongs to another worker. Make a new one.
		ServiceKeyTaken,
		/// The worker has no service key. Set one with `set_service_key`.
		NoServiceKey,
		/// The model is not registered or takes no new jobs. Serve another version.
		ModelNotActive,
		/// The capacity is zero. Name how many jobs can be computed at once, or pause.
		CapacityZero,
		/// The model has as many workers as it can have. Serve another one.
		TooManyServers,
		/// The worker serves as many models as it can. Stop serving one.
		TooManyServed,
		/// The worker does not serve the model. Serve it with `serve_model`.
		NotServing,
		/// Jobs on the model are not yet answered. Pause, and wait until they are.
		ServiceBusy,
		/// The worker is paused. Resume it with `resume`.
		WorkerPaused,
		/// The worker is not paused. There is nothing to resume.
		WorkerNotPaused,
		/// The worker has less bonded than that. Unbond less.
		NotEnoughBonded,
		/// The stake covers open jobs. Pause, and wait until they are settled, or unbond less.
		StakeCoversJobs,
		/// Less than `MinBond` would be left, and something. Leave more, or unbond all.
		RemainderTooSmall,
		/// Stake is on its way out in as many parts as it can be. Withdraw what is due, or wait.
		TooManyUnbonding,
		/// Nothing can be withdrawn yet. See `withdrawable_at`.
		NothingToWithdraw,
		/// Jobs of the worker are still open. Wait until they are settled.
		ClaimsOpen,
		/// The worker computes as many jobs of the model as it can. Wait, or name another worker.
		CapacityFull,
		/// The job does not meet the worker's terms. Offer more, or name another worker.
		TermsNotMet,
		/// The worker's free stake is less than the job's bond. Declare less coverage, or name another worker.
		NotEnoughFreeStake,
		/// The worker has as many open jobs as it takes. Wait until some are settled, or name another worker.
		TooManyClaims,
		/// The worker was convicted of a wrong answer. Wait until the block that `worker_status` names.
		Suspended,
		/// The worker takes no delegations: it has not set a commission. Choose another one.
		DelegationClosed,
		/// The delegation would be or stay below `MinDelegation`. Delegate more, or undelegate all.
		DelegationTooSmall,
		/// The worker's own stake does not carry more delegations. Delegate less, or choose another worker.
		TooMuchDelegated,
		/// Nearly all of what was delegated to the worker was slashed. Choose another one.
		PoolDepleted,
		/// The account has delegated nothing to the worker. Delegate first.
		UnknownDelegation,
		/// The delegation has less stake than that. Undelegate less, or all.
		NotEnoughDelegated,
		/// There are no rewards to claim. See `claimable`.
		NothingToClaim,
	}

	/// Workers that stand from the first block on.
	#[pallet::genesis_config]
	#[derive(frame_support::DefaultNoBound)]
	pub struct GenesisConfig<T: Config> {
		/// The workers, with stake, service key and services.
		pub workers: Vec<GenesisWorker<T::AccountId>>,
	}

	#[pallet::genesis_build]
	impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
		fn build(&self) {
			for GenesisWorker { account, bond, service_key, services } in &self.workers {
				Pallet::<T>::do_bond(account, *bond)
					.unwrap_or_else(|e| panic!("genesis: worker {account:?} cannot bond: {e:?}"));
				if let Some(key) = service_key {
					Pallet::<T>::do_set_service_key(account, key.clone())
						.unwrap_or_else(|e| panic!("genesis: worker {account:?} cannot set its service key: {e:?}"));
				}
				for (model, terms) in services {
					Pallet::<T>::do_serve(account, *model, terms.clone())
						.unwrap_or_else(|e| panic!("genesis: worker {account:?} cannot serve model {model:?}: {e:?}"));
				}
			}
		}
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		fn integrity_test() {
			assert!(
				T::UnbondingDelay::get() >= T::LongestClaim::get(),
				"UnbondingDelay is below LongestClaim: stake could leave before a claim made with it is decided"
			);
			assert!(
				T::MinBond::get() >= T::Currency::minimum_balance() && T::MinBond::get() > 0,
				"MinBond is below the existential deposit"
			);
			assert!(T::MaxServers::get() > 0 && T::MaxServed::get() > 0, "nothing could be served");
			assert!(T::MaxUnbonding::get() > 2, "MaxUnbonding is below 3: buckets would be longer than the delay");
			assert!(
				T::MinDelegation::get() >= T::Currency::minimum_balance() && T::MinDelegation::get() > 0,
				"MinDelegation is below the existential deposit"
			);
			assert!(T::MaxLeverage::get() > 0, "MaxLeverage is zero: nothing could be delegated");
			assert!(T::MaxSlashRecords::get() > 0, "MaxSlashRecords is zero: nobody would know why");
		}

		#[cfg(feature = "try-runtime")]
		fn try_state(_n: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
			Self::do_try_state()
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Bond stake and become a worker.
		///
		/// Anyone who is not a worker may call this. `amount`, in planck, is held on you until you unbond and withdraw it,
		/// and can be slashed if you answer wrongly or late.
		///
		/// Fails with `AlreadyBonded` if you are a worker already, `BondTooSmall` if the amount is below `MinBond`, or an
		/// error of the balance if you do not have it.
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::bond().saturating_add(T::StakeObserver::settle_weight()))]
		pub fn bond(origin: OriginFor<T>, #[pallet::compact] amount: Balance) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_bond(&who, amount)
		}

		/// Bond more stake.
		///
		/// Only a worker may call this. `amount`, in planck, is held on you like the first bond.
		///
		/// Fails with `UnknownWorker` if you are no worker, `AmountZero` if the amount is zero, `BondTooSmall` if you would
		/// still be below `MinBond` (after a slash), or an error of the balance if you do not have the amount.
		#[pallet::call_index(1)]
		#[pallet::weight(T::WeightInfo::bond_extra().saturating_add(T::StakeObserver::settle_weight()))]
		pub fn bond_extra(origin: OriginFor<T>, #[pallet::compact] amount: Balance) -> DispatchResult {
			let who = ensure_signed(origin)?;
			ensure!(amount > 0, Error::<T>::AmountZero);
			T::StakeObserver::settle(&who);
			Self::with_observer(&who, || {
				Self::try_mutate_worker(&who, |worker| {
					T::Currency::hold(&HoldReason::Stake.into(), &who, amount)?;
					worker.bonded = worker.bonded.saturating_add(amount);
					ensure!(worker.bonded >= T::MinBond::get(), Error::<T>::BondTooSmall);
					Ok(())
				})
			})?;
			Self::deposit_event(Event::Bonded { worker: who, amount });
			Ok(())
		}

		/// Set or rotate the key with which your node signs commitments. The former key is of no use from now on; answers it
		/// has signed and that are not yet in a block are lost.
		///
		/// Only a worker may call this. It costs the transaction fee.
		///
		/// Fails with `UnknownWorker` if you are no worker and `ServiceKeyTaken` if the key belongs to another worker.
		#[pallet::call_index(2)]
		#[pallet::weight(T::WeightInfo::set_service_key())]
		pub fn set_service_key(origin: OriginFor<T>, key: ServiceKey) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_set_service_key(&who, key)
		}

		/// Serve a model, or change the terms on which you serve it. New terms are for new jobs.
		///
		/// Only a worker may call this. It costs the transaction fee.
		///
		/// Fails with `UnknownWorker` if you are no worker, `BondTooSmall` if you have less than `MinBond` bonded,
		/// `CapacityZero` if the terms have no capacity, `ModelNotActive` if the model takes no new jobs, `TooManyServers` if
		/// it has enough workers, none of whom is idle and has less behind it than you (such a one makes room), `TooManyServed` if you serve as many models as you can, and `Suspended` if you were convicted
		/// of a wrong answer not long ago, also if you have left and bonded anew since.
		#[pallet::call_index(3)]
		#[pallet::weight(T::WeightInfo::serve_model())]
		pub fn serve_model(origin: OriginFor<T>, model: ModelId, terms: Terms) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_serve(&who, model, terms)
		}

		/// Stop serving a model.
		///
		/// Only a worker that serves it may call this. It costs the transaction fee.
		///
		/// Fails with `NotServing` if you do not serve it and `ServiceBusy` if jobs on it are not yet answered: pause first,
		/// and answer them.
		#[pallet::call_index(4)]
		#[pallet::weight(T::WeightInfo::stop_serving())]
		pub fn stop_serving(origin: OriginFor<T>, model: ModelId) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::with_observer(&who, || Self::remove_service(&who, &model))
		}

		/// Take no new jobs for now. Open jobs go on: answer them.
		///
		/// Only a worker may call this. It costs the transaction fee, and the stake earns no emission while paused.
		///
		/// Fails with `UnknownWorker` if you are no worker and `WorkerPaused` if you are paused already.
		#[pallet::call_index(5)]
		#[pallet::weight(T::WeightInfo::pause())]
		pub fn pause(origin: OriginFor<T>) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::with_observer(&who, || {
				Self::try_mutate_worker(&who, |worker| {
					ensure!(!worker.paused, Error::<T>::WorkerPaused);
					worker.paused = true;
					Ok(())
				})
			})?;
			Self::deposit_event(Event::Paused { worker: who });
			Ok(())
		}

		/// Take new jobs again.
		///
		/// Only a paused worker may call this. It costs the transaction fee.
		///
		/// Fails with `UnknownWorker` if you are no worker, `WorkerNotPaused` if you are not paused, and `Suspended` if you were
		/// convicted of a wrong answer not long ago.
		#[pallet::call_index(6)]
		#[pallet::weight(T::WeightInfo::resume())]
		pub fn resume(origin: OriginFor<T>) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::with_observer(&who, || {
				Self::try_mutate_worker(&who, |worker| {
					ensure!(worker.paused, Error::<T>::WorkerNotPaused);
					worker.paused = false;
					Ok(())
				})?;
				Self::ensure_not_suspended(&who)
			})?;
			Self::deposit_event(Event::Resumed { worker: who });
			Ok(())
		}

		/// Start to take stake out. `amount`, in planck, covers no new jobs from now on and can be withdrawn after
		/// `UnbondingDelay` blocks; until it is withdrawn it can be slashed for earlier claims. Whoever unbonds all stops
		/// serving.
		///
		/// Only a worker may call this. It costs the transaction fee.
		///
		/// Fails with `UnknownWorker` if you are no worker, `AmountZero` if the amount is zero, `NotEnoughBonded` if you have
		/// less bonded, `StakeCoversJobs` if open jobs need it, `RemainderTooSmall` if something below `MinBond` would be
		/// left, `ServiceBusy` if all would go while jobs are not yet answered, and `TooManyUnbonding` if too many parts are
		/// on their way out.
		#[pallet::call_index(7)]
		#[pallet::weight(T::WeightInfo::unbond())]
		pub fn unbond(origin: OriginFor<T>, #[pallet::compact] amount: Balance) -> DispatchResult {
			let who = ensure_signed(origin)?;
			ensure!(amount > 0, Error::<T>::AmountZero);
			let due = frame_system::Pallet::<T>::block_number().saturating_add(T::UnbondingDelay::get());

			let withdrawable_at = Self::with_observer(&who, || {
				let (left, withdrawable_at) = Self::try_mutate_worker(&who, |worker| {
					let left = worker.bonded.checked_sub(amount).ok_or(Error::<T>::NotEnoughBonded)?;
					ensure!(left == 0 || left >= T::MinBond::get(), Error::<T>::RemainderTooSmall);
					worker.bonded = left;
					ensure!(left >= worker.covered, Error::<T>::StakeCoversJobs);
					// Not before what is on its way out already, should the delay ever be shortened.
					let withdrawable_at = worker.unbonding.last().map_or(due, |last| last.withdrawable_at.max(due));
					match worker.unbonding.last_mut() {
						Some(last) if last.withdrawable_at == withdrawable_at => {
							last.amount = last.amount.saturating_add(amount)
						}
						_ => worker
							.unbonding
							.try_push(Unbonding { amount, withdrawable_at })
							.map_err(|_| Error::<T>::TooManyUnbonding)?,
					}
					Ok((left, withdrawable_at))
				})?;
				if left == 0 {
					Self::remove_services(&who)?;
				}
				Ok(withdrawable_at)
			})?;
			Self::deposit_event(Event::Unbonding { worker: who, amount, withdrawable_at });
			Ok(())
		}

		/// Withdraw all stake that is due. If none is left, you are no worker any more and your service key is free.
		///
		/// Only a worker may call this. It costs the transaction fee.
		///
		/// Fails with `UnknownWorker` if you are no worker, `NothingToWithdraw` if nothing is due, and `ClaimsOpen` if you
		/// have nothing bonded and jobs of yours are still open.
		#[pallet::call_index(8)]
		#[pallet::weight(T::WeightInfo::withdraw())]
		pub fn withdraw(origin: OriginFor<T>) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_withdraw(&who)
		}

		/// Set how many jobs you have open at once, from their assignment to the release of their bonds. All of them can be
		/// challenged at the same time: take no more than your engine can build the traces of within the time to publish.
		///
		/// Only a worker may call this. It costs the transaction fee. Jobs that are open stay open. There is no limit at first.
		///
		/// Fails with `UnknownWorker` if you are no worker and `CapacityZero` if the limit is zero.
		#[pallet::call_index(9)]
		#[pallet::weight(T::WeightInfo::limit_claims())]
		pub fn limit_claims(origin: OriginFor<T>, max_claims: u32) -> DispatchResult {
			let who = ensure_signed(origin)?;
			ensure!(max_claims > 0, Error::<T>::CapacityZero);
			Self::try_mutate_worker(&who, |worker| {
				worker.max_claims = max_claims;
				Ok(())
			})?;
			Self::deposit_event(Event::ClaimsLimited { worker: who, max_claims });
			Ok(())
		}

		/// Give a worker all of its own stake that is due, like `withdraw` does for the caller. Forgets the suspension of an
		/// account that is over.
		///
		/// Anyone may call this, for anyone. It costs the transaction fee; the stake goes to the worker.
		///
		/// Fails like `withdraw`.
		#[pallet::call_index(10)]
		#[pallet::weight(T::WeightInfo::withdraw_for())]
		pub fn withdraw_for(origin: OriginFor<T>, worker: T::AccountId) -> DispatchResult {
			ensure_signed(origin)?;
			let forgotten = SuspendedUntil::<T>::contains_key(&worker) && Self::ensure_not_suspended(&worker).is_ok();
			if forgotten && !Workers::<T>::contains_key(&worker) {
				return Ok(());
			}
			Self::do_withdraw(&worker)
		}

		/// Take delegations, and keep a share of what they earn. The first commission and a lower one are taken at once; a
		/// higher one after `UnbondingDelay` blocks, so that every delegator can leave before.
		///
		/// Only a worker may call this. It costs the transaction fee. A higher commission that was not yet taken is forgotten.
		///
		/// Fails with `UnknownWorker` if you are no worker.
		#[pallet::call_index(11)]
		#[pallet::weight(T::WeightInfo::set_commission().saturating_add(T::StakeObserver::settle_weight()))]
		pub fn set_commission(origin: OriginFor<T>, rate: Perbill) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_set_commission(who, rate)
		}

		/// Put stake behind a worker. `amount`, in planck, moves from you to the account of the pallet, earns its part of what
		/// the worker earns, and can be slashed with the worker's own stake if the worker answers wrongly or late, from now on
		/// until it is due after `undelegate`. The first delegator of all pays for that account's existential deposit.
		///
		/// Anyone may call this, for a worker that has set its commission.
		///
		/// Fails with `UnknownWorker` if it is no worker, `DelegationClosed` if it takes no delegations, `AmountZero` if the
		/// amount is zero, `DelegationTooSmall` if your delegation would be below `MinDelegation`, `TooMuchDelegated` if it
		/// would have more than `MaxLeverage` times its own stake, `PoolDepleted` if nearly all that was delegated to it was
		/// slashed, or an error of the balance if you do not have the amount.
		#[pallet::call_index(12)]
		#[pallet::weight(T::WeightInfo::delegate().saturating_add(T::StakeObserver::settle_weight()))]
		pub fn delegate(
			origin: OriginFor<T>,
			worker: T::AccountId,
			#[pallet::compact] amount: Balance,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_delegate(worker, who, amount)
		}

		/// Start to take stake out from behind a worker: `amount` planck, or all. It covers no new jobs and earns nothing from
		/// now on, and can be withdrawn after `UnbondingDelay` blocks, rounded up so that the stake of many leaves together.
		/// Until then it can be slashed for what the worker has done. Stake that is due already is withdrawn.
		///
		/// Only a delegator may call this, whatever its worker does or has done. It costs the transaction fee.
		///
		/// Fails with `UnknownDelegation` if you have delegated nothing to the worker, `AmountZero` if the amount is zero,
		/// `NotEnoughDelegated` if you have less, and `DelegationTooSmall` if something below `MinDelegation` would be left.
		#[pallet::call_index(13)]
		#[pallet::weight(T::WeightInfo::undelegate().saturating_add(T::StakeObserver::settle_weight()))]
		pub fn undelegate(origin: OriginFor<T>, worker: T::AccountId, amount: Option<Balance>) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::do_undelegate(worker, who, amount)
		}

		/// Give a delegator its stake that is due, and with the last of it what it has not claimed.
		///
		/// Anyone may call this, for anyone. It costs the transaction fee; the stake goes to the delegator.
		///
		/// Fails with `UnknownDelegation` if it has delegated nothing to the worker, `NothingToWithdraw` if nothing is due, or an
		/// error of the balance if the delegator's account is gone and the amount is below the existential deposit.
		#[pallet::call_index(14)]
		#[pallet::weight(T::WeightInfo::withdraw_delegation())]
		pub fn withdraw_delegation(
			origin: OriginFor<T>,
			worker: T::AccountId,
			delegator: T::AccountId,
		) -> DispatchResult {
			ensure_signed(origin)?;
			Self::do_withdraw_delegation(worker, delegator)
		}

		/// Give a delegator its rewards: to its account, or to its stake if it said so. They go to its account all the same if
		/// the worker cannot take more stake.
		///
		/// Anyone may call this, for anyone. It costs the transaction fee.
		///
		/// Fails with `UnknownDelegation` if it has delegated nothing to the worker, `NothingToClaim` if there are no rewards, or
		/// an error of the balance if the delegator's account is gone and the rewards are below the existential deposit.
		#[pallet::call_index(15)]
		#[pallet::weight(T::WeightInfo::claim().saturating_add(T::StakeObserver::settle_weight()))]
		pub fn claim(origin: OriginFor<T>, worker: T::AccountId, delegator: T::AccountId) -> DispatchResult {
			ensure_signed(origin)?;
			Self::do_claim(worker, delegator)
		}

		/// Say where the rewards of a delegation go when they are claimed: to your account, as at first, or to your stake.
		///
		/// Only a delegator may call this. It costs the transaction fee. It is for all rewards that are not yet claimed.
		///
		/// Fails with `UnknownDelegation` if you have delegated nothing to the worker.
		#[pallet::call_index(16)]
		#[pallet::weight(T::WeightInfo::set_payee())]
		pub fn set_payee(origin: OriginFor<T>, worker: T::AccountId, payee: Payee) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Delegations::<T>::try_mutate(&worker, &who, |delegation| {
				delegation.as_mut().ok_or(Error::<T>::UnknownDelegation)?.payee = payee;
				Ok::<_, DispatchError>(())
			})?;
			Self::deposit_event(Event::PayeeSet { worker, delegator: who, payee });
			Ok(())
		}
	}

	#[pallet::view_functions]
	impl<T: Config> Pallet<T> {
		/// The stake, delegators, service key and services of a worker.
		pub fn worker_status(account: T::AccountId) -> Option<WorkerStatusOf<T>> {
			let worker = Workers::<T>::get(&account)?;
			let pool = Pools::<T>::get(&account);
			let now = frame_system::Pallet::<T>::block_number();
			let announced = pool.commission.map(|commission| commission.announced(now));
			let (commission, next_commission) = announced.map_or((None, None), |(rate, next)| (Some(rate), next));
			let services = Served::<T>::get(&account)
				.into_iter()
				.filter_map(|model| {
					Services::<T>::get(model, &account).map(|service| (model, service.terms, service.in_flight))
				})
				.collect();
			Some(WorkerStatus {
				bonded: worker.backing(T::MaxLeverage::get()),
				own: worker.bonded,
				delegated: worker.delegated,
				delegators: pool.delegators,
				commission,
				next_commission,
				free: worker.free(),
				covered: worker.covered,
				open_claims: worker.open_claims,
				max_claims: worker.max_claims,
				unbonding: worker.unbonding.into_inner(),
				paused: worker.paused,
				suspended_until: SuspendedUntil::<T>::get(&account).filter(|until| *until > now),
				service_key: worker.service_key,
				services,
			})
		}

		/// The first block in which a worker can withdraw something. `None` if nothing of it is on its way out.
		pub fn withdrawable_at(account: T::AccountId) -> Option<BlockNumberFor<T>> {
			Workers::<T>::get(account)?.unbonding.first().map(|part| part.withdrawable_at)
		}

		/// What a delegator has with a worker. `None` if nothing.
		pub fn delegation(worker: T::AccountId, delegator: T::AccountId) -> Option<DelegationStatusOf<T>> {
			Self::delegation_status(&worker, &delegator)
		}

		/// The rewards that a delegator can claim of a worker, in planck.
		pub fn claimable(worker: T::AccountId, delegator: T::AccountId) -> Balance {
			Self::delegation_status(&worker, &delegator).map_or(0, |status| status.claimable)
		}

		/// The last slashes of a worker, latest first: when, how much, why.
		pub fn why_slashed(worker: T::AccountId) -> Vec<SlashRecordOf<T>> {
			Slashes::<T>::get(worker).into_iter().rev().collect()
		}

		/// Who serves a model, on which terms.
		pub fn servers(model: ModelId) -> Vec<(T::AccountId, Terms)> {
			Servers::<T>::get(model)
				.into_iter()
				.filter_map(|who| Services::<T>::get(model, &who).map(|service| (who, service.terms)))
				.collect()
		}
	}
}
