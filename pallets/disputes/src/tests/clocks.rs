//! Time: full blocks, and the bound on everything.

use super::{defended, published};
use crate::{mock::*, *};
use frame_support::traits::Hooks;

#[test]
fn constants_should_keep_their_relations() {
	scenario(Court::integrity_test);
}

#[test]
fn clock_should_skip_full_blocks_until_it_has_doubled() {
	let clock = Clock { start: 100u64, length: 10, full: 7 };
	assert_eq!(clock.last(7), 110);
	assert_eq!(clock.last(10), 113);
	assert_eq!(clock.last(17), 120);
	assert_eq!(clock.last(u32::MAX), 120);
	assert_eq!(clock.last(0), 110);
	assert!(!clock.is_over(110, 7) && clock.is_over(111, 7) && !clock.is_over(111, 8));
	let far = Clock { start: u64::MAX - 1, ..clock };
	assert!(!far.is_over(u64::MAX, 7));
}

#[test]
fn block_should_be_full_when_the_largest_message_has_no_room() {
	scenario(|| {
		assert!(Court::has_room());
		let limits: frame_system::limits::BlockWeights = <Test as frame_system::Config>::BlockWeights::get();
		use frame_support::{dispatch::DispatchClass::*, traits::Get};
		// Ordinary transactions cannot fill the reserve.
		let normal = limits.get(Normal).max_total.unwrap();
		System::register_extra_weight_unchecked(normal, Normal);
		assert!(Court::has_room());
		// Dispute messages can; beyond the block, there is the reserve.
		let reserve = limits.get(Operational).reserved.unwrap();
		System::register_extra_weight_unchecked(limits.max_block, Mandatory);
		assert!(Court::has_room());
		System::register_extra_weight_unchecked(reserve, Operational);
		assert!(!Court::has_room());
		run(1);
		assert_eq!(FullBlocks::<Test>::get(), 1);
		assert!(Court::has_room());
		let length = *<<Test as frame_system::Config>::BlockLength as Get<frame_system::limits::BlockLength>>::get()
			.max
			.get(Operational);
		System::set_block_consumed_resources(Default::default(), length as usize - 512 - 1_024);
		assert!(Court::has_room());
		System::set_block_consumed_resources(Default::default(), length as usize - 512 - 1_023);
		assert!(!Court::has_room());
		run(1);
		assert_eq!(FullBlocks::<Test>::get(), 2);
	});
}

#[test]
fn publication_should_have_more_time_when_blocks_are_full() {
	scenario(|| {
		let (job, trace) = right_claim();
		assert_eq!(challenge(MALLORY, job), Ok(()));
		run_full(4);
		run_to(15);
		assert_eq!(outcome(job), None);
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
	});
}

#[test]
fn silent_worker_should_be_convicted_in_the_end_when_all_blocks_are_full() {
	scenario(|| {
		let (job, _) = wrong_claim(6);
		assert_eq!(challenge(DAVE, job), Ok(()));
		run_full(20);
		assert_eq!(outcome(job), None);
		run_full(1);
		assert_eq!(outcome(job), Some(Outcome::Convicted(22)));
	});
}

#[test]
fn challenger_should_have_more_time_when_blocks_are_full_but_at_most_double() {
	scenario(|| {
		let (job, trace) = published(6);
		run_full(10);
		assert_eq!(demand(DAVE, job, Ask::Group(1)), Ok(()));
		run_full(12);
		assert_eq!(open(job, &trace, Ask::Group(1)), Ok(()));
		run_full(10);
		assert!(claim(job, |c| c.held));
		run_full(1);
		assert!(!claim(job, |c| c.held));
	});
}

#[test]
fn longest_challenge_should_end_within_its_bound() {
	scenario(|| {
		let (job, trace) = right_claim();
		run_to(20);
		let started = System::block_number();
		assert_eq!(challenge(MALLORY, job), Ok(()));
		let bound = Court::longest_challenge(0);
		assert_eq!(bound, 2 * (10 + 5 * (6 + 5) + 4));
		run_full(20);
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
		for what in [Ask::Group(0), Ask::Group(1), Ask::Group(2), Ask::Group(3), Ask::States(5)] {
			run_full(10);
			assert_eq!(demand(MALLORY, job, what), Ok(()));
			run_full(12);
			assert_eq!(open(job, &trace, what), Ok(()));
		}
		run_full(8);
		assert_eq!(System::block_number(), started + bound);
		assert!(claim(job, |c| c.held));
		run_full(1);
		assert!(!claim(job, |c| c.held));
		run(1);
		assert!(matches!(outcome(job), Some(Outcome::Settled(_))));
		run(5);
		assert_empty();
	});
}

#[test]
fn late_challenger_should_not_shorten_the_workers_time() {
	scenario(|| {
		let (job, trace) = defended();
		assert_eq!(demand(MALLORY, job, Ask::Group(1)), Ok(()));
		run_to(5);
		assert_eq!(challenge(DAVE, job), Ok(()));
		assert_eq!(demand(DAVE, job, Ask::Group(1)), Ok(()));
		run_to(7);
		assert_eq!(open(job, &trace, Ask::Group(1)), Ok(()));
	});
}

#[test]
fn clocks_should_scale_with_the_trace() {
	scenario(|| {
		assert_eq!(Court::publish_blocks(0), 10);
		assert_eq!((Court::publish_blocks(9), Court::answer_blocks(9)), (3 + 18, 3 + 18));
		assert_eq!((Court::move_blocks(9, 0), Court::move_blocks(9, 5)), (3 + 18, 3 + 18));
		assert_eq!((Court::move_blocks(0, 0), Court::move_blocks(0, 5)), (5, 4));
		assert_eq!(Court::longest_challenge(9), 2 * (21 + 5 * (21 + 21) + 21));
		assert_eq!(Court::longest_challenge(u32::MAX), Court::longest_challenge(MaxTraceBlocks::get()));
		let (job, trace) = wrong_claim(6);
		claim(job, |c| c.info.trace_blocks = 9);
		assert_eq!(challenge(DAVE, job), Ok(()));
		run(21);
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
		run(21);
		assert_eq!(demand(DAVE, job, Ask::Group(1)), Ok(()));
		run(21);
		assert_eq!(open(job, &trace, Ask::Group(1)), Ok(()));
		run(21);
		assert_eq!(prove(DAVE, job, &trace, 6), Ok(()));
	});
}
