//! The pallets together, as wired in this runtime, on the state of a preset.

mod attacks;
mod chain;
mod disputes;
mod governance;
mod jobs;
mod relations;
mod staking;

use crate::*;
use assay_primitives::{claim, Claim, JobId, ModelHeader, ModelId};
use codec::Decode;
use frame_system::offchain::CreateAuthorizedTransaction;
use pallet_inference::{Output, Stage};
use sp_core::{sr25519, Pair};
use sp_keyring::Sr25519Keyring;
use sp_runtime::{BoundedVec, BuildStorage};

/// The hash of block 0.
const GENESIS: Hash = Hash::repeat_byte(0xaa);

/// The sample model.
fn digits() -> ModelId {
	ModelHeader::decode(&mut &genesis_config_presets::DIGITS_HEADER[..]).unwrap().id()
}

/// Plays a scenario on a chain that starts with a preset.
fn with_preset(name: &str, scenario: impl FnOnce()) {
	let patch = genesis_config_presets::get_preset(&name.into()).expect("a known preset");
	let mut config = serde_json::to_value(RuntimeGenesisConfig::default()).unwrap();
	genesis_config_presets::merge(&mut config, serde_json::from_slice(&patch).unwrap());
	let storage = serde_json::from_value::<RuntimeGenesisConfig>(config).unwrap().build_storage().unwrap();
	sp_io::TestExternalities::new(storage).execute_with(|| {
		frame_system::BlockHash::<Runtime>::insert(0, GENESIS);
		check_invariants().expect("the invariants hold at genesis");
		scenario();
		check_invariants().expect("the invariants hold");
	});
}

/// The service key of a development account's worker.
fn service_key(worker: &AccountId) -> sr25519::Pair {
	let who = Sr25519Keyring::from_account_id(worker).expect("a development account");
	sr25519::Pair::from_string(&format!("//{who}//service"), None).expect("a valid path")
}

/// The commitment to an answer as the node of the job's worker would make it.
fn answer_with(id: JobId, output: Vec<u8>) -> RuntimeCall {
	let job = Inference::job(id).expect("an open job");
	let Stage::Assigned(assignment) = job.stage else { panic!("not assigned") };
	let types = Models::get(&job.model).unwrap().header.outputs;
	let root = assay_primitives::model::output_root(&types, &output).unwrap();
	let key = service_key(&assignment.worker);
	let claim = Claim {
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
	let signature = key.sign(&claim::commit_payload(&claim.hash()).0).into();
	let output = Output::Inline(BoundedVec::truncate_from(output));
	pallet_inference::Call::commit { job: id, output, signature }.into()
}

/// The free transaction with a call that authorises itself.
fn authorized(call: RuntimeCall) -> UncheckedExtrinsic {
	<Runtime as CreateAuthorizedTransaction<pallet_inference::Call<Runtime>>>::create_authorized_transaction(call)
}
