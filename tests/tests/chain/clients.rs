//! The chain as others see it: wallets, libraries and a light client, with nothing of ours in between but short scripts.

use assay_cli::{chain::call, worker};
use assay_tests::{account, check_invariants, digit_images, key, repository, Node, NodeOptions};
use serde_json::{json, Value};
use std::{
	fs,
	path::{Path, PathBuf},
	process::Command,
};
use subxt::{
	config::{substrate::H256, SubstrateExtrinsicParamsBuilder},
	rpcs::rpc_params,
};

const OPG: u128 = 1_000_000_000_000_000_000;

/// Whether what was installed is what the repository asks for.
fn is_installed(wanted: &Path, installed: &Path) -> bool {
	fs::read(wanted).is_ok_and(|wanted| fs::read(installed).is_ok_and(|installed| installed == wanted))
}

/// What runs a script; `scripts/setup --test` installs it with its packages.
fn interpreter(script: &str) -> PathBuf {
	let (folder, scripts) = (repository().join("tests/clients"), repository().join("scripts"));
	let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
	let home = || PathBuf::from(std::env::var_os("HOME").expect("a home folder")).join(".cache");
	let (program, installed) = if script.ends_with(".py") {
		let venv = cache.unwrap_or_else(home).join("assay/venv-clients");
		let required = scripts.join("clients.requirements.txt");
		(venv.join("bin/python"), is_installed(&required, &venv.join("clients.installed")))
	} else {
		let lock = folder.join("package-lock.json");
		("node".into(), is_installed(&lock, &folder.join("node_modules/package-lock.installed")))
	};
	assert!(installed, "the packages that tests/clients/{script} needs are not installed: run scripts/setup --test");
	program
}

/// Runs a script of `tests/clients` and returns the object that it prints.
async fn run(script: &'static str, settings: Vec<(&'static str, String)>) -> anyhow::Result<Value> {
	let mut command = Command::new(interpreter(script));
	command.arg(script).current_dir(repository().join("tests/clients")).envs(settings);
	let output = tokio::task::spawn_blocking(move || command.output()).await?;
	let output = output.unwrap_or_else(|error| panic!("{script} cannot be started: {error}"));
	let (told, progress) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
	assert!(output.status.success(), "{script} failed:\n{told}{progress}");
	serde_json::from_str(&told).map_err(|error| anyhow::anyhow!("{script} printed {told:?}: {error}"))
}

/// Runs a script that asks the sample model what is on an image. Returns what it prints, and the digit that is on the image. Scripts take
/// raw tensor bytes; reading images is not what they are for.
async fn ask(script: &'static str, node: &Node) -> anyhow::Result<(Value, u64)> {
	let (image, label) = digit_images().swap_remove(11);
	let request = assay_tests::digits_request(&node.chain().await?, &image, 20).await?;
	let settings = vec![
		("ASSAY_URL", node.url().to_owned()),
		("ASSAY_MODEL", format!("0x{}", hex::encode(request.model))),
		("ASSAY_INPUT", format!("0x{}", hex::encode(&request.input))),
		("ASSAY_MAX_FEE", request.max_fee.to_string()),
		("ASSAY_MAX_OUTPUT", request.max_output.to_string()),
	];
	Ok((run(script, settings).await?, label))
}

