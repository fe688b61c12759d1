//! The steps of a plan, and how they run.

use crate::{
	copy::Copy,
	depthwise::Depthwise,
	fold,
	gemm::{pack, panel_floats, Border, Columns, Gemm, Operands, Then},
	memory::{Buffer, Part},
	pick,
	pointwise::{canonical, flush, has_subnormal, make_canonical},
	pool::Pool,
	program::{Operand, Program},
	quant::Job,
	window::Window,
	Isa,
};
use assay_semantics::{evaluate_node, ops, DType, EvalError, Op, Tensor, TensorType, ValueId};
use std::collections::HashMap;

/// Where a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Loc {
	/// In the arena, from this byte on.
	Arena(usize),
	/// In the memory of the outputs, from this byte on.
	Output(usize),
	/// An input: where the caller has it if that can be read as it is, else in the arena from this byte on.
	Input(usize, usize),
	/// A weight.
	Weight(usize),
}

/// What follows a contraction.
#[derive(Clone, Copy, Debug)]
pub(crate) enum After {
	AddColumn(Loc),
	MulColumn(Loc),
	AddTensor(Loc),
	Relu,
}

/// The right operand of a contraction.
pub(crate) enum Right {
	/// A weight, packed when the plan was made.
	Packed(Part),
	/// A value of `whole` elements, packed into `panels` each time: columns from each of the elements `sets` on.
	Computed { from: Loc, whole: usize, panels: Loc, sets: Vec<usize>, columns: Columns },
}

/// A border, and where the image goes that has it.
pub(crate) type Bordered = Option<(Border, Loc)>;

/// What a step does.
pub(crate) enum Work {
	/// The value has the memory of another.
	None,
	/// With the operands, their elements, and whether they are bools.
	Program(Program, Vec<(Loc, usize, bool)>),
	Gemm {
		gemm: Gemm,
		left: Loc,
		/// Elements of the left operand.
		whole: usize,
		right: Right,
		border: Bordered,
		then: Vec<After>,
		/// Elements from the first output to the last.
		span: usize,
	},
	Depthwise {
		depthwise: Depthwise,
		left: Loc,
		whole: usize,
		/// `[taps, channels]`
		weights: Buffer,
		border: Bordered,
		then: Vec<After>,
	},
	/// With the operand's elements.
	Reduce(fold::Reduce, Loc, usize),
	Pool(Window, Loc),
	Move {
		/// The bits of elements that no copy writes.
		fill: Option<u64>,
		/// With the operands and their bytes.
		copies: Vec<(Copy, Loc, usize)>,
		/// Elements from the first of the value to the last.
		span: usize,
	},
	/// With data and its bytes, and indices and their bytes.
	Rows(pick::Rows, [(Loc, usize); 2]),
	/// Over integers.
	Integers(Job),
	/// The element functions of the semantics.
	Reference {
		op: Op,
		operands: Vec<(Loc, TensorType)>,
	},
}

impl Work {
	/// What is read, other than by copies.
	fn reads(&self) -> Vec<Loc> {
		let after = |then: &[After]| -> Vec<Loc> {
			let loc = |after: &After| match after {
				After::AddColumn(loc) | After::MulColumn(loc) | After::AddTensor(loc) => Some(*loc),
				After::Relu => None,
			};
			then.iter().filter_map(loc).collect()
		};
		match self {
			Work::None | Work::Move { .. } => vec![],
			Work::Program(_, list) => list.iter().map(|(loc, ..)| *loc).collect(),
			Work::Gemm { left, right, then, .. } => {
				let mut list = after(then);
				list.push(*left);
				if let Right::Computed { from, .. } = right {
					list.push(*from);
				}
				list
			}
			Work::Depthwise { left, then, .. } => [vec![*left], after(then)].concat(),
			Work::Reduce(_, loc, _) | Work::Pool(_, loc) => vec![*loc],
			Work::Rows(_, list) => list.iter().map(|(loc, _)| *loc).collect(),
			Work::Integers(job) => job.reads(),
			Work::Reference { operands, .. } => operands.iter().map(|(loc, _)| *loc).collect(),
		}
	}
}

