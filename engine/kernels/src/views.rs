//! Values that are never written: they are elements of another value's memory, at distances of their own. Whoever reads
//! them reads there.

use crate::{
	build::{elements, sizes, strides, Builder},
	group::{is_source, Follow, Fused, Group},
};
use assay_semantics::{Op, ValueId};
use std::collections::HashMap;

/// A value as elements of another's memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct View {
	/// The value that has the memory.
	pub(crate) base: ValueId,
	/// The first element there.
	pub(crate) start: isize,
	/// Elements there from one to the next, for each axis.
	pub(crate) strides: Vec<isize>,
}

/// The product of a MatMul written as the Transpose that follows it.
#[derive(Clone, Debug)]
pub(crate) struct Outward {
	/// The Transpose.
	pub(crate) value: ValueId,
	/// Elements from one to the next, for each axis of the product.
	pub(crate) strides: Vec<isize>,
}

pub(crate) fn row_major(dims: &[usize]) -> Vec<isize> {
	strides(dims).into_iter().map(|s| s as isize).collect()
}

/// Strides of the same elements with other dimensions, if there are any.
fn reshaped(dims: &[usize], strides: &[isize], to: &[usize]) -> Option<Vec<isize>> {
	// Axes, the last first, joined where they go on as one.
	let mut joined: Vec<(usize, isize)> = Vec::new();
	for (d, s) in dims.iter().zip(strides).rev().filter(|(d, _)| **d != 1) {
		match joined.last_mut() {
			Some((len, step)) if *s == *step * *len as isize => *len *= d,
			_ => joined.push((*d, *s)),
		}
	}
	let mut axes = joined.into_iter();
	let (mut left, mut step) = (1, 1);
	let mut out = vec![1; to.len()];
	for (d, out) in to.iter().zip(&mut out).rev().filter(|(d, _)| **d != 1) {
		if left == 1 {
			(left, step) = axes.next()?;
		}
		if left % d != 0 {
			return None;
		}
		*out = step;
		left /= d;
		step *= *d as isize;
	}
	Some(out)
}

