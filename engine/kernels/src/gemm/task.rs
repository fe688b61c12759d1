//! One task: the loops over blocks, panels and tiles.

use super::{
	micro::{Micros, Run, Then, Tile},
	Cut, Gemm, Product, Scratch, Task, BLOCK,
};
use crate::Isa;

/// Elements between the rows of a tile that was copied together: a block, and a line so that rows do not collide.
const PACKED_ROW: usize = BLOCK + 16;

/// Floats of a line of the cache.
const LINE: usize = 16;

/// Floats of a right operand that counts as small.
const SMALL: usize = 1 << 16;

/// Where the rows of a task's tiles are: from `a` on, of which the first line is `first`.
#[derive(Clone, Copy)]
pub(super) struct Rows {
	pub(super) a: *const f32,
	pub(super) first: usize,
}

thread_local! {
	static PACKED: Scratch = const { Scratch::new() };
}

/// What is to be asked for: from where, and how far it goes on with each element.
type Next = (*const f32, usize);

/// The operands of a task.
struct Place<'a> {
	isa: Isa,
	micros: &'a Micros,
	product: Product,
	cut: Cut,
	/// The most rows of a tile.
	most: usize,
	/// The left operand of the product.
	rows: Rows,
	/// The right operand of the product.
	b: *const f32,
	c: *mut f32,
	then: &'a [Then],
}

impl Gemm {
	/// # Safety
	///
	/// The operands are as long as [`Gemm::run`] checks, nothing else touches the task's outputs, and `then` is valid.
	pub(super) unsafe fn task(
		&self,
		isa: Isa,
		micros: &Micros,
		task: &Task,
		product: usize,
		cut: Cut,
		rows: Rows,
		b: &[f32],
		c: *mut f32,
		then: &[Then],
	) {
		let most = (self.lines.width * cut.lines).div_ceil(cut.tiles);
		let packed = if cut.lines > 1 || self.collides(most) { task.tiles.len() * micros.rows * PACKED_ROW } else { 0 };
		let place = Place {
			isa,
			micros,
			product: self.products[product],
			cut,
			most,
			rows: Rows { a: rows.a.wrapping_add(self.products[product].a), first: rows.first },
			b: b.as_ptr().wrapping_add(self.products[product].b),
			c,
			then,
		};
		if packed == 0 {
			// SAFETY: the caller's.
			return unsafe { self.blocks(task, &place, std::ptr::null_mut()) };
		}
		PACKED.with(|scratch| {
			scratch.with(packed, |to| {
				let to = to.expect("memory for a few rows").as_mut_ptr();
				// SAFETY: the caller's.
				unsafe { self.blocks(task, &place, to) }
			})
		});
	}

	/// The first element of a row.
	fn start(&self, row: usize, first: usize, cut: Cut) -> usize {
		let (line, at) = (row / self.lines.width, row % self.lines.width);
		let line = match &self.strip {
			None => self.lines.start(line),
			Some(strip) if cut.lines > 1 => {
				let (image, line) = ((line - first) / cut.lines, (line - first) % cut.lines);
				image * strip.floats(cut.lines) + line * self.lines.stride[2]
			}
			Some(_) => (line - first) * self.lines.stride[2],
		};
		line + at * self.lines.step
	}

	/// Copies the rows of the task's tiles together, of one block.
	///
	/// # Safety
	///
	/// As [`Gemm::task`]; `to` has room.
	unsafe fn copy_rows(&self, task: &Task, place: &Place, runs: &[Run], to: *mut f32) {
		for (slot, tile) in task.tiles.clone().enumerate() {
			let (row, rows) = self.tile(tile, place.cut);
			for i in 0..rows {
				let from = place.rows.a.wrapping_add(self.start(row + i, place.rows.first, place.cut));
				let mut to = to.wrapping_add((slot * place.micros.rows + i) * PACKED_ROW);
				for run in runs {
					// SAFETY: the run is inside the left operand, and a block fits the packed row.
					unsafe {
						let from = from.add(run.offset);
						std::ptr::copy_nonoverlapping(from, to, run.len);
						to = to.add(run.len);
					}
				}
			}
		}
	}

