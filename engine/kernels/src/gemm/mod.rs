//! Contractions: MatMul and Conv as one loop nest over packed panels.
//!
//! The right operand is packed into panels of two vectors, in which the columns of one reduction element lie together. The
//! left operand is read where it is: a convolution's rows are output pixels along one line of the image, whose inputs are
//! a fixed distance apart, and its reduction is a list of contiguous runs. The border is real: the input is copied once
//! into a larger image of zeros. Where rows lie so that they would evict each other from the cache, a tile's rows are
//! copied together first.
//!
//! Loops, from the outside: tasks (by threads), blocks of 256 reduction elements, panels, tiles of rows. A block of a panel
//! so stays in the first cache while it meets the task's rows. No reduction is split between tasks.

mod micro;
mod pack;

pub(crate) use micro::{Run, Then};
pub(crate) use pack::{pack, panel_floats, Border};

use crate::{
	memory::{Buffer, Shared},
	pool::Pool,
	Isa,
};
use micro::{micros, Micros, Tile};
use std::cell::RefCell;

/// Reduction elements of a block: a rule of the semantics.
pub(crate) const BLOCK: usize = 256;

/// Elements between the rows of a tile that was copied together: a block, and a line so that rows do not collide.
const PACKED_ROW: usize = BLOCK + 16;

/// Floats of a line of the cache.
const LINE: usize = 16;

/// Floats of a right operand that counts as small.
const SMALL: usize = 1 << 16;

/// Tiles of rows that a task takes together at most.
const TILES: usize = 16;

/// One of several products of the same shape: where its operands and outputs begin, in elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
	/// In the left operand.
	pub(crate) a: usize,
	/// In the packed right operand.
	pub(crate) b: usize,
	/// In the output.
	pub(crate) c: usize,
}

/// Lines of rows: `count[0] * count[1] * count[2]` lines of `width` rows each.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
	/// Lines along each of three axes.
	pub(crate) count: [usize; 3],
	/// Elements between them, in the left operand.
	pub(crate) stride: [usize; 3],
	/// Rows of a line.
	pub(crate) width: usize,
	/// Elements between rows, in the left operand.
	pub(crate) step: usize,
}

impl Lines {
	/// Joins axes whose lines follow each other at the same distance, so that tiles are cut from long lines.
	pub(crate) fn joined(mut self) -> Self {
		for axis in (0..3).rev() {
			if self.count[axis] != 1 && self.stride[axis] != self.width * self.step {
				break;
			}
			self.width *= self.count[axis];
			self.count[axis] = 1;
		}
		self
	}

	fn lines(&self) -> usize {
		self.count.iter().product()
	}

	fn start(&self, line: usize) -> usize {
		let [_, y, x] = self.count;
		let at = [line / (y * x), line / x % y, line % x];
		at.iter().zip(self.stride).map(|(i, s)| i * s).sum()
	}
}

/// A contraction whose operands are known by shape.
#[derive(Clone, Debug)]
pub(crate) struct Gemm {
	/// The rows.
	pub(crate) lines: Lines,
	/// The reduction, cut into blocks.
	pub(crate) blocks: Vec<Vec<Run>>,
	/// Elements of the reduction.
	pub(crate) k: usize,
	/// Columns of each product.
	pub(crate) n: usize,
	/// Elements between rows of the output.
	pub(crate) ldc: usize,
	/// The products.
	pub(crate) products: Vec<Product>,
}

/// The runs of a reduction cut into blocks, with runs joined that follow each other.
pub(crate) fn blocks(runs: impl IntoIterator<Item = Run>) -> Vec<Vec<Run>> {
	let mut joined: Vec<Run> = Vec::new();
	for run in runs.into_iter().filter(|run| run.len > 0) {
		match joined.last_mut() {
			Some(last) if last.offset + last.len == run.offset => last.len += run.len,
			_ => joined.push(run),
		}
	}
	let (mut out, mut block, mut room) = (Vec::new(), Vec::new(), BLOCK);
	for mut run in joined {
		while run.len > 0 {
			let len = run.len.min(room);
			block.push(Run { offset: run.offset, len });
			run = Run { offset: run.offset + len, len: run.len - len };
			room -= len;
			if room == 0 {
				out.push(std::mem::take(&mut block));
				room = BLOCK;
			}
		}
	}
	// A reduction of nothing is one block of nothing: the sum is +0, and what follows, follows.
	if !block.is_empty() || out.is_empty() {
		out.push(block);
	}
	out
}

/// The operands of one execution.
pub(crate) struct Operands<'a> {
	/// The left operand.
	pub(crate) a: &'a [f32],
	/// The right operand, packed.
	pub(crate) b: &'a [f32],
	/// The output.
	pub(crate) c: &'a mut [f32],
	/// What follows.
	pub(crate) then: &'a [Then],
}

