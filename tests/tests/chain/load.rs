//! More than fits.

use assay_cli::chain::{call, rejected, Call, Refused};
use assay_tests::{check_invariants, key, next_block, pool, Node, NodeOptions, NO_BLOCK};
use std::{
	collections::BTreeMap,
	sync::{
		atomic::{AtomicBool, Ordering},
		Arc,
	},
};
use subxt::{dynamic::Value, rpcs::rpc_params};

/// What ordinary transactions may take of a block, in bytes.
const BLOCK: usize = 3 * 1024 * 1024;
/// What each of the transactions carries, in bytes.
const REMARK: usize = 96 * 1024;
/// Ten times what a block holds.
const TRANSACTIONS: usize = 10 * BLOCK / REMARK;
/// Who sends them, in turns.
const SENDERS: [&str; 8] = ["//Alice", "//Bob", "//Dave", "//Eve", "//Ferdie", "//One", "//Two", "//Alice//stash"];
/// The pool holds so much of them, in KiB: a fifth.
const POOL: usize = 2 * BLOCK / 1024;
/// What was taken is in blocks after so many.
const LIMIT: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn node_should_live_through_ten_times_what_a_block_holds() -> anyhow::Result<()> {
	let options = NodeOptions { no_engine: true, pool_kbytes: Some(POOL), ..Default::default() };
	let node = Node::start("load", options);
	let chain = node.chain().await?;

	// Somebody else asks how it is, over and over.
	let done = Arc::new(AtomicBool::new(false));
	let asked = tokio::spawn({
		let (chain, done) = (node.chain().await?, done.clone());
		async move {
			let mut times = 0;
			while !done.load(Ordering::Relaxed) {
				let health = chain.raw().request::<serde_json::Value>("system_health", rpc_params![]);
				tokio::time::timeout(NO_BLOCK, health).await.expect("the node answers")?;
				times += 1;
			}
			anyhow::Ok(times)
		}
	});

	let mut refused = BTreeMap::<String, usize>::new();
	let mut nonces = BTreeMap::new();
	for number in 0..TRANSACTIONS {
		let who = SENDERS[number % SENDERS.len()];
		let nonce = nonces.entry(who).or_insert(0u64);
		let remark = call("System", "remark", [("remark", Value::from_bytes(vec![number as u8; REMARK]))]);
		let at = chain.best().await?;
		let bytes = chain.sign_at(&at, &key(who), &remark, *nonce)?;
		let sent = chain.raw().request::<String>("author_submitExtrinsic", rpc_params![hex(&bytes)]).await;
		match sent {
			Ok(_) => *nonce += 1,
			Err(error) => *refused.entry(name(rejected(error))).or_default() += 1,
		}
	}
	let taken: u64 = nonces.values().sum();
	println!("{taken} of {TRANSACTIONS} transactions of {REMARK} bytes were taken; refused: {refused:?}");
	assert!(refused.contains_key("Transaction.ImmediatelyDropped"), "nothing was too much: {refused:?}");
	assert!(refused.keys().all(|name| name.starts_with("Transaction.")), "refused without a name: {refused:?}");

	// It recovers: what was taken ends in blocks, and there is room again.
	let mut blocks = chain.follow(0).await?;
	for block in 0.. {
		assert!(block < LIMIT, "{} transactions still wait after {LIMIT} blocks", pool(&chain).await?.len());
		next_block(&mut blocks).await?;
		if pool(&chain).await?.is_empty() {
			break;
		}
	}
	chain.submit(&key("//Bob"), &transfer()).await?;
	done.store(true, Ordering::Relaxed);
	let times = asked.await??;
	println!("the node said {times} times how it was");
	check_invariants(&chain).await
}

fn transfer() -> Call {
	let to = Value::unnamed_variant("Id", [Value::from_bytes(assay_tests::account("//Eve").0)]);
	call("Balances", "transfer_keep_alive", [("dest", to), ("value", Value::u128(1_000_000_000_000_000_000))])
}

fn hex(bytes: &[u8]) -> String {
	format!("0x{}", hex::encode(bytes))
}

/// The name of the error with which a transaction was refused.
fn name(error: anyhow::Error) -> String {
	match error.downcast_ref::<Refused>() {
		Some(refused) => refused.name.clone().unwrap_or_else(|| refused.text.clone()),
		None => panic!("not refused in words, but: {error:#}"),
	}
}
