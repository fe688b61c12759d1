//! Movements of elements, and pools, as steps.

use crate::{
	build::{bytes, elements, sizes, strides, three, Builder},
	copy::{Axis, Copy},
	fold,
	step::{Loc, Work},
};
use assay_semantics::{
	ops::{self, PoolKind},
	Node, Op, TensorType, ValueId,
};

impl Builder<'_> {
	/// A Concat along the last axis of which some operands are in their places, or which is in that of another.
	pub(crate) fn concat(&self, v: ValueId, node: &Node, tys: &[TensorType], ins: &[Loc]) -> Work {
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
}

/// A movement of elements as copies; none where an operand is not as expected.
pub(crate) fn movement(node: &Node, tys: &[TensorType], ins: &[Loc]) -> Option<Work> {
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
