//! The off-chain worker, with an engine that says what the scenario wants.

use crate::{mock::*, *};
use assay_primitives::offchain::{Roles, Settings, SETTINGS_KEY};
use codec::{Decode, Encode};
use frame_support::traits::Hooks;
use sp_core::offchain::{
	testing::{PendingRequest, PoolState, TestOffchainExt, TestTransactionPoolExt},
	OffchainDbExt, OffchainWorkerExt, TransactionPoolExt,
};
use sp_keystore::{testing::MemoryKeystore, Keystore, KeystoreExt};
use sp_runtime::offchain::storage::StorageValueRef;
use std::sync::Arc;

const ENGINE: &str = "http://127.0.0.1:8080";

/// A job in Charlie's hands and his service key in the keystore. For each reply of the engine to a request for that job
/// (these externalities know only successful ones), the off-chain worker runs once, and `pause` blocks pass. Returns the calls that reached the pool.
fn serve(roles: Roles, pause: u64, replies: Vec<Option<Vec<u8>>>) -> Vec<Call<Test>> {
	let (offchain, state) = TestOffchainExt::new();
	let (pool, pool_state) = TestTransactionPoolExt::new();
	let keystore = MemoryKeystore::new();
	let seed = format!("0x{}", hex(&service_seed(CHARLIE)));
	keystore.sr25519_generate_new(assay_primitives::service_key::KEY_TYPE, Some(&seed)).expect("a key in memory");
	with_workers_and(
		&[CHARLIE],
		|externalities| {
			externalities.register_extension(OffchainDbExt::new(offchain.clone()));
			externalities.register_extension(OffchainWorkerExt::new(offchain));
			externalities.register_extension(TransactionPoolExt::new(pool));
			externalities.register_extension(KeystoreExt(Arc::new(keystore)));
		},
		|| {
			let settings = Settings { engine_url: ENGINE.as_bytes().to_vec(), roles };
			StorageValueRef::persistent(SETTINGS_KEY).set(&settings);
			let id = Req { worker: Some(CHARLIE), ..Default::default() }.send().unwrap();
			run_to(2);
			let assigned_in = Inference::known_hash(1).unwrap();
			let key = sp_io::hashing::blake2_256(&(b"assay/engine-job", assigned_in, id).encode());
			for reply in replies {
				if let Some(body) = reply {
					state.write().expect_request(PendingRequest {
						method: "PUT".into(),
						uri: format!(
							"{ENGINE}/assay/v1/jobs/{}?model={}&wait_ms=1000",
							hex(&key),
							hex(model().as_bytes())
						),
						headers: vec![("Content-Type".into(), "application/octet-stream".into())],
						body: vec![1; INPUT as usize],
						response: Some(body),
						sent: true,
						..Default::default()
					});
				}
				Inference::offchain_worker(System::block_number());
				run_to(System::block_number() + pause);
			}
		},
	);
	calls(&pool_state)
}

fn calls(pool: &parking_lot::RwLock<PoolState>) -> Vec<Call<Test>> {
	let transactions = pool.read().transactions.clone();
	let decoded = transactions.iter().map(|bytes| Extrinsic::decode(&mut &bytes[..]).expect("an extrinsic"));
	decoded
		.map(|extrinsic| match extrinsic.function {
			RuntimeCall::Inference(call) => call,
			other => panic!("unexpected call {other:?}"),
		})
		.collect()
}

fn hex(bytes: &[u8]) -> String {
	bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const WORKER: Roles = Roles { worker: true, responder: true };

#[test]
fn answer_should_be_sent_signed_when_the_engine_has_it() {
	let sent = serve(WORKER, 1, vec![Some(vec![9; OUTPUT as usize])]);
	let [Call::commit { job: 0, output: answer, .. }] = &sent[..] else { panic!("{sent:?}") };
	assert_eq!(*answer, output(9));
}

#[test]
fn nothing_should_happen_when_the_role_is_off() {
	assert!(serve(Roles::default(), 1, vec![None]).is_empty());
}

#[test]
fn answer_should_be_sent_again_only_after_a_while_when_it_does_not_get_on_chain() {
	let done = || Some(vec![9; OUTPUT as usize]);
	// Two blocks later it is not even asked for again.
	assert_eq!(serve(WORKER, 2, vec![done(), None]).len(), 1);
	assert_eq!(serve(WORKER, 4, vec![done(), done()]).len(), 2);
}

#[test]
fn nothing_should_be_sent_when_the_output_is_not_what_the_model_puts_out() {
	for reply in [vec![], vec![9; 3], vec![9; 5], vec![9; 5_000]] {
		assert!(serve(WORKER, 1, vec![Some(reply)]).is_empty());
	}
}
