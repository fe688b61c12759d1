//! Delegation: stake that others put behind a worker, and what it earns.

use super::*;
use assay_primitives::Balance;
use frame_support::{
	defensive,
	dispatch::DispatchResult,
	ensure,
	traits::{
		fungible::{Balanced, Inspect, Mutate, MutateHold},
		tokens::{Fortitude, Precision, Preservation, Restriction},
		Get, Imbalance,
	},
};
use frame_system::pallet_prelude::BlockNumberFor;
use sp_runtime::{
	traits::{AccountIdConversion, One, Zero},
	Perbill, Saturating,
};

impl<T: Config> Pallet<T> {
	/// The account that keeps what is delegated.
	pub fn pot() -> T::AccountId {
		T::DelegationId::get().into_account_truncating()
	}

	/// Share what a worker earned: its commission and what its own stake earns go to its account, the rest is for its delegators
	/// to claim. What the worker's account cannot take is theirs, too; where there are none, everything comes back.
	pub fn distribute(worker: &T::AccountId, mut credit: CreditOf<T>) -> Result<(), CreditOf<T>> {
		let mut pool = Pools::<T>::get(worker);
		if pool.bonded.stake == 0 {
			return T::Currency::resolve(worker, credit);
		}
		let own = Workers::<T>::get(worker).map_or(0, |record| record.bonded);
		let now = frame_system::Pallet::<T>::block_number();
		let mut part = credit.extract(pool.part_of_reward(credit.peek(), own, now));
		let mut own = credit.peek();
		if own > 0 {
			if let Err(back) = T::Currency::resolve(worker, credit) {
				if part.peek() == 0 {
					return Err(back);
				}
				// A worker that is gone keeps nobody from what is theirs.
				part.subsume(back);
				own = 0;
			}
		}
		let delegators = part.peek();
		if delegators == 0 {
			return Ok(());
		}
		let pot = Self::pot();
		if let Err(back) = T::Currency::resolve(&pot, part) {
			// It exists while anything is delegated.
			defensive!("the account of delegated stake cannot take a reward");
			return T::Currency::resolve(worker, back);
		}
		if T::Currency::hold(&HoldReason::Delegation.into(), &pot, delegators).is_err() {
			defensive!("a reward cannot be held");
			return Ok(());
		}
		pool.add_reward(delegators);
		Pools::<T>::insert(worker, pool);
		Self::deposit_event(Event::RewardShared { worker: worker.clone(), own, delegators });
		Ok(())
	}

	pub(crate) fn do_set_commission(worker: T::AccountId, rate: Perbill) -> DispatchResult {
		ensure!(Workers::<T>::contains_key(&worker), Error::<T>::UnknownWorker);
		// What was earned before is shared by the commission of before.
		T::StakeObserver::settle(&worker);
		let now = frame_system::Pallet::<T>::block_number();
		let mut pool = Pools::<T>::get(&worker);
		let (commission, from) = match pool.commission.map(|commission| commission.at(now)) {
			Some(current) if current < rate => {
				let from = now.saturating_add(T::UnbondingDelay::get());
				(Commission { rate: current, next: Some((rate, from)) }, from)
			}
			_ => (Commission { rate, next: None }, now),
		};
		pool.commission = Some(commission);
		Pools::<T>::insert(&worker, pool);
		Self::deposit_event(Event::CommissionSet { worker, rate, from });
		Ok(())
	}

