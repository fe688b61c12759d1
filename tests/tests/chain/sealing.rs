//! Blocks on demand, on development chains.

use anyhow::Context;
use assay_cli::{chain::Chain, job, types::JobEvent};
use assay_tests::{
	check_invariants, digit_images, follow_job, Engine, Folder, Node, NodeOptions, Operator, Watchtower,
};
use serde_json::Value;
use std::time::Duration;
use subxt::{config::substrate::H256, rpcs::rpc_params};

fn sealing(how: &str) -> NodeOptions {
	NodeOptions { arguments: vec!["--sealing".into(), how.into()], ..Default::default() }
}

/// The numbers of the best and of the last final block.
async fn heads(chain: &Chain) -> anyhow::Result<(u64, u64)> {
	Ok((chain.best().await?.block_number(), chain.finalised().await?.block_number()))
}

/// A whole job, from the request to the settlement, on a node with these options.
async fn job_should_settle(node: &Node) -> anyhow::Result<()> {
	let (image, label) = digit_images().swap_remove(5);
	let told = node.cli().succeed(&["infer", "digits", image.to_str().expect("UTF-8"), "--account", "//Bob"])?;
	assert_eq!(told["state"], "settled", "{told:#}");
	assert_eq!(told["output"]["class"], label, "{told:#}");
	Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_should_settle_when_blocks_come_every_100_ms() -> anyhow::Result<()> {
	let mut node = Node::start("sealing-every", sealing("100"));
	job_should_settle(&node).await?;
	let chain = node.chain().await?;
	let (best, last) = heads(&chain).await?;
	assert!(best.saturating_sub(last) <= 1, "block {best} is the best one, and only {last} is final");
	check_invariants(&chain).await?;

	// The worker says that it is there when half the life of its last heartbeat is over.
	let live_until = || async {
		let worker = assay_tests::account("//Charlie");
		chain.view::<_, Option<u64>>(&chain.best().await?, "Rewards", "live_until", (worker,)).await
	};
	let before = live_until().await?.expect("Charlie has active stake");
	while chain.best().await?.block_number() < before / 2 + 10 {
		assay_tests::pass_blocks(&chain, 5).await?;
	}
	let after = live_until().await?.expect("Charlie has active stake");
	assert!(after > before, "{before}, {after}");

	// The chain goes on after a restart, and by its own clock.
	let before = chain.best().await?.block_number();
	drop(chain);
	node.restart();
	let chain = node.chain().await?;
	assay_tests::pass_blocks(&chain, 5).await?;
	assert!(chain.best().await?.block_number() >= before.saturating_sub(1) + 5);
	Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_should_come_with_transactions_and_open_jobs_only_when_sealing_is_instant() -> anyhow::Result<()> {
	let node = Node::start("sealing-instant", sealing("instant"));
	let chain = node.chain().await?;
	tokio::time::sleep(Duration::from_secs(2)).await;
	assert_eq!(heads(&chain).await?, (0, 0));

	job_should_settle(&node).await?;
	let (best, last) = heads(&chain).await?;
	assert!(best > 20 && best.saturating_sub(last) <= 1, "{best}, {last}");
	// Nothing is left to do, so nothing happens.
	tokio::time::sleep(Duration::from_secs(2)).await;
	let (rest, last) = heads(&chain).await?;
	assert_eq!(rest, last);
	tokio::time::sleep(Duration::from_secs(2)).await;
	assert_eq!(heads(&chain).await?, (rest, rest));
	check_invariants(&chain).await
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_should_come_when_asked_for_when_sealing_is_manual() -> anyhow::Result<()> {
	let node = Node::start("sealing-manual", sealing("manual"));
	let chain = node.chain().await?;
	let create = |empty: bool, last: bool| {
		let chain = &chain;
		async move { chain.raw().request::<Value>("engine_createBlock", rpc_params![empty, last]).await }
	};
	let refused = create(false, true).await.expect_err("there is no transaction");
	assert!(refused.to_string().contains("empty"), "{refused}");
	let block = create(true, false).await?;
	assert_eq!(heads(&chain).await?, (1, 0));
	let done: bool = chain.raw().request("engine_finalizeBlock", rpc_params![block["hash"].clone()]).await?;
	assert!(done);
	assert_eq!(heads(&chain).await?, (1, 1));
	create(true, true).await?;
	assert_eq!(heads(&chain).await?, (2, 2));
	check_invariants(&chain).await?;
	Ok(())
}

/// What a client told of its job in blocks that are replaced then has not happened; and a watchtower checks what comes in their place.
#[tokio::test(flavor = "multi_thread")]
async fn job_should_be_followed_and_checked_when_the_chain_changes_its_mind() -> anyhow::Result<()> {
	const LIMIT: u64 = 600;
	let mut engine = Engine::new("sealing-fork-engine");
	engine.start();
	let node = Node::start("sealing-fork", NodeOptions { engine_url: Some(engine.url()), ..sealing("manual") });
	let chain = node.chain().await?;
	let seal = async |parent: Option<H256>| -> anyhow::Result<H256> {
		let block: Value = chain.raw().request("engine_createBlock", rpc_params![true, false, parent]).await?;
		// The worker needs a moment now and then.
		tokio::time::sleep(Duration::from_millis(20)).await;
		Ok(block["hash"].as_str().context("a hash")?.parse()?)
	};
	let fork = seal(None).await?;
	let (cli, (image, label)) = (node.cli(), digit_images().swap_remove(6));
	let asking = tokio::task::spawn_blocking(move || {
		cli.run(&["infer", "digits", image.to_str().expect("UTF-8"), "--window", "200", "--account", "//Bob"])
	});
	let answered = async |block: H256| -> anyhow::Result<bool> {
		let events = chain.at(block).await?.events().fetch().await?;
		Ok(job::events_in(&events)?.iter().any(|(_, _, event)| matches!(event, JobEvent::Committed(_))))
	};
	let mut answer = fork;
	for count in 0.. {
		assert!(count < LIMIT, "nobody answers");
		answer = seal(None).await?;
		if answered(answer).await? {
			break;
		}
	}

	// Another chain is the better one, and nobody answers there. A watchtower begins.
	engine.kill();
	let number = chain.at(answer).await?.block_number();
	let (mut other, mut best) = (fork, chain.best().await?);
	while best.block_hash() != other || best.block_number() <= number {
		assert!(best.block_number() < LIMIT, "the other chain is not the better one");
		other = seal(Some(other)).await?;
		best = chain.best().await?;
	}
	let mut watchtower = Watchtower::start("sealing-fork-watchtower", &node, &engine, "//Ferdie");
	for count in 0.. {
		if watchtower.last_block()? == best.block_number() {
			break;
		}
		assert!(count < LIMIT, "the watchtower does not begin: {}", watchtower.log());
		tokio::time::sleep(Duration::from_millis(50)).await;
	}

	// The first one is better again: the answer is in a block whose number the watchtower has passed.
	let mut tip = answer;
	while chain.best().await?.block_hash() != tip || tip == answer {
		tip = seal(Some(tip)).await?;
		assert!(chain.at(tip).await?.block_number() < LIMIT, "the first chain is not the better one");
	}
	engine.start();
	for count in 0.. {
		if watchtower.log().contains("the answer is right") {
			break;
		}
		assert!(count < LIMIT, "the watchtower does not see the answer: {}", watchtower.log());
		seal(None).await?;
	}
	for count in 0.. {
		if asking.is_finished() {
			break;
		}
		assert!(count < LIMIT, "the client does not see its job settled");
		seal(None).await?;
	}
	let told = asking.await??;
	assert_eq!(told.code, 0, "{}", told.stderr);
	assert!(told.stderr.contains("Replaced"), "{}", told.stderr);
	let told = told.json;
	assert_eq!((&told["state"], &told["output"]["class"]), (&"settled".into(), &label.into()), "{told:#}");

	let id = told["job"].as_u64().context("a number")?;
	let limit = chain.best().await?.block_number();
	let events = follow_job(&chain, id, 1, limit, |event| matches!(event, JobEvent::Settled(_))).await?;
	for (event, field) in [
		(0, &told["submitted_in"]),
		(1, &told["attempts"][0]["assigned_in"]),
		(2, &told["committed_in"]),
		(3, &told["settled_in"]),
	] {
		assert_eq!(events.get(event).map(|(block, _)| (*block).into()).as_ref(), Some(field), "{events:#?}, {told:#}");
	}
	assert_eq!((events.len(), told["attempts"].as_array().map(Vec::len)), (4, Some(1)), "{events:#?}, {told:#}");
	check_invariants(&chain).await
}

#[test]
fn sealing_should_be_refused_on_chains_that_others_rely_on() -> anyhow::Result<()> {
	let folder = Folder::new("sealing-refused");
	let operator = Operator::of_local(folder.path());
	let refused =
		operator.fail(&["--alice", "--sealing", "instant", "--unsafe-force-node-key-generation", "--rpc-port", "0"])?;
	assert!(refused.contains("--dev"), "{refused}");
	Ok(())
}
