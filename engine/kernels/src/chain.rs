//! Operators on single elements, one after the other on a piece that stays in the first cache.

use crate::{
	kernel,
	memory::Shared,
	pool::Pool,
	simd::{self, Simd},
	Isa,
};
use assay_semantics::ops::{Binary, Unary};

/// Elements that go through the chain together.
const PIECE: usize = 2048;

/// Elements for which a second thread is worth its while.
const WORTH: usize = 1 << 14;

/// Where the other operand of a binary operator is for element `i` of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
	/// At `i`.
	Same,
	/// At `i % period`.
	Cycle(usize),
	/// At `i / len`.
	Repeat(usize),
	/// At `i / columns * pitch + i % columns`.
	Rows(usize, usize),
	/// By coordinates: axes of the value, slowest first, with the operand's strides.
	Strided(Vec<(usize, usize)>),
}

impl Place {
	/// Where an operand of these dimensions is, broadcast to `out`.
	pub(crate) fn of(dims: &[u32], out: &[u32]) -> Self {
		let skip = out.len() - dims.len().min(out.len());
		let out: Vec<usize> = out.iter().map(|d| *d as usize).collect();
		let mut dims: Vec<usize> =
			std::iter::repeat_n(1, skip).chain(dims.iter().map(|d| *d as usize)).take(out.len()).collect();
		let all: usize = dims.iter().product();
		if dims == out {
			return Place::Same;
		}
		// Where dimensions of the value are 1, nothing is broadcast.
		let broadcast = |i: &usize| dims[*i] != out[*i];
		let (first, last) = match ((0..out.len()).find(broadcast), (0..out.len()).rfind(broadcast)) {
			(Some(first), Some(last)) => (first, last),
			_ => return Place::Same,
		};
		if dims[..=last].iter().all(|d| *d == 1) {
			return Place::Cycle(all.max(1));
		}
		if dims[first..].iter().all(|d| *d == 1) {
			return Place::Repeat(out[first..].iter().product::<usize>().max(1));
		}
		let mut stride = 1;
		let mut axes = Vec::new();
		for (d, o) in dims.iter_mut().zip(&out).rev() {
			axes.push((*o, if *d == 1 { 0 } else { stride }));
			stride *= *d;
		}
		axes.reverse();
		Place::Strided(axes)
	}

	/// Calls `f` with pieces of `range` and, for each, where the operand begins and whether it stays there.
	#[inline]
	pub(crate) fn pieces(&self, range: std::ops::Range<usize>, mut f: impl FnMut(usize, usize, usize, bool)) {
		let start = range.start;
		match self {
			Place::Same => f(0, range.len(), start, false),
			Place::Cycle(1) => f(0, range.len(), 0, true),
			Place::Cycle(period) => {
				let mut i = start;
				while i < range.end {
					let at = i % period;
					let n = (period - at).min(range.end - i);
					f(i - start, n, at, false);
					i += n;
				}
			}
			Place::Repeat(len) => {
				let mut i = start;
				while i < range.end {
					let n = (len - i % len).min(range.end - i);
					f(i - start, n, i / len, true);
					i += n;
				}
			}
			Place::Rows(columns, pitch) => {
				let mut i = start;
				while i < range.end {
					let (row, column) = (i / columns, i % columns);
					let n = (columns - column).min(range.end - i);
					f(i - start, n, row * pitch + column, false);
					i += n;
				}
			}
			Place::Strided(axes) => {
				let Some(((last, stride), outer)) = axes.split_last() else { return };
				let mut i = start;
				while i < range.end {
					let mut line = i / last;
					let mut at = (i % last) * stride;
					for (len, stride) in outer.iter().rev() {
						at += line % len * stride;
						line /= len;
					}
					// One axis at a time: along it the operand stays or goes on by its stride, which is 1 if it is last.
					let n = (last - i % last).min(range.end - i);
					f(i - start, n, at, *stride == 0);
					i += n;
				}
			}
		}
	}

	/// Elements of the operand that are read for `n` elements of the value.
	pub(crate) fn reach(&self, n: usize) -> usize {
		match self {
			_ if n == 0 => 0,
			Place::Same => n,
			Place::Cycle(period) => n.min(*period),
			Place::Repeat(len) => n.div_ceil(*len),
			Place::Rows(columns, pitch) => (n - 1) / columns * pitch + (n - 1) % columns + 1,
			Place::Strided(axes) => 1 + axes.iter().map(|(len, stride)| len.saturating_sub(1) * stride).sum::<usize>(),
		}
	}
}

