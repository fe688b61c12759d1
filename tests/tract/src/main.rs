//! The peer tract.
//!
//! - `assay-tract suite [..]`: ONNX's own tests, with the arguments of `onnx-suite`.
//! - `assay-tract bench MODEL INPUT OUTPUT THREADS`: INPUT holds the raw inputs one after the other, or is a folder with them as
//!   `0.pb`, `1.pb` and so on; OUTPUT gets the first output. Then, for every line on standard input, one run, or as many as it
//!   says, and their times in microseconds in a line on standard output.

use assay_import::{read_tensor, Given, Onnx};
use assay_onnx_suite::{compare, folder, read_all, report, Outcome};
use assay_semantics::{DType, Tensor, TensorType};
use std::{
	env, fs,
	io::{stdin, stdout, Write},
	path::Path,
	sync::Arc,
	time::Instant,
};
use tract_linalg::multithread::{set_default_executor, Executor};
use tract_onnx::{
	prelude::{DatumType, Framework, InferenceModelExt, IntoRunnable, TValue, TVec, TractResult, TypedRunnableModel},
	tract_hir::internal::{format_err, InferenceFact, IntoTValue},
};

type Theirs = tract_onnx::prelude::Tensor;

fn datum_type(dtype: DType) -> Option<DatumType> {
	Some(match dtype {
		DType::F32 => DatumType::F32,
		DType::F64 => DatumType::F64,
		DType::F16 => DatumType::F16,
		DType::I8 => DatumType::I8,
		DType::U8 => DatumType::U8,
		DType::I16 => DatumType::I16,
		DType::U16 => DatumType::U16,
		DType::I32 => DatumType::I32,
		DType::U32 => DatumType::U32,
		DType::I64 => DatumType::I64,
		DType::U64 => DatumType::U64,
		DType::Bool => DatumType::Bool,
		DType::BF16 => return None,
	})
}

fn given(tensor: &Tensor) -> TractResult<Theirs> {
	let dtype = datum_type(tensor.ty.dtype).ok_or_else(|| format_err!("tract has no {}", tensor.ty.dtype.name()))?;
	let dims: Vec<usize> = tensor.ty.dims.iter().map(|d| *d as usize).collect();
	let mut given = Theirs::zero_dt(dtype, &dims)?;
	given.as_bytes_mut().copy_from_slice(&tensor.bytes);
	Ok(given)
}

fn got(tensor: &Theirs) -> TractResult<Tensor> {
	// Dimensions are numbers; quantised numbers are those that they are stored as.
	let tensor = match tensor.datum_type() {
		DatumType::TDim => &*tensor.cast_to::<i64>()?,
		_ => tensor,
	};
	let plain = tensor.datum_type().unquantized();
	let dtype = DType::ALL.into_iter().find(|dtype| datum_type(*dtype) == Some(plain));
	let dtype = dtype.ok_or_else(|| format_err!("an output is {plain:?}"))?;
	let dims: Vec<u32> = tensor.shape().iter().map(|d| *d as u32).collect();
	Ok(Tensor::new(TensorType::new(dtype, dims), tensor.as_bytes().to_vec())?)
}

/// Which inputs are constants of the model.
type Freeze = fn(usize, &Tensor) -> bool;

/// What is tried in turn, as the engine makes constants of inputs on which shapes or attributes hang.
const FREEZE: [Freeze; 4] = [|_, _| false, |_, tensor| !tensor.ty.dtype.is_float(), |i, _| i > 0, |_, _| true];

/// A model for inputs of these types; for some, of these values.
fn runnable(path: &Path, inputs: &[Tensor], freeze: Freeze) -> TractResult<Arc<TypedRunnableModel>> {
	let mut model = tract_onnx::onnx().model_for_path(path)?;
	for (i, tensor) in inputs.iter().enumerate() {
		let value = given(tensor)?;
		let fact = match freeze(i, tensor) {
			true => InferenceFact::from(value),
			false => InferenceFact::dt_shape_from_tensor(&value),
		};
		model = model.with_input_fact(i, fact)?;
	}
	model.into_optimized()?.into_runnable()
}

fn run(model: &Arc<TypedRunnableModel>, inputs: &[Tensor]) -> TractResult<Vec<Tensor>> {
	let inputs: TVec<TValue> = inputs.iter().map(|t| Ok(given(t)?.into_tvalue())).collect::<TractResult<_>>()?;
	model.run(inputs)?.iter().map(|tensor| got(tensor)).collect()
}

