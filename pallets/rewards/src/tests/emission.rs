//! Eras, points and the schedule.

use super::*;
use crate::{EmissionEnabled, TotalStake};
use sp_runtime::FixedU128;

#[test]
fn era_should_end_by_itself() {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		assert_eq!(Rewards::era(), (0, 0, EMISSION_TOTAL / 7));
		Rewards::set_active_stake(&CHARLIE, 100);
		run_to(ERA_LENGTH - 1);
		assert_eq!(CurrentEra::<Test>::get().index, 0);
		run_to(ERA_LENGTH);
		assert_eq!(Rewards::era().0, 1);
		assert_eq!(Rewards::era().1, ERA_LENGTH);
		assert_eq!(last_event(), Event::EraEnded { era: 0, emission: EMISSION_TOTAL / 7, total_points: 100 * 9 });
	});
}

#[test]
fn emission_should_follow_stake_and_time() {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		run_to_era(1);
		Rewards::set_active_stake(&CHARLIE, 1_000);
		run_to(ERA_LENGTH + ERA_LENGTH / 2);
		Rewards::set_active_stake(&EVE, 3_000);
		run_to_era(2);
		assert_eq!(Eras::<Test>::get(1).unwrap().total_points, 1_000 * 10 + 3_000 * 5);

		let emission = emission(1);
		let issuance = Balances::total_issuance();
		assert_eq!(Rewards::claimable(CHARLIE), vec![(1, emission * 2 / 5)]);
		assert_ok!(payout(CHARLIE, 1));
		assert_eq!(last_event(), Event::EraPaid { era: 1, worker: CHARLIE, amount: emission * 2 / 5 });
		assert_ok!(payout(EVE, 1));
		let minted = emission * 2 / 5 + emission * 3 / 5;
		assert!(minted <= emission);
		assert_eq!(Balances::total_issuance() - issuance, minted);
		assert_eq!(TotalMinted::<Test>::get(), minted);
		assert_eq!(Balances::free_balance(CHARLIE), START_BALANCE + emission * 2 / 5);
	});
}

#[test]
fn points_should_count_every_change_within_an_era() {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		run_to_era(1);
		for (block, stake) in [(10, 5), (12, 100), (12, 7), (15, 0), (18, 1)] {
			run_to(block);
			Rewards::set_active_stake(&CHARLIE, stake);
			Rewards::do_try_state().unwrap();
		}
		run_to_era(2);
		assert_eq!(Eras::<Test>::get(1).unwrap().total_points, 5 * 2 + 7 * 3 + 2);
		// Nobody else: all of it, to the planck.
		assert_eq!(Rewards::claimable(CHARLIE), vec![(1, emission(1))]);
	});
}

#[test]
fn payout_should_happen_once() {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		Rewards::set_active_stake(&CHARLIE, 10);
		assert_noop!(payout(CHARLIE, 0), Error::<Test>::EraNotOver);
		assert_noop!(payout(CHARLIE, u32::MAX), Error::<Test>::EraNotOver);
		run_to_era(1);
		assert_noop!(payout(EVE, 0), Error::<Test>::NothingToPay);
		assert_noop!(Rewards::payout_era(RuntimeOrigin::none(), CHARLIE, 0), DispatchError::BadOrigin);
		assert_ok!(payout(CHARLIE, 0));
		assert_noop!(payout(CHARLIE, 0), Error::<Test>::AlreadyPaid);
		assert_eq!(Rewards::claimable(CHARLIE), vec![]);
	});
}

#[test]
fn payout_should_stay_claimable_when_the_account_cannot_take_it() {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		Rewards::set_active_stake(&CHARLIE, 1_000_000);
		Rewards::set_active_stake(&NOBODY, 1);
		run_to_era(1);
		// A millionth of the emission is nothing at all.
		assert_noop!(payout(NOBODY, 0), Error::<Test>::NothingToPay);
		Rewards::set_active_stake(&NOBODY, 50);
		run_to_era(2);
		let [(1, amount)] = Rewards::claimable(NOBODY)[..] else { panic!("nothing to claim") };
		assert!(amount < EXISTENTIAL_DEPOSIT);
		assert_noop!(payout(NOBODY, 1), sp_runtime::TokenError::BelowMinimum);
		assert_eq!(Rewards::claimable(NOBODY), vec![(1, amount)]);
	});
}

#[test]
fn emission_should_be_shared_with_whoever_stands_behind_the_worker() {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		Rewards::set_active_stake(&FERDIE, 1_000);
		run_to_era(1);
		let issuance = Balances::total_issuance();
		assert_ok!(payout(FERDIE, 0));
		let minted = emission(0);
		assert_eq!(Balances::free_balance(GINA), START_BALANCE + minted / 4);
		assert_eq!(Balances::free_balance(FERDIE), START_BALANCE + minted - minted / 4);
		assert_eq!(Balances::total_issuance(), issuance + minted);
	});
}

