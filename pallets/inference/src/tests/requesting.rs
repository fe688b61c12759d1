//! Requests, assignment, cancellation.

use crate::{mock::*, *};
use frame_support::{assert_noop, assert_ok};
use sp_core::H256;
use sp_runtime::{Perbill, TokenError};

#[test]
fn job_should_be_drawn_two_blocks_after_the_request() {
	with_workers(&[CHARLIE], || {
		let id = Req::default().send().unwrap();
		run_to(2);
		assert!(matches!(Inference::job(id).unwrap().stage, Stage::Waiting { draws: 0 }));
		run_to(3);
		let Stage::Assigned(assignment) = Inference::job(id).unwrap().stage else { panic!("not assigned") };
		assert_eq!((assignment.worker, assignment.fee, assignment.bond), (CHARLIE, 120, 240));
		assert!(!assignment.independent);
	});
}

#[test]
fn named_worker_should_get_the_job_at_once_when_it_is_free() {
	with_workers(&[CHARLIE, DAVE], || {
		let id = Req { worker: Some(DAVE), ..Default::default() }.send().unwrap();
		let Stage::Assigned(assignment) = Inference::job(id).unwrap().stage else { panic!("not assigned") };
		assert_eq!(assignment.worker, DAVE);
		assert!(assignment.independent);
	});
}

#[test]
fn named_worker_should_get_the_job_later_when_it_is_busy() {
	with_workers(&[CHARLIE], || {
		let ids: Vec<_> = (0..4).map(|_| Req { worker: Some(CHARLIE), ..Default::default() }.send().unwrap()).collect();
		assert!(matches!(Inference::job(ids[3]).unwrap().stage, Stage::Waiting { .. }));
		run_to(2);
		commit(CHARLIE, ids[0], output(1)).unwrap();
		run_to(4);
		assert!(matches!(Inference::job(ids[3]).unwrap().stage, Stage::Assigned(_)));
	});
}

#[test]
fn request_should_take_escrow_and_charge_and_nothing_else() {
	with_workers(&[CHARLIE], || {
		let issuance = Balances::total_issuance();
		Req::default().send().unwrap();
		assert_eq!(held(BOB), 500);
		let charge = Inference::charge_for(OUTPUT);
		assert!(charge > 0);
		assert_eq!(Balances::free_balance(BOB), 1_000_000 - 500 - charge);
		assert_eq!(Balances::total_issuance(), issuance - charge, "this runtime burns the charge");
	});
}

#[test]
fn request_should_be_refused_by_name_when_it_is_wrong() {
	with_workers(&[CHARLIE], || {
		let refused = |req: Req, error: Error<Test>| {
			assert_noop!(req.send(), error);
		};
		let d = Req::default;
		refused(Req { model: H256::zero(), ..d() }, Error::ModelNotFound);
		refused(Req { input: vec![], ..d() }, Error::InputSizeMismatch);
		refused(Req { input: vec![0; 1024], ..d() }, Error::InputSizeMismatch);
		refused(Req { max_output: 0, ..d() }, Error::MaxOutputOutOfRange);
		refused(Req { max_output: OUTPUT - 1, ..d() }, Error::MaxOutputOutOfRange);
		refused(Req { max_output: 1025, ..d() }, Error::MaxOutputOutOfRange);
		refused(Req { max_output: u32::MAX, ..d() }, Error::MaxOutputOutOfRange);
		refused(Req { deadline: 0, ..d() }, Error::DeadlineOutOfRange);
		refused(Req { deadline: u32::MAX, ..d() }, Error::DeadlineOutOfRange);
		refused(Req { window: Some(0), ..d() }, Error::WindowOutOfRange);
		refused(Req { window: Some(WINDOW as u32 - 1), ..d() }, Error::WindowOutOfRange);
		refused(Req { window: Some(u32::MAX), ..d() }, Error::WindowOutOfRange);
		refused(Req { max_fee: 0, ..d() }, Error::FeeTooLow);
		refused(Req { max_fee: PRICE - 1, ..d() }, Error::FeeTooLow);
		refused(Req { coverage: u128::MAX, ..d() }, Error::CoverageTooHigh);
		refused(Req { worker: Some(ALICE), ..d() }, Error::WorkerDoesNotServe);
		// Charlie asks for 120.
		refused(Req { worker: Some(CHARLIE), max_fee: 110, ..d() }, Error::FeeTooLow);
		assert_noop!(Req { who: POOR, ..d() }.send(), TokenError::FundsUnavailable);
		assert_noop!(Req { max_fee: 1_000_000, ..d() }.send(), TokenError::FundsUnavailable);
	});
}

