//! From a model to the steps of a plan: which operators run together, where every value lies.

use crate::{
	arena::{Arena, Slot},
	chain::{has_binary, has_unary, Link, Place},
	copy::{Axis, Copy},
	depthwise::Depthwise,
	fold,
	gemm::{self, blocks, pack, panel_floats, Border, Gemm, Lines, Product, Run, Strip},
	memory::Buffer,
	pick,
	pool::Pool,
	quant,
	step::{After, Loc, Right, Step, Work},
	Isa,
};
use assay_semantics::{
	float,
	ops::{self, Binary, Conv, PoolKind},
	DType, EvalError, Model, Node, Op, TensorType, ValueId,
};
use std::collections::HashMap;

/// What a plan is made of.
pub(crate) struct Built {
	pub(crate) steps: Vec<Step>,
	/// Where each value is, if it is anywhere.
	pub(crate) locs: Vec<Option<Loc>>,
	/// Weights that steps read as they are, canonical.
	pub(crate) weights: HashMap<usize, Buffer>,
	/// Bytes of the arena.
	pub(crate) arena: usize,
}

/// Operators that run as one step: a head, and what was fused to it.
pub(crate) struct Group {
	pub(crate) nodes: Vec<ValueId>,
	/// Links, when the head is pointwise; else what follows the contraction.
	pub(crate) kind: Fused,
}

pub(crate) enum Fused {
	/// Nothing can follow.
	Closed,
	/// Over integers.
	Integers(quant::Kind),
	Contraction(Vec<Follow>),
	Chain(Vec<Link>, Vec<ValueId>),
}

/// What follows a contraction, by value.
#[derive(Clone, Copy)]
pub(crate) enum Follow {
	AddColumn(ValueId),
	MulColumn(ValueId),
	AddTensor(ValueId),
	Relu,
}

pub(crate) struct Builder<'a> {
	pub(crate) model: &'a Model,
	pub(crate) isa: Isa,
	pub(crate) pool: &'a Pool,
	/// How often a value is read by nodes that are needed; outputs count as read once more.
	pub(crate) readers: Vec<u32>,
	weights: HashMap<usize, Buffer>,
	/// Values that have the memory of another.
	alias: Vec<ValueId>,
	/// Values that are columns of a larger one.
	regions: HashMap<ValueId, Region>,
}

/// Columns of the value of a Concat, which lies there whole.
#[derive(Clone, Copy)]
struct Region {
	/// The Concat.
	root: ValueId,
	/// The first column, and how many the root has.
	column: usize,
	pitch: usize,
}

/// Lays out a plan. `fuse` runs operators together and computes only what the outputs need; without it, every value is
/// there once its step has run.
pub(crate) fn build(model: &Model, isa: Isa, pool: &Pool, fuse: bool) -> Result<Built, EvalError> {
	let nodes = model.nodes();
	let mut builder = Builder {
		model,
		isa,
		pool,
		readers: vec![0; nodes.len()],
		weights: HashMap::new(),
		alias: (0..nodes.len() as ValueId).collect(),
		regions: HashMap::new(),
	};
	for v in model.first_output()..nodes.len() {
		builder.readers[v] += 1;
	}
	for (at, node) in nodes.iter().enumerate().rev() {
		if builder.readers[at] > 0 || !fuse {
			node.inputs.iter().for_each(|v| builder.readers[*v as usize] += 1);
		}
	}
	let mut groups = builder.groups(fuse);
	groups.sort_by_key(|group| group.nodes.last().copied());
	for group in &groups {
		if let ([v], Some(Op::Reshape(_))) = (group.nodes.as_slice(), nodes.get(group.nodes[0] as usize).map(|n| &n.op))
		{
			builder.alias[*v as usize] = builder.alias[nodes[*v as usize].inputs[0] as usize];
		}
	}
	if fuse {
		builder.place(&groups);
	}
	builder.lay_out(groups)
}

pub(crate) fn is_source(op: &Op) -> bool {
	matches!(op, Op::Input(_) | Op::Weight(_))
}

pub(crate) fn elements(ty: &TensorType) -> usize {
	ty.elements().and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
}

fn bytes(ty: &TensorType) -> usize {
	elements(ty) * ty.dtype.size()
}

