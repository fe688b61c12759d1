//! Lies, and groundless challenges, on networks of several processes: two validators, a worker that lies, a watchtower, and another
//! worker; each with its own database, keystore and engine.

use anyhow::Context;
use assay_cli::{
	account::balances,
	chain::{call, Chain},
	infer::Request,
	job,
	types::JobEvent,
	worker,
};
use assay_onnx_suite::models;
use assay_primitives::OPG;
use assay_semantics::{
	judge::{self, Demand},
	prover::Trace,
	testing::game::lie,
	trace::Coordinate,
	Model, Op, Tensor,
};
use assay_test_engine::resnet;
use assay_tests::{
	account, check_invariants, digit_images, digits, digits_request, finalised, finality, follow_job_behind, key,
	next_block, request, Engine, Folder, Local, Node, NodeOptions, Spec, Watchtower,
};
use codec::Encode;
use std::path::Path;
use subxt::{config::substrate::DigestItem, dynamic::Value};

/// A lie on these chains is over within so many blocks, window included.
const LIMIT: u64 = 150;
/// A block counts when so many lie on it.
const DEPTH: u64 = 3;
/// Answers that are challenged at once.
const MANY: usize = 6;
/// The picture that the residual network is asked about.
const PICTURE: u64 = 3;

struct Network {
	alice: Node,
	bob: Node,
	liar: Node,
	/// Serves Eve, the honest worker, and the watchtower.
	engine: Engine,
	_faulty: Engine,
	/// Nodes that are started again read it again.
	_spec: Folder,
}

impl Network {
	/// Charlie lies as `faults` say, on a node of his own; Eve is honest, on Alice's node, and paused.
	async fn start(theme: &str, model: Option<&Path>, faults: &[&str]) -> anyhow::Result<Self> {
		let mut engine = Engine::new(&format!("{theme}-engine"));
		let mut faulty = Engine::faulty(&format!("{theme}-faulty"), faults);
		for engine in [&mut engine, &mut faulty] {
			if let Some(model) = model {
				engine.import(model);
			}
			engine.start();
		}
		let local = |local, url: Option<&Engine>| NodeOptions {
			local: Some(local),
			engine_url: url.map(Engine::url),
			..Default::default()
		};
		let folder = Folder::new(&format!("{theme}-spec"));
		let spec =
			Spec { validators: &["Alice", "Bob"], workers: &["Charlie"], session_slots: 200, sessions_per_era: 6 };
		let spec = Some(spec.write(&folder));
		let first = Local { spec: spec.clone(), validator: Some("alice"), worker: true, ..Default::default() };
		let alice = Node::start(&format!("{theme}-alice"), local(first, Some(&engine)));
		let boot = Some(alice.address());
		let second = Local { spec: spec.clone(), validator: Some("bob"), boot: boot.clone(), ..Default::default() };
		let bob = Node::start(&format!("{theme}-bob"), local(second, None));
		let third = Local { spec, worker: true, boot, ..Default::default() };
		let liar = Node::start(&format!("{theme}-liar"), local(third, Some(&faulty)));
		let network = Self { alice, bob, liar, engine, _faulty: faulty, _spec: folder };
		for node in [&network.alice, &network.bob, &network.liar] {
			finality(&node.chain().await?).await?;
		}

		network.liar.cli().succeed(&["worker", "key", "//Charlie//service", "--insert", "--account", "//Charlie"])?;
		let eve = network.alice.cli();
		eve.succeed(&["worker", "bond", "1000", "--account", "//Eve"])?;
		eve.succeed(&["worker", "key", "//Eve//service", "--insert", "--account", "//Eve"])?;
		let mut name = "digits";
		if let Some(model) = model {
			name = "other";
			let model = model.display().to_string();
			eve.succeed(&["models", "register", &model, "--name", name, "--price", "0.01", "--account", "//Dave"])?;
			let charlie = network.liar.cli();
			charlie.succeed(&["worker", "serve", name, "--capacity", "8", "--account", "//Charlie"])?;
		}
		eve.succeed(&["worker", "serve", name, "--capacity", "8", "--account", "//Eve"])?;
		eve.succeed(&["worker", "pause", "--account", "//Eve"])?;
		// The tests ask Bob's node, which may not have seen that yet.
		let done = network.alice.chain().await?.best().await?.block_number();
		finalised(&network.bob.chain().await?, done).await?;
		Ok(network)
	}

