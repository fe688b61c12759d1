//! Stake behind validators: bond, unbond, nominate; look at what is bonded.
//!
//! | module | what it does |
//! |---|---|
//! | this | what the pallet `Staking` stores; the calls of everyone who has bonded |
//! | [`validator`] | `assay validator` |
//! | [`status`] | `assay staking status`, `assay validator status`, `assay validator list` |

pub mod status;
pub mod validator;

use crate::{
	account::{author, subject},
	amount::Amount,
	args::{
		stake::{Bond, Nominate, Payee, StakingCommand},
		AmountOrAll, Global,
	},
	chain::{call, At, Call, Chain},
	report::Report,
	sending::send,
};
use anyhow::{bail, Context};
use subxt::{dynamic::Value, ext::scale_decode::DecodeAsType, utils::AccountId32};

/// The pallet.
pub(crate) const PALLET: &str = "Staking";

/// `Staking.Ledger`.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub(crate) struct Ledger {
	pub(crate) total: u128,
	pub(crate) active: u128,
	pub(crate) unlocking: Vec<UnlockChunk>,
}

/// Stake on its way out.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub(crate) struct UnlockChunk {
	pub(crate) value: u128,
	pub(crate) era: u32,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct SlashingSpans {
	prior: Vec<u32>,
}

/// Makes sure that the chain elects its validators by stake.
pub(crate) fn supported(at: &At) -> anyhow::Result<()> {
	if at.metadata_ref().pallet_by_name(PALLET).is_none() {
		bail!("this chain has no pallet {PALLET}: nobody can bond for validators on it");
	}
	Ok(())
}

/// What an account has bonded.
pub(crate) async fn ledger(chain: &Chain, at: &At, who: &AccountId32) -> anyhow::Result<Option<Ledger>> {
	supported(at)?;
	let controller: Option<AccountId32> = chain.storage(at, PALLET, "Bonded", (who.0,)).await?;
	match controller {
		Some(controller) => chain.storage(at, PALLET, "Ledger", (controller.0,)).await,
		None => Ok(None),
	}
}

/// Someone, as calls to `Balances` and `Staking` name them.
fn target(who: &AccountId32) -> Value {
	Value::unnamed_variant("Id", [Value::from_bytes(who.0)])
}

fn payee(payee: &Payee) -> anyhow::Result<(Value, String)> {
	let word = |variant: &str| Value::unnamed_variant(variant, []);
	Ok(match payee {
		Payee::Staked => (word("Staked"), "to the stake".into()),
		Payee::Stash => (word("Stash"), "to the account".into()),
		Payee::None => (word("None"), "nowhere".into()),
		Payee::Account(who) => {
			let who = who.id()?;
			(Value::unnamed_variant("Account", [Value::from_bytes(who.0)]), format!("to {who}"))
		}
	})
}

/// The call that bonds stake, whether or not some is bonded already.
async fn bond_call(
	amount: Amount,
	to: &Payee,
	who: &AccountId32,
	chain: &Chain,
	at: &At,
) -> anyhow::Result<(Call, String)> {
	let stake = Value::u128(amount.0);
	if ledger(chain, at, who).await?.is_some() {
		return Ok((call(PALLET, "bond_extra", [("max_additional", stake)]), format!("bond {amount} more")));
	}
	let (to, where_to) = payee(to)?;
	Ok((call(PALLET, "bond", [("value", stake), ("payee", to)]), format!("bond {amount}, rewards go {where_to}")))
}

/// `assay staking bond`, `assay validator bond`.
pub async fn bond(command: &Bond, global: &Global, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let who = author(global)?.id()?;
	let at = chain.best().await?;
	let (call, words) = bond_call(command.amount, &command.payee, &who, chain, &at).await?;
	let amount = command.amount;
	let done = match call.call_name() {
		"bond_extra" => format!("Bonded {amount} more."),
		_ => format!(
			"Bonded {amount}. It does nothing yet: `assay nominate` or `assay validator validate` puts it to work."
		),
	};
	send(&call, &words, &done, global, chain, report).await
}