/// What a task computes: tiles of rows by panels, of one product.
struct Task {
	product: Product,
	tiles: std::ops::Range<usize>,
	panels: std::ops::Range<usize>,
}

thread_local! {
	static PACKED: RefCell<Option<Buffer>> = const { RefCell::new(None) };
}

impl Gemm {
	/// Rows of each product.
	pub(crate) fn rows(&self) -> usize {
		self.lines.lines() * self.lines.width
	}

	/// The last element of the left operand that a product reads, relative to its start; none if it reads nothing.
	fn reach(&self) -> Option<usize> {
		let run = self.blocks.iter().flatten().map(|run| run.offset + run.len - 1).max()?;
		let lines = self.lines.lines().checked_sub(1)?;
		Some(self.lines.start(lines) + self.lines.width.checked_sub(1)? * self.lines.step + run)
	}

	/// Whether the rows of a tile would evict each other from the first cache: all of them in the same lines of it.
	fn collides(&self, rows: usize) -> bool {
		rows > 8 && (self.lines.step * 4).is_multiple_of(4096)
	}

	/// Computes all products.
	///
	/// `then` may hold pointers to operands; they are valid for the shape of the output.
	pub(crate) fn run(&self, isa: Isa, pool: &Pool, on: Operands) {
		let micros = micros(isa);
		let panel = 2 * isa.lanes();
		let (panels, width) = (self.n.div_ceil(panel), self.lines.width);
		if panels == 0 || width == 0 || self.lines.lines() == 0 || self.products.is_empty() {
			return;
		}
		// The bounds that make the raw accesses below right.
		let reach = self.reach();
		let last = (self.rows() - 1) * self.ldc + self.n;
		for product in &self.products {
			assert!(reach.is_none_or(|reach| product.a + reach < on.a.len()), "the left operand is too short");
			assert!(product.b + panels * panel * self.k <= on.b.len(), "the right operand is too short");
			assert!(product.c + last <= on.c.len(), "the output is too short");
		}
		let per_line = width.div_ceil(micros.rows);
		let tiles = self.lines.lines() * per_line;
		let tasks = self.tasks(pool.threads(), tiles, panels);
		let c = Shared(on.c.as_mut_ptr());
		let then = SharedThen(on.then);
		pool.run(tasks.len(), &|i| {
			if let Some(task) = tasks.get(i) {
				// SAFETY: the bounds are checked above; tasks write different outputs.
				unsafe { self.task(isa, &micros, task, per_line, on.a, on.b, c.get(), then.get()) }
			}
		});
	}

	/// Cuts the products so that every thread has work, and its part of the operands stays in its cache.
	fn tasks(&self, threads: usize, tiles: usize, panels: usize) -> Vec<Task> {
		let rows = self.rows();
		let mut by_tiles = tiles.div_ceil(TILES);
		let mut by_panels = 1;
		let products = self.products.len();
		if threads > 1 && products * by_tiles < 4 * threads {
			// The larger operand is read once.
			if self.n > rows && panels >= threads {
				by_panels = if products * by_tiles >= threads { 1 } else { threads };
				if self.n > 2 * rows {
					by_panels = threads;
				}
			} else if products < threads {
				by_tiles = by_tiles.next_multiple_of(threads).min(tiles);
			}
		}
		let part = |n: usize, parts: usize, i: usize| i * n / parts..(i + 1) * n / parts;
		let mut tasks = Vec::with_capacity(products * by_tiles * by_panels);
		for product in &self.products {
			for p in 0..by_panels {
				for t in 0..by_tiles {
					let (tiles, panels) = (part(tiles, by_tiles, t), part(panels, by_panels, p));
					tasks.push(Task { product: *product, tiles, panels });
				}
			}
		}
		tasks
	}

