//! Runs the models that `scripts/models` made and prints a table.
//!
//! `onnx-models [--reference] [WORD..]`: those whose name contains one of the words; by the kernels, or by the reference.

use assay_onnx_suite::models::{difference, folder, names, read, run, Way, HOW};
use std::collections::BTreeMap;

fn main() {
	let (flags, words): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|a| a.starts_with("--"));
	let way = if flags.iter().any(|f| f == "--reference") { Way::Reference } else { Way::Kernels };
	let chosen = |name: &String| words.is_empty() || words.iter().any(|w| name.contains(w));
	let names: Vec<String> = names().into_iter().filter(chosen).collect();
	if names.is_empty() {
		println!("there are none in {}: {HOW}", folder().display());
	}
	for name in names {
		let mut case = match read(&folder().join(&name)) {
			Ok(case) => case,
			Err(error) => {
				println!("{name}: {error}");
				continue;
			}
		};
		for (set, (inputs, expected)) in case.sets.iter().enumerate() {
			let run = match run(&mut case.session, inputs, way) {
				Ok(run) => run,
				Err(error) => {
					println!("{name} {set}: {error}");
					continue;
				}
			};
			let result = match difference(&run.outputs, expected) {
				Ok(worst) => format!("{worst:8.1e}"),
				Err(reason) => format!("WRONG {reason}"),
			};
			let [specialised, planned, ran] = run.times.map(|t| t.as_secs_f64() * 1e3);
			let mut slow: BTreeMap<&str, usize> = BTreeMap::new();
			run.without_kernel.iter().for_each(|op| *slow.entry(op).or_default() += 1);
			println!(
				"{name:24} {set} {:12} {result} {:5} nodes, import {specialised:7.1} ms, plan {planned:7.1} ms, run {ran:8.1} ms {slow:?}",
				inputs.first().map(|(_, t)| t.ty.to_string()).unwrap_or_default(),
				run.nodes,
			);
		}
	}
}
