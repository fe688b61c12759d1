//! The pallets together, as wired in this runtime, on the state of the `development` preset.

use crate::*;
use assay_primitives::{claim, JobId, ModelHeader, ModelId, OPG};
use codec::Decode;
use frame_support::{
	assert_ok,
	dispatch::GetDispatchInfo,
	traits::{
		fungible::{Inspect, InspectHold},
		Hooks,
	},
};
use pallet_inference::{Event, Input, Output, Stage};
use sp_core::{sr25519, Pair};
use sp_keyring::Sr25519Keyring::{Bob, Charlie, Dave};
use sp_runtime::{generic::Preamble, transaction_validity::TransactionSource, BoundedVec, BuildStorage};

fn digits() -> ModelId {
	ModelHeader::decode(&mut &genesis_config_presets::DIGITS_HEADER[..]).unwrap().id()
}

fn with_preset(name: &str, scenario: impl FnOnce()) {
	let patch = genesis_config_presets::get_preset(&name.into()).expect("a known preset");
	let mut config = serde_json::to_value(RuntimeGenesisConfig::default()).unwrap();
	merge(&mut config, serde_json::from_slice(&patch).unwrap());
	let storage = serde_json::from_value::<RuntimeGenesisConfig>(config).unwrap().build_storage().unwrap();
	sp_io::TestExternalities::new(storage).execute_with(|| {
		frame_system::BlockHash::<Runtime>::insert(0, Hash::repeat_byte(0xaa));
		check_invariants().expect("the invariants hold at genesis");
		run_to(1);
		scenario();
		check_invariants().expect("the invariants hold");
	});
}

/// RFC 7386, as the node does it.
fn merge(into: &mut serde_json::Value, patch: serde_json::Value) {
	match (into, patch) {
		(serde_json::Value::Object(into), serde_json::Value::Object(patch)) => {
			for (key, value) in patch {
				merge(into.entry(key).or_insert(serde_json::Value::Null), value);
			}
		}
		(into, patch) => *into = patch,
	}
}

fn run_to(to: BlockNumber) {
	while System::block_number() < to {
		let next = System::block_number() + 1;
		System::reset_events();
		System::initialize(&next, &Hash::from_low_u64_be(u64::from(next)), &Default::default());
		if next == 1 {
			frame_system::BlockHash::<Runtime>::insert(0, Hash::repeat_byte(0xaa));
		}
		Inference::on_initialize(next);
		Disputes::on_initialize(next);
		Rewards::on_initialize(next);
		Rewards::on_idle(next, frame_support::weights::Weight::MAX);
	}
}

fn request(named: bool) -> JobId {
	let id = pallet_inference::NextJobId::<Runtime>::get();
	assert_ok!(Inference::request(
		RuntimeOrigin::signed(Bob.to_account_id()),
		digits(),
		Input::Inline(BoundedVec::truncate_from(vec![0; 256])),
		OPG,
		0,
		40,
		100,
		None,
		named.then(|| Charlie.to_account_id()),
	));
	id
}

/// The answer as Charlie's node would send it.
fn answer(id: JobId) -> UncheckedExtrinsic {
	let Stage::Assigned(assignment) = Inference::job(id).expect("an open job").stage else { panic!("not assigned") };
	let job = Inference::job(id).unwrap();
	let output = vec![0u8; 40];
	let types = Models::get(&digits()).unwrap().header.outputs;
	let root = assay_primitives::model::output_root(&types, &output).unwrap();
	let claim = assay_primitives::Claim {
		genesis: System::block_hash(0),
		requester: job.requester,
		nonce: job.nonce,
		job: id,
		worker: assignment.worker,
		assigned_in: System::block_hash(assignment.assigned_at),
		statement: claim::statement(&job.model, &job.input_root, &root),
		coverage: job.coverage,
		deadline: job.deadline,
	};
	let key = sr25519::Pair::from_string("//Charlie//service", None).unwrap();
	let signature = key.sign(&claim::commit_payload(&claim.hash()).0).into();
	let call = pallet_inference::Call::commit {
		job: id,
		output: Output::Inline(BoundedVec::truncate_from(output)),
		signature,
	};
	<Runtime as frame_system::offchain::CreateAuthorizedTransaction<pallet_inference::Call<Runtime>>>::create_authorized_transaction(
		call.into(),
	)
}

fn commit(id: JobId) {
	let UncheckedExtrinsic { function, .. } = answer(id);
	use frame_support::traits::Authorize;
	function.authorize(TransactionSource::External).expect("needs authorisation").expect("is authorised");
	let origin = frame_system::RawOrigin::Authorized.into();
	assert_ok!(sp_runtime::traits::Dispatchable::dispatch(function, origin));
}

#[test]
fn every_preset_should_build_and_hold_the_invariants() {
	for preset in genesis_config_presets::preset_names() {
		with_preset(preset.as_ref(), || {
			assert_eq!(Balances::total_issuance(), 900_000_000 * OPG);
			assert!(Models::is_active(&digits()));
			assert_eq!(Workers::server_count(&digits()), 1);
		});
	}
}