/// The outputs on these inputs, and whether the values of some had to be known. The error is that of the first try.
fn outputs(path: &Path, inputs: &[Tensor]) -> TractResult<(Vec<Tensor>, bool)> {
	let mut first = None;
	for (tries, freeze) in FREEZE.into_iter().enumerate() {
		match runnable(path, inputs, freeze).and_then(|model| run(&model, inputs)) {
			Ok(outputs) => return Ok((outputs, tries > 0)),
			Err(error) => first = first.or(Some(error)),
		}
	}
	Err(first.unwrap_or_else(|| format_err!("nothing was tried")))
}

fn test(name: &str) -> TractResult<Outcome> {
	let folder = folder().join(name);
	let mut frozen = Vec::new();
	for set in (0..).map(|i| folder.join(format!("test_data_set_{i}"))).take_while(|p| p.exists()) {
		let (inputs, expected) = (read_all(&set, "input")?, read_all(&set, "output")?);
		let (outputs, was_frozen) = outputs(&folder.join("model.onnx"), &inputs)?;
		if was_frozen {
			frozen = vec!["some".into()];
		}
		if let Some(wrong) = compare::differences(&outputs, &expected) {
			return Ok(Outcome::Failed(wrong));
		}
	}
	Ok(Outcome::Passed { frozen })
}

/// Tensors one after the other, of the types that the model's file declares.
fn raw(model: &Path, bytes: &[u8]) -> TractResult<Vec<Tensor>> {
	let model = Onnx::read(&fs::read(model)?)?;
	let (mut rest, mut tensors) = (bytes, Vec::new());
	for (_, given) in model.declared(&[])? {
		let Given::Type(ty) = given else { continue };
		let len = ty.byte_len().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= rest.len());
		let (tensor, after) = rest.split_at(len.ok_or_else(|| format_err!("the input is too short"))?);
		tensors.push(Tensor::new(ty, tensor.to_vec())?);
		rest = after;
	}
	Ok(tensors)
}

fn bench(arguments: &[String]) -> TractResult<()> {
	let [model, input, output, threads] = arguments else { panic!("bench MODEL INPUT OUTPUT THREADS") };
	let threads: usize = threads.parse()?;
	if threads > 1 {
		set_default_executor(Executor::multithread(threads));
	}
	let inputs: Vec<Tensor> = match Path::new(input).is_dir() {
		true => {
			let files = (0..).map(|i| Path::new(input).join(format!("{i}.pb"))).take_while(|path| path.exists());
			files.map(|path| Ok(read_tensor(&fs::read(path)?)?)).collect::<TractResult<_>>()?
		}
		false => raw(Path::new(model), &fs::read(input)?)?,
	};
	let path = Path::new(model);
	// Shapes may hang on integers, so they are known where that is needed.
	let model = runnable(path, &inputs, FREEZE[0]).or_else(|_| runnable(path, &inputs, FREEZE[1]))?;
	let inputs: TVec<TValue> = inputs.iter().map(|t| Ok(given(t)?.into_tvalue())).collect::<TractResult<_>>()?;
	let mut state = model.spawn()?;
	let outputs = state.run(inputs.clone())?;
	fs::write(output, outputs[0].as_bytes())?;
	println!("ready tract");
	for line in stdin().lines() {
		let line = line?;
		if line.trim() == "profile" {
			println!();
			continue;
		}
		let mut times = Vec::new();
		for _ in 0..line.trim().parse().unwrap_or(1) {
			let start = Instant::now();
			state.run(inputs.clone())?;
			times.push(format!("{:.1}", start.elapsed().as_secs_f64() * 1e6));
		}
		println!("{}", times.join(" "));
		stdout().flush()?;
	}
	Ok(())
}

fn main() -> TractResult<()> {
	let arguments: Vec<String> = env::args().skip(1).collect();
	match arguments.split_first() {
		Some((command, rest)) if command == "suite" => {
			let run =
				|name: &str| test(name).unwrap_or_else(|e| Outcome::Unsupported(format!("{e:#}").replace('\n', " ")));
			Ok(report::main(rest, &run)?)
		}
		Some((command, rest)) if command == "bench" => bench(rest),
		_ => panic!("suite or bench"),
	}
}
