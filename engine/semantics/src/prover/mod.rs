//! Both sides of a dispute, off chain: a worker that publishes and opens its [`Trace`], and a challenger that finds the
//! first wrong element of somebody else's, [`Investigation`].
//!
//! A trace keeps the roots of its values, and 32 bytes per node and level of the trees. The values themselves come from
//! wherever [`Values`] takes them: memory, or another evaluation up to the value that is asked for ([`crate::Walk`]). The
//! tiles of a value are hashed when they are asked for.

mod advice;
mod invalid;
mod investigation;

pub use advice::{advise, Advice};
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
use alloc::{sync::Arc, vec::Vec};
use core::ops::Deref;

/// Where a trace takes its values from.
pub trait Values {
	/// Calls `f` with these values, in this order; one may be asked for twice. None when there is no such value, when it
	/// cannot be had now, or when `f` gives none.
	fn with<R>(&self, values: &[ValueId], f: impl FnOnce(&[&Tensor]) -> Option<R>) -> Option<R>;
}

/// All values in memory.
impl Values for Vec<Tensor> {
	fn with<R>(&self, values: &[ValueId], f: impl FnOnce(&[&Tensor]) -> Option<R>) -> Option<R> {
		let found: Option<Vec<&Tensor>> = values.iter().map(|v| self.get(usize::try_from(*v).ok()?)).collect();
		f(&found?)
	}
}

/// All values of one inference with their trees. `M` is a reference or a shared pointer to the model. As cheap to clone as
/// `M` and `V` are.
#[derive(Clone)]
pub struct Trace<M, V = Vec<Tensor>> {
	model: M,
	values: V,
	trees: Arc<Trees>,
}

struct Trees {
	/// Value roots.
	roots: Vec<Hash>,
	/// Over the leaves of the value roots.
	trace: Tree,
	/// Over the nodes of the graph.
	graph: Tree,
	/// Over the leaves of the value roots of the weights.
	weights: Tree,
}

impl<M: Deref<Target = Model>> Trace<M> {
	/// A trace from all values in order, as [`crate::trace`](fn@crate::trace) gives them. Hashes all of them.
	pub fn new(model: M, values: Vec<Tensor>) -> Self {
		let roots = values.iter().map(commit::root_of).collect();
		Self::from_roots(model, roots, values)
	}
}

impl<M: Deref<Target = Model>, V: Values> Trace<M, V> {
	/// A trace from the roots of all values in order, and where the values are.
	pub fn from_roots(model: M, roots: Vec<Hash>, values: V) -> Self {
		let list = |roots: &[Hash]| Tree::new(roots.iter().map(trace::leaf).collect());
		let (trace, weights) = (list(&roots), list(model.weight_roots()));
		let graph = Tree::new(model.nodes().iter().map(commit::ir_leaf).collect());
		Self { model, values, trees: Arc::new(Trees { roots, trace, graph, weights }) }
	}

	/// The model.
	pub fn model(&self) -> &Model {
		&self.model
	}

	/// Where the values are.
	pub fn values(&self) -> &V {
		&self.values
	}

	/// The trace root.
	pub fn root(&self) -> Hash {
		trace::trace_root(&self.trees.roots)
	}

	/// The root over the inputs.
	pub fn input_root(&self) -> Hash {
		let inputs = self.model.header().inputs.len();
		commit::side_root_of(Side::Input, self.trees.roots.get(..inputs).unwrap_or_default())
	}

	/// The root over the outputs.
	pub fn output_root(&self) -> Hash {
		commit::side_root_of(Side::Output, self.trees.roots.get(self.model.first_output()..).unwrap_or_default())
	}

	/// The first opening.
	pub fn publication(&self) -> Publication {
		let header = self.model.header();
		let values = self.trees.trace.leaves();
		let level = trace::top_level(values);
		if level == 0 {
			return Publication { header, top: self.trees.roots.clone(), ends: Vec::new(), path: Vec::new() };
		}
		let places: Vec<u64> =
			(0..header.inputs.len() as u64).chain(self.model.first_output() as u64..values).collect();
		let ends = places.iter().filter_map(|i| self.trees.roots.get(usize::try_from(*i).ok()?)).copied().collect();
		let path = self.trees.trace.path_to(level, &places).unwrap_or_default();
		Publication { header, top: self.trees.trace.level(level).to_vec(), ends, path }
	}

	/// The answer to a demand; none when there is no such thing, or a value cannot be had now.
	pub fn open(&self, demand: &Demand) -> Option<Answer> {
		let opening = match *demand {
			Demand::Node { value } => Opening::Node(self.nodes(value, false)?),
			Demand::Values { group } => {
				let (first, len) = trace::group(self.trees.trace.leaves(), group)?;
				let roots = slice(&self.trees.roots, first, len)?.to_vec();
				Opening::Values { roots, path: path_of_group(&self.trees.trace, group)? }
			}
			Demand::Tiles { at } => self.open_value(at, |value, tree, _| {
				let top = tree.level(trace::top_level(tree.leaves())).to_vec();
				Some(Opening::Tiles { value, top })
			})?,
			Demand::TileGroup { at, group } => self.open_value(at, |value, tree, _| {
				let (first, len) = trace::group(tree.leaves(), group)?;
				let hashes = slice(tree.level(0), first, len)?.to_vec();
				Some(Opening::TileGroup { value, hashes, path: path_of_group(tree, group)? })
			})?,
			Demand::Tile { at, tile } => self.open_value(at, |value, tree, bytes| {
				let bytes = tile_of(bytes, tile.into())?.to_vec();
				Some(Opening::Tile { value, bytes, path: tree.path(&[tile.into()])? })
			})?,
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
		Some(Nodes { node, operands, path: self.trees.graph.path(&places)? })
	}

	fn node(&self, value: ValueId) -> Option<&crate::Node> {
		self.model.nodes().get(usize::try_from(value).ok()?)
	}

	fn open_value(
		&self,
		at: Coordinate,
		open: impl FnOnce(ValueProof, &Tree, &[u8]) -> Option<Opening>,
	) -> Option<Opening> {
		let place = [u64::from(at.value)];
		let node = self.node(at.value)?.clone();
		let (node_path, trace_path) = (self.trees.graph.path(&place)?, self.trees.trace.path(&place)?);
		self.values.with(&[at.value], |values| {
			let bytes = &values.first()?.bytes;
			let tree = Tree::of_tiles(bytes);
			open(ValueProof { node, node_path, tiles_root: tree.root(), trace_path }, &tree, bytes)
		})
	}

	/// The state after each step of an element.
	fn states(&self, value: ValueId, element: u64) -> Option<Vec<State>> {
		let node = self.node(value)?;
		self.values.with(&node.inputs, |operands| {
			let types: Vec<&TensorType> = operands.iter().map(|t| &t.ty).collect();
			let (site, read) = (Site { ins: &types, out: &node.ty }, Tensors(operands));
			let mut state = ops::init(&node.op, &site);
			let mut states = Vec::new();
			for step in 0..ops::steps(&node.op, &site) {
				state = ops::step(&node.op, &site, element, step, state, &read);
				states.push(state);
			}
			Some(states)
		})
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

#[cfg(test)]
mod tests;
