//! Stake that others put behind a worker: in, more, out.

use super::*;
use crate::Leaving;
use sp_runtime::{DispatchError, TokenError};

/// The block in which stake is due that leaves in block 1: buckets are 9 blocks wide.
const DUE: u32 = 54;

#[test]
fn stake_should_move_to_the_pot_and_weigh_for_the_worker_when_delegated() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 300));
		assert_eq!(last_event(), Event::Delegated { worker: CHARLIE, delegator: GINA, amount: 300 });
		// The first delegator of all pays for the pot's existence.
		assert_eq!(Balances::free_balance(GINA), START_BALANCE - 300 - EXISTENTIAL_DEPOSIT);
		assert_eq!((delegated_in_all(), stake(CHARLIE, GINA)), (300, 300));
		assert_eq!((worker(CHARLIE).bonded, worker(CHARLIE).delegated), (1_000, 300));
		assert_eq!(Observed::get()[&CHARLIE], 1_300);
		assert_eq!(worker(CHARLIE).free(), 1_000);

		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 1));
		assert_ok!(Workers::delegate(signed(HANS), CHARLIE, 50));
		assert_eq!(Balances::free_balance(HANS), START_BALANCE - 50);
		assert_eq!((stake(CHARLIE, GINA), stake(CHARLIE, HANS), delegated_in_all()), (301, 50, 351));
		assert_eq!(Pools::<Test>::get(CHARLIE).delegators, 2);
	});
}

#[test]
fn delegation_should_be_refused_when_the_worker_cannot_take_it() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		assert_noop!(Workers::delegate(signed(GINA), EVE, 100), Error::<Test>::UnknownWorker);
		assert_noop!(Workers::delegate(signed(GINA), CHARLIE, 100), Error::<Test>::DelegationClosed);
		assert_ok!(Workers::set_commission(signed(CHARLIE), Perbill::zero()));
		assert_noop!(Workers::delegate(signed(GINA), CHARLIE, 0), Error::<Test>::AmountZero);
		assert_noop!(Workers::delegate(signed(GINA), CHARLIE, MIN_DELEGATION - 1), Error::<Test>::DelegationTooSmall);
		assert_noop!(Workers::delegate(signed(GINA), CHARLIE, 4_001), Error::<Test>::TooMuchDelegated);
		assert_noop!(Workers::delegate(signed(GINA), CHARLIE, u128::MAX), Error::<Test>::TooMuchDelegated);
		assert_noop!(Workers::delegate(signed(NOBODY), CHARLIE, 100), TokenError::FundsUnavailable);
		assert_noop!(Workers::delegate(RuntimeOrigin::root(), CHARLIE, 100), DispatchError::BadOrigin);
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 4_000));
		assert_noop!(Workers::delegate(signed(GINA), CHARLIE, 1), Error::<Test>::TooMuchDelegated);
	});
}

#[test]
fn delegated_stake_should_weigh_as_far_as_own_stake_carries_it_and_cover_nothing() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 3_000));
		assert_ok!(Workers::unbond(signed(CHARLIE), 500));
		assert_eq!((worker(CHARLIE).delegated, Observed::get()[&CHARLIE]), (3_000, 2_500));
		assert_noop!(Workers::assign(&CHARLIE, &model(1), 501), Error::<Test>::NotEnoughFreeStake);
		assert_ok!(Workers::assign(&CHARLIE, &model(1), 500));
		assert_noop!(Workers::unbond(signed(CHARLIE), 1), Error::<Test>::StakeCoversJobs);
		Workers::answered(&CHARLIE, &model(1));
		Workers::release(&CHARLIE, 500);
		assert_ok!(Workers::unbond(signed(CHARLIE), 500));
		assert_eq!(Observed::get()[&CHARLIE], 0);
	});
}

