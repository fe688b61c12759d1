//! What the node tells its off-chain workers, and the service keys they sign with.

use assay_primitives::{
	offchain::{Roles, Settings, SETTINGS_KEY},
	service_key::{self, KEY_TYPE},
	ServiceKey,
};
use assay_runtime::opaque::SessionKeys;
use codec::Encode;
use sc_service::{config::KeystoreConfig, Configuration};
use sp_core::{
	crypto::{ByteArray, Pair as _, Ss58Codec},
	offchain::{OffchainStorage, STORAGE_PREFIX},
};
use sp_keystore::KeystorePtr;
use sp_runtime::traits::OpaqueKeys;

/// The secret of the service key with which the worker of the development chain starts.
const DEV_SERVICE_KEY: &str = "//Charlie//service";

/// Leaves `settings` where the off-chain workers look for them. This happens at every start, also when no role is switched
/// on: otherwise the roles of the last run would stay on.
pub(crate) fn leave_settings(storage: &mut impl OffchainStorage, settings: &Settings) {
	storage.set(STORAGE_PREFIX, SETTINGS_KEY, &settings.encode());
}

/// Puts the service key of the development chain's worker into the keystore.
pub(crate) fn insert_dev_service_key(keystore: &KeystorePtr) -> Result<(), String> {
	let pair = service_key::Pair::from_string(DEV_SERVICE_KEY, None)
		.map_err(|error| format!("The service key {DEV_SERVICE_KEY} cannot be derived: {error:?}"))?;
	keystore.insert(KEY_TYPE, DEV_SERVICE_KEY, &pair.public().to_raw_vec()).map_err(|()| {
		format!("The service key {DEV_SERVICE_KEY} cannot be put into the keystore. Is its folder writable, and the disk full?")
	})
}

/// Says in words what this node is: what it does for the chain, and with which keys and engine.
pub(crate) fn say_who_it_is(validates: bool, roles: &Roles, engine_url: &str, keystore: &KeystorePtr) {
	log::info!("🪪 This node {}", in_words(validates, roles, engine_url, service_keys(keystore).len()));
	if validates {
		let session = SessionKeys::key_ids().iter().map(|kind| {
			let found = keystore.keys(*kind).map_or(0, |keys| keys.len());
			format!("{found} {}", String::from_utf8_lossy(&kind.0))
		});
		log::info!("🪪 Session keys in its keystore: {}", session.collect::<Vec<_>>().join(", "));
	}
}

fn in_words(validates: bool, roles: &Roles, engine_url: &str, service_keys: usize) -> String {
	let role = if validates { "makes blocks (validator)" } else { "follows the chain (no validator)" };
	let work = match (roles.worker, roles.responder) {
		(true, _) => "answers jobs and defends the answers (worker)",
		(false, true) => "defends a worker's answers (responder)",
		(false, false) => return format!("{role} and serves no models."),
	};
	let engine = if engine_url.is_empty() { "no engine" } else { engine_url };
	format!("{role} and {work}, with {service_keys} service keys and the engine {engine}.")
}

/// The service keys in the keystore.
pub(crate) fn service_keys(keystore: &KeystorePtr) -> Vec<ServiceKey> {
	keystore.sr25519_public_keys(KEY_TYPE).into_iter().map(Into::into).collect()
}

/// Logs the service keys in the keystore. If there is none, says how to get one in.
pub(crate) fn report_service_keys(keystore: &KeystorePtr, config: &Configuration) {
	let keys = service_keys(keystore);
	for key in &keys {
		log::info!("🔑 Service key in the keystore: {}", key.to_ss58check());
	}
	if keys.is_empty() {
		log::warn!(
			"🔑 This node is a worker, but its keystore holds no service key, so it cannot sign answers. Make one with \
			 `assay-node keys service{}`, which says how to announce it on chain. The node need not be restarted.",
			place_of(config),
		);
	}
}

/// The flag that leads to this node's keystore.
fn place_of(config: &Configuration) -> String {
	match &config.keystore {
		KeystoreConfig::Path { path, .. } => format!(" --keystore-path '{}'", path.display()),
		KeystoreConfig::InMemory => String::new(),
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use codec::Decode;
	use sp_core::offchain::storage::InMemOffchainStorage;
	use sp_keystore::testing::MemoryKeystore;
	use std::sync::Arc;

	fn settings_in(storage: &InMemOffchainStorage) -> Option<Settings> {
		let bytes = storage.get(STORAGE_PREFIX, SETTINGS_KEY)?;
		Settings::decode(&mut &bytes[..]).ok()
	}

	#[test]
	fn settings_should_replace_those_of_the_last_run() {
		let mut storage = InMemOffchainStorage::default();
		let on =
			Settings { engine_url: b"http://127.0.0.1:1".to_vec(), roles: Roles { worker: true, responder: true } };
		leave_settings(&mut storage, &on);
		assert_eq!(settings_in(&storage), Some(on));
		leave_settings(&mut storage, &Settings::default());
		assert_eq!(settings_in(&storage), Some(Settings::default()));
	}

	#[test]
	fn node_should_say_what_it_is() {
		let words = in_words(true, &Roles { worker: true, responder: true }, "http://127.0.0.1:1", 2);
		assert!(
			words.contains("validator") && words.contains("worker") && words.contains("http://127.0.0.1:1"),
			"{words}"
		);
		assert!(in_words(false, &Roles { worker: false, responder: true }, "", 0).contains("responder"));
		assert!(in_words(false, &Roles::default(), "", 0).contains("serves no models"));
	}

	#[test]
	fn dev_service_key_should_be_in_the_keystore_after_insertion() {
		let keystore: KeystorePtr = Arc::new(MemoryKeystore::new());
		assert!(service_keys(&keystore).is_empty());
		insert_dev_service_key(&keystore).unwrap();
		insert_dev_service_key(&keystore).unwrap();
		let expected = service_key::Pair::from_string("//Charlie//service", None).unwrap().public();
		assert_eq!(service_keys(&keystore), [expected]);
	}
}
