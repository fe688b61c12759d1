//! The inference engine: it keeps models, evaluates them, and speaks HTTP.
//!
//! It knows nothing of the chain. A client names a model by its id and gets `output = model(input)`, bit for bit as
//! `assay-semantics` defines it. The node embeds the engine for `--dev` ([`Engine`] and [`serve`]); operators run it as
//! a process of its own, `assay-engine serve`.
//!
//! - [`Store`]: a folder of artifacts; every hash is checked when a model is loaded, once.
//! - [`Engine`]: bounded queues, a bounded number of evaluations at once, and the latest results under the keys of their
//!   jobs. What is submitted twice under one key runs once. An evaluation that panics fails its own job and nothing else.
//! - Two lanes. What has a key is the chain's: its jobs, traces and investigations go first, and have a queue, memory for
//!   bodies and threads whatever API users do. What has none is an API user's, and is dropped, queued or running, when its
//!   client goes away or its time is over.
//! - [`Kernels`]: evaluation with vector instructions, bit-equal to the reference, which a self-test shows before anybody
//!   is served. `ASSAY_KERNELS` chooses the instruction set: `portable`, `avx2`, `avx512`, `avx512-vnni` or
//!   `avx512-amx`.
//! - Traces, for disputes: a worker publishes and opens its own, a challenger looks into somebody else's. Of a trace the
//!   engine keeps the roots of its values, 32 bytes each; whoever asks for a value has the model run again up to it. After
//!   a restart a trace is submitted again, and is the same.
//! - [`serve`]: the Open Inference Protocol v2 under `/v2`, for people and existing clients; jobs, traces and
//!   investigations under `/assay/v1`, for the chain's off-chain worker, which collects results on later blocks; counters,
//!   gauges and histograms at `/metrics`, in the text format of OpenMetrics.
//! - Whatever is refused is refused in words, as `{"error": "…"}`, but for what is no HTTP. What is full says 503 and when
//!   to come again; what takes too long says 504. [`EngineOptions`] has the limits.
//!
//! | under `/assay/v1` | body | reply, once it is there |
//! |---|---|---|
//! | `PUT jobs/{key}?model=` | input tensors | output tensors |
//! | `GET jobs/{key}` | | the same |
//! | `PUT traces/{key}?model=` | input tensors | `Publication` |
//! | `POST traces/{key}/open` | `Demand` | `Answer` |
//! | `POST investigations?model=` | (input tensors, `Publication`, [(`Demand`, `Answer`)]), each a byte string | `Advice` |
//!
//! Tensors are raw and little-endian, one after the other; messages are SCALE, from [`assay_semantics::judge`] and
//! [`assay_semantics::prover`]. All take `wait_ms` and say 202 when it takes longer.
//!
//! The protocol is there in full: health, metadata, versions (each model has one, `1`, as its name is the hash of what it
//! is), inference in JSON and with the extension `binary_tensor_data`; a request's parameter `timeout`, in microseconds,
//! shortens what it may take. Its other extensions are not: shared memory, statistics, classification, repositories;
//! what asks for them is refused.
//!
//! Absent on purpose: transport encryption, accounts, limits per client. The engine listens where its operator lets it,
//! which should be a loopback address or a private network.

mod engine;
mod evaluator;
mod http;
mod id;
mod jobs;
mod kernels;
mod metrics;
mod store;
mod traces;

pub use engine::{Engine, EngineOptions, Ticket};
pub use evaluator::Evaluator;
pub use http::serve;
#[doc(hidden)]
pub use http::try_body;
pub use id::{BadName, JobKey, ModelId};
pub use jobs::{Failure, Refusal, State};
pub use kernels::Kernels;
pub use store::{write_atomically, write_model, Store, StoreError};

use assay_semantics::Model;

/// What the model calls an input. Names are metadata: two artifacts of one model may differ in them.
pub fn input_name(model: &Model, index: usize) -> String {
	named(&model.names().inputs, index, "input")
}

/// What the model calls an output.
pub fn output_name(model: &Model, index: usize) -> String {
	named(&model.names().outputs, index, "output")
}

fn named(names: &[String], index: usize, otherwise: &str) -> String {
	match names.get(index) {
		Some(name) if !name.is_empty() => name.clone(),
		_ => format!("{otherwise}_{index}"),
	}
}
