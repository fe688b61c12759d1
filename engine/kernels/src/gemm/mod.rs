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
pub(crate) use pack::{pack, panel_floats, Border, Strip};

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
	/// The border, which each task makes for its own lines. Lines then run along `[N, 1, H]`, and their distances are those
	/// in the image with its border.
	pub(crate) strip: Option<Strip>,
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

/// What a task computes: tiles of rows by panels. Where there is a border, the tiles are those of whole lines of an image.
struct Task {
	products: std::ops::Range<usize>,
	tiles: std::ops::Range<usize>,
	panels: std::ops::Range<usize>,
}

/// Where the rows of a task's tiles are: from `a` on, of which the first line is `first`.
#[derive(Clone, Copy)]
struct Rows {
	a: *const f32,
	first: usize,
}

thread_local! {
	static PACKED: Scratch = const { Scratch::new() };
	static STRIP: Scratch = const { Scratch::new() };
}

/// A thread's memory for copies.
pub(crate) struct Scratch(RefCell<Option<Buffer>>);

impl Scratch {
	/// None yet.
	pub(crate) const fn new() -> Self {
		Self(RefCell::new(None))
	}

	/// Calls `f` with so many floats of any value, or with none where there is no memory.
	pub(crate) fn with<R>(&self, floats: usize, f: impl FnOnce(Option<&mut [f32]>) -> R) -> R {
		let mut buffer = self.0.borrow_mut();
		if buffer.as_ref().is_none_or(|b| b.floats().len() < floats) {
			*buffer = Buffer::new(floats * 4);
		}
		f(buffer.as_mut().map(|b| &mut b.floats_mut()[..floats]))
	}
}

/// Rows that a task with a border takes about, floats of its strip at most, and lines if these allow it.
const STRIP_ROWS: usize = 224;
const STRIP_FLOATS: usize = 3 << 16;
const STRIP_LINES: usize = 4;

/// Lines of output of `width` pixels that a task with a border takes.
pub(crate) fn strip_lines(strip: &Strip, width: usize, lines: usize) -> usize {
	let mut count = (STRIP_ROWS / width.max(1)).max(STRIP_LINES).min(lines.max(1));
	while count > 1 && strip.floats(count) > STRIP_FLOATS {
		count -= 1;
	}
	count
}

impl Gemm {
	/// Rows of each product.
	pub(crate) fn rows(&self) -> usize {
		self.lines.lines() * self.lines.width
	}

	/// The last element of the left operand that a product reads over these lines, relative to its start; none if it reads
	/// nothing.
	fn reach(&self, last: usize) -> Option<usize> {
		let run = self.blocks.iter().flatten().map(|run| run.offset + run.len - 1).max()?;
		Some(last + self.lines.width.checked_sub(1)? * self.lines.step + run)
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
		let last = (self.rows() - 1) * self.ldc + self.n;
		for product in &self.products {
			assert!(product.b + panels * panel * self.k <= on.b.len(), "the right operand is too short");
			assert!(product.c + last <= on.c.len(), "the output is too short");
		}
		match &self.strip {
			None => self.check_rows(self.lines.start(self.lines.lines() - 1), on.a.len()),
			Some(strip) => assert!(on.a.len() >= strip.from.iter().product(), "the image is too short"),
		}
		let per_line = width.div_ceil(micros.rows);
		let tasks = self.tasks(pool.threads(), per_line, panels);
		let c = Shared(on.c.as_mut_ptr());
		let then = SharedThen(on.then);
		pool.run(tasks.len(), &|i| {
			let Some(task) = tasks.get(i) else { return };
			let Some(strip) = &self.strip else {
				let rows = Rows { a: on.a.as_ptr(), first: 0 };
				for product in task.products.clone() {
					// SAFETY: the bounds are checked above; tasks write different outputs.
					unsafe { self.task(isa, &micros, task, product, per_line, rows, on.b, c.get(), then.get()) }
				}
				return;
			};
			let lines = task.tiles.start / per_line..task.tiles.end / per_line;
			let of_image = self.lines.count[2];
			STRIP.with(|scratch| {
				scratch.with(strip.floats(lines.len()), |to| {
					let to = to.expect("memory for a few lines of an image");
					strip.fill(lines.start / of_image, lines.start % of_image, lines.len(), on.a, to);
					self.check_rows((lines.len() - 1) * self.lines.stride[2], to.len());
					let rows = Rows { a: to.as_ptr(), first: lines.start };
					for product in task.products.clone() {
						// SAFETY: as above, with the strip as the left operand.
						unsafe { self.task(isa, &micros, task, product, per_line, rows, on.b, c.get(), then.get()) }
					}
				})
			});
		});
	}

