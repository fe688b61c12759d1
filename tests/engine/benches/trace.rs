//! What it costs to build a trace, in multiples of a plain inference. `cargo bench --workspace --bench trace` prints it.
//!
//! On one thread: the sample model, a residual network, and those models of the cache that `scripts/models` made. Peaks are of the
//! process's memory while it ran, beyond what it had before.

#[path = "../../../engine/server/tests/support/mod.rs"]
mod support;

use assay_kernels::{Isa, Options, Plan, Threads};
use assay_onnx_suite::models::{folder, specialised};
use assay_semantics::{Model, Tensor};
use assay_server::{Engine, EngineOptions, Kernels, Store};
use assay_test_engine::{digits, resnet};
use std::{
	fs,
	time::{Duration, Instant},
};
use support::Folder;

/// Runs of each.
const ROUNDS: u64 = 5;

/// The median time of a few runs, and the most memory that one took, in MiB.
fn measure(mut run: impl FnMut(u64)) -> (Duration, f64) {
	run(0);
	// Linux: the peak is forgotten.
	let _ = fs::write("/proc/self/clear_refs", "5");
	let before = status("VmRSS");
	let mut times: Vec<Duration> = (1..=ROUNDS)
		.map(|round| {
			let since = Instant::now();
			run(round);
			since.elapsed()
		})
		.collect();
	times.sort();
	(times[times.len() / 2], status("VmHWM") - before)
}

/// An entry of the process's status, in MiB.
fn status(entry: &str) -> f64 {
	let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
	let line = text.lines().find_map(|line| line.strip_prefix(entry)?.strip_prefix(':'));
	line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

fn models() -> Vec<(String, Model, Vec<Tensor>)> {
	let given = |model: &Model, bytes: Vec<u8>| {
		let ty = model.header().inputs.swap_remove(0);
		vec![Tensor { ty, bytes: bytes.into() }]
	};
	let (small, network) = (digits().expect("models/digits"), resnet::model());
	let ones = given(&small, 1f32.to_le_bytes().repeat(64));
	let picture = given(&network, resnet::picture(100));
	let mut models = vec![("sample model".into(), small, ones), ("residual network".into(), network, picture)];
	for (name, set) in
		[("encoder-opset17", 3), ("light-squeezenet", 0), ("light-resnet50", 0), ("bert-base-opset17", 1)]
	{
		if !folder().join(name).exists() {
			println!("| {name} | is not there: scripts/models --large |");
			continue;
		}
		let (model, inputs) = specialised(name, set).expect("a model of scripts/models");
		models.push((name.into(), model, inputs));
	}
	models
}

fn main() {
	println!("| model | inference, ms | MiB | trace, ms | MiB | times |\n|---|---|---|---|---|---|");
	for (name, model, inputs) in models() {
		let isa = Isa::from_environment().expect("ASSAY_KERNELS names what is here");
		let plan = Plan::new(&model, &Options { threads: Threads::new(1), isa }).expect("a plan");
		let (plain, plain_memory) = measure(|_| drop(plan.run(&inputs).expect("an output")));
		drop(plan);
		let folder = Folder::new();
		let store = Store::open(&folder.0).expect("a store");
		let id = store.put(&assay_import::write_artifact(&model)).expect("it is written");
		drop(model);
		// Each input is another, so that each trace is built.
		let options = EngineOptions { threads: 1, ..Default::default() };
		let engine = Engine::new(store, options, Kernels::new(1, 1).expect("kernels"));
		engine.model(id).expect("it is there");
		let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
		let bytes: Vec<u8> = inputs.iter().flat_map(|tensor| tensor.bytes.to_vec()).collect();
		let (traced, traced_memory) = measure(|round| {
			let mut bytes = bytes.clone();
			bytes[0] ^= round as u8;
			let key = format!("t{round}").parse().expect("a key");
			let ticket = engine.submit_trace(key, id, bytes).expect("there is room");
			runtime.block_on(ticket.finished()).expect("a trace");
		});
		let millis = |time: Duration| time.as_secs_f64() * 1e3;
		let times = traced.as_secs_f64() / plain.as_secs_f64();
		println!(
			"| {name} | {:.2} | {plain_memory:.0} | {:.2} | {traced_memory:.0} | {times:.1} |",
			millis(plain),
			millis(traced)
		);
	}
}
