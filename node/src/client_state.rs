//! The state of the chain in the node's own database.

use crate::{service::FullClient, state::State};
use assay_runtime::Hash;
use sc_client_api::{StorageKey, StorageProvider};
use sp_blockchain::HeaderBackend;

/// The state at one block.
pub(crate) struct ClientState<'a> {
	client: &'a FullClient,
	hash: Hash,
}

impl<'a> ClientState<'a> {
	/// The state at a block.
	pub(crate) fn at(client: &'a FullClient, hash: Hash) -> Self {
		Self { client, hash }
	}

	/// The state at the best block.
	pub(crate) fn best(client: &'a FullClient) -> Self {
		Self::at(client, client.info().best_hash)
	}
}

impl State for ClientState<'_> {
	fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
		let value = self.client.storage(self.hash, &StorageKey(key.to_vec()));
		value.map(|value| value.map(|value| value.0)).map_err(|error| error.to_string())
	}

	fn keys(&self, prefix: &[u8], most: usize) -> Result<Vec<Vec<u8>>, String> {
		let keys = self.client.storage_keys(self.hash, Some(&StorageKey(prefix.to_vec())), None);
		Ok(keys.map_err(|error| error.to_string())?.take(most).map(|key| key.0).collect())
	}
}