/// Makes copies canonicalise where that spares a pass over inputs or outputs. Gives the inputs, of so many, that need not be
/// canonical because only such copies read them, and the outputs that are canonical when their step has run.
pub(crate) fn clean_copies(steps: &mut [Step], inputs: &[TensorType], outputs: &[Loc]) -> (Vec<bool>, Vec<Loc>) {
	let is_input = |loc: &Loc, i: usize| matches!(loc, Loc::Input(n, _) if *n == i);
	let mut lazy: Vec<bool> = inputs.iter().map(|ty| ty.dtype == DType::F32).collect();
	for (i, lazy) in lazy.iter_mut().enumerate() {
		*lazy &= !outputs.iter().any(|loc| is_input(loc, i));
		*lazy &= !steps.iter().any(|step| step.work.reads().iter().any(|loc| is_input(loc, i)));
	}
	let mut settled = Vec::new();
	for step in steps.iter_mut().filter(|step| step.ty.dtype == DType::F32) {
		let (out, all) = (step.out, step.ty.elements());
		let Work::Move { fill, copies, .. } = &mut step.work else { continue };
		let reads_input = copies.iter().any(|(_, loc, _)| matches!(loc, Loc::Input(..)));
		if !reads_input && !outputs.contains(&out) {
			continue;
		}
		let mut are_clean = fill.is_none();
		for (copy, loc, _) in copies.iter_mut() {
			let is_clean = copy.make_clean();
			are_clean &= is_clean;
			if let (false, Loc::Input(i, _)) = (is_clean, *loc) {
				lazy.get_mut(i).map(|lazy| *lazy = false).unwrap_or_default();
			}
		}
		let count: usize = copies.iter().map(|(copy, ..)| copy.count()).sum();
		if are_clean && Some(count as u64) == all {
			settled.push(out);
		}
	}
	(lazy, settled)
}

/// One step: it computes one value.
pub(crate) struct Step {
	pub(crate) value: ValueId,
	pub(crate) work: Work,
	pub(crate) out: Loc,
	pub(crate) ty: TensorType,
}

/// Makes elements canonical, but for the payload of NaN, which no kernel lets out.
pub(crate) fn canonicalise(isa: Isa, dtype: DType, bytes: &mut [u8]) {
	match dtype {
		DType::F32 => {
			// SAFETY: any bits are an f32; what is not aligned stays in the ends, which are empty for aligned memory.
			let (head, floats, tail) = unsafe { bytes.align_to_mut::<f32>() };
			assert!(head.is_empty() && tail.is_empty(), "tensors are aligned");
			flush(isa, floats);
		}
		DType::Bool => bytes.iter_mut().for_each(|b| *b = u8::from(*b != 0)),
		_ if dtype.is_float() => bytes.chunks_exact_mut(dtype.size()).for_each(|x| {
			let bits = x.iter().rev().fold(0, |bits, byte| (bits << 8) | u64::from(*byte));
			x.copy_from_slice(&ops::canonical(dtype, bits).to_le_bytes()[..x.len()]);
		}),
		_ => {}
	}
}

/// The memory of one run.
pub(crate) struct Memory<'a> {
	pub(crate) arena: &'a Buffer,
	pub(crate) outputs: &'a Buffer,
	/// Inputs that are read as they are.
	pub(crate) inputs: &'a [Option<&'a [u8]>],
	pub(crate) weights: &'a HashMap<usize, Buffer>,
}

impl Memory<'_> {
	/// The bytes of a value.
	///
	/// # Safety
	///
	/// Nothing writes there while the slice is used: the plan gives values that live together different memory.
	pub(crate) unsafe fn bytes(&self, loc: Loc, len: usize) -> &[u8] {
		let piece = |buffer: &Buffer, start: usize, len: usize| {
			assert!(start + len <= buffer.bytes().len());
			// SAFETY: inside the buffer; the rest is the caller's.
			unsafe { std::slice::from_raw_parts(buffer.start().add(start).cast_const(), len) }
		};
		match loc {
			Loc::Input(i, _) if self.inputs.get(i).is_some_and(|input| input.is_some()) => {
				self.inputs.get(i).copied().flatten().map_or(&[], |bytes| &bytes[..len])
			}
			Loc::Arena(start) | Loc::Input(_, start) => piece(self.arena, start, len),
			Loc::Output(start) => piece(self.outputs, start, len),
			Loc::Weight(i) => self.weights.get(&i).map_or(&[], |b| &b.bytes()[..len]),
		}
	}

	/// As above, to be written.
	///
	/// # Safety
	///
	/// Nothing else uses the memory while the slice is used.
	#[allow(clippy::mut_from_ref)]
	pub(crate) unsafe fn bytes_mut(&self, loc: Loc, len: usize) -> &mut [u8] {
		let (buffer, start) = match loc {
			Loc::Arena(start) | Loc::Input(_, start) => (self.arena, start),
			Loc::Output(start) => (self.outputs, start),
			Loc::Weight(_) => return &mut [],
		};
		assert!(start + len <= buffer.bytes().len());
		// SAFETY: inside the buffer; the rest is the caller's.
		unsafe { std::slice::from_raw_parts_mut(buffer.start().add(start), len) }
	}

	/// As above, as f32.
	///
	/// # Safety
	///
	/// As above.
	unsafe fn floats(&self, loc: Loc, len: usize) -> &[f32] {
		// SAFETY: values are aligned to 64 bytes, and any bits are an f32; the rest is the caller's.
		unsafe {
			match self.bytes(loc, len * 4) {
				// Nothing has an address of its own, which need not be aligned.
				[] => &[],
				bytes => std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / 4),
			}
		}
	}

	/// As above, as f32, to be written.
	///
	/// # Safety
	///
	/// As above.
	#[allow(clippy::mut_from_ref)]
	unsafe fn floats_mut(&self, loc: Loc, len: usize) -> &mut [f32] {
		// SAFETY: as above.
		unsafe {
			match self.bytes_mut(loc, len * 4) {
				[] => &mut [],
				bytes => std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), bytes.len() / 4),
			}
		}
	}
}

