//! Showing that a model is not valid.

use crate::{
	commit,
	judge::{InvalidNode, Nodes, Proof, WeightList, WeightType},
	merkle::Tree,
	model::{check_node, check_place},
	trace, Hash, ModelHeader, Node, Op, TensorType, ValueId,
};
use alloc::vec::Vec;

/// A proof that a model is not valid, from its header, its nodes, and type and tiles root of each weight. None when every
/// node is valid. Whether the parts are the header's is not checked; the judge does.
pub fn prove_invalid(header: &ModelHeader, nodes: &[Node], weights: &[(TensorType, Hash)]) -> Option<Proof> {
	let graph = Tree::new(nodes.iter().map(commit::ir_leaf).collect());
	for (value, node) in nodes.iter().enumerate() {
		let value = ValueId::try_from(value).ok()?;
		let get = |id: &ValueId| nodes.get(usize::try_from(*id).ok()?);
		let mut list = None;
		let ids = match Nodes::distinct(node, value) {
			None => Vec::new(),
			Some(ids) => {
				let types: Vec<&TensorType> = node.inputs.iter().filter_map(|id| get(id).map(|n| &n.ty)).collect();
				let local = check_node(value, node, &types).and_then(|()| check_place(value, node, header));
				list = match node.op {
					Op::Weight(number) if local.is_ok() => match wrong_type(number, &node.ty, weights) {
						Some(list) => Some(list),
						None => continue,
					},
					_ if local.is_ok() => continue,
					_ => None,
				};
				ids
			}
		};
		let places: Vec<u64> = ids.iter().copied().chain([value]).map(u64::from).collect();
		return Some(Proof::InvalidNode(InvalidNode {
			header: header.clone(),
			value,
			nodes: Nodes {
				node: node.clone(),
				operands: ids.iter().map(|id| get(id).cloned()).collect::<Option<_>>()?,
				path: graph.path(&places)?,
			},
			weights: list,
		}));
	}
	None
}

/// The list of weights, if weight `number` does not exist or has another type.
fn wrong_type(number: u32, ty: &TensorType, weights: &[(TensorType, Hash)]) -> Option<WeightList> {
	let found = usize::try_from(number).ok().and_then(|i| weights.get(i));
	if found.is_some_and(|(found, _)| found == ty) {
		return None;
	}
	let leaf = |(ty, root): &(TensorType, Hash)| trace::leaf(&commit::value_root(ty, root));
	let tree = Tree::new(weights.iter().map(leaf).collect());
	let weight = match found {
		None => None,
		Some((ty, tiles_root)) => {
			Some(WeightType { ty: ty.clone(), tiles_root: *tiles_root, path: tree.path(&[number.into()])? })
		}
	};
	Some(WeightList { count: u32::try_from(weights.len()).ok()?, tree: tree.root(), weight })
}
