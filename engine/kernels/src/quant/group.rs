//! Which operators over integers run as one step.

use super::mixed::{has_float, has_int, has_unary, Code, Mixed, DEPTH};
use crate::{
	build::{elements, Builder},
	group::{is_source, Fused, Group},
	place::Place,
};
use assay_semantics::{
	ops::{self, Binary, PoolKind, Unary},
	DType, Op, ValueId,
};

/// The most operators of a step.
const NODES: usize = 64;

/// What a step over integers does.
pub(crate) enum Kind {
	/// A contraction of bytes, and what follows it; with the Pad whose operand is its own, if there is one.
	Contraction(Option<ValueId>, Vec<Then>),
	/// The maximum of windows.
	Maximum,
	/// Operators on single elements, with the values that they read.
	Mixed(Mixed, Vec<ValueId>),
}

/// What follows a contraction of bytes: operands are weights, for each column or for all.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
	Add(ValueId),
	Sub(ValueId),
	/// Scale and zero point; the latter is one number.
	Quantize {
		divide: bool,
		scale: ValueId,
		zero: ValueId,
	},
}

pub(super) fn is_byte(dtype: DType) -> bool {
	matches!(dtype, DType::I8 | DType::U8)
}

/// A step's operators while they are gathered.
struct Draft<'a> {
	builder: &'a Builder<'a>,
	taken: &'a [bool],
	/// Values that a contraction of floats computes with it.
	after: &'a [bool],
	fuse: bool,
	dims: Vec<u32>,
	codes: Vec<Code>,
	operands: Vec<ValueId>,
	nodes: Vec<ValueId>,
}

