//! What the owner of a model and others can change about what stands on the chain, by the command line.

use assay_tests::{check_invariants, digit_images, Node, NodeOptions};

#[tokio::test(flavor = "multi_thread")]
async fn model_should_change_for_its_owner_only_and_say_so() -> anyhow::Result<()> {
	let node = Node::start("owner", NodeOptions { no_engine: true, ..Default::default() });
	let cli = node.cli();
	let refused = cli.fail(&["models", "price", "digits", "0.05", "--account", "//Bob"])?;
	assert!(refused.contains("Models.NotOwner"), "{refused}");
	cli.succeed(&["models", "price", "digits", "0.05", "--account", "//Dave"])?;
	let shown = cli.succeed(&["models", "show", "digits"])?;
	assert_eq!(shown["price"], "50000000000000000", "{shown:#}");

	let refused = cli.fail(&["models", "remove", "digits", "--account", "//Dave"])?;
	assert!(refused.contains("Models.ModelActive"), "{refused}");
	cli.succeed(&["models", "deprecate", "digits", "--account", "//Dave"])?;
	let (image, _) = digit_images().swap_remove(0);
	let refused = cli.fail(&["infer", "digits", image.to_str().expect("UTF-8"), "--account", "//Bob"])?;
	assert!(refused.contains("takes no new requests"), "{refused}");
	check_invariants(&node.chain().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_should_be_shown_with_what_it_earns_and_owes() -> anyhow::Result<()> {
	let node = Node::start("worker-status", NodeOptions { no_engine: true, ..Default::default() });
	let cli = node.cli();
	let shown = cli.succeed(&["worker", "status", "//Charlie"])?;
	assert!(shown["live_until"].as_u64() > Some(0) && shown["slashes"] == serde_json::json!([]), "{shown:#}");
	assert!(shown["next_deadline"].is_null() && shown["suspended_until"].is_null(), "{shown:#}");
	assert_eq!(shown["own"], shown["bonded"], "{shown:#}");
	let era = cli.succeed(&["rewards", "era"])?;
	assert!(era["apy_estimate"].as_str().is_some_and(|apy| apy.len() > 3), "{era:#}");

	// A change of one of the terms leaves the others as they are.
	let terms = |status: &serde_json::Value| status["services"][0].clone();
	cli.succeed(&["worker", "serve", "digits", "--min-deadline", "7", "--account", "//Charlie"])?;
	let after = cli.succeed(&["worker", "status", "//Charlie"])?;
	let mut expected = terms(&shown);
	expected["min_deadline"] = 7.into();
	assert_eq!(terms(&after), expected);

	for (command, words) in [
		(&["job", "0", "--cancel", "--account", "//Bob"][..], "Inference.JobNotFound"),
		(&["worker", "withdraw", "//Charlie", "--account", "//Bob"], "Workers.NothingToWithdraw"),
	] {
		let refused = cli.fail(command)?;
		assert!(refused.contains(words), "{refused}");
	}
	check_invariants(&node.chain().await?).await
}
