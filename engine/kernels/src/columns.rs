//! Values that are written where a Concat would copy them.

use crate::{
	build::{elements, Builder},
	group::{Fused, Group},
	place::Place,
	program::Arg,
};
use assay_semantics::{DType, Op, ValueId};
use std::collections::HashMap;

/// Columns of the value of a Concat, which lies there whole.
#[derive(Clone, Copy)]
pub(crate) struct Region {
	/// The Concat.
	pub(crate) root: ValueId,
	/// The first column, and how many the root has.
	pub(crate) column: usize,
	pub(crate) pitch: usize,
}

impl Builder<'_> {
	/// Finds the values that can be written where a Concat along the last axis would copy them: what a contraction gives, if
	/// nobody else reads it, and another such Concat, if all others that read it can do so at a distance between rows.
	pub(crate) fn place(&mut self, groups: &[Group]) {
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
}

/// Whether a group reads a value element by element at the place of its own, and nowhere else.
fn reads_rows(group: &Group, v: ValueId) -> bool {
	let Fused::Program(program, operands) = &group.kind else { return false };
	program.args().all(|arg| match arg {
		Arg::Operand(i, place) => operands[*i] != v || *place == Place::Same,
		Arg::Slot(..) => true,
	})
}
