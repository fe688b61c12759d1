//! Models to lie about, each with a right and a wrong run.

use assay_semantics::{
	ops::{Binary, Conv, MatMul, Reduce, ReduceKind, Reshape, Unary, Window},
	prover::Trace,
	testing::{
		game::{lie, Graph},
		Rng,
	},
	trace, DType, Model, Op, Tensor, TensorType,
};

/// A model with an input, what comes out, and what a worker says that comes out.
pub(super) struct Case {
	/// The model.
	pub model: Model,
	/// The value in which the worker's first wrong element is.
	pub lie_at: usize,
	right: Vec<Tensor>,
	wrong: Vec<Tensor>,
}

impl Case {
	/// The worker changes element `element` of value `value`, and goes on from there.
	fn new((model, inputs): (Model, Vec<Tensor>), value: usize, element: usize) -> Self {
		let right = trace(&model, &inputs).unwrap();
		let mut wrong = right.clone();
		lie(&model, &mut wrong, value, true, |tensor| {
			let size = tensor.ty.dtype.size();
			let bytes = match tensor.ty.dtype {
				DType::F32 => 1_000f32.to_le_bytes().to_vec(),
				_ => vec![0x55; size],
			};
			tensor.bytes[element * size..][..size].copy_from_slice(&bytes);
		});
		assert_ne!(right.last(), wrong.last(), "the lie reaches the output");
		Self { model, lie_at: value, right, wrong }
	}

	/// The right run.
	pub(super) fn honest(&self) -> Trace<&Model> {
		Trace::new(&self.model, self.right.clone())
	}

	/// The worker's run.
	pub(super) fn lying(&self) -> Trace<&Model> {
		Trace::new(&self.model, self.wrong.clone())
	}

	/// The raw bytes of the input.
	pub(super) fn input(&self) -> Vec<u8> {
		let inputs = self.model.header().inputs.len();
		self.right[..inputs].iter().flat_map(|tensor| tensor.bytes.clone()).collect()
	}

	/// The raw bytes of the right output.
	pub(super) fn right(&self) -> Vec<u8> {
		self.output(&self.right)
	}

	/// The raw bytes of the worker's output.
	pub(super) fn wrong(&self) -> Vec<u8> {
		self.output(&self.wrong)
	}

	fn output(&self, values: &[Tensor]) -> Vec<u8> {
		values[self.model.first_output()..].iter().flat_map(|tensor| tensor.bytes.clone()).collect()
	}

	/// The nodes that compute something.
	pub(super) fn operators(&self) -> usize {
		self.model.nodes().iter().filter(|node| !matches!(node.op, Op::Input(_) | Op::Weight(_))).count()
	}

	/// The elements of all weights.
	pub(super) fn parameters(&self) -> u64 {
		self.model.weights().iter().filter_map(|weight| weight.ty.elements()).sum()
	}

	/// The elements of the largest value.
	pub(super) fn largest(&self) -> u64 {
		self.model.nodes().iter().filter_map(|node| node.ty.elements()).max().unwrap_or(0)
	}
}

/// Numbers between -1 and 1, times `scale`.
fn noise(rng: &mut Rng, dims: &[u32], scale: f32) -> Tensor {
	let count = dims.iter().product::<u32>();
	let values: Vec<f32> = (0..count).map(|_| (rng.below(2_001) as f32 / 1_000.0 - 1.0) * scale).collect();
	Tensor::from_f32(dims.to_vec(), &values).unwrap()
}

/// The sample model.
pub(super) fn digits() -> Case {
	let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/digits/digits.assay");
	let model = assay_import::read_artifact(&std::fs::read(path).unwrap()).unwrap();
	let image: Vec<f32> = (0..64).map(|i| ((i * 7) % 16) as f32 / 15.0).collect();
	let input = Tensor::from_f32([1, 1, 8, 8], &image).unwrap();
	let first = model.nodes().iter().position(|node| matches!(node.op, Op::Conv(_))).unwrap();
	Case::new((model, vec![input]), first, 100)
}

/// A model that `scripts/models` made, with one of its sets of inputs: the lie is in the middle of it, in a sum of products.
pub(super) fn whole(name: &str, set: usize) -> Case {
	let (model, inputs) = assay_onnx_suite::models::specialised(name, set).unwrap_or_else(|why| panic!("{why}"));
	let sums = model.nodes().iter().enumerate().filter(|(_, node)| matches!(node.op, Op::Conv(_) | Op::MatMul(_)));
	let sums: Vec<usize> = sums.map(|(value, _)| value).collect();
	Case::new((model, inputs), sums[sums.len() / 2], 33)
}

