//! How a chain starts: the accounts, keys, models and workers of its first block.

use crate::{
	consensus::{BABE_GENESIS_EPOCH_CONFIG, MAX_CANDIDATES},
	opaque::SessionKeys,
	AccountId, Balance,
};
use alloc::{
	format,
	string::{String, ToString},
	vec,
	vec::Vec,
};
use assay_primitives::{ModelHeader, Policy, MILLI_OPG, OPG};
use codec::{Decode, Encode};
use pallet_models::Registration;
use pallet_network::Pace;
use pallet_staking::StakerStatus;
use pallet_workers::{GenesisWorker, Terms};
use serde::Deserialize;
use serde_json::{json, Value};
use sp_core::{ed25519, sr25519, Bytes, Pair};
use sp_genesis_builder::{PresetId, DEV_RUNTIME_PRESET, LOCAL_TESTNET_RUNTIME_PRESET};
use sp_keyring::Sr25519Keyring;
use sp_runtime::{BoundedVec, Perbill, Permill};

/// The header of the sample model, which reads handwritten digits: the preimage of its id. See `models/digits`.
pub const DIGITS_HEADER: &[u8] = include_bytes!("../../models/digits/header.scale");

/// Who takes part in the public test network from its first block on. See `chain-specs`.
const TESTNET_PARTICIPANTS: &[u8] = include_bytes!("../../chain-specs/testnet/participants.json");

/// Of the total supply of 1,000,000,000 OPG, 100,000,000 are left for emission.
const ENDOWMENT: Balance = 900_000_000 * OPG;

/// The name of the preset of the public test network.
pub const TESTNET_RUNTIME_PRESET: &str = "testnet";

/// What a validator of a development chain has at stake, in OPG.
const VALIDATOR_STAKE: u32 = 10_000;
/// The least that a validator has at stake.
const MIN_VALIDATOR_BOND: Balance = 1_000 * OPG;
/// The least that a nominator has at stake.
const MIN_NOMINATOR_BOND: Balance = 10 * OPG;

/// The names of the presets.
pub fn preset_names() -> Vec<PresetId> {
	[DEV_RUNTIME_PRESET, LOCAL_TESTNET_RUNTIME_PRESET, TESTNET_RUNTIME_PRESET].map(PresetId::from).to_vec()
}

/// The JSON of a preset.
pub fn get_preset(id: &PresetId) -> Option<Vec<u8>> {
	let preset = match id.as_ref() {
		DEV_RUNTIME_PRESET => development(),
		LOCAL_TESTNET_RUNTIME_PRESET => local(),
		TESTNET_RUNTIME_PRESET => testnet(),
		_ => return None,
	};
	Some(preset.to_string().into_bytes())
}

/// One validator, the sample model, a worker that serves it, and emission, so that everything can be seen at once.
fn development() -> Value {
	let pace = Pace { slash_defer_eras: 0, ..Default::default() };
	with_development_keys(&["Alice"], &["Charlie"], pace, true)
}

/// Four validators, the sample model and two workers; sessions of a minute and eras of three. Emission is off.
fn local() -> Value {
	local_of(&["Alice", "Bob", "Eve", "Ferdie"], &["Charlie", "One"])
}

/// A local network of some validators and workers, each the name of a development account.
pub fn local_of(validators: &[&str], workers: &[&str]) -> Value {
	let pace = Pace { session_slots: 20, sessions_per_era: 3, slash_defer_eras: 0 };
	with_development_keys(validators, workers, pace, false)
}

/// A chain on which every key is known to everybody.
fn with_development_keys(validators: &[&str], workers: &[&str], pace: Pace, emission: bool) -> Value {
	let accounts: Vec<AccountId> = Sr25519Keyring::iter().map(|key| key.to_account_id()).collect();
	let each = ENDOWMENT / Balance::try_from(accounts.len()).unwrap_or(1);
	// The remainder of the division, so that the supply is a round number, and the treasury's first balance.
	let rest = ENDOWMENT - each * Balance::try_from(accounts.len()).unwrap_or(1) + each / 1_000;
	let mut balances: Vec<(AccountId, Balance)> = accounts.into_iter().map(|who| (who, each)).collect();
	if let Some((_, first)) = balances.first_mut() {
		*first -= each / 1_000;
	}
	balances.push((crate::Rewards::treasury(), rest));
	let validators: Vec<Validator> = validators
		.iter()
		.map(|name| Validator {
			account: account(name),
			stake: VALIDATOR_STAKE,
			babe: sr25519_key(name).into(),
			grandpa: ed25519_key(name).into(),
			authority_discovery: sr25519_key(name).into(),
		})
		.collect();
	let digits = digits();
	let serve = |name: &&str| GenesisWorker {
		account: account(name),
		bond: 100_000 * OPG,
		service_key: Some(sr25519_key(&format!("{name}//service")).into()),
		services: vec![(
			digits.header.id(),
			Terms {
				capacity: 128,
				min_price: 20 * MILLI_OPG,
				coverage_price: Perbill::from_parts(1_000),
				min_deadline: 3,
			},
		)],
	};
	let workers: Vec<_> = workers.iter().map(serve).collect();
	let mut genesis = genesis(&validators, balances, pace);
	let council = ["Alice", "Bob", "Eve"].map(account);
	let ours = json!({
		"sudo": { "key": account("Alice") },
		"council": { "members": council },
		"models": { "models": [(account("Dave"), "digits", Bytes(digits.encode()))] },
		"workers": { "workers": workers },
		"rewards": { "emissionEnabled": emission },
	});
	merge(&mut genesis, ours);
	genesis
}

