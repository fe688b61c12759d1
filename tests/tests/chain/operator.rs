//! An operator's day: keys, the doctor, metrics, snapshots, and what strangers can do over JSON-RPC.

use assay_tests::{
	check_invariants, digit_images, digits_request, free_address, get, key, pass_blocks, request, Engine, Folder,
	Local, Node, NodeOptions, Operator,
};
use serde_json::Value;
use std::{collections::BTreeMap, fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path, time::Duration};
use subxt::rpcs::{client::RpcParams, rpc_params};

/// Fast blocks, so that nobody waits for long.
fn fast(more: &[&str]) -> NodeOptions {
	let arguments = ["--sealing", "200"].iter().chain(more).map(|argument| (*argument).to_owned()).collect();
	NodeOptions { arguments, ..Default::default() }
}

fn http(node: &Node) -> String {
	node.url().replace("ws://", "http://")
}

#[test]
fn keys_should_be_made_once_shown_without_secrets_and_rotated_on_request() -> anyhow::Result<()> {
	let folder = Folder::new("keys");
	let operator = Operator::of_local(folder.path());
	let owner = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
	let generate = ["keys", "generate", "--owner", owner, "--json"];
	let made = operator.succeed(&generate)?;
	let public = made["public"].as_array().expect("a list").clone();
	assert!(public.len() >= 2, "{made:#}");
	// What is submitted is the keys one after the other.
	let all: String = public.iter().map(|key| key["public"].as_str().expect("hex").trim_start_matches("0x")).collect();
	assert_eq!(made["keys"].as_str().expect("hex").trim_start_matches("0x").len(), all.len());
	let keystore = Path::new(made["keystore"].as_str().expect("a path"));
	for file in fs::read_dir(keystore)? {
		assert_eq!(file?.metadata()?.permissions().mode() & 0o777, 0o600);
	}
	assert_eq!(fs::metadata(keystore)?.permissions().mode() & 0o777, 0o700);

	let refused = operator.fail(&generate)?;
	assert!(refused.contains("--rotate"), "{refused}");
	let rotated = operator.succeed(&["keys", "generate", "--owner", owner, "--json", "--rotate"])?;
	assert_ne!(rotated["keys"], made["keys"]);
	assert_eq!(rotated["old"].as_array().map(Vec::len), Some(public.len()));

	// No secret is said, unless somebody asks.
	let told = operator.succeed(&["keys", "service", "--json"])?;
	let shown = operator.succeed(&["keys", "show", "--json"])?;
	let secrets: Vec<String> = fs::read_dir(keystore)?
		.map(|file| Ok(serde_json::from_str(&fs::read_to_string(file?.path())?)?))
		.collect::<anyhow::Result<_>>()?;
	for secret in &secrets {
		for said in [&made, &rotated, &told, &shown] {
			assert!(!said.to_string().contains(secret));
		}
	}
	assert_eq!(shown["keys"].as_array().map(Vec::len), Some(2 * public.len() + 1));
	let asked = operator.succeed(&["keys", "service", "--json", "--rotate", "--print-secret"])?;
	assert_eq!(asked["secrets"][0].as_str().map(|secret| secret.split(' ').count()), Some(12), "{asked:#}");

	// A secret of one's own comes from a file or from standard input, and a useless one is not repeated.
	let of_seed = ["keys", "service", "--json", "--rotate", "--seed-file", "-"];
	let output = operator.run_with_input(&of_seed, "//Ferdie//rosa//service\n")?;
	let expected = format!("0x{}", hex::encode(key("//Ferdie//rosa//service").public_key().0));
	assert_eq!(output.json["public"], expected, "{}", output.stderr);
	let output = operator.run_with_input(&of_seed, "very wrong words")?;
	assert!(output.code == 1 && !output.stderr.contains("very wrong"), "{}", output.stderr);
	Ok(())
}

