//! What is counted, in the text format of OpenMetrics, which Prometheus reads.

use std::{fmt::Error, time::Duration};

use prometheus_client::{
	encoding::{text::encode, EncodeLabelSet},
	metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
	registry::{Registry, Unit},
};

use crate::jobs::Lane;

/// Upper ends of the classes of durations, in seconds.
const SECONDS: [f64; 16] =
	[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

fn seconds() -> Histogram {
	Histogram::new(SECONDS.into_iter())
}

type Timed<L> = Family<L, Histogram, fn() -> Histogram>;

/// One request. All three have few values: routes are patterns, models are those in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Asked {
	pub(crate) route: String,
	pub(crate) model: String,
	pub(crate) outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
	route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLane {
	lane: &'static str,
}

impl From<Lane> for OfLane {
	fn from(lane: Lane) -> Self {
		let lane = match lane {
			Lane::Chain => "chain",
			Lane::Api => "api",
		};
		Self { lane }
	}
}

pub(crate) struct Metrics {
	registry: Registry,
	pub(crate) started: Counter,
	pub(crate) done: Counter,
	pub(crate) failed: Counter,
	pub(crate) panicked: Counter,
	pub(crate) refused: Counter,
	pub(crate) cancelled: Counter,
	pub(crate) found: Counter,
	pub(crate) loaded: Counter,
	pub(crate) in_memory: Counter,
	pub(crate) traced: Counter,
	pub(crate) traces_kept: Gauge,
	pub(crate) values_kept: Gauge,
	pub(crate) values_found: Counter,
	pub(crate) values_computed: Counter,
	pub(crate) connections: Gauge,
	pub(crate) received: Counter,
	pub(crate) sent: Counter,
	queued: Family<OfLane, Gauge>,
	running: Family<OfLane, Gauge>,
	evaluations: Timed<OfLane>,
	requests: Family<Asked, Counter>,
	durations: Timed<Route>,
}

impl Metrics {
	pub(crate) fn new() -> Self {
		let mut metrics = Self {
			registry: Registry::with_prefix("assay_engine"),
			started: Counter::default(),
			done: Counter::default(),
			failed: Counter::default(),
			panicked: Counter::default(),
			refused: Counter::default(),
			cancelled: Counter::default(),
			found: Counter::default(),
			loaded: Counter::default(),
			in_memory: Counter::default(),
			traced: Counter::default(),
			traces_kept: Gauge::default(),
			values_kept: Gauge::default(),
			values_found: Counter::default(),
			values_computed: Counter::default(),
			connections: Gauge::default(),
			received: Counter::default(),
			sent: Counter::default(),
			queued: Family::default(),
			running: Family::default(),
			evaluations: Family::new_with_constructor(seconds),
			requests: Family::default(),
			durations: Family::new_with_constructor(seconds),
		};
		metrics.register();
		metrics
	}

	fn register(&mut self) {
		let registry = &mut self.registry;
		for (name, help, counter) in [
			("jobs_started", "Evaluations begun", &self.started),
			("jobs_done", "Evaluations that gave an output", &self.done),
			("jobs_failed", "Jobs that gave none", &self.failed),
			("jobs_panicked", "Jobs that failed by an error in the engine", &self.panicked),
			("jobs_refused", "Jobs that were not taken", &self.refused),
			("jobs_cancelled", "Jobs that were dropped because nobody waited for them any more", &self.cancelled),
			("job_hits", "Jobs that were asked for again under their key, and were there", &self.found),
			("models_loaded", "Models read from the store", &self.loaded),
			("model_hits", "Models that were wanted and were in memory", &self.in_memory),
			("traces_built", "Traces built", &self.traced),
			("value_hits", "Values of traces that were wanted and were in memory", &self.values_found),
			("value_misses", "Values of traces that were computed again", &self.values_computed),
		] {
			registry.register(name, help, counter.clone());
		}
		registry.register_with_unit("received", "Bodies of requests", Unit::Bytes, self.received.clone());
		registry.register_with_unit("sent", "Bodies of replies", Unit::Bytes, self.sent.clone());
		for (name, help, gauge) in [
			("traces_kept", "Traces whose roots are kept", &self.traces_kept),
			("values_kept", "Values of traces in memory", &self.values_kept),
			("connections", "Connections that are open", &self.connections),
		] {
			registry.register(name, help, gauge.clone());
		}
		registry.register("jobs_queued", "Jobs that wait for a thread", self.queued.clone());
		registry.register("jobs_running", "Jobs on threads", self.running.clone());
		let (help, unit) = ("Time that jobs had a thread for", Unit::Seconds);
		registry.register_with_unit("evaluation", help, unit, self.evaluations.clone());
		registry.register("requests", "Requests answered", self.requests.clone());
		let (help, unit) = ("Time from a request's head to its answer's", Unit::Seconds);
		registry.register_with_unit("request", help, unit, self.durations.clone());
	}

	/// How full a lane is now.
	pub(crate) fn set_lane(&self, lane: Lane, queued: usize, running: usize) {
		let set = |gauges: &Family<OfLane, Gauge>, n: usize| {
			gauges.get_or_create(&lane.into()).set(i64::try_from(n).unwrap_or(i64::MAX));
		};
		set(&self.queued, queued);
		set(&self.running, running);
	}

	pub(crate) fn evaluated(&self, lane: Lane, time: Duration) {
		self.evaluations.get_or_create(&lane.into()).observe(time.as_secs_f64());
	}

	pub(crate) fn answered(&self, asked: Asked, time: Duration) {
		self.durations.get_or_create(&Route { route: asked.route.clone() }).observe(time.as_secs_f64());
		self.requests.get_or_create(&asked).inc();
	}

	pub(crate) fn encoded(&self) -> Result<String, Error> {
		let mut text = String::new();
		encode(&mut text, &self.registry)?;
		Ok(text)
	}
}
