//! Keys and stake: what is in the keystore, and what the chain knows of it.

use super::{rpc::Rpc, Findings};
use crate::{
	keys::{entries, folder_trouble, hex, Entry},
	place::Files,
	state::{self, Worker},
};
use assay_primitives::{offchain::Settings, AccountId, Balance, BlockNumber, ServiceKey, OPG};
use assay_runtime::{opaque::SessionKeys, Runtime};
use codec::{Decode, Encode};
use frame_support::traits::Get;
use pallet_session::{KeyOwner, NextKeys, QueuedKeys, Validators};
use serde_json::{json, Value};
use sp_core::crypto::Ss58Codec;
use sp_runtime::traits::OpaqueKeys;
use std::collections::BTreeSet;

/// The most validators whose keys the node is asked for.
const MOST: usize = 200;
/// Something that is due within so many blocks and not done is urgent.
const URGENT: u32 = 5;

/// All checks of keys and stake. The workers whose service keys are here.
pub(super) fn check(rpc: &Rpc, files: &Files, settings: Option<&Settings>, findings: &mut Findings) -> Vec<Worker> {
	let found = match entries(&files.keystore) {
		Ok(found) => found,
		Err(error) => {
			findings.fail("keystore", error, "Run this as the user as whom the node runs");
			return Vec::new();
		}
	};
	let troubles = found.iter().filter_map(Entry::trouble).chain(folder_trouble(&files.keystore));
	let troubles: Vec<_> = troubles.collect();
	let unusable: Vec<_> = found.iter().filter_map(|entry| entry.unusable(&files.chain)).collect();
	for trouble in &unusable {
		findings.fail("keystore", trouble, "Then run this again");
	}
	if troubles.is_empty() && unusable.is_empty() {
		findings.ok(
			"keystore",
			format!("{} keys in {}, for their owner's eyes only", found.len(), files.keystore.display()),
		);
	}
	for trouble in troubles {
		findings.fail("keystore", trouble, "Then make new keys if somebody may have read them (`assay-node keys`)");
	}
	let place = format!("--keystore-path '{}'", files.keystore.display());
	if let Err(error) = check_session(rpc, &found, &place, findings) {
		findings.unknown("session", error);
	}
	check_service(rpc, &found, settings, &place, findings).unwrap_or_else(|error| {
		findings.unknown("worker", error);
		Vec::new()
	})
}