#[test]
fn stake_should_come_back_when_undelegated_and_due() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 300));
		assert_ok!(Workers::undelegate(signed(GINA), CHARLIE, Some(100)));
		let event = Event::Undelegated { worker: CHARLIE, delegator: GINA, amount: 100, withdrawable_at: DUE };
		assert_eq!(last_event(), event);
		assert_eq!((stake(CHARLIE, GINA), worker(CHARLIE).delegated, Observed::get()[&CHARLIE]), (200, 200, 1_200));
		assert_eq!(delegation(CHARLIE, GINA).unbonding, vec![Unbonding { amount: 100, withdrawable_at: DUE }]);
		System::set_block_number(4);
		// Later in the same bucket.
		assert_ok!(Workers::undelegate(signed(GINA), CHARLIE, None));
		assert_eq!(delegation(CHARLIE, GINA).unbonding, vec![Unbonding { amount: 300, withdrawable_at: DUE }]);
		assert_eq!((stake(CHARLIE, GINA), Observed::get()[&CHARLIE]), (0, 1_000));
		assert_noop!(Workers::undelegate(signed(GINA), CHARLIE, None), Error::<Test>::NotEnoughDelegated);

		System::set_block_number(DUE - 1);
		let withdraw = || Workers::withdraw_delegation(signed(EVE), CHARLIE, GINA);
		assert_noop!(withdraw(), Error::<Test>::NothingToWithdraw);
		System::set_block_number(DUE);
		assert_ok!(withdraw());
		assert_eq!(last_event(), Event::DelegationWithdrawn { worker: CHARLIE, delegator: GINA, amount: 300 });
		assert_eq!(Balances::free_balance(GINA), START_BALANCE - EXISTENTIAL_DEPOSIT);
		assert_eq!((delegated_in_all(), Workers::delegation(CHARLIE, GINA)), (0, None));
		assert_eq!(Matured::<Test>::iter().count(), 0);
		assert_noop!(withdraw(), Error::<Test>::UnknownDelegation);
	});
}

#[test]
fn undelegating_should_be_refused_when_it_leaves_too_little_or_takes_too_much() {
	open().build_and_execute(|| {
		assert_noop!(Workers::undelegate(signed(GINA), CHARLIE, None), Error::<Test>::UnknownDelegation);
		assert_noop!(Workers::set_payee(signed(GINA), CHARLIE, Payee::Stake), Error::<Test>::UnknownDelegation);
		assert_noop!(Workers::claim(signed(GINA), CHARLIE, GINA), Error::<Test>::UnknownDelegation);
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 100));
		assert_noop!(Workers::undelegate(signed(GINA), CHARLIE, Some(0)), Error::<Test>::AmountZero);
		assert_noop!(Workers::undelegate(signed(GINA), CHARLIE, Some(101)), Error::<Test>::NotEnoughDelegated);
		assert_noop!(Workers::undelegate(signed(GINA), CHARLIE, Some(u128::MAX)), Error::<Test>::NotEnoughDelegated);
		assert_noop!(Workers::undelegate(signed(GINA), CHARLIE, Some(81)), Error::<Test>::DelegationTooSmall);
		assert_ok!(Workers::undelegate(signed(GINA), CHARLIE, Some(80)));
		assert_ok!(Workers::undelegate(signed(GINA), CHARLIE, Some(20)));
		assert_eq!(stake(CHARLIE, GINA), 0);
	});
}

#[test]
fn delegator_should_leave_when_jobs_are_open() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 1_000));
		assert_ok!(Workers::assign(&CHARLIE, &model(1), 900));
		Workers::answered(&CHARLIE, &model(1));
		assert_ok!(Workers::undelegate(signed(GINA), CHARLIE, None));
		// It bears its part of what happened before it left.
		assert_noop!(Workers::assign(&CHARLIE, &model(1), 101), Error::<Test>::NotEnoughFreeStake);
		assert_noop!(Workers::unbond(signed(CHARLIE), 200), Error::<Test>::StakeCoversJobs);
		check();
		Workers::release(&CHARLIE, 900);
		assert_eq!(slash(CHARLIE, 900), 900);
		assert_eq!((worker(CHARLIE).bonded, delegation(CHARLIE, GINA).unbonding[0].amount), (100, 100));
	});
}

