//! What is bonded, for what, and by whom.

use super::{ledger, supported, validator::open_payouts, PALLET};
use crate::{
	amount::{Amount, Share},
	chain::{At, Chain},
	report::Report,
	table::{Column, Table},
};
use anyhow::Context;
use serde_json::{json, Value as Json};
use std::collections::{BTreeMap, BTreeSet};
use subxt::{dynamic::Value, ext::scale_decode::DecodeAsType, utils::AccountId32};

/// `Staking.Validators`.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Prefs {
	commission: u32,
	blocked: bool,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Nominations {
	targets: Vec<AccountId32>,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct ActiveEra {
	index: u32,
}

/// `Staking.ErasStakersOverview`.
#[derive(DecodeAsType, Clone, Copy, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub(super) struct Exposure {
	pub(super) total: u128,
	pub(super) own: u128,
	pub(super) page_count: u32,
}

/// The running era.
pub(super) async fn era(chain: &Chain, at: &At) -> anyhow::Result<u32> {
	let era: Option<ActiveEra> = chain.storage(at, PALLET, "ActiveEra", ()).await?;
	Ok(era.map_or(0, |era| era.index))
}

/// What stood behind a validator in an era.
pub(super) async fn exposure(chain: &Chain, at: &At, era: u32, who: &AccountId32) -> anyhow::Result<Option<Exposure>> {
	chain.storage(at, PALLET, "ErasStakersOverview", (era, who.0)).await
}

/// What an account does with its stake.
async fn role(chain: &Chain, at: &At, who: &AccountId32) -> anyhow::Result<(String, Json)> {
	// A default stands in this map for everyone who is not in it.
	let candidates = chain.storage_map::<AccountId32, Prefs>(at, PALLET, "Validators").await?;
	if let Some((_, prefs)) = candidates.iter().find(|(candidate, _)| candidate == who) {
		let blocked = if prefs.blocked { ", takes no new nominations" } else { "" };
		let text = format!("stands for validator, commission {}{blocked}", Share(prefs.commission));
		return Ok((text, json!({ "validator": { "commission_ppb": prefs.commission, "blocked": prefs.blocked } })));
	}
	let nominations: Option<Nominations> = chain.storage(at, PALLET, "Nominators", (who.0,)).await?;
	Ok(match nominations {
		Some(Nominations { targets }) => {
			let names: Vec<String> = targets.iter().map(ToString::to_string).collect();
			(format!("nominates {}", names.join(", ")), json!({ "nominator": names }))
		}
		None => ("does nothing; `assay nominate` or `assay validator validate` puts it to work".into(), Json::Null),
	})
}

/// Where rewards go.
#[derive(DecodeAsType, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
enum Payee {
	Staked,
	Stash,
	Controller,
	Account(AccountId32),
	None,
}

/// `assay staking status`.
pub(super) async fn show(who: &AccountId32, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let at = chain.best().await?;
	let object = bonded(who, chain, &at, report).await?;
	report.finish(object);
	Ok(())
}

/// Tells what is bonded. The same for scripts.
async fn bonded(who: &AccountId32, chain: &Chain, at: &At, report: &Report) -> anyhow::Result<Json> {
	let ledger = ledger(chain, at, who).await?;
	let ledger = ledger.with_context(|| format!("{who} has bonded nothing; `assay staking bond` does"))?;
	let era = era(chain, at).await?;
	let payee: Option<Payee> = chain.storage(at, PALLET, "Payee", (who.0,)).await?;
	let (role, role_json) = role(chain, at, who).await?;
	report.line(format!("Stake of {who}"));
	report.line(format!("  bonded   {}", Amount(ledger.active)));
	report.line(format!("  its use  {role}"));
	let rewards = match &payee {
		Some(Payee::Staked) => "are added to the stake".into(),
		Some(Payee::Stash) => "go to the account".into(),
		Some(Payee::Controller) => "go to the controller".into(),
		Some(Payee::Account(account)) => format!("go to {account}"),
		Some(Payee::None) | None => "are not paid".into(),
	};
	report.line(format!("  rewards  {rewards}"));
	for chunk in &ledger.unlocking {
		let left = chunk.era.saturating_sub(era);
		let when = match left {
			0 => "can be withdrawn".into(),
			left => format!("can be withdrawn in {left} eras"),
		};
		report.line(format!("  leaving  {} {when}", Amount(chunk.value)));
	}
	Ok(json!({
		"account": who.to_string(),
		"era": era,
		"total": ledger.total.to_string(),
		"active": ledger.active.to_string(),
		"unlocking": ledger.unlocking.iter()
			.map(|chunk| json!({ "amount": chunk.value.to_string(), "era": chunk.era })).collect::<Vec<_>>(),
		"payee": payee.as_ref().map(|payee| match payee {
			Payee::Staked => "Staked".to_string(),
			Payee::Stash => "Stash".into(),
			Payee::Controller => "Controller".into(),
			Payee::Account(account) => account.to_string(),
			Payee::None => "None".into(),
		}),
		"role": role_json,
	}))
}

