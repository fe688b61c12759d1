//! A watchtower: recomputes answers while they can be challenged, and challenges the wrong ones.
//!
//! | module | what it does |
//! |---|---|
//! | [`plan`] | what to do next about a claim, from what is known of it |
//! | `step` | looks, plans, and does one thing |
//! | [`engine`] | outputs and advice from an inference engine |
//! | `metrics` | what was found, for Prometheus |
//! | `keep` | salts, over restarts |
//! | `purse` | the budget |
//! | `tally` | what happened to our disputes, for people and for scripts |
//! | this | takes claims in, gives each a step per block, lives through a node that goes away |

pub mod engine;
mod keep;
mod metrics;
pub mod plan;
mod purse;
mod step;
mod tally;

use crate::{
	account::author,
	args::{Global, Watch},
	chain::{At, Chain},
	disputes::{events, read},
	job::{self, OpenJob, Stage},
	models,
	report::Report,
	types::{Bytes32, JobEvent},
};
use anyhow::bail;
use keep::Keep;
use metrics::{Board, Figures};
use plan::{End, Finding, Wait};
use purse::Purse;
use std::{
	collections::{HashMap, HashSet},
	sync::{
		atomic::{AtomicBool, AtomicU64},
		Arc, Mutex,
	},
	time::Duration,
};
use step::{lock, Context, Done, Subject};
use subxt::utils::AccountId32;
use subxt_signer::sr25519::Keypair;
use tally::Tally;
use tokio::{sync::Semaphore, task::JoinSet};

/// How long to wait before a lost node is tried again.
const RECONNECT: Duration = Duration::from_secs(3);
/// The longest pause after something went wrong, in blocks.
const MAX_PAUSE: u64 = 16;
/// How long ended claims are remembered, in blocks. Longer than any window.
const REMEMBER: u64 = 200_000;

/// A claim that is being watched.
struct Case {
	subject: Subject,
	/// A step is under way.
	busy: bool,
	/// The block of the last step.
	stepped: u64,
	/// Not before this block.
	not_before: u64,
	failures: u32,
	/// What was said of it last, so that nothing is said twice.
	said: String,
}

/// Why a session ended.
enum Stop {
	Blocks,
	Signal,
}

struct Watchtower<'a> {
	command: &'a Watch,
	report: &'a Report,
	signer: Keypair,
	me: AccountId32,
	keep: Arc<Mutex<Keep>>,
	purse: Arc<Mutex<Purse>>,
	cases: HashMap<Bytes32, Case>,
	/// Claims that are done with, and when they were.
	ended: HashMap<Bytes32, u64>,
	models: HashSet<Bytes32>,
	tally: Tally,
	/// What is wrong with the engine.
	engine: Option<String>,
	/// The last block seen.
	now: u64,
	/// Whether wrong answers are only reported.
	dry: bool,
	board: Board,
}

