//! Elementary operators against values written by hand, at their edges.

use super::*;
use crate::{evaluate_node, number::convert, Tensor};
use alloc::{vec, vec::Vec};

fn f32s(dims: &[u32], values: &[f32]) -> Tensor {
	Tensor::from_f32(dims, values).unwrap()
}

fn i64s(dims: &[u32], values: &[i64]) -> Tensor {
	Tensor::from_i64(dims, values).unwrap()
}

/// Numbers as an element type.
fn of(dtype: DType, dims: &[u32], values: &[f64]) -> Tensor {
	let bits = |v: &f64| convert(DType::F64, dtype, v.to_bits()).to_le_bytes()[..dtype.size()].to_vec();
	Tensor::new(TensorType::new(dtype, dims), values.iter().flat_map(bits).collect()).unwrap()
}

/// The value as f64 numbers.
fn run(op: impl Into<Op>, ins: &[&Tensor]) -> Vec<f64> {
	let out = evaluate_node(&op.into(), ins).unwrap();
	let size = out.ty.dtype.size();
	let bits = |c: &[u8]| c.iter().rev().fold(0, |bits, byte| (bits << 8) | u64::from(*byte));
	out.bytes.chunks(size).map(|c| f64::from_bits(convert(out.ty.dtype, DType::F64, bits(c)))).collect()
}

#[test]
fn gather_should_read_at_computed_places() {
	let data = f32s(&[2, 3], &[0., 1., 2., 10., 11., 12.]);
	assert_eq!(run(Op::Gather(Gather::Axis(1)), &[&data, &i64s(&[2], &[2, -3])]), [2., 0., 12., 10.]);
	assert_eq!(run(Op::Gather(Gather::Axis(0)), &[&data, &i64s(&[], &[1])]), [10., 11., 12.]);
	let at = i64s(&[2, 2], &[0, 2, 1, -1]);
	assert_eq!(run(Op::Gather(Gather::Elements(1)), &[&data, &at]), [0., 2., 11., 12.]);
	assert_eq!(run(Op::Gather(Gather::Tuples(0)), &[&data, &at]), [2., 12.]);
	assert_eq!(run(Op::Gather(Gather::Tuples(1)), &[&data, &i64s(&[2, 1], &[1, 0])]), [1., 10.]);
	assert_eq!(run(Op::Gather(Gather::Tuples(0)), &[&data, &i64s(&[1, 1], &[1])]), [10., 11., 12.]);
	// Outside is clamped.
	assert_eq!(run(Op::Gather(Gather::Axis(1)), &[&data, &i64s(&[2], &[7, -9])]), [2., 0., 12., 10.]);
	let empty = f32s(&[0], &[]);
	assert_eq!(run(Op::Gather(Gather::Axis(0)), &[&empty, &i64s(&[1], &[0])]), [0.]);
}

#[test]
fn scatter_should_take_updates_in_one_after_the_other() {
	let data = f32s(&[4], &[1., 2., 3., 4.]);
	let (at, updates) = (i64s(&[3], &[1, -1, 1]), f32s(&[3], &[10., 20., 30.]));
	let scatter =
		|update| run(Op::Scatter(Scatter { kind: ScatterKind::Elements(0), update }), &[&data, &at, &updates]);
	assert_eq!(scatter(ScatterUpdate::Replace), [1., 30., 3., 20.]);
	assert_eq!(scatter(ScatterUpdate::Add), [1., 42., 3., 24.]);
	assert_eq!(scatter(ScatterUpdate::Mul), [1., 600., 3., 80.]);
	assert_eq!(scatter(ScatterUpdate::Max), [1., 30., 3., 20.]);
	assert_eq!(scatter(ScatterUpdate::Min), [1., 2., 3., 4.]);
	let tuples = Op::Scatter(Scatter { kind: ScatterKind::Tuples, update: ScatterUpdate::Add });
	let data = f32s(&[2, 2], &[1., 2., 3., 4.]);
	assert_eq!(
		run(tuples.clone(), &[&data, &i64s(&[2, 1], &[1, 1]), &f32s(&[2, 2], &[1., 2., 3., 4.])]),
		[1., 2., 7., 10.]
	);
	assert_eq!(run(tuples, &[&data, &i64s(&[1, 2], &[0, 1]), &f32s(&[1], &[5.])]), [1., 7., 3., 4.]);
	// More updates than a step takes, all to one place.
	let many = 100;
	let op = Op::Scatter(Scatter { kind: ScatterKind::Elements(0), update: ScatterUpdate::Add });
	let sum = run(op, &[&f32s(&[1], &[0.]), &i64s(&[many], &vec![0; many as usize]), &f32s(&[many], &vec![1.; 100])]);
	assert_eq!(sum, [100.]);
}

