//! Strided copies: what Transpose, Slice, Expand, Concat and Pad are made of.

use crate::{kernel, memory::Shared, pool::Pool, simd::Simd, Isa};

/// One axis of a copy: elements, and the distance between them on both sides, in elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Axis {
	pub(crate) len: usize,
	pub(crate) from: isize,
	pub(crate) to: isize,
}

/// A copy of a strided box to a strided box.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Copy {
	/// Slowest first, and joined where possible; none for a single element.
	axes: Vec<Axis>,
	/// The first element on both sides.
	from: isize,
	to: isize,
	/// Whether the elements are f32 that are made canonical on the way.
	clean: bool,
}

/// Copies of fewer bytes are not worth a second thread.
const WORTH: usize = 1 << 16;

/// Side of the squares in which two axes are swapped.
const SQUARE: usize = 16;

impl Copy {
	/// A copy of these axes, slowest first on the receiving side.
	pub(crate) fn new(axes: impl IntoIterator<Item = Axis>, from: isize, to: isize) -> Self {
		let mut joined: Vec<Axis> = Vec::new();
		for axis in axes.into_iter().filter(|axis| axis.len != 1) {
			match joined.last_mut() {
				Some(last) if last.from == axis.from * axis.len as isize && last.to == axis.to * axis.len as isize => {
					*last = Axis { len: last.len * axis.len, ..axis };
				}
				_ => joined.push(axis),
			}
		}
		Self { axes: joined, from, to, clean: false }
	}

	/// Elements that are copied.
	pub(crate) fn count(&self) -> usize {
		self.axes.iter().map(|axis| axis.len).product()
	}

	/// Makes f32 canonical from now on, if elements lie together on both sides.
	pub(crate) fn make_clean(&mut self) -> bool {
		let is_plain = match self.axes.as_slice() {
			[.., a, b] => b.from == 1 && b.to == 1 && a.from != 1,
			[a] => a.from == 1 && a.to == 1,
			[] => false,
		};
		self.clean |= is_plain;
		is_plain
	}

	/// The smallest and the largest element on one side; none when nothing is copied.
	fn bounds(&self, start: isize, stride: impl Fn(&Axis) -> isize) -> Option<(isize, isize)> {
		let (mut low, mut high) = (start, start);
		for axis in &self.axes {
			let reach = stride(axis) * (isize::try_from(axis.len).ok()?.checked_sub(1).filter(|n| *n >= 0)?);
			low += reach.min(0);
			high += reach.max(0);
		}
		Some((low, high))
	}

	/// Copies elements of `size` bytes: 1, 2, 4 or 8.
	pub(crate) fn run(&self, isa: Isa, pool: &Pool, size: usize, from: &[u8], to: &mut [u8]) {
		let inside = |bounds: (isize, isize), bytes: usize| {
			bounds.0 >= 0 && usize::try_from(bounds.1).is_ok_and(|high| (high + 1) * size <= bytes)
		};
		let (Some(read), Some(written)) =
			(self.bounds(self.from, |axis| axis.from), self.bounds(self.to, |axis| axis.to))
		else {
			return;
		};
		assert!([1, 2, 4, 8].contains(&size), "no element has this size");
		assert!(inside(read, from.len()) && inside(written, to.len()), "a copy leaves its tensors");
		let to = Shared(to.as_mut_ptr());
		if self.clean {
			assert!(size == 4 && from.as_ptr().cast::<f32>().is_aligned(), "f32 are made canonical");
			let (from, to) = (from.as_ptr().cast::<f32>(), Shared(to.get().cast::<f32>()));
			// SAFETY: as below; lines are as long as the last axis, and elements together.
			let line = |from: *const f32, to: *mut f32, n: usize| unsafe { clean(isa, from, to, n) };
			// SAFETY: as below.
			return unsafe { self.elements(pool, from, to, &line) };
		}
		// SAFETY: all elements are inside, on both sides; no two tasks write the same.
		unsafe {
			match size {
				1 => self.elements::<u8>(pool, from.as_ptr(), to, &plain),
				2 => self.elements::<[u8; 2]>(pool, from.as_ptr().cast(), Shared(to.get().cast()), &plain),
				4 => self.elements::<[u8; 4]>(pool, from.as_ptr().cast(), Shared(to.get().cast()), &plain),
				_ => self.elements::<[u8; 8]>(pool, from.as_ptr().cast(), Shared(to.get().cast()), &plain),
			}
		}
	}

