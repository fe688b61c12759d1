//! Who is not there earns nothing.

use super::*;

const LIFETIME: u32 = 4;

/// With a heartbeat that lasts [`LIFETIME`] blocks, at the beginning of era 1.
fn with_heartbeats(test: impl FnOnce()) {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		HeartbeatLifetime::set(LIFETIME);
		run_to_era(1);
		test();
	});
}

/// What a worker can claim for an era.
fn claim(worker: u64, era: EraIndex) -> Balance {
	Rewards::claimable(worker).into_iter().find(|(e, _)| *e == era).map_or(0, |(_, amount)| amount)
}

#[test]
fn worker_should_earn_for_the_blocks_in_which_it_was_live() {
	with_heartbeats(|| {
		Rewards::set_active_stake(&CHARLIE, 1_000);
		// Blocks 10 to 13 by having begun, 16 to 19 by the heartbeat, which lasts into the next era; there, two more blocks.
		run_to(16);
		Rewards::note_heartbeat(&CHARLIE);
		run_to(18);
		Rewards::note_heartbeat(&CHARLIE);
		run_to_era(4);
		assert_eq!(claim(CHARLIE, 1), emission(1) * 8 / 10);
		assert_eq!(claim(CHARLIE, 2), emission(2) * 2 / 10);
		assert_eq!(claim(CHARLIE, 3), 0);
		assert_noop!(payout(CHARLIE, 3), Error::<Test>::NothingToPay);
		assert_ok!(payout(CHARLIE, 2));
	});
}

#[test]
fn others_should_not_gain_by_a_worker_that_is_gone() {
	with_heartbeats(|| {
		for who in [CHARLIE, EVE] {
			Rewards::set_active_stake(&who, 500);
		}
		for block in 11..20 {
			run_to(block);
			Rewards::note_heartbeat(&EVE);
		}
		run_to_era(2);
		assert_eq!((claim(CHARLIE, 1), claim(EVE, 1)), (emission(1) * 2 / 10, emission(1) / 2));
	});
}

#[test]
fn stake_added_by_others_should_be_no_heartbeat() {
	with_heartbeats(|| {
		Rewards::set_active_stake(&CHARLIE, 100);
		run_to(16);
		Rewards::set_active_stake(&CHARLIE, 300);
		run_to_era(2);
		assert_eq!(Eras::<Test>::get(1).unwrap().total_points, 100 * 6 + 300 * 4);
		assert_eq!(claim(CHARLIE, 1), emission(1) * (100 * 4) / (100 * 6 + 300 * 4));
		assert_eq!(Rewards::live_until(CHARLIE), Some(14));
	});
}

#[test]
fn heartbeat_should_be_due_when_half_of_the_last_one_is_over() {
	with_heartbeats(|| {
		assert_eq!((Rewards::heartbeat_due(&CHARLIE), Rewards::live_until(CHARLIE)), (false, None));
		Rewards::set_active_stake(&CHARLIE, 100);
		assert_eq!((Rewards::heartbeat_due(&CHARLIE), Rewards::live_until(CHARLIE)), (false, Some(14)));
		run_to(11);
		assert!(!Rewards::heartbeat_due(&CHARLIE));
		run_to(12);
		assert!(Rewards::heartbeat_due(&CHARLIE));
		Rewards::note_heartbeat(&CHARLIE);
		assert_eq!((Rewards::heartbeat_due(&CHARLIE), Rewards::live_until(CHARLIE)), (false, Some(16)));
		run_to(100);
		assert!(Rewards::heartbeat_due(&CHARLIE));
		// Without active stake there is nothing to be there for.
		Rewards::set_active_stake(&CHARLIE, 0);
		assert_eq!((Rewards::heartbeat_due(&CHARLIE), Rewards::live_until(CHARLIE)), (false, None));
		Rewards::note_heartbeat(&NOBODY);
		assert!(!Ledgers::<Test>::contains_key(NOBODY));
	});
}

#[test]
fn heartbeats_should_be_remembered_when_their_entries_are_forgotten() {
	with_heartbeats(|| {
		HeartbeatLifetime::set(10 * ERA_LENGTH);
		Rewards::set_active_stake(&CHARLIE, 77);
		run_to_era(8);
		let ledger = Ledgers::<Test>::get(CHARLIE).unwrap();
		assert_eq!((ledger.entries.len(), ledger.base_live_until), (0, 11 * ERA_LENGTH));
		assert_eq!(claim(CHARLIE, 7), emission(7));
	});
}
