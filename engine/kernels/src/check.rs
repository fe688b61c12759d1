//! Whether the kernels give the bits of the reference on this machine.

use crate::{Isa, Options, Plan};
use assay_semantics::{
	evaluate,
	ops::{out_type, Binary, Cast, Conv, MatMul, Quantize, Reduce, ReduceKind, Reshape, Transpose, Unary, Window},
	testing::{
		nodes::{Kind, Size},
		tensor, Rng,
	},
	DType, Model, Names, Node, Op, Tensor, TensorType, ValueId,
};
use std::fmt;

/// A node whose kernel gives other bits than the reference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
	/// The instruction set.
	pub isa: Isa,
	/// The operator, and the types of its operands.
	pub node: String,
	/// What was wrong.
	pub what: String,
}

impl fmt::Display for Mismatch {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(f, "the {} kernels differ from the reference: {}: {}", self.isa, self.node, self.what)
	}
}

impl std::error::Error for Mismatch {}

/// Rounds of random nodes of every kind.
const ROUNDS: u64 = 4;

/// The most products behind a random node, about: the reference takes some 20 ns for each.
const WORK: u64 = 200_000;

/// Runs nodes through the kernels and through the reference, and compares bits: random ones of every kind, and contractions
/// of sizes that take every way through the kernels, alone and with what is fused to them; with hostile values, and with
/// ordinary ones whose sums show their order. Takes less than a second. Whoever serves answers does this first: one wrong
/// bit costs a bond.
pub fn self_test(options: &Options) -> Result<(), Mismatch> {
	for round in 0..ROUNDS {
		for (number, kind) in Kind::ALL.iter().enumerate() {
			let mut rng = Rng(round * 1000 + number as u64);
			let (op, types) = loop {
				let (op, types, out) = kind.random(&mut rng, Size::Small);
				let shared = types.last().map_or(1, |t| t.dims.iter().skip(1).map(|d| u64::from(*d)).product());
				if out.elements().unwrap_or(0).saturating_mul(shared) < WORK {
					break (op, types);
				}
			};
			check(options, &op, &types, round % 2 == 0, &mut rng)?;
		}
	}
	let mut rng = Rng(5);
	for (op, types) in designed() {
		check(options, &op, &types, false, &mut rng)?;
		check(options, &op, &types, true, &mut rng)?;
	}
	for (op, types) in quantised() {
		check(options, &op, &types, false, &mut rng)?;
	}
	attention(options, false, &mut rng)?;
	attention(options, true, &mut rng)
}

/// What runs as programs over rows and what is read where it lies: attention of two heads, with a softmax, and the norm of its
/// result.
fn attention(options: &Options, hostile: bool, rng: &mut Rng) -> Result<(), Mismatch> {
	let mismatch = |what: String| Mismatch { isa: options.isa, node: "attention".into(), what };
	let f32s = |dims: &[u32]| TensorType::new(DType::F32, dims);
	let (mut nodes, mut weights) = (Vec::<Node>::new(), Vec::new());
	let x = f32s(&[1, 19, 36]);
	nodes.push(Node { op: Op::Input(0), inputs: vec![], ty: x.clone() });
	for dims in [&[36, 36][..], &[36], &[]] {
		nodes.push(Node { op: Op::Weight(weights.len() as u32), inputs: vec![], ty: f32s(dims) });
		weights.push(values(rng, &f32s(dims), hostile));
	}
	let (x_id, square, row, one) = (0, 1, 2, 3);
	let mut failed = None;
	let mut push = |op: Op, inputs: &[ValueId]| -> ValueId {
		let types: Vec<&TensorType> = inputs.iter().filter_map(|v| nodes.get(*v as usize)).map(|n| &n.ty).collect();
		match out_type(&op, &types) {
			Ok(ty) => nodes.push(Node { op, inputs: inputs.to_vec(), ty }),
			Err(e) => failed = Some(e.to_string()),
		}
		nodes.len() as ValueId - 1
	};
	let reduce = |kind| Op::Reduce(Reduce { kind, axes: vec![3], keep_dims: true });
	let turned = |perm: [u8; 4]| Op::Transpose(Transpose { perm: perm.to_vec() });
	let y = push(Op::MatMul(MatMul), &[x_id, square]);
	let y = push(Op::Binary(Binary::Add), &[y, row]);
	let y = push(Op::Reshape(Reshape { dims: vec![1, 19, 2, 18] }), &[y]);
	let heads = push(turned([0, 2, 1, 3]), &[y]);
	let columns = push(turned([0, 2, 3, 1]), &[y]);
	let scores = push(Op::MatMul(MatMul), &[heads, heads]);
	let scores = push(Op::Binary(Binary::Mul), &[scores, one]);
	let largest = push(reduce(ReduceKind::Max), &[scores]);
	let difference = push(Op::Binary(Binary::Sub), &[scores, largest]);
	let exp = push(Op::Unary(Unary::ExpSoftmax), &[difference]);
	let sum = push(reduce(ReduceKind::Sum), &[exp]);
	let share = push(Op::Unary(Unary::Reciprocal), &[sum]);
	let p = push(Op::Binary(Binary::Mul), &[exp, share]);
	let y = push(Op::MatMul(MatMul), &[p, columns]);
	let y = push(turned([0, 2, 1, 3]), &[y]);
	let y = push(Op::Reshape(Reshape { dims: vec![1, 1, 19, 36] }), &[y]);
	let mean = push(reduce(ReduceKind::Mean), &[y]);
	let difference = push(Op::Binary(Binary::Sub), &[y, mean]);
	let squared = push(Op::Binary(Binary::Mul), &[difference, difference]);
	let variance = push(reduce(ReduceKind::Mean), &[squared]);
	let root = push(Op::Unary(Unary::Sqrt), &[variance]);
	let normal = push(Op::Binary(Binary::Div), &[difference, root]);
	push(Op::Binary(Binary::Add), &[normal, row]);
	if let Some(what) = failed {
		return Err(mismatch(what));
	}
	compare(options, nodes, weights, &[values(rng, &x, hostile)], &mismatch)
}

