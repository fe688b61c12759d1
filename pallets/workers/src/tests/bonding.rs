//! Stake: in, more, out.

use super::*;
use frame_support::traits::Hooks;
use sp_runtime::{DispatchError, TokenError};

#[test]
fn stake_should_be_held_when_bonded() {
	ExtBuilder::default().build_and_execute(|| {
		assert_ok!(Workers::bond(signed(CHARLIE), 1_000));
		assert_eq!(held(CHARLIE), 1_000);
		assert_eq!((worker(CHARLIE).bonded, worker(CHARLIE).bonded_at), (1_000, 1));
		assert_eq!(last_event(), Event::Bonded { worker: CHARLIE, amount: 1_000 });
		assert_ok!(Workers::bond_extra(signed(CHARLIE), 1));
		assert_eq!((held(CHARLIE), worker(CHARLIE).bonded), (1_001, 1_001));
	});
}

#[test]
fn bond_should_be_refused_when_it_makes_no_worker() {
	ExtBuilder::default().build_and_execute(|| {
		assert_noop!(Workers::bond(signed(CHARLIE), 0), Error::<Test>::BondTooSmall);
		assert_noop!(Workers::bond(signed(CHARLIE), MIN_BOND - 1), Error::<Test>::BondTooSmall);
		for amount in [START_BALANCE, u128::MAX] {
			assert_noop!(Workers::bond(signed(CHARLIE), amount), TokenError::FundsUnavailable);
		}
		assert_noop!(Workers::bond(signed(NOBODY), MIN_BOND), TokenError::FundsUnavailable);
		assert_noop!(Workers::bond(RuntimeOrigin::root(), MIN_BOND), DispatchError::BadOrigin);
		assert_ok!(Workers::bond(signed(CHARLIE), MIN_BOND));
		assert_noop!(Workers::bond(signed(CHARLIE), MIN_BOND), Error::<Test>::AlreadyBonded);
	});
}

#[test]
fn calls_should_fail_when_the_account_is_no_worker() {
	ExtBuilder::default().build_and_execute(|| {
		let eve = || signed(EVE);
		assert_noop!(Workers::bond_extra(eve(), 1), Error::<Test>::UnknownWorker);
		assert_noop!(Workers::set_service_key(eve(), key(1)), Error::<Test>::UnknownWorker);
		assert_noop!(Workers::serve_model(eve(), model(1), terms()), Error::<Test>::UnknownWorker);
		assert_noop!(Workers::stop_serving(eve(), model(1)), Error::<Test>::NotServing);
		assert_noop!(Workers::pause(eve()), Error::<Test>::UnknownWorker);
		assert_noop!(Workers::resume(eve()), Error::<Test>::UnknownWorker);
		assert_noop!(Workers::unbond(eve(), 1), Error::<Test>::UnknownWorker);
		assert_noop!(Workers::withdraw(eve()), Error::<Test>::UnknownWorker);
		assert_noop!(Workers::withdraw_for(eve(), CHARLIE), Error::<Test>::UnknownWorker);
		assert_noop!(Workers::set_commission(eve(), Perbill::zero()), Error::<Test>::UnknownWorker);
		assert_noop!(Workers::delegate(eve(), CHARLIE, 100), Error::<Test>::UnknownWorker);
		assert_noop!(Workers::assign(&EVE, &model(1), 0), Error::<Test>::UnknownWorker);
		assert_eq!(Workers::worker_status(EVE), None);
		assert_eq!(Workers::withdrawable_at(EVE), None);
		assert_eq!(Workers::service_key(&EVE), None);
		assert_eq!(Workers::server_count(&model(1)), 0);
	});
}

#[test]
fn amounts_should_be_refused_when_zero_or_too_much() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		assert_noop!(Workers::bond_extra(signed(CHARLIE), 0), Error::<Test>::AmountZero);
		assert_noop!(Workers::bond_extra(signed(CHARLIE), START_BALANCE), TokenError::FundsUnavailable);
		assert_noop!(Workers::unbond(signed(CHARLIE), 0), Error::<Test>::AmountZero);
		assert_noop!(Workers::unbond(signed(CHARLIE), 1_001), Error::<Test>::NotEnoughBonded);
		assert_noop!(Workers::unbond(signed(CHARLIE), u128::MAX), Error::<Test>::NotEnoughBonded);
		assert_noop!(Workers::unbond(signed(CHARLIE), 901), Error::<Test>::RemainderTooSmall);
		assert_ok!(Workers::unbond(signed(CHARLIE), 900));
	});
}

