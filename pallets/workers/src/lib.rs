//! # Workers pallet
//!
//! Who stakes to answer inferences, what each serves and on which terms, and how much of its stake stands behind which jobs.
//!
//! ## Terminology
//!
//! - *Worker*: an account that has bonded stake.
//! - *Service key*: the key with which a worker's node signs for it. It holds no funds and can be rotated.
//! - *Service*: one model that a worker serves, on its [`Terms`].
//! - *Bonded*: stake that can cover jobs. *Unbonding*: stake on its way out. Both are held, and both can be slashed.
//! - *Covered*: the part of the bonded stake that is set aside for open claims. *Free*: the rest of it.
//! - *In flight*: a job that is assigned and not yet answered. *Open claim*: a job whose bond is not yet released.
//! - *Active stake*: the bonded stake of a worker that is not paused, serves a model and has at least `MinBond`; else zero.
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
//! 3. After `UnbondingDelay` blocks he calls `withdraw`. The stake is his again, and nothing of him is left in storage.
//!
//! ## Slashing
//!
//! A job's bond is released first, so that it is part of the free stake. A slash takes free stake, then what is unbonding,
//! latest first. It never takes what covers other jobs, so it may take less than was asked for. What it took leaves the
//! pallet as a [`Credit`](types::CreditOf); the caller decides who gets it and what is burned.
//!
//! ## Invariants
//!
//! - The balance held on a worker is its bonded and its unbonding stake.
//! - Covered stake is at most bonded stake.
//! - The jobs in flight over all services of a worker are at most its open claims.
//! - A service stands if and only if the model lists the worker and the worker lists the model, once each.
//! - Every service key belongs to exactly one worker, and that worker names it.
//! - Unbonding stake is listed soonest first, and no part of it is zero.
//!
//! ## Limitations
//!
//! - A service key needs no proof of possession, so someone can set the key of another's node before its operator does. It
//!   gains nothing: whatever a service key signs names the worker. The operator makes another key.
//! - A worker that goes on serving a removed model is listed until it stops. Such a model takes no jobs.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;
pub mod traits;
#[cfg(any(feature = "std", feature = "try-runtime"))]
mod try_state;
pub mod types;
pub mod weights;

pub use pallet::*;
pub use traits::{Models, StakeObserver};
pub use types::{CreditOf, GenesisWorker, Service, Terms, Unbonding, Worker, WorkerOf, WorkerStatus, WorkerStatusOf};
pub use weights::WeightInfo;

