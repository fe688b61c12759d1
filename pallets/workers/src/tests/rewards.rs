//! What workers and delegators earn, and who keeps how much of it.

use super::*;
use sp_runtime::TokenError;

#[test]
fn reward_should_go_to_the_worker_when_it_has_no_delegators() {
	open().build_and_execute(|| {
		reward(CHARLIE, 80);
		assert_eq!(Balances::free_balance(CHARLIE), START_BALANCE - 1_000 + 80);
		// Whoever is no worker any more still gets what it has earned.
		reward(EVE, 80);
		assert_eq!(Balances::free_balance(EVE), START_BALANCE + 80);
	});
}

#[test]
fn reward_should_be_shared_by_stake_after_commission() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 2_000));
		assert_ok!(Workers::delegate(signed(HANS), CHARLIE, 1_000));
		reward(CHARLIE, 800);
		// A tenth is commission; of the rest a quarter is for each 1,000.
		assert_eq!(last_event(), Event::RewardShared { worker: CHARLIE, own: 80 + 180, delegators: 540 });
		assert_eq!(Balances::free_balance(CHARLIE), START_BALANCE - 1_000 + 260);
		assert_eq!((Workers::claimable(CHARLIE, GINA), Workers::claimable(CHARLIE, HANS)), (360, 180));
		assert_eq!(delegated_in_all(), 3_000 + 540);

		let before = Balances::free_balance(GINA);
		assert_ok!(Workers::claim(signed(EVE), CHARLIE, GINA));
		let event = Event::RewardsClaimed { worker: CHARLIE, delegator: GINA, amount: 360, payee: Payee::Account };
		assert_eq!(last_event(), event);
		assert_eq!(Balances::free_balance(GINA), before + 360);
		assert_noop!(Workers::claim(signed(EVE), CHARLIE, GINA), Error::<Test>::NothingToClaim);
		assert_eq!(Workers::claimable(CHARLIE, HANS), 180);
	});
}

#[test]
fn rewards_should_compound_when_the_delegator_says_so() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 1_000));
		assert_ok!(Workers::set_payee(signed(GINA), CHARLIE, Payee::Stake));
		assert_eq!(last_event(), Event::PayeeSet { worker: CHARLIE, delegator: GINA, payee: Payee::Stake });
		let before = Balances::free_balance(GINA);
		reward(CHARLIE, 200);
		assert_ok!(Workers::claim(signed(EVE), CHARLIE, GINA));
		assert_eq!((stake(CHARLIE, GINA), Balances::free_balance(GINA)), (1_090, before));
		assert_eq!((worker(CHARLIE).delegated, Observed::get()[&CHARLIE]), (1_090, 2_090));

		// What the worker's own stake does not carry is paid out.
		assert_ok!(Workers::delegate(signed(HANS), CHARLIE, 2_900));
		reward(CHARLIE, 1_000);
		let claimable = Workers::claimable(CHARLIE, GINA);
		assert!(claimable > 10);
		let before = Balances::free_balance(GINA);
		assert_ok!(Workers::claim(signed(EVE), CHARLIE, GINA));
		assert_eq!((stake(CHARLIE, GINA), Balances::free_balance(GINA)), (1_090, before + claimable));
	});
}

#[test]
fn rewards_should_be_for_stake_that_was_there() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 1_000));
		reward(CHARLIE, 200);
		assert_ok!(Workers::delegate(signed(HANS), CHARLIE, 1_000));
		assert_eq!((Workers::claimable(CHARLIE, GINA), Workers::claimable(CHARLIE, HANS)), (90, 0));
		assert_ok!(Workers::undelegate(signed(GINA), CHARLIE, None));
		reward(CHARLIE, 200);
		assert_eq!((Workers::claimable(CHARLIE, GINA), Workers::claimable(CHARLIE, HANS)), (90, 90));
		// The last of a delegation takes its rewards along.
		System::set_block_number(3 * UNBONDING_DELAY);
		assert_ok!(Workers::withdraw_delegation(signed(GINA), CHARLIE, GINA));
		assert_eq!(Balances::free_balance(GINA), START_BALANCE - EXISTENTIAL_DEPOSIT + 90);
	});
}

