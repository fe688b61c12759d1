//! A worker's node is killed between assignment and commit.

use assay_cli::{job, types::JobEvent};
use assay_tests::{
	check_invariants, digit_images, digits_request, follow_job, key, next_block, pass_blocks, request, Engine, Node,
	NodeOptions,
};

/// Blocks that a kill may undo are behind this many others.
const SAFE: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn job_should_complete_once_when_the_node_is_killed_before_the_commit() -> anyhow::Result<()> {
	// The engine is off at first, so that the node cannot be faster than the kill.
	let mut engine = Engine::new("restart-engine");
	let mut node = Node::start("restart", NodeOptions { engine_url: Some(engine.url()), ..Default::default() });
	let (image, label) = digit_images().swap_remove(0);
	let (id, requested_in) = {
		let chain = node.chain().await?;
		let bob = key("//Bob");
		let (id, block) = request(&chain, &bob, &digits_request(&chain, &image, 100).await?).await?;
		follow_job(&chain, id, block, 20, |event| matches!(event, JobEvent::Assigned(_))).await?;
		pass_blocks(&chain, SAFE).await?;
		assert!(matches!(
			job::open(&chain, &chain.best().await?, id).await?.map(|job| job.stage),
			Some(job::Stage::Assigned(_))
		));
		(id, block)
	};

	node.kill();
	engine.start();
	node.restart();

	let chain = node.chain().await?;
	let events = follow_job(&chain, id, requested_in, 80, |event| matches!(event, JobEvent::Settled(_))).await?;
	let count = |wanted: fn(&JobEvent) -> bool| events.iter().filter(|(_, event)| wanted(event)).count();
	assert_eq!(count(|event| matches!(event, JobEvent::Committed(_))), 1, "{events:#?}");
	assert_eq!(count(|event| matches!(event, JobEvent::Settled(_))), 1, "{events:#?}");
	assert_eq!(count(|event| matches!(event, JobEvent::Missed { .. })), 0, "{events:#?}");

	let looked = node.cli().succeed(&["job", &id.to_string()])?;
	assert_eq!(looked["output"]["class"], label, "{looked:#}");

	// A commit that comes too late to count would be in a later block: there is none.
	let mut blocks = chain.follow(chain.best().await?.block_number()).await?;
	for _ in 0..2 {
		let at = next_block(&mut blocks).await?;
		let events = job::events_in(&at.events().fetch().await?)?;
		assert!(events.iter().all(|(_, job, _)| *job != id), "{events:#?}");
	}
	check_invariants(&chain).await
}
