//! What a database and a chain spec say of their chain.

use crate::executor::{self, Genesis};
use assay_runtime::{opaque::Block, Hash};
use sc_client_api::{in_mem, Backend};
use sc_service::{BlocksPruning, BuildGenesisBlock, ChainSpec, DatabaseSource, GenesisBlockBuilder};
use sp_blockchain::HeaderBackend;
use sp_runtime::traits::Block as _;
use std::{path::Path, sync::Arc};

/// The first, the best and the last final block of a database. An error if a node runs on it.
pub(super) fn info(database: &Path) -> Result<sp_blockchain::Info<Block>, String> {
	let settings = sc_client_db::DatabaseSettings {
		trie_cache_maximum_size: None,
		state_pruning: None,
		source: DatabaseSource::ParityDb { path: database.into() },
		blocks_pruning: BlocksPruning::KeepFinalized,
		pruning_filters: Vec::new(),
		metrics_registry: None,
	};
	let backend = sc_service::new_db_backend::<Block>(settings).map_err(|error| {
		format!("The database {} cannot be opened: {error}. If a node runs on it, stop the node.", database.display())
	})?;
	Ok(backend.blockchain().info())
}

/// The hash of a chain's first block.
pub(super) fn genesis(spec: &dyn ChainSpec) -> Result<Hash, String> {
	let backend = Arc::new(in_mem::Backend::<Block>::new());
	let executor = executor::throwaway();
	let storage = Genesis { spec, executor: &executor };
	let builder = GenesisBlockBuilder::<Block, _, _>::new(&storage, true, backend, executor.clone());
	let (block, _) = builder
		.and_then(|builder| builder.build_genesis_block())
		.map_err(|error| format!("The first block of {} cannot be made: {error}", spec.id()))?;
	Ok(block.hash())
}
