//! Be a worker, or look at one.

use crate::{
	account::{author, subject, Who},
	amount::{Amount, Share},
	args::{AmountOrAll, Global, WorkerCommand},
	chain::{call, Chain},
	models,
	report::Report,
	sending::{agreed, send},
	table::{Column, Table},
	types::{Backing, Slash, Terms, WorkerStatus},
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

/// Who stands behind a worker; `None` on a chain that began without delegations and has none yet.
async fn backing(chain: &Chain, who: &AccountId32) -> anyhow::Result<Option<Backing>> {
	let at = chain.best().await?;
	Ok(chain.view::<_, Option<Backing>>(&at, "Workers", "worker_status", (who.0,)).await.unwrap_or_default())
}

/// `assay worker`.
pub async fn run(command: WorkerCommand, global: &Global, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let number = |n: u32| Value::u128(n.into());
	let amount = |amount: Amount| [("amount", Value::u128(amount.0))];
	let (call, words, done) = match command {
		WorkerCommand::Status { who } => return show(&subject(&who, global)?, chain, report).await,
		WorkerCommand::Key { key, insert } => return set_key(&key, insert, global, chain, report).await,
		WorkerCommand::Bond { amount: stake } => (
			call("Workers", "bond", amount(stake)),
			format!("bond {stake} as a worker, where it can be slashed for wrong answers"),
			format!("Bonded {stake}. Next: set a service key, and serve a model."),
		),
		WorkerCommand::BondExtra { amount: stake } => (
			call("Workers", "bond_extra", amount(stake)),
			format!("bond {stake} more as a worker, where it can be slashed for wrong answers"),
			format!("Bonded {stake} more."),
		),
		WorkerCommand::Serve { model, capacity, min_price, coverage_price, min_deadline } => {
			let at = chain.best().await?;
			let model = models::find(chain, &at, &model).await?;
			let status = status(chain, &author(global)?.id()?).await?;
			let services = status.into_iter().flat_map(|status| status.services);
			let before = services.into_iter().find(|(id, ..)| *id == model.id).map(|(_, terms, _)| terms);
			let before = before.unwrap_or(Terms { capacity: 1, min_price: 0, coverage_price: 0, min_deadline: 5 });
			let capacity = capacity.unwrap_or(before.capacity);
			let min_price = min_price.unwrap_or(Amount(before.min_price));
			let coverage_price = coverage_price.unwrap_or(Share(before.coverage_price));
			let min_deadline = min_deadline.unwrap_or(before.min_deadline);
			let terms = Value::named_composite([
				("capacity", number(capacity)),
				("min_price", Value::u128(min_price.0)),
				("coverage_price", number(coverage_price.0)),
				("min_deadline", number(min_deadline)),
			]);
			let arguments = [("model", Value::from_bytes(model.id)), ("terms", terms)];
			(
				call("Workers", "serve_model", arguments),
				format!(
					"serve {} from {min_price} an answer and {coverage_price} of the coverage a block, {capacity} at once, with {min_deadline} \
					blocks or more for each",
					model.title()
				),
				format!("Serving {}. Your node's engine must have the model {}.", model.title(), model.id_hex()),
			)
		}
		WorkerCommand::Stop { model } => {
			let at = chain.best().await?;
			let model = models::find(chain, &at, &model).await?;
			(
				call("Workers", "stop_serving", [("model", Value::from_bytes(model.id))]),
				format!("serve {} no longer", model.title()),
				format!("No longer serving {}.", model.title()),
			)
		}
		WorkerCommand::Pause => (
			call("Workers", "pause", []),
			"take no new jobs for now".into(),
			"Paused: you get no new jobs. `assay worker resume` undoes it.".into(),
		),
		WorkerCommand::Resume => (call("Workers", "resume", []), "take jobs again".into(), "Resumed.".into()),
		WorkerCommand::Limit { jobs } => (
			call("Workers", "limit_claims", [("max_claims", number(jobs))]),
			format!("have at most {jobs} jobs open at once"),
			format!("At most {jobs} jobs of yours are open at once. Your engine must build so many traces in the time to publish."),
		),
		WorkerCommand::Commission { share } => (
			call("Workers", "set_commission", [("rate", number(share.0))]),
			format!("take delegations, and keep {share} of what they earn"),
			format!("You take delegations and keep {share}; if that is more than before, from a later block on."),
		),
		WorkerCommand::Unbond { amount: stake } => {
			let stake = match stake {
				AmountOrAll::Some(amount) => amount,
				AmountOrAll::All => {
					let who = author(global)?.id()?;
					let status = status(chain, &who).await?.with_context(|| format!("{who} is not a worker"))?;
					Amount(backing(chain, &who).await?.map_or(status.bonded, |backing| backing.own))
				}
			};
			(
				call("Workers", "unbond", amount(stake)),
				format!("start to take out {stake} of stake"),
				format!("{stake} is on its way out; `assay worker status` says until when."),
			)
		}
		WorkerCommand::Withdraw { who: None } => (
			call("Workers", "withdraw", []),
			"take out the stake that is due".into(),
			"What was due is free again.".into(),
		),
		WorkerCommand::Withdraw { who: Some(who) } => {
			let who = who.id()?;
			(
				call("Workers", "withdraw_for", [("worker", Value::from_bytes(who.0))]),
				format!("give {who} the stake that is due"),
				format!("What was due is {who}'s again."),
			)
		}
	};
	send(&call, &words, &done, global, chain, report).await
}

/// Whether a URL names this machine.
fn is_of_this_machine(url: &str) -> bool {
	let uri = url.parse::<hyper::Uri>();
	uri.is_ok_and(|uri| matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]")))
}

async fn set_key(key: &Who, insert: bool, global: &Global, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let public = key.id()?;
	let shown = format!("0x{}", hex::encode(public.0));
	let call = call("Workers", "set_service_key", [("key", Value::from_bytes(public.0))]);
	if insert && !is_of_this_machine(&chain.url) {
		bail!(
			"with --insert the secret would travel to {}; run this on that machine, with --url ws://127.0.0.1:9944, or make the key there: \
			`assay-node keys service`",
			chain.url
		);
	}
	let given = if insert { format!(", and give its secret to the node at {}", chain.url) } else { String::new() };
	let words = format!("let answers be signed by the service key {shown}{given}");
	let Some(signer) = agreed(&call, &words, global, chain, report).await? else { return Ok(()) };
	if insert {
		let secret = key.secret()?.to_string();
		let inserted = chain.rpc().author_insert_key(SERVICE_KEY_TYPE.into(), secret, public.0.to_vec()).await;
		if let Err(error) = inserted {
			bail!(
				"the node at {} does not let anyone insert keys from here ({error}). On its own machine, run: assay-node key insert \
				--key-type {SERVICE_KEY_TYPE} --scheme sr25519 --suri <secret>",
				chain.url
			);
		}
	}
	let included = chain.submit(&signer, &call).await?;
	report.line(format!("Answers are now signed by the service key {shown}."));
	report.finish(json!({
		"account": AccountId32(signer.public_key().0).to_string(),
		"call": "Workers.set_service_key",
		"block": included.block,
	}));
	Ok(())
}

async fn show(who: &AccountId32, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let Some(status) = status(chain, who).await? else {
		bail!("{who} is not a worker; `assay worker bond` makes it one");
	};
	let at = chain.best().await?;
	// An older chain may not have these.
	let live_until: Option<Option<u32>> = chain.view(&at, "Rewards", "live_until", (who.0,)).await.ok();
	let due: Option<u32> = chain.view(&at, "Inference", "next_deadline", (who.0,)).await.unwrap_or_default();
	let slashes: Vec<Slash> = chain.view(&at, "Workers", "why_slashed", (who.0,)).await.unwrap_or_default();
	let backing = backing(chain, who).await?;
	let blocks_to = |block: u32| u64::from(block).saturating_sub(at.block_number());
	report.line(format!("Worker {who}{}", if status.paused { "  (paused)" } else { "" }));
	let suspended = backing.as_ref().and_then(|backing| backing.suspended_until);
	if let Some(until) = suspended.filter(|until| blocks_to(*until) > 0) {
		report.line(format!(
			"  suspended for a wrong answer: it can resume or serve in {} blocks, from block {until} on",
			blocks_to(until)
		));
	}
	report.line(format!("  bonded   {}, of which {} is free for new jobs", Amount(status.bonded), Amount(status.free)));
	if let Some(Backing { own, delegated, delegators, commission, next_commission, .. }) = &backing {
		let keeps = match (commission, next_commission) {
			(None, _) => "it takes no delegations".into(),
			(Some(now), None) => format!("it keeps {} of what they earn", Share(*now)),
			(Some(now), Some((next, from))) => {
				format!("it keeps {} of what they earn, and {} from block {from} on", Share(*now), Share(*next))
			}
		};
		let (own, delegated) = (Amount(*own), Amount(*delegated));
		report.line(format!("  whose    {own} its own, {delegated} of {delegators} delegators; {keeps}"));
	}
	let most = match status.max_claims {
		u32::MAX => String::new(),
		most => format!(" of at most {most}"),
	};
	report.line(format!("  covers   {} for {} open jobs{most}", Amount(status.covered), status.open_claims));
	match status.service_key {
		Some(key) => report.line(format!("  key      0x{}", hex::encode(key))),
		None => report.line("  key      none: set one with `assay worker key`, or you get no jobs"),
	}
	match live_until {
		Some(Some(until)) if blocks_to(until) > 0 => report.line(format!(
			"  earns    emission for {} more blocks, and on by every heartbeat of its node",
			blocks_to(until)
		)),
		Some(Some(_)) => report.line("  earns    no emission before its node's next heartbeat"),
		Some(None) => report.line("  earns    no emission: it has no stake at work"),
		None => (),
	}
	if let Some(due) = due {
		report.line(format!("  owes     an answer in {} blocks, by block {due}", blocks_to(due)));
	}
	for Slash { block, amount, reason } in &slashes {
		report.line(format!("  lost     {} in block {block}: {}", Amount(*amount), reason.words()));
	}
	for unbonding in &status.unbonding {
		let left = blocks_to(unbonding.withdrawable_at);
		let when = if left == 0 { "can be withdrawn".into() } else { format!("can be withdrawn in {left} blocks") };
		report.line(format!("  leaving  {} {when}", Amount(unbonding.amount)));
	}
	let columns = [
		Column::left("serves"),
		Column::right("from"),
		Column::right("coverage per block"),
		Column::right("at once"),
		Column::right("least deadline"),
	];
	let (mut services, mut table) = (Vec::new(), Table::new(columns));
	for (model, terms, in_flight) in &status.services {
		let id = format!("0x{}", hex::encode(model));
		let title = models::find(chain, &at, &id).await.map_or_else(|_| id.clone(), |model| model.title());
		table.row([
			title,
			Amount(terms.min_price).to_string(),
			Share(terms.coverage_price).to_string(),
			format!("{in_flight} of {}", terms.capacity),
			format!("{} blocks", terms.min_deadline),
		]);
		services.push(json!({
			"model": id,
			"capacity": terms.capacity,
			"in_flight": in_flight,
			"min_price": terms.min_price.to_string(),
			"coverage_price_ppb": terms.coverage_price,
			"min_deadline": terms.min_deadline,
		}));
	}
	report.table(&table);
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
		"own": backing.as_ref().map(|backing| backing.own.to_string()),
		"delegated": backing.as_ref().map(|backing| backing.delegated.to_string()),
		"delegators": backing.as_ref().map(|backing| backing.delegators),
		"commission_ppb": backing.as_ref().and_then(|backing| backing.commission),
		"next_commission": backing.as_ref().and_then(|backing| backing.next_commission)
			.map(|(share, from)| json!({ "commission_ppb": share, "from": from })),
		"suspended_until": suspended,
		"live_until": live_until.flatten(),
		"next_deadline": due,
		"slashes": slashes.iter().map(|slash| json!({
			"block": slash.block, "amount": slash.amount.to_string(), "reason": format!("{:?}", slash.reason),
		})).collect::<Vec<_>>(),
	}));
	Ok(())
}
