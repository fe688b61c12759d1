//! The kernels give the bits of the reference: every operator, random shapes and hostile values, every instruction set of
//! this machine, several numbers of threads; alone, and in chains that are fused.

mod common;

use assay_kernels::{self_test, Isa, Options, Plan, Threads};
use assay_semantics::{
	ops::{Binary, Concat, Conv, MatMul, Pool, PoolKind, Reduce, ReduceKind, Unary, Window},
	testing::{
		nodes::{Kind, Size},
		Rng,
	},
	trace, Op, Tensor, ValueId,
};
use common::{assert_same, f32s, inputs, options, tensor, Graph};
use std::{collections::HashMap, time::Instant};

#[test]
fn nodes_should_have_the_bits_of_the_reference() {
	let options = options();
	for (number, kind) in Kind::ALL.iter().enumerate() {
		let mut rng = Rng(number as u64);
		let rounds = if matches!(kind, Kind::MatMul | Kind::Conv) { 40 } else { 30 };
		for round in 0..rounds {
			let (op, types, _) = kind.random(&mut rng, Size::Small);
			let mut graph = Graph::default();
			// Half of the time the later operands are weights.
			let constant = round % 2 == 1 && types.len() > 1;
			let mut ins = Vec::new();
			for (i, ty) in types.into_iter().enumerate() {
				ins.push(match constant && i > 0 {
					true => graph.weight(tensor(&mut rng, &ty)),
					false => graph.input(ty),
				});
			}
			graph.push(op, &ins);
			assert_same(&graph.model(1), &options, &mut rng);
		}
	}
}

fn window(stride: u32, dilation: u32, border: u32) -> Window {
	Window { strides: vec![stride; 2], dilations: vec![dilation; 2], before: vec![border; 2], after: vec![border; 2] }
}

fn conv(stride: u32, dilation: u32, border: u32, groups: u32) -> Op {
	Op::Conv(Conv { window: window(stride, dilation, border), groups })
}

/// Convolutions whose sizes reach every path: tiles of all widths, panels that are full and not, one block and several,
/// rows that collide in the cache, depthwise, groups.
#[test]
fn convolutions_should_have_the_bits_of_the_reference() {
	let mut rng = Rng(77);
	let options = options();
	// (batch, height, width, channels, outputs, kernel, stride, dilation, border, groups)
	for (n, h, w, c, o, k, stride, dilation, border, groups) in [
		(1, 6, 17, 16, 70, 3, 1, 1, 1, 1),
		(2, 5, 7, 64, 130, 3, 1, 1, 1, 1),
		(1, 3, 3, 300, 33, 1, 1, 1, 0, 1),
		(1, 4, 14, 1024, 40, 1, 1, 1, 0, 1),
		(1, 7, 29, 512, 5, 1, 2, 1, 0, 1),
		(1, 12, 12, 3, 64, 7, 2, 1, 3, 1),
		(1, 9, 9, 8, 16, 3, 2, 2, 2, 1),
		(3, 8, 9, 20, 20, 3, 1, 1, 1, 20),
		(1, 8, 15, 40, 40, 5, 2, 1, 2, 40),
		(1, 6, 6, 12, 24, 3, 1, 1, 1, 4),
		(1, 6, 6, 12, 24, 3, 1, 1, 1, 12),
		(2, 1, 1, 600, 200, 1, 1, 1, 0, 1),
		(1, 20, 20, 1, 1, 17, 1, 1, 8, 1),
		// Lines that are cut as one, of one image and of several.
		(1, 7, 7, 30, 70, 3, 1, 1, 1, 1),
		(6, 7, 5, 9, 130, 3, 1, 1, 1, 1),
		(9, 3, 2, 20, 66, 3, 1, 1, 1, 1),
		(3, 8, 8, 40, 70, 1, 2, 1, 0, 1),
		(5, 4, 3, 300, 65, 1, 2, 1, 0, 1),
	] {
		let mut graph = Graph::default();
		let x = graph.input(f32s(&[n, h, w, c]));
		let weights = graph.weight(tensor(&mut rng, &f32s(&[o, k, k, c / groups])));
		graph.push(conv(stride, dilation, border, groups), &[x, weights]);
		assert_same(&graph.model(1), &options, &mut rng);
	}
}

