//! Both sides of a dispute, off chain: a worker that publishes and opens its [`Trace`], and a challenger that finds the
//! first wrong element of somebody else's, [`Investigation`].
//!
//! A trace keeps all values in memory: [`Model::trace_bytes`] and 32 bytes per node and level of the trees. The tiles of a
//! value are hashed when they are asked for.

mod invalid;
mod investigation;

pub use invalid::prove_invalid;
pub use investigation::{Investigation, Next};

use crate::{
	commit,
	eval::Tensors,
	judge::{Answer, Demand, Evidence, Nodes, Opening, Publication, ValueProof},
	merkle::Tree,
	ops::{self, Site, State},
	trace::{self, Coordinate},
	Hash, Model, Side, Tensor, TensorType, ValueId,
};
use alloc::vec::Vec;
use core::ops::Deref;

/// All values of one inference with their trees. `M` is a reference or a shared pointer to the model.
pub struct Trace<M> {
	model: M,
	values: Vec<Tensor>,
	/// Value roots.
	roots: Vec<Hash>,
	/// Over the leaves of the value roots.
	tree: Tree,
	/// Over the nodes of the graph.
	graph: Tree,
	/// Value roots of the weights, and the tree over them.
	weights: (Vec<Hash>, Tree),
}

impl<M: Deref<Target = Model>> Trace<M> {
	/// A trace from all values in order, as [`crate::trace`](fn@crate::trace) gives them. Hashes all of them and the
	/// weights.
	pub fn new(model: M, values: Vec<Tensor>) -> Self {
		let root = |t: &Tensor| commit::value_root(&t.ty, &commit::tiles_root(&t.bytes));
		let list = |roots: &[Hash]| Tree::new(roots.iter().map(trace::leaf).collect());
		let roots: Vec<Hash> = values.iter().map(root).collect();
		let tree = list(&roots);
		let graph = Tree::new(model.nodes().iter().map(commit::ir_leaf).collect());
		let weights: Vec<Hash> = model.weights().iter().map(root).collect();
		let weight_tree = list(&weights);
		Self { model, values, roots, tree, graph, weights: (weights, weight_tree) }
	}

	/// The model.
	pub fn model(&self) -> &Model {
		&self.model
	}

	/// The values.
	pub fn values(&self) -> &[Tensor] {
		&self.values
	}

	/// The trace root.
	pub fn root(&self) -> Hash {
		trace::trace_root(&self.roots)
	}

	/// The root over the inputs.
	pub fn input_root(&self) -> Hash {
		let inputs = self.model.header().inputs.len();
		commit::side_root_of(Side::Input, self.roots.get(..inputs).unwrap_or_default())
	}

	/// The root over the outputs.
	pub fn output_root(&self) -> Hash {
		commit::side_root_of(Side::Output, self.roots.get(self.model.first_output()..).unwrap_or_default())
	}

	/// The first opening.
	pub fn publication(&self) -> Publication {
		let header = self.model.header();
		let values = self.tree.leaves();
		let level = trace::top_level(values);
		if level == 0 {
			return Publication { header, top: self.roots.clone(), ends: Vec::new(), path: Vec::new() };
		}
		let places: Vec<u64> =
			(0..header.inputs.len() as u64).chain(self.model.first_output() as u64..values).collect();
		let ends = places.iter().filter_map(|i| self.roots.get(usize::try_from(*i).ok()?)).copied().collect();
		let path = self.tree.path_to(level, &places).unwrap_or_default();
		Publication { header, top: self.tree.level(level).to_vec(), ends, path }
	}

