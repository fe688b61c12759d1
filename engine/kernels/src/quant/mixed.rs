//! Operators on single elements of several types as one step: a piece at a time, on a stack of vectors that stays in the
//! first cache. What quantises, dequantises and what lies between them runs so.

use super::{
	finish::{divided, is_ordinary, quantize},
	ints::Ints,
};
use crate::{
	kernel,
	memory::Shared,
	place::{Part, Place},
	pool::Pool,
	simd, Isa,
};
use assay_semantics::{
	ops::{Binary, Unary},
	DType,
};
use std::ops::Range;

/// Elements of a piece.
const PIECE: usize = 1024;

/// The most vectors on the stack.
pub(super) const DEPTH: usize = 6;

/// Elements for which a second thread is worth its while.
const WORTH: usize = 1 << 14;

/// What one code does to the stack, whose elements are f32 or i32.
#[derive(Clone, Debug)]
pub(super) enum Code {
	/// Puts an operand's elements on the stack: f32 as they are, integers as i32.
	Load(usize, Place, DType),
	/// The same of bytes: less a number, as f32, times another.
	Dequantize {
		from: usize,
		zero: Option<usize>,
		scale: usize,
		signed: bool,
	},
	/// i32 to f32.
	ToFloat,
	/// f32 to an integer: i32, or a byte.
	ToInt(DType),
	/// i32: the two on top become one.
	Int(Binary),
	/// f32.
	Float(Binary),
	/// f32, the second one the same everywhere.
	FloatOne(Binary, usize),
	Unary(Unary),
	/// x; scale and zero are the same everywhere.
	Quantize {
		divide: bool,
		scale: usize,
		zero: usize,
		signed: bool,
	},
	/// x, scale, zero (as f32).
	QuantizeEach {
		divide: bool,
		signed: bool,
	},
}

/// Whether there is a kernel.
pub(super) fn has_unary(op: Unary) -> bool {
	use Unary::*;
	matches!(op, Relu | Neg | Abs | Sigmoid | Tanh)
}

/// Whether there is a kernel.
pub(super) fn has_float(op: Binary) -> bool {
	use Binary::*;
	matches!(op, Add | Sub | Mul | Div | Max | Min)
}

/// Whether there is a kernel.
pub(super) fn has_int(op: Binary) -> bool {
	matches!(op, Binary::Add | Binary::Sub | Binary::Mul)
}

/// What is done with each element.
#[derive(Clone, Debug)]
pub(crate) struct Mixed {
	pub(super) codes: Vec<Code>,
	/// The type of the value.
	pub(super) dtype: DType,
}

/// A vector of the stack: f32, or the bits of i32.
type Level = [f32; PIECE];

macro_rules! each {
	($S:ident, $n:ident, |$i:ident| $body:expr) => {{
		// Levels have room for whole vectors.
		let mut $i = 0;
		while $i < $n {
			$body;
			$i += $S::LANES;
		}
	}};
}

/// A code over `n` elements. `x` is the level below the top where there are two, else the top; `y` the top, `z` below both.
struct Call {
	n: usize,
	x: *mut f32,
	y: *mut f32,
	z: *mut f32,
}

kernel!(fn bytes(call: &Call, from: *const u8, signed: bool) = bytes_body);

#[inline(always)]
unsafe fn bytes_body<S: Ints>(call: &Call, from: *const u8, signed: bool) {
	let n = call.n;
	// SAFETY, here and below: the caller's: `n` elements of operands, and whole levels.
	unsafe {
		each!(S, n, |i| S::store_i(
			call.y.add(i).cast(),
			S::LANES,
			S::load_bytes(from.add(i), S::LANES.min(n - i), signed)
		))
	}
}

kernel!(fn dequantize(call: &Call, from: *const u8, signed: bool, zero: i32, scale: f32) = dequantize_body);

#[inline(always)]
unsafe fn dequantize_body<S: Ints>(call: &Call, from: *const u8, signed: bool, zero: i32, scale: f32) {
	let n = call.n;
	// SAFETY: as above.
	unsafe {
		let (zero, scale) = (S::splat_i(zero), S::splat(scale));
		each!(S, n, |i| {
			let x = S::sub_i(S::load_bytes(from.add(i), S::LANES.min(n - i), signed), zero);
			S::store(call.y.add(i), S::flush(S::mul(S::to_f(x), scale)));
		})
	}
}