#[test]
fn rank_should_be_a_permutation_when_elements_are_equal_or_nan() {
	let x = f32s(&[6], &[2., f32::NAN, 1., 2., -0.0, 0.0]);
	let rank = |descending| run(Op::Rank(Rank { axis: 0, descending }), &[&x]);
	assert_eq!(rank(false), [3., 5., 2., 4., 0., 1.]);
	assert_eq!(rank(true), [1., 0., 3., 2., 4., 5.]);
	let x =
		Tensor::new(TensorType::new(DType::U64, [2]), [u64::MAX.to_le_bytes(), 1u64.to_le_bytes()].concat()).unwrap();
	assert_eq!(run(Op::Rank(Rank { axis: 0, descending: false }), &[&x]), [1., 0.]);
}

#[test]
fn prefix_should_sum_from_either_end() {
	let x = f32s(&[1, 4], &[1., 2., 3., 4.]);
	let prefix = |kind, exclusive, reverse| run(Op::Prefix(Prefix { kind, axis: 1, exclusive, reverse }), &[&x]);
	assert_eq!(prefix(PrefixKind::Sum, false, false), [1., 3., 6., 10.]);
	assert_eq!(prefix(PrefixKind::Sum, true, false), [0., 1., 3., 6.]);
	assert_eq!(prefix(PrefixKind::Sum, false, true), [10., 9., 7., 4.]);
	assert_eq!(prefix(PrefixKind::Product, true, true), [24., 12., 4., 1.]);
}

#[test]
fn arg_max_should_find_the_first_or_last_when_elements_are_equal_or_nan() {
	let find = |kind, values: &[f32]| {
		let x = f32s(&[values.len() as u32], values);
		run(Op::Reduce(Reduce { kind, axes: vec![0], keep_dims: false }), &[&x])[0]
	};
	let (first, last) = (ReduceKind::ArgMax { last: false }, ReduceKind::ArgMax { last: true });
	assert_eq!(find(first, &[1., 5., 5.]), 1.);
	assert_eq!(find(last, &[1., 5., 5.]), 2.);
	assert_eq!(find(first, &[1., f32::NAN, 5., f32::NAN]), 1.);
	assert_eq!(find(last, &[1., f32::NAN, 5., f32::NAN]), 3.);
	assert_eq!(find(first, &[-0.0, 0.0]), 0.);
	assert_eq!(find(ReduceKind::ArgMin { last: false }, &[3., f32::NEG_INFINITY, 4.]), 1.);
	assert_eq!(find(first, &[]), 0.);
	assert_eq!(find(ReduceKind::Product, &[]), 1.);
	assert_eq!(find(ReduceKind::Product, &[2., -3., 4.]), -24.);
}

