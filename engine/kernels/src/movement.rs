//! Movements of elements, and pools, as steps.

use crate::{
	build::{bytes, sizes, three, Builder},
	copy::{Axis, Copy},
	fold,
	step::{Loc, Work},
	views::{row_major, View},
};
use assay_semantics::{
	ops::{self, PoolKind},
	Node, Op, TensorType, ValueId,
};

impl Builder<'_> {
	/// A movement of elements as copies; none where an operand is not as expected. What is in its place is not copied.
	pub(crate) fn movement(&self, v: ValueId, node: &Node, ins: &[Loc]) -> Option<Work> {
		let out = sizes(&node.ty.dims);
		let to = self.strides_of(v);
		let mut fill = None;
		let mut copies = Vec::new();
		let mut copy = |i: usize, axes: Vec<(usize, isize, isize)>, from: isize, start: isize| {
			let axes = axes.into_iter().map(|(len, from, to)| Axis { len, from, to });
			let base = self.view_of(node.inputs[i]).base;
			copies.push((Copy::new(axes, from, start), ins[i], bytes(self.ty(base))));
		};
		let first = *node.inputs.first()?;
		let dims = sizes(&self.ty(first).dims);
		let View { start: begin, strides: own, .. } = self.view_of(first);
		match &node.op {
			// The operand is a view: its elements are put in order.
			Op::Reshape(_) => {
				let axes = dims.iter().zip(&own).zip(row_major(&dims)).map(|((d, from), to)| (*d, *from, to));
				copy(0, axes.collect(), begin, 0);
			}
			Op::Transpose(op) => {
				let axes = op.perm.iter().zip(&out).zip(&to).map(|((p, d), to)| (*d, own[usize::from(*p)], *to));
				copy(0, axes.collect(), begin, 0);
			}
			Op::Slice(op) => {
				let axes = (0..out.len()).map(|i| (out[i], own[i] * op.steps[i] as isize, to[i]));
				let start = op.starts.iter().zip(&own).map(|(s, own)| *s as isize * own).sum::<isize>();
				copy(0, axes.collect(), begin + start, 0);
			}
			Op::Expand(_) => {
				let skip = out.len() - dims.len();
				let axes = (0..out.len()).map(|i| {
					let from = i.checked_sub(skip).map_or(0, |j| if dims[j] == 1 { 0 } else { own[j] });
					(out[i], from, to[i])
				});
				copy(0, axes.collect(), begin, 0);
			}
			Op::Concat(op) => {
				let axis = usize::from(op.axis);
				let mut along = 0;
				for (i, operand) in node.inputs.iter().enumerate() {
					let dims = sizes(&self.ty(*operand).dims);
					let from = self.view_of(*operand);
					if !self.regions.contains_key(operand) {
						let axes = (0..out.len()).map(|i| (dims[i], from.strides[i], to[i]));
						copy(i, axes.collect(), from.start, along * to[axis]);
					}
					along += dims[axis] as isize;
				}
			}
			Op::Pad(op) => {
				fill = Some(ops::canonical(node.ty.dtype, op.value));
				let axes = (0..out.len()).map(|i| (dims[i], own[i], to[i]));
				let start = op.before.iter().zip(&to).map(|(b, to)| *b as isize * to).sum::<isize>();
				copy(0, axes.collect(), begin, start);
			}
			_ => return None,
		}
		Some(Work::Move { fill, copies, span: self.span(v) })
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
pub(crate) fn window(node: &Node, pool: &ops::Pool, ty: &TensorType) -> Option<fold::Window> {
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