	/// The answer to a demand; none when there is no such thing.
	pub fn open(&self, demand: &Demand) -> Option<Answer> {
		let opening = match *demand {
			Demand::Node { value } => Opening::Node(self.nodes(value, false)?),
			Demand::Values { group } => {
				let (first, len) = trace::group(self.tree.leaves(), group)?;
				let roots = slice(&self.roots, first, len)?.to_vec();
				Opening::Values { roots, path: path_of_group(&self.tree, group)? }
			}
			Demand::Tiles { at } => {
				let (value, tree) = self.open_value(at)?;
				Opening::Tiles { value, top: tree.level(trace::top_level(tree.leaves())).to_vec() }
			}
			Demand::TileGroup { at, group } => {
				let (value, tree) = self.open_value(at)?;
				let (first, len) = trace::group(tree.leaves(), group)?;
				let hashes = slice(tree.level(0), first, len)?.to_vec();
				Opening::TileGroup { value, hashes, path: path_of_group(&tree, group)? }
			}
			Demand::Tile { at, tile } => {
				let (value, tree) = self.open_value(at)?;
				let bytes = tile_of(&self.value(at.value)?.bytes, tile.into())?.to_vec();
				Opening::Tile { value, bytes, path: tree.path(&[tile.into()])? }
			}
			Demand::States { at, element } => {
				let states = self.states(at.value, element)?;
				Opening::States { nodes: self.nodes(at.value, true)?, states }
			}
		};
		Some(Answer { header: self.model.header(), opening })
	}

	/// What shows the chain that a demand can be met.
	pub fn evidence(&self, demand: &Demand) -> Option<Evidence> {
		let nodes = match *demand {
			Demand::Node { .. } | Demand::Values { .. } => None,
			Demand::Tiles { at } | Demand::TileGroup { at, .. } | Demand::Tile { at, .. } => {
				Some(self.nodes(at.value, false)?)
			}
			Demand::States { at, .. } => Some(self.nodes(at.value, true)?),
		};
		Some(Evidence { header: self.model.header(), nodes })
	}

	/// A node of the graph, with its operands or alone.
	pub(crate) fn nodes(&self, value: ValueId, operands: bool) -> Option<Nodes> {
		let node = self.node(value)?.clone();
		let ids = if operands { Nodes::distinct(&node, value)? } else { Vec::new() };
		let operands = ids.iter().map(|id| self.node(*id).cloned()).collect::<Option<_>>()?;
		let places: Vec<u64> = ids.iter().copied().chain([value]).map(u64::from).collect();
		Some(Nodes { node, operands, path: self.graph.path(&places)? })
	}

	fn node(&self, value: ValueId) -> Option<&crate::Node> {
		self.model.nodes().get(usize::try_from(value).ok()?)
	}

	fn value(&self, value: ValueId) -> Option<&Tensor> {
		self.values.get(usize::try_from(value).ok()?)
	}

	fn open_value(&self, at: Coordinate) -> Option<(ValueProof, Tree)> {
		let tree = Tree::of_tiles(&self.value(at.value)?.bytes);
		let place = [u64::from(at.value)];
		let value = ValueProof {
			node: self.node(at.value)?.clone(),
			node_path: self.graph.path(&place)?,
			tiles_root: tree.root(),
			trace_path: self.tree.path(&place)?,
		};
		Some((value, tree))
	}

	/// The operands of a value.
	pub(crate) fn operands(&self, value: ValueId) -> Option<Vec<&Tensor>> {
		self.node(value)?.inputs.iter().map(|id| self.value(*id)).collect()
	}

	/// The state after each step of an element.
	fn states(&self, value: ValueId, element: u64) -> Option<Vec<State>> {
		let (node, operands) = (self.node(value)?, self.operands(value)?);
		let types: Vec<&TensorType> = operands.iter().map(|t| &t.ty).collect();
		let (site, read) = (Site { ins: &types, out: &node.ty }, Tensors(&operands));
		let mut state = ops::init(&node.op, &site);
		let mut states = Vec::new();
		for step in 0..ops::steps(&node.op, &site) {
			state = ops::step(&node.op, &site, element, step, state, &read);
			states.push(state);
		}
		Some(states)
	}
}

/// The part of a list.
fn slice<T>(list: &[T], first: u64, len: u64) -> Option<&[T]> {
	let first = usize::try_from(first).ok()?;
	list.get(first..first.checked_add(usize::try_from(len).ok()?)?)
}

/// The siblings of a group's top node.
fn path_of_group(tree: &Tree, group: u32) -> Option<Vec<Hash>> {
	let level = trace::top_level(tree.leaves());
	Tree::new(tree.level(level).to_vec()).path(&[group.into()])
}

/// A tile's bytes.
fn tile_of(bytes: &[u8], tile: u64) -> Option<&[u8]> {
	bytes.chunks(commit::TILE_BYTES).nth(usize::try_from(tile).ok()?)
}
