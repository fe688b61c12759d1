//! Demands and openings.

use super::{defended, published};
use crate::{mock::*, *};
use assay_primitives::{pool::REFUSED_OPENING, ServiceSignature};
use codec::Encode;
use frame_support::BoundedVec;
use sp_core::Pair;
use sp_runtime::{
	transaction_validity::{InvalidTransaction, TransactionValidityError},
	Permill,
};

fn words(error: InvalidTransaction) -> Result<(), &'static str> {
	Err(TransactionValidityError::from(error).into())
}

#[test]
fn demand_should_hold_its_price_and_give_the_worker_the_move() {
	scenario(|| {
		let (job, trace) = published(6);
		assert_eq!(demand(DAVE, job, Ask::Group(1)), Ok(()));
		assert_eq!(held(DAVE, HoldReason::Demand), 132);
		assert_eq!(Outstanding::<Test>::get(), 132);
		let (claim, what) = (hash_of(job), ask(Ask::Group(1)));
		assert_eq!(last_event(), Event::Demanded { job, claim, challenger: DAVE, demand: what.clone(), answer_by: 7 });
		assert_eq!(demand(DAVE, job, Ask::Group(2)), error(Error::NotYourMove));
		assert_eq!(open(job, &trace, Ask::Group(1)), Ok(()));
		assert_eq!(last_event(), Event::Opened { job, claim, demand: what });
		assert_eq!(Outstanding::<Test>::get(), 0);
		assert_eq!(demand(DAVE, job, Ask::Group(1)), error(Error::AlreadyOpen));
		assert_eq!(demand(DAVE, job, Ask::Group(2)), Ok(()));
	});
}

#[test]
fn demand_should_be_refused_when_it_cannot_be_answered() {
	scenario(|| {
		let (job, _) = published(6);
		for what in [Ask::Group(4), Ask::States(4), Ask::States(0), Ask::States(255)] {
			assert_eq!(demand(DAVE, job, what), error(Error::DemandRefused));
		}
		let send = |demand: Vec<u8>, evidence: &[u8]| {
			let (demand, evidence) = (BoundedVec::truncate_from(demand), BoundedVec::truncate_from(evidence.to_vec()));
			Court::demand(RuntimeOrigin::signed(DAVE), job, hash_of(job), demand, evidence, RICH)
		};
		assert_eq!(send(Ask::Group(1).encode(), b"nothing"), error(Error::DemandRefused));
		assert_eq!(send((Ask::Group(1), 0u8).encode(), b"node"), error(Error::DemandRefused));
		assert_eq!(send(vec![], b"node"), error(Error::DemandRefused));
		assert_eq!(demand(ERIN, job, Ask::Group(1)), error(Error::NotChallenger));
		assert_eq!(held(DAVE, HoldReason::Demand), 0);
	});
}

#[test]
fn demand_should_be_joined_without_a_fee_when_somebody_else_made_it() {
	scenario(|| {
		let (job, trace) = published(6);
		assert_eq!(challenge(ERIN, job), Ok(()));
		assert_eq!(demand(DAVE, job, Ask::Group(1)), Ok(()));
		run(2);
		assert_eq!(demand(ERIN, job, Ask::Group(1)), Ok(()));
		assert_eq!(held(ERIN, HoldReason::Demand), 0);
		assert_eq!(Outstanding::<Test>::get(), 132);
		run(3);
		assert_eq!(open(job, &trace, Ask::Group(1)), Ok(()));
		// Both have the move.
		assert_eq!(demand(ERIN, job, Ask::Group(2)), Ok(()));
		assert_eq!(demand(DAVE, job, Ask::Group(3)), Ok(()));
	});
}