/// What the doctor found, by check. The worst finding of each.
fn findings(output: &Value) -> BTreeMap<String, (String, String)> {
	let rank = |level: &str| ["ok", "warn", "fail"].iter().position(|known| *known == level).expect("a level");
	let mut worst: BTreeMap<String, (String, String)> = BTreeMap::new();
	for finding in output["findings"].as_array().unwrap_or_else(|| panic!("no findings: {output:#}")) {
		let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
		let entry = worst.entry(text("check")).or_insert_with(|| (text("level"), text("words")));
		if rank(&text("level")) > rank(&entry.0) {
			*entry = (text("level"), text("words"));
		}
	}
	worst
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_should_find_nothing_on_a_sound_node_and_everything_that_is_broken() -> anyhow::Result<()> {
	let mut engine = Engine::new("doctor-engine");
	engine.start();
	let node = Node::start("doctor", NodeOptions { engine_url: Some(engine.url()), ..fast(&[]) });
	let chain = node.chain().await?;
	pass_blocks(&chain, 4).await?;
	let operator = Operator::of_dev(&node.base_path());
	let url = http(&node);
	let doctor = ["doctor", "--json", "--url", &url];
	let sound = operator.succeed(&doctor)?;
	assert_eq!(sound["ok"], true);
	let found = findings(&sound);
	for check in
		["node", "peers", "clock", "finality", "history", "slashing", "session", "worker", "stake", "engine", "model"]
	{
		assert_eq!(found.get(check).map(|(level, _)| level.as_str()), Some("ok"), "{check}: {sound:#}");
	}
	assert!(found["model"].1.contains("ran it"), "{sound:#}");

	// The engine is gone, a service key is a stranger's, and a secret lies open.
	engine.kill();
	let made = operator.succeed(&["keys", "service", "--rotate", "--json"])?;
	let keystore = Path::new(made["keystore"].as_str().expect("a path"));
	let file = fs::read_dir(keystore)?.next().expect("a key")?.path();
	fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
	let output = operator.run(&doctor)?;
	assert_eq!((output.code, &output.json["ok"]), (1, &Value::Bool(false)), "{}", output.stderr);
	let found = findings(&output.json);
	assert_eq!(found["engine"].0, "fail");
	assert_eq!(found["keystore"].0, "fail");
	assert_eq!(found["worker"].0, "warn");
	assert!(found["worker"].1.contains(made["public"].as_str().expect("hex")), "{found:#?}");

	// The worker makes the key known: then the old one is the stranger.
	let announced = made["public"].as_str().expect("hex").to_owned();
	node.cli().succeed(&["worker", "key", &announced, "--account", "//Charlie"])?;
	let found = findings(&operator.run(&doctor)?.json);
	assert!(!found["worker"].1.contains(&announced), "{found:#?}");

	// Nobody is there.
	let nobody = format!("http://{}", free_address());
	let output = operator.run(&["doctor", "--json", "--url", &nobody])?;
	assert_eq!((output.code, findings(&output.json)["node"].0.as_str()), (1, "fail"));
	Ok(())
}

/// The values on a Prometheus endpoint, by name and labels, without the label that names the chain.
fn metrics(address: SocketAddr) -> anyhow::Result<BTreeMap<String, f64>> {
	let text = get(address, "/metrics")?;
	let lines = text.lines().filter(|line| line.starts_with("assay_"));
	let parsed = lines.filter_map(|line| {
		let (name, value) = line.rsplit_once(' ')?;
		let name = name.replace("chain=\"assay_dev\",", "").replace("{chain=\"assay_dev\"}", "");
		Some((name.replace(",chain=\"assay_dev\"", ""), value.parse().ok()?))
	});
	Ok(parsed.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_should_tell_an_operator_what_its_worker_does_and_owes() -> anyhow::Result<()> {
	let mut engine = Engine::new("metrics-engine");
	engine.start();
	let address = free_address();
	let port = address.port().to_string();
	let options = NodeOptions { engine_url: Some(engine.url()), ..fast(&["--prometheus-port", &port]) };
	let node = Node::start("metrics", options);
	let chain = node.chain().await?;
	let (image, _) = digit_images().swap_remove(2);
	let image = image.to_str().expect("UTF-8").to_owned();
	node.cli().succeed(&["infer", "digits", &image, "--account", "//Bob"])?;
	pass_blocks(&chain, 4).await?;
	let seen = metrics(address)?;
	let worker = "assay_worker_stake_opg{worker=\"5FLSigC9HGRKVhB9FiEo4Y3koPsNmBmLJbpXg2mp1hXcS59Y\"}";
	for (name, value) in [
		("assay_jobs_assigned_total", 1.0),
		("assay_jobs_answered_total", 1.0),
		("assay_jobs_late_total", 0.0),
		("assay_claims_open", 0.0),
		("assay_value_at_risk_opg", 0.0),
		("assay_demands_unanswered", 0.0),
		("assay_demand_oldest_blocks", 0.0),
		("assay_deadline_blocks", -1.0),
		("assay_offchain_errors_total{kind=\"engine_unreachable\"}", 0.0),
		("assay_engine_up", 1.0),
		("assay_service_keys", 1.0),
		("assay_worker_paused", 0.0),
		("assay_slashing_armed", 1.0),
	] {
		assert_eq!(seen.get(name), Some(&value), "{name}: {seen:#?}");
	}
	assert!(seen["assay_engine_latency_seconds"] > 0.0, "{seen:#?}");
	assert!(seen.get(worker).is_some_and(|stake| *stake >= 100.0), "{seen:#?}");

	// The engine goes away with a job in hand.
	engine.kill();
	let image = Path::new(&image).to_path_buf();
	request(&chain, &key("//Bob"), &digits_request(&chain, &image, 100).await?).await?;
	pass_blocks(&chain, 10).await?;
	let seen = metrics(address)?;
	assert_eq!(seen["assay_jobs_assigned_total"], 2.0, "{seen:#?}");
	assert_eq!((seen["assay_engine_up"], seen["assay_claims_open"]), (0.0, 1.0), "{seen:#?}");
	assert!(seen["assay_value_at_risk_opg"] > 0.0 && seen["assay_deadline_blocks"] > 0.0, "{seen:#?}");
	assert!(seen["assay_offchain_errors_total{kind=\"engine_unreachable\"}"] > 0.0, "{seen:#?}");
	Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn chain_should_go_on_elsewhere_from_a_snapshot() -> anyhow::Result<()> {
	let mut node = Node::start("snapshot", fast(&[]));
	let folder = Folder::new("snapshot-file");
	let file = folder.path().join("chain.snapshot");
	let file = file.to_str().expect("UTF-8");
	let operator = Operator::of_dev(&node.base_path());
	let (number, hash) = {
		let chain = node.chain().await?;
		pass_blocks(&chain, 12).await?;
		// The kill may undo the last blocks.
		let at = chain.at_number(6_u64).await?;
		(at.block_number(), at.block_hash())
	};
	let running = operator.fail(&["snapshot", "export", file])?;
	assert!(running.contains("stop the node"), "{running}");
	node.kill();
	operator.succeed(&["snapshot", "export", file])?;
	let again = operator.fail(&["snapshot", "export", file])?;
	assert!(again.contains("exists"), "{again}");

	// Not onto a chain that is there, not onto another chain.
	let there = operator.fail(&["snapshot", "import", file])?;
	assert!(there.contains("already"), "{there}");
	let elsewhere = Folder::new("snapshot-elsewhere");
	let other = Operator::of_local(elsewhere.path()).fail(&["snapshot", "import", file])?;
	assert!(other.contains("first block"), "{other}");

	let mut copy = Node::start("snapshot-copy", NodeOptions { no_engine: true, ..fast(&[]) });
	copy.kill();
	fs::remove_dir_all(copy.base_path())?;
	Operator::of_dev(&copy.base_path()).succeed(&["snapshot", "import", file])?;
	let keystore = copy.base_path().join("chains/assay_dev/keystore");
	assert!(!keystore.exists(), "a snapshot holds no keys");
	copy.restart();
	let chain = copy.chain().await?;
	let found = chain.rpc().chain_get_block_hash(Some(u32::try_from(number)?.into())).await?;
	assert_eq!(found, Some(hash));
	pass_blocks(&chain, 3).await?;
	check_invariants(&chain).await
}

/// Makes sure that a node refuses what strangers must not do to it, and answers what they may ask.
async fn refuse_strangers(node: &Node, more: &[(&str, RpcParams)]) -> anyhow::Result<()> {
	let chain = node.chain().await?;
	let zero = format!("0x{}", "00".repeat(32));
	let methods = [
		("author_insertKey", rpc_params!["asvc", "//Mallory", &zero]),
		("author_rotateKeys", rpc_params![]),
		("author_rotateKeysWithOwner", rpc_params![&zero]),
		("author_hasKey", rpc_params![&zero, "asvc"]),
		("author_hasSessionKeys", rpc_params![&zero]),
		("author_removeExtrinsic", rpc_params![Vec::<String>::new()]),
		("offchain_localStorageSet", rpc_params!["PERSISTENT", "0x6173736179", "0x00"]),
		("offchain_localStorageGet", rpc_params!["PERSISTENT", "0x6173736179"]),
		("offchain_localStorageClear", rpc_params!["PERSISTENT", "0x6173736179"]),
		("system_addReservedPeer", rpc_params!["/ip4/127.0.0.1/tcp/1"]),
		("system_removeReservedPeer", rpc_params!["12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"]),
		("system_peers", rpc_params![]),
		("system_unstable_networkState", rpc_params![]),
		("system_addLogFilter", rpc_params!["trace"]),
		("system_resetLogFilter", rpc_params![]),
		("system_dryRun", rpc_params!["0x00"]),
		("state_traceBlock", rpc_params![&zero]),
	];
	for (method, parameters) in methods.iter().chain(more) {
		let refused = chain.raw().request::<Value>(method, parameters.clone()).await.expect_err(method).to_string();
		assert!(refused.contains("unsafe"), "{method}: {refused}");
	}
	// What a client needs is answered.
	let health: Value = chain.raw().request("system_health", rpc_params![]).await?;
	assert_eq!(health["peers"], 0, "{health}");

	// Longer than a megabyte is too long.
	let long = format!("0x{}", "00".repeat(1 << 20));
	chain.raw().request::<Value>("author_submitExtrinsic", rpc_params![long]).await.expect_err("too long");
	Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_should_be_refused_what_changes_the_node() -> anyhow::Result<()> {
	let limits = ["--rpc-max-request-size", "1", "--rpc-max-connections", "8"];
	let arguments = |more: &[&str]| more.iter().chain(&limits).map(|argument| (*argument).to_owned()).collect();

	// A node that the whole world may ask refuses by itself.
	let options = NodeOptions {
		local: Some(Local::default()),
		arguments: arguments(&["--rpc-external", "--rpc-cors", "all"]),
		..Default::default()
	};
	refuse_strangers(&Node::start("strangers-outside", options), &[]).await?;

	let arguments = arguments(&["--sealing", "manual", "--rpc-methods", "safe"]);
	let node = Node::start("strangers", NodeOptions { arguments, ..Default::default() });
	let zero = format!("0x{}", "00".repeat(32));
	let sealing = [("engine_createBlock", rpc_params![true, true]), ("engine_finalizeBlock", rpc_params![&zero])];
	refuse_strangers(&node, &sealing).await?;

	// More connections than eight are too many, and room comes back.
	let mut open = Vec::new();
	for _ in 0..8 {
		if let Ok(chain) = node.chain().await {
			open.push(chain);
		}
	}
	assert!(open.len() >= 7, "{}", open.len());
	if open.len() == 8 {
		let refused = tokio::time::timeout(Duration::from_secs(20), node.chain()).await;
		assert!(!matches!(refused, Ok(Ok(_))), "a ninth connection was taken");
	}
	open.clear();
	let since = std::time::Instant::now();
	while node.chain().await.is_err() {
		assert!(since.elapsed() < Duration::from_secs(20), "no connection is free though all were closed");
		tokio::time::sleep(Duration::from_millis(100)).await;
	}
	// Nothing that was tried has changed the node.
	assert_eq!(node.chain().await?.best().await?.block_number(), 0);
	Ok(())
}
