//! Whole graphs, in which operators are fused and values are never written: random ones of everything that takes part in that,
//! and those of transformers, of all sizes.

mod common;

use assay_semantics::{
	ops::{Binary, Concat, Expand, MatMul, Pad, Reduce, ReduceKind, Reshape, Select, Slice, Transpose, Unary},
	testing::Rng,
	DType, Op, Tensor, TensorType, ValueId,
};
use common::{assert_same, f32s, options, tensor, Graph};

fn reduce(kind: ReduceKind, axes: Vec<u8>, keep_dims: bool) -> Op {
	Op::Reduce(Reduce { kind, axes, keep_dims })
}

fn dims(graph: &Graph, v: ValueId) -> Vec<u32> {
	graph.nodes[v as usize].ty.dims.clone()
}

fn number(graph: &mut Graph, x: f32) -> ValueId {
	graph.weight(Tensor::from_f32([], &[x]).expect("a number"))
}

/// As import lowers it.
fn softmax(graph: &mut Graph, x: ValueId) -> ValueId {
	let axes = vec![dims(graph, x).len() as u8 - 1];
	let largest = graph.push(reduce(ReduceKind::Max, axes.clone(), true), &[x]);
	let difference = graph.push(Op::Binary(Binary::Sub), &[x, largest]);
	let exp = graph.push(Op::Unary(Unary::ExpSoftmax), &[difference]);
	let sum = graph.push(reduce(ReduceKind::Sum, axes, true), &[exp]);
	let reciprocal = graph.push(Op::Unary(Unary::Reciprocal), &[sum]);
	graph.push(Op::Binary(Binary::Mul), &[exp, reciprocal])
}

/// As import lowers it.
fn norm(graph: &mut Graph, x: ValueId, rng: &mut Rng) -> ValueId {
	let dims = dims(graph, x);
	let axes = vec![dims.len() as u8 - 1];
	let columns = f32s(&[dims[dims.len() - 1]]);
	let (scale, bias) = (graph.weight(tensor(rng, &columns)), graph.weight(tensor(rng, &columns)));
	let epsilon = number(graph, 1e-5);
	let mean = graph.push(reduce(ReduceKind::Mean, axes.clone(), true), &[x]);
	let difference = graph.push(Op::Binary(Binary::Sub), &[x, mean]);
	let square = graph.push(Op::Binary(Binary::Mul), &[difference, difference]);
	let variance = graph.push(reduce(ReduceKind::Mean, axes, true), &[square]);
	let shifted = graph.push(Op::Binary(Binary::Add), &[variance, epsilon]);
	let root = graph.push(Op::Unary(Unary::Sqrt), &[shifted]);
	let inverse = graph.push(Op::Unary(Unary::Reciprocal), &[root]);
	let normal = graph.push(Op::Binary(Binary::Mul), &[difference, inverse]);
	let scaled = graph.push(Op::Binary(Binary::Mul), &[normal, scale]);
	graph.push(Op::Binary(Binary::Add), &[scaled, bias])
}

#[test]
fn softmax_and_layer_norm_should_have_the_bits_of_the_reference() {
	let mut rng = Rng(90);
	let options = options();
	for shape in
		[vec![3, 1], vec![2, 7, 16], vec![50, 33], vec![1, 300], vec![2, 3, 5, 128], vec![3, 5000], vec![1, 17000]]
	{
		for scaled in [false, true] {
			let mut graph = Graph::default();
			let mut x = graph.input(f32s(&shape));
			if scaled {
				let mut dims = shape.clone();
				let last = dims.len() - 1;
				dims[1..last].fill(1);
				let mask = graph.input(f32s(&dims));
				let eight = number(&mut graph, 8.0);
				x = graph.push(Op::Binary(Binary::Div), &[x, eight]);
				x = graph.push(Op::Binary(Binary::Add), &[x, mask]);
			}
			let y = softmax(&mut graph, x);
			let z = norm(&mut graph, y, &mut rng);
			graph.push(Op::Binary(Binary::Sub), &[z, x]);
			assert_same(&graph.model(1), &options, &mut rng);
		}
	}
}

