//! # Rewards pallet
//!
//! Where the fee of an inference goes, and what workers earn for being there.
//!
//! ## Terminology
//!
//! - *Shares*: the four parts of a fee: burned, treasury, royalty of the model's owner, worker.
//! - *Era*: the period of emission, `EraLength` blocks.
//! - *Emission*: what is minted for one era at most. `EmissionTotal` over `EmissionEras` eras, then nothing.
//! - *Active stake*: the stake of a worker that works, as told by [`Pallet::set_active_stake`].
//! - *Points*: active stake times the blocks for which it was that.
//! - *Heartbeat*: a worker's word that it is there. It is *live* for `HeartbeatLifetime` blocks from it on.
//! - *Proven points*: the points of the blocks in which the worker was live.
//! - *Fault*: something that lowers a worker's availability in the era in which it happened.
//! - *Ledger*: the active stake of one worker, era by era.
//!
//! ## Scenario: a fee of 100 OPG
//!
//! 1. 100 OPG are held on Bob for a job on a model of Dave's with a royalty of 10 %. Charlie answered it and it settles.
//! 2. 5 OPG are burned, 5 go to the treasury, 10 to Dave, and 80, the rest, to Charlie.
//! 3. Charlie's 80 OPG go through [`Distribute`]: his delegators get their part of them, less his commission.
//! 4. Had Dave's account been empty and 10 OPG below the existential deposit, they would have gone to the treasury.
//!
//! ## Scenario: an era
//!
//! 1. Charlie has 1,000 OPG of active stake through the whole era; Eve has 3,000 through its second half. Charlie has
//!    1,000 points per block of the era, Eve 1,500.
//! 2. Eve misses one deadline, which costs her 25 % of what she earns in that era. Charlie's node is down for a tenth of
//!    the era: no heartbeat tells that he is there, and his proven points are 900 per block of the era.
//! 3. The era ends by itself. Anyone calls `payout_era` for either of them: Charlie gets 36 % of the emission, Eve 60 %
//!    less a quarter. What is missing is never minted: nobody gains by another's failing.
//! 4. What is not asked for within `HistoryDepth` eras is never minted, either.
//!
//! ## Emission
//!
//! Emission is paid by stake and availability: the proven points of a worker over the points of all, less its faults.
//! A newcomer is live for the lifetime of a heartbeat at first. No formula of this pallet's emission reads a fee or a number of jobs: trading
//! with oneself must not pay. It is off unless the genesis says otherwise; the schedule counts only eras for which it is on.
//!
//! Nothing is done for each worker when an era ends. A ledger has an entry for an era only if something happened to the
//! worker in it; everything else follows from the entries before. The total of all workers is kept beside the ledgers.
//!
//! ## Invariants
//!
//! - The parts of a fee add up to the fee, and the total issuance falls by the burned part exactly.
//! - What was minted for an era is at most its emission, and what was minted in all is at most the schedule so far.
//! - The total active stake is the sum over all ledgers, and so are the points of the era that is on.
//! - The points of an era that is over and kept are the sum over all ledgers.
//! - No points are proven that were not earned, and nobody is live for longer than a heartbeat lasts.
//! - The entries of a ledger are listed oldest first, once for each era.
//! - The eras that are kept are the last `HistoryDepth`.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
pub mod migrations;
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
pub use traits::Distribute;
pub use types::{
	Accrual, CreditOf, CurrentEraInfo, Entry, EraIndex, EraInfo, EraInfoOf, Fault, Ledger, LedgerOf, MaxEntries,
	Points, Shares,
};
pub use weights::WeightInfo;