/// The validators of this session.
async fn session(chain: &Chain, at: &At) -> anyhow::Result<Vec<AccountId32>> {
	Ok(chain.storage(at, "Session", "Validators", ()).await?.unwrap_or_default())
}

/// `assay validator status`.
pub(super) async fn validator(who: &AccountId32, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let at = chain.best().await?;
	let mut object = bonded(who, chain, &at, report).await?;
	let active = session(chain, &at).await?.contains(who);
	let keys: Option<Value> = chain.storage(&at, "Session", "NextKeys", (who.0,)).await?;
	let now = era(chain, &at).await?;
	let behind = exposure(chain, &at, now, who).await?;
	let open = open_payouts(who, chain, &at).await?;
	report.line(match active {
		true => "  session  makes and finalises blocks now",
		false => "  session  is not among the validators now",
	});
	if let Some(behind) = &behind {
		report.line(format!("  behind   {}, of which {} its own", Amount(behind.total), Amount(behind.own)));
	}
	report.line(match keys {
		Some(_) => "  keys     set",
		None => "  keys     none: set them with `assay validator keys`, or you cannot be elected",
	});
	let eras: Vec<u32> = open.iter().map(|(era, _)| *era).collect();
	if !eras.is_empty() {
		let names: Vec<String> = eras.iter().map(ToString::to_string).collect();
		report.line(format!("  payouts  open for eras {}: `assay validator payout {who}`", names.join(", ")));
	}
	object["in_session"] = active.into();
	object["keys"] = keys.is_some().into();
	object["behind"] = behind.map(|behind| behind.total.to_string()).into();
	object["open_payouts"] = eras.into();
	report.finish(object);
	Ok(())
}

/// `assay validator list`.
pub(super) async fn list(chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let at = chain.best().await?;
	supported(&at)?;
	let active: BTreeSet<[u8; 32]> = session(chain, &at).await?.into_iter().map(|who| who.0).collect();
	let candidates = chain.storage_map::<AccountId32, Prefs>(&at, PALLET, "Validators").await?;
	let candidates: BTreeMap<[u8; 32], Prefs> = candidates.into_iter().map(|(who, prefs)| (who.0, prefs)).collect();
	let now = era(chain, &at).await?;
	let everyone: BTreeSet<&[u8; 32]> = active.iter().chain(candidates.keys()).collect();
	let mut rows = Vec::new();
	for who in everyone {
		let account = AccountId32(*who);
		let behind = match exposure(chain, &at, now, &account).await? {
			Some(behind) => behind,
			// Not elected in this era: its own stake is what it stands with.
			None => {
				let own = ledger(chain, &at, &account).await?.map_or(0, |ledger| ledger.active);
				Exposure { total: own, own, page_count: 0 }
			}
		};
		rows.push((account, active.contains(who), candidates.get(who), behind));
	}
	// Who makes blocks first, then by stake.
	rows.sort_by_key(|(account, active, _, behind)| (!active, u128::MAX - behind.total, account.0));
	let columns = [
		Column::id("validator"),
		Column::left("now"),
		Column::right("stake"),
		Column::right("own"),
		Column::right("commission"),
	];
	let mut table = Table::new(columns);
	for (account, active, prefs, behind) in &rows {
		let commission = prefs.map_or_else(|| "leaves".into(), |prefs| Share(prefs.commission).to_string());
		let now = if *active { "active" } else { "waits" };
		table.row([
			account.to_string(),
			now.into(),
			Amount(behind.total).to_string(),
			Amount(behind.own).to_string(),
			commission,
		]);
	}
	report.table(&table);
	report.finish(json!({
		"era": now,
		"validators": rows.iter().map(|(account, active, prefs, behind)| json!({
			"account": account.to_string(),
			"active": active,
			"candidate": prefs.is_some(),
			"commission_ppb": prefs.map(|prefs| prefs.commission),
			"blocked": prefs.map(|prefs| prefs.blocked),
			"stake": behind.total.to_string(),
			"own": behind.own.to_string(),
		})).collect::<Vec<_>>(),
	}));
	Ok(())
}
