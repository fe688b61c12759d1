//! Graphs that are compiled for what is given.

mod common;

use assay_import::{import_onnx, Given, ImportError, Onnx, Session};
use assay_semantics::{evaluate, DType, Tensor, TensorType};
use common::*;

fn read(file: &File) -> Onnx {
	Onnx::read(&file.bytes()).unwrap()
}

fn f32s(dims: &[u32], values: &[f32]) -> Tensor {
	Tensor::from_f32(dims, values).unwrap()
}

/// Tensors of this element type as inputs.
fn typed(mut file: File, name: &str, elem_type: i32) -> File {
	let info = file.graph.input.iter_mut().find(|i| i.name == name).unwrap();
	info.r#type.as_mut().unwrap().tensor_type.as_mut().unwrap().elem_type = elem_type;
	file
}

#[test]
fn graph_should_be_compiled_for_the_types_that_are_given_when_dimensions_are_free() {
	let onnx = read(&File::new().input("x", &[-1, -1]).node("Shape", "x", "s", vec![]).output("s"));
	for dims in [[2, 3], [5, 1]] {
		let given = [("x".to_string(), Given::Type(TensorType::new(DType::F32, dims)))];
		let model = onnx.compile(&given).unwrap();
		let x = f32s(&dims, &vec![0.0; (dims[0] * dims[1]) as usize]);
		let out = evaluate(&model, &[x]).unwrap();
		assert_eq!(out[0], Tensor::from_i64([2], &dims.map(i64::from)).unwrap());
	}
	let wrong = [("x".to_string(), Given::Type(TensorType::new(DType::I8, [2, 3])))];
	assert!(onnx.compile(&wrong).unwrap_err().to_string().contains("it is FP32, given was INT8"));
	assert!(onnx.compile(&[]).unwrap_err().to_string().contains("neither its type nor its value"));
}

#[test]
fn session_should_freeze_an_input_only_when_a_shape_hangs_on_it() {
	let file = File::new().input("x", &[2, 3]).input("s", &[2]).node("Reshape", "x s", "y", vec![]).output("y");
	let file = typed(file, "s", 7);
	let refused = import_onnx(&file.bytes()).unwrap_err();
	assert!(matches!(&refused, ImportError::NeedsValues { inputs, .. } if *inputs == ["s"]), "{refused}");
	let mut session = Session::new(read(&file));
	let x = f32s(&[2, 3], &[1., 2., 3., 4., 5., 6.]);
	for shape in [[3, 2], [6, 1], [-1, 2]] {
		let s = Tensor::from_i64([2], &shape).unwrap();
		let out = session.run(&[("x".into(), x.clone()), ("s".into(), s)]).unwrap();
		assert_eq!(out[0].bytes, x.bytes);
		assert_eq!(out[0].ty.dims[1], shape[1] as u32);
	}
	assert_eq!(session.frozen().collect::<Vec<_>>(), ["s"]);
}

#[test]
fn session_should_fold_what_a_frozen_value_goes_through_when_that_is_a_reduction() {
	// The shape is a product of dimensions, and of a value.
	let file = File::new()
		.input("x", &[2, 3])
		.input("k", &[2])
		.node("ReduceProd", "k", "p", vec![int("keepdims", 1)])
		.node("Reshape", "x p", "y", vec![])
		.output("y");
	let mut session = Session::new(read(&typed(file, "k", 7)));
	let k = Tensor::from_i64([2], &[2, 3]).unwrap();
	let out = session.run(&[("x".into(), f32s(&[2, 3], &[0.0; 6])), ("k".into(), k)]).unwrap();
	assert_eq!(out[0].ty.dims, [6]);
}

#[test]
fn outputs_should_be_given_when_they_are_constant() {
	let file = File::new().input("x", &[2]).weight("w", &[2], &[1., -2.]).node("Relu", "w", "y", vec![]).output("y");
	let model = import_onnx(&file.bytes()).unwrap();
	assert_eq!(evaluate(&model, &[f32s(&[2], &[0.0, 0.0])]).unwrap()[0], f32s(&[2], &[1.0, 0.0]));
}

