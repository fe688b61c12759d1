//! What a worker's operator wants to see on a dashboard and be woken up for, on the node's Prometheus endpoint.
//!
//! Everything is about the workers whose service keys are in this node's keystore. Gauges are read from the state of the best block
//! at the start and after each import at the head of the chain. Counters count the events of the blocks that become part of the best chain while the node runs: the blocks of
//! the initial synchronisation are not among them, and after a restart they begin at zero. A counter never falls: what was counted in a
//! block that a reorganisation retracts stays counted, and the blocks that take its place are counted, too. Errors of the
//! off-chain workers are counted by themselves and over restarts (`assay_primitives::offchain::ErrorKind`).

use crate::{
	client_state::ClientState,
	http,
	service::FullClient,
	slashing,
	state::{self, State, Worker},
	worker,
};
use assay_primitives::{offchain::ErrorKind, AccountId, Balance, BlockNumber, ServiceKey, OPG};
use assay_runtime::{Hash, Runtime, RuntimeEvent};
use codec::Decode;
use futures::StreamExt;
use sc_client_api::BlockchainEvents;
use sp_blockchain::HeaderBackend;
use sp_core::{
	crypto::Ss58Codec,
	offchain::{OffchainStorage, STORAGE_PREFIX},
};
use sp_keystore::KeystorePtr;
use std::{
	collections::BTreeSet,
	sync::Arc,
	time::{Duration, Instant},
};
use substrate_prometheus_endpoint::{
	register, Counter, CounterVec, Gauge, GaugeVec, Opts, PrometheusError, Registry, F64, I64, U64,
};

/// The engine is asked whether it is ready every this many blocks.
const PROBE_EVERY: BlockNumber = 3;
/// An engine that does not answer within this time is taken for down.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// The metrics, by their names.
struct Metrics {
	jobs_assigned: Counter<U64>,
	jobs_answered: Counter<U64>,
	jobs_late: Counter<U64>,
	claims_open: Gauge<U64>,
	value_at_risk: Gauge<F64>,
	demands_unanswered: Gauge<U64>,
	demand_oldest: Gauge<U64>,
	deadline: Gauge<I64>,
	live: Gauge<I64>,
	offchain_errors: CounterVec<U64>,
	engine_up: Gauge<U64>,
	engine_latency: Gauge<F64>,
	service_keys: Gauge<U64>,
	worker_paused: Gauge<U64>,
	slashing_armed: Gauge<U64>,
	worker_stake: GaugeVec<F64>,
}

impl Metrics {
	fn register(registry: &Registry) -> Result<Self, PrometheusError> {
		let counter = |name, help| register(Counter::<U64>::new(name, help)?, registry);
		let gauge = |name, help| register(Gauge::<U64>::new(name, help)?, registry);
		let float = |name, help| register(Gauge::<F64>::new(name, help)?, registry);
		Ok(Self {
			jobs_assigned: counter("assay_jobs_assigned_total", "Jobs given to this node's workers")?,
			jobs_answered: counter("assay_jobs_answered_total", "Jobs that this node's workers answered on chain")?,
			jobs_late: counter("assay_jobs_late_total", "Jobs that this node's workers did not answer in time")?,
			claims_open: gauge("assay_claims_open", "Jobs of this node's workers whose bonds are not yet released")?,
			value_at_risk: float("assay_value_at_risk_opg", "Stake that open jobs have set aside, in OPG")?,
			demands_unanswered: gauge(
				"assay_demands_unanswered",
				"Publications and openings that challengers wait for; stake is lost if they do not come",
			)?,
			demand_oldest: gauge(
				"assay_demand_oldest_blocks",
				"The age of the oldest of them, in blocks; 0 if there is none",
			)?,
			deadline: register(
				Gauge::<I64>::new(
					"assay_deadline_blocks",
					"Blocks until the most urgent answer, publication or opening is due; -1 if nothing is",
				)?,
				registry,
			)?,
			live: register(
				Gauge::<I64>::new(
					"assay_live_blocks",
					"Blocks for which this node's workers still earn emission without another heartbeat, the least; -1 if none has active stake",
				)?,
				registry,
			)?,
			offchain_errors: register(
				CounterVec::new(
					Opts::new("assay_offchain_errors_total", "Errors of the off-chain workers"),
					&["kind"],
				)?,
				registry,
			)?,
			engine_up: gauge("assay_engine_up", "Whether the inference engine said that it is ready when last asked")?,
			engine_latency: float("assay_engine_latency_seconds", "How long it took to say so")?,
			service_keys: gauge("assay_service_keys", "Service keys in this node's keystore")?,
			worker_paused: gauge("assay_worker_paused", "Workers of this node that take no new jobs")?,
			slashing_armed: gauge("assay_slashing_armed", "Whether the chain takes stake for wrong answers")?,
			worker_stake: register(
				GaugeVec::new(Opts::new("assay_worker_stake_opg", "Stake that can cover jobs, in OPG"), &["worker"])?,
				registry,
			)?,
		})
	}