impl Builder<'_> {
	/// Steps over integers. What they compute is `taken`.
	pub(crate) fn integer_groups(&self, fuse: bool, taken: &mut [bool]) -> Vec<Group> {
		let nodes = self.model.nodes();
		let needed = |v: usize| !is_source(&nodes[v].op) && (self.readers[v] > 0 || !fuse);
		let mut reader = vec![None; nodes.len()];
		for v in (0..nodes.len()).filter(|v| needed(*v)) {
			nodes[v].inputs.iter().for_each(|i| reader[*i as usize] = Some(v as ValueId));
		}
		let mut groups = Vec::new();
		for v in (0..nodes.len()).filter(|v| needed(*v)) {
			let head = v as ValueId;
			let mut group = vec![head];
			let kind = match &nodes[v].op {
				Op::Conv(_) | Op::MatMul(_) if self.is_dots(head) => {
					let pad = nodes[v].inputs[0];
					let pad = Some(pad).filter(|pad| fuse && !taken[*pad as usize] && self.is_border(*pad, head));
					group.extend(pad);
					let mut then = Vec::new();
					let mut tail = head;
					// What follows reads packed columns, so these must be known.
					while fuse && matches!(self.node(nodes[v].inputs[1]).op, Op::Weight(_)) {
						let next = reader[tail as usize].filter(|_| self.readers[tail as usize] == 1);
						let Some((next, follow)) = next.and_then(|next| Some((next, self.integer_follow(tail, next)?)))
						else {
							break;
						};
						then.push(follow);
						group.push(next);
						tail = next;
						if matches!(follow, Then::Quantize { .. }) {
							break;
						}
					}
					Kind::Contraction(pad, then)
				}
				Op::Pool(pool)
					if pool.kind == PoolKind::Max && is_byte(nodes[v].ty.dtype) && pool.kernel.len() <= 3 =>
				{
					Kind::Maximum
				}
				_ => continue,
			};
			group.iter().for_each(|v| taken[*v as usize] = true);
			// What others read is last.
			group.sort_unstable();
			groups.push(Group { nodes: group, kind: Fused::Integers(kind) });
		}
		let after = self.after_contractions();
		for v in (0..nodes.len()).rev().filter(|v| needed(*v)) {
			if taken[v] {
				continue;
			}
			if let Some(group) = self.mixed(v as ValueId, fuse, taken, &after) {
				group.nodes.iter().for_each(|v| taken[*v as usize] = true);
				groups.push(group);
			}
		}
		groups
	}

	/// Whether a node is a contraction of bytes that has a kernel.
	fn is_dots(&self, v: ValueId) -> bool {
		let node = self.node(v);
		let [a, b] = node.inputs[..] else { return false };
		let (a, b) = (self.ty(a), self.ty(b));
		let fits = match &node.op {
			Op::Conv(conv) => a.dims.len() <= 5 && conv.groups > 0,
			_ => true,
		};
		fits && is_byte(a.dtype) && is_byte(b.dtype) && elements(&node.ty) > 0 && elements(b) > 0
	}

	/// Whether a node is a Pad along the spatial axes that only a convolution without a border reads.
	fn is_border(&self, pad: ValueId, conv: ValueId) -> bool {
		let (Op::Pad(pad_op), Op::Conv(conv_op)) = (&self.node(pad).op, &self.node(conv).op) else { return false };
		let window = &conv_op.window;
		let outer = |list: &[u32]| matches!(list, [0, .., 0]);
		self.readers[pad as usize] == 1
			&& window.before.iter().chain(&window.after).all(|b| *b == 0)
			&& outer(&pad_op.before)
			&& outer(&pad_op.after)
			&& elements(self.ty(self.node(pad).inputs[0])) > 0
	}

	/// Whether a weight has one element for each column of a value, or one for all.
	fn is_column(&self, weight: ValueId, value: ValueId) -> bool {
		let columns = self.ty(value).dims.last().copied().unwrap_or(1);
		match self.ty(weight).dims.split_last() {
			_ if !matches!(self.node(weight).op, Op::Weight(_)) => false,
			None => true,
			Some((last, outer)) => (*last == 1 || *last == columns) && outer.iter().all(|d| *d == 1),
		}
	}

	/// A node as what follows the sums `tail`.
	fn integer_follow(&self, tail: ValueId, v: ValueId) -> Option<Then> {
		let node = self.node(v);
		if node.ty.dims != self.ty(tail).dims {
			return None;
		}
		match (&node.op, &node.inputs[..]) {
			(Op::Binary(Binary::Add), [a, b]) => {
				let other = if *a == tail { *b } else { *a };
				self.is_column(other, tail).then_some(Then::Add(other))
			}
			(Op::Binary(Binary::Sub), [a, b]) if *a == tail => self.is_column(*b, tail).then_some(Then::Sub(*b)),
			(Op::Quantize(op), [x, scale, zero]) if *x == tail && is_byte(node.ty.dtype) => {
				let known = self.is_column(*scale, tail) && self.is_column(*zero, tail);
				let then = Then::Quantize { divide: !op.multiply, scale: *scale, zero: *zero };
				(known && elements(self.ty(*zero)) == 1).then_some(then)
			}
			_ => None,
		}
	}

	/// Values that a contraction of floats may compute with what it sums.
	fn after_contractions(&self) -> Vec<bool> {
		let mut after: Vec<bool> = Vec::with_capacity(self.model.nodes().len());
		for node in self.model.nodes() {
			let follows = || node.inputs.iter().any(|i| after[*i as usize] && self.readers[*i as usize] == 1);
			after.push(match node.op {
				Op::Conv(_) | Op::MatMul(_) => node.ty.dtype == DType::F32,
				Op::Unary(Unary::Relu) | Op::Binary(Binary::Add | Binary::Mul) => {
					node.ty.dtype == DType::F32 && follows()
				}
				_ => false,
			});
		}
		after
	}

	/// The step that ends in a node: it, and what only it reads, if integers are among it.
	fn mixed(&self, v: ValueId, fuse: bool, taken: &[bool], after: &[bool]) -> Option<Group> {
		let root = self.node(v);
		let mut draft = Draft {
			builder: self,
			taken,
			after,
			fuse,
			dims: root.ty.dims.clone(),
			codes: Vec::new(),
			operands: Vec::new(),
			nodes: Vec::new(),
		};
		if !draft.has_kernel(v) || after[v as usize] {
			return None;
		}
		draft.node(v, 0);
		let Draft { mut codes, operands, mut nodes, .. } = draft;
		if !nodes.iter().any(|v| self.is_integer(*v)) {
			return None;
		}
		nodes.sort_unstable();
		joined(&mut codes, |i| elements(self.ty(operands[i])) == 1);
		let mixed = Mixed { codes, dtype: root.ty.dtype };
		Some(Group { nodes, kind: Fused::Integers(Kind::Mixed(mixed, operands)) })
	}

	/// Whether a node has integers on one side.
	fn is_integer(&self, v: ValueId) -> bool {
		let node = self.node(v);
		node.ty.dtype != DType::F32 || node.inputs.iter().any(|i| self.ty(*i).dtype != DType::F32)
	}
}