	/// # Safety
	///
	/// The operands are as long as [`Gemm::run`] checks, nothing else touches the task's outputs, and `then` is valid.
	unsafe fn task(
		&self,
		isa: Isa,
		micros: &Micros,
		task: &Task,
		per_line: usize,
		a: &[f32],
		b: &[f32],
		c: *mut f32,
		then: &[Then],
	) {
		let (lanes, panel_width) = (isa.lanes(), 2 * isa.lanes());
		let panel = panel_width * self.k;
		let width = self.lines.width;
		let most = width.div_ceil(per_line);
		let collides = self.collides(most);
		let full = self.n / panel_width;
		let a = a.as_ptr().wrapping_add(task.product.a);
		let b = b.as_ptr().wrapping_add(task.product.b);
		PACKED.with(|packed| {
			let mut packed = packed.borrow_mut();
			let mut packed_rows = std::ptr::null_mut();
			if collides {
				let floats = task.tiles.len() * micros.rows * PACKED_ROW;
				if packed.as_ref().is_none_or(|b| b.floats().len() < floats) {
					*packed = Buffer::new(floats * 4);
				}
				packed_rows = match packed.as_mut() {
					Some(buffer) => buffer.floats_mut().as_mut_ptr(),
					// Without memory for the copy, rows are read where they are.
					None => std::ptr::null_mut(),
				};
			}
			let mut k = 0;
			for (at, runs) in self.blocks.iter().enumerate() {
				let len: usize = runs.iter().map(|run| run.len).sum();
				let together = [Run { offset: 0, len }];
				if !packed_rows.is_null() {
					for (slot, tile) in task.tiles.clone().enumerate() {
						let (row, rows) = self.tile(tile, per_line);
						let from = a.wrapping_add(self.lines.start(row / width) + row % width * self.lines.step);
						for i in 0..rows {
							let mut to = packed_rows.wrapping_add((slot * micros.rows + i) * PACKED_ROW);
							for run in runs {
								// SAFETY: the run is inside the left operand, and a block fits the packed row.
								unsafe {
									let from = from.add(i * self.lines.step + run.offset);
									std::ptr::copy_nonoverlapping(from, to, run.len);
									to = to.add(run.len);
								}
							}
						}
					}
				}
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
				let call = |slot: usize, tile: usize, p: usize, vectors: usize, (next, ahead): (*const f32, usize)| {
					let (row, rows) = self.tile(tile, per_line);
					let column = p * panel_width;
					let element = task.product.c + row * self.ldc + column;
					let (a, lda, runs) = if packed_rows.is_null() {
						let start = self.lines.start(row / width) + row % width * self.lines.step;
						(a.wrapping_add(start), self.lines.step, runs.as_slice())
					} else {
						let start = slot * micros.rows * PACKED_ROW;
						(packed_rows.wrapping_add(start).cast_const(), PACKED_ROW, together.as_slice())
					};
					let tile = Tile {
						a,
						lda,
						runs,
						b: b.wrapping_add(p * panel + k * panel_width),
						panel,
						next,
						ahead,
						c: c.wrapping_add(element),
						ldc: self.ldc,
						columns: self.n - column,
						first: at == 0,
						then: (at + 1 == self.blocks.len()).then_some(then),
						column: task.product.c % self.ldc.max(1) + column,
						element,
					};
					// SAFETY: the tile is inside the operands, which the caller vouches for.
					unsafe { (micros.get)(rows, vectors)(&tile) };
				};
				// A small right operand stays in the second cache, and whole rows of output are written together.
				if self.blocks.len() == 1 && panel * task.panels.len() <= SMALL {
					for (slot, tile) in task.tiles.clone().enumerate() {
						let mut p = task.panels.start;
						while p < task.panels.end {
							let (step, vectors) = together_from(p);
							call(slot, tile, p, vectors, (b, 0));
							p += step;
						}
					}
				} else {
					let mut p = task.panels.start;
					while p < task.panels.end {
						let (step, vectors) = together_from(p);
						// The block that comes next: the same of the next panels, or the next of the first.
						let (next, count) = if p + step < task.panels.end {
							(b.wrapping_add((p + step) * panel + k * panel_width), step.min(task.panels.end - p - step))
						} else if at + 1 < self.blocks.len() {
							let first = task.panels.start;
							(b.wrapping_add(first * panel + (k + len) * panel_width), together_from(first).0)
						} else {
							(b, 0)
						};
						// Each tile asks for a part of it.
						let parts = panel_width / LINE;
						for (slot, tile) in task.tiles.clone().enumerate() {
							let ahead = if slot < count * parts {
								let start = slot / parts * panel + slot % parts * len * LINE;
								(next.wrapping_add(start), LINE)
							} else {
								(b, 0)
							};
							call(slot, tile, p, vectors, ahead);
						}
						p += step;
					}
				}
				k += len;
			}
		});
	}

	/// The first row of a tile, and how many there are. The rows of a line are shared out evenly.
	fn tile(&self, tile: usize, per_line: usize) -> (usize, usize) {
		let (line, i) = (tile / per_line, tile % per_line);
		let width = self.lines.width;
		let (start, end) = (i * width / per_line, (i + 1) * width / per_line);
		(line * width + start, end - start)
	}
}

/// Operators that follow, shared by tasks.
#[derive(Clone, Copy)]
struct SharedThen<'a>(&'a [Then]);

// SAFETY: the pointers in it are only read.
unsafe impl Sync for SharedThen<'_> {}

impl<'a> SharedThen<'a> {
	fn get(&self) -> &'a [Then] {
		self.0
	}
}
