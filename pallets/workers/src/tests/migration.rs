//! Storage as it was, brought up to date.

use super::*;
use crate::migrations::{v1, MigrateV1ToV2, WorkerV1};
use codec::Encode;
use frame_support::{
	storage::unhashed,
	traits::{GetStorageVersion, OnRuntimeUpgrade, StorageVersion},
	BoundedVec,
};

#[test]
fn workers_should_keep_everything_when_they_learn_of_delegators() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 2).with_worker(EVE, 500, 0).build_and_execute(|| {
		assert_ok!(Workers::assign(&CHARLIE, &model(1), 300));
		assert_ok!(Workers::unbond(signed(CHARLIE), 100));
		assert_ok!(Workers::pause(signed(EVE)));
		let now: Vec<_> = [CHARLIE, EVE].map(|who| (who, worker(who))).into();
		for (who, worker) in now.clone() {
			let old = WorkerV1 {
				bonded: worker.bonded,
				unbonding: worker.unbonding,
				covered: worker.covered,
				open_claims: worker.open_claims,
				max_claims: worker.max_claims,
				paused: worker.paused,
				service_key: worker.service_key,
				bonded_at: worker.bonded_at,
			};
			v1::Workers::<Test>::insert(who, old);
		}
		// The layouts differ, so that this is a migration and not a renaming.
		let old = unhashed::get_raw(&WorkersMap::<Test>::hashed_key_for(CHARLIE)).unwrap();
		assert_eq!(old.len() + 16, now[0].1.encode().len());
		StorageVersion::new(1).put::<Workers>();

		MigrateV1ToV2::<Test>::on_runtime_upgrade();
		for (who, before) in now {
			assert_eq!(worker(who), before);
		}
		assert_eq!(Workers::on_chain_storage_version(), Workers::in_code_storage_version());

		// Once is enough.
		MigrateV1ToV2::<Test>::on_runtime_upgrade();
		check();
		Workers::answered(&CHARLIE, &model(1));
		Workers::release(&CHARLIE, 300);
	});
}

#[test]
fn worker_should_have_the_layout_that_was_stored() {
	// As it stood in storage at version 1: a live chain has such bytes, whatever the types here say.
	let mut bytes = Vec::new();
	bytes.extend(1_000u128.to_le_bytes());
	bytes.extend([1 << 2]);
	bytes.extend(5u128.to_le_bytes());
	bytes.extend(77u32.to_le_bytes());
	bytes.extend(300u128.to_le_bytes());
	bytes.extend(1u32.to_le_bytes());
	bytes.extend(u32::MAX.to_le_bytes());
	bytes.extend([1, 0]);
	bytes.extend(9u32.to_le_bytes());
	let old = WorkerV1::<u32, <Test as crate::Config>::MaxUnbonding> {
		bonded: 1_000,
		unbonding: BoundedVec::truncate_from(vec![Unbonding { amount: 5, withdrawable_at: 77 }]),
		covered: 300,
		open_claims: 1,
		max_claims: u32::MAX,
		paused: true,
		service_key: None,
		bonded_at: 9,
	};
	assert_eq!(old.encode(), bytes);
}
