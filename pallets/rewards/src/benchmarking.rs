//! What the call and the steps of the hooks cost at worst: ledgers and histories as long as they can be.

use super::*;
use frame_benchmarking::v2::*;
use frame_support::{
	traits::{
		fungible::{Balanced, Inspect},
		Get,
	},
	BoundedVec,
};
use frame_system::{pallet_prelude::BlockNumberFor, RawOrigin};
use sp_runtime::{Permill, Saturating};

/// End eras until as many are kept as can be. The number of the era that is on then.
fn fill_eras<T: Config>() -> EraIndex {
	EmissionEnabled::<T>::put(true);
	let mut now = frame_system::Pallet::<T>::block_number();
	for _ in 0..T::HistoryDepth::get().saturating_add(1) {
		now.saturating_accrue(T::EraLength::get());
		Pallet::<T>::rotate_era(now);
	}
	frame_system::Pallet::<T>::set_block_number(now);
	CurrentEra::<T>::get().index
}

/// A worker whose ledger has an entry for every era that is kept, and for one that is not any more.
fn full_ledger<T: Config>(who: &T::AccountId, current: EraIndex, stake: u128) {
	let oldest = current.saturating_sub(T::HistoryDepth::get());
	let entries = (oldest.saturating_sub(1)..current).map(|era| Entry {
		era,
		accrual: Accrual {
			stake,
			since: Eras::<T>::get(era).map_or(BlockNumberFor::<T>::from(0u32), |info| info.started_at),
			points: 0,
		},
		proven: 0,
		live_until: Pallet::<T>::lifetime_from(frame_system::Pallet::<T>::block_number()),
		faults: Permill::zero(),
		paid: false,
	});
	let entries = BoundedVec::truncate_from(entries.collect());
	Ledgers::<T>::insert(who, Ledger { base: stake, base_live_until: BlockNumberFor::<T>::from(0u32), entries });
}

impl<T: Config> Pallet<T> {
	/// A worker with as long a ledger as there can be, and a heartbeat that is due.
	pub fn benchmark_heartbeat(worker: &T::AccountId) {
		let now = frame_system::Pallet::<T>::block_number();
		// So many eras are over that the ledger can be full of them.
		let era = T::HistoryDepth::get().saturating_add(1);
		CurrentEra::<T>::put(CurrentEraInfo { index: era, started_at: now });
		full_ledger::<T>(worker, era, 1_000_000);
		frame_system::Pallet::<T>::set_block_number(now.saturating_add(T::HeartbeatLifetime::get()));
	}
}

#[benchmarks]
mod benchmarks {
	use super::*;

	#[benchmark]
	fn payout_era() {
		let caller: T::AccountId = whitelisted_caller();
		let worker: T::AccountId = account("worker", 0, 0);
		// Beside other workers it may earn less than an account must hold.
		let enough = T::Currency::issue(T::Currency::minimum_balance());
		assert!(T::Currency::resolve(&worker, enough).is_ok());
		T::Distribute::benchmark_sharing(&worker);
		// Eras are counted from the first one, in which the worker begins to have stake.
		Pallet::<T>::set_active_stake(&worker, 1_000_000);
		let current = fill_eras::<T>();
		full_ledger::<T>(&worker, current, 1_000_000);
		let era = current.saturating_sub(1);

		#[extrinsic_call]
		_(RawOrigin::Signed(caller), worker, era);

		assert!(Eras::<T>::get(era).is_some_and(|info| info.paid > 0));
	}

	#[benchmark]
	fn payout_all() {
		let worker: T::AccountId = account("worker", 0, 0);
		let enough = T::Currency::issue(T::Currency::minimum_balance());
		assert!(T::Currency::resolve(&worker, enough).is_ok());
		T::Distribute::benchmark_sharing(&worker);
		Pallet::<T>::set_active_stake(&worker, 1_000_000);
		let current = fill_eras::<T>();
		full_ledger::<T>(&worker, current, 1_000_000);

		#[block]
		{
			Pallet::<T>::payout_all(&worker);
		}

		assert!(Pallet::<T>::claimable(worker).is_empty());
		assert!(TotalMinted::<T>::get() > 0);
	}

	#[benchmark]
	fn rotate_era() {
		let current = fill_eras::<T>();
		let now = frame_system::Pallet::<T>::block_number().saturating_add(T::EraLength::get());

		#[block]
		{
			Pallet::<T>::rotate_era(now);
		}

		assert_eq!(CurrentEra::<T>::get().index, current.saturating_add(1));
	}

	#[benchmark]
	fn sweep_ledger() {
		let current = fill_eras::<T>();
		for index in 0..2 {
			full_ledger::<T>(&account("worker", index, 0), current, 1);
		}
		// In the middle of the map: the iteration begins after a key.
		SweepCursor::<T>::put(Ledgers::<T>::iter_keys().next());
		let swept;

		#[block]
		{
			swept = Pallet::<T>::sweep_ledger();
		}

		assert!(swept);
	}

	impl_benchmark_test_suite!(Pallet, crate::mock::ExtBuilder::default().build(), crate::mock::Test);
}
