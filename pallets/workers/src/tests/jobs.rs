//! Jobs: assigned, answered, released.

use super::*;
use crate::Services;

fn in_flight(who: u64, seed: u8) -> u32 {
	Services::<Test>::get(model(seed), who).expect("a service").in_flight
}

#[test]
fn bond_should_be_set_aside_until_the_job_is_released() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 2).build_and_execute(|| {
		assert_ok!(Workers::assign(&CHARLIE, &model(1), 300));
		assert_ok!(Workers::assign(&CHARLIE, &model(2), 700));
		assert_eq!((worker(CHARLIE).covered, worker(CHARLIE).open_claims, worker(CHARLIE).free()), (1_000, 2, 0));
		assert_eq!((in_flight(CHARLIE, 1), in_flight(CHARLIE, 2)), (1, 1));

		Workers::answered(&CHARLIE, &model(1));
		assert_eq!((in_flight(CHARLIE, 1), in_flight(CHARLIE, 2)), (0, 1));
		assert_eq!(worker(CHARLIE).covered, 1_000);
		Workers::release(&CHARLIE, 300);
		assert_eq!((worker(CHARLIE).covered, worker(CHARLIE).open_claims), (700, 1));
		Workers::answered(&CHARLIE, &model(2));
		Workers::release(&CHARLIE, 700);
		assert_eq!((worker(CHARLIE).covered, worker(CHARLIE).open_claims), (0, 0));
	});
}

#[test]
fn job_should_be_refused_with_the_reason_when_the_worker_cannot_take_it() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		let candidate = |bond| Workers::candidate(&CHARLIE, &model(1), |_| bond).map_err(|e| format!("{e:?}"));
		let refused = |bond, reason: &str| assert_eq!(candidate(bond), Err(reason.to_string()));

		assert_eq!(candidate(Some(1_000)), Ok((terms(), 1_000)));
		refused(Some(1_001), "NotEnoughFreeStake");
		refused(Some(u128::MAX), "NotEnoughFreeStake");
		refused(None, "TermsNotMet");
		assert!(Workers::candidate(&CHARLIE, &model(2), |_| Some(1)).is_err_and(|e| matches!(e, Error::NotServing)));
		assert!(Workers::candidate(&EVE, &model(1), |_| Some(1)).is_err_and(|e| matches!(e, Error::UnknownWorker)));

		assert_ok!(Workers::assign(&CHARLIE, &model(1), 1));
		assert_ok!(Workers::assign(&CHARLIE, &model(1), 1));
		refused(Some(1), "CapacityFull");
		for _ in 0..2 {
			Workers::answered(&CHARLIE, &model(1));
			Workers::release(&CHARLIE, 1);
		}

		slash(CHARLIE, 901);
		refused(Some(1), "BondTooSmall");
		assert_ok!(Workers::bond_extra(signed(CHARLIE), 901));
		assert_ok!(Workers::pause(signed(CHARLIE)));
		refused(Some(1), "WorkerPaused");
	});
}

#[test]
fn job_should_be_refused_when_the_worker_has_no_service_key() {
	ExtBuilder::default().build_and_execute(|| {
		assert_ok!(Workers::bond(signed(CHARLIE), 1_000));
		assert_ok!(Workers::serve_model(signed(CHARLIE), model(1), terms()));
		assert_noop!(Workers::assign(&CHARLIE, &model(1), 1), Error::<Test>::NoServiceKey);
	});
}

#[test]
fn job_should_be_refused_when_claims_cannot_be_counted() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		WorkersMap::<Test>::mutate(CHARLIE, |worker| worker.as_mut().unwrap().open_claims = u32::MAX);
		assert_noop!(Workers::assign(&CHARLIE, &model(1), 1), Error::<Test>::TooManyClaims);
	});
}

#[test]
// Without debug assertions it is logged, and nothing changes.
#[cfg_attr(debug_assertions, should_panic(expected = "answered that was not in flight"))]
fn answer_should_be_noticed_when_nothing_was_in_flight() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| Workers::answered(&CHARLIE, &model(1)));
}

#[test]
// Without debug assertions it is logged, and nothing changes.
#[cfg_attr(debug_assertions, should_panic(expected = "released that was not set aside"))]
fn release_should_be_noticed_when_it_is_more_than_was_set_aside() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		assert_ok!(Workers::assign(&CHARLIE, &model(1), 5));
		Workers::release(&CHARLIE, 6);
	});
}

#[test]
fn job_should_be_refused_when_the_worker_has_as_many_open_as_it_takes() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		assert_noop!(Workers::limit_claims(signed(EVE), 1), Error::<Test>::UnknownWorker);
		assert_noop!(Workers::limit_claims(signed(CHARLIE), 0), Error::<Test>::CapacityZero);
		assert_ok!(Workers::limit_claims(signed(CHARLIE), 1));
		assert_eq!(last_event(), Event::ClaimsLimited { worker: CHARLIE, max_claims: 1 });
		assert_ok!(Workers::assign(&CHARLIE, &model(1), 5));
		Workers::answered(&CHARLIE, &model(1));
		// Answered, and still open to challenge.
		assert_noop!(Workers::assign(&CHARLIE, &model(1), 5), Error::<Test>::TooManyClaims);
		assert!(Workers::draw(&model(1), &[], [7; 32], |_| Some(5)).is_none());
		Workers::release(&CHARLIE, 5);
		assert_ok!(Workers::assign(&CHARLIE, &model(1), 5));
		assert_ok!(Workers::limit_claims(signed(CHARLIE), u32::MAX));
		assert_ok!(Workers::assign(&CHARLIE, &model(1), 5));
		for _ in 0..2 {
			Workers::answered(&CHARLIE, &model(1));
			Workers::release(&CHARLIE, 5);
		}
	});
}
