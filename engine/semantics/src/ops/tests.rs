//! Element functions against each other, against plain formulas, and against adversarial input.

use super::*;
use crate::{
	commit::TILE_BYTES,
	eval::Tensors,
	evaluate_node,
	testing::{
		nodes::{Kind, Size},
		Rng,
	},
	Tensor,
};
use alloc::{collections::BTreeSet, vec, vec::Vec};
use core::cell::RefCell;
use proptest::prelude::*;

fn f32s(dims: &[u32], values: &[f32]) -> Tensor {
	Tensor::from_f32(dims, values).unwrap()
}

fn run(op: impl Into<Op>, ins: &[&Tensor]) -> Vec<f32> {
	evaluate_node(&op.into(), ins).unwrap().to_f32().unwrap()
}

macro_rules! from_operator {
	($($name:ident),*) => { $(impl From<$name> for Op { fn from(op: $name) -> Op { Op::$name(op) } })* };
}
from_operator!(Reshape, Transpose, Slice, Expand, Concat, Pad, Unary, Binary, Cast, MatMul, Conv, Reduce, Pool);

/// A window of stride 1 without border.
fn plain_window(n: usize) -> Window {
	Window { strides: vec![1; n], dilations: vec![1; n], before: vec![0; n], after: vec![0; n] }
}

/// Values that have shown bugs elsewhere, and ordinary ones.
fn value() -> impl Strategy<Value = f32> {
	prop_oneof![
		8 => -4.0f32..4.0,
		1 => any::<u32>().prop_map(f32::from_bits),
		1 => prop::sample::select(vec![
			f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0, 1e-40, -1e-40, f32::MIN_POSITIVE, f32::MAX, 1e-30,
		]),
	]
}

#[test]
fn movement_should_move_as_numpy_does() {
	let a = f32s(&[2, 3], &[1., 2., 3., 4., 5., 6.]);
	assert_eq!(run(Transpose { perm: vec![1, 0] }, &[&a]), [1., 4., 2., 5., 3., 6.]);
	assert_eq!(run(Reshape { dims: vec![3, 2] }, &[&a]), [1., 2., 3., 4., 5., 6.]);
	assert_eq!(run(Slice { starts: vec![1, 2], sizes: vec![1, 2], steps: vec![1, -2] }, &[&a]), [6., 4.]);
	let b = f32s(&[2, 1], &[7., 8.]);
	assert_eq!(run(Expand { dims: vec![2, 2] }, &[&b]), [7., 7., 8., 8.]);
	assert_eq!(run(Concat { axis: 1 }, &[&a, &b]), [1., 2., 3., 7., 4., 5., 6., 8.]);
	let border = u64::from(9f32.to_bits());
	assert_eq!(run(Pad { before: vec![0, 1], after: vec![1, 0], value: border }, &[&b]), [9., 7., 9., 8., 9., 9.]);
}

#[test]
fn binary_should_broadcast_and_be_total() {
	let (a, b) = (f32s(&[2, 1], &[1., 2.]), f32s(&[3], &[10., 20., 30.]));
	assert_eq!(run(Binary::Add, &[&a, &b]), [11., 21., 31., 12., 22., 32.]);
	let (x, y) = (Tensor::from_i64([2], &[i64::MIN, 7]).unwrap(), Tensor::from_i64([2], &[-1, 0]).unwrap());
	assert_eq!(evaluate_node(&Binary::Div.into(), &[&x, &y]).unwrap(), Tensor::from_i64([2], &[i64::MIN, 0]).unwrap());
}

#[test]
fn cast_should_truncate_and_saturate_when_f32_becomes_integer() {
	let x = f32s(&[5], &[f32::NAN, -1.9, 300.0, f32::NEG_INFINITY, 2.5]);
	for (to, expected) in [
		(DType::I8, vec![0u8, 255, 127, 128, 2]),
		(DType::U8, vec![0, 0, 255, 0, 2]),
		(DType::Bool, vec![1, 1, 1, 1, 1]),
	] {
		assert_eq!(evaluate_node(&Cast { to }.into(), &[&x]).unwrap().bytes, expected);
	}
}

