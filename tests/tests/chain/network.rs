//! Networks of validators and workers, each a process of its own: what they live through, and how their validators change.

use crate::clients::follow_lightly;
use anyhow::Context;
use assay_cli::{
	chain::{call, Chain},
	types::JobEvent,
};
use assay_primitives::OPG;
use assay_tests::{
	account, check_invariants, digit_images, digits_request, finality, follow_job_behind, key, next_block, request,
	Engine, Folder, Island, Local, Node, NodeOptions, Spec,
};
use std::{path::PathBuf, sync::Arc};
use subxt::{dynamic::Value, ext::scale_value::At, rpcs::rpc_params, utils::AccountId32};

/// Something that should happen happens within so many blocks.
const LIMIT: usize = 120;
/// A block counts when so many lie on it.
const DEPTH: u64 = 3;
/// Blocks in which something that should not happen has time to.
const WHILE: usize = 8;

/// Four validators, and two workers on nodes and engines of their own.
struct Network {
	validators: Vec<Node>,
	workers: Vec<Node>,
	_engines: Vec<Engine>,
	spec: PathBuf,
	/// Where Ferdie's node runs, if the system lets it have a network of its own.
	island: Option<Arc<Island>>,
	_folder: Folder,
}

/// The validators, by their flags. The last one talks to those alone that it is told of.
const VALIDATORS: [&str; 4] = ["alice", "bob", "eve", "ferdie"];
const EVE: usize = 2;
const FERDIE: usize = 3;

fn options(local: Local) -> NodeOptions {
	NodeOptions { local: Some(local), ..Default::default() }
}

impl Network {
	async fn start(theme: &str) -> anyhow::Result<Self> {
		let folder = Folder::new(&format!("{theme}-spec"));
		let spec = Spec {
			validators: &["Alice", "Bob", "Eve", "Ferdie"],
			workers: &["Charlie", "One"],
			session_slots: 20,
			sessions_per_era: 2,
		}
		.write(&folder);
		let island = Island::new().map(Arc::new);
		let mut validators: Vec<Node> = Vec::new();
		for name in VALIDATORS {
			let validator = Local { spec: Some(spec.clone()), validator: Some(name), ..Default::default() };
			let local = if name == VALIDATORS[FERDIE] {
				Local { reserved: true, island: island.clone(), ..validator }
			} else {
				let also_at = island.as_ref().map(|island| island.others());
				Local { boot: validators.first().map(Node::address), also_at, ..validator }
			};
			validators.push(Node::start(&format!("{theme}-{name}"), options(local)));
		}
		let (mut workers, mut engines) = (Vec::new(), Vec::new());
		for name in ["Charlie", "One"] {
			let mut engine = Engine::new(&format!("{theme}-{name}-engine"));
			engine.start();
			let local = Local {
				spec: Some(spec.clone()),
				worker: true,
				boot: validators.first().map(Node::address),
				..Default::default()
			};
			let options = NodeOptions { engine_url: Some(engine.url()), ..options(local) };
			let node = Node::start(&format!("{theme}-{name}"), options);
			let service_key = format!("//{name}//service");
			node.cli().succeed(&["worker", "key", &service_key, "--insert", "--account", &format!("//{name}")])?;
			workers.push(node);
			engines.push(engine);
		}
		let network = Self { validators, workers, _engines: engines, spec, island, _folder: folder };
		network.connect().await?;
		for node in network.validators.iter().chain(&network.workers) {
			finality(&node.chain().await?).await?;
		}
		Ok(network)
	}

	/// Connects Ferdie with the other validators.
	async fn connect(&self) -> anyhow::Result<()> {
		let ferdie = self.validators[FERDIE].chain().await?;
		for node in &self.validators[..FERDIE] {
			let address = match &self.island {
				Some(island) => node.address_at(&island.others()),
				None => node.address(),
			};
			let _: () = ferdie.raw().request("system_addReservedPeer", rpc_params![address]).await?;
		}
		Ok(())
	}

	/// Parts Ferdie from the others, alive.
	fn part(&mut self) {
		match &self.island {
			Some(island) => island.part(),
			// Started again, it talks to those alone that it is told of, and it is told of nobody.
			None => {
				eprintln!("no network of its own can be made for Ferdie: he is parted by starting him again");
				self.validators[FERDIE].restart();
			}
		}
	}

	/// Lets Ferdie and the others see each other again.
	async fn heal(&self) -> anyhow::Result<()> {
		if let Some(island) = &self.island {
			island.heal();
			return Ok(());
		}
		self.connect().await
	}

