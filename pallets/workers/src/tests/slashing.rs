//! Stake that is taken.

use super::*;

#[test]
fn slash_should_take_free_stake_and_return_it_as_credit() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		let issuance = Balances::total_issuance();
		let credit = Workers::slash(&CHARLIE, 300, SlashReason::MissedDeadline);
		assert_eq!(credit.peek(), 300);
		assert_eq!(last_event(), Event::Slashed { worker: CHARLIE, amount: 300, reason: SlashReason::MissedDeadline });
		assert_eq!((held(CHARLIE), worker(CHARLIE).bonded), (700, 700));
		assert_eq!(Observed::get()[&CHARLIE], 700);
		assert_eq!(Balances::total_issuance(), issuance);
		drop(credit);
		assert_eq!(Balances::total_issuance(), issuance - 300);
	});
}

#[test]
fn slash_should_take_what_there_is_when_more_is_asked() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		assert_eq!(slash(CHARLIE, u128::MAX), 1_000);
		assert_eq!((held(CHARLIE), worker(CHARLIE).bonded), (0, 0));
		assert_eq!(Observed::get()[&CHARLIE], 0);
		System::reset_events();
		assert_eq!(slash(CHARLIE, 1), 0);
		assert!(System::events().is_empty());
	});
}

#[test]
fn slash_should_take_nothing_when_zero_is_asked() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		assert_eq!(slash(CHARLIE, 0), 0);
		assert_eq!(held(CHARLIE), 1_000);
	});
}

#[test]
fn slash_should_reach_stake_that_is_unbonding_latest_first() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		assert_ok!(Workers::unbond(signed(CHARLIE), 200));
		System::set_block_number(2);
		assert_ok!(Workers::unbond(signed(CHARLIE), 300));
		assert_eq!(slash(CHARLIE, 850), 850);
		assert_eq!(worker(CHARLIE).bonded, 0);
		assert_eq!(worker(CHARLIE).unbonding.into_inner(), vec![Unbonding { amount: 150, withdrawable_at: 51 }]);
	});
}

#[test]
fn slash_should_reach_stake_when_all_of_it_is_unbonding() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		assert_ok!(Workers::unbond(signed(CHARLIE), 1_000));
		assert_eq!(slash(CHARLIE, 400), 400);
		System::set_block_number(1 + UNBONDING_DELAY);
		assert_ok!(Workers::withdraw(signed(CHARLIE)));
		assert_eq!(last_event(), Event::Withdrawn { worker: CHARLIE, amount: 600 });
		assert_eq!(Balances::free_balance(CHARLIE), START_BALANCE - 400);
	});
}

#[test]
fn slash_should_spare_what_covers_other_jobs() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		assert_ok!(Workers::assign(&CHARLIE, &model(1), 600));
		assert_ok!(Workers::unbond(signed(CHARLIE), 100));
		assert_eq!(slash(CHARLIE, 1_000), 400);
		assert_eq!((worker(CHARLIE).bonded, worker(CHARLIE).covered), (600, 600));
	});
}

#[test]
fn worker_should_leave_when_its_whole_stake_was_slashed() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 3).build_and_execute(|| {
		assert_eq!(slash(CHARLIE, 1_000), 1_000);
		assert_noop!(Workers::unbond(signed(CHARLIE), 1), Error::<Test>::NotEnoughBonded);
		assert_ok!(Workers::withdraw(signed(CHARLIE)));
		assert!(!WorkersMap::<Test>::contains_key(CHARLIE));
		assert_eq!(Workers::server_count(&model(1)), 0);
	});
}

#[test]
fn worker_should_unbond_the_rest_when_slashed_below_the_minimum() {
	ExtBuilder::default().with_worker(CHARLIE, MIN_BOND, 1).build_and_execute(|| {
		assert_eq!(slash(CHARLIE, 1), 1);
		assert_eq!(Observed::get()[&CHARLIE], 0);
		assert_noop!(Workers::unbond(signed(CHARLIE), 50), Error::<Test>::RemainderTooSmall);
		assert_ok!(Workers::unbond(signed(CHARLIE), MIN_BOND - 1));
	});
}

#[test]
// Without debug assertions it is logged, and nothing changes.
#[cfg_attr(debug_assertions, should_panic(expected = "slashed that is no worker"))]
fn slash_should_be_noticed_when_the_account_is_no_worker() {
	ExtBuilder::default().build_and_execute(|| {
		slash(CHARLIE, 1);
	});
}
