//! A node's attributes, by name and type.

use crate::{
	error::Reason,
	proto::{AttributeProto, GraphProto, NodeProto},
};

/// Attribute access of one node. An attribute of the wrong type is an error, one that is missing takes its default.
pub(crate) struct Attributes<'a>(pub(crate) &'a NodeProto);

impl<'a> Attributes<'a> {
	fn get(&self, name: &str, kind: i32) -> Result<Option<&'a AttributeProto>, Reason> {
		match self.0.attribute.iter().find(|a| a.name == name) {
			// Files from before ONNX 1.2 leave the type out.
			Some(a) if a.r#type == kind || a.r#type == 0 => Ok(Some(a)),
			Some(a) => Err(format!("attribute `{name}` has type {}, expected {kind}", a.r#type).into()),
			None => Ok(None),
		}
	}

	/// An integer.
	pub(crate) fn int(&self, name: &str, default: i64) -> Result<i64, Reason> {
		Ok(self.get(name, 2)?.map_or(default, |a| a.i))
	}

	/// An integer that is 0 or 1.
	pub(crate) fn flag(&self, name: &str) -> Result<bool, Reason> {
		Ok(self.int(name, 0)? != 0)
	}

	/// A finite number.
	pub(crate) fn float(&self, name: &str) -> Result<Option<f32>, Reason> {
		match self.get(name, 1)?.map(|a| a.f) {
			Some(f) if !f.is_finite() => Err(format!("attribute `{name}` is not finite").into()),
			f => Ok(f),
		}
	}

	/// A string.
	pub(crate) fn string(&self, name: &str, default: &str) -> Result<String, Reason> {
		Ok(self.get(name, 3)?.map_or(default.into(), |a| String::from_utf8_lossy(&a.s).into_owned()))
	}

	/// A list of integers.
	pub(crate) fn ints(&self, name: &str) -> Result<Option<&'a [i64]>, Reason> {
		Ok(self.get(name, 7)?.map(|a| a.ints.as_slice()))
	}

	/// A list of `n` small unsigned integers, all `default` when missing.
	pub(crate) fn sizes(&self, name: &str, n: usize, default: u32) -> Result<Vec<u32>, Reason> {
		let Some(list) = self.ints(name)? else { return Ok(vec![default; n]) };
		if list.len() != n {
			return Err(format!("attribute `{name}` has {} numbers, expected {n}", list.len()).into());
		}
		let small = |v: &i64| u32::try_from(*v).map_err(|_| format!("attribute `{name}`: {v} is out of range").into());
		list.iter().map(small).collect()
	}

	/// A list of finite numbers.
	pub(crate) fn floats(&self, name: &str) -> Result<Option<&'a [f32]>, Reason> {
		match self.get(name, 6)?.map(|a| a.floats.as_slice()) {
			Some(list) if list.iter().any(|f| !f.is_finite()) => {
				Err(format!("attribute `{name}` is not finite").into())
			}
			list => Ok(list),
		}
	}

	/// A list of strings.
	pub(crate) fn strings(&self, name: &str) -> Result<Option<Vec<String>>, Reason> {
		let list = self.get(name, 8)?.map(|a| &a.strings);
		Ok(list.map(|l| l.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect()))
	}

	/// A graph.
	pub(crate) fn graph(&self, name: &str) -> Result<Option<&'a GraphProto>, Reason> {
		Ok(self.get(name, 5)?.and_then(|a| a.g.as_deref()))
	}

	/// The attribute message itself.
	pub(crate) fn raw(&self, name: &str) -> Option<&'a AttributeProto> {
		self.0.attribute.iter().find(|a| a.name == name)
	}
}

/// An axis that may count from the end, in a tensor of this rank.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize, Reason> {
	let wrapped = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
	usize::try_from(wrapped)
		.ok()
		.filter(|a| *a < rank)
		.ok_or_else(|| format!("axis {axis} is outside a tensor of {rank} dimensions").into())
}
