//! One account in an encrypted file: the JSON that polkadot.js and the wallets around it export and import (version 3: a PKCS #8 container,
//! scrypt and xsalsa20-poly1305). Reading is subxt-signer's; writing, and saying what is wrong with a file, is here.

use anyhow::{anyhow, bail, Context};
use base64::{engine::general_purpose::STANDARD, Engine};
use crypto_secretbox::{
	aead::{Aead, KeyInit},
	Key, Nonce, XSalsa20Poly1305,
};
use serde_json::{json, Value as Json};
use std::{
	str::FromStr,
	time::{SystemTime, UNIX_EPOCH},
};
use subxt::utils::AccountId32;
use subxt_signer::{
	polkadot_js_compat::{decrypt_json, Error},
	sr25519::Keypair,
};
use zeroize::Zeroizing;

/// The cost of guessing a password, N = 2^17, r = 8, p = 1: the highest that those wallets read. 128 MiB and part of a second.
const LOG_N: u8 = 17;
const R: u32 = 8;
const P: u32 = 1;
/// Salt, the three numbers above, nonce.
const PREFIX: usize = 32 + 12 + 24;
/// What stands around the keys.
const HEADER: [u8; 16] = [48, 83, 2, 1, 1, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];
const DIVIDER: [u8; 5] = [161, 35, 3, 33, 0];
/// The prefix, the authenticator, and what stands between: header, secret key, divider, public key.
const LENGTH: usize = PREFIX + 16 + HEADER.len() + 64 + DIVIDER.len() + 32;

/// An account in an encrypted file.
#[derive(Debug)]
pub struct Wallet {
	/// The file.
	pub text: String,
	/// Whose it says it is. Unlocking it makes sure.
	pub address: AccountId32,
}

impl FromStr for Wallet {
	type Err = anyhow::Error;

	fn from_str(text: &str) -> anyhow::Result<Self> {
		let file: Json = serde_json::from_str(text).context("this is no JSON, so no account that a wallet exported")?;
		if file["accounts"].is_array() {
			bail!("this holds several accounts under one password; export the one you need by itself");
		}
		let Some(encoded) = file["encoded"].as_str() else {
			bail!("this is no account that a wallet exported: it has no field \"encoded\"");
		};
		let address = file["address"].as_str().and_then(|address| AccountId32::from_str(address).ok());
		let address = address.context("this is no account that a wallet exported: it has no SS58 address")?;
		let encoding = &file["encoding"];
		let says = |field: &str, word: &str| match &encoding[field] {
			Json::Array(words) => words.iter().any(|other| other == word),
			other => other == word,
		};
		if says("type", "none") {
			bail!("this is not encrypted; export the account again, with a password");
		}
		if encoding["version"] != "3" || !says("type", "scrypt") || !says("type", "xsalsa20-poly1305") {
			bail!(
				"this has version {} of the format, and 3 is the one known here; export it again from a current wallet",
				encoding["version"]
			);
		}
		if !says("content", "pkcs8") || !says("content", "sr25519") {
			bail!("this holds no sr25519 key but {}; Assay's accounts are made with sr25519", encoding["content"]);
		}
		match STANDARD.decode(encoded) {
			Ok(bytes) if bytes.len() == LENGTH => Ok(Self { text: text.to_owned(), address }),
			_ => bail!("this is damaged: its field \"encoded\" is not {LENGTH} bytes in base64"),
		}
	}
}

impl Wallet {
	/// The keys to sign with.
	pub fn unlock(&self, password: &str) -> anyhow::Result<Keypair> {
		decrypt_json(&self.text, password).map_err(|error| match error {
			Error::Secretbox(_) => anyhow!("the password is wrong"),
			Error::UnsupportedScryptParameters { n, p, r } => {
				anyhow!("the password is hardened in a way that no wallet uses (scrypt with N {n}, p {p}, r {r})")
			}
			Error::InvalidKeys => anyhow!("the keys in it are damaged, or not those of its address {}", self.address),
			other => anyhow!("it is damaged: {other}"),
		})
	}

