//! Settlement, and what is left of a job.

use crate::{mock::*, traits::Shares, *};
use assay_primitives::Holds;
use frame_support::weights::Weight;

fn committed() -> u64 {
	let id = Req { worker: Some(CHARLIE), ..Default::default() }.send().unwrap();
	run_to(System::block_number() + 1);
	commit(CHARLIE, id, output(1)).unwrap();
	id
}

#[test]
fn answer_should_settle_by_itself_to_the_last_planck() {
	with_workers(&[CHARLIE], || {
		let id = committed();
		let issuance = Balances::total_issuance();
		run_to(11);
		assert!(Inference::job(id).is_some());
		run_to(12);
		let shares = Shares { burned: 6, treasury: 6, royalty: 12, worker: 96 };
		assert!(events().contains(&Event::Settled { job: id, worker: CHARLIE, fee: 120, shares }));
		assert_eq!(Balances::free_balance(CHARLIE), 1_000_096);
		assert_eq!(Balances::free_balance(OWNER), 1_000_012);
		assert_eq!(Balances::free_balance(TREASURY), 1_000_006);
		assert_eq!(held(BOB), 0);
		assert_eq!(Balances::free_balance(BOB), 1_000_000 - 120 - Inference::charge_for(OUTPUT));
		assert_eq!(Balances::total_issuance(), issuance - 6);
		assert_eq!(worker(CHARLIE, |w| (w.covered, w.claims, w.busy)), (0, 0, 0));
	});
}

#[test]
fn escrow_should_be_the_fee_when_the_named_worker_takes_the_job_at_once() {
	with_workers(&[CHARLIE], || {
		let _ = Req { worker: Some(CHARLIE), ..Default::default() }.send().unwrap();
		assert_eq!(held(BOB), 120);
	});
}

#[test]
fn what_is_not_charged_should_return_when_a_drawn_job_settles() {
	with_workers(&[CHARLIE], || {
		let id = Req::default().send().unwrap();
		run_to(4);
		commit(CHARLIE, id, output(1)).unwrap();
		assert_eq!(held(BOB), 500);
		run_to(14);
		assert_eq!(held(BOB), 0);
		assert_eq!(Balances::free_balance(BOB), 1_000_000 - 120 - Inference::charge_for(OUTPUT));
	});
}

#[test]
fn settled_job_should_leave_nothing_when_its_result_has_expired() {
	with_workers(&[CHARLIE], || {
		let id = committed();
		run_to(12);
		assert_eq!(Inference::result(id).unwrap().status, ResultStatus::Settled { readable_until: 72 });
		run_to(72);
		assert!(Inference::result(id).is_some());
		run_to(73);
		assert!(Inference::result(id).is_none());
		assert_eq!(Agenda::<Test>::iter().count(), 0);
		assert_eq!(Jobs::<Test>::iter().count() + Inputs::<Test>::iter().count() + Assigned::<Test>::iter().count(), 0);
	});
}

#[test]
fn held_answer_should_not_settle() {
	with_workers(&[CHARLIE], || {
		let id = committed();
		Jobs::<Test>::mutate(id, |job| {
			let Some(Job { stage: Stage::Committed { holds, .. }, .. }) = job else { panic!("no answer") };
			*holds = holds.with(Holds::DISPUTE);
		});
		run_to(40);
		assert!(Inference::job(id).is_some());
		assert_eq!(Inference::result(id).unwrap().status, ResultStatus::Pending);
	});
}

#[test]
fn backlog_should_be_worked_off_and_lose_nothing() {
	with_workers(&[CHARLIE], || {
		worker(CHARLIE, |w| {
			w.capacity = 100;
			w.stake = 1_000_000;
		});
		let ids: Vec<_> =
			(0..60).map(|_| Req { worker: Some(CHARLIE), ..Default::default() }.send().unwrap()).collect();
		run_to(2);
		for id in &ids {
			commit(CHARLIE, *id, output(1)).unwrap();
		}
		// A block has room for less than twenty settlements.
		run_to(12);
		let left = Jobs::<Test>::iter().count();
		assert!(left > 40 && left < 60, "{left}");
		Inference::do_try_state().unwrap();
		run_to(16);
		assert_eq!(Jobs::<Test>::iter().count(), 0);
		run_to(90);
		assert_eq!(Results::<Test>::iter().count() + Agenda::<Test>::iter().count(), 0);
	});
}

#[test]
fn agenda_should_stay_within_its_weight() {
	with_workers(&[CHARLIE], || {
		for _ in 0..100 {
			Req::default().send().unwrap();
		}
		let used = Inference::service_agenda(3, Weight::from_parts(5_000, 500));
		assert!(used.all_lte(Weight::from_parts(5_000, 500)));
		assert_eq!(Inference::service_agenda(3, Weight::zero()), Weight::zero());
	});
}