	pub(crate) fn do_delegate(worker: T::AccountId, delegator: T::AccountId, amount: Balance) -> DispatchResult {
		ensure!(amount > 0, Error::<T>::AmountZero);
		T::StakeObserver::settle(&worker);
		Self::with_observer(&worker, || {
			let mut pool = Pools::<T>::get(&worker);
			let mut delegation = Delegations::<T>::get(&worker, &delegator).unwrap_or_else(|| {
				pool.delegators.saturating_inc();
				Default::default()
			});
			delegation.accrue(&pool);
			Self::ensure_can_back(&worker, &pool, amount)?;
			let pot = Self::pot();
			let least = T::Currency::minimum_balance();
			if T::Currency::balance(&pot) < least {
				// So that the account can take any reward, however small.
				T::Currency::transfer(&delegator, &pot, least, Preservation::Preserve)?;
			}
			T::Currency::transfer_and_hold(
				&HoldReason::Delegation.into(),
				&delegator,
				&pot,
				amount,
				Precision::Exact,
				Preservation::Preserve,
				Fortitude::Polite,
			)?;
			delegation.shares = delegation.shares.saturating_add(pool.bonded.add(amount));
			let stake = pool.bonded.value(delegation.shares);
			ensure!(stake >= T::MinDelegation::get(), Error::<T>::DelegationTooSmall);
			Delegations::<T>::insert(&worker, &delegator, delegation);
			Self::put_pool(&worker, pool);
			Ok(())
		})?;
		Self::deposit_event(Event::Delegated { worker, delegator, amount });
		Ok(())
	}

	pub(crate) fn do_undelegate(
		worker: T::AccountId,
		delegator: T::AccountId,
		amount: Option<Balance>,
	) -> DispatchResult {
		let now = frame_system::Pallet::<T>::block_number();
		T::StakeObserver::settle(&worker);
		let (due, amount, withdrawable_at) = Self::with_observer(&worker, || {
			let (mut pool, mut delegation) = Self::open_delegation(&worker, &delegator)?;
			let due = Self::redeem_due(&worker, &mut pool, &mut delegation);
			Self::pay(&delegator, due)?;

			let stake = pool.bonded.value(delegation.shares);
			let (shares, amount) = match amount {
				None => (delegation.shares, pool.bonded.redeem(delegation.shares)),
				Some(amount) => {
					ensure!(amount > 0, Error::<T>::AmountZero);
					ensure!(amount <= stake, Error::<T>::NotEnoughDelegated);
					(pool.bonded.take_out(amount), amount)
				}
			};
			ensure!(shares > 0, Error::<T>::NotEnoughDelegated);
			delegation.shares = delegation.shares.saturating_sub(shares);
			let left = pool.bonded.value(delegation.shares);
			ensure!(delegation.shares == 0 || left >= T::MinDelegation::get(), Error::<T>::DelegationTooSmall);

			// What a slash has left worthless needs no place in the queue.
			let mut withdrawable_at = now;
			if amount > 0 {
				withdrawable_at = Self::leave(&mut pool, &mut delegation, amount)?;
			}
			Self::close_delegation(&worker, &delegator, pool, delegation);
			Ok((due, amount, withdrawable_at))
		})?;
		if due > 0 {
			Self::deposit_event(Event::DelegationWithdrawn {
				worker: worker.clone(),
				delegator: delegator.clone(),
				amount: due,
			});
		}
		Self::deposit_event(Event::Undelegated { worker, delegator, amount, withdrawable_at });
		Ok(())
	}

	pub(crate) fn do_withdraw_delegation(worker: T::AccountId, delegator: T::AccountId) -> DispatchResult {
		let (mut pool, mut delegation) = Self::open_delegation(&worker, &delegator)?;
		let mut amount = Self::redeem_due(&worker, &mut pool, &mut delegation);
		// Bonded shares that a slash has left worthless go, so that the pool can open again.
		if pool.bonded.value(delegation.shares) == 0 {
			pool.bonded.redeem(core::mem::take(&mut delegation.shares));
			let rewards = core::mem::take(&mut delegation.rewards);
			pool.rewards.saturating_reduce(rewards);
			amount.saturating_accrue(rewards);
		}
		ensure!(amount > 0 || delegation.is_empty(), Error::<T>::NothingToWithdraw);
		Self::pay(&delegator, amount)?;
		Self::close_delegation(&worker, &delegator, pool, delegation);
		Self::deposit_event(Event::DelegationWithdrawn { worker, delegator, amount });
		Ok(())
	}

