//! Put stake behind a worker, and look after it.

use crate::{
	account::{author, subject},
	amount::Amount,
	args::{
		stake::{Delegate, DelegationCommand, DelegationPayee},
		AmountOrAll, Global,
	},
	chain::{call, At, Chain},
	report::Report,
	sending::send,
	types::{variant_name, Unbonding},
};
use anyhow::{bail, Context};
use serde_json::json;
use subxt::{dynamic::Value, ext::scale_decode::DecodeAsType, utils::AccountId32};

/// The pallet.
const PALLET: &str = "Workers";

/// What the view function `delegation` says.
#[derive(DecodeAsType, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Status {
	stake: u128,
	claimable: u128,
	payee: Value,
	unbonding: Vec<Unbonding>,
}

fn supported(at: &At) -> anyhow::Result<()> {
	let workers = at.metadata_ref().pallet_by_name(PALLET);
	if workers.is_none_or(|workers| workers.call_variant_by_name("delegate").is_none()) {
		bail!("this chain's workers take no delegations");
	}
	Ok(())
}

/// `assay delegate`.
pub async fn delegate(command: &Delegate, global: &Global, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	supported(&chain.best().await?)?;
	let (worker, amount) = (command.worker.id()?, command.amount);
	let call = call(PALLET, "delegate", [("worker", Value::from_bytes(worker.0)), ("amount", Value::u128(amount.0))]);
	let words = format!("put {amount} behind the worker {worker}, where it can be slashed for wrong answers");
	let done = format!("{amount} is behind {worker}. `assay delegation status {worker}` shows what it earns.");
	send(&call, &words, &done, global, chain, report).await
}

/// `assay delegation`.
pub async fn run(command: &DelegationCommand, global: &Global, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	supported(&chain.best().await?)?;
	let named = |worker: &AccountId32| ("worker", Value::from_bytes(worker.0));
	let (call, words, done) = match command {
		DelegationCommand::Status { worker, who } => {
			return show(&worker.id()?, &subject(who, global)?, chain, report).await;
		}
		DelegationCommand::Undelegate { worker, amount } => {
			let worker = worker.id()?;
			let (value, amount) = match amount {
				AmountOrAll::All => (Value::unnamed_variant("None", []), "all stake".to_owned()),
				AmountOrAll::Some(amount) => {
					(Value::unnamed_variant("Some", [Value::u128(amount.0)]), amount.to_string())
				}
			};
			(
				call(PALLET, "undelegate", [named(&worker), ("amount", value)]),
				format!("start to take {amount} out from behind {worker}"),
				"It is on its way out; `assay delegation status` says until when.".to_owned(),
			)
		}
		DelegationCommand::Withdraw { worker, who } => {
			let (worker, who) = (worker.id()?, subject(who, global)?);
			(
				call(PALLET, "withdraw_delegation", [named(&worker), ("delegator", Value::from_bytes(who.0))]),
				format!("give {who} what is due of its stake behind {worker}"),
				"What was due is free again.".to_owned(),
			)
		}
		DelegationCommand::Claim { worker, who } => {
			let (worker, who) = (worker.id()?, subject(who, global)?);
			(
				call(PALLET, "claim", [named(&worker), ("delegator", Value::from_bytes(who.0))]),
				format!("give {who} its rewards from {worker}"),
				"The rewards are claimed.".to_owned(),
			)
		}
		DelegationCommand::Payee { worker, to } => {
			let worker = worker.id()?;
			let (variant, words) = match to {
				DelegationPayee::Account => ("Account", "to the account"),
				DelegationPayee::Stake => ("Stake", "to the stake"),
			};
			(
				call(PALLET, "set_payee", [named(&worker), ("payee", Value::unnamed_variant(variant, []))]),
				format!("let rewards from {worker} go {words}"),
				format!("Rewards from {worker} go {words} when they are claimed."),
			)
		}
	};
	author(global)?;
	send(&call, &words, &done, global, chain, report).await
}

async fn show(worker: &AccountId32, who: &AccountId32, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let at = chain.best().await?;
	let status: Option<Status> = chain.view(&at, PALLET, "delegation", (worker.0, who.0)).await?;
	let status = status.with_context(|| format!("{who} has delegated nothing to {worker}; `assay delegate` does"))?;
	let payee = variant_name(&status.payee);
	report.line(format!("Stake of {who} behind {worker}"));
	report.line(format!("  stake    {}", Amount(status.stake)));
	report.line(format!("  rewards  {} can be claimed, to the {}", Amount(status.claimable), payee.to_lowercase()));
	for unbonding in &status.unbonding {
		let left = u64::from(unbonding.withdrawable_at).saturating_sub(at.block_number());
		let when = if left == 0 { "can be withdrawn".into() } else { format!("can be withdrawn in {left} blocks") };
		report.line(format!("  leaving  {} {when}", Amount(unbonding.amount)));
	}
	report.finish(json!({
		"worker": worker.to_string(),
		"delegator": who.to_string(),
		"stake": status.stake.to_string(),
		"claimable": status.claimable.to_string(),
		"payee": payee,
		"unbonding": status.unbonding.iter().map(|unbonding| json!({
			"amount": unbonding.amount.to_string(), "withdrawable_at": unbonding.withdrawable_at,
		})).collect::<Vec<_>>(),
	}));
	Ok(())
}
