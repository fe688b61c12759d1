//! Service keys, and what workers serve.

use super::*;
use assay_primitives::{ModelId, ServiceKey};
use frame_support::{dispatch::DispatchResult, ensure, traits::Get};

impl<T: Config> Pallet<T> {
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

	pub(crate) fn do_set_service_key(who: &T::AccountId, key: ServiceKey) -> DispatchResult {
		// With its first key it begins to work.
		Self::with_observer(who, || {
			Self::try_mutate_worker(who, |worker| {
				ensure!(ServiceKeys::<T>::get(&key).is_none_or(|holder| holder == *who), Error::<T>::ServiceKeyTaken);
				if let Some(former) = worker.service_key.replace(key.clone()) {
					ServiceKeys::<T>::remove(former);
				}
				ServiceKeys::<T>::insert(&key, who);
				Ok(())
			})
		})?;
		Self::deposit_event(Event::ServiceKeySet { worker: who.clone(), key });
		Ok(())
	}

	pub(crate) fn do_serve(who: &T::AccountId, model: ModelId, terms: Terms) -> DispatchResult {
		let worker = Workers::<T>::get(who).ok_or(Error::<T>::UnknownWorker)?;
		Self::ensure_not_suspended(who)?;
		ensure!(worker.bonded >= T::MinBond::get(), Error::<T>::BondTooSmall);
		ensure!(terms.capacity > 0, Error::<T>::CapacityZero);
		ensure!(T::Models::is_active(&model), Error::<T>::ModelNotActive);
		Self::with_observer(who, || {
			let in_flight = match Services::<T>::get(model, who) {
				Some(service) => service.in_flight,
				None => {
					Self::make_room(who, &model)?;
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

	/// If a model has as many workers as it can, take the idle one with the least behind it off the list, if `who` brings more: a
	/// list that is full of workers who do not work would close the model to those who do.
	fn make_room(who: &T::AccountId, model: &ModelId) -> DispatchResult {
		let servers = Servers::<T>::get(model);
		if !servers.is_full() {
			return Ok(());
		}
		let idle =
			|worker: &T::AccountId| Services::<T>::get(model, worker).is_some_and(|service| service.in_flight == 0);
		let least = servers
			.into_iter()
			.filter(idle)
			.map(|worker| (Self::ready_stake(&worker), worker))
			.min_by_key(|(least, _)| *least);
		let (least, worker) = least.ok_or(Error::<T>::TooManyServers)?;
		ensure!(least < Self::ready_stake(who), Error::<T>::TooManyServers);
		Self::with_observer(&worker, || Self::remove_service(&worker, model))
	}

	/// Remove all services of a worker. None may have a job in flight.
	pub(crate) fn remove_services(who: &T::AccountId) -> DispatchResult {
		Served::<T>::get(who).iter().try_for_each(|model| Self::remove_service(who, model))
	}

	pub(crate) fn remove_service(who: &T::AccountId, model: &ModelId) -> DispatchResult {
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
