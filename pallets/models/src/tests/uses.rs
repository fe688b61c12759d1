//! Open jobs on models.

use super::*;
use crate::{Error, Uses};
use frame_support::{assert_noop, assert_ok};

#[test]
fn model_should_stay_when_it_has_open_jobs() {
	ExtBuilder::default().with_model(DAVE, "digits", &registration(1)).build_and_execute(|| {
		assert_ok!(Models::acquire(&model(1)));
		assert_ok!(Models::acquire(&model(1)));
		assert_ok!(Models::deprecate_model(RuntimeOrigin::signed(DAVE), model(1)));
		assert_noop!(Models::remove_model(RuntimeOrigin::signed(DAVE), model(1)), Error::<Test>::ModelInUse);
		Models::release(&model(1));
		assert_noop!(Models::remove_model(RuntimeOrigin::signed(DAVE), model(1)), Error::<Test>::ModelInUse);
		Models::release(&model(1));
		assert!(!Uses::<Test>::contains_key(model(1)));
		assert_ok!(Models::remove_model(RuntimeOrigin::signed(DAVE), model(1)));
	});
}

#[test]
fn model_should_not_be_acquired_when_it_takes_no_jobs() {
	ExtBuilder::default().with_model(DAVE, "digits", &registration(1)).build_and_execute(|| {
		assert_noop!(Models::acquire(&model(2)), Error::<Test>::UnknownModel);
		Uses::<Test>::insert(model(1), u32::MAX);
		assert_noop!(Models::acquire(&model(1)), Error::<Test>::TooManyUses);
		assert_ok!(Models::deprecate_model(RuntimeOrigin::signed(DAVE), model(1)));
		assert_noop!(Models::acquire(&model(1)), Error::<Test>::ModelDeprecated);
	});
}

#[test]
// Without debug assertions it is logged, and nothing changes.
#[cfg_attr(debug_assertions, should_panic(expected = "released more often than acquired"))]
fn release_should_be_noticed_when_nothing_was_acquired() {
	ExtBuilder::default().build_and_execute(|| Models::release(&model(1)));
}