#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use alloc::vec::Vec;
	use assay_primitives::{Balance, ModelId, ServiceKey, SlashReason};
	use frame_support::{
		defensive,
		pallet_prelude::*,
		traits::{
			fungible::{BalancedHold, Inspect, MutateHold},
			tokens::Precision,
			Imbalance,
		},
	};
	use frame_system::pallet_prelude::*;
	use sp_core::U256;
	use sp_runtime::Saturating;

	/// The in-code storage version.
	const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

	#[pallet::pallet]
	#[pallet::storage_version(STORAGE_VERSION)]
	pub struct Pallet<T>(_);

	#[pallet::config]
	pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
		/// Where stake is held and slashed.
		type Currency: Inspect<Self::AccountId, Balance = Balance>
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

		/// The most parts in which stake of one worker can be on its way out.
		#[pallet::constant]
		type MaxUnbonding: Get<u32>;

		/// What the calls of this pallet weigh.
		type WeightInfo: WeightInfo;
	}

	/// Why a balance is held.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// Stake of a worker, bonded or unbonding.
		#[codec(index = 0)]
		Stake,
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
			/// How much was taken, in planck.
			amount: Balance,
			/// Why.
			reason: SlashReason,
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
			assert!(T::MaxUnbonding::get() > 0, "nothing could be unbonded");
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
		#[pallet::weight(T::WeightInfo::bond())]
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
		#[pallet::weight(T::WeightInfo::bond_extra())]
		pub fn bond_extra(origin: OriginFor<T>, #[pallet::compact] amount: Balance) -> DispatchResult {
			let who = ensure_signed(origin)?;
			ensure!(amount > 0, Error::<T>::AmountZero);
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
		/// it has enough workers, and `TooManyServed` if you serve as many models as you can.
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
		/// Fails with `UnknownWorker` if you are no worker and `WorkerNotPaused` if you are not paused.
		#[pallet::call_index(6)]
		#[pallet::weight(T::WeightInfo::resume())]
		pub fn resume(origin: OriginFor<T>) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::with_observer(&who, || {
				Self::try_mutate_worker(&who, |worker| {
					ensure!(worker.paused, Error::<T>::WorkerNotPaused);
					worker.paused = false;
					Ok(())
				})
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
					ensure!(left >= worker.covered, Error::<T>::StakeCoversJobs);
					ensure!(left == 0 || left >= T::MinBond::get(), Error::<T>::RemainderTooSmall);
					worker.bonded = left;
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
			let now = frame_system::Pallet::<T>::block_number();
			let mut worker = Workers::<T>::get(&who).ok_or(Error::<T>::UnknownWorker)?;
			ensure!(worker.bonded > 0 || worker.open_claims == 0, Error::<T>::ClaimsOpen);

			let before = worker.total_unbonding();
			worker.unbonding.retain(|part| part.withdrawable_at > now);
			let amount = before.saturating_sub(worker.total_unbonding());
			let leaves = worker.bonded == 0 && worker.unbonding.is_empty();
			ensure!(amount > 0 || leaves, Error::<T>::NothingToWithdraw);

			T::Currency::release(&HoldReason::Stake.into(), &who, amount, Precision::Exact)?;
			if leaves {
				// A worker whose whole stake was slashed may still be listed; no job of it is open.
				Self::remove_services(&who)?;
				if let Some(key) = worker.service_key {
					ServiceKeys::<T>::remove(key);
				}
				Workers::<T>::remove(&who);
			} else {
				Workers::<T>::insert(&who, worker);
			}
			Self::deposit_event(Event::Withdrawn { worker: who, amount });
			Ok(())
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
	}

	#[pallet::view_functions]
	impl<T: Config> Pallet<T> {
		/// The stake, service key and services of a worker.
		pub fn worker_status(account: T::AccountId) -> Option<WorkerStatusOf<T>> {
			let worker = Workers::<T>::get(&account)?;
			let services = Served::<T>::get(&account)
				.into_iter()
				.filter_map(|model| {
					Services::<T>::get(model, &account).map(|service| (model, service.terms, service.in_flight))
				})
				.collect();
			Some(WorkerStatus {
				free: worker.free(),
				bonded: worker.bonded,
				covered: worker.covered,
				open_claims: worker.open_claims,
				max_claims: worker.max_claims,
				unbonding: worker.unbonding.into_inner(),
				paused: worker.paused,
				service_key: worker.service_key,
				services,
			})
		}

		/// The first block in which a worker can withdraw something. `None` if nothing of it is on its way out.
		pub fn withdrawable_at(account: T::AccountId) -> Option<BlockNumberFor<T>> {
			Workers::<T>::get(account)?.unbonding.first().map(|part| part.withdrawable_at)
		}

		/// Who serves a model, on which terms.
		pub fn servers(model: ModelId) -> Vec<(T::AccountId, Terms)> {
			Servers::<T>::get(model)
				.into_iter()
				.filter_map(|who| Services::<T>::get(model, &who).map(|service| (who, service.terms)))
				.collect()
		}
	}

	impl<T: Config> Pallet<T> {
		/// Draw a worker for a job on a model, by bonded stake among those that can take it. `accept` says whether terms
		/// suit the job and which bond it needs then, in planck.
		///
		/// `seed` must be uniformly distributed, and must not serve another draw. Reads all servers of the model; changes
		/// nothing.
		pub fn draw(
			model: &ModelId,
			exclude: &[T::AccountId],
			seed: [u8; 32],
			mut accept: impl FnMut(&Terms) -> Option<Balance>,
		) -> Option<(T::AccountId, Terms, Balance)> {
			let mut total = U256::zero();
			let mut candidates = Vec::new();
			for who in Servers::<T>::get(model) {
				if exclude.contains(&who) {
					continue;
				}
				if let Ok((terms, bond, weight)) = Self::check_candidate(&who, model, &mut accept) {
					total = total.saturating_add(weight.into());
					candidates.push((total, who, terms, bond));
				}
			}
			// 256 random bits on a total of fewer than 135: what the remainder favours is far below any stake.
			let drawn = U256::from_little_endian(&seed).checked_rem(total)?;
			candidates.into_iter().find(|(upto, ..)| drawn < *upto).map(|(_, who, terms, bond)| (who, terms, bond))
		}

		/// Check whether one worker can take a job on a model; see [`Self::draw`] for `accept`. The terms and the bond, or
		/// the reason why not.
		pub fn candidate(
			worker: &T::AccountId,
			model: &ModelId,
			accept: impl FnMut(&Terms) -> Option<Balance>,
		) -> Result<(Terms, Balance), Error<T>> {
			Self::check_candidate(worker, model, accept).map(|(terms, bond, _)| (terms, bond))
		}

		/// Assign a job on a model to a worker: set `bond` aside for it and count it as open and in flight.
		///
		/// Fails if [`Self::candidate`] would, apart from the terms, and changes nothing then.
		pub fn assign(worker: &T::AccountId, model: &ModelId, bond: Balance) -> DispatchResult {
			Self::check_candidate(worker, model, |_| Some(bond))?;
			let mut record = Workers::<T>::get(worker).ok_or(Error::<T>::UnknownWorker)?;
			let mut service = Services::<T>::get(model, worker).ok_or(Error::<T>::NotServing)?;
			record.open_claims = record.open_claims.checked_add(1).ok_or(Error::<T>::TooManyClaims)?;
			record.covered = record.covered.checked_add(bond).ok_or(Error::<T>::NotEnoughFreeStake)?;
			service.in_flight = service.in_flight.checked_add(1).ok_or(Error::<T>::CapacityFull)?;
			Workers::<T>::insert(worker, record);
			Services::<T>::insert(model, worker, service);
			Ok(())
		}

		/// A job on a model that was assigned to a worker needs no answer any more: it came, or came not in time.
		pub fn answered(worker: &T::AccountId, model: &ModelId) {
			Services::<T>::mutate(model, worker, |service| match service {
				Some(service) if service.in_flight > 0 => service.in_flight.saturating_dec(),
				_ => {
					defensive!("a job was answered that was not in flight");
				}
			});
		}

		/// Release the bond of a job, with which it was assigned.
		pub fn release(worker: &T::AccountId, bond: Balance) {
			Workers::<T>::mutate(worker, |worker| match worker {
				Some(worker) if worker.open_claims > 0 && worker.covered >= bond => {
					worker.open_claims.saturating_dec();
					worker.covered.saturating_reduce(bond);
				}
				_ => {
					defensive!("a bond was released that was not set aside");
				}
			});
		}

		/// Take up to `amount` planck of a worker's stake: free stake first, then unbonding stake, latest first. What covers
		/// other jobs is never taken; release the bond of the job at fault first.
		///
		/// The credit is what was taken. Dropping it burns it.
		pub fn slash(worker: &T::AccountId, amount: Balance, reason: SlashReason) -> CreditOf<T> {
			let Some(mut record) = Workers::<T>::get(worker) else {
				defensive!("an account was slashed that is no worker");
				return CreditOf::<T>::zero();
			};
			let before = Self::active_stake(worker);

			let from_free = amount.min(record.free());
			record.bonded = record.bonded.saturating_sub(from_free);
			let mut missing = amount.saturating_sub(from_free);
			for part in record.unbonding.iter_mut().rev() {
				let from_part = missing.min(part.amount);
				part.amount = part.amount.saturating_sub(from_part);
				missing = missing.saturating_sub(from_part);
			}
			record.unbonding.retain(|part| part.amount > 0);
			Workers::<T>::insert(worker, record);

			let wanted = amount.saturating_sub(missing);
			let (credit, short) = T::Currency::slash(&HoldReason::Stake.into(), worker, wanted);
			if short > 0 {
				defensive!("stake of a worker was not held in full");
			}
			Self::observe(worker, before);
			if credit.peek() > 0 {
				Self::deposit_event(Event::Slashed { worker: worker.clone(), amount: credit.peek(), reason });
			}
			credit
		}

		/// Give a worker no new jobs until it resumes: its answer was wrong.
		pub fn suspend(worker: &T::AccountId) {
			let before = Self::active_stake(worker);
			let newly = Workers::<T>::mutate_extant(worker, |record| !core::mem::replace(&mut record.paused, true));
			Self::observe(worker, before);
			if newly {
				Self::deposit_event(Event::Paused { worker: worker.clone() });
			}
		}

		/// The number of workers that serve a model, paused ones included.
		pub fn server_count(model: &ModelId) -> u32 {
			let count = Servers::<T>::decode_len(model).unwrap_or(0);
			u32::try_from(count).unwrap_or(u32::MAX)
		}

		/// The worker that a service key signs for.
		pub fn worker_of(key: &ServiceKey) -> Option<T::AccountId> {
			ServiceKeys::<T>::get(key)
		}

		/// The key with which a worker's node signs.
		pub fn service_key(worker: &T::AccountId) -> Option<ServiceKey> {
			Workers::<T>::get(worker)?.service_key
		}

		/// The stake of a worker that works: bonded and at least `MinBond`, not paused, serving something; else zero.
		pub fn active_stake(worker: &T::AccountId) -> Balance {
			match Workers::<T>::get(worker) {
				Some(record)
					if !record.paused
						&& record.bonded >= T::MinBond::get()
						&& Served::<T>::decode_len(worker).unwrap_or(0) > 0 =>
				{
					record.bonded
				}
				_ => 0,
			}
		}

		/// Run a change of a worker and tell the observer if its active stake changed.
		fn with_observer<R>(
			who: &T::AccountId,
			change: impl FnOnce() -> Result<R, DispatchError>,
		) -> Result<R, DispatchError> {
			let before = Self::active_stake(who);
			let result = change()?;
			Self::observe(who, before);
			Ok(result)
		}

		/// Tell the observer if the active stake of a worker is not what it was.
		fn observe(who: &T::AccountId, before: Balance) {
			let after = Self::active_stake(who);
			if after != before {
				T::StakeObserver::active_stake_changed(who, after);
			}
		}

		fn try_mutate_worker<R>(
			who: &T::AccountId,
			change: impl FnOnce(&mut WorkerOf<T>) -> Result<R, DispatchError>,
		) -> Result<R, DispatchError> {
			Workers::<T>::try_mutate(who, |worker| change(worker.as_mut().ok_or(Error::<T>::UnknownWorker)?))
		}

		/// The terms, the bond and the weight in a draw of a worker that can take a job.
		fn check_candidate(
			who: &T::AccountId,
			model: &ModelId,
			mut accept: impl FnMut(&Terms) -> Option<Balance>,
		) -> Result<(Terms, Balance, Balance), Error<T>> {
			let worker = Workers::<T>::get(who).ok_or(Error::<T>::UnknownWorker)?;
			let service = Services::<T>::get(model, who).ok_or(Error::<T>::NotServing)?;
			ensure!(!worker.paused, Error::<T>::WorkerPaused);
			ensure!(worker.service_key.is_some(), Error::<T>::NoServiceKey);
			ensure!(worker.bonded >= T::MinBond::get(), Error::<T>::BondTooSmall);
			ensure!(service.in_flight < service.terms.capacity, Error::<T>::CapacityFull);
			ensure!(worker.open_claims < worker.max_claims, Error::<T>::TooManyClaims);
			let bond = accept(&service.terms).ok_or(Error::<T>::TermsNotMet)?;
			ensure!(worker.free() >= bond, Error::<T>::NotEnoughFreeStake);
			Ok((service.terms, bond, worker.bonded))
		}

		fn do_bond(who: &T::AccountId, amount: Balance) -> DispatchResult {
			ensure!(!Workers::<T>::contains_key(who), Error::<T>::AlreadyBonded);
			ensure!(amount >= T::MinBond::get(), Error::<T>::BondTooSmall);
			T::Currency::hold(&HoldReason::Stake.into(), who, amount)?;
			// It serves nothing yet, so its active stake stays zero.
			Workers::<T>::insert(who, Worker::new(amount, frame_system::Pallet::<T>::block_number()));
			Self::deposit_event(Event::Bonded { worker: who.clone(), amount });
			Ok(())
		}

		fn do_set_service_key(who: &T::AccountId, key: ServiceKey) -> DispatchResult {
			Self::try_mutate_worker(who, |worker| {
				ensure!(ServiceKeys::<T>::get(&key).is_none_or(|holder| holder == *who), Error::<T>::ServiceKeyTaken);
				if let Some(former) = worker.service_key.replace(key.clone()) {
					ServiceKeys::<T>::remove(former);
				}
				ServiceKeys::<T>::insert(&key, who);
				Ok(())
			})?;
			Self::deposit_event(Event::ServiceKeySet { worker: who.clone(), key });
			Ok(())
		}

		fn do_serve(who: &T::AccountId, model: ModelId, terms: Terms) -> DispatchResult {
			let worker = Workers::<T>::get(who).ok_or(Error::<T>::UnknownWorker)?;
			ensure!(worker.bonded >= T::MinBond::get(), Error::<T>::BondTooSmall);
			ensure!(terms.capacity > 0, Error::<T>::CapacityZero);
			ensure!(T::Models::is_active(&model), Error::<T>::ModelNotActive);
			Self::with_observer(who, || {
				let in_flight = match Services::<T>::get(model, who) {
					Some(service) => service.in_flight,
					None => {
						Servers::<T>::try_append(model, who).map_err(|_| Error::<T>::TooManyServers)?;
						Served::<T>::try_append(who, model).map_err(|_| Error::<T>::TooManyServed)?;
						0
					}
				};
				Services::<T>::insert(model, who, Service { terms: terms.clone(), in_flight });
				Ok(())
			})?;
			Self::deposit_event(Event::ServiceSet { worker: who.clone(), model, terms });
			Ok(())
		}

		/// Remove all services of a worker. None may have a job in flight.
		fn remove_services(who: &T::AccountId) -> DispatchResult {
			Served::<T>::get(who).iter().try_for_each(|model| Self::remove_service(who, model))
		}

		fn remove_service(who: &T::AccountId, model: &ModelId) -> DispatchResult {
			let service = Services::<T>::get(model, who).ok_or(Error::<T>::NotServing)?;
			ensure!(service.in_flight == 0, Error::<T>::ServiceBusy);
			Services::<T>::remove(model, who);
			Servers::<T>::mutate_exists(model, |servers| {
				if let Some(list) = servers {
					list.retain(|server| server != who);
				}
				*servers = servers.take().filter(|list| !list.is_empty());
			});
			Served::<T>::mutate_exists(who, |served| {
				if let Some(list) = served {
					list.retain(|id| id != model);
				}
				*served = served.take().filter(|list| !list.is_empty());
			});
			Self::deposit_event(Event::ServiceStopped { worker: who.clone(), model: *model });
			Ok(())
		}
	}
}