#[test]
fn products_should_have_the_bits_of_the_reference() {
	let mut rng = Rng(78);
	let options = options();
	for (a, b) in [
		(vec![1, 600], vec![200, 600]),
		(vec![3, 100], vec![129, 100]),
		(vec![50, 257], vec![65, 257]),
		(vec![4, 9, 64], vec![4, 9, 64]),
		(vec![2, 1, 20, 33], vec![3, 31, 33]),
		(vec![5, 20, 33], vec![31, 33]),
		(vec![20, 33], vec![5, 31, 33]),
		(vec![15, 1024], vec![17, 1024]),
		(vec![3, 0], vec![4, 0]),
	] {
		for constant in [false, true] {
			let mut graph = Graph::default();
			let x = graph.input(f32s(&a));
			let y = match constant {
				true => graph.weight(tensor(&mut rng, &f32s(&b))),
				false => graph.input(f32s(&b)),
			};
			let product = graph.push(Op::MatMul(MatMul), &[x, y]);
			graph.push(Op::Unary(Unary::Relu), &[product]);
			assert_same(&graph.model(1), &options, &mut rng);
		}
	}
}

/// What follows a contraction is fused: every operator that can follow, in several orders, and those that cannot.
#[test]
fn fused_operators_should_have_the_bits_of_the_reference() {
	let mut rng = Rng(79);
	let options = options();
	for round in 0..24 {
		let groups = if round % 4 == 3 { 40 } else { 1 };
		let mut graph = Graph::default();
		let x = graph.input(f32s(&[2, 5, 6, 40]));
		let weights = graph.weight(tensor(&mut rng, &f32s(&[40, 3, 3, 40 / groups])));
		let columns = [0, 1, 2].map(|_| graph.weight(tensor(&mut rng, &f32s(&[40]))));
		let scalar = graph.weight(tensor(&mut rng, &f32s(&[])));
		let side = graph.push(conv(1, 1, 1, groups), &[x, weights]);
		let side = graph.push(Op::Binary(Binary::Add), &[side, columns[0]]);
		let mut v = graph.push(conv(1, 1, 1, groups), &[x, weights]);
		for _ in 0..5 {
			v = match rng.below(9) {
				0 => graph.push(Op::Binary(Binary::Add), &[v, columns[1]]),
				1 => graph.push(Op::Binary(Binary::Mul), &[columns[2], v]),
				2 => graph.push(Op::Unary(Unary::Relu), &[v]),
				3 => graph.push(Op::Binary(Binary::Add), &[v, side]),
				4 => graph.push(Op::Binary(Binary::Add), &[x, v]),
				5 => graph.push(Op::Binary(Binary::Sub), &[scalar, v]),
				6 => graph.push(Op::Unary(Unary::Sigmoid), &[v]),
				7 => graph.push(Op::Binary(Binary::Mul), &[v, v]),
				_ => graph.push(Op::Binary(Binary::Div), &[columns[0], v]),
			};
		}
		graph.push(Op::Binary(Binary::Max), &[v, side]);
		assert_same(&graph.model(1), &options, &mut rng);
	}
}