#[test]
fn what_is_owed_should_be_for_those_who_earned_it_when_others_come_and_they_go() {
	open().build_and_execute(|| {
		let owe = |amount| Owed::mutate(|owed| owed.insert(CHARLIE, amount));
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 1_000));
		owe(200);
		assert_ok!(Workers::delegate(signed(HANS), CHARLIE, 1_000));
		assert_eq!((Workers::claimable(CHARLIE, GINA), Workers::claimable(CHARLIE, HANS)), (90, 0));
		owe(300);
		assert_ok!(Workers::undelegate(signed(GINA), CHARLIE, None));
		assert_eq!((Workers::claimable(CHARLIE, GINA), Workers::claimable(CHARLIE, HANS)), (180, 90));
		// Nor does the worker get more of it by bonding more.
		owe(200);
		assert_ok!(Workers::bond_extra(signed(CHARLIE), 9_000));
		assert_eq!(Workers::claimable(CHARLIE, HANS), 180);
	});
}

#[test]
fn delegators_should_get_theirs_when_the_worker_has_nothing_bonded() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 1_000));
		assert_ok!(Workers::unbond(signed(CHARLIE), 1_000));
		let before = Balances::free_balance(CHARLIE);
		reward(CHARLIE, 100);
		assert_eq!((Balances::free_balance(CHARLIE), Workers::claimable(CHARLIE, GINA)), (before + 10, 90));
	});
}

#[test]
fn reward_should_be_given_back_when_the_account_cannot_take_it() {
	open().build_and_execute(|| {
		let issuance = Balances::total_issuance();
		let back = Workers::distribute(&NOBODY, Balances::issue(EXISTENTIAL_DEPOSIT - 1)).unwrap_err();
		assert_eq!(back.peek(), EXISTENTIAL_DEPOSIT - 1);
		drop(back);
		assert_eq!(Balances::total_issuance(), issuance);
	});
}

#[test]
fn claim_should_wait_when_the_account_is_gone_and_the_rewards_are_dust() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 1_000));
		reward(CHARLIE, 10);
		assert_ok!(Balances::transfer_all(signed(GINA), EVE, false));
		assert_eq!(Balances::free_balance(GINA), 0);
		assert_noop!(Workers::claim(signed(EVE), CHARLIE, GINA), TokenError::CannotCreate);
		reward(CHARLIE, 100);
		assert_ok!(Workers::claim(signed(EVE), CHARLIE, GINA));
		assert!(Balances::free_balance(GINA) >= EXISTENTIAL_DEPOSIT);
	});
}

#[test]
fn commission_should_rise_only_after_a_notice_and_fall_at_once() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 1_000));
		let percent = Perbill::from_percent;
		assert_ok!(Workers::set_commission(signed(CHARLIE), percent(50)));
		let from = 1 + UNBONDING_DELAY;
		assert_eq!(last_event(), Event::CommissionSet { worker: CHARLIE, rate: percent(50), from });
		let claimable = |reward_of: Balance| {
			let before = Workers::claimable(CHARLIE, GINA);
			reward(CHARLIE, reward_of);
			Workers::claimable(CHARLIE, GINA) - before
		};
		assert_eq!(claimable(200), 90);
		System::set_block_number(from - 1);
		assert_eq!(claimable(200), 90);
		System::set_block_number(from);
		assert_eq!(claimable(200), 50);

		assert_ok!(Workers::set_commission(signed(CHARLIE), percent(20)));
		assert_eq!(last_event(), Event::CommissionSet { worker: CHARLIE, rate: percent(20), from });
		assert_eq!(claimable(200), 80);
		// A rise that is taken back never comes.
		assert_ok!(Workers::set_commission(signed(CHARLIE), percent(90)));
		assert_ok!(Workers::set_commission(signed(CHARLIE), percent(20)));
		System::set_block_number(from + UNBONDING_DELAY);
		assert_eq!(claimable(200), 80);
	});
}

#[test]
fn commission_should_not_rise_by_leaving_and_coming_back() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 1_000));
		assert_ok!(Workers::unbond(signed(CHARLIE), 1_000));
		System::set_block_number(1 + UNBONDING_DELAY);
		assert_ok!(Workers::withdraw(signed(CHARLIE)));
		assert_ok!(Workers::bond(signed(CHARLIE), 1_000));
		assert_ok!(Workers::set_commission(signed(CHARLIE), Perbill::one()));
		reward(CHARLIE, 200);
		assert_eq!(Workers::claimable(CHARLIE, GINA), 90);
	});
}
