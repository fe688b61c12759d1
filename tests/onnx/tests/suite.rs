//! What passed once passes.

use assay_onnx_suite::{folder, report::known, run, Outcome, KNOWN, PASSED, SUITE};

#[test]
fn tests_should_pass_when_they_have_passed_before() {
	if !folder().join("generated-by").exists() {
		eprintln!("ONNX's tests are not here; make them with scripts/onnx-suite --generate");
		return;
	}
	let names: Vec<&str> = SUITE.lines().collect();
	let mut broken = Vec::new();
	for name in PASSED.lines() {
		assert!(names.contains(&name), "{name} is no test");
		match run(name) {
			Outcome::Passed { .. } => {}
			Outcome::Failed(reason) | Outcome::Unsupported(reason) => broken.push(format!("{name}: {reason}")),
		}
	}
	assert!(broken.is_empty(), "{} tests broke:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn tests_should_pass_when_no_reason_is_known_why_they_should_not() {
	let passed: std::collections::HashSet<&str> = PASSED.lines().collect();
	for name in SUITE.lines().filter(|name| !name.starts_with("light/")) {
		assert_ne!(passed.contains(name), known(name).is_some(), "{name}");
	}
	assert!(KNOWN.lines().all(|line| line.split_once(": ").is_some_and(|(name, _)| SUITE.lines().any(|n| n == name))));
}
