//! Several operators as one step: each piece of the value goes through all of them while it stays in the first cache.
//!
//! A program works on rows. An instruction gives an element for each element of the rows, or one for each row: a reduction
//! of the row does, and so does what is computed from reductions. Softmax and LayerNorm are such programs. Without
//! reductions, a row is one element.

use crate::{
	fold::{self, Kind},
	gemm::Scratch,
	memory::Shared,
	place::Place,
	pointwise::{binary, select, unary, Other, Two},
	pool::Pool,
	Isa,
};
use assay_semantics::ops::{Binary, Unary};
use std::ops::Range;

/// Elements that go through the program together, about.
pub(crate) const PIECE: usize = 2048;

/// Elements times operators for which a second thread is worth its while.
const WORTH: usize = 1 << 14;

/// Where an instruction's result goes, or an argument was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
	/// The value of the program.
	Out,
	/// Elements of the piece.
	Elements(usize),
	/// One for each of its rows.
	Rows(usize),
}

/// What an instruction reads.
#[derive(Clone, Debug)]
pub(crate) enum Arg {
	/// What another instruction gave. `each`: one for each row, where one for each element is needed.
	Slot(Slot, bool),
	/// The operand of this number.
	Operand(usize, Place),
}

/// What an instruction does.
#[derive(Clone, Debug)]
pub(crate) enum Code {
	Load(Arg),
	Unary(Unary, Arg),
	/// Of the arguments at most the second is broadcast; it comes first if the flag is set.
	Binary(Binary, Arg, Arg, bool),
	/// Of each row.
	Reduce(Kind, Arg),
	/// By an operand of bools; the arguments run along, or are the same element everywhere.
	Select(usize, Place, Arg, Arg),
}

/// An instruction.
#[derive(Clone, Debug)]
pub(crate) struct Instruction {
	pub(crate) code: Code,
	pub(crate) to: Slot,
	/// Whether it gives one element for each row.
	pub(crate) each: bool,
}

/// An operand: f32, or bools.
#[derive(Clone, Copy)]
pub(crate) enum Operand<'a> {
	Floats(&'a [f32]),
	Bools(&'a [u8]),
}

impl Operand<'_> {
	fn len(&self) -> usize {
		match self {
			Operand::Floats(x) => x.len(),
			Operand::Bools(x) => x.len(),
		}
	}
}

/// Instructions over rows.
#[derive(Clone, Debug)]
pub(crate) struct Program {
	pub(crate) rows: usize,
	/// Elements of a row.
	pub(crate) n: usize,
	pub(crate) list: Vec<Instruction>,
	/// Slots of elements and of rows.
	pub(crate) elements: usize,
	pub(crate) each: usize,
}

thread_local! {
	static SLOTS: Scratch = const { Scratch::new() };
}

/// One piece: some rows, and where things are.
struct Piece<'a> {
	isa: Isa,
	operands: &'a [Operand<'a>],
	/// The value of the first row.
	out: *mut f32,
	elements: *mut f32,
	/// Floats of a slot of elements, and of one of rows.
	size: usize,
	each: *mut f32,
	most: usize,
	rows: Range<usize>,
	n: usize,
}

/// An argument over a part of an instruction's range.
type Parts<'a> = &'a mut dyn FnMut(usize, usize, usize, Other);

impl Instruction {
	/// The arguments.
	pub(crate) fn args(&self) -> impl Iterator<Item = &Arg> {
		let (a, b) = match &self.code {
			Code::Load(a) | Code::Unary(_, a) | Code::Reduce(_, a) => (a, None),
			Code::Binary(_, a, b, _) | Code::Select(_, _, a, b) => (a, Some(b)),
		};
		std::iter::once(a).chain(b)
	}
}

impl Program {
	/// The arguments of all instructions.
	pub(crate) fn args(&self) -> impl Iterator<Item = &Arg> {
		self.list.iter().flat_map(Instruction::args)
	}

	/// Whether an operand is bools.
	pub(crate) fn is_bools(&self, operand: usize) -> bool {
		self.list.iter().any(|instruction| matches!(&instruction.code, Code::Select(i, ..) if *i == operand))
	}