	/// Shows the state at block `now`.
	fn show(&self, state: &dyn State, now: BlockNumber, keys: usize, workers: &[Worker]) -> Result<(), String> {
		let owed = state::owed(state, workers)?;
		self.service_keys.set(count(keys));
		self.claims_open.set(workers.iter().map(|worker| u64::from(worker.record.open_claims)).sum());
		self.value_at_risk.set(workers.iter().map(|worker| in_opg(worker.record.covered)).sum());
		self.worker_paused.set(count(workers.iter().filter(|worker| worker.record.paused).count()));
		self.demands_unanswered.set(owed.demands);
		self.demand_oldest.set(owed.oldest_demand.map_or(0, |since| now.saturating_sub(since)).into());
		self.deadline.set(owed.due_by.map_or(-1, |by| i64::from(by.saturating_sub(now))));
		let live_until = workers.iter().filter_map(|worker| worker.live_until).min();
		self.live.set(live_until.map_or(-1, |until| i64::from(until.saturating_sub(now))));
		self.slashing_armed.set(slashing::is_armed(state)?.into());
		// Whoever is no longer a worker of this node is shown no longer.
		self.worker_stake.reset();
		for worker in workers {
			let address = worker.account.to_ss58check();
			self.worker_stake.with_label_values(&[address.as_str()]).set(in_opg(worker.record.bonded));
		}
		Ok(())
	}

	/// Counts what the events of a block say about some workers.
	fn count(&self, events: &[RuntimeEvent], workers: &BTreeSet<AccountId>) {
		use pallet_inference::Event::{Assigned, Committed, Missed};
		for event in events {
			match event {
				RuntimeEvent::Inference(Assigned { worker, .. }) if workers.contains(worker) => {
					self.jobs_assigned.inc()
				}
				RuntimeEvent::Inference(Committed { worker, .. }) if workers.contains(worker) => {
					self.jobs_answered.inc()
				}
				RuntimeEvent::Inference(Missed { worker, .. }) if workers.contains(worker) => self.jobs_late.inc(),
				_ => (),
			}
		}
	}

	/// Shows the errors that the off-chain workers have counted.
	fn show_errors(&self, storage: &impl OffchainStorage) {
		for kind in ErrorKind::ALL {
			let bytes = storage.get(STORAGE_PREFIX, &kind.key());
			let counted = bytes.and_then(|bytes| u64::decode(&mut &bytes[..]).ok()).unwrap_or_default();
			let shown = self.offchain_errors.with_label_values(&[kind.name()]);
			shown.inc_by(counted.saturating_sub(shown.get()));
		}
	}

	/// Asks the engine whether it is ready.
	async fn probe(&self, engine: &str) {
		let start = Instant::now();
		let reply = http::get(&format!("{engine}/v2/health/ready"), PROBE_LIMIT).await;
		let up = reply.is_ok_and(|reply| reply.status == 200);
		self.engine_up.set(up.into());
		if up {
			self.engine_latency.set(start.elapsed().as_secs_f64());
		}
	}
}