#[test]
fn delegator_should_leave_when_its_worker_has_left() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 300));
		assert_ok!(Workers::delegate(signed(HANS), CHARLIE, 200));
		assert_ok!(Workers::unbond(signed(CHARLIE), 1_000));
		System::set_block_number(1 + UNBONDING_DELAY);
		assert_ok!(Workers::withdraw(signed(CHARLIE)));
		assert!(!WorkersMap::<Test>::contains_key(CHARLIE));
		check();
		assert_noop!(Workers::delegate(signed(GINA), CHARLIE, 100), Error::<Test>::UnknownWorker);

		assert_ok!(Workers::undelegate(signed(GINA), CHARLIE, None));
		System::set_block_number(3 * UNBONDING_DELAY);
		assert_ok!(Workers::withdraw_delegation(signed(GINA), CHARLIE, GINA));
		assert_eq!(total(GINA), START_BALANCE - EXISTENTIAL_DEPOSIT);

		// It comes back, and finds the delegator that stayed.
		assert_ok!(Workers::bond(signed(CHARLIE), 500));
		assert_eq!(worker(CHARLIE).delegated, 200);
		assert_ok!(Workers::serve_model(signed(CHARLIE), model(1), terms()));
		// Without a key it cannot answer, so it does not work.
		assert_eq!(Observed::get().get(&CHARLIE).copied().unwrap_or(0), 0);
		assert_ok!(Workers::set_service_key(signed(CHARLIE), key(9)));
		assert_eq!(Observed::get()[&CHARLIE], 700);
		assert_ok!(Workers::unbond(signed(CHARLIE), 500));
		assert_ok!(Workers::undelegate(signed(HANS), CHARLIE, None));
		System::set_block_number(5 * UNBONDING_DELAY);
		assert_ok!(Workers::withdraw(signed(CHARLIE)));
		assert_ok!(Workers::withdraw_delegation(signed(EVE), CHARLIE, HANS));
		assert_eq!(Pools::<Test>::iter().count(), 0);
	});
}

#[test]
fn due_stake_should_come_along_when_more_is_undelegated() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 1_000));
		for block in (1..400).step_by(7) {
			System::set_block_number(block);
			assert_ok!(Workers::undelegate(signed(GINA), CHARLIE, Some(10)));
			assert!(Pools::<Test>::get(CHARLIE).unbonding.len() < 8);
			check();
		}
		let left = delegation(CHARLIE, GINA);
		let out: Balance = left.unbonding.iter().map(|part| part.amount).sum();
		assert!(left.unbonding.iter().all(|part| part.withdrawable_at > System::block_number()));
		assert_eq!(Balances::free_balance(GINA) + left.stake + out, START_BALANCE - EXISTENTIAL_DEPOSIT);
	});
}

#[test]
fn stake_should_be_out_of_reach_when_it_was_due() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 300));
		assert_ok!(Workers::undelegate(signed(GINA), CHARLIE, None));
		System::set_block_number(DUE + 1);
		assert_eq!(slash(CHARLIE, 500), 500);
		assert_eq!(worker(CHARLIE).bonded, 500);
		assert_ok!(Workers::withdraw_delegation(signed(GINA), CHARLIE, GINA));
		assert_eq!(total(GINA), START_BALANCE - EXISTENTIAL_DEPOSIT);
	});
}

#[test]
fn slash_should_take_the_same_part_from_all() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 2_000));
		assert_ok!(Workers::delegate(signed(HANS), CHARLIE, 1_000));
		// To run when the challenge comes saves nothing.
		assert_ok!(Workers::undelegate(signed(HANS), CHARLIE, Some(500)));
		assert_eq!(slash(CHARLIE, 400), 400);
		assert_eq!((worker(CHARLIE).bonded, stake(CHARLIE, GINA)), (600, 1_200));
		assert_eq!((stake(CHARLIE, HANS), delegation(CHARLIE, HANS).unbonding[0].amount), (300, 300));
		assert_eq!((held(CHARLIE), delegated_in_all(), Observed::get()[&CHARLIE]), (600, 1_800, 2_100));
		System::assert_has_event(
			Event::Slashed { worker: CHARLIE, amount: 1_600, reason: SlashReason::WrongAnswer }.into(),
		);
	});
}

#[test]
fn delegators_should_bear_no_more_than_counts_for_the_worker() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 3_000));
		assert_ok!(Workers::unbond(signed(CHARLIE), 500));
		System::set_block_number(1 + UNBONDING_DELAY);
		assert_ok!(Workers::withdraw(signed(CHARLIE)));
		// A fifth of what counts, which is four times its own.
		assert_eq!(slash(CHARLIE, 100), 100);
		assert_eq!((worker(CHARLIE).bonded, stake(CHARLIE, GINA)), (400, 2_600));
		assert_eq!(slash(CHARLIE, 2_500), 400);
		assert_eq!((worker(CHARLIE).bonded, stake(CHARLIE, GINA)), (0, 1_000));
	});
}

