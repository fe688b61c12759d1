//! Runs an ONNX model with the kernels, for `scripts/bench-engine`.
//!
//! `bench MODEL INPUTS OUTPUT THREADS`: INPUTS is a folder with the inputs as `0.pb`, `1.pb` and so on, in the order of the
//! graph; OUTPUT gets the first output of a first run. Then, for every line on standard input with a number, so many runs,
//! and their times in microseconds in a line on standard output; for the line `profile`, a table of steps instead.

use assay_import::{read_tensor, Onnx, Session};
use assay_kernels::{Isa, Options, Plan, Threads};
use assay_semantics::Tensor;
use std::{
	env, fs,
	io::{stdin, stdout, Write},
	path::Path,
	time::Instant,
};

fn main() {
	let arguments: Vec<String> = env::args().skip(1).collect();
	let [model, folder, output, threads] = &arguments[..] else { panic!("bench MODEL INPUTS OUTPUT THREADS") };
	let bytes = fs::read(model).expect("the model's file");
	let onnx = Onnx::read(&bytes).unwrap_or_else(|e| panic!("{model}: {e}"));
	drop(bytes);
	let read = |i: usize| {
		let bytes = fs::read(Path::new(folder).join(format!("{i}.pb"))).expect("an input's file");
		read_tensor(&bytes).unwrap_or_else(|e| panic!("input {i}: {e}"))
	};
	let named: Vec<(String, Tensor)> =
		onnx.input_names().into_iter().enumerate().map(|(i, name)| (name, read(i))).collect();
	let mut session = Session::new(onnx);
	let model = session.specialise(&named).unwrap_or_else(|e| panic!("{model}: {e}"));
	let isa = Isa::from_environment().unwrap_or_else(|e| panic!("{e}"));
	let threads = Threads::new(threads.parse().expect("a number of threads"));
	let plan = Plan::new(model, &Options { threads, isa }).expect("a plan");
	let free = model.names().inputs.iter().filter_map(|name| named.iter().find(|(n, _)| n == name));
	let inputs: Vec<Tensor> = free.map(|(_, tensor)| tensor.clone()).collect();
	drop(session);
	let outputs = plan.run(&inputs).expect("outputs");
	fs::write(output, &outputs[0].bytes[..]).expect("the output's file");
	println!("ready {isa} {:?}", plan.without_kernel());
	for line in stdin().lines() {
		let line = line.expect("a line");
		if line.trim() == "profile" {
			plan.profile(&inputs, 20).expect("outputs").iter().for_each(|(name, time)| println!("{time:9.1} {name}"));
			println!();
		} else {
			let run = |_| {
				let start = Instant::now();
				plan.run(&inputs).expect("outputs");
				format!("{:.1}", start.elapsed().as_secs_f64() * 1e6)
			};
			let times: Vec<String> = (0..line.trim().parse().unwrap_or(1)).map(run).collect();
			println!("{}", times.join(" "));
		}
		stdout().flush().expect("standard output");
	}
}