	/// # Safety
	///
	/// As [`Gemm::task`]; `packed_rows` is null or has room for the rows of all tiles.
	unsafe fn blocks(&self, task: &Task, place: &Place, packed_rows: *mut f32) {
		let (lanes, panel_width) = (place.isa.lanes(), 2 * place.isa.lanes());
		let panel = panel_width * self.k;
		let full = self.n / panel_width;
		let &Place { micros, product, cut, most, rows: Rows { a, first }, b, c, then, .. } = place;
		// Panels that are taken together from `p` on: how many, and vectors of them.
		let together_from = |p: usize| {
			let left = full.min(task.panels.end).saturating_sub(p);
			if left >= 4 && most <= micros.rows4 {
				(4, 8)
			} else if left >= 2 && most <= micros.rows2 {
				(2, 4)
			} else if self.n - p * panel_width > lanes {
				(1, 2)
			} else {
				(1, 1)
			}
		};
		// Where a tile's outputs are, from panel `p` on.
		let output = |tile: usize, p: usize| product.c + self.tile(tile, cut).0 * self.ldc + p * panel_width;
		let added = then.iter().find_map(|then| match then {
			Then::AddTensor(p) if self.ldt == self.ldc => Some((*p as isize - c as isize) / size_of::<f32>() as isize),
			_ => None,
		});
		// One tile through block `at`, which begins at element `k`; what is asked for meanwhile, and the tile that follows.
		let call = |(at, k): (usize, usize),
		            (slot, tile): (usize, usize),
		            p: usize,
		            vectors: usize,
		            next: Next,
		            (then_tile, then_p): (usize, usize)| {
			let runs = &self.blocks[at];
			let (row, rows) = self.tile(tile, cut);
			let element = output(tile, p);
			let together = [Run { offset: 0, len: runs.iter().map(|run| run.len).sum() }];
			let (a, lda, runs) = if packed_rows.is_null() {
				(a.wrapping_add(self.start(row, first, cut)), self.lines.step, runs.as_slice())
			} else {
				let start = slot * micros.rows * PACKED_ROW;
				(packed_rows.wrapping_add(start).cast_const(), PACKED_ROW, together.as_slice())
			};
			let is_last = at + 1 == self.blocks.len();
			let column = p * panel_width;
			let tile = Tile {
				a,
				lda,
				runs,
				b: b.wrapping_add(p * panel + k * panel_width),
				panel,
				next: next.0,
				ahead: next.1,
				next_c: c.wrapping_add(output(then_tile, then_p)),
				next_rows: rows,
				next_tensor: added.filter(|_| is_last).unwrap_or(0),
				c: c.wrapping_add(element),
				ldc: self.ldc,
				columns: self.n - column,
				first: at == 0,
				then: is_last.then_some(then),
				// Products are side by side in a row of the output, or whole outputs apart.
				column: if product.c < self.ldc { product.c } else { 0 } + column,
				ldt: self.ldt,
				element: product.c + row * self.ldt + column,
			};
			// SAFETY: the tile is inside the operands, which the caller vouches for.
			unsafe { (micros.get)(rows, vectors)(&tile) };
		};
		let idle: Next = (b, 0);
		// Lines that a tile can ask for beside the outputs of the next.
		let asks = |len: usize| len.saturating_sub(2 * most) / 2 * 2;
		// A few rows: each panel is read from end to end, as it comes from memory.
		if task.tiles.len() == 1 && packed_rows.is_null() {
			let tile = task.tiles.start;
			let mut p = task.panels.start;
			while p < task.panels.end {
				let (step, vectors) = together_from(p);
				for (block, _) in self.starts() {
					call(block, (0, tile), p, vectors, idle, (tile, p));
				}
				p += step;
			}
			return;
		}
		// Rows that follow each other are read as one stretch.
		let stretch = self.strip.is_none() && self.lines.step == self.k;
		for ((at, k), len) in self.starts() {
			if !packed_rows.is_null() {
				// SAFETY: the caller's.
				unsafe { self.copy_rows(task, place, &self.blocks[at], packed_rows) };
			}
			// A small right operand stays in the second cache, and whole rows of output are written together.
			if self.blocks.len() == 1 && panel * task.panels.len() <= SMALL {
				for tile in task.tiles.clone().enumerate() {
					let (row, rows) = self.tile(tile.1, cut);
					// The rows of the next tile, a part with each panel.
					let is_next = stretch && packed_rows.is_null() && tile.1 + 1 < task.tiles.end;
					let mut lines = if is_next { rows * self.k / LINE } else { 0 };
					let mut next = if is_next { a.wrapping_add(self.start(row + rows, first, cut)) } else { b };
					let mut p = task.panels.start;
					while p < task.panels.end {
						let (step, vectors) = together_from(p);
						let after = if p + step < task.panels.end {
							(tile.1, p + step)
						} else {
							(tile.1 + 1, task.panels.start)
						};
						call((at, k), tile, p, vectors, if lines > 0 { (next, LINE) } else { idle }, after);
						p += step;
						next = next.wrapping_add(asks(len) * LINE);
						lines = lines.saturating_sub(asks(len));
					}
				}
				continue;
			}
			let mut p = task.panels.start;
			while p < task.panels.end {
				let (step, vectors) = together_from(p);
				// The block that comes next: the same of the next panels, or the next of the first.
				let (next, count) = if p + step < task.panels.end {
					let next = b.wrapping_add((p + step) * panel + k * panel_width);
					(next, step.min(task.panels.end - p - step))
				} else if at + 1 < self.blocks.len() {
					let first = task.panels.start;
					(b.wrapping_add(first * panel + (k + len) * panel_width), together_from(first).0)
				} else {
					(b, 0)
				};
				// Each tile asks for a part of it, as evenly as can be: what is under way has only so much room.
				let floats = panel_width * len;
				let parts = (task.tiles.len() / count.max(1)).max(1);
				let share = floats.div_ceil(parts);
				let ahead = share.div_ceil(asks(len).max(1)).min(LINE);
				for tile in task.tiles.clone().enumerate() {
					let slot = tile.0;
					let next = if slot < count * parts {
						(next.wrapping_add(slot / parts * panel + slot % parts * share), ahead)
					} else {
						idle
					};
					let after =
						if tile.1 + 1 < task.tiles.end { (tile.1 + 1, p) } else { (task.tiles.start, p + step) };
					call((at, k), tile, p, vectors, next, after);
				}
				p += step;
			}
		}
	}

	/// The blocks: number and first element of each, and its elements.
	fn starts(&self) -> impl Iterator<Item = ((usize, usize), usize)> + '_ {
		let mut k = 0;
		self.blocks.iter().enumerate().map(move |(at, runs)| {
			let len = runs.iter().map(|run| run.len).sum();
			k += len;
			((at, k - len), len)
		})
	}

	/// The first row of a tile, and how many there are. The rows of a line are shared out evenly.
	fn tile(&self, tile: usize, cut: Cut) -> (usize, usize) {
		let (line, i) = (tile / cut.tiles, tile % cut.tiles);
		let width = self.lines.width * cut.lines;
		let (start, end) = (i * width / cut.tiles, (i + 1) * width / cut.tiles);
		(line * width + start, end - start)
	}
}
