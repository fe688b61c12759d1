//! The chain as a wallet sees it: Node.js and polkadot-api, with nothing of ours in between.

use assay_tests::{check_invariants, digit_images, repository, Node, NodeOptions};
use std::process::{Command, Output};

fn run(command: &mut Command, what: &str) -> Output {
	match command.output() {
		Ok(output) => output,
		Err(error) => {
			panic!("{what} cannot be started ({error}): Node.js 20 or later and npm are needed, see scripts/setup")
		}
	}
}

fn said(output: &Output) -> String {
	format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn wallet_should_request_follow_and_read_the_result() -> anyhow::Result<()> {
	let folder = repository().join("tests/wallet");
	if !folder.join("node_modules").is_dir() {
		let installed = run(
			Command::new("npm")
				.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--omit-lockfile-registry-resolved"])
				.current_dir(&folder),
			"npm",
		);
		assert!(installed.status.success(), "npm install failed in {}:\n{}", folder.display(), said(&installed));
	}
	let node = Node::start("wallet", NodeOptions::default());
	let (image, label) = digit_images().swap_remove(11);

	// The wallet takes raw tensor bytes; reading images is not what it is for.
	let chain = node.chain().await?;
	let request = assay_tests::digits_request(&chain, &image, 20).await?;
	let mut command = Command::new("node");
	command.arg("wallet.mjs").current_dir(&folder).env("ASSAY_URL", node.url());
	command.env("ASSAY_MODEL", format!("0x{}", hex::encode(request.model)));
	command.env("ASSAY_INPUT", format!("0x{}", hex::encode(&request.input)));
	command.env("ASSAY_MAX_FEE", request.max_fee.to_string()).env("ASSAY_MAX_OUTPUT", request.max_output.to_string());
	let output = tokio::task::spawn_blocking(move || run(&mut command, "node")).await?;
	assert!(output.status.success(), "wallet.mjs failed:\n{}", said(&output));

	let told: serde_json::Value = serde_json::from_slice(&output.stdout)?;
	assert_eq!(told["class"], label, "{told:#}");
	assert_eq!(told["events"], serde_json::json!(["Requested", "Assigned", "Committed", "Settled"]), "{told:#}");
	assert_eq!(told["pending"], "Pending", "{told:#}");
	assert_eq!(told["settled"], "Settled", "{told:#}");
	check_invariants(&chain).await
}