/// The validators whose session keys are here.
fn check_session(rpc: &Rpc, found: &[Entry], place: &str, findings: &mut Findings) -> Result<(), String> {
	let validates =
		rpc.call("system_nodeRoles", json!([]))?.as_array().is_some_and(|roles| roles.contains(&json!("Authority")));
	let active = state::read::<Vec<AccountId>>(rpc, &Validators::<Runtime>::hashed_key())?.unwrap_or_default();
	let kinds = SessionKeys::key_ids();
	let in_force = in_force(rpc)?;
	let signs = |public: &[u8]| in_force.iter().any(|key| key[..] == *public);
	let mut owners = BTreeSet::new();
	let mut strangers = Vec::new();
	let (mut own, mut replaced) = (0, 0);
	for entry in found {
		let Some(kind) = kinds.iter().find(|kind| kind.0 == entry.kind.as_bytes()) else { continue };
		own += 1;
		let public = hex::decode(entry.public.trim_start_matches("0x")).unwrap_or_default();
		match state::read::<AccountId>(rpc, &KeyOwner::<Runtime>::hashed_key_for((*kind, public.clone())))? {
			Some(owner) => {
				owners.insert(owner);
			}
			None if signs(&public) => {
				replaced += 1;
				findings.warn(
					"session",
					format!("the {} key {} is replaced and still in force", entry.kind, entry.public),
					"Keep its file until the session after this one has begun",
				);
			}
			None => strangers.push(entry),
		}
	}
	for owner in &owners {
		let next: Option<SessionKeys> = state::read(rpc, &NextKeys::<Runtime>::hashed_key_for(owner))?;
		let Some(next) = next else { continue };
		let address = owner.to_ss58check();
		let has = |keys: &SessionKeys| {
			let has_one = |kind: &sp_core::crypto::KeyTypeId| {
				let public = hex(keys.get_raw(*kind));
				found.iter().any(|entry| entry.kind.as_bytes() == kind.0 && entry.public == public)
			};
			kinds.iter().all(has_one)
		};
		if !has(&next) {
			findings.fail(
				"session",
				format!("the keystore has some of the session keys of {address}, not all that the chain knows"),
				format!("Make new ones (`assay-node keys generate --rotate --owner {address} {place}`) and submit session.setKeys"),
			);
			continue;
		}
		let queued = state::read::<Vec<(AccountId, SessionKeys)>>(rpc, &QueuedKeys::<Runtime>::hashed_key())?
			.unwrap_or_default();
		let soon = queued.iter().any(|(who, keys)| who == owner && keys.encode() == next.encode());
		match (active.contains(owner), soon && signs(next.get_raw(kinds[0]))) {
			(true, true) => findings.ok("session", format!("this node validates for {address}")),
			(true, false) => findings.warn(
				"session",
				format!("new session keys of {address} are on chain and not yet in force"),
				"Keep the old ones in the keystore for two sessions",
			),
			(false, _) => findings.warn(
				"session",
				format!("the chain knows the session keys of {address}, which is no active validator"),
				"It becomes one when enough stake backs it; with staking, see that it has called staking.validate",
			),
		}
	}
	for entry in strangers {
		findings.warn(
			"session",
			format!("the chain does not know the {} key {}", entry.kind, entry.public),
			"Submit session.setKeys with it (`assay-node keys generate` printed how), or remove its file if it was replaced two sessions ago or more",
		);
	}
	if validates && own == 0 {
		check_memory(rpc, &active, place, findings)?;
	} else if validates && owners.is_empty() && replaced == 0 {
		findings.fail(
			"session",
			"the node runs as a validator, and the chain knows none of its keys",
			"Submit session.setKeys from the validator's account",
		);
	} else if !validates && own > 0 {
		findings.warn(
			"session",
			"there are session keys, and the node runs without --validator",
			"Restart it with --validator",
		);
	} else if !validates {
		findings.ok("session", "the node is no validator");
	}
	Ok(())
}

/// The keys that sign blocks and finality votes in this session.
fn in_force(rpc: &Rpc) -> Result<Vec<[u8; 32]>, String> {
	let mut keys = Vec::new();
	for pallet in [&b"Babe"[..], b"Grandpa"] {
		let key = frame_support::storage::storage_prefix(pallet, b"Authorities");
		let authorities: Vec<([u8; 32], u64)> = state::read(rpc, &key)?.unwrap_or_default();
		keys.extend(authorities.into_iter().map(|(key, _)| key));
	}
	Ok(keys)
}

/// Keys that a flag such as --alice has put into the node's memory.
fn check_memory(rpc: &Rpc, active: &[AccountId], place: &str, findings: &mut Findings) -> Result<(), String> {
	for owner in active.iter().take(MOST) {
		let Some(keys) = state::read::<SessionKeys>(rpc, &NextKeys::<Runtime>::hashed_key_for(owner))? else {
			continue;
		};
		if rpc.call("author_hasSessionKeys", json!([hex(&keys.encode())]))? == Value::Bool(true) {
			findings
				.ok("session", format!("this node validates for {}, with keys in its memory", owner.to_ss58check()));
			return Ok(());
		}
	}
	findings.fail(
		"session",
		"the node runs as a validator and has no session keys",
		format!("Make them: `assay-node keys generate --owner ADDRESS {place}`"),
	);
	Ok(())
}