/// A convolution with the border that keeps the picture's size, divided by the stride.
fn conv(graph: &mut Graph, rng: &mut Rng, x: u32, (from, to): (u32, u32), stride: u32) -> u32 {
	let scale = 0.8 / ((9 * from) as f32).sqrt();
	let weight = graph.weight(noise(rng, &[to, 3, 3, from], scale));
	let bias = graph.weight(noise(rng, &[to], 0.1));
	let window = Window { strides: vec![stride; 2], dilations: vec![1; 2], before: vec![1; 2], after: vec![1; 2] };
	let sums = graph.push(Op::Conv(Conv { window, groups: 1 }), &[x, weight]);
	graph.push(Op::Binary(Binary::Add), &[sums, bias])
}

/// A residual network in the manner of those for small pictures, with most parameters where the picture is small.
pub(super) fn residual() -> Case {
	let (mut graph, mut rng) = (Graph::default(), Rng(1));
	let image = graph.input(noise(&mut rng, &[1, 16, 16, 3], 1.0));
	let stem = conv(&mut graph, &mut rng, image, (3, 16), 2);
	let mut x = graph.push(Op::Unary(Unary::Relu), &[stem]);
	let mut channels = 16;
	let mut middle = 0;
	for (width, blocks) in [(16, 5), (32, 5), (128, 5)] {
		if width != channels {
			x = conv(&mut graph, &mut rng, x, (channels, width), 2);
			channels = width;
		}
		for _ in 0..blocks {
			let first = conv(&mut graph, &mut rng, x, (width, width), 1);
			let first = graph.push(Op::Unary(Unary::Relu), &[first]);
			let second = conv(&mut graph, &mut rng, first, (width, width), 1);
			let sum = graph.push(Op::Binary(Binary::Add), &[second, x]);
			x = graph.push(Op::Unary(Unary::Relu), &[sum]);
			if width == 32 {
				// The convolution, before its bias is added.
				middle = second - 1;
			}
		}
	}
	let pooled = graph.push(Op::Reduce(Reduce { kind: ReduceKind::Mean, axes: vec![1, 2], keep_dims: false }), &[x]);
	let weight = graph.weight(noise(&mut rng, &[10, channels], 0.1));
	let bias = graph.weight(noise(&mut rng, &[10], 0.1));
	let classes = graph.push(Op::MatMul(MatMul), &[pooled, weight]);
	graph.push(Op::Binary(Binary::Add), &[classes, bias]);
	Case::new(graph.finish(1), middle as usize, 77)
}

/// More than 1,024 values.
pub(super) fn many_values() -> Case {
	let mut graph = Graph::default();
	let ty = TensorType::new(DType::I32, vec![5]);
	let number = |n: u8| Tensor { ty: ty.clone(), bytes: (0..20u8).map(|i| i.wrapping_mul(n)).collect() };
	let mut last = graph.input(number(3));
	for i in 0..3_000u32 {
		last = match i % 100 {
			50 => {
				let weight = graph.weight(number(i as u8));
				graph.push(Op::Binary(Binary::Add), &[last, weight])
			}
			// An operand from far away.
			70 => graph.push(Op::Binary(Binary::Sub), &[last, last / 3]),
			_ => graph.push(Op::Unary(Unary::Neg), &[last]),
		};
	}
	Case::new(graph.finish(1), 2_345, 2)
}

/// A convolution with `rows` by 64 by 64 results, each a sum of 144 products in five steps, after `before` other operators.
pub(super) fn wide(rows: u32, before: u32) -> Case {
	let (mut graph, mut rng) = (Graph::default(), Rng(2));
	let image = graph.input(noise(&mut rng, &[1, rows + 11, 75, 1], 1.0));
	let mut other = graph.weight(noise(&mut rng, &[2], 1.0));
	for _ in 0..before {
		other = graph.push(Op::Unary(Unary::Neg), &[other]);
	}
	let weight = graph.weight(noise(&mut rng, &[64, 12, 12, 1], 0.1));
	let window = Window { strides: vec![1; 2], dilations: vec![1; 2], before: vec![0; 2], after: vec![0; 2] };
	let sums = graph.push(Op::Conv(Conv { window, groups: 1 }), &[image, weight]);
	let axes = vec![1, 2];
	graph.push(Op::Reduce(Reduce { kind: ReduceKind::Sum, axes, keep_dims: false }), &[sums]);
	let element = rows as usize * 64 * 64 - 5;
	Case::new(graph.finish(1), sums as usize, element)
}

/// A matrix product of few elements and many steps.
pub(super) fn long_fold() -> Case {
	let (mut graph, mut rng) = (Graph::default(), Rng(3));
	let x = graph.input(noise(&mut rng, &[2, 2_000], 1.0));
	let weight = graph.weight(noise(&mut rng, &[3, 2_000], 1.0));
	let product = graph.push(Op::MatMul(MatMul), &[x, weight]);
	graph.push(Op::Reshape(Reshape { dims: vec![6] }), &[product]);
	Case::new(graph.finish(1), product as usize, 4)
}
