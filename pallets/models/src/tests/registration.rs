//! What can be registered and what cannot.

use super::*;
use crate::{types::*, Error, Models as ModelsMap, Names};
use assay_primitives::{Evidence, Policy};
use codec::Encode;
use frame_support::{assert_noop, assert_ok, traits::Hooks, BoundedVec};
use sp_runtime::{Permill, TokenError};

fn refused(change: impl FnOnce(&mut Registration), error: Error<Test>) {
	ExtBuilder::default().build_and_execute(|| {
		let mut registration = registration(1);
		change(&mut registration);
		assert_noop!(Models::register_model(RuntimeOrigin::signed(DAVE), name("digits"), registration), error);
	});
}

fn accepted(change: impl FnOnce(&mut Registration)) {
	ExtBuilder::default().build_and_execute(|| {
		let mut registration = registration(1);
		change(&mut registration);
		assert_ok!(Models::register_model(RuntimeOrigin::signed(DAVE), name("digits"), registration));
	});
}

fn policy(registration: &mut Registration, change: impl FnOnce(&mut assay_primitives::PolicyV1)) {
	let Policy::V1(policy) = &mut registration.policy;
	change(policy);
}

#[test]
fn model_should_be_registered_with_a_deposit_by_size() {
	ExtBuilder::default().build_and_execute(|| {
		assert_ok!(Models::register_model(RuntimeOrigin::signed(DAVE), name("digits"), registration(1)));

		let record = Models::model(model(1)).expect("registered");
		assert_eq!(record.deposit, BASE_DEPOSIT + BYTE_DEPOSIT * record.encoded_size() as u128);
		assert_eq!(held(DAVE), record.deposit);
		assert_eq!(record.status, ModelStatus::Active);
		assert_eq!(Models::latest(DAVE, name("digits")), Some(model(1)));
		assert_eq!(
			last_event(),
			Event::ModelRegistered { model: model(1), owner: DAVE, name: name("digits"), version: 1 }
		);
	});
}

#[test]
fn model_should_be_refused_when_the_name_is_taken_by_the_same_owner() {
	ExtBuilder::default().build_and_execute(|| {
		assert_ok!(Models::register_model(RuntimeOrigin::signed(DAVE), name("digits"), registration(1)));
		assert_noop!(
			Models::register_model(RuntimeOrigin::signed(DAVE), name("digits"), registration(2)),
			Error::<Test>::NameTaken
		);
		assert_ok!(Models::register_model(RuntimeOrigin::signed(EVE), name("digits"), registration(2)));
	});
}

#[test]
fn model_should_be_refused_when_it_stands_already() {
	ExtBuilder::default().build_and_execute(|| {
		assert_ok!(Models::register_model(RuntimeOrigin::signed(DAVE), name("digits"), registration(1)));
		assert_noop!(
			Models::register_model(RuntimeOrigin::signed(EVE), name("copy"), registration(1)),
			Error::<Test>::ModelAlreadyRegistered
		);
		assert_noop!(
			Models::register_version(RuntimeOrigin::signed(DAVE), name("digits"), registration(1)),
			Error::<Test>::ModelAlreadyRegistered
		);
	});
}

#[test]
fn model_should_be_refused_when_the_deposit_cannot_be_paid() {
	ExtBuilder::default().build_and_execute(|| {
		assert_noop!(
			Models::register_model(RuntimeOrigin::signed(POOR), name("digits"), registration(1)),
			TokenError::FundsUnavailable
		);
	});
}

#[test]
fn model_should_be_refused_when_nobody_signed() {
	ExtBuilder::default().build_and_execute(|| {
		for origin in [RuntimeOrigin::none(), RuntimeOrigin::root()] {
			assert_noop!(
				Models::register_model(origin, name("digits"), registration(1)),
				sp_runtime::DispatchError::BadOrigin
			);
		}
	});
}

#[test]
fn version_should_follow_the_former_one() {
	ExtBuilder::default().build_and_execute(|| {
		assert_noop!(
			Models::register_version(RuntimeOrigin::signed(DAVE), name("digits"), registration(1)),
			Error::<Test>::UnknownName
		);
		assert_ok!(Models::register_model(RuntimeOrigin::signed(DAVE), name("digits"), registration(1)));
		assert_ok!(Models::register_version(RuntimeOrigin::signed(DAVE), name("digits"), registration(2)));
		assert_eq!(Models::latest(DAVE, name("digits")), Some(model(2)));
		assert_eq!(ModelsMap::<Test>::get(model(2)).unwrap().version, 2);
		assert_eq!(held(DAVE), ModelsMap::<Test>::iter_values().map(|record| record.deposit).sum::<u128>());
		assert_noop!(
			Models::register_version(RuntimeOrigin::signed(EVE), name("digits"), registration(3)),
			Error::<Test>::UnknownName
		);
	});
}

#[test]
fn version_should_be_refused_when_too_many_stand() {
	ExtBuilder::default().build_and_execute(|| {
		assert_ok!(Models::register_model(RuntimeOrigin::signed(DAVE), name("digits"), registration(0)));
		for seed in 1..64 {
			assert_ok!(Models::register_version(RuntimeOrigin::signed(DAVE), name("digits"), registration(seed)));
		}
		assert_noop!(
			Models::register_version(RuntimeOrigin::signed(DAVE), name("digits"), registration(64)),
			Error::<Test>::TooManyVersions
		);
		assert_ok!(Models::deprecate_model(RuntimeOrigin::signed(DAVE), model(0)));
		System::set_block_number(System::block_number() + LONGEST_JOB + 1);
		assert_ok!(Models::remove_model(RuntimeOrigin::signed(DAVE), model(0)));
		assert_ok!(Models::register_version(RuntimeOrigin::signed(DAVE), name("digits"), registration(64)));
	});
}

