//! The chain as the node sees it: peers, head, finality, clock, history, rules.

use super::{rpc::Rpc, Findings};
use crate::{place::Files, slashing, state};
use assay_primitives::BLOCK_MILLIS;
use assay_runtime::Runtime;
use frame_support::traits::Get;
use serde_json::{json, Value};
use std::time::{SystemTime, UNIX_EPOCH};

/// A head that is older than this, in seconds, is no head.
const OLD_HEAD: i64 = 60;
/// A head may be ahead of the clock by so much, in seconds: two slots.
const EARLY_HEAD: i64 = 2 * BLOCK_MILLIS as i64 / 1_000;
/// Fewer peers than that are few.
const FEW_PEERS: u64 = 3;
/// So many blocks between head and finality are worth a word, and so many are too many.
const LAG: (u32, u32) = (20, 200);

/// All checks of the chain.
pub(super) fn check(rpc: &Rpc, files: &Files, development: bool, findings: &mut Findings) {
	let syncing = check_node(rpc, files, findings);
	check_clock(rpc, syncing, development, findings);
	check_finality(rpc, findings);
	check_history(rpc, findings);
	match slashing::is_armed(rpc) {
		Err(error) => findings.unknown("slashing", error),
		Ok(true) => findings.ok("slashing", "wrong and missing answers cost stake"),
		Ok(false) => findings.warn(
			"slashing",
			"slashing is disarmed: wrong answers cost nothing on this chain, for now",
			"Rely on no answer for value until it is armed",
		),
	}
}

/// Which node it is, and whom it knows. Whether it is still synchronising.
fn check_node(rpc: &Rpc, files: &Files, findings: &mut Findings) -> bool {
	match (rpc.text("system_chain", json!([])), rpc.text("system_version", json!([]))) {
		(Ok(chain), Ok(version)) if chain == files.spec.name() => {
			findings.ok("node", format!("version {version} on {chain}, at block {}", rpc.best))
		}
		(Ok(chain), Ok(_)) => findings.fail(
			"node",
			format!("the node is on {chain}, the files looked at are those of {}", files.spec.name()),
			"Say --chain and --base-path as when you start the node",
		),
		(Err(error), _) | (_, Err(error)) => findings.unknown("node", error),
	}
	let health = match rpc.call("system_health", json!([])) {
		Ok(health) => health,
		Err(error) => {
			findings.unknown("peers", error);
			return false;
		}
	};
	let syncing = health["isSyncing"] == Value::Bool(true);
	let peers = health["peers"].as_u64().unwrap_or_default();
	let words = format!("connected to {peers} other nodes{}", if syncing { ", still synchronising" } else { "" });
	let fix = "See that the machine is online, that the port for other nodes is open, and that --chain and --bootnodes are right";
	match peers {
		_ if health["shouldHavePeers"] == Value::Bool(false) => findings.ok("peers", words),
		0 => findings.fail("peers", words, fix),
		1..FEW_PEERS => findings.warn("peers", words, fix),
		_ => findings.ok("peers", words),
	}
	syncing
}

fn check_clock(rpc: &Rpc, syncing: bool, development: bool, findings: &mut Findings) {
	let head = match state::read::<u64>(rpc, &pallet_timestamp::Now::<Runtime>::hashed_key()) {
		Ok(head) => i64::try_from(head.unwrap_or_default() / 1_000).unwrap_or(i64::MAX),
		Err(error) => return findings.unknown("clock", error),
	};
	let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
	let age = i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(head);
	match age {
		_ if rpc.best == 0 => findings.warn("clock", "there is no block after the first one yet", "See the other findings"),
		_ if development => findings.ok("clock", format!("the newest block is {age} s old; a development chain may have its own time")),
		..0 if age < -EARLY_HEAD => findings.fail(
			"clock",
			format!("the newest block is {} s in the future: this machine's clock is slow", -age),
			"Set the clock (`timedatectl set-ntp true`)",
		),
		..=OLD_HEAD => findings.ok("clock", format!("the newest block is {age} s old")),
		_ if syncing => findings.warn("clock", format!("the newest block is {age} s old"), "Wait until the node has caught up"),
		_ => findings.fail(
			"clock",
			format!("the newest block is {age} s old, and the node does not synchronise"),
			"See that this machine's clock is right, and the peers above. If both are, the chain stands still: ask its validators",
		),
	}
}

fn check_finality(rpc: &Rpc, findings: &mut Findings) {
	let final_number = rpc
		.text("chain_getFinalizedHead", json!([]))
		.and_then(|hash| rpc.call("chain_getHeader", json!([hash])))
		.and_then(|header| rpc.number(&header));
	let lag = match final_number {
		Ok(number) => rpc.best.saturating_sub(number),
		Err(error) => return findings.unknown("finality", error),
	};
	let words = format!("{lag} blocks behind the head");
	let fix = "Validators do not vote: see that yours runs, with its session keys (below)";
	match lag {
		_ if lag >= LAG.1 => findings.fail("finality", words, fix),
		_ if lag >= LAG.0 => findings.warn("finality", words, fix),
		_ => findings.ok("finality", words),
	}
}

/// Whoever defends or checks answers reads blocks as old as a claim can be.
fn check_history(rpc: &Rpc, findings: &mut Findings) {
	let longest: u32 = <Runtime as pallet_workers::Config>::LongestClaim::get();
	let Some(number) = rpc.best.checked_sub(longest).filter(|number| *number > 0) else {
		return findings.ok("history", "the chain is young: all its blocks are needed, and none can be pruned yet");
	};
	let block =
		rpc.text("chain_getBlockHash", json!([number])).and_then(|hash| rpc.call("chain_getBlock", json!([hash])));
	match block {
		Ok(Value::Null) => findings.warn(
			"history",
			format!("block {number} is pruned, and a dispute can reach back {longest} blocks"),
			format!("Watchtowers need those blocks: start the node with --blocks-pruning {} or more", 2 * longest),
		),
		Ok(_) => {
			findings.ok("history", format!("blocks of the last {longest}, as far as a dispute can reach, are kept"))
		}
		Err(error) => findings.unknown("history", error),
	}
}
