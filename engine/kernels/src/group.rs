//! Which operators run as one step.

use crate::{build::Builder, place::Place, program::Program, quant};
use assay_semantics::{
	ops::{self, Binary, Conv},
	DType, Op, ValueId,
};
use std::collections::HashMap;

/// Operators that run as one step: a head, and what was fused to it.
pub(crate) struct Group {
	/// In ascending order; the last one is what others read.
	pub(crate) nodes: Vec<ValueId>,
	pub(crate) kind: Fused,
}

pub(crate) enum Fused {
	/// Nothing can follow.
	Closed,
	/// Over integers.
	Integers(quant::Kind),
	/// With what follows the contraction.
	Contraction(Vec<Follow>),
	/// With the values that it reads.
	Program(Program, Vec<ValueId>),
}

/// What follows a contraction, by value.
#[derive(Clone, Copy)]
pub(crate) enum Follow {
	AddColumn(ValueId),
	MulColumn(ValueId),
	AddTensor(ValueId),
	Relu,
}

pub(crate) fn is_source(op: &Op) -> bool {
	matches!(op, Op::Input(_) | Op::Weight(_))
}

impl Builder<'_> {
	/// All groups, in the order in which they can run. With `fuse`, only what outputs need.
	pub(crate) fn groups(&self, fuse: bool) -> Vec<Group> {
		let nodes = self.model.nodes();
		let is_needed = |v: ValueId| !is_source(&self.node(v).op) && (self.readers[v as usize] > 0 || !fuse);
		let mut taken = vec![false; nodes.len()];
		let mut groups = self.integer_groups(fuse, &mut taken);
		if fuse {
			groups.extend(self.contractions(&mut taken));
		}
		for v in (0..nodes.len() as ValueId).rev() {
			if taken[v as usize] || !is_needed(v) {
				continue;
			}
			let group = self.program(v, fuse, &taken).unwrap_or_else(|| {
				let kind = if self.is_contraction(v) { Fused::Contraction(Vec::new()) } else { Fused::Closed };
				Group { nodes: vec![v], kind }
			});
			group.nodes.iter().for_each(|v| taken[*v as usize] = true);
			groups.push(group);
		}
		groups.sort_by_key(|group| group.nodes.last().copied());
		groups
	}

	/// Contractions with what follows them.
	fn contractions(&self, taken: &mut [bool]) -> Vec<Group> {
		let mut groups: Vec<Group> = Vec::new();
		// The group whose last node a value is.
		let mut tails: HashMap<ValueId, usize> = HashMap::new();
		for (at, node) in self.model.nodes().iter().enumerate() {
			let v = at as ValueId;
			if self.readers[at] == 0 || taken[at] {
				continue;
			}
			if self.is_contraction(v) {
				tails.insert(v, groups.len());
				groups.push(Group { nodes: vec![v], kind: Fused::Contraction(Vec::new()) });
				taken[at] = true;
				continue;
			}
			// The latest operand first: the others are computed by then.
			let mut open: Vec<ValueId> =
				node.inputs.iter().copied().filter(|i| self.readers[*i as usize] == 1).collect();
			open.sort_unstable_by(|a, b| b.cmp(a));
			for tail in open {
				let Some(group) = tails.get(&tail).copied() else { continue };
				let Some(follow) = self.follow(tail, v) else { continue };
				if let Fused::Contraction(then) = &mut groups[group].kind {
					then.push(follow);
				}
				groups[group].nodes.push(v);
				taken[at] = true;
				tails.remove(&tail);
				tails.insert(v, group);
				break;
			}
		}
		groups
	}

	/// A node as what follows the contraction that ends in its operand `tail`, if it can.
	fn follow(&self, tail: ValueId, v: ValueId) -> Option<Follow> {
		let node = self.node(v);
		if node.ty != *self.ty(tail) || node.ty.dtype != DType::F32 {
			return None;
		}
		let other = node.inputs.iter().copied().find(|i| *i != tail);
		match (&node.op, other) {
			(Op::Unary(ops::Unary::Relu), _) => Some(Follow::Relu),
			(Op::Binary(op @ (Binary::Add | Binary::Mul)), Some(other)) => {
				let columns = node.ty.dims.last().map_or(1, |d| *d as usize);
				match (op, Place::of(&self.ty(other).dims, &node.ty.dims)) {
					(Binary::Add, Place::Same) => Some(Follow::AddTensor(other)),
					(Binary::Add, Place::Cycle(n)) if n == columns => Some(Follow::AddColumn(other)),
					(Binary::Mul, Place::Cycle(n)) if n == columns => Some(Follow::MulColumn(other)),
					_ => None,
				}
			}
			_ => None,
		}
	}

	/// Whether a node is a contraction that has a kernel.
	pub(crate) fn is_contraction(&self, v: ValueId) -> bool {
		let node = self.node(v);
		match &node.op {
			Op::Conv(conv) => self.is_conv(v, conv),
			Op::MatMul(_) => node.ty.dtype == DType::F32,
			_ => false,
		}
	}

	/// Whether there is a kernel for a convolution.
	fn is_conv(&self, v: ValueId, conv: &Conv) -> bool {
		let [x, w] = self.node(v).inputs[..] else { return false };
		self.ty(v).dtype == DType::F32
			&& self.ty(x).dims.len() <= 5
			&& self.ty(w).dims.len() <= 5
			&& conv.groups > 0
			&& crate::build::elements(self.ty(v)) > 0
			&& crate::build::elements(self.ty(w)) > 0
	}
}
