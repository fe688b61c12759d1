//! Scenarios, by theme. Each ends with a check of every invariant.

mod bonding;
mod draw;
mod jobs;
mod random;
mod services;
mod slashing;

use crate::{mock::*, types::*, Error, Event, HoldReason, ServiceKeys, Workers as WorkersMap};
use assay_primitives::{Balance, SlashReason};
use frame_support::{
	assert_noop, assert_ok,
	traits::{fungible::InspectHold, Imbalance},
};

/// What is held on an account as stake.
fn held(who: u64) -> Balance {
	Balances::balance_on_hold(&HoldReason::Stake.into(), &who)
}

/// The record of a worker.
fn worker(who: u64) -> WorkerOf<Test> {
	WorkersMap::<Test>::get(who).expect("a worker")
}

/// The last event, if it is of this pallet.
fn last_event() -> Event<Test> {
	match System::events().pop().expect("an event").event {
		RuntimeEvent::Workers(event) => event,
		other => panic!("another pallet's event: {other:?}"),
	}
}

/// Slash, burn what was taken, and say how much it was.
fn slash(who: u64, amount: Balance) -> Balance {
	Workers::slash(&who, amount, SlashReason::WrongAnswer).peek()
}
