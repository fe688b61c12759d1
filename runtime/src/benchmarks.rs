//! What is benchmarked, and the models and workers that the benchmarks need.

use crate::*;
use alloc::{string::String, vec, vec::Vec};
use assay_primitives::{model::TensorType, JobId, ModelHeader, ModelId, Policy, ServiceKey, OPG};
use codec::{Decode, Encode};
use frame_benchmarking::{baseline::Pallet as BaselineBench, BenchmarkBatch, BenchmarkConfig, BenchmarkList};
use frame_support::traits::{
	fungible::{Mutate, MutateHold},
	StorageInfo, StorageInfoTrait, WhitelistedStorageKeys,
};
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
	[pallet_disputes, Disputes]
	[pallet_inference, Inference]
	[pallet_models, Models]
	[pallet_multisig, Multisig]
	[pallet_network, Network]
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
	register(ModelHeader {
		semantics_version: assay_semantics::SEMANTICS_VERSION,
		ir_root: Hash::repeat_byte(1),
		values: 1,
		weight_root: Hash::repeat_byte(2),
		inputs: BoundedVec::truncate_from(vec![bytes_tensor(input)]),
		outputs: BoundedVec::truncate_from(vec![bytes_tensor(output)]),
		max_iterations: 1,
	})
}

fn register(header: ModelHeader) -> ModelId {
	let owner = account(0);
	let _ = Balances::mint_into(&owner, 1_000_000 * OPG);
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

/// Bonds `count` workers that serve `model`, each with a delegator; the last one has the given key. Returns the last one.
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
		Workers::serve_model(origin.clone(), *model, terms).expect("the model is active");
		Workers::set_commission(origin, Perbill::from_percent(10)).expect("it is a worker");
		let delegator = account(2_000_000 + number);
		let _ = Balances::mint_into(&delegator, 1_000_000 * OPG);
		let origin = RuntimeOrigin::signed(delegator);
		Workers::delegate(origin, last.clone(), 5_000 * OPG).expect("the worker takes delegations");
	}
	last
}

/// A claim on a registered model, answered just now by a worker with the given key.
pub(crate) fn commit_claim(key: ServiceKey, model: ModelId, input_root: Hash, output_root: Hash) -> JobId {
	use pallet_inference::{Assignment, Input, Inputs, Job, JobResult, Jobs, Output, Results, Stage};
	let (requester, now) = (account(1_000_000), System::block_number());
	let _ = Balances::mint_into(&requester, 1_000_000 * OPG);
	let worker = bond_workers(&model, 1, key);
	let (id, fee, bond) = (0, OPG / 10, 3 * OPG);
	Workers::assign(&worker, &model, bond).expect("the worker was just bonded");
	Workers::answered(&worker, &model);
	Balances::hold(&pallet_inference::HoldReason::Fee.into(), &requester, fee).expect("the requester is endowed");
	let claim = Hash::repeat_byte(9);
	let assignment =
		Assignment { worker: worker.clone(), fee, bond, assigned_at: now, answer_by: now, independent: false };
	let job = Job {
		requester: requester.clone(),
		nonce: 0,
		model,
		input_root,
		max_fee: fee,
		escrow: fee,
		coverage: OPG,
		max_output: 4,
		deadline: now,
		window: 20,
		named: None,
		tried: Default::default(),
		stage: Stage::Committed {
			assignment,
			claim,
			output_root,
			committed_at: now,
			settles_at: now + 20,
			holds: Default::default(),
		},
	};
	Jobs::<Runtime>::insert(id, job);
	Inputs::<Runtime>::insert(id, Input::Inline(BoundedVec::truncate_from(vec![0; configs::MAX_INPUT as usize])));
	let result = JobResult {
		model,
		requester,
		worker,
		output: Output::Inline(BoundedVec::truncate_from(vec![0; configs::MAX_OUTPUT as usize])),
		output_root,
		claim,
		coverage: OPG,
		independent: false,
		committed_at: now,
		settles_at: now + 20,
	};
	Results::<Runtime>::insert(id, result);
	id
}

/// A wrong claim with messages about as long as they can be, whatever they are weighed by: a publication of 1,024 values, the states
/// of a long dot product, a proof with 48 scattered tiles. The model is registered.
pub(crate) fn dispute() -> pallet_disputes::traits::BenchmarkCase {
	use assay_semantics::{
		judge::Demand,
		ops::{Expand, MatMul, Reduce, ReduceKind, Unary},
		prover::{Investigation, Next, Trace},
		trace::Coordinate,
		DType, Model, Names, Node, Op, Tensor, TensorType,
	};
	let f32s = |dims: &[u32]| TensorType::new(DType::F32, dims);
	let node = |op: Op, inputs: &[u32], dims: &[u32]| Node { op, inputs: inputs.to_vec(), ty: f32s(dims) };
	let (rows, columns, depth) = (48, 512, 65_536);
	let mut nodes = vec![
		node(Op::Input(0), &[], &[1, 1]),
		node(Op::Expand(Expand { dims: vec![rows, columns] }), &[0], &[rows, columns]),
		node(Op::Expand(Expand { dims: vec![1, depth] }), &[0], &[1, depth]),
		node(Op::MatMul(MatMul), &[2, 2], &[1, 1]),
		node(Op::Reduce(Reduce { kind: ReduceKind::Sum, axes: vec![0], keep_dims: false }), &[1], &[columns]),
	];
	while nodes.len() < 1_024 {
		nodes.push(node(Op::Unary(Unary::Neg), &[if nodes.len() == 5 { 3 } else { nodes.len() as u32 - 1 }], &[1, 1]));
	}
	let names = Names { model: String::new(), inputs: vec![String::from("x")], outputs: vec![String::from("y")] };
	let model = Model::new(nodes, Vec::new(), 1, names).expect("a valid model");
	let input = Tensor { ty: f32s(&[1, 1]), bytes: 1f32.to_le_bytes().to_vec().into() };
	let values = assay_semantics::trace(&model, &[input]).expect("the input fits");
	let mut wrong = values.clone();
	if let Some(byte) = wrong.get_mut(4).and_then(|sum| sum.bytes.first_mut()) {
		*byte ^= 1;
	}
	let (own, worker) = (Trace::new(&model, values), Trace::new(&model, wrong));
	let (input_root, output_root) = (worker.input_root(), worker.output_root());
	let publication = worker.publication();
	let states = Demand::States { at: Coordinate::of(3), element: 0 };
	let evidence = worker.evidence(&states).expect("a dot product has states");
	let opening = worker.open(&states).expect("a dot product has states");
	let mut investigation = Investigation::new(own, &output_root, &publication).expect("a valid publication");
	let proof = loop {
		match investigation.next() {
			Next::Demand(demand, _) => {
				let answer = worker.open(&demand).expect("it is there");
				investigation.learn(&demand, &answer.opening).expect("it is right");
			}
			Next::Prove(proof) => break proof,
			Next::Agree => panic!("a sum is wrong"),
		}
	};
	let header = ModelHeader::decode(&mut &model.header().encode()[..]).expect("the same encoding");
	pallet_disputes::traits::BenchmarkCase {
		model: register(header),
		input_root: Hash::from(input_root),
		output_root: Hash::from(output_root),
		publication: publication.encode(),
		demand: states.encode(),
		evidence: evidence.encode(),
		opening: opening.encode(),
		proof: proof.encode(),
	}
}
