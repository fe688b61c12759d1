//! Request an inference, and follow it until the answer is settled and paid for.

use crate::{
	account::{author, balances},
	amount::Amount,
	args::{Global, Infer},
	chain::{call, At, Call, Chain, Refused, MORTAL_BLOCKS},
	input, job,
	models::{self, OnChain},
	report::Report,
	sending::agreed,
	types::{text, JobEvent, ModelStatus, Settled, Terms},
};
use anyhow::{bail, Context};
use serde_json::{json, Value as Json};
use subxt::{dynamic::Value, utils::AccountId32};

/// The deadline if the workers of the model do not ask for more, in blocks.
const DEFAULT_DEADLINE: u32 = 20;
/// Blocks on top of the least deadline of a worker, for the draw.
const DEADLINE_SLACK: u32 = 5;
/// What is paid at most unless told otherwise: so many times what the cheapest worker asks.
const DEARER: u128 = 2;

/// A request, as the chain takes it.
pub struct Request {
	/// The model's id.
	pub model: [u8; 32],
	/// The input tensors' bytes.
	pub input: Vec<u8>,
	/// The most to pay.
	pub max_fee: u128,
	/// What a wrong answer may cost.
	pub coverage: u128,
	/// The longest output taken, in bytes.
	pub max_output: u32,
	/// Blocks from now.
	pub deadline: u32,
	/// A longer window than the model's own.
	pub window: Option<u32>,
	/// The worker, if not drawn.
	pub worker: Option<AccountId32>,
}

fn option(value: Option<Value>) -> Value {
	match value {
		Some(value) => Value::unnamed_variant("Some", [value]),
		None => Value::unnamed_variant("None", []),
	}
}

impl Request {
	/// The call that makes it.
	pub fn call(&self) -> Call {
		let number = |n: u32| Value::u128(n.into());
		call(
			"Inference",
			"request",
			[
				("model", Value::from_bytes(self.model)),
				("input", Value::unnamed_variant("Inline", [Value::from_bytes(&self.input)])),
				("max_fee", Value::u128(self.max_fee)),
				("coverage", Value::u128(self.coverage)),
				("max_output", number(self.max_output)),
				("deadline", number(self.deadline)),
				("window", option(self.window.map(number))),
				("worker", option(self.worker.as_ref().map(|worker| Value::from_bytes(worker.0)))),
			],
		)
	}
}

/// What a worker charges: the dearer of the model's price and its own, and the premium for the coverage.
fn quote(price: u128, terms: &Terms, coverage: u128, blocks: u32) -> u128 {
	let premium_per_block = coverage.saturating_mul(terms.coverage_price.into()).div_ceil(1_000_000_000);
	price.max(terms.min_price).saturating_add(premium_per_block.saturating_mul(blocks.into()))
}

