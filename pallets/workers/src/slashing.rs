//! Convictions: stake that is taken, and workers that have to pause.

use super::*;
use assay_primitives::{Balance, SlashReason};
use frame_support::{
	defensive,
	dispatch::DispatchResult,
	ensure,
	traits::{fungible::BalancedHold, Get, Imbalance},
};
use sp_runtime::Saturating;

impl<T: Config> Pallet<T> {
	/// Take up to `amount` planck of a worker's own stake, bonded or unbonding, and burn the same part of its delegators', at most
	/// `MaxLeverage` times as much.
	/// As much as covers other jobs is always left: release the bond of the job at fault first, and take no more than that.
	///
	/// The credit is what was taken of its own. Dropping it burns it. Nothing is taken while slashing is not armed.
	pub fn slash(worker: &T::AccountId, amount: Balance, reason: SlashReason) -> CreditOf<T> {
		let Some(mut record) = Workers::<T>::get(worker) else {
			defensive!("an account was slashed that is no worker");
			return CreditOf::<T>::zero();
		};
		if !T::SlashingArmed::get() {
			log::warn!(
				target: "assay::workers",
				"{worker:?} should lose {amount} planck ({reason:?}), and does not: slashing is not armed"
			);
			Self::deposit_event(Event::SlashingDisarmed { worker: worker.clone(), amount, reason });
			return CreditOf::<T>::zero();
		}
		let before = Self::active_stake(worker);
		let now = frame_system::Pallet::<T>::block_number();
		let mut pool = Pools::<T>::get(worker);

		let own = record.bonded.saturating_add(record.total_unbonding());
		let of_worker = amount.min(own.saturating_sub(record.covered));
		// What exceeds the leverage does not weigh and bears nothing.
		let counted = pool.slashable(now).min(own.saturating_mul(T::MaxLeverage::get().into()));
		let of_delegators = pool::part_of(counted, of_worker, own);
		if of_delegators > 0 {
			pool.take(of_delegators, now);
			record.delegated = pool.bonded.stake;
			Pools::<T>::insert(worker, pool);
		}
		record.take(of_worker);
		Workers::<T>::insert(worker, record);

		let (credit, mut short) = T::Currency::slash(&HoldReason::Stake.into(), worker, of_worker);
		let mut amount = credit.peek();
		if of_delegators > 0 {
			let (burned, missing) = T::Currency::slash(&HoldReason::Delegation.into(), &Self::pot(), of_delegators);
			amount.saturating_accrue(burned.peek());
			short.saturating_accrue(missing);
		}
		if short > 0 {
			defensive!("stake was not held in full");
		}
		Self::observe(worker, before);
		if amount > 0 {
			Slashes::<T>::mutate(worker, |records| {
				if records.is_full() {
					records.remove(0);
				}
				if records.try_push(SlashRecord { block: now, amount, reason }).is_err() {
					defensive!("there is room for a slash after one was dropped");
				}
			});
			Self::deposit_event(Event::Slashed { worker: worker.clone(), amount, reason });
		}
		credit
	}

	/// Give a worker no new jobs until it resumes, which it cannot for `SuspensionBlocks`: its answer was wrong. To leave and
	/// bond anew does not help it.
	pub fn suspend(worker: &T::AccountId) {
		let before = Self::active_stake(worker);
		let newly = Workers::<T>::mutate_extant(worker, |record| !core::mem::replace(&mut record.paused, true));
		Self::observe(worker, before);
		if newly {
			Self::deposit_event(Event::Paused { worker: worker.clone() });
		}
		let until = frame_system::Pallet::<T>::block_number().saturating_add(T::SuspensionBlocks::get());
		let until = SuspendedUntil::<T>::get(worker).map_or(until, |former| former.max(until));
		SuspendedUntil::<T>::insert(worker, until);
		Self::deposit_event(Event::Suspended { worker: worker.clone(), until });
	}

	/// Fails with `Suspended` while an account is. A suspension that is over is forgotten.
	pub(crate) fn ensure_not_suspended(who: &T::AccountId) -> DispatchResult {
		if let Some(until) = SuspendedUntil::<T>::get(who) {
			ensure!(until <= frame_system::Pallet::<T>::block_number(), Error::<T>::Suspended);
			SuspendedUntil::<T>::remove(who);
		}
		Ok(())
	}
}
