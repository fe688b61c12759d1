//! `assay-node keys`: makes the keys that a node signs with, and says what to do with them.
//!
//! No secret is printed unless a flag asks for it, and none is taken from the command line, where others could read it.

mod files;

pub(crate) use files::{entries, folder_trouble, Entry};

use crate::place::{Files, Place};
use assay_primitives::{service_key, AccountId, ServiceKey};
use assay_runtime::opaque::SessionKeys;
use clap::{Args, Subcommand};
use codec::Encode;
use sc_cli::SubstrateCli;
use sc_service::{config::KeystoreConfig, KeystoreContainer};
use serde_json::{json, Value};
use sp_core::{
	crypto::{ByteArray, KeyTypeId, Pair, Ss58Codec},
	ed25519, sr25519,
};
use sp_keystore::{KeystoreExt, KeystorePtr};
use sp_runtime::traits::OpaqueKeys;
use sp_state_machine::BasicExternalities;
use std::{io::Read, path::PathBuf, str::FromStr};

/// Makes and lists the keys of a node.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
	/// Make the session keys of a validator, and print what its account has to submit.
	Generate(Generate),

	/// Make the service key of a worker, and print the command with which its account announces it.
	Service(Service),

	/// List the keys in the keystore, without their secrets.
	Show(Show),
}

/// How the secret of a key comes about and what is said of it.
#[derive(Debug, Args)]
pub(crate) struct Secret {
	/// Take the secret (a phrase, or 0x and 64 hex digits) from this file, or from standard input if it is `-`.
	///
	/// Without this flag a secret is made at random and stays in the keystore.
	#[arg(long, value_name = "FILE")]
	seed_file: Option<PathBuf>,

	/// Make the keys though the keystore holds some of this kind. The old ones stay and sign until they are replaced on
	/// chain.
	#[arg(long)]
	rotate: bool,

	/// Print the secret, too. Whoever sees it can sign for you.
	#[arg(long)]
	print_secret: bool,

	/// Print one JSON object instead of text.
	#[arg(long)]
	json: bool,
}

/// Makes session keys.
#[derive(Debug, Args)]
pub(crate) struct Generate {
	/// The validator's account, which will submit `session.setKeys`. The proof of the keys holds for this account only.
	#[arg(long, value_name = "ADDRESS")]
	owner: String,

	#[clap(flatten)]
	secret: Secret,

	#[clap(flatten)]
	place: Place,
}

/// Makes a service key.
#[derive(Debug, Args)]
pub(crate) struct Service {
	#[clap(flatten)]
	secret: Secret,

	#[clap(flatten)]
	place: Place,
}

/// Lists keys.
#[derive(Debug, Args)]
pub(crate) struct Show {
	/// Print one JSON object instead of text.
	#[arg(long)]
	json: bool,

	#[clap(flatten)]
	place: Place,
}

impl KeysCommand {
	/// Does what was asked.
	pub(crate) fn run<C: SubstrateCli>(&self, cli: &C) -> sc_cli::Result<()> {
		match self {
			Self::Generate(command) => command.run(&command.place.find(cli)?),
			Self::Service(command) => command.run(&command.place.find(cli)?),
			Self::Show(command) => command.run(&command.place.find(cli)?),
		}
	}
}

impl Generate {
	fn run(&self, files: &Files) -> sc_cli::Result<()> {
		let owner = AccountId::from_str(&self.owner).map_err(|error| {
			format!(
				"--owner {}: {error}. Give the validator's account as an address, or as 0x and 64 hex digits.",
				self.owner
			)
		})?;
		let seed = self.secret.seed(files)?;
		let mut old = files::refuse_to_add(files, SessionKeys::key_ids(), self.secret.rotate)?;
		let keystore = files.open_keystore()?;
		let made = make_session_keys(&keystore, &owner, seed.as_deref())?;
		let entries = files::check_new(files, &made.public)?;
		// Those that were made again from the same seed are not old.
		old.retain(|entry| !entries.iter().any(|new| new.path == entry.path));

		let (keys, proof) = (hex(&made.keys), hex(&made.proof));
		let secrets = self.secret.shown(&entries)?;
		let address = owner.to_ss58check();
		if self.secret.json {
			let made = json!({
				"owner": address,
				"keystore": files.keystore,
				"public": listed(&entries),
				"old": listed(&old),
				"keys": keys,
				"proof": proof,
				"secrets": secrets,
			});
			println!("{made:#}");
			return Ok(());
		}
		println!("Session keys of {address} are in {}, readable by you only:", files.keystore.display());
		entries.iter().for_each(|entry| println!("  {}  {}", entry.kind, entry.public));
		print_secrets(&secrets);
		println!(
			"\nNext, from the account {address}, submit session.setKeys with\n  keys   {keys}\n  proof  {proof}\n"
		);
		println!(
			"The keys sign from the session after the next on. `assay-node doctor` says whether the chain knows them."
		);
		if !files.network_key().is_file() {
			println!(
				"A validator that never ran also needs a network identity: `mkdir -p -m 700 '{0}' && (umask 077; assay-node key \
				 generate-node-key --file '{1}')`.",
				files.network_key().parent().unwrap_or(&files.chain).display(),
				files.network_key().display()
			);
		}
		print_old(&old, "two sessions have begun after that");
		println!(
			"Keep a copy of the keystore where nobody else can read it. Never run two validators with the same keys."
		);
		Ok(())
	}
}