	/// Asserts that all that is read of the left operand is there, when the last line begins at `last`.
	fn check_rows(&self, last: usize, len: usize) {
		if let Some(reach) = self.reach(last) {
			assert!(self.products.iter().all(|p| p.a + reach < len), "the left operand is too short");
		}
	}

	/// Cuts the products so that every thread has work, and its part of the operands stays in its cache.
	fn tasks(&self, threads: usize, per_line: usize, panels: usize) -> Vec<Task> {
		let part = |n: usize, parts: usize, i: usize| i * n / parts..(i + 1) * n / parts;
		let rows = self.rows();
		let all = self.lines.lines() * per_line;
		let products = self.products.len();
		let mut list = Vec::new();
		if let Some(strip) = &self.strip {
			let [images, _, lines] = self.lines.count;
			let mut cuts = lines.div_ceil(strip_lines(strip, self.lines.width, lines));
			let mut by_panels = 1;
			if images * cuts < threads {
				if self.n >= rows && panels >= threads {
					by_panels = threads;
				} else {
					cuts = threads.min(lines);
				}
			} else if images * cuts < 4 * threads {
				cuts = cuts.next_multiple_of(threads).min(lines);
			}
			for i in 0..images * cuts {
				let cut = part(lines, cuts, i % cuts);
				let first = i / cuts * lines;
				for p in 0..by_panels {
					let tiles = (first + cut.start) * per_line..(first + cut.end) * per_line;
					list.push(Task { products: 0..products, tiles, panels: part(panels, by_panels, p) });
				}
			}
			return list;
		}
		let mut by_tiles = all.div_ceil(TILES);
		let mut by_panels = 1;
		if threads > 1 && products * by_tiles < 4 * threads {
			// The larger operand is read once.
			if self.n > rows && panels >= threads {
				by_panels = if products * by_tiles >= threads { 1 } else { threads };
				if self.n > 2 * rows {
					by_panels = threads;
				}
			} else if products < threads {
				by_tiles = by_tiles.next_multiple_of(threads).min(all);
			}
		}
		for product in 0..products {
			for p in 0..by_panels {
				for t in 0..by_tiles {
					let (tiles, panels) = (part(all, by_tiles, t), part(panels, by_panels, p));
					list.push(Task { products: product..product + 1, tiles, panels });
				}
			}
		}
		list
	}

