//! Who signs, who is meant; balances.
//!
//! | module | what it does |
//! |---|---|
//! | this | accounts as written on the command line; balances |
//! | [`keystore`] | the folder of encrypted accounts |
//! | [`wallet`] | one encrypted account, in the format of wallets |
//! | [`secret`] | passwords and secrets, asked for or read from files |
//! | [`commands`] | `assay account`, `assay send` |

pub mod commands;
pub mod keystore;
pub mod secret;
pub mod wallet;

use crate::{
	args::Global,
	chain::Chain,
	types::{AccountInfo, IdAmount},
};
use anyhow::{anyhow, bail, Context};
use secret::Secret;
use std::{path::PathBuf, str::FromStr};
use subxt::utils::AccountId32;
use subxt_signer::{sr25519::Keypair, SecretUri};
use wallet::Wallet;
use zeroize::Zeroizing;

/// The names that every Substrate development chain knows. Their keys are public.
const WELL_KNOWN: [&str; 8] = ["Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie", "One", "Two"];

/// Someone, as written on the command line. It holds no secret itself: secrets are read when they are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
	/// Known by address only.
	Address([u8; 32]),
	/// A development account: `//Bob`, `//Charlie//service`.
	Dev(String),
	/// A seed or a phrase in an environment variable.
	Env(String),
	/// A seed or a phrase in a file.
	File(PathBuf),
	/// A file that a wallet exported.
	Exported(PathBuf),
	/// An account in the keystore.
	Named(String),
}

/// Whether a path of keys begins with a name that everybody knows.
fn is_well_known(text: &str) -> bool {
	let name = text.strip_prefix("//").and_then(|rest| rest.split('/').next());
	name.is_some_and(|name| WELL_KNOWN.contains(&name)) && !text.contains("///")
}

/// Why no secret may stand on the command line, and what to do instead.
const SECRET: &str =
	"it would stay in your shell's history, and other users of this machine could see it. Keep it encrypted \
	(`assay account import NAME` asks for it), or put it into a file (file:PATH) or an environment variable (env:NAME)";

impl FromStr for Who {
	type Err = String;

	fn from_str(text: &str) -> Result<Self, String> {
		if let Some(variable) = text.strip_prefix("env:") {
			return Ok(Self::Env(variable.into()));
		}
		if let Some(path) = text.strip_prefix("file:") {
			return Ok(Self::File(path.into()));
		}
		if let Some(path) = text.strip_prefix("keystore:") {
			return Ok(Self::Exported(path.into()));
		}
		if is_well_known(text) {
			return keypair(text).map(|_| Self::Dev(text.into())).map_err(|error| error.to_string());
		}
		if text.starts_with("//") {
			let known = WELL_KNOWN.map(|name| format!("//{name}")).join(", ");
			return Err(format!(
				"only the development keys that everybody knows ({known}, and what is behind them, such as \
				//Charlie//service) can be named like this; any other is a secret: {SECRET}"
			));
		}
		if let Some(digits) = text.strip_prefix("0x") {
			let bytes = hex::decode(digits).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
			return match bytes {
				Some(bytes) => Ok(Self::Address(bytes)),
				None if text.contains('/') => Err(format!("a seed is a secret: {SECRET}")),
				None => Err("a public key is 0x and 64 hex digits".into()),
			};
		}
		if text.contains(char::is_whitespace) || text.contains("//") {
			return Err(format!("a phrase is a secret: {SECRET}"));
		}
		if keystore::is_name(text) {
			return Ok(Self::Named(text.into()));
		}
		AccountId32::from_str(text).map(|id| Self::Address(id.0)).map_err(|_| {
			// Not repeated: it may be a secret.
			"this is no address; write an SS58 address, 0x and 64 hex digits, the name of an account in the keystore, \
			keystore:PATH.json, a development name (//Bob), env:VARIABLE or file:PATH"
				.into()
		})
	}
}

/// A secret that belongs to somebody. Without a phrase or a seed, a key would come of a phrase that everybody knows.
fn own(secret: &str) -> anyhow::Result<Secret> {
	let secret = secret.trim();
	if secret.is_empty() {
		bail!("it is empty; a phrase belongs there, or a seed (0x and 64 hex digits)");
	}
	if secret.starts_with('/') && !is_well_known(secret) {
		bail!("a path without a phrase or a seed before it belongs to a phrase that everybody knows");
	}
	Ok(Zeroizing::new(secret.to_owned()))
}

