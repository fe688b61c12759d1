//! `assay account`: make, import, list, show and export accounts; and `assay send`.

use super::{
	author, balances,
	keystore::{self, add, folder, write_new},
	own, secret, subject,
	wallet::Wallet,
	Who,
};
use crate::{
	amount::Amount,
	args::{Account, AccountCommand, Global, SendCommand},
	chain::{call, Chain},
	report::Report,
	sending::agreed,
	table::{Column, Table},
};
use anyhow::{anyhow, bail, Context};
use serde_json::json;
use sp_core::{sr25519::Pair, Pair as _};
use std::{
	future::Future,
	io::{stdout, IsTerminal, Write},
	path::{Path, PathBuf},
};
use subxt::{dynamic::Value, utils::AccountId32};

/// `assay account`.
pub async fn run<F, C>(command: &Account, global: &Global, connect: F, report: &Report) -> anyhow::Result<()>
where
	F: FnOnce() -> C,
	C: Future<Output = anyhow::Result<Chain>>,
{
	let who = match &command.command {
		Some(AccountCommand::New { name, phrase }) => return new(name, *phrase, report),
		Some(AccountCommand::Import { name, from }) => return import(name, from.as_ref(), report),
		Some(AccountCommand::List) => return list(report),
		Some(AccountCommand::Export { name, file }) => return export(name, file.as_deref(), report),
		Some(AccountCommand::Show { who }) => who,
		None => &command.who,
	};
	let who = subject(who, global)?;
	show(&who, &connect().await?, report).await
}

/// Says where an account is now.
fn kept(name: &str, path: &Path, address: &AccountId32, report: &Report) {
	report.line(format!("Account {name}: {address}"));
	report.line(format!("  kept in {}, encrypted", path.display()));
	report.finish(json!({ "name": name, "account": address.to_string(), "file": path.display().to_string() }));
}

fn new(name: &str, show_phrase: bool, report: &Report) -> anyhow::Result<()> {
	let folder = folder()?;
	free(&folder, name)?;
	if show_phrase && (report.is_json() || !stdout().is_terminal()) {
		bail!("the phrase is shown on a terminal only, so that it does not end in a file or a log");
	}
	let password = secret::new_password(name)?;
	let (pair, phrase, _) = Pair::generate_with_phrase(None);
	let phrase = secret::Secret::new(phrase);
	let wallet = Wallet::lock(&pair, name, &password)?;
	let path = add(&folder, name, &wallet)?;
	kept(name, &path, &wallet.address, report);
	if show_phrase {
		report.line("  These words are the account. Write them down, on paper; they are not shown again:");
		report.line(format!("    {}", *phrase));
	} else {
		report
			.line("  Keep a copy of this file and the password in a safe place: nothing else brings the account back.");
	}
	report.line(format!("  Use it with `--account {name}`. Wallets can import the file."));
	Ok(())
}

/// Makes sure that there is no such account yet, before anyone types a password.
fn free(folder: &Path, name: &str) -> anyhow::Result<()> {
	let path = keystore::path(folder, name)?;
	if path.exists() {
		bail!("there is an account {name:?} already ({}); choose another name", path.display());
	}
	Ok(())
}

fn import(name: &str, from: Option<&Who>, report: &Report) -> anyhow::Result<()> {
	let folder = folder()?;
	free(&folder, name)?;
	let wallet = match from {
		Some(Who::Exported(path)) => {
			let wallet = keystore::read(path)?;
			let file = path.display().to_string();
			// What cannot be unlocked is not worth keeping.
			wallet.unlock(&secret::password(&file)?).with_context(|| format!("{file} cannot be imported"))?;
			wallet
		}
		other => {
			let words = other.map_or_else(|| own(&secret::phrase()?), Who::secret)?;
			let pair = Pair::from_string(&words, None)
				.map_err(|_| anyhow!("this is neither a seed (0x and 64 hex digits) nor a valid phrase"))?;
			Wallet::lock(&pair, name, &secret::new_password(name)?)?
		}
	};
	let path = add(&folder, name, &wallet)?;
	kept(name, &path, &wallet.address, report);
	Ok(())
}

fn list(report: &Report) -> anyhow::Result<()> {
	let folder = folder()?;
	let accounts = keystore::all(&folder)?;
	if accounts.is_empty() {
		report.line(format!("No account is kept in {} yet. `assay account new NAME` makes one.", folder.display()));
	}
	let mut table = Table::new([Column::left("name"), Column::id("address")]);
	for (name, wallet) in &accounts {
		let address = match wallet {
			Ok(wallet) => wallet.address.to_string(),
			Err(_) => "cannot be read: `assay account export` says why".into(),
		};
		table.row([name.clone(), address]);
	}
	report.table(&table);
	report.finish(json!({
		"keystore": folder.display().to_string(),
		"accounts": accounts.iter().map(|(name, wallet)| match wallet {
			Ok(wallet) => json!({ "name": name, "account": wallet.address.to_string() }),
			Err(error) => json!({ "name": name, "error": format!("{error:#}") }),
		}).collect::<Vec<_>>(),
	}));
	Ok(())
}

fn export(name: &str, file: Option<&Path>, report: &Report) -> anyhow::Result<()> {
	let wallet = keystore::open(&folder()?, name)?;
	let path: Option<PathBuf> = file.map(Path::to_owned);
	match &path {
		Some(path) => {
			write_new(path, &wallet.text)?;
			report.line(format!("Wrote {}, encrypted with the same password. Wallets can import it.", path.display()));
		}
		None if report.is_json() => (),
		// It may be the only copy that is kept: what cannot be written must be said.
		None => writeln!(stdout(), "{}", wallet.text.trim_end())
			.and_then(|()| stdout().flush())
			.context("the account could not be written in full; give a file instead")?,
	}
	report.finish(json!({
		"name": name,
		"account": wallet.address.to_string(),
		"file": path.map(|path| path.display().to_string()),
		"keystore": serde_json::from_str::<serde_json::Value>(&wallet.text)?,
	}));
	Ok(())
}

async fn show(who: &AccountId32, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let balances = balances(chain, who).await?;
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

/// `assay send`.
pub async fn send(command: &SendCommand, global: &Global, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let from = author(global)?.id()?;
	let to = command.to.id()?;
	let target = Value::unnamed_variant("Id", [Value::from_bytes(to.0)]);
	let call = call("Balances", "transfer_keep_alive", [("dest", target), ("value", Value::u128(command.amount.0))]);
	let words = format!("send {} to {to}", command.amount);
	let Some(signer) = agreed(&call, &words, global, chain, report).await? else { return Ok(()) };
	let included = chain.submit(&signer, &call).await?;
	report.line(format!("Sent {} to {to} in block {}", command.amount, included.block));
	report.finish(json!({
		"from": from.to_string(), "to": to.to_string(), "amount": command.amount.0.to_string(), "block": included.block,
	}));
	Ok(())
}
