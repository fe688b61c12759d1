//! The inference engine.

use super::{
	machine::{listens_everywhere, port_of},
	rpc::Rpc,
	Findings,
};
use crate::state::{self, Worker};
use assay_primitives::{model::byte_len, ModelId};
use assay_runtime::Runtime;
use hyper::Method;
use sp_runtime::traits::{BlakeTwo256, Hash};
use std::{
	collections::BTreeSet,
	time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// So long one inference is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is said of an engine that takes longer.
const BUSY: &str = "it is busy, or takes longer than 20 s";

/// Whether the engine runs, has the models that the workers serve, and computes.
pub(super) fn check(rpc: &Rpc, url: Option<&str>, workers: &[Worker], infer: bool, findings: &mut Findings) {
	let Some(url) = url else {
		if workers.is_empty() {
			findings.ok("engine", "none is needed: the node plays no role");
		} else {
			findings.fail(
				"engine",
				"a worker's service key is here, and the node knows no engine",
				"Start the node with --engine-url and --roles worker",
			);
		}
		return;
	};
	let start = Instant::now();
	match rpc.send(Method::GET, &format!("{url}/v2/health/ready"), "application/json", Vec::new()) {
		Ok(reply) if reply.status == 200 => {
			findings.ok("engine", format!("{url} is ready ({} ms)", start.elapsed().as_millis()))
		}
		Ok(reply) => {
			let words = format!("{url} is not ready (HTTP status {})", reply.status);
			return findings.fail("engine", words, "See its log: it is starting or stopping");
		}
		Err(error) => {
			let words = format!("{url} does not answer: {error}");
			return findings.fail("engine", words, "Start it (`assay-engine serve`), or correct --engine-url");
		}
	}
	if port_of(url).is_some_and(listens_everywhere) {
		findings.warn(
			"engine",
			"the engine listens on all interfaces, and asks nobody for a password",
			"Start it with --listen 127.0.0.1:8080, or close the port in the firewall",
		);
	}
	let models: BTreeSet<ModelId> = workers.iter().flat_map(|worker| worker.served.iter().copied()).collect();
	for model in models {
		check_model(rpc, url, model, infer, findings);
	}
}

fn check_model(rpc: &Rpc, url: &str, model: ModelId, infer: bool, findings: &mut Findings) {
	let id = hex::encode(model);
	let fix = || format!("Import it (`assay-engine import`), or stop serving it (`assay worker stop 0x{id}`)");
	match rpc.send(Method::GET, &format!("{url}/v2/models/{id}/ready"), "application/json", Vec::new()) {
		Ok(reply) if reply.status == 200 => (),
		Ok(reply) if reply.status != 404 => {
			let words = format!("the engine does not say whether it has 0x{id} (HTTP status {})", reply.status);
			return findings.warn("model", words, "It may be busy: see its log, and run this again");
		}
		Ok(reply) => {
			let words = String::from_utf8_lossy(&reply.body).chars().take(200).collect::<String>();
			return findings.fail(
				"model",
				format!("0x{id} is served on chain, and the engine does not have it: {words}"),
				fix(),
			);
		}
		Err(error) => return findings.unknown("model", error),
	}
	if !infer {
		return findings.ok("model", format!("the engine has 0x{id}"));
	}
	match try_out(rpc, url, model) {
		Ok(words) => findings.ok("model", format!("the engine has 0x{id}, and {words}")),
		Err(error) if error == BUSY => findings.warn(
			"model",
			format!("the engine has 0x{id}, and {error}"),
			"See that the deadlines you take (`assay worker serve --min-deadline`) allow for that",
		),
		Err(error) => findings.fail("model", format!("the engine has 0x{id}, and cannot run it: {error}"), fix()),
	}
}

/// Runs one inference on zeros, under a key that no job has.
fn try_out(rpc: &Rpc, url: &str, model: ModelId) -> Result<String, String> {
	let key = pallet_models::Models::<Runtime>::hashed_key_for(model);
	let record: Option<pallet_models::ModelRecordOf<Runtime>> = state::read(rpc, &key)?;
	let header = record.ok_or("the chain does not know it")?.header;
	let long = |length: Option<u32>| length.and_then(|length| usize::try_from(length).ok());
	let (Some(input), Some(output)) = (long(byte_len(&header.inputs)), long(byte_len(&header.outputs))) else {
		return Err("its tensors are longer than a job can be".into());
	};
	let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
	let key = hex::encode(BlakeTwo256::hash(format!("assay/doctor/{now}").as_bytes()));
	let address = format!("{url}/assay/v1/jobs/{key}?model={}&wait_ms=2000", hex::encode(model));
	let start = Instant::now();
	loop {
		let reply = rpc.send(Method::PUT, &address, "application/octet-stream", vec![0; input])?;
		let took = start.elapsed();
		match reply.status {
			200 if reply.body.len() == output => return Ok(format!("ran it in {} ms", took.as_millis())),
			200 => return Err(format!("its output has {} bytes instead of {output}", reply.body.len())),
			202 if took < PATIENCE => (),
			202 | 503 => return Err(BUSY.into()),
			422 => return Ok("refuses an input of zeros, as a model may".into()),
			status => {
				let words = String::from_utf8_lossy(&reply.body).chars().take(200).collect::<String>();
				return Err(format!("HTTP status {status}: {words}"));
			}
		}
	}
}