/// Whether a model's plan gives the outputs of the reference.
fn compare(
	options: &Options,
	nodes: Vec<Node>,
	weights: Vec<Tensor>,
	inputs: &[Tensor],
	mismatch: &dyn Fn(String) -> Mismatch,
) -> Result<(), Mismatch> {
	let names = Names { inputs: vec![String::new(); inputs.len()], outputs: vec![String::new()], ..Default::default() };
	let model = Model::new(nodes, weights, 1, names).map_err(|e| mismatch(e.to_string()))?;
	let expected = evaluate(&model, inputs).map_err(|e| mismatch(e.to_string()))?;
	let plan = Plan::new(&model, options).map_err(|e| mismatch(e.to_string()))?;
	let got = plan.run(inputs).map_err(|e| mismatch(e.to_string()))?;
	if expected != got {
		return Err(mismatch("another value".into()));
	}
	Ok(())
}

/// Contractions for tiles of all widths, full and partial panels, one block and several, rows that collide in the cache,
/// few rows, borders, groups, and one channel for each group.
fn designed() -> Vec<(Op, Vec<TensorType>)> {
	let conv = |x: [u32; 4], o: u32, k: u32, stride: u32, border: u32, groups: u32| {
		let window =
			Window { strides: vec![stride; 2], dilations: vec![1; 2], before: vec![border; 2], after: vec![border; 2] };
		let types = [x.to_vec(), vec![o, k, k, x[3] / groups]].map(|dims| TensorType::new(DType::F32, dims));
		(Op::Conv(Conv { window, groups }), types.to_vec())
	};
	let product = |a: &[u32], b: &[u32]| {
		let types = [a, b].map(|dims| TensorType::new(DType::F32, dims));
		(Op::MatMul(MatMul), types.to_vec())
	};
	vec![
		conv([1, 3, 17, 20], 40, 3, 1, 1, 1),
		conv([1, 2, 7, 40], 70, 3, 1, 1, 1),
		conv([1, 1, 14, 1024], 33, 1, 1, 0, 1),
		conv([1, 5, 9, 20], 20, 3, 1, 1, 20),
		conv([1, 5, 5, 12], 24, 3, 2, 1, 4),
		product(&[3, 300], &[140, 300]),
		product(&[2, 15, 65], &[2, 33, 65]),
	]
}

/// Contractions of bytes, which are requantised: windows and rows, full and partial panels, borders, groups, one channel for
/// each group; and a dequantised residual. With zero points, as importers make them.
fn quantised() -> Vec<(Op, Vec<TensorType>)> {
	let conv = |x: [u32; 4], o: u32, k: u32, stride: u32, groups: u32, dtype: DType| {
		let border = vec![k / 2; 2];
		let window = Window { strides: vec![stride; 2], dilations: vec![1; 2], before: border.clone(), after: border };
		let types = vec![TensorType::new(dtype, x), TensorType::new(DType::I8, [o, k, k, x[3] / groups])];
		(Op::Conv(Conv { window, groups }), types)
	};
	let product = |a: [u32; 2], n: u32, dtype: DType| {
		(Op::MatMul(MatMul), vec![TensorType::new(DType::U8, a), TensorType::new(dtype, [n, a[1]])])
	};
	vec![
		conv([1, 5, 9, 20], 40, 3, 1, 1, DType::U8),
		conv([1, 4, 9, 65], 33, 1, 2, 1, DType::I8),
		conv([1, 5, 9, 20], 20, 3, 1, 20, DType::U8),
		conv([1, 5, 5, 12], 24, 3, 2, 4, DType::I8),
		product([17, 300], 70, DType::I8),
		product([3, 70], 33, DType::U8),
	]
}

/// Hostile values, or ordinary ones with all bits in use.
fn values(rng: &mut Rng, ty: &TensorType, hostile: bool) -> Tensor {
	let mut tensor = tensor(rng, ty);
	if ty.dtype == DType::F32 && !hostile {
		for bytes in tensor.bytes.chunks_exact_mut(4) {
			let x = (rng.bits() as i32) as f32 / 2f32.powi(30);
			bytes.copy_from_slice(&x.to_bits().to_le_bytes());
		}
	}
	tensor
}