impl Draft<'_> {
	fn ty(&self, v: ValueId) -> &assay_semantics::TensorType {
		self.builder.ty(v)
	}

	/// Whether the node is one for a step of single elements.
	fn has_kernel(&self, v: ValueId) -> bool {
		let node = self.builder.node(v);
		let of = |i: usize| node.inputs.get(i).map(|v| self.ty(*v).dtype);
		match &node.op {
			Op::Cast(_) => {
				matches!(
					(of(0), node.ty.dtype),
					(Some(DType::I8 | DType::U8 | DType::I32), DType::I32 | DType::F32)
						| (Some(DType::F32), DType::I32 | DType::U8 | DType::I8)
				)
			}
			Op::Quantize(_) => is_byte(node.ty.dtype),
			Op::Binary(op) => match node.ty.dtype {
				DType::I32 => has_int(*op) && of(0) == Some(DType::I32),
				DType::F32 => has_float(*op),
				_ => false,
			},
			Op::Unary(op) => node.ty.dtype == DType::F32 && has_unary(*op),
			_ => false,
		}
	}

	/// Whether the step computes an operand itself, with `depth` levels of the stack in use.
	fn takes(&self, v: ValueId, depth: usize) -> bool {
		let at = v as usize;
		self.fuse
			&& !self.taken[at]
			&& !self.after[at]
			&& self.builder.readers[at] == 1
			&& self.nodes.len() < NODES
			&& depth + 3 <= DEPTH
			&& self.ty(v).dims == self.dims
			&& self.has_kernel(v)
	}

	fn operand(&mut self, v: ValueId) -> usize {
		if let Some(i) = self.operands.iter().position(|o| *o == v) {
			return i;
		}
		self.operands.push(v);
		self.operands.len() - 1
	}

	/// Puts a value on the stack.
	fn value(&mut self, v: ValueId, depth: usize) {
		if self.takes(v, depth) {
			return self.node(v, depth);
		}
		let (place, dtype) = (Place::of(&self.ty(v).dims, &self.dims), self.ty(v).dtype);
		let i = self.operand(v);
		self.codes.push(Code::Load(i, place, dtype));
	}

	/// The one element of a value that is not computed here.
	fn one(&mut self, v: ValueId, depth: usize) -> Option<usize> {
		let single = elements(self.ty(v)) == 1 && !self.takes(v, depth);
		single.then(|| self.operand(v))
	}

	/// Puts what a node computes on the stack.
	fn node(&mut self, v: ValueId, depth: usize) {
		let builder = self.builder;
		let node = builder.node(v);
		self.nodes.push(v);
		match (&node.op, &node.inputs[..]) {
			(Op::Cast(_), [x]) => {
				self.value(*x, depth);
				if self.ty(*x).dtype == DType::F32 {
					self.codes.push(Code::ToInt(node.ty.dtype));
				} else if node.ty.dtype == DType::F32 {
					self.codes.push(Code::ToFloat);
				}
			}
			(Op::Quantize(ops::Quantize { multiply }), [x, scale, zero]) => {
				let (divide, signed) = (!multiply, node.ty.dtype == DType::I8);
				self.value(*x, depth);
				if self.ty(*x).dtype == DType::I32 {
					self.codes.push(Code::ToFloat);
				}
				if let (Some(scale), Some(zero)) = (self.one(*scale, depth + 1), self.one(*zero, depth + 2)) {
					return self.codes.push(Code::Quantize { divide, scale, zero, signed });
				}
				self.value(*scale, depth + 1);
				self.value(*zero, depth + 2);
				self.codes.push(Code::ToFloat);
				self.codes.push(Code::QuantizeEach { divide, signed });
			}
			(Op::Binary(op), [a, b]) if node.ty.dtype == DType::I32 => {
				self.value(*a, depth);
				self.value(*b, depth + 1);
				self.codes.push(Code::Int(*op));
			}
			(Op::Binary(op), [a, b]) => {
				let is_free = matches!(op, Binary::Add | Binary::Mul | Binary::Max | Binary::Min);
				if let Some(i) = self.one(*b, depth + 1) {
					self.value(*a, depth);
					return self.codes.push(Code::FloatOne(*op, i));
				}
				if let Some(i) = self.one(*a, depth + 1).filter(|_| is_free) {
					self.value(*b, depth);
					return self.codes.push(Code::FloatOne(*op, i));
				}
				self.value(*a, depth);
				self.value(*b, depth + 1);
				self.codes.push(Code::Float(*op));
			}
			(Op::Unary(op), [x]) => {
				self.value(*x, depth);
				self.codes.push(Code::Unary(*op));
			}
			_ => {}
		}
	}
}

/// Joins the codes of a dequantisation by one scale and one zero point.
fn joined(codes: &mut Vec<Code>, is_one: impl Fn(usize) -> bool) {
	let mut out: Vec<Code> = Vec::with_capacity(codes.len());
	for code in codes.drain(..) {
		let last = match (&out[..], &code) {
			(
				[.., Code::Load(x, Place::Same, dtype), Code::Load(z, _, DType::I32), Code::Int(Binary::Sub), Code::ToFloat],
				Code::FloatOne(Binary::Mul, s),
			) if is_byte(*dtype) && is_one(*z) => Some((4, *x, Some(*z), *s, *dtype)),
			([.., Code::Load(x, Place::Same, dtype), Code::ToFloat], Code::FloatOne(Binary::Mul, s))
				if is_byte(*dtype) =>
			{
				Some((2, *x, None, *s, *dtype))
			}
			_ => None,
		};
		match last {
			Some((n, from, zero, scale, dtype)) => {
				out.truncate(out.len() - n);
				out.push(Code::Dequantize { from, zero, scale, signed: dtype == DType::I8 });
			}
			None => out.push(code),
		}
	}
	*codes = out;
}