fn keypair(secret: &str) -> anyhow::Result<Keypair> {
	let uri = SecretUri::from_str(secret.trim()).map_err(|_| anyhow!("this is neither a seed nor a phrase"))?;
	Keypair::from_uri(&uri).map_err(|_| anyhow!("this is neither a seed (0x and 64 hex digits) nor a valid phrase"))
}

impl Who {
	/// The secret, as a URI that a node's keystore understands.
	pub fn secret(&self) -> anyhow::Result<Secret> {
		match self {
			Self::Address(_) => bail!(
				"an address cannot sign; give the name of an account in the keystore, keystore:PATH.json, env:VARIABLE or file:PATH"
			),
			Self::Dev(name) => Ok(Zeroizing::new(name.clone())),
			Self::Env(name) => {
				let value =
					std::env::var(name).with_context(|| format!("the environment variable {name} is not set"))?;
				own(&Zeroizing::new(value)).with_context(|| format!("the environment variable {name} holds no secret"))
			}
			Self::File(path) => {
				own(&secret::file(path)?).with_context(|| format!("{} holds no secret", path.display()))
			}
			Self::Exported(_) | Self::Named(_) => bail!(
				"an encrypted account holds a key, and neither a phrase nor a seed; give one with env:VARIABLE or file:PATH"
			),
		}
	}

	/// The encrypted account, if it is one, and what to call it.
	fn wallet(&self) -> anyhow::Result<Option<(Wallet, String)>> {
		Ok(match self {
			Self::Exported(path) => Some((keystore::read(path)?, path.display().to_string())),
			Self::Named(name) => Some((keystore::open(&keystore::folder()?, name)?, name.clone())),
			_ => None,
		})
	}

	/// The keys to sign with. Asks for a password where there is one.
	pub fn signer(&self) -> anyhow::Result<Keypair> {
		if let Some((wallet, name)) = self.wallet()? {
			let password = secret::password(&name)?;
			return wallet.unlock(&password).with_context(|| match keystore::password_file() {
				Some(path) => format!("{name} cannot be unlocked with the password in {}", path.display()),
				None => format!("{name} cannot be unlocked"),
			});
		}
		let context = || match self {
			Self::Env(name) => format!("in the environment variable {name}"),
			Self::File(path) => format!("in {}", path.display()),
			_ => "for the account".into(),
		};
		keypair(&self.secret()?).with_context(context)
	}

	/// The account. Asks for no password.
	pub fn id(&self) -> anyhow::Result<AccountId32> {
		if let Self::Address(bytes) = self {
			return Ok(AccountId32(*bytes));
		}
		match self.wallet()? {
			Some((wallet, _)) => Ok(wallet.address),
			None => Ok(AccountId32(self.signer()?.public_key().0)),
		}
	}

	/// Whether there is a secret to sign with.
	pub fn can_sign(&self) -> bool {
		!matches!(self, Self::Address(_))
	}
}

/// The command cannot be carried out as it was written.
#[derive(Debug)]
pub struct Usage(pub &'static str);

impl std::fmt::Display for Usage {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		f.write_str(self.0)
	}
}

impl std::error::Error for Usage {}

/// Who signs.
pub fn author(global: &Global) -> anyhow::Result<&Who> {
	let Some(who) = &global.account else {
		bail!(Usage(
			"say which account signs and pays: --account NAME (see `assay account list`), keystore:PATH.json or //Bob; or set ASSAY_ACCOUNT"
		));
	};
	Ok(who)
}

/// The account that is meant: `who`, or else the one that signs.
pub fn subject(who: &Option<Who>, global: &Global) -> anyhow::Result<AccountId32> {
	match who.as_ref().or(global.account.as_ref()) {
		Some(who) => who.id(),
		None => bail!(Usage("say whom you mean: an address, or --account //Bob")),
	}
}

/// What an account has.
pub struct Balances {
	/// Its own, freely.
	pub free: u128,
	/// On hold, in all.
	pub held: u128,
	/// On hold, by reason (`Inference.Fee`).
	pub holds: Vec<(String, u128)>,
	/// The number of transactions it has sent.
	pub nonce: u32,
}

