//! Operators on elements and rows put together as programs.

use crate::{
	build::{elements, Builder},
	fold,
	group::{is_source, Fused, Group},
	place::Place,
	pointwise::{has_binary, has_unary},
	program::{Arg, Code, Instruction, Program, Slot, PIECE},
};
use assay_semantics::{DType, Op, ValueId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Elements of a row at most, in programs that reduce rows.
const LONGEST: usize = 1 << 14;

/// The rows of a program, as far as they are known.
struct Shape {
	/// Dimensions of what has one element for each element.
	whole: Vec<u32>,
	/// Dimensions of what has one for each row: those of `whole`, and 1 from some axis on.
	each: Option<Vec<u32>>,
}

impl Shape {
	/// Whether these are the dimensions of one element for each row; decides where rows begin, if that is open.
	fn is_each(&mut self, dims: &[u32]) -> bool {
		if let Some(each) = &self.each {
			return each == dims;
		}
		if dims.len() != self.whole.len() {
			return false;
		}
		let Some(first) = (0..dims.len()).find(|i| dims[*i] != self.whole[*i]) else { return false };
		let n: usize = self.whole[first..].iter().map(|d| *d as usize).product();
		if dims[first..].iter().any(|d| *d != 1) || n > LONGEST {
			return false;
		}
		self.each = Some(dims.to_vec());
		true
	}
}

/// Writes instructions, and gives them slots.
struct Writer {
	list: Vec<Instruction>,
	operands: Vec<ValueId>,
	free: [Vec<Slot>; 2],
	count: [usize; 2],
}

impl Writer {
	fn take(&mut self, each: bool) -> Slot {
		let kind = usize::from(each);
		self.free[kind].pop().unwrap_or_else(|| {
			self.count[kind] += 1;
			if each {
				Slot::Rows(self.count[1] - 1)
			} else {
				Slot::Elements(self.count[0] - 1)
			}
		})
	}

	fn operand(&mut self, v: ValueId, place: Place) -> Arg {
		let i = self.operands.iter().position(|o| *o == v).unwrap_or_else(|| {
			self.operands.push(v);
			self.operands.len() - 1
		});
		Arg::Operand(i, place)
	}

	/// Loads an argument into a slot of its own, to be given back after the next instruction.
	fn load(&mut self, arg: Arg, each: bool, loaded: &mut Vec<Slot>) -> Arg {
		let to = self.take(each);
		self.list.push(Instruction { code: Code::Load(arg), to, each });
		loaded.push(to);
		Arg::Slot(to, false)
	}
}

/// Whether an argument runs along with the elements.
fn is_along(arg: &Arg) -> bool {
	matches!(arg, Arg::Slot(_, false) | Arg::Operand(_, Place::Same))
}

impl Builder<'_> {
	/// Whether a program can have this node.
	fn can_be_in_program(&self, v: ValueId) -> bool {
		let node = self.node(v);
		if node.ty.dtype != DType::F32 || elements(&node.ty) == 0 {
			return false;
		}
		match &node.op {
			Op::Unary(op) => has_unary(*op),
			Op::Binary(op) => has_binary(*op),
			Op::Select(_) => true,
			Op::Reduce(reduce) => {
				let dims = &self.ty(node.inputs[0]).dims;
				fold::Kind::of(reduce.kind)
					.and_then(|kind| fold::Reduce::new(kind, dims, &reduce.axes))
					.is_some_and(|reduce| reduce.inner == 1 && (2..=LONGEST).contains(&reduce.reduced))
			}
			_ => false,
		}
	}

	/// The dimensions of a reduction of these, if it keeps them.
	fn kept(&self, v: ValueId, axes: &[u8]) -> Vec<u32> {
		let dims = self.ty(v).dims.iter().enumerate();
		dims.map(|(i, d)| if axes.iter().any(|a| usize::from(*a) == i) { 1 } else { *d }).collect()
	}

	/// The program that gives `root`: with all operators that are only there for it, if they fit. None where there is no
	/// kernel, or for a reduction alone.
	pub(crate) fn program(&self, root: ValueId, fuse: bool, taken: &[bool]) -> Option<Group> {
		if !self.can_be_in_program(root) {
			return None;
		}
		let node = self.node(root);
		let mut shape = match &node.op {
			Op::Reduce(reduce) => Shape {
				whole: self.ty(node.inputs[0]).dims.clone(),
				each: Some(self.kept(node.inputs[0], &reduce.axes)),
			},
			_ => Shape { whole: node.ty.dims.clone(), each: None },
		};
		// Members, and whether they have one element for each row.
		let mut members: BTreeMap<ValueId, bool> = BTreeMap::new();
		members.insert(root, matches!(node.op, Op::Reduce(_)));
		// How often members read a value; the latest value first, as its readers are known by then.
		let mut reads: HashMap<ValueId, u32> = HashMap::new();
		let mut open: BTreeSet<ValueId> = BTreeSet::new();
		let enter = |v: ValueId, open: &mut BTreeSet<ValueId>, reads: &mut HashMap<ValueId, u32>| {
			for input in &self.node(v).inputs {
				*reads.entry(*input).or_default() += 1;
				open.insert(*input);
			}
		};
		enter(root, &mut open, &mut reads);
		while let Some(v) = open.pop_last().filter(|_| fuse) {
			let node = self.node(v);
			let only_here = reads.get(&v) == Some(&self.readers[v as usize]);
			let is_output = v as usize >= self.model.first_output();
			if is_source(&node.op) || taken[v as usize] || is_output || !only_here || !self.can_be_in_program(v) {
				continue;
			}
			let each = match &node.op {
				Op::Reduce(reduce) => {
					let whole = self.ty(node.inputs[0]).dims == shape.whole;
					if !whole
						|| node.ty.dims != self.kept(node.inputs[0], &reduce.axes)
						|| !shape.is_each(&node.ty.dims)
					{
						continue;
					}
					true
				}
				_ if node.ty.dims == shape.whole => false,
				_ if shape.is_each(&node.ty.dims) => true,
				_ => continue,
			};
			members.insert(v, each);
			enter(v, &mut open, &mut reads);
		}
		let is_alone = members.len() == 1 && matches!(node.op, Op::Reduce(_));
		(!is_alone).then(|| self.compile(root, &shape, &members))
	}

	/// The program of these nodes.
	fn compile(&self, root: ValueId, shape: &Shape, members: &BTreeMap<ValueId, bool>) -> Group {
		let gives_rows = members[&root];
		let free = [if gives_rows { vec![] } else { vec![Slot::Out] }, vec![]];
		let mut writer = Writer { list: Vec::new(), operands: Vec::new(), free, count: [0; 2] };
		let mut last: HashMap<ValueId, ValueId> = HashMap::new();
		for v in members.keys() {
			last.extend(self.node(*v).inputs.iter().map(|i| (*i, *v)));
		}
		let mut slots: HashMap<ValueId, Slot> = HashMap::new();
		for (v, each) in members {
			let (v, each) = (*v, *each);
			let node = self.node(v);
			let is_reduction = matches!(node.op, Op::Reduce(_));
			// The dimensions over which the instruction goes.
			let dims = if each && !is_reduction { &node.ty.dims } else { &shape.whole };
			let mut loaded = Vec::new();
			let arg = |writer: &mut Writer, i: usize| match slots.get(&node.inputs[i]) {
				Some(slot) => Arg::Slot(*slot, members[&node.inputs[i]] && (!each || is_reduction)),
				None => writer.operand(node.inputs[i], Place::of(&self.ty(node.inputs[i]).dims, dims)),
			};
			let code = match &node.op {
				Op::Unary(op) => {
					let x = arg(&mut writer, 0);
					let x = if is_along(&x) { x } else { writer.load(x, each, &mut loaded) };
					Code::Unary(*op, x)
				}
				Op::Binary(op) => match (arg(&mut writer, 0), arg(&mut writer, 1)) {
					(a, b) if is_along(&a) => Code::Binary(*op, a, b, false),
					(a, b) if is_along(&b) => Code::Binary(*op, b, a, true),
					(a, b) => Code::Binary(*op, writer.load(a, each, &mut loaded), b, false),
				},
				Op::Reduce(reduce) => {
					let x = arg(&mut writer, 0);
					let x = if is_along(&x) { x } else { writer.load(x, false, &mut loaded) };
					Code::Reduce(fold::Kind::of(reduce.kind).unwrap_or(fold::Kind::Sum), x)
				}
				_ => {
					let Arg::Operand(c, place) = arg(&mut writer, 0) else { unreachable!("bools are no members") };
					let (a, b) = (arg(&mut writer, 1), arg(&mut writer, 2));
					let mut simple = |x: Arg| match x {
						Arg::Operand(_, Place::Cycle(1)) => x,
						x if is_along(&x) => x,
						x => writer.load(x, each, &mut loaded),
					};
					let (a, b) = (simple(a), simple(b));
					Code::Select(c, place, a, b)
				}
			};
			for slot in loaded {
				writer.free[usize::from(matches!(slot, Slot::Rows(_)))].push(slot);
			}
			for input in node.inputs.iter().filter(|i| last.get(*i) == Some(&v)) {
				if let Some(slot) = slots.remove(input) {
					writer.free[usize::from(matches!(slot, Slot::Rows(_)))].push(slot);
				}
			}
			let to = if v == root { Slot::Out } else { writer.take(each) };
			slots.insert(v, to);
			writer.list.push(Instruction { code, to, each });
		}
		let all: usize = shape.whole.iter().map(|d| *d as usize).product();
		let n = match &shape.each {
			Some(each) => all / each.iter().map(|d| *d as usize).product::<usize>().max(1),
			None => period(&writer.list, all),
		};
		let Writer { list, operands, count, .. } = writer;
		let program = Program { rows: all / n.max(1), n, list, elements: count[0], each: count[1] };
		Group { nodes: members.keys().copied().collect(), kind: Fused::Program(program, operands) }
	}
}

/// Elements of a row where nothing is reduced: those after which an operand begins again or goes on, so that it need not be
/// taken apart; else 1.
fn period(list: &[Instruction], all: usize) -> usize {
	let place = |instruction: &Instruction| match &instruction.code {
		Code::Binary(_, _, Arg::Operand(_, Place::Cycle(n) | Place::Repeat(n)), _) => Some(*n),
		_ => None,
	};
	list.iter().find_map(place).filter(|n| *n > 1 && *n <= PIECE && all.is_multiple_of(*n)).unwrap_or(1)
}
