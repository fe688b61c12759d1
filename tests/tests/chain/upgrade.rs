//! A running chain gets this runtime in place of an earlier one. `tests/upgrade` keeps what earlier ones were.

use assay_cli::{
	chain::{call, Chain},
	job,
	types::JobEvent,
};
use assay_runtime::{configs, Balance, Balances, Executive, Runtime, Workers};
use assay_tests::{
	check_invariants, digit_images, digits_request, follow_job, key, next_block, request, save_state, spec_of, Engine,
	Folder, Local, Node, NodeOptions,
};
use codec::Decode;
use frame_support::traits::{GetStorageVersion, StorageVersion};
use subxt::{dynamic::Value, rpcs::rpc_params};

/// The upgrade is done within so many blocks after it is asked for.
const LIMIT: usize = 20;

async fn spec_version(chain: &Chain) -> anyhow::Result<u64> {
	let version: serde_json::Value = chain.raw().request("state_getRuntimeVersion", rpc_params![]).await?;
	Ok(version["specVersion"].as_u64().unwrap_or_default())
}

/// What an upgrade must not change: balances, what is reserved or held of them, and the nonces of all accounts; raw.
async fn accounts(chain: &Chain) -> anyhow::Result<Vec<(String, Option<String>)>> {
	let prefix = [b"System".as_slice(), b"Account"].map(sp_io::hashing::twox_128).concat();
	let keys = chain.rpc().state_get_keys_paged(&prefix, 1_000, None, None).await?;
	let mut found = Vec::new();
	for key in keys {
		let key = format!("0x{}", hex::encode(key));
		let value = chain.raw().request("state_getStorage", rpc_params![&key]).await?;
		found.push((key, value));
	}
	Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn running_chain_should_be_upgraded_from_the_first_runtime() -> anyhow::Result<()> {
	let folder = Folder::new("upgrade-spec");
	let spec = spec_of(&folder, &assay_tests::repository().join("tests/upgrade/1"));
	let mut engine = Engine::new("upgrade-engine");
	engine.start();
	let local = Local { spec: Some(spec), validator: Some("alice"), worker: true, alone: true, ..Default::default() };
	let options = NodeOptions { local: Some(local), engine_url: Some(engine.url()), ..Default::default() };
	let node = Node::start("upgrade", options);
	node.cli().succeed(&["worker", "key", "//Charlie//service", "--insert", "--account", "//Charlie"])?;

	let chain = node.chain().await?;
	assert_eq!(spec_version(&chain).await?, 1);
	let bob = key("//Bob");
	let (image, label) = digit_images().swap_remove(4);
	// One job is settled before the upgrade, one is open while it happens.
	let asked = digits_request(&chain, &image, 60).await?;
	let (first, block) = request(&chain, &bob, &asked).await?;
	follow_job(&chain, first, block, 60, |event| matches!(event, JobEvent::Settled(_))).await?;
	let (second, asked_in) = request(&chain, &bob, &asked).await?;
	follow_job(&chain, second, asked_in, 20, |event| matches!(event, JobEvent::Committed(_))).await?;
	let stake = |node: &Node| node.cli().succeed(&["worker", "status", "//Charlie"]);
	let staked = stake(&node)?["bonded"].clone();

	// For the test of migrations; see tests/upgrade.
	if let Ok(path) = std::env::var("UPGRADE_STATE") {
		save_state(&chain, path.as_ref()).await?;
	}
	let code = assay_runtime::WASM_BINARY.expect("the runtime is built");
	let set_code =
		Value::unnamed_variant("System", [Value::named_variant("set_code", [("code", Value::from_bytes(code))])]);
	chain.submit(&key("//Alice"), &call("Sudo", "sudo", [("call", set_code)])).await?;
	let before = accounts(&chain).await?;
	let mut blocks = chain.follow(chain.best().await?.block_number()).await?;
	for block in 0.. {
		assert!(block < LIMIT, "the runtime is the old one after {LIMIT} blocks");
		next_block(&mut blocks).await?;
		if spec_version(&chain).await? == u64::from(assay_runtime::VERSION.spec_version) {
			break;
		}
	}
	let after = accounts(&chain).await?;
	assert_eq!(before.len(), after.len(), "accounts come or go");
	let changed = before.iter().zip(&after).filter(|(before, after)| before != after).count();
	// The author of the blocks since then may have been paid.
	assert!(changed <= 1, "{changed} accounts changed with the upgrade");
	check_invariants(&chain).await?;

	// The open job settles under the new rules, what was settled is readable, the worker has what it had, and all goes on.
	let chain = node.chain().await?;
	follow_job(&chain, second, asked_in, 80, |event| matches!(event, JobEvent::Settled(_))).await?;
	let looked = node.cli().succeed(&["job", &first.to_string()])?;
	assert_eq!(looked["output"]["class"], label, "{looked:#}");
	assert_eq!(stake(&node)?["bonded"], staked);
	let (third, block) = request(&chain, &bob, &digits_request(&chain, &image, 60).await?).await?;
	follow_job(&chain, third, block, 60, |event| matches!(event, JobEvent::Settled(_))).await?;
	assert!(job::result(&chain, &chain.best().await?, third).await?.is_some());
	check_invariants(&chain).await
}

/// The state that the first runtime left; see `tests/upgrade`.
const FIRST: &[u8] = include_bytes!("../../upgrade/1/state.scale");

/// The state of a chain that ran the first runtime: one validator, and workers with open and settled jobs.
fn first() -> sp_io::TestExternalities {
	let pairs = Vec::<(Vec<u8>, Vec<u8>)>::decode(&mut &FIRST[..]).expect("a list of keys and values");
	let mut storage = sp_core::storage::Storage::default();
	storage.top.extend(pairs);
	storage.into()
}

#[test]
fn first_runtimes_state_should_be_migrated_whole() {
	first().execute_with(|| {
		assert_eq!(Workers::on_chain_storage_version(), StorageVersion::new(1));
		// As the first runtime stored workers: bonded stake stands first.
		let prefix = frame_support::storage::storage_prefix(b"Workers", b"Workers");
		let stored = || {
			let mut key = prefix.to_vec();
			let mut found = Vec::new();
			while let Some(next) = sp_io::storage::next_key(&key).filter(|next| next.starts_with(&prefix)) {
				found.push((next.clone(), sp_io::storage::get(&next).expect("a key has a value")));
				key = next;
			}
			found
		};
		let before: Vec<(Vec<u8>, Balance)> = stored()
			.into_iter()
			.map(|(key, value)| (key, Balance::decode(&mut &value[..]).expect("stake stands first")))
			.collect();
		assert!(!before.is_empty(), "the state has workers");
		let issuance = Balances::total_issuance();
		let jobs = pallet_inference::Jobs::<Runtime>::iter_keys().count();
		assert!(jobs > 0, "the state has an open job");

		let weight = Executive::execute_on_runtime_upgrade();

		assert!(weight.all_lte(configs::RuntimeBlockWeights::get().max_block), "the upgrade takes {weight:?}");
		assert_eq!(Workers::on_chain_storage_version(), Workers::in_code_storage_version());
		let after: Vec<(Vec<u8>, Balance)> = pallet_workers::Workers::<Runtime>::iter()
			.map(|(who, worker)| (pallet_workers::Workers::<Runtime>::hashed_key_for(who), worker.bonded))
			.collect();
		assert_eq!(before, after, "every worker has what it had");
		assert_eq!(Balances::total_issuance(), issuance);
		assert_eq!(pallet_inference::Jobs::<Runtime>::iter_keys().count(), jobs);
		assay_runtime::check_invariants().expect("the invariants hold after the upgrade");
	});
}

#[test]
fn migrated_state_should_not_be_migrated_again() {
	first().execute_with(|| {
		Executive::execute_on_runtime_upgrade();
		let once: Vec<_> = pallet_workers::Workers::<Runtime>::iter().collect();
		Executive::execute_on_runtime_upgrade();
		assert_eq!(once, pallet_workers::Workers::<Runtime>::iter().collect::<Vec<_>>());
	});
}
