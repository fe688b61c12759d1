//! Workers that say they are there.

use crate::{mock::*, *};
use assay_primitives::ServiceSignature;
use sp_runtime::transaction_validity::{InvalidTransaction, TransactionValidity};

fn signed(who: AccountId, worker: AccountId, at: u64) -> ServiceSignature {
	let payload = Inference::heartbeat_payload(&worker, at).expect("a known block");
	sp_core::Pair::sign(&service_pair(who), &payload.0).into()
}

fn due(who: AccountId) {
	worker(who, |w| w.heartbeat_due = true);
}

fn beat(who: AccountId, at: u64, signature: &ServiceSignature) -> TransactionValidity {
	Inference::authorize_heartbeat(&who, at, signature)
}

#[test]
fn heartbeat_should_be_noted_once() {
	with_workers(&[CHARLIE], || {
		run_to(10);
		due(CHARLIE);
		let signature = signed(CHARLIE, CHARLIE, 9);
		let valid = beat(CHARLIE, 9, &signature).unwrap();
		assert_eq!((valid.provides.len(), valid.longevity), (1, u64::from(HEARTBEAT_FRESH) - 1));
		Inference::heartbeat(frame_system::RawOrigin::Authorized.into(), CHARLIE, 9, signature.clone()).unwrap();
		assert_eq!(worker(CHARLIE, |w| w.heartbeats), 1);
		System::assert_last_event(Event::Heartbeat { worker: CHARLIE }.into());
		assert_eq!(beat(CHARLIE, 9, &signature), InvalidTransaction::Stale.into());
	});
}

#[test]
fn heartbeat_should_be_refused_when_it_is_not_the_workers_or_not_of_now() {
	with_workers(&[CHARLIE, DAVE], || {
		run_to(10);
		due(CHARLIE);
		let signature = signed(CHARLIE, CHARLIE, 9);
		for wrong in [signed(DAVE, CHARLIE, 9), signed(CHARLIE, DAVE, 9), signed(CHARLIE, CHARLIE, 8)] {
			assert_eq!(beat(CHARLIE, 9, &wrong), InvalidTransaction::BadProof.into());
		}
		for at in [10, 11, u64::MAX] {
			assert_eq!(beat(CHARLIE, at, &signature), InvalidTransaction::Future.into());
		}
		// Not due.
		assert_eq!(beat(DAVE, 9, &signed(DAVE, DAVE, 9)), InvalidTransaction::Stale.into());
		run_to(9 + u64::from(HEARTBEAT_FRESH));
		assert!(beat(CHARLIE, 9, &signature).is_ok());
		run_to(10 + u64::from(HEARTBEAT_FRESH));
		assert_eq!(beat(CHARLIE, 9, &signature), InvalidTransaction::Stale.into());
		let dispatched = Inference::heartbeat(RuntimeOrigin::signed(CHARLIE), CHARLIE, 9, signature);
		assert_eq!(dispatched, Err(sp_runtime::DispatchError::BadOrigin));
		assert_eq!(worker(CHARLIE, |w| w.heartbeats), 0);
	});
}
