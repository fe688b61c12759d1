//! What runs the runtime. Compiling it takes seconds, so it is kept compiled over restarts.

use codec::{Decode, Encode};
use sc_chain_spec::json_patch;
use sc_executor::{HeapAllocStrategy, WasmExecutor, DEFAULT_HEAP_ALLOC_STRATEGY};
use sc_service::{ChainSpec, Configuration};
use serde_json::Value;
use sp_core::{
	storage::{well_known_keys::CODE, Storage},
	traits::{CallContext, CodeExecutor, RuntimeCode, WrappedRuntimeCode},
};
use sp_runtime::BuildStorage;
use sp_state_machine::BasicExternalities;
use std::{
	fs::{self, DirBuilder},
	os::unix::fs::{DirBuilderExt, MetadataExt},
	path::{Path, PathBuf},
};

/// What the runtime may call in the node.
#[cfg(not(feature = "runtime-benchmarks"))]
type HostFunctions = sp_io::SubstrateHostFunctions;
#[cfg(feature = "runtime-benchmarks")]
type HostFunctions = (sp_io::SubstrateHostFunctions, frame_benchmarking::benchmarking::HostFunctions);

/// Runs the runtime.
pub(crate) type Executor = WasmExecutor<HostFunctions>;

/// What runs the runtime of a chain that has not begun.
pub(crate) fn throwaway() -> Executor {
	Executor::builder().build()
}

/// What runs the runtime of a node. What it compiles is kept in a folder: the one given, or one in the node's base path.
pub(crate) fn of(config: &Configuration, cache: Option<&Path>) -> Result<Executor, String> {
	let cache = cache.map_or_else(|| config.base_path.path().join("runtime-cache"), Path::to_path_buf);
	let cache = prepared(&cache)?;
	let config = &config.executor;
	let heap = config.default_heap_pages.and_then(|pages| u32::try_from(pages).ok());
	let heap = heap.map_or(DEFAULT_HEAP_ALLOC_STRATEGY, |extra_pages| HeapAllocStrategy::Static { extra_pages });
	Ok(Executor::builder()
		.with_execution_method(config.wasm_method)
		.with_onchain_heap_alloc_strategy(heap)
		.with_offchain_heap_alloc_strategy(heap)
		.with_max_runtime_instances(config.max_runtime_instances)
		.with_runtime_cache_size(config.runtime_cache_size)
		.with_cache_path(cache)
		.build())
}

/// Makes the folder if it is not there. What is in it is run: nobody else may write to it.
fn prepared(folder: &Path) -> Result<PathBuf, String> {
	let failed = |error| {
		format!(
			"The folder {}, where compiled runtimes are kept, cannot be used: {error}. Say another one with \
			 --runtime-cache.",
			folder.display()
		)
	};
	DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
	let folder = fs::canonicalize(folder).map_err(failed)?;
	if fs::metadata(&folder).map_err(failed)?.mode() & 0o022 != 0 {
		return Err(format!(
			"Others may write to {}, where compiled runtimes are kept, and so make this node run what they like. Take that \
			 right away (chmod go-w {0}), or say another folder with --runtime-cache.",
			folder.display()
		));
	}
	Ok(folder)
}

/// The state with which a chain begins, made by a node's own executor.
pub(crate) struct Genesis<'a> {
	pub(crate) spec: &'a dyn ChainSpec,
	pub(crate) executor: &'a Executor,
}

impl Genesis<'_> {
	/// Calls the runtime of the chain spec on an empty state. Returns what it says, and the state then.
	fn call<R: Decode>(&self, code: &[u8], function: &str, arguments: &[u8]) -> Result<(R, Storage), String> {
		let mut state = BasicExternalities::new_empty();
		let hash = sp_io::hashing::blake2_256(code).to_vec();
		let code = RuntimeCode { code_fetcher: &WrappedRuntimeCode(code.into()), hash, heap_pages: None };
		let (reply, _) = self.executor.call(&mut state, &code, function, arguments, CallContext::Offchain);
		let reply = reply.map_err(|error| format!("{function}: {error}"))?;
		let reply = R::decode(&mut &reply[..]).map_err(|error| format!("{function}: {error}"))?;
		Ok((reply, state.into_storages()))
	}
}

