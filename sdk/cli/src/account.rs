//! Who signs, who is meant; balances.

use crate::{
	amount::Amount,
	args::{Account, Global},
	chain::Chain,
	report::Report,
	types::{AccountInfo, IdAmount},
};
use anyhow::{anyhow, bail, Context};
use serde_json::json;
use std::{fs, str::FromStr};
use subxt::utils::AccountId32;
use subxt_signer::{sr25519::Keypair, SecretUri};

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
	File(String),
}

impl FromStr for Who {
	type Err = String;

	fn from_str(text: &str) -> Result<Self, String> {
		if let Some(variable) = text.strip_prefix("env:") {
			return Ok(Self::Env(variable.into()));
		}
		if let Some(path) = text.strip_prefix("file:") {
			return Ok(Self::File(path.into()));
		}
		if text.starts_with("//") {
			return keypair(text).map(|_| Self::Dev(text.into())).map_err(|error| error.to_string());
		}
		if let Some(digits) = text.strip_prefix("0x") {
			let bytes = hex::decode(digits).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
			return bytes.map(Self::Address).ok_or_else(|| "a public key is 0x and 64 hex digits".into());
		}
		if text.contains(char::is_whitespace) {
			return Err("a phrase on the command line would stay in your shell's history; put it into an environment \
				variable (env:NAME) or a file (file:PATH)"
				.into());
		}
		AccountId32::from_str(text).map(|id| Self::Address(id.0)).map_err(|_| {
			format!("{text:?} is no address; write an SS58 address, 0x and 64 hex digits, //Name, env:VARIABLE or file:PATH")
		})
	}
}

fn keypair(secret: &str) -> anyhow::Result<Keypair> {
	let uri = SecretUri::from_str(secret.trim()).map_err(|_| anyhow!("this is neither a seed nor a phrase"))?;
	Keypair::from_uri(&uri).map_err(|_| anyhow!("this is neither a seed (0x and 64 hex digits) nor a valid phrase"))
}

impl Who {
	/// The secret, as a URI that a keystore understands.
	pub fn secret(&self) -> anyhow::Result<String> {
		match self {
			Self::Address(_) => bail!("an address cannot sign; give //Name, env:VARIABLE or file:PATH"),
			Self::Dev(name) => Ok(name.clone()),
			Self::Env(name) => {
				let value =
					std::env::var(name).with_context(|| format!("the environment variable {name} is not set"))?;
				Ok(value.trim().to_owned())
			}
			Self::File(path) => {
				let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
				Ok(text.trim().to_owned())
			}
		}
	}

	/// The keys to sign with.
	pub fn signer(&self) -> anyhow::Result<Keypair> {
		let context = || match self {
			Self::Env(name) => format!("in the environment variable {name}"),
			Self::File(path) => format!("in {path}"),
			_ => "for the account".into(),
		};
		keypair(&self.secret()?).with_context(context)
	}

	/// The account.
	pub fn id(&self) -> anyhow::Result<AccountId32> {
		match self {
			Self::Address(bytes) => Ok(AccountId32(*bytes)),
			_ => Ok(AccountId32(self.signer()?.public_key().0)),
		}
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

/// The account that signs.
pub fn signer(global: &Global) -> anyhow::Result<Keypair> {
	let Some(who) = &global.account else {
		bail!(Usage(
			"say which account signs and pays: --account //Bob (or env:VARIABLE, file:PATH; or set ASSAY_ACCOUNT)"
		));
	};
	who.signer()
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

/// `assay account`.
pub async fn run(command: &Account, global: &Global, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let who = subject(&command.who, global)?;
	let balances = balances(chain, &who).await?;
	report.line(format!("Account {who}"));
	report.line(format!("  free   {}", Amount(balances.free)));
	report.line(format!("  held   {}", Amount(balances.held)));
	for (reason, amount) in &balances.holds {
		report.line(format!("         {} for {reason}", Amount(*amount)));
	}
	report.line(format!("  nonce  {}", balances.nonce));
	if balances.free == 0 && balances.held == 0 {
		report.line("It has nothing: someone has to send it OPG before it can do anything.");
	}
	report.finish(json!({
		"account": who.to_string(),
		"free": balances.free.to_string(),
		"held": balances.held.to_string(),
		"holds": balances.holds.iter().map(|(reason, amount)| json!({ "reason": reason, "amount": amount.to_string() }))
			.collect::<Vec<_>>(),
		"nonce": balances.nonce,
	}));
	Ok(())
}

#[cfg(test)]
mod tests {
	use super::*;

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
		assert!(phrase.parse::<Who>().unwrap_err().contains("shell's history"));
		assert!("Bob".parse::<Who>().unwrap_err().contains("no address"));
		assert!("0x12".parse::<Who>().is_err());
	}

	#[test]
	fn file_should_give_the_account_when_it_holds_a_phrase() {
		let path = std::env::temp_dir().join(format!("assay-account-{}", std::process::id()));
		fs::write(&path, "bottom drive obey lake curtain smoke basket hold race lonely fit walk//Bob\n").unwrap();
		let who: Who = format!("file:{}", path.display()).parse().unwrap();
		assert_eq!(who.id().unwrap(), "//Bob".parse::<Who>().unwrap().id().unwrap());
		fs::write(&path, "not a phrase").unwrap();
		assert!(format!("{:#}", who.signer().unwrap_err()).contains(&path.display().to_string()));
		fs::remove_file(&path).unwrap();
		assert!(who.signer().unwrap_err().to_string().contains("cannot read"));
	}
}
