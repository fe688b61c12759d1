//! The invariants of this pallet, one check for each.

use super::*;
use alloc::collections::BTreeMap;
use assay_primitives::Balance;
use frame_support::{ensure, traits::fungible::InspectHold};
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
	/// Check every invariant of this pallet.
	pub fn do_try_state() -> Result<(), TryRuntimeError> {
		Self::check_records()?;
		Self::check_names()
	}

	/// Keys are the hashes of headers, and deposits are held in full.
	fn check_records() -> Result<(), TryRuntimeError> {
		let mut deposits = BTreeMap::<T::AccountId, Balance>::new();
		for (model, record) in Models::<T>::iter() {
			ensure!(record.header.id() == model, "the key of a record is not the hash of its header");
			let names = Names::<T>::get(&record.owner, &record.name).ok_or("a model has no entry under its name")?;
			let listed =
				names.older.iter().filter(|id| **id == model).count() + if names.latest == model { 1 } else { 0 };
			ensure!(listed == 1, "a model is not listed once under its name");
			let held = deposits.entry(record.owner).or_default();
			*held = held.checked_add(record.deposit).ok_or("deposits overflow")?;
		}
		for (owner, deposits) in deposits {
			let held = T::Currency::balance_on_hold(&HoldReason::Deposit.into(), &owner);
			ensure!(held == deposits, "the balance held on an owner is not the sum of its deposits");
		}
		Ok(())
	}

	/// Listed models have records, in ascending order of versions.
	fn check_names() -> Result<(), TryRuntimeError> {
		for (owner, name, names) in Names::<T>::iter() {
			let mut last = 0;
			for model in names.older.iter().chain([&names.latest]) {
				let record = Models::<T>::get(model).ok_or("a listed model has no record")?;
				ensure!(record.owner == owner && record.name == name, "a model is listed under another's name");
				ensure!(record.version > last, "versions are not listed in ascending order");
				last = record.version;
			}
			ensure!(last <= names.versions, "a version is above the number of versions registered");
		}
		Ok(())
	}
}
