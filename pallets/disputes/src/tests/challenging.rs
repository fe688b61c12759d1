//! Who can challenge what, and what it does to the claim.

use crate::{mock::*, *};
use sp_core::H256;

#[test]
fn challenge_should_hold_bond_and_claim() {
	scenario(|| {
		let (job, _) = right_claim();
		assert_eq!(Court::bond_for(job), Some(1_021));
		assert_eq!(challenge(MALLORY, job), Ok(()));
		assert_eq!(held(MALLORY, HoldReason::Challenge), 1_021);
		assert!(claim(job, |c| c.held));
		let claim = hash_of(job);
		assert_eq!(last_event(), Event::Challenged { job, claim, challenger: MALLORY, number: 0, bond: 1_021 });
		assert_eq!(challenge(MALLORY, job), error(Error::AlreadyChallenged));
		assert_eq!(challenge(DAVE, job), Ok(()));
	});
}

#[test]
fn challenge_should_fail_when_the_claim_is_another_or_none() {
	scenario(|| {
		let (job, _) = right_claim();
		let (other, _) = wrong_claim(3);
		let challenge_as = |job, claim| Court::challenge(RuntimeOrigin::signed(DAVE), job, claim, None, RICH);
		assert_eq!(challenge_as(job, hash_of(other)), error(Error::ClaimMismatch));
		assert_eq!(challenge_as(job, H256::zero()), error(Error::ClaimMismatch));
		assert_eq!(challenge_as(77, hash_of(other)), error(Error::ClaimNotOpen));
		assert_eq!(challenge(WORKER, job), error(Error::OwnClaim));
		assert!(challenge(POOR, job).is_err());
		assert!(!claim(job, |c| c.held));
	});
}

#[test]
fn challenge_should_fail_when_the_window_is_over() {
	scenario(|| {
		let (job, trace) = right_claim();
		run_to(20);
		assert_eq!(challenge(MALLORY, job), Ok(()));
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
		run_to(21);
		assert_eq!(challenge(DAVE, job), error(Error::WindowOver));
		let (settled, _) = wrong_claim(3);
		run(20);
		assert_eq!(challenge(DAVE, settled), error(Error::ClaimNotOpen));
	});
}

#[test]
fn challenge_should_fail_when_the_worker_is_too_late_already() {
	scenario(|| {
		let (job, _) = right_claim();
		assert_eq!(challenge(MALLORY, job), Ok(()));
		System::set_block_number(12);
		assert_eq!(challenge(DAVE, job), error(Error::DisputeOver));
	});
}

#[test]
fn loser_should_be_able_to_challenge_again_while_the_window_is_open() {
	scenario(|| {
		let (job, trace) = right_claim();
		claim(job, |c| c.info.settles_at = 100);
		assert_eq!(challenge(MALLORY, job), Ok(()));
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
		run(6);
		assert!(events().contains(&Event::Defended { job, claim: hash_of(job) }));
		assert!(!claim(job, |c| c.held));
		Court::do_try_state().unwrap();
		// The trace is still known; the challenger has the move at once.
		assert_eq!(challenge(MALLORY, job), Ok(()));
		assert!(claim(job, |c| c.held));
		assert!(publish(WORKER, job, &trace).is_err());
		assert_eq!(demand(MALLORY, job, Ask::Group(1)), Ok(()));
		assert_eq!(open(job, &trace, Ask::Group(1)), Ok(()));
		run(6);
		assert!(!claim(job, |c| c.held));
		run_to(100);
		assert_eq!(outcome(job), Some(Outcome::Settled(100)));
		run(3);
		assert_empty();
		assert_eq!(wealth(MALLORY), RICH - 2 * 1_021 - 132);
		assert_eq!(wealth(WORKER), RICH + 2 * 510);
	});
}

#[test]
fn trace_should_be_kept_when_the_window_starts_anew() {
	scenario(|| {
		let (job, _) = super::defended();
		run(6);
		claim(job, |c| c.info.settles_at = 60);
		run_to(30);
		Court::do_try_state().unwrap();
		assert_eq!(challenge(DAVE, job), Ok(()));
		assert!(matches!(Court::dispute(job).unwrap().dispute.phase, Phase::Published { .. }));
		run_to(70);
		assert_eq!(outcome(job), Some(Outcome::Settled(60)));
		assert_empty();
	});
}

#[test]
fn claims_should_not_touch_each_other() {
	scenario(|| {
		let (wrong, trace) = super::published(6);
		let (right, good) = super::defended();
		assert_eq!(prove(MALLORY, wrong, &trace, 6), error(Error::NotChallenger));
		assert_eq!(prove(MALLORY, right, &trace, 6), error(Error::ProofRefused));
		let mixed = Court::prove(RuntimeOrigin::signed(DAVE), right, hash_of(wrong), None, message(proof(&trace, 6)));
		assert_eq!(mixed, error(Error::ClaimMismatch));
		assert_eq!(prove(DAVE, wrong, &trace, 6), Ok(()));
		assert_eq!(outcome(right), None);
		let _ = good;
	});
}
