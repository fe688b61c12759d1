//! The whole state of a running node, checked natively.

use anyhow::Context;
use assay_cli::chain::Chain;
use subxt::rpcs::rpc_params;

/// Keys and values that are asked for at once.
const PAGE: u32 = 500;

/// Fetches the whole state at the best block and checks the runtime's invariants on it.
pub async fn check_invariants(chain: &Chain) -> anyhow::Result<()> {
	let at = chain.best().await?;
	let hash = at.block_hash();
	let mut storage = sp_core::storage::Storage::default();
	let mut last: Option<Vec<u8>> = None;
	loop {
		let keys = chain.rpc().state_get_keys_paged(&[], PAGE, last.as_deref(), Some(hash)).await?;
		let Some(end) = keys.last() else { break };
		last = Some(end.clone());
		let keys = keys.iter().map(|key| format!("0x{}", hex::encode(key))).collect::<Vec<_>>();
		let changes: Vec<Changes> = chain.raw().request("state_queryStorageAt", rpc_params![keys, hash]).await?;
		for (key, value) in changes.into_iter().flat_map(|changes| changes.changes) {
			storage.top.insert(bytes(&key)?, bytes(&value.context("a key without a value")?)?);
		}
	}
	anyhow::ensure!(!storage.top.is_empty(), "the node has no state");
	let checked = sp_io::TestExternalities::from(storage).execute_with(assay_runtime::check_invariants);
	checked.map_err(|broken| anyhow::anyhow!("an invariant is broken after block {}: {broken:?}", at.block_number()))
}

/// What `state_queryStorageAt` returns.
#[derive(serde::Deserialize)]
struct Changes {
	changes: Vec<(String, Option<String>)>,
}

fn bytes(text: &str) -> anyhow::Result<Vec<u8>> {
	hex::decode(text.trim_start_matches("0x")).context("the node sent something that is not hex")
}