#[test]
fn stake_should_come_back_when_its_delay_is_over() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		assert_ok!(Workers::unbond(signed(CHARLIE), 300));
		let withdrawable_at = 1 + UNBONDING_DELAY;
		assert_eq!(last_event(), Event::Unbonding { worker: CHARLIE, amount: 300, withdrawable_at });
		assert_eq!(Workers::withdrawable_at(CHARLIE), Some(withdrawable_at));
		assert_eq!((held(CHARLIE), worker(CHARLIE).bonded), (1_000, 700));
		assert_eq!(Observed::get()[&CHARLIE], 700);

		System::set_block_number(withdrawable_at - 1);
		assert_noop!(Workers::withdraw(signed(CHARLIE)), Error::<Test>::NothingToWithdraw);
		System::set_block_number(withdrawable_at);
		assert_ok!(Workers::withdraw(signed(CHARLIE)));
		assert_eq!(last_event(), Event::Withdrawn { worker: CHARLIE, amount: 300 });
		assert_eq!((held(CHARLIE), Workers::withdrawable_at(CHARLIE)), (700, None));
		assert_noop!(Workers::withdraw(signed(CHARLIE)), Error::<Test>::NothingToWithdraw);
	});
}

#[test]
fn worker_should_leave_nothing_when_all_is_withdrawn() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 3).build_and_execute(|| {
		assert_ok!(Workers::unbond(signed(CHARLIE), 1_000));
		assert_eq!(Workers::server_count(&model(1)), 0);
		assert_eq!(Observed::get()[&CHARLIE], 0);
		// It may be needed to answer for what was done before.
		assert_eq!(Workers::worker_of(&key(1)), Some(CHARLIE));

		System::set_block_number(1 + UNBONDING_DELAY);
		assert_ok!(Workers::withdraw(signed(CHARLIE)));
		assert!(!WorkersMap::<Test>::contains_key(CHARLIE));
		assert_eq!(Workers::worker_of(&key(1)), None);
		assert_eq!((held(CHARLIE), Balances::free_balance(CHARLIE)), (0, START_BALANCE));
		assert_ok!(Workers::bond(signed(CHARLIE), MIN_BOND));
	});
}

#[test]
fn stake_should_come_back_to_its_worker_when_somebody_else_withdraws_it() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		assert_ok!(Workers::unbond(signed(CHARLIE), 1_000));
		assert_noop!(Workers::withdraw_for(signed(EVE), CHARLIE), Error::<Test>::NothingToWithdraw);
		System::set_block_number(1 + UNBONDING_DELAY);
		assert_noop!(Workers::withdraw_for(RuntimeOrigin::root(), CHARLIE), DispatchError::BadOrigin);
		assert_ok!(Workers::withdraw_for(signed(EVE), CHARLIE));
		assert_eq!(last_event(), Event::Withdrawn { worker: CHARLIE, amount: 1_000 });
		assert_eq!((Balances::free_balance(CHARLIE), Balances::free_balance(EVE)), (START_BALANCE, START_BALANCE));
		assert!(!WorkersMap::<Test>::contains_key(CHARLIE));
	});
}

#[test]
fn worker_should_come_back_when_it_bonds_extra_while_leaving() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		assert_ok!(Workers::unbond(signed(CHARLIE), 1_000));
		assert_noop!(Workers::serve_model(signed(CHARLIE), model(1), terms()), Error::<Test>::BondTooSmall);
		assert_noop!(Workers::bond_extra(signed(CHARLIE), MIN_BOND - 1), Error::<Test>::BondTooSmall);
		assert_ok!(Workers::bond_extra(signed(CHARLIE), MIN_BOND));
		assert_ok!(Workers::serve_model(signed(CHARLIE), model(1), terms()));
		System::set_block_number(1 + UNBONDING_DELAY);
		assert_ok!(Workers::withdraw(signed(CHARLIE)));
		assert_eq!((held(CHARLIE), worker(CHARLIE).bonded), (MIN_BOND, MIN_BOND));
	});
}

