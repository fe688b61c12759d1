//! Workers that say nothing.

use crate::{mock::*, *};

#[test]
fn silent_worker_should_lose_a_little_and_the_requester_nothing() {
	with_workers(&[CHARLIE], || {
		let issuance = Balances::total_issuance();
		let id = Req { worker: Some(CHARLIE), ..Default::default() }.send().unwrap();
		run_to(21);
		assert!(Inference::job(id).is_some(), "block 21 is the last in which an answer counts");
		run_to(22);
		assert!(Inference::job(id).is_none());
		assert!(events().contains(&Event::Missed { job: id, worker: CHARLIE, penalty: 30 }));
		assert!(events().contains(&Event::Expired { job: id, requester: BOB, refund: 120 }));
		assert_eq!(worker(CHARLIE, |w| (w.slashed, w.covered, w.busy, w.claims)), (30, 0, 0, 0));
		assert_eq!(Balances::free_balance(BOB), 1_000_000 - Inference::charge_for(OUTPUT));
		assert_eq!(Balances::total_issuance(), issuance - Inference::charge_for(OUTPUT));
	});
}

#[test]
fn penalty_should_never_exceed_what_the_worker_has() {
	with_workers(&[CHARLIE], || {
		let id = Req { worker: Some(CHARLIE), ..Default::default() }.send().unwrap();
		worker(CHARLIE, |w| w.stake = 7);
		let seen = run_and_collect(30);
		assert!(seen.contains(&Event::Missed { job: id, worker: CHARLIE, penalty: 7 }));
	});
}

#[test]
fn drawn_job_should_be_drawn_again_half_way_when_others_serve() {
	with_workers(&[CHARLIE, DAVE], || {
		let id = Req::default().send().unwrap();
		run_to(3);
		let Stage::Assigned(first) = Inference::job(id).unwrap().stage else { panic!("not assigned") };
		assert_eq!(first.answer_by, 3 + 9);
		run_to(13);
		assert!(events().contains(&Event::Missed { job: id, worker: first.worker, penalty: 30 }));
		run_to(14);
		let Stage::Assigned(second) = Inference::job(id).unwrap().stage else { panic!("not assigned again") };
		assert_ne!(first.worker, second.worker);
		assert_eq!(second.answer_by, 21, "nobody is left after it, so it has all the time there is");
		run_to(22);
		assert!(Inference::job(id).is_none());
		assert_eq!(held(BOB), 0);
	});
}

#[test]
fn job_should_go_to_three_workers_at_most() {
	with_workers(&[10, 11, 12, 13, 14], || {
		let id = Req { deadline: 100, ..Default::default() }.send().unwrap();
		let seen = run_and_collect(120);
		let missed = seen.iter().filter(|event| matches!(event, Event::Missed { .. })).count();
		assert_eq!(missed, 3);
		assert!(seen.contains(&Event::Expired { job: id, requester: BOB, refund: 500 }));
	});
}

#[test]
fn job_should_expire_when_nobody_serves() {
	with_workers(&[], || {
		let id = Req::default().send().unwrap();
		let seen = run_and_collect(25);
		assert!(seen.contains(&Event::Expired { job: id, requester: BOB, refund: 500 }));
		assert_eq!(held(BOB), 0);
	});
}

#[test]
fn stale_answer_check_should_do_nothing_to_a_later_assignment() {
	with_workers(&[CHARLIE, DAVE], || {
		let id = Req::default().send().unwrap();
		run_to(3);
		let Stage::Assigned(first) = Inference::job(id).unwrap().stage else { panic!("not assigned") };
		run_to(4);
		decline(first.worker, id, DeclineReason::CannotRun).unwrap();
		run_to(20);
		let Stage::Assigned(second) = Inference::job(id).unwrap().stage else { panic!("not assigned again") };
		assert_ne!(first.worker, second.worker);
		assert_eq!(worker(first.worker, |w| w.slashed), 0);
		commit(second.worker, id, output(1)).unwrap();
	});
}