	/// A job that Charlie has drawn, and that Eve could take over. Returns its number and the block from which on to look for it.
	async fn lie(&self, chain: &Chain, asked: Request) -> anyhow::Result<(u64, u64)> {
		let (id, block) = request(chain, &key("//Bob"), &asked).await?;
		let events =
			follow_job_behind(chain, id, block, 20, DEPTH, |event| matches!(event, JobEvent::Assigned(_))).await?;
		let Some((_, JobEvent::Assigned(assigned))) = events.last() else { anyhow::bail!("not assigned: {events:#?}") };
		assert_eq!(assigned.worker, account("//Charlie"), "nobody else took jobs");
		self.alice.cli().succeed(&["worker", "resume", "--account", "//Eve"])?;
		Ok((id, block))
	}
}

/// What `Disputes` says in the blocks from `from` on, until it has said `last` so many times.
async fn dispute_events(chain: &Chain, from: u64, last: &str, times: usize) -> anyhow::Result<Vec<(u64, String)>> {
	let mut seen = Vec::new();
	let mut blocks = chain.follow_behind(from.saturating_sub(1), DEPTH).await?;
	for _ in 0..LIMIT {
		let at = next_block(&mut blocks).await?;
		// Where the chain changed its mind, what was seen before has not happened.
		seen.retain(|(block, _)| *block < at.block_number());
		for event in at.events().fetch().await?.iter() {
			let event = event?;
			if event.pallet_name() == "Disputes" {
				seen.push((at.block_number(), event.event_name().to_owned()));
			}
		}
		if seen.iter().filter(|(_, name)| name == last).count() >= times {
			return Ok(seen);
		}
	}
	anyhow::bail!("not {times} times {last} within {LIMIT} blocks of block {from}: {seen:?}")
}

async fn bonded(chain: &Chain, who: &str) -> anyhow::Result<u128> {
	Ok(worker::status(chain, &account(who)).await?.context("a worker")?.bonded)
}

