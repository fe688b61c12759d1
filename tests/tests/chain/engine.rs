//! The engine dies while a job runs.

use assay_cli::{chain::Chain, types::JobEvent, worker};
use assay_tests::{
	account, check_invariants, digit_images, digits, digits_request, follow_job, key, pass_blocks, request, Engine,
	Node, NodeOptions,
};
use subxt::utils::AccountId32;

async fn bonded(chain: &Chain, who: &AccountId32) -> anyhow::Result<u128> {
	Ok(worker::status(chain, who).await?.map_or(0, |status| status.bonded))
}

/// The shortest deadline that Charlie takes.
async fn shortest_deadline(chain: &Chain) -> anyhow::Result<u32> {
	let model = digits(chain).await?;
	let at = chain.best().await?;
	let servers = assay_cli::models::servers(chain, &at, &model.id).await?;
	let least: u32 = chain.constant(&at, "Inference", "MinDeadline")?;
	// The draw takes two blocks of it.
	Ok(servers.iter().map(|(_, terms)| terms.min_deadline).max().unwrap_or(0).max(least) + 3)
}

#[tokio::test(flavor = "multi_thread")]
async fn job_should_expire_with_a_refund_or_complete_in_time_when_the_engine_is_killed() -> anyhow::Result<()> {
	let mut engine = Engine::new("engine");
	engine.start();
	let node = Node::start("engine-node", NodeOptions { engine_url: Some(engine.url()), ..Default::default() });
	let chain = node.chain().await?;
	let (bob, charlie) = (key("//Bob"), account("//Charlie"));
	let (image, label) = digit_images().swap_remove(3);

	// The engine works, and then it does not.
	let (id, block) = request(&chain, &bob, &digits_request(&chain, &image, 20).await?).await?;
	follow_job(&chain, id, block, 20, |event| matches!(event, JobEvent::Committed(_))).await?;
	engine.kill();

	// It stays away: the requester has everything back, the worker loses a little, the node goes on and says what is wrong.
	let stake = bonded(&chain, &charlie).await?;
	let penalty: u128 = chain.constant(&chain.best().await?, "Inference", "LivenessPenalty")?;
	let hopeless = digits_request(&chain, &image, shortest_deadline(&chain).await?).await?;
	let (id, block) = request(&chain, &bob, &hopeless).await?;
	let ends = |event: &JobEvent| matches!(event, JobEvent::Expired { .. } | JobEvent::Settled(_));
	let events = follow_job(&chain, id, block, 40, ends).await?;
	let missed = events.iter().find_map(|(_, event)| match event {
		JobEvent::Missed { worker, penalty } => Some((*worker, *penalty)),
		_ => None,
	});
	assert_eq!(missed, Some((charlie, penalty)), "{events:#?}");
	let Some((_, JobEvent::Expired { refund })) = events.last() else { panic!("{events:#?}") };
	assert_eq!(*refund, hopeless.max_fee);
	assert_eq!(bonded(&chain, &charlie).await?, stake - penalty);
	let looked = node.cli().fail(&["job", &id.to_string()])?;
	assert!(looked.contains("ended without an answer"), "{looked}");
	let log = node.log();
	let words = format!("the inference engine at {} does not answer", engine.url());
	assert!(log.contains(&words) && log.contains("see that the engine runs"), "the node's log does not say {words:?}");

	// It comes back in time: the job completes.
	let (id, block) = request(&chain, &bob, &digits_request(&chain, &image, 60).await?).await?;
	follow_job(&chain, id, block, 20, |event| matches!(event, JobEvent::Assigned(_))).await?;
	pass_blocks(&chain, 2).await?;
	engine.start();
	let events = follow_job(&chain, id, block, 60, |event| matches!(event, JobEvent::Committed(_))).await?;
	assert!(!events.iter().any(|(_, event)| matches!(event, JobEvent::Missed { .. })), "{events:#?}");
	let looked = node.cli().succeed(&["job", &id.to_string()])?;
	assert_eq!(looked["output"]["class"], label, "{looked:#}");
	assert_eq!(bonded(&chain, &charlie).await?, stake - penalty);
	check_invariants(&chain).await
}
