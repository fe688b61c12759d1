//! Kernels over integers give the bits of the reference: contractions of bytes with what follows them, pools, and chains that
//! quantise and dequantise; every instruction set of this machine, several numbers of threads.

mod common;

use assay_kernels::{Isa, Options, Plan, Threads};
use assay_semantics::{
	evaluate,
	ops::{Binary, Cast, Conv, MatMul, Pad, Pool, PoolKind, Quantize, Reduce, ReduceKind, Reshape, Unary, Window},
	testing::{tensor as hostile, Rng},
	DType, Model, Op, Tensor, TensorType, ValueId,
};
use common::{options, Graph};

const BYTES: [DType; 2] = [DType::U8, DType::I8];

fn typed(dtype: DType, dims: &[u32]) -> TensorType {
	TensorType::new(dtype, dims)
}

/// Random elements; of bytes often the extremes, of f32 often halves, where rounding shows.
fn tensor(rng: &mut Rng, dtype: DType, dims: &[u32]) -> Tensor {
	let mut tensor = hostile(rng, &TensorType::new(dtype, dims));
	if BYTES.contains(&dtype) && rng.one_in(2) {
		let extremes = [0x80, 0x7f, 0xff, 0];
		let share = rng.between(1, 3);
		for b in tensor.bytes.iter_mut() {
			if rng.one_in(share.into()) {
				*b = rng.pick(&extremes);
			}
		}
	}
	if dtype == DType::F32 && rng.one_in(3) {
		for x in tensor.bytes.chunks_exact_mut(4) {
			x.copy_from_slice(&(rng.between(0, 1200) as f32 / 2.0 - 300.0).to_le_bytes());
		}
	}
	tensor
}

/// A scale: ordinary, a power of two, or one that makes trouble.
fn scale(rng: &mut Rng, n: &[u32]) -> Tensor {
	let mut one = |_| match rng.below(12) {
		0 => rng.pick(&[0.0, 1e-40, f32::INFINITY, 1e-38, 1e38, -0.01]),
		1..=3 => rng.pick(&[0.25, 1.0, 2.0, 0.0078125]),
		_ => (1.0 + rng.below(1 << 20) as f32) / (1 << 24) as f32,
	};
	let count: u32 = n.iter().product();
	let values: Vec<f32> = (0..count).map(&mut one).collect();
	Tensor::from_f32(n, &values).expect("a tensor")
}

/// All plans for a model give the bits of the reference, and steps of all kinds but those named have a kernel.
fn assert_same(model: &Model, options: &[Options], rng: &mut Rng, without: &[&str]) {
	let types = model.header().inputs;
	let inputs: Vec<Tensor> = types.iter().map(|ty| tensor(rng, ty.dtype, &ty.dims)).collect();
	let expected = evaluate(model, &inputs).expect("a value");
	for options in options {
		for traced in [false, true] {
			let plan = match traced {
				true => Plan::traced(model, options),
				false => Plan::new(model, options),
			};
			let plan = plan.expect("a plan");
			assert!(plan.without_kernel().iter().all(|op| without.contains(op)), "{:?}", plan.without_kernel());
			let got = plan.run(&inputs).expect("a value");
			for (got, expected) in got.iter().zip(&expected) {
				if got != expected {
					let at = got.bytes.iter().zip(&expected.bytes).position(|(a, b)| a != b);
					panic!("{options:?}: {:?} differs at byte {at:?} of {}", model.nodes(), got.bytes.len());
				}
			}
		}
	}
}

/// What QLinearConv and QLinearMatMul become after the sums: a correction, a bias, and a quantisation, each or not.
fn finish(graph: &mut Graph, rng: &mut Rng, mut v: ValueId) {
	let rank = graph.ty(v).dims.len();
	let columns = *graph.ty(v).dims.last().expect("columns");
	let mut shape = vec![1; if rng.one_in(2) { rank } else { 1 }];
	for op in [Binary::Sub, Binary::Add] {
		if rng.one_in(2) {
			*shape.last_mut().expect("a dimension") = if rng.one_in(4) { 1 } else { columns };
			let other = graph.weight(tensor(rng, DType::I32, &shape));
			v = graph.push(Op::Binary(op), &if rng.one_in(4) { [other, v] } else { [v, other] });
		}
	}
	if rng.one_in(5) {
		return;
	}
	*shape.last_mut().expect("a dimension") = columns;
	let by_column = rng.one_in(2);
	let scale = scale(rng, if by_column { &shape } else { &[] });
	let scale = graph.weight(scale);
	let dtype = rng.pick(&BYTES);
	let point = if rng.one_in(4) { shape.clone() } else { vec![] };
	let zero = graph.weight(tensor(rng, dtype, &point));
	graph.push(Op::Quantize(Quantize { multiply: !rng.one_in(4) }), &[v, scale, zero]);
}