/// Makes the request that the command line describes. Everything that can be checked is checked before it is sent.
async fn prepare(command: &Infer, model: &OnChain, chain: &Chain, at: &At, report: &Report) -> anyhow::Result<Request> {
	let record = &model.record;
	if record.status != ModelStatus::Active {
		let status = record.status.word();
		bail!("{} is {status} and takes no new requests; `assay models list` shows the others", model.title());
	}
	let names: Vec<String> = record.input_names.iter().map(|name| text(name)).collect();
	let input = input::read(&command.file, &record.inputs(), &names)?;
	if let Some(note) = &input.note {
		report.line(format!("Input      {note}"));
	}
	let window = command.window.unwrap_or(record.policy.window());
	let servers = models::servers(chain, at, &model.id).await?;
	let worker = command.worker.as_ref().map(|who| who.id()).transpose()?;
	let able: Vec<&(AccountId32, Terms)> =
		servers.iter().filter(|(server, _)| worker.as_ref().is_none_or(|worker| worker == server)).collect();
	if able.is_empty() {
		match worker {
			Some(worker) => bail!("{worker} does not serve {}; `assay models show` lists who does", model.title()),
			None => bail!("nobody serves {} now, so nobody would answer", model.title()),
		}
	}
	// One slow or dear worker does not decide for all.
	let fastest = able.iter().map(|(_, terms)| terms.min_deadline).min().unwrap_or_default();
	let longest: u32 = chain.constant(at, "Inference", "MaxDeadline")?;
	let usual = DEFAULT_DEADLINE.max(fastest.saturating_add(DEADLINE_SLACK)).min(longest);
	let deadline = command.deadline.unwrap_or(usual);
	let between = |name: &str, unit: &str, value: u32, range: (u32, u32)| match value {
		value if value < range.0 || value > range.1 => {
			let text = format!("the {unit} is between {} and {} blocks, not {value}", range.0, range.1);
			Err(Refused { name: Some(format!("Inference.{name}")), text })
		}
		_ => Ok(()),
	};
	let constant = |name: &str| chain.constant::<u32>(at, "Inference", name);
	between("DeadlineOutOfRange", "deadline", deadline, (constant("MinDeadline")?, constant("MaxDeadline")?))?;
	let least: u128 = chain.constant(at, "Inference", "MinFee").unwrap_or_default();
	let quotes = able
		.iter()
		.filter(|(_, terms)| terms.min_deadline <= deadline)
		.map(|(_, terms)| quote(record.price.max(least), terms, command.coverage.0, deadline.saturating_add(window)));
	let (Some(cheapest), Some(dearest)) = (quotes.clone().min(), quotes.max()) else {
		bail!("nobody answers {} within {deadline} blocks; the fastest worker wants {fastest}", model.title());
	};
	let max_fee = command.max_fee.map_or(dearest.min(cheapest.saturating_mul(DEARER)), |fee| fee.0);
	if max_fee < cheapest {
		let text = format!("{} is not enough: the least that anyone asks is {}", Amount(max_fee), Amount(cheapest));
		bail!(Refused { name: Some("Inference.FeeTooLow".into()), text });
	}
	between("WindowOutOfRange", "window", window, (record.policy.window(), constant("MaxWindow")?))?;
	Ok(Request {
		model: model.id,
		input: input.bytes,
		max_fee,
		coverage: command.coverage.0,
		max_output: u32::try_from(input::byte_len(&record.outputs())?)?,
		deadline,
		window: command.window,
		worker,
	})
}

/// What became of a request.
struct Outcome {
	state: &'static str,
	object: Json,
}

/// `assay infer`. Whether the answer is settled.
pub async fn run(command: Infer, global: &Global, chain: &Chain, report: &Report) -> anyhow::Result<bool> {
	let who = author(global)?.id()?;
	let at = chain.best().await?;
	let model = models::find(chain, &at, &command.model).await?;
	let request = prepare(&command, &model, chain, &at, report).await?;
	let has = balances(chain, &who).await?.free;
	let charge: u128 = chain.view(&at, "Inference", "charge_for", (request.max_output,)).await.unwrap_or_default();
	let needed = request.max_fee.saturating_add(charge);
	if has < needed {
		let name = Some("Token.FundsUnavailable".into());
		let text = format!(
			"{who} has {} free, and the request needs {}; send it some OPG, or offer less with --max-fee",
			Amount(has),
			Amount(needed)
		);
		bail!(Refused { name, text });
	}
	let words = format!(
		"ask {} for at most {} (what is not used comes back), and pay {} for what the chain does about it later",
		model.title(),
		Amount(request.max_fee),
		Amount(charge)
	);
	let Some(signer) = agreed(&request.call(), &words, global, chain, report).await? else { return Ok(true) };

	// From here on something may be on the chain: an interrupt says how to find it.
	let mut submitted = None;
	let followed = tokio::select! {
		outcome = follow(chain, &signer, &model, &request, report, &mut submitted) => Some(outcome),
		_ = tokio::signal::ctrl_c() => None,
	};
	let again = submitted.map(|id: u64| format!("look again with `assay job {id}`"));
	let outcome = match (followed, again) {
		(Some(Ok(outcome)), _) => outcome,
		(Some(Err(error)), Some(again)) => {
			return Err(error.context(format!("the request goes on without this command; {again}")))
		}
		(Some(Err(error)), None) => return Err(error),
		(None, Some(again)) => bail!("interrupted; the request goes on without this command: {again}"),
		(None, None) => {
			bail!("interrupted before the request was in a block; `assay account` shows whether a fee is on hold")
		}
	};
	let settled = outcome.state == "settled";
	let mut object = outcome.object;
	object["state"] = outcome.state.into();
	report.finish(object);
	Ok(settled)
}

