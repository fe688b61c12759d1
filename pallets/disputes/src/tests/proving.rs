//! Proofs and verdicts.

use super::{defended, published};
use crate::{mock::*, traits::VerdictKind, *};

#[test]
fn proof_should_convict_and_say_of_what() {
	scenario(|| {
		let (job, trace) = published(6);
		assert_eq!(demand(DAVE, job, Ask::Group(1)), Ok(()));
		assert_eq!(open(job, &trace, Ask::Group(1)), Ok(()));
		assert_eq!(prove(DAVE, job, &trace, 6), Ok(()));
		let Event::Convicted { job: of, claim, worker, grounds, winner, outcome: money } = last_event() else {
			panic!("no verdict")
		};
		assert_eq!((of, claim, worker, winner), (job, hash_of(job), WORKER, Some(DAVE)));
		let Grounds::Proof(verdict) = grounds else { panic!("no proof") };
		assert_eq!((verdict.kind, verdict.value, verdict.element), (VerdictKind::Wrong, 6, Some(0)));
		assert_eq!(verdict.expected.to_vec(), vec![right_trace(5)[6]]);
		assert_eq!(verdict.claimed.to_vec(), vec![trace[6]]);
		assert_eq!(verdict.operator.to_vec(), b"Next");
		assert_eq!((money.slashed, money.reward, money.burned, money.compensation), (BOND, 4_000, 12_000, COVERAGE));
		assert_eq!(outcome(job), Some(Outcome::Convicted(1)));
		run(1);
		assert_eq!(wealth(DAVE), RICH + 4_000);
		assert_eq!((held(DAVE, HoldReason::Challenge), held(DAVE, HoldReason::Demand)), (0, 0));
		run(20);
		assert_empty();
	});
}

#[test]
fn proof_should_need_the_opened_states_when_the_element_has_any() {
	scenario(|| {
		let (job, trace) = published(10);
		let evil = proof(&trace, 10);
		assert_eq!(prove_with(DAVE, job, None, evil.clone()), error(Error::ProofRefused));
		assert_eq!(prove(DAVE, job, &trace, 10), error(Error::StatesNotOpen));
		assert_eq!(demand(DAVE, job, Ask::States(10)), Ok(()));
		assert_eq!(prove(DAVE, job, &trace, 10), error(Error::StatesNotOpen));
		assert_eq!(open(job, &trace, Ask::States(10)), Ok(()));
		assert_eq!(prove_with(DAVE, job, Some(Ask::States(5)), evil.clone()), error(Error::StatesNotOpen));
		assert_eq!(prove_with(DAVE, job, Some(Ask::Group(0)), evil), error(Error::StatesNotOpen));
		assert_eq!(prove(DAVE, job, &trace, 10), Ok(()));
	});
}

#[test]
fn proof_should_be_refused_when_the_states_are_another_elements() {
	scenario(|| {
		let (job, trace) = defended();
		for index in [5, 10] {
			assert_eq!(demand(MALLORY, job, Ask::States(index)), Ok(()));
			assert_eq!(open(job, &trace, Ask::States(index)), Ok(()));
		}
		// The states of byte 10 are right, but not those of byte 5.
		let Evil::Element { index, groups, here, before, .. } = proof(&trace, 5) else { unreachable!() };
		let evil = Evil::Element { index, groups, here, before, mid: Some(mid(&trace, 10)) };
		assert_ne!(mid(&trace, 5), mid(&trace, 10));
		assert_eq!(prove_with(MALLORY, job, Some(Ask::States(10)), evil.clone()), error(Error::ProofRefused));
		assert_eq!(prove_with(MALLORY, job, Some(Ask::States(5)), evil), error(Error::ProofRefused));
	});
}

#[test]
fn proof_should_be_refused_when_the_element_is_right() {
	scenario(|| {
		let (job, trace) = defended();
		for index in 0..17 {
			assert!(prove_with(MALLORY, job, None, proof(&trace, index.min(15))).is_err());
		}
		assert_eq!(prove_with(MALLORY, job, None, Evil::Model), error(Error::ProofRefused));
		let garbage = Court::prove(RuntimeOrigin::signed(MALLORY), job, hash_of(job), None, message([7u8; 9]));
		assert_eq!(garbage, error(Error::ProofRefused));
		// A proof against another trace.
		assert_eq!(prove(MALLORY, job, &wrong_trace(5, 6), 6), error(Error::ProofRefused));
		assert_eq!(outcome(job), None);
	});
}

