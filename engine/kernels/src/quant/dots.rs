//! Contractions of bytes: MatMul and Conv as tiles over packed panels.
//!
//! The right operand is packed into panels of two vectors of columns, word by word of the reduction. The left operand's rows
//! are copied together, a task's at a time, with the border. Sums wrap modulo 2^32 and are never split between tasks.

#[cfg(target_arch = "x86_64")]
use super::amx;
use super::{
	finish::{Columns, To},
	micro::{micros, Tile, BLOCK},
	rows::{gather, Mode, Part, Rows},
};
use crate::{
	gemm::Scratch,
	memory::{Buffer, Shared},
	pool::Pool,
	Isa,
};

/// Bytes of rows that a task copies together, about.
const ROWS: usize = 1 << 18;

/// One of several products of the same shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
	/// Its first element in the left operand.
	pub(crate) a: usize,
	/// Its set of columns in the right operand.
	pub(crate) set: usize,
	/// Its first element in the output.
	pub(crate) c: usize,
}

/// A contraction of bytes.
#[derive(Clone, Debug)]
pub(crate) struct Dots {
	pub(crate) rows: Rows,
	/// Elements of the reduction.
	pub(crate) k: usize,
	/// Columns of a product, and sets of them in the right operand.
	pub(crate) n: usize,
	pub(crate) sets: usize,
	/// Elements between rows of the output.
	pub(crate) ldc: usize,
	/// Whether the operands are signed.
	pub(crate) signed: [bool; 2],
	pub(crate) products: Vec<Product>,
}

/// The right operand in panels.
pub(crate) struct Panels {
	/// Words.
	pub(crate) words: Buffer,
	/// What is added to the sums of each column; the padding of the panels included.
	pub(crate) bias: Buffer,
	/// What they are multiplied with; likewise.
	pub(crate) scale: Buffer,
}

/// A pointer to read from, shared by tasks.
#[derive(Clone, Copy)]
struct Source<T>(*const T);

// SAFETY: only read, while the operands are borrowed.
unsafe impl<T> Sync for Source<T> {}

impl<T> Source<T> {
	fn get(&self) -> *const T {
		self.0
	}
}

thread_local! {
	static PACKED: Scratch = const { Scratch::new() };
}

impl Dots {
	/// Columns of a set with the padding of its panels.
	pub(crate) fn padded(&self, isa: Isa) -> usize {
		self.n.next_multiple_of(2 * micros(isa, self.signed[1]).lanes)
	}

	/// Words of a reduction.
	fn words(&self, isa: Isa) -> usize {
		let micros = micros(isa, self.signed[1]);
		self.k.div_ceil(4 / micros.element).max(1).next_multiple_of(micros.step)
	}

	/// Empty panels: words, bias and scale for all sets.
	pub(crate) fn panels(&self, isa: Isa) -> Option<Panels> {
		let columns = self.sets * self.padded(isa);
		Some(Panels {
			words: Buffer::new(4 * columns * self.words(isa))?,
			bias: Buffer::new(4 * columns)?,
			scale: Buffer::new(4 * columns)?,
		})
	}

	/// Packs the right operand, `[sets, n, k]`, and adds to the bias what makes up for a signed left operand, whose elements
	/// are taken 128 larger where bytes are multiplied.
	pub(crate) fn pack(&self, isa: Isa, pool: &Pool, from: &[u8], panels: &mut Panels) {
		let micros = micros(isa, self.signed[1]);
		let (n, k, per_word, width) = (self.n, self.k, 4 / micros.element, 2 * micros.lanes);
		let (padded, words) = (self.padded(isa), self.words(isa));
		let flips = micros.element == 1 && self.signed[0];
		assert!(from.len() >= self.sets * n * k, "the right operand is too short");
		let (to, bias) = (Shared(panels.words.bytes_mut().as_mut_ptr()), Shared(panels.bias.bytes_mut().as_mut_ptr()));
		let per_set = padded / width;
		let signed = self.signed[1];
		pool.run(self.sets * per_set, &|task| {
			let (set, first) = (task / per_set, task % per_set * width);
			// SAFETY: each task has a panel of its own and its columns' bias.
			let (to, bias) = unsafe {
				let panel = to.get().add(4 * (set * padded + first) * words);
				let bias = bias.get().cast::<i32>().add(set * padded + first);
				(std::slice::from_raw_parts_mut(panel, 4 * width * words), std::slice::from_raw_parts_mut(bias, width))
			};
			for (j, bias) in bias.iter_mut().enumerate().take(n.saturating_sub(first).min(width)) {
				let column = &from[((set * n) + first + j) * k..][..k];
				for (w, part) in column.chunks(per_word).enumerate() {
					let to = &mut to[4 * (w * width + j)..][..4];
					for (i, x) in part.iter().enumerate() {
						match micros.element {
							1 => to[i] = *x,
							_ => {
								let x = if signed { i16::from(*x as i8) } else { i16::from(*x) };
								to[2 * i..][..2].copy_from_slice(&x.to_le_bytes());
							}
						}
					}
				}
				if flips {
					let sum = column.iter().fold(0i32, |sum, x| sum.wrapping_add(i32::from(*x as i8)));
					*bias = bias.wrapping_sub(sum.wrapping_mul(128));
				}
			}
		});
	}