impl BuildStorage for Genesis<'_> {
	fn assimilate_storage(&self, storage: &mut Storage) -> Result<(), String> {
		let malformed = |error: &dyn std::fmt::Display| format!("the chain spec's genesis is malformed: {error}");
		let spec: Value = serde_json::from_str(&self.spec.as_json(false)?).map_err(|error| malformed(&error))?;
		let Some(genesis) = spec["genesis"].get("runtimeGenesis") else {
			// A raw spec: nothing is to be run.
			return self.spec.as_storage_builder().assimilate_storage(storage);
		};
		let code = genesis["code"].as_str().unwrap_or_default();
		let code = hex::decode(code.trim_start_matches("0x")).map_err(|error| malformed(&error))?;
		let config = match genesis.get("patch") {
			Some(patch) => {
				let default = None::<sp_genesis_builder::PresetId>.encode();
				let (default, _) = self.call::<Option<Vec<u8>>>(&code, "GenesisBuilder_get_preset", &default)?;
				let default = default.ok_or_else(|| malformed(&"its runtime has no defaults"))?;
				let mut config: Value = serde_json::from_slice(&default).map_err(|error| malformed(&error))?;
				json_patch::merge(&mut config, patch.clone());
				config
			}
			None => genesis["config"].clone(),
		};
		let config = config.to_string().into_bytes().encode();
		let (built, state) = self.call::<sp_genesis_builder::Result>(&code, "GenesisBuilder_build_state", &config)?;
		built.map_err(|error| malformed(&error))?;
		state.assimilate_storage(storage)?;
		storage.top.insert(CODE.to_vec(), code);
		Ok(())
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::chain_spec::{self, ChainSpec};
	use std::os::unix::fs::PermissionsExt;

	#[test]
	fn genesis_should_be_that_of_the_chain_spec() {
		let executor = throwaway();
		for spec in [chain_spec::development().unwrap(), chain_spec::local().unwrap()] {
			let raw = spec.as_json(true).unwrap().into_bytes();
			let raw = ChainSpec::from_json_bytes(raw).unwrap();
			let expected = spec.build_storage().unwrap();
			for spec in [spec, raw] {
				let found = Genesis { spec: &spec, executor: &executor }.build_storage().unwrap();
				assert!(found.top == expected.top, "the genesis of {}", sc_service::ChainSpec::id(&spec));
				assert!(found.children_default.is_empty() && expected.children_default.is_empty());
			}
		}
	}

	#[test]
	fn runtime_should_be_compiled_once_and_again_when_what_was_kept_is_damaged() {
		let folder = std::env::temp_dir().join(format!("assay-runtimes-{}", std::process::id()));
		let cache = prepared(&folder).unwrap();
		let spec = chain_spec::development().unwrap();
		let genesis = || {
			// Nothing but the folder is common to both times.
			let executor = Executor::builder().with_cache_path(&cache).build();
			Genesis { spec: &spec, executor: &executor }.build_storage().unwrap().top
		};
		let kept = || {
			let folders = fs::read_dir(cache.join("modules")).unwrap();
			let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
			files.map(|file| file.unwrap().path()).find(|file| fs::metadata(file).unwrap().len() > 1 << 20)
		};
		let expected = genesis();
		let compiled = kept().unwrap();
		let written = fs::metadata(&compiled).unwrap().modified().unwrap();
		assert!(genesis() == expected);
		assert_eq!(fs::metadata(&compiled).unwrap().modified().unwrap(), written);

		fs::write(&compiled, "damaged").unwrap();
		assert!(genesis() == expected);
		assert_eq!(kept(), Some(compiled));
		fs::remove_dir_all(&cache).unwrap();
	}

	#[test]
	fn cache_should_be_refused_when_others_may_write_to_it() {
		let folder = std::env::temp_dir().join(format!("assay-cache-{}", std::process::id()));
		let path = prepared(&folder).unwrap();
		assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
		fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).unwrap();
		assert!(prepared(&folder).unwrap_err().contains("chmod"));
		let file = path.join("file");
		fs::write(&file, "").unwrap();
		assert!(prepared(&file).unwrap_err().contains("--runtime-cache"));
		fs::remove_dir_all(&path).unwrap();
	}
}
