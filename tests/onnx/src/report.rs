//! Runs the suite with whatever runs a test, and prints a table.

use crate::{Outcome, KNOWN, SUITE};
use std::{
	collections::BTreeMap,
	fs, io,
	panic::{catch_unwind, AssertUnwindSafe},
	sync::{
		atomic::{AtomicUsize, Ordering},
		Mutex,
	},
};

/// The part of a reason that many tests share: the operator and the words, without names and numbers.
fn class(reason: &str) -> String {
	let mut out = String::new();
	let mut quoted = false;
	for c in reason.chars() {
		match c {
			'`' => quoted = !quoted,
			_ if quoted || c.is_ascii_digit() => {}
			c => out.push(c),
		}
	}
	out.trim().chars().take(110).collect()
}

/// Why one fails this test that computes well.
pub fn known(name: &str) -> Option<&'static str> {
	KNOWN.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// What `run` gives for each test, on all processors. What panics has failed.
fn outcomes<'a>(names: &[&'a str], run: &(dyn Fn(&str) -> Outcome + Sync)) -> BTreeMap<&'a str, Outcome> {
	let (next, results) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
	let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
	std::thread::scope(|scope| {
		for _ in 0..threads {
			scope.spawn(|| {
				while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
					let outcome = catch_unwind(AssertUnwindSafe(|| run(name)));
					let outcome = outcome.unwrap_or_else(|_| Outcome::Failed("it panicked".into()));
					if let Ok(mut results) = results.lock() {
						results.insert(*name, outcome);
					}
				}
			});
		}
	});
	results.into_inner().unwrap_or_default()
}

/// Runs the tests and prints what came of them. The arguments are those of `scripts/onnx-suite`, and `--results FILE`: a line for each
/// test, its name, outcome and reason with tabs between.
pub fn main(arguments: &[String], run: &(dyn Fn(&str) -> Outcome + Sync)) -> io::Result<()> {
	let value = |flag: &str| arguments.iter().position(|a| a == flag).and_then(|i| arguments.get(i + 1)).cloned();
	let flag = |flag: &str| arguments.iter().any(|a| a == flag);
	let words: Vec<String> = value("--filter").map_or(vec![], |f| f.split(',').map(Into::into).collect());
	// The light models are whole networks: minutes each by the reference. Only on request.
	let chosen = |name: &&str| match words.is_empty() {
		true => !name.starts_with("light/"),
		false => words.iter().any(|w| name.contains(w.as_str())),
	};
	let names: Vec<&str> = SUITE.lines().filter(chosen).collect();
	if !flag("--panics") {
		std::panic::set_hook(Box::new(|_| {}));
	}
	let outcomes = outcomes(&names, run);
	let mut totals: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
	let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
	let (mut passed, mut results) = (String::new(), String::new());
	for (name, outcome) in &outcomes {
		let total = totals.entry(name.split('/').next().unwrap_or_default()).or_default();
		let (result, reason) = match outcome {
			Outcome::Passed { frozen } => {
				total[0] += 1;
				total[3] += usize::from(!frozen.is_empty());
				passed += &format!("{name}\n");
				("passed", "")
			}
			Outcome::Failed(reason) => {
				total[1] += 1;
				println!("failed        {name}: {reason}");
				if let Some(why) = known(name) {
					println!("              as is known: it {why}");
				}
				("failed", reason.as_str())
			}
			Outcome::Unsupported(reason) => {
				total[2] += 1;
				*reasons.entry(class(reason)).or_default() += 1;
				if flag("--verbose") || !words.is_empty() {
					println!("not supported {name}: {reason}");
				}
				("not supported", reason.as_str())
			}
		};
		results += &format!("{name}\t{result}\t{reason}\n");
	}
	let mut reasons: Vec<_> = reasons.into_iter().collect();
	reasons.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
	for (reason, n) in reasons {
		println!("{n:5} not supported: {reason}");
	}
	println!("{:18} {:>7} {:>7} {:>14} {:>22}", "tests", "passed", "failed", "not supported", "needed input values");
	for (kind, [passed, failed, unsupported, frozen]) in totals {
		println!("{kind:18} {passed:7} {failed:7} {unsupported:14} {frozen:22}");
	}
	if let Some(path) = value("--results") {
		fs::write(path, results)?;
	}
	if flag("--pin") && words.is_empty() {
		let path = concat!(env!("CARGO_MANIFEST_DIR"), "/passed.txt");
		fs::write(path, passed)?;
		println!("wrote {path}");
	}
	Ok(())
}
