//! Interpolation, quantisation, integer products and places against plain formulas.

use super::*;
use crate::{evaluate_node, Op, Tensor};
use alloc::{vec, vec::Vec};

fn f32s(dims: &[u32], values: &[f32]) -> Tensor {
	Tensor::from_f32(dims, values).unwrap()
}

fn bytes(dtype: DType, dims: &[u32], values: &[u8]) -> Tensor {
	Tensor::new(TensorType::new(dtype, dims), values.to_vec()).unwrap()
}

fn i32s(dims: &[u32], values: &[i32]) -> Tensor {
	let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
	Tensor::new(TensorType::new(DType::I32, dims), bytes).unwrap()
}

fn run(op: Op, ins: &[&Tensor]) -> Vec<f32> {
	evaluate_node(&op, ins).unwrap().to_f32().unwrap()
}

fn sample(mode: SampleMode, border: SampleBorder, x: &[f32], at: &[f32]) -> Vec<f32> {
	let (x, at) = (f32s(&[1, x.len() as u32, 1], x), f32s(&[1, at.len() as u32, 1], at));
	run(Op::Sample(Sample { mode, border }), &[&x, &at])
}

#[test]
fn resample_should_weigh_and_clamp() {
	let x = f32s(&[2, 3], &[1., 2., 4., 8., 16., 32.]);
	let indices = i32s(&[2, 2], &[0, 1, 2, 9]);
	let weights = f32s(&[2, 2], &[0.5, 0.5, 1.0, -1.0]);
	assert_eq!(run(Op::Resample(Resample { axis: 1 }), &[&x, &indices, &weights]), [1.5, 0.0, 12.0, 0.0]);
	let rows = i32s(&[1, 2], &[-5, 1]);
	let weights = f32s(&[1, 2], &[1.0, 1.0]);
	assert_eq!(run(Op::Resample(Resample { axis: 0 }), &[&x, &rows, &weights]), [9., 18., 36.]);
}

#[test]
fn sample_should_interpolate_between_elements() {
	let x = [1., 2., 4.];
	assert_eq!(sample(SampleMode::Linear, SampleBorder::Zeros, &x, &[0.5, 1.25, 2.0]), [1.5, 2.5, 4.0]);
	// Half to even.
	assert_eq!(sample(SampleMode::Nearest, SampleBorder::Zeros, &x, &[0.5, 1.5, 0.6]), [1., 4., 2.]);
	// At an element the cubic is the element.
	assert_eq!(sample(SampleMode::Cubic, SampleBorder::Clamp, &x, &[0.0, 1.0, 2.0]), x);
}

#[test]
fn sample_should_find_its_border_outside() {
	let x = [1., 2., 4.];
	let at = [-1.0, -2.0, 3.0, 4.0, 1e30, f32::INFINITY];
	let nearest = |border| sample(SampleMode::Nearest, border, &x, &at);
	assert_eq!(nearest(SampleBorder::Zeros), [0.; 6]);
	assert_eq!(nearest(SampleBorder::Clamp), [1., 1., 4., 4., 4., 4.]);
	assert_eq!(nearest(SampleBorder::MirrorCentres)[..4], [2., 4., 2., 1.]);
	assert_eq!(nearest(SampleBorder::MirrorEdges)[..4], [1., 2., 4., 2.]);
	assert_eq!(sample(SampleMode::Linear, SampleBorder::Zeros, &x, &[-0.5, 2.5]), [0.5, 2.0]);
	assert!(sample(SampleMode::Linear, SampleBorder::Clamp, &x, &[f32::NAN])[0].is_nan());
}

#[test]
fn sample_should_look_at_the_samples_that_it_is_told() {
	let x = f32s(&[2, 1, 1], &[1., 2.]);
	let at = f32s(&[3, 1, 1], &[0., 0., 0.]);
	let op = Op::Sample(Sample { mode: SampleMode::Nearest, border: SampleBorder::Clamp });
	assert_eq!(run(op, &[&x, &at, &i32s(&[3], &[1, 0, 7])]), [2., 1., 2.]);
}

#[test]
fn quantize_should_round_half_to_even_and_clamp() {
	let x = f32s(&[7], &[0.5, 1.5, -0.5, 1e30, -1e30, f32::NAN, f32::INFINITY]);
	let quantized = |zero: &Tensor| {
		let op = Op::Quantize(Quantize { multiply: false });
		evaluate_node(&op, &[&x, &f32s(&[], &[1.0]), zero]).unwrap().bytes
	};
	assert_eq!(quantized(&bytes(DType::U8, &[], &[10])), [10, 12, 10, 255, 0, 0, 255]);
	assert_eq!(quantized(&bytes(DType::I8, &[], &[0])), [0, 2, 0, 127, 128, 128, 127]);
	let op = Op::Quantize(Quantize { multiply: true });
	let sums = i32s(&[2], &[i32::MAX, 3]);
	let q = evaluate_node(&op, &[&sums, &f32s(&[2], &[1e-8, 0.5]), &bytes(DType::U8, &[1], &[1])]).unwrap();
	assert_eq!(q.bytes, [22, 3]);
}

#[test]
fn integer_products_should_be_exact_and_wrap() {
	let a = bytes(DType::U8, &[1, 300], &[255; 300]);
	let b = bytes(DType::I8, &[1, 300], &[128; 300]);
	let product = evaluate_node(&Op::MatMul(MatMul), &[&a, &b]).unwrap();
	assert_eq!(product, i32s(&[1, 1], &[255 * -128 * 300]));
	let (a, b) = (i32s(&[1, 2], &[i32::MAX, i32::MAX]), i32s(&[1, 2], &[i32::MAX, 3]));
	let wrapped = i32::MAX.wrapping_mul(i32::MAX).wrapping_add(i32::MAX.wrapping_mul(3));
	assert_eq!(evaluate_node(&Op::MatMul(MatMul), &[&a, &b]).unwrap(), i32s(&[1, 1], &[wrapped]));
	let x = bytes(DType::U8, &[1, 2, 1], &[3, 4]);
	let w = bytes(DType::I8, &[1, 2, 1], &[2, 255]);
	let window = Window { strides: vec![1], dilations: vec![1], before: vec![1], after: vec![1] };
	let conv = evaluate_node(&Op::Conv(Conv { window, groups: 1 }), &[&x, &w]).unwrap();
	assert_eq!(conv, i32s(&[1, 3, 1], &[-3, 2, 8]));
}

#[test]
fn pool_should_tell_where_the_maximum_is() {
	let x = f32s(&[1, 4, 2], &[1., f32::NAN, 3., 2., 3., f32::NAN, 0., f32::INFINITY]);
	let window = Window { strides: vec![4], dilations: vec![1], before: vec![1], after: vec![3] };
	let places = |x: &Tensor, kind| {
		let op = Op::Pool(Pool { kind, kernel: vec![4], window: window.clone() });
		evaluate_node(&op, &[x]).unwrap()
	};
	// The first of the largest, or the first NaN; then what the border leaves of the second window.
	assert_eq!(places(&x, PoolKind::ArgMax), Tensor::from_i64([1, 2, 2], &[1, 0, 3, 3]).unwrap());
	let x = f32s(&[1, 4, 1], &[1., 2., 3., 4.]);
	assert_eq!(places(&x, PoolKind::Sum).to_f32().unwrap(), [6., 4.]);
}
