//! Whether hostile numbers cost time. `cargo bench --workspace --bench hostile` prints it.
//!
//! SqueezeNet (`scripts/models`) on pictures of ordinary numbers, of subnormals, and of the smallest normal ones, whose products with
//! the weights are subnormal; on one thread, in turns, medians.

use assay_kernels::{Isa, Options, Plan, Threads};
use assay_onnx_suite::models::specialised;
use assay_semantics::Tensor;
use std::time::Instant;

/// Runs of each.
const ROUNDS: usize = 15;

fn main() {
	let (model, inputs) = specialised("light-squeezenet", 0).expect("a model of scripts/models");
	let isa = Isa::from_environment().expect("ASSAY_KERNELS names what is here");
	let plan = Plan::new(&model, &Options { threads: Threads::new(1), isa }).expect("a plan");
	let ordinary = inputs[0].to_f32().expect("f32");
	let times = |scale: f32| -> Tensor {
		let values: Vec<f32> = ordinary.iter().map(|x| x * scale).collect();
		Tensor::from_f32(inputs[0].ty.dims.clone(), &values).expect("the same shape")
	};
	let pictures = [
		("ordinary", times(1.0)),
		("subnormal", times(1e-40)),
		("smallest normal", times(2e-38)),
		("tiny", times(1e-36)),
	];
	let mut measured = vec![Vec::new(); pictures.len()];
	for _ in 0..ROUNDS {
		for ((_, picture), times) in pictures.iter().zip(&mut measured) {
			let since = Instant::now();
			plan.run(std::slice::from_ref(picture)).expect("an output");
			times.push(since.elapsed().as_secs_f64() * 1e3);
		}
	}
	for ((name, _), mut times) in pictures.iter().zip(measured) {
		times.sort_by(f64::total_cmp);
		println!("| {name} | {:.2} ms |", times[ROUNDS / 2]);
	}
}