	/// Says that the rows of an operand that runs along lie at a distance: it is copied together first.
	pub(crate) fn set_pitch(&mut self, operand: usize, columns: usize, pitch: usize) {
		let mut slot = None;
		for instruction in &mut self.list {
			let (a, b) = match &mut instruction.code {
				Code::Load(a) | Code::Unary(_, a) | Code::Reduce(_, a) => (a, None),
				Code::Binary(_, a, b, _) | Code::Select(_, _, a, b) => (a, Some(b)),
			};
			for arg in std::iter::once(a).chain(b) {
				if matches!(arg, Arg::Operand(i, Place::Same) if *i == operand) {
					let slot = *slot.get_or_insert_with(|| {
						self.elements += 1;
						Slot::Elements(self.elements - 1)
					});
					*arg = Arg::Slot(slot, false);
				}
			}
		}
		if let Some(to) = slot {
			let code = Code::Load(Arg::Operand(operand, Place::Rows(columns, pitch)));
			self.list.insert(0, Instruction { code, to, each: false });
		}
	}

	/// Whether the value has one element for each row.
	fn gives_rows(&self) -> bool {
		self.list.last().is_some_and(|last| last.each)
	}

	/// Runs the program. Operands are numbered as the instructions number them.
	pub(crate) fn run(&self, isa: Isa, pool: &Pool, operands: &[Operand], out: &mut [f32]) {
		let &Self { rows, n, .. } = self;
		if rows == 0 || n == 0 {
			return;
		}
		let step = if self.gives_rows() { 1 } else { n };
		assert!(out.len() >= rows * step, "the value is too short");
		let check = |i: usize, place: &Place, len: usize, floats: bool| {
			let operand = operands.get(i).expect("an operand for each number");
			assert!(matches!(operand, Operand::Floats(_)) == floats, "an operand of another type");
			assert!(operand.len() >= place.reach(len), "an operand is too short");
		};
		for instruction in &self.list {
			let is_reduction = matches!(instruction.code, Code::Reduce(..));
			let len = if instruction.each && !is_reduction { rows } else { rows * n };
			if let Code::Select(i, place, ..) = &instruction.code {
				check(*i, place, len, false);
			}
			for arg in instruction.args() {
				if let Arg::Operand(i, place) = arg {
					check(*i, place, len, true);
				}
			}
		}
		let most = (PIECE / n).max(1).min(rows);
		let size = (most * n).next_multiple_of(16);
		let each = most.next_multiple_of(16);
		let pieces = rows.div_ceil(most);
		let tasks = if rows * n * self.list.len() < WORTH { 1 } else { pieces.min(4 * pool.threads()) };
		let start = Shared(out.as_mut_ptr());
		pool.run(tasks, &|task| {
			SLOTS.with(|scratch| {
				scratch.with(self.elements * size + self.each * each, |slots| {
					let slots = slots.expect("memory for a few rows").as_mut_ptr();
					for piece in task * pieces / tasks..(task + 1) * pieces / tasks {
						let rows = piece * most..rows.min((piece + 1) * most);
						let piece = Piece {
							isa,
							operands,
							out: start.get().wrapping_add(rows.start * step),
							elements: slots,
							size,
							each: slots.wrapping_add(self.elements * size),
							most: each,
							rows,
							n,
						};
						// SAFETY: each piece belongs to one task, its rows are inside the value, the slots hold a piece, and
						// operands are as long as is checked above.
						self.list.iter().for_each(|instruction| unsafe { piece.run(instruction) });
					}
				})
			});
		});
	}
}