#[test]
fn newcomer_should_pay_the_price_of_a_share_when_others_were_slashed() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 1_000));
		assert_eq!(slash(CHARLIE, 500), 500);
		assert_ok!(Workers::delegate(signed(HANS), CHARLIE, 500));
		assert_eq!((stake(CHARLIE, GINA), stake(CHARLIE, HANS)), (500, 500));
		assert_eq!(slash(CHARLIE, 100), 100);
		assert_eq!((stake(CHARLIE, GINA), stake(CHARLIE, HANS)), (400, 400));
	});
}

#[test]
fn pool_should_open_again_when_all_who_lost_everything_are_out() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 1_000));
		assert_ok!(Workers::delegate(signed(HANS), CHARLIE, 500));
		assert_ok!(Workers::undelegate(signed(HANS), CHARLIE, Some(100)));
		reward(CHARLIE, 100);
		assert_eq!(slash(CHARLIE, u128::MAX), 1_000);
		assert_ok!(Workers::bond_extra(signed(CHARLIE), 1_000));
		assert_noop!(Workers::delegate(signed(FERDIE), CHARLIE, 100), Error::<Test>::PoolDepleted);
		check();
		// The one goes by itself, the other is shown out, and both get what they have earned.
		let (gina, hans) = (Workers::claimable(CHARLIE, GINA), Workers::claimable(CHARLIE, HANS));
		assert!(gina > 0 && hans > 0);
		assert_ok!(Workers::undelegate(signed(GINA), CHARLIE, None));
		assert_ok!(Workers::claim(signed(GINA), CHARLIE, GINA));
		assert_eq!(Balances::free_balance(GINA), START_BALANCE - 1_000 - EXISTENTIAL_DEPOSIT + gina);
		assert_ok!(Workers::withdraw_delegation(signed(EVE), CHARLIE, HANS));
		assert_eq!(Balances::free_balance(HANS), START_BALANCE - 500 + hans);
		assert_ok!(Workers::delegate(signed(FERDIE), CHARLIE, 100));
		// A bucket that was emptied takes nothing in: who leaves now is not there to share nothing.
		assert_ok!(Workers::undelegate(signed(FERDIE), CHARLIE, None));
		assert_eq!(delegation(CHARLIE, FERDIE).unbonding, vec![Unbonding { amount: 100, withdrawable_at: DUE + 1 }]);
		System::set_block_number(DUE + 1);
		assert_ok!(Workers::withdraw_delegation(signed(FERDIE), CHARLIE, FERDIE));
		assert_ok!(Workers::withdraw_delegation(signed(HANS), CHARLIE, HANS));
		assert_eq!((delegated_in_all(), Delegations::<Test>::iter().count()), (Pools::<Test>::get(CHARLIE).rewards, 0));
	});
}

#[test]
fn undelegating_should_be_refused_when_a_delegation_has_no_room() {
	open().build_and_execute(|| {
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 1_000));
		// As after a change of the delay: buckets at blocks that are none of today's.
		Pools::<Test>::mutate(CHARLIE, |pool| {
			for at in 0..8 {
				let bucket = crate::Bucket { withdrawable_at: 1_000 + at, joint: Joint { stake: 1, shares: 1 } };
				pool.bonded = Joint { stake: pool.bonded.stake - 1, shares: pool.bonded.shares - 1 };
				pool.unbonding.try_push(bucket).unwrap();
			}
		});
		Delegations::<Test>::mutate(CHARLIE, GINA, |delegation| {
			let delegation = delegation.as_mut().unwrap();
			for at in 0..8 {
				delegation.shares -= 1;
				delegation.unbonding.try_push(Leaving { withdrawable_at: 1_000 + at, shares: 1 }).unwrap();
			}
		});
		WorkersMap::<Test>::mutate(CHARLIE, |worker| worker.as_mut().unwrap().delegated = 992);
		Observed::mutate(|observed| observed.insert(CHARLIE, 1_992));
		assert_noop!(Workers::undelegate(signed(GINA), CHARLIE, Some(1)), Error::<Test>::TooManyUnbonding);
		System::set_block_number(1_007);
		assert_ok!(Workers::undelegate(signed(GINA), CHARLIE, Some(1)));
	});
}
