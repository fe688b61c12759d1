//! Answers under dispute.

use crate::{mock::*, *};
use assay_primitives::Holds;

fn committed(request: Req) -> u64 {
	let id = request.send().unwrap();
	run_to(System::block_number() + 3);
	let Stage::Assigned(assignment) = Inference::job(id).unwrap().stage else { panic!("not assigned") };
	commit(assignment.worker, id, output(1)).unwrap();
	id
}

fn named() -> Req {
	Req { worker: Some(CHARLIE), coverage: 100, ..Default::default() }
}

#[test]
fn claim_should_be_seen_while_it_is_open() {
	with_workers(&[CHARLIE], || {
		let id = committed(named());
		let claim = Inference::open_claim(id).unwrap();
		let result = Inference::result(id).unwrap().result;
		assert_eq!((claim.claim, claim.output_root, claim.settles_at), (result.claim, result.output_root, 14));
		assert_eq!((claim.assignment.worker, claim.coverage, claim.trace.blocks), (CHARLIE, 100, 5));
		run_to(14);
		assert_eq!(Inference::open_claim(id), None);
	});
}

#[test]
fn held_answer_should_settle_when_the_hold_is_gone() {
	with_workers(&[CHARLIE], || {
		// Before the window ends, ...
		let id = committed(named());
		Inference::hold(id, Holds::DISPUTE);
		assert_eq!(Inference::holds(id), Holds::DISPUTE);
		run_to(10);
		Inference::unhold(id, Holds::DISPUTE);
		run_to(14);
		assert!(Inference::job(id).is_none());
		// ... and after it. The result can be read from then on as long as any.
		let id = committed(named());
		Inference::hold(id, Holds::DISPUTE);
		Inference::hold(id, Holds::DATA);
		run_to(60);
		Inference::unhold(id, Holds::DISPUTE);
		run_to(62);
		assert!(Inference::job(id).is_some(), "one hold is left");
		Inference::unhold(id, Holds::DATA);
		run_to(63);
		assert_eq!(Inference::result(id).unwrap().status, ResultStatus::Settled { readable_until: 123 });
		run_to(123);
		assert!(Inference::result(id).is_some());
		run_to(124);
		assert!(Inference::result(id).is_none());
		assert_eq!(Agenda::<Test>::iter().count(), 0);
	});
}

#[test]
fn convicted_worker_should_lose_the_bond_of_this_job_and_no_more() {
	with_workers(&[CHARLIE], || {
		let other = committed(named());
		let id = committed(named());
		let bond = Inference::open_claim(id).unwrap().assignment.bond;
		assert_eq!(bond, 440);
		let (issuance, free) = (Balances::total_issuance(), Balances::free_balance(ALICE));
		let verdict = Inference::convict(id, Some(&ALICE));
		// 30 % to who proved it, 20 % to the requester.
		assert_eq!(verdict, Verdict { slashed: 440, reward: 132, compensation: 88, burned: 220 });
		assert_eq!(Balances::free_balance(ALICE), free + 132);
		assert_eq!(worker(CHARLIE, |w| (w.slashed, w.claims, w.suspended)), (440, 1, true));
		// Here stake is no balance: what it pays is minted.
		assert_eq!(Balances::total_issuance(), issuance + 132 + 88);
		assert_eq!(held(BOB), 120);
		assert!(Inference::result(id).is_none() && Inference::job(id).is_none());
		assert!(Inference::job(other).is_some());
		assert_eq!(Inference::convict(id, Some(&ALICE)), Verdict::default(), "nobody is convicted twice");
		run_to(30);
		assert!(Inference::job(other).is_none());
	});
}

#[test]
fn share_of_nobody_should_be_burned_and_compensation_not_exceed_the_coverage() {
	with_workers(&[CHARLIE], || {
		let id = committed(Req { coverage: 0, ..named() });
		let verdict = Inference::convict(id, None);
		assert_eq!(verdict, Verdict { slashed: 240, reward: 0, compensation: 0, burned: 240 });
		let id = {
			worker(CHARLIE, |w| w.suspended = false);
			committed(Req { coverage: 10, ..named() })
		};
		assert_eq!(Inference::convict(id, None).compensation, 10);
	});
}

#[test]
fn overturned_job_should_go_to_another_worker_when_there_is_time() {
	with_workers(&[CHARLIE, DAVE], || {
		let id = committed(Req { deadline: 60, coverage: 100, ..Default::default() });
		let first = Inference::open_claim(id).unwrap().assignment.worker;
		Inference::hold(id, Holds::DISPUTE);
		run_to(40);
		let verdict = Inference::convict(id, Some(&ALICE));
		assert_eq!((verdict.compensation, verdict.reward), (0, 132), "either another worker or a compensation");
		run_to(42);
		let Stage::Assigned(second) = Inference::job(id).unwrap().stage else { panic!("not assigned again") };
		assert_ne!(first, second.worker);
		commit(second.worker, id, output(2)).unwrap();
		run_to(60);
		assert!(matches!(Inference::result(id).unwrap().status, ResultStatus::Settled { .. }));
		assert_eq!(held(BOB), 0);
	});
}

#[test]
fn overturned_job_should_end_when_nobody_else_answers_in_time() {
	with_workers(&[CHARLIE, DAVE], || {
		let id = committed(Req { deadline: 60, ..Default::default() });
		Inference::convict(id, None);
		run_to(62);
		assert!(Inference::job(id).is_none());
		assert_eq!(held(BOB), 0);
	});
}

#[test]
fn answers_of_an_invalid_model_should_be_convicted_when_they_would_settle() {
	with_workers(&[CHARLIE], || {
		let id = committed(named());
		INVALID.with(|invalid| *invalid.borrow_mut() = true);
		run_to(13);
		assert!(Inference::job(id).is_some());
		run_to(15);
		assert!(Inference::job(id).is_none() && Inference::result(id).is_none());
		assert_eq!((worker(CHARLIE, |w| w.slashed), held(BOB)), (440, 0));
		assert_eq!(Agenda::<Test>::iter().count(), 0);
	});
}