#[test]
fn deprecated_model_should_take_no_requests_but_end_its_jobs() {
	with_workers(&[CHARLIE], || {
		let id = Req { worker: Some(CHARLIE), ..Default::default() }.send().unwrap();
		DEPRECATED.with(|deprecated| *deprecated.borrow_mut() = true);
		assert_noop!(Req::default().send(), Error::<Test>::ModelNotFound);
		run_to(2);
		commit(CHARLIE, id, output(1)).unwrap();
		run_to(12);
		assert!(Inference::job(id).is_none());
		assert!(matches!(Inference::result(id).unwrap().status, ResultStatus::Settled { .. }));
	});
}

#[test]
fn job_should_wait_when_everybody_is_too_dear() {
	with_workers(&[CHARLIE], || {
		let id = Req { max_fee: 110, ..Default::default() }.send().unwrap();
		run_to(10);
		assert!(matches!(Inference::job(id).unwrap().stage, Stage::Waiting { .. }));
		worker(CHARLIE, |w| w.min_price = 105);
		run_to(18);
		assert!(matches!(Inference::job(id).unwrap().stage, Stage::Assigned(_)));
	});
}

#[test]
fn coverage_should_cost_a_premium_and_bind_more_stake() {
	with_workers(&[CHARLIE], || {
		worker(CHARLIE, |w| w.coverage_price = Perbill::from_percent(1));
		let id = Req { coverage: 1_000, worker: Some(CHARLIE), ..Default::default() }.send().unwrap();
		let Stage::Assigned(assignment) = Inference::job(id).unwrap().stage else { panic!("not assigned") };
		// 120 and 1 % of 1,000 for each of 20 blocks until the deadline and 10 of the window.
		assert_eq!(assignment.fee, 120 + 10 * 30);
		assert_eq!(assignment.bond, 2 * (1_000 + 420));
		assert_eq!(Inference::quote(model(), 1_000, 20), Some(420));
		// Nobody has that much stake.
		let id = Req { coverage: 10_000, max_fee: 50_000, ..Default::default() }.send().unwrap();
		run_to(6);
		assert!(matches!(Inference::job(id).unwrap().stage, Stage::Waiting { .. }));
	});
}

#[test]
fn capacity_and_coverage_should_never_be_exceeded() {
	with_workers(&[CHARLIE, DAVE], || {
		for _ in 0..20 {
			Req::default().send().unwrap();
		}
		// The stand-in asserts both at every assignment.
		run_to(8);
		assert_eq!(worker(CHARLIE, |w| w.busy) + worker(DAVE, |w| w.busy), 6);
	});
}

#[test]
fn requester_should_cancel_while_nobody_has_the_job() {
	with_workers(&[CHARLIE], || {
		let id = Req::default().send().unwrap();
		assert_noop!(Inference::cancel(RuntimeOrigin::signed(ALICE), id), Error::<Test>::NotRequester);
		assert_noop!(Inference::cancel(RuntimeOrigin::signed(BOB), 77), Error::<Test>::JobNotFound);
		assert_ok!(Inference::cancel(RuntimeOrigin::signed(BOB), id));
		assert_eq!(held(BOB), 0);
		assert_noop!(Inference::cancel(RuntimeOrigin::signed(BOB), id), Error::<Test>::JobNotFound);
		// Its tasks find nothing to do.
		run_to(30);
		let id = Req { worker: Some(CHARLIE), ..Default::default() }.send().unwrap();
		assert_noop!(Inference::cancel(RuntimeOrigin::signed(BOB), id), Error::<Test>::AlreadyAssigned);
	});
}
