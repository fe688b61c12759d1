//! Scenarios, by theme. Each ends with a check of every invariant.

mod emission;
mod faults;
mod fees;
mod heartbeats;
mod history;
mod migration;
mod random;

use crate::{mock::*, types::*, CurrentEra, EmittedEras, Eras, Error, Event, Ledgers, SweepCursor, TotalMinted};
use assay_primitives::Balance;
use frame_support::{assert_noop, assert_ok, traits::Hooks};
use sp_runtime::{DispatchError, Permill};

/// The last event, if it is of this pallet.
fn last_event() -> Event<Test> {
	match System::events().pop().expect("an event").event {
		RuntimeEvent::Rewards(event) => event,
		other => panic!("another pallet's event: {other:?}"),
	}
}

/// The emission of an era that is over.
fn emission(era: EraIndex) -> Balance {
	Eras::<Test>::get(era).expect("an era that is kept").emission
}

fn payout(worker: u64, era: EraIndex) -> frame_support::dispatch::DispatchResult {
	Rewards::payout_era(RuntimeOrigin::signed(BOB), worker, era)
}
