//! Small ONNX files, built from the importer's own messages.

// Each test binary uses a part, and none of it is public beyond its binary.
#![allow(dead_code, unreachable_pub)]

use assay_import::proto::*;
use prost::Message;

/// A graph while it is written.
#[derive(Clone, Default)]
pub struct File {
	pub graph: GraphProto,
	pub opset: i64,
}

impl File {
	pub fn new() -> Self {
		Self { graph: GraphProto { name: "test".into(), ..Default::default() }, opset: 17 }
	}

	pub fn opset(mut self, opset: i64) -> Self {
		self.opset = opset;
		self
	}

	/// A graph input; -1 is an unknown dimension.
	pub fn input(mut self, name: &str, dims: &[i64]) -> Self {
		let dim = |d: &i64| match *d {
			-1 => Dimension { dim_value: None, dim_param: Some("N".into()) },
			d => Dimension { dim_value: Some(d), dim_param: None },
		};
		let shape = TensorShapeProto { dim: dims.iter().map(dim).collect() };
		let tensor_type = TensorTypeProto { elem_type: 1, shape: Some(shape) };
		let r#type = Some(TypeProto { tensor_type: Some(tensor_type) });
		self.graph.input.push(ValueInfoProto { name: name.into(), r#type });
		self
	}

	pub fn output(mut self, name: &str) -> Self {
		self.graph.output.push(ValueInfoProto { name: name.into(), r#type: None });
		self
	}

	/// An f32 initialiser.
	pub fn weight(mut self, name: &str, dims: &[i64], values: &[f32]) -> Self {
		self.graph.initializer.push(TensorProto {
			dims: dims.to_vec(),
			data_type: 1,
			name: name.into(),
			raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
			..Default::default()
		});
		self
	}

	/// An int64 initialiser.
	pub fn ints(mut self, name: &str, values: &[i64]) -> Self {
		self.graph.initializer.push(TensorProto {
			dims: vec![values.len() as i64],
			data_type: 7,
			name: name.into(),
			int64_data: values.to_vec(),
			..Default::default()
		});
		self
	}

	/// A node with its operands separated by spaces; `_` leaves one out.
	pub fn node(mut self, op: &str, inputs: &str, output: &str, attribute: Vec<AttributeProto>) -> Self {
		let name = |s: &str| if s == "_" { String::new() } else { s.to_string() };
		self.graph.node.push(NodeProto {
			input: inputs.split_whitespace().map(name).collect(),
			output: vec![output.into()],
			op_type: op.into(),
			attribute,
			..Default::default()
		});
		self
	}

	pub fn bytes(&self) -> Vec<u8> {
		ModelProto {
			ir_version: 8,
			graph: Some(self.graph.clone()),
			opset_import: vec![OperatorSetIdProto { domain: String::new(), version: self.opset }],
			..Default::default()
		}
		.encode_to_vec()
	}
}

pub fn ints(name: &str, ints: &[i64]) -> AttributeProto {
	AttributeProto { name: name.into(), ints: ints.to_vec(), r#type: 7, ..Default::default() }
}

pub fn int(name: &str, i: i64) -> AttributeProto {
	AttributeProto { name: name.into(), i, r#type: 2, ..Default::default() }
}

pub fn float(name: &str, f: f32) -> AttributeProto {
	AttributeProto { name: name.into(), f, r#type: 1, ..Default::default() }
}

pub fn string(name: &str, s: &str) -> AttributeProto {
	AttributeProto { name: name.into(), s: s.into(), r#type: 3, ..Default::default() }
}

/// Deterministic values between -1 and 1.
pub fn noise(n: usize, seed: u64) -> Vec<f32> {
	let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
	let mut next = || {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		(x >> 40) as f32 / (1 << 23) as f32 - 1.0
	};
	(0..n).map(|_| next()).collect()
}

/// Every operator family in one file: conv, batch norm, pools, branches, gemm, softmax.
pub fn network() -> File {
	File::new()
		.input("x", &[-1, 3, 9, 9])
		.weight("w1", &[8, 3, 3, 3], &noise(216, 1))
		.weight("b1", &[8], &noise(8, 2))
		.weight("scale", &[8], &noise(8, 3))
		.weight("bias", &[8], &noise(8, 4))
		.weight("mean", &[8], &noise(8, 5))
		.weight("var", &[8], &noise(8, 6).iter().map(|v| v.abs() + 0.1).collect::<Vec<_>>())
		.weight("w2", &[8, 4, 3, 3], &noise(288, 7))
		.weight("w3", &[20, 64], &noise(1280, 8))
		.weight("b3", &[20], &noise(20, 9))
		.weight("w4", &[20, 5], &noise(100, 10))
		.ints("shape", &[1, -1])
		.node("Conv", "x w1 b1", "c1", vec![ints("pads", &[1, 1, 1, 1])])
		.node("BatchNormalization", "c1 scale bias mean var", "n1", vec![])
		.node("Relu", "n1", "r1", vec![])
		.node("MaxPool", "r1", "p1", vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])])
		.node("Conv", "p1 w2", "c2", vec![ints("pads", &[1, 1, 1, 1]), int("group", 2)])
		.node("Add", "c2 p1", "a2", vec![])
		.node("Sigmoid", "a2", "s2", vec![])
		.node("Concat", "s2 p1", "k2", vec![int("axis", 1)])
		.node("AveragePool", "k2", "q2", vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])])
		.node("Reshape", "q2 shape", "f", vec![])
		.node("Gemm", "f w3 b3", "g", vec![int("transB", 1), float("alpha", 0.5)])
		.node("Tanh", "g", "t", vec![])
		.node("MatMul", "t w4", "m", vec![])
		.node("Softmax", "m", "y", vec![])
		.output("y")
}
