//! Import refuses in words whatever is wrong with a graph: ONNX's own tests with attributes, types and values that they never
//! meant.

use assay_import::{
	proto::{AttributeProto, GraphProto, ModelProto},
	read_tensor, Given, Onnx,
};
use assay_onnx_suite::{folder, SUITE};
use assay_semantics::{testing::Rng, Tensor, TensorType};
use prost::Message;
use std::{
	fs,
	panic::{catch_unwind, AssertUnwindSafe},
	time::{Duration, Instant},
};

/// What takes longer is named.
const SLOW: Duration = Duration::from_secs(1);

/// Numbers that are at an edge of something.
const NUMBERS: [i64; 16] = [0, 1, -1, 2, -2, 3, 4, 5, 7, 8, 64, -64, 1 << 31, i64::MAX, i64::MIN, (1 << 32) - 1];

fn damage_attribute(rng: &mut Rng, a: &mut AttributeProto) {
	match a.r#type {
		1 => a.f = rng.pick(&[0.0, -1.0, 1e-30, 1e30, 0.3, f32::NAN]),
		2 => a.i = rng.pick(&NUMBERS),
		3 => a.s = rng.pick(&["", "x", "SAME_UPPER", "cubic", "linear", "nearest"]).into(),
		7 if rng.one_in(3) => a.ints.push(rng.pick(&NUMBERS)),
		7 if rng.one_in(2) => drop(a.ints.pop()),
		7 if !a.ints.is_empty() => {
			let at = rng.below(a.ints.len() as u64) as usize;
			a.ints[at] = rng.pick(&NUMBERS);
		}
		_ => a.name.push('x'),
	}
}

fn damage_graph(rng: &mut Rng, graph: &mut GraphProto) {
	let count = graph.node.len() as u64;
	if count == 0 {
		return;
	}
	let node = &mut graph.node[rng.below(count) as usize];
	match rng.below(4) {
		0 if !node.input.is_empty() => {
			let at = rng.below(node.input.len() as u64) as usize;
			node.input[at] = String::new();
		}
		1 if node.input.len() > 1 => node.input.swap(0, 1),
		2 if rng.one_in(4) => drop(node.input.pop()),
		_ if !node.attribute.is_empty() => {
			let at = rng.below(node.attribute.len() as u64) as usize;
			damage_attribute(rng, &mut node.attribute[at]);
		}
		_ => {}
	}
}

/// A type near this one.
fn damage_type(rng: &mut Rng, ty: &TensorType) -> TensorType {
	let mut ty = ty.clone();
	match rng.below(4) {
		0 => ty.dims.push(rng.between(0, 3)),
		1 => drop(ty.dims.pop()),
		_ if !ty.dims.is_empty() => {
			let at = rng.below(ty.dims.len() as u64) as usize;
			ty.dims[at] = rng.pick(&[0, 1, 2, 3, 5, 1000]);
		}
		_ => {}
	}
	ty
}

/// A tensor of a type near that of this one, with some of its bytes and others.
fn damage_value(rng: &mut Rng, tensor: &Tensor) -> Tensor {
	let ty = damage_type(rng, &tensor.ty);
	let mut other = assay_semantics::testing::tensor(rng, &ty);
	if rng.one_in(2) {
		other.bytes.iter_mut().zip(&tensor.bytes).for_each(|(a, b)| *a = *b);
	}
	other
}

#[test]
fn import_should_not_panic_when_graphs_mean_nothing() {
	if !folder().join("generated-by").exists() {
		eprintln!("ONNX's tests are not here; make them with scripts/onnx-suite --generate");
		return;
	}
	let rounds = std::env::var("ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(12);
	let mut broken = Vec::new();
	for (case, name) in SUITE.lines().filter(|n| n.starts_with("node/")).enumerate() {
		let set = folder().join(name).join("test_data_set_0");
		let file = fs::read(folder().join(name).join("model.onnx")).unwrap();
		let paths = (0..).map(|i| set.join(format!("input_{i}.pb"))).take_while(|p| p.exists());
		let inputs: Option<Vec<Tensor>> = paths.map(|p| read_tensor(&fs::read(p).unwrap()).ok()).collect();
		let Some(inputs) = inputs else { continue };
		for round in 0..rounds {
			let mut rng = Rng((case * 1000 + round) as u64);
			let rng = &mut rng;
			let mut model = ModelProto::decode(file.as_slice()).unwrap();
			for _ in 0..rng.between(0, 2) {
				damage_graph(rng, model.graph.as_mut().unwrap());
			}
			// Nothing is declared that what is given could contradict.
			for info in &mut model.graph.as_mut().unwrap().input {
				if let Some(tensor) = info.r#type.as_mut().and_then(|t| t.tensor_type.as_mut()) {
					tensor.shape = None;
				}
			}
			if std::env::var("TRACE").is_ok() {
				eprintln!("{name} {round}");
			}
			let start = Instant::now();
			let outcome = catch_unwind(AssertUnwindSafe(|| {
				let Ok(onnx) = Onnx::read(&model.encode_to_vec()) else { return };
				let give = |rng: &mut Rng, tensor: &Tensor| match rng.below(4) {
					0 => Given::Type(damage_type(rng, &tensor.ty)),
					1 => Given::Value(damage_value(rng, tensor)),
					2 => Given::Type(tensor.ty.clone()),
					_ => Given::Value(tensor.clone()),
				};
				let mut given = Vec::new();
				for (input, tensor) in onnx.input_names().into_iter().zip(&inputs) {
					given.push((input, give(rng, tensor)));
				}
				if let Ok(model) = onnx.compile(&given) {
					assert!(model.check().is_ok());
				}
			}));
			if start.elapsed() > SLOW {
				eprintln!("{name} in round {round}: {:?}", start.elapsed());
			}
			if outcome.is_err() {
				broken.push(format!("{name} in round {round}"));
			}
		}
	}
	assert!(broken.is_empty(), "{} graphs made import panic:\n{}", broken.len(), broken.join("\n"));
}