#[test]
fn reads_should_canonicalise_when_the_source_is_not_canonical() {
	let x = f32s(&[3], &[f32::from_bits(0xffff_ffff), -1e-40, -0.0]);
	let bits: Vec<u32> = run(Reshape { dims: vec![3] }, &[&x]).iter().map(|v| v.to_bits()).collect();
	assert_eq!(bits, [float::NAN_BITS, 0, 0x8000_0000]);
	let b = Tensor::new(TensorType::new(DType::Bool, vec![3]), vec![0, 1, 77]).unwrap();
	assert_eq!(evaluate_node(&Reshape { dims: vec![3] }.into(), &[&b]).unwrap().bytes, [0, 1, 1]);
}

#[test]
fn mat_mul_should_run_in_blocks_of_256() {
	let k = 600;
	let a: Vec<f32> = (0..k).map(|i| ((i * 37 % 101) as f32 - 50.0) / 7.0).collect();
	let b: Vec<f32> = (0..k).map(|i| ((i * 53 % 97) as f32 - 48.0) / 3.0).collect();
	let mut total = 0.0f32;
	for (a, b) in a.chunks(256).zip(b.chunks(256)) {
		total += a.iter().zip(b).fold(0.0f32, |acc, (a, b)| a.mul_add(*b, acc));
	}
	let (a, b) = (f32s(&[1, k as u32], &a), f32s(&[1, k as u32], &b));
	assert_eq!(run(MatMul, &[&a, &b])[0].to_bits(), total.to_bits());
}

#[test]
fn sum_should_run_in_16_lanes() {
	let x: Vec<f32> = (0..700).map(|i| ((i * 37 % 101) as f32 - 50.0) / 7.0).collect();
	let mut total = 0.0f32;
	for block in x.chunks(256) {
		let mut lanes = [0.0f32; 16];
		block.iter().enumerate().for_each(|(i, x)| lanes[i % 16] += x);
		for w in [8, 4, 2, 1] {
			(0..w).for_each(|i| lanes[i] += lanes[i + w]);
		}
		total += lanes[0];
	}
	let x = f32s(&[7, 100], &x);
	let sum = |kind| run(Reduce { kind, axes: vec![0, 1], keep_dims: false }, &[&x])[0];
	assert_eq!(sum(ReduceKind::Sum).to_bits(), total.to_bits());
	assert_eq!(sum(ReduceKind::Mean).to_bits(), (total / 700.0).to_bits());
}

#[test]
fn reduce_should_take_any_axes() {
	let x = f32s(&[2, 3, 2], &(0..12).map(|i| i as f32).collect::<Vec<_>>());
	let reduce = |kind, axes: &[u8], keep_dims| run(Reduce { kind, axes: axes.to_vec(), keep_dims }, &[&x]);
	assert_eq!(reduce(ReduceKind::Sum, &[1], false), [6., 9., 24., 27.]);
	assert_eq!(reduce(ReduceKind::Max, &[0, 2], true), [7., 9., 11.]);
	assert_eq!(reduce(ReduceKind::Min, &[0, 2], false), [0., 2., 4.]);
	assert_eq!(reduce(ReduceKind::Mean, &[], true), x.to_f32().unwrap());
	let empty = f32s(&[0], &[]);
	assert_eq!(run(Reduce { kind: ReduceKind::Max, axes: vec![0], keep_dims: false }, &[&empty]), [f32::NEG_INFINITY]);
}

#[test]
fn conv_should_multiply_the_border_as_zero() {
	let x = f32s(&[1, 1, 1], &[2.0]);
	let w = f32s(&[1, 3, 1], &[f32::INFINITY, 1.0, 1.0]);
	let mut window = plain_window(1);
	(window.before, window.after) = (vec![1], vec![1]);
	let conv = Conv { window, groups: 1 };
	// 0 * infinity is NaN: the border is not skipped.
	assert!(run(conv, &[&x, &w])[0].is_nan());
}

