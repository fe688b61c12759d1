//! What the calls and the draw cost at worst: lists as long as they can be.

use super::*;
use alloc::vec::Vec;
use assay_primitives::{Balance, ModelId, ServiceKey};
use frame_benchmarking::v2::*;
use frame_support::{
	traits::{
		fungible::{Balanced, Inspect, Mutate},
		Get,
	},
	BoundedVec,
};
use frame_system::{pallet_prelude::BlockNumberFor, RawOrigin};
use sp_core::{sr25519, H256};
use sp_runtime::{Perbill, Saturating};

fn terms() -> Terms {
	Terms { capacity: 8, min_price: 1, coverage_price: Perbill::zero(), min_deadline: 1 }
}

fn bond<T: Config>() -> Balance {
	T::MinBond::get().saturating_mul(4)
}

fn key(seed: u8) -> ServiceKey {
	sr25519::Public::from_raw([seed; 32]).into()
}

fn model(index: u32) -> ModelId {
	let mut model = H256::repeat_byte(0xBE);
	model.0[..4].copy_from_slice(&index.to_le_bytes());
	model
}

/// An account that can bond.
fn funded<T: Config>(index: u32) -> T::AccountId {
	let who: T::AccountId = account("worker", index, 0);
	let funds = bond::<T>().saturating_add(T::Currency::minimum_balance()).saturating_mul(4);
	T::Currency::mint_into(&who, funds).expect("issuance does not overflow");
	who
}

/// A worker with a service key.
fn worker<T: Config>(index: u32) -> T::AccountId {
	let who = funded::<T>(index);
	Pallet::<T>::bond(RawOrigin::Signed(who.clone()).into(), bond::<T>()).expect("can bond");
	Pallet::<T>::set_service_key(RawOrigin::Signed(who.clone()).into(), key(index as u8)).expect("key is free");
	who
}

/// Put a worker last on the full list of a model.
fn serve<T: Config>(who: &T::AccountId, model: ModelId, others: u32) {
	let mut servers: Vec<T::AccountId> = (0..others).map(|i| account("server", i, 0)).collect();
	servers.push(who.clone());
	Servers::<T>::insert(model, BoundedVec::truncate_from(servers));
	Served::<T>::try_append(who, model).expect("there is room");
	Services::<T>::insert(model, who, Service { terms: terms(), in_flight: 0 });
}

/// A worker that serves as many models as it can, last of as many workers as each can have.
fn busy_worker<T: Config>() -> T::AccountId {
	let who = worker::<T>(1);
	for index in 0..T::MaxServed::get() {
		serve::<T>(&who, model(index), T::MaxServers::get().saturating_sub(1));
	}
	// So that the observer knows of the stake, and is told of what happens to it.
	T::StakeObserver::active_stake_changed(&who, bond::<T>());
	who
}

/// Fill the list of unbonding stake, but for `room`, with parts that are due at once.
fn fill_unbonding<T: Config>(who: &T::AccountId, room: u32) {
	Workers::<T>::mutate(who, |worker| {
		let worker = worker.as_mut().expect("is a worker");
		for index in 0..T::MaxUnbonding::get().saturating_sub(room) {
			worker.bonded = worker.bonded.saturating_sub(1);
			let part = Unbonding { amount: 1, withdrawable_at: BlockNumberFor::<T>::from(index) };
			worker.unbonding.try_push(part).expect("there is room");
		}
	});
}

/// Pools have as many buckets as they can, but for `room`, all due at once and each partly the delegator's.
fn fill_buckets<T: Config>(worker: &T::AccountId, delegator: &T::AccountId, room: u32) {
	let mut pool = Pools::<T>::get(worker);
	let mut delegation = Delegations::<T>::get(worker, delegator).expect("has delegated");
	for index in 0..T::MaxUnbonding::get().saturating_sub(room) {
		let withdrawable_at = BlockNumberFor::<T>::from(index);
		let shares = pool.bonded.take_out(2);
		delegation.shares = delegation.shares.saturating_sub(shares);
		let bucket = Bucket { withdrawable_at, joint: Joint { stake: 2, shares: 2 } };
		pool.unbonding.try_push(bucket).expect("there is room");
		delegation.unbonding.try_push(Leaving { withdrawable_at, shares: 2 }).expect("there is room");
	}
	Delegations::<T>::insert(worker, delegator, delegation);
	Pallet::<T>::put_pool(worker, pool);
}