kernel!(fn int(call: &Call, op: Binary) = int_body);

#[inline(always)]
unsafe fn int_body<S: Ints>(call: &Call, op: Binary) {
	let n = call.n;
	// SAFETY: as above.
	unsafe {
		each!(S, n, |i| {
			let (x, y) = (S::load_i(call.x.add(i).cast()), S::load_i(call.y.add(i).cast()));
			let z = match op {
				Binary::Add => S::add_i(x, y),
				Binary::Sub => S::sub_i(x, y),
				_ => S::mul_i(x, y),
			};
			S::store_i(call.x.add(i).cast(), S::LANES, z);
		})
	}
}

kernel!(fn to_float(call: &Call) = to_float_body);

#[inline(always)]
unsafe fn to_float_body<S: Ints>(call: &Call) {
	let n = call.n;
	// SAFETY: as above.
	unsafe { each!(S, n, |i| S::store(call.y.add(i), S::to_f(S::load_i(call.y.add(i).cast())))) }
}

kernel!(fn to_int(call: &Call, dtype: DType) = to_int_body);

#[inline(always)]
unsafe fn to_int_body<S: Ints>(call: &Call, dtype: DType) {
	let n = call.n;
	let range = match dtype {
		DType::I8 => Some((-128.0, 127.0)),
		DType::U8 => Some((0.0, 255.0)),
		_ => None,
	};
	// SAFETY: as above.
	unsafe {
		each!(S, n, |i| {
			let x = S::truncate(S::load(call.y.add(i)));
			let x = match range {
				Some((low, high)) => S::to_i(S::clamp(S::to_f(x), S::splat(low), S::splat(high))),
				None => x,
			};
			S::store_i(call.y.add(i).cast(), S::LANES, x);
		})
	}
}

#[inline(always)]
unsafe fn apply<S: Ints>(op: Binary, x: S::F, y: S::F) -> S::F {
	// SAFETY: no pointers.
	unsafe {
		match op {
			Binary::Add => S::flush(S::add(x, y)),
			Binary::Sub => S::flush(S::sub(x, y)),
			Binary::Mul => S::flush(S::mul(x, y)),
			Binary::Div => S::flush(S::div(x, y)),
			Binary::Max => S::max(x, y),
			_ => S::min(x, y),
		}
	}
}

kernel!(fn float(call: &Call, op: Binary) = float_body);

#[inline(always)]
unsafe fn float_body<S: Ints>(call: &Call, op: Binary) {
	let n = call.n;
	macro_rules! with {
		($op:expr) => {
			// SAFETY: as above.
			unsafe {
				each!(S, n, |i| S::store(
					call.x.add(i),
					apply::<S>($op, S::load(call.x.add(i)), S::load(call.y.add(i)))
				))
			}
		};
	}
	match op {
		Binary::Add => with!(Binary::Add),
		Binary::Mul => with!(Binary::Mul),
		_ => with!(op),
	}
}

kernel!(fn float_one(call: &Call, op: Binary, y: f32) = float_one_body);

#[inline(always)]
unsafe fn float_one_body<S: Ints>(call: &Call, op: Binary, y: f32) {
	let n = call.n;
	// SAFETY: as above.
	unsafe {
		let y = S::splat(y);
		each!(S, n, |i| S::store(call.y.add(i), apply::<S>(op, S::load(call.y.add(i)), y)))
	}
}

kernel!(fn unary(call: &Call, op: Unary) = unary_body);

#[inline(always)]
unsafe fn unary_body<S: Ints>(call: &Call, op: Unary) {
	let n = call.n;
	macro_rules! with {
		(|$x:ident| $value:expr) => {
			each!(S, n, |i| {
				let $x = S::load(call.y.add(i));
				S::store(call.y.add(i), $value)
			})
		};
	}
	// SAFETY: as above.
	unsafe {
		match op {
			Unary::Relu => with!(|x| S::relu(x)),
			Unary::Neg => with!(|x| S::neg(x)),
			Unary::Abs => with!(|x| S::abs(x)),
			Unary::Sigmoid => with!(|x| S::flush(simd::sigmoid::<S>(x))),
			_ => with!(|x| S::flush(simd::tanh::<S>(x))),
		}
	}
}

