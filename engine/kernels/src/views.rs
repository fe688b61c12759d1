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
	/// For each axis of the value, what it is there: elements and the distance between them along one axis, or along several,
	/// slowest first.
	pub(crate) axes: Vec<Along>,
}

/// Axes that are one axis of a view.
pub(crate) type Along = Vec<(usize, isize)>;

impl View {
	/// The distance between elements along each axis, where each is one.
	pub(crate) fn strides(&self) -> Option<Vec<isize>> {
		let one = |along: &Along| match along[..] {
			[] => Some(1),
			[(_, stride)] => Some(stride),
			_ => None,
		};
		self.axes.iter().map(one).collect()
	}
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

/// An axis with its neighbours joined that go on as one.
fn joined(along: impl IntoIterator<Item = (usize, isize)>) -> Along {
	let mut out = Along::new();
	for (len, stride) in along.into_iter().filter(|(len, _)| *len != 1) {
		match out.last_mut() {
			Some((before, far)) if *far == stride * len as isize => (*before, *far) = (*before * len, stride),
			_ => out.push((len, stride)),
		}
	}
	out
}

/// The same elements with other dimensions, none of which is 0, if no axis has to be cut where it cannot.
fn reshaped(axes: &[Along], to: &[usize]) -> Option<Vec<Along>> {
	let mut rest = joined(axes.iter().flatten().copied());
	let mut out = Vec::with_capacity(to.len());
	// The last first, each from the fastest axes that are left.
	for d in to.iter().rev() {
		let (mut along, mut left) = (Along::new(), *d);
		while left != 1 {
			let (len, stride) = rest.pop()?;
			if left % len == 0 {
				along.push((len, stride));
				left /= len;
			} else if len % left == 0 {
				along.push((left, stride));
				rest.push((len / left, stride * left as isize));
				left = 1;
			} else {
				return None;
			}
		}
		along.reverse();
		out.push(joined(along));
	}
	out.reverse();
	Some(out)
}

/// The axes of dimensions at these distances.
fn axes(dims: &[usize], strides: &[isize]) -> Vec<Along> {
	dims.iter().zip(strides).map(|(d, s)| joined([(*d, *s)])).collect()
}

impl Builder<'_> {
	/// Where the elements of a value are.
	pub(crate) fn view_of(&self, v: ValueId) -> View {
		let dense = || {
			let dims = sizes(&self.ty(v).dims);
			View { base: v, start: 0, axes: axes(&dims, &row_major(&dims)) }
		};
		self.views.get(&v).cloned().unwrap_or_else(dense)
	}

	/// A movement as elements of its operand's memory, if it can be that.
	pub(crate) fn view(&self, v: ValueId) -> Option<View> {
		self.view_from(v, self.view_of(*self.node(v).inputs.first()?))
	}

	/// The same where the operand is at `from`.
	fn view_from(&self, v: ValueId, from: View) -> Option<View> {
		let node = self.node(v);
		let dims = sizes(&self.ty(node.inputs[0]).dims);
		let out = sizes(&node.ty.dims);
		let (mut start, mut axes) = (from.start, from.axes);
		match &node.op {
			Op::Reshape(_) => axes = reshaped(&axes, &out)?,
			Op::Transpose(op) => axes = op.perm.iter().map(|p| axes[usize::from(*p)].clone()).collect(),
			Op::Slice(op) => {
				for (i, along) in axes.iter_mut().enumerate() {
					let (first, step) = (op.starts[i] as isize, op.steps[i] as isize);
					match along[..] {
						_ if first == 0 && step == 1 && out[i] == dims[i] => {}
						[(_, stride)] => {
							start += first * stride;
							*along = joined([(out[i], stride * step)]);
						}
						[] => {}
						_ => return None,
					}
				}
			}
			Op::Expand(_) => {
				let skip = out.len() - dims.len();
				let axis = |i: usize| match i.checked_sub(skip).filter(|j| dims[*j] == out[i]) {
					Some(j) => axes[j].clone(),
					None => joined([(out[i], 0)]),
				};
				axes = (0..out.len()).map(axis).collect();
			}
			_ => return None,
		}
		Some(View { base: from.base, start, axes })
	}

	/// Whether a node can read an operand as such a view.
	fn takes(&self, reader: ValueId, v: ValueId, view: &View) -> bool {
		let node = self.node(reader);
		match &node.op {
			// A slice may be none of what several axes are together.
			Op::Slice(_) => self.view_from(reader, view.clone()).is_some(),
			Op::Transpose(_) | Op::Expand(_) | Op::Concat(_) | Op::Pad(_) | Op::Reshape(_) => true,
			Op::MatMul(_) if self.is_contraction(reader) => {
				let Some(strides) = view.strides() else { return false };
				let [.., column, step] = strides[..] else { return false };
				let is_forward = strides.iter().all(|s| *s >= 0);
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
	fn views_should_follow_a_reshape_where_they_can() {
		let reshape = |dims: &[usize], strides: &[isize], to: &[usize]| reshaped(&axes(dims, strides), to);
		let one = |strides: &[(usize, isize)]| Some(strides.iter().map(|s| vec![*s]).collect::<Vec<_>>());
		assert_eq!(reshape(&[2, 6], &[6, 1], &[2, 2, 3]), one(&[(2, 6), (2, 3), (3, 1)]));
		assert_eq!(reshape(&[2, 2, 3], &[6, 3, 1], &[4, 3]), one(&[(4, 3), (3, 1)]));
		assert_eq!(reshape(&[3, 2], &[1, 3], &[3, 1, 2]), Some(vec![vec![(3, 1)], vec![], vec![(2, 3)]]));
		assert_eq!(reshape(&[3, 2], &[1, 3], &[6]), Some(vec![vec![(3, 1), (2, 3)]]));
		assert_eq!(reshape(&[4, 4], &[1, 4], &[2, 8]), Some(vec![vec![(2, 2)], vec![(2, 1), (4, 4)]]));
		assert_eq!(reshape(&[4, 3], &[1, 4], &[6, 2]), None);
	}
}
