//! What is benchmarked, and the models and workers that the benchmarks need.

use crate::*;
use alloc::{string::String, vec, vec::Vec};
use assay_primitives::{model::TensorType, ModelHeader, ModelId, Policy, ServiceKey, OPG};
use frame_benchmarking::{baseline::Pallet as BaselineBench, BenchmarkBatch, BenchmarkConfig, BenchmarkList};
use frame_support::traits::{fungible::Mutate, StorageInfo, StorageInfoTrait, WhitelistedStorageKeys};
use frame_system_benchmarking::{extensions::Pallet as SystemExtensionsBench, Pallet as SystemBench};
use sp_runtime::{BoundedVec, Perbill, Permill};
use sp_storage::TrackedStorageKey;

impl frame_system_benchmarking::Config for Runtime {}
impl frame_benchmarking::baseline::Config for Runtime {}
impl pallet_transaction_payment::BenchmarkConfig for Runtime {}

frame_benchmarking::define_benchmarks!(
	[frame_benchmarking, BaselineBench::<Runtime>]
	[frame_system, SystemBench::<Runtime>]
	[frame_system_extensions, SystemExtensionsBench::<Runtime>]
	[pallet_balances, Balances]
	[pallet_inference, Inference]
	[pallet_models, Models]
	[pallet_multisig, Multisig]
	[pallet_proxy, Proxy]
	[pallet_rewards, Rewards]
	[pallet_sudo, Sudo]
	[pallet_timestamp, Timestamp]
	[pallet_transaction_payment, TransactionPayment]
	[pallet_utility, Utility]
	[pallet_workers, Workers]
);

pub(crate) fn metadata(extra: bool) -> (Vec<BenchmarkList>, Vec<StorageInfo>) {
	let mut list = Vec::<BenchmarkList>::new();
	list_benchmarks!(list, extra);
	(list, AllPalletsWithSystem::storage_info())
}

pub(crate) fn dispatch(config: BenchmarkConfig) -> Result<Vec<BenchmarkBatch>, String> {
	let mut whitelist: Vec<TrackedStorageKey> = AllPalletsWithSystem::whitelisted_storage_keys();
	// Every settlement of a block writes it; `pallet_inference` counts it once.
	whitelist.push(frame_system::Account::<Runtime>::hashed_key_for(Rewards::treasury()).into());
	let mut batches = Vec::<BenchmarkBatch>::new();
	let params = (&config, &whitelist);
	add_benchmarks!(params, batches);
	Ok(batches)
}

fn account(number: u32) -> AccountId {
	AccountId::from(sp_io::hashing::blake2_256(&codec::Encode::encode(&(b"benchmark", number))))
}

fn bytes_tensor(length: u32) -> TensorType {
	TensorType { dtype: assay_semantics::DType::U8, dims: BoundedVec::truncate_from(vec![length]) }
}

/// Registers a model with inputs and outputs of the given lengths in bytes.
pub(crate) fn register_model(input: u32, output: u32) -> ModelId {
	let owner = account(0);
	let _ = Balances::mint_into(&owner, 1_000_000 * OPG);
	let header = ModelHeader {
		semantics_version: assay_semantics::SEMANTICS_VERSION,
		ir_root: Hash::repeat_byte(1),
		values: 1,
		weight_root: Hash::repeat_byte(2),
		inputs: BoundedVec::truncate_from(vec![bytes_tensor(input)]),
		outputs: BoundedVec::truncate_from(vec![bytes_tensor(output)]),
		max_iterations: 1,
	};
	let id = header.id();
	let name = |text: &[u8]| BoundedVec::truncate_from(text.to_vec());
	let registration = pallet_models::Registration {
		header,
		input_names: BoundedVec::truncate_from(vec![name(b"input")]),
		output_names: BoundedVec::truncate_from(vec![name(b"output")]),
		artifacts: Default::default(),
		price: OPG / 100,
		royalty: Permill::from_percent(30),
		policy: Policy::optimistic(20, 2, 2),
	};
	Models::register_model(RuntimeOrigin::signed(owner), name(b"benchmark"), registration)
		.expect("a valid registration");
	id
}

/// Bonds `count` workers that serve `model`; the last one has the given key. Returns the last one.
pub(crate) fn bond_workers(model: &ModelId, count: u32, key: ServiceKey) -> AccountId {
	let mut last = account(1);
	for number in 0..count {
		last = account(number + 1);
		let _ = Balances::mint_into(&last, 1_000_000 * OPG);
		let origin = RuntimeOrigin::signed(last.clone());
		let key = if number + 1 == count {
			key.clone()
		} else {
			sp_core::sr25519::Public::from_raw(sp_io::hashing::blake2_256(&number.to_le_bytes())).into()
		};
		Workers::bond(origin.clone(), 10_000 * OPG).expect("the account is endowed");
		Workers::set_service_key(origin.clone(), key).expect("the key is new");
		let terms = pallet_workers::Terms {
			capacity: 100,
			min_price: OPG / 100,
			coverage_price: Perbill::from_parts(1),
			min_deadline: 1,
		};
		Workers::serve_model(origin, *model, terms).expect("the model is active");
	}
	last
}
