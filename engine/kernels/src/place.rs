//! Where operands that are broadcast have the element for an element of the value.

use std::ops::Range;

/// Where an operand is for element `i` of the value.
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

/// A part of a range, where an operand stays or goes on with the value.
pub(crate) struct Part {
	/// The part's first element in the range, and its elements.
	pub(crate) at: usize,
	pub(crate) n: usize,
	/// The operand's element for the first.
	pub(crate) from: usize,
	/// Whether it is the operand's element for all of them.
	pub(crate) stays: bool,
}

impl Place {
	/// Where an operand of these dimensions is, broadcast to `out`.
	pub(crate) fn of(dims: &[u32], out: &[u32]) -> Self {
		let skip = out.len() - dims.len().min(out.len());
		let out: Vec<usize> = out.iter().map(|d| *d as usize).collect();
		let dims: Vec<usize> =
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
		// Axes are joined where the operand goes on from one to the next as along one.
		let (mut stride, mut axes) = (1, Vec::<(usize, usize)>::new());
		for (d, o) in dims.iter().zip(&out).rev().filter(|(_, o)| **o != 1) {
			let own = if *d == 1 { 0 } else { stride };
			match axes.last_mut() {
				Some((len, step)) if own == *step * *len => *len *= o,
				_ => axes.push((*o, own)),
			}
			stride *= *d;
		}
		axes.reverse();
		Place::Strided(axes)
	}

	/// Calls `f` with the parts of a range of elements of the value, in order.
	#[inline]
	pub(crate) fn parts(&self, range: Range<usize>, mut f: impl FnMut(Part)) {
		let start = range.start;
		match self {
			Place::Same => f(Part { at: 0, n: range.len(), from: start, stays: false }),
			Place::Cycle(1) => f(Part { at: 0, n: range.len(), from: 0, stays: true }),
			Place::Cycle(period) => {
				let (mut i, mut from) = (start, start % period);
				while i < range.end {
					let n = (period - from).min(range.end - i);
					f(Part { at: i - start, n, from, stays: false });
					i += n;
					from = 0;
				}
			}
			Place::Repeat(len) => {
				let mut i = start;
				while i < range.end {
					let n = (len - i % len).min(range.end - i);
					f(Part { at: i - start, n, from: i / len, stays: true });
					i += n;
				}
			}
			Place::Rows(columns, pitch) => {
				let mut i = start;
				while i < range.end {
					let (row, column) = (i / columns, i % columns);
					let n = (columns - column).min(range.end - i);
					f(Part { at: i - start, n, from: row * pitch + column, stays: false });
					i += n;
				}
			}
			Place::Strided(axes) => {
				let Some(((last, stride), outer)) = axes.split_last() else { return };
				// One axis at a time: along it the operand stays or goes on by its stride, which is 1 if it is last.
				let mut i = start;
				while i < range.end {
					let (mut line, mut from) = (i / last, (i % last) * stride);
					let mut lines = 1;
					for (place, (len, step)) in outer.iter().enumerate().rev() {
						let at = line % len;
						from += at * step;
						line /= len;
						// Lines with the same elements of the operand, up to the end of the axis next to the last.
						if place + 1 == outer.len() && *step == 0 && i.is_multiple_of(*last) {
							lines = len - at;
						}
					}
					for _ in 0..lines {
						let n = (last - i % last).min(range.end - i);
						if n == 0 {
							break;
						}
						f(Part { at: i - start, n, from, stays: *stride == 0 });
						i += n;
					}
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
		assert_eq!(Place::of(&[5, 1, 1, 3], &[5, 2, 4, 3]), Place::Strided(vec![(5, 3), (8, 0), (3, 1)]));
		assert_eq!(Place::of(&[5, 2, 1, 3], &[5, 2, 4, 3]), Place::Strided(vec![(10, 3), (4, 0), (3, 1)]));
	}

	/// Element by element, the parts are what broadcasting says.
	#[test]
	fn parts_should_be_those_of_broadcasting() {
		let out = [2usize, 3, 4, 5];
		for mask in 0..16usize {
			let dims: Vec<u32> = (0..4).map(|i| if mask >> i & 1 == 1 { out[i] as u32 } else { 1 }).collect();
			let place = Place::of(&dims, &out.map(|d| d as u32));
			for range in [0..120, 7..8, 3..97, 59..120] {
				let mut seen = range.start;
				place.parts(range.clone(), |part| {
					assert_eq!(part.at, seen - range.start);
					for j in 0..part.n {
						let (mut rest, mut stride, mut from) = (seen + j, 1, 0);
						for i in (0..4).rev() {
							from += rest % out[i] % dims[i] as usize * stride;
							rest /= out[i];
							stride *= dims[i] as usize;
						}
						assert_eq!(part.from + if part.stays { 0 } else { j }, from, "{dims:?} {range:?}");
					}
					seen += part.n;
				});
				assert_eq!(seen, range.end);
			}
		}
	}
}