#[test]
fn unbonding_should_be_refused_when_too_many_parts_are_out() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		for block in 1..=8 {
			System::set_block_number(block);
			assert_ok!(Workers::unbond(signed(CHARLIE), 1));
			// One more in the same block is part of the same.
			assert_ok!(Workers::unbond(signed(CHARLIE), 1));
		}
		System::set_block_number(9);
		assert_noop!(Workers::unbond(signed(CHARLIE), 1), Error::<Test>::TooManyUnbonding);
		System::set_block_number(1 + UNBONDING_DELAY);
		assert_ok!(Workers::withdraw(signed(CHARLIE)));
		assert_ok!(Workers::unbond(signed(CHARLIE), 1));
		assert_eq!(worker(CHARLIE).unbonding.len(), 8);
	});
}

#[test]
fn unbonding_should_stay_in_order_when_the_delay_was_shortened() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		let later = 1 + 2 * UNBONDING_DELAY;
		WorkersMap::<Test>::mutate(CHARLIE, |worker| {
			let worker = worker.as_mut().unwrap();
			worker.bonded -= 5;
			worker.unbonding.try_push(Unbonding { amount: 5, withdrawable_at: later }).unwrap();
		});
		Observed::mutate(|observed| observed.insert(CHARLIE, 995));
		assert_ok!(Workers::unbond(signed(CHARLIE), 10));
		assert_eq!(worker(CHARLIE).unbonding.into_inner(), vec![Unbonding { amount: 15, withdrawable_at: later }]);
	});
}

#[test]
fn stake_should_stay_when_it_covers_jobs() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		assert_ok!(Workers::assign(&CHARLIE, &model(1), 600));
		assert_noop!(Workers::unbond(signed(CHARLIE), 401), Error::<Test>::StakeCoversJobs);
		assert_noop!(Workers::unbond(signed(CHARLIE), 1_000), Error::<Test>::StakeCoversJobs);
		assert_ok!(Workers::unbond(signed(CHARLIE), 400));
		Workers::answered(&CHARLIE, &model(1));
		assert_noop!(Workers::unbond(signed(CHARLIE), 600), Error::<Test>::StakeCoversJobs);
		Workers::release(&CHARLIE, 600);
		assert_ok!(Workers::unbond(signed(CHARLIE), 600));
	});
}

#[test]
fn worker_should_not_leave_when_jobs_without_a_bond_are_open() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		assert_ok!(Workers::assign(&CHARLIE, &model(1), 0));
		assert_noop!(Workers::unbond(signed(CHARLIE), 1_000), Error::<Test>::ServiceBusy);
		Workers::answered(&CHARLIE, &model(1));
		assert_ok!(Workers::unbond(signed(CHARLIE), 1_000));
		System::set_block_number(1 + UNBONDING_DELAY);
		assert_noop!(Workers::withdraw(signed(CHARLIE)), Error::<Test>::ClaimsOpen);
		Workers::release(&CHARLIE, 0);
		assert_ok!(Workers::withdraw(signed(CHARLIE)));
	});
}

#[test]
fn genesis_should_hold_bonds_and_serve() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 2).with_worker(EVE, 500, 1).build_and_execute(|| {
		assert_eq!((held(CHARLIE), held(EVE)), (1_000, 500));
		assert_eq!(Observed::get(), [(CHARLIE, 1_000), (EVE, 500)].into());
		assert_eq!(Workers::servers(model(1)), vec![(CHARLIE, terms()), (EVE, terms())]);
	});
}

#[test]
#[should_panic(expected = "cannot bond")]
fn genesis_should_panic_when_a_bond_is_too_small() {
	ExtBuilder::default().with_worker(CHARLIE, MIN_BOND - 1, 0).build();
}

#[test]
fn genesis_config_should_survive_json() {
	let workers = ExtBuilder::default().with_worker(CHARLIE, 1_000, 2).workers();
	let json =
		frame_support::__private::serde_json::to_string(&crate::GenesisConfig::<Test> { workers: workers.clone() });
	let back: crate::GenesisConfig<Test> = frame_support::__private::serde_json::from_str(&json.unwrap()).unwrap();
	assert_eq!(back.workers, workers);
}

#[test]
fn constants_should_hold_together() {
	Workers::integrity_test();
}