#[test]
fn demands_should_be_as_many_as_allowed_and_no_more() {
	scenario(|| {
		let (job, trace) = published(6);
		let asks = [Ask::Group(0), Ask::Group(1), Ask::Group(2), Ask::Group(3), Ask::States(5)];
		for what in asks {
			assert_eq!(demand(DAVE, job, what), Ok(()));
			assert_eq!(open(job, &trace, what), Ok(()));
		}
		assert_eq!(demand(DAVE, job, Ask::States(10)), error(Error::NoDemandsLeft));
		// Only the proof is left, and its time is shorter.
		assert_eq!(Court::challenges(job)[0].move_by, System::block_number() + 4);
		run(4);
		assert_eq!(prove(DAVE, job, &trace, 6), Ok(()));
	});
}

#[test]
fn opening_should_need_a_demand_and_be_of_the_trace() {
	scenario(|| {
		let (job, trace) = published(6);
		assert_eq!(open(job, &trace, Ask::Group(1)), words(InvalidTransaction::Future));
		assert_eq!(demand(DAVE, job, Ask::Group(1)), Ok(()));
		let other = right_trace(5);
		assert_eq!(open(job, &other, Ask::Group(1)), words(InvalidTransaction::Custom(REFUSED_OPENING)));
		assert_eq!(open(job, &trace, Ask::Group(2)), words(InvalidTransaction::Future));
		// Anyone may send it, but in one form only.
		assert_eq!(open_by(Some(WORKER), job, &trace, Ask::Group(1)), words(InvalidTransaction::BadProof));
		assert_eq!(open_by(None, job, &trace, Ask::Group(1)), Ok(()));
		assert_eq!(open(job, &trace, Ask::Group(1)), words(InvalidTransaction::Stale));
	});
}

#[test]
fn opening_should_need_the_workers_signature_when_it_is_its_word() {
	scenario(|| {
		let (job, trace) = published(5);
		assert_eq!(demand(DAVE, job, Ask::States(5)), Ok(()));
		assert_eq!(open_by(None, job, &trace, Ask::States(5)), words(InvalidTransaction::BadProof));
		assert_eq!(open_by(Some(MALLORY), job, &trace, Ask::States(5)), words(InvalidTransaction::BadProof));
		// A signature over other states.
		let (claim, demand, opening) = (hash_of(job), ask(Ask::States(5)), opening(&trace, Ask::States(5)));
		let other = payload::open_payload(&claim, &demand, &[opening[0].wrapping_add(1)]);
		let signature: ServiceSignature = service_pair(WORKER).sign(&other.0).into();
		let valid = Court::authorize_open(job, &claim, &demand, &opening, &Some(signature));
		assert_eq!(valid, Err(InvalidTransaction::BadProof.into()));
		assert_eq!(open_by(Some(WORKER), job, &trace, Ask::States(5)), Ok(()));
		assert_eq!(prove(DAVE, job, &trace, 5), Ok(()));
	});
}

#[test]
fn opening_should_be_accepted_in_the_last_block_and_no_later() {
	scenario(|| {
		let (job, trace) = published(6);
		assert_eq!(demand(DAVE, job, Ask::Group(1)), Ok(()));
		run_to(7);
		assert_eq!(open(job, &trace, Ask::Group(1)), Ok(()));
		assert_eq!(demand(DAVE, job, Ask::Group(2)), Ok(()));
		System::set_block_number(14);
		assert_eq!(open(job, &trace, Ask::Group(2)), words(InvalidTransaction::Stale));
		// Nor can the dead demand be joined.
		assert_eq!(challenge(ERIN, job), Ok(()));
		assert_eq!(demand(ERIN, job, Ask::Group(2)), error(Error::DisputeOver));
		assert_eq!(timeout(job, Some(ERIN)), error(Error::NothingDue));
		assert_eq!(timeout(job, Some(DAVE)), Ok(()));
		assert_eq!(outcome(job), Some(Outcome::Convicted(14)));
	});
}