	/// # Safety
	///
	/// The operands are as long as [`Gemm::run`] checks, nothing else touches the task's outputs, and `then` is valid.
	unsafe fn task(
		&self,
		isa: Isa,
		micros: &Micros,
		task: &Task,
		product: usize,
		per_line: usize,
		rows: Rows,
		b: &[f32],
		c: *mut f32,
		then: &[Then],
	) {
		let width = self.lines.width;
		let most = width.div_ceil(per_line);
		let packed = if self.collides(most) { task.tiles.len() * micros.rows * PACKED_ROW } else { 0 };
		let place = Place {
			isa,
			micros,
			product: self.products[product],
			per_line,
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
				// Without memory for the copy, rows are read where they are.
				let to = to.map_or(std::ptr::null_mut(), |to| to.as_mut_ptr());
				// SAFETY: the caller's.
				unsafe { self.blocks(task, &place, to) }
			})
		});
	}

	/// The first element of a row.
	fn start(&self, row: usize, first: usize) -> usize {
		let (line, at) = (row / self.lines.width, row % self.lines.width);
		let line = if self.strip.is_some() { (line - first) * self.lines.stride[2] } else { self.lines.start(line) };
		line + at * self.lines.step
	}

	/// Copies the rows of the task's tiles together, of one block.
	///
	/// # Safety
	///
	/// As [`Gemm::task`]; `to` has room.
	unsafe fn copy_rows(&self, task: &Task, place: &Place, runs: &[Run], to: *mut f32) {
		for (slot, tile) in task.tiles.clone().enumerate() {
			let (row, rows) = self.tile(tile, place.per_line);
			let from = place.rows.a.wrapping_add(self.start(row, place.rows.first));
			for i in 0..rows {
				let mut to = to.wrapping_add((slot * place.micros.rows + i) * PACKED_ROW);
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

	/// # Safety
	///
	/// As [`Gemm::task`]; `packed_rows` is null or has room for the rows of all tiles.
	unsafe fn blocks(&self, task: &Task, place: &Place, packed_rows: *mut f32) {
		let (lanes, panel_width) = (place.isa.lanes(), 2 * place.isa.lanes());
		let panel = panel_width * self.k;
		let full = self.n / panel_width;
		let &Place { micros, product, per_line, most, rows: Rows { a, first }, b, c, then, .. } = place;
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
		// One tile through block `at`, which begins at element `k`.
		let call = |(at, k): (usize, usize), (slot, tile): (usize, usize), p: usize, vectors: usize, next: Next| {
			let runs = &self.blocks[at];
			let (row, rows) = self.tile(tile, per_line);
			let column = p * panel_width;
			let element = product.c + row * self.ldc + column;
			let together = [Run { offset: 0, len: runs.iter().map(|run| run.len).sum() }];
			let (a, lda, runs) = if packed_rows.is_null() {
				(a.wrapping_add(self.start(row, first)), self.lines.step, runs.as_slice())
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
				next: next.0,
				ahead: next.1,
				c: c.wrapping_add(element),
				ldc: self.ldc,
				columns: self.n - column,
				first: at == 0,
				then: (at + 1 == self.blocks.len()).then_some(then),
				column: product.c % self.ldc.max(1) + column,
				element,
			};
			// SAFETY: the tile is inside the operands, which the caller vouches for.
			unsafe { (micros.get)(rows, vectors)(&tile) };
		};
		let idle: Next = (b, 0);
		// A few rows: each panel is read from end to end, as it comes from memory.
		if task.tiles.len() == 1 && packed_rows.is_null() {
			let mut p = task.panels.start;
			while p < task.panels.end {
				let (step, vectors) = together_from(p);
				for (block, _) in self.starts() {
					call(block, (0, task.tiles.start), p, vectors, idle);
				}
				p += step;
			}
			return;
		}
		for ((at, k), len) in self.starts() {
			if !packed_rows.is_null() {
				// SAFETY: the caller's.
				unsafe { self.copy_rows(task, place, &self.blocks[at], packed_rows) };
			}
			// A small right operand stays in the second cache, and whole rows of output are written together.
			if self.blocks.len() == 1 && panel * task.panels.len() <= SMALL {
				for tile in task.tiles.clone().enumerate() {
					let mut p = task.panels.start;
					while p < task.panels.end {
						let (step, vectors) = together_from(p);
						call((at, k), tile, p, vectors, idle);
						p += step;
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
				// Each tile asks for a part of it.
				let parts = panel_width / LINE;
				for tile in task.tiles.clone().enumerate() {
					let slot = tile.0;
					let next = if slot < count * parts {
						(next.wrapping_add(slot / parts * panel + slot % parts * len * LINE), LINE)
					} else {
						idle
					};
					call((at, k), tile, p, vectors, next);
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
	fn tile(&self, tile: usize, per_line: usize) -> (usize, usize) {
		let (line, i) = (tile / per_line, tile % per_line);
		let width = self.lines.width;
		let (start, end) = (i * width / per_line, (i + 1) * width / per_line);
		(line * width + start, end - start)
	}
}

/// What is to be asked for: from where, and how far it goes on with each element.
type Next = (*const f32, usize);

/// The operands of a task.
struct Place<'a> {
	isa: Isa,
	micros: &'a Micros,
	product: Product,
	/// Tiles of a line, and the most rows of a tile.
	per_line: usize,
	most: usize,
	/// The left operand of the product.
	rows: Rows,
	/// The right operand of the product.
	b: *const f32,
	c: *mut f32,
	then: &'a [Then],
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
