//! Panels of the right operand, and images with a border.

use crate::{
	memory::{Shared, ALIGN},
	pool::Pool,
};

/// Floats of the packed form of `n` columns of `k` elements.
pub(crate) fn panel_floats(panel: usize, n: usize, k: usize) -> usize {
	n.div_ceil(panel) * panel * k
}

/// Packs `n` columns of `k` contiguous elements each: panel by panel, in each the columns of one element together. Columns
/// that a panel lacks are +0. `value` is applied to each element.
pub(crate) fn pack(pool: &Pool, panel: usize, n: usize, k: usize, from: &[f32], to: &mut [f32], value: fn(f32) -> f32) {
	let (panels, size) = (n.div_ceil(panel), panel * k);
	assert!(from.len() >= n * k && to.len() >= panels * size);
	let start = Shared(to.as_mut_ptr());
	pool.run(panels, &|p| {
		// SAFETY: each task has a panel of its own, inside `to`.
		let to = unsafe { std::slice::from_raw_parts_mut(start.get().add(p * size), size) };
		let columns = panel.min(n - p * panel);
		// By parts of the columns, so that what is read and written stays in the first cache.
		for first in (0..k).step_by(ALIGN) {
			let part = first..k.min(first + ALIGN);
			for j in 0..columns {
				let column = &from[(p * panel + j) * k..][..k];
				for (x, to) in column[part.clone()].iter().zip(to[part.start * panel + j..].iter_mut().step_by(panel)) {
					*to = value(*x);
				}
			}
		}
		for to in to.chunks_exact_mut(panel) {
			to[columns..].fill(0.0);
		}
	});
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