async fn assert_answered_by_eve(chain: &Chain, id: u64, block: u64, label: u64) -> anyhow::Result<()> {
	let settled = |event: &JobEvent| matches!(event, JobEvent::Settled(_));
	let events = follow_job_behind(chain, id, block, LIMIT, DEPTH, settled).await?;
	let Some((_, JobEvent::Settled(paid))) = events.last() else { anyhow::bail!("not settled: {events:#?}") };
	assert_eq!(paid.worker, account("//Eve"), "{events:#?}");
	let at = chain.best().await?;
	let result = job::result(chain, &at, id).await?.context("the result is kept for a while")?;
	let outputs = digits(chain).await?.record.outputs();
	assert_eq!(job::answer(result.output.bytes(), &outputs).json["class"], label);
	Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lie_should_be_found_proven_and_slashed_by_a_watchtower_that_is_killed_in_between() -> anyhow::Result<()> {
	// One bit of the first element of the network's fourth value.
	let network = Network::start("lie", None, &["--flip", "4:0:20"]).await?;
	let chain = network.bob.chain().await?;
	let stake = bonded(&chain, "//Charlie").await?;
	let mut watchtower = Watchtower::start("lie-watchtower", &network.bob, &network.engine, "//Ferdie");
	let (image, label) = digit_images().swap_remove(5);
	let (id, block) = network.lie(&chain, digits_request(&chain, &image, 600).await?).await?;

	dispute_events(&chain, block, "Published", 1).await?;
	watchtower.restart();
	let events = dispute_events(&chain, block, "Convicted", 1).await?;
	let count = |name: &str| events.iter().filter(|(_, event)| event == name).count();
	assert_eq!((count("Sealed"), count("Challenged"), count("Published")), (1, 1, 1), "{events:?}");
	assert!(count("Opened") <= 3, "values come with the publication, then tiles, a tile, states: {events:?}");
	assert!(bonded(&chain, "//Charlie").await? < stake, "Charlie lies with impunity");
	assert_answered_by_eve(&chain, id, block, label).await?;
	let told = network.bob.cli().succeed(&["dispute", &id.to_string()])?;
	println!("{told:#}");
	check_invariants(&chain).await
}

#[tokio::test(flavor = "multi_thread")]
async fn liar_that_is_killed_in_its_dispute_should_be_convicted_by_silence() -> anyhow::Result<()> {
	let mut network = Network::start("silent", None, &["--flip", "3:1:30"]).await?;
	let chain = network.bob.chain().await?;
	let stake = bonded(&chain, "//Charlie").await?;
	let _watchtower = Watchtower::start("silent-watchtower", &network.bob, &network.engine, "//Ferdie");
	let (image, label) = digit_images().swap_remove(6);
	let (id, block) = network.lie(&chain, digits_request(&chain, &image, 600).await?).await?;
	dispute_events(&chain, block, "Challenged", 1).await?;
	network.liar.kill();
	dispute_events(&chain, block, "Convicted", 1).await?;
	assert!(bonded(&chain, "//Charlie").await? < stake, "Charlie is silent with impunity");
	assert_answered_by_eve(&chain, id, block, label).await?;
	check_invariants(&chain).await
}

/// An element in the middle of the model whose 30th bit makes a difference to the output: not every lie does.
fn lie_that_shows(model: &Model, input: &[u8]) -> anyhow::Result<(usize, usize)> {
	let convolutions = model.nodes().iter().enumerate().filter(|(_, node)| matches!(node.op, Op::Conv(_)));
	let convolutions: Vec<usize> = convolutions.map(|(value, _)| value).collect();
	let value = *convolutions.get(convolutions.len() / 2).context("the model has convolutions")?;
	let input = Tensor { ty: model.header().inputs.swap_remove(0), bytes: input.to_vec().into() };
	let right = assay_semantics::trace(model, &[input])?;
	for element in 0..100 {
		let mut values = right.clone();
		lie(model, &mut values, value, true, |tensor| tensor.bytes[4 * element + 3] ^= 1 << 6);
		if values.last() != right.last() {
			return Ok((value, element));
		}
	}
	anyhow::bail!("no lie about value {value} makes a difference")
}

/// Charlie lies in the middle of a model; Ferdie proves it, and Eve answers.
async fn lie_about(theme: &str, onnx: &Path, model: &Model, input: Vec<u8>) -> anyhow::Result<()> {
	let (value, element) = lie_that_shows(model, &input)?;
	let fault = format!("{value}:{element}:30");
	let network = Network::start(theme, Some(onnx), &["--flip", &fault]).await?;
	let chain = network.bob.chain().await?;
	let stake = bonded(&chain, "//Charlie").await?;
	let _watchtower = Watchtower::start(&format!("{theme}-watchtower"), &network.bob, &network.engine, "//Ferdie");
	let output = assay_semantics::side_byte_len(&model.header().outputs).context("a length")?;
	let asked = Request {
		model: model.id(),
		input,
		max_fee: OPG / 10,
		coverage: 0,
		max_output: u32::try_from(output)?,
		deadline: 600,
		window: None,
		worker: None,
	};
	let (id, block) = network.lie(&chain, asked).await?;
	let events = dispute_events(&chain, block, "Convicted", 1).await?;
	let opened = events.iter().filter(|(_, event)| event == "Opened").count();
	assert!(opened <= 3, "{events:?}");
	assert!(bonded(&chain, "//Charlie").await? < stake, "Charlie lies with impunity");
	let settled = |event: &JobEvent| matches!(event, JobEvent::Settled(_));
	let events = follow_job_behind(&chain, id, block, LIMIT, DEPTH, settled).await?;
	let Some((_, JobEvent::Settled(paid))) = events.last() else { anyhow::bail!("not settled: {events:#?}") };
	assert_eq!(paid.worker, account("//Eve"), "{events:#?}");
	check_invariants(&chain).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lie_about_a_residual_network_should_be_proven() -> anyhow::Result<()> {
	let folder = Folder::new("residual");
	let onnx = folder.path().join("residual.onnx");
	std::fs::write(&onnx, resnet::onnx())?;
	lie_about("residual", &onnx, &resnet::model(), resnet::picture(PICTURE)).await
}

/// A model that people have, with a picture of 602,112 bytes.
#[tokio::test(flavor = "multi_thread")]
async fn lie_about_squeezenet_should_be_proven() -> anyhow::Result<()> {
	const NAME: &str = "light-squeezenet";
	let (model, mut inputs) = models::specialised(NAME, 0).map_err(anyhow::Error::msg)?;
	let input = inputs.swap_remove(0).bytes.to_vec();
	lie_about("squeezenet", &models::folder().join(NAME).join("model.onnx"), &model, input).await
}

/// What Ferdie, who knows nothing, says about Charlie's answer to a job.
async fn harass(chain: &Chain, message: &str, arguments: Vec<(&str, Value)>) -> anyhow::Result<()> {
	let fee = ("max_fee", Value::u128(OPG));
	let arguments: Vec<_> = arguments.into_iter().chain([fee]).collect();
	chain.submit(&key("//Ferdie"), &call("Disputes", message, arguments)).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_worker_should_defend_all_its_answers_at_once_and_be_paid_though_it_is_killed_in_between(
) -> anyhow::Result<()> {
	let mut network = Network::start("groundless", None, &[]).await?;
	let chain = network.bob.chain().await?;
	let (image, _) = digit_images().swap_remove(7);
	let asked = Request { worker: Some(account("//Charlie")), ..digits_request(&chain, &image, 60).await? };
	let model = assay_test_engine::digits()?;
	let input = Tensor { ty: model.header().inputs.swap_remove(0), bytes: asked.input.clone().into() };
	let trace = Trace::new(&model, assay_semantics::trace(&model, &[input])?);
	let values = (0..).map(|value| Demand::Tiles { at: Coordinate::of(value) });
	let mut demands = values.filter_map(|demand| {
		let (demand, evidence) = (demand.encode(), trace.evidence(&demand)?.encode());
		judge::check_demand(&model.id(), &demand, &evidence).is_ok().then_some((demand, evidence))
	});

	let mut claims = Vec::new();
	for _ in 0..MANY {
		claims.push(request(&chain, &key("//Bob"), &asked).await?);
	}
	let (_, first) = claims[0];
	let mut named = Vec::new();
	for (id, block) in &claims {
		let committed = |event: &JobEvent| matches!(event, JobEvent::Committed(_));
		let events = follow_job_behind(&chain, *id, *block, 30, DEPTH, committed).await?;
		let Some((_, JobEvent::Committed(answer))) = events.last() else { anyhow::bail!("no answer: {events:#?}") };
		named.push(vec![("job", Value::u128((*id).into())), ("claim", Value::from_bytes(answer.claim))]);
	}
	let worker = account("//Charlie");
	let (stake, before) = (bonded(&chain, "//Charlie").await?, balances(&chain, &worker).await?.free);

	for claim in &named {
		let mut arguments = claim.clone();
		arguments.push(("salt", Value::unnamed_variant("None", [])));
		harass(&chain, "challenge", arguments).await?;
	}
	dispute_events(&chain, first, "Published", MANY).await?;
	for (number, claim) in named.iter().enumerate() {
		let (demand, evidence) = demands.next().context("the model has many values")?;
		let mut arguments = claim.clone();
		arguments.push(("demand", Value::from_bytes(demand)));
		arguments.push(("evidence", Value::from_bytes(evidence)));
		if number == MANY / 2 {
			network.liar.kill();
		}
		harass(&chain, "demand", arguments).await?;
	}
	network.liar.restart();
	let events = dispute_events(&chain, first, "Defended", MANY).await?;
	let count = |name: &str| events.iter().filter(|(_, event)| event == name).count();
	let counts = ["Challenged", "Published", "Opened", "ChallengeLost", "Convicted"].map(count);
	assert_eq!(counts, [MANY, MANY, MANY, MANY, 0], "{events:?}");
	for (id, block) in claims {
		let settled = |event: &JobEvent| matches!(event, JobEvent::Settled(_));
		follow_job_behind(&chain, id, block, LIMIT, DEPTH, settled).await?;
	}
	assert_eq!(bonded(&chain, "//Charlie").await?, stake);
	let gained = balances(&chain, &worker).await?.free.saturating_sub(before);
	assert!(gained > MANY as u128 * OPG * 4 / 10, "paid {gained} for {MANY} groundless challenges");
	check_invariants(&chain).await
}

/// Blocks of the best chain that a validator made in slots of its own: the fork with more of them wins.
async fn weight(chain: &Chain) -> anyhow::Result<usize> {
	/// The first byte of what BABE says of a block in such a slot.
	const PRIMARY: u8 = 1;
	let mut weight = 0;
	for number in 1..=chain.best().await?.block_number() {
		let hash = chain.rpc().chain_get_block_hash(Some(number.into())).await?;
		let header = chain.rpc().chain_get_header(hash).await?.context("a block has a header")?;
		let primary =
			|log: &DigestItem| matches!(log, DigestItem::PreRuntime(_, data) if data.first() == Some(&PRIMARY));
		weight += usize::from(header.digest.logs.iter().any(primary));
	}
	Ok(weight)
}

#[tokio::test(flavor = "multi_thread")]
async fn lie_should_be_proven_again_when_a_reorganisation_undoes_its_dispute() -> anyhow::Result<()> {
	let (image, _) = digit_images().swap_remove(8);
	let model = assay_test_engine::digits()?;
	let input = assay_cli::input::read(&image, &model.header().inputs, &[])?.bytes;
	let (value, element) = lie_that_shows(&model, &input)?;
	let mut network = Network::start("fork", None, &["--flip", &format!("{value}:{element}:30")]).await?;
	let chain = network.bob.chain().await?;
	let stake = bonded(&chain, "//Charlie").await?;
	// Time enough for two disputes.
	let asked = Request { window: Some(400), ..digits_request(&chain, &image, 600).await? };
	let (id, block) = network.lie(&chain, asked).await?;
	let committed = |event: &JobEvent| matches!(event, JobEvent::Committed(_));
	follow_job_behind(&chain, id, block, 30, DEPTH, committed).await?;
	drop(chain);

	// Bob sees nothing of the dispute, up to the verdict.
	network.bob.kill();
	let watchtower = Watchtower::start("fork-watchtower", &network.alice, &network.engine, "//Ferdie");
	let chain = network.alice.chain().await?;
	dispute_events(&chain, block, "Convicted", 1).await?;
	let (undone, undone_weight) = (chain.best().await?, weight(&chain).await?);
	assert!(bonded(&chain, "//Charlie").await? < stake);
	drop(chain);
	network.alice.kill();
	network.liar.kill();

	// His own chain becomes the better one, and in it the lie stands.
	network.bob.rejoin(None);
	let chain = network.bob.chain().await?;
	let mut blocks = chain.follow(chain.best().await?.block_number()).await?;
	while weight(&chain).await? <= undone_weight {
		assert!(next_block(&mut blocks).await?.block_number() < LIMIT, "no slot is Bob's");
	}
	assert_eq!(bonded(&chain, "//Charlie").await?, stake);
	let from = chain.best().await?.block_number();
	for node in [&mut network.alice, &mut network.liar] {
		node.rejoin(Some(network.bob.address()));
	}
	let events = dispute_events(&chain, from, "Convicted", 1).await?;
	let last = events.last().context("a verdict")?.0;
	finalised(&chain, last).await?;
	let replaced = chain.at_number(undone.block_number()).await?;
	assert_ne!(replaced.block_hash(), undone.block_hash(), "nothing was undone");
	assert!(bonded(&chain, "//Charlie").await? < stake, "Charlie lies with impunity");
	println!("{}", watchtower.log());
	check_invariants(&chain).await
}