async fn follow(
	chain: &Chain,
	signer: &subxt_signer::sr25519::Keypair,
	model: &OnChain,
	request: &Request,
	report: &Report,
	submitted: &mut Option<u64>,
) -> anyhow::Result<Outcome> {
	let requester = AccountId32(signer.public_key().0);
	report.line(format!("Asking     {} for at most {}", model.title(), Amount(request.max_fee)));
	let from = chain.finalised().await?.block_number();
	let nonce = chain.next_nonce(&requester).await?;
	let transaction = chain.sign(signer, &request.call(), nonce).await?;
	chain.submit_encoded(&transaction).await?;
	let give_up = chain.best().await?.block_number() + MORTAL_BLOCKS;

	let mut blocks = chain.follow(from).await?;
	let mut job: Option<Progress<'_>> = None;
	loop {
		let at = blocks.next().await?;
		let block = at.block_number();
		if job.take_if(|progress| block <= progress.told).is_some() {
			report.line(format!("Replaced   by the chain, from block {block} on; what happened instead:"));
			blocks = chain.follow(from).await?;
			continue;
		}
		let progress = match &mut job {
			Some(progress) => progress,
			None => match requested(chain, &at, &transaction).await? {
				Some(id) => {
					*submitted = Some(id);
					report.line(format!("Submitted  as job {id} in block {block}"));
					job.insert(Progress::new(report, model, request, &requester, id, block))
				}
				None if block > give_up => {
					bail!("the request was in a block that the node then replaced, and its time is over; ask again")
				}
				None => continue,
			},
		};
		progress.block = block;
		let events = at.events().fetch().await?;
		let id = progress.id;
		for (_, _, event) in job::events_in(&events)?.iter().filter(|(_, job, _)| *job == id) {
			if let Some(state) = progress.take(chain, &at, event).await? {
				return Ok(Outcome { state, object: std::mem::take(&mut progress.object) });
			}
		}
		progress.tick();
	}
}

/// The job that came of a transaction, if it is in this block.
async fn requested(chain: &Chain, at: &At, transaction: &[u8]) -> anyhow::Result<Option<u64>> {
	let Some(included) = chain.find(at, transaction).await? else { return Ok(None) };
	let in_block = job::events_in(&included.events)?;
	let mut caused = in_block.iter().filter(|(phase, _, _)| included.caused(*phase));
	let job = caused.find(|(_, _, event)| matches!(event, JobEvent::Requested { .. }));
	let (_, id, _) = job.context("the transaction is in a block, and no job came of it")?;
	Ok(Some(*id))
}

/// What is known of a request so far.
struct Progress<'a> {
	report: &'a Report,
	model: &'a OnChain,
	id: u64,
	/// The last block of which something was told.
	told: u64,
	block: u64,
	settles_at: Option<u64>,
	object: Json,
}

impl<'a> Progress<'a> {
	fn new(
		report: &'a Report,
		model: &'a OnChain,
		request: &Request,
		requester: &AccountId32,
		id: u64,
		block: u64,
	) -> Self {
		let object = json!({
			"job": id,
			"model": model.id_hex(),
			"requester": requester.to_string(),
			"max_fee": request.max_fee.to_string(),
			"coverage": request.coverage.to_string(),
			"submitted_in": block,
			"attempts": [],
		});
		Self { report, model, id, told: block, block, settles_at: None, object }
	}

