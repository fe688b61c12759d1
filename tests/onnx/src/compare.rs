//! Whether an output is what a test expects.

use assay_semantics::{
	number::{canonical, convert},
	DType, Tensor,
};

/// The tolerances of onnx's own runner, which every test of this version states.
const RTOL: f64 = 1e-3;
const ATOL: f64 = 1e-7;
/// And what it allows bfloat16: two units in the last place.
const BF16_RTOL: f64 = 1.0 / 64.0;

fn numbers(tensor: &Tensor) -> Vec<f64> {
	let dtype = tensor.ty.dtype;
	let bits = |c: &[u8]| c.iter().rev().fold(0, |bits, byte| (bits << 8) | u64::from(*byte));
	let widen = |c: &[u8]| f64::from_bits(convert(dtype, DType::F64, canonical(dtype, bits(c))));
	tensor.bytes.chunks_exact(dtype.size()).map(widen).collect()
}

/// What is wrong with a test's outputs, or none.
pub fn differences(got: &[Tensor], expected: &[Tensor]) -> Option<String> {
	if got.len() != expected.len() {
		return Some(format!("{} outputs, expected {}", got.len(), expected.len()));
	}
	got.iter().zip(expected).enumerate().find_map(|(i, (a, b))| Some(format!("output {i}: {}", difference(a, b)?)))
}

/// What is wrong, or none. Integers and bools must be equal; floats close, with NaN equal to NaN.
pub fn difference(got: &Tensor, expected: &Tensor) -> Option<String> {
	if got.ty != expected.ty {
		return Some(format!("{}, expected {}", got.ty, expected.ty));
	}
	if !got.ty.dtype.is_float() {
		let size = got.ty.dtype.size();
		let at = got.bytes.chunks(size).zip(expected.bytes.chunks(size)).position(|(a, b)| a != b)?;
		let show = |t: &Tensor| t.bytes[at * size..(at + 1) * size].iter().rev().map(|b| format!("{b:02x}")).collect();
		let (a, b): (String, String) = (show(got), show(expected));
		return Some(format!("element {at}: bits {a}, expected {b}"));
	}
	let rtol = if got.ty.dtype == DType::BF16 { BF16_RTOL } else { RTOL };
	let close = |a: f64, b: f64| {
		a == b || (a.is_nan() && b.is_nan()) || (b.is_finite() && (a - b).abs() <= ATOL + rtol * b.abs())
	};
	let (a, b) = (numbers(got), numbers(expected));
	let at = a.iter().zip(&b).position(|(a, b)| !close(*a, *b))?;
	let wrong = a.iter().zip(&b).filter(|(a, b)| !close(**a, **b)).count();
	Some(format!("element {at}: {}, expected {} ({wrong} of {} differ)", a[at], b[at], a.len()))
}