/// Attention with a cache, as exporters write it: heads split and joined by Reshape and Transpose, some of the mask by Select.
#[test]
fn attention_should_have_the_bits_of_the_reference() {
	let mut rng = Rng(91);
	let options = options();
	for (batch, length, past, heads, size) in
		[(1, 1, 9, 2, 16), (2, 5, 0, 3, 8), (1, 33, 4, 2, 20), (2, 1, 40, 4, 32), (1, 20, 0, 1, 5)]
	{
		let hidden = heads * size;
		let mut graph = Graph::default();
		let x = graph.input(f32s(&[batch, length, hidden]));
		let cache = [0, 1].map(|_| graph.input(f32s(&[batch, heads, past, size])));
		let total = past + length;
		let allowed = graph.input(TensorType::new(DType::Bool, [length, total]));
		let mut project = |graph: &mut Graph, x| {
			let weights = graph.weight(tensor(&mut rng, &f32s(&[hidden, hidden])));
			let bias = graph.weight(tensor(&mut rng, &f32s(&[hidden])));
			let y = graph.push(Op::MatMul(MatMul), &[x, weights]);
			graph.push(Op::Binary(Binary::Add), &[y, bias])
		};
		let split = |graph: &mut Graph, y| {
			let dims = vec![batch, length, heads, size];
			let y = graph.push(Op::Reshape(Reshape { dims }), &[y]);
			graph.push(Op::Transpose(Transpose { perm: vec![0, 2, 1, 3] }), &[y])
		};
		let [q, k, v] = [0, 1, 2].map(|_| project(&mut graph, x)).map(|y| split(&mut graph, y));
		let join = |graph: &mut Graph, i: usize, y| match past {
			0 => y,
			_ => graph.push(Op::Concat(Concat { axis: 2 }), &[cache[i], y]),
		};
		let (k, v) = (join(&mut graph, 0, k), join(&mut graph, 1, v));
		let scores = graph.push(Op::MatMul(MatMul), &[q, k]);
		let root = number(&mut graph, (size as f32).sqrt());
		let scores = graph.push(Op::Binary(Binary::Div), &[scores, root]);
		let least = number(&mut graph, f32::MIN);
		let scores = graph.push(Op::Select(Select), &[allowed, scores, least]);
		let p = softmax(&mut graph, scores);
		let v = graph.push(Op::Transpose(Transpose { perm: vec![0, 1, 3, 2] }), &[v]);
		let y = graph.push(Op::MatMul(MatMul), &[p, v]);
		let y = graph.push(Op::Transpose(Transpose { perm: vec![0, 2, 1, 3] }), &[y]);
		let y = graph.push(Op::Reshape(Reshape { dims: vec![batch, length, hidden] }), &[y]);
		let y = project(&mut graph, y);
		let y = graph.push(Op::Binary(Binary::Add), &[y, x]);
		norm(&mut graph, y, &mut rng);
		assert_same(&graph.model(1), &options, &mut rng);
	}
}

/// Inputs that copies alone read, and outputs that they write, with and without others.
#[test]
fn copied_inputs_should_have_the_bits_of_the_reference() {
	let mut rng = Rng(93);
	let options = options();
	for round in 0..16 {
		let mut graph = Graph::default();
		let caches = [0, 1].map(|_| graph.input(f32s(&[2, 3, 7, 5])));
		let x = graph.input(f32s(&[2, 3, 2, 5]));
		let y = graph.push(Op::Unary(if round % 2 == 0 { Unary::Neg } else { Unary::Sqrt }), &[x]);
		if round & 4 != 0 {
			graph.push(Op::Unary(Unary::Abs), &[caches[0]]);
		}
		let perm = if round & 2 == 0 { vec![0, 1, 2, 3] } else { vec![0, 3, 1, 2] };
		let long = [&[caches[0], y][..], &[y, caches[1]], &[caches[1], caches[0]]];
		let long = long.map(|list| graph.push(Op::Concat(Concat { axis: 2 }), list));
		graph.push(Op::Transpose(Transpose { perm }), &[caches[usize::from(round & 8 != 0)]]);
		graph.push(Op::Reshape(Reshape { dims: vec![6, 9, 5] }), &[long[0]]);
		let outputs = 4 + u32::from(round % 3 == 0);
		assert_same(&graph.model(outputs), &options, &mut rng);
	}
}

/// Channels shuffled as ShuffleNet does.
#[test]
fn shuffles_should_have_the_bits_of_the_reference() {
	let mut rng = Rng(92);
	let options = options();
	for (n, h, groups, depth) in [(1, 5, 4, 7), (2, 3, 3, 16), (1, 9, 2, 33), (3, 2, 8, 5)] {
		let mut graph = Graph::default();
		let x = graph.input(f32s(&[n, h, h, groups * depth]));
		let x = graph.push(Op::Unary(Unary::Relu), &[x]);
		let y = graph.push(Op::Transpose(Transpose { perm: vec![0, 3, 1, 2] }), &[x]);
		let y = graph.push(Op::Reshape(Reshape { dims: vec![n, groups, depth, h, h] }), &[y]);
		let y = graph.push(Op::Transpose(Transpose { perm: vec![0, 2, 1, 3, 4] }), &[y]);
		let y = graph.push(Op::Reshape(Reshape { dims: vec![n, groups * depth, h, h] }), &[y]);
		let y = graph.push(Op::Transpose(Transpose { perm: vec![0, 2, 3, 1] }), &[y]);
		graph.push(Op::Unary(Unary::Neg), &[y]);
		assert_same(&graph.model(1), &options, &mut rng);
	}
}

