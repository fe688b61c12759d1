//! Eras and payouts.

use crate::{
	account::subject,
	amount::Amount,
	args::{Global, RewardsCommand},
	chain::{call, Chain},
	report::Report,
	sending::agreed,
};
use serde_json::json;
use subxt::dynamic::Value;

/// `assay rewards`.
pub async fn run(command: RewardsCommand, global: &Global, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	match command {
		RewardsCommand::Era { who } => {
			let at = chain.best().await?;
			let (era, started_at, emission): (u32, u32, u128) = chain.view(&at, "Rewards", "era", ()).await?;
			report.line(format!("Era {era}, since block {started_at}, emits {}", Amount(emission)));
			let apy: Option<u128> = chain.view(&at, "Rewards", "apy_estimate", ()).await.unwrap_or_default();
			if let Some(parts) = apy {
				let percent = parts / 10_u128.pow(14);
				report.line(format!(
					"Stake at work earns about {}.{:02} % a year by emission, if all stays as it is",
					percent / 100,
					percent % 100
				));
			}
			let mut object = json!({
				"era": era,
				"started_at": started_at,
				"emission": emission.to_string(),
				"apy_estimate": apy.map(|parts| parts.to_string()),
			});
			if who.is_some() || global.account.is_some() {
				let who = subject(&who, global)?;
				let claimable: Vec<(u32, u128)> = chain.view(&at, "Rewards", "claimable", (who.0,)).await?;
				if claimable.is_empty() {
					report.line(format!("{who} has nothing to claim"));
				}
				for (era, amount) in &claimable {
					report.line(format!("  {} for era {era}: `assay rewards payout {era}`", Amount(*amount)));
				}
				object["worker"] = who.to_string().into();
				object["claimable"] =
					claimable.iter().map(|(era, amount)| json!({ "era": era, "amount": amount.to_string() })).collect();
			}
			report.finish(object);
		}
		RewardsCommand::Payout { era, who } => {
			let who = subject(&who, global)?;
			let arguments = [("worker", Value::from_bytes(who.0)), ("era", Value::u128(era.into()))];
			let call = call("Rewards", "payout_era", arguments);
			let words = format!("pay out era {era} to the worker {who}");
			let Some(signer) = agreed(&call, &words, global, chain, report).await? else { return Ok(()) };
			let included = chain.submit(&signer, &call).await?;
			report.line(format!("Paid out era {era} to {who}"));
			report.finish(json!({ "worker": who.to_string(), "era": era, "block": included.block }));
		}
	}
	Ok(())
}