/// Joined tensors lie in their places where that is possible: what a convolution gives, and chains of joins that others
/// read between.
#[test]
fn joined_tensors_should_have_the_bits_of_the_reference() {
	let mut rng = Rng(83);
	let options = options();
	let join = || Op::Concat(Concat { axis: 3 });
	for round in 0..6 {
		let mut graph = Graph::default();
		let x = graph.input(f32s(&[2, 5, 6, 20]));
		let scale = [0, 1, 2].map(|i| graph.weight(tensor(&mut rng, &f32s(&[20 + 12 * i]))));
		let mut joined = x;
		for (i, scale) in (0..).zip(scale) {
			let weights = graph.weight(tensor(&mut rng, &f32s(&[12, 3, 3, 20 + 12 * i])));
			let bias = graph.weight(tensor(&mut rng, &f32s(&[12])));
			let y = graph.push(Op::Binary(Binary::Mul), &[joined, scale]);
			let y = graph.push(Op::Unary(Unary::Relu), &[y]);
			let y = graph.push(conv(1, 1, 1, 1), &[y, weights]);
			let y = graph.push(Op::Binary(Binary::Add), &[y, bias]);
			let order = if round % 2 == 0 { [joined, y] } else { [y, joined] };
			joined = graph.push(join(), &order);
		}
		// Branches that are joined, one of them with a sum behind its convolution, one twice.
		let branches = [0, 1].map(|i| {
			let weights = graph.weight(tensor(&mut rng, &f32s(&[20 - 7 * i, 1, 1, 20])));
			graph.push(conv(1, 1, 0, 1), &[x, weights])
		});
		let sum = graph.push(Op::Binary(Binary::Add), &[branches[0], x]);
		let pool = Pool { kind: PoolKind::Max, kernel: vec![3; 2], window: window(1, 1, 1) };
		let pool = graph.push(Op::Pool(pool), &[x]);
		let list = if round % 3 == 0 { vec![sum, branches[1], pool] } else { vec![sum, sum, branches[1]] };
		let other = graph.push(join(), &list);
		let both = graph.push(join(), &[other, joined]);
		let all = Reduce { kind: ReduceKind::Sum, axes: vec![1], keep_dims: true };
		let sum = graph.push(Op::Reduce(all), &[both]);
		graph.push(Op::Unary(Unary::Neg), &[if round == 5 { joined } else { sum }]);
		if round == 4 {
			graph.push(join(), &[both, joined]);
		}
		assert_same(&graph.model(if round == 4 { 2 } else { 1 }), &options, &mut rng);
	}
}

/// Folds that are long enough for several blocks and for several threads.
#[test]
fn folds_should_have_the_bits_of_the_reference() {
	let mut rng = Rng(80);
	let options = options();
	for (dims, axes) in [
		(vec![3, 7, 7, 130], vec![1, 2]),
		(vec![2, 40, 40, 33], vec![1, 2]),
		(vec![40, 1001], vec![1]),
		(vec![1001, 40], vec![0]),
		(vec![4, 300, 5], vec![1, 2]),
		(vec![3, 1, 4], vec![1]),
		(vec![3, 1, 4], vec![0, 1, 2]),
		(vec![6, 5, 4, 3], vec![0, 2]),
	] {
		for kind in [ReduceKind::Sum, ReduceKind::Mean, ReduceKind::Max, ReduceKind::Min] {
			let mut graph = Graph::default();
			let x = graph.input(f32s(&dims));
			graph.push(Op::Reduce(Reduce { kind, axes: axes.clone(), keep_dims: false }), &[x]);
			assert_same(&graph.model(1), &options[..], &mut rng);
		}
	}
	for kind in [PoolKind::Max, PoolKind::Average { count_border: true }, PoolKind::Average { count_border: false }] {
		for (kernel, stride, border) in [(3, 2, 1), (2, 2, 0), (7, 1, 3)] {
			let mut graph = Graph::default();
			let x = graph.input(f32s(&[1, 24, 25, 40]));
			let pool = Pool { kind, kernel: vec![kernel; 2], window: window(stride, 1, border) };
			graph.push(Op::Pool(pool), &[x]);
			assert_same(&graph.model(1), &options[..], &mut rng);
		}
	}
}