	/// A job is asked for, answered and settled, and its result is what is on the picture.
	async fn job_settles(&self, picture: usize) -> anyhow::Result<u64> {
		let chain = self.validators[0].chain().await?;
		let (image, label) = digit_images().swap_remove(picture);
		let (id, block) = request(&chain, &key("//Dave"), &digits_request(&chain, &image, 60).await?).await?;
		let settled = |event: &JobEvent| matches!(event, JobEvent::Settled(_));
		follow_job_behind(&chain, id, block, LIMIT as u64, DEPTH, settled).await?;
		let looked = self.workers[0].cli().succeed(&["job", &id.to_string()])?;
		anyhow::ensure!(looked["output"]["class"] == label, "{looked:#}");
		Ok(id)
	}
}

async fn best(chain: &Chain) -> anyhow::Result<u64> {
	Ok(chain.best().await?.block_number())
}

async fn last_final(chain: &Chain) -> anyhow::Result<u64> {
	Ok(chain.finalised().await?.block_number())
}

/// Waits until something is so, looking after each block.
async fn until(chain: &Chain, what: &str, mut so: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
	let mut blocks = chain.follow(best(chain).await?).await?;
	for _ in 0..LIMIT {
		if so().await? {
			return Ok(());
		}
		next_block(&mut blocks).await?;
	}
	anyhow::bail!("not within {LIMIT} blocks: {what}")
}

async fn goes_on_being_final(chain: &Chain) -> anyhow::Result<()> {
	let from = last_final(chain).await?;
	until(chain, "finality goes on", async || Ok(last_final(chain).await? > from + 3)).await
}

async fn validators(chain: &Chain) -> anyhow::Result<Vec<AccountId32>> {
	let at = chain.best().await?;
	chain.storage(&at, "Session", "Validators", ()).await?.context("a chain has validators")
}

/// What a validator has at stake.
async fn stake(chain: &Chain, who: &str) -> anyhow::Result<u128> {
	let at = chain.best().await?;
	let ledger: Option<Value> = chain.storage(&at, "Staking", "Ledger", (account(who),)).await?;
	let ledger = ledger.with_context(|| format!("{who} is no staker"))?;
	ledger.at("active").and_then(Value::as_u128).context("a ledger says what is active")
}

#[tokio::test(flavor = "multi_thread")]
async fn network_should_live_through_lost_parted_and_copied_validators() -> anyhow::Result<()> {
	let mut network = Network::start("lost").await?;
	let alice = network.validators[0].chain().await?;
	let first = network.job_settles(1).await?;

	// One is killed: the three others finalise, and jobs settle.
	network.validators[EVE].kill();
	goes_on_being_final(&alice).await?;
	network.job_settles(2).await?;

	// Another is parted from the rest, alive: two of four make blocks, and nothing becomes final. Nobody closes its connections, so it
	// makes blocks of its own.
	network.part();
	let ferdie = network.validators[FERDIE].chain().await?;
	let stuck = last_final(&alice).await?;
	let mut blocks = alice.follow(best(&alice).await?).await?;
	for _ in 0..WHILE {
		next_block(&mut blocks).await?;
	}
	// A round may have been under way with the votes of three.
	assert!(last_final(&alice).await? <= stuck + 3, "two of four finalised");
	// Not the newest block, which might still be under way.
	let made = alice.at_number(best(&alice).await? - DEPTH).await?.block_hash();
	assert!(ferdie.rpc().chain_get_header(Some(made)).await?.is_none(), "Ferdie sees blocks, and was to be alone");

	// The killed one comes back: finality, too. The parted one catches up when it can.
	network.validators[EVE].restart();
	goes_on_being_final(&alice).await?;
	network.heal().await?;
	until(&alice, "Ferdie catches up", async || Ok(last_final(&ferdie).await? + 4 >= last_final(&alice).await?))
		.await?;
	let last = ferdie.finalised().await?;
	let same = alice.at_number(last.block_number()).await?;
	assert_eq!(same.block_hash(), last.block_hash(), "Ferdie has a chain of his own");
	network.job_settles(3).await?;

	// Nothing is lost: the first answer is there, on every node, and the state is whole.
	for node in &network.validators {
		let looked = node.cli().succeed(&["job", &first.to_string()])?;
		assert_eq!(looked["state"], "settled", "{looked:#}");
	}
	check_invariants(&alice).await?;

	// A copy of Eve's keys runs on a second node: both make blocks in the same slots.
	let before = stake(&alice, "//Eve").await?;
	let local = Local {
		spec: Some(network.spec.clone()),
		validator: Some(VALIDATORS[EVE]),
		boot: Some(network.validators[0].address()),
		..Default::default()
	};
	let _copy = Node::start("lost-copy", options(local));
	until(&alice, "Eve is slashed", async || Ok(stake(&alice, "//Eve").await? < before)).await?;
	for other in ["//Alice", "//Bob", "//Ferdie"] {
		assert_eq!(stake(&alice, other).await?, before, "{other} did nothing wrong");
	}
	let at = alice.best().await?;
	let disabled: Option<Vec<(u32, u32)>> = alice.storage(&at, "Session", "DisabledValidators", ()).await?;
	assert_eq!(disabled.map(|disabled| disabled.len()), Some(1), "Eve's votes do not count any more");
	network.job_settles(4).await?;
	check_invariants(&alice).await
}

