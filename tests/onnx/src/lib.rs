//! ONNX's own tests, as `scripts/onnx-suite --generate` writes them, run by the reference evaluation.

pub mod compare;
pub mod models;
pub mod report;

use assay_import::{read_tensor, ImportError, Onnx, Session, SessionError};
use assay_semantics::Tensor;
use std::{
	fs,
	path::{Path, PathBuf},
};

/// The names of all tests, as `kind/name`.
pub const SUITE: &str = include_str!("../suite.txt");

/// The names of the tests that pass.
pub const PASSED: &str = include_str!("../passed.txt");

/// The tests that fail, each with the reason after a colon: what they expect is not right to the last digit that they look at.
pub const KNOWN: &str = include_str!("../known.txt");

/// How a test ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
	/// Types, shapes and values are as expected.
	Passed {
		/// The inputs whose values had to be known at import.
		frozen: Vec<String>,
	},
	/// They are not; or something broke that must not break.
	Failed(String),
	/// Import refused the graph.
	Unsupported(String),
}

/// The per-user cache.
fn cache() -> PathBuf {
	let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
	std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("assay")
}

/// Where the generated tests lie.
pub fn folder() -> PathBuf {
	cache().join("onnx-suite")
}

fn read(path: &Path) -> Result<Tensor, ImportError> {
	read_tensor(&fs::read(path).map_err(|e| ImportError::Protobuf(format!("{}: {e}", path.display())))?)
}

/// `prefix_0.pb`, `prefix_1.pb`, … of a folder.
pub fn read_all(folder: &Path, prefix: &str) -> Result<Vec<Tensor>, ImportError> {
	let paths = (0..).map(|i| folder.join(format!("{prefix}_{i}.pb"))).take_while(|p| p.exists());
	paths.map(|p| read(&p)).collect()
}

fn run_sets(folder: &Path) -> Result<Outcome, SessionError> {
	let file = fs::read(folder.join("model.onnx")).map_err(|e| ImportError::Protobuf(e.to_string()))?;
	let mut session = Session::new(Onnx::read(&file)?);
	for set in (0..).map(|i| folder.join(format!("test_data_set_{i}"))).take_while(|p| p.exists()) {
		let inputs = read_all(&set, "input")?;
		let expected = read_all(&set, "output")?;
		let inputs: Vec<_> = session.onnx().input_names().into_iter().zip(inputs).collect();
		let outputs = session.run(&inputs)?;
		if let Some(wrong) = compare::differences(&outputs, &expected) {
			return Ok(Outcome::Failed(wrong));
		}
	}
	Ok(Outcome::Passed { frozen: session.frozen().map(Into::into).collect() })
}

/// Runs the test of this name (`kind/name`).
pub fn run(name: &str) -> Outcome {
	run_sets(&folder().join(name)).unwrap_or_else(|error| Outcome::Unsupported(error.to_string()))
}
