//! Whole models, as `scripts/models` makes them, compared with what ONNX Runtime gave.

use crate::{cache, read_all};
use assay_import::{ImportError, Onnx, Session, SessionError};
use assay_kernels::{Options, Plan};
use assay_semantics::{evaluate, DType, EvalError, Model, Tensor};
use std::{
	fs,
	path::{Path, PathBuf},
	time::{Duration, Instant},
};

/// How far an output may be from ONNX Runtime's, relative to the largest magnitude in it.
pub const TOLERANCE: f64 = 1e-4;

/// What to do when the models are not there.
pub const HOW: &str = "make the models with scripts/models";

/// Where the models lie.
pub fn folder() -> PathBuf {
	cache().join("models")
}

/// The names of the models that are there.
pub fn names() -> Vec<String> {
	let entries = fs::read_dir(folder()).into_iter().flatten().flatten();
	let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
	names.retain(|name| !name.starts_with('.') && folder().join(name).join("model.onnx").exists());
	names.sort();
	names
}

/// A named tensor.
pub type Named = (String, Tensor);

/// A model of the cache.
pub struct Case {
	/// What it is compiled with.
	pub session: Session,
	/// Inputs and expected outputs.
	pub sets: Vec<(Vec<Named>, Vec<Tensor>)>,
}

/// Reads the model in a folder.
pub fn read(folder: &Path) -> Result<Case, ImportError> {
	let path = folder.join("model.onnx");
	let file = fs::read(&path).map_err(|e| ImportError::Protobuf(format!("{}: {e}", path.display())))?;
	let session = Session::new(Onnx::read(&file)?);
	let names = session.onnx().input_names();
	let mut sets = Vec::new();
	for set in (0..).map(|i| folder.join(format!("set_{i}"))).take_while(|p| p.exists()) {
		let inputs = names.iter().cloned().zip(read_all(&set, "input")?).collect();
		sets.push((inputs, read_all(&set, "output")?));
	}
	Ok(Case { session, sets })
}

/// A model of the cache compiled for one of its sets, with the inputs that it has left. Says in words why there is none.
pub fn specialised(name: &str, set: usize) -> Result<(Model, Vec<Tensor>), String> {
	let Case { mut session, sets } = read(&folder().join(name)).map_err(|e| format!("{e}; {HOW}"))?;
	let (inputs, _) = sets.get(set).ok_or_else(|| format!("{name} has no set {set}; {HOW}"))?;
	let model = session.specialise(inputs).map_err(|e| e.to_string())?.clone();
	let left = free(&model, inputs);
	Ok((model, left))
}

/// What evaluates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
	/// The reference.
	Reference,
	/// The kernels.
	Kernels,
}

/// What a run gave.
pub struct Run {
	/// The outputs.
	pub outputs: Vec<Tensor>,
	/// Nodes of the specialised model.
	pub nodes: usize,
	/// Steps of the plan that have no kernel, with their operators; none by the reference.
	pub without_kernel: Vec<&'static str>,
	/// Time to specialise, to plan, and to run.
	pub times: [Duration; 3],
}

/// Specialises for these inputs and runs.
pub fn run(session: &mut Session, inputs: &[Named], way: Way) -> Result<Run, SessionError> {
	let start = Instant::now();
	let model = session.specialise(inputs)?;
	let specialised = start.elapsed();
	let free = free(model, inputs);
	let nodes = model.nodes().len();
	if way == Way::Reference {
		let start = Instant::now();
		let outputs = evaluate(model, &free)?;
		return Ok(Run {
			outputs,
			nodes,
			without_kernel: Vec::new(),
			times: [specialised, Duration::ZERO, start.elapsed()],
		});
	}
	let start = Instant::now();
	let plan = Plan::new(model, &Options::new(0))?;
	let planned = start.elapsed();
	let start = Instant::now();
	let outputs = plan.run(&free)?;
	Ok(Run { outputs, nodes, without_kernel: plan.without_kernel(), times: [specialised, planned, start.elapsed()] })
}

/// The inputs that a specialised model has left.
pub fn free(model: &Model, inputs: &[Named]) -> Vec<Tensor> {
	let found = model.names().inputs.iter().filter_map(|name| inputs.iter().find(|(n, _)| n == name));
	found.map(|(_, tensor)| tensor.clone()).collect()
}

/// Whether kernels and reference give the same bits.
pub fn agree(model: &Model, inputs: &[Tensor]) -> Result<bool, EvalError> {
	Ok(Plan::new(model, &Options::new(0))?.run(inputs)? == evaluate(model, inputs)?)
}

/// The largest difference between two lists of tensors, relative to the largest magnitude in each; or in words what is
/// wrong: types, a difference over [`TOLERANCE`], another largest element in some row.
pub fn difference(got: &[Tensor], expected: &[Tensor]) -> Result<f64, String> {
	if got.len() != expected.len() {
		return Err(format!("{} outputs, expected {}", got.len(), expected.len()));
	}
	let mut worst = 0.0;
	for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
		worst = f64::max(worst, one(got, expected).map_err(|e| format!("output {i}: {e}"))?);
	}
	Ok(worst)
}

fn one(got: &Tensor, expected: &Tensor) -> Result<f64, String> {
	if got.ty != expected.ty {
		return Err(format!("{}, expected {}", got.ty, expected.ty));
	}
	if got.ty.dtype != DType::F32 {
		return if got.bytes == expected.bytes { Ok(0.0) } else { Err("values differ".into()) };
	}
	let wide = |t: &Tensor| t.to_f32().unwrap_or_default().into_iter().map(f64::from).collect::<Vec<_>>();
	let (a, b) = (wide(got), wide(expected));
	let most = b.iter().fold(f64::MIN_POSITIVE, |most, x| most.max(x.abs()));
	let mut worst = 0.0;
	for (at, (a, b)) in a.iter().zip(&b).enumerate() {
		let difference = (a - b).abs() / most;
		// A NaN is over the tolerance.
		if difference.is_nan() || difference > TOLERANCE {
			return Err(format!("element {at}: {a}, expected {b}, of magnitudes up to {most}"));
		}
		worst = f64::max(worst, difference);
	}
	let row = got.ty.dims.last().map_or(1, |n| (*n as usize).max(1));
	let largest = |row: &[f64]| (0..row.len()).max_by(|i, j| row[*i].total_cmp(&row[*j])).unwrap_or(0);
	for (at, (a, b)) in a.chunks(row).zip(b.chunks(row)).enumerate() {
		let (i, j) = (largest(a), largest(b));
		if i != j && (b[i] - b[j]).abs() > 2.0 * worst * most {
			return Err(format!("row {at}: the largest element is {i}, expected {j}"));
		}
	}
	Ok(worst)
}
