//! Scenarios, by theme. Each ends with a check of every invariant.

mod bonding;
mod delegation;
mod draw;
mod jobs;
mod migration;
mod pool;
mod random;
mod rewards;
mod services;
mod slashing;
mod suspension;

use crate::{
	mock::*, types::*, DelegationStatus, Delegations, Error, Event, HoldReason, Joint, Matured, Payee, Pools,
	ServiceKeys, Slashes, SuspendedUntil, Workers as WorkersMap,
};
use assay_primitives::{Balance, SlashReason};
use frame_support::{
	assert_noop, assert_ok,
	traits::{
		fungible::{Balanced, InspectHold},
		Imbalance,
	},
};
use sp_runtime::Perbill;

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

/// Slash, burn what was taken, and say how much of it was the worker's own.
fn slash(who: u64, amount: Balance) -> Balance {
	Workers::slash(&who, amount, SlashReason::WrongAnswer).peek()
}

/// What is held for delegators.
fn delegated_in_all() -> Balance {
	Balances::balance_on_hold(&HoldReason::Delegation.into(), &Workers::pot())
}

/// What a delegator has with a worker.
fn delegation(worker: u64, delegator: u64) -> DelegationStatus<u32> {
	Workers::delegation(worker, delegator).expect("a delegation")
}

/// What a delegator has bonded with a worker.
fn stake(worker: u64, delegator: u64) -> Balance {
	delegation(worker, delegator).stake
}

/// Let a worker earn something.
fn reward(worker: u64, amount: Balance) {
	assert!(Workers::distribute(&worker, Balances::issue(amount)).is_ok());
}

/// The balance that an account can spend, and what is held on it.
fn total(who: u64) -> Balance {
	Balances::free_balance(who) + held(who)
}

/// A chain on which Charlie has bonded 1,000 and takes delegations for 10 %.
fn open() -> ExtBuilder {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).with_commission(CHARLIE, Perbill::from_percent(10))
}
