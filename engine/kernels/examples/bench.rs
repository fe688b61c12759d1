//! Runs an ONNX model with the kernels, for `scripts/bench-engine`.
//!
//! `bench MODEL INPUT OUTPUT THREADS`: INPUT holds the raw input tensors one after the other, OUTPUT gets the outputs of a
//! first run. Then, for every line on standard input, one run, and its time in microseconds on standard output; for the
//! line `profile`, a table of steps instead.

use assay_import::import_onnx;
use assay_kernels::{Isa, Options, Plan, Threads};
use assay_semantics::Tensor;
use std::{
	env, fs,
	io::{stdin, stdout, Write},
	time::Instant,
};

fn main() {
	let arguments: Vec<String> = env::args().skip(1).collect();
	let [model, input, output, threads] = &arguments[..] else { panic!("bench MODEL INPUT OUTPUT THREADS") };
	let bytes = fs::read(model).expect("the model's file");
	let model = import_onnx(&bytes).unwrap_or_else(|e| panic!("{model}: {e}"));
	let isa = Isa::from_environment().unwrap_or_else(|e| panic!("{e}"));
	let threads = Threads::new(threads.parse().expect("a number of threads"));
	let plan = Plan::new(&model, &Options { threads, isa }).expect("a plan");
	let raw = fs::read(input).expect("the input's file");
	let mut rest = raw.as_slice();
	let inputs: Vec<Tensor> = model
		.header()
		.inputs
		.iter()
		.map(|ty| {
			let (bytes, after) = rest.split_at(ty.byte_len().expect("a size") as usize);
			rest = after;
			Tensor::new(ty.clone(), bytes.to_vec()).expect("a tensor")
		})
		.collect();
	drop(model);
	let outputs = plan.run(&inputs).expect("outputs");
	fs::write(output, outputs.into_iter().flat_map(|t| t.bytes).collect::<Vec<u8>>()).expect("the output's file");
	println!("ready {isa} {:?}", plan.without_kernel());
	for line in stdin().lines() {
		if line.expect("a line").trim() == "profile" {
			plan.profile(&inputs, 20).expect("outputs").iter().for_each(|(name, time)| println!("{time:9.1} {name}"));
			println!();
		} else {
			let start = Instant::now();
			plan.run(&inputs).expect("outputs");
			println!("{:.1}", start.elapsed().as_secs_f64() * 1e6);
		}
		stdout().flush().expect("standard output");
	}
}