	/// Takes note of an event. Says how the job ended, if it did.
	async fn take(&mut self, chain: &Chain, at: &At, event: &JobEvent) -> anyhow::Result<Option<&'static str>> {
		let (id, block, report) = (self.id, self.block, self.report);
		self.told = block;
		match event {
			JobEvent::Requested { .. } | JobEvent::Other(_) => (),
			JobEvent::Assigned(assigned) => {
				report.line(format!(
					"Assigned   to {} in block {block}, for {}; it must answer by block {} and stakes {} on it",
					assigned.worker,
					Amount(assigned.fee),
					assigned.answer_by,
					Amount(assigned.bond)
				));
				self.attempt(json!({
					"worker": assigned.worker.to_string(),
					"assigned_in": block,
					"fee": assigned.fee.to_string(),
					"bond": assigned.bond.to_string(),
					"answer_by": assigned.answer_by,
				}));
			}
			JobEvent::Declined { worker, reason } => {
				let why = match reason.as_str() {
					"DataUnavailable" => "it cannot get the model or the input",
					"CannotRun" => "its engine cannot run this",
					other => other,
				};
				report.line(format!(
					"Declined   by {worker} in block {block}: {why}; the chain looks for another worker"
				));
				self.note("declined", reason.as_str().into());
			}
			JobEvent::Missed { worker, penalty } => {
				report.line(format!("Missed     by {worker}, which loses {}", Amount(*penalty)));
				self.note("missed_penalty", penalty.to_string().into());
			}
			JobEvent::Committed(committed) => {
				let result =
					job::result(chain, at, id).await?.context("an answer was committed, and it is not there")?;
				let answer = job::answer(result.output.bytes(), &self.model.record.outputs());
				let root = format!("0x{}", hex::encode(committed.output_root));
				report.line(format!("Answered   in block {block}: {}", answer.text));
				report.line(format!("           output root {root}"));
				self.settles_at = Some(committed.settles_at.into());
				self.object["worker"] = committed.worker.to_string().into();
				self.object["committed_in"] = block.into();
				self.object["settles_at"] = committed.settles_at.into();
				self.object["claim"] = format!("0x{}", hex::encode(committed.claim)).into();
				self.object["output_root"] = root.into();
				self.object["output"] = answer.json;
				self.object["independent"] = result.independent.into();
			}
			JobEvent::Overturned { worker } => {
				report.line(format!(
					"Overturned in block {block}: the answer of {worker} does not count; see `assay dispute {id}`"
				));
				self.settles_at = None;
				self.note("overturned_in", block.into());
			}
			JobEvent::Settled(settled) => {
				self.settled(settled);
				return Ok(Some("settled"));
			}
			JobEvent::Expired { refund } => {
				report
					.line(format!("Expired    in block {block}: nobody answered; {} is yours again", Amount(*refund)));
				self.object["refund"] = refund.to_string().into();
				return Ok(Some("expired"));
			}
			JobEvent::Cancelled { refund } => {
				report.line(format!("Cancelled  in block {block}; {} is yours again", Amount(*refund)));
				self.object["refund"] = refund.to_string().into();
				return Ok(Some("cancelled"));
			}
		}
		Ok(None)
	}

	fn settled(&mut self, settled: &Settled) {
		let Settled { fee, shares, worker } = settled;
		let model = &self.model.record;
		self.report.line(format!("Settled    in block {}, fee {}:", self.block, Amount(*fee)));
		self.report.line(format!("           {} to the worker {worker}", Amount(shares.worker)));
		self.report.line(format!("           {} to the model's owner {}", Amount(shares.royalty), model.owner));
		self.report.line(format!("           {} to the treasury", Amount(shares.treasury)));
		self.report.line(format!("           {} burned", Amount(shares.burned)));
		self.object["settled_in"] = self.block.into();
		self.object["fee"] = fee.to_string().into();
		self.object["shares"] = json!({
			"burned": shares.burned.to_string(),
			"treasury": shares.treasury.to_string(),
			"royalty": shares.royalty.to_string(),
			"worker": shares.worker.to_string(),
		});
	}

	/// A block went by without news.
	fn tick(&self) {
		let Some(settles_at) = self.settles_at else { return };
		let left = settles_at.saturating_sub(self.block);
		// A line per block where lines stay would be noise.
		if self.report.updates() || left % 5 == 0 {
			let blocks = if left == 1 { "block" } else { "blocks" };
			self.report.update(format!("Window     open for {left} more {blocks}: anyone can challenge the answer"));
		}
	}

	fn attempt(&mut self, attempt: Json) {
		if let Some(attempts) = self.object["attempts"].as_array_mut() {
			attempts.push(attempt);
		}
	}

	fn note(&mut self, key: &str, value: Json) {
		if let Some(last) = self.object["attempts"].as_array_mut().and_then(|attempts| attempts.last_mut()) {
			last[key] = value;
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn quote_should_round_like_the_chain() {
		let terms = Terms { capacity: 1, min_price: 5, coverage_price: 3, min_deadline: 1 };
		assert_eq!(quote(10, &terms, 0, 100), 10);
		assert_eq!(quote(2, &terms, 0, 100), 5);
		// Three billionths of one, rounded up, per block.
		assert_eq!(quote(10, &terms, 1, 100), 110);
		assert_eq!(quote(10, &terms, 1_000_000_000, 100), 310);
	}
}