pub(crate) fn sizes(dims: &[u32]) -> Vec<usize> {
	dims.iter().map(|d| *d as usize).collect()
}

/// Row-major strides.
pub(crate) fn strides(dims: &[usize]) -> Vec<usize> {
	let mut out = vec![1; dims.len()];
	for axis in (0..dims.len().saturating_sub(1)).rev() {
		out[axis] = out[axis + 1] * dims[axis + 1];
	}
	out
}

/// Three spatial values: those given, after as many of `fill` as are missing. None for more than three.
pub(crate) fn three(list: &[u32], fill: usize) -> Option<[usize; 3]> {
	let mut out = [fill; 3];
	let skip = 3usize.checked_sub(list.len())?;
	out.iter_mut().skip(skip).zip(list).for_each(|(o, v)| *o = *v as usize);
	Some(out)
}

impl Builder<'_> {
	pub(crate) fn node(&self, v: ValueId) -> &Node {
		&self.model.nodes()[v as usize]
	}

	pub(crate) fn ty(&self, v: ValueId) -> &TensorType {
		&self.node(v).ty
	}

	fn groups(&self, fuse: bool) -> Vec<Group> {
		let mut taken = vec![false; self.model.nodes().len()];
		let mut groups = self.integer_groups(fuse, &mut taken);
		// The group whose last node a value is.
		let mut tails: HashMap<ValueId, usize> = HashMap::new();
		for (at, node) in self.model.nodes().iter().enumerate() {
			let v = at as ValueId;
			if is_source(&node.op) || taken[at] || self.readers[at] == 0 && fuse {
				continue;
			}
			// The latest operand first: the others are computed by then.
			let mut open: Vec<ValueId> =
				node.inputs.iter().copied().filter(|i| fuse && self.readers[*i as usize] == 1).collect();
			open.sort_unstable_by(|a, b| b.cmp(a));
			let mut joined = None;
			for tail in open {
				if let Some(group) = tails.get(&tail).copied() {
					if self.join(&mut groups[group], tail, v) {
						joined = Some(group);
						tails.remove(&tail);
						break;
					}
				}
			}
			let group = joined.unwrap_or_else(|| {
				groups.push(Group { nodes: vec![v], kind: self.head(v) });
				groups.len() - 1
			});
			tails.insert(v, group);
		}
		groups
	}

	/// A node as the first of a group.
	fn head(&self, v: ValueId) -> Fused {
		let node = self.node(v);
		let float = node.ty.dtype == DType::F32;
		match &node.op {
			Op::Conv(conv) if self.is_conv(v, conv) => Fused::Contraction(Vec::new()),
			Op::MatMul(_) if float => Fused::Contraction(Vec::new()),
			Op::Unary(op) if float && has_unary(*op) => {
				Fused::Chain(vec![Link::Load(0, Place::Same), Link::Unary(*op)], node.inputs.clone())
			}
			Op::Binary(op) if float && has_binary(*op) => {
				let [a, b] = node.inputs[..] else { return Fused::Closed };
				let place = |v: ValueId| Place::of(&self.ty(v).dims, &node.ty.dims);
				// The operand that is not broadcast is loaded first.
				if place(a) != Place::Same && place(b) == Place::Same {
					let links = vec![Link::Load(0, Place::Same), Link::Binary(*op, 1, place(a), true)];
					return Fused::Chain(links, vec![b, a]);
				}
				Fused::Chain(vec![Link::Load(0, place(a)), Link::Binary(*op, 1, place(b), false)], vec![a, b])
			}
			_ => Fused::Closed,
		}
	}

	/// Joins a node to the group that ends in its operand `tail`, if it fits.
	fn join(&self, group: &mut Group, tail: ValueId, v: ValueId) -> bool {
		let node = self.node(v);
		if node.ty != *self.ty(tail) || node.ty.dtype != DType::F32 {
			return false;
		}
		let other = node.inputs.iter().copied().find(|i| *i != tail);
		let fits = match (&mut group.kind, &node.op, other) {
			(Fused::Contraction(then), Op::Unary(ops::Unary::Relu), _) => {
				then.push(Follow::Relu);
				true
			}
			(Fused::Contraction(then), Op::Binary(op @ (Binary::Add | Binary::Mul)), Some(other)) => {
				let columns = node.ty.dims.last().map_or(1, |d| *d as usize);
				let follow = match (op, Place::of(&self.ty(other).dims, &node.ty.dims)) {
					(Binary::Add, Place::Same) => Some(Follow::AddTensor(other)),
					(Binary::Add, Place::Cycle(n)) if n == columns => Some(Follow::AddColumn(other)),
					(Binary::Mul, Place::Cycle(n)) if n == columns => Some(Follow::MulColumn(other)),
					_ => None,
				};
				then.extend(follow);
				follow.is_some()
			}
			(Fused::Chain(links, _), Op::Unary(op), _) if has_unary(*op) => {
				links.push(Link::Unary(*op));
				true
			}
			(Fused::Chain(links, operands), Op::Binary(op), Some(other)) if has_binary(*op) => {
				let place = Place::of(&self.ty(other).dims, &node.ty.dims);
				operands.push(other);
				links.push(Link::Binary(*op, operands.len() - 1, place, node.inputs[0] == other));
				true
			}
			_ => false,
		};
		if fits {
			group.nodes.push(v);
		}
		fits
	}

	/// Whether there is a kernel for a convolution.
	fn is_conv(&self, v: ValueId, conv: &Conv) -> bool {
		let [x, w] = self.node(v).inputs[..] else { return false };
		self.ty(v).dtype == DType::F32
			&& self.ty(x).dims.len() <= 5
			&& self.ty(w).dims.len() <= 5
			&& conv.groups > 0
			&& elements(self.ty(v)) > 0
			&& elements(self.ty(w)) > 0
	}

	/// Finds the values that can be written where a Concat along the last axis would copy them: what a contraction gives, if
	/// nobody else reads it, and another such Concat, if all others that read it can do so at a distance between rows.
	fn place(&mut self, groups: &[Group]) {
		let mut readers: HashMap<ValueId, Vec<usize>> = HashMap::new();
		let mut by_value: HashMap<ValueId, usize> = HashMap::new();
		for (at, group) in groups.iter().enumerate() {
			for v in group.nodes.iter().flat_map(|v| &self.node(*v).inputs) {
				readers.entry(*v).or_default().push(at);
			}
			by_value.extend(group.nodes.last().map(|v| (*v, at)));
		}
		let is_concat = |v: ValueId| match &self.node(v).op {
			Op::Concat(op) => self.ty(v).dtype == DType::F32 && usize::from(op.axis) + 1 == self.ty(v).dims.len(),
			_ => false,
		};
		let mut regions: HashMap<ValueId, Region> = HashMap::new();
		for (at, group) in groups.iter().enumerate().rev() {
			let [y] = group.nodes[..] else { continue };
			if !is_concat(y) || elements(self.ty(y)) == 0 {
				continue;
			}
			let columns = |v: ValueId| self.ty(v).dims.last().map_or(1, |d| *d as usize);
			let own = regions.get(&y).copied().unwrap_or(Region { root: y, column: 0, pitch: columns(y) });
			let mut column = own.column;
			for x in &self.node(y).inputs {
				let region = Region { column, ..own };
				column += columns(*x);
				let Some(from) = by_value.get(x) else { continue };
				let others = readers.get(x).map(Vec::as_slice).unwrap_or_default();
				let is_mine = others.iter().filter(|g| **g == at).count() == 1;
				let fits = match &groups[*from].kind {
					Fused::Contraction(_) => others.len() == 1 && self.is_dense(groups[*from].nodes[0]),
					Fused::Closed if is_concat(*x) => others.iter().all(|g| *g == at || reads_rows(&groups[*g], *x)),
					_ => false,
				};
				let is_output = *x as usize >= self.model.first_output();
				if fits && is_mine && !is_output && elements(self.ty(*x)) > 0 {
					regions.insert(*x, region);
				}
			}
		}
		self.regions = regions;
	}

	/// Whether a node is a convolution that [`Depthwise`] does not compute.
	fn is_dense(&self, v: ValueId) -> bool {
		let node = self.node(v);
		match (&node.op, &node.inputs[..]) {
			(Op::Conv(conv), [x, w]) => {
				let (x, w) = (&self.ty(*x).dims, &self.ty(*w).dims);
				w.last() != Some(&1) || w.first() != x.last() || Some(&conv.groups) != x.last()
			}
			_ => false,
		}
	}

	/// Steps in order, and the memory of what they read and write.
	fn lay_out(mut self, groups: Vec<Group>) -> Result<Built, EvalError> {
		let nodes = self.model.nodes();
		// The last step that reads a value's memory.
		let mut last = vec![0usize; nodes.len()];
		for (at, group) in groups.iter().enumerate() {
			for v in group.nodes.iter().flat_map(|v| &self.node(*v).inputs) {
				last[self.alias[*v as usize] as usize] = at;
				if let Some(region) = self.regions.get(v) {
					last[region.root as usize] = last[region.root as usize].max(at);
				}
			}
			// A value that nobody reads lives while it is computed.
			if let Some(v) = group.nodes.last() {
				let root = self.alias[*v as usize] as usize;
				last[root] = last[root].max(at);
			}
		}
		for v in self.model.first_output()..nodes.len() {
			last[self.alias[v] as usize] = usize::MAX;
		}
		let mut arena = Arena::default();
		let mut locs: Vec<Option<Loc>> = vec![None; nodes.len()];
		let mut ends: HashMap<usize, Vec<Slot>> = HashMap::new();
		for (at, node) in nodes.iter().enumerate() {
			match node.op {
				Op::Input(_) => {
					let slot = arena.take(bytes(&node.ty));
					locs[at] = Some(Loc::Arena(slot.start));
					// Inputs that nobody reads are written all the same: they need their place before the first step only.
					ends.entry(last[at]).or_default().push(slot);
				}
				Op::Weight(i) => locs[at] = Some(Loc::Weight(i as usize)),
				_ => {}
			}
		}
		let mut steps = Vec::new();
		for (at, group) in groups.into_iter().enumerate() {
			let Some(v) = group.nodes.last().copied() else { continue };
			let root = self.alias[v as usize];
			let ty = self.ty(v).clone();
			if root != v {
				locs[v as usize] = locs[root as usize];
				steps.push(Step { value: v, work: Work::None, out: locs[v as usize].unwrap_or(Loc::Arena(0)), ty });
			} else {
				// Columns of a larger value lie where that one lies, which then lives from now on.
				let region = self.regions.get(&v).copied();
				let home = region.map_or(v, |region| region.root);
				let start = match locs[home as usize] {
					Some(Loc::Arena(start)) => start,
					_ => {
						let slot = arena.take(bytes(self.ty(home)));
						ends.entry(last[home as usize]).or_default().push(slot);
						locs[home as usize] = Some(Loc::Arena(slot.start));
						slot.start
					}
				};
				let out = Loc::Arena(start + region.map_or(0, |region| 4 * region.column));
				locs[v as usize] = Some(out);
				let mut scratch = |bytes: usize| {
					let slot = arena.take(bytes);
					ends.entry(at).or_default().push(slot);
					Loc::Arena(slot.start)
				};
				let work = self.work(&group, &locs, &mut scratch)?;
				steps.push(Step { value: v, work, out, ty });
			}
			ends.remove(&at).unwrap_or_default().into_iter().for_each(|slot| arena.give(slot));
		}
		Ok(Built { steps, locs, weights: self.weights, arena: arena.size() })
	}

	/// Elements from the first of a value to its last, where it lies.
	fn span(&self, v: ValueId) -> usize {
		let all = elements(self.ty(v));
		match (self.regions.get(&v), self.ty(v).dims.last()) {
			(Some(region), Some(columns)) if all > 0 => {
				(all / *columns as usize - 1) * region.pitch + *columns as usize
			}
			_ => all,
		}
	}

	/// The weight's elements, canonical, kept for steps that read them as they are.
	pub(crate) fn keep(&mut self, loc: Loc) -> Result<(), EvalError> {
		if let Loc::Weight(i) = loc {
			if !self.weights.contains_key(&i) {
				let tensor = &self.model.weights()[i];
				let mut buffer = Buffer::new(tensor.bytes.len()).ok_or(EvalError::Memory)?;
				buffer.bytes_mut()[..tensor.bytes.len()].copy_from_slice(&tensor.bytes);
				crate::step::canonicalise(self.isa, tensor.ty.dtype, &mut buffer.bytes_mut()[..tensor.bytes.len()]);
				self.weights.insert(i, buffer);
			}
		}
		Ok(())
	}

	fn work(
		&mut self,
		group: &Group,
		locs: &[Option<Loc>],
		scratch: &mut dyn FnMut(usize) -> Loc,
	) -> Result<Work, EvalError> {
		let loc = |v: &ValueId| locs[*v as usize].ok_or(EvalError::Memory);
		let head = group.nodes[0];
		let node = self.node(head).clone();
		let ins: Vec<Loc> = node.inputs.iter().map(loc).collect::<Result<_, _>>()?;
		match &group.kind {
			Fused::Chain(links, operands) => {
				let mut list = Vec::with_capacity(operands.len());
				for v in operands {
					self.keep(loc(v)?)?;
					list.push((loc(v)?, self.span(*v)));
				}
				let mut links = links.clone();
				for link in &mut links {
					if let Link::Load(i, place) | Link::Binary(_, i, place, _) = link {
						if let Some(region) = self.regions.get(&operands[*i]) {
							let columns = self.ty(operands[*i]).dims.last().map_or(1, |d| *d as usize);
							*place = Place::Rows(columns, region.pitch);
						}
					}
				}
				return Ok(Work::Chain { links, operands: list });
			}
			Fused::Contraction(follow) => {
				let mut then = Vec::with_capacity(follow.len());
				for follow in follow {
					then.push(match follow {
						Follow::AddColumn(v) => After::AddColumn(loc(v)?),
						Follow::MulColumn(v) => After::MulColumn(loc(v)?),
						Follow::AddTensor(v) => After::AddTensor(loc(v)?),
						Follow::Relu => After::Relu,
					});
					if let Follow::AddColumn(v) | Follow::MulColumn(v) | Follow::AddTensor(v) = follow {
						self.keep(loc(v)?)?;
					}
				}
				return match &node.op {
					Op::Conv(conv) => self.conv(&node, conv, &ins, then, scratch),
					_ => self.mat_mul(&node, &ins, then, scratch),
				}
				.map(|mut work| {
					let tail = group.nodes.last().copied().unwrap_or(head);
					if let (Work::Gemm { gemm, span, .. }, Some(region)) = (&mut work, self.regions.get(&tail)) {
						gemm.ldc = region.pitch;
						*span = self.span(tail);
					}
					work
				});
			}
			Fused::Integers(kind) => return self.integer_job(&group.nodes, kind, locs).map(Work::Integers),
			Fused::Closed => {}
		}
		let tys: Vec<TensorType> = node.inputs.iter().map(|v| self.ty(*v).clone()).collect();
		let work = match &node.op {
			Op::Concat(_)
				if self.regions.contains_key(&head) || node.inputs.iter().any(|v| self.regions.contains_key(v)) =>
			{
				Some(self.concat(head, &node, &tys, &ins))
			}
			Op::Transpose(_) | Op::Slice(_) | Op::Expand(_) | Op::Concat(_) | Op::Pad(_) => movement(&node, &tys, &ins),
			Op::Reduce(reduce) => fold::Kind::of(reduce.kind)
				.filter(|_| node.ty.dtype == DType::F32)
				.and_then(|kind| fold::Reduce::new(kind, &tys[0].dims, &reduce.axes))
				.map(|reduce| Work::Reduce(reduce, ins[0], elements(&tys[0]))),
			Op::Pool(pool) if node.ty.dtype == DType::F32 => {
				window(&node, pool, &tys[0]).map(|w| Work::Pool(w, ins[0]))
			}
			Op::Gather(ops::Gather::Axis(axis)) => pick::Rows::new(usize::from(*axis), &tys[0], &tys[1])
				.map(|rows| Work::Rows(rows, [(ins[0], bytes(&tys[0])), (ins[1], bytes(&tys[1]))])),
			Op::Select(_) if node.ty.dtype == DType::F32 => {
				pick::Select::new(&node.ty.dims, [&tys[0].dims, &tys[1].dims, &tys[2].dims])
					.map(|select| Work::Select(select, [0, 1, 2].map(|i| (ins[i], elements(&tys[i])))))
			}
			_ => None,
		};
		if let Some(work) = work {
			for loc in ins {
				self.keep(loc)?;
			}
			return Ok(work);
		}
		let operands = ins.into_iter().zip(tys).collect::<Vec<_>>();
		for (loc, _) in &operands {
			self.keep(*loc)?;
		}
		Ok(Work::Reference { op: node.op.clone(), operands })
	}

	/// A Concat along the last axis of which some operands are in their places, or which is in that of another.
	fn concat(&self, v: ValueId, node: &Node, tys: &[TensorType], ins: &[Loc]) -> Work {
		let columns = |ty: &TensorType| ty.dims.last().map_or(1, |d| *d as usize);
		let pitch = self.regions.get(&v).map_or(columns(&node.ty), |region| region.pitch);
		let (mut copies, mut along) = (Vec::new(), 0);
		for ((operand, ty), loc) in node.inputs.iter().zip(tys).zip(ins) {
			let n = columns(ty);
			if !self.regions.contains_key(operand) && elements(ty) > 0 {
				let axes = [
					Axis { len: elements(ty) / n, from: n as isize, to: pitch as isize },
					Axis { len: n, from: 1, to: 1 },
				];
				copies.push((Copy::new(axes, 0, along as isize), *loc, bytes(ty)));
			}
			along += n;
		}
		Work::Move { fill: None, copies, span: self.span(v) }
	}

	/// A weight's panels, or the place where the panels of a computed operand go.
	fn right(
		&mut self,
		loc: Loc,
		sets: usize,
		n: usize,
		k: usize,
		scratch: &mut dyn FnMut(usize) -> Loc,
	) -> Result<Right, EvalError> {
		let panel = 2 * self.isa.lanes();
		let size = panel_floats(panel, n, k);
		let Loc::Weight(i) = loc else {
			return Ok(Right::Computed { from: loc, panels: scratch(sets * size * 4), sets, n, k });
		};
		let tensor = &self.model.weights()[i];
		let mut buffer = Buffer::new(sets * size * 4).ok_or(EvalError::Memory)?;
		let mut raw = Buffer::new(n * k * 4).ok_or(EvalError::Memory)?;
		for set in 0..sets {
			// Through a copy, as a tensor's bytes have no alignment.
			let from = &tensor.bytes[set * n * k * 4..][..n * k * 4];
			raw.bytes_mut()[..from.len()].copy_from_slice(from);
			let to = &mut buffer.floats_mut()[set * size..][..size];
			pack(self.pool, panel, n, k, raw.floats(), to, |x| f32::from_bits(float::store(x)));
		}
		Ok(Right::Packed(buffer))
	}

	fn mat_mul(
		&mut self,
		node: &Node,
		ins: &[Loc],
		then: Vec<After>,
		scratch: &mut dyn FnMut(usize) -> Loc,
	) -> Result<Work, EvalError> {
		let (a, b) = (sizes(&self.ty(node.inputs[0]).dims), sizes(&self.ty(node.inputs[1]).dims));
		let out = sizes(&node.ty.dims);
		let ([batch_a @ .., m, k], [batch_b @ .., n, _], [batch @ .., _, _]) =
			(a.as_slice(), b.as_slice(), out.as_slice())
		else {
			return Err(EvalError::Memory);
		};
		let (m, n, k) = (*m, *n, *k);
		let sets: usize = batch_b.iter().product();
		let count: usize = batch.iter().product();
		let size = panel_floats(2 * self.isa.lanes(), n, k);
		let right = self.right(ins[1], sets, n, k, scratch)?;
		let whole: usize = batch_a.iter().product::<usize>() * m * k;
		let lines = |rows: usize| Lines { count: [1; 3], stride: [0; 3], width: rows, step: k };
		let (lines, products) = if sets == 1 && batch_a.iter().product::<usize>() == count {
			// One right operand: all rows are one product.
			(lines(count * m), vec![Product { a: 0, b: 0, c: 0 }])
		} else {
			let at = |i: usize, dims: &[usize]| -> usize {
				let (mut rest, mut index) = (i, 0);
				let own = strides(dims);
				for axis in (0..batch.len()).rev() {
					let c = rest % batch[axis];
					rest /= batch[axis];
					if let Some(axis) = (axis + dims.len()).checked_sub(batch.len()) {
						index += if dims[axis] == 1 { 0 } else { c * own[axis] };
					}
				}
				index
			};
			let product = |i| Product { a: at(i, batch_a) * m * k, b: at(i, batch_b) * size, c: i * m * n };
			(lines(m), (0..count).map(product).collect())
		};
		let gemm =
			Gemm { lines, blocks: blocks([Run { offset: 0, len: k }]), k, n, ldc: n, ldt: n, products, strip: None };
		self.keep(ins[0])?;
		Ok(Work::Gemm { gemm, left: ins[0], whole, right, border: None, then, span: elements(&node.ty) })
	}

	fn conv(
		&mut self,
		node: &Node,
		conv: &Conv,
		ins: &[Loc],
		then: Vec<After>,
		scratch: &mut dyn FnMut(usize) -> Loc,
	) -> Result<Work, EvalError> {
		let (x, w) = (self.ty(node.inputs[0]).clone(), self.ty(node.inputs[1]).clone());
		let shape = || -> Option<_> {
			let ([n, spatial @ .., c], [o, kernel @ .., depth]) = (x.dims.as_slice(), w.dims.as_slice()) else {
				return None;
			};
			let [_, out @ .., _] = node.ty.dims.as_slice() else { return None };
			let window = &conv.window;
			Some((
				[*n as usize, *c as usize, *o as usize, *depth as usize],
				[three(spatial, 1)?, three(kernel, 1)?, three(out, 1)?],
				[three(&window.strides, 1)?, three(&window.dilations, 1)?, three(&window.before, 0)?],
			))
		};
		let Some(([n, c, o, depth], [input, kernel, out], [stride, dilation, before])) = shape() else {
			return Err(EvalError::Memory);
		};
		// The image that the windows cover.
		let covered: [usize; 3] = std::array::from_fn(|i| (out[i] - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1);
		let needs_border = (0..3).any(|i| before[i] > 0 || covered[i] > input[i]);
		let image = if needs_border { covered } else { input };
		// Images get their border a few lines at a time, volumes all at once.
		let flat = kernel[0] == 1 && input[0] == 1 && before[0] == 0;
		let strip = (needs_border && flat).then(|| Strip {
			from: [n, input[1], input[2], c],
			width: image[2],
			before: [before[1], before[2]],
			step: stride[1],
			extent: (kernel[1] - 1) * dilation[1] + 1,
		});
		let border =
			(needs_border && !flat).then(|| Border { from: [n, input[0], input[1], input[2], c], to: image, before });
		let line = image[2] * c;
		let lines = Lines {
			count: [n, out[0], out[1]],
			stride: [image[0] * image[1] * line, stride[0] * image[1] * line, stride[1] * line],
			width: out[2],
			step: stride[2] * c,
		};
		let tap = |z: usize, y: usize, x: usize| {
			z * dilation[0] * image[1] * line + y * dilation[1] * line + x * dilation[2] * c
		};
		let taps: Vec<usize> = (0..kernel[0])
			.flat_map(|z| (0..kernel[1]).flat_map(move |y| (0..kernel[2]).map(move |x| (z, y, x))))
			.map(|(z, y, x)| tap(z, y, x))
			.collect();
		let k = taps.len() * depth;
		self.keep(ins[0])?;
		let bordered = border.as_ref().map(|border| (border.clone(), scratch(border.floats() * 4)));
		let groups = conv.groups as usize;
		if depth == 1 && o == c && groups == c {
			if let Loc::Weight(i) = ins[1] {
				let tensor = &self.model.weights()[i];
				let mut weights = Buffer::new(k * c * 4).ok_or(EvalError::Memory)?;
				for (i, x) in tensor.bytes.chunks_exact(4).enumerate() {
					let x = float::load(u32::from_le_bytes([x[0], x[1], x[2], x[3]]));
					weights.floats_mut()[i % k * c + i / k] = x;
				}
				let Lines { count, stride, width, step } = lines;
				let depthwise = Depthwise { count, stride, width, step, taps, channels: c, strip };
				let whole = n * input.iter().product::<usize>() * c;
				return Ok(Work::Depthwise { depthwise, left: ins[0], whole, weights, border: bordered, then });
			}
		}
		let columns = o / groups;
		let size = panel_floats(2 * self.isa.lanes(), columns, k);
		let right = self.right(ins[1], groups, columns, k, scratch)?;
		let products = (0..groups).map(|g| Product { a: g * depth, b: g * size, c: g * columns }).collect();
		let runs = taps.iter().map(|tap| Run { offset: *tap, len: depth });
		let whole = n * input.iter().product::<usize>() * c;
		let lines = if strip.is_some() { lines } else { lines.joined() };
		let gemm = Gemm { lines, blocks: gemm::blocks(runs), k, n: columns, ldc: o, ldt: o, products, strip };
		Ok(Work::Gemm { gemm, left: ins[0], whole, right, border: bordered, then, span: elements(&node.ty) })
	}
}