#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use alloc::vec::Vec;
	use assay_primitives::{Balance, DAYS};
	use frame_support::{
		defensive,
		pallet_prelude::*,
		storage::with_storage_layer,
		traits::{
			fungible::{Balanced, BalancedHold, Inspect},
			Imbalance,
		},
		weights::WeightMeter,
		PalletId,
	};
	use frame_system::pallet_prelude::*;
	use sp_runtime::{
		helpers_128bit::multiply_by_rational_with_rounding,
		traits::{AccountIdConversion, One, Zero},
		FixedPointNumber, FixedU128, Permill, Rounding, SaturatedConversion, Saturating, TokenError,
	};

	/// The in-code storage version.
	const STORAGE_VERSION: StorageVersion = StorageVersion::new(2);

	/// The most ledgers that are swept in one block, however much weight is left.
	const MAX_SWEPT_PER_BLOCK: u32 = 16;

	#[pallet::pallet]
	#[pallet::storage_version(STORAGE_VERSION)]
	pub struct Pallet<T>(_);

	#[pallet::config]
	pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
		/// Where fees are held and emission is minted.
		type Currency: Inspect<Self::AccountId, Balance = Balance>
			+ BalancedHold<Self::AccountId, Reason = Self::RuntimeHoldReason>;

		/// The runtime's reasons for holds.
		type RuntimeHoldReason;

		/// Who shares what a worker earns, fees and emission alike.
		type Distribute: Distribute<Self::AccountId, CreditOf<Self>>;

		/// The share of a fee that is burned.
		#[pallet::constant]
		type BurnShare: Get<Permill>;

		/// The share of a fee that goes to the treasury.
		#[pallet::constant]
		type TreasuryShare: Get<Permill>;

		/// The largest share of a fee that goes to the owner of the model.
		#[pallet::constant]
		type MaxRoyalty: Get<Permill>;

		/// What the treasury's account is derived from.
		#[pallet::constant]
		type TreasuryId: Get<PalletId>;

		/// The blocks of an era.
		#[pallet::constant]
		type EraLength: Get<BlockNumberFor<Self>>;

		/// What is minted in all, at most, in planck.
		#[pallet::constant]
		type EmissionTotal: Get<Balance>;

		/// The number of eras over which it is minted.
		#[pallet::constant]
		type EmissionEras: Get<u32>;

		/// The number of eras after which what was not asked for is forgotten.
		#[pallet::constant]
		type HistoryDepth: Get<u32>;

		/// The blocks for which a worker is live from a heartbeat on.
		#[pallet::constant]
		type HeartbeatLifetime: Get<BlockNumberFor<Self>>;

		/// What a missed deadline costs of what is earned in the era.
		#[pallet::constant]
		type MissedDeadlineFault: Get<Permill>;

		/// What a declined job costs of what is earned in the era.
		#[pallet::constant]
		type DeclinedFault: Get<Permill>;

		/// What the calls and the steps of this pallet weigh.
		type WeightInfo: WeightInfo;
	}

	/// Whether eras that end now have an emission.
	#[pallet::storage]
	pub type EmissionEnabled<T: Config> = StorageValue<_, bool, ValueQuery>;

	/// The number of eras that ended with emission on: how far the schedule is.
	#[pallet::storage]
	pub type EmittedEras<T: Config> = StorageValue<_, u32, ValueQuery>;

	/// What was minted in all, in planck.
	#[pallet::storage]
	pub type TotalMinted<T: Config> = StorageValue<_, Balance, ValueQuery>;

	/// The era that is on.
	#[pallet::storage]
	pub type CurrentEra<T: Config> = StorageValue<_, CurrentEraInfo<BlockNumberFor<T>>, ValueQuery>;

	/// The eras that are over and kept.
	#[pallet::storage]
	pub type Eras<T: Config> = StorageMap<_, Twox64Concat, EraIndex, EraInfoOf<T>>;

	/// The active stake of all workers together.
	#[pallet::storage]
	pub type TotalStake<T: Config> = StorageValue<_, Accrual<BlockNumberFor<T>>, ValueQuery>;

	/// The active stake of each worker.
	#[pallet::storage]
	pub type Ledgers<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, LedgerOf<T>>;

	/// Whose ledger was swept last, `Some(None)` before the first. `None` while there is nothing to sweep.
	#[pallet::storage]
	pub type SweepCursor<T: Config> = StorageValue<_, Option<T::AccountId>>;

	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	pub enum Event<T: Config> {
		/// A fee was paid.
		FeePaid {
			/// Who paid it.
			payer: T::AccountId,
			/// Who owns the model.
			owner: T::AccountId,
			/// Who answered.
			worker: T::AccountId,
			/// Where the fee went.
			shares: Shares,
		},
		/// A worker was paid for an era.
		EraPaid {
			/// The era.
			era: EraIndex,
			/// The worker.
			worker: T::AccountId,
			/// How much was minted, in planck.
			amount: Balance,
		},
		/// An era ended.
		EraEnded {
			/// The era.
			era: EraIndex,
			/// The most that is minted for it, in planck.
			emission: Balance,
			/// The points of all workers.
			total_points: Points,
		},
	}

	#[pallet::error]
	pub enum Error<T> {
		/// The era is not over. Wait until it is.
		EraNotOver,
		/// The era is too long ago. Ask for emission within `HistoryDepth` eras.
		EraForgotten,
		/// The worker was paid for this era already. Nothing is left to ask for.
		AlreadyPaid,
		/// The worker earned nothing in this era. See `claimable`.
		NothingToPay,
		/// Less than the fee is held on the payer. Hold the fee before paying it out.
		FeeNotHeld,
	}

	/// What rewards start with.
	#[pallet::genesis_config]
	#[derive(frame_support::DefaultNoBound)]
	pub struct GenesisConfig<T: Config> {
		/// Whether eras have an emission. Off unless there is a reason: emission is for checking, which probes will pay for.
		pub emission_enabled: bool,
		#[serde(skip)]
		/// Keeps the type parameter.
		pub _config: PhantomData<T>,
	}

	#[pallet::genesis_build]
	impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
		fn build(&self) {
			EmissionEnabled::<T>::put(self.emission_enabled);
		}
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		fn on_initialize(now: BlockNumberFor<T>) -> Weight {
			let CurrentEraInfo { started_at, .. } = CurrentEra::<T>::get();
			if now.saturating_sub(started_at) < T::EraLength::get() {
				return T::DbWeight::get().reads(1);
			}
			Self::rotate_era(now);
			T::WeightInfo::rotate_era()
		}

		fn on_idle(_now: BlockNumberFor<T>, remaining: Weight) -> Weight {
			let mut meter = WeightMeter::with_limit(remaining);
			if meter.try_consume(T::DbWeight::get().reads(1)).is_err() || !SweepCursor::<T>::exists() {
				return meter.consumed();
			}
			for _ in 0..MAX_SWEPT_PER_BLOCK {
				if meter.try_consume(T::WeightInfo::sweep_ledger()).is_err() || !Self::sweep_ledger() {
					break;
				}
			}
			meter.consumed()
		}

		fn integrity_test() {
			let parts = [T::BurnShare::get(), T::TreasuryShare::get(), T::MaxRoyalty::get()];
			let sum: u32 = parts.iter().map(|part| part.deconstruct()).sum();
			assert!(
				sum < Permill::one().deconstruct(),
				"burn, treasury and the largest royalty leave nothing for workers"
			);
			assert!(!T::BurnShare::get().is_zero(), "BurnShare is zero: paying oneself would be free");
			assert!(!T::EraLength::get().is_zero(), "EraLength is zero: no era would ever be on");
			assert!(T::EmissionEras::get() > 0, "EmissionEras is zero: the schedule has no end");
			assert!(T::HeartbeatLifetime::get() > One::one(), "HeartbeatLifetime is too short: nobody would be live");
			assert!(T::HistoryDepth::get() > 0, "HistoryDepth is zero: no era could be paid");
			assert!(T::HistoryDepth::get() < u32::MAX, "HistoryDepth leaves no room for the era that is on");
		}

		#[cfg(feature = "try-runtime")]
		fn try_state(_n: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
			Self::do_try_state()
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Pay a worker what it earned in an era that is over.
		///
		/// Anyone may call this, for any worker and once for each era. It costs the transaction fee; what is paid is minted
		/// for the worker, which shares it with its delegators.
		///
		/// Fails with `EraNotOver` if the era is still on or not begun, `EraForgotten` if it is more than `HistoryDepth` eras
		/// ago, `AlreadyPaid` if the worker was paid for it, `NothingToPay` if it earned nothing in it, or an error of the
		/// balance if the worker's account cannot take the amount, which stays claimable then.
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::payout_era())]
		pub fn payout_era(origin: OriginFor<T>, worker: T::AccountId, era: EraIndex) -> DispatchResult {
			ensure_signed(origin)?;
			let current = CurrentEra::<T>::get().index;
			let mut ledger = Ledgers::<T>::get(&worker).unwrap_or_default();
			let amount = Self::take_earned(&mut ledger, era, current)?;
			Self::mint(&worker, amount)?;
			Ledgers::<T>::insert(&worker, ledger);
			Self::deposit_event(Event::EraPaid { era, worker, amount });
			Ok(())
		}
	}

	#[pallet::view_functions]
	impl<T: Config> Pallet<T> {
		/// The era that is on: its number, its first block, and the most that will be minted for it, in planck.
		pub fn era() -> (EraIndex, BlockNumberFor<T>, Balance) {
			let CurrentEraInfo { index, started_at } = CurrentEra::<T>::get();
			(index, started_at, Self::next_emission())
		}

		/// What active stake earns by emission in a year of 365 days, as a share of it, if all goes on as it is: this era's
		/// emission, the active stake of this moment, always live, no faults, nothing restaked. An estimate and no promise. Fees come on
		/// top, and a delegator's commission goes off. `None` while no stake is active.
		pub fn apy_estimate() -> Option<FixedU128> {
			let era: u128 = T::EraLength::get().saturated_into();
			let eras = FixedU128::checked_from_rational(u128::from(DAYS).saturating_mul(365), era)?;
			let each = FixedU128::checked_from_rational(Self::next_emission(), TotalStake::<T>::get().stake)?;
			Some(each.saturating_mul(eras))
		}

		/// Until the beginning of which block a worker is live: from then on it earns nothing before its next heartbeat. `None` if
		/// it has no active stake.
		pub fn live_until(worker: T::AccountId) -> Option<BlockNumberFor<T>> {
			Ledgers::<T>::get(worker).filter(|ledger| ledger.stake() > 0).map(|ledger| ledger.live_until())
		}

		/// The eras for which a worker can be paid now, and how much, in planck, shared with its delegators or not.
		pub fn claimable(worker: T::AccountId) -> Vec<(EraIndex, Balance)> {
			let Some(ledger) = Ledgers::<T>::get(worker) else { return Vec::new() };
			let current = CurrentEra::<T>::get().index;
			(Self::oldest_kept(current)..current)
				.filter_map(|era| {
					let info = Eras::<T>::get(era)?;
					let entry = ledger.entry(era, info.started_at);
					let amount = Self::earned(&entry, &info);
					(!entry.paid && amount > 0).then_some((era, amount))
				})
				.collect()
		}
	}

	impl<T: Config> Pallet<T> {
		/// Pay out a fee that is held on `from` for `reason`: burn, treasury, royalty to `owner`, and the rest to `worker`, which
		/// shares it with its delegators.
		///
		/// A share that its receiver's account cannot take goes to the treasury; what the treasury's account cannot take is
		/// burned. The shares that are returned say what happened, and add up to the fee.
		///
		/// Fails with `FeeNotHeld` if less is held, and changes nothing then.
		pub fn pay_out(
			from: &T::AccountId,
			reason: &T::RuntimeHoldReason,
			fee: Balance,
			owner: &T::AccountId,
			royalty: Permill,
			worker: &T::AccountId,
		) -> Result<Shares, DispatchError> {
			let mut shares = Self::split(fee, royalty);
			with_storage_layer(|| {
				let (mut credit, short) = T::Currency::slash(reason, from, fee);
				ensure!(short == 0, Error::<T>::FeeNotHeld);
				if !Self::deliver(&mut credit, shares.worker, |part| T::Distribute::distribute(worker, part)) {
					shares.treasury.saturating_accrue(core::mem::take(&mut shares.worker));
				}
				if !Self::deliver(&mut credit, shares.royalty, |part| T::Currency::resolve(owner, part)) {
					shares.treasury.saturating_accrue(core::mem::take(&mut shares.royalty));
				}
				if !Self::deliver(&mut credit, shares.treasury, |part| T::Currency::resolve(&Self::treasury(), part)) {
					shares.burned.saturating_accrue(core::mem::take(&mut shares.treasury));
				}
				// What is left is burned by dropping it.
				debug_assert_eq!(credit.peek(), shares.burned);
				Ok::<_, DispatchError>(())
			})?;
			Self::deposit_event(Event::FeePaid {
				payer: from.clone(),
				owner: owner.clone(),
				worker: worker.clone(),
				shares,
			});
			Ok(shares)
		}

		/// The shares of a fee, if every receiver can take its own. Rounding is in favour of the worker.
		pub fn split(fee: Balance, royalty: Permill) -> Shares {
			let burned = T::BurnShare::get().mul_floor(fee);
			let treasury = T::TreasuryShare::get().mul_floor(fee);
			let royalty = royalty.min(T::MaxRoyalty::get()).mul_floor(fee);
			let worker = fee.saturating_sub(burned).saturating_sub(treasury).saturating_sub(royalty);
			Shares { burned, treasury, royalty, worker }
		}

		/// The account of the treasury.
		pub fn treasury() -> T::AccountId {
			T::TreasuryId::get().into_account_truncating()
		}

		/// The active stake of a worker is `stake` planck from now on.
		pub fn set_active_stake(who: &T::AccountId, stake: Balance) {
			let now = frame_system::Pallet::<T>::block_number();
			let known = Ledgers::<T>::get(who);
			let newcomer = known.is_none();
			let former = known.unwrap_or_default().stake();
			Self::change_ledger(who, |entry| {
				entry.change(stake, now);
				if newcomer {
					entry.live_until = Self::lifetime_from(now);
				}
			});
			TotalStake::<T>::mutate(|total| {
				let sum = total.stake.saturating_sub(former).saturating_add(stake);
				total.change(sum, now);
			});
		}

		/// Whether a heartbeat of a worker would tell something: it has active stake, and half of the last one's lifetime is over.
		pub fn heartbeat_due(who: &T::AccountId) -> bool {
			let now = frame_system::Pallet::<T>::block_number();
			let half = T::HeartbeatLifetime::get() / 2u32.into();
			Self::live_until(who.clone()).is_some_and(|until| until <= now.saturating_add(half))
		}

		/// A worker is there: it is live from now on, for the lifetime of a heartbeat.
		pub fn note_heartbeat(who: &T::AccountId) {
			let now = frame_system::Pallet::<T>::block_number();
			// Without a ledger it earns nothing in any case.
			if Ledgers::<T>::contains_key(who) {
				Self::change_ledger(who, |entry| {
					entry.change(entry.accrual.stake, now);
					entry.live_until = Self::lifetime_from(now);
				});
			}
		}

		/// Until when a heartbeat in block `now` lasts.
		pub(crate) fn lifetime_from(now: BlockNumberFor<T>) -> BlockNumberFor<T> {
			now.saturating_add(T::HeartbeatLifetime::get())
		}

		/// Pay a worker what it earned in all eras that are over and kept. It stays claimable if its account cannot take it.
		pub fn payout_all(worker: &T::AccountId) {
			let Some(mut ledger) = Ledgers::<T>::get(worker) else { return };
			let current = CurrentEra::<T>::get().index;
			let paid = with_storage_layer(|| {
				let eras = Self::oldest_kept(current)..current;
				let paid: Vec<_> = eras
					.filter_map(|era| Self::take_earned(&mut ledger, era, current).ok().map(|amount| (era, amount)))
					.collect();
				if !paid.is_empty() {
					Self::mint(worker, paid.iter().fold(0, |sum, (_, amount)| amount.saturating_add(sum)))?;
					Ledgers::<T>::insert(worker, ledger);
				}
				Ok::<_, DispatchError>(paid)
			});
			for (era, amount) in paid.unwrap_or_default() {
				Self::deposit_event(Event::EraPaid { era, worker: worker.clone(), amount });
			}
		}

		/// A worker was at fault: it earns less in the era that is on.
		pub fn note_fault(who: &T::AccountId, fault: Fault) {
			// Without a ledger it earns nothing in any case.
			if !Ledgers::<T>::contains_key(who) {
				return;
			}
			let cost = match fault {
				Fault::MissedDeadline => T::MissedDeadlineFault::get(),
				Fault::Declined => T::DeclinedFault::get(),
			};
			Self::change_ledger(who, |entry| entry.faults = entry.faults.saturating_add(cost));
		}

		/// Note as paid what a worker earned in an era, with the era and in its ledger, which is to be stored. How much it is.
		fn take_earned(ledger: &mut LedgerOf<T>, era: EraIndex, current: EraIndex) -> Result<Balance, Error<T>> {
			ensure!(era < current, Error::<T>::EraNotOver);
			let mut info = Eras::<T>::get(era).ok_or(Error::<T>::EraForgotten)?;
			let mut entry = ledger.entry(era, info.started_at);
			ensure!(!entry.paid, Error::<T>::AlreadyPaid);
			let amount = Self::earned(&entry, &info);
			ensure!(amount > 0, Error::<T>::NothingToPay);
			info.paid = info.paid.saturating_add(amount);
			Eras::<T>::insert(era, info);
			entry.paid = true;
			ledger.forget(Self::oldest_kept(current));
			if !ledger.put(entry) {
				defensive!("a ledger has more entries than eras are kept");
			}
			Ok(amount)
		}

		/// Mint for a worker and for whom it shares with.
		fn mint(worker: &T::AccountId, amount: Balance) -> DispatchResult {
			// What comes back is burned again.
			T::Distribute::distribute(worker, T::Currency::issue(amount)).map_err(|_| TokenError::BelowMinimum)?;
			TotalMinted::<T>::mutate(|total| total.saturating_accrue(amount));
			Ok(())
		}

		/// Change the entry of the era that is on in the ledger of a worker.
		fn change_ledger(who: &T::AccountId, change: impl FnOnce(&mut Entry<BlockNumberFor<T>>)) {
			let CurrentEraInfo { index, started_at } = CurrentEra::<T>::get();
			let mut ledger = Ledgers::<T>::get(who).unwrap_or_default();
			let mut entry = ledger.entry(index, started_at);
			change(&mut entry);
			ledger.forget(Self::oldest_kept(index));
			if !ledger.put(entry) {
				defensive!("a ledger has more entries than eras are kept");
			}
			Ledgers::<T>::insert(who, ledger);
		}

		/// Try to give a share of a fee to its receiver. The credit keeps it if the receiver cannot take it.
		fn deliver(
			credit: &mut CreditOf<T>,
			share: Balance,
			give: impl FnOnce(CreditOf<T>) -> Result<(), CreditOf<T>>,
		) -> bool {
			if share == 0 {
				return true;
			}
			match give(credit.extract(share)) {
				Ok(()) => true,
				Err(back) => {
					credit.subsume(back);
					false
				}
			}
		}

		/// What a worker earned in an era that is over, paid or not.
		fn earned(entry: &Entry<BlockNumberFor<T>>, info: &EraInfoOf<T>) -> Balance {
			let proven = entry.proven_at(info.ended_at);
			if proven == 0 {
				return 0;
			}
			let share = multiply_by_rational_with_rounding(info.emission, proven, info.total_points, Rounding::Down);
			let available = Permill::one().saturating_sub(entry.faults);
			let amount = available.mul_floor(share.unwrap_or(0));
			// The shares of all workers add up to the emission at most. The bound holds even if points saturated.
			amount.min(info.emission.saturating_sub(info.paid))
		}

		/// The emission of the era that is on, if it ended now: the next step of the schedule, which ends exactly at its
		/// total.
		fn next_emission() -> Balance {
			if !EmissionEnabled::<T>::get() {
				return 0;
			}
			let step = EmittedEras::<T>::get();
			Self::scheduled(step.saturating_add(1)).saturating_sub(Self::scheduled(step))
		}

		/// What the schedule allows in the first `eras` eras together.
		pub(crate) fn scheduled(eras: u32) -> Balance {
			let all = T::EmissionEras::get();
			let total = T::EmissionTotal::get();
			multiply_by_rational_with_rounding(total, eras.min(all).into(), all.into(), Rounding::Down).unwrap_or(0)
		}

		/// The oldest era that can be paid while `current` is on.
		pub(crate) fn oldest_kept(current: EraIndex) -> EraIndex {
			current.saturating_sub(T::HistoryDepth::get())
		}

		/// End the era that is on and begin the next one with block `now`.
		pub(crate) fn rotate_era(now: BlockNumberFor<T>) {
			let CurrentEraInfo { index, started_at } = CurrentEra::<T>::get();
			let emission = Self::next_emission();
			let total_points = TotalStake::<T>::get().points_at(now);
			if EmissionEnabled::<T>::get() {
				EmittedEras::<T>::mutate(|eras| eras.saturating_inc());
			}
			Eras::<T>::insert(index, EraInfo { started_at, ended_at: now, emission, paid: 0, total_points });
			TotalStake::<T>::mutate(|total| *total = Accrual { stake: total.stake, since: now, points: 0 });

			let next = index.saturating_add(1);
			CurrentEra::<T>::put(CurrentEraInfo { index: next, started_at: now });
			if let Some(forgotten) = Self::oldest_kept(next).checked_sub(1) {
				Eras::<T>::remove(forgotten);
			}
			SweepCursor::<T>::put(None::<T::AccountId>);
			Self::deposit_event(Event::EraEnded { era: index, emission, total_points });
		}

		/// Drop what is too old from the next ledger, and the ledger with it if nothing is left. Whether there was one.
		pub(crate) fn sweep_ledger() -> bool {
			let Some(cursor) = SweepCursor::<T>::get() else { return false };
			let mut ledgers = match cursor {
				Some(last) => Ledgers::<T>::iter_from(Ledgers::<T>::hashed_key_for(last)),
				None => Ledgers::<T>::iter(),
			};
			let Some((who, mut ledger)) = ledgers.next() else {
				SweepCursor::<T>::kill();
				return false;
			};
			ledger.forget(Self::oldest_kept(CurrentEra::<T>::get().index));
			if ledger.is_empty() {
				Ledgers::<T>::remove(&who);
			} else {
				Ledgers::<T>::insert(&who, ledger);
			}
			SweepCursor::<T>::put(Some(who));
			true
		}
	}
}