#[test]
fn worker_should_be_convicted_when_it_does_not_answer() {
	scenario(|| {
		let (job, trace) = published(6);
		run_to(4);
		assert_eq!(demand(DAVE, job, Ask::Group(1)), Ok(()));
		let node = payload::node_id(&ask(Ask::Group(1)));
		run_to(10);
		assert_eq!(outcome(job), None);
		run_to(11);
		assert_eq!(outcome(job), Some(Outcome::Convicted(11)));
		assert!(matches!(last_event(), Event::Convicted { grounds: Grounds::NoAnswer(n), .. } if n == node));
		assert_eq!(Outstanding::<Test>::get(), 0);
		assert_eq!(open(job, &trace, Ask::Group(1)), words(InvalidTransaction::Stale));
		run(20);
		assert_eq!(wealth(DAVE), RICH + 4_000);
		assert_empty();
	});
}

#[test]
fn price_should_double_with_what_is_owed_and_fall_again() {
	scenario(|| {
		PriceStep::set(1_000);
		assert_eq!([0, 500, 1_000, 1_500, 2_000, 3_000].map(|owed| Court::fee_at(owed, 0)), [0; 6]);
		assert_eq!([0, 900, 1_900, 2_900, 10_900].map(|owed| Court::fee_at(owed, 100)), [110, 200, 400, 800, 204_800]);
		assert_eq!(Court::fee_at(u32::MAX, u32::MAX), u128::MAX);
		let (busy, busy_trace) = defended();
		let (job, trace) = published(6);
		assert_eq!(demand(MALLORY, busy, Ask::Group(1)), Ok(()));
		assert_eq!(held(MALLORY, HoldReason::Demand), 132 + 132 * 132 / 1_000);
		assert_eq!(demand_for(DAVE, job, Ask::Group(1), 165), error(Error::FeeTooHigh));
		assert_eq!(demand_for(DAVE, job, Ask::Group(1), 166), Ok(()));
		assert_eq!(held(DAVE, HoldReason::Demand), 132 + 132 * 264 / 1_000);
		assert_eq!(open(busy, &busy_trace, Ask::Group(1)), Ok(()));
		assert_eq!(open(job, &trace, Ask::Group(1)), Ok(()));
		assert_eq!(demand_for(DAVE, job, Ask::Group(2), 149), Ok(()));
	});
}

#[test]
fn publication_should_be_paid_by_the_first_challenger_alone() {
	scenario(|| {
		PublicationBytes::set(136);
		let (job, trace) = right_claim();
		let (claim, salt) = (hash_of(job), None);
		let cheap = Court::challenge(RuntimeOrigin::signed(MALLORY), job, claim, salt, 135);
		assert_eq!(cheap, error(Error::FeeTooHigh));
		assert_eq!(Court::fee_for(job), Some(136));
		assert_eq!(challenge(MALLORY, job), Ok(()));
		assert_eq!(challenge(ERIN, job), Ok(()));
		assert_eq!([MALLORY, ERIN].map(|who| held(who, HoldReason::Demand)), [136, 0]);
		assert_eq!(Outstanding::<Test>::get(), 136);
		Court::do_try_state().unwrap();
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
		assert_eq!(Outstanding::<Test>::get(), 0);
		run(30);
		assert_eq!(wealth(MALLORY), RICH - 136 - Court::challenge_bond(0, BOND));
		assert_eq!(wealth(ERIN), RICH - Court::challenge_bond(0, BOND));
		assert_empty();
	});
}

#[test]
fn publication_should_be_owed_no_more_when_the_worker_is_convicted() {
	scenario(|| {
		PublicationBytes::set(136);
		let (job, _) = wrong_claim(6);
		assert_eq!(challenge(DAVE, job), Ok(()));
		run(40);
		assert!(matches!(outcome(job), Some(Outcome::Convicted(_))));
		assert_eq!(wealth(DAVE), RICH + 4_000);
		assert_empty();
	});
}

#[test]
fn bond_should_grow_with_the_trace_and_with_what_is_delayed() {
	scenario(|| {
		assert_eq!(Court::challenge_bond(0, BOND), 1_021);
		assert_eq!(Court::challenge_bond(3, BOND), 1_051);
		DelayShare::set(Permill::from_percent(1));
		assert_eq!(Court::challenge_bond(3, BOND), 1_251);
		assert_eq!(Court::challenge_bond(u32::MAX, 0), 1_221);
	});
}