/// Whether a group reads a value element by element at the place of its own, and nowhere else.
fn reads_rows(group: &Group, v: ValueId) -> bool {
	let Fused::Chain(links, operands) = &group.kind else { return false };
	links.iter().all(|link| match link {
		Link::Load(i, place) | Link::Binary(_, i, place, _) => operands[*i] != v || *place == Place::Same,
		Link::Unary(_) => true,
	})
}

/// A movement of elements as copies; none where an operand is not as expected.
fn movement(node: &Node, tys: &[TensorType], ins: &[Loc]) -> Option<Work> {
	let out = sizes(&node.ty.dims);
	let to = strides(&out);
	let mut fill = None;
	let mut copies = Vec::new();
	let mut copy = |loc: Loc, ty: &TensorType, axes: Vec<(usize, isize, usize)>, from: isize, start: usize| {
		let axes = axes.into_iter().map(|(len, from, to)| Axis { len, from, to: to as isize });
		copies.push((Copy::new(axes, from, start as isize), loc, bytes(ty)));
	};
	let ty = tys.first()?;
	let dims = sizes(&ty.dims);
	let own = strides(&dims);
	match &node.op {
		Op::Transpose(op) => {
			let axes = op.perm.iter().zip(&out).zip(&to).map(|((p, d), to)| (*d, own[usize::from(*p)] as isize, *to));
			copy(ins[0], ty, axes.collect(), 0, 0);
		}
		Op::Slice(op) => {
			let axes = (0..out.len()).map(|i| (out[i], own[i] as isize * op.steps[i] as isize, to[i]));
			let start = op.starts.iter().zip(&own).map(|(s, own)| *s as usize * own).sum::<usize>();
			copy(ins[0], ty, axes.collect(), start as isize, 0);
		}
		Op::Expand(_) => {
			let skip = out.len() - dims.len();
			let axes = (0..out.len()).map(|i| {
				let from = i.checked_sub(skip).map_or(0, |j| if dims[j] == 1 { 0 } else { own[j] as isize });
				(out[i], from, to[i])
			});
			copy(ins[0], ty, axes.collect(), 0, 0);
		}
		Op::Concat(op) => {
			let axis = usize::from(op.axis);
			let mut along = 0;
			for (loc, ty) in ins.iter().zip(tys) {
				let dims = sizes(&ty.dims);
				let own = strides(&dims);
				let axes = (0..out.len()).map(|i| (dims[i], own[i] as isize, to[i]));
				copy(*loc, ty, axes.collect(), 0, along * to[axis]);
				along += dims[axis];
			}
		}
		Op::Pad(op) => {
			fill = Some(ops::canonical(node.ty.dtype, op.value));
			let axes = (0..out.len()).map(|i| (dims[i], own[i] as isize, to[i]));
			let start = op.before.iter().zip(&to).map(|(b, to)| *b as usize * to).sum::<usize>();
			copy(ins[0], ty, axes.collect(), 0, start);
		}
		_ => return None,
	}
	Some(Work::Move { fill, copies, span: elements(&node.ty) })
}

/// A pool over at most three spatial axes.
fn window(node: &Node, pool: &ops::Pool, ty: &TensorType) -> Option<fold::Window> {
	let ([n, spatial @ .., c], [_, out @ .., _]) = (ty.dims.as_slice(), node.ty.dims.as_slice()) else { return None };
	let [d, h, w] = three(spatial, 1)?;
	#[allow(unreachable_patterns)]
	let average = match pool.kind {
		PoolKind::Max => None,
		PoolKind::Average { count_border } => Some(count_border),
		_ => return None,
	};
	Some(fold::Window {
		from: [*n as usize, d, h, w, *c as usize],
		to: three(out, 1)?,
		kernel: three(&pool.kernel, 1)?,
		strides: three(&pool.window.strides, 1)?,
		dilations: three(&pool.window.dilations, 1)?,
		before: three(&pool.window.before, 0)?,
		average,
	})
}
