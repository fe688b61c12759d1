//! Files that nobody meant as models: no reader panics, whatever it reads, and what it takes is whole. A few seconds here;
//! `scripts/fuzz` goes on for as long as one likes.

mod common;

use std::{
	fs,
	path::Path,
	time::{Duration, Instant},
};

use assay_import::{import_onnx, proto::*, read_artifact, write_artifact};
use assay_semantics::testing::{bytes, Rng};
use prost::Message;

/// What `scripts/fuzz` or anyone else has found, for ever.
fn regressions(target: &str) -> Vec<Vec<u8>> {
	let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/regressions").join(target);
	let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
	files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

fn seconds() -> Duration {
	let seconds = std::env::var("ASSAY_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
	Duration::from_secs(seconds.unwrap_or(5))
}

fn seed() -> u64 {
	std::env::var("ASSAY_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// A file that is read goes through the artifact and comes back the same.
fn import(file: &[u8]) -> bool {
	match import_onnx(file) {
		Ok(model) => {
			let artifact = write_artifact(&model);
			assert_eq!(read_artifact(&artifact).expect("our own artifact"), model);
			true
		}
		Err(error) => {
			assert!(!error.to_string().is_empty());
			false
		}
	}
}

fn read(file: &[u8]) -> bool {
	match read_artifact(file) {
		// One model has one artifact.
		Ok(model) => {
			assert!(write_artifact(&model) == file);
			true
		}
		Err(error) => {
			assert!(!error.to_string().is_empty());
			false
		}
	}
}

#[test]
fn readers_should_not_panic_when_a_file_has_been_trouble_before() {
	let onnx = regressions("onnx").iter().filter(|file| tried("onnx", file, import)).count();
	let artifacts = regressions("artifact").iter().filter(|file| tried("artifact", file, read)).count();
	println!("{onnx} ONNX files and {artifacts} artifacts are whole");
}

/// What stands in ONNX files.
const OPERATORS: &[&str] = &[
	"Add",
	"AveragePool",
	"BatchNormalization",
	"Cast",
	"Clip",
	"Concat",
	"ConstantOfShape",
	"Conv",
	"Div",
	"Dropout",
	"Expand",
	"Flatten",
	"Gather",
	"Gemm",
	"GlobalAveragePool",
	"Identity",
	"LayerNormalization",
	"MatMul",
	"MaxPool",
	"Mul",
	"Pad",
	"Pow",
	"ReduceMean",
	"Relu",
	"Reshape",
	"Resize",
	"Shape",
	"Slice",
	"Softmax",
	"Split",
	"Squeeze",
	"Sub",
	"Tile",
	"Transpose",
	"Unsqueeze",
	"Where",
];

const ATTRIBUTES: &[&str] = &[
	"alpha",
	"auto_pad",
	"axes",
	"axis",
	"beta",
	"ceil_mode",
	"count_include_pad",
	"dilations",
	"epsilon",
	"group",
	"keepdims",
	"kernel_shape",
	"mode",
	"pads",
	"perm",
	"shape",
	"split",
	"strides",
	"to",
	"transA",
	"transB",
	"value",
];

fn number(rng: &mut Rng) -> i64 {
	let small = rng.below(9) as i64 - 3;
	rng.pick(&[small, small, small, 255, 256, 1 << 16, 1 << 31, i64::from(i32::MIN), 1 << 40, i64::MAX, i64::MIN, -1])
}

/// A list with something changed, dropped, doubled or swapped.
fn shuffle<T: Clone>(rng: &mut Rng, list: &mut Vec<T>) {
	if list.is_empty() {
		return;
	}
	let at = rng.below(list.len() as u64) as usize;
	let to = rng.below(list.len() as u64) as usize;
	match rng.below(3) {
		0 => drop(list.remove(at)),
		1 => list.insert(to, list[at].clone()),
		_ => list.swap(at, to),
	}
}

fn change_numbers(rng: &mut Rng, list: &mut Vec<i64>) {
	match rng.below(3) {
		0 => list.push(number(rng)),
		1 => shuffle(rng, list),
		_ => {
			let at = rng.below(list.len() as u64) as usize;
			let new = number(rng);
			list.iter_mut().skip(at).take(1).for_each(|n| *n = new);
		}
	}
}

fn change_tensor(rng: &mut Rng, tensor: &mut TensorProto) {
	match rng.below(5) {
		0 => change_numbers(rng, &mut tensor.dims),
		1 => tensor.data_type = rng.below(24) as i32,
		2 => {
			let mut raw = tensor.raw_data.to_vec();
			bytes::mutate(rng, &mut raw, &[]);
			tensor.raw_data = raw.into();
		}
		3 => change_numbers(rng, &mut tensor.int64_data),
		_ => shuffle(rng, &mut tensor.float_data),
	}
}

fn change_node(rng: &mut Rng, node: &mut NodeProto, names: &[String]) {
	match rng.below(6) {
		0 => node.op_type = rng.pick(OPERATORS).into(),
		1 => shuffle(rng, &mut node.input),
		2 => {
			let at = rng.below(node.input.len() as u64 + 1) as usize;
			let name = names.get(rng.below(names.len() as u64) as usize).cloned().unwrap_or_default();
			match node.input.get_mut(at) {
				Some(input) => *input = name,
				None => node.input.push(name),
			}
		}
		3 => shuffle(rng, &mut node.attribute),
		_ => {
			let at = rng.below(node.attribute.len() as u64 + 1) as usize;
			if at >= node.attribute.len() {
				node.attribute.push(AttributeProto::default());
			}
			let attribute = &mut node.attribute[at];
			attribute.r#type = rng.pick(&[1, 2, 3, 4, 7, 7, 2]);
			attribute.i = number(rng);
			change_numbers(rng, &mut attribute.ints);
			if attribute.name.is_empty() || rng.one_in(4) {
				attribute.name = rng.pick(ATTRIBUTES).into();
			}
			if let Some(tensor) = &mut attribute.t {
				change_tensor(rng, tensor);
			}
		}
	}
}

/// Changes what a graph says, so that it is still a graph.
fn change(rng: &mut Rng, model: &mut ModelProto) {
	let Some(graph) = &mut model.graph else { return };
	let names: Vec<String> = graph
		.node
		.iter()
		.flat_map(|node| node.output.iter().chain(&node.input))
		.chain(graph.initializer.iter().map(|tensor| &tensor.name))
		.cloned()
		.collect();
	for _ in 0..=rng.below(3) {
		let which = |rng: &mut Rng, len: usize| rng.below(len as u64) as usize;
		match rng.below(8) {
			0 => shuffle(rng, &mut graph.node),
			1 => {
				let at = which(rng, graph.initializer.len());
				graph.initializer.get_mut(at).into_iter().for_each(|tensor| change_tensor(rng, tensor));
			}
			2 => {
				let at = which(rng, graph.input.len());
				let ty = graph.input.get_mut(at).and_then(|input| input.r#type.as_mut()?.tensor_type.as_mut());
				let Some(ty) = ty else { continue };
				if rng.one_in(3) {
					ty.elem_type = rng.below(24) as i32;
				}
				let Some(shape) = &mut ty.shape else { continue };
				shuffle(rng, &mut shape.dim);
				let at = which(rng, shape.dim.len());
				let new = number(rng);
				shape.dim.iter_mut().skip(at).take(1).for_each(|dim| dim.dim_value = Some(new));
			}
			3 => model.opset_import.iter_mut().for_each(|opset| opset.version = 1 + rng.below(26) as i64),
			_ => {
				let at = which(rng, graph.node.len());
				graph.node.get_mut(at).into_iter().for_each(|node| change_node(rng, node, &names));
			}
		}
	}
}

/// Small models, and those in the folder `ASSAY_FUZZ_CORPUS`.
fn corpus() -> Vec<Vec<u8>> {
	let mut files = vec![common::network().bytes()];
	let mut folders: Vec<_> = std::env::var_os("ASSAY_FUZZ_CORPUS").into_iter().map(Into::into).collect();
	while let Some(folder) = folders.pop() {
		for entry in fs::read_dir::<&Path>(std::path::PathBuf::as_path(&folder)).unwrap() {
			let path = entry.unwrap().path();
			if path.is_dir() {
				folders.push(path);
			} else if path.extension().is_some_and(|e| e == "onnx") && path.metadata().unwrap().len() < 100_000 {
				files.push(fs::read(path).unwrap());
			}
		}
	}
	files
}

/// Runs one case; if it panics or takes long, its file is kept for whoever looks into it.
fn tried(kind: &str, file: &[u8], f: fn(&[u8]) -> bool) -> bool {
	let start = Instant::now();
	let end = std::panic::catch_unwind(|| f(file));
	let took = start.elapsed();
	if let (Ok(taken), true) = (&end, took < Duration::from_secs(5)) {
		return *taken;
	}
	let path = std::env::temp_dir().join(format!("assay-fuzz-{kind}-{}", std::process::id()));
	fs::write(&path, file).unwrap();
	panic!("this {kind} file makes trouble (after {took:?}), and belongs to fuzz/regressions: {}", path.display());
}

#[test]
fn importer_should_not_panic_when_fed_anything() {
	let (since, mut rng) = (Instant::now(), Rng(seed()));
	let corpus = corpus();
	let (mut done, mut taken) = (0u64, 0u64);
	while since.elapsed() < seconds() {
		let mut file = corpus[rng.below(corpus.len() as u64) as usize].clone();
		if rng.one_in(4) {
			bytes::mutate(&mut rng, &mut file, &[]);
		} else {
			let mut model = ModelProto::decode(&file[..]).expect("the corpus is right");
			change(&mut rng, &mut model);
			file = model.encode_to_vec();
		}
		taken += u64::from(tried("onnx", &file, import));
		done += 1;
	}
	println!("{done} files, of which {taken} were taken; seed {}", seed());
	assert!(done > 100 && taken > 0, "{done} files, {taken} taken");
}

#[test]
fn artifact_should_be_whole_or_refused_when_fed_anything() {
	let (since, mut rng) = (Instant::now(), Rng(seed()));
	let model = import_onnx(&common::network().bytes()).unwrap();
	let artifact = write_artifact(&model);
	let metadata = u64::from_le_bytes(artifact[44..52].try_into().unwrap());
	let mut done = 0u64;
	while since.elapsed() < seconds() {
		let mut file = artifact.clone();
		if rng.one_in(2) {
			// Most of the file is weights, where there is little to say: what stands before them is changed.
			let mut head = file[52..52 + metadata as usize].to_vec();
			bytes::mutate(&mut rng, &mut head, &[]);
			let length = (head.len() as u64).to_le_bytes();
			let weights = file[52 + metadata as usize..].to_vec();
			file = [&file[..44], &length, &head, &weights].concat();
		} else {
			bytes::mutate(&mut rng, &mut file, &[]);
		}
		tried("artifact", &file, read);
		done += 1;
	}
	println!("{done} artifacts; seed {}", seed());
	assert!(done > 100);
}