#[test]
fn integers_should_wrap_and_never_trap() {
	let pair = |op, dtype, a: f64, b: f64| run(Op::Binary(op), &[&of(dtype, &[1], &[a]), &of(dtype, &[1], &[b])])[0];
	assert_eq!(pair(Binary::Div, DType::I8, -128., -1.), -128.);
	assert_eq!(pair(Binary::Div, DType::I8, -7., 2.), -3.);
	assert_eq!(pair(Binary::Div, DType::U64, 1.8e19, 3.), 6e18);
	assert_eq!(pair(Binary::Mod, DType::I32, -7., 3.), 2.);
	assert_eq!(pair(Binary::Rem, DType::I32, -7., 3.), -1.);
	assert_eq!(pair(Binary::Mod, DType::I32, 7., 0.), 0.);
	assert_eq!(pair(Binary::Mod, DType::F32, -7., 3.), 2.);
	assert_eq!(pair(Binary::Rem, DType::F32, -7., 3.), -1.);
	assert_eq!(pair(Binary::Pow, DType::I32, -2., 31.), -2_147_483_648.);
	assert_eq!(pair(Binary::Pow, DType::I32, 2., -1.), 0.);
	assert_eq!(pair(Binary::Pow, DType::U8, 3., 5.), 243.);
	assert_eq!(pair(Binary::ShiftLeft, DType::U8, 255., 1.), 254.);
	assert_eq!(pair(Binary::ShiftLeft, DType::U8, 255., 8.), 0.);
	assert_eq!(pair(Binary::ShiftRight, DType::U8, 255., 9.), 0.);
	assert_eq!(pair(Binary::ShiftRight, DType::I8, -128., 200.), -1.);
	assert_eq!(pair(Binary::Less, DType::U64, 1., 1.8e19), 1.);
	assert_eq!(pair(Binary::Max, DType::U64, 1., 1.8e19), 1.8e19);
	assert_eq!(pair(Binary::Equal, DType::F32, f64::NAN, f64::NAN), 0.);
	assert_eq!(pair(Binary::Equal, DType::F32, -0.0, 0.0), 1.);
}

#[test]
fn narrow_floats_should_be_computed_in_f32_and_rounded_once() {
	let half = |v: &[f64]| of(DType::F16, &[v.len() as u32], v);
	// 2048 + 1 is halfway in f16; the sum of 4,000 ones is exact in f32.
	assert_eq!(run(Op::Binary(Binary::Add), &[&half(&[2048.]), &half(&[1.])]), [2048.]);
	let ones = half(&vec![1.0; 4000]);
	let sum = Op::Reduce(Reduce { kind: ReduceKind::Sum, axes: vec![0], keep_dims: false });
	assert_eq!(run(sum, &[&ones]), [4000.]);
	assert_eq!(run(Op::Unary(Unary::Exp), &[&half(&[12.])]), [f64::INFINITY]);
	assert_eq!(
		run(Op::Cast(Cast { to: DType::F16 }), &[&f32s(&[2], &[6.0e-8, -1e5])]),
		[2f64.powi(-24), f64::NEG_INFINITY]
	);
	let product = Op::MatMul(MatMul);
	let (a, b) = (of(DType::F64, &[1, 2], &[1e16, 1.]), of(DType::F64, &[1, 2], &[1., 1.]));
	assert_eq!(run(product, &[&a, &b]), [1e16]);
}

#[test]
fn select_and_bit_cast_should_keep_bits() {
	let c = Tensor::new(TensorType::new(DType::Bool, [2]), vec![2, 0]).unwrap();
	assert_eq!(run(Op::Select(Select), &[&c, &f32s(&[], &[1.]), &f32s(&[2, 1], &[5., 6.])]), [1., 5., 1., 6.]);
	assert_eq!(run(Op::BitCast(BitCast { to: DType::I32 }), &[&f32s(&[1], &[1.0])]), [1_065_353_216.]);
	// NaN has one form wherever its bits can be seen.
	let nan = f32s(&[1], &[f32::from_bits(0xffc1_2345)]);
	assert_eq!(run(Op::BitCast(BitCast { to: DType::U32 }), &[&nan]), [f64::from(0x7fc0_0000u32)]);
}