impl Service {
	fn run(&self, files: &Files) -> sc_cli::Result<()> {
		let seed = self.secret.seed(files)?;
		let mut old = files::refuse_to_add(files, &[service_key::KEY_TYPE], self.secret.rotate)?;
		let keystore = files.open_keystore()?;
		let key = make_service_key(&keystore, seed.as_deref())?;
		let entries = files::check_new(files, &[(service_key::KEY_TYPE, key.to_raw_vec())])?;
		// Those that were made again from the same seed are not old.
		old.retain(|entry| !entries.iter().any(|new| new.path == entry.path));
		let public = hex(key.as_ref());
		let command = format!("assay worker key {public} --account file:PATH");
		let secrets = self.secret.shown(&entries)?;
		if self.secret.json {
			let made = json!({
				"keystore": files.keystore,
				"public": public,
				"address": key.to_ss58check(),
				"old": listed(&old),
				"command": command,
				"secrets": secrets,
			});
			println!("{made:#}");
			return Ok(());
		}
		println!("A service key is in {}, readable by you only:", files.keystore.display());
		println!("  {public}  {}", key.to_ss58check());
		print_secrets(&secrets);
		println!("\nNext, announce it with the worker's account:\n  {command}\n");
		println!("The node signs with it from then on; it need not be restarted.");
		print_old(&old, "the answers that they signed are on chain");
		Ok(())
	}
}

impl Show {
	fn run(&self, files: &Files) -> sc_cli::Result<()> {
		let entries = entries(&files.keystore)?;
		if self.json {
			println!("{:#}", json!({ "keystore": files.keystore, "keys": listed(&entries) }));
			return Ok(());
		}
		println!("{} keys in {}", entries.len(), files.keystore.display());
		for entry in &entries {
			println!("  {}  {}  {}", entry.kind, entry.public, entry.purpose());
			if let Some(trouble) = entry.trouble() {
				println!("        {trouble}");
			}
		}
		if let Some(trouble) = folder_trouble(&files.keystore) {
			println!("{trouble}");
		}
		Ok(())
	}
}

impl Secret {
	/// The secret that was given, if any.
	fn seed(&self, files: &Files) -> sc_cli::Result<Option<String>> {
		let Some(path) = &self.seed_file else { return Ok(None) };
		if files.has_password() {
			return Err("A keystore with a password makes its own secrets: leave --seed-file out.".into());
		}
		let mut seed = String::new();
		if path.as_os_str() == "-" {
			std::io::stdin().read_to_string(&mut seed)?;
		} else {
			seed = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
		}
		check_seed(seed.trim()).map(Some).map_err(Into::into)
	}

	/// The secrets of new keys, if they are to be shown.
	fn shown(&self, entries: &[Entry]) -> sc_cli::Result<Vec<String>> {
		if !self.print_secret {
			return Ok(Vec::new());
		}
		let mut secrets = entries.iter().map(Entry::secret).collect::<Result<Vec<_>, _>>()?;
		secrets.dedup();
		Ok(secrets)
	}
}

/// Says what is wrong with a secret, without repeating it.
fn check_seed(seed: &str) -> Result<String, String> {
	let fits = sr25519::Pair::from_string(seed, None).is_ok() && ed25519::Pair::from_string(seed, None).is_ok();
	if !fits || seed.is_empty() {
		return Err(
			"The secret is neither a phrase of 12 to 24 words nor 0x and 64 hex digits (//hard derivations may \
		            follow)."
				.into(),
		);
	}
	Ok(seed.into())
}

/// What a runtime makes for a validator.
struct Made {
	public: Vec<(KeyTypeId, Vec<u8>)>,
	keys: Vec<u8>,
	proof: Vec<u8>,
}