/// A random operator over values that are there already, if it fits.
fn grow(graph: &mut Graph, pool: &[ValueId], rng: &mut Rng) -> Option<(Op, Vec<ValueId>)> {
	let x = rng.pick(&pool[pool.len().saturating_sub(4)..]);
	let shape = dims(graph, x);
	let rank = shape.len();
	if rank == 0 {
		return None;
	}
	let unary =
		[Unary::Relu, Unary::Neg, Unary::Abs, Unary::ExpSoftmax, Unary::Tanh, Unary::Sqrt, Unary::Erf, Unary::Floor];
	let binary = [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div, Binary::Max, Binary::Min];
	let kinds = [ReduceKind::Sum, ReduceKind::Mean, ReduceKind::Max, ReduceKind::Min];
	Some(match rng.below(14) {
		0 | 1 => (Op::Unary(rng.pick(&unary)), vec![x]),
		2..=4 => {
			let other = rng.pick(pool);
			let list = if rng.one_in(2) { vec![x, other] } else { vec![other, x] };
			(Op::Binary(rng.pick(&binary)), list)
		}
		5 | 6 => {
			let from = rng.below(rank as u64) as usize;
			let axes = (from..rank).map(|a| a as u8).collect();
			(reduce(rng.pick(&kinds), axes, !rng.one_in(5)), vec![x])
		}
		7 | 8 => {
			let mut perm: Vec<u8> = (0..rank as u8).collect();
			for i in (1..rank).rev() {
				perm.swap(i, rng.below(i as u64 + 1) as usize);
			}
			(Op::Transpose(Transpose { perm }), vec![x])
		}
		9 => {
			let mut dims = shape.clone();
			let at = rng.below(rank as u64) as usize;
			let d = dims[at];
			let part = (2..=d).find(|p| d.is_multiple_of(*p)).unwrap_or(1);
			if rng.one_in(2) && rank < 5 {
				dims.splice(at..=at, [part, d / part]);
			} else if at + 1 < rank {
				let joined = d * dims[at + 1];
				dims.splice(at..=at + 1, [joined]);
			}
			(Op::Reshape(Reshape { dims }), vec![x])
		}
		10 => {
			let starts: Vec<u32> = shape.iter().map(|d| rng.below(u64::from(*d).min(2)) as u32).collect();
			let sizes: Vec<u32> = shape.iter().zip(&starts).map(|(d, s)| d - s).collect();
			let mut op = Slice { starts, sizes, steps: vec![1; rank] };
			let at = rng.below(rank as u64) as usize;
			if rng.one_in(3) {
				(op.starts[at], op.sizes[at], op.steps[at]) = (shape[at] - 1, shape[at].div_ceil(2), -2);
			}
			(Op::Slice(op), vec![x])
		}
		11 => match rng.below(3) {
			0 => (Op::Expand(Expand { dims: [&[2], &shape[..]].concat() }), vec![x]),
			1 => (Op::Concat(Concat { axis: rng.below(rank as u64) as u8 }), vec![x, x]),
			_ => (Op::Pad(Pad { before: vec![1; rank], after: vec![0; rank], value: 7 }), vec![x]),
		},
		_ => {
			let others = pool.iter().copied().filter(|y| {
				let dims = dims(graph, *y);
				dims.len() >= 2 && dims.last() == shape.last()
			});
			let others: Vec<ValueId> = others.collect();
			(rank >= 2 && !others.is_empty()).then(|| (Op::MatMul(MatMul), vec![x, rng.pick(&others)]))?
		}
	})
}

#[test]
fn random_graphs_should_have_the_bits_of_the_reference() {
	let options = options();
	for seed in 0..if cfg!(debug_assertions) { 40 } else { 2000 } {
		let mut rng = Rng(1000 + seed);
		let mut graph = Graph::default();
		let sizes = [1, 2, 3, 4, 6, 16, 18, 40];
		let rank = 2 + rng.below(3) as usize;
		let shape: Vec<u32> = (0..rank).map(|_| rng.pick(&sizes)).collect();
		let mut pool: Vec<ValueId> = (0..2).map(|_| graph.input(f32s(&shape))).collect();
		pool.push(graph.weight(tensor(&mut rng, &f32s(&shape[rank - 1..]))));
		pool.push(number(&mut graph, 0.25));
		let inputs = graph.nodes.len();
		while graph.nodes.len() < inputs + 14 {
			let Some((op, ins)) = grow(&mut graph, &pool, &mut rng) else { continue };
			let types: Vec<&TensorType> = ins.iter().map(|v| &graph.nodes[*v as usize].ty).collect();
			let small = |ty: &TensorType| (1..4000).contains(&ty.elements().unwrap_or(0)) && !ty.dims.is_empty();
			if assay_semantics::ops::out_type(&op, &types).is_ok_and(|ty| small(&ty)) {
				pool.push(graph.push(op, &ins));
			}
		}
		let outputs = 1 + rng.below(2) as u32;
		assert_same(&graph.model(outputs), &options, &mut rng);
	}
}
