//! Panels of the right operand, and images with a border.

use crate::{kernel, memory::Shared, pool::Pool, simd::Simd, Isa};

/// Floats of the packed form of `n` columns of `k` elements.
pub(crate) fn panel_floats(panel: usize, n: usize, k: usize) -> usize {
	n.div_ceil(panel) * panel * k
}

/// Columns of a right operand where they lie: `n` of `k` elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
	pub(crate) n: usize,
	pub(crate) k: usize,
	/// Elements from one column to the next, and from one element of a column to the next; one of the two is 1.
	pub(crate) column: usize,
	pub(crate) step: usize,
}

impl Columns {
	/// Columns one after the other.
	pub(crate) fn together(n: usize, k: usize) -> Self {
		Self { n, k, column: k, step: 1 }
	}

	/// Elements from the first to the last.
	fn reach(&self) -> usize {
		match self.n * self.k {
			0 => 0,
			_ => (self.n - 1) * self.column + (self.k - 1) * self.step + 1,
		}
	}
}

/// Elements for which a second thread is worth its while.
const WORTH: usize = 1 << 15;

/// Packs sets of columns, which begin at these elements: panel by panel, in each the columns of one element together. Columns
/// that a panel lacks are +0.
pub(crate) fn pack(isa: Isa, pool: &Pool, sets: &[usize], columns: Columns, from: &[f32], to: &mut [f32]) {
	let Columns { n, k, .. } = columns;
	let panel = 2 * isa.lanes();
	let (panels, size) = (n.div_ceil(panel), panel * k);
	assert!(columns.column == 1 || columns.step == 1);
	assert!(sets.iter().all(|set| set + columns.reach() <= from.len()) && to.len() >= sets.len() * panels * size);
	let start = Shared(to.as_mut_ptr());
	let all = sets.len() * panels;
	let tasks = if all * size < WORTH { 1 } else { all.min(4 * pool.threads()) };
	pool.run(tasks, &|task| {
		for i in task * all / tasks..(task + 1) * all / tasks {
			let (set, p) = (i / panels, i % panels);
			let here = Columns { n: panel.min(n - p * panel), ..columns };
			// SAFETY: each panel belongs to one task and is inside `to`; the columns are inside `from`, as is checked above.
			unsafe {
				let from = from.as_ptr().add(sets[set] + p * panel * columns.column);
				one(isa, here, from, start.get().add(i * size), panel);
			}
		}
	});
}

kernel!(
	/// Packs one panel.
	fn one(columns: Columns, from: *const f32, to: *mut f32, panel: usize) = one_body
);

#[inline(always)]
unsafe fn one_body<S: Simd>(columns: Columns, from: *const f32, to: *mut f32, panel: usize) {
	let Columns { n, k, column, step } = columns;
	// SAFETY: the caller's: `n` columns of `k` elements, and `k` lines of `panel` elements.
	unsafe {
		if column == 1 {
			for i in 0..k {
				let (from, to) = (from.add(i * step), to.add(i * panel));
				for j in (0..panel).step_by(S::LANES) {
					S::store(to.add(j), S::load_n(from.wrapping_add(j), n.saturating_sub(j)));
				}
			}
			return;
		}
		for j in (0..panel).step_by(S::LANES) {
			let here = n.saturating_sub(j).min(S::LANES);
			let from = from.wrapping_add(j * column);
			for i in (0..k).step_by(S::LANES) {
				let rest = S::LANES.min(k - i);
				let mut rows = [S::splat(0.0); 16];
				for (r, row) in rows.iter_mut().enumerate().take(here) {
					*row = S::load_n(from.add(r * column + i), rest);
				}
				S::transpose(&mut rows);
				for (r, row) in rows.iter().enumerate().take(rest) {
					S::store(to.add((i + r) * panel + j), *row);
				}
			}
		}
	}
}

/// The border of an image `[N, H, W, C]`, made for a few lines of output at a time.
#[derive(Clone, Debug)]
pub(crate) struct Strip {
	/// `[N, H, W, C]`
	pub(crate) from: [usize; 4],
	/// Pixels of a line with its border.
	pub(crate) width: usize,
	/// Pixels of border before, along `H, W`.
	pub(crate) before: [usize; 2],
	/// Lines of input from one line of output to the next, and under one line of output.
	pub(crate) step: usize,
	pub(crate) extent: usize,
}

impl Strip {
	/// Floats of the input under so many lines of output.
	pub(crate) fn floats(&self, lines: usize) -> usize {
		(lines.saturating_sub(1) * self.step + self.extent) * self.width * self.from[3]
	}

	/// Writes the input under `lines` lines of output of an image, from line `first` on.
	pub(crate) fn fill(&self, image: usize, first: usize, lines: usize, from: &[f32], to: &mut [f32]) {
		let [_, h, w, c] = self.from;
		let line = self.width * c;
		if line == 0 {
			return;
		}
		for (y, to) in to[..self.floats(lines)].chunks_exact_mut(line).enumerate() {
			match (first * self.step + y).checked_sub(self.before[0]).filter(|y| *y < h) {
				Some(y) => {
					let before = self.before[1].min(self.width);
					let pixels = w.min(self.width - before);
					to[..before * c].fill(0.0);
					let row = &from[(image * h + y) * w * c..];
					to[before * c..][..pixels * c].copy_from_slice(&row[..pixels * c]);
					to[(before + pixels) * c..].fill(0.0);
				}
				None => to.fill(0.0),
			}
		}
	}
}

/// An image `[N, D, H, W, C]` to be copied into a larger (or smaller) one of zeros.
#[derive(Clone, Debug)]
pub(crate) struct Border {
	/// `[N, D, H, W, C]`
	pub(crate) from: [usize; 5],
	/// `D, H, W` of the copy.
	pub(crate) to: [usize; 3],
	/// Elements of border before, along `D, H, W`.
	pub(crate) before: [usize; 3],
}

impl Border {
	/// Elements of the copy.
	pub(crate) fn floats(&self) -> usize {
		self.from[0] * self.to.iter().product::<usize>() * self.from[4]
	}

	/// Copies.
	pub(crate) fn run(&self, pool: &Pool, from: &[f32], to: &mut [f32]) {
		let [n, d, h, w, c] = self.from;
		let [td, th, tw] = self.to;
		let line = tw * c;
		if self.floats() == 0 {
			return;
		}
		assert!(from.len() >= n * d * h * w * c && to.len() >= self.floats());
		let start = Shared(to.as_mut_ptr());
		let lines = n * td * th;
		let tasks = lines.min(4 * pool.threads());
		pool.run(tasks, &|task| {
			for i in task * lines / tasks..(task + 1) * lines / tasks {
				// SAFETY: each line belongs to one task, and is inside `to`.
				let to = unsafe { std::slice::from_raw_parts_mut(start.get().add(i * line), line) };
				let (image, z, y) = (i / (td * th), i / th % td, i % th);
				let inside = |at: usize, before: usize, size: usize| at.checked_sub(before).filter(|at| *at < size);
				match (inside(z, self.before[0], d), inside(y, self.before[1], h)) {
					(Some(z), Some(y)) => {
						let before = self.before[2].min(tw);
						let pixels = w.min(tw - before);
						to[..before * c].fill(0.0);
						let row = &from[((image * d + z) * h + y) * w * c..];
						to[before * c..][..pixels * c].copy_from_slice(&row[..pixels * c]);
						to[(before + pixels) * c..].fill(0.0);
					}
					_ => to.fill(0.0),
				}
			}
		});
	}
}