/// Makes one key of each kind that the runtime asks of validators, with the proof that `owner` holds them all.
fn make_session_keys(keystore: &KeystorePtr, owner: &AccountId, seed: Option<&str>) -> Result<Made, String> {
	// With a seed, a keystore keeps the keys in memory only: they are made elsewhere and put in.
	let maker = match seed {
		Some(_) => KeystoreContainer::new(&KeystoreConfig::InMemory).map_err(|error| error.to_string())?.keystore(),
		None => keystore.clone(),
	};
	let mut externalities = BasicExternalities::default();
	externalities.register_extension(KeystoreExt::from(maker));
	let bytes = seed.map(|seed| seed.as_bytes().to_vec());
	let generated = externalities.execute_with(|| SessionKeys::generate(&owner.encode(), bytes));
	let (keys, proof) = (generated.keys, generated.proof.encode());
	if !keys.ownership_proof_is_valid(&owner.encode(), &proof) {
		return Err("The proof of the new keys does not hold. Make keys again.".into());
	}
	let kinds = SessionKeys::key_ids().iter();
	let public: Vec<_> = kinds.map(|kind| (*kind, keys.get_raw(*kind).to_vec())).collect();
	if let Some(seed) = seed {
		for (kind, public) in &public {
			keystore.insert(*kind, seed, public).map_err(|()| not_writable())?;
		}
	}
	Ok(Made { public, keys: keys.encode(), proof })
}

/// Makes a service key.
fn make_service_key(keystore: &KeystorePtr, seed: Option<&str>) -> Result<ServiceKey, String> {
	let Some(seed) = seed else {
		let made = keystore.sr25519_generate_new(service_key::KEY_TYPE, None);
		return made.map(Into::into).map_err(|error| format!("No service key could be made: {error}"));
	};
	let pair = service_key::Pair::from_string(seed, None)
		.map_err(|error| format!("No service key can be made from the secret: {error:?}"))?;
	keystore.insert(service_key::KEY_TYPE, seed, &pair.public().to_raw_vec()).map_err(|()| not_writable())?;
	Ok(pair.public())
}

fn not_writable() -> String {
	"The keystore takes no key. Is its folder writable, and the disk full?".into()
}

fn listed(entries: &[Entry]) -> Value {
	entries.iter().map(Entry::json).collect()
}

fn print_secrets(secrets: &[String]) {
	secrets.iter().for_each(|secret| println!("  secret  {secret}"));
}

fn print_old(old: &[Entry], when: &str) {
	if !old.is_empty() {
		println!("The keystore still holds older keys, which sign until then. Remove their files once {when}:");
		old.iter().for_each(|entry| println!("  {}  {}", entry.kind, entry.path.display()));
	}
}

/// Bytes as wallets show them.
pub(crate) fn hex(bytes: &[u8]) -> String {
	format!("0x{}", hex::encode(bytes))
}

#[cfg(test)]
mod tests {
	use super::*;
	use sp_keystore::testing::MemoryKeystore;
	use std::sync::Arc;

	fn owner() -> AccountId {
		AccountId::new([7; 32])
	}

	#[test]
	fn session_keys_should_be_in_the_keystore_with_a_proof_for_their_owner_only() {
		for seed in [None, Some("//Rosa")] {
			let keystore: KeystorePtr = Arc::new(MemoryKeystore::new());
			let made = make_session_keys(&keystore, &owner(), seed).unwrap();
			assert_eq!(made.public.len(), SessionKeys::key_ids().len());
			for (kind, public) in &made.public {
				assert!(keystore.has_keys(&[(public.clone(), *kind)]), "{kind:?}");
			}
			let keys: SessionKeys = codec::Decode::decode(&mut &made.keys[..]).unwrap();
			assert!(keys.ownership_proof_is_valid(&owner().encode(), &made.proof));
			assert!(!keys.ownership_proof_is_valid(&AccountId::new([8; 32]).encode(), &made.proof));
		}
	}

	#[test]
	fn keys_should_be_those_of_the_seed() {
		let keystore: KeystorePtr = Arc::new(MemoryKeystore::new());
		let first = make_session_keys(&keystore, &owner(), Some("//Rosa")).unwrap();
		let again = make_session_keys(&keystore, &owner(), Some("//Rosa")).unwrap();
		let other = make_session_keys(&keystore, &owner(), Some("//Karl")).unwrap();
		assert_eq!(first.keys, again.keys);
		assert_ne!(first.keys, other.keys);
		let service = make_service_key(&keystore, Some("//Rosa")).unwrap();
		assert_eq!(service, service_key::Pair::from_string("//Rosa", None).unwrap().public());
	}

	#[test]
	fn useless_seeds_should_be_refused_without_being_repeated() {
		for seed in ["", "not a phrase", "0x12", "/soft/derivation"] {
			let words = check_seed(seed).unwrap_err();
			assert!(seed.is_empty() || !words.contains(seed), "{words}");
		}
		assert!(check_seed(&format!("0x{}", "11".repeat(32))).is_ok());
	}
}