#[test]
fn functions_should_be_inlined_when_a_node_calls_one() {
	use assay_import::proto::*;
	use prost::Message;
	let node = |op: &str, domain: &str, input: &[&str], output: &str| NodeProto {
		op_type: op.into(),
		domain: domain.into(),
		input: input.iter().map(|s| s.to_string()).collect(),
		output: vec![output.into()],
		..Default::default()
	};
	let mut leaky = node("LeakyRelu", "", &["a"], "b");
	leaky.attribute =
		vec![AttributeProto { name: "alpha".into(), r#type: 1, ref_attr_name: "slope".into(), ..Default::default() }];
	let function = FunctionProto {
		name: "Twice".into(),
		domain: "own".into(),
		input: vec!["a".into()],
		output: vec!["c".into()],
		attribute_proto: vec![float("slope", 0.5)],
		node: vec![leaky, node("Add", "", &["b", "b"], "c")],
		..Default::default()
	};
	let file = File::new().input("x", &[2]).output("y");
	let mut model = ModelProto::decode(&file.bytes()[..]).unwrap();
	let mut second = node("Twice", "own", &["m"], "y");
	second.attribute = vec![float("slope", 0.25)];
	model.graph.as_mut().unwrap().node = vec![node("Twice", "own", &["x"], "m"), second];
	model.functions = vec![function.clone()];
	let mut session = Session::new(Onnx::read(&model.encode_to_vec()).unwrap());
	let out = session.run(&[("x".into(), f32s(&[2], &[3.0, -4.0]))]).unwrap();
	// -4: half of it twice, then a quarter twice.
	assert_eq!(out[0], f32s(&[2], &[12.0, -2.0]));
	// A function that calls itself ends in words.
	model.functions[0].node.push(node("Twice", "own", &["c"], "d"));
	assert!(matches!(Onnx::read(&model.encode_to_vec()), Err(ImportError::Limit { .. })));
}

#[test]
fn constants_should_stay_small_when_a_file_is() {
	let shape = |n: i64| {
		let file = File::new().ints("s", &[n]).node("ConstantOfShape", "s", "y", vec![]).output("y");
		import_onnx(&file.bytes())
	};
	assert!(shape(1 << 20).is_ok());
	assert!(shape(1 << 30).unwrap_err().to_string().contains("2147483648 bytes"));
	let mut file = File::new().input("x", &[1]).weight("v", &[2], &[0., 1.]).ints("d", &[100_000_000]);
	file = file.node("OneHot", "x d v", "y", vec![]).output("y");
	assert!(import_onnx(&file.bytes()).unwrap_err().to_string().contains("much larger than its file"));
}

#[test]
fn models_of_one_file_should_be_those_of_files_of_their_own() {
	let mut weights = noise(36, 3);
	// What import changes is read once, too.
	weights[5] = 1e-40;
	let file = File::new()
		.input("x", &[-1, 2, -1, -1])
		.weight("w", &[2, 2, 3, 3], &weights)
		.weight("m", &[5, 4], &noise(20, 4))
		.node("Conv", "x w", "c", vec![ints("pads", &[1, 1, 1, 1])])
		.node("Transpose", "m", "t", vec![])
		.node("MatMul", "t m", "p", vec![])
		.node("ReduceMean", "p", "r", vec![])
		.node("Add", "c r", "y", vec![])
		.output("y");
	let onnx = read(&file);
	let mut ids = Vec::new();
	for dims in [[1, 2, 4, 4], [3, 2, 5, 4], [1, 2, 4, 4]] {
		let given = [("x".to_string(), Given::Type(TensorType::new(DType::F32, dims)))];
		let model = onnx.compile(&given).unwrap();
		assert_eq!(model, read(&file).compile(&given).unwrap());
		ids.push(model.id());
	}
	assert!(ids[0] == ids[2] && ids[0] != ids[1]);
}