	unsafe fn elements<T: std::marker::Copy>(&self, pool: &Pool, from: *const T, to: Shared<T>, line: Line<T>) {
		let from = Shared(from.wrapping_offset(self.from).cast_mut());
		let to = Shared(to.get().wrapping_offset(self.to));
		let count: usize = self.axes.iter().map(|axis| axis.len).product();
		let Some((first, rest)) = self.axes.split_first() else {
			// SAFETY: the caller's.
			unsafe { *to.get() = *from.get() };
			return;
		};
		if pool.threads() == 1 || count * size_of::<T>() < WORTH || first.len == 1 {
			// SAFETY: the caller's.
			unsafe { walk(&self.axes, from.get(), to.get(), line) };
			return;
		}
		let tasks = first.len.min(4 * pool.threads());
		let parts = |task: usize| task * first.len / tasks..(task + 1) * first.len / tasks;
		pool.run(tasks, &|task| {
			let part = parts(task);
			let mut axes = vec![Axis { len: part.len(), ..*first }];
			axes.extend_from_slice(rest);
			let start = part.start as isize;
			// SAFETY: the caller's; each task has its own part of the first axis.
			unsafe {
				let (from, to) =
					(from.get().wrapping_offset(start * first.from), to.get().wrapping_offset(start * first.to));
				walk(&axes, from, to, line)
			}
		});
	}
}

/// Copies so many elements that lie together.
type Line<'a, T> = &'a (dyn Fn(*const T, *mut T, usize) + Sync);

fn plain<T: std::marker::Copy>(from: *const T, to: *mut T, n: usize) {
	// SAFETY: `walk`'s: so many elements are on both sides, and do not overlap.
	unsafe { std::ptr::copy_nonoverlapping(from, to, n) }
}

kernel!(
	/// Copies f32 that become canonical.
	fn clean(from: *const f32, to: *mut f32, n: usize) = clean_body
);

#[inline(always)]
unsafe fn clean_body<S: Simd>(from: *const f32, to: *mut f32, n: usize) {
	// SAFETY: the caller's: so many elements.
	unsafe {
		let mut i = 0;
		while i + S::LANES <= n {
			S::store(to.add(i), S::canonical(S::flush(S::load(from.add(i)))));
			i += S::LANES;
		}
		if i < n {
			S::store_n(to.add(i), n - i, S::canonical(S::flush(S::load_n(from.add(i), n - i))));
		}
	}
}

/// Copies a box.
unsafe fn walk<T: std::marker::Copy>(axes: &[Axis], from: *const T, to: *mut T, line: Line<T>) {
	// SAFETY, for all of it: every element is inside, which the caller vouches for.
	unsafe {
		match axes {
			[] => *to = *from,
			[Axis { len, from: 1, to: 1 }] => line(from, to, *len),
			[axis] => run(*axis, from, to),
			// Three planes to pixels.
			[a, b] if a.from == 1 && b.to == 1 && b.len == 3 => {
				let (x, y, z) = (from, from.offset(b.from), from.offset(2 * b.from));
				for i in 0..a.len {
					let to = to.offset(i as isize * a.to);
					*to = *x.add(i);
					*to.add(1) = *y.add(i);
					*to.add(2) = *z.add(i);
				}
			}
			// A transpose of two axes, in squares.
			[a, b] if a.from == 1 && b.to == 1 => swap(*a, *b, from, to),
			[axis, rest @ ..] => {
				for i in 0..axis.len as isize {
					walk(rest, from.wrapping_offset(i * axis.from), to.wrapping_offset(i * axis.to), line);
				}
			}
		}
	}
}

/// A transpose of two axes: `a` goes on by one on the side that is read, `b` on the other.
unsafe fn swap<T: std::marker::Copy>(a: Axis, b: Axis, from: *const T, to: *mut T) {
	let (fours, rest) = (a.len / 4 * 4, b.len / 4 * 4);
	// SAFETY, for all of it: as in `walk`.
	unsafe {
		for j in (0..b.len).step_by(SQUARE) {
			let end = b.len.min(j + SQUARE);
			for i in (0..fours).step_by(4) {
				// Four by four, in registers.
				let mut j = j;
				while j + 4 <= end {
					let from = from.offset(j as isize * b.from).add(i);
					let row = |k: isize| from.offset(k * b.from).cast::<[T; 4]>().read_unaligned();
					let [x, y, z, w] = [row(0), row(1), row(2), row(3)];
					for k in 0..4 {
						let to = to.offset((i + k) as isize * a.to).add(j);
						to.cast::<[T; 4]>().write_unaligned([x[k], y[k], z[k], w[k]]);
					}
					j += 4;
				}
			}
		}
		for i in 0..a.len {
			let first = if i < fours { rest } else { 0 };
			for j in first..b.len {
				*to.offset(i as isize * a.to).add(j) = *from.offset(j as isize * b.from).add(i);
			}
		}
	}
}

#[inline]
unsafe fn run<T: std::marker::Copy>(axis: Axis, from: *const T, to: *mut T) {
	// SAFETY: as in `walk`.
	unsafe {
		match axis {
			Axis { len, from: 0, to: 1 } => std::slice::from_raw_parts_mut(to, len).fill(*from),
			Axis { len, .. } => {
				for i in 0..len as isize {
					*to.offset(i * axis.to) = *from.offset(i * axis.from);
				}
			}
		}
	}
}