#[test]
fn convolutions_of_bytes_should_have_the_bits_of_the_reference() {
	let mut rng = Rng(31);
	let options = options();
	// (batch, height, width, channels, outputs, kernel, stride, dilation, border, groups)
	for (n, h, w, c, o, k, stride, dilation, border, groups) in [
		(1, 6, 17, 16, 70, 3, 1, 1, 1, 1),
		(2, 5, 7, 64, 33, 3, 1, 1, 1, 1),
		(1, 3, 3, 300, 33, 1, 1, 1, 0, 1),
		(1, 4, 14, 520, 20, 1, 1, 1, 0, 1),
		(1, 7, 29, 65, 5, 1, 2, 1, 0, 1),
		(1, 12, 12, 3, 40, 7, 2, 1, 3, 1),
		(1, 9, 9, 8, 16, 3, 2, 2, 2, 1),
		(2, 8, 9, 20, 20, 3, 1, 1, 1, 20),
		(1, 8, 15, 40, 40, 5, 2, 1, 2, 40),
		(1, 5, 40, 7, 7, 3, 1, 2, 2, 7),
		(1, 6, 6, 12, 24, 3, 1, 1, 1, 4),
		(1, 6, 6, 12, 24, 3, 1, 1, 1, 12),
		(2, 1, 1, 100, 50, 1, 1, 1, 0, 1),
		(1, 10, 10, 1, 1, 9, 1, 1, 4, 1),
	] {
		for (a, b) in [(0, 1), (1, 1), (0, 0), (1, 0)] {
			let mut graph = Graph::default();
			let mut x = graph.input(typed(BYTES[a], &[n, h, w, c]));
			let weights = tensor(&mut rng, BYTES[b], &[o, k, k, c / groups]);
			let weights =
				if rng.one_in(8) { graph.input(typed(BYTES[b], &weights.ty.dims)) } else { graph.weight(weights) };
			// The border is zeros of the convolution, or a Pad of a zero point.
			let mut own = border;
			if rng.one_in(2) {
				let side = vec![0, border, border, 0];
				let value = rng.bits() & 0xff;
				x = graph.push(Op::Pad(Pad { before: side.clone(), after: side, value }), &[x]);
				own = 0;
			}
			let window = Window {
				strides: vec![stride; 2],
				dilations: vec![dilation; 2],
				before: vec![own; 2],
				after: vec![own; 2],
			};
			let y = graph.push(Op::Conv(Conv { window, groups }), &[x, weights]);
			finish(&mut graph, &mut rng, y);
			assert_same(&graph.model(1), &options, &mut rng, &[]);
		}
	}
}

#[test]
fn products_of_bytes_should_have_the_bits_of_the_reference() {
	let mut rng = Rng(32);
	let options = options();
	for (a, b) in [
		(vec![1, 600], vec![200, 600]),
		(vec![3, 100], vec![129, 100]),
		(vec![50, 257], vec![65, 257]),
		(vec![4, 9, 64], vec![4, 9, 64]),
		(vec![2, 1, 20, 33], vec![3, 31, 33]),
		(vec![5, 20, 33], vec![31, 33]),
		(vec![20, 33], vec![5, 31, 33]),
		(vec![1, 1], vec![1, 1]),
		(vec![15, 1024], vec![17, 1024]),
		(vec![3, 0], vec![4, 0]),
	] {
		for (i, j) in [(0, 1), (1, 1), (0, 0), (1, 0)] {
			let mut graph = Graph::default();
			let x = graph.input(typed(BYTES[i], &a));
			let y = match rng.one_in(3) {
				true => graph.input(typed(BYTES[j], &b)),
				false => graph.weight(tensor(&mut rng, BYTES[j], &b)),
			};
			let y = graph.push(Op::MatMul(MatMul), &[x, y]);
			finish(&mut graph, &mut rng, y);
			// A sum of nothing needs none.
			let without: &[&str] = if b.contains(&0) { &["MatMul"] } else { &[] };
			assert_same(&graph.model(1), &options, &mut rng, without);
		}
	}
}

