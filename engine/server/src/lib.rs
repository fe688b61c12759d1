//! The inference engine: it keeps models, evaluates them, and speaks HTTP.
//!
//! It knows nothing of the chain. A client names a model by its id and gets `output = model(input)`, bit for bit as
//! `assay-semantics` defines it. The node embeds the engine for `--dev` ([`Engine`] and [`serve`]); operators run it as
//! a process of its own, `assay-engine serve`.
//!
//! - [`Store`]: a folder of artifacts; every hash is checked when a model is loaded, once.
//! - [`Engine`]: a bounded queue, a fixed number of threads, and the latest results under the keys of their jobs. What
//!   is submitted twice under one key runs once. An evaluation that panics fails its own job and nothing else.
//! - [`serve`]: the Open Inference Protocol v2 under `/v2`, for people and existing clients; jobs by key under
//!   `/assay/v1`, for the chain's off-chain worker, which collects results on later blocks; counters at `/metrics`.
//!
//! Absent on purpose: transport encryption, accounts, limits per client. The engine listens where its operator lets it,
//! which should be a loopback address or a private network.

mod engine;
mod http;
mod id;
mod jobs;
mod store;

pub use engine::{Engine, EngineOptions, Evaluator, Ticket};
pub use http::serve;
pub use id::{BadName, JobKey, ModelId};
pub use jobs::{Failure, Refusal, State};
pub use store::{write_atomically, Store, StoreError};

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
