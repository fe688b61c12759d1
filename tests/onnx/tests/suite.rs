//! What passed once passes.

use assay_onnx_suite::{folder, run, Outcome, PASSED, SUITE};

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