/// Sums beyond 2^31: they wrap.
#[test]
fn sums_should_wrap_when_they_are_too_large() {
	let mut rng = Rng(33);
	let options = options();
	let k = 70_000;
	for (a, b, x, y) in
		[(DType::U8, DType::I8, 255, 128), (DType::I8, DType::I8, 128, 128), (DType::U8, DType::U8, 255, 255)]
	{
		let mut graph = Graph::default();
		let full = |dtype, x| Tensor { ty: TensorType::new(dtype, [1, k]), bytes: vec![x; k as usize].into() };
		let (weights, input) = (full(b, y), full(a, x));
		let v = graph.input(typed(a, &[1, k]));
		let w = graph.weight(weights);
		graph.push(Op::MatMul(MatMul), &[v, w]);
		let model = graph.model(1);
		let expected = evaluate(&model, std::slice::from_ref(&input)).expect("a value");
		for options in &options {
			let plan = Plan::new(&model, options).expect("a plan");
			assert_eq!(plan.run(std::slice::from_ref(&input)).expect("a value"), expected, "{options:?}");
		}
		assert_same(&model, &options[..1], &mut rng, &[]);
	}
}

#[test]
fn maxima_of_bytes_should_have_the_bits_of_the_reference() {
	let mut rng = Rng(34);
	let options = options();
	for dtype in BYTES {
		for (dims, kernel, stride, dilation, border) in [
			(vec![1, 24, 25, 70], 3, 2, 1, 1),
			(vec![2, 6, 7, 129], 2, 2, 1, 0),
			(vec![1, 9, 9, 5], 3, 1, 2, 2),
			(vec![2, 30, 3], 5, 1, 1, 2),
			(vec![1, 4, 4, 4, 64], 2, 1, 1, 1),
			(vec![1, 2, 2, 3], 3, 3, 3, 5),
		] {
			let axes = dims.len() - 2;
			let window = Window {
				strides: vec![stride; axes],
				dilations: vec![dilation; axes],
				before: vec![border; axes],
				after: vec![border; axes],
			};
			let mut graph = Graph::default();
			let x = graph.input(typed(dtype, &dims));
			graph.push(Op::Pool(Pool { kind: PoolKind::Max, kernel: vec![kernel; axes], window }), &[x]);
			assert_same(&graph.model(1), &options, &mut rng, &[]);
		}
	}
}

/// A value less its zero point, times its scale, as DequantizeLinear becomes.
fn dequantized(graph: &mut Graph, rng: &mut Rng, x: ValueId, constant: bool, shape: &[u32]) -> ValueId {
	let mut v = graph.push(Op::Cast(Cast { to: DType::I32 }), &[x]);
	if !rng.one_in(4) {
		let dtype = graph.ty(x).dtype;
		let zero = tensor(rng, if dtype == DType::I32 { DType::I8 } else { dtype }, shape);
		let zero = if constant { graph.weight(zero) } else { graph.input(typed(zero.ty.dtype, shape)) };
		let zero = graph.push(Op::Cast(Cast { to: DType::I32 }), &[zero]);
		v = graph.push(Op::Binary(Binary::Sub), &[v, zero]);
	}
	let v = graph.push(Op::Cast(Cast { to: DType::F32 }), &[v]);
	let scale = scale(rng, shape);
	let scale = if constant { graph.weight(scale) } else { graph.input(typed(DType::F32, shape)) };
	graph.push(Op::Binary(Binary::Mul), &[v, scale])
}

