//! A residual network in the manner of those for CIFAR-10: deep, with more than a million parameters, and little to
//! compute, because most of the parameters are where the picture is small.
//!
//! The picture is `[1, 3, 32, 32]`; there are 10 classes. Weights come from a fixed seed: the file, and so the model's id, is
//! the same on every machine.

use assay_import::{import_onnx, proto::*};
use assay_semantics::Model;
use prost::Message;

/// Channels and blocks of each stage. Each stage but the first begins by halving the picture.
const STAGES: [(usize, usize); 4] = [(16, 5), (32, 5), (64, 5), (128, 3)];

const CLASSES: usize = 10;

/// The network as an ONNX file.
pub fn onnx() -> Vec<u8> {
	let mut file = File { graph: GraphProto { name: "resnet".into(), ..Default::default() }, seed: 1 };
	file.graph.input.push(value("image", &[1, 3, 32, 32]));
	file.graph.output.push(value("classes", &[1, CLASSES as i64]));
	let mut x = file.conv("image", (3, 16), 3, 2, 1.0);
	x = file.node("Relu", &[&x], vec![]);
	let mut channels = 16;
	for (stage, (width, blocks)) in STAGES.into_iter().enumerate() {
		for block in 0..blocks {
			let stride = if stage > 0 && block == 0 { 2 } else { 1 };
			let first = file.conv(&x, (channels, width), 3, stride, 1.0);
			let first = file.node("Relu", &[&first], vec![]);
			let second = file.conv(&first, (width, width), 3, 1, 0.3);
			let around = if stride == 1 { x } else { file.conv(&x, (channels, width), 1, stride, 1.0) };
			let sum = file.node("Add", &[&second, &around], vec![]);
			x = file.node("Relu", &[&sum], vec![]);
			channels = width;
		}
	}
	x = file.node("GlobalAveragePool", &[&x], vec![]);
	x = file.node("Flatten", &[&x], vec![]);
	let weights = file.random(&[CLASSES, channels], 1.0 / (channels as f32).sqrt());
	let bias = file.random(&[CLASSES], 0.1);
	file.node("Gemm", &[&x, &weights, &bias], vec![int("transB", 1)]);
	file.graph.node.last_mut().into_iter().for_each(|last| last.output = vec!["classes".into()]);
	let opset = OperatorSetIdProto { domain: String::new(), version: 17 };
	let graph = Some(file.graph);
	ModelProto { ir_version: 8, graph, opset_import: vec![opset], ..Default::default() }.encode_to_vec()
}

/// The network, imported.
pub fn model() -> Model {
	import_onnx(&onnx()).expect("the importer takes it")
}

/// A picture: the raw bytes of the input.
pub fn picture(seed: u64) -> Vec<u8> {
	let mut state = seed.wrapping_add(1000);
	(0..3 * 32 * 32).flat_map(|_| noise(&mut state).to_le_bytes()).collect()
}

/// The number of elements of the file's initialisers.
pub fn parameters(onnx: &[u8]) -> usize {
	let graph = ModelProto::decode(onnx).ok().and_then(|m| m.graph).unwrap_or_default();
	graph.initializer.iter().map(|t| t.raw_data.len() / 4).sum()
}

/// A graph while it is written.
struct File {
	graph: GraphProto,
	seed: u64,
}

impl File {
	/// A node; its output has the node's number for a name.
	fn node(&mut self, op: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> String {
		let output = format!("v{}", self.graph.node.len());
		self.graph.node.push(NodeProto {
			input: inputs.iter().map(|s| s.to_string()).collect(),
			output: vec![output.clone()],
			op_type: op.into(),
			attribute,
			..Default::default()
		});
		output
	}

	/// Convolution and batch normalisation; the values are multiplied by about `gain`.
	fn conv(&mut self, x: &str, (ins, outs): (usize, usize), kernel: usize, stride: i64, gain: f32) -> String {
		let fan_in = (ins * kernel * kernel) as f32;
		let weights = self.random(&[outs, ins, kernel, kernel], (6.0 / fan_in).sqrt());
		let pad = kernel as i64 / 2;
		let attributes = vec![ints("strides", &[stride; 2]), ints("pads", &[pad; 4])];
		let x = self.node("Conv", &[x, &weights], attributes);
		let scale = self.near(outs, gain);
		let [bias, mean] = [(); 2].map(|()| self.random(&[outs], 0.1));
		let variance = self.near(outs, 1.0);
		self.node("BatchNormalization", &[&x, &scale, &bias, &mean, &variance], vec![])
	}

	/// Weights between `-most` and `most`.
	fn random(&mut self, dims: &[usize], most: f32) -> String {
		let values = (0..dims.iter().product()).map(|_| noise(&mut self.seed) * most).collect();
		self.weight(dims, values)
	}

	/// Weights within a tenth of `middle`.
	fn near(&mut self, count: usize, middle: f32) -> String {
		let values = (0..count).map(|_| middle + middle * 0.1 * noise(&mut self.seed)).collect();
		self.weight(&[count], values)
	}

	fn weight(&mut self, dims: &[usize], values: Vec<f32>) -> String {
		let name = format!("w{}", self.graph.initializer.len());
		self.graph.initializer.push(TensorProto {
			dims: dims.iter().map(|d| *d as i64).collect(),
			data_type: 1,
			name: name.clone(),
			raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
			..Default::default()
		});
		name
	}
}

/// The next number between -1 and 1 (splitmix64). Exact, so the same everywhere.
fn noise(state: &mut u64) -> f32 {
	*state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
	let mut z = *state;
	z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
	z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
	((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

fn value(name: &str, dims: &[i64]) -> ValueInfoProto {
	let dim = dims.iter().map(|d| Dimension { dim_value: Some(*d), dim_param: None }).collect();
	let tensor_type = TensorTypeProto { elem_type: 1, shape: Some(TensorShapeProto { dim }) };
	ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
	AttributeProto { name: name.into(), ints: ints.to_vec(), r#type: 7, ..Default::default() }
}

fn int(name: &str, i: i64) -> AttributeProto {
	AttributeProto { name: name.into(), i, r#type: 2, ..Default::default() }
}
