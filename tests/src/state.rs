//! The whole state of a running node, checked natively.

use anyhow::Context;
use assay_cli::chain::Chain;
use codec::Encode;
use std::path::Path;
use subxt::rpcs::rpc_params;

/// Keys and values that are asked for at once.
const PAGE: u32 = 500;

/// Fetches the whole state at the best block and checks the runtime's invariants on it.
pub async fn check_invariants(chain: &Chain) -> anyhow::Result<()> {
	let (number, storage) = fetch(chain).await?;
	let checked = sp_io::TestExternalities::from(storage).execute_with(assay_runtime::check_invariants);
	checked.map_err(|broken| anyhow::anyhow!("an invariant is broken after block {number}: {broken:?}"))
}

/// Writes the whole state at the best block into a file, without the runtime's code: SCALE, a list of keys and values.
pub async fn save_state(chain: &Chain, path: &Path) -> anyhow::Result<()> {
	let (_, storage) = fetch(chain).await?;
	let code = |key: &[u8]| key == sp_core::storage::well_known_keys::CODE;
	let pairs: Vec<_> = storage.top.into_iter().filter(|(key, _)| !code(key)).collect();
	std::fs::write(path, pairs.encode()).with_context(|| format!("cannot write {}", path.display()))
}

/// The number of the best block, and the state after it.
async fn fetch(chain: &Chain) -> anyhow::Result<(u64, sp_core::storage::Storage)> {
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
	Ok((at.block_number(), storage))
}

/// What `state_queryStorageAt` returns.
#[derive(serde::Deserialize)]
struct Changes {
	changes: Vec<(String, Option<String>)>,
}

fn bytes(text: &str) -> anyhow::Result<Vec<u8>> {
	hex::decode(text.trim_start_matches("0x")).context("the node sent something that is not hex")
}