/// Compares one node. With several operands, the later ones are weights half of the time; a contraction is followed by
/// operators that are fused to it.
fn check(options: &Options, op: &Op, types: &[TensorType], hostile: bool, rng: &mut Rng) -> Result<(), Mismatch> {
	let mismatch = |what: String| Mismatch {
		isa: options.isa,
		node: format!("{op:?} over {}", types.iter().map(|t| format!("{t} ")).collect::<String>()),
		what,
	};
	let (mut nodes, mut inputs, mut weights) = (Vec::<Node>::new(), Vec::new(), Vec::new());
	let constant = types.len() > 1 && rng.one_in(2);
	for (i, ty) in types.iter().enumerate() {
		let list = if constant && i > 0 { &mut weights } else { &mut inputs };
		let number = list.len() as u32;
		list.push(values(rng, ty, hostile));
		let op = if constant && i > 0 { Op::Weight(number) } else { Op::Input(number) };
		nodes.push(Node { op, inputs: vec![], ty: ty.clone() });
	}
	let ty = out_type(op, &types.iter().collect::<Vec<_>>()).map_err(|e| mismatch(e.to_string()))?;
	let operands: Vec<ValueId> = (0u32..).take(types.len()).collect();
	nodes.push(Node { op: op.clone(), inputs: operands.clone(), ty: ty.clone() });
	if matches!(op, Op::Conv(_) | Op::MatMul(_)) && ty.dtype == DType::F32 {
		// The same again, a bias, the sum of both, and what is negative away.
		let first = nodes.len() as ValueId - 1;
		let bias = TensorType::new(DType::F32, ty.dims.last().map(|d| vec![*d]).unwrap_or_default());
		weights.push(values(rng, &bias, hostile));
		nodes.push(Node { op: Op::Weight(weights.len() as u32 - 1), inputs: vec![], ty: bias });
		nodes.push(Node { op: op.clone(), inputs: operands, ty: ty.clone() });
		let mut push = |op: Op, inputs: Vec<ValueId>| nodes.push(Node { op, inputs, ty: ty.clone() });
		push(Op::Binary(Binary::Add), vec![first + 2, first + 1]);
		push(Op::Binary(Binary::Mul), vec![first + 3, first + 1]);
		push(Op::Binary(Binary::Add), vec![first + 4, first]);
		push(Op::Unary(Unary::Relu), vec![first + 5]);
	}
	if matches!(op, Op::Conv(_) | Op::MatMul(_)) && types.iter().all(|ty| matches!(ty.dtype, DType::I8 | DType::U8)) {
		// A bias, quantised by columns; dequantised twice and added; quantised again.
		let sums = nodes.len() as ValueId - 1;
		let columns: Vec<u32> = ty.dims.last().copied().into_iter().collect();
		let mut weight = |tensor: Tensor, nodes: &mut Vec<Node>| {
			nodes.push(Node { op: Op::Weight(weights.len() as u32), inputs: vec![], ty: tensor.ty.clone() });
			weights.push(tensor);
			nodes.len() as ValueId - 1
		};
		let bias = weight(values(rng, &TensorType::new(DType::I32, columns.clone()), hostile), &mut nodes);
		let count = columns.iter().product::<u32>();
		let list: Vec<f32> = (0..count).map(|_| (1 + rng.below(4000)) as f32 / 2e6).collect();
		let number = |x: f32| Tensor::from_f32([], &[x]).map_err(|e| mismatch(e.to_string()));
		let by_column = Tensor::from_f32(columns, &list).map_err(|e| mismatch(e.to_string()))?;
		let scales = [by_column, number(0.037)?, number(0.11)?].map(|tensor| weight(tensor, &mut nodes));
		let zeros = [DType::U8, DType::I8].map(|dtype| {
			weight(Tensor { ty: TensorType::new(dtype, []), bytes: vec![rng.bits() as u8].into() }, &mut nodes)
		});
		let mut push = |op: Op, inputs: &[ValueId], dtype: DType| {
			nodes.push(Node { op, inputs: inputs.to_vec(), ty: TensorType::new(dtype, ty.dims.clone()) });
			nodes.len() as ValueId - 1
		};
		let (i32, f32) = (DType::I32, DType::F32);
		let sums = push(Op::Binary(Binary::Add), &[sums, bias], i32);
		let bytes = push(Op::Quantize(Quantize { multiply: true }), &[sums, scales[0], zeros[0]], DType::U8);
		let mut sides = [1, 2].map(|scale| {
			let x = push(Op::Cast(Cast { to: i32 }), &[bytes], i32);
			let x = push(Op::Cast(Cast { to: f32 }), &[x], f32);
			push(Op::Binary(Binary::Mul), &[x, scales[scale]], f32)
		});
		sides[0] = push(Op::Binary(Binary::Add), &sides, f32);
		push(Op::Quantize(Quantize { multiply: false }), &[sides[0], scales[1], zeros[1]], DType::I8);
	}
	compare(options, nodes, weights, &inputs, &mismatch)
}