/// Keeps the metrics up to date for as long as the node runs. `engine` is the engine's URL, empty if there is none.
pub(crate) async fn run(
	registry: Registry,
	client: Arc<FullClient>,
	keystore: KeystorePtr,
	storage: impl OffchainStorage,
	engine: String,
) {
	let metrics = match Metrics::register(&registry) {
		Ok(metrics) => metrics,
		Err(error) => return log::error!("📈 The operator's metrics cannot be registered: {error}"),
	};
	metrics.deadline.set(-1);
	metrics.live.set(-1);
	metrics.slashing_armed.set(1);
	// While the node synchronises, no block is announced.
	let (best, keys) = (client.info(), worker::service_keys(&keystore));
	let state = ClientState::at(&client, best.best_hash);
	if let Ok(workers) = state::workers(&state, &keys) {
		let _ = metrics.show(&state, best.best_number, keys.len(), &workers);
	}
	metrics.show_errors(&storage);
	let mut blocks = client.import_notification_stream();
	// An undecodable state is said once.
	let mut complained = false;
	while let Some(block) = blocks.next().await {
		if !block.is_new_best {
			continue;
		}
		let keys = worker::service_keys(&keystore);
		let route = block.tree_route.as_ref();
		let enacted = route.map(|route| route.enacted().iter().map(|block| block.hash).collect()).unwrap_or_default();
		match update(&metrics, &client, block.header.number, enacted, block.hash, &keys) {
			Ok(()) => complained = false,
			Err(error) if !complained => {
				log::warn!("📈 The operator's metrics stand still: {error}");
				complained = true;
			}
			Err(_) => (),
		}
		metrics.show_errors(&storage);
		if !engine.is_empty() && block.header.number % PROBE_EVERY == 0 {
			metrics.probe(&engine).await;
		}
	}
}

/// Takes note of the new best block `hash` and of the others that came with it.
fn update(
	metrics: &Metrics,
	client: &FullClient,
	number: BlockNumber,
	mut new: Vec<Hash>,
	hash: Hash,
	keys: &[ServiceKey],
) -> Result<(), String> {
	let state = ClientState::at(client, hash);
	let workers = state::workers(&state, keys)?;
	metrics.show(&state, number, keys.len(), &workers)?;
	if !new.contains(&hash) {
		new.push(hash);
	}
	let accounts = workers.into_iter().map(|worker| worker.account).collect();
	for hash in new {
		metrics.count(&events(&ClientState::at(client, hash))?, &accounts);
	}
	Ok(())
}

/// What happened in the block of a state.
fn events(state: &dyn State) -> Result<Vec<RuntimeEvent>, String> {
	type Record = frame_system::EventRecord<RuntimeEvent, <Runtime as frame_system::Config>::Hash>;
	let key = frame_support::storage::storage_prefix(b"System", b"Events");
	let records: Vec<Record> = state::read(state, &key)?.unwrap_or_default();
	Ok(records.into_iter().map(|record| record.event).collect())
}

/// For people and their dashboards only: a float forgets the last digits.
fn in_opg(amount: Balance) -> f64 {
	amount as f64 / OPG as f64
}

fn count(things: usize) -> u64 {
	u64::try_from(things).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
	use super::*;
	use codec::Encode;
	use sp_core::offchain::storage::InMemOffchainStorage;

	fn text(registry: &Registry) -> String {
		use substrate_prometheus_endpoint::prometheus::TextEncoder;
		TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
	}

	#[test]
	fn events_of_ones_own_workers_should_be_counted() {
		let registry = Registry::new();
		let metrics = Metrics::register(&registry).unwrap();
		let (own, other) = (AccountId::new([1; 32]), AccountId::new([2; 32]));
		let missed = |worker: &AccountId| {
			RuntimeEvent::Inference(pallet_inference::Event::Missed { job: 1, worker: worker.clone(), penalty: 5 })
		};
		metrics.count(&[missed(&own), missed(&other), missed(&own)], &[own.clone()].into());
		assert!(text(&registry).contains("assay_jobs_late_total 2"), "{}", text(&registry));
	}

	#[test]
	fn errors_should_be_those_counted_in_offchain_storage() {
		let registry = Registry::new();
		let metrics = Metrics::register(&registry).unwrap();
		let mut storage = InMemOffchainStorage::default();
		for counted in [3_u64, 4] {
			storage.set(STORAGE_PREFIX, &ErrorKind::EngineUnreachable.key(), &counted.encode());
			metrics.show_errors(&storage);
			metrics.show_errors(&storage);
			let expected = format!("assay_offchain_errors_total{{kind=\"engine_unreachable\"}} {counted}");
			assert!(text(&registry).contains(&expected), "{}", text(&registry));
		}
		assert!(text(&registry).contains("assay_offchain_errors_total{kind=\"pool\"} 0"));
	}

	#[tokio::test]
	async fn engine_should_be_down_where_nobody_answers() {
		let registry = Registry::new();
		let metrics = Metrics::register(&registry).unwrap();
		metrics.engine_up.set(1);
		metrics.probe("http://127.0.0.1:1").await;
		assert!(text(&registry).contains("assay_engine_up 0"));
	}
}
