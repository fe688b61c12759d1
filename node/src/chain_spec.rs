//! The chains that the binary knows by name. Their genesis comes from the runtime's presets, so that a chain is described in
//! one place only.

use assay_runtime::{
	genesis_config_presets::{get_preset, TESTNET_RUNTIME_PRESET},
	WASM_BINARY,
};
use sc_service::{ChainType, Properties};

/// A chain spec without extensions.
pub(crate) type ChainSpec = sc_service::GenericChainSpec;

/// One validator, Alice, and a worker, Charlie, who serves the sample model. For one machine.
pub(crate) fn development() -> Result<ChainSpec, String> {
	spec("Assay Development", "assay_dev", ChainType::Development, sp_genesis_builder::DEV_RUNTIME_PRESET)
}

/// Four validators and two workers with well-known keys. For networks that are made to be thrown away.
pub(crate) fn local() -> Result<ChainSpec, String> {
	spec("Assay Local", "assay_local", ChainType::Local, sp_genesis_builder::LOCAL_TESTNET_RUNTIME_PRESET)
}

/// The public test network, with the keys of those who take part in it.
pub(crate) fn testnet() -> Result<ChainSpec, String> {
	spec("Assay Testnet", "assay_testnet", ChainType::Live, TESTNET_RUNTIME_PRESET)
}

fn spec(name: &str, id: &str, chain_type: ChainType, preset: &str) -> Result<ChainSpec, String> {
	// From the runtime as it is linked into the node: the Wasm one says the same, and would have to be compiled first.
	let genesis = get_preset(&preset.into()).ok_or_else(|| format!("The runtime has no preset '{preset}'."))?;
	let genesis = serde_json::from_slice(&genesis).map_err(|error| format!("The preset '{preset}': {error}"))?;
	Ok(ChainSpec::builder(code()?, None)
		.with_name(name)
		.with_id(id)
		.with_chain_type(chain_type)
		.with_genesis_config_patch(genesis)
		// Networks do not talk to each other's nodes.
		.with_protocol_id(&id.replace('_', "-"))
		.with_properties(properties())
		.build())
}

/// The chain spec in a JSON file.
pub(crate) fn from_file(path: &str) -> Result<ChainSpec, String> {
	let file = std::path::PathBuf::from(path);
	if !file.is_file() {
		return Err(format!(
			"There is no chain called '{path}' and no file of that name. Say --chain dev, --chain local, --chain \
			 testnet, or --chain and the path of a chain spec."
		));
	}
	ChainSpec::from_json_file(file).map_err(|error| format!("The chain spec '{path}' cannot be read: {error}"))
}

fn code() -> Result<&'static [u8], String> {
	WASM_BINARY.ok_or_else(|| {
		"This binary was built without the Wasm runtime (SKIP_WASM_BUILD was set), so it can only run chains whose spec is \
		 in a file. Build it again without SKIP_WASM_BUILD."
			.to_string()
	})
}

fn properties() -> Properties {
	let mut properties = Properties::new();
	properties.insert("tokenSymbol".into(), assay_primitives::TOKEN_SYMBOL.into());
	properties.insert("tokenDecimals".into(), assay_primitives::TOKEN_DECIMALS.into());
	properties.insert("ss58Format".into(), assay_primitives::SS58_PREFIX.into());
	properties
}