#[test]
fn pool_should_count_the_border_only_when_asked() {
	let x = f32s(&[1, 2, 1], &[-2.0, -4.0]);
	let window = Window { strides: vec![2], dilations: vec![1], before: vec![1], after: vec![1] };
	let pool = |kind| run(Pool { kind, kernel: vec![2], window: window.clone() }, &[&x]);
	assert_eq!(pool(PoolKind::Max), [-2.0, -4.0]);
	assert_eq!(pool(PoolKind::Average { count_border: false }), [-2.0, -4.0]);
	assert_eq!(pool(PoolKind::Average { count_border: true }), [-1.0, -2.0]);
}

#[test]
fn conv_should_have_the_same_bits_when_its_steps_are_shorter() {
	// 600 products: channels of 8 are taken in steps of 32, and one channel run of 600 in steps of 256.
	let a: Vec<f32> = (0..600).map(|i| ((i * 37 % 101) as f32 - 50.0) / 7.0).collect();
	let b: Vec<f32> = (0..600).map(|i| ((i * 53 % 97) as f32 - 48.0) / 3.0).collect();
	let product = run(MatMul, &[&f32s(&[1, 600], &a), &f32s(&[1, 600], &b)]);
	for (spatial, depth, steps_of) in
		[(75, 8, STRIDED_BLOCK), (200, 3, STRIDED_BLOCK), (1, 600, BLOCK), (25, 24, BLOCK)]
	{
		let (x, w) = (f32s(&[1, spatial, depth], &a), f32s(&[1, spatial, depth], &b));
		let conv = Op::Conv(Conv { window: plain_window(1), groups: 1 });
		assert_eq!(run(conv.clone(), &[&x, &w])[0].to_bits(), product[0].to_bits(), "{depth}");
		let out = TensorType::new(DType::F32, vec![1, 1, 1]);
		assert_eq!(steps(&conv, &Site { ins: &[&x.ty, &w.ty], out: &out }), 600u64.div_ceil(steps_of));
	}
}

#[test]
fn out_type_should_refuse_when_an_element_takes_too_many_steps() {
	let reduce = |axes: &[u8]| Op::Reduce(Reduce { kind: ReduceKind::Sum, axes: axes.to_vec(), keep_dims: false });
	let ty = |dims: &[u32]| TensorType::new(DType::F32, dims);
	assert!(out_type(&reduce(&[1]), &[&ty(&[2, 262_144])]).is_ok());
	assert!(out_type(&reduce(&[1]), &[&ty(&[2, 262_145])]).is_err());
	assert!(out_type(&reduce(&[0]), &[&ty(&[262_144, 1])]).is_ok());
	assert!(out_type(&reduce(&[0]), &[&ty(&[32_768, 2])]).is_ok());
	assert!(out_type(&reduce(&[0]), &[&ty(&[32_769, 2])]).is_err());
	assert!(out_type(&Op::MatMul(MatMul), &[&ty(&[1, 262_145]), &ty(&[1, 262_145])]).is_err());
	let one = ty(&[1]);
	assert!(out_type(&Op::Concat(Concat { axis: 0 }), &[&one; 64]).is_ok());
	assert!(out_type(&Op::Concat(Concat { axis: 0 }), &[&one; 65]).is_err());
}

/// Notes the tiles that are read.
struct Tiles<'a> {
	ins: &'a [&'a TensorType],
	read: RefCell<BTreeSet<(usize, u64)>>,
}

impl Read for Tiles<'_> {
	fn read(&self, operand: usize, index: u64) -> Bits {
		let ty = self.ins[operand];
		if let Some(last) = ty.elements().and_then(|n| n.checked_sub(1)) {
			let size = ty.dtype.size() as u64;
			self.read.borrow_mut().insert((operand, index.min(last) * size / TILE_BYTES as u64));
		}
		0
	}
}