impl Piece<'_> {
	fn slot(&self, slot: Slot) -> *mut f32 {
		match slot {
			Slot::Out => self.out,
			Slot::Elements(i) => self.elements.wrapping_add(i * self.size),
			Slot::Rows(i) => self.each.wrapping_add(i * self.most),
		}
	}

	/// An argument that runs along with the elements.
	fn along(&self, arg: &Arg, start: usize) -> *const f32 {
		match arg {
			Arg::Slot(slot, _) => self.slot(*slot),
			Arg::Operand(i, _) => match self.operands[*i] {
				Operand::Floats(x) => x.as_ptr().wrapping_add(start),
				Operand::Bools(_) => std::ptr::null(),
			},
		}
	}

	/// An argument that runs along, or is one element.
	///
	/// # Safety
	///
	/// The operand has an element.
	unsafe fn simple(&self, arg: &Arg, start: usize) -> Other {
		match arg {
			Arg::Operand(_, Place::Cycle(1)) => {
				// SAFETY: the caller's.
				Other::One(unsafe { *self.along(arg, 0) })
			}
			_ => Other::Run(self.along(arg, start)),
		}
	}

	/// Calls `f` with the parts of an argument over a range: first element in the range, rows and their elements.
	///
	/// # Safety
	///
	/// The operand is as long as its place says.
	unsafe fn parts(&self, arg: &Arg, range: Range<usize>, is_each: bool, f: Parts) {
		let (rows, n) = if is_each { (1, range.len()) } else { (self.rows.len(), self.n) };
		match arg {
			Arg::Slot(slot, true) => f(0, rows, n, Other::Each(self.slot(*slot))),
			Arg::Slot(slot, false) => f(0, 1, range.len(), Other::Run(self.slot(*slot))),
			Arg::Operand(_, place) => {
				let from = self.along(arg, 0);
				match place {
					Place::Cycle(period) if *period == n && n > 1 && !is_each => f(0, rows, n, Other::Row(from)),
					Place::Repeat(len) if *len == n && n > 1 && !is_each => {
						f(0, rows, n, Other::Each(from.wrapping_add(self.rows.start)))
					}
					_ => place.parts(range, |part| {
						let other = match part.stays {
							// SAFETY: the caller's.
							true => Other::One(unsafe { *from.add(part.from) }),
							false => Other::Run(from.wrapping_add(part.from)),
						};
						f(part.at, 1, part.n, other);
					}),
				}
			}
		}
	}

	/// # Safety
	///
	/// The operands are as long as their places say, and nothing else uses the piece's part of the value.
	unsafe fn run(&self, instruction: &Instruction) {
		let Self { isa, n, .. } = *self;
		let is_each = instruction.each;
		let range = if is_each { self.rows.clone() } else { self.rows.start * n..self.rows.end * n };
		let (start, len) = (range.start, range.len());
		let y = self.slot(instruction.to);
		// SAFETY, for all of it: the caller's.
		unsafe {
			match &instruction.code {
				Code::Load(x) => self.parts(x, range, is_each, &mut |at, rows, n, other| {
					for r in 0..rows {
						let y = std::slice::from_raw_parts_mut(y.add(at + r * n), n);
						match other {
							Other::Run(x) => y.copy_from_slice(std::slice::from_raw_parts(x.add(r * n), n)),
							Other::Row(x) => y.copy_from_slice(std::slice::from_raw_parts(x, n)),
							Other::One(x) => y.fill(x),
							Other::Each(x) => y.fill(*x.add(r)),
						}
					}
				}),
				Code::Unary(op, x) => unary(isa, *op, self.along(x, start), y, len),
				Code::Binary(op, x, other, swap) => {
					let x = self.along(x, start);
					self.parts(other, range, is_each, &mut |at, rows, n, other| {
						binary(isa, *op, &Two { x: x.wrapping_add(at), other, y: y.wrapping_add(at), rows, n }, *swap);
					});
				}
				Code::Reduce(kind, x) => {
					let x = self.along(x, self.rows.start * n);
					fold::rows(isa, *kind, x, n, y, self.rows.len());
				}
				Code::Select(i, place, a, b) => {
					let Operand::Bools(c) = self.operands[*i] else { return };
					let (a, b) = (self.simple(a, start), self.simple(b, start));
					let after = |other: Other, at: usize| match other {
						Other::Run(x) => Other::Run(x.wrapping_add(at)),
						other => other,
					};
					place.parts(range, |part| {
						let (a, b, y) = (after(a, part.at), after(b, part.at), y.add(part.at));
						let c = c.as_ptr().add(part.from);
						if !part.stays {
							return select(isa, c, a, b, y, part.n);
						}
						match if *c != 0 { a } else { b } {
							Other::Run(x) => std::ptr::copy(x, y, part.n),
							Other::One(x) => std::slice::from_raw_parts_mut(y, part.n).fill(x),
							_ => {}
						}
					});
				}
			}
		}
	}
}
