//! Where fees go.

use super::*;

fn pay_out(fee: Balance, owner: u64, royalty: Permill, worker: u64) -> Result<Shares, DispatchError> {
	Rewards::pay_out(&BOB, &fee_reason(), fee, &owner, royalty, &worker)
}

/// Pay out a fee, and check that every planck of it is where the shares say.
fn pay_out_exactly(fee: Balance, owner: u64, royalty: Permill, worker: u64) -> Shares {
	hold_fee(BOB, fee);
	let issuance = Balances::total_issuance();
	let accounts = [BOB, owner, worker, Rewards::treasury()];
	let before: Vec<_> = accounts.iter().map(Balances::total_balance).collect();
	let shares = pay_out(fee, owner, royalty, worker).unwrap();
	assert_eq!(shares.total(), fee);
	assert_eq!(issuance - Balances::total_issuance(), shares.burned);
	assert_eq!(last_event(), Event::FeePaid { payer: BOB, owner, worker, shares });
	for (account, before) in accounts.iter().zip(before) {
		let mut expected = before;
		expected -= if *account == BOB { fee } else { 0 };
		expected += if *account == owner { shares.royalty } else { 0 };
		expected += if *account == worker { shares.worker } else { 0 };
		expected += if *account == Rewards::treasury() { shares.treasury } else { 0 };
		assert_eq!(Balances::total_balance(account), expected, "account {account}");
	}
	assert_eq!(held(BOB), 0);
	shares
}

use frame_support::traits::fungible::Inspect;

#[test]
fn fee_should_be_shared_when_settled() {
	ExtBuilder::default().build_and_execute(|| {
		let shares = pay_out_exactly(1_000, DAVE, Permill::from_percent(10), CHARLIE);
		assert_eq!(shares, Shares { burned: 50, treasury: 50, royalty: 100, worker: 800 });
	});
}

#[test]
fn worker_should_share_its_part_with_whoever_stands_behind_it() {
	ExtBuilder::default().with_treasury().build_and_execute(|| {
		hold_fee(BOB, 100);
		assert_ok!(pay_out(100, DAVE, Permill::from_percent(10), FERDIE));
		assert_eq!(Balances::free_balance(FERDIE), START_BALANCE + 60);
		assert_eq!(Balances::free_balance(GINA), START_BALANCE + 20);
	});
}

#[test]
fn worker_should_get_what_rounding_leaves() {
	ExtBuilder::default().with_treasury().build_and_execute(|| {
		let shares = pay_out_exactly(999, DAVE, Permill::from_parts(123_456), CHARLIE);
		assert_eq!(shares, Shares { burned: 49, treasury: 49, royalty: 123, worker: 778 });
		let shares = pay_out_exactly(1, DAVE, Permill::from_percent(30), CHARLIE);
		assert_eq!(shares, Shares { burned: 0, treasury: 0, royalty: 0, worker: 1 });
		let shares = pay_out_exactly(0, DAVE, Permill::from_percent(30), CHARLIE);
		assert_eq!(shares, Shares::default());
	});
}

#[test]
fn royalty_should_be_cut_when_above_the_largest() {
	ExtBuilder::default().build_and_execute(|| {
		let shares = pay_out_exactly(1_000, DAVE, Permill::one(), CHARLIE);
		assert_eq!((shares.royalty, shares.worker), (300, 600));
	});
}

#[test]
fn share_should_go_to_the_treasury_when_its_receiver_cannot_take_it() {
	ExtBuilder::default().with_treasury().build_and_execute(|| {
		// 9 of royalty are below the existential deposit.
		let shares = pay_out_exactly(90, NOBODY, Permill::from_percent(10), CHARLIE);
		assert_eq!(shares, Shares { burned: 4, treasury: 4 + 9, royalty: 0, worker: 73 });
		let shares = pay_out_exactly(10, DAVE, Permill::zero(), NOBODY);
		assert_eq!(shares, Shares { burned: 0, treasury: 0, royalty: 0, worker: 10 });
		let shares = pay_out_exactly(9, DAVE, Permill::zero(), NOBODY - 1);
		assert_eq!(shares, Shares { burned: 0, treasury: 9, royalty: 0, worker: 0 });
	});
}

#[test]
fn share_should_be_burned_when_the_treasury_cannot_take_it() {
	ExtBuilder::default().build_and_execute(|| {
		let shares = pay_out_exactly(100, DAVE, Permill::zero(), CHARLIE);
		assert_eq!(shares, Shares { burned: 10, treasury: 0, royalty: 0, worker: 90 });
		let shares = pay_out_exactly(9, NOBODY, Permill::zero(), NOBODY);
		assert_eq!(shares, Shares { burned: 9, treasury: 0, royalty: 0, worker: 0 });
		// Enough for the treasury to begin.
		let shares = pay_out_exactly(200, DAVE, Permill::zero(), CHARLIE);
		assert_eq!(shares, Shares { burned: 10, treasury: 10, royalty: 0, worker: 180 });
	});
}

#[test]
fn fee_should_be_shared_when_all_parties_are_one() {
	ExtBuilder::default().build_and_execute(|| {
		let shares = pay_out_exactly(1_000, BOB, Permill::from_percent(30), BOB);
		assert_eq!(shares, Shares { burned: 50, treasury: 50, royalty: 300, worker: 600 });
	});
}

#[test]
fn fee_should_be_refused_when_it_is_not_held() {
	ExtBuilder::default().build_and_execute(|| {
		hold_fee(BOB, 99);
		for fee in [100, u128::MAX] {
			assert_noop!(pay_out(fee, DAVE, Permill::zero(), CHARLIE), Error::<Test>::FeeNotHeld);
		}
		let other = jobs::HoldReason::Other.into();
		assert_noop!(Rewards::pay_out(&BOB, &other, 99, &DAVE, Permill::zero(), &CHARLIE), Error::<Test>::FeeNotHeld);
	});
}

#[test]
fn fee_should_leave_what_else_is_held() {
	ExtBuilder::default().with_treasury().build_and_execute(|| {
		hold_fee(BOB, 500);
		assert_ok!(pay_out(200, DAVE, Permill::zero(), CHARLIE));
		assert_eq!(held(BOB), 300);
	});
}

#[test]
fn shares_should_add_up_when_fees_are_extreme() {
	for fee in [0, 1, 19, 20, 21, u64::MAX as u128, u128::MAX - 1, u128::MAX] {
		for royalty in [Permill::zero(), Permill::from_parts(1), Permill::from_percent(30), Permill::one()] {
			let Shares { burned, treasury, royalty, worker } = Rewards::split(fee, royalty);
			let sum = [burned, treasury, royalty, worker].into_iter().try_fold(0, Balance::checked_add);
			assert_eq!(sum, Some(fee));
			assert!(royalty <= fee / 10 * 3 + 2);
		}
	}
}

#[test]
fn constants_should_hold_together() {
	Rewards::integrity_test();
}