/// One link of a chain.
#[derive(Clone, Debug)]
pub(crate) enum Link {
	/// Takes the element of operand number `.0`.
	Load(usize, Place),
	/// A function of the element.
	Unary(Unary),
	/// A function of the element and that of an operand, which comes first if the flag is set.
	Binary(Binary, usize, Place, bool),
}

/// Whether there is a kernel.
pub(crate) fn has_unary(op: Unary) -> bool {
	use Unary::*;
	matches!(op, Relu | Neg | Abs | Exp | ExpSoftmax | Sigmoid | Tanh | Reciprocal | Sqrt | Erf)
}

/// Whether there is a kernel.
pub(crate) fn has_binary(op: Binary) -> bool {
	use Binary::*;
	matches!(op, Add | Sub | Mul | Div | Max | Min)
}

/// The other side of a binary operator.
#[derive(Clone, Copy)]
enum Other {
	/// Elements in order.
	Run(*const f32),
	/// One element.
	One(f32),
}

macro_rules! each {
	($S:ident, $x:ident, $n:ident, |$v:ident| $value:expr) => {{
		let mut i = 0;
		while i + $S::LANES <= $n {
			let $v = $S::load($x.add(i));
			$S::store($x.add(i), $value);
			i += $S::LANES;
		}
		if i < $n {
			let $v = $S::load_n($x.add(i), $n - i);
			$S::store_n($x.add(i), $n - i, $value);
		}
	}};
	($S:ident, $x:ident, $n:ident, $other:ident, |$v:ident, $w:ident| $value:expr) => {
		match $other {
			Other::One(y) => {
				let $w = $S::splat(y);
				each!($S, $x, $n, |$v| $value)
			}
			Other::Run(y) => {
				let mut i = 0;
				while i + $S::LANES <= $n {
					let ($v, $w) = ($S::load($x.add(i)), $S::load(y.add(i)));
					$S::store($x.add(i), $value);
					i += $S::LANES;
				}
				if i < $n {
					let ($v, $w) = ($S::load_n($x.add(i), $n - i), $S::load_n(y.add(i), $n - i));
					$S::store_n($x.add(i), $n - i, $value);
				}
			}
		}
	};
}

kernel!(fn unary(op: Unary, x: *mut f32, n: usize) = unary_body);

#[inline(always)]
unsafe fn unary_body<S: Simd>(op: Unary, x: *mut f32, n: usize) {
	// SAFETY: the caller's: `n` elements.
	#[allow(unreachable_patterns)]
	unsafe {
		match op {
			Unary::Relu => each!(S, x, n, |v| S::relu(v)),
			Unary::Neg => each!(S, x, n, |v| S::neg(v)),
			Unary::Abs => each!(S, x, n, |v| S::abs(v)),
			Unary::Exp => each!(S, x, n, |v| S::flush(simd::exp::<S>(v))),
			Unary::ExpSoftmax => each!(S, x, n, |v| simd::exp_softmax::<S>(v)),
			Unary::Sigmoid => each!(S, x, n, |v| S::flush(simd::sigmoid::<S>(v))),
			Unary::Tanh => each!(S, x, n, |v| S::flush(simd::tanh::<S>(v))),
			Unary::Reciprocal => each!(S, x, n, |v| S::flush(S::div(S::splat(1.0), v))),
			Unary::Erf => each!(S, x, n, |v| S::flush(simd::erf::<S>(v))),
			Unary::Sqrt => each!(S, x, n, |v| S::sqrt(v)),
			_ => unreachable!("no kernel"),
		}
	}
}

kernel!(fn binary(op: Binary, x: *mut f32, y: Other, n: usize, swap: bool) = binary_body);

