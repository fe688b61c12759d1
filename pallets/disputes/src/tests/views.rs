//! What users are shown.

use super::published;
use crate::{mock::*, *};

#[test]
fn views_should_tell_whose_move_it_is() {
	scenario(|| {
		let (job, trace) = wrong_claim(6);
		assert!(Court::dispute(job).is_none() && Court::dispute(9).is_none());
		assert_eq!(Court::next_deadline(job), None);
		assert_eq!(challenge(DAVE, job), Ok(()));
		assert_eq!(Court::next_deadline(job), Some(11));
		assert_eq!(publish(WORKER, job, &trace), Ok(()));
		run(1);
		assert_eq!(challenge(ERIN, job), Ok(()));
		let shown = Court::dispute(job).unwrap();
		assert_eq!((shown.claim, shown.first, shown.dispute.live), (hash_of(job), Some(DAVE), 2));
		assert_eq!(Court::next_deadline(job), Some(6));
		assert_eq!(demand(DAVE, job, Ask::Group(1)), Ok(()));
		let moves: Vec<_> = Court::challenges(job).iter().map(|c| (c.challenger, c.to_move, c.move_by)).collect();
		assert_eq!(moves, vec![(DAVE, false, 8), (ERIN, true, 7)]);
		let owed = Court::demands(job);
		assert_eq!((owed.len(), owed[0].bytes, owed[0].answer_by), (1, 132, 8));
		assert_eq!(owed[0].demand, ask(Ask::Group(1)));
		assert_eq!(open(job, &trace, Ask::Group(1)), Ok(()));
		assert!(Court::demands(job).is_empty());
	});
}

#[test]
fn conviction_should_be_shown_for_a_while() {
	scenario(|| {
		let (job, trace) = published(6);
		assert_eq!(prove(DAVE, job, &trace, 6), Ok(()));
		assert!(Court::dispute(job).is_none());
		assert!(matches!(
			Court::dispute_of(hash_of(job)).unwrap().dispute.phase,
			Phase::Convicted { at: 1, burned: 12_000, .. }
		));
		run(20);
		assert!(Court::dispute_of(hash_of(job)).is_none());
	});
}
