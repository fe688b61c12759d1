//! What it costs to build a trace, in multiples of a plain inference. `cargo bench --workspace --bench trace` prints it.
//!
//! On one thread: the sample model, a residual network, and those models of the cache that `scripts/models` made. Memory is the
//! process's peak, model included.

#[path = "../../../engine/server/tests/support/mod.rs"]
mod support;

use assay_kernels::{Isa, Options, Plan, Threads};
use assay_onnx_suite::models::{folder, specialised};
use assay_semantics::{Model, Tensor};
use assay_server::{Engine, EngineOptions, Kernels, Store};
use assay_test_engine::{digits, resnet};
use std::{fs, process::Command, time::Instant};
use support::Folder;

/// Runs of each.
const ROUNDS: u64 = 5;

/// The median time of a few runs, in milliseconds, and the most memory that the process took, in MiB.
fn measure(mut run: impl FnMut(u64)) -> (f64, f64) {
	// Linux: the peak of what came before is forgotten.
	let _ = fs::write("/proc/self/clear_refs", "5");
	run(0);
	let mut times: Vec<f64> = (1..=ROUNDS)
		.map(|round| {
			let since = Instant::now();
			run(round);
			since.elapsed().as_secs_f64() * 1e3
		})
		.collect();
	times.sort_by(f64::total_cmp);
	let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
	let peak =
		text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
	(times[times.len() / 2], peak.unwrap_or(f64::NAN) / 1024.0)
}

/// The models, and which set of inputs; of the sample model and the residual network there is none.
const MODELS: [(&str, usize); 6] = [
	("sample model", 0),
	("residual network", 0),
	("encoder-opset17", 3),
	("light-squeezenet", 0),
	("light-resnet50", 0),
	("bert-base-opset17", 1),
];

fn model(name: &str, set: usize) -> (Model, Vec<Tensor>) {
	let given = |model: Model, bytes: Vec<u8>| {
		let ty = model.header().inputs.swap_remove(0);
		(model, vec![Tensor { ty, bytes: bytes.into() }])
	};
	match name {
		"sample model" => given(digits().expect("models/digits"), 1f32.to_le_bytes().repeat(64)),
		"residual network" => given(resnet::model(), resnet::picture(100)),
		_ => specialised(name, set).expect("a model of scripts/models"),
	}
}

/// Inference alone.
fn plain(name: &str, set: usize) -> (f64, f64) {
	let (model, inputs) = model(name, set);
	let isa = Isa::from_environment().expect("ASSAY_KERNELS names what is here");
	let plan = Plan::new(&model, &Options { threads: Threads::new(1), isa }).expect("a plan");
	measure(|_| drop(plan.run(&inputs).expect("an output")))
}

/// A trace, in the engine that serves.
fn traced(name: &str, set: usize) -> (f64, f64) {
	let (model, inputs) = model(name, set);
	let folder = Folder::new();
	let store = Store::open(&folder.0).expect("a store");
	let id = store.put(&assay_import::write_artifact(&model)).expect("it is written");
	drop(model);
	let options = EngineOptions { threads: 1, ..Default::default() };
	let engine = Engine::new(store, options, Kernels::new(1, 1).expect("kernels"));
	engine.model(id).expect("it is there");
	let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
	let bytes: Vec<u8> = inputs.iter().flat_map(|tensor| tensor.bytes.to_vec()).collect();
	measure(|round| {
		// Each input is another, so that each trace is built.
		let mut bytes = bytes.clone();
		bytes[0] ^= round as u8;
		let key = format!("t{round}").parse().expect("a key");
		let ticket = engine.submit_trace(key, id, bytes).expect("there is room");
		runtime.block_on(ticket.finished()).expect("a trace");
	})
}

/// Measures in a process of its own: memory that another left behind would not be seen.
fn alone(name: &str, kind: &str) -> (f64, f64) {
	let this = std::env::current_exe().expect("the program has a path");
	let output = Command::new(this).env(ONLY, format!("{name}:{kind}")).output().expect("it starts");
	assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
	let text = String::from_utf8_lossy(&output.stdout);
	let (time, peak) = text.trim().split_once(' ').expect("two numbers");
	(time.parse().expect("a number"), peak.parse().expect("a number"))
}

/// Which model a child process measures, and how.
const ONLY: &str = "ASSAY_TRACE_BENCH";

fn main() {
	if let Ok(only) = std::env::var(ONLY) {
		let (name, kind) = only.split_once(':').expect("a name and a kind");
		let set = MODELS.iter().find(|(known, _)| *known == name).expect("a known model").1;
		let (time, peak) = if kind == "trace" { traced(name, set) } else { plain(name, set) };
		println!("{time} {peak}");
		return;
	}
	println!("| model | inference, ms | MiB | trace, ms | MiB | times |\n|---|---|---|---|---|---|");
	for (name, _) in MODELS {
		if name.contains('-') && !folder().join(name).exists() {
			println!("| {name} | is not there: scripts/models --large |");
			continue;
		}
		let ((plain, memory), (trace, peak)) = (alone(name, "inference"), alone(name, "trace"));
		println!("| {name} | {plain:.2} | {memory:.0} | {trace:.2} | {peak:.0} | {:.1} |", trace / plain);
	}
}