/// `assay watch`.
pub async fn run(command: &Watch, global: &Global, chain: Chain, report: &Report) -> anyhow::Result<()> {
	let signer = author(global)?.signer()?;
	let me = AccountId32(signer.public_key().0);
	let at = chain.best().await?;
	let mut wanted = HashSet::new();
	for model in &command.model {
		wanted.insert(models::find(&chain, &at, model).await?.id);
	}
	let genesis = chain.genesis();
	let folder = command.state.clone().map_or_else(keep::default_folder, Ok)?;
	let keep = Keep::open(&folder, &genesis.0, &me.to_string())?;
	let which = match command.model.len() {
		0 => "every model".to_owned(),
		_ => command.model.join(", "),
	};
	report
		.line(format!("Watching   {which}, {} of the answers, with the engine at {}", command.sample, command.engine));
	if global.dry_run {
		report.line("           This is a dry run: wrong answers are reported, and not challenged.");
	} else if !read::supported(&at) {
		report.line("           This chain has no disputes: wrong answers are reported, and not challenged.");
	}
	let mut tower = Watchtower {
		command,
		report,
		signer,
		tally: Tally::new(me),
		me,
		keep: Arc::new(Mutex::new(keep)),
		purse: Arc::new(Mutex::new(Purse::new(command.budget.map(|budget| budget.0)))),
		cases: HashMap::new(),
		ended: HashMap::new(),
		models: wanted,
		engine: None,
		now: 0,
		dry: global.dry_run,
		board: Board::default(),
	};
	let metrics = match command.metrics {
		Some(address) => {
			let (address, served) = metrics::serve(address, tower.board.clone()).await?;
			report.line(format!("           Figures for Prometheus are at http://{address}/metrics"));
			Some(served)
		}
		None => None,
	};
	let mut signals = std::pin::pin!(stopped());
	let (mut next, mut said) = (Some(chain), String::new());
	loop {
		let result = tokio::select! {
			() = &mut signals => Ok(Stop::Signal),
			result = session(&mut tower, next.take(), &global.url, &genesis.0) => result,
		};
		match result {
			Ok(stop) => {
				if let Stop::Signal = stop {
					report.line("Stopped. Disputes that are open go on: start again before their clocks run out.");
				}
				break;
			}
			// Nothing was seen yet: it is not the node that went away.
			Err(error) if tower.now == 0 => return Err(error),
			Err(error) => {
				lock(&tower.board).node = false;
				let text = format!("{error:#}");
				if said != text {
					report.line(format!("Trouble    {text}; trying again"));
					said = text;
				}
			}
		}
		tokio::select! {
			() = &mut signals => break,
			() = tokio::time::sleep(RECONNECT) => (),
		}
	}
	if let Some(metrics) = metrics {
		metrics.abort();
	}
	let spent = lock(&tower.purse).spent();
	report.finish(tower.tally.object(spent));
	Ok(())
}

/// Ctrl-C, or being told to end.
async fn stopped() {
	#[cfg(unix)]
	{
		use tokio::signal::unix::{signal, SignalKind};
		if let Ok(mut terminate) = signal(SignalKind::terminate()) {
			tokio::select! {
				_ = tokio::signal::ctrl_c() => (),
				_ = terminate.recv() => (),
			}
			return;
		}
	}
	let _ = tokio::signal::ctrl_c().await;
}

/// Watches until told to stop, or until the node goes away. Steps that are under way then are dropped: everything is looked up
/// anew.
async fn session(
	tower: &mut Watchtower<'_>,
	chain: Option<Chain>,
	url: &str,
	genesis: &Bytes32,
) -> anyhow::Result<Stop> {
	let again = chain.is_none();
	let chain = match chain {
		Some(chain) => chain,
		None => Chain::connect(url).await?,
	};
	if chain.genesis().0 != *genesis {
		bail!("the node at {url} is on another chain now");
	}
	let at = chain.best().await?;
	let context = Arc::new(Context {
		prices: (read::supported(&at) && !tower.dry)
			.then(|| read::prices(&chain, &at, tower.command.dearer))
			.transpose()?,
		chain,
		signer: tower.signer.clone(),
		me: tower.me,
		engine: tower.command.engine.clone(),
		keep: tower.keep.clone(),
		purse: tower.purse.clone(),
		sending: tokio::sync::Mutex::new(()),
		checks: Semaphore::new(step::CHECKS),
		started: AtomicU64::new(at.block_number()),
		pool_is_ours: AtomicBool::new(false),
	});
	if again {
		tower.report.line("Back       the node answers again");
	}
	tower.cases.values_mut().for_each(|case| case.busy = false);
	tower.scan(&context.chain, &at).await?;
	let mut blocks = context.chain.follow(at.block_number()).await?;
	let mut steps = JoinSet::new();
	tower.now = at.block_number();
	let mut at = at;
	tower.start_due(&context, &at, &mut steps);
	tower.post();
	loop {
		tokio::select! {
			block = blocks.next() => {
				at = block?;
				if at.block_number() > tower.now {
					tower.block(&context.chain, &at).await?;
				} else {
					tower.again(&context.chain, &at).await?;
				}
				tower.start_due(&context, &at, &mut steps);
				if tower.command.blocks.is_some_and(|blocks| tower.tally.blocks >= blocks) {
					return Ok(Stop::Blocks);
				}
			}
			Some(done) = steps.join_next() => {
				let (claim, done) = done?;
				tower.take(&claim, done)?;
				tower.start_due(&context, &at, &mut steps);
			}
		}
		tower.post();
	}
}