	/// Locks keys with a password. The name is for people.
	pub fn lock(pair: &sp_core::sr25519::Pair, name: &str, password: &str) -> anyhow::Result<Self> {
		let keys = pair.as_ref();
		let address = AccountId32(keys.public.to_bytes());
		let secret = Zeroizing::new(keys.secret.to_ed25519_bytes());
		let plain = Zeroizing::new([&HEADER[..], &secret[..], &DIVIDER, &address.0].concat());

		let (mut salt, mut nonce) = ([0; 32], [0; 24]);
		getrandom::fill(&mut salt)
			.and_then(|()| getrandom::fill(&mut nonce))
			.map_err(|error| anyhow!("the system gives no random bytes: {error}"))?;
		let params = scrypt::Params::new(LOG_N, R, P, 32).map_err(|error| anyhow!("{error}"))?;
		let mut key = Key::default();
		scrypt::scrypt(password.as_bytes(), &salt, &params, &mut key).map_err(|error| anyhow!("{error}"))?;
		let locked = XSalsa20Poly1305::new(&key)
			.encrypt(&Nonce::from(nonce), plain.as_slice())
			.map_err(|_| anyhow!("the keys cannot be encrypted"))?;

		let numbers = [1u32 << LOG_N, P, R].map(u32::to_le_bytes).concat();
		let encoded = STANDARD.encode([&salt[..], &numbers, &nonce, &locked].concat());
		let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
		let file = json!({
			"encoded": encoded,
			"encoding": { "content": ["pkcs8", "sr25519"], "type": ["scrypt", "xsalsa20-poly1305"], "version": "3" },
			"address": address.to_string(),
			"meta": { "name": name, "whenCreated": u64::try_from(created).unwrap_or_default() },
		});
		Ok(Self { text: format!("{file:#}\n"), address })
	}
}

#[cfg(test)]
pub(super) mod tests {
	use super::*;
	use sp_core::Pair;

	/// The key `//Alice` as a wallet exported it, locked with `whoisalice`. From subxt-signer's own tests.
	pub(in crate::account) const ALICE: &str = r#"{
		"encoded": "DumgApKCTqoCty1OZW/8WS+sgo6RdpHhCwAkA2IoDBMAgAAAAQAAAAgAAAB6IG/q24EeVf0JqWqcBd5m2tKq5BlyY84IQ8oamLn9DZe9Ouhgunr7i36J1XxUnTI801axqL/ym1gil0U8440Qvj0lFVKwGuxq38zuifgoj0B3Yru0CI6QKEvQPU5xxj4MpyxdSxP+2PnTzYao0HDH0fulaGvlAYXfqtU89xrx2/z9z7IjSwS3oDFPXRQ9kAdDebtyCVreZ9Otw9v3",
		"encoding": { "content": ["pkcs8", "sr25519"], "type": ["scrypt", "xsalsa20-poly1305"], "version": "3" },
		"address": "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
		"meta": { "genesisHash": "", "name": "Alice", "whenCreated": 1718265838755 }
	}"#;

	fn refused(text: &str) -> String {
		text.parse::<Wallet>().unwrap_err().to_string()
	}

	#[test]
	fn wallet_should_unlock_what_a_wallet_exported() {
		let wallet: Wallet = ALICE.parse().unwrap();
		let keys = wallet.unlock("whoisalice").unwrap();
		assert_eq!(keys.public_key().0, subxt_signer::sr25519::dev::alice().public_key().0);
		assert_eq!(wallet.address.0, keys.public_key().0);
		assert_eq!(wallet.unlock("whoisbob").unwrap_err().to_string(), "the password is wrong");
	}

	#[test]
	fn wallet_should_unlock_what_it_locked() {
		let pair = sp_core::sr25519::Pair::from_string("//Bob//stash/soft", None).unwrap();
		let locked = Wallet::lock(&pair, "bob", "päss word").unwrap();
		// As another program would read it.
		let wallet: Wallet = locked.text.parse().unwrap();
		let keys = wallet.unlock("päss word").unwrap();
		assert_eq!(keys.public_key().0, pair.public().0);
		assert!(wallet.unlock("pass word").is_err());
		let again = Wallet::lock(&pair, "bob", "päss word").unwrap();
		assert_ne!(again.text, locked.text, "salt and nonce are fresh");
	}

	#[test]
	fn wallet_should_say_what_is_wrong_with_a_file() {
		assert!(refused("seed").contains("no JSON"));
		assert!(refused("{}").contains("encoded"));
		assert!(refused(&ALICE.replace("sr25519", "ed25519")).contains("no sr25519"));
		assert!(refused(&ALICE.replace("\"3\"", "\"2\"")).contains("current wallet"));
		assert!(refused(&ALICE.replace("5Grwva", "5Grwvb")).contains("SS58"));
		assert!(refused(&ALICE.replace("DumgApKC", "")).contains("damaged"));
		assert!(refused(&ALICE.replace("\"scrypt\"", "\"none\"")).contains("not encrypted"));
		assert!(refused(r#"{"encoded":"","accounts":[]}"#).contains("several accounts"));
		let (alice, bob) =
			("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY", "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty");
		let other: Wallet = ALICE.replace(alice, bob).parse().unwrap();
		let error = other.unlock("whoisalice").unwrap_err().to_string();
		assert!(error.contains("not those of its address"), "{error}");
	}
}