#[test]
fn steps_should_read_few_tiles_when_shapes_are_hostile() {
	let mut rng = Rng(1);
	let mut most = 0;
	let cases = if cfg!(debug_assertions) { 200 } else { 5_000 };
	for kind in Kind::ALL {
		for case in 0..cases {
			let size = if case % 4 == 0 { Size::Small } else { Size::Hostile };
			let (op, ins, out) = kind.random(&mut rng, size);
			assert_eq!(Kind::of(&op), Some(*kind));
			let ins: Vec<&TensorType> = ins.iter().collect();
			let site = Site { ins: &ins, out: &out };
			let (elements, steps) = (out.elements().unwrap(), steps(&op, &site));
			assert!(steps <= MAX_STEPS);
			if elements == 0 {
				continue;
			}
			for _ in 0..4 {
				let index = rng.below(elements);
				let read = Tiles { ins: &ins, read: RefCell::default() };
				finish(&op, &site, index, init(&op, &site), &read);
				most = most.max(read.read.borrow().len());
				if steps > 0 {
					let read = Tiles { ins: &ins, read: RefCell::default() };
					step(&op, &site, index, rng.below(steps), init(&op, &site), &read);
					most = most.max(read.read.borrow().len());
				}
				assert!(most <= MAX_STEP_TILES, "{most} tiles: {op:?} {ins:?}");
			}
		}
	}
	std::println!("{most} tiles");
	// The worst case: runs of 17 channels, each over the end of a tile.
	let (x, w) = (TensorType::new(DType::F32, vec![1, 16, 256, 17]), TensorType::new(DType::F32, vec![16, 16, 1, 17]));
	let op = Op::Conv(Conv { window: plain_window(2), groups: 1 });
	let out = out_type(&op, &[&x, &w]).unwrap();
	let worst = (0..out.elements().unwrap()).map(|index| {
		let read = Tiles { ins: &[&x, &w], read: RefCell::default() };
		step(&op, &Site { ins: &[&x, &w], out: &out }, index, 0, State::default(), &read);
		let tiles = read.read.borrow().len();
		tiles
	});
	assert!((33..=MAX_STEP_TILES).contains(&worst.max().unwrap()));
}

/// An operator with operands that it accepts, and with reductions longer than one block.
fn case() -> impl Strategy<Value = (Op, Vec<Tensor>)> {
	let tensor = |dims: Vec<u32>| {
		let n = dims.iter().product::<u32>() as usize;
		prop::collection::vec(value(), n).prop_map(move |v| Tensor::from_f32(dims.clone(), &v).unwrap())
	};
	let unary = prop::sample::select(vec![
		Unary::Relu,
		Unary::Exp,
		Unary::ExpSoftmax,
		Unary::Sigmoid,
		Unary::Tanh,
		Unary::Reciprocal,
		Unary::Sqrt,
	]);
	let kind = prop::sample::select(vec![ReduceKind::Sum, ReduceKind::Mean, ReduceKind::Max, ReduceKind::Min]);
	let pool = prop::sample::select(vec![
		PoolKind::Max,
		PoolKind::Average { count_border: true },
		PoolKind::Average { count_border: false },
	]);
	prop_oneof![
		(unary, tensor(vec![5])).prop_map(|(op, t)| (op.into(), vec![t])),
		(tensor(vec![2, 300]), tensor(vec![3, 300])).prop_map(|(a, b)| (MatMul.into(), vec![a, b])),
		(kind, tensor(vec![2, 300, 2]))
			.prop_map(|(kind, t)| { (Reduce { kind, axes: vec![1], keep_dims: true }.into(), vec![t]) }),
		(tensor(vec![1, 3, 3, 120]), tensor(vec![2, 2, 2, 60]), 1u32..3).prop_map(|(x, w, stride)| {
			let mut window = plain_window(2);
			(window.strides, window.before) = (vec![stride; 2], vec![1, 1]);
			(Conv { window, groups: 2 }.into(), vec![x, w])
		}),
		(pool, tensor(vec![1, 17, 17, 2])).prop_map(|(kind, t)| {
			let mut window = plain_window(2);
			window.after = vec![2, 0];
			(Pool { kind, kernel: vec![17, 17], window }.into(), vec![t])
		}),
	]
}

