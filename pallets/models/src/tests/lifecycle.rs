//! Prices, deprecation, removal.

use super::*;
use crate::{Error, ModelStatus, Models as ModelsMap, Names};
use frame_support::{assert_noop, assert_ok};

fn with_digits(test: impl FnOnce()) {
	ExtBuilder::default().build_and_execute(|| {
		assert_ok!(Models::register_model(RuntimeOrigin::signed(DAVE), name("digits"), registration(1)));
		test();
	});
}

fn deprecate_and_remove(seed: u8) {
	assert_ok!(Models::deprecate_model(RuntimeOrigin::signed(DAVE), model(seed)));
	System::set_block_number(System::block_number() + LONGEST_JOB + 1);
	assert_ok!(Models::remove_model(RuntimeOrigin::signed(DAVE), model(seed)));
}

#[test]
fn price_should_change_when_the_owner_sets_it() {
	with_digits(|| {
		for price in [0, 1, u128::MAX] {
			assert_ok!(Models::set_price(RuntimeOrigin::signed(DAVE), model(1), price));
			assert_eq!(Models::get(&model(1)).unwrap().price, price);
			assert_eq!(last_event(), Event::PriceSet { model: model(1), price });
		}
	});
}

#[test]
fn model_should_not_change_when_another_account_asks() {
	with_digits(|| {
		let eve = || RuntimeOrigin::signed(EVE);
		assert_noop!(Models::set_price(eve(), model(1), 1), Error::<Test>::NotOwner);
		assert_noop!(Models::deprecate_model(eve(), model(1)), Error::<Test>::NotOwner);
		assert_noop!(Models::remove_model(eve(), model(1)), Error::<Test>::NotOwner);
	});
}

#[test]
fn calls_should_fail_when_the_model_is_unknown() {
	ExtBuilder::default().build_and_execute(|| {
		let dave = || RuntimeOrigin::signed(DAVE);
		assert_noop!(Models::set_price(dave(), model(1), 1), Error::<Test>::UnknownModel);
		assert_noop!(Models::deprecate_model(dave(), model(1)), Error::<Test>::UnknownModel);
		assert_noop!(Models::remove_model(dave(), model(1)), Error::<Test>::UnknownModel);
		assert_eq!(Models::model(model(1)), None);
		assert_eq!(Models::latest(DAVE, name("digits")), None);
	});
}

#[test]
fn model_should_take_no_jobs_when_deprecated() {
	with_digits(|| {
		assert_ok!(Models::deprecate_model(RuntimeOrigin::signed(DAVE), model(1)));
		assert_eq!(last_event(), Event::ModelDeprecated { model: model(1) });
		assert!(!Models::is_active(&model(1)));
		assert_eq!(Models::get(&model(1)).unwrap().status, ModelStatus::Deprecated { since: 1 });
		assert_noop!(Models::deprecate_model(RuntimeOrigin::signed(DAVE), model(1)), Error::<Test>::ModelDeprecated);
	});
}

#[test]
fn model_should_stay_while_jobs_on_it_can_be_open() {
	with_digits(|| {
		System::set_block_number(7);
		assert_ok!(Models::deprecate_model(RuntimeOrigin::signed(DAVE), model(1)));
		for block in [7, 8, 7 + LONGEST_JOB] {
			System::set_block_number(block);
			assert_noop!(Models::remove_model(RuntimeOrigin::signed(DAVE), model(1)), Error::<Test>::ModelInUse);
		}
		System::set_block_number(8 + LONGEST_JOB);
		assert_ok!(Models::remove_model(RuntimeOrigin::signed(DAVE), model(1)));
	});
}

#[test]
fn invalid_model_should_take_no_jobs_for_good() {
	with_digits(|| {
		Models::invalidate(&model(1));
		assert_eq!(last_event(), Event::ModelInvalidated { model: model(1) });
		assert!(Models::is_invalid(&model(1)) && !Models::is_active(&model(1)));
		System::set_block_number(5);
		Models::invalidate(&model(1));
		assert_eq!(Models::get(&model(1)).unwrap().status, ModelStatus::Invalid { since: 1 });
		assert_noop!(Models::deprecate_model(RuntimeOrigin::signed(DAVE), model(1)), Error::<Test>::ModelDeprecated);
		System::set_block_number(LONGEST_JOB + 1);
		assert_noop!(Models::remove_model(RuntimeOrigin::signed(DAVE), model(1)), Error::<Test>::ModelInUse);
		System::set_block_number(LONGEST_JOB + 2);
		assert_ok!(Models::remove_model(RuntimeOrigin::signed(DAVE), model(1)));
		Models::invalidate(&model(1));
		assert!(!Models::is_invalid(&model(1)));
	});
}

#[test]
fn model_should_leave_nothing_when_removed() {
	with_digits(|| {
		assert_noop!(Models::remove_model(RuntimeOrigin::signed(DAVE), model(1)), Error::<Test>::ModelActive);
		deprecate_and_remove(1);
		assert_eq!(last_event(), Event::ModelRemoved { model: model(1) });
		assert_eq!(held(DAVE), 0);
		assert_eq!(Balances::free_balance(DAVE), START_BALANCE);
		assert_eq!((ModelsMap::<Test>::iter().count(), Names::<Test>::iter().count()), (0, 0));
		// The same model can be registered again, by anyone.
		assert_ok!(Models::register_model(RuntimeOrigin::signed(EVE), name("digits"), registration(1)));
	});
}

#[test]
fn latest_should_fall_back_when_the_newest_version_is_removed() {
	with_digits(|| {
		for seed in [2, 3] {
			assert_ok!(Models::register_version(RuntimeOrigin::signed(DAVE), name("digits"), registration(seed)));
		}
		deprecate_and_remove(2);
		assert_eq!(Models::latest(DAVE, name("digits")), Some(model(3)));
		deprecate_and_remove(3);
		assert_eq!(Models::latest(DAVE, name("digits")), Some(model(1)));
		// Numbers of versions are not used twice.
		assert_ok!(Models::register_version(RuntimeOrigin::signed(DAVE), name("digits"), registration(4)));
		assert_eq!(Models::get(&model(4)).unwrap().version, 4);
		deprecate_and_remove(1);
		deprecate_and_remove(4);
		assert_eq!(Models::latest(DAVE, name("digits")), None);
		assert_ok!(Models::register_model(RuntimeOrigin::signed(DAVE), name("digits"), registration(1)));
	});
}
