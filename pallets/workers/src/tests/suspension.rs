//! Convictions: who may not work for a while, why, and what happens when slashing is not armed.

use super::*;

#[test]
fn convicted_worker_should_neither_resume_nor_serve_until_its_suspension_is_over() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		Workers::suspend(&CHARLIE);
		let until = 1 + SUSPENSION;
		assert_eq!(last_event(), Event::Suspended { worker: CHARLIE, until });
		assert_eq!(Observed::get()[&CHARLIE], 0);
		assert_noop!(Workers::resume(signed(CHARLIE)), Error::<Test>::Suspended);
		assert_noop!(Workers::serve_model(signed(CHARLIE), model(2), terms()), Error::<Test>::Suspended);
		System::set_block_number(until - 1);
		assert_noop!(Workers::resume(signed(CHARLIE)), Error::<Test>::Suspended);
		System::set_block_number(until);
		assert_eq!(Workers::worker_status(CHARLIE).unwrap().suspended_until, None);
		assert_ok!(Workers::resume(signed(CHARLIE)));
		assert_ok!(Workers::serve_model(signed(CHARLIE), model(2), terms()));
		assert!(!SuspendedUntil::<Test>::contains_key(CHARLIE));
	});
}

#[test]
fn suspension_should_outlast_leaving_and_bonding_anew() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		Workers::suspend(&CHARLIE);
		assert_ok!(Workers::unbond(signed(CHARLIE), 1_000));
		System::set_block_number(1 + UNBONDING_DELAY);
		assert_ok!(Workers::withdraw(signed(CHARLIE)));
		assert_ok!(Workers::bond(signed(CHARLIE), 1_000));
		assert_noop!(Workers::serve_model(signed(CHARLIE), model(1), terms()), Error::<Test>::Suspended);
		System::set_block_number(1 + SUSPENSION);
		assert_ok!(Workers::serve_model(signed(CHARLIE), model(1), terms()));
	});
}

#[test]
fn suspension_should_start_anew_when_convicted_again() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		Workers::suspend(&CHARLIE);
		System::set_block_number(30);
		Workers::suspend(&CHARLIE);
		assert_eq!(SuspendedUntil::<Test>::get(CHARLIE), Some(30 + SUSPENSION));
	});
}

#[test]
fn stale_suspension_should_be_forgotten_by_whoever_passes() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		Workers::suspend(&CHARLIE);
		assert_ok!(Workers::unbond(signed(CHARLIE), 1_000));
		System::set_block_number(1 + UNBONDING_DELAY);
		assert_ok!(Workers::withdraw(signed(CHARLIE)));
		assert_noop!(Workers::withdraw_for(signed(EVE), CHARLIE), Error::<Test>::UnknownWorker);
		System::set_block_number(1 + SUSPENSION);
		assert_ok!(Workers::withdraw_for(signed(EVE), CHARLIE));
		assert_eq!(SuspendedUntil::<Test>::iter().count(), 0);
		assert_noop!(Workers::withdraw_for(signed(EVE), CHARLIE), Error::<Test>::UnknownWorker);
	});
}

#[test]
fn slashes_should_be_told_latest_first_and_as_many_as_are_kept() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 1_000));
		assert_eq!(Workers::why_slashed(CHARLIE), vec![]);
		for block in 1..=4 {
			System::set_block_number(block);
			slash(CHARLIE, (block * 10).into());
		}
		drop(Workers::slash(&CHARLIE, 7, SlashReason::MissedDeadline));
		// The delegator loses as much as the worker, who has as much.
		let wrong = |block: u32| SlashRecord { block, amount: (block * 20).into(), reason: SlashReason::WrongAnswer };
		let late = SlashRecord { block: 4, amount: 14, reason: SlashReason::MissedDeadline };
		assert_eq!(Workers::why_slashed(CHARLIE), vec![late, wrong(4), wrong(3)]);

		// They go with the last who could want to know.
		assert_ok!(Workers::unbond(signed(CHARLIE), worker(CHARLIE).bonded));
		System::set_block_number(200);
		assert_ok!(Workers::withdraw(signed(CHARLIE)));
		assert_eq!(Workers::why_slashed(CHARLIE).len(), 3);
		assert_ok!(Workers::undelegate(signed(GINA), CHARLIE, None));
		System::set_block_number(400);
		assert_ok!(Workers::withdraw_delegation(signed(GINA), CHARLIE, GINA));
		assert_eq!(Slashes::<Test>::iter().count(), 0);
	});
}

#[test]
fn slash_should_take_nothing_and_say_so_when_it_is_not_armed() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 1_000));
		let issuance = Balances::total_issuance();
		Armed::set(false);
		assert_eq!(slash(CHARLIE, 300), 0);
		let event = Event::SlashingDisarmed { worker: CHARLIE, amount: 300, reason: SlashReason::WrongAnswer };
		assert_eq!(last_event(), event);
		assert_eq!((worker(CHARLIE).bonded, stake(CHARLIE, GINA)), (1_000, 1_000));
		assert_eq!((Balances::total_issuance(), Workers::why_slashed(CHARLIE)), (issuance, vec![]));
		Armed::set(true);
		assert_eq!(slash(CHARLIE, 300), 300);
	});
}
