//! Random histories.

use crate::{mock::*, *};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
	Request { who: u64, fee: u128, coverage: u128, deadline: u32, named: bool },
	Cancel { who: u64, job: u64 },
	Commit { signer: u64, job: u64, byte: u8 },
	Decline { signer: u64, job: u64 },
	Blocks(u64),
}

fn step() -> impl Strategy<Value = Step> {
	prop_oneof![
		3 => (1u64..4, 0u128..400, 0u128..3_000, 0u32..30, any::<bool>())
			.prop_map(|(who, fee, coverage, deadline, named)| Step::Request { who, fee, coverage, deadline, named }),
		1 => (1u64..4, 0u64..30).prop_map(|(who, job)| Step::Cancel { who, job }),
		4 => (10u64..13, 0u64..30, any::<u8>()).prop_map(|(signer, job, byte)| Step::Commit { signer, job, byte }),
		1 => (10u64..13, 0u64..30).prop_map(|(signer, job)| Step::Decline { signer, job }),
		4 => (1u64..6).prop_map(Step::Blocks),
	]
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(128))]

	#[test]
	fn invariants_should_hold_and_everything_should_end_when_anything_happens(steps in prop::collection::vec(step(), 1..60)) {
		with_workers(&[10, 11, 12], || {
			for step in steps {
				match step {
					Step::Request { who, fee, coverage, deadline, named } => {
						let worker = named.then_some(10 + who % 3);
						let _ = Req { who, max_fee: fee, coverage, deadline, worker, ..Default::default() }.send();
					},
					Step::Cancel { who, job } => {
						let _ = Inference::cancel(RuntimeOrigin::signed(who), job);
					},
					Step::Commit { signer, job, byte } => {
						let _ = commit(signer, job, output(byte));
					},
					Step::Decline { signer, job } => {
						let _ = decline(signer, job, DeclineReason::CannotRun);
					},
					Step::Blocks(count) => run_to(System::block_number() + count),
				}
				Inference::do_try_state().unwrap();
			}
			run_to(System::block_number() + 200);
			assert_eq!(Jobs::<Test>::iter().count() + Results::<Test>::iter().count() + Agenda::<Test>::iter().count(), 0);
			for who in [BOB, ALICE, 3] {
				assert_eq!(held(who), 0);
			}
			for who in [10, 11, 12] {
				assert_eq!(worker(who, |w| (w.covered, w.claims, w.busy)), (0, 0, 0));
			}
		});
	}
}
