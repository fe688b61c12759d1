//! What changed in storage, and how it is brought up to date. The runtime lists these among its migrations.

use super::*;
#[cfg(feature = "try-runtime")]
use alloc::vec::Vec;
use assay_primitives::{Balance, ServiceKey};
use codec::{Decode, Encode};
use core::marker::PhantomData;
use frame_support::{
	migrations::VersionedMigration,
	pallet_prelude::{BoundedVec, Get, Weight},
	traits::UncheckedOnRuntimeUpgrade,
};
use frame_system::pallet_prelude::BlockNumberFor;

/// Workers know what is delegated to them.
pub type MigrateV1ToV2<T> = VersionedMigration<1, 2, AddDelegated<T>, Pallet<T>, <T as frame_system::Config>::DbWeight>;

/// A worker as it was before there were delegators.
#[derive(Encode, Decode)]
pub struct WorkerV1<BlockNumber, MaxUnbonding: Get<u32>> {
	/// Stake that can cover jobs, in planck.
	pub bonded: Balance,
	/// Stake on its way out, soonest first.
	pub unbonding: BoundedVec<Unbonding<BlockNumber>, MaxUnbonding>,
	/// The part of `bonded` that is set aside for open claims, in planck.
	pub covered: Balance,
	/// Jobs assigned whose bond is not yet released.
	pub open_claims: u32,
	/// The most of those at once.
	pub max_claims: u32,
	/// Whether the worker takes no new jobs for now.
	pub paused: bool,
	/// The key with which the worker's node signs.
	pub service_key: Option<ServiceKey>,
	/// The block in which the worker bonded first.
	pub bonded_at: BlockNumber,
}

/// A [`WorkerV1`] of a runtime.
pub type WorkerV1Of<T> = WorkerV1<BlockNumberFor<T>, <T as Config>::MaxUnbonding>;

/// The map of workers as it was.
#[cfg(any(test, feature = "try-runtime"))]
pub(crate) mod v1 {
	use super::*;
	use frame_support::Blake2_128Concat;

	#[frame_support::storage_alias]
	pub(crate) type Workers<T: Config> =
		StorageMap<Pallet<T>, Blake2_128Concat, <T as frame_system::Config>::AccountId, WorkerV1Of<T>>;
}

/// Gives every worker the field for delegated stake. Runs as [`MigrateV1ToV2`], once. All workers are read and written in one
/// block: there are as many as have bonded, each with `MinBond` at least.
pub struct AddDelegated<T>(PhantomData<T>);

impl<T: Config> UncheckedOnRuntimeUpgrade for AddDelegated<T> {
	fn on_runtime_upgrade() -> Weight {
		let mut workers: u64 = 0;
		Workers::<T>::translate::<WorkerV1Of<T>, _>(|_, old| {
			workers = workers.saturating_add(1);
			Some(Worker {
				bonded: old.bonded,
				delegated: 0,
				unbonding: old.unbonding,
				covered: old.covered,
				open_claims: old.open_claims,
				max_claims: old.max_claims,
				paused: old.paused,
				service_key: old.service_key,
				bonded_at: old.bonded_at,
			})
		});
		// Without a service key nobody works, whatever the observer was told.
		for (who, worker) in Workers::<T>::iter() {
			let worked = !worker.paused && worker.bonded >= T::MinBond::get() && Served::<T>::contains_key(&who);
			if worked && worker.service_key.is_none() {
				T::StakeObserver::active_stake_changed(&who, 0);
			}
		}
		log::info!(target: "assay::workers", "{workers} workers can have delegators now");
		T::DbWeight::get().reads_writes(workers.saturating_mul(4), workers.saturating_mul(3))
	}

	#[cfg(feature = "try-runtime")]
	fn pre_upgrade() -> Result<Vec<u8>, sp_runtime::TryRuntimeError> {
		Ok(v1::Workers::<T>::iter().map(|(who, worker)| (who, worker.bonded)).collect::<Vec<_>>().encode())
	}

	#[cfg(feature = "try-runtime")]
	fn post_upgrade(state: Vec<u8>) -> Result<(), sp_runtime::TryRuntimeError> {
		let before =
			Vec::<(T::AccountId, Balance)>::decode(&mut &state[..]).map_err(|_| "the state is not what it was")?;
		frame_support::ensure!(before.len() == Workers::<T>::iter_keys().count(), "a worker was lost");
		for (who, bonded) in before {
			let same = Workers::<T>::get(who).is_some_and(|worker| worker.bonded == bonded && worker.delegated == 0);
			frame_support::ensure!(same, "a worker's stake is not what it was");
		}
		Ok(())
	}
}