/// Reads what an account has, at the best block.
pub async fn balances(chain: &Chain, who: &AccountId32) -> anyhow::Result<Balances> {
	let at = chain.best().await?;
	let info: Option<AccountInfo> = chain.storage(&at, "System", "Account", (who.0,)).await?;
	let info = info.unwrap_or_default();
	let holds: Option<Vec<IdAmount>> = chain.storage(&at, "Balances", "Holds", (who.0,)).await?;
	let holds = holds.unwrap_or_default().into_iter().map(|hold| (hold.reason(), hold.amount)).collect();
	Ok(Balances { free: info.data.free, held: info.data.reserved, holds, nonce: info.nonce })
}

#[cfg(test)]
mod tests {
	use super::*;
	use std::fs;

	#[test]
	fn dev_name_should_give_the_well_known_account() {
		let bob: Who = "//Bob".parse().unwrap();
		assert_eq!(bob.id().unwrap().to_string(), "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty");
		assert_eq!(
			"5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty".parse::<Who>().unwrap().id().unwrap(),
			bob.id().unwrap()
		);
		let hex = format!("0x{}", hex::encode(bob.id().unwrap().0));
		assert_eq!(hex.parse::<Who>().unwrap().id().unwrap(), bob.id().unwrap());
	}

	#[test]
	fn address_should_not_sign() {
		let address = Who::Address([1; 32]);
		assert!(address.signer().unwrap_err().to_string().contains("cannot sign"));
	}

	#[test]
	fn phrase_should_be_refused_on_the_command_line() {
		let phrase = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
		let seed = format!("0x{}//Alice", "12".repeat(32));
		for secret in [phrase, "//secret", "//Alice///password", "//Alicex", "walk//Bob", &seed] {
			assert!(secret.parse::<Who>().unwrap_err().contains("shell's history"), "{secret}");
		}
		assert!("0x12".parse::<Who>().is_err());
		let mistyped = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694tz";
		assert!(mistyped.parse::<Who>().unwrap_err().contains("no address"));
	}

	#[test]
	fn secret_should_be_refused_when_everybody_knows_it() {
		for nothing in ["", " \n", "//x", "///pw", "/soft", " //Bobby"] {
			assert!(own(nothing).is_err(), "{nothing:?}");
		}
		for secret in [
			"//Bob",
			" //Charlie//service \n",
			"bottom drive obey lake curtain smoke basket hold race lonely fit walk//0",
		] {
			assert_eq!(*own(secret).unwrap(), secret.trim());
		}
	}

	#[test]
	fn development_name_should_be_taken_with_what_is_behind_it() {
		for name in ["//Alice", "//Charlie//service", "//Ferdie//empty"] {
			assert_eq!(name.parse::<Who>(), Ok(Who::Dev(name.into())));
		}
		assert_eq!("Bob".parse::<Who>(), Ok(Who::Named("Bob".into())));
	}

	#[test]
	fn exported_account_should_be_known_without_a_password() {
		let path = std::env::temp_dir().join(format!("assay-exported-{}.json", std::process::id()));
		fs::write(&path, wallet::tests::ALICE).unwrap();
		let who: Who = format!("keystore:{}", path.display()).parse().unwrap();
		assert_eq!(who.id().unwrap(), "//Alice".parse::<Who>().unwrap().id().unwrap());
		assert!(who.secret().unwrap_err().to_string().contains("neither a phrase nor a seed"));
		fs::remove_file(&path).unwrap();
		assert!(format!("{:#}", who.id().unwrap_err()).contains("cannot read"));
	}

	#[test]
	fn file_should_give_the_account_when_it_holds_a_phrase() {
		let path = std::env::temp_dir().join(format!("assay-account-{}", std::process::id()));
		keystore::write_new(&path, "bottom drive obey lake curtain smoke basket hold race lonely fit walk//Bob\n")
			.unwrap();
		let who: Who = format!("file:{}", path.display()).parse().unwrap();
		assert_eq!(who.id().unwrap(), "//Bob".parse::<Who>().unwrap().id().unwrap());
		fs::write(&path, "not a phrase").unwrap();
		assert!(format!("{:#}", who.signer().unwrap_err()).contains(&path.display().to_string()));
		fs::remove_file(&path).unwrap();
		assert!(format!("{:#}", who.signer().unwrap_err()).contains("cannot read"));
	}
}