	pub(crate) fn do_claim(worker: T::AccountId, delegator: T::AccountId) -> DispatchResult {
		T::StakeObserver::settle(&worker);
		let (amount, payee) = Self::with_observer(&worker, || {
			let (mut pool, mut delegation) = Self::open_delegation(&worker, &delegator)?;
			let amount = core::mem::take(&mut delegation.rewards);
			ensure!(amount > 0, Error::<T>::NothingToClaim);
			pool.rewards.saturating_reduce(amount);
			// Who is leaving does not come back by what it has earned.
			let stays = delegation.shares > 0 && Self::ensure_can_back(&worker, &pool, amount).is_ok();
			let payee = if stays { delegation.payee } else { Payee::Account };
			match payee {
				// It stays where it is.
				Payee::Stake => delegation.shares = delegation.shares.saturating_add(pool.bonded.add(amount)),
				Payee::Account => Self::pay(&delegator, amount)?,
			}
			Self::close_delegation(&worker, &delegator, pool, delegation);
			Ok((amount, payee))
		})?;
		Self::deposit_event(Event::RewardsClaimed { worker, delegator, amount, payee });
		Ok(())
	}

	pub(crate) fn delegation_status(worker: &T::AccountId, delegator: &T::AccountId) -> Option<DelegationStatusOf<T>> {
		let delegation = Delegations::<T>::get(worker, delegator)?;
		let pool = Pools::<T>::get(worker);
		let unbonding = delegation.unbonding.iter().map(|part| {
			let queued = pool.unbonding.iter().find(|bucket| bucket.withdrawable_at == part.withdrawable_at);
			let matured = || Matured::<T>::get(worker, part.withdrawable_at).unwrap_or_default();
			let joint = queued.map_or_else(matured, |bucket| bucket.joint);
			Unbonding { amount: joint.value(part.shares), withdrawable_at: part.withdrawable_at }
		});
		Some(DelegationStatus {
			stake: pool.bonded.value(delegation.shares),
			claimable: delegation.claimable(&pool),
			payee: delegation.payee,
			unbonding: unbonding.collect(),
		})
	}

	/// Whether a worker can take `amount` more from its delegators.
	fn ensure_can_back(worker: &T::AccountId, pool: &PoolOf<T>, amount: Balance) -> DispatchResult {
		let record = Workers::<T>::get(worker).ok_or(Error::<T>::UnknownWorker)?;
		ensure!(pool.commission.is_some(), Error::<T>::DelegationClosed);
		ensure!(pool.bonded.is_open(), Error::<T>::PoolDepleted);
		let most = record.bonded.saturating_mul(T::MaxLeverage::get().into());
		ensure!(pool.bonded.stake.saturating_add(amount) <= most, Error::<T>::TooMuchDelegated);
		Ok(())
	}

	/// A pool and a delegation of it, with all rewards counted.
	fn open_delegation(
		worker: &T::AccountId,
		delegator: &T::AccountId,
	) -> Result<(PoolOf<T>, DelegationOf<T>), Error<T>> {
		let mut delegation = Delegations::<T>::get(worker, delegator).ok_or(Error::<T>::UnknownDelegation)?;
		let pool = Pools::<T>::get(worker);
		delegation.accrue(&pool);
		Ok((pool, delegation))
	}

	/// Put a pool and a delegation of it back, or forget the delegation if nothing is left of it.
	fn close_delegation(
		worker: &T::AccountId,
		delegator: &T::AccountId,
		mut pool: PoolOf<T>,
		delegation: DelegationOf<T>,
	) {
		if delegation.is_empty() {
			pool.delegators.saturating_dec();
			Delegations::<T>::remove(worker, delegator);
		} else {
			Delegations::<T>::insert(worker, delegator, delegation);
		}
		Self::put_pool(worker, pool);
	}