#[test]
fn all_eras_should_be_paid_at_once_when_they_must_be() {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		Rewards::set_active_stake(&CHARLIE, 1_000);
		Rewards::set_active_stake(&EVE, 3_000);
		run_to_era(3);
		assert_ok!(payout(CHARLIE, 1));
		let claimable: Balance = Rewards::claimable(CHARLIE).into_iter().map(|(_, amount)| amount).sum();
		let before = (Balances::free_balance(CHARLIE), TotalMinted::<Test>::get());
		Rewards::payout_all(&CHARLIE);
		let after = (Balances::free_balance(CHARLIE), TotalMinted::<Test>::get());
		assert_eq!(after, (before.0 + claimable, before.1 + claimable));
		assert!(matches!(last_event(), Event::EraPaid { era: 2, worker: CHARLIE, .. }));
		assert_eq!(Rewards::claimable(CHARLIE), vec![]);
		for who in [CHARLIE, NOBODY] {
			System::reset_events();
			Rewards::payout_all(&who);
			assert!(System::events().is_empty());
		}
	});
}

#[test]
fn all_eras_should_stay_claimable_when_the_account_cannot_take_them() {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		Rewards::set_active_stake(&CHARLIE, 1_000_000);
		Rewards::set_active_stake(&NOBODY, 20);
		run_to_era(3);
		let claimable = Rewards::claimable(NOBODY);
		assert!(
			claimable.len() == 3 && claimable.iter().map(|(_, amount)| amount).sum::<Balance>() < EXISTENTIAL_DEPOSIT
		);
		let issuance = Balances::total_issuance();
		Rewards::payout_all(&NOBODY);
		assert_eq!((Rewards::claimable(NOBODY), Balances::total_issuance()), (claimable, issuance));
	});
}

#[test]
fn estimate_should_be_what_a_year_like_this_era_would_bring() {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		assert_eq!(Rewards::apy_estimate(), None);
		Rewards::set_active_stake(&CHARLIE, 1_000);
		Rewards::set_active_stake(&EVE, 3_000);
		let (_, _, emission) = Rewards::era();
		let eras_a_year = u128::from(assay_primitives::DAYS) * 365 / u128::from(ERA_LENGTH);
		let expected = FixedU128::from_rational(emission * eras_a_year, 4_000);
		assert_eq!(Rewards::apy_estimate(), Some(expected));
		Rewards::set_active_stake(&CHARLIE, 0);
		Rewards::set_active_stake(&EVE, 0);
		assert_eq!(Rewards::apy_estimate(), None);
	});
}

#[test]
fn estimate_should_be_zero_when_emission_is_off() {
	ExtBuilder::default().build_and_execute(|| {
		Rewards::set_active_stake(&CHARLIE, 1_000);
		assert_eq!(Rewards::apy_estimate(), Some(FixedU128::from_u32(0)));
	});
}

#[test]
fn schedule_should_end_exactly_at_its_total() {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		Rewards::set_active_stake(&CHARLIE, 1);
		let issuance = Balances::total_issuance();
		for era in 0..EMISSION_ERAS + 3 {
			run_to_era(era + 1);
			if era < EMISSION_ERAS {
				assert_ok!(payout(CHARLIE, era));
			} else {
				assert_eq!(emission(era), 0);
				assert_noop!(payout(CHARLIE, era), Error::<Test>::NothingToPay);
			}
			Rewards::do_try_state().unwrap();
		}
		assert_eq!(TotalMinted::<Test>::get(), EMISSION_TOTAL);
		assert_eq!(Balances::total_issuance(), issuance + EMISSION_TOTAL);
	});
}

#[test]
fn nothing_should_be_minted_when_emission_is_off() {
	ExtBuilder::default().build_and_execute(|| {
		Rewards::set_active_stake(&CHARLIE, 1_000);
		run_to_era(2);
		assert_eq!(Rewards::era(), (2, 2 * ERA_LENGTH, 0));
		assert_eq!((emission(0), EmittedEras::<Test>::get()), (0, 0));
		assert_noop!(payout(CHARLIE, 1), Error::<Test>::NothingToPay);
		// The schedule begins when it is switched on.
		EmissionEnabled::<Test>::put(true);
		run_to_era(3);
		assert_eq!(emission(2), EMISSION_TOTAL / 7);
	});
}

#[test]
fn nothing_should_be_minted_when_nobody_had_stake() {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		run_to_era(1);
		Rewards::set_active_stake(&CHARLIE, 1_000);
		assert_eq!(Eras::<Test>::get(0).unwrap().total_points, 0);
		assert_noop!(payout(CHARLIE, 0), Error::<Test>::NothingToPay);
	});
}

#[test]
fn points_should_saturate_when_stake_is_extreme() {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		Rewards::set_active_stake(&CHARLIE, u128::MAX);
		Rewards::set_active_stake(&EVE, u128::MAX);
		run_to_era(1);
		let issuance = Balances::total_issuance();
		assert_ok!(payout(CHARLIE, 0));
		// Both earned as many points as can be counted; no more than the emission is minted all the same.
		assert_noop!(payout(EVE, 0), Error::<Test>::NothingToPay);
		assert_eq!(Balances::total_issuance() - issuance, emission(0));
		assert_eq!(TotalStake::<Test>::get().stake, u128::MAX);
	});
}