/// Any attributes, most of them wrong.
fn wild() -> impl Strategy<Value = (Op, Vec<TensorType>)> {
	let small = || prop_oneof![Just(0u32), 1u32..5, Just(u32::MAX)];
	let list = move || prop::collection::vec(small(), 0..6);
	let axes = || prop::collection::vec(0u8..10, 0..6);
	let window = move || {
		(list(), list(), list(), list()).prop_map(|(strides, dilations, before, after)| Window {
			strides,
			dilations,
			before,
			after,
		})
	};
	let op = prop_oneof![
		list().prop_map(|dims| Reshape { dims }.into()),
		axes().prop_map(|perm| Transpose { perm }.into()),
		(list(), list(), prop::collection::vec(any::<i32>(), 0..6)).prop_map(|(starts, sizes, steps)| Slice {
			starts,
			sizes,
			steps
		}
		.into()),
		list().prop_map(|dims| Expand { dims }.into()),
		any::<u8>().prop_map(|axis| Concat { axis }.into()),
		(list(), list(), any::<u64>()).prop_map(|(before, after, value)| Pad { before, after, value }.into()),
		Just(Unary::Exp.into()),
		Just(Binary::Div.into()),
		prop::sample::select(DType::ALL.to_vec()).prop_map(|to| Cast { to }.into()),
		Just(MatMul.into()),
		(window(), small()).prop_map(|(window, groups)| Conv { window, groups }.into()),
		(axes(), any::<bool>())
			.prop_map(|(axes, keep_dims)| { Reduce { kind: ReduceKind::Sum, axes, keep_dims }.into() }),
		(window(), list()).prop_map(|(window, kernel)| Pool { kind: PoolKind::Max, kernel, window }.into()),
	];
	let ty = (prop::sample::select(DType::ALL.to_vec()), prop::collection::vec(small(), 0..10))
		.prop_map(|(dtype, dims)| TensorType { dtype, dims });
	(op, prop::collection::vec(ty, 0..4))
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(300))]

	#[test]
	fn element_should_equal_its_steps_and_the_whole((op, ins) in case()) {
		let refs: Vec<&Tensor> = ins.iter().collect();
		let types: Vec<&TensorType> = ins.iter().map(|t| &t.ty).collect();
		let whole = evaluate_node(&op, &refs).unwrap();
		let (site, read) = (Site { ins: &types, out: &whole.ty }, Tensors(&refs));
		for (index, stored) in whole.bytes.chunks(4).enumerate() {
			let index = index as u64;
			let one = element(&op, &site, index, &read);
			prop_assert_eq!(&(one as u32).to_le_bytes()[..], stored);
			prop_assert_eq!(canonical(DType::F32, one), one, "stored bits are canonical");
			// The judge's way: each state goes over the wire between steps, read through a trait object.
			let read: &dyn Read = &read;
			let mut state = init(&op, &site);
			for block in 0..steps(&op, &site) {
				let wire = step(&op, &site, index, block, state, read).encode();
				prop_assert_eq!(wire.len(), 16);
				state = State::decode(&mut &wire[..]).unwrap();
			}
			prop_assert_eq!(step(&op, &site, index, steps(&op, &site), state, read), state);
			prop_assert_eq!(finish(&op, &site, index, state, read), one);
		}
	}
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(20_000))]

	#[test]
	fn operators_should_be_total_when_input_is_adversarial(
		(op, types) in wild(), index: u64, block: u64, state: [u64; 2], lie in any::<bool>(),
	) {
		let wire = op.encode();
		prop_assert_eq!(Op::decode(&mut &wire[..]).unwrap(), op.clone());
		let refs: Vec<&TensorType> = types.iter().collect();
		let typed = out_type(&op, &refs);
		let Some(out) = typed.ok().or(lie.then(|| TensorType::new(DType::F32, vec![3, 3, 3, 3]))) else { return Ok(()) };
		// Even where the types do not fit: the functions return.
		let (site, read) = (Site { ins: &refs, out: &out }, Tensors(&[]));
		let state = step(&op, &site, index, block, State(state), &read);
		let state = step(&op, &site, index, block % 4, state, &read);
		finish(&op, &site, index, state, &read);
	}
}
