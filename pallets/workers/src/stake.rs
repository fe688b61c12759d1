//! A worker's own stake, and how much stake works.

use super::*;
use assay_primitives::Balance;
use frame_support::{
	dispatch::DispatchResult,
	ensure,
	traits::{fungible::MutateHold, tokens::Precision, Get},
};
use sp_runtime::DispatchError;

impl<T: Config> Pallet<T> {
	/// The stake behind a worker that works: `MinBond` of its own at least, not paused, with a key to answer with, serving
	/// something; else zero.
	pub fn active_stake(worker: &T::AccountId) -> Balance {
		match Served::<T>::decode_len(worker) {
			Some(1..) => Self::ready_stake(worker),
			_ => 0,
		}
	}

	/// What the active stake of a worker is as soon as it serves something.
	pub(crate) fn ready_stake(worker: &T::AccountId) -> Balance {
		match Workers::<T>::get(worker) {
			Some(record) if !record.paused && record.service_key.is_some() && record.bonded >= T::MinBond::get() => {
				record.backing(T::MaxLeverage::get())
			}
			_ => 0,
		}
	}

	/// Run a change of a worker and tell the observer if its active stake changed.
	pub(crate) fn with_observer<R>(
		who: &T::AccountId,
		change: impl FnOnce() -> Result<R, DispatchError>,
	) -> Result<R, DispatchError> {
		let before = Self::active_stake(who);
		let result = change()?;
		Self::observe(who, before);
		Ok(result)
	}

	/// Tell the observer if the active stake of a worker is not what it was.
	pub(crate) fn observe(who: &T::AccountId, before: Balance) {
		let after = Self::active_stake(who);
		if after != before {
			T::StakeObserver::active_stake_changed(who, after);
		}
	}

	pub(crate) fn try_mutate_worker<R>(
		who: &T::AccountId,
		change: impl FnOnce(&mut WorkerOf<T>) -> Result<R, DispatchError>,
	) -> Result<R, DispatchError> {
		Workers::<T>::try_mutate(who, |worker| change(worker.as_mut().ok_or(Error::<T>::UnknownWorker)?))
	}

	pub(crate) fn do_bond(who: &T::AccountId, amount: Balance) -> DispatchResult {
		ensure!(!Workers::<T>::contains_key(who), Error::<T>::AlreadyBonded);
		ensure!(amount >= T::MinBond::get(), Error::<T>::BondTooSmall);
		T::Currency::hold(&HoldReason::Stake.into(), who, amount)?;
		// What it earned before it left is shared by what it had then.
		T::StakeObserver::settle(who);
		// It serves nothing yet, so its active stake stays zero.
		let delegated = Pools::<T>::get(who).bonded.stake;
		Workers::<T>::insert(who, Worker::new(amount, delegated, frame_system::Pallet::<T>::block_number()));
		Self::deposit_event(Event::Bonded { worker: who.clone(), amount });
		Ok(())
	}

	/// Give a worker what is due of its stake, and forget it if that was all.
	pub(crate) fn do_withdraw(who: &T::AccountId) -> DispatchResult {
		let now = frame_system::Pallet::<T>::block_number();
		let mut worker = Workers::<T>::get(who).ok_or(Error::<T>::UnknownWorker)?;
		ensure!(worker.bonded > 0 || worker.open_claims == 0, Error::<T>::ClaimsOpen);

		let before = worker.total_unbonding();
		worker.unbonding.retain(|part| part.withdrawable_at > now);
		let amount = before.saturating_sub(worker.total_unbonding());
		let leaves = worker.bonded == 0 && worker.unbonding.is_empty();
		ensure!(amount > 0 || leaves, Error::<T>::NothingToWithdraw);

		T::Currency::release(&HoldReason::Stake.into(), who, amount, Precision::Exact)?;
		if leaves {
			// A worker whose whole stake was slashed may still be listed; no job of it is open.
			Self::remove_services(who)?;
			if let Some(key) = worker.service_key {
				ServiceKeys::<T>::remove(key);
			}
			Workers::<T>::remove(who);
			Self::put_pool(who, Pools::<T>::get(who));
		} else {
			Workers::<T>::insert(who, worker);
		}
		Self::deposit_event(Event::Withdrawn { worker: who.clone(), amount });
		Ok(())
	}
}
