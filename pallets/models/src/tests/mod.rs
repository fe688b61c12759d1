//! Scenarios, by theme. Each ends with a check of every invariant.

mod genesis;
mod lifecycle;
mod random;
mod registration;

use crate::{mock::*, Event, HoldReason};
use assay_primitives::Balance;
use frame_support::traits::fungible::InspectHold;

/// What is held on an account for records.
fn held(who: u64) -> Balance {
	Balances::balance_on_hold(&HoldReason::Deposit.into(), &who)
}

/// The last event, if it is of this pallet.
fn last_event() -> Event<Test> {
	match System::events().pop().expect("an event").event {
		RuntimeEvent::Models(event) => event,
		other => panic!("another pallet's event: {other:?}"),
	}
}
