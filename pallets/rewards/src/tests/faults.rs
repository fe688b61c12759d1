//! Faults cost availability.

use super::*;

fn paid_after(faults: &[Fault]) -> (Balance, Balance) {
	let mut result = (0, 0);
	ExtBuilder::default().with_emission().build_and_execute(|| {
		Rewards::set_active_stake(&CHARLIE, 1_000);
		for fault in faults {
			Rewards::note_fault(&CHARLIE, *fault);
		}
		run_to_era(1);
		result = (Rewards::claimable(CHARLIE).first().map_or(0, |(_, amount)| *amount), emission(0));
	});
	result
}

#[test]
fn payout_should_be_lower_when_the_worker_was_at_fault() {
	let (paid, emission) = paid_after(&[Fault::MissedDeadline]);
	assert_eq!(paid, Permill::from_percent(75).mul_floor(emission));
	let (paid, emission) = paid_after(&[Fault::Declined, Fault::Declined]);
	assert_eq!(paid, Permill::from_percent(90).mul_floor(emission));
	let (paid, emission) = paid_after(&[Fault::MissedDeadline, Fault::Declined]);
	assert_eq!(paid, Permill::from_percent(70).mul_floor(emission));
}

#[test]
fn payout_should_be_nothing_when_faults_are_many() {
	assert_eq!(paid_after(&[Fault::MissedDeadline; 4]).0, 0);
	assert_eq!(paid_after(&[Fault::MissedDeadline; 50]).0, 0);
}

#[test]
fn fault_should_count_in_its_era_only_and_for_its_worker_only() {
	ExtBuilder::default().with_emission().build_and_execute(|| {
		Rewards::set_active_stake(&CHARLIE, 1_000);
		Rewards::set_active_stake(&EVE, 1_000);
		run_to_era(1);
		Rewards::note_fault(&CHARLIE, Fault::MissedDeadline);
		run_to_era(3);
		let half = |era| emission(era) / 2;
		let less = Permill::from_percent(75).mul_floor(half(1));
		assert_eq!(Rewards::claimable(CHARLIE), vec![(0, half(0)), (1, less), (2, half(2))]);
		assert_eq!(Rewards::claimable(EVE), vec![(0, half(0)), (1, half(1)), (2, half(2))]);
	});
}

#[test]
fn fault_should_leave_nothing_when_the_account_has_no_stake() {
	ExtBuilder::default().build_and_execute(|| {
		Rewards::note_fault(&NOBODY, Fault::Declined);
		assert!(!Ledgers::<Test>::contains_key(NOBODY));
	});
}