	/// Put a pool back, and note with its worker what is delegated. It is forgotten if it has neither worker nor delegators; what
	/// rounding has left in it then stays with the pot.
	pub(crate) fn put_pool(worker: &T::AccountId, pool: PoolOf<T>) {
		let stands = Workers::<T>::mutate_extant(worker, |record| {
			record.delegated = pool.bonded.stake;
			true
		});
		if stands || pool.delegators > 0 {
			Pools::<T>::insert(worker, pool);
			return;
		}
		if pool.rewards > 0 {
			let reason = HoldReason::Delegation.into();
			if T::Currency::release(&reason, &Self::pot(), pool.rewards, Precision::Exact).is_err() {
				defensive!("rewards were not held in full");
			}
		}
		Pools::<T>::remove(worker);
		Slashes::<T>::remove(worker);
	}

	/// Move `amount`, which is bonded no more, into the bucket in which it leaves. Says when that is due.
	fn leave(
		pool: &mut PoolOf<T>,
		delegation: &mut DelegationOf<T>,
		amount: Balance,
	) -> Result<BlockNumberFor<T>, Error<T>> {
		let due = frame_system::Pallet::<T>::block_number().saturating_add(T::UnbondingDelay::get());
		let width = Self::bucket_width();
		let over = due % width;
		let mut at = if over.is_zero() { due } else { due.saturating_add(width).saturating_sub(over) };
		// A bucket of which a slash has left next to nothing takes nothing in.
		while pool.unbonding.iter().any(|bucket| bucket.withdrawable_at == at && !bucket.joint.is_open()) {
			at.saturating_inc();
		}
		if !pool.unbonding.iter().any(|bucket| bucket.withdrawable_at == at) {
			let bucket = Bucket { withdrawable_at: at, joint: Joint::default() };
			pool.unbonding.try_push(bucket).map_err(|_| Error::<T>::TooManyUnbonding)?;
		}
		let mut shares = 0;
		if let Some(bucket) = pool.unbonding.iter_mut().find(|bucket| bucket.withdrawable_at == at) {
			shares = bucket.joint.add(amount);
		}
		match delegation.unbonding.iter_mut().find(|part| part.withdrawable_at == at) {
			Some(part) => part.shares = part.shares.saturating_add(shares),
			None => delegation
				.unbonding
				.try_push(Leaving { withdrawable_at: at, shares })
				.map_err(|_| Error::<T>::TooManyUnbonding)?,
		}
		Ok(at)
	}

	/// The blocks whose leaving stake is due together: so many that a pool never has more buckets than it has room for.
	fn bucket_width() -> BlockNumberFor<T> {
		let buckets: BlockNumberFor<T> = T::MaxUnbonding::get().saturating_sub(2).max(1).into();
		let rounded_up = T::UnbondingDelay::get().saturating_add(buckets).saturating_sub(One::one());
		(rounded_up / buckets).max(One::one())
	}

	/// Take what is due out of a delegation. What it is worth, which is still held.
	fn redeem_due(worker: &T::AccountId, pool: &mut PoolOf<T>, delegation: &mut DelegationOf<T>) -> Balance {
		let now = frame_system::Pallet::<T>::block_number();
		// Out of reach of slashes from here on, whoever asked.
		pool.unbonding.retain(|bucket| {
			let due = bucket.withdrawable_at <= now;
			if due {
				Matured::<T>::insert(worker, bucket.withdrawable_at, bucket.joint);
			}
			!due
		});
		let mut amount: Balance = 0;
		delegation.unbonding.retain(|part| {
			let due = part.withdrawable_at <= now;
			if due {
				Matured::<T>::mutate_exists(worker, part.withdrawable_at, |joint| {
					if let Some(joint) = joint {
						amount.saturating_accrue(joint.redeem(part.shares));
					}
					*joint = joint.take().filter(|joint| joint.shares > 0);
				});
			}
			!due
		});
		amount
	}

	/// Pay held stake or rewards to a delegator.
	fn pay(delegator: &T::AccountId, amount: Balance) -> DispatchResult {
		if amount > 0 {
			T::Currency::transfer_on_hold(
				&HoldReason::Delegation.into(),
				&Self::pot(),
				delegator,
				amount,
				Precision::Exact,
				Restriction::Free,
				Fortitude::Polite,
			)?;
		}
		Ok(())
	}
}
