//! Eras that are kept, and what is forgotten.

use super::*;
use sp_runtime::Weight;

#[test]
fn emission_should_be_claimable_for_every_era_that_is_kept() {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		run_to_era(1);
		Rewards::set_active_stake(&CHARLIE, 1_000);
		run_to_era(6);
		let eras: Vec<_> = Rewards::claimable(CHARLIE).into_iter().map(|(era, _)| era).collect();
		assert_eq!(eras, vec![2, 3, 4, 5]);
		assert_noop!(payout(CHARLIE, 1), Error::<Test>::EraForgotten);
		// In any order.
		for era in [4, 2, 5, 3] {
			assert_ok!(payout(CHARLIE, era));
			assert_noop!(payout(CHARLIE, era), Error::<Test>::AlreadyPaid);
			Rewards::do_try_state().unwrap();
		}
		assert_eq!(Ledgers::<Test>::get(CHARLIE).unwrap().entries.len(), 4);
		run_to_era(7);
		assert_ok!(payout(CHARLIE, 6));
	});
}

#[test]
fn ledger_should_hold_an_entry_for_every_era_when_all_change() {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		for era in 1..20 {
			run_to_era(era);
			Rewards::set_active_stake(&CHARLIE, era.into());
			Rewards::note_fault(&CHARLIE, Fault::Declined);
			if era > 1 {
				// All emission is over at some point.
				let _ = payout(CHARLIE, era - 1);
			}
			Rewards::do_try_state().unwrap();
		}
		assert_eq!(Ledgers::<Test>::get(CHARLIE).unwrap().entries.len(), HISTORY_DEPTH as usize + 1);
		assert_eq!(Eras::<Test>::iter().count(), HISTORY_DEPTH as usize);
	});
}

#[test]
fn stake_should_be_remembered_when_its_entry_is_forgotten() {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		Rewards::set_active_stake(&CHARLIE, 77);
		run_to_era(6);
		let ledger = Ledgers::<Test>::get(CHARLIE).unwrap();
		assert_eq!((ledger.base, ledger.entries.len(), ledger.stake()), (77, 0, 77));
		assert_eq!(Rewards::claimable(CHARLIE).len(), HISTORY_DEPTH as usize);
		Rewards::set_active_stake(&CHARLIE, 80);
		Rewards::do_try_state().unwrap();
		run_to_era(7);
		assert_eq!(Eras::<Test>::get(6).unwrap().total_points, 80 * 10);
	});
}

#[test]
fn ledger_should_go_when_its_worker_is_long_gone() {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		for who in 1..=40 {
			Rewards::set_active_stake(&who, 10);
		}
		run_to_era(1);
		for who in 1..=40 {
			Rewards::set_active_stake(&who, 0);
		}
		run_to(6 * ERA_LENGTH - 1);
		assert_eq!(Ledgers::<Test>::iter().count(), 40);
		run_to_era(6);
		assert_eq!(Ledgers::<Test>::iter().count(), 40 - 16);
		run_to(6 * ERA_LENGTH + 2);
		assert_eq!(Ledgers::<Test>::iter().count(), 0);
		assert!(!SweepCursor::<Test>::exists());
	});
}

#[test]
fn sweep_should_wait_when_no_weight_is_left() {
	ExtBuilder::default().build_and_execute(|| {
		Rewards::set_active_stake(&CHARLIE, 10);
		Rewards::set_active_stake(&CHARLIE, 0);
		Rewards::rotate_era(ERA_LENGTH);
		assert_eq!(Rewards::on_idle(2, Weight::zero()), Weight::zero());
		assert_eq!(SweepCursor::<Test>::get(), Some(None));
		Rewards::on_idle(2, Weight::MAX);
		assert_eq!(SweepCursor::<Test>::get(), None);
		// Era 0 is kept still, so the ledger is.
		assert!(Ledgers::<Test>::contains_key(CHARLIE));
		System::set_block_number(ERA_LENGTH);
	});
}