kernel!(fn quantize_one(call: &Call, divide: bool, scale: f32, zero: i32, signed: bool) = quantize_one_body);

#[inline(always)]
unsafe fn quantize_one_body<S: Ints>(call: &Call, divide: bool, scale: f32, zero: i32, signed: bool) {
	let n = call.n;
	// SAFETY: as above.
	unsafe {
		if divide && is_ordinary(scale) {
			let (scale, reciprocal) = (S::splat(scale), S::splat(1.0 / scale));
			each!(S, n, |i| {
				let x = divided::<S>(S::load(call.y.add(i)), scale, reciprocal, zero, signed);
				S::store_i(call.y.add(i).cast(), S::LANES, x);
			});
			return;
		}
		let scale = S::splat(scale);
		each!(S, n, |i| {
			let x = S::load(call.y.add(i));
			let x = if divide { S::div(x, scale) } else { S::mul(x, scale) };
			S::store_i(call.y.add(i).cast(), S::LANES, quantize::<S>(x, zero, signed));
		})
	}
}

kernel!(fn quantize_each(call: &Call, divide: bool, signed: bool) = quantize_each_body);

#[inline(always)]
unsafe fn quantize_each_body<S: Ints>(call: &Call, divide: bool, signed: bool) {
	let n = call.n;
	let (low, high) = if signed { (-128.0, 127.0) } else { (0.0, 255.0) };
	// SAFETY: as above.
	unsafe {
		each!(S, n, |i| {
			let (x, scale, zero) = (S::load(call.z.add(i)), S::load(call.x.add(i)), S::load(call.y.add(i)));
			let x = if divide { S::div(x, scale) } else { S::mul(x, scale) };
			// Clamped before it is rounded, as in `quantize`.
			let (low, high) = (S::sub(S::splat(low), zero), S::sub(S::splat(high), zero));
			let x = S::clamp(x, low, high);
			S::store_i(call.z.add(i).cast(), S::LANES, S::add_i(S::to_i(x), S::to_i(zero)));
		})
	}
}

/// Bytes as f32: less a number, times another.
#[derive(Clone, Copy)]
struct Side {
	from: *const u8,
	signed: bool,
	zero: i32,
	scale: f32,
}

/// Two sides added, and quantised.
struct Residual {
	sides: [Side; 2],
	relu: bool,
	scale: f32,
	zero: i32,
	signed: bool,
}

kernel!(fn residual(on: &Residual, to: *mut u8, n: usize) = residual_body);

/// # Safety
///
/// `n` bytes on each side, and room for as many.
#[inline(always)]
unsafe fn residual_body<S: Ints>(on: &Residual, to: *mut u8, n: usize) {
	let [a, b] = on.sides;
	// SAFETY: the caller's.
	unsafe {
		let (scale, reciprocal) = (S::splat(on.scale), S::splat(1.0 / on.scale));
		let (scales, zeros) = ([S::splat(a.scale), S::splat(b.scale)], [S::splat_i(a.zero), S::splat_i(b.zero)]);
		let mut i = 0;
		while i < n {
			let m = S::LANES.min(n - i);
			let x = S::sub_i(S::load_bytes(a.from.add(i), m, a.signed), zeros[0]);
			let y = S::sub_i(S::load_bytes(b.from.add(i), m, b.signed), zeros[1]);
			// Nothing is flushed: products with scales that are no subnormals are none, and a sum that is one is quantised
			// as 0 is.
			let (x, y) = (S::mul(S::to_f(x), scales[0]), S::mul(S::to_f(y), scales[1]));
			let sum = S::add(x, y);
			let sum = if on.relu { S::relu(sum) } else { sum };
			S::store_bytes(to.add(i), m, divided::<S>(sum, scale, reciprocal, on.zero, on.signed));
			i += S::LANES;
		}
	}
}