#[tokio::test(flavor = "multi_thread")]
async fn polkadot_api_should_request_follow_and_read_the_result() -> anyhow::Result<()> {
	let node = Node::start("polkadot-api", NodeOptions::default());
	let (told, label) = ask("polkadot-api.mjs", &node).await?;
	assert_eq!(told["class"], label, "{told:#}");
	assert_eq!(told["events"], json!(["Requested", "Assigned", "Committed", "Settled"]), "{told:#}");
	assert_eq!(told["pending"], "Pending", "{told:#}");
	assert_eq!(told["settled"], "Settled", "{told:#}");
	check_invariants(&node.chain().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn polkadot_api_should_sign_in_every_way() -> anyhow::Result<()> {
	let node = Node::start("signing", NodeOptions::default());
	let (told, _) = ask("signing.mjs", &node).await?;
	assert_eq!(told["mortality"], (205 * OPG).to_string(), "{told:#}");
	assert_eq!(told["metadataHash"], "BadProof", "{told:#}");
	assert_eq!(told["multisig"], (120 * OPG).to_string(), "{told:#}");
	// The chain says the same to who is asked by other means.
	let chain = node.chain().await?;
	for (name, bonded) in [("//Eve", 205), ("//Ferdie", 300), ("//One", 150), ("//Two", 250)] {
		let worker = worker::status(&chain, &account(name)).await?.unwrap_or_else(|| panic!("{name} is no worker"));
		assert_eq!(worker.bonded, bonded * OPG, "{name}");
	}
	check_invariants(&chain).await
}

#[tokio::test(flavor = "multi_thread")]
async fn polkadot_js_should_show_fees_sign_and_read_well() -> anyhow::Result<()> {
	let node = Node::start("polkadot-js", NodeOptions::default());
	let (told, label) = ask("polkadot-js.mjs", &node).await?;
	assert_eq!(told["class"], label, "{told:#}");
	assert_eq!(told["status"], "Pending", "{told:#}");
	check_invariants(&node.chain().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn python_should_sign_and_read_storage_and_events() -> anyhow::Result<()> {
	let node = Node::start("python", NodeOptions::default());
	let (told, label) = ask("substrate.py", &node).await?;
	assert_eq!(told["class"], label, "{told:#}");
	check_invariants(&node.chain().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn subxt_should_sign_mortal_and_immortal() -> anyhow::Result<()> {
	let node = Node::start("subxt", NodeOptions { no_engine: true, ..NodeOptions::default() });
	let (chain, cli, eve) = (node.chain().await?, node.cli(), key("//Eve"));

	let bonded = cli.succeed(&["worker", "bond", "200", "--account", "//Eve"])?;
	let block = bonded["block"].as_u64().expect("the block of the transaction");
	let hash = chain.at_number(block).await?.block_hash();
	assert!(is_mortal(&signed_in(&chain, hash).await?), "the command line client signs for ever");

	let nonce = chain.next_nonce(&account("//Eve")).await?;
	let at = chain.best().await?;
	let extra = call("Workers", "bond_extra", [("amount", subxt::dynamic::Value::u128(5 * OPG))]);
	let params = SubstrateExtrinsicParamsBuilder::new().nonce(nonce).immortal().build();
	let immortal = at.tx().create_signable_offline(&extra, params)?.sign(&eve)?.into_encoded();
	let included = chain.submit_encoded(&immortal).await?;
	assert!(!is_mortal(&signed_in(&chain, included.hash).await?), "an immortal transaction has an era");

	let worker = worker::status(&chain, &account("//Eve")).await?.expect("a worker");
	assert_eq!(worker.bonded, 205 * OPG);
	check_invariants(&chain).await
}

/// The one signed transaction of a block, without its length.
async fn signed_in(chain: &assay_cli::chain::Chain, block: H256) -> anyhow::Result<Vec<u8>> {
	/// Version 4, signed.
	const SIGNED: u8 = 0x84;
	let block = chain.rpc().chain_get_block(Some(block)).await?.expect("a block that was just made");
	let bodies = block.block.extrinsics.iter().map(|extrinsic| {
		let length = [1, 2, 4][usize::from(extrinsic.0[0] & 3)];
		extrinsic.0[length..].to_vec()
	});
	let signed: Vec<_> = bodies.filter(|body| body[0] == SIGNED).collect();
	anyhow::ensure!(signed.len() == 1, "{} signed transactions are in the block", signed.len());
	Ok(signed.concat())
}

/// Whether a signed transaction names an era. It stands behind the version, the address and an sr25519 signature; none of the extensions
/// before it takes a byte.
fn is_mortal(signed: &[u8]) -> bool {
	signed[1 + 33 + 65] != 0
}

#[tokio::test(flavor = "multi_thread")]
async fn json_rpc_should_have_the_groups_that_programs_rely_on() -> anyhow::Result<()> {
	let node = Node::start("rpc", NodeOptions { no_engine: true, ..NodeOptions::default() });
	let chain = node.chain().await?;
	assay_tests::finalised(&chain, 2).await?;
	let told = run("rpc.mjs", vec![("ASSAY_URL", node.url().to_owned())]).await?;
	assert!(told["finalised"].as_u64() >= Some(2), "{told:#}");
	check_invariants(&chain).await
}

/// A block that a light client takes for final.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Head {
	pub(crate) number: u64,
	pub(crate) hash: String,
}

/// What a light client that is told a raw chain spec sees become final: so many blocks, one after another.
pub(crate) async fn follow_lightly(spec: &Path, heads: usize) -> anyhow::Result<Vec<Head>> {
	let settings = vec![("ASSAY_SPEC", spec.display().to_string()), ("ASSAY_HEADS", heads.to_string())];
	let told = run("light.mjs", settings).await?;
	let seen: Vec<Head> = serde_json::from_value(told["finalised"].clone())?;
	assert_eq!(seen.len(), heads, "{told:#}");
	Ok(seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn light_client_should_follow_finality() -> anyhow::Result<()> {
	const HEADS: usize = 4;
	let node = Node::start("light", NodeOptions { no_engine: true, ..NodeOptions::default() });
	let chain = node.chain().await?;
	let addresses: Vec<String> = chain.raw().request("system_localListenAddresses", rpc_params![]).await?;
	for head in follow_lightly(&node.spec(&addresses), HEADS).await? {
		assert_eq!(head.hash, format!("{:?}", chain.at_number(head.number).await?.block_hash()));
	}
	check_invariants(&chain).await
}