impl Watchtower<'_> {
	/// Tells the figures as they are now.
	fn post(&self) {
		let (at_stake, spent) = {
			let purse = lock(&self.purse);
			(purse.taken(), purse.spent())
		};
		*lock(&self.board) = Figures {
			last_block: self.now,
			node: true,
			engine: self.engine.is_none(),
			watched: self.cases.len(),
			at_stake,
			spent,
			..self.tally.figures()
		};
	}

	fn line(&self, label: &str, job: u64, text: impl AsRef<str>) {
		self.report.line(format!("{label:<10} job {job}: {}", text.as_ref()));
	}

	/// Whether a claim is to be checked.
	fn wants(&self, claim: &Bytes32, worker: &AccountId32, model: Option<&Bytes32>) -> bool {
		let keep = lock(&self.keep);
		*worker != self.me
			&& !self.ended.contains_key(claim)
			&& !keep.get(claim).is_some_and(|kept| kept.over)
			&& (self.models.is_empty() || model.is_none_or(|model| self.models.contains(model)))
			&& plan::sampled(keep.sampling_key(), claim, self.command.sample)
	}

	fn add(&mut self, job: u64, claim: Bytes32) {
		let subject = Subject { job, claim, finding: None };
		let fresh = Case { subject, busy: false, stepped: 0, not_before: 0, failures: 0, said: String::new() };
		self.cases.entry(claim).or_insert(fresh);
	}

	/// Takes in the answers that are open.
	async fn scan_answers(&mut self, chain: &Chain, at: &At) -> anyhow::Result<()> {
		for (job, open) in chain.storage_map::<u64, OpenJob>(at, "Inference", "Jobs").await? {
			let Stage::Committed { assignment, claim, .. } = open.stage else { continue };
			if self.wants(&claim, &assignment.worker, Some(&open.model)) {
				self.add(job, claim);
			}
		}
		Ok(())
	}

	/// Takes in what is open already: answers, and what was begun before a restart.
	async fn scan(&mut self, chain: &Chain, at: &At) -> anyhow::Result<()> {
		self.scan_answers(chain, at).await?;
		if self.dry {
			// What was begun is carried on by a watchtower that acts.
			return Ok(());
		}
		let all = lock(&self.keep).all();
		for (claim, kept) in all {
			if !kept.over {
				self.add(kept.job, claim);
			} else if kept.settles_at <= at.block_number() {
				lock(&self.keep).finish(&claim, at.block_number())?;
			}
		}
		Ok(())
	}

	/// Takes in a block that came in the place of one that is undone. What the events say was told and counted there; claims that are
	/// open here may not have been.
	async fn again(&mut self, chain: &Chain, at: &At) -> anyhow::Result<()> {
		let before = at.block_number().saturating_sub(1);
		self.cases.values_mut().for_each(|case| case.stepped = case.stepped.min(before));
		self.scan_answers(chain, at).await
	}

	/// Takes in what a block says.
	async fn block(&mut self, chain: &Chain, at: &At) -> anyhow::Result<()> {
		self.now = at.block_number();
		self.tally.blocks += 1;
		let all = at.events().fetch().await?;
		for (_, job, event) in job::events_in(&all)? {
			let JobEvent::Committed(committed) = event else { continue };
			// Only for the filter is the model needed here.
			let model = match self.models.is_empty() {
				true => None,
				false => job::open(chain, at, job).await?.map(|open| open.model),
			};
			if self.wants(&committed.claim, &committed.worker, model.as_ref()) {
				self.add(job, committed.claim);
			}
		}
		for event in events::events_in(&all)? {
			let known = event.subject().is_some_and(|(_, claim)| self.cases.contains_key(&claim));
			let news = self.tally.event(&event, known);
			lock(&self.purse).spend(news.lost);
			if let Some((label, job, text)) = news.line {
				self.line(label, job, text);
			}
		}
		let fees = tally::fees(&all, &self.me)?;
		lock(&self.purse).spend(fees);
		let now = self.now;
		self.ended.retain(|_, ended| *ended + REMEMBER > now);
		Ok(())
	}

	/// Gives a step to every claim that has had none at this block.
	fn start_due(&mut self, context: &Arc<Context>, at: &At, steps: &mut JoinSet<(Bytes32, Done)>) {
		let now = at.block_number();
		for (claim, case) in &mut self.cases {
			if case.busy || case.stepped >= now || case.not_before > now {
				continue;
			}
			(case.busy, case.stepped) = (true, now);
			let (context, at, subject, claim) = (context.clone(), at.clone(), case.subject.clone(), *claim);
			steps.spawn(async move { (claim, context.step(&at, &subject).await) });
		}
	}

	/// Takes in what came of a step.
	fn take(&mut self, claim: &Bytes32, done: Done) -> anyhow::Result<()> {
		let now = self.now;
		let Some(case) = self.cases.get_mut(claim) else { return Ok(()) };
		case.busy = false;
		let job = case.subject.job;
		let blocked = matches!(&done, Done::Blocked(_));
		case.failures = if blocked { case.failures.saturating_add(1) } else { 0 };
		if blocked {
			case.not_before = now + 1u64.checked_shl(case.failures - 1).unwrap_or(MAX_PAUSE).min(MAX_PAUSE);
		}
		let (label, text) = match &done {
			Done::Found(finding) => {
				case.subject.finding = Some(finding.clone());
				// What follows needs no other block.
				case.stepped = 0;
				self.tally.found(finding);
				match finding {
					Finding::Right => ("Right", "the answer is right to the last bit".into()),
					Finding::Wrong(how) => ("WRONG", how.clone()),
					Finding::Unknown(_) => ("", String::new()),
				}
			}
			Done::Sent(what, block, text) => {
				if *what == "Challenged" {
					self.tally.challenged(claim, job);
				}
				(*what, format!("in block {block}: {text}"))
			}
			Done::Waiting(wait) => match wait {
				Wait::Publication(by) => ("Waiting", format!("the worker must publish its trace by block {by}")),
				Wait::Answer(by) => ("Waiting", format!("the worker must answer by block {by}")),
				Wait::Verdict => ("Waiting", "the worker's time is over; the chain convicts it by itself".into()),
				Wait::Bond => ("Waiting", "the bond comes back by itself".into()),
				Wait::Chain => ("", String::new()),
			},
			Done::Over(end) => match end {
				End::Unchecked(why) => ("Unchecked", why.clone()),
				// A watchtower that only looks challenges nothing.
				End::Missed(_) if self.dry => ("", String::new()),
				End::Missed(why) => ("Missed", why.clone()),
				// The event has said so, unless it was missed.
				End::Lost if !self.tally.knows_lost(claim) => {
					("Lost", "the challenge is over, and the claim stands".into())
				}
				End::Right | End::Convicted(_) | End::Lost | End::Gone => ("", String::new()),
			},
			Done::Later | Done::EngineDown(_) => ("", String::new()),
			Done::Blocked(why) => ("Trouble", why.clone()),
		};
		let engine = match &done {
			Done::EngineDown(why) => Some(why.clone()),
			Done::Found(_) | Done::Sent("Demanded" | "Proved", ..) => None,
			_ => self.engine.clone(),
		};
		if !text.is_empty() && case.said != text {
			case.said = text.clone();
			self.line(label, job, text);
		}
		if engine != self.engine {
			match &engine {
				Some(why) => self.report.line(format!("Engine     {why}; trying again in every block")),
				None => self.report.line("Engine     answers again"),
			}
			self.engine = engine;
		}
		if let Done::Over(end) = done {
			if !(self.dry && matches!(end, End::Missed(_))) {
				self.tally.ended(claim, job, &end);
			}
			self.cases.remove(claim);
			lock(&self.purse).put_back(claim);
			if self.dry {
				self.ended.insert(*claim, now);
			} else if let End::Convicted(_) | End::Gone = end {
				// It is open no more, unless a reorganisation brings it back.
				lock(&self.keep).forget(claim)?;
			} else {
				self.ended.insert(*claim, now);
				lock(&self.keep).finish(claim, now)?;
			}
		}
		Ok(())
	}
}
