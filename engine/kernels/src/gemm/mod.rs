//! Contractions: MatMul and Conv as one loop nest over packed panels.
//!
//! The right operand is packed into panels of two vectors, in which the columns of one reduction element lie together. The
//! left operand is read where it is: a convolution's rows are output pixels along one line of the image, whose inputs are
//! a fixed distance apart, and its reduction is a list of contiguous runs. The border is real: each task copies the lines
//! that it needs, with zeros around them. Where rows lie so that they would evict each other from the cache, a tile's rows
//! are copied together first.
//!
//! Loops, from the outside: tasks (by threads), blocks of 256 reduction elements, panels, tiles of rows. A block of a panel
//! so stays in the first cache while it meets the task's rows. No reduction is split between tasks.

mod inner;
mod micro;
mod pack;
mod task;

pub(crate) use micro::{Run, Then};
pub(crate) use pack::{pack, panel_floats, Border, Columns, Strip};

use crate::{
	memory::{Buffer, Shared},
	pool::Pool,
	Isa,
};
use micro::micros;
use std::cell::RefCell;
use task::Rows;

/// Reduction elements of a block: a rule of the semantics.
pub(crate) const BLOCK: usize = 256;

/// Nanoseconds of work for which a second thread is worth its while.
const WORTH: usize = 5_000;

/// Rows of the lines that are cut into tiles as one, at most.
const TOGETHER: usize = 128;

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
	/// Elements between rows of tensors that are added to it.
	pub(crate) ldt: usize,
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

/// Tiles of rows that a task takes of products that lie side by side.
const SIDE_BY_SIDE: usize = 4;

/// How lines are cut into tiles: so many lines as one, into so many tiles.
#[derive(Clone, Copy)]
struct Cut {
	lines: usize,
	tiles: usize,
}

thread_local! {
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
		let lines = self.lines_together(micros.rows);
		let cut = Cut { lines, tiles: (width * lines).div_ceil(micros.rows) };
		let threads = if self.cost() < WORTH { 1 } else { pool.threads() };
		let tasks = self.tasks(threads, cut, panels);
		let c = Shared(on.c.as_mut_ptr());
		let then = SharedThen(on.then);
		let each = |i: usize| {
			let Some(task) = tasks.get(i) else { return };
			let Some(strip) = &self.strip else {
				let rows = Rows { a: on.a.as_ptr(), first: 0 };
				for product in task.products.clone() {
					// SAFETY: the bounds are checked above; tasks write different outputs.
					unsafe { self.task(isa, &micros, task, product, cut, rows, on.b, c.get(), then.get()) }
				}
				return;
			};
			let lines = task.tiles.start / cut.tiles * cut.lines..task.tiles.end / cut.tiles * cut.lines;
			let of_image = self.lines.count[2];
			// Lines of one image, or several images.
			let parts = if cut.lines > 1 { lines.len() / of_image } else { 1 };
			let each = strip.floats(lines.len() / parts);
			STRIP.with(|scratch| {
				scratch.with(parts * each, |to| {
					let to = to.expect("memory for a few lines of an image");
					let count = lines.len() / parts;
					for (i, to) in to.chunks_exact_mut(each.max(1)).enumerate() {
						strip.fill(lines.start / of_image + i, lines.start % of_image, count, on.a, to);
					}
					self.check_rows((parts - 1) * each + (count - 1) * self.lines.stride[2], to.len());
					let rows = Rows { a: to.as_ptr(), first: lines.start };
					for product in task.products.clone() {
						// SAFETY: as above, with the strip as the left operand.
						unsafe { self.task(isa, &micros, task, product, cut, rows, on.b, c.get(), then.get()) }
					}
				})
			});
		};
		match threads {
			1 => (0..tasks.len()).for_each(each),
			_ => pool.run(tasks.len(), &each),
		}
	}

	/// About how long it takes on one thread, in ns: products, and what has to come from far away.
	fn cost(&self) -> usize {
		let products = self.products.len();
		products * (self.rows() * self.n * self.k / 100 + self.n * self.k / 8)
	}

	/// Lines that are cut into tiles as one: all of an image where one line is much less than a tile, and there are enough
	/// columns for the copy that this takes.
	fn lines_together(&self, rows: usize) -> usize {
		let Lines { count, width, .. } = self.lines;
		let all = width * count[2];
		if 4 * width < 3 * rows && count[2] > 1 && all <= TOGETHER && self.n > 64 && self.products.len() == 1 {
			count[2]
		} else {
			1
		}
	}

	/// Asserts that all that is read of the left operand is there, when the last line begins at `last`.
	fn check_rows(&self, last: usize, len: usize) {
		if let Some(reach) = self.reach(last) {
			assert!(self.products.iter().all(|p| p.a + reach < len), "the left operand is too short");
		}
	}

	/// Cuts the products so that every thread has work, and its part of the operands stays in its cache.
	fn tasks(&self, threads: usize, cut: Cut, panels: usize) -> Vec<Task> {
		let part = |n: usize, parts: usize, i: usize| i * n / parts..(i + 1) * n / parts;
		let rows = self.rows();
		let per_line = cut.tiles;
		let all = self.lines.lines() / cut.lines * per_line;
		let products = self.products.len();
		let mut list = Vec::new();
		if let Some(strip) = &self.strip {
			let [images, _, lines] = self.lines.count;
			if cut.lines > 1 {
				// Several images, as weights come from far away.
				let mut cuts = images.div_ceil((TILES / per_line).max(1));
				let mut by_panels = 1;
				if cuts % threads != 0 && panels >= threads {
					by_panels = threads;
				} else {
					cuts = cuts.next_multiple_of(threads).min(images);
				}
				for i in 0..cuts {
					for p in 0..by_panels {
						let images = part(images, cuts, i);
						let tiles = images.start * per_line..images.end * per_line;
						list.push(Task { products: 0..products, tiles, panels: part(panels, by_panels, p) });
					}
				}
				return list;
			}
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
		if products > 1 && self.products.iter().all(|p| p.a < self.lines.step && p.c < self.ldc) {
			// Groups of channels lie side by side: all of them over a few rows, which then are read and written once.
			let by_tiles = all.div_ceil(SIDE_BY_SIDE).next_multiple_of(threads).min(all);
			let task = |t| Task { products: 0..products, tiles: part(all, by_tiles, t), panels: 0..panels };
			return (0..by_tiles).map(task).collect();
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