kernel!(fn store_bytes(call: &Call, to: *mut u8) = store_bytes_body);

#[inline(always)]
unsafe fn store_bytes_body<S: Ints>(call: &Call, to: *mut u8) {
	let n = call.n;
	// SAFETY: as above.
	unsafe { each!(S, n, |i| S::store_bytes(to.add(i), S::LANES.min(n - i), S::load_i(call.y.add(i).cast()))) }
}

/// Raw bytes of operands.
struct Operands<'a>(&'a [&'a [u8]]);

impl Operands<'_> {
	fn float(&self, i: usize) -> f32 {
		self.0[i].first_chunk().map_or(0.0, |x| f32::from_le_bytes(*x))
	}

	fn word(&self, i: usize) -> i32 {
		self.0[i].first_chunk().map_or(0, |x| i32::from_le_bytes(*x))
	}

	fn byte(&self, i: usize, signed: bool) -> i32 {
		let x = self.0[i].first().copied().unwrap_or(0);
		if signed {
			i32::from(x as i8)
		} else {
			i32::from(x)
		}
	}
}

/// The level below.
fn below(top: *mut Level) -> *mut f32 {
	top.wrapping_sub(1).cast()
}

impl Mixed {
	/// Runs over `len` elements of the value.
	pub(crate) fn run(&self, isa: Isa, pool: &Pool, operands: &[&[u8]], len: usize, out: &mut [u8]) {
		let size = self.dtype.size();
		assert!(out.len() >= len * size, "the value is too short");
		for code in &self.codes {
			let (i, needs) = match code {
				Code::Load(i, place, dtype) => (*i, place.reach(len) * dtype.size()),
				Code::Dequantize { from, .. } => (*from, len),
				_ => continue,
			};
			assert!(operands.get(i).is_some_and(|x| x.len() >= needs), "an operand is too short");
		}
		let pieces = len.div_ceil(PIECE);
		let tasks = if len < WORTH { 1 } else { pieces.min(4 * pool.threads()) };
		let start = Shared(out.as_mut_ptr());
		let operands = &Operands(operands);
		pool.run(tasks, &|task| {
			let all = task * pieces / tasks * PIECE..len.min((task + 1) * pieces / tasks * PIECE);
			if let Some(on) = self.residual(operands, all.start) {
				// SAFETY: each part belongs to one task and is inside the value; operands are as long as is checked above.
				return unsafe { residual(isa, &on, start.get().wrapping_add(all.start), all.len()) };
			}
			// One level more below, for codes that have nothing there.
			let mut stack = [[0f32; PIECE]; DEPTH + 2];
			for piece in task * pieces / tasks..(task + 1) * pieces / tasks {
				let range = piece * PIECE..len.min((piece + 1) * PIECE);
				let to = start.get().wrapping_add(range.start * size);
				// SAFETY: each piece belongs to one task and is inside the value; operands are as long as is checked above; a
				// program has at most so many levels, which `group` sees to.
				unsafe { self.piece(isa, operands, range, stack.as_mut_ptr(), to) }
			}
		});
	}

	/// The whole as one loop, if it is the sum of two dequantised values, from element `start` on: that of networks with
	/// residuals.
	fn residual(&self, operands: &Operands, start: usize) -> Option<Residual> {
		let ([a, b, Code::Float(Binary::Add), last], relu) = (match &self.codes[..] {
			[a, b, add, Code::Unary(Unary::Relu), last] => ([a, b, add, last], true),
			[a, b, add, last] => ([a, b, add, last], false),
			_ => return None,
		}) else {
			return None;
		};
		let side = |code: &Code| match code {
			Code::Dequantize { from, zero, scale, signed } => Some(Side {
				from: operands.0[*from].as_ptr().wrapping_add(start),
				signed: *signed,
				zero: zero.map_or(0, |i| operands.word(i)),
				scale: Some(operands.float(*scale)).filter(|scale| is_ordinary(*scale))?,
			}),
			_ => None,
		};
		let &Code::Quantize { divide: true, scale, zero, signed } = last else { return None };
		let scale = Some(operands.float(scale)).filter(|scale| is_ordinary(*scale))?;
		Some(Residual { sides: [side(a)?, side(b)?], relu, scale, zero: operands.byte(zero, signed), signed })
	}