	/// Computes all products. `c` has elements of `to`'s size.
	pub(crate) fn run(&self, isa: Isa, pool: &Pool, a: &[u8], panels: &Panels, to: To, c: &mut [u8]) {
		let micros = micros(isa, self.signed[1]);
		let (rows, n, k) = (self.rows.count(), self.n, self.k);
		if rows == 0 || n == 0 || self.products.is_empty() {
			return;
		}
		let (padded, words, width, size) = (self.padded(isa), self.words(isa), 2 * micros.lanes, to.size());
		// The bounds that make the raw accesses below right.
		for product in &self.products {
			assert!(self.rows.reach(product.a, k) <= a.len() || k == 0, "the left operand is too short");
			assert!((product.c + (rows - 1) * self.ldc + n) * size <= c.len(), "the output is too short");
			assert!(product.set < self.sets, "no such columns");
		}
		let columns = self.sets * padded;
		assert!(panels.words.bytes().len() >= 4 * columns * words, "the panels are too short");
		assert!(panels.bias.bytes().len() >= 4 * columns && panels.scale.bytes().len() >= 4 * columns);
		let mode = match (micros.element, self.signed[0]) {
			(1, false) => Mode::Same,
			(1, true) => Mode::Flip,
			(_, false) => Mode::Widen,
			(_, true) => Mode::WidenSigned,
		};
		// Bytes of a packed row: whole blocks.
		let row = words.div_ceil(BLOCK).max(1) * 4 * BLOCK;
		#[cfg(target_arch = "x86_64")]
		let slack = if micros.step > 1 { amx::SLACK } else { 0 };
		#[cfg(not(target_arch = "x86_64"))]
		let slack = 0;
		let tiles = rows.div_ceil(micros.rows);
		let most = (ROWS / (row * micros.rows)).clamp(1, 32);
		let threads = pool.threads();
		let count = self.products.len();
		let panels_of = padded / width;
		let mut by_rows = tiles.div_ceil(most);
		let mut by_panels = 1;
		if threads > 1 && count * by_rows < 4 * threads {
			if tiles >= 4 * threads {
				by_rows = by_rows.next_multiple_of(threads);
			} else if count * by_rows < threads || n > rows {
				by_panels = threads.min(panels_of);
			}
		}
		let (from, out) = (Source(a.as_ptr()), Shared(c.as_mut_ptr()));
		let words_of = Source(panels.words.bytes().as_ptr().cast::<i32>());
		let bias = Source(panels.bias.bytes().as_ptr().cast::<i32>());
		let scale = Source(panels.scale.floats().as_ptr());
		pool.run(count * by_rows * by_panels, &|task| {
			let (part, rest) = (task % by_panels, task / by_panels);
			let (cut, product) = (rest % by_rows, self.products[rest / by_rows]);
			// Rows are shared out evenly, or by whole registers.
			let tile = |i: usize| if micros.step > 1 { rows.min(i * micros.rows) } else { i * rows / tiles };
			let (first_tile, end_tile) = (cut * tiles / by_rows, (cut + 1) * tiles / by_rows);
			let (first_panel, end_panel) = (part * panels_of / by_panels, (part + 1) * panels_of / by_panels);
			let start = tile(first_tile);
			let bytes = (tile(end_tile) - start) * row + slack;
			#[cfg(target_arch = "x86_64")]
			// SAFETY: an `Isa` with these instructions is only made where they may be used.
			let _registers = (micros.step > 1).then(|| unsafe { amx::Registers::set() });
			PACKED.with(|scratch| {
				scratch.with(bytes / 4, |packed| {
					let packed = packed.expect("memory for a few rows").as_mut_ptr().cast::<u8>();
					for i in first_tile..end_tile {
						let part = Part {
							from: &self.rows,
							mode,
							a: from.get().wrapping_add(product.a),
							end: from.get().wrapping_add(a.len()),
							first: tile(i),
							rows: tile(i + 1) - tile(i),
							k,
							to: packed.wrapping_add((tile(i) - start) * row),
						};
						// SAFETY: the rows are inside the left operand, as is checked above; there is room for them.
						unsafe { gather(isa, &part) };
					}
					for p in first_panel..end_panel {
						let columns = n - p * width;
						let vectors = if columns > micros.lanes { 2 } else { 1 };
						let column = product.set * padded + p * width;
						for i in first_tile..end_tile {
							let rows = tile(i + 1) - tile(i);
							let b = words_of.get().wrapping_add(column * words);
							// The first two tiles ask for the next panel, each for a half; the others for what is there.
							let next = match i - first_tile {
								part @ (0 | 1) if p + 1 < end_panel => b.wrapping_add((width + part * 16) * words),
								_ => b,
							};
							let element = product.c + tile(i) * self.ldc + p * width;
							let call = Tile {
								a: packed.wrapping_add((tile(i) - start) * row).cast_const().cast(),
								rows,
								words,
								b,
								next,
								c: out.get().wrapping_add(element * size),
								ldc: self.ldc * size,
								columns,
								operands: Columns {
									bias: bias.get().wrapping_add(column),
									scale: scale.get().wrapping_add(column),
								},
								to,
							};
							// SAFETY: all of it is inside the operands, as is checked above; tasks write different outputs.
							unsafe { (micros.get)(rows, vectors)(&call) };
						}
					}
				})
			});
		});
	}
}