#[test]
fn version_should_be_refused_when_the_count_would_overflow() {
	ExtBuilder::default().build_and_execute(|| {
		assert_ok!(Models::register_model(RuntimeOrigin::signed(DAVE), name("digits"), registration(1)));
		Names::<Test>::mutate(DAVE, name("digits"), |names| names.as_mut().unwrap().versions = u32::MAX);
		assert_noop!(
			Models::register_version(RuntimeOrigin::signed(DAVE), name("digits"), registration(2)),
			Error::<Test>::TooManyVersions
		);
	});
}

#[test]
fn text_should_be_refused_when_empty_or_not_utf8() {
	ExtBuilder::default().build_and_execute(|| {
		for bytes in [vec![], vec![0xFF, 0xFE]] {
			let bad = Name::try_from(bytes).unwrap();
			assert_noop!(
				Models::register_model(RuntimeOrigin::signed(DAVE), bad, registration(1)),
				Error::<Test>::NotText
			);
		}
	});
	refused(|r| r.input_names = names(&[""]), Error::NotText);
	refused(|r| r.output_names = names(&[""]), Error::NotText);
	refused(|r| r.artifacts = BoundedVec::truncate_from(vec![Url::truncate_from(vec![0xC0])]), Error::NotText);
	accepted(|r| r.artifacts = BoundedVec::new());
}

#[test]
fn header_should_be_refused_when_it_is_not_for_this_chain() {
	refused(|r| r.header.semantics_version = 0, Error::UnsupportedSemantics);
	refused(|r| r.header.semantics_version = 2, Error::UnsupportedSemantics);
	refused(|r| r.header.values = 0, Error::NoValues);
	refused(|r| r.header.max_iterations = 0, Error::UnsupportedIterations);
	refused(|r| r.header.max_iterations = 2, Error::UnsupportedIterations);
	accepted(|r| r.header.values = u32::MAX);
}

#[test]
fn tensors_should_be_refused_when_missing_or_misnamed() {
	refused(|r| r.input_names = names(&["a", "b"]), Error::NamesDoNotMatchTensors);
	refused(|r| r.output_names = names(&[]), Error::NamesDoNotMatchTensors);
	refused(
		|r| {
			r.header.inputs = BoundedVec::new();
			r.input_names = BoundedVec::new();
		},
		Error::NoTensors,
	);
	refused(
		|r| {
			r.header.outputs = BoundedVec::new();
			r.output_names = BoundedVec::new();
		},
		Error::NoTensors,
	);
}

#[test]
fn tensors_should_be_refused_when_too_long_to_be_inline() {
	accepted(|r| r.header.inputs = BoundedVec::truncate_from(vec![tensor(1_024 / 4)]));
	refused(|r| r.header.inputs = BoundedVec::truncate_from(vec![tensor(1_024 / 4 + 1)]), Error::InputTooLong);
	refused(|r| r.header.inputs = BoundedVec::truncate_from(vec![tensor(u32::MAX)]), Error::InputTooLong);
	accepted(|r| r.header.outputs = BoundedVec::truncate_from(vec![tensor(256 / 4)]));
	refused(|r| r.header.outputs = BoundedVec::truncate_from(vec![tensor(256 / 4 + 1)]), Error::OutputTooLong);
	refused(
		|r| {
			let mut ty = tensor(u32::MAX);
			ty.dims = BoundedVec::truncate_from(vec![u32::MAX; 8]);
			r.header.outputs = BoundedVec::truncate_from(vec![ty]);
		},
		Error::OutputTooLong,
	);
}

#[test]
fn royalty_should_be_refused_when_above_the_largest() {
	accepted(|r| r.royalty = Permill::from_percent(30));
	accepted(|r| r.royalty = Permill::zero());
	refused(|r| r.royalty = Permill::from_parts(300_001), Error::RoyaltyTooHigh);
	refused(|r| r.royalty = Permill::one(), Error::RoyaltyTooHigh);
}

#[test]
fn policy_should_be_refused_when_evidence_is_not_recomputation_once() {
	refused(|r| policy(r, |p| p.required = BoundedVec::new()), Error::UnsupportedEvidence);
	refused(
		|r| policy(r, |p| p.required = BoundedVec::truncate_from(vec![Evidence::Recomputation; 2])),
		Error::UnsupportedEvidence,
	);
}

#[test]
fn policy_should_be_refused_when_the_window_is_out_of_bounds() {
	accepted(|r| r.policy = Policy::optimistic(20, 5, 0));
	refused(|r| r.policy = Policy::optimistic(19, 0, 0), Error::WindowOutOfBounds);
	accepted(|r| r.policy = Policy::optimistic(1_000, 0, 50));
	refused(|r| r.policy = Policy::optimistic(1_001, 0, 0), Error::WindowOutOfBounds);
	refused(|r| r.policy = Policy::optimistic(u32::MAX, 0, 0), Error::WindowOutOfBounds);
}

#[test]
fn policy_should_be_refused_when_the_window_leaves_no_time_to_recompute() {
	accepted(|r| r.policy = Policy::optimistic(110, 50, 0));
	refused(|r| r.policy = Policy::optimistic(109, 50, 0), Error::WindowTooShort);
	refused(|r| r.policy = Policy::optimistic(1_000, u32::MAX, 0), Error::WindowTooShort);
	refused(|r| r.policy = Policy::optimistic(100, 20, 51), Error::TraceTooSlow);
}

#[test]
fn prices_should_be_accepted_when_extreme() {
	accepted(|r| r.price = 0);
	accepted(|r| r.price = u128::MAX);
}

#[test]
fn constants_should_hold_together() {
	Models::integrity_test();
}
