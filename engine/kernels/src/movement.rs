//! Movements of elements, and pools, as steps.

use crate::{
	build::{bytes, elements, sizes, three, Builder},
	copy::{Axis, Copy},
	step::{Loc, Work},
	views::{row_major, View},
	window,
};
use assay_semantics::{
	ops::{self, PoolKind},
	Node, Op, TensorType, ValueId,
};

impl Builder<'_> {
	/// A movement of elements as copies; none where that cannot be. What is in its place is not copied.
	pub(crate) fn movement(&self, v: ValueId, node: &Node, ins: &[Loc]) -> Option<Work> {
		let to = self.strides_of(v);
		let mut copies = Vec::new();
		// A view to the same axes of the value, from an element on.
		let mut copy = |i: usize, view: View, start: isize| {
			let axes = view.axes.iter().zip(&to).flat_map(|(along, to)| {
				let mut inner: usize = along.iter().map(|(len, _)| len).product();
				along.iter().map(move |(len, from)| {
					inner /= len;
					Axis { len: *len, from: *from, to: to * inner as isize }
				})
			});
			copies.push((Copy::new(axes, view.start, start), ins[i], bytes(self.ty(view.base))));
		};
		let mut fill = None;
		let first = *node.inputs.first()?;
		match &node.op {
			Op::Concat(op) => {
				let axis = usize::from(op.axis);
				let mut along = 0;
				for (i, operand) in node.inputs.iter().enumerate() {
					let ty = self.ty(*operand);
					if !self.regions.contains_key(operand) && elements(ty) > 0 {
						copy(i, self.view_of(*operand), along * to[axis]);
					}
					along += ty.dims[axis] as isize;
				}
			}
			Op::Pad(op) => {
				fill = Some(ops::canonical(node.ty.dtype, op.value));
				if elements(self.ty(first)) > 0 {
					let start = op.before.iter().zip(&to).map(|(b, to)| *b as isize * to).sum::<isize>();
					copy(0, self.view_of(first), start);
				}
			}
			_ if elements(&node.ty) == 0 => {}
			// What is no view of its operand as that lies is one in the operand's own order.
			Op::Reshape(_) => match self.view(v) {
				Some(view) => copy(0, view, 0),
				None => return self.in_order(v, first, ins),
			},
			_ => copy(0, self.view(v)?, 0),
		}
		Some(Work::Move { fill, copies, span: self.span(v) })
	}

	/// The elements of a view in order, as a value of other dimensions.
	fn in_order(&self, v: ValueId, first: ValueId, ins: &[Loc]) -> Option<Work> {
		let view = self.view_of(first);
		let all = elements(self.ty(v));
		let mut inner = all;
		let axes = view.axes.iter().flatten().map(|(len, from)| {
			inner /= len;
			Axis { len: *len, from: *from, to: inner as isize }
		});
		let copy = Copy::new(axes.collect::<Vec<_>>(), view.start, 0);
		Some(Work::Move { fill: None, copies: vec![(copy, ins[0], bytes(self.ty(view.base)))], span: all })
	}

	/// Elements from one to the next along each axis of a value, where it is written.
	fn strides_of(&self, v: ValueId) -> Vec<isize> {
		let mut dims = sizes(&self.ty(v).dims);
		if let (Some(region), Some(last)) = (self.regions.get(&v), dims.last_mut()) {
			*last = region.pitch;
		}
		row_major(&dims)
	}
}

/// A pool over at most three spatial axes.
pub(crate) fn window(node: &Node, pool: &ops::Pool, ty: &TensorType) -> Option<window::Window> {
	let ([n, spatial @ .., c], [_, out @ .., _]) = (ty.dims.as_slice(), node.ty.dims.as_slice()) else { return None };
	let [d, h, w] = three(spatial, 1)?;
	#[allow(unreachable_patterns)]
	let average = match pool.kind {
		PoolKind::Max => None,
		PoolKind::Average { count_border } => Some(count_border),
		_ => return None,
	};
	Some(window::Window {
		from: [*n as usize, d, h, w, *c as usize],
		to: three(out, 1)?,
		kernel: three(&pool.kernel, 1)?,
		strides: three(&pool.window.strides, 1)?,
		dilations: three(&pool.window.dilations, 1)?,
		before: three(&pool.window.before, 0)?,
		average,
	})
}