/// `assay nominate`.
pub async fn nominate(command: &Nominate, global: &Global, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let who = author(global)?.id()?;
	let at = chain.best().await?;
	supported(&at)?;
	let validators = command.validators.iter().map(|who| who.id()).collect::<anyhow::Result<Vec<_>>>()?;
	let names = validators.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
	let targets = Value::unnamed_composite(validators.iter().map(target));
	let nominate = call(PALLET, "nominate", [("targets", targets)]);
	let (call, words) = match command.bond {
		Some(amount) => {
			let (bond, words) = bond_call(amount, &Payee::Staked, &who, chain, &at).await?;
			(batch([bond, nominate]), format!("{words}, and nominate {names}"))
		}
		None => (nominate, format!("nominate {names}")),
	};
	let done = "Nominated. It counts in elections from the next era on.";
	send(&call, &words, done, global, chain, report).await
}

/// Calls of which either all work or none.
fn batch(calls: impl IntoIterator<Item = Call>) -> Call {
	let calls = Value::unnamed_composite(calls.into_iter().map(Call::into_value));
	call("Utility", "batch_all", [("calls", calls)])
}

/// `assay staking`.
pub async fn run(command: &StakingCommand, global: &Global, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let (call, words, done) = match command {
		StakingCommand::Status { who } => return status::show(&subject(who, global)?, chain, report).await,
		StakingCommand::Bond(command) => return bond(command, global, chain, report).await,
		StakingCommand::Unbond { amount } => {
			let amount = match amount {
				AmountOrAll::Some(amount) => *amount,
				AmountOrAll::All => {
					let who = author(global)?.id()?;
					let ledger = ledger(chain, &chain.best().await?, &who).await?;
					Amount(ledger.with_context(|| format!("{who} has bonded nothing"))?.active)
				}
			};
			(
				call(PALLET, "unbond", [("value", Value::u128(amount.0))]),
				format!("start to take out {amount} of stake"),
				format!("{amount} is on its way out; `assay staking status` says until when."),
			)
		}
		StakingCommand::Rebond { amount } => (
			call(PALLET, "rebond", [("value", Value::u128(amount.0))]),
			format!("bond again {amount} that is on its way out"),
			format!("Bonded {amount} again."),
		),
		StakingCommand::Withdraw => {
			let (who, at) = (author(global)?.id()?, chain.best().await?);
			supported(&at)?;
			// The chain wants to know beforehand how much it may have to tidy up.
			let spans: Option<SlashingSpans> = chain.storage(&at, PALLET, "SlashingSpans", (who.0,)).await?;
			let spans = spans.map_or(0, |spans| spans.prior.len() + 1);
			(
				call(PALLET, "withdraw_unbonded", [("num_slashing_spans", Value::u128(u128::try_from(spans)?))]),
				"take out the stake that is due".into(),
				"What was due is free again.".into(),
			)
		}
		StakingCommand::Chill => chill(),
		StakingCommand::Payee { to } => {
			let (to, words) = payee(to)?;
			(
				call(PALLET, "set_payee", [("payee", to)]),
				format!("let rewards go {words}"),
				format!("Rewards go {words} from now on."),
			)
		}
	};
	supported(&chain.best().await?)?;
	send(&call, &words, &done, global, chain, report).await
}

/// The call that stops validating or nominating, what it does, and what it has done.
fn chill() -> (Call, String, String) {
	(
		call(PALLET, "chill", []),
		"validate or nominate no longer, from the next era on".into(),
		"From the next era on you are no candidate and nominate nobody. The stake stays bonded: `assay staking unbond` starts to take it out.".into(),
	)
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn payee_should_be_said_as_it_is_encoded() {
		let bob: Payee = "//Bob".parse().unwrap();
		let (value, words) = payee(&bob).unwrap();
		let Payee::Account(who) = bob else { panic!() };
		assert_eq!(value, Value::unnamed_variant("Account", [Value::from_bytes(who.id().unwrap().0)]));
		assert!(words.starts_with("to 5FHneW"));
		assert_eq!(payee(&Payee::Stash).unwrap().0, Value::unnamed_variant("Stash", []));
	}

	#[test]
	fn batch_should_hold_its_calls_in_order() {
		let batch = batch([call("A", "one", [("x", Value::u128(1))]), call("B", "two", [])]);
		assert_eq!((batch.pallet_name(), batch.call_name()), ("Utility", "batch_all"));
		let first = call("A", "one", [("x", Value::u128(1))]).into_value();
		let second = call("B", "two", []).into_value();
		let expected = call("Utility", "batch_all", [("calls", Value::unnamed_composite([first, second]))]);
		assert_eq!(batch, expected);
	}
}
