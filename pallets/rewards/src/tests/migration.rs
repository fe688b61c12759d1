//! Storage as older runtimes left it.

use super::*;
use crate::migrations::{v1, EntryV1, LedgerV1, MigrateV1ToV2};
use frame_support::{
	traits::{GetStorageVersion, OnRuntimeUpgrade, StorageVersion},
	BoundedVec,
};

#[test]
fn workers_should_have_earned_what_they_had_earned_before_there_were_heartbeats() {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		Rewards::set_active_stake(&CHARLIE, 1_000);
		Rewards::set_active_stake(&EVE, 3_000);
		run_to_era(1);
		assert_ok!(payout(EVE, 0));
		Rewards::note_fault(&CHARLIE, Fault::Declined);
		run_to_era(3);
		let claimable = [CHARLIE, EVE].map(Rewards::claimable);

		let now = Ledgers::<Test>::get(CHARLIE);
		for (who, ledger) in Ledgers::<Test>::iter().collect::<Vec<_>>() {
			let entries = ledger.entries.into_iter().map(|Entry { era, accrual, faults, paid, .. }| EntryV1 {
				era,
				accrual,
				faults,
				paid,
			});
			let entries = BoundedVec::truncate_from(entries.collect());
			v1::Ledgers::<Test>::insert(who, LedgerV1 { base: ledger.base, entries });
		}
		// The layouts differ, so that this is a migration and not a renaming.
		assert_ne!(Ledgers::<Test>::get(CHARLIE), now);
		StorageVersion::new(1).put::<Rewards>();
		HeartbeatLifetime::set(4);
		MigrateV1ToV2::<Test>::on_runtime_upgrade();
		assert_eq!(Rewards::on_chain_storage_version(), Rewards::in_code_storage_version());
		assert_eq!([CHARLIE, EVE].map(Rewards::claimable), claimable);
		Rewards::do_try_state().unwrap();

		// From now on nobody earns who is not there.
		run_to_era(5);
		let of_the_next = |who| Rewards::claimable(who).into_iter().filter(|(era, _)| *era >= 3).collect::<Vec<_>>();
		assert_eq!(of_the_next(CHARLIE), vec![(3, emission(3) / 10)]);
		// Once is enough.
		MigrateV1ToV2::<Test>::on_runtime_upgrade();
	});
}
