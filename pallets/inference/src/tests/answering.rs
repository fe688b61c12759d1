//! Commitments and who may make them.

use crate::{mock::*, *};
use assay_primitives::{claim, pool::REFUSED_OUTPUT_SIZE, Claim};
use frame_support::{assert_noop, traits::Authorize};
use sp_core::{crypto::Pair, H256};
use sp_runtime::transaction_validity::{InvalidTransaction, TransactionSource, TransactionValidityError};

fn assigned() -> u64 {
	let id = Req { worker: Some(CHARLIE), ..Default::default() }.send().unwrap();
	run_to(System::block_number() + 1);
	id
}

#[test]
fn answer_should_open_the_window() {
	with_workers(&[CHARLIE], || {
		let id = assigned();
		commit(CHARLIE, id, output(5)).unwrap();
		let ResultView { status, result } = Inference::result(id).unwrap();
		assert_eq!((status, result.output, result.worker), (ResultStatus::Pending, output(5), CHARLIE));
		let Stage::Committed { settles_at, claim, .. } = Inference::job(id).unwrap().stage else { panic!("no answer") };
		assert_eq!((settles_at, result.settles_at), (System::block_number() + WINDOW, settles_at));
		assert_eq!(claim, result.claim);
		assert_eq!(worker(CHARLIE, |w| w.busy), 0);
	});
}

#[test]
fn worker_should_know_its_most_urgent_deadline() {
	with_workers(&[CHARLIE], || {
		assert_eq!(Inference::next_deadline(CHARLIE), None);
		let [late, soon] = [20, 10].map(|deadline| {
			let id = Req { worker: Some(CHARLIE), deadline, ..Default::default() }.send().unwrap();
			let Stage::Assigned(assignment) = Inference::job(id).unwrap().stage else { panic!("not assigned") };
			(id, assignment.answer_by)
		});
		assert!(soon.1 < late.1);
		assert_eq!(Inference::next_deadline(CHARLIE), Some(soon.1));
		assert_eq!(Inference::next_deadline(DAVE), None);
		run_to(System::block_number() + 1);
		commit(CHARLIE, soon.0, output(5)).unwrap();
		assert_eq!(Inference::next_deadline(CHARLIE), Some(late.1));
	});
}

#[test]
fn claim_should_name_everything_that_makes_the_job_unique() {
	with_workers(&[CHARLIE], || {
		let id = Req { worker: Some(CHARLIE), coverage: 9, ..Default::default() }.send().unwrap();
		run_to(2);
		commit(CHARLIE, id, output(5)).unwrap();
		let result = Inference::result(id).unwrap().result;
		let job = Inference::job(id).unwrap();
		let expected = Claim {
			genesis: H256::repeat_byte(0xaa),
			requester: BOB,
			nonce: 0,
			job: id,
			worker: CHARLIE,
			assigned_in: System::block_hash(1),
			statement: claim::statement(&model(), &job.input_root, &result.output_root),
			coverage: 9u128,
			deadline: 21u64,
		};
		assert_eq!(result.claim, expected.hash());
	});
}

#[test]
fn answer_should_be_refused_when_it_is_not_the_workers() {
	with_workers(&[CHARLIE, DAVE], || {
		let id = assigned();
		let bad = <&'static str>::from(TransactionValidityError::from(InvalidTransaction::BadProof));
		assert_eq!(commit(DAVE, id, output(1)), Err(bad));
		assert_eq!(decline(DAVE, id, DeclineReason::CannotRun), Err(bad));
		// Charlie's signature is for one output only.
		let signature = commit_signature(CHARLIE, id, &output(1));
		assert_eq!(Inference::authorize_commit(id, &output(2), &signature), Err(InvalidTransaction::BadProof.into()));
		assert!(Inference::authorize_commit(id, &output(1), &signature).is_ok());
	});
}

#[test]
fn signature_should_be_worthless_on_another_fork() {
	with_workers(&[CHARLIE], || {
		let id = assigned();
		let signature = commit_signature(CHARLIE, id, &output(1));
		frame_system::BlockHash::<Test>::insert(1, H256::repeat_byte(0xbb));
		assert_eq!(Inference::authorize_commit(id, &output(1), &signature), Err(InvalidTransaction::BadProof.into()));
	});
}

