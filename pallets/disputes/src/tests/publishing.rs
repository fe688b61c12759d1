//! Publications.

use crate::{mock::*, *};
use assay_primitives::{pool::REFUSED_PUBLICATION, ServiceSignature};
use sp_core::{Pair, H256};
use sp_runtime::transaction_validity::{InvalidTransaction, TransactionValidityError};

fn words(error: InvalidTransaction) -> Result<(), &'static str> {
	Err(TransactionValidityError::from(error).into())
}

#[test]
fn publication_should_give_the_challengers_the_move() {
	scenario(|| {
		let (job, trace) = wrong_claim(6);
		assert_eq!(challenge(DAVE, job), Ok(()));
		assert_eq!(demand(DAVE, job, Ask::Group(1)), error(Error::NotPublished));
		assert_eq!(prove(DAVE, job, &trace, 6), error(Error::NotPublished));
		run_to(5);
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
		let (claim, trace_root) = (hash_of(job), root(&trace));
		assert_eq!(last_event(), Event::Published { job, claim, trace_root });
		let challenges = Court::challenges(job);
		assert!(challenges[0].to_move);
		assert_eq!(challenges[0].move_by, 10);
	});
}

#[test]
fn publication_should_be_accepted_in_the_last_block_and_no_later() {
	scenario(|| {
		let (job, trace) = right_claim();
		assert_eq!(challenge(MALLORY, job), Ok(()));
		run_to(11);
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
		let (late, trace) = right_claim();
		assert_eq!(challenge(MALLORY, late), Ok(()));
		System::set_block_number(22);
		assert_eq!(publish(WORKER, late, &trace), words(InvalidTransaction::Stale));
	});
}

#[test]
fn publication_should_be_refused_when_it_is_a_strangers_early_duplicate_or_not_the_claims() {
	scenario(|| {
		let (job, trace) = right_claim();
		assert_eq!(publish(WORKER, job, &trace), words(InvalidTransaction::Stale));
		assert_eq!(challenge(MALLORY, job), Ok(()));
		assert_eq!(publish(WORKER + 1, job, &trace), words(InvalidTransaction::BadProof));
		let other_output = wrong_trace(5, 3);
		assert_eq!(publish(WORKER, job, &other_output), words(InvalidTransaction::Custom(REFUSED_PUBLICATION)));
		let other_input = right_trace(6);
		assert_eq!(publish(WORKER, job, &other_input), words(InvalidTransaction::Custom(REFUSED_PUBLICATION)));
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
		assert_eq!(publish(WORKER, job, &trace), words(InvalidTransaction::Stale));
	});
}

#[test]
fn publication_should_be_refused_when_its_signature_is_for_another_claim_or_trace() {
	scenario(|| {
		let (job, trace) = right_claim();
		let (other, _) = right_claim();
		assert_eq!(challenge(MALLORY, job), Ok(()));
		let (claim, good) = (hash_of(job), publication(&trace));
		let sign = |payload: H256| -> ServiceSignature { service_pair(WORKER).sign(&payload.0).into() };
		for wrong in [
			payload::publish_payload(&hash_of(other), &good),
			payload::publish_payload(&claim, b"another"),
			payload::open_payload(&claim, b"", &good),
		] {
			let valid = Court::authorize_publish(job, &claim, &good, &sign(wrong));
			assert_eq!(valid, Err(InvalidTransaction::BadProof.into()));
		}
		let right = sign(payload::publish_payload(&claim, &good));
		assert_eq!(
			Court::authorize_publish(other, &claim, &good, &right),
			Err(InvalidTransaction::Call.into()),
			"the job is another's"
		);
		let valid = Court::authorize_publish(job, &claim, &good, &right).unwrap();
		assert_eq!(valid.provides.len(), 1);
		assert_eq!(valid.longevity, 10);
		// As dispatched without authorisation.
		let call = Court::publish(RuntimeOrigin::signed(WORKER), job, claim, good, right);
		assert_eq!(call, Err(sp_runtime::DispatchError::BadOrigin));
	});
}

#[test]
fn publication_should_have_more_time_when_the_trace_takes_longer_but_not_without_bound() {
	scenario(|| {
		assert_eq!(Court::publish_blocks(0), 10);
		assert_eq!(Court::publish_blocks(4), 11);
		assert_eq!(Court::publish_blocks(20), 43);
		assert_eq!(Court::publish_blocks(u32::MAX), 43);
		assert_eq!(Court::challenge_bond(u32::MAX, 0), 1_221);
		let (job, trace) = right_claim();
		claim(job, |c| c.info.trace_blocks = 20);
		assert_eq!(challenge(MALLORY, job), Ok(()));
		run_to(44);
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
	});
}

#[test]
fn worker_should_be_convicted_when_it_does_not_publish() {
	scenario(|| {
		let (job, _) = wrong_claim(6);
		assert_eq!(challenge(DAVE, job), Ok(()));
		run_to(11);
		assert_eq!(outcome(job), None);
		assert_eq!(timeout(job, None), error(Error::NothingDue));
		run_to(12);
		assert_eq!(outcome(job), Some(Outcome::Convicted(12)));
		let Event::Convicted { grounds, winner, outcome, .. } = last_event() else { panic!("no verdict") };
		assert_eq!((grounds, winner), (Grounds::NoPublication, Some(DAVE)));
		assert_eq!((outcome.slashed, outcome.burned, outcome.compensation), (BOND, 12_000, COVERAGE));
		run(20);
		assert_eq!(wealth(DAVE), RICH + 4_000);
		assert_eq!(wealth(stake_of(WORKER)), RICH - BOND);
		assert_empty();
	});
}

#[test]
fn worker_should_be_convicted_by_anyones_timeout_when_the_agenda_is_late() {
	scenario(|| {
		let (job, _) = wrong_claim(6);
		assert_eq!(challenge(DAVE, job), Ok(()));
		System::set_block_number(12);
		assert_eq!(timeout(job, None), Ok(()));
		assert_eq!(outcome(job), Some(Outcome::Convicted(12)));
		assert_eq!(timeout(job, None), error(Error::DisputeOver));
	});
}