#[test]
fn chains_of_several_types_should_have_the_bits_of_the_reference() {
	let mut rng = Rng(35);
	let options = options();
	for round in 0..60 {
		let dims = match round % 4 {
			0 => vec![2, 9, 130],
			1 => vec![1, 37],
			2 => vec![3, 41, 50],
			_ => vec![1],
		};
		let last = [*dims.last().expect("columns")];
		let shapes = [&[][..], &[1], &last];
		let mut graph = Graph::default();
		// Inputs come first.
		let mut inputs = [0; 3].map(|_| graph.input(typed(rng.pick(&[DType::U8, DType::I8, DType::I32]), &dims)));
		inputs.iter_mut().for_each(|v| {
			let shape = rng.pick(&shapes);
			*v = dequantized(&mut graph, &mut rng, *v, true, shape);
		});
		let other = graph.weight(tensor(&mut rng, DType::F32, &dims));
		let mut v = inputs[0];
		for step in 0..rng.between(1, 6) {
			v = match rng.below(9) {
				0 | 1 => graph.push(Op::Binary(Binary::Add), &[v, inputs[1]]),
				2 => graph.push(Op::Binary(Binary::Mul), &[inputs[2], v]),
				3 => graph.push(Op::Unary(Unary::Relu), &[v]),
				4 => graph.push(Op::Unary(rng.pick(&[Unary::Sigmoid, Unary::Tanh, Unary::Neg, Unary::Abs])), &[v]),
				5 => {
					graph.push(Op::Binary(rng.pick(&[Binary::Max, Binary::Min, Binary::Div, Binary::Sub])), &[v, other])
				}
				6 => graph.push(Op::Unary(Unary::Exp), &[v]),
				_ => {
					// Quantised and dequantised again.
					let dtype = rng.pick(&BYTES);
					let (scale, zero) = (scale(&mut rng, &[]), tensor(&mut rng, dtype, &[]));
					let (scale, zero) = (graph.weight(scale), graph.weight(zero));
					let q = graph.push(Op::Quantize(Quantize { multiply: rng.one_in(2) }), &[v, scale, zero]);
					dequantized(&mut graph, &mut rng, q, true, &[])
				}
			};
			let _ = step;
		}
		let dtype = rng.pick(&BYTES);
		let shape = rng.pick(&shapes);
		let (scale, zero) = (scale(&mut rng, shape), tensor(&mut rng, dtype, shape));
		let (scale, zero) = (graph.weight(scale), graph.weight(zero));
		graph.push(Op::Quantize(Quantize { multiply: rng.one_in(4) }), &[v, scale, zero]);
		assert_same(&graph.model(1), &options, &mut rng, &[]);
	}
}

/// Floats of all magnitudes to integers, alone and before more.
#[test]
fn casts_should_have_the_bits_of_the_reference_on_all_magnitudes() {
	let mut rng = Rng(38);
	let n = 5000;
	let edges =
		[2_147_483_648.0, 2_147_483_520.0, -2_147_483_648.0, -2_147_483_904.0, 255.5, 256.0, -0.9, -128.5, 127.9];
	let values: Vec<f32> = (0..n)
		.map(|i| match i % 3 {
			0 => f32::from_bits(rng.bits() as u32),
			1 => rng.pick(&edges),
			_ => (rng.below(1 << 20) as f32 - (1 << 19) as f32) / 1000.0,
		})
		.collect();
	let x = Tensor::from_f32([n], &values).expect("a tensor");
	for to in [DType::I32, DType::U8, DType::I8] {
		for more in [false, true] {
			let mut graph = Graph::default();
			let input = graph.input(typed(DType::F32, &[n]));
			let mut v = graph.push(Op::Cast(Cast { to }), &[input]);
			if more {
				v = graph.push(Op::Cast(Cast { to: DType::I32 }), &[v]);
				v = graph.push(Op::Binary(Binary::Mul), &[v, v]);
				graph.push(Op::Cast(Cast { to: DType::F32 }), &[v]);
			}
			let model = graph.model(1);
			let expected = evaluate(&model, std::slice::from_ref(&x)).expect("a value");
			for isa in Isa::available() {
				let plan = Plan::new(&model, &Options { threads: Threads::new(2), isa }).expect("a plan");
				assert!(plan.without_kernel().is_empty(), "{:?}", plan.without_kernel());
				assert_eq!(plan.run(std::slice::from_ref(&x)).expect("a value"), expected, "{to:?} with {isa}");
			}
		}
	}
}

