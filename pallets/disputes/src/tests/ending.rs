//! Lost challenges.

use super::{defended, published};
use crate::{mock::*, *};

#[test]
fn challenger_should_lose_bond_and_fees_when_it_proves_nothing() {
	scenario(|| {
		let (job, trace) = defended();
		assert_eq!(demand(MALLORY, job, Ask::Group(1)), Ok(()));
		assert_eq!(open(job, &trace, Ask::Group(1)), Ok(()));
		let issuance = Balances::total_issuance();
		run_to(6);
		assert_eq!(timeout(job, Some(MALLORY)), error(Error::NothingDue));
		assert_eq!(timeout(job, Some(DAVE)), error(Error::NotChallenger));
		run_to(7);
		let claim = hash_of(job);
		let lost = Event::ChallengeLost { job, claim, challenger: MALLORY, burned: 511 + 132, to_worker: 510 };
		assert_eq!(events(), vec![lost, Event::Defended { job, claim }]);
		assert_eq!(wealth(MALLORY), RICH - 1_021 - 132);
		assert_eq!(wealth(WORKER), RICH + 510);
		assert_eq!(Balances::total_issuance(), issuance - 511 - 132);
		assert_eq!(outcome(job), None);
		run_to(21);
		assert_eq!(outcome(job), Some(Outcome::Settled(21)));
		run(3);
		assert_empty();
	});
}

#[test]
fn claim_should_settle_at_once_when_its_window_is_over_by_then() {
	scenario(|| {
		let (job, trace) = right_claim();
		run_to(20);
		assert_eq!(challenge(MALLORY, job), Ok(()));
		run_to(25);
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
		run_to(30);
		assert_eq!(outcome(job), None);
		run_to(32);
		assert_eq!(outcome(job), Some(Outcome::Settled(32)));
		run(3);
		assert_empty();
	});
}

#[test]
fn claim_should_stay_held_when_one_of_two_challenges_is_lost() {
	scenario(|| {
		let (job, trace) = wrong_claim(6);
		assert_eq!(challenge(MALLORY, job), Ok(()));
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
		run_to(4);
		assert_eq!(challenge(DAVE, job), Ok(()));
		run_to(7);
		assert!(matches!(last_event(), Event::ChallengeLost { challenger: MALLORY, .. }));
		assert!(claim(job, |c| c.held));
		Court::do_try_state().unwrap();
		// Mallory was first, but her challenge is gone.
		assert_eq!(prove(DAVE, job, &trace, 6), Ok(()));
		assert!(matches!(last_event(), Event::Convicted { winner: Some(DAVE), .. }));
		run(20);
		assert_eq!(wealth(MALLORY), RICH - 1_021);
		assert_empty();
	});
}

#[test]
fn challenge_should_be_ended_by_anyones_timeout_when_the_agenda_is_late() {
	scenario(|| {
		let (job, _) = published(6);
		System::set_block_number(7);
		assert_eq!(timeout(job, None), error(Error::NothingDue));
		assert_eq!(timeout(job, Some(DAVE)), Ok(()));
		assert_eq!(timeout(job, Some(DAVE)), error(Error::DisputeOver));
		let unknown = Court::timeout(RuntimeOrigin::signed(POOR), job + 1, hash_of(job), None);
		assert_eq!(unknown, error(Error::ClaimMismatch));
	});
}

#[test]
fn bond_should_be_burned_when_the_worker_cannot_be_paid() {
	scenario(|| {
		let worker = 555;
		let trace = right_trace(5);
		let job = commit(worker, model(), 5, trace[15]);
		assert_eq!(challenge(MALLORY, job), Ok(()));
		assert_eq!(publish(worker, job, &trace), Ok(()));
		// Less than an account needs to exist.
		crate::Challenges::<Test>::mutate(hash_of(job), MALLORY, |c| c.as_mut().unwrap().bond = 9);
		use frame_support::traits::fungible::MutateHold;
		use frame_support::traits::tokens::Precision::Exact;
		Balances::release(&HoldReason::Challenge.into(), &MALLORY, 1_012, Exact).unwrap();
		run(6);
		assert_eq!(wealth(worker), 0);
		assert_eq!(wealth(MALLORY), RICH - 9);
	});
}

#[test]
fn agenda_should_lose_nothing_when_more_is_due_than_a_block_takes() {
	scenario(|| {
		Balances::force_set_balance(RuntimeOrigin::root(), stake_of(WORKER), 10 * RICH).unwrap();
		let jobs: Vec<_> = (0..60).map(|_| wrong_claim(6).0).collect();
		for job in &jobs {
			assert_eq!(challenge(DAVE, *job), Ok(()));
		}
		// A block has room for less than twenty convictions.
		run_to(12);
		let convicted = |job: &&u64| outcome(**job).is_some();
		let done = jobs.iter().filter(convicted).count();
		assert!(done > 10 && done < 20, "{done}");
		Court::do_try_state().unwrap();
		run_to(17);
		assert_eq!(jobs.iter().filter(convicted).count(), 60);
		run(40);
		assert_empty();
		assert_eq!(wealth(DAVE), RICH + 60 * 4_000);
	});
}

#[test]
fn worker_that_plays_against_itself_should_lose_what_is_burned() {
	scenario(|| {
		let coalition = || wealth(REQUESTER) + wealth(WORKER) + wealth(stake_of(WORKER)) + wealth(MALLORY);
		let before = coalition();
		let (job, trace) = wrong_claim(6);
		assert_eq!(seal(MALLORY, job), Ok(()));
		run(1);
		assert_eq!(challenge(DAVE, job), Ok(()));
		assert_eq!(reveal(MALLORY, job), Ok(()));
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
		assert_eq!(demand(DAVE, job, Ask::Group(0)), Ok(()));
		assert_eq!(prove(MALLORY, job, &trace, 6), Ok(()));
		run(30);
		// Both the winner's and the requester's share stay in the family; the rest does not.
		assert_eq!(coalition(), before - 12_000);
		assert_eq!(wealth(DAVE), RICH);
	});
}