/// A busy worker with a delegator that has earned something.
fn backed_worker<T: Config>() -> (T::AccountId, T::AccountId) {
	let (worker, delegator) = (busy_worker::<T>(), funded::<T>(2));
	let origin = |who: &T::AccountId| RawOrigin::Signed(who.clone()).into();
	Pallet::<T>::set_commission(origin(&worker), Perbill::from_percent(10)).expect("is a worker");
	Pallet::<T>::delegate(origin(&delegator), worker.clone(), stake::<T>()).expect("can delegate");
	let reward = T::Currency::issue(bond::<T>());
	assert!(Pallet::<T>::distribute(&worker, reward).is_ok());
	(worker, delegator)
}

/// What is delegated in a benchmark.
fn stake<T: Config>() -> Balance {
	bond::<T>().min(T::MinDelegation::get().saturating_mul(4))
}

#[benchmarks]
mod benchmarks {
	use super::*;

	#[benchmark]
	fn bond() {
		let who = funded::<T>(1);

		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()), super::bond::<T>());

		assert!(Workers::<T>::contains_key(who));
	}

	#[benchmark]
	fn bond_extra() {
		let who = busy_worker::<T>();

		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()), super::bond::<T>());

		assert_eq!(Pallet::<T>::active_stake(&who), super::bond::<T>() * 2);
	}

	#[benchmark]
	fn set_service_key() {
		let who = worker::<T>(1);

		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()), key(2));

		assert_eq!(Pallet::<T>::worker_of(&key(2)), Some(who));
	}

	#[benchmark]
	fn serve_model() {
		let active = T::Models::make_active();
		// It serves nothing yet: its stake becomes active. And the list is full, so that one with less has to go.
		let who = worker::<T>(1);
		let others = (0..T::MaxServers::get()).map(|i| account("server", i, 0)).collect::<Vec<T::AccountId>>();
		for other in &others {
			let record = Worker::new(T::MinBond::get(), 0, BlockNumberFor::<T>::from(0u32));
			Workers::<T>::insert(other, record);
			Served::<T>::try_append(other, active).expect("there is room");
			Services::<T>::insert(active, other, Service { terms: terms(), in_flight: 0 });
		}
		Servers::<T>::insert(active, BoundedVec::truncate_from(others));

		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()), active, terms());

		assert!(Services::<T>::contains_key(active, who));
	}

	#[benchmark]
	fn stop_serving() {
		let who = worker::<T>(1);
		serve::<T>(&who, model(0), T::MaxServers::get().saturating_sub(1));
		T::StakeObserver::active_stake_changed(&who, super::bond::<T>());

		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()), model(0));

		assert!(!Services::<T>::contains_key(model(0), who));
	}

	#[benchmark]
	fn pause() {
		let who = busy_worker::<T>();

		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()));

		assert_eq!(Pallet::<T>::active_stake(&who), 0);
	}

	#[benchmark]
	fn resume() {
		let who = busy_worker::<T>();
		Pallet::<T>::pause(RawOrigin::Signed(who.clone()).into()).expect("is not paused");

		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()));

		assert_eq!(Pallet::<T>::active_stake(&who), super::bond::<T>());
	}

	#[benchmark]
	fn unbond() {
		let who = busy_worker::<T>();
		fill_unbonding::<T>(&who, 1);
		let all = Workers::<T>::get(&who).map_or(0, |worker| worker.bonded);

		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()), all);

		assert!(!Served::<T>::contains_key(who));
	}

	#[benchmark]
	fn withdraw() {
		let who = busy_worker::<T>();
		fill_unbonding::<T>(&who, 0);
		// All that was bonded is due with the last part: the worker leaves, and is still listed as after a slash.
		Workers::<T>::mutate(&who, |worker| {
			let worker = worker.as_mut().expect("is a worker");
			if let Some(last) = worker.unbonding.last_mut() {
				last.amount.saturating_accrue(worker.bonded);
			}
			worker.bonded = 0;
		});
		T::StakeObserver::active_stake_changed(&who, 0);
		frame_system::Pallet::<T>::set_block_number(T::MaxUnbonding::get().into());

		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()));

		assert!(!Workers::<T>::contains_key(who));
	}

	#[benchmark]
	fn limit_claims() {
		let who = worker::<T>(1);
		fill_unbonding::<T>(&who, 0);

		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()), 7);

		assert_eq!(Workers::<T>::get(&who).map(|worker| worker.max_claims), Some(7));
	}

	#[benchmark]
	fn withdraw_for() {
		let who = busy_worker::<T>();
		fill_unbonding::<T>(&who, 0);
		Workers::<T>::mutate(&who, |worker| {
			let worker = worker.as_mut().expect("is a worker");
			if let Some(last) = worker.unbonding.last_mut() {
				last.amount.saturating_accrue(worker.bonded);
			}
			worker.bonded = 0;
		});
		T::StakeObserver::active_stake_changed(&who, 0);
		SuspendedUntil::<T>::insert(&who, BlockNumberFor::<T>::from(0u32));
		frame_system::Pallet::<T>::set_block_number(T::MaxUnbonding::get().into());
		let caller: T::AccountId = whitelisted_caller();

		#[extrinsic_call]
		_(RawOrigin::Signed(caller), who.clone());

		assert!(!Workers::<T>::contains_key(who));
	}

	#[benchmark]
	fn set_commission() {
		let (who, delegator) = backed_worker::<T>();
		fill_buckets::<T>(&who, &delegator, 0);

		#[extrinsic_call]
		_(RawOrigin::Signed(who.clone()), Perbill::from_percent(20));

		assert!(Pools::<T>::get(who).commission.is_some_and(|commission| commission.next.is_some()));
	}

	#[benchmark]
	fn delegate() {
		let (who, delegator) = backed_worker::<T>();
		fill_buckets::<T>(&who, &delegator, 0);
		let before = Workers::<T>::get(&who).map_or(0, |worker| worker.delegated);

		#[extrinsic_call]
		_(RawOrigin::Signed(delegator), who.clone(), stake::<T>());

		assert!(Workers::<T>::get(&who).is_some_and(|worker| worker.delegated > before));
	}

	#[benchmark]
	fn undelegate() {
		let (who, delegator) = backed_worker::<T>();
		fill_buckets::<T>(&who, &delegator, 0);
		frame_system::Pallet::<T>::set_block_number(T::MaxUnbonding::get().into());

		#[extrinsic_call]
		_(RawOrigin::Signed(delegator.clone()), who.clone(), None);

		assert!(Delegations::<T>::get(who, delegator).is_some_and(|delegation| delegation.shares == 0));
	}

	#[benchmark]
	fn withdraw_delegation() {
		let (who, delegator) = backed_worker::<T>();
		fill_buckets::<T>(&who, &delegator, 0);
		frame_system::Pallet::<T>::set_block_number(T::MaxUnbonding::get().into());
		let caller: T::AccountId = whitelisted_caller();

		#[extrinsic_call]
		_(RawOrigin::Signed(caller), who.clone(), delegator.clone());

		assert!(Delegations::<T>::get(who, delegator).is_some_and(|delegation| delegation.unbonding.is_empty()));
	}

	#[benchmark]
	fn claim() {
		let (who, delegator) = backed_worker::<T>();
		fill_buckets::<T>(&who, &delegator, 0);
		let caller: T::AccountId = whitelisted_caller();

		#[extrinsic_call]
		_(RawOrigin::Signed(caller), who.clone(), delegator.clone());

		assert_eq!(Pallet::<T>::claimable(who, delegator), 0);
	}

	#[benchmark]
	fn set_payee() {
		let (who, delegator) = backed_worker::<T>();
		fill_buckets::<T>(&who, &delegator, 0);

		#[extrinsic_call]
		_(RawOrigin::Signed(delegator.clone()), who.clone(), Payee::Stake);

		assert!(Delegations::<T>::get(who, delegator).is_some_and(|delegation| delegation.payee == Payee::Stake));
	}

	impl_benchmark_test_suite!(Pallet, crate::mock::ExtBuilder::default().build(), crate::mock::Test);
}