impl Step {
	/// What the step does, in a line.
	pub(crate) fn describe(&self) -> String {
		let what = match &self.work {
			Work::None => "nothing".into(),
			Work::Program(program, _) => {
				format!("program of {} over {} x {}", program.list.len(), program.rows, program.n)
			}
			Work::Gemm { gemm, border, then, .. } => {
				let flops = 2.0 * (gemm.rows() * gemm.n * gemm.k * gemm.products.len()) as f64;
				let (count, width) = (gemm.lines.count, gemm.lines.width);
				let border = if border.is_some() || gemm.strip.is_some() { ", border" } else { "" };
				let (k, n, products, then) = (gemm.k, gemm.n, gemm.products.len(), then.len());
				format!("gemm {products}x {count:?}*{width} k {k} n {n} then {then}{border}, {:.1} MFLOP", flops / 1e6)
			}
			Work::Depthwise { depthwise, .. } => format!("depthwise of {}", depthwise.taps.len()),
			Work::Reduce(reduce, ..) => format!("{reduce:?}"),
			Work::Pool(window, _) => format!("pool {:?}", window.kernel),
			Work::Move { copies, .. } => format!("move of {}", copies.len()),
			Work::Rows(..) => "rows".into(),
			Work::Integers(job) => job.describe(),
			Work::Reference { op, .. } => format!("reference {}", assay_semantics::ops::name(op)),
		};
		format!("%{} {}: {what}", self.value, self.ty)
	}

	/// Runs the step.
	///
	/// The slices taken from memory do not overlap where one is written: the plan keeps operands, scratch and output of a
	/// step apart. That is the reason for every unsafe block here.
	pub(crate) fn run(&self, isa: Isa, pool: &Pool, memory: &Memory) -> Result<(), EvalError> {
		let elements = self.ty.elements().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
		let bytes = elements * self.ty.dtype.size();
		match &self.work {
			Work::None => {}
			Work::Program(program, operands) => {
				let given = operands.iter().map(|(loc, n, is_bools)| match is_bools {
					// SAFETY: see above.
					true => Operand::Bools(unsafe { memory.bytes(*loc, *n) }),
					// SAFETY: see above.
					false => Operand::Floats(unsafe { memory.floats(*loc, *n) }),
				});
				let given: Vec<Operand> = given.collect();
				// SAFETY: see above.
				program.run(isa, pool, &given, unsafe { memory.floats_mut(self.out, elements) });
			}
			Work::Gemm { gemm, left, whole, right, border, then, span } => {
				// SAFETY: see above.
				unsafe {
					let b = match right {
						Right::Packed(panels) => panels.floats(),
						Right::Computed { from, whole, panels, sets, columns } => {
							let size = sets.len() * panel_floats(2 * isa.lanes(), columns.n, columns.k);
							let to = memory.floats_mut(*panels, size);
							pack(isa, pool, sets, *columns, memory.floats(*from, *whole), to);
							memory.floats(*panels, size)
						}
					};
					let a = bordered(pool, memory, *left, *whole, border);
					let then = then_of(memory, then, elements, gemm.ldt);
					let c = memory.floats_mut(self.out, *span);
					gemm.run(isa, pool, Operands { a, b, c, then: &then });
				}
			}
			Work::Depthwise { depthwise, left, whole, weights, border, then } => {
				// SAFETY: see above.
				unsafe {
					let x = bordered(pool, memory, *left, *whole, border);
					let then = then_of(memory, then, elements, depthwise.channels);
					depthwise.run(isa, pool, x, weights.floats(), memory.floats_mut(self.out, elements), &then);
				}
			}
			Work::Reduce(reduce, x, n) => {
				// SAFETY: see above.
				unsafe { reduce.run(isa, pool, memory.floats(*x, *n), memory.floats_mut(self.out, elements)) }
			}
			Work::Pool(window, x) => {
				let n = window.from.iter().product();
				// SAFETY: see above.
				unsafe { window.run(isa, pool, memory.floats(*x, n), memory.floats_mut(self.out, elements)) }
			}
			Work::Move { fill, copies, span } => {
				let size = self.ty.dtype.size();
				// SAFETY: see above.
				let to = unsafe { memory.bytes_mut(self.out, span * size) };
				if let Some(fill) = fill {
					let element = fill.to_le_bytes();
					match size {
						1 => to.fill(element[0]),
						_ => to.chunks_exact_mut(size).for_each(|to| to.copy_from_slice(&element[..size])),
					}
				}
				for (copy, from, n) in copies {
					// SAFETY: see above.
					copy.run(isa, pool, size, unsafe { memory.bytes(*from, *n) }, to);
				}
			}
			Work::Rows(rows, [data, indices]) => {
				// SAFETY: see above.
				unsafe {
					let (data, indices) = (memory.bytes(data.0, data.1), memory.bytes(indices.0, indices.1));
					rows.run(data, indices, memory.bytes_mut(self.out, bytes));
				}
			}
			// SAFETY: see above.
			Work::Integers(job) => unsafe { job.run(isa, pool, memory, self.out, elements) },
			Work::Reference { op, operands } => {
				let mut tensors = Vec::with_capacity(operands.len());
				for (loc, ty) in operands {
					let n = ty.byte_len().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
					// SAFETY: see above.
					tensors.push(Tensor { ty: ty.clone(), bytes: unsafe { memory.bytes(*loc, n) }.to_vec().into() });
				}
				let out = evaluate_node(op, &tensors.iter().collect::<Vec<_>>())?;
				// SAFETY: see above.
				unsafe { memory.bytes_mut(self.out, bytes) }.copy_from_slice(&out.bytes);
			}
		}
		Ok(())
	}
}