/// Every unary operator over values of all magnitudes.
#[test]
fn functions_should_have_the_bits_of_the_reference_on_all_magnitudes() {
	use assay_semantics::float;
	let functions: [(Unary, fn(f32) -> f32); 9] = [
		(Unary::Relu, float::relu),
		(Unary::Neg, |x| -x),
		(Unary::Abs, f32::abs),
		(Unary::Exp, float::exp),
		(Unary::ExpSoftmax, float::exp_softmax),
		(Unary::Sigmoid, float::sigmoid),
		(Unary::Tanh, float::tanh),
		(Unary::Reciprocal, |x| 1.0 / x),
		(Unary::Sqrt, f32::sqrt),
	];
	let n = 1 << 18;
	let mut rng = Rng(81);
	// Any bits, and numbers where exp and tanh have their turns.
	let values: Vec<f32> = (0..n)
		.map(|i| match i % 3 {
			0 => f32::from_bits(rng.bits() as u32),
			1 => (rng.below(1 << 24) as f32 / (1 << 24) as f32 - 0.5) * 240.0,
			_ => (rng.below(1 << 24) as f32 / (1 << 24) as f32 - 0.5) * 3.0,
		})
		.collect();
	let x = Tensor::from_f32([n], &values).expect("a tensor");
	for (op, function) in functions {
		let mut graph = Graph::default();
		let input = graph.input(f32s(&[n]));
		graph.push(Op::Unary(op), &[input]);
		let model = graph.model(1);
		for isa in Isa::available() {
			let options = Options { threads: Threads::new(2), isa };
			let got = Plan::new(&model, &options).expect("a plan").run(std::slice::from_ref(&x)).expect("a value");
			let got = got[0].to_f32().expect("f32");
			for (x, y) in values.iter().zip(got) {
				let x = float::load(x.to_bits());
				assert_eq!(y.to_bits(), float::store(function(x)), "{op:?} of {x:e} ({:08x}) with {isa}", x.to_bits());
			}
		}
	}
}

/// A model with branches: values of a traced plan are those of the reference, and only what outputs need is computed.
#[test]
fn traced_plans_should_give_every_value() {
	let mut rng = Rng(82);
	let mut graph = Graph::default();
	let x = graph.input(f32s(&[1, 8, 8, 12]));
	let weights = graph.weight(tensor(&mut rng, &f32s(&[12, 3, 3, 12])));
	let bias = graph.weight(tensor(&mut rng, &f32s(&[12])));
	let y = graph.push(conv(1, 1, 1, 1), &[x, weights]);
	let y = graph.push(Op::Binary(Binary::Add), &[y, bias]);
	let y = graph.push(Op::Unary(Unary::Relu), &[y]);
	graph.push(Op::Unary(Unary::Exp), &[y]);
	let z = graph.push(Op::Binary(Binary::Add), &[y, x]);
	let z = graph.push(Op::Reshape(assay_semantics::ops::Reshape { dims: vec![64, 12] }), &[z]);
	graph.push(Op::Unary(Unary::Neg), &[z]);
	graph.push(Op::Unary(Unary::Tanh), &[z]);
	let model = graph.model(2);
	let inputs = inputs(&model, &mut rng);
	let expected = trace(&model, &inputs).expect("a trace");
	for options in options() {
		let plan = Plan::traced(&model, &options).expect("a plan");
		let mut values = HashMap::new();
		let visit = &mut |v: ValueId, value: &dyn Fn() -> Tensor| {
			values.insert(v, value());
			true
		};
		plan.values(&inputs, visit).expect("values");
		assert_eq!(values.len(), model.nodes().iter().filter(|n| !n.inputs.is_empty()).count());
		for (v, value) in values {
			assert_eq!(value, expected[v as usize], "value {v}, {options:?}");
		}
	}
	assert_same(&model, &options(), &mut rng);
}

#[test]
fn self_test_should_pass_in_less_than_a_second() {
	for isa in Isa::available() {
		let options = Options { threads: Threads::new(2), isa };
		let start = Instant::now();
		self_test(&options).unwrap_or_else(|e| panic!("{e}"));
		let took = start.elapsed();
		assert!(cfg!(debug_assertions) || took.as_secs_f64() < 1.0, "{isa}: {took:?}");
	}
}