impl Builder<'_> {
	/// Where the elements of a value are.
	pub(crate) fn view_of(&self, v: ValueId) -> View {
		let dense = || View { base: v, start: 0, strides: row_major(&sizes(&self.ty(v).dims)) };
		self.views.get(&v).cloned().unwrap_or_else(dense)
	}

	/// A movement as elements of its operand's memory, if it can be that.
	fn view(&self, v: ValueId) -> Option<View> {
		let node = self.node(v);
		let from = self.view_of(*node.inputs.first()?);
		let dims = sizes(&self.ty(node.inputs[0]).dims);
		let out = sizes(&node.ty.dims);
		let (start, strides) = match &node.op {
			Op::Reshape(_) => (from.start, reshaped(&dims, &from.strides, &out)?),
			Op::Transpose(op) => (from.start, op.perm.iter().map(|p| from.strides[usize::from(*p)]).collect()),
			Op::Slice(op) => {
				let start = op.starts.iter().zip(&from.strides).map(|(s, stride)| *s as isize * stride).sum::<isize>();
				let strides = from.strides.iter().zip(&op.steps).map(|(stride, step)| stride * *step as isize);
				(from.start + start, strides.collect())
			}
			Op::Expand(_) => {
				let skip = out.len() - dims.len();
				let stride = |i: usize| i.checked_sub(skip).filter(|j| dims[*j] != 1).map_or(0, |j| from.strides[j]);
				(from.start, (0..out.len()).map(stride).collect())
			}
			_ => return None,
		};
		Some(View { base: from.base, start, strides })
	}

	/// Whether a node can read an operand as such a view.
	fn takes(&self, reader: ValueId, v: ValueId, view: &View) -> bool {
		let node = self.node(reader);
		match &node.op {
			Op::Transpose(_) | Op::Slice(_) | Op::Expand(_) | Op::Concat(_) | Op::Pad(_) | Op::Reshape(_) => true,
			Op::MatMul(_) if self.is_contraction(reader) => {
				let [.., column, step] = view.strides[..] else { return false };
				let is_forward = view.strides.iter().all(|s| *s >= 0);
				is_forward && (node.inputs[0] != v || step == 1) && (node.inputs[1] != v || step == 1 || column == 1)
			}
			_ => false,
		}
	}

	/// Finds the values that need not be written. Without `fuse` these are reshaped ones only.
	pub(crate) fn look(&mut self, groups: &[Group], fuse: bool) {
		let mut readers: HashMap<ValueId, Vec<ValueId>> = HashMap::new();
		for v in groups.iter().flat_map(|group| &group.nodes) {
			self.node(*v).inputs.iter().for_each(|input| readers.entry(*input).or_default().push(*v));
		}
		let is_output = |v: ValueId| v as usize >= self.model.first_output();
		for group in groups {
			let ([v], Fused::Closed) = (&group.nodes[..], &group.kind) else { continue };
			let Some(input) = self.node(*v).inputs.first().copied() else { continue };
			let is_reshape = matches!(self.node(*v).op, Op::Reshape(_));
			if is_reshape && !self.views.contains_key(&input) {
				self.alias[*v as usize] = self.alias[input as usize];
				continue;
			}
			let root = self.alias[input as usize];
			if !fuse || is_output(*v) || elements(self.ty(*v)) == 0 || matches!(self.node(root).op, Op::Weight(_)) {
				continue;
			}
			let Some(view) = self.view(*v) else { continue };
			let list = readers.get(v).map(Vec::as_slice).unwrap_or_default();
			if list.iter().all(|reader| self.takes(*reader, *v, &view)) {
				self.alias[*v as usize] = self.alias[view.base as usize];
				self.views.insert(*v, view);
			}
		}
		for group in groups.iter().filter(|_| fuse) {
			let (Fused::Contraction(then), Some(v)) = (&group.kind, group.nodes.last().copied()) else { continue };
			let Some([reader]) = readers.get(&v).map(Vec::as_slice) else { continue };
			let (node, ty) = (self.node(*reader), self.ty(v));
			let Op::Transpose(op) = &node.op else { continue };
			let stays = op.perm.last().is_some_and(|p| usize::from(*p) + 1 == ty.dims.len());
			let fits = matches!(self.node(group.nodes[0]).op, Op::MatMul(_))
				&& then.iter().all(|then| matches!(then, Follow::Relu));
			if !stays || !fits || is_output(v) || elements(ty) == 0 || self.views.contains_key(reader) {
				continue;
			}
			let own = row_major(&sizes(&node.ty.dims));
			let mut strides = vec![0; own.len()];
			op.perm.iter().zip(own).for_each(|(p, stride)| strides[usize::from(*p)] = stride);
			let value = *reader;
			// What has the memory of the Transpose has that of the product.
			for alias in &mut self.alias {
				if *alias == value {
					*alias = v;
				}
			}
			self.outward.insert(v, Outward { value, strides });
		}
	}

	/// Whether a value is there without a step of its own.
	pub(crate) fn is_elsewhere(&self, v: ValueId) -> bool {
		let node = self.node(v);
		let is_outward =
			node.inputs.first().and_then(|x| self.outward.get(x)).is_some_and(|outward| outward.value == v);
		!is_source(&node.op) && (self.views.contains_key(&v) || is_outward)
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn strides_should_follow_a_reshape_where_they_can() {
		assert_eq!(reshaped(&[2, 6], &[6, 1], &[2, 2, 3]), Some(vec![6, 3, 1]));
		assert_eq!(reshaped(&[2, 2, 3], &[6, 3, 1], &[4, 3]), Some(vec![3, 1]));
		assert_eq!(reshaped(&[3, 2], &[1, 3], &[3, 1, 2]), Some(vec![1, 1, 3]));
		assert_eq!(reshaped(&[3, 2], &[1, 3], &[6]), None);
		assert_eq!(reshaped(&[4, 4], &[1, 4], &[2, 2, 4]), Some(vec![2, 1, 4]));
		assert_eq!(reshaped(&[4, 4], &[1, 4], &[2, 8]), None);
	}
}
