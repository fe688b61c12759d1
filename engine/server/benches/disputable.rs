//! What it costs that an answer can be disputed: the output is hashed, and the statement that is signed. Prints it for
//! ResNet-50, which `scripts/models resnet50` makes: `cargo bench -p assay-server --bench disputable [THREADS]`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
	hint::black_box,
	path::PathBuf,
	sync::Arc,
	time::{Duration, Instant},
};

use assay_import::Onnx;
use assay_kernels::{map_file, Isa, Options, Plan, Threads};
use assay_semantics::{commit::tiles_root, side_root, statement, Hash, Model, Side, Tensor};
use assay_server::{Engine, EngineOptions, JobKey, Kernels, ModelId, State, Store};
use support::Folder;

/// Runs of each kind, interleaved.
const RUNS: usize = 200;

fn model() -> Option<Model> {
	let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
	let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
	let onnx = Onnx::open(map_file(&cache.join("assay/models/light-resnet50/model.onnx")).ok()?).unwrap();
	Some(onnx.compile(&onnx.declared(&[]).unwrap()).unwrap())
}

/// What a worker commits to beyond having computed it. The chain computes the root of the input, which the requester sent.
fn commitment(model: &Model, id: &Hash, input_root: &Hash, output: &[u8]) -> Hash {
	let root = side_root(Side::Output, &model.header().outputs, output).unwrap();
	statement(id, input_root, &root, &[])
}

/// The shortest time.
fn shortest(run: &mut dyn FnMut()) -> Duration {
	let time = |_| {
		let since = Instant::now();
		run();
		since.elapsed()
	};
	(0..1000).map(time).min().unwrap_or_default()
}

/// Shortest and median of two kinds of runs that take turns.
fn compare(runs: [&mut dyn FnMut(usize); 2]) -> [[Duration; 2]; 2] {
	let mut times = [Vec::new(), Vec::new()];
	for i in 0..RUNS + 3 {
		for kind in 0..2 {
			// Each goes first as often as the other.
			let kind = (kind + i) % 2;
			let since = Instant::now();
			runs[kind](i);
			times[kind].push(since.elapsed());
		}
	}
	times.map(|times| {
		let mut times = times[3..].to_vec();
		times.sort();
		[times[0], times[RUNS / 2]]
	})
}

fn print(what: &str, [alone, whole]: [[Duration; 2]; 2]) {
	let ratio = |i: usize| whole[i].as_secs_f64() / alone[i].as_secs_f64();
	println!(
		"{what}: {:?} alone, {:?} with its commitment, ratio {:.4} (shortest of {RUNS}); medians {:?} and {:?}, {:.4}",
		alone[0],
		whole[0],
		ratio(0),
		alone[1],
		whole[1],
		ratio(1)
	);
}

fn main() {
	let threads = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(1);
	let Some(model) = model() else {
		println!("ResNet-50 is not there; make it with scripts/models resnet50");
		return;
	};
	let id = model.id();
	let ty = model.header().inputs[0].clone();
	let elements = ty.elements().unwrap() as u32;
	let numbers: Vec<f32> = (0..elements).map(|i| (i as f32 * 0.37).sin()).collect();
	let input = Tensor::from_f32(ty.dims.clone(), &numbers).unwrap();
	let input_root = side_root(Side::Input, &[ty], &input.bytes).unwrap();

	let isa = Isa::from_environment().unwrap();
	let plan = Plan::new(&model, &Options { threads: Threads::new(threads), isa }).unwrap();
	let run = || plan.run(std::slice::from_ref(&input)).unwrap().remove(0);
	let output = run();
	let takes = shortest(&mut || {
		black_box(commitment(&model, &id, &input_root, black_box(&output.bytes)));
	});
	println!("{isa}, {threads} threads; the commitment to {} bytes of output takes {takes:?}", output.bytes.len());
	let digest = shortest(&mut || {
		black_box(tiles_root(black_box(&input.bytes)));
	});
	println!("the engine's own digest of {} bytes of input, for a job with a key, takes {digest:?}", input.bytes.len());
	let times = compare([&mut |_| drop(black_box(run())), &mut |_| {
		black_box(commitment(&model, &id, &input_root, &run().bytes));
	}]);
	print("kernels", times);

	// Through the engine: an API user's inference, and a job of the chain with a key, whose input is hashed, too.
	let folder = Folder::new();
	let store = Store::open(&folder.0).unwrap();
	store.put_model(&model).unwrap();
	let engine = Arc::new(Engine::new(store, EngineOptions::default(), Kernels::new(threads, 1).unwrap()));
	let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
	let done = |ticket: assay_server::Ticket| match runtime.block_on(ticket.finished()).unwrap() {
		State::Done(output) => output,
		other => panic!("{other:?}"),
	};
	let bytes = input.bytes.to_vec();
	let times = compare([&mut |_| drop(done(engine.submit_once(ModelId(id), bytes.clone()).unwrap())), &mut |i| {
		let key: JobKey = format!("job-{i}").parse().unwrap();
		let output = done(engine.submit(key, ModelId(id), bytes.clone()).unwrap());
		black_box(commitment(&model, &id, &input_root, &output));
	}]);
	print("engine", times);
}
