//! What changed in storage, and how it is brought up to date. The runtime lists these among its migrations.

use super::*;
#[cfg(feature = "try-runtime")]
use alloc::vec::Vec;
use assay_primitives::Balance;
use codec::{Decode, Encode};
use core::marker::PhantomData;
use frame_support::{
	migrations::VersionedMigration,
	pallet_prelude::{BoundedVec, Get, Weight},
	traits::UncheckedOnRuntimeUpgrade,
};
use frame_system::pallet_prelude::BlockNumberFor;
use sp_runtime::Permill;

/// Ledgers know of heartbeats.
pub type MigrateV1ToV2<T> =
	VersionedMigration<1, 2, AddHeartbeats<T>, Pallet<T>, <T as frame_system::Config>::DbWeight>;

/// An era in a ledger as it was before there were heartbeats.
#[derive(Encode, Decode)]
pub struct EntryV1<BlockNumber> {
	/// The era.
	pub era: EraIndex,
	/// The stake in that era.
	pub accrual: Accrual<BlockNumber>,
	/// The share of the era's emission that was lost through faults.
	pub faults: Permill,
	/// Whether the emission was paid.
	pub paid: bool,
}

/// A ledger as it was before there were heartbeats.
#[derive(Encode, Decode)]
pub struct LedgerV1<BlockNumber, Bound: Get<u32>> {
	/// The stake at the beginning of the first entry, in planck.
	pub base: Balance,
	/// The entries, oldest first.
	pub entries: BoundedVec<EntryV1<BlockNumber>, Bound>,
}

/// A [`LedgerV1`] of a runtime.
pub type LedgerV1Of<T> = LedgerV1<BlockNumberFor<T>, MaxEntries<T>>;

/// The map of ledgers as it was.
#[cfg(any(test, feature = "try-runtime"))]
pub(crate) mod v1 {
	use super::*;
	use frame_support::Blake2_128Concat;

	#[frame_support::storage_alias]
	pub(crate) type Ledgers<T: Config> =
		StorageMap<Pallet<T>, Blake2_128Concat, <T as frame_system::Config>::AccountId, LedgerV1Of<T>>;
}

/// Takes every worker for live through all eras so far, as they counted, and for the lifetime of a heartbeat more. Runs as
/// [`MigrateV1ToV2`], once. All ledgers are read and written in one block: there are as many as have bonded as workers of late.
pub struct AddHeartbeats<T>(PhantomData<T>);

impl<T: Config> UncheckedOnRuntimeUpgrade for AddHeartbeats<T> {
	fn on_runtime_upgrade() -> Weight {
		let mut ledgers: u64 = 0;
		let live_until = Pallet::<T>::lifetime_from(frame_system::Pallet::<T>::block_number());
		Ledgers::<T>::translate::<LedgerV1Of<T>, _>(|_, old| {
			ledgers = ledgers.saturating_add(1);
			let entries = old.entries.into_iter().map(|EntryV1 { era, accrual, faults, paid }| Entry {
				era,
				proven: accrual.points,
				accrual,
				live_until,
				faults,
				paid,
			});
			let entries = BoundedVec::truncate_from(entries.collect());
			Some(Ledger { base: old.base, base_live_until: live_until, entries })
		});
		log::info!(target: "assay::rewards", "{ledgers} workers earn by heartbeats from now on");
		T::DbWeight::get().reads_writes(ledgers, ledgers)
	}

	#[cfg(feature = "try-runtime")]
	fn pre_upgrade() -> Result<Vec<u8>, sp_runtime::TryRuntimeError> {
		Ok(v1::Ledgers::<T>::iter()
			.map(|(who, ledger)| (who, ledger.entries.len() as u64))
			.collect::<Vec<_>>()
			.encode())
	}

	#[cfg(feature = "try-runtime")]
	fn post_upgrade(state: Vec<u8>) -> Result<(), sp_runtime::TryRuntimeError> {
		let before = Vec::<(T::AccountId, u64)>::decode(&mut &state[..]).map_err(|_| "the state is not what it was")?;
		frame_support::ensure!(before.len() == Ledgers::<T>::iter_keys().count(), "a ledger was lost");
		for (who, entries) in before {
			let same = Ledgers::<T>::get(who).is_some_and(|ledger| ledger.entries.len() as u64 == entries);
			frame_support::ensure!(same, "an entry of a ledger was lost");
		}
		Ok(())
	}
}
