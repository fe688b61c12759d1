//! Scenarios, by theme. Every one ends with a check of all invariants.

mod challenging;
mod clocks;
mod demanding;
mod ending;
mod games;
mod proving;
mod publishing;
mod sealing;
mod views;

use crate::mock::*;

/// A wrong claim, challenged by Dave and published.
pub(crate) fn published(wrong: u8) -> (u64, Trace) {
	let (job, trace) = wrong_claim(wrong);
	assert_eq!(challenge(DAVE, job), Ok(()));
	assert_eq!(publish(WORKER, job, &trace), Ok(()));
	(job, trace)
}

/// A right claim, challenged by Mallory and published.
pub(crate) fn defended() -> (u64, Trace) {
	let (job, trace) = right_claim();
	assert_eq!(challenge(MALLORY, job), Ok(()));
	assert_eq!(publish(WORKER, job, &trace), Ok(()));
	(job, trace)
}