/// Quotients halfway between integers, beside them, and all magnitudes: a product with the reciprocal must not show.
#[test]
fn quantize_should_have_the_bits_of_the_reference_where_quotients_are_halfway() {
	let mut rng = Rng(36);
	let n = 1 << 15;
	for round in 0..24 {
		let step = match round % 3 {
			0 => (1.0 + rng.below(1 << 23) as f32 / (1 << 23) as f32) * 2f32.powi(rng.between(0, 40) as i32 - 30),
			1 => rng.pick(&[1e-30, 2f32.powi(-99), 2f32.powi(99), 2f32.powi(-101), 2f32.powi(101), 1e-38, 3.0]),
			_ => 1.0 / rng.between(1, 300) as f32,
		};
		let values: Vec<f32> = (0..n)
			.map(|i| match i % 4 {
				0 => f32::from_bits(rng.bits() as u32),
				_ => {
					let halfway = (f64::from(rng.between(0, 1300)) - 650.0) / 2.0 * f64::from(step);
					let bits = (halfway as f32).to_bits();
					f32::from_bits(bits.wrapping_add(rng.between(0, 4)).wrapping_sub(2))
				}
			})
			.collect();
		let x = Tensor::from_f32([n], &values).expect("a tensor");
		for dtype in BYTES {
			let mut graph = Graph::default();
			let input = graph.input(typed(DType::F32, &[n]));
			let scale = graph.weight(Tensor::from_f32([], &[step]).expect("a tensor"));
			let zero = graph.weight(tensor(&mut rng, dtype, &[]));
			graph.push(Op::Quantize(Quantize { multiply: false }), &[input, scale, zero]);
			let model = graph.model(1);
			let expected = evaluate(&model, std::slice::from_ref(&x)).expect("a value");
			for isa in Isa::available() {
				let plan = Plan::new(&model, &Options { threads: Threads::new(2), isa }).expect("a plan");
				let got = plan.run(std::slice::from_ref(&x)).expect("a value");
				for ((x, got), expected) in values.iter().zip(got[0].bytes.iter()).zip(expected[0].bytes.iter()) {
					assert_eq!(got, expected, "{x:e} / {step:e} with {isa}");
				}
			}
		}
	}
}

/// A small quantised network: convolutions, a residual, a pool, a mean, a product; fused and not.
#[test]
fn quantised_networks_should_have_the_bits_of_the_reference() {
	let mut rng = Rng(37);
	let options = options();
	for _ in 0..4 {
		let mut graph = Graph::default();
		let x = graph.input(typed(DType::F32, &[2, 13, 11, 3]));
		let quantize = |graph: &mut Graph, rng: &mut Rng, v: ValueId, multiply: bool| {
			let dtype = rng.pick(&BYTES);
			let scale = Tensor::from_f32([], &[if multiply { 0.003 } else { 0.04 }]).expect("a tensor");
			let (scale, zero) = (graph.weight(scale), graph.weight(tensor(rng, dtype, &[])));
			graph.push(Op::Quantize(Quantize { multiply }), &[v, scale, zero])
		};
		let conv = |graph: &mut Graph, rng: &mut Rng, v: ValueId, o: u32, groups: u32| {
			let c = graph.ty(v).dims[3];
			let weights = graph.weight(tensor(rng, DType::I8, &[o, 3, 3, c / groups]));
			let bias = graph.weight(tensor(rng, DType::I32, &[o]));
			let window = Window { strides: vec![1; 2], dilations: vec![1; 2], before: vec![1; 2], after: vec![1; 2] };
			let v = graph.push(Op::Conv(Conv { window, groups }), &[v, weights]);
			let v = graph.push(Op::Binary(Binary::Add), &[v, bias]);
			quantize(graph, rng, v, true)
		};
		let v = quantize(&mut graph, &mut rng, x, false);
		let a = conv(&mut graph, &mut rng, v, 24, 1);
		let window = Window { strides: vec![2; 2], dilations: vec![1; 2], before: vec![0; 2], after: vec![0; 2] };
		let a = graph.push(Op::Pool(Pool { kind: PoolKind::Max, kernel: vec![2; 2], window }), &[a]);
		let b = conv(&mut graph, &mut rng, a, 24, 24);
		let (a, b) = (dequantized(&mut graph, &mut rng, a, true, &[]), dequantized(&mut graph, &mut rng, b, true, &[]));
		let sum = graph.push(Op::Binary(Binary::Add), &[a, b]);
		let sum = graph.push(Op::Unary(Unary::Relu), &[sum]);
		let v = quantize(&mut graph, &mut rng, sum, false);
		let v = dequantized(&mut graph, &mut rng, v, true, &[]);
		let reduce = Reduce { kind: ReduceKind::Mean, axes: vec![1, 2], keep_dims: true };
		let v = graph.push(Op::Reduce(reduce), &[v]);
		let v = quantize(&mut graph, &mut rng, v, false);
		let v = graph.push(Op::Reshape(Reshape { dims: vec![2, 24] }), &[v]);
		let weights = graph.weight(tensor(&mut rng, DType::I8, &[10, 24]));
		let v = graph.push(Op::MatMul(MatMul), &[v, weights]);
		let v = quantize(&mut graph, &mut rng, v, true);
		dequantized(&mut graph, &mut rng, v, true, &[]);
		assert_same(&graph.model(1), &options, &mut rng, &[]);
	}
}
