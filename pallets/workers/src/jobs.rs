//! Jobs, as this pallet sees them: who can take one, and which stake is set aside for it.

use super::*;
use alloc::vec::Vec;
use assay_primitives::{Balance, ModelId};
use frame_support::{defensive, dispatch::DispatchResult, ensure, traits::Get};
use sp_core::U256;
use sp_runtime::Saturating;

impl<T: Config> Pallet<T> {
	/// Draw a worker for a job on a model, by the stake behind it among those that can take it. `accept` says whether terms
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
		Ok((service.terms, bond, worker.backing(T::MaxLeverage::get())))
	}
}