#[test]
fn proof_should_be_refused_when_the_prover_is_no_live_challenger() {
	scenario(|| {
		let (job, trace) = published(6);
		assert_eq!(prove(ERIN, job, &trace, 6), error(Error::NotChallenger));
		System::set_block_number(7);
		assert_eq!(prove(DAVE, job, &trace, 6), error(Error::TooLate));
		assert_eq!(demand(DAVE, job, Ask::Group(1)), error(Error::TooLate));
	});
}

#[test]
fn proof_should_be_accepted_when_the_prover_still_waits_for_an_answer() {
	scenario(|| {
		let (job, trace) = published(6);
		assert_eq!(demand(DAVE, job, Ask::Group(3)), Ok(()));
		assert_eq!(prove(DAVE, job, &trace, 6), Ok(()));
		assert_eq!(Outstanding::<Test>::get(), 0);
		run(20);
		assert_empty();
	});
}

#[test]
fn proof_should_invalidate_the_model_when_it_is_about_the_model() {
	scenario(|| {
		let trace = right_trace(5);
		let job = commit(WORKER, bad_model(), 5, trace[15]);
		assert_eq!(challenge(DAVE, job), Ok(()));
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
		assert_eq!(prove_with(DAVE, job, None, Evil::Model), Ok(()));
		assert_eq!(INVALID.with(|all| all.borrow().clone()), vec![bad_model()]);
		assert_eq!(outcome(job), Some(Outcome::Convicted(1)));
	});
}

#[test]
fn all_challengers_should_get_bonds_and_fees_back_when_one_proves() {
	scenario(|| {
		let (job, trace) = wrong_claim(6);
		for who in DAVE..DAVE + 8 {
			assert_eq!(challenge(who, job), Ok(()));
		}
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
		assert_eq!(demand(DAVE + 3, job, Ask::Group(0)), Ok(()));
		assert_eq!(demand(DAVE + 5, job, Ask::Group(1)), Ok(()));
		assert_eq!(prove(DAVE + 5, job, &trace, 6), Ok(()));
		assert_eq!(withdraw(DAVE + 3, job), Ok(()));
		let claim = hash_of(job);
		let returned = Event::BondReturned { job, claim, challenger: DAVE + 3, bond: 1_021, fees: 132 };
		assert_eq!(last_event(), returned);
		assert_eq!(withdraw(DAVE + 3, job), error(Error::NotChallenger));
		assert_eq!(withdraw(REQUESTER, job), error(Error::NotChallenger));
		Court::do_try_state().unwrap();
		run(20);
		assert_eq!(wealth(DAVE), RICH + 4_000);
		assert!((DAVE + 1..DAVE + 8).all(|who| wealth(who) == RICH));
		assert_empty();
	});
}

#[test]
fn withdrawal_should_fail_when_the_dispute_is_open() {
	scenario(|| {
		let (job, _) = published(6);
		assert_eq!(withdraw(DAVE, job), error(Error::NotConvicted));
		let (other, _) = right_claim();
		assert_eq!(withdraw(DAVE, other), error(Error::NotDisputed));
	});
}

#[test]
fn demand_fees_should_come_back_in_proportion_when_they_exceed_what_the_verdict_burns() {
	scenario(|| {
		let (job, trace) = published(6);
		// As if the verdict would burn next to nothing: 132 of the 264 that are on hold.
		claim(job, |c| {
			c.info.bond = 220;
			c.info.coverage = 44;
		});
		assert_eq!(challenge(ERIN, job), Ok(()));
		assert_eq!(demand(DAVE, job, Ask::Group(0)), Ok(()));
		assert_eq!(demand(ERIN, job, Ask::Group(1)), Ok(()));
		assert_eq!(prove(DAVE, job, &trace, 6), Ok(()));
		let Event::Convicted { outcome, .. } = last_event() else { panic!("no verdict") };
		assert_eq!(outcome.burned, 132);
		run(1);
		assert_eq!(wealth(DAVE), RICH + 44 - 66);
		assert_eq!(wealth(ERIN), RICH - 66);
	});
}

#[test]
fn cleaning_up_should_go_in_bounded_steps_when_there_is_much() {
	scenario(|| {
		let (job, trace) = wrong_claim(6);
		for who in 200..250 {
			Balances::force_set_balance(RuntimeOrigin::root(), who, RICH).unwrap();
			assert_eq!(challenge(who, job), Ok(()));
		}
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
		assert_eq!(prove(200, job, &trace, 6), Ok(()));
		let left = || Challenges::<Test>::iter().count();
		assert_eq!(left(), 50);
		for count in [34, 18, 2, 0] {
			run(1);
			assert_eq!(left(), count);
			Court::do_try_state().unwrap();
		}
		run(10);
		assert_empty();
	});
}
