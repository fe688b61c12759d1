//! Blocks on demand, on development chains.

use assay_cli::chain::Chain;
use assay_tests::{check_invariants, digit_images, Folder, Node, NodeOptions, Operator};
use serde_json::Value;
use std::time::Duration;
use subxt::rpcs::rpc_params;

fn sealing(how: &str) -> NodeOptions {
	NodeOptions { arguments: vec!["--sealing".into(), how.into()], ..Default::default() }
}

/// The numbers of the best and of the last final block.
async fn heads(chain: &Chain) -> anyhow::Result<(u64, u64)> {
	let best = chain.best().await?.block_number();
	let head = chain.rpc().chain_get_finalized_head().await?;
	Ok((best, chain.at(head).await?.block_number()))
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

#[test]
fn sealing_should_be_refused_on_chains_that_others_rely_on() -> anyhow::Result<()> {
	let folder = Folder::new("sealing-refused");
	let operator = Operator::of_local(folder.path());
	let refused =
		operator.fail(&["--alice", "--sealing", "instant", "--unsafe-force-node-key-generation", "--rpc-port", "0"])?;
	assert!(refused.contains("--dev"), "{refused}");
	Ok(())
}
