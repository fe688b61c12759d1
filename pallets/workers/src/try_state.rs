//! The invariants of this pallet, one check for each.

use super::*;
use frame_support::{ensure, traits::fungible::InspectHold};
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
	/// Check every invariant of this pallet.
	pub fn do_try_state() -> Result<(), TryRuntimeError> {
		Self::check_workers()?;
		Self::check_service_keys()?;
		Self::check_services()
	}

	/// Stake is held in full, covers jobs in full, and leaves in order.
	fn check_workers() -> Result<(), TryRuntimeError> {
		for (who, worker) in Workers::<T>::iter() {
			let held = T::Currency::balance_on_hold(&HoldReason::Stake.into(), &who);
			let stake = worker.bonded.checked_add(worker.total_unbonding()).ok_or("stake overflows")?;
			ensure!(held == stake, "the balance held on a worker is not its stake");
			ensure!(worker.covered <= worker.bonded, "covered stake is above bonded stake");
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
