//! What the calls cost at worst: a record as large as it can be, in a list of versions as long as it can be.

use super::*;
use alloc::{vec, vec::Vec};
use assay_primitives::{Balance, ModelHeader, ModelId, Policy, TensorType};
use codec::Decode;
use frame_benchmarking::v2::*;
use frame_support::{
	traits::{
		fungible::{Inspect, Mutate},
		Get,
	},
	BoundedVec,
};
use frame_system::RawOrigin;
use sp_core::H256;

/// The most bytes and dimensions that a registration can have. `seed` tells models apart.
fn registration<T: Config>(seed: u8) -> Registration {
	let tensor = TensorType {
		dtype: Decode::decode(&mut &[0u8][..]).expect("index 0 is an element type"),
		dims: BoundedVec::truncate_from(vec![1; 8]),
	};
	Registration {
		header: ModelHeader {
			semantics_version: T::SemanticsVersion::get(),
			ir_root: H256::repeat_byte(seed),
			values: 1,
			weight_root: H256::zero(),
			inputs: BoundedVec::truncate_from(vec![tensor.clone(); 8]),
			outputs: BoundedVec::truncate_from(vec![tensor; 8]),
			max_iterations: 1,
		},
		input_names: BoundedVec::truncate_from(vec![name(); 8]),
		output_names: BoundedVec::truncate_from(vec![name(); 8]),
		artifacts: BoundedVec::truncate_from(vec![BoundedVec::truncate_from(vec![b'u'; 256]); 4]),
		price: 1,
		royalty: T::MaxRoyalty::get(),
		policy: Policy::optimistic(T::MaxWindow::get(), 0, 0),
	}
}

fn name() -> Name {
	BoundedVec::truncate_from(vec![b'n'; 64])
}

/// An account that can pay deposits.
fn owner<T: Config>() -> T::AccountId
where
	T::Currency: Mutate<T::AccountId>,
{
	let owner: T::AccountId = account("owner", 0, 0);
	let funds: Balance = T::Currency::minimum_balance().max(1).saturating_mul(1 << 20);
	let funds = funds.max(T::BaseDeposit::get().saturating_add(T::ByteDeposit::get().saturating_mul(1 << 13)) * 4);
	T::Currency::mint_into(&owner, funds).expect("issuance does not overflow");
	owner
}

/// Register a model.
fn registered<T: Config>(owner: &T::AccountId, seed: u8) -> ModelId {
	let origin = RawOrigin::Signed(owner.clone()).into();
	let registration = registration::<T>(seed);
	let model = registration.header.id();
	if Names::<T>::contains_key(owner, name()) {
		Pallet::<T>::register_version(origin, name(), registration).expect("can be registered");
	} else {
		Pallet::<T>::register_model(origin, name(), registration).expect("can be registered");
	}
	model
}

/// List as many other versions under the name as there is room for, less `room`.
fn fill_versions<T: Config>(owner: &T::AccountId, room: usize) {
	Names::<T>::mutate(owner, name(), |names| {
		let names = names.as_mut().expect("a model is registered");
		let others = (0..63u8.saturating_sub(room as u8)).map(|i| H256::repeat_byte(i.wrapping_add(100)));
		names.older = BoundedVec::truncate_from(others.chain(names.older.iter().copied()).collect::<Vec<_>>());
	});
}

#[benchmarks(where T::Currency: Mutate<T::AccountId>)]
mod benchmarks {
	use super::*;

	#[benchmark]
	fn register_model() {
		let owner = owner::<T>();
		let registration = registration::<T>(1);
		let model = registration.header.id();

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), name(), registration);

		assert!(Models::<T>::contains_key(model));
	}

	#[benchmark]
	fn register_version() {
		let owner = owner::<T>();
		registered::<T>(&owner, 1);
		fill_versions::<T>(&owner, 1);
		let registration = registration::<T>(2);
		let model = registration.header.id();

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), name(), registration);

		assert!(Models::<T>::contains_key(model));
	}

	#[benchmark]
	fn set_price() {
		let owner = owner::<T>();
		let model = registered::<T>(&owner, 1);

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), model, 7);

		assert_eq!(Models::<T>::get(model).map(|record| record.price), Some(7));
	}

	#[benchmark]
	fn deprecate_model() {
		let owner = owner::<T>();
		let model = registered::<T>(&owner, 1);

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), model);

		assert!(!Pallet::<T>::is_active(&model));
	}

	#[benchmark]
	fn remove_model() {
		let owner = owner::<T>();
		let model = registered::<T>(&owner, 1);
		registered::<T>(&owner, 2);
		// The model is the last of the older ones, so the whole list is searched.
		fill_versions::<T>(&owner, 1);
		Pallet::<T>::deprecate_model(RawOrigin::Signed(owner.clone()).into(), model).expect("is active");
		let later = frame_system::Pallet::<T>::block_number() + T::LongestJob::get() + 1u32.into();
		frame_system::Pallet::<T>::set_block_number(later);

		#[extrinsic_call]
		_(RawOrigin::Signed(owner), model);

		assert!(!Models::<T>::contains_key(model));
	}

	impl_benchmark_test_suite!(Pallet, crate::mock::ExtBuilder::default().build(), crate::mock::Test);
}
