//! Seals, and the order of challenges.

use crate::{mock::*, *};
use sp_core::H256;

#[test]
fn seal_should_hold_its_deposit_and_tell_nothing() {
	scenario(|| {
		let (job, _) = wrong_claim(6);
		assert_eq!(seal(DAVE, job), Ok(()));
		assert_eq!(held(DAVE, HoldReason::Seal), 50);
		let hash = payload::seal_hash(&hash_of(job), &DAVE, &salt_of(DAVE));
		assert_eq!(last_event(), Event::Sealed { challenger: DAVE, hash, number: 0 });
		assert_eq!(seal(DAVE, job), error(Error::AlreadySealed));
		assert!(seal(POOR, job).is_err());
	});
}

#[test]
fn seal_should_be_revealed_neither_in_its_block_nor_after_its_time() {
	scenario(|| {
		let (job, _) = wrong_claim(6);
		assert_eq!(seal(DAVE, job), Ok(()));
		assert_eq!(reveal(DAVE, job), error(Error::SealTooFresh));
		assert_eq!(reveal(ERIN, job), error(Error::SealNotFound));
		run_to(9);
		assert_eq!(reveal(DAVE, job), Ok(()));
		assert_eq!(held(DAVE, HoldReason::Seal), 0);
		assert_eq!(seal(ERIN, job), Ok(()));
		run_to(18);
		assert_eq!(reveal(ERIN, job), error(Error::SealNotFound));
	});
}

#[test]
fn seal_should_be_refused_after_its_time_when_the_agenda_is_late() {
	scenario(|| {
		let (job, _) = wrong_claim(6);
		assert_eq!(seal(DAVE, job), Ok(()));
		System::set_block_number(10);
		assert_eq!(reveal(DAVE, job), error(Error::SealExpired));
	});
}

#[test]
fn seal_should_cost_its_deposit_when_it_is_never_revealed() {
	scenario(|| {
		let (job, _) = wrong_claim(6);
		assert_eq!(seal(DAVE, job), Ok(()));
		let issuance = Balances::total_issuance();
		run_to(10);
		assert!(matches!(last_event(), Event::SealLapsed { challenger: DAVE, burned: 50, .. }));
		assert_eq!(wealth(DAVE), RICH - 50);
		assert_eq!(Balances::total_issuance(), issuance - 50);
		assert_empty();
	});
}

#[test]
fn seal_should_not_lapse_early_when_an_equal_one_was_revealed_before() {
	scenario(|| {
		let (job, _) = right_claim();
		assert_eq!(seal(MALLORY, job), Ok(()));
		run_to(3);
		assert_eq!(reveal(MALLORY, job), Ok(()));
		assert_eq!(seal(MALLORY, job), Ok(()));
		run_to(10);
		assert_eq!(held(MALLORY, HoldReason::Seal), 50);
		run_to(12);
		assert_eq!(held(MALLORY, HoldReason::Seal), 0);
	});
}

#[test]
fn copycat_should_not_win_when_it_copies_out_of_the_pool() {
	scenario(|| {
		let (job, trace) = wrong_claim(6);
		// Mallory sees Dave's seal, and copies the hash before Dave's transaction is in.
		let hash = payload::seal_hash(&hash_of(job), &DAVE, &salt_of(DAVE));
		assert_eq!(Court::seal(RuntimeOrigin::signed(MALLORY), hash), Ok(()));
		assert_eq!(seal(DAVE, job), Ok(()));
		run(1);
		// Nobody but Dave can reveal it.
		let copied = Court::challenge(RuntimeOrigin::signed(MALLORY), job, hash_of(job), Some(salt_of(DAVE)), RICH);
		assert_eq!(copied, error(Error::SealNotFound));
		// Now she sees the claim that he challenges, and is faster.
		assert_eq!(challenge(MALLORY, job), Ok(()));
		assert_eq!(reveal(DAVE, job), Ok(()));
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
		// She copies his proof too.
		assert_eq!(prove(MALLORY, job, &trace, 6), Ok(()));
		let Event::Convicted { winner, outcome, .. } = last_event() else { panic!("no verdict") };
		assert_eq!((winner, outcome.reward), (Some(DAVE), 4_000));
		run(40);
		assert_eq!(wealth(DAVE), RICH + 4_000);
		// The copied seal lapsed.
		assert_eq!(wealth(MALLORY), RICH - 50);
	});
}

