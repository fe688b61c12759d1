//! Be a worker, or look at one.

use crate::{
	account::{signer, subject, Who},
	amount::{Amount, Share},
	args::{AmountOrAll, Global, WorkerCommand},
	chain::{call, Call, Chain},
	models,
	report::Report,
	types::WorkerStatus,
};
use anyhow::{bail, Context};
use serde_json::json;
use subxt::{dynamic::Value, utils::AccountId32};

/// The key type of service keys in a node's keystore.
const SERVICE_KEY_TYPE: &str = "asvc";

/// What the chain says about a worker; `None` if it is none.
pub async fn status(chain: &Chain, who: &AccountId32) -> anyhow::Result<Option<WorkerStatus>> {
	let at = chain.best().await?;
	chain.view(&at, "Workers", "worker_status", (who.0,)).await
}

/// `assay worker`.
pub async fn run(command: WorkerCommand, global: &Global, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let number = |n: u32| Value::u128(n.into());
	let amount = |amount: Amount| [("amount", Value::u128(amount.0))];
	let (call, done) = match command {
		WorkerCommand::Status { who } => return show(&subject(&who, global)?, chain, report).await,
		WorkerCommand::Bond { amount: stake } => (
			call("Workers", "bond", amount(stake)),
			format!("Bonded {stake}. Next: set a service key, and serve a model."),
		),
		WorkerCommand::BondExtra { amount: stake } => {
			(call("Workers", "bond_extra", amount(stake)), format!("Bonded {stake} more."))
		}
		WorkerCommand::Key { key, insert } => set_key(&key, insert, chain).await?,
		WorkerCommand::Serve { model, capacity, min_price, coverage_price, min_deadline } => {
			let at = chain.best().await?;
			let model = models::find(chain, &at, &model).await?;
			let terms = Value::named_composite([
				("capacity", number(capacity)),
				("min_price", Value::u128(min_price.0)),
				("coverage_price", number(coverage_price.0)),
				("min_deadline", number(min_deadline)),
			]);
			let arguments = [("model", Value::from_bytes(model.id)), ("terms", terms)];
			let text = format!("Serving {}. Your node's engine must have the model {}.", model.title(), model.id_hex());
			(call("Workers", "serve_model", arguments), text)
		}
		WorkerCommand::Stop { model } => {
			let at = chain.best().await?;
			let model = models::find(chain, &at, &model).await?;
			let arguments = [("model", Value::from_bytes(model.id))];
			(call("Workers", "stop_serving", arguments), format!("No longer serving {}.", model.title()))
		}
		WorkerCommand::Pause => {
			(call("Workers", "pause", []), "Paused: you get no new jobs. `assay worker resume` undoes it.".into())
		}
		WorkerCommand::Resume => (call("Workers", "resume", []), "Resumed.".into()),
		WorkerCommand::Limit { jobs } => (
			call("Workers", "limit_claims", [("max_claims", number(jobs))]),
			format!("At most {jobs} jobs of yours are open at once. Your engine must build so many traces in the time to publish."),
		),
		WorkerCommand::Unbond { amount: stake } => {
			let stake = match stake {
				AmountOrAll::Some(amount) => amount,
				AmountOrAll::All => {
					let who = AccountId32(signer(global)?.public_key().0);
					let status = status(chain, &who).await?;
					Amount(status.with_context(|| format!("{who} is not a worker"))?.bonded)
				}
			};
			(
				call("Workers", "unbond", amount(stake)),
				format!("{stake} is on its way out; `assay worker status` says until when."),
			)
		}
		WorkerCommand::Withdraw => (call("Workers", "withdraw", []), "What was due is free again.".into()),
	};
	send(&call, done, global, chain, report).await
}

async fn set_key(key: &Who, insert: bool, chain: &Chain) -> anyhow::Result<(Call, String)> {
	let public = key.id()?;
	if insert {
		let secret = key.secret()?;
		let inserted = chain.rpc().author_insert_key(SERVICE_KEY_TYPE.into(), secret, public.0.to_vec()).await;
		if let Err(error) = inserted {
			bail!(
				"the node at {} does not let anyone insert keys from here ({error}). On its own machine, run: assay-node key insert \
				--key-type {SERVICE_KEY_TYPE} --scheme sr25519 --suri <secret>",
				chain.url
			);
		}
	}
	let text = format!("Answers are now signed by the service key 0x{}.", hex::encode(public.0));
	Ok((call("Workers", "set_service_key", [("key", Value::from_bytes(public.0))]), text))
}

async fn send(call: &Call, done: String, global: &Global, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let signer = signer(global)?;
	let included = chain.submit(&signer, call).await?;
	report.line(done);
	report.finish(json!({
		"account": AccountId32(signer.public_key().0).to_string(),
		"call": format!("{}.{}", call.pallet_name(), call.call_name()),
		"block": included.block,
	}));
	Ok(())
}

async fn show(who: &AccountId32, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let Some(status) = status(chain, who).await? else {
		bail!("{who} is not a worker; `assay worker bond` makes it one");
	};
	let at = chain.best().await?;
	report.line(format!("Worker {who}{}", if status.paused { "  (paused)" } else { "" }));
	report.line(format!("  bonded   {}, of which {} is free for new jobs", Amount(status.bonded), Amount(status.free)));
	let most = match status.max_claims {
		u32::MAX => String::new(),
		most => format!(" of at most {most}"),
	};
	report.line(format!("  covers   {} for {} open jobs{most}", Amount(status.covered), status.open_claims));
	match status.service_key {
		Some(key) => report.line(format!("  key      0x{}", hex::encode(key))),
		None => report.line("  key      none: set one with `assay worker key`, or you get no jobs"),
	}
	for unbonding in &status.unbonding {
		let left = u64::from(unbonding.withdrawable_at).saturating_sub(at.block_number());
		let when = if left == 0 { "can be withdrawn".into() } else { format!("can be withdrawn in {left} blocks") };
		report.line(format!("  leaving  {} {when}", Amount(unbonding.amount)));
	}
	let mut services = Vec::new();
	for (model, terms, in_flight) in &status.services {
		let id = format!("0x{}", hex::encode(model));
		let title = models::find(chain, &at, &id).await.map_or_else(|_| id.clone(), |model| model.title());
		report.line(format!(
			"  serves   {title}: from {}, {} of the coverage per block, {in_flight} of {} at once, at least {} blocks",
			Amount(terms.min_price),
			Share(terms.coverage_price),
			terms.capacity,
			terms.min_deadline
		));
		services.push(json!({
			"model": id,
			"capacity": terms.capacity,
			"in_flight": in_flight,
			"min_price": terms.min_price.to_string(),
			"coverage_price_ppb": terms.coverage_price,
			"min_deadline": terms.min_deadline,
		}));
	}
	report.finish(json!({
		"worker": who.to_string(),
		"bonded": status.bonded.to_string(),
		"free": status.free.to_string(),
		"covered": status.covered.to_string(),
		"open_claims": status.open_claims,
		"paused": status.paused,
		"service_key": status.service_key.map(|key| format!("0x{}", hex::encode(key))),
		"unbonding": status.unbonding.iter().map(|unbonding| json!({
			"amount": unbonding.amount.to_string(), "withdrawable_at": unbonding.withdrawable_at,
		})).collect::<Vec<_>>(),
		"services": services,
	}));
	Ok(())
}
