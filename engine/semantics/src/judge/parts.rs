//! Opened parts of a model and of a trace.

use super::Fault;
use crate::{
	commit::{self, TILE_BYTES},
	ir::MAX_OPERANDS,
	merkle,
	model::{check_header, check_node},
	trace::{self, Coordinate},
	Hash, ModelHeader, Node, Op, TensorType, ValueId,
};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode};
use scale_info::TypeInfo;

/// The header is the model's, and can be that of a valid model.
pub(super) fn known(header: &ModelHeader, model: &Hash) -> Result<(), Fault> {
	if header.id() != *model {
		return Err(Fault::Model);
	}
	check_header(header).map_err(|_| Fault::Header)
}

/// The value number of a coordinate that exists.
pub(super) fn value_of(at: Coordinate, header: &ModelHeader) -> Result<ValueId, Fault> {
	if at.iteration >= trace::ITERATIONS || at.value >= header.values {
		return Err(Fault::Value);
	}
	Ok(at.value)
}

/// The values at these places, given by value root, are in the trace. There must be at least one.
pub(super) fn in_trace(
	header: &ModelHeader,
	trace_root: &Hash,
	values: &[(u64, Hash)],
	path: &[Hash],
) -> Result<(), Fault> {
	let leaves: Vec<(u64, Hash)> = values.iter().map(|(i, root)| (*i, trace::leaf(root))).collect();
	let count = u64::from(header.values);
	let tree = merkle::root_over(count, &leaves, path).ok_or(Fault::TracePath)?;
	(trace::trace_root_of(count, &tree) == *trace_root).then_some(()).ok_or(Fault::TracePath)
}

/// The number of tiles of a value of a valid type.
pub(super) fn tiles_of(ty: &TensorType) -> Result<u64, Fault> {
	ty.check().map_err(|_| Fault::InvalidNode)?;
	Ok(ty.byte_len().ok_or(Fault::InvalidNode)?.div_ceil(TILE_BYTES as u64))
}

/// The number of bytes of a tile.
pub(super) fn tile_bytes(ty: &TensorType, tile: u64) -> Result<usize, Fault> {
	let tiles = tiles_of(ty)?;
	if tile >= tiles {
		return Err(Fault::Tile);
	}
	let rest = ty.byte_len().unwrap_or(0).saturating_sub(tile.saturating_mul(TILE_BYTES as u64));
	Ok(usize::try_from(rest).unwrap_or(TILE_BYTES).min(TILE_BYTES))
}

/// A node of the model's graph, with the nodes of its operands or without, opened under the header.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Nodes {
	/// The node.
	pub node: Node,
	/// The nodes of its distinct operands, in ascending order; or none at all.
	pub operands: Vec<Node>,
	/// The siblings that the graph's root needs.
	pub path: Vec<Hash>,
}

impl Nodes {
	/// The distinct operands of a node in ascending order, if all come before it and they are not too many.
	pub(crate) fn distinct(node: &Node, at: ValueId) -> Option<Vec<ValueId>> {
		if node.inputs.len() > MAX_OPERANDS || node.inputs.iter().any(|v| *v >= at) {
			return None;
		}
		let mut ids = node.inputs.clone();
		ids.sort_unstable();
		ids.dedup();
		Some(ids)
	}

	/// Checks that the node alone is number `at` of the graph.
	pub(super) fn open_alone(&self, header: &ModelHeader, at: ValueId) -> Result<&Node, Fault> {
		if !self.operands.is_empty() {
			return Err(Fault::Evidence);
		}
		let leaf = commit::ir_leaf(&self.node);
		let tree = merkle::root_over(header.values.into(), &[(at.into(), leaf)], &self.path).ok_or(Fault::NodePath)?;
		(commit::ir_root_of(header.values, &tree) == header.ir_root).then_some(&self.node).ok_or(Fault::NodePath)
	}

	/// Checks that the node is number `at` of the graph and that all its operands are opened.
	pub(super) fn open(&self, header: &ModelHeader, at: ValueId) -> Result<Opened<'_>, Fault> {
		let ids = Self::distinct(&self.node, at).ok_or(Fault::InvalidNode)?;
		if ids.len() != self.operands.len() {
			return Err(Fault::Evidence);
		}
		let operands = ids.iter().zip(&self.operands).map(|(id, node)| (u64::from(*id), commit::ir_leaf(node)));
		let leaves: Vec<(u64, Hash)> = operands.chain([(u64::from(at), commit::ir_leaf(&self.node))]).collect();
		let tree = merkle::root_over(header.values.into(), &leaves, &self.path).ok_or(Fault::NodePath)?;
		if commit::ir_root_of(header.values, &tree) != header.ir_root {
			return Err(Fault::NodePath);
		}
		Ok(Opened { node: &self.node, ids, operands: &self.operands })
	}

	/// [`Nodes::open`] of a node that is valid and computes something.
	pub(super) fn open_computed(&self, header: &ModelHeader, at: ValueId) -> Result<Opened<'_>, Fault> {
		let opened = self.open(header, at)?;
		check_node(at, opened.node, &opened.types())?;
		if is_source(opened.node) {
			return Err(Fault::Source);
		}
		Ok(opened)
	}
}

/// Whether the value of a node is given and not computed.
pub(crate) fn is_source(node: &Node) -> bool {
	matches!(node.op, Op::Input(_) | Op::Weight(_))
}

/// A node with its operands, checked.
pub(super) struct Opened<'a> {
	pub(super) node: &'a Node,
	/// The distinct operands, ascending.
	pub(super) ids: Vec<ValueId>,
	/// Their nodes.
	operands: &'a [Node],
}

impl<'a> Opened<'a> {
	/// The type of a distinct operand.
	pub(super) fn ty(&self, id: ValueId) -> Option<&'a TensorType> {
		let position = self.ids.binary_search(&id).ok()?;
		self.operands.get(position).map(|n| &n.ty)
	}

	/// The types of the operands, in the node's order.
	pub(super) fn types(&self) -> Vec<&'a TensorType> {
		self.node.inputs.iter().filter_map(|id| self.ty(*id)).collect()
	}
}

/// A value of the trace, opened: its type comes from the graph.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct ValueProof {
	/// The node of the value.
	pub node: Node,
	/// Its siblings in the graph.
	pub node_path: Vec<Hash>,
	/// The root over the value's tiles.
	pub tiles_root: Hash,
	/// The value's siblings in the trace.
	pub trace_path: Vec<Hash>,
}

impl ValueProof {
	/// Checks that value `at` of the trace has this tiles root and the graph's type, which is returned.
	pub(super) fn check(&self, header: &ModelHeader, trace_root: &Hash, at: ValueId) -> Result<&TensorType, Fault> {
		let leaf = commit::ir_leaf(&self.node);
		let values = u64::from(header.values);
		let tree = merkle::root_over(values, &[(at.into(), leaf)], &self.node_path).ok_or(Fault::NodePath)?;
		if commit::ir_root_of(header.values, &tree) != header.ir_root {
			return Err(Fault::NodePath);
		}
		let root = commit::value_root(&self.node.ty, &self.tiles_root);
		in_trace(header, trace_root, &[(at.into(), root)], &self.trace_path)?;
		Ok(&self.node.ty)
	}
}