#[inline(always)]
unsafe fn binary_body<S: Simd>(op: Binary, x: *mut f32, y: Other, n: usize, swap: bool) {
	// SAFETY: the caller's: `n` elements on both sides.
	#[allow(unreachable_patterns)]
	unsafe {
		match (op, swap) {
			(Binary::Add, _) => each!(S, x, n, y, |v, w| S::flush(S::add(v, w))),
			(Binary::Sub, false) => each!(S, x, n, y, |v, w| S::flush(S::sub(v, w))),
			(Binary::Sub, true) => each!(S, x, n, y, |v, w| S::flush(S::sub(w, v))),
			(Binary::Mul, _) => each!(S, x, n, y, |v, w| S::flush(S::mul(v, w))),
			(Binary::Div, false) => each!(S, x, n, y, |v, w| S::flush(S::div(v, w))),
			(Binary::Div, true) => each!(S, x, n, y, |v, w| S::flush(S::div(w, v))),
			(Binary::Max, _) => each!(S, x, n, y, |v, w| S::max(v, w)),
			(Binary::Min, _) => each!(S, x, n, y, |v, w| S::min(v, w)),
			_ => unreachable!("no kernel"),
		}
	}
}

kernel!(
	/// Flushes subnormals in place.
	fn flush_in_place(x: *mut f32, n: usize) = flush_body
);

#[inline(always)]
unsafe fn flush_body<S: Simd>(x: *mut f32, n: usize) {
	// SAFETY: the caller's: `n` elements.
	unsafe { each!(S, x, n, |v| S::flush(v)) }
}

/// Flushes subnormals in place.
pub(crate) fn flush(isa: Isa, x: &mut [f32]) {
	// SAFETY: a slice is as long as it says.
	unsafe { flush_in_place(isa, x.as_mut_ptr(), x.len()) }
}

/// Runs a chain over all elements of `out`. Operands are numbered as the links number them.
pub(crate) fn run(isa: Isa, pool: &Pool, links: &[Link], operands: &[&[f32]], out: &mut [f32]) {
	let len = out.len();
	for link in links {
		if let Link::Load(i, place) | Link::Binary(_, i, place, _) = link {
			assert!(operands.get(*i).is_some_and(|x| x.len() >= place.reach(len)), "an operand is too short");
		}
	}
	let pieces = len.div_ceil(PIECE);
	let tasks = if len < WORTH { 1 } else { pieces.min(4 * pool.threads()) };
	let start = Shared(out.as_mut_ptr());
	pool.run(tasks, &|task| {
		for piece in task * pieces / tasks..(task + 1) * pieces / tasks {
			let range = piece * PIECE..len.min((piece + 1) * PIECE);
			// SAFETY: each piece belongs to one task, and operands are as long as is checked above.
			unsafe { through(isa, links, operands, start.get().add(range.start), range) }
		}
	});
}

/// One piece through the chain.
///
/// # Safety
///
/// `to` is the output's element `range.start`; operands are long enough.
unsafe fn through(isa: Isa, links: &[Link], operands: &[&[f32]], to: *mut f32, range: std::ops::Range<usize>) {
	for link in links {
		match link {
			Link::Load(i, place) => {
				let from = operands[*i].as_ptr();
				place.pieces(range.clone(), |at, n, from_at, stays| {
					// SAFETY: the caller's.
					unsafe {
						let to = std::slice::from_raw_parts_mut(to.add(at), n);
						if stays {
							to.fill(*from.add(from_at));
						} else {
							to.copy_from_slice(std::slice::from_raw_parts(from.add(from_at), n));
						}
					}
				});
			}
			// SAFETY: the caller's.
			Link::Unary(op) => unsafe { unary(isa, *op, to, range.len()) },
			Link::Binary(op, i, place, swap) => {
				let from = operands[*i].as_ptr();
				place.pieces(range.clone(), |at, n, from_at, stays| {
					// SAFETY: the caller's.
					unsafe {
						let other = match stays {
							true => Other::One(*from.add(from_at)),
							false => Other::Run(from.add(from_at)),
						};
						binary(isa, *op, to.add(at), other, n, *swap);
					}
				});
			}
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn place_should_be_the_simplest_that_fits() {
		assert_eq!(Place::of(&[2, 3], &[2, 3]), Place::Same);
		assert_eq!(Place::of(&[], &[2, 3]), Place::Cycle(1));
		assert_eq!(Place::of(&[3], &[2, 3]), Place::Cycle(3));
		assert_eq!(Place::of(&[1, 3], &[2, 3]), Place::Cycle(3));
		assert_eq!(Place::of(&[2, 1], &[2, 3]), Place::Repeat(3));
		assert_eq!(Place::of(&[2, 1, 1], &[2, 3, 4]), Place::Repeat(12));
		assert_eq!(Place::of(&[1, 3, 1], &[2, 3, 4]), Place::Strided(vec![(2, 0), (3, 1), (4, 0)]));
	}
}