#[tokio::test(flavor = "multi_thread")]
async fn validators_should_change_by_stake_and_new_nodes_follow_the_changes() -> anyhow::Result<()> {
	let folder = Folder::new("change-spec");
	let names = ["Alice", "Bob", "Eve"];
	let spec = Spec { validators: &names, workers: &["Charlie"], session_slots: 10, sessions_per_era: 1 };
	let spec = spec.write(&folder);
	let mut nodes: Vec<Node> = Vec::new();
	for name in &VALIDATORS[..names.len()] {
		let boot = nodes.first().map(Node::address);
		let local = Local { spec: Some(spec.clone()), validator: Some(name), boot, ..Default::default() };
		nodes.push(Node::start(&format!("change-{name}"), options(local)));
	}
	let boot = nodes.first().map(Node::address);
	let alice = nodes[0].chain().await?;
	finality(&alice).await?;
	assert_eq!(validators(&alice).await?.len(), names.len());

	// Dave makes keys on a node of his own, proves that they are his, and stakes: he is elected.
	let local = Local { spec: Some(spec.clone()), own_keys: true, boot: boot.clone(), ..Default::default() };
	let dave = Node::start("change-dave", options(local));
	let made: serde_json::Value = {
		let owner = format!("0x{}", hex::encode(account("//Dave").0));
		dave.chain().await?.raw().request("author_rotateKeysWithOwner", rpc_params![owner]).await?
	};
	let bytes = |name: &str| -> anyhow::Result<Vec<u8>> {
		let text = made[name].as_str().with_context(|| format!("{name}: {made}"))?;
		Ok(hex::decode(text.trim_start_matches("0x"))?)
	};
	let (keys, proof) = (bytes("keys")?, bytes("proof")?);
	let part = |number: usize| Value::from_bytes(&keys[number * 32..(number + 1) * 32]);
	let keys = Value::named_composite([("babe", part(0)), ("grandpa", part(1)), ("authority_discovery", part(2))]);
	let payee = ("payee", Value::unnamed_variant("Staked", []));
	let prefs = Value::named_composite([("commission", Value::u128(50_000_000)), ("blocked", Value::bool(false))]);
	for call in [
		call("Staking", "bond", [("value", Value::u128(20_000 * OPG)), payee.clone()]),
		call("Session", "set_keys", [("keys", keys), ("proof", Value::from_bytes(proof))]),
		call("Staking", "validate", [("prefs", prefs)]),
	] {
		alice.submit(&key("//Dave"), &call).await?;
	}
	let elected = account("//Dave");
	until(&alice, "Dave is elected", async || Ok(validators(&alice).await?.contains(&elected))).await?;
	goes_on_being_final(&alice).await?;
	let changed_once = best(&alice).await?;

	// He leaves again: the second change.
	alice.submit(&key("//Dave"), &call("Staking", "chill", [])).await?;
	until(&alice, "Dave is out", async || Ok(!validators(&alice).await?.contains(&elected))).await?;
	goes_on_being_final(&alice).await?;

	// A new node takes the newest state, checks the proof of both changes, and follows.
	let local = Local { spec: Some(spec.clone()), warp: true, boot, ..Default::default() };
	let mut fresh = Node::start("change-fresh", options(local));
	fresh.wait_for_words("Warp sync is complete");
	let follower = fresh.chain().await?;
	until(&alice, "the new node follows", async || {
		let (its, ours) = (last_final(&follower).await?, last_final(&alice).await?);
		Ok(its > changed_once && its + 4 >= ours)
	})
	.await?;
	assert_eq!(validators(&follower).await?, validators(&alice).await?);

	// So does a light client, which begins with the first block's validators and sees proofs alone.
	let addresses: Vec<String> = nodes.iter().map(Node::address).collect();
	let now = last_final(&alice).await?;
	for head in follow_lightly(&nodes[0].spec(&addresses), 3).await? {
		assert!(head.number > changed_once && head.number >= now, "{head:?} is before {now}");
		assert_eq!(head.hash, format!("{:?}", alice.at_number(head.number).await?.block_hash()));
	}

	// The fees of the transactions so far are the validators' pay.
	let ended: Vec<(u32, u128)> = alice.storage_map(&alice.best().await?, "Staking", "ErasValidatorReward").await?;
	assert!(ended.iter().any(|(_, paid)| *paid > 0), "nobody is paid: {ended:?}");
	check_invariants(&alice).await
}