#[test]
fn place_should_be_kept_when_others_seal_after_a_plain_challenge() {
	scenario(|| {
		let (job, trace) = wrong_claim(6);
		assert_eq!(challenge(DAVE, job), Ok(()));
		assert_eq!(seal(MALLORY, job), Ok(()));
		run(1);
		assert_eq!(reveal(MALLORY, job), Ok(()));
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
		assert_eq!(prove(MALLORY, job, &trace, 6), Ok(()));
		assert!(matches!(last_event(), Event::Convicted { winner: Some(DAVE), .. }));
	});
}

#[test]
fn seal_should_be_given_back_when_its_claim_is_convicted_first() {
	scenario(|| {
		let (job, trace) = super::published(6);
		assert_eq!(seal(ERIN, job), Ok(()));
		assert_eq!(unseal(ERIN, job), error(Error::NotConvicted));
		assert_eq!(prove(DAVE, job, &trace, 6), Ok(()));
		run(3);
		assert_eq!(reveal(ERIN, job), error(Error::ClaimNotOpen));
		assert_eq!(unseal(DAVE, job), error(Error::SealNotFound));
		assert_eq!(unseal(ERIN, job), Ok(()));
		assert_eq!(wealth(ERIN), RICH);
		assert_eq!(unseal(ERIN, job), error(Error::SealNotFound));
		run(20);
		assert_empty();
		assert_eq!(unseal(ERIN, job), error(Error::NotDisputed));
	});
}

#[test]
fn seal_should_be_returnable_to_its_last_block_when_it_was_made_in_the_block_of_the_conviction() {
	scenario(|| {
		let (job, trace) = super::published(6);
		assert_eq!(prove(DAVE, job, &trace, 6), Ok(()));
		assert_eq!(seal(ERIN, job), Ok(()));
		run(8);
		assert_eq!(unseal(ERIN, job), Ok(()));
	});
}

#[test]
fn payloads_should_tell_everything_apart() {
	let claims = [H256::repeat_byte(1), H256::repeat_byte(2)];
	let mut all = std::collections::BTreeSet::new();
	for claim in &claims {
		for bytes in [&b"a"[..], b"b", b""] {
			all.insert(payload::publish_payload(claim, bytes));
			all.insert(payload::open_payload(claim, bytes, b"x"));
			all.insert(payload::open_payload(claim, b"x", bytes));
		}
		for who in [DAVE, ERIN] {
			all.insert(payload::seal_hash(claim, &who, &[0; 32]));
			all.insert(payload::seal_hash(claim, &who, &[1; 32]));
		}
	}
	assert_eq!(all.len(), 2 * (3 * 3 + 4));
}

#[test]
fn queue_should_be_in_order_when_numbers_grow_by_a_byte() {
	scenario(|| {
		for start in [255u64, 65_535, u32::MAX.into()] {
			NextNumber::<Test>::put(start);
			let (job, trace) = wrong_claim(6);
			assert_eq!(challenge(ERIN, job), Ok(()));
			assert_eq!(challenge(DAVE, job), Ok(()));
			assert_eq!(publish(WORKER, job, &trace), Ok(()));
			assert_eq!(Court::dispute(job).unwrap().first, Some(ERIN));
			assert_eq!(prove(DAVE, job, &trace, 6), Ok(()));
			assert!(matches!(last_event(), Event::Convicted { winner: Some(ERIN), .. }));
		}
	});
}
