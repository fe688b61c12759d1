//! From a model to the steps of a plan: where every value lies, and what computes it.

use crate::{
	arena::{Arena, Slot},
	columns::Region,
	fold,
	group::{Follow, Fused, Group},
	memory::{Buffer, Shelf},
	movement::window,
	pick,
	pool::Pool,
	step::{After, Loc, Step, Work},
	views::{Outward, View},
	Isa,
};
use assay_semantics::{
	ops::{self},
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
	/// Bytes of the arena, and of the memory of the outputs.
	pub(crate) arena: usize,
	pub(crate) output: usize,
}

pub(crate) struct Builder<'a> {
	pub(crate) model: &'a Model,
	pub(crate) isa: Isa,
	pub(crate) pool: &'a Pool,
	/// How often a value is read by nodes that are needed; outputs count as read once more.
	pub(crate) readers: Vec<u32>,
	pub(crate) weights: HashMap<usize, Buffer>,
	/// Where packed weights go.
	pub(crate) shelf: Shelf,
	/// Values that have the memory of another.
	pub(crate) alias: Vec<ValueId>,
	/// Values that are columns of a larger one.
	pub(crate) regions: HashMap<ValueId, Region>,
	/// Values that are elements of another's memory.
	pub(crate) views: HashMap<ValueId, View>,
	/// Products that are written as the Transpose that follows them.
	pub(crate) outward: HashMap<ValueId, Outward>,
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
		shelf: Shelf::default(),
		alias: (0..nodes.len() as ValueId).collect(),
		regions: HashMap::new(),
		views: HashMap::new(),
		outward: HashMap::new(),
	};
	for v in model.first_output()..nodes.len() {
		builder.readers[v] += 1;
	}
	for (at, node) in nodes.iter().enumerate().rev() {
		if builder.readers[at] > 0 || !fuse {
			node.inputs.iter().for_each(|v| builder.readers[*v as usize] += 1);
		}
	}
	let groups = builder.groups(fuse);
	builder.look(&groups, fuse);
	if fuse {
		builder.place(&groups);
	}
	builder.lay_out(groups)
}

pub(crate) fn elements(ty: &TensorType) -> usize {
	ty.elements().and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
}

pub(crate) fn bytes(ty: &TensorType) -> usize {
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
		// Outputs have memory of their own, which is given out with them.
		let (mut arena, mut output) = (Arena::default(), Arena::default());
		let mut locs: Vec<Option<Loc>> = vec![None; nodes.len()];
		let mut ends: HashMap<usize, Vec<Slot>> = HashMap::new();
		for (at, node) in nodes.iter().enumerate() {
			match node.op {
				Op::Input(i) => {
					let slot = arena.take(bytes(&node.ty));
					locs[at] = Some(Loc::Input(i as usize, slot.start));
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
			if root != v {
				locs[v as usize] = locs[root as usize];
				if !self.is_elsewhere(v) {
					let (out, ty) = (locs[v as usize].unwrap_or(Loc::Arena(0)), self.ty(v).clone());
					steps.push(Step { value: v, work: Work::None, out, ty });
				}
			} else {
				// Columns of a larger value lie where that one lies, which then lives from now on.
				let region = self.regions.get(&v).copied();
				let home = region.map_or(v, |region| region.root);
				let whole = *locs[home as usize].get_or_insert_with(|| {
					let size = bytes(self.ty(home));
					if last[home as usize] == usize::MAX {
						return Loc::Output(output.take(size).start);
					}
					let slot = arena.take(size);
					ends.entry(last[home as usize]).or_default().push(slot);
					Loc::Arena(slot.start)
				});
				let column = region.map_or(0, |region| 4 * region.column);
				let out = match whole {
					Loc::Arena(start) => Loc::Arena(start + column),
					Loc::Output(start) => Loc::Output(start + column),
					other => other,
				};
				locs[v as usize] = Some(out);
				let mut scratch = |bytes: usize| {
					let slot = arena.take(bytes);
					ends.entry(at).or_default().push(slot);
					Loc::Arena(slot.start)
				};
				let work = self.work(&group, &locs, &mut scratch)?;
				let value = self.outward.get(&v).map_or(v, |outward| outward.value);
				let ty = self.ty(value).clone();
				steps.push(Step { value, work, out, ty });
			}
			ends.remove(&at).unwrap_or_default().into_iter().for_each(|slot| arena.give(slot));
		}
		Ok(Built { steps, locs, weights: self.weights, arena: arena.size(), output: output.size() })
	}

	/// Elements from the first of a value to its last, where it lies.
	pub(crate) fn span(&self, v: ValueId) -> usize {
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
				tensor.bytes.release();
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
			Fused::Program(program, operands) => {
				let mut program = program.clone();
				let mut list = Vec::with_capacity(operands.len());
				for (i, v) in operands.iter().enumerate() {
					self.keep(loc(v)?)?;
					list.push((loc(v)?, self.span(*v), program.is_bools(i)));
					if let Some(region) = self.regions.get(v) {
						let columns = self.ty(*v).dims.last().map_or(1, |d| *d as usize);
						program.set_pitch(i, columns, region.pitch);
					}
				}
				return Ok(Work::Program(program, list));
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
				let tail = group.nodes.last().copied().unwrap_or(head);
				return match &node.op {
					Op::Conv(conv) => self.conv(&node, conv, &ins, then, scratch),
					_ => self.mat_mul(&node, tail, &ins, then, scratch),
				}
				.map(|mut work| {
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
			Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Expand(_) | Op::Concat(_) | Op::Pad(_) => {
				self.movement(head, &node, &ins)
			}
			Op::Reduce(reduce) => fold::Kind::of(reduce.kind)
				.filter(|_| node.ty.dtype == DType::F32)
				.and_then(|kind| fold::Reduce::new(kind, &tys[0].dims, &reduce.axes))
				.map(|reduce| Work::Reduce(reduce, ins[0], elements(&tys[0]))),
			Op::Pool(pool) if node.ty.dtype == DType::F32 => {
				window(&node, pool, &tys[0]).map(|w| Work::Pool(w, ins[0]))
			}
			Op::Gather(ops::Gather::Axis(axis)) => pick::Rows::new(usize::from(*axis), &tys[0], &tys[1])
				.map(|rows| Work::Rows(rows, [(ins[0], bytes(&tys[0])), (ins[1], bytes(&tys[1]))])),
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
}