#[test]
fn second_answer_should_be_stale() {
	with_workers(&[CHARLIE], || {
		let id = assigned();
		let signature = commit_signature(CHARLIE, id, &output(1));
		commit(CHARLIE, id, output(1)).unwrap();
		assert_eq!(Inference::authorize_commit(id, &output(1), &signature), Err(InvalidTransaction::Stale.into()));
		let again = frame_support::storage::with_storage_layer(|| {
			Inference::commit(frame_system::RawOrigin::Authorized.into(), id, output(1), signature)
		});
		assert_eq!(again, Err(Error::<Test>::AlreadyAnswered.into()));
	});
}

#[test]
fn answer_should_be_refused_when_it_is_early_or_late_or_of_the_wrong_size() {
	with_workers(&[CHARLIE], || {
		let signature = service_pair(CHARLIE).sign(&[0; 32]).into();
		assert_eq!(Inference::authorize_commit(5, &output(1), &signature), Err(InvalidTransaction::Stale.into()));
		let waiting = Req::default().send().unwrap();
		assert_eq!(
			Inference::authorize_commit(waiting, &output(1), &signature),
			Err(InvalidTransaction::Future.into())
		);
		let id = assigned();
		let long = Output::Inline(vec![0; 5].try_into().unwrap());
		let refused = InvalidTransaction::Custom(REFUSED_OUTPUT_SIZE).into();
		assert_eq!(Inference::authorize_commit(id, &long, &signature), Err(refused));
		assert_eq!(Inference::authorize_commit(id, &Output::Inline(Default::default()), &signature), Err(refused));
		let good = commit_signature(CHARLIE, id, &output(1));
		assert!(Inference::authorize_commit(id, &output(1), &good).is_ok());
		// The last block in which it counts is 21.
		System::set_block_number(22);
		assert_eq!(Inference::authorize_commit(id, &output(1), &good), Err(InvalidTransaction::Stale.into()));
		System::set_block_number(2);
	});
}

#[test]
fn answers_should_come_only_as_authorised_transactions() {
	with_workers(&[CHARLIE], || {
		let id = assigned();
		let signature = commit_signature(CHARLIE, id, &output(1));
		for origin in [RuntimeOrigin::signed(CHARLIE), RuntimeOrigin::none(), RuntimeOrigin::root()] {
			assert_noop!(
				Inference::commit(origin, id, output(1), signature.clone()),
				sp_runtime::DispatchError::BadOrigin
			);
		}
		let call = RuntimeCall::from(Call::<Test>::commit { job: id, output: output(1), signature });
		let (valid, _) = call.authorize(TransactionSource::External).expect("has an authorisation").unwrap();
		assert_eq!(valid.provides.len(), 1, "one answer per assignment in the pool");
		assert_eq!(valid.longevity, 19);
	});
}

#[test]
fn declined_job_should_go_to_another_worker() {
	with_workers(&[CHARLIE, DAVE], || {
		let id = Req::default().send().unwrap();
		run_to(4);
		let Stage::Assigned(first) = Inference::job(id).unwrap().stage else { panic!("not assigned") };
		decline(first.worker, id, DeclineReason::DataUnavailable).unwrap();
		run_to(6);
		let Stage::Assigned(second) = Inference::job(id).unwrap().stage else { panic!("not assigned again") };
		assert_ne!(first.worker, second.worker);
		assert_eq!(worker(first.worker, |w| (w.slashed, w.faults, w.covered)), (0, 1, 0));
		commit(second.worker, id, output(1)).unwrap();
	});
}

#[test]
fn declined_job_should_expire_at_once_when_the_worker_was_named() {
	with_workers(&[CHARLIE, DAVE], || {
		let id = assigned();
		decline(CHARLIE, id, DeclineReason::CannotRun).unwrap();
		assert!(Inference::job(id).is_none());
		assert_eq!(held(BOB), 0);
		assert!(events().contains(&Event::Expired { job: id, requester: BOB, refund: 120 }));
	});
}