/// The workers whose service keys are here.
fn check_service(
	rpc: &Rpc,
	found: &[Entry],
	settings: Option<&Settings>,
	place: &str,
	findings: &mut Findings,
) -> Result<Vec<Worker>, String> {
	let keys: Vec<ServiceKey> = found
		.iter()
		.filter(|entry| entry.kind.as_bytes() == assay_primitives::service_key::KEY_TYPE.0)
		.filter_map(|entry| {
			let public = hex::decode(entry.public.trim_start_matches("0x")).ok()?;
			ServiceKey::decode(&mut &public[..]).ok()
		})
		.collect();
	let works = settings.is_some_and(|settings| settings.roles.worker || settings.roles.responder);
	match (works, keys.is_empty()) {
		_ if settings.is_none() => findings.warn(
			"worker",
			"the node keeps to itself which role it plays (--rpc-methods safe)",
			"Its log says it at the start: look for \"This node\"",
		),
		(true, true) => findings.fail(
			"worker",
			"the node plays the role of a worker and has no service key, so it cannot answer",
			format!("Make one: `assay-node keys service {place}`"),
		),
		(false, true) => findings.ok("worker", "the node is no worker's"),
		(false, false) => findings.warn(
			"worker",
			"there is a service key, and the node plays no role",
			"Start it with --roles worker and --engine-url",
		),
		(true, false) => (),
	}
	let workers = state::workers(rpc, &keys)?;
	for key in keys.iter().filter(|key| !workers.iter().any(|worker| worker.key == **key)) {
		findings.warn(
			"worker",
			format!("the chain does not know the service key {}", hex(key.as_ref())),
			format!(
				"Announce it with the worker's account (`assay worker key {}`), or remove its file",
				hex(key.as_ref())
			),
		);
	}
	for worker in &workers {
		check_worker(worker, rpc.best, findings);
	}
	let owed = state::owed(rpc, &workers)?;
	let left = owed.due_by.map(|by| by.saturating_sub(rpc.best));
	let words = format!("{} jobs to answer, {} demands of challengers", owed.jobs, owed.demands);
	match left {
		_ if workers.is_empty() => (),
		Some(left) if left <= URGENT => findings.warn(
			"deadline",
			format!("{words}; the next is due in {left} blocks"),
			"Stake is lost after that: see the engine below, and the node's log",
		),
		Some(left) => findings.ok("deadline", format!("{words}; the next is due in {left} blocks")),
		None => findings.ok("deadline", words),
	}
	Ok(workers)
}

fn check_worker(worker: &Worker, best: BlockNumber, findings: &mut Findings) {
	let address = worker.account.to_ss58check();
	let record = &worker.record;
	let least: Balance = <Runtime as pallet_workers::Config>::MinBond::get();
	let free = record.free();
	let opg = |amount: Balance| amount / OPG;
	if record.bonded < least {
		findings.fail(
			"stake",
			format!("{address} has {} OPG bonded, and gets no jobs below {}", opg(record.bonded), opg(least)),
			"Add stake: `assay worker bond-extra AMOUNT`",
		);
	} else if free == 0 {
		findings.warn(
			"stake",
			format!("all {} OPG of {address} are set aside for {} open jobs", opg(record.bonded), record.open_claims),
			"Wait until some settle, or add stake: `assay worker bond-extra AMOUNT`",
		);
	} else {
		let (bonded, free) = (opg(record.bonded), opg(free));
		findings.ok("stake", format!("{address}: {bonded} OPG bonded, {free} free, {} open jobs", record.open_claims));
	}
	match worker.live_until {
		Some(until) if until <= best => findings.warn(
			"heartbeat",
			format!("{address} has not been heard of since its last heartbeat ended in block {until}, and earns no emission"),
			"Start its node with --roles worker and see that its engine is ready (below)",
		),
		Some(until) => findings.ok("heartbeat", format!("{address} earns emission, up to block {until} by its last one")),
		// Said by the other findings.
		None => (),
	}
	if record.paused {
		findings.warn(
			"worker",
			format!("{address} is paused and gets no jobs"),
			"If its last answer was wrong, find out why first (`assay worker status`); then `assay worker resume`",
		);
	} else if worker.served.is_empty() {
		findings.warn("worker", format!("{address} serves no model"), "Serve one: `assay worker serve MODEL`");
	} else {
		findings.ok("worker", format!("{address} serves {} models with a key that is here", worker.served.len()));
	}
}