/// The image with its border, or as it is.
///
/// # Safety
///
/// As in [`Step::run`].
unsafe fn bordered<'a>(pool: &Pool, memory: &'a Memory, left: Loc, whole: usize, border: &Bordered) -> &'a [f32] {
	// SAFETY: the caller's.
	unsafe {
		let x = memory.floats(left, whole);
		match border {
			None => x,
			Some((border, at)) => {
				border.run(pool, x, memory.floats_mut(*at, border.floats()));
				memory.floats(*at, border.floats())
			}
		}
	}
}

/// What follows, with its operands: `elements` in tensors, `columns` in columns.
///
/// # Safety
///
/// As in [`Step::run`].
unsafe fn then_of(memory: &Memory, then: &[After], elements: usize, columns: usize) -> Vec<Then> {
	// SAFETY: the caller's. `floats` checks that so many are there.
	unsafe {
		then.iter()
			.map(|after| match after {
				After::AddColumn(loc) => Then::AddColumn(memory.floats(*loc, columns).as_ptr()),
				After::MulColumn(loc) => Then::MulColumn(memory.floats(*loc, columns).as_ptr()),
				After::AddTensor(loc) => Then::AddTensor(memory.floats(*loc, elements).as_ptr()),
				After::Relu => Then::Relu,
			})
			.collect()
	}
}

/// Whether a tensor of this type can be read where it is: it is aligned, and its elements are canonical but for NaN.
pub(crate) fn is_ready(isa: Isa, dtype: DType, bytes: &[u8]) -> bool {
	match dtype {
		// SAFETY: any bits are an f32.
		DType::F32 => match unsafe { bytes.align_to::<f32>() } {
			([], floats, []) => !has_subnormal(isa, floats),
			_ => false,
		},
		DType::Bool => bytes.iter().all(|b| *b <= 1),
		_ => !dtype.is_float(),
	}
}

/// Makes NaN canonical in place.
pub(crate) fn settle(isa: Isa, memory: &Memory, loc: Loc, ty: &TensorType) {
	if ty.dtype == DType::F32 {
		let n = ty.elements().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
		// SAFETY: called between steps, when nothing else is written.
		make_canonical(isa, unsafe { memory.floats_mut(loc, n) });
	}
}

/// The canonical tensor of a value.
pub(crate) fn tensor(isa: Isa, memory: &Memory, loc: Loc, ty: &TensorType) -> Tensor {
	let n = ty.byte_len().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
	// SAFETY: called between steps, when nothing is written.
	let from = unsafe { memory.bytes(loc, n) };
	let bytes = if ty.dtype == DType::F32 { canonical(isa, from) } else { from.to_vec() };
	Tensor { ty: ty.clone(), bytes: bytes.into() }
}
