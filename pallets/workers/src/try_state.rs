//! The invariants of this pallet, one check for each.

use super::*;
use alloc::collections::BTreeMap;
use assay_primitives::Balance;
use frame_support::{ensure, traits::fungible::InspectHold};
use frame_system::pallet_prelude::BlockNumberFor;
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
	/// Check every invariant of this pallet.
	pub fn do_try_state() -> Result<(), TryRuntimeError> {
		Self::check_workers()?;
		Self::check_pools()?;
		Self::check_service_keys()?;
		Self::check_services()
	}

	/// Stake is held in full, covers jobs in full, and leaves in order.
	fn check_workers() -> Result<(), TryRuntimeError> {
		for (who, worker) in Workers::<T>::iter() {
			let held = T::Currency::balance_on_hold(&HoldReason::Stake.into(), &who);
			let stake = worker.bonded.checked_add(worker.total_unbonding()).ok_or("stake overflows")?;
			ensure!(held == stake, "the balance held on a worker is not its stake");
			let pool = Pools::<T>::get(&who);
			ensure!(worker.delegated == pool.bonded.stake, "a worker does not know what is delegated to it");
			ensure!(worker.covered <= worker.bonded, "more is covered than is bonded");
			ensure!(worker.open_claims > 0 || worker.covered == 0, "stake is covered without an open claim");
			ensure!(
				worker.unbonding.windows(2).all(|pair| matches!(pair, [a, b] if a.withdrawable_at < b.withdrawable_at)),
				"unbonding stake is not listed soonest first"
			);
			ensure!(worker.unbonding.iter().all(|part| part.amount > 0), "a part of unbonding stake is zero");
			let in_flight = Served::<T>::get(&who).iter().try_fold(0u32, |sum, model| {
				Services::<T>::get(model, &who).and_then(|service| sum.checked_add(service.in_flight))
			});
			let in_flight = in_flight.ok_or("a worker lists a model that it does not serve")?;
			ensure!(in_flight <= worker.open_claims, "more jobs are in flight than claims are open");
		}
		Ok(())
	}

	/// What is delegated is held in full and owned in full, and so is what it earned.
	fn check_pools() -> Result<(), TryRuntimeError> {
		let mut owned = BTreeMap::<T::AccountId, Owned<BlockNumberFor<T>>>::new();
		for (worker, _, delegation) in Delegations::<T>::iter() {
			let pool = Pools::<T>::get(&worker);
			ensure!(!delegation.is_empty(), "a delegation is stored of which nothing is left");
			ensure!(delegation.per_share <= pool.per_share, "a delegation has earned more than a share can");
			let sum = owned.entry(worker).or_default();
			sum.delegators = sum.delegators.saturating_add(1);
			sum.bonded = sum.bonded.checked_add(delegation.shares).ok_or("shares overflow")?;
			sum.rewards = sum.rewards.checked_add(delegation.claimable(&pool)).ok_or("rewards overflow")?;
			for part in delegation.unbonding {
				ensure!(part.shares > 0, "a part of a delegation on its way out is zero");
				let shares = sum.leaving.entry(part.withdrawable_at).or_default();
				*shares = shares.checked_add(part.shares).ok_or("shares overflow")?;
			}
		}
		let mut held: Balance = 0;
		let mut joints = 0usize;
		for (worker, pool) in Pools::<T>::iter() {
			let sum = owned.get(&worker).cloned().unwrap_or_default();
			ensure!(sum.delegators == pool.delegators, "a pool's delegators are not as many as it says");
			ensure!(pool.delegators > 0 || Workers::<T>::contains_key(&worker), "a pool has nobody left");
			ensure!(sum.rewards <= pool.rewards, "more rewards can be claimed than a pool has");
			check_joint(&pool.bonded, sum.bonded)?;
			held = held.saturating_add(pool.bonded.stake).saturating_add(pool.rewards);
			for bucket in &pool.unbonding {
				ensure!(!Matured::<T>::contains_key(&worker, bucket.withdrawable_at), "a bucket stands twice");
				check_joint(&bucket.joint, sum.leaving.get(&bucket.withdrawable_at).copied().unwrap_or(0))?;
				held = held.saturating_add(bucket.joint.stake);
				joints = joints.saturating_add(1);
			}
		}
		for (worker, at, joint) in Matured::<T>::iter() {
			let leaving = owned.get(&worker).and_then(|sum| sum.leaving.get(&at)).copied();
			check_joint(&joint, leaving.unwrap_or(0))?;
			ensure!(joint.shares > 0, "stake is due that belongs to nobody");
			held = held.saturating_add(joint.stake);
			joints = joints.saturating_add(1);
		}
		ensure!(owned.keys().all(Pools::<T>::contains_key), "a delegation has no pool");
		let leaving: usize = owned.values().map(|sum| sum.leaving.len()).sum();
		ensure!(leaving == joints, "a bucket is missing, or stands twice");
		let reason = HoldReason::Delegation.into();
		ensure!(T::Currency::balance_on_hold(&reason, &Self::pot()) == held, "what is delegated is not held in full");
		for (worker, _) in Slashes::<T>::iter() {
			ensure!(
				Workers::<T>::contains_key(&worker) || Pools::<T>::contains_key(&worker),
				"slashes are remembered of a worker that is gone"
			);
		}
		Ok(())
	}

	/// Service keys and workers name each other.
	fn check_service_keys() -> Result<(), TryRuntimeError> {
		for (key, who) in ServiceKeys::<T>::iter() {
			ensure!(Self::service_key(&who) == Some(key), "a service key belongs to a worker that does not name it");
		}
		for (who, worker) in Workers::<T>::iter() {
			let named = worker.service_key.is_none_or(|key| Self::worker_of(&key) == Some(who));
			ensure!(named, "a worker names a service key that is not its own");
		}
		Ok(())
	}

	/// Services, servers and served models agree.
	fn check_services() -> Result<(), TryRuntimeError> {
		let (mut services, mut servers, mut served) = (0usize, 0usize, 0usize);
		for (model, who, service) in Services::<T>::iter() {
			services = services.saturating_add(1);
			ensure!(Workers::<T>::contains_key(&who), "an account serves that is no worker");
			ensure!(service.terms.capacity > 0, "a service has no capacity");
			ensure!(Servers::<T>::get(model).contains(&who), "a model does not list its worker");
			ensure!(Served::<T>::get(&who).contains(&model), "a worker does not list its model");
		}
		// Every service is listed on both sides, so equal numbers mean that nothing else is, nor anything twice.
		for (_, list) in Servers::<T>::iter() {
			ensure!(!list.is_empty(), "an empty list of servers is stored");
			servers = servers.saturating_add(list.len());
		}
		for (_, list) in Served::<T>::iter() {
			ensure!(!list.is_empty(), "an empty list of served models is stored");
			served = served.saturating_add(list.len());
		}
		ensure!(services == servers && services == served, "services, servers and served models do not agree");
		Ok(())
	}
}

/// What the delegators of a worker have, added up.
#[derive(Clone)]
struct Owned<BlockNumber> {
	delegators: u32,
	bonded: u128,
	rewards: Balance,
	leaving: BTreeMap<BlockNumber, u128>,
}

impl<BlockNumber> Default for Owned<BlockNumber> {
	fn default() -> Self {
		Self { delegators: 0, bonded: 0, rewards: 0, leaving: BTreeMap::new() }
	}
}

/// All shares belong to somebody, none is worth more than a planck, and no stake is without an owner.
fn check_joint(joint: &Joint, owned: u128) -> Result<(), TryRuntimeError> {
	ensure!(joint.shares == owned, "shares belong to nobody, or to two");
	ensure!(joint.stake <= joint.shares, "a share is worth more than what one costs");
	Ok(())
}