	/// # Safety
	///
	/// The operands are long enough, and `to` has room for the range.
	unsafe fn piece(&self, isa: Isa, operands: &Operands, range: Range<usize>, stack: *mut Level, to: *mut u8) {
		let n = range.len();
		// The top of the stack; the lowest level is never used.
		let mut top = stack;
		for code in &self.codes {
			if matches!(code, Code::Load(..) | Code::Dequantize { .. }) {
				top = top.wrapping_add(1);
			}
			let (x, z) = (below(top), below(top.wrapping_sub(1)));
			let call = Call { n, x, y: top.cast(), z };
			// SAFETY: the caller's.
			unsafe {
				match code {
					Code::Load(i, place, dtype) => self.load(isa, operands.0[*i], place, *dtype, &range, &call),
					Code::Dequantize { from, zero, scale, signed } => {
						let zero =
							zero.map_or(0, |i| operands.0[i].first_chunk().map_or(0, |x| i32::from_le_bytes(*x)));
						let from = operands.0[*from].as_ptr().add(range.start);
						dequantize(isa, &call, from, *signed, zero, operands.float(*scale));
					}
					Code::ToFloat => to_float(isa, &call),
					Code::ToInt(dtype) => to_int(isa, &call, *dtype),
					Code::Int(op) => int(isa, &call, *op),
					Code::Float(op) => float(isa, &call, *op),
					Code::FloatOne(op, i) => float_one(isa, &call, *op, operands.float(*i)),
					Code::Unary(op) => unary(isa, &call, *op),
					Code::Quantize { divide, scale, zero, signed } => {
						let zero = operands.byte(*zero, *signed);
						quantize_one(isa, &call, *divide, operands.float(*scale), zero, *signed);
					}
					Code::QuantizeEach { divide, signed } => quantize_each(isa, &call, *divide, *signed),
				}
			}
			top = match code {
				Code::Int(_) | Code::Float(_) => top.wrapping_sub(1),
				Code::QuantizeEach { .. } => top.wrapping_sub(2),
				_ => top,
			};
		}
		let y = top.cast::<f32>();
		// SAFETY: the caller's.
		unsafe {
			match self.dtype.size() {
				1 => store_bytes(isa, &Call { n, x: y, y, z: y }, to),
				_ => std::ptr::copy_nonoverlapping(y.cast::<u8>(), to, 4 * n),
			}
		}
	}

	/// Puts the elements of an operand for a range of the value on the stack.
	///
	/// # Safety
	///
	/// The operand is long enough.
	unsafe fn load(&self, isa: Isa, from: &[u8], place: &Place, dtype: DType, range: &Range<usize>, call: &Call) {
		place.parts(range.clone(), |Part { at, n, from: from_at, stays }| {
			let to = call.y.wrapping_add(at);
			let from = from.as_ptr().wrapping_add(from_at * dtype.size());
			// SAFETY: the caller's.
			unsafe {
				match (dtype.size(), stays) {
					(1, false) => {
						// A vector of the stack may be written beyond its end: up to the level's.
						let whole = Call { n, x: to, y: to, z: to };
						if at.is_multiple_of(16) && at + n == range.len() {
							bytes(isa, &whole, from, dtype == DType::I8);
						} else {
							for i in 0..n {
								let x = *from.add(i);
								let x = if dtype == DType::I8 { i32::from(x as i8) } else { i32::from(x) };
								*to.add(i).cast::<i32>() = x;
							}
						}
					}
					(1, true) => {
						let x = if dtype == DType::I8 { i32::from(*from as i8) } else { i32::from(*from) };
						std::slice::from_raw_parts_mut(to.cast::<i32>(), n).fill(x);
					}
					(_, false) => std::ptr::copy_nonoverlapping(from, to.cast::<u8>(), 4 * n),
					(_, true) => {
						let x = from.cast::<u32>().read_unaligned();
						std::slice::from_raw_parts_mut(to.cast::<u32>(), n).fill(x);
					}
				}
			}
		});
	}
}