/// A validator of the first session.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Validator {
	/// Its account.
	account: AccountId,
	/// What it has at stake, in OPG.
	stake: u32,
	/// The key with which it signs blocks.
	babe: sp_consensus_babe::AuthorityId,
	/// The key with which it signs finality votes.
	grandpa: sp_consensus_grandpa::AuthorityId,
	/// The key with which it signs its addresses.
	authority_discovery: sp_authority_discovery::AuthorityId,
}

/// Who takes part in a network from its first block on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Participants {
	/// The validators of the first session.
	validators: Vec<Validator>,
	/// The members of the council.
	council: Vec<AccountId>,
	/// Who has how much, in OPG.
	balances: Vec<(AccountId, u32)>,
}

/// The public test network: its participants' keys, a council and no superuser, slashing disarmed at first.
fn testnet() -> Value {
	let participants: Participants = serde_json::from_slice(TESTNET_PARTICIPANTS)
		.unwrap_or_else(|error| panic!("chain-specs/testnet/participants.json: {error}"));
	let balances = participants.balances.into_iter().map(|(who, amount)| (who, Balance::from(amount) * OPG)).collect();
	let mut genesis = genesis(&participants.validators, balances, Pace::default());
	let ours = json!({
		"council": { "members": participants.council },
		"network": { "slashingDisarmed": true },
		// Not before something proves that an engine is there: a heartbeat proves a key.
		"rewards": { "emissionEnabled": false },
	});
	merge(&mut genesis, ours);
	genesis
}

/// What every network begins with.
fn genesis(validators: &[Validator], balances: Vec<(AccountId, Balance)>, pace: Pace) -> Value {
	let keys: Vec<(AccountId, AccountId, SessionKeys)> = validators
		.iter()
		.map(|validator| {
			let keys = SessionKeys {
				babe: validator.babe.clone(),
				grandpa: validator.grandpa.clone(),
				authority_discovery: validator.authority_discovery.clone(),
			};
			(validator.account.clone(), validator.account.clone(), keys)
		})
		.collect();
	let stakers: Vec<(AccountId, AccountId, Balance, StakerStatus<AccountId>)> = validators
		.iter()
		.map(|validator| {
			let account = validator.account.clone();
			(account.clone(), account, Balance::from(validator.stake) * OPG, StakerStatus::Validator)
		})
		.collect();
	json!({
		"balances": { "balances": balances },
		"babe": { "epochConfig": BABE_GENESIS_EPOCH_CONFIG },
		"network": { "pace": pace },
		"session": { "keys": keys },
		"staking": {
			"validatorCount": validators.len().max(4),
			"minimumValidatorCount": 1,
			"maxValidatorCount": MAX_CANDIDATES,
			"stakers": stakers,
			"slashRewardFraction": Perbill::from_percent(10),
			"minValidatorBond": MIN_VALIDATOR_BOND,
			"minNominatorBond": MIN_NOMINATOR_BOND,
		},
	})
}

/// Put the members of an object into another one, and those of its members that are objects into theirs: RFC 7386, without
/// its deletions.
pub(crate) fn merge(into: &mut Value, from: Value) {
	match (into, from) {
		(Value::Object(into), Value::Object(from)) => {
			for (name, value) in from {
				merge(into.entry(name).or_insert(Value::Null), value);
			}
		}
		(into, from) => *into = from,
	}
}

/// The account of a development name, such as `Alice`.
fn account(name: &str) -> AccountId {
	sr25519_key(name).into()
}

/// The key `//Name`.
fn sr25519_key(name: &str) -> sr25519::Public {
	sr25519::Pair::from_string(&format!("//{name}"), None)
		.map(|pair| pair.public())
		.unwrap_or_else(|_| panic!("`//{name}` is a valid derivation path"))
}

/// The key `//Name` for GRANDPA.
fn ed25519_key(name: &str) -> ed25519::Public {
	ed25519::Pair::from_string(&format!("//{name}"), None)
		.map(|pair| pair.public())
		.unwrap_or_else(|_| panic!("`//{name}` is a valid derivation path"))
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
