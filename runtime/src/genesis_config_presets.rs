//! How a chain starts: the accounts, keys, models and workers of its first block.

use crate::{configs::BABE_GENESIS_EPOCH_CONFIG, opaque::SessionKeys, AccountId, Balance};
use alloc::{
	format,
	string::{String, ToString},
	vec,
	vec::Vec,
};
use assay_primitives::{ModelHeader, Policy, ServiceKey, MILLI_OPG, OPG};
use codec::{Decode, Encode};
use pallet_models::Registration;
use pallet_workers::{GenesisWorker, Terms};
use serde_json::{json, Value};
use sp_core::{sr25519, Bytes, Pair};
use sp_genesis_builder::{PresetId, DEV_RUNTIME_PRESET, LOCAL_TESTNET_RUNTIME_PRESET};
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};
use sp_runtime::{BoundedVec, Perbill, Permill};

/// The header of the sample model, which reads handwritten digits: the preimage of its id. See `models/digits`.
pub const DIGITS_HEADER: &[u8] = include_bytes!("../../models/digits/header.scale");

/// Of the total supply of 1,000,000,000 OPG, 100,000,000 are left for emission.
const ENDOWMENT: Balance = 900_000_000 * OPG;

/// The names of the presets.
pub fn preset_names() -> Vec<PresetId> {
	vec![PresetId::from(DEV_RUNTIME_PRESET), PresetId::from(LOCAL_TESTNET_RUNTIME_PRESET)]
}

/// The JSON of a preset.
pub fn get_preset(id: &PresetId) -> Option<Vec<u8>> {
	let preset = match id.as_ref() {
		DEV_RUNTIME_PRESET => development(),
		LOCAL_TESTNET_RUNTIME_PRESET => local_testnet(),
		_ => return None,
	};
	Some(preset.to_string().into_bytes())
}

/// One authority, the sample model, a worker that serves it, and emission, so that everything can be seen at once.
fn development() -> Value {
	genesis(&[(Sr25519Keyring::Alice, Ed25519Keyring::Alice)], true)
}

/// Two authorities, the sample model and a worker; emission is off.
fn local_testnet() -> Value {
	genesis(&[(Sr25519Keyring::Alice, Ed25519Keyring::Alice), (Sr25519Keyring::Bob, Ed25519Keyring::Bob)], false)
}

fn genesis(authorities: &[(Sr25519Keyring, Ed25519Keyring)], emission: bool) -> Value {
	let accounts: Vec<AccountId> = Sr25519Keyring::iter().map(|key| key.to_account_id()).collect();
	let each = ENDOWMENT / Balance::try_from(accounts.len()).unwrap_or(1);
	// The remainder of the division, so that the supply is a round number, and the treasury's first balance.
	let rest = ENDOWMENT - each * Balance::try_from(accounts.len()).unwrap_or(1) + each / 1_000;
	let mut balances: Vec<(AccountId, Balance)> = accounts.into_iter().map(|who| (who, each)).collect();
	if let Some((_, first)) = balances.first_mut() {
		*first -= each / 1_000;
	}
	balances.push((crate::Rewards::treasury(), rest));
	let keys: Vec<(AccountId, AccountId, SessionKeys)> = authorities
		.iter()
		.map(|(babe, grandpa)| {
			let account = babe.to_account_id();
			let keys = SessionKeys { babe: babe.public().into(), grandpa: grandpa.public().into() };
			(account.clone(), account, keys)
		})
		.collect();
	let digits = digits();
	let model = digits.header.id();
	json!({
		"balances": { "balances": balances },
		"babe": { "epochConfig": BABE_GENESIS_EPOCH_CONFIG },
		"session": { "keys": keys },
		"sudo": { "key": Sr25519Keyring::Alice.to_account_id() },
		"models": {
			"models": [(Sr25519Keyring::Dave.to_account_id(), "digits", Bytes(digits.encode()))],
		},
		"workers": {
			"workers": [GenesisWorker {
				account: Sr25519Keyring::Charlie.to_account_id(),
				bond: 100_000 * OPG,
				service_key: Some(service_key("Charlie")),
				services: vec![(
					model,
					Terms {
						capacity: 128,
						min_price: 20 * MILLI_OPG,
						coverage_price: Perbill::from_parts(1_000),
						min_deadline: 3,
					},
				)],
			}],
		},
		"rewards": { "emissionEnabled": emission },
	})
}

/// The service key of a development worker: `//Name//service`.
fn service_key(name: &str) -> ServiceKey {
	sr25519::Pair::from_string(&format!("//{name}//service"), None)
		.map(|pair| pair.public().into())
		.unwrap_or_else(|_| panic!("`//{name}//service` is a valid derivation path"))
}

/// The registration of the sample model: 10 milli-OPG, 10 % of it to its owner, a window of 20 blocks.
fn digits() -> Registration {
	let header = ModelHeader::decode(&mut &DIGITS_HEADER[..])
		.unwrap_or_else(|error| panic!("models/digits/header.scale is not a model header: {error}"));
	let text = |text: &str| BoundedVec::truncate_from(String::from(text).into_bytes());
	Registration {
		header,
		input_names: BoundedVec::truncate_from(vec![text("image")]),
		output_names: BoundedVec::truncate_from(vec![text("probabilities")]),
		artifacts: Default::default(),
		price: 10 * MILLI_OPG,
		royalty: Permill::from_percent(10),
		policy: Policy::optimistic(20, 1, 1),
	}
}
