//! Whole models give what ONNX Runtime gives, and kernels give the bits of the reference.

use assay_onnx_suite::{
	compare, folder as suite,
	models::{agree, difference, folder, free, names, read, run, Named, Way, HOW, TOLERANCE},
	read_all,
};
use assay_semantics::Tensor;

/// The models whose name begins so; when there are none, says what to do.
fn those(prefix: &str) -> Vec<String> {
	let names: Vec<String> = names().into_iter().filter(|name| name.starts_with(prefix)).collect();
	if names.is_empty() {
		eprintln!("no {prefix} in {}: {HOW}", folder().display());
	}
	names
}

/// Runs all sets of a model and gives the largest error.
fn check(name: &str, way: Way) -> f64 {
	let mut case = read(&folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
	let mut worst = 0.0;
	for (set, (inputs, expected)) in case.sets.iter().enumerate() {
		let run = run(&mut case.session, inputs, way).unwrap_or_else(|e| panic!("{name}, set {set}: {e}"));
		worst =
			f64::max(worst, difference(&run.outputs, expected).unwrap_or_else(|e| panic!("{name}, set {set}: {e}")));
	}
	eprintln!("{name} by {way:?}: {worst:.1e}");
	worst
}

#[test]
fn transformers_should_give_what_onnx_runtime_gives() {
	for name in those("encoder").iter().chain(&those("decoder")).chain(&those("bert-base")) {
		check(name, Way::Kernels);
	}
}

#[test]
fn light_models_should_give_what_onnx_runtime_gives_when_their_weights_are_random() {
	for name in those("light") {
		check(&name, Way::Kernels);
	}
}

#[test]
fn light_models_should_give_their_outputs_when_their_weights_are_their_own() {
	let folder = suite().join("light");
	if !folder.exists() {
		eprintln!("ONNX's light models are not here; make them with scripts/onnx-suite --generate");
		return;
	}
	for entry in std::fs::read_dir(folder).unwrap() {
		let folder = entry.unwrap().path();
		let mut case = read(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
		let set = folder.join("test_data_set_0");
		let inputs = case.session.onnx().input_names().into_iter().zip(read_all(&set, "input").unwrap());
		let run = run(&mut case.session, &inputs.collect::<Vec<_>>(), Way::Kernels);
		let run = run.unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
		for (got, expected) in run.outputs.iter().zip(&read_all(&set, "output").unwrap()) {
			assert_eq!(compare::difference(got, expected), None, "{}", folder.display());
		}
	}
}

#[test]
fn kernels_should_give_the_bits_of_the_reference_on_whole_models() {
	let small = [
		"encoder-opset17",
		"encoder-newest",
		"encoder-einsum",
		"encoder-sdpa",
		"decoder",
		"light-squeezenet",
		"light-shufflenet",
	];
	for name in small.iter().flat_map(|prefix| those(prefix)) {
		let mut case = read(&folder().join(&name)).unwrap();
		// The first set of a light model, the second of the others: more than one word.
		let (inputs, _) = case.sets.get(1).or(case.sets.first()).unwrap();
		let model = case.session.specialise(inputs).unwrap();
		assert!(agree(model, &free(model, inputs)).unwrap(), "{name}: kernels and reference differ");
	}
}

/// The elements of `rows` consecutive rows of the second dimension of `[1, n, m]`.
fn rows(tensor: &Tensor, from: usize, rows: usize) -> Tensor {
	let width = tensor.ty.dims[2] as usize;
	let values = tensor.to_f32().unwrap();
	Tensor::from_f32([1, rows as u32, width as u32], &values[from * width..(from + rows) * width]).unwrap()
}

#[test]
fn decoder_should_give_the_same_logits_when_it_goes_token_by_token() {
	for name in those("decoder") {
		let mut case = read(&folder().join(&name)).unwrap();
		let (prefill, expected) = case.sets[0].clone();
		let ids = &prefill[0].1;
		let length = ids.ty.dims[1] as usize;
		let token = |at: usize, n: usize| {
			Tensor::new(
				assay_semantics::TensorType::new(ids.ty.dtype, [1, n as u32]),
				ids.bytes[8 * at..8 * (at + n)].to_vec(),
			)
			.unwrap()
		};
		let mut past: Vec<Named> = prefill[2..].to_vec();
		let mut at = 0;
		// Four tokens at once, the others one by one.
		while at < length {
			let n = if at == 0 { 4 } else { 1 };
			let mask = Tensor::from_i64([1, (at + n) as u32], &vec![1; at + n]).unwrap();
			let mut inputs: Vec<Named> = vec![(prefill[0].0.clone(), token(at, n)), (prefill[1].0.clone(), mask)];
			inputs.extend(past.clone());
			let mut outputs = run(&mut case.session, &inputs, Way::Kernels).unwrap().outputs;
			let logits = outputs.remove(0);
			let worst =
				difference(&[logits], &[rows(&expected[0], at, n)]).unwrap_or_else(|e| panic!("{name} at {at}: {e}"));
			assert!(worst <= TOLERANCE);
			past = past.into_iter().zip(outputs).map(|((name, _), present)| (name, present)).collect();
			at += n;
		}
		// The cache is that of the prefill.
		let cache: Vec<Tensor> = past.into_iter().map(|(_, tensor)| tensor).collect();
		difference(&cache, &expected[1..]).unwrap_or_else(|e| panic!("{name}: the cache: {e}"));
	}
}

#[test]
fn batch_should_have_the_bits_of_its_samples() {
	for name in those("encoder") {
		let mut case = read(&folder().join(&name)).unwrap();
		let (inputs, _) = case.sets.iter().find(|(inputs, _)| inputs[0].1.ty.dims[0] > 1).unwrap().clone();
		let count = inputs[0].1.ty.dims[0] as usize;
		let whole = run(&mut case.session, &inputs, Way::Kernels).unwrap().outputs;
		for at in 0..count {
			let one = |tensor: &Tensor| {
				let (mut ty, size) = (tensor.ty.clone(), tensor.bytes.len() / count);
				ty.dims[0] = 1;
				Tensor::new(ty, tensor.bytes[at * size..(at + 1) * size].to_vec()).unwrap()
			};
			let alone: Vec<Named> = inputs.iter().map(|(name, tensor)| (name.clone(), one(tensor))).collect();
			let outputs = run(&mut case.session, &alone, Way::Kernels).unwrap().outputs;
			assert_eq!(outputs, whole.iter().map(one).collect::<Vec<_>>(), "{name}: sample {at} alone");
		}
	}
}