#[test]
fn integrity_tests_should_hold() {
	sp_io::TestExternalities::default()
		.execute_with(<AllPalletsWithSystem as frame_support::traits::IntegrityTest>::integrity_test);
}

#[test]
fn job_should_be_paid_out_to_the_last_planck() {
	with_preset("development", || {
		let id = request(false);
		// Drawn in block 3, so that block 4 is the first in which the hash of the block of assignment is known.
		run_to(4);
		commit(id);
		let free = |who: &AccountId| Balances::balance(who);
		let [bob, charlie, dave] = [Bob, Charlie, Dave].map(|who| who.to_account_id());
		let treasury = Rewards::treasury();
		let before = [&charlie, &dave, &treasury].map(free);
		let issuance = Balances::total_issuance();
		run_to(24);
		let settled = System::events().into_iter().find_map(|record| match record.event {
			RuntimeEvent::Inference(Event::Settled { fee, shares, .. }) => Some((fee, shares)),
			_ => None,
		});
		let (fee, shares) = settled.expect("it settles in block 24");
		assert_eq!(fee, 20 * assay_primitives::MILLI_OPG);
		assert_eq!(shares.burned + shares.treasury + shares.royalty + shares.worker, fee);
		let gained = [&charlie, &dave, &treasury].map(free);
		assert_eq!(gained[0] - before[0], shares.worker);
		assert_eq!(gained[1] - before[1], shares.royalty);
		assert_eq!(gained[2] - before[2], shares.treasury);
		assert_eq!(issuance - Balances::total_issuance(), shares.burned);
		assert_eq!(Balances::total_balance_on_hold(&bob), 0);
	});
}

#[test]
fn answer_should_be_a_valid_free_transaction() {
	with_preset("development", || {
		let id = request(true);
		run_to(2);
		let transaction = answer(id);
		assert!(matches!(transaction.preamble, Preamble::General(..)));
		let info = transaction.get_dispatch_info();
		assert!(info.total_weight().all_lt(configs::RuntimeBlockWeights::get().max_block));
		// The pool looks from the state after the block, so the transaction must be valid one block later.
		let block = System::block_hash(1);
		let valid = Executive::validate_transaction(TransactionSource::External, transaction.clone(), block);
		let valid = valid.expect("the pool takes it");
		assert_eq!(valid.provides.len(), 1);
		let mut twisted = transaction;
		if let RuntimeCall::Inference(pallet_inference::Call::commit { output: Output::Inline(bytes), .. }) =
			&mut twisted.function
		{
			bytes[0] ^= 1;
		}
		assert!(Executive::validate_transaction(TransactionSource::External, twisted, block).is_err());
		run_to(System::block_number().max(2));
	});
}

#[test]
fn silent_worker_should_pay_and_keep_its_other_stake() {
	with_preset("development", || {
		let id = request(true);
		let stake = |who: &AccountId| pallet_workers::Workers::<Runtime>::get(who).unwrap().bonded;
		let charlie = Charlie.to_account_id();
		let before = stake(&charlie);
		run_to(102);
		assert!(Inference::job(id).is_none());
		assert_eq!(before - stake(&charlie), OPG / 10);
		assert_eq!(Balances::total_balance_on_hold(&Bob.to_account_id()), 0);
	});
}

#[test]
fn ten_thousand_settled_jobs_should_leave_nothing_when_their_results_have_expired() {
	with_preset("development", || {
		let entries = || {
			let mut count = 0;
			let mut key = Vec::new();
			while let Some(next) = sp_io::storage::next_key(&key) {
				// Block hashes and events are the system's, and bounded.
				if next.starts_with(&sp_io::hashing::twox_128(b"Inference")) {
					count += 1;
				}
				key = next;
			}
			count
		};
		let before = entries();
		for _ in 0..100 {
			let ids: Vec<_> = (0..100).map(|_| request(true)).collect();
			run_to(System::block_number() + 1);
			ids.into_iter().for_each(commit);
			run_to(System::block_number() + 21);
		}
		assert_eq!(pallet_inference::Jobs::<Runtime>::iter().count(), 0);
		assert_eq!(pallet_inference::Results::<Runtime>::iter().count(), 10_000);
		check_invariants().unwrap();
		run_to(System::block_number() + assay_primitives::DAYS + 2);
		assert_eq!(entries(), before + 1, "all that is new is the number of the next job");
		assert_eq!(pallet_inference::NextJobId::<Runtime>::get(), 10_000);
	});
}

#[test]
fn pallet_indices_should_not_change() {
	use frame_support::traits::PalletInfoAccess;
	let indices = [
		System::index(),
		Timestamp::index(),
		Babe::index(),
		Authorship::index(),
		Session::index(),
		Grandpa::index(),
		Balances::index(),
		TransactionPayment::index(),
		Utility::index(),
		Proxy::index(),
		Multisig::index(),
		Sudo::index(),
		Models::index(),
		Workers::index(),
		Inference::index(),
		Disputes::index(),
		Rewards::index(),
	];
	assert_eq!(indices, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 20, 21, 22, 23, 24]);
}
